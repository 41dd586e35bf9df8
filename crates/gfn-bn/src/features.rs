//! What a posterior over graphs is asked for: probabilities of edges, paths and Markov blankets, and graphs made of them.
//!
//! Everything is computed from pairs of a graph and its weight: draws with weight 1, draws with importance weights, or
//! all graphs with their probabilities. Weights need not add up to 1: sums are divided last, so that probabilities
//! from counts are exact fractions. Matrices are d · d numbers, row by row: entry `u · d + v` belongs to u → v.
//!
//! P(u → v) is the share of graphs with this edge. From observational data it is no causal statement: graphs of one
//! Markov equivalence class ([`crate::equivalence`]) have the same likelihood, and which of them are likely is up to
//! the prior.

use std::hash::Hash;

use gfn_core::{Error, Place, Result};
use rustc_hash::FxHashMap;

use crate::dag::{Dag, MAX_NODES, members};
use crate::render::RenderEdge;

/// Marginal probabilities of structural features, each d · d, row by row, with zeros on the diagonal.
#[derive(Debug, Clone, PartialEq)]
pub struct FeatureProbabilities {
    /// Number of nodes, d.
    pub n_nodes: usize,
    /// Entry `u · d + v`: P(u → v).
    pub edges: Vec<f64>,
    /// Entry `u · d + v`: P(there is a directed path of at least one edge from u to v).
    pub paths: Vec<f64>,
    /// Entry `u · d + v`: P(u is in the Markov blanket of v): a parent, a child, or another parent of a child of v.
    /// Symmetric.
    pub markov_blankets: Vec<f64>,
}

impl FeatureProbabilities {
    /// The probabilities under weighted graphs, in one pass, O(d + features present) each.
    ///
    /// Refuses no graphs at all, graphs over different numbers of nodes, negative or non-finite weights, and weights
    /// whose sum is zero or overflows.
    ///
    /// ```
    /// use gfn_bn::Dag;
    /// use gfn_bn::features::FeatureProbabilities;
    ///
    /// let (forward, backward): (Dag, Dag) = ("0100".parse()?, "0010".parse()?);
    /// let features = FeatureProbabilities::of([(&forward, 3.0), (&backward, 1.0)])?;
    /// assert_eq!(features.edges, [0.0, 0.75, 0.25, 0.0]);
    /// assert_eq!(features.either(0, 1), 1.0);
    /// # Ok::<(), gfn_bn::core::Error>(())
    /// ```
    pub fn of<'a>(graphs: impl IntoIterator<Item = (&'a Dag, f64)>) -> Result<Self> {
        // Sums are by column, as parents and ancestors are: entry `v · d + u` belongs to u → v.
        let (mut edges, mut paths, mut blankets) = (Vec::new(), Vec::new(), Vec::new());
        let mut sets = Vec::new();
        let mut n_nodes = 0;
        let total = for_each_weighted(graphs, |dag, weight| {
            n_nodes = dag.n_nodes();
            for sums in [&mut edges, &mut paths, &mut blankets] {
                sums.resize(n_nodes * n_nodes, 0.0);
            }
            markov_blankets(dag, &mut sets);
            for (v, &blanket) in sets.iter().enumerate() {
                let row = v * n_nodes..(v + 1) * n_nodes;
                add(&mut edges[row.clone()], dag.parents(v), weight);
                add(&mut paths[row.clone()], dag.ancestors(v), weight);
                add(&mut blankets[row], blanket, weight);
            }
        })?;
        Ok(FeatureProbabilities {
            n_nodes,
            edges: transposed_share(&edges, n_nodes, total),
            paths: transposed_share(&paths, n_nodes, total),
            markov_blankets: transposed_share(&blankets, n_nodes, total),
        })
    }

    /// P(u → v) + P(v → u): the probability of an edge between the two, in whichever direction.
    pub fn either(&self, u: usize, v: usize) -> f64 {
        either(&self.edges, self.n_nodes, u, v)
    }
}

