//! BDeu, K2 and Jeffreys: published-precision vectors, prediction row by row, pseudo-counts at both ends, refusals.

#[path = "shared/random_tables.rs"]
mod random_tables;
mod shared;

use std::collections::HashMap;

use gfn_bn::{Dag, Dirichlet, DirichletPrior, DiscreteTable, LocalScore, RowCounts, members};
use random_tables::{categories, discrete, names, seeded};
use serde_json::Value;

/// Checks the cases of a file of vectors for which `csv` has the table; returns how many.
fn check_vectors(text: &str, csv: impl Fn(&str) -> Option<String>) -> usize {
    let file: Value = serde_json::from_str(text).unwrap();
    let number = |value: &Value| value.as_str().unwrap().parse::<f64>().unwrap();
    let mut checked = 0;
    for case in file["cases"].as_array().unwrap() {
        let id = case["id"].as_str().unwrap();
        let Some(csv) = csv(case["csv"].as_str().unwrap()) else { continue };
        let n_levels: Vec<usize> = (case["cardinalities"].as_array().unwrap().iter())
            .map(|r| r.as_u64().unwrap() as usize)
            .collect();
        let table = shared::table(&csv);
        let codes = |column: &Vec<f64>| column.iter().map(|&code| code as u16).collect();
        let table = discrete(table.names().to_vec(), &n_levels, table.columns().iter().map(codes).collect());
        let prior = match case["score"].as_str().unwrap() {
            "bdeu" => DirichletPrior::Bdeu { equivalent_sample_size: case["ess"].as_f64().unwrap() },
            "k2" => DirichletPrior::K2,
            "bdj" => DirichletPrior::Jeffreys,
            other => panic!("{id}: {other}"),
        };
        let score = Dirichlet::new(&RowCounts::of(&table), prior).unwrap();
        let dag: Dag = case["adjacency"].as_str().unwrap().parse().unwrap();
        let check = |what: &str, found: f64, expected: f64| {
            assert!((found / expected - 1.0).abs() <= 1e-10, "{id} {what}: {found}, not {expected}");
        };
        for (node, expected) in case["local"].as_array().unwrap().iter().enumerate() {
            check("local", score.local_score(node, dag.parents(node)), number(expected));
        }
        check("total", score.score(&dag), number(&case["log_marginal"]));
        checked += 1;
    }
    checked
}

#[test]
fn vectors_of_simulated_tables() {
    assert_eq!(check_vectors(&shared::own("bdeu.json").unwrap(), shared::own), 9);
}

#[test]
fn vectors_of_real_tables() {
    match shared::shared("vectors/bn/bdeu.json") {
        Some(text) => {
            assert_eq!(check_vectors(&text, |csv| shared::shared(&format!("vectors/bn/{csv}"))), 11);
        }
        None => println!("skipped: no shared data"),
    }
}

/// The chain rule: the marginal likelihood is the product over the rows of the probability of the row's level given the
/// rows before, (a_ijk + N_ijk) / (a_ij + N_ij).
fn by_prediction(table: &DiscreteTable, prior: DirichletPrior, node: usize, parents: u64) -> f64 {
    let r = table.levels()[node].len() as f64;
    let q: f64 = members(parents).map(|parent| table.levels()[parent].len() as f64).product();
    let a = match prior {
        DirichletPrior::Bdeu { equivalent_sample_size } => equivalent_sample_size / (q * r),
        DirichletPrior::K2 => 1.0,
        DirichletPrior::Jeffreys => 0.5,
    };
    let mut seen: HashMap<(Vec<u16>, u16), f64> = HashMap::new();
    let mut log_probability = 0.0;
    for row in 0..table.n_rows() {
        let configuration: Vec<u16> = members(parents).map(|parent| table.columns()[parent][row]).collect();
        let count = |level: u16| seen.get(&(configuration.clone(), level)).copied().unwrap_or(0.0);
        let level = table.columns()[node][row];
        let of_parents: f64 = (0..table.levels()[node].len() as u16).map(count).sum();
        log_probability += ((a + count(level)) / (a * r + of_parents)).ln();
        *seen.entry((configuration, level)).or_default() += 1.0;
    }
    log_probability
}

#[test]
fn a_score_is_the_product_of_the_predictions_of_the_rows() {
    let mut rng = seeded(1);
    for (n, n_levels) in [
        (1, vec![2]),
        (1, vec![3, 1, 2]),
        (60, vec![2, 3, 4, 2]),
        (400, vec![2, 2, 3, 5, 2]),
        (300, vec![9, 2]),
    ] {
        let d = n_levels.len();
        let table = categories(&mut rng, n, &n_levels);
        let ess = [0.1, 1.0, 30.0, 1e12].map(|size| DirichletPrior::Bdeu { equivalent_sample_size: size });
        for prior in ess.into_iter().chain([DirichletPrior::K2, DirichletPrior::Jeffreys]) {
            let score = Dirichlet::new(&RowCounts::of(&table), prior).unwrap();
            assert_eq!(score.n_nodes(), d);
            for node in 0..d {
                for parents in (0..1 << d).filter(|set| set >> node & 1 == 0) {
                    let expected = by_prediction(&table, prior, node, parents);
                    let found = score.local_score(node, parents);
                    assert!(
                        (found - expected).abs() <= 1e-11 * expected.abs().max(1.0),
                        "{prior:?} {node} {parents:b}: {found}, not {expected}"
                    );
                }
            }
        }
    }
}

/// With a pseudo-count that is no double a row that is alone with its parents' configuration is predicted by 1/r, and
/// its repetitions by 1.
#[test]
fn pseudo_counts_below_the_smallest_double_keep_their_logarithm() {
    // 3^63 configurations of the parents leave 1e-330 of the prior for each.
    let columns = (0..64_u16).map(|j| [0, 1, 2, 0, 0, 0].map(|row: u16| (row + j) % 3).to_vec()).collect();
    let table = discrete(names(64), &[3; 64], columns);
    let prior = DirichletPrior::Bdeu { equivalent_sample_size: 1e-300 };
    let score = Dirichlet::new(&RowCounts::of(&table), prior).unwrap();
    let found = score.local_score(0, !1);
    assert!((found + 3.0 * 3.0_f64.ln()).abs() < 1e-11, "{found}");
}

#[test]
fn equivalent_sample_sizes_out_of_range_are_refused() {
    let rows = RowCounts::of(&categories(&mut seeded(2), 5, &[2, 2]));
    for size in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        let prior = DirichletPrior::Bdeu { equivalent_sample_size: size };
        let text = Dirichlet::new(&rows, prior).unwrap_err().to_string();
        assert!(text.starts_with("equivalent_sample_size: expected a positive number, found"), "{text}");
    }
}
