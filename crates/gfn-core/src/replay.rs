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

    /// The most objects it keeps.
    pub fn capacity(&self) -> usize {
        self.capacity
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
        if self.known.contains(object) {
            return;
        }
        self.known.insert(object.clone());
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grid::{Cell, Grid};
    use crate::random::stream;

    fn cell(n: u16) -> Cell {
        Cell::new(&[n])
    }

    #[test]
    fn the_best_distinct_objects_stay_in_order_whatever_the_order_of_offers() {
        let score = |n: u16| f64::from((u32::from(n) * 37) % 23);
        let mut rng = stream(0, "offers", 0);
        for capacity in [1, 2, 5, 40, 100] {
            let mut replay: Replay<Grid> = Replay::new(capacity);
            let mut offered = Vec::new();
            for _ in 0..300 {
                let n = rng.random_range(0..40u16);
                replay.offer(score(n), &cell(n));
                offered.push(n);
                let entries = replay.entries();
                assert!(entries.len() <= capacity && replay.capacity() == capacity);
                assert!(entries.windows(2).all(|pair| pair[0].0 >= pair[1].0), "by decreasing score");
            }
            // Against sorting all that was offered: the scores agree, objects do up to ties.
            offered.sort_unstable();
            offered.dedup();
            let mut all: Vec<f64> = offered.iter().map(|&n| score(n)).collect();
            all.sort_by(|a, b| b.total_cmp(a));
            all.truncate(capacity);
            let kept: Vec<f64> = replay.entries().iter().map(|e| e.0).collect();
            assert_eq!(kept, all, "capacity {capacity}");
            let mut cells: Vec<Cell> = replay.entries().iter().map(|e| e.1).collect();
            cells.sort();
            assert!(cells.windows(2).all(|pair| pair[0] != pair[1]), "distinct");
            assert!(replay.entries().iter().all(|(s, c)| *s == score(c.coordinates[0])));
        }
    }

    #[test]
    fn a_dropped_object_may_come_back_and_ties_do_not_push_out() {
        let mut replay: Replay<Grid> = Replay::new(2);
        replay.offer(1.0, &cell(1));
        replay.offer(2.0, &cell(2));
        replay.offer(1.0, &cell(3));
        assert_eq!(replay.entries(), [(2.0, cell(2)), (1.0, cell(1))]);
        replay.offer(3.0, &cell(3));
        assert_eq!(replay.entries(), [(3.0, cell(3)), (2.0, cell(2))]);
        replay.offer(4.0, &cell(1));
        assert_eq!(replay.entries(), [(4.0, cell(1)), (3.0, cell(3))]);
        // Known objects and scores that are no numbers change nothing.
        replay.offer(9.0, &cell(3));
        for score in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            replay.offer(score, &cell(7));
        }
        assert_eq!(replay.entries(), [(4.0, cell(1)), (3.0, cell(3))]);
    }

    #[test]
    fn draws_are_even_and_an_empty_buffer_gives_none() {
        let mut rng = stream(1, "draws", 0);
        let mut none: Replay<Grid> = Replay::new(0);
        none.offer(1.0, &cell(1));
        assert!(none.entries().is_empty() && none.draw(&mut rng).is_none());
        let mut replay: Replay<Grid> = Replay::new(4);
        (0..4).for_each(|n| replay.offer(f64::from(n), &cell(n)));
        let mut counts = [0usize; 4];
        for _ in 0..4000 {
            counts[usize::from(replay.draw(&mut rng).unwrap().coordinates[0])] += 1;
        }
        // Five standard deviations of a binomial count, 5 · √(4000 · ¼ · ¾) = 137: a false alarm in 400 000 seeds.
        assert!(counts.iter().all(|&c| c.abs_diff(1000) < 137), "{counts:?}");
    }
}
