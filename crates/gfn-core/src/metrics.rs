//! Distances between distributions, and what importance weights say about an estimate.
//!
//! Distributions are slices of probabilities over the same objects in the same order; log importance weights are
//! log R(x) − S(τ), or log R(x) − log p̂(x), of independent draws (docs/mathematics.md §4), unnormalised. All logarithms are natural.

use crate::math::{log_sum_exp, normalise_log_weights};

/// Tails of fewer weights than this are not fitted (Vehtari et al. 2024).
const SMALLEST_TAIL: usize = 5;

/// Exceedances below this fraction of the largest weight count as none: their reciprocals would overflow.
const SMALLEST_EXCEEDANCE: f64 = 1e-300;

/// Σ_x |p(x) − q(x)|, from 0 to 2. Panics if the lengths differ.
pub fn l1(p: &[f64], q: &[f64]) -> f64 {
    sum_over_pairs(p, q, |p, q| (p - q).abs())
}

/// Total variation, half of [`l1`], from 0 to 1. Panics if the lengths differ.
pub fn total_variation(p: &[f64], q: &[f64]) -> f64 {
    0.5 * l1(p, q)
}

/// KL(p ‖ q) = Σ_x p(x) log(p(x)/q(x)) (Kullback & Leibler 1951).
///
/// An object of p = 0 contributes 0, whatever q is; one of p > 0 and q = 0 makes it infinite. Rounding never makes
/// it negative. Panics if the lengths differ.
pub fn kullback_leibler(p: &[f64], q: &[f64]) -> f64 {
    let term = |p: f64, q: f64| if p == 0.0 { 0.0 } else { p * (p.ln() - q.ln()) };
    at_least_zero(sum_over_pairs(p, q, term))
}

/// ½ KL(p ‖ m) + ½ KL(q ‖ m) with m = (p + q)/2 (Lin 1991), from 0 to log 2.
///
/// Always finite: an object of p = 0 contributes ½ q log 2. Panics if the lengths differ.
pub fn jensen_shannon(p: &[f64], q: &[f64]) -> f64 {
    let half = |p: f64, q: f64| if p == 0.0 { 0.0 } else { p * (2.0 * (p / (p + q))).ln() };
    at_least_zero(0.5 * sum_over_pairs(p, q, |p, q| half(p, q) + half(q, p)))
}

/// Jeffrey divergence KL(p ‖ q) + KL(q ‖ p) = Σ_x (p(x) − q(x)) log(p(x)/q(x)) (Jeffreys 1946), the subject of
/// Theorem 3.4 of the paper.
///
/// An object of p = q = 0 contributes 0; where one of the two is 0 it is infinite. Panics if the lengths differ.
pub fn jeffrey(p: &[f64], q: &[f64]) -> f64 {
    sum_over_pairs(p, q, |p, q| if p == q { 0.0 } else { (p - q) * (p.ln() - q.ln()) })
}

fn sum_over_pairs(p: &[f64], q: &[f64], term: impl Fn(f64, f64) -> f64) -> f64 {
    assert_eq!(p.len(), q.len(), "both distributions are over the same objects");
    p.iter().zip(q).map(|(&p, &q)| term(p, q)).sum()
}

/// 0 instead of a negative number; NaN stays.
fn at_least_zero(value: f64) -> f64 {
    if value < 0.0 { 0.0 } else { value }
}

/// log of the mean weight: the estimate of log Z, from an unbiased one of Z. −∞ without weights.
pub fn log_mean_weight(log_weights: &[f64]) -> f64 {
    if log_weights.is_empty() {
        return f64::NEG_INFINITY;
    }
    log_sum_exp(log_weights) - (log_weights.len() as f64).ln()
}

/// Mean log weight: in expectation a lower bound on log Z. −∞ without weights, or if one of them is 0.
pub fn elbo(log_weights: &[f64]) -> f64 {
    if log_weights.is_empty() {
        return f64::NEG_INFINITY;
    }
    log_weights.iter().sum::<f64>() / log_weights.len() as f64
}

/// Effective sample size (Σ w)² / Σ w² (Kong 1992), a count from 1 to the number of weights; 0 where all weights
/// are 0 or there are none.
///
/// Blind to objects that were never drawn (docs/mathematics.md §4).
pub fn effective_sample_size(log_weights: &[f64]) -> f64 {
    let total = log_sum_exp(log_weights);
    if total == f64::NEG_INFINITY {
        return 0.0;
    }
    log_weights.iter().map(|w| (w - total).exp()).map(|w| w * w).sum::<f64>().recip()
}

