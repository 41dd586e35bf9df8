//! The only place that names dfdx: dense layers whose tape is dfdx's and whose fused operation runs on gemm.
//!
//! dfdx 0.13 computes a linear layer as matmul, broadcast add and activation, which was measured 3 to 5 times slower
//! than one fused operation; so the three are one custom operation on its tape. Parameters live in plain vectors
//! (optimisers and files want them so), and tensors are made of them when a pass is recorded.

use std::sync::Arc;

use dfdx::prelude::{
    Backward, Cpu, CpuError, Gradients, NoneTape, OwnedTape, PutTape, SplitTape, Tape, Tensor, Trace,
    ZerosTensor,
};
use rand::rngs::ChaCha8Rng;
use rand_distr::{Distribution, Normal};

use super::{Activation, NamedTensor, Pool};
use crate::simd::{add_rows, leaky_relu, leaky_relu_with_slopes, multiply, smooth, smooth_with_slopes};

type Matrix<T> = Tensor<(usize, usize), f32, Cpu, T>;

/// `y = activation(x W + b)`, W row-major inputs × outputs.
#[derive(Debug, Clone)]
struct Layer {
    inputs: usize,
    outputs: usize,
    weights: Arc<Vec<f32>>,
    bias: Arc<Vec<f32>>,
}

/// Dense layers behind a first, already summed pre-activation: `x ↦ a(x) → [linear → a]* → linear`.
#[derive(Debug, Clone)]
pub(super) struct Network {
    layers: Vec<Layer>,
    activation: Activation,
}

/// Gradients of a recorded pass: with respect to the input, and to each parameter in the order of `parameters_mut`.
pub(super) struct NetworkGradient {
    pub input: Vec<f32>,
    pub parameters: Vec<Vec<f32>>,
}

/// Normal(0, scale²/fan_in) numbers: He initialisation for scale √2 (He et al. 2015).
pub(super) fn random_weights(fan_in: usize, n: usize, scale: f64, rng: &mut ChaCha8Rng) -> Vec<f32> {
    if scale == 0.0 {
        return vec![0.0; n];
    }
    let normal = Normal::new(0.0, scale / (fan_in.max(1) as f64).sqrt()).expect("a finite scale");
    (0..n).map(|_| normal.sample(rng) as f32).collect()
}

impl Network {
    /// Layers of `widths` (input, hidden…, output); the last one's weights are scaled by `output_scale`.
    pub fn new(widths: &[usize], activation: Activation, output_scale: f64, rng: &mut ChaCha8Rng) -> Self {
        let n_layers = widths.len() - 1;
        let layers = (0..n_layers)
            .map(|l| {
                let (inputs, outputs) = (widths[l], widths[l + 1]);
                let scale = if l + 1 == n_layers { output_scale } else { std::f64::consts::SQRT_2 };
                Layer {
                    inputs,
                    outputs,
                    weights: Arc::new(random_weights(inputs, inputs * outputs, scale, rng)),
                    bias: Arc::new(vec![0.0; outputs]),
                }
            })
            .collect();
        Network { layers, activation }
    }

    /// Outputs for `rows` inputs.
    pub fn forward(&self, mut values: Vec<f32>, rows: usize) -> Vec<f32> {
        for layer in &self.layers {
            apply_activation(&mut values, self.activation, None);
            let mut next = Vec::new();
            layer.append(&values, rows, &mut next);
            values = next;
        }
        values
    }

    /// Outputs for `rows` inputs, which are the last ones of the first kept array, not yet activated. Kept arrays: for the
    /// input and for each layer but the last, the values behind the activation and the activation's slopes.
    pub fn evaluate(&self, kept: &mut [Arc<Vec<f32>>], rows: usize) -> Vec<f32> {
        let mut outputs = Vec::new();
        for (l, layer) in self.layers.iter().enumerate() {
            let (own, above) = kept[2 * l..].split_at_mut(2);
            let [values, slopes] = own else { unreachable!("split at two") };
            let (values, slopes) = (Arc::make_mut(values), Arc::make_mut(slopes));
            slopes.resize(values.len(), 0.0);
            let start = values.len() - rows * layer.inputs;
            apply_activation(&mut values[start..], self.activation, Some(&mut slopes[start..]));
            let next = above.first_mut().map_or(&mut outputs, Arc::make_mut);
            layer.append(&values[start..], rows, next);
        }
        outputs
    }

