//! Exact distributions on state graphs that can be enumerated: what a policy has learned, what it should have learned,
//! and what exact aggregation of clients would give.

use rayon::prelude::*;
use rustc_hash::FxHashMap;

use crate::encoding::StateBatch;
use crate::environment::{Environment, StopRule};
use crate::error::{Error, Place, Result};
use crate::math::{log_sum_exp, normalise_log_weights};
use crate::policy::{LogProbabilities, Policy};
use crate::reward::LogReward;

/// States whose policies are evaluated in one call.
const CHUNK: usize = 2048;

/// All states of an environment with their transitions, in topological order.
///
/// State 0 is the initial one, every transition leads to a larger number. Edge `e` of state `s` is one of
/// `offsets[s]..offsets[s + 1]`.
pub struct StateGraph<E: Environment> {
    states: Vec<E::State>,
    offsets: Vec<usize>,
    actions: Vec<u32>,
    children: Vec<u32>,
    backward_actions: Vec<u32>,
    /// States that are objects.
    objects: Vec<u32>,
    stops: bool,
}

/// A policy on all edges of a graph (natural logs).
pub struct EdgePolicy {
    /// log p_F of each edge.
    pub forward: Vec<f64>,
    /// log p_B of each edge.
    pub backward: Vec<f64>,
    /// log p_F(stop | s) of each state; 0 at objects of environments without a stop action.
    pub stop: Vec<f64>,
}

impl<E: Environment> StateGraph<E> {
    /// Visits every state; refuses environments with more than `limit` of them.
    pub fn enumerate(env: &E, limit: usize) -> Result<Self> {
        let mut index: FxHashMap<E::State, u32> = FxHashMap::default();
        let mut states = vec![env.initial()];
        let mut edges: Vec<Vec<(u32, u32, u32)>> = Vec::new();
        index.insert(env.initial(), 0);
        let mut legal = Vec::new();
        let mut next = 0;
        while next < states.len() {
            legal.clear();
            env.forward_actions(&states[next], &mut legal);
            let mut own = Vec::with_capacity(legal.len());
            for &action in &legal {
                let (child, backward) = env.step(&states[next], action);
                let fresh = states.len() as u32;
                let number = *index.entry(child.clone()).or_insert(fresh);
                if number == fresh {
                    if states.len() >= limit {
                        return Err(Error::input(
                            Place::item("exact evaluation"),
                            format!("at most {limit} states"),
                            "more",
                            "leave out --exact, or use a smaller problem",
                        ));
                    }
                    states.push(child);
                }
                own.push((action, number, backward));
            }
            edges.push(own);
            next += 1;
        }
        drop(index);
        Ok(Self::in_topological_order(states, edges, env.spec().stop))
    }

    /// Kahn's algorithm (1962) on the states in order of discovery.
    fn in_topological_order(states: Vec<E::State>, edges: Vec<Vec<(u32, u32, u32)>>, stop: StopRule) -> Self {
        let n = states.len();
        let mut parents = vec![0u32; n];
        edges.iter().flatten().for_each(|&(_, child, _)| parents[child as usize] += 1);
        let mut order = vec![0u32];
        let mut place = vec![0u32; n];
        let mut done = 0;
        while done < order.len() {
            let state = order[done];
            place[state as usize] = done as u32;
            for &(_, child, _) in &edges[state as usize] {
                parents[child as usize] -= 1;
                if parents[child as usize] == 0 {
                    order.push(child);
                }
            }
            done += 1;
        }
        assert_eq!(order.len(), n, "the state graph of an environment has no cycles");
        let mut graph = StateGraph {
            states: Vec::with_capacity(n),
            offsets: vec![0],
            actions: Vec::new(),
            children: Vec::new(),
            backward_actions: Vec::new(),
            objects: Vec::new(),
            stops: stop == StopRule::Always,
        };
        let mut states: Vec<Option<E::State>> = states.into_iter().map(Some).collect();
        for (number, &state) in order.iter().enumerate() {
            graph.states.extend(states[state as usize].take());
            for &(action, child, backward) in &edges[state as usize] {
                graph.actions.push(action);
                graph.children.push(place[child as usize]);
                graph.backward_actions.push(backward);
            }
            graph.offsets.push(graph.actions.len());
            if graph.stops || edges[state as usize].is_empty() {
                graph.objects.push(number as u32);
            }
        }
        graph
    }

