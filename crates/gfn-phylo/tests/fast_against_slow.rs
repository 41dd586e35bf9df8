//! The pruning kernel against plain recursion: one site, one category, one sum over states at a time.

use gfn_phylo::{Alignment, Likelihood, NewickTree, Process, SitePatterns, SubstitutionModel, state_set};
use proptest::prelude::*;
use proptest::test_runner::FileFailurePersistence;
use rand::RngExt;

/// Log of the conditional likelihoods of the four states at a node (natural logarithms, -inf where impossible).
fn recursion(
    tree: &NewickTree,
    node: usize,
    process: &Process,
    category: usize,
    site: &dyn Fn(&str) -> u8,
) -> [f64; 4] {
    if let Some(name) = &tree.nodes[node].name {
        let set = state_set(site(name)).unwrap();
        return std::array::from_fn(|state| if set >> state & 1 == 1 { 0.0 } else { f64::NEG_INFINITY });
    }
    let mut result = [0.0; 4];
    for &child in &tree.nodes[node].children {
        let below = recursion(tree, child, process, category, site);
        let matrix = process.transition(tree.nodes[child].length.unwrap()).matrix(category);
        let highest = below.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        for state in 0..4 {
            let sum: f64 = (0..4).map(|to| matrix[state][to] * (below[to] - highest).exp()).sum();
            result[state] += if highest == f64::NEG_INFINITY { highest } else { sum.ln() + highest };
        }
    }
    result
}

fn slow(tree: &NewickTree, model: &SubstitutionModel, alignment: &Alignment) -> f64 {
    let process = Process::new(model).unwrap();
    let frequencies = process.frequencies();
    let n_categories = process.category_rates().len();
    let mut total = 0.0;
    for column in 0..alignment.n_sites() {
        let site = |name: &str| alignment.rows[alignment.taxon_index(name).unwrap()][column];
        let mut terms = Vec::new();
        for category in 0..n_categories {
            let root = recursion(tree, 0, &process, category, &site);
            let weight = (1.0 - process.pinv()) / n_categories as f64;
            terms.extend((0..4).map(|state| (weight * frequencies[state]).ln() + root[state]));
        }
        for state in 0..4 {
            if alignment.taxa.iter().all(|taxon| state_set(site(taxon)).unwrap() >> state & 1 == 1) {
                terms.push((process.pinv() * frequencies[state]).ln());
            }
        }
        let highest = terms.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        if highest == f64::NEG_INFINITY {
            return highest;
        }
        total += highest + terms.iter().map(|term| (term - highest).exp()).sum::<f64>().ln();
    }
    total
}

/// A tree of any shape: parents drawn among the nodes before; leaves are named t0, t1, …
fn any_tree(lengths: impl Strategy<Value = f64>) -> impl Strategy<Value = NewickTree> {
    let edges = prop::collection::vec((any::<prop::sample::Index>(), lengths), 1..30);
    edges.prop_map(|edges| {
        let mut tree = NewickTree::new();
        for (parent, length) in edges {
            let parent = parent.index(tree.nodes.len());
            tree.add_child(parent, None, Some(length));
        }
        let mut leaves = 0;
        for node in &mut tree.nodes {
            if node.children.is_empty() {
                node.name = Some(format!("t{leaves}"));
                leaves += 1;
            }
        }
        tree
    })
}

/// A binary tree with three edges at its root: the forest's trees are merged in the order that the indices say, each
/// below an edge of 10^x.
fn binary_tree(edges: &[(prop::sample::Index, f64)]) -> NewickTree {
    let n = edges.len();
    let length = |node: usize| 10f64.powf(edges[node % n].1);
    let mut forest: Vec<String> = (0..n).map(|leaf| format!("t{leaf}:{:?}", length(leaf))).collect();
    while forest.len() > 3 {
        let a = forest.swap_remove(edges[forest.len() - 1].0.index(forest.len()));
        let b = forest.swap_remove(edges[forest.len() - 1].0.index(forest.len()));
        forest.push(format!("({a},{b}):{:?}", length(forest.len())));
    }
    NewickTree::parse(&format!("({});", forest.join(","))).unwrap()
}

