//! Elementwise loops over f32, compiled for the widest vectors the processor has and chosen at run time.
//!
//! Only elementwise work is here: no sums are reordered and nothing is fused, so every width gives the same bits.

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
