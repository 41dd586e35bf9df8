//! `ep DOMAIN run SPEC` for domains of designs: all stages, and all results.

use std::path::{Path, PathBuf};

use gfn_core::reward::LogReward;
use gfn_core::server::ServerModel;
use gfn_core::{Result, Warning};

use crate::design::found::{Found, Preferences};
use crate::design::output::write_results;
use crate::design::report::DesignResults;
use crate::design::spec::Clients;
use crate::design::{Design, Exact, ObjectOf, Results};
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
    let enumerate =
        settings.exact && domain.check_exact(&clients.files, &clients.weights)? == Exact::Enumerated;
    let texts = clients.files.iter().map(|file| read_text(file)).collect::<Result<Vec<String>>>()?;
    let runner = StageRunner::open(plan, settings, domain, texts)?.with_weights(clients.weights.clone());
    runner.on_threads(|| all_stages(&runner, domain, plan, clients, settings, enumerate))
}

fn all_stages<D: Design>(
    runner: &StageRunner<D>,
    domain: &D,
    plan: &Plan,
    clients: &Clients,
    settings: &RunSettings,
    enumerate: bool,
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
        let results = Results {
            out: &settings.out,
            seed: plan.seed,
            found: &found,
            policy: server.policy.as_ref(),
            preferences: Some(&preferences),
            files: &clients.files,
        };
        let (written, independent) = write(domain, &plan.clients, &results, log_partition)?;
        Ok((written, weight_report(&found.log_weights, independent)))
    })?;
    let exact = if enumerate {
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
    seed: u64,
    samples: Samples<ObjectOf<D>>,
    server: &ServerModel,
) -> Result<DesignResults> {
    let names: Vec<String> = server.meta.clients.iter().map(|(meta, _)| meta.client.clone()).collect();
    let found = Found::new(domain, samples, None, None);
    let no_files: [PathBuf; 0] = [];
    let results = Results {
        out,
        seed,
        found: &found,
        policy: server.policy.as_ref(),
        preferences: None,
        files: &no_files,
    };
    Ok(write(domain, &names, &results, None)?.0)
}

/// What was written, and how much residuals spread over objects found without the policy.
fn write<D: Design>(
    domain: &D,
    clients: &[String],
    results: &Results<D>,
    log_partition: Option<f64>,
) -> Result<(DesignResults, Option<f64>)> {
    write_results(results.out, domain, clients, results.found)?;
    let more = domain.write_more(results)?;
    let independent = more.independent_deviation;
    Ok((DesignResults::new(domain, clients.len(), results.found, log_partition, more), independent))
}
