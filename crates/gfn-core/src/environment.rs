//! What a domain has to tell: states, legal actions, transitions, and the features that identify a state.

use std::fmt::Debug;
use std::hash::Hash;
use std::sync::Arc;

use rand::rngs::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Place, Result};

/// When a trajectory ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StopRule {
    /// A state is an object exactly when it has no forward action left.
    Exhausted,
    /// Every state is an object; the core appends a stop action to every state.
    Always,
}

/// How forward actions relate to the rows of an encoded state, for policies that share weights over rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Heads {
    /// No relation: one output per action.
    Flat,
    /// Action `i · rows + j` concerns the ordered pair of rows (i, j).
    Pairs,
}

/// What two models must share to be multiplied: the same objects, actions and features.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EnvSpec {
    /// Name of the environment, such as `merge-forest`.
    pub name: String,
    /// Hash of everything that defines the objects (names, sizes, bins, constraints), as hexadecimal digits.
    pub fingerprint: String,
    /// Rows of the encoding; 1 where a state has no natural parts.
    pub rows: usize,
    /// Binary features per row; feature `f` of row `r` has index `r · width + f`.
    pub width: usize,
    /// Forward actions, the stop action not counted.
    pub n_forward: usize,
    /// Backward actions.
    pub n_backward: usize,
    /// Relation of actions to rows.
    pub heads: Heads,
    /// When a trajectory ends.
    pub stop: StopRule,
}

impl EnvSpec {
    /// Refuses sizes that are 0 or too large to be counted in 32 bits, as features and actions are.
    pub(crate) fn check_sizes(&self) -> Result<()> {
        let sizes = [self.rows, self.width, self.n_forward, self.n_backward];
        let fine = |size: usize| (1..u32::MAX as usize).contains(&size);
        if sizes.iter().all(|&size| fine(size)) && self.rows.checked_mul(self.width).is_some_and(fine) {
            return Ok(());
        }
        Err(Error::input(
            Place::item(format!("environment {}", self.name)),
            "rows, features, and numbers of actions from 1 to 4294967294",
            format!("{sizes:?}"),
            "the file belongs to another plan or version",
        ))
    }

    /// Number of binary features of an encoded state, `rows · width`.
    pub fn n_features(&self) -> usize {
        self.rows * self.width
    }

    /// Index of the stop action, where there is one.
    pub fn stop_action(&self) -> Option<u32> {
        (self.stop == StopRule::Always).then_some(self.n_forward as u32)
    }

    /// Forward outputs of a policy: the forward actions, and the stop action where there is one.
    pub fn n_forward_outputs(&self) -> usize {
        self.n_forward + usize::from(self.stop == StopRule::Always)
    }
}

/// Hash of the parts that define an environment, for [`EnvSpec::fingerprint`].
pub fn fingerprint(parts: &[&str]) -> String {
    let mut hasher = blake3::Hasher::new();
    for part in parts {
        hasher.update(&(part.len() as u64).to_le_bytes());
        hasher.update(part.as_bytes());
    }
    hasher.finalize().to_hex()[..32].to_string()
}

