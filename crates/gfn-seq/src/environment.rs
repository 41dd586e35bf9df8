//! The environment of sequences: start with none of the tokens, append one at a time.

use gfn_core::environment::fingerprint;
use gfn_core::{EnvSpec, Environment, Error, Heads, Result, StopRule};
use rand::RngExt;
use rand::rngs::ChaCha8Rng;
use smallvec::SmallVec;

use crate::alphabet::MAX_TOKENS;

/// A sequence of tokens, each a number below the alphabet's size.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Sequence {
    /// Without an allocation for a few tokens.
    tokens: SmallVec<[u8; 24]>,
}

impl Sequence {
    /// The sequence of these tokens.
    pub fn new(tokens: Vec<u8>) -> Self {
        Sequence { tokens: tokens.into() }
    }

    /// The tokens, in order.
    pub fn tokens(&self) -> &[u8] {
        &self.tokens
    }

    /// Number of tokens.
    pub fn len(&self) -> usize {
        self.tokens.len()
    }

    /// Whether there is no token.
    pub fn is_empty(&self) -> bool {
        self.tokens.is_empty()
    }
}

/// Most binary features of a state: beyond, a network over them does not fit into memory.
pub const MAX_FEATURES: usize = 1_000_000;

/// The environment of sequences over V tokens, of length up to L or exactly L (docs/mathematics.md §5).
///
/// * Objects: V^L sequences of exact length, or Σ_{l=0}^{L} V^l up to it; the empty sequence is one of these.
/// * Forward action `v`: append token `v`, while there are fewer than L. Up to a length, every state may stop
///   ([`StopRule::Always`]); at exact length, a state is an object when it is full ([`StopRule::Exhausted`]).
/// * Backward action 0: take the last token away. There is one way to every state, so p_B = 1.
/// * Features, `L (V + 1) + L + 1` in one row: `i (V + 1) + v` says that position `i` holds token `v`, with v = V for
///   a position that is still empty; `L (V + 1) + l` says that the length is `l`.
#[derive(Debug, Clone)]
pub struct Sequences {
    spec: EnvSpec,
    alphabet_size: usize,
    max_length: usize,
    exact_length: bool,
}

impl Sequences {
    /// Sequences over 1 to 255 tokens, of length up to `max_length` ≥ 1, or of exactly this length.
    pub fn new(alphabet_size: usize, max_length: usize, exact_length: bool) -> Result<Self> {
        if !(1..=MAX_TOKENS).contains(&alphabet_size) {
            return Err(Error::usage(
                "alphabet size",
                format!("1 to {MAX_TOKENS} tokens"),
                alphabet_size.to_string(),
                "use another alphabet",
            ));
        }
        let n_features = max_length.checked_mul(alphabet_size + 2).and_then(|n| n.checked_add(1));
        let Some(width) = n_features.filter(|&n| max_length > 0 && n <= MAX_FEATURES) else {
            return Err(Error::usage(
                "maximal length",
                format!("1 to {}", (MAX_FEATURES - 1) / (alphabet_size + 2)),
                max_length.to_string(),
                "correct the length",
            ));
        };
        let (size, length) = (alphabet_size.to_string(), max_length.to_string());
        let kind = if exact_length { "exactly" } else { "up to" };
        let spec = EnvSpec {
            name: "sequences".into(),
            fingerprint: fingerprint(&["sequences", &size, kind, &length]),
            rows: 1,
            width,
            n_forward: alphabet_size,
            n_backward: 1,
            heads: Heads::Flat,
            stop: if exact_length { StopRule::Exhausted } else { StopRule::Always },
        };
        Ok(Sequences { spec, alphabet_size, max_length, exact_length })
    }

    /// Number of tokens, V.
    pub fn alphabet_size(&self) -> usize {
        self.alphabet_size
    }

    /// The longest length, L.
    pub fn max_length(&self) -> usize {
        self.max_length
    }

    /// Whether all objects have the longest length.
    pub fn exact_length(&self) -> bool {
        self.exact_length
    }

    /// Refuses what is not one of the objects: unknown tokens, too long, or not of the exact length.
    pub fn check_object(&self, object: &Sequence) -> Result<()> {
        let right_length =
            if self.exact_length { object.len() == self.max_length } else { object.len() <= self.max_length };
        let unknown = object.tokens.iter().position(|&t| usize::from(t) >= self.alphabet_size);
        if let Some(position) = unknown {
            return Err(Error::usage(
                format!("sequence, position {}", position + 1),
                format!("a token below {}", self.alphabet_size),
                object.tokens[position].to_string(),
                "correct the token",
            ));
        }
        if !right_length {
            let kind = if self.exact_length { "exactly" } else { "at most" };
            return Err(Error::usage(
                "sequence",
                format!("{kind} {} tokens", self.max_length),
                object.len().to_string(),
                "correct the sequence",
            ));
        }
        Ok(())
    }
}

impl Environment for Sequences {
    type State = Sequence;

    fn spec(&self) -> &EnvSpec {
        &self.spec
    }

    fn initial(&self) -> Sequence {
        Sequence::default()
    }

    fn forward_actions(&self, state: &Sequence, actions: &mut Vec<u32>) {
        if state.len() < self.max_length {
            actions.extend(0..self.alphabet_size as u32);
        }
    }