/// Pareto k̂ of importance weights (Vehtari et al. 2024, JMLR 25): the shape of a generalised Pareto distribution
/// fitted to the largest min(0.2 n, 3 √n) of them.
///
/// Estimates are reliable for k̂ < 0.7, and the weights have a finite variance for k < 0.5. The fit is that of
/// Zhang & Stephens 2009 with the weak prior of Vehtari et al. (ten observations of ½). +∞ where fewer than five
/// weights stand out (too few draws, or nearly all of the weight on a handful): not to be judged, so not to be
/// trusted; −∞ where none stands out because the largest weights are all equal. NaN if a weight is NaN.
pub fn pareto_k(log_weights: &[f64]) -> f64 {
    let n = log_weights.len();
    let tail = (0.2 * n as f64).min(3.0 * (n as f64).sqrt()).ceil() as usize;
    if log_weights.iter().any(|w| w.is_nan()) {
        return f64::NAN;
    }
    if tail < SMALLEST_TAIL {
        return f64::INFINITY;
    }
    let mut sorted = log_weights.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    let (largest, cutoff) = (sorted[n - 1], sorted[n - tail - 1]);
    if !largest.is_finite() {
        return f64::INFINITY;
    }
    if largest == cutoff {
        return f64::NEG_INFINITY;
    }
    let threshold = (cutoff - largest).exp();
    let exceedances: Vec<f64> = sorted[n - tail..]
        .iter()
        .map(|w| (w - largest).exp() - threshold)
        .filter(|&x| x > SMALLEST_EXCEEDANCE)
        .collect();
    if exceedances.len() < SMALLEST_TAIL {
        return f64::INFINITY;
    }
    let count = exceedances.len() as f64;
    (generalised_pareto_shape(&exceedances) * count + 0.5 * 10.0) / (count + 10.0)
}

/// Shape k of the generalised Pareto distribution of `x` (positive, increasing), location 0: the quasi-Bayesian
/// estimate of Zhang & Stephens 2009 (Technometrics 51), with the sign of k such that k > 0 is a heavy tail.
fn generalised_pareto_shape(x: &[f64]) -> f64 {
    let n = x.len();
    let grid = 30 + (n as f64).sqrt() as usize;
    let quartile = x[(n as f64 / 4.0 + 0.5) as usize - 1];
    let shape = |theta: f64| x.iter().map(|x| (-theta * x).ln_1p()).sum::<f64>() / n as f64;
    let thetas: Vec<f64> = (1..=grid)
        .map(|j| 1.0 / x[n - 1] + (1.0 - (grid as f64 / (j as f64 - 0.5)).sqrt()) / (3.0 * quartile))
        .collect();
    let profile: Vec<f64> = thetas
        .iter()
        .map(|&theta| {
            let k = shape(theta);
            // −θ/k = 1/scale; both vanish together at the exponential distribution, whose scale is the mean.
            let rate = if theta == 0.0 { n as f64 / x.iter().sum::<f64>() } else { -theta / k };
            n as f64 * (rate.ln() - k - 1.0)
        })
        .collect();
    let theta = thetas.iter().zip(normalise_log_weights(&profile)).map(|(theta, w)| theta * w).sum();
    shape(theta)
}

/// Self-normalised mean of `values` under the weights, Σ w v / Σ w, and their standard deviation around it
/// (divisor Σ w). Both are NaN where all weights are 0. Panics if the lengths differ.
pub fn weighted_mean_and_deviation(values: &[f64], log_weights: &[f64]) -> (f64, f64) {
    assert_eq!(values.len(), log_weights.len(), "one weight per value");
    let weights = normalise_log_weights(log_weights);
    if weights.is_empty() {
        return (f64::NAN, f64::NAN);
    }
    // A weight of 0 leaves its value out, even one that is not finite.
    let used = || values.iter().zip(&weights).filter(|(_, w)| **w != 0.0);
    let mean: f64 = used().map(|(v, w)| w * v).sum();
    let variance: f64 = used().map(|(v, w)| w * (v - mean) * (v - mean)).sum();
    (mean, variance.sqrt())
}

/// Indices of the `k` largest values, the largest first; of equal values the earlier comes first. NaN is never among
/// them, so there may be fewer.
pub fn top_k(values: &[f64], k: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..values.len()).filter(|&i| !values[i].is_nan()).collect();
    order.sort_by(|&a, &b| values[b].partial_cmp(&values[a]).expect("no NaN among them"));
    order.truncate(k);
    order
}

