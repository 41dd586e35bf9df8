//! What sequences have in common, position by position: frequencies of letters, consensus, information.

use crate::environment::Sequence;

/// Frequencies of tokens at each position.
#[derive(Debug, Clone, PartialEq)]
pub struct Profile {
    alphabet_size: usize,
    /// At `position · V + token`, as a share of all sequences; what is missing to 1 is that of shorter ones.
    frequencies: Vec<f64>,
}

impl Profile {
    /// The profile of sequences of up to `max_length` letters with weights (any positive scale), one for each.
    pub fn of<'a>(
        alphabet_size: usize,
        max_length: usize,
        weighted: impl IntoIterator<Item = (&'a Sequence, f64)>,
    ) -> Self {
        let mut frequencies = vec![0.0; max_length * alphabet_size];
        let mut total = 0.0;
        for (sequence, weight) in weighted {
            total += weight;
            for (position, &token) in sequence.tokens().iter().enumerate() {
                frequencies[position * alphabet_size + usize::from(token)] += weight;
            }
        }
        frequencies.iter_mut().for_each(|f| *f /= total);
        Profile { alphabet_size, frequencies }
    }

    /// Number of positions, L.
    pub fn n_positions(&self) -> usize {
        self.frequencies.len() / self.alphabet_size
    }

    /// Frequencies of the tokens at a position (from 0), as shares of all sequences.
    pub fn row(&self, position: usize) -> &[f64] {
        &self.frequencies[position * self.alphabet_size..(position + 1) * self.alphabet_size]
    }

    /// Share of the sequences that reach a position.
    pub fn reach(&self, position: usize) -> f64 {
        self.row(position).iter().sum()
    }

    /// The most frequent token of a position (the first of equals).
    pub fn consensus(&self, position: usize) -> u8 {
        let row = self.row(position);
        (1..row.len()).fold(0, |best, token| if row[token] > row[best] { token } else { best }) as u8
    }

    /// Information of a position among the sequences that reach it, in bits: log2 V − H, the height of a stack of a
    /// sequence logo (Schneider & Stephens 1990, without the correction for few sequences); 0 where none does.
    pub fn information(&self, position: usize) -> f64 {
        let reach = self.reach(position);
        if reach <= 0.0 {
            return 0.0;
        }
        let terms = self.row(position).iter().map(|f| f / reach).filter(|p| *p > 0.0);
        let entropy: f64 = terms.map(|p| -p * p.log2()).sum();
        ((self.alphabet_size as f64).log2() - entropy).max(0.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frequencies_consensus_and_information_by_hand() {
        let sequences = [vec![0u8, 1], vec![0, 2], vec![0], vec![3, 2]].map(Sequence::new);
        let profile = Profile::of(4, 3, sequences.iter().zip([1.0, 1.0, 1.0, 1.0]));
        assert_eq!(profile.row(0), [0.75, 0.0, 0.0, 0.25]);
        assert_eq!(profile.row(1), [0.0, 0.25, 0.5, 0.0]);
        assert_eq!((profile.reach(0), profile.reach(1), profile.reach(2)), (1.0, 0.75, 0.0));
        assert_eq!((profile.consensus(0), profile.consensus(1)), (0, 2));
        let first = 2.0 + 0.75 * 0.75f64.log2() + 0.25 * 0.25f64.log2();
        let second = 2.0 + (1.0 / 3.0) * (1.0f64 / 3.0).log2() + (2.0 / 3.0) * (2.0f64 / 3.0).log2();
        assert!((profile.information(0) - first).abs() < 1e-12);
        assert!((profile.information(1) - second).abs() < 1e-12);
        assert_eq!(profile.information(2), 0.0);
        // Weights of any scale.
        let weighted = Profile::of(4, 3, sequences.iter().zip([3.0, 0.0, 0.0, 3.0]));
        assert_eq!(weighted.row(1), [0.0, 0.5, 0.5, 0.0]);
    }
}
