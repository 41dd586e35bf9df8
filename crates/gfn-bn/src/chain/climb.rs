//! Greedy search for the graph of the largest score: the baseline of the field.

use gfn_core::random::{ChaCha8Rng, stream};
use rand::RngExt;

use super::scored::{Proposal, ScoredGraph, ordered_pairs};
use crate::dag::Dag;
use crate::knowledge::Constraints;

/// Least gain that counts as one (nats): equivalent graphs differ by rounding.
const LEAST_GAIN: f64 = 1e-9;

/// Hill climbing: the change of one edge (add, delete, reverse) that gains most, until none gains anything, from the
/// graph of the required edges; then `restarts` times again, from the best graph so far after d random changes. The
/// graph of the largest score found, and its score (natural log).
///
/// A baseline: it gives one graph, a local optimum, and says nothing about how probable that is (with restarts by
/// perturbation as in bnlearn, Scutari 2010, J. Stat. Softw. 35). `score` as in [`StructureChain`](super::StructureChain).
///
/// Panics if the score of the graph of the required edges is not finite.
pub fn hill_climb(
    score: &(dyn Fn(usize, u64) -> f64 + Sync),
    constraints: &Constraints,
    restarts: usize,
    seed: u64,
) -> (Dag, f64) {
    let mut rng = stream(seed, "hill climbing", 0);
    let pairs = ordered_pairs(constraints.n_nodes());
    let mut graph = ScoredGraph::new(score, constraints, constraints.initial().clone());
    climb(&mut graph, &pairs);
    let mut best = (graph.dag().clone(), graph.log_score());
    for _ in 0..restarts {
        graph.replace(&best.0);
        perturb(&mut graph, &pairs, &mut rng);
        climb(&mut graph, &pairs);
        if graph.log_score() > best.1 {
            best = (graph.dag().clone(), graph.log_score());
        }
    }
    best
}

/// Takes the change that gains most until there is none; of several, the first.
fn climb(graph: &mut ScoredGraph, pairs: &[(u8, u8)]) {
    loop {
        let mut best: Option<Proposal> = None;
        for &(from, to) in pairs {
            let proposal = graph.propose(from.into(), to.into());
            let least = best.map_or(LEAST_GAIN, |best| best.gain);
            best = proposal.filter(|proposal| proposal.gain > least).or(best);
        }
        let Some(best) = best else { return };
        graph.apply(&best);
    }
}

/// Tries d random changes, whatever they cost, as long as the graph stays possible.
fn perturb(graph: &mut ScoredGraph, pairs: &[(u8, u8)], rng: &mut ChaCha8Rng) {
    if pairs.is_empty() {
        return;
    }
    for _ in 0..graph.dag().n_nodes() {
        let (from, to) = pairs[rng.random_range(0..pairs.len())];
        let proposal = graph.propose(from.into(), to.into());
        if let Some(proposal) = proposal.filter(|proposal| proposal.gain > f64::NEG_INFINITY) {
            graph.apply(&proposal);
        }
    }
}
