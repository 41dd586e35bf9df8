//! Complete trajectories: forward under an explored policy, or backward from known objects.

use rand::rngs::ChaCha8Rng;
use rand::{Rng, RngExt, SeedableRng};
use rand_distr::{Distribution, StandardNormal};
use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};

use crate::encoding::{Needs, StateBatch};
use crate::environment::Environment;
use crate::evaluation::{Evaluate, Evaluations};
use crate::math::subtract_largest;
use crate::policy::{Kept, Output, Policy};
use crate::simd::exponentiate_all;
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

/// Draws the walks, in their order; all forward ones advance together, one network call per step.
pub fn sample_walks<E: Environment>(
    env: &E,
    policy: &dyn Policy,
    walks: Vec<Walk<E::State>>,
    rng: &mut ChaCha8Rng,
) -> TrajectoryBatch<E> {
    let evaluate =
        |encoded: &StateBatch, _: usize, output: &mut Output, _: &mut Kept| *output = policy.forward(encoded);
    let mut walker = Walker::default();
    let mut evaluations = Evaluations::new(env);
    // Nobody asks for the states of a step again: long walks of many actions would fill the memory.
    let mut row_of: FxHashMap<u32, u32> = FxHashMap::default();
    walker.draw(env, walks, rng, &mut evaluations, |evaluations, batch, walks, rows| {
        evaluations.clear();
        row_of.clear();
        rows.clear();
        for walk in walks {
            let next = row_of.len() as u32;
            let row = *row_of.entry(walk.number).or_insert(next);
            if row == next {
                evaluations.encoded.push(env, batch.state_of(walk.number), policy.needs());
            }
            rows.push(row);
        }
        evaluations.evaluate(&evaluate, 0);
    });
    walker.batch
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

/// [`sample_walks`] with the evaluations of all their states; `needs` is what has to be in the encoded states.
pub(crate) fn sample_evaluated<E: Environment>(
    env: &E,
    walker: &mut Walker<E>,
    evaluations: &mut Evaluations,
    evaluate: Evaluate,
    needs: Needs,
    walks: Vec<Walk<E::State>>,
    rng: &mut ChaCha8Rng,
) {
    evaluations.clear();
    walker.draw(env, walks, rng, evaluations, |evaluations, batch, walks, rows| {
        evaluations.follow(env, needs, evaluate, batch);
        rows.clear();
        rows.extend(walks.iter().map(|walk| walk.number));
    });
    // The states of backward walks, where no walk goes forward.
    evaluations.follow(env, needs, evaluate, &walker.batch);
}

/// A walk that goes forward, with the number of the state it stands in and the visit that is.
struct ForwardWalk {
    trajectory: u32,
    number: u32,
    visit: usize,
    scale: f64,
    epsilon: f64,
    tilts: Option<Vec<f64>>,
}

impl ForwardWalk {
    /// Whether it follows the policy as it is, but for single uniform steps.
    fn is_own(&self) -> bool {
        self.scale == 1.0 && self.tilts.is_none()
    }
}

/// What becomes a slot of its trajectory.
#[derive(Clone, Copy)]
struct Visit {
    trajectory: u32,
    number: u32,
    forward: u32,
    backward: u32,
}

/// Trajectories under way. All memory is used again by the next draw.
pub(crate) struct Walker<E: Environment> {
    pub batch: TrajectoryBatch<E>,
    /// Of all walks as they come; those of one walk are in its order.
    visits: Vec<Visit>,
    walks: Vec<ForwardWalk>,
    rows: Vec<u32>,
    actions: Vec<u32>,
    weights: Vec<f64>,
}

impl<E: Environment> Default for Walker<E> {
    fn default() -> Self {
        Walker {
            batch: TrajectoryBatch::default(),
            visits: Vec::new(),
            walks: Vec::new(),
            rows: Vec::new(),
            actions: Vec::new(),
            weights: Vec::new(),
        }
    }
}

impl<E: Environment> Walker<E> {
    /// Draws the walks into the batch. `look` evaluates the states of the forward walks that are under way and tells the
    /// row of each.
    fn draw(
        &mut self,
        env: &E,
        walks: Vec<Walk<E::State>>,
        rng: &mut ChaCha8Rng,
        evaluations: &mut Evaluations,
        mut look: impl FnMut(&mut Evaluations, &TrajectoryBatch<E>, &[ForwardWalk], &mut Vec<u32>),
    ) {
        self.batch.clear();
        self.visits.clear();
        self.walks.clear();
        let n = walks.len();
        let mut initial = None;
        for (trajectory, walk) in walks.into_iter().enumerate() {
            let trajectory = trajectory as u32;
            match walk {
                Walk::Forward { scale, epsilon, tilt } => {
                    let tilts = (tilt > 0.0).then(|| {
                        let mut own = ChaCha8Rng::seed_from_u64(rng.next_u64());
                        let draw = |_| tilt * Distribution::<f64>::sample(&StandardNormal, &mut own);
                        (0..env.spec().n_forward_outputs()).map(draw).collect()
                    });
                    let number = *initial.get_or_insert_with(|| self.batch.number(env.initial()));
                    let visit = self.visit(trajectory, number, NO_ACTION);
                    self.walks.push(ForwardWalk { trajectory, number, visit, scale, epsilon, tilts });
                }
                Walk::Backward(object) => self.walk_backward(env, trajectory, object, rng),
            }
        }
        while !self.walks.is_empty() {
            look(evaluations, &self.batch, &self.walks, &mut self.rows);
            self.advance(env, evaluations, rng);
        }
        self.collect(n);
    }

    /// A visit whose forward action is not known yet.
    fn visit(&mut self, trajectory: u32, number: u32, backward: u32) -> usize {
        self.visits.push(Visit { trajectory, number, forward: NO_ACTION, backward });
        self.visits.len() - 1
    }

    /// One action of each walk from its evaluated state; those that have ended are dropped.
    fn advance(&mut self, env: &E, evaluations: &mut Evaluations, rng: &mut ChaCha8Rng) {
        let stop = env.spec().stop_action();
        let Evaluations { encoded, output, probabilities, next, .. } = evaluations;
        let Walker { batch, visits, walks, rows, weights, .. } = self;
        // Walks that leave the policy: the weights of all of them, one after the other, as rows are short.
        weights.clear();
        for (walk, &row) in walks.iter().zip(rows.iter()).filter(|(walk, _)| !walk.is_own()) {
            let start = weights.len();
            let positions = encoded.forward_offsets[row as usize]..encoded.forward_offsets[row as usize + 1];
            weights.extend(output.forward[positions].iter().map(|l| l * walk.scale));
            if let Some(tilts) = &walk.tilts {
                let legal = encoded.forward_of(row as usize).iter();
                weights[start..].iter_mut().zip(legal).for_each(|(w, &a)| *w += tilts[a as usize]);
            }
            subtract_largest(&mut weights[start..]);
        }
        exponentiate_all(weights);
        let mut weights = &weights[..];
        let mut rows = rows.iter();
        walks.retain_mut(|walk| {
            let row = *rows.next().expect("a row for each walk") as usize;
            let legal = encoded.forward_of(row);
            if legal.is_empty() {
                return false;
            }
            let start = encoded.forward_offsets[row];
            let own = if walk.is_own() {
                &probabilities[start..start + legal.len()]
            } else {
                weights.split_off(..legal.len()).expect("weights of each walk")
            };
            let position = if walk.epsilon > 0.0 && rng.random::<f64>() < walk.epsilon {
                rng.random_range(0..legal.len())
            } else if walk.is_own() {
                draw_from_probabilities(own, rng)
            } else {
                draw_from_weights(own, rng)
            };
            let action = legal[position];
            visits[walk.visit].forward = action;
            if Some(action) == stop {
                return false;
            }
            let (number, backward) = *next[start + position].get_or_insert_with(|| {
                let (state, backward) = env.step(batch.state_of(walk.number), action);
                (batch.number(state), backward)
            });
            walk.number = number;
            walk.visit = visits.len();
            visits.push(Visit { trajectory: walk.trajectory, number, forward: NO_ACTION, backward });
            true
        });
    }

    /// A whole walk, from the object to the initial state.
    fn walk_backward(&mut self, env: &E, trajectory: u32, object: E::State, rng: &mut ChaCha8Rng) {
        let first = self.visits.len();
        let mut forward = env.spec().stop_action().unwrap_or(NO_ACTION);
        let mut number = self.batch.number(object);
        loop {
            let state = self.batch.state_of(number);
            self.actions.clear();
            self.weights.clear();
            env.backward_actions(state, &mut self.actions, &mut self.weights);
            if self.actions.is_empty() {
                self.visits.push(Visit { trajectory, number, forward, backward: NO_ACTION });
                break;
            }
            let backward = self.actions[draw_from_weights(&self.weights, rng)];
            let (previous, action) = env.undo(state, backward);
            self.visits.push(Visit { trajectory, number, forward, backward });
            (number, forward) = (self.batch.number(previous), action);
        }
        self.visits[first..].reverse();
    }

    /// Sorts the visits by trajectory, of which there are `n`.
    fn collect(&mut self, n: usize) {
        let TrajectoryBatch { offsets, numbers, forward, backward, .. } = &mut self.batch;
        // Counts, then places to fill: after filling, each trajectory's place is the start of the next one.
        offsets.clear();
        offsets.resize(n + 2, 0);
        self.visits.iter().for_each(|visit| offsets[visit.trajectory as usize + 2] += 1);
        for b in 2..n + 2 {
            offsets[b] += offsets[b - 1];
        }
        for slots in [&mut *numbers, &mut *forward, &mut *backward] {
            slots.resize(self.visits.len(), NO_ACTION);
        }
        for visit in &self.visits {
            let place = &mut offsets[visit.trajectory as usize + 1];
            (numbers[*place], forward[*place], backward[*place]) =
                (visit.number, visit.forward, visit.backward);
            *place += 1;
        }
        offsets.pop();
    }
}

/// An index drawn with probability ∝ weight.
fn draw_from_weights(weights: &[f64], rng: &mut ChaCha8Rng) -> usize {
    draw_from_total(weights, weights.iter().sum(), rng)
}

/// An index drawn with these probabilities, which add up to 1 but for rounding.
fn draw_from_probabilities(probabilities: &[f64], rng: &mut ChaCha8Rng) -> usize {
    draw_from_total(probabilities, 1.0, rng)
}

fn draw_from_total(weights: &[f64], total: f64, rng: &mut ChaCha8Rng) -> usize {
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
            let mut walker = Walker::default();
            // Twice, since training goes on with what another step has left.
            for walks in [walks[..5].to_vec(), walks.clone()] {
                sample_evaluated(&env, &mut walker, &mut found, &evaluate, needs, walks, &mut draw());
            }
            let batch = &walker.batch;
            let plain = sample_walks(&env, policy.as_policy(), walks, &mut draw());
            let visited = |batch: &TrajectoryBatch<Grid>| -> Vec<Cell> {
                (0..batch.n_slots()).map(|slot| *batch.state(slot)).collect()
            };
            assert_eq!((visited(batch), &batch.forward), (visited(&plain), &plain.forward));
            assert_eq!((&batch.offsets, &batch.backward), (&plain.offsets, &plain.backward));
            let encoded = StateBatch::new(&env, batch.states(), needs);
            assert_eq!(found.encoded, encoded);
            let (mut output, mut kept) = (Output::default(), Kept::default());
            policy.evaluate(&encoded, 0, &mut output, &mut kept);
            assert_eq!((&found.output, &found.kept), (&output, &kept));
            assert_eq!(found.encoded.rows, plain.n_states());
        }
    }
}
