//! `--exact` by dynamic programming, up to twenty variables: log-evidence and edge probabilities of each site, of the
//! product and of the pooled rows, next to what was learned.

use std::fmt::Write as _;
use std::path::Path;

use gfn_bn::exact::ExactPosterior;
use gfn_bn::{Combine, DagDomain, Statistics};
use gfn_core::Result;
use gfn_core::domain::Domain;
use gfn_core::tensor_file::write_atomically;
use serde::Serialize;

use crate::bn::estimates::Estimates;
use crate::files::quoted;
use crate::process::stop_if_interrupted;

/// A site's evidence.
#[derive(Debug, Clone, Serialize)]
pub struct SiteEvidence {
    /// The site.
    pub name: String,
    /// log Σ_G p(D_n | G) p(G) (natural log, with the prior's constant).
    pub log_evidence: f64,
}

/// Exact quality of edge probabilities, and exact evidence. Priors are up to their constant: all natural logs hold the log
/// of its sum over graphs.
#[derive(Debug, Clone, Serialize)]
pub struct ExactEdges {
    /// log Σ_G R(G) of the run's target.
    pub log_evidence: f64,
    /// The same of each site alone.
    pub sites: Vec<SiteEvidence>,
    /// Σ of the sites' log-evidence: what sites that know nothing of each other would say.
    pub sum_of_site_log_evidence: f64,
    /// log-evidence of one graph with separate parameters.
    pub log_evidence_product: f64,
    /// log-evidence of one graph with shared parameters.
    pub log_evidence_pooled: f64,
    /// Largest |learned − exact| over the probabilities of directed edges.
    pub max_error: f64,
    /// Root of the mean squared error over ordered pairs.
    pub rms_error: f64,
    /// `max_error` of the reweighted probabilities.
    pub max_error_reweighted: f64,
    /// `rms_error` of the reweighted probabilities.
    pub rms_error_reweighted: f64,
    /// Largest |learned − exact| over the probabilities of directed paths.
    pub max_path_error: f64,
    /// A graph of the largest target.
    pub best_graph: String,
    /// log R of that graph.
    pub best_log_score: f64,
    /// Its probability.
    pub best_probability: f64,
    /// By how much rounding moved probabilities that are 1, at most.
    pub rounding_error: f64,
}

/// Evaluates all targets, writes `exact_edges.csv`
/// (from,to,exact,learned,reweighted,exact_product,exact_pooled,exact_site_0,…) and reports.
pub fn write_exact_edges(
    path: &Path,
    domain: &DagDomain,
    sites: &[(String, Statistics)],
    raw: &Estimates,
    reweighted: &Estimates,
) -> Result<ExactEdges> {
    let evaluate = |parts: &[&Statistics]| {
        stop_if_interrupted("the exact engine")?;
        ExactPosterior::new(&domain.score_table(parts, 1.0)?)
    };
    let own = sites.iter().map(|(_, site)| evaluate(&[site])).collect::<Result<Vec<_>>>()?;
    // For a single site all three are one.
    let (product, pooled) = match &own[..] {
        [only] => (only.clone(), only.clone()),
        _ => {
            let parts: Vec<&Statistics> = sites.iter().map(|(_, site)| site).collect();
            let statistics: Vec<Statistics> = sites.iter().map(|(_, site)| site.clone()).collect();
            (evaluate(&parts)?, evaluate(&[&Statistics::merge(&statistics)?])?)
        }
    };
    let exact = match domain.settings().combine {
        Combine::Product => &product,
        Combine::Pooled => &pooled,
    };
    let names = domain.environment().names();
    let d = names.len();
    let pairs = || (0..d * d).filter(|k| k / d != k % d);
    let mut text = String::from("from,to,exact,learned,reweighted,exact_product,exact_pooled");
    (0..own.len()).for_each(|k| text += &format!(",exact_site_{k}"));
    text.push('\n');
    let (learned, weighted) = (&raw.features, &reweighted.features);
    for k in pairs() {
        let _ = write!(
            text,
            "{},{},{},{},{},{},{}",
            quoted(&names[k / d]),
            quoted(&names[k % d]),
            exact.edges[k],
            learned.edges[k],
            weighted.edges[k],
            product.edges[k],
            pooled.edges[k]
        );
        own.iter().for_each(|site| text += &format!(",{}", site.edges[k]));
        text.push('\n');
    }
    write_atomically(path, text.as_bytes())?;
    let largest = |p: &[f64], q: &[f64]| pairs().map(|k| (p[k] - q[k]).abs()).fold(0.0, f64::max);
    let root_mean_square = |p: &[f64]| {
        let squares: f64 = pairs().map(|k| (p[k] - exact.edges[k]).powi(2)).sum();
        (squares / (d * (d - 1)).max(1) as f64).sqrt()
    };
    Ok(ExactEdges {
        log_evidence: exact.log_evidence,
        sites: (sites.iter().zip(&own))
            .map(|((name, _), own)| SiteEvidence { name: name.clone(), log_evidence: own.log_evidence })
            .collect(),
        sum_of_site_log_evidence: own.iter().map(|own| own.log_evidence).sum(),
        log_evidence_product: product.log_evidence,
        log_evidence_pooled: pooled.log_evidence,
        max_error: largest(&learned.edges, &exact.edges),
        rms_error: root_mean_square(&learned.edges),
        max_error_reweighted: largest(&weighted.edges, &exact.edges),
        rms_error_reweighted: root_mean_square(&weighted.edges),
        max_path_error: largest(&learned.paths, &exact.paths),
        best_graph: exact.best.to_string(),
        best_log_score: exact.best_log_score,
        best_probability: (exact.best_log_score - exact.log_evidence).exp(),
        rounding_error: exact.rounding_error,
    })
}
