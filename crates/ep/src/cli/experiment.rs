//! `ep experiment`: the published experiments and the open questions, each with a fixed plan and seeds.

use std::path::PathBuf;

use clap::Args;
use gfn_core::{Error, Result};

use super::print;
use crate::experiment::{EXPERIMENTS, Options, find, run};

/// `ep experiment NAME`
#[derive(Debug, Args)]
pub struct ExperimentArguments {
    /// Name of the experiment; `list` names them all
    name: String,
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

/// Does it.
pub fn experiment(arguments: &ExperimentArguments) -> Result<()> {
    if arguments.name == "list" {
        let lines = EXPERIMENTS.iter().map(|e| format!("{:<16} {}\n", e.name(), e.about()));
        return print(&lines.collect::<String>());
    }
    let experiment = find(&arguments.name)?;
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
