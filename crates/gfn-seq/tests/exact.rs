//! Dynamic programming over what clients remember, against the enumeration of all sequences.

use std::sync::Arc;

use gfn_core::exact::{StateGraph, normalise};
use gfn_core::random::stream;
use gfn_core::reward::LogReward;
use gfn_seq::exact::Transfer;
use gfn_seq::{
    Alphabet, Counting, KmerModel, Motif, MotifBonus, PositionWeights, Product, Profile, Sequence, Sequences,
    Stepwise,
};
use rand::RngExt;

fn positions(env: &Sequences, seed: u64) -> Arc<dyn Stepwise> {
    let mut rng = stream(seed, "positions", 0);
    let mut row = |_| (0..env.alphabet_size()).map(|_| rng.random_range(-2.0..2.0)).collect();
    let rows: Vec<Vec<f64>> = (0..env.max_length()).map(&mut row).collect();
    Arc::new(PositionWeights::new(env, &rows).unwrap())
}

fn kmers(alphabet_size: usize, k: usize, seed: u64) -> Arc<dyn Stepwise> {
    let mut rng = stream(seed, "kmers", k as u64);
    let n = alphabet_size.pow(k as u32);
    let weights: Vec<f64> = (0..n).map(|_| rng.random_range(-4.0..0.0)).collect();
    Arc::new(KmerModel::new(alphabet_size, k, &weights).unwrap())
}

fn motifs(list: &[(&str, f64, Counting)]) -> Arc<dyn Stepwise> {
    let dna = Alphabet::named("dna").unwrap();
    let motif = |&(text, bonus, counting): &(&str, f64, Counting)| Motif {
        pattern: text.chars().map(|letter| dna.pattern(letter).unwrap()).collect(),
        bonus,
        counting,
    };
    Arc::new(MotifBonus::new(list.iter().map(motif).collect()).unwrap())
}

/// Products of every kind of reward over DNA of up to, or exactly, five letters.
fn cases() -> Vec<(&'static str, Sequences, Product)> {
    let product = |name, parts| (name, Product { parts });
    let mut all = Vec::new();
    for exact in [false, true] {
        let env = Sequences::new(4, 5, exact).unwrap();
        let some = [("TATA", 2.0, Counting::Once), ("RY", -0.5, Counting::Each), ("G", 1.5, Counting::Once)];
        let products = [
            product("positions", vec![(positions(&env, 1), 1.0), (positions(&env, 2), 0.5)]),
            product("3-mers", vec![(kmers(4, 3, 3), 1.0)]),
            product(
                "2-mers and 4-mers",
                vec![(kmers(4, 2, 4), 2.0), (kmers(4, 4, 5), 0.3), (kmers(4, 1, 6), 1.0)],
            ),
            product("motifs", vec![(motifs(&some), 1.0), (motifs(&[("NCN", 3.0, Counting::Once)]), 2.0)]),
            product("all", vec![(motifs(&some), 1.5), (kmers(4, 2, 7), 1.0), (positions(&env, 8), 1.0)]),
        ];
        all.extend(products.map(|(name, product)| (name, env.clone(), product)));
    }
    all
}

#[test]
fn log_z_probabilities_profile_and_best_agree_with_enumeration() {
    for (name, env, product) in cases() {
        let graph = StateGraph::enumerate(&env, 10_000).unwrap();
        let log_rewards = graph.log_rewards(&env, &product);
        let (log_z, probabilities) = normalise(&log_rewards);
        let transfer = Transfer::new(&env, product).unwrap();
        assert!(
            (transfer.log_partition() - log_z).abs() < 1e-12,
            "{name}: {} {log_z}",
            transfer.log_partition()
        );
        let profile = Profile::of(4, 5, graph.objects().zip(probabilities));
        for (at, found) in transfer.profile().iter().enumerate() {
            let expected = profile.row(at / 4)[at % 4];
            assert!((found - expected).abs() < 1e-12, "{name}, {at}: {found} {expected}");
        }
        let (best, log_reward) = transfer.best();
        let largest = log_rewards.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        assert!((log_reward - largest).abs() < 1e-12, "{name}: {log_reward} {largest}");
        assert!((transfer.product().log_reward(&env, &best) - largest).abs() < 1e-12, "{name}");
        assert!(env.check_object(&best).is_ok());
    }
}

/// A sum of squared standardised differences over all sequences; expected is their number, with 8 standard deviations
/// above it (false alarms below 1e-9).
#[test]
fn samples_follow_the_exact_probabilities() {
    for exact in [false, true] {
        let env = Sequences::new(4, 3, exact).unwrap();
        let some = motifs(&[("AC", 1.0, Counting::Each), ("T", 0.7, Counting::Once)]);
        let product = Product { parts: vec![(some, 1.0), (kmers(4, 2, 9), 0.5)] };
        let graph = StateGraph::enumerate(&env, 1000).unwrap();
        let (_, probabilities) = normalise(&graph.log_rewards(&env, &product));
        let transfer = Transfer::new(&env, product).unwrap();
        let mut rng = stream(5, "samples", 0);
        let n = 200_000;
        let mut counts = std::collections::HashMap::new();
        for _ in 0..n {
            *counts.entry(transfer.sample(&mut rng)).or_insert(0.0) += 1.0;
        }
        let statistic: f64 = (graph.objects().zip(&probabilities))
            .map(|(x, p)| {
                let expected = p * n as f64;
                (counts.get(x).copied().unwrap_or(0.0) - expected).powi(2) / expected
            })
            .sum();
        let objects = probabilities.len() as f64;
        assert!(statistic < objects + 8.0 * (2.0 * objects).sqrt(), "{statistic} over {objects}");
        assert_eq!(counts.values().sum::<f64>() as usize, n);
    }
}

#[test]
fn long_sequences_have_the_closed_form() {
    // Two matrices of 64 positions over 20 letters: positions are independent.
    let env = Sequences::new(20, 64, true).unwrap();
    let parts = vec![(positions(&env, 1), 1.0), (positions(&env, 2), 1.0)];
    let mut rng = stream(1, "positions", 0);
    let mut other = stream(2, "positions", 0);
    let mut sum = |_| rng.random_range(-2.0..2.0) + other.random_range(-2.0..2.0);
    let rows: Vec<Vec<f64>> = (0..64).map(|_| (0..20).map(&mut sum).collect()).collect();
    let closed = PositionWeights::new(&env, &rows).unwrap().log_partition(&env);
    let transfer = Transfer::new(&env, Product { parts }).unwrap();
    assert!((transfer.log_partition() - closed).abs() < 1e-9);
    let best: Vec<u8> =
        (rows.iter()).map(|row| (0..20).max_by(|&a, &b| row[a].total_cmp(&row[b])).unwrap() as u8).collect();
    assert_eq!(transfer.best().0, Sequence::new(best));
    // A Markov model sums to 1 over the sequences of each length.
    let env = Sequences::new(20, 64, false).unwrap();
    let transfer = Transfer::new(&env, Product { parts: vec![(kmers(20, 2, 3), 1.0)] }).unwrap();
    assert!((transfer.log_partition() - 65f64.ln()).abs() < 1e-9);
}

#[test]
fn too_much_memory_is_refused() {
    let env = Sequences::new(4, 30, true).unwrap();
    let long = motifs(&[("ACGTACGTACGTACGT", 1.0, Counting::Each)]);
    let refused = Transfer::new(&env, Product { parts: vec![(long, 1.0)] });
    let message = refused.err().expect("refused").to_string();
    assert!(message.contains("at most 10000000 transitions") && message.contains("position 12"), "{message}");
}