    /// All states.
    pub fn states(&self) -> &[E::State] {
        &self.states
    }

    /// Number of transitions, stops not counted.
    pub fn n_edges(&self) -> usize {
        self.actions.len()
    }

    /// All objects; distributions below are in this order.
    pub fn objects(&self) -> impl ExactSizeIterator<Item = &E::State> {
        self.objects.iter().map(|&s| &self.states[s as usize])
    }

    /// The policy on every edge; network calls run in parallel over fixed chunks of states.
    pub fn edge_policy(&self, env: &E, policy: &dyn Policy) -> EdgePolicy {
        let chunks: Vec<std::ops::Range<usize>> = (0..self.states.len())
            .step_by(CHUNK)
            .map(|start| start..(start + CHUNK).min(self.states.len()))
            .collect();
        type Part = (Vec<f64>, Vec<f64>, Vec<Vec<(u32, f64)>>);
        let parts: Vec<Part> = chunks
            .par_iter()
            .map(|range| {
                let encoded = StateBatch::new(env, &self.states[range.clone()], policy.needs());
                let log_p = LogProbabilities::new(&encoded, &policy.forward(&encoded));
                let mut forward = Vec::new();
                let mut stop = Vec::new();
                let mut backward = Vec::new();
                for (row, state) in range.clone().enumerate() {
                    for edge in self.offsets[state]..self.offsets[state + 1] {
                        forward.push(log_p.forward[encoded.forward_position(row, self.actions[edge])]);
                    }
                    let last = encoded.forward_offsets[row + 1];
                    stop.push(if self.stops { log_p.forward[last - 1] } else { 0.0 });
                    let own = encoded.backward_offsets[row]..encoded.backward_offsets[row + 1];
                    backward.push(
                        own.map(|position| (encoded.backward[position], log_p.backward[position])).collect(),
                    );
                }
                (forward, stop, backward)
            })
            .collect();
        let mut forward = Vec::with_capacity(self.n_edges());
        let mut stop = Vec::with_capacity(self.states.len());
        let mut by_state: Vec<Vec<(u32, f64)>> = Vec::with_capacity(self.states.len());
        for (f, s, b) in parts {
            forward.extend(f);
            stop.extend(s);
            by_state.extend(b);
        }
        let backward = (0..self.n_edges())
            .map(|edge| {
                let list = &by_state[self.children[edge] as usize];
                let position = list
                    .binary_search_by_key(&self.backward_actions[edge], |&(action, _)| action)
                    .expect("a step can be undone");
                list[position].1
            })
            .collect();
        EdgePolicy { forward, backward, stop }
    }

    /// The probability of every object under the policy: P(s') = Σ_s P(s) p_F(s'|s) (docs/mathematics.md §4).
    pub fn distribution(&self, policy: &EdgePolicy) -> Vec<f64> {
        let mut reach = vec![0.0; self.states.len()];
        reach[0] = 1.0;
        for state in 0..self.states.len() {
            for edge in self.offsets[state]..self.offsets[state + 1] {
                reach[self.children[edge] as usize] += reach[state] * policy.forward[edge].exp();
            }
        }
        self.objects.iter().map(|&s| reach[s as usize] * policy.stop[s as usize].exp()).collect()
    }

    /// log R of every object, in parallel.
    pub fn log_rewards(&self, env: &E, reward: &dyn LogReward<E>) -> Vec<f64> {
        self.objects.par_iter().map(|&s| reward.log_reward(env, &self.states[s as usize])).collect()
    }

