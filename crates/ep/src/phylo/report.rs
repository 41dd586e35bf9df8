//! Samples from the aggregate, what they say about it, and the report.

use std::path::Path;
use std::sync::Arc;

use gfn_core::domain::Domain;
use gfn_core::math::mean_and_deviation;
use gfn_core::metrics::{effective_sample_size, elbo, log_mean_weight, pareto_k};
use gfn_core::policy::Policy;
use gfn_core::random::stream;
use gfn_core::reward::LogReward;
use gfn_core::rollout::{Walk, sample_on_policy, sample_walks};
use gfn_core::score::{ResidualSpread, trajectory_scores};
use gfn_core::server::ServerModel;
use gfn_core::tensor_file::write_atomically;
use gfn_core::{Result, Warning};
use gfn_phylo::{BranchLengths, Forest, OracleSettings, TreeDomain, TreeReward, sample_topologies};
use rayon::prelude::*;
use serde::Serialize;

use crate::phylo::exact::ExactReport;
use crate::phylo::output::{self, TreeSamples};
use crate::phylo::run::RunSettings;
use crate::plan::Plan;
use crate::process;
use crate::stages::SAMPLE_CHUNK;

/// Trees that independent trajectories start from.
const INDEPENDENT_TREES: usize = 1000;

/// Wall-clock and processor time of a stage.
#[derive(Debug, Clone, Serialize)]
pub struct StageTime {
    /// The stage.
    pub stage: String,
    /// Wall-clock seconds.
    pub seconds: f64,
    /// CPU seconds of all threads; none where the system does not say.
    pub cpu_seconds: Option<f64>,
}

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
    /// Pareto k̂ of the weights; above 0.7 reweighted estimates are unreliable.
    pub pareto_k: f64,
    /// Standard deviation of log R − S under the policy itself.
    pub residual_deviation: f64,
    /// The same over trajectories walked backward from trees that a Markov chain on the data found: it sees mass the
    /// policy never visits. None where branch lengths are chosen.
    pub independent_residual_deviation: Option<f64>,
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
    pub best: Vec<(String, f64)>,
    /// The majority-rule consensus.
    pub consensus: String,
}

/// A client, as the report shows it.
#[derive(Debug, Clone, Serialize)]
pub struct ClientReport {
    /// Name.
    pub name: String,
    /// Data in a line.
    pub data: String,
    /// Weight in the product.
    pub weight: f64,
    /// Training steps, all rounds.
    pub steps: u64,
    /// Training seconds, all rounds.
    pub seconds: f64,
    /// Standard deviations of S(τ) − log R_n(x).
    pub residual_spread: ResidualSpread,
}

