//! Bipartitions of the taxa, the distance they define, and consensus trees.

use std::sync::Arc;

use gfn_core::{Error, Place, Result};
use rustc_hash::FxHashMap;

use crate::newick::NewickTree;
use crate::tree::Topology;

/// A bipartition (split) of the taxa by an internal edge, as the set of taxa on the side without taxon 0.
///
/// Taxa are numbered in byte order of their names. Ordered by the set as a binary number.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Bipartition {
    words: Box<[u64]>,
}

impl Bipartition {
    /// The set of the given taxa out of `n_taxa`; if it holds taxon 0, its complement.
    ///
    /// # Panics
    /// If a taxon is not below `n_taxa`.
    pub fn new(n_taxa: usize, taxa: impl IntoIterator<Item = usize>) -> Bipartition {
        let mut words = vec![0u64; n_taxa.div_ceil(64)].into_boxed_slice();
        for taxon in taxa {
            assert!(taxon < n_taxa, "no taxon {taxon}");
            words[taxon / 64] |= 1 << (taxon % 64);
        }
        if n_taxa > 0 && words[0] & 1 == 1 {
            for (index, word) in words.iter_mut().enumerate() {
                let bits = (n_taxa - 64 * index).min(64);
                *word = !*word & (u64::MAX >> (64 - bits));
            }
        }
        Bipartition { words }
    }

    /// Whether the taxon is on the side without taxon 0.
    pub fn contains(&self, taxon: usize) -> bool {
        self.words.get(taxon / 64).is_some_and(|word| word >> (taxon % 64) & 1 == 1)
    }

    /// Number of taxa on the side without taxon 0.
    pub fn size(&self) -> usize {
        self.words.iter().map(|word| word.count_ones() as usize).sum()
    }

    /// The taxa on the side without taxon 0, ascending.
    pub fn taxa(&self) -> Vec<usize> {
        (0..64 * self.words.len()).filter(|&taxon| self.contains(taxon)).collect()
    }

    /// Whether all taxa of this set are in the other.
    pub fn is_subset(&self, other: &Bipartition) -> bool {
        self.words.iter().zip(&other.words).all(|(a, b)| a & !b == 0)
    }

    /// Whether both can be in one tree: one set within the other, or no taxon in common.
    pub fn is_compatible(&self, other: &Bipartition) -> bool {
        let disjoint = self.words.iter().zip(&other.words).all(|(a, b)| a & b == 0);
        disjoint || self.is_subset(other) || other.is_subset(self)
    }
}

impl Ord for Bipartition {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.words.iter().rev().cmp(other.words.iter().rev())
    }
}

impl PartialOrd for Bipartition {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Topology {
    /// The bipartitions of the n-3 internal edges, ascending.
    pub fn bipartitions(&self) -> Vec<Bipartition> {
        let n = self.n_taxa();
        let n_words = n.div_ceil(64);
        let mut sets = vec![0u64; self.n_nodes() * n_words];
        for taxon in 0..n {
            sets[taxon * n_words + taxon / 64] |= 1 << (taxon % 64);
        }
        let mut found = Vec::with_capacity(n - 3);
        for (node, [a, b]) in self.merges() {
            for word in 0..n_words {
                sets[node * n_words + word] = sets[a * n_words + word] | sets[b * n_words + word];
            }
            if node != self.root() {
                found.push(Bipartition { words: sets[node * n_words..(node + 1) * n_words].into() });
            }
        }
        found.sort_unstable();
        found
    }

