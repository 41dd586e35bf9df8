//! The multisets of the paper: 8 items of 10 kinds, five clients with values uniform on [0, 1].

use std::sync::Arc;

use gfn_core::Result;
use gfn_core::domain::Domain as _;
use gfn_core::random::stream;
use gfn_core::reward::LogReward;
use gfn_multiset::{AdditiveReward, Item, Multiset, MultisetDomain, MultisetSettings, Multisets};
use rand::RngExt;

use super::{Domain, for_quick};
use crate::experiment::problem::{Factors, Problem, Steps, Training};

/// Kinds and items, and those of `--quick`.
const SIZES: [(usize, usize); 2] = [(10, 8), (4, 3)];

/// The problem; the seed draws the values.
pub fn multisets(quick: bool, seed: u64) -> Result<Problem<Multisets>> {
    let (kinds, size) = SIZES[usize::from(quick)];
    let item = |kind| Item { name: format!("item {kind}"), capacity: None };
    let domain = MultisetDomain::new(MultisetSettings { size, items: (0..kinds).map(item).collect() })?;
    let env = Arc::clone(domain.environment());
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
    let training = for_quick(Training::of(&domain, STEPS), quick);
    Problem::new("multisets", env, clients, product, training, Some(factors))
}

const STEPS: Steps = Steps { client: 5000, round: 2500, server: 3000, centralised: 3000 };