/// `report.json`.
#[derive(Debug, Clone, Serialize)]
pub struct RunReport {
    /// Version of `ep`.
    pub version: &'static str,
    /// The plan: all settings and the seed.
    pub plan: serde_json::Value,
    /// Threads.
    pub threads: usize,
    /// What every party's branch lengths may be, in words.
    pub branch_lengths: String,
    /// The clients.
    pub clients: Vec<ClientReport>,
    /// Extra rounds made.
    pub rounds: u32,
    /// Steps of the last server training.
    pub server_steps: u64,
    /// Time of each stage.
    pub stages: Vec<StageTime>,
    /// Wall-clock seconds of this command.
    pub seconds: f64,
    /// Peak memory in bytes.
    pub peak_memory_bytes: Option<u64>,
    /// Samples drawn.
    pub samples: usize,
    /// Distinct topologies among the samples.
    pub sampled_topologies: usize,
    /// The most probable topologies with their share of the samples.
    pub best_topologies: Vec<(String, f64)>,
    /// Majority-rule consensus with supports.
    pub consensus: String,
    /// Importance weights; none where the server has no data.
    pub importance: Option<WeightReport>,
    /// Exact quality, with `--exact`.
    pub exact: Option<ExactReport>,
    /// What the user should know.
    pub warnings: Vec<Warning>,
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
    let (objects, scores) = draw(domain, server.policy.as_ref(), n, plan.seed);
    let mut log_likelihoods = Vec::new();
    let mut weights = Vec::new();
    let mut report = None;
    if let Some(reward) = reward {
        log_likelihoods = objects.par_iter().map(|x| reward.log_likelihood(x)).collect();
        let log_rewards: Vec<f64> = objects.par_iter().map(|x| reward.log_reward(env, x)).collect();
        let log_weights: Vec<f64> = log_rewards.iter().zip(&scores).map(|(r, s)| r - s).collect();
        weights = gfn_core::math::normalise_log_weights(&log_weights);
        let size = effective_sample_size(&log_weights);
        report = Some(WeightReport {
            log_marginal_likelihood: log_mean_weight(&log_weights),
            lower_bound: elbo(&log_weights),
            effective_sample_size: size,
            effective_sample_fraction: size / n as f64,
            pareto_k: pareto_k(&log_weights),
            residual_deviation: mean_and_deviation(&log_weights).1,
            independent_residual_deviation: independent_deviation(
                plan,
                domain,
                server.policy.as_ref(),
                reward,
            )?,
        });
    }
    let samples = TreeSamples::new(domain, &objects, log_likelihoods, weights);
    let mut names = plan.phylo.taxa.clone();
    names.sort();
    let taxa: Arc<[String]> = names.into();
    let topologies = samples.topologies(&taxa, false)?;
    output::write_topologies(&out.join("trees.csv"), &topologies)?;
    output::write_splits(&out.join("splits.csv"), &taxa, &output::splits(&topologies)?)?;
    let consensus = output::write_consensus(&out.join("consensus.nwk"), &topologies)?;
    if report.is_some() {
        let reweighted = samples.topologies(&taxa, true)?;
        output::write_topologies(&out.join("trees_reweighted.csv"), &reweighted)?;
        output::write_splits(&out.join("splits_reweighted.csv"), &taxa, &output::splits(&reweighted)?)?;
    }
    let fixed = match &plan.phylo.branch_lengths {
        BranchLengths::Fixed { length } => Some(*length),
        BranchLengths::Bins { .. } => None,
    };
    output::write_samples(&out.join("samples.trees"), &taxa, &samples, fixed)?;
    Ok(Evidence {
        samples: n,
        topologies: topologies.len(),
        weights: report,
        best: topologies.iter().take(5).map(|t| (t.topology.to_string(), t.probability)).collect(),
        consensus,
    })
}

