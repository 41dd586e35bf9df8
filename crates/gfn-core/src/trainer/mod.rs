//! The one training loop: clients, server, centralised runs and resumed runs are all this trainer.

mod settings;

pub use settings::{Annealing, Budget, TrainSettings};

use std::sync::Arc;
use std::time::Instant;

use rand::RngExt;
use rand::rngs::ChaCha8Rng;

use crate::environment::{Environment, StopRule};
use crate::error::{Error, ErrorKind, Place, Result};
use crate::group::{Asked, Said, Workspace, add, pull_back, sample_groups, side_by_side};
use crate::likelihood::{Pretraining, Transitions};
use crate::losses::{BalanceLoss, LossGradient, LossInput, trajectory_residual};
use crate::math::mean_and_deviation;
use crate::observer::{Control, Observer, StepReport, Stopped};
use crate::optimizer::{Adam, gradient_norm};
use crate::policy::TrainablePolicy;
use crate::random::stream;
use crate::replay::Replay;
use crate::reward::Target;
use crate::rollout::{Source, Walk};
use crate::simd::move_average;

/// A policy in training.
pub struct Trainer<E: Environment> {
    pub(crate) env: Arc<E>,
    target: Arc<dyn Target<E>>,
    pub(crate) policy: Box<dyn TrainablePolicy>,
    loss: Box<dyn BalanceLoss>,
    pub(crate) settings: TrainSettings,
    pub(crate) optimizer: Adam,
    pub(crate) step: u64,
    pub(crate) seconds: f64,
    pub(crate) log_z: f64,
    pub(crate) average: Option<Vec<Vec<f32>>>,
    pub(crate) replay: Replay<E>,
    proposals: Vec<E::State>,
    chain: Vec<E::State>,
    /// One for each group.
    workspaces: Vec<Workspace<E>>,
}

/// What training leaves behind.
pub struct Trained {
    /// The policy, with averaged parameters where averaging was on.
    pub policy: Box<dyn TrainablePolicy>,
    /// The learned log Z (trajectory balance only; otherwise 0).
    pub log_z: f64,
    /// Steps made.
    pub steps: u64,
    /// Seconds of training.
    pub seconds: f64,
}

impl<E: Environment> Trainer<E> {
    /// Checks the settings against the environment, the policy and each other.
    pub fn new(
        env: Arc<E>,
        target: Arc<dyn Target<E>>,
        policy: Box<dyn TrainablePolicy>,
        settings: TrainSettings,
    ) -> Result<Self> {
        settings.check()?;
        let loss = settings.loss.build(settings.huber);
        loss.check(env.spec())?;
        if policy.spec().env != *env.spec() {
            return Err(Error::usage(
                "policy",
                format!("one made for the environment {} {}", env.spec().name, env.spec().fingerprint),
                format!("one for {} {}", policy.spec().env.name, policy.spec().env.fingerprint),
                "build it from this environment's spec",
            ));
        }
        if loss.needs_flow() && !policy.spec().flow {
            return Err(Error::usage(
                "policy",
                "an output for log F(s), which this loss needs",
                "none",
                "set `flow` in the policy's spec",
            ));
        }
        if policy.needs().keys && env.n_action_keys() == 0 {
            return Err(Error::usage(
                "table_bits",
                "an environment that gives keys for a table",
                format!("{}, which gives none", env.spec().name),
                "leave the table out",
            ));
        }
        let uses = |wanted: Source| settings.behaviour.iter().any(|s| s.source == wanted);
        if uses(Source::UniformObjects) && env.sample_object(&mut stream(0, "probe", 0)).is_none() {
            return Err(Error::usage(
                "behaviour",
                "sources that the environment offers",
                "uniform-objects, which it cannot draw",
                "use other sources",
            ));
        }
        Ok(Trainer {
            replay: Replay::new(if uses(Source::Replay) { settings.replay_capacity } else { 0 }),
            env,
            target,
            policy,
            loss,
            settings,
            optimizer: Adam::default(),
            step: 0,
            seconds: 0.0,
            log_z: 0.0,
            average: None,
            proposals: Vec::new(),
            chain: Vec::new(),
            workspaces: Vec::new(),
        })
    }

