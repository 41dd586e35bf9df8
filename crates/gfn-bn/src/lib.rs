//! Bayesian-network structures for GFlowNets: tables, scores, directed acyclic graphs and their environment, exact
//! posteriors.
//!
//! * [`Dag`] is the state, a graph as bit rows with its transitive closure; [`DagEnvironment`] adds one edge at a time,
//!   among those that [`Knowledge`] allows.
//! * [`data`] reads tables; [`Statistics`] of them are what scores need, and add up over sites.
//! * [`Bge`], [`Dirichlet`] (BDeu, K2, Jeffreys), [`GaussianBic`] and [`DiscreteBic`] score a graph, one [`LocalScore`]
//!   per node and parent set.
//! * [`DagReward`] is the posterior of one site under a [`GraphPrior`], or the product of several.
//! * [`exact`] computes posteriors without sampling, up to twenty nodes; [`chain`] has structure Markov chains.
//! * [`equivalence`], [`features`] and [`render`] say what graphs mean; [`simulate`] makes tables.
//! * [`DagDomain`] is all of it for the `ep` command (docs/networks.md).
//!
//! The product of the sites' posteriors is the exact posterior of *one graph with separate parameters at every site*.
//! It is **not** the posterior of the pooled data, in which all sites share their parameters; that one follows from the
//! sum of their statistics ([`DagDomain::pooled_reward`]). See [`Combine`].
//!
//! # Example: three sites and their product
//!
//! Each site keeps its rows. It trains a policy on its own posterior over the 25 graphs with three nodes; policies
//! travel and are multiplied. Everything here can be enumerated, so the product is compared with the exact one.
//!
//! ```
//! use std::sync::Arc;
//!
//! use gfn_bn::{BgeSettings, DagEnvironment, DagReward, Table};
//! use gfn_core::exact::{StateGraph, normalise};
//! use gfn_core::losses::Balance;
//! use gfn_core::observer::{Control, StepReport};
//! use gfn_core::policy::{MlpSettings, PolicyKind, PolicySpec};
//! use gfn_core::reward::RewardTarget;
//! use gfn_core::rollout::{Share, Source};
//! use gfn_core::trainer::{Budget, TrainSettings, Trainer};
//! use gfn_core::{Environment, Result};
//!
//! fn main() -> Result<()> {
//!     let names: Vec<String> = ["rain", "sprinkler", "wet"].map(String::from).into();
//!     let env = Arc::new(DagEnvironment::new(names.clone())?);
//!     let graph = StateGraph::enumerate(env.as_ref(), 100)?;
//!     assert_eq!(graph.objects().len(), 25);
//!
//!     // Six rows at each of three sites: `wet` follows from the other two, which are independent.
//!     let rain = [
//!         [0.9, -1.2, 0.3, 1.4, -0.8, -0.5],
//!         [1.1, 0.2, -0.7, -1.3, 0.6, 0.4],
//!         [-0.2, 1.5, -1.0, 0.1, 0.8, -1.1],
//!     ];
//!     let sprinkler = [
//!         [-0.4, 0.7, 1.2, -0.1, -1.3, 0.2],
//!         [0.3, -1.1, 1.0, -0.6, 0.9, -0.2],
//!         [1.0, 0.1, 0.5, -1.4, -0.3, -0.6],
//!     ];
//!     let noise = [0.1, -0.2, 0.0, 0.2, -0.1, 0.1];
//!
//!     let mut rewards = Vec::new();
//!     let mut policies = Vec::new();
//!     for (seed, (rain, sprinkler)) in (0..).zip(rain.iter().zip(&sprinkler)) {
//!         let wet = (0..6).map(|row| rain[row] + sprinkler[row] + noise[row]).collect();
//!         let table = Table::new(names.clone(), vec![rain.to_vec(), sprinkler.to_vec(), wet])?;
//!         let reward = DagReward::bge(&env, &table, &BgeSettings::default())?;
//!         rewards.push(reward.clone());
//!
//!         // Every graph is an object, so the modified detailed balance of Deleu et al. applies.
//!         let kind = MlpSettings {
//!             hidden: vec![32],
//!             table_bits: Some(10),
//!             backward_start: true,
//!             ..MlpSettings::default()
//!         };
//!         let policy = PolicySpec {
//!             env: env.spec().clone(),
//!             kind: PolicyKind::Mlp(kind),
//!             learned_backward: false,
//!             flow: false,
//!         };
//!         // Half of the walks are uniform: what is unlikely at one site may be likely in the product.
//!         let settings = TrainSettings {
//!             loss: Balance::ModifiedDetailed,
//!             budget: Budget::Steps(500),
//!             behaviour: vec![
//!                 Share { share: 0.5, source: Source::on_policy(0.1) },
//!                 Share { share: 0.5, source: Source::UniformPolicy },
//!             ],
//!             ..TrainSettings::default()
//!         };
//!         let target = Arc::new(RewardTarget { reward });
//!         let mut trainer = Trainer::new(Arc::clone(&env), target, policy.build(seed)?, settings)?;
//!         trainer.run(&mut |_: &StepReport| Control::Continue)?;
//!         policies.push(graph.edge_policy(env.as_ref(), trainer.finish().policy.as_policy()));
//!     }
//!
//!     // The server sees policies only.
//!     let clients: Vec<_> = policies.iter().map(|policy| (policy, 1.0)).collect();
//!     let aggregate = graph.aggregate(&clients, &[0.0; 25]);
//!
//!     let product = DagReward::product(&env, &rewards)?;
//!     let (_, exact) = normalise(&graph.log_rewards(env.as_ref(), &product));
//!     let l1: f64 = exact.iter().zip(&aggregate).map(|(p, q)| (p - q).abs()).sum();
//!     assert!(l1 < 0.05, "L1 distance {l1}, from 0 (equal) to 2");
//!
//!     // The most probable graph is rain → wet ← sprinkler, the only one of its equivalence class.
//!     let best = graph.objects().zip(&aggregate).max_by(|a, b| a.1.total_cmp(b.1)).unwrap().0;
//!     assert_eq!(best.to_string(), "001001000");
//!     Ok(())
//! }
//! ```

pub mod chain;
mod dag;
pub mod data;
mod domain;
mod environment;
pub mod equivalence;
pub mod exact;
pub mod features;
mod knowledge;
mod prior;
mod recipe;
pub mod render;
mod reward;
mod score;
pub mod simulate;

pub use dag::{Dag, MAX_NODES, members};
pub use data::{DiscreteTable, Table};
pub use domain::{Combine, DagDomain, NetworkSettings, Site};
pub use environment::DagEnvironment;
pub use gfn_core as core;
pub use knowledge::{Constraints, Knowledge};
pub use prior::{DagPrior, EdgeProbability, GraphPrior};
pub use reward::DagReward;
pub use score::{
    Bge, BgeSettings, Dirichlet, DirichletPrior, DiscreteBic, GaussianBic, GaussianStatistics, LocalScore,
    PriorMean, RowCounts, ScoreSettings, Statistics, spread, squeeze,
};
