//! `ep grid`: the grid world as a domain, its SPEC, and the maps of its results.

mod client_file;
mod domain;
mod map;
mod recipe;

pub use client_file::{GridClient, read_grid_client};
pub use domain::{GridDomain, GridSettings};

use std::path::PathBuf;

use gfn_core::Result;
use gfn_core::domain::Domain;
use gfn_core::exact::StateGraph;
use gfn_core::grid::Cell;
use gfn_core::math::log_sum_exp;
use gfn_core::tensor_file::write_atomically;
use serde::Deserialize;
use serde_json::json;

use crate::design::found::Preferences;
use crate::design::spec::{DesignSpec, SpecClient};
use crate::design::{Design, More, Results};
use crate::plan::Plan;
use map::Maps;

/// Names of the files with results of runs over grid worlds.
pub const RESULT_FILES: [&str; 5] = ["samples.csv", "best.csv", "front.csv", "marginals.csv", MAP];
/// The map.
const MAP: &str = "map.svg";

/// A SPEC of `ep grid run`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GridSpec {
    /// Number of axes.
    pub dimensions: usize,
    /// Cells per axis.
    pub side: usize,
    /// The clients.
    pub clients: Vec<SpecClient>,
}

impl DesignSpec for GridSpec {
    type Domain = GridDomain;

    const SECTION: &'static str = "grid";

    fn clients(&self) -> &[SpecClient] {
        &self.clients
    }

    fn fill(&self, _files: &[PathBuf], plan: &mut Plan) -> Result<()> {
        plan.grid = Some(GridSettings { dimensions: self.dimensions, side: self.side });
        Ok(())
    }

    fn domain(plan: &Plan) -> Result<GridDomain> {
        GridDomain::new(plan.grid_world()?)
    }
}

/// What decides objects and target.
pub fn fingerprint_parts(settings: &GridSettings) -> Vec<String> {
    vec!["grid".to_string(), serde_json::to_string(settings).expect("settings are plain data")]
}

impl Design for GridDomain {
    fn description(&self) -> String {
        let env = self.environment();
        format!("cells of a grid world, {} to the power {}", env.side(), env.dimensions())
    }

    fn feature_columns(&self) -> &'static [&'static str] {
        &["axis", "coordinate"]
    }

    fn features(&self) -> Vec<Vec<String>> {
        let side = self.environment().side();
        let of_axis = |axis: usize| (0..side).map(move |x| vec![(axis + 1).to_string(), x.to_string()]);
        (0..self.environment().dimensions()).flat_map(of_axis).collect()
    }

    fn visit_features(&self, cell: &Cell, visit: &mut dyn FnMut(usize, f64)) {
        let env = self.environment();
        for (axis, &x) in env.coordinates(cell).iter().enumerate() {
            visit(axis * env.side() + usize::from(x), 1.0);
        }
    }

    fn log_partition(&self, files: &[PathBuf], weights: &[f64]) -> Result<Option<f64>> {
        let env = self.environment().as_ref();
        let Some(limit) = map::exact_cells(env) else { return Ok(None) };
        let rewards =
            files.iter().map(|file| Ok(self.read_client(file)?.reward)).collect::<Result<Vec<_>>>()?;
        let preferences = Preferences { rewards, weights: weights.to_vec() };
        let graph = StateGraph::enumerate(env, limit)?;
        Ok(Some(log_sum_exp(&graph.log_rewards(env, &preferences))))
    }

    fn lists_features(&self) -> bool {
        false
    }

    fn write_more(&self, results: &Results<Self>) -> Result<More> {
        let maps = Maps::of(self, results)?;
        write_atomically(&results.out.join(MAP), maps.svg().as_bytes())?;
        let mut more = More { lines: maps.lines(), ..More::default() };
        more.report.insert("map_is_exact".into(), json!(maps.is_exact));
        Ok(more)
    }
}
