//! `ep phylo`: run, check, likelihood.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use gfn_core::{Error, Place, Result};
use gfn_phylo::alignment::{AlignmentFile, AlignmentSummary, check_for_trees, read_alignment, write_fasta};
use gfn_phylo::partition::{Split, deal_sites, read_partition_file};
use gfn_phylo::{BranchLengths, Likelihood, NewickTree, SitePatterns, SubstitutionModel};

use super::print;
use crate::budget::RunBudget;
use crate::phylo::options::{BranchOptions, ModelOptions};
use crate::phylo::run::RunSettings;
use crate::plan::{PLAN_VERSION, PhyloPlan, Plan};

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

/// Options that make a plan.
#[derive(Debug, Args)]
pub struct PlanOptions {
    /// Alignment: FASTA, PHYLIP or NEXUS, recognised by its content
    pub alignment: PathBuf,
    /// Number of clients the sites are dealt to; 1 trains centrally [default: 4]
    #[arg(long, value_name = "N")]
    pub clients: Option<usize>,
    /// How sites are dealt: round-robin, contiguous, charsets (of the NEXUS file), or a partition file [default: round-robin]
    #[arg(long, value_name = "HOW")]
    pub split: Option<String>,
    #[command(flatten)]
    model: ModelOptions,
    #[command(flatten)]
    branches: BranchOptions,
    /// Taxon on which the search hangs its trees; does not change the posterior [default: first in byte order]
    #[arg(long, value_name = "TAXON", help_heading = "Model")]
    pub outgroup: Option<String>,
    /// Seed of everything random [default: 1]
    #[arg(long)]
    pub seed: Option<u64>,
    /// Training of the whole run: wall-clock time (60s, 5m) or steps per client (4000steps: repeats bit for bit) [default: 60s]
    #[arg(long, value_name = "TIME|STEPS")]
    pub budget: Option<RunBudget>,
    /// Extra rounds in which clients go on with trees the server sends
    #[arg(long, value_name = "K")]
    pub rounds: Option<u32>,
    /// A plan whose settings are used where no option is given
    #[arg(long, value_name = "PLAN.TOML")]
    pub config: Option<PathBuf>,
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
    #[arg(long, value_name = "N", default_value_t = 10_000)]
    samples: usize,
    /// Also enumerate all trees (up to 9 taxa) and compare
    #[arg(long)]
    exact: bool,
    /// Threads [default: all cores]
    #[arg(long, value_name = "T")]
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
    if threads == 0 || arguments.samples == 0 {
        let (option, found) =
            if threads == 0 { ("--threads", threads) } else { ("--samples", arguments.samples) };
        return Err(Error::usage(option, "at least 1", found.to_string(), "correct the option"));
    }
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
    print(&report.summary(&arguments.out));
    Ok(())
}

