//! Detailed balance: the flow along every transition is the same forward and backward.

use crate::environment::{EnvSpec, StopRule};
use crate::error::Result;

use super::{BalanceLoss, LossGradient, LossInput, Robust, kept_trajectories};

/// Detailed balance, equation (3), of Bengio et al. 2023 (JMLR 24, arXiv 2111.09266): the mean of ρ, [`Robust`],
/// over all residuals of the batch, with a learned state flow F.
///
/// Transition i → i+1 gives log F(s_i) + log p_F − log F(s_{i+1}) − log p_B. Under [`StopRule::Always`] the stop
/// gives one more, log F(s) + log p_F(stop | s) − ℓ(τ); under [`StopRule::Exhausted`] ℓ(τ) stands in place of
/// log F in the last state. Trajectories of log R = −∞ are left out (see [`super::BalanceLoss::evaluate`]).
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Detailed {
    /// ρ.
    pub robust: Robust,
}

impl BalanceLoss for Detailed {
    fn check(&self, _spec: &EnvSpec) -> Result<()> {
        Ok(())
    }

    fn needs_flow(&self) -> bool {
        true
    }

    fn evaluate(&self, input: &LossInput, gradient: &mut LossGradient) -> f64 {
        let kept = kept_trajectories(input);
        let residuals: usize = kept.iter().map(|&b| Nodes::new(input, b).n_steps()).sum();
        let scale = 1.0 / residuals as f64;
        let mut loss = 0.0;
        for &b in &kept {
            let nodes = Nodes::new(input, b);
            for i in 0..nodes.n_steps() {
                let (value, slope) =
                    self.robust.value_and_slope(nodes.log_flow(i) + nodes.step(i) - nodes.log_flow(i + 1));
                loss += scale * value;
                nodes.add_flow(i, scale * slope, gradient);
                nodes.add_step(i, scale * slope, gradient);
                nodes.add_flow(i + 1, -scale * slope, gradient);
            }
        }
        loss
    }
}

/// A trajectory as nodes with flows and steps between them, shared by detailed and sub-trajectory balance.
///
/// Nodes are its k states, and under [`StopRule::Always`] the terminal node k behind the stop action. The last node
/// has the flow ℓ(τ), all others log F.
pub(super) struct Nodes<'a> {
    input: &'a LossInput<'a>,
    first: usize,
    last_slot: usize,
    n_steps: usize,
    log_target: f64,
}

impl<'a> Nodes<'a> {
    pub(super) fn new(input: &'a LossInput<'a>, b: usize) -> Self {
        let (first, end) = (input.offsets[b], input.offsets[b + 1]);
        let n_steps = end - first - usize::from(input.stop == StopRule::Exhausted);
        Nodes { input, first, last_slot: end - 1, n_steps, log_target: input.log_target[b] }
    }

    /// Steps between nodes; one less than there are nodes.
    pub(super) fn n_steps(&self) -> usize {
        self.n_steps
    }

    /// log F of node `i`.
    pub(super) fn log_flow(&self, i: usize) -> f64 {
        if i == self.n_steps { self.log_target } else { self.input.log_flow[self.first + i] }
    }

    /// log p_F − log p_B of the step from node `i` to the next; the stop has p_B = 1.
    pub(super) fn step(&self, i: usize) -> f64 {
        let slot = self.first + i;
        let backward = if slot == self.last_slot { 0.0 } else { self.input.log_backward[slot + 1] };
        self.input.log_forward[slot] - backward
    }

    /// Adds `slope` to the derivative with respect to log F of node `i`; ℓ(τ) takes none.
    pub(super) fn add_flow(&self, i: usize, slope: f64, gradient: &mut LossGradient) {
        if i < self.n_steps {
            gradient.log_flow[self.first + i] += slope;
        }
    }

    /// Adds `slope` to the derivatives of the logs in [`Nodes::step`].
    pub(super) fn add_step(&self, i: usize, slope: f64, gradient: &mut LossGradient) {
        let slot = self.first + i;
        gradient.log_forward[slot] += slope;
        if slot < self.last_slot {
            gradient.log_backward[slot + 1] -= slope;
        }
    }
}
