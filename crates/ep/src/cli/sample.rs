//! `ep sample`: trees from an aggregate, without data.

use std::path::PathBuf;

use clap::Args;
use gfn_core::domain::Domain;
use gfn_core::server::ServerModel;
use gfn_core::{Environment, Error, Place, Result};

use super::print;
use crate::folder::{RunFolder, newest_round, server_file};
use crate::phylo::report::best_lines;
use crate::phylo::samples::sample_and_write;
use crate::plan::Plan;

/// `ep sample`
#[derive(Debug, Args)]
pub struct SampleArguments {
    /// A run folder with an aggregate: the newest one is sampled, and the results are written there
    #[arg(value_name = "DIR")]
    target: PathBuf,
    /// Trees to draw
    #[arg(
        short,
        long,
        visible_alias = "samples",
        value_name = "N",
        default_value_t = 10_000,
        allow_negative_numbers = true
    )]
    n: usize,
}

/// Most samples of one command: more do not fit into memory.
const MAX_SAMPLES: usize = 10_000_000;

/// Refuses numbers of samples that make no sense.
pub fn check_samples(option: &str, n: usize) -> Result<()> {
    if (1..=MAX_SAMPLES).contains(&n) {
        return Ok(());
    }
    Err(Error::usage(option, format!("1 to {MAX_SAMPLES}"), n.to_string(), "correct the option"))
}

/// `ep sample`
pub fn sample(arguments: &SampleArguments) -> Result<()> {
    check_samples("-n", arguments.n)?;
    let folder = &arguments.target;
    let plan = Plan::of(folder)?;
    let domain = plan.domain()?;
    let Some(round) = newest_round(folder, server_file) else {
        return Err(Error::input(Place::file(folder), "an aggregate", "none", "run `ep aggregate` first"));
    };
    let _locked = RunFolder::open(folder)?;
    let path = folder.join(server_file(round));
    let server = ServerModel::load(&path)?;
    if server.meta.plan != plan.fingerprint() || server.policy.spec().env != *domain.environment().spec() {
        return Err(Error::input(
            Place::file(&path),
            format!("an aggregate of plan {}", plan.fingerprint()),
            format!("one of plan {}", server.meta.plan),
            "aggregate again (`ep aggregate`), or put the plan back that it was made with",
        ));
    }
    let evidence = sample_and_write(folder, &plan, &domain, &server, None, arguments.n)?;
    print(&format!(
        "{} samples, {} distinct topologies; the best:\n{}The server has policies only, no data: no likelihoods, weights or effective sample size.\n",
        evidence.samples,
        evidence.topologies,
        best_lines(&evidence.best)
    ))
}
