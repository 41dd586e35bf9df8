//! The BGe score: marginal likelihood of linear-Gaussian networks under a normal-Wishart prior.

use std::f64::consts::PI;

use gfn_core::{Error, Result};
use nalgebra::DVector;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use statrs::function::gamma::ln_gamma;

use super::gaussian_statistics::GaussianStatistics;
use super::log_determinants::{FamilyDeterminant, LogDeterminants};
use super::{LocalScore, by_parents};
use crate::data::Table;

/// The prior mean ν of the variables.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PriorMean {
    /// ν = 0, for data that are centred.
    #[default]
    Zero,
    /// ν is the mean of the data, as in bnlearn: the means of a site then say nothing about its graph.
    Mean,
    /// ν as given, one number per column.
    Given(Vec<f64>),
}

/// Hyperparameters of the BGe score (docs/mathematics.md §5).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct BgeSettings {
    /// α_μ > 0, the weight of the prior mean in rows. 1 as in BiDAG and bnlearn.
    pub alpha_mu: f64,
    /// α_w > d − 1, the degrees of freedom of the Wishart prior; `None` is d + 2 (Kuipers et al. 2014).
    pub alpha_w: Option<f64>,
    /// ν, the prior mean.
    pub prior_mean: PriorMean,
    /// t > 0 of the prior matrix T = t·I; `None` is α_μ (α_w − d − 1) / (α_μ + 1), for which α_w > d + 1.
    pub t: Option<f64>,
}

impl Default for BgeSettings {
    fn default() -> Self {
        BgeSettings { alpha_mu: 1.0, alpha_w: None, prior_mean: PriorMean::Zero, t: None }
    }
}

/// BGe local scores of a table (Geiger & Heckerman 2002, Ann. Statist. 30, with the correction of Kuipers, Moffa &
/// Heckerman 2014, Ann. Statist. 42), for T = t·I.
///
/// With N rows, p parents P of node i and a = α_w − d:
///
/// local(i, P) = ½ log(α_μ / (N + α_μ)) − (N/2) log π + lnΓ((N + a + p + 1)/2) − lnΓ((a + p + 1)/2)
///   + ½ (a + 2p + 1) log t + ½ (N + a + p) log|R_PP| − ½ (N + a + p + 1) log|R_{P∪i}|,
///
/// R = B + c δδᵀ, B = T + S, S the scatter around the mean x̄, c = N α_μ / (N + α_μ), δ = x̄ − ν.
///
/// Determinants are taken as log|B| + log1p(c δᵀB⁻¹δ), since adding c δδᵀ to B loses digits where means are large.
/// The two last terms are G(P) − G(P∪i) with G(F) = ½ (N + a + |F|) log|R_FF|: all local scores follow from one
/// number per set of nodes.
#[derive(Debug, Clone)]
pub struct Bge {
    /// N + α_w − d.
    posterior_degrees: f64,
    /// What does not depend on the data but through N, by number of parents.
    constants: Vec<f64>,
    /// Of R.
    determinants: LogDeterminants,
}

impl Bge {
    /// The scores of a table, node `i` being column `i`; refuses what [`Bge::from_statistics`] refuses.
    pub fn new(table: &Table, settings: &BgeSettings) -> Result<Self> {
        Self::from_statistics(&GaussianStatistics::of(table)?, settings)
    }

