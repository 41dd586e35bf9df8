//! Phylogenetic trees for GFlowNets: alignments, Felsenstein likelihoods, topologies.

mod alignment_matrix;
mod characters;

pub use alignment_matrix::Alignment;
pub use characters::{ALL_STATES, STATE_LETTERS, normal_character, state_set};