/// Monte Carlo standard errors of P(u → v), d · d, from independent draws, one item each.
///
/// √(Σᵢ w̃ᵢ² (1[u → v in graph i] − P)²) with normalised weights w̃: the delta-method error of the self-normalised
/// importance sampling estimate (Owen 2013, *Monte Carlo theory, methods and examples*, eq. 9.9). With equal weights
/// it is √(P (1 − P) / n). An edge that no draw has, or every draw, gets 0: all that n draws say is that its
/// probability is below, or above 1 minus, about 3 / n. Draws of one Markov chain are not independent, and a
/// table of distinct graphs is not a list of draws: the errors are too small then. Errors as of
/// [`FeatureProbabilities::of`].
pub fn edge_standard_errors<'a>(graphs: impl IntoIterator<Item = (&'a Dag, f64)>) -> Result<Vec<f64>> {
    let (mut sums, mut squares, mut all_squares) = (Vec::new(), Vec::new(), 0.0);
    let mut d = 0;
    let total = for_each_weighted(graphs, |dag, weight| {
        d = dag.n_nodes();
        sums.resize(d * d, 0.0);
        squares.resize(d * d, 0.0);
        for (v, &parents) in dag.parent_sets().iter().enumerate() {
            add(&mut sums[v * d..(v + 1) * d], parents, weight);
            add(&mut squares[v * d..(v + 1) * d], parents, weight * weight);
        }
        all_squares += weight * weight;
    })?;
    // The squares of very small or large weights leave the range of numbers before the weights do.
    check_sum(all_squares)?;
    let with = transposed_share(&squares, d, total * total);
    let without = all_squares / (total * total);
    let error = |(p, with): (f64, f64)| (with * (1.0 - p).powi(2) + (without - with) * p * p).max(0.0).sqrt();
    Ok(transposed_share(&sums, d, total).into_iter().zip(with).map(error).collect())
}

/// The different graphs with their probabilities, most probable first, then by name. Errors as of
/// [`FeatureProbabilities::of`].
pub fn distinct_graphs<'a>(graphs: impl IntoIterator<Item = (&'a Dag, f64)>) -> Result<Vec<(Dag, f64)>> {
    let table = tabulate(graphs, |dag| dag, |dag, u| children(dag, u))?;
    Ok(table.into_iter().map(|(dag, probability)| (dag.clone(), probability)).collect())
}

/// The edges (u, v, P(u → v)) with probability above ½, in the order of the bit string: the median probability model
/// (Barbieri & Berger 2004, *Annals of Statistics* 32:870), applied to edges.
///
/// It need not be acyclic, as each edge is judged alone: see [`directed_cycle`]. `edges` are d · d probabilities
/// ([`FeatureProbabilities::edges`], or exact ones); panics if their number is no square.
pub fn median_probability_graph(edges: &[f64]) -> Vec<(usize, usize, f64)> {
    let d = side(edges);
    let likely = edges.iter().enumerate().filter(|(_, probability)| **probability > 0.5);
    likely.map(|(k, &probability)| (k / d, k % d, probability)).collect()
}

/// Nodes u₁ → u₂ → … → u₁ of a directed cycle among edges over `n_nodes` nodes, the first not repeated at the end;
/// `None` where there is none. Panics on nodes that do not exist.
pub fn directed_cycle(n_nodes: usize, edges: impl IntoIterator<Item = (usize, usize)>) -> Option<Vec<usize>> {
    let mut parents = vec![Vec::new(); n_nodes];
    edges.into_iter().for_each(|(from, to)| parents[to].push(from));
    // Without its sources, again and again, an acyclic graph vanishes.
    let mut left: Vec<usize> = (0..n_nodes).collect();
    let mut is_left = vec![true; n_nodes];
    loop {
        let sources: Vec<usize> =
            left.iter().copied().filter(|&v| !parents[v].iter().any(|&u| is_left[u])).collect();
        if sources.is_empty() {
            break;
        }
        sources.iter().for_each(|&v| is_left[v] = false);
        left.retain(|&v| is_left[v]);
    }
    // Every node that is left has a parent that is left: going up, some node comes twice.
    let mut walk = vec![*left.first()?];
    loop {
        let above = parents[*walk.last()?].iter().copied().find(|&u| is_left[u])?;
        if let Some(first) = walk.iter().position(|&v| v == above) {
            let mut cycle = walk.split_off(first);
            cycle.reverse();
            return Some(cycle);
        }
        walk.push(above);
    }
}

