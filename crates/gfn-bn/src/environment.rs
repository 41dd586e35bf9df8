//! The environment of directed acyclic graphs: start from the required edges, add one at a time, stop anywhere.

use gfn_core::environment::fingerprint;
use gfn_core::{EnvSpec, Environment, Error, Heads, Result, StopRule};

use crate::dag::{Dag, MAX_NODES, members};
use crate::knowledge::{Constraints, Knowledge};

/// The environment of directed acyclic graphs over d named variables (docs/mathematics.md §5; Deleu et al. 2022, UAI).
///
/// * Objects: all DAGs over the variables that agree with what is known; node `i` is variable `names[i]`. Every state
///   may stop ([`StopRule::Always`]).
/// * Forward action `u · d + v`: add the edge u → v, where it keeps the graph acyclic and is allowed.
/// * Backward action `u · d + v`: remove the edge u → v, each that is not required with the same probability. Backward
///   walks remove the edges in a uniformly random order, down to the required ones.
/// * Features, 3 d in each of d rows: of the row of node `v`, feature `u` says that u is a parent of v, `d + u` that u
///   is an ancestor of v, and `2 d + v` that this is the row of v (always active: variables are not exchangeable, and
///   a network that shares its weights over rows has to tell them apart).
/// * Heads: action `u · d + v` concerns the rows of u and v ([`Heads::Pairs`]).
/// * Action keys, 2 per action: node v with the parents that it gets, and node v with its parents and u, the move
///   itself. What a decomposable score gains by the edge is a function of the move.
///
/// The fingerprint holds the names in order and the constraints: two models meet only if their nodes are the same
/// variables, and their graphs the same graphs.
#[derive(Debug, Clone)]
pub struct DagEnvironment {
    spec: EnvSpec,
    names: Vec<String>,
    constraints: Constraints,
    n_required: usize,
    /// What tells keys of a node's parents apart, by node.
    family_marks: Vec<u64>,
    /// What tells keys of moves apart, by action.
    edge_marks: Vec<u64>,
}

impl DagEnvironment {
    /// The environment of all DAGs over 1 to 64 variables with different names.
    pub fn new(names: Vec<String>) -> Result<Self> {
        Self::with_knowledge(names, &Knowledge::default())
    }

    /// The environment of the DAGs that agree with what is known.
    pub fn with_knowledge(names: Vec<String>, knowledge: &Knowledge) -> Result<Self> {
        let d = names.len();
        if !(1..=MAX_NODES).contains(&d) {
            return Err(Error::usage(
                "variables",
                format!("1 to {MAX_NODES}"),
                d.to_string(),
                "choose fewer variables",
            ));
        }
        if let Some(name) = names.iter().enumerate().find(|(i, name)| names[..*i].contains(name)) {
            return Err(Error::usage(
                "variables",
                "different names",
                format!("{:?} twice", name.1),
                "rename one of them",
            ));
        }
        let constraints = knowledge.resolve(&names)?;
        // By what the knowledge means: the order in which it was written down, or edges that tiers forbid anyway, make
        // no difference.
        let meaning = constraints.to_string();
        let mut parts = vec!["dags", meaning.as_str()];
        parts.extend(names.iter().map(String::as_str));
        let spec = EnvSpec {
            name: "dags".into(),
            fingerprint: fingerprint(&parts),
            rows: d,
            width: 3 * d,
            n_forward: d * d,
            n_backward: d * d,
            heads: Heads::Pairs,
            stop: StopRule::Always,
        };
        // Nodes fit into one byte; the second byte tells the two apart, 64 where it is not a node.
        let mark = |high: usize, low: usize| mix64((high << 8 | low) as u64);
        Ok(DagEnvironment {
            spec,
            n_required: constraints.initial().n_edges(),
            constraints,
            family_marks: (0..d).map(|to| mark(MAX_NODES, to)).collect(),
            edge_marks: (0..d * d).map(|action| mark(action / d, action % d)).collect(),
            names,
        })
    }

    /// Number of nodes, d.
    pub fn n_nodes(&self) -> usize {
        self.names.len()
    }

    /// The variables, in the order of the nodes.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// Which parent sets are allowed.
    pub fn constraints(&self) -> &Constraints {
        &self.constraints
    }

