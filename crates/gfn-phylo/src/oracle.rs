//! A plain Metropolis sampler over topologies: an independent answer to what a trained model should have learned.

use gfn_core::{Error, Result};
use rand::rngs::ChaCha8Rng;
use rand::{RngExt, SeedableRng};
use rayon::prelude::*;
use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};

use crate::bipartitions::{Bipartition, split_frequencies};
use crate::likelihood::{Likelihood, Partial, Transition};
use crate::rearrange::{Join, UnrootedTree};
use crate::tree::Topology;

/// Settings of [`sample_topologies`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct OracleSettings {
    /// Independent chains, each from its own uniformly drawn topology; at least two for a diagnosis.
    pub chains: usize,
    /// Proposals of each chain, those of the burn-in included.
    pub steps: usize,
    /// Proposals of each chain before the first sample.
    pub burn_in: usize,
    /// Proposals from one sample to the next.
    pub sample_every: usize,
    /// Length of all 2n-3 branches, expected substitutions per site; 0.1 as in da Silva et al. (2024).
    pub branch_length: f64,
    /// The chain's target is likelihood^power under a uniform prior; below one for a tempered posterior.
    pub likelihood_power: f64,
    /// Seed of all chains; chain k uses stream k of it.
    pub seed: u64,
}

impl Default for OracleSettings {
    fn default() -> Self {
        OracleSettings {
            chains: 4,
            steps: 100_000,
            burn_in: 20_000,
            sample_every: 10,
            branch_length: 0.1,
            likelihood_power: 1.0,
            seed: 0,
        }
    }
}

/// A topology that the chains sampled.
#[derive(Debug, Clone, PartialEq)]
pub struct VisitedTree {
    /// The topology.
    pub topology: Topology,
    /// Its natural-log likelihood, not raised to any power.
    pub log_likelihood: f64,
    /// Number of samples that showed it, by chain.
    pub counts: Vec<u64>,
}

/// The frequency of a bipartition among the samples.
#[derive(Debug, Clone, PartialEq)]
pub struct SplitReport {
    /// The bipartition.
    pub split: Bipartition,
    /// Its frequency in each chain.
    pub chains: Vec<f64>,
    /// The mean over chains.
    pub mean: f64,
}

/// What the chains found.
#[derive(Debug, Clone, PartialEq)]
pub struct OracleReport {
    /// All sampled topologies, the most frequent first.
    pub trees: Vec<VisitedTree>,
    /// All sampled bipartitions, the most frequent first.
    pub splits: Vec<SplitReport>,
    /// The largest difference between a chain's frequency of a bipartition and the mean over chains: small only if
    /// the chains agree. It cannot see what no chain visited.
    pub max_split_difference: f64,
    /// Share of proposals that changed the tree, by chain.
    pub acceptance: Vec<f64>,
}

impl OracleReport {
    /// The sampled topologies with their numbers of samples, as
    /// [`majority_rule_consensus`](crate::majority_rule_consensus) takes them.
    pub fn weighted_trees(&self) -> impl Iterator<Item = (&Topology, f64)> {
        self.trees.iter().map(|tree| (&tree.topology, tree.counts.iter().sum::<u64>() as f64))
    }
}

