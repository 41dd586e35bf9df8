//! A policy that corrects given logits: the server starts from the sum of the clients' log-policies.

use std::sync::Arc;

use super::{Kept, NamedTensor, Output, Policy, PolicySpec, TensorMap, TrainablePolicy};
use crate::encoding::{Needs, StateBatch};
use crate::error::Result;

/// Logits without parameters of their own, such as those of a client ensemble.
pub trait BaseLogits: Send + Sync {
    /// What has to be in the batch.
    fn needs(&self) -> Needs;
    /// A logit for each legal forward action of the states from `first` on, aligned with the end of
    /// [`StateBatch::forward`].
    fn logits(&self, batch: &StateBatch, first: usize) -> Vec<f64>;
}

/// Base logits plus a trained residual (docs/mathematics.md, "the server's starting point").
pub struct Residual {
    inner: Box<dyn TrainablePolicy>,
    base: Arc<dyn BaseLogits>,
}

impl Residual {
    /// `inner` should start at zero outputs, so that the policy starts at the base.
    pub fn new(inner: Box<dyn TrainablePolicy>, base: Arc<dyn BaseLogits>) -> Self {
        Residual { inner, base }
    }

    /// To the logits of the states from `first` on.
    fn add_base(&self, batch: &StateBatch, first: usize, output: &mut Output) {
        let own = &mut output.forward[batch.forward_offsets[first]..];
        for (logit, base) in own.iter_mut().zip(self.base.logits(batch, first)) {
            *logit += base;
        }
    }
}

impl Policy for Residual {
    fn spec(&self) -> &PolicySpec {
        self.inner.spec()
    }

    fn needs(&self) -> Needs {
        self.inner.needs().union(self.base.needs())
    }

    fn forward(&self, batch: &StateBatch) -> Output {
        let mut output = self.inner.forward(batch);
        self.add_base(batch, 0, &mut output);
        output
    }

    fn tensors(&self) -> Vec<NamedTensor> {
        self.inner.tensors()
    }
}

impl TrainablePolicy for Residual {
    fn prepare(&mut self, batch: &StateBatch) {
        self.inner.prepare(batch);
    }

    fn evaluate(&self, batch: &StateBatch, first: usize, output: &mut Output, kept: &mut Kept) {
        self.inner.evaluate(batch, first, output, kept);
        self.add_base(batch, first, output);
    }

    fn pull_back(&self, batch: &StateBatch, kept: &Kept, gradient: &Output) -> Vec<Vec<f32>> {
        self.inner.pull_back(batch, kept, gradient)
    }

    fn parameters_mut(&mut self) -> Vec<&mut Vec<f32>> {
        self.inner.parameters_mut()
    }

    fn parameters_changed(&mut self) {
        self.inner.parameters_changed();
    }

    fn restore(&mut self, tensors: TensorMap) -> Result<()> {
        self.inner.restore(tensors)
    }

    fn as_policy(&self) -> &dyn Policy {
        self
    }
}
