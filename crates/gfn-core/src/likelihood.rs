//! Maximum likelihood of given objects: a first phase of training where a policy's own walks do not find the mass.

use rand::RngExt;
use rand::rngs::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use crate::encoding::StateBatch;
use crate::environment::Environment;
use crate::math::subtract_softmax_term;
use crate::policy::{Kept, LogProbabilities, Output, TrainablePolicy};
use crate::rollout::{Walk, sample_walks};
use crate::trajectory::{NO_ACTION, TrajectoryBatch};

/// A first phase of training: E log p_F(τ) over backward walks τ from objects of a Markov chain is maximised
/// (docs/mathematics.md §3). Its optimum is the policy whose trajectories are those walks, so the balance loss that
/// follows starts near balance where the chain's objects are.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pretraining {
    /// Fraction of the budget that it takes, in (0, 1]; 1 leaves no other phase.
    pub until: f64,
    /// Walks per step.
    pub walks: usize,
    /// Transitions that are learned from each walk, drawn without replacement.
    pub transitions: usize,
    /// Peak learning rate of this phase; it rises and falls as that of the loss does.
    pub rate: f64,
}

/// Transitions to be made likely, of some of a step's walks: states with the actions that were taken there.
pub(crate) struct Transitions {
    encoded: StateBatch,
    /// By state: the position of its action among all legal actions of the batch.
    positions: Vec<usize>,
    /// How many transitions of the walks each stands for, up to a factor.
    weights: Vec<f64>,
}

impl Transitions {
    /// Draws transitions of `walks` backward walks from `objects`. A transition of a walk with k of them stands for
    /// k / `transitions` of its kind.
    pub fn draw<E: Environment>(
        env: &E,
        policy: &dyn TrainablePolicy,
        walks: usize,
        transitions: usize,
        objects: &[E::State],
        rng: &mut ChaCha8Rng,
    ) -> Self {
        let walks =
            (0..walks).map(|_| Walk::Backward(objects[rng.random_range(0..objects.len())].clone())).collect();
        let batch: TrajectoryBatch<E> = sample_walks(env, policy.as_policy(), walks, rng);
        let (mut slots, mut weights) = (Vec::new(), Vec::new());
        for b in 0..batch.len() {
            let mut own: Vec<usize> =
                batch.slots(b).filter(|&slot| batch.forward[slot] != NO_ACTION).collect();
            let taken = own.len().min(transitions);
            for i in 0..taken {
                let j = rng.random_range(i..own.len());
                own.swap(i, j);
                slots.push(own[i]);
                weights.push(own.len() as f64 / taken as f64);
            }
        }
        let encoded = StateBatch::new(env, slots.iter().map(|&slot| batch.state(slot)), policy.needs());
        let positions = slots
            .iter()
            .enumerate()
            .map(|(row, &slot)| encoded.forward_position(row, batch.forward[slot]))
            .collect();
        Transitions { encoded, positions, weights }
    }

    /// What they look like to a policy that grows with the states it has seen.
    pub fn encoded(&self) -> &StateBatch {
        &self.encoded
    }

    /// Sum of the weights.
    pub fn total_weight(&self) -> f64 {
        self.weights.iter().sum()
    }

    /// Σ −log p_F (natural log) over the transitions with their weights, divided by `total`, and its gradient, one array
    /// per parameter tensor. With the sum of all weights of a step, the parts of the step add up to a mean.
    pub fn differentiate(&self, policy: &dyn TrainablePolicy, total: f64) -> (f64, Vec<Vec<f32>>) {
        let (mut output, mut kept) = (Output::default(), Kept::default());
        policy.evaluate(&self.encoded, 0, &mut output, &mut kept);
        let log_p = LogProbabilities::new(&self.encoded, &output);
        let (loss, gradient) = self.loss(&log_p, &output, total);
        (loss, policy.pull_back(&self.encoded, &kept, &gradient))
    }

    fn loss(&self, log_p: &LogProbabilities, output: &Output, total: f64) -> (f64, Output) {
        let mut gradient = output.zeros_like();
        let mut loss = 0.0;
        for (row, (&position, &weight)) in self.positions.iter().zip(&self.weights).enumerate() {
            let weight = weight / total;
            loss -= weight * log_p.forward[position];
            gradient.forward[position] -= weight;
            let legal = self.encoded.forward_offsets[row]..self.encoded.forward_offsets[row + 1];
            subtract_softmax_term(&mut gradient.forward[legal.clone()], &log_p.forward[legal], -weight);
        }
        (loss, gradient)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grid::{Cell, Grid};
    use crate::policy::{Activation, MlpSettings, PolicyKind, PolicySpec};
    use crate::random::stream;
    use crate::{EnvSpec, Environment};

    fn policy(env: &EnvSpec) -> Box<dyn TrainablePolicy> {
        let mlp = MlpSettings { hidden: vec![5], activation: Activation::Smooth, ..MlpSettings::default() };
        let kind = PolicyKind::Mlp(mlp);
        PolicySpec { env: env.clone(), kind, learned_backward: false, flow: false }
            .build(2)
            .expect("a network")
    }

    /// Walks of different lengths, so that weights differ; f32 networks, hence the tolerance.
    #[test]
    fn the_gradient_agrees_with_central_differences() {
        let env = Grid::new(2, 4).expect("a grid");
        let mut policy = policy(env.spec());
        let objects = [Cell::new(&[0, 0]), Cell::new(&[1, 3]), Cell::new(&[2, 0])];
        let mut rng = stream(3, "transitions", 0);
        let parts: Vec<Transitions> =
            [3, 5].map(|walks| Transitions::draw(&env, policy.as_ref(), walks, 2, &objects, &mut rng)).into();
        let total = parts.iter().map(Transitions::total_weight).sum();
        let loss = |policy: &dyn TrainablePolicy| -> f64 {
            parts.iter().map(|part| part.differentiate(policy, total).0).sum()
        };
        let gradient = parts
            .iter()
            .map(|part| part.differentiate(policy.as_ref(), total).1)
            .reduce(|mut sum, next| {
                crate::group::add(&mut sum, &next);
                sum
            })
            .expect("two parts");
        let step = 1e-2f32;
        let mut compared = 0;
        for (tensor, slopes) in gradient.iter().enumerate() {
            for (index, &slope) in slopes.iter().enumerate() {
                let mut at = |shift: f32| {
                    policy.parameters_mut()[tensor][index] += shift;
                    policy.parameters_changed();
                    loss(policy.as_ref())
                };
                let (up, down) = (at(step), at(-2.0 * step));
                at(step);
                let numeric = (up - down) / (2.0 * f64::from(step));
                assert!((numeric - f64::from(slope)).abs() < 1e-3, "{tensor} {index}: {numeric}, {slope}");
                compared += usize::from(slope.abs() > 1e-2);
            }
        }
        assert!(compared > 10, "most slopes are 0: {compared}");
    }
}
