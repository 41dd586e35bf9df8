//! Drawing trees from the aggregate, and what they say about it.

use std::path::Path;
use std::sync::Arc;

use gfn_core::Result;
use gfn_core::domain::Domain;
use gfn_core::math::mean_and_deviation;
use gfn_core::metrics::{effective_sample_size, elbo, log_mean_weight, pareto_k};
use gfn_core::policy::Policy;
use gfn_core::random::stream;
use gfn_core::reward::LogReward;
use gfn_core::rollout::{Walk, sample_on_policy, sample_walks};
use gfn_core::score::trajectory_scores;
use gfn_core::server::ServerModel;
use gfn_phylo::{
    Bipartition, BranchLengths, Forest, OracleSettings, TreeDomain, TreeReward, sample_topologies,
};
use rayon::prelude::*;
use rustc_hash::FxHashMap;
use serde::Serialize;

use crate::phylo::output::{self, SampledTopology, TreeSamples, split_name};
use crate::plan::Plan;
use crate::process::stop_if_interrupted;
use crate::stages::SAMPLE_CHUNK;

/// Trees that independent trajectories start from.
const INDEPENDENT_TREES: usize = 1000;
/// Topologies that are named in reports.
const BEST: usize = 5;

/// What importance weights log R(x) − S(τ) say, all natural logs. Only where the data are at hand.
#[derive(Debug, Clone, Serialize)]
pub struct WeightReport {
    /// log of the mean weight: estimates log p(D).
    pub log_marginal_likelihood: f64,
    /// Mean log weight: a lower bound on log p(D) in expectation.
    pub lower_bound: f64,
    /// (Σw)²/Σw², in samples.
    pub effective_sample_size: f64,
    /// The same per sample, 0 to 1.
    pub effective_sample_fraction: f64,
    /// Pareto k̂ of the weights; above 0.7 reweighted estimates are unreliable. Not finite (null in JSON) where there
    /// are too few samples to fit it.
    pub pareto_k: f64,
    /// Standard deviation of log R − S under the policy itself.
    pub residual_deviation: f64,
    /// The same over trajectories walked backward from trees that a Markov chain on the data found: it sees mass the
    /// policy never visits. None where branch lengths are chosen.
    pub independent_residual_deviation: Option<f64>,
}

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
    /// Samples drawn.
    pub samples: usize,
    /// Distinct topologies among them.
    pub topologies: usize,
    /// Importance weights, where the data are at hand.
    pub weights: Option<WeightReport>,
    /// The most probable topologies.
    pub best: Vec<TopologyReport>,
    /// The bipartitions of the consensus: those with more than half of the samples.
    pub splits: Vec<SplitReport>,
    /// The majority-rule consensus.
    pub consensus: String,
}

