//! The plan: everything the parties of a run share, in one TOML file without data.

use std::path::Path;

use gfn_core::environment::fingerprint;
use gfn_core::tensor_file::write_atomically;
use gfn_core::{Error, Place, Result};
use gfn_phylo::{BranchLengths, SubstitutionModel, TreeDomain};
use serde::{Deserialize, Serialize};

use crate::budget::RunBudget;
use crate::files::read_text;

/// Version of the plan's format.
pub const PLAN_VERSION: u32 = 1;

/// What all parties of a run share. The fingerprint covers what decides the objects and the target, so parties may
/// train for different times, but not on different models.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// Version of the format.
    pub version: u32,
    /// Seed of everything random.
    pub seed: u64,
    /// Training for the whole run.
    pub budget: RunBudget,
    /// Extra rounds in which clients go on with the server's samples.
    pub rounds: u32,
    /// The model of the domain.
    pub phylo: PhyloPlan,
}

/// A plan for trees.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PhyloPlan {
    /// Names of the taxa.
    pub taxa: Vec<String>,
    /// The taxon on which the merge forest is hung; it does not change the posterior.
    pub outgroup: String,
    /// Names of the clients, in order.
    pub clients: Vec<String>,
    /// Substitution model with all its parameters.
    pub model: SubstitutionModel,
    /// Branch lengths.
    pub branch_lengths: BranchLengths,
}

impl Plan {
    /// Reads and checks a plan.
    pub fn load(path: &Path) -> Result<Self> {
        let text = read_text(path)?;
        Self::parse(&text).map_err(|e| e.in_file(path))
    }

    /// The plan of a run folder, or a plan by itself.
    pub fn of(target: &Path) -> Result<Self> {
        if target.is_dir() { Self::load(&target.join("plan.toml")) } else { Self::load(target) }
    }

    /// Reads a plan from its text.
    pub fn parse(text: &str) -> Result<Self> {
        let plan: Plan = toml::from_str(text).map_err(|e| {
            let line = e.span().map(|s| text[..s.start].matches('\n').count() + 1);
            let place = line.map_or_else(Place::default, |l| Place::default().line(l));
            Error::input(place, "a plan", e.message(), "correct the plan, or make it again with `ep plan`")
        })?;
        if plan.version != PLAN_VERSION {
            return Err(Error::input(
                Place::item("version"),
                format!("plan version {PLAN_VERSION}"),
                plan.version.to_string(),
                "make the plan again with `ep plan`",
            ));
        }
        let names = &plan.phylo.clients;
        let twice = names.iter().enumerate().find(|(k, name)| names[..*k].contains(name));
        if names.is_empty() || twice.is_some() {
            return Err(Error::input(
                Place::item("clients"),
                "at least one client, each with a name of its own",
                twice.map_or_else(|| "none".to_string(), |(_, name)| format!("{name} twice")),
                "make the plan again with `ep plan`",
            ));
        }
        plan.phylo.branch_lengths.check()?;
        plan.domain()?;
        Ok(plan)
    }

    /// The plan as text.
    pub fn text(&self) -> String {
        let body = toml::to_string(self).expect("a plan is plain data");
        format!("# A plan of `ep`: what all parties share. It holds no data.\n{body}")
    }

    /// Writes the plan.
    pub fn save(&self, path: &Path) -> Result<()> {
        write_atomically(path, self.text().as_bytes())
    }

    /// The domain with everything the plan fixes.
    pub fn domain(&self) -> Result<TreeDomain> {
        let p = &self.phylo;
        TreeDomain::new(p.taxa.clone(), &p.outgroup, p.model.clone(), p.branch_lengths.clone())
    }

    /// Hash of what decides objects and target.
    pub fn fingerprint(&self) -> String {
        let mut taxa = self.phylo.taxa.clone();
        taxa.sort();
        let model = self.phylo.model.to_string();
        let branches = serde_json::to_string(&self.phylo.branch_lengths).expect("plain data");
        let mut parts = vec!["phylo", self.phylo.outgroup.as_str(), &model, &branches];
        parts.extend(taxa.iter().map(String::as_str));
        fingerprint(&parts)
    }
}
