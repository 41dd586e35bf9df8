//! The clients' policies as a target: Σ_n w_n S_n(τ) + log g(x), and as the server's starting point.

use std::sync::{Arc, Mutex};

use rayon::prelude::*;
use rustc_hash::FxHashMap;

use crate::client::ClientMeta;
use crate::encoding::{Needs, StateBatch};
use crate::environment::Environment;
use crate::error::{Error, Place, Result};
use crate::policy::{BaseLogits, LogProbabilities, Policy};
use crate::reward::{LogReward, Target};
use crate::trajectory::{NO_ACTION, TrajectoryBatch};

/// Memoised numbers kept before the older half is dropped (8 bytes each, two generations).
const MEMO_NUMBERS: usize = 4_000_000;

/// Σ_n w_n log p_F^n and Σ_n w_n log p_B^n over the legal actions of states, memoised by state.
pub struct ClientLogits {
    clients: Vec<(Arc<dyn Policy>, f64)>,
    total_weight: f64,
    needs: Needs,
    memo: Mutex<Memo>,
}

struct Memo {
    young: Generation,
    old: Generation,
    /// Numbers of a full generation.
    most: usize,
}

/// Numbers one after the other, and where those of each state begin.
#[derive(Default)]
struct Generation {
    start_of: FxHashMap<u128, u32>,
    numbers: Vec<f64>,
}

impl Generation {
    fn get(&self, key: u128, n: usize) -> Option<&[f64]> {
        self.start_of.get(&key).map(|&start| &self.numbers[start as usize..][..n])
    }

    fn insert(&mut self, key: u128, values: impl Iterator<Item = f64>) {
        self.start_of.insert(key, self.numbers.len() as u32);
        self.numbers.extend(values);
    }
}

impl Memo {
    fn new(most: usize) -> Self {
        Memo { young: Generation::default(), old: Generation::default(), most }
    }

    /// The `n` numbers of a state, if they are known. What is asked for again lives on for another generation.
    fn get(&mut self, key: u128, n: usize) -> Option<&[f64]> {
        if !self.young.start_of.contains_key(&key) {
            let values = self.old.get(key, n)?;
            self.young.insert(key, values.iter().copied());
        }
        self.young.get(key, n)
    }

    /// Drops the old generation where the young one is full; its memory is used again.
    fn insert(&mut self, key: u128, values: impl Iterator<Item = f64>) {
        if self.young.numbers.len() + 4 * self.young.start_of.len() > self.most {
            std::mem::swap(&mut self.young, &mut self.old);
            self.young.start_of.clear();
            self.young.numbers.clear();
        }
        self.young.insert(key, values);
    }
}

/// Weighted sums of the clients' log-probabilities, aligned with the batch's legal actions.
pub struct WeightedLogProbabilities {
    /// Σ_n w_n log p_F^n.
    pub forward: Vec<f64>,
    /// Σ_n w_n log p_B^n.
    pub backward: Vec<f64>,
}

impl ClientLogits {
    /// Clients with their weights w_n (1 for the plain product). All must be of one environment.
    pub fn new(clients: Vec<(Arc<dyn Policy>, f64)>) -> Result<Self> {
        let Some((first, _)) = clients.first() else {
            return Err(Error::usage("clients", "at least one", "none", "give the clients' files"));
        };
        for (index, (policy, weight)) in clients.iter().enumerate() {
            let (a, b) = (&first.spec().env, &policy.spec().env);
            if a != b {
                return Err(Error::input(
                    Place::item(format!("client {index}")),
                    format!("the environment {} {}", a.name, a.fingerprint),
                    format!("{} {}", b.name, b.fingerprint),
                    "aggregate clients of one plan",
                ));
            }
            if !(weight.is_finite() && *weight >= 0.0) {
                let found = weight.to_string();
                let advice = "correct the weight";
                return Err(Error::usage(format!("weight of client {index}"), "a number ≥ 0", found, advice));
            }
        }
        Ok(ClientLogits {
            total_weight: clients.iter().map(|(_, w)| w).sum(),
            // Answers are remembered by fingerprint.
            needs: clients
                .iter()
                .fold(Needs { fingerprints: true, ..Needs::default() }, |needs, (policy, _)| {
                    needs.union(policy.needs())
                }),
            clients,
            memo: Mutex::new(Memo::new(MEMO_NUMBERS)),
        })
    }

