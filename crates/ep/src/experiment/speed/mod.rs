//! `ep experiment speed`: trains one task with plain settings that other programs have too, and says how fast.

mod tasks;

use std::collections::BTreeMap;
use std::time::Instant;

use gfn_core::Result;
use gfn_core::environment::Environment;
use gfn_core::losses::Balance;
use gfn_core::random::stream;
use gfn_core::rollout::sample_on_policy;
use gfn_core::trainer::Budget;
use rayon::ThreadPoolBuilder;
use serde_json::{Value, json};

use super::problem::Problem;
use super::problems::Visitor;
use super::training::{fresh_policy, reward_target, train_until, trainer};
use crate::process;

pub use tasks::SpeedTask;

/// L1 whose time is told.
const THRESHOLDS: [f64; 4] = [0.2, 0.1, 0.05, 0.02];

/// Walks that are drawn to see how long they are.
const WALKS: usize = 1000;

/// What was asked for.
#[derive(Debug, Clone)]
pub struct SpeedOptions {
    /// What is trained.
    pub task: SpeedTask,
    /// The loss.
    pub loss: Balance,
    /// Exact L1 at which it stops.
    pub stop_at: f64,
    /// Most training steps.
    pub steps: u64,
    /// Steps between evaluations, which do not count as training.
    pub every: u64,
    /// Threads; with more than one the trajectories of a step are dealt to as many groups.
    pub threads: usize,
    /// Seed of the initial weights and of training.
    pub seed: u64,
}

/// Trains until the exact L1 is reached or the steps are made; one line of JSON.
pub fn speed(options: &SpeedOptions) -> Result<String> {
    let started = Instant::now();
    let pool = ThreadPoolBuilder::new().num_threads(options.threads).build().map_err(|error| {
        gfn_core::Error::usage("--threads", "a number of threads", error.to_string(), "use fewer")
    })?;
    let value = pool.install(|| options.task.with_problem(Measure { options, started }))?;
    Ok(format!("{value}\n"))
}

struct Measure<'a> {
    options: &'a SpeedOptions,
    started: Instant,
}

impl Visitor for Measure<'_> {
    type Output = Value;

    fn visit<E: Environment>(self, problem: &Problem<E>) -> Result<Value> {
        let Measure { options, started } = self;
        let mut recipe = problem.training.centralised.clone();
        let settings = &mut recipe.settings;
        settings.loss = options.loss;
        settings.budget = Budget::Steps(options.steps);
        settings.groups = options.threads;
        let batch = settings.batch_size;
        let policy = fresh_policy(problem.env.as_ref(), &recipe, options.seed)?;
        let target = reward_target(&problem.product);
        let mut trainer = trainer(&problem.env, target, policy, &recipe, options.seed)?;
        let setup = started.elapsed().as_secs_f64();
        let (mut cpu, mut evaluation, mut evaluations) = (0.0, 0.0, 0);
        let (mut best, mut l1) = (f64::INFINITY, f64::INFINITY);
        let mut hit = BTreeMap::new();
        while trainer.steps() < options.steps && l1 > options.stop_at {
            let before = process::cpu_seconds();
            let steps = (trainer.steps() + options.every).min(options.steps);
            train_until(&mut trainer, steps)?;
            cpu += process::cpu_seconds().zip(before).map_or(f64::NAN, |(now, before)| now - before);
            let evaluating = Instant::now();
            l1 = problem.l1(trainer.policy().as_policy());
            evaluation += evaluating.elapsed().as_secs_f64();
            evaluations += 1;
            best = l1.min(best);
            for threshold in THRESHOLDS.into_iter().filter(|t| l1 <= *t) {
                hit.entry(threshold.to_string()).or_insert_with(|| {
                    json!([trainer.steps(), rounded(trainer.seconds(), 3), rounded(cpu, 2)])
                });
            }
        }
        let (steps, seconds) = (trainer.steps() as f64, trainer.seconds());
        let trajectories = steps * batch as f64;
        // Of the trained policy; where all trajectories have one length, of any.
        let walks = sample_on_policy(
            problem.env.as_ref(),
            trainer.policy().as_policy(),
            WALKS,
            &mut stream(options.seed, "lengths", 0),
        );
        let transitions = trajectories * (walks.n_slots() as f64 / WALKS as f64 - 1.0);
        Ok(json!({
            "lib": concat!("ep ", env!("CARGO_PKG_VERSION")),
            "task": options.task.name(),
            "loss": options.loss,
            "seed": options.seed,
            "threads": options.threads,
            "batch": batch,
            "iters": trainer.steps(),
            "it_per_s": rounded(steps / seconds, 1),
            "traj_per_s": (trajectories / seconds).round(),
            "trans_per_s": (transitions / seconds).round(),
            "train_s": rounded(seconds, 3),
            "cpu_s": rounded(cpu, 2),
            "wall_s": rounded(started.elapsed().as_secs_f64(), 3),
            "setup_s": rounded(setup, 3),
            "eval_ms": rounded(1e3 * evaluation / f64::from(evaluations.max(1)), 1),
            "time_to_l1": hit,
            "final_l1": rounded(l1, 5),
            "best_l1": rounded(best, 5),
            "states": problem.graph.states().len(),
            "rss_mb": process::peak_memory_bytes().map(|bytes| bytes / (1024 * 1024)),
        }))
    }
}

fn rounded(value: f64, digits: i32) -> f64 {
    let scale = 10f64.powi(digits);
    (value * scale).round() / scale
}
