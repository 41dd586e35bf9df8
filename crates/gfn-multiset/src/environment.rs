//! The environment of multisets: start with none, add one item at a time until `size` are held.

use gfn_core::environment::fingerprint;
use gfn_core::{EnvSpec, Environment, Error, Heads, Result, StopRule};
use rand::RngExt;
use rand::rngs::ChaCha8Rng;

/// A multiset: how many items of each kind are held. Order does not exist here, so equal counts are equal objects.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Multiset {
    counts: Vec<u32>,
}

impl Multiset {
    /// The multiset with these counts, one per kind.
    pub fn new(counts: Vec<u32>) -> Self {
        Multiset { counts }
    }

    /// Items held of each kind.
    pub fn counts(&self) -> &[u32] {
        &self.counts
    }

    /// Items held.
    pub fn total(&self) -> u32 {
        self.counts.iter().sum()
    }
}

/// Most binary features of a state: beyond, a network over them does not fit into memory.
pub const MAX_FEATURES: usize = 1_000_000;

/// The environment of multisets of `size` items out of `n_kinds` kinds, with repetition (docs/mathematics.md §5).
///
/// * Objects: the C(n_kinds + size − 1, size) multisets with `size` items. States: those with at most `size` items.
/// * Forward action `i`: add an item of kind `i`. A state with `size` items has none left ([`StopRule::Exhausted`]).
/// * Backward action `i`: take an item of kind `i` away, with probability ∝ the number of them. Backward walks then
///   take items away in a uniformly random order.
/// * Features, `n_kinds · size + size + 1` in one row: `i · size + (j − 1)` says that at least `j` items of kind `i`
///   are held (a thermometer), `n_kinds · size + t` that `t` items are held in total.
#[derive(Debug, Clone)]
pub struct Multisets {
    spec: EnvSpec,
    n_kinds: usize,
    size: usize,
}

impl Multisets {
    /// The environment of multisets of `size` ≥ 1 items out of `n_kinds` ≥ 1 kinds.
    pub fn new(n_kinds: usize, size: usize) -> Result<Self> {
        for (name, number) in [("kinds", n_kinds), ("size", size)] {
            if number == 0 {
                return Err(Error::usage(
                    name,
                    "at least 1",
                    "0",
                    "ask for a problem with something to choose",
                ));
            }
        }
        let n_features = n_kinds.checked_mul(size).and_then(|n| n.checked_add(size + 1));
        let Some(width) = n_features.filter(|&n| n <= MAX_FEATURES) else {
            return Err(Error::usage(
                "kinds and size",
                format!("at most {MAX_FEATURES} features, kinds · size + size + 1"),
                format!("{n_kinds} kinds, size {size}"),
                "use fewer kinds or smaller multisets",
            ));
        };
        let spec = EnvSpec {
            name: "multisets".into(),
            fingerprint: fingerprint(&["multisets", &n_kinds.to_string(), &size.to_string()]),
            rows: 1,
            width,
            n_forward: n_kinds,
            n_backward: n_kinds,
            heads: Heads::Flat,
            stop: StopRule::Exhausted,
        };
        Ok(Multisets { spec, n_kinds, size })
    }

    /// Kinds to choose from.
    pub fn n_kinds(&self) -> usize {
        self.n_kinds
    }

    /// Items of a complete multiset.
    pub fn size(&self) -> usize {
        self.size
    }

    /// Refuses what is not one of the objects: a wrong number of kinds or of items.
    pub fn check_object(&self, object: &Multiset) -> Result<()> {
        if object.counts.len() == self.n_kinds && object.total() as usize == self.size {
            return Ok(());
        }
        Err(Error::usage(
            "multiset",
            format!("{} items out of {} kinds", self.size, self.n_kinds),
            format!("{} items out of {} kinds", object.total(), object.counts.len()),
            "correct the counts",
        ))
    }
}

impl Environment for Multisets {
    type State = Multiset;

    fn spec(&self) -> &EnvSpec {
        &self.spec
    }

    fn initial(&self) -> Multiset {
        Multiset { counts: vec![0; self.n_kinds] }
    }

    fn forward_actions(&self, state: &Multiset, actions: &mut Vec<u32>) {
        if (state.total() as usize) < self.size {
            actions.extend(0..self.n_kinds as u32);
        }
    }

