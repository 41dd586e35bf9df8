//! What a posterior over trees is written as: sampled trees, topologies, bipartitions, a consensus.

use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;

use gfn_core::Result;
use gfn_core::tensor_file::write_atomically;
use gfn_phylo::alignment::nexus_word;
use gfn_phylo::{
    Bipartition, Forest, NewickTree, Topology, TreeDomain, majority_rule_consensus, split_frequencies,
};
use rustc_hash::FxHashMap;

use crate::files::quoted;

/// Names of the files with results of runs over trees.
pub const RESULT_FILES: [&str; 6] = [
    "samples.trees",
    "trees.csv",
    "splits.csv",
    "trees_reweighted.csv",
    "splits_reweighted.csv",
    "consensus.nwk",
];

/// Sampled trees with what is known of each.
pub struct TreeSamples {
    /// Trees in the order they were drawn.
    pub trees: Vec<NewickTree>,
    /// log p(D | tree) of each; empty where the data are not at hand.
    pub log_likelihoods: Vec<f64>,
    /// Normalised importance weights; empty where the data are not at hand.
    pub weights: Vec<f64>,
}

/// A topology among samples.
pub struct SampledTopology {
    /// The topology.
    pub topology: Topology,
    /// Number of its samples, or the sum of their importance weights.
    pub weight: f64,
    /// Share of the samples, or of their weights.
    pub probability: f64,
    /// log p(D | tree); the largest over branch lengths where these vary.
    pub log_likelihood: Option<f64>,
}

impl TreeSamples {
    /// Samples from objects.
    pub fn new(
        domain: &TreeDomain,
        objects: &[Forest],
        log_likelihoods: Vec<f64>,
        weights: Vec<f64>,
    ) -> Self {
        let trees = objects.iter().map(|object| domain.newick(object)).collect();
        TreeSamples { trees, log_likelihoods, weights }
    }

    /// Distinct topologies by decreasing probability; `weighted` uses the importance weights.
    pub fn topologies(&self, taxa: &Arc<[String]>, weighted: bool) -> Result<Vec<SampledTopology>> {
        let mut index: FxHashMap<String, usize> = FxHashMap::default();
        let mut found: Vec<SampledTopology> = Vec::new();
        for (i, tree) in self.trees.iter().enumerate() {
            let weight = if weighted { self.weights[i] } else { 1.0 };
            let log_likelihood = self.log_likelihoods.get(i).copied();
            // Trees are in canonical order: without lengths the text is the topology.
            let mut bare = tree.clone();
            bare.nodes.iter_mut().for_each(|n| n.length = None);
            let fresh = found.len();
            let place = *index.entry(bare.to_string()).or_insert(fresh);
            if place == fresh {
                let topology = Topology::from_newick_over(&bare, Arc::clone(taxa))?;
                found.push(SampledTopology { topology, weight: 0.0, probability: 0.0, log_likelihood });
            }
            found[place].weight += weight;
            found[place].log_likelihood = match (found[place].log_likelihood, log_likelihood) {
                (Some(a), Some(b)) => Some(a.max(b)),
                (a, b) => a.or(b),
            };
        }
        // Dividing last keeps shares of samples exact: 107 of 500 is 0.214.
        let total: f64 = found.iter().map(|t| t.weight).sum();
        found.iter_mut().for_each(|t| t.probability = t.weight / total);
        let mut keyed: Vec<(String, SampledTopology)> =
            found.into_iter().map(|t| (t.topology.to_string(), t)).collect();
        keyed.sort_by(|a, b| b.1.probability.total_cmp(&a.1.probability).then_with(|| a.0.cmp(&b.0)));
        Ok(keyed.into_iter().map(|(_, t)| t).collect())
    }
}

/// Probabilities of bipartitions, most probable first. Counts add up exactly, so that half is half.
pub fn splits(topologies: &[SampledTopology]) -> Result<Vec<(Bipartition, f64)>> {
    split_frequencies(topologies.iter().map(|t| (&t.topology, t.weight)))
}

/// Writes `trees.csv`: topology,probability,log_likelihood.
pub fn write_topologies(path: &Path, topologies: &[SampledTopology]) -> Result<()> {
    let mut text = String::from("topology,probability,log_likelihood\n");
    for t in topologies {
        let log_likelihood = t.log_likelihood.map_or_else(String::new, |l| l.to_string());
        let _ = writeln!(text, "{},{},{log_likelihood}", quoted(&t.topology.to_string()), t.probability);
    }
    write_atomically(path, text.as_bytes())
}

/// Writes `splits.csv`: bipartition,probability. A bipartition names both sides, the one of the first taxon first.
pub fn write_splits(path: &Path, taxa: &[String], splits: &[(Bipartition, f64)]) -> Result<()> {
    let mut text = String::from("bipartition,probability\n");
    for (split, probability) in splits {
        let _ = writeln!(text, "{},{probability}", quoted(&split_name(taxa, split)));
    }
    write_atomically(path, text.as_bytes())
}

/// Both sides of a bipartition, such as `A,B|C,D`.
pub fn split_name(taxa: &[String], split: &Bipartition) -> String {
    let side = |inside: bool| {
        let names = (0..taxa.len()).filter(|&t| split.contains(t) == inside).map(|t| taxa[t].as_str());
        names.collect::<Vec<_>>().join(",")
    };
    let first = split.contains(0);
    format!("{}|{}", side(first), side(!first))
}

/// Writes `consensus.nwk`: majority rule, supports as node labels.
pub fn write_consensus(path: &Path, topologies: &[SampledTopology]) -> Result<String> {
    let tree = majority_rule_consensus(topologies.iter().map(|t| (&t.topology, t.weight)))?.to_string();
    write_atomically(path, format!("{tree}\n").as_bytes())?;
    Ok(tree)
}

/// Writes `samples.trees`: NEXUS with a translate block. `length` stands in where trees carry none.
pub fn write_samples(path: &Path, taxa: &[String], samples: &TreeSamples, length: Option<f64>) -> Result<()> {
    let mut text = String::from("#NEXUS\nbegin trees;\n\ttranslate\n");
    for (i, name) in taxa.iter().enumerate() {
        let end = if i + 1 == taxa.len() { ";" } else { "," };
        let _ = writeln!(text, "\t\t{} {}{end}", i + 1, nexus_word(name));
    }
    let numbers: FxHashMap<&str, String> =
        taxa.iter().enumerate().map(|(i, name)| (name.as_str(), (i + 1).to_string())).collect();
    for (i, tree) in samples.trees.iter().enumerate() {
        let mut tree = tree.clone();
        for (index, node) in tree.nodes.iter_mut().enumerate() {
            node.name = node.name.as_deref().map(|name| numbers[name].clone());
            if index > 0 {
                node.length = node.length.or(length);
            }
        }
        let annotation = match (samples.log_likelihoods.get(i), samples.weights.get(i)) {
            (Some(l), Some(w)) => format!(" [&lnL={l:.6},weight={w:.6e}]"),
            _ => String::new(),
        };
        let _ = writeln!(text, "\ttree STATE_{i}{annotation} = [&U] {tree}");
    }
    text.push_str("end;\n");
    write_atomically(path, text.as_bytes())
}
