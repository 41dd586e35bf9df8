//! Felsenstein's pruning algorithm over site patterns, one merge at a time.

use std::mem::MaybeUninit;
use std::sync::Arc;

use gfn_core::{Error, Place, Result};
use rustc_hash::FxHashMap;

use super::kernels::{self, Extension, LANES};
use super::partial::{Partial, SCALING_THRESHOLD};
use super::transition::{Categories, Process, Transition};
use crate::characters::ALL_STATES;
use crate::model::SubstitutionModel;
use crate::patterns::SitePatterns;

/// What two subtrees are to the loops, inner nodes or leaves: the same expression for each of the four cases, of which each has
/// a loop of its own.
macro_rules! with_children {
    (($a:ident, $b:ident), $category:ident, |$x:ident, $y:ident| $work:expr) => {
        match ($a.is_leaf(), $b.is_leaf()) {
            (false, false) => {
                let ($x, $y) = ($a.as_inner($category), $b.as_inner($category));
                $work
            }
            (true, false) => {
                let ($x, $y) = ($a.as_leaf(), $b.as_inner($category));
                $work
            }
            (false, true) => {
                let ($x, $y) = ($a.as_inner($category), $b.as_leaf());
                $work
            }
            (true, true) => {
                let ($x, $y) = ($a.as_leaf(), $b.as_leaf());
                $work
            }
        }
    };
}

/// The likelihood of trees for one alignment under one model with fixed parameters (Felsenstein, *Journal of
/// Molecular Evolution* 17, 1981).
///
/// A tree is computed from its leaves: [`leaf`](Self::leaf), then one [`merge`](Self::merge) for each internal node,
/// then [`edge_log_likelihood`](Self::edge_log_likelihood) across any one edge. All results are natural logarithms.
///
/// ```
/// use gfn_phylo::{Alignment, Likelihood, SitePatterns, SubstitutionModel};
/// let names = ["a", "b", "c"].map(String::from).to_vec();
/// let alignment = Alignment::new(names, vec![b"A".to_vec(); 3])?;
/// let likelihood = Likelihood::new(&SubstitutionModel::jc69(), &SitePatterns::new(&alignment))?;
/// let edge = likelihood.transition(0.1);
/// let ab = likelihood.merge(&likelihood.leaf(0), &edge, &likelihood.leaf(1), &edge);
/// let log_likelihood = likelihood.edge_log_likelihood(&ab, &likelihood.leaf(2), &edge);
/// // One constant site: a quarter of (q³ + 3 p³), with q and p the probabilities of no change and of one change.
/// let e = (-0.4f64 / 3.0).exp();
/// let (q, p) = (0.25 + 0.75 * e, 0.25 - 0.25 * e);
/// assert!((log_likelihood - (0.25 * (q.powi(3) + 3.0 * p.powi(3))).ln()).abs() < 1e-14);
/// # Ok::<(), gfn_core::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Likelihood {
    process: Process,
    taxa: Vec<String>,
    taxon_of: FxHashMap<String, usize>,
    leaves: Vec<Arc<Partial>>,
    /// Number of sites of each pattern, 0 in the padding.
    weights: Vec<f64>,
    /// pinv · Σ of the frequencies of the states that all taxa may have, per pattern; empty without `+I`.
    invariant: Vec<f64>,
    n_patterns: usize,
    extension: Extension,
}

impl Likelihood {
    /// Prepares the likelihood of the given patterns.
    ///
    /// Patterns in which every taxon is missing have likelihood one and are left out.
    ///
    /// # Errors
    /// A model whose empirical frequencies were not counted yet.
    pub fn new(model: &SubstitutionModel, patterns: &SitePatterns) -> Result<Likelihood> {
        let process = Process::new(model)?;
        let kept: Vec<usize> = (0..patterns.n_patterns())
            .filter(|&pattern| patterns.states.iter().any(|row| row[pattern] != ALL_STATES))
            .collect();
        let padded = kept.len().next_multiple_of(LANES);
        let leaves = patterns.states.iter().map(|row| Arc::new(leaf(row, &kept, padded))).collect();
        let mut weights: Vec<f64> = kept.iter().map(|&pattern| patterns.weights[pattern]).collect();
        weights.resize(padded, 0.0);
        let mut invariant = Vec::new();
        if process.pinv() > 0.0 {
            let frequencies = process.frequencies();
            invariant = kept
                .iter()
                .map(|&pattern| {
                    let common = patterns.common_states(pattern);
                    let sum: f64 =
                        (0..4).filter(|state| common >> state & 1 == 1).map(|s| frequencies[s]).sum();
                    process.pinv() * sum
                })
                .collect();
            invariant.resize(padded, 0.0);
        }
        let extension = Extension::detect();
        let taxa = patterns.taxa.clone();
        let taxon_of = taxa.iter().cloned().enumerate().map(|(taxon, name)| (name, taxon)).collect();
        Ok(Likelihood {
            process,
            taxa,
            taxon_of,
            leaves,
            weights,
            invariant,
            n_patterns: kept.len(),
            extension,
        })
    }

