//! The environment: what the core demands, numbers of graphs, features, keys, and identity.

mod shared;

use std::collections::HashSet;

use gfn_bn::{Dag, DagEnvironment};
use gfn_core::Environment;
use gfn_core::testing::{CheckSettings, check_environment};
use shared::{all_dags, environment};

#[test]
fn the_core_can_rely_on_it() {
    for d in 1..=4 {
        check_environment(&environment(d), &CheckSettings::default()).unwrap();
    }
    let few = CheckSettings { walks: 4, graph_limit: 20, ..CheckSettings::default() };
    check_environment(&environment(12), &few).unwrap();
}

/// Robinson 1973; sequence A003024 of the OEIS.
#[test]
fn every_graph_is_one_object() {
    for (d, expected) in [(1, 1), (2, 3), (3, 25), (4, 543), (5, 29_281)] {
        let dags = all_dags(&environment(d));
        assert_eq!(dags.len(), expected);
        assert_eq!(dags.iter().map(Dag::to_string).collect::<HashSet<_>>().len(), expected);
    }
}

#[test]
fn features_are_parents_ancestors_and_the_row() {
    let env = environment(3);
    let chain: Dag = "010001000".parse().unwrap();
    let mut features = Vec::new();
    env.encode(&chain, &mut features);
    features.sort_unstable();
    // Rows of nine: parents, ancestors, row. 0 → 1 → 2: node 1 has parent 0; node 2 has parent 1, ancestors 0 and 1.
    assert_eq!(features, [6, 9, 12, 9 + 7, 18 + 1, 18 + 3, 18 + 4, 18 + 8]);
    assert_eq!(env.spec().n_features(), 27);
}

#[test]
fn actions_are_edges() {
    let env = environment(3);
    let mut actions = Vec::new();
    env.forward_actions(&"010001000".parse().unwrap(), &mut actions);
    assert_eq!(actions, [env.action_of(0, 2)]);
    assert_eq!(env.edge_of(env.action_of(2, 1)), (2, 1));
}

/// The keys of all moves of all graphs differ exactly where node and resulting parents, or the move itself, differ.
#[test]
fn keys_name_the_new_family_and_the_move() {
    let env = environment(4);
    let (mut gained, mut moves) = (HashSet::new(), HashSet::new());
    let (mut gained_keys, mut move_keys) = (HashSet::new(), HashSet::new());
    for dag in all_dags(&env) {
        let mut actions = Vec::new();
        env.forward_actions(&dag, &mut actions);
        for action in actions {
            let (from, to) = env.edge_of(action);
            gained.insert((to, dag.parents(to) | 1 << from));
            moves.insert((to, dag.parents(to), from));
            let mut keys = Vec::new();
            env.action_keys(&dag, action, &mut keys);
            gained_keys.insert(keys[0]);
            move_keys.insert(keys[1]);
        }
    }
    // Per node: 7 non-empty parent sets, reached by as many moves as they have members, 12 in all.
    assert_eq!((gained.len(), moves.len()), (28, 48));
    assert_eq!((gained_keys.len(), move_keys.len()), (28, 48));
    assert!(gained_keys.is_disjoint(&move_keys));
    // Policies fold keys into a table by their lowest bits: those differ, too, but for chance.
    let slots: HashSet<u64> = gained_keys.union(&move_keys).map(|key| key % (1 << 20)).collect();
    assert_eq!(slots.len(), 76);
}

#[test]
fn names_are_part_of_the_identity() {
    let env = |names: &[&str]| DagEnvironment::new(names.iter().map(|n| n.to_string()).collect());
    let fingerprint = |names: &[&str]| env(names).unwrap().spec().fingerprint.clone();
    assert_eq!(fingerprint(&["a", "b"]), fingerprint(&["a", "b"]));
    assert_ne!(fingerprint(&["a", "b"]), fingerprint(&["b", "a"]));
    assert_ne!(fingerprint(&["a", "bc"]), fingerprint(&["ab", "c"]));
    assert!(env(&[]).unwrap_err().to_string().contains("variables: expected 1 to 64, found 0"));
    assert!(env(&["a", "b", "a"]).unwrap_err().to_string().contains("found \"a\" twice"));
    let many = DagEnvironment::new((0..65).map(|i| i.to_string()).collect());
    assert!(many.unwrap_err().to_string().contains("found 65"));
}
