//! A population, its sites' tables, and what the exact posterior of a site says: scores of graphs.

use std::sync::Arc;

use gfn_bn::data::ColumnSchema;
use gfn_bn::simulate::{Edges, SimulationSettings, Sites, simulate_gaussian};
use gfn_bn::{
    Bge, BgeSettings, Dag, DagDomain, DagEnvironment, DagReward, LocalScore, NetworkSettings, Table,
};
use gfn_core::domain::Domain as _;
use gfn_core::exact::StateGraph;
use gfn_core::{Environment as _, Result};
use rustc_hash::FxHashMap;

/// α_w − d and t of [`BgeSettings::default`].
const DEGREES: f64 = 2.0;
const T: f64 = 0.5;

/// A row of a table.
pub type Row = Vec<f64>;

/// Rows of independent sites of one population: a random linear-Gaussian network.
pub fn population(nodes: usize, rows: &[usize], seed: u64) -> Result<Vec<Vec<Row>>> {
    let simulation = simulate_gaussian(&SimulationSettings {
        nodes,
        edges: Edges::Expected(nodes as f64 - 1.0),
        rows: rows.to_vec(),
        sites: Sites::Homogeneous,
        seed,
    })?;
    let rows_of = |table: &Table| {
        (0..table.n_rows()).map(|i| table.columns().iter().map(|column| column[i]).collect()).collect()
    };
    Ok(simulation.tables.iter().map(rows_of).collect())
}

/// The table of these rows with every column centred and scaled to variance 1 (divisor n), as is customary. The names are
/// those of [`Graphs`].
pub fn standardised(rows: &[Row]) -> Result<Table> {
    let n = rows.len() as f64;
    let column = |j: usize| {
        let mean = rows.iter().map(|row| row[j]).sum::<f64>() / n;
        let deviation = (rows.iter().map(|row| (row[j] - mean).powi(2)).sum::<f64>() / n).sqrt();
        rows.iter().map(|row| (row[j] - mean) / deviation).collect()
    };
    let nodes = rows[0].len();
    Table::new((0..nodes).map(name).collect(), (0..nodes).map(column).collect())
}

fn name(node: usize) -> String {
    format!("X{node}")
}

/// The BGe score of a standardised table.
pub fn score(table: &Table) -> Result<Bge> {
    Bge::new(table, &BgeSettings::default())
}

/// Correlations of a standardised table, by pair in the order of [`pairs`].
pub fn correlations(table: &Table) -> Vec<f64> {
    let product = |(u, v): (usize, usize)| {
        let columns = table.columns();
        columns[u].iter().zip(&columns[v]).map(|(x, y)| x * y).sum::<f64>() / table.n_rows() as f64
    };
    pairs(table.n_columns()).map(product).collect()
}

/// All pairs of nodes.
pub fn pairs(nodes: usize) -> impl Iterator<Item = (usize, usize)> {
    (0..nodes).flat_map(move |u| (u + 1..nodes).map(move |v| (u, v)))
}

/// How a site's first edge between two nodes tells their correlation.
///
/// For standardised columns of n rows the BGe score (Kuipers, Moffa & Heckerman 2014) gains, by an edge between two nodes of
/// the empty graph, Δ = Δ₀ − ½ (n + a + 2) log(1 − r²) with r = ρ n/(n + t) and a = α_w − d: all but ρ is public.
#[derive(Debug, Clone, Copy)]
pub struct Calibration {
    rows: f64,
    at_zero: f64,
}

impl Calibration {
    /// From any made-up standardised table of as many rows and columns.
    pub fn of(table: &Table) -> Result<Self> {
        let rows = table.n_rows() as f64;
        let gain = first_edge(&score(table)?, 0, 1);
        let mut calibration = Calibration { rows, at_zero: 0.0 };
        calibration.at_zero = gain - calibration.gain_over_zero(correlations(table)[0]);
        Ok(calibration)
    }

    fn factor(&self) -> f64 {
        0.5 * (self.rows + DEGREES + 2.0)
    }

    fn gain_over_zero(&self, correlation: f64) -> f64 {
        let r = correlation * self.rows / (self.rows + T);
        -self.factor() * (-r * r).ln_1p()
    }

    /// |ρ| from the gain of the first edge between two nodes.
    pub fn correlation(&self, gain: f64) -> f64 {
        let square = -(-(gain - self.at_zero) / self.factor()).exp_m1();
        (square.max(0.0).sqrt() * (self.rows + T) / self.rows).min(1.0)
    }
}

fn first_edge(score: &dyn LocalScore, from: usize, to: usize) -> f64 {
    score.local_score(to, 1 << from) - score.local_score(to, 0)
}

/// log R(complete graph over F) − log R(empty graph) for every set F of at least two nodes: all that differences of scores
/// can tell, since every other difference is a sum of such ones (score equivalence).
pub fn set_gains(score: &dyn LocalScore) -> Vec<f64> {
    let gain = |set: u64| {
        let members: Vec<usize> = (0..score.n_nodes()).filter(|&node| set >> node & 1 == 1).collect();
        members
            .iter()
            .map(|&node| score.local_score(node, set & ((1 << node) - 1)) - score.local_score(node, 0))
            .sum()
    };
    sets(score.n_nodes()).map(gain).collect()
}

