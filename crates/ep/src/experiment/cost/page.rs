//! The page of `cost`: measured seconds, fitted constants, how well the formula does, and where EP pays.

use std::fmt::Write as _;

use gfn_core::Result;

use super::fit::{fit, predict};
use super::{AMOUNTS, BLOCKS, CLIENTS, SIZES, Size};
use crate::experiment::page::{Summary, Table, median, number};
use crate::experiment::plot::{Panel, Series, draw};
use crate::experiment::{Options, Page, Results};

/// Medians over seeds of a kind of problem.
struct Measured<'a> {
    results: &'a Results,
}

impl Measured<'_> {
    fn median(&self, domain: &str, method: &str, clients: usize, metric: &str) -> f64 {
        median(&self.results.values(domain, method, clients, metric))
    }

    /// Seconds for a trajectory of a client that holds `amount / clients` of the data; of a centralised run where there is
    /// but one.
    fn client(&self, size: Size, amount: usize, clients: usize) -> f64 {
        self.median(&size.with_data(amount), "client", clients, "trajectory seconds")
    }

    fn patterns(&self, size: Size, amount: usize, clients: usize) -> f64 {
        self.median(&size.with_data(amount), "client", clients, "patterns")
    }

    fn batch(&self, size: Size, amount: usize, clients: usize) -> f64 {
        self.median(&size.with_data(amount), "client", clients, "batch")
    }

    fn server(&self, size: Size, clients: usize) -> f64 {
        self.median(&size.name(), "server", clients, "trajectory seconds")
    }

    /// L, D, D · A and D · P, with D = L · the share of distinct states.
    fn client_terms(&self, size: Size, amount: usize, clients: usize) -> Vec<f64> {
        let of = |metric| self.median(&size.with_data(amount), "client", clients, metric);
        let distinct = of("length") * of("distinct");
        let patterns = self.patterns(size, amount, clients);
        vec![of("length"), distinct, distinct * of("actions"), distinct * patterns]
    }

    /// L, D · A, D · N and D · A · N.
    fn server_terms(&self, size: Size, clients: usize) -> Vec<f64> {
        let of = |metric| self.median(&size.name(), "server", clients, metric);
        let (distinct, n) = (of("length") * of("distinct"), clients as f64);
        vec![of("length"), distinct * of("actions"), distinct * n, distinct * of("actions") * n]
    }

    /// Seconds of a whole run on N cores against those of a centralised one on one core, and the same for the seconds of
    /// all cores together.
    fn ratios(&self, size: Size, amount: usize, clients: usize) -> (f64, f64) {
        let batch = self.batch(size, amount, clients);
        let (steps, server_steps) = size.steps();
        let client = steps as f64 * batch * self.client(size, amount, clients);
        let server_batch = self.median(&size.name(), "server", clients, "batch");
        let server = server_steps as f64 * server_batch * self.server(size, clients);
        let whole = steps as f64 * self.batch(size, amount, 1) * self.client(size, amount, 1);
        ((client + server) / whole, (clients as f64 * client + server) / whole)
    }
}

/// The formula of a kind of problem with its constants.
struct Law {
    client: Vec<f64>,
    server: Vec<f64>,
    /// Measured and predicted seconds for a trajectory.
    client_pairs: Vec<(f64, f64)>,
    server_pairs: Vec<(f64, f64)>,
}

impl Law {
    fn new(measured: &Measured, sizes: &[Size], amounts: &[usize], numbers: &[usize]) -> Law {
        let (mut rows, mut seconds) = (Vec::new(), Vec::new());
        let (mut server_rows, mut server_seconds) = (Vec::new(), Vec::new());
        for &size in sizes {
            for &n in numbers {
                for &amount in amounts {
                    rows.push(measured.client_terms(size, amount, n));
                    seconds.push(measured.client(size, amount, n));
                }
                if n > 1 {
                    server_rows.push(measured.server_terms(size, n));
                    server_seconds.push(measured.server(size, n));
                }
            }
        }
        let (client, server) = (fit(&rows, &seconds), fit(&server_rows, &server_seconds));
        let pairs = |rows: &[Vec<f64>], seconds: Vec<f64>, law: &[f64]| -> Vec<(f64, f64)> {
            seconds.into_iter().zip(rows.iter().map(|row| predict(row, law))).collect()
        };
        Law {
            client_pairs: pairs(&rows, seconds, &client),
            server_pairs: pairs(&server_rows, server_seconds, &server),
            client,
            server,
        }
    }
}

