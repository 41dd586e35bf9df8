//! Problems too large to be enumerated whose truth is known all the same: log Z in closed form, and exact draws.

use std::sync::Arc;

use gfn_core::Result;
use gfn_core::domain::Domain;
use gfn_core::environment::Environment;
use gfn_core::grid::{Cell, Grid, HypergridReward};
use gfn_core::math::log_sum_exp;
use gfn_core::policy::Policy;
use gfn_core::random::{ChaCha8Rng, stream};
use gfn_core::reward::LogReward;
use gfn_core::trainer::Trainer;
use gfn_multiset::{AdditiveReward, Item, Multiset, MultisetDomain, MultisetSettings, Multisets};
use gfn_seq::{PositionWeights, Sequence, SequenceDomain, SequenceSettings, Sequences};
use rand::RngExt;

use crate::experiment::problem::{Steps, Sum, Training};
use crate::experiment::training::{
    Learned, fresh_policy, reward_target, seed_of, server_trainer, train, trainer,
};
use crate::grid::{GridDomain, GridSettings};

/// An exact draw from the product.
pub type Draw<S> = Box<dyn Fn(&mut ChaCha8Rng) -> S + Send + Sync>;

/// A problem with its truth in closed form.
pub struct LargeProblem<E: Environment> {
    /// The environment.
    pub env: Arc<E>,
    /// log R_n of the clients.
    pub clients: Vec<Arc<dyn LogReward<E>>>,
    /// log Π_n R_n.
    pub product: Arc<dyn LogReward<E>>,
    /// log Z of the product (natural log), exact.
    pub log_z: f64,
    /// Draws from the product.
    pub draw: Draw<E::State>,
    /// How stages are trained.
    pub training: Training,
}

impl<E: Environment> LargeProblem<E> {
    /// Trains client `n` on its own reward.
    pub fn train_client(&self, n: usize, seed: u64) -> Result<Learned> {
        self.train(&self.clients[n], &self.training.client, seed_of(seed, &format!("client {n}")))
    }

    /// Trains one policy on the product.
    pub fn train_centralised(&self, seed: u64) -> Result<Learned> {
        self.train(&self.product, &self.training.centralised, seed_of(seed, "centralised"))
    }

    fn train(
        &self,
        reward: &Arc<dyn LogReward<E>>,
        recipe: &gfn_core::domain::Recipe,
        seed: u64,
    ) -> Result<Learned> {
        let policy = fresh_policy(self.env.as_ref(), recipe, seed)?;
        train(trainer(&self.env, reward_target(reward), policy, recipe, seed)?)
    }

    /// The trainer of the server, before its first step.
    pub fn server(&self, clients: &[Arc<dyn Policy>], seed: u64) -> Result<Trainer<E>> {
        server_trainer(&self.env, clients, &self.training.server, seed_of(seed, "server"))
    }
}

/// All stages of a domain's recipe for this number of steps.
fn training<D: Domain>(domain: &D, steps: u64) -> Training {
    let steps = Steps { client: steps, round: steps, server: steps, centralised: steps };
    Training::of(domain, steps)
}

/// Numbers for each of N clients, uniform and of variance 1/N, so that sums over the clients have variance 1 whatever N is.
fn shares(n_numbers: usize, n_clients: usize, rng: &mut ChaCha8Rng) -> Vec<f64> {
    let half = (3.0 / n_clients as f64).sqrt();
    (0..n_numbers).map(|_| rng.random_range(-half..half)).collect()
}

/// An index drawn with probability ∝ exp(log-weight).
fn draw_index(log_weights: &[f64], rng: &mut ChaCha8Rng) -> usize {
    let total = log_sum_exp(log_weights);
    let mut left: f64 = rng.random();
    for (index, weight) in log_weights.iter().enumerate() {
        left -= (weight - total).exp();
        if left < 0.0 {
            return index;
        }
    }
    // Rounding may leave 1e-16 that belongs to nobody.
    log_weights.len() - 1
}

