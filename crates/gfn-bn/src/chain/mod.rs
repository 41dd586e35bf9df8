//! Structure Markov chains on cached local scores: proposals for training, a baseline in reports, an oracle in tests.

mod cache;
mod climb;
mod samples;
mod scored;

use gfn_core::random::ChaCha8Rng;
use rand::RngExt;

pub use climb::hill_climb;
pub use samples::{ChainSamples, ChainSettings, sample_structures};

use crate::dag::Dag;
use crate::knowledge::Constraints;
use scored::{Proposal, ScoredGraph, ordered_pairs};

/// A Metropolis–Hastings chain over DAGs with the law P(G) ∝ exp(β Σ_v score(v, parents of v)), restricted to what is
/// allowed: edges are added, deleted and reversed (Madigan & York 1995, Int. Stat. Rev. 63; Giudici & Castelo 2003,
/// Machine Learning 50).
///
/// Proposal: an ordered pair (u, v), each with probability 1 / (d (d − 1)). If u → v is there, it is deleted; if
/// v → u is there, it is reversed; else u → v is added. It is symmetric. Between a graph and another that differs in
/// one pair of nodes, exactly one ordered pair leads there and exactly one leads back: u → v is added by (u, v) and
/// deleted by (u, v), and u → v becomes v → u by (v, u), which becomes u → v by (u, v). So a move is accepted with
/// probability min(1, exp(β · gain)), without a Hastings correction. What would be cyclic or is not allowed is rejected.
///
/// Every allowed graph is reached, from wherever: all edges that are not required can be deleted one by one. That
/// takes constraints and finite scores. A score may be −∞, but then it is up to its user that graphs stay connected.
pub struct StructureChain<'a> {
    graph: ScoredGraph<'a>,
    pairs: Vec<(u8, u8)>,
    inverse_temperature: f64,
    rng: ChaCha8Rng,
    best: Dag,
    best_log_score: f64,
    moves: u64,
    accepted: u64,
}

impl<'a> StructureChain<'a> {
    /// A chain that starts at the graph of the required edges, with β = 1. `score(node, parents)` is log local score
    /// plus log prior (natural log); −∞ is impossible.
    ///
    /// Panics if the score of the start is not finite.
    pub fn new(
        score: &'a (dyn Fn(usize, u64) -> f64 + Sync),
        constraints: &'a Constraints,
        rng: ChaCha8Rng,
    ) -> Self {
        Self::starting_at(constraints.initial().clone(), score, constraints, rng)
    }

    /// A chain that starts at another graph. Panics if the graph is not allowed, or its score is not finite.
    pub fn starting_at(
        dag: Dag,
        score: &'a (dyn Fn(usize, u64) -> f64 + Sync),
        constraints: &'a Constraints,
        rng: ChaCha8Rng,
    ) -> Self {
        let graph = ScoredGraph::new(score, constraints, dag);
        StructureChain {
            pairs: ordered_pairs(graph.dag().n_nodes()),
            inverse_temperature: 1.0,
            rng,
            best: graph.dag().clone(),
            best_log_score: graph.log_score(),
            graph,
            moves: 0,
            accepted: 0,
        }
    }

    /// Sets β ≥ 0, the inverse temperature.
    pub fn set_inverse_temperature(&mut self, inverse_temperature: f64) {
        self.inverse_temperature = inverse_temperature;
    }

    /// One move; whether the graph changed.
    pub fn step(&mut self) -> bool {
        self.advance().is_some()
    }

    /// So many moves.
    pub fn run_moves(&mut self, moves: u64) {
        (0..moves).for_each(|_| {
            self.step();
        });
    }

    /// One move; the change, if it was accepted.
    #[inline]
    fn advance(&mut self) -> Option<Proposal> {
        self.moves += 1;
        if self.pairs.is_empty() {
            return None;
        }
        let (from, to) = self.pairs[self.rng.random_range(0..self.pairs.len() as u32) as usize];
        let proposal = self.graph.propose(from.into(), to.into())?;
        let accepted = proposal.gain >= 0.0
            || self.rng.random::<f64>() < (self.inverse_temperature * proposal.gain).exp();
        if !accepted {
            return None;
        }
        self.graph.apply(&proposal);
        self.accepted += 1;
        let log_score = self.graph.log_score();
        if log_score > self.best_log_score {
            self.best_log_score = log_score;
            self.best.clone_from(self.graph.dag());
        }
        Some(proposal)
    }

    /// The graph where the chain is.
    pub fn dag(&self) -> &Dag {
        self.graph.dag()
    }

    /// Its score (natural log, not multiplied by β).
    pub fn log_score(&self) -> f64 {
        self.graph.log_score()
    }

    /// The graph of the largest score so far, and its score (natural log).
    pub fn best(&self) -> (&Dag, f64) {
        (&self.best, self.best_log_score)
    }

    /// The share of moves that changed the graph.
    pub fn acceptance(&self) -> f64 {
        self.accepted as f64 / self.moves.max(1) as f64
    }
}
