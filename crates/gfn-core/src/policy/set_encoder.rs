//! A network that shares its weights over the rows of a state (Deep Sets), with a head per action or per pair of rows.

use std::sync::Arc;

use super::backend::{Network, random_weights};
use super::{Kept, NamedTensor, Output, Policy, PolicySpec, SetEncoderSettings, TrainablePolicy};
use crate::encoding::{Needs, StateBatch};
use crate::environment::Heads;
use crate::error::{Error, Result};
use crate::random::stream;
use crate::simd::{add_rows, add_to_rows, sum_rows};

/// Row r with active features f: v_r = network(Σ_f E_f + b); context c = Σ_r v_r.
///
/// [`Heads::Flat`]: all outputs are network(c). [`Heads::Pairs`]: logit(i → j) = ⟨left_i, right_j⟩ with
/// (left_r, right_r) = network(v_r + c); only stop, backward actions and the flow come from c. Rows without active
/// features count like any other, so a row that is empty is a fact the network sees.
#[derive(Debug, Clone)]
pub struct SetEncoder {
    spec: PolicySpec,
    settings: SetEncoderSettings,
    /// width × hidden, and hidden biases.
    embedding: Vec<f32>,
    embedding_bias: Vec<f32>,
    rows_network: Network,
    context_network: Network,
    pair_network: Option<Network>,
}

impl SetEncoder {
    /// A freshly initialised network.
    pub fn new(spec: PolicySpec, settings: SetEncoderSettings, seed: u64) -> Result<Self> {
        if settings.hidden == 0 || settings.pair_width == 0 {
            return Err(Error::usage(
                "hidden",
                "positive widths",
                format!("{settings:?}"),
                "give at least 1",
            ));
        }
        let pairs = spec.env.heads == Heads::Pairs;
        if pairs && spec.env.n_forward != spec.env.rows * spec.env.rows {
            return Err(Error::usage(
                "set encoder",
                "an environment with one action per ordered pair of rows",
                format!("{} actions and {} rows", spec.env.n_forward, spec.env.rows),
                "use the mlp policy",
            ));
        }
        let mut rng = stream(seed, "set-encoder-initialisation", 0);
        let (hidden, activation) = (settings.hidden, settings.activation);
        let he = std::f64::consts::SQRT_2;
        let fan_in = (spec.env.width as f64).sqrt().ceil() as usize;
        let n_context = Self::n_context_outputs(&spec);
        Ok(SetEncoder {
            embedding: random_weights(fan_in, spec.env.width * hidden, he, &mut rng),
            embedding_bias: vec![0.0; hidden],
            rows_network: Network::new(&[hidden, hidden], activation, 1.0, &mut rng),
            context_network: Network::new(&[hidden, hidden, n_context.max(1)], activation, 0.1, &mut rng),
            pair_network: pairs
                .then(|| Network::new(&[hidden, 2 * settings.pair_width], activation, 0.5, &mut rng)),
            spec,
            settings,
        })
    }

    /// Outputs that come from the context: all, or all but the pair actions.
    fn n_context_outputs(spec: &PolicySpec) -> usize {
        spec.n_outputs() - if spec.env.heads == Heads::Pairs { spec.env.n_forward } else { 0 }
    }

    /// Appends Σ_f E_f + b for every row of the states from `first` on.
    fn append_embedded(&self, batch: &StateBatch, first: usize, embedded: &mut Vec<f32>) {
        let (rows, width, hidden) = (self.spec.env.rows, self.spec.env.width as u32, self.settings.hidden);
        for state in first..batch.rows {
            let start = embedded.len();
            for _ in 0..rows {
                embedded.extend_from_slice(&self.embedding_bias);
            }
            for &feature in batch.features_of(state) {
                let row = start + (feature / width) as usize * hidden;
                sum_rows(&mut embedded[row..row + hidden], &self.embedding, &[feature % width]);
            }
        }
    }

    /// Σ over the rows of each state.
    fn pool(&self, values: &[f32], states: usize) -> Vec<f32> {
        let (rows, hidden) = (self.spec.env.rows, self.settings.hidden);
        let mut context = vec![0.0; states * hidden];
        for (state, target) in context.chunks_exact_mut(hidden).enumerate() {
            for row in values[state * rows * hidden..][..rows * hidden].chunks_exact(hidden) {
                target.iter_mut().zip(row).for_each(|(t, v)| *t += v);
            }
        }
        context
    }

