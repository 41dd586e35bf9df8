//! A batch of distinct states as policies see them: features, legal actions and what goes with them, without padding.

use std::sync::LazyLock;

use crate::environment::Environment;

/// What a policy or target wants to know about states besides features and legal forward actions.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Needs {
    /// log p_B(s|s') of every legal forward action.
    pub log_backward_after: bool,
    /// Keys of the additive table.
    pub keys: bool,
    /// Outputs to pool per action.
    pub pooled: bool,
    /// Hashes by which states are known.
    pub fingerprints: bool,
}

impl Needs {
    /// What either of two readers needs.
    pub fn union(self, other: Needs) -> Needs {
        Needs {
            log_backward_after: self.log_backward_after || other.log_backward_after,
            keys: self.keys || other.keys,
            pooled: self.pooled || other.pooled,
            fingerprints: self.fingerprints || other.fingerprints,
        }
    }
}

/// `rows` encoded states. Ragged parts are flat lists with `rows + 1` offsets.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct StateBatch {
    /// Number of states.
    pub rows: usize,
    /// Offsets into `features`.
    pub feature_offsets: Vec<usize>,
    /// Indices of active features, state after state.
    pub features: Vec<u32>,
    /// Offsets into `forward`.
    pub forward_offsets: Vec<usize>,
    /// Legal forward actions in increasing order, the stop action (index `n_forward`) last.
    pub forward: Vec<u32>,
    /// Offsets into `backward`.
    pub backward_offsets: Vec<usize>,
    /// Legal backward actions in increasing order.
    pub backward: Vec<u32>,
    /// log p_B of the environment's fixed backward policy, aligned with `backward`.
    pub fixed_log_backward: Vec<f64>,
    /// log p_B(s|s') of the fixed backward policy for each legal forward action (0 for stop), if needed.
    pub log_backward_after: Vec<f64>,
    /// Keys per legal forward action (`n_keys` each; zeros for stop), if needed.
    pub keys: Vec<u64>,
    /// Keys per action.
    pub n_keys: usize,
    /// Offsets into `pooled`, one more than legal forward actions, if needed.
    pub pooled_offsets: Vec<usize>,
    /// Raw outputs to average for each legal forward action, if needed.
    pub pooled: Vec<u32>,
    /// 128-bit hash of each state's features, by which tables and memos know a state, if needed.
    pub fingerprints: Vec<u128>,
}