    /// The Robinson-Foulds distance: the number of bipartitions that are in one of the two trees only, 0 to 2(n-3)
    /// (Robinson & Foulds, *Mathematical Biosciences* 53, 1981).
    ///
    /// # Panics
    /// If the taxa of the two trees are not the same.
    pub fn robinson_foulds(&self, other: &Topology) -> usize {
        assert_eq!(self.taxa(), other.taxa(), "trees over different taxa");
        let (mine, theirs) = (self.bipartitions(), other.bipartitions());
        let common = mine.iter().filter(|split| theirs.binary_search(split).is_ok()).count();
        mine.len() + theirs.len() - 2 * common
    }
}

/// The weight of each bipartition divided by the total weight, most frequent first (ties: by bipartition).
///
/// # Errors
/// No trees, different taxa, or weights that are negative, not finite, or all 0.
pub fn split_frequencies<'a>(
    trees: impl IntoIterator<Item = (&'a Topology, f64)>,
) -> Result<Vec<(Bipartition, f64)>> {
    let mut taxa: Option<Arc<[String]>> = None;
    let mut sums: FxHashMap<Bipartition, f64> = FxHashMap::default();
    let mut total = 0.0;
    let refuse = |expected: &str, found: &str| {
        Err(Error::input(Place::item("trees"), expected, found, "check what the trees come from"))
    };
    for (tree, weight) in trees {
        if !(weight.is_finite() && weight >= 0.0) {
            return refuse("weights >= 0", &weight.to_string());
        }
        if taxa.get_or_insert_with(|| Arc::clone(tree.taxa())) != tree.taxa() {
            return refuse("trees over the same taxa", "different taxa");
        }
        total += weight;
        for split in tree.bipartitions() {
            *sums.entry(split).or_default() += weight;
        }
    }
    if total <= 0.0 {
        return refuse("at least one tree with a weight above 0", "none");
    }
    let mut frequencies: Vec<_> = sums.into_iter().map(|(split, sum)| (split, sum / total)).collect();
    frequencies.sort_by(|a, b| b.1.total_cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    Ok(frequencies)
}

/// The majority-rule consensus of weighted trees (Margush & McMorris 1981): the tree of exactly the bipartitions with
/// more than half of the weight, each labelled with its frequency.
///
/// In the same form as [`Topology`]'s: taxon 0 first, children ordered by their smallest taxon, but with
/// multifurcations where no bipartition has a majority.
///
/// # Errors
/// As [`split_frequencies`].
pub fn majority_rule_consensus<'a>(
    trees: impl IntoIterator<Item = (&'a Topology, f64)>,
) -> Result<NewickTree> {
    let mut trees = trees.into_iter().peekable();
    let taxa = trees.peek().map(|(tree, _)| Arc::clone(tree.taxa()));
    let frequencies = split_frequencies(trees)?;
    let taxa = taxa.expect("an empty list was refused");
    let n = taxa.len();
    // Sums of weights in different orders may differ in the last digit: a tie is not a majority.
    let mut kept: Vec<_> =
        frequencies.into_iter().filter(|(_, frequency)| *frequency > 0.5 + 1e-12).collect();
    kept.sort_by(|a, b| b.0.size().cmp(&a.0.size()).then_with(|| a.0.cmp(&b.0)));
    // Parent of every taxon and kept clade: the smallest clade around it; `kept.len()` stands for the root.
    let root = kept.len();
    let mut members: Vec<Vec<(usize, Option<usize>)>> = vec![Vec::new(); root + 1];
    for taxon in 0..n {
        let parent = kept.iter().rposition(|(split, _)| split.contains(taxon)).unwrap_or(root);
        members[parent].push((taxon, None));
    }
    for (clade, (split, _)) in kept.iter().enumerate() {
        let parent = kept[..clade].iter().rposition(|(larger, _)| split.is_subset(larger)).unwrap_or(root);
        let smallest = split.taxa()[0];
        members[parent].push((smallest, Some(clade)));
    }
    members.iter_mut().for_each(|list| list.sort_unstable());
    let mut tree = NewickTree::new();
    let mut stack: Vec<(usize, (usize, Option<usize>))> =
        members[root].iter().rev().map(|member| (0, *member)).collect();
    while let Some((parent, (taxon, clade))) = stack.pop() {
        match clade {
            None => {
                tree.add_child(parent, Some(taxa[taxon].clone()), None);
            }
            Some(clade) => {
                let node = tree.add_child(parent, None, None);
                tree.nodes[node].label = Some(format!("{:.4}", kept[clade].1.min(1.0)));
                stack.extend(members[clade].iter().rev().map(|member| (node, *member)));
            }
        }
    }
    Ok(tree)
}
