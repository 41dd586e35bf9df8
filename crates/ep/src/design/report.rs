//! What a report says about designs, and the summary of it in the terminal.

use std::fmt::Write as _;
use std::path::Path;

use serde::Serialize;
use serde_json::{Map, Value};

use crate::design::found::{Found, FoundDesign};
use crate::design::{Design, More, ObjectOf};
use crate::report::{RunReport, bracketed};

/// Designs that reports and the terminal name.
const BEST: usize = 5;
/// Features that reports and the terminal show: those with the largest expectations.
const SHOWN_FEATURES: usize = 12;
/// Letters of the longest bar.
const BAR: f64 = 24.0;

/// A design in reports.
#[derive(Debug, Clone, Serialize)]
pub struct DesignReport {
    /// Its name.
    pub object: String,
    /// log R of the product; none without data.
    pub log_reward: Option<f64>,
    /// log R_n of each client; empty without data.
    pub log_rewards: Vec<f64>,
    /// R / Z; none without data.
    pub probability: Option<f64>,
    /// Share of the samples.
    pub share: f64,
}

impl DesignReport {
    fn new<S>(design: &FoundDesign<S>) -> Self {
        let rated = design.rated.as_ref();
        DesignReport {
            object: design.name.clone(),
            log_reward: rated.map(|r| r.log_reward),
            log_rewards: rated.map_or_else(Vec::new, |r| r.log_rewards.clone()),
            probability: rated.map(|r| r.probability),
            share: design.share,
        }
    }
}

/// The expectation of a feature in reports.
#[derive(Debug, Clone, Serialize)]
pub struct MarginalReport {
    /// The feature's name.
    pub feature: String,
    /// Mean over the samples.
    pub expected: f64,
    /// Its Monte Carlo standard error.
    pub monte_carlo_error: f64,
    /// Mean with the importance weights; none without data.
    pub reweighted: Option<f64>,
}

/// The part of `report.json` that runs over designs have.
#[derive(Debug, Clone, Serialize)]
pub struct DesignResults {
    /// What is designed.
    pub design: String,
    /// Distinct designs among the samples.
    pub sampled_designs: usize,
    /// The best of them, or those sampled most where the clients' data are not at hand.
    pub best_designs: Vec<DesignReport>,
    /// For each client, the best design for it alone among the samples; empty without data.
    pub best_of_clients: Vec<DesignReport>,
    /// Designs on the Pareto front of the clients' log-rewards; none without data.
    pub front_designs: Option<usize>,
    /// The features with the largest expectations.
    pub largest_marginals: Vec<MarginalReport>,
    /// log Z of the product in closed form (natural log), where one is known.
    pub log_partition: Option<f64>,
    /// What only the domain reports.
    #[serde(flatten)]
    pub more: Map<String, Value>,
    /// What only the domain says in the terminal.
    #[serde(skip)]
    pub lines: String,
}

impl DesignResults {
    /// What a report shows of everything found.
    pub fn new<D: Design>(
        domain: &D,
        n_clients: usize,
        found: &Found<ObjectOf<D>>,
        log_partition: Option<f64>,
        more: More,
    ) -> Self {
        let best_of = |client: usize| {
            let log_reward =
                |place: usize| found.designs[place].rated.as_ref().map_or(0.0, |r| r.log_rewards[client]);
            // Of equals the first, which is the best for all.
            let best = found.front.iter().rev().max_by(|&&a, &&b| log_reward(a).total_cmp(&log_reward(b)));
            best.map(|&place| DesignReport::new(&found.designs[place]))
        };
        let mut order: Vec<usize> = (0..found.marginals.len()).collect();
        order.sort_by(|&a, &b| found.marginals[b].expected.total_cmp(&found.marginals[a].expected));
        let features = domain.features();
        let shown = if domain.lists_features() { SHOWN_FEATURES } else { 0 };
        let marginal = |&k: &usize| MarginalReport {
            feature: features[k].join(" "),
            expected: found.marginals[k].expected,
            monte_carlo_error: found.marginals[k].monte_carlo_error,
            reweighted: found.marginals[k].reweighted,
        };
        DesignResults {
            design: domain.description(),
            sampled_designs: found.designs.len(),
            best_designs: found.designs.iter().take(BEST).map(DesignReport::new).collect(),
            best_of_clients: (0..n_clients).filter_map(best_of).collect(),
            front_designs: (!found.weights.is_empty()).then_some(found.front.len()),
            largest_marginals: order.iter().take(shown).map(marginal).collect(),
            log_partition,
            more: more.report,
            lines: more.lines,
        }
    }

