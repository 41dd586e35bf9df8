//! Unrooted trees built by merging: a forest over the ingroup, with the outgroup hung on the last root.

mod forest;
mod known;
mod layout;
mod subtree;

use std::sync::Arc;

use gfn_core::environment::fingerprint;
use gfn_core::{EnvSpec, Environment, Error, Heads, Result, StopRule};
use rand::RngExt;
use rand::rngs::ChaCha8Rng;
use rustc_hash::FxHashSet;
use smallvec::{SmallVec, smallvec};

pub use forest::{Forest, Pending};
pub use layout::FeatureLayout;
pub use subtree::{Children, Subtree};

use crate::branch::BranchLengths;
use known::KnownSubtrees;

/// The environment of merge forests (docs/mathematics.md §5).
///
/// An unrooted binary tree over n taxa is a rooted binary tree over the n − 1 others hung on one outgroup taxon, so
/// every unrooted topology is reached, each as exactly one object. Undoing the root of a tree with probability
/// proportional to its number of internal nodes makes p_B uniform over merge orders.
#[derive(Debug, Clone)]
pub struct MergeForest {
    spec: EnvSpec,
    layout: FeatureLayout,
    taxa: Vec<String>,
    outgroup: usize,
    ingroup: Vec<usize>,
    branches: BranchLengths,
    leaves: Vec<Arc<Subtree>>,
    /// Natural logarithms of 0, 1, 2, ….
    logarithms: Vec<f64>,
    known: KnownSubtrees,
}

/// Fewest taxa that leave a choice between topologies.
pub const MIN_TAXA: usize = 4;
/// Inner nodes of a drawn tree that need no memory of their own.
const NODES_IN_PLACE: usize = 32;
/// Most taxa: beyond, a policy over all pairs of leaves does not fit into memory.
pub const MAX_TAXA: usize = 200;

impl MergeForest {
    /// The environment over these taxa; `outgroup` is an index into them.
    pub fn new(taxa: Vec<String>, outgroup: usize, branches: BranchLengths) -> Result<Self> {
        if !(MIN_TAXA..=MAX_TAXA).contains(&taxa.len()) {
            return Err(Error::input(
                gfn_core::Place::item("taxa"),
                format!("{MIN_TAXA} to {MAX_TAXA} taxa (with fewer there is only one unrooted tree)"),
                format!("{}", taxa.len()),
                "use another alignment",
            ));
        }
        if outgroup >= taxa.len() {
            return Err(Error::usage(
                "outgroup",
                format!("an index below {}", taxa.len()),
                outgroup.to_string(),
                "name one of the taxa",
            ));
        }
        let mut seen = FxHashSet::default();
        if let Some(name) = taxa.iter().find(|name| !seen.insert(name.as_str())) {
            return Err(Error::input(
                gfn_core::Place::item("taxa"),
                "distinct names",
                format!("{name} twice"),
                "rename or remove one of the two",
            ));
        }
        let ingroup: Vec<usize> = (0..taxa.len()).filter(|&t| t != outgroup).collect();
        let layout = FeatureLayout { n_leaves: ingroup.len() as u32, n_bins: branches.n_bins() as u32 };
        // To the last digit: policies of nearly equal lengths or priors do not multiply.
        let exact_branches = format!("{branches:?}");
        let mut parts: Vec<&str> = vec!["merge-forest", &taxa[outgroup], &exact_branches];
        parts.extend(taxa.iter().map(String::as_str));
        let spec = EnvSpec {
            name: "merge-forest".into(),
            fingerprint: fingerprint(&parts),
            rows: 1,
            width: layout.n_features(),
            n_forward: (layout.n_pairs() + layout.n_bins) as usize,
            n_backward: ingroup.len() + usize::from(layout.n_bins > 0),
            heads: Heads::Flat,
            stop: StopRule::Exhausted,
        };
        let leaves = (0..layout.n_leaves).map(Subtree::leaf).collect();
        let logarithms = (0..=taxa.len()).map(|k| (k as f64).ln()).collect();
        let known = KnownSubtrees::default();
        Ok(MergeForest { spec, layout, taxa, outgroup, ingroup, branches, leaves, logarithms, known })
    }

    /// Names of all taxa.
    pub fn taxa(&self) -> &[String] {
        &self.taxa
    }

    /// Index of the outgroup taxon.
    pub fn outgroup(&self) -> usize {
        self.outgroup
    }

