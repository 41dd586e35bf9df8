//! Multisets for GFlowNets: values of items and pairs, and the tutorial for a domain of one's own.
//!
//! A domain needs three things: a **state** type, an **environment** that says how states are built step by step,
//! and a **reward**. Here they are, each in the smallest form that is still real; copy this crate to start your own.
//!
//! 1. [`Multiset`] is the state: plain counts. A state must be *canonical* (equal exactly if it is the same point of
//!    the graph), so a list of items in order of arrival would be wrong: it makes several states of one multiset.
//! 2. [`Multisets`] implements [`gfn_core::Environment`]: seven short functions about one state at a time. The core
//!    does everything else: batches, sampling, networks, losses, enumeration. Two more functions are optional:
//!    `log_backward_after`, because p_B is known here without taking the step, and `sample_object`.
//! 3. [`AdditiveReward`] implements [`gfn_core::reward::LogReward`]: one function, log R(x) in natural log.
//!    [`MultisetReward`] adds values of pairs of items.
//!
//! For runs, plans and the command line a domain says a little more: [`MultisetDomain`] implements
//! [`gfn_core::domain::Domain`], which is names of objects, the reader of a client's file ([`data`]) and a recipe.
//!
//! Then let `gfn_core::testing::check_environment` walk through a small instance, compare with
//! [`gfn_core::exact::StateGraph`], and train.
//!
//! # Example: three clients and their product
//!
//! Three clients each hold values that they do not share. Each trains a policy on its own reward; the server sees the
//! policies only, and trains another on their product.
//!
//! ```
//! use std::sync::Arc;
//!
//! use gfn_core::aggregate::{ClientEnsemble, ClientLogits};
//! use gfn_core::exact::{StateGraph, normalise};
//! use gfn_core::observer::{Control, StepReport};
//! use gfn_core::policy::{MlpSettings, Policy, PolicyKind, PolicySpec, Residual, TrainablePolicy};
//! use gfn_core::reward::{RewardTarget, Target};
//! use gfn_core::trainer::{Budget, TrainSettings, Trainer};
//! use gfn_core::{Environment, Result};
//! use gfn_multiset::{AdditiveReward, Multisets};
//!
//! /// One training, of a client or of the server: they differ in the target only.
//! fn train(
//!     env: &Arc<Multisets>,
//!     target: Arc<dyn Target<Multisets>>,
//!     policy: Box<dyn TrainablePolicy>,
//! ) -> Result<Arc<dyn Policy>> {
//!     let settings =
//!         TrainSettings { budget: Budget::Steps(300), batch_size: 32, ..TrainSettings::default() };
//!     let mut trainer = Trainer::new(Arc::clone(env), target, policy, settings)?;
//!     trainer.run(&mut |_: &StepReport| Control::Continue)?;
//!     let policy: Box<dyn Policy> = trainer.finish().policy;
//!     Ok(Arc::from(policy))
//! }
//!
//! fn main() -> Result<()> {
//!     // Multisets of 4 items out of 4 kinds: 35 objects.
//!     let env = Arc::new(Multisets::new(4, 4)?);
//!     let policy = |output_scale, seed| {
//!         let kind =
//!             MlpSettings { hidden: vec![32], linear_path: true, output_scale, ..MlpSettings::default() };
//!         PolicySpec {
//!             env: env.spec().clone(),
//!             kind: PolicyKind::Mlp(kind),
//!             learned_backward: false,
//!             flow: false,
//!         }
//!         .build(seed)
//!     };
//!
//!     // The clients, each with its own values: log R_n(x) is the sum of the values of the items of x.
//!     let values = [[0.9, 0.1, 0.4, 0.2], [0.2, 0.8, 0.1, 0.3], [0.5, 0.7, 0.0, 0.6]];
//!     let mut rewards = Vec::new();
//!     let mut clients = Vec::new();
//!     for (seed, values) in (0..).zip(values) {
//!         let reward = AdditiveReward::new(&env, values.to_vec())?;
//!         rewards.push(reward.clone());
//!         clients.push((train(&env, Arc::new(RewardTarget { reward }), policy(0.1, seed)?)?, 1.0));
//!     }
//!
//!     // The server starts from the clients' logits and learns what is missing. It has no data.
//!     let logits = Arc::new(ClientLogits::new(clients)?);
//!     let start = Residual::new(policy(0.0, 3)?, Arc::clone(&logits) as _);
//!     let ensemble = ClientEnsemble::new(logits, None);
//!     let server = train(&env, Arc::new(ensemble), Box::new(start))?;
//!
//!     // So small a problem can be enumerated: compare with the exact product.
//!     let graph = StateGraph::enumerate(env.as_ref(), 10_000)?;
//!     let product = AdditiveReward::product(&env, &rewards)?;
//!     let (log_z, exact) = normalise(&graph.log_rewards(&env, &product));
//!     let learned = graph.policy_distribution(&env, server.as_ref());
//!     let l1: f64 = exact.iter().zip(&learned).map(|(p, q)| (p - q).abs()).sum();
//!     assert!(l1 < 0.05, "L1 distance {l1}, from 0 (equal) to 2");
//!     assert!((log_z - product.log_partition(4)).abs() < 1e-12);
//!     Ok(())
//! }
//! ```

pub mod data;
mod domain;
mod environment;
mod interactions;
mod recipe;
mod reward;

pub use domain::{MultisetDomain, MultisetSettings};
pub use environment::{Item, MAX_FEATURES, Multiset, Multisets};
pub use gfn_core as core;
pub use interactions::MultisetReward;
pub use reward::AdditiveReward;
