//! `ep phylo run`: split, train clients, aggregate, extra rounds, sample, report; interrupted runs go on.

use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::Instant;

use gfn_core::client::ClientModel;
use gfn_core::domain::{ClientData, Domain};
use gfn_core::server::ServerModel;
use gfn_core::tensor_file::write_atomically;
use gfn_core::trainer::Budget;
use gfn_core::{Error, Place, Result, Warning};
use gfn_phylo::alignment::{AlignmentFile, write_nexus};
use gfn_phylo::{Alignment, Forest, MergeForest, TreeDomain, TreeReward};
use rayon::prelude::*;

use crate::budget::StageBudgets;
use crate::folder::{
    RunFolder, client_checkpoint, client_data, client_file, proposals_file, server_checkpoint, server_file,
};
use crate::phylo::report::{self, Evidence, RunReport, StageTime};
use crate::plan::Plan;
use crate::process;
use crate::progress::Progress;
use crate::stages::{Round, StageContext, aggregate, propose, train_client};

/// Objects the server sends to every client for an extra round.
pub const PROPOSALS: usize = 4000;
/// Most taxa for `--exact`: 135 135 topologies.
pub const EXACT_TAXA: usize = 9;

/// What a run needs besides its plan.
pub struct RunSettings {
    /// The run folder.
    pub out: PathBuf,
    /// Threads.
    pub threads: usize,
    /// Samples from the aggregate.
    pub samples: usize,
    /// Whether to enumerate all trees.
    pub exact: bool,
    /// Whether to be silent.
    pub quiet: bool,
}

/// Everything a run has at hand on one machine.
struct Run<'a> {
    plan: &'a Plan,
    settings: &'a RunSettings,
    domain: TreeDomain,
    folder: Mutex<RunFolder>,
    progress: Progress,
    budgets: StageBudgets,
    times: Mutex<Vec<StageTime>>,
}

/// Runs all stages and writes all results.
pub fn run(
    file: &AlignmentFile,
    shards: &[Vec<usize>],
    plan: &Plan,
    settings: &RunSettings,
) -> Result<RunReport> {
    let domain = plan.domain()?;
    if settings.exact && plan.phylo.taxa.len() > EXACT_TAXA {
        return Err(Error::usage(
            "--exact",
            format!("at most {EXACT_TAXA} taxa ({} trees can be enumerated)", 135_135),
            format!("{} taxa", plan.phylo.taxa.len()),
            "leave out --exact",
        ));
    }
    let folder = RunFolder::open(&settings.out)?;
    claim_folder(&folder, plan)?;
    for (k, sites) in shards.iter().enumerate() {
        let path = folder.path(&client_data(k));
        let text = write_nexus(&file.alignment.select_sites(sites));
        match std::fs::read_to_string(&path) {
            Ok(present) if present == text => {}
            Ok(_) => return Err(other_run(&path, "the same sites of the same alignment")),
            Err(_) => write_atomically(&path, text.as_bytes())?,
        }
    }
    let run = Run {
        budgets: plan.budget.divide(shards.len(), settings.threads, plan.rounds),
        progress: Progress::new(settings.quiet),
        folder: Mutex::new(folder),
        times: Mutex::default(),
        plan,
        settings,
        domain,
    };
    let pool = rayon::ThreadPoolBuilder::new().num_threads(settings.threads).build().map_err(|e| {
        Error::usage("--threads", "a number of threads the system can start", e.to_string(), "use fewer")
    })?;
    pool.install(|| run.all_stages(file, shards.len()))
}

/// A folder belongs to one plan.
fn claim_folder(folder: &RunFolder, plan: &Plan) -> Result<()> {
    let path = folder.path("plan.toml");
    if !path.exists() {
        return plan.save(&path);
    }
    let present = Plan::load(&path)?;
    if present == *plan { Ok(()) } else { Err(other_run(&path, "the plan of this command")) }
}

fn other_run(path: &Path, expected: &str) -> Error {
    Error::input(
        Place::file(path),
        expected,
        "something else: the folder holds another run",
        "choose another --out, or give the options (and the alignment) that run was started with to go on with it",
    )
}

