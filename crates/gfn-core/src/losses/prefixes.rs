//! Contrastive balance over all prefixes of trajectories, where every state is an object.

use crate::environment::{EnvSpec, StopRule};
use crate::error::{Error, Result};

use super::{BalanceLoss, LossGradient, LossInput, Robust};

/// Contrastive balance over prefixes, equation (9) of docs/mathematics.md, for environments whose states are all objects.
///
/// A trajectory s_0 → … → s_k holds k + 1 complete ones, which stop at s_i: for each,
/// δ_i = Σ_{j<i} (log p_F(s_{j+1} | s_j) − log p_B(s_j | s_{j+1})) + log p_F(stop | s_i) − log R(s_i).
/// The loss is 2/(n−1) Σ ρ(δ − δ̄) over all n of them in the batch, ρ of [`Robust`] and δ̄ their mean: the residuals of
/// equation (2) for every state that a network has been asked about anyway. Differences of neighbours are those of
/// equation (5). On a client ensemble log R(s_i) is Σ_n w_n S_n of the prefix, and this is aggregating balance.
///
/// A trajectory that visits a state of log R = −∞ is left out whole; fewer than two prefixes give 0.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct ContrastivePrefixes {
    /// ρ.
    pub robust: Robust,
}

impl BalanceLoss for ContrastivePrefixes {
    fn check(&self, spec: &EnvSpec) -> Result<()> {
        if spec.stop == StopRule::Always {
            return Ok(());
        }
        Err(Error::usage(
            "loss contrastive-prefixes",
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
        let mut residuals = Vec::with_capacity(input.state_log_reward.len());
        let mut weights = Vec::with_capacity(input.state_log_reward.len());
        for offsets in kept() {
            let mut path = 0.0;
            for slot in offsets[0]..offsets[1] {
                path -= input.log_backward[slot];
                residuals.push(path + input.log_stop[slot] - input.state_log_reward[slot]);
                weights.push(input.log_stop[slot].exp() + 0.02);
                path += input.log_forward[slot];
            }
        }
        if residuals.len() < 2 {
            return 0.0;
        }
        let n: f64 = weights.iter().sum();
        let mean = residuals.iter().zip(&weights).map(|(r, w)| r * w).sum::<f64>() / n;
        let scale = 2.0 / n;
        let mut loss = 0.0;
        for (residual, w) in residuals.iter_mut().zip(&weights) {
            let (value, slope) = self.robust.value_and_slope(*residual - mean);
            loss += scale * w * value;
            *residual = slope * w;
        }
        // δ̄ moves with every δ by 1/n: the mean slope comes off. It is 0 for squares, not for Huber.
        let mean_slope = residuals.iter().sum::<f64>() / n;
        residuals.iter_mut().zip(&weights).for_each(|(r, w)| *r -= mean_slope * w);
        let mut slopes = residuals.iter();
        for offsets in kept() {
            let mut own: Vec<f64> =
                slopes.by_ref().take(offsets[1] - offsets[0]).map(|s| scale * s).collect();
            gradient.log_stop[offsets[0]..offsets[1]].iter_mut().zip(&own).for_each(|(g, s)| *g += s);
            // An action counts in all prefixes that go on from there.
            for i in (1..own.len()).rev() {
                own[i - 1] += own[i];
            }
            for (slot, sum) in (offsets[0]..offsets[1]).zip(&own) {
                gradient.log_backward[slot] -= sum;
                if slot > offsets[0] {
                    gradient.log_forward[slot - 1] += sum;
                }
            }
        }
        loss
    }
}
