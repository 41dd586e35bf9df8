//! Adam with gradient clipping, learning-rate schedules, and a rate of its own for log Z.

use serde::{Deserialize, Serialize};

use crate::simd::{adam_update, add_squares};

/// Settings of [`Adam`].
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AdamSettings {
    /// Peak learning rate.
    pub rate: f64,
    /// The rate falls along a half cosine to this fraction of the peak.
    pub final_fraction: f64,
    /// Steps over which the rate rises linearly from 0.
    pub warmup_steps: u64,
    /// Decay of the first moment.
    pub beta1: f64,
    /// Decay of the second moment.
    pub beta2: f64,
    /// Largest Euclidean norm of the whole gradient.
    pub clip_norm: Option<f64>,
    /// Learning rate of log Z (trajectory balance only).
    pub log_z_rate: f64,
}

impl Default for AdamSettings {
    fn default() -> Self {
        AdamSettings {
            rate: 4e-3,
            final_fraction: 0.01,
            warmup_steps: 0,
            beta1: 0.9,
            beta2: 0.999,
            clip_norm: Some(1.0),
            log_z_rate: 0.1,
        }
    }
}

impl AdamSettings {
    /// Factor on the peak rates at `step`, with `progress` in 0..=1 through the budget: cosine decay after warm-up.
    pub fn schedule(&self, step: u64, progress: f64) -> f64 {
        let cosine = 0.5 * (1.0 + (std::f64::consts::PI * progress.clamp(0.0, 1.0)).cos());
        let decay = self.final_fraction + (1.0 - self.final_fraction) * cosine;
        if step < self.warmup_steps { decay * (step + 1) as f64 / self.warmup_steps as f64 } else { decay }
    }
}

/// Adam (Kingma & Ba 2015) over a list of parameter arrays, and one number in f64, log Z.
#[derive(Debug, Clone, Default)]
pub struct Adam {
    /// Updates made so far.
    pub updates: u64,
    /// First moments, one array per parameter.
    pub first: Vec<Vec<f32>>,
    /// Second moments.
    pub second: Vec<Vec<f32>>,
    /// First and second moment of log Z.
    pub log_z: (f64, f64),
}

const EPSILON: f64 = 1e-8;

impl Adam {
    /// One update. `factor` is that of the schedule, `norm` the gradient's, see [`gradient_norm`].
    pub fn update(
        &mut self,
        settings: &AdamSettings,
        factor: f64,
        parameters: Vec<&mut Vec<f32>>,
        gradients: &[Vec<f32>],
        norm: f64,
        log_z: Option<(&mut f64, f64)>,
    ) {
        self.updates += 1;
        self.first.resize(parameters.len(), Vec::new());
        self.second.resize(parameters.len(), Vec::new());
        let scale = match settings.clip_norm {
            Some(limit) if norm > limit => limit / norm,
            _ => 1.0,
        };
        let corrections = (
            1.0 - settings.beta1.powi(self.updates.min(1 << 30) as i32),
            (1.0 - settings.beta2.powi(self.updates.min(1 << 30) as i32)).sqrt(),
        );
        let rate = settings.rate * factor * corrections.1 / corrections.0;
        for (p, (values, gradient)) in parameters.into_iter().zip(gradients).enumerate() {
            // Tables grow: new entries start with zero moments.
            self.first[p].resize(values.len(), 0.0);
            self.second[p].resize(values.len(), 0.0);
            adam_update(
                values,
                gradient,
                &mut self.first[p],
                &mut self.second[p],
                (settings.beta1 as f32, settings.beta2 as f32),
                scale as f32,
                rate as f32,
                (EPSILON * corrections.1) as f32,
            );
        }
        if let Some((value, gradient)) = log_z {
            let (m, v) = &mut self.log_z;
            *m = settings.beta1 * *m + (1.0 - settings.beta1) * gradient;
            *v = settings.beta2 * *v + (1.0 - settings.beta2) * gradient * gradient;
            let rate = settings.log_z_rate * factor * corrections.1 / corrections.0;
            *value -= rate * *m / (v.sqrt() + EPSILON * corrections.1);
        }
    }
}

/// Euclidean norm over all arrays. A number that is not finite makes it not finite, and nothing else does: squares of
/// f32 do not overflow f64.
pub fn gradient_norm(gradients: &[Vec<f32>]) -> f64 {
    let mut sums = [0.0; 16];
    gradients.iter().for_each(|values| add_squares(&mut sums, values));
    sums.iter().sum::<f64>().sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn adam_agrees_with_its_definition() {
        let settings = AdamSettings { clip_norm: None, ..AdamSettings::default() };
        let mut adam = Adam::default();
        let mut values = vec![1.0f32, -2.0];
        let (mut x, mut m, mut v) = ([1.0f64, -2.0], [0.0; 2], [0.0; 2]);
        for t in 1..=50 {
            let gradient: Vec<f32> = values.iter().map(|v| 2.0 * v + 0.5).collect();
            for i in 0..2 {
                let g = f64::from(gradient[i]);
                m[i] = 0.9 * m[i] + 0.1 * g;
                v[i] = 0.999 * v[i] + 0.001 * g * g;
                let (m_hat, v_hat) = (m[i] / (1.0 - 0.9f64.powi(t)), v[i] / (1.0 - 0.999f64.powi(t)));
                x[i] -= 4e-3 * m_hat / (v_hat.sqrt() + EPSILON);
            }
            adam.update(&settings, 1.0, vec![&mut values], &[gradient], 1.0, None);
        }
        for i in 0..2 {
            assert!((f64::from(values[i]) - x[i]).abs() < 1e-4, "{} against {}", values[i], x[i]);
        }
    }

    #[test]
    fn clipping_limits_the_norm_and_the_schedule_ends_at_its_fraction() {
        let settings = AdamSettings::default();
        let mut adam = Adam::default();
        let mut values = vec![0.0f32; 2];
        let gradient = [vec![30.0, 40.0]];
        let norm = gradient_norm(&gradient);
        assert!((norm - 50.0).abs() < 1e-12);
        adam.update(&settings, 1.0, vec![&mut values], &gradient, norm, None);
        assert!((adam.first[0][0] - 0.1 * 0.6).abs() < 1e-6 && (adam.first[0][1] - 0.1 * 0.8).abs() < 1e-6);
        assert!((settings.schedule(0, 0.0) - 1.0).abs() < 1e-12);
        assert!((settings.schedule(9, 1.0) - 0.01).abs() < 1e-12);
        let warm = AdamSettings { warmup_steps: 10, ..settings };
        assert!((warm.schedule(4, 0.0) - 0.5).abs() < 1e-12);
    }

    #[test]
    fn the_norm_counts_every_number_and_shows_what_is_not_finite() {
        let arrays: Vec<Vec<f32>> = [0, 1, 15, 16, 17, 100].map(|n| vec![2.0; n]).into();
        assert!((gradient_norm(&arrays) - f64::sqrt(4.0 * 149.0)).abs() < 1e-12);
        assert!(gradient_norm(&[vec![f32::MAX; 50]]).is_finite());
        for (position, bad) in [(0, f32::NAN), (20, f32::INFINITY), (32, f32::NEG_INFINITY)] {
            let mut values = vec![1.0; 33];
            values[position] = bad;
            assert!(!gradient_norm(&[vec![0.5; 3], values]).is_finite());
        }
    }
}
