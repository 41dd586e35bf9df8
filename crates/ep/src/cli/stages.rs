//! The stages one by one: plan, train, aggregate, sample, status, inspect.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use gfn_core::client::ClientModel;
use gfn_core::domain::Domain;
use gfn_core::server::ServerModel;
use gfn_core::tensor_file::write_atomically;
use gfn_core::trainer::Budget;
use gfn_core::{Environment, Error, Place, Result};
use gfn_phylo::alignment::write_nexus;

use super::phylo::{PlanOptions, make_plan};
use super::print;
use crate::budget::RunBudget;
use crate::folder::{RunFolder, client_data, client_file, proposals_file, server_file};
use crate::phylo::report;
use crate::phylo::run::{PROPOSALS, read_trees, write_trees};
use crate::plan::Plan;
use crate::progress::Progress;
use crate::stages::{Round, StageContext, aggregate as aggregate_clients, propose, train_client};

/// `ep plan …`
#[derive(Debug, Subcommand)]
pub enum PlanAction {
    /// A plan for trees
    Phylo {
        #[command(flatten)]
        options: Box<PlanOptions>,
        /// Folder for the plan and the clients' data
        #[arg(long, value_name = "DIR")]
        out: PathBuf,
        /// Write the plan only: every site has data of its own
        #[arg(long)]
        no_data: bool,
    },
}

/// `ep train`
#[derive(Debug, Args)]
pub struct TrainArguments {
    /// A run folder, or a plan
    target: PathBuf,
    /// Number of the client in the run folder
    #[arg(long, value_name = "K", conflicts_with_all = ["data", "out"])]
    client: Option<usize>,
    /// This site's own data, which stay here
    #[arg(long, value_name = "FILE", requires = "out")]
    data: Option<PathBuf>,
    /// The file to send
    #[arg(long, value_name = "FILE.SAFETENSORS", requires = "data")]
    out: Option<PathBuf>,
    /// Name of the site in its file [default: that of the file]
    #[arg(long, requires = "data")]
    name: Option<String>,
    /// The server's trees: go on with an extra round (the second message)
    #[arg(long, value_name = "TREES.NWK", requires = "previous")]
    proposals: Option<PathBuf>,
    /// This site's file of the round before
    #[arg(long, value_name = "FILE.SAFETENSORS", requires = "proposals")]
    previous: Option<PathBuf>,
    /// Training: time or steps [default: the plan's budget]
    #[arg(long, value_name = "TIME|STEPS")]
    budget: Option<RunBudget>,
}

/// `ep aggregate`
#[derive(Debug, Args)]
pub struct AggregateArguments {
    /// A run folder, or a plan
    target: PathBuf,
    /// The clients' files, if not those of the run folder
    clients: Vec<PathBuf>,
    /// Run folder for the result [default: the run folder given]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Weights of the clients in the product, separated by commas [default: 1 each]
    #[arg(long, value_name = "W,…", value_delimiter = ',')]
    weights: Vec<f64>,
    /// In a run folder: go on if at least so many clients are there [default: all]
    #[arg(long, value_name = "K")]
    min_clients: Option<usize>,
    /// Training: time or steps [default: the plan's budget]
    #[arg(long, value_name = "TIME|STEPS")]
    budget: Option<RunBudget>,
}

/// `ep sample`
#[derive(Debug, Args)]
pub struct SampleArguments {
    /// A run folder with an aggregate
    target: PathBuf,
    /// Samples
    #[arg(short, long, default_value_t = 10_000)]
    n: usize,
}

/// `ep status`
#[derive(Debug, Args)]
pub struct StatusArguments {
    /// A run folder
    target: PathBuf,
}

/// `ep inspect`
#[derive(Debug, Args)]
pub struct InspectArguments {
    /// A client's or a server's file
    file: PathBuf,
}

