//! What samples say about designs: the distinct ones with all log-rewards, the front, and expectations of features.

use std::sync::Arc;

use gfn_core::Environment;
use gfn_core::math::normalise_log_weights;
use gfn_core::metrics::log_mean_weight;
use gfn_core::reward::LogReward;
use rayon::prelude::*;
use rustc_hash::FxHashMap;

use crate::design::{Design, ObjectOf};
use crate::samples::Samples;

/// Designs that are looked through for the front, those with the largest sum of log-rewards: comparing all with all is
/// quadratic. What is found is on the front in any case: nothing with a smaller sum is better for a client and worse for none.
const FRONT_CANDIDATES: usize = 20_000;

/// The clients' rewards with their weights in the product.
pub struct Preferences<E: Environment> {
    /// log R_n of each client.
    pub rewards: Vec<Arc<dyn LogReward<E>>>,
    /// w_n of each.
    pub weights: Vec<f64>,
}

impl<E: Environment> LogReward<E> for Preferences<E> {
    /// Σ_n w_n log R_n(x); clients of weight 0 do not count, whatever they say.
    fn log_reward(&self, env: &E, object: &E::State) -> f64 {
        let weighted = self.rewards.iter().zip(&self.weights).filter(|(_, weight)| **weight > 0.0);
        weighted.map(|(reward, weight)| weight * reward.log_reward(env, object)).sum()
    }
}

/// What clients say of a design; natural logs.
#[derive(Debug, Clone, PartialEq)]
pub struct Rated {
    /// log R = Σ_n w_n log R_n.
    pub log_reward: f64,
    /// log R_n of each client.
    pub log_rewards: Vec<f64>,
    /// R / Z, with log Z in closed form or from the importance weights.
    pub probability: f64,
    /// Share of the importance weights.
    pub reweighted: f64,
}

/// A design among the samples.
#[derive(Debug, Clone)]
pub struct FoundDesign<S> {
    /// The design.
    pub object: S,
    /// Its name in files.
    pub name: String,
    /// Share of the samples.
    pub share: f64,
    /// What clients say of it; none where their data are not at hand.
    pub rated: Option<Rated>,
}

/// The expectation of a feature.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Marginal {
    /// Mean over the samples.
    pub expected: f64,
    /// Its Monte Carlo standard error.
    pub monte_carlo_error: f64,
    /// Mean with the importance weights; none where the clients' data are not at hand.
    pub reweighted: Option<f64>,
}

/// Everything that samples say.
pub struct Found<S> {
    /// The distinct designs: the largest log R first, or the largest share where the clients' data are not at hand.
    pub designs: Vec<FoundDesign<S>>,
    /// For each sample, in the order they were drawn, the place of its design.
    pub sampled: Vec<u32>,
    /// Normalised importance weight of each sample; empty where the clients' data are not at hand.
    pub weights: Vec<f64>,
    /// log R(x) − log p(x) of each sample; empty likewise.
    pub log_weights: Vec<f64>,
    /// The Pareto front, as places of designs: no other sampled design is better for one client and worse for none. Empty
    /// where the clients' data are not at hand.
    pub front: Vec<usize>,
    /// Expectations of the domain's features.
    pub marginals: Vec<Marginal>,
}