/// Reads the alignment, deals its sites and fills in the plan.
pub fn make_plan(
    options: &PlanOptions,
    default_rounds: u32,
) -> Result<(AlignmentFile, Vec<Vec<usize>>, Plan)> {
    let file = read_alignment(&options.alignment)?;
    let alignment = &file.alignment;
    let in_alignment = |e: Error| e.in_file(&options.alignment);
    check_for_trees(alignment).map_err(in_alignment)?;
    let config = options.config.as_deref().map(Plan::load).transpose()?;
    let mut taxa = alignment.taxa.clone();
    taxa.sort();
    if let (Some(config), Some(path)) = (&config, &options.config) {
        let mut planned = config.phylo.taxa.clone();
        planned.sort();
        if planned != taxa {
            return Err(Error::input(
                Place::file(path),
                "a plan for the taxa of this alignment",
                "one for other taxa",
                "use the plan with its own alignment",
            ));
        }
    }
    let configured = config.as_ref();
    let split = split_of(options.split.as_deref().unwrap_or("round-robin"), &file)?;
    let n_clients = options.clients.or(configured.map(|c| c.phylo.clients.len()));
    let sets = match &split {
        Split::CharacterSets(sets) => Some(sets.clone()),
        Split::PartitionFile(path) => Some(read_partition_file(path, alignment.n_sites())?),
        Split::RoundRobin | Split::Contiguous => None,
    };
    let n_clients = n_clients.or(sets.as_ref().map(|s| s.len().max(1))).unwrap_or(4);
    let shards = deal_sites(alignment.n_sites(), n_clients, &split).map_err(in_alignment)?;
    let names = match sets {
        Some(sets) => sets.into_iter().map(|s| s.name).collect(),
        None => (0..n_clients).map(|k| format!("client-{k}")).collect(),
    };
    let model = match options.model.model(alignment)? {
        Some(model) => model,
        None => configured.map_or_else(SubstitutionModel::jc69, |c| c.phylo.model.clone()),
    };
    let branch_lengths = match options.branches.branch_lengths()? {
        Some(lengths) => lengths,
        None => match configured {
            Some(c) => c.phylo.branch_lengths.clone(),
            None => BranchLengths::fixed(0.1)?,
        },
    };
    let outgroup =
        options.outgroup.clone().or(configured.map(|c| c.phylo.outgroup.clone())).unwrap_or(taxa[0].clone());
    let plan = Plan {
        version: PLAN_VERSION,
        seed: options.seed.or(configured.map(|c| c.seed)).unwrap_or(1),
        budget: options.budget.or(configured.map(|c| c.budget)).unwrap_or(RunBudget::Seconds(60.0)),
        rounds: options.rounds.or(configured.map(|c| c.rounds)).unwrap_or(default_rounds),
        phylo: PhyloPlan { taxa, outgroup, clients: names, model, branch_lengths },
    };
    if plan.seed > i64::MAX as u64 {
        return Err(Error::usage(
            "--seed",
            "a seed below 2^63",
            plan.seed.to_string(),
            "choose a smaller one",
        ));
    }
    plan.domain().map_err(in_alignment)?;
    Ok((file, shards, plan))
}

/// `round-robin`, `contiguous`, `charsets`, or the path of a partition file.
fn split_of(text: &str, file: &AlignmentFile) -> Result<Split> {
    match text {
        "round-robin" => Ok(Split::RoundRobin),
        "contiguous" => Ok(Split::Contiguous),
        "charsets" => Ok(Split::CharacterSets(file.charsets.clone())),
        path if Path::new(path).is_file() => Ok(Split::PartitionFile(PathBuf::from(path))),
        other => Err(Error::usage(
            "--split",
            "round-robin, contiguous, charsets, or the path of a partition file",
            format!("`{other}`"),
            "choose one of them",
        )),
    }
}

fn check(arguments: &CheckArguments) -> Result<()> {
    let file = read_alignment(&arguments.alignment)?;
    if arguments.fasta {
        print(&write_fasta(&file.alignment));
        return Ok(());
    }
    let mut summary = AlignmentSummary::new(&file.alignment);
    summary.warnings.splice(0..0, file.warnings);
    if arguments.json {
        let text = serde_json::to_string_pretty(&summary).expect("a summary is plain data");
        print(&format!("{text}\n"));
    } else {
        print(&summary.to_string());
    }
    Ok(())
}

fn likelihood(arguments: &LikelihoodArguments) -> Result<()> {
    let file = read_alignment(&arguments.alignment)?;
    let path = Path::new(&arguments.tree);
    let newick = if arguments.tree.contains('(') {
        NewickTree::parse(arguments.tree.trim())?
    } else {
        let text = std::fs::read_to_string(path).map_err(|e| Error::io(path, "read", &e))?;
        NewickTree::parse(text.trim()).map_err(|e| e.in_file(path))?
    };
    let model = arguments.model.model(&file.alignment)?.unwrap_or_else(SubstitutionModel::jc69);
    let likelihood = Likelihood::new(&model, &SitePatterns::new(&file.alignment))?;
    print(&format!("{}\n", significant(likelihood.tree_log_likelihood(&newick)?)));
    Ok(())
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