    /// v_r + c for every row.
    fn with_context(&self, values: &[f32], context: &[f32]) -> Vec<f32> {
        let (rows, hidden) = (self.spec.env.rows, self.settings.hidden);
        let mut out = values.to_vec();
        for (row, target) in out.chunks_exact_mut(hidden).enumerate() {
            let context = &context[row / rows * hidden..][..hidden];
            target.iter_mut().zip(context).for_each(|(t, c)| *t += c);
        }
        out
    }

    /// Appends the outputs for the states from `first` on, whose context and pair outputs are given.
    fn append_output(
        &self,
        batch: &StateBatch,
        first: usize,
        context: &[f32],
        pairs: &[f32],
        output: &mut Output,
    ) {
        let width = Self::n_context_outputs(&self.spec).max(1);
        for state in first..batch.rows {
            let context = &context[(state - first) * width..][..width];
            for &action in batch.forward_of(state) {
                output.forward.push(match self.place(state - first, action) {
                    Place::Context(index) => f64::from(context[index]),
                    Place::Pair(left, right) => {
                        let w = self.settings.pair_width;
                        let dot: f32 =
                            pairs[left..left + w].iter().zip(&pairs[right..]).map(|(a, b)| a * b).sum();
                        f64::from(dot)
                    }
                });
            }
            let first_backward = self.first_backward();
            if self.spec.learned_backward {
                let logits =
                    batch.backward_of(state).iter().map(|&a| f64::from(context[first_backward + a as usize]));
                output.backward.extend(logits);
            }
            if self.spec.flow {
                output.log_flow.push(f64::from(context[width - 1]));
            }
        }
    }

    /// The gradient with respect to the context outputs and the pair outputs.
    fn raw_gradient(&self, batch: &StateBatch, pairs: &[f32], gradient: &Output) -> (Vec<f32>, Vec<f32>) {
        let width = Self::n_context_outputs(&self.spec).max(1);
        let w = self.settings.pair_width;
        let mut context_gradient = vec![0.0f32; batch.rows * width];
        let mut pair_gradient = vec![0.0f32; pairs.len()];
        for state in 0..batch.rows {
            for position in batch.forward_offsets[state]..batch.forward_offsets[state + 1] {
                let slope = gradient.forward[position] as f32;
                match self.place(state, batch.forward[position]) {
                    Place::Context(index) => context_gradient[state * width + index] += slope,
                    Place::Pair(left, right) => {
                        for k in 0..w {
                            pair_gradient[left + k] += slope * pairs[right + k];
                            pair_gradient[right + k] += slope * pairs[left + k];
                        }
                    }
                }
            }
            if self.spec.learned_backward {
                for position in batch.backward_offsets[state]..batch.backward_offsets[state + 1] {
                    let index = self.first_backward() + batch.backward[position] as usize;
                    context_gradient[state * width + index] += gradient.backward[position] as f32;
                }
            }
            if self.spec.flow {
                context_gradient[state * width + width - 1] += gradient.log_flow[state] as f32;
            }
        }
        (context_gradient, pair_gradient)
    }

    fn first_backward(&self) -> usize {
        self.spec.env.n_forward_outputs()
            - if self.pair_network.is_some() { self.spec.env.n_forward } else { 0 }
    }

    /// Where the logit of a forward action comes from.
    fn place(&self, state: usize, action: u32) -> Place {
        let action = action as usize;
        if self.pair_network.is_none() {
            return Place::Context(action);
        }
        if action >= self.spec.env.n_forward {
            return Place::Context(action - self.spec.env.n_forward);
        }
        let (rows, w) = (self.spec.env.rows, self.settings.pair_width);
        let (i, j) = (action / rows, action % rows);
        Place::Pair((state * rows + i) * 2 * w, (state * rows + j) * 2 * w + w)
    }
}

enum Place {
    Context(usize),
    Pair(usize, usize),
}

impl Policy for SetEncoder {
    fn spec(&self) -> &PolicySpec {
        &self.spec
    }

    fn needs(&self) -> Needs {
        Needs::default()
    }

    fn forward(&self, batch: &StateBatch) -> Output {
        let mut output = Output::default();
        self.evaluate(batch, 0, &mut output, &mut Kept::default());
        output
    }

