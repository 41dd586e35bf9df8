//! Phylogenetic trees for GFlowNets: alignments, Felsenstein likelihoods, topologies.

pub mod alignment;
mod alignment_matrix;
mod bipartitions;
mod branch;
mod characters;
mod domain;
pub mod environment;
pub mod likelihood;
mod model;
mod newick;
mod oracle;
pub mod partition;
mod patterns;
mod rearrange;
mod recipe;
mod reward;
mod simulate;
mod tree;

pub use gfn_core as core;

pub use alignment::{
    AlignmentFile, AlignmentSummary, CharacterSet, Format, check_for_trees, parse_alignment, read_alignment,
    write_fasta,
};
pub use alignment_matrix::Alignment;
pub use bipartitions::{Bipartition, majority_rule_consensus, split_frequencies};
pub use branch::{BranchLengths, BranchPrior};
pub use characters::{ALL_STATES, STATE_LETTERS, normal_character, state_set};
pub use domain::TreeDomain;
pub use environment::{Forest, MergeForest};
pub use likelihood::{Likelihood, Partial, Process, Transition};
pub use model::{
    CategoryRates, DiscreteGamma, EmpiricalWord, Frequencies, ModelSettings, RateMatrix, SubstitutionModel,
};
pub use newick::{NewickNode, NewickTree};
pub use oracle::{OracleReport, OracleSettings, SplitReport, VisitedTree, sample_topologies};
pub use partition::{Split, deal_sites};
pub use patterns::SitePatterns;
pub use recipe::{recipe, usual_rounds};
pub use reward::{TreePrior, TreeReward};
pub use simulate::simulate_alignment;
pub use tree::{AllTopologies, Topology, all_topologies, log_number_of_topologies, number_of_topologies};
