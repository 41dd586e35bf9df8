//! The grid world of the paper: 9 × 9 cells and four clients, each with a beacon of its own.

use std::sync::Arc;

use gfn_core::Result;
use gfn_core::grid::{BeaconReward, Cell, Grid};
use gfn_core::reward::LogReward;

use super::{Common, for_quick, own, with_proposals};
use crate::experiment::problem::{Factors, Problem, ServerStart, Sum, Training};

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
    Problem::new("grid", Arc::new(env), clients, product, for_quick(training(), quick), Some(factors))
}

pub(super) fn training() -> Training {
    let common = Common { hidden: &[128, 128], batch_size: 256, rate: 1e-2, averaging: 0.996 };
    Training {
        client: common.recipe(2000, own()),
        round: common.recipe(1000, with_proposals()),
        server: common.recipe(2000, own()),
        centralised: common.recipe(2000, own()),
        server_start: ServerStart::Fresh,
    }
}
