//! The grid world of the paper: 9 × 9 cells and four clients, each with a beacon of its own.

use std::sync::Arc;

use gfn_core::Result;
use gfn_core::domain::Domain as _;
use gfn_core::grid::{BeaconReward, Cell, Grid};
use gfn_core::reward::LogReward;

use super::for_quick;
use crate::experiment::problem::{Factors, Problem, Steps, Sum, Training};
use crate::grid::{GridDomain, GridSettings};

/// Cells per axis, and those of `--quick`.
const SIDES: [usize; 2] = [9, 5];

/// The problem. There is one only: a seed redraws the training.
pub fn grid(quick: bool) -> Result<Problem<Grid>> {
    let side = SIDES[usize::from(quick)];
    let domain = GridDomain::new(&GridSettings { dimensions: 2, side })?;
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
    let training = for_quick(grid_training(&domain), quick);
    Problem::new("grid", Arc::clone(domain.environment()), clients, product, training, Some(factors))
}

/// How the stages are trained on a grid world of this size.
pub fn grid_training(domain: &GridDomain) -> Training {
    Training::of(domain, Steps { client: 2000, round: 1000, server: 2000, centralised: 2000 })
}