    fn tensors(&self) -> Vec<NamedTensor> {
        let hidden = self.settings.hidden;
        let mut tensors = vec![
            NamedTensor {
                name: "embedding.weight".into(),
                shape: vec![self.spec.env.width, hidden],
                values: self.embedding.clone(),
            },
            NamedTensor {
                name: "embedding.bias".into(),
                shape: vec![hidden],
                values: self.embedding_bias.clone(),
            },
        ];
        tensors.extend(self.rows_network.tensors("rows"));
        tensors.extend(self.context_network.tensors("context"));
        if let Some(network) = &self.pair_network {
            tensors.extend(network.tensors("pairs"));
        }
        tensors
    }
}

impl TrainablePolicy for SetEncoder {
    fn evaluate(&self, batch: &StateBatch, first: usize, output: &mut Output, kept: &mut Kept) {
        let states = batch.rows - first;
        let n_rows = states * self.spec.env.rows;
        let (n_first, n_context) = (self.rows_network.n_kept(), self.context_network.n_kept());
        let rows_kept = kept.part(0, n_first);
        self.append_embedded(batch, first, Arc::make_mut(&mut rows_kept[0]));
        let values = self.rows_network.evaluate(rows_kept, n_rows);
        let pooled = self.pool(&values, states);
        let context_kept = kept.part(n_first, n_context);
        Arc::make_mut(&mut context_kept[0]).extend_from_slice(&pooled);
        let context = self.context_network.evaluate(context_kept, states);
        let mut pairs = Vec::new();
        if let Some(network) = &self.pair_network {
            let pair_kept = kept.part(n_first + n_context, network.n_kept() + 1);
            let (outputs, pair_kept) = pair_kept.split_last_mut().expect("one more than the network's");
            Arc::make_mut(&mut pair_kept[0]).extend(self.with_context(&values, &pooled));
            pairs = network.evaluate(pair_kept, n_rows);
            Arc::make_mut(outputs).extend_from_slice(&pairs);
        }
        self.append_output(batch, first, &context, &pairs, output);
    }

    fn pull_back(&self, batch: &StateBatch, kept: &Kept, gradient: &Output) -> Vec<Vec<f32>> {
        let hidden = self.settings.hidden;
        let n_rows = batch.rows * self.spec.env.rows;
        let pool = &kept.pool;
        let (rows_kept, kept) = kept.arrays.split_at(self.rows_network.n_kept());
        let (context_kept, pair_kept) = kept.split_at(self.context_network.n_kept());
        let pairs = pair_kept.last().map_or(&[][..], |outputs| outputs);
        let (context_gradient, pair_gradient) = self.raw_gradient(batch, pairs, gradient);
        let context_below = self.context_network.pull_back(context_kept, context_gradient, pool);
        let mut pooled_gradient = context_below.input;
        let pair_below =
            self.pair_network.as_ref().map(|network| network.pull_back(pair_kept, pair_gradient, pool));
        let mut row_gradient =
            pair_below.as_ref().map_or_else(|| vec![0.0; n_rows * hidden], |b| b.input.clone());
        if pair_below.is_some() {
            let through_context = self.pool(&row_gradient, batch.rows);
            pooled_gradient.iter_mut().zip(through_context).for_each(|(p, g)| *p += g);
        }
        row_gradient = self.with_context(&row_gradient, &pooled_gradient);
        pool.give(pooled_gradient);
        let rows_below = self.rows_network.pull_back(rows_kept, row_gradient, pool);
        let (mut embedding, mut bias) = (pool.zeros(self.embedding.len()), pool.zeros(hidden));
        add_rows(&mut bias, &rows_below.input);
        let feature_width = self.spec.env.width as u32;
        for state in 0..batch.rows {
            for &feature in batch.features_of(state) {
                let row = state * self.spec.env.rows + (feature / feature_width) as usize;
                let gradient = &rows_below.input[row * hidden..][..hidden];
                add_to_rows(&mut embedding, gradient, &[feature % feature_width]);
            }
        }
        pool.give(rows_below.input);
        let mut gradients = vec![embedding, bias];
        gradients.extend(rows_below.parameters);
        gradients.extend(context_below.parameters);
        gradients.extend(pair_below.into_iter().flat_map(|b| b.parameters));
        gradients
    }

    fn parameters_mut(&mut self) -> Vec<&mut Vec<f32>> {
        let mut parameters = vec![&mut self.embedding, &mut self.embedding_bias];
        parameters.extend(self.rows_network.parameters_mut());
        parameters.extend(self.context_network.parameters_mut());
        if let Some(network) = &mut self.pair_network {
            parameters.extend(network.parameters_mut());
        }
        parameters
    }

    fn as_policy(&self) -> &dyn Policy {
        self
    }
}
