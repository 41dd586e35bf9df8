//! The aggregate against exact draws from the product of the clients, however many sequences there are.

use gfn_core::Result;
use gfn_core::domain::Domain;
use gfn_core::math::mean_and_deviation;
use gfn_core::random::stream;
use gfn_seq::SequenceDomain;
use gfn_seq::exact::Transfer;
use serde::Serialize;

use crate::design::Results;
use crate::samples::residuals;

/// Exact draws.
const DRAWS: usize = 4000;

/// What exact draws say of the aggregate. Every sequence has one way to it, so the policy's log-probability of it is known
/// exactly, and what is compared is estimated from draws of the target: it sees what the policy never visits.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Reference {
    /// Number of draws.
    pub draws: usize,
    /// Σ_x π(x) log(π(x)/p(x)) from the target π to the aggregate p, estimated (natural log).
    pub kl: f64,
    /// Its standard error.
    pub kl_error: f64,
    /// Σ_x |π(x) − p(x)| = 2 E_π max(0, 1 − p/π), estimated.
    pub l1: f64,
    /// Its standard error.
    pub l1_error: f64,
    /// Standard deviation of log R − log p over the draws.
    pub residual_deviation: f64,
    /// The best of all sequences.
    pub best: String,
    /// Its log R.
    pub best_log_reward: f64,
    /// The largest log R among the samples.
    pub best_found: f64,
}

/// Draws and compares.
///
/// # Errors
/// An interruption.
pub fn compare(
    domain: &SequenceDomain,
    transfer: &Transfer,
    results: &Results<SequenceDomain>,
) -> Result<Reference> {
    let mut rng = stream(results.seed, "exact draws", 0);
    let draws: Vec<_> = (0..DRAWS).map(|_| transfer.sample(&mut rng)).collect();
    let env = domain.environment().as_ref();
    let residuals = residuals(env, results.policy, transfer.product(), &draws, results.seed)?;
    let log_z = transfer.log_partition();
    let log_ratios: Vec<f64> = residuals.iter().map(|residual| residual - log_z).collect();
    let lacking: Vec<f64> = log_ratios.iter().map(|r| 2.0 * (1.0 - (-r).exp()).max(0.0)).collect();
    let error = |deviation: f64| deviation / (DRAWS as f64).sqrt();
    let (kl, deviation) = mean_and_deviation(&log_ratios);
    let (l1, l1_deviation) = mean_and_deviation(&lacking);
    let (best, best_log_reward) = transfer.best();
    let log_rewards = results.found.designs.iter().filter_map(|d| d.rated.as_ref()).map(|r| r.log_reward);
    Ok(Reference {
        draws: DRAWS,
        kl,
        kl_error: error(deviation),
        l1,
        l1_error: error(l1_deviation),
        residual_deviation: deviation,
        best: domain.object_name(&best),
        best_log_reward,
        best_found: log_rewards.fold(f64::NEG_INFINITY, f64::max),
    })
}

impl Reference {
    /// Lines for the terminal.
    pub fn lines(&self) -> String {
        let found = if self.best_log_reward - self.best_found < 1e-9 {
            "found".to_string()
        } else {
            format!("not found: {:.3} is the best of the samples", self.best_found)
        };
        format!(
            "  best of all sequences: {} with log R {:.3}, {found}\n  against {} exact draws of the product: L1 {:.4} ± \
             {:.4}, KL {:.5} ± {:.5}\n",
            self.best, self.best_log_reward, self.draws, self.l1, self.l1_error, self.kl, self.kl_error
        )
    }
}
