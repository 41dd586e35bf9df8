//! Complete trajectories in flat arrays with offsets; every visited state is stored once.

use indexmap::IndexSet;
use rustc_hash::FxBuildHasher;

use crate::environment::Environment;

/// Marks the place of an action that does not exist (before the first state, after an exhausted one).
pub const NO_ACTION: u32 = u32::MAX;

/// B complete trajectories, one after the other, over states that are numbered in the order in which they were met.
///
/// Trajectory `b` visits the slots `offsets[b]..offsets[b + 1]`, from the initial state to its object. Slot `i` holds state
/// number `numbers[i]`; `forward[i]` is the action taken there (the stop action, or [`NO_ACTION`], in the last slot of a
/// trajectory), and `backward[i]` the action that undoes the arrival there ([`NO_ACTION`] in the first one).
#[derive(Debug, Clone)]
pub struct TrajectoryBatch<E: Environment> {
    /// B + 1 offsets.
    pub offsets: Vec<usize>,
    /// The number of the state in each slot.
    pub numbers: Vec<u32>,
    /// Forward action taken in each slot.
    pub forward: Vec<u32>,
    /// Backward action that leads to the slot before.
    pub backward: Vec<u32>,
    states: IndexSet<E::State, FxBuildHasher>,
}

impl<E: Environment> Default for TrajectoryBatch<E> {
    fn default() -> Self {
        TrajectoryBatch {
            offsets: vec![0],
            numbers: Vec::new(),
            forward: Vec::new(),
            backward: Vec::new(),
            states: IndexSet::default(),
        }
    }
}

impl<E: Environment> TrajectoryBatch<E> {
    /// Number of trajectories.
    pub fn len(&self) -> usize {
        self.offsets.len() - 1
    }

    /// Whether there is no trajectory.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Visited states of all trajectories, repetitions counted.
    pub fn n_slots(&self) -> usize {
        self.numbers.len()
    }

    /// Slots of trajectory `b`.
    pub fn slots(&self, b: usize) -> std::ops::Range<usize> {
        self.offsets[b]..self.offsets[b + 1]
    }

    /// The state in a slot.
    pub fn state(&self, slot: usize) -> &E::State {
        &self.states[self.numbers[slot] as usize]
    }

    /// The object of trajectory `b`.
    pub fn object(&self, b: usize) -> &E::State {
        self.state(self.offsets[b + 1] - 1)
    }

    /// The objects of all trajectories.
    pub fn objects(&self) -> Vec<&E::State> {
        (0..self.len()).map(|b| self.object(b)).collect()
    }

    /// Number of distinct states.
    pub fn n_states(&self) -> usize {
        self.states.len()
    }

    /// The distinct states, in the order of their numbers.
    pub fn states(&self) -> impl ExactSizeIterator<Item = &E::State> {
        self.states.iter()
    }

    /// The distinct state of a number.
    pub fn state_of(&self, number: u32) -> &E::State {
        &self.states[number as usize]
    }

    /// The number of a state, which is added if it was not met before.
    pub(crate) fn number(&mut self, state: E::State) -> u32 {
        self.states.insert_full(state).0 as u32
    }

    /// Forgets all trajectories and states; memory stays for the next ones.
    pub(crate) fn clear(&mut self) {
        self.offsets.truncate(1);
        self.numbers.clear();
        self.forward.clear();
        self.backward.clear();
        self.states.clear();
    }
}
