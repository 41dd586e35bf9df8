//! The trainings of the experiments: a client, a client in a round, the server, one policy on everything.

use std::sync::Arc;

use gfn_core::Result;
use gfn_core::aggregate::{ClientEnsemble, ClientLogits};
use gfn_core::domain::{Recipe, Stage};
use gfn_core::environment::Environment;
use gfn_core::observer::{Control, StepReport};
use gfn_core::policy::{Policy, PolicySpec, Residual, TrainablePolicy};
use gfn_core::random::stream;
use gfn_core::reward::{LogReward, RewardTarget, Target};
use gfn_core::server::as_policy;
use gfn_core::trainer::Trainer;
use rand::RngExt;
use rand::rngs::ChaCha8Rng;

use super::page::median;
use super::problem::Problem;
use crate::process;
use crate::stages::Shared;

/// A policy that was trained, to read from.
#[derive(Clone)]
pub struct Learned {
    /// The policy.
    pub policy: Arc<dyn Policy>,
    /// Steps it was trained for.
    pub steps: u64,
    /// Seconds they took, on one thread.
    pub seconds: f64,
}

/// A seed of its own for every purpose.
pub fn seed_of(seed: u64, purpose: &str) -> u64 {
    stream(seed, purpose, 0).random::<u64>() >> 1
}

/// A standard normal number (Box & Muller 1958).
pub fn normal(rng: &mut ChaCha8Rng) -> f64 {
    let (u, v): (f64, f64) = (1.0 - rng.random::<f64>(), rng.random());
    (-2.0 * u.ln()).sqrt() * (2.0 * std::f64::consts::PI * v).cos()
}

/// log R as a target.
pub fn reward_target<E: Environment>(reward: &Arc<dyn LogReward<E>>) -> Arc<dyn Target<E>> {
    Arc::new(RewardTarget { reward: Shared(Arc::clone(reward)) })
}

/// A fresh policy of a recipe; it outputs flows where the recipe's loss needs them.
pub fn fresh_policy<E: Environment>(env: &E, recipe: &Recipe, seed: u64) -> Result<Box<dyn TrainablePolicy>> {
    let flow = recipe.settings.loss.build(None).needs_flow();
    let spec =
        PolicySpec { env: env.spec().clone(), kind: recipe.policy.clone(), learned_backward: false, flow };
    spec.build(seed)
}

/// A trainer of this policy by the settings of a recipe.
pub fn trainer<E: Environment>(
    env: &Arc<E>,
    target: Arc<dyn Target<E>>,
    policy: Box<dyn TrainablePolicy>,
    recipe: &Recipe,
    seed: u64,
) -> Result<Trainer<E>> {
    let mut settings = recipe.settings.clone();
    settings.seed = seed;
    Trainer::new(Arc::clone(env), target, policy, settings)
}

/// A trainer of the server on the policies of clients, all with weight 1, by this recipe. It starts, as that of all commands
/// does, at the sum of the clients' log-policies (docs/mathematics.md, "the server's starting point").
pub fn server_trainer<E: Environment>(
    env: &Arc<E>,
    clients: &[Arc<dyn Policy>],
    recipe: &Recipe,
    seed: u64,
) -> Result<Trainer<E>> {
    let logits = Arc::new(ClientLogits::new(clients.iter().map(|c| (Arc::clone(c), 1.0)).collect())?);
    let target = Arc::new(ClientEnsemble::new(Arc::clone(&logits), None));
    let inner = fresh_policy(env.as_ref(), recipe, seed)?;
    trainer(env, target, Box::new(Residual::new(inner, logits)), recipe, seed)
}

/// Trains until so many steps are made or the budget is spent.
pub fn train_until<E: Environment>(trainer: &mut Trainer<E>, steps: u64) -> Result<()> {
    if trainer.steps() >= steps {
        return Ok(());
    }
    trainer.run(&mut |report: &StepReport| {
        if report.step >= steps || process::interrupted() { Control::Stop } else { Control::Continue }
    })?;
    process::stop_if_interrupted("the experiment")
}

/// Median over blocks of the seconds that a step takes; a block before them is not counted.
pub fn seconds_per_step<E: Environment>(trainer: &mut Trainer<E>, steps: u64, blocks: u64) -> Result<f64> {
    train_until(trainer, steps)?;
    let mut times = Vec::new();
    for block in 2..blocks + 2 {
        let before = trainer.seconds();
        train_until(trainer, block * steps)?;
        times.push((trainer.seconds() - before) / steps as f64);
    }
    Ok(median(&times))
}

/// Trains to the end of the budget.
pub fn train<E: Environment>(mut trainer: Trainer<E>) -> Result<Learned> {
    train_until(&mut trainer, u64::MAX)?;
    let trained = trainer.finish();
    let policy: Arc<dyn Policy> = Arc::from(as_policy(trained.policy));
    Ok(Learned { policy, steps: trained.steps, seconds: trained.seconds })
}

/// Bytes of a policy's parameters, which are what travels (four for each number).
pub fn parameter_bytes(policy: &dyn Policy) -> usize {
    policy.tensors().iter().map(|tensor| 4 * tensor.values.len()).sum()
}

impl<E: Environment> Problem<E> {
    /// Trains client `n` on its own reward, from initial weights of its own.
    pub fn train_client(&self, n: usize, seed: u64) -> Result<Learned> {
        let seed = seed_of(seed, &format!("client {n}"));
        self.train_client_from(n, fresh_policy(self.env.as_ref(), &self.training.client, seed)?, seed)
    }

    /// Trains client `n` on its own reward, from this policy.
    pub fn train_client_from(
        &self,
        n: usize,
        policy: Box<dyn TrainablePolicy>,
        seed: u64,
    ) -> Result<Learned> {
        let target = reward_target(&self.clients[n]);
        train(trainer(&self.env, target, policy, &self.training.client, seed)?)
    }

    /// Trains every client.
    pub fn train_clients(&self, seed: u64) -> Result<Vec<Learned>> {
        (0..self.n_clients()).map(|n| self.train_client(n, seed)).collect()
    }

    /// Trains the server on the clients' policies, all with weight 1.
    pub fn train_server(&self, clients: &[Arc<dyn Policy>], seed: u64) -> Result<Learned> {
        train(self.server_trainer(clients, seed)?)
    }

    /// The trainer of the server, before its first step.
    pub fn server_trainer(&self, clients: &[Arc<dyn Policy>], seed: u64) -> Result<Trainer<E>> {
        let recipe = self.training.recipe(Stage::Server);
        server_trainer(&self.env, clients, recipe, seed_of(seed, "server"))
    }

    /// Trains one policy on the product of the rewards.
    pub fn train_centralised(&self, seed: u64) -> Result<Learned> {
        let seed = seed_of(seed, "centralised");
        let recipe = &self.training.centralised;
        let policy = fresh_policy(self.env.as_ref(), recipe, seed)?;
        train(trainer(&self.env, reward_target(&self.product), policy, recipe, seed)?)
    }
}

/// The policies alone.
pub fn policies(learned: &[Learned]) -> Vec<Arc<dyn Policy>> {
    learned.iter().map(|l| Arc::clone(&l.policy)).collect()
}