impl StateBatch {
    /// Encodes `states`.
    pub fn new<'a, E: Environment>(
        env: &E,
        states: impl IntoIterator<Item = &'a E::State>,
        needs: Needs,
    ) -> Self {
        let mut batch = StateBatch::empty(env);
        for state in states {
            batch.push(env, state, needs);
        }
        batch
    }

    /// No states of `env`.
    pub(crate) fn empty<E: Environment>(env: &E) -> Self {
        StateBatch::with_keys(env.n_action_keys())
    }

    fn with_keys(n_keys: usize) -> Self {
        let offsets = || vec![0];
        StateBatch {
            n_keys,
            feature_offsets: offsets(),
            forward_offsets: offsets(),
            backward_offsets: offsets(),
            pooled_offsets: offsets(),
            ..StateBatch::default()
        }
    }

    /// Forgets all states; memory stays for the next ones.
    pub(crate) fn clear(&mut self) {
        self.rows = 0;
        for offsets in [
            &mut self.feature_offsets,
            &mut self.forward_offsets,
            &mut self.backward_offsets,
            &mut self.pooled_offsets,
        ] {
            offsets.truncate(1);
        }
        for numbers in [&mut self.features, &mut self.forward, &mut self.backward, &mut self.pooled] {
            numbers.clear();
        }
        self.fixed_log_backward.clear();
        self.log_backward_after.clear();
        self.keys.clear();
        self.fingerprints.clear();
    }

    /// Appends a state.
    pub(crate) fn push<E: Environment>(&mut self, env: &E, state: &E::State, needs: Needs) {
        let spec = env.spec();
        self.rows += 1;
        let first_feature = self.features.len();
        env.encode(state, &mut self.features);
        self.feature_offsets.push(self.features.len());
        if needs.fingerprints {
            self.fingerprints.push(hash_features(&self.features[first_feature..]));
        }

        let first_forward = self.forward.len();
        env.forward_actions(state, &mut self.forward);
        let actions = &self.forward[first_forward..];
        if needs.log_backward_after {
            env.log_backward_after_each(state, actions, &mut self.log_backward_after);
        }
        if needs.keys {
            env.action_keys_each(state, actions, &mut self.keys);
        }
        if needs.pooled {
            env.pooled_outputs_each(state, actions, &mut self.pooled, &mut self.pooled_offsets);
        }
        if let Some(stop) = spec.stop_action() {
            self.forward.push(stop);
            if needs.log_backward_after {
                self.log_backward_after.push(0.0);
            }
            if needs.keys {
                self.keys.extend(std::iter::repeat_n(0, self.n_keys));
            }
            if needs.pooled {
                self.pooled.push(stop);
                self.pooled_offsets.push(self.pooled.len());
            }
        }
        self.forward_offsets.push(self.forward.len());

        let first_backward = self.backward.len();
        env.backward_actions(state, &mut self.backward, &mut self.fixed_log_backward);
        let weights = &mut self.fixed_log_backward[first_backward..];
        let log_total = logarithm(weights.iter().sum());
        for weight in weights {
            *weight = logarithm(*weight) - log_total;
        }
        self.backward_offsets.push(self.backward.len());
    }

    /// The batch of some of its states, in the order given.
    pub fn select(&self, rows: &[usize]) -> StateBatch {
        let mut part = StateBatch { rows: rows.len(), ..StateBatch::with_keys(self.n_keys) };
        for &row in rows {
            part.features.extend_from_slice(self.features_of(row));
            part.feature_offsets.push(part.features.len());
            part.fingerprints.extend(self.fingerprints.get(row));
            let forward = self.forward_offsets[row]..self.forward_offsets[row + 1];
            part.forward.extend_from_slice(&self.forward[forward.clone()]);
            part.forward_offsets.push(part.forward.len());
            if !self.log_backward_after.is_empty() {
                part.log_backward_after.extend_from_slice(&self.log_backward_after[forward.clone()]);
            }
            if !self.keys.is_empty() {
                let keys = forward.start * self.n_keys..forward.end * self.n_keys;
                part.keys.extend_from_slice(&self.keys[keys]);
            }
            if self.pooled_offsets.len() > 1 {
                for position in forward {
                    let outputs = self.pooled_offsets[position]..self.pooled_offsets[position + 1];
                    part.pooled.extend_from_slice(&self.pooled[outputs]);
                    part.pooled_offsets.push(part.pooled.len());
                }
            }
            let backward = self.backward_offsets[row]..self.backward_offsets[row + 1];
            part.backward.extend_from_slice(&self.backward[backward.clone()]);
            part.fixed_log_backward.extend_from_slice(&self.fixed_log_backward[backward]);
            part.backward_offsets.push(part.backward.len());
        }
        part
    }

    /// Active features of state `row`.
    pub fn features_of(&self, row: usize) -> &[u32] {
        &self.features[self.feature_offsets[row]..self.feature_offsets[row + 1]]
    }

    /// Legal forward actions of state `row`, stop last.
    pub fn forward_of(&self, row: usize) -> &[u32] {
        &self.forward[self.forward_offsets[row]..self.forward_offsets[row + 1]]
    }

    /// Legal backward actions of state `row`.
    pub fn backward_of(&self, row: usize) -> &[u32] {
        &self.backward[self.backward_offsets[row]..self.backward_offsets[row + 1]]
    }

    /// Position in the flat forward list of `action` in state `row`. Panics if the action is illegal there.
    pub fn forward_position(&self, row: usize, action: u32) -> usize {
        let position = self.forward_of(row).binary_search(&action).expect("a legal forward action");
        self.forward_offsets[row] + position
    }

    /// Position in the flat backward list of `action` in state `row`. Panics if the action is illegal there.
    pub fn backward_position(&self, row: usize, action: u32) -> usize {
        let position = self.backward_of(row).binary_search(&action).expect("a legal backward action");
        self.backward_offsets[row] + position
    }
}

/// ln, remembered for small whole numbers, which most weights are.
fn logarithm(weight: f64) -> f64 {
    static OF_WHOLE: LazyLock<[f64; 64]> = LazyLock::new(|| std::array::from_fn(|k| (k as f64).ln()));
    let whole = weight as usize;
    if whole < OF_WHOLE.len() && whole as f64 == weight { OF_WHOLE[whole] } else { weight.ln() }
}

/// 128 bits that two different feature lists share with probability about 2⁻¹²⁸ (order does not matter).
fn hash_features(features: &[u32]) -> u128 {
    let mut sum = features.len() as u128;
    for &feature in features {
        sum = sum.wrapping_add(mix(u128::from(feature) + 1));
    }
    sum
}

/// A bijective 128-bit mixer (two rounds of multiply and shift).
fn mix(value: u128) -> u128 {
    let mut x = value.wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835);
    x ^= x >> 65;
    x = x.wrapping_mul(0xd605_bb58_c8ab_fb35_6b2f_b46d_94a2_4deb);
    x ^ (x >> 61)
}
