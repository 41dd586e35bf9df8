//! Markov models of order k − 1, from the log-probabilities of k-mers.

use gfn_core::math::log_sum_exp;
use gfn_core::{Error, Place, Result};

use super::Stepwise;

/// Most k-mers of a table: they are all held in memory.
pub const MAX_KMERS: usize = 1 << 21;

/// log R(x) = log p(x), the Markov model of order k − 1 whose k-mers have these probabilities:
///
/// p(x) = p(x_1 … x_{k−1}) Π_{i≥k} p(x_i | x_{i−k+1} … x_{i−1}), where p(v | c) = p(c v) / Σ_u p(c u), and the first
/// letters (fewer than k as well) are those that k-mers begin with: p(c) = Σ_u p(c u).
///
/// The given numbers are weights that need not sum to 1. So probabilities of whole k-mers, logarithms of counts, and
/// probabilities of the last letter given the others (every beginning then being equally likely) all mean what they
/// should. Over the sequences of any one length, R sums to 1.
#[derive(Debug, Clone, PartialEq)]
pub struct KmerModel {
    alphabet_size: usize,
    k: usize,
    /// log p(v | c) after j = 0, …, k − 1 letters c, at c·V + v, c read as a number with the digits of its tokens.
    log_conditional: Vec<Vec<f64>>,
}

impl KmerModel {
    /// The model of V^k finite log-weights, k-mers in the order of their tokens (the first one counts most).
    pub fn new(alphabet_size: usize, k: usize, log_weights: &[f64]) -> Result<Self> {
        let refuse = |expected: String, found: String, advice: &str| {
            Err(Error::input(Place::item("k-mers"), expected, found, advice))
        };
        let Some(n) = n_kmers(alphabet_size, k) else {
            let found = format!("k = {k} over {alphabet_size} letters");
            return refuse(
                format!("k of at least 1, and at most {MAX_KMERS} k-mers"),
                found,
                "use a shorter k",
            );
        };
        if log_weights.len() != n {
            return refuse(format!("{n} of them"), log_weights.len().to_string(), "give each k-mer once");
        }
        if let Some(wrong) = log_weights.iter().find(|w| !w.is_finite()) {
            return refuse("finite numbers".into(), wrong.to_string(), "correct the number");
        }
        // log p of the beginnings of k, k − 1, …, 0 letters.
        let mut log_beginnings = vec![log_weights.to_vec()];
        for j in (0..k).rev() {
            let longer = &log_beginnings[k - 1 - j];
            let shorter = longer.chunks(alphabet_size).map(log_sum_exp).collect();
            log_beginnings.push(shorter);
        }
        log_beginnings.reverse();
        let log_conditional = log_beginnings
            .windows(2)
            .map(|pair| {
                let each = pair[1].iter().enumerate();
                each.map(|(index, log_p)| log_p - pair[0][index / alphabet_size]).collect()
            })
            .collect();
        Ok(KmerModel { alphabet_size, k, log_conditional })
    }

    /// Length of the k-mers.
    pub fn k(&self) -> usize {
        self.k
    }
}

impl Stepwise for KmerModel {
    fn memory(&self) -> usize {
        self.k - 1
    }

    fn log_factor(&self, position: usize, before: &[u8], token: u8, _seen: &mut u64) -> f64 {
        let known = position.min(self.k - 1);
        let context = &before[before.len() - known..];
        self.log_conditional[known][index_of(self.alphabet_size, context.iter().chain(&[token]))]
    }
}

/// V^k, where so many k-mers are allowed.
pub(crate) fn n_kmers(alphabet_size: usize, k: usize) -> Option<usize> {
    // With one letter there is one k-mer of any length, and k letters are read for each step.
    let k = u32::try_from(k).ok().filter(|k| (1..=64).contains(k))?;
    alphabet_size.checked_pow(k).filter(|&n| n <= MAX_KMERS)
}

/// The number whose digits to the base V are the tokens.
pub(crate) fn index_of<'a>(alphabet_size: usize, tokens: impl IntoIterator<Item = &'a u8>) -> usize {
    tokens.into_iter().fold(0, |index, &token| index * alphabet_size + usize::from(token))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::environment::{Sequence, Sequences};
    use crate::reward::Product;
    use gfn_core::exact::StateGraph;
    use std::sync::Arc;

    #[test]
    fn pairs_by_hand() {
        // p(AA) = .1, p(AB) = .3, p(BA) = .2, p(BB) = .4, given as multiples of it.
        let log_weights = [1.0, 3.0, 2.0, 4.0].map(f64::ln);
        let model = KmerModel::new(2, 2, &log_weights).unwrap();
        let cases: [(&[u8], f64); 5] = [
            (&[], 1.0),
            (&[0], 0.4),
            (&[1], 0.6),
            (&[0, 1], 0.4 * 0.75),
            (&[1, 1, 0], 0.6 * (0.4 / 0.6) * (0.2 / 0.6)),
        ];
        for (tokens, expected) in cases {
            let found = model.log_reward_of(&Sequence::new(tokens.to_vec())).exp();
            assert!((found - expected).abs() < 1e-12, "{tokens:?}: {found} against {expected}");
        }
        assert_eq!(index_of(3, &[2, 0, 1]), 2 * 9 + 1);
    }

    #[test]
    fn sequences_of_each_length_have_probability_1_and_conditional_tables_are_themselves() {
        let given_pair: Vec<f64> = (0..27).map(|i| ((i * i) % 7 + 1) as f64).collect();
        let conditional: Vec<f64> =
            given_pair.chunks(3).flat_map(|row| row.iter().map(|w| w / row.iter().sum::<f64>())).collect();
        let logs: Vec<f64> = conditional.iter().map(|p| p.ln()).collect();
        let model = KmerModel::new(3, 3, &logs).unwrap();
        // The last letter given the others, whatever comes first.
        for (index, log_p) in logs.iter().enumerate() {
            let tokens = [index / 9, index / 3 % 3, index % 3].map(|t| t as u8);
            assert!((model.log_factor(2, &tokens[..2], tokens[2], &mut 0) - log_p).abs() < 1e-12);
        }
        let env = Sequences::new(3, 4, false).unwrap();
        let graph = StateGraph::enumerate(&env, 1000).unwrap();
        let rewards = graph.log_rewards(&env, &Product::single(Arc::new(model)));
        let mut by_length = [0.0; 5];
        graph.objects().zip(&rewards).for_each(|(x, r)| by_length[x.len()] += r.exp());
        assert!(by_length.iter().all(|sum| (sum - 1.0).abs() < 1e-12), "{by_length:?}");
    }

    #[test]
    fn refuses_tables_that_are_none() {
        let message = |v, k, w: &[f64]| KmerModel::new(v, k, w).unwrap_err().to_string();
        assert!(message(2, 0, &[]).contains("k of at least 1"));
        assert!(message(20, 6, &[]).contains("k = 6 over 20 letters"));
        assert!(message(1, 1000, &[]).contains("k = 1000"));
        assert!(message(2, 2, &[0.0; 3]).contains("expected 4 of them, found 3"));
        assert!(message(2, 1, &[0.0, f64::NEG_INFINITY]).contains("finite numbers, found -inf"));
    }
}
