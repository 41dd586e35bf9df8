//! A run on one machine, for any domain: the folder, the clients' data, training of clients and server with extra
//! rounds; interrupted runs go on.

use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard};

use gfn_core::client::ClientModel;
use gfn_core::domain::{ClientData, Domain};
use gfn_core::reward::LogReward;
use gfn_core::server::ServerModel;
use gfn_core::tensor_file::write_atomically;
use gfn_core::trainer::Budget;
use gfn_core::{Environment, Error, Result, Warning};
use rayon::prelude::*;
use serde::Serialize;

use crate::budget::StageBudgets;
use crate::exact::{ExactReport, write_exact};
use crate::folder::{
    FileState, RunFolder, client_checkpoint, client_data, client_file, client_lock, content_key, lock_file,
    other_run, proposals_file, remove_partial_files, server_checkpoint, server_file,
};
use crate::plan::Plan;
use crate::process::stop_if_interrupted;
use crate::progress::Progress;
use crate::proposals::{read_objects, write_objects};
use crate::report::{Findings, RunReport};
use crate::samples::{Samples, draw};
use crate::stages::{Round, StageContext, aggregate, propose, train_client};
use crate::times::{Clock, Times};

/// Time and memory over all processes.
const TIMES: &str = "times.json";
/// Label, client's name and stage of one policy that is trained at the server on all data.
pub const CENTRALISED: &str = "centralised";

/// What a run needs besides its plan.
#[derive(Debug, Clone)]
pub struct RunSettings {
    /// The run folder.
    pub out: PathBuf,
    /// Threads.
    pub threads: usize,
    /// Samples from the aggregate.
    pub samples: usize,
    /// Whether to enumerate all objects.
    pub exact: bool,
    /// Whether to be silent.
    pub quiet: bool,
}

/// The stages of a run in its folder, which is locked for this process. Finished stages are read, not repeated.
///
/// ```text
/// open ─► on_threads ( train or train_centrally ─► sample ─► exact ─► report )
/// ```
pub struct StageRunner<'a, D: Domain> {
    plan: &'a Plan,
    settings: &'a RunSettings,
    domain: &'a D,
    /// Of the clients in the product.
    weights: Vec<f64>,
    fingerprint: String,
    folder: Mutex<RunFolder>,
    progress: Progress,
    times: Mutex<Times>,
    /// Of this command.
    clock: Clock,
}

type ObjectOf<D> = <<D as Domain>::Env as Environment>::State;

impl<'a, D: Domain> StageRunner<'a, D> {
    /// Opens the folder, claims it for the plan, and deals the clients' data: one text each, in the plan's order.
    /// Refuses a folder of another run.
    pub fn open(
        plan: &'a Plan,
        settings: &'a RunSettings,
        domain: &'a D,
        data: impl IntoIterator<Item = String>,
    ) -> Result<Self> {
        let clock = Clock::start();
        let folder = RunFolder::open(&settings.out, plan.model()?.result_files())?;
        if !folder.claim(plan, |present| present == plan)? {
            return Err(other_run(&folder.path("plan.toml"), "the plan of this command"));
        }
        for (k, text) in data.into_iter().enumerate() {
            folder.deal(&client_data(k, domain.data_extension()), &text)?;
        }
        let mut times = Times::load(&settings.out.join(TIMES));
        times.processes += 1;
        times.save(&settings.out.join(TIMES))?;
        Ok(StageRunner {
            plan,
            settings,
            domain,
            weights: vec![1.0; plan.clients.len()],
            fingerprint: plan.fingerprint()?,
            folder: Mutex::new(folder),
            progress: Progress::new(settings.quiet),
            times: Mutex::new(times),
            clock,
        })
    }

    /// With weights w_n of the clients in the product, one each, instead of 1. They are no part of the plan: where the
    /// folder has an aggregate with others, the server is trained again, and no client.
    pub fn with_weights(mut self, weights: Vec<f64>) -> Self {
        self.weights = weights;
        self
    }

