//! Drawing objects from a policy, and what importance weights say about it where data are at hand.

use gfn_core::domain::Domain;
use gfn_core::math::mean_and_deviation;
use gfn_core::metrics::{effective_sample_size, elbo, log_mean_weight, pareto_k};
use gfn_core::policy::Policy;
use gfn_core::random::stream;
use gfn_core::reward::LogReward;
use gfn_core::rollout::{Walk, sample_on_policy, sample_walks};
use gfn_core::score::trajectory_scores;
use gfn_core::{Environment, Result};
use rayon::prelude::*;

use crate::process::stop_if_interrupted;
use crate::report::WeightReport;
use crate::stages::sample_chunk;

/// Objects in the order they were drawn, with the scores of the trajectories that led to them.
pub struct Samples<S> {
    /// The objects.
    pub objects: Vec<S>,
    /// S(τ) = log p_F(τ) − log p_B(τ | x) of each (natural log).
    pub scores: Vec<f64>,
}

/// Draws `n` objects from a policy.
pub fn draw<D: Domain>(
    domain: &D,
    policy: &dyn Policy,
    n: usize,
    seed: u64,
) -> Result<Samples<<D::Env as Environment>::State>> {
    let env = domain.environment().as_ref();
    let chunk = sample_chunk(env.spec());
    let chunks: Vec<usize> = (0..n).step_by(chunk).collect();
    // Every chunk has its own stream: the number of threads never changes the samples.
    let parts = chunks
        .par_iter()
        .map(|&start| {
            stop_if_interrupted("sampling")?;
            let mut rng = stream(seed, "samples", start as u64);
            let batch = sample_on_policy(env, policy, chunk.min(n - start), &mut rng);
            let scores = trajectory_scores(env, policy, &batch);
            Ok(Samples { objects: (0..batch.len()).map(|b| batch.object(b).clone()).collect(), scores })
        })
        .collect::<Result<Vec<_>>>()?;
    let mut all = Samples { objects: Vec::with_capacity(n), scores: Vec::with_capacity(n) };
    for part in parts {
        all.objects.extend(part.objects);
        all.scores.extend(part.scores);
    }
    Ok(all)
}

impl<S: Send + Sync> Samples<S> {
    /// log R(x) − S(τ) of each sample (natural log, unnormalised).
    pub fn log_weights<E: Environment<State = S>>(&self, env: &E, reward: &dyn LogReward<E>) -> Vec<f64> {
        let weight = |(object, score): (&S, &f64)| reward.log_reward(env, object) - score;
        self.objects.par_iter().zip(&self.scores).map(weight).collect()
    }
}

/// What log importance weights say; `independent` is [`residual_deviation`] over objects found without the policy.
pub fn weight_report(log_weights: &[f64], independent: Option<f64>) -> WeightReport {
    let size = effective_sample_size(log_weights);
    WeightReport {
        log_marginal_likelihood: log_mean_weight(log_weights),
        lower_bound: elbo(log_weights),
        effective_sample_size: size,
        effective_sample_fraction: size / log_weights.len() as f64,
        pareto_k: pareto_k(log_weights),
        residual_deviation: mean_and_deviation(log_weights).1,
        independent_residual_deviation: independent,
    }
}

/// Standard deviation of [`residuals`]. Over objects that were found independently it shows mass that the policy never
/// visits.
pub fn residual_deviation<E: Environment>(
    env: &E,
    policy: &dyn Policy,
    reward: &dyn LogReward<E>,
    objects: Vec<E::State>,
    seed: u64,
) -> f64 {
    mean_and_deviation(&residuals(env, policy, reward, &objects, seed)).1
}

/// log R(x) − S(τ) of fresh trajectories to given objects, one each, in their order.
pub fn residuals<E: Environment>(
    env: &E,
    policy: &dyn Policy,
    reward: &dyn LogReward<E>,
    objects: &[E::State],
    seed: u64,
) -> Vec<f64> {
    // In parts, with a stream each: all states of a part are in memory at once.
    let parts: Vec<(usize, &[E::State])> = objects.chunks(sample_chunk(env.spec())).enumerate().collect();
    let residuals: Vec<Vec<f64>> = (parts.into_par_iter())
        .map(|(part, objects)| {
            let mut rng = stream(seed, "independent walks", part as u64);
            let walks = objects.iter().cloned().map(Walk::Backward).collect();
            let batch = sample_walks(env, policy, walks, &mut rng);
            let scores = trajectory_scores(env, policy, &batch);
            scores.iter().enumerate().map(|(b, s)| reward.log_reward(env, batch.object(b)) - s).collect()
        })
        .collect();
    residuals.concat()
}
