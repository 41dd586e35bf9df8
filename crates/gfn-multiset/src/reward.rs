//! Additive rewards on multisets, their products, and their closed-form log Z.

use gfn_core::math::log_sum_exp;
use gfn_core::reward::LogReward;
use gfn_core::{Error, Place, Result};

use crate::environment::{Multiset, Multisets};

/// log R(x) = Σ_i u_i · count_i(x): every item contributes the value of its kind (natural log; docs/mathematics.md §5).
///
/// The product of such rewards is one again, with the sum of the values: see [`AdditiveReward::product`].
#[derive(Debug, Clone, PartialEq)]
pub struct AdditiveReward {
    values: Vec<f64>,
}

impl AdditiveReward {
    /// One finite value per kind of the environment.
    pub fn new(env: &Multisets, values: Vec<f64>) -> Result<Self> {
        if values.len() != env.n_kinds() {
            return Err(Error::input(
                Place::item("values"),
                format!("{} values, one per kind", env.n_kinds()),
                values.len().to_string(),
                "give a value for each kind",
            ));
        }
        if let Some(kind) = values.iter().position(|v| !v.is_finite()) {
            return Err(Error::input(
                Place::item(format!("value of kind {kind}")),
                "a finite number",
                values[kind].to_string(),
                "correct the value; to exclude a kind, leave it out of the problem",
            ));
        }
        Ok(AdditiveReward { values })
    }

    /// The value of each kind.
    pub fn values(&self) -> &[f64] {
        &self.values
    }

    /// Π_n R_n, the target of aggregation: the values add up. All rewards must be of one environment.
    pub fn product(env: &Multisets, rewards: &[AdditiveReward]) -> Result<Self> {
        let mut values = vec![0.0; env.n_kinds()];
        for reward in rewards {
            // Checks the number of values, which another environment's reward may get wrong.
            let reward = AdditiveReward::new(env, reward.values.clone())?;
            values.iter_mut().zip(&reward.values).for_each(|(sum, value)| *sum += value);
        }
        AdditiveReward::new(env, values)
    }

    /// log Z over the objects of an environment with capacities m_i (natural log), in O(kinds · size²): the factor of a kind
    /// in the generating function, Σ_c y_i^c t^c, ends at c = m_i, and log Z is the coefficient of t^size of their product.
    /// Without capacities this is [`AdditiveReward::log_partition`].
    pub fn log_partition_within(&self, env: &Multisets) -> f64 {
        let size = env.size();
        if !env.is_limited() {
            return self.log_partition(size);
        }
        let mut log_sums = vec![f64::NEG_INFINITY; size + 1];
        log_sums[0] = 0.0;
        for (value, &capacity) in self.values.iter().zip(env.capacities()) {
            let with_kind = |total: usize| {
                let most = total.min(capacity as usize);
                let terms: Vec<f64> = (0..=most).map(|c| c as f64 * value + log_sums[total - c]).collect();
                log_sum_exp(&terms)
            };
            log_sums = (0..=size).map(with_kind).collect();
        }
        log_sums[size]
    }

    /// log Z = log Σ_x R(x) over the multisets of `size` items (natural log), in O(kinds · size).
    ///
    /// Z = h_size(e^u_1, …, e^u_W), the complete homogeneous symmetric polynomial, by its recurrence
    /// h_k(y_1 … y_w) = h_k(y_1 … y_{w−1}) + y_w h_{k−1}(y_1 … y_w): either no item of kind w is held, or one is
    /// taken away (Macdonald, *Symmetric Functions and Hall Polynomials*, 1995, I.2). We sum in log space.
    pub fn log_partition(&self, size: usize) -> f64 {
        let mut log_h = vec![f64::NEG_INFINITY; size + 1];
        log_h[0] = 0.0;
        for value in &self.values {
            for k in 1..=size {
                log_h[k] = log_sum_exp(&[log_h[k], value + log_h[k - 1]]);
            }
        }
        log_h[size]
    }
}

impl LogReward<Multisets> for AdditiveReward {
    fn log_reward(&self, _env: &Multisets, object: &Multiset) -> f64 {
        self.values.iter().zip(object.counts()).map(|(value, &count)| value * f64::from(count)).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gfn_core::exact::StateGraph;

    #[test]
    fn refuses_wrong_lengths_and_numbers_that_are_none() {
        let env = Multisets::new(3, 2).unwrap();
        let message = |values| AdditiveReward::new(&env, values).unwrap_err().to_string();
        assert!(message(vec![1.0]).contains("expected 3 values, one per kind, found 1"));
        assert!(message(vec![0.0, f64::NAN, 0.0]).starts_with("value of kind 1: expected a finite number"));
        assert!(message(vec![f64::NEG_INFINITY, 0.0, 0.0]).contains("found -inf"));
        let other = AdditiveReward::new(&Multisets::new(2, 2).unwrap(), vec![0.0, 1.0]).unwrap();
        assert!(AdditiveReward::product(&env, &[other]).is_err());
    }

    #[test]
    fn closed_form_log_z_agrees_with_enumeration() {
        // Values of this spread would overflow without log space: h_4 reaches e^1600.
        for (values, size) in [
            (vec![0.3, -1.2, 0.8, 0.1], 5),
            (vec![2.5], 3),
            (vec![-0.4, 0.9], 1),
            (vec![400.0, 399.0, -300.0], 4),
        ] {
            let env = Multisets::new(values.len(), size).unwrap();
            let reward = AdditiveReward::new(&env, values).unwrap();
            let graph = StateGraph::enumerate(&env, 10_000).unwrap();
            let enumerated = log_sum_exp(&graph.log_rewards(&env, &reward));
            let closed = reward.log_partition(size);
            assert!((closed - enumerated).abs() < 1e-12 * enumerated.abs().max(1.0), "{closed} {enumerated}");
        }
    }

    #[test]
    fn every_multiset_is_one_object() {
        // C(5 + 4 − 1, 4) objects; with zero values Z counts them.
        let env = Multisets::new(5, 4).unwrap();
        let graph = StateGraph::enumerate(&env, 1000).unwrap();
        assert_eq!(graph.objects().len(), 70);
        let flat = AdditiveReward::new(&env, vec![0.0; 5]).unwrap();
        assert!((flat.log_partition(4).exp() - 70.0).abs() < 1e-10);
    }

    #[test]
    fn product_adds_log_rewards() {
        let env = Multisets::new(3, 4).unwrap();
        let rewards: Vec<AdditiveReward> = [vec![0.1, 0.2, 0.3], vec![1.0, -1.0, 0.5]]
            .into_iter()
            .map(|v| AdditiveReward::new(&env, v).unwrap())
            .collect();
        let product = AdditiveReward::product(&env, &rewards).unwrap();
        let object = Multiset::new(vec![1, 0, 3]);
        let sum: f64 = rewards.iter().map(|r| r.log_reward(&env, &object)).sum();
        assert!((product.log_reward(&env, &object) - sum).abs() < 1e-14);
        assert!((sum - 3.5).abs() < 1e-14, "1.1 of kind 0 and 3 · 0.8 of kind 2: {sum}");
    }
}
