//! The model in a plan for trees.

use gfn_core::Result;
use gfn_phylo::{BranchLengths, SubstitutionModel, TreeDomain};
use serde::{Deserialize, Serialize};

/// A model of trees: taxa, substitutions, branch lengths.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PhyloPlan {
    /// Names of the taxa.
    pub taxa: Vec<String>,
    /// The taxon on which the merge forest is hung; it does not change the posterior.
    pub outgroup: String,
    /// Substitution model with all its parameters.
    pub model: SubstitutionModel,
    /// Branch lengths.
    pub branch_lengths: BranchLengths,
}

impl PhyloPlan {
    /// The domain with everything the plan fixes.
    pub fn domain(&self) -> Result<TreeDomain> {
        TreeDomain::new(self.taxa.clone(), &self.outgroup, self.model.clone(), self.branch_lengths.clone())
    }

    /// Refuses what no domain can be made of.
    pub fn check(&self) -> Result<()> {
        self.branch_lengths.check()?;
        self.domain().map(drop)
    }

    /// What decides objects and target: domain, outgroup, model, branch lengths, sorted taxa.
    pub fn fingerprint_parts(&self) -> Vec<String> {
        let branches = serde_json::to_string(&self.branch_lengths).expect("plain data");
        let mut parts = vec!["phylo".to_string(), self.outgroup.clone(), self.model.to_string(), branches];
        parts.extend(self.sorted_taxa());
        parts
    }

    /// The taxa in byte order, in which trees number them.
    pub fn sorted_taxa(&self) -> Vec<String> {
        let mut taxa = self.taxa.clone();
        taxa.sort();
        taxa
    }
}
