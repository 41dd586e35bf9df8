//! Transition probabilities along an edge, for every rate category.

use gfn_core::Result;
use nalgebra::{Matrix4, SymmetricEigen, Vector4};
use smallvec::SmallVec;

use super::gamma;
use crate::model::{RateMatrix, SubstitutionModel};

/// Below this value of (largest rate × length) the general model uses a series of positive terms instead of the
/// eigenvectors: every entry then keeps full relative accuracy, however short the edge.
const SERIES_LIMIT: f64 = 0.25;
/// Terms of that series: the first one left out is below 0.25^13 / 13! = 2e-18 of the first.
const SERIES_TERMS: usize = 13;

/// A substitution model made ready: rates normalised to one expected substitution per unit of length, decomposed.
#[derive(Debug, Clone)]
pub struct Process {
    frequencies: [f64; 4],
    kernel: Kernel,
    category_rates: Vec<f64>,
    pinv: f64,
}

#[derive(Debug, Clone)]
enum Kernel {
    JukesCantor,
    /// `beta` is the rate of a transversion to a state of frequency one.
    Hky {
        kappa: f64,
        beta: f64,
    },
    General(Box<Decomposition>),
}

/// A general reversible model: Q normalised, and P(t) = I + left · diag(expm1(eigenvalues t)) · right.
#[derive(Debug, Clone)]
struct Decomposition {
    /// The fastest rate of leaving a state, μ.
    fastest: f64,
    eigenvalues: Vector4<f64>,
    left: Matrix4<f64>,
    right: Matrix4<f64>,
    /// R^k / k! with R = I + Q/μ ≥ 0, μ the fastest rate.
    powers: [Matrix4<f64>; SERIES_TERMS],
}

/// The transition probabilities of one edge, one matrix a rate category; reusable for every edge of that length.
#[derive(Debug, Clone)]
pub struct Transition(pub(super) Categories);

#[derive(Debug, Clone)]
pub(super) enum Categories {
    /// P = same·I + other·J, J all ones: `[same, other]` for each category.
    JukesCantor(SmallVec<[[f64; 2]; 4]>),
    /// Row-major P for each category.
    General(SmallVec<[[f64; 16]; 1]>),
}

impl Transition {
    /// Number of rate categories.
    pub fn n_categories(&self) -> usize {
        match &self.0 {
            Categories::JukesCantor(pairs) => pairs.len(),
            Categories::General(matrices) => matrices.len(),
        }
    }

    /// The matrix of a category: `matrix(c)[i][j]` is the probability of state j at the end of the edge, given i at
    /// its start (states A, C, G, T).
    pub fn matrix(&self, category: usize) -> [[f64; 4]; 4] {
        let mut matrix = [[0.0; 4]; 4];
        for i in 0..4 {
            for j in 0..4 {
                matrix[i][j] = match &self.0 {
                    Categories::JukesCantor(pairs) => {
                        let [same, other] = pairs[category];
                        if i == j { same + other } else { other }
                    }
                    Categories::General(matrices) => matrices[category][4 * i + j],
                };
            }
        }
        matrix
    }
}

impl Process {
    /// Prepares a model.
    ///
    /// With exchangeabilities r and frequencies π, `Q_ij = r_ij π_j / μ` for i ≠ j, where μ makes the expected rate
    /// `-Σ π_i Q_ii` one. Category rates are those of the discrete Gamma distribution divided by (1 - pinv), so that
    /// the expected rate over all sites, invariant ones included, is one.
    ///
    /// # Errors
    /// Empirical frequencies that were not counted yet.
    pub fn new(model: &SubstitutionModel) -> Result<Process> {
        let frequencies = model.frequencies()?;
        let [a, c, g, t] = frequencies;
        let kernel = match model.rate_matrix() {
            RateMatrix::Jc69 => Kernel::JukesCantor,
            RateMatrix::K80 { kappa } | RateMatrix::Hky85 { kappa } => {
                let beta = 0.5 / ((a + g) * (c + t) + kappa * (a * g + c * t));
                Kernel::Hky { kappa, beta }
            }
            RateMatrix::Gtr { rates } => Kernel::General(Box::new(Decomposition::new(rates, frequencies))),
        };
        let mut category_rates = model.gamma().map_or(vec![1.0], |gamma| gamma::category_rates(&gamma));
        category_rates.iter_mut().for_each(|rate| *rate /= 1.0 - model.pinv());
        Ok(Process { frequencies, kernel, category_rates, pinv: model.pinv() })
    }

