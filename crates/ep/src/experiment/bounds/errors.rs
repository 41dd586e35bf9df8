//! Errors of clients: log p̂_n − log π_n of every object, from laws of equal variance.

use rand::RngExt;
use rand::rngs::ChaCha8Rng;

use crate::experiment::training::normal;

/// A law of errors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Law {
    /// Normal, independent for every object and client.
    Gaussian,
    /// Laplace, independent.
    Laplace,
    /// Student t with three degrees of freedom, independent.
    StudentT,
    /// Every client has too little of the objects that its own reward likes best, by one factor.
    DroppedMode,
    /// All clients have too little of the same half of the product, by one factor.
    SharedHalf,
}

/// Fraction of the product that a dropped mode holds, at least.
const MODE: f64 = 0.1;

impl Law {
    /// All of them.
    pub const ALL: [Law; 5] = [Law::Gaussian, Law::Laplace, Law::StudentT, Law::DroppedMode, Law::SharedHalf];

    /// Its name in results.
    pub fn name(self) -> &'static str {
        match self {
            Law::Gaussian => "Gaussian",
            Law::Laplace => "Laplace",
            Law::StudentT => "Student t",
            Law::DroppedMode => "dropped mode",
            Law::SharedHalf => "shared half",
        }
    }

    /// One client's errors on all objects, with mean 0 and variance 1 under `target`, the product. `log_reward` is the
    /// client's own.
    pub fn draw(self, target: &[f64], log_reward: &[f64], rng: &mut ChaCha8Rng) -> Vec<f64> {
        let mut errors: Vec<f64> = match self {
            Law::Gaussian => target.iter().map(|_| normal(rng)).collect(),
            Law::Laplace => target.iter().map(|_| laplace(rng)).collect(),
            Law::StudentT => target.iter().map(|_| student_t(rng)).collect(),
            Law::DroppedMode => without_top(log_reward, target, |mass, _| mass >= MODE),
            Law::SharedHalf => without_top(target, target, |mass, next| mass + 0.5 * next >= 0.5),
        };
        let (mean, variance) = moments(target, &errors);
        errors.iter_mut().for_each(|e| *e = (*e - mean) / variance.sqrt());
        errors
    }
}

/// Mean and variance of values under a distribution.
pub fn moments(distribution: &[f64], values: &[f64]) -> (f64, f64) {
    let mean: f64 = distribution.iter().zip(values).map(|(p, v)| p * v).sum();
    (mean, distribution.iter().zip(values).map(|(p, v)| p * (v - mean) * (v - mean)).sum())
}

/// −1 on the objects of highest `score`, 0 elsewhere: as many as `enough` of their mass and that of the next one asks for,
/// at least one.
fn without_top(score: &[f64], target: &[f64], enough: impl Fn(f64, f64) -> bool) -> Vec<f64> {
    let mut order: Vec<usize> = (0..score.len()).collect();
    order.sort_by(|&a, &b| score[b].total_cmp(&score[a]));
    let (mut errors, mut mass) = (vec![0.0; score.len()], 0.0);
    for (place, object) in order.into_iter().enumerate() {
        if place > 0 && enough(mass, target[object]) {
            break;
        }
        errors[object] = -1.0;
        mass += target[object];
    }
    errors
}

fn laplace(rng: &mut ChaCha8Rng) -> f64 {
    let size = -(1.0 - rng.random::<f64>()).ln();
    if rng.random::<bool>() { size } else { -size }
}

fn student_t(rng: &mut ChaCha8Rng) -> f64 {
    let chi_squared: f64 = (0..3).map(|_| normal(rng).powi(2)).sum();
    normal(rng) / (chi_squared / 3.0).sqrt()
}

#[cfg(test)]
mod tests {
    use gfn_core::random::stream;

    use super::*;

    #[test]
    fn errors_have_the_asked_variance_and_the_tails_of_their_laws() {
        let n = 20_000;
        let target = vec![1.0 / f64::from(n); n as usize];
        let log_reward: Vec<f64> = (0..n).map(|x| f64::from(x % 100)).collect();
        let kurtosis = |law: Law| {
            let errors = law.draw(&target, &log_reward, &mut stream(0, "errors", 0));
            let (mean, variance) = moments(&target, &errors);
            assert!(mean.abs() < 1e-9 && (variance - 1.0).abs() < 1e-9, "{law:?}");
            errors.iter().map(|e| e.powi(4)).sum::<f64>() / f64::from(n)
        };
        // Normal 3, Laplace 6: their standard errors are √(96/n) = .07 and, by its eighth moment, √(2484/n) = .35; five of
        // them. The fourth moment of t is infinite.
        assert!((kurtosis(Law::Gaussian) - 3.0).abs() < 0.35);
        assert!((kurtosis(Law::Laplace) - 6.0).abs() < 1.8);
        assert!(kurtosis(Law::StudentT) > 8.0);
        // Two values a of masses q and 1 − q: 1/(q(1 − q)) − 3.
        assert!((kurtosis(Law::DroppedMode) - (1.0 / 0.09 - 3.0)).abs() < 0.01);
        assert!((kurtosis(Law::SharedHalf) - 1.0).abs() < 1e-3);
    }
}
