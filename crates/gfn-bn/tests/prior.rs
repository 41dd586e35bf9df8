//! Priors over graphs: their formulas, what they say where acyclicity does not interfere, and reference posteriors.

#[path = "shared/random_tables.rs"]
mod random_tables;
mod shared;

use std::sync::Arc;

use gfn_bn::data::{ColumnSchema, Schema};
use gfn_bn::exact::ExactPosterior;
use gfn_bn::{
    BgeSettings, Dag, DagDomain, DagPrior, DagReward, EdgeProbability, GraphPrior, Knowledge,
    NetworkSettings, ScoreSettings, Statistics, Table,
};
use gfn_core::ErrorKind;
use gfn_core::exact::{StateGraph, normalise};
use gfn_core::reward::LogReward;
use rand::RngExt;
use random_tables::{names, random_dag, seeded};
use serde_json::Value;
use shared::{all_dags, environment, table};

/// C(n, k), exact in integers below 2^53.
fn binomial(n: usize, k: usize) -> f64 {
    (0..k).fold(1.0, |product, i| product * (n - i) as f64 / (i + 1) as f64)
}

fn edge(from: &str, to: &str, probability: f64) -> EdgeProbability {
    EdgeProbability { from: from.into(), to: to.into(), probability }
}

/// Probabilities of their own for three edges of four nodes.
fn edges_of_four() -> GraphPrior {
    let edges = vec![edge("X0", "X1", 0.9), edge("X1", "X0", 0.05), edge("X3", "X2", 0.5)];
    GraphPrior::Edges { probability: 0.2, edges }
}

#[test]
fn formulas() {
    let mut rng = seeded(3);
    for d in [1, 2, 3, 12, 64] {
        let env = environment(d);
        let uniform = DagPrior::new(&GraphPrior::Uniform, &names(d)).unwrap();
        let fair = DagPrior::new(&GraphPrior::Fair, &names(d)).unwrap();
        let edges = GraphPrior::Edges { probability: 0.3, edges: Vec::new() };
        let edges = DagPrior::new(&edges, &names(d)).unwrap();
        for _ in 0..20 {
            let dag = random_dag(&mut rng, d);
            assert_eq!(uniform.log_reward(&env, &dag), 0.0);
            let counts = dag.parent_sets().iter().map(|parents| parents.count_ones() as usize);
            let expected: f64 = counts.map(|k| -binomial(d - 1, k).ln()).sum();
            let found = fair.log_reward(&env, &dag);
            assert!((found - expected).abs() < 1e-10 * (1.0 + expected.abs()), "{found}, {expected}");
            let expected = dag.n_edges() as f64 * (0.3 / 0.7f64).ln();
            let found = edges.log_reward(&env, &dag);
            assert!((found - expected).abs() < 1e-10 * (1.0 + expected.abs()), "{found}, {expected}");
        }
    }
    let prior = DagPrior::new(&edges_of_four(), &names(4)).unwrap();
    for dag in all_dags(&environment(4)) {
        let odds = dag.edges().map(|edge| match edge {
            (0, 1) => 0.9 / 0.1,
            (1, 0) => 0.05 / 0.95,
            (3, 2) => 1.0,
            _ => 0.2 / 0.8,
        });
        let expected = odds.product::<f64>().ln();
        let found = prior.log_reward(&environment(4), &dag);
        assert!((found - expected).abs() < 1e-12, "{dag}: {found}, {expected}");
    }
}

/// In a known order no edge closes a cycle: each is then there with its own probability, independently of the others.
#[test]
fn edges_are_independent_where_the_order_is_known() {
    let edges = vec![edge("X0", "X1", 0.9), edge("X2", "X3", 0.25)];
    let posterior = domain(
        NetworkSettings {
            prior: GraphPrior::Edges { probability: 0.2, edges },
            knowledge: in_order(4),
            ..settings(4)
        },
        &[],
        1.0,
    );
    for (from, to) in (0..4).flat_map(|from| (0..4).map(move |to| (from, to))) {
        let expected = match (from, to) {
            (0, 1) => 0.9,
            (2, 3) => 0.25,
            _ if from < to => 0.2,
            _ => 0.0,
        };
        let found = posterior.edges[from * 4 + to];
        assert!((found - expected).abs() < 1e-12, "{from} → {to}: {found}");
    }
    // Π 1 / (1 − q), the normaliser of what is written down by odds alone.
    let expected = -(0.1 * 0.75 * 0.8f64.powi(4)).ln();
    assert!((posterior.log_evidence - expected).abs() < 1e-12);
}

