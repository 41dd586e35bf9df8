//! Simulated networks and tables: linear-Gaussian and discrete, alike at all sites or not.

mod discrete;
mod gaussian;
mod graph;

pub use discrete::{DiscreteNetwork, DiscreteSettings, simulate_discrete};
pub use gaussian::{GaussianNetwork, simulate_gaussian};

use gfn_core::{Error, Result};
use serde::{Deserialize, Serialize};

use crate::dag::{Dag, MAX_NODES};

/// How many edges a random graph has.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Edges {
    /// The expected number of edges, 0 to d (d − 1) / 2.
    Expected(f64),
    /// The probability of an edge between two nodes, 0 to 1.
    Probability(f64),
}

/// In what the sites differ; the graph is one for all.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Sites {
    /// In their rows only: all have the same parameters.
    #[default]
    Homogeneous,
    /// Each site adds N(0, deviation²) to the intercept of every node. Linear-Gaussian networks only.
    ShiftedMeans {
        /// Standard deviation of the shifts, in those of the noise.
        deviation: f64,
    },
    /// Each site draws its own coefficients (or conditional tables).
    OtherCoefficients,
}

/// What is simulated: a random graph over d nodes and a table of rows for each site.
///
/// The graph, the parameters and the rows are drawn from streams of their own, so that of two simulations with the same
/// seed, one with shifted means is the homogeneous one with another constant for each site and column.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SimulationSettings {
    /// Number of nodes, d, 1 to 64; they are called X0, X1, ….
    pub nodes: usize,
    /// How many edges the graph has.
    pub edges: Edges,
    /// Number of rows of each site, at least 1.
    pub rows: Vec<usize>,
    /// In what the sites differ.
    #[serde(default)]
    pub sites: Sites,
    /// The seed: the same one gives the same graph and tables on every machine.
    pub seed: u64,
}

/// A graph with the networks and tables of the sites: of type [`GaussianNetwork`] and [`Table`](crate::Table), or
/// [`DiscreteNetwork`] and [`DiscreteTable`](crate::DiscreteTable).
#[derive(Debug, Clone, PartialEq)]
pub struct Simulation<N, T> {
    /// The graph of all sites.
    pub dag: Dag,
    /// The parameters of each site.
    pub networks: Vec<N>,
    /// The rows of each site.
    pub tables: Vec<T>,
}

impl SimulationSettings {
    /// The probability of an edge between two nodes.
    ///
    /// # Errors
    /// Settings outside their range.
    fn edge_probability(&self) -> Result<f64> {
        let refuse = |setting: &str, expected: String, found: String| {
            Err(Error::usage(setting, expected, found, "correct the setting"))
        };
        if !(1..=MAX_NODES).contains(&self.nodes) {
            return refuse("nodes", format!("1 to {MAX_NODES}"), self.nodes.to_string());
        }
        if self.rows.is_empty() || self.rows.contains(&0) {
            return refuse(
                "rows",
                "at least one site, each with at least one row".into(),
                format!("{:?}", self.rows),
            );
        }
        if let Sites::ShiftedMeans { deviation } = self.sites
            && !(deviation.is_finite() && deviation >= 0.0)
        {
            return refuse("deviation", "a finite number, at least 0".into(), deviation.to_string());
        }
        let n_pairs = (self.nodes * (self.nodes - 1) / 2) as f64;
        match self.edges {
            Edges::Expected(number) if !(0.0..=n_pairs).contains(&number) => {
                refuse("expected number of edges", format!("0 to {n_pairs}"), number.to_string())
            }
            Edges::Probability(probability) if !(0.0..=1.0).contains(&probability) => {
                refuse("probability of an edge", "0 to 1".into(), probability.to_string())
            }
            Edges::Expected(number) => Ok(if n_pairs > 0.0 { number / n_pairs } else { 0.0 }),
            Edges::Probability(probability) => Ok(probability),
        }
    }

    /// X0, X1, …
    fn names(&self) -> Vec<String> {
        (0..self.nodes).map(|node| format!("X{node}")).collect()
    }

    /// The number of the stream of a site's parameters: one for all sites unless they have their own.
    fn parameter_stream(&self, site: usize) -> u64 {
        match self.sites {
            Sites::OtherCoefficients => site as u64,
            Sites::Homogeneous | Sites::ShiftedMeans { .. } => 0,
        }
    }
}