/// `n` objects of a policy with their scores S(τ).
fn draw(domain: &TreeDomain, policy: &dyn Policy, n: usize, seed: u64) -> (Vec<Forest>, Vec<f64>) {
    let env = domain.environment().as_ref();
    let chunks: Vec<usize> = (0..n).step_by(SAMPLE_CHUNK).collect();
    // Every chunk has its own stream: the number of threads never changes the samples.
    let parts: Vec<(Vec<Forest>, Vec<f64>)> = chunks
        .par_iter()
        .map(|&start| {
            let mut rng = stream(seed, "samples", start as u64);
            let batch = sample_on_policy(env, policy, SAMPLE_CHUNK.min(n - start), &mut rng);
            let scores = trajectory_scores(env, policy, &batch);
            ((0..batch.len()).map(|b| batch.object(b).clone()).collect(), scores)
        })
        .collect();
    let mut all = (Vec::with_capacity(n), Vec::with_capacity(n));
    for (objects, scores) in parts {
        all.0.extend(objects);
        all.1.extend(scores);
    }
    all
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

/// Puts everything together, with warnings about what the diagnostics show.
#[allow(clippy::too_many_arguments)]
pub fn assemble(
    plan: &Plan,
    settings: &RunSettings,
    server: &ServerModel,
    evidence: Evidence,
    exact: Option<ExactReport>,
    stages: Vec<StageTime>,
    mut warnings: Vec<Warning>,
    seconds: f64,
) -> RunReport {
    if let Some(w) = &evidence.weights {
        if w.effective_sample_fraction < 0.1 {
            warnings.push(Warning::new(
                format!(
                    "the effective sample size is {:.1} % of the samples",
                    100.0 * w.effective_sample_fraction
                ),
                "train longer (--budget), or add a round (--rounds)",
            ));
        }
        if w.pareto_k > 0.7 {
            warnings.push(Warning::new(
                format!(
                    "Pareto k of the importance weights is {:.2}: reweighted estimates are unreliable",
                    w.pareto_k
                ),
                "train longer",
            ));
        }
        if let Some(independent) = w.independent_residual_deviation
            && independent > 1.0
            && independent > 3.0 * w.residual_deviation
        {
            warnings.push(Warning::new(
                format!(
                    "the residual spreads by {independent:.2} nats over trees found independently, by {:.2} over the policy's own",
                    w.residual_deviation
                ),
                "the aggregate misses trees: train longer, or add a round",
            ));
        }
    }
    RunReport {
        version: env!("CARGO_PKG_VERSION"),
        plan: serde_json::to_value(plan).unwrap_or_default(),
        threads: settings.threads,
        branch_lengths: plan.phylo.branch_lengths.to_string(),
        clients: server
            .meta
            .clients
            .iter()
            .map(|(meta, weight)| ClientReport {
                name: meta.client.clone(),
                data: meta.data.clone(),
                weight: *weight,
                steps: meta.steps,
                seconds: meta.seconds,
                residual_spread: meta.residual_spread,
            })
            .collect(),
        rounds: server.meta.round,
        server_steps: server.meta.steps,
        stages,
        seconds,
        peak_memory_bytes: process::peak_memory_bytes(),
        samples: evidence.samples,
        sampled_topologies: evidence.topologies,
        best_topologies: evidence.best,
        consensus: evidence.consensus,
        importance: evidence.weights,
        exact,
        warnings,
    }
}

impl RunReport {
    /// Writes `report.json`.
    pub fn write(&self, path: &Path) -> Result<()> {
        let text = serde_json::to_vec_pretty(self).expect("a report is plain data");
        write_atomically(path, &text)
    }

    /// The summary that the terminal shows.
    pub fn summary(&self, out: &Path) -> String {
        use std::fmt::Write as _;
        let mut text = String::new();
        let _ = writeln!(
            text,
            "\nPosterior over trees from {} clients, {} extra rounds",
            self.clients.len(),
            self.rounds
        );
        for client in &self.clients {
            let s = client.residual_spread;
            let _ = writeln!(
                text,
                "  {:<12} {:<28} {:>7} steps  residual sd {:.3} own, {:.3} tempered, {:.3} uniform",
                client.name, client.data, client.steps, s.own, s.tempered, s.uniform
            );
        }
        let _ = writeln!(
            text,
            "  {} samples, {} distinct topologies; the best:",
            self.samples, self.sampled_topologies
        );
        for (tree, probability) in &self.best_topologies {
            let _ = writeln!(text, "    {probability:.4}  {tree}");
        }
        match &self.importance {
            Some(w) => {
                let _ = writeln!(
                    text,
                    "  log marginal likelihood {:.3} (lower bound {:.3}), effective sample size {:.0} of {}, Pareto k {:.2}",
                    w.log_marginal_likelihood,
                    w.lower_bound,
                    w.effective_sample_size,
                    self.samples,
                    w.pareto_k
                );
                let independent = w
                    .independent_residual_deviation
                    .map_or_else(String::new, |d| format!(", {d:.3} over trees found independently"));
                let _ =
                    writeln!(text, "  residual sd {:.3} over own samples{independent}", w.residual_deviation);
            }
            None => {
                let _ = writeln!(
                    text,
                    "  The server has policies only, no data: no likelihoods, weights or effective sample size."
                );
            }
        }
        if let Some(e) = &self.exact {
            let _ = writeln!(
                text,
                "  exact: L1 {:.5} (exact aggregation {:.5}; clients {}), Jeffrey {:.2e}, bounds {:.2e} and {:.2e}",
                e.l1,
                e.l1_exact_aggregation,
                e.l1_clients.iter().map(|l| format!("{l:.4}")).collect::<Vec<_>>().join(" "),
                e.jeffrey,
                e.bound,
                e.bound_sharp
            );
        }
        for warning in &self.warnings {
            let _ = writeln!(text, "  warning: {warning}");
        }
        let memory = self.peak_memory_bytes.map_or_else(String::new, |b| format!(", {} MB", b >> 20));
        let _ = writeln!(text, "  {:.1} s{memory}; results in {}", self.seconds, out.display());
        text
    }
}
