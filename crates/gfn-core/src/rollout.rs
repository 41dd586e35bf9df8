//! Complete trajectories: forward under an explored policy, or backward from known objects.

use rand::rngs::ChaCha8Rng;
use rand::{Rng, RngExt, SeedableRng};
use rand_distr::{Distribution, StandardNormal};
use serde::{Deserialize, Serialize};

use crate::encoding::StateBatch;
use crate::environment::Environment;
use crate::policy::Policy;
use crate::trajectory::{NO_ACTION, TrajectoryBatch};

/// Where a share of the trajectories of a batch comes from (docs/mathematics.md §3).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "from", deny_unknown_fields)]
pub enum Source {
    /// The policy being trained.
    Own {
        /// Factor on its logits; below 1 the walk is flatter than the policy.
        scale: f64,
        /// Draw the factor anew for each trajectory, uniformly between 0 and `scale`.
        #[serde(default)]
        random_scale: bool,
        /// Probability of a uniformly drawn action in each step.
        epsilon: f64,
        /// Standard deviation of random log-weights drawn once per trajectory and action: imitates unknown factors.
        #[serde(default)]
        tilt: f64,
    },
    /// Uniform over legal actions.
    UniformPolicy,
    /// Backward from uniformly drawn objects.
    UniformObjects,
    /// Backward from the best objects seen so far.
    Replay,
    /// Backward from objects somebody else proposed: the server's samples.
    Proposals,
    /// Backward from objects that a Markov chain on the client's own data found.
    Chain,
}

impl Source {
    /// The policy itself with ε-uniform steps.
    pub fn on_policy(epsilon: f64) -> Source {
        Source::Own { scale: 1.0, random_scale: false, epsilon, tilt: 0.0 }
    }

    /// The policy with scaled logits.
    pub fn scaled(scale: f64, epsilon: f64) -> Source {
        Source::Own { scale, random_scale: false, epsilon, tilt: 0.0 }
    }
}

/// A source and its share of the batch.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Share {
    /// Fraction of the trajectories; shares are normalised by their sum.
    pub share: f64,
    /// Where they come from.
    #[serde(flatten)]
    pub source: Source,
}

/// One trajectory to be drawn.
#[derive(Debug, Clone)]
pub enum Walk<S> {
    /// Forward: scale of the logits, ε, and standard deviation of the tilt.
    Forward {
        /// Factor on the logits; 0 is the uniform policy.
        scale: f64,
        /// Probability of a uniform action.
        epsilon: f64,
        /// Standard deviation of random log-weights.
        tilt: f64,
    },
    /// Backward from this object under the environment's fixed backward policy.
    Backward(S),
}

struct Path<S> {
    states: Vec<S>,
    forward: Vec<u32>,
    backward: Vec<u32>,
}

/// Draws the walks, in their order; all forward ones advance together, one network call per step.
pub fn sample_walks<E: Environment>(
    env: &E,
    policy: &dyn Policy,
    walks: Vec<Walk<E::State>>,
    rng: &mut ChaCha8Rng,
) -> TrajectoryBatch<E> {
    let mut forward_walks = Vec::new();
    let mut paths: Vec<Option<Path<E::State>>> = Vec::with_capacity(walks.len());
    for (b, walk) in walks.into_iter().enumerate() {
        match walk {
            Walk::Forward { scale, epsilon, tilt } => {
                let tilts = (tilt > 0.0).then(|| {
                    let mut own = ChaCha8Rng::seed_from_u64(rng.next_u64());
                    let draw = |_| tilt * Distribution::<f64>::sample(&StandardNormal, &mut own);
                    (0..env.spec().n_forward_outputs()).map(draw).collect()
                });
                forward_walks.push(ForwardWalk { path: b, scale, epsilon, tilts });
                let path =
                    Path { states: vec![env.initial()], forward: Vec::new(), backward: vec![NO_ACTION] };
                paths.push(Some(path));
            }
            Walk::Backward(object) => paths.push(Some(walk_backward(env, object, rng))),
        }
    }
    walk_forward(env, policy, forward_walks, &mut paths, rng);
    let mut batch = TrajectoryBatch::default();
    for path in paths.into_iter().flatten() {
        batch.push(path.states, path.forward, path.backward);
    }
    batch.find_distinct();
    batch
}

/// `n` trajectories of the policy itself.
pub fn sample_on_policy<E: Environment>(
    env: &E,
    policy: &dyn Policy,
    n: usize,
    rng: &mut ChaCha8Rng,
) -> TrajectoryBatch<E> {
    sample_walks(env, policy, vec![Walk::Forward { scale: 1.0, epsilon: 0.0, tilt: 0.0 }; n], rng)
}

