//! Sequences for GFlowNets: tokens of an alphabet, appended one by one, with rewards that can be read letter by letter.
//!
//! * [`Sequence`] is the state: its tokens in order.
//! * [`Sequences`] is the environment, of sequences up to a length or of exactly this length.
//! * [`Alphabet`] reads and writes sequences as text; DNA and protein are known by name.
//! * Rewards are [`Stepwise`]: [`PositionWeights`] Σ_i w(i, x_i) and its special case [`AdditiveReward`]
//!   Σ_i p(i) t(x_i), the paper's; [`KmerModel`], a Markov model; [`MotifBonus`]. [`Product`] is their weighted product,
//!   and [`exact::Transfer`] its exact log Z, samples and best sequence, however many sequences there are.
//! * [`SequenceDomain`] is all of it for the `ep` command; [`data::read_client_table`] reads a client's file.
//!
//! The state graph is a tree (there is one way to every sequence), so p_B = 1 and trajectories are objects.
//!
//! # Example: the exact product of two clients
//!
//! ```
//! use gfn_core::exact::{StateGraph, normalise};
//! use gfn_seq::{AdditiveReward, Alphabet, PositionWeights, Sequences};
//!
//! # fn main() -> gfn_core::Result<()> {
//! let dna = Alphabet::named("dna")?;
//! let env = Sequences::new(dna.len(), 3, false)?;
//! let clients = [
//!     AdditiveReward::new(&env, vec![1.0, 0.5, 0.2], vec![0.0, 1.0, 1.0, 0.0])?,
//!     AdditiveReward::new(&env, vec![0.0, 2.0, 0.0], vec![0.0, 0.0, 0.0, 3.0])?,
//! ];
//! let product = PositionWeights::product(&env, clients.iter().map(AdditiveReward::matrix))?;
//!
//! let graph = StateGraph::enumerate(&env, 1000)?;
//! let (log_z, probabilities) = normalise(&graph.log_rewards(&env, &product));
//! assert!((log_z - product.log_partition(&env)).abs() < 1e-12);
//!
//! // The second client asks for a T in the second place, the first one for C or G elsewhere.
//! let (best, _) = graph.objects().zip(&probabilities).max_by(|a, b| a.1.total_cmp(b.1)).unwrap();
//! assert!(["CTC", "CTG", "GTC", "GTG"].contains(&dna.write(best).as_str()));
//! # Ok(())
//! # }
//! ```
//!
//! Training and aggregation are those of `gfn_core`; the documentation of `gfn_multiset` walks through them.

mod alphabet;
pub mod data;
mod domain;
mod environment;
pub mod exact;
mod profile;
mod recipe;
mod reward;

pub use alphabet::{Alphabet, MAX_TOKENS};
pub use domain::{EMPTY_NAME, SequenceDomain, SequenceSettings};
pub use environment::{MAX_FEATURES, Sequence, Sequences};
pub use gfn_core as core;
pub use profile::Profile;
pub use reward::{
    AdditiveReward, Counting, KmerModel, MAX_KMERS, MAX_ONCE, Motif, MotifBonus, PositionWeights, Product,
    Stepwise,
};
