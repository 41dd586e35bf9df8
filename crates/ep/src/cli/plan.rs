//! `ep plan`, and the options that make a plan.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use gfn_core::{Error, ErrorKind, Place, Result};
use gfn_phylo::alignment::{AlignmentFile, AlignmentSummary, check_for_trees, read_alignment, write_nexus};
use gfn_phylo::partition::{Split, deal_sites, read_partition_file};
use gfn_phylo::{BranchLengths, SubstitutionModel};

use super::print;
use crate::budget::RunBudget;
use crate::files::input_file;
use crate::folder::RunFolder;
use crate::phylo::options::{BranchOptions, ModelOptions};
use crate::plan::{PLAN_VERSION, PhyloPlan, Plan};

/// `ep plan …`
#[derive(Debug, Subcommand)]
pub enum PlanAction {
    /// A plan for trees
    Phylo {
        #[command(flatten)]
        options: Box<PlanOptions>,
        /// Folder for the plan and the clients' data
        #[arg(long, value_name = "DIR")]
        out: PathBuf,
        /// Write the plan only: every site has data of its own
        #[arg(long)]
        no_data: bool,
    },
}

/// Options that make a plan.
#[derive(Debug, Args)]
pub struct PlanOptions {
    /// Alignment: FASTA, PHYLIP or NEXUS, recognised by its content
    pub alignment: PathBuf,
    /// Number of clients the sites are dealt to; 1 trains centrally [default: the number of sets with charsets or a partition file, else 4]
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub clients: Option<usize>,
    /// How sites are dealt: round-robin, contiguous, charsets (of the NEXUS file), or a partition file [default: round-robin]
    #[arg(long, value_name = "HOW")]
    pub split: Option<String>,
    #[command(flatten)]
    pub model: ModelOptions,
    #[command(flatten)]
    pub branches: BranchOptions,
    /// Taxon on which the search hangs its trees; does not change the posterior [default: first in byte order]
    #[arg(long, value_name = "TAXON", help_heading = "Model")]
    pub outgroup: Option<String>,
    /// Seed of everything random [default: 1]
    #[arg(long, value_name = "SEED", allow_negative_numbers = true)]
    pub seed: Option<u64>,
    /// Training of the whole run: wall-clock time (60s, 5m, 1h), or steps per client (4000steps: results repeat bit for bit; the server and each client in a round make half as many) [default: 60s]
    #[arg(long, value_name = "TIME|STEPS", allow_hyphen_values = true)]
    pub budget: Option<RunBudget>,
    /// Extra rounds in which clients go on with trees the server sends [default: 1 for `ep phylo run`, else 0]
    #[arg(long, value_name = "K", allow_negative_numbers = true)]
    pub rounds: Option<u32>,
    /// A plan whose settings are used where no option is given
    #[arg(long, value_name = "PLAN.TOML")]
    pub config: Option<PathBuf>,
}

/// `ep plan`
pub fn plan(action: PlanAction) -> Result<()> {
    let PlanAction::Phylo { options, out, no_data } = action;
    let (file, shards, plan) = make_plan(&options, 0)?;
    let folder = RunFolder::open(&out)?;
    let path = folder.path("plan.toml");
    if !folder.claim(&plan, |present| *present == plan)? {
        return Err(Error::input(
            Place::file(&path),
            "no plan there, or the same one",
            "another plan",
            "choose another --out",
        ));
    }
    if !no_data {
        for (k, sites) in shards.iter().enumerate() {
            folder.deal(k, &write_nexus(&file.alignment.select_sites(sites)))?;
        }
    }
    let data = if no_data { "without data" } else { "with their data" };
    print(&format!(
        "Plan {} for {} clients, {data}: {}\nBranch lengths: {}\n",
        plan.fingerprint(),
        plan.phylo.clients.len(),
        path.display(),
        plan.phylo.branch_lengths
    ))
}

/// Reads the alignment, deals its sites and fills in the plan.
pub fn make_plan(
    options: &PlanOptions,
    default_rounds: u32,
) -> Result<(AlignmentFile, Vec<Vec<usize>>, Plan)> {
    let file = read_alignment(input_file(&options.alignment)?)?;
    let alignment = &file.alignment;
    // An option that does not fit the alignment is still the option's fault.
    let in_alignment =
        |e: Error| if e.kind() == ErrorKind::Usage { e } else { e.in_file(&options.alignment) };
    check_for_trees(alignment).map_err(in_alignment)?;
    if AlignmentSummary::new(alignment).missing_fraction == 1.0 {
        return Err(Error::input(
            Place::file(&options.alignment),
            "sites with nucleotides",
            "nothing but gaps and missing data",
            "there is nothing to infer from: check that this is the alignment",
        ));
    }
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
    let planned = configured.map(|c| &c.phylo.clients).filter(|names| names.len() == n_clients);
    let names = match (sets, planned) {
        (Some(sets), _) => sets.into_iter().map(|s| s.name).collect(),
        (None, Some(names)) => names.clone(),
        (None, None) => (0..n_clients).map(|k| format!("client-{k}")).collect(),
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
    // TOML has no larger integers.
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
