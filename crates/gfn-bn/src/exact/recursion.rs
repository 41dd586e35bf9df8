//! The recursion over sets of sinks, forward and differentiated backward.

use rayon::prelude::*;

use super::scaled::{Scaled, power_of_two};
use super::table::{LocalScoreTable, MAX_EXACT_NODES};
use crate::score::squeeze;

/// Sets that differ in their lowest nodes only are summed up by one task: 16 kB of sums, which stay in the first cache.
const LOW_NODES: usize = 11;

/// Of so many nodes, all sets of sinks are taken at once, without looking whether they count.
const LEAF_NODES: usize = 4;

/// Terms of a(S) below this share of it are left out (at most 2^20 of them: 1e-13 of it), and likewise terms of the
/// derivatives, which are probabilities (at most 3^20 of them in all: 2e-10 in the worst case). Terms get no larger
/// as sinks are added, so that all terms of more sinks are left out as well.
const NEGLIGIBLE: f64 = 1.0 / (1u128 << 64) as f64;

/// A_v(U) = Σ_{P ⊆ U} exp(score_v(P) − offset_v) of all nodes v and sets U without v.
pub(super) struct ParentSums {
    /// By node, then by [`squeeze`]d set.
    sums: Vec<Vec<Scaled>>,
}

impl ParentSums {
    /// The sums of a table; offsets near the scores that matter keep the digits of these. `None` where scores are too far
    /// from the offsets.
    pub fn new(table: &LocalScoreTable, offsets: &[f64]) -> Option<Self> {
        let of_node = |node: usize| {
            let scores = table.of_node(node).iter();
            let mut sums: Vec<Scaled> =
                scores.map(|score| Scaled::exp(score - offsets[node])).collect::<Option<_>>()?;
            let mut bit = 1;
            while bit < sums.len() {
                for block in sums.chunks_exact_mut(2 * bit) {
                    let (without, with) = block.split_at_mut(bit);
                    with.iter_mut().zip(without).for_each(|(with, without)| *with = with.plus(*without));
                }
                bit *= 2;
            }
            Some(sums)
        };
        Some(ParentSums { sums: (0..table.n_nodes()).into_par_iter().map(of_node).collect::<Option<_>>()? })
    }

    fn n_nodes(&self) -> usize {
        self.sums.len()
    }

    fn get(&self, node: usize, set: usize) -> Scaled {
        self.sums[node][squeeze(set as u64, node) as usize]
    }
}

/// A node outside a set U that can have all its parents in U.
#[derive(Clone, Copy)]
struct Candidate {
    bit: usize,
    /// A_v(U).
    sum: Scaled,
}

/// The candidates of a set U, and all sets of the lowest of them.
struct Candidates {
    list: [Candidate; MAX_EXACT_NODES],
    length: usize,
    /// By the bits of their candidates among the lowest ones.
    leaves: [Leaf; 1 << LEAF_NODES],
}

/// A set T of the lowest candidates.
#[derive(Clone, Copy)]
struct Leaf {
    nodes: usize,
    /// (−1)^|T| Π_{v ∈ T} A_v(U).
    factor: Term,
}

impl Candidates {
    fn none() -> Self {
        let leaf = Leaf { nodes: 0, factor: Term { mantissa: 1.0, exponent: 0 } };
        Candidates {
            list: [Candidate { bit: 0, sum: Scaled::ZERO }; MAX_EXACT_NODES],
            length: 0,
            leaves: [leaf; 1 << LEAF_NODES],
        }
    }

    /// Takes the nodes of `from` whose term counts: `value` has the set of the node and A_v(U).
    fn collect(&mut self, sums: &ParentSums, set: usize, from: usize, value: impl Fn(usize, Scaled) -> f64) {
        self.length = 0;
        for node in nodes(from) {
            let (bit, sum) = (1 << node, sums.get(node, set));
            if sum.is_zero() || value(bit, sum).abs() < NEGLIGIBLE {
                continue;
            }
            if self.length < LEAF_NODES {
                let (without, with) = self.leaves.split_at_mut(1 << self.length);
                for (with, without) in with.iter_mut().zip(without) {
                    *with = Leaf { nodes: without.nodes | bit, factor: without.factor.with_sink(sum) };
                }
            }
            self.list[self.length] = Candidate { bit, sum };
            self.length += 1;
        }
    }

