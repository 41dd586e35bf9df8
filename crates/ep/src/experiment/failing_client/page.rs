//! The page of `failing-client`: what the aggregate becomes, what each diagnostic says, and maps.

use std::fmt::Write as _;

use gfn_core::Result;

use super::map::{Map, draw_maps};
use super::{ARMS, Arm, DRAWS, FAILING, FRACTION, VETO, is_denied};
use crate::experiment::page::{Summary, Table, mean_and_range, number};
use crate::experiment::problem::Problem;
use crate::experiment::problems::grid;
use crate::experiment::{Options, Page, Results};
use gfn_core::grid::Grid;

/// A standard deviation is alarming beyond this: by J ≈ Var it would make an L1 of about .08.
const ALARMING_DEVIATION: f64 = 0.1;
/// The same for the fraction of the samples that the effective sample size lacks, and for Pareto k.
const ALARMING_LOSS: f64 = 0.1;
const ALARMING_K: f64 = 0.7;

/// What happened, by exact computation.
const EXACT: [(&str, &str); 8] = [
    ("L1 of the client to its own target", "client l1"),
    ("**L1 of the aggregate (EP)**", "l1"),
    ("L1 of the exact aggregate of the learned clients", "exact l1"),
    ("L1 of the product of the clients' learned distributions", "product of marginals l1"),
    ("L1 between aggregate and exact aggregate", "l1 to exact"),
    ("J of the exact aggregate", "jeffrey"),
    ("W (Theorem 3.4)", "w"),
    ("W tanh(W/4)", "sharp"),
];

/// What can be had from samples: name, metric, who has it.
const DIAGNOSTICS: [(&str, &str, &str); 12] = [
    ("client's file: residual sd, own walks", "file own", "server"),
    ("client's file: residual sd, logits × ¼", "file tempered", "server"),
    ("client's file: residual sd, uniform walks", "file uniform", "server"),
    ("residual sd against the right reward, own walks", "true own", "whoever knows the right reward"),
    ("residual sd against the right reward, logits × ¼", "true tempered", "whoever knows the right reward"),
    ("residual sd against the right reward, uniform walks", "true uniform", "whoever knows the right reward"),
    ("server's residual sd against the clients, own walks", "server own", "server"),
    ("server's residual sd against the clients, uniform walks", "server uniform", "server"),
    ("1 − effective sample size per sample", "missing weight", "whoever has all rewards"),
    ("Pareto k of the weights", "pareto k", "whoever has all rewards"),
    ("sd of log R − S, own walks", "data own", "whoever has all rewards"),
    ("sd of log R − S, uniform walks", "data uniform", "whoever has all rewards"),
];

fn values(results: &Results, arm: Arm, metric: &str) -> Vec<f64> {
    results.values("grid", arm.name(), 4, metric)
}

/// Seeds of this arm in which the diagnostic is alarming, and all of them.
fn alarms(results: &Results, arm: Arm, metric: &str) -> (usize, usize) {
    let limit = match metric {
        "missing weight" => ALARMING_LOSS,
        "pareto k" => ALARMING_K,
        _ => ALARMING_DEVIATION,
    };
    let values = values(results, arm, metric);
    (values.iter().filter(|value| **value > limit).count(), values.len())
}

