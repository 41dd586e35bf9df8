//! States that a policy has evaluated, each of them once, in the order in which they were first met.

use crate::encoding::{Needs, StateBatch};
use crate::environment::Environment;
use crate::math::append_softmax;
use crate::policy::{Kept, LogProbabilities, Output};
use crate::trajectory::TrajectoryBatch;

/// Evaluates the encoded states from a number on: appends the policy's outputs, and what it keeps for the way back.
pub(crate) type Evaluate<'a> = &'a dyn Fn(&StateBatch, usize, &mut Output, &mut Kept);

/// Encoded states with what a policy says about them. Training uses the same one in every step, so that its memory stays.
#[derive(Default)]
pub(crate) struct Evaluations {
    pub encoded: StateBatch,
    pub output: Output,
    pub log_p: LogProbabilities,
    /// p_F, aligned with its logs.
    pub probabilities: Vec<f64>,
    pub kept: Kept,
    /// Where each legal forward action was found to lead, by its position: the number of the next state and the action back.
    pub next: Vec<Option<(u32, u32)>>,
}

impl Evaluations {
    /// None yet.
    pub fn new<E: Environment>(env: &E) -> Self {
        Evaluations { encoded: StateBatch::empty(env), ..Evaluations::default() }
    }

    /// Evaluates the states of a batch that are not here yet, all together; row r is then the state of number r. `needs`
    /// is what has to be in the encoded states.
    pub fn follow<E: Environment>(
        &mut self,
        env: &E,
        needs: Needs,
        evaluate: Evaluate,
        batch: &TrajectoryBatch<E>,
    ) {
        let first = self.encoded.rows;
        for number in first..batch.n_states() {
            self.encoded.push(env, batch.state_of(number as u32), needs);
        }
        self.evaluate(evaluate, first);
    }

    /// Evaluates the encoded states from row `first` on.
    pub fn evaluate(&mut self, evaluate: Evaluate, first: usize) {
        if self.encoded.rows == first {
            return;
        }
        evaluate(&self.encoded, first, &mut self.output, &mut self.kept);
        self.next.resize(self.encoded.forward.len(), None);
        let offsets = &self.encoded.forward_offsets[first..];
        let logits = &self.output.forward[offsets[0]..];
        append_softmax(logits, offsets, &mut self.probabilities, &mut self.log_p.forward);
        self.log_p.append_backward(&self.encoded, first, &self.output);
    }

    /// Forgets all states.
    pub fn clear(&mut self) {
        self.encoded.clear();
        self.output.clear();
        self.probabilities.clear();
        self.log_p.forward.clear();
        self.log_p.backward.clear();
        self.kept.clear();
        self.next.clear();
    }
}
