//! An embarrassingly parallel run in one process, over any environment: what tests of several crates share.

use std::sync::Arc;

use gfn_core::aggregate::{ClientEnsemble, ClientLogits};
use gfn_core::domain::Recipe;
use gfn_core::exact::{StateGraph, normalise};
use gfn_core::observer::{Control, StepReport};
use gfn_core::policy::{Policy, PolicySpec, Residual, TrainablePolicy};
use gfn_core::reward::{LogReward, RewardTarget, Target};
use gfn_core::trainer::{Budget, Trainer};
use gfn_core::{Environment, Result};

/// How clients and server are trained.
pub struct Plan {
    /// The clients' recipe.
    pub client: Recipe,
    /// Steps of each client.
    pub client_steps: u64,
    /// The server's recipe.
    pub server: Recipe,
    /// Steps of the server.
    pub server_steps: u64,
    /// Seed of everything random.
    pub seed: u64,
}

/// Exact L1 distances, 0 (equal) to 2.
#[derive(Debug)]
pub struct Distances {
    /// Between the server's policy and the posterior given all data.
    pub server: f64,
    /// Between each client's policy and its own posterior.
    pub clients: Vec<f64>,
    /// Between the exact product of the clients' policies and the posterior.
    pub exact_aggregation: f64,
    /// Between the uniform distribution and the posterior: what has been learned is measured against it.
    pub uniform: f64,
}

/// Trains a client on each reward and the server on their policies times the public `factor`, and compares with the
/// exact distribution of `whole`.
///
/// # Errors
/// Settings that do not fit the environment, and more than 100 000 states.
pub fn embarrassingly_parallel<E, R, G>(
    env: &Arc<E>,
    rewards: Vec<R>,
    factor: G,
    whole: &dyn LogReward<E>,
    plan: &Plan,
) -> Result<Distances>
where
    E: Environment,
    R: LogReward<E> + 'static,
    G: LogReward<E> + 'static,
{
    let graph = StateGraph::enumerate(env.as_ref(), 100_000)?;
    let exact = |reward: &dyn LogReward<E>| normalise(&graph.log_rewards(env, reward)).1;
    let learned = |policy: &dyn Policy| graph.distribution(&graph.edge_policy(env, policy));
    let posterior = exact(whole);
    let factor = Arc::new(factor);

    let mut clients = Vec::new();
    let mut distances = Vec::new();
    for (seed, reward) in (plan.seed..).zip(rewards) {
        let own = exact(&reward);
        let policy = untrained(env, &plan.client, seed)?;
        let target = Arc::new(RewardTarget { reward });
        let policy = train(env, target, policy, &plan.client, plan.client_steps, seed)?;
        distances.push(l1(&learned(policy.as_ref()), &own));
        clients.push((policy, 1.0));
    }

    let edges: Vec<_> =
        clients.iter().map(|(policy, weight)| (graph.edge_policy(env, policy.as_ref()), *weight)).collect();
    let references: Vec<_> = edges.iter().map(|(edges, weight)| (edges, *weight)).collect();
    let aggregate = graph.aggregate(&references, &graph.log_rewards(env, factor.as_ref()));

    // From here on no reward: the server has the policies and the factor only.
    let logits = Arc::new(ClientLogits::new(clients)?);
    let seed = plan.seed + 1000;
    let start = Residual::new(untrained(env, &plan.server, seed)?, Arc::clone(&logits) as _);
    let ensemble = Arc::new(ClientEnsemble::new(logits, Some(factor as _)));
    let server = train(env, ensemble, Box::new(start), &plan.server, plan.server_steps, seed)?;
    let uniform = vec![1.0 / posterior.len() as f64; posterior.len()];
    Ok(Distances {
        server: l1(&learned(server.as_ref()), &posterior),
        clients: distances,
        exact_aggregation: l1(&aggregate, &posterior),
        uniform: l1(&uniform, &posterior),
    })
}

fn untrained<E: Environment>(env: &Arc<E>, recipe: &Recipe, seed: u64) -> Result<Box<dyn TrainablePolicy>> {
    let kind = recipe.policy.clone();
    PolicySpec { env: env.spec().clone(), kind, learned_backward: false, flow: false }.build(seed)
}

/// One training, of a client or of the server: they differ in the target only.
fn train<E: Environment>(
    env: &Arc<E>,
    target: Arc<dyn Target<E>>,
    policy: Box<dyn TrainablePolicy>,
    recipe: &Recipe,
    steps: u64,
    seed: u64,
) -> Result<Arc<dyn Policy>> {
    let mut settings = recipe.settings.clone();
    settings.budget = Budget::Steps(steps);
    settings.seed = seed;
    let mut trainer = Trainer::new(Arc::clone(env), target, policy, settings)?;
    trainer.run(&mut |_: &StepReport| Control::Continue)?;
    let policy: Box<dyn Policy> = trainer.finish().policy;
    Ok(Arc::from(policy))
}

fn l1(p: &[f64], q: &[f64]) -> f64 {
    p.iter().zip(q).map(|(a, b)| (a - b).abs()).sum()
}
