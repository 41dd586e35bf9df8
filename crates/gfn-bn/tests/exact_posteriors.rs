//! Posteriors over all DAGs, of shards, their product and the pooled data, against an independent program's enumeration.

mod shared;

use std::collections::HashMap;

use gfn_bn::features::FeatureProbabilities;
use gfn_bn::{BgeSettings, Dag, DagReward, PriorMean, Table};
use gfn_core::exact::{StateGraph, normalise};
use gfn_core::reward::LogReward;
use serde_json::Value;
use shared::{environment, table};

/// The rows of all shards in one table.
fn pooled(shards: &[Table]) -> Table {
    let columns = (0..shards[0].n_columns())
        .map(|j| shards.iter().flat_map(|shard| shard.columns()[j].iter().copied()).collect())
        .collect();
    Table::new(shards[0].names().to_vec(), columns).unwrap()
}

/// Checks all of a posterior: each graph's probability, log-evidence, probabilities of edges, paths and Markov blankets.
/// False where the folder is absent.
fn check(folder: &str, read: impl Fn(&str) -> Option<String>) -> bool {
    let read = |file: &str| read(&format!("{folder}/{file}"));
    let Some(json) = read("posterior.json") else { return false };
    let json: Value = serde_json::from_str(&json).unwrap();
    let d = json["d"].as_u64().unwrap() as usize;
    let settings = BgeSettings {
        alpha_mu: json["alpha_mu"].as_f64().unwrap(),
        alpha_w: json["alpha_w"].as_f64(),
        prior_mean: PriorMean::Zero,
        t: json["t"].as_f64(),
    };
    assert_eq!((json["nu"].as_str(), json["graph_prior"].as_str()), (Some("zero"), Some("uniform")));

    let n_shards = json["shards"].as_array().unwrap().len();
    let shards: Vec<Table> = (0..n_shards).map(|k| table(&read(&format!("shard{k}.csv")).unwrap())).collect();
    let env = environment(d);
    let reward = |table: &Table| DagReward::bge(&env, table, &settings).unwrap();
    let mut rewards: Vec<(String, DagReward)> =
        shards.iter().enumerate().map(|(k, shard)| (format!("shard{k}"), reward(shard))).collect();
    rewards.push(("pooled".into(), reward(&pooled(&shards))));
    let product = DagReward::product(&env, rewards[..n_shards].iter().map(|(_, reward)| reward)).unwrap();
    rewards.push(("product".into(), product));

    let csv = read("posterior.csv").unwrap();
    let mut lines = csv.lines().map(|line| line.split(',').collect::<Vec<_>>());
    let header = lines.next().unwrap();
    let expected: HashMap<Dag, Vec<&str>> = lines.map(|cells| (cells[0].parse().unwrap(), cells)).collect();

    let graph = StateGraph::enumerate(&env, 100_000).unwrap();
    assert_eq!(expected.len(), graph.states().len());
    let mut columns = 1;
    for (name, reward) in &rewards {
        let (log_z, found) = normalise(&graph.log_rewards(&env, reward));
        // Large files have the probabilities of the first shards only.
        if let Some(column) = header.iter().position(|column| column == name) {
            columns += 1;
            for (dag, found) in graph.objects().zip(&found) {
                // Twelve digits each, so that the tail is compared as well as the mode.
                let printed: f64 = expected[dag][column].parse().unwrap();
                assert!(
                    (found - printed).abs() <= 1e-9 * printed,
                    "{folder} {name} {dag}: {found}, {printed}"
                );
            }
        }
        let evidence = json["log_evidence"][name].as_f64().unwrap();
        assert!((log_z / evidence - 1.0).abs() < 1e-12, "{folder} {name}: {log_z}, {evidence}");
        let empty = reward.log_reward(&env, &Dag::empty(d).unwrap());
        let printed = json["empty_graph_logscore"][name].as_f64().unwrap();
        assert!((empty / printed - 1.0).abs() < 1e-12, "{folder} {name}: {empty}, {printed}");

        let features = FeatureProbabilities::of(graph.objects().zip(found.iter().copied())).unwrap();
        let all = [
            ("edge", &features.edges),
            ("path", &features.paths),
            ("markov_blanket", &features.markov_blankets),
        ];
        for (feature, probabilities) in all {
            for (u, v) in (0..d * d).map(|k| (k / d, k % d)) {
                let printed = json["features"][name][feature][u][v].as_f64().unwrap();
                let probability = probabilities[u * d + v];
                assert!((probability - printed).abs() < 1e-9, "{folder} {name} {feature} {u} {v}");
            }
        }
    }
    assert_eq!(columns, header.len(), "{folder}: {header:?}");
    true
}

#[test]
fn of_three_and_four_nodes() {
    for folder in ["d3_coefs_n300_N3", "d4_homog_n200_N4"] {
        assert!(check(&format!("posteriors/{folder}"), shared::own));
    }
}

/// Not `d4_homog_n200_N4_fair` (another graph prior) and not `d6_homog_n300_N3` (3.8 million graphs).
#[test]
fn of_up_to_five_nodes() {
    for folder in ["d3_homog_n100_N2", "d4_meanshift_n200_N4", "d5_homog_n1000_N10", "d5_homog_n200_N4"] {
        if !check(&format!("posteriors/bn/{folder}"), shared::shared) {
            println!("{folder}: skipped: no shared data");
        }
    }
}
