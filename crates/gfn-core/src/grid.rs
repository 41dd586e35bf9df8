//! The grid world H^D: the reference environment of tests and documentation, with the two rewards of the papers.

use rand::RngExt;
use rand::rngs::ChaCha8Rng;

use crate::environment::{EnvSpec, Environment, Heads, StopRule, fingerprint};
use crate::error::{Error, Result};
use crate::reward::LogReward;

/// Largest number of axes.
pub const MAX_DIMENSIONS: usize = 8;

/// A cell; coordinates of axes that the grid does not have are 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Cell {
    /// Coordinates, each in 0..H.
    pub coordinates: [u16; MAX_DIMENSIONS],
}

impl Cell {
    /// The cell of these coordinates. Panics if there are more than [`MAX_DIMENSIONS`] of them.
    pub fn new(coordinates: &[u16]) -> Self {
        let mut cell = Cell { coordinates: [0; MAX_DIMENSIONS] };
        cell.coordinates[..coordinates.len()].copy_from_slice(coordinates);
        cell
    }
}

/// H^D cells. Trajectories start at the origin; action k adds 1 along axis k; every cell is an object.
///
/// p_B is uniform over parents. A state encodes to one row of H binary features per axis.
#[derive(Debug, Clone)]
pub struct Grid {
    spec: EnvSpec,
    dimensions: usize,
    side: usize,
}

impl Grid {
    /// A grid of `dimensions` axes (1 to 8) with `side` cells each (2 to 65536).
    pub fn new(dimensions: usize, side: usize) -> Result<Self> {
        if !(1..=MAX_DIMENSIONS).contains(&dimensions) {
            let expected = format!("1 to {MAX_DIMENSIONS} axes");
            return Err(Error::usage(
                "dimensions",
                expected,
                dimensions.to_string(),
                "choose a smaller grid world",
            ));
        }
        if !(2..=1 << 16).contains(&side) {
            return Err(Error::usage(
                "side",
                "2 to 65536 cells per axis",
                side.to_string(),
                "choose another length",
            ));
        }
        Ok(Grid {
            spec: EnvSpec {
                name: "grid".into(),
                fingerprint: fingerprint(&["grid", &dimensions.to_string(), &side.to_string()]),
                rows: dimensions,
                width: side,
                n_forward: dimensions,
                n_backward: dimensions,
                heads: Heads::Flat,
                stop: StopRule::Always,
            },
            dimensions,
            side,
        })
    }

    /// Number of axes, D.
    pub fn dimensions(&self) -> usize {
        self.dimensions
    }

    /// Cells per axis, H.
    pub fn side(&self) -> usize {
        self.side
    }

    /// The coordinates of the axes that exist.
    pub fn coordinates<'a>(&self, cell: &'a Cell) -> &'a [u16] {
        &cell.coordinates[..self.dimensions]
    }
}

impl Environment for Grid {
    type State = Cell;

    fn spec(&self) -> &EnvSpec {
        &self.spec
    }

    fn initial(&self) -> Cell {
        Cell::new(&[])
    }

    fn forward_actions(&self, cell: &Cell, actions: &mut Vec<u32>) {
        let inside = |axis: &usize| usize::from(cell.coordinates[*axis]) + 1 < self.side;
        actions.extend((0..self.dimensions).filter(inside).map(|axis| axis as u32));
    }

    fn backward_actions(&self, cell: &Cell, actions: &mut Vec<u32>, weights: &mut Vec<f64>) {
        for (axis, &x) in self.coordinates(cell).iter().enumerate() {
            if x > 0 {
                actions.push(axis as u32);
                weights.push(1.0);
            }
        }
    }

    fn step(&self, cell: &Cell, action: u32) -> (Cell, u32) {
        let mut next = *cell;
        next.coordinates[action as usize] += 1;
        (next, action)
    }

    fn undo(&self, cell: &Cell, backward_action: u32) -> (Cell, u32) {
        let mut previous = *cell;
        previous.coordinates[backward_action as usize] -= 1;
        (previous, backward_action)
    }

    fn encode(&self, cell: &Cell, features: &mut Vec<u32>) {
        let coordinates = self.coordinates(cell).iter().enumerate();
        features.extend(coordinates.map(|(axis, &x)| (axis * self.side) as u32 + u32::from(x)));
    }

    fn log_backward_after(&self, cell: &Cell, action: u32) -> f64 {
        let parents = self
            .coordinates(cell)
            .iter()
            .enumerate()
            .filter(|&(axis, &x)| x > 0 || axis == action as usize)
            .count();
        -(parents as f64).ln()
    }

    fn sample_object(&self, rng: &mut ChaCha8Rng) -> Option<Cell> {
        let mut cell = self.initial();
        for x in &mut cell.coordinates[..self.dimensions] {
            *x = rng.random_range(0..self.side) as u16;
        }
        Some(cell)
    }
}

/// The hypergrid reward (Bengio et al. 2021), with u_k = |x_k/(H − 1) − ½|:
///
/// R(x) = `r0` + `r1` · 1[all u_k in (0.25, 0.5]] + `r2` · 1[all u_k in (0.3, 0.4)]
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct HypergridReward {
    /// Reward of every cell.
    pub r0: f64,
    /// What the corners add.
    pub r1: f64,
    /// What the modes in the corners add.
    pub r2: f64,
}