    /// Objects for [`Source::Proposals`]: another party's samples. A resumed run must be given the same ones.
    pub fn with_proposals(mut self, proposals: Vec<E::State>) -> Self {
        self.proposals = proposals;
        self
    }

    /// Objects for [`Source::Chain`] and for pretraining, which is left out without them. A resumed run must be given the
    /// same ones.
    pub fn with_chain(mut self, objects: Vec<E::State>) -> Self {
        self.chain = objects;
        self
    }

    /// Counts time that preparations took as time of training, which it is to whoever waits.
    pub fn spend(&mut self, seconds: f64) {
        self.seconds += seconds;
    }

    /// Steps made so far.
    pub fn steps(&self) -> u64 {
        self.step
    }

    /// Seconds of training so far.
    pub fn seconds(&self) -> f64 {
        self.seconds
    }

    /// Fraction of the budget that is spent.
    pub fn progress(&self) -> f64 {
        let spent = match self.settings.budget {
            Budget::Steps(0) => 1.0,
            Budget::Steps(n) => self.step as f64 / n as f64,
            Budget::Seconds(s) => self.seconds / s,
        };
        spent.min(1.0)
    }

    /// The policy as it stands (the last parameters, not their average).
    pub fn policy(&self) -> &dyn TrainablePolicy {
        self.policy.as_ref()
    }

    /// One training step: sample, encode, forward, target, loss, pull back, update.
    pub fn step(&mut self) -> Result<StepReport> {
        match self.settings.pretraining {
            Some(p) if self.progress() < p.until && !self.chain.is_empty() => self.likelihood_step(&p),
            _ => self.balance_step(),
        }
    }

    fn likelihood_step(&mut self, pretraining: &Pretraining) -> Result<StepReport> {
        let start = Instant::now();
        // Parts of a step have random numbers of their own, so that the number of threads changes nothing.
        let groups = self.settings.groups.min(pretraining.walks);
        let draw = |group: usize| {
            let mut rng = stream(self.settings.seed, &format!("pretraining group {group}"), self.step);
            let walks = pretraining.walks * (group + 1) / groups - pretraining.walks * group / groups;
            let (env, policy) = (self.env.as_ref(), self.policy.as_ref());
            Transitions::draw(env, policy, walks, pretraining.transitions, &self.chain, &mut rng)
        };
        let parts: Vec<Transitions> = side_by_side((0..groups).collect(), draw);
        parts.iter().for_each(|part| self.policy.prepare(part.encoded()));
        let total = parts.iter().map(Transitions::total_weight).sum();
        let policy = self.policy.as_ref();
        let (loss, gradients) = side_by_side(parts, |part| part.differentiate(policy, total))
            .into_iter()
            .reduce(|(loss, mut sum), (more, next)| {
                add(&mut sum, &next);
                (loss + more, sum)
            })
            .expect("at least one group");
        self.update(start, loss, &gradients, None, None)
    }

