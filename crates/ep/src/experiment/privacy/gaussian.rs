//! Multivariate normal distributions, fitted to samples.

/// Added to each variance, as a share of it: a covariance of few samples stays positive definite.
const RIDGE: f64 = 1e-6;

/// The shape of a normal distribution: the lower triangle L of Σ = L Lᵀ, row after row.
#[derive(Debug, Clone)]
pub struct Covariance {
    factor: Vec<Vec<f64>>,
}

/// Mean of samples, number by number.
pub fn mean(samples: &[Vec<f64>]) -> Vec<f64> {
    let of = |k: usize| samples.iter().map(|sample| sample[k]).sum::<f64>() / samples.len() as f64;
    (0..samples[0].len()).map(of).collect()
}

impl Covariance {
    /// That of samples (divisor n − 1), with independent noise of these variances added.
    pub fn of(samples: &[Vec<f64>], noise: &[f64]) -> Self {
        let (centre, d) = (mean(samples), noise.len());
        let mut factor = vec![vec![0.0; d]; d];
        for (i, extra) in noise.iter().enumerate() {
            for j in 0..=i {
                let products = samples.iter().map(|x| (x[i] - centre[i]) * (x[j] - centre[j]));
                let mut value = products.sum::<f64>() / (samples.len() - 1) as f64;
                if i == j {
                    value = value * (1.0 + RIDGE) + extra + f64::MIN_POSITIVE;
                }
                // Cholesky, row by row.
                let known: f64 = (0..j).map(|k| factor[i][k] * factor[j][k]).sum();
                factor[i][j] = if i == j {
                    (value - known).max(f64::MIN_POSITIVE).sqrt()
                } else {
                    (value - known) / factor[j][j]
                };
            }
        }
        Covariance { factor }
    }

    /// (x − mean)ᵀ Σ⁻¹ (x − mean).
    pub fn squared_distance(&self, x: &[f64], mean: &[f64]) -> f64 {
        let mut solved: Vec<f64> = Vec::with_capacity(x.len());
        for (i, row) in self.factor.iter().enumerate() {
            let known: f64 = row.iter().zip(&solved).map(|(l, y)| l * y).sum();
            solved.push((x[i] - mean[i] - known) / row[i]);
        }
        solved.iter().map(|y| y * y).sum()
    }

    /// log det Σ.
    pub fn log_determinant(&self) -> f64 {
        self.factor.iter().enumerate().map(|(i, row)| 2.0 * row[i].ln()).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_dimensions_have_closed_forms() {
        // Σ = [[4, 2], [2, 3]] times 4/3 of these four points; then the noise.
        let samples = [[2.0, 1.0], [-2.0, -1.0], [0.0, 2f64.sqrt()], [0.0, -(2f64.sqrt())]].map(Vec::from);
        let covariance = Covariance::of(&samples, &[1.0, 2.0]);
        let (a, b, c) = (8.0 / 3.0 + 1.0, 4.0 / 3.0, 2.0 + 2.0);
        let determinant: f64 = a * c - b * b;
        assert!((covariance.log_determinant() - determinant.ln()).abs() < 1e-5);
        let (x, y) = (1.0, -2.0);
        let expected = (c * x * x - 2.0 * b * x * y + a * y * y) / determinant;
        let found = covariance.squared_distance(&[x + 0.5, y - 0.5], &[0.5, -0.5]);
        assert!((found - expected).abs() < 1e-5, "{found} {expected}");
        assert_eq!(mean(&samples), [0.0, 0.0]);
    }
}
