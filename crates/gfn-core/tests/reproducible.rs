//! The same seed gives the same bits: on any number of threads, and however often a run is stopped and resumed.

mod shared;

use std::path::Path;
use std::sync::Arc;

use gfn_core::aggregate::{ClientEnsemble, ClientLogits};
use gfn_core::environment::Environment;
use gfn_core::exact::StateGraph;
use gfn_core::grid::{BeaconReward, Cell, Grid, HypergridReward};
use gfn_core::likelihood::Pretraining;
use gfn_core::losses::Balance;
use gfn_core::observer::{Control, Stopped};
use gfn_core::optimizer::AdamSettings;
use gfn_core::policy::{
    Activation, MlpSettings, Policy, PolicyKind, Residual, SetEncoderSettings, TensorMap, TrainablePolicy,
};
use gfn_core::reward::{LogReward, RewardTarget, Target};
use gfn_core::rollout::{Share, Source};
use gfn_core::server::as_policy;
use gfn_core::tensor_file;
use gfn_core::trainer::{Annealing, Budget, TrainSettings, Trainer};
use serde_json::Value;
use shared::{Arrows, Choose, irregular, parameter_bits, policy_spec};

const STEPS: u64 = 25;

fn mlp() -> MlpSettings {
    MlpSettings { hidden: vec![8, 7], ..MlpSettings::default() }
}

/// Everything at once: pretraining, replay, tilted and flattened walks, annealing, averaging, warm-up.
fn settings(loss: Balance, seed: u64) -> TrainSettings {
    let own = Source::Own { scale: 0.7, random_scale: true, epsilon: 0.1, tilt: 0.5 };
    TrainSettings {
        loss,
        huber: Some(5.0),
        batch_size: 8,
        groups: 3,
        budget: Budget::Steps(STEPS),
        optimizer: AdamSettings { rate: 0.02, warmup_steps: 5, ..AdamSettings::default() },
        behaviour: vec![
            Share { share: 0.5, source: own },
            Share { share: 0.2, source: Source::UniformPolicy },
            Share { share: 0.2, source: Source::Replay },
            Share { share: 0.1, source: Source::Proposals },
            Share { share: 0.1, source: Source::Chain },
        ],
        annealing: Some(Annealing { start: 0.2, until: 0.6 }),
        pretraining: Some(Pretraining { until: 0.2, walks: 4, transitions: 2, rate: 0.05 }),
        averaging: Some(0.9),
        replay_capacity: 5,
        seed,
    }
}

/// How to make the same trainer again and again.
type Make<E> = Box<dyn Fn(TrainSettings) -> Trainer<E>>;

fn client<E: Environment, R: LogReward<E> + Copy + 'static>(
    env: E,
    reward: R,
    kind: PolicyKind,
    with_more_outputs: bool,
) -> Make<E> {
    let env = Arc::new(env);
    Box::new(move |settings| {
        let mut spec = policy_spec(env.as_ref(), kind.clone());
        (spec.learned_backward, spec.flow) = (with_more_outputs, with_more_outputs);
        let policy = spec.build(settings.seed).unwrap();
        let proposals: Vec<E::State> =
            StateGraph::enumerate(env.as_ref(), 1000).unwrap().objects().cloned().collect();
        let chain = proposals.iter().step_by(3).cloned().collect();
        let target = Arc::new(RewardTarget { reward });
        Trainer::new(Arc::clone(&env), target, policy, settings)
            .unwrap()
            .with_chain(chain)
            .with_proposals(proposals)
    })
}

fn grid() -> Grid {
    Grid::new(2, 5).unwrap()
}

const REWARD: HypergridReward = HypergridReward { r0: 0.1, r1: 0.5, r2: 2.0 };