/// Samples topologies from the posterior `likelihood^power` under a uniform prior, with all branches of one length.
///
/// Metropolis et al. (1953): each proposal is, with probability one half each, a nearest-neighbour interchange or a
/// subtree pruning and regrafting. Both are symmetric, so the ratio of the targets alone decides. Only the nodes whose
/// subtree changed are computed again. Chains run in parallel; their number of threads never changes the result.
///
/// # Errors
/// Fewer than three taxa, taxa of the same name, no chains or samples, a length or power that is not ≥ 0 and finite.
pub fn sample_topologies(likelihood: &Likelihood, settings: &OracleSettings) -> Result<OracleReport> {
    let check = |setting: &str, fine: bool, expected: &str, found: String| {
        if fine { Ok(()) } else { Err(Error::usage(setting, expected, found, "correct the setting")) }
    };
    let OracleSettings { chains, steps, burn_in, sample_every, branch_length, likelihood_power, .. } =
        *settings;
    check("chains", chains > 0, "at least one", chains.to_string())?;
    check("sample_every", sample_every > 0, "at least 1", sample_every.to_string())?;
    check("steps", steps >= burn_in + sample_every, "burn-in and at least one sample", steps.to_string())?;
    let usable = |value: f64| value.is_finite() && value >= 0.0;
    check("branch_length", usable(branch_length), "a number >= 0", branch_length.to_string())?;
    check("likelihood_power", usable(likelihood_power), "a number >= 0", likelihood_power.to_string())?;
    let mut order: Vec<usize> = (0..likelihood.taxa().len()).collect();
    order.sort_by(|&a, &b| likelihood.taxa()[a].cmp(&likelihood.taxa()[b]));
    let taxa: Vec<String> = order.iter().map(|&taxon| likelihood.taxa()[taxon].clone()).collect();
    check("taxa", taxa.len() >= 3, "at least three", taxa.len().to_string())?;
    check("taxa", taxa.windows(2).all(|pair| pair[0] != pair[1]), "distinct names", "one twice".into())?;
    let taxa = taxa.into();

    let results: Vec<_> = (0..chains)
        .into_par_iter()
        .map(|chain| {
            let mut random = ChaCha8Rng::seed_from_u64(settings.seed);
            random.set_stream(chain as u64);
            let tree = UnrootedTree::random(std::sync::Arc::clone(&taxa), &mut random);
            Chain::new(likelihood, &order, tree, settings).run(&mut random)
        })
        .collect();
    report(results, settings)
}

/// Samples of one chain (topology → log-likelihood and count) and its number of accepted proposals.
type Samples = (FxHashMap<Topology, (f64, u64)>, u64);

fn report(results: Vec<Samples>, settings: &OracleSettings) -> Result<OracleReport> {
    let chains = results.len();
    let mut splits: FxHashMap<Bipartition, Vec<f64>> = FxHashMap::default();
    let mut visited: FxHashMap<Topology, VisitedTree> = FxHashMap::default();
    let mut acceptance = Vec::with_capacity(chains);
    for (chain, (samples, accepted)) in results.into_iter().enumerate() {
        acceptance.push(accepted as f64 / settings.steps as f64);
        let weighted = samples.iter().map(|(topology, (_, count))| (topology, *count as f64));
        for (split, frequency) in split_frequencies(weighted)? {
            splits.entry(split).or_insert_with(|| vec![0.0; chains])[chain] = frequency;
        }
        for (topology, (log_likelihood, count)) in samples {
            let tree = visited.entry(topology.clone()).or_insert_with(|| VisitedTree {
                topology,
                log_likelihood,
                counts: vec![0; chains],
            });
            tree.counts[chain] = count;
        }
    }
    let mut trees: Vec<VisitedTree> = visited.into_values().collect();
    trees.sort_by(|a, b| {
        let total = |tree: &VisitedTree| tree.counts.iter().sum::<u64>();
        total(b).cmp(&total(a)).then_with(|| a.topology.cmp(&b.topology))
    });
    let mut splits: Vec<SplitReport> = splits
        .into_iter()
        .map(|(split, frequencies)| {
            let mean = frequencies.iter().sum::<f64>() / chains as f64;
            SplitReport { split, chains: frequencies, mean }
        })
        .collect();
    splits.sort_by(|a, b| b.mean.total_cmp(&a.mean).then_with(|| a.split.cmp(&b.split)));
    let max_split_difference = splits
        .iter()
        .flat_map(|split| split.chains.iter().map(|frequency| (frequency - split.mean).abs()))
        .fold(0.0, f64::max);
    Ok(OracleReport { trees, splits, max_split_difference, acceptance })
}

/// One chain: the tree, and for each internal node the vector of the subtree away from taxon 0.
struct Chain<'a> {
    likelihood: &'a Likelihood,
    /// Row of the alignment of each taxon in byte order.
    order: &'a [usize],
    settings: &'a OracleSettings,
    edge: Transition,
    tree: UnrootedTree,
    log_likelihood: f64,
    /// By node: the two children it was computed from, and its vector.
    cache: Vec<Option<([usize; 2], Partial)>>,
    /// As `cache`, for the nodes that the proposal changes.
    fresh: Vec<Option<([usize; 2], Partial)>>,
    joins: Vec<Join>,
}

