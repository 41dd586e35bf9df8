//! Phylogenetic trees for GFlowNets: alignments, Felsenstein likelihoods, topologies.

mod alignment_matrix;
mod branch;
mod characters;
pub mod environment;
pub mod likelihood;
mod model;
mod newick;
mod patterns;
mod recipe;
mod reward;

pub use gfn_core as core;

pub use alignment_matrix::Alignment;
pub use branch::{BranchLengths, BranchPrior};
pub use characters::{ALL_STATES, STATE_LETTERS, normal_character, state_set};
pub use environment::{Forest, MergeForest};
pub use likelihood::{Likelihood, Partial, Process, Transition};
pub use model::{
    CategoryRates, DiscreteGamma, EmpiricalWord, Frequencies, ModelSettings, RateMatrix, SubstitutionModel,
};
pub use newick::{NewickNode, NewickTree};
pub use patterns::SitePatterns;
pub use recipe::recipe;
pub use reward::{TreePrior, TreeReward};
