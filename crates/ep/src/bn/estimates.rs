//! What sampled graphs say: probabilities of edges, graphs and classes, with importance weights where data are at hand.

use std::path::Path;

use gfn_bn::equivalence::{Cpdag, class_probabilities};
use gfn_bn::features::{FeatureProbabilities, directed_cycle, distinct_graphs, edge_standard_errors};
use gfn_bn::{Dag, DagDomain, DagReward};
use gfn_core::Result;
use gfn_core::domain::Domain;
use gfn_core::policy::Policy;
use gfn_core::reward::LogReward;
use rayon::prelude::*;
use rustc_hash::FxHashMap;

use crate::bn::baseline::Found;
use crate::bn::output::{self, GraphSamples};
use crate::bn::report::{ClassReport, EdgeReport, GraphReport, Pictured};
use crate::report::WeightReport;
use crate::samples::{Samples, weight_report};

/// Graphs and classes that are named in reports.
const BEST: usize = 5;

/// Probabilities from samples, or from their weights.
pub struct Estimates {
    /// Of edges, paths and Markov blankets.
    pub features: FeatureProbabilities,
    /// Monte Carlo standard errors of the probabilities of edges, d · d.
    pub standard_errors: Vec<f64>,
    /// Distinct graphs, most probable first.
    pub graphs: Vec<(Dag, f64)>,
    /// Their equivalence classes, most probable first.
    pub classes: Vec<(Cpdag, f64)>,
    by_graph: FxHashMap<Dag, f64>,
    by_class: FxHashMap<Cpdag, f64>,
    log_scores: FxHashMap<Dag, f64>,
}

impl Estimates {
    /// Those of the samples, or with `weighted` of their importance weights.
    pub fn new(samples: &GraphSamples, weighted: bool) -> Result<Self> {
        let weight = |i: usize| if weighted { samples.weights[i] } else { 1.0 };
        let pairs = || samples.graphs.iter().enumerate().map(|(i, graph)| (graph, weight(i)));
        let graphs = distinct_graphs(pairs())?;
        let classes = class_probabilities(pairs())?;
        let scored = samples.graphs.iter().zip(&samples.log_rewards);
        Ok(Estimates {
            features: FeatureProbabilities::of(pairs())?,
            standard_errors: edge_standard_errors(pairs())?,
            by_graph: graphs.iter().cloned().collect(),
            by_class: classes.iter().cloned().collect(),
            log_scores: scored.map(|(graph, score)| (graph.clone(), *score)).collect(),
            graphs,
            classes,
        })
    }

    /// The probability of a graph, 0 if it is not among them.
    pub fn graph_probability(&self, graph: &Dag) -> f64 {
        self.by_graph.get(graph).copied().unwrap_or(0.0)
    }

    /// The probability of a class, 0 if it is not among them.
    pub fn class_probability(&self, class: &Cpdag) -> f64 {
        self.by_class.get(class).copied().unwrap_or(0.0)
    }

    /// log R of a graph among the samples; none without data.
    pub fn log_score(&self, graph: &Dag) -> Option<f64> {
        self.log_scores.get(graph).copied()
    }
}

/// What sampling found.
pub struct Evidence {
    /// Of the samples.
    pub raw: Estimates,
    /// Of their weights, where the data are at hand.
    pub reweighted: Option<Estimates>,
    /// What the report says about edges and graphs.
    pub pictured: Pictured,
    /// Importance weights, where the data are at hand.
    pub importance: Option<WeightReport>,
}

/// The data behind an aggregate.
pub struct Data<'a> {
    /// The aggregate's policy.
    pub policy: &'a dyn Policy,
    /// Its target.
    pub reward: &'a DagReward,
    /// What the baselines found on the same target.
    pub found: &'a Found,
}