    /// Does the work on the threads of the settings.
    pub fn on_threads<T: Send>(&self, work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(self.settings.threads).build();
        let pool = pool.map_err(|e| {
            Error::usage("--threads", "a number of threads the system can start", e.to_string(), "use fewer")
        })?;
        pool.install(work)
    }

    /// A client's data, read where they are needed: what a reward remembers takes up memory.
    pub fn client_data(&self, k: usize) -> Result<ClientData<D::Env>> {
        self.domain.read_client(&self.path(&client_data(k, self.domain.data_extension())))
    }

    /// The data of all clients, in order.
    pub fn all_client_data(&self) -> Result<Vec<ClientData<D::Env>>> {
        (0..self.plan.clients.len()).map(|k| self.client_data(k)).collect()
    }

    /// What the clients should know about their data, with their names; without what is `known` of all data.
    pub fn client_warnings(&self, known: &[Warning]) -> Result<Vec<Warning>> {
        let mut warnings = Vec::new();
        for (k, name) in self.plan.clients.iter().enumerate() {
            let own = self.client_data(k)?.warnings;
            let own = own.iter().filter(|w| !known.contains(w));
            warnings.extend(own.map(|w| Warning::new(format!("{name}: {}", w.message), w.advice.clone())));
        }
        Ok(warnings)
    }

    /// Trains the clients and the server, with the plan's extra rounds. A single client is trained for itself and is
    /// the aggregate.
    pub fn train(&self) -> Result<ServerModel> {
        let n = self.plan.clients.len();
        let rounds = if n == 1 { 0 } else { self.plan.rounds };
        for round in 0..=rounds {
            self.timed(&format!("clients, round {round}"), || {
                let proposals = if round == 0 { Vec::new() } else { self.proposals(round)? };
                let work = |k: usize| self.client(k, round, &proposals);
                (0..n).into_par_iter().with_max_len(1).map(work).collect::<Result<Vec<()>>>().map(drop)
            })?;
            self.timed(&format!("server, round {round}"), || self.server(round, round == rounds))?;
        }
        ServerModel::load(&self.path(&server_file(rounds)))
    }

    /// Trains one policy at the server, with the plan's whole budget, on data that the caller brings: for what clients
    /// sent instead of policies. There are no rounds.
    pub fn train_centrally(&self, data: &ClientData<D::Env>) -> Result<ServerModel> {
        let (name, checkpoint) = (server_file(0), server_checkpoint(0));
        self.timed(CENTRALISED, || {
            if self.is_finished(&name, &checkpoint) {
                return Ok(());
            }
            let budget = self.plan.budget.whole();
            let context = self.context(CENTRALISED, budget, &checkpoint, "server/log.jsonl");
            let client = train_client(self.domain, CENTRALISED, data, true, None, context)?;
            let model = ServerModel::single(client);
            model.save(&self.path(&name))?;
            self.finish(&name, &checkpoint, model.meta.seconds, model.meta.steps)
        })?;
        ServerModel::load(&self.path(&name))
    }

    /// Writes a small file that a party sends, and notes that it is complete.
    pub fn keep(&self, name: &str, text: &str) -> Result<()> {
        write_atomically(&self.path(name), text.as_bytes())?;
        self.finish(name, "", 0.0, 0)
    }

    /// Draws the samples of the settings and lets `write` make results of them.
    pub fn sample<T>(
        &self,
        server: &ServerModel,
        write: impl FnOnce(Samples<ObjectOf<D>>) -> Result<T>,
    ) -> Result<T> {
        self.whole("samples", || {
            stop_if_interrupted("sampling")?;
            let n = self.settings.samples;
            self.progress.say(&format!("Sampling {n} {}.", self.domain.objects_word()));
            write(draw(self.domain, server.policy.as_ref(), n, self.plan.seed, true)?)
        })
    }

    /// Enumerates all objects and writes `exact.csv`. `full` is the aggregate's target, `clients` are those of its
    /// clients in their order.
    pub fn exact(
        &self,
        server: &ServerModel,
        full: &dyn LogReward<D::Env>,
        clients: &[&dyn LogReward<D::Env>],
    ) -> Result<ExactReport> {
        self.whole("exact", || {
            let objects = self.domain.objects_word();
            stop_if_interrupted(&format!("enumerating all {objects}"))?;
            self.progress.say(&format!("Enumerating all {objects}."));
            write_exact(&self.path("exact.csv"), self.domain, full, clients, server)
        })
    }

