//! The stages of an embarrassingly parallel run, for any domain: train a client, aggregate, propose.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use gfn_core::aggregate::{ClientEnsemble, ClientLogits, PriorPower};
use gfn_core::client::{ClientMeta, ClientModel, FORMAT};
use gfn_core::domain::{ClientData, Domain, Stage};
use gfn_core::environment::Environment;
use gfn_core::observer::{Control, StepReport, Stopped};
use gfn_core::policy::{Policy, PolicySpec, Residual};
use gfn_core::random::stream;
use gfn_core::reward::{LogReward, RewardTarget, Target};
use gfn_core::rollout::{Walk, sample_on_policy, sample_walks};
use gfn_core::score::{ROUNDING, path_spread, residual_spread};
use gfn_core::server::{ServerMeta, ServerModel, as_policy};
use gfn_core::trainer::{Budget, Trainer};
use gfn_core::{EnvSpec, Error, ErrorKind, Place, Result};
use rand::RngExt;
use rayon::prelude::*;

use crate::process;
use crate::progress::StageProgress;
use crate::proposals::n_proposals;

/// How often a stage in training writes its checkpoint.
const CHECKPOINT_EVERY: Duration = Duration::from_secs(10);
/// Trajectories per law for the residual spread in a client's file: fewer where they are long and actions many.
const SPREAD_TRAJECTORIES: (usize, usize) = (10, 400);
/// What their number times that of actions should be.
const SPREAD_ACTIONS: usize = 40_000;
/// Backward walks from each of the server's objects when the clients' scores are compared over paths.
const SPREAD_WALKS: usize = 8;

/// What a stage needs besides its data.
pub struct StageContext {
    /// Fingerprint of the plan.
    pub plan: String,
    /// Seed of the run.
    pub seed: u64,
    /// Training.
    pub budget: Budget,
    /// Where the state of training is kept while it goes on; none for no checkpoints.
    pub checkpoint: Option<PathBuf>,
    /// Where progress is shown.
    pub progress: StageProgress,
}

/// The objects another party proposes, and the client's policy so far: an extra round.
pub struct Round<S> {
    /// Number of the round, from 1.
    pub number: u32,
    /// The client after the round before.
    pub previous: ClientModel,
    /// The server's proposals.
    pub proposals: Vec<S>,
}

/// Trains a client on its own data, or goes on with the server's proposals.
pub fn train_client<D: Domain>(
    domain: &D,
    name: &str,
    data: &ClientData<D::Env>,
    centralised: bool,
    round: Option<Round<<D::Env as Environment>::State>>,
    mut context: StageContext,
) -> Result<ClientModel> {
    // Other clients train beside this one.
    let env = &domain.environment().apart();
    let stage = match (&round, centralised) {
        (Some(_), _) => Stage::ClientRound,
        (None, true) => Stage::Centralised,
        (None, false) => Stage::Client,
    };
    let recipe = domain.recipe(stage);
    let number = round.as_ref().map_or(0, |r| r.number);
    let seed = stage_seed(context.seed, &format!("client {name} round {number}"));
    let mut settings = recipe.settings;
    settings.budget = context.budget;
    settings.seed = seed;
    let target: Arc<dyn Target<D::Env>> = Arc::new(RewardTarget { reward: Shared(Arc::clone(&data.reward)) });
    let (policy, before, proposals) = match round {
        Some(round) => (round.previous.policy, Some(round.previous.meta), round.proposals),
        None => {
            let spec = PolicySpec {
                env: env.spec().clone(),
                kind: recipe.policy,
                learned_backward: false,
                flow: false,
            };
            (spec.build(seed)?, None, Vec::new())
        }
    };
    let started = Instant::now();
    let chain = match &data.chain {
        Some(chain) if recipe.chain_objects > 0 => chain.sample(recipe.chain_objects, seed),
        _ => Vec::new(),
    };
    let mut trainer = Trainer::new(Arc::clone(env), Arc::clone(&target), policy, settings)?
        .with_proposals(proposals)
        .with_chain(chain);
    // The chain's time is training's, but half of a budget in seconds is left for the policy.
    let most = match context.budget {
        Budget::Seconds(seconds) => 0.5 * seconds,
        Budget::Steps(_) => f64::INFINITY,
    };
    trainer.spend(started.elapsed().as_secs_f64().min(most));
    let trained = run(trainer, &mut context)?.finish();
    let mut rng = stream(seed, "residual spread", 0);
    let spread = residual_spread(
        env.as_ref(),
        trained.policy.as_policy(),
        target.as_ref(),
        (SPREAD_ACTIONS / env.spec().n_forward).clamp(SPREAD_TRAJECTORIES.0, SPREAD_TRAJECTORIES.1),
        &mut rng,
    );
    let (steps, seconds) = before.map_or((0, 0.0), |b| (b.steps, b.seconds));
    let meta = ClientMeta {
        format: FORMAT,
        domain: domain.name().into(),
        plan: context.plan,
        client: name.into(),
        policy: trained.policy.spec().clone(),
        prior_share: data.prior_share,
        round: number,
        seed: context.seed,
        steps: steps + trained.steps,
        seconds: seconds + trained.seconds,
        residual_spread: spread,
        data: data.description.clone(),
    };
    Ok(ClientModel { meta, policy: trained.policy })
}

