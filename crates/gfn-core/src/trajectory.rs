//! Complete trajectories in flat arrays with offsets, and the distinct states among them.

use rustc_hash::FxHashMap;

use crate::environment::Environment;

/// Marks the place of an action that does not exist (before the first state, after an exhausted one).
pub const NO_ACTION: u32 = u32::MAX;

/// B complete trajectories, all visited states one after the other.
///
/// Trajectory `b` visits `states[offsets[b]..offsets[b + 1]]`, from the initial state to its object. In slot `i`,
/// `forward[i]` is the action taken in `states[i]` (the stop action, or [`NO_ACTION`], in the last one), and
/// `backward[i]` the action that undoes the arrival there ([`NO_ACTION`] in the first one).
#[derive(Debug, Clone)]
pub struct TrajectoryBatch<E: Environment> {
    /// B + 1 offsets.
    pub offsets: Vec<usize>,
    /// Visited states.
    pub states: Vec<E::State>,
    /// Forward action taken in each state.
    pub forward: Vec<u32>,
    /// Backward action that leads to the previous state.
    pub backward: Vec<u32>,
    /// For each slot, which distinct state it holds.
    pub distinct_of: Vec<u32>,
    /// For each distinct state, one slot that holds it.
    pub distinct: Vec<u32>,
}

impl<E: Environment> Default for TrajectoryBatch<E> {
    fn default() -> Self {
        TrajectoryBatch {
            offsets: vec![0],
            states: Vec::new(),
            forward: Vec::new(),
            backward: Vec::new(),
            distinct_of: Vec::new(),
            distinct: Vec::new(),
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

    /// Appends one trajectory; the three lists have one entry per visited state.
    pub fn push(
        &mut self,
        states: impl IntoIterator<Item = E::State>,
        forward: impl IntoIterator<Item = u32>,
        backward: impl IntoIterator<Item = u32>,
    ) {
        self.states.extend(states);
        self.forward.extend(forward);
        self.backward.extend(backward);
        self.offsets.push(self.states.len());
        debug_assert_eq!(self.states.len(), self.forward.len());
        debug_assert_eq!(self.states.len(), self.backward.len());
    }

    /// Slots of trajectory `b`.
    pub fn slots(&self, b: usize) -> std::ops::Range<usize> {
        self.offsets[b]..self.offsets[b + 1]
    }

    /// The object of trajectory `b`.
    pub fn object(&self, b: usize) -> &E::State {
        &self.states[self.offsets[b + 1] - 1]
    }

    /// The objects of all trajectories.
    pub fn objects(&self) -> Vec<&E::State> {
        (0..self.len()).map(|b| self.object(b)).collect()
    }

    /// Finds equal states, so that networks see each of them once. Called when the batch is complete.
    pub fn find_distinct(&mut self) {
        let mut index: FxHashMap<&E::State, u32> = FxHashMap::default();
        index.reserve(self.states.len());
        let mut row = |state| {
            let next = index.len() as u32;
            *index.entry(state).or_insert(next)
        };
        let distinct_of = self.states.iter().map(&mut row).collect();
        self.set_distinct(distinct_of);
    }

    /// Takes over which slots hold equal states: numbers from 0, every one of them used.
    pub(crate) fn set_distinct(&mut self, distinct_of: Vec<u32>) {
        let n = distinct_of.iter().max().map_or(0, |&last| last as usize + 1);
        self.distinct = vec![0; n];
        for (slot, &row) in distinct_of.iter().enumerate().rev() {
            self.distinct[row as usize] = slot as u32;
        }
        self.distinct_of = distinct_of;
    }

    /// The distinct states, in the order of their numbers.
    pub fn distinct_states(&self) -> impl Iterator<Item = &E::State> {
        self.distinct.iter().map(|&slot| &self.states[slot as usize])
    }
}
