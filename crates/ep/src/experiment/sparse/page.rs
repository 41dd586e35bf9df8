//! The page of `sparse`: final L1 and modes by method and R₀, what works, and how long it takes.

use std::fmt::Write as _;

use gfn_core::Result;

use super::{
    BATCH, CHECKPOINTS, EXPONENTS, HIDDEN, Hypergrid, METHODS, Method, REPLAYED, SIZES, STEPS, size_name,
};
use crate::experiment::page::{Summary, Table, number};
use crate::experiment::plot::{Panel, Series, draw};
use crate::experiment::{Options, Page, Results};

/// A method works where no seed ends with a larger L1.
const WORKS: f64 = 0.2;
/// R₀ whose curves are drawn, by its exponent: the published failure of trajectory balance.
const DRAWN: i32 = -4;

pub(super) fn page(options: &Options, results: &Results) -> Result<Page> {
    let quick = usize::from(options.quick);
    let (sizes, exponents, steps) = (SIZES[quick], EXPONENTS[quick], STEPS[quick]);
    let grid = |(dimensions, side), exponent| Hypergrid { dimensions, side, exponent }.name();
    let values = |size, exponent, method: &Method, metric: &str| {
        results.values(&grid(size, exponent), method.name, 1, metric)
    };
    let trajectories = steps * BATCH as u64;
    let mut text = format!(
        "R(x) = R₀ + ½ · [corner] + 2 · [mode] (Bengio et al. 2021), with 2^D modes; R₀ = 1e-1 to 1e-5 is all that leads from \
         one to the other. Each policy (two hidden layers of {HIDDEN}) is trained for {steps} steps of {BATCH} walks, \
         {trajectories} trajectories, with 5 % uniformly drawn actions; with replay, {} % of the walks go backward from the \
         best 500 cells seen so far. Learning rate .01 with cosine decay for every loss, .1 for log Z, which starts at what \
         the first batch suggests. A mode is *found* if the policy gives it at least half of its probability; that and \
         L1 (0 to 2) are exact.\n\n",
        (100.0 * REPLAYED).round()
    );
    for &size in sizes {
        let _ = writeln!(
            text,
            "### {}: {} cells, {} modes\n\nMean L1, and in brackets the mean number of modes found:\n",
            size_name(size),
            size.1.pow(size.0 as u32),
            1 << size.0
        );
        let mut titles = vec!["R₀".to_string()];
        titles.extend(exponents.iter().map(|e| format!("1e{e}")));
        titles.push("seconds".into());
        let mut table = Table::new(&titles);
        for method in &METHODS {
            let mut row = vec![method.name.to_string()];
            row.extend(exponents.iter().map(|&exponent| {
                let mean = |metric| Summary::of(&values(size, exponent, method, metric)).map(|s| s.mean);
                match (mean("l1"), mean("found")) {
                    (Some(l1), Some(found)) => format!("{} ({})", number(l1), number(found)),
                    _ => "–".into(),
                }
            }));
            let seconds: Vec<f64> =
                exponents.iter().flat_map(|&e| values(size, e, method, "seconds")).collect();
            row.push(Summary::of(&seconds).map_or("–".into(), |s| number(s.mean)));
            table.row(&row);
        }
        text += &table.finish();
    }
    text += &verdicts(sizes, exponents, &values);
    text += &replay(sizes, exponents, &values);
    text += &how_long(results, sizes, exponents);
    text += "\nPublished: trajectory balance fails on grids larger than 8 × 8 at R₀ = 1e-4.\n\n\
             ![L1 by R₀](sparse-l1.svg)\n\n![Modes found against trajectories](sparse-modes.svg)\n";
    let by_reward = sizes.iter().map(|&size| {
        let series = METHODS.iter().map(|method| {
            let points: Vec<(f64, Vec<f64>)> =
                exponents.iter().map(|&e| (10f64.powi(e), values(size, e, method, "l1"))).collect();
            Series::line(method.name, &points)
        });
        panel(size_name(size), "R₀", "L1", true, series.collect())
    });
    let curves = sizes.iter().map(|&size| {
        let series = METHODS.iter().map(|method| {
            let curve = results.curve(&grid(size, DRAWN), method.name, 1, "found");
            let points: Vec<(f64, Vec<f64>)> =
                curve.into_iter().map(|(steps, found)| (steps * BATCH as f64, found)).collect();
            Series::line(method.name, &points)
        });
        panel(size_name(size), "trajectories", "modes found", false, series.collect())
    });
    let l1_title = "Exact L1 by R₀ (mean and range over seeds)";
    let modes_title = format!("Modes found at R₀ = 1e{DRAWN} (mean and range over seeds)");
    Ok(Page {
        markdown: text,
        pictures: vec![
            ("sparse-l1.svg".into(), draw(l1_title, &by_reward.collect::<Vec<_>>(), 2)?),
            ("sparse-modes.svg".into(), draw(&modes_title, &curves.collect::<Vec<_>>(), 2)?),
        ],
    })
}

