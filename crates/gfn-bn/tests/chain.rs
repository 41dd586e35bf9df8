//! The structure chain against enumeration and the exact engine; hill climbing against the best graph.

mod shared;

use std::collections::HashMap;

use gfn_bn::chain::{ChainSettings, StructureChain, hill_climb, sample_structures};
use gfn_bn::exact::{ExactPosterior, LocalScoreTable};
use gfn_bn::{Bge, BgeSettings, Constraints, Dag, Knowledge, Table};
use gfn_core::math::normalise_log_weights;
use gfn_core::random::stream;
use rand::RngExt;
use rand_distr::{Distribution, StandardNormal};
use shared::{all_dags, environment};
use statrs::distribution::{ChiSquared, ContinuousCDF};

/// How often each test against a law would fail by chance, with another seed.
const FALSE_ALARMS: f64 = 1e-6;

/// A local score between −`range` and 0 nats; a function of node and parents only.
fn random_score(range: f64) -> impl Fn(usize, u64) -> f64 + Sync {
    move |node, parents| -range * stream(1, "local score", parents << 6 | node as u64).random::<f64>()
}

fn names(d: usize) -> Vec<String> {
    (0..d).map(|i| format!("X{i}")).collect()
}

/// Scores of n rows of a linear-Gaussian network, in which earlier nodes are parents of later ones with this probability.
fn simulated(d: usize, n: usize, density: f64, seed: u64) -> Bge {
    let mut rng = stream(seed, "rows", 0);
    let mut columns: Vec<Vec<f64>> = Vec::new();
    for _ in 0..d {
        let mut column: Vec<f64> = (0..n).map(|_| StandardNormal.sample(&mut rng)).collect();
        for values in &columns {
            if rng.random::<f64>() < density {
                let coefficient = rng.random_range(0.4..1.0);
                column.iter_mut().zip(values).for_each(|(x, value)| *x += coefficient * value);
            }
        }
        columns.push(column);
    }
    Bge::new(&Table::new(names(d), columns).unwrap(), &BgeSettings::default()).unwrap()
}

/// Pearson's test of counts against probabilities, cells with fewer than ten expected taken together.
fn check_counts(counts: &[u64], probabilities: &[f64], what: &str) {
    let n = counts.iter().sum::<u64>() as f64;
    let (mut statistic, mut cells) = (0.0, 0.0);
    let (mut rare, mut rare_expected) = (0.0, 0.0);
    for (&count, p) in counts.iter().zip(probabilities) {
        if n * p < 10.0 {
            rare += count as f64;
            rare_expected += n * p;
        } else {
            statistic += (count as f64 - n * p).powi(2) / (n * p);
            cells += 1.0;
        }
    }
    if rare_expected >= 10.0 {
        statistic += (rare - rare_expected).powi(2) / rare_expected;
        cells += 1.0;
    } else {
        // A Poisson count with a mean below 10 exceeds 35 with probability 1e-9.
        assert!(rare < 35.0, "{what}: {rare} of the rarest");
    }
    let limit = ChiSquared::new(cells - 1.0).unwrap().inverse_cdf(1.0 - FALSE_ALARMS);
    assert!(statistic < limit, "{what}: χ² {statistic:.1} of {cells} cells, limit {limit:.1}");
}

/// Starts chains at draws from the law itself: if it is that of the chain, it is also the law after some moves, and as
/// the chains are independent, Pearson's test holds.
fn check_stationary(
    score: &(dyn Fn(usize, u64) -> f64 + Sync),
    constraints: &Constraints,
    inverse_temperature: f64,
    moves: u64,
    what: &str,
) {
    let d = constraints.n_nodes();
    let dags: Vec<Dag> = all_dags(&environment(d)).into_iter().filter(|dag| constraints.allow(dag)).collect();
    let log_score = |dag: &Dag| -> f64 {
        dag.parent_sets().iter().enumerate().map(|(node, &parents)| score(node, parents)).sum()
    };
    let log_weights: Vec<f64> = dags.iter().map(|dag| inverse_temperature * log_score(dag)).collect();
    let probabilities = normalise_log_weights(&log_weights);
    let number: HashMap<&Dag, usize> = dags.iter().zip(0..).collect();
    let mut rng = stream(3, "starts", 0);
    let mut counts = vec![0; dags.len()];
    let mut moved = 0;
    for k in 0..30_000 {
        let mut rest: f64 = rng.random();
        let start = probabilities.iter().position(|p| {
            rest -= p;
            rest < 0.0
        });
        let start = &dags[start.unwrap_or(0)];
        let mut chain = StructureChain::starting_at(start.clone(), score, constraints, stream(4, "moves", k));
        chain.set_inverse_temperature(inverse_temperature);
        chain.run_moves(moves);
        assert!((chain.log_score() - log_score(chain.dag())).abs() < 1e-12, "{}", chain.dag());
        counts[number[chain.dag()]] += 1;
        moved += u32::from(chain.dag() != start);
    }
    assert!(moved > 10_000, "{what}: {moved} moved");
    check_counts(&counts, &probabilities, what);
}

