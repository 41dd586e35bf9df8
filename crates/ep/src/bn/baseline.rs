//! What every report is compared with: a structure Markov chain and hill climbing on the same target.

use gfn_bn::chain::{ChainSamples, ChainSettings, hill_climb, sample_structures};
use gfn_bn::{Dag, DagDomain, DagReward};
use gfn_core::Result;
use gfn_core::domain::Domain;
use gfn_core::policy::Policy;
use serde::Serialize;

use crate::bn::estimates::Estimates;
use crate::samples::residual_deviation;

/// Graphs that the chains keep.
const GRAPHS: usize = 16_000;
/// Moves of each chain at least: fractions of a second, and chains over few graphs mix slowly, too.
const MOVES: u64 = 200_000;
/// Graphs that independent trajectories start from: fewer where trajectories are long and actions many.
const INDEPENDENT_GRAPHS: (usize, usize) = (100, 1000);
/// What their number times that of states and actions of each should be.
const WALK_ACTIONS: usize = 4_000_000;
/// Restarts of hill climbing.
const RESTARTS: usize = 10;

/// What the chains and the climber found.
pub struct Found {
    chains: ChainSamples,
    climbed: (Dag, f64),
    settings: ChainSettings,
}

/// The part of the report about the baselines.
#[derive(Debug, Clone, Serialize)]
pub struct Baseline {
    /// Independent Markov chains over graphs (add, delete, reverse an edge).
    pub chains: usize,
    /// Moves of each chain that count, after its burn-in.
    pub moves: u64,
    /// Share of the moves that changed the graph.
    pub acceptance: f64,
    /// Largest difference between two chains in the probability of an edge: where it is large they have not mixed, and
    /// are no reference.
    pub disagreement: f64,
    /// Largest |learned − chains| over the probabilities of directed edges.
    pub largest_difference: f64,
    /// The edge where it is.
    pub at: [String; 2],
    /// The same for reweighted probabilities.
    pub largest_difference_reweighted: f64,
    /// The best graph that any chain met.
    pub best_graph: String,
    /// Its log R.
    pub best_log_score: f64,
    /// The graph that hill climbing ends in: a local optimum, without a probability.
    pub hill_climbing_graph: String,
    /// Its log R.
    pub hill_climbing_log_score: f64,
}

impl Found {
    /// Runs the chains and the climber on a reward of this domain.
    pub fn new(domain: &DagDomain, reward: &DagReward, seed: u64) -> Self {
        let env = domain.environment();
        let score = |node: usize, parents: u64| reward.local_score(node, parents);
        let mut settings = ChainSettings::for_graphs(GRAPHS, env.n_nodes(), seed);
        let more = MOVES.div_ceil(settings.moves);
        settings.moves *= more;
        settings.keep_every *= more;
        settings.burn_in *= more.min(4);
        Found {
            chains: sample_structures(&score, env.constraints(), &settings),
            climbed: hill_climb(&score, env.constraints(), RESTARTS, seed),
            settings,
        }
    }

    /// P(u → v) at `u · d + v`, from the chains.
    pub fn edges(&self) -> &[f64] {
        &self.chains.edges
    }

    /// Standard deviation of log R − log p over graphs that the chains visited.
    pub fn independent_deviation(
        &self,
        domain: &DagDomain,
        policy: &dyn Policy,
        reward: &DagReward,
        seed: u64,
    ) -> Result<f64> {
        let graphs = &self.chains.graphs;
        let edges: usize = graphs.iter().map(|graph| graph.n_edges() + 1).sum();
        let d = domain.environment().n_nodes();
        // Of one walk: its states times their actions.
        let cost = (edges / graphs.len().max(1)).max(1) * d * d;
        let n = (WALK_ACTIONS / cost).clamp(INDEPENDENT_GRAPHS.0, INDEPENDENT_GRAPHS.1);
        let every = graphs.len().div_ceil(n).max(1);
        let some: Vec<Dag> = graphs.iter().step_by(every).cloned().collect();
        residual_deviation(domain.environment().as_ref(), policy, reward, &some, seed)
    }

    /// Next to what was learned.
    pub fn compare(&self, names: &[String], raw: &Estimates, reweighted: &Estimates) -> Baseline {
        let d = names.len();
        let difference = |of: &Estimates, k: usize| (of.features.edges[k] - self.chains.edges[k]).abs();
        let largest = |of: &Estimates| {
            let all = (0..d * d).map(|k| (difference(of, k), k));
            all.fold((0.0, 0), |best, next| if next.0 > best.0 { next } else { best })
        };
        let (largest_difference, at) = largest(raw);
        Baseline {
            chains: self.settings.chains,
            moves: self.settings.moves,
            acceptance: self.chains.acceptance,
            disagreement: self.chains.disagreement(),
            largest_difference,
            at: [names[at / d].clone(), names[at % d].clone()],
            largest_difference_reweighted: largest(reweighted).0,
            best_graph: self.chains.best.to_string(),
            best_log_score: self.chains.best_log_score,
            hill_climbing_graph: self.climbed.0.to_string(),
            hill_climbing_log_score: self.climbed.1,
        }
    }
}
