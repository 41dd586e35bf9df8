//! Phylogenetic trees for GFlowNets: alignments, Felsenstein likelihoods, topologies.

mod alignment_matrix;
mod bipartitions;
mod branch;
mod characters;
pub mod environment;
pub mod likelihood;
mod model;
mod newick;
mod oracle;
mod patterns;
mod rearrange;
mod recipe;
mod reward;
mod simulate;
mod tree;

pub use gfn_core as core;

pub use alignment_matrix::Alignment;
pub use bipartitions::{Bipartition, majority_rule_consensus, split_frequencies};
pub use branch::{BranchLengths, BranchPrior};
pub use characters::{ALL_STATES, STATE_LETTERS, normal_character, state_set};
pub use environment::{Forest, MergeForest};
pub use likelihood::{Likelihood, Partial, Process, Transition};
pub use model::{
    CategoryRates, DiscreteGamma, EmpiricalWord, Frequencies, ModelSettings, RateMatrix, SubstitutionModel,
};
pub use newick::{NewickNode, NewickTree};
pub use oracle::{OracleReport, OracleSettings, SplitReport, VisitedTree, sample_topologies};
pub use patterns::SitePatterns;
pub use recipe::recipe;
pub use reward::{TreePrior, TreeReward};
pub use simulate::simulate_alignment;
pub use tree::{AllTopologies, Topology, all_topologies, log_number_of_topologies, number_of_topologies};
