//! `ep experiment`: the published experiments and the open questions, each with a fixed plan and seeds.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use gfn_core::losses::Balance;
use gfn_core::{Error, Result};

use super::print;
use crate::experiment::{EXPERIMENTS, Options, SpeedOptions, SpeedTask, find, run, speed};

/// `ep experiment NAME`, or `ep experiment speed`
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub struct ExperimentArguments {
    #[command(subcommand)]
    action: Option<Action>,
    /// Name of the experiment; `list` names all that have a folder of results
    #[arg(required = true)]
    name: Option<String>,
    /// Folder of results.csv, results.md and the pictures; what is done there is not done again
    #[arg(long)]
    out: Option<PathBuf>,
    /// Small problems and short training, to see that everything works
    #[arg(long)]
    quick: bool,
    /// Seeds; each redraws the problems and the training
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..=1000))]
    seeds: u64,
    /// Threads, each at work on a task of its own; by default all
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..=1024))]
    threads: Option<u64>,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Train one task with the settings of other programs, and say how fast: one line of JSON
    Speed(SpeedArguments),
}

#[derive(Debug, Args)]
struct SpeedArguments {
    /// What is trained
    #[arg(long, value_enum)]
    task: SpeedTask,
    /// The loss: trajectory balance, contrastive balance over all pairs, or modified detailed balance
    #[arg(long, value_enum, default_value = "cb")]
    loss: SpeedLoss,
    /// Stop at this exact L1 (0 to 2)
    #[arg(long, default_value_t = 0.0)]
    stop_at: f64,
    /// Most training steps
    #[arg(long, default_value_t = 5000, value_parser = clap::value_parser!(u64).range(1..))]
    iters: u64,
    /// Steps between exact evaluations
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u64).range(1..))]
    eval_every: u64,
    /// Threads that share the trajectories of each step
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=64))]
    threads: u64,
    /// Seed of the initial weights and of training
    #[arg(long, default_value_t = 0)]
    seed: u64,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum SpeedLoss {
    Tb,
    Cb,
    Mdb,
}

impl SpeedArguments {
    fn options(&self) -> SpeedOptions {
        SpeedOptions {
            task: self.task,
            loss: match self.loss {
                SpeedLoss::Tb => Balance::Trajectory,
                SpeedLoss::Cb => Balance::Contrastive,
                SpeedLoss::Mdb => Balance::ModifiedDetailed,
            },
            stop_at: self.stop_at,
            steps: self.iters,
            every: self.eval_every,
            threads: self.threads as usize,
            seed: self.seed,
        }
    }
}

/// Does it.
pub fn experiment(arguments: &ExperimentArguments) -> Result<()> {
    if let Some(Action::Speed(arguments)) = &arguments.action {
        return print(&speed(&arguments.options())?);
    }
    let name = arguments.name.as_deref().unwrap_or_default();
    if name == "list" {
        let lines = EXPERIMENTS.iter().map(|e| format!("{:<16} {}\n", e.name(), e.about()));
        return print(&lines.collect::<String>());
    }
    let experiment = find(name)?;
    let Some(out) = &arguments.out else {
        return Err(Error::usage(
            "--out",
            "a folder for the results",
            "none",
            "name one, such as --out results",
        ));
    };
    let all = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let options = Options {
        out: out.clone(),
        quick: arguments.quick,
        seeds: arguments.seeds,
        threads: arguments.threads.map_or(all, |threads| threads as usize),
    };
    print(&run(experiment, &options)?)
}
