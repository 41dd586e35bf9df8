//! Rewards of graphs: both caches say what the scores say, from any thread; priors and products are added once.

#[path = "shared/random_tables.rs"]
mod random_tables;
mod shared;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use gfn_bn::{Bge, BgeSettings, Dag, DagPrior, DagReward, GraphPrior, LocalScore, spread};
use gfn_core::reward::LogReward;
use random_tables::{names, numbers, random_dag, seeded};
use shared::{all_dags, environment};

/// A function of node and parents alone that counts how often it is asked.
struct Counted {
    n_nodes: usize,
    asked: AtomicUsize,
}

impl Counted {
    fn new(n_nodes: usize) -> Arc<Self> {
        Arc::new(Counted { n_nodes, asked: AtomicUsize::new(0) })
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }

    fn value(node: usize, parents: u64) -> f64 {
        let mixed = (parents ^ (node as u64) << 50).wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        -((mixed >> 11) as f64) / 1e14
    }
}

impl LocalScore for Counted {
    fn n_nodes(&self) -> usize {
        self.n_nodes
    }

    fn local_score(&self, node: usize, parents: u64) -> f64 {
        self.asked.fetch_add(1, Ordering::SeqCst);
        Self::value(node, parents)
    }
}

/// Up to twelve nodes have a place for every number, thirteen a hash table.
#[test]
fn either_cache_gives_the_score_from_several_threads_at_once() {
    for d in [1, 2, 12, 13] {
        let score = Counted::new(d);
        let reward = DagReward::new(&environment(d), vec![score.clone()]).unwrap();
        let all: Vec<(usize, u64)> =
            (0..d).flat_map(|v| (0..1u64 << (d - 1)).map(move |i| (v, spread(i, v)))).collect();
        let threads = 4;
        std::thread::scope(|scope| {
            for thread in 0..threads {
                // Two begin at the same place and run into each other; two follow their own order.
                let (all, reward) = (&all, reward.clone());
                scope.spawn(move || {
                    let n = all.len();
                    for k in 0..n {
                        let (node, parents) = all[(k + thread / 2 * n / 2) % n];
                        assert_eq!(reward.local_score(node, parents), Counted::value(node, parents));
                    }
                });
            }
        });
        let asked = score.asked();
        assert!((all.len()..=threads * all.len()).contains(&asked), "{asked} of {}", all.len());
        // Clones share what is known: nothing is asked again.
        for &(node, parents) in &all {
            assert_eq!(reward.local_score(node, parents), Counted::value(node, parents));
        }
        assert_eq!(score.asked(), asked);
    }
}

#[test]
fn graphs_have_the_sum_of_their_local_scores() {
    let mut rng = seeded(5);
    for d in [12, 13] {
        let table = numbers(&mut rng, 40, &vec![1.0; d]);
        let score = Bge::new(&table, &BgeSettings::default()).unwrap();
        let env = environment(d);
        let reward = DagReward::bge(&env, &table, &BgeSettings::default()).unwrap();
        for _ in 0..50 {
            let dag = random_dag(&mut rng, d);
            let expected: f64 = (0..d).map(|v| score.local_score(v, dag.parents(v))).sum();
            for _ in 0..2 {
                let found = reward.log_reward(&env, &dag);
                assert!((found / expected - 1.0).abs() < 1e-14, "{found}, {expected}");
            }
        }
    }
}

/// The hash table of 64 nodes takes 2^22 / 64 numbers of each node.
#[test]
fn a_full_cache_forgets_nothing_and_computes_the_rest() {
    let score = Counted::new(64);
    let reward = DagReward::new(&environment(64), vec![score.clone()]).unwrap();
    let room = 1u64 << 16;
    let ask = |node, parents| {
        let before = score.asked();
        assert_eq!(reward.local_score(node, parents), Counted::value(node, parents));
        score.asked() - before
    };
    assert!((0..room).all(|parents| ask(63, parents) == 1));
    assert_eq!([ask(63, room), ask(63, room)], [1, 1]);
    assert_eq!([ask(63, 0), ask(63, room - 1)], [0, 0]);
    // Each node has its own room.
    assert_eq!([ask(0, 1 << 63), ask(0, 1 << 63)], [1, 0]);
}