/// A graph of what most graphs agree on: pairs with P(edge either way) above ½, in the order of the bit string.
///
/// The rule: an edge is directed u → v where P(u → v) is at least ⅔ of P(edge either way), with P(u → v) as its
/// probability; otherwise it is undirected, u < v, with P(edge either way) as its probability. Members of one Markov
/// equivalence class that disagree about a direction thus leave it open. The directed edges may hold a cycle
/// ([`directed_cycle`]). `edges` are d · d probabilities; panics if their number is no square.
pub fn consensus_graph(edges: &[f64]) -> Vec<RenderEdge> {
    let d = side(edges);
    let mut consensus = Vec::new();
    for (u, v) in (0..d * d).map(|k| (k / d, k % d)).filter(|(u, v)| u < v) {
        let adjacent = either(edges, d, u, v);
        if adjacent <= 0.5 {
            continue;
        }
        let ways = [(u, v), (v, u)].map(|(from, to)| (from, to, edges[from * d + to]));
        let directed = ways.into_iter().find(|(_, _, probability)| 3.0 * probability >= 2.0 * adjacent);
        consensus.push(match directed {
            Some((from, to, probability)) => RenderEdge { from, to, directed: true, probability },
            None => RenderEdge { from: u, to: v, directed: false, probability: adjacent },
        });
    }
    consensus.sort_by_key(|edge| (edge.from, edge.to));
    consensus
}

/// Areas under the receiver operating characteristic, from [`edge_auc`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct EdgeAuc {
    /// Over all ordered pairs u ≠ v: P(u → v) as the score of the edge u → v of the reference.
    pub directed: Option<f64>,
    /// Over all pairs {u, v}: P(edge either way) as the score of an edge between the two in the reference.
    pub skeleton: Option<f64>,
}

/// How well edge probabilities separate the edges of a reference graph from the pairs without an edge.
///
/// The area under the receiver operating characteristic is the probability that a random edge of the reference has a
/// higher score than a random pair without one, ties counting half (Hanley & McNeil 1982, *Radiology* 143:29): 1 is
/// perfect, ½ is chance; `None` where the reference has no edge, or no pair without one. `edges` are d · d
/// probabilities; panics if the reference has another number of nodes.
pub fn edge_auc(edges: &[f64], reference: &Dag) -> EdgeAuc {
    let d = reference.n_nodes();
    assert_eq!(edges.len(), d * d, "edge probabilities for a reference over {d} nodes");
    let pairs = || (0..d * d).map(|k| (k / d, k % d));
    let directed = pairs().filter(|(u, v)| u != v);
    let skeleton = pairs().filter(|(u, v)| u < v);
    let joined = |u: usize, v: usize| reference.has_edge(u, v) || reference.has_edge(v, u);
    EdgeAuc {
        directed: area(directed.map(|(u, v)| (edges[u * d + v], reference.has_edge(u, v))).collect()),
        skeleton: area(skeleton.map(|(u, v)| (either(edges, d, u, v), joined(u, v))).collect()),
    }
}

/// The area for (score, whether it is positive), in O(n log n).
fn area(mut scored: Vec<(f64, bool)>) -> Option<f64> {
    scored.sort_by(|a, b| a.0.total_cmp(&b.0));
    let (mut won, mut negatives) = (0.0, 0.0);
    for tied in scored.chunk_by(|a, b| a.0 == b.0) {
        let positive = tied.iter().filter(|(_, positive)| *positive).count() as f64;
        let negative = tied.len() as f64 - positive;
        won += positive * (negatives + negative / 2.0);
        negatives += negative;
    }
    let comparisons = negatives * (scored.len() as f64 - negatives);
    (comparisons > 0.0).then(|| won / comparisons)
}

