//! States of merge forests: trees over disjoint sets of leaves, and the merge that is under way.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use smallvec::SmallVec;

use super::subtree::{Children, Subtree};

/// Trees of a forest that need no memory of their own.
const TREES_IN_PLACE: usize = 8;

/// A merge that is under way: branch lengths are chosen one action at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Pending {
    /// None.
    None,
    /// The trees with these smallest leaves will be merged; the left edge's bin is next.
    LeftBin {
        /// Smallest leaf of the left tree.
        left: u32,
        /// Smallest leaf of the right tree.
        right: u32,
    },
    /// The right edge's bin is next.
    RightBin {
        /// Smallest leaf of the left tree.
        left: u32,
        /// Smallest leaf of the right tree.
        right: u32,
        /// Bin of the left edge.
        left_bin: u8,
    },
}

/// A forest of rooted binary trees over disjoint sets of ingroup leaves.
#[derive(Debug, Clone)]
pub struct Forest {
    /// Trees by increasing smallest leaf.
    pub trees: SmallVec<[Arc<Subtree>; TREES_IN_PLACE]>,
    /// The merge under way.
    pub pending: Pending,
    /// Bin of the edge to the outgroup, chosen last.
    pub outgroup_bin: Option<u8>,
}

impl PartialEq for Forest {
    fn eq(&self, other: &Self) -> bool {
        self.trees.len() == other.trees.len()
            && self.pending == other.pending
            && self.outgroup_bin == other.outgroup_bin
            && self.trees.iter().zip(&other.trees).all(|(a, b)| a.hash == b.hash)
    }
}

impl Eq for Forest {}

impl Hash for Forest {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let sum = self.trees.iter().fold(0u128, |sum, t| sum.wrapping_add(t.hash));
        state.write_u64(sum as u64);
        self.pending.hash(state);
        self.outgroup_bin.hash(state);
    }
}

impl Forest {
    /// The ingroup tree of a complete object.
    pub fn root(&self) -> Option<&Arc<Subtree>> {
        (self.trees.len() == 1).then(|| &self.trees[0])
    }

    pub(super) fn position(&self, smallest_leaf: u32) -> usize {
        self.trees.binary_search_by_key(&smallest_leaf, |t| t.smallest_leaf).expect("a tree of this forest")
    }

    pub(super) fn n_internal(&self) -> u32 {
        self.trees.iter().map(|t| t.n_internal).sum()
    }

    /// The forest where the trees with these smallest leaves are merged.
    pub(super) fn merged(
        &self,
        left: u32,
        right: u32,
        merge: impl FnOnce(&Arc<Subtree>, &Arc<Subtree>) -> Arc<Subtree>,
    ) -> Forest {
        let (l, r) = (self.position(left), self.position(right));
        // Tree by tree, as each clone counts a reference, which is slow.
        let mut trees = SmallVec::with_capacity(self.trees.len() - 1);
        trees.extend(self.trees[..l].iter().cloned());
        trees.push(merge(&self.trees[l], &self.trees[r]));
        trees.extend(self.trees[l + 1..r].iter().chain(&self.trees[r + 1..]).cloned());
        Forest { trees, pending: Pending::None, outgroup_bin: None }
    }

    /// The forest where the root of the tree with this smallest leaf is undone, and the trees below it.
    pub(super) fn split(&self, smallest_leaf: u32) -> (Forest, &Children) {
        let l = self.position(smallest_leaf);
        let children = self.trees[l].children.as_ref().expect("a tree that can be undone");
        let r = self.trees.partition_point(|t| t.smallest_leaf < children.right.smallest_leaf);
        let mut trees = SmallVec::with_capacity(self.trees.len() + 1);
        trees.extend(self.trees[..l].iter().cloned());
        trees.push(Arc::clone(&children.left));
        trees.extend(self.trees[l + 1..r].iter().cloned());
        trees.push(Arc::clone(&children.right));
        trees.extend(self.trees[r..].iter().cloned());
        (Forest { trees, pending: Pending::None, outgroup_bin: None }, children)
    }
}