/// The last of a known order has 0, 1, …, d − 1 parents with the same probability: each is a parent in half of them.
#[test]
fn numbers_of_parents_are_equally_probable_where_the_order_is_known() {
    let d = 6;
    let env = environment(d);
    let fair = DagPrior::new(&GraphPrior::Fair, env.names()).unwrap();
    let mut by_count = vec![0.0; d];
    for parents in 0..1u64 << (d - 1) {
        by_count[parents.count_ones() as usize] += fair.local(d - 1, parents).exp();
    }
    by_count.iter().for_each(|weight| assert!((weight - 1.0).abs() < 1e-12, "{by_count:?}"));
    let settings = NetworkSettings { prior: GraphPrior::Fair, knowledge: in_order(d), ..settings(d) };
    let posterior = domain(settings, &[], 1.0);
    (0..d - 1).for_each(|from| assert!((posterior.edges[from * d + d - 1] - 0.5).abs() < 1e-12));
}

/// Every variable a tier of its own.
fn in_order(d: usize) -> Knowledge {
    Knowledge { tiers: names(d).into_iter().map(|name| vec![name]).collect(), ..Knowledge::default() }
}

fn settings(d: usize) -> NetworkSettings {
    let column = |name| ColumnSchema { name, levels: None };
    NetworkSettings::new(names(d).into_iter().map(column).collect())
}

/// The exact posterior of the sites' product with the prior to the power `share`.
fn domain(settings: NetworkSettings, parts: &[&Statistics], share: f64) -> ExactPosterior {
    let table = DagDomain::new(settings).unwrap().score_table(parts, share).unwrap();
    ExactPosterior::new(&table).unwrap()
}

/// Shards with the file's columns, read through a domain.
fn read_shards(domain: &DagDomain, texts: &[String]) -> Vec<Statistics> {
    let folder = tempfile::tempdir().unwrap();
    let read = |(k, text): (usize, &String)| {
        let path = folder.path().join(format!("shard{k}.csv"));
        std::fs::write(&path, text).unwrap();
        domain.read_site(&path).unwrap().statistics
    };
    texts.iter().enumerate().map(read).collect()
}

/// The posteriors under a uniform prior that this crate has, times the prior, and normalised: all that a prior does.
#[test]
fn a_prior_reweights_the_posterior() {
    let folder = "posteriors/d4_homog_n200_N4";
    let csv = shared::own(&format!("{folder}/posterior.csv")).unwrap();
    let shard = table(&shared::own(&format!("{folder}/shard0.csv")).unwrap());
    let env = environment(4);
    let graph = StateGraph::enumerate(&env, 1000).unwrap();
    let mut lines = csv.lines();
    let column = lines.next().unwrap().split(',').position(|name| name == "shard0").unwrap();
    let uniform: Vec<(Dag, f64)> = lines
        .map(|line| line.split(',').collect::<Vec<_>>())
        .map(|cells| (cells[0].parse().unwrap(), cells[column].parse().unwrap()))
        .collect();
    for (prior, share) in [(GraphPrior::Fair, 1.0), (GraphPrior::Fair, 0.25), (edges_of_four(), 1.0)] {
        let weight = |dag: &Dag| -> f64 {
            let of_edge = |edge| match edge {
                (0, 1) => 9.0,
                (1, 0) => 1.0 / 19.0,
                (3, 2) => 1.0,
                _ => 0.25,
            };
            let of_node = |parents: &u64| 1.0 / binomial(3, parents.count_ones() as usize);
            let whole: f64 = match prior {
                GraphPrior::Fair => dag.parent_sets().iter().map(of_node).product(),
                _ => dag.edges().map(of_edge).product(),
            };
            whole.powf(share)
        };
        let total: f64 = uniform.iter().map(|(dag, p)| p * weight(dag)).sum();
        let prior = Arc::new(DagPrior::new(&prior, env.names()).unwrap());
        let reward = DagReward::bge(&env, &shard, &reference()).unwrap().with_prior(prior, share);
        let (_, found) = normalise(&graph.log_rewards(&env, &reward));
        let found: std::collections::HashMap<&Dag, f64> = graph.objects().zip(found).collect();
        for (dag, p) in &uniform {
            let expected = p * weight(dag) / total;
            assert!((found[dag] - expected).abs() <= 1e-9 * expected, "{dag}: {}, {expected}", found[dag]);
        }
    }
}

