//! The sequences of the paper: up to 6 of 6 tokens, five clients with position weights and token scores.

use std::sync::Arc;

use gfn_core::Result;
use gfn_core::domain::Domain as _;
use gfn_core::random::stream;
use gfn_core::reward::LogReward;
use gfn_seq::{AdditiveReward, PositionWeights, Sequence, SequenceDomain, SequenceSettings, Sequences};

use super::{Domain, for_quick};
use crate::experiment::problem::{Factors, Problem, Steps, Training};
use crate::experiment::training::normal;

/// Tokens and longest length, and those of `--quick`.
const SIZES: [(&str, usize); 2] = [("ABCDEF", 6), ("ABC", 3)];

/// The problem. Position weights and token scores are normal with standard deviation √`scale`, so that log-rewards are in
/// proportion to `scale`; the seed draws them.
pub fn sequences(quick: bool, scale: f64, seed: u64) -> Result<Problem<Sequences>> {
    let (alphabet, length) = SIZES[usize::from(quick)];
    let domain = SequenceDomain::new(&SequenceSettings { alphabet: alphabet.into(), length, exact: false })?;
    let (env, tokens) = (Arc::clone(domain.environment()), alphabet.len());
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
    let training = for_quick(Training::of(&domain, STEPS), quick);
    Problem::new("sequences", env, clients, product, training, Some(factors))
}

const STEPS: Steps = Steps { client: 24_000, round: 12_000, server: 8000, centralised: 8000 };
