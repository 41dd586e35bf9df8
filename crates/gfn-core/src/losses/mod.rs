//! Balance losses: pure functions of log-probabilities that return their own derivatives, all in f64.

use serde::{Deserialize, Serialize};

use crate::environment::{EnvSpec, StopRule};
use crate::error::Result;

mod contrastive;
mod detailed;
mod modified_detailed;
mod sub_trajectory;
mod trajectory;

pub use contrastive::Contrastive;
pub use detailed::Detailed;
pub use modified_detailed::ModifiedDetailed;
pub use sub_trajectory::SubTrajectory;
pub use trajectory::TrajectoryBalance;

/// What a loss sees of a batch of B trajectories; slots as in [`crate::trajectory::TrajectoryBatch`], natural logs.
///
/// A trajectory with k states s_0 … s_{k−1} owns k consecutive slots.
#[derive(Debug, Clone, Copy)]
pub struct LossInput<'a> {
    /// B + 1 offsets into the slots.
    pub offsets: &'a [usize],
    /// When trajectories end.
    pub stop: StopRule,
    /// Slot i: log p_F of the action taken in state i; in the last state of a trajectory that of the stop action,
    /// or 0 where there is none.
    pub log_forward: &'a [f64],
    /// Slot i: log p_B of the action that undoes the arrival in state i; 0 in the first state.
    pub log_backward: &'a [f64],
    /// Slot i: log p_F(stop | state i); empty under [`StopRule::Exhausted`].
    pub log_stop: &'a [f64],
    /// Slot i: log F(state i); empty unless the loss needs flows.
    pub log_flow: &'a [f64],
    /// ℓ(τ) of each trajectory: log R(x) for a client, Σ_n w_n S_n(τ) + log g(x) for the server.
    pub log_target: &'a [f64],
    /// Slot i: log R(state i) up to a constant of its trajectory; empty unless the loss needs state rewards.
    pub state_log_reward: &'a [f64],
    /// The learned log Z.
    pub log_z: f64,
}

/// Derivatives of a loss with respect to the numbers of its [`LossInput`]; same shapes, added to, never cleared.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct LossGradient {
    /// With respect to `log_forward`.
    pub log_forward: Vec<f64>,
    /// With respect to `log_backward`.
    pub log_backward: Vec<f64>,
    /// With respect to `log_stop`.
    pub log_stop: Vec<f64>,
    /// With respect to `log_flow`.
    pub log_flow: Vec<f64>,
    /// With respect to `log_z`.
    pub log_z: f64,
}

impl LossGradient {
    /// Zeros in the shape of `input`.
    pub fn zeros(input: &LossInput) -> Self {
        LossGradient {
            log_forward: vec![0.0; input.log_forward.len()],
            log_backward: vec![0.0; input.log_backward.len()],
            log_stop: vec![0.0; input.log_stop.len()],
            log_flow: vec![0.0; input.log_flow.len()],
            log_z: 0.0,
        }
    }

    /// The derivatives of consecutive parts with so many slots each; that of log Z is not divided and left out.
    pub(crate) fn split(mut self, slots: impl DoubleEndedIterator<Item = usize>) -> Vec<LossGradient> {
        // From the end, so that nothing is copied but what is cut off; the first part stays where it is.
        let tail = |values: &mut Vec<f64>, n: usize| values.split_off(values.len().saturating_sub(n));
        let mut parts: Vec<LossGradient> = slots
            .rev()
            .map(|n| LossGradient {
                log_forward: tail(&mut self.log_forward, n),
                log_backward: tail(&mut self.log_backward, n),
                log_stop: tail(&mut self.log_stop, n),
                log_flow: tail(&mut self.log_flow, n),
                log_z: 0.0,
            })
            .collect();
        parts.reverse();
        parts
    }
}

