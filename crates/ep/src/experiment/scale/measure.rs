//! How far a policy is from a target that is known in closed form but cannot be enumerated.

use gfn_core::environment::Environment;
use gfn_core::math::mean_and_deviation;
use gfn_core::metrics::{effective_sample_size, elbo, log_mean_weight};
use gfn_core::policy::Policy;
use gfn_core::random::ChaCha8Rng;
use gfn_core::rollout::{Walk, sample_walks};
use gfn_core::score::trajectory_scores;

use super::problem::LargeProblem;

/// Evaluated actions of a chunk of walks, at most about this many per step: memory stays small.
const CHUNK_ACTIONS: usize = 20_000;

/// Largest log-ratio for which the exponential of it is a useful control variate.
const SMALL_RATIO: f64 = 2.0;

/// Sizes of a measurement.
#[derive(Debug, Clone, Copy)]
pub struct Amount {
    /// Objects drawn from the policy, and from the product.
    pub objects: usize,
    /// Backward walks from each of them.
    pub walks: usize,
}

/// What is measured of a policy, in natural logs.
#[derive(Debug, Clone, Copy)]
pub struct Distance {
    /// KL(policy ‖ product) of trajectories, which is at least that of objects.
    pub reverse: f64,
    /// A number that in expectation is at most KL(policy ‖ product) of objects.
    pub reverse_at_least: f64,
    /// KL(product ‖ policy) of trajectories, which is at least that of objects.
    pub forward: f64,
    /// A number that in expectation is at least KL(product ‖ policy) of objects, and at most that of trajectories.
    pub forward_at_most: f64,
    /// Estimate of log Z from the policy's own samples, less the truth.
    pub log_z_error: f64,
    /// log Z less the mean log-weight of the policy's own samples: never below −`log_z_error` (Jensen).
    pub bound_gap: f64,
    /// Effective sample size of the policy's own samples, per sample.
    pub effective: f64,
}

/// The objects of walks and each policy's S of them, chunk by chunk.
fn scored<E: Environment>(
    problem: &LargeProblem<E>,
    policies: &[&dyn Policy],
    walks: Vec<Walk<E::State>>,
    rng: &mut ChaCha8Rng,
) -> (Vec<E::State>, Vec<Vec<f64>>) {
    let env = problem.env.as_ref();
    let chunk = (CHUNK_ACTIONS / env.spec().n_forward).max(1);
    let (mut objects, mut scores) = (Vec::new(), vec![Vec::new(); policies.len()]);
    let mut walks = walks.into_iter().peekable();
    while walks.peek().is_some() {
        let batch = sample_walks(env, policies[0], walks.by_ref().take(chunk).collect(), rng);
        objects.extend((0..batch.len()).map(|b| batch.object(b).clone()));
        for (policy, scores) in policies.iter().zip(&mut scores) {
            scores.extend(trajectory_scores(env, *policy, &batch));
        }
    }
    (objects, scores)
}

/// E_p log(p/q) from log-ratios log(p/q) of draws from p. As E_p (q/p) = 1, the mean of log(p/q) + q/p − 1 is the same and
/// has much less noise where all ratios are small (a control variate); else the plain mean.
fn divergence(log_ratios: &[f64]) -> f64 {
    let small = log_ratios.iter().all(|r| r.abs() < SMALL_RATIO);
    let term = |r: &f64| if small { r + (-r).exp_m1() } else { *r };
    log_ratios.iter().map(term).sum::<f64>() / log_ratios.len() as f64
}

/// Measures a policy against the product.
///
/// With S(τ) = Σ log p_F − Σ log p_B, trajectories of the policy have the log-ratio S(τ) − log π(x) to those of the product,
/// π(x) p_B(τ|x), so that their divergences bound those of objects. The mean of exp S over backward walks from x estimates
/// the policy's probability of x; its log is in expectation too small (Burda et al. 2016), which gives the other bounds.
pub fn distance<E: Environment>(
    problem: &LargeProblem<E>,
    policy: &dyn Policy,
    amount: Amount,
    rng: &mut ChaCha8Rng,
) -> Distance {
    let env = problem.env.as_ref();
    let log_target = |x: &E::State| problem.product.log_reward(env, x) - problem.log_z;
    let exact = exact_objects(problem, amount, rng);
    let own = vec![Walk::Forward { scale: 1.0, epsilon: 0.0, tilt: 0.0 }; amount.objects];
    let (objects, scores) = scored(problem, &[policy], own, rng);
    let log_ratios: Vec<f64> = objects.iter().zip(&scores[0]).map(|(x, s)| s - log_target(x)).collect();
    let log_weights: Vec<f64> = log_ratios.iter().map(|r| problem.log_z - r).collect();
    let mut backward = |objects: &[E::State]| {
        let walks = objects.iter().flat_map(|x| std::iter::repeat_n(Walk::Backward(x.clone()), amount.walks));
        scored(problem, &[policy], walks.collect(), rng).1.remove(0)
    };
    // Mean log of the estimated probability of each object, less the log of the true one.
    let mean_excess = |objects: &[E::State], scores: &[f64]| {
        let excess = objects.iter().zip(scores.chunks(amount.walks));
        excess.map(|(x, scores)| log_mean_weight(scores) - log_target(x)).sum::<f64>() / objects.len() as f64
    };
    let again = backward(&objects);
    let reverse_at_least = mean_excess(&objects, &again);
    let scores = backward(&exact);
    let forward: Vec<f64> =
        exact.iter().zip(scores.iter().step_by(amount.walks)).map(|(x, s)| log_target(x) - s).collect();
    Distance {
        reverse: divergence(&log_ratios),
        reverse_at_least,
        forward: divergence(&forward),
        forward_at_most: -mean_excess(&exact, &scores),
        log_z_error: log_mean_weight(&log_weights) - problem.log_z,
        bound_gap: problem.log_z - elbo(&log_weights),
        effective: effective_sample_size(&log_weights) / amount.objects as f64,
    }
}

