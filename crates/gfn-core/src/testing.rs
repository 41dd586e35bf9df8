//! The harness that every environment must pass: all that the core takes for granted, checked on random walks and graphs.

use std::hash::BuildHasher;

use rand::RngExt;
use rustc_hash::{FxBuildHasher, FxHashMap};

use crate::environment::{Environment, Heads, StopRule, follow_path, path_to};
use crate::random::stream;

/// A walk of more steps is taken for one that does not end.
const MAX_STEPS: usize = 20_000;

/// How much is checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CheckSettings {
    /// Random walks forward, and drawn objects.
    pub walks: usize,
    /// Seed of the walks.
    pub seed: u64,
    /// The first so many states, breadth first, are checked with all their transitions.
    pub graph_limit: usize,
}

impl Default for CheckSettings {
    fn default() -> Self {
        CheckSettings { walks: 100, seed: 0, graph_limit: 5000 }
    }
}

/// Checks everything that [`Environment`] demands; the error says which demand fails and in which state.
///
/// Two demands cannot be told apart from outside and share a message: features that identify the state, and states
/// that are equal when they are reached by another order of the same actions.
pub fn check_environment<E: Environment>(
    env: &E,
    settings: &CheckSettings,
) -> std::result::Result<(), String> {
    let mut checker = Checker { env, known: FxHashMap::default() };
    checker.check_sizes()?;
    let mut rng = stream(settings.seed, "check-environment", 0);
    for _ in 0..settings.walks {
        let mut state = env.initial();
        let mut actions = checker.check_state(&state)?;
        let mut steps = 0;
        while !actions.is_empty() {
            let action = actions[rng.random_range(0..actions.len())];
            let next = env.step(&state, action).0;
            actions = checker.check_state(&next)?;
            checker.check_step(&state, action)?;
            state = next;
            steps += 1;
            if steps > MAX_STEPS {
                return Err(format!("a random walk does not end within {MAX_STEPS} steps"));
            }
        }
        checker.check_path(&state)?;
    }
    for _ in 0..settings.walks {
        let Some(object) = env.sample_object(&mut rng) else { break };
        let actions = checker.check_state(&object)?;
        if env.spec().stop == StopRule::Exhausted && !actions.is_empty() {
            return Err(format!(
                "sample_object gives {object:?}, which is not complete: {actions:?} are legal"
            ));
        }
        checker.check_path(&object)?;
    }
    checker.check_graph(settings.graph_limit)
}

struct Checker<'a, E: Environment> {
    env: &'a E,
    /// States seen, by their sorted features, with their hashes.
    known: FxHashMap<Vec<u32>, (E::State, u64)>,
}

type Check<T> = std::result::Result<T, String>;

