//! Rewards with pairwise interactions: values of items, and of pairs of items.

use std::collections::BTreeMap;

use gfn_core::reward::LogReward;
use gfn_core::{Error, Place, Result};

use crate::environment::{Multiset, Multisets};
use crate::reward::AdditiveReward;

/// log R(x) = Σ_i c_i u_i + Σ_{i<j} c_i c_j v_ij + Σ_i c_i (c_i − 1)/2 · v_ii with counts c_i (natural log): every item held
/// contributes the value u of its kind, and every pair of items held contributes the value v of the pair, two items of
/// one kind included.
#[derive(Debug, Clone, PartialEq)]
pub struct MultisetReward {
    values: AdditiveReward,
    /// v_ij by (i, j) with i ≤ j, none of them 0.
    pairs: BTreeMap<(usize, usize), f64>,
}

impl MultisetReward {
    /// One finite value per kind of the environment, and finite values of pairs of kinds, each pair once and in any order.
    pub fn new(env: &Multisets, values: Vec<f64>, pairs: &[(usize, usize, f64)]) -> Result<Self> {
        let values = AdditiveReward::new(env, values)?;
        let mut known = BTreeMap::new();
        for &(i, j, value) in pairs {
            let fine = i.max(j) < env.n_kinds() && value.is_finite();
            if !fine || known.insert((i.min(j), i.max(j)), value).is_some() {
                return Err(Error::input(
                    Place::item(format!("interaction of kinds {i} and {j}")),
                    format!("kinds below {}, a finite number, and each pair once", env.n_kinds()),
                    value.to_string(),
                    "correct the interaction",
                ));
            }
        }
        known.retain(|_, value| *value != 0.0);
        Ok(MultisetReward { values, pairs: known })
    }

    /// Π_n R_n^w_n: values and interactions add up, with weights w_n. All rewards must be of the environment.
    pub fn product(env: &Multisets, weighted: &[(&MultisetReward, f64)]) -> Result<Self> {
        let mut values = vec![0.0; env.n_kinds()];
        let mut pairs: BTreeMap<(usize, usize), f64> = BTreeMap::new();
        for (reward, weight) in weighted {
            // Checks the number of values, which another environment's reward may get wrong.
            let own = AdditiveReward::new(env, reward.values.values().to_vec())?;
            values.iter_mut().zip(own.values()).for_each(|(sum, value)| *sum += weight * value);
            reward.pairs.iter().for_each(|(&pair, value)| *pairs.entry(pair).or_default() += weight * value);
        }
        let pairs: Vec<(usize, usize, f64)> = pairs.into_iter().map(|((i, j), v)| (i, j, v)).collect();
        MultisetReward::new(env, values, &pairs)
    }

    /// Number of pairs of kinds that interact.
    pub fn n_interactions(&self) -> usize {
        self.pairs.len()
    }

    /// log Z = log Σ_x R(x) over the objects of the environment (natural log); none with interactions, for which no closed
    /// form is known.
    pub fn log_partition(&self, env: &Multisets) -> Option<f64> {
        self.pairs.is_empty().then(|| self.values.log_partition_within(env))
    }
}

impl LogReward<Multisets> for MultisetReward {
    fn log_reward(&self, env: &Multisets, object: &Multiset) -> f64 {
        let counts = object.counts();
        let of_pair = |(&(i, j), value): (&(usize, usize), &f64)| {
            let (a, b) = (f64::from(counts[i]), f64::from(counts[j]));
            let pairs = if i == j { a * (a - 1.0) / 2.0 } else { a * b };
            value * pairs
        };
        self.values.log_reward(env, object) + self.pairs.iter().map(of_pair).sum::<f64>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The definition, item by item and pair by pair.
    fn by_items(object: &Multiset, values: &[f64], pair: impl Fn(usize, usize) -> f64) -> f64 {
        let items: Vec<usize> =
            (0..values.len()).flat_map(|kind| vec![kind; object.counts()[kind] as usize]).collect();
        let mut sum: f64 = items.iter().map(|&kind| values[kind]).sum();
        for (k, &i) in items.iter().enumerate() {
            sum += items[..k].iter().map(|&j| pair(i.min(j), i.max(j))).sum::<f64>();
        }
        sum
    }

    #[test]
    fn every_item_and_every_pair_of_items_counts_once() {
        let env = Multisets::new(3, 6).unwrap();
        let values = [0.25, -1.0, 0.5];
        let reward = MultisetReward::new(&env, values.to_vec(), &[(1, 0, 0.75), (2, 2, -0.125)]).unwrap();
        assert_eq!(reward.n_interactions(), 2);
        let pair = |i, j| match (i, j) {
            (0, 1) => 0.75,
            (2, 2) => -0.125,
            _ => 0.0,
        };
        for counts in [vec![6, 0, 0], vec![0, 0, 6], vec![3, 2, 1], vec![1, 1, 4]] {
            let object = Multiset::new(counts);
            let expected = by_items(&object, &values, pair);
            assert!((reward.log_reward(&env, &object) - expected).abs() < 1e-12, "{object:?}");
        }
    }

    #[test]
    fn a_product_takes_weights_and_interactions_that_cancel_leave_a_closed_form() {
        let env = Multisets::new(2, 3).unwrap();
        let a = MultisetReward::new(&env, vec![1.0, 2.0], &[(0, 1, 0.5)]).unwrap();
        let b = MultisetReward::new(&env, vec![-1.0, 0.5], &[(1, 0, -1.0)]).unwrap();
        let product = MultisetReward::product(&env, &[(&a, 2.0), (&b, 0.5)]).unwrap();
        let object = Multiset::new(vec![1, 2]);
        let sum = 2.0 * a.log_reward(&env, &object) + 0.5 * b.log_reward(&env, &object);
        assert!((product.log_reward(&env, &object) - sum).abs() < 1e-12);
        assert_eq!(product.log_partition(&env), None);
        let additive = MultisetReward::product(&env, &[(&a, 2.0), (&b, 1.0)]).unwrap();
        assert!(additive.log_partition(&env).is_some());
    }

    #[test]
    fn refuses_pairs_twice_and_kinds_that_are_none() {
        let env = Multisets::new(2, 2).unwrap();
        for pairs in [&[(0, 1, 1.0), (1, 0, 1.0)][..], &[(0, 2, 1.0)], &[(0, 1, f64::INFINITY)]] {
            let error = MultisetReward::new(&env, vec![0.0; 2], pairs).unwrap_err().to_string();
            assert!(error.starts_with("interaction of kinds"), "{error}");
        }
        let other = MultisetReward::new(&Multisets::new(3, 2).unwrap(), vec![0.0; 3], &[]).unwrap();
        assert!(MultisetReward::product(&env, &[(&other, 1.0)]).is_err());
    }
}