fn panel(title: String, x_label: &str, y_label: &str, log_y: bool, series: Vec<Series>) -> Panel {
    Panel {
        title,
        x_label: x_label.into(),
        y_label: y_label.into(),
        log_x: true,
        log_y,
        series,
        ..Panel::default()
    }
}

type Values<'a> = dyn Fn((usize, usize), i32, &Method, &str) -> Vec<f64> + 'a;

/// Whether no seed of a method ends with a large L1.
fn works(values: &Values, size: (usize, usize), exponent: i32, method: &Method) -> bool {
    Summary::of(&values(size, exponent, method, "l1")).is_some_and(|s| s.high <= WORKS)
}

/// Which methods work where.
fn verdicts(sizes: &[(usize, usize)], exponents: &[i32], values: &Values) -> String {
    let text = format!(
        "A method *works* where no seed ends with an L1 above {WORKS}. The smallest R₀ down to which it does:\n\n"
    );
    let mut titles = vec!["".to_string()];
    titles.extend(sizes.iter().map(|&size| size_name(size)));
    let mut table = Table::new(&titles);
    for method in &METHODS {
        let mut row = vec![method.name.to_string()];
        row.extend(sizes.iter().map(|&size| {
            let worked = exponents.iter().take_while(|&&e| works(values, size, e, method));
            worked.last().map_or("none".into(), |e| format!("1e{e}"))
        }));
        table.row(&row);
    }
    text + &table.finish()
}

/// What replay changes.
fn replay(sizes: &[(usize, usize)], exponents: &[i32], values: &Values) -> String {
    let mut text = String::new();
    for pair in METHODS.chunks(2) {
        let [without, with] = pair else { continue };
        let (mut better, mut worse, mut cases, mut logs) = (0, 0, 0, 0.0);
        for &size in sizes {
            for &exponent in exponents {
                let summary = |method| Summary::of(&values(size, exponent, method, "l1"));
                let (Some(a), Some(b)) = (summary(without), summary(with)) else { continue };
                cases += 1;
                better += usize::from(b.high < a.low);
                worse += usize::from(b.low > a.high);
                logs += (b.mean / a.mean).ln();
            }
        }
        let _ = writeln!(
            text,
            "- **Replay with {}**: {} times the L1 in the geometric mean over {cases} hypergrids; beyond the range of seeds \
             better on {better} and worse on {worse}.",
            without.name,
            number((logs / f64::from(cases)).exp()),
        );
    }
    text
}

/// Trajectories and seconds until all modes are found.
fn how_long(results: &Results, sizes: &[(usize, usize)], exponents: &[i32]) -> String {
    let exponent = exponents.iter().copied().find(|&e| e == DRAWN).unwrap_or(exponents[0]);
    let mut text = format!(
        "\nTrajectories (and seconds) after which every seed has found all modes at R₀ = 1e{exponent}, at the first of \
         {CHECKPOINTS} measurements, each after twice the steps of the one before:\n\n"
    );
    let mut titles = vec!["".to_string()];
    titles.extend(sizes.iter().map(|&size| size_name(size)));
    let mut table = Table::new(&titles);
    for method in &METHODS {
        let mut row = vec![method.name.to_string()];
        for &(dimensions, side) in sizes {
            let name = Hypergrid { dimensions, side, exponent }.name();
            let found = results.curve(&name, method.name, 1, "found");
            let all = f64::from(1 << dimensions);
            let first = found.iter().position(|(_, found)| found.iter().all(|&f| f == all));
            let seconds = results.curve(&name, method.name, 1, "seconds");
            row.push(
                first
                    .and_then(|i| Some((found[i].0, Summary::of(&seconds.get(i)?.1)?.mean)))
                    .map_or("not".into(), |(steps, seconds)| {
                        format!("{} ({} s)", steps * BATCH as f64, number(seconds))
                    }),
            );
        }
        table.row(&row);
    }
    text += &table.finish();
    text
}