    fn leaves(&self) -> &[Leaf] {
        &self.leaves[..1 << self.length.min(LEAF_NODES)]
    }

    /// The candidates that are in no leaf.
    fn others(&self) -> &[Candidate] {
        &self.list[self.length.min(LEAF_NODES)..self.length]
    }
}

/// a(S) of all sets S, as mantissa · 2^exponent; the mantissa is 0 or at least 1.
pub(super) struct Weights {
    mantissas: Vec<f64>,
    exponents: Vec<i32>,
}

impl Weights {
    /// log a(V), V being all nodes (natural log), relative to the offsets of the sums.
    pub fn log_total(&self) -> f64 {
        let last = self.mantissas.len() - 1;
        f64::from(self.exponents[last]) * std::f64::consts::LN_2 + self.mantissas[last].ln()
    }
}

/// The weights of all sets.
///
/// A task holds the sets of the same higher nodes, and takes the sets U = S∖T one after the other: A_v(U) is then looked
/// up once for all T. Tasks with equally many higher nodes do not need each other.
pub(super) fn forward(sums: &ParentSums) -> Weights {
    let d = sums.n_nodes();
    let low = d.min(LOW_NODES);
    let mut weights = Weights { mantissas: vec![0.0; 1 << d], exponents: exponents(sums) };
    for size in 0..=(d - low) {
        let blocks: Vec<usize> =
            (0..1usize << (d - low)).filter(|high| high.count_ones() as usize == size).collect();
        let done: Vec<Vec<f64>> =
            blocks.par_iter().map(|&high| forward_block(sums, &weights, high, low)).collect();
        for (high, mantissas) in blocks.into_iter().zip(done) {
            weights.mantissas[high << low..(high + 1) << low].copy_from_slice(&mantissas);
        }
    }
    weights
}

/// Exponents of all sets S: the largest k with 2^k ≤ max_v f(S), where f(S) = max_v f(S∖v) A_v(S∖v) ≤ a(S).
///
/// As DAGs have sinks, a(S) ≤ |S|! f(S): mantissas are between 1 and 2 · 20!. Taking the largest score of each node
/// instead, the sum of which can be reached by cyclic graphs only, would lead far below 1.
fn exponents(sums: &ParentSums) -> Vec<i32> {
    let mut largest = vec![Scaled::ONE];
    for set in 1..1usize << sums.n_nodes() {
        let mut of_set = Scaled::ZERO;
        for sink in nodes(set) {
            let others = set & !(1 << sink);
            let value = largest[others].times(sums.get(sink, others));
            if of_set.less_than(value) {
                of_set = value;
            }
        }
        largest.push(of_set);
    }
    largest.into_iter().map(|value| value.exponent).collect()
}

/// The mantissas of the sets whose nodes from `low` on are the bits of `high`.
fn forward_block(sums: &ParentSums, weights: &Weights, high: usize, low: usize) -> Vec<f64> {
    let lows = (1usize << low) - 1;
    let mut block =
        Block { totals: vec![0.0; lows + 1], exponents: &weights.exponents[high << low..(high + 1) << low] };
    if high == 0 {
        block.totals[0] = 1.0;
    }
    let mut candidates = Candidates::none();
    let mut kept_high = 0;
    loop {
        let high_sinks = (high & !kept_high) << low;
        for low_set in 0..=lows {
            let set = kept_high << low | low_set;
            let weight = if kept_high == high { block.totals[low_set] } else { weights.mantissas[set] };
            if weight == 0.0 {
                continue;
            }
            // The sign of the term of T is (−1)^{|T|+1}: every sink turns it, beginning with − for none.
            let mut term = Term { mantissa: -weight, exponent: weights.exponents[set] };
            nodes(high_sinks).for_each(|sink| term = term.with_sink(sums.get(sink, set)));
            if high_sinks != 0 && term.over(block.exponents[low_set]).abs() < NEGLIGIBLE {
                continue;
            }
            candidates.collect(sums, set, lows & !low_set, |bit, sum| {
                term.with_sink(sum).over(block.exponents[low_set | bit])
            });
            // Without any sink, there is no term.
            let first = usize::from(high_sinks == 0);
            block.add_terms(low_set, term, &candidates.leaves()[first..], candidates.others(), &candidates);
        }
        if kept_high == high {
            return block.totals;
        }
        kept_high = kept_high.wrapping_sub(high) & high;
    }
}

