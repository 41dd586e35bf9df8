//! Topologies: canonical form, enumeration, distances and consensus.

use std::collections::HashSet;
use std::sync::Arc;

use gfn_phylo::{
    Bipartition, NewickTree, Topology, all_topologies, log_number_of_topologies, majority_rule_consensus,
    number_of_topologies, split_frequencies,
};
use proptest::prelude::*;
use proptest::test_runner::FileFailurePersistence;

fn names(n: usize) -> Vec<String> {
    (0..n).map(|i| format!("t{i:03}")).collect()
}

fn tree(text: &str) -> Topology {
    text.parse().unwrap()
}

#[test]
fn every_rooting_and_order_gives_the_same_text() {
    let expected = "(Gorilla,(Homo_sapiens,((Hylobates,Pongo),Saimiri_sciureus)),Pan);";
    for text in [
        expected,
        "(Pan,Gorilla,(((Pongo,Hylobates),Saimiri_sciureus),Homo_sapiens));",
        "((Pan:1,Gorilla:2):0.5,(((Pongo,Hylobates)0.9,Saimiri_sciureus),Homo_sapiens));",
        "(Hylobates,(Pongo,(Saimiri_sciureus,(Homo_sapiens,(Gorilla,Pan)))));",
        "(((Hylobates,(Pongo,(Saimiri_sciureus,(Homo_sapiens,(Gorilla,(Pan))))))));",
    ] {
        assert_eq!(tree(text).to_string(), expected);
        assert_eq!(tree(text), tree(expected));
    }
    assert_eq!(tree("(b_1,'a b',C);").to_string(), "(C,'a b',b_1);");
}

#[test]
fn lengths_belong_to_the_edge_above_each_node() {
    let topology = tree("((c,d),b,a);");
    let with_lengths = topology.to_newick(|node| Some(node as f64));
    assert_eq!(with_lengths.to_string(), "(a:5.0,b:1.0,(c:2.0,d:3.0):4.0);");
    assert_eq!(topology.children(4), Some([2, 3]));
    assert_eq!(topology.children(5), Some([1, 4]));
    assert_eq!(topology.children(2), None);
}

#[test]
fn what_is_no_binary_tree_is_refused() {
    for (text, hint) in [
        ("(a,b);", "three taxa"),
        ("(a,b,c,d);", "a node with 4 neighbours"),
        ("((a,b,e),c,d);", "a node with 4 neighbours"),
        ("(a,b,a);", "leaf a"),
    ] {
        let message = text.parse::<Topology>().unwrap_err().to_string();
        assert!(message.contains(hint), "{text}: {message}");
    }
    let taxa: Arc<[String]> = names(4).into();
    let over = |text: &str| Topology::from_newick_over(&NewickTree::parse(text).unwrap(), Arc::clone(&taxa));
    assert!(over("(t000,t001,(t002,t004));").unwrap_err().to_string().contains("leaf t004"));
    assert!(over("(t000,t001,t002);").unwrap_err().to_string().contains("3 leaves"));
    assert!(over("(t003,t001,(t002,t001));").is_err());
    assert!(Arc::ptr_eq(over("(t003,t001,(t002,t000));").unwrap().taxa(), &taxa));
}

#[test]
fn merges_are_checked() {
    let taxa: Arc<[String]> = names(4).into();
    let make = |merges: &[[usize; 2]]| Topology::from_merges(Arc::clone(&taxa), merges);
    assert_eq!(make(&[[3, 1], [4, 2]]).unwrap().to_string(), "(t000,(t001,t003),t002);");
    for bad in [&[[1, 2]][..], &[[0, 1], [2, 3]], &[[1, 1], [2, 3]], &[[1, 2], [1, 3]], &[[1, 5], [2, 3]]] {
        assert!(make(bad).is_err(), "{bad:?}");
    }
    assert!(Topology::from_merges(vec!["b".into(), "a".into(), "c".into()].into(), &[[1, 2]]).is_err());
}

#[test]
fn enumeration_gives_every_topology_once() {
    for n in 3..=8 {
        let all: HashSet<String> = all_topologies(&names(n)).unwrap().map(|t| t.to_string()).collect();
        assert_eq!(all.len() as u128, number_of_topologies(n).unwrap());
        assert_eq!(all_topologies(&names(n)).unwrap().count(), all.len());
    }
    assert!(all_topologies(&names(2)).is_none() && all_topologies(&names(10)).is_none());
    assert!(all_topologies(&["a".into(), "a".into(), "b".into()]).is_none());
}

