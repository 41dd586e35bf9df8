//! Score differences and correlations, read off a client's policy.

use gfn_core::exact::EdgePolicy;

use super::site::{Calibration, Graphs, Transition, pairs};

/// log R(G') − log R(G) of every transition G → G', by modified detailed balance (Deleu et al. 2022, equation 5):
/// log p_F(G'|G) + log p_F(stop|G') − log p_B(G|G') − log p_F(stop|G). The stop probabilities stand crosswise: a policy in
/// balance has R(G) p_F(G'|G) p_F(stop|G') = R(G') p_B(G|G') p_F(stop|G).
pub fn score_differences(graphs: &Graphs, policy: &EdgePolicy) -> Vec<f64> {
    let difference = |(edge, transition): (usize, &Transition)| {
        let (before, after) = transition.graphs;
        policy.forward[edge] + policy.stop[after] - policy.backward[edge] - policy.stop[before]
    };
    graphs.transitions.iter().enumerate().map(difference).collect()
}

/// Which transitions are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reading {
    /// Those from the empty graph alone, the two directions of each edge.
    FromEmpty,
    /// All that give a node its first parent: the score gains the same in each.
    Everywhere,
}

/// |ρ| of every pair of nodes from score differences.
pub fn correlations(
    graphs: &Graphs,
    differences: &[f64],
    calibration: Calibration,
    reading: Reading,
) -> Vec<f64> {
    let nodes = graphs.environment().names().len();
    let correlation = |(u, v): (usize, usize)| {
        let read = graphs.transitions.iter().zip(differences).filter(|(transition, _)| {
            let of_pair = [(u, v), (v, u)].contains(&transition.edge) && transition.first;
            of_pair && (reading == Reading::Everywhere || transition.graphs.0 == graphs.empty)
        });
        let (n, sum) = read.fold((0.0, 0.0), |(n, sum), (_, difference)| (n + 1.0, sum + difference));
        calibration.correlation(sum / n)
    };
    pairs(nodes).map(correlation).collect()
}

/// √ of the mean squared difference.
pub fn root_mean_square(found: &[f64], truth: &[f64]) -> f64 {
    let squares: f64 = found.iter().zip(truth).map(|(f, t)| (f - t).powi(2)).sum();
    (squares / found.len() as f64).sqrt()
}

#[cfg(test)]
mod tests {
    use gfn_core::Environment as _;
    use gfn_core::policy::Uniform;

    use super::*;
    use crate::experiment::privacy::site::{self, population, standardised};

    /// The policy in balance with a reward: p_F ∝ flow, by the recursion over the graph.
    fn exact_policy(graphs: &Graphs, log_rewards: &[f64]) -> EdgePolicy {
        let env = graphs.environment().as_ref();
        let mut policy = graphs.graph.edge_policy(env, &Uniform::new(env.spec()));
        let mut flow: Vec<f64> = log_rewards.iter().map(|r| r.exp()).collect();
        for (edge, transition) in graphs.transitions.iter().enumerate().rev() {
            let (before, after) = transition.graphs;
            flow[before] += flow[after] * policy.backward[edge].exp();
        }
        for (edge, transition) in graphs.transitions.iter().enumerate() {
            let (before, after) = transition.graphs;
            policy.forward[edge] = flow[after].ln() + policy.backward[edge] - flow[before].ln();
        }
        policy.stop = log_rewards.iter().zip(&flow).map(|(r, f)| r - f.ln()).collect();
        policy
    }

    #[test]
    fn a_policy_in_balance_gives_all_differences_and_correlations_away() {
        let graphs = Graphs::new(4).unwrap();
        let tables: Vec<_> =
            population(4, &[20, 20], 2).unwrap().iter().map(|rows| standardised(rows).unwrap()).collect();
        let reward = graphs.reward(&tables[0]).unwrap();
        let mut log_rewards = graphs.graph.log_rewards(graphs.environment(), &reward);
        let top = log_rewards.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        log_rewards.iter_mut().for_each(|r| *r -= top);
        let found = score_differences(&graphs, &exact_policy(&graphs, &log_rewards));
        for (difference, transition) in found.iter().zip(&graphs.transitions) {
            let (before, after) = transition.graphs;
            assert!((difference - (log_rewards[after] - log_rewards[before])).abs() < 1e-9);
        }
        let truth: Vec<f64> = site::correlations(&tables[0]).iter().map(|rho| rho.abs()).collect();
        let calibration = Calibration::of(&tables[1]).unwrap();
        for reading in [Reading::FromEmpty, Reading::Everywhere] {
            let correlations = correlations(&graphs, &found, calibration, reading);
            assert!(root_mean_square(&correlations, &truth) < 1e-8, "{correlations:?} {truth:?}");
        }
    }
}