    /// Taxon index of each ingroup leaf.
    pub fn ingroup(&self) -> &[usize] {
        &self.ingroup
    }

    /// Branch lengths.
    pub fn branches(&self) -> &BranchLengths {
        &self.branches
    }

    /// Indices of features and pairs.
    pub fn layout(&self) -> &FeatureLayout {
        &self.layout
    }

    /// The leaf with this ingroup index.
    pub fn leaf(&self, leaf: usize) -> &Arc<Subtree> {
        &self.leaves[leaf]
    }

    /// The object with this ingroup tree (and outgroup bin, where lengths are chosen).
    pub fn object(&self, root: Arc<Subtree>, outgroup_bin: Option<u8>) -> Forest {
        Forest { trees: smallvec![root], pending: Pending::None, outgroup_bin }
    }

    /// The tree of two trees of this environment; `bins` belong to `a` and `b` in this order.
    pub fn merge(&self, a: &Arc<Subtree>, b: &Arc<Subtree>, bins: (u8, u8)) -> Arc<Subtree> {
        let (left, right, bins) =
            if a.smallest_leaf < b.smallest_leaf { (a, b, bins) } else { (b, a, (bins.1, bins.0)) };
        self.known.get(left, right, bins, || Subtree::merge(left, right, bins, &self.layout))
    }

    fn with_bins(&self) -> bool {
        self.layout.n_bins > 0
    }

    /// Whether every action is a merge that takes effect at once.
    fn merges_freely(&self, state: &Forest) -> bool {
        !self.with_bins() && state.trees.len() > 1
    }

    /// Appends the indices of all pairs of leaves, one from each tree.
    fn leaf_pairs(&self, left: &Subtree, right: &Subtree, outputs: &mut Vec<u32>) {
        for &(i, _) in &left.leaves {
            outputs.extend(right.leaves.iter().map(|&(j, _)| self.layout.pair(i, j)));
        }
    }

    /// Backward action that takes back the last chosen bin or pair.
    fn take_back(&self) -> u32 {
        self.layout.n_leaves
    }

    /// The tree below a node; the children of the nodes after the leaves are given.
    fn tree_below(&self, node: usize, children: &[[u32; 2]], bin: &mut impl FnMut() -> u8) -> Arc<Subtree> {
        let Some(inner) = node.checked_sub(self.leaves.len()) else { return Arc::clone(&self.leaves[node]) };
        let [a, b] = children[inner].map(|child| self.tree_below(child as usize, children, bin));
        self.merge(&a, &b, (bin(), bin()))
    }

    fn merged(&self, forest: &Forest, left: u32, right: u32, bins: (u8, u8)) -> Forest {
        forest.merged(left, right, |left, right| self.merge(left, right, bins))
    }
}

impl Environment for MergeForest {
    type State = Forest;

    fn spec(&self) -> &EnvSpec {
        &self.spec
    }

    fn initial(&self) -> Forest {
        Forest { trees: self.leaves.iter().cloned().collect(), pending: Pending::None, outgroup_bin: None }
    }

    fn forward_actions(&self, state: &Forest, actions: &mut Vec<u32>) {
        let bins = || self.layout.n_pairs()..self.layout.n_pairs() + self.layout.n_bins;
        if state.pending != Pending::None {
            actions.extend(bins());
        } else if state.trees.len() > 1 {
            for (a, left) in state.trees.iter().enumerate() {
                let right = state.trees[a + 1..].iter();
                actions.extend(right.map(|r| self.layout.pair(left.smallest_leaf, r.smallest_leaf)));
            }
        } else if self.with_bins() && state.outgroup_bin.is_none() {
            actions.extend(bins());
        }
    }

    fn backward_actions(&self, state: &Forest, actions: &mut Vec<u32>, weights: &mut Vec<f64>) {
        if state.pending != Pending::None || state.outgroup_bin.is_some() {
            actions.push(self.take_back());
            weights.push(1.0);
            return;
        }
        for tree in state.trees.iter().filter(|t| t.n_internal > 0) {
            actions.push(tree.smallest_leaf);
            weights.push(f64::from(tree.n_internal));
        }
    }

