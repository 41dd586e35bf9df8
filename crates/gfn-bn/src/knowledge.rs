//! What is known about the graph beforehand: required and forbidden edges, tiers, and most parents of a node.

use gfn_core::{Error, Place, Result};
use serde::{Deserialize, Serialize};

use crate::dag::{Dag, members};

/// Knowledge about the graph, by names of variables; part of the plan, so that all sites share it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Knowledge {
    /// Edges [from, to] of every graph.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub required: Vec<(String, String)>,
    /// Edges [from, to] of no graph.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub forbidden: Vec<(String, String)>,
    /// Groups of variables in their order, such as that of time: no edge leads from a later group to an earlier one.
    /// Variables of no group are not bound by it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tiers: Vec<Vec<String>>,
    /// Most parents of a node.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_parents: Option<usize>,
}

/// [`Knowledge`] as sets of nodes: which parent sets are allowed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Constraints {
    required: Vec<u64>,
    allowed: Vec<u64>,
    max_parents: usize,
    initial: Dag,
}

impl Constraints {
    /// No knowledge about a graph over `n_nodes` nodes, 1 to 64.
    pub fn none(n_nodes: usize) -> Result<Self> {
        let initial = Dag::empty(n_nodes)?;
        let all = u64::MAX >> (u64::BITS as usize - n_nodes);
        Ok(Constraints {
            required: vec![0; n_nodes],
            allowed: (0..n_nodes).map(|node| all & !(1 << node)).collect(),
            max_parents: n_nodes - 1,
            initial,
        })
    }

    /// Number of nodes.
    pub fn n_nodes(&self) -> usize {
        self.required.len()
    }

    /// The parents that `node` has in every graph.
    pub fn required(&self, node: usize) -> u64 {
        self.required[node]
    }

    /// The nodes that may be parents of `node`; the required ones are among them.
    pub fn allowed(&self, node: usize) -> u64 {
        self.allowed[node]
    }

    /// Most parents of a node.
    pub fn max_parents(&self) -> usize {
        self.max_parents
    }

    /// Whether these may be the parents of `node`, as far as knowledge goes.
    pub fn allows(&self, node: usize, parents: u64) -> bool {
        parents & !self.allowed[node] == 0
            && self.required[node] & !parents == 0
            && parents.count_ones() as usize <= self.max_parents
    }

    /// Whether every node has parents that are allowed.
    pub fn allow(&self, dag: &Dag) -> bool {
        dag.parent_sets().iter().enumerate().all(|(node, &parents)| self.allows(node, parents))
    }

    /// The graph of the required edges alone, where walks begin: its edges are never removed.
    pub fn initial(&self) -> &Dag {
        &self.initial
    }
}

/// Required and allowed parents of each node, and the most parents: equal texts mean equal sets of graphs, but for
/// edges that no acyclic graph of the set can have.
impl std::fmt::Display for Constraints {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (required, allowed) in self.required.iter().zip(&self.allowed) {
            write!(f, "{required:x}-{allowed:x} ")?;
        }
        write!(f, "{}", self.max_parents)
    }
}

impl Knowledge {
    /// Whether nothing is known.
    pub fn is_empty(&self) -> bool {
        *self == Knowledge::default()
    }

    /// Looks up the names. Refuses names that are no variables, edges that are required and forbidden (by name, by
    /// tiers) at once, required cycles, and more required parents than are allowed.
    pub fn resolve(&self, names: &[String]) -> Result<Constraints> {
        let mut constraints = Constraints::none(names.len())?;
        let node = |what: &str, name: &String| {
            names.iter().position(|own| own == name).ok_or_else(|| {
                Error::input(
                    Place::item(what),
                    format!("a variable among {}", names.join(", ")),
                    format!("{name:?}"),
                    "correct the name",
                )
            })
        };
        let contradiction = |edge: String, found: String| {
            Error::input(
                Place::item(edge),
                "knowledge that some acyclic graph agrees with",
                found,
                "remove one of the two",
            )
        };
        for (from, to) in &self.forbidden {
            let (from, to) = (node("forbidden edge", from)?, node("forbidden edge", to)?);
            constraints.allowed[to] &= !(1 << from);
        }
        let mut tier_of = vec![None; names.len()];
        for (tier, group) in self.tiers.iter().enumerate() {
            for name in group {
                let node = node("tier", name)?;
                if tier_of[node].replace(tier).is_some() {
                    return Err(contradiction(
                        format!("tiers, {name:?}"),
                        "the variable in two places".into(),
                    ));
                }
            }
        }
        for (to, own) in tier_of.iter().enumerate() {
            let later = |from: &usize| matches!((tier_of[*from], own), (Some(a), Some(b)) if a > *b);
            let forbidden: u64 = (0..names.len()).filter(later).map(|from| 1 << from).sum();
            constraints.allowed[to] &= !forbidden;
        }
        for (from_name, to_name) in &self.required {
            let (from, to) = (node("required edge", from_name)?, node("required edge", to_name)?);
            let edge = format!("required edge {from_name} → {to_name}");
            if from == to {
                return Err(contradiction(edge, "a loop".into()));
            }
            if constraints.initial.has_edge(from, to) {
                continue;
            }
            if constraints.allowed[to] >> from & 1 == 0 {
                return Err(contradiction(edge, "the same edge forbidden, by name or by tiers".into()));
            }
            if !constraints.initial.can_add_edge(from, to) {
                return Err(contradiction(edge, "a required path the other way: a cycle".into()));
            }
            constraints.initial.add_edge(from, to)?;
            constraints.required[to] |= 1 << from;
        }
        if let Some(most) = self.max_parents {
            constraints.max_parents = most.min(names.len() - 1);
            let crowded = (0..names.len()).find(|&v| constraints.required[v].count_ones() as usize > most);
            if let Some(v) = crowded {
                let parents: Vec<&str> =
                    members(constraints.required[v]).map(|u| names[u].as_str()).collect();
                return Err(contradiction(
                    format!("max_parents {most}"),
                    format!("{} required parents of {}: {}", parents.len(), names[v], parents.join(", ")),
                ));
            }
        }
        Ok(constraints)
    }
}
