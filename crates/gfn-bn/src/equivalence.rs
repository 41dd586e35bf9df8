//! Markov equivalence classes: the completed partially directed graph of a DAG.
//!
//! Two DAGs say the same about conditional independence exactly if they have the same skeleton and the same
//! v-structures a → c ← b, a and b not adjacent (Verma & Pearl 1990); observational data, and scores that are score
//! equivalent such as BGe and BDeu, cannot tell them apart. What all of them share is their completed partially
//! directed graph ([`Cpdag`]).
//!
//! A uniform prior over DAGs is not uniform over classes: a class of many members gets more. And where knowledge
//! ([`Constraints`](crate::Constraints)) excludes graphs, a class is counted with those of its members that are
//! allowed. The completed graph does not show this: an edge that it leaves undirected may have one direction only in
//! all allowed members (Meek 1995), and two posteriors over different allowed members look alike.

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

use gfn_core::{Error, Place, Result};

use crate::dag::{Dag, MAX_NODES, members};
use crate::features::tabulate;

/// The completed partially directed graph of a Markov equivalence class, also called its essential graph.
///
/// An edge that all members of the class have is compelled, u → v; one that they have in both directions is
/// reversible, u — v. Equal exactly if the classes are the same. As text, and in its order, it is a row-major bit
/// string like that of a [`Dag`]: bit `u · d + v` says that some member has the edge u → v, so that a compelled edge
/// sets one bit and a reversible edge both.
///
/// ```
/// use gfn_bn::Dag;
/// use gfn_bn::equivalence::Cpdag;
///
/// let chain: Dag = "010001000".parse()?;
/// assert_eq!(Cpdag::from(&chain).to_string(), "010101010");
/// let collider: Dag = "001001000".parse()?;
/// assert_eq!(Cpdag::from(&collider).to_string(), "001001000");
/// # Ok::<(), gfn_bn::core::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Cpdag {
    /// Of each node u, the nodes v with u → v or u — v.
    rows: Box<[u64]>,
}

impl Cpdag {
    /// Number of nodes, d.
    pub fn n_nodes(&self) -> usize {
        self.rows.len()
    }

    /// The compelled edges (from, to), in the order of the bit string.
    pub fn compelled_edges(&self) -> impl Iterator<Item = (usize, usize)> + '_ {
        self.bits().filter(|&(u, v)| !self.has_bit(v, u))
    }

    /// The reversible edges (u, v), u < v, in the order of the bit string.
    pub fn reversible_edges(&self) -> impl Iterator<Item = (usize, usize)> + '_ {
        self.bits().filter(|&(u, v)| u < v && self.has_bit(v, u))
    }

    /// One member of the class, always the same.
    pub fn member(&self) -> Dag {
        extension(&self.rows).expect("a class has members")
    }

    fn bits(&self) -> impl Iterator<Item = (usize, usize)> + '_ {
        self.rows.iter().enumerate().flat_map(|(u, &row)| members(row).map(move |v| (u, v)))
    }

    fn has_bit(&self, u: usize, v: usize) -> bool {
        self.rows[u] >> v & 1 == 1
    }
}

/// Chickering's order-and-label algorithm (1995, UAI, "A transformational characterization of equivalent Bayesian
/// network structures", figs. 5 and 6), O(d log d + edges).
///
/// It takes the nodes y in a topological order and, of the unlabelled edges into y, the one from the last node x in
/// that order; this step labels all edges into y. So with x the last parent of y: if a compelled edge w → x has its
/// w outside the parents of y, or y has a parent other than x that is no parent of x, all edges into y are
/// compelled. Otherwise those from the compelled parents of x are, and the rest are reversible.
impl From<&Dag> for Cpdag {
    fn from(dag: &Dag) -> Self {
        // A node has more ancestors than any of its ancestors.
        let place: Vec<_> = (0..dag.n_nodes()).map(|node| (dag.ancestors(node).count_ones(), node)).collect();
        let mut order = place.clone();
        order.sort_unstable();
        let mut compelled = [0; MAX_NODES];
        let mut rows = vec![0; dag.n_nodes()];
        for (_, y) in order {
            let parents = dag.parents(y);
            let Some(x) = members(parents).max_by_key(|&u| place[u]) else { continue };
            let is_within = compelled[x] & !parents == 0 && parents & !(1 << x) & !dag.parents(x) == 0;
            compelled[y] = if is_within { compelled[x] } else { parents };
            members(parents).for_each(|u| rows[u] |= 1 << y);
            rows[y] |= parents & !compelled[y];
        }
        Cpdag { rows: rows.into() }
    }
}

/// The order of the bit strings.
impl Ord for Cpdag {
    fn cmp(&self, other: &Self) -> Ordering {
        // Bit 0 is the first digit of a row.
        let by_digits = || {
            let digits = self.rows.iter().map(|row| row.reverse_bits());
            digits.cmp(other.rows.iter().map(|row| row.reverse_bits()))
        };
        self.n_nodes().cmp(&other.n_nodes()).then_with(by_digits)
    }
}

