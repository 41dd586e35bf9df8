//! Phylogenetic trees for GFlowNets: alignments, Felsenstein likelihoods, topologies.

mod alignment_matrix;
mod characters;
pub mod likelihood;
mod model;
mod newick;
mod patterns;

pub use alignment_matrix::Alignment;
pub use characters::{ALL_STATES, STATE_LETTERS, normal_character, state_set};
pub use likelihood::{Likelihood, Partial, Process, Transition};
pub use model::{
    CategoryRates, DiscreteGamma, EmpiricalWord, Frequencies, ModelSettings, RateMatrix, SubstitutionModel,
};
pub use newick::{NewickNode, NewickTree};
pub use patterns::SitePatterns;
