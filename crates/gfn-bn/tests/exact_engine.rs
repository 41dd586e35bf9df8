//! The exact engine against enumeration, reference posteriors, central differences, and the number of DAGs.

mod shared;

use gfn_bn::exact::{ExactPosterior, LocalScoreTable};
use gfn_bn::{Bge, BgeSettings, Constraints, Dag, Knowledge, PriorMean, Table};
use gfn_core::math::{log_sum_exp, normalise_log_weights};
use gfn_core::random::stream;
use rand::RngExt;
use serde_json::Value;
use shared::{all_dags, environment, table};

/// Local scores between −`range` and 0 nats, a share of them −∞; functions of the seed, node and parents only.
fn random_scores(d: usize, range: f64, impossible: f64, seed: u64) -> LocalScoreTable {
    LocalScoreTable::from_fn(d, |node, parents| {
        let mut rng = stream(seed, "local score", parents << 5 | node as u64);
        if rng.random::<f64>() < impossible { f64::NEG_INFINITY } else { -range * rng.random::<f64>() }
    })
    .unwrap()
}

/// Compares with a sum over graphs; `false` if both say that no graph is possible.
fn check_by_enumeration(scores: &LocalScoreTable, dags: &[Dag], what: &str) -> bool {
    let d = scores.n_nodes();
    let log_weights: Vec<f64> = dags.iter().map(|dag| scores.score(dag)).collect();
    let log_evidence = log_sum_exp(&log_weights);
    let found = ExactPosterior::new(scores);
    if log_evidence == f64::NEG_INFINITY {
        let error = found.unwrap_err().to_string();
        assert!(error.contains("expected scores that allow some acyclic graph"), "{error}");
        return false;
    }
    let found = found.unwrap();
    assert!(
        (found.log_evidence - log_evidence).abs() < 1e-11,
        "{what}: {}, {log_evidence}",
        found.log_evidence
    );
    assert!(found.rounding_error < 1e-12, "{what}: {}", found.rounding_error);
    let probabilities = normalise_log_weights(&log_weights);
    for (u, v) in (0..d * d).map(|k| (k / d, k % d)) {
        let sum = |has: fn(&Dag, usize) -> u64| -> f64 {
            let with = dags.iter().zip(&probabilities).filter(|(dag, _)| has(dag, v) >> u & 1 == 1);
            with.map(|(_, p)| p).sum()
        };
        let (edge, path) = (found.edges[u * d + v], found.paths[u * d + v]);
        assert!((edge - sum(Dag::parents)).abs() < 1e-11, "{what}, edge {u} → {v}: {edge}");
        assert!((path - sum(Dag::ancestors)).abs() < 1e-11, "{what}, path {u} → {v}: {path}");
    }
    let best = log_weights.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    assert!((found.best_log_score - best).abs() < 1e-11, "{what}: {}, {best}", found.best_log_score);
    assert_eq!(scores.score(&found.best), found.best_log_score, "{what}");
    true
}

#[test]
fn random_scores_agree_with_enumeration() {
    let mut impossible_tables = 0;
    for d in 1..=5 {
        let dags = all_dags(&environment(d));
        for (number, (range, impossible)) in
            [(0.0, 0.0), (3.0, 0.0), (40.0, 0.0), (900.0, 0.0), (20.0, 0.3), (900.0, 0.6), (5.0, 0.85)]
                .into_iter()
                .enumerate()
        {
            for repeat in 0..if d < 5 { 5 } else { 1 } {
                let scores = random_scores(d, range, impossible, 10 * repeat + number as u64);
                let what = format!("{d} nodes, {range} nats, {impossible} impossible, {repeat}");
                impossible_tables += usize::from(!check_by_enumeration(&scores, &dags, &what));
            }
        }
    }
    assert!((3..40).contains(&impossible_tables), "{impossible_tables}");
}