    fn balance_step(&mut self) -> Result<StepReport> {
        let start = Instant::now();
        let mut rng = stream(self.settings.seed, "training", self.step);
        let walks = self.plan_walks(&mut rng);
        let generators = (0..self.settings.groups)
            .map(|group| stream(self.settings.seed, &format!("training group {group}"), self.step))
            .collect();
        let asked = Asked {
            flow: self.loss.needs_flow(),
            stop: self.env.spec().stop == StopRule::Always,
            state_rewards: self.loss.needs_state_rewards(),
        };
        let target = self.target.as_ref();
        let (env, policy) = (self.env.as_ref(), self.policy.as_ref());
        let mut memory = std::mem::take(&mut self.workspaces);
        memory.resize_with(self.settings.groups, || Workspace::new(env));
        let groups = sample_groups(env, policy, target, walks, generators, memory, asked);
        let (mut offsets, mut said) = (vec![0], Said::default());
        for group in &groups {
            self.policy.prepare(group.encoded());
            for (b, &score) in group.said.log_target.iter().enumerate() {
                self.replay.offer(score, group.batch().object(b));
            }
            let first = offsets[offsets.len() - 1];
            offsets.extend(group.batch().offsets[1..].iter().map(|offset| first + offset));
            said.append(&group.said);
        }
        let beta = self.inverse_temperature();
        said.log_target.iter_mut().chain(&mut said.state_log_reward).for_each(|l| *l *= beta);
        let mut input = LossInput {
            offsets: &offsets,
            stop: self.env.spec().stop,
            log_forward: &said.log_forward,
            log_backward: &said.log_backward,
            log_stop: &said.log_stop,
            log_flow: &said.log_flow,
            log_target: &said.log_target,
            state_log_reward: &said.state_log_reward,
            log_z: self.log_z,
        };
        let residuals: Vec<f64> = (0..said.log_target.len())
            .map(|b| trajectory_residual(&input, b))
            .filter(|r| r.is_finite())
            .collect();
        if self.step == 0 && self.loss.needs_log_z() {
            // Trajectory balance starts at the log Z that its first batch suggests, not at 0.
            self.log_z = -mean_and_deviation(&residuals).0;
            input.log_z = self.log_z;
        }
        let mut slopes = LossGradient::zeros(&input);
        let loss = self.loss.evaluate(&input, &mut slopes);
        let log_z_slope = slopes.log_z;
        let slopes = slopes.split(groups.iter().map(|group| group.batch().n_slots()));
        let (gradients, memory) = pull_back(self.policy.as_ref(), groups, slopes);
        self.workspaces = memory;
        let log_z = self.loss.needs_log_z().then_some(log_z_slope);
        let report = self.update(start, loss, &gradients, log_z, Some(mean_and_deviation(&residuals).1))?;
        self.workspaces[0].take_back(gradients);
        Ok(report)
    }

    /// The end of a step: the gradient is checked and followed.
    fn update(
        &mut self,
        start: Instant,
        loss: f64,
        gradients: &[Vec<f32>],
        log_z_slope: Option<f64>,
        residual_deviation: Option<f64>,
    ) -> Result<StepReport> {
        let gradient_norm = gradient_norm(gradients);
        if !(loss.is_finite() && gradient_norm.is_finite()) {
            return Err(Error::new(
                ErrorKind::Input,
                Place::item(format!("training step {}", self.step + 1)),
                "a finite loss and gradient",
                format!("loss {loss}"),
                "lower the learning rate, or set a Huber threshold",
            ));
        }
        let mut factor = self.settings.optimizer.schedule(self.step, self.progress_of_phase());
        if let (Some(pretraining), None) = (self.settings.pretraining, residual_deviation) {
            factor *= pretraining.rate / self.settings.optimizer.rate;
        }
        self.optimizer.update(
            &self.settings.optimizer,
            factor,
            self.policy.parameters_mut(),
            gradients,
            gradient_norm,
            log_z_slope.map(|slope| (&mut self.log_z, slope)),
        );
        self.policy.parameters_changed();
        self.update_average();
        self.step += 1;
        self.seconds += start.elapsed().as_secs_f64();
        Ok(StepReport {
            step: self.step,
            seconds: self.seconds,
            progress: self.progress(),
            loss,
            residual_deviation,
            gradient_norm,
        })
    }

    /// Steps until the budget is spent or an observer stops it.
    pub fn run(&mut self, observer: &mut dyn Observer) -> Result<Stopped> {
        while self.progress() < 1.0 {
            let report = self.step()?;
            if observer.after_step(&report) == Control::Stop {
                return Ok(Stopped::Interrupted);
            }
        }
        Ok(Stopped::BudgetSpent)
    }

