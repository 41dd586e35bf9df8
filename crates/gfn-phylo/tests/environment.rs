//! Merge forests: the demands of the core, every topology once, and uniform merge orders, by brute force.

mod shared;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use gfn_core::Environment;
use gfn_core::domain::Domain;
use gfn_core::random::stream;
use gfn_core::testing::{CheckSettings, check_environment};
use gfn_phylo::environment::{MAX_TAXA, Subtree};
use gfn_phylo::{
    BranchLengths, Forest, MergeForest, SubstitutionModel, Topology, TreeDomain, number_of_topologies,
};
use shared::{alignment, bins, environment, fixed, graph, newick, taxa};
use statrs::distribution::{ChiSquared, ContinuousCDF};

/// Small environments of every kind.
fn small() -> Vec<MergeForest> {
    let mut all: Vec<MergeForest> = (4..=7).map(|n| environment(taxa(n), n / 2, fixed())).collect();
    all.extend([2, 3].map(|k| environment(taxa(4), 3, bins(k))));
    all.push(environment(taxa(5), 0, bins(2)));
    all
}

#[test]
fn the_demands_of_the_core_are_met() {
    let settings = CheckSettings { walks: 20, ..CheckSettings::default() };
    let check = |env: &MergeForest| check_environment(env, &settings).unwrap();
    for n in 4..=6 {
        (0..n).for_each(|outgroup| check(&environment(taxa(n), outgroup, fixed())));
    }
    small().iter().for_each(check);
    let many = |n: usize| (0..n).map(|i| format!("t{i:03}")).collect::<Vec<_>>();
    let settings = CheckSettings { walks: 2, graph_limit: 20, ..settings };
    for branches in [fixed(), bins(8)] {
        check_environment(&environment(many(40), 7, branches), &settings).unwrap();
    }
}

#[test]
fn objects_are_all_topologies_each_with_all_lengths_once() {
    for env in small() {
        let n = env.taxa().len();
        let n_topologies = number_of_topologies(n).unwrap() as usize;
        let lengths = env.branches().n_bins().max(1).pow(2 * n as u32 - 3);
        let graph = graph(&env);
        assert_eq!(graph.objects().len(), n_topologies * lengths);
        let texts: HashSet<String> = graph.objects().map(|object| newick(&env, object)).collect();
        assert_eq!(texts.len(), n_topologies * lengths, "every object is another tree");
        let mut counts: HashMap<Topology, usize> = HashMap::new();
        texts.iter().for_each(|text| *counts.entry(text.parse().unwrap()).or_default() += 1);
        assert_eq!(counts.len(), n_topologies);
        assert!(counts.values().all(|&count| count == lengths));
    }
}

/// p_B of every merge order of a forest, each found by another way back.
fn merge_orders(env: &MergeForest, state: &Forest, probability: f64, found: &mut Vec<f64>) {
    let (mut actions, mut weights) = (Vec::new(), Vec::new());
    env.backward_actions(state, &mut actions, &mut weights);
    if actions.is_empty() {
        found.push(probability);
    }
    let total: f64 = weights.iter().sum();
    for (action, weight) in actions.iter().zip(&weights) {
        let (previous, forward) = env.undo(state, *action);
        let log_backward = env.log_backward_after(&previous, forward);
        assert!((log_backward - (weight / total).ln()).abs() < 1e-12);
        merge_orders(env, &previous, probability * weight / total, found);
    }
}

fn product_of_internal_nodes(tree: &Subtree) -> usize {
    tree.children.as_ref().map_or(1, |children| {
        let below = product_of_internal_nodes(&children.left) * product_of_internal_nodes(&children.right);
        below * tree.n_internal as usize
    })
}

#[test]
fn backward_policy_is_uniform_over_merge_orders() {
    for n in 4..=7 {
        let env = environment(taxa(n), 1, fixed());
        let factorial: usize = (1..=n - 2).product();
        for object in graph(&env).objects() {
            let mut orders = Vec::new();
            merge_orders(&env, object, 1.0, &mut orders);
            // docs/mathematics.md §5: (n − 2)! / Π (internal nodes at or below each internal node).
            assert_eq!(orders.len(), factorial / product_of_internal_nodes(object.root().unwrap()));
            let uniform = 1.0 / orders.len() as f64;
            assert!(orders.iter().all(|p| (p - uniform).abs() < 1e-15), "{orders:?}");
        }
    }
}

