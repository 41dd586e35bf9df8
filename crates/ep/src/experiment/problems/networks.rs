//! The Bayesian networks of the paper: 4 nodes (543 graphs), ten clients of 20 rows, BGe score.

use std::sync::Arc;

use gfn_bn::data::{ColumnSchema, Table};
use gfn_bn::simulate::{Edges, SimulationSettings, Sites, simulate_gaussian};
use gfn_bn::{BgeSettings, Dag, DagDomain, DagEnvironment, DagReward, NetworkSettings};
use gfn_core::Result;
use gfn_core::domain::Domain as _;
use gfn_core::reward::LogReward;

use super::for_quick;
use crate::experiment::problem::{Factors, Problem, Steps, Training};

/// Simulated rows, dealt to clients.
#[derive(Debug, Clone)]
pub struct NetworkData {
    /// Nodes.
    pub nodes: usize,
    /// Rows of each client.
    pub rows: Vec<usize>,
    /// Whether budgets are those of `--quick`.
    pub quick: bool,
}

impl NetworkData {
    /// The paper's setting.
    pub fn of_the_paper(quick: bool) -> Self {
        let nodes = if quick { 3 } else { 4 };
        NetworkData { nodes, rows: vec![20; super::Domain::Networks.n_clients()], quick }
    }
}

/// The problem; the seed draws a graph, coefficients and rows. The product is the posterior of one graph with separate
/// parameters for each client.
pub fn networks(data: &NetworkData, seed: u64) -> Result<Problem<DagEnvironment>> {
    let tables = simulated_tables(data.nodes, data.rows.clone(), seed)?;
    let domain = network_domain(data.nodes)?;
    let env = Arc::clone(domain.environment());
    let bge = |table| DagReward::bge(&env, table, &BgeSettings::default());
    let rewards: Vec<DagReward> = tables.iter().map(bge).collect::<Result<_>>()?;
    let product = Arc::new(DagReward::product(&env, &rewards)?);
    let clients = rewards.into_iter().map(|reward| Arc::new(reward) as Arc<dyn LogReward<_>>).collect();
    let nodes = data.nodes;
    let factors = Factors {
        description: "no edge, one direction or the other for each pair of nodes, on what is acyclic",
        n_features: 3 * nodes * (nodes - 1) / 2,
        read: Box::new(move |dag: &Dag, features| {
            let mut pair = 0;
            for from in 0..nodes {
                for to in from + 1..nodes {
                    let kind = if dag.has_edge(from, to) { 1 } else { 2 * u32::from(dag.has_edge(to, from)) };
                    features.push(3 * pair + kind);
                    pair += 1;
                }
            }
            0.0
        }),
    };
    let training = for_quick(Training::of(&domain, STEPS), data.quick);
    Problem::new("networks", env, clients, product, training, Some(factors))
}

const STEPS: Steps = Steps { client: 8000, round: 4000, server: 20_000, centralised: 8000 };

/// So many rows of a linear-Gaussian network, and the domain of its nodes. The seed draws graph, coefficients and rows.
pub fn simulated_rows(nodes: usize, rows: usize, seed: u64) -> Result<(DagDomain, Table)> {
    let mut tables = simulated_tables(nodes, vec![rows], seed)?;
    Ok((network_domain(nodes)?, tables.remove(0)))
}

/// A table for each number of rows, all of one network with as many edges as a tree has, in the mean.
pub fn simulated_tables(nodes: usize, rows: Vec<usize>, seed: u64) -> Result<Vec<Table>> {
    let edges = Edges::Expected(nodes as f64 - 1.0);
    let settings = SimulationSettings { nodes, edges, rows, sites: Sites::Homogeneous, seed };
    Ok(simulate_gaussian(&settings)?.tables)
}

/// The domain over the nodes X0, X1, … of simulated tables.
pub fn network_domain(nodes: usize) -> Result<DagDomain> {
    let column = |node| ColumnSchema { name: format!("X{node}"), levels: None };
    DagDomain::new(NetworkSettings::new((0..nodes).map(column).collect()))
}