impl<'a> Chain<'a> {
    fn new(
        likelihood: &'a Likelihood,
        order: &'a [usize],
        tree: UnrootedTree,
        settings: &'a OracleSettings,
    ) -> Chain<'a> {
        let n_nodes = 2 * tree.n_taxa() - 2;
        let edge = likelihood.transition(settings.branch_length);
        let (cache, fresh) = (vec![None; n_nodes], vec![None; n_nodes]);
        let joins = Vec::new();
        let mut chain =
            Chain { likelihood, order, settings, edge, tree, log_likelihood: 0.0, cache, fresh, joins };
        chain.log_likelihood = chain.evaluate();
        chain.keep();
        chain
    }

    /// The log-likelihood of the tree as it is; computes into `fresh` what differs from `cache`.
    fn evaluate(&mut self) -> f64 {
        let n = self.tree.n_taxa();
        self.tree.joins(&mut self.joins);
        for &(node, mut children) in self.joins.iter().rev() {
            children.sort_unstable();
            let unchanged = self.cache[node].as_ref().is_some_and(|(before, _)| *before == children)
                && children.iter().all(|&child| child < n || self.fresh[child].is_none());
            if !unchanged {
                let leaves =
                    children.map(|child| (child < n).then(|| self.likelihood.leaf(self.order[child])));
                let vector = |side: usize| match &leaves[side] {
                    Some(leaf) => &**leaf,
                    None => self.vector(children[side]),
                };
                let merged = self.likelihood.merge(vector(0), &self.edge, vector(1), &self.edge);
                self.fresh[node] = Some((children, merged));
            }
        }
        let first = self.likelihood.leaf(self.order[0]);
        self.likelihood.edge_log_likelihood(&first, self.vector(self.joins[0].0), &self.edge)
    }

    fn vector(&self, node: usize) -> &Partial {
        let (_, partial) =
            self.fresh[node].as_ref().or(self.cache[node].as_ref()).expect("children come first");
        partial
    }

    /// Makes what the proposal computed the chain's own.
    fn keep(&mut self) {
        for (kept, fresh) in self.cache.iter_mut().zip(&mut self.fresh) {
            if fresh.is_some() {
                *kept = fresh.take();
            }
        }
    }

    /// Metropolis' decision about the tree as it is now: either it becomes the chain's own, or what was computed for
    /// it is dropped.
    fn accepts(&mut self, random: &mut ChaCha8Rng) -> bool {
        let proposed = self.evaluate();
        let uniform: f64 = random.random();
        // From one impossible tree to another the chain walks freely, until it finds a possible one.
        let log_ratio = if proposed == self.log_likelihood || self.settings.likelihood_power == 0.0 {
            0.0
        } else {
            self.settings.likelihood_power * (proposed - self.log_likelihood)
        };
        let accepted = uniform.ln() < log_ratio;
        if accepted {
            self.log_likelihood = proposed;
            self.keep();
        } else {
            self.fresh.iter_mut().for_each(|fresh| *fresh = None);
        }
        accepted
    }

    fn run(mut self, random: &mut ChaCha8Rng) -> Samples {
        let mut samples: FxHashMap<Topology, (f64, u64)> = FxHashMap::default();
        let mut accepted = 0;
        let mut topology = None;
        let mut targets = Vec::new();
        for step in 1..=self.settings.steps {
            let before = self.tree.clone();
            let moved = match random.random::<bool>() {
                true => self.tree.interchange(random),
                false => self.tree.regraft(random, &mut targets),
            };
            if moved && self.accepts(random) {
                accepted += 1;
                topology = None;
            } else if moved {
                self.tree = before;
            }
            let sampled = step.checked_sub(self.settings.burn_in).filter(|&after| after > 0);
            if sampled.is_some_and(|after| after.is_multiple_of(self.settings.sample_every)) {
                let topology = topology.get_or_insert_with(|| self.tree.topology());
                if let Some((_, count)) = samples.get_mut(topology) {
                    *count += 1;
                } else {
                    samples.insert(topology.clone(), (self.log_likelihood, 1));
                }
            }
        }
        (samples, accepted)
    }
}
