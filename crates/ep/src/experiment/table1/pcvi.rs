//! The parallel variational baseline of the paper (PCVI): each client fits a product of independent categoricals to its
//! target, the server multiplies them.

use gfn_core::environment::Environment;
use gfn_core::exact::normalise;

use crate::experiment::problem::{Factors, Problem};

/// Steps of the fit.
const STEPS: usize = 600;
/// Peak learning rate; it falls along a half cosine.
const RATE: f64 = 0.1;

/// The objects of a problem as the factors see them.
pub struct MeanField {
    n_features: usize,
    /// log base(x) of every object.
    log_base: Vec<f64>,
    /// Offsets of the objects into `features`.
    offsets: Vec<usize>,
    features: Vec<u32>,
}

impl MeanField {
    /// Reads all objects.
    pub fn new<E: Environment>(problem: &Problem<E>, factors: &Factors<E::State>) -> Self {
        let mut field = MeanField {
            n_features: factors.n_features,
            log_base: Vec::new(),
            offsets: vec![0],
            features: Vec::new(),
        };
        for object in problem.graph.objects() {
            let log_base = (factors.read)(object, &mut field.features);
            field.log_base.push(log_base);
            field.offsets.push(field.features.len());
        }
        field
    }

    fn features(&self, object: usize) -> &[u32] {
        &self.features[self.offsets[object]..self.offsets[object + 1]]
    }

    /// log q of every object: log base(x) + Σ_k η_k, normalised.
    pub fn log_density(&self, eta: &[f64]) -> Vec<f64> {
        let weights: Vec<f64> = (0..self.log_base.len())
            .map(|x| self.log_base[x] + self.features(x).iter().map(|&k| eta[k as usize]).sum::<f64>())
            .collect();
        let (log_z, _) = normalise(&weights);
        weights.iter().map(|w| w - log_z).collect()
    }

    /// The η of least KL(q ‖ π), by Adam (Kingma & Ba 2015) on its exact gradient
    /// ∂KL/∂η_k = Cov_q(f_k, log q − log π), from η = 0.
    pub fn fit(&self, log_target: &[f64]) -> Vec<f64> {
        let mut eta = vec![0.0; self.n_features];
        let (mut first, mut second) = (vec![0.0; self.n_features], vec![0.0; self.n_features]);
        for step in 0..STEPS {
            let log_q = self.log_density(&eta);
            let difference = |x: usize| log_q[x] - log_target[x];
            let mean: f64 = (0..log_q.len()).map(|x| log_q[x].exp() * difference(x)).sum();
            let mut gradient = vec![0.0; self.n_features];
            for x in 0..log_q.len() {
                let slope = log_q[x].exp() * (difference(x) - mean);
                self.features(x).iter().for_each(|&k| gradient[k as usize] += slope);
            }
            let cosine = 0.5 * (1.0 + (std::f64::consts::PI * step as f64 / STEPS as f64).cos());
            let t = step as i32 + 1;
            for k in 0..self.n_features {
                first[k] = 0.9 * first[k] + 0.1 * gradient[k];
                second[k] = 0.99 * second[k] + 0.01 * gradient[k] * gradient[k];
                let (m, v) = (first[k] / (1.0 - 0.9f64.powi(t)), second[k] / (1.0 - 0.99f64.powi(t)));
                eta[k] -= RATE * cosine * m / (v.sqrt() + 1e-12);
            }
        }
        eta
    }
}

/// The server's two readings of "multiplies and renormalises": the product of the clients' densities over objects, and the
/// categoricals multiplied factor by factor. They differ where several draws make the same object.
pub struct Products {
    /// ∝ Π_n q_n(x).
    pub of_densities: Vec<f64>,
    /// The member of the family with η = Σ_n η_n.
    pub of_factors: Vec<f64>,
}

/// Fits all clients and multiplies.
pub fn aggregate<E: Environment>(problem: &Problem<E>, factors: &Factors<E::State>) -> Products {
    let field = MeanField::new(problem, factors);
    let mut eta = vec![0.0; factors.n_features];
    let mut log_product = vec![0.0; problem.target.len()];
    for n in 0..problem.n_clients() {
        let own = field.fit(&problem.client_log_target(n));
        log_product.iter_mut().zip(field.log_density(&own)).for_each(|(sum, l)| *sum += l);
        eta.iter_mut().zip(&own).for_each(|(sum, value)| *sum += value);
    }
    Products {
        of_densities: normalise(&log_product).1,
        of_factors: field.log_density(&eta).iter().map(|l| l.exp()).collect(),
    }
}

#[cfg(test)]
mod tests {
    use gfn_core::metrics::l1;

    use super::*;
    use crate::experiment::problems::{grid, sequences};

    #[test]
    fn a_target_of_the_family_is_found() {
        // Additive log-rewards of sequences are independent positions with an end: every client is in the family.
        let problem = sequences(true, 1.0, 3).unwrap();
        let field = MeanField::new(&problem, problem.factors.as_ref().unwrap());
        let log_target = problem.client_log_target(0);
        let found: Vec<f64> = field.log_density(&field.fit(&log_target)).iter().map(|l| l.exp()).collect();
        let distance = l1(&found, &problem.client_target(0));
        assert!(distance < 1e-3, "{distance}");
    }

    #[test]
    fn the_fit_is_a_minimum() {
        let problem = grid(true).unwrap();
        let field = MeanField::new(&problem, problem.factors.as_ref().unwrap());
        let log_target = problem.client_log_target(1);
        let divergence = |eta: &[f64]| -> f64 {
            let log_q = field.log_density(eta);
            log_q.iter().zip(&log_target).map(|(q, p)| q.exp() * (q - p)).sum()
        };
        let eta = field.fit(&log_target);
        let least = divergence(&eta);
        assert!(least > 1e-3, "a beacon's law is no product: {least}");
        for k in 0..eta.len() {
            for step in [-0.05, 0.05] {
                let mut other = eta.clone();
                other[k] += step;
                assert!(divergence(&other) > least, "feature {k}, {step}");
            }
        }
    }
}