/// `ep plan`
pub fn plan(action: PlanAction) -> Result<()> {
    let PlanAction::Phylo { options, out, no_data } = action;
    let (file, shards, plan) = make_plan(&options, 0)?;
    let folder = RunFolder::open(&out)?;
    let path = folder.path("plan.toml");
    if path.exists() && Plan::load(&path)? != plan {
        return Err(Error::input(
            Place::file(&path),
            "no plan there, or the same one",
            "another plan",
            "choose another --out",
        ));
    }
    if !no_data {
        for (k, sites) in shards.iter().enumerate() {
            let text = write_nexus(&file.alignment.select_sites(sites));
            write_atomically(&folder.path(&client_data(k)), text.as_bytes())?;
        }
    }
    plan.save(&path)?;
    print(&format!(
        "Plan {} for {} clients in {}\nBranch lengths: {}\n",
        plan.fingerprint(),
        plan.phylo.clients.len(),
        path.display(),
        plan.phylo.branch_lengths
    ));
    Ok(())
}

/// The plan of a run folder, or a plan by itself.
fn plan_of(target: &Path) -> Result<Plan> {
    if target.is_dir() { Plan::load(&target.join("plan.toml")) } else { Plan::load(target) }
}

/// The newest round that client `k` has finished in a folder.
fn newest_round(folder: &Path, name: impl Fn(u32) -> String) -> Option<u32> {
    (0..).take_while(|&round| folder.join(name(round)).exists()).last()
}

fn stage_budget(budget: Option<RunBudget>, plan: &Plan) -> Budget {
    match budget.unwrap_or(plan.budget) {
        RunBudget::Seconds(s) => Budget::Seconds(s),
        RunBudget::Steps(n) => Budget::Steps(n),
    }
}

/// `ep train`
pub fn train(arguments: &TrainArguments) -> Result<()> {
    let plan = plan_of(&arguments.target)?;
    let domain = plan.domain()?;
    let (name, data, out, previous, proposals) = train_files(arguments, &plan)?;
    let data = domain.read_client(&data)?;
    for warning in &data.warnings {
        eprintln!("warning: {warning}");
    }
    let round = match (previous, proposals) {
        (Some(previous), Some(proposals)) => {
            let client = ClientModel::load(&previous)?;
            client.check_plan(&previous, &plan.fingerprint(), &domain.environment().spec().fingerprint)?;
            let proposals = read_trees(&proposals, &domain)?;
            Some(Round { number: client.meta.round + 1, previous: client, proposals })
        }
        _ => None,
    };
    let progress = Progress::new(false);
    let context = StageContext {
        plan: plan.fingerprint(),
        seed: plan.seed,
        budget: stage_budget(arguments.budget, &plan),
        checkpoint: Some(out.with_extension("checkpoint")),
        progress: progress.stage(&name, out.with_extension("jsonl")),
    };
    let checkpoint = context.checkpoint.clone();
    let model = train_client(&domain, &name, &data, plan.phylo.clients.len() == 1, round, context)?;
    model.save(&out)?;
    if let Some(checkpoint) = checkpoint {
        // It may never have been written.
        let _ = std::fs::remove_file(checkpoint);
    }
    let spread = model.meta.residual_spread;
    print(&format!(
        "{}: {} steps; residual sd {:.3} own, {:.3} tempered, {:.3} uniform\n",
        out.display(),
        model.meta.steps,
        spread.own,
        spread.tempered,
        spread.uniform
    ));
    Ok(())
}

type TrainFiles = (String, PathBuf, PathBuf, Option<PathBuf>, Option<PathBuf>);

