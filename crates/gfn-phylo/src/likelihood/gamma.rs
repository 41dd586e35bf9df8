//! Rates of the categories of the discrete Gamma distribution.

use statrs::function::gamma::gamma_lr;

use crate::model::{CategoryRates, DiscreteGamma};

/// The rates of `K` equally probable categories of a Gamma distribution of shape alpha and mean one, ascending; their
/// mean is one.
///
/// Yang, *Journal of Molecular Evolution* 39 (1994): with boundaries `b_i` at the quantiles `i/K`, the mean of a
/// category is `K (P(alpha + 1, alpha b_{i+1}) - P(alpha + 1, alpha b_i))`, where P is the regularised lower
/// incomplete Gamma function; the median is the quantile `(2i + 1)/2K`, and the medians are rescaled to mean one.
pub fn category_rates(gamma: &DiscreteGamma) -> Vec<f64> {
    let DiscreteGamma { alpha, categories, category_rates } = *gamma;
    let count = categories as f64;
    let mut rates: Vec<f64> = match category_rates {
        CategoryRates::Mean => {
            let below: Vec<f64> = (0..=categories)
                .map(|boundary| match boundary {
                    0 => 0.0,
                    _ if boundary == categories => 1.0,
                    _ => lower(alpha + 1.0, quantile(alpha, boundary as f64 / count)),
                })
                .collect();
            below.windows(2).map(|pair| count * (pair[1] - pair[0])).collect()
        }
        CategoryRates::Median => {
            (0..categories).map(|i| quantile(alpha, (2 * i + 1) as f64 / (2.0 * count))).collect()
        }
    };
    let mean = rates.iter().sum::<f64>() / count;
    rates.iter_mut().for_each(|rate| *rate /= mean);
    rates
}

/// The regularised lower incomplete Gamma function, 0 at 0.
fn lower(shape: f64, x: f64) -> f64 {
    if x > 0.0 { gamma_lr(shape, x) } else { 0.0 }
}

/// The point below which a Gamma variable of this shape and scale one lies with the given probability.
///
/// Bisection on a logarithmic scale down to neighbouring numbers; a quantile below the smallest number is 0.
fn quantile(shape: f64, probability: f64) -> f64 {
    let (mut low, mut high) = (-745.0, (shape + 50.0 * (shape.sqrt() + 1.0)).ln());
    for _ in 0..100 {
        let middle = 0.5 * (low + high);
        if lower(shape, f64::exp(middle)) < probability {
            low = middle;
        } else {
            high = middle;
        }
    }
    if low == -745.0 { 0.0 } else { f64::exp(0.5 * (low + high)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rates(alpha: f64, categories: usize, category_rates: CategoryRates) -> Vec<f64> {
        super::category_rates(&DiscreteGamma { alpha, categories, category_rates })
    }

    #[test]
    fn exponential_rates_have_a_closed_form() {
        // alpha = 1: boundaries -ln(1 - i/K); mean of a category K [-(1 + x) e^-x] between them.
        let boundary = |i: f64| -(1.0 - i / 4.0f64).ln();
        let primitive = |x: f64| -(1.0 + x) * (-x).exp();
        let mean = rates(1.0, 4, CategoryRates::Mean);
        for i in 0..3 {
            let expected = 4.0 * (primitive(boundary(i as f64 + 1.0)) - primitive(boundary(i as f64)));
            assert!((mean[i] - expected).abs() < 1e-13, "{} {expected}", mean[i]);
        }
        let median = rates(1.0, 3, CategoryRates::Median);
        let raw = [1.0, 3.0, 5.0].map(|i| -(1.0 - i / 6.0f64).ln());
        let scale = 3.0 / raw.iter().sum::<f64>();
        for i in 0..3 {
            assert!((median[i] - scale * raw[i]).abs() < 1e-13);
        }
    }

    #[test]
    fn extreme_shapes_stay_finite() {
        for alpha in [1e-4, 0.01, 0.1, 1.0, 100.0, 1e4] {
            for kind in [CategoryRates::Mean, CategoryRates::Median] {
                let rates = rates(alpha, 4, kind);
                if kind == CategoryRates::Median && alpha < 0.01 {
                    continue; // every median but the last underflows, see the next test
                }
                assert!((rates.iter().sum::<f64>() / 4.0 - 1.0).abs() < 1e-12, "{alpha} {rates:?}");
                assert!(rates.windows(2).all(|pair| pair[0] <= pair[1] && pair[0] >= 0.0), "{rates:?}");
            }
        }
    }
}
