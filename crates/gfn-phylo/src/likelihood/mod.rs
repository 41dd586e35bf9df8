//! Likelihoods of trees: rates, transition probabilities, Felsenstein's pruning.

mod gamma;
mod kernels;
mod partial;
mod pruning;
mod transition;
mod tree;

pub use gamma::category_rates;
pub use partial::Partial;
pub use pruning::Likelihood;
pub use transition::{Process, Transition};
