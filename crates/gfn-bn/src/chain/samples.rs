//! Several chains at once: kept graphs, edge probabilities, and how far the chains agree.

use gfn_core::random::stream;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::StructureChain;
use super::scored::{Change, Proposal};
use crate::dag::Dag;
use crate::knowledge::Constraints;

/// Where the inverse temperature starts, as a share of that at the end of the burn-in: at a tenth, differences of
/// tens of nats do not hold a chain.
const FIRST_TEMPERATURE_SHARE: f64 = 0.1;

/// How long chains run and what they keep.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ChainSettings {
    /// Number of independent chains, at least 1.
    pub chains: usize,
    /// Moves of each chain after its burn-in.
    pub moves: u64,
    /// Moves of each chain before, which are not counted; β rises linearly meanwhile, from a tenth of its value.
    pub burn_in: u64,
    /// Of so many moves, the graph after the last is kept; at least 1.
    pub keep_every: u64,
    /// Seed; every chain has a stream of its own.
    pub seed: u64,
    /// β ≥ 0: graphs are drawn with P(G) ∝ exp(β · score of G).
    pub inverse_temperature: f64,
}

impl Default for ChainSettings {
    /// 16 chains of 2.5 million moves, as in our trials with 20 nodes; 40 000 graphs are kept.
    fn default() -> Self {
        ChainSettings {
            chains: 16,
            moves: 2_500_000,
            burn_in: 250_000,
            keep_every: 1000,
            seed: 0,
            inverse_temperature: 1.0,
        }
    }
}

impl ChainSettings {
    /// Settings that keep `n_graphs` graphs over `n_nodes` nodes, or up to 7 more: 8 chains, one graph of as many moves as
    /// there are pairs of nodes (200 moves with 20 nodes in our trials), and a burn-in of 500 times as many.
    pub fn for_graphs(n_graphs: usize, n_nodes: usize, seed: u64) -> Self {
        let chains = n_graphs.clamp(1, 8);
        let pairs = (n_nodes * n_nodes.saturating_sub(1) / 2).max(10) as u64;
        ChainSettings {
            chains,
            moves: pairs * n_graphs.div_ceil(chains) as u64,
            burn_in: 500 * pairs,
            keep_every: pairs,
            seed,
            inverse_temperature: 1.0,
        }
    }
}

/// What the chains found.
#[derive(Debug, Clone)]
pub struct ChainSamples {
    /// The graphs that were kept, chain after chain, equally many of each.
    pub graphs: Vec<Dag>,
    /// P(u → v) at `u · d + v`: the share of moves after the burn-in at whose end the edge was there, over all chains.
    pub edges: Vec<f64>,
    /// The same of each chain.
    pub edges_by_chain: Vec<Vec<f64>>,
    /// The graph of the largest score that any chain met, in its burn-in or later.
    pub best: Dag,
    /// Its score (natural log, not multiplied by β).
    pub best_log_score: f64,
    /// The share of moves after the burn-in that changed the graph, over all chains.
    pub acceptance: f64,
}

impl ChainSamples {
    /// The largest difference between two chains in the probability of an edge, from 0 to 1: near 1 if chains stayed
    /// in different places. 0 of a single chain, which says nothing.
    pub fn disagreement(&self) -> f64 {
        let range = |edge: usize| {
            let of_edge = || self.edges_by_chain.iter().map(|edges| edges[edge]);
            of_edge().fold(0.0, f64::max) - of_edge().fold(1.0, f64::min)
        };
        (0..self.edges.len()).map(range).fold(0.0, f64::max)
    }

    /// Standard errors of `edges` from the spread between chains; `None` of a single chain. Too small where no
    /// chain has found what it should.
    pub fn edge_errors(&self) -> Option<Vec<f64>> {
        let n = self.edges_by_chain.len();
        let error = |edge: usize| {
            let deviations = self.edges_by_chain.iter().map(|edges| edges[edge] - self.edges[edge]);
            (deviations.map(|x| x * x).sum::<f64>() / (n * (n - 1)) as f64).sqrt()
        };
        (n > 1).then(|| (0..self.edges.len()).map(error).collect())
    }
}

