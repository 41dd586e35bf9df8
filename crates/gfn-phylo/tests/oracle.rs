//! The Metropolis sampler against exact posteriors.

mod shared;

use gfn_phylo::{
    Alignment, Bipartition, Likelihood, OracleSettings, SitePatterns, SubstitutionModel,
    majority_rule_consensus, sample_topologies,
};
use serde_json::Value;

fn likelihood_of(file: &Value, reversed: bool) -> Likelihood {
    let mut rows: Vec<(String, Vec<u8>)> = file["alignment"]
        .as_object()
        .unwrap()
        .iter()
        .map(|(name, row)| (name.clone(), row.as_str().unwrap().as_bytes().to_vec()))
        .collect();
    if reversed {
        rows.reverse();
    }
    let (taxa, rows) = rows.into_iter().unzip();
    let patterns = SitePatterns::new(&Alignment::new(taxa, rows).unwrap());
    Likelihood::new(&SubstitutionModel::jc69(), &patterns).unwrap()
}

/// Monte Carlo tolerance: 4 × 20 000 samples, ten proposals apart; were they worth only one independent draw in
/// eight, a frequency would deviate by 0.005 at most (one sigma, 0.5/√10 000); 0.02 is four of them.
const TOLERANCE: f64 = 0.02;

fn check(text: &str) {
    let file: Value = serde_json::from_str(text).unwrap();
    let likelihood = likelihood_of(&file, true);
    let settings = OracleSettings { steps: 220_000, ..OracleSettings::default() };
    let report = sample_topologies(&likelihood, &settings).unwrap();
    let taxa = report.trees[0].topology.taxa();
    let frequency = |split: &Bipartition| {
        report.splits.iter().find(|found| found.split == *split).map_or(0.0, |found| found.mean)
    };
    for entry in file["unrooted"]["split_posteriors"].as_array().unwrap() {
        let members = entry[0]
            .as_array()
            .unwrap()
            .iter()
            .map(|t| taxa.iter().position(|n| n == t.as_str().unwrap()).unwrap());
        let exact = entry[1].as_f64().unwrap();
        let found = frequency(&Bipartition::new(taxa.len(), members));
        assert!((found - exact).abs() < TOLERANCE, "{}: {entry}: {found}", file["id"]);
    }
    let total: f64 = report.weighted_trees().map(|(_, weight)| weight).sum();
    assert_eq!(total, 80_000.0);
    for tree in file["unrooted"]["trees"].as_array().unwrap() {
        let exact = tree["posterior"].as_f64().unwrap();
        let visited =
            report.trees.iter().find(|v| v.topology.to_string() == tree["newick"].as_str().unwrap());
        let found = visited.map_or(0.0, |v| v.counts.iter().sum::<u64>() as f64 / total);
        assert!((found - exact).abs() < TOLERANCE, "{tree}: {found}");
        if let Some(visited) = visited {
            assert!((visited.log_likelihood / tree["loglik"][0].as_f64().unwrap() - 1.0).abs() < 1e-11);
        }
    }
    assert!(report.max_split_difference < 2.0 * TOLERANCE, "{}", report.max_split_difference);
    assert!(report.acceptance.iter().all(|rate| (0.01..0.9).contains(rate)), "{:?}", report.acceptance);
    assert!(majority_rule_consensus(report.weighted_trees()).is_ok());
}

#[test]
fn exact_posteriors_are_reproduced() {
    check(include_str!("data/sim5.json"));
    check(include_str!("data/sim6.json"));
    match shared::read("posteriors/phylo/prim6.json") {
        Some(text) => check(&text),
        None => println!("prim6: skipped: no shared data"),
    }
}

#[test]
fn power_zero_is_uniform_and_equal_seeds_are_equal() {
    let file: Value = serde_json::from_str(include_str!("data/sim5.json")).unwrap();
    let likelihood = likelihood_of(&file, false);
    let settings = OracleSettings { likelihood_power: 0.0, chains: 2, ..OracleSettings::default() };
    let report = sample_topologies(&likelihood, &settings).unwrap();
    assert_eq!(report.trees.len(), 15);
    let counts: Vec<f64> = report.weighted_trees().map(|(_, weight)| weight).collect();
    let expected = counts.iter().sum::<f64>() / 15.0;
    // 99.99 % point of chi-square at 14 degrees of freedom: 42.6; ten proposals apart samples are nearly independent.
    let statistic: f64 = counts.iter().map(|count| (count - expected).powi(2) / expected).sum();
    assert!(statistic < 42.6, "{statistic}");
    // Every proposal is accepted that is a change at all.
    assert!(report.acceptance.iter().all(|rate| (0.7..1.0).contains(rate)), "{:?}", report.acceptance);
    assert_eq!(sample_topologies(&likelihood, &settings).unwrap(), report);
    let other = OracleSettings { seed: 1, ..settings };
    assert_ne!(sample_topologies(&likelihood, &other).unwrap(), report);
}

#[test]
fn senseless_settings_are_refused() {
    let file: Value = serde_json::from_str(include_str!("data/sim5.json")).unwrap();
    let likelihood = likelihood_of(&file, false);
    let base = OracleSettings::default();
    for (setting, bad) in [
        ("chains", OracleSettings { chains: 0, ..base.clone() }),
        ("sample_every", OracleSettings { sample_every: 0, ..base.clone() }),
        ("steps", OracleSettings { steps: 10, ..base.clone() }),
        ("branch_length", OracleSettings { branch_length: f64::NAN, ..base.clone() }),
        ("likelihood_power", OracleSettings { likelihood_power: -1.0, ..base }),
    ] {
        let message = sample_topologies(&likelihood, &bad).unwrap_err().to_string();
        assert!(message.starts_with(&format!("{setting}: ")), "{message}");
    }
}
