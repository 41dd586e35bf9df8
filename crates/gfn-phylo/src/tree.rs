//! Unrooted binary tree topologies in one canonical form.

use std::sync::Arc;

use gfn_core::{Error, Place, Result};
use rustc_hash::FxHashMap;

use crate::newick::NewickTree;

/// An unrooted binary topology over n ≥ 3 named taxa, without lengths.
///
/// Taxa are numbered in byte order of their names. The tree is stored as hanging from taxon 0: its neighbour is the
/// root of a rooted binary tree over the other taxa. **Nodes** are numbered 0 to n-1 for the leaves, then n to 2n-3
/// for the internal nodes, children before parents; the last one is the root. Children are ordered by the smallest
/// taxon below them, and internal nodes in the order in which a walk that follows this order leaves them. Equal
/// topologies over equal taxa are therefore equal values, whatever they were made from.
///
/// Every edge belongs to the node below it (2n-3 edges: the nodes 1 to 2n-3); the root's edge leads to taxon 0.
///
/// The text form (`Display`) is Newick with a trifurcation at the root, where taxon 0 stands first:
///
/// ```
/// let tree: gfn_phylo::Topology = "((Pongo,(Pan,Homo_sapiens)),(Gorilla,Lemur_catta));".parse()?;
/// assert_eq!(tree.to_string(), "(Gorilla,((Homo_sapiens,Pan),Pongo),Lemur_catta);");
/// # Ok::<(), gfn_core::Error>(())
/// ```
#[derive(Debug, Clone, Eq)]
pub struct Topology {
    taxa: Arc<[String]>,
    /// The two children of each internal node n, n+1, …
    children: Vec<[u32; 2]>,
}

impl Topology {
    /// The canonical topology of n-2 merges: `merges[i]` names the two nodes that are joined into node `n + i`.
    ///
    /// `taxa` must be in byte order. The merges may come in any order that makes children before their parents.
    ///
    /// # Errors
    /// Fewer than three taxa, names not in order or not distinct, or merges that do not make one tree of the taxa
    /// 1 to n-1.
    pub fn from_merges(taxa: Arc<[String]>, merges: &[[usize; 2]]) -> Result<Topology> {
        let n = taxa.len();
        let refuse = |expected: &str, found: String| {
            Err(Error::input(Place::item("topology"), expected, found, "correct the tree"))
        };
        if n < 3 {
            return refuse("at least three taxa", n.to_string());
        }
        if let Some(pair) = taxa.windows(2).find(|pair| pair[0] >= pair[1]) {
            return refuse("distinct taxa in byte order", format!("{} before {}", pair[0], pair[1]));
        }
        if merges.len() != n - 2 {
            return refuse("n - 2 merges", merges.len().to_string());
        }
        let mut used = vec![false; 2 * n - 2];
        for (index, merge) in merges.iter().enumerate() {
            for &child in merge {
                if child == 0 || child >= n + index || std::mem::replace(&mut used[child], true) {
                    return refuse(
                        "merges of two nodes that are there and not merged yet",
                        format!("{merge:?}"),
                    );
                }
            }
        }
        Ok(Topology::canonical(taxa, merges))
    }

    /// Orders children and numbers nodes; the merges must be valid.
    pub(crate) fn canonical(taxa: Arc<[String]>, merges: &[[usize; 2]]) -> Topology {
        let n = taxa.len();
        // Smallest taxon below each node; merges come before their parents.
        let mut smallest: Vec<u32> = (0..2 * n as u32 - 2).collect();
        for (index, &[a, b]) in merges.iter().enumerate() {
            smallest[n + index] = smallest[a].min(smallest[b]);
        }
        let ordered = |node: usize| {
            let [a, b] = merges[node - n];
            if smallest[a] < smallest[b] { [a, b] } else { [b, a] }
        };
        // A walk from the root, right child first, meets the internal nodes in the reverse of the order wanted.
        let mut order = Vec::with_capacity(n - 2);
        let mut stack = vec![2 * n - 3];
        while let Some(node) = stack.pop() {
            order.push(node);
            stack.extend(ordered(node).into_iter().filter(|&child| child >= n));
        }
        order.reverse();
        let mut number: Vec<u32> = (0..2 * n as u32 - 2).collect();
        for (place, &node) in order.iter().enumerate() {
            number[node] = (n + place) as u32;
        }
        let children = order.iter().map(|&node| ordered(node).map(|child| number[child])).collect();
        Topology { taxa, children }
    }

    /// The topology of a Newick tree; rooting, lengths and labels are dropped, nodes of one child passed over.
    ///
    /// # Errors
    /// Fewer than three taxa, a name twice, or a node that is not binary when the tree is seen as unrooted.
    pub fn from_newick(tree: &NewickTree) -> Result<Topology> {
        let mut taxa: Vec<String> = tree.leaf_names().into_iter().map(String::from).collect();
        taxa.sort();
        if let Some(pair) = taxa.windows(2).find(|pair| pair[0] == pair[1]) {
            let place = Place::item(format!("leaf {}", pair[0]));
            return Err(Error::input(place, "every taxon once", "it twice", "rename or remove one leaf"));
        }
        Topology::from_newick_over(tree, taxa.into())
    }

