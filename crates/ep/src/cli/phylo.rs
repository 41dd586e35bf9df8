//! `ep phylo`: run, check, likelihood.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use gfn_core::{Error, Result};
use gfn_phylo::alignment::{AlignmentSummary, read_alignment, write_fasta};
use gfn_phylo::{BranchLengths, Likelihood, NewickTree, SitePatterns, SubstitutionModel};

use super::plan::{PlanOptions, make_plan};
use super::print;
use super::sample::check_samples;
use crate::files::{input_file, read_text};
use crate::phylo::options::ModelOptions;
use crate::phylo::run::RunSettings;

/// More threads than this are a slip of the keyboard, and some systems take minutes to find out.
const MAX_THREADS: usize = 1024;

/// `ep phylo …`
#[derive(Debug, Subcommand)]
pub enum Action {
    /// Posterior over trees: split the sites, train clients, aggregate, sample, report
    Run(Box<RunArguments>),
    /// Read an alignment and say what was read
    Check(CheckArguments),
    /// The log-likelihood of a tree (natural log), for checking against other programs
    Likelihood(Box<LikelihoodArguments>),
}

/// `ep phylo run`
#[derive(Debug, Args)]
pub struct RunArguments {
    #[command(flatten)]
    plan: PlanOptions,
    /// Folder for all results; the same command continues an interrupted run there
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Trees to draw from the aggregate
    #[arg(long, value_name = "N", default_value_t = 10_000, allow_negative_numbers = true)]
    samples: usize,
    /// Also enumerate all trees (up to 9 taxa) and compare
    #[arg(long)]
    exact: bool,
    /// Threads [default: all cores]
    #[arg(long, value_name = "T", allow_negative_numbers = true)]
    threads: Option<usize>,
    /// Say nothing but the summary
    #[arg(long, short)]
    quiet: bool,
}

/// `ep phylo check`
#[derive(Debug, Args)]
pub struct CheckArguments {
    /// Alignment: FASTA, PHYLIP or NEXUS
    alignment: PathBuf,
    /// Print the summary as JSON
    #[arg(long, conflicts_with = "fasta")]
    json: bool,
    /// Print the alignment as it was read, upper case, U as T
    #[arg(long)]
    fasta: bool,
}

/// `ep phylo likelihood`
#[derive(Debug, Args)]
pub struct LikelihoodArguments {
    /// Alignment: FASTA, PHYLIP or NEXUS
    alignment: PathBuf,
    /// A Newick tree with branch lengths, or a file that holds one
    tree: String,
    #[command(flatten)]
    model: ModelOptions,
}

/// Does it.
pub fn run(action: Action) -> Result<()> {
    match action {
        Action::Run(arguments) => run_all(&arguments),
        Action::Check(arguments) => check(&arguments),
        Action::Likelihood(arguments) => likelihood(&arguments),
    }
}

fn run_all(arguments: &RunArguments) -> Result<()> {
    let available = std::thread::available_parallelism().map_or(1, usize::from);
    let threads = arguments.threads.unwrap_or(available);
    if !(1..=MAX_THREADS).contains(&threads) {
        let expected = format!("1 to {MAX_THREADS}");
        return Err(Error::usage("--threads", expected, threads.to_string(), "correct the option"));
    }
    check_samples("--samples", arguments.samples)?;
    let (file, shards, plan) = make_plan(&arguments.plan, 1)?;
    if matches!(plan.phylo.branch_lengths, BranchLengths::Bins { .. }) && !arguments.quiet {
        eprintln!("Branch lengths (prior probability): {}", plan.phylo.branch_lengths);
    }
    let settings = RunSettings {
        out: arguments.out.clone(),
        threads,
        samples: arguments.samples,
        exact: arguments.exact,
        quiet: arguments.quiet,
    };
    let report = crate::phylo::run::run(&file, &shards, &plan, &settings)?;
    print(&report.summary(&arguments.out))
}

fn check(arguments: &CheckArguments) -> Result<()> {
    let file = read_alignment(input_file(&arguments.alignment)?)?;
    if arguments.fasta {
        return print(&write_fasta(&file.alignment));
    }
    let mut summary = AlignmentSummary::new(&file.alignment);
    summary.warnings.splice(0..0, file.warnings);
    if arguments.json {
        let text = serde_json::to_string_pretty(&summary).expect("a summary is plain data");
        print(&format!("{text}\n"))
    } else {
        print(&summary.to_string())
    }
}

fn likelihood(arguments: &LikelihoodArguments) -> Result<()> {
    let file = read_alignment(input_file(&arguments.alignment)?)?;
    let typed = arguments.tree.contains('(');
    // What is wrong with a tree is wrong in its file, if it came from one.
    let in_file = |e: Error| if typed { e } else { e.in_file(&arguments.tree) };
    let text = if typed { arguments.tree.clone() } else { read_text(Path::new(&arguments.tree))? };
    let newick = NewickTree::parse(text.trim()).map_err(in_file)?;
    let model = arguments.model.model(&file.alignment)?.unwrap_or_else(SubstitutionModel::jc69);
    let likelihood = Likelihood::new(&model, &SitePatterns::new(&file.alignment))?;
    print(&format!("{}\n", significant(likelihood.tree_log_likelihood(&newick).map_err(in_file)?)))
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
