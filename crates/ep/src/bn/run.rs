//! `ep bn run`: what a run over network structures does besides training: sites, samples, baselines, exact edges.

use gfn_bn::data::Schema;
use gfn_bn::exact::MAX_EXACT_NODES;
use gfn_bn::{Combine, DagDomain, DagReward, NetworkSettings, Statistics};
use gfn_core::domain::Domain;
use gfn_core::reward::LogReward;
use gfn_core::server::ServerModel;
use gfn_core::{Error, Result, Warning};

use crate::bn::baseline::Found;
use crate::bn::estimates::{Data, Evidence, write_results};
use crate::bn::exact_edges::write_exact_edges;
use crate::bn::heterogeneity::heterogeneity;
use crate::bn::plan::EDGE_CAUTION;
use crate::bn::pooled::{StatisticsFile, client_statistics};
use crate::bn::report::{CombineReport, NetworkResults, SiteReport};
use crate::bn::sites::SiteFile;
use crate::plan::Plan;
use crate::report::{Findings, RunReport};
use crate::run::{RunSettings, StageRunner};

/// Most variables for which all graphs are enumerated: 29 281.
pub const ENUMERATED_VARIABLES: usize = 5;

/// Runs all stages and writes all results. `model` is that of the plan; the sites are its clients, in their order.
pub fn run(
    sites: &[SiteFile],
    plan: &Plan,
    model: &NetworkSettings,
    settings: &RunSettings,
) -> Result<RunReport<NetworkResults>> {
    let domain = DagDomain::new(model.clone())?;
    let d = model.columns.len();
    if settings.exact && d > MAX_EXACT_NODES {
        return Err(Error::usage(
            "--exact",
            format!("at most {MAX_EXACT_NODES} variables: the exact engine takes 3^d steps"),
            format!("{d} variables"),
            "leave out --exact; the structure chains in the report are the reference",
        ));
    }
    // What a site's rows are refused for is found before anything is written.
    let statistics: Vec<Statistics> = sites.iter().map(|site| site.site.statistics.clone()).collect();
    let reward = match model.combine {
        Combine::Pooled => domain.pooled_reward(&statistics)?,
        Combine::Product => domain.reward(&statistics.iter().collect::<Vec<_>>(), 1.0)?,
    };
    let runner = StageRunner::open(plan, settings, &domain, sites.iter().map(|site| site.text.clone()))?;
    runner.on_threads(|| all_stages(&runner, sites, plan, &domain, &reward, settings))
}

fn all_stages(
    runner: &StageRunner<DagDomain>,
    sites: &[SiteFile],
    plan: &Plan,
    domain: &DagDomain,
    reward: &DagReward,
    settings: &RunSettings,
) -> Result<RunReport<NetworkResults>> {
    let out = &settings.out;
    let statistics: Vec<Statistics> = sites.iter().map(|site| site.site.statistics.clone()).collect();
    let pooled = domain.settings().combine == Combine::Pooled;
    let server = if pooled { merge(runner, sites, domain, reward, plan)? } else { runner.train()? };
    let found = runner.whole("baselines", || Ok(Found::new(domain, reward, plan.seed)))?;
    let Evidence { raw, reweighted, pictured, importance } = runner.sample(&server, |samples| {
        let data = Data { policy: server.policy.as_ref(), reward, found: &found };
        write_results(out, plan.seed, domain, samples, Some(data))
    })?;
    let reweighted = reweighted.expect("the data are at hand");
    let exact = if settings.exact && domain.environment().n_nodes() <= ENUMERATED_VARIABLES {
        let data = if pooled { Vec::new() } else { runner.all_client_data()? };
        let mut clients: Vec<&dyn LogReward<_>> = data.iter().map(|d| d.reward.as_ref()).collect();
        if pooled {
            clients.push(reward);
        }
        Some(runner.exact(&server, reward, &clients)?)
    } else {
        None
    };
    let exact_edges = if settings.exact {
        let named: Vec<(String, Statistics)> =
            sites.iter().zip(&statistics).map(|(site, own)| (site.name.clone(), own.clone())).collect();
        let path = out.join("exact_edges.csv");
        Some(runner.whole("exact edges", || write_exact_edges(&path, domain, &named, &raw, &reweighted))?)
    } else {
        None
    };
    let heterogeneity = heterogeneity(domain, &statistics, plan.seed)?;
    let mut warnings = Schema { columns: domain.settings().columns.clone() }.warnings();
    for site in sites {
        let own = site.site.warnings.iter();
        warnings.extend(own.map(|w| Warning::new(format!("{}: {}", site.name, w.message), w.advice.clone())));
    }
    warnings.extend(heterogeneity.as_ref().and_then(|found| found.warning(domain)));
    let results = NetworkResults {
        combine: CombineReport::new(domain.settings()),
        caution: EDGE_CAUTION,
        variables: domain.environment().names().to_vec(),
        sites: sites
            .iter()
            .map(|site| SiteReport { name: site.name.clone(), data: site.site.description() })
            .collect(),
        baseline: found.compare(domain.environment().names(), &raw, &reweighted),
        pictured,
        heterogeneity,
        exact_edges,
    };
    runner.report(&server, Findings { samples: settings.samples, results, importance, exact, warnings })
}

/// The pooled model: the sites' statistics are written as they would travel, and the server trains on their sum.
fn merge(
    runner: &StageRunner<DagDomain>,
    sites: &[SiteFile],
    domain: &DagDomain,
    reward: &DagReward,
    plan: &Plan,
) -> Result<ServerModel> {
    let fingerprint = plan.fingerprint()?;
    let mut rows = 0;
    for (k, site) in sites.iter().enumerate() {
        let file = StatisticsFile::new(&fingerprint, &site.name, &site.site);
        runner.keep(&client_statistics(k), &file.text())?;
        rows += site.site.statistics.n_rows();
    }
    let description = format!("{rows} rows of {} sites", sites.len());
    runner.train_centrally(&domain.client_data(reward.clone(), description, Vec::new()))
}