fn any_model() -> impl Strategy<Value = SubstitutionModel> {
    let base = prop::sample::select(vec![
        "JC69",
        "K80{4}",
        "HKY85{2.5}+F{0.32,0.21,0.17,0.3}",
        "GTR{1.1,3.2,0.7,0.9,4.4,1}+F{0.1,0.2,0.3,0.4}",
    ]);
    let gamma = prop::sample::select(vec!["", "+G4{0.5}", "+G3m{0.2}"]);
    let invariant = prop::sample::select(vec!["", "+I{0.3}"]);
    (base, gamma, invariant)
        .prop_map(|(base, gamma, invariant)| format!("{base}{gamma}{invariant}").parse().unwrap())
}

fn check(tree: &NewickTree, model: &SubstitutionModel, letters: &[u8], n_sites: usize) {
    let taxa: Vec<String> = (0..tree.n_leaves()).rev().map(|leaf| format!("t{leaf}")).collect();
    let rows = (0..taxa.len())
        .map(|row| (0..n_sites).map(|site| letters[(row * n_sites + site) % letters.len()]).collect());
    let alignment = Alignment::new(taxa.clone(), rows.collect()).unwrap();
    let likelihood = Likelihood::new(model, &SitePatterns::new(&alignment)).unwrap();
    let found = likelihood.tree_log_likelihood(tree).unwrap();
    let expected = slow(tree, model, &alignment);
    if expected == f64::NEG_INFINITY {
        assert_eq!(found, expected);
    } else {
        let error = (found - expected).abs() / expected.abs().max(1.0);
        assert!(error < 1e-10, "{model} {tree}: {found}, slowly {expected}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        failure_persistence: Some(Box::new(FileFailurePersistence::WithSource("regressions"))),
        ..ProptestConfig::default()
    })]

    #[test]
    fn ordinary_lengths(
        tree in any_tree(0.0..2.0f64),
        model in any_model(),
        letters in prop::collection::vec(prop::sample::select(b"ACGTACGTACGTRYN-BDHVKMSW".to_vec()), 7..200),
        n_sites in 1usize..20,
    ) {
        check(&tree, &model, &letters, n_sites);
    }

    /// Lengths down to 1e-9 and exactly 0, with polytomies: values far below 2^-256, and impossible patterns.
    ///
    /// (Not shorter ones: the states of a pattern share their exponent, so that a polytomy of four leaves at 1e-90
    /// already has states that differ by more than a number can hold.)
    #[test]
    fn tiny_and_zero_lengths(
        tree in any_tree(prop_oneof![4 => (-9.0..0.0f64).prop_map(|x| 10f64.powf(x)), 1 => Just(0.0)]),
        model in any_model(),
        letters in prop::collection::vec(prop::sample::select(b"AAAAAAACGT-".to_vec()), 7..200),
        n_sites in 1usize..12,
    ) {
        check(&tree, &model, &letters, n_sites);
    }

    /// Binary trees with lengths down to 1e-90: site likelihoods down to 1e-1000.
    #[test]
    fn binary_trees_with_hardly_any_length(
        edges in prop::collection::vec((any::<prop::sample::Index>(), -90.0..-60.0f64), 3..40),
        model in any_model(),
        letters in prop::collection::vec(prop::sample::select(b"ACGT".to_vec()), 7..200),
        n_sites in 1usize..6,
    ) {
        check(&binary_tree(&edges), &model, &letters, n_sites);
    }

    /// All ways to compute one tree agree: merges from the leaves, then any last edge (the pulley principle).
    #[test]
    fn the_last_edge_may_be_any(model in any_model(), lengths in prop::collection::vec(0.001..1.0f64, 5), letters in prop::collection::vec(prop::sample::select(b"ACGT".to_vec()), 40)) {
        let taxa: Vec<String> = "abcd".chars().map(String::from).collect();
        let rows = letters.chunks(10).map(<[u8]>::to_vec).collect();
        let patterns = SitePatterns::new(&Alignment::new(taxa, rows).unwrap());
        let likelihood = Likelihood::new(&model, &patterns).unwrap();
        let edges: Vec<_> = lengths.iter().map(|&length| likelihood.transition(length)).collect();
        let leaf = |taxon| likelihood.leaf(taxon);
        let ab = likelihood.merge(&leaf(0), &edges[0], &leaf(1), &edges[1]);
        let cd = likelihood.merge(&leaf(2), &edges[2], &leaf(3), &edges[3]);
        let middle = likelihood.edge_log_likelihood(&ab, &cd, &edges[4]);
        let abc = likelihood.merge(&ab, &edges[4], &leaf(2), &edges[2]);
        let at_leaf = likelihood.edge_log_likelihood(&leaf(3), &abc, &edges[3]);
        prop_assert!((middle - at_leaf).abs() < 1e-10 * middle.abs());
        prop_assert!(ab.bytes() > 8 * 4 * likelihood.n_categories() * likelihood.n_patterns());
    }
}

