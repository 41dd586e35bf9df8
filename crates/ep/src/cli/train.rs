//! `ep train`: one client, in a run folder or at its own site.

use std::path::{Path, PathBuf};

use clap::Args;
use gfn_bn::{Combine, DagDomain};
use gfn_core::client::ClientModel;
use gfn_core::domain::Domain;
use gfn_core::{Environment, Error, Place, Result};
use gfn_multiset::MultisetDomain;
use gfn_seq::SequenceDomain;

use super::print;
use super::statistics::write_statistics;
use crate::budget::RunBudget;
use crate::files::input_file;
use crate::folder::{
    client_checkpoint, client_data, client_file, client_lock, content_key, lock_file, newest_round,
    proposals_file,
};
use crate::grid::GridDomain;
use crate::plan::{Model, Plan};
use crate::progress::Progress;
use crate::proposals::read_objects;
use crate::stages::{Round, StageContext, train_client};

/// `ep train`
#[derive(Debug, Args)]
pub struct TrainArguments {
    /// A run folder (with --client), or a plan (with --data and --out)
    pub target: PathBuf,
    /// Number of the client in the run folder, from 0
    #[arg(long, value_name = "K", conflicts_with_all = ["data", "out"], allow_negative_numbers = true)]
    client: Option<usize>,
    /// This site's own data, which stay here
    #[arg(long, value_name = "FILE", requires = "out")]
    pub data: Option<PathBuf>,
    /// The file to send
    #[arg(long, value_name = "FILE.SAFETENSORS", requires = "data")]
    pub out: Option<PathBuf>,
    /// Name of the site in its file; keep it in later rounds [default: that of the file]
    #[arg(long, requires = "data")]
    pub name: Option<String>,
    /// The server's proposals: go on with an extra round (the second message)
    #[arg(long, value_name = "PROPOSALS", requires_all = ["previous", "data"])]
    pub proposals: Option<PathBuf>,
    /// This site's file of the round before
    #[arg(long, value_name = "FILE.SAFETENSORS", requires_all = ["proposals", "data"])]
    pub previous: Option<PathBuf>,
    /// Training: time (60s, 5m, 1h) or steps (4000steps) [default: all of the plan's budget]
    #[arg(long, value_name = "TIME|STEPS", allow_hyphen_values = true)]
    pub budget: Option<RunBudget>,
}

impl TrainArguments {
    /// The client of the run folder that is meant.
    pub fn client_of(&self, plan: &Plan) -> Result<usize> {
        let n = plan.clients.len();
        self.client.filter(|&k| k < n && self.target.is_dir()).ok_or_else(|| {
            let client = self.client.map_or_else(|| "no --client".into(), |k| format!("--client {k}"));
            Error::usage(
                "--client",
                format!("a run folder and a client from 0 to {}, or --data and --out", n - 1),
                format!("{} and {client}", self.target.display()),
                "say which client is to be trained",
            )
        })
    }
}

/// Files of one training.
struct Files {
    name: String,
    data: PathBuf,
    out: PathBuf,
    /// The client's file of the round before, and the server's proposals.
    round: Option<(PathBuf, PathBuf)>,
    checkpoint: PathBuf,
    log: PathBuf,
    lock: PathBuf,
}

/// `ep train`
pub fn train(arguments: &TrainArguments) -> Result<()> {
    let plan = Plan::of(&arguments.target)?;
    match plan.model()? {
        Model::Phylo(model) => train_over(arguments, &plan, &model.domain()?),
        Model::Bn(model) => {
            let domain = DagDomain::new(model.clone())?;
            match model.combine {
                Combine::Product => train_over(arguments, &plan, &domain),
                Combine::Pooled => write_statistics(arguments, &plan, &domain),
            }
        }
        Model::Multiset(model) => train_over(arguments, &plan, &MultisetDomain::new(model.clone())?),
        Model::Seq(model) => train_over(arguments, &plan, &SequenceDomain::new(model)?),
        Model::Grid(model) => train_over(arguments, &plan, &GridDomain::new(model)?),
    }
}

