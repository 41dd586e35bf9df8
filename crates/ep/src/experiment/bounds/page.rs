//! The page of `bounds`: tables by law and size of the errors, what both bounds give away, and curves.

use std::fmt::Write as _;

use gfn_core::Result;

use super::errors::Law;
use super::{ARMS, DEVIATIONS};
use crate::experiment::page::{Summary, Table, mean_and_range, number};
use crate::experiment::plot::{Panel, Series, draw};
use crate::experiment::problems::Domain;
use crate::experiment::{Page, Results};

/// Sizes of errors in the tables.
const SHOWN: [f64; 3] = [0.01, 0.1, 1.0];
/// Summed variance up to which errors count as small.
const SMALL: f64 = 0.1;
/// Rounding of divergences: they are sums of differences of probabilities.
const ROUNDING: f64 = 1e-12;

/// One set of clients.
struct Point {
    variance: f64,
    jeffrey: f64,
    sharp: f64,
    w: f64,
}

fn values(results: &Results, domain: Domain, law: Law, clients: usize, metric: &str, at: f64) -> Vec<f64> {
    let curve = results.curve(domain.name(), law.name(), clients, metric);
    curve.into_iter().find(|(x, _)| *x == at).map_or(Vec::new(), |(_, values)| values)
}

/// Every seed at every size of errors.
fn points(results: &Results, domain: Domain, law: Law, clients: usize) -> Vec<Point> {
    let mut points = Vec::new();
    for at in DEVIATIONS {
        let of = |metric| values(results, domain, law, clients, metric, at);
        let (variance, jeffrey, sharp, w) = (of("variance"), of("jeffrey"), of("sharp"), of("w"));
        points.extend((0..w.len()).map(|seed| Point {
            variance: variance[seed],
            jeffrey: jeffrey[seed],
            sharp: sharp[seed],
            w: w[seed],
        }));
    }
    points
}

fn ratio(a: &[f64], b: &[f64]) -> Vec<f64> {
    a.iter().zip(b).map(|(a, b)| a / b).collect()
}

fn range(values: impl Iterator<Item = f64>) -> String {
    let values: Vec<f64> = values.collect();
    Summary::of(&values).map_or("–".into(), |s| format!("{} to {}", number(s.low), number(s.high)))
}

/// The page.
pub fn page(results: &Results) -> Result<Page> {
    let mut text = String::from(
        "Each client samples π_n exp(δ_n) exactly, with errors δ_n of one law and of the same variance under the product π; \
         the aggregate is computed exactly from the clients' policies, over all paths. *Gaussian*, *Laplace* and *Student t* \
         (three degrees of freedom): independent for every object and client. *Dropped mode*: each client has too little, by \
         one factor, of the objects that it likes best itself, a tenth of the product. *Shared half*: all clients have too \
         little of the same half of the product. N clients share the rewards of the paper's clients, so that the product is the same for \
         all N. J is the Jeffrey divergence between aggregate and product, W the bound of Theorem 3.4 from the \
         smallest and largest errors over all trajectories, and Var that of Σδ_n under π. J lies between \
         Var exp(−W) and Var exp(W): it is the covariance of f = log(aggregate/product) and exp f, whose range is at most W. Mean and \
         range over seeds:\n\n",
    );
    for (domain, shares) in ARMS {
        let n = domain.n_clients() * shares[0];
        let _ = writeln!(text, "### {}, N = {n}\n", domain.name());
        let mut table = Table::new(&[
            "law",
            "sd of a client's error",
            "Var",
            "J",
            "J / Var",
            "W tanh(W/4) / J",
            "W / J",
            "L1",
        ]);
        for law in Law::ALL {
            for at in SHOWN {
                let of = |metric| values(results, domain, law, n, metric, at);
                let (variance, jeffrey) = (of("variance"), of("jeffrey"));
                table.row(&[
                    law.name().to_string(),
                    at.to_string(),
                    mean_and_range(&variance),
                    mean_and_range(&jeffrey),
                    mean_and_range(&ratio(&jeffrey, &variance)),
                    mean_and_range(&ratio(&of("sharp"), &jeffrey)),
                    mean_and_range(&ratio(&of("w"), &jeffrey)),
                    mean_and_range(&of("l1")),
                ]);
            }
        }
        text += &table.finish();
    }
    text += &verdict(results);
    text += "![J, its bounds, and the variance of the summed errors](bounds.svg)\n\n\
             ![J over that variance](bounds-ratio.svg)\n";
    let (domain, shares) = ARMS[1];
    let n = domain.n_clients() * shares[0];
    let panels: Vec<Panel> = Law::ALL
        .iter()
        .map(|&law| {
            let line = |label: &str, metric: &str| {
                let placed = results.curve(domain.name(), law.name(), n, metric).into_iter();
                Series::line(label, &placed.collect::<Vec<_>>())
            };
            Panel {
                title: format!("{}, {} and N = {n}", law.name(), domain.name()),
                x_label: "standard deviation of a client's error".into(),
                y_label: "nats".into(),
                log_x: true,
                log_y: true,
                series: vec![
                    line("W", "w"),
                    line("W tanh(W/4)", "sharp"),
                    line("J", "jeffrey"),
                    line("Var of the summed errors", "variance"),
                ],
                ..Panel::default()
            }
        })
        .collect();
    let mut ratios = Vec::new();
    for (domain, shares) in ARMS {
        for share in [shares[0], shares[2]] {
            let n = domain.n_clients() * share;
            let series = Law::ALL.iter().map(|&law| {
                let points: Vec<(f64, Vec<f64>)> = DEVIATIONS
                    .iter()
                    .filter_map(|&at| {
                        let of = |metric| values(results, domain, law, n, metric, at);
                        let x = Summary::of(&of("variance"))?.mean;
                        Some((x, ratio(&of("jeffrey"), &of("variance"))))
                    })
                    .collect();
                Series::line(law.name(), &points)
            });
            ratios.push(Panel {
                title: format!("{}, N = {n}", domain.name()),
                x_label: "Var of the summed errors".into(),
                y_label: "J / Var".into(),
                log_x: true,
                log_y: true,
                series: series.collect(),
                ..Panel::default()
            });
        }
    }
    Ok(Page {
        markdown: text,
        pictures: vec![
            ("bounds.svg".into(), draw("Divergence of exact aggregates, and what bounds it", &panels, 3)?),
            (
                "bounds-ratio.svg".into(),
                draw("Divergence over the variance of the summed errors", &ratios, 2)?,
            ),
        ],
    })
}

