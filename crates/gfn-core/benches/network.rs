//! The network of a policy, forward and backward, next to what the core can do at best. Items are floating-point operations.

use divan::Bencher;
use divan::counter::ItemsCount;
use gfn_core::encoding::StateBatch;
use gfn_core::environment::Environment;
use gfn_core::grid::{Cell, Grid};
use gfn_core::policy::{Activation, Kept, MlpSettings, Output, PolicyKind, PolicySpec, TrainablePolicy};

fn main() {
    divan::main();
}

/// Multiply-adds of the widest vectors, eight or more in flight: the peak that a share is meant of.
#[divan::bench]
fn peak_of_multiply_add(bencher: Bencher) {
    const ROUNDS: usize = 10_000;
    const IN_FLIGHT: usize = 12;
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::x86_64::*;
        #[target_feature(enable = "avx512f")]
        fn wide(x: f32) -> f32 {
            let (mut sums, x) = ([_mm512_set1_ps(0.0); IN_FLIGHT], _mm512_set1_ps(x));
            for _ in 0..ROUNDS {
                sums.iter_mut().for_each(|sum| *sum = _mm512_fmadd_ps(x, x, *sum));
            }
            sums.iter().map(|&sum| _mm512_reduce_add_ps(sum)).sum()
        }
        #[target_feature(enable = "avx2,fma")]
        fn middle(x: f32) -> f32 {
            let (mut sums, x) = ([_mm256_set1_ps(0.0); IN_FLIGHT], _mm256_set1_ps(x));
            for _ in 0..ROUNDS {
                sums.iter_mut().for_each(|sum| *sum = _mm256_fmadd_ps(x, x, *sum));
            }
            sums.iter().map(|&sum| _mm256_cvtss_f32(sum)).sum()
        }
        let lanes = if is_x86_feature_detected!("avx512f") { 16 } else { 8 };
        let counter = ItemsCount::new(2 * lanes * ROUNDS * IN_FLIGHT);
        let bencher = bencher.counter(counter).with_inputs(|| 1.5);
        if lanes == 16 {
            // SAFETY: the processor has the feature.
            return bencher.bench_local_values(|x| unsafe { wide(x) });
        }
        if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
            // SAFETY: the processor has the features.
            bencher.bench_local_values(|x| unsafe { middle(x) });
        }
    }
    #[cfg(not(target_arch = "x86_64"))]
    bencher.bench_local(|| ());
}

/// A policy with two hidden layers over the cells of a grid, and as many distinct cells as rows.
struct Case {
    policy: Box<dyn TrainablePolicy>,
    batch: StateBatch,
    gradient: Output,
    /// Of one evaluation, in the dense layers behind the first, which is no product.
    flop: usize,
}

impl Case {
    fn new(hidden: usize, rows: usize) -> Case {
        let grid = Grid::new(3, 32).expect("a grid");
        let settings = MlpSettings {
            hidden: vec![hidden; 2],
            activation: Activation::LeakyRelu,
            output_scale: 1.0,
            ..MlpSettings::default()
        };
        let spec = PolicySpec {
            env: grid.spec().clone(),
            kind: PolicyKind::Mlp(settings),
            learned_backward: false,
            flow: false,
        };
        let policy = spec.build(1).expect("a policy");
        let cells: Vec<Cell> = (0..rows as u16).map(|i| Cell::new(&[i % 31, i / 31 % 31, i / 961])).collect();
        let batch = StateBatch::new(&grid, &cells, policy.needs());
        let gradient = Output {
            forward: (0..batch.forward.len()).map(|i| (i as f64).sin()).collect(),
            ..Output::default()
        };
        let outputs = grid.spec().n_forward_outputs();
        Case { policy, batch, gradient, flop: 2 * rows * hidden * (hidden + outputs) }
    }
}

const SIZES: [(usize, usize); 5] = [(64, 512), (128, 64), (128, 512), (128, 2048), (256, 512)];

/// As a training step does it: evaluate, keep, pull a gradient back.
#[divan::bench(args = SIZES)]
fn forward_and_backward(bencher: Bencher, (hidden, rows): (usize, usize)) {
    let case = Case::new(hidden, rows);
    let (mut output, mut kept) = (Output::default(), Kept::default());
    bencher.counter(ItemsCount::new(3 * case.flop)).bench_local(|| {
        output.clear();
        kept.clear();
        case.policy.evaluate(&case.batch, 0, &mut output, &mut kept);
        let gradients = case.policy.pull_back(&case.batch, &kept, &case.gradient);
        kept.take_back(gradients);
    });
}

#[divan::bench(args = SIZES)]
fn forward(bencher: Bencher, (hidden, rows): (usize, usize)) {
    let case = Case::new(hidden, rows);
    let (mut output, mut kept) = (Output::default(), Kept::default());
    bencher.counter(ItemsCount::new(case.flop)).bench_local(|| {
        output.clear();
        kept.clear();
        case.policy.evaluate(&case.batch, 0, &mut output, &mut kept);
    });
}
