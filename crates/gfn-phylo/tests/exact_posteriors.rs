//! Posteriors over all topologies, whole data and shards, against an independent program's exact enumeration.

mod shared;

use std::collections::HashMap;

use gfn_phylo::{
    Alignment, Bipartition, Likelihood, SitePatterns, SubstitutionModel, all_topologies,
    number_of_topologies, split_frequencies,
};
use serde_json::Value;

fn log_sum_exp(values: &[f64]) -> f64 {
    let highest = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    highest + values.iter().map(|value| (value - highest).exp()).sum::<f64>().ln()
}

/// Checks every column of a posterior file: each tree's log-likelihood and probability, normalisers, split posteriors.
fn check(text: &str) {
    let file: Value = serde_json::from_str(text).unwrap();
    let id = file["id"].as_str().unwrap();
    let rows = file["alignment"].as_object().unwrap();
    let alignment = Alignment::new(
        rows.keys().cloned().collect(),
        rows.values().map(|row| row.as_str().unwrap().as_bytes().to_vec()).collect(),
    )
    .unwrap();
    let sites = alignment.n_sites();
    let branch_length = file["branch_length"].as_f64().unwrap();
    let topologies: Vec<_> = all_topologies(&alignment.taxa).unwrap().collect();
    assert_eq!(topologies.len() as u128, number_of_topologies(alignment.n_taxa()).unwrap());

    let unrooted = &file["unrooted"];
    let expected: HashMap<&str, &Value> =
        unrooted["trees"].as_array().unwrap().iter().map(|t| (t["newick"].as_str().unwrap(), t)).collect();
    assert_eq!(expected.len(), topologies.len());
    let normalisers: HashMap<&str, &Value> =
        unrooted["shards"].as_array().unwrap().iter().map(|s| (s["name"].as_str().unwrap(), s)).collect();

    let columns: Vec<&str> =
        file["log_columns"].as_array().unwrap().iter().map(|name| name.as_str().unwrap()).collect();
    assert_eq!(columns.len(), 11);
    for (column, name) in columns.iter().enumerate() {
        let mine: Vec<usize> = (0..sites)
            .filter(|site| match name.rsplit_once('_') {
                Some(("contiguous", shard)) => site * 5 / sites == shard.parse::<usize>().unwrap(),
                Some(("round_robin", shard)) => site % 5 == shard.parse::<usize>().unwrap(),
                _ => true,
            })
            .collect();
        let patterns = SitePatterns::new(&alignment.select_sites(&mine));
        let likelihood = Likelihood::new(&SubstitutionModel::jc69(), &patterns).unwrap();
        let found: Vec<f64> = topologies
            .iter()
            .map(|topology| {
                likelihood.tree_log_likelihood(&topology.to_newick(|_| Some(branch_length))).unwrap()
            })
            .collect();
        let normaliser = log_sum_exp(&found);
        let mut largest = 0.0;
        for (topology, found) in topologies.iter().zip(&found) {
            let tree = expected[topology.to_string().as_str()];
            // The file gives log-likelihoods to twelve digits.
            let printed = tree["loglik"][column].as_f64().unwrap();
            assert!((found / printed - 1.0).abs() < 1e-11, "{id} {name} {topology}: {found}, {printed}");
            let probability = (found - normaliser).exp();
            largest = f64::max(largest, probability);
            if *name == "full" {
                let exact = tree["posterior"].as_f64().unwrap();
                assert!((probability - exact).abs() < 1e-11, "{id} {topology}: {probability}, {exact}");
            }
        }
        let (log_sum, max_prob) = match *name {
            "full" => (&unrooted["log_sum_likelihood"], &unrooted["max_prob"]),
            shard => (&normalisers[shard]["log_normaliser"], &normalisers[shard]["max_prob"]),
        };
        assert!((normaliser - log_sum.as_f64().unwrap()).abs() < 1e-9, "{id} {name}: {normaliser}");
        assert!((largest - max_prob.as_f64().unwrap()).abs() < 1e-9, "{id} {name}: {largest}");
        if *name == "full" {
            let weights = found.iter().map(|found| (found - normaliser).exp());
            let splits: HashMap<Bipartition, f64> =
                split_frequencies(topologies.iter().zip(weights)).unwrap().into_iter().collect();
            let published = unrooted["split_posteriors"].as_array().unwrap();
            assert!(!published.is_empty());
            for entry in published {
                let taxa = entry[0].as_array().unwrap().iter().map(|taxon| {
                    topologies[0].taxa().iter().position(|name| name == taxon.as_str().unwrap()).unwrap()
                });
                let split = Bipartition::new(alignment.n_taxa(), taxa);
                assert!((splits[&split] - entry[1].as_f64().unwrap()).abs() < 1e-9, "{id} {entry}");
            }
        }
    }
}

#[test]
fn simulated_5_6_and_7_taxa() {
    check(include_str!("data/sim5.json"));
    check(include_str!("data/sim6.json"));
    check(include_str!("data/sim7.json"));
}

#[test]
fn primates_and_amphibians() {
    for name in ["prim6", "ds1_6", "prim7"] {
        match shared::read(&format!("posteriors/phylo/{name}.json")) {
            Some(text) => check(&text),
            None => println!("{name}: skipped: no shared data"),
        }
    }
}
