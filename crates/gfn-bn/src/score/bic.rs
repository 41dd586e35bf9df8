//! BIC: the greatest log-likelihood less half the number of parameters times log n, for numbers and for categories.

use std::f64::consts::PI;

use gfn_core::{Error, Place, Result};
use nalgebra::DVector;
use rayon::prelude::*;

use super::configurations::Configurations;
use super::gaussian_statistics::GaussianStatistics;
use super::log_determinants::LogDeterminants;
use super::row_counts::RowCounts;
use super::{LocalScore, by_parents};

/// Least standard deviation of a column as a share of its mean: below, what is left of it is rounding.
const LEAST_VARIATION: f64 = 1e-13;

/// BIC of linear-Gaussian networks (Schwarz 1978, Ann. Statist. 6), in the convention "larger is better", which is −½
/// of the one with −2 log L (natural log):
///
/// local(i, P) = −(n/2) (log 2πσ̂² + 1) − ½ (p + 2) log n,
///
/// σ̂² = RSS/n of the least-squares regression of i on its p parents P with intercept; the p + 2 parameters are
/// coefficients, intercept and variance. An approximation of log p(D | G) without a prior, for users who ask for it.
#[derive(Debug, Clone)]
pub struct GaussianBic {
    /// n.
    n_rows: f64,
    /// Of the scatter S, as RSS = |S_FF| / |S_PP|, F the parents P and the node.
    determinants: LogDeterminants,
}

impl GaussianBic {
    /// The scores of the rows that the statistics describe, node `i` being column `i`.
    ///
    /// Refuses what makes a variance zero and the likelihood infinite: no more rows than columns, constant columns, and
    /// columns that the others determine beyond the precision of doubles.
    pub fn new(statistics: &GaussianStatistics) -> Result<Self> {
        let (d, n) = (statistics.n_columns(), statistics.n_rows());
        let advice = "leave out a column, or use the score bge, whose prior makes up for it";
        if n <= d as u64 {
            let expected = format!("at least {} rows for BIC, one more than columns", d + 1);
            return Err(Error::input(Place::item("table"), expected, n.to_string(), advice));
        }
        let scatter = statistics.scatter();
        let deviation = |j: usize| (scatter[(j, j)] / n as f64).sqrt();
        let constant = (0..d).find(|&j| deviation(j) <= LEAST_VARIATION * statistics.mean_less(j, 0.0).abs());
        if let Some(j) = constant {
            let column = Place::item(format!("column {:?}", statistics.names()[j]));
            return Err(Error::input(column, "a column that varies", "the same number in all rows", advice));
        }
        let shift = DVector::zeros(d);
        let determinants = LogDeterminants::new(statistics.names(), scatter.clone(), shift, advice)?;
        Ok(GaussianBic { n_rows: n as f64, determinants })
    }

    /// The score of a family with `n_parents` parents and log RSS.
    fn of_residuals(&self, n_parents: u32, log_rss: f64) -> f64 {
        let n = self.n_rows;
        let log_variance = log_rss - n.ln();
        -0.5 * n * ((2.0 * PI).ln() + log_variance + 1.0) - 0.5 * f64::from(n_parents + 2) * n.ln()
    }

    fn differences(&self, of_sets: &[f64], node: usize) -> Vec<f64> {
        by_parents(self.n_nodes(), node, |parents, family| {
            self.of_residuals(parents.count_ones(), of_sets[family] - of_sets[parents])
        })
    }
}

impl LocalScore for GaussianBic {
    fn n_nodes(&self) -> usize {
        self.determinants.n_columns()
    }

    fn local_score(&self, node: usize, parents: u64) -> f64 {
        self.of_residuals(parents.count_ones(), self.determinants.family(node, parents).log_last_pivot)
    }

    fn all_local_scores(&self, node: usize) -> Vec<f64> {
        self.differences(&self.determinants.of_all_sets(), node)
    }

    fn all_scores(&self) -> Vec<Vec<f64>> {
        let of_sets = self.determinants.of_all_sets();
        (0..self.n_nodes()).into_par_iter().map(|node| self.differences(&of_sets, node)).collect()
    }
}

/// BIC of categorical networks (Schwarz 1978), in the convention "larger is better" (natural log):
///
/// local(i, P) = Σ_jk N_ijk log(N_ijk / N_ij) − ½ (r_i − 1) q_i log n,
///
/// N_ijk the rows with level k of i and configuration j of P, r_i the levels of i, q_i the product of the levels of P,
/// seen or not.
#[derive(Debug, Clone)]
pub struct DiscreteBic {
    configurations: Configurations,
}

impl DiscreteBic {
    /// The scores of the rows, node `i` being column `i`.
    pub fn new(rows: &RowCounts) -> Self {
        DiscreteBic { configurations: Configurations::new(rows) }
    }

    /// ½ (r_i − 1) q_i log n.
    fn penalty(&self, node: usize, parents: u64) -> f64 {
        let configurations = self.configurations.log_configurations(parents).exp();
        0.5 * (self.configurations.n_levels(node) - 1.0)
            * configurations
            * (self.configurations.n_rows() as f64).ln()
    }

    /// Σ N log N of all sets of variables.
    fn of_all_sets(&self) -> Vec<f64> {
        let configurations = &self.configurations;
        configurations.of_all_sets(1, || (), |(), _, rows, sum| sum[0] = configurations.sum(rows, log_power))
    }

    fn differences(&self, of_sets: &[f64], node: usize) -> Vec<f64> {
        by_parents(self.n_nodes(), node, |parents, family| {
            of_sets[family] - of_sets[parents] - self.penalty(node, parents as u64)
        })
    }
}

impl LocalScore for DiscreteBic {
    fn n_nodes(&self) -> usize {
        self.configurations.n_columns()
    }

    fn local_score(&self, node: usize, parents: u64) -> f64 {
        let (of_parents, of_family) = self.configurations.family(node, parents);
        let of = |rows| self.configurations.sum(rows, log_power);
        of(&of_family) - of(&of_parents) - self.penalty(node, parents)
    }

    fn all_local_scores(&self, node: usize) -> Vec<f64> {
        self.differences(&self.of_all_sets(), node)
    }

    fn all_scores(&self) -> Vec<Vec<f64>> {
        let of_sets = self.of_all_sets();
        (0..self.n_nodes()).into_par_iter().map(|node| self.differences(&of_sets, node)).collect()
    }
}

/// N log N.
fn log_power(count: u64) -> f64 {
    count as f64 * (count as f64).ln()
}