/// The settings with which the reference posteriors of four nodes were made.
fn reference() -> BgeSettings {
    BgeSettings { alpha_mu: 1.0, alpha_w: Some(6.0), t: Some(0.5), ..BgeSettings::default() }
}

/// Posteriors under the fair prior by an independent program's enumeration: of each shard, which holds a quarter of
/// the prior, of their product, which then holds it once, of the product with the prior of every shard, and of the
/// pooled rows.
#[test]
fn fair_posteriors_agree_with_an_independent_program() {
    let read = |file: &str| shared::shared(&format!("posteriors/bn/d4_homog_n200_N4_fair/{file}"));
    let (Some(json), Some(csv)) = (read("posterior.json"), read("posterior.csv")) else {
        println!("skipped: no shared data");
        return;
    };
    let json: Value = serde_json::from_str(&json).unwrap();
    assert!(json["graph_prior"].as_str().unwrap().starts_with("fair: "));
    let texts: Vec<String> = (0..4).map(|k| read(&format!("shard{k}.csv")).unwrap()).collect();
    let shards: Vec<Table> = texts.iter().map(|text| table(text)).collect();
    let settings = NetworkSettings {
        prior: GraphPrior::Fair,
        score: ScoreSettings::Bge(reference()),
        columns: Schema::from(&shards[0]).columns,
        ..settings(4)
    };
    let domain = DagDomain::new(settings).unwrap();
    let statistics = read_shards(&domain, &texts);
    let pooled = Statistics::merge(&statistics).unwrap();
    let all: Vec<&Statistics> = statistics.iter().collect();

    let env = environment(4);
    let prior = Arc::clone(domain.prior());
    let reward = |shard: &Table, share| {
        DagReward::bge(&env, shard, &reference()).unwrap().with_prior(Arc::clone(&prior), share)
    };
    let rewards: Vec<DagReward> = shards.iter().map(|shard| reward(shard, 0.25)).collect();
    let product = |share| DagReward::product(&env, &rewards).unwrap().with_prior(Arc::clone(&prior), share);
    let mut cases: Vec<(String, DagReward, Vec<&Statistics>, f64)> = vec![
        ("pooled".into(), reward(&Table::pooled(&shards).unwrap(), 1.0), vec![&pooled], 1.0),
        ("product".into(), product(1.0), all.clone(), 1.0),
        ("product_prior_not_split".into(), product(4.0), all.clone(), 4.0),
    ];
    for (k, reward) in rewards.iter().enumerate() {
        cases.push((format!("shard{k}"), reward.clone(), vec![all[k]], 0.25));
    }
    let header: Vec<&str> = csv.lines().next().unwrap().split(',').collect();
    assert_eq!(header.len(), 1 + cases.len());
    let graph = StateGraph::enumerate(&env, 1000).unwrap();
    for (name, reward, parts, share) in cases {
        let (log_evidence, found) = normalise(&graph.log_rewards(&env, &reward));
        let found: std::collections::HashMap<&Dag, f64> = graph.objects().zip(found).collect();
        let column = header.iter().position(|column| *column == name).unwrap();
        for line in csv.lines().skip(1) {
            let cells: Vec<&str> = line.split(',').collect();
            let (dag, printed): (Dag, f64) = (cells[0].parse().unwrap(), cells[column].parse().unwrap());
            assert!((found[&dag] - printed).abs() <= 1e-9 * printed, "{name} {dag}: {}", found[&dag]);
        }
        let table = domain.score_table(&parts, share).unwrap();
        let exact = ExactPosterior::new(&table).unwrap();
        let printed = json["log_evidence"][&name].as_f64().unwrap();
        for evidence in [log_evidence, exact.log_evidence] {
            assert!((evidence / printed - 1.0).abs() < 1e-12, "{name}: {evidence}, {printed}");
        }
        let Some(features) = json["features"].get(&name) else {
            assert_eq!(name, "product_prior_not_split");
            continue;
        };
        for (feature, found) in [("edge", &exact.edges), ("path", &exact.paths)] {
            for (u, v) in (0..16).map(|k| (k / 4, k % 4)) {
                let printed = features[feature][u][v].as_f64().unwrap();
                assert!((found[u * 4 + v] - printed).abs() < 1e-9, "{name} {feature} {u} {v}");
            }
        }
        let domains = domain.reward(&parts, share).unwrap();
        for dag in graph.objects() {
            let (one, other) = (domains.log_reward(&env, dag), table.score(dag));
            assert!((one / other - 1.0).abs() < 1e-13, "{name} {dag}: {one}, {other}");
        }
    }
}

