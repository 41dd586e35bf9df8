//! Every family of policies against a reference in plain loops and f64: outputs, and gradients by central differences.

mod shared;

use std::collections::HashMap;

use gfn_core::encoding::StateBatch;
use gfn_core::environment::{Environment, Heads};
use gfn_core::exact::StateGraph;
use gfn_core::grid::Grid;
use gfn_core::policy::{
    Activation, Kept, MlpSettings, Output, PolicyKind, PolicySpec, SetEncoderSettings, TrainablePolicy,
};
use gfn_core::random::{ChaCha8Rng, stream};
use rand::RngExt;
use shared::{Arrows, Choose, policy_spec};

/// Parameters by name, in f64.
type Parameters<'a> = HashMap<&'a str, &'a [f64]>;

fn activate(x: f64, activation: Activation) -> f64 {
    match activation {
        Activation::LeakyRelu if x > 0.0 => x,
        Activation::LeakyRelu => 0.01 * x,
        Activation::Smooth => 0.5 * x * (1.0 + x / (1.0 + x * x).sqrt()),
    }
}

/// activation → linear, repeated for as many layers as there are parameters of this name.
fn network(mut x: Vec<f64>, p: &Parameters, name: &str, activation: Activation) -> Vec<f64> {
    for l in 0.. {
        let Some(weights) = p.get(format!("{name}.{l}.weight").as_str()) else { break };
        let mut y = p[format!("{name}.{l}.bias").as_str()].to_vec();
        let width = y.len();
        for (i, x) in x.iter().enumerate() {
            for (o, y) in y.iter_mut().enumerate() {
                *y += activate(*x, activation) * weights[i * width + o];
            }
        }
        x = y;
    }
    x
}

fn add_rows(target: &mut [f64], weights: &[f64], rows: &[u32]) {
    for &row in rows {
        let width = target.len();
        target.iter_mut().zip(&weights[row as usize * width..]).for_each(|(t, w)| *t += w);
    }
}

/// What follows the forward outputs: backward outputs, then the flow.
fn backward_and_flow(spec: &PolicySpec, batch: &StateBatch, row: usize, raw: &[f64], output: &mut Output) {
    if spec.learned_backward {
        output.backward.extend(batch.backward_of(row).iter().map(|&a| raw[a as usize]));
    }
    if spec.flow {
        output.log_flow.push(raw[raw.len() - 1]);
    }
}

fn mlp(spec: &PolicySpec, settings: &MlpSettings, p: &Parameters, batch: &StateBatch) -> Output {
    let mut output = Output::default();
    let n_forward = spec.env.n_forward_outputs();
    for row in 0..batch.rows {
        let features = batch.features_of(row);
        let mut hidden = p["first.bias"].to_vec();
        add_rows(&mut hidden, p["first.weight"], features);
        let mut raw = network(hidden, p, "layers", settings.activation);
        if let Some(weights) = p.get("linear_path") {
            add_rows(&mut raw, weights, features);
        }
        for position in batch.forward_offsets[row]..batch.forward_offsets[row + 1] {
            let action = batch.forward[position];
            let mut logit = raw[action as usize];
            if settings.pooled {
                let outputs =
                    &batch.pooled[batch.pooled_offsets[position]..batch.pooled_offsets[position + 1]];
                logit = outputs.iter().map(|&o| raw[o as usize]).sum::<f64>() / outputs.len() as f64;
            }
            if settings.backward_start {
                logit += batch.log_backward_after[position];
            }
            if let Some(table) = p.get("table").filter(|_| Some(action) != spec.env.stop_action()) {
                for key in &batch.keys[position * batch.n_keys..(position + 1) * batch.n_keys] {
                    let slot = (key.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 20) as usize % table.len();
                    logit += table[slot];
                }
            }
            output.forward.push(logit);
        }
        backward_and_flow(spec, batch, row, &raw[n_forward..], &mut output);
    }
    output
}