#[cfg(test)]
mod tests {
    use rand::RngExt;

    use super::*;
    use crate::exact::{paper_bound, sharp_bound};
    use crate::random::{ChaCha8Rng, stream};

    fn assert_close(found: f64, expected: f64, tolerance: f64) {
        assert!((found - expected).abs() <= tolerance, "{found}, expected {expected}");
    }

    fn random_distribution(n: usize, rng: &mut ChaCha8Rng) -> Vec<f64> {
        // Exponential draws to a power: from nearly uniform to nearly one-point.
        let power = rng.random_range(0.2..4.0);
        let logs: Vec<f64> = (0..n).map(|_| power * exponential(rng).ln()).collect();
        normalise_log_weights(&logs)
    }

    fn exponential(rng: &mut ChaCha8Rng) -> f64 {
        -(1.0 - rng.random::<f64>()).ln()
    }

    #[test]
    fn divergences_have_closed_forms_on_two_points() {
        let (p, q) = ([0.75, 0.25], [0.5, 0.5]);
        let forward = 0.75 * 1.5f64.ln() + 0.25 * 0.5f64.ln();
        let backward = 0.5 * (2.0 / 3.0f64).ln() + 0.5 * 2f64.ln();
        assert_close(l1(&p, &q), 0.5, 1e-15);
        assert_close(total_variation(&p, &q), 0.25, 1e-15);
        assert_close(kullback_leibler(&p, &q), forward, 1e-15);
        assert_close(kullback_leibler(&q, &p), backward, 1e-15);
        assert_close(jeffrey(&p, &q), forward + backward, 1e-15);
        assert_close(jeffrey(&p, &q), 0.25 * 3f64.ln(), 1e-15);
        let mean = [0.625, 0.375];
        let expected = 0.5 * (kullback_leibler(&p, &mean) + kullback_leibler(&q, &mean));
        assert_close(jensen_shannon(&p, &q), expected, 1e-15);
    }

    #[test]
    fn divergences_of_zeros_keep_their_conventions() {
        let (p, q) = ([1.0, 0.0, 0.0], [0.0, 1.0, 0.0]);
        assert_eq!([l1(&p, &q), total_variation(&p, &q)], [2.0, 1.0]);
        assert_eq!([kullback_leibler(&p, &q), jeffrey(&p, &q)], [f64::INFINITY; 2]);
        assert_close(jensen_shannon(&p, &q), 2f64.ln(), 1e-15);
        let half = [0.5, 0.5, 0.0];
        assert_close(kullback_leibler(&p, &half), 2f64.ln(), 1e-15);
        assert_eq!([kullback_leibler(&half, &p), jeffrey(&p, &half)], [f64::INFINITY; 2]);
        for divergence in [l1, total_variation, kullback_leibler, jensen_shannon, jeffrey] {
            assert_eq!(divergence(&p, &p), 0.0);
            assert_eq!(divergence(&[], &[]), 0.0);
        }
        let tiny = f64::from_bits(1);
        assert!(jensen_shannon(&[1.0, tiny], &[1.0, 0.0]) < 1e-15);
        assert_close(kullback_leibler(&[1.0, 0.0], &[tiny, 1.0]), 1074.0 * 2f64.ln(), 1e-10);
    }

    #[test]
    fn divergences_order_as_they_should() {
        let mut rng = stream(1, "metrics", 0);
        for _ in 0..2000 {
            let n = rng.random_range(1..8);
            let (p, q) = (random_distribution(n, &mut rng), random_distribution(n, &mut rng));
            let tv = total_variation(&p, &q);
            assert!(kullback_leibler(&p, &q) >= 2.0 * tv * tv - 1e-14, "Pinsker");
            assert!(jensen_shannon(&p, &q) <= tv * 2f64.ln() + 1e-14);
            assert_close(jensen_shannon(&p, &q), jensen_shannon(&q, &p), 1e-14);
            let sum = kullback_leibler(&p, &q) + kullback_leibler(&q, &p);
            assert_close(jeffrey(&p, &q), sum, 1e-12 * (1.0 + sum));
        }
    }

