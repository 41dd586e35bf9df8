//! The graph of the largest score, by dynamic programming over sets of nodes.

use rayon::prelude::*;

use super::table::LocalScoreTable;
use crate::dag::{Dag, members};
use crate::score::squeeze;

/// A graph of the largest score, `None` if every graph has the score −∞ (Silander & Myllymäki 2006, UAI).
///
/// best(S) = max_{v ∈ S} best(S∖v) + max_{P ⊆ S∖v} score_v(P): v is a sink of the best graph over S. Of several, the
/// one whose last sink has the smallest number.
pub(super) fn best_graph(table: &LocalScoreTable) -> Option<Dag> {
    let d = table.n_nodes();
    let best_parents: Vec<Vec<f64>> =
        (0..d).into_par_iter().map(|v| best_subsets(table.of_node(v))).collect();
    let with_sink = |best: &[f64], set: u64, v: usize| {
        let others = set & !(1 << v);
        best[others as usize] + best_parents[v][squeeze(others, v) as usize]
    };
    let all = (1u64 << d) - 1;
    let mut best = vec![0.0];
    for set in 1..=all {
        let score = members(set).map(|v| with_sink(&best, set, v)).fold(f64::NEG_INFINITY, f64::max);
        best.push(score);
    }
    if best[all as usize] == f64::NEG_INFINITY {
        return None;
    }
    let mut dag = Dag::empty(d).expect("the size of a table is that of a graph");
    let mut set = all;
    while set != 0 {
        // The same sums in the same order: one of them is equal to the last digit.
        let sink =
            members(set).find(|&v| with_sink(&best, set, v) == best[set as usize]).expect("the largest");
        set &= !(1 << sink);
        let wanted = best_parents[sink][squeeze(set, sink) as usize];
        let parents = subsets(set).find(|&parents| table.local_score(sink, parents) == wanted);
        for parent in members(parents.expect("the largest")) {
            dag.add_edge(parent, sink).expect("parents come before their child");
        }
    }
    Some(dag)
}

/// The largest score among the subsets of each set.
fn best_subsets(scores: &[f64]) -> Vec<f64> {
    let mut best = scores.to_vec();
    let mut bit = 1;
    while bit < best.len() {
        for block in best.chunks_exact_mut(2 * bit) {
            let (without, with) = block.split_at_mut(bit);
            with.iter_mut().zip(without).for_each(|(with, without)| *with = with.max(*without));
        }
        bit *= 2;
    }
    best
}

/// All subsets of a set, in increasing order.
fn subsets(set: u64) -> impl Iterator<Item = u64> {
    let mut next = Some(0u64);
    std::iter::from_fn(move || {
        let subset = next?;
        next = (subset != set).then(|| subset.wrapping_sub(set) & set);
        Some(subset)
    })
}
