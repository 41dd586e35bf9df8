//! `ep phylo`: run, check, likelihood.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use gfn_core::{Error, Result};
use gfn_phylo::alignment::{AlignmentSummary, read_alignment, write_fasta};
use gfn_phylo::{BranchLengths, Likelihood, NewickTree, SitePatterns, SubstitutionModel};

use super::options::RunOptions;
use super::plan::{PlanOptions, make_plan};
use super::{print, significant};
use crate::files::{input_file, read_text};
use crate::phylo::options::ModelOptions;

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
    #[command(flatten)]
    run: RunOptions,
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
    let settings = arguments.run.settings()?;
    let (file, shards, plan) = make_plan(&arguments.plan, gfn_phylo::usual_rounds)?;
    let model = plan.trees()?;
    if matches!(model.branch_lengths, BranchLengths::Bins { .. }) && !settings.quiet {
        eprintln!("Branch lengths (prior probability): {}", model.branch_lengths);
    }
    let report = crate::phylo::run::run(&file, &shards, &plan, model, &settings)?;
    print(&report.summary(&settings.out))
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
