//! Modified detailed balance: transitions between objects, balanced by their rewards and stop probabilities.

use crate::environment::{EnvSpec, StopRule};
use crate::error::{Error, Result};

use super::{BalanceLoss, LossGradient, LossInput, Robust};

/// Modified detailed balance, equation (5), of Deleu et al. 2022 (UAI, arXiv 2202.13903), for environments whose
/// states are all objects; on a client ensemble equation (8).
///
/// The mean over all transitions s → s' of ρ, [`Robust`], of
/// log R(s') + log p_B(s | s') + log p_F(stop | s) − log R(s) − log p_F(s' | s) − log p_F(stop | s').
/// There is no log Z, and no flow. A trajectory that visits a state of log R = −∞ is left out whole; a batch without
/// transitions gives 0.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct ModifiedDetailed {
    /// ρ.
    pub robust: Robust,
}

impl BalanceLoss for ModifiedDetailed {
    fn check(&self, spec: &EnvSpec) -> Result<()> {
        if spec.stop == StopRule::Always {
            return Ok(());
        }
        Err(Error::usage(
            "loss modified-detailed",
            "an environment in which every state is an object and can stop",
            format!("{}, whose trajectories end only where no action is left", spec.name),
            "use contrastive, trajectory, detailed or sub-trajectory balance",
        ))
    }

    fn needs_state_rewards(&self) -> bool {
        true
    }

    fn evaluate(&self, input: &LossInput, gradient: &mut LossGradient) -> f64 {
        let possible = |slots: &[f64]| slots.iter().all(|&log_reward| log_reward != f64::NEG_INFINITY);
        let kept = || input.offsets.windows(2).filter(|o| possible(&input.state_log_reward[o[0]..o[1]]));
        let transitions: usize = kept().map(|o| (o[1] - o[0]).saturating_sub(1)).sum();
        let scale = 1.0 / transitions as f64;
        let mut loss = 0.0;
        for offsets in kept() {
            for next in offsets[0] + 1..offsets[1] {
                let state = next - 1;
                let residual =
                    input.state_log_reward[next] + input.log_backward[next] + input.log_stop[state]
                        - input.state_log_reward[state]
                        - input.log_forward[state]
                        - input.log_stop[next];
                let (value, slope) = self.robust.value_and_slope(residual);
                loss += scale * value;
                let slope = scale * slope;
                gradient.log_backward[next] += slope;
                gradient.log_stop[state] += slope;
                gradient.log_forward[state] -= slope;
                gradient.log_stop[next] -= slope;
            }
        }
        loss
    }
}