impl<S: Clone + Eq + std::hash::Hash + Send + Sync> Found<S> {
    /// Looks through samples; `log_partition` is log Z where it is known.
    pub fn new<D: Design<Env: Environment<State = S>>>(
        domain: &D,
        samples: Samples<S>,
        preferences: Option<&Preferences<D::Env>>,
        log_partition: Option<f64>,
    ) -> Self {
        let n = samples.objects.len();
        let mut places: FxHashMap<&S, u32> = FxHashMap::default();
        let mut objects: Vec<&S> = Vec::new();
        let mut counts: Vec<usize> = Vec::new();
        let mut sampled: Vec<u32> = Vec::with_capacity(n);
        for object in &samples.objects {
            let fresh = objects.len() as u32;
            let place = *places.entry(object).or_insert(fresh);
            if place == fresh {
                objects.push(object);
                counts.push(0);
            }
            counts[place as usize] += 1;
            sampled.push(place);
        }
        let mut rated: Vec<Option<Rated>> = vec![None; objects.len()];
        let (mut weights, mut log_weights) = (Vec::new(), Vec::new());
        if let Some(preferences) = preferences {
            let env = domain.environment().as_ref();
            let rate = |object: &&S| Rated {
                log_reward: preferences.log_reward(env, object),
                log_rewards: preferences.rewards.iter().map(|r| r.log_reward(env, object)).collect(),
                probability: 0.0,
                reweighted: 0.0,
            };
            let mut ratings: Vec<Rated> = objects.par_iter().map(rate).collect();
            log_weights = (sampled.iter().zip(&samples.log_probabilities))
                .map(|(&place, log_p)| ratings[place as usize].log_reward - log_p)
                .collect();
            weights = normalise_log_weights(&log_weights);
            let log_z = log_partition.unwrap_or_else(|| log_mean_weight(&log_weights));
            ratings.iter_mut().for_each(|r| r.probability = (r.log_reward - log_z).exp());
            sampled.iter().zip(&weights).for_each(|(&place, w)| ratings[place as usize].reweighted += w);
            rated = ratings.into_iter().map(Some).collect();
        }
        let mut designs: Vec<(usize, FoundDesign<S>)> = (objects.iter().zip(&counts).zip(rated))
            .map(|((object, &count), rated)| FoundDesign {
                object: (*object).clone(),
                name: domain.object_name(object),
                share: count as f64 / n as f64,
                rated,
            })
            .enumerate()
            .collect();
        let key = |design: &FoundDesign<S>| design.rated.as_ref().map_or(design.share, |r| r.log_reward);
        designs.sort_by(|(_, a), (_, b)| key(b).total_cmp(&key(a)).then_with(|| a.name.cmp(&b.name)));
        let mut new_places = vec![0; designs.len()];
        designs.iter().enumerate().for_each(|(new, (old, _))| new_places[*old] = new as u32);
        sampled.iter_mut().for_each(|place| *place = new_places[*place as usize]);
        let designs: Vec<FoundDesign<S>> = designs.into_iter().map(|(_, design)| design).collect();
        let front = front(&designs);
        let marginals = marginals(domain, &designs, &sampled, &weights);
        Found { designs, sampled, weights, log_weights, front, marginals }
    }
}

/// Places of the designs that no other one is better than for a client without being worse for any, best first.
fn front<S>(designs: &[FoundDesign<S>]) -> Vec<usize> {
    let of = |place: usize| designs[place].rated.as_ref().map(|rated| rated.log_rewards.as_slice());
    let mut order: Vec<(f64, usize)> =
        (0..designs.len()).filter_map(|place| Some((of(place)?.iter().sum(), place))).collect();
    order.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
    order.truncate(FRONT_CANDIDATES);
    let mut front: Vec<usize> = Vec::new();
    for (_, place) in order {
        let own = of(place).unwrap_or_default();
        let dominates = |&other: &usize| {
            let other = of(other).unwrap_or_default();
            other.iter().zip(own).all(|(a, b)| a >= b) && other.iter().zip(own).any(|(a, b)| a > b)
        };
        // Only what has at least the same sum can be better, and that came before.
        if !front.iter().any(dominates) {
            front.push(place);
        }
    }
    front.sort_unstable();
    front
}

fn marginals<D: Design>(
    domain: &D,
    designs: &[FoundDesign<ObjectOf<D>>],
    sampled: &[u32],
    weights: &[f64],
) -> Vec<Marginal> {
    let n = sampled.len() as f64;
    let m = domain.features().len();
    let (mut sums, mut squares, mut reweighted) = (vec![0.0; m], vec![0.0; m], vec![0.0; m]);
    for design in designs {
        let count = design.share * n;
        let weight = design.rated.as_ref().map_or(0.0, |rated| rated.reweighted);
        domain.visit_features(&design.object, &mut |feature, value| {
            sums[feature] += count * value;
            squares[feature] += count * value * value;
            reweighted[feature] += weight * value;
        });
    }
    let marginal = |feature: usize| {
        let mean = sums[feature] / n;
        let variance = (squares[feature] / n - mean * mean).max(0.0) * n / (n - 1.0).max(1.0);
        Marginal {
            expected: mean,
            monte_carlo_error: (variance / n).sqrt(),
            reweighted: (!weights.is_empty()).then_some(reweighted[feature]),
        }
    };
    (0..m).map(marginal).collect()
}
