//! The multisets of the paper: 8 items of 10 kinds, five clients with values uniform on [0, 1].

use std::sync::Arc;

use gfn_core::Result;
use gfn_core::random::stream;
use gfn_core::reward::LogReward;
use gfn_core::rollout::Source;
use gfn_multiset::{AdditiveReward, Multiset, Multisets};
use rand::RngExt;

use super::{Common, Domain, for_quick, own, own_and, with_proposals};
use crate::experiment::problem::{Factors, Problem, ServerStart, Training};

/// Kinds and items, and those of `--quick`.
const SIZES: [(usize, usize); 2] = [(10, 8), (4, 3)];

/// The problem; the seed draws the values.
pub fn multisets(quick: bool, seed: u64) -> Result<Problem<Multisets>> {
    let (kinds, size) = SIZES[usize::from(quick)];
    let env = Multisets::new(kinds, size)?;
    let mut rng = stream(seed, "values of multisets", 0);
    let values = |_| AdditiveReward::new(&env, (0..kinds).map(|_| rng.random::<f64>()).collect());
    let rewards: Vec<AdditiveReward> =
        (0..Domain::Multisets.n_clients()).map(values).collect::<Result<_>>()?;
    let product = Arc::new(AdditiveReward::product(&env, &rewards)?);
    let clients = rewards.into_iter().map(|reward| Arc::new(reward) as Arc<dyn LogReward<_>>).collect();
    let log_factorials: Vec<f64> = (0..=size)
        .scan(0.0, |sum, k| {
            *sum += if k > 0 { (k as f64).ln() } else { 0.0 };
            Some(*sum)
        })
        .collect();
    let factors = Factors {
        description: "the kind of each item, drawn independently from one categorical",
        n_features: kinds,
        read: Box::new(move |multiset: &Multiset, features| {
            // The number of orders in which the draws give the multiset.
            let mut log_orders = log_factorials[multiset.total() as usize];
            for (kind, &count) in multiset.counts().iter().enumerate() {
                features.extend((0..count).map(|_| kind as u32));
                log_orders -= log_factorials[count as usize];
            }
            log_orders
        }),
    };
    Problem::new("multisets", Arc::new(env), clients, product, for_quick(training(), quick), Some(factors))
}

pub(super) fn training() -> Training {
    let common = Common { hidden: &[96, 96, 96], batch_size: 128, rate: 5e-3, averaging: 0.998 };
    // Random log-weights on the actions of a trajectory imitate the factors that a client does not know.
    let tilted = Source::Own { scale: 1.0, random_scale: false, epsilon: 0.05, tilt: 1.0 };
    Training {
        client: common.recipe(5000, own_and(0.3, tilted)),
        round: common.recipe(2500, with_proposals()),
        server: common.recipe(3000, own()),
        centralised: common.recipe(3000, own()),
        server_start: ServerStart::Fresh,
    }
}