/// Scores of thousands of nats in opposite directions: cyclic graphs are far better than any DAG.
#[test]
fn cyclic_graphs_of_higher_score_do_not_count() {
    let dags = all_dags(&environment(5));
    for strength in [10.0, 800.0, 1e5] {
        let scores = LocalScoreTable::from_fn(5, |node, parents| {
            let next = (node + 1) % 5;
            -7e5 + if parents >> next & 1 == 1 { strength } else { 0.0 } - f64::from(parents.count_ones())
        });
        let scores = scores.unwrap();
        let found = ExactPosterior::new(&scores).unwrap();
        let log_weights: Vec<f64> = dags.iter().map(|dag| scores.score(dag)).collect();
        assert!((found.log_evidence - log_sum_exp(&log_weights)).abs() < 1e-8);
        // Four of the five edges of the cycle; which one is missing does not matter.
        for node in 0..5 {
            let edge = found.edges[(node + 1) % 5 * 5 + node];
            assert!((edge - 0.8).abs() < 0.05 && (edge - found.edges[5]).abs() < 1e-9, "{strength}: {edge}");
        }
    }
}

#[test]
fn constraints_agree_with_enumeration() {
    let names: Vec<String> = (0..5).map(|i| format!("X{i}")).collect();
    let edge = |from: usize, to: usize| (names[from].clone(), names[to].clone());
    let knowledge = Knowledge {
        required: vec![edge(0, 1), edge(3, 1)],
        forbidden: vec![edge(4, 0), edge(2, 3)],
        tiers: vec![vec![names[0].clone()], vec![names[1].clone(), names[2].clone()]],
        max_parents: Some(2),
    };
    let constraints = knowledge.resolve(&names).unwrap();
    let dags: Vec<Dag> = all_dags(&environment(5)).into_iter().filter(|dag| constraints.allow(dag)).collect();
    for (range, seed) in [(2.0, 0), (300.0, 1)] {
        let mut scores = random_scores(5, range, 0.0, seed);
        scores.restrict(&constraints).unwrap();
        assert!(check_by_enumeration(&scores, &dags, &format!("{range} nats")));
        let found = ExactPosterior::new(&scores).unwrap();
        assert!(constraints.allow(&found.best));
        assert_eq!(found.edges[4 * 5], 0.0);
        assert!((found.edges[1] - 1.0).abs() < 1e-13);
    }
}

/// Robinson 1977; OEIS A003024. With 13 nodes, several tasks share the work.
#[test]
fn zero_scores_count_graphs() {
    for (d, count) in [(1, 1.0), (2, 3.0), (3, 25.0), (7, 1_138_779_265.0), (10, 4_175_098_976_430_598_143.0)]
    {
        let found = ExactPosterior::new(&LocalScoreTable::from_fn(d, |_, _| 0.0).unwrap()).unwrap();
        assert!((found.log_evidence - f64::ln(count)).abs() < 1e-13, "{d}");
        assert_eq!(found.best_log_score, 0.0);
    }
    let found = ExactPosterior::new(&LocalScoreTable::from_fn(13, |_, _| 0.0).unwrap()).unwrap();
    assert!((found.log_evidence / 18_676_600_744_432_035_186_664_816_926_721f64.ln() - 1.0).abs() < 1e-14);
    // A DAG has as many edges as its reverse, so that all ordered pairs are alike.
    for (u, v) in (0..169).map(|k| (k / 13, k % 13)).filter(|(u, v)| u != v) {
        assert!((found.edges[u * 13 + v] - found.edges[1]).abs() < 1e-12);
        assert!((found.paths[u * 13 + v] - found.paths[1]).abs() < 1e-12);
    }
}

/// The hardest case for inclusion and exclusion: the empty graph has nearly all of the weight, every sum of 2^13
/// terms of size 1 gives 1.
#[test]
fn nearly_certain_independence_loses_few_digits() {
    let scores = LocalScoreTable::from_fn(13, |_, parents| -25.0 * f64::from(parents.count_ones())).unwrap();
    let found = ExactPosterior::new(&scores).unwrap();
    let expected = f64::exp(-25.0);
    assert!((found.log_evidence - 156.0 * expected).abs() < 1e-12, "{}", found.log_evidence);
    assert!((found.edges[1] - expected).abs() < 1e-12);
    assert!(found.rounding_error < 1e-10, "{}", found.rounding_error);
}

