//! `ep sample`: objects from an aggregate, without data.

use std::path::{Path, PathBuf};

use clap::Args;
use gfn_bn::DagDomain;
use gfn_core::domain::Domain;
use gfn_core::server::ServerModel;
use gfn_core::{Environment, Error, Place, Result};
use gfn_multiset::MultisetDomain;
use gfn_seq::SequenceDomain;

use super::design::sample_design;
use super::options::check_samples;
use super::print;
use crate::bn::estimates::write_results as write_networks;
use crate::bn::plan::combine_text;
use crate::bn::report::picture_lines;
use crate::design::Design;
use crate::folder::{RunFolder, newest_round, server_file};
use crate::grid::GridDomain;
use crate::phylo::report::best_lines;
use crate::phylo::samples::write_results;
use crate::plan::{Model, Plan};
use crate::report::NO_DATA;
use crate::samples::draw;

/// `ep sample`
#[derive(Debug, Args)]
pub struct SampleArguments {
    /// A run folder with an aggregate: the newest one is sampled, and the results are written there
    #[arg(value_name = "DIR")]
    target: PathBuf,
    /// Samples to draw
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

/// `ep sample`
pub fn sample(arguments: &SampleArguments) -> Result<()> {
    check_samples("-n", arguments.n)?;
    let (out, n) = (&arguments.target, arguments.n);
    let plan = Plan::of(out)?;
    match plan.model()? {
        Model::Phylo(model) => {
            let domain = model.domain()?;
            let (_locked, server) = newest_aggregate(out, &plan, &domain)?;
            let samples = draw(&domain, server.policy.as_ref(), n, plan.seed, false)?;
            let results = write_results(out, plan.seed, model, &domain, samples, None)?.results;
            let (distinct, best) = (results.sampled_topologies, best_lines(&results.best_topologies));
            print(&format!("{n} samples, {distinct} distinct topologies; the best:\n{best}{NO_DATA}\n"))
        }
        Model::Bn(model) => {
            let domain = DagDomain::new(model.clone())?;
            let (_locked, server) = newest_aggregate(out, &plan, &domain)?;
            let samples = draw(&domain, server.policy.as_ref(), n, plan.seed, false)?;
            let pictured = write_networks(out, plan.seed, &domain, samples, None)?.pictured;
            let lines = picture_lines(&pictured);
            let (graphs, classes) = (pictured.sampled_graphs, pictured.sampled_classes);
            print(&format!(
                "{n} samples, {graphs} distinct graphs in {classes} equivalence classes\n{lines}{}\n{NO_DATA}\n",
                combine_text(model)
            ))
        }
        Model::Multiset(model) => sample_over(out, n, &plan, &MultisetDomain::new(model.clone())?),
        Model::Seq(model) => sample_over(out, n, &plan, &SequenceDomain::new(model)?),
        Model::Grid(model) => sample_over(out, n, &plan, &GridDomain::new(model)?),
    }
}

fn sample_over<D: Design>(out: &Path, n: usize, plan: &Plan, domain: &D) -> Result<()> {
    let (_locked, server) = newest_aggregate(out, plan, domain)?;
    sample_design(out, n, plan, domain, &server)
}

/// The newest aggregate of a run folder, and the folder, locked.
fn newest_aggregate<D: Domain>(folder: &Path, plan: &Plan, domain: &D) -> Result<(RunFolder, ServerModel)> {
    let Some(round) = newest_round(folder, server_file) else {
        return Err(Error::input(Place::file(folder), "an aggregate", "none", "run `ep aggregate` first"));
    };
    let locked = RunFolder::open(folder, plan.model()?.result_files())?;
    let path = folder.join(server_file(round));
    let server = ServerModel::load(&path)?;
    let expected = plan.fingerprint()?;
    if server.meta.plan != expected || server.policy.spec().env != *domain.environment().spec() {
        return Err(Error::input(
            Place::file(&path),
            format!("an aggregate of plan {expected}"),
            format!("one of plan {}", server.meta.plan),
            "aggregate again (`ep aggregate`), or put the plan back that it was made with",
        ));
    }
    Ok((locked, server))
}