    /// log p_B of the removal of one edge of a graph with so many edges.
    fn log_removal(&self, n_edges: usize) -> f64 {
        -((n_edges - self.n_required) as f64).ln()
    }

    /// The edge (from, to) of an action, forward or backward.
    pub fn edge_of(&self, action: u32) -> (usize, usize) {
        let d = self.n_nodes();
        (action as usize / d, action as usize % d)
    }

    /// The action, forward or backward, that adds or removes `from` → `to`.
    pub fn action_of(&self, from: usize, to: usize) -> u32 {
        (from * self.n_nodes() + to) as u32
    }
}

impl Environment for DagEnvironment {
    type State = Dag;

    fn spec(&self) -> &EnvSpec {
        &self.spec
    }

    fn initial(&self) -> Dag {
        self.constraints.initial().clone()
    }

    fn forward_actions(&self, dag: &Dag, actions: &mut Vec<u32>) {
        let d = self.n_nodes();
        let mut children = [0u64; MAX_NODES];
        for to in 0..d {
            let parents = dag.parents(to);
            if (parents.count_ones() as usize) < self.constraints.max_parents() {
                members(self.constraints.allowed(to) & !parents).for_each(|from| children[from] |= 1 << to);
            }
        }
        for (from, allowed) in children[..d].iter().enumerate() {
            let closes_no_cycle = allowed & !dag.ancestors(from);
            actions.extend(members(closes_no_cycle).map(|to| self.action_of(from, to)));
        }
    }

    fn backward_actions(&self, dag: &Dag, actions: &mut Vec<u32>, weights: &mut Vec<f64>) {
        let d = self.n_nodes();
        let mut children = [0u64; MAX_NODES];
        for to in 0..d {
            let removable = dag.parents(to) & !self.constraints.required(to);
            members(removable).for_each(|from| children[from] |= 1 << to);
        }
        let before = actions.len();
        for (from, own) in children[..d].iter().enumerate() {
            actions.extend(members(*own).map(|to| self.action_of(from, to)));
        }
        weights.extend(std::iter::repeat_n(1.0, actions.len() - before));
    }

    fn step(&self, dag: &Dag, action: u32) -> (Dag, u32) {
        let (from, to) = self.edge_of(action);
        let mut next = dag.clone();
        next.add_edge(from, to).expect("a legal forward action");
        (next, action)
    }

    fn undo(&self, dag: &Dag, action: u32) -> (Dag, u32) {
        let (from, to) = self.edge_of(action);
        let mut previous = dag.clone();
        previous.remove_edge(from, to).expect("a legal backward action");
        (previous, action)
    }

    fn encode(&self, dag: &Dag, features: &mut Vec<u32>) {
        let d = self.n_nodes();
        for node in 0..d {
            let first = node * self.spec.width;
            features.extend(members(dag.parents(node)).map(|u| (first + u) as u32));
            features.extend(members(dag.ancestors(node)).map(|u| (first + d + u) as u32));
            features.push((first + 2 * d + node) as u32);
        }
    }

    /// Known without taking the step: one of the edges that are not required is removed.
    fn log_backward_after(&self, dag: &Dag, _action: u32) -> f64 {
        self.log_removal(dag.n_edges() + 1)
    }

    fn log_backward_after_each(&self, dag: &Dag, actions: &[u32], log_backward: &mut Vec<f64>) {
        log_backward.extend(std::iter::repeat_n(self.log_removal(dag.n_edges() + 1), actions.len()));
    }

    fn n_action_keys(&self) -> usize {
        2
    }

    fn action_keys(&self, dag: &Dag, action: u32, keys: &mut Vec<u64>) {
        let (from, to) = self.edge_of(action);
        let parents = dag.parents(to);
        let (family, edge) = (self.family_marks[to], self.edge_marks[action as usize]);
        keys.extend([mix64((parents | 1 << from) ^ family), mix64(parents ^ edge)]);
    }
}

/// A bijective 64-bit mixer (SplitMix64's finaliser, Steele et al. 2014). Part of the meaning of saved tables.
fn mix64(value: u64) -> u64 {
    let mut x = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}
