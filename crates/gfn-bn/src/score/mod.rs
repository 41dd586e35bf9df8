//! Decomposable scores: log p(data | graph) as a sum of local scores, one per node and parent set.

mod bge;

pub use bge::{Bge, BgeSettings, PriorMean};

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

    /// log p(D | G), the sum of the local scores of a graph over d nodes (natural log).
    fn score(&self, dag: &Dag) -> f64 {
        dag.parent_sets().iter().enumerate().map(|(node, &parents)| self.local_score(node, parents)).sum()
    }
}
