//! What runs over designs share (multisets, sequences, grids): a SPEC names the clients' files, all clients' log-rewards
//! of every design are known, and weights move along the front.

pub mod found;
pub mod output;
pub mod report;
pub mod run;
pub mod spec;

use std::path::{Path, PathBuf};

use gfn_core::domain::Domain;
use gfn_core::exact::StateGraph;
use gfn_core::policy::Policy;
use gfn_core::{Environment, Error, Result};
use serde_json::{Map, Value};

use crate::design::found::{Found, Preferences};
use crate::exact::MAX_STATES;

/// The objects of a domain.
pub type ObjectOf<D> = <<D as Domain>::Env as Environment>::State;

/// What the commands over designs ask of a domain besides [`Domain`]: what to count in objects, and what else to write.
pub trait Design: Domain {
    /// What is designed, such as `6 items out of 8 kinds`.
    fn description(&self) -> String;

    /// The columns that name a feature in `marginals.csv`, such as `item`.
    fn feature_columns(&self) -> &'static [&'static str];

    /// All features, each by one text per column; their expectations are estimated.
    fn features(&self) -> Vec<Vec<String>>;

    /// Visits the features that an object has, with their values; all others are 0.
    fn visit_features(&self, object: &ObjectOf<Self>, visit: &mut dyn FnMut(usize, f64));

    /// log Z of the product of the clients with these weights (natural log), where a closed form is known; the clients are
    /// given by their files.
    fn log_partition(&self, _files: &[PathBuf], _weights: &[f64]) -> Result<Option<f64>> {
        Ok(None)
    }

    /// Whether the terminal and the report list the features with the largest expectations.
    fn lists_features(&self) -> bool {
        true
    }

    /// Refuses `--exact` where there is nothing to compare with; says whether all objects are to be enumerated, or
    /// [`Design::write_more`] compares with a reference of its own.
    fn check_exact(&self, _files: &[PathBuf], _weights: &[f64]) -> Result<Exact> {
        // Too many states are found out now, not after training.
        StateGraph::enumerate(self.environment().as_ref(), MAX_STATES)
            .map(|_| Exact::Enumerated)
            .map_err(|error| Error::usage("--exact", error.expected(), error.found(), error.advice()))
    }

    /// Writes the files that only this domain has.
    fn write_more(&self, _results: &Results<Self>) -> Result<More>
    where
        Self: Sized,
    {
        Ok(More::default())
    }
}

/// How `--exact` is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exact {
    /// All objects are enumerated.
    Enumerated,
    /// The domain has another reference.
    ByDomain,
}

/// What there is when a domain writes files of its own.
pub struct Results<'a, D: Design> {
    /// Where to.
    pub out: &'a Path,
    /// Seed of the run.
    pub seed: u64,
    /// What the samples say.
    pub found: &'a Found<ObjectOf<D>>,
    /// The aggregate.
    pub policy: &'a dyn Policy,
    /// The clients' rewards and weights; none where their data are not at hand.
    pub preferences: Option<&'a Preferences<D::Env>>,
    /// The clients' files, none likewise.
    pub files: &'a [PathBuf],
}

/// What only a domain has to say.
#[derive(Debug, Clone, Default)]
pub struct More {
    /// Lines for the terminal, each with its end.
    pub lines: String,
    /// Entries of `report.json`.
    pub report: Map<String, Value>,
    /// Standard deviation of log R − log p over objects that were found without the policy, where there are such.
    pub independent_deviation: Option<f64>,
}