    /// The stationary distribution (A, C, G, T).
    pub fn frequencies(&self) -> [f64; 4] {
        self.frequencies
    }

    /// The rates of the categories of variable sites, each of probability (1 - pinv) / K.
    pub fn category_rates(&self) -> &[f64] {
        &self.category_rates
    }

    /// The proportion of invariant sites.
    pub fn pinv(&self) -> f64 {
        self.pinv
    }

    /// P(length · rate) of every category: exactly the identity at length 0.
    ///
    /// # Panics
    /// If the length is negative or not finite.
    pub fn transition(&self, length: f64) -> Transition {
        assert!(length.is_finite() && length >= 0.0, "branch length {length} is not a finite number >= 0");
        let times = self.category_rates.iter().map(|rate| rate * length);
        Transition(match &self.kernel {
            Kernel::JukesCantor => Categories::JukesCantor(times.map(jukes_cantor).collect()),
            Kernel::Hky { kappa, beta } => {
                Categories::General(times.map(|time| hky(&self.frequencies, *kappa, beta * time)).collect())
            }
            Kernel::General(general) => {
                Categories::General(times.map(|time| general.transition(time)).collect())
            }
        })
    }
}

/// Jukes & Cantor (1969): `P_ij = (1 - e^{-4t/3}) / 4` for i ≠ j, as `[same, other]` with P = same·I + other·J.
fn jukes_cantor(time: f64) -> [f64; 2] {
    let exponent = -4.0 / 3.0 * time;
    [exponent.exp(), -0.25 * exponent.exp_m1()]
}

/// Hasegawa, Kishino & Yano (1985), with `scaled` = beta · time; K80 is the case of equal frequencies.
///
/// With Π_j the frequency of the purines or pyrimidines, whichever j is one of, `m1 = expm1(-scaled)` and
/// `m2 = expm1(-scaled (1 - Π_j + Π_j kappa))`:
/// identity `1 + π_j (1/Π_j - 1) m1 + (1 - π_j/Π_j) m2`, transition `π_j/Π_j ((1 - Π_j) m1 - m2)`, transversion
/// `-π_j m1`.
fn hky(frequencies: &[f64; 4], kappa: f64, scaled: f64) -> [f64; 16] {
    let group = [frequencies[0] + frequencies[2], frequencies[1] + frequencies[3]];
    let m1 = (-scaled).exp_m1();
    let mut matrix = [0.0; 16];
    for to in 0..4 {
        let frequency = frequencies[to];
        let within = group[to % 2];
        let outside = group[1 - to % 2];
        let m2 = (-scaled * (outside + within * kappa)).exp_m1();
        for from in 0..4 {
            matrix[4 * from + to] = if from == to {
                1.0 + frequency * outside / within * m1 + (within - frequency) / within * m2
            } else if from % 2 == to % 2 {
                (frequency / within * (outside * m1 - m2)).max(0.0)
            } else {
                -frequency * m1
            };
        }
    }
    matrix
}