    /// Σ_n w_n.
    pub fn total_weight(&self) -> f64 {
        self.total_weight
    }

    /// The weighted sums for the states from number `first` on, aligned with the end of the batch's lists.
    pub fn weighted(&self, batch: &StateBatch, first: usize) -> WeightedLogProbabilities {
        let (first_forward, first_backward) = (batch.forward_offsets[first], batch.backward_offsets[first]);
        let forward_of = |row: usize| {
            batch.forward_offsets[row] - first_forward..batch.forward_offsets[row + 1] - first_forward
        };
        let backward_of = |row: usize| {
            batch.backward_offsets[row] - first_backward..batch.backward_offsets[row + 1] - first_backward
        };
        let mut sums = WeightedLogProbabilities {
            forward: vec![0.0; batch.forward.len() - first_forward],
            backward: vec![0.0; batch.backward.len() - first_backward],
        };
        let mut missing = Vec::new();
        {
            let mut memo = self.memo.lock().expect("no panic while the memo is held");
            for row in first..batch.rows {
                let (n_forward, n_backward) = (forward_of(row).len(), backward_of(row).len());
                match memo.get(batch.fingerprints[row], n_forward + n_backward) {
                    Some(values) => {
                        let (f, b) = values.split_at(n_forward);
                        sums.forward[forward_of(row)].copy_from_slice(f);
                        sums.backward[backward_of(row)].copy_from_slice(b);
                    }
                    None => missing.push(row),
                }
            }
        }
        if missing.is_empty() {
            return sums;
        }
        let part = batch.select(&missing);
        let evaluate = |(policy, weight): &(Arc<dyn Policy>, f64)| {
            (LogProbabilities::new(&part, &policy.forward(&part)), *weight)
        };
        // A thread of no pool does it alone: it was told how many threads there are by whoever started it.
        let parts: Vec<(LogProbabilities, f64)> = match rayon::current_thread_index() {
            Some(_) => self.clients.par_iter().map(evaluate).collect(),
            None => self.clients.iter().map(evaluate).collect(),
        };
        let add = |pick: fn(&LogProbabilities) -> &Vec<f64>| {
            let mut sum = vec![0.0; pick(&parts[0].0).len()];
            for (log_p, weight) in &parts {
                sum.iter_mut().zip(pick(log_p)).for_each(|(s, l)| *s += weight * l);
            }
            sum
        };
        let (forward, backward) = (add(|l| &l.forward), add(|l| &l.backward));
        let mut memo = self.memo.lock().expect("no panic while the memo is held");
        for (index, &row) in missing.iter().enumerate() {
            let f = &forward[part.forward_offsets[index]..part.forward_offsets[index + 1]];
            let b = &backward[part.backward_offsets[index]..part.backward_offsets[index + 1]];
            sums.forward[forward_of(row)].copy_from_slice(f);
            sums.backward[backward_of(row)].copy_from_slice(b);
            memo.insert(batch.fingerprints[row], f.iter().chain(b).copied());
        }
        sums
    }
}

impl BaseLogits for ClientLogits {
    fn needs(&self) -> Needs {
        Needs { log_backward_after: true, ..self.needs }
    }

    /// Σ_n w_n log p_F^n(a|s) − (Σ_n w_n − 1) log p_B(s|s'): docs/mathematics.md, "the server's starting point".
    fn logits(&self, batch: &StateBatch, first: usize) -> Vec<f64> {
        let mut logits = self.weighted(batch, first).forward;
        let log_backward = &batch.log_backward_after[batch.forward_offsets[first]..];
        for (logit, log_backward) in logits.iter_mut().zip(log_backward) {
            *logit -= (self.total_weight - 1.0) * log_backward;
        }
        logits
    }
}

/// `power · log p(x)`: the public factor g that leaves the prior in the product once.
pub struct PriorPower<E: Environment> {
    prior: Arc<dyn LogReward<E>>,
    power: f64,
}

impl<E: Environment> PriorPower<E> {
    /// Each client holds the prior to the power of its share, and counts w_n times; the product must hold the prior
    /// once, so its power is 1 − Σ_n w_n share_n (docs/mathematics.md §2). Clients need not know of each other.
    pub fn for_product(log_prior: Arc<dyn LogReward<E>>, clients: &[(ClientMeta, f64)]) -> Self {
        let held: f64 = clients.iter().map(|(meta, weight)| weight * meta.prior_share).sum();
        PriorPower { prior: log_prior, power: 1.0 - held }
    }
}

