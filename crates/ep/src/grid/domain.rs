//! The grid world as a domain of the `ep` command: its cells, their names, and what a client's file means.

use std::path::Path;
use std::sync::Arc;

use gfn_core::domain::{ClientData, Domain, Recipe, Stage};
use gfn_core::grid::{Cell, Grid};
use gfn_core::reward::LogReward;
use gfn_core::{Error, Place, Result};
use serde::{Deserialize, Serialize};

use super::client_file::read_grid_client;
use super::recipe::recipe;

/// Everything that the parties of a grid world agree on beforehand.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GridSettings {
    /// Number of axes, D.
    pub dimensions: usize,
    /// Cells per axis, H.
    pub side: usize,
}

/// Everything public about a posterior over the cells of a grid world.
pub struct GridDomain {
    env: Arc<Grid>,
}

impl GridDomain {
    /// The domain of these settings. Refuses sizes that make no sense.
    pub fn new(settings: &GridSettings) -> Result<Self> {
        Ok(GridDomain { env: Arc::new(Grid::new(settings.dimensions, settings.side)?) })
    }
}

impl Domain for GridDomain {
    type Env = Grid;

    fn name(&self) -> &'static str {
        "grid"
    }

    fn environment(&self) -> &Arc<Grid> {
        &self.env
    }

    fn read_client(&self, path: &Path) -> Result<ClientData<Grid>> {
        let client = read_grid_client(path, &self.env)?;
        Ok(ClientData {
            description: client.to_string(),
            reward: client.reward(),
            prior_share: 0.0,
            chain: None,
            warnings: Vec::new(),
        })
    }

    fn log_prior(&self) -> Arc<dyn LogReward<Grid>> {
        Arc::new(|_: &Cell| 0.0)
    }

    /// The coordinates from 0, separated by blanks.
    fn object_name(&self, cell: &Cell) -> String {
        let coordinates: Vec<String> = self.env.coordinates(cell).iter().map(u16::to_string).collect();
        coordinates.join(" ")
    }

    fn parse_object(&self, name: &str) -> Result<Cell> {
        let inside = |text: &str| text.parse::<u16>().ok().filter(|&x| usize::from(x) < self.env.side());
        let coordinates: Option<Vec<u16>> = name.split_whitespace().map(inside).collect();
        match coordinates {
            Some(coordinates) if coordinates.len() == self.env.dimensions() => Ok(Cell::new(&coordinates)),
            _ => Err(Error::input(
                Place::item("cell"),
                format!("{} coordinates from 0 to {}", self.env.dimensions(), self.env.side() - 1),
                format!("{name:?}"),
                "use cells of this plan",
            )),
        }
    }

    fn objects_word(&self) -> &'static str {
        "cells"
    }

    fn data_extension(&self) -> &'static str {
        "toml"
    }

    fn objects_extension(&self) -> &'static str {
        "txt"
    }

    fn recipe(&self, stage: Stage) -> Recipe {
        recipe(stage)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gfn_core::testing::{CheckSettings, check_environment};

    #[test]
    fn environments_pass_the_harness_and_names_are_read_back() {
        for (dimensions, side) in [(1, 2), (2, 9), (8, 3)] {
            let domain = GridDomain::new(&GridSettings { dimensions, side }).unwrap();
            check_environment(domain.env.as_ref(), &CheckSettings::default()).unwrap();
            let cell = Cell::new(&vec![side as u16 - 1; dimensions]);
            assert_eq!(domain.parse_object(&domain.object_name(&cell)).unwrap(), cell);
        }
        let domain = GridDomain::new(&GridSettings { dimensions: 2, side: 9 }).unwrap();
        assert_eq!(domain.object_name(&Cell::new(&[7, 1])), "7 1");
        for name in ["7", "7 1 1", "9 0", "-1 0", "7,1", ""] {
            let error = domain.parse_object(name).unwrap_err().to_string();
            assert!(error.contains("2 coordinates from 0 to 8"), "{error}");
        }
    }
}