/// 800 taxa: site likelihoods near 4^-800, far below the smallest number.
#[test]
fn eight_hundred_taxa_do_not_underflow() {
    let n = 800;
    let mut random = gfn_core::random::stream(1, "underflow", 0);
    let alignment = {
        let taxa = (0..n).map(|leaf| format!("t{leaf}")).collect();
        let mut row = || (0..5).map(|_| b"ACGTACGTACGTRN-"[random.random_range(0..15)]).collect();
        let rows = (0..n).map(|_| row()).collect();
        Alignment::new(taxa, rows).unwrap()
    };
    let mut length = || 10f64.powf(random.random_range(-2.0..0.5));
    let leaves: Vec<String> = (0..n).map(|leaf| format!("t{leaf}:{:?}", length())).collect();
    let join = |a: &str, b: &str, length: f64| format!("({a},{b}):{length:?}");
    let caterpillar = leaves[3..].iter().fold(leaves[2].clone(), |tree, leaf| join(&tree, leaf, length()));
    let mut level = leaves[2..].to_vec();
    while level.len() > 1 {
        level = level
            .chunks(2)
            .map(|pair| if let [a, b] = pair { join(a, b, length()) } else { pair[0].clone() })
            .collect();
    }
    for model in ["JC69", "HKY85{2.5}+F{0.32,0.21,0.17,0.3}+G4{0.45}+I{0.25}"] {
        let model = model.parse().unwrap();
        let likelihood = Likelihood::new(&model, &SitePatterns::new(&alignment)).unwrap();
        for inner in [&caterpillar, &level[0]] {
            let text = format!("({},{},{inner});", leaves[0], leaves[1]);
            let tree = NewickTree::parse(&text).unwrap();
            let found = likelihood.tree_log_likelihood(&tree).unwrap();
            let expected = slow(&tree, &model, &alignment);
            assert!(found.is_finite() && found < 5.0 * -745.0, "{model}: {found}");
            assert!((found / expected - 1.0).abs() < 1e-9, "{model}: {found}, slowly {expected}");
        }
    }
}

#[test]
fn trees_that_do_not_fit_are_refused_by_name() {
    let alignment =
        Alignment::new(["a", "b", "c"].map(String::from).to_vec(), vec![b"ACGT".to_vec(); 3]).unwrap();
    let likelihood = Likelihood::new(&SubstitutionModel::jc69(), &SitePatterns::new(&alignment)).unwrap();
    let message = |text: &str| {
        likelihood.tree_log_likelihood(&NewickTree::parse(text).unwrap()).unwrap_err().to_string()
    };
    assert!(message("(a:1,b:1);").starts_with("taxon c: "));
    assert!(message("(a:1,b:1,d:1);").starts_with("leaf d: "));
    assert!(message("(a:1,b:1,(c:1,a:1):1);").contains("every taxon once"));
    assert!(message("(a:1,b,c:1);").starts_with("leaf b: expected a branch length >= 0, found none"));
    assert!(message("(a:1,b:-0.1,c:1);").contains("-0.1"));
    assert!(message("(a:1,(b:1,c:1));").contains("a node above leaf b"));
    let hky: SubstitutionModel = "HKY85{2}+F".parse().unwrap();
    assert!(Likelihood::new(&hky, &SitePatterns::new(&alignment)).is_err());
}

#[test]
fn a_tree_of_one_taxon_has_the_likelihood_of_its_characters() {
    let alignment = Alignment::new(vec!["a".into()], vec![b"ACR".to_vec()]).unwrap();
    let model = "HKY85{2}+F{0.1,0.2,0.3,0.4}".parse().unwrap();
    let likelihood = Likelihood::new(&model, &SitePatterns::new(&alignment)).unwrap();
    for text in ["a;", "(a:3);", "((a:1):1);"] {
        let found = likelihood.tree_log_likelihood(&NewickTree::parse(text).unwrap()).unwrap();
        assert!((found - (0.1f64 * 0.2 * 0.4).ln()).abs() < 1e-12, "{text} {found}");
    }
}