    /// Names of the taxa, in the order of the alignment.
    pub fn taxa(&self) -> &[String] {
        &self.taxa
    }

    /// Number of distinct patterns that are computed: those in which some taxon says something.
    pub fn n_patterns(&self) -> usize {
        self.n_patterns
    }

    /// Number of rate categories of variable sites.
    pub fn n_categories(&self) -> usize {
        self.process.category_rates().len()
    }

    /// The vector of a leaf, one for the states of its set and else zero: shared, not copied.
    ///
    /// # Panics
    /// If there is no such taxon.
    pub fn leaf(&self, taxon: usize) -> Arc<Partial> {
        Arc::clone(&self.leaves[taxon])
    }

    /// The transition matrices of an edge of this length (expected substitutions per site), for all categories.
    ///
    /// # Panics
    /// If the length is negative or not finite.
    pub fn transition(&self, length: f64) -> Transition {
        self.process.transition(length)
    }

    /// The vector of the node that joins two subtrees by edges `ta` and `tb`:
    /// `L_s = (Σ_t Pa_st A_t) (Σ_t Pb_st B_t)` for each state, category and pattern.
    ///
    /// One new vector, O(patterns · categories); nothing else is allocated unless values must be rescaled.
    pub fn merge(&self, a: &Partial, ta: &Transition, b: &Partial, tb: &Transition) -> Partial {
        let mut partial = Partial::default();
        self.merge_into(&mut partial, a, ta, b, tb);
        partial
    }

    /// [`merge`](Self::merge) into a vector that is no longer needed, whose memory is used again.
    pub fn merge_into(
        &self,
        target: &mut Partial,
        a: &Partial,
        ta: &Transition,
        b: &Partial,
        tb: &Transition,
    ) {
        let padded = self.weights.len();
        let n_categories = self.n_categories();
        let size = n_categories * 4 * padded;
        let Partial { values, exponents, sets, .. } = target;
        sets.clear();
        values.clear();
        values.reserve_exact(size);
        let mut lowest = f64::INFINITY;
        for category in 0..n_categories {
            let free: &mut [MaybeUninit<f64>] = values.spare_capacity_mut();
            let out = &mut free[4 * padded * category..4 * padded * (category + 1)];
            let extension = self.extension;
            let reached = with_children!((a, b), category, |x, y| match (&ta.0, &tb.0) {
                (Categories::JukesCantor(ta), Categories::JukesCantor(tb)) => {
                    kernels::merge_jukes_cantor(extension, out, x, ta[category], y, tb[category], padded)
                }
                (Categories::General(ta), Categories::General(tb)) => {
                    kernels::merge_general(extension, out, x, &ta[category], y, &tb[category], padded)
                }
                _ => panic!("transitions of two different models"),
            });
            lowest = lowest.min(reached);
        }
        // SAFETY: so many numbers there is room for, and the loops above have written all of them.
        unsafe { values.set_len(size) };
        exponents.clear();
        if !(a.exponents.is_empty() && b.exponents.is_empty()) {
            exponents.resize(n_categories * padded, 0);
            for child in [a, b] {
                exponents.iter_mut().zip(&child.exponents).for_each(|(sum, exponent)| *sum += exponent);
            }
        }
        target.padded = padded;
        if lowest < SCALING_THRESHOLD {
            target.rescale();
        }
    }