#[test]
fn the_posterior_does_not_depend_on_the_outgroup() {
    let model: SubstitutionModel = "HKY85{2.5}+F{0.32,0.21,0.17,0.3}+G4{0.5}".parse().unwrap();
    for (n, branches) in [(6, fixed()), (4, bins(3))] {
        let alignment = alignment(&taxa(n), 60, 1);
        let posterior = |outgroup: &str| -> BTreeMap<String, f64> {
            let domain = TreeDomain::new(taxa(n), outgroup, model.clone(), branches.clone()).unwrap();
            let reward = domain.reward(&alignment, 1.0).unwrap();
            let graph = graph(domain.environment());
            let names = graph.objects().map(|object| domain.object_name(object));
            names.zip(graph.log_rewards(domain.environment(), &reward)).collect()
        };
        let first = posterior(&taxa(n)[0]);
        for outgroup in &taxa(n)[1..] {
            let other = posterior(outgroup);
            assert!(first.keys().eq(other.keys()), "the same objects under the same names");
            for (name, value) in &first {
                assert!((value - other[name]).abs() < 1e-9, "{name}: {value}, {}", other[name]);
            }
        }
    }
}

/// Topology and bins of a tree, as a text.
fn description(tree: &Subtree) -> String {
    tree.children.as_ref().map_or_else(
        || tree.smallest_leaf.to_string(),
        |children| {
            let (left, right) = (description(&children.left), description(&children.right));
            format!("({left}:{},{right}:{})", children.bins.0, children.bins.1)
        },
    )
}

/// All trees over these leaves with all bins, made without a look at any hash.
fn all_trees(env: &MergeForest, leaves: &[usize]) -> Vec<Arc<Subtree>> {
    if let [leaf] = leaves {
        return vec![Arc::clone(env.leaf(*leaf))];
    }
    let n_bins = env.branches().n_bins().max(1) as u8;
    let mut trees = Vec::new();
    // The first leaf is on the left; the digits of `chosen` say which others are, at least one is not.
    for chosen in 0..(1 << (leaves.len() - 1)) - 1 {
        let is_left = |place: usize| place == 0 || chosen >> (place - 1) & 1 == 1;
        let part = |left: bool| {
            let places = (0..leaves.len()).filter(|&place| is_left(place) == left);
            all_trees(env, &places.map(|place| leaves[place]).collect::<Vec<_>>())
        };
        let (lefts, rights) = (part(true), part(false));
        for (left, right) in lefts.iter().flat_map(|left| rights.iter().map(move |right| (left, right))) {
            for (a, b) in (0..n_bins).flat_map(|a| (0..n_bins).map(move |b| (a, b))) {
                let tree = env.merge(left, right, (a, b));
                assert_eq!(
                    tree.hash,
                    env.merge(right, left, (b, a)).hash,
                    "left and right are a matter of order"
                );
                trees.push(tree);
            }
        }
    }
    trees
}

#[test]
fn different_trees_have_different_hashes() {
    for env in small() {
        let m = env.ingroup().len();
        let (mut trees, mut clades) = (HashMap::new(), HashMap::new());
        for set in 1..1 << m {
            let leaves: Vec<usize> = (0..m).filter(|leaf| set >> leaf & 1 == 1).collect();
            for tree in all_trees(&env, &leaves) {
                assert_eq!(*clades.entry(tree.clade).or_insert(set), set, "two sets of one clade hash");
                if let Some(other) = trees.insert(tree.hash, description(&tree)) {
                    panic!("{other} and {} have the same hash", description(&tree));
                }
            }
        }
        assert_eq!(clades.len(), (1 << m) - 1);
        // Every tree of the state graph is one of them.
        for tree in graph(&env).states().iter().flat_map(|state| &state.trees) {
            assert_eq!(trees[&tree.hash], description(tree));
        }
    }
}

