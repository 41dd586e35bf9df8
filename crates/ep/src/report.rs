//! The report of a run, for any domain: `report.json`, the warnings that the diagnostics call for, and the lines of the
//! terminal's summary that all domains share.

use std::fmt::Write as _;
use std::path::Path;

use gfn_core::score::ResidualSpread;
use gfn_core::server::ServerModel;
use gfn_core::tensor_file::write_atomically;
use gfn_core::{Result, Warning};
use serde::Serialize;

use crate::exact::ExactReport;
use crate::plan::{PLAN_VERSION, Plan};
use crate::run::RunSettings;
use crate::times::{StageTime, Times};

/// What a server that has no data says of its results.
pub const NO_DATA: &str =
    "The server has policies only, no data: no likelihoods, weights or effective sample size.";

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

/// What importance weights log R(x) − log p(x) say, all natural logs. Only where the data are at hand.
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
    /// Standard deviation of log R − log p under the policy itself.
    pub residual_deviation: f64,
    /// The same over objects that a Markov chain on the data found: it sees mass the policy never visits. None where there is no such chain.
    pub independent_residual_deviation: Option<f64>,
}

impl WeightReport {
    /// What the user should know about weights like these; `objects` is what several objects are called.
    pub fn warnings(&self, objects: &str) -> Vec<Warning> {
        let mut warnings = Vec::new();
        if self.effective_sample_fraction < 0.1 {
            let share = 100.0 * self.effective_sample_fraction;
            warnings.push(Warning::new(
                format!("the effective sample size is {share:.1} % of the samples"),
                "train longer (--budget), or add a round (--rounds)",
            ));
        }
        // Where all weights are nearly equal there is no tail to speak of, and k is an estimate of nothing.
        if self.pareto_k.is_finite() && self.pareto_k > 0.7 && self.effective_sample_fraction < 0.9 {
            let k = self.pareto_k;
            warnings.push(Warning::new(
                format!("Pareto k of the importance weights is {k:.2}: reweighted estimates are unreliable"),
                "train longer",
            ));
        }
        if let Some(independent) = self.independent_residual_deviation
            && independent > 1.0
            && independent > 3.0 * self.residual_deviation
        {
            let own = self.residual_deviation;
            warnings.push(Warning::new(
                format!(
                    "the residual spreads by {independent:.2} nats over {objects} found independently, by {own:.2} \
                     over the policy's own"
                ),
                format!("the aggregate misses {objects}: train longer, or add a round"),
            ));
        }
        warnings
    }
}

/// Nats from which clients that disagree with themselves are warned of. On grids all aggregates that failed (L1 above .2) had
/// .19 and more, and 2 % of the others (docs/experiments/heterogeneity.md).
const DISAGREEMENT: f64 = 0.2;

/// What the user should know where the clients' policies contradict themselves, which a server sees without data.
pub fn disagreement(path_spread: Option<f64>) -> Option<Warning> {
    let spread = path_spread.filter(|spread| *spread > DISAGREEMENT)?;
    Some(Warning::new(
        format!(
            "over the paths to one object of the aggregate, the clients' summed scores differ by {spread:.2} nats"
        ),
        "the product lies where clients err: train them longer (--budget), or add a round (--rounds)",
    ))
}

/// What a domain found in a run.
pub struct Findings<T> {
    /// Samples drawn.
    pub samples: usize,
    /// What the domain makes of them.
    pub results: T,
    /// Importance weights; none where the server has no data.
    pub importance: Option<WeightReport>,
    /// Exact quality, with `--exact`.
    pub exact: Option<ExactReport>,
    /// What the user should know about the data and the results. The report adds what the weights say.
    pub warnings: Vec<Warning>,
}

/// `report.json`; `T` holds what only the domain reports, at the same level.
#[derive(Debug, Clone, Serialize)]
pub struct RunReport<T> {
    /// What made it.
    pub versions: Versions,
    /// The plan: all settings and the seed.
    pub plan: serde_json::Value,
    /// Threads.
    pub threads: usize,
    /// The clients.
    pub clients: Vec<ClientReport>,
    /// Extra rounds made.
    pub rounds: u32,
    /// Steps of the last server training.
    pub server_steps: u64,
    /// How far the clients' summed scores differ between paths to one object, nats; 0 for clients without error. None where
    /// there is a single client, or one path to each object.
    pub path_spread: Option<f64>,
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
    /// What only this domain reports.
    #[serde(flatten)]
    pub results: T,
    /// Importance weights; none where the server has no data.
    pub importance: Option<WeightReport>,
    /// Exact quality, with `--exact`.
    pub exact: Option<ExactReport>,
    /// What the user should know.
    pub warnings: Vec<Warning>,
    /// What several objects are called.
    #[serde(skip)]
    pub objects_word: &'static str,
}

impl<T: Serialize> RunReport<T> {
    /// Puts everything together, with warnings about what the weights show.
    pub fn new(
        plan: &Plan,
        settings: &RunSettings,
        server: &ServerModel,
        times: Times,
        seconds: f64,
        objects_word: &'static str,
        findings: Findings<T>,
    ) -> Self {
        let mut warnings = findings.warnings;
        warnings.extend(disagreement(server.meta.path_spread));
        warnings.extend(findings.importance.iter().flat_map(|weights| weights.warnings(objects_word)));
        RunReport {
            versions: Versions::current(),
            plan: serde_json::to_value(plan).expect("a plan is plain data"),
            threads: settings.threads,
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
            path_spread: server.meta.path_spread,
            stages: times.stages,
            seconds,
            processes: times.processes,
            peak_memory_bytes: times.peak_memory_bytes,
            samples: findings.samples,
            results: findings.results,
            importance: findings.importance,
            exact: findings.exact,
            warnings,
            objects_word,
        }
    }

    /// Writes the report.
    pub fn write(&self, path: &Path) -> Result<()> {
        let text = serde_json::to_vec_pretty(self).expect("a report is plain data");
        write_atomically(path, &text)
    }

    /// The first lines of the summary: what it is a posterior of, and the clients.
    pub fn opening_lines(&self) -> String {
        let mut text = format!(
            "\nPosterior over {} from {} clients, {} extra rounds\n",
            self.objects_word,
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
        text
    }

    /// The last lines of the summary: weights, and [`RunReport::ending_lines`].
    pub fn closing_lines(&self, out: &Path) -> String {
        let mut text = String::new();
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
                let independent = w.independent_residual_deviation.map_or_else(String::new, |d| {
                    format!(", {d:.3} over {} found independently", self.objects_word)
                });
                let _ =
                    writeln!(text, "  residual sd {:.3} over own samples{independent}", w.residual_deviation);
            }
            None => {
                let _ = writeln!(text, "  {NO_DATA}");
            }
        }
        text + &self.ending_lines(out)
    }

    /// The very last lines of any summary: exact quality, warnings, time and memory.
    pub fn ending_lines(&self, out: &Path) -> String {
        let mut text = String::new();
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

/// A share of the weights behind that of the samples; nothing without data.
pub fn bracketed(reweighted: Option<f64>) -> String {
    reweighted.map_or_else(String::new, |p| format!(" ({p:.4})"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_that_contradict_themselves_are_warned_of() {
        assert!(disagreement(None).is_none() && disagreement(Some(0.19)).is_none());
        let warning = disagreement(Some(1.234)).unwrap().to_string();
        assert!(
            warning.contains("differ by 1.23 nats") && warning.contains("train them longer"),
            "{warning}"
        );
    }
}