    fn backward_actions(&self, state: &Sequence, actions: &mut Vec<u32>, weights: &mut Vec<f64>) {
        if !state.is_empty() {
            actions.push(0);
            weights.push(1.0);
        }
    }

    fn step(&self, state: &Sequence, token: u32) -> (Sequence, u32) {
        let mut tokens = state.tokens.clone();
        tokens.push(token as u8);
        (Sequence { tokens }, 0)
    }

    fn undo(&self, state: &Sequence, _backward_action: u32) -> (Sequence, u32) {
        let (last, rest) = state.tokens.split_last().expect("the empty sequence has no backward action");
        (Sequence { tokens: rest.into() }, u32::from(*last))
    }

    fn encode(&self, state: &Sequence, features: &mut Vec<u32>) {
        let per_position = self.alphabet_size + 1;
        for position in 0..self.max_length {
            let token = state.tokens.get(position).map_or(self.alphabet_size, |&t| usize::from(t));
            features.push((position * per_position + token) as u32);
        }
        features.push((self.max_length * per_position + state.len()) as u32);
    }

    fn log_backward_after(&self, _state: &Sequence, _action: u32) -> f64 {
        0.0
    }

    /// Uniform: the length with probability ∝ V^length, then independent tokens.
    fn sample_object(&self, rng: &mut ChaCha8Rng) -> Option<Sequence> {
        let mut length = self.max_length;
        if !self.exact_length {
            // From the longest down: given at most l tokens, there are l of them with probability V^l / Σ_{k≤l} V^k.
            while length > 0 && rng.random::<f64>() >= self.probability_of_longest(length) {
                length -= 1;
            }
        }
        let tokens = (0..length).map(|_| rng.random_range(0..self.alphabet_size) as u8).collect();
        Some(Sequence { tokens })
    }
}

impl Sequences {
    /// V^l / Σ_{k=0}^{l} V^k, the share of the longest among the sequences of up to `l` tokens.
    fn probability_of_longest(&self, l: usize) -> f64 {
        let v = self.alphabet_size as f64;
        if self.alphabet_size == 1 {
            return 1.0 / (l + 1) as f64;
        }
        // The sum is (V^{l+1} − 1) / (V − 1); divided by V^l it is (V − V^{−l}) / (V − 1), which cannot overflow.
        (v - 1.0) / (v - v.powi(-(l as i32)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gfn_core::exact::StateGraph;
    use gfn_core::random::stream;

    #[test]
    fn refuses_empty_and_endless_problems() {
        let message = |v, l| Sequences::new(v, l, false).unwrap_err().to_string();
        assert!(message(0, 3).starts_with("alphabet size: expected 1 to 255 tokens, found 0"));
        assert!(message(256, 3).contains("found 256"));
        assert!(message(4, 0).starts_with("maximal length: expected 1 to 166666, found 0"));
        assert!(message(4, usize::MAX).starts_with("maximal length"));
    }

    #[test]
    fn refuses_what_is_no_object() {
        let up_to = Sequences::new(3, 2, false).unwrap();
        let exact = Sequences::new(3, 2, true).unwrap();
        let short = Sequence::new(vec![2]);
        assert!(up_to.check_object(&short).is_ok());
        assert!(exact.check_object(&short).unwrap_err().to_string().contains("exactly 2 tokens, found 1"));
        let long = Sequence::new(vec![0; 3]);
        assert!(up_to.check_object(&long).unwrap_err().to_string().contains("at most 2 tokens, found 3"));
        let unknown = up_to.check_object(&Sequence::new(vec![0, 3])).unwrap_err().to_string();
        assert!(unknown.contains("position 2: expected a token below 3, found 3"), "{unknown}");
    }

    #[test]
    fn every_sequence_is_one_object() {
        for (exact, expected) in [(false, 1 + 3 + 9 + 27), (true, 27)] {
            let env = Sequences::new(3, 3, exact).unwrap();
            let graph = StateGraph::enumerate(&env, 1000).unwrap();
            assert_eq!(graph.objects().len(), expected);
            assert_eq!(graph.states().len(), 40);
            assert!(graph.objects().all(|x| env.check_object(x).is_ok()));
        }
    }

    #[test]
    fn features_are_one_hot_per_position_and_the_length() {
        let env = Sequences::new(2, 3, true).unwrap();
        let mut features = Vec::new();
        env.encode(&Sequence::new(vec![1, 0]), &mut features);
        assert_eq!(features, [1, 3, 2 + 6, 9 + 2]);
        assert_eq!(env.spec().n_features(), 13);
    }

    #[test]
    fn objects_are_drawn_uniformly() {
        for (v, l, exact, expected) in [(3, 2, false, 13), (2, 3, true, 8), (1, 4, false, 5)] {
            let env = Sequences::new(v, l, exact).unwrap();
            let mut rng = stream(1, "sequences", 0);
            let mut frequency = std::collections::HashMap::new();
            let n = expected * 2000;
            for _ in 0..n {
                let object = env.sample_object(&mut rng).unwrap();
                env.check_object(&object).unwrap();
                *frequency.entry(object).or_insert(0_i32) += 1;
            }
            // 2000 expected of each; five standard deviations are less than 224.
            assert_eq!(frequency.len(), expected);
            assert!(frequency.values().all(|f| (f - 2000).abs() < 224), "{frequency:?}");
        }
    }
}