/// False alarms: one of 10 000 correct samplers would fail each of the two comparisons (the seed is fixed).
#[test]
fn sampled_objects_are_uniform() {
    const DRAWS_PER_OBJECT: usize = 200;
    for env in [environment(taxa(6), 2, fixed()), environment(taxa(4), 2, bins(2))] {
        let graph = graph(&env);
        let mut counts: HashMap<&Forest, usize> = graph.objects().map(|object| (object, 0)).collect();
        let mut random = stream(3, "sample-objects", 0);
        for _ in 0..DRAWS_PER_OBJECT * counts.len() {
            let object = env.sample_object(&mut random).unwrap();
            *counts.get_mut(&object).expect("an object") += 1;
        }
        let expected = DRAWS_PER_OBJECT as f64;
        let statistic: f64 = counts.values().map(|&n| (n as f64 - expected).powi(2) / expected).sum();
        let limit = ChiSquared::new(counts.len() as f64 - 1.0).unwrap().inverse_cdf(1.0 - 1e-4);
        assert!(statistic < limit, "{statistic}, limit {limit}");
    }
}

/// What is overridden for speed, against the definition.
fn check_lists(env: &MergeForest, state: &Forest) {
    let mut actions = Vec::new();
    env.forward_actions(state, &mut actions);
    let (mut keys, mut outputs, mut ends, mut log_backward) =
        (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    env.action_keys_each(state, &actions, &mut keys);
    env.pooled_outputs_each(state, &actions, &mut outputs, &mut ends);
    env.log_backward_after_each(state, &actions, &mut log_backward);
    let (mut keys_of_one, mut outputs_of_one, mut ends_of_one) = (Vec::new(), Vec::new(), Vec::new());
    for &action in &actions {
        env.action_keys(state, action, &mut keys_of_one);
        env.pooled_outputs(state, action, &mut outputs_of_one);
        ends_of_one.push(outputs_of_one.len());
    }
    assert_eq!((&keys, &outputs, &ends), (&keys_of_one, &outputs_of_one, &ends_of_one));
    assert_eq!(log_backward.len(), actions.len());
    for (&action, found) in actions.iter().zip(log_backward) {
        let (next, opposite) = env.step(state, action);
        let (mut back, mut weights) = (Vec::new(), Vec::new());
        env.backward_actions(&next, &mut back, &mut weights);
        let position = back.iter().position(|&action| action == opposite).unwrap();
        let expected = (weights[position] / weights.iter().sum::<f64>()).ln();
        assert!((found - expected).abs() < 1e-12, "{found}, {expected}");
        assert_eq!(env.log_backward_after(state, action), found);
    }
}

#[test]
fn lists_equal_their_parts() {
    for env in small() {
        graph(&env).states().iter().for_each(|state| check_lists(&env, state));
    }
    let many = (0..30).map(|i| format!("t{i:02}")).collect();
    let env = environment(many, 4, bins(5));
    let mut state = env.sample_object(&mut stream(1, "lists", 0)).unwrap();
    loop {
        check_lists(&env, &state);
        let (mut actions, mut weights) = (Vec::new(), Vec::new());
        env.backward_actions(&state, &mut actions, &mut weights);
        let Some(&action) = actions.last() else { break };
        state = env.undo(&state, action).0;
    }
}

#[test]
fn keys_of_merges_name_the_clade_that_is_made() {
    let env = environment(taxa(6), 0, fixed());
    let mut clade_of_key: HashMap<u64, Vec<u32>> = HashMap::new();
    let mut pair_of_key: HashMap<u64, [Vec<u32>; 2]> = HashMap::new();
    for state in graph(&env).states() {
        let mut actions = Vec::new();
        env.forward_actions(state, &mut actions);
        for action in actions {
            let mut keys = Vec::new();
            env.action_keys(state, action, &mut keys);
            let (left, right) = env.layout().leaves_of_pair(action);
            let pair = [left, right].map(|leaf| {
                let tree = state.trees.iter().find(|tree| tree.smallest_leaf == leaf).unwrap();
                tree.leaves.iter().map(|&(leaf, _)| leaf).collect::<Vec<_>>()
            });
            let mut clade = pair.concat();
            clade.sort_unstable();
            assert_eq!(*clade_of_key.entry(keys[0]).or_insert(clade.clone()), clade);
            assert_eq!(*pair_of_key.entry(keys[1]).or_insert(pair.clone()), pair);
        }
    }
    // Sets of two or more of five leaves; pairs of disjoint sets, (3⁵ − 2·2⁵ + 1)/2.
    assert_eq!((clade_of_key.len(), pair_of_key.len()), (26, 90));
}

#[test]
fn what_makes_no_environment_is_refused() {
    let message = |taxa: Vec<String>, outgroup, branches| {
        MergeForest::new(taxa, outgroup, branches).unwrap_err().to_string()
    };
    let many = |n: usize| (0..n).map(|i| format!("t{i:03}")).collect::<Vec<_>>();
    assert!(message(many(3), 0, fixed()).contains("found 3"));
    assert!(message(many(MAX_TAXA + 1), 0, fixed()).contains("found 201"));
    assert!(message(many(4), 4, fixed()).contains("an index below 4"));
    let twice = ["a", "b", "c", "b"].map(String::from).to_vec();
    assert!(message(twice, 0, fixed()).contains("b twice"));
    let outgroup = TreeDomain::new(many(4), "x", SubstitutionModel::jc69(), fixed());
    assert!(outgroup.err().unwrap().to_string().contains("choose one of: t000, t001, t002, t003"));
    let too_many = BranchLengths::Bins {
        lengths: (1..=300).map(|bin| 0.01 * f64::from(bin)).collect(),
        log_prior: vec![-(300f64.ln()); 300],
    };
    assert!(too_many.check().unwrap_err().to_string().contains("2 to 64 bins"));
}

#[test]
fn whatever_decides_the_objects_is_in_the_fingerprint() {
    let of = |taxa, outgroup, branches| environment(taxa, outgroup, branches).spec().fingerprint.clone();
    let with = |lengths: &[f64], rate| {
        BranchLengths::density_bins(lengths.to_vec(), gfn_phylo::BranchPrior::Exponential(rate)).unwrap()
    };
    let all = [
        of(taxa(5), 0, fixed()),
        of(taxa(5), 1, fixed()),
        of(taxa(4), 0, fixed()),
        of(taxa(6)[1..].to_vec(), 0, fixed()),
        of(taxa(5), 0, BranchLengths::fixed(0.2).unwrap()),
        of(taxa(5), 0, with(&[0.1, 0.2], 10.0)),
        of(taxa(5), 0, with(&[0.1, 0.2], 10.000_001)),
        of(taxa(5), 0, with(&[0.1, 0.200_000_01], 10.0)),
        of(taxa(5), 0, with(&[0.1, 0.2, 0.3], 10.0)),
    ];
    assert_eq!(all.iter().collect::<HashSet<_>>().len(), all.len(), "{all:#?}");
    assert_eq!(all[0], of(taxa(5), 0, fixed()));
}

#[test]
fn environments_apart_are_equal_and_share_no_subtree() {
    for env in small() {
        let env = Arc::new(env);
        let other = env.apart();
        assert_eq!(env.spec(), other.spec());
        let walk = |env: &MergeForest| {
            let (mut state, mut states) = (env.initial(), Vec::new());
            loop {
                let mut actions = Vec::new();
                env.forward_actions(&state, &mut actions);
                states.push(state.clone());
                let Some(&action) = actions.last() else { return states };
                state = env.step(&state, action).0;
            }
        };
        let (states, others) = (walk(&env), walk(&other));
        assert_eq!(states, others);
        // The same environment hands out the same subtrees, the other one its own.
        let roots = |states: &[Forest]| states.last().and_then(Forest::root).cloned().unwrap();
        assert!(Arc::ptr_eq(&roots(&states), &roots(&walk(&env))));
        assert!(!Arc::ptr_eq(&roots(&states), &roots(&others)));
        assert!(!Arc::ptr_eq(env.leaf(0), other.leaf(0)));
    }
}