fn set_encoder(
    spec: &PolicySpec,
    settings: &SetEncoderSettings,
    p: &Parameters,
    batch: &StateBatch,
) -> Output {
    let mut output = Output::default();
    let (rows, width) = (spec.env.rows, spec.env.width as u32);
    let run = |x: Vec<f64>, name: &str| network(x, p, name, settings.activation);
    for state in 0..batch.rows {
        let embed = |row: u32| {
            let mut embedded = p["embedding.bias"].to_vec();
            let features = batch.features_of(state).iter().filter(|f| **f / width == row);
            features.for_each(|f| add_rows(&mut embedded, p["embedding.weight"], &[f % width]));
            run(embedded, "rows")
        };
        let values: Vec<Vec<f64>> = (0..rows as u32).map(embed).collect();
        let context: Vec<f64> = (0..settings.hidden).map(|k| values.iter().map(|v| v[k]).sum()).collect();
        let raw = run(context.clone(), "context");
        let pairs: Vec<Vec<f64>> = values
            .iter()
            .map(|v| run(v.iter().zip(&context).map(|(v, c)| v + c).collect(), "pairs"))
            .collect();
        let n = if spec.env.heads == Heads::Pairs { spec.env.n_forward } else { 0 };
        for &action in batch.forward_of(state) {
            let action = action as usize;
            output.forward.push(if action >= n {
                raw[action - n]
            } else {
                let (left, right) = (&pairs[action / rows], &pairs[action % rows]);
                let w = settings.pair_width;
                left[..w].iter().zip(&right[w..]).map(|(a, b)| a * b).sum()
            });
        }
        backward_and_flow(spec, batch, state, &raw[spec.env.n_forward_outputs() - n..], &mut output);
    }
    output
}

/// `rows` is the table's row of each state of the batch: states in the order in which they were first seen.
fn tabular(spec: &PolicySpec, p: &Parameters, batch: &StateBatch, rows: &[usize]) -> Output {
    let mut output = Output::default();
    let (n_forward, width) = (spec.env.n_forward_outputs(), spec.n_outputs());
    for (state, row) in rows.iter().enumerate() {
        let raw = &p["logits"][row * width..(row + 1) * width];
        output.forward.extend(batch.forward_of(state).iter().map(|&a| raw[a as usize]));
        backward_and_flow(spec, batch, state, &raw[n_forward..], &mut output);
    }
    output
}

fn uniform_number(rng: &mut ChaCha8Rng) -> f64 {
    rng.random::<f64>() * 2.0 - 1.0
}

/// Outputs, and every derivative of Σ weights · outputs, of one policy on all states of an environment, some of them
/// twice.
fn check<E: Environment>(env: &E, spec: PolicySpec) {
    let name = format!("{:?} on {}", spec.kind, env.spec().name);
    let mut rng = stream(5, &name, 0);
    let mut policy: Box<dyn TrainablePolicy> = spec.build(6).unwrap();
    let graph = StateGraph::enumerate(env, 100).unwrap();
    let n = graph.states().len();
    let rows: Vec<usize> = (0..n).chain([n / 2, 0]).collect();
    let states = rows.iter().map(|&row| &graph.states()[row]);
    let batch = StateBatch::new(env, states, policy.needs());
    policy.prepare(&batch);
    for values in policy.parameters_mut() {
        values.iter_mut().for_each(|v| *v += 0.3 * uniform_number(&mut rng) as f32);
    }
    policy.parameters_changed();

    let tensors = policy.tensors();
    let names: Vec<&str> = tensors.iter().map(|t| t.name.as_str()).collect();
    let values: Vec<Vec<f64>> =
        tensors.iter().map(|t| t.values.iter().map(|&v| f64::from(v)).collect()).collect();
    let reference = |values: &[Vec<f64>]| {
        let p: Parameters = names.iter().copied().zip(values.iter().map(|v| &v[..])).collect();
        match &spec.kind {
            PolicyKind::Mlp(settings) => mlp(&spec, settings, &p, &batch),
            PolicyKind::SetEncoder(settings) => set_encoder(&spec, settings, &p, &batch),
            PolicyKind::Tabular => tabular(&spec, &p, &batch, &rows),
            PolicyKind::Uniform => unreachable!("nothing to differentiate"),
        }
    };
    let (mut found, mut kept) = (Output::default(), Kept::default());
    policy.evaluate(&batch, 0, &mut found, &mut kept);
    assert_eq!(found, policy.forward(&batch), "{name}: with and without what is kept");
    // In parts, as sampling evaluates them.
    let (mut output, mut pieces, mut first) = (Output::default(), Kept::default(), 0);
    for end in (2..batch.rows).step_by(3).chain([batch.rows]) {
        policy.evaluate(&batch.select(&(0..end).collect::<Vec<_>>()), first, &mut output, &mut pieces);
        first = end;
    }
    assert!((&found, &kept) == (&output, &pieces), "{name}: at once and in parts");
    let expected = reference(&values);
    let parts = |o: &Output| [o.forward.clone(), o.backward.clone(), o.log_flow.clone()];
    for (found, expected) in parts(&found).iter().zip(parts(&expected)) {
        assert_eq!(found.len(), expected.len(), "{name}");
        for (a, b) in found.iter().zip(&expected) {
            assert!((a - b).abs() < 1e-5 * (1.0 + b.abs()), "{name}: output {a} against {b}");
        }
    }

    let mut weights = found.zeros_like();
    let all = weights.forward.iter_mut().chain(&mut weights.backward).chain(&mut weights.log_flow);
    all.for_each(|w| *w = uniform_number(&mut rng));
    let value = |values: &[Vec<f64>]| -> f64 {
        let outputs = parts(&reference(values)).into_iter().flatten();
        outputs.zip(parts(&weights).into_iter().flatten()).map(|(o, w)| o * w).sum()
    };
    let gradient = policy.pull_back(&batch, &kept, &weights);
    let mut moved = values.clone();
    let mut largest = 0.0f64;
    for (t, gradient) in gradient.iter().enumerate() {
        assert_eq!(gradient.len(), values[t].len(), "{name}: {}", names[t]);
        for (i, found) in gradient.iter().enumerate() {
            let mut at = |shift: f64| {
                moved[t][i] = values[t][i] + shift;
                let value = value(&moved);
                moved[t][i] = values[t][i];
                value
            };
            let expected = (at(1e-5) - at(-1e-5)) / 2e-5;
            largest = largest.max(expected.abs());
            let close = (f64::from(*found) - expected).abs() < 1e-4 * (1.0 + expected.abs());
            assert!(close, "{name}: slope {found} of {}[{i}] against {expected}", names[t]);
        }
    }
    assert!(largest > 0.1, "{name}: a point with a gradient");
}

