//! `ep aggregate`: the server's training on the clients' files.

use std::path::{Path, PathBuf};

use clap::Args;
use gfn_bn::{Combine, DagDomain};
use gfn_core::client::ClientModel;
use gfn_core::domain::Domain;
use gfn_core::server::ServerModel;
use gfn_core::{Environment, Error, Place, Result};
use gfn_multiset::MultisetDomain;
use gfn_seq::SequenceDomain;

use super::print;
use super::statistics::merge_statistics;
use crate::bn::pooled::refuse_statistics;
use crate::budget::RunBudget;
use crate::design::spec::check_weights;
use crate::files::input_file;
use crate::folder::{RunFolder, client_file, content_key, newest_round, proposals_file, server_file};
use crate::grid::GridDomain;
use crate::plan::{Model, Plan};
use crate::progress::Progress;
use crate::proposals::write_objects;
use crate::report::disagreement;
use crate::stages::{StageContext, aggregate as aggregate_clients, propose};

/// `ep aggregate`
#[derive(Debug, Args)]
pub struct AggregateArguments {
    /// A run folder, or a plan (with --out)
    pub target: PathBuf,
    /// The clients' files, if not those of the run folder
    clients: Vec<PathBuf>,
    /// Run folder for the result [default: the run folder given]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Weights of the clients in the product, separated by commas [default: 1 each]
    #[arg(long, value_name = "W,…", value_delimiter = ',', allow_hyphen_values = true)]
    pub weights: Vec<f64>,
    /// In a run folder: go on if at least so many clients are there [default: all]
    #[arg(long, value_name = "K", allow_negative_numbers = true)]
    min_clients: Option<usize>,
    /// Training: time (60s, 5m, 1h) or steps (4000steps) [default: all of the plan's budget]
    #[arg(long, value_name = "TIME|STEPS", allow_hyphen_values = true)]
    pub budget: Option<RunBudget>,
}

/// `ep aggregate`
pub fn aggregate(arguments: &AggregateArguments) -> Result<()> {
    let plan = Plan::of(&arguments.target)?;
    match plan.model()? {
        Model::Phylo(model) => aggregate_over(arguments, &plan, &model.domain()?),
        Model::Bn(model) => {
            let domain = DagDomain::new(model.clone())?;
            match model.combine {
                Combine::Product => aggregate_over(arguments, &plan, &domain),
                Combine::Pooled => merge_statistics(arguments, &plan, &domain),
            }
        }
        Model::Multiset(model) => aggregate_over(arguments, &plan, &MultisetDomain::new(model.clone())?),
        Model::Seq(model) => aggregate_over(arguments, &plan, &SequenceDomain::new(model)?),
        Model::Grid(model) => aggregate_over(arguments, &plan, &GridDomain::new(model)?),
    }
}

fn aggregate_over<D: Domain>(arguments: &AggregateArguments, plan: &Plan, domain: &D) -> Result<()> {
    let fingerprint = plan.fingerprint()?;
    let folder: &Path = &arguments.target;
    let files = client_files(arguments, plan, |k| {
        let round = newest_round(folder, |round| client_file(k, round))?;
        Some(folder.join(client_file(k, round)))
    })?;
    let (mut clients, key) = load_clients(arguments, &fingerprint, domain, &files)?;
    let round = clients.iter().map(|(c, _)| c.meta.round).max().unwrap_or(0);
    let mut folder = open_out(arguments, plan, &fingerprint)?;
    let progress = Progress::new(false);
    let name = server_file(round);
    // Any client's checkpoint would fit: the name covers the clients and their weights.
    let checkpoint = folder.path(&format!("server/round-{round}-{key}.checkpoint"));
    let server = match clients[..] {
        [(_, 1.0)] => {
            let mut server = ServerModel::single(clients.remove(0).0);
            server.meta.round = round;
            server
        }
        _ => {
            let context = StageContext {
                plan: fingerprint,
                seed: plan.seed,
                budget: arguments.budget.unwrap_or(plan.budget).whole(),
                checkpoint: Some(checkpoint.clone()),
                progress: progress.stage("server", folder.path("server/log.jsonl")),
            };
            aggregate_clients(domain, clients, round, context)?
        }
    };
    server.save(&folder.path(&name))?;
    folder.finish(&name, server.meta.seconds, server.meta.steps)?;
    // It may never have been written.
    let _ = std::fs::remove_file(checkpoint);
    let proposals = proposals_file(round + 1, domain.objects_extension());
    write_objects(&folder.path(&proposals), domain, &propose(domain, &server, plan.seed))?;
    folder.finish(&proposals, 0.0, 0)?;
    let spread = server.meta.path_spread.map_or(String::new(), |spread| {
        format!(
            "Over the paths to one object, the clients' summed scores differ by {spread:.3} nats (0 for clients without error).\n"
        )
    });
    if let Some(warning) = disagreement(server.meta.path_spread) {
        eprintln!("warning: {warning}");
    }
    print(&format!(
        "{}: {} clients, {} steps\n{spread}For an extra round, {}: {}\n",
        folder.path(&name).display(),
        server.meta.clients.len(),
        server.meta.steps,
        domain.objects_word(),
        folder.path(&proposals).display()
    ))
}

