//! A client of a grid world: a TOML file with its beacon, or with the three numbers of a hypergrid.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use gfn_core::grid::{BeaconReward, Cell, Grid, HypergridReward};
use gfn_core::reward::LogReward;
use gfn_core::{Error, Place, Result};
use serde::Deserialize;

use crate::files::read_text;

/// What a client wants.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum GridClient {
    /// `beacon = [8, 1]` and `beta = 2.0`, see [`BeaconReward`]; the number of axes is for showing the beacon.
    Beacon(BeaconReward, usize),
    /// `[hypergrid]` with `r0`, `r1` and `r2`, see [`HypergridReward`].
    Hypergrid(HypergridReward),
}

impl GridClient {
    /// log R_n.
    pub fn reward(self) -> Arc<dyn LogReward<Grid>> {
        match self {
            GridClient::Beacon(reward, _) => Arc::new(reward),
            GridClient::Hypergrid(reward) => Arc::new(reward),
        }
    }
}

impl fmt::Display for GridClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            GridClient::Beacon(reward, axes) => {
                let place: Vec<String> =
                    reward.beacon.coordinates[..*axes].iter().map(u16::to_string).collect();
                write!(f, "beacon ({}), beta {}", place.join(", "), reward.beta)
            }
            GridClient::Hypergrid(reward) => {
                write!(f, "hypergrid {}, {}, {}", reward.r0, reward.r1, reward.r2)
            }
        }
    }
}

/// The file as it is written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    beacon: Option<Vec<i64>>,
    beta: Option<f64>,
    hypergrid: Option<Hypergrid>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Hypergrid {
    r0: f64,
    r1: f64,
    r2: f64,
}

/// Reads a client's file.
///
/// # Errors
/// Bad input, with file and item: no TOML, unknown keys, neither or both of beacon and hypergrid, a beacon outside the
/// grid, numbers that are negative or infinite, and `r0 = 0`, under which most cells would be impossible.
pub fn read_grid_client(path: &Path, env: &Grid) -> Result<GridClient> {
    let text = read_text(path)?;
    let file: File = toml::from_str(&text).map_err(|e| {
        let line = e.span().map_or(1, |span| text[..span.start].matches('\n').count() + 1);
        Error::input(
            Place::file(path).line(line),
            "`beacon = [x, y]` and `beta = 2.0`, or [hypergrid] with r0, r1, r2",
            e.message(),
            "correct the client's file",
        )
    })?;
    let wrong = |item: &str, expected: String, found: String| {
        Error::input(Place::file(path).named(item), expected, found, "correct the client's file")
    };
    let not_negative = |item: &str, value: f64| match value.is_finite() && value >= 0.0 {
        true => Ok(value),
        false => Err(wrong(item, "a finite number of at least 0".into(), value.to_string())),
    };
    match file {
        File { beacon: Some(place), beta: Some(beta), hypergrid: None } => {
            let (axes, side) = (env.dimensions(), env.side());
            let inside = |x: &i64| u16::try_from(*x).ok().filter(|&x| usize::from(x) < side);
            let coordinates: Option<Vec<u16>> = place.iter().map(inside).collect();
            match coordinates {
                Some(coordinates) if coordinates.len() == axes => {
                    let beacon = Cell::new(&coordinates);
                    Ok(GridClient::Beacon(BeaconReward { beacon, beta: not_negative("beta", beta)? }, axes))
                }
                _ => {
                    let expected = format!("a cell of the grid: {axes} coordinates from 0 to {}", side - 1);
                    Err(wrong("beacon", expected, format!("{place:?}")))
                }
            }
        }
        File { beacon: None, beta: None, hypergrid: Some(Hypergrid { r0, r1, r2 }) } => {
            let numbers = (not_negative("r0", r0)?, not_negative("r1", r1)?, not_negative("r2", r2)?);
            if numbers.0 == 0.0 {
                let expected = "more than 0: cells that cannot be have no logarithm".to_string();
                return Err(wrong("r0", expected, "0".into()));
            }
            Ok(GridClient::Hypergrid(HypergridReward { r0: numbers.0, r1: numbers.1, r2: numbers.2 }))
        }
        _ => {
            Err(wrong("client", "either `beacon` and `beta`, or [hypergrid]".into(), "less, or both".into()))
        }
    }
}
