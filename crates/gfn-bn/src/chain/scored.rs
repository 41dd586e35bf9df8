//! A graph with its local scores: what the change of one edge gains, and the change.

use super::cache::ScoreCache;
use crate::dag::{Dag, members};
use crate::knowledge::Constraints;

/// A graph that the constraints allow, with its local scores.
pub(super) struct ScoredGraph<'a> {
    dag: Dag,
    local: Vec<f64>,
    cache: ScoreCache<'a>,
    constraints: &'a Constraints,
}

/// How an ordered pair (from, to) changes the graph: `from` → `to` goes if it is there, it replaces the opposite edge if
/// that is there, and else it comes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Change {
    Add,
    Delete,
    Reverse,
}

/// A change that keeps the graph acyclic and allowed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Proposal {
    pub from: usize,
    pub to: usize,
    pub change: Change,
    /// What the score of the graph gains (natural log); −∞ where the new graph is impossible.
    pub gain: f64,
    /// The new local scores of `from` and `to`.
    local: [f64; 2],
}

impl<'a> ScoredGraph<'a> {
    /// Panics if the constraints do not allow the graph, or its score is not finite.
    pub fn new(
        score: &'a (dyn Fn(usize, u64) -> f64 + Sync),
        constraints: &'a Constraints,
        dag: Dag,
    ) -> Self {
        assert_eq!(dag.n_nodes(), constraints.n_nodes(), "a graph over the nodes of the constraints");
        assert!(constraints.allow(&dag), "a start that is allowed: {dag}");
        let cache = ScoreCache::new(dag.n_nodes(), score);
        let mut graph = ScoredGraph { local: vec![0.0; dag.n_nodes()], dag, cache, constraints };
        graph.score_all();
        assert!(graph.log_score().is_finite(), "the score of the start, {}, is finite", graph.dag);
        graph
    }

    /// Takes another graph instead, which is allowed and of finite score.
    pub fn replace(&mut self, dag: &Dag) {
        self.dag = dag.clone();
        self.score_all();
    }

    fn score_all(&mut self) {
        for (node, local) in self.local.iter_mut().enumerate() {
            *local = self.cache.get(node, self.dag.parents(node));
        }
    }

    pub fn dag(&self) -> &Dag {
        &self.dag
    }

    /// The score of the graph (natural log), summed up anew: it depends on the graph only, not on how it came about.
    pub fn log_score(&self) -> f64 {
        self.local.iter().sum()
    }

    /// What the pair proposes, if that is acyclic and allowed.
    #[inline]
    pub fn propose(&mut self, from: usize, to: usize) -> Option<Proposal> {
        let (of_from, of_to) = (self.dag.parents(from), self.dag.parents(to));
        if of_to >> from & 1 == 1 {
            if self.constraints.required(to) >> from & 1 == 1 {
                return None;
            }
            let new = self.cache.get(to, of_to & !(1 << from));
            let gain = new - self.local[to];
            return Some(Proposal { from, to, change: Change::Delete, gain, local: [self.local[from], new] });
        }
        let allowed = self.constraints.allowed(to) >> from & 1 == 1
            && (of_to.count_ones() as usize) < self.constraints.max_parents();
        if !allowed {
            return None;
        }
        if of_from >> to & 1 == 1 {
            if self.constraints.required(from) >> to & 1 == 1 {
                return None;
            }
            // Without to → from, is there still a path from `to` to `from`? It goes through another parent of `from`.
            let rest = of_from & !(1 << to);
            if members(rest).any(|parent| self.dag.ancestors(parent) >> to & 1 == 1) {
                return None;
            }
            let local = [self.cache.get(from, rest), self.cache.get(to, of_to | 1 << from)];
            let gain = local[0] - self.local[from] + local[1] - self.local[to];
            return Some(Proposal { from, to, change: Change::Reverse, gain, local });
        }
        if self.dag.ancestors(from) >> to & 1 == 1 {
            return None;
        }
        let new = self.cache.get(to, of_to | 1 << from);
        let gain = new - self.local[to];
        Some(Proposal { from, to, change: Change::Add, gain, local: [self.local[from], new] })
    }

    /// Makes a change that was just proposed.
    pub fn apply(&mut self, proposal: &Proposal) {
        let Proposal { from, to, change, local, .. } = *proposal;
        let made = match change {
            Change::Add => self.dag.add_edge(from, to),
            Change::Delete => self.dag.remove_edge(from, to),
            Change::Reverse => self.dag.remove_edge(to, from).and_then(|()| self.dag.add_edge(from, to)),
        };
        made.expect("a change that keeps the graph acyclic");
        [self.local[from], self.local[to]] = local;
    }
}

/// All ordered pairs of different nodes.
pub(super) fn ordered_pairs(n_nodes: usize) -> Vec<(u8, u8)> {
    let pairs = (0..n_nodes * n_nodes).map(|k| ((k / n_nodes) as u8, (k % n_nodes) as u8));
    pairs.filter(|(from, to)| from != to).collect()
}
