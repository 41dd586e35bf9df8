//! What a report says about network structures, and the summary of it in the terminal.

use std::fmt::Write as _;
use std::path::Path;

use gfn_bn::NetworkSettings;
use serde::Serialize;

use crate::bn::baseline::Baseline;
use crate::bn::exact_edges::ExactEdges;
use crate::bn::heterogeneity::Heterogeneity;
use crate::bn::plan::{EDGE_CAUTION, combine_name, combine_text};
use crate::report::{RunReport, bracketed};

/// Edges that the terminal shows.
const SHOWN_EDGES: usize = 20;

/// A graph in reports.
#[derive(Debug, Clone, Serialize)]
pub struct GraphReport {
    /// Row-major bit string.
    pub graph: String,
    /// Its edges by name.
    pub edges: Vec<String>,
    /// Share of the samples.
    pub probability: f64,
    /// Share of the importance weights; none without data.
    pub reweighted: Option<f64>,
    /// log p(D | G) + log p(G) up to the prior's constant; none without data.
    pub log_score: Option<f64>,
}

/// A Markov equivalence class in reports.
#[derive(Debug, Clone, Serialize)]
pub struct ClassReport {
    /// Row-major bit string of its completed partially directed graph.
    pub class: String,
    /// Edges that all members have in this direction.
    pub compelled: Vec<String>,
    /// Edges that members have in both directions.
    pub reversible: Vec<String>,
    /// Share of the samples.
    pub probability: f64,
    /// Share of the importance weights; none without data.
    pub reweighted: Option<f64>,
}

/// An edge in reports, in its likelier direction.
#[derive(Debug, Clone, Serialize)]
pub struct EdgeReport {
    /// Where it starts.
    pub from: String,
    /// Where it ends.
    pub to: String,
    /// Share of the samples with this edge.
    pub probability: f64,
    /// Share of the samples with an edge between the two, whichever way.
    pub either: f64,
    /// Monte Carlo standard error of `probability`.
    pub monte_carlo_error: f64,
    /// Share of the importance weights; none without data.
    pub reweighted: Option<f64>,
}

/// What the samples show.
#[derive(Debug, Clone, Serialize)]
pub struct Pictured {
    /// Distinct graphs among the samples.
    pub sampled_graphs: usize,
    /// Distinct equivalence classes among them.
    pub sampled_classes: usize,
    /// The most probable graphs.
    pub best_graphs: Vec<GraphReport>,
    /// The most probable equivalence classes.
    pub best_classes: Vec<ClassReport>,
    /// Pairs with an edge in more than half of the samples.
    pub likely_edges: Vec<EdgeReport>,
    /// A directed cycle of the median probability graph, each edge of which is judged alone; none where it has none.
    pub cycle_in_median_graph: Option<Vec<String>>,
}

/// The model of what several sites mean.
#[derive(Debug, Clone, Serialize)]
pub struct CombineReport {
    /// Its name.
    pub name: String,
    /// In a line.
    pub text: String,
}

impl CombineReport {
    /// Of a plan's settings.
    pub fn new(settings: &NetworkSettings) -> Self {
        CombineReport { name: combine_name(settings).into(), text: combine_text(settings).into() }
    }
}

/// A site whose data went into a run.
#[derive(Debug, Clone, Serialize)]
pub struct SiteReport {
    /// Its name.
    pub name: String,
    /// Its data in a line.
    pub data: String,
}

/// The part of `report.json` that only runs over network structures have.
#[derive(Debug, Clone, Serialize)]
pub struct NetworkResults {
    /// What the sites mean together.
    pub combine: CombineReport,
    /// What probabilities of directed edges do not mean.
    pub caution: &'static str,
    /// The variables, in the order of the nodes.
    pub variables: Vec<String>,
    /// The sites.
    pub sites: Vec<SiteReport>,
    /// What the samples show.
    #[serde(flatten)]
    pub pictured: Pictured,
    /// Next to a structure Markov chain and hill climbing.
    pub baseline: Baseline,
    /// Whether the sites look alike; none of a single site.
    pub heterogeneity: Option<Heterogeneity>,
    /// Exact evidence and edge probabilities, with `--exact`.
    pub exact_edges: Option<ExactEdges>,
}