/// A loss over trajectories.
pub trait BalanceLoss: Send + Sync {
    /// Refuses environments the loss makes no sense on, with the reason.
    fn check(&self, spec: &EnvSpec) -> Result<()>;
    /// Whether the policy has to output log F(s).
    fn needs_flow(&self) -> bool {
        false
    }
    /// Whether the target has to give log R of every visited state.
    fn needs_state_rewards(&self) -> bool {
        false
    }
    /// Whether log Z is learned.
    fn needs_log_z(&self) -> bool {
        false
    }
    /// The loss of the batch; adds its derivatives to `gradient`.
    ///
    /// A mean over the trajectories whose targets are finite: those with log R = −∞ (or, where state rewards are
    /// used, with a state of that kind) are left out whole, and an empty batch gives 0. A number of the policy that
    /// is not finite is not hidden: the loss is then not finite either.
    fn evaluate(&self, input: &LossInput, gradient: &mut LossGradient) -> f64;
}

/// A loss by name, as settings and files hold it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "name")]
pub enum Balance {
    /// Trajectory balance, equation (1).
    Trajectory,
    /// Detailed balance, equation (3).
    Detailed,
    /// Sub-trajectory balance, equation (4).
    SubTrajectory {
        /// Geometric weight of a sub-trajectory by its length, in (0, 1].
        lambda: f64,
    },
    /// Contrastive balance over all pairs, equation (2); on a client ensemble it is aggregating balance (6).
    Contrastive,
    /// Modified detailed balance, equation (5); on a client ensemble it is equation (8).
    ModifiedDetailed,
}

impl Balance {
    /// The loss of this name. `huber` (natural-log units) limits the pull of single residuals; `None` squares them.
    pub fn build(self, huber: Option<f64>) -> Box<dyn BalanceLoss> {
        let robust = Robust { huber };
        match self {
            Balance::Trajectory => Box::new(TrajectoryBalance { robust }),
            Balance::Detailed => Box::new(Detailed { robust }),
            Balance::SubTrajectory { lambda } => Box::new(SubTrajectory { lambda, robust }),
            Balance::Contrastive => Box::new(Contrastive { robust }),
            Balance::ModifiedDetailed => Box::new(ModifiedDetailed { robust }),
        }
    }
}

/// The function of a residual that is averaged: its square, or Huber's form of it (Huber 1964), which grows
/// linearly beyond a threshold.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Robust {
    /// Threshold in natural-log units; `None` is the plain square.
    pub huber: Option<f64>,
}

impl Robust {
    /// Value and derivative at residual `r`: `r²` inside, `2 h |r| − h²` outside of threshold h.
    pub fn value_and_slope(&self, r: f64) -> (f64, f64) {
        match self.huber {
            Some(h) if r.abs() > h => (2.0 * h * r.abs() - h * h, 2.0 * h * r.signum()),
            _ => (r * r, 2.0 * r),
        }
    }
}

/// S(τ) − ℓ(τ) of trajectory `b`, with S(τ) = Σ log p_F − Σ log p_B.
pub(crate) fn trajectory_residual(input: &LossInput, b: usize) -> f64 {
    let slots = input.offsets[b]..input.offsets[b + 1];
    let forward: f64 = input.log_forward[slots.clone()].iter().sum();
    let backward: f64 = input.log_backward[slots].iter().sum();
    forward - backward - input.log_target[b]
}

/// The trajectories with a finite target; only they count.
pub(crate) fn kept_trajectories(input: &LossInput) -> Vec<usize> {
    (0..input.log_target.len()).filter(|&b| input.log_target[b] != f64::NEG_INFINITY).collect()
}

/// Adds `slope` to the derivatives of every log p_F of trajectory `b` and subtracts it from those of its log p_B.
pub(crate) fn add_to_trajectory(input: &LossInput, b: usize, slope: f64, gradient: &mut LossGradient) {
    for slot in input.offsets[b]..input.offsets[b + 1] {
        gradient.log_forward[slot] += slope;
        gradient.log_backward[slot] -= slope;
    }
}

#[cfg(test)]
mod tests;
