//! BIC: closed forms, least squares and frequencies done independently, refusals.

#[path = "shared/random_tables.rs"]
mod random_tables;

use std::collections::HashMap;
use std::f64::consts::PI;

use gfn_bn::{DiscreteBic, GaussianBic, GaussianStatistics, LocalScore, RowCounts, Table, members};
use nalgebra::{DMatrix, DVector};
use random_tables::{categories, discrete, names, numbers, seeded};

#[test]
fn three_numbers_by_hand() {
    let table = Table::new(names(2), vec![vec![1.0, 2.0, 3.0], vec![0.0, 2.0, 1.0]]).unwrap();
    let score = GaussianBic::new(&GaussianStatistics::of(&table).unwrap()).unwrap();
    // Sums of squares 2 and 2, of products 1: the regression leaves 2 − 1²/2 = 3/2.
    let expected = |rss: f64, parameters: f64| {
        -1.5 * ((2.0 * PI * rss / 3.0).ln() + 1.0) - 0.5 * parameters * 3.0_f64.ln()
    };
    for (parents, value) in [(0, expected(2.0, 2.0)), (0b10, expected(1.5, 3.0))] {
        assert!((score.local_score(0, parents) - value).abs() < 1e-13);
    }
}

#[test]
fn numbers_agree_with_least_squares_by_orthogonalisation() {
    let mut rng = seeded(3);
    for (n, means) in [(6, vec![0.0, 1.0, -3.0, 5.0]), (80, vec![1e6, -1e6, 0.0, 2.0, 1e3])] {
        let table = numbers(&mut rng, n, &means);
        let d = means.len();
        let score = GaussianBic::new(&GaussianStatistics::of(&table).unwrap()).unwrap();
        for node in 0..d {
            let y = DVector::from_column_slice(&table.columns()[node]);
            for parents in (0..1_u64 << d).filter(|set| set >> node & 1 == 0) {
                let chosen: Vec<usize> = members(parents).collect();
                let p = chosen.len();
                // Columns less their exact first values: the intercept takes up the rest.
                let x = DMatrix::from_fn(n, p + 1, |row, j| match j {
                    0 => 1.0,
                    j => table.columns()[chosen[j - 1]][row] - table.columns()[chosen[j - 1]][0],
                });
                let q = x.qr().q();
                let y = y.add_scalar(-y[0]);
                let residual = &y - &q * (q.transpose() * &y);
                let size = n as f64;
                let expected = -0.5 * size * ((2.0 * PI * residual.norm_squared() / size).ln() + 1.0)
                    - 0.5 * (p as f64 + 2.0) * size.ln();
                let found = score.local_score(node, parents);
                let tolerance = if means[0] > 1e5 { 1e-8 } else { 1e-11 };
                assert!(
                    (found / expected - 1.0).abs() < tolerance,
                    "{node} {parents:b}: {found}, {expected}"
                );
            }
        }
    }
}

#[test]
fn categories_agree_with_frequencies() {
    let mut rng = seeded(4);
    for (n, n_levels) in [(1, vec![3]), (50, vec![2, 3, 4]), (500, vec![2, 3, 2, 6])] {
        let d = n_levels.len();
        let table = categories(&mut rng, n, &n_levels);
        let score = DiscreteBic::new(&RowCounts::of(&table));
        for node in 0..d {
            for parents in (0..1_u64 << d).filter(|set| set >> node & 1 == 0) {
                let mut counts: HashMap<Vec<u16>, HashMap<u16, f64>> = HashMap::new();
                for row in 0..n {
                    let configuration = members(parents).map(|j| table.columns()[j][row]).collect();
                    let level = table.columns()[node][row];
                    *counts.entry(configuration).or_default().entry(level).or_default() += 1.0;
                }
                let log_likelihood: f64 = (counts.values())
                    .map(|levels| {
                        let all: f64 = levels.values().sum();
                        levels.values().map(|count| count * (count / all).ln()).sum::<f64>()
                    })
                    .sum();
                let q: f64 = members(parents).map(|j| n_levels[j] as f64).product();
                let expected = log_likelihood - 0.5 * (n_levels[node] as f64 - 1.0) * q * (n as f64).ln();
                let found = score.local_score(node, parents);
                assert!((found - expected).abs() <= 1e-11 * expected.abs().max(1.0), "{found}, {expected}");
            }
        }
    }
}

/// Parameters are those of the levels of the plan, whether this table shows them or not.
#[test]
fn levels_that_do_not_occur_have_parameters() {
    let score = |r: usize| {
        let table = discrete(names(2), &[2, r], vec![vec![0, 1, 0, 1], vec![0, 1, 1, 0]]);
        DiscreteBic::new(&RowCounts::of(&table))
    };
    let (few, many) = (score(2), score(5));
    let half_log_n = 0.5 * 4.0_f64.ln();
    assert!((few.local_score(1, 0) - many.local_score(1, 0) - 3.0 * half_log_n).abs() < 1e-12);
    assert!((few.local_score(0, 2) - many.local_score(0, 2) - 3.0 * half_log_n).abs() < 1e-12);
}

#[test]
fn variances_of_zero_are_refused() {
    let bic = |columns: Vec<Vec<f64>>| {
        let table = Table::new(names(columns.len()), columns).unwrap();
        GaussianBic::new(&GaussianStatistics::of(&table).unwrap()).map_err(|error| error.to_string())
    };
    let base = vec![1.0, 2.5, -0.5, 4.0];
    let other = vec![0.3, -1.0, 2.0, 0.9];
    assert!(bic(vec![base.clone(), other.clone()]).is_ok());
    let text = bic(vec![base[..2].to_vec(), other[..2].to_vec()]).unwrap_err();
    assert!(
        text.starts_with("table: expected at least 3 rows for BIC, one more than columns, found 2"),
        "{text}"
    );
    for constant in [0.0, 5.0, 1234567.891, 1e-7 / 3.0] {
        let text = bic(vec![base.clone(), vec![constant; 4]]).unwrap_err();
        assert!(text.starts_with("column \"X1\": expected a column that varies"), "{constant}: {text}");
    }
    let text = bic(vec![base.clone(), base.iter().map(|x| 3.0 * x + 1.0).collect()]).unwrap_err();
    assert!(text.contains("expected a column that the others do not determine"), "{text}");
    assert!(text.ends_with("or use the score bge, whose prior makes up for it"), "{text}");
}
