//! The BGe score: marginal likelihood of linear-Gaussian networks under a normal-Wishart prior.

use std::f64::consts::PI;

use gfn_core::{Error, Place, Result};
use nalgebra::{Cholesky, DMatrix, DVector, Dyn};
use serde::{Deserialize, Serialize};
use statrs::function::gamma::ln_gamma;

use super::LocalScore;
use crate::dag::members;
use crate::data::Table;

/// The least share of a column's scatter that the other columns may leave unexplained: below, the rounding of doubles
/// (1e-16) would show in the sixth digit of the log-determinants.
const LEAST_UNEXPLAINED: f64 = 1e-10;

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
/// Rows of P come before i, so that one Cholesky factor holds both determinants; their difference is the log of the
/// last pivot, taken without cancellation.
#[derive(Debug, Clone)]
pub struct Bge {
    /// N + α_w − d.
    posterior_degrees: f64,
    /// What does not depend on the data but through N, by number of parents.
    constants: Vec<f64>,
    /// B = T + S.
    scatter: DMatrix<f64>,
    /// √c · δ.
    shift: DVector<f64>,
}

impl Bge {
    /// The scores of a table, node `i` being column `i`.
    ///
    /// Refuses hyperparameters outside their range, numbers too large to be squared, and columns that the others
    /// determine beyond the precision of doubles.
    pub fn new(table: &Table, settings: &BgeSettings) -> Result<Self> {
        let (d, n) = (table.n_columns(), table.n_rows() as f64);
        let Hyperparameters { alpha_mu, alpha_w, t } = settings.resolve(d)?;
        let (mean, mut scatter) = means_and_scatter(table);
        scatter.iter_mut().step_by(d + 1).for_each(|diagonal| *diagonal += t);
        let difference = match &settings.prior_mean {
            PriorMean::Zero => DVector::from_fn(d, |j, _| mean[j].minus(0.0)),
            PriorMean::Mean => DVector::zeros(d),
            PriorMean::Given(values) => {
                if values.len() != d || values.iter().any(|value| !value.is_finite()) {
                    return Err(refuse("prior_mean", format!("{d} finite numbers"), format!("{values:?}")));
                }
                DVector::from_fn(d, |j, _| mean[j].minus(values[j]))
            }
        };
        let shift = difference * (n * alpha_mu / (n + alpha_mu)).sqrt();
        check_precision(table, &scatter, &shift)?;
        let a = alpha_w - d as f64;
        let constants = (0..d).map(|p| {
            let p = p as f64;
            0.5 * (alpha_mu / (n + alpha_mu)).ln() - 0.5 * n * PI.ln() + ln_gamma(0.5 * (n + a + p + 1.0))
                - ln_gamma(0.5 * (a + p + 1.0))
                + 0.5 * (a + 2.0 * p + 1.0) * t.ln()
        });
        Ok(Bge { posterior_degrees: n + a, constants: constants.collect(), scatter, shift })
    }
}

impl LocalScore for Bge {
    fn n_nodes(&self) -> usize {
        self.constants.len()
    }

