//! The reward of trees against the likelihood of their Newick texts, its prior, shards, and exact posteriors with bins.

mod shared;

use std::collections::HashMap;

use gfn_core::Environment;
use gfn_core::math::log_sum_exp;
use gfn_core::random::stream;
use gfn_core::reward::LogReward;
use gfn_phylo::partition::{Split, deal_sites};
use gfn_phylo::{
    Alignment, BranchLengths, BranchPrior, Forest, MergeForest, NewickTree, SubstitutionModel, Topology,
    TreePrior, TreeReward,
};
use rayon::prelude::*;
use serde_json::Value;
use shared::{alignment, below, bins, environment, fixed, graph, length, newick, taxa};

const MODELS: [&str; 4] = [
    "JC69",
    "K80{4}+I{0.2}",
    "HKY85{2.5}+F{0.32,0.21,0.17,0.3}+G4{0.45}+I{0.25}",
    "GTR{1.1,3.2,0.7,0.9,4.4,1}+F{0.1,0.2,0.3,0.4}+G3m{0.7}",
];

fn reward(env: &MergeForest, alignment: &Alignment, model: &str, prior_share: f64) -> TreeReward {
    TreeReward::new(env, alignment, &model.parse().unwrap(), prior_share).unwrap()
}

#[test]
fn log_likelihood_is_that_of_the_newick_text() {
    for env in [environment(taxa(6), 3, fixed()), environment(taxa(4), 1, bins(3))] {
        // Rows in another order than the environment's taxa.
        let alignment = alignment(&taxa(env.taxa().len()), 80, 5);
        assert_ne!(alignment.taxa, env.taxa());
        let graph = graph(&env);
        for model in MODELS {
            let reward = reward(&env, &alignment, model, 0.0);
            let likelihood = reward.likelihood();
            for object in graph.objects() {
                let tree = NewickTree::parse(&newick(&env, object)).unwrap();
                let expected = likelihood.tree_log_likelihood(&tree).unwrap();
                let found = reward.log_likelihood(object);
                assert!((found / expected - 1.0).abs() < 1e-10, "{model} {tree}: {found}, {expected}");
                assert_eq!(reward.log_reward(&env, object), found);
            }
        }
    }
    // Many taxa: the scaled kernels.
    let many: Vec<String> = (0..150).map(|i| format!("t{i:03}")).collect();
    let alignment = alignment(&many, 30, 6);
    for branches in [fixed(), bins(4)] {
        let env = environment(many.clone(), 80, branches);
        let reward = reward(&env, &alignment, MODELS[2], 0.0);
        let object = env.sample_object(&mut stream(2, "object", 0)).unwrap();
        let tree = NewickTree::parse(&newick(&env, &object)).unwrap();
        let expected = reward.likelihood().tree_log_likelihood(&tree).unwrap();
        assert!((reward.log_likelihood(&object) / expected - 1.0).abs() < 1e-10);
    }
}

#[test]
fn the_outgroup_hangs_on_one_edge() {
    let env = environment(taxa(4), 2, fixed());
    let reward = reward(&env, &alignment(&taxa(4), 60, 9), MODELS[2], 0.0);
    for object in graph(&env).objects() {
        let rooted = |outgroup: f64, ingroup: f64| {
            let name = &env.taxa()[env.outgroup()];
            let tree = below(&env, object.root().unwrap(), 0);
            let tree = tree.strip_suffix(&format!("{:?}", length(&env, 0))).unwrap();
            let text = format!("({name}:{outgroup:?},{tree}{ingroup:?});");
            reward.likelihood().tree_log_likelihood(&NewickTree::parse(&text).unwrap()).unwrap()
        };
        let found = reward.log_likelihood(object);
        assert!((found / rooted(0.05, 0.05) - 1.0).abs() < 1e-10, "halves of one edge of 0.1");
        assert!((found / rooted(0.1, 0.0) - 1.0).abs() < 1e-10);
        assert!((found - rooted(0.1, 0.1)).abs() > 1e-3, "an edge of 0.2 is another tree");
    }
}

#[test]
fn order_and_repetition_of_evaluations_change_no_digit() {
    for env in [environment(taxa(6), 0, fixed()), environment(taxa(4), 0, bins(3))] {
        let alignment = alignment(&taxa(env.taxa().len()), 50, 7);
        let graph = graph(&env);
        let objects: Vec<&Forest> = graph.objects().collect();
        let new = || reward(&env, &alignment, MODELS[2], 0.5);
        let (forth, back, at_once) = (new(), new(), new());
        let first: Vec<f64> = objects.iter().map(|object| forth.log_reward(&env, object)).collect();
        let again: Vec<f64> = objects.iter().map(|object| forth.log_reward(&env, object)).collect();
        assert_eq!(first, again);
        let mut reversed: Vec<f64> =
            objects.iter().rev().map(|object| back.log_reward(&env, object)).collect();
        reversed.reverse();
        assert_eq!(first, reversed);
        let parallel: Vec<f64> = objects.par_iter().map(|object| at_once.log_reward(&env, object)).collect();
        assert_eq!(first, parallel);
    }
}

