//! Likelihoods against published-precision vectors: 50-digit transition matrices, confirmed by BEAGLE and PhyML.
//!
//! Cases that name an alignment file are read from the shared folder beside the workspace where there is one.

mod shared;

use gfn_phylo::likelihood::category_rates;
use gfn_phylo::{Alignment, Likelihood, ModelSettings, NewickTree, SitePatterns, SubstitutionModel};
use serde_json::Value;

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|x| x.as_f64().unwrap()).collect()
}

fn model_of(case: &Value) -> SubstitutionModel {
    let model = &case["model"];
    let mut settings = ModelSettings {
        name: model["name"].as_str().unwrap().to_string(),
        kappa: model["kappa"].as_f64(),
        frequencies: model.get("freqs").map(|f| serde_json::from_value(f.clone()).unwrap()),
        rates: model.get("rates").map(|rates| numbers(rates).try_into().unwrap()),
        ..ModelSettings::default()
    };
    let gamma = &case["gamma"];
    if !gamma.is_null() {
        settings.name += &format!("+G{}", gamma["categories"]);
        settings.alpha = gamma["alpha"].as_f64();
        settings.category_rates = Some(serde_json::from_value(gamma["category_rates"].clone()).unwrap());
    }
    if case["pinv"].as_f64().unwrap() > 0.0 {
        settings.name += "+I";
        settings.pinv = case["pinv"].as_f64();
    }
    SubstitutionModel::new(&settings).unwrap()
}

fn alignment_of(case: &Value) -> Option<Alignment> {
    let rows: Vec<(String, String)> = match case.get("alignment_file") {
        None => {
            let rows = case["alignment"].as_object().unwrap();
            rows.iter().map(|(name, row)| (name.clone(), row.as_str().unwrap().to_string())).collect()
        }
        Some(file) => {
            let text = shared::read(file.as_str().unwrap())?;
            let range = numbers(&case["site_range_0based_half_open"]);
            let all = shared::fasta(&text);
            assert_eq!(range, [0.0, all[0].1.len() as f64]);
            all
        }
    };
    let (taxa, rows): (Vec<_>, Vec<_>) = rows.into_iter().map(|(name, row)| (name, row.into_bytes())).unzip();
    Some(Alignment::new(taxa, rows).unwrap())
}

/// Checks all cases of a file; returns how many were checked and the largest relative error.
fn check(text: &str) -> (usize, f64) {
    let file: Value = serde_json::from_str(text).unwrap();
    let (mut checked, mut largest) = (0, 0.0);
    for case in file["cases"].as_array().unwrap() {
        let id = case["id"].as_str().unwrap();
        let Some(alignment) = alignment_of(case) else {
            println!("{id}: skipped: no shared data");
            continue;
        };
        let model = model_of(case);
        let patterns = SitePatterns::new(&alignment);
        assert_eq!(patterns.n_taxa() as u64, case["taxa"].as_u64().unwrap(), "{id}");
        assert_eq!(patterns.n_sites() as u64, case["sites"].as_u64().unwrap(), "{id}");
        assert_eq!(patterns.n_patterns() as u64, case["patterns"].as_u64().unwrap(), "{id}");
        if let Some(gamma) = model.gamma() {
            for (rate, expected) in category_rates(&gamma).iter().zip(numbers(&case["gamma"]["rates"])) {
                assert!((rate / expected - 1.0).abs() < 1e-11, "{id}: rate {rate}, expected {expected}");
            }
        }
        let tree = NewickTree::parse(case["newick"].as_str().unwrap()).unwrap();
        let likelihood = Likelihood::new(&model, &patterns).unwrap();
        let found = likelihood.tree_log_likelihood(&tree).unwrap();
        if case["minus_infinity"].as_bool().unwrap() {
            assert_eq!(found, f64::NEG_INFINITY, "{id}");
        } else {
            let expected = case["log_likelihood"].as_f64().unwrap();
            let error = (found - expected).abs() / expected.abs().max(1.0);
            let tolerance = if model.gamma().is_some() { 1e-8 } else { 1e-9 };
            assert!(error < tolerance, "{id}: {found}, expected {expected}, relative error {error:e}");
            largest = f64::max(largest, error);
        }
        if id == "c31_all_missing" {
            assert_eq!(found, 0.0, "{id}: no data, exactly no information");
        }
        checked += 1;
    }
    println!("{checked} cases, largest relative error {largest:e}");
    (checked, largest)
}

#[test]
fn vectors_with_their_own_alignments() {
    let (checked, largest) = check(include_str!("data/likelihood.json"));
    assert_eq!(checked, 18);
    assert!(largest < 1e-12);
}

#[test]
fn vectors_of_real_alignments() {
    let Some(text) = shared::read("vectors/phylo/likelihood.json") else {
        println!("skipped: no shared data");
        return;
    };
    assert_eq!(check(&text).0, 24);
}

#[test]
fn site_likelihoods_multiply_over_any_split_of_the_sites() {
    let file: Value = serde_json::from_str(include_str!("data/likelihood.json")).unwrap();
    let case = file["cases"].as_array().unwrap().iter().find(|case| case["id"] == "c11_7_gtr_i").unwrap();
    let (alignment, model) = (alignment_of(case).unwrap(), model_of(case));
    let tree = NewickTree::parse(case["newick"].as_str().unwrap()).unwrap();
    let total = |sites: &[usize]| {
        let part = SitePatterns::new(&alignment.select_sites(sites));
        Likelihood::new(&model, &part).unwrap().tree_log_likelihood(&tree).unwrap()
    };
    let shards: f64 =
        (0..5).map(|shard| total(&(shard..alignment.n_sites()).step_by(5).collect::<Vec<_>>())).sum();
    assert!((shards - case["log_likelihood"].as_f64().unwrap()).abs() < 1e-9);
    assert_eq!(total(&[]), 0.0);
}