fn train_over<D: Domain>(arguments: &TrainArguments, plan: &Plan, domain: &D) -> Result<()> {
    let fingerprint = plan.fingerprint()?;
    let files = match (&arguments.data, &arguments.out) {
        (Some(data), Some(out)) => own_files(arguments, &fingerprint, data, out)?,
        _ => folder_files(arguments, plan, domain)?,
    };
    let data = domain.read_client(input_file(&files.data)?)?;
    for warning in &data.warnings {
        eprintln!("warning: {warning}");
    }
    let round = files
        .round
        .as_ref()
        .map(|(previous, proposals)| read_round(&fingerprint, domain, previous, proposals));
    let round = round.transpose()?;
    let _lock = lock_file(&files.lock, &files.out)?;
    let progress = Progress::new(false);
    let context = StageContext {
        plan: fingerprint,
        seed: plan.seed,
        budget: arguments.budget.unwrap_or(plan.budget).whole(),
        checkpoint: Some(files.checkpoint.clone()),
        progress: progress.stage(&files.name, files.log.clone()),
    };
    let alone = plan.clients.len() == 1;
    let model = train_client(domain, &files.name, &data, alone, round, context)?;
    model.save(&files.out)?;
    for leftover in [&files.checkpoint, &files.lock] {
        // The checkpoint may never have been written, and neither is in anybody's way.
        let _ = std::fs::remove_file(leftover);
    }
    let spread = model.meta.residual_spread;
    print(&format!(
        "{}: {} steps; residual sd {:.3} own, {:.3} tempered, {:.3} uniform\n",
        files.out.display(),
        model.meta.steps,
        spread.own,
        spread.tempered,
        spread.uniform
    ))
}

/// The client's policy so far and the server's proposals.
fn read_round<D: Domain>(
    fingerprint: &str,
    domain: &D,
    previous: &Path,
    proposals: &Path,
) -> Result<Round<<D::Env as Environment>::State>> {
    let client = ClientModel::load(input_file(previous)?)?;
    client.check_plan(previous, fingerprint, domain.environment().spec())?;
    let proposals = read_objects(proposals, domain)?;
    Ok(Round { number: client.meta.round + 1, previous: client, proposals })
}

/// Files of a site that trains on its own.
fn own_files(arguments: &TrainArguments, fingerprint: &str, data: &Path, out: &Path) -> Result<Files> {
    if out.exists() {
        return Err(Error::input(
            Place::file(out),
            "a free name for the file to send",
            "a file or folder",
            "nothing is overwritten: if it is an older result, remove it, or choose another --out",
        ));
    }
    let stem = out.file_stem().map(|s| s.to_string_lossy().into_owned());
    // A client keeps its name over the rounds: under two names its data would count twice.
    let before = match &arguments.previous {
        Some(previous) => Some(ClientModel::load(input_file(previous)?)?.meta.client),
        None => None,
    };
    let name = arguments.name.clone().or(before).or(stem).unwrap_or_else(|| "client".into());
    let round = arguments.previous.clone().zip(arguments.proposals.clone());
    // A checkpoint continues only the training that it belongs to: its name covers all that goes in.
    let mut parts = vec![name.clone().into_bytes(), fingerprint.as_bytes().to_vec()];
    for path in
        [Some(data), arguments.previous.as_deref(), arguments.proposals.as_deref()].into_iter().flatten()
    {
        parts.push(std::fs::read(input_file(path)?).map_err(|e| Error::io(path, "read", &e))?);
    }
    let key = content_key(parts.iter().map(Vec::as_slice));
    Ok(Files {
        name,
        data: data.to_path_buf(),
        out: out.to_path_buf(),
        round,
        checkpoint: beside(out, &format!("{key}.checkpoint")),
        log: beside(out, "jsonl"),
        lock: beside(out, "lock"),
    })
}

/// A file beside the result: its whole name and another ending, so that nobody else's file has that name.
fn beside(out: &Path, ending: &str) -> PathBuf {
    let mut name = out.as_os_str().to_os_string();
    name.push(".");
    name.push(ending);
    PathBuf::from(name)
}

/// Files of a client of a run folder: the first round that it has not been through.
fn folder_files<D: Domain>(arguments: &TrainArguments, plan: &Plan, domain: &D) -> Result<Files> {
    let k = arguments.client_of(plan)?;
    let folder = &arguments.target;
    let done = newest_round(folder, |round| client_file(k, round));
    let next = done.map_or(0, |round| round + 1);
    let proposals = folder.join(proposals_file(next.max(1), domain.objects_extension()));
    let round = match done {
        None => None,
        Some(done) if proposals.exists() => Some((folder.join(client_file(k, done)), proposals)),
        Some(_) => {
            return Err(Error::usage(
                "--client",
                "a client that is not trained yet, or proposals of the server for another round",
                format!("client {k} trained, and no {}", proposals.display()),
                "aggregate first; that writes the proposals",
            ));
        }
    };
    Ok(Files {
        name: plan.clients[k].clone(),
        data: folder.join(client_data(k, domain.data_extension())),
        out: folder.join(client_file(k, next)),
        round,
        checkpoint: folder.join(client_checkpoint(k, next)),
        log: folder.join(format!("clients/{k}/log.jsonl")),
        lock: folder.join(client_lock(k)),
    })
}
