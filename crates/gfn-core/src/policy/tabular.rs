//! One free logit per state and action: the policy of tests and of small exact work.

use rustc_hash::FxHashMap;

use super::spec::{refuse_others, take_tensor};
use super::{Kept, NamedTensor, Output, Policy, PolicySpec, TensorMap, TrainablePolicy};
use crate::encoding::{Needs, StateBatch};
use crate::error::{Error, Place, Result};

/// A table with a row of logits per state, made when the state is first seen; unseen states have zero logits.
#[derive(Debug, Clone)]
pub struct Tabular {
    spec: PolicySpec,
    row_of: FxHashMap<u128, usize>,
    fingerprints: Vec<u128>,
    values: Vec<f32>,
}

impl Tabular {
    /// An empty table.
    pub fn new(spec: PolicySpec) -> Self {
        Tabular { spec, row_of: FxHashMap::default(), fingerprints: Vec::new(), values: Vec::new() }
    }

    /// Appends the output for the states from `first` on.
    fn append_output(&self, batch: &StateBatch, first: usize, output: &mut Output) {
        let n_forward = self.spec.env.n_forward_outputs();
        let width = self.spec.n_outputs();
        for row in first..batch.rows {
            let values = self
                .row_of
                .get(&batch.fingerprints[row])
                .map_or(&[][..], |&index| &self.values[index * width..(index + 1) * width]);
            let read = |index: usize| values.get(index).map_or(0.0, |&v| f64::from(v));
            output.forward.extend(batch.forward_of(row).iter().map(|&action| read(action as usize)));
            if self.spec.learned_backward {
                output.backward.extend(batch.backward_of(row).iter().map(|&a| read(n_forward + a as usize)));
            }
            if self.spec.flow {
                output.log_flow.push(read(width - 1));
            }
        }
    }
}

impl Policy for Tabular {
    fn spec(&self) -> &PolicySpec {
        &self.spec
    }

    fn needs(&self) -> Needs {
        Needs { fingerprints: true, ..Needs::default() }
    }

    fn forward(&self, batch: &StateBatch) -> Output {
        let mut output = Output::default();
        self.append_output(batch, 0, &mut output);
        output
    }

    fn tensors(&self) -> Vec<NamedTensor> {
        // Sixteen bits per number: small integers are exact in f32 and survive any tool.
        let words = |key: u128| (0..8).map(move |i| ((key >> (16 * i)) & 0xffff) as f32);
        let rows = self.fingerprints.len();
        vec![
            NamedTensor {
                name: "logits".into(),
                shape: vec![rows, self.spec.n_outputs()],
                values: self.values.clone(),
            },
            NamedTensor {
                name: "state_bits".into(),
                shape: vec![rows, 8],
                values: self.fingerprints.iter().flat_map(|&key| words(key)).collect(),
            },
        ]
    }
}

impl TrainablePolicy for Tabular {
    fn prepare(&mut self, batch: &StateBatch) {
        for &key in &batch.fingerprints {
            let next = self.fingerprints.len();
            if *self.row_of.entry(key).or_insert(next) == next {
                self.fingerprints.push(key);
            }
        }
        self.values.resize(self.fingerprints.len() * self.spec.n_outputs(), 0.0);
    }

    fn evaluate(&self, batch: &StateBatch, first: usize, output: &mut Output, _kept: &mut Kept) {
        self.append_output(batch, first, output);
    }

    fn pull_back(&self, batch: &StateBatch, kept: &Kept, gradient: &Output) -> Vec<Vec<f32>> {
        let n_forward = self.spec.env.n_forward_outputs();
        let width = self.spec.n_outputs();
        let mut values = kept.pool.zeros(self.values.len());
        for row in 0..batch.rows {
            let start = self.row_of[&batch.fingerprints[row]] * width;
            for position in batch.forward_offsets[row]..batch.forward_offsets[row + 1] {
                values[start + batch.forward[position] as usize] += gradient.forward[position] as f32;
            }
            if self.spec.learned_backward {
                for position in batch.backward_offsets[row]..batch.backward_offsets[row + 1] {
                    values[start + n_forward + batch.backward[position] as usize] +=
                        gradient.backward[position] as f32;
                }
            }
            if self.spec.flow {
                values[start + width - 1] += gradient.log_flow[row] as f32;
            }
        }
        vec![values]
    }

    fn parameters_mut(&mut self) -> Vec<&mut Vec<f32>> {
        vec![&mut self.values]
    }

    fn restore(&mut self, mut tensors: TensorMap) -> Result<()> {
        let (logits, keys) = (take_tensor(&mut tensors, "logits")?, take_tensor(&mut tensors, "state_bits")?);
        refuse_others(&tensors)?;
        let width = self.spec.n_outputs();
        let rows = keys.values.len() / 8;
        if keys.shape != [rows, 8] || logits.shape != [rows, width] {
            return Err(Error::input(
                Place::item("tensor logits"),
                format!("{width} logits for each state of 8 words"),
                format!("logits of shape {:?} and words of shape {:?}", logits.shape, keys.shape),
                "the file belongs to another plan or version",
            ));
        }
        let mut row_of = FxHashMap::default();
        let mut fingerprints = Vec::with_capacity(rows);
        for words in keys.values.chunks(8) {
            let key = words.iter().rev().fold(0u128, |key, &word| (key << 16) | u128::from(word as u16));
            let exact = words.iter().all(|&word| f32::from(word as u16) == word);
            if !exact || row_of.insert(key, fingerprints.len()).is_some() {
                return Err(Error::input(
                    Place::item("tensor state_bits"),
                    "whole numbers of 16 bits, every state once",
                    format!("{words:?} for state {}", fingerprints.len()),
                    "the file is damaged: train again",
                ));
            }
            fingerprints.push(key);
        }
        (self.row_of, self.fingerprints, self.values) = (row_of, fingerprints, logits.values);
        Ok(())
    }

    fn as_policy(&self) -> &dyn Policy {
        self
    }
}