/// P(u → v) is the derivative of the log-evidence by a bonus on all parent sets of v with u. With 13 nodes, this goes
/// through tasks of several sets of higher nodes.
#[test]
fn edges_are_central_differences_of_the_log_evidence() {
    let step = 1e-4;
    for (d, range) in [(4, 3.0), (4, 200.0), (13, 12.0)] {
        let scores = random_scores(d, range, 0.1, 5);
        let found = ExactPosterior::new(&scores).unwrap();
        for (u, v) in [(0, 1), (1, 0), (2, 3), (d - 1, 0), (0, d - 1), (d - 2, d - 1)] {
            let log_evidence = |bonus: f64| {
                let changed = LocalScoreTable::from_fn(d, |node, parents| {
                    let with = node == v && parents >> u & 1 == 1;
                    scores.local_score(node, parents) + if with { bonus } else { 0.0 }
                });
                ExactPosterior::new(&changed.unwrap()).unwrap().log_evidence
            };
            let slope = (log_evidence(step) - log_evidence(-step)) / (2.0 * step);
            let edge = found.edges[u * d + v];
            assert!((slope - edge).abs() < 1e-8, "{d} nodes, {u} → {v}: {edge}, {slope}");
        }
    }
}

/// Names of nodes do not matter: nodes change between the low ones, summed up within a task, and the high ones.
#[test]
fn renamed_nodes_give_renamed_results() {
    let d = 13;
    let new_name = |node: usize| (5 * node + 3) % d;
    let scores = random_scores(d, 30.0, 0.2, 9);
    let renamed = LocalScoreTable::from_fn(d, |node, parents| {
        let old = |new: usize| (0..d).find(|&node| new_name(node) == new).unwrap();
        let parents = (0..d).filter(|&u| parents >> u & 1 == 1).map(|u| 1 << old(u)).sum();
        scores.local_score(old(node), parents)
    });
    let (found, renamed) =
        (ExactPosterior::new(&scores).unwrap(), ExactPosterior::new(&renamed.unwrap()).unwrap());
    assert!((found.log_evidence - renamed.log_evidence).abs() < 1e-11);
    assert!((found.best_log_score - renamed.best_log_score).abs() < 1e-11);
    for (u, v) in (0..d * d).map(|k| (k / d, k % d)) {
        let new = new_name(u) * d + new_name(v);
        assert!((found.edges[u * d + v] - renamed.edges[new]).abs() < 1e-11);
        assert!((found.paths[u * d + v] - renamed.paths[new]).abs() < 1e-11);
    }
    assert!(found.edges.iter().any(|&p| p > 0.05 && p < 0.95));
}

#[test]
fn results_do_not_depend_on_the_number_of_threads() {
    let scores = random_scores(13, 15.0, 0.0, 2);
    let with_threads = |n: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(n).build().unwrap();
        let found = pool.install(|| ExactPosterior::new(&scores).unwrap());
        let bits = |values: &[f64]| values.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
        (found.log_evidence.to_bits(), bits(&found.edges), bits(&found.paths), found.best)
    };
    assert_eq!(with_threads(1), with_threads(3));
}

#[test]
fn refusals_say_what_is_wrong() {
    let message = |scores: Result<LocalScoreTable, gfn_core::Error>| scores.unwrap_err().to_string();
    let nan = |node: usize, parents: u64| if (node, parents) == (2, 0b011) { f64::NAN } else { 0.0 };
    assert_eq!(
        message(LocalScoreTable::from_fn(3, nan)),
        "local score of node 2: expected a number, or −∞ for parents that are not allowed, found NaN with the \
         parents 0b11; look at the data and the settings of the score"
    );
    assert!(message(LocalScoreTable::from_fn(3, |_, _| f64::INFINITY)).contains("found inf"));
    assert_eq!(
        message(LocalScoreTable::from_fn(21, |_, _| 0.0)),
        "exact engine: expected 1 to 20 variables, found 21; leave out --exact, or choose fewer variables"
    );
    assert!(message(LocalScoreTable::from_fn(0, |_, _| 0.0)).contains("found 0"));
    let mut scores = random_scores(3, 1.0, 0.0, 0);
    let other = random_scores(4, 1.0, 0.0, 0);
    assert!(scores.add(&other).unwrap_err().to_string().contains("one over 3 nodes, found one over 4"));
    assert!(scores.restrict(&Constraints::none(2).unwrap()).is_err());
    let far = LocalScoreTable::from_fn(3, |_, parents| -1e8 * parents as f64).unwrap();
    assert!(ExactPosterior::new(&far).unwrap_err().to_string().contains("within 2·10⁷ nats"));
    let cycle = LocalScoreTable::from_fn(2, |_, parents| if parents == 0 { f64::NEG_INFINITY } else { 0.0 });
    assert!(ExactPosterior::new(&cycle.unwrap()).is_err());
}