    /// Arrays that [`Network::evaluate`] keeps.
    pub fn n_kept(&self) -> usize {
        2 * self.layers.len()
    }

    /// The way back from the gradient of the outputs of all rows, through what was kept.
    pub fn pull_back(&self, kept: &[Arc<Vec<f32>>], gradient: Vec<f32>, pool: &Pool) -> NetworkGradient {
        let device = Cpu::default();
        let place = || device.zeros_like(&NO_NUMBERS);
        let input: Matrix<NoneTape> = place();
        let mut output = input.leaky_trace();
        let mut tensors = Vec::new();
        for (layer, kept) in self.layers.iter().zip(kept.chunks_exact(2)) {
            let (weights, bias): (Matrix<NoneTape>, Matrix<NoneTape>) = (place(), place());
            output = activate(output, place(), Arc::clone(&kept[1]));
            let parameters = [weights.clone(), bias.clone()];
            output = linear(output, place(), Arc::clone(&kept[0]), layer, parameters, pool.clone());
            tensors.extend([weights, bias]);
        }
        let mut gradients: Gradients<f32, Cpu> = seeded(&device, output, gradient).backward();
        let mut take = |tensor: &Matrix<NoneTape>| {
            take_gradient(&mut gradients, tensor).expect("no memory is asked for")
        };
        NetworkGradient { input: take(&input), parameters: tensors.iter().map(take).collect() }
    }

    /// Weights and bias of each layer in turn.
    pub fn parameters_mut(&mut self) -> impl Iterator<Item = &mut Vec<f32>> {
        self.layers.iter_mut().flat_map(|l| [Arc::make_mut(&mut l.weights), Arc::make_mut(&mut l.bias)])
    }

    /// The parameters under names that start with `prefix`.
    pub fn tensors<'a>(&'a self, prefix: &'a str) -> impl Iterator<Item = NamedTensor> + 'a {
        self.layers.iter().enumerate().flat_map(move |(l, layer)| {
            [
                NamedTensor {
                    name: format!("{prefix}.{l}.weight"),
                    shape: vec![layer.inputs, layer.outputs],
                    values: layer.weights.to_vec(),
                },
                NamedTensor {
                    name: format!("{prefix}.{l}.bias"),
                    shape: vec![layer.outputs],
                    values: layer.bias.to_vec(),
                },
            ]
        })
    }
}

impl Layer {
    /// Appends `x W + b`, row by row.
    fn append(&self, x: &[f32], rows: usize, target: &mut Vec<f32>) {
        let start = target.len();
        target.reserve(rows * self.outputs);
        for _ in 0..rows {
            target.extend_from_slice(&self.bias);
        }
        let x = View { values: x, rows, columns: self.inputs, transposed: false };
        let w = View { values: &self.weights, rows: self.inputs, columns: self.outputs, transposed: false };
        product(&mut target[start..], x, w, Write::Add);
    }
}

/// Applies the activation in place; if `slopes` is given, writes its derivatives there.
fn apply_activation(values: &mut [f32], activation: Activation, slopes: Option<&mut [f32]>) {
    match (activation, slopes) {
        (Activation::LeakyRelu, None) => leaky_relu(values),
        (Activation::LeakyRelu, Some(slopes)) => leaky_relu_with_slopes(values, slopes),
        (Activation::Smooth, None) => smooth(values),
        (Activation::Smooth, Some(slopes)) => smooth_with_slopes(values, slopes),
    }
}

