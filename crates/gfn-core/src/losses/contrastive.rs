//! Contrastive balance: every trajectory against the mean of the batch, so that log Z drops out.

use crate::environment::EnvSpec;
use crate::error::Result;

use super::{
    BalanceLoss, LossGradient, LossInput, Robust, add_to_trajectory, kept_trajectories, trajectory_residual,
};

/// Contrastive balance, equation (2), of da Silva et al. 2024 (arXiv 2406.03288, Corollary 3.6); with the clients'
/// scores as target it is their aggregating balance, equation (6).
///
/// 2/(B−1) Σ_b ρ(δ_b − δ̄), with ρ of [`Robust`]: for squares this is the mean of (δ_a − δ_b)² over all ordered
/// pairs a ≠ b, in O(B). With Huber's ρ it limits distances from the mean, not those of pairs. The derivative goes
/// through the mean. Trajectories of log R = −∞ are left out (see [`super::BalanceLoss::evaluate`]); a
/// single trajectory has nothing to be compared with and gives 0.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Contrastive {
    /// ρ.
    pub robust: Robust,
}

impl BalanceLoss for Contrastive {
    fn check(&self, _spec: &EnvSpec) -> Result<()> {
        Ok(())
    }

    fn evaluate(&self, input: &LossInput, gradient: &mut LossGradient) -> f64 {
        let kept = kept_trajectories(input);
        if kept.len() < 2 {
            return 0.0;
        }
        let residuals: Vec<f64> = kept.iter().map(|&b| trajectory_residual(input, b)).collect();
        let n = kept.len() as f64;
        let mean = residuals.iter().sum::<f64>() / n;
        let scale = 2.0 / (n - 1.0);
        let mut loss = 0.0;
        let mut slopes = Vec::with_capacity(kept.len());
        for residual in &residuals {
            let (value, slope) = self.robust.value_and_slope(residual - mean);
            loss += scale * value;
            slopes.push(slope);
        }
        // δ̄ moves with every δ_b by 1/B: the mean slope comes off. It is 0 for squares, not for Huber.
        let mean_slope = slopes.iter().sum::<f64>() / n;
        for (&b, slope) in kept.iter().zip(&slopes) {
            add_to_trajectory(input, b, scale * (slope - mean_slope), gradient);
        }
        loss
    }
}