/// A server on three clients of different families, with weights, a public factor and a residual network.
fn server(kind: PolicyKind) -> Make<Grid> {
    Box::new(move |settings| {
        let kinds = [PolicyKind::Mlp(mlp()), PolicyKind::Tabular, set_encoder()];
        let clients = kinds.into_iter().zip([1.0, 0.5, 2.0]).enumerate().map(|(n, (kind, weight))| {
            let reward = BeaconReward { beacon: Cell::new(&[4, n as u16]), beta: 1.0 };
            let mut trainer = client(grid(), reward, kind, false)(TrainSettings {
                behaviour: vec![Share { share: 1.0, source: Source::on_policy(0.1) }],
                ..settings.clone()
            });
            trainer.run(&mut |_: &_| Control::Continue).unwrap();
            (Arc::from(as_policy(trainer.finish().policy)), weight)
        });
        let logits = Arc::new(ClientLogits::new(clients.collect()).unwrap());
        let target: Arc<dyn Target<Grid>> =
            Arc::new(ClientEnsemble::new(Arc::clone(&logits), Some(Arc::new(REWARD))));
        let inner = policy_spec(&grid(), kind.clone()).build(settings.seed).unwrap();
        let policy: Box<dyn TrainablePolicy> = Box::new(Residual::new(inner, logits));
        Trainer::new(Arc::new(grid()), target, policy, settings).unwrap()
    })
}

fn set_encoder() -> PolicyKind {
    PolicyKind::SetEncoder(SetEncoderSettings { hidden: 8, pair_width: 3, activation: Activation::Smooth })
}

fn with_table() -> PolicyKind {
    PolicyKind::Mlp(MlpSettings {
        linear_path: true,
        pooled: true,
        table_bits: Some(6),
        backward_start: true,
        ..mlp()
    })
}

/// The parameters after a whole run, averaged ones, in a pool of so many threads.
fn trained_bits<E: Environment>(
    make: &(dyn Fn(TrainSettings) -> Trainer<E> + Sync),
    settings: TrainSettings,
    threads: usize,
) -> Vec<(String, Vec<u32>)> {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
    pool.install(|| {
        let mut trainer = make(settings);
        assert_eq!(trainer.run(&mut |_: &_| Control::Continue).unwrap(), Stopped::BudgetSpent);
        let trained = trainer.finish();
        let mut bits = parameter_bits(trained.policy.as_policy());
        let log_z = trained.log_z.to_bits();
        bits.push(("log Z".into(), vec![log_z as u32, (log_z >> 32) as u32]));
        bits
    })
}

#[test]
fn the_number_of_threads_does_not_change_a_bit_and_the_seed_does() {
    let grid_client = |settings| client(grid(), REWARD, PolicyKind::Mlp(mlp()), true)(settings);
    let choose_client = |settings| client(Choose::new(5, 3), IRREGULAR, with_table(), false)(settings);
    let arrow_client = |settings| client(Arrows::new(), ARROWS, set_encoder(), true)(settings);
    let table_client = |settings| client(grid(), REWARD, PolicyKind::Tabular, false)(settings);
    let grid_server = |settings| server(PolicyKind::Mlp(mlp()))(settings);
    let table_server = |settings| server(PolicyKind::Tabular)(settings);
    compare_threads("mlp", &grid_client, Balance::Detailed);
    compare_threads("mlp with all options", &choose_client, Balance::Contrastive);
    compare_threads("set encoder", &arrow_client, Balance::SubTrajectory { lambda: 0.9 });
    compare_threads("table", &table_client, Balance::Trajectory);
    compare_threads("server with mlp", &grid_server, Balance::Contrastive);
    compare_threads("server with table", &table_server, Balance::ModifiedDetailed);
}

const IRREGULAR: fn(&u32) -> f64 = irregular;
const ARROWS: fn(&u16) -> f64 = |arrows| f64::from(arrows.count_ones()).sin();