    fn backward_actions(&self, state: &Multiset, actions: &mut Vec<u32>, weights: &mut Vec<f64>) {
        for (kind, &count) in state.counts.iter().enumerate() {
            if count > 0 {
                actions.push(kind as u32);
                weights.push(f64::from(count));
            }
        }
    }

    fn step(&self, state: &Multiset, kind: u32) -> (Multiset, u32) {
        let mut next = state.clone();
        next.counts[kind as usize] += 1;
        (next, kind)
    }

    fn undo(&self, state: &Multiset, kind: u32) -> (Multiset, u32) {
        let mut previous = state.clone();
        previous.counts[kind as usize] -= 1;
        (previous, kind)
    }

    fn encode(&self, state: &Multiset, features: &mut Vec<u32>) {
        for (kind, &count) in state.counts.iter().enumerate() {
            let first = (kind * self.size) as u32;
            features.extend(first..first + count);
        }
        features.push((self.n_kinds * self.size) as u32 + state.total());
    }

    /// Known without taking the step: of `total + 1` items, `count + 1` are of this kind.
    fn log_backward_after(&self, state: &Multiset, kind: u32) -> f64 {
        (f64::from(state.counts[kind as usize] + 1) / f64::from(state.total() + 1)).ln()
    }

    /// Uniform by stars and bars: a multiset is a row of `size` stars and `n_kinds − 1` bars in any order, so draw
    /// each symbol in turn from those that are left.
    fn sample_object(&self, rng: &mut ChaCha8Rng) -> Option<Multiset> {
        let (mut stars, mut bars) = (self.size, self.n_kinds - 1);
        let mut counts = vec![0; self.n_kinds];
        let mut kind = 0;
        while stars > 0 {
            if rng.random_range(0..stars + bars) < stars {
                counts[kind] += 1;
                stars -= 1;
            } else {
                kind += 1;
                bars -= 1;
            }
        }
        Some(Multiset { counts })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gfn_core::random::stream;

    #[test]
    fn refuses_problems_without_a_choice_and_problems_without_end() {
        let message = |kinds, size| Multisets::new(kinds, size).unwrap_err().to_string();
        assert!(message(0, 3).starts_with("kinds: expected at least 1, found 0"));
        assert!(message(3, 0).starts_with("size: expected at least 1, found 0"));
        assert!(message(usize::MAX, 2).contains("at most 1000000 features"));
        let env = Multisets::new(3, 2).unwrap();
        assert!(env.check_object(&Multiset::new(vec![1, 0, 1])).is_ok());
        let error = env.check_object(&Multiset::new(vec![1, 2])).unwrap_err().to_string();
        assert!(error.contains("expected 2 items out of 3 kinds, found 3 items out of 2 kinds"), "{error}");
    }

    #[test]
    fn features_are_a_thermometer_per_kind_and_the_total() {
        let env = Multisets::new(2, 3).unwrap();
        let mut features = Vec::new();
        env.encode(&Multiset::new(vec![2, 1]), &mut features);
        assert_eq!(features, [0, 1, 3, 6 + 3]);
        assert_eq!(env.spec().n_features(), 10);
    }

    #[test]
    fn undoing_is_uniform_over_orders() {
        // Of the three orders of {a, a, b}, two end in a.
        let env = Multisets::new(2, 3).unwrap();
        let (mut actions, mut weights) = (Vec::new(), Vec::new());
        env.backward_actions(&Multiset::new(vec![2, 1]), &mut actions, &mut weights);
        assert_eq!((actions, weights), (vec![0, 1], vec![2.0, 1.0]));
    }

    #[test]
    fn objects_are_drawn_uniformly() {
        let env = Multisets::new(3, 2).unwrap();
        let mut rng = stream(1, "multisets", 0);
        let mut frequency = std::collections::HashMap::new();
        let n = 12_000;
        for _ in 0..n {
            let object = env.sample_object(&mut rng).unwrap();
            env.check_object(&object).unwrap();
            *frequency.entry(object).or_insert(0) += 1;
        }
        // Six multisets, 2000 draws each; five standard deviations are 204.
        assert_eq!(frequency.len(), 6);
        assert!(frequency.values().all(|f| (f - n / 6_i32).abs() < 204), "{frequency:?}");
    }
}