/// Writes all files with results from samples of an aggregate; with the data also log-scores and reweighted
/// probabilities.
pub fn write_results(
    out: &Path,
    seed: u64,
    domain: &DagDomain,
    drawn: Samples<Dag>,
    data: Option<Data>,
) -> Result<Evidence> {
    let env = domain.environment();
    let names = env.names();
    let (mut log_rewards, mut weights, mut importance) = (Vec::new(), Vec::new(), None);
    if let Some(data) = &data {
        let reward = |graph: &Dag| data.reward.log_reward(env, graph);
        log_rewards = drawn.objects.par_iter().map(reward).collect();
        let pairs = log_rewards.iter().zip(&drawn.log_probabilities);
        let log_weights: Vec<f64> = pairs.map(|(log_r, log_p)| log_r - log_p).collect();
        weights = gfn_core::math::normalise_log_weights(&log_weights);
        let independent = data.found.independent_deviation(domain, data.policy, data.reward, seed)?;
        importance = Some(weight_report(&log_weights, Some(independent)));
    }
    let samples = GraphSamples { graphs: drawn.objects, log_rewards, weights };
    let raw = Estimates::new(&samples, false)?;
    let reweighted = if data.is_some() { Some(Estimates::new(&samples, true)?) } else { None };
    let weighted = reweighted.as_ref();
    output::write_samples(&out.join("samples.csv"), &samples)?;
    let chain = data.as_ref().map(|data| data.found.edges());
    output::write_edges(&out.join("edges.csv"), names, &raw, weighted, chain)?;
    output::write_paths(&out.join("paths.csv"), names, &raw, weighted)?;
    output::write_markov_blankets(&out.join("markov_blankets.csv"), names, &raw, weighted)?;
    output::write_graphs(out, &raw, weighted)?;
    let [median, _] = output::write_pictures(out, domain.settings(), names, &raw.features.edges)?;
    let cycle = directed_cycle(names.len(), median.iter().map(|edge| (edge.from, edge.to)));
    let pictured = Pictured {
        sampled_graphs: raw.graphs.len(),
        sampled_classes: raw.classes.len(),
        best_graphs: best_graphs(names, &raw, weighted),
        best_classes: best_classes(names, &raw, weighted),
        likely_edges: likely_edges(names, &raw, weighted),
        cycle_in_median_graph: cycle.map(|cycle| cycle.into_iter().map(|v| names[v].clone()).collect()),
    };
    Ok(Evidence { raw, reweighted, pictured, importance })
}

fn best_graphs(names: &[String], raw: &Estimates, reweighted: Option<&Estimates>) -> Vec<GraphReport> {
    let report = |(graph, probability): &(Dag, f64)| GraphReport {
        graph: graph.to_string(),
        edges: list(names, graph.edges(), " → "),
        probability: *probability,
        reweighted: reweighted.map(|r| r.graph_probability(graph)),
        log_score: raw.log_score(graph),
    };
    raw.graphs.iter().take(BEST).map(report).collect()
}

fn best_classes(names: &[String], raw: &Estimates, reweighted: Option<&Estimates>) -> Vec<ClassReport> {
    let report = |(class, probability): &(Cpdag, f64)| ClassReport {
        class: class.to_string(),
        compelled: list(names, class.compelled_edges(), " → "),
        reversible: list(names, class.reversible_edges(), " — "),
        probability: *probability,
        reweighted: reweighted.map(|r| r.class_probability(class)),
    };
    raw.classes.iter().take(BEST).map(report).collect()
}

/// Pairs by names, such as `rain → wet`.
fn list(names: &[String], edges: impl Iterator<Item = (usize, usize)>, between: &str) -> Vec<String> {
    edges.map(|(u, v)| format!("{}{between}{}", names[u], names[v])).collect()
}

/// The pairs with an edge in more than half of the samples, in their likelier direction, most probable first.
fn likely_edges(names: &[String], raw: &Estimates, reweighted: Option<&Estimates>) -> Vec<EdgeReport> {
    let d = names.len();
    let mut edges = Vec::new();
    for (u, v) in (0..d * d).map(|k| (k / d, k % d)).filter(|(u, v)| u < v) {
        let features = &raw.features;
        let forward = features.edges[u * d + v] >= features.edges[v * d + u];
        let (from, to) = if forward { (u, v) } else { (v, u) };
        let either = features.either(u, v);
        if either > 0.5 {
            edges.push(EdgeReport {
                from: names[from].clone(),
                to: names[to].clone(),
                probability: features.edges[from * d + to],
                either,
                monte_carlo_error: raw.standard_errors[from * d + to],
                reweighted: reweighted.map(|r| r.features.edges[from * d + to]),
            });
        }
    }
    edges.sort_by(|a, b| b.either.total_cmp(&a.either).then(b.probability.total_cmp(&a.probability)));
    edges
}
