//! Local scores of all parent sets of all nodes: the input of the exact engine.

use gfn_core::{Error, Place, Result};
use rayon::prelude::*;

use crate::dag::Dag;
use crate::knowledge::Constraints;
use crate::score::{LocalScore, spread, squeeze};

/// Most nodes of the exact engine. At 20 nodes a table holds 84 MB, its evaluation takes 0.2 GB more.
pub const MAX_EXACT_NODES: usize = 20;

/// The local scores of all 2^(d−1) parent sets of each of d nodes (natural logs), d ≤ [`MAX_EXACT_NODES`].
///
/// −∞ stands for a parent set that is not allowed. Scores may hold the log prior of the parent sets. The table of the
/// product of several sites is the sum of theirs, see [`LocalScoreTable::add`]; the prior is counted once if one of
/// them holds it.
#[derive(Debug, Clone, PartialEq)]
pub struct LocalScoreTable {
    /// By node, then by [`squeeze`]d parent set.
    scores: Vec<Vec<f64>>,
}

impl LocalScoreTable {
    /// All local scores of a score. Refuses more than [`MAX_EXACT_NODES`] nodes, and scores that are NaN or +∞.
    pub fn from_score(score: &dyn LocalScore) -> Result<Self> {
        check_size(score.n_nodes())?;
        Self::checked(score.all_scores())
    }

    /// The table of `score(node, parents)`, which is called once for every parent set of every node.
    ///
    /// Refuses more than [`MAX_EXACT_NODES`] nodes, and scores that are NaN or +∞.
    pub fn from_fn(n_nodes: usize, score: impl Fn(usize, u64) -> f64 + Sync) -> Result<Self> {
        let d = check_size(n_nodes)?;
        let of_node = |node| (0..1u64 << (d - 1)).map(|index| score(node, spread(index, node))).collect();
        Self::checked((0..d).into_par_iter().map(of_node).collect())
    }

    fn checked(scores: Vec<Vec<f64>>) -> Result<Self> {
        for (node, own) in scores.iter().enumerate() {
            if let Some(index) = own.iter().position(|score| score.is_nan() || *score == f64::INFINITY) {
                return Err(Error::input(
                    Place::item(format!("local score of node {node}")),
                    "a number, or −∞ for parents that are not allowed",
                    format!("{} with the parents {:#b}", own[index], spread(index as u64, node)),
                    "look at the data and the settings of the score",
                ));
            }
        }
        Ok(LocalScoreTable { scores })
    }

    /// Number of nodes, d.
    pub fn n_nodes(&self) -> usize {
        self.scores.len()
    }

    /// The local score of `node` with the parents in the bits of `parents`, of which `node` is none (natural log).
    pub fn local_score(&self, node: usize, parents: u64) -> f64 {
        self.scores[node][squeeze(parents, node) as usize]
    }

    /// The local scores of `node` by [`squeeze`]d parent set (natural logs).
    pub fn of_node(&self, node: usize) -> &[f64] {
        &self.scores[node]
    }

    /// The score of a graph over the same nodes: the sum of its local scores (natural log).
    pub fn score(&self, dag: &Dag) -> f64 {
        let parent_sets = dag.parent_sets().iter().enumerate();
        parent_sets.map(|(node, &parents)| self.local_score(node, parents)).sum()
    }

    /// Adds the scores of another table over the same nodes: the product of two sites, or of a likelihood and a prior.
    pub fn add(&mut self, other: &LocalScoreTable) -> Result<()> {
        self.check_same_nodes(other.n_nodes())?;
        let rows = self.scores.par_iter_mut().zip(&other.scores);
        rows.for_each(|(own, other)| own.iter_mut().zip(other).for_each(|(own, other)| *own += other));
        Ok(())
    }

    /// Gives −∞ to parent sets that the constraints, over the same nodes, do not allow.
    pub fn restrict(&mut self, constraints: &Constraints) -> Result<()> {
        self.check_same_nodes(constraints.n_nodes())?;
        self.scores.par_iter_mut().enumerate().for_each(|(node, own)| {
            for (index, score) in own.iter_mut().enumerate() {
                if !constraints.allows(node, spread(index as u64, node)) {
                    *score = f64::NEG_INFINITY;
                }
            }
        });
        Ok(())
    }

    fn check_same_nodes(&self, found: usize) -> Result<()> {
        if found != self.n_nodes() {
            return Err(Error::usage(
                "table of local scores",
                format!("one over {} nodes", self.n_nodes()),
                format!("one over {found}"),
                "score the same variables everywhere",
            ));
        }
        Ok(())
    }
}

/// The number of nodes, if the exact engine can do with it.
fn check_size(n_nodes: usize) -> Result<usize> {
    if !(1..=MAX_EXACT_NODES).contains(&n_nodes) {
        return Err(Error::usage(
            "exact engine",
            format!("1 to {MAX_EXACT_NODES} variables"),
            n_nodes.to_string(),
            "leave out --exact, or choose fewer variables",
        ));
    }
    Ok(n_nodes)
}
