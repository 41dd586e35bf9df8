//! Sub-trajectory balance: detailed balance over stretches of all lengths, weighted geometrically.

use crate::environment::EnvSpec;
use crate::error::{Error, Result};

use super::detailed::Nodes;
use super::{BalanceLoss, LossGradient, LossInput, Robust, kept_trajectories};

/// Sub-trajectory balance SubTB(λ), equation (4), of Madan et al. 2023 (ICML, arXiv 2209.12782).
///
/// Over all nodes i < j of a trajectory (nodes as in [`super::Detailed`]) ρ of
/// log F(i) + Σ_{i ≤ t < j} (log p_F − log p_B) − log F(j), with weights λ^(j−i) that sum to 1 in each trajectory;
/// then the mean over trajectories with at least one step. O(k²) per trajectory of k states. Trajectories of
/// log R = −∞ are left out (see [`super::BalanceLoss::evaluate`]).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SubTrajectory {
    /// Weight of a stretch by its length, in (0, 1].
    pub lambda: f64,
    /// ρ.
    pub robust: Robust,
}

impl BalanceLoss for SubTrajectory {
    fn check(&self, _spec: &EnvSpec) -> Result<()> {
        if self.lambda > 0.0 && self.lambda <= 1.0 {
            return Ok(());
        }
        Err(Error::usage(
            "lambda",
            "a number in (0, 1]",
            self.lambda.to_string(),
            "0.9 is the common choice; small values come close to detailed balance",
        ))
    }

    fn needs_flow(&self) -> bool {
        true
    }

    fn evaluate(&self, input: &LossInput, gradient: &mut LossGradient) -> f64 {
        let mut kept = kept_trajectories(input);
        kept.retain(|&b| Nodes::new(input, b).n_steps() > 0);
        let share = 1.0 / kept.len() as f64;
        // With P(i) the sum of the steps before node i and G(i) = log F(i) − P(i), the residual is G(i) − G(j).
        let (mut potential, mut slopes, mut weights) = (Vec::new(), Vec::new(), Vec::new());
        let mut loss = 0.0;
        for &b in &kept {
            let nodes = Nodes::new(input, b);
            let n = nodes.n_steps();
            potential.clear();
            let mut steps = 0.0;
            for i in 0..=n {
                potential.push(nodes.log_flow(i) - steps);
                if i < n {
                    steps += nodes.step(i);
                }
            }
            self.length_weights(n, share, &mut weights);
            slopes.clear();
            slopes.resize(n + 1, 0.0);
            for i in 0..n {
                for j in i + 1..=n {
                    let (value, slope) = self.robust.value_and_slope(potential[i] - potential[j]);
                    let weight = weights[j - i - 1];
                    loss += weight * value;
                    slopes[i] += weight * slope;
                    slopes[j] -= weight * slope;
                }
            }
            // Step i is in P of all later nodes, with a minus sign: its slope is the sum of G's slopes up to i.
            let mut up_to = 0.0;
            for i in 0..n {
                up_to += slopes[i];
                nodes.add_flow(i, slopes[i], gradient);
                nodes.add_step(i, up_to, gradient);
            }
        }
        loss
    }
}

impl SubTrajectory {
    /// Weights of single stretches by length − 1, so that those of all stretches over `n` steps sum to `total`.
    fn length_weights(&self, n: usize, total: f64, weights: &mut Vec<f64>) {
        weights.clear();
        // Lengths count from 1 here, λ^(length − 1): the same after normalising, and λ^n cannot all underflow.
        let mut power = 1.0;
        let mut sum = 0.0;
        for length in 1..=n {
            weights.push(power);
            sum += power * (n + 1 - length) as f64;
            power *= self.lambda;
        }
        weights.iter_mut().for_each(|w| *w *= total / sum);
    }
}