/// A finite pointed acyclic state graph. One state at a time; the core does the batching.
///
/// [`crate::testing::check_environment`] checks everything that is demanded here.
pub trait Environment: Send + Sync + 'static {
    /// A canonical state: two states are equal exactly when they are the same point of the graph.
    type State: Clone + Eq + Hash + Debug + Send + Sync;

    /// Sizes and identity.
    fn spec(&self) -> &EnvSpec;

    /// The state every trajectory starts in.
    fn initial(&self) -> Self::State;

    /// Appends the legal forward actions in increasing order, the stop action left out.
    fn forward_actions(&self, state: &Self::State, actions: &mut Vec<u32>);

    /// Appends the legal backward actions in increasing order and, for each, its positive weight: the fixed
    /// backward policy is p_B ∝ weight. None for the initial state.
    fn backward_actions(&self, state: &Self::State, actions: &mut Vec<u32>, weights: &mut Vec<f64>);

    /// The next state, and the backward action that leads back.
    fn step(&self, state: &Self::State, action: u32) -> (Self::State, u32);

    /// The previous state, and the forward action that leads here again.
    fn undo(&self, state: &Self::State, backward_action: u32) -> (Self::State, u32);

    /// Appends the indices of the active binary features. Different states have different sets of features.
    fn encode(&self, state: &Self::State, features: &mut Vec<u32>);

    /// log p_B(state | next) of the fixed backward policy, where `next` follows by `action` (natural log).
    ///
    /// The default takes the step; environments override it where the weight is known without.
    fn log_backward_after(&self, state: &Self::State, action: u32) -> f64 {
        let (next, backward_action) = self.step(state, action);
        let (mut actions, mut weights) = (Vec::new(), Vec::new());
        self.backward_actions(&next, &mut actions, &mut weights);
        let position = actions.iter().position(|&a| a == backward_action).expect("step is undone legally");
        (weights[position] / weights.iter().sum::<f64>()).ln()
    }

    /// [`Environment::log_backward_after`] of all legal forward actions of a state, which are `actions`; environments
    /// with many actions override it, as the two that follow, where the whole costs less than its parts.
    fn log_backward_after_each(&self, state: &Self::State, actions: &[u32], log_backward: &mut Vec<f64>) {
        log_backward.extend(actions.iter().map(|&action| self.log_backward_after(state, action)));
    }

    /// Keys per action of the additive table of [`Environment::action_keys`]; 0 where there is none.
    fn n_action_keys(&self) -> usize {
        0
    }

    /// Appends [`Environment::n_action_keys`] hashed descriptions of what `action` does in `state`; a policy with
    /// an additive table adds one learned number per key to the action's logit.
    fn action_keys(&self, _state: &Self::State, _action: u32, _keys: &mut Vec<u64>) {}

    /// [`Environment::action_keys`] of all legal forward actions of a state.
    fn action_keys_each(&self, state: &Self::State, actions: &[u32], keys: &mut Vec<u64>) {
        actions.iter().for_each(|&action| self.action_keys(state, action, keys));
    }

    /// Appends the raw outputs whose mean is the logit of `action`, for policies that pool; by default the
    /// action itself.
    fn pooled_outputs(&self, _state: &Self::State, action: u32, outputs: &mut Vec<u32>) {
        outputs.push(action);
    }

    /// [`Environment::pooled_outputs`] of all legal forward actions of a state; after each action the number of
    /// outputs so far is appended to `ends`.
    fn pooled_outputs_each(
        &self,
        state: &Self::State,
        actions: &[u32],
        outputs: &mut Vec<u32>,
        ends: &mut Vec<usize>,
    ) {
        for &action in actions {
            self.pooled_outputs(state, action, outputs);
            ends.push(outputs.len());
        }
    }

    /// The same environment for another thread. One whose states share parts with each other overrides it with a copy that
    /// shares none with this one, so that threads do not wait for each other's reference counts and locks.
    fn apart(self: &Arc<Self>) -> Arc<Self>
    where
        Self: Sized,
    {
        Arc::clone(self)
    }

    /// A uniformly drawn object, where that is easy. Its backward walks are full-support exploration.
    fn sample_object(&self, _rng: &mut ChaCha8Rng) -> Option<Self::State> {
        None
    }
}

/// Replays forward actions from the initial state; `None` if one of them is not legal where it is taken.
pub fn follow_path<E: Environment>(env: &E, actions: &[u32]) -> Option<E::State> {
    let mut state = env.initial();
    let mut legal = Vec::new();
    for &action in actions {
        legal.clear();
        env.forward_actions(&state, &mut legal);
        legal.binary_search(&action).ok()?;
        state = env.step(&state, action).0;
    }
    Some(state)
}

/// One sequence of forward actions that leads to `object`: how objects are stored in files of any domain.
pub fn path_to<E: Environment>(env: &E, object: &E::State) -> Vec<u32> {
    let mut path = Vec::new();
    let mut state = object.clone();
    let (mut actions, mut weights) = (Vec::new(), Vec::new());
    loop {
        actions.clear();
        weights.clear();
        env.backward_actions(&state, &mut actions, &mut weights);
        let Some(&backward_action) = actions.first() else { break };
        let (previous, action) = env.undo(&state, backward_action);
        path.push(action);
        state = previous;
    }
    path.reverse();
    path
}
