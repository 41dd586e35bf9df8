//! Local scores in a table of fixed size: one look, no growth, what is pushed out is computed again.

use crate::score::squeeze;

/// Most entries of a cache: 8 MB. All parent sets of up to sixteen nodes find room.
const MAX_ENTRIES: usize = 1 << 19;

/// Stands where nothing is stored: a node is no parent of itself, so that no parent set has all bits.
const EMPTY: u64 = u64::MAX;

/// A score with a cache, in which every node and parent set has its place; a later one takes the place of another.
pub(super) struct ScoreCache<'a> {
    score: &'a (dyn Fn(usize, u64) -> f64 + Sync),
    /// By node, then by place: the parent set and its score.
    entries: Vec<(u64, f64)>,
    /// Binary logarithm of the number of places of a node.
    bits: u32,
    /// Whether each parent set has a place of its own.
    dense: bool,
}

impl<'a> ScoreCache<'a> {
    pub fn new(n_nodes: usize, score: &'a (dyn Fn(usize, u64) -> f64 + Sync)) -> Self {
        let (most, all) = ((MAX_ENTRIES / n_nodes).ilog2(), n_nodes as u32 - 1);
        let bits = most.min(all);
        ScoreCache { score, entries: vec![(EMPTY, 0.0); n_nodes << bits], bits, dense: all <= most }
    }

    /// The local score of `node` with these parents (natural log).
    pub fn get(&mut self, node: usize, parents: u64) -> f64 {
        let place = if self.dense {
            squeeze(parents, node)
        } else {
            // Multiplicative hashing (Knuth, TAOCP 3, 6.4), by 2^64 over the golden ratio.
            parents.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (u64::BITS - self.bits)
        };
        let entry = &mut self.entries[node << self.bits | place as usize];
        if entry.0 != parents {
            *entry = (parents, (self.score)(node, parents));
        }
        entry.1
    }
}
