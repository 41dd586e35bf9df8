//! A multilayer perceptron on the active features of a state, with optional linear path, pooled outputs and table.

use std::sync::Arc;

use super::backend::{Network, random_weights};
use super::{Kept, MlpSettings, NamedTensor, Output, Policy, PolicySpec, Pool, TrainablePolicy};
use crate::encoding::{Needs, StateBatch};
use crate::error::{Error, Result};
use crate::random::stream;
use crate::simd::{add_rows, add_to_rows, sum_rows};

/// Features are binary and few are active, so the first layer is a sum of weight rows, not a matrix product.
///
/// `logit(a | s) = mean of the outputs named for a (+ linear path) (+ Σ table[key]) (+ log p_B(s | s'))`
#[derive(Debug, Clone)]
pub struct Mlp {
    spec: PolicySpec,
    settings: MlpSettings,
    /// n_features × hidden[0], and hidden[0] biases.
    first_weights: Vec<f32>,
    first_bias: Vec<f32>,
    network: Network,
    /// n_features × n_outputs, or empty.
    linear_path: Vec<f32>,
    /// 2^bits numbers, or empty.
    table: Vec<f32>,
}

impl Mlp {
    /// A freshly initialised network; hidden layers after He et al. (2015).
    pub fn new(spec: PolicySpec, settings: MlpSettings, seed: u64) -> Result<Self> {
        if settings.hidden.is_empty() || settings.hidden.contains(&0) {
            return Err(Error::usage(
                "hidden",
                "at least one hidden layer of at least one unit",
                format!("{:?}", settings.hidden),
                "give widths such as [128, 128]",
            ));
        }
        if settings.table_bits.is_some_and(|bits| !(4..=24).contains(&bits)) {
            return Err(Error::usage(
                "table_bits",
                "4 to 24",
                format!("{:?}", settings.table_bits),
                "the table has 2^bits numbers",
            ));
        }
        if !settings.output_scale.is_finite() {
            return Err(Error::usage(
                "output_scale",
                "a finite number",
                settings.output_scale.to_string(),
                "0.3 is the default, 0 starts at constant outputs",
            ));
        }
        let mut rng = stream(seed, "mlp-initialisation", 0);
        let n_features = spec.env.n_features();
        let hidden = settings.hidden[0];
        // A few dozen of many binary features are active at a time: fan-in is what is active, about the square root.
        let fan_in = (n_features as f64).sqrt().ceil() as usize;
        let mut widths = settings.hidden.clone();
        widths.push(spec.n_outputs());
        Ok(Mlp {
            first_weights: random_weights(fan_in, n_features * hidden, std::f64::consts::SQRT_2, &mut rng),
            first_bias: vec![0.0; hidden],
            network: Network::new(&widths, settings.activation, settings.output_scale, &mut rng),
            linear_path: if settings.linear_path {
                vec![0.0; n_features * spec.n_outputs()]
            } else {
                Vec::new()
            },
            table: settings.table_bits.map_or_else(Vec::new, |bits| vec![0.0; 1 << bits]),
            spec,
            settings,
        })
    }

    /// The states from `first` on of which an output is read: objects without a way on have none, and are passed over.
    fn rows_read<'a>(&'a self, batch: &'a StateBatch, first: usize) -> impl Iterator<Item = usize> + 'a {
        let all = self.spec.flow || self.spec.learned_backward;
        (first..batch.rows).filter(move |&row| all || !batch.forward_of(row).is_empty())
    }

    /// Appends the first layer's sums for the states from `first` on that are read, and returns how many they are.
    fn append_hidden(&self, batch: &StateBatch, first: usize, input: &mut Vec<f32>) -> usize {
        let (width, before) = (self.first_bias.len(), input.len());
        for row in self.rows_read(batch, first) {
            let start = input.len();
            input.extend_from_slice(&self.first_bias);
            sum_rows(&mut input[start..start + width], &self.first_weights, batch.features_of(row));
        }
        (input.len() - before) / width
    }