/// Name, data, result, file of the round before, proposals.
fn train_files(arguments: &TrainArguments, plan: &Plan) -> Result<TrainFiles> {
    if let (Some(data), Some(out)) = (&arguments.data, &arguments.out) {
        let stem = out.file_stem().map(|s| s.to_string_lossy().into_owned());
        let name = arguments.name.clone().or(stem).unwrap_or_else(|| "client".into());
        return Ok((
            name,
            data.clone(),
            out.clone(),
            arguments.previous.clone(),
            arguments.proposals.clone(),
        ));
    }
    let n = plan.phylo.clients.len();
    let Some(k) = arguments.client.filter(|&k| k < n && arguments.target.is_dir()) else {
        return Err(Error::usage(
            "--client",
            format!("a run folder and a client from 0 to {}, or --data and --out", n - 1),
            format!("{} and {:?}", arguments.target.display(), arguments.client),
            "say which client is to be trained",
        ));
    };
    let folder = &arguments.target;
    let done = newest_round(folder, |round| client_file(k, round));
    let next = done.map_or(0, |round| round + 1);
    let proposals = folder.join(proposals_file(next.max(1)));
    let (previous, proposals) = match done {
        None => (None, None),
        Some(round) if proposals.exists() => (Some(folder.join(client_file(k, round))), Some(proposals)),
        Some(_) => {
            return Err(Error::usage(
                "--client",
                "a client that is not trained yet, or trees from the server for another round",
                format!("client {k} trained, and no {}", proposals.display()),
                "aggregate first; that writes the trees",
            ));
        }
    };
    let name = plan.phylo.clients[k].clone();
    Ok((name, folder.join(client_data(k)), folder.join(client_file(k, next)), previous, proposals))
}

/// `ep aggregate`
pub fn aggregate(arguments: &AggregateArguments) -> Result<()> {
    let plan = plan_of(&arguments.target)?;
    let domain = plan.domain()?;
    let in_folder = arguments.target.is_dir().then(|| arguments.target.clone());
    let Some(out) = arguments.out.clone().or(in_folder) else {
        return Err(Error::usage("--out", "a folder for the result", "none", "add --out DIR"));
    };
    let files = client_files(arguments, &plan)?;
    let weights =
        if arguments.weights.is_empty() { vec![1.0; files.len()] } else { arguments.weights.clone() };
    if weights.len() != files.len() {
        return Err(Error::usage(
            "--weights",
            format!("one weight for each of the {} clients", files.len()),
            weights.len().to_string(),
            "give as many weights as files",
        ));
    }
    let mut clients: Vec<(ClientModel, f64)> = Vec::new();
    for (path, weight) in files.iter().zip(weights) {
        let client = ClientModel::load(path)?;
        client.check_plan(path, &plan.fingerprint(), &domain.environment().spec().fingerprint)?;
        if let Some(twin) = clients.iter().find(|(c, _)| c.meta.client == client.meta.client) {
            return Err(Error::input(
                Place::file(path),
                "a client that is not among the files yet",
                format!("{} for the second time", twin.0.meta.client),
                "give each client's newest file once: its data would count twice",
            ));
        }
        clients.push((client, weight));
    }
    let round = clients.iter().map(|(c, _)| c.meta.round).max().unwrap_or(0);
    let mut folder = RunFolder::open(&out)?;
    let plan_path = folder.path("plan.toml");
    if !plan_path.exists() {
        plan.save(&plan_path)?;
    }
    let progress = Progress::new(false);
    let name = server_file(round);
    let context = StageContext {
        plan: plan.fingerprint(),
        seed: plan.seed,
        budget: stage_budget(arguments.budget, &plan),
        checkpoint: None,
        progress: progress.stage("server", folder.path("server/log.jsonl")),
    };
    // Any client's checkpoint would fit: aggregation is short, so it starts over instead.
    let server = if clients.len() == 1 {
        ServerModel::single(clients.remove(0).0)
    } else {
        aggregate_clients(&domain, clients, round, context)?
    };
    server.save(&folder.path(&name))?;
    folder.finish(&name, server.meta.seconds, server.meta.steps)?;
    let proposals = proposals_file(round + 1);
    write_trees(&folder.path(&proposals), &domain, &propose(&domain, &server, PROPOSALS, plan.seed))?;
    folder.finish(&proposals, 0.0, 0)?;
    print(&format!(
        "{}: {} clients, {} steps\nTrees for an extra round: {}\n",
        folder.path(&name).display(),
        server.meta.clients.len(),
        server.meta.steps,
        folder.path(&proposals).display()
    ));
    Ok(())
}