/// The page.
pub fn page(options: &Options, results: &Results) -> Result<Page> {
    let problem = grid(options.quick)?;
    let side = problem.env.side();
    let denied: f64 = problem
        .graph
        .objects()
        .zip(&problem.target)
        .filter(|(cell, _)| is_denied(side, cell.coordinates[0].into(), cell.coordinates[1].into()))
        .map(|(_, p)| p)
        .sum();
    let mut text = format!(
        "Four clients of the {side} × {side} grid world, as in the paper's figure 1. Client {} (of 4) either makes {} % of its steps, \
         or is trained on a reward that lacks a factor exp({}) in a corner of the grid (red frames), where the product \
         has {} of its mass. Everything in this table is exact; mean and range over seeds:\n\n",
        FAILING + 1,
        100.0 * FRACTION,
        -VETO,
        number(denied)
    );
    let mut titles = vec![""];
    titles.extend(ARMS.map(Arm::name));
    let mut table = Table::new(&titles);
    for (name, metric) in EXACT {
        let row = ARMS.map(|arm| mean_and_range(&values(results, arm, metric)));
        table.row(&[&[name.to_string()][..], &row].concat());
    }
    text += &table.finish();
    let _ = write!(
        text,
        "What can be measured from {DRAWS} trajectories, and whether it is alarming: a standard deviation beyond \
         {ALARMING_DEVIATION} nats, an effective sample size that lacks more than {ALARMING_LOSS} of the samples, a Pareto k \
         beyond {ALARMING_K}. *Right reward*: that of the client's true data, which the denying client was not trained on.\n\n"
    );
    titles[0] = "diagnostic";
    titles.insert(1, "who has it");
    let mut table = Table::new(&titles);
    for (name, metric, who) in DIAGNOSTICS {
        let row = ARMS.map(|arm| {
            let shown = mean_and_range(&values(results, arm, metric));
            match alarms(results, arm, metric) {
                (0, _) => shown,
                (n, all) if n == all => format!("{shown}: **alarm**"),
                (n, all) => format!("{shown}: alarm in {n} of {all} seeds"),
            }
        });
        table.row(&[&[name.to_string(), who.to_string()][..], &row].concat());
    }
    text += &table.finish();
    for arm in [Arm::Short, Arm::Veto] {
        text += &verdict(results, arm);
    }
    text += "\n![The product, and aggregates](failing-client.svg)\n";
    let maps = maps(results, &problem, side);
    let svg =
        draw_maps("The product and three aggregates, seed 0", side, &maps, &|x, y| is_denied(side, x, y));
    Ok(Page { markdown: text, pictures: vec![("failing-client.svg".into(), svg)] })
}

/// What notices the failure, and what does not.
fn verdict(results: &Results, arm: Arm) -> String {
    let mean =
        |arm: Arm, metric: &str| Summary::of(&values(results, arm, metric)).map_or(f64::NAN, |s| s.mean);
    let names = |wanted: &dyn Fn(usize, usize) -> bool| {
        let kept = DIAGNOSTICS.iter().filter(|(_, metric, _)| {
            let (n, all) = alarms(results, arm, metric);
            wanted(n, all)
        });
        let names: Vec<&str> = kept.map(|(name, ..)| *name).collect();
        if names.is_empty() { "nothing".into() } else { names.join("; ") }
    };
    format!(
        "- **{}**: the L1 of the aggregate is {} times that with sound clients. J is {} where W is {} and W tanh(W/4) {}. \
         Alarm with every seed: {}. With some: {}. With none: {}.\n",
        arm.name(),
        number(mean(arm, "l1") / mean(Arm::Sound, "l1")),
        number(mean(arm, "jeffrey")),
        number(mean(arm, "w")),
        number(mean(arm, "sharp")),
        names(&|n, all| n == all),
        names(&|n, all| n > 0 && n < all),
        names(&|n, _| n == 0)
    )
}

/// The product, and the aggregate of each arm with the first seed.
fn maps(results: &Results, problem: &Problem<Grid>, side: usize) -> Vec<Map> {
    let map = |title: &str, probabilities: &[f64]| {
        let mut map = Map { title: title.into(), probabilities: vec![0.0; side * side] };
        for (cell, p) in problem.graph.objects().zip(probabilities) {
            let [x, y, ..] = cell.coordinates.map(usize::from);
            map.probabilities[y * side + x] = *p;
        }
        map
    };
    let mut maps = vec![map("product of the rewards", &problem.target)];
    for arm in ARMS {
        let curve = results.curve("grid", arm.name(), 4, "p");
        let first: Vec<f64> = curve.iter().filter_map(|(_, values)| values.first().copied()).collect();
        maps.push(map(&format!("aggregate, {}", arm.name()), &first));
    }
    maps
}
