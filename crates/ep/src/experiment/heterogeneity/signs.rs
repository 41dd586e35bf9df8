//! Numbers that might foretell the aggregate's L1: with the truth at hand, and from the policies alone.

use std::sync::Arc;

use gfn_core::Result;
use gfn_core::aggregate::{ClientEnsemble, ClientLogits};
use gfn_core::environment::Environment;
use gfn_core::metrics::{l1, weighted_mean_and_deviation};
use gfn_core::policy::Policy;
use gfn_core::random::stream;
use gfn_core::rollout::{Walk, sample_on_policy, sample_walks};
use gfn_core::score::{path_spread, residual_spread, trajectory_scores};
use rand::RngExt;

use crate::experiment::problem::Problem;
use crate::experiment::training::reward_target;

/// Objects drawn from the aggregate, and trajectories drawn of each client.
const OBJECTS: usize = 400;
/// Backward walks from each object.
const WALKS: usize = 4;

/// √Var_π(Σ_n δ_n), of what Theorem 3.4 is about.
pub(super) const UNDER_PRODUCT: &str = "sd of the summed log-errors under the product";
/// √Σ_n Var_{π_n}(δ_n), what clients see of themselves.
pub(super) const UNDER_OWN: &str = "sd of the log-errors under the clients";
/// The largest of the clients' own L1.
pub(super) const OWN_L1: &str = "largest own L1 of a client";
/// √Σ_n of squared residual spreads, as clients write them into their files.
pub(super) const SPREAD_OWN: &str = "residual spread: own";
pub(super) const SPREAD_TEMPERED: &str = "residual spread: tempered";
pub(super) const SPREAD_UNIFORM: &str = "residual spread: uniform";
/// √E_x Var_{τ|x}(Σ_n S_n(τ)) over the aggregate's objects.
pub(super) const PATHS: &str = "path spread of the summed scores";
/// max_n of E_{own}(S_n) − E_{aggregate}(S_n).
pub(super) const DEPTH: &str = "depth in a client's tail";

/// What needs the clients' targets.
pub(super) fn with_the_truth<E: Environment>(
    problem: &Problem<E>,
    clients: &[Arc<dyn Policy>],
) -> Vec<(&'static str, f64)> {
    let log_target: Vec<f64> = problem.target.iter().map(|p| p.ln()).collect();
    let mut sum = vec![0.0; log_target.len()];
    let (mut own_variance, mut own_l1) = (0.0, 0f64);
    for (n, client) in clients.iter().enumerate() {
        let (learned, target) = (problem.distribution(client.as_ref()), problem.client_log_target(n));
        let errors: Vec<f64> = learned.iter().zip(&target).map(|(p, l)| p.ln() - l).collect();
        own_variance += weighted_mean_and_deviation(&errors, &target).1.powi(2);
        sum.iter_mut().zip(errors).for_each(|(sum, error)| *sum += error);
        own_l1 = own_l1.max(l1(&learned, &target.iter().map(|l| l.exp()).collect::<Vec<_>>()));
    }
    vec![
        (UNDER_PRODUCT, weighted_mean_and_deviation(&sum, &log_target).1),
        (UNDER_OWN, own_variance.sqrt()),
        (OWN_L1, own_l1),
    ]
}

/// What a client's file holds, and what a server can measure on its own: no client's data is looked at for the last two,
/// and a perfectly trained server stands for the aggregate's samples.
pub(super) fn from_policies<E: Environment>(
    problem: &Problem<E>,
    clients: &[Arc<dyn Policy>],
    aggregate: &[f64],
    seed: u64,
) -> Result<Vec<(&'static str, f64)>> {
    let env = problem.env.as_ref();
    let mut rng = stream(seed, "signs of failure", clients.len() as u64);
    let mut squares = [0.0; 3];
    for (client, reward) in clients.iter().zip(&problem.clients) {
        let target = reward_target(reward);
        let spread = residual_spread(env, client.as_ref(), target.as_ref(), OBJECTS, &mut rng);
        let of_laws = [spread.own, spread.tempered, spread.uniform];
        squares.iter_mut().zip(of_laws).for_each(|(sum, spread)| *sum += spread * spread);
    }
    let all: Vec<&E::State> = problem.graph.objects().collect();
    let draw = |_| {
        let mut u = rng.random::<f64>();
        let drawn = aggregate.iter().position(|p| {
            u -= p;
            u < 0.0
        });
        all[drawn.unwrap_or(all.len() - 1)].clone()
    };
    let objects: Vec<E::State> = (0..OBJECTS).map(draw).collect();
    let logits = Arc::new(ClientLogits::new(clients.iter().map(|c| (Arc::clone(c), 1.0)).collect())?);
    let paths = path_spread(env, &ClientEnsemble::new(logits, None), &objects, WALKS, &mut rng);
    let walks = objects.into_iter().map(Walk::Backward).collect();
    let batch = sample_walks(env, clients[0].as_ref(), walks, &mut rng);
    let mut depth = f64::NEG_INFINITY;
    for client in clients {
        let own = sample_on_policy(env, client.as_ref(), OBJECTS, &mut rng);
        let mean = |scores: Vec<f64>| scores.iter().sum::<f64>() / scores.len() as f64;
        let of_own = mean(trajectory_scores(env, client.as_ref(), &own));
        depth = depth.max(of_own - mean(trajectory_scores(env, client.as_ref(), &batch)));
    }
    Ok(vec![
        (SPREAD_OWN, squares[0].sqrt()),
        (SPREAD_TEMPERED, squares[1].sqrt()),
        (SPREAD_UNIFORM, squares[2].sqrt()),
        (PATHS, paths),
        (DEPTH, depth),
    ])
}

/// Spearman's rank correlation, from −1 to 1; equal values share the mean of their ranks. 0 where one side is constant.
pub(super) fn rank_correlation(x: &[f64], y: &[f64]) -> f64 {
    let centred = |values: &[f64]| -> Vec<f64> {
        let rank = |v: &f64| {
            let below = values.iter().filter(|w| *w < v).count() as f64;
            let equal = values.iter().filter(|w| *w == v).count() as f64;
            below + 0.5 * (equal - 1.0) - 0.5 * (values.len() as f64 - 1.0)
        };
        values.iter().map(rank).collect()
    };
    let (x, y) = (centred(x), centred(y));
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    let scale = (dot(&x, &x) * dot(&y, &y)).sqrt();
    if scale > 0.0 { dot(&x, &y) / scale } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rank_correlations_are_those_of_ranks() {
        let x = [1.0, 2.0, 3.0, 4.0, 5.0];
        assert!((rank_correlation(&x, &x.map(f64::exp)) - 1.0).abs() < 1e-12);
        assert!((rank_correlation(&x, &x.map(|v| -v)) + 1.0).abs() < 1e-12);
        // 1 − 6 Σ d²/(n (n² − 1)) of ranks 2 1 4 3 5 is 1 − 24/120.
        assert!((rank_correlation(&x, &[2.0, 1.0, 4.0, 3.0, 5.0]) - 0.8).abs() < 1e-12);
        // Ties: ranks 1.5 1.5 3 against 1 2 3.
        assert!((rank_correlation(&[7.0, 7.0, 9.0], &[1.0, 2.0, 3.0]) - 0.75f64.sqrt()).abs() < 1e-12);
        assert_eq!(rank_correlation(&[1.0, 1.0], &[1.0, 2.0]), 0.0);
    }
}
