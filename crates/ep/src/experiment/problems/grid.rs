//! The grid world of the paper: 9 × 9 cells and four clients, each with a beacon of its own.

use std::sync::Arc;

use gfn_core::Result;
use gfn_core::domain::Recipe;
use gfn_core::grid::{BeaconReward, Cell, Grid};
use gfn_core::optimizer::AdamSettings;
use gfn_core::policy::{Activation, MlpSettings, PolicyKind};
use gfn_core::reward::LogReward;
use gfn_core::rollout::{Share, Source};
use gfn_core::trainer::TrainSettings;

use super::for_quick;
use crate::experiment::problem::{Factors, Problem, ServerStart, Sum, Training, with_steps};

/// Cells per axis, and those of `--quick`.
const SIDES: [usize; 2] = [9, 5];

/// The problem. There is one only: a seed redraws the training.
pub fn grid(quick: bool) -> Result<Problem<Grid>> {
    let side = SIDES[usize::from(quick)];
    let env = Grid::new(2, side)?;
    let (near, far) = (1, side as u16 - 1);
    // β was recovered from the paper's figure 2.
    let beacons = [([far, far], 1.0), ([near, far], 2.0), ([far, near], 2.0), ([near, near], 0.5)];
    let clients: Vec<Arc<dyn LogReward<Grid>>> = beacons
        .iter()
        .map(|(cell, beta)| Arc::new(BeaconReward { beacon: Cell::new(cell), beta: *beta }) as _)
        .collect();
    let factors = Factors {
        description: "the two coordinates",
        n_features: 2 * side,
        read: Box::new(move |cell: &Cell, features| {
            let coordinates = cell.coordinates[..2].iter().enumerate();
            features.extend(coordinates.map(|(axis, &x)| (axis * side) as u32 + u32::from(x)));
            0.0
        }),
    };
    let product = Arc::new(Sum(clients.clone()));
    Problem::new("grid", Arc::new(env), clients, product, for_quick(grid_training(), quick), Some(factors))
}

/// How the stages are trained: the network sees nearly every cell in every batch.
pub fn grid_training() -> Training {
    let policy = MlpSettings {
        hidden: vec![128, 128],
        activation: Activation::Smooth,
        linear_path: true,
        output_scale: 0.1,
        ..MlpSettings::default()
    };
    let recipe = |steps: u64, proposals: f64| {
        let mut behaviour = vec![Share { share: 1.0 - proposals, source: Source::on_policy(0.05) }];
        behaviour.extend((proposals > 0.0).then_some(Share { share: proposals, source: Source::Proposals }));
        let settings = TrainSettings {
            batch_size: 256,
            optimizer: AdamSettings { rate: 1e-2, beta2: 0.99, clip_norm: None, ..AdamSettings::default() },
            behaviour,
            averaging: Some(0.99),
            ..TrainSettings::default()
        };
        with_steps(Recipe { policy: PolicyKind::Mlp(policy.clone()), settings, chain_objects: 0 }, steps)
    };
    Training {
        client: recipe(2000, 0.0),
        round: recipe(1000, 0.5),
        server: recipe(2000, 0.0),
        centralised: recipe(2000, 0.0),
        server_start: ServerStart::Fresh,
    }
}
