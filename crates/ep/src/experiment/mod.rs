//! `ep experiment NAME`: the published experiments and the questions they left open, each with a fixed plan and seeds.
//!
//! An experiment is an [`Experiment`] in [`EXPERIMENTS`], with a file (or folder) of its own. It says which [`Task`]s there
//! are and, when all are done, writes a [`Page`]. Everything else is shared:
//!
//! * [`problems`] builds the paper's problems for a seed, small ones with `--quick`: [`problems::Domain::with_problem`] hands
//!   any of the five to a [`problems::Visitor`], which is generic over the environment. [`problems::trees`] and
//!   [`problems::networks`] also take other amounts of data. Their recipes are those of the domains.
//! * A [`problem::Problem`] holds environment, rewards, product, the enumerated state graph and the exact target; its
//!   methods compare policies with the truth exactly (L1 from 0 to 2), and give the exact aggregate of clients.
//! * [`training`] trains a client, the server or a centralised run of a problem for a number of steps; what needs more than
//!   [`problem::Problem::train_client`] and its siblings puts it together from `fresh_policy`, `trainer`, `train_until` and
//!   `train`. Everything random comes from the seed, so results repeat bit for bit; seconds are measured, never asserted.
//! * A [`Task`] computes one or more [`Cell`]s (domain, method, clients, seed) that share work, on one thread, and gives
//!   each at least one number. [`tasks::run`] deals tasks to threads and keeps each as soon as it is done in
//!   [`Results`], which is `results.csv`; a cell that is there is not computed again. `metric@x` is a number taken along the
//!   way at x, read back by [`Results::curve`].
//! * [`plot`] draws charts with ranges over seeds as SVG, [`page`] writes numbers and tables in Markdown.
//!
//! `ep experiment speed` is no [`Experiment`]: it prints one line and has no folder.
//!
//! Names of methods, domains and metrics are part of `results.csv`. Whoever changes what a cell means raises the plan's
//! number, so that older results are refused.

mod bounds;
mod clients;
mod cost;
mod failing_client;
mod growth;
mod heterogeneity;
mod losses;
pub mod page;
pub mod plot;
mod privacy;
pub mod problem;
pub mod problems;
pub mod results;
mod rounds;
mod scale;
mod sparse;
mod speed;
mod table1;
pub mod tasks;
pub mod training;

use std::path::{Path, PathBuf};
use std::time::Instant;

use gfn_core::tensor_file::write_atomically;
use gfn_core::{Error, Result};

pub use results::{Cell, Identity, Results};
pub use speed::{SpeedOptions, SpeedTask, speed};
pub use tasks::{Record, Task};

/// What was asked for.
#[derive(Debug, Clone)]
pub struct Options {
    /// Folder of the results.
    pub out: PathBuf,
    /// Small problems and short training, to see that everything works.
    pub quick: bool,
    /// Seeds 0, 1, … below this number.
    pub seeds: u64,
    /// Threads; each works on one task.
    pub threads: usize,
}

/// An experiment's page: Markdown that names its pictures, and these.
pub struct Page {
    /// Text without title and command, which are added.
    pub markdown: String,
    /// File names and SVG text.
    pub pictures: Vec<(String, String)>,
}

/// What an experiment has to say.
pub trait Experiment: Sync {
    /// Its name on the command line.
    fn name(&self) -> &'static str;
    /// What it does, in a line.
    fn about(&self) -> &'static str;
    /// The number of its plan; older results are refused.
    fn plan(&self) -> u32;
    /// All of its tasks, the longest first where that matters.
    fn tasks(&self, options: &Options) -> Result<Vec<Task>>;
    /// What the results mean. Called when all tasks are done.
    fn page(&self, options: &Options, results: &Results) -> Result<Page>;
}

/// All experiments, in the order of `ep experiment list`.
pub const EXPERIMENTS: &[&dyn Experiment] = &[
    &table1::Table1,
    &losses::Losses,
    &clients::Clients,
    &sparse::Sparse,
    &heterogeneity::Heterogeneity,
    &cost::Cost,
    &scale::Scale,
    &growth::Growth,
    &bounds::Bounds,
    &failing_client::FailingClient,
    &rounds::Rounds,
    &privacy::Privacy,
];

/// The experiment of this name.
pub fn find(name: &str) -> Result<&'static dyn Experiment> {
    EXPERIMENTS.iter().copied().find(|experiment| experiment.name() == name).ok_or_else(|| {
        let names: Vec<&str> = EXPERIMENTS.iter().map(|experiment| experiment.name()).collect();
        Error::usage(
            "experiment",
            "the name of an experiment",
            format!("`{name}`"),
            format!("choose one of: {}", names.join(", ")),
        )
    })
}

/// Does what is missing of an experiment, writes `results.csv`, `results.md` and the pictures, and returns the page.
pub fn run(experiment: &dyn Experiment, options: &Options) -> Result<String> {
    let started = Instant::now();
    let identity = Identity {
        experiment: experiment.name().into(),
        plan: experiment.plan(),
        version: env!("CARGO_PKG_VERSION").into(),
        recipes: problems::recipes_fingerprint()?,
        quick: options.quick,
    };
    let mut results = Results::open(&options.out, identity)?;
    tasks::run(experiment.tasks(options)?, &mut results, options.threads)?;
    let page = experiment.page(options, &results)?;
    for (name, svg) in &page.pictures {
        write_atomically(&options.out.join(name), svg.as_bytes())?;
    }
    let text = format!(
        "# Experiment `{name}`\n\n{about}\n\n    {command}\n\n{body}\n{machine}\n",
        name = experiment.name(),
        about = experiment.about(),
        command = command(experiment.name(), options),
        body = page.markdown.trim_end(),
        machine = machine(&results),
    );
    let path = options.out.join("results.md");
    write_atomically(&path, text.as_bytes())?;
    eprintln!("{}: {:.1} s now; {}", experiment.name(), started.elapsed().as_secs_f64(), shown(&path));
    Ok(text)
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}

fn command(name: &str, options: &Options) -> String {
    let quick = if options.quick { " --quick" } else { "" };
    format!("ep experiment {name} --out DIR --seeds {}{quick}", options.seeds)
}

/// Where and how long.
fn machine(results: &Results) -> String {
    let core = std::fs::read_to_string("/proc/cpuinfo").ok().and_then(|text| {
        let line = text.lines().find(|line| line.starts_with("model name"))?;
        Some(line.split_once(':')?.1.trim().to_string())
    });
    format!(
        "\nAll tasks took {:.0} seconds of one core ({}).",
        results.total(tasks::TASK_SECONDS),
        core.as_deref().unwrap_or("of a kind the system does not name")
    )
}
