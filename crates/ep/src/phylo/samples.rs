//! What sampled trees say: topologies, bipartitions, consensus, with importance weights where data are at hand.

use std::path::Path;
use std::sync::Arc;

use gfn_core::Result;
use gfn_core::domain::Domain;
use gfn_core::policy::Policy;
use gfn_phylo::{
    Bipartition, BranchLengths, Forest, OracleSettings, TreeDomain, TreeReward, sample_topologies,
};
use rayon::prelude::*;
use rustc_hash::FxHashMap;
use serde::Serialize;

use crate::phylo::output::{self, SampledTopology, TreeSamples, split_name};
use crate::phylo::plan::PhyloPlan;
use crate::phylo::report::TreeResults;
use crate::process::stop_if_interrupted;
use crate::report::WeightReport;
use crate::samples::{Samples, residual_deviation, weight_report};

/// Trees that independent trajectories start from.
const INDEPENDENT_TREES: usize = 1000;
/// Topologies that are named in reports.
const BEST: usize = 5;

/// A topology in reports.
#[derive(Debug, Clone, Serialize)]
pub struct TopologyReport {
    /// The topology in canonical form.
    pub topology: String,
    /// Share of the samples.
    pub probability: f64,
    /// Share of the importance weights; none without data.
    pub reweighted: Option<f64>,
    /// log p(D | tree), the largest among the samples where branch lengths are chosen; none without data.
    pub log_likelihood: Option<f64>,
}

/// A bipartition in reports.
#[derive(Debug, Clone, Serialize)]
pub struct SplitReport {
    /// Both sides, such as `A,B|C,D`.
    pub bipartition: String,
    /// Share of the samples.
    pub probability: f64,
    /// Share of the importance weights; none without data.
    pub reweighted: Option<f64>,
}

/// What sampling found.
pub struct Evidence {
    /// What the report says about trees.
    pub results: TreeResults,
    /// Importance weights, where the data are at hand.
    pub importance: Option<WeightReport>,
}

/// Writes `samples.trees`, `trees.csv`, `splits.csv`, `consensus.nwk` from samples of an aggregate; with the data (the
/// aggregate's policy and its target) also the reweighted forms `trees_reweighted.csv` and `splits_reweighted.csv`.
pub fn write_results(
    out: &Path,
    seed: u64,
    model: &PhyloPlan,
    domain: &TreeDomain,
    drawn: Samples<Forest>,
    data: Option<(&dyn Policy, &TreeReward)>,
) -> Result<Evidence> {
    let mut log_likelihoods = Vec::new();
    let mut weights = Vec::new();
    let mut importance = None;
    if let Some((policy, reward)) = data {
        log_likelihoods = drawn.objects.par_iter().map(|x| reward.log_likelihood(x)).collect();
        let log_weights = drawn.log_weights(domain.environment().as_ref(), reward);
        weights = gfn_core::math::normalise_log_weights(&log_weights);
        stop_if_interrupted("looking for trees independently")?;
        let independent = independent_deviation(seed, model, domain, policy, reward)?;
        importance = Some(weight_report(&log_weights, independent));
    }
    let samples = TreeSamples::new(domain, &drawn.objects, log_likelihoods, weights);
    let taxa: Arc<[String]> = model.sorted_taxa().into();
    let raw = Estimates::new(&samples, &taxa, false)?;
    output::write_topologies(&out.join("trees.csv"), &raw.topologies)?;
    output::write_splits(&out.join("splits.csv"), &taxa, &raw.splits)?;
    let consensus = output::write_consensus(&out.join("consensus.nwk"), &raw.topologies)?;
    let reweighted = if importance.is_some() { Some(Estimates::new(&samples, &taxa, true)?) } else { None };
    if let Some(reweighted) = &reweighted {
        output::write_topologies(&out.join("trees_reweighted.csv"), &reweighted.topologies)?;
        output::write_splits(&out.join("splits_reweighted.csv"), &taxa, &reweighted.splits)?;
    }
    let fixed = match &model.branch_lengths {
        BranchLengths::Fixed { length } => Some(*length),
        BranchLengths::Bins { .. } => None,
    };
    output::write_samples(&out.join("samples.trees"), &taxa, &samples, fixed)?;
    let results = TreeResults {
        branch_lengths: model.branch_lengths.to_string(),
        sampled_topologies: raw.topologies.len(),
        best_topologies: raw.best(reweighted.as_ref()),
        majority_splits: raw.majority(reweighted.as_ref(), &taxa),
        consensus,
    };
    Ok(Evidence { results, importance })
}

/// Topologies and bipartitions with their probabilities, of the samples or of their weights.
struct Estimates {
    topologies: Vec<SampledTopology>,
    splits: Vec<(Bipartition, f64)>,
}

impl Estimates {
    fn new(samples: &TreeSamples, taxa: &Arc<[String]>, weighted: bool) -> Result<Self> {
        let topologies = samples.topologies(taxa, weighted)?;
        let splits = output::splits(&topologies)?;
        Ok(Estimates { topologies, splits })
    }

    /// The most probable topologies, with what the weights make of them.
    fn best(&self, reweighted: Option<&Estimates>) -> Vec<TopologyReport> {
        let by_name: Option<FxHashMap<String, f64>> = reweighted
            .map(|r| r.topologies.iter().map(|t| (t.topology.to_string(), t.probability)).collect());
        let report = |t: &SampledTopology| {
            let topology = t.topology.to_string();
            TopologyReport {
                reweighted: by_name.as_ref().map(|r| r.get(&topology).copied().unwrap_or(0.0)),
                topology,
                probability: t.probability,
                log_likelihood: t.log_likelihood,
            }
        };
        self.topologies.iter().take(BEST).map(report).collect()
    }

    /// The bipartitions with more than half of the samples, with what the weights make of them.
    fn majority(&self, reweighted: Option<&Estimates>, taxa: &[String]) -> Vec<SplitReport> {
        let by_split: Option<FxHashMap<&Bipartition, f64>> =
            reweighted.map(|r| r.splits.iter().map(|(split, p)| (split, *p)).collect());
        let report = |(split, probability): &(Bipartition, f64)| SplitReport {
            bipartition: split_name(taxa, split),
            probability: *probability,
            reweighted: by_split.as_ref().map(|r| r.get(split).copied().unwrap_or(0.0)),
        };
        self.splits.iter().filter(|(_, p)| *p > 0.5).map(report).collect()
    }
}

/// Spread of log R − log p over trees that topology Metropolis chains on the data visited.
fn independent_deviation(
    seed: u64,
    model: &PhyloPlan,
    domain: &TreeDomain,
    policy: &dyn Policy,
    reward: &TreeReward,
) -> Result<Option<f64>> {
    let BranchLengths::Fixed { length } = model.branch_lengths else { return Ok(None) };
    let settings = OracleSettings {
        chains: 2,
        steps: 20_000,
        burn_in: 10_000,
        sample_every: 20,
        branch_length: length,
        seed,
        ..OracleSettings::default()
    };
    let chains = sample_topologies(reward.likelihood(), &settings)?;
    let mut found = Vec::new();
    for tree in &chains.trees {
        let object = domain.parse_object(&tree.topology.to_string())?;
        let copies = tree.counts.iter().sum::<u64>() as usize;
        found.extend(std::iter::repeat_n(object, copies));
    }
    found.truncate(INDEPENDENT_TREES);
    residual_deviation(domain.environment().as_ref(), policy, reward, &found, seed).map(Some)
}
