//! Rewards that are sums over positions, their products, and their closed-form log Z.

use gfn_core::math::log_sum_exp;
use gfn_core::reward::LogReward;
use gfn_core::{Error, Place, Result};

use super::Stepwise;
use crate::environment::{Sequence, Sequences};

/// log R(x) = Σ_i w(i, x_i): a position-weight matrix, one weight (natural log) per position and token.
///
/// With w = log(frequency / background) this is the classical score of a binding site (Stormo et al. 1982). The
/// product of such rewards is one again, with the sum of the weights: see [`PositionWeights::product`].
#[derive(Debug, Clone, PartialEq)]
pub struct PositionWeights {
    alphabet_size: usize,
    /// L × V, position after position.
    weights: Vec<f64>,
}

impl PositionWeights {
    /// L rows of V finite weights, for the environment's longest length L and its V tokens.
    pub fn new(env: &Sequences, rows: &[Vec<f64>]) -> Result<Self> {
        check_length("weights", env.max_length(), "position", rows.len())?;
        for (position, row) in rows.iter().enumerate() {
            let name = format!("weights of position {}", position + 1);
            check_length(&name, env.alphabet_size(), "token", row.len())?;
            check_finite(&name, row)?;
        }
        Ok(PositionWeights { alphabet_size: env.alphabet_size(), weights: rows.concat() })
    }

    /// Positions, L.
    pub fn n_positions(&self) -> usize {
        self.weights.len() / self.alphabet_size
    }

    /// The V weights of a position (from 0).
    pub fn row(&self, position: usize) -> &[f64] {
        &self.weights[position * self.alphabet_size..(position + 1) * self.alphabet_size]
    }

    /// Π_n R_n, the target of aggregation: the weights add up. All rewards must be of one environment.
    pub fn product<'a>(
        env: &Sequences,
        rewards: impl IntoIterator<Item = &'a PositionWeights>,
    ) -> Result<Self> {
        let mut rows = vec![vec![0.0; env.alphabet_size()]; env.max_length()];
        for (n, reward) in rewards.into_iter().enumerate() {
            check_length(&format!("reward {n}"), rows.len(), "position", reward.n_positions())?;
            check_length(&format!("reward {n}"), env.alphabet_size(), "token", reward.alphabet_size)?;
            for (position, row) in rows.iter_mut().enumerate() {
                row.iter_mut().zip(reward.row(position)).for_each(|(sum, weight)| *sum += weight);
            }
        }
        PositionWeights::new(env, &rows)
    }

    /// log Z = log Σ_x R(x) over the environment's objects (natural log), in O(L V).
    ///
    /// The tokens of a sequence of length l are independent, so its Z_l = Π_{i<l} Σ_v exp w(i, v); then Z = Z_L at
    /// exact length, and Σ_{l=0}^{L} Z_l up to it.
    pub fn log_partition(&self, env: &Sequences) -> f64 {
        let mut log_z_of_length = vec![0.0];
        for position in 0..self.n_positions() {
            log_z_of_length.push(log_z_of_length[position] + log_sum_exp(self.row(position)));
        }
        if env.exact_length() { log_z_of_length[self.n_positions()] } else { log_sum_exp(&log_z_of_length) }
    }
}

impl Stepwise for PositionWeights {
    fn memory(&self) -> usize {
        0
    }

    fn log_factor(&self, position: usize, _before: &[u8], token: u8, _seen: &mut u64) -> f64 {
        self.row(position)[usize::from(token)]
    }
}

impl LogReward<Sequences> for PositionWeights {
    fn log_reward(&self, _env: &Sequences, object: &Sequence) -> f64 {
        self.log_reward_of(object)
    }
}

/// log R(x) = Σ_i p(i) t(x_i): the reward of the paper's sequence experiment (docs/mathematics.md §5), where each
/// position has a weight and each token a score.
#[derive(Debug, Clone, PartialEq)]
pub struct AdditiveReward {
    position_weights: Vec<f64>,
    token_scores: Vec<f64>,
    matrix: PositionWeights,
}

impl AdditiveReward {
    /// L finite position weights p and V finite token scores t.
    pub fn new(env: &Sequences, position_weights: Vec<f64>, token_scores: Vec<f64>) -> Result<Self> {
        check_length("position weights", env.max_length(), "position", position_weights.len())?;
        check_length("token scores", env.alphabet_size(), "token", token_scores.len())?;
        check_finite("position weights", &position_weights)?;
        check_finite("token scores", &token_scores)?;
        let rows: Vec<Vec<f64>> =
            position_weights.iter().map(|p| token_scores.iter().map(|t| p * t).collect()).collect();
        Ok(AdditiveReward { matrix: PositionWeights::new(env, &rows)?, position_weights, token_scores })
    }

    /// p: the weight of each position.
    pub fn position_weights(&self) -> &[f64] {
        &self.position_weights
    }

    /// t: the score of each token.
    pub fn token_scores(&self) -> &[f64] {
        &self.token_scores
    }

