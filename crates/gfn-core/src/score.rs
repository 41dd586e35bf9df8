//! Scores S(τ) = log p_F(τ) − log p_B(τ|x) of trajectories, and how their log-probabilities come from policy outputs.

use rand::rngs::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use crate::encoding::StateBatch;
use crate::environment::Environment;
use crate::evaluation::Evaluations;
use crate::losses::LossGradient;
use crate::math::{mean_and_deviation, subtract_softmax_term};
use crate::metrics::log_mean_weight;
use crate::policy::{LogProbabilities, Output, Policy, Uniform};
use crate::reward::Target;
use crate::rollout::{Walk, sample_walks};
use crate::simd::subtract_multiple;
use crate::trajectory::{NO_ACTION, TrajectoryBatch};

/// Scores of two trajectories that differ by less are of the same path, or as good as that.
pub const ROUNDING: f64 = 1e-9;
/// No position: the slot has no such action.
const NOWHERE: usize = usize::MAX;

/// Log-probabilities of the actions of a trajectory batch, slot by slot, and where they stand in the policy's output.
#[derive(Debug, Clone)]
pub(crate) struct Gathered {
    pub log_forward: Vec<f64>,
    pub log_backward: Vec<f64>,
    /// Empty where there is no stop action.
    pub log_stop: Vec<f64>,
    forward_positions: Vec<usize>,
    backward_positions: Vec<usize>,
    stop_positions: Vec<usize>,
}

impl Gathered {
    pub fn new<E: Environment>(
        batch: &TrajectoryBatch<E>,
        encoded: &StateBatch,
        log_p: &LogProbabilities,
        with_stop: bool,
    ) -> Self {
        let n = batch.n_slots();
        let mut gathered = Gathered {
            log_forward: vec![0.0; n],
            log_backward: vec![0.0; n],
            log_stop: Vec::new(),
            forward_positions: vec![NOWHERE; n],
            backward_positions: vec![NOWHERE; n],
            stop_positions: Vec::new(),
        };
        for slot in 0..n {
            let row = batch.numbers[slot] as usize;
            if batch.forward[slot] != NO_ACTION {
                let position = encoded.forward_position(row, batch.forward[slot]);
                gathered.forward_positions[slot] = position;
                gathered.log_forward[slot] = log_p.forward[position];
            }
            if batch.backward[slot] != NO_ACTION {
                let position = encoded.backward_position(row, batch.backward[slot]);
                gathered.backward_positions[slot] = position;
                gathered.log_backward[slot] = log_p.backward[position];
            }
            if with_stop {
                let position = encoded.forward_offsets[row + 1] - 1;
                gathered.stop_positions.push(position);
                gathered.log_stop.push(log_p.forward[position]);
            }
        }
        gathered
    }

    /// Turns derivatives with respect to the gathered log-probabilities into derivatives with respect to the logits.
    pub fn pull_back<E: Environment>(
        &self,
        batch: &TrajectoryBatch<E>,
        evaluations: &Evaluations,
        slopes: &LossGradient,
    ) -> Output {
        let Evaluations { encoded, log_p, probabilities, .. } = evaluations;
        let mut gradient = evaluations.output.zeros_like();
        let mut forward_totals = vec![0.0; encoded.rows];
        let mut backward_totals = vec![0.0; encoded.rows];
        for slot in 0..batch.n_slots() {
            let row = batch.numbers[slot] as usize;
            if self.forward_positions[slot] != NOWHERE {
                gradient.forward[self.forward_positions[slot]] += slopes.log_forward[slot];
                forward_totals[row] += slopes.log_forward[slot];
            }
            if !slopes.log_stop.is_empty() {
                gradient.forward[self.stop_positions[slot]] += slopes.log_stop[slot];
                forward_totals[row] += slopes.log_stop[slot];
            }
            if !gradient.backward.is_empty() && self.backward_positions[slot] != NOWHERE {
                gradient.backward[self.backward_positions[slot]] += slopes.log_backward[slot];
                backward_totals[row] += slopes.log_backward[slot];
            }
            if !gradient.log_flow.is_empty() && !slopes.log_flow.is_empty() {
                gradient.log_flow[row] += slopes.log_flow[slot];
            }
        }
        for row in 0..encoded.rows {
            let range = encoded.forward_offsets[row]..encoded.forward_offsets[row + 1];
            if forward_totals[row] != 0.0 {
                let slice = &mut gradient.forward[range.clone()];
                subtract_multiple(slice, &probabilities[range], forward_totals[row]);
            }
            if !gradient.backward.is_empty() {
                let range = encoded.backward_offsets[row]..encoded.backward_offsets[row + 1];
                let slice = &mut gradient.backward[range.clone()];
                subtract_softmax_term(slice, &log_p.backward[range], backward_totals[row]);
            }
        }
        gradient
    }
}