/// Tensors on the tape are places for gradients: their values are never read, and they have none. What was kept holds
/// values, and an operation puts a gradient of the right length into its place.
const NO_NUMBERS: (usize, usize) = (0, 0);

type Taped = Matrix<OwnedTape<f32, Cpu>>;

/// The gradient that operations above have put into a tensor's place.
fn take_gradient(
    gradients: &mut Gradients<f32, Cpu>,
    tensor: &Matrix<NoneTape>,
) -> Result<Vec<f32>, CpuError> {
    Ok(std::mem::take(&mut **gradients.get_or_alloc_mut(tensor)?))
}

/// The activation's way back, to a fresh place `y`.
fn activate(input: Taped, y: Matrix<NoneTape>, slopes: Arc<Vec<f32>>) -> Taped {
    let (x, mut tape) = input.split_tape();
    let out = y.clone();
    tape.add_backward_op(move |gradients: &mut Gradients<f32, Cpu>| {
        let mut gradient = take_gradient(gradients, &out)?;
        multiply(&mut gradient, &slopes);
        **gradients.get_or_alloc_mut(&x)? = gradient;
        Ok(())
    });
    y.put_tape(tape)
}

/// A scalar whose derivative with respect to `output` is `gradient`: where a tape is told what comes from above. Its
/// value is never read.
fn seeded(device: &Cpu, output: Taped, gradient: Vec<f32>) -> Tensor<(), f32, Cpu, OwnedTape<f32, Cpu>> {
    let (output, mut tape) = output.split_tape();
    tape.add_backward_op(move |gradients: &mut Gradients<f32, Cpu>| {
        **gradients.get_or_alloc_mut(&output)? = gradient;
        Ok(())
    });
    let scalar: Tensor<(), f32, Cpu> = device.zeros();
    scalar.put_tape(tape)
}

/// The linear layer's way back, to a fresh place `y`; `parameters` are the places of weights and bias.
fn linear(
    input: Taped,
    y: Matrix<NoneTape>,
    input_values: Arc<Vec<f32>>,
    layer: &Layer,
    parameters: [Matrix<NoneTape>; 2],
    pool: Pool,
) -> Taped {
    let (inputs, outputs) = (layer.inputs, layer.outputs);
    let (x_tensor, mut tape) = input.split_tape();
    let (weights, out) = (Arc::clone(&layer.weights), y.clone());
    tape.add_backward_op(move |gradients: &mut Gradients<f32, Cpu>| {
        let gradient = take_gradient(gradients, &out)?;
        let rows = input_values.len() / inputs;
        let g = View { values: &gradient, rows, columns: outputs, transposed: false };
        let x = View { values: &input_values, rows, columns: inputs, transposed: false };
        let w = View { values: &weights, rows: inputs, columns: outputs, transposed: false };
        let (mut weight_gradient, mut bias_gradient) = (pool.any(inputs * outputs), pool.zeros(outputs));
        let mut below = pool.any(rows * inputs);
        product(&mut weight_gradient, x.transpose(), g, Write::Over);
        add_rows(&mut bias_gradient, &gradient);
        product(&mut below, g, w.transpose(), Write::Over);
        pool.give(gradient);
        **gradients.get_or_alloc_mut(&parameters[0])? = weight_gradient;
        **gradients.get_or_alloc_mut(&parameters[1])? = bias_gradient;
        **gradients.get_or_alloc_mut(&x_tensor)? = below;
        Ok(())
    });
    y.put_tape(tape)
}

/// A row-major matrix, or its transpose.
#[derive(Clone, Copy)]
struct View<'a> {
    values: &'a [f32],
    rows: usize,
    columns: usize,
    transposed: bool,
}

