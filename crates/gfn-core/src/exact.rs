//! Exact distributions on state graphs that can be enumerated: what a policy has learned, what it should have learned,
//! and what exact aggregation of clients would give.

use indexmap::IndexSet;
use rayon::prelude::*;
use rustc_hash::FxBuildHasher;

use crate::encoding::StateBatch;
use crate::environment::{Environment, StopRule};
use crate::error::{Error, Place, Result};
use crate::math::{append_softmax, log_sum_exp, normalise_log_weights};
use crate::policy::{LogProbabilities, Output, Policy};
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
        let mut states: IndexSet<E::State, FxBuildHasher> = IndexSet::default();
        states.insert(env.initial());
        let mut graph = StateGraph {
            states: Vec::new(),
            offsets: vec![0],
            actions: Vec::new(),
            children: Vec::new(),
            backward_actions: Vec::new(),
            objects: Vec::new(),
            stops: env.spec().stop == StopRule::Always,
        };
        let mut next = 0;
        while next < states.len() {
            let first = graph.actions.len();
            env.forward_actions(&states[next], &mut graph.actions);
            for edge in first..graph.actions.len() {
                let (child, backward) = env.step(&states[next], graph.actions[edge]);
                let (number, fresh) = states.insert_full(child);
                if fresh && states.len() > limit {
                    return Err(Error::input(
                        Place::item("exact evaluation"),
                        format!("at most {limit} states"),
                        "more",
                        "leave out --exact, or use a smaller problem",
                    ));
                }
                graph.children.push(number as u32);
                graph.backward_actions.push(backward);
            }
            graph.offsets.push(graph.actions.len());
            next += 1;
        }
        Ok(graph.in_topological_order(states))
    }

    /// Kahn's algorithm (1962) on the states in order of discovery, which the edges are given in.
    fn in_topological_order(self, states: IndexSet<E::State, FxBuildHasher>) -> Self {
        let n = states.len();
        let edges_of = |state: u32| self.offsets[state as usize]..self.offsets[state as usize + 1];
        let mut parents = vec![0u32; n];
        self.children.iter().for_each(|&child| parents[child as usize] += 1);
        let mut order = vec![0u32];
        let mut place = vec![0u32; n];
        let mut done = 0;
        while done < order.len() {
            let state = order[done];
            place[state as usize] = done as u32;
            for &child in &self.children[edges_of(state)] {
                parents[child as usize] -= 1;
                if parents[child as usize] == 0 {
                    order.push(child);
                }
            }
            done += 1;
        }
        assert_eq!(order.len(), n, "the state graph of an environment has no cycles");
        let n_edges = self.actions.len();
        let mut graph = StateGraph {
            states: Vec::with_capacity(n),
            offsets: vec![0],
            actions: Vec::with_capacity(n_edges),
            children: Vec::with_capacity(n_edges),
            backward_actions: Vec::with_capacity(n_edges),
            objects: Vec::new(),
            stops: self.stops,
        };
        let mut states: Vec<Option<E::State>> = states.into_iter().map(Some).collect();
        for (number, &state) in order.iter().enumerate() {
            let edges = edges_of(state);
            graph.states.extend(states[state as usize].take());
            graph.actions.extend_from_slice(&self.actions[edges.clone()]);
            graph.backward_actions.extend_from_slice(&self.backward_actions[edges.clone()]);
            graph.children.extend(self.children[edges.clone()].iter().map(|&child| place[child as usize]));
            graph.offsets.push(graph.actions.len());
            if graph.stops || edges.is_empty() {
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

    /// `work` of each chunk of states, in parallel: the states, encoded, and what the policy says of them.
    fn evaluate<T: Send>(
        &self,
        env: &E,
        policy: &dyn Policy,
        work: impl Fn(&StateBatch, Output) -> T + Sync,
    ) -> Vec<T> {
        let chunks: Vec<&[E::State]> = self.states.chunks(CHUNK).collect();
        let evaluate = |states: &&[E::State]| {
            let encoded = StateBatch::new(env, states.iter(), policy.needs());
            let output = policy.forward(&encoded);
            work(&encoded, output)
        };
        chunks.par_iter().map(evaluate).collect()
    }

    /// Appends what stands at the legal actions of a chunk of states to the lists of edges and of stops.
    fn deal(&self, encoded: &StateBatch, values: &[f64], edges: &mut Vec<f64>, stops: &mut Vec<f64>) {
        for row in encoded.forward_offsets.windows(2) {
            // Edges are in the order of the legal actions, of which the stop action is the last.
            let (own, stop) = values[row[0]..row[1]].split_at(row[1] - row[0] - usize::from(self.stops));
            edges.extend_from_slice(own);
            stops.extend_from_slice(stop);
        }
    }

    /// The policy on every edge; network calls run in parallel over fixed chunks of states.
    pub fn edge_policy(&self, env: &E, policy: &dyn Policy) -> EdgePolicy {
        let parts = self.evaluate(env, policy, |encoded, output| {
            let log_p = LogProbabilities::new(encoded, &output);
            let (mut forward, mut stop) = (Vec::new(), Vec::new());
            self.deal(encoded, &log_p.forward, &mut forward, &mut stop);
            (forward, stop, encoded.backward_offsets.clone(), encoded.backward.clone(), log_p.backward)
        });
        let (mut forward, mut stop) = (Vec::with_capacity(self.n_edges()), Vec::new());
        let (mut offsets, mut actions, mut log_backward) = (vec![0], Vec::new(), Vec::new());
        for (f, s, own_offsets, own_actions, own_log_backward) in parts {
            forward.extend(f);
            stop.extend(s);
            let first = actions.len();
            offsets.extend(own_offsets[1..].iter().map(|offset| first + offset));
            actions.extend(own_actions);
            log_backward.extend(own_log_backward);
        }
        let backward = (0..self.n_edges())
            .map(|edge| {
                let child = self.children[edge] as usize;
                let own = offsets[child]..offsets[child + 1];
                let position = actions[own.clone()]
                    .binary_search(&self.backward_actions[edge])
                    .expect("a step can be undone");
                log_backward[own.start + position]
            })
            .collect();
        stop.resize(self.states.len(), 0.0);
        EdgePolicy { forward, backward, stop }
    }

    /// The probability of every object under the policy: P(s') = Σ_s P(s) p_F(s'|s) (docs/mathematics.md §4).
    pub fn distribution(&self, policy: &EdgePolicy) -> Vec<f64> {
        let exponential = |logs: &[f64]| -> Vec<f64> { logs.iter().map(|l| l.exp()).collect() };
        self.reach(&exponential(&policy.forward), &exponential(&policy.stop))
    }

    /// [`distribution`](Self::distribution) of a policy whose probabilities on the edges nobody else asks for, which is
    /// faster.
    pub fn policy_distribution(&self, env: &E, policy: &dyn Policy) -> Vec<f64> {
        let parts = self.evaluate(env, policy, |encoded, output| {
            let (mut p, mut log_p, mut forward, mut stop) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
            append_softmax(&output.forward, &encoded.forward_offsets, &mut p, &mut log_p);
            self.deal(encoded, &p, &mut forward, &mut stop);
            (forward, stop)
        });
        let (mut forward, mut stop) = (Vec::with_capacity(self.n_edges()), Vec::new());
        for (f, s) in parts {
            forward.extend(f);
            stop.extend(s);
        }
        stop.resize(self.states.len(), 1.0);
        self.reach(&forward, &stop)
    }

    /// The probability of ending in each object, from those of edges and of stopping in each state.
    fn reach(&self, forward: &[f64], stop: &[f64]) -> Vec<f64> {
        let mut reach = vec![0.0; self.states.len()];
        reach[0] = 1.0;
        for state in 0..self.states.len() {
            for edge in self.offsets[state]..self.offsets[state + 1] {
                reach[self.children[edge] as usize] += reach[state] * forward[edge];
            }
        }
        self.objects.iter().map(|&s| reach[s as usize] * stop[s as usize]).collect()
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