#[test]
fn what_is_no_object_has_no_likelihood() {
    let env = environment(taxa(4), 0, fixed());
    assert_eq!(
        reward(&env, &alignment(&taxa(4), 5, 1), "JC69", 1.0).log_likelihood(&env.initial()),
        f64::NEG_INFINITY
    );
}

#[test]
fn the_prior_sums_to_one() {
    for env in [
        environment(taxa(4), 0, fixed()),
        environment(taxa(7), 5, fixed()),
        environment(taxa(4), 0, bins(3)),
        environment(taxa(5), 4, bins(2)),
        environment(taxa(4), 1, BranchLengths::quantile_bins(4, BranchPrior::Gamma(2.0, 20.0)).unwrap()),
    ] {
        let total = log_sum_exp(&graph(&env).log_rewards(&env, &TreePrior::new(&env)));
        assert!(total.abs() < 1e-12, "{total}");
    }
}

#[test]
fn the_prior_counts_every_edge() {
    let env = environment(taxa(4), 0, bins(3));
    for object in graph(&env).objects() {
        let tree = NewickTree::parse(&newick(&env, object)).unwrap();
        let bins = tree
            .nodes
            .iter()
            .filter_map(|node| node.length)
            .map(|length| env.branches().lengths().iter().position(|&bin| bin == length).unwrap() as u8);
        let expected = bins.map(|bin| env.branches().log_prior(bin)).sum::<f64>() - 3f64.ln();
        assert!((TreePrior::new(&env).log_reward(&env, object) - expected).abs() < 1e-12);
    }
}

#[test]
fn shards_sum_to_the_whole() {
    for env in [environment(taxa(6), 3, fixed()), environment(taxa(4), 1, bins(3))] {
        let alignment = alignment(&taxa(env.taxa().len()), 103, 8);
        let graph = graph(&env);
        let prior = graph.log_rewards(&env, &TreePrior::new(&env));
        for model in MODELS {
            let whole = graph.log_rewards(&env, &reward(&env, &alignment, model, 1.0));
            for split in [Split::RoundRobin, Split::Contiguous] {
                let shards = deal_sites(alignment.n_sites(), 5, &split).unwrap();
                // Each client a fifth of the prior; or each all of it, and the server takes four away.
                for (prior_share, taken) in [(0.2, 0.0), (1.0, 4.0)] {
                    let mut sums: Vec<f64> = prior.iter().map(|log_prior| -taken * log_prior).collect();
                    for sites in &shards {
                        let shard = reward(&env, &alignment.select_sites(sites), model, prior_share);
                        let values = graph.log_rewards(&env, &shard);
                        sums.iter_mut().zip(values).for_each(|(sum, value)| *sum += value);
                    }
                    for (sum, whole) in sums.iter().zip(&whole) {
                        assert!((sum - whole).abs() < 1e-9, "{model} {split:?}: {sum}, {whole}");
                    }
                }
            }
        }
    }
}

#[test]
fn other_taxa_are_refused_by_name() {
    let env = environment(taxa(5), 0, fixed());
    let message = |taxa: Vec<String>| {
        let model = SubstitutionModel::jc69();
        TreeReward::new(&env, &alignment(&taxa, 5, 1), &model, 1.0).err().unwrap().to_string()
    };
    let missing = message(taxa(4));
    assert!(missing.contains("the taxon e' of the plan"), "{missing}");
    let extra = message(taxa(6));
    assert!(extra.contains("only taxa of the plan, found _f"), "{extra}");
    let mut other = taxa(5);
    other[0] = "D".into();
    let other = message(other);
    assert!(other.contains("the taxon d of the plan"), "{other}");
    let empirical: SubstitutionModel = "HKY85{2}+F".parse().unwrap();
    let refused = TreeReward::new(&env, &alignment(&taxa(5), 5, 1), &empirical, 1.0).err().unwrap();
    assert!(refused.to_string().contains("frequencies"), "{refused}");
}

/// The bin of every edge of a tree of four taxa, by the name of its leaf or as `internal`.
fn edges(env: &MergeForest, object: &Forest) -> Vec<(String, u8)> {
    let taxon = |taxon: usize| env.taxa()[taxon].clone();
    let mut edges = vec![(taxon(env.outgroup()), object.outgroup_bin.unwrap())];
    let mut stack = vec![object.root().unwrap()];
    while let Some(children) = stack.pop().and_then(|tree| tree.children.as_ref()) {
        for (child, bin) in [(&children.left, children.bins.0), (&children.right, children.bins.1)] {
            match child.children {
                None => edges.push((taxon(env.ingroup()[child.smallest_leaf as usize]), bin)),
                Some(_) => {
                    edges.push(("internal".into(), bin));
                    stack.push(child);
                }
            }
        }
    }
    edges
}

fn close(found: f64, expected: &Value, what: &str) {
    let expected = expected.as_f64().unwrap();
    assert!((found - expected).abs() < 1e-9, "{what}: {found}, expected {expected}");
}