    /// The natural-log likelihood of the tree made of two subtrees joined by **one** edge:
    /// `Σ_patterns w ln( pinv Σ_{s constant} π_s + (1 - pinv)/K Σ_c Σ_s π_s A_s Σ_t P_st B_t )`.
    ///
    /// The two subtrees must hold all taxa between them, each once. An impossible pattern gives minus infinity.
    pub fn edge_log_likelihood(&self, a: &Partial, b: &Partial, t: &Transition) -> f64 {
        let padded = self.weights.len();
        let share = (1.0 - self.process.pinv()) / self.n_categories() as f64;
        if a.exponents.is_empty() && b.exponents.is_empty() {
            let mut sites =
                if self.invariant.is_empty() { vec![0.0; padded] } else { self.invariant.clone() };
            for category in 0..self.n_categories() {
                self.join(&mut sites, a, b, t, category, share);
            }
            if let Some(total) = kernels::weighted_logarithms(self.extension, &sites, &self.weights) {
                return total;
            }
            return self.sum_of_logarithms(|pattern| sites[pattern].ln());
        }
        let sites: Vec<Vec<f64>> = (0..self.n_categories())
            .map(|category| {
                let mut sites = vec![0.0; padded];
                self.join(&mut sites, a, b, t, category, share);
                sites
            })
            .collect();
        let exponent = |category: usize, pattern: usize| {
            [a, b].iter().filter_map(|p| p.exponents(category)).map(|e| e[pattern]).sum::<i32>()
        };
        self.sum_of_logarithms(|pattern| {
            let highest = (0..sites.len())
                .filter(|&category| sites[category][pattern] > 0.0)
                .map(|category| exponent(category, pattern))
                .max();
            let invariant = self.invariant.get(pattern).copied().unwrap_or(0.0);
            let Some(highest) = highest else { return invariant.ln() };
            // The invariant part carries the exponent 0: leave everything unscaled where it is not zero.
            let highest = if invariant > 0.0 { 0 } else { highest };
            let sum: f64 = (0..sites.len())
                .map(|category| {
                    sites[category][pattern] * power_of_two(exponent(category, pattern) - highest)
                })
                .sum();
            (invariant + sum).ln() + f64::from(highest) * std::f64::consts::LN_2
        })
    }

    /// Adds `share` times the site likelihoods of a category (without their exponents) to `sites`.
    fn join(&self, sites: &mut [f64], a: &Partial, b: &Partial, t: &Transition, category: usize, share: f64) {
        let padded = self.weights.len();
        with_children!((a, b), category, |x, y| match &t.0 {
            Categories::JukesCantor(pairs) => {
                let joint = pairs[category].map(|value| 0.25 * share * value);
                kernels::join_jukes_cantor(self.extension, sites, x, y, joint, padded);
            }
            Categories::General(matrices) => {
                let frequencies = self.process.frequencies();
                let matrix = &matrices[category];
                let joint = std::array::from_fn(|entry| share * frequencies[entry / 4] * matrix[entry]);
                kernels::join_general(self.extension, sites, x, y, &joint, padded);
            }
        })
    }

    fn sum_of_logarithms(&self, logarithm: impl Fn(usize) -> f64) -> f64 {
        let shown = (0..self.n_patterns).filter(|&pattern| self.weights[pattern] > 0.0);
        shown.map(|pattern| self.weights[pattern] * logarithm(pattern)).sum()
    }

    /// A vector of ones: the subtree without leaves.
    pub(super) fn no_leaves(&self) -> Partial {
        Partial::leaf(vec![ALL_STATES; self.weights.len()])
    }

    /// The index of a taxon by its exact name.
    pub(super) fn taxon(&self, name: &str) -> Result<usize> {
        self.taxon_of.get(name).copied().ok_or_else(|| {
            Error::input(
                Place::item(format!("leaf {name}")),
                "a taxon of the alignment",
                "a name that it does not have",
                "use the same names in tree and alignment",
            )
        })
    }
}

/// 2^exponent for exponents ≤ 0 or small; 0 where it underflows.
fn power_of_two(exponent: i32) -> f64 {
    if exponent < -1074 { 0.0 } else { 2f64.powi(exponent / 2) * 2f64.powi(exponent - exponent / 2) }
}

fn leaf(row: &[u8], kept: &[usize], padded: usize) -> Partial {
    let mut sets: Vec<u8> = kept.iter().map(|&pattern| row[pattern]).collect();
    sets.resize(padded, ALL_STATES);
    Partial::leaf(sets)
}