pub(super) fn page(options: &Options, results: &Results) -> Result<Page> {
    let quick = usize::from(options.quick);
    let (amounts, mut numbers) = (AMOUNTS[quick], CLIENTS[quick].to_vec());
    numbers.sort_unstable();
    let measured = Measured { results };
    let mut text = format!(
        "The model: a run of B trajectories of L actions should cost B · (L · c_policy + c_reward(M/N)) for each of N clients \
         that hold M/N of the data, B · (L · c_policy + c_reward(M)) for a centralised run, and B · L · (N + 1) · c_policy \
         for the server. What a policy costs grows with the number of actions A that it can choose from (pairs of taxa, ordered \
         pairs of nodes and the end), so that c_policy is a constant and a multiple of A here; equal states of a step are evaluated once, so that D counts here, \
         which is L times the share of distinct states in a batch. Rewards and clients' answers that are known are not computed \
         again, which the model does not see. Servers are those of clients with 100 sites or \
         rows each, trained for 300 steps. Measured on one thread: seconds for a trajectory with the recipe's batch, network and walks, the median of {BLOCKS} \
         blocks of steps near the beginning of a training, then of {} seeds. P is what the \
         reward is computed from: distinct site patterns of a client's sites (trees, JC69, all branches .1), rows (networks, BGe). \
         Networks of more than 6 nodes are trained without the Markov chain that the command gives them.\n\n",
        options.seeds
    );
    let mut pictures = Vec::new();
    for kind in ["trees", "networks"] {
        let sizes: Vec<Size> = SIZES[quick].iter().copied().filter(|size| size.kind() == kind).collect();
        let law = Law::new(&measured, &sizes, amounts, &numbers);
        let _ = writeln!(text, "### {kind}\n");
        let (steps, server_steps) = sizes[0].steps();
        let _ = writeln!(
            text,
            "Whole runs have {steps} steps of a client or a centralised run and {server_steps} of the server, as in `table1`.\n"
        );
        text += &table(&measured, &sizes, amounts, &numbers);
        text += &formula(kind, &law);
        text += &pays(&measured, &sizes, amounts, &numbers);
        if kind == "trees" {
            text += &break_even(&measured, &law, &sizes, &numbers, quick);
        }
        text += &setup(&measured, &sizes, amounts);
        pictures.push(fits(kind, &law));
        pictures.push(ratios(&measured, kind, sizes[0], amounts, &numbers));
    }
    text += "Published, multisets: .86 + .104 N seconds for 50 epochs of aggregation.\n\n![Cost](cost.svg)\n";
    let title = "Measured against fitted cost, and EP against centralised runs";
    Ok(Page { markdown: text, pictures: vec![("cost.svg".into(), draw(title, &pictures, 2)?)] })
}

/// Microseconds for a trajectory, and how a whole run compares.
fn table(measured: &Measured, sizes: &[Size], amounts: &[usize], numbers: &[usize]) -> String {
    let parallel: Vec<usize> = numbers.iter().copied().filter(|n| *n > 1).collect();
    let (few, many) = (parallel[0], parallel[parallel.len() - 1]);
    let mut titles = vec![
        "problem".to_string(),
        "P of all".into(),
        format!("P of a client, N = {many}"),
        "centralised, µs".into(),
        format!("client, N = {few}, µs"),
        format!("client, N = {many}, µs"),
        format!("server, N = {few}, µs"),
        format!("server, N = {many}, µs"),
    ];
    titles.extend(parallel.iter().map(|n| format!("EP on {n} cores / centralised")));
    titles.push(format!("all cores together, N = {many}"));
    let mut table = Table::new(&titles);
    for &size in sizes {
        for &amount in amounts {
            let micro = |seconds: f64| number(1e6 * seconds);
            let mut row = vec![
                size.with_data(amount),
                measured.patterns(size, amount, 1).to_string(),
                measured.patterns(size, amount, many).to_string(),
                micro(measured.client(size, amount, 1)),
                micro(measured.client(size, amount, few)),
                micro(measured.client(size, amount, many)),
                micro(measured.server(size, few)),
                micro(measured.server(size, many)),
            ];
            row.extend(parallel.iter().map(|&n| number(measured.ratios(size, amount, n).0)));
            row.push(number(measured.ratios(size, amount, many).1));
            table.row(&row);
        }
    }
    table.finish()
}

/// The fitted formula, and how far measurements are from it.
fn formula(kind: &str, law: &Law) -> String {
    let micro = |c: f64| number(1e6 * c);
    let deviation = |pairs: &[(f64, f64)]| {
        let relative: Vec<f64> = pairs.iter().map(|(found, law)| 100.0 * (law / found - 1.0).abs()).collect();
        let largest = Summary::of(&relative).map_or(f64::NAN, |summary| summary.high);
        format!(
            "half of {} measurements within {} %, all within {} %",
            pairs.len(),
            number(median(&relative)),
            number(largest)
        )
    };
    let (c, s) = (&law.client, &law.server);
    let data = if kind == "trees" { "patterns" } else { "rows" };
    format!(
        "Least squares of relative deviations, coefficients not negative; µs for a trajectory of L actions in D distinct states:\n\n\
         - client or centralised run: **{} L + D ({} + {} A + {} P)**, P its {data} ({});\n\
         - server: **{} L + D ({} A + N ({} + {} A))** ({}).\n\n",
        micro(c[0]),
        micro(c[1]),
        micro(c[2]),
        micro(c[3]),
        deviation(&law.client_pairs),
        micro(s[0]),
        micro(s[1]),
        micro(s[2]),
        micro(s[3]),
        deviation(&law.server_pairs)
    )
}

