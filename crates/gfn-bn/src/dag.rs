//! Directed acyclic graphs over at most 64 nodes, as bit rows of parents with their transitive closure.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::str::FromStr;

use gfn_core::{Error, Place, Result};
use smallvec::{SmallVec, smallvec};

/// Most nodes of a graph: a set of nodes is one 64-bit word.
pub const MAX_NODES: usize = 64;

/// A directed acyclic graph over d nodes, 1 ≤ d ≤ 64.
///
/// Node sets are words: bit `u` stands for node `u`. Kept are the parents of each node, which are the graph, and its
/// ancestors (the closure of the transpose), with which u → v closes a cycle exactly if v is u or an ancestor of u:
/// one bit test. Adding an edge updates the closure in O(d) words; removing one recomputes the ancestors of the nodes
/// below it, in O(d + edges) words after sorting. Two graphs are equal, and have the same hash, exactly if they have
/// the same edges. The methods panic on node numbers that do not exist.
///
/// ```
/// use gfn_bn::Dag;
///
/// let mut dag = Dag::empty(3)?;
/// dag.add_edge(0, 1)?;
/// dag.add_edge(1, 2)?;
/// assert_eq!(dag.to_string(), "010001000");
/// assert_eq!(dag.ancestors(2), 0b011);
/// assert!(!dag.can_add_edge(2, 0));
/// assert_eq!("010001000".parse::<Dag>()?, dag);
/// # Ok::<(), gfn_core::Error>(())
/// ```
#[derive(Clone)]
pub struct Dag {
    /// The parents of each node, then the ancestors of each node: states are cloned often, and small ones without an
    /// allocation.
    rows: SmallVec<[u64; 16]>,
}

impl Dag {
    /// The graph without edges over `n_nodes` nodes, 1 to 64.
    pub fn empty(n_nodes: usize) -> Result<Self> {
        if !(1..=MAX_NODES).contains(&n_nodes) {
            return Err(Error::usage(
                "nodes",
                format!("1 to {MAX_NODES}"),
                n_nodes.to_string(),
                "choose fewer variables",
            ));
        }
        Ok(Dag { rows: smallvec![0; 2 * n_nodes] })
    }

    /// Number of nodes, d.
    pub fn n_nodes(&self) -> usize {
        self.rows.len() / 2
    }

    /// Number of edges.
    pub fn n_edges(&self) -> usize {
        self.parent_sets().iter().map(|row| row.count_ones() as usize).sum()
    }

    /// The parents of each node.
    pub fn parent_sets(&self) -> &[u64] {
        &self.rows[..self.n_nodes()]
    }

    /// The nodes u with an edge u → `node`.
    pub fn parents(&self, node: usize) -> u64 {
        self.parent_sets()[node]
    }

    /// The nodes with a directed path of at least one edge to `node`.
    pub fn ancestors(&self, node: usize) -> u64 {
        self.ancestor_sets()[node]
    }

    /// The nodes with a directed path of at least one edge from `node`, in O(d).
    pub fn descendants(&self, node: usize) -> u64 {
        self.check_node(node);
        let below = |(w, row): (usize, &u64)| (row >> node & 1) << w;
        self.ancestor_sets().iter().enumerate().map(below).sum()
    }

    /// Whether there is an edge `from` → `to`.
    pub fn has_edge(&self, from: usize, to: usize) -> bool {
        self.check_node(from);
        contains(self.parents(to), from)
    }

