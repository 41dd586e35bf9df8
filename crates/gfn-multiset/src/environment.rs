//! The environment of multisets: start with none, add one item at a time until `size` are held.

use gfn_core::environment::fingerprint;
use gfn_core::{EnvSpec, Environment, Error, Heads, Result, StopRule};
use rand::RngExt;
use rand::rngs::ChaCha8Rng;
use serde::{Deserialize, Serialize};
use smallvec::{SmallVec, smallvec};

/// A multiset: how many items of each kind are held. Order does not exist here, so equal counts are equal objects.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Multiset {
    /// Without an allocation for a few kinds.
    counts: SmallVec<[u32; 12]>,
}

impl Multiset {
    /// The multiset with these counts, one per kind.
    pub fn new(counts: Vec<u32>) -> Self {
        Multiset { counts: counts.into() }
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

/// A kind of item. Names and capacities are public: they define the objects.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Item {
    /// Its name.
    pub name: String,
    /// Most items of this kind in a multiset; no limit but the size where there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub capacity: Option<u32>,
}

/// Most binary features of a state: beyond, a network over them does not fit into memory.
pub const MAX_FEATURES: usize = 1_000_000;

/// The environment of multisets of `size` items out of `n_kinds` kinds, with repetition (docs/mathematics.md §5).
///
/// * Objects: the C(n_kinds + size − 1, size) multisets with `size` items, less those with more items of a kind than its
///   capacity. States: those with at most `size` items.
/// * Forward action `i`: add an item of kind `i`, if its capacity allows. A state with `size` items has none left
///   ([`StopRule::Exhausted`]), and no other state: the capacities together hold `size` items at least.
/// * Backward action `i`: take an item of kind `i` away, with probability ∝ the number of them. Backward walks then
///   take items away in a uniformly random order.
/// * Features, `n_kinds · size + size + 1` in one row: `i · size + (j − 1)` says that at least `j` items of kind `i`
///   are held (a thermometer), `n_kinds · size + t` that `t` items are held in total.
#[derive(Debug, Clone)]
pub struct Multisets {
    spec: EnvSpec,
    /// Most items of each kind, at most `size`.
    capacities: Vec<u32>,
    size: usize,
}

impl Multisets {
    /// The environment of multisets of `size` ≥ 1 items out of `n_kinds` ≥ 1 kinds, without names and capacities.
    pub fn new(n_kinds: usize, size: usize) -> Result<Self> {
        let width = n_features(n_kinds, size)?;
        let identity = fingerprint(&["multisets", &n_kinds.to_string(), &size.to_string()]);
        Ok(Self::build(identity, width, vec![size as u32; n_kinds], size))
    }

    /// The environment of multisets of `size` ≥ 1 of these items.
    pub fn with_items(items: &[Item], size: usize) -> Result<Self> {
        let width = n_features(items.len(), size)?;
        let most = |item: &Item| item.capacity.map_or(size, |capacity| size.min(capacity as usize));
        let capacities: Vec<u32> = items.iter().map(|item| most(item) as u32).collect();
        let together: usize = items.iter().map(most).sum();
        if together < size {
            return Err(Error::usage(
                "size",
                format!("at most {together}, which is what the capacities allow"),
                size.to_string(),
                "choose a smaller size, or raise capacities",
            ));
        }
        let mut parts = vec!["multisets".to_string(), size.to_string()];
        for (item, capacity) in items.iter().zip(&capacities) {
            parts.extend([item.name.clone(), capacity.to_string()]);
        }
        let identity = fingerprint(&parts.iter().map(String::as_str).collect::<Vec<_>>());
        Ok(Self::build(identity, width, capacities, size))
    }

    fn build(fingerprint: String, width: usize, capacities: Vec<u32>, size: usize) -> Self {
        let spec = EnvSpec {
            name: "multisets".into(),
            fingerprint,
            rows: 1,
            width,
            n_forward: capacities.len(),
            n_backward: capacities.len(),
            heads: Heads::Flat,
            stop: StopRule::Exhausted,
        };
        Multisets { spec, capacities, size }
    }

    /// Kinds to choose from.
    pub fn n_kinds(&self) -> usize {
        self.capacities.len()
    }

    /// Most items of each kind: at most the size.
    pub fn capacities(&self) -> &[u32] {
        &self.capacities
    }

    /// Whether a capacity excludes any multiset.
    pub fn is_limited(&self) -> bool {
        self.capacities.iter().any(|&capacity| (capacity as usize) < self.size)
    }

    /// Items of a complete multiset.
    pub fn size(&self) -> usize {
        self.size
    }

    /// Refuses what is not one of the objects: a wrong number of kinds or of items, or more than a capacity.
    pub fn check_object(&self, object: &Multiset) -> Result<()> {
        let (n_kinds, size) = (self.n_kinds(), self.size);
        if object.counts.len() != n_kinds || object.total() as usize != size {
            return Err(Error::usage(
                "multiset",
                format!("{size} items out of {n_kinds} kinds"),
                format!("{} items out of {} kinds", object.total(), object.counts.len()),
                "correct the counts",
            ));
        }
        match (0..n_kinds).find(|&kind| object.counts[kind] > self.capacities[kind]) {
            None => Ok(()),
            Some(kind) => Err(Error::usage(
                format!("kind {kind} of the multiset"),
                format!("at most {} items, its capacity", self.capacities[kind]),
                object.counts[kind].to_string(),
                "correct the counts",
            )),
        }
    }
}

/// Features of a state: `n_kinds · size + size + 1`. Refuses problems without a choice and problems without end.
fn n_features(n_kinds: usize, size: usize) -> Result<usize> {
    for (name, number) in [("kinds", n_kinds), ("size", size)] {
        if number == 0 {
            return Err(Error::usage(name, "at least 1", "0", "ask for a problem with something to choose"));
        }
    }
    let n_features = n_kinds.checked_mul(size).and_then(|n| n.checked_add(size + 1));
    n_features.filter(|&n| n <= MAX_FEATURES).ok_or_else(|| {
        Error::usage(
            "kinds and size",
            format!("at most {MAX_FEATURES} features, kinds · size + size + 1"),
            format!("{n_kinds} kinds, size {size}"),
            "use fewer kinds or smaller multisets",
        )
    })
}

impl Environment for Multisets {
    type State = Multiset;

    fn spec(&self) -> &EnvSpec {
        &self.spec
    }

    fn initial(&self) -> Multiset {
        Multiset { counts: smallvec![0; self.n_kinds()] }
    }

    fn forward_actions(&self, state: &Multiset, actions: &mut Vec<u32>) {
        if (state.total() as usize) < self.size {
            let allowed = |&kind: &usize| state.counts[kind] < self.capacities[kind];
            actions.extend((0..self.n_kinds()).filter(allowed).map(|kind| kind as u32));
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
        features.push((self.n_kinds() * self.size) as u32 + state.total());
    }

    /// Known without taking the step: of `total + 1` items, `count + 1` are of this kind.
    fn log_backward_after(&self, state: &Multiset, kind: u32) -> f64 {
        (f64::from(state.counts[kind as usize] + 1) / f64::from(state.total() + 1)).ln()
    }

    /// Uniform by stars and bars: a multiset is a row of `size` stars and `n_kinds − 1` bars in any order, so draw
    /// each symbol in turn from those that are left. None under capacities, where it is not as easy.
    fn sample_object(&self, rng: &mut ChaCha8Rng) -> Option<Multiset> {
        if self.is_limited() {
            return None;
        }
        let (mut stars, mut bars) = (self.size, self.n_kinds() - 1);
        let mut counts = smallvec![0; self.n_kinds()];
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
