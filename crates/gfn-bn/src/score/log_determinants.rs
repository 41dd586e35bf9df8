//! Log-determinants of the parts of a symmetric positive matrix, singly and for all sets of rows at once.

use gfn_core::{Error, Place, Result};
use nalgebra::{Cholesky, DMatrix, DVector, Dyn};
use rayon::prelude::*;

use super::gaussian_statistics::overflows;
use crate::dag::members;

/// The least share of a column's scatter that the other columns may leave unexplained: below, the rounding of doubles
/// (1e-16) would show in the sixth digit of the log-determinants.
const LEAST_UNEXPLAINED: f64 = 1e-10;

/// All sets are taken in at most 2^6 independent parts, whatever the number of threads.
const PARTS: usize = 6;

/// Log-determinants of the parts A_SS of A = B + δδᵀ for sets S of columns, B symmetric and positive, as
/// log|B_SS| + log1p(δᵀB⁻¹δ): forming A would lose digits where δ is large.
#[derive(Debug, Clone)]
pub(super) struct LogDeterminants {
    /// B, d × d.
    matrix: DMatrix<f64>,
    /// δ, d numbers.
    shift: DVector<f64>,
}

/// What one Cholesky factor says about a node and its parents.
pub(super) struct FamilyDeterminant {
    /// log|A_FF| − log|A_PP|, F the family, P the parents, taken without cancellation.
    pub log_last_pivot: f64,
    /// log|A_FF|.
    pub log_determinant: f64,
}

impl LogDeterminants {
    /// Refuses what overflows, and columns that are linear functions of the others up to rounding, with `advice`.
    ///
    /// 1/(B⁻¹)_ii is what remains of B_ii after regression on all other columns, the smallest pivot that any family of i
    /// meets: where it is large enough for every i, every family can be factored.
    pub fn new(names: &[String], matrix: DMatrix<f64>, shift: DVector<f64>, advice: &str) -> Result<Self> {
        let d = names.len();
        if let Some(i) = (0..d).find(|&i| !(matrix[(i, i)].is_finite() && shift[i].is_finite())) {
            return Err(overflows(&names[i]));
        }
        // Scaled to a diagonal of ones, the precision of the factor is the same whatever the units of the columns.
        let scale = |i: usize| matrix[(i, i)].sqrt();
        let correlation = DMatrix::from_fn(d, d, |i, j| matrix[(i, j)] / (scale(i) * scale(j)));
        let inverse = Cholesky::<f64, Dyn>::new(correlation).map(|factor| factor.inverse());
        let unexplained = |i: usize| inverse.as_ref().map_or(0.0, |inverse| 1.0 / inverse[(i, i)]);
        let worst = (0..d).min_by(|&i, &j| unexplained(i).total_cmp(&unexplained(j)));
        match worst {
            Some(i) if unexplained(i).is_nan() || unexplained(i) < LEAST_UNEXPLAINED => Err(Error::input(
                Place::item(format!("column {:?}", names[i])),
                "a column that the others do not determine",
                "a linear function of other columns, up to rounding",
                advice,
            )),
            _ => Ok(LogDeterminants { matrix, shift }),
        }
    }

    /// Number of columns, d.
    pub fn n_columns(&self) -> usize {
        self.shift.len()
    }

    /// The determinants of `node` and its `parents`. Rows of the parents come before the node, so that one Cholesky
    /// factor holds both; their difference is the log of the last pivot.
    pub fn family(&self, node: usize, parents: u64) -> FamilyDeterminant {
        debug_assert!(parents >> node & 1 == 0, "node {node} is its own parent");
        let family: Vec<usize> = members(parents).chain([node]).collect();
        let p = family.len() - 1;
        let part = DMatrix::from_fn(p + 1, p + 1, |i, j| self.matrix[(family[i], family[j])]);
        let factor = Cholesky::<f64, Dyn>::new(part).expect("checked at construction").unpack();
        // L⁻¹ δ: the squares of its first k entries sum up to δᵀB⁻¹δ of the first k of the family.
        let shift = DVector::from_fn(p + 1, |i, _| self.shift[family[i]]);
        let whitened = factor.solve_lower_triangular(&shift).expect("positive pivots");
        let of_parents = whitened.rows(0, p).norm_squared();
        let of_family = whitened.norm_squared();
        FamilyDeterminant {
            log_last_pivot: 2.0 * factor[(p, p)].ln() + of_family.ln_1p() - of_parents.ln_1p(),
            log_determinant: 2.0 * (0..=p).map(|i| factor[(i, i)].ln()).sum::<f64>() + of_family.ln_1p(),
        }
    }

