//! The seam between science and networks: a policy answers *forward* and *pull this gradient of the logits back*.

mod backend;
mod mlp;
mod residual;
mod set_encoder;
mod spec;
mod tabular;
mod uniform;

pub use mlp::Mlp;
pub use residual::{BaseLogits, Residual};
pub use set_encoder::SetEncoder;
pub(crate) use spec::refuse_others;
pub use spec::{Activation, MlpSettings, PolicyKind, PolicySpec, SetEncoderSettings};
pub use tabular::Tabular;
pub use uniform::Uniform;

use std::sync::{Arc, Mutex};

use rustc_hash::FxHashMap;

use crate::encoding::{Needs, StateBatch};
use crate::error::Result;
use crate::math::log_softmax_in_place;

/// What a policy says about a batch of states, or the gradient of a loss with respect to it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Output {
    /// Logits of the legal forward actions, aligned with [`StateBatch::forward`].
    pub forward: Vec<f64>,
    /// Logits of the legal backward actions, aligned with [`StateBatch::backward`]; empty where p_B is fixed.
    pub backward: Vec<f64>,
    /// log F(s) of each state; empty where no loss asks for flows.
    pub log_flow: Vec<f64>,
}

impl Output {
    /// Forgets all states; memory stays for the next ones.
    pub fn clear(&mut self) {
        self.forward.clear();
        self.backward.clear();
        self.log_flow.clear();
    }

    /// Zeros of the same shape.
    pub fn zeros_like(&self) -> Output {
        Output {
            forward: vec![0.0; self.forward.len()],
            backward: vec![0.0; self.backward.len()],
            log_flow: vec![0.0; self.log_flow.len()],
        }
    }
}

/// Log-probabilities (natural logs) of the legal actions of a batch of states.
#[derive(Debug, Clone, Default)]
pub struct LogProbabilities {
    /// log p_F, aligned with [`StateBatch::forward`].
    pub forward: Vec<f64>,
    /// log p_B, aligned with [`StateBatch::backward`]; the environment's fixed one where none is learned.
    pub backward: Vec<f64>,
}

impl LogProbabilities {
    /// Softmax over the legal actions of each state.
    pub fn new(batch: &StateBatch, output: &Output) -> Self {
        let mut log_p = LogProbabilities { forward: output.forward.clone(), backward: Vec::new() };
        normalise_rows(&mut log_p.forward, &batch.forward_offsets);
        log_p.append_backward(batch, 0, output);
        log_p
    }

    /// Appends log p_B for the states from `first` on.
    pub(crate) fn append_backward(&mut self, batch: &StateBatch, first: usize, output: &Output) {
        let start = batch.backward_offsets[first];
        if output.backward.is_empty() {
            self.backward.extend_from_slice(&batch.fixed_log_backward[start..]);
        } else {
            self.backward.extend_from_slice(&output.backward[start..]);
            normalise_rows(&mut self.backward, &batch.backward_offsets[first..]);
        }
    }
}

fn normalise_rows(values: &mut [f64], offsets: &[usize]) {
    for window in offsets.windows(2) {
        log_softmax_in_place(&mut values[window[0]..window[1]]);
    }
}

/// A named array of numbers of a policy, as it is written to files.
#[derive(Debug, Clone, PartialEq)]
pub struct NamedTensor {
    /// Name, unique in the policy.
    pub name: String,
    /// Shape.
    pub shape: Vec<usize>,
    /// Values in row-major order.
    pub values: Vec<f32>,
}

/// Tensors by name.
pub type TensorMap = FxHashMap<String, NamedTensor>;

/// A policy: logits of the legal actions for a batch of encoded states.
pub trait Policy: Send + Sync {
    /// What the policy is, enough to build it again.
    fn spec(&self) -> &PolicySpec;
    /// What it reads besides features and legal actions.
    fn needs(&self) -> Needs;
    /// Logits for every state of the batch.
    fn forward(&self, batch: &StateBatch) -> Output;
    /// All parameters, in a fixed order.
    fn tensors(&self) -> Vec<NamedTensor>;
}

/// What a policy keeps of evaluations for the way back, so that nothing is computed twice: arrays that hold equally many
/// numbers for every state of which an output is read, state after state.
#[derive(Debug, Clone, Default)]
pub struct Kept {
    /// The arrays, in an order that the policy knows. Shared, since a tape owns what it reads.
    pub arrays: Vec<Arc<Vec<f32>>>,
    /// Memory for the way back.
    pub(crate) pool: Pool,
}

impl PartialEq for Kept {
    fn eq(&self, other: &Self) -> bool {
        self.arrays == other.arrays
    }
}

