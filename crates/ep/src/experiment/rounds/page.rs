//! The page of `rounds`: L1 and bytes by number of rounds, and what they say about the default.

use std::fmt::Write as _;

use gfn_core::Result;

use super::{ARMS, AT_ONCE, Arm, FEW_SITES, IN_ONE_GO, ROUNDS, STEPS, WITH_ROUNDS};
use crate::experiment::page::{Summary, Table, mean_and_range, number};
use crate::experiment::plot::{Panel, Series, draw};
use crate::experiment::{Page, Results};
use crate::proposals::PROPOSALS;

fn values(results: &Results, arm: Arm, method: &str, metric: &str, round: u64) -> Vec<f64> {
    let curve = results.curve(arm.name, method, arm.domain.n_clients(), metric);
    curve.into_iter().find(|(x, _)| *x == round as f64).map_or(Vec::new(), |(_, values)| values)
}

/// The page.
pub fn page(results: &Results) -> Result<Page> {
    let mut text = format!(
        "Clients are trained, the server aggregates, and then up to {ROUNDS} times: the server sends {} objects to \
         every client, half drawn from its policy and half from that with its logits halved; each client goes on for half of \
         its first steps, with half of its walks backward from these objects, and sends its policy again; the server is \
         trained anew. All stages have {STEPS} of their recipes' steps, so that there is something left to gain. *In one \
         go*: clients that are trained from the start for as many steps as the rounds have in all, without any message in \
         between. Bytes: policies to the server, and objects to the clients (the actions of a path, four bytes each), since \
         the beginning. *Trees of few sites*: {FEW_SITES} sites a client, with their full likelihood. Exact L1 (0 to 2), \
         mean and range over seeds:\n\n",
        PROPOSALS.1
    );
    for arm in ARMS {
        let _ = writeln!(text, "### {}, N = {}\n", arm.name, arm.domain.n_clients());
        let mut table = Table::new(&[
            "rounds",
            "EP",
            "exact aggregate",
            "EP, in one go",
            "exact aggregate, in one go",
            "kB sent in all",
            "s, a core for each client",
        ]);
        for round in 0..=ROUNDS {
            let of = |method, metric| mean_and_range(&values(results, arm, method, metric, round));
            let bytes = Summary::of(&values(results, arm, WITH_ROUNDS, "bytes", round));
            table.row(&[
                round.to_string(),
                of(WITH_ROUNDS, "l1"),
                of(WITH_ROUNDS, "exact l1"),
                of(IN_ONE_GO, "l1"),
                of(IN_ONE_GO, "exact l1"),
                bytes.map_or("–".into(), |s| format!("{:.0}", s.mean / 1000.0)),
                of(WITH_ROUNDS, "seconds"),
            ]);
        }
        text += &table.finish();
        text += &verdict(results, arm);
    }
    text += &summary(results);
    text += "![L1 by bytes sent](rounds-bytes.svg)\n\n![L1 by seconds](rounds-seconds.svg)\n";
    let panels = |x: &str, x_label: &str, once: bool| {
        ARMS.map(|arm| {
            let line = |label: &str, method: &str, metric: &str| {
                let clients = arm.domain.n_clients();
                let curve = results.curve(arm.name, method, clients, metric).into_iter();
                let placed = curve.zip(results.curve(arm.name, method, clients, x));
                let points = placed.filter_map(|((_, l1), (_, x))| Some((Summary::of(&x)?.mean, l1)));
                Series::line(label, &points.collect::<Vec<_>>())
            };
            let mut series =
                vec![line("EP", WITH_ROUNDS, "l1"), line("exact aggregate", WITH_ROUNDS, "exact l1")];
            if once {
                series.push(line("EP, in one go", IN_ONE_GO, "l1"));
            }
            Panel {
                title: arm.name.into(),
                x_label: x_label.into(),
                y_label: "L1".into(),
                log_y: true,
                series,
                ..Panel::default()
            }
        })
    };
    let title = format!("Exact L1 with 0 to {ROUNDS} extra rounds");
    Ok(Page {
        markdown: text,
        pictures: vec![
            ("rounds-bytes.svg".into(), draw(&title, &panels("bytes", "bytes sent in all", false), 3)?),
            ("rounds-seconds.svg".into(), draw(&title, &panels("seconds", "seconds", true), 3)?),
        ],
    })
}

/// What the rounds do on one problem.
fn verdict(results: &Results, arm: Arm) -> String {
    let mean = |method: &str, metric: &str, round: u64| {
        Summary::of(&values(results, arm, method, metric, round)).map_or(f64::NAN, |s| s.mean)
    };
    let start = mean(WITH_ROUNDS, "l1", 0);
    let parts = AT_ONCE.map(|round| {
        format!(
            "{round} {} the L1 is {} times that without ({} times if clients make the same steps in one go), for {} times the bytes",
            if round == 1 { "round:" } else { "rounds:" },
            number(mean(WITH_ROUNDS, "l1", round) / start),
            number(mean(IN_ONE_GO, "l1", round) / start),
            number(mean(WITH_ROUNDS, "bytes", round) / mean(WITH_ROUNDS, "bytes", 0)),
        )
    });
    format!("With {}.\n\n", parts.join("; with "))
}

/// What one round is against no round with the same steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Effect {
    Helps,
    Hurts,
    Unclear,
}

/// Beyond the range of seeds.
fn effect(results: &Results, arm: Arm) -> Effect {
    let of = |method| Summary::of(&values(results, arm, method, "l1", 1));
    match (of(WITH_ROUNDS), of(IN_ONE_GO)) {
        (Some(with), Some(without)) if with.high < without.low => Effect::Helps,
        (Some(with), Some(without)) if with.low > without.high => Effect::Hurts,
        _ => Effect::Unclear,
    }
}

/// What that says about the default of `--rounds`.
fn summary(results: &Results) -> String {
    let mut text = String::from(
        "One round against the same steps in one go, which costs no message (apart only where the ranges over seeds are):\n\n",
    );
    for arm in ARMS {
        let advice = match (effect(results, arm), arm.default) {
            (Effect::Helps, 0) => "it **helps**: the data speak for 1 where messages are cheap",
            (Effect::Helps, _) => "it **helps**: the data support the default",
            (Effect::Hurts, 0) => "it **hurts**: the data support the default",
            (Effect::Hurts, _) => "it **hurts**: the data speak against the default",
            (Effect::Unclear, 0) => {
                "no difference beyond seeds: the data support the default, which saves messages"
            }
            (Effect::Unclear, _) => "no difference beyond seeds: the data do not support the default",
        };
        let _ = writeln!(text, "- {} (default of `--rounds`: {}): {advice}.", arm.name, arm.default);
    }
    text + "\n"
}