impl View<'_> {
    fn transpose(self) -> Self {
        View { transposed: !self.transposed, ..self }
    }

    /// Shape, and strides (row, column), as seen.
    fn layout(&self) -> (usize, usize, isize, isize) {
        assert_eq!(self.values.len(), self.rows * self.columns);
        if self.transposed {
            (self.columns, self.rows, 1, self.columns as isize)
        } else {
            (self.rows, self.columns, self.columns as isize, 1)
        }
    }
}

/// Longest inner sum that gemm 0.19 makes in one piece whatever the other sizes are.
const DEPTH: usize = 512;

/// What a product does with what is there.
#[derive(Clone, Copy, PartialEq)]
enum Write {
    Add,
    Over,
}

/// `target += a · b`, or `target = a · b`, target row-major. For a plain `a`, no row of the target depends on how many others
/// there are, to the last bit: clients' answers are memoised state by state, and a resumed run must find the same ones.
///
/// Three things in gemm would break that: a single row takes another path (a matrix-vector product), a single column
/// another one from some number of rows on, and inner sums longer than 512 are cut in places that depend on the number
/// of rows. So one row is computed as two, one column by a loop, and long sums are cut here.
fn product(target: &mut [f32], a: View, b: View, write: Write) {
    let (m, k, ..) = a.layout();
    let (k_b, n, ..) = b.layout();
    assert_eq!(k, k_b);
    assert_eq!(target.len(), m * n);
    if write == Write::Over && (k == 0 || n == 1) {
        target.fill(0.0);
    }
    if target.is_empty() || k == 0 {
        return;
    }
    if a.transposed {
        return product_part(target, a, b, 0..k, write);
    }
    if n == 1 {
        for (target, row) in target.iter_mut().zip(a.values.chunks_exact(k)) {
            *target += row.iter().zip(b.values).map(|(a, b)| a * b).sum::<f32>();
        }
        return;
    }
    for start in (0..k).step_by(DEPTH) {
        let part = start..(start + DEPTH).min(k);
        let write = if start == 0 { write } else { Write::Add };
        if m == 1 {
            let (twice, mut targets) = ([a.values, a.values].concat(), [&*target, &*target].concat());
            product_part(&mut targets, View { values: &twice, rows: 2, ..a }, b, part, write);
            target.copy_from_slice(&targets[..n]);
        } else {
            product_part(target, a, b, part, write);
        }
    }
}

