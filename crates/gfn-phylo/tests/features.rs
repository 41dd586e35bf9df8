//! Features: they tell all states apart, and a policy step costs at most quadratically in the number of taxa.

mod shared;

use std::collections::HashMap;

use gfn_core::Environment;
use gfn_core::random::stream;
use gfn_phylo::{Forest, MergeForest};
use rand::RngExt;
use shared::{bins, environment, fixed, graph, taxa};

fn features(env: &MergeForest, state: &Forest) -> Vec<u32> {
    let mut features = Vec::new();
    env.encode(state, &mut features);
    features.sort_unstable();
    features
}

#[test]
fn states_differ_in_their_features() {
    let mut all: Vec<MergeForest> = (4..=7).map(|n| environment(taxa(n), 0, fixed())).collect();
    all.extend([environment(taxa(4), 2, bins(3)), environment(taxa(5), 2, bins(2))]);
    for env in all {
        let graph = graph(&env);
        let mut known: HashMap<Vec<u32>, &Forest> = HashMap::new();
        for state in graph.states() {
            let features = features(&env, state);
            assert!(features.windows(2).all(|pair| pair[0] < pair[1]), "each once: {features:?}");
            assert!(features.last().is_none_or(|&last| (last as usize) < env.spec().n_features()));
            if let Some(other) = known.insert(features, state) {
                panic!("{other:?} and {state:?} have the same features");
            }
        }
        assert_eq!(known.len(), graph.states().len());
    }
}

/// Counts, not times: with m = n − 1 ingroup leaves and K bins, a state has at most m(m − 1)/2 distances, as many
/// bins of edges above leaves and m more, m(m − 1)/2 + K actions, and each pair of leaves in at most one of them.
fn check_counts(env: &MergeForest, state: &Forest) {
    let m = env.ingroup().len();
    let (pairs, k) = (m * (m - 1) / 2, env.branches().n_bins());
    let bound = if k == 0 { pairs } else { 2 * pairs + m + 3 };
    let n_features = features(env, state).len();
    assert!(n_features <= bound, "{n_features} features, at most {bound}");
    let mut actions = Vec::new();
    env.forward_actions(state, &mut actions);
    assert!(actions.len() <= pairs.max(k), "{} actions", actions.len());
    let (mut keys, mut outputs, mut ends) = (Vec::new(), Vec::new(), Vec::new());
    env.action_keys_each(state, &actions, &mut keys);
    env.pooled_outputs_each(state, &actions, &mut outputs, &mut ends);
    assert_eq!(keys.len(), actions.len() * env.n_action_keys());
    assert!(outputs.len() <= pairs.max(k), "{} outputs", outputs.len());
    let (mut back, mut weights) = (Vec::new(), Vec::new());
    env.backward_actions(state, &mut back, &mut weights);
    assert!(back.len() <= m / 2, "{} backward actions", back.len());
    // What a state holds besides: one entry for each leaf.
    assert_eq!(state.trees.iter().map(|tree| tree.leaves.len()).sum::<usize>(), m);
}

#[test]
fn a_policy_step_costs_at_most_quadratically() {
    for n in [8, 16, 32, 64] {
        for branches in [fixed(), bins(10)] {
            let env = environment((0..n).map(|i| format!("t{i:02}")).collect(), 0, branches);
            let mut random = stream(n as u64, "walk", 0);
            // Random merges, and the most uneven tree: always the first pair, so that one leaf gets ever deeper.
            for uneven in [false, true] {
                let mut state = env.initial();
                loop {
                    check_counts(&env, &state);
                    let mut actions = Vec::new();
                    env.forward_actions(&state, &mut actions);
                    if actions.is_empty() {
                        break;
                    }
                    let choice = if uneven { 0 } else { random.random_range(0..actions.len()) };
                    state = env.step(&state, actions[choice]).0;
                }
                let leaves = &state.trees[0].leaves;
                let deepest = leaves.iter().map(|&(_, depth)| depth).max();
                assert!(!uneven || deepest == Some(n as u32 - 2), "a caterpillar");
                assert!(features(&env, &state).len() >= (n - 1) * (n - 2) / 2, "every distance is there");
            }
        }
    }
}
