//! `ep phylo run`: what a run over trees does besides training: sites, samples, all trees, the report.

use gfn_core::{Error, Result, Warning};
use gfn_phylo::TreeDomain;
use gfn_phylo::alignment::{AlignmentFile, AlignmentSummary, write_nexus};

use crate::phylo::plan::PhyloPlan;
use crate::phylo::report::TreeResults;
use crate::phylo::samples::{Evidence, write_results};
use crate::plan::Plan;
use crate::report::{Findings, RunReport};
use crate::run::{RunSettings, StageRunner};

/// Most taxa for `--exact`: 135 135 topologies.
pub const EXACT_TAXA: usize = 9;

/// Runs all stages and writes all results. `model` is that of the plan; `shards` are the sites of each client.
pub fn run(
    file: &AlignmentFile,
    shards: &[Vec<usize>],
    plan: &Plan,
    model: &PhyloPlan,
    settings: &RunSettings,
) -> Result<RunReport<TreeResults>> {
    let domain = model.domain()?;
    if settings.exact && model.taxa.len() > EXACT_TAXA {
        return Err(Error::usage(
            "--exact",
            format!("at most {EXACT_TAXA} taxa ({} trees can be enumerated)", 135_135),
            format!("{} taxa", model.taxa.len()),
            "leave out --exact",
        ));
    }
    let texts = shards.iter().map(|sites| write_nexus(&file.alignment.select_sites(sites)));
    let runner = StageRunner::open(plan, settings, &domain, texts)?;
    runner.on_threads(|| all_stages(&runner, file, plan, model, &domain, settings))
}

fn all_stages(
    runner: &StageRunner<TreeDomain>,
    file: &AlignmentFile,
    plan: &Plan,
    model: &PhyloPlan,
    domain: &TreeDomain,
    settings: &RunSettings,
) -> Result<RunReport<TreeResults>> {
    let mut warnings: Vec<Warning> = file.warnings.clone();
    warnings.extend(AlignmentSummary::new(&file.alignment).warnings);
    warnings.extend(runner.client_warnings(&file.warnings)?);
    let server = runner.train()?;
    let Evidence { results, importance } = runner.sample(&server, |samples| {
        let reward = domain.reward(&file.alignment, 1.0)?;
        let data = Some((server.policy.as_ref(), &reward));
        write_results(&settings.out, plan.seed, model, domain, samples, data)
    })?;
    let exact = if settings.exact {
        let full = domain.reward(&file.alignment, 1.0)?;
        let data = runner.all_client_data()?;
        let clients: Vec<_> = data.iter().map(|d| d.reward.as_ref()).collect();
        Some(runner.exact(&server, &full, &clients)?)
    } else {
        None
    };
    runner.report(&server, Findings { samples: settings.samples, results, importance, exact, warnings })
}