    /// Appends the outputs for the states from `first` on; the raw outputs of those that are read are given.
    fn append_output(&self, batch: &StateBatch, first: usize, mut raw: Vec<f32>, output: &mut Output) {
        let n_outputs = self.spec.n_outputs();
        let n_forward = self.spec.env.n_forward_outputs();
        if !self.linear_path.is_empty() {
            for (row, target) in self.rows_read(batch, first).zip(raw.chunks_exact_mut(n_outputs)) {
                sum_rows(target, &self.linear_path, batch.features_of(row));
            }
        }
        output.forward.reserve(batch.forward.len() - output.forward.len());
        for (row, raw) in self.rows_read(batch, first).zip(raw.chunks_exact(n_outputs)) {
            let positions = batch.forward_offsets[row]..batch.forward_offsets[row + 1];
            if self.settings.pooled {
                output.forward.extend(positions.clone().map(|position| {
                    let outputs = pooled_outputs(batch, position);
                    outputs.iter().map(|&o| f64::from(raw[o as usize])).sum::<f64>() / outputs.len() as f64
                }));
            } else {
                let actions = batch.forward[positions.clone()].iter();
                output.forward.extend(actions.map(|&action| f64::from(raw[action as usize])));
            }
            if self.settings.backward_start {
                let own = output.forward[positions.clone()].iter_mut();
                own.zip(&batch.log_backward_after[positions]).for_each(|(logit, log_p)| *logit += log_p);
            }
            self.add_table(batch, row, &mut output.forward);
            if self.spec.learned_backward {
                let logits = batch.backward_of(row).iter().map(|&a| f64::from(raw[n_forward + a as usize]));
                output.backward.extend(logits);
            }
            if self.spec.flow {
                output.log_flow.push(f64::from(raw[n_outputs - 1]));
            }
        }
    }

    /// The keys of the legal actions of state `row`, but for the stop action, which has none; empty without a table.
    fn keys_of<'a>(&self, batch: &'a StateBatch, row: usize) -> &'a [u64] {
        if self.table.is_empty() {
            return &[];
        }
        let stops = usize::from(self.spec.env.stop_action().is_some());
        let positions = batch.forward_offsets[row]..batch.forward_offsets[row + 1] - stops;
        &batch.keys[positions.start * batch.n_keys..positions.end * batch.n_keys]
    }

    /// The table entry of a key.
    fn slot(&self, key: u64) -> usize {
        (spread(key) & (self.table.len() - 1) as u64) as usize
    }

    /// Adds the numbers of the table to the logits of state `row`.
    fn add_table(&self, batch: &StateBatch, row: usize, logits: &mut [f64]) {
        let own = &mut logits[batch.forward_offsets[row]..];
        for (logit, keys) in own.iter_mut().zip(self.keys_of(batch, row).chunks_exact(batch.n_keys.max(1))) {
            *logit += keys.iter().map(|&key| f64::from(self.table[self.slot(key)])).sum::<f64>();
        }
    }

    /// The gradient with respect to the raw outputs of the states that are read, and to the table.
    fn raw_gradient(&self, batch: &StateBatch, gradient: &Output, pool: &Pool) -> (Vec<f32>, Vec<f32>) {
        let n_outputs = self.spec.n_outputs();
        let n_forward = self.spec.env.n_forward_outputs();
        let n_rows = self.rows_read(batch, 0).count();
        let (mut raw, mut table) = (pool.zeros(n_rows * n_outputs), pool.zeros(self.table.len()));
        for (row, raw) in self.rows_read(batch, 0).zip(raw.chunks_exact_mut(n_outputs)) {
            for position in batch.forward_offsets[row]..batch.forward_offsets[row + 1] {
                let slope = gradient.forward[position] as f32;
                if self.settings.pooled {
                    let outputs = pooled_outputs(batch, position);
                    let share = slope / outputs.len() as f32;
                    outputs.iter().for_each(|&o| raw[o as usize] += share);
                } else {
                    raw[batch.forward[position] as usize] += slope;
                }
            }
            let slopes = &gradient.forward[batch.forward_offsets[row]..];
            for (slope, keys) in slopes.iter().zip(self.keys_of(batch, row).chunks_exact(batch.n_keys.max(1)))
            {
                keys.iter().for_each(|&key| table[self.slot(key)] += *slope as f32);
            }
            if self.spec.learned_backward {
                for position in batch.backward_offsets[row]..batch.backward_offsets[row + 1] {
                    raw[n_forward + batch.backward[position] as usize] += gradient.backward[position] as f32;
                }
            }
            if self.spec.flow {
                raw[n_outputs - 1] += gradient.log_flow[row] as f32;
            }
        }
        (raw, table)
    }
}

