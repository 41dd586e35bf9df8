//! Rewards of sequences that are read letter by letter: tables by position, Markov models, motifs, and their products.

mod additive;
mod kmers;
mod motifs;

use std::sync::Arc;

use gfn_core::reward::LogReward;

pub use additive::{AdditiveReward, PositionWeights};
pub use kmers::{KmerModel, MAX_KMERS};
pub(crate) use kmers::{index_of, n_kmers};
pub use motifs::{Counting, MAX_ONCE, Motif, MotifBonus};

use crate::environment::{Sequence, Sequences};

/// A reward that is a product of one factor for each letter, each a function of a few letters before it:
/// log R(x) = Σ_i f(i, x_{i−m} … x_{i−1}, x_i), where f may also depend on up to 64 yes-or-no facts about the letters so
/// far. So its log Z can be computed without visiting all sequences: [`crate::exact::Transfer`].
pub trait Stepwise: Send + Sync {
    /// m, the number of letters before the next one that its factor depends on.
    fn memory(&self) -> usize;

    /// f (natural log, finite) of appending `token` at `position` (from 0). `before` holds the letters before it, all of
    /// them or at least the last [`Stepwise::memory`]. `seen` holds the facts so far, none at the beginning.
    fn log_factor(&self, position: usize, before: &[u8], token: u8, seen: &mut u64) -> f64;

    /// log R of a whole sequence (natural log).
    fn log_reward_of(&self, sequence: &Sequence) -> f64 {
        let tokens = sequence.tokens();
        let mut seen = 0;
        (0..tokens.len()).map(|i| self.log_factor(i, &tokens[..i], tokens[i], &mut seen)).sum()
    }
}

/// log R(x) = Σ_n w_n log R_n(x): a logarithmic opinion pool of rewards; one of weight 1 is itself.
#[derive(Clone)]
pub struct Product {
    /// The rewards with their weights.
    pub parts: Vec<(Arc<dyn Stepwise>, f64)>,
}

impl Product {
    /// A single reward.
    pub fn single(reward: Arc<dyn Stepwise>) -> Self {
        Product { parts: vec![(reward, 1.0)] }
    }
}

impl LogReward<Sequences> for Product {
    fn log_reward(&self, _env: &Sequences, object: &Sequence) -> f64 {
        self.parts.iter().map(|(reward, weight)| weight * reward.log_reward_of(object)).sum()
    }
}