    /// All edges (from, to), in the order of the bit string: by `from`, then `to`.
    pub fn edges(&self) -> impl Iterator<Item = (usize, usize)> + '_ {
        let d = self.n_nodes();
        (0..d * d).map(move |k| (k / d, k % d)).filter(|&(from, to)| contains(self.parents(to), from))
    }

    /// Whether `from` → `to` can be added: it is not there, and no cycle comes about.
    pub fn can_add_edge(&self, from: usize, to: usize) -> bool {
        from != to && !self.has_edge(from, to) && !contains(self.ancestors(from), to)
    }

    /// Adds `from` → `to`; refuses a loop, an edge that is there, and one that closes a cycle.
    pub fn add_edge(&mut self, from: usize, to: usize) -> Result<()> {
        if !self.can_add_edge(from, to) {
            let found = if from == to {
                "a loop"
            } else if self.has_edge(from, to) {
                "one that is there already"
            } else {
                "one that closes a directed cycle"
            };
            return Err(Error::usage(
                format!("edge {from} → {to}"),
                "an edge that keeps the graph acyclic",
                found,
                "add another edge, or remove one first",
            ));
        }
        let d = self.n_nodes();
        let (parents, ancestors) = self.rows.split_at_mut(d);
        parents[to] |= 1 << from;
        let gained = ancestors[from] | 1 << from;
        ancestors[to] |= gained;
        // Whatever lies below `to` now lies below `from` and all above it.
        ancestors.iter_mut().filter(|row| contains(**row, to)).for_each(|row| *row |= gained);
        Ok(())
    }

    /// Removes `from` → `to`; refuses an edge that is not there.
    pub fn remove_edge(&mut self, from: usize, to: usize) -> Result<()> {
        if !self.has_edge(from, to) {
            return Err(Error::usage(
                format!("edge {from} → {to}"),
                "an edge of the graph",
                "none",
                "remove another edge",
            ));
        }
        let d = self.n_nodes();
        let (parents, ancestors) = self.rows.split_at_mut(d);
        parents[to] &= !(1 << from);
        // A node has more ancestors than any of its ancestors, so that sorting by their number, as it was before, is
        // a topological order.
        let mut affected: SmallVec<[usize; MAX_NODES]> =
            (0..d).filter(|&w| w == to || contains(ancestors[w], to)).collect();
        affected.sort_by_key(|&w| ancestors[w].count_ones());
        for node in affected {
            ancestors[node] = members(parents[node]).fold(0, |above, u| above | ancestors[u] | 1 << u);
        }
        Ok(())
    }

    fn ancestor_sets(&self) -> &[u64] {
        &self.rows[self.n_nodes()..]
    }

    fn check_node(&self, node: usize) {
        let d = self.n_nodes();
        assert!(node < d, "node {node} of a graph over {d} nodes");
    }
}

/// The members of a set of nodes, in increasing order.
pub fn members(mut set: u64) -> impl Iterator<Item = usize> {
    std::iter::from_fn(move || {
        let node = set.trailing_zeros() as usize;
        set &= set.wrapping_sub(1);
        (node < MAX_NODES).then_some(node)
    })
}

/// Whether `node` is in the set.
fn contains(set: u64, node: usize) -> bool {
    set >> node & 1 == 1
}

impl PartialEq for Dag {
    fn eq(&self, other: &Self) -> bool {
        self.parent_sets() == other.parent_sets()
    }
}

impl Eq for Dag {}

impl Hash for Dag {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.parent_sets().hash(state);
    }
}

/// The adjacency matrix, row by row: character `u · d + v` is `1` where u → v.
impl fmt::Display for Dag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let d = self.n_nodes();
        let text: String =
            (0..d * d).map(|k| if contains(self.parents(k % d), k / d) { '1' } else { '0' }).collect();
        f.pad(&text)
    }
}

impl fmt::Debug for Dag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Dag({self})")
    }
}

/// Reads what [`Display`](fmt::Display) writes; the error names the character or the edge at fault.
impl FromStr for Dag {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let place = || Place::item("graph");
        if let Some((k, character)) = text.chars().enumerate().find(|(_, c)| !matches!(c, '0' | '1')) {
            return Err(Error::input(
                place().column(k + 1),
                "0 or 1",
                format!("{character:?}"),
                "give the adjacency matrix row by row, without separators",
            ));
        }
        let d = text.len().isqrt();
        if d * d != text.len() || !(1..=MAX_NODES).contains(&d) {
            return Err(Error::input(
                place(),
                format!("d · d digits for d nodes, 1 to {MAX_NODES}"),
                format!("{} digits", text.len()),
                "give the adjacency matrix row by row, without separators",
            ));
        }
        let mut dag = Dag::empty(d)?;
        for (k, _) in text.bytes().enumerate().filter(|&(_, digit)| digit == b'1') {
            let (from, to) = (k / d, k % d);
            dag.add_edge(from, to).map_err(|error| {
                let found = format!("edge {from} → {to}, {}", error.found());
                Error::input(place().column(k + 1), error.expected(), found, "correct the graph")
            })?;
        }
        Ok(dag)
    }
}
