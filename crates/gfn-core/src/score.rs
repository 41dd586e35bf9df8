//! Scores S(τ) = log p_F(τ) − log p_B(τ|x) of trajectories, and how their log-probabilities come from policy outputs.

use rand::rngs::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use crate::encoding::StateBatch;
use crate::environment::Environment;
use crate::evaluation::Evaluations;
use crate::losses::LossGradient;
use crate::math::{mean_and_deviation, subtract_softmax_term};
use crate::policy::{LogProbabilities, Output, Policy, Uniform};
use crate::reward::Target;
use crate::rollout::{Walk, sample_walks};
use crate::simd::subtract_multiple;
use crate::trajectory::{NO_ACTION, TrajectoryBatch};

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
