//! The best distinct objects seen so far, to walk backward from.

use rand::RngExt;
use rand::rngs::ChaCha8Rng;
use rustc_hash::FxHashSet;

use crate::environment::Environment;

/// At most `capacity` distinct objects, by decreasing score.
#[derive(Debug, Clone)]
pub struct Replay<E: Environment> {
    capacity: usize,
    entries: Vec<(f64, E::State)>,
    known: FxHashSet<E::State>,
}

impl<E: Environment> Replay<E> {
    /// An empty buffer.
    pub fn new(capacity: usize) -> Self {
        Replay { capacity, entries: Vec::new(), known: FxHashSet::default() }
    }

    /// Offers an object; it stays while it is among the best. Scores that are not finite are refused.
    pub fn offer(&mut self, score: f64, object: &E::State) {
        if self.capacity == 0 || !score.is_finite() {
            return;
        }
        let full = self.entries.len() == self.capacity;
        if full && self.entries.last().is_some_and(|(lowest, _)| score <= *lowest) {
            return;
        }
        if !self.known.insert(object.clone()) {
            return;
        }
        if full && let Some((_, dropped)) = self.entries.pop() {
            self.known.remove(&dropped);
        }
        let position = self.entries.partition_point(|(s, _)| *s >= score);
        self.entries.insert(position, (score, object.clone()));
    }

    /// Objects with their scores, best first.
    pub fn entries(&self) -> &[(f64, E::State)] {
        &self.entries
    }

    /// A uniformly drawn object.
    pub fn draw(&self, rng: &mut ChaCha8Rng) -> Option<&E::State> {
        if self.entries.is_empty() {
            return None;
        }
        Some(&self.entries[rng.random_range(0..self.entries.len())].1)
    }
}