fn exact_objects<E: Environment>(
    problem: &LargeProblem<E>,
    amount: Amount,
    rng: &mut ChaCha8Rng,
) -> Vec<E::State> {
    (0..amount.objects).map(|_| (problem.draw)(rng)).collect()
}

/// Whose error it is: over trajectories of the product, the variance of Σ_n S_n − log π, which the clients leave even to a
/// perfect server, and that of S − Σ_n S_n, which the server adds.
pub fn whose_error<E: Environment>(
    problem: &LargeProblem<E>,
    clients: &[&dyn Policy],
    server: &dyn Policy,
    amount: Amount,
    rng: &mut ChaCha8Rng,
) -> (f64, f64) {
    let env = problem.env.as_ref();
    let objects = exact_objects(problem, amount, rng);
    let policies: Vec<&dyn Policy> = std::iter::once(server).chain(clients.iter().copied()).collect();
    let walks = objects.iter().map(|x| Walk::Backward(x.clone())).collect();
    let (objects, scores) = scored(problem, &policies, walks, rng);
    let sums: Vec<f64> = (0..objects.len()).map(|i| scores[1..].iter().map(|s| s[i]).sum()).collect();
    let variance = |values: Vec<f64>| mean_and_deviation(&values).1.powi(2);
    let of_clients = objects.iter().zip(&sums).map(|(x, s)| s - problem.product.log_reward(env, x)).collect();
    let of_server = scores[0].iter().zip(&sums).map(|(s, sum)| s - sum).collect();
    (variance(of_clients), variance(of_server))
}

#[cfg(test)]
mod tests {
    use gfn_core::exact::StateGraph;
    use gfn_core::metrics::kullback_leibler;
    use gfn_core::policy::Uniform;
    use gfn_core::random::stream;

    use super::*;
    use crate::experiment::scale::problem::{multisets, sequences};

    fn uniform<E: Environment>(env: &E) -> Uniform {
        Uniform::new(env.spec())
    }

    /// The exact divergences of the uniform policy's objects, policy first.
    fn exact<E: Environment>(problem: &LargeProblem<E>) -> (f64, f64) {
        let env = problem.env.as_ref();
        let graph = StateGraph::enumerate(env, 10_000).unwrap();
        let q = graph.distribution(&graph.edge_policy(env, &uniform(env)));
        let log_rewards = graph.log_rewards(env, problem.product.as_ref());
        let p: Vec<f64> = log_rewards.iter().map(|r| (r - problem.log_z).exp()).collect();
        (kullback_leibler(&q, &p), kullback_leibler(&p, &q))
    }

    #[test]
    fn divergences_agree_with_enumeration() {
        let amount = Amount { objects: 4000, walks: 1 };
        let problem = sequences(3, 2, 1, 1).unwrap();
        let policy = uniform(problem.env.as_ref());
        let found = distance(&problem, &policy, amount, &mut stream(1, "a", 0));
        let (reverse, forward) = exact(&problem);
        // One path to each sequence: bounds are equalities. Ratios have a standard deviation below 3: five standard errors
        // are below 0.24.
        for (found, expected) in [
            (found.reverse, reverse),
            (found.reverse_at_least, reverse),
            (found.forward, forward),
            (found.forward_at_most, forward),
        ] {
            assert!((found - expected).abs() < 0.24, "{found}, expected {expected}");
        }
        assert!(found.bound_gap >= -found.log_z_error);
        assert!(reverse > 0.5 && forward > 0.5, "a problem that tells: {reverse} {forward}");
    }

    #[test]
    fn bounds_enclose_the_divergences_of_objects() {
        let amount = Amount { objects: 4000, walks: 8 };
        let problem = multisets(4, 3, 2, 1, 1).unwrap();
        let policy = uniform(problem.env.as_ref());
        let found = distance(&problem, &policy, amount, &mut stream(1, "a", 0));
        let (reverse, forward) = exact(&problem);
        // Ratios have a standard deviation below 1.2: five standard errors are below 0.1.
        let slack = 0.1;
        assert!(
            found.reverse_at_least < reverse + slack && reverse < found.reverse + slack,
            "{found:?} {reverse}"
        );
        assert!(forward < found.forward_at_most + slack, "{found:?} {forward}");
        assert!(found.forward_at_most < found.forward + slack, "{found:?}");
        assert!((found.reverse_at_least - reverse).abs() < 2.0 * slack, "{found:?} {reverse}");
        assert!(found.bound_gap >= -found.log_z_error);
        assert!(found.effective > 0.0 && found.effective <= 1.0);
    }

    #[test]
    fn the_control_variate_changes_the_noise_alone() {
        // p and q on two points, drawn in proportion: both means are exact.
        let (p, q) = ([0.6f64, 0.4], [0.5f64, 0.5]);
        let log_ratios: Vec<f64> =
            (0..10).map(|i| if i < 6 { (p[0] / q[0]).ln() } else { (p[1] / q[1]).ln() }).collect();
        let exact = kullback_leibler(&p, &q);
        assert!((divergence(&log_ratios) - exact).abs() < 1e-12);
        // A perfect policy has none at all.
        assert_eq!(divergence(&[0.0; 5]), 0.0);
    }
}
