//! Felsenstein likelihoods at the size of DS1 (27 taxa, 934 patterns): whole trees and one merge. Items are
//! updates of a node, pattern and category: 25 merges and the edge that joins them make 26 of every pattern.

use divan::counter::ItemsCount;
use divan::{Bencher, black_box};
use gfn_core::random::stream;
use gfn_phylo::{
    Frequencies, Likelihood, ModelSettings, NewickTree, Partial, SitePatterns, SubstitutionModel,
};
use rand::RngExt;

/// As in the `ep` command.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const TAXA: usize = 27;
const PATTERNS: usize = 934;

fn main() {
    divan::main();
}

/// Random states: distinct patterns are all that counts.
fn likelihood(model: &str) -> Likelihood {
    let mut rng = stream(1, "patterns", 0);
    let mut states = || (0..PATTERNS).map(|_| 1u8 << rng.random_range(0..4)).collect();
    let patterns = SitePatterns {
        taxa: (0..TAXA).map(|taxon| format!("t{taxon}")).collect(),
        states: (0..TAXA).map(|_| states()).collect(),
        weights: vec![1.0; PATTERNS],
        pattern_of_site: (0..PATTERNS).collect(),
    };
    let model = SubstitutionModel::new(&ModelSettings {
        name: model.into(),
        rates: model.starts_with("GTR").then_some([1.1, 2.3, 0.8, 1.3, 3.1, 1.0]),
        frequencies: model.starts_with("GTR").then_some(Frequencies::Given([0.3, 0.2, 0.2, 0.3])),
        alpha: model.ends_with("+G4").then_some(0.5),
        ..ModelSettings::default()
    })
    .expect("a model");
    Likelihood::new(&model, &patterns).expect("a likelihood")
}

const MODELS: [&str; 4] = ["JC69", "JC69+G4", "GTR", "GTR+G4"];

/// A tree that is balanced as far as can be, from its leaves: transition matrices, merges, logarithms.
#[divan::bench(args = MODELS)]
fn whole_tree(bencher: Bencher, model: &str) {
    let likelihood = likelihood(model);
    let mut subtrees: Vec<String> = (0..TAXA).map(|taxon| format!("t{taxon}:0.1")).collect();
    while subtrees.len() > 3 {
        let pair: Vec<String> = subtrees.drain(..2).collect();
        subtrees.push(format!("({}):0.1", pair.join(",")));
    }
    let tree = NewickTree::parse(&format!("({});", subtrees.join(","))).expect("a tree");
    bencher
        .counter(ItemsCount::new((TAXA - 1) * PATTERNS * likelihood.n_categories()))
        .bench_local(|| likelihood.tree_log_likelihood(black_box(&tree)));
}

/// One merge of two inner nodes, into memory that is there.
#[divan::bench(args = MODELS)]
fn merge(bencher: Bencher, model: &str) {
    let likelihood = likelihood(model);
    let edge = likelihood.transition(0.1);
    let cherry = |i| likelihood.merge(&likelihood.leaf(i), &edge, &likelihood.leaf(i + 1), &edge);
    let (a, b) = (cherry(0), cherry(2));
    let mut target = Partial::default();
    bencher
        .counter(ItemsCount::new(PATTERNS * likelihood.n_categories()))
        .bench_local(|| likelihood.merge_into(&mut target, black_box(&a), &edge, black_box(&b), &edge));
}