impl<E: Environment> LogReward<E> for PriorPower<E> {
    fn log_reward(&self, env: &E, object: &E::State) -> f64 {
        if self.power == 0.0 { 0.0 } else { self.power * self.prior.log_reward(env, object) }
    }
}

/// The target of the server: no data, only the clients' policies and a public factor.
pub struct ClientEnsemble<E: Environment> {
    logits: Arc<ClientLogits>,
    log_factor: Option<Arc<dyn LogReward<E>>>,
}

impl<E: Environment> ClientEnsemble<E> {
    /// `log_factor` is log g(x), the public factor that puts the prior right (docs/mathematics.md §2); `None` is g = 1.
    pub fn new(logits: Arc<ClientLogits>, log_factor: Option<Arc<dyn LogReward<E>>>) -> Self {
        ClientEnsemble { logits, log_factor }
    }

    /// log g of an object.
    fn log_factor(&self, env: &E, object: &E::State) -> f64 {
        self.log_factor.as_ref().map_or(0.0, |g| g.log_reward(env, object))
    }
}

impl<E: Environment> Target<E> for ClientEnsemble<E> {
    fn needs(&self) -> Needs {
        self.logits.needs
    }

    /// Equation (7): ℓ(τ) = Σ_n w_n S_n(τ) + log g(x).
    fn trajectories(&self, env: &E, batch: &TrajectoryBatch<E>, encoded: &StateBatch) -> Vec<f64> {
        let sums = self.logits.weighted(encoded, 0);
        (0..batch.len())
            .map(|b| {
                let mut score = self.log_factor(env, batch.object(b));
                for slot in batch.slots(b) {
                    let row = batch.numbers[slot] as usize;
                    if batch.forward[slot] != NO_ACTION {
                        score += sums.forward[encoded.forward_position(row, batch.forward[slot])];
                    }
                    if batch.backward[slot] != NO_ACTION {
                        score -= sums.backward[encoded.backward_position(row, batch.backward[slot])];
                    }
                }
                score
            })
            .collect()
    }

    /// Equation (8), summed along the path: log R(s_i) − log R(s_0) = Σ_j Σ_n w_n Δ_n(s_j → s_{j+1}) + log g.
    fn states(&self, env: &E, batch: &TrajectoryBatch<E>, encoded: &StateBatch) -> Vec<f64> {
        let sums = self.logits.weighted(encoded, 0);
        let stop = |slot: usize| sums.forward[encoded.forward_offsets[batch.numbers[slot] as usize + 1] - 1];
        let mut log_rewards = Vec::with_capacity(batch.n_slots());
        for b in 0..batch.len() {
            let mut score = 0.0;
            for slot in batch.slots(b) {
                if slot > batch.offsets[b] {
                    let (row, before) = (batch.numbers[slot] as usize, batch.numbers[slot - 1] as usize);
                    score += sums.forward[encoded.forward_position(before, batch.forward[slot - 1])]
                        + stop(slot)
                        - sums.backward[encoded.backward_position(row, batch.backward[slot])]
                        - stop(slot - 1);
                }
                log_rewards.push(score + self.log_factor(env, batch.state(slot)));
            }
        }
        log_rewards
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_memo_forgets_the_oldest_and_never_mixes_states_up() {
        let mut memo = Memo::new(70);
        let numbers = |key: u128| [key as f64, 0.5, -(key as f64)];
        for key in 0..100 {
            memo.insert(key, numbers(key).into_iter());
            // Asked for all the time, so it lives on.
            assert_eq!(memo.get(0, 3), Some(&numbers(0)[..]), "after {key}");
            // Ten states of 3 + 4 numbers make a generation.
            let recent = key.saturating_sub(9)..=key;
            assert!(recent.into_iter().all(|k| memo.get(k, 3) == Some(&numbers(k)[..])), "after {key}");
            for known in (0..=key).filter_map(|k| Some((k, memo.old.get(k, 3)?))) {
                assert_eq!(known.1, numbers(known.0));
            }
        }
        assert_eq!(memo.get(20, 3), None);
        assert!(memo.young.numbers.len() + memo.old.numbers.len() < 3 * 70);
    }
}