impl<E: Environment> Checker<'_, E> {
    fn check_sizes(&self) -> Check<()> {
        let spec = self.env.spec();
        if spec.rows == 0 || spec.width == 0 || spec.n_forward == 0 || spec.n_backward == 0 {
            return Err(format!("the spec has a size of 0: {spec:?}"));
        }
        if spec.heads == Heads::Pairs && spec.n_forward != spec.rows * spec.rows {
            return Err(format!("{} forward actions are not one per pair of rows", spec.n_forward));
        }
        let initial = self.env.initial();
        if initial != self.env.initial() {
            return Err("initial() gives different states".into());
        }
        Ok(())
    }

    fn backward(&self, state: &E::State) -> (Vec<u32>, Vec<f64>) {
        let (mut actions, mut weights) = (Vec::new(), Vec::new());
        self.env.backward_actions(state, &mut actions, &mut weights);
        (actions, weights)
    }

    fn forward(&self, state: &E::State) -> Vec<u32> {
        let mut actions = Vec::new();
        self.env.forward_actions(state, &mut actions);
        actions
    }

    /// Checks a state and its lists; returns its forward actions.
    fn check_state(&mut self, state: &E::State) -> Check<Vec<u32>> {
        let spec = self.env.spec();
        let actions = self.forward(state);
        check_list("forward actions", state, &actions, spec.n_forward)?;
        for &action in &actions {
            self.check_extras(state, action)?;
        }
        self.check_lists(state, &actions)?;
        let (backward, weights) = self.backward(state);
        check_list("backward actions", state, &backward, spec.n_backward)?;
        if weights.len() != backward.len() {
            let (n, m) = (weights.len(), backward.len());
            return Err(format!("{n} weights for {m} backward actions in {state:?}"));
        }
        if let Some(weight) = weights.iter().find(|w| !(w.is_finite() && **w > 0.0)) {
            return Err(format!("a backward weight is not positive and finite: {weight} in {state:?}"));
        }
        match (backward.is_empty(), *state == self.env.initial()) {
            (true, false) => return Err(format!("no backward action in {state:?}, which is not initial")),
            (false, true) => return Err(format!("backward actions {backward:?} in the initial state")),
            _ => {}
        }
        self.check_features(state)?;
        for &action in &backward {
            self.check_undo(state, action)?;
        }
        Ok(actions)
    }

    fn check_features(&mut self, state: &E::State) -> Check<()> {
        let n_features = self.env.spec().n_features();
        let mut features = Vec::new();
        self.env.encode(state, &mut features);
        features.sort_unstable();
        if let Some(feature) = features.iter().find(|f| **f as usize >= n_features) {
            return Err(format!("feature {feature} of {state:?} is not below {n_features}"));
        }
        if features.windows(2).any(|pair| pair[0] == pair[1]) {
            return Err(format!("a feature of {state:?} is given twice: {features:?}"));
        }
        let hash = FxBuildHasher.hash_one(state);
        let known = self.known.entry(features).or_insert_with(|| (state.clone(), hash));
        if known.0 != *state {
            let other = &known.0;
            return Err(format!("unequal states with the same features: {other:?} and {state:?}"));
        }
        if known.1 != hash {
            return Err(format!("equal states with different hashes: {:?} and {state:?}", known.0));
        }
        Ok(())
    }

    /// Keys and pooled outputs of a legal action.
    fn check_extras(&self, state: &E::State, action: u32) -> Check<()> {
        let spec = self.env.spec();
        let mut outputs = Vec::new();
        self.env.pooled_outputs(state, action, &mut outputs);
        if outputs.is_empty() {
            return Err(format!("no pooled output for action {action} in {state:?}"));
        }
        if let Some(output) = outputs.iter().find(|o| **o as usize >= spec.n_forward_outputs()) {
            return Err(format!("pooled output {output} of action {action} in {state:?} does not exist"));
        }
        let mut keys = Vec::new();
        self.env.action_keys(state, action, &mut keys);
        if keys.len() != self.env.n_action_keys() {
            let (found, expected) = (keys.len(), self.env.n_action_keys());
            return Err(format!("{found} keys instead of {expected} for action {action} in {state:?}"));
        }
        Ok(())
    }

    /// What is told about all legal actions at once must be what is told about each.
    fn check_lists(&self, state: &E::State, actions: &[u32]) -> Check<()> {
        let (mut all, mut each) = (Vec::new(), Vec::new());
        self.env.action_keys_each(state, actions, &mut all);
        actions.iter().for_each(|&action| self.env.action_keys(state, action, &mut each));
        if all != each {
            return Err(format!("action_keys_each differs from action_keys in {state:?}: {all:?}, {each:?}"));
        }
        let (mut all, mut each, mut ends, mut expected_ends) =
            (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        self.env.pooled_outputs_each(state, actions, &mut all, &mut ends);
        for &action in actions {
            self.env.pooled_outputs(state, action, &mut each);
            expected_ends.push(each.len());
        }
        if all != each || ends != expected_ends {
            return Err(format!("pooled_outputs_each differs from pooled_outputs in {state:?}"));
        }
        let mut all = Vec::new();
        self.env.log_backward_after_each(state, actions, &mut all);
        let each: Vec<f64> = actions.iter().map(|&a| self.env.log_backward_after(state, a)).collect();
        let close = |(a, b): (&f64, &f64)| (a - b).abs() <= 1e-9 * (1.0 + b.abs());
        if all.len() != each.len() || !all.iter().zip(&each).all(close) {
            return Err(format!(
                "log_backward_after_each differs from log_backward_after in {state:?}: {all:?}, {each:?}"
            ));
        }
        Ok(())
    }

    /// Checks that `action` is undone by the backward action it returns, and its log p_B.
    fn check_step(&self, state: &E::State, action: u32) -> Check<()> {
        let (next, opposite) = self.env.step(state, action);
        if next == *state {
            return Err(format!("action {action} leads from {state:?} to itself"));
        }
        let (backward, weights) = self.backward(&next);
        let Some(position) = backward.iter().position(|&b| b == opposite) else {
            return Err(format!(
                "step {action} from {state:?}: the opposite {opposite} is not legal after it"
            ));
        };
        let (previous, again) = self.env.undo(&next, opposite);
        if previous != *state || again != action {
            return Err(format!(
                "undo does not invert step {action} from {state:?}: it leads to {previous:?} by {again}"
            ));
        }
        let expected = (weights[position] / weights.iter().sum::<f64>()).ln();
        let found = self.env.log_backward_after(state, action);
        let close = (found - expected).abs() <= 1e-9 * (1.0 + expected.abs());
        if !close {
            return Err(format!(
                "log_backward_after of action {action} in {state:?} is {found}, the weights say {expected}"
            ));
        }
        Ok(())
    }

    /// Checks that `action` is taken again by the forward action it returns.
    fn check_undo(&self, state: &E::State, action: u32) -> Check<()> {
        let (previous, opposite) = self.env.undo(state, action);
        if self.forward(&previous).binary_search(&opposite).is_err() {
            return Err(format!(
                "undo {action} from {state:?}: the opposite {opposite} is not legal before it"
            ));
        }
        let (next, again) = self.env.step(&previous, opposite);
        if next != *state || again != action {
            return Err(format!(
                "step does not invert undo {action} from {state:?}: it leads to {next:?} by {again}"
            ));
        }
        Ok(())
    }

    /// Walks back to the initial state and forth again, by a path as files hold it.
    fn check_path(&mut self, object: &E::State) -> Check<()> {
        let mut state = object.clone();
        let mut steps = 0;
        while let Some(&action) = self.backward(&state).0.first() {
            state = self.env.undo(&state, action).0;
            steps += 1;
            if steps > MAX_STEPS {
                return Err(format!("the walk back from {object:?} does not end"));
            }
        }
        let path = path_to(self.env, object);
        match follow_path(self.env, &path) {
            Some(found) if found == *object => Ok(()),
            found => Err(format!("the path {path:?} of {object:?} leads to {found:?}")),
        }
    }

    /// Checks the first `limit` states, breadth first, with all transitions, and that there is no cycle.
    fn check_graph(&mut self, limit: usize) -> Check<()> {
        let mut states = vec![self.env.initial()];
        let mut index: FxHashMap<E::State, usize> = FxHashMap::default();
        index.insert(self.env.initial(), 0);
        let mut edges: Vec<Vec<usize>> = Vec::new();
        while edges.len() < states.len() {
            let state = states[edges.len()].clone();
            let mut children = Vec::new();
            for action in self.check_state(&state)? {
                self.check_step(&state, action)?;
                let next = self.env.step(&state, action).0;
                let fresh = states.len();
                let number = match index.get(&next) {
                    Some(&number) => number,
                    None if fresh >= limit => continue,
                    None => {
                        index.insert(next.clone(), fresh);
                        states.push(next);
                        fresh
                    }
                };
                children.push(number);
            }
            edges.push(children);
        }
        let mut parents = vec![0usize; states.len()];
        edges.iter().flatten().for_each(|&child| parents[child] += 1);
        let mut order: Vec<usize> = (0..states.len()).filter(|&s| parents[s] == 0).collect();
        let mut done = 0;
        while done < order.len() {
            for &child in &edges[order[done]] {
                parents[child] -= 1;
                if parents[child] == 0 {
                    order.push(child);
                }
            }
            done += 1;
        }
        match parents.iter().position(|&p| p > 0) {
            None => Ok(()),
            Some(state) => Err(format!("a cycle of transitions goes through {:?}", states[state])),
        }
    }
}

fn check_list(what: &str, state: &impl std::fmt::Debug, list: &[u32], limit: usize) -> Check<()> {
    if list.windows(2).any(|pair| pair[0] >= pair[1]) {
        return Err(format!("{what} do not strictly increase in {state:?}: {list:?}"));
    }
    match list.last() {
        Some(&last) if last as usize >= limit => {
            Err(format!("{what} reach {last} in {state:?}, the spec has {limit}"))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests;
