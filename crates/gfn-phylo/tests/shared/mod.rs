//! What several test files need: shared data where there are any, small environments, trees and alignments.

#![allow(dead_code)] // every test binary uses another part

use std::path::PathBuf;
use std::process::Command;

use gfn_core::exact::StateGraph;
use gfn_core::random::stream;
use gfn_phylo::environment::Subtree;
use gfn_phylo::{Alignment, BranchLengths, BranchPrior, Forest, MergeForest};
use rand::RngExt;

/// The text of a file of the shared folder, unpacked if it is there as `.gz`; `None` where it is absent.
pub fn read(path: &str) -> Option<String> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared").join(path);
    if let Ok(text) = std::fs::read_to_string(&path) {
        return Some(text);
    }
    let packed = PathBuf::from(format!("{}.gz", path.display()));
    if !packed.exists() {
        return None;
    }
    let output = Command::new("gzip").arg("-dc").arg(&packed).output().ok()?;
    output.status.success().then(|| String::from_utf8(output.stdout).unwrap())
}

/// Names and sequences of a FASTA text; a name is the first word of its line.
pub fn fasta(text: &str) -> Vec<(String, String)> {
    let records = text.split('>').skip(1);
    records
        .map(|record| {
            let (header, sequence) = record.split_once('\n').unwrap();
            (header.split_whitespace().next().unwrap().to_string(), sequence.split_whitespace().collect())
        })
        .collect()
}

/// `n` names, not in byte order.
pub fn taxa(n: usize) -> Vec<String> {
    ["d", "B", "a", "C 1", "e'", "_f", "g", "h"].into_iter().take(n).map(String::from).collect()
}

/// The environment over these taxa in byte order.
pub fn environment(mut taxa: Vec<String>, outgroup: usize, branches: BranchLengths) -> MergeForest {
    taxa.sort();
    MergeForest::new(taxa, outgroup, branches).unwrap()
}

/// The fixed length 0.1.
pub fn fixed() -> BranchLengths {
    BranchLengths::fixed(0.1).unwrap()
}

/// Bins of unequal prior probability.
pub fn bins(n: usize) -> BranchLengths {
    let lengths = (0..n).map(|bin| 0.03 + 0.07 * bin as f64).collect();
    BranchLengths::density_bins(lengths, BranchPrior::Exponential(10.0)).unwrap()
}

/// All states and objects.
pub fn graph(env: &MergeForest) -> StateGraph<MergeForest> {
    StateGraph::enumerate(env, 1_000_000).unwrap()
}

/// The object as a Newick text of three edges at the root, in which every edge has its length: written from the
/// definition, independently of the crate's own canonical form.
pub fn newick(env: &MergeForest, object: &Forest) -> String {
    let root = object.root().unwrap();
    let children = root.children.as_ref().unwrap();
    let outgroup = word(&env.taxa()[env.outgroup()]);
    format!(
        "({},{},{outgroup}:{:?});",
        below(env, &children.left, children.bins.0),
        below(env, &children.right, children.bins.1),
        length(env, object.outgroup_bin.unwrap_or(0)),
    )
}

/// Length of an edge.
pub fn length(env: &MergeForest, bin: u8) -> f64 {
    env.branches().lengths()[bin as usize]
}

/// The tree and the edge above it.
pub fn below(env: &MergeForest, tree: &Subtree, bin: u8) -> String {
    let length = length(env, bin);
    match &tree.children {
        None => format!("{}:{length:?}", word(&env.taxa()[env.ingroup()[tree.smallest_leaf as usize]])),
        Some(children) => {
            let left = below(env, &children.left, children.bins.0);
            let right = below(env, &children.right, children.bins.1);
            format!("({left},{right}):{length:?}")
        }
    }
}

fn word(name: &str) -> String {
    format!("'{}'", name.replace('\'', "''"))
}

/// Related sequences: copies of one with a third of the letters redrawn, gaps and ambiguity codes among them.
pub fn alignment(taxa: &[String], n_sites: usize, seed: u64) -> Alignment {
    let mut random = stream(seed, "test-alignment", 0);
    let letters = b"ACGTACGTACGTACGTACGTRYKMSWBDHVN-?";
    let ancestor: Vec<u8> = (0..n_sites).map(|_| letters[random.random_range(0..20)]).collect();
    let rows = taxa.iter().map(|_| {
        let site = |&old: &u8| match random.random_range(0..10) {
            0..7 => old,
            _ => letters[random.random_range(0..letters.len())],
        };
        ancestor.iter().map(site).collect()
    });
    let rows = rows.collect();
    Alignment::new(taxa.to_vec(), rows).unwrap()
}
