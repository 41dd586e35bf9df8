//! Names of objects: canonical Newick, read back exactly, and every other text refused with its reason.

mod shared;

use std::collections::HashSet;

use gfn_core::ErrorKind;
use gfn_core::domain::Domain;
use gfn_phylo::{
    BranchLengths, NewickTree, SubstitutionModel, Topology, TreeDomain, all_topologies, number_of_topologies,
};
use shared::{bins, fixed, graph, newick, taxa};

fn domain(n: usize, outgroup: usize, branches: BranchLengths) -> TreeDomain {
    TreeDomain::new(taxa(n), &taxa(n)[outgroup], SubstitutionModel::jc69(), branches).unwrap()
}

#[test]
fn names_of_objects_are_the_canonical_texts_of_their_topologies() {
    for n in 4..=7 {
        let all: HashSet<String> = all_topologies(&taxa(n)).unwrap().map(|tree| tree.to_string()).collect();
        for outgroup in 0..n {
            let domain = domain(n, outgroup, fixed());
            let env = domain.environment();
            let mut names = HashSet::new();
            for object in graph(env).objects() {
                let topology: Topology = newick(env, object).parse().unwrap();
                let name = domain.object_name(object);
                assert_eq!(name, topology.to_string());
                names.insert(name);
            }
            assert_eq!(names, all);
        }
    }
}

#[test]
fn names_with_lengths_are_canonical_and_distinct() {
    let domain = domain(4, 1, bins(3));
    let env = domain.environment();
    let mut names = HashSet::new();
    for object in graph(env).objects() {
        let name = domain.object_name(object);
        let tree = NewickTree::parse(&name).unwrap();
        let topology = Topology::from_newick(&tree).unwrap();
        let mut bare = tree.clone();
        bare.nodes.iter_mut().for_each(|node| node.length = None);
        assert_eq!(bare.to_string(), topology.to_string());
        assert_eq!(tree.nodes.iter().filter(|node| node.length.is_some()).count(), 5);
        assert!(names.insert(name));
    }
    assert_eq!(names.len() as u128, number_of_topologies(4).unwrap() * 3u128.pow(5));
}

#[test]
fn names_read_back() {
    let mut domains: Vec<TreeDomain> = (4..=7).map(|n| domain(n, n - 2, fixed())).collect();
    domains.extend([domain(4, 0, bins(3)), domain(4, 3, bins(3)), domain(5, 2, bins(2))]);
    for domain in domains {
        let env = domain.environment();
        for object in graph(env).objects() {
            // The canonical name, and the same tree written from another node.
            for text in [domain.object_name(object), newick(env, object)] {
                assert_eq!(domain.parse_object(&text).unwrap(), *object, "{text}");
            }
        }
    }
}

#[test]
fn rooted_trees_and_decorations_are_read() {
    let fixed = domain(4, 0, fixed());
    let expected = fixed.parse_object("(d,B,(a,'C 1'));").unwrap();
    for text in [
        "((d,B),(a,'C 1'));",
        "(d,(B,(a,'C 1')));",
        "(a,('C 1',(B,d)));",
        "[&R] ((d:1,B:2)0.97:0.5,('C 1':1e-3,a)[x]:3);\n",
    ] {
        assert_eq!(fixed.parse_object(text).unwrap(), expected, "{text}");
    }
    let bins = domain(4, 2, bins(3));
    let expected = bins.parse_object("(d:0.1,B:0.03,(a:0.17,'C 1':0.1):0.17);").unwrap();
    // The two edges at a root of two children are one.
    for text in [
        "((d:0.1,B:0.03):0.07,(a:0.17,'C 1':0.1):0.1);",
        "(a:0.17,('C 1':0.1,(d:0.1,B:0.03):0.17):0.0);",
        "(a:0.05,('C 1':0.1,(d:0.1,B:0.03000000001):0.17):0.12);",
    ] {
        assert_eq!(bins.parse_object(text).unwrap(), expected, "{text}");
    }
}

#[test]
fn texts_that_name_no_object_are_refused() {
    let refused = |domain: &TreeDomain, text: &str, part: &str| {
        let error = domain.parse_object(text).expect_err(text);
        assert_eq!(error.kind(), ErrorKind::Input);
        let message = error.to_string();
        assert!(message.contains(part), "{text}: \"{part}\" is not in {message}");
    };
    let fixed = domain(4, 0, fixed());
    for (text, part) in [
        ("(d,B,(a,x));", "`x`"),
        ("(d,B,(a,'C_1'));", "`C_1`"),
        ("(d,B,a);", "no C 1"),
        ("(d,B,(a,a));", "`a`"),
        ("(d,B,(a,('C 1',a)));", "`a`"),
        ("(d,B,a,'C 1');", "a node with 4 neighbours"),
        ("((d,B,a),'C 1');", "a node with 4 neighbours"),
        ("(d,B,((a,'C 1')));", "a node with 2 neighbours"),
        ("((d,B,(a,'C 1')));", "a node with 1 neighbours"),
        ("", "the end of the text"),
        (" \n", "the end of the text"),
        ("d;", "no B"),
        ("(d,B,(a,'C 1'))", "';'"),
        ("(d,B,(a,''));", "``"),
        ("(d,B,(a,'C 1')); (d,B,(a,'C 1'));", "the end after ';'"),
    ] {
        refused(&fixed, text, part);
    }
    let bins = domain(4, 2, bins(3));
    for (text, part) in [
        ("(d:0.1,B:0.05,(a:0.17,'C 1':0.1):0.17);", "Some(0.05)"),
        ("(d:0.1,B:0.03,(a:0.17,'C 1':0.1));", "None"),
        ("(d,B,(a,'C 1'));", "None"),
        ("(d:0.1,B:0.03,(a:0.17,'C 1':0.101):0.17);", "Some(0.101)"),
        ("((d:0.1,B:0.03):0.1,(a:0.17,'C 1':0.1):0.1);", "Some(0.2)"),
        ("(d:-0.1,B:0.03,(a:0.17,'C 1':0.1):0.17);", "Some(-0.1)"),
    ] {
        refused(&bins, text, part);
    }
}