#[test]
fn the_law_is_stationary() {
    for d in [3, 4] {
        let free = Constraints::none(d).unwrap();
        check_stationary(&random_score(3.0), &free, 1.0, 12, &format!("{d} nodes"));
        check_stationary(&random_score(0.0), &free, 1.0, 12, &format!("{d} nodes, flat"));
        check_stationary(&random_score(9.0), &free, 0.3, 12, &format!("{d} nodes, β = 0.3"));
    }
}

fn knowledge() -> Constraints {
    let edge = |from: usize, to: usize| (names(4)[from].clone(), names(4)[to].clone());
    let knowledge = Knowledge {
        required: vec![edge(1, 3)],
        forbidden: vec![edge(0, 2)],
        tiers: vec![],
        max_parents: Some(2),
    };
    knowledge.resolve(&names(4)).unwrap()
}

#[test]
fn the_law_is_stationary_under_constraints() {
    check_stationary(&random_score(3.0), &knowledge(), 1.0, 15, "constraints");
    check_stationary(&random_score(0.0), &knowledge(), 1.0, 15, "constraints, flat");
}

/// Long chains from the graph of the required edges: every allowed graph is reached, and the frequencies are those of
/// the law. Graphs 60 moves apart are nearly independent; the limit is wide enough for what is left.
#[test]
fn long_chains_reach_all_graphs() {
    for constraints in [Constraints::none(4).unwrap(), knowledge()] {
        let score = random_score(3.0);
        let settings = ChainSettings {
            chains: 4,
            moves: 1_200_000,
            burn_in: 2000,
            keep_every: 60,
            seed: 5,
            inverse_temperature: 1.0,
        };
        let samples = sample_structures(&score, &constraints, &settings);
        assert_eq!(samples.graphs.len(), 80_000);
        let dags: Vec<Dag> =
            all_dags(&environment(4)).into_iter().filter(|dag| constraints.allow(dag)).collect();
        let mut table = LocalScoreTable::from_fn(4, &score).unwrap();
        table.restrict(&constraints).unwrap();
        let log_weights: Vec<f64> = dags.iter().map(|dag| table.score(dag)).collect();
        let probabilities = normalise_log_weights(&log_weights);
        let mut counts = vec![0u64; dags.len()];
        let number: HashMap<&Dag, usize> = dags.iter().zip(0..).collect();
        samples.graphs.iter().for_each(|dag| counts[number[dag]] += 1);
        let n = samples.graphs.len() as f64;
        for (count, p) in counts.iter().zip(&probabilities) {
            // Seven standard deviations of twice the variance of independent draws, 1e-11 each, and a few for the
            // skewness of small counts.
            let limit = 7.0 * (2.0 * n * p).sqrt() + 20.0;
            assert!((*count as f64 - n * p).abs() < limit, "{count}, {}", n * p);
        }
        let exact = ExactPosterior::new(&table).unwrap();
        assert_eq!(samples.best, exact.best);
        for (found, exact) in samples.edges.iter().zip(&exact.edges) {
            assert!((found - exact).abs() < 0.01, "{found}, {exact}");
        }
        // The kept graphs are 1 in 60 of those that the edges count.
        for (u, v) in (0..16).map(|k| (k / 4, k % 4)) {
            let kept = samples.graphs.iter().filter(|dag| dag.has_edge(u, v)).count() as f64 / n;
            assert!((kept - samples.edges[4 * u + v]).abs() < 0.02);
        }
    }
}

