//! log p(D | tree) + s · log p(tree): partial likelihoods shared between trees, totals remembered.

use std::sync::{Arc, Mutex, MutexGuard};

use gfn_core::reward::LogReward;
use gfn_core::{Error, Place, Result};
use rustc_hash::FxHashMap;

use crate::environment::{Forest, MergeForest, Subtree};
use crate::likelihood::{Likelihood, Partial, Transition};
use crate::model::SubstitutionModel;
use crate::{Alignment, SitePatterns, log_number_of_topologies};

/// Bytes of partial likelihoods kept per reward (two generations of half of it).
const PARTIAL_BYTES: usize = 96 << 20;
/// Trees whose log-likelihood is remembered (two generations of half of it, 32 bytes each).
const TREES: usize = 2_000_000;

/// The log prior of trees: uniform over topologies, and independent branch-length bins.
///
/// log p(x) = −log (2n − 5)!! + Σ_edges log p(bin).
#[derive(Debug, Clone)]
pub struct TreePrior {
    log_topologies: f64,
}

impl TreePrior {
    /// The prior over the trees of an environment.
    pub fn new(env: &MergeForest) -> Self {
        let n = env.taxa().len();
        TreePrior { log_topologies: log_number_of_topologies(n) }
    }
}

impl LogReward<MergeForest> for TreePrior {
    fn log_reward(&self, env: &MergeForest, object: &Forest) -> f64 {
        let branches = env.branches();
        let mut total = -self.log_topologies;
        if branches.n_bins() == 0 {
            return total;
        }
        total += object.outgroup_bin.map_or(0.0, |bin| branches.log_prior(bin));
        let mut stack: Vec<&Subtree> = object.trees.iter().map(AsRef::as_ref).collect();
        while let Some(tree) = stack.pop() {
            if let Some(children) = &tree.children {
                total += branches.log_prior(children.bins.0) + branches.log_prior(children.bins.1);
                stack.extend([children.left.as_ref(), children.right.as_ref()]);
            }
        }
        total
    }
}

/// The unnormalised log-posterior of trees given an alignment over the environment's taxa.
pub struct TreeReward {
    likelihood: Likelihood,
    /// One per branch-length bin (one where lengths are fixed).
    transitions: Vec<Transition>,
    leaves: Vec<Arc<Partial>>,
    outgroup: Arc<Partial>,
    prior: TreePrior,
    prior_share: f64,
    cache: Mutex<Cache>,
}

struct Cache {
    partials: Generations<u128, Arc<Partial>>,
    totals: Generations<(u128, Option<u8>), f64>,
}

impl Cache {
    fn new(partial_bytes: usize, trees: usize) -> Self {
        Cache { partials: Generations::new(partial_bytes), totals: Generations::new(trees) }
    }
}

/// A map that forgets: when the young half is full it becomes the old one, and the old one is dropped.
struct Generations<K, V> {
    young: FxHashMap<K, V>,
    old: FxHashMap<K, V>,
    /// Of the young half.
    cost: usize,
    /// Of both halves.
    limit: usize,
}

impl<K: std::hash::Hash + Eq + Copy, V: Clone> Generations<K, V> {
    fn new(limit: usize) -> Self {
        Generations { young: FxHashMap::default(), old: FxHashMap::default(), cost: 0, limit }
    }

    fn get(&self, key: K) -> Option<V> {
        self.young.get(&key).or_else(|| self.old.get(&key)).cloned()
    }

    fn insert(&mut self, key: K, value: V, cost: usize) {
        if self.cost + cost > self.limit / 2 {
            self.old = std::mem::take(&mut self.young);
            self.cost = 0;
        }
        self.cost += cost;
        self.young.insert(key, value);
    }
}

impl TreeReward {
    /// The reward of an alignment that has exactly the environment's taxa, in any order.
    pub fn new(
        env: &MergeForest,
        alignment: &Alignment,
        model: &SubstitutionModel,
        prior_share: f64,
    ) -> Result<Self> {
        let rows: FxHashMap<&str, usize> =
            alignment.taxa.iter().enumerate().map(|(row, name)| (name.as_str(), row)).collect();
        let missing = env.taxa().iter().find(|name| !rows.contains_key(name.as_str()));
        let extra = alignment.taxa.iter().find(|name| !env.taxa().contains(name));
        if let Some(name) = missing.or(extra) {
            let (expected, found) = if missing.is_some() {
                (format!("the taxon {name} of the plan"), "none of that name")
            } else {
                ("only taxa of the plan".to_string(), name.as_str())
            };
            return Err(Error::input(
                Place::item("alignment"),
                expected,
                found,
                "give every party the same taxa under the same names",
            ));
        }
        let order: Vec<usize> = env.taxa().iter().map(|name| rows[name.as_str()]).collect();
        let alignment = alignment.select_taxa(&order);
        let likelihood = Likelihood::new(model, &SitePatterns::new(&alignment))?;
        let leaf = |taxon: usize| likelihood.leaf(taxon);
        Ok(TreeReward {
            transitions: env.branches().lengths().iter().map(|&l| likelihood.transition(l)).collect(),
            leaves: env.ingroup().iter().map(|&taxon| leaf(taxon)).collect(),
            outgroup: leaf(env.outgroup()),
            prior: TreePrior::new(env),
            prior_share,
            likelihood,
            cache: Mutex::new(Cache::new(PARTIAL_BYTES, TREES)),
        })
    }

