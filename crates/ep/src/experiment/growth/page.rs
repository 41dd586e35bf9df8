//! The page of `growth`: seconds by size, and the exponents that the largest sizes have.

use std::fmt::Write as _;

use gfn_core::Result;

use super::{SECONDS, SWEEPS, Sweep, WIDTHS};
use crate::experiment::page::{Table, mean_and_range, median, number};
use crate::experiment::plot::{Panel, Series, draw};
use crate::experiment::{Options, Page, Results};

pub(super) fn page(options: &Options, results: &Results) -> Result<Page> {
    let mut text = String::from(
        "Each size was timed on one thread with the recipes of the commands (networks without the Markov chain that they get from \
         7 variables on; the width is set where it is what grows, and where clients are): the median of blocks of steps (or of \
         evaluations) after one that is not counted, then mean and range over seeds. The exponent is the slope of \
         log seconds against log size over the larger half of the sizes. Likelihoods of trees and BGe scores are remembered \
         by the rewards, so that training asks for few of them.\n\n",
    );
    let mut overview = Table::new(&["what grows", "what is timed", "exponent", "expected", "because"]);
    let mut tables = String::new();
    for sweep in SWEEPS {
        let points = points(sweep, options, results);
        let (expected, reason) = sweep.expected();
        let measured = number(exponent(&points));
        overview.row(&[sweep.name().to_string(), sweep.what(), measured, expected.into(), reason.into()]);
        let _ = writeln!(tables, "### {}: {}\n", sweep.name(), sweep.what());
        let mut table = Table::new(&[sweep.name(), "µs"]);
        for (size, seconds) in points {
            let micro: Vec<f64> = seconds.iter().map(|s| 1e6 * s).collect();
            table.row(&[size.to_string(), mean_and_range(&micro)]);
        }
        tables += &table.finish();
    }
    text += &overview.finish();
    text += "![Seconds by size](growth.svg)\n\n";
    text += &tables;
    text += &cost_of_a_client(options, results);
    let panels = SWEEPS.map(|sweep| Panel {
        title: sweep.what(),
        x_label: sweep.name().into(),
        y_label: "seconds".into(),
        log_x: true,
        log_y: true,
        series: vec![Series::line("measured", &points(sweep, options, results))],
        ..Panel::default()
    });
    Ok(Page { markdown: text, pictures: vec![("growth.svg".into(), draw("Seconds by size", &panels, 2)?)] })
}

/// What one more client costs the server, next to a step of a client's own training.
fn cost_of_a_client(options: &Options, results: &Results) -> String {
    let of = |sweep, size: usize| {
        let all = points(sweep, options, results);
        all.iter().find(|(x, _)| *x == size as f64).map_or(f64::NAN, |(_, seconds)| median(seconds))
    };
    let sizes = Sweep::Clients.sizes(options.quick);
    let [.., fewer, most] = sizes else { return String::new() };
    let each = (of(Sweep::Clients, *most) - of(Sweep::Clients, *fewer)) / (most - fewer) as f64;
    let width = WIDTHS[usize::from(options.quick)];
    format!(
        "From {fewer} to {most} clients, each one adds {} µs to a trajectory of the server: {} times what a trajectory of a \
         client's own training takes with a network of the same width, {width}.\n\n",
        number(1e6 * each),
        number(each / of(Sweep::Width, width))
    )
}

fn points(sweep: Sweep, options: &Options, results: &Results) -> Vec<(f64, Vec<f64>)> {
    let of = |&size: &usize| {
        let cell = sweep.cell(size, 0);
        (size as f64, results.values(&cell.domain, &cell.method, cell.clients, SECONDS))
    };
    sweep.sizes(options.quick).iter().map(of).collect()
}

/// Least-squares slope of log y against log x over the larger half of the points (at least two).
fn exponent(points: &[(f64, Vec<f64>)]) -> f64 {
    let larger = &points[(points.len() / 2).min(points.len() - 2)..];
    let logs: Vec<(f64, f64)> = larger.iter().map(|(x, y)| (x.ln(), median(y).ln())).collect();
    let mean = |of: fn(&(f64, f64)) -> f64| logs.iter().map(of).sum::<f64>() / logs.len() as f64;
    let (x, y) = (mean(|l| l.0), mean(|l| l.1));
    let products: f64 = logs.iter().map(|l| (l.0 - x) * (l.1 - y)).sum();
    products / logs.iter().map(|l| (l.0 - x) * (l.0 - x)).sum::<f64>()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exponents_of_powers_are_found_among_the_larger_sizes() {
        // A constant rules the small ones.
        let points: Vec<(f64, Vec<f64>)> =
            [1.0, 2.0, 100.0, 1000.0].map(|x: f64| (x, vec![1.0 + x.powi(3)])).to_vec();
        assert!((exponent(&points) - 3.0).abs() < 1e-5, "{}", exponent(&points));
        assert!((exponent(&[(2.0, vec![3.0]), (4.0, vec![3.0])])).abs() < 1e-12);
    }
}
