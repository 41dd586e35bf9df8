//! Unrooted trees that can be changed in place: nearest-neighbour interchange, subtree pruning and regrafting.

use std::sync::Arc;

use rand::RngExt;

use crate::tree::{Topology, from_insertions};

/// An unrooted binary tree as a table of neighbours: leaves 0 to n-1 (one neighbour), internal nodes n to 2n-3 (three).
///
/// Node numbers carry no meaning and stay the same through all moves, so that what was computed for a node can be kept.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct UnrootedTree {
    taxa: Arc<[String]>,
    neighbours: Vec<[usize; 3]>,
}

const NONE: usize = usize::MAX;

/// Index of a neighbour in a node's list.
fn slot(list: &[usize; 3], neighbour: usize) -> usize {
    list.iter().position(|&other| other == neighbour).expect("neighbours know each other")
}

/// An internal node with its two neighbours on the side away from taxon 0.
pub(crate) type Join = (usize, [usize; 2]);

impl UnrootedTree {
    pub(crate) fn new(topology: &Topology) -> UnrootedTree {
        let mut neighbours = vec![[NONE; 3]; topology.n_nodes()];
        for (node, children) in topology.merges() {
            neighbours[node] = [NONE, children[0], children[1]];
            for child in children {
                neighbours[child][0] = node;
            }
        }
        neighbours[topology.root()][0] = 0;
        neighbours[0][0] = topology.root();
        UnrootedTree { taxa: Arc::clone(topology.taxa()), neighbours }
    }

    /// A topology drawn uniformly: taxa are added one by one to edges drawn uniformly.
    pub(crate) fn random(taxa: Arc<[String]>, random: &mut impl RngExt) -> UnrootedTree {
        let places: Vec<usize> = (0..taxa.len())
            .map(|taxon| if taxon < 2 { 0 } else { random.random_range(0..2 * taxon - 3) })
            .collect();
        UnrootedTree::new(&from_insertions(&taxa, &places))
    }

    pub(crate) fn n_taxa(&self) -> usize {
        self.taxa.len()
    }

    /// The internal nodes as seen from taxon 0, parents before children; the neighbour of taxon 0 comes first.
    pub(crate) fn joins(&self, joins: &mut Vec<Join>) {
        joins.clear();
        let mut stack = vec![(self.neighbours[0][0], 0)];
        while let Some((node, parent)) = stack.pop() {
            let [a, b, c] = self.neighbours[node];
            let children = if a == parent {
                [b, c]
            } else if b == parent {
                [a, c]
            } else {
                [a, b]
            };
            joins.push((node, children));
            stack.extend(
                children.into_iter().filter(|&child| child >= self.n_taxa()).map(|child| (child, node)),
            );
        }
    }

    pub(crate) fn topology(&self) -> Topology {
        let mut joins = Vec::new();
        self.joins(&mut joins);
        let n = self.n_taxa();
        let mut number: Vec<usize> = (0..self.neighbours.len()).collect();
        let mut merges = Vec::with_capacity(n - 2);
        for &(node, children) in joins.iter().rev() {
            number[node] = n + merges.len();
            merges.push(children.map(|child| number[child]));
        }
        Topology::canonical(Arc::clone(&self.taxa), &merges)
    }

    /// Nearest-neighbour interchange across an internal edge drawn uniformly, to either of its two other resolutions
    /// with equal probability.
    ///
    /// Symmetric: every topology has exactly 2(n-3) neighbours, each proposed with probability 1/(2(n-3)), and the
    /// relation is symmetric. False where nothing can happen: n = 3.
    pub(crate) fn interchange(&mut self, random: &mut impl RngExt) -> bool {
        let n = self.n_taxa();
        if n < 4 {
            return false;
        }
        // Uniform over internal edges with a direction: draw any (internal node, neighbour), refuse leaves.
        let (u, v) = loop {
            let u = random.random_range(n..2 * n - 2);
            let v = self.neighbours[u][random.random_range(0..3)];
            if v >= n {
                break (u, v);
            }
        };
        let at_u = (slot(&self.neighbours[u], v) + random.random_range(1..3)) % 3;
        let at_v = (slot(&self.neighbours[v], u) + random.random_range(1..3)) % 3;
        let (a, b) = (self.neighbours[u][at_u], self.neighbours[v][at_v]);
        self.neighbours[u][at_u] = b;
        self.neighbours[v][at_v] = a;
        self.replace(a, u, v);
        self.replace(b, v, u);
        true
    }

    /// Subtree pruning and regrafting: an edge with a direction away from an internal node is drawn uniformly (3(n-2)
    /// of them); what lies behind it is cut off together with that node and put on an edge drawn uniformly among those
    /// of the rest, save the one it was on.
    ///
    /// Symmetric: if m taxa remain there are 2m-4 such edges; after the move the same subtree can be drawn with the
    /// same probability, and again 2m-4 edges are open to it, the old place among them. (Several draws may lead to
    /// the same topology; each has its own reverse, of equal probability.) Where m = 2 nothing happens: false.
    pub(crate) fn regraft(&mut self, random: &mut impl RngExt, targets: &mut Vec<(usize, usize)>) -> bool {
        let n = self.n_taxa();
        let u = random.random_range(n..2 * n - 2);
        let kept = random.random_range(0..3);
        let [x, y] = [self.neighbours[u][(kept + 1) % 3], self.neighbours[u][(kept + 2) % 3]];
        targets.clear();
        let mut stack = vec![(x, u), (y, u)];
        while let Some((node, from)) = stack.pop() {
            for next in self.neighbours[node] {
                if next != from && next != NONE {
                    targets.push((node, next));
                    stack.push((next, node));
                }
            }
        }
        if targets.is_empty() {
            return false;
        }
        let (p, q) = targets[random.random_range(0..targets.len())];
        self.replace(x, u, y);
        self.replace(y, u, x);
        self.replace(p, q, u);
        self.replace(q, p, u);
        self.neighbours[u][(kept + 1) % 3] = p;
        self.neighbours[u][(kept + 2) % 3] = q;
        true
    }

