//! What a policy is, as settings and files hold it, and how it is built and read back from there.

use serde::{Deserialize, Serialize};

use super::{Mlp, NamedTensor, SetEncoder, Tabular, TensorMap, TrainablePolicy, Uniform};
use crate::environment::{EnvSpec, Heads};
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

    /// The policy with the parameters of a file. Nothing is allocated that the file does not back with numbers.
    pub fn restore(&self, tensors: TensorMap) -> Result<Box<dyn TrainablePolicy>> {
        self.env.check_sizes()?;
        let held: usize = tensors.values().map(|t| t.values.len()).sum();
        let described = self.n_parameters();
        // A tensor that is merely missing is named below.
        if described > held as u64 + (1 << 20) {
            return Err(Error::input(
                Place::item("policy"),
                "sizes that the numbers of the file can fill",
                format!("{held} numbers for a policy of {described}"),
                "the file belongs to another plan or version",
            ));
        }
        let mut policy = self.build(0)?;
        policy.restore(tensors)?;
        Ok(policy)
    }

    /// Numbers a freshly built policy has, however absurd the sizes are.
    fn n_parameters(&self) -> u64 {
        let layer =
            |inputs: usize, outputs: usize| (inputs as u64).saturating_add(1).saturating_mul(outputs as u64);
        let layers = |widths: &[usize]| {
            widths.windows(2).fold(0u64, |sum, pair| sum.saturating_add(layer(pair[0], pair[1])))
        };
        match &self.kind {
            PolicyKind::Mlp(settings) => {
                let (features, outputs) = (self.env.n_features(), self.n_outputs());
                let widths = [&[features][..], &settings.hidden, &[outputs]].concat();
                let linear_path =
                    if settings.linear_path { layer(features, outputs) - outputs as u64 } else { 0 };
                let table = settings.table_bits.map_or(0, |bits| 1u64.checked_shl(bits).unwrap_or(u64::MAX));
                layers(&widths).saturating_add(linear_path).saturating_add(table)
            }
            PolicyKind::SetEncoder(SetEncoderSettings { hidden, pair_width, .. }) => {
                let pairs = self.env.heads == Heads::Pairs;
                let context =
                    self.n_outputs().saturating_sub(if pairs { self.env.n_forward } else { 0 }).max(1);
                let embedding_and_rows = layers(&[self.env.width, *hidden, *hidden]);
                let pair_outputs = if pairs { pair_width.saturating_mul(2) } else { 0 };
                embedding_and_rows
                    .saturating_add(layers(&[*hidden, *hidden, context]))
                    .saturating_add(layer(*hidden, pair_outputs))
            }
            PolicyKind::Tabular | PolicyKind::Uniform => 0,
        }
    }
}

/// The common way of [`TrainablePolicy::restore`]: the file holds exactly the policy's tensors.
pub(super) fn restore_parameters<P: TrainablePolicy + ?Sized>(
    policy: &mut P,
    mut tensors: TensorMap,
) -> Result<()> {
    let mut values = Vec::new();
    for expected in policy.tensors() {
        let found = take_tensor(&mut tensors, &expected.name)?;
        if found.shape != expected.shape || found.values.len() != expected.values.len() {
            return Err(Error::input(
                Place::item(format!("tensor {}", expected.name)),
                format!("shape {:?}", expected.shape),
                format!("{:?}", found.shape),
                "the file belongs to another plan or version",
            ));
        }
        values.push(found.values);
    }
    refuse_others(&tensors)?;
    policy.parameters_mut().into_iter().zip(values).for_each(|(target, found)| *target = found);
    policy.parameters_changed();
    Ok(())
}

/// Refuses tensors that the policy has no place for.
pub(crate) fn refuse_others(tensors: &TensorMap) -> Result<()> {
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
