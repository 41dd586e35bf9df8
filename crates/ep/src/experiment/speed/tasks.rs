//! The tasks of `ep experiment speed`, each with the settings of the programs it is compared with.

use std::sync::Arc;

use clap::ValueEnum;
use gfn_core::Result;
use gfn_core::domain::{Domain, Recipe};
use gfn_core::environment::Environment;
use gfn_core::grid::HypergridReward;
use gfn_core::losses::Balance;
use gfn_core::optimizer::AdamSettings;
use gfn_core::policy::{MlpSettings, PolicyKind};
use gfn_core::reward::LogReward;
use gfn_core::trainer::TrainSettings;
use gfn_multiset::{AdditiveReward, Item, MultisetDomain, MultisetSettings};
use gfn_seq::{PositionWeights, SequenceDomain, SequenceSettings};

use crate::experiment::problem::{Problem, Steps, Training};
use crate::experiment::problems::{NetworkData, TreeData, Visitor, networks, trees};
use crate::grid::{GridDomain, GridSettings};

/// What can be trained.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum SpeedTask {
    /// Multisets of 8 items of 10 kinds, log R = Σ cos(3 k + 1) over the kinds k of the items
    Multiset,
    /// Sequences of 6 of 4 tokens, log R = Σ cos(1 + 3 i + 5 x_i) over the positions i
    Sequence,
    /// The hypergrid of 8 × 8 cells
    Grid,
    /// Structures of Bayesian networks of 5 nodes: 100 rows, BGe score, one client with its recipe
    Dag,
    /// Trees of 7 taxa: 500 sites, JC69, one client with its recipe
    Tree,
}

impl SpeedTask {
    /// The name in results.
    pub fn name(self) -> &'static str {
        match self {
            SpeedTask::Multiset => "multiset",
            SpeedTask::Sequence => "sequence",
            SpeedTask::Grid => "grid",
            SpeedTask::Dag => "dag",
            SpeedTask::Tree => "tree",
        }
    }

    /// Builds the problem, whose centralised recipe is the one to train by, and hands it to the visitor.
    pub fn with_problem<V: Visitor>(self, visitor: V) -> Result<V::Output> {
        match self {
            SpeedTask::Multiset => {
                let item = |kind| Item { name: format!("item {kind}"), capacity: None };
                let items = (0..10).map(item).collect();
                let domain = MultisetDomain::new(MultisetSettings { size: 8, items })?;
                let values = (0..10).map(|kind| (3.0 * f64::from(kind) + 1.0).cos()).collect();
                let reward = AdditiveReward::new(domain.environment(), values)?;
                alone(&domain, "multisets", reward, plain(128, 64), visitor)
            }
            SpeedTask::Sequence => {
                let domain = SequenceDomain::new(&SequenceSettings {
                    alphabet: "ABCD".into(),
                    length: 6,
                    exact: true,
                })?;
                let weight = |i, token| (1.0 + 3.0 * f64::from(i) + 5.0 * f64::from(token)).cos();
                let rows: Vec<Vec<f64>> =
                    (0..6).map(|i| (0..4).map(|token| weight(i, token)).collect()).collect();
                let reward = PositionWeights::new(domain.environment(), &rows)?;
                alone(&domain, "sequences", reward, plain(128, 64), visitor)
            }
            SpeedTask::Grid => {
                let domain = GridDomain::new(&GridSettings { dimensions: 2, side: 8 })?;
                alone(&domain, "hypergrid", HypergridReward::default(), plain(256, 16), visitor)
            }
            SpeedTask::Dag => {
                let data = NetworkData { nodes: 5, rows: vec![100], quick: false };
                visitor.visit(&as_a_client(networks(&data, 0)?))
            }
            SpeedTask::Tree => {
                let data = TreeData { sites: vec![500], temper: 0.03, ..TreeData::of_the_paper(false) };
                visitor.visit(&as_a_client(trees(&data, 0)?))
            }
        }
    }
}

/// The problem of a client alone.
fn as_a_client<E: Environment>(mut problem: Problem<E>) -> Problem<E> {
    problem.training.centralised = problem.training.client.clone();
    problem
}

/// A problem of one reward.
fn alone<D: Domain, R: LogReward<D::Env> + 'static, V: Visitor>(
    domain: &D,
    name: &'static str,
    reward: R,
    recipe: Recipe,
    visitor: V,
) -> Result<V::Output> {
    let reward: Arc<dyn LogReward<D::Env>> = Arc::new(reward);
    let steps = Steps { client: 1, round: 1, server: 1, centralised: 1 };
    let training = Training { centralised: recipe, ..Training::of(domain, steps) };
    let env = Arc::clone(domain.environment());
    visitor.visit(&Problem::new(name, env, vec![Arc::clone(&reward)], reward, training, None)?)
}

/// Two hidden layers of one width, own walks with ε = .05, Adam with a constant rate of 1e-3, and of 1e-1 for log Z.
fn plain(hidden: usize, batch_size: usize) -> Recipe {
    let optimizer = AdamSettings {
        rate: 1e-3,
        final_fraction: 1.0,
        clip_norm: None,
        log_z_rate: 0.1,
        ..AdamSettings::default()
    };
    let policy = MlpSettings { hidden: vec![hidden; 2], output_scale: 1.0, ..MlpSettings::default() };
    let settings =
        TrainSettings { loss: Balance::Trajectory, batch_size, optimizer, ..TrainSettings::default() };
    Recipe { policy: PolicyKind::Mlp(policy), settings, chain_objects: 0 }
}