/// Draws trees from the aggregate and writes `samples.trees`, `trees.csv`, `splits.csv`, `consensus.nwk`; with the
/// data also the reweighted forms `trees_reweighted.csv` and `splits_reweighted.csv`.
pub fn sample_and_write(
    out: &Path,
    plan: &Plan,
    domain: &TreeDomain,
    server: &ServerModel,
    reward: Option<&TreeReward>,
    n: usize,
) -> Result<Evidence> {
    let env = domain.environment().as_ref();
    let policy = server.policy.as_ref();
    let (objects, scores) = draw(domain, policy, n, plan.seed)?;
    let mut log_likelihoods = Vec::new();
    let mut weights = Vec::new();
    let mut report = None;
    if let Some(reward) = reward {
        log_likelihoods = objects.par_iter().map(|x| reward.log_likelihood(x)).collect();
        let log_rewards: Vec<f64> = objects.par_iter().map(|x| reward.log_reward(env, x)).collect();
        let log_weights: Vec<f64> = log_rewards.iter().zip(&scores).map(|(r, s)| r - s).collect();
        weights = gfn_core::math::normalise_log_weights(&log_weights);
        let size = effective_sample_size(&log_weights);
        stop_if_interrupted("looking for trees independently")?;
        report = Some(WeightReport {
            log_marginal_likelihood: log_mean_weight(&log_weights),
            lower_bound: elbo(&log_weights),
            effective_sample_size: size,
            effective_sample_fraction: size / n as f64,
            pareto_k: pareto_k(&log_weights),
            residual_deviation: mean_and_deviation(&log_weights).1,
            independent_residual_deviation: independent_deviation(plan, domain, policy, reward)?,
        });
    }
    let samples = TreeSamples::new(domain, &objects, log_likelihoods, weights);
    let mut names = plan.phylo.taxa.clone();
    names.sort();
    let taxa: Arc<[String]> = names.into();
    let raw = Estimates::new(&samples, &taxa, false)?;
    output::write_topologies(&out.join("trees.csv"), &raw.topologies)?;
    output::write_splits(&out.join("splits.csv"), &taxa, &raw.splits)?;
    let consensus = output::write_consensus(&out.join("consensus.nwk"), &raw.topologies)?;
    let reweighted = if report.is_some() { Some(Estimates::new(&samples, &taxa, true)?) } else { None };
    if let Some(reweighted) = &reweighted {
        output::write_topologies(&out.join("trees_reweighted.csv"), &reweighted.topologies)?;
        output::write_splits(&out.join("splits_reweighted.csv"), &taxa, &reweighted.splits)?;
    }
    let fixed = match &plan.phylo.branch_lengths {
        BranchLengths::Fixed { length } => Some(*length),
        BranchLengths::Bins { .. } => None,
    };
    output::write_samples(&out.join("samples.trees"), &taxa, &samples, fixed)?;
    Ok(Evidence {
        samples: n,
        topologies: raw.topologies.len(),
        weights: report,
        best: raw.best(reweighted.as_ref()),
        splits: raw.majority(reweighted.as_ref(), &taxa),
        consensus,
    })
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

/// `n` objects of a policy with their scores S(τ).
fn draw(domain: &TreeDomain, policy: &dyn Policy, n: usize, seed: u64) -> Result<(Vec<Forest>, Vec<f64>)> {
    let env = domain.environment().as_ref();
    let chunks: Vec<usize> = (0..n).step_by(SAMPLE_CHUNK).collect();
    // Every chunk has its own stream: the number of threads never changes the samples.
    let parts = chunks
        .par_iter()
        .map(|&start| {
            stop_if_interrupted("sampling")?;
            let mut rng = stream(seed, "samples", start as u64);
            let batch = sample_on_policy(env, policy, SAMPLE_CHUNK.min(n - start), &mut rng);
            let scores = trajectory_scores(env, policy, &batch);
            Ok(((0..batch.len()).map(|b| batch.object(b).clone()).collect(), scores))
        })
        .collect::<Result<Vec<(Vec<Forest>, Vec<f64>)>>>()?;
    let mut all = (Vec::with_capacity(n), Vec::with_capacity(n));
    for (objects, scores) in parts {
        all.0.extend(objects);
        all.1.extend(scores);
    }
    Ok(all)
}

/// Spread of log R − S over fresh merge orders of trees that topology Metropolis chains on the data visited.
fn independent_deviation(
    plan: &Plan,
    domain: &TreeDomain,
    policy: &dyn Policy,
    reward: &TreeReward,
) -> Result<Option<f64>> {
    let BranchLengths::Fixed { length } = plan.phylo.branch_lengths else { return Ok(None) };
    let settings = OracleSettings {
        chains: 2,
        steps: 20_000,
        burn_in: 10_000,
        sample_every: 20,
        branch_length: length,
        seed: plan.seed,
        ..OracleSettings::default()
    };
    let chains = sample_topologies(reward.likelihood(), &settings)?;
    let env = domain.environment().as_ref();
    let mut walks = Vec::new();
    for tree in &chains.trees {
        let object = domain.parse_object(&tree.topology.to_string())?;
        let copies = tree.counts.iter().sum::<u64>() as usize;
        walks.extend(std::iter::repeat_n(Walk::Backward(object), copies));
    }
    walks.truncate(INDEPENDENT_TREES);
    let mut rng = stream(plan.seed, "independent walks", 0);
    let batch = sample_walks(env, policy, walks, &mut rng);
    let scores = trajectory_scores(env, policy, &batch);
    let residuals: Vec<f64> =
        scores.iter().enumerate().map(|(b, s)| reward.log_reward(env, batch.object(b)) - s).collect();
    Ok(Some(mean_and_deviation(&residuals).1))
}