    /// As [`from_newick`](Self::from_newick), over a given list of taxa in byte order, which is shared, not copied.
    ///
    /// # Errors
    /// Also a leaf that is not among the taxa, or a taxon that is not in the tree.
    pub fn from_newick_over(tree: &NewickTree, taxa: Arc<[String]>) -> Result<Topology> {
        let n = taxa.len();
        let numbers: FxHashMap<&str, usize> = taxa.iter().enumerate().map(|(i, t)| (t.as_str(), i)).collect();
        if n != tree.n_leaves() {
            let found = format!("{} leaves", tree.n_leaves());
            let advice = "use the same taxa everywhere";
            return Err(Error::input(Place::item("tree"), format!("a tree of {n} taxa"), found, advice));
        }
        // Neighbours in the unrooted tree, nodes of degree two included.
        let mut neighbours: Vec<Vec<usize>> = vec![Vec::new(); tree.nodes.len()];
        let mut taxon = vec![usize::MAX; tree.nodes.len()];
        let mut start = None;
        for (index, node) in tree.nodes.iter().enumerate() {
            if let Some(parent) = node.parent {
                neighbours[index].push(parent);
                neighbours[parent].push(index);
            }
            if node.children.is_empty() {
                let name = node.name.as_deref().unwrap_or("");
                let Some(&number) = numbers.get(name) else {
                    let place = Place::item(format!("leaf {name}"));
                    return Err(Error::input(place, "one of the taxa", "another name", "correct the names"));
                };
                taxon[index] = number;
                if number == 0 {
                    start = Some(index);
                }
            }
        }
        let Some(start) = start else {
            let place = Place::item(format!("taxon {}", taxa[0]));
            return Err(Error::input(
                place,
                "every taxon in the tree",
                "a tree without it",
                "correct the tree",
            ));
        };
        // Walk away from taxon 0; in the reverse order children come before parents.
        let mut order = Vec::with_capacity(tree.nodes.len());
        let mut stack = vec![(start, usize::MAX)];
        while let Some((node, from)) = stack.pop() {
            order.push((node, from));
            stack.extend(neighbours[node].iter().filter(|&&next| next != from).map(|&next| (next, node)));
        }
        let mut merges = Vec::with_capacity(n.saturating_sub(2));
        let mut number = taxon;
        for &(node, from) in order.iter().rev() {
            if node == start || tree.nodes[node].children.is_empty() {
                continue;
            }
            // A root with one child leads nowhere in the unrooted tree; it keeps no number.
            let below: Vec<usize> = neighbours[node]
                .iter()
                .filter(|&&next| next != from && number[next] != usize::MAX)
                .map(|&next| number[next])
                .collect();
            number[node] = match below[..] {
                [] => usize::MAX,
                [only] => only,
                [a, b] => {
                    merges.push([a, b]);
                    n + merges.len() - 1
                }
                _ => {
                    let found = format!("a node with {} neighbours", below.len() + 1);
                    let place = Place::item("tree");
                    return Err(Error::input(place, "a binary tree", found, "resolve the multifurcation"));
                }
            };
        }
        Topology::from_merges(taxa, &merges)
    }

    /// Names of the taxa, in byte order.
    pub fn taxa(&self) -> &Arc<[String]> {
        &self.taxa
    }

    /// Number of taxa.
    pub fn n_taxa(&self) -> usize {
        self.taxa.len()
    }

    /// Number of nodes, 2n-2.
    pub fn n_nodes(&self) -> usize {
        2 * self.taxa.len() - 2
    }

    /// The root: the neighbour of taxon 0, the last node.
    pub fn root(&self) -> usize {
        self.n_nodes() - 1
    }

    /// The two children of an internal node, ordered by their smallest taxon; `None` for a leaf.
    ///
    /// # Panics
    /// If there is no such node.
    pub fn children(&self, node: usize) -> Option<[usize; 2]> {
        assert!(node < self.n_nodes(), "no node {node}");
        let internal = node.checked_sub(self.taxa.len())?;
        Some(self.children[internal].map(|child| child as usize))
    }

    /// The internal nodes with their children, children before parents.
    pub fn merges(&self) -> impl Iterator<Item = (usize, [usize; 2])> + '_ {
        let n = self.taxa.len();
        self.children.iter().enumerate().map(move |(i, pair)| (n + i, pair.map(|child| child as usize)))
    }

    /// The tree in canonical Newick form, the edge above each node as long as `length(node)` says; the root's edge is
    /// that of taxon 0.
    pub fn to_newick(&self, length: impl Fn(usize) -> Option<f64>) -> NewickTree {
        let mut tree = NewickTree::new();
        let root = self.root();
        tree.add_child(0, Some(self.taxa[0].clone()), length(root));
        let mut stack: Vec<(usize, usize)> = Vec::new();
        let push = |stack: &mut Vec<(usize, usize)>, node: usize, at: usize| {
            if let Some([a, b]) = self.children(node) {
                stack.extend([(b, at), (a, at)]);
            }
        };
        push(&mut stack, root, 0);
        while let Some((node, parent)) = stack.pop() {
            let at = tree.add_child(parent, self.taxa.get(node).cloned(), length(node));
            push(&mut stack, node, at);
        }
        tree
    }
}

