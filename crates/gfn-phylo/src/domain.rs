//! Trees as a domain of the `ep` command: what all parties share, and how objects are named.

use std::path::Path;
use std::sync::Arc;

use gfn_core::domain::{ClientData, Domain, Recipe, Stage};
use gfn_core::reward::LogReward;
use gfn_core::{Environment, Error, Place, Result};
use rustc_hash::FxHashMap;

use crate::alignment::read_alignment;
use crate::environment::{Forest, MergeForest, Subtree};
use crate::newick::NewickTree;
use crate::recipe::recipe;
use crate::reward::{TreePrior, TreeReward};
use crate::{BranchLengths, SubstitutionModel};

/// Everything public about an inference of trees: taxa, model, branch lengths. No sites.
pub struct TreeDomain {
    env: Arc<MergeForest>,
    model: SubstitutionModel,
}

impl TreeDomain {
    /// The domain over these taxa. Their order does not matter; `outgroup` names the one that the forest is hung on.
    pub fn new(
        mut taxa: Vec<String>,
        outgroup: &str,
        model: SubstitutionModel,
        branches: BranchLengths,
    ) -> Result<Self> {
        taxa.sort();
        let Some(outgroup) = taxa.iter().position(|t| t == outgroup) else {
            return Err(Error::usage(
                "outgroup",
                "one of the taxa",
                format!("`{outgroup}`"),
                format!("choose one of: {}", taxa.join(", ")),
            ));
        };
        Ok(TreeDomain { env: Arc::new(MergeForest::new(taxa, outgroup, branches)?), model })
    }

    /// The substitution model.
    pub fn model(&self) -> &SubstitutionModel {
        &self.model
    }

    /// The reward of an alignment over the domain's taxa.
    pub fn reward(&self, alignment: &crate::Alignment, prior_share: f64) -> Result<TreeReward> {
        TreeReward::new(&self.env, alignment, &self.model, prior_share)
    }

    /// The object as a Newick tree in canonical order: trifurcation at the neighbour of the first taxon in byte
    /// order, which comes first; children by their smallest taxon. Lengths where they are chosen, none where fixed.
    pub fn newick(&self, object: &Forest) -> NewickTree {
        canonical_newick(&self.env, object)
    }
}

impl Domain for TreeDomain {
    type Env = MergeForest;

    fn name(&self) -> &'static str {
        "phylo"
    }

    fn environment(&self) -> &Arc<MergeForest> {
        &self.env
    }

    fn read_client(&self, path: &Path) -> Result<ClientData<MergeForest>> {
        let file = read_alignment(path)?;
        let reward = self.reward(&file.alignment, 1.0).map_err(|e| e.in_file(path))?;
        Ok(ClientData {
            description: format!("{} sites, {} patterns", file.alignment.n_sites(), reward.n_patterns()),
            reward: Arc::new(reward),
            prior_share: 1.0,
            chain: None,
            warnings: file.warnings,
        })
    }

    fn log_prior(&self) -> Arc<dyn LogReward<MergeForest>> {
        Arc::new(TreePrior::new(&self.env))
    }

    fn object_name(&self, object: &Forest) -> String {
        self.newick(object).to_string()
    }

    fn parse_object(&self, name: &str) -> Result<Forest> {
        parse_object(&self.env, name)
    }

    fn objects_word(&self) -> &'static str {
        "trees"
    }

    fn data_extension(&self) -> &'static str {
        "nex"
    }

    fn objects_extension(&self) -> &'static str {
        "nwk"
    }

    fn recipe(&self, stage: Stage) -> Recipe {
        recipe(stage, self.env.taxa().len(), self.env.branches().n_bins() > 0)
    }
}

/// An unrooted tree as neighbour lists: node → (neighbour, length bin of the edge).
struct Unrooted {
    neighbours: Vec<Vec<(usize, u8)>>,
    /// Taxon index of leaves.
    taxon: Vec<Option<usize>>,
}

impl Unrooted {
    fn of(env: &MergeForest, object: &Forest) -> Unrooted {
        let mut tree = Unrooted { neighbours: Vec::new(), taxon: Vec::new() };
        let outgroup = tree.node(Some(env.outgroup()));
        if let Some(root) = object.root() {
            let top = tree.add(env, root);
            tree.join(outgroup, top, object.outgroup_bin.unwrap_or(0));
        }
        tree
    }

    fn node(&mut self, taxon: Option<usize>) -> usize {
        self.neighbours.push(Vec::new());
        self.taxon.push(taxon);
        self.taxon.len() - 1
    }

    fn join(&mut self, a: usize, b: usize, bin: u8) {
        self.neighbours[a].push((b, bin));
        self.neighbours[b].push((a, bin));
    }

    fn add(&mut self, env: &MergeForest, tree: &Subtree) -> usize {
        let Some(children) = &tree.children else {
            return self.node(Some(env.ingroup()[tree.smallest_leaf as usize]));
        };
        let node = self.node(None);
        let left = self.add(env, &children.left);
        let right = self.add(env, &children.right);
        self.join(node, left, children.bins.0);
        self.join(node, right, children.bins.1);
        node
    }

    /// Smallest taxon of the part of the tree behind `node`, seen from `from`.
    fn smallest(&self, node: usize, from: usize) -> usize {
        let below = self.neighbours[node].iter().filter(|(n, _)| *n != from);
        self.taxon[node].unwrap_or_else(|| {
            below.map(|&(n, _)| self.smallest(n, node)).min().expect("inner nodes have neighbours")
        })
    }
}