impl Run<'_> {
    fn all_stages(&self, file: &AlignmentFile, n_clients: usize) -> Result<RunReport> {
        let started = Instant::now();
        let data = (0..n_clients)
            .map(|k| self.domain.read_client(&self.path(&client_data(k))))
            .collect::<Result<Vec<ClientData<MergeForest>>>>()?;
        let server = self.train(&data)?;
        let evidence = self.sample(&file.alignment, &server)?;
        let clock = Instant::now();
        let cpu = process::cpu_seconds();
        let exact = if self.settings.exact {
            self.progress.say("Enumerating all trees.");
            Some(self.exact(&file.alignment, &data, &server)?)
        } else {
            None
        };
        if exact.is_some() {
            self.note_time("exact", clock, cpu);
        }
        let mut warnings: Vec<Warning> = file.warnings.clone();
        warnings.extend(data.iter().flat_map(|d| d.warnings.clone()).filter(|w| !file.warnings.contains(w)));
        warnings.dedup();
        let times = std::mem::take(&mut *self.times.lock().expect("no panic while held"));
        let seconds = started.elapsed().as_secs_f64();
        let report =
            report::assemble(self.plan, self.settings, &server, evidence, exact, times, warnings, seconds);
        report.write(&self.path("report.json"))?;
        Ok(report)
    }

    /// Trains clients and server, with extra rounds; finished stages are read, not repeated.
    fn train(&self, data: &[ClientData<MergeForest>]) -> Result<ServerModel> {
        let n = data.len();
        let rounds = if n == 1 { 0 } else { self.plan.rounds };
        for round in 0..=rounds {
            let proposals = if round == 0 { Vec::new() } else { self.proposals(round)? };
            let clock = Instant::now();
            let cpu = process::cpu_seconds();
            let work = |k: usize| self.client(k, round, &data[k], &proposals);
            (0..n).into_par_iter().with_max_len(1).map(work).collect::<Result<Vec<()>>>()?;
            self.note_time(&format!("clients, round {round}"), clock, cpu);
            let clock = Instant::now();
            let cpu = process::cpu_seconds();
            self.server(n, round)?;
            self.note_time(&format!("server, round {round}"), clock, cpu);
        }
        ServerModel::load(&self.path(&server_file(rounds)))
    }

    fn client(
        &self,
        k: usize,
        round: u32,
        data: &ClientData<MergeForest>,
        proposals: &[Forest],
    ) -> Result<()> {
        let name = client_file(k, round);
        if self.is_finished(&name) {
            return Ok(());
        }
        let round = match round {
            0 => None,
            number => {
                let previous = ClientModel::load(&self.path(&client_file(k, number - 1)))?;
                Some(Round { number, previous, proposals: proposals.to_vec() })
            }
        };
        let number = round.as_ref().map_or(0, |r| r.number);
        let budget = if number == 0 { self.budgets.client } else { self.budgets.client_round };
        let label = if number == 0 { format!("client {k}") } else { format!("client {k} r{number}") };
        let context =
            self.context(&label, budget, &client_checkpoint(k, number), &format!("clients/{k}/log.jsonl"));
        let centralised = self.plan.phylo.clients.len() == 1;
        let model =
            train_client(&self.domain, &self.plan.phylo.clients[k], data, centralised, round, context)?;
        model.save(&self.path(&name))?;
        self.finish(&name, &client_checkpoint(k, number), model.meta.seconds, model.meta.steps)
    }

    fn server(&self, n: usize, round: u32) -> Result<()> {
        let name = server_file(round);
        if self.is_finished(&name) {
            return Ok(());
        }
        let mut clients = (0..n)
            .map(|k| Ok((ClientModel::load(&self.path(&client_file(k, round)))?, 1.0)))
            .collect::<Result<Vec<(ClientModel, f64)>>>()?;
        let model = if n == 1 {
            let (client, _) = clients.remove(0);
            ServerModel::single(client)
        } else {
            let label = if round == 0 { "server".to_string() } else { format!("server r{round}") };
            let context =
                self.context(&label, self.budgets.server, &server_checkpoint(round), "server/log.jsonl");
            aggregate(&self.domain, clients, round, context)?
        };
        model.save(&self.path(&name))?;
        self.finish(&name, &server_checkpoint(round), model.meta.seconds, model.meta.steps)
    }

    /// The trees the server sends for a round: made once, then read from their file.
    fn proposals(&self, round: u32) -> Result<Vec<Forest>> {
        let name = proposals_file(round);
        if !self.is_finished(&name) {
            let server = ServerModel::load(&self.path(&server_file(round - 1)))?;
            let objects = propose(&self.domain, &server, PROPOSALS, self.plan.seed);
            write_trees(&self.path(&name), &self.domain, &objects)?;
            self.finish(&name, "", 0.0, 0)?;
        }
        read_trees(&self.path(&name), &self.domain)
    }

    fn sample(&self, alignment: &Alignment, server: &ServerModel) -> Result<Evidence> {
        let clock = Instant::now();
        let cpu = process::cpu_seconds();
        self.progress.say(&format!("Sampling {} trees.", self.settings.samples));
        let reward = self.domain.reward(alignment, 1.0)?;
        let evidence = report::sample_and_write(
            &self.settings.out,
            self.plan,
            &self.domain,
            server,
            Some(&reward),
            self.settings.samples,
        )?;
        self.note_time("samples", clock, cpu);
        Ok(evidence)
    }

    fn exact(
        &self,
        alignment: &Alignment,
        data: &[ClientData<MergeForest>],
        server: &ServerModel,
    ) -> Result<crate::phylo::exact::ExactReport> {
        let full: TreeReward = self.domain.reward(alignment, 1.0)?;
        let clients: Vec<_> = data.iter().map(|d| d.reward.as_ref()).collect();
        crate::phylo::exact::write_exact(&self.path("exact.csv"), &self.domain, &full, &clients, server)
    }

    fn context(&self, label: &str, budget: Budget, checkpoint: &str, log: &str) -> StageContext {
        StageContext {
            plan: self.plan.fingerprint(),
            seed: self.plan.seed,
            budget,
            checkpoint: Some(self.path(checkpoint)),
            progress: self.progress.stage(label, self.path(log)),
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.settings.out.join(name)
    }

    fn is_finished(&self, name: &str) -> bool {
        self.folder.lock().expect("no panic while held").finished(name).is_some()
    }

    /// The file is complete: notes it, and drops the checkpoint that led there.
    fn finish(&self, name: &str, checkpoint: &str, seconds: f64, steps: u64) -> Result<()> {
        self.folder.lock().expect("no panic while held").finish(name, seconds, steps)?;
        if !checkpoint.is_empty() {
            // It may never have been written.
            let _ = std::fs::remove_file(self.path(checkpoint));
        }
        Ok(())
    }

    fn note_time(&self, stage: &str, clock: Instant, cpu_before: Option<f64>) {
        let cpu_seconds = process::cpu_seconds().zip(cpu_before).map(|(now, before)| now - before);
        let seconds = clock.elapsed().as_secs_f64();
        let time = StageTime { stage: stage.to_string(), seconds, cpu_seconds };
        self.times.lock().expect("no panic while held").push(time);
    }
}

/// Writes trees, one Newick line each.
pub fn write_trees(path: &Path, domain: &TreeDomain, objects: &[Forest]) -> Result<()> {
    let lines: Vec<String> = objects.iter().map(|object| domain.object_name(object) + "\n").collect();
    write_atomically(path, lines.concat().as_bytes())
}

/// Reads trees, one Newick line each.
pub fn read_trees(path: &Path, domain: &TreeDomain) -> Result<Vec<Forest>> {
    let text = std::fs::read_to_string(path).map_err(|e| Error::io(path, "read", &e))?;
    let mut objects = Vec::new();
    for (line, tree) in text.lines().enumerate().filter(|(_, l)| !l.trim().is_empty()) {
        let object = domain.parse_object(tree.trim()).map_err(|e| {
            let place = Place::file(path).line(line + 1);
            Error::input(place, e.expected(), e.found(), e.advice())
        })?;
        objects.push(object);
    }
    if objects.is_empty() {
        return Err(Error::input(Place::file(path), "at least one tree", "none", "use the server's file"));
    }
    Ok(objects)
}
