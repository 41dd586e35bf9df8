//! Exact log Z, probabilities, samples and the best sequence of a product of stepwise rewards, by dynamic programming.

use gfn_core::math::log_sum_exp;
use gfn_core::{Error, Place, Result};
use rand::RngExt;
use rand::rngs::ChaCha8Rng;
use rustc_hash::FxHashMap;

use crate::environment::{Sequence, Sequences};
use crate::reward::Product;

/// Most transitions that are kept.
pub const MAX_TRANSITIONS: usize = 10_000_000;

/// All that the rest of a sequence can depend on, position by position: the last letters and the facts so far.
///
/// With F(s) the sum of R over the ways to go on from s, divided by what is there already,
/// log F(s) = log(\[s may end\] + Σ_v exp(f(s, v)) F(s v)), from the longest sequences down, and log Z = log F(∅): a
/// product of V × V transfer matrices where one letter is remembered. The work is that of the transitions, at most
/// L · V^(m+1) with m letters remembered, times the combinations of facts that can arise.
pub struct Transfer {
    alphabet_size: usize,
    exact_length: bool,
    product: Product,
    /// For each length from 0 to L the states that sequences of this length are in.
    layers: Vec<Layer>,
}

#[derive(Default)]
struct Layer {
    /// Where each letter leads from each state, and its log-factor, at state · V + token; none in the last layer.
    next: Vec<u32>,
    log_factors: Vec<f64>,
    /// log F of each state.
    log_rest: Vec<f64>,
}

/// The last letters, as a number with the digits of their tokens, and the facts of each reward, none if there are none.
type Key = (u64, Box<[u64]>);

impl Transfer {
    /// Finds all states and their F.
    ///
    /// # Errors
    /// Bad input where there are more than [`MAX_TRANSITIONS`] transitions.
    pub fn new(env: &Sequences, product: Product) -> Result<Self> {
        let (v, length) = (env.alphabet_size(), env.max_length());
        let memory = product.parts.iter().map(|(reward, _)| reward.memory()).max().unwrap_or(0);
        // Where it overflows, there are too many states long before so many letters.
        let n_windows = (v as u64).checked_pow(memory as u32).unwrap_or(u64::MAX);
        let mut layers = Vec::with_capacity(length + 1);
        let mut states: Vec<Key> = vec![(0, Box::default())];
        let mut facts = vec![0; product.parts.len()];
        let mut n_transitions = 0;
        for position in 0..length {
            n_transitions += states.len() * v;
            if n_transitions > MAX_TRANSITIONS {
                return Err(Error::input(
                    Place::item("exact evaluation by transfer"),
                    format!("at most {MAX_TRANSITIONS} transitions between what clients remember"),
                    format!("more at position {}", position + 1),
                    "use shorter k-mers or motifs, fewer motifs that are counted once, or shorter sequences",
                ));
            }
            let mut layer = Layer::default();
            let mut numbers: FxHashMap<Key, u32> = FxHashMap::default();
            let mut following = Vec::new();
            for (code, known) in &states {
                let window = digits(*code, v, position.min(memory));
                for token in 0..v as u8 {
                    facts.fill(0);
                    facts[..known.len()].copy_from_slice(known);
                    let factors = product.parts.iter().zip(&mut facts);
                    layer.log_factors.push(
                        factors.map(|((r, w), seen)| w * r.log_factor(position, &window, token, seen)).sum(),
                    );
                    let any = facts.iter().any(|&seen| seen != 0);
                    let key = (
                        (code * v as u64 + u64::from(token)) % n_windows,
                        if any { facts.clone().into() } else { Box::default() },
                    );
                    let fresh = following.len() as u32;
                    let number = *numbers.entry(key.clone()).or_insert(fresh);
                    if number == fresh {
                        following.push(key);
                    }
                    layer.next.push(number);
                }
            }
            layers.push(layer);
            states = following;
        }
        layers.push(Layer { log_rest: vec![0.0; states.len()], ..Layer::default() });
        let mut transfer = Transfer { alphabet_size: v, exact_length: env.exact_length(), product, layers };
        for l in (0..length).rev() {
            transfer.layers[l].log_rest = transfer.fold(l, &transfer.layers[l + 1].log_rest, log_sum_exp);
        }
        Ok(transfer)
    }

