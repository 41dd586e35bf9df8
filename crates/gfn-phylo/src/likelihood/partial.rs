//! Conditional likelihoods of a rooted subtree, scaled so that they never underflow.

use super::kernels::{Inner, Leaf};

/// A pattern is rescaled when its largest value falls below this, 2^-256.
pub(super) const SCALING_THRESHOLD: f64 = f64::from_bits((1023 - 256) << 52);

/// The conditional likelihood vector of a rooted subtree: for every rate category, state and pattern the probability
/// of the subtree's leaves, given that state at its root (Felsenstein 1981).
///
/// Stored as `values[category][state][pattern]`, patterns padded to a multiple of eight; the true value is
/// `value · 2^exponent` with one whole exponent for each category and pattern. Of a leaf only the sets of states are
/// stored, the same for all categories.
///
/// The four states of a pattern share their exponent, as in every program that scales by pattern. A state that is less
/// than 2^-1022 times as likely as the best one is lost; that takes dozens of leaves on one node (or on nodes joined
/// by edges of length 0) with very short edges, and matters only if as many others contradict them there.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Partial {
    /// Of an inner node.
    pub(super) values: Vec<f64>,
    /// Of a leaf: the states of each pattern, one bit each.
    pub(super) sets: Vec<u8>,
    /// Empty while all exponents are 0.
    pub(super) exponents: Vec<i32>,
    pub(super) padded: usize,
}

impl Partial {
    /// A leaf with these sets of states, padded.
    pub(super) fn leaf(sets: Vec<u8>) -> Partial {
        Partial { padded: sets.len(), sets, ..Partial::default() }
    }

    /// Size in memory.
    pub fn bytes(&self) -> usize {
        std::mem::size_of::<Partial>()
            + std::mem::size_of_val(self.values.as_slice())
            + std::mem::size_of_val(self.sets.as_slice())
            + std::mem::size_of_val(self.exponents.as_slice())
    }

    /// Whether it is a leaf.
    pub(super) fn is_leaf(&self) -> bool {
        self.values.is_empty()
    }

    /// The sets of a leaf.
    pub(super) fn as_leaf(&self) -> Leaf<'_> {
        Leaf(&self.sets)
    }

    /// The four states of a category of an inner node.
    pub(super) fn as_inner(&self, category: usize) -> Inner<'_> {
        let size = 4 * self.padded;
        Inner(&self.values[category * size..(category + 1) * size])
    }

    /// The exponents of a category, `None` where all are 0.
    pub(super) fn exponents(&self, category: usize) -> Option<&[i32]> {
        if self.exponents.is_empty() {
            return None;
        }
        Some(&self.exponents[category * self.padded..(category + 1) * self.padded])
    }

    /// Brings every pattern of every category whose largest value is below the threshold back to [1, 2) by a power of
    /// two, a subnormal one at least to 2^-52. Patterns that are exactly 0 stay 0.
    #[cold]
    pub(super) fn rescale(&mut self) {
        let padded = self.padded;
        let n_categories = self.values.len() / (4 * padded);
        self.exponents.resize(n_categories * padded, 0);
        for category in 0..n_categories {
            let block = &mut self.values[4 * padded * category..4 * padded * (category + 1)];
            for pattern in 0..padded {
                let mut highest = (0..4).map(|state| block[state * padded + pattern]).fold(0.0, f64::max);
                while highest > 0.0 && highest < SCALING_THRESHOLD {
                    let bits = (highest.to_bits() >> 52) as i32;
                    let exponent = if bits == 0 { -1022 } else { bits - 1023 };
                    let factor = f64::from_bits(((1023 - exponent).min(2046) as u64) << 52);
                    for state in 0..4 {
                        block[state * padded + pattern] *= factor;
                    }
                    self.exponents[category * padded + pattern] += exponent;
                    highest *= factor;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rescaling_is_exact_and_leaves_zero_alone() {
        let mut values = vec![0.0; 32];
        let given =
            [1.0, 1e-100, f64::MIN_POSITIVE, 1e-310, f64::from_bits(1), 0.0, SCALING_THRESHOLD, 3e-78];
        for (pattern, value) in given.iter().enumerate() {
            values[8 + pattern] = *value;
        }
        let mut partial = Partial { values, padded: 8, ..Partial::default() };
        partial.rescale();
        for (pattern, value) in given.iter().enumerate() {
            let (scaled, exponent) = (partial.values[8 + pattern], partial.exponents[pattern]);
            let back = scaled * 2f64.powi(exponent / 2) * 2f64.powi(exponent - exponent / 2);
            assert_eq!(back, *value);
            assert!(*value == 0.0 || scaled >= SCALING_THRESHOLD, "{value} {scaled}");
            let scales = *value >= f64::MIN_POSITIVE && *value < SCALING_THRESHOLD;
            assert!(!scales || (1.0..2.0).contains(&scaled), "{value} {scaled}");
            assert!(*value < SCALING_THRESHOLD || exponent == 0);
        }
    }
}