impl RunReport<NetworkResults> {
    /// The summary that the terminal shows.
    pub fn summary(&self, out: &Path) -> String {
        let results = &self.results;
        let mut text = self.opening_lines();
        let sites: Vec<String> =
            results.sites.iter().map(|site| format!("{} ({})", site.name, site.data)).collect();
        let _ = writeln!(text, "  sites: {}", sites.join(", "));
        let _ = writeln!(text, "  {}", results.combine.text);
        let _ = writeln!(
            text,
            "  {} samples, {} distinct graphs in {} equivalence classes{}",
            self.samples,
            results.pictured.sampled_graphs,
            results.pictured.sampled_classes,
            if self.importance.is_some() { " (reweighted in brackets)" } else { "" },
        );
        text += &picture_lines(&results.pictured);
        let b = &results.baseline;
        let _ = writeln!(
            text,
            "  structure chains: largest difference in an edge {:.4} ({} → {}; reweighted {:.4}), chains among themselves \
             {:.4}; best log-score {:.3}, hill climbing {:.3}",
            b.largest_difference,
            b.at[0],
            b.at[1],
            b.largest_difference_reweighted,
            b.disagreement,
            b.best_log_score,
            b.hill_climbing_log_score
        );
        if let Some(h) = &results.heterogeneity {
            let _ = writeln!(text, "  {}", h.text);
        }
        if let Some(e) = &results.exact_edges {
            let _ = writeln!(
                text,
                "  exact edges: largest error {:.5} (reweighted {:.5}), rms {:.5} (reweighted {:.5}), paths {:.5}",
                e.max_error, e.max_error_reweighted, e.rms_error, e.rms_error_reweighted, e.max_path_error
            );
            let sites: Vec<String> =
                e.sites.iter().map(|site| format!("{} {:.3}", site.name, site.log_evidence)).collect();
            let _ = writeln!(
                text,
                "  exact log-evidence: product {:.3}, pooled {:.3}; {} (sum {:.3})",
                e.log_evidence_product,
                e.log_evidence_pooled,
                sites.join(", "),
                e.sum_of_site_log_evidence
            );
        }
        text + &self.closing_lines(out)
    }
}

/// The best graphs and classes and the likeliest edges, a line each, with what the latter do not mean.
pub fn picture_lines(pictured: &Pictured) -> String {
    let or_none = |edges: &[String]| match edges {
        [] => "no edges".to_string(),
        edges => edges.join(", "),
    };
    let mut text = String::from("  best graphs:\n");
    for g in &pictured.best_graphs {
        let _ = writeln!(text, "    {:.4}{}  {}", g.probability, bracketed(g.reweighted), or_none(&g.edges));
    }
    text += "  best equivalence classes:\n";
    for c in &pictured.best_classes {
        let edges = [&c.compelled[..], &c.reversible[..]].concat();
        let _ = writeln!(text, "    {:.4}{}  {}", c.probability, bracketed(c.reweighted), or_none(&edges));
    }
    if !pictured.likely_edges.is_empty() {
        text += "  pairs with an edge in more than half of the graphs, in the likelier direction (either way at the end):\n";
    }
    for e in pictured.likely_edges.iter().take(SHOWN_EDGES) {
        let _ = writeln!(
            text,
            "    {:.4}{}  {} → {}  {:.4}",
            e.probability,
            bracketed(e.reweighted),
            e.from,
            e.to,
            e.either
        );
    }
    match pictured.likely_edges.len().saturating_sub(SHOWN_EDGES) {
        0 => {}
        more => text += &format!("    and {more} more, in edges.csv\n"),
    }
    if let Some(cycle) = &pictured.cycle_in_median_graph {
        let _ = writeln!(text, "  the median probability graph has a cycle: {}", cycle.join(" → "));
    }
    let _ = writeln!(text, "  {EDGE_CAUTION}");
    text
}
