//! Training asks for no memory per trajectory: a step of many takes as many allocations as a step of few.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::Arc;

use gfn_bn::simulate::{Edges, SimulationSettings, Sites, simulate_gaussian};
use gfn_bn::{BgeSettings, DagEnvironment, DagReward};
use gfn_core::Environment;
use gfn_core::aggregate::{ClientEnsemble, ClientLogits};
use gfn_core::grid::{BeaconReward, Cell as GridCell, Grid};
use gfn_core::losses::Balance;
use gfn_core::policy::{MlpSettings, Policy, PolicyKind, PolicySpec, Residual};
use gfn_core::random::stream;
use gfn_core::reward::{LogReward, RewardTarget, Target};
use gfn_core::rollout::{Share, Source};
use gfn_core::trainer::{TrainSettings, Trainer};
use gfn_multiset::Multisets;
use gfn_phylo::{Alignment, BranchLengths, MergeForest, SubstitutionModel, TreeReward};
use gfn_seq::{PositionWeights, Sequences};

/// Counts what it is asked for.
struct Counting;

thread_local! {
    /// Of this thread: tests run side by side.
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
}

fn count() {
    // A thread that ends may ask for memory when its numbers are gone already.
    let _ = ALLOCATIONS.try_with(|n| n.set(n.get() + 1));
}

// SAFETY: everything is left to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: as the caller promises.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: as the caller promises.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count();
        // SAFETY: as the caller promises.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const FEW: usize = 32;
const MANY: usize = 256;
const STEPS: usize = 20;

/// Allocations of a step, after a hundred others.
fn per_step<E: Environment>(
    env: &Arc<E>,
    target: &Arc<dyn Target<E>>,
    loss: Balance,
    source: Source,
    base: Option<&Arc<ClientLogits>>,
    batch_size: usize,
) -> f64 {
    let kind = PolicyKind::Mlp(MlpSettings { hidden: vec![16, 16], ..MlpSettings::default() });
    let spec = PolicySpec {
        env: env.spec().clone(),
        kind,
        learned_backward: false,
        flow: loss == Balance::Detailed,
    };
    let mut policy = spec.build(1).unwrap();
    if let Some(base) = base {
        policy = Box::new(Residual::new(policy, Arc::clone(base) as _));
    }
    let behaviour = vec![Share { share: 1.0, source }];
    let settings =
        TrainSettings { loss, batch_size, behaviour, averaging: Some(0.99), ..TrainSettings::default() };
    let mut trainer = Trainer::new(Arc::clone(env), Arc::clone(target), policy, settings).unwrap();
    for _ in 0..100 {
        trainer.step().unwrap();
    }
    let before = ALLOCATIONS.get();
    for _ in 0..STEPS {
        trainer.step().unwrap();
    }
    (ALLOCATIONS.get() - before) as f64 / STEPS as f64
}

fn check<E: Environment>(env: E, reward: impl LogReward<E> + 'static, losses: &[Balance]) {
    let env = Arc::new(env);
    let name = &env.spec().name;
    let target: Arc<dyn Target<E>> = Arc::new(RewardTarget { reward });
    let compare =
        |what: &str, target: &Arc<dyn Target<E>>, loss, source, base: Option<&Arc<ClientLogits>>| {
            let of = |batch_size| per_step(&env, target, loss, source, base, batch_size);
            let (few, many) = (of(FEW), of(MANY));
            // Lists that grow by doubling grow a few times more often in a longer step.
            let each = (many - few) / (MANY - FEW) as f64;
            assert!(each < 0.2, "{name}, {what}, {loss:?}: {few} of {FEW} trajectories, {many} of {MANY}");
        };
    for &loss in losses {
        compare("own walks", &target, loss, Source::on_policy(0.05), None);
    }
    let flattened = Source::scaled(0.5, 0.05);
    compare("flattened walks", &target, losses[0], flattened, None);
    if env.sample_object(&mut stream(1, "objects", 0)).is_some() {
        compare("walks from uniform objects", &target, losses[0], Source::UniformObjects, None);
    }
    // The server: two clients, asked for states that they have seen before.
    let kind = PolicyKind::Mlp(MlpSettings { hidden: vec![8], ..MlpSettings::default() });
    let client = |seed| -> (Arc<dyn Policy>, f64) {
        let spec =
            PolicySpec { env: env.spec().clone(), kind: kind.clone(), learned_backward: false, flow: false };
        (gfn_core::server::as_policy(spec.build(seed).unwrap()).into(), 1.0)
    };
    let logits = Arc::new(ClientLogits::new(vec![client(1), client(2)]).unwrap());
    let ensemble: Arc<dyn Target<E>> = Arc::new(ClientEnsemble::new(Arc::clone(&logits), None));
    compare("a server", &ensemble, losses[0], Source::on_policy(0.05), Some(&logits));
}

#[test]
fn no_allocation_per_trajectory() {
    let all = [Balance::Contrastive, Balance::Trajectory, Balance::ModifiedDetailed];
    let beacon = BeaconReward { beacon: GridCell::new(&[3, 3]), beta: 1.0 };
    check(Grid::new(2, 5).unwrap(), beacon, &all);
    let sequences = Sequences::new(4, 5, false).unwrap();
    let weights = PositionWeights::new(&sequences, &vec![vec![0.0, 0.5, 1.0, -1.0]; 5]).unwrap();
    check(sequences, weights, &all);
    let multisets = Multisets::new(6, 4).unwrap();
    let values = gfn_multiset::AdditiveReward::new(&multisets, vec![0.0, 0.5, 1.0, -1.0, 0.3, 0.2]).unwrap();
    check(multisets, values, &[Balance::Contrastive, Balance::Trajectory, Balance::Detailed]);
    let simulation = simulate_gaussian(&SimulationSettings {
        nodes: 4,
        edges: Edges::Expected(3.0),
        rows: vec![50],
        sites: Sites::Homogeneous,
        seed: 1,
    })
    .unwrap();
    let networks = DagEnvironment::new((0..4).map(|node| format!("X{node}")).collect()).unwrap();
    let reward = DagReward::bge(&networks, &simulation.tables[0], &BgeSettings::default()).unwrap();
    check(networks, reward, &all);
    let taxa: Vec<String> = "abcdef".chars().map(String::from).collect();
    let trees = MergeForest::new(taxa.clone(), 0, BranchLengths::fixed(0.1).unwrap()).unwrap();
    let rows = (1..=6u32).map(|row| (0..40).map(|site| b"ACGT"[(site * row % 7 % 4) as usize]).collect());
    let alignment = Alignment::new(taxa, rows.collect()).unwrap();
    let reward = TreeReward::new(&trees, &alignment, &SubstitutionModel::jc69(), 1.0).unwrap();
    check(trees, reward, &[Balance::Contrastive, Balance::Trajectory, Balance::Detailed]);
}

/// What is counted is there where states are too large to do without.
#[test]
fn large_states_are_counted() {
    let multisets = Multisets::new(40, 4).unwrap();
    let values = gfn_multiset::AdditiveReward::new(&multisets, vec![0.1; 40]).unwrap();
    let env = Arc::new(multisets);
    let target: Arc<dyn Target<Multisets>> = Arc::new(RewardTarget { reward: values });
    let of = |n| per_step(&env, &target, Balance::Contrastive, Source::on_policy(0.05), None, n);
    // At least one for each of the four steps of a walk.
    let each = (of(MANY) - of(FEW)) / (MANY - FEW) as f64;
    assert!(each > 3.0, "{each}");
}
