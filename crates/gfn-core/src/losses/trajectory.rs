//! Trajectory balance: every complete trajectory carries its reward, with a learned log Z.

use crate::environment::EnvSpec;
use crate::error::Result;

use super::{
    BalanceLoss, LossGradient, LossInput, Robust, add_to_trajectory, kept_trajectories, trajectory_residual,
};

/// Trajectory balance, equation (1), of Malkin et al. 2022 (arXiv 2201.13259): the mean over the batch of
/// ρ(δ(τ) + log Z), where ρ is [`Robust`].
///
/// Trajectories of log R = −∞ are left out (see [`super::BalanceLoss::evaluate`]).
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct TrajectoryBalance {
    /// ρ.
    pub robust: Robust,
}

impl BalanceLoss for TrajectoryBalance {
    fn check(&self, _spec: &EnvSpec) -> Result<()> {
        Ok(())
    }

    fn needs_log_z(&self) -> bool {
        true
    }

    fn evaluate(&self, input: &LossInput, gradient: &mut LossGradient) -> f64 {
        let kept = kept_trajectories(input);
        let scale = 1.0 / kept.len() as f64;
        let mut loss = 0.0;
        for &b in &kept {
            let (value, slope) = self.robust.value_and_slope(trajectory_residual(input, b) + input.log_z);
            loss += scale * value;
            gradient.log_z += scale * slope;
            add_to_trajectory(input, b, scale * slope, gradient);
        }
        loss
    }
}
