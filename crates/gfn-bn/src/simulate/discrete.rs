//! Discrete networks: every node has a distribution over its levels for each configuration of its parents.

use gfn_core::random::{ChaCha8Rng, stream};
use gfn_core::{Error, Result};
use rand::RngExt;
use rand_distr::multi::{Dirichlet, MultiDistribution};
use serde::{Deserialize, Serialize};

use super::graph::{random_dag, topological_order};
use super::{Simulation, SimulationSettings, Sites};
use crate::dag::{Dag, members};
use crate::data::DiscreteTable;

/// Most probabilities in the conditional table of a node.
const MAX_TABLE: usize = 10_000_000;
/// Most levels of a simulated node.
const MAX_LEVELS: usize = 1000;

/// Concentrations at which draws of the Dirichlet distribution neither underflow nor overflow.
const CONCENTRATIONS: std::ops::RangeInclusive<f64> = 1e-3..=1e6;

/// What discrete networks need besides [`SimulationSettings`].
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DiscreteSettings {
    /// Number of levels of every node, 2 to 1000; they are called 0, 1, ….
    pub levels: usize,
    /// The parameter of the symmetric Dirichlet distribution that the rows of conditional tables are drawn from, 1e-3 to
    /// 1e6. Small ones give nearly deterministic nodes, large ones nodes that hardly depend on their parents.
    pub concentration: f64,
}

impl Default for DiscreteSettings {
    fn default() -> Self {
        DiscreteSettings { levels: 3, concentration: 0.5 }
    }
}

/// P(X_v = k | parents of v), independent over nodes given their parents.
#[derive(Debug, Clone, PartialEq)]
pub struct DiscreteNetwork {
    /// The graph.
    pub dag: Dag,
    /// Number of levels of every node, r.
    pub levels: usize,
    /// For each node, r probabilities for every configuration of its parents; configuration Σ_i x_i r^i, the parents
    /// in increasing order.
    pub tables: Vec<Vec<f64>>,
}

impl DiscreteNetwork {
    /// A network whose conditional distributions are drawn from the Dirichlet distribution.
    fn random(dag: &Dag, settings: &DiscreteSettings, random: &mut ChaCha8Rng) -> Result<Self> {
        let size = |parents: &u64| {
            let n_parents = parents.count_ones();
            let size = settings.levels.checked_pow(n_parents + 1).filter(|&size| size <= MAX_TABLE);
            size.ok_or_else(|| {
                Error::usage(
                    "edges",
                    format!("at most {MAX_TABLE} probabilities in the table of a node"),
                    format!("{n_parents} parents with {} levels each", settings.levels),
                    "choose fewer edges or levels, or another seed",
                )
            })
        };
        let sizes: Vec<usize> = dag.parent_sets().iter().map(size).collect::<Result<_>>()?;
        let distribution = Dirichlet::new(&vec![settings.concentration; settings.levels]);
        let distribution = distribution.expect("checked by simulate_discrete");
        let table = |size| {
            let mut table = vec![0.0; size];
            table.chunks_exact_mut(settings.levels).for_each(|row| distribution.sample_to_slice(random, row));
            table
        };
        let tables = sizes.into_iter().map(table).collect();
        Ok(DiscreteNetwork { dag: dag.clone(), levels: settings.levels, tables })
    }

    /// The distribution of a node in a row of which the parents are known; `columns[u][row]` is the level of node u.
    fn distribution(&self, node: usize, columns: &[Vec<u16>], row: usize) -> &[f64] {
        let (mut configuration, mut stride) = (0, 1);
        for parent in members(self.dag.parents(node)) {
            configuration += stride * usize::from(columns[parent][row]);
            stride *= self.levels;
        }
        &self.tables[node][configuration * self.levels..][..self.levels]
    }

    /// `n_rows` independent rows, as columns.
    fn sample(&self, n_rows: usize, random: &mut ChaCha8Rng) -> Vec<Vec<u16>> {
        let mut columns = vec![Vec::new(); self.dag.n_nodes()];
        for node in topological_order(&self.dag) {
            let level = |row| draw(self.distribution(node, &columns, row), random.random());
            let column: Vec<u16> = (0..n_rows).map(level).collect();
            columns[node] = column;
        }
        columns
    }
}

/// A random graph with discrete networks and tables, one for each site; all levels are known at all sites.
///
/// # Errors
/// Settings outside their range, shifted means, and nodes with so many parents that their tables would not fit.
pub fn simulate_discrete(
    settings: &SimulationSettings,
    discrete: &DiscreteSettings,
) -> Result<Simulation<DiscreteNetwork, DiscreteTable>> {
    if matches!(settings.sites, Sites::ShiftedMeans { .. }) {
        return Err(Error::usage(
            "sites",
            "homogeneous sites or other coefficients",
            "shifted means, which categories do not have",
            "choose another kind of difference",
        ));
    }
    if !(2..=MAX_LEVELS).contains(&discrete.levels) {
        return Err(Error::usage(
            "levels",
            format!("2 to {MAX_LEVELS}"),
            discrete.levels.to_string(),
            "correct the setting",
        ));
    }
    if !CONCENTRATIONS.contains(&discrete.concentration) {
        return Err(Error::usage(
            "concentration",
            format!("{} to {}", CONCENTRATIONS.start(), CONCENTRATIONS.end()),
            discrete.concentration.to_string(),
            "correct the setting",
        ));
    }
    let dag = random_dag(settings)?;
    let levels: Vec<String> = (0..discrete.levels).map(|level| level.to_string()).collect();
    let (mut networks, mut tables) = (Vec::new(), Vec::new());
    for (site, &n_rows) in settings.rows.iter().enumerate() {
        let mut parameters = stream(settings.seed, "simulate-parameters", settings.parameter_stream(site));
        let network = DiscreteNetwork::random(&dag, discrete, &mut parameters)?;
        let columns = network.sample(n_rows, &mut stream(settings.seed, "simulate-rows", site as u64));
        tables.push(DiscreteTable::new(settings.names(), vec![levels.clone(); settings.nodes], columns)?);
        networks.push(network);
    }
    Ok(Simulation { dag, networks, tables })
}

/// The level into whose share of [0, 1) the uniform number falls.
fn draw(probabilities: &[f64], uniform: f64) -> u16 {
    let mut rest = uniform;
    for (level, probability) in probabilities.iter().enumerate() {
        rest -= probability;
        if rest < 0.0 {
            return level as u16;
        }
    }
    // Rounding: the last level that is possible at all.
    probabilities.iter().rposition(|&probability| probability > 0.0).unwrap_or(0) as u16
}