fn sets(nodes: usize) -> impl Iterator<Item = u64> {
    (0..1u64 << nodes).filter(|set| set.count_ones() >= 2)
}

/// An edge is added to a graph.
pub struct Transition {
    /// Numbers of the graphs before and after.
    pub graphs: (usize, usize),
    /// The edge.
    pub edge: (usize, usize),
    /// Whether it is the first one into its node.
    pub first: bool,
}

/// All graphs over some nodes with all transitions between them.
pub struct Graphs {
    /// The domain.
    pub domain: DagDomain,
    /// The graphs.
    pub graph: StateGraph<DagEnvironment>,
    /// The transitions, in the order of the graph's edges.
    pub transitions: Vec<Transition>,
    /// Number of the empty graph, and of the complete graph over each set of [`set_gains`].
    pub empty: usize,
    complete: Vec<usize>,
}

impl Graphs {
    /// Of this number of nodes.
    pub fn new(nodes: usize) -> Result<Self> {
        let column = |node| ColumnSchema { name: name(node), levels: None };
        let domain = DagDomain::new(NetworkSettings::new((0..nodes).map(column).collect()))?;
        let env = domain.environment().as_ref();
        let graph = StateGraph::enumerate(env, 1_000_000)?;
        let numbers: FxHashMap<String, usize> =
            graph.states().iter().enumerate().map(|(number, dag)| (dag.to_string(), number)).collect();
        let mut transitions = Vec::new();
        let mut actions = Vec::new();
        for (number, dag) in graph.states().iter().enumerate() {
            actions.clear();
            env.forward_actions(dag, &mut actions);
            for &action in &actions {
                let (from, to) = (action as usize / nodes, action as usize % nodes);
                let mut next = dag.clone();
                next.add_edge(from, to)?;
                transitions.push(Transition {
                    graphs: (number, numbers[&next.to_string()]),
                    edge: (from, to),
                    first: dag.parents(to) == 0,
                });
            }
        }
        let empty = Dag::empty(nodes)?;
        let complete = |set: u64| {
            let mut dag = empty.clone();
            for (u, v) in pairs(nodes).filter(|(u, v)| set >> u & set >> v & 1 == 1) {
                dag.add_edge(u, v)?;
            }
            Ok(numbers[&dag.to_string()])
        };
        let complete = sets(nodes).map(complete).collect::<Result<_>>()?;
        Ok(Graphs { empty: numbers[&empty.to_string()], complete, transitions, domain, graph })
    }

    /// [`set_gains`] by log-probabilities of all graphs.
    pub fn set_gains(&self, log_probabilities: &[f64]) -> Vec<f64> {
        let empty = log_probabilities[self.empty];
        self.complete.iter().map(|&number| log_probabilities[number] - empty).collect()
    }

    /// The reward of a site.
    pub fn reward(&self, table: &Table) -> Result<DagReward> {
        DagReward::bge(self.domain.environment(), table, &BgeSettings::default())
    }

    /// The environment.
    pub fn environment(&self) -> &Arc<DagEnvironment> {
        self.domain.environment()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exact_scores_give_correlations_away() {
        let tables = population(4, &[20, 20], 5).unwrap();
        let (own, other) = (standardised(&tables[0]).unwrap(), standardised(&tables[1]).unwrap());
        let calibration = Calibration::of(&other).unwrap();
        let score = score(&own).unwrap();
        let mut largest: f64 = 0.0;
        for ((u, v), correlation) in pairs(4).zip(correlations(&own)) {
            for (from, to) in [(u, v), (v, u)] {
                let found = calibration.correlation(first_edge(&score, from, to));
                assert!((found - correlation.abs()).abs() < 1e-9, "{found}, true {correlation}");
            }
            largest = largest.max(correlation.abs());
        }
        assert!(largest > 0.2, "correlations that tell: {largest}");
    }

    #[test]
    fn gains_of_sets_are_those_of_rewards() {
        let rows = population(3, &[12], 1).unwrap().remove(0);
        let table = standardised(&rows).unwrap();
        let graphs = Graphs::new(3).unwrap();
        let reward = graphs.reward(&table).unwrap();
        let log_rewards = graphs.graph.log_rewards(graphs.environment(), &reward);
        let (by_graphs, by_scores) = (graphs.set_gains(&log_rewards), set_gains(&score(&table).unwrap()));
        assert_eq!(by_graphs.len(), 4);
        for (a, b) in by_graphs.iter().zip(&by_scores) {
            assert!((a - b).abs() < 1e-9, "{by_graphs:?} {by_scores:?}");
        }
        // 25 graphs; every one of them is reached from the empty one.
        assert_eq!(graphs.graph.states().len(), 25);
        assert_eq!(graphs.transitions.len(), graphs.graph.n_edges());
    }
}