    /// Writes `report.json`.
    pub fn report<T: Serialize>(&self, server: &ServerModel, findings: Findings<T>) -> Result<RunReport<T>> {
        let times = self.times().clone();
        let seconds = self.clock.seconds();
        let word = self.domain.objects_word();
        let report = RunReport::new(self.plan, self.settings, server, times, seconds, word, findings);
        report.write(&self.path("report.json"))?;
        Ok(report)
    }

    fn client(&self, k: usize, round: u32, proposals: &[ObjectOf<D>]) -> Result<()> {
        let (name, checkpoint) = (client_file(k, round), client_checkpoint(k, round));
        if self.is_finished(&name, &checkpoint) || self.is_adopted(k, round)? {
            return Ok(());
        }
        let data = self.client_data(k)?;
        let folder = self.path(&format!("clients/{k}"));
        let _lock = lock_file(&self.path(&client_lock(k)), &folder)?;
        remove_partial_files(&folder);
        let budgets = self.budgets();
        let (label, budget, extra) = match round {
            0 => (format!("client {k}"), budgets.client, None),
            number => {
                let previous = ClientModel::load(&self.path(&client_file(k, number - 1)))?;
                let extra = Round { number, previous, proposals: proposals.to_vec() };
                (format!("client {k} r{number}"), budgets.client_round, Some(extra))
            }
        };
        let context = self.context(&label, budget, &checkpoint, &format!("clients/{k}/log.jsonl"));
        let alone = self.plan.clients.len() == 1;
        let model = train_client(self.domain, &self.plan.clients[k], &data, alone, extra, context)?;
        model.save(&self.path(&name))?;
        self.finish(&name, &checkpoint, model.meta.seconds, model.meta.steps)
    }

    /// Aggregates the clients after a round. The weights matter in the last one: before, an aggregate with any weights has
    /// made its proposals, and the clients have learned from them.
    fn server(&self, round: u32, is_last: bool) -> Result<()> {
        let (name, checkpoint) = (server_file(round), self.weighted_checkpoint(round));
        if self.is_finished(&name, &checkpoint) && (!is_last || self.has_weights(&name)?) {
            return Ok(());
        }
        let n = self.plan.clients.len();
        let mut clients = (0..n)
            .map(|k| Ok((ClientModel::load(&self.path(&client_file(k, round)))?, self.weights[k])))
            .collect::<Result<Vec<(ClientModel, f64)>>>()?;
        let model = if n == 1 && self.weights == [1.0] {
            let (client, _) = clients.remove(0);
            ServerModel::single(client)
        } else {
            let label = if round == 0 { "server".to_string() } else { format!("server r{round}") };
            let budget = self.budgets().server;
            let context = self.context(&label, budget, &checkpoint, "server/log.jsonl");
            aggregate(self.domain, clients, round, context)?
        };
        model.save(&self.path(&name))?;
        self.finish(&name, &checkpoint, model.meta.seconds, model.meta.steps)
    }

    /// Whether a finished aggregate has the weights of this command.
    fn has_weights(&self, name: &str) -> Result<bool> {
        let found: Vec<f64> =
            ServerModel::load(&self.path(name))?.meta.clients.iter().map(|(_, weight)| *weight).collect();
        if found != self.weights {
            self.progress.say(&format!(
                "{name} has the weights {}: the server is trained again, no client is.",
                found.iter().map(f64::to_string).collect::<Vec<_>>().join(", ")
            ));
        }
        Ok(found == self.weights)
    }

    /// The server's checkpoint. It continues only the training for the weights that it was written with.
    fn weighted_checkpoint(&self, round: u32) -> String {
        if self.weights.iter().all(|&weight| weight == 1.0) {
            return server_checkpoint(round);
        }
        let bytes: Vec<[u8; 8]> = self.weights.iter().map(|weight| weight.to_le_bytes()).collect();
        let key = content_key(bytes.iter().map(<[u8; 8]>::as_slice));
        format!("server/round-{round}-{key}.checkpoint")
    }

