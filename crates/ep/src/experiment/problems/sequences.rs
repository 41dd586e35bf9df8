//! The sequences of the paper: up to 6 of 6 tokens, five clients with position weights and token scores.

use std::sync::Arc;

use gfn_core::Result;
use gfn_core::random::stream;
use gfn_core::reward::LogReward;
use gfn_core::rollout::Source;
use gfn_seq::{AdditiveReward, PositionWeights, Sequence, Sequences};
use rand::RngExt;
use rand::rngs::ChaCha8Rng;

use super::{Common, Domain, for_quick, own, own_and, with_proposals};
use crate::experiment::problem::{Factors, Problem, ServerStart, Training};

/// Tokens and longest length, and those of `--quick`.
const SIZES: [(usize, usize); 2] = [(6, 6), (3, 3)];

/// The problem. Position weights and token scores are normal with standard deviation √`scale`, so that log-rewards are in
/// proportion to `scale`; the seed draws them.
pub fn sequences(quick: bool, scale: f64, seed: u64) -> Result<Problem<Sequences>> {
    let (tokens, length) = SIZES[usize::from(quick)];
    let env = Sequences::new(tokens, length, false)?;
    let mut rng = stream(seed, "scores of sequences", 0);
    let reward = |_| {
        let p = (0..length).map(|_| scale.sqrt() * normal(&mut rng)).collect();
        let t = (0..tokens).map(|_| scale.sqrt() * normal(&mut rng)).collect();
        AdditiveReward::new(&env, p, t)
    };
    let rewards: Vec<AdditiveReward> =
        (0..Domain::Sequences.n_clients()).map(reward).collect::<Result<_>>()?;
    let product = Arc::new(PositionWeights::product(&env, rewards.iter().map(AdditiveReward::matrix))?);
    let clients = rewards.into_iter().map(|reward| Arc::new(reward) as Arc<dyn LogReward<_>>).collect();
    let factors = Factors {
        description: "a token or the end at each position",
        n_features: length * (tokens + 1),
        read: Box::new(move |sequence: &Sequence, features| {
            let position = |i: usize, what: usize| (i * (tokens + 1) + what) as u32;
            let read = sequence.tokens().iter().enumerate();
            features.extend(read.map(|(i, &token)| position(i, usize::from(token))));
            if sequence.len() < length {
                features.push(position(sequence.len(), tokens));
            }
            0.0
        }),
    };
    Problem::new("sequences", Arc::new(env), clients, product, for_quick(training(), quick), Some(factors))
}

/// A standard normal number (Box & Muller 1958).
fn normal(rng: &mut ChaCha8Rng) -> f64 {
    let (u, v): (f64, f64) = (1.0 - rng.random::<f64>(), rng.random());
    (-2.0 * u.ln()).sqrt() * (2.0 * std::f64::consts::PI * v).cos()
}

pub(super) fn training() -> Training {
    let common = Common { hidden: &[128, 128], batch_size: 64, rate: 1e-2, averaging: 0.999 };
    Training {
        client: common.recipe(8000, own_and(0.3, Source::UniformPolicy)),
        round: common.recipe(4000, with_proposals()),
        server: common.recipe(8000, own()),
        centralised: common.recipe(8000, own()),
        server_start: ServerStart::Fresh,
    }
}
