//! Where the target of training comes from: a log-reward on objects, seen as a target on trajectories.

use crate::encoding::{Needs, StateBatch};
use crate::environment::Environment;
use crate::trajectory::TrajectoryBatch;

/// Unnormalised log-density of objects (natural log, finite or −∞).
pub trait LogReward<E: Environment>: Send + Sync {
    /// log R(x).
    fn log_reward(&self, env: &E, object: &E::State) -> f64;
}

impl<E: Environment, F: Fn(&E::State) -> f64 + Send + Sync> LogReward<E> for F {
    fn log_reward(&self, _env: &E, object: &E::State) -> f64 {
        self(object)
    }
}

/// What trajectories should be balanced against. A client and the server differ in nothing else.
pub trait Target<E: Environment>: Send + Sync {
    /// What has to be in the encoded batch.
    fn needs(&self) -> Needs {
        Needs::default()
    }

    /// ℓ(τ) of every trajectory (natural log). `encoded` holds the distinct states of `batch`, by their
    /// numbers.
    fn trajectories(&self, env: &E, batch: &TrajectoryBatch<E>, encoded: &StateBatch) -> Vec<f64>;

    /// For every slot of the batch, log R of its state up to a constant of its trajectory; only asked for where
    /// every state is an object.
    fn states(&self, env: &E, batch: &TrajectoryBatch<E>, encoded: &StateBatch) -> Vec<f64>;
}

/// ℓ(τ) = log R(x): the target of a client, which owns the data.
pub struct RewardTarget<R> {
    /// The reward.
    pub reward: R,
}

impl<E: Environment, R: LogReward<E>> Target<E> for RewardTarget<R> {
    fn trajectories(&self, env: &E, batch: &TrajectoryBatch<E>, _encoded: &StateBatch) -> Vec<f64> {
        (0..batch.len()).map(|b| self.reward.log_reward(env, batch.object(b))).collect()
    }

    fn states(&self, env: &E, batch: &TrajectoryBatch<E>, _encoded: &StateBatch) -> Vec<f64> {
        let distinct: Vec<f64> = batch.states().map(|s| self.reward.log_reward(env, s)).collect();
        batch.numbers.iter().map(|&row| distinct[row as usize]).collect()
    }
}
