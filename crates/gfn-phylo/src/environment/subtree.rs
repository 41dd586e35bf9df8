//! Rooted binary trees over ingroup leaves, shared between states, with everything a state needs cached at the root.

use std::sync::Arc;

use super::layout::FeatureLayout;

/// A rooted binary tree over a set of ingroup leaves, immutable and shared.
///
/// The child with the smaller smallest leaf is the left one, so equal trees have equal hashes.
#[derive(Debug)]
pub struct Subtree {
    /// 128 bits that identify topology and branch-length bins (not the edge above the root).
    pub hash: u128,
    /// Hash of the set of leaves.
    pub clade: u64,
    /// Smallest leaf.
    pub smallest_leaf: u32,
    /// Internal nodes.
    pub n_internal: u32,
    /// The children and the branch-length bins of the edges to them; none for a leaf.
    pub children: Option<Children>,
    /// Leaves with their depth (edges to the root), by increasing leaf.
    pub leaves: Box<[(u32, u32)]>,
    /// Active features this tree contributes to the encoding of a state.
    pub features: Box<[u32]>,
}

/// The two children of an internal node.
#[derive(Debug, Clone)]
pub struct Children {
    /// Child with the smaller smallest leaf.
    pub left: Arc<Subtree>,
    /// The other one.
    pub right: Arc<Subtree>,
    /// Bins of the edges to left and right (0 where lengths are fixed).
    pub bins: (u8, u8),
}

impl Subtree {
    /// A single leaf.
    pub fn leaf(leaf: u32) -> Arc<Subtree> {
        Arc::new(Subtree {
            hash: mix(u128::from(leaf) + 1),
            clade: mix(u128::from(leaf) + 0x1_0000_0001) as u64,
            smallest_leaf: leaf,
            n_internal: 0,
            children: None,
            leaves: Box::new([(leaf, 0)]),
            features: Box::new([]),
        })
    }

    /// The tree with these two below its root, the one with the smaller smallest leaf to the left.
    pub fn merge(
        left: &Arc<Subtree>,
        right: &Arc<Subtree>,
        bins: (u8, u8),
        layout: &FeatureLayout,
    ) -> Arc<Subtree> {
        debug_assert!(left.smallest_leaf < right.smallest_leaf);
        let mut leaves = Vec::with_capacity(left.leaves.len() + right.leaves.len());
        leaves.extend(left.leaves.iter().chain(right.leaves.iter()).map(|&(leaf, depth)| (leaf, depth + 1)));
        leaves.sort_unstable();
        let mut features = Vec::with_capacity(layout.features_after(left, right));
        features.extend_from_slice(&left.features);
        features.extend_from_slice(&right.features);
        for &(i, depth_i) in &left.leaves {
            for &(j, depth_j) in &right.leaves {
                features.push(layout.distance(i, j, depth_i + depth_j + 2));
            }
        }
        if layout.n_bins > 0 {
            for (tree, bin) in [(left, bins.0), (right, bins.1)] {
                features.extend(tree.leaves.iter().map(|&(leaf, depth)| layout.edge(leaf, depth, bin)));
            }
        }
        let tag = u128::from(bins.0) << 8 | u128::from(bins.1) | 1 << 20;
        let hash = mix(mix(left.hash.wrapping_add(tag)) ^ right.hash.rotate_left(31));
        Arc::new(Subtree {
            hash,
            clade: left.clade.wrapping_add(right.clade),
            smallest_leaf: left.smallest_leaf,
            n_internal: left.n_internal + right.n_internal + 1,
            children: Some(Children { left: Arc::clone(left), right: Arc::clone(right), bins }),
            leaves: leaves.into(),
            features: features.into(),
        })
    }
}

/// A bijective 128-bit mixer.
pub(super) fn mix(value: u128) -> u128 {
    let mut x = value.wrapping_mul(0x2360_ed05_1fc6_5da4_4385_df64_9fcc_f645);
    x ^= x >> 67;
    x = x.wrapping_mul(0x5851_f42d_4c95_7f2d_1405_7b7e_f767_814f);
    x ^= x >> 59;
    x = x.wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835);
    x ^ (x >> 64)
}
