//! Complete trajectories: forward under an explored policy, or backward from known objects.

use rand::rngs::ChaCha8Rng;
use rand::{Rng, RngExt, SeedableRng};
use rand_distr::{Distribution, StandardNormal};
use serde::{Deserialize, Serialize};

use crate::encoding::{Needs, StateBatch};
use crate::environment::Environment;
use crate::evaluation::{Evaluate, Evaluations};
use crate::math::exponentiate_in_place;
use crate::policy::{Kept, Output, Policy};
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
    // Nobody asks for the states of a step again: long walks of many actions would fill the memory.
    let mut evaluations = Evaluations::new(env);
    let evaluate =
        |encoded: &StateBatch, _: usize, output: &mut Output, _: &mut Kept| *output = policy.forward(encoded);
    let mut batch = draw_walks(env, walks, rng, |mut walks, rng, paths| {
        while !walks.is_empty() {
            evaluations.clear();
            let rows = evaluations.rows(env, policy.needs(), &evaluate, ends(&walks, paths));
            walks = advance(env, &evaluations, walks, &rows, paths, rng);
        }
    });
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

/// [`sample_walks`] with the evaluations of all their states, which are the batch's distinct states; `needs` is what has to
/// be in the encoded states.
pub(crate) fn sample_evaluated<E: Environment>(
    env: &E,
    evaluations: &mut Evaluations<E>,
    evaluate: Evaluate,
    needs: Needs,
    walks: Vec<Walk<E::State>>,
    rng: &mut ChaCha8Rng,
) -> TrajectoryBatch<E> {
    evaluations.clear();
    let mut batch = draw_walks(env, walks, rng, |mut walks, rng, paths| {
        while !walks.is_empty() {
            let rows = evaluations.rows(env, needs, evaluate, ends(&walks, paths));
            walks = advance(env, evaluations, walks, &rows, paths, rng);
        }
    });
    // The states of backward walks are evaluated here.
    batch.set_distinct(evaluations.rows(env, needs, evaluate, batch.states.iter()));
    batch
}

struct ForwardWalk {
    path: usize,
    scale: f64,
    epsilon: f64,
    tilts: Option<Vec<f64>>,
}

/// Draws backward walks, and has the forward ones drawn.
fn draw_walks<E: Environment>(
    env: &E,
    walks: Vec<Walk<E::State>>,
    rng: &mut ChaCha8Rng,
    walk_forward: impl FnOnce(Vec<ForwardWalk>, &mut ChaCha8Rng, &mut [Path<E::State>]),
) -> TrajectoryBatch<E> {
    let mut forward_walks = Vec::new();
    let mut paths = Vec::with_capacity(walks.len());
    for (b, walk) in walks.into_iter().enumerate() {
        match walk {
            Walk::Forward { scale, epsilon, tilt } => {
                let tilts = (tilt > 0.0).then(|| {
                    let mut own = ChaCha8Rng::seed_from_u64(rng.next_u64());
                    let draw = |_| tilt * Distribution::<f64>::sample(&StandardNormal, &mut own);
                    (0..env.spec().n_forward_outputs()).map(draw).collect()
                });
                forward_walks.push(ForwardWalk { path: b, scale, epsilon, tilts });
                paths.push(Path {
                    states: vec![env.initial()],
                    forward: Vec::new(),
                    backward: vec![NO_ACTION],
                });
            }
            Walk::Backward(object) => paths.push(walk_backward(env, object, rng)),
        }
    }
    walk_forward(forward_walks, rng, &mut paths);
    let mut batch = TrajectoryBatch::default();
    for path in paths {
        batch.push(path.states, path.forward, path.backward);
    }
    batch
}

/// Where the walks stand.
fn ends<'a, S>(walks: &'a [ForwardWalk], paths: &'a [Path<S>]) -> impl Iterator<Item = &'a S> {
    walks.iter().map(|walk| paths[walk.path].states.last().expect("a walk has a state"))
}