/// Adds the probability of each object to the bins of its edges.
fn bin_marginals(env: &MergeForest, objects: &[(&Forest, f64)]) -> HashMap<String, Vec<f64>> {
    let mut marginals: HashMap<String, Vec<f64>> = HashMap::new();
    for (object, probability) in objects {
        for (edge, bin) in edges(env, object) {
            let marginal = marginals.entry(edge).or_insert_with(|| vec![0.0; env.branches().n_bins()]);
            marginal[bin as usize] += probability;
        }
    }
    marginals
}

fn check_marginals(found: &HashMap<String, Vec<f64>>, expected: &Value) {
    assert_eq!(found.len(), expected.as_object().unwrap().len());
    for (edge, expected) in expected.as_object().unwrap() {
        for (bin, expected) in expected.as_array().unwrap().iter().enumerate() {
            close(found[edge][bin], expected, &format!("{edge}, bin {bin}"));
        }
    }
}

/// Checks the joint posterior of topology and binned lengths that another program enumerated.
fn check_posterior_with_bins(file: &Value) {
    let numbers = |value: &Value| -> Vec<f64> {
        value.as_array().unwrap().iter().map(|number| number.as_f64().unwrap()).collect()
    };
    let (taxa, rows): (Vec<_>, Vec<_>) = file["alignment"]
        .as_object()
        .unwrap()
        .iter()
        .map(|(name, row)| (name.clone(), row.as_str().unwrap().as_bytes().to_vec()))
        .unzip();
    let alignment = Alignment::new(taxa.clone(), rows).unwrap();
    let branches =
        BranchLengths::density_bins(numbers(&file["bins"]), BranchPrior::Exponential(10.0)).unwrap();
    for (bin, log_prior) in file["log_prior_per_bin"].as_array().unwrap().iter().enumerate() {
        close(branches.log_prior(bin as u8), log_prior, "log prior");
    }
    let env = environment(taxa, 2, branches);
    let graph = graph(&env);
    assert_eq!(graph.objects().len() as u64, file["states"].as_u64().unwrap());
    let reward = reward(&env, &alignment, file["model"].as_str().unwrap(), 1.0);
    let log_rewards = graph.log_rewards(&env, &reward);
    let log_evidence = log_sum_exp(&log_rewards);
    close(log_evidence, &file["log_marginal_likelihood"], "log marginal likelihood");
    let entropy: f64 = log_rewards.iter().map(|r| (log_evidence - r) * (r - log_evidence).exp()).sum();
    close(entropy, &file["joint_entropy_nats"], "entropy");
    let topology = |object: &Forest| newick(&env, object).parse::<Topology>().unwrap();
    let objects: Vec<(&Forest, f64, String)> = graph
        .objects()
        .zip(&log_rewards)
        .map(|(object, &log_reward)| (object, log_reward, topology(object).to_string()))
        .collect();
    let topologies = file["topologies"].as_array().unwrap();
    assert_eq!(topologies.len(), 3);
    for expected in topologies {
        let name = &expected["newick"].as_str().unwrap().parse::<Topology>().unwrap().to_string();
        let own: Vec<&(&Forest, f64, String)> = objects.iter().filter(|object| object.2 == *name).collect();
        let values: Vec<f64> = own.iter().map(|object| object.1).collect();
        let log_sum = log_sum_exp(&values);
        close((log_sum - log_evidence).exp(), &expected["posterior"], name);
        close(log_sum + 3f64.ln(), &expected["log_conditional_marginal_likelihood"], name);
        let given: Vec<(&Forest, f64)> =
            own.iter().map(|(object, value, _)| (*object, (value - log_sum).exp())).collect();
        check_marginals(&bin_marginals(&env, &given), &expected["branch_bin_marginals_given_topology"]);
        let tree_length =
            |object: &Forest| -> f64 { edges(&env, object).iter().map(|&(_, bin)| length(&env, bin)).sum() };
        let mean: f64 = given.iter().map(|(object, p)| p * tree_length(object)).sum();
        close(mean, &expected["mean_tree_length"], name);
        let is_best = |object: &Forest| {
            edges(&env, object).iter().all(|(edge, bin)| expected["map_bins"][edge] == *bin)
        };
        let best: Vec<_> = own.iter().filter(|object| is_best(object.0)).collect();
        assert_eq!(best.len(), 1);
        close(reward.log_likelihood(best[0].0), &expected["map_loglik"], name);
        assert!(values.iter().all(|value| *value <= best[0].1 + 1e-9), "{name}: the best bins");
    }
    let all: Vec<(&Forest, f64)> =
        objects.iter().map(|(object, value, _)| (*object, (value - log_evidence).exp())).collect();
    check_marginals(&bin_marginals(&env, &all), &file["marginal_branch_bins_over_topologies"]);
}

#[test]
fn exact_posteriors_with_binned_lengths() {
    for name in ["disc4_prim_5bins", "disc4_prim_8bins"] {
        match shared::read(&format!("posteriors/phylo/{name}.json")) {
            Some(text) => check_posterior_with_bins(&serde_json::from_str(&text).unwrap()),
            None => println!("{name}: skipped: no shared data"),
        }
    }
}