    /// The same reward as a matrix w(i, v) = p(i) t(v); the product of several is of this form only.
    pub fn matrix(&self) -> &PositionWeights {
        &self.matrix
    }

    /// log Z, by [`PositionWeights::log_partition`].
    pub fn log_partition(&self, env: &Sequences) -> f64 {
        self.matrix.log_partition(env)
    }
}

impl LogReward<Sequences> for AdditiveReward {
    fn log_reward(&self, env: &Sequences, object: &Sequence) -> f64 {
        self.matrix.log_reward(env, object)
    }
}

fn check_length(name: &str, expected: usize, per: &str, found: usize) -> Result<()> {
    if expected == found {
        return Ok(());
    }
    Err(Error::input(
        Place::item(name),
        format!("{expected}, one per {per}"),
        found.to_string(),
        "give as many as the environment has",
    ))
}

fn check_finite(name: &str, numbers: &[f64]) -> Result<()> {
    match numbers.iter().position(|n| !n.is_finite()) {
        None => Ok(()),
        Some(index) => Err(Error::input(
            Place::item(format!("{name}, number {}", index + 1)),
            "a finite number",
            numbers[index].to_string(),
            "correct the number",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gfn_core::exact::StateGraph;

    fn weights() -> Vec<Vec<f64>> {
        vec![vec![0.3, -1.0, 2.0], vec![1.5, 0.2, -0.7], vec![300.0, 299.0, 600.0], vec![-2.0, 0.0, 1.0]]
    }

    #[test]
    fn closed_form_log_z_agrees_with_enumeration() {
        for exact in [false, true] {
            let env = Sequences::new(3, 4, exact).unwrap();
            let graph = StateGraph::enumerate(&env, 1000).unwrap();
            let matrix = PositionWeights::new(&env, &weights()).unwrap();
            let additive =
                AdditiveReward::new(&env, vec![0.5, -1.0, 2.0, 0.1], vec![1.0, -0.3, 0.4]).unwrap();
            let cases: [(&dyn LogReward<Sequences>, f64); 2] =
                [(&matrix, matrix.log_partition(&env)), (&additive, additive.log_partition(&env))];
            for (reward, closed) in cases {
                let enumerated = log_sum_exp(&graph.log_rewards(&env, reward));
                assert!((closed - enumerated).abs() < 1e-12 * enumerated.abs(), "{closed} {enumerated}");
            }
        }
    }

    #[test]
    fn additive_reward_by_hand() {
        let env = Sequences::new(2, 3, false).unwrap();
        let reward = AdditiveReward::new(&env, vec![1.0, 10.0, 100.0], vec![0.5, 2.0]).unwrap();
        assert_eq!(reward.log_reward(&env, &Sequence::new(vec![])), 0.0);
        assert_eq!(reward.log_reward(&env, &Sequence::new(vec![1, 0])), 2.0 + 5.0);
        assert_eq!(reward.log_reward(&env, &Sequence::new(vec![0, 0, 1])), 0.5 + 5.0 + 200.0);
    }

    #[test]
    fn product_adds_log_rewards() {
        let env = Sequences::new(3, 4, false).unwrap();
        let matrix = PositionWeights::new(&env, &weights()).unwrap();
        let additive = AdditiveReward::new(&env, vec![0.5, -1.0, 2.0, 0.1], vec![1.0, -0.3, 0.4]).unwrap();
        let product = PositionWeights::product(&env, [&matrix, additive.matrix()]).unwrap();
        let graph = StateGraph::enumerate(&env, 1000).unwrap();
        for object in graph.objects() {
            let sum = matrix.log_reward(&env, object) + additive.log_reward(&env, object);
            assert!((product.log_reward(&env, object) - sum).abs() < 1e-12);
        }
    }

    #[test]
    fn refuses_wrong_lengths_and_numbers_that_are_none() {
        let env = Sequences::new(2, 2, false).unwrap();
        let message = |p, t| AdditiveReward::new(&env, p, t).unwrap_err().to_string();
        assert!(message(vec![0.0], vec![0.0; 2]).contains("expected 2, one per position, found 1"));
        assert!(message(vec![0.0; 2], vec![0.0; 3]).contains("expected 2, one per token, found 3"));
        assert!(message(vec![0.0, f64::NAN], vec![0.0; 2]).starts_with("position weights, number 2"));
        let overflow = message(vec![1e200; 2], vec![1e200; 2]);
        assert!(overflow.starts_with("weights of position 1, number 1"), "{overflow}");
        let ragged = PositionWeights::new(&env, &[vec![0.0; 2], vec![0.0]]).unwrap_err().to_string();
        assert!(ragged.starts_with("weights of position 2: expected 2, one per token, found 1"), "{ragged}");
        let other = Sequences::new(2, 3, false).unwrap();
        let longer = PositionWeights::new(&other, &vec![vec![0.0; 2]; 3]).unwrap();
        assert!(PositionWeights::product(&env, [&longer]).is_err());
    }
}