    /// A value of each state of a layer: `combine` of 0 where the sequence may end, and of the log-factor of each letter
    /// plus the value of the state it leads to.
    fn fold(&self, layer: usize, following: &[f64], combine: impl Fn(&[f64]) -> f64) -> Vec<f64> {
        let mut terms = Vec::with_capacity(self.alphabet_size + 1);
        let n_states = self.layers[layer].next.len() / self.alphabet_size;
        (0..n_states)
            .map(|state| {
                terms.clear();
                terms.extend((!self.exact_length).then_some(0.0));
                terms.extend((0..self.alphabet_size).map(|v| self.log_way(layer, state, v, following)));
                combine(&terms)
            })
            .collect()
    }

    /// log Σ_x R(x) (natural log).
    pub fn log_partition(&self) -> f64 {
        self.layers[0].log_rest[0]
    }

    /// The product.
    pub fn product(&self) -> &Product {
        &self.product
    }

    /// A sequence drawn from R / Z.
    pub fn sample(&self, rng: &mut ChaCha8Rng) -> Sequence {
        self.walk(|l, state| {
            let rest = self.layers[l].log_rest[state];
            let mut left: f64 = rng.random();
            if !self.exact_length {
                left -= (-rest).exp();
                if left < 0.0 {
                    return None;
                }
            }
            for token in 0..self.alphabet_size {
                left -= (self.log_way(l, state, token, &self.layers[l + 1].log_rest) - rest).exp();
                if left < 0.0 {
                    return Some(token);
                }
            }
            // Rounding may leave 1e-16 that belongs to nobody.
            Some(self.alphabet_size - 1)
        })
    }

    /// The sequence with the largest R (the first of them in the order of letters, a shorter one before a longer), and
    /// its log R.
    pub fn best(&self) -> (Sequence, f64) {
        let largest = |terms: &[f64]| terms.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let length = self.layers.len() - 1;
        let mut values = vec![vec![0.0; self.layers[length].log_rest.len()]];
        for l in (0..length).rev() {
            values.push(self.fold(l, &values[length - 1 - l], largest));
        }
        values.reverse();
        let sequence = self.walk(|l, state| {
            let own = values[l][state];
            if !self.exact_length && own == 0.0 {
                return None;
            }
            (0..self.alphabet_size).find(|&token| self.log_way(l, state, token, &values[l + 1]) == own)
        });
        (sequence, values[0][0])
    }

    /// For each position the probability of each token under R / Z, at `position · V + token`; what is missing to 1 is
    /// that of shorter sequences.
    pub fn profile(&self) -> Vec<f64> {
        let mut profile = Vec::new();
        let mut reach = vec![1.0];
        for l in 0..self.layers.len() - 1 {
            let (layer, following) = (&self.layers[l], &self.layers[l + 1].log_rest);
            let mut next_reach = vec![0.0; following.len()];
            let mut row = vec![0.0; self.alphabet_size];
            for (state, probability) in reach.iter().enumerate() {
                for token in 0..self.alphabet_size {
                    let way = self.log_way(l, state, token, following) - layer.log_rest[state];
                    let share = probability * way.exp();
                    row[token] += share;
                    next_reach[self.next(l, state, token)] += share;
                }
            }
            profile.extend(row);
            reach = next_reach;
        }
        profile
    }

    /// The log-factor of a token in a state, and the value of where it leads.
    fn log_way(&self, layer: usize, state: usize, token: usize, following: &[f64]) -> f64 {
        let log_factor = self.layers[layer].log_factors[state * self.alphabet_size + token];
        log_factor + following[self.next(layer, state, token)]
    }

    fn next(&self, layer: usize, state: usize, token: usize) -> usize {
        self.layers[layer].next[state * self.alphabet_size + token] as usize
    }

    /// A sequence built by `choose`, which is asked for the next token, or none to end, in each layer but the last.
    fn walk(&self, mut choose: impl FnMut(usize, usize) -> Option<usize>) -> Sequence {
        let (mut tokens, mut state) = (Vec::new(), 0);
        for layer in 0..self.layers.len() - 1 {
            let Some(token) = choose(layer, state) else { break };
            tokens.push(token as u8);
            state = self.next(layer, state, token);
        }
        Sequence::new(tokens)
    }
}

/// The `n` digits of a number to the base V, the one that counts most first.
fn digits(mut code: u64, v: usize, n: usize) -> Vec<u8> {
    let mut digits = vec![0; n];
    for digit in digits.iter_mut().rev() {
        *digit = (code % v as u64) as u8;
        code /= v as u64;
    }
    digits
}