impl Default for HypergridReward {
    /// The middle one of the three difficulties of Bengio et al. (2021): 10⁻², ½, 2.
    fn default() -> Self {
        HypergridReward { r0: 1e-2, r1: 0.5, r2: 2.0 }
    }
}

impl LogReward<Grid> for HypergridReward {
    fn log_reward(&self, env: &Grid, cell: &Cell) -> f64 {
        // u_k = distance / scale in whole numbers, so that cells on the edge of an interval are decided exactly.
        let last = env.side as i64 - 1;
        let scale = 2 * last;
        let all = |inside: &dyn Fn(i64) -> bool| {
            env.coordinates(cell).iter().all(|&x| inside((2 * i64::from(x) - last).abs()))
        };
        let mut reward = self.r0;
        if all(&|distance| 4 * distance > scale) {
            reward += self.r1;
        }
        if all(&|distance| 10 * distance > 3 * scale && 10 * distance < 4 * scale) {
            reward += self.r2;
        }
        reward.ln()
    }
}

/// The beacon reward (docs/mathematics.md §5): R(x) = (1 + 1.22 d)^(−β), d the Manhattan distance to the beacon.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BeaconReward {
    /// Where the reward is highest.
    pub beacon: Cell,
    /// How fast it falls.
    pub beta: f64,
}

impl LogReward<Grid> for BeaconReward {
    fn log_reward(&self, _env: &Grid, cell: &Cell) -> f64 {
        let axes = cell.coordinates.iter().zip(&self.beacon.coordinates);
        let distance: u32 = axes.map(|(&x, &b)| u32::from(x.abs_diff(b))).sum();
        // A difference, so that the beacon itself has 0 and not −0, which files would show.
        0.0 - self.beta * (1.22 * f64::from(distance)).ln_1p()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::stream;

    #[test]
    fn sizes_without_cells_or_with_too_many_axes_are_refused() {
        for (dimensions, side) in [(0, 3), (9, 3), (2, 1), (2, 0), (1, 65537)] {
            assert!(Grid::new(dimensions, side).is_err(), "{dimensions} axes of {side}");
        }
        assert!(Grid::new(1, 65536).is_ok());
        let fingerprints = [(2, 3), (3, 2), (2, 4)].map(|(d, h)| Grid::new(d, h).unwrap().spec.fingerprint);
        assert!(fingerprints[0] != fingerprints[1] && fingerprints[0] != fingerprints[2]);
    }

    #[test]
    fn hypergrid_reward_has_four_modes_of_four_cells_on_the_grid_of_the_paper() {
        // Bengio et al. (2021), figure 2: on the 8 × 8 grid the modes are the cells with both coordinates in {1, 6}.
        let grid = Grid::new(2, 8).unwrap();
        let reward = HypergridReward { r0: 0.1, ..HypergridReward::default() };
        for x in 0..8u16 {
            for y in 0..8u16 {
                let corner = |c: u16| c <= 1 || c >= 6;
                let mode = |c: u16| c == 1 || c == 6;
                let mut expected: f64 = 0.1;
                expected += if corner(x) && corner(y) { 0.5 } else { 0.0 };
                expected += if mode(x) && mode(y) { 2.0 } else { 0.0 };
                let found = reward.log_reward(&grid, &Cell::new(&[x, y])).exp();
                assert!((found - expected).abs() < 1e-12, "({x}, {y}): {found} against {expected}");
            }
        }
        // H = 11: u = 0.4 at x = 1 and 0.3 at x = 2 are on the edges of the open interval; no cell is a mode.
        let grid = Grid::new(1, 11).unwrap();
        let high = (0..11u16).filter(|&x| reward.log_reward(&grid, &Cell::new(&[x])) > 0.0).count();
        assert_eq!(high, 0);
    }

    #[test]
    fn beacon_reward_follows_the_manhattan_distance() {
        let grid = Grid::new(2, 9).unwrap();
        let reward = BeaconReward { beacon: Cell::new(&[8, 1]), beta: 2.0 };
        assert_eq!(reward.log_reward(&grid, &Cell::new(&[8, 1])), 0.0);
        let found = reward.log_reward(&grid, &Cell::new(&[5, 3]));
        assert!((found - (-2.0 * (1.0 + 1.22 * 5.0f64).ln())).abs() < 1e-12);
    }

    #[test]
    fn sampled_cells_cover_the_grid_evenly() {
        let grid = Grid::new(2, 3).unwrap();
        let mut rng = stream(0, "cells", 0);
        let mut counts = [0usize; 9];
        for _ in 0..9000 {
            let cell = grid.sample_object(&mut rng).unwrap();
            counts[usize::from(cell.coordinates[0]) * 3 + usize::from(cell.coordinates[1])] += 1;
        }
        // Five standard deviations of a binomial count.
        assert!(counts.iter().all(|&c| c.abs_diff(1000) < 150), "{counts:?}");
    }
}