/// [`product`] of `a[.., part]` and `b[part, ..]`, with sizes as it checks them.
fn product_part(target: &mut [f32], a: View, b: View, part: std::ops::Range<usize>, write: Write) {
    let (m, k, a_row, a_column) = a.layout();
    let (k_b, n, b_row, b_column) = b.layout();
    assert!(k == k_b && part.start < part.end && part.end <= k && target.len() == m * n);
    // SAFETY: the shapes were checked against the lengths of the slices, the strides come from those shapes, and the
    // part lies inside of them.
    unsafe {
        gemm::gemm(
            m,
            n,
            part.len(),
            target.as_mut_ptr(),
            1,
            n as isize,
            write == Write::Add,
            a.values.as_ptr().offset(part.start as isize * a_column),
            a_column,
            a_row,
            b.values.as_ptr().offset(part.start as isize * b_row),
            b_column,
            b_row,
            1.0,
            1.0,
            false,
            false,
            false,
            gemm::Parallelism::None,
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::stream;

    /// The same network in plain loops and f64: outputs, and gradients of Σ weights · outputs.
    fn reference(net: &Network, input: &[f32], rows: usize, weights: &[f32]) -> (Vec<f64>, Vec<Vec<f64>>) {
        let act = |x: f64| match net.activation {
            Activation::LeakyRelu => (if x > 0.0 { x } else { 0.01 * x }, if x > 0.0 { 1.0 } else { 0.01 }),
            Activation::Smooth => {
                let s = x / (1.0 + x * x).sqrt();
                (0.5 * x * (1.0 + s), 0.5 * (1.0 + s) + 0.5 * x * (1.0 + x * x).powf(-1.5))
            }
        };
        let mut outputs = Vec::new();
        let mut gradients: Vec<Vec<f64>> = vec![vec![0.0; input.len()]];
        for layer in &net.layers {
            gradients.push(vec![0.0; layer.weights.len()]);
            gradients.push(vec![0.0; layer.bias.len()]);
        }
        let first = net.layers[0].inputs;
        let last = net.layers.last().unwrap().outputs;
        for row in 0..rows {
            let mut pre: Vec<f64> = input[row * first..(row + 1) * first].iter().map(|&v| v.into()).collect();
            let mut trace = Vec::new();
            for layer in &net.layers {
                let post: Vec<f64> = pre.iter().map(|&x| act(x).0).collect();
                let next: Vec<f64> = (0..layer.outputs)
                    .map(|o| {
                        f64::from(layer.bias[o])
                            + (0..layer.inputs)
                                .map(|i| post[i] * f64::from(layer.weights[i * layer.outputs + o]))
                                .sum::<f64>()
                    })
                    .collect();
                trace.push((pre, post));
                pre = next;
            }
            outputs.extend(&pre);
            let mut g: Vec<f64> = weights[row * last..(row + 1) * last].iter().map(|&v| v.into()).collect();
            for (l, layer) in net.layers.iter().enumerate().rev() {
                let (pre, post) = &trace[l];
                let mut below = vec![0.0; layer.inputs];
                for o in 0..layer.outputs {
                    gradients[2 + 2 * l][o] += g[o];
                    for i in 0..layer.inputs {
                        gradients[1 + 2 * l][i * layer.outputs + o] += post[i] * g[o];
                        below[i] += g[o] * f64::from(layer.weights[i * layer.outputs + o]);
                    }
                }
                for i in 0..layer.inputs {
                    below[i] *= act(pre[i]).1;
                }
                g = below;
            }
            gradients[0][row * first..(row + 1) * first].copy_from_slice(&g);
        }
        (outputs, gradients)
    }

    #[test]
    fn outputs_and_gradients_agree_with_plain_loops() {
        for activation in [Activation::LeakyRelu, Activation::Smooth] {
            for widths in [vec![5, 3], vec![7, 16, 4], vec![33, 20, 17, 9]] {
                let mut rng = stream(3, "backend", widths.len() as u64);
                let mut net = Network::new(&widths, activation, 1.0, &mut rng);
                for p in net.parameters_mut() {
                    let noise = random_weights(1, p.len(), 0.3, &mut rng);
                    p.iter_mut().zip(noise).for_each(|(p, n)| *p += n);
                }
                let rows = 11;
                let input = random_weights(1, rows * widths[0], 1.0, &mut rng);
                let weights = random_weights(1, rows * widths[widths.len() - 1], 1.0, &mut rng);
                let (expected, expected_gradients) = reference(&net, &input, rows, &weights);
                // In two parts, as sampling evaluates.
                let mut kept: Vec<Arc<Vec<f32>>> = Vec::new();
                kept.resize_with(net.n_kept(), Arc::default);
                let mut output = Vec::new();
                for (part, rows) in [(&input[..4 * widths[0]], 4), (&input[4 * widths[0]..], 7)] {
                    Arc::make_mut(&mut kept[0]).extend_from_slice(part);
                    output.extend(net.evaluate(&mut kept, rows));
                }
                assert_eq!(output, net.forward(input, rows));
                let gradient = net.pull_back(&kept, weights, &Pool::default());
                let close = |a: &[f32], b: &[f64]| {
                    assert_eq!(a.len(), b.len());
                    for (a, b) in a.iter().zip(b) {
                        assert!((f64::from(*a) - b).abs() < 2e-5 * (1.0 + b.abs()), "{a} against {b}");
                    }
                };
                close(&output, &expected);
                close(&gradient.input, &expected_gradients[0]);
                for (a, b) in gradient.parameters.iter().zip(&expected_gradients[1..]) {
                    close(a, b);
                }
            }
        }
    }
}
