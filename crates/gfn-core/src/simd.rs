//! Loops over numbers, compiled for the widest vectors the processor has and chosen at run time.
//!
//! Work is elementwise, or sums into a fixed number of parts, and nothing is fused: every width gives the same bits.

/// Defines a function whose body is compiled three times, with a run-time choice.
macro_rules! dispatch {
    ($(#[$attribute:meta])* fn $name:ident($($argument:ident: $type:ty),* $(,)?) $body:block) => {
        $(#[$attribute])*
        #[allow(clippy::too_many_arguments)] // arrays that go in step
        pub(crate) fn $name($($argument: $type),*) {
            #[inline(always)]
            fn body($($argument: $type),*) $body
            #[cfg(target_arch = "x86_64")]
            {
                #[target_feature(enable = "avx512f")]
                fn wide($($argument: $type),*) { body($($argument),*) }
                #[target_feature(enable = "avx2")]
                fn middle($($argument: $type),*) { body($($argument),*) }
                if is_x86_feature_detected!("avx512f") {
                    // SAFETY: the processor has the feature.
                    return unsafe { wide($($argument),*) };
                }
                if is_x86_feature_detected!("avx2") {
                    // SAFETY: the processor has the feature.
                    return unsafe { middle($($argument),*) };
                }
            }
            body($($argument),*)
        }
    };
}

dispatch! {
    /// `target += Σ_f weights[f]`, weights in rows as wide as the target.
    fn sum_rows(target: &mut [f32], weights: &[f32], features: &[u32]) {
        let width = target.len();
        for &feature in features {
            let row = &weights[feature as usize * width..][..width];
            target.iter_mut().zip(row).for_each(|(t, w)| *t += w);
        }
    }
}

dispatch! {
    /// `weights[f] += gradient` for every feature f.
    fn add_to_rows(weights: &mut [f32], gradient: &[f32], features: &[u32]) {
        let width = gradient.len();
        for &feature in features {
            let row = &mut weights[feature as usize * width..][..width];
            row.iter_mut().zip(gradient).for_each(|(w, g)| *w += g);
        }
    }
}

dispatch! {
    /// Adds every row of `rows`, as wide as the target.
    fn add_rows(target: &mut [f32], rows: &[f32]) {
        for row in rows.chunks_exact(target.len().max(1)) {
            target.iter_mut().zip(row).for_each(|(t, r)| *t += r);
        }
    }
}

dispatch! {
    /// The largest number (−∞ of none); NaN are passed over.
    fn largest(result: &mut f64, values: &[f64]) {
        let mut lanes = [f64::NEG_INFINITY; 8];
        let chunks = values.chunks_exact(8);
        let rest = chunks.remainder();
        let keep = |(lane, &value): (&mut f64, &f64)| *lane = if value > *lane { value } else { *lane };
        chunks.for_each(|chunk| lanes.iter_mut().zip(chunk).for_each(keep));
        lanes.iter_mut().zip(rest).for_each(keep);
        *result = lanes.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    }
}

dispatch! {
    /// `sum ← Σ exp(x − shift)`: value i goes to partial sum i mod 8, on any processor.
    fn sum_exponentials(sum: &mut f64, values: &[f64], shift: f64) {
        let mut lanes = [0.0; 8];
        let chunks = values.chunks_exact(8);
        let rest = chunks.remainder();
        let add = |(lane, &value): (&mut f64, &f64)| *lane += exponential(value - shift);
        chunks.for_each(|chunk| lanes.iter_mut().zip(chunk).for_each(add));
        lanes.iter_mut().zip(rest).for_each(add);
        *sum = lanes.iter().sum();
    }
}

dispatch! {
    /// `x ← exp(x)`.
    fn exponentiate_all(values: &mut [f64]) {
        values.iter_mut().for_each(|value| *value = exponential(*value));
    }
}

dispatch! {
    /// `target ← target − factor · values`.
    fn subtract_multiple(target: &mut [f64], values: &[f64], factor: f64) {
        target.iter_mut().zip(values).for_each(|(t, v)| *t -= factor * v);
    }
}

dispatch! {
    /// `target ← target − factor · exp(log)`.
    fn subtract_exponentials(target: &mut [f64], logs: &[f64], factor: f64) {
        target.iter_mut().zip(logs).for_each(|(t, &log)| *t -= factor * exponential(log));
    }
}

/// exp(x) for x ≤ 700, without branches, so that loops over it become vector code: x = k ln 2 + r with |r| ≤ ½ ln 2
/// (Cody & Waite 1980), e^r by its Taylor series to r¹³, 2^k put together from bits. Relative error below 4e-16; exactly
/// 0 below −708, where the result would be subnormal.
#[inline(always)]
fn exponential(x: f64) -> f64 {
    /// Adding it rounds to whole numbers, which are then in the lowest bits.
    const ROUND: f64 = 6_755_399_441_055_744.0;
    /// ln 2 in two parts; products of the first with whole numbers below 2^20 are exact.
    const LN_2: (f64, f64) = (0.693_147_180_369_123_8, 1.908_214_929_270_587_7e-10);
    let shifted = x.max(-709.0) * std::f64::consts::LOG2_E + ROUND;
    let k = shifted - ROUND;
    let r = (x - k * LN_2.0) - k * LN_2.1;
    let mut series = 1.0 / 6_227_020_800.0;
    for factorial in [
        479_001_600.0,
        39_916_800.0,
        3_628_800.0,
        362_880.0,
        40_320.0,
        5_040.0,
        720.0,
        120.0,
        24.0,
        6.0,
        2.0,
        1.0,
        1.0,
    ] {
        series = series * r + 1.0 / factorial;
    }
    let power = f64::from_bits(shifted.to_bits().wrapping_add(1023) << 52);
    let value = series * power;
    if x < -708.0 { 0.0 } else { value }
}

dispatch! {
    /// Adds the squares of the values to 16 partial sums: value i to number i mod 16, on any processor.
    fn add_squares(sums: &mut [f64; 16], values: &[f32]) {
        let chunks = values.chunks_exact(16);
        let rest = chunks.remainder();
        for chunk in chunks {
            sums.iter_mut().zip(chunk).for_each(|(s, &v)| *s += f64::from(v) * f64::from(v));
        }
        sums.iter_mut().zip(rest).for_each(|(s, &v)| *s += f64::from(v) * f64::from(v));
    }
}

dispatch! {
    /// x ← max(x, 0.01 x).
    fn leaky_relu(values: &mut [f32]) {
        values.iter_mut().for_each(|v| *v *= if *v > 0.0 { 1.0 } else { 0.01 });
    }
}

dispatch! {
    /// [`leaky_relu`], and its derivatives.
    fn leaky_relu_with_slopes(values: &mut [f32], slopes: &mut [f32]) {
        for (v, slope) in values.iter_mut().zip(slopes) {
            *slope = if *v > 0.0 { 1.0 } else { 0.01 };
            *v *= *slope;
        }
    }
}

dispatch! {
    /// `values ← values · factors`, one by one.
    fn multiply(values: &mut [f32], factors: &[f32]) {
        values.iter_mut().zip(factors).for_each(|(v, f)| *v *= f);
    }
}

dispatch! {
    /// x ← x (1 + x / √(1 + x²)) / 2.
    fn smooth(values: &mut [f32]) {
        // The same operations as below, so that a pass gives the same bits with and without slopes.
        for v in values {
            let inverse = 1.0 / (1.0 + *v * *v).sqrt();
            *v = 0.5 * *v * (1.0 + *v * inverse);
        }
    }
}

dispatch! {
    /// [`smooth`], and its derivatives.
    fn smooth_with_slopes(values: &mut [f32], slopes: &mut [f32]) {
        for (v, slope) in values.iter_mut().zip(slopes) {
            let inverse = 1.0 / (1.0 + *v * *v).sqrt();
            let sigmoid = *v * inverse;
            *slope = 0.5 * (1.0 + sigmoid + sigmoid * inverse * inverse);
            *v = 0.5 * *v * (1.0 + sigmoid);
        }
    }
}

dispatch! {
    /// One Adam update (Kingma & Ba 2015): `rate` already holds the bias corrections, `scale` the clipping factor.
    fn adam_update(
        values: &mut [f32],
        gradient: &[f32],
        first: &mut [f32],
        second: &mut [f32],
        decay: (f32, f32),
        scale: f32,
        rate: f32,
        epsilon: f32,
    ) {
        let (keep_first, keep_second) = decay;
        let moments = first.iter_mut().zip(second.iter_mut());
        for ((value, gradient), (m, v)) in values.iter_mut().zip(gradient).zip(moments) {
            let g = gradient * scale;
            *m = keep_first * *m + (1.0 - keep_first) * g;
            *v = keep_second * *v + (1.0 - keep_second) * g * g;
            *value -= rate * *m / (v.sqrt() + epsilon);
        }
    }
}

dispatch! {
    /// `average ← decay · average + (1 − decay) · values`.
    fn move_average(average: &mut [f32], values: &[f32], decay: f32) {
        average.iter_mut().zip(values).for_each(|(a, v)| *a = decay * *a + (1.0 - decay) * v);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exponentials_agree_with_the_library() {
        let mut worst: f64 = 0.0;
        for i in 0..400_000 {
            let x = -707.9 + 715.0 * f64::from(i) / 400_000.0;
            let error = (exponential(x) - x.exp()).abs() / x.exp();
            worst = worst.max(error);
        }
        assert!(worst < 4.5e-16, "{worst}");
        assert_eq!(exponential(0.0), 1.0);
        assert_eq!(exponential(f64::NEG_INFINITY), 0.0);
        assert_eq!(exponential(-1e300), 0.0);
        assert!(exponential(f64::NAN).is_nan());
    }

    #[test]
    fn loops_agree_with_plain_ones_at_every_length() {
        for n in 0..35 {
            let values: Vec<f64> = (0..n).map(|i| f64::from((i * 37) % 23) / 7.0 - 3.0).collect();
            let mut found = f64::NAN;
            largest(&mut found, &values);
            assert_eq!(found, values.iter().copied().fold(f64::NEG_INFINITY, f64::max));
            let mut sum = f64::NAN;
            sum_exponentials(&mut sum, &values, 0.5);
            let expected: f64 = values.iter().map(|v| (v - 0.5).exp()).sum();
            assert!((sum - expected).abs() <= 1e-15 * expected * 10.0, "{sum} against {expected}");
            let (mut powers, mut rest) = (values.clone(), vec![1.0; values.len()]);
            exponentiate_all(&mut powers);
            let mut multiples = values.clone();
            subtract_multiple(&mut multiples, &values, 3.0);
            assert!(multiples.iter().zip(&values).all(|(m, v)| (m + 2.0 * v).abs() < 1e-14));
            subtract_exponentials(&mut rest, &values, 2.0);
            for ((power, rest), value) in powers.iter().zip(&rest).zip(&values) {
                assert!((power - value.exp()).abs() < 1e-15 * power.max(1.0) * 2.0);
                assert!((rest - (1.0 - 2.0 * value.exp())).abs() < 1e-13);
            }
        }
        let mut found = 0.0;
        largest(&mut found, &[f64::NAN, -2.0, f64::NAN]);
        assert_eq!(found, -2.0);
    }

    #[test]
    fn rows_are_added_up() {
        let mut target = vec![1.0, 2.0, 3.0];
        add_rows(&mut target, &[1.0, 0.0, -1.0, 0.5, 0.5, 0.5]);
        assert_eq!(target, [2.5, 2.5, 2.5]);
        add_rows(&mut [], &[]);
    }
}