impl Decomposition {
    /// Normalises the Q of a general reversible model and decomposes its symmetrised form D^½ Q D^-½, D = diag(π).
    fn new(exchangeabilities: [f64; 6], frequencies: [f64; 4]) -> Decomposition {
        let [ac, ag, at, cg, ct, gt] = exchangeabilities;
        let symmetric = [[0.0, ac, ag, at], [ac, 0.0, cg, ct], [ag, cg, 0.0, gt], [at, ct, gt, 0.0]];
        let mut rates = Matrix4::from_fn(|i, j| symmetric[i][j] * frequencies[j]);
        for i in 0..4 {
            rates[(i, i)] = -rates.row(i).sum();
        }
        let scale = -(0..4).map(|i| frequencies[i] * rates[(i, i)]).sum::<f64>();
        rates /= scale;
        let root = frequencies.map(f64::sqrt);
        let symmetrised = Matrix4::from_fn(|i, j| match i == j {
            true => rates[(i, i)],
            false => symmetric[i][j] * root[i] * root[j] / scale,
        });
        let eigen = SymmetricEigen::new(symmetrised);
        let left = Matrix4::from_fn(|i, k| eigen.eigenvectors[(i, k)] / root[i]);
        let right = Matrix4::from_fn(|k, j| eigen.eigenvectors[(j, k)] * root[j]);
        // The stationary direction has the eigenvalue 0 exactly; rounding must not let it grow or decay on long edges.
        let mut eigenvalues = eigen.eigenvalues;
        let stationary = eigenvalues.imax();
        eigenvalues[stationary] = 0.0;
        let fastest = -rates.diagonal().min();
        let step = Matrix4::identity() + rates / fastest;
        let mut term = Matrix4::identity();
        let powers = std::array::from_fn(|k| {
            if k > 0 {
                term = term * step / k as f64;
            }
            term
        });
        Decomposition { fastest, eigenvalues, left, right, powers }
    }