impl PartialEq for Topology {
    fn eq(&self, other: &Topology) -> bool {
        self.children == other.children && (Arc::ptr_eq(&self.taxa, &other.taxa) || self.taxa == other.taxa)
    }
}

/// Names are left out: trees of one data set share them.
impl std::hash::Hash for Topology {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.children.hash(state);
    }
}

impl Ord for Topology {
    fn cmp(&self, other: &Topology) -> std::cmp::Ordering {
        self.taxa.cmp(&other.taxa).then_with(|| self.children.cmp(&other.children))
    }
}

impl PartialOrd for Topology {
    fn partial_cmp(&self, other: &Topology) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl std::fmt::Display for Topology {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.to_newick(|_| None).fmt(f)
    }
}

impl std::str::FromStr for Topology {
    type Err = Error;

    fn from_str(text: &str) -> Result<Topology> {
        Topology::from_newick(&NewickTree::parse(text)?)
    }
}

/// Number of unrooted binary topologies over n taxa, (2n-5)!! = 1·3·5···(2n-5); `None` beyond 128 bits (n > 30).
pub fn number_of_topologies(n_taxa: usize) -> Option<u128> {
    (3..n_taxa).try_fold(1u128, |count, taxon| count.checked_mul(2 * taxon as u128 - 3))
}

/// Natural logarithm of the number of unrooted binary topologies over n taxa.
pub fn log_number_of_topologies(n_taxa: usize) -> f64 {
    (3..n_taxa).map(|taxon| (2.0 * taxon as f64 - 3.0).ln()).sum()
}

/// All unrooted binary topologies over the given taxa (any order), each exactly once: for tests and exact posteriors.
///
/// Taxa are added one by one, each to every edge there is. `None` for fewer than 3 or more than 9 taxa (135 135
/// topologies), and where names are not distinct.
pub fn all_topologies(taxa: &[String]) -> Option<AllTopologies> {
    let mut taxa = taxa.to_vec();
    taxa.sort();
    let distinct = taxa.windows(2).all(|pair| pair[0] != pair[1]);
    let digits = vec![0; taxa.len()];
    ((3..=9).contains(&taxa.len()) && distinct)
        .then(|| AllTopologies { taxa: taxa.into(), digits: Some(digits) })
}

/// The iterator of [`all_topologies`].
#[derive(Debug, Clone)]
pub struct AllTopologies {
    taxa: Arc<[String]>,
    /// The edge to which each taxon is added: one of 2k-3 for taxon k ≥ 2; `None` when all are done.
    digits: Option<Vec<usize>>,
}

impl Iterator for AllTopologies {
    type Item = Topology;

    fn next(&mut self) -> Option<Topology> {
        let digits = self.digits.as_mut()?;
        let topology = from_insertions(&self.taxa, digits);
        let mut done = true;
        for taxon in 2..digits.len() {
            digits[taxon] += 1;
            if digits[taxon] < 2 * taxon - 3 {
                done = false;
                break;
            }
            digits[taxon] = 0;
        }
        if done {
            self.digits = None;
        }
        Some(topology)
    }
}

/// The topology in which taxon k (from 2) was added to the edge above the node of place `places[k]` among the 2k-3
/// nodes that were there: leaf 1, then for each earlier taxon its leaf and the node made for it.
pub(crate) fn from_insertions(taxa: &Arc<[String]>, places: &[usize]) -> Topology {
    let n = taxa.len();
    let mut parent = vec![usize::MAX; 2 * n - 2];
    let mut children = vec![[usize::MAX; 2]; n - 2];
    let mut there = vec![1];
    let mut root = 1;
    for taxon in 2..n {
        let at = there[places[taxon]];
        let node = n + taxon - 2;
        let above = parent[at];
        children[node - n] = [at, taxon];
        parent[node] = above;
        parent[at] = node;
        parent[taxon] = node;
        if above == usize::MAX {
            root = node;
        } else {
            let slot = children[above - n].iter().position(|&child| child == at).expect("its child");
            children[above - n][slot] = node;
        }
        there.extend([taxon, node]);
    }
    // Renumber children before parents.
    let mut order = Vec::with_capacity(n - 2);
    let mut stack = vec![root];
    while let Some(node) = stack.pop() {
        order.push(node);
        stack.extend(children[node - n].into_iter().filter(|&child| child >= n));
    }
    order.reverse();
    let mut number: Vec<usize> = (0..2 * n - 2).collect();
    for (place, &node) in order.iter().enumerate() {
        number[node] = n + place;
    }
    let merges: Vec<[usize; 2]> = order.iter().map(|&node| children[node - n].map(|c| number[c])).collect();
    Topology::canonical(Arc::clone(taxa), &merges)
}