/// Where a run on N cores is faster than a centralised one.
fn pays(measured: &Measured, sizes: &[Size], amounts: &[usize], numbers: &[usize]) -> String {
    let mut text = String::new();
    for &size in sizes {
        let cases = || {
            let pairs =
                amounts.iter().flat_map(|&m| numbers.iter().filter(|n| **n > 1).map(move |&n| (m, n)));
            pairs.map(|(m, n)| (measured.ratios(size, m, n), m, n))
        };
        let faster = cases().filter(|((wall, _), ..)| *wall < 1.0).count();
        let cheaper = cases().filter(|((_, all), ..)| *all < 1.0).count();
        let Some(((wall, all), amount, n)) = cases().min_by(|a, b| a.0.0.total_cmp(&b.0.0)) else { continue };
        let _ = writeln!(
            text,
            "- **{}**: EP is the faster one in {faster} of {} cases, and needs fewer seconds of all cores together in {cheaper}. At best ({amount} {}, N = \
             {n}) it takes {} times the seconds, and {} times those of all cores together.",
            size.name(),
            cases().count(),
            if size.kind() == "trees" { "sites" } else { "rows" },
            number(wall),
            number(all)
        );
    }
    text + "\n"
}

/// From the fitted constants: what data must be saved for EP to be faster.
fn break_even(measured: &Measured, law: &Law, sizes: &[Size], numbers: &[usize], quick: usize) -> String {
    let mut text = format!(
        "By the formula, EP on N cores is faster where the patterns that a client is spared, P(M) − P(M/N), are more than \
         the server costs by the formula above, divided by the µs of a pattern, where the server makes {} of a client's steps:\n\n",
        number(sizes[0].steps().1 as f64 / sizes[0].steps().0 as f64),
    );
    let parallel: Vec<usize> = numbers.iter().copied().filter(|n| *n > 1).collect();
    let mut titles = vec!["patterns to be spared".to_string()];
    titles.extend(parallel.iter().map(|n| format!("N = {n}")));
    let mut table = Table::new(&titles);
    for &size in sizes {
        let mut row = vec![size.name()];
        for &n in &parallel {
            let terms = measured.server_terms(size, n);
            let (steps, server_steps) = size.steps();
            let server = server_steps as f64 / steps as f64 * predict(&terms, &law.server);
            let distinct = measured.client_terms(size, AMOUNTS[quick][0], n)[1];
            let needed = server / (law.client[3] * distinct);
            row.push(if needed.is_finite() { number(needed) } else { "–".into() });
        }
        table.row(&row);
    }
    text += &table.finish();
    text
}

/// What reading the data once costs.
fn setup(measured: &Measured, sizes: &[Size], amounts: &[usize]) -> String {
    let (Some(&size), Some(&amount)) = (sizes.first(), amounts.iter().max()) else { return String::new() };
    let seconds = measured.median(&size.with_data(amount), "client", 1, "setup seconds");
    let trajectory = measured.client(size, amount, 1);
    format!(
        "Making the reward of {} takes {} s, once: as much as {} trajectories.\n\n",
        size.with_data(amount),
        number(seconds),
        number(seconds / trajectory)
    )
}

fn fits(kind: &str, law: &Law) -> Panel {
    let dots = |label: &str, pairs: &[(f64, f64)]| {
        let points: Vec<(f64, Vec<f64>)> =
            pairs.iter().map(|(found, law)| (1e6 * law, vec![1e6 * found])).collect();
        Series::dots(label, &points)
    };
    let all = law.client_pairs.iter().chain(&law.server_pairs).map(|(_, law)| 1e6 * law);
    let ends: Vec<f64> = all.collect();
    let ends = Summary::of(&ends).map_or(vec![], |s| vec![(s.low, vec![s.low]), (s.high, vec![s.high])]);
    Panel {
        title: kind.into(),
        x_label: "µs for a trajectory by the formula".into(),
        y_label: "measured".into(),
        log_x: true,
        log_y: true,
        series: vec![
            dots("clients and centralised runs", &law.client_pairs),
            dots("servers", &law.server_pairs),
            Series::line("as the formula has it", &ends),
        ],
        ..Panel::default()
    }
}

fn ratios(measured: &Measured, kind: &str, size: Size, amounts: &[usize], numbers: &[usize]) -> Panel {
    let series = numbers.iter().filter(|n| **n > 1).map(|&n| {
        let points: Vec<(f64, Vec<f64>)> =
            amounts.iter().map(|&m| (m as f64, vec![measured.ratios(size, m, n).0])).collect();
        Series::line(format!("{n} clients"), &points)
    });
    Panel {
        title: format!("{}: EP on N cores / centralised", size.name()),
        x_label: if kind == "trees" { "sites" } else { "rows" }.into(),
        y_label: "seconds / seconds".into(),
        log_x: true,
        log_y: true,
        series: series.collect(),
        ..Panel::default()
    }
}
