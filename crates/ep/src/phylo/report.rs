//! The report of a run: everything in `report.json`, and the summary of it in the terminal.

use std::path::Path;

use gfn_core::score::ResidualSpread;
use gfn_core::server::ServerModel;
use gfn_core::tensor_file::write_atomically;
use gfn_core::{Result, Warning};
use serde::Serialize;

use crate::phylo::exact::ExactReport;
use crate::phylo::run::RunSettings;
use crate::phylo::samples::{Evidence, SplitReport, TopologyReport, WeightReport};
use crate::plan::{PLAN_VERSION, Plan};
use crate::times::{StageTime, Times};

/// What made a result: the same versions, settings and seed give the same bits on the same platform.
#[derive(Debug, Clone, Serialize)]
pub struct Versions {
    /// `ep` and the workspace's other crates, which share their version.
    pub ep: &'static str,
    /// Format of the plan.
    pub plan: u32,
    /// Format of the policies' files.
    pub policies: u32,
    /// Libraries with their versions, as built in.
    pub libraries: Vec<&'static str>,
    /// Processor and operating system.
    pub platform: String,
}

impl Versions {
    /// Those of this programme.
    pub fn current() -> Self {
        // Set by the build script from Cargo.lock: "name version,name version".
        let libraries = env!("EP_LIBRARIES").split(',').filter(|entry| !entry.is_empty()).collect();
        Versions {
            ep: env!("CARGO_PKG_VERSION"),
            plan: PLAN_VERSION,
            policies: gfn_core::client::FORMAT,
            libraries,
            platform: format!("{}-{}", std::env::consts::ARCH, std::env::consts::OS),
        }
    }
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
    /// What made it.
    pub versions: Versions,
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
    /// Time of each stage, over all processes that worked on the run.
    pub stages: Vec<StageTime>,
    /// Wall-clock seconds of this command.
    pub seconds: f64,
    /// Processes that worked on the run: more than one where it was interrupted or repeated.
    pub processes: u32,
    /// Peak memory in bytes, the largest of all processes.
    pub peak_memory_bytes: Option<u64>,
    /// Samples drawn.
    pub samples: usize,
    /// Distinct topologies among the samples.
    pub sampled_topologies: usize,
    /// The most probable topologies.
    pub best_topologies: Vec<TopologyReport>,
    /// The bipartitions with more than half of the samples.
    pub majority_splits: Vec<SplitReport>,
    /// Majority-rule consensus with supports.
    pub consensus: String,
    /// Importance weights; none where the server has no data.
    pub importance: Option<WeightReport>,
    /// Exact quality, with `--exact`.
    pub exact: Option<ExactReport>,
    /// What the user should know.
    pub warnings: Vec<Warning>,
}

/// Puts everything together, with warnings about what the diagnostics show.
#[allow(clippy::too_many_arguments)]
pub fn assemble(
    plan: &Plan,
    settings: &RunSettings,
    server: &ServerModel,
    evidence: Evidence,
    exact: Option<ExactReport>,
    times: Times,
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
        // Where all weights are nearly equal there is no tail to speak of, and k is an estimate of nothing.
        if w.pareto_k.is_finite() && w.pareto_k > 0.7 && w.effective_sample_fraction < 0.9 {
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
        versions: Versions::current(),
        plan: serde_json::to_value(plan).expect("a plan is plain data"),
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
        stages: times.stages,
        seconds,
        processes: times.processes,
        peak_memory_bytes: times.peak_memory_bytes,
        samples: evidence.samples,
        sampled_topologies: evidence.topologies,
        best_topologies: evidence.best,
        majority_splits: evidence.splits,
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
        let reweighted = if self.importance.is_some() { " (reweighted in brackets)" } else { "" };
        let _ = writeln!(
            text,
            "  {} samples, {} distinct topologies; the best{reweighted}:",
            self.samples, self.sampled_topologies
        );
        text += &best_lines(&self.best_topologies);
        if !self.majority_splits.is_empty() {
            let _ = writeln!(text, "  groups with more than half of the samples:");
        }
        for split in &self.majority_splits {
            let _ = writeln!(
                text,
                "    {:.4}{}  {}",
                split.probability,
                bracketed(split.reweighted),
                split.bipartition
            );
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
        let all = match self.processes {
            0 | 1 => String::new(),
            n => format!(
                " ({:.1} s over {n} processes)",
                self.stages.iter().map(|stage| stage.seconds).sum::<f64>()
            ),
        };
        let _ = writeln!(text, "  {:.1} s{all}{memory}; results in {}", self.seconds, out.display());
        text
    }
}

/// The most probable topologies, a line each.
pub fn best_lines(best: &[TopologyReport]) -> String {
    let line =
        |t: &TopologyReport| format!("    {:.4}{}  {}\n", t.probability, bracketed(t.reweighted), t.topology);
    best.iter().map(line).collect()
}

fn bracketed(reweighted: Option<f64>) -> String {
    reweighted.map_or_else(String::new, |p| format!(" ({p:.4})"))
}
