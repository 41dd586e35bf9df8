//! Random graphs: a uniformly drawn order of the nodes, and each forward edge with one probability.

use gfn_core::Result;
use gfn_core::random::stream;
use rand::RngExt;
use rand::seq::SliceRandom;

use super::SimulationSettings;
use crate::dag::Dag;

/// The graph of these settings: not uniform over graphs, but every one is possible, and the nodes are exchangeable.
pub(super) fn random_dag(settings: &SimulationSettings) -> Result<Dag> {
    let probability = settings.edge_probability()?;
    let mut random = stream(settings.seed, "simulate-graph", 0);
    let mut order: Vec<usize> = (0..settings.nodes).collect();
    order.shuffle(&mut random);
    let mut dag = Dag::empty(settings.nodes)?;
    for (later, &to) in order.iter().enumerate() {
        for &from in &order[..later] {
            if random.random::<f64>() < probability {
                dag.add_edge(from, to)?;
            }
        }
    }
    Ok(dag)
}

/// The nodes, parents before children. A node has more ancestors than any of its ancestors.
pub(super) fn topological_order(dag: &Dag) -> Vec<usize> {
    let mut order: Vec<usize> = (0..dag.n_nodes()).collect();
    order.sort_by_key(|&node| dag.ancestors(node).count_ones());
    order
}
