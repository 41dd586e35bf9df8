//! What the commands of all domains of designs share: `ep DOMAIN run SPEC`, `ep plan DOMAIN SPEC`, and their samples.

use std::path::{Path, PathBuf};

use clap::Args;
use gfn_core::domain::Domain;
use gfn_core::server::ServerModel;
use gfn_core::{Error, Place, Result};

use super::options::{RunOptions, TrainingOptions};
use super::plan::write_plan;
use super::print;
use crate::design::Design;
use crate::design::run::{run, write_without_data};
use crate::design::spec::{Clients, DesignSpec, check_weights, read_spec};
use crate::files::read_text;
use crate::plan::Plan;
use crate::report::NO_DATA;
use crate::samples::draw;

/// `ep DOMAIN run`
#[derive(Debug, Args)]
pub struct DesignRunArguments {
    /// What is designed and for whom: a TOML file that names the clients' files
    #[arg(value_name = "SPEC.TOML")]
    spec: PathBuf,
    /// Weights of the clients in the product, separated by commas; in a finished run folder, other weights train the server again and no client [default: those of the SPEC, or 1 each]
    #[arg(long, value_name = "W,…", value_delimiter = ',', allow_hyphen_values = true)]
    weights: Vec<f64>,
    #[command(flatten)]
    training: TrainingOptions,
    #[command(flatten)]
    run: RunOptions,
}

/// `ep plan DOMAIN`
#[derive(Debug, Args)]
pub struct DesignPlanArguments {
    /// What is designed and for whom: a TOML file; clients need no `data` in it
    #[arg(value_name = "SPEC.TOML")]
    spec: PathBuf,
    #[command(flatten)]
    training: TrainingOptions,
    /// The plan's file, ending in .toml, or a run folder for it and, where the SPEC names them, the clients' data
    #[arg(long, value_name = "PLAN.TOML|DIR", default_value = "plan.toml")]
    out: PathBuf,
}

/// Does all stages.
pub fn run_design<S: DesignSpec>(arguments: &DesignRunArguments) -> Result<()> {
    let settings = arguments.run.settings()?;
    let (mut clients, plan) = plan_of::<S>(&arguments.spec, &arguments.training)?;
    if clients.files.is_empty() {
        return Err(Error::input(
            Place::file(&arguments.spec).named("clients"),
            "`data`, the file of each client",
            "none",
            "add `data = \"….csv\"`; without data, there is `ep plan`",
        ));
    }
    if !arguments.weights.is_empty() {
        check_weights("--weights", &arguments.weights, clients.names.len())?;
        clients.weights = arguments.weights.clone();
    }
    let domain = S::domain(&plan)?;
    let report = run(&domain, &plan, &clients, &settings)?;
    print(&report.summary(&settings.out))
}

/// Writes a plan.
pub fn plan_design<S: DesignSpec>(arguments: &DesignPlanArguments) -> Result<()> {
    let (clients, plan) = plan_of::<S>(&arguments.spec, &arguments.training)?;
    let domain = S::domain(&plan)?;
    for file in &clients.files {
        domain.read_client(file)?;
    }
    let as_file = arguments.out.extension().is_some_and(|extension| extension == "toml");
    let data = if as_file || clients.files.is_empty() {
        None
    } else {
        Some(clients.files.iter().map(|file| read_text(file)).collect::<Result<Vec<String>>>()?.into_iter())
    };
    let said = write_plan(&arguments.out, &plan, domain.data_extension(), data)?;
    print(&format!("{said}\nDesigns: {}\n", domain.description()))
}

/// The clients of a SPEC, and its plan.
fn plan_of<S: DesignSpec>(path: &Path, training: &TrainingOptions) -> Result<(Clients, Plan)> {
    let (spec, clients) = read_spec::<S>(path)?;
    let config = training.configured()?;
    if let Some(config) = &config {
        // Only training is taken from it, and still it should be the plan of something alike.
        S::domain(config).map_err(|error| training.in_config(error))?;
    }
    let mut plan = training.plan(config.as_ref(), 0, clients.names.clone())?;
    spec.fill(&clients.files, &mut plan).map_err(|error| error.in_file(path))?;
    S::domain(&plan).map_err(|error| error.in_file(path))?;
    Ok((clients, plan))
}

/// Samples of an aggregate, without data.
pub fn sample_design<D: Design>(
    out: &Path,
    n: usize,
    plan: &Plan,
    domain: &D,
    server: &ServerModel,
) -> Result<()> {
    let samples = draw(domain, server.policy.as_ref(), n, plan.seed, false)?;
    let results = write_without_data(domain, out, plan.seed, samples, server)?;
    print(&format!(
        "{n} samples, {} distinct {}; most often (share of the samples):\n{}{}{}{NO_DATA}\n",
        results.sampled_designs,
        domain.objects_word(),
        results.best_lines(&[]),
        results.marginal_lines(),
        results.lines
    ))
}
