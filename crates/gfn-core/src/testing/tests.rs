//! The harness passes the grid and catches every way of breaking it.

use std::hash::{Hash, Hasher};

use rand::rngs::ChaCha8Rng;

use super::*;
use crate::environment::EnvSpec;
use crate::grid::{Cell, Grid};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    None,
    Cycle,
    ForwardUnsorted,
    ForwardOutOfRange,
    BackwardUnsorted,
    BackwardOutOfRange,
    BackwardAtStart,
    BackwardMissing,
    WeightZero,
    WeightInfinite,
    WeightMissing,
    WrongOpposite,
    UndoByOther,
    UndoElsewhere,
    IllegalUndo,
    StandsStill,
    LogBackward,
    FeatureOutOfRange,
    FeatureTwice,
    FeatureMissing,
    History,
    HashedHistory,
    Exhausted,
    NoPooled,
    PooledOutOfRange,
    KeysOfAll,
    PooledOfAll,
    LogBackwardOfAll,
    Keys,
    NoSize,
}

/// Two cells where faults strike.
const MIDDLE: Cell = Cell { coordinates: [1, 1, 1, 0, 0, 0, 0, 0] };
const FAR: Cell = Cell { coordinates: [2, 2, 2, 0, 0, 0, 0, 0] };

/// A grid cell with the last action; whether equality and hash see the action is what is broken.
#[derive(Debug, Clone, Copy)]
struct Marked {
    cell: Cell,
    last: u32,
    equality: bool,
    hash: bool,
}

impl PartialEq for Marked {
    fn eq(&self, other: &Self) -> bool {
        self.cell == other.cell && (!self.equality || self.last == other.last)
    }
}

impl Eq for Marked {}

impl Hash for Marked {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        self.cell.hash(hasher);
        if self.hash {
            self.last.hash(hasher);
        }
    }
}

struct Broken {
    grid: Grid,
    spec: EnvSpec,
    fault: Fault,
}

impl Broken {
    fn new(fault: Fault) -> Self {
        let grid = Grid::new(3, 3).unwrap();
        let mut spec = grid.spec().clone();
        match fault {
            Fault::Exhausted => spec.stop = StopRule::Exhausted,
            Fault::Cycle => (spec.n_forward, spec.n_backward) = (4, 4),
            Fault::NoSize => spec.n_backward = 0,
            _ => {}
        }
        Broken { grid, spec, fault }
    }

    fn mark(&self, cell: Cell, last: u32) -> Marked {
        let equality = self.fault == Fault::History;
        Marked { cell, last, equality, hash: equality || self.fault == Fault::HashedHistory }
    }

    fn is(&self, fault: Fault) -> bool {
        self.fault == fault
    }
}

impl Environment for Broken {
    type State = Marked;

    fn spec(&self) -> &EnvSpec {
        &self.spec
    }

    fn initial(&self) -> Marked {
        self.mark(self.grid.initial(), 0)
    }

    fn forward_actions(&self, state: &Marked, actions: &mut Vec<u32>) {
        self.grid.forward_actions(&state.cell, actions);
        match self.fault {
            Fault::Cycle if state.cell == FAR => actions.push(3),
            Fault::ForwardUnsorted => actions.reverse(),
            Fault::ForwardOutOfRange if !actions.is_empty() => actions.push(3),
            _ => {}
        }
    }