/// ± a(U) Π_{v ∈ T} A_v(U).
#[derive(Clone, Copy)]
struct Term {
    /// Not normalised: between 1 and 20! · 2^22 in size.
    mantissa: f64,
    exponent: i32,
}

impl Term {
    fn with_sink(self, sum: Scaled) -> Self {
        Term { mantissa: -self.mantissa * sum.mantissa, exponent: self.exponent + sum.exponent }
    }

    fn times(self, factor: Term) -> Self {
        Term { mantissa: self.mantissa * factor.mantissa, exponent: self.exponent + factor.exponent }
    }

    /// The term over 2^exponent.
    fn over(self, exponent: i32) -> f64 {
        self.mantissa * power_of_two(self.exponent - exponent)
    }
}

/// Sums of terms of the sets that differ in their lowest nodes.
struct Block<'a> {
    totals: Vec<f64>,
    exponents: &'a [i32],
}

impl Block<'_> {
    /// Adds `term`, of which `set` is the set, with the sinks of all sets among the leaves and with all sets of others.
    fn add_terms(&mut self, set: usize, term: Term, leaves: &[Leaf], others: &[Candidate], all: &Candidates) {
        for leaf in leaves {
            let set = set | leaf.nodes;
            self.totals[set] += term.times(leaf.factor).over(self.exponents[set]);
        }
        for (i, candidate) in others.iter().enumerate() {
            let set = set | candidate.bit;
            let term = term.with_sink(candidate.sum);
            if term.over(self.exponents[set]).abs() >= NEGLIGIBLE {
                self.add_terms(set, term, all.leaves(), &others[..i], all);
            }
        }
    }
}

/// What differentiation gives.
pub(super) struct Derivatives {
    /// P(u → v) at `u · d + v`.
    pub edges: Vec<f64>,
    /// P(path from u to v) at `u · d + v`.
    pub paths: Vec<f64>,
    /// Σ_U s_v(U) by node v, then b(∅): all are 1 but for rounding.
    pub ones: Vec<f64>,
}

/// Differentiates log a(V), set by set from large to small. Sets of equal size do not need each other; a task takes
/// some of them, and what tasks found is added in their order.
pub(super) fn backward(sums: &ParentSums, weights: &Weights) -> Derivatives {
    let d = sums.n_nodes();
    let all = (1usize << d) - 1;
    let mut found = Derivatives { edges: vec![0.0; d * d], paths: vec![0.0; d * d], ones: vec![0.0; d + 1] };
    let mut ratios: Vec<Ratio> =
        weights.exponents.iter().map(|&exponent| Ratio { mantissa: 0.0, exponent }).collect();
    ratios[all].mantissa = 1.0 / weights.mantissas[all];
    for size in (0..d).rev() {
        let sets: Vec<usize> = (0..=all).filter(|set| set.count_ones() as usize == size).collect();
        let tasks: Vec<&[usize]> = sets.chunks(sets.len().div_ceil(256)).collect();
        let done: Vec<(Vec<f64>, Derivatives)> =
            tasks.par_iter().map(|sets| backward_sets(sums, weights, &ratios, sets)).collect();
        for (sets, (own_ratios, own)) in tasks.into_iter().zip(done) {
            sets.iter().zip(own_ratios).for_each(|(&set, ratio)| ratios[set].mantissa = ratio);
            let add = |to: &mut [f64], from: &[f64]| to.iter_mut().zip(from).for_each(|(to, x)| *to += x);
            add(&mut found.edges, &own.edges);
            add(&mut found.paths, &own.paths);
            add(&mut found.ones, &own.ones);
        }
    }
    found.ones[d] = ratios[0].mantissa;
    found
}

/// b(S) / a(S) as mantissa / 2^exponent, the exponent being that of a(S).
struct Ratio {
    mantissa: f64,
    exponent: i32,
}