/// Multisets of `size` items of `kinds` kinds with additive values.
///
/// Z is h_size(e^u), the complete homogeneous symmetric polynomial ([`AdditiveReward::log_partition`]); its recurrence
/// h_k(y_1 … y_w) = h_k(y_1 … y_{w−1}) + y_w h_{k−1}(y_1 … y_w), read backward, draws: leave kind w, or take one of it.
pub fn multisets(
    kinds: usize,
    size: usize,
    n_clients: usize,
    steps: u64,
    seed: u64,
) -> Result<LargeProblem<Multisets>> {
    let item = |kind| Item { name: format!("item {kind}"), capacity: None };
    let domain = MultisetDomain::new(MultisetSettings { size, items: (0..kinds).map(item).collect() })?;
    let env = Arc::clone(domain.environment());
    let mut rng = stream(seed, "values of many multisets", 0);
    let reward = |_| AdditiveReward::new(&env, shares(kinds, n_clients, &mut rng));
    let rewards: Vec<AdditiveReward> = (0..n_clients).map(reward).collect::<Result<_>>()?;
    let product = AdditiveReward::product(&env, &rewards)?;
    let log_z = product.log_partition(size);
    let values = product.values().to_vec();
    // log h_k of the first w kinds, at w · (size + 1) + k.
    let row = size + 1;
    let mut log_h = vec![f64::NEG_INFINITY; (kinds + 1) * row];
    log_h[0] = 0.0;
    for w in 1..=kinds {
        log_h[w * row] = 0.0;
        for k in 1..=size {
            log_h[w * row + k] =
                log_sum_exp(&[log_h[(w - 1) * row + k], values[w - 1] + log_h[w * row + k - 1]]);
        }
    }
    let draw = move |rng: &mut ChaCha8Rng| {
        let (mut counts, mut w, mut k) = (vec![0; kinds], kinds, size);
        while k > 0 {
            let take = (values[w - 1] + log_h[w * row + k - 1] - log_h[w * row + k]).exp();
            if rng.random::<f64>() < take {
                counts[w - 1] += 1;
                k -= 1;
            } else {
                w -= 1;
            }
        }
        Multiset::new(counts)
    };
    let clients = rewards.into_iter().map(|reward| Arc::new(reward) as Arc<dyn LogReward<_>>).collect();
    let training = training(&domain, steps);
    Ok(LargeProblem { env, clients, product: Arc::new(product), log_z, draw: Box::new(draw), training })
}

/// Sequences of up to `length` of six tokens with position weights: tokens are independent given the length.
pub fn sequences(length: usize, n_clients: usize, steps: u64, seed: u64) -> Result<LargeProblem<Sequences>> {
    let alphabet = "ABCDEF";
    let domain = SequenceDomain::new(&SequenceSettings { alphabet: alphabet.into(), length, exact: false })?;
    let env = Arc::clone(domain.environment());
    let mut rng = stream(seed, "weights of long sequences", 0);
    let reward = |_| {
        let rows: Vec<Vec<f64>> = (0..length).map(|_| shares(alphabet.len(), n_clients, &mut rng)).collect();
        PositionWeights::new(&env, &rows)
    };
    let rewards: Vec<PositionWeights> = (0..n_clients).map(reward).collect::<Result<_>>()?;
    let product = Arc::new(PositionWeights::product(&env, &rewards)?);
    let log_z = product.log_partition(&env);
    let mut log_z_of_length = vec![0.0];
    for position in 0..length {
        log_z_of_length.push(log_z_of_length[position] + log_sum_exp(product.row(position)));
    }
    let weights = Arc::clone(&product);
    let draw = move |rng: &mut ChaCha8Rng| {
        let length = draw_index(&log_z_of_length, rng);
        Sequence::new((0..length).map(|position| draw_index(weights.row(position), rng) as u8).collect())
    };
    let clients = rewards.into_iter().map(|reward| Arc::new(reward) as Arc<dyn LogReward<_>>).collect();
    let training = training(&domain, steps);
    Ok(LargeProblem { env, clients, product, log_z, draw: Box::new(draw), training })
}

/// Cells per axis of the hypergrids.
pub const SIDE: usize = 8;

