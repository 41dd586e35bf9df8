//! Least squares of relative deviations, with coefficients that are not negative.

/// Coefficients c ≥ 0 that make Σ (x · c / y − 1)² small: measurements over decades count alike. Terms whose coefficient
/// would be negative are left out, the most negative one first. Panics if a row has another length than the first one.
pub(super) fn fit(rows: &[Vec<f64>], y: &[f64]) -> Vec<f64> {
    let terms = rows.first().map_or(0, Vec::len);
    let mut used: Vec<usize> = (0..terms).collect();
    loop {
        let scaled: Vec<Vec<f64>> =
            rows.iter().zip(y).map(|(row, y)| used.iter().map(|&k| row[k] / y).collect()).collect();
        let solution = solve(&scaled);
        let lowest = (0..used.len()).min_by(|&a, &b| solution[a].total_cmp(&solution[b]));
        match lowest {
            Some(k) if solution[k] < 0.0 => drop(used.remove(k)),
            _ => {
                let mut coefficients = vec![0.0; terms];
                used.iter().zip(solution).for_each(|(&k, c)| coefficients[k] = c);
                return coefficients;
            }
        }
    }
}

/// The c that minimises Σ (x · c − 1)²: normal equations by elimination with pivots. A term that the others make up
/// already gets 0.
fn solve(rows: &[Vec<f64>]) -> Vec<f64> {
    let n = rows.first().map_or(0, Vec::len);
    // Columns of length 1, so that pivots can be compared.
    let norms: Vec<f64> =
        (0..n).map(|k| rows.iter().map(|r| r[k] * r[k]).sum::<f64>().sqrt().max(f64::MIN_POSITIVE)).collect();
    let mut system: Vec<Vec<f64>> = (0..n)
        .map(|i| {
            let dot = |j: usize| rows.iter().map(|r| r[i] * r[j]).sum::<f64>() / (norms[i] * norms[j]);
            let right = rows.iter().map(|r| r[i]).sum::<f64>() / norms[i];
            (0..n).map(dot).chain([right]).collect()
        })
        .collect();
    for column in 0..n {
        let pivot = (column..n)
            .max_by(|&a, &b| system[a][column].abs().total_cmp(&system[b][column].abs()))
            .unwrap_or(column);
        system.swap(column, pivot);
        let row = system[column].clone();
        if row[column].abs() < 1e-12 {
            continue;
        }
        for (other, values) in system.iter_mut().enumerate() {
            if other != column {
                let factor = values[column] / row[column];
                values.iter_mut().zip(&row).for_each(|(v, r)| *v -= factor * r);
            }
        }
    }
    (0..n)
        .map(|k| if system[k][k].abs() < 1e-12 { 0.0 } else { system[k][n] / system[k][k] / norms[k] })
        .collect()
}

/// x · c.
pub(super) fn predict(row: &[f64], coefficients: &[f64]) -> f64 {
    row.iter().zip(coefficients).map(|(x, c)| x * c).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exact_laws_are_found_over_decades() {
        let truth = [3e-6, 2e-5, 1e-8];
        let rows: Vec<Vec<f64>> = [6.0, 10.0, 14.0]
            .iter()
            .flat_map(|&l| [50.0, 400.0, 9000.0].map(|p| vec![1.0, l, l * p]))
            .collect();
        let y: Vec<f64> = rows.iter().map(|row| predict(row, &truth)).collect();
        for (found, expected) in fit(&rows, &y).iter().zip(truth) {
            assert!((found / expected - 1.0).abs() < 1e-6, "{found}, expected {expected}");
        }
    }

    #[test]
    fn no_coefficient_is_negative_and_the_rest_is_refitted() {
        // y falls with x: the best line has a negative slope, the best constant of relative deviations is
        // Σ 1/y / Σ 1/y² = (1 + 1/2)/(1 + 1/4).
        let found = fit(&[vec![1.0, 1.0], vec![1.0, 2.0]], &[2.0, 1.0]);
        assert_eq!(found[1], 0.0);
        assert!((found[0] - 1.2).abs() < 1e-12, "{found:?}");
        // The same column twice.
        let twice = fit(&[vec![1.0, 1.0], vec![2.0, 2.0]], &[3.0, 6.0]);
        assert!((twice[0] + twice[1] - 3.0).abs() < 1e-9, "{twice:?}");
    }
}