struct ForwardWalk {
    path: usize,
    scale: f64,
    epsilon: f64,
    tilts: Option<Vec<f64>>,
}

fn walk_forward<E: Environment>(
    env: &E,
    policy: &dyn Policy,
    mut walks: Vec<ForwardWalk>,
    paths: &mut [Option<Path<E::State>>],
    rng: &mut ChaCha8Rng,
) {
    let stop = env.spec().stop_action();
    let mut weights: Vec<f64> = Vec::new();
    while !walks.is_empty() {
        let current = |walk: &ForwardWalk| {
            paths[walk.path].as_ref().and_then(|p| p.states.last()).expect("a walk has a state")
        };
        let (rows, distinct) = find_rows::<E>(walks.iter().map(current));
        let encoded = StateBatch::new(env, distinct.into_iter().map(|w| current(&walks[w])), policy.needs());
        let output = policy.forward(&encoded);
        let mut still = Vec::with_capacity(walks.len());
        for (walk, row) in walks.into_iter().zip(rows) {
            let path = paths[walk.path].as_mut().expect("a walk has a path");
            let legal = encoded.forward_of(row);
            if legal.is_empty() {
                path.forward.push(NO_ACTION);
                continue;
            }
            let position = if walk.epsilon > 0.0 && rng.random::<f64>() < walk.epsilon {
                rng.random_range(0..legal.len())
            } else {
                weights.clear();
                let start = encoded.forward_offsets[row];
                weights.extend(output.forward[start..start + legal.len()].iter().map(|l| l * walk.scale));
                if let Some(tilts) = &walk.tilts {
                    weights.iter_mut().zip(legal).for_each(|(w, &a)| *w += tilts[a as usize]);
                }
                draw_from_logits(&mut weights, rng)
            };
            let action = legal[position];
            path.forward.push(action);
            if Some(action) == stop {
                continue;
            }
            let state = path.states.last().expect("a walk has a state");
            let (next, backward) = env.step(state, action);
            path.states.push(next);
            path.backward.push(backward);
            still.push(walk);
        }
        walks = still;
    }
}

/// For each state its row among the distinct ones, and for each distinct one the index of its first occurrence.
fn find_rows<'a, E: Environment>(states: impl Iterator<Item = &'a E::State>) -> (Vec<usize>, Vec<usize>) {
    let mut index: rustc_hash::FxHashMap<&E::State, usize> = rustc_hash::FxHashMap::default();
    let (mut rows, mut distinct) = (Vec::new(), Vec::new());
    for (i, state) in states.enumerate() {
        let next = distinct.len();
        let row = *index.entry(state).or_insert(next);
        if row == next {
            distinct.push(i);
        }
        rows.push(row);
    }
    (rows, distinct)
}

fn walk_backward<E: Environment>(env: &E, object: E::State, rng: &mut ChaCha8Rng) -> Path<E::State> {
    let mut states = vec![object];
    let mut forward = vec![env.spec().stop_action().unwrap_or(NO_ACTION)];
    let mut backward = Vec::new();
    let (mut actions, mut weights) = (Vec::new(), Vec::new());
    loop {
        actions.clear();
        weights.clear();
        let state = states.last().expect("never empty");
        env.backward_actions(state, &mut actions, &mut weights);
        if actions.is_empty() {
            backward.push(NO_ACTION);
            break;
        }
        let action = actions[draw_from_weights(&weights, rng)];
        let (previous, forward_action) = env.undo(state, action);
        backward.push(action);
        forward.push(forward_action);
        states.push(previous);
    }
    states.reverse();
    forward.reverse();
    backward.reverse();
    Path { states, forward, backward }
}

/// An index drawn with probability ∝ exp(logit). The logits are overwritten.
fn draw_from_logits(logits: &mut [f64], rng: &mut ChaCha8Rng) -> usize {
    let largest = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    logits.iter_mut().for_each(|logit| *logit = (*logit - largest).exp());
    draw_from_weights(logits, rng)
}

/// An index drawn with probability ∝ weight.
fn draw_from_weights(weights: &[f64], rng: &mut ChaCha8Rng) -> usize {
    let total: f64 = weights.iter().sum();
    let mut u = rng.random::<f64>() * total;
    for (index, weight) in weights.iter().enumerate() {
        u -= weight;
        if u < 0.0 {
            return index;
        }
    }
    // Rounding left a remainder: the last index that has any probability.
    weights.iter().rposition(|w| *w > 0.0).unwrap_or(weights.len() - 1)
}
