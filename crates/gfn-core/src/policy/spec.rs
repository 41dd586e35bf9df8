//! What a policy is, as settings and files hold it, and how it is built and read back from there.

use serde::{Deserialize, Serialize};

use super::{Mlp, NamedTensor, SetEncoder, Tabular, TensorMap, TrainablePolicy, Uniform};
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

    /// The policy with the parameters of a file.
    pub fn restore(&self, tensors: TensorMap) -> Result<Box<dyn TrainablePolicy>> {
        let mut policy = self.build(0)?;
        policy.restore(tensors)?;
        Ok(policy)
    }
}

/// The common way of [`TrainablePolicy::restore`]: the file holds exactly the policy's tensors.
pub(super) fn restore_parameters<P: TrainablePolicy + ?Sized>(
    policy: &mut P,
    mut tensors: TensorMap,
) -> Result<()> {
    let expected = policy.tensors();
    for (target, expected) in policy.parameters_mut().into_iter().zip(&expected) {
        let found = take_tensor(&mut tensors, &expected.name)?;
        if found.shape != expected.shape || found.values.len() != expected.values.len() {
            return Err(Error::input(
                Place::item(format!("tensor {}", expected.name)),
                format!("shape {:?}", expected.shape),
                format!("{:?}", found.shape),
                "the file belongs to another plan or version",
            ));
        }
        *target = found.values;
    }
    policy.parameters_changed();
    match tensors.keys().min() {
        None => Ok(()),
        Some(name) => Err(Error::input(
            Place::item(format!("tensor {name}")),
            "no tensor of that name",
            "one",
            "the file belongs to another plan or version",
        )),
    }
}

/// Takes a tensor out of the map; it must be there and finite.
pub(super) fn take_tensor(tensors: &mut TensorMap, name: &str) -> Result<NamedTensor> {
    let found = tensors.remove(name).ok_or_else(|| {
        Error::input(
            Place::item(format!("tensor {name}")),
            "this tensor",
            "none of that name",
            "the file belongs to another plan or version",
        )
    })?;
    check_finite(&found)?;
    Ok(found)
}

/// Refuses NaN and infinities.
fn check_finite(tensor: &NamedTensor) -> Result<()> {
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