    fn backward_actions(&self, state: &Marked, actions: &mut Vec<u32>, weights: &mut Vec<f64>) {
        let full = state.cell == FAR;
        if self.is(Fault::BackwardMissing) && full {
            return;
        }
        self.grid.backward_actions(&state.cell, actions, weights);
        match self.fault {
            Fault::BackwardUnsorted => actions.reverse(),
            Fault::Cycle if state.cell == MIDDLE => {
                actions.push(3);
                weights.push(1.0);
            }
            Fault::BackwardOutOfRange if full => {
                actions.push(3);
                weights.push(1.0);
            }
            Fault::BackwardAtStart if actions.is_empty() => {
                actions.push(0);
                weights.push(1.0);
            }
            Fault::WeightZero if full => weights[1] = 0.0,
            Fault::WeightInfinite if full => weights[1] = f64::INFINITY,
            Fault::WeightMissing if full => drop(weights.pop()),
            // A second way back from cells of the first axis, which is no way at all.
            Fault::IllegalUndo if state.cell == Cell::new(&[1, 0, 0]) => {
                actions.push(1);
                weights.push(1.0);
            }
            _ => {}
        }
    }

    fn step(&self, state: &Marked, action: u32) -> (Marked, u32) {
        if action == 3 {
            return (self.mark(MIDDLE, 4), 3);
        }
        if self.is(Fault::StandsStill) && state.cell == self.grid.initial() {
            return (*state, action);
        }
        let (next, mut opposite) = self.grid.step(&state.cell, action);
        if self.is(Fault::WrongOpposite) && state.cell == MIDDLE {
            opposite = (action + 1) % 3;
        }
        (self.mark(next, action + 1), opposite)
    }

    fn undo(&self, state: &Marked, action: u32) -> (Marked, u32) {
        if action == 3 {
            return (self.mark(FAR, 0), 3);
        }
        let mut previous = state.cell;
        let x = &mut previous.coordinates[action as usize];
        *x = (*x + 2) % 3;
        let at_fault = state.cell == Cell::new(&[2, 2, 1]);
        if self.is(Fault::UndoElsewhere) && at_fault {
            previous = MIDDLE;
        }
        let opposite = if self.is(Fault::UndoByOther) && at_fault { (action + 1) % 3 } else { action };
        // Only a mark that does not count can be guessed.
        (self.mark(previous, if state.equality { state.last } else { 0 }), opposite)
    }

    fn encode(&self, state: &Marked, features: &mut Vec<u32>) {
        self.grid.encode(&state.cell, features);
        match self.fault {
            Fault::FeatureOutOfRange if state.cell == FAR => features.push(9),
            Fault::FeatureTwice if state.cell == FAR => features.push(8),
            Fault::FeatureMissing => drop(features.pop()),
            _ => {}
        }
    }

    fn log_backward_after(&self, state: &Marked, action: u32) -> f64 {
        if self.is(Fault::Cycle) && self.step(state, action).0.cell == MIDDLE {
            return -4f64.ln();
        }
        let off = if self.is(Fault::LogBackward) { 1e-6 } else { 0.0 };
        self.grid.log_backward_after(&state.cell, action) + off
    }

    fn n_action_keys(&self) -> usize {
        2
    }

    fn action_keys(&self, _state: &Marked, action: u32, keys: &mut Vec<u64>) {
        keys.extend([1, u64::from(action)]);
        if self.is(Fault::Keys) && action == 2 {
            keys.push(3);
        }
    }

    fn pooled_outputs(&self, _state: &Marked, action: u32, outputs: &mut Vec<u32>) {
        match self.fault {
            Fault::NoPooled if action == 2 => {}
            Fault::PooledOutOfRange => outputs.extend([action, 4]),
            _ => outputs.push(action),
        }
    }

    fn action_keys_each(&self, state: &Marked, actions: &[u32], keys: &mut Vec<u64>) {
        actions.iter().for_each(|&action| self.action_keys(state, action, keys));
        if self.is(Fault::KeysOfAll) && actions.len() > 1 {
            keys.reverse();
        }
    }

    fn pooled_outputs_each(
        &self,
        state: &Marked,
        actions: &[u32],
        outputs: &mut Vec<u32>,
        ends: &mut Vec<usize>,
    ) {
        for &action in actions {
            self.pooled_outputs(state, action, outputs);
            ends.push(if self.is(Fault::PooledOfAll) { 0 } else { outputs.len() });
        }
    }

