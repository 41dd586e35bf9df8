//! What can be typed, and what it means.

mod aggregate;
mod bn;
mod design;
mod experiment;
mod grid;
mod look;
mod multiset;
mod options;
mod phylo;
mod plan;
mod sample;
mod seq;
mod statistics;
mod train;

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
    /// Structures of Bayesian networks from tables
    #[command(subcommand)]
    Bn(bn::Action),
    /// Multisets that several clients value: S items of W kinds
    #[command(subcommand)]
    Multiset(multiset::Action),
    /// Sequences that several clients value: DNA, proteins, or letters of your own
    #[command(subcommand)]
    Seq(seq::Action),
    /// Cells of a grid world that several clients value: beacons and hypergrids
    #[command(subcommand)]
    Grid(grid::Action),
    /// Write a plan: everything the parties share, without data; and deal the data to clients
    #[command(subcommand)]
    Plan(plan::PlanAction),
    /// Train one client, in a run folder or at its own site
    Train(train::TrainArguments),
    /// Train the server on the clients' files
    Aggregate(aggregate::AggregateArguments),
    /// Draw samples from the aggregate
    Sample(sample::SampleArguments),
    /// Say which stages of a run folder are complete
    Status(look::StatusArguments),
    /// Say what a client's or server's file holds, and what it reveals
    Inspect(look::InspectArguments),
    /// Do an experiment of the paper, or one of its open questions, and write its results, pictures and page
    Experiment(experiment::ExperimentArguments),
}

/// Does what was typed.
pub fn run(command: Command) -> Result<ExitCode> {
    match command.action {
        Action::Phylo(action) => phylo::run(action)?,
        Action::Bn(action) => bn::run(action)?,
        Action::Multiset(action) => multiset::run(action)?,
        Action::Seq(action) => seq::run(action)?,
        Action::Grid(action) => grid::run(action)?,
        Action::Plan(action) => plan::plan(action)?,
        Action::Train(arguments) => train::train(&arguments)?,
        Action::Aggregate(arguments) => aggregate::aggregate(&arguments)?,
        Action::Sample(arguments) => sample::sample(&arguments)?,
        Action::Status(arguments) => look::status(&arguments)?,
        Action::Inspect(arguments) => look::inspect(&arguments)?,
        Action::Experiment(arguments) => experiment::experiment(&arguments)?,
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
fn print(text: &str) -> Result<()> {
    use std::io::Write as _;
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(e) if e.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(Error::io("standard output", "write to", &e))
        }
        _ => Ok(()),
    }
}

/// A number with 15 significant digits; `-inf` where it is.
fn significant(value: f64) -> String {
    if value == 0.0 || !value.is_finite() {
        // Plain zero, not minus zero.
        return if value == 0.0 { "0.00000000000000".into() } else { value.to_string() };
    }
    let digits = 14 - (value.abs().log10().floor() as i32);
    format!("{value:.*}", digits.clamp(0, 40) as usize)
}

#[cfg(test)]
mod tests {
    use super::significant;

    #[test]
    fn numbers_have_fifteen_significant_digits() {
        assert_eq!(significant(-1.68106186594243), "-1.68106186594243");
        assert_eq!(significant(-6745.633123456789), "-6745.63312345679");
        assert_eq!(significant(f64::NEG_INFINITY), "-inf");
        assert_eq!(significant(-0.0), "0.00000000000000");
        assert_eq!(significant(-0.001234567890123456), "-0.00123456789012346");
    }
}