/// With each combination of learned backward policy and flow.
fn check_all_outputs<E: Environment>(env: &E, kind: &PolicyKind) {
    for (learned_backward, flow) in [(false, false), (true, false), (false, true), (true, true)] {
        check(env, PolicySpec { learned_backward, flow, ..policy_spec(env, kind.clone()) });
    }
}

fn small_mlp() -> MlpSettings {
    MlpSettings { hidden: vec![6, 5], output_scale: 1.0, ..MlpSettings::default() }
}

#[test]
fn mlp_with_each_option_agrees_with_the_reference() {
    let options: [fn(&mut MlpSettings); 9] = [
        |_| {},
        |s| s.linear_path = true,
        |s| s.pooled = true,
        |s| s.table_bits = Some(4),
        |s| s.backward_start = true,
        |s| s.hidden = vec![7],
        |s| s.hidden = vec![5, 4, 6],
        |s| s.hidden = vec![1, 1],
        |s| {
            *s = MlpSettings { linear_path: true, pooled: true, table_bits: Some(6), ..s.clone() };
            s.backward_start = true;
        },
    ];
    for activation in [Activation::LeakyRelu, Activation::Smooth] {
        for option in options {
            let mut settings = MlpSettings { activation, ..small_mlp() };
            option(&mut settings);
            let kind = PolicyKind::Mlp(settings);
            // Keys and pooled outputs, with and without a stop action, which has none of its own.
            check_all_outputs(&Choose::new(4, 3), &kind);
            check_all_outputs(&Choose::up_to(4, 2), &kind);
        }
        let kind = PolicyKind::Mlp(MlpSettings { activation, pooled: true, ..small_mlp() });
        check_all_outputs(&Grid::new(2, 3).unwrap(), &kind);
        check_all_outputs(&Arrows::new(), &kind);
    }
}

#[test]
fn set_encoder_agrees_with_the_reference() {
    for activation in [Activation::LeakyRelu, Activation::Smooth] {
        let kind = PolicyKind::SetEncoder(SetEncoderSettings { hidden: 5, pair_width: 3, activation });
        check_all_outputs(&Arrows::new(), &kind);
        check_all_outputs(&Grid::new(3, 2).unwrap(), &kind);
        check_all_outputs(&Choose::new(4, 3), &kind);
    }
}

#[test]
fn tabular_agrees_with_the_reference() {
    check_all_outputs(&Choose::new(4, 3), &PolicyKind::Tabular);
    check_all_outputs(&Choose::up_to(3, 2), &PolicyKind::Tabular);
    check_all_outputs(&Arrows::new(), &PolicyKind::Tabular);
}

#[test]
fn a_table_answers_zero_for_states_it_has_not_seen() {
    let grid = Grid::new(2, 3).unwrap();
    let mut policy = policy_spec(&grid, PolicyKind::Tabular).build(0).unwrap();
    let first = grid.initial();
    let second = grid.step(&first, 0).0;
    policy.prepare(&StateBatch::new(&grid, [&first], policy.needs()));
    policy.parameters_mut()[0].fill(1.5);
    let both = StateBatch::new(&grid, [&second, &first], policy.needs());
    assert_eq!(policy.forward(&both).forward, [0.0, 0.0, 0.0, 1.5, 1.5, 1.5]);
    // Seen later, it gets a row of zeros behind the others.
    policy.prepare(&both);
    assert_eq!(*policy.parameters_mut()[0], [1.5, 1.5, 1.5, 0.0, 0.0, 0.0]);
}