/// Trains the server on the clients' policies with weights w_n.
pub fn aggregate<D: Domain>(
    domain: &D,
    clients: Vec<(ClientModel, f64)>,
    round: u32,
    mut context: StageContext,
) -> Result<ServerModel> {
    let env = domain.environment();
    let mut metas = Vec::new();
    let mut policies: Vec<Arc<dyn Policy>> = Vec::new();
    for (client, weight) in clients {
        metas.push((client.meta, weight));
        policies.push(Arc::from(as_policy(client.policy)));
    }
    let weights = metas.iter().map(|(_, w)| *w);
    let logits = Arc::new(ClientLogits::new(policies.iter().cloned().zip(weights).collect())?);
    let factor = PriorPower::for_product(domain.log_prior(), &metas);
    let target = ClientEnsemble::new(Arc::clone(&logits), Some(Arc::new(factor)));
    let recipe = domain.recipe(Stage::Server);
    let seed = stage_seed(context.seed, &format!("server round {round}"));
    let spec =
        PolicySpec { env: env.spec().clone(), kind: recipe.policy, learned_backward: false, flow: false };
    let inner = spec.build(seed)?;
    let mut settings = recipe.settings;
    settings.budget = context.budget;
    settings.seed = seed;
    let policy = Box::new(Residual::new(inner, logits));
    let target: Arc<dyn Target<D::Env>> = Arc::new(target);
    let trainer = Trainer::new(Arc::clone(env), Arc::clone(&target), policy, settings)?;
    let trained = run(trainer, &mut context)?.finish();
    let mut rng = stream(seed, "path spread", 0);
    let (fewest, most) = SPREAD_TRAJECTORIES;
    let n = (SPREAD_ACTIONS / SPREAD_WALKS / env.spec().n_forward).clamp(fewest, most);
    let batch = sample_on_policy(env.as_ref(), trained.policy.as_policy(), n, &mut rng);
    let objects: Vec<_> = batch.objects().into_iter().cloned().collect();
    let path_spread = path_spread(env.as_ref(), target.as_ref(), &objects, SPREAD_WALKS, &mut rng);
    let meta = ServerMeta {
        format: FORMAT,
        domain: domain.name().into(),
        plan: context.plan,
        round,
        clients: metas,
        residual: Some(spec),
        // Less: there is one path to each object (sequences), nothing can be compared, and 0 would be no praise.
        path_spread: (path_spread > ROUNDING).then_some(path_spread),
        seed: context.seed,
        steps: trained.steps,
        seconds: trained.seconds,
    };
    Ok(ServerModel { meta, clients: policies, policy: Arc::from(as_policy(trained.policy)) })
}