    fn replace(&mut self, node: usize, old: usize, new: usize) {
        let place = slot(&self.neighbours[node], old);
        self.neighbours[node][place] = new;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;
    use rand::rngs::ChaCha8Rng;
    use rustc_hash::FxHashMap;

    fn taxa(n: usize) -> Arc<[String]> {
        (0..n).map(|i| format!("t{i}")).collect()
    }

    /// Pearson's statistic of counts against a uniform distribution over `cells` outcomes.
    fn chi_square(counts: &FxHashMap<Topology, u64>, cells: usize) -> f64 {
        let expected = counts.values().sum::<u64>() as f64 / cells as f64;
        let seen: f64 = counts.values().map(|&count| (count as f64 - expected).powi(2) / expected).sum();
        seen + (cells - counts.len()) as f64 * expected
    }

    #[test]
    fn random_topologies_and_interchanges_are_uniform() {
        let mut random = ChaCha8Rng::seed_from_u64(1);
        let start = UnrootedTree::random(taxa(7), &mut random);
        let (mut drawn, mut moved) = (FxHashMap::default(), FxHashMap::default());
        for _ in 0..100_000 {
            *drawn.entry(UnrootedTree::random(taxa(6), &mut random).topology()).or_default() += 1;
            let mut tree = start.clone();
            tree.interchange(&mut random);
            assert_eq!(tree.topology().robinson_foulds(&start.topology()), 2);
            *moved.entry(tree.topology()).or_default() += 1;
        }
        // 99.99 % points of chi-square: 164 at 104 degrees of freedom, 29.9 at 7.
        assert_eq!((drawn.len(), moved.len()), (105, 8));
        assert!(chi_square(&drawn, 105) < 164.0, "{}", chi_square(&drawn, 105));
        assert!(chi_square(&moved, 8) < 29.9, "{}", chi_square(&moved, 8));
    }

    /// Probabilities of all single regraftings from a tree, by drawing.
    #[test]
    fn regrafting_is_symmetric_between_every_pair_of_topologies() {
        let mut random = ChaCha8Rng::seed_from_u64(2);
        let all: Vec<Topology> = crate::all_topologies(&taxa(5)).unwrap().collect();
        let mut targets = Vec::new();
        let draws = 60_000;
        let mut probability: FxHashMap<(Topology, Topology), f64> = FxHashMap::default();
        for from in &all {
            for _ in 0..draws {
                let mut tree = UnrootedTree::new(from);
                tree.regraft(&mut random, &mut targets);
                *probability.entry((from.clone(), tree.topology())).or_default() += 1.0 / draws as f64;
            }
        }
        for a in &all {
            for b in &all {
                let there = probability.get(&(a.clone(), b.clone())).copied().unwrap_or(0.0);
                let back = probability.get(&(b.clone(), a.clone())).copied().unwrap_or(0.0);
                let deviation = ((there + back) / draws as f64).sqrt();
                assert!((there - back).abs() <= 5.0 * deviation, "{a} {b}: {there} {back}");
            }
        }
        // Every topology of five taxa has 2(n-3)(2n-7) = 12 neighbours by regrafting (Allen & Steel 2001).
        assert!(probability.len() >= 15 * 12);
    }

    #[test]
    fn regraftings_alone_keep_the_uniform_distribution() {
        let mut random = ChaCha8Rng::seed_from_u64(3);
        let mut tree = UnrootedTree::random(taxa(6), &mut random);
        let mut counts = FxHashMap::default();
        let mut targets = Vec::new();
        for _ in 0..50_000 {
            for _ in 0..6 {
                tree.regraft(&mut random, &mut targets);
            }
            *counts.entry(tree.topology()).or_default() += 1;
        }
        assert!(chi_square(&counts, 105) < 164.0, "{}", chi_square(&counts, 105));
    }

    #[test]
    fn tables_stay_consistent() {
        let mut random = ChaCha8Rng::seed_from_u64(4);
        for n in [3, 4, 5, 30] {
            let mut tree = UnrootedTree::random(taxa(n), &mut random);
            assert_eq!(UnrootedTree::new(&tree.topology()).topology(), tree.topology());
            let mut targets = Vec::new();
            for _ in 0..200 {
                tree.interchange(&mut random);
                tree.regraft(&mut random, &mut targets);
                for (node, list) in tree.neighbours.iter().enumerate() {
                    let degree = list.iter().filter(|&&other| other != NONE).count();
                    assert_eq!(degree, if node < n { 1 } else { 3 });
                    assert!(list.iter().all(|&o| o == NONE || tree.neighbours[o].contains(&node)));
                }
                assert_eq!(tree.topology().bipartitions().len(), n - 3);
            }
        }
    }
}