#[test]
fn what_is_no_prior_is_refused() {
    let names = names(3);
    let message = |probability: f64, edges: Vec<EdgeProbability>| {
        let error = DagPrior::new(&GraphPrior::Edges { probability, edges }, &names).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Input);
        error.to_string()
    };
    for probability in [0.0, 1.0, -0.1, 1.1, f64::NAN, f64::INFINITY] {
        let text = message(probability, Vec::new());
        let found = format!("found {probability}; require or forbid");
        assert!(text.starts_with("prior, probability: ") && text.contains(&found), "{text}");
        let text = message(0.5, vec![edge("X0", "X1", 0.5), edge("X2", "X1", probability)]);
        assert!(text.starts_with("prior of edge X2 → X1: ") && text.contains(&found), "{text}");
    }
    for (from, to) in [("X0", "Y"), ("Y", "X0")] {
        let text = message(0.5, vec![edge(from, to, 0.5)]);
        assert!(text.starts_with(&format!("prior of edge {from} → {to}: ")), "{text}");
        assert!(text.contains("expected variables among X0, X1, X2, found \"Y\""), "{text}");
    }
    let text = message(0.5, vec![edge("X1", "X1", 0.5)]);
    assert!(text.starts_with("prior of edge X1 → X1: ") && text.contains("found a loop"), "{text}");
    let text = message(0.5, vec![edge("X1", "X2", 0.5), edge("X2", "X1", 0.5), edge("X1", "X2", 0.6)]);
    assert!(
        text.starts_with("prior of edge X1 → X2: ") && text.contains("found the same edge twice"),
        "{text}"
    );
    let edges = (0..3).flat_map(|u| (0..3).map(move |v| (u, v))).filter(|(u, v)| u != v);
    let mut rng = seeded(4);
    let all = edges.map(|(u, v)| edge(&names[u], &names[v], rng.random_range(0.01..0.99))).collect();
    assert!(DagPrior::new(&GraphPrior::Edges { probability: 0.5, edges: all }, &names).is_ok());
}

#[test]
fn plans_hold_it_as_text() {
    let read = |text: &str| toml::from_str::<GraphPrior>(text);
    assert_eq!(read("kind = \"uniform\"").unwrap(), GraphPrior::Uniform);
    assert_eq!(read("kind = \"fair\"").unwrap(), GraphPrior::Fair);
    let text =
        "kind = \"edges\"\nprobability = 0.25\n\n[[edges]]\nfrom = \"a\"\nto = \"b\"\nprobability = 0.5\n";
    let prior = read(text).unwrap();
    let edges = vec![edge("a", "b", 0.5)];
    assert_eq!(prior, GraphPrior::Edges { probability: 0.25, edges });
    assert_eq!(toml::to_string(&prior).unwrap(), text);
    assert!(read("kind = \"edges\"").is_err());
    assert!(read("kind = \"edges\"\nprobability = 0.25\nbonus = 1").is_err());
    // A setting that another kind would read is not passed over.
    for kind in ["uniform", "fair"] {
        assert!(read(&format!("kind = \"{kind}\"\nprobability = 0.25")).is_err(), "{kind}");
    }
}