impl PartialOrd for Cpdag {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// Row by row: character `u · d + v` is `1` where u → v or u — v.
impl fmt::Display for Cpdag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let d = self.n_nodes();
        let text: String = (0..d * d).map(|k| if self.has_bit(k / d, k % d) { '1' } else { '0' }).collect();
        f.pad(&text)
    }
}

impl fmt::Debug for Cpdag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Cpdag({self})")
    }
}

/// Reads what [`Display`](fmt::Display) writes; refuses what is not the completed graph of any class.
impl FromStr for Cpdag {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let refuse = |place: Place, expected: String, found: String| {
            Err(Error::input(place, expected, found, "give the class as it was written, row by row"))
        };
        let place = || Place::item("equivalence class");
        if let Some((k, character)) = text.chars().enumerate().find(|(_, c)| !matches!(c, '0' | '1')) {
            return refuse(place().column(k + 1), "0 or 1".into(), format!("{character:?}"));
        }
        let d = text.len().isqrt();
        if d * d != text.len() || !(1..=MAX_NODES).contains(&d) {
            let expected = format!("d · d digits for d nodes, 1 to {MAX_NODES}");
            return refuse(place(), expected, format!("{} digits", text.len()));
        }
        let mut rows = vec![0; d];
        for (k, _) in text.bytes().enumerate().filter(|&(_, digit)| digit == b'1') {
            rows[k / d] |= 1 << (k % d);
        }
        let cpdag = Cpdag { rows: rows.into() };
        match extension(&cpdag.rows).map(|member| Cpdag::from(&member)) {
            Some(completed) if completed == cpdag => Ok(cpdag),
            Some(completed) => {
                refuse(place(), "a completed graph".into(), format!("one whose completion is {completed}"))
            }
            None => refuse(place(), "the graph of a class of DAGs".into(), "one that fits no DAG".into()),
        }
    }
}

/// A DAG with the skeleton, the directed edges and the v-structures of a partially directed graph, or `None`: sinks
/// whose neighbours are joined to all that is adjacent to the sink are taken away one by one (Dor & Tarsi 1992, "A
/// simple algorithm to construct a consistent extension of a partially oriented graph").
fn extension(rows: &[u64]) -> Option<Dag> {
    let d = rows.len();
    let columns: Vec<u64> =
        (0..d).map(|v| (0..d).filter(|&u| rows[u] >> v & 1 == 1).map(|u| 1 << u).sum()).collect();
    let mut dag = Dag::empty(d).ok()?;
    let mut left = u64::MAX >> (MAX_NODES - d);
    while left != 0 {
        let is_sink = |&x: &usize| {
            let neighbours = rows[x] & columns[x] & left;
            let adjacent = (rows[x] | columns[x]) & left;
            let joined = |y: usize| adjacent & !(1 << y) & !(rows[y] | columns[y]) == 0;
            rows[x] & !columns[x] & left == 0 && members(neighbours).all(joined)
        };
        let x = members(left).find(is_sink)?;
        left &= !(1 << x);
        members(columns[x] & left).try_for_each(|u| dag.add_edge(u, x).ok())?;
    }
    Some(dag)
}

/// Whether two DAGs are Markov equivalent, by skeleton and v-structures (Verma & Pearl 1990), O(d + edges); false for
/// different numbers of nodes.
pub fn same_class(a: &Dag, b: &Dag) -> bool {
    let (skeleton_a, skeleton_b) = (skeleton(a), skeleton(b));
    // The nodes that form a v-structure with u at v.
    let partners = |dag: &Dag, u: usize, v: usize| match dag.has_edge(u, v) {
        true => dag.parents(v) & !skeleton_a[u] & !(1 << u),
        false => 0,
    };
    // With one skeleton, an edge either way in `a` is one of either way in `b`.
    skeleton_a == skeleton_b
        && (0..a.n_nodes()).all(|v| members(skeleton_a[v]).all(|u| partners(a, u, v) == partners(b, u, v)))
}

/// The nodes adjacent to each node.
fn skeleton(dag: &Dag) -> Vec<u64> {
    let mut adjacent = dag.parent_sets().to_vec();
    dag.edges().for_each(|(from, to)| adjacent[from] |= 1 << to);
    adjacent
}

/// The equivalence classes of weighted graphs with their probabilities, most probable first, then by name.
///
/// A class has the weight of those of its members that are given: of draws, those drawn. Errors as of
/// [`FeatureProbabilities::of`](crate::features::FeatureProbabilities::of).
pub fn class_probabilities<'a>(
    graphs: impl IntoIterator<Item = (&'a Dag, f64)>,
) -> Result<Vec<(Cpdag, f64)>> {
    tabulate(graphs, Cpdag::from, |cpdag, u| cpdag.rows[u])
}
