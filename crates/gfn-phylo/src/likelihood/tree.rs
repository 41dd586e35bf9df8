//! The likelihood of a whole Newick tree, of any shape.

use std::sync::Arc;

use gfn_core::{Error, Place, Result};

use super::partial::Partial;
use super::pruning::Likelihood;
use crate::newick::NewickTree;

impl Likelihood {
    /// The natural-log likelihood of a tree with lengths; minus infinity where the data are impossible.
    ///
    /// Taxa are matched by name. Any degree is allowed: multifurcations, a root with two children (its edges count as
    /// one, whose length is their sum), nodes with one child. A length on the root itself is not used.
    ///
    /// # Errors
    /// A taxon missing from the tree, unknown, or there twice; a length that is missing, negative or not finite: the
    /// message names the leaf, or a leaf below the node.
    pub fn tree_log_likelihood(&self, tree: &NewickTree) -> Result<f64> {
        let mut seen = vec![false; self.taxa().len()];
        let order = tree.preorder();
        let mut subtrees: Vec<Option<Arc<Partial>>> = vec![None; tree.nodes.len()];
        let place = |node: usize| {
            let mut leaf = node;
            while let Some(&child) = tree.nodes[leaf].children.first() {
                leaf = child;
            }
            let name = tree.nodes[leaf].name.as_deref().unwrap_or("");
            Place::item(if leaf == node {
                format!("leaf {name}")
            } else {
                format!("a node above leaf {name}")
            })
        };
        let length = |node: usize| match tree.nodes[node].length {
            Some(length) if length.is_finite() && length >= 0.0 => Ok(length),
            found => Err(Error::input(
                place(node),
                "a branch length >= 0",
                found.map_or("none".into(), |length| length.to_string()),
                "give every branch a length",
            )),
        };
        let still = self.transition(0.0);
        let mut total = None;
        let mut free: Vec<Partial> = Vec::new();
        for &node in order.iter().rev() {
            let children = &tree.nodes[node].children;
            if children.is_empty() {
                let taxon = self.taxon(tree.nodes[node].name.as_deref().unwrap_or(""))?;
                if std::mem::replace(&mut seen[taxon], true) {
                    return Err(Error::input(
                        place(node),
                        "every taxon once",
                        "it twice",
                        "correct the tree",
                    ));
                }
                subtrees[node] = Some(self.leaf(taxon));
                continue;
            }
            // Edges into this node; the last one of the root is kept for the end.
            let mut incoming = Vec::with_capacity(children.len());
            for &child in children {
                let partial = subtrees[child].take().expect("children come first in this order");
                incoming.push((partial, length(child)?));
            }
            let last = if node == 0 { incoming.pop() } else { None };
            let mut incoming = incoming.into_iter();
            let mut joined: Option<(Arc<Partial>, f64)> = incoming.next();
            for (partial, length) in incoming {
                let (before, before_length) = joined.take().expect("set before the loop");
                let mut merged = free.pop().unwrap_or_default();
                let above = if before_length == 0.0 { &still } else { &self.transition(before_length) };
                self.merge_into(&mut merged, &before, above, &partial, &self.transition(length));
                // What nobody else holds is free again; leaves are the likelihood's own.
                free.extend([before, partial].into_iter().filter_map(Arc::into_inner));
                joined = Some((Arc::new(merged), 0.0));
            }
            match (joined, last) {
                (Some((partial, above)), None) => {
                    // A single child is still at the far end of its edge: walk it.
                    subtrees[node] = Some(match above == 0.0 {
                        true => partial,
                        false => {
                            Arc::new(self.merge(&partial, &self.transition(above), &self.no_leaves(), &still))
                        }
                    });
                }
                (Some((partial, above)), Some((other, below))) => {
                    total = Some(self.edge_log_likelihood(&partial, &other, &self.transition(above + below)));
                }
                (None, Some((other, below))) => {
                    let nothing = self.no_leaves();
                    total = Some(self.edge_log_likelihood(&nothing, &other, &self.transition(below)));
                }
                (None, None) => unreachable!("a node with children"),
            }
        }
        if let Some(taxon) = seen.iter().position(|&seen| !seen) {
            return Err(Error::input(
                Place::item(format!("taxon {}", self.taxa()[taxon])),
                "every taxon of the alignment in the tree",
                "a tree without it",
                "prune the alignment, or use the tree that belongs to it",
            ));
        }
        Ok(match total {
            Some(total) => total,
            None => {
                let only = subtrees[0].take().expect("a tree of one leaf");
                self.edge_log_likelihood(&self.no_leaves(), &only, &still)
            }
        })
    }
}