fn client_files(arguments: &AggregateArguments, plan: &Plan) -> Result<Vec<PathBuf>> {
    if !arguments.clients.is_empty() {
        return Ok(arguments.clients.clone());
    }
    let n = plan.phylo.clients.len();
    let newest = |k: usize| {
        let round = newest_round(&arguments.target, |round| client_file(k, round))?;
        Some(arguments.target.join(client_file(k, round)))
    };
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

/// `ep sample`
pub fn sample(arguments: &SampleArguments) -> Result<()> {
    if arguments.n == 0 {
        return Err(Error::usage("-n", "at least 1", "0", "correct the option"));
    }
    let plan = plan_of(&arguments.target)?;
    let domain = plan.domain()?;
    let Some(round) = newest_round(&arguments.target, server_file) else {
        return Err(Error::input(
            Place::file(&arguments.target),
            "an aggregate",
            "none",
            "run `ep aggregate` first",
        ));
    };
    let server = ServerModel::load(&arguments.target.join(server_file(round)))?;
    let evidence = report::sample_and_write(&arguments.target, &plan, &domain, &server, None, arguments.n)?;
    let best: Vec<String> = evidence.best.iter().map(|(tree, p)| format!("  {p:.4}  {tree}\n")).collect();
    print(&format!(
        "{} samples, {} topologies; the best:\n{}The server has policies only, no data: no likelihoods, weights or effective sample size.\n",
        evidence.samples,
        evidence.topologies,
        best.concat()
    ));
    Ok(())
}

/// `ep status`
pub fn status(arguments: &StatusArguments) -> Result<()> {
    let plan = plan_of(&arguments.target)?;
    let target = &arguments.target;
    let mut text = format!("plan {} with {} clients\n", plan.fingerprint(), plan.phylo.clients.len());
    for (k, name) in plan.phylo.clients.iter().enumerate() {
        let done = newest_round(target, |round| client_file(k, round));
        let training =
            (0..=plan.rounds).any(|r| target.join(crate::folder::client_checkpoint(k, r)).exists());
        let state = match (done, training) {
            (_, true) => "in training, or interrupted".to_string(),
            (None, false) => "not trained".to_string(),
            (Some(0), false) => "trained".to_string(),
            (Some(round), false) => format!("trained, {round} extra rounds"),
        };
        text += &format!("  client {k} ({name}): {state}\n");
    }
    text += &match newest_round(target, server_file) {
        None => "  server: no aggregate\n".to_string(),
        Some(round) => format!("  server: aggregate after {round} extra rounds\n"),
    };
    text += if target.join("report.json").exists() { "  report: written\n" } else { "  report: none\n" };
    print(&text);
    Ok(())
}

/// `ep inspect`
pub fn inspect(arguments: &InspectArguments) -> Result<()> {
    let reveals = "What it reveals: the policy is a function of the client's data. Differences of log-posterior between \
                   objects can be read off it; it does not hide the data, and is not meant to.\n";
    let text = match ClientModel::load(&arguments.file) {
        Ok(client) => {
            let numbers: usize = client.policy.tensors().iter().map(|t| t.values.len()).sum();
            let meta = serde_json::to_string_pretty(&client.meta).expect("plain data");
            format!("A client's file: {numbers} parameters.\n{meta}\n{reveals}")
        }
        Err(as_client) => match ServerModel::load(&arguments.file) {
            Ok(server) => {
                let meta = serde_json::to_string_pretty(&server.meta).expect("plain data");
                format!("An aggregate: the policies of its clients and a residual.\n{meta}\n{reveals}")
            }
            Err(_) => return Err(as_client),
        },
    };
    print(&text);
    Ok(())
}
