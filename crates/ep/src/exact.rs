//! `--exact`: the posterior by enumeration, next to what was learned, computed from the policies without sampling.

use std::fmt::Write as _;
use std::path::Path;

use gfn_core::Result;
use gfn_core::aggregate::PriorPower;
use gfn_core::domain::Domain;
use gfn_core::exact::{StateGraph, normalise, paper_bound, sharp_bound};
use gfn_core::metrics::{jeffrey, jensen_shannon, l1};
use gfn_core::reward::LogReward;
use gfn_core::server::ServerModel;
use gfn_core::tensor_file::write_atomically;
use serde::Serialize;

use crate::files::quoted;

/// States that are enumerated at most.
pub const MAX_STATES: usize = 2_000_000;

/// Exact quality of a run. L1 is Σ|p − π|, 0 to 2; divergences in natural-log units.
#[derive(Debug, Clone, Serialize)]
pub struct ExactReport {
    /// Objects of the environment.
    pub objects: usize,
    /// log Σ_x p(D|x) p(x).
    pub log_marginal_likelihood: f64,
    /// Between the learned aggregate and the posterior.
    pub l1: f64,
    /// Between each client's policy and its own posterior.
    pub l1_clients: Vec<f64>,
    /// Between the exact aggregate of the clients (no server training) and the posterior.
    pub l1_exact_aggregation: f64,
    /// Jensen–Shannon divergence of the learned aggregate.
    pub jensen_shannon: f64,
    /// The same of each client's policy and its own posterior.
    pub jensen_shannon_clients: Vec<f64>,
    /// Jeffrey divergence of the learned aggregate.
    pub jeffrey: f64,
    /// Jeffrey divergence of the exact aggregate: what the bounds bound.
    pub jeffrey_exact_aggregation: f64,
    /// W of the paper's Theorem 3.4.
    pub bound: f64,
    /// W tanh(W/4).
    pub bound_sharp: f64,
}

/// Enumerates all objects, writes `exact.csv` (object,target,learned,target_0,learned_0,…) and reports. `full` is the
/// target of the aggregate, `clients` are those of the aggregate's clients in their order.
pub fn write_exact<D: Domain>(
    path: &Path,
    domain: &D,
    full: &dyn LogReward<D::Env>,
    clients: &[&dyn LogReward<D::Env>],
    server: &ServerModel,
) -> Result<ExactReport> {
    let env = domain.environment().as_ref();
    let graph = StateGraph::enumerate(env, MAX_STATES)?;
    let (log_marginal_likelihood, target) = normalise(&graph.log_rewards(env, full));
    // As the clients' below, to the last bit: a single client may be the aggregate.
    let learned = graph.distribution(&graph.edge_policy(env, server.policy.as_ref()));
    let mut targets = Vec::new();
    let mut learned_clients = Vec::new();
    let mut policies = Vec::new();
    let mut ranges = Vec::new();
    for (reward, (policy, weight)) in clients.iter().zip(server.weighted_clients()) {
        let log_rewards = graph.log_rewards(env, *reward);
        let (log_z, client_target) = normalise(&log_rewards);
        let edges = graph.edge_policy(env, policy.as_ref());
        // In logs: an object may be a thousand nats below the best, and its probability 0 in floating point.
        let log_target: Vec<f64> = log_rewards.iter().map(|r| r - log_z).collect();
        let (low, high) = graph.score_range(&edges, &log_target);
        ranges.push((weight, low, high));
        learned_clients.push(graph.distribution(&edges));
        targets.push(client_target);
        policies.push((edges, weight));
    }
    let factor = PriorPower::for_product(domain.log_prior(), &server.meta.clients);
    let log_factor = graph.log_rewards(env, &factor);
    let references: Vec<_> = policies.iter().map(|(edges, weight)| (edges, *weight)).collect();
    let aggregate = graph.aggregate(&references, &log_factor);

    let objects: Vec<_> = graph.objects().collect();
    let mut order: Vec<usize> = (0..objects.len()).collect();
    order.sort_by(|&a, &b| target[b].total_cmp(&target[a]).then(a.cmp(&b)));
    let mut text = String::from("object,target,learned");
    for k in 0..targets.len() {
        let _ = write!(text, ",target_{k},learned_{k}");
    }
    text.push('\n');
    for i in order {
        let _ = write!(text, "{},{},{}", quoted(&domain.object_name(objects[i])), target[i], learned[i]);
        for (target, learned) in targets.iter().zip(&learned_clients) {
            let _ = write!(text, ",{},{}", target[i], learned[i]);
        }
        text.push('\n');
    }
    write_atomically(path, text.as_bytes())?;
    let bound = paper_bound(&ranges);
    Ok(ExactReport {
        objects: objects.len(),
        log_marginal_likelihood,
        l1: l1(&learned, &target),
        l1_clients: targets.iter().zip(&learned_clients).map(|(t, l)| l1(l, t)).collect(),
        l1_exact_aggregation: l1(&aggregate, &target),
        jensen_shannon: jensen_shannon(&learned, &target),
        jensen_shannon_clients: (targets.iter().zip(&learned_clients))
            .map(|(target, learned)| jensen_shannon(learned, target))
            .collect(),
        jeffrey: jeffrey(&learned, &target),
        jeffrey_exact_aggregation: jeffrey(&aggregate, &target),
        bound,
        bound_sharp: sharp_bound(bound),
    })
}
