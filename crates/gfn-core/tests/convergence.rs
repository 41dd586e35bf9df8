//! Every loss drives every small environment to its target, or refuses it with the reason.

mod shared;

use std::sync::Arc;

use gfn_core::exact::{StateGraph, normalise};
use gfn_core::grid::{Grid, HypergridReward};
use gfn_core::losses::Balance;
use gfn_core::observer::{Control, Stopped};
use gfn_core::optimizer::AdamSettings;
use gfn_core::policy::{MlpSettings, PolicyKind};
use gfn_core::reward::{LogReward, RewardTarget};
use gfn_core::rollout::{Share, Source};
use gfn_core::trainer::{Budget, TrainSettings, Trainer};
use gfn_core::{Environment, StopRule};
use shared::{Choose, irregular, l1, policy_spec};

const LOSSES: [Balance; 5] = [
    Balance::Trajectory,
    Balance::Detailed,
    Balance::SubTrajectory { lambda: 0.9 },
    Balance::Contrastive,
    Balance::ModifiedDetailed,
];

struct Case {
    kind: PolicyKind,
    rate: f64,
    learned_backward: bool,
}

fn table() -> Case {
    Case { kind: PolicyKind::Tabular, rate: 0.05, learned_backward: false }
}

fn mlp() -> Case {
    let settings = MlpSettings { hidden: vec![64, 64], ..MlpSettings::default() };
    Case { kind: PolicyKind::Mlp(settings), rate: 5e-3, learned_backward: false }
}

/// Total variation between what is learned and the target, and log Z learned minus the true one.
fn train<E: Environment, R: LogReward<E> + Copy + 'static>(
    env: &Arc<E>,
    reward: R,
    loss: Balance,
    case: &Case,
) -> gfn_core::Result<(f64, f64)> {
    let mut spec = policy_spec(env.as_ref(), case.kind.clone());
    spec.flow = true;
    spec.learned_backward = case.learned_backward;
    let settings = TrainSettings {
        loss,
        batch_size: 64,
        groups: if case.kind == PolicyKind::Tabular { 2 } else { 1 },
        budget: Budget::Steps(1500),
        optimizer: AdamSettings { rate: case.rate, clip_norm: Some(10.0), ..AdamSettings::default() },
        behaviour: vec![
            Share { share: 0.5, source: Source::on_policy(0.1) },
            Share { share: 0.5, source: Source::UniformPolicy },
        ],
        seed: 7,
        ..TrainSettings::default()
    };
    let target = Arc::new(RewardTarget { reward });
    let mut trainer = Trainer::new(Arc::clone(env), target, spec.build(3)?, settings)?;
    let stopped = trainer.run(&mut |_: &_| Control::Continue)?;
    assert_eq!(stopped, Stopped::BudgetSpent);
    let trained = trainer.finish();
    let graph = StateGraph::enumerate(env.as_ref(), 1000)?;
    let (log_z, expected) = normalise(&graph.log_rewards(env.as_ref(), &reward));
    let found = graph.distribution(&graph.edge_policy(env.as_ref(), trained.policy.as_policy()));
    Ok((0.5 * l1(&found, &expected), trained.log_z - log_z))
}

fn check<E: Environment, R: LogReward<E> + Copy + 'static>(env: &Arc<E>, reward: R, case: &Case) {
    for loss in LOSSES {
        let result = train(env, reward, loss, case);
        let name = format!("{loss:?} on {} with {:?}", env.spec().name, case.kind);
        if loss == Balance::ModifiedDetailed && env.spec().stop == StopRule::Exhausted {
            let error = result.expect_err("no stop action").to_string();
            assert!(error.contains("stop"), "{name}: {error}");
            continue;
        }
        let (distance, log_z_error) = result.unwrap();
        assert!(distance <= 0.01, "{name}: total variation {distance}");
        if loss == Balance::Trajectory {
            assert!(log_z_error.abs() < 0.02, "{name}: log Z is off by {log_z_error}");
        }
    }
}

fn grid() -> Arc<Grid> {
    Arc::new(Grid::new(2, 4).unwrap())
}

const REWARD: HypergridReward = HypergridReward { r0: 0.2, r1: 0.5, r2: 2.0 };

#[test]
fn every_loss_trains_a_table_on_the_grid() {
    check(&grid(), REWARD, &table());
}

#[test]
fn every_loss_trains_a_network_on_the_grid() {
    check(&grid(), REWARD, &mlp());
}

#[test]
fn every_loss_trains_a_table_on_sets_or_refuses() {
    check(&Arc::new(Choose::new(4, 3)), irregular as fn(&u32) -> f64, &table());
}

#[test]
fn every_loss_trains_a_network_on_sets_or_refuses() {
    check(&Arc::new(Choose::new(4, 3)), irregular as fn(&u32) -> f64, &mlp());
}

#[test]
fn every_loss_trains_a_backward_policy_along() {
    check(&grid(), REWARD, &Case { learned_backward: true, ..table() });
    check(
        &Arc::new(Choose::new(4, 3)),
        irregular as fn(&u32) -> f64,
        &Case { learned_backward: true, ..mlp() },
    );
}

#[test]
fn a_loss_that_needs_flows_refuses_a_policy_without() {
    for loss in [Balance::Detailed, Balance::SubTrajectory { lambda: 0.9 }] {
        let policy = policy_spec(grid().as_ref(), PolicyKind::Tabular).build(0).unwrap();
        let settings = TrainSettings { loss, ..TrainSettings::default() };
        let target = Arc::new(RewardTarget { reward: REWARD });
        let error = Trainer::new(grid(), target, policy, settings).err().expect("refused").to_string();
        assert!(error.contains("log F(s)"), "{error}");
    }
}