/// A hypergrid of `dimensions` axes. The product is the published reward up to a constant; what its corners and its modes
/// gain over the rest is dealt to the clients in random shares.
///
/// There are three levels (rest, corners, modes) and cells of each can be counted axis by axis: with c of H coordinates in
/// a corner and m of them in a mode there are m^D, c^D − m^D and H^D − c^D.
pub fn hypergrid(dimensions: usize, n_clients: usize, steps: u64, seed: u64) -> Result<LargeProblem<Grid>> {
    let domain = GridDomain::new(&GridSettings { dimensions, side: SIDE })?;
    let env = Arc::clone(domain.environment());
    let published = HypergridReward::default();
    // Of corners over the rest, and of modes over corners.
    let gains = [
        ((published.r0 + published.r1) / published.r0).ln(),
        ((published.r0 + published.r1 + published.r2) / (published.r0 + published.r1)).ln(),
    ];
    let mut rng = stream(seed, "shares of hypergrids", 0);
    let mut split = |gain: f64| {
        let parts: Vec<f64> = (0..n_clients).map(|_| rng.random_range(0.5..1.5)).collect();
        let sum: f64 = parts.iter().sum();
        parts.iter().map(|part| gain * part / sum).collect::<Vec<f64>>()
    };
    let (corners, modes) = (split(gains[0]), split(gains[1]));
    let client = |(corner, mode): (&f64, &f64)| {
        let (corner, mode) = (corner.exp(), (corner + mode).exp());
        Arc::new(HypergridReward { r0: 1.0, r1: corner - 1.0, r2: mode - corner }) as Arc<dyn LogReward<Grid>>
    };
    let clients: Vec<Arc<dyn LogReward<Grid>>> = corners.iter().zip(&modes).map(client).collect();
    // The level of each coordinate, read off the reward's own definition on one axis.
    let axis = Grid::new(1, SIDE)?;
    let levels = HypergridReward { r0: 1.0, r1: 1.0, r2: 1.0 };
    let level = |x: u16| levels.log_reward(&axis, &Cell::new(&[x])).exp().round() as usize - 1;
    let level_of: Vec<usize> = (0..SIDE as u16).map(level).collect();
    // Coordinates of at least each level.
    let at_least: Vec<Vec<u16>> =
        (0..3).map(|l| (0..SIDE as u16).filter(|&x| level_of[usize::from(x)] >= l).collect()).collect();
    let cells: Vec<f64> = at_least.iter().map(|axis| (axis.len() as f64).powi(dimensions as i32)).collect();
    let log_levels = [
        (cells[0] - cells[1]).ln(),
        (cells[1] - cells[2]).ln() + gains[0],
        cells[2].ln() + gains[0] + gains[1],
    ];
    let draw = move |rng: &mut ChaCha8Rng| {
        let level = draw_index(&log_levels, rng);
        loop {
            let axis = &at_least[level];
            let drawn: Vec<u16> = (0..dimensions).map(|_| axis[rng.random_range(0..axis.len())]).collect();
            // A cell is of the lowest level of its coordinates.
            if drawn.iter().any(|&x| level_of[usize::from(x)] == level) {
                return Cell::new(&drawn);
            }
        }
    };
    let training = training(&domain, steps);
    let product = Arc::new(Sum(clients.clone()));
    let log_z = log_sum_exp(&log_levels);
    Ok(LargeProblem { env, clients, product, log_z, draw: Box::new(draw), training })
}

#[cfg(test)]
mod tests {
    use gfn_core::exact::{StateGraph, normalise};

    use super::*;

    /// log Z, the probabilities of all objects and the draws agree with enumeration.
    fn check<E: Environment>(problem: &LargeProblem<E>) {
        let graph = StateGraph::enumerate(problem.env.as_ref(), 10_000).unwrap();
        let sum = Sum(problem.clients.clone());
        let (log_z, target) = normalise(&graph.log_rewards(problem.env.as_ref(), &sum));
        assert!((problem.log_z - log_z).abs() < 1e-9, "{} and {log_z}", problem.log_z);
        let product = normalise(&graph.log_rewards(problem.env.as_ref(), problem.product.as_ref())).1;
        assert!(product.iter().zip(&target).all(|(p, q)| (p - q).abs() < 1e-12));
        let mut counts = std::collections::HashMap::new();
        let (mut rng, n) = (stream(3, "draws", 0), 40_000);
        for _ in 0..n {
            *counts.entry((problem.draw)(&mut rng)).or_insert(0.0) += 1.0;
        }
        let mut known = 0.0;
        for (object, p) in graph.objects().zip(&target) {
            let count = counts.get(object).copied().unwrap_or(0.0);
            known += count;
            // Six standard deviations, and a few draws where they are small: false alarms below 1e-6 in all.
            let allowed = 6.0 * (n as f64 * p * (1.0 - p)).sqrt() + 6.0;
            assert!((count - n as f64 * p).abs() < allowed, "{object:?}: {count}, expected {}", n as f64 * p);
        }
        assert_eq!(known, n as f64);
    }

    #[test]
    fn closed_forms_and_draws_agree_with_enumeration() {
        check(&multisets(4, 3, 3, 1, 1).unwrap());
        check(&multisets(1, 2, 2, 1, 1).unwrap());
        check(&sequences(2, 3, 1, 2).unwrap());
        for dimensions in [1, 2] {
            check(&hypergrid(dimensions, 5, 1, 3).unwrap());
        }
    }
}