type WeightedClients = Vec<(ClientModel, f64)>;

/// The clients with their weights, checked against the plan and each other, and a name for exactly this product.
fn load_clients<D: Domain>(
    arguments: &AggregateArguments,
    fingerprint: &str,
    domain: &D,
    files: &[PathBuf],
) -> Result<(WeightedClients, String)> {
    let weights =
        if arguments.weights.is_empty() { vec![1.0; files.len()] } else { arguments.weights.clone() };
    check_weights("--weights", &weights, files.len())?;
    let mut clients: WeightedClients = Vec::new();
    let mut parts = Vec::new();
    for (path, weight) in files.iter().zip(weights) {
        refuse_statistics(path)?;
        let client = ClientModel::load(input_file(path)?)?;
        client.check_plan(path, fingerprint, domain.environment().spec())?;
        if let Some((twin, _)) = clients.iter().find(|(c, _)| c.meta.client == client.meta.client) {
            return Err(Error::input(
                Place::file(path),
                "a client that is not among the files yet",
                format!("{} for the second time", twin.meta.client),
                "give each client's newest file once: its data would count twice",
            ));
        }
        parts.push(std::fs::read(path).map_err(|e| Error::io(path, "read", &e))?);
        parts.push(weight.to_le_bytes().to_vec());
        clients.push((client, weight));
    }
    Ok((clients, content_key(parts.iter().map(Vec::as_slice))))
}

/// Opens the folder of the result, and claims it for the plan.
pub fn open_out(arguments: &AggregateArguments, plan: &Plan, fingerprint: &str) -> Result<RunFolder> {
    let in_folder = arguments.target.is_dir().then(|| arguments.target.clone());
    let Some(out) = arguments.out.clone().or(in_folder) else {
        return Err(Error::usage("--out", "a folder for the result", "none", "add --out DIR"));
    };
    let folder = RunFolder::open(&out, plan.model()?.result_files())?;
    let same = |present: &Plan| present.fingerprint().is_ok_and(|other| other == *fingerprint);
    if !folder.claim(plan, same)? {
        return Err(Error::input(
            Place::file(folder.path("plan.toml")),
            format!("the plan {fingerprint} of these clients"),
            "another plan",
            "choose another --out",
        ));
    }
    Ok(folder)
}

/// The files on the command line, or the newest of each client of the run folder.
pub fn client_files(
    arguments: &AggregateArguments,
    plan: &Plan,
    newest: impl Fn(usize) -> Option<PathBuf>,
) -> Result<Vec<PathBuf>> {
    if !arguments.clients.is_empty() {
        return Ok(arguments.clients.clone());
    }
    let n = plan.clients.len();
    let found: Vec<PathBuf> = (0..n).filter_map(newest).collect();
    let wanted = arguments.min_clients.unwrap_or(n).max(1);
    if found.len() < wanted {
        return Err(Error::input(
            Place::file(&arguments.target),
            format!("at least {wanted} trained clients"),
            found.len().to_string(),
            "train the others (`ep train`), or allow fewer with --min-clients",
        ));
    }
    Ok(found)
}