impl Kept {
    /// Forgets all states; memory stays for the next ones.
    pub fn clear(&mut self) {
        self.arrays.iter_mut().for_each(|array| Arc::make_mut(array).clear());
    }

    /// Takes the memory of a gradient back, for the next way back.
    pub fn take_back(&self, gradients: Vec<Vec<f32>>) {
        gradients.into_iter().for_each(|gradient| self.pool.give(gradient));
    }

    /// The first `n` arrays from number `start` on, made where they are not there yet.
    pub(crate) fn part(&mut self, start: usize, n: usize) -> &mut [Arc<Vec<f32>>] {
        if self.arrays.len() < start + n {
            self.arrays.resize_with(start + n, Arc::default);
        }
        &mut self.arrays[start..start + n]
    }
}

/// Arrays that were of use before and wait for their next one; clones share them. It takes back as many as it gave out, so
/// that it never holds more than one way back needs.
#[derive(Debug, Clone, Default)]
pub(crate) struct Pool(Arc<Mutex<Arrays>>);

#[derive(Debug, Default)]
struct Arrays {
    free: Vec<Vec<f32>>,
    n_given: usize,
}

impl Pool {
    /// `n` numbers, whatever they were.
    pub fn any(&self, n: usize) -> Vec<f32> {
        if n == 0 {
            return Vec::new();
        }
        let mut arrays = self.0.lock().expect("no panic while arrays are handed out");
        arrays.n_given += 1;
        let free = &mut arrays.free;
        // The smallest that is large enough; else the largest makes room for a larger one.
        let fits = (0..free.len()).filter(|&i| free[i].capacity() >= n).min_by_key(|&i| free[i].capacity());
        let mut values = match fits {
            Some(i) => free.swap_remove(i),
            None => {
                let largest = (0..free.len()).max_by_key(|&i| free[i].capacity());
                drop(largest.map(|i| free.swap_remove(i)));
                Vec::new()
            }
        };
        values.resize(n, 0.0);
        values
    }

    /// `n` zeros.
    pub fn zeros(&self, n: usize) -> Vec<f32> {
        let mut values = self.any(n);
        values.fill(0.0);
        values
    }

    /// Takes an array back.
    pub fn give(&self, values: Vec<f32>) {
        let mut arrays = self.0.lock().expect("no panic while arrays are handed out");
        if arrays.n_given > 0 && values.capacity() > 0 {
            arrays.n_given -= 1;
            arrays.free.push(values);
        }
    }
}

/// A policy that can be trained.
pub trait TrainablePolicy: Policy {
    /// Makes room for states never seen before (tables only).
    fn prepare(&mut self, _batch: &StateBatch) {}
    /// Evaluates the states of `batch` from number `first` on and appends to `output`, which has those before: the same
    /// as [`Policy::forward`], to the last bit, since a state's numbers do not depend on other states. To `kept` goes
    /// what [`TrainablePolicy::pull_back`] needs.
    fn evaluate(&self, batch: &StateBatch, first: usize, output: &mut Output, kept: &mut Kept);
    /// Turns the gradient with respect to the [`Output`] into one gradient per parameter tensor. `kept` is that of all
    /// states of `batch`, with the present parameters.
    fn pull_back(&self, batch: &StateBatch, kept: &Kept, gradient: &Output) -> Vec<Vec<f32>>;
    /// The parameters, in the order of [`Policy::tensors`]; [`TrainablePolicy::parameters_changed`] follows a write.
    fn parameters_mut(&mut self) -> Vec<&mut Vec<f32>>;
    /// Tells the policy that its parameters were written to.
    fn parameters_changed(&mut self) {}
    /// Takes over the parameters of a file; every tensor is checked for name, shape and finite values.
    fn restore(&mut self, tensors: TensorMap) -> Result<()> {
        spec::restore_parameters(self, tensors)
    }
    /// The same policy, to read from.
    fn as_policy(&self) -> &dyn Policy;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pool_takes_back_what_it_gave_and_no_more() {
        let pool = Pool::default();
        let free = || pool.0.lock().unwrap().free.iter().map(Vec::capacity).collect::<Vec<_>>();
        let (small, large) = (pool.zeros(10), pool.any(100));
        assert_eq!((small, large.len()), (vec![0.0; 10], 100));
        for _ in 0..5 {
            pool.give(Vec::with_capacity(100));
        }
        assert_eq!(free(), [100, 100], "five were offered, two had been given out");
        // What fits is used again, dirty or cleared.
        let mut again = pool.any(50);
        again.fill(7.0);
        pool.give(again);
        assert_eq!((pool.zeros(100), free().len()), (vec![0.0; 100], 1));
        // What has become too small does not stay.
        assert_eq!((pool.any(1000).len(), free().len()), (1000, 0));
        assert!(pool.any(0).is_empty());
    }
}