impl Policy for Mlp {
    fn spec(&self) -> &PolicySpec {
        &self.spec
    }

    fn needs(&self) -> Needs {
        Needs {
            log_backward_after: self.settings.backward_start,
            keys: self.settings.table_bits.is_some(),
            pooled: self.settings.pooled,
            fingerprints: false,
        }
    }

    fn forward(&self, batch: &StateBatch) -> Output {
        let (mut input, mut output) =
            (Vec::with_capacity(batch.rows * self.first_bias.len()), Output::default());
        let rows = self.append_hidden(batch, 0, &mut input);
        self.append_output(batch, 0, self.network.forward(input, rows), &mut output);
        output
    }

    fn tensors(&self) -> Vec<NamedTensor> {
        let (n_features, hidden) = (self.spec.env.n_features(), self.first_bias.len());
        let tensor = |name: &str, shape: Vec<usize>, values: &Vec<f32>| NamedTensor {
            name: name.into(),
            shape,
            values: values.clone(),
        };
        let mut tensors = vec![
            tensor("first.weight", vec![n_features, hidden], &self.first_weights),
            tensor("first.bias", vec![hidden], &self.first_bias),
        ];
        tensors.extend(self.network.tensors("layers"));
        if !self.linear_path.is_empty() {
            tensors.push(tensor("linear_path", vec![n_features, self.spec.n_outputs()], &self.linear_path));
        }
        if !self.table.is_empty() {
            tensors.push(tensor("table", vec![self.table.len()], &self.table));
        }
        tensors
    }
}

impl TrainablePolicy for Mlp {
    fn evaluate(&self, batch: &StateBatch, first: usize, output: &mut Output, kept: &mut Kept) {
        let arrays = kept.part(0, self.network.n_kept());
        let rows = self.append_hidden(batch, first, Arc::make_mut(&mut arrays[0]));
        let raw = self.network.evaluate(arrays, rows);
        self.append_output(batch, first, raw, output);
    }

    fn pull_back(&self, batch: &StateBatch, kept: &Kept, gradient: &Output) -> Vec<Vec<f32>> {
        let pool = &kept.pool;
        let (raw, table) = self.raw_gradient(batch, gradient, pool);
        let mut linear_path = pool.zeros(self.linear_path.len());
        if !linear_path.is_empty() {
            for (row, raw) in self.rows_read(batch, 0).zip(raw.chunks_exact(self.spec.n_outputs())) {
                add_to_rows(&mut linear_path, raw, batch.features_of(row));
            }
        }
        let below = self.network.pull_back(&kept.arrays, raw, pool);
        let width = self.first_bias.len();
        let (mut first_weights, mut first_bias) = (pool.zeros(self.first_weights.len()), pool.zeros(width));
        add_rows(&mut first_bias, &below.input);
        for (row, gradient) in self.rows_read(batch, 0).zip(below.input.chunks_exact(width)) {
            add_to_rows(&mut first_weights, gradient, batch.features_of(row));
        }
        pool.give(below.input);
        let mut gradients = vec![first_weights, first_bias];
        gradients.extend(below.parameters);
        if !linear_path.is_empty() {
            gradients.push(linear_path);
        }
        if !table.is_empty() {
            gradients.push(table);
        }
        gradients
    }

    fn parameters_mut(&mut self) -> Vec<&mut Vec<f32>> {
        let mut parameters = vec![&mut self.first_weights, &mut self.first_bias];
        parameters.extend(self.network.parameters_mut());
        if !self.linear_path.is_empty() {
            parameters.push(&mut self.linear_path);
        }
        if !self.table.is_empty() {
            parameters.push(&mut self.table);
        }
        parameters
    }

    fn as_policy(&self) -> &dyn Policy {
        self
    }
}

fn pooled_outputs(batch: &StateBatch, position: usize) -> &[u32] {
    &batch.pooled[batch.pooled_offsets[position]..batch.pooled_offsets[position + 1]]
}

/// Spreads the bits of a key over the low ones (Fibonacci hashing).
fn spread(key: u64) -> u64 {
    key.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 20
}