/// Log-evidence, edges and paths of the pooled rows, each shard, and the product. False where the folder is absent.
fn check_posterior(folder: &str, read: impl Fn(&str) -> Option<String>) -> bool {
    let read = |file: &str| read(&format!("{folder}/{file}"));
    let Some(json) = read("posterior.json") else { return false };
    let json: Value = serde_json::from_str(&json).unwrap();
    let settings = BgeSettings {
        alpha_mu: json["alpha_mu"].as_f64().unwrap(),
        alpha_w: json["alpha_w"].as_f64(),
        prior_mean: PriorMean::Zero,
        t: json["t"].as_f64(),
    };
    let n_shards = json["shards"].as_array().unwrap().len();
    let shards: Vec<Table> = (0..n_shards).map(|k| table(&read(&format!("shard{k}.csv")).unwrap())).collect();
    let scores = |table: &Table| LocalScoreTable::from_score(&Bge::new(table, &settings).unwrap()).unwrap();
    let columns = (0..shards[0].n_columns())
        .map(|j| shards.iter().flat_map(|shard| shard.columns()[j].iter().copied()).collect());
    let pooled = Table::new(shards[0].names().to_vec(), columns.collect()).unwrap();
    let mut product = scores(&shards[0]);
    shards[1..].iter().for_each(|shard| product.add(&scores(shard)).unwrap());
    let mut all = vec![("pooled".to_string(), scores(&pooled)), ("product".to_string(), product)];
    all.extend(shards.iter().enumerate().map(|(k, shard)| (format!("shard{k}"), scores(shard))));
    let d = shards[0].n_columns();
    for (name, scores) in &all {
        let found = ExactPosterior::new(scores).unwrap();
        let evidence = json["log_evidence"][name].as_f64().unwrap();
        assert!((found.log_evidence / evidence - 1.0).abs() < 1e-12, "{folder} {name}");
        let printed = &json["features"][name];
        for (u, v) in (0..d * d).map(|k| (k / d, k % d)) {
            for (feature, found) in [("edge", &found.edges), ("path", &found.paths)] {
                // Paths are not known of six nodes.
                let Some(printed) = printed[feature][u][v].as_f64() else { continue };
                let difference = found[u * d + v] - printed;
                assert!(difference.abs() < 1e-9, "{folder} {name} {feature} {u} {v}: {difference:e}");
            }
        }
        // Of the pooled rows and the product only.
        if let Some(best) = json["top5"][name][0][1].as_f64() {
            let log_share = found.best_log_score - found.log_evidence;
            assert!((log_share.exp() - best).abs() < 1e-9, "{folder} {name}: {log_share}, {best}");
        }
    }
    true
}

#[test]
fn reference_posteriors_of_three_and_four_nodes() {
    for folder in ["d3_coefs_n300_N3", "d4_homog_n200_N4"] {
        assert!(check_posterior(&format!("posteriors/{folder}"), shared::own));
    }
}

/// Not `d4_homog_n200_N4_fair`, which has another graph prior.
#[test]
fn reference_posteriors_of_up_to_six_nodes() {
    for folder in [
        "d3_homog_n100_N2",
        "d4_meanshift_n200_N4",
        "d5_homog_n1000_N10",
        "d5_homog_n200_N4",
        "d6_homog_n300_N3",
    ] {
        if !check_posterior(&format!("posteriors/bn/{folder}"), shared::shared) {
            println!("{folder}: skipped: no shared data");
        }
    }
}
