//! The page of `heterogeneity`: L1 by shards and number of clients, rank correlations, and what a check would miss.

use std::fmt::Write as _;

use gfn_core::Result;

use super::deal::{DEVIATION, GENES, SIDE, SITES, TAXA, TEMPER};
use super::signs::{
    DEPTH, OWN_L1, PATHS, SPREAD_OWN, SPREAD_TEMPERED, SPREAD_UNIFORM, UNDER_OWN, UNDER_PRODUCT,
    rank_correlation,
};
use super::{BATCH, CLIENTS, HIDDEN, KINDS, SHARDS, STEPS};
use crate::experiment::page::{Summary, Table, mean_and_range, number};
use crate::experiment::plot::{Panel, Series, draw};
use crate::experiment::{Options, Page, Results};

/// An aggregate with a larger L1 has failed.
const FAILED: f64 = 0.2;

/// A number, and who can know it.
const SIGNS: [(&str, &str); 9] = [
    (UNDER_PRODUCT, "the truth"),
    (UNDER_OWN, "the truth"),
    (OWN_L1, "the truth"),
    (SPREAD_OWN, "clients' files"),
    (SPREAD_TEMPERED, "clients' files"),
    (SPREAD_UNIFORM, "clients' files"),
    (PATHS, "the server"),
    (DEPTH, "the server"),
    (N_CLIENTS, "everybody"),
];
const N_CLIENTS: &str = "number of clients";

/// A sign and the L1, of all cells of a kind.
struct Pairs {
    sign: Vec<f64>,
    l1: Vec<f64>,
}

fn pairs(results: &Results, kind: &str, sign: &str) -> Pairs {
    let mut pairs = Pairs { sign: Vec::new(), l1: Vec::new() };
    for cell in results.cells().filter(|cell| cell.domain.starts_with(kind)) {
        let value = if sign == N_CLIENTS { Some(cell.clients as f64) } else { results.value(cell, sign) };
        if let (Some(value), Some(l1)) = (value, results.value(cell, "l1")) {
            pairs.sign.push(value);
            pairs.l1.push(l1);
        }
    }
    pairs
}

impl Pairs {
    /// The smallest sign of a failed aggregate, and the share of the others that lie above it: what a check at this
    /// threshold, which would have missed none, refuses without need.
    fn threshold(&self) -> Option<(f64, f64)> {
        let cells = || self.sign.iter().zip(&self.l1);
        let lowest = cells().filter(|(_, l1)| **l1 > FAILED).map(|(sign, _)| *sign).reduce(f64::min)?;
        let good = cells().filter(|(_, l1)| **l1 <= FAILED).count();
        let refused = cells().filter(|(sign, l1)| **l1 <= FAILED && **sign >= lowest).count();
        (good > 0).then(|| (lowest, refused as f64 / good as f64))
    }
}