    /// Exact aggregation: π̂(x) ∝ E_{τ ~ p_B(·|x)} exp(Σ_n w_n S_n(τ) + log g(x)), without any server training.
    ///
    /// The expectation is under the first client's backward policy (all clients share a fixed one). `log_factor` is
    /// log g of every object.
    pub fn aggregate(&self, clients: &[(&EdgePolicy, f64)], log_factor: &[f64]) -> Vec<f64> {
        let Some((first, _)) = clients.first() else { return Vec::new() };
        let weight = |edge: usize| {
            let sum: f64 = clients.iter().map(|(p, w)| w * (p.forward[edge] - p.backward[edge])).sum();
            sum + first.backward[edge]
        };
        let sums = self.log_path_sums(weight);
        let log_weights: Vec<f64> = self
            .objects
            .iter()
            .zip(log_factor)
            .map(|(&s, factor)| {
                let stop: f64 = clients.iter().map(|(p, w)| w * p.stop[s as usize]).sum();
                sums[s as usize] + stop + factor
            })
            .collect();
        normalise_log_weights(&log_weights)
    }

    /// log Σ over paths to each state of exp(Σ of edge weights).
    fn log_path_sums(&self, weight: impl Fn(usize) -> f64) -> Vec<f64> {
        let mut largest = vec![f64::NEG_INFINITY; self.states.len()];
        let mut scaled = vec![0.0; self.states.len()];
        (largest[0], scaled[0]) = (0.0, 1.0);
        for state in 0..self.states.len() {
            let value = largest[state] + f64::ln(scaled[state]);
            for edge in self.offsets[state]..self.offsets[state + 1] {
                let (child, term) = (self.children[edge] as usize, value + weight(edge));
                if term > largest[child] {
                    scaled[child] = scaled[child] * (largest[child] - term).exp() + 1.0;
                    largest[child] = term;
                } else if term > f64::NEG_INFINITY {
                    scaled[child] += (term - largest[child]).exp();
                }
            }
        }
        largest.iter().zip(&scaled).map(|(l, s)| l + s.ln()).collect()
    }

    /// The smallest and largest S(τ) − log π(x) over all complete trajectories: log(1 − α) and log(1 + β) of
    /// Theorem 3.4 of the paper. `log_target` is log π of every object.
    pub fn score_range(&self, policy: &EdgePolicy, log_target: &[f64]) -> (f64, f64) {
        let n = self.states.len();
        let (mut low, mut high) = (vec![f64::INFINITY; n], vec![f64::NEG_INFINITY; n]);
        (low[0], high[0]) = (0.0, 0.0);
        for state in 0..n {
            for edge in self.offsets[state]..self.offsets[state + 1] {
                let (child, step) =
                    (self.children[edge] as usize, policy.forward[edge] - policy.backward[edge]);
                low[child] = low[child].min(low[state] + step);
                high[child] = high[child].max(high[state] + step);
            }
        }
        let mut range = (f64::INFINITY, f64::NEG_INFINITY);
        for (&s, target) in self.objects.iter().zip(log_target) {
            let shift = policy.stop[s as usize] - target;
            range.0 = range.0.min(low[s as usize] + shift);
            range.1 = range.1.max(high[s as usize] + shift);
        }
        range
    }
}

/// The paper's bound on the Jeffrey divergence between target and aggregate (Theorem 3.4),
/// W = Σ_n w_n log((1 + β_n)/(1 − α_n)), from (w_n, log(1 − α_n), log(1 + β_n)) of each client.
pub fn paper_bound(clients: &[(f64, f64, f64)]) -> f64 {
    clients.iter().map(|(weight, low, high)| weight * (high - low)).sum()
}

/// The sharp form J ≤ W tanh(W/4), attained by a two-point law (docs/mathematics.md §4).
pub fn sharp_bound(w: f64) -> f64 {
    w * (w / 4.0).tanh()
}

/// log Z and the normalised distribution of unnormalised log-weights.
pub fn normalise(log_rewards: &[f64]) -> (f64, Vec<f64>) {
    (log_sum_exp(log_rewards), normalise_log_weights(log_rewards))
}
