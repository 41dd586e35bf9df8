//! What runs over designs share (multisets, sequences, grids): a SPEC names the clients' files, all clients' log-rewards
//! of every design are known, and weights move along the front.

pub mod found;
pub mod output;
pub mod report;
pub mod run;
pub mod spec;

use std::path::{Path, PathBuf};

use gfn_core::domain::Domain;
use gfn_core::{Environment, Result};

use crate::design::found::Found;

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

    /// Writes the files that only this domain has; returns lines for the terminal, each with its end.
    fn write_more(&self, _out: &Path, _found: &Found<ObjectOf<Self>>) -> Result<String> {
        Ok(String::new())
    }
}
