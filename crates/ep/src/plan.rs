//! The plan: everything the parties of a run share, in one TOML file without data.

use std::path::Path;

use gfn_core::environment::fingerprint;
use gfn_core::tensor_file::write_atomically;
use gfn_core::{Error, Place, Result};
use serde::{Deserialize, Serialize};

use gfn_bn::NetworkSettings;
use gfn_multiset::{MultisetDomain, MultisetSettings};
use gfn_seq::{SequenceDomain, SequenceSettings};

use crate::bn::output::RESULT_FILES as NETWORK_RESULTS;
use crate::bn::plan as bn;
use crate::budget::RunBudget;
use crate::design::output::RESULT_FILES as DESIGN_RESULTS;
use crate::files::read_text;
use crate::grid::{self, GridDomain, GridSettings};
use crate::multiset;
use crate::phylo::output::RESULT_FILES as TREE_RESULTS;
use crate::phylo::plan::PhyloPlan;
use crate::seq;

/// Version of the plan's format.
pub const PLAN_VERSION: u32 = 2;

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
    /// Names of the clients, in order.
    pub clients: Vec<String>,
    /// The model of a run over trees. A plan has the model of exactly one domain: [`Plan::model`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phylo: Option<PhyloPlan>,
    /// The model of a run over network structures.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bn: Option<NetworkSettings>,
    /// The model of a run over multisets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub multiset: Option<MultisetSettings>,
    /// The model of a run over sequences.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seq: Option<SequenceSettings>,
    /// The model of a run over a grid world.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grid: Option<GridSettings>,
}

/// The model in a plan, by domain.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Model<'a> {
    /// Trees.
    Phylo(&'a PhyloPlan),
    /// Network structures.
    Bn(&'a NetworkSettings),
    /// Multisets.
    Multiset(&'a MultisetSettings),
    /// Sequences.
    Seq(&'a SequenceSettings),
    /// Cells of a grid world.
    Grid(&'a GridSettings),
}

impl Model<'_> {
    /// The plan's section, which is the name of the domain.
    pub fn section(&self) -> &'static str {
        match self {
            Model::Phylo(_) => "phylo",
            Model::Bn(_) => "bn",
            Model::Multiset(_) => "multiset",
            Model::Seq(_) => "seq",
            Model::Grid(_) => "grid",
        }
    }

    /// Names of the files that only runs of this domain write.
    pub fn result_files(&self) -> &'static [&'static str] {
        match self {
            Model::Phylo(_) => &TREE_RESULTS,
            Model::Bn(_) => &NETWORK_RESULTS,
            Model::Multiset(_) => &DESIGN_RESULTS,
            Model::Seq(_) => &seq::RESULT_FILES,
            Model::Grid(_) => &grid::RESULT_FILES,
        }
    }

    fn check(&self) -> Result<()> {
        match self {
            Model::Phylo(plan) => plan.check(),
            Model::Bn(plan) => bn::check(plan),
            Model::Multiset(plan) => MultisetDomain::new((*plan).clone()).map(drop),
            Model::Seq(plan) => SequenceDomain::new(plan).map(drop),
            Model::Grid(plan) => GridDomain::new(plan).map(drop),
        }
    }

    /// What decides objects and target, in the order that the fingerprint takes it.
    fn fingerprint_parts(&self) -> Vec<String> {
        match self {
            Model::Phylo(plan) => plan.fingerprint_parts(),
            Model::Bn(plan) => bn::fingerprint_parts(plan),
            Model::Multiset(plan) => multiset::fingerprint_parts(plan),
            Model::Seq(plan) => seq::fingerprint_parts(plan),
            Model::Grid(plan) => grid::fingerprint_parts(plan),
        }
    }
}

/// The one field that plans of all versions have.
#[derive(Deserialize)]
struct Version {
    version: u32,
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
        // First, since the fields of another version are others.
        if let Ok(Version { version }) = toml::from_str(text)
            && version != PLAN_VERSION
        {
            return Err(Error::input(
                Place::item("version"),
                format!("plan version {PLAN_VERSION}"),
                version.to_string(),
                "make the plan again with `ep plan`",
            ));
        }
        let plan: Plan = toml::from_str(text).map_err(|e| {
            let line = e.span().map(|s| text[..s.start].matches('\n').count() + 1);
            let place = line.map_or_else(Place::default, |l| Place::default().line(l));
            Error::input(place, "a plan", e.message(), "correct the plan, or make it again with `ep plan`")
        })?;
        let names = &plan.clients;
        let twice = names.iter().enumerate().find(|(k, name)| names[..*k].contains(name));
        if names.is_empty() || twice.is_some() {
            return Err(Error::input(
                Place::item("clients"),
                "at least one client, each with a name of its own",
                twice.map_or_else(|| "none".to_string(), |(_, name)| format!("{name} twice")),
                "make the plan again with `ep plan`",
            ));
        }
        plan.model()?.check()?;
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

    /// The model, with its domain. Refuses plans with none, or with those of several domains.
    pub fn model(&self) -> Result<Model<'_>> {
        let sections = [
            self.phylo.as_ref().map(Model::Phylo),
            self.bn.as_ref().map(Model::Bn),
            self.multiset.as_ref().map(Model::Multiset),
            self.seq.as_ref().map(Model::Seq),
            self.grid.as_ref().map(Model::Grid),
        ];
        let present: Vec<Model> = sections.into_iter().flatten().collect();
        if let [model] = present[..] {
            return Ok(model);
        }
        let names: Vec<String> = present.iter().map(|model| format!("[{}]", model.section())).collect();
        Err(Error::input(
            Place::item("model"),
            "exactly one section with a model, such as [phylo] or [bn]",
            if names.is_empty() { "none".to_string() } else { names.join(" and ") },
            "make the plan again with `ep plan`",
        ))
    }

    /// The model of a plan for trees.
    pub fn trees(&self) -> Result<&PhyloPlan> {
        match self.model()? {
            Model::Phylo(plan) => Ok(plan),
            other => Err(other_domain("trees", "phylo", other)),
        }
    }

    /// The model of a plan for network structures.
    pub fn networks(&self) -> Result<&NetworkSettings> {
        match self.model()? {
            Model::Bn(plan) => Ok(plan),
            other => Err(other_domain("network structures", "bn", other)),
        }
    }

    /// The model of a plan for multisets.
    pub fn multisets(&self) -> Result<&MultisetSettings> {
        match self.model()? {
            Model::Multiset(plan) => Ok(plan),
            other => Err(other_domain("multisets", "multiset", other)),
        }
    }

    /// The model of a plan for sequences.
    pub fn sequences(&self) -> Result<&SequenceSettings> {
        match self.model()? {
            Model::Seq(plan) => Ok(plan),
            other => Err(other_domain("sequences", "seq", other)),
        }
    }

    /// The model of a plan for a grid world.
    pub fn grid_world(&self) -> Result<&GridSettings> {
        match self.model()? {
            Model::Grid(plan) => Ok(plan),
            other => Err(other_domain("a grid world", "grid", other)),
        }
    }

    /// Hash of what decides objects and target.
    pub fn fingerprint(&self) -> Result<String> {
        let parts = self.model()?.fingerprint_parts();
        Ok(fingerprint(&parts.iter().map(String::as_str).collect::<Vec<_>>()))
    }
}

/// The plan is one for other objects than those wanted, whose section is `section`.
fn other_domain(wanted: &str, section: &str, found: Model) -> Error {
    Error::input(
        Place::item("model"),
        format!("a plan for {wanted}, with a section [{section}]"),
        format!("one with a section [{}]", found.section()),
        "use the plan with its own commands",
    )
}