#[test]
fn numbers_of_topologies() {
    assert_eq!([3, 4, 5, 7, 9].map(|n| number_of_topologies(n).unwrap()), [1, 3, 15, 945, 135_135]);
    assert_eq!(number_of_topologies(30), Some((1..=55).step_by(2).product()));
    assert_eq!(number_of_topologies(31), None);
    assert!((log_number_of_topologies(9) - 135_135f64.ln()).abs() < 1e-12);
}

#[test]
fn distances_by_hand() {
    let a = tree("(a,b,(c,(d,e)));");
    assert_eq!(a.robinson_foulds(&a), 0);
    assert_eq!(a.robinson_foulds(&tree("(a,c,(b,(d,e)));")), 2);
    assert_eq!(a.robinson_foulds(&tree("(a,d,(c,(b,e)));")), 4);
    let splits: Vec<_> = a.bipartitions().iter().map(Bipartition::taxa).collect();
    assert_eq!(splits, [vec![3, 4], vec![2, 3, 4]]);
    let split = Bipartition::new(70, [0, 1, 69]);
    assert_eq!((split.size(), split.contains(69), split.contains(2)), (67, false, true));
    assert!(Bipartition::new(5, [1, 2]).is_compatible(&Bipartition::new(5, [3, 4])));
    assert!(!Bipartition::new(5, [1, 2]).is_compatible(&Bipartition::new(5, [2, 3])));
}

#[test]
fn consensus_keeps_majorities_only() {
    let (a, b, c) = (tree("(a,b,(c,(d,e)));"), tree("(a,b,(d,(c,e)));"), tree("(a,b,(e,(c,d)));"));
    let consensus = |weights: [f64; 3]| {
        majority_rule_consensus([&a, &b, &c].into_iter().zip(weights)).unwrap().to_string()
    };
    assert_eq!(consensus([1.0, 1.0, 1.0]), "(a,b,(c,d,e)1.0000);");
    assert_eq!(consensus([3.0, 1.0, 1.0]), "(a,b,(c,(d,e)0.6000)1.0000);");
    assert_eq!(consensus([2.0, 1.0, 1.0]), "(a,b,(c,d,e)1.0000);");
    let frequencies = split_frequencies([(&a, 3.0), (&b, 1.0)]).unwrap();
    assert_eq!(frequencies[1], (Bipartition::new(5, [3, 4]), 0.75));
    assert!(majority_rule_consensus([(&a, 0.0)]).is_err());
    assert!(majority_rule_consensus([(&a, -1.0)]).is_err());
    assert!(majority_rule_consensus([(&a, 1.0), (&tree("(a,b,c);"), 1.0)]).is_err());
    assert!(majority_rule_consensus([]).is_err());
}

/// A random topology: taxa from 1 on are merged pairwise in a random order.
fn random_topology(n: usize) -> impl Strategy<Value = Topology> {
    prop::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>()), n - 2).prop_map(
        move |picks| {
            let mut forest: Vec<usize> = (1..n).collect();
            let mut merges = Vec::new();
            for (x, y) in picks {
                let a = forest.swap_remove(x.index(forest.len()));
                let b = forest.swap_remove(y.index(forest.len()));
                forest.push(n + merges.len());
                merges.push([a, b]);
            }
            Topology::from_merges(names(n).into(), &merges).unwrap()
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig {
        failure_persistence: Some(Box::new(FileFailurePersistence::WithSource("regressions"))),
        ..ProptestConfig::default()
    })]

    #[test]
    fn text_reads_back_and_distance_is_a_metric(
        trees in (3usize..90).prop_flat_map(|n| prop::collection::vec(random_topology(n), 3)),
    ) {
        let [a, b, c] = &trees[..] else { unreachable!() };
        prop_assert_eq!(&a.to_string().parse::<Topology>().unwrap(), a);
        prop_assert_eq!(a.robinson_foulds(b), b.robinson_foulds(a));
        prop_assert!(a.robinson_foulds(c) <= a.robinson_foulds(b) + b.robinson_foulds(c));
        prop_assert_eq!(a.robinson_foulds(b) == 0, a == b);
        prop_assert_eq!(a.bipartitions().len(), a.n_taxa() - 3);
        // A consensus of one tree is that tree.
        let consensus = majority_rule_consensus([(a, 2.5)]).unwrap();
        prop_assert_eq!(&Topology::from_newick(&consensus).unwrap(), a);
        let mut plain = consensus;
        plain.nodes.iter_mut().for_each(|node| node.label = None);
        prop_assert_eq!(plain.to_string(), a.to_string());
    }
}
