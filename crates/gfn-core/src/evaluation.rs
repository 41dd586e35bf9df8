//! States that a policy has evaluated, each of them once, in the order in which they were first met.

use rustc_hash::FxHashMap;

use crate::encoding::{Needs, StateBatch};
use crate::environment::Environment;
use crate::policy::{Kept, Output};

/// Evaluates encoded states: the policy's output, and what it keeps for the way back.
pub(crate) type Evaluate<'a> = &'a dyn Fn(&StateBatch) -> (Output, Kept);

/// Grows with the states it is asked for.
pub(crate) struct Evaluations<'a, E: Environment> {
    env: &'a E,
    needs: Needs,
    evaluate: Evaluate<'a>,
    row_of: FxHashMap<E::State, u32>,
    pub encoded: StateBatch,
    pub output: Output,
    pub kept: Kept,
}

impl<'a, E: Environment> Evaluations<'a, E> {
    /// None yet. `needs` is what has to be in the encoded states.
    pub fn new(env: &'a E, needs: Needs, evaluate: Evaluate<'a>) -> Self {
        Evaluations {
            env,
            needs,
            evaluate,
            row_of: FxHashMap::default(),
            encoded: StateBatch::empty(env),
            output: Output::default(),
            kept: Kept::default(),
        }
    }

    /// The row of each state; those not met before are evaluated, all together.
    pub fn rows<'s>(&mut self, states: impl Iterator<Item = &'s E::State>) -> Vec<u32> {
        let mut new = Vec::new();
        let rows = states
            .map(|state| {
                if let Some(&row) = self.row_of.get(state) {
                    return row;
                }
                let row = self.row_of.len() as u32;
                self.row_of.insert(state.clone(), row);
                new.push(state);
                row
            })
            .collect();
        if !new.is_empty() {
            let part = StateBatch::new(self.env, new, self.needs);
            let (output, kept) = (self.evaluate)(&part);
            self.encoded.append(part);
            self.output.append(output);
            self.kept.append(kept);
        }
        rows
    }

    /// Forgets all states.
    pub fn clear(&mut self) {
        *self = Evaluations::new(self.env, self.needs, self.evaluate);
    }
}
