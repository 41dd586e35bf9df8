//! `ep phylo run`: split, train clients, aggregate, extra rounds, sample, report; interrupted runs go on.

use std::path::PathBuf;
use std::sync::Mutex;

use gfn_core::client::ClientModel;
use gfn_core::domain::{ClientData, Domain};
use gfn_core::server::ServerModel;
use gfn_core::trainer::Budget;
use gfn_core::{Environment, Error, Result, Warning};
use gfn_phylo::alignment::{AlignmentFile, AlignmentSummary, write_nexus};
use gfn_phylo::{Alignment, Forest, MergeForest, TreeDomain, TreeReward};
use rayon::prelude::*;

use crate::budget::StageBudgets;
use crate::folder::{
    FileState, RunFolder, client_checkpoint, client_data, client_file, client_lock, lock_file, other_run,
    proposals_file, remove_partial_files, server_checkpoint, server_file,
};
use crate::phylo::proposals::{PROPOSALS, read_trees, write_trees};
use crate::phylo::report::{self, RunReport};
use crate::phylo::samples::{Evidence, sample_and_write};
use crate::plan::Plan;
use crate::process::stop_if_interrupted;
use crate::progress::Progress;
use crate::stages::{Round, StageContext, aggregate, propose, train_client};
use crate::times::{Clock, Times};

/// Time and memory over all processes.
const TIMES: &str = "times.json";
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
    times: Mutex<Times>,
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
    if !folder.claim(plan, |present| present == plan)? {
        return Err(other_run(&folder.path("plan.toml"), "the plan of this command"));
    }
    for (k, sites) in shards.iter().enumerate() {
        folder.deal(k, &write_nexus(&file.alignment.select_sites(sites)))?;
    }
    let mut times = Times::load(&settings.out.join(TIMES));
    times.processes += 1;
    times.save(&settings.out.join(TIMES))?;
    let run = Run {
        budgets: plan.budget.divide(shards.len(), settings.threads, plan.rounds),
        progress: Progress::new(settings.quiet),
        folder: Mutex::new(folder),
        times: Mutex::new(times),
        plan,
        settings,
        domain,
    };
    let pool = rayon::ThreadPoolBuilder::new().num_threads(settings.threads).build().map_err(|e| {
        Error::usage("--threads", "a number of threads the system can start", e.to_string(), "use fewer")
    })?;
    pool.install(|| run.all_stages(file, shards.len()))
}

impl Run<'_> {
    fn all_stages(&self, file: &AlignmentFile, n_clients: usize) -> Result<RunReport> {
        let command = Clock::start();
        let mut warnings: Vec<Warning> = file.warnings.clone();
        warnings.extend(AlignmentSummary::new(&file.alignment).warnings);
        for (k, name) in self.plan.phylo.clients.iter().enumerate() {
            let own = self.client_data(k)?.warnings;
            let own = own.iter().filter(|w| !file.warnings.contains(w));
            warnings.extend(own.map(|w| Warning::new(format!("{name}: {}", w.message), w.advice.clone())));
        }
        let server = self.train(n_clients)?;
        let clock = Clock::start();
        let evidence = self.sample(&file.alignment, &server)?;
        self.note_time(|times| times.replace("samples", &clock))?;
        let clock = Clock::start();
        let exact = if self.settings.exact {
            stop_if_interrupted("enumerating all trees")?;
            self.progress.say("Enumerating all trees.");
            let exact = self.exact(&file.alignment, n_clients, &server)?;
            self.note_time(|times| times.replace("exact", &clock))?;
            Some(exact)
        } else {
            None
        };
        let times = self.times.lock().expect("no panic while held").clone();
        let seconds = command.seconds();
        let report =
            report::assemble(self.plan, self.settings, &server, evidence, exact, times, warnings, seconds);
        report.write(&self.path("report.json"))?;
        Ok(report)
    }

    /// Trains clients and server, with extra rounds; finished stages are read, not repeated.
    fn train(&self, n: usize) -> Result<ServerModel> {
        let rounds = if n == 1 { 0 } else { self.plan.rounds };
        for round in 0..=rounds {
            self.timed(&format!("clients, round {round}"), || {
                let proposals = if round == 0 { Vec::new() } else { self.proposals(round)? };
                let work = |k: usize| self.client(k, round, &proposals);
                (0..n).into_par_iter().with_max_len(1).map(work).collect::<Result<Vec<()>>>().map(drop)
            })?;
            self.timed(&format!("server, round {round}"), || self.server(n, round))?;
        }
        ServerModel::load(&self.path(&server_file(rounds)))
    }

    /// A client's data, read where they are needed: the likelihoods that a reward remembers take up memory.
    fn client_data(&self, k: usize) -> Result<ClientData<MergeForest>> {
        self.domain.read_client(&self.path(&client_data(k)))
    }

    fn client(&self, k: usize, round: u32, proposals: &[Forest]) -> Result<()> {
        let name = client_file(k, round);
        if self.is_finished(&name) || self.is_adopted(k, round)? {
            return Ok(());
        }
        let data = self.client_data(k)?;
        let folder = self.path(&format!("clients/{k}"));
        let _lock = lock_file(&self.path(&client_lock(k)), &folder)?;
        remove_partial_files(&folder);
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
            train_client(&self.domain, &self.plan.phylo.clients[k], &data, centralised, round, context)?;
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
        stop_if_interrupted("sampling")?;
        let n = self.settings.samples;
        self.progress.say(&format!("Sampling {n} trees."));
        let reward = self.domain.reward(alignment, 1.0)?;
        sample_and_write(&self.settings.out, self.plan, &self.domain, server, Some(&reward), n)
    }

    fn exact(
        &self,
        alignment: &Alignment,
        n_clients: usize,
        server: &ServerModel,
    ) -> Result<crate::phylo::exact::ExactReport> {
        let full: TreeReward = self.domain.reward(alignment, 1.0)?;
        let data = (0..n_clients).map(|k| self.client_data(k)).collect::<Result<Vec<_>>>()?;
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
        let state = self.folder.lock().expect("no panic while held").state(name);
        if state == FileState::Changed {
            self.progress
                .say(&format!("{name} was removed or changed since it was complete: it is made again."));
        }
        state == FileState::Finished
    }

    /// A client that `ep train` trained here has a file and no receipt: it is taken as it is, not trained again.
    fn is_adopted(&self, k: usize, round: u32) -> Result<bool> {
        let (name, path) = (client_file(k, round), self.path(&client_file(k, round)));
        let state = self.folder.lock().expect("no panic while held").state(&name);
        if state != FileState::Missing || !path.exists() {
            return Ok(false);
        }
        let model = ClientModel::load(&path)?;
        model.check_plan(&path, &self.plan.fingerprint(), self.domain.environment().spec())?;
        self.progress.say(&format!("{name} was trained by `ep train`: it is used as it is."));
        self.finish(&name, "", model.meta.seconds, model.meta.steps)?;
        Ok(true)
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

    /// Does a stage that may go on later, and notes its time whatever its end.
    fn timed(&self, stage: &str, work: impl FnOnce() -> Result<()>) -> Result<()> {
        let clock = Clock::start();
        let result = work();
        let noted = self.note_time(|times| times.add(stage, &clock));
        result.and(noted)
    }

    fn note_time(&self, note: impl FnOnce(&mut Times)) -> Result<()> {
        let mut times = self.times.lock().expect("no panic while held");
        note(&mut times);
        times.save(&self.path(TIMES))
    }
}