    fn step(&self, state: &Forest, action: u32) -> (Forest, u32) {
        let n_pairs = self.layout.n_pairs();
        if action < n_pairs {
            let (left, right) = self.layout.leaves_of_pair(action);
            if self.with_bins() {
                let next = Forest { pending: Pending::LeftBin { left, right }, ..state.clone() };
                return (next, self.take_back());
            }
            return (self.merged(state, left, right, (0, 0)), left);
        }
        let bin = (action - n_pairs) as u8;
        match state.pending {
            Pending::LeftBin { left, right } => {
                let pending = Pending::RightBin { left, right, left_bin: bin };
                (Forest { pending, ..state.clone() }, self.take_back())
            }
            Pending::RightBin { left, right, left_bin } => {
                (self.merged(state, left, right, (left_bin, bin)), left)
            }
            Pending::None => (Forest { outgroup_bin: Some(bin), ..state.clone() }, self.take_back()),
        }
    }

    fn undo(&self, state: &Forest, backward_action: u32) -> (Forest, u32) {
        let n_pairs = self.layout.n_pairs();
        if backward_action == self.take_back() {
            return match (state.pending, state.outgroup_bin) {
                (Pending::LeftBin { left, right }, _) => {
                    (Forest { pending: Pending::None, ..state.clone() }, self.layout.pair(left, right))
                }
                (Pending::RightBin { left, right, left_bin }, _) => {
                    let pending = Pending::LeftBin { left, right };
                    (Forest { pending, ..state.clone() }, n_pairs + u32::from(left_bin))
                }
                (Pending::None, bin) => {
                    let bin = bin.expect("a chosen outgroup bin");
                    (Forest { outgroup_bin: None, ..state.clone() }, n_pairs + u32::from(bin))
                }
            };
        }
        let (mut forest, children) = state.split(backward_action);
        let (left, right) = (children.left.smallest_leaf, children.right.smallest_leaf);
        if self.with_bins() {
            forest.pending = Pending::RightBin { left, right, left_bin: children.bins.0 };
            return (forest, n_pairs + u32::from(children.bins.1));
        }
        (forest, self.layout.pair(left, right))
    }

    fn encode(&self, state: &Forest, features: &mut Vec<u32>) {
        for tree in &state.trees {
            features.extend_from_slice(&tree.features);
        }
        match state.pending {
            Pending::None => {}
            Pending::LeftBin { left, right } => {
                features.push(self.layout.pending_pair(self.layout.pair(left, right)));
            }
            Pending::RightBin { left, right, left_bin } => {
                features.push(self.layout.pending_pair(self.layout.pair(left, right)));
                features.push(self.layout.pending_bin(left_bin));
            }
        }
        features.extend(state.outgroup_bin.map(|bin| self.layout.outgroup_bin(bin)));
    }

    fn log_backward_after(&self, state: &Forest, action: u32) -> f64 {
        let (left, right) = match state.pending {
            Pending::RightBin { left, right, .. } => (left, right),
            Pending::None if action < self.layout.n_pairs() && !self.with_bins() => {
                self.layout.leaves_of_pair(action)
            }
            _ => return 0.0,
        };
        let internal = |leaf| state.trees[state.position(leaf)].n_internal;
        self.logarithms[(internal(left) + internal(right) + 1) as usize]
            - self.logarithms[state.n_internal() as usize + 1]
    }

    fn log_backward_after_each(&self, state: &Forest, actions: &[u32], log_backward: &mut Vec<f64>) {
        if !self.merges_freely(state) {
            log_backward.extend(actions.iter().map(|&a| self.log_backward_after(state, a)));
            return;
        }
        let total = self.logarithms[state.n_internal() as usize + 1];
        for (left, right) in tree_pairs(state) {
            log_backward.push(self.logarithms[(left.n_internal + right.n_internal + 1) as usize] - total);
        }
    }

    fn n_action_keys(&self) -> usize {
        2
    }

    fn action_keys_each(&self, state: &Forest, actions: &[u32], keys: &mut Vec<u64>) {
        if state.pending != Pending::None || state.trees.len() == 1 {
            actions.iter().for_each(|&action| self.action_keys(state, action, keys));
            return;
        }
        for (left, right) in tree_pairs(state) {
            keys.extend(merge_keys(left, right));
        }
    }

    fn pooled_outputs_each(
        &self,
        state: &Forest,
        actions: &[u32],
        outputs: &mut Vec<u32>,
        ends: &mut Vec<usize>,
    ) {
        if state.pending != Pending::None || state.trees.len() == 1 {
            for &action in actions {
                self.pooled_outputs(state, action, outputs);
                ends.push(outputs.len());
            }
            return;
        }
        for (left, right) in tree_pairs(state) {
            self.leaf_pairs(left, right, outputs);
            ends.push(outputs.len());
        }
    }