impl Ratio {
    fn times(&self, term: Term) -> f64 {
        term.over(self.exponent) * self.mantissa
    }
}

/// Ratios of some sets U, and their contributions to what is sought.
fn backward_sets(
    sums: &ParentSums,
    weights: &Weights,
    ratios: &[Ratio],
    sets: &[usize],
) -> (Vec<f64>, Derivatives) {
    let d = sums.n_nodes();
    let all = (1usize << d) - 1;
    let mut found = Derivatives { edges: vec![0.0; d * d], paths: vec![0.0; d * d], ones: vec![0.0; d + 1] };
    let mut candidates = Candidates::none();
    let mut own_ratios = Vec::with_capacity(sets.len());
    for &set in sets {
        let mantissa = weights.mantissas[set];
        if mantissa == 0.0 {
            own_ratios.push(0.0);
            continue;
        }
        let term = Term { mantissa: -mantissa, exponent: weights.exponents[set] };
        candidates.collect(sums, set, all & !set, |bit, sum| ratios[set | bit].times(term.with_sink(sum)));
        let mut pull = Pull {
            ratios,
            candidates: &candidates,
            by_leaf: [0.0; 1 << LEAF_NODES],
            by_other: [0.0; MAX_EXACT_NODES],
        };
        // b(U), the probability that no edge enters U.
        let closed = pull.sum_terms(set, term, candidates.others(), true);
        own_ratios.push(closed / mantissa);
        for (k, candidate) in candidates.list[..candidates.length].iter().enumerate() {
            // s_v(U), the probability that U are the nodes not below v.
            let share = pull.of_sink(k);
            if share.abs() < NEGLIGIBLE {
                continue;
            }
            let sink = candidate.bit.trailing_zeros() as usize;
            found.ones[sink] += share;
            for u in nodes(set) {
                let without = sums.get(sink, set & !(1 << u)).share_of(candidate.sum);
                found.edges[u * d + sink] += share * (1.0 - without);
            }
            nodes(all & !set & !(1 << sink)).for_each(|below| found.paths[sink * d + below] += share);
        }
    }
    (own_ratios, found)
}

/// The sums over sets T of sinks of b(U ∪ T) · term / a(U ∪ T), for a set U.
struct Pull<'a> {
    ratios: &'a [Ratio],
    candidates: &'a Candidates,
    /// By the part of T among the leaves.
    by_leaf: [f64; 1 << LEAF_NODES],
    /// By member of T among the others.
    by_other: [f64; MAX_EXACT_NODES],
}

impl Pull<'_> {
    /// The sum over all sets with these sinks, any leaves, and any of `others`; over non-empty sets at the `root`.
    ///
    /// A term without its sign is the probability that no edge enters U, none enters U ∪ T, and none lies within T; it
    /// gets no larger as T grows.
    fn sum_terms(&mut self, set: usize, term: Term, others: &[Candidate], root: bool) -> f64 {
        let mut total = 0.0;
        for (leaf, sum) in self.candidates.leaves().iter().zip(&mut self.by_leaf).skip(usize::from(root)) {
            let set = set | leaf.nodes;
            let value = self.ratios[set].times(term.times(leaf.factor));
            *sum += value;
            total += value;
        }
        for (i, candidate) in others.iter().enumerate() {
            let set = set | candidate.bit;
            let term = term.with_sink(candidate.sum);
            let value = self.ratios[set].times(term);
            if value.abs() >= NEGLIGIBLE {
                let sum = self.sum_terms(set, term, &others[..i], false);
                self.by_other[i] += sum;
                total += sum;
            }
        }
        total
    }

    /// The sum over the sets that hold candidate number `k`.
    fn of_sink(&self, k: usize) -> f64 {
        match k.checked_sub(LEAF_NODES) {
            Some(other) => self.by_other[other],
            None => {
                (0..1 << LEAF_NODES).filter(|leaf| leaf >> k & 1 == 1).map(|leaf| self.by_leaf[leaf]).sum()
            }
        }
    }
}

/// The members of a set of nodes, in increasing order.
fn nodes(set: usize) -> impl Iterator<Item = usize> {
    crate::dag::members(set as u64)
}