#[test]
fn an_edge_more_costs_one_score() {
    for d in [12, 20] {
        let score = Counted::new(d);
        let env = environment(d);
        let reward = DagReward::new(&env, vec![score.clone()]).unwrap();
        let mut dag = Dag::empty(d).unwrap();
        reward.log_reward(&env, &dag);
        assert_eq!(score.asked(), d);
        dag.add_edge(3, 1).unwrap();
        reward.log_reward(&env, &dag);
        assert_eq!(score.asked(), d + 1);
        dag.remove_edge(3, 1).unwrap();
        reward.log_reward(&env, &dag);
        assert_eq!(score.asked(), d + 1);
    }
}

#[test]
fn the_prior_is_added_once_with_its_share() {
    let env = environment(4);
    let fair = Arc::new(DagPrior::new(&GraphPrior::Fair, env.names()).unwrap());
    let edges = GraphPrior::Edges { probability: 0.1, edges: Vec::new() };
    let edges = Arc::new(DagPrior::new(&edges, env.names()).unwrap());
    let plain = DagReward::new(&env, vec![Counted::new(4)]).unwrap();
    let dags = all_dags(&env);
    // What is known of the score alone must not be taken for score and prior.
    let scores: Vec<f64> = dags.iter().map(|dag| plain.log_reward(&env, dag)).collect();
    for share in [1.0, 0.25, 0.0, -3.0] {
        let reward = plain.clone().with_prior(Arc::clone(&fair), share);
        // Another prior takes the place of the first.
        let other = reward.clone().with_prior(Arc::clone(&edges), share);
        for (dag, score) in dags.iter().zip(&scores) {
            for (reward, prior) in [(&reward, &fair), (&other, &edges)] {
                let expected = score + share * prior.log_reward(&env, dag);
                let found = reward.log_reward(&env, dag);
                assert!((found - expected).abs() < 1e-12 * (1.0 + expected.abs()), "{share} {dag}");
            }
            assert_eq!(plain.log_reward(&env, dag), *score);
        }
    }
    let nothing = DagReward::new(&env, Vec::new()).unwrap();
    assert!(dags.iter().all(|dag| nothing.log_reward(&env, dag) == 0.0));
    let prior_alone = nothing.with_prior(Arc::clone(&fair), 1.0);
    for dag in &dags {
        let (found, expected) = (prior_alone.log_reward(&env, dag), fair.log_reward(&env, dag));
        assert!((found - expected).abs() < 1e-13);
    }
}

#[test]
fn a_product_adds_scores_and_drops_priors() {
    let env = environment(4);
    let mut rng = seeded(6);
    let settings = BgeSettings::default();
    let tables: Vec<_> = [10, 20, 30].map(|n| numbers(&mut rng, n, &[0.0; 4])).into();
    let scores: Vec<Bge> = tables.iter().map(|table| Bge::new(table, &settings).unwrap()).collect();
    let fair = Arc::new(DagPrior::new(&GraphPrior::Fair, &names(4)).unwrap());
    let rewards: Vec<DagReward> = (tables.iter().zip([1.0, 0.5, 0.0]))
        .map(|(table, share)| {
            DagReward::bge(&env, table, &settings).unwrap().with_prior(Arc::clone(&fair), share)
        })
        .collect();
    let product = DagReward::product(&env, &rewards).unwrap();
    let pair = DagReward::product(&env, &rewards[..2]).unwrap();
    let nested = DagReward::product(&env, [&pair, &rewards[2]]).unwrap();
    let alone = DagReward::product(&env, &rewards[..1]).unwrap();
    let none = DagReward::product(&env, []).unwrap();
    for dag in all_dags(&env) {
        let sums = scores.iter().map(|score| score.score(&dag)).collect::<Vec<_>>();
        let expected = [sums.iter().sum(), sums.iter().sum(), sums[0] + sums[1], sums[0], 0.0];
        for (reward, expected) in [&product, &nested, &pair, &alone, &none].into_iter().zip(expected) {
            let found: f64 = reward.log_reward(&env, &dag);
            assert!(
                (found - expected).abs() < 1e-12 * (1.0 + f64::abs(expected)),
                "{dag}: {found}, {expected}"
            );
        }
    }
    assert!(DagReward::product(&environment(5), &rewards).is_err());
}