/// Runs independent chains in parallel; see [`StructureChain`] for `score` and the law. Results do not depend on
/// the number of threads.
///
/// Panics without chains, if `keep_every` is 0, and if the score of the graph of the required edges is not finite.
pub fn sample_structures(
    score: &(dyn Fn(usize, u64) -> f64 + Sync),
    constraints: &Constraints,
    settings: &ChainSettings,
) -> ChainSamples {
    assert!(settings.chains > 0 && settings.keep_every > 0, "settings of chains: {settings:?}");
    let chains: Vec<OneChain> = (0..settings.chains as u64)
        .into_par_iter()
        .map(|number| OneChain::run(score, constraints, settings, number))
        .collect();
    let n = chains.len() as f64;
    let n_pairs = constraints.n_nodes() * constraints.n_nodes();
    let edges = (0..n_pairs).map(|k| chains.iter().map(|chain| chain.edges[k]).sum::<f64>() / n).collect();
    let acceptance = chains.iter().map(|chain| chain.acceptance).sum::<f64>() / n;
    let (mut best, mut best_log_score) = (constraints.initial().clone(), f64::NEG_INFINITY);
    let (mut graphs, mut edges_by_chain) = (Vec::new(), Vec::new());
    for chain in chains {
        if chain.best_log_score > best_log_score {
            (best, best_log_score) = (chain.best, chain.best_log_score);
        }
        graphs.extend(chain.graphs);
        edges_by_chain.push(chain.edges);
    }
    ChainSamples { graphs, edges, edges_by_chain, best, best_log_score, acceptance }
}

/// What one chain found.
struct OneChain {
    graphs: Vec<Dag>,
    edges: Vec<f64>,
    best: Dag,
    best_log_score: f64,
    acceptance: f64,
}

impl OneChain {
    fn run(
        score: &(dyn Fn(usize, u64) -> f64 + Sync),
        constraints: &Constraints,
        settings: &ChainSettings,
        number: u64,
    ) -> Self {
        let rng = stream(settings.seed, "structure chain", number);
        let mut chain = StructureChain::new(score, constraints, rng);
        for k in 0..settings.burn_in {
            let share = k as f64 / settings.burn_in as f64;
            let warmth = FIRST_TEMPERATURE_SHARE + (1.0 - FIRST_TEMPERATURE_SHARE) * share;
            chain.set_inverse_temperature(settings.inverse_temperature * warmth);
            chain.step();
        }
        chain.set_inverse_temperature(settings.inverse_temperature);
        (chain.moves, chain.accepted) = (0, 0);
        let mut graphs = Vec::with_capacity((settings.moves / settings.keep_every) as usize);
        let mut times = EdgeTimes::new(chain.dag());
        for k in 1..=settings.moves {
            if let Some(proposal) = chain.advance() {
                times.change(&proposal, k);
            }
            if k % settings.keep_every == 0 {
                graphs.push(chain.dag().clone());
            }
        }
        OneChain {
            graphs,
            edges: times.shares(chain.dag(), settings.moves),
            best: chain.best.clone(),
            best_log_score: chain.best_log_score,
            acceptance: chain.acceptance(),
        }
    }
}

/// How long each edge was there: counted when it goes, so that moves which change nothing cost nothing.
struct EdgeTimes {
    n_nodes: usize,
    /// By edge: the move with which it came.
    since: Vec<u64>,
    /// By edge: moves at whose end it was there, up to when it last went.
    total: Vec<u64>,
}

impl EdgeTimes {
    /// Before the first move, which has the number 1.
    fn new(dag: &Dag) -> Self {
        let n_nodes = dag.n_nodes();
        EdgeTimes { n_nodes, since: vec![1; n_nodes * n_nodes], total: vec![0; n_nodes * n_nodes] }
    }

    /// Move number `k` made the change.
    fn change(&mut self, proposal: &Proposal, k: u64) {
        let edge = proposal.from * self.n_nodes + proposal.to;
        let opposite = proposal.to * self.n_nodes + proposal.from;
        match proposal.change {
            Change::Add => self.since[edge] = k,
            Change::Delete => self.total[edge] += k - self.since[edge],
            Change::Reverse => {
                self.total[opposite] += k - self.since[opposite];
                self.since[edge] = k;
            }
        }
    }

    /// The share of so many moves, at the end of which the graph was `dag`.
    fn shares(mut self, dag: &Dag, moves: u64) -> Vec<f64> {
        for (from, to) in dag.edges() {
            let edge = from * self.n_nodes + to;
            self.total[edge] += moves + 1 - self.since[edge];
        }
        self.total.iter().map(|&total| total as f64 / moves.max(1) as f64).collect()
    }
}
