//! `ep bn`: run, score, check, simulate; and the options that make a plan.

mod check;
mod score;
mod simulate;

use std::path::PathBuf;

use clap::{Args, Subcommand};
use gfn_bn::DagDomain;
use gfn_bn::data::STANDARDISE_MEANING;
use gfn_core::{Error, Result};

use super::options::{RunOptions, TrainingOptions};
use super::plan::write_plan;
use super::print;
use crate::bn::options::ModelOptions;
use crate::bn::plan::{check, combine_text};
use crate::bn::sites::read_sites;
use crate::plan::Plan;

/// `ep bn …`
#[derive(Debug, Subcommand)]
pub enum Action {
    /// Posterior over network structures: one client per file, train, aggregate, sample, report
    Run(Box<RunArguments>),
    /// The score of a graph (natural log), for checking against other programs
    Score(Box<score::ScoreArguments>),
    /// Read the sites' files and say what was read
    Check(Box<check::CheckArguments>),
    /// Simulated tables of several sites, for trying things out
    Simulate(simulate::SimulateArguments),
}

/// `ep bn run`
#[derive(Debug, Args)]
pub struct RunArguments {
    /// A CSV file for each site: the same columns by name, in any order
    #[arg(required = true, value_name = "CSV")]
    files: Vec<PathBuf>,
    #[command(flatten)]
    model: ModelOptions,
    #[command(flatten)]
    training: TrainingOptions,
    #[command(flatten)]
    run: RunOptions,
}

/// `ep plan bn`
#[derive(Debug, Args)]
pub struct PlanArguments {
    /// Number of sites; they are called site-1, site-2, …
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    sites: Option<usize>,
    #[command(flatten)]
    model: ModelOptions,
    #[command(flatten)]
    training: TrainingOptions,
    /// The plan's file, ending in .toml, or a run folder for it
    #[arg(long, value_name = "PLAN.TOML|DIR", default_value = "plan.toml")]
    out: PathBuf,
}

/// Does it.
pub fn run(action: Action) -> Result<()> {
    match action {
        Action::Run(arguments) => run_all(&arguments),
        Action::Score(arguments) => score::score(&arguments),
        Action::Check(arguments) => check::check(&arguments),
        Action::Simulate(arguments) => simulate::simulate(&arguments),
    }
}

fn run_all(arguments: &RunArguments) -> Result<()> {
    let settings = arguments.run.settings()?;
    let config = arguments.training.configured()?;
    let configured = configured_model(&arguments.training, config.as_ref())?;
    let model = arguments.model.settings(configured, &arguments.files)?;
    check(&model)?;
    let domain = DagDomain::new(model.clone())?;
    let sites = read_sites(&domain, &arguments.files)?;
    let names = sites.iter().map(|site| site.name.clone()).collect();
    let mut plan = arguments.training.plan(config.as_ref(), 1, names)?;
    plan.bn = Some(model);
    let model = plan.networks()?;
    if !settings.quiet {
        eprintln!("{}", combine_text(model));
        if model.standardise {
            eprintln!("Standardised: {STANDARDISE_MEANING}.");
        }
    }
    let report = crate::bn::run::run(&sites, &plan, model, &settings)?;
    print(&report.summary(&settings.out))
}

/// The model of the plan of `--config`.
fn configured_model<'a>(
    training: &TrainingOptions,
    config: Option<&'a Plan>,
) -> Result<Option<&'a gfn_bn::NetworkSettings>> {
    config.map(Plan::networks).transpose().map_err(|e| training.in_config(e))
}

/// `ep plan bn`
pub fn plan(arguments: &PlanArguments) -> Result<()> {
    let config = arguments.training.configured()?;
    let configured = configured_model(&arguments.training, config.as_ref())?;
    if arguments.model.score.columns.is_none() && configured.is_none() {
        return Err(Error::usage(
            "--columns",
            "a TOML file with the columns that all sites have",
            "none",
            "write one ([[columns]] with a name and, for categories, levels), or take that of `ep bn simulate`",
        ));
    }
    let model = arguments.model.settings(configured, &[])?;
    check(&model)?;
    let names: Vec<String> = match (arguments.sites, &config) {
        (Some(n), _) if (1..=MAX_SITES).contains(&n) => (1..=n).map(|k| format!("site-{k}")).collect(),
        (None, Some(config)) => config.clients.clone(),
        (n, _) => {
            let found = n.map_or_else(|| "none".into(), |n| n.to_string());
            return Err(Error::usage("--sites", format!("1 to {MAX_SITES}"), found, "say how many sites"));
        }
    };
    let mut plan = arguments.training.plan(config.as_ref(), 0, names)?;
    plan.bn = Some(model);
    let said = write_plan(&arguments.out, &plan, "csv", None::<std::iter::Empty<String>>)?;
    let model = plan.networks()?;
    let standardised = match model.standardise {
        true => format!("Standardised: {STANDARDISE_MEANING}.\n"),
        false => String::new(),
    };
    print(&format!("{said}\n{}\n{standardised}", combine_text(model)))
}

/// Most sites of a plan: more are a slip of the keyboard.
const MAX_SITES: usize = 10_000;