/// S(τ) of every trajectory under `policy` (natural log).
pub fn trajectory_scores<E: Environment>(
    env: &E,
    policy: &dyn Policy,
    batch: &TrajectoryBatch<E>,
) -> Vec<f64> {
    let encoded = StateBatch::new(env, batch.states(), policy.needs());
    let log_p = LogProbabilities::new(&encoded, &policy.forward(&encoded));
    let gathered = Gathered::new(batch, &encoded, &log_p, false);
    (0..batch.len())
        .map(|b| {
            let slots = batch.slots(b);
            gathered.log_forward[slots.clone()].iter().sum::<f64>()
                - gathered.log_backward[slots].iter().sum::<f64>()
        })
        .collect()
}

/// Estimates of log p(x), natural log, of objects x from `walks` trajectories to each: the log of the mean of e^{S(τ)}.
///
/// `scores` holds S(τ) of one trajectory to each object; `walks` − 1 more are walked backward under the fixed p_B: none where
/// the first of them shows that there is but one path to each, or where p_B is learned, of which S(τ) then is and the walks
/// are not. Under backward walks the mean of e^{S(τ)} is p(x); if the first trajectory is the one by which the policy drew x,
/// the weights R(x)/p̂(x) are still unbiased, whatever `walks` is (docs/mathematics.md §4), and spread the less the more there
/// are.
pub fn log_probabilities<E: Environment>(
    env: &E,
    policy: &dyn Policy,
    objects: &[E::State],
    scores: &[f64],
    walks: usize,
    rng: &mut ChaCha8Rng,
) -> Vec<f64> {
    let mut all: Vec<Vec<f64>> = vec![scores.to_vec()];
    let walks = if policy.spec().learned_backward { 1 } else { walks };
    while all.len() < walks {
        let backward = objects.iter().cloned().map(Walk::Backward).collect();
        let batch = sample_walks(env, policy, backward, rng);
        let more = trajectory_scores(env, policy, &batch);
        if all.len() == 1 && more.iter().zip(scores).all(|(a, b)| (a - b).abs() < ROUNDING) {
            return all.swap_remove(0);
        }
        all.push(more);
    }
    (0..objects.len())
        .map(|b| log_mean_weight(&all.iter().map(|scores| scores[b]).collect::<Vec<f64>>()))
        .collect()
}

/// S(τ) − ℓ(τ) of every trajectory.
pub fn residuals<E: Environment>(
    env: &E,
    policy: &dyn Policy,
    target: &dyn Target<E>,
    batch: &TrajectoryBatch<E>,
) -> Vec<f64> {
    let encoded = StateBatch::new(env, batch.states(), target.needs());
    let log_target = target.trajectories(env, batch, &encoded);
    trajectory_scores(env, policy, batch).iter().zip(log_target).map(|(s, l)| s - l).collect()
}

/// How far ℓ(τ) differs between trajectories to the same object: the root of the mean variance within objects, over `walks`
/// ≥ 2 backward walks from each, natural-log units.
///
/// Of a reward it is 0. Of a client ensemble it would be 0 if the clients were balanced, whatever their data are, as S_n(τ) is
/// then log R_n(x) up to a constant: what it shows is error that a server can see without data. Errors that are the same on
/// all paths to an object do not show.
pub fn path_spread<E: Environment>(
    env: &E,
    target: &dyn Target<E>,
    objects: &[E::State],
    walks: usize,
    rng: &mut ChaCha8Rng,
) -> f64 {
    let uniform = Uniform::new(env.spec());
    let each = (SPREAD_CHUNK / env.spec().n_forward / walks).max(1);
    let mut variances = Vec::with_capacity(objects.len());
    for objects in objects.chunks(each) {
        let backward = objects.iter().flat_map(|x| std::iter::repeat_n(Walk::Backward(x.clone()), walks));
        let batch = sample_walks(env, &uniform, backward.collect(), rng);
        let encoded = StateBatch::new(env, batch.states(), target.needs());
        let scores = target.trajectories(env, &batch, &encoded);
        variances.extend(scores.chunks(walks).map(|own| mean_and_deviation(own).1.powi(2)));
    }
    (variances.iter().sum::<f64>() / variances.len().max(1) as f64).sqrt()
}

/// How far S(τ) − ℓ(τ) spreads under three laws of trajectories: standard deviations in natural-log units.
///
/// A client's own L1 says little about the aggregate: the product may live in the client's tail. The spread under
/// flatter laws is the better quality gate (docs/mathematics.md §4).
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct ResidualSpread {
    /// Under the policy itself.
    pub own: f64,
    /// Under the policy with its logits × ¼.
    pub tempered: f64,
    /// Under the uniform policy.
    pub uniform: f64,
}

/// Trajectories times forward actions that are evaluated together when a residual spread is measured.
const SPREAD_CHUNK: usize = 20_000;

