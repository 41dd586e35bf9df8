//! Graphs: acyclicity and closure against petgraph on random histories, canonical states, text, refusals.

use std::hash::{BuildHasher, RandomState};

use gfn_bn::{Dag, members};
use petgraph::algo::{has_path_connecting, is_cyclic_directed};
use petgraph::graphmap::DiGraphMap;
use proptest::prelude::*;

/// Ancestors of every node by petgraph's search, as bits.
fn reachability(graph: &DiGraphMap<usize, ()>, d: usize) -> Vec<u64> {
    let reaches = |from: usize, to: usize| {
        graph.neighbors(from).any(|next| next == to || has_path_connecting(graph, next, to, None))
    };
    (0..d).map(|to| (0..d).filter(|&from| reaches(from, to)).fold(0, |set, from| set | 1 << from)).collect()
}

fn check_against(dag: &Dag, graph: &DiGraphMap<usize, ()>) {
    let d = dag.n_nodes();
    let ancestors = reachability(graph, d);
    for node in 0..d {
        assert_eq!(dag.ancestors(node), ancestors[node], "ancestors of {node} in {dag}");
        let below = (0..d).filter(|&w| ancestors[w] >> node & 1 == 1);
        assert_eq!(dag.descendants(node), below.fold(0, |set, w| set | 1 << w));
        let parents: Vec<usize> = members(dag.parents(node)).collect();
        assert_eq!(parents, (0..d).filter(|&u| graph.contains_edge(u, node)).collect::<Vec<_>>());
    }
    assert_eq!(dag.n_edges(), graph.edge_count());
    let mut edges: Vec<(usize, usize)> = graph.all_edges().map(|(u, v, ())| (u, v)).collect();
    edges.sort_unstable();
    assert_eq!(dag.edges().collect::<Vec<_>>(), edges);
}

proptest! {
    #![proptest_config(ProptestConfig {
        rng_seed: proptest::test_runner::RngSeed::Fixed(1),
        failure_persistence: None, // the seed is fixed: every run fails alike
        ..ProptestConfig::with_cases(64)
    })]

    /// Every pair is proposed: added where petgraph finds no cycle, removed where it is there.
    #[test]
    fn random_histories_agree_with_petgraph(
        d in prop_oneof![1usize..=9, Just(64usize)],
        history in prop::collection::vec((any::<u32>(), any::<u32>(), 0u32..10), 0..120),
    ) {
        let mut dag = Dag::empty(d).unwrap();
        let mut graph = DiGraphMap::<usize, ()>::new();
        (0..d).for_each(|node| { graph.add_node(node); });
        for (from, to, dice) in history {
            // With 64 nodes, edges among the highest ones, so that they meet.
            let span = d.min(12);
            let (from, to) = (d - 1 - from as usize % span, d - 1 - to as usize % span);
            if graph.contains_edge(from, to) {
                prop_assert!(!dag.can_add_edge(from, to) && dag.add_edge(from, to).is_err());
                if dice < 7 {
                    dag.remove_edge(from, to).unwrap();
                    graph.remove_edge(from, to);
                }
            } else {
                prop_assert!(dag.remove_edge(from, to).is_err());
                graph.add_edge(from, to, ());
                let acyclic = !is_cyclic_directed(&graph);
                prop_assert_eq!(dag.can_add_edge(from, to), acyclic);
                prop_assert_eq!(dag.add_edge(from, to).is_ok(), acyclic);
                if !acyclic {
                    graph.remove_edge(from, to);
                }
            }
        }
        check_against(&dag, &graph);

        // The same edges by another history, a text, are the same graph.
        let again: Dag = dag.to_string().parse().unwrap();
        let hasher = RandomState::new();
        prop_assert_eq!(&again, &dag);
        prop_assert_eq!(hasher.hash_one(&again), hasher.hash_one(&dag));
        check_against(&again, &graph);
        let first = dag.edges().next();
        if let Some((from, to)) = first {
            dag.remove_edge(from, to).unwrap();
            prop_assert_ne!(again, dag);
        }
    }
}

#[test]
fn the_full_chain_of_64_nodes() {
    let mut dag = Dag::empty(64).unwrap();
    (0..64).for_each(|from| (from + 1..64).for_each(|to| dag.add_edge(from, to).unwrap()));
    assert_eq!(dag.n_edges(), 64 * 63 / 2);
    assert_eq!(dag.ancestors(63), u64::MAX >> 1);
    assert_eq!(dag.descendants(0), u64::MAX - 1);
    assert!((0..64).all(|from| (0..64).all(|to| !dag.can_add_edge(from, to))));
    assert_eq!(dag.to_string().parse::<Dag>().unwrap(), dag);
}

#[test]
fn members_are_the_bits() {
    assert_eq!(members(0).count(), 0);
    assert_eq!(members(0b1010_0001).collect::<Vec<_>>(), [0, 5, 7]);
    assert_eq!(members(1 << 63).collect::<Vec<_>>(), [63]);
    assert_eq!(members(u64::MAX).count(), 64);
}

#[test]
fn refusals_say_what_is_wrong() {
    let message = |text: &str| text.parse::<Dag>().unwrap_err().to_string();
    assert_eq!(
        message("01x0"),
        "column 3, graph: expected 0 or 1, found 'x'; give the adjacency matrix row by row, without separators"
    );
    assert!(message("010").contains("expected d · d digits for d nodes, 1 to 64, found 3 digits"));
    assert!(message("").contains("found 0 digits"));
    assert!(message(&"0".repeat(65 * 65)).contains("found 4225 digits"));
    assert!(message("é100").contains("column 1, graph: expected 0 or 1, found 'é'"));
    assert!(message("0110").contains("column 3, graph"), "{}", message("0110"));
    assert!(
        message("0110").contains("found edge 1 → 0, one that closes a directed cycle; correct the graph")
    );
    assert!(message("1000").contains("found edge 0 → 0, a loop"));

    assert!(Dag::empty(0).unwrap_err().to_string().contains("expected 1 to 64, found 0"));
    assert!(Dag::empty(65).unwrap_err().to_string().contains("found 65"));
    let mut dag: Dag = "0100".parse().unwrap();
    let twice = dag.add_edge(0, 1).unwrap_err().to_string();
    assert!(twice.starts_with(
        "edge 0 → 1: expected an edge that keeps the graph acyclic, found one that is there already"
    ));
    assert!(
        dag.remove_edge(1, 0)
            .unwrap_err()
            .to_string()
            .starts_with("edge 1 → 0: expected an edge of the graph")
    );
    assert_eq!(dag.to_string(), "0100", "a refusal changes nothing");
}
