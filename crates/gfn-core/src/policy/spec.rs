//! What a policy is, as settings and files hold it, and how it is built and read back from there.

use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};

use super::{Mlp, NamedTensor, SetEncoder, Tabular, TrainablePolicy, Uniform};
use crate::environment::EnvSpec;
use crate::error::{Error, Place, Result};

/// The nonlinearity between layers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Activation {
    /// x for x > 0, 0.01 x otherwise.
    LeakyRelu,
    /// x (1 + x / √(1 + x²)) / 2: smooth like SiLU, without an exponential.
    Smooth,
}

/// A multilayer perceptron on the active features.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MlpSettings {
    /// Widths of the hidden layers, at least one.
    pub hidden: Vec<usize>,
    /// Nonlinearity after each hidden layer.
    pub activation: Activation,
    /// Also connect features and outputs directly, by a linear path that starts at 0.
    pub linear_path: bool,
    /// Average the outputs the environment names for an action, instead of reading one.
    pub pooled: bool,
    /// Add numbers from a hashed table of 2^bits entries under the environment's action keys.
    pub table_bits: Option<u32>,
    /// Start the logits at log p_B(s|s'), so that the untrained policy is near uniform over trajectories.
    pub backward_start: bool,
    /// Standard deviation of the output weights times √fan-in; 0 starts at constant outputs.
    pub output_scale: f64,
}

impl Default for MlpSettings {
    fn default() -> Self {
        MlpSettings {
            hidden: vec![128, 128],
            activation: Activation::LeakyRelu,
            linear_path: false,
            pooled: false,
            table_bits: None,
            backward_start: false,
            output_scale: 0.3,
        }
    }
}

/// A network that shares its weights over the rows of an encoded state (Deep Sets, Zaheer et al. 2017).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SetEncoderSettings {
    /// Width of the row embeddings and of the pooled context.
    pub hidden: usize,
    /// Width of the vectors whose inner products are the logits of pair actions.
    pub pair_width: usize,
    /// Nonlinearity.
    pub activation: Activation,
}

impl Default for SetEncoderSettings {
    fn default() -> Self {
        SetEncoderSettings { hidden: 64, pair_width: 16, activation: Activation::Smooth }
    }
}

/// The families of policies.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "kind")]
pub enum PolicyKind {
    /// Multilayer perceptron.
    Mlp(MlpSettings),
    /// Set encoder.
    SetEncoder(SetEncoderSettings),
    /// One free logit per state and action, made when a state is first seen.
    Tabular,
    /// Equal logits, no parameters.
    Uniform,
}

/// Everything needed to build a policy: the environment's sizes, the family, and what it has to output.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PolicySpec {
    /// The environment it was made for.
    pub env: EnvSpec,
    /// Family and sizes.
    pub kind: PolicyKind,
    /// Whether the backward policy is learned; otherwise it is the environment's fixed one.
    pub learned_backward: bool,
    /// Whether log F(s) is output.
    pub flow: bool,
}

impl PolicySpec {
    /// Raw outputs: forward actions with stop, then backward actions, then the flow.
    pub fn n_outputs(&self) -> usize {
        self.env.n_forward_outputs()
            + if self.learned_backward { self.env.n_backward } else { 0 }
            + usize::from(self.flow)
    }

    /// A freshly initialised policy; the same seed gives the same bits.
    pub fn build(&self, seed: u64) -> Result<Box<dyn TrainablePolicy>> {
        Ok(match &self.kind {
            PolicyKind::Mlp(settings) => Box::new(Mlp::new(self.clone(), settings.clone(), seed)?),
            PolicyKind::SetEncoder(settings) => {
                Box::new(SetEncoder::new(self.clone(), settings.clone(), seed)?)
            }
            PolicyKind::Tabular => Box::new(Tabular::new(self.clone())),
            PolicyKind::Uniform => Box::new(Uniform::new(&self.env)),
        })
    }

    /// The policy with the parameters of a file; every tensor is checked for name, shape and finite values.
    pub fn restore(&self, mut tensors: FxHashMap<String, NamedTensor>) -> Result<Box<dyn TrainablePolicy>> {
        if self.kind == PolicyKind::Tabular {
            return Ok(Box::new(Tabular::restore(self.clone(), tensors)?));
        }
        let mut policy = self.build(0)?;
        let expected = policy.tensors();
        for (target, expected) in policy.parameters_mut().into_iter().zip(&expected) {
            let place = Place::item(format!("tensor {}", expected.name));
            let Some(found) = tensors.remove(&expected.name) else {
                return Err(Error::input(
                    place,
                    "this tensor",
                    "none of that name",
                    "use a file of this version",
                ));
            };
            if found.shape != expected.shape {
                return Err(Error::input(
                    place,
                    format!("shape {:?}", expected.shape),
                    format!("{:?}", found.shape),
                    "the file belongs to another plan or version",
                ));
            }
            check_finite(&found)?;
            *target = found.values;
        }
        policy.parameters_changed();
        if let Some(name) = tensors.keys().min() {
            return Err(Error::input(
                Place::item(format!("tensor {name}")),
                "no tensor of that name",
                "one",
                "the file belongs to another plan or version",
            ));
        }
        Ok(policy)
    }
}

/// Refuses NaN and infinities.
pub(super) fn check_finite(tensor: &NamedTensor) -> Result<()> {
    match tensor.values.iter().position(|v| !v.is_finite()) {
        None => Ok(()),
        Some(index) => Err(Error::input(
            Place::item(format!("tensor {}", tensor.name)),
            "finite numbers",
            format!("{} at index {index}", tensor.values[index]),
            "this file came from a failed training run: train that client again",
        )),
    }
}