    /// The scores of the rows that the statistics describe, node `i` being column `i`. The prior mean
    /// [`PriorMean::Mean`] is the mean of all these rows.
    ///
    /// Refuses hyperparameters outside their range, numbers too large to be squared, and columns that the others
    /// determine beyond the precision of doubles.
    pub fn from_statistics(statistics: &GaussianStatistics, settings: &BgeSettings) -> Result<Self> {
        let (d, n) = (statistics.n_columns(), statistics.n_rows() as f64);
        let Hyperparameters { alpha_mu, alpha_w, t } = settings.resolve(d)?;
        let mut matrix = statistics.scatter().clone();
        matrix.iter_mut().step_by(d + 1).for_each(|diagonal| *diagonal += t);
        let difference = match &settings.prior_mean {
            PriorMean::Zero => DVector::from_fn(d, |j, _| statistics.mean_less(j, 0.0)),
            PriorMean::Mean => DVector::zeros(d),
            PriorMean::Given(values) => {
                if values.len() != d || values.iter().any(|value| !value.is_finite()) {
                    return Err(refuse("prior_mean", format!("{d} finite numbers"), format!("{values:?}")));
                }
                DVector::from_fn(d, |j, _| statistics.mean_less(j, values[j]))
            }
        };
        let shift = difference * (n * alpha_mu / (n + alpha_mu)).sqrt();
        let advice = "leave out one of them, or change their units so that t counts";
        let determinants = LogDeterminants::new(statistics.names(), matrix, shift, advice)?;
        let a = alpha_w - d as f64;
        let constants = (0..d).map(|p| {
            let p = p as f64;
            0.5 * (alpha_mu / (n + alpha_mu)).ln() - 0.5 * n * PI.ln() + ln_gamma(0.5 * (n + a + p + 1.0))
                - ln_gamma(0.5 * (a + p + 1.0))
                + 0.5 * (a + 2.0 * p + 1.0) * t.ln()
        });
        Ok(Bge { posterior_degrees: n + a, constants: constants.collect(), determinants })
    }

    /// G of all sets of nodes.
    fn of_all_sets(&self) -> Vec<f64> {
        let mut sets = self.determinants.of_all_sets();
        for (set, value) in sets.iter_mut().enumerate() {
            *value *= 0.5 * (self.posterior_degrees + set.count_ones() as f64);
        }
        sets
    }

    fn differences(&self, of_sets: &[f64], node: usize) -> Vec<f64> {
        by_parents(self.n_nodes(), node, |parents, family| {
            self.constants[parents.count_ones() as usize] + of_sets[parents] - of_sets[family]
        })
    }
}

impl LocalScore for Bge {
    fn n_nodes(&self) -> usize {
        self.constants.len()
    }

    fn local_score(&self, node: usize, parents: u64) -> f64 {
        let p = parents.count_ones() as usize;
        let FamilyDeterminant { log_last_pivot, log_determinant } = self.determinants.family(node, parents);
        let degrees = self.posterior_degrees + p as f64;
        self.constants[p] - 0.5 * degrees * log_last_pivot - 0.5 * log_determinant
    }

    fn all_local_scores(&self, node: usize) -> Vec<f64> {
        self.differences(&self.of_all_sets(), node)
    }

    fn all_scores(&self) -> Vec<Vec<f64>> {
        let of_sets = self.of_all_sets();
        (0..self.n_nodes()).into_par_iter().map(|node| self.differences(&of_sets, node)).collect()
    }
}

/// Hyperparameters with the defaults filled in.
struct Hyperparameters {
    alpha_mu: f64,
    alpha_w: f64,
    t: f64,
}

impl BgeSettings {
    /// Fills in the defaults for d variables and checks the ranges in which the prior is proper.
    fn resolve(&self, d: usize) -> Result<Hyperparameters> {
        let (alpha_mu, d) = (self.alpha_mu, d as f64);
        let alpha_w = self.alpha_w.unwrap_or(d + 2.0);
        if !(alpha_mu.is_finite() && alpha_mu > 0.0) {
            return Err(refuse("alpha_mu", "a positive number".into(), alpha_mu.to_string()));
        }
        let (least, why) = match self.t {
            Some(_) => (d - 1.0, "variables − 1"),
            None => (d + 1.0, "variables + 1, as t is left to its default"),
        };
        if !(alpha_w.is_finite() && alpha_w > least) {
            return Err(refuse("alpha_w", format!("more than {least}, {why}"), alpha_w.to_string()));
        }
        let t = self.t.unwrap_or(alpha_mu * (alpha_w - d - 1.0) / (alpha_mu + 1.0));
        if !(t.is_finite() && t > 0.0) {
            return Err(refuse("t", "a positive number".into(), t.to_string()));
        }
        Ok(Hyperparameters { alpha_mu, alpha_w, t })
    }
}

fn refuse(setting: &str, expected: String, found: String) -> Error {
    Error::usage(setting, expected, found, "correct the setting")
}