/// Objects the server sends to the clients for an extra round: half sampled from the aggregate, half from it with its
/// logits scaled ([`Domain::proposal_scale`]).
pub fn propose<D: Domain>(
    domain: &D,
    server: &ServerModel,
    seed: u64,
) -> Vec<<D::Env as Environment>::State> {
    let env = domain.environment().as_ref();
    let n = n_proposals(env.spec());
    let walk = |i: usize| Walk::Forward {
        scale: if i.is_multiple_of(2) { 1.0 } else { domain.proposal_scale() },
        epsilon: 0.0,
        tilt: 0.0,
    };
    let purpose = format!("proposals {}", server.meta.round);
    let chunk = sample_chunk(env.spec());
    let starts: Vec<usize> = (0..n).step_by(chunk).collect();
    // Every chunk has its own stream: the number of threads never changes the objects.
    let parts: Vec<Vec<_>> = (starts.into_par_iter())
        .map(|start| {
            let mut rng = stream(seed, &purpose, start as u64);
            let walks = (start..n.min(start + chunk)).map(walk).collect();
            let batch = sample_walks(env, server.policy.as_ref(), walks, &mut rng);
            (0..batch.len()).map(|b| batch.object(b).clone()).collect()
        })
        .collect();
    parts.concat()
}

/// Trajectories that are sampled together: all their states are in memory at once, with all their actions.
pub fn sample_chunk(spec: &EnvSpec) -> usize {
    (50_000 / spec.n_forward).clamp(8, 512)
}

/// Runs a trainer to the end of its budget with progress, checkpoints and interruption.
fn run<E: Environment>(mut trainer: Trainer<E>, context: &mut StageContext) -> Result<Trainer<E>> {
    if let Some(path) = context.checkpoint.as_deref().filter(|p| p.exists()) {
        trainer.restore_checkpoint(path).map_err(|e| start_again(path, &e))?;
    }
    let mut saved = Instant::now();
    loop {
        let progress = &mut context.progress;
        let checkpoint = context.checkpoint.is_some();
        let mut watch = |report: &StepReport| {
            progress.after_step(report);
            let due = checkpoint && saved.elapsed() >= CHECKPOINT_EVERY;
            if process::interrupted() || due { Control::Stop } else { Control::Continue }
        };
        match trainer.run(&mut watch)? {
            Stopped::BudgetSpent => break,
            Stopped::Interrupted => {
                if let Some(path) = &context.checkpoint {
                    trainer.save_checkpoint(path)?;
                }
                if process::interrupted() {
                    return Err(interrupted(context.checkpoint.as_deref()));
                }
                saved = Instant::now();
            }
        }
    }
    context.progress.finish();
    Ok(trainer)
}

/// A checkpoint is worth a stage at most: what to do is the same whatever is wrong with it.
fn start_again(path: &Path, error: &Error) -> Error {
    if error.kind() != ErrorKind::Input {
        return error.clone();
    }
    let advice = "remove this file to start the stage again, or give the options that it was started with (--budget, \
                  --threads)";
    Error::input(Place::file(path), error.expected(), error.found(), advice)
}

fn interrupted(checkpoint: Option<&Path>) -> Error {
    let advice = match checkpoint {
        Some(_) => "nothing is lost: run the same command again to go on",
        None => "run the command again",
    };
    let place = checkpoint.map_or_else(Place::default, Place::file);
    Error::new(ErrorKind::Transient, place, "time to finish training", "an interruption", advice)
}

/// A seed of its own for every stage of a run.
fn stage_seed(seed: u64, stage: &str) -> u64 {
    stream(seed, stage, 0).random::<u64>() >> 1
}

/// A reward shared between the trainer and later evaluation.
pub struct Shared<E: Environment>(pub Arc<dyn LogReward<E>>);

impl<E: Environment> LogReward<E> for Shared<E> {
    fn log_reward(&self, env: &E, object: &E::State) -> f64 {
        self.0.log_reward(env, object)
    }
}