fn canonical_newick(env: &MergeForest, object: &Forest) -> NewickTree {
    let tree = Unrooted::of(env, object);
    let lengths = env.branches().lengths();
    let length = |bin: u8| (env.branches().n_bins() > 0).then(|| lengths[bin as usize]);
    let mut newick = NewickTree::new();
    // Taxa are in byte order, so the first taxon is number 0.
    let first = tree.taxon.iter().position(|&t| t == Some(0)).expect("every taxon is in the tree");
    let Some(&(top, bin)) = tree.neighbours[first].first() else { return newick };
    newick.add_child(0, Some(env.taxa()[0].clone()), length(bin));
    let mut stack = vec![(top, first, 0usize)];
    while let Some((node, from, parent)) = stack.pop() {
        let mut next: Vec<(usize, u8)> =
            tree.neighbours[node].iter().filter(|(n, _)| *n != from).copied().collect();
        next.sort_by_key(|&(n, _)| tree.smallest(n, node));
        for (n, bin) in next {
            let name = tree.taxon[n].map(|t| env.taxa()[t].clone());
            let child = newick.add_child(parent, name, length(bin));
            if tree.taxon[n].is_none() {
                stack.push((n, node, child));
            }
        }
    }
    newick
}

fn parse_object(env: &MergeForest, name: &str) -> Result<Forest> {
    let newick = NewickTree::parse(name)?;
    let refuse = |expected: &str, found: String| {
        Error::input(Place::item("tree"), expected, found, "give binary trees over the plan's taxa")
    };
    // Neighbour lists of the unrooted tree; a root with two children is passed over.
    let n = newick.nodes.len();
    let mut neighbours: Vec<Vec<(usize, Option<f64>)>> = vec![Vec::new(); n];
    let mut edge = |a: usize, b: usize, length: Option<f64>| {
        neighbours[a].push((b, length));
        neighbours[b].push((a, length));
    };
    let root_pair = <[usize; 2]>::try_from(newick.nodes[0].children.as_slice()).ok();
    if let Some([a, b]) = root_pair {
        let lengths = newick.nodes[a].length.zip(newick.nodes[b].length);
        edge(a, b, lengths.map(|(a, b)| a + b));
    }
    for (index, node) in newick.nodes.iter().enumerate() {
        if let Some(parent) = node.parent.filter(|&parent| parent != 0 || root_pair.is_none()) {
            edge(index, parent, node.length);
        }
    }
    let taxa: FxHashMap<&str, usize> =
        env.taxa().iter().enumerate().map(|(i, name)| (name.as_str(), i)).collect();
    let mut taxon = vec![None; n];
    let mut seen = vec![false; env.taxa().len()];
    for (index, node) in newick.nodes.iter().enumerate() {
        if !node.children.is_empty() {
            continue;
        }
        let name = node.name.as_deref().unwrap_or("");
        match taxa.get(name) {
            Some(&t) if !seen[t] => {
                seen[t] = true;
                taxon[index] = Some(t);
            }
            _ => return Err(refuse("each taxon of the plan once", format!("`{name}`"))),
        }
    }
    if let Some(missing) = seen.iter().position(|s| !s) {
        return Err(refuse("each taxon of the plan once", format!("no {}", env.taxa()[missing])));
    }
    let with_bins = env.branches().n_bins() > 0;
    let lengths = env.branches().lengths();
    let bin_of = |length: Option<f64>| -> Result<u8> {
        if !with_bins {
            return Ok(0);
        }
        let distance = |l: f64| length.map_or(f64::INFINITY, |length| (l - length).abs());
        let best = (0..lengths.len()).min_by(|&a, &b| distance(lengths[a]).total_cmp(&distance(lengths[b])));
        match best {
            Some(bin) if distance(lengths[bin]) <= 1e-6 * lengths[bin] => Ok(bin as u8),
            _ => Err(refuse("a branch length of the plan's bins", format!("{length:?}"))),
        }
    };
    let start = taxon.iter().position(|&t| t == Some(env.outgroup())).expect("checked above");
    let Some(&(top, top_length)) = neighbours[start].first() else {
        return Err(refuse("a tree of at least four taxa", name.to_string()));
    };
    // Depth-first: parents before children, so the reverse order builds children first.
    let mut order = vec![(top, start)];
    for i in 0.. {
        let Some(&(node, from)) = order.get(i) else { break };
        order.extend(neighbours[node].iter().filter(|(m, _)| *m != from).map(|&(m, _)| (m, node)));
    }
    let leaf_of: FxHashMap<usize, usize> =
        env.ingroup().iter().enumerate().map(|(leaf, &taxon)| (taxon, leaf)).collect();
    let mut trees: FxHashMap<usize, Arc<Subtree>> = FxHashMap::default();
    for &(node, from) in order.iter().rev() {
        let tree = if let Some(t) = taxon[node] {
            Arc::clone(env.leaf(leaf_of[&t]))
        } else {
            let below: Vec<_> = neighbours[node].iter().filter(|(m, _)| *m != from).collect();
            let [(a, a_length), (b, b_length)] = below[..] else {
                return Err(refuse("a binary tree", format!("a node with {} neighbours", below.len() + 1)));
            };
            env.merge(&trees[a], &trees[b], (bin_of(*a_length)?, bin_of(*b_length)?))
        };
        trees.insert(node, tree);
    }
    let outgroup_bin = if with_bins { Some(bin_of(top_length)?) } else { None };
    let root = trees.remove(&top).expect("the last one built");
    let object = env.object(root, outgroup_bin);
    debug_assert!({
        let mut actions = Vec::new();
        env.forward_actions(&object, &mut actions);
        actions.is_empty()
    });
    Ok(object)
}