fn compare_threads<E: Environment>(
    name: &str,
    make: &(dyn Fn(TrainSettings) -> Trainer<E> + Sync),
    loss: Balance,
) {
    let one = trained_bits(make, settings(loss, 11), 1);
    assert_eq!(one, trained_bits(make, settings(loss, 11), 2), "{name}: one thread and two");
    assert_ne!(one, trained_bits(make, settings(loss, 12), 1), "{name}: two seeds");
}

/// Everything a checkpoint holds but the clock.
fn contents(path: &Path) -> (Value, Vec<(String, Vec<u32>)>) {
    let (mut description, tensors): (Value, TensorMap) = tensor_file::load(path).unwrap();
    description["seconds"] = Value::Null;
    let bits = |values: &[f32]| values.iter().map(|v| v.to_bits()).collect();
    let mut tensors: Vec<_> = tensors.into_values().map(|t| (t.name, bits(&t.values))).collect();
    tensors.sort();
    (description, tensors)
}

/// A run stopped after each of its steps and resumed, against the uninterrupted one.
fn check_resume<E: Environment>(make: &Make<E>, loss: Balance) {
    let folder = tempfile::tempdir().unwrap();
    let at = |step: u64| folder.path().join(format!("{step}.safetensors"));
    let mut whole = make(settings(loss, 21));
    whole.save_checkpoint(&at(0)).unwrap();
    for step in 1..=STEPS {
        whole.step().unwrap();
        whole.save_checkpoint(&at(step)).unwrap();
    }
    let expected = contents(&at(STEPS));
    assert_eq!(expected.0["step"], STEPS);
    assert_eq!(expected.0["replay"].as_array().unwrap().len(), 5, "the buffer is full");
    let tensors = |prefix: &str| expected.1.iter().filter(|(name, _)| name.starts_with(prefix)).count();
    assert!(tensors("average/") > 0 && tensors("first/") == tensors("second/"));
    assert_eq!(expected.0["log_z"] != 0.0, loss == Balance::Trajectory);
    let last = whole.finish();
    for stop in 0..=STEPS {
        let mut resumed = make(settings(loss, 21));
        resumed.restore_checkpoint(&at(stop)).unwrap();
        assert_eq!(resumed.steps(), stop);
        assert_eq!(resumed.run(&mut |_: &_| Control::Continue).unwrap(), Stopped::BudgetSpent);
        let path = folder.path().join("resumed.safetensors");
        resumed.save_checkpoint(&path).unwrap();
        assert_eq!(contents(&path), expected, "resumed after step {stop}");
        let resumed = resumed.finish();
        let bits = |policy: &dyn Policy| parameter_bits(policy);
        assert_eq!(bits(resumed.policy.as_policy()), bits(last.policy.as_policy()), "average, step {stop}");
        assert_eq!(resumed.log_z.to_bits(), last.log_z.to_bits(), "log Z, step {stop}");
    }
}

#[test]
fn a_growing_table_with_log_z_resumes_from_any_step() {
    // Large enough that the table grows to the end.
    let env = Grid::new(3, 8).unwrap();
    check_resume(&client(env, REWARD, PolicyKind::Tabular, false), Balance::Trajectory);
}

#[test]
fn a_network_with_a_table_resumes_from_any_step() {
    check_resume(&client(Choose::new(5, 3), IRREGULAR, with_table(), false), Balance::Contrastive);
    check_resume(&client(Choose::up_to(5, 3), IRREGULAR, with_table(), true), Balance::Trajectory);
}

#[test]
fn a_set_encoder_with_flow_and_learned_backward_policy_resumes_from_any_step() {
    let loss = Balance::SubTrajectory { lambda: 0.9 };
    check_resume(&client(Arrows::new(), ARROWS, set_encoder(), true), loss);
}

#[test]
fn a_server_resumes_from_any_step() {
    check_resume(&server(PolicyKind::Mlp(mlp())), Balance::Contrastive);
    check_resume(&server(PolicyKind::Tabular), Balance::ModifiedDetailed);
}
