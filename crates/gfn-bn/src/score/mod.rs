//! Decomposable scores: log p(data | graph) as a sum of local scores, one per node and parent set.

mod bge;
mod bic;
mod configurations;
mod dirichlet;
mod gaussian_statistics;
mod log_determinants;
mod row_counts;
mod settings;

pub use bge::{Bge, BgeSettings, PriorMean};
pub use bic::{DiscreteBic, GaussianBic};
pub use dirichlet::{Dirichlet, DirichletPrior};
pub use gaussian_statistics::GaussianStatistics;
pub use row_counts::RowCounts;
pub use settings::{ScoreSettings, Statistics};

use rayon::prelude::*;

use crate::dag::Dag;

/// A score that decomposes over the nodes of a graph: log p(D | G) = Σ_i local(i, parents of i).
///
/// Adding or removing an edge u → v then changes one local score, that of v.
pub trait LocalScore: Send + Sync {
    /// Number of nodes, d.
    fn n_nodes(&self) -> usize;

    /// The local score of `node` with the parents in the bits of `parents` (natural log, finite). `node` is not
    /// one of its parents.
    fn local_score(&self, node: usize, parents: u64) -> f64;

    /// The local scores of `node` with all 2^(d−1) parent sets, by [`squeeze`]d parent set: for exact computation, where
    /// scores can often be had together at less cost.
    fn all_local_scores(&self, node: usize) -> Vec<f64> {
        let sets = 0..1u64 << (self.n_nodes() - 1);
        sets.map(|index| self.local_score(node, spread(index, node))).collect()
    }

    /// [`all_local_scores`](Self::all_local_scores) of every node: d 2^(d−1) numbers, 84 MB for d = 20. Scores of this
    /// crate are differences of a function of sets of nodes, which is then computed once for all nodes.
    fn all_scores(&self) -> Vec<Vec<f64>> {
        (0..self.n_nodes()).into_par_iter().map(|node| self.all_local_scores(node)).collect()
    }

    /// log p(D | G), the sum of the local scores of a graph over d nodes (natural log).
    fn score(&self, dag: &Dag) -> f64 {
        dag.parent_sets().iter().enumerate().map(|(node, &parents)| self.local_score(node, parents)).sum()
    }
}

/// A set of nodes without `node` as a number below 2^(d−1): the bits above that of `node` move down by one.
pub fn squeeze(set: u64, node: usize) -> u64 {
    let below = (1u64 << node) - 1;
    set & below | (set >> 1) & !below
}

/// The set that [`squeeze`] made this number of.
pub fn spread(index: u64, node: usize) -> u64 {
    let below = (1u64 << node) - 1;
    index & below | (index & !below) << 1
}

/// `score(parents, parents with node)` of all parent sets of `node` among d nodes, by [`squeeze`]d parent set.
fn by_parents(d: usize, node: usize, score: impl Fn(usize, usize) -> f64) -> Vec<f64> {
    let sets = (0..1u64 << (d - 1)).map(|index| spread(index, node) as usize);
    sets.map(|parents| score(parents, parents | 1 << node)).collect()
}
