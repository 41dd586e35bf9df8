//! Drawing objects from a policy, and what importance weights say about it where data are at hand.

use gfn_core::domain::Domain;
use gfn_core::math::mean_and_deviation;
use gfn_core::metrics::{effective_sample_size, elbo, log_mean_weight, pareto_k};
use gfn_core::policy::Policy;
use gfn_core::random::stream;
use gfn_core::reward::LogReward;
use gfn_core::rollout::{Walk, sample_on_policy, sample_walks};
use gfn_core::score::{log_probabilities, trajectory_scores};
use gfn_core::{Environment, Result};
use rayon::prelude::*;

use crate::process::stop_if_interrupted;
use crate::report::WeightReport;
use crate::stages::sample_chunk;

/// Trajectories to each object from which its probability is estimated, where actions are few.
const WALKS: usize = 16;
/// Trajectories are fewer where all their states with all their actions would be more than this.
const WALK_ACTIONS: usize = 300_000_000;

/// Objects in the order they were drawn, with what the policy says about them.
pub struct Samples<S> {
    /// The objects.
    pub objects: Vec<S>,
    /// Estimates of log p(x) of each ([`log_probabilities`], natural log); empty where nobody asked.
    pub log_probabilities: Vec<f64>,
}

/// Draws `n` objects from a policy; `scored` with estimates of their probabilities.
pub fn draw<D: Domain>(
    domain: &D,
    policy: &dyn Policy,
    n: usize,
    seed: u64,
    scored: bool,
) -> Result<Samples<<D::Env as Environment>::State>> {
    let env = domain.environment().as_ref();
    let chunk = sample_chunk(env.spec());
    let starts: Vec<usize> = (0..n).step_by(chunk).collect();
    // Every chunk has its own stream: the number of threads never changes the samples.
    let parts = starts
        .par_iter()
        .map(|&start| {
            stop_if_interrupted("sampling")?;
            let mut rng = stream(seed, "samples", start as u64);
            let batch = sample_on_policy(env, policy, chunk.min(n - start), &mut rng);
            let scores = if scored { trajectory_scores(env, policy, &batch) } else { Vec::new() };
            Ok(Walked {
                objects: batch.objects().into_iter().cloned().collect(),
                scores,
                slots: batch.n_slots(),
            })
        })
        .collect::<Result<Vec<_>>>()?;
    let log_probabilities = if scored { estimates(env, policy, &parts, seed)? } else { Vec::new() };
    Ok(Samples { objects: parts.into_iter().flat_map(|part| part.objects).collect(), log_probabilities })
}

/// Objects with S(τ) of one trajectory to each, and the visits of all trajectories.
struct Walked<S> {
    objects: Vec<S>,
    scores: Vec<f64>,
    slots: usize,
}

/// Estimates of log p(x) of the objects of all parts, from as many trajectories to each as are not too many.
fn estimates<E: Environment>(
    env: &E,
    policy: &dyn Policy,
    parts: &[Walked<E::State>],
    seed: u64,
) -> Result<Vec<f64>> {
    let actions = parts.iter().map(|part| part.slots).sum::<usize>() * env.spec().n_forward;
    let walks = (WALK_ACTIONS / actions.max(1)).clamp(1, WALKS);
    let estimates = (parts.par_iter().enumerate())
        .map(|(k, part)| {
            stop_if_interrupted("the probabilities of the samples")?;
            let mut rng = stream(seed, "walks to samples", k as u64);
            Ok(log_probabilities(env, policy, &part.objects, &part.scores, walks, &mut rng))
        })
        .collect::<Result<Vec<_>>>()?;
    Ok(estimates.concat())
}

impl<S: Send + Sync> Samples<S> {
    /// log R(x) − log p(x) of each sample (natural log, unnormalised).
    pub fn log_weights<E: Environment<State = S>>(&self, env: &E, reward: &dyn LogReward<E>) -> Vec<f64> {
        let weight = |(object, log_p): (&S, &f64)| reward.log_reward(env, object) - log_p;
        self.objects.par_iter().zip(&self.log_probabilities).map(weight).collect()
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
///
/// # Errors
/// An interruption.
pub fn residual_deviation<E: Environment>(
    env: &E,
    policy: &dyn Policy,
    reward: &dyn LogReward<E>,
    objects: &[E::State],
    seed: u64,
) -> Result<f64> {
    Ok(mean_and_deviation(&residuals(env, policy, reward, objects, seed)?).1)
}

/// log R(x) − log p(x) of given objects, in their order; p(x) is estimated as that of drawn ones.
///
/// # Errors
/// An interruption.
pub fn residuals<E: Environment>(
    env: &E,
    policy: &dyn Policy,
    reward: &dyn LogReward<E>,
    objects: &[E::State],
    seed: u64,
) -> Result<Vec<f64>> {
    // In parts, with a stream each: all states of a part are in memory at once.
    let parts: Vec<(usize, &[E::State])> = objects.chunks(sample_chunk(env.spec())).enumerate().collect();
    let parts: Vec<Walked<E::State>> = (parts.into_par_iter())
        .map(|(part, objects)| {
            let mut rng = stream(seed, "independent walks", part as u64);
            let walks = objects.iter().cloned().map(Walk::Backward).collect();
            let batch = sample_walks(env, policy, walks, &mut rng);
            let scores = trajectory_scores(env, policy, &batch);
            Walked { objects: objects.to_vec(), scores, slots: batch.n_slots() }
        })
        .collect();
    let log_p = estimates(env, policy, &parts, seed)?;
    Ok(objects.iter().zip(log_p).map(|(object, log_p)| reward.log_reward(env, object) - log_p).collect())
}