    /// The best designs, a line each; with the names of the clients where their log-rewards are known.
    pub fn best_lines(&self, clients: &[&str]) -> String {
        let rated = self.best_designs.iter().any(|best| best.log_reward.is_some());
        let mut text = String::new();
        if rated {
            let _ = write!(text, "    {:>9}", "log R");
            clients.iter().for_each(|name| {
                let _ = write!(text, " {:>9}", shortened(name));
            });
            let _ = writeln!(text, " {:>11}", "probability");
        }
        for best in &self.best_designs {
            text += "   ";
            for log_reward in best.log_reward.iter().chain(&best.log_rewards) {
                let _ = write!(text, " {log_reward:>9.3}");
            }
            let probability = best.probability.unwrap_or(best.share);
            let width = if rated { 11 } else { 9 };
            let _ = writeln!(text, " {probability:>width$.5}  {}", best.object);
        }
        text
    }

    /// The features with the largest expectations, a line with a bar each; nothing where they are not listed.
    pub fn marginal_lines(&self) -> String {
        let mut text = String::new();
        if self.largest_marginals.is_empty() {
            return text;
        }
        let in_brackets = self.largest_marginals.iter().any(|m| m.reweighted.is_some());
        let _ = writeln!(text, "  Expected{}:", if in_brackets { " (reweighted in brackets)" } else { "" });
        let largest = self.largest_marginals.iter().map(|m| m.expected).fold(0.0, f64::max);
        let width = self.largest_marginals.iter().map(|m| m.feature.chars().count()).max().unwrap_or(0);
        for m in self.largest_marginals.iter().filter(|m| m.expected > 0.0) {
            let bar = "█".repeat((BAR * m.expected / largest).round() as usize);
            let _ = writeln!(
                text,
                "    {:<width$}  {:.3} ± {:.3}{}  {bar}",
                m.feature,
                m.expected,
                m.monte_carlo_error,
                bracketed(m.reweighted)
            );
        }
        text
    }
}

impl RunReport<DesignResults> {
    /// The summary that the terminal shows.
    pub fn summary(&self, out: &Path) -> String {
        let results = &self.results;
        let mut text = format!("\nDesigns: {}, for {} clients\n", results.design, self.clients.len());
        for client in &self.clients {
            let s = client.residual_spread;
            let _ = writeln!(
                text,
                "  {:<12} weight {:<6} {:<28} residual sd {:.3} own, {:.3} tempered, {:.3} uniform",
                client.name, client.weight, client.data, s.own, s.tempered, s.uniform
            );
        }
        let names: Vec<&str> = self.clients.iter().map(|client| client.name.as_str()).collect();
        let _ = writeln!(
            text,
            "  {} samples, {} distinct {}; the best of them:",
            self.samples, results.sampled_designs, self.objects_word
        );
        text += &results.best_lines(&names);
        if let (Some(front), true) = (results.front_designs, names.len() > 1) {
            let _ = writeln!(
                text,
                "  {front} of them are on the front: none is better for one client and worse for none. Its ends:"
            );
            for (name, best) in names.iter().zip(&results.best_of_clients) {
                let values: Vec<String> = best.log_rewards.iter().map(|r| format!("{r:.3}")).collect();
                let _ = writeln!(text, "    best for {name}: {}  ({})", best.object, values.join(", "));
            }
            text += "  To move along the front: the same command with other --weights; no client is trained again.\n";
        }
        text += &results.marginal_lines();
        text += &results.lines;
        if let Some(w) = &self.importance {
            let _ = writeln!(
                text,
                "  log Z {:.4}{}, effective sample size {:.0} of {}",
                w.log_marginal_likelihood,
                results.log_partition.map_or_else(String::new, |z| format!(" (exactly {z:.4})")),
                w.effective_sample_size,
                self.samples
            );
        }
        text + &self.ending_lines(out)
    }
}

/// A name that fits over a column of numbers.
fn shortened(name: &str) -> String {
    match name.char_indices().nth(9) {
        Some(_) => name.chars().take(8).chain(['…']).collect(),
        None => name.to_string(),
    }
}
