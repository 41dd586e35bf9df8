//! A state's output does not depend on which other states are in the batch: memoised clients rely on it.

mod shared;

use gfn_core::encoding::StateBatch;
use gfn_core::environment::Environment;
use gfn_core::exact::StateGraph;
use gfn_core::grid::Grid;
use gfn_core::policy::{
    Activation, Kept, MlpSettings, Output, PolicyKind, SetEncoderSettings, TrainablePolicy,
};
use gfn_core::random::stream;
use rand::Rng;
use shared::{Arrows, policy_spec};

const SIZES: [usize; 11] = [1, 2, 3, 4, 5, 7, 16, 64, 129, 300, 1000];

fn perturbed(mut policy: Box<dyn TrainablePolicy>) -> Box<dyn TrainablePolicy> {
    let mut rng = stream(8, "perturbation", 0);
    for values in policy.parameters_mut() {
        for value in values.iter_mut() {
            *value += (rng.next_u32() as f32 / u32::MAX as f32 - 0.5) * 0.2;
        }
    }
    policy.parameters_changed();
    policy
}

/// All states in batches of several sizes, each compared with the state alone and with the pass that keeps what the way back needs.
fn check<E: Environment>(env: &E, kind: PolicyKind) {
    let mut spec = policy_spec(env, kind);
    (spec.learned_backward, spec.flow) = (true, true);
    let policy = perturbed(spec.build(4).unwrap());
    let graph = StateGraph::enumerate(env, 2000).unwrap();
    // Enough states for the largest batch, some of them several times.
    let states: Vec<&E::State> = graph.states().iter().cycle().take(1000).collect();
    let one = |state| {
        let batch = StateBatch::new(env, [state], policy.needs());
        policy.forward(&batch)
    };
    let alone: Vec<_> = states.iter().map(|s| one(*s)).collect();
    let bits = |values: &[f64]| -> Vec<u64> { values.iter().map(|v| v.to_bits()).collect() };
    for size in SIZES {
        for (chunk, expected) in states.chunks(size).zip(alone.chunks(size)).take(3) {
            let batch = StateBatch::new(env, chunk.iter().copied(), policy.needs());
            let output = policy.forward(&batch);
            let mut kept = (Output::default(), Kept::default());
            policy.evaluate(&batch, 0, &mut kept.0, &mut kept.1);
            assert_eq!(output, kept.0, "with and without what is kept");
            for (row, expected) in expected.iter().enumerate() {
                let forward = &output.forward[batch.forward_offsets[row]..batch.forward_offsets[row + 1]];
                let backward = &output.backward[batch.backward_offsets[row]..batch.backward_offsets[row + 1]];
                let place = format!("{:?}, row {row} of {}", policy.spec().kind, chunk.len());
                assert_eq!(bits(forward), bits(&expected.forward), "forward: {place}");
                assert_eq!(bits(backward), bits(&expected.backward), "backward: {place}");
                assert_eq!(bits(&output.log_flow[row..=row]), bits(&expected.log_flow), "flow: {place}");
            }
        }
    }
}

fn mlp(hidden: &[usize], activation: Activation) -> PolicyKind {
    let hidden = hidden.to_vec();
    let all = MlpSettings { linear_path: true, pooled: true, backward_start: true, ..MlpSettings::default() };
    PolicyKind::Mlp(MlpSettings { hidden, activation, output_scale: 1.0, ..all })
}

#[test]
fn mlp_rows_do_not_depend_on_the_batch() {
    let grid = Grid::new(3, 6).unwrap();
    for hidden in [&[16][..], &[33, 7], &[128, 128], &[600, 500], &[1100, 40], &[513], &[2, 7], &[64, 1]] {
        check(&grid, mlp(hidden, Activation::LeakyRelu));
        check(&grid, mlp(hidden, Activation::Smooth));
    }
    let long = Grid::new(1, 400).unwrap();
    check(&long, mlp(&[64, 64], Activation::Smooth));
    check(&Arrows::new(), mlp(&[128], Activation::LeakyRelu));
}

#[test]
fn set_encoder_rows_do_not_depend_on_the_batch() {
    let kind = |hidden, pair_width| {
        let settings = SetEncoderSettings { hidden, pair_width, ..SetEncoderSettings::default() };
        PolicyKind::SetEncoder(settings)
    };
    for (hidden, pair_width) in [(8, 3), (64, 16), (96, 16), (300, 8)] {
        check(&Grid::new(3, 6).unwrap(), kind(hidden, pair_width));
        check(&Grid::new(1, 300).unwrap(), kind(hidden, pair_width));
        check(&Arrows::new(), kind(hidden, pair_width));
    }
}
