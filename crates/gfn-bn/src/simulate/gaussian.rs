//! Linear-Gaussian networks: every node is a linear function of its parents plus standard normal noise.

use gfn_core::Result;
use gfn_core::random::{ChaCha8Rng, stream};
use rand::RngExt;
use rand_distr::StandardNormal;

use super::graph::{random_dag, topological_order};
use super::{Simulation, SimulationSettings, Sites};
use crate::dag::{Dag, members};
use crate::data::Table;

/// Smallest and largest absolute value of a coefficient: neither undetectable nor nearly deterministic.
const COEFFICIENTS: (f64, f64) = (0.3, 1.0);

/// X_v = intercept_v + Σ_u coefficient_uv X_u + ε_v over the parents u of v, with independent ε_v ~ N(0, 1).
#[derive(Debug, Clone, PartialEq)]
pub struct GaussianNetwork {
    /// The graph.
    pub dag: Dag,
    /// The intercept of each node.
    pub intercepts: Vec<f64>,
    /// The coefficients of each node, one for each of its parents in increasing order.
    pub coefficients: Vec<Vec<f64>>,
}

impl GaussianNetwork {
    /// A network without intercepts whose coefficients are uniform on ±(0.3, 1).
    fn random(dag: &Dag, random: &mut ChaCha8Rng) -> Self {
        let mut coefficient = || {
            let size = random.random_range(COEFFICIENTS.0..COEFFICIENTS.1);
            if random.random::<bool>() { size } else { -size }
        };
        let coefficients = dag.parent_sets().iter().map(|parents| {
            let n_parents = parents.count_ones();
            (0..n_parents).map(|_| coefficient()).collect()
        });
        let coefficients = coefficients.collect();
        GaussianNetwork { dag: dag.clone(), intercepts: vec![0.0; dag.n_nodes()], coefficients }
    }

    /// `n_rows` independent rows, as columns.
    fn sample(&self, n_rows: usize, random: &mut ChaCha8Rng) -> Vec<Vec<f64>> {
        let mut columns = vec![Vec::new(); self.dag.n_nodes()];
        for node in topological_order(&self.dag) {
            let value = |row: usize| {
                let parents = members(self.dag.parents(node)).zip(&self.coefficients[node]);
                let of_parents: f64 =
                    parents.map(|(parent, weight): (usize, &f64)| weight * columns[parent][row]).sum();
                let noise: f64 = random.sample(StandardNormal);
                self.intercepts[node] + of_parents + noise
            };
            let column: Vec<f64> = (0..n_rows).map(value).collect();
            columns[node] = column;
        }
        columns
    }
}

/// A random graph with linear-Gaussian networks and tables, one for each site.
///
/// # Errors
/// Settings outside their range.
pub fn simulate_gaussian(settings: &SimulationSettings) -> Result<Simulation<GaussianNetwork, Table>> {
    let dag = random_dag(settings)?;
    let (mut networks, mut tables) = (Vec::new(), Vec::new());
    for (site, &n_rows) in settings.rows.iter().enumerate() {
        let number = settings.parameter_stream(site);
        let mut network =
            GaussianNetwork::random(&dag, &mut stream(settings.seed, "simulate-parameters", number));
        if let Sites::ShiftedMeans { deviation } = settings.sites {
            let mut random = stream(settings.seed, "simulate-shifts", site as u64);
            for intercept in &mut network.intercepts {
                *intercept = deviation * random.sample::<f64, _>(StandardNormal);
            }
        }
        let columns = network.sample(n_rows, &mut stream(settings.seed, "simulate-rows", site as u64));
        tables.push(Table::new(settings.names(), columns)?);
        networks.push(network);
    }
    Ok(Simulation { dag, networks, tables })
}