/// Measures the residual spread with `n` trajectories of each law.
pub fn residual_spread<E: Environment>(
    env: &E,
    policy: &dyn Policy,
    target: &dyn Target<E>,
    n: usize,
    rng: &mut ChaCha8Rng,
) -> ResidualSpread {
    // All states of a part are in memory at once, with all their actions: uniform walks can be long.
    let chunk = (SPREAD_CHUNK / env.spec().n_forward).max(1);
    let mut spread = |scale: f64| {
        let mut finite = Vec::with_capacity(n);
        for start in (0..n).step_by(chunk) {
            let walks = vec![Walk::Forward { scale, epsilon: 0.0, tilt: 0.0 }; chunk.min(n - start)];
            let batch = sample_walks(env, policy, walks, rng);
            finite.extend(residuals(env, policy, target, &batch).into_iter().filter(|r| r.is_finite()));
        }
        mean_and_deviation(&finite).1
    };
    ResidualSpread { own: spread(1.0), tempered: spread(0.25), uniform: spread(0.0) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exact::StateGraph;
    use crate::grid::{Cell, Grid};
    use crate::policy::{PolicyKind, PolicySpec};
    use crate::random::stream;
    use crate::rollout::sample_on_policy;
    use rustc_hash::FxHashMap;

    fn grid_and_policy() -> (Grid, Box<dyn crate::policy::TrainablePolicy>) {
        let env = Grid::new(2, 3).expect("a grid");
        let kind = PolicyKind::Mlp(crate::policy::MlpSettings { output_scale: 1.0, ..Default::default() });
        let spec = PolicySpec { env: env.spec().clone(), kind, learned_backward: false, flow: false };
        let policy = spec.build(4).expect("a network");
        (env, policy)
    }

    /// Backward walks alone: the mean is p(x). Forty estimates of 100 walks to each of 9 objects; a band of 6 standard errors,
    /// false alarms below 1e-5 (Student's t, 39 degrees of freedom).
    #[test]
    fn probabilities_from_many_walks_are_the_exact_ones() {
        let (env, policy) = grid_and_policy();
        let policy = policy.as_policy();
        let graph = StateGraph::enumerate(&env, 100).expect("nine cells");
        let exact = graph.policy_distribution(&env, policy);
        let mut rng = stream(5, "walks", 0);
        let objects: Vec<Cell> = graph.objects().cloned().collect();
        let estimates: Vec<Vec<f64>> = (0..40)
            .map(|_| {
                let walks = objects.iter().cloned().map(Walk::Backward).collect();
                let batch = sample_walks(&env, policy, walks, &mut rng);
                let scores = trajectory_scores(&env, policy, &batch);
                log_probabilities(&env, policy, &objects, &scores, 100, &mut rng)
            })
            .collect();
        let mut spread = 0;
        for (b, exact) in exact.iter().enumerate() {
            let own: Vec<f64> = estimates.iter().map(|all| all[b].exp()).collect();
            let (mean, deviation) = mean_and_deviation(&own);
            // Networks compute in single precision.
            let band = 6.0 * deviation / (own.len() as f64).sqrt() + 1e-6 * exact;
            assert!((mean - exact).abs() < band, "{:?}: {mean} {exact} ± {band}", objects[b]);
            spread += usize::from(deviation > 1e-3 * exact);
        }
        // There is one path to the cells of two edges, and several to the four others.
        assert_eq!(spread, 4);
    }

    /// Weights p(x)/p̂(x) of drawn objects have the mean 1 for any number of walks, and spread less with more. 20 000 draws; a
    /// band of 5 standard errors, false alarms of 1e-6.
    #[test]
    fn weights_of_drawn_objects_are_unbiased_for_any_number_of_walks() {
        let (env, policy) = grid_and_policy();
        let policy = policy.as_policy();
        let graph = StateGraph::enumerate(&env, 100).expect("nine cells");
        let exact = graph.policy_distribution(&env, policy);
        let exact: FxHashMap<&Cell, f64> = graph.objects().zip(exact).collect();
        let mut rng = stream(6, "draws", 0);
        let batch = sample_on_policy(&env, policy, 20_000, &mut rng);
        let scores = trajectory_scores(&env, policy, &batch);
        let objects: Vec<Cell> = batch.objects().into_iter().cloned().collect();
        let deviations = [1, 2, 5].map(|walks| {
            let log_p = log_probabilities(&env, policy, &objects, &scores, walks, &mut rng);
            let weights: Vec<f64> =
                objects.iter().zip(log_p).map(|(x, log_p)| exact[x] / log_p.exp()).collect();
            let (mean, deviation) = mean_and_deviation(&weights);
            let error = deviation / (weights.len() as f64).sqrt();
            assert!((mean - 1.0).abs() < 5.0 * error, "{walks} walks: {mean} ± {error}");
            deviation
        });
        assert!(deviations[0] > 1.3 * deviations[1] && deviations[1] > 1.3 * deviations[2], "{deviations:?}");
    }
}