/// What holds over all cells.
fn verdict(results: &Results) -> String {
    let mut text = String::new();
    let of_law = |law: Law| {
        let numbers = ARMS.into_iter().flat_map(|(domain, shares)| {
            shares.map(|share| points(results, domain, law, domain.n_clients() * share))
        });
        numbers.flatten().collect::<Vec<Point>>()
    };
    let all: Vec<Point> = Law::ALL.into_iter().flat_map(of_law).collect();
    let broken = all.iter().filter(|p| p.jeffrey > p.sharp + ROUNDING || p.sharp > p.w + ROUNDING).count();
    let _ = match broken {
        0 => writeln!(text, "In all {} sets of clients J ≤ W tanh(W/4) ≤ W.\n", all.len()),
        n => writeln!(text, "**{n} of {} sets of clients have J above a bound: a bug.**\n", all.len()),
    };
    let mut table = Table::new(&[
        "law",
        &format!("J / Var, Var ≤ {SMALL}"),
        "J / Var beyond",
        "W tanh(W/4) / J",
        "W / J",
    ]);
    for law in Law::ALL {
        let points = of_law(law);
        let small = |p: &&Point| p.variance <= SMALL;
        table.row(&[
            law.name().to_string(),
            range(points.iter().filter(small).map(|p| p.jeffrey / p.variance)),
            range(points.iter().filter(|p| !small(p)).map(|p| p.jeffrey / p.variance)),
            range(points.iter().map(|p| p.sharp / p.jeffrey)),
            range(points.iter().map(|p| p.w / p.jeffrey)),
        ]);
    }
    let _ = write!(
        text,
        "Over both problems, all N, all sizes of errors and all seeds, from the smallest to the largest:\n\n{}",
        table.finish()
    );
    for (domain, shares) in ARMS {
        let growth = |law: Law| {
            let mean = |share: usize| {
                let of = values(results, domain, law, domain.n_clients() * share, "jeffrey", SHOWN[0]);
                Summary::of(&of).map_or(f64::NAN, |s| s.mean)
            };
            format!("{} ({})", number(mean(shares[2]) / mean(shares[0])), law.name())
        };
        let _ = writeln!(
            text,
            "- {}: {} times as many clients with errors of sd {} have a J larger by the factors {}.",
            domain.name(),
            shares[2] / shares[0],
            SHOWN[0],
            Law::ALL.map(growth).join(", ")
        );
    }
    text + "\n"
}
