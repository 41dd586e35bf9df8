//! Branch lengths: one fixed length, or bins with a public prior.

use std::fmt;

use gfn_core::{Error, Place, Result};
use serde::{Deserialize, Serialize};
use statrs::distribution::{ContinuousCDF, Exp, Gamma};

/// How long edges may be, in expected substitutions per site.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "kind", deny_unknown_fields)]
pub enum BranchLengths {
    /// Every edge has this length.
    Fixed {
        /// The length.
        length: f64,
    },
    /// Every edge has one of these lengths, independently, with these prior probabilities.
    Bins {
        /// Lengths, increasing.
        lengths: Vec<f64>,
        /// log prior probability of each (natural log); they sum to 1.
        log_prior: Vec<f64>,
    },
}

/// A prior on a branch length, to be discretised.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum BranchPrior {
    /// Exponential with this rate (mean 1/rate).
    Exponential(f64),
    /// Gamma with this shape and rate.
    Gamma(f64, f64),
    /// Uniform between 0 and this length.
    Uniform(f64),
}

const MAX_LENGTH: f64 = 100.0;
const MAX_BINS: usize = 64;

impl BranchPrior {
    /// Reads `exp:10`, `gamma:2,20` or `uniform:1`.
    pub fn parse(text: &str) -> Result<Self> {
        let refuse = || {
            Error::usage(
                "branch-prior",
                "exp:RATE, gamma:SHAPE,RATE or uniform:LONGEST with positive numbers",
                format!("`{text}`"),
                "write for example exp:10",
            )
        };
        let (name, numbers) = text.split_once(':').ok_or_else(refuse)?;
        let numbers: Vec<f64> = numbers.split(',').map(|n| n.trim().parse().unwrap_or(f64::NAN)).collect();
        if numbers.iter().any(|n| !(n.is_finite() && *n > 0.0)) {
            return Err(refuse());
        }
        match (name, &numbers[..]) {
            ("exp", [rate]) => Ok(BranchPrior::Exponential(*rate)),
            ("gamma", [shape, rate]) => Ok(BranchPrior::Gamma(*shape, *rate)),
            ("uniform", [longest]) => Ok(BranchPrior::Uniform(*longest)),
            _ => Err(refuse()),
        }
    }

    /// The length below which this share of the prior lies.
    fn quantile(&self, share: f64) -> f64 {
        match *self {
            BranchPrior::Exponential(rate) => Exp::new(rate).expect("a checked rate").inverse_cdf(share),
            BranchPrior::Gamma(shape, rate) => {
                Gamma::new(shape, rate).expect("checked numbers").inverse_cdf(share)
            }
            BranchPrior::Uniform(longest) => share * longest,
        }
    }

    /// Unnormalised log density at a length.
    fn log_density(&self, length: f64) -> f64 {
        match *self {
            BranchPrior::Exponential(rate) => -rate * length,
            BranchPrior::Gamma(shape, rate) => (shape - 1.0) * length.ln() - rate * length,
            BranchPrior::Uniform(longest) if length <= longest => 0.0,
            BranchPrior::Uniform(_) => f64::NEG_INFINITY,
        }
    }
}

impl BranchLengths {
    /// One fixed length.
    pub fn fixed(length: f64) -> Result<Self> {
        if !(length.is_finite() && length > 0.0 && length <= MAX_LENGTH) {
            return Err(Error::usage(
                "branch-length",
                format!("a length above 0 and up to {MAX_LENGTH} substitutions per site"),
                length.to_string(),
                "write for example 0.1",
            ));
        }
        Ok(BranchLengths::Fixed { length })
    }

    /// `n` bins of equal prior mass, each represented by its median.
    pub fn quantile_bins(n: usize, prior: BranchPrior) -> Result<Self> {
        if !(2..=MAX_BINS).contains(&n) {
            return Err(bins_refused(n));
        }
        let lengths = (0..n).map(|i| prior.quantile((i as f64 + 0.5) / n as f64)).collect();
        Self::checked_bins(lengths, vec![-(n as f64).ln(); n])
    }

    /// These lengths, with prior probabilities ∝ the prior's density there.
    pub fn density_bins(lengths: Vec<f64>, prior: BranchPrior) -> Result<Self> {
        let mut log_prior: Vec<f64> = lengths.iter().map(|&l| prior.log_density(l)).collect();
        gfn_core::math::log_softmax_in_place(&mut log_prior);
        Self::checked_bins(lengths, log_prior)
    }

    fn checked_bins(lengths: Vec<f64>, log_prior: Vec<f64>) -> Result<Self> {
        if !(2..=MAX_BINS).contains(&lengths.len()) {
            return Err(bins_refused(lengths.len()));
        }
        let increasing = lengths.windows(2).all(|w| w[0] < w[1]);
        let in_range = lengths.iter().all(|l| l.is_finite() && *l > 0.0 && *l <= MAX_LENGTH);
        if !increasing || !in_range || log_prior.iter().any(|p| !p.is_finite()) {
            return Err(Error::usage(
                "branch-bins",
                format!("increasing lengths above 0 and up to {MAX_LENGTH}, of positive prior probability"),
                format!("{lengths:?}"),
                "correct the lengths or the prior",
            ));
        }
        Ok(BranchLengths::Bins { lengths, log_prior })
    }

    /// Refuses values that a constructor would not have made (they may come from a file).
    pub fn check(&self) -> Result<()> {
        match self {
            BranchLengths::Fixed { length } => Self::fixed(*length).map(drop),
            BranchLengths::Bins { lengths, log_prior } => {
                let total: f64 = log_prior.iter().map(|p| p.exp()).sum();
                if lengths.len() != log_prior.len() || (total - 1.0).abs() > 1e-9 {
                    return Err(Error::input(
                        Place::item("branch_lengths"),
                        "one prior probability per length, summing to 1",
                        format!("{} lengths, sum {total}", lengths.len()),
                        "make the plan again",
                    ));
                }
                Self::checked_bins(lengths.clone(), log_prior.clone()).map(drop)
            }
        }
    }

    /// Number of bins; 0 where lengths are fixed.
    pub fn n_bins(&self) -> usize {
        match self {
            BranchLengths::Fixed { .. } => 0,
            BranchLengths::Bins { lengths, .. } => lengths.len(),
        }
    }

    /// The lengths an edge may have (one where fixed).
    pub fn lengths(&self) -> Vec<f64> {
        match self {
            BranchLengths::Fixed { length } => vec![*length],
            BranchLengths::Bins { lengths, .. } => lengths.clone(),
        }
    }

    /// log prior probability of a bin; 0 where lengths are fixed.
    pub fn log_prior(&self, bin: u8) -> f64 {
        match self {
            BranchLengths::Fixed { .. } => 0.0,
            BranchLengths::Bins { log_prior, .. } => log_prior[bin as usize],
        }
    }
}

fn bins_refused(n: usize) -> Error {
    Error::usage(
        "branch-bins",
        format!("2 to {MAX_BINS} bins"),
        n.to_string(),
        "use --branch-length for one fixed length",
    )
}

impl fmt::Display for BranchLengths {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BranchLengths::Fixed { length } => write!(f, "fixed {length}"),
            BranchLengths::Bins { lengths, log_prior } => {
                write!(f, "bins")?;
                for (length, log_prior) in lengths.iter().zip(log_prior) {
                    write!(f, " {length:.6} ({:.4})", log_prior.exp())?;
                }
                Ok(())
            }
        }
    }
}