/// Each graph's key with the probability of the key, most probable first, then by name: d rows of d digits, each row
/// the word whose bit v is digit v.
pub(crate) fn tabulate<'a, K: Hash + Eq>(
    graphs: impl IntoIterator<Item = (&'a Dag, f64)>,
    key: impl Fn(&'a Dag) -> K,
    name_row: impl Fn(&K, usize) -> u64,
) -> Result<Vec<(K, f64)>> {
    let mut sums: FxHashMap<K, f64> = FxHashMap::default();
    let mut d = 0;
    let total = for_each_weighted(graphs, |dag, weight| {
        d = dag.n_nodes();
        *sums.entry(key(dag)).or_default() += weight;
    })?;
    // Of many draws most are equally probable: the first digits beside the key decide most comparisons without a look
    // at the rest of two graphs, somewhere in memory.
    let first_digits = |key: &K| {
        let rows = 0..d.min(u128::BITS as usize / d);
        rows.fold(0, |digits, u| digits << d | u128::from(name_row(key, u).reverse_bits() >> (MAX_NODES - d)))
    };
    let mut table: Vec<(f64, u128, K)> =
        sums.into_iter().map(|(key, sum)| (sum / total, first_digits(&key), key)).collect();
    table.sort_unstable_by(|a, b| {
        let rows =
            |entry: &(f64, u128, K)| (0..d).map(|u| name_row(&entry.2, u).reverse_bits()).collect::<Vec<_>>();
        b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)).then_with(|| rows(a).cmp(&rows(b)))
    });
    Ok(table.into_iter().map(|(probability, _, key)| (key, probability)).collect())
}

/// Hands on each graph with its weight, checked, and returns the sum of the weights.
fn for_each_weighted<'a>(
    graphs: impl IntoIterator<Item = (&'a Dag, f64)>,
    mut each: impl FnMut(&'a Dag, f64),
) -> Result<f64> {
    let mut n_nodes = None;
    let mut total = 0.0;
    for (index, (dag, weight)) in graphs.into_iter().enumerate() {
        let place = |what: &str| Place::item(format!("{what} {}", index + 1));
        let d = *n_nodes.get_or_insert(dag.n_nodes());
        if dag.n_nodes() != d {
            let expected = format!("{d} nodes, as the graphs before it");
            let found = format!("{} nodes", dag.n_nodes());
            return Err(Error::input(place("graph"), expected, found, "keep the two sets apart"));
        }
        if !(weight.is_finite() && weight >= 0.0) {
            let (expected, found) = ("a finite number of at least 0", weight.to_string());
            return Err(Error::input(place("weight of graph"), expected, found, "check the log weights"));
        }
        total += weight;
        each(dag, weight);
    }
    if n_nodes.is_none() {
        let advice = "draw some samples first";
        return Err(Error::input(Place::item("graphs"), "at least one graph", "none", advice));
    }
    check_sum(total)?;
    Ok(total)
}

/// Refuses sums of weights, or of their squares, that nothing can be divided by.
fn check_sum(sum: f64) -> Result<()> {
    if sum.is_normal() {
        return Ok(());
    }
    let advice = "subtract the greatest log weight before exponentiating";
    Err(Error::input(Place::item("weights"), "a positive and finite sum", sum.to_string(), advice))
}

/// The Markov blanket of each node: its parents, its children, and their other parents; O(d + edges).
fn markov_blankets(dag: &Dag, blankets: &mut Vec<u64>) {
    blankets.clear();
    blankets.extend_from_slice(dag.parent_sets());
    for (child, &parents) in dag.parent_sets().iter().enumerate() {
        members(parents).for_each(|node| blankets[node] |= parents & !(1 << node) | 1 << child);
    }
}

/// Adds the weight to the sums of all members of a set.
fn add(sums: &mut [f64], set: u64, weight: f64) {
    members(set).for_each(|member| sums[member] += weight);
}

/// Transposed sums as shares of the total. No share is above 1: rounding is monotone, and every term is in the total.
fn transposed_share(sums: &[f64], d: usize, total: f64) -> Vec<f64> {
    (0..d * d).map(|k| sums[k % d * d + k / d] / total).collect()
}

/// P(u → v) + P(v → u), which rounding may lift above 1.
fn either(edges: &[f64], d: usize, u: usize, v: usize) -> f64 {
    (edges[u * d + v] + edges[v * d + u]).min(1.0)
}

/// d, of d · d numbers.
fn side(edges: &[f64]) -> usize {
    let d = edges.len().isqrt();
    assert_eq!(d * d, edges.len(), "{} edge probabilities are no square matrix", edges.len());
    d
}

/// The nodes v with u → v.
fn children(dag: &Dag, u: usize) -> u64 {
    dag.parent_sets().iter().enumerate().map(|(v, &parents)| (parents >> u & 1) << v).sum()
}