/// One action of each walk from its evaluated state; those that have not ended are returned.
fn advance<E: Environment>(
    env: &E,
    evaluations: &Evaluations<E>,
    walks: Vec<ForwardWalk>,
    rows: &[u32],
    paths: &mut [Path<E::State>],
    rng: &mut ChaCha8Rng,
) -> Vec<ForwardWalk> {
    let stop = env.spec().stop_action();
    let mut weights: Vec<f64> = Vec::new();
    let (encoded, output) = (&evaluations.encoded, &evaluations.output);
    let mut still = Vec::with_capacity(walks.len());
    for (walk, &row) in walks.into_iter().zip(rows) {
        let path = &mut paths[walk.path];
        let legal = encoded.forward_of(row as usize);
        if legal.is_empty() {
            path.forward.push(NO_ACTION);
            continue;
        }
        let position = if walk.epsilon > 0.0 && rng.random::<f64>() < walk.epsilon {
            rng.random_range(0..legal.len())
        } else {
            let start = encoded.forward_offsets[row as usize];
            let positions = start..start + legal.len();
            if walk.scale == 1.0 && walk.tilts.is_none() {
                draw_from_weights(&evaluations.probabilities[positions], rng)
            } else {
                weights.clear();
                weights.extend(output.forward[positions].iter().map(|l| l * walk.scale));
                if let Some(tilts) = &walk.tilts {
                    weights.iter_mut().zip(legal).for_each(|(w, &a)| *w += tilts[a as usize]);
                }
                exponentiate_in_place(&mut weights);
                draw_from_weights(&weights, rng)
            }
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
    still
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grid::{Cell, Grid};
    use crate::policy::{PolicyKind, PolicySpec, SetEncoderSettings};
    use crate::random::stream;

    #[test]
    fn evaluations_of_sampling_are_those_of_its_distinct_states() {
        let env = Grid::new(2, 5).expect("a grid");
        let kinds =
            [PolicyKind::Mlp(Default::default()), PolicyKind::SetEncoder(SetEncoderSettings::default())];
        for kind in kinds {
            let spec = PolicySpec { env: env.spec().clone(), kind, learned_backward: true, flow: true };
            let policy = spec.build(1).expect("a network");
            let forward = Walk::Forward { scale: 1.0, epsilon: 0.1, tilt: 0.5 };
            let backward = [[4, 4], [0, 3], [2, 2]].map(|c| Walk::Backward(Cell::new(&c)));
            let walks: Vec<_> = std::iter::repeat_n(forward, 9).chain(backward).collect();
            let evaluate = |encoded: &StateBatch, first: usize, output: &mut Output, kept: &mut Kept| {
                policy.evaluate(encoded, first, output, kept);
            };
            let draw = || stream(5, "walks", 0);
            let mut found = Evaluations::new(&env);
            let needs = policy.needs();
            // Twice, since training goes on with what another step has left.
            sample_evaluated(&env, &mut found, &evaluate, needs, walks[..5].to_vec(), &mut draw());
            let batch = sample_evaluated(&env, &mut found, &evaluate, needs, walks.clone(), &mut draw());
            let plain = sample_walks(&env, policy.as_policy(), walks, &mut draw());
            assert_eq!((&batch.states, &batch.forward), (&plain.states, &plain.forward));
            let encoded = StateBatch::new(&env, batch.distinct_states(), needs);
            assert_eq!(found.encoded, encoded);
            let (mut output, mut kept) = (Output::default(), Kept::default());
            policy.evaluate(&encoded, 0, &mut output, &mut kept);
            assert_eq!((&found.output, &found.kept), (&output, &kept));
            for (slot, &row) in batch.distinct_of.iter().enumerate() {
                let distinct = batch.distinct[row as usize] as usize;
                assert_eq!(batch.states[slot], batch.states[distinct]);
            }
            assert_eq!(found.encoded.rows, plain.distinct.len());
        }
    }
}
