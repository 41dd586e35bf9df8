//! `ep grid`: run.

use clap::Subcommand;
use gfn_core::Result;

use super::design::{DesignRunArguments, run_design};
use crate::grid::GridSpec;

/// `ep grid …`
#[derive(Debug, Subcommand)]
pub enum Action {
    /// Cells of a grid world that several clients value: train each client, aggregate, sample, report
    Run(Box<DesignRunArguments>),
}

/// Does it.
pub fn run(action: Action) -> Result<()> {
    match action {
        Action::Run(arguments) => run_design::<GridSpec>(&arguments),
    }
}
