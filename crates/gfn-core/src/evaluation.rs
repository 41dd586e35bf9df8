//! States that a policy has evaluated, each of them once, in the order in which they were first met.

use rustc_hash::FxHashMap;

use crate::encoding::{Needs, StateBatch};
use crate::environment::Environment;
use crate::math::append_softmax;
use crate::policy::{Kept, LogProbabilities, Output};

/// Evaluates the encoded states from a number on: appends the policy's outputs, and what it keeps for the way back.
pub(crate) type Evaluate<'a> = &'a dyn Fn(&StateBatch, usize, &mut Output, &mut Kept);

/// Encoded states with what a policy says about them; grows with the states it is asked for. Training uses the same one
/// in every step, so that its memory stays.
pub(crate) struct Evaluations<E: Environment> {
    row_of: FxHashMap<E::State, u32>,
    pub encoded: StateBatch,
    pub output: Output,
    pub log_p: LogProbabilities,
    /// p_F, aligned with its logs.
    pub probabilities: Vec<f64>,
    pub kept: Kept,
}

impl<E: Environment> Evaluations<E> {
    /// None yet.
    pub fn new(env: &E) -> Self {
        Evaluations {
            row_of: FxHashMap::default(),
            encoded: StateBatch::empty(env),
            output: Output::default(),
            log_p: LogProbabilities::default(),
            probabilities: Vec::new(),
            kept: Kept::default(),
        }
    }

    /// The row of each state; those not met before are evaluated, all together. `needs` is what has to be in the encoded
    /// states.
    pub fn rows<'s>(
        &mut self,
        env: &E,
        needs: Needs,
        evaluate: Evaluate,
        states: impl Iterator<Item = &'s E::State>,
    ) -> Vec<u32> {
        let first = self.encoded.rows;
        let mut row = |state: &E::State| {
            if let Some(&row) = self.row_of.get(state) {
                return row;
            }
            let row = self.encoded.rows as u32;
            self.row_of.insert(state.clone(), row);
            self.encoded.push(env, state, needs);
            row
        };
        let rows = states.map(&mut row).collect();
        if self.encoded.rows > first {
            evaluate(&self.encoded, first, &mut self.output, &mut self.kept);
            for row in self.encoded.forward_offsets[first..].windows(2) {
                let logits = &self.output.forward[row[0]..row[1]];
                append_softmax(logits, &mut self.probabilities, &mut self.log_p.forward);
            }
            self.log_p.append_backward(&self.encoded, first, &self.output);
        }
        rows
    }

    /// Forgets all states.
    pub fn clear(&mut self) {
        self.row_of.clear();
        self.encoded.clear();
        self.output.clear();
        self.probabilities.clear();
        self.log_p.forward.clear();
        self.log_p.backward.clear();
        self.kept.clear();
    }
}