pub(super) fn page(options: &Options, results: &Results) -> Result<Page> {
    let quick = usize::from(options.quick);
    let mut numbers = CLIENTS[quick].to_vec();
    numbers.sort_unstable();
    let mut text = format!(
        "The product is fixed; only how it is dealt changes. **Grid**: {SIDE} × {SIDE} cells, the product a normal law of \
         deviation {DEVIATION} around the middle, for every N and whatever the clients are: client n has deviation {DEVIATION} √N, and its centre \
         lies so many of these deviations away, evenly on a circle (0: all are alike; 4: the product lies where each client has \
         nearly nothing). **Trees**: {SITES} sites of {TAXA} taxa, {GENES} genes with a tree each, dealt in equal parts; each \
         client mixes genes by a Dirichlet law (100: alike; 0.001: one gene each), or has the next sites of the alignment, in which the genes lie one after the other \
         (contiguous), likelihoods to the power {TEMPER}. \
         Clients are small (two hidden layers of {HIDDEN}) and trained for {} steps of {BATCH} walks, so that there are errors to foretell. \
         The aggregate is exact: the clients' errors alone count. Exact L1 (0 to 2), mean and range over seeds:\n\n",
        STEPS[quick]
    );
    for kind in KINDS {
        let mut titles = vec![kind.to_string()];
        titles.extend(numbers.iter().map(|n| format!("N = {n}")));
        let mut table = Table::new(&titles);
        for shards in SHARDS.iter().filter(|shards| shards.kind() == kind) {
            let mut row = vec![shards.words()];
            row.extend(
                numbers
                    .iter()
                    .map(|&n| mean_and_range(&results.values(&shards.name(), "exact aggregation", n, "l1"))),
            );
            table.row(&row);
        }
        text += &table.finish();
    }
    let _ = writeln!(
        text,
        "What foretells L1? Spearman's rank correlation with it over all cells (splits, N and seeds), and what a check would do that \
         refuses from the smallest value of any failed aggregate on (L1 > {FAILED}), so that it misses none here: the share \
         of good aggregates refused. δ_n is client n's log-error; *sd* are standard deviations in natural-log units.\n"
    );
    let mut titles = vec!["number".to_string(), "known to".to_string()];
    for kind in KINDS {
        titles.extend([format!("{kind}: rank correlation"), format!("{kind}: threshold, good ones refused")]);
    }
    let mut table = Table::new(&titles);
    for (sign, known_to) in SIGNS {
        let mut row = vec![sign.to_string(), known_to.to_string()];
        for kind in KINDS {
            let pairs = pairs(results, kind, sign);
            row.push(format!("{:.2}", rank_correlation(&pairs.sign, &pairs.l1)));
            row.push(pairs.threshold().map_or("–".into(), |(threshold, refused)| {
                format!("{}, {:.0} %", number(threshold), 100.0 * refused)
            }));
        }
        table.row(&row);
    }
    text += &table.finish();
    text += &verdict(results);
    text += "\n![L1 against each number](heterogeneity.svg)\n";
    let panels: Vec<Panel> = SIGNS
        .iter()
        .filter(|(sign, _)| ![SPREAD_OWN, SPREAD_TEMPERED, N_CLIENTS].contains(sign))
        .map(|(sign, _)| Panel {
            title: (*sign).into(),
            x_label: (*sign).into(),
            y_label: "L1 of the aggregate".into(),
            log_x: *sign != DEPTH,
            log_y: true,
            series: KINDS
                .iter()
                .map(|kind| {
                    let pairs = pairs(results, kind, sign);
                    let points: Vec<(f64, Vec<f64>)> =
                        pairs.sign.into_iter().zip(pairs.l1.into_iter().map(|l1| vec![l1])).collect();
                    Series::dots(*kind, &points)
                })
                .collect(),
            ..Panel::default()
        })
        .collect();
    let title = "Exact L1 of the aggregate against what might foretell it (a dot for each cell)";
    Ok(Page { markdown: text, pictures: vec![("heterogeneity.svg".into(), draw(title, &panels, 3)?)] })
}

/// Which number is best, of all and of those that need no data.
fn verdict(results: &Results) -> String {
    let mut text = String::new();
    for kind in KINDS {
        let correlation = |sign: &str| {
            let pairs = pairs(results, kind, sign);
            rank_correlation(&pairs.sign, &pairs.l1)
        };
        let best = |known: &dyn Fn(&str) -> bool| {
            let signs = SIGNS.iter().filter(|(_, to)| known(to));
            signs.max_by(|a, b| correlation(a.0).total_cmp(&correlation(b.0))).map_or("", |(sign, _)| sign)
        };
        let (with_truth, without) = (best(&|to| to == "the truth"), best(&|to| to != "the truth"));
        let _ = writeln!(
            text,
            "- **{kind}**: with the truth at hand, *{with_truth}* foretells best ({:.2}); without it, *{without}* ({:.2}). \
             The clients' own L1 has {:.2}.",
            correlation(with_truth),
            correlation(without),
            correlation(OWN_L1)
        );
        let ratio: Vec<f64> = {
            let pairs = pairs(results, kind, UNDER_PRODUCT);
            let small = pairs.sign.iter().zip(&pairs.l1).filter(|(_, l1)| **l1 <= FAILED);
            small.map(|(sd, l1)| l1 / sd).collect()
        };
        if let Some(Summary { mean, low, high }) = Summary::of(&ratio) {
            let _ = writeln!(
                text,
                "  Where the aggregate is good, L1 is {} ({}–{}) times that deviation under the product.",
                number(mean),
                number(low),
                number(high)
            );
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thresholds_miss_no_failure_and_count_what_they_refuse() {
        let pairs = Pairs { sign: vec![1.0, 2.0, 3.0, 4.0, 0.5], l1: vec![0.1, 0.5, 0.1, 0.9, 0.1] };
        assert_eq!(pairs.threshold(), Some((2.0, 1.0 / 3.0)));
        let none = Pairs { sign: vec![1.0], l1: vec![0.1] };
        assert_eq!(none.threshold(), None);
    }
}