    /// The objects the server sends for a round: made once, then read from their file.
    fn proposals(&self, round: u32) -> Result<Vec<ObjectOf<D>>> {
        let name = proposals_file(round, self.domain.objects_extension());
        if !self.is_finished(&name, "") {
            let server = ServerModel::load(&self.path(&server_file(round - 1)))?;
            let objects = propose(self.domain, &server, self.plan.seed);
            write_objects(&self.path(&name), self.domain, &objects)?;
            self.finish(&name, "", 0.0, 0)?;
        }
        read_objects(&self.path(&name), self.domain)
    }

    fn budgets(&self) -> StageBudgets {
        let (plan, parts) = (self.plan, self.domain.time_parts());
        plan.budget.divide(plan.clients.len(), self.settings.threads, plan.rounds, parts)
    }

    fn context(&self, label: &str, budget: Budget, checkpoint: &str, log: &str) -> StageContext {
        StageContext {
            plan: self.fingerprint.clone(),
            seed: self.plan.seed,
            budget,
            checkpoint: Some(self.path(checkpoint)),
            progress: self.progress.stage(label, self.path(log)),
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.settings.out.join(name)
    }

    fn folder(&self) -> MutexGuard<'_, RunFolder> {
        self.folder.lock().expect("no panic while held")
    }

    fn times(&self) -> MutexGuard<'_, Times> {
        self.times.lock().expect("no panic while held")
    }

    /// Whether a file is complete. The checkpoint that led there may have outlived a process that was killed.
    fn is_finished(&self, name: &str, checkpoint: &str) -> bool {
        let state = self.folder().state(name);
        match state {
            FileState::Finished => self.drop_checkpoint(checkpoint),
            FileState::Changed => self
                .progress
                .say(&format!("{name} was removed or changed since it was complete: it is made again.")),
            FileState::Missing => {}
        }
        state == FileState::Finished
    }

    /// A client that `ep train` trained here has a file and no receipt: it is taken as it is, not trained again.
    fn is_adopted(&self, k: usize, round: u32) -> Result<bool> {
        let (name, path) = (client_file(k, round), self.path(&client_file(k, round)));
        let state = self.folder().state(&name);
        if state != FileState::Missing || !path.exists() {
            return Ok(false);
        }
        let model = ClientModel::load(&path)?;
        model.check_plan(&path, &self.fingerprint, self.domain.environment().spec())?;
        self.progress.say(&format!("{name} was trained by `ep train`: it is used as it is."));
        self.finish(&name, &client_checkpoint(k, round), model.meta.seconds, model.meta.steps)?;
        Ok(true)
    }

    /// The file is complete: notes it, and drops the checkpoint that led there.
    fn finish(&self, name: &str, checkpoint: &str, seconds: f64, steps: u64) -> Result<()> {
        self.folder().finish(name, seconds, steps)?;
        self.drop_checkpoint(checkpoint);
        Ok(())
    }

    fn drop_checkpoint(&self, checkpoint: &str) {
        if !checkpoint.is_empty() {
            // It may never have been written.
            let _ = std::fs::remove_file(self.path(checkpoint));
        }
    }

    /// Does a stage that may go on later, and notes its time whatever its end.
    fn timed(&self, stage: &str, work: impl FnOnce() -> Result<()>) -> Result<()> {
        let clock = Clock::start();
        let result = work();
        let noted = self.note_time(|times| times.add(stage, &clock));
        result.and(noted)
    }

    /// Does a stage that is always done as a whole, and notes its time.
    pub fn whole<T>(&self, stage: &str, work: impl FnOnce() -> Result<T>) -> Result<T> {
        let clock = Clock::start();
        let value = work()?;
        self.note_time(|times| times.replace(stage, &clock))?;
        Ok(value)
    }

    fn note_time(&self, note: impl FnOnce(&mut Times)) -> Result<()> {
        let mut times = self.times();
        note(&mut times);
        times.save(&self.path(TIMES))
    }
}