    /// Ends training and hands the policy over.
    pub fn finish(mut self) -> Trained {
        if let Some(average) = self.average.take() {
            for (values, average) in self.policy.parameters_mut().into_iter().zip(average) {
                *values = average;
            }
            self.policy.parameters_changed();
        }
        Trained { policy: self.policy, log_z: self.log_z, steps: self.step, seconds: self.seconds }
    }

    /// Fraction of the present phase's part of the budget that is spent.
    fn progress_of_phase(&self) -> f64 {
        let progress = self.progress();
        match self.settings.pretraining {
            Some(_) if self.chain.is_empty() => progress,
            Some(p) if progress < p.until => progress / p.until,
            Some(p) if p.until < 1.0 => (progress - p.until) / (1.0 - p.until),
            _ => progress,
        }
    }

    fn inverse_temperature(&self) -> f64 {
        match self.settings.annealing {
            Some(a) if self.progress() < a.until => a.start.powf(1.0 - self.progress() / a.until),
            _ => 1.0,
        }
    }

    fn update_average(&mut self) {
        let Some(decay) = self.settings.averaging else { return };
        // At first over fewer steps, so that what training began with is forgotten however short it is.
        let decay = decay.min((1 + self.step) as f64 / (10 + self.step) as f64);
        let parameters = self.policy.parameters_mut();
        let average = self.average.get_or_insert_with(|| parameters.iter().map(|p| (**p).clone()).collect());
        for (average, values) in average.iter_mut().zip(parameters) {
            let known = average.len();
            average.extend_from_slice(&values[known..]);
            move_average(average, values, decay as f32);
        }
    }

    /// Deals the batch to the sources; boundaries move with the step, so that small shares get their due over time.
    fn plan_walks(&self, rng: &mut ChaCha8Rng) -> Vec<Walk<E::State>> {
        let n = self.settings.batch_size as f64;
        let total: f64 = self.settings.behaviour.iter().map(|s| s.share).sum();
        let phase: f64 = rng.random();
        let mut walks = Vec::with_capacity(self.settings.batch_size);
        let mut cumulative = 0.0;
        for (k, share) in self.settings.behaviour.iter().enumerate() {
            cumulative += share.share / total;
            let last = k + 1 == self.settings.behaviour.len();
            let boundary = if last { self.settings.batch_size } else { (n * cumulative + phase) as usize };
            while walks.len() < boundary.min(self.settings.batch_size) {
                walks.push(self.walk_from(share.source, rng));
            }
        }
        walks
    }

    fn walk_from(&self, source: Source, rng: &mut ChaCha8Rng) -> Walk<E::State> {
        // What has nothing to offer yet (an empty replay buffer) leaves its place to the policy.
        let own = Walk::Forward { scale: 1.0, epsilon: 0.05, tilt: 0.0 };
        match source {
            Source::Own { scale, random_scale, epsilon, tilt } => {
                let scale = if random_scale { scale * rng.random::<f64>() } else { scale };
                Walk::Forward { scale, epsilon, tilt }
            }
            Source::UniformPolicy => Walk::Forward { scale: 0.0, epsilon: 0.0, tilt: 0.0 },
            Source::UniformObjects => self.env.sample_object(rng).map_or(own, Walk::Backward),
            Source::Replay => self.replay.draw(rng).map_or(own, |x| Walk::Backward(x.clone())),
            Source::Proposals => draw_from(&self.proposals, rng).map_or(own, Walk::Backward),
            Source::Chain => draw_from(&self.chain, rng).map_or(own, Walk::Backward),
        }
    }
}

/// A uniformly drawn one; none of none.
fn draw_from<S: Clone>(objects: &[S], rng: &mut ChaCha8Rng) -> Option<S> {
    (!objects.is_empty()).then(|| objects[rng.random_range(0..objects.len())].clone())
}