    fn local_score(&self, node: usize, parents: u64) -> f64 {
        debug_assert!(parents >> node & 1 == 0, "node {node} is its own parent");
        let family: Vec<usize> = members(parents).chain([node]).collect();
        let p = family.len() - 1;
        let factor = factor(&self.scatter, &family).expect("checked at construction");
        // L⁻¹ √c δ: the squares of its first k entries sum up to c δᵀB⁻¹δ of the first k of the family.
        let shift = DVector::from_fn(p + 1, |i, _| self.shift[family[i]]);
        let whitened = factor.solve_lower_triangular(&shift).expect("positive pivots");
        let of_parents = whitened.rows(0, p).norm_squared();
        let of_family = whitened.norm_squared();
        let log_last_pivot = 2.0 * factor[(p, p)].ln() + of_family.ln_1p() - of_parents.ln_1p();
        let log_determinant = 2.0 * (0..=p).map(|i| factor[(i, i)].ln()).sum::<f64>() + of_family.ln_1p();
        let degrees = self.posterior_degrees + p as f64;
        self.constants[p] - 0.5 * degrees * log_last_pivot - 0.5 * log_determinant
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

/// A column mean as the sum of its rounded value and what rounding took away.
struct Mean {
    rounded: f64,
    rest: f64,
}

impl Mean {
    /// The mean less `value`: exact to the last digits of the difference where the two are close.
    fn minus(&self, value: f64) -> f64 {
        (self.rounded - value) + self.rest
    }
}

/// The column means, and the scatter matrix around them by the corrected two-pass algorithm (Chan, Golub & LeVeque
/// 1983): the rounding of a first mean is itself averaged away.
fn means_and_scatter(table: &Table) -> (Vec<Mean>, DMatrix<f64>) {
    let (d, n) = (table.n_columns(), table.n_rows() as f64);
    let means: Vec<Mean> = (table.columns().iter())
        .map(|column| {
            let rounded = column.iter().map(|x| x / n).sum::<f64>();
            Mean { rounded, rest: column.iter().map(|x| (x - rounded) / n).sum() }
        })
        .collect();
    let centred: Vec<Vec<f64>> = (table.columns().iter().zip(&means))
        .map(|(column, mean)| column.iter().map(|x| (x - mean.rounded) - mean.rest).collect())
        .collect();
    let product = |i: usize, j: usize| centred[i].iter().zip(&centred[j]).map(|(x, y)| x * y).sum();
    (means, DMatrix::from_fn(d, d, |i, j| product(i.min(j), i.max(j))))
}

/// The Cholesky factor of the rows and columns `family`, in this order.
fn factor(scatter: &DMatrix<f64>, family: &[usize]) -> Option<DMatrix<f64>> {
    let size = family.len();
    let part = DMatrix::from_fn(size, size, |i, j| scatter[(family[i], family[j])]);
    Cholesky::<f64, Dyn>::new(part).map(Cholesky::unpack)
}

/// Refuses what overflows, and columns that are linear functions of the others up to rounding.
///
/// 1/(B⁻¹)_ii is what remains of B_ii after regression on all other columns, the smallest pivot that any family of i
/// meets: where it is large enough for every i, every family can be factored.
fn check_precision(table: &Table, scatter: &DMatrix<f64>, shift: &DVector<f64>) -> Result<()> {
    let column = |i: usize| Place::item(format!("column {:?}", table.names()[i]));
    for i in 0..table.n_columns() {
        if !(scatter[(i, i)].is_finite() && shift[i].is_finite()) {
            return Err(Error::input(
                column(i),
                "numbers whose squares can be summed",
                "an overflow",
                "change the unit of the column",
            ));
        }
    }
    // Scaled to a diagonal of ones, the precision of the factor is the same whatever the units of the columns.
    let scale = |i: usize| scatter[(i, i)].sqrt();
    let correlation = DMatrix::from_fn(table.n_columns(), table.n_columns(), |i, j| {
        scatter[(i, j)] / (scale(i) * scale(j))
    });
    let inverse = Cholesky::<f64, Dyn>::new(correlation).map(|factor| factor.inverse());
    let unexplained = |i: usize| inverse.as_ref().map_or(0.0, |inverse| 1.0 / inverse[(i, i)]);
    let worst = (0..table.n_columns()).min_by(|&i, &j| unexplained(i).total_cmp(&unexplained(j)));
    match worst {
        Some(i) if unexplained(i).is_nan() || unexplained(i) < LEAST_UNEXPLAINED => Err(Error::input(
            column(i),
            "a column that the others do not determine",
            "a linear function of other columns, up to rounding",
            "leave out one of them, or change their units so that t counts",
        )),
        _ => Ok(()),
    }
}
