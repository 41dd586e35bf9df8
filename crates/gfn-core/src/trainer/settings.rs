//! Everything that decides how a policy is trained, checked in one place.

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::likelihood::Pretraining;
use crate::losses::Balance;
use crate::optimizer::AdamSettings;
use crate::rollout::{Share, Source};

/// How long to train.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Budget {
    /// A number of steps: the same seed gives the same bits.
    Steps(u64),
    /// Seconds of training time; schedules follow the clock, so results differ from run to run.
    Seconds(f64),
}

/// Trains on β · ℓ with β rising geometrically from `start` to 1 over the first `until` of the budget.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Annealing {
    /// β at the start, in (0, 1].
    pub start: f64,
    /// Fraction of the budget after which β = 1.
    pub until: f64,
}

/// Everything that decides how a policy is trained. Checked by [`Trainer::new`](super::Trainer::new).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TrainSettings {
    /// The loss.
    pub loss: Balance,
    /// Huber threshold on residuals, natural-log units.
    pub huber: Option<f64>,
    /// Trajectories per step.
    pub batch_size: usize,
    /// Groups the trajectories of a step are dealt to. Groups are worked on side by side where there are threads for it;
    /// states that two groups share are evaluated twice. Results depend on this number, never on the threads. Leave it
    /// at 1 where several trainers share a pool of threads: a step that waits there may be handed another one's work.
    pub groups: usize,
    /// When to stop.
    pub budget: Budget,
    /// Optimiser.
    pub optimizer: AdamSettings,
    /// Where trajectories come from.
    pub behaviour: Vec<Share>,
    /// Tempering of the target.
    pub annealing: Option<Annealing>,
    /// Maximum likelihood of the chain's objects before the loss. The learning rate falls in each of the two phases.
    pub pretraining: Option<Pretraining>,
    /// Decay of the moving average of the parameters that is handed over instead of the last ones. After t steps it is at
    /// most (1 + t) / (10 + t).
    pub averaging: Option<f64>,
    /// Objects kept for replay.
    pub replay_capacity: usize,
    /// Seed of everything random in training.
    pub seed: u64,
}

/// Each group has a thread.
const MAX_GROUPS: usize = 64;

impl Default for TrainSettings {
    fn default() -> Self {
        TrainSettings {
            loss: Balance::Contrastive,
            huber: None,
            batch_size: 64,
            groups: 1,
            budget: Budget::Steps(2000),
            optimizer: AdamSettings::default(),
            behaviour: vec![Share { share: 1.0, source: Source::on_policy(0.05) }],
            annealing: None,
            pretraining: None,
            averaging: None,
            replay_capacity: 500,
            seed: 0,
        }
    }
}

impl TrainSettings {
    /// Refuses settings that make no sense.
    pub fn check(&self) -> Result<()> {
        let refuse = |setting: &str, expected: &str, found: String| {
            Err(Error::usage(setting, expected, found, "correct the setting"))
        };
        let fraction = |x: f64| x > 0.0 && x <= 1.0;
        if self.batch_size < 2 {
            return refuse("batch_size", "at least 2 trajectories per step", self.batch_size.to_string());
        }
        if self.groups == 0 || self.groups > self.batch_size.min(MAX_GROUPS) {
            let expected = format!("between 1 and {MAX_GROUPS}, and at most batch_size");
            return refuse("groups", &expected, self.groups.to_string());
        }
        if let Budget::Seconds(s) = self.budget
            && !(s.is_finite() && s > 0.0)
        {
            return refuse("budget", "a positive number of seconds", s.to_string());
        }
        if !(self.optimizer.rate.is_finite() && self.optimizer.rate > 0.0) {
            return refuse("rate", "a positive learning rate", self.optimizer.rate.to_string());
        }
        let AdamSettings { final_fraction, beta1, beta2, clip_norm, log_z_rate, .. } = self.optimizer;
        if !(0.0..=1.0).contains(&final_fraction) {
            return refuse("final_fraction", "a fraction in 0..=1", final_fraction.to_string());
        }
        for (name, decay) in [("beta1", beta1), ("beta2", beta2)] {
            if !(0.0..1.0).contains(&decay) {
                return refuse(name, "a decay in 0..1", decay.to_string());
            }
        }
        if clip_norm.is_some_and(|limit| limit.is_nan() || limit <= 0.0) {
            return refuse("clip_norm", "a positive norm", format!("{clip_norm:?}"));
        }
        if !(log_z_rate.is_finite() && log_z_rate > 0.0) {
            return refuse("log_z_rate", "a positive learning rate", log_z_rate.to_string());
        }
        if self.huber.is_some_and(|h| !(h.is_finite() && h > 0.0)) {
            return refuse("huber", "a positive threshold", format!("{:?}", self.huber));
        }
        if self.averaging.is_some_and(|d| !(0.0..1.0).contains(&d)) {
            return refuse("averaging", "a decay in 0..1", format!("{:?}", self.averaging));
        }
        if let Some(a) = self.annealing
            && !(fraction(a.start) && fraction(a.until))
        {
            return refuse("annealing", "start and until in (0, 1]", format!("{a:?}"));
        }
        if let Some(p) = self.pretraining
            && !(fraction(p.until) && p.walks > 0 && p.transitions > 0 && p.rate.is_finite() && p.rate > 0.0)
        {
            let expected = "until in (0, 1], at least one walk and one transition, a positive rate";
            return refuse("pretraining", expected, format!("{p:?}"));
        }
        if self.behaviour.is_empty() || self.behaviour.iter().any(|s| !(s.share.is_finite() && s.share > 0.0))
        {
            return refuse(
                "behaviour",
                "at least one source, positive shares",
                format!("{:?}", self.behaviour),
            );
        }
        for share in &self.behaviour {
            if let Source::Own { scale, epsilon, tilt, .. } = share.source {
                let at_least_zero = |x: f64| x.is_finite() && x >= 0.0;
                if !((0.0..=1.0).contains(&epsilon) && at_least_zero(scale) && at_least_zero(tilt)) {
                    let found = format!("{:?}", share.source);
                    return refuse("behaviour", "epsilon in 0..=1, scale and tilt ≥ 0", found);
                }
            }
        }
        Ok(())
    }
}