/// Edges are averages over all moves: with one graph kept per move, they are the frequencies among these.
#[test]
fn edges_count_every_move() {
    let constraints = Constraints::none(5).unwrap();
    let settings =
        ChainSettings { chains: 2, moves: 3000, burn_in: 100, keep_every: 1, ..ChainSettings::default() };
    let samples = sample_structures(&random_score(2.0), &constraints, &settings);
    for (chain, graphs) in samples.graphs.chunks(3000).enumerate() {
        let moved = graphs.windows(2).filter(|pair| pair[0] != pair[1]).count() as f64;
        assert!(moved > 500.0);
        for (u, v) in (0..25).map(|k| (k / 5, k % 5)) {
            let share = graphs.iter().filter(|dag| dag.has_edge(u, v)).count() as f64 / 3000.0;
            assert_eq!(samples.edges_by_chain[chain][5 * u + v], share);
        }
    }
    let changes = samples.graphs.windows(2).filter(|pair| pair[0] != pair[1]).count() as f64;
    // The first move of each chain and the step from one chain to the next are not seen alike.
    assert!((samples.acceptance * 6000.0 - changes).abs() <= 3.0, "{} {changes}", samples.acceptance);
}

/// Errors come from 16 chains: with their spread as the unit, differences have Student's law with 15 degrees of freedom,
/// which exceeds 10 with probability 5e-8; 0.002 is for edges that hardly ever move.
#[test]
fn edges_agree_with_the_exact_engine() {
    for (d, n) in [(8, 60), (11, 100)] {
        let table = LocalScoreTable::from_score(&simulated(d, n, 0.2, 7)).unwrap();
        let exact = ExactPosterior::new(&table).unwrap();
        let score = |node: usize, parents: u64| table.local_score(node, parents);
        let settings =
            ChainSettings { moves: 150_000, burn_in: 50_000, keep_every: 5000, ..ChainSettings::default() };
        let samples = sample_structures(&score, &Constraints::none(d).unwrap(), &settings);
        let errors = samples.edge_errors().unwrap();
        let mut largest: f64 = 0.0;
        for k in 0..d * d {
            let difference = (samples.edges[k] - exact.edges[k]).abs();
            largest = largest.max(difference);
            assert!(difference < 10.0 * errors[k] + 0.002, "{d}, edge {k}: {difference}, {}", errors[k]);
        }
        println!(
            "{d} nodes: largest edge error {largest:.4}, disagreement {:.3}, acceptance {:.3}",
            samples.disagreement(),
            samples.acceptance
        );
        assert!(largest < 0.05, "{largest}");
        assert!(samples.disagreement() > largest && samples.disagreement() < 0.4);
        assert!(exact.edges.iter().filter(|p| **p > 0.05 && **p < 0.95).count() > 10);
        assert!((samples.best_log_score - exact.best_log_score).abs() < 1e-9);
    }
}

/// Many rows of a dense network: chains stay where they came to rest, and say so.
#[test]
fn chains_that_stay_apart_disagree() {
    let table = LocalScoreTable::from_score(&simulated(11, 1000, 0.6, 7)).unwrap();
    let score = |node: usize, parents: u64| table.local_score(node, parents);
    let settings = ChainSettings { moves: 5000, burn_in: 2000, keep_every: 5000, ..ChainSettings::default() };
    let samples = sample_structures(&score, &Constraints::none(11).unwrap(), &settings);
    assert!(samples.disagreement() > 0.9, "{}", samples.disagreement());
    assert!(samples.edge_errors().unwrap().iter().any(|&error| error > 0.05));
}

/// Twenty nodes: parent sets share places in the cache. The law is known: scores that are sums over parents, with an order
/// that excludes cycles, make edges independent.
#[test]
fn twenty_nodes_with_a_known_law() {
    let d = 20;
    let tiers = names(d).into_iter().map(|name| vec![name]).collect();
    let constraints = Knowledge { tiers, ..Knowledge::default() }.resolve(&names(d)).unwrap();
    // Odds of u → v are exp(bonus), another one for each pair.
    let bonus = |u: usize, v: usize| ((3 * u + 5 * v) % 7) as f64 - 3.0;
    let score = |node: usize, parents: u64| gfn_bn::members(parents).map(|u| bonus(u, node)).sum();
    let settings =
        ChainSettings { moves: 400_000, burn_in: 4000, keep_every: 4000, ..ChainSettings::default() };
    let samples = sample_structures(&score, &constraints, &settings);
    let errors = samples.edge_errors().unwrap();
    for (u, v) in (0..d * d).map(|k| (k / d, k % d)) {
        let expected = if u < v { 1.0 / (1.0 + f64::exp(-bonus(u, v))) } else { 0.0 };
        let difference = (samples.edges[u * d + v] - expected).abs();
        assert!(difference <= 10.0 * errors[u * d + v], "{u} → {v}: {difference}");
        assert!(errors[u * d + v] < 0.02);
    }
}

