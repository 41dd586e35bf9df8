//! The environment: what the core demands, numbers of graphs, features, keys, and identity.

mod shared;

use std::collections::{HashMap, HashSet};

use gfn_bn::{Dag, DagEnvironment, Knowledge};
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

/// X0 → X1 required, the last node no cause of X0, X0 before X1, at most two parents.
fn constrained(d: usize) -> DagEnvironment {
    let names: Vec<String> = (0..d).map(|i| format!("X{i}")).collect();
    let knowledge = Knowledge {
        required: vec![(names[0].clone(), names[1].clone())],
        forbidden: vec![(names[d - 1].clone(), names[0].clone())],
        tiers: vec![vec![names[0].clone()], vec![names[1].clone()]],
        max_parents: Some(2),
    };
    DagEnvironment::with_knowledge(names, &knowledge).unwrap()
}

#[test]
fn the_core_can_rely_on_it_under_constraints() {
    for d in 2..=5 {
        check_environment(&constrained(d), &CheckSettings::default()).unwrap();
    }
    let few = CheckSettings { walks: 4, graph_limit: 20, ..CheckSettings::default() };
    check_environment(&constrained(12), &few).unwrap();
    check_environment(&constrained(64), &CheckSettings { walks: 1, graph_limit: 1, ..few }).unwrap();
}

/// Backward walks take the edges that are not required, each with the same probability, and no others.
#[test]
fn removable_edges_are_equally_probable() {
    for env in [environment(4), constrained(4)] {
        let required = env.constraints().initial().clone();
        for dag in all_dags(&env) {
            let removable: Vec<u32> = dag
                .edges()
                .filter(|&(from, to)| !required.has_edge(from, to))
                .map(|(from, to)| env.action_of(from, to))
                .collect();
            let (mut actions, mut weights) = (Vec::new(), Vec::new());
            env.backward_actions(&dag, &mut actions, &mut weights);
            assert_eq!(actions, removable, "{dag}");
            assert!(weights.iter().all(|weight| *weight == weights[0]), "{dag}: {weights:?}");
            for &action in &removable {
                let before = env.undo(&dag, action).0;
                let found = env.log_backward_after(&before, action);
                assert!((found + (removable.len() as f64).ln()).abs() < 1e-15, "{dag}: {found}");
            }
        }
    }
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

/// Over the moves of all graphs, equal keys mean equal node and resulting parents, or equal moves, and vice versa.
#[test]
fn keys_name_the_new_family_and_the_move() {
    let env = environment(4);
    let mut names = [HashMap::new(), HashMap::new()];
    for dag in all_dags(&env) {
        let mut actions = Vec::new();
        env.forward_actions(&dag, &mut actions);
        for action in actions {
            let (from, to) = env.edge_of(action);
            let mut keys = Vec::new();
            env.action_keys(&dag, action, &mut keys);
            let (family, old) = (dag.parents(to) | 1 << from, dag.parents(to));
            for (names, (key, name)) in
                names.iter_mut().zip(keys.iter().zip([(to, family, 0), (to, old, from)]))
            {
                assert_eq!(*names.entry(*key).or_insert(name), name, "key {key}");
            }
        }
    }
    // Per node: 7 non-empty parent sets, reached by as many moves as they have members, 12 in all.
    assert_eq!(names.each_ref().map(HashMap::len), [28, 48]);
    for (names, expected) in names.iter().zip([28, 48]) {
        assert_eq!(names.values().collect::<HashSet<_>>().len(), expected);
    }
    // Policies fold keys into a table by their lowest bits: those differ, too, but for chance.
    let slots: HashSet<u64> = names.iter().flat_map(HashMap::keys).map(|key| key % (1 << 20)).collect();
    assert_eq!(slots.len(), 28 + 48);
}

#[test]
fn log_backward_of_all_actions_is_that_of_each() {
    for env in [environment(4), constrained(4)] {
        for dag in all_dags(&env) {
            let (mut actions, mut all) = (Vec::new(), Vec::new());
            env.forward_actions(&dag, &mut actions);
            env.log_backward_after_each(&dag, &actions, &mut all);
            let each: Vec<f64> = actions.iter().map(|&action| env.log_backward_after(&dag, action)).collect();
            assert_eq!(all, each);
        }
    }
}

#[test]
fn names_are_part_of_the_identity() {
    let env = |names: &[&str]| DagEnvironment::new(names.iter().map(|n| n.to_string()).collect());
    let fingerprint = |names: &[&str]| env(names).unwrap().spec().fingerprint.clone();
    assert_eq!(fingerprint(&["a", "b"]), fingerprint(&["a", "b"]));
    assert_ne!(fingerprint(&["a", "b"]), fingerprint(&["b", "a"]));
    assert_ne!(fingerprint(&["a", "b"]), fingerprint(&["a", "c"]));
    assert_ne!(fingerprint(&["a", "bc"]), fingerprint(&["ab", "c"]));
    assert!(env(&[]).unwrap_err().to_string().contains("variables: expected 1 to 64, found 0"));
    assert!(env(&["a", "b", "a"]).unwrap_err().to_string().contains("found \"a\" twice"));
    let many = DagEnvironment::new((0..65).map(|i| i.to_string()).collect());
    assert!(many.unwrap_err().to_string().contains("found 65"));
}