    /// A merge: the clade it makes, and the pair of clades it joins. A bin: the clade below the edge with the bin,
    /// and the pair of clades with it.
    fn action_keys(&self, state: &Forest, action: u32, keys: &mut Vec<u64>) {
        let clade = |leaf: u32| state.trees[state.position(leaf)].clade;
        if action < self.layout.n_pairs() {
            let (left, right) = self.layout.leaves_of_pair(action);
            let tree = |leaf: u32| &state.trees[state.position(leaf)];
            keys.extend(merge_keys(tree(left), tree(right)));
            return;
        }
        let bin = mix64(u64::from(action) << 32 | 1);
        let (edge, other) = match state.pending {
            Pending::LeftBin { left, right } => (clade(left), clade(right)),
            Pending::RightBin { left, right, .. } => (clade(right), clade(left)),
            Pending::None => (state.trees[0].clade, 0),
        };
        keys.extend([join(edge, bin), join(join(edge, other), bin)]);
    }

    /// A merge: all pairs of leaves, one from each tree.
    fn pooled_outputs(&self, state: &Forest, action: u32, outputs: &mut Vec<u32>) {
        if action >= self.layout.n_pairs() {
            outputs.push(action);
            return;
        }
        let (left, right) = self.layout.leaves_of_pair(action);
        self.leaf_pairs(&state.trees[state.position(left)], &state.trees[state.position(right)], outputs);
    }

    /// With leaves and merged subtrees of its own.
    fn apart(self: &Arc<Self>) -> Arc<Self> {
        Arc::new(MergeForest {
            leaves: (0..self.layout.n_leaves).map(Subtree::leaf).collect(),
            known: KnownSubtrees::default(),
            ..MergeForest::clone(self)
        })
    }

    /// A uniform topology by random insertion of leaves into edges (root edge included), uniform bins.
    fn sample_object(&self, rng: &mut ChaCha8Rng) -> Option<Forest> {
        let m = self.ingroup.len();
        // Nodes 0..m are leaves; `none` is the parent of the root. An edge is known by the node below it.
        let none = u32::MAX;
        let mut parent: SmallVec<[u32; 2 * NODES_IN_PLACE]> = smallvec![none; 2 * m - 1];
        // Of the nodes m, m + 1, ….
        let mut children: SmallVec<[[u32; 2]; NODES_IN_PLACE]> = smallvec![[none; 2]; m - 1];
        let mut root = 0;
        for leaf in 1..m {
            // With each leaf an edge for it and one for the node that it hangs on were added.
            let edge = rng.random_range(0..2 * leaf - 1);
            let below = if edge.is_multiple_of(2) { edge / 2 } else { m + edge / 2 };
            let node = m + leaf - 1;
            let above = parent[below];
            children[leaf - 1] = [below as u32, leaf as u32];
            parent[node] = above;
            parent[below] = node as u32;
            parent[leaf] = node as u32;
            if above == none {
                root = node;
            } else {
                let pair = &mut children[above as usize - m];
                pair[usize::from(pair[1] == below as u32)] = node as u32;
            }
        }
        let mut bin = || if self.with_bins() { rng.random_range(0..self.layout.n_bins) as u8 } else { 0 };
        let tree = self.tree_below(root, &children, &mut bin);
        let outgroup_bin = self.with_bins().then(&mut bin);
        Some(self.object(tree, outgroup_bin))
    }
}

/// Pairs of trees in the order of their actions.
fn tree_pairs(state: &Forest) -> impl Iterator<Item = (&Subtree, &Subtree)> {
    let trees = &state.trees;
    (0..trees.len()).flat_map(move |a| trees[a + 1..].iter().map(move |b| (trees[a].as_ref(), b.as_ref())))
}

/// Keys of a merge: the clade it makes, and the pair of clades it joins.
fn merge_keys(left: &Subtree, right: &Subtree) -> [u64; 2] {
    [mix64(left.clade.wrapping_add(right.clade)), join(left.clade, right.clade)]
}

/// A hash of an ordered pair.
fn join(a: u64, b: u64) -> u64 {
    mix64(a ^ mix64(b))
}

/// A bijective 64-bit mixer (SplitMix64's finaliser, Steele et al. 2014).
fn mix64(value: u64) -> u64 {
    let mut x = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}
