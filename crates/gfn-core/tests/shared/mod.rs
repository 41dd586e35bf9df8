//! What the integration tests share: small environments, tables, and distances between distributions.

#![allow(dead_code)]

use gfn_core::encoding::StateBatch;
use gfn_core::environment::fingerprint;
use gfn_core::policy::{NamedTensor, Policy, PolicyKind, PolicySpec, TensorMap, TrainablePolicy};
use gfn_core::{EnvSpec, Environment, Heads, StopRule};

/// Sets of exactly `size` of `items` items, built by adding one at a time: the smallest exhausted environment.
///
/// A state is a bit set. p_B is not uniform (item i is removed with weight i + 1), so that weights matter.
pub struct Choose {
    spec: EnvSpec,
    items: u32,
    size: u32,
}

impl Choose {
    pub fn new(items: u32, size: u32) -> Self {
        let spec = EnvSpec {
            name: "choose".into(),
            fingerprint: fingerprint(&["choose", &items.to_string(), &size.to_string()]),
            rows: 1,
            width: items as usize,
            n_forward: items as usize,
            n_backward: items as usize,
            heads: Heads::Flat,
            stop: StopRule::Exhausted,
        };
        Choose { spec, items, size }
    }

    /// Sets of at most `size` items: every state may stop.
    pub fn up_to(items: u32, size: u32) -> Self {
        let mut choose = Choose::new(items, size);
        choose.spec.name = "choose-up-to".into();
        choose.spec.fingerprint = fingerprint(&["choose-up-to", &items.to_string(), &size.to_string()]);
        choose.spec.stop = StopRule::Always;
        choose
    }
}

impl Environment for Choose {
    type State = u32;

    fn spec(&self) -> &EnvSpec {
        &self.spec
    }

    fn initial(&self) -> u32 {
        0
    }

    fn forward_actions(&self, set: &u32, actions: &mut Vec<u32>) {
        if set.count_ones() < self.size {
            actions.extend((0..self.items).filter(|i| set >> i & 1 == 0));
        }
    }

    fn backward_actions(&self, set: &u32, actions: &mut Vec<u32>, weights: &mut Vec<f64>) {
        actions.extend((0..self.items).filter(|i| set >> i & 1 == 1));
        weights.extend(actions.iter().rev().take(set.count_ones() as usize).rev().map(|&i| f64::from(i + 1)));
    }

    fn step(&self, set: &u32, action: u32) -> (u32, u32) {
        (set | 1 << action, action)
    }

    fn undo(&self, set: &u32, action: u32) -> (u32, u32) {
        (set & !(1 << action), action)
    }

    fn encode(&self, set: &u32, features: &mut Vec<u32>) {
        features.extend((0..self.items).filter(|i| set >> i & 1 == 1));
    }

    fn n_action_keys(&self) -> usize {
        2
    }

    fn action_keys(&self, set: &u32, action: u32, keys: &mut Vec<u64>) {
        keys.extend([u64::from(action), 1000 + u64::from(set.count_ones())]);
    }

    fn pooled_outputs(&self, set: &u32, action: u32, outputs: &mut Vec<u32>) {
        outputs.push(action);
        outputs.extend((0..self.items).filter(|i| set >> i & 1 == 1));
    }
}

/// log R of a set: a bounded, irregular function.
pub fn irregular(set: &u32) -> f64 {
    1.5 * (f64::from(set.wrapping_mul(2_654_435_761)) * 1e-9).sin()
}

/// Directed edges over three nodes without two-cycles of the same pair: pair actions, for the pair head.
pub struct Arrows {
    spec: EnvSpec,
}

impl Arrows {
    pub fn new() -> Self {
        let spec = EnvSpec {
            name: "arrows".into(),
            fingerprint: fingerprint(&["arrows"]),
            rows: 3,
            width: 4,
            n_forward: 9,
            n_backward: 9,
            heads: Heads::Pairs,
            stop: StopRule::Always,
        };
        Arrows { spec }
    }
}

impl Environment for Arrows {
    type State = u16;

    fn spec(&self) -> &EnvSpec {
        &self.spec
    }

    fn initial(&self) -> u16 {
        0
    }

    fn forward_actions(&self, arrows: &u16, actions: &mut Vec<u32>) {
        let taken = |i: u32, j: u32| arrows >> (3 * i + j) & 1 == 1;
        actions.extend((0..9).filter(|a| {
            let (i, j) = (a / 3, a % 3);
            i != j && !taken(i, j) && !taken(j, i)
        }));
    }

    fn backward_actions(&self, arrows: &u16, actions: &mut Vec<u32>, weights: &mut Vec<f64>) {
        for action in (0..9).filter(|a| arrows >> a & 1 == 1) {
            actions.push(action);
            weights.push(1.0);
        }
    }

    fn step(&self, arrows: &u16, action: u32) -> (u16, u32) {
        (arrows | 1 << action, action)
    }

    fn undo(&self, arrows: &u16, action: u32) -> (u16, u32) {
        (arrows & !(1 << action), action)
    }

    fn encode(&self, arrows: &u16, features: &mut Vec<u32>) {
        for i in 0..3u32 {
            features.push(4 * i + 3);
            features.extend((0..3).filter(|j| arrows >> (3 * i + j) & 1 == 1).map(|j| 4 * i + j));
        }
    }
}

/// The spec of a policy of an environment.
pub fn policy_spec<E: Environment>(env: &E, kind: PolicyKind) -> PolicySpec {
    PolicySpec { env: env.spec().clone(), kind, learned_backward: false, flow: false }
}

/// A table with the given logits: for each state one number per output of the policy.
pub fn table<E: Environment>(
    env: &E,
    states: &[E::State],
    logits: impl Fn(usize) -> Vec<f64>,
) -> Box<dyn TrainablePolicy> {
    let mut policy = policy_spec(env, PolicyKind::Tabular).build(0).expect("a table");
    policy.prepare(&StateBatch::new(env, states, policy.needs()));
    let values: Vec<f32> = (0..states.len()).flat_map(&logits).map(|l| l as f32).collect();
    let mut parameters = policy.parameters_mut();
    assert_eq!(parameters[0].len(), values.len());
    *parameters[0] = values;
    policy.parameters_changed();
    policy
}

/// The tensors of a policy by name.
pub fn tensor_map(tensors: Vec<NamedTensor>) -> TensorMap {
    tensors.into_iter().map(|t| (t.name.clone(), t)).collect()
}

/// The bits of all parameters.
pub fn parameter_bits(policy: &dyn Policy) -> Vec<(String, Vec<u32>)> {
    let bits = |t: NamedTensor| (t.name, t.values.iter().map(|v| v.to_bits()).collect());
    policy.tensors().into_iter().map(bits).collect()
}

/// Σ |a − b|.
pub fn l1(a: &[f64], b: &[f64]) -> f64 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).sum()
}

/// log Σ_n w_n-weighted products of unnormalised log-weights, normalised.
pub fn product(parts: &[(&[f64], f64)]) -> Vec<f64> {
    let sum = |x: usize| parts.iter().map(|(log_weights, w)| w * log_weights[x]).sum();
    let logs: Vec<f64> = (0..parts[0].0.len()).map(sum).collect();
    gfn_core::exact::normalise(&logs).1
}
