//! Rewards on graphs: decomposable scores with a cache of local scores, and their products.

use std::sync::{Arc, PoisonError, RwLock};

use gfn_core::reward::LogReward;
use gfn_core::{Error, Result};
use rustc_hash::FxHashMap;

use crate::dag::Dag;
use crate::data::Table;
use crate::environment::DagEnvironment;
use crate::score::{Bge, BgeSettings, LocalScore};

/// Most local scores in a cache; what comes later is computed anew each time. Some 100 MB.
const MAX_CACHED: usize = 1 << 22;

/// log R(G) = log p(D | G) = Σ_i local(i, parents of i), under a uniform prior over graphs, whose constant is left
/// out (natural log). Local scores are cached per node and parent set.
///
/// The product of the rewards of several sites is one again, see [`DagReward::product`]: the posterior of *one graph
/// with separate parameters at every site*, which is not the posterior of the pooled data (docs/mathematics.md §5).
///
/// A clone shares the cache.
#[derive(Clone)]
pub struct DagReward {
    scores: Vec<Arc<dyn LocalScore>>,
    /// By node: the sum of the local scores of all sites, by parent set.
    cache: Arc<[RwLock<FxHashMap<u64, f64>>]>,
}

impl DagReward {
    /// The reward of a score whose nodes are those of the environment, in its order.
    pub fn new(env: &DagEnvironment, score: Arc<dyn LocalScore>) -> Result<Self> {
        Self::product_of(env, vec![score])
    }

    /// The BGe score of a table. Columns are matched by name to the variables of the environment.
    pub fn bge(env: &DagEnvironment, table: &Table, settings: &BgeSettings) -> Result<Self> {
        let table = table.in_order_of(env.names())?;
        Self::new(env, Arc::new(Bge::new(&table, settings)?))
    }

    /// Π_n R_n, the target of aggregation: log-rewards add up. Without rewards, it is constant.
    pub fn product<'a>(
        env: &DagEnvironment,
        rewards: impl IntoIterator<Item = &'a DagReward>,
    ) -> Result<Self> {
        Self::product_of(env, rewards.into_iter().flat_map(|reward| reward.scores.iter().cloned()).collect())
    }

    fn product_of(env: &DagEnvironment, scores: Vec<Arc<dyn LocalScore>>) -> Result<Self> {
        if let Some(score) = scores.iter().find(|score| score.n_nodes() != env.n_nodes()) {
            return Err(Error::usage(
                "score",
                format!("one over the {} nodes of the environment", env.n_nodes()),
                format!("one over {}", score.n_nodes()),
                "score the same variables everywhere",
            ));
        }
        Ok(DagReward { scores, cache: (0..env.n_nodes()).map(|_| RwLock::default()).collect() })
    }

    /// The sum over all sites of the local score of `node` with the parents in the bits of `parents` (natural log).
    pub fn local_score(&self, node: usize, parents: u64) -> f64 {
        // A value is written whole or not at all, so a cache that another thread's panic poisoned is still right.
        let cache = &self.cache[node];
        if let Some(&known) = cache.read().unwrap_or_else(PoisonError::into_inner).get(&parents) {
            return known;
        }
        let sum = self.scores.iter().map(|score| score.local_score(node, parents)).sum();
        let mut cache = cache.write().unwrap_or_else(PoisonError::into_inner);
        if cache.len() < MAX_CACHED / self.cache.len() {
            cache.insert(parents, sum);
        }
        sum
    }
}

impl LogReward<DagEnvironment> for DagReward {
    fn log_reward(&self, _env: &DagEnvironment, dag: &Dag) -> f64 {
        dag.parent_sets().iter().enumerate().map(|(node, &parents)| self.local_score(node, parents)).sum()
    }
}
