//! What can be typed, and what it means.

mod phylo;
mod stages;

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use gfn_core::{Error, ErrorKind, Result};

/// Embarrassingly parallel Bayesian inference over discrete structures with GFlowNets.
///
/// Data sit in parts. Each part (client) trains a GFlowNet on its own posterior and sends one file; the server trains a
/// global GFlowNet that samples from the product of the clients' posteriors, without seeing data (da Silva et al.,
/// Embarrassingly Parallel GFlowNets, ICML 2024).
///
/// Exit codes: 0 done, 2 usage, 3 invalid input, 75 try again (interrupted, disk full).
#[derive(Debug, Parser)]
#[command(name = "ep", version, propagate_version = true)]
pub struct Command {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Phylogenetic trees from an alignment
    #[command(subcommand)]
    Phylo(phylo::Action),
    /// Write a plan: everything the parties share, without data; and deal the data to clients
    #[command(subcommand)]
    Plan(stages::PlanAction),
    /// Train one client, in a run folder or at its own site
    Train(stages::TrainArguments),
    /// Train the server on the clients' files
    Aggregate(stages::AggregateArguments),
    /// Draw samples from the aggregate
    Sample(stages::SampleArguments),
    /// Say which stages of a run folder are complete
    Status(stages::StatusArguments),
    /// Say what a client's or server's file holds, and what it reveals
    Inspect(stages::InspectArguments),
}

/// Does what was typed.
pub fn run(command: Command) -> Result<ExitCode> {
    match command.action {
        Action::Phylo(action) => phylo::run(action)?,
        Action::Plan(action) => stages::plan(action)?,
        Action::Train(arguments) => stages::train(&arguments)?,
        Action::Aggregate(arguments) => stages::aggregate(&arguments)?,
        Action::Sample(arguments) => stages::sample(&arguments)?,
        Action::Status(arguments) => stages::status(&arguments)?,
        Action::Inspect(arguments) => stages::inspect(&arguments)?,
    }
    Ok(ExitCode::SUCCESS)
}

/// The exit code of an error: 2 usage, 3 invalid input, 75 try again.
pub fn exit_code(error: &Error) -> ExitCode {
    ExitCode::from(match error.kind() {
        ErrorKind::Usage => 2,
        ErrorKind::Input => 3,
        _ => 75,
    })
}

/// Writes to standard output; a closed pipe (`ep … | head`) is no error worth a word.
fn print(text: &str) {
    use std::io::Write as _;
    let _ = std::io::stdout().lock().write_all(text.as_bytes());
}
