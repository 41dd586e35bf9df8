//! The policy without parameters: equal logits everywhere.

use super::{Kept, NamedTensor, Output, Policy, PolicyKind, PolicySpec, TrainablePolicy};
use crate::encoding::{Needs, StateBatch};
use crate::environment::EnvSpec;

/// Every legal action is equally likely.
#[derive(Debug, Clone)]
pub struct Uniform {
    spec: PolicySpec,
}

impl Uniform {
    /// The uniform policy of an environment.
    pub fn new(env: &EnvSpec) -> Self {
        Uniform {
            spec: PolicySpec {
                env: env.clone(),
                kind: PolicyKind::Uniform,
                learned_backward: false,
                flow: false,
            },
        }
    }
}

impl Policy for Uniform {
    fn spec(&self) -> &PolicySpec {
        &self.spec
    }

    fn needs(&self) -> Needs {
        Needs::default()
    }

    fn forward(&self, batch: &StateBatch) -> Output {
        Output { forward: vec![0.0; batch.forward.len()], backward: Vec::new(), log_flow: Vec::new() }
    }

    fn tensors(&self) -> Vec<NamedTensor> {
        Vec::new()
    }
}

impl TrainablePolicy for Uniform {
    fn evaluate(&self, batch: &StateBatch, _first: usize, output: &mut Output, _kept: &mut Kept) {
        output.forward.resize(batch.forward.len(), 0.0);
    }

    fn pull_back(&self, _batch: &StateBatch, _kept: &Kept, _gradient: &Output) -> Vec<Vec<f32>> {
        Vec::new()
    }

    fn parameters_mut(&mut self) -> Vec<&mut Vec<f32>> {
        Vec::new()
    }

    fn as_policy(&self) -> &dyn Policy {
        self
    }
}