    #[test]
    fn weights_have_closed_forms() {
        let weights = [1.0f64, 2.0, 3.0, 4.0].map(f64::ln);
        assert_close(log_mean_weight(&weights), 2.5f64.ln(), 1e-15);
        assert_close(elbo(&weights), 24f64.ln() / 4.0, 1e-15);
        assert_close(effective_sample_size(&weights), 100.0 / 30.0, 1e-14);
        let (mean, deviation) = weighted_mean_and_deviation(&[0.0, 1.0, 1.0, 0.0], &weights);
        assert_close(mean, 0.5, 1e-15);
        assert_close(deviation, 0.5, 1e-15);
        // The scale of the weights moves the log Z alone.
        let shifted = weights.map(|w| w - 2000.0);
        assert_close(log_mean_weight(&shifted), 2.5f64.ln() - 2000.0, 1e-12);
        assert_close(effective_sample_size(&shifted), 100.0 / 30.0, 1e-11);
        assert_close(weighted_mean_and_deviation(&[0.0, 1.0, 1.0, 0.0], &shifted).0, 0.5, 1e-12);
    }

    #[test]
    fn weights_of_zero_and_none_are_told_apart() {
        let never = f64::NEG_INFINITY;
        assert_close(log_mean_weight(&[0.0, never]), -(2f64.ln()), 1e-15);
        assert_eq!(elbo(&[0.0, never]), never);
        assert_close(effective_sample_size(&[0.0, never, 0.0]), 2.0, 1e-14);
        assert_eq!(weighted_mean_and_deviation(&[3.0, f64::NAN], &[5.0, never]), (3.0, 0.0));
        for none in [&[][..], &[never, never]] {
            assert_eq!([log_mean_weight(none), elbo(none), effective_sample_size(none)], [never, never, 0.0]);
            assert!(weighted_mean_and_deviation(none, none).0.is_nan());
        }
    }

    #[test]
    fn top_values_come_first_and_ties_keep_their_order() {
        let values = [0.1, 0.4, f64::NAN, 0.4, f64::NEG_INFINITY, 0.1, 0.0, -0.0];
        assert_eq!(top_k(&values, 3), [1, 3, 0]);
        assert_eq!(top_k(&values, 100), [1, 3, 0, 5, 6, 7, 4]);
        assert!(top_k(&values, 0).is_empty() && top_k(&[], 3).is_empty());
    }

    #[test]
    fn pareto_k_finds_the_shape_of_known_tails() {
        // log w = −k log u with u uniform: P(w > t) = t^(−1/k). Shape −1 is w = u itself.
        for k in [-1.0, 0.2, 0.5, 0.7, 1.0, 1.5] {
            let runs = 40;
            let estimates: Vec<f64> = (0..runs)
                .map(|run| {
                    let mut rng = stream(run, "pareto", 0);
                    let weights: Vec<f64> = (0..20_000).map(|_| k * exponential(&mut rng)).collect();
                    pareto_k(&weights)
                })
                .collect();
            let (mean, deviation) = crate::math::mean_and_deviation(&estimates);
            // 425 exceedances; the prior counts as 10 more of shape ½.
            let expected = (425.0 * k + 5.0) / 435.0;
            assert_close(mean, expected, 0.03 + 0.01 * f64::abs(k));
            assert!(deviation < 1.5 * (1.0 + f64::abs(k)) / 425f64.sqrt(), "{k}: {deviation}");
        }
        // Exponential weights have shape 0.
        let mut rng = stream(2, "pareto", 0);
        let weights: Vec<f64> = (0..100_000).map(|_| exponential(&mut rng).ln()).collect();
        assert_close(pareto_k(&weights), 0.0, 0.08);
    }

    #[test]
    fn pareto_k_does_not_see_the_scale() {
        let mut rng = stream(3, "pareto", 0);
        let weights: Vec<f64> = (0..1000).map(|_| 0.6 * exponential(&mut rng)).collect();
        let shifted: Vec<f64> = weights.iter().map(|w| w - 4096.0).collect();
        assert_close(pareto_k(&shifted), pareto_k(&weights), 1e-9);
    }