    /// The likelihood it is made of.
    pub fn likelihood(&self) -> &Likelihood {
        &self.likelihood
    }

    /// Distinct site patterns of the alignment.
    pub fn n_patterns(&self) -> usize {
        self.likelihood.n_patterns()
    }

    /// log p(D | tree), natural log.
    pub fn log_likelihood(&self, object: &Forest) -> f64 {
        let Some(root) = object.root() else { return f64::NEG_INFINITY };
        let key = (root.hash, object.outgroup_bin);
        if let Some(total) = self.cache().totals.get(key) {
            return total;
        }
        let partial = self.partial(root);
        let transition = &self.transitions[object.outgroup_bin.unwrap_or(0) as usize];
        let total = self.likelihood.edge_log_likelihood(&partial, &self.outgroup, transition);
        self.cache().totals.insert(key, total, 1);
        total
    }

    /// Held for look-ups only: threads may compute the same partial twice, but do not wait for each other.
    fn cache(&self) -> MutexGuard<'_, Cache> {
        self.cache.lock().expect("no panic while the cache is held")
    }

    fn partial(&self, tree: &Subtree) -> Arc<Partial> {
        let Some(children) = &tree.children else {
            return Arc::clone(&self.leaves[tree.smallest_leaf as usize]);
        };
        if let Some(partial) = self.cache().partials.get(tree.hash) {
            return partial;
        }
        let (left, right) = (self.partial(&children.left), self.partial(&children.right));
        let transition = |bin: u8| &self.transitions[bin as usize];
        let merged = Arc::new(self.likelihood.merge(
            &left,
            transition(children.bins.0),
            &right,
            transition(children.bins.1),
        ));
        self.cache().partials.insert(tree.hash, Arc::clone(&merged), merged.bytes() + 64);
        merged
    }
}

impl LogReward<MergeForest> for TreeReward {
    fn log_reward(&self, env: &MergeForest, object: &Forest) -> f64 {
        self.log_likelihood(object) + self.prior_share * self.prior.log_reward(env, object)
    }
}

#[cfg(test)]
mod tests {
    use gfn_core::exact::StateGraph;

    use super::*;
    use crate::BranchLengths;

    #[test]
    fn generations_keep_at_least_half_and_at_most_all() {
        let mut map = Generations::new(10);
        for key in 0..100 {
            map.insert(key, -key, 1);
            let kept = (0..100).filter(|&key| map.get(key).is_some()).count() as i32;
            assert!(kept >= 5.min(key + 1) && kept <= 10, "{kept} after {key}");
            assert_eq!(map.get(key), Some(-key));
        }
        map.insert(100, 0, 1000);
        assert_eq!((map.get(100), map.get(99), map.get(90)), (Some(0), Some(-99), None));
    }

    #[test]
    fn values_are_right_however_little_is_remembered() {
        let taxa: Vec<String> = "abcdef".chars().map(String::from).collect();
        let env = MergeForest::new(taxa.clone(), 2, BranchLengths::fixed(0.1).unwrap()).unwrap();
        let rows = (1..=6u32).map(|row| (0..40).map(|site| b"ACGT"[(site * row % 7 % 4) as usize]).collect());
        let alignment = Alignment::new(taxa, rows.collect()).unwrap();
        let reward = |partial_bytes, trees| {
            let mut reward = TreeReward::new(&env, &alignment, &SubstitutionModel::jc69(), 0.0).unwrap();
            reward.cache = Mutex::new(Cache::new(partial_bytes, trees));
            reward
        };
        let graph = StateGraph::enumerate(&env, 10_000).unwrap();
        let expected = graph.log_rewards(&env, &reward(PARTIAL_BYTES, TREES));
        for (partial_bytes, trees) in [(0, 0), (1 << 14, 7), (1 << 20, 40)] {
            let reward = reward(partial_bytes, trees);
            for _ in 0..3 {
                for (object, expected) in graph.objects().zip(&expected) {
                    assert_eq!(reward.log_likelihood(object), *expected);
                }
            }
            let cache = reward.cache.lock().unwrap();
            let n_kept = cache.totals.young.len() + cache.totals.old.len();
            assert!(n_kept <= trees.max(2), "{n_kept} totals");
        }
    }
}
