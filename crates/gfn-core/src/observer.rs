//! What a trainer tells while it runs, and why it ended.

use serde::{Deserialize, Serialize};

/// One training step, as observers see it. Residuals are in natural-log units.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct StepReport {
    /// Steps made, this one included.
    pub step: u64,
    /// Seconds of training so far.
    pub seconds: f64,
    /// Fraction of the budget that is spent.
    pub progress: f64,
    /// Loss of the batch.
    pub loss: f64,
    /// Standard deviation of the residual S(τ) − β ℓ(τ) over the batch, where finite (β is below 1 while annealing); none
    /// in pretraining, which has no residuals.
    pub residual_deviation: Option<f64>,
    /// Norm of the gradient before clipping.
    pub gradient_norm: f64,
}

/// Whether training goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Control {
    /// Go on.
    Continue,
    /// Stop after this step; the run can be resumed.
    Stop,
}

/// Why a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stopped {
    /// The budget is spent.
    BudgetSpent,
    /// An observer asked for it.
    Interrupted,
}

/// Listens to training.
pub trait Observer {
    /// Called after each step.
    fn after_step(&mut self, report: &StepReport) -> Control;
}

impl<F: FnMut(&StepReport) -> Control> Observer for F {
    fn after_step(&mut self, report: &StepReport) -> Control {
        self(report)
    }
}
