//! Random tables and graphs for the tests of scores.

#![allow(dead_code)] // every test binary uses another part

use gfn_bn::{Dag, DiscreteTable, Table};
use rand::rngs::ChaCha8Rng;
use rand::{RngExt, SeedableRng};
use rand_distr::{Distribution, StandardNormal};

/// Random numbers of a test.
pub fn seeded(seed: u64) -> ChaCha8Rng {
    ChaCha8Rng::seed_from_u64(seed)
}

/// Names X0, X1, ….
pub fn names(d: usize) -> Vec<String> {
    (0..d).map(|j| format!("X{j}")).collect()
}

/// n rows of d numbers around `means`, each column half explained by the two before it.
pub fn numbers(rng: &mut ChaCha8Rng, n: usize, means: &[f64]) -> Table {
    let mut columns: Vec<Vec<f64>> = Vec::new();
    for j in 0..means.len() {
        let noise = (0..n).map(|_| StandardNormal.sample(rng)).collect::<Vec<f64>>();
        let of = |k: usize, row: usize| if j >= k { columns[j - k][row] } else { 0.0 };
        columns.push((0..n).map(|row| noise[row] + 0.7 * of(1, row) - 0.5 * of(2, row)).collect());
    }
    for (column, mean) in columns.iter_mut().zip(means) {
        column.iter_mut().for_each(|x| *x += mean);
    }
    Table::new(names(means.len()), columns).unwrap()
}

/// The table with these positions of levels, the levels of column j being l0, l1, … up to `n_levels[j]` of them.
pub fn discrete(names: Vec<String>, n_levels: &[usize], columns: Vec<Vec<u16>>) -> DiscreteTable {
    let levels = n_levels.iter().map(|&r| (0..r).map(|k| format!("l{k}")).collect()).collect();
    DiscreteTable::new(names, levels, columns).unwrap()
}

/// n rows of categories, each column often that before it.
pub fn categories(rng: &mut ChaCha8Rng, n: usize, n_levels: &[usize]) -> DiscreteTable {
    let mut columns: Vec<Vec<u16>> = Vec::new();
    for &r in n_levels {
        let column = (0..n).map(|row| match columns.last() {
            Some(last) if rng.random_bool(0.6) => last[row] % r as u16,
            _ => rng.random_range(0..r) as u16,
        });
        let column = column.collect();
        columns.push(column);
    }
    discrete(names(n_levels.len()), n_levels, columns)
}

/// A graph over d nodes with about half of the edges that one order of the nodes allows.
pub fn random_dag(rng: &mut ChaCha8Rng, d: usize) -> Dag {
    let mut dag = Dag::empty(d).unwrap();
    for _ in 0..d * d {
        let (from, to) = (rng.random_range(0..d), rng.random_range(0..d));
        if dag.can_add_edge(from, to) && rng.random_bool(0.5) {
            dag.add_edge(from, to).unwrap();
        }
    }
    dag
}