    fn log_backward_after_each(&self, state: &Marked, actions: &[u32], log_backward: &mut Vec<f64>) {
        let off = if self.is(Fault::LogBackwardOfAll) { 1e-6 } else { 0.0 };
        log_backward.extend(actions.iter().map(|&a| self.log_backward_after(state, a) + off));
    }

    fn sample_object(&self, rng: &mut ChaCha8Rng) -> Option<Marked> {
        self.grid.sample_object(rng).map(|cell| self.mark(cell, 0))
    }
}

#[test]
fn the_grid_passes() {
    for (dimensions, side) in [(1, 2), (1, 9), (2, 9), (3, 4), (8, 2), (8, 300)] {
        let grid = Grid::new(dimensions, side).unwrap();
        let settings = CheckSettings { walks: 20, seed: 5, graph_limit: 700 };
        check_environment(&grid, &settings).unwrap();
    }
}

#[test]
fn every_fault_is_caught_with_its_message() {
    let settings = CheckSettings { walks: 20, seed: 1, graph_limit: 1000 };
    assert_eq!(check_environment(&Broken::new(Fault::None), &settings), Ok(()));
    for (fault, message) in [
        (Fault::ForwardUnsorted, "forward actions do not strictly increase"),
        (Fault::ForwardOutOfRange, "forward actions reach 3"),
        (Fault::BackwardUnsorted, "backward actions do not strictly increase"),
        (Fault::BackwardOutOfRange, "backward actions reach 3"),
        (Fault::BackwardAtStart, "in the initial state"),
        (Fault::BackwardMissing, "which is not initial"),
        (Fault::WeightZero, "not positive and finite: 0"),
        (Fault::WeightInfinite, "not positive and finite: inf"),
        (Fault::WeightMissing, "2 weights for 3 backward actions"),
        (Fault::WrongOpposite, "invert"),
        (Fault::UndoByOther, "is not legal before it"),
        (Fault::UndoElsewhere, "invert"),
        (Fault::IllegalUndo, "is not legal before it"),
        (Fault::StandsStill, "to itself"),
        (Fault::LogBackward, "log_backward_after"),
        (Fault::FeatureOutOfRange, "feature 9"),
        (Fault::FeatureTwice, "given twice"),
        (Fault::FeatureMissing, "unequal states with the same features"),
        (Fault::HashedHistory, "equal states with different hashes"),
        (Fault::Exhausted, "not complete"),
        (Fault::NoPooled, "no pooled output for action 2"),
        (Fault::PooledOutOfRange, "pooled output 4"),
        (Fault::KeysOfAll, "action_keys_each differs"),
        (Fault::PooledOfAll, "pooled_outputs_each differs"),
        (Fault::LogBackwardOfAll, "log_backward_after_each differs"),
        (Fault::Keys, "3 keys instead of 2"),
        (Fault::NoSize, "a size of 0"),
    ] {
        let found = check_environment(&Broken::new(fault), &settings).expect_err(&format!("{fault:?}"));
        assert!(found.contains(message), "{fault:?}: {found}");
    }
}

#[test]
fn states_that_remember_their_history_are_caught() {
    let found = check_environment(&Broken::new(Fault::History), &CheckSettings::default()).unwrap_err();
    assert!(found.contains("invert"), "{found}");
}

#[test]
fn a_cycle_is_caught_by_the_walks_and_by_the_graph() {
    let walks = CheckSettings { walks: 1, seed: 1, graph_limit: 0 };
    let found = check_environment(&Broken::new(Fault::Cycle), &walks).unwrap_err();
    assert!(found.contains("does not end within"), "{found}");
    let graph = CheckSettings { walks: 0, graph_limit: 1000, ..walks };
    let found = check_environment(&Broken::new(Fault::Cycle), &graph).unwrap_err();
    assert!(found.contains("a cycle of transitions"), "{found}");
}