    /// log|A_SS| of all 2^d sets S, by bits: depth first, each set one row of a Cholesky factor beyond a smaller one,
    /// O(2^d d²) in all.
    pub fn of_all_sets(&self) -> Vec<f64> {
        let d = self.n_columns();
        let mut all = vec![0.0; 1 << d];
        let below = d - PARTS.min(d);
        // The nodes from `below` up are the same in all sets of a part.
        all.par_chunks_mut(1 << below).enumerate().for_each(|(high, part)| {
            let mut factor = GrowingFactor::default();
            members(high as u64)
                .collect::<Vec<_>>()
                .into_iter()
                .rev()
                .for_each(|v| factor.push(self, v + below));
            part[0] = factor.log_determinant();
            self.visit(&mut factor, 0, below, part);
        });
        all
    }

    /// Fills in the sets that `set` becomes by nodes below `below`.
    fn visit(&self, factor: &mut GrowingFactor, set: usize, below: usize, part: &mut [f64]) {
        for node in 0..below {
            factor.push(self, node);
            part[set | 1 << node] = factor.log_determinant();
            self.visit(factor, set | 1 << node, node, part);
            factor.pop();
        }
    }
}

/// A Cholesky factor L of B_SS to which rows are added, and from which the last is taken away.
#[derive(Default)]
struct GrowingFactor {
    nodes: Vec<usize>,
    /// The rows of L below the diagonal, one after another: row k has k entries.
    rows: Vec<f64>,
    /// By row: 1 / L_kk.
    inverse_pivots: Vec<f64>,
    /// By row: (L⁻¹ δ)_k.
    whitened: Vec<f64>,
    /// By row: the sum of log L_jj² and of (L⁻¹ δ)_j² over j ≤ k.
    sums: Vec<(f64, f64)>,
}

impl GrowingFactor {
    fn push(&mut self, of: &LogDeterminants, node: usize) {
        let (size, start) = (self.nodes.len(), self.rows.len());
        let mut remaining = of.matrix[(node, node)];
        let mut shift = of.shift[node];
        let mut before = 0;
        for k in 0..size {
            let product: f64 =
                self.rows[before..before + k].iter().zip(&self.rows[start..]).map(|(x, y)| x * y).sum();
            before += k;
            let entry = (of.matrix[(self.nodes[k], node)] - product) * self.inverse_pivots[k];
            remaining -= entry * entry;
            shift -= entry * self.whitened[k];
            self.rows.push(entry);
        }
        let inverse = 1.0 / remaining.sqrt();
        let whitened = shift * inverse;
        let (log_squares, norm) = self.sums.last().copied().unwrap_or_default();
        self.sums.push((log_squares + remaining.ln(), norm + whitened * whitened));
        self.nodes.push(node);
        self.inverse_pivots.push(inverse);
        self.whitened.push(whitened);
    }

    fn pop(&mut self) {
        self.nodes.pop();
        self.inverse_pivots.pop();
        self.whitened.pop();
        self.sums.pop();
        self.rows.truncate(self.rows.len() - self.nodes.len());
    }

    /// log|A_SS|.
    fn log_determinant(&self) -> f64 {
        self.sums.last().map_or(0.0, |(log_squares, norm)| log_squares + norm.ln_1p())
    }
}