    #[test]
    fn pareto_k_judges_no_weights_it_cannot_fit() {
        assert_eq!(pareto_k(&[]), f64::INFINITY);
        assert_eq!(pareto_k(&[0.0; 20]), f64::INFINITY, "a tail of four");
        assert_eq!(pareto_k(&[f64::NEG_INFINITY; 100]), f64::INFINITY);
        assert_eq!(pareto_k(&[-3.0; 100]), f64::NEG_INFINITY, "equal weights have no tail");
        assert!(pareto_k(&[[0.0; 99].as_slice(), &[f64::NAN]].concat()).is_nan());
        // One draw with all of the weight, and weights hundreds of orders of magnitude apart.
        assert_eq!(pareto_k(&[[0.0; 99].as_slice(), &[9.0]].concat()), f64::INFINITY);
        let steep: Vec<f64> = (0..100).map(|i| -300.0 * i as f64).collect();
        assert_eq!(pareto_k(&steep), f64::INFINITY);
        // Draws that repeat, and draws of no reward, can be fitted.
        let repeated: Vec<f64> = (0..500).map(|i| f64::from(i % 50) / 25.0).collect();
        assert!(pareto_k(&repeated).is_finite());
        let mut rng = stream(4, "pareto", 0);
        let half: Vec<f64> = (0..1000)
            .map(|i| if i % 2 == 0 { f64::NEG_INFINITY } else { 0.3 * exponential(&mut rng) })
            .collect();
        assert!(pareto_k(&half).is_finite());
    }

    /// Target and aggregate of clients whose log-probabilities are wrong by `errors`, and W of Theorem 3.4.
    fn aggregate(targets: &[Vec<f64>], errors: &[Vec<f64>], pool: &[f64]) -> (Vec<f64>, Vec<f64>, f64) {
        let n = targets[0].len();
        let (mut truth, mut found) = (vec![0.0; n], vec![0.0; n]);
        let mut ranges = Vec::new();
        for ((target, error), &weight) in targets.iter().zip(errors).zip(pool) {
            let wrong: Vec<f64> = target.iter().zip(error).map(|(p, e)| p.ln() + e).collect();
            let normaliser = log_sum_exp(&wrong);
            for x in 0..n {
                truth[x] += weight * target[x].ln();
                found[x] += weight * (wrong[x] - normaliser);
            }
            let low = error.iter().copied().fold(f64::INFINITY, f64::min) - normaliser;
            let high = error.iter().copied().fold(f64::NEG_INFINITY, f64::max) - normaliser;
            assert!(low <= 1e-12 && high >= -1e-12, "ratios of two distributions lie around 1");
            ranges.push((weight, low, high));
        }
        (normalise_log_weights(&truth), normalise_log_weights(&found), paper_bound(&ranges))
    }

    #[test]
    fn bounds_hold_for_random_client_errors() {
        let mut rng = stream(5, "bounds", 0);
        let mut tightest = 0f64;
        for _ in 0..20_000 {
            let objects = rng.random_range(2..9);
            let clients = rng.random_range(1..6);
            let targets: Vec<Vec<f64>> =
                (0..clients).map(|_| random_distribution(objects, &mut rng)).collect();
            let size = 10f64.powf(rng.random_range(-3.0..0.7));
            let errors: Vec<Vec<f64>> =
                (0..clients).map(|_| (0..objects).map(|_| rng.random_range(-size..size)).collect()).collect();
            let pool: Vec<f64> = (0..clients).map(|_| rng.random_range(0.1..2.0)).collect();
            let (truth, found, w) = aggregate(&targets, &errors, &pool);
            let divergence = jeffrey(&truth, &found);
            assert!(divergence <= sharp_bound(w) * (1.0 + 1e-9), "{divergence} above {}", sharp_bound(w));
            assert!(sharp_bound(w) <= w);
            let tv = total_variation(&truth, &found);
            assert!(tv <= (w / 4.0).tanh() * (1.0 + 1e-9), "{tv} above tanh(W/4), W = {w}");
            tightest = tightest.max(divergence / sharp_bound(w));
        }
        assert!(tightest > 0.9, "random laws should come close: {tightest}");
    }

    #[test]
    fn bounds_are_attained_by_a_two_point_law() {
        for w in [1e-3, 0.1, 1.0, 4.0, 12.0] {
            // Two clients with half of the error each, on a target of odds exp(W/2).
            let heavy = 1.0 / (1.0 + (-w / 2.0f64).exp());
            let targets = [vec![heavy, 1.0 - heavy], vec![0.5, 0.5]];
            let errors = [vec![-w / 4.0, w / 4.0], vec![-w / 4.0, w / 4.0]];
            let (truth, found, width) = aggregate(&targets, &errors, &[1.0, 1.0]);
            assert_close(width, w, 1e-12);
            assert_close(jeffrey(&truth, &found) / sharp_bound(w), 1.0, 1e-9);
            assert_close(total_variation(&truth, &found), (w / 4.0).tanh(), 1e-12);
        }
    }
}