    /// P(time), row-major.
    fn transition(&self, time: f64) -> [f64; 16] {
        let Decomposition { fastest, eigenvalues, left, right, powers } = self;
        let matrix = if fastest * time < SERIES_LIMIT {
            // Uniformisation (Jensen 1953): P = e^{-μt} Σ (μt)^k R^k/k!, all terms positive; from the smallest on.
            let x = fastest * time;
            let (last, rest) = powers.split_last().expect("several terms");
            rest.iter().rev().fold(*last, |sum, power| sum * x + power) * (-x).exp()
        } else {
            let grown = eigenvalues.map(|value| (value * time).exp_m1());
            (Matrix4::identity() + left * Matrix4::from_diagonal(&grown) * right).map(|value| value.max(0.0))
        };
        std::array::from_fn(|entry| matrix[(entry / 4, entry % 4)])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn process(text: &str) -> Process {
        Process::new(&text.parse().unwrap()).unwrap()
    }

    /// exp(Q t) by scaling and squaring of a Taylor series, from the definition of Q alone.
    fn slow(exchangeabilities: [f64; 6], frequencies: [f64; 4], time: f64) -> Matrix4<f64> {
        let [ac, ag, at, cg, ct, gt] = exchangeabilities;
        let r = [[0.0, ac, ag, at], [ac, 0.0, cg, ct], [ag, cg, 0.0, gt], [at, ct, gt, 0.0]];
        let mut q = Matrix4::from_fn(|i, j| r[i][j] * frequencies[j]);
        let mut mean = 0.0;
        for i in 0..4 {
            q[(i, i)] = -q.row(i).sum();
            mean -= frequencies[i] * q[(i, i)];
        }
        let small = q * (time / mean / 4096.0);
        let mut sum = Matrix4::identity();
        let mut term = Matrix4::identity();
        for k in 1..20 {
            term = term * small / f64::from(k);
            sum += term;
        }
        for _ in 0..12 {
            sum = sum * sum;
        }
        sum
    }

    #[test]
    fn all_models_agree_with_the_exponential_of_their_rates() {
        let f = [0.32, 0.21, 0.17, 0.3];
        let cases = [
            ("JC69", [1.0; 6], [0.25; 4]),
            ("K80{4}", [1.0, 4.0, 1.0, 1.0, 4.0, 1.0], [0.25; 4]),
            ("HKY85{2.5}+F{0.32,0.21,0.17,0.3}", [1.0, 2.5, 1.0, 1.0, 2.5, 1.0], f),
            ("GTR{1,2.5,1,1,2.5,1}+F{0.32,0.21,0.17,0.3}", [1.0, 2.5, 1.0, 1.0, 2.5, 1.0], f),
            ("GTR{1.1,3.2,0.7,0.9,4.4,1}+F{0.32,0.21,0.17,0.3}", [1.1, 3.2, 0.7, 0.9, 4.4, 1.0], f),
            ("GTR{1,1,1,1,1,1}+F{0.25,0.25,0.25,0.25}", [1.0; 6], [0.25; 4]),
        ];
        for (text, rates, frequencies) in cases {
            let process = process(text);
            for time in [0.001, 0.1, 0.2, 0.5, 1.0, 5.0, 50.0] {
                let expected = slow(rates, frequencies, time);
                let matrix = process.transition(time).matrix(0);
                for i in 0..4 {
                    for j in 0..4 {
                        let error = (matrix[i][j] - expected[(i, j)]).abs();
                        assert!(error < 1e-12, "{text} t={time} ({i},{j}): {} {error}", matrix[i][j]);
                    }
                }
            }
        }
    }

    #[test]
    fn length_zero_is_exactly_the_identity_and_tiny_lengths_keep_all_digits() {
        for text in
            ["JC69+G4{0.3}", "K80{4}", "HKY85{2.5}+F{0.4,0.3,0.2,0.1}", "GTR{1,2,3,4,5,6}+F{0.4,0.3,0.2,0.1}"]
        {
            let process = process(text);
            for category in 0..process.category_rates().len() {
                let identity = process.transition(0.0).matrix(category);
                // The derivative at 0 is Q: P(1e-200)/1e-200 and P(1e-9)/1e-9 must agree to first order.
                let (tiny, small) =
                    (process.transition(1e-200).matrix(category), process.transition(1e-9).matrix(category));
                for i in 0..4 {
                    for j in 0..4 {
                        assert_eq!(identity[i][j], if i == j { 1.0 } else { 0.0 }, "{text}");
                        if i != j {
                            let ratio = tiny[i][j] / 1e-200 / (small[i][j] / 1e-9);
                            assert!((ratio - 1.0).abs() < 1e-7 && tiny[i][j] > 0.0, "{text} {ratio}");
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn the_expected_rate_is_one_over_all_sites() {
        for text in [
            "JC69",
            "HKY85{9}+F{0.1,0.2,0.3,0.4}+G4{0.3}+I{0.25}",
            "GTR{1,9,3,4,5,6}+F{0.1,0.2,0.3,0.4}+I{0.4}",
        ] {
            let process = process(text);
            let time = 1e-8;
            let transition = process.transition(time);
            let count = process.category_rates().len();
            let mut changed = 0.0;
            for category in 0..count {
                let matrix = transition.matrix(category);
                for i in 0..4 {
                    let off: f64 = (0..4).filter(|&j| j != i).map(|j| matrix[i][j]).sum();
                    changed += (1.0 - process.pinv()) / count as f64 * process.frequencies()[i] * off;
                }
            }
            assert!((changed / time - 1.0).abs() < 1e-6, "{text} {}", changed / time);
        }
    }

    proptest! {
        #[test]
        fn general_matrices_are_stochastic_reversible_and_compose(
            rates in prop::array::uniform6(0.01..20.0f64),
            raw in prop::array::uniform4(0.02..1.0f64),
            s in 0.0..3.0f64,
            t in 0.0..0.2f64,
        ) {
            let sum: f64 = raw.iter().sum();
            let f = raw.map(|value| value / sum);
            let list = |v: &[f64]| v.iter().map(f64::to_string).collect::<Vec<_>>().join(",");
            let process = process(&format!("GTR{{{}}}+F{{{}}}", list(&rates), list(&f)));
            let at = |time| {
                let matrix = process.transition(time).matrix(0);
                Matrix4::from_fn(|i, j| matrix[i][j])
            };
            let (ps, pt, both) = (at(s), at(t), at(s + t));
            prop_assert!((ps * pt - both).abs().max() < 1e-12);
            for i in 0..4 {
                prop_assert!((both.row(i).sum() - 1.0).abs() < 1e-12);
                for j in 0..4 {
                    prop_assert!(both[(i, j)] >= 0.0);
                    prop_assert!((f[i] * both[(i, j)] - f[j] * both[(j, i)]).abs() < 1e-13);
                }
            }
        }
    }
}
