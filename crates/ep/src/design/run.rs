//! `ep DOMAIN run SPEC` for domains of designs: all stages, and all results.

use std::path::Path;

use gfn_core::exact::StateGraph;
use gfn_core::reward::LogReward;
use gfn_core::server::ServerModel;
use gfn_core::{Error, Result, Warning};

use crate::design::found::{Found, Preferences};
use crate::design::output::write_results;
use crate::design::report::DesignResults;
use crate::design::spec::Clients;
use crate::design::{Design, ObjectOf};
use crate::exact::MAX_STATES;
use crate::files::{input_file, read_text};
use crate::plan::Plan;
use crate::report::{Findings, RunReport};
use crate::run::{RunSettings, StageRunner};
use crate::samples::{Samples, weight_report};

/// Runs all stages and writes all results. The clients are those of the plan, in its order, with their files.
pub fn run<D: Design>(
    domain: &D,
    plan: &Plan,
    clients: &Clients,
    settings: &RunSettings,
) -> Result<RunReport<DesignResults>> {
    // What is wrong with a client's file is said with the file's own name, before anything is written.
    for file in &clients.files {
        domain.read_client(input_file(file)?)?;
    }
    if settings.exact {
        // Too many states are found out now, not after training.
        StateGraph::enumerate(domain.environment().as_ref(), MAX_STATES)
            .map(drop)
            .map_err(|error| Error::usage("--exact", error.expected(), error.found(), error.advice()))?;
    }
    let texts = clients.files.iter().map(|file| read_text(file)).collect::<Result<Vec<String>>>()?;
    let runner = StageRunner::open(plan, settings, domain, texts)?.with_weights(clients.weights.clone());
    runner.on_threads(|| all_stages(&runner, domain, plan, clients, settings))
}

fn all_stages<D: Design>(
    runner: &StageRunner<D>,
    domain: &D,
    plan: &Plan,
    clients: &Clients,
    settings: &RunSettings,
) -> Result<RunReport<DesignResults>> {
    let server = runner.train()?;
    let data = runner.all_client_data()?;
    let preferences = Preferences {
        rewards: data.iter().map(|client| client.reward.clone()).collect(),
        weights: clients.weights.clone(),
    };
    let (results, importance) = runner.sample(&server, |samples| {
        let log_partition = domain.log_partition(&clients.files, &clients.weights)?;
        let found = Found::new(domain, samples, Some(&preferences), log_partition);
        let results = write(domain, &settings.out, &plan.clients, &found, log_partition)?;
        Ok((results, weight_report(&found.log_weights, None)))
    })?;
    let exact = if settings.exact {
        let rewards: Vec<&dyn LogReward<D::Env>> = data.iter().map(|client| client.reward.as_ref()).collect();
        Some(runner.exact(&server, &preferences, &rewards)?)
    } else {
        None
    };
    let warnings: Vec<Warning> = runner.client_warnings(&[])?;
    let findings =
        Findings { samples: settings.samples, results, importance: Some(importance), exact, warnings };
    runner.report(&server, findings)
}

/// Writes what samples of an aggregate say where there are no data, as `ep sample` does.
pub fn write_without_data<D: Design>(
    domain: &D,
    out: &Path,
    samples: Samples<ObjectOf<D>>,
    server: &ServerModel,
) -> Result<DesignResults> {
    let names: Vec<String> = server.meta.clients.iter().map(|(meta, _)| meta.client.clone()).collect();
    let found = Found::new(domain, samples, None, None);
    write(domain, out, &names, &found, None)
}

fn write<D: Design>(
    domain: &D,
    out: &Path,
    clients: &[String],
    found: &Found<ObjectOf<D>>,
    log_partition: Option<f64>,
) -> Result<DesignResults> {
    write_results(out, domain, clients, found)?;
    let more = domain.write_more(out, found)?;
    Ok(DesignResults::new(domain, clients.len(), found, log_partition, more))
}
