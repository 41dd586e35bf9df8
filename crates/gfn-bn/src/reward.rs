//! Rewards on graphs: decomposable scores and the prior, with a cache of local scores, and their products.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use gfn_core::reward::LogReward;
use gfn_core::{Error, Result};
use rustc_hash::FxHashMap;

use crate::dag::Dag;
use crate::data::Table;
use crate::environment::DagEnvironment;
use crate::prior::DagPrior;
use crate::score::{Bge, BgeSettings, LocalScore, squeeze};

/// Most local scores in a hashed cache; what comes later is computed anew each time. Some 100 MB.
const MAX_HASHED: usize = 1 << 22;
/// Most nodes for which every local score has a place of its own: 12 · 2^11 numbers.
const MAX_DENSE_NODES: usize = 12;
/// The bits of a number that no score is: nothing known yet.
const UNKNOWN: u64 = u64::MAX;

/// log R(G) = Σ_n log p(D_n | G) + share · log p(G), a sum over nodes of terms of their parent sets (natural log, up to
/// the prior's constant). The terms are cached by node and parent set: a graph that differs by one edge from one seen
/// before costs d look-ups and one score at most.
///
/// With several scores it is the posterior of *one graph with separate parameters at every site*, which is not the
/// posterior of the pooled data (docs/mathematics.md §5).
///
/// A clone shares the cache.
#[derive(Clone)]
pub struct DagReward {
    scores: Vec<Arc<dyn LocalScore>>,
    prior: Option<(Arc<DagPrior>, f64)>,
    cache: Arc<Cache>,
}

/// Local terms that are known.
enum Cache {
    /// By node, then by squeezed parent set: the bits of the number, or [`UNKNOWN`].
    Dense(Vec<Vec<AtomicU64>>),
    /// By node.
    Hashed(Vec<RwLock<FxHashMap<u64, f64>>>),
}

impl DagReward {
    /// The sum of scores whose nodes are those of the environment, in its order: of one site, or of several for their
    /// product. Without scores and prior it is constant.
    pub fn new(env: &DagEnvironment, scores: Vec<Arc<dyn LocalScore>>) -> Result<Self> {
        let d = env.n_nodes();
        if let Some(score) = scores.iter().find(|score| score.n_nodes() != d) {
            return Err(Error::usage(
                "score",
                format!("one over the {d} nodes of the environment"),
                format!("one over {}", score.n_nodes()),
                "score the same variables everywhere",
            ));
        }
        Ok(DagReward { scores, prior: None, cache: Arc::new(Cache::new(d)) })
    }

    /// The BGe score of a table under a uniform prior. Columns are matched by name to the variables of the environment.
    pub fn bge(env: &DagEnvironment, table: &Table, settings: &BgeSettings) -> Result<Self> {
        let table = table.in_order_of(env.names())?;
        Self::new(env, vec![Arc::new(Bge::new(&table, settings)?)])
    }

    /// The same scores with `share` · log p(G), in place of a prior that was there, and a cache of its own.
    pub fn with_prior(self, prior: Arc<DagPrior>, share: f64) -> Self {
        let cache = Arc::new(Cache::new(self.cache.n_nodes()));
        DagReward { scores: self.scores, prior: (share != 0.0).then_some((prior, share)), cache }
    }

    /// Π_n R_n, the target of aggregation: scores add up. The priors in them do not: see [`DagReward::with_prior`].
    pub fn product<'a>(
        env: &DagEnvironment,
        rewards: impl IntoIterator<Item = &'a DagReward>,
    ) -> Result<Self> {
        Self::new(env, rewards.into_iter().flat_map(|reward| reward.scores.iter().cloned()).collect())
    }

    /// The term of `node` with the parents in the bits of `parents` (natural log).
    pub fn local_score(&self, node: usize, parents: u64) -> f64 {
        match &*self.cache {
            Cache::Dense(known) => {
                // Every thread would write the same bits, so no order between them is needed.
                let place = &known[node][squeeze(parents, node) as usize];
                let bits = place.load(Ordering::Relaxed);
                if bits != UNKNOWN {
                    return f64::from_bits(bits);
                }
                let term = self.compute(node, parents);
                place.store(term.to_bits(), Ordering::Relaxed);
                term
            }
            Cache::Hashed(known) => {
                // A value is written whole or not at all: a cache that another thread's panic poisoned is still right.
                let known = &known[node];
                if let Some(&term) = known.read().unwrap_or_else(PoisonError::into_inner).get(&parents) {
                    return term;
                }
                let term = self.compute(node, parents);
                let n_nodes = self.cache.n_nodes();
                let mut known = known.write().unwrap_or_else(PoisonError::into_inner);
                if known.len() < MAX_HASHED / n_nodes {
                    known.insert(parents, term);
                }
                term
            }
        }
    }

    fn compute(&self, node: usize, parents: u64) -> f64 {
        let scores: f64 = self.scores.iter().map(|score| score.local_score(node, parents)).sum();
        scores + self.prior.as_ref().map_or(0.0, |(prior, share)| share * prior.local(node, parents))
    }
}

impl Cache {
    fn new(n_nodes: usize) -> Self {
        if n_nodes <= MAX_DENSE_NODES {
            let places = || (0..1usize << (n_nodes - 1)).map(|_| AtomicU64::new(UNKNOWN)).collect();
            Cache::Dense((0..n_nodes).map(|_| places()).collect())
        } else {
            Cache::Hashed((0..n_nodes).map(|_| RwLock::default()).collect())
        }
    }

    fn n_nodes(&self) -> usize {
        match self {
            Cache::Dense(known) => known.len(),
            Cache::Hashed(known) => known.len(),
        }
    }
}

impl LogReward<DagEnvironment> for DagReward {
    fn log_reward(&self, _env: &DagEnvironment, dag: &Dag) -> f64 {
        dag.parent_sets().iter().enumerate().map(|(node, &parents)| self.local_score(node, parents)).sum()
    }
}
