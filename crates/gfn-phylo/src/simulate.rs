//! Simulated alignments: sequences that evolve along a tree under a model.

use gfn_core::{Error, Place, Result};
use rand::rngs::ChaCha8Rng;
use rand::{RngExt, SeedableRng};

use crate::alignment_matrix::Alignment;
use crate::characters::STATE_LETTERS;
use crate::likelihood::Process;
use crate::model::SubstitutionModel;
use crate::newick::NewickTree;

/// An alignment of `n_sites` independent sites for the leaves of a tree with lengths; the rows are in the order of
/// the tree's leaves.
///
/// Each site is invariant with probability pinv, else of a category drawn uniformly; the state at the root is drawn
/// from the model's frequencies, every other one from the transition probabilities of the edge above it. The same
/// seed gives the same alignment everywhere.
///
/// # Errors
/// No sites, names that are missing or not distinct, a length that is missing, negative or not finite, empirical
/// frequencies.
pub fn simulate_alignment(
    tree: &NewickTree,
    model: &SubstitutionModel,
    n_sites: usize,
    seed: u64,
) -> Result<Alignment> {
    let process = Process::new(model)?;
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let order = tree.preorder();
    let mut transitions = vec![Vec::new(); tree.nodes.len()];
    let n_categories = process.category_rates().len();
    for &node in order.iter().skip(1) {
        let transition = match tree.nodes[node].length {
            Some(length) if length.is_finite() && length >= 0.0 => process.transition(length),
            found => {
                let name = tree.nodes[node].name.as_deref().unwrap_or("an internal node");
                return Err(Error::input(
                    Place::item(name),
                    "a branch length >= 0",
                    found.map_or("none".into(), |length| length.to_string()),
                    "give every branch a length",
                ));
            }
        };
        transitions[node] = (0..n_categories).map(|category| transition.matrix(category)).collect();
    }
    let mut states = vec![vec![0usize; n_sites]; tree.nodes.len()];
    for site in 0..n_sites {
        let invariant = random.random::<f64>() < process.pinv();
        let category = random.random_range(0..n_categories);
        for &node in &order {
            let state = match tree.nodes[node].parent {
                None => draw(&process.frequencies(), random.random()),
                Some(parent) if invariant => states[parent][site],
                Some(parent) => draw(&transitions[node][category][states[parent][site]], random.random()),
            };
            states[node][site] = state;
        }
    }
    let leaves = order.into_iter().filter(|&node| tree.nodes[node].children.is_empty());
    let (taxa, rows) = leaves
        .map(|node| {
            let row = states[node].iter().map(|&state| STATE_LETTERS[state]).collect();
            (tree.nodes[node].name.clone().unwrap_or_default(), row)
        })
        .unzip();
    Alignment::new(taxa, rows)
}

/// The state into whose share of [0, 1) the uniform number falls.
fn draw(probabilities: &[f64; 4], uniform: f64) -> usize {
    let mut rest = uniform;
    for (state, probability) in probabilities.iter().enumerate() {
        rest -= probability;
        if rest < 0.0 {
            return state;
        }
    }
    // Rounding: the last state that is possible at all.
    probabilities.iter().rposition(|&probability| probability > 0.0).unwrap_or(3)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn simulate(newick: &str, model: &str, n_sites: usize) -> Alignment {
        simulate_alignment(&newick.parse().unwrap(), &model.parse().unwrap(), n_sites, 7).unwrap()
    }

    #[test]
    fn frequencies_and_differences_are_those_of_the_model() {
        let n_sites = 200_000;
        let alignment = simulate("(a:0.1,b:0.2);", "HKY85{2}+F{0.1,0.2,0.3,0.4}", n_sites);
        let process = Process::new(&"HKY85{2}+F{0.1,0.2,0.3,0.4}".parse().unwrap()).unwrap();
        let matrix = process.transition(0.1 + 0.2).matrix(0);
        for i in 0..4 {
            for j in 0..4 {
                let pairs = (0..n_sites).filter(|&site| {
                    alignment.rows[0][site] == STATE_LETTERS[i] && alignment.rows[1][site] == STATE_LETTERS[j]
                });
                let expected = process.frequencies()[i] * matrix[i][j];
                let deviation = (expected * (1.0 - expected) / n_sites as f64).sqrt();
                let found = pairs.count() as f64 / n_sites as f64;
                assert!((found - expected).abs() < 4.5 * deviation, "{i}{j}: {found}, expected {expected}");
            }
        }
    }

    #[test]
    fn invariant_sites_and_zero_lengths_do_not_change() {
        let n_sites = 20_000;
        let alignment = simulate("(a:9,(b:0,c:0):9);", "JC69+I{0.6}", n_sites);
        assert_eq!(alignment.rows[1], alignment.rows[2]);
        let same = (0..n_sites).filter(|&site| alignment.rows[0][site] == alignment.rows[1][site]).count();
        // 60 % invariant, of the others (saturated) a quarter equal by chance.
        assert!((same as f64 / n_sites as f64 - 0.7).abs() < 0.015);
        assert_eq!(simulate("(a:1,b:1,c:1);", "JC69", 50), simulate("(a:1,b:1,c:1);", "JC69", 50));
    }

    #[test]
    fn missing_lengths_are_named() {
        let tree = "(a:1,b,c:1);".parse().unwrap();
        let error = simulate_alignment(&tree, &SubstitutionModel::jc69(), 5, 1).unwrap_err();
        assert!(error.to_string().starts_with("b: "), "{error}");
    }
}
