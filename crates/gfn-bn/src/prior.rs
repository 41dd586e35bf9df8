//! Priors over graphs: uniform, fair by number of parents, edge by edge.

use gfn_core::reward::LogReward;
use gfn_core::{Error, Place, Result};
use rustc_hash::FxHashSet;
use serde::{Deserialize, Serialize};
use statrs::function::gamma::ln_gamma;

use crate::dag::{Dag, members};
use crate::environment::DagEnvironment;

/// A prior over graphs that is a product over the nodes and their parent sets, up to its constant: p(G) ∝ Π_v f(v, pa_v).
///
/// All are restricted to the acyclic graphs that agree with what is known. Uniform over graphs is not uniform over
/// Markov equivalence classes: a class counts as often as it has graphs.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "kind", from = "Stored")]
pub enum GraphPrior {
    /// f = 1.
    #[default]
    Uniform,
    /// f = 1 / C(d − 1, number of parents): every number of parents is as probable as any other, where acyclicity does
    /// not interfere (Eggeling et al. 2019).
    Fair,
    /// f = Π_{u in pa} q / (1 − q): every edge is there with probability q on its own, where acyclicity does not
    /// interfere.
    Edges {
        /// q of all edges but those below, in (0, 1).
        probability: f64,
        /// Edges with a probability of their own.
        #[serde(skip_serializing_if = "Vec::is_empty")]
        edges: Vec<EdgeProbability>,
    },
}

/// [`GraphPrior`] as read. Variants without fields would pass over those of others: these have braces.
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", tag = "kind", deny_unknown_fields)]
enum Stored {
    Uniform {},
    Fair {},
    Edges {
        probability: f64,
        #[serde(default)]
        edges: Vec<EdgeProbability>,
    },
}

impl From<Stored> for GraphPrior {
    fn from(stored: Stored) -> Self {
        match stored {
            Stored::Uniform {} => GraphPrior::Uniform,
            Stored::Fair {} => GraphPrior::Fair,
            Stored::Edges { probability, edges } => GraphPrior::Edges { probability, edges },
        }
    }
}

/// The prior probability of one edge.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EdgeProbability {
    /// Where it starts.
    pub from: String,
    /// Where it ends.
    pub to: String,
    /// In (0, 1).
    pub probability: f64,
}

/// log p(G) up to a constant, as a sum over nodes and their parent sets (natural log).
#[derive(Debug, Clone)]
pub struct DagPrior {
    by_count: Vec<f64>,
    /// log odds of edge u → v at `v · d + u`; empty where all are 0.
    log_odds: Vec<f64>,
}

impl DagPrior {
    /// The prior on graphs over these variables. Refuses probabilities that are not between 0 and 1; edges between
    /// names that are no variables, loops, and an edge that is named twice.
    pub fn new(prior: &GraphPrior, names: &[String]) -> Result<Self> {
        let d = names.len();
        let mut by_count = vec![0.0; d];
        let mut log_odds = Vec::new();
        match prior {
            GraphPrior::Uniform => {}
            GraphPrior::Fair => {
                let log_factorial = |n: usize| ln_gamma(n as f64 + 1.0);
                for (parents, term) in by_count.iter_mut().enumerate() {
                    *term = log_factorial(parents) + log_factorial(d - 1 - parents) - log_factorial(d - 1);
                }
            }
            GraphPrior::Edges { probability, edges } => {
                let log_odds_of = |place: String, q: f64| {
                    if q > 0.0 && q < 1.0 {
                        return Ok(q.ln() - (-q).ln_1p());
                    }
                    Err(Error::input(
                        Place::item(place),
                        "a probability between 0 and 1, neither of them",
                        q.to_string(),
                        "require or forbid an edge that is certain (knowledge)",
                    ))
                };
                log_odds = vec![log_odds_of("prior, probability".into(), *probability)?; d * d];
                let mut seen = FxHashSet::default();
                for edge in edges {
                    let place = format!("prior of edge {} → {}", edge.from, edge.to);
                    let node = |name: &String| {
                        names.iter().position(|own| own == name).ok_or_else(|| {
                            Error::input(
                                Place::item(place.clone()),
                                format!("variables among {}", names.join(", ")),
                                format!("{name:?}"),
                                "correct the name",
                            )
                        })
                    };
                    let (from, to) = (node(&edge.from)?, node(&edge.to)?);
                    if from == to || !seen.insert((from, to)) {
                        let found = if from == to { "a loop" } else { "the same edge twice" };
                        let expected = "each edge between two variables once";
                        return Err(Error::input(Place::item(place), expected, found, "remove it"));
                    }
                    log_odds[to * d + from] = log_odds_of(place.clone(), edge.probability)?;
                }
            }
        }
        Ok(DagPrior { by_count, log_odds })
    }

    /// log f(node, parents).
    pub fn local(&self, node: usize, parents: u64) -> f64 {
        let d = self.by_count.len();
        let mut sum = self.by_count[parents.count_ones() as usize];
        if !self.log_odds.is_empty() {
            sum += members(parents).map(|from| self.log_odds[node * d + from]).sum::<f64>();
        }
        sum
    }
}

impl LogReward<DagEnvironment> for DagPrior {
    fn log_reward(&self, _env: &DagEnvironment, dag: &Dag) -> f64 {
        dag.parent_sets().iter().enumerate().map(|(node, &parents)| self.local(node, parents)).sum()
    }
}