#[test]
fn results_depend_on_the_seed_only() {
    let constraints = Constraints::none(6).unwrap();
    let run = |threads: usize, seed: u64| {
        let settings =
            ChainSettings { chains: 5, moves: 2000, burn_in: 500, keep_every: 100, ..settings(seed) };
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        let samples = pool.install(|| sample_structures(&random_score(5.0), &constraints, &settings));
        (samples.graphs, samples.edges, samples.best)
    };
    assert_eq!(run(1, 1), run(3, 1));
    assert_ne!(run(1, 1).0, run(1, 2).0);
    let climbed = |seed| hill_climb(&random_score(5.0), &constraints, 3, seed);
    assert_eq!(climbed(1), climbed(1));
}

fn settings(seed: u64) -> ChainSettings {
    ChainSettings { seed, ..ChainSettings::default() }
}

#[test]
fn settings_keep_as_many_graphs_as_asked() {
    for (n, d) in [(1, 3), (10, 5), (100, 4), (1000, 20)] {
        let settings = ChainSettings::for_graphs(n, d, 0);
        let kept = settings.chains as u64 * (settings.moves / settings.keep_every);
        assert!((n as u64..n as u64 + 16).contains(&kept), "{n}: {kept}");
    }
    let constraints = Constraints::none(1).unwrap();
    let samples = sample_structures(&|_, _| 0.0, &constraints, &ChainSettings::for_graphs(20, 1, 0));
    assert!(samples.graphs.len() >= 20 && samples.edges == [0.0]);
    assert_eq!(samples.disagreement(), 0.0);
}

/// Graphs of score −∞ are never entered; constraints need not know of them.
#[test]
fn impossible_graphs_are_not_entered() {
    let score = |node: usize, parents: u64| {
        if node == 0 && parents.count_ones() > 1 { f64::NEG_INFINITY } else { parents.count_ones() as f64 }
    };
    for inverse_temperature in [0.0, 1.0] {
        let constraints = Constraints::none(5).unwrap();
        let settings = ChainSettings {
            moves: 5000,
            burn_in: 0,
            keep_every: 1,
            inverse_temperature,
            ..ChainSettings::default()
        };
        let samples = sample_structures(&score, &constraints, &settings);
        assert!(samples.graphs.iter().all(|dag| dag.parents(0).count_ones() <= 1));
        assert!(samples.graphs.iter().any(|dag| dag.parents(0).count_ones() == 1));
    }
}

#[test]
fn hill_climbing_finds_the_best_graph_of_clear_data() {
    for (d, seed) in [(5, 1), (8, 2), (10, 3)] {
        let table = LocalScoreTable::from_score(&simulated(d, 2000, 0.2, seed)).unwrap();
        let exact = ExactPosterior::new(&table).unwrap();
        let score = |node: usize, parents: u64| table.local_score(node, parents);
        let (dag, log_score) = hill_climb(&score, &Constraints::none(d).unwrap(), 20, 0);
        assert!((table.score(&dag) - log_score).abs() < 1e-9);
        // Not the graph: equivalent ones have the same score.
        assert!((log_score - exact.best_log_score).abs() < 1e-6, "{log_score}, {}", exact.best_log_score);
        // Restarts only add to it.
        let (_, without) = hill_climb(&score, &Constraints::none(d).unwrap(), 0, 0);
        assert!(without <= log_score + 1e-9);
    }
    let score = random_score(20.0);
    let mut table = LocalScoreTable::from_fn(4, &score).unwrap();
    table.restrict(&knowledge()).unwrap();
    let (dag, log_score) = hill_climb(&score, &knowledge(), 30, 0);
    assert!(knowledge().allow(&dag));
    assert!((log_score - ExactPosterior::new(&table).unwrap().best_log_score).abs() < 1e-9);
}
