//! Sums and normalisations in log space, in f64.

use crate::simd::{exponentiate_all, largest, subtract_exponentials, sum_exponentials};

/// `log Σ exp(x_i)` (natural log), accurate for any finite offsets; `-inf` for an empty or all `-inf` slice.
pub fn log_sum_exp(values: &[f64]) -> f64 {
    let (mut top, mut sum) = (f64::NEG_INFINITY, 0.0);
    largest(&mut top, values);
    if !top.is_finite() {
        return top;
    }
    sum_exponentials(&mut sum, values, top);
    top + sum.ln()
}

/// Replaces logits by log-probabilities: `x_i ← x_i − log Σ_j exp(x_j)`.
///
/// Legal actions only are in the slice, so nothing is masked here: an illegal action has no entry at all.
pub fn log_softmax_in_place(logits: &mut [f64]) {
    let normaliser = log_sum_exp(logits);
    for value in logits {
        *value -= normaliser;
    }
}

/// Adds to `gradient` the derivative with respect to the logits of `Σ_k g_k log p_{a_k}`, where `total = Σ_k g_k`
/// and the direct terms `g_k` have been added to `gradient[a_k]` by the caller: subtracts `total · p`.
pub fn subtract_softmax_term(gradient: &mut [f64], log_probabilities: &[f64], total: f64) {
    if total == 0.0 {
        return;
    }
    subtract_exponentials(gradient, log_probabilities, total);
}

/// Shifts numbers so that the largest is 0; for short lists, which a call of vector code would not pay for.
pub(crate) fn subtract_largest(values: &mut [f64]) {
    let top = values.iter().copied().fold(f64::NEG_INFINITY, |top, v| if v > top { v } else { top });
    values.iter_mut().for_each(|v| *v -= top);
}

/// Appends the softmax of each row of logits, and its logs; rows lie between consecutive offsets, which count from the first
/// one. The exponentials of all rows are computed in one go, as rows are short.
pub(crate) fn append_softmax(
    logits: &[f64],
    offsets: &[usize],
    probabilities: &mut Vec<f64>,
    log_probabilities: &mut Vec<f64>,
) {
    let (start, log_start) = (probabilities.len(), log_probabilities.len());
    let rows = || offsets.windows(2).map(|row| row[0] - offsets[0]..row[1] - offsets[0]);
    log_probabilities.extend_from_slice(logits);
    let log_p = &mut log_probabilities[log_start..];
    for row in rows() {
        subtract_largest(&mut log_p[row]);
    }
    probabilities.extend_from_slice(log_p);
    let p = &mut probabilities[start..];
    exponentiate_all(p);
    for row in rows() {
        let own = &mut p[row.clone()];
        let sum: f64 = own.iter().sum();
        let (factor, normaliser) = (1.0 / sum, sum.ln());
        own.iter_mut().for_each(|p| *p *= factor);
        log_p[row].iter_mut().for_each(|l| *l -= normaliser);
    }
}

/// Normalised probabilities of unnormalised log-weights.
pub fn normalise_log_weights(log_weights: &[f64]) -> Vec<f64> {
    let normaliser = log_sum_exp(log_weights);
    log_weights.iter().map(|w| (w - normaliser).exp()).collect()
}

/// Mean and standard deviation (divisor n − 1; 0 for fewer than two values).
pub fn mean_and_deviation(values: &[f64]) -> (f64, f64) {
    let n = values.len() as f64;
    if values.is_empty() {
        return (0.0, 0.0);
    }
    let mean = values.iter().sum::<f64>() / n;
    if values.len() < 2 {
        return (mean, 0.0);
    }
    let squares: f64 = values.iter().map(|v| (v - mean) * (v - mean)).sum();
    (mean, (squares / (n - 1.0)).sqrt())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn log_sum_exp_survives_large_offsets_and_empty_input() {
        assert!((log_sum_exp(&[-1e4, -1e4]) - (-1e4 + 2f64.ln())).abs() < 1e-12);
        assert_eq!(log_sum_exp(&[]), f64::NEG_INFINITY);
        assert_eq!(log_sum_exp(&[f64::NEG_INFINITY, f64::NEG_INFINITY]), f64::NEG_INFINITY);
        assert_eq!(log_sum_exp(&[f64::NEG_INFINITY, 3.0]), 3.0);
    }

    #[test]
    fn appended_softmax_agrees_with_log_softmax() {
        let logits: Vec<f64> = (0..21).map(|i| f64::from((i * 13) % 11) - 700.0 * f64::from(i % 2)).collect();
        let (mut p, mut log_p) = (vec![7.0], vec![7.0]);
        // Rows of 3, none, 1 and 17.
        let offsets = [5, 8, 8, 9, 26];
        append_softmax(&logits, &offsets, &mut p, &mut log_p);
        let mut expected = logits.clone();
        for row in offsets.windows(2) {
            log_softmax_in_place(&mut expected[row[0] - 5..row[1] - 5]);
        }
        assert_eq!((p.len(), log_p.len(), p[0], log_p[0]), (22, 22, 7.0, 7.0));
        for (i, expected) in expected.iter().enumerate() {
            assert!((log_p[i + 1] - expected).abs() < 1e-12 && (p[i + 1] - expected.exp()).abs() < 1e-15);
        }
        assert!((p[1..].iter().sum::<f64>() - 3.0).abs() < 1e-14);
    }

    #[test]
    fn softmax_derivative_agrees_with_central_differences() {
        let logits = [0.3, -1.2, 2.0, 0.7];
        let weights = [0.5, 0.0, -1.5, 2.5];
        let value = |x: &[f64]| {
            let mut p = x.to_vec();
            log_softmax_in_place(&mut p);
            p.iter().zip(&weights).map(|(p, w)| p * w).sum::<f64>()
        };
        let mut log_p = logits.to_vec();
        log_softmax_in_place(&mut log_p);
        let mut gradient = weights.to_vec();
        subtract_softmax_term(&mut gradient, &log_p, weights.iter().sum());
        for i in 0..4 {
            let (mut up, mut down) = (logits, logits);
            up[i] += 1e-6;
            down[i] -= 1e-6;
            let numeric = (value(&up) - value(&down)) / 2e-6;
            assert!((numeric - gradient[i]).abs() < 1e-8, "{i}: {numeric} against {}", gradient[i]);
        }
    }
}
