//! Where each binary feature and each action of a merge forest has its index.

use super::subtree::Subtree;

/// Indices of features and pair actions for `m` ingroup leaves and `n_bins` branch-length bins (0: fixed lengths).
///
/// Features: for each pair of leaves in one tree the number of edges between them, one-hot over 2..=m (this alone
/// identifies a forest of topologies); with bins also, for each leaf and each ancestor edge of it, the edge's bin;
/// the pair that is being merged; the bin of its left edge; the bin of the outgroup's edge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FeatureLayout {
    /// Ingroup leaves.
    pub n_leaves: u32,
    /// Branch-length bins; 0 where lengths are fixed.
    pub n_bins: u32,
}

impl FeatureLayout {
    /// Unordered pairs of leaves.
    pub fn n_pairs(&self) -> u32 {
        self.n_leaves * (self.n_leaves - 1) / 2
    }

    /// Index of the pair {i, j}.
    pub fn pair(&self, i: u32, j: u32) -> u32 {
        let (i, j) = (i.min(j), i.max(j));
        i * (2 * self.n_leaves - i - 1) / 2 + (j - i - 1)
    }

    /// The pair of an index, smaller leaf first.
    pub fn leaves_of_pair(&self, mut pair: u32) -> (u32, u32) {
        let mut i = 0;
        while pair >= self.n_leaves - i - 1 {
            pair -= self.n_leaves - i - 1;
            i += 1;
        }
        (i, i + 1 + pair)
    }

    fn n_distances(&self) -> u32 {
        self.n_leaves - 1
    }

    /// Feature: leaves i and j are `edges` apart in one tree.
    pub fn distance(&self, i: u32, j: u32, edges: u32) -> u32 {
        self.pair(i, j) * self.n_distances() + edges - 2
    }

    fn first_edge(&self) -> u32 {
        self.n_pairs() * self.n_distances()
    }

    /// Feature: the edge `level` steps above `leaf` has this bin.
    pub fn edge(&self, leaf: u32, level: u32, bin: u8) -> u32 {
        self.first_edge() + (leaf * (self.n_leaves - 1) + level) * self.n_bins + u32::from(bin)
    }

    fn first_pending(&self) -> u32 {
        self.first_edge() + self.n_leaves * (self.n_leaves - 1) * self.n_bins
    }

    /// Feature: this pair of trees is being merged.
    pub fn pending_pair(&self, pair: u32) -> u32 {
        self.first_pending() + pair
    }

    /// Feature: the left edge of the pending merge has this bin.
    pub fn pending_bin(&self, bin: u8) -> u32 {
        self.first_pending() + self.n_pairs() + u32::from(bin)
    }

    /// Feature: the edge to the outgroup has this bin.
    pub fn outgroup_bin(&self, bin: u8) -> u32 {
        self.first_pending() + self.n_pairs() + self.n_bins + u32::from(bin)
    }

    /// Number of features.
    pub fn n_features(&self) -> usize {
        let with_bins = if self.n_bins > 0 { self.n_pairs() + 2 * self.n_bins } else { 0 };
        (self.first_pending() + with_bins) as usize
    }

    /// Features of the merged tree, for reserving memory.
    pub(super) fn features_after(&self, left: &Subtree, right: &Subtree) -> usize {
        let edges = if self.n_bins > 0 { left.leaves.len() + right.leaves.len() } else { 0 };
        left.features.len() + right.features.len() + left.leaves.len() * right.leaves.len() + edges
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_and_features_have_their_own_indices() {
        let layout = FeatureLayout { n_leaves: 6, n_bins: 3 };
        let mut seen = std::collections::BTreeSet::new();
        for i in 0..6 {
            for j in i + 1..6 {
                assert_eq!(layout.leaves_of_pair(layout.pair(j, i)), (i, j));
                (2..=6).for_each(|d| assert!(seen.insert(layout.distance(i, j, d))));
                assert!(seen.insert(layout.pending_pair(layout.pair(i, j))));
            }
            for level in 0..5 {
                (0..3).for_each(|bin| assert!(seen.insert(layout.edge(i, level, bin))));
            }
        }
        for bin in 0..3 {
            assert!(seen.insert(layout.pending_bin(bin)) && seen.insert(layout.outgroup_bin(bin)));
        }
        assert_eq!(seen.len(), layout.n_features());
        assert_eq!(seen.last().map(|&f| f as usize + 1), Some(layout.n_features()));
    }
}
