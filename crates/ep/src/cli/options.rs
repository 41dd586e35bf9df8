//! Options that the commands of all domains share.

use std::path::PathBuf;

use clap::Args;
use gfn_core::{Error, Result};

use crate::budget::RunBudget;
use crate::plan::{PLAN_VERSION, Plan};
use crate::run::RunSettings;

/// More threads than this are a slip of the keyboard, and some systems take minutes to find out.
const MAX_THREADS: usize = 1024;
/// Most samples of one command: more do not fit into memory.
const MAX_SAMPLES: usize = 10_000_000;

/// What a plan says about training, whatever the domain.
#[derive(Debug, Args)]
pub struct TrainingOptions {
    /// Seed of everything random [default: 1]
    #[arg(long, value_name = "SEED", allow_negative_numbers = true)]
    pub seed: Option<u64>,
    /// Training of the whole run: wall-clock time (60s, 5m, 1h), or steps per client (4000steps: results repeat bit for bit; the server and each client in a round make half as many) [default: 60s]
    #[arg(long, value_name = "TIME|STEPS", allow_hyphen_values = true)]
    pub budget: Option<RunBudget>,
    /// Extra rounds in which clients go on with samples the server sends [default: for a run over trees 2 from ten taxa on and 1 of fewer, over networks 1, else 0]
    #[arg(long, value_name = "K", allow_negative_numbers = true)]
    pub rounds: Option<u32>,
    /// A plan whose settings are used where no option is given
    #[arg(long, value_name = "PLAN.TOML")]
    pub config: Option<PathBuf>,
}

impl TrainingOptions {
    /// The plan of the option `--config`.
    pub fn configured(&self) -> Result<Option<Plan>> {
        self.config.as_deref().map(Plan::load).transpose()
    }

    /// What is wrong with the plan of the option `--config` is wrong in its file.
    pub fn in_config(&self, error: Error) -> Error {
        match &self.config {
            Some(path) => error.in_file(path),
            None => error,
        }
    }

    /// A plan without a model yet: what is not given is taken from `configured`, else the default.
    pub fn plan(&self, configured: Option<&Plan>, default_rounds: u32, clients: Vec<String>) -> Result<Plan> {
        let seed = self.seed.or(configured.map(|c| c.seed)).unwrap_or(1);
        // TOML has no larger integers.
        if seed > i64::MAX as u64 {
            return Err(Error::usage(
                "--seed",
                "a seed below 2^63",
                seed.to_string(),
                "choose a smaller one",
            ));
        }
        Ok(Plan {
            version: PLAN_VERSION,
            seed,
            budget: self.budget.or(configured.map(|c| c.budget)).unwrap_or(RunBudget::Seconds(60.0)),
            rounds: self.rounds.or(configured.map(|c| c.rounds)).unwrap_or(default_rounds),
            clients,
            phylo: None,
            bn: None,
            multiset: None,
            seq: None,
            grid: None,
        })
    }
}

/// What a run of all stages needs besides its plan, whatever the domain.
#[derive(Debug, Args)]
pub struct RunOptions {
    /// Folder for all results; the same command continues an interrupted run there
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    /// Samples to draw from the aggregate
    #[arg(long, value_name = "N", default_value_t = 10_000, allow_negative_numbers = true)]
    pub samples: usize,
    /// Also compute the exact posterior and compare (small problems only: trees of up to 9 taxa, networks of up to 20 variables, designs of up to 2000000 states)
    #[arg(long)]
    pub exact: bool,
    /// Threads [default: all cores]
    #[arg(long, value_name = "T", allow_negative_numbers = true)]
    pub threads: Option<usize>,
    /// Say nothing but the summary
    #[arg(long, short)]
    pub quiet: bool,
}

impl RunOptions {
    /// The settings; refuses numbers that make no sense.
    pub fn settings(&self) -> Result<RunSettings> {
        let available = std::thread::available_parallelism().map_or(1, usize::from);
        let threads = self.threads.unwrap_or(available);
        if !(1..=MAX_THREADS).contains(&threads) {
            let expected = format!("1 to {MAX_THREADS}");
            return Err(Error::usage("--threads", expected, threads.to_string(), "correct the option"));
        }
        check_samples("--samples", self.samples)?;
        Ok(RunSettings {
            out: self.out.clone(),
            threads,
            samples: self.samples,
            exact: self.exact,
            quiet: self.quiet,
        })
    }
}

/// Refuses numbers of samples that make no sense.
pub fn check_samples(option: &str, n: usize) -> Result<()> {
    if (1..=MAX_SAMPLES).contains(&n) {
        return Ok(());
    }
    Err(Error::usage(option, format!("1 to {MAX_SAMPLES}"), n.to_string(), "correct the option"))
}
