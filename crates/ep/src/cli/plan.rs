//! `ep plan`, and the options that make a plan.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use gfn_core::domain::Domain;
use gfn_core::{Error, ErrorKind, Place, Result};
use gfn_phylo::alignment::{AlignmentFile, AlignmentSummary, check_for_trees, read_alignment, write_nexus};
use gfn_phylo::partition::{Split, deal_sites, read_partition_file};
use gfn_phylo::{BranchLengths, SubstitutionModel};

use super::design::{DesignPlanArguments, plan_design};
use super::options::TrainingOptions;
use super::{bn, print};
use crate::files::{input_file, read_text};
use crate::folder::{RunFolder, client_data};
use crate::grid::GridSpec;
use crate::multiset::MultisetSpec;
use crate::phylo::options::{BranchOptions, ModelOptions};
use crate::phylo::plan::PhyloPlan;
use crate::plan::Plan;
use crate::seq::SequenceSpec;

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
    /// A plan for network structures, without data: every site has its own
    Bn(Box<bn::PlanArguments>),
    /// A plan for multisets, from a SPEC
    Multiset(Box<DesignPlanArguments>),
    /// A plan for sequences, from a SPEC
    Seq(Box<DesignPlanArguments>),
    /// A plan for a grid world, from a SPEC
    Grid(Box<DesignPlanArguments>),
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
    #[command(flatten)]
    pub training: TrainingOptions,
}

/// `ep plan`
pub fn plan(action: PlanAction) -> Result<()> {
    match action {
        PlanAction::Phylo { options, out, no_data } => {
            let (file, shards, plan) = make_plan(&options, |_| 0)?;
            let model = plan.trees()?;
            let extension = model.domain()?.data_extension();
            let texts = shards.iter().map(|sites| write_nexus(&file.alignment.select_sites(sites)));
            let shares = if no_data { None } else { Some(texts) };
            let said = write_plan(&out, &plan, extension, shares)?;
            print(&format!("{said}\nBranch lengths: {}\n", model.branch_lengths))
        }
        PlanAction::Bn(arguments) => bn::plan(&arguments),
        PlanAction::Multiset(arguments) => plan_design::<MultisetSpec>(&arguments),
        PlanAction::Seq(arguments) => plan_design::<SequenceSpec>(&arguments),
        PlanAction::Grid(arguments) => plan_design::<GridSpec>(&arguments),
    }
}

/// Writes a plan and, if they are given, the clients' data, one text each, into a folder; or, where the name ends in
/// `.toml`, the plan as a file by itself. Returns what to say. Another plan is not overwritten.
pub fn write_plan(
    out: &Path,
    plan: &Plan,
    extension: &str,
    data: Option<impl Iterator<Item = String>>,
) -> Result<String> {
    let refuse = |path: &Path, found: &str| {
        let expected = "no plan there, or the same one";
        Err(Error::input(Place::file(path), expected, found, "choose another --out"))
    };
    let (name, n) = (plan.fingerprint()?, plan.clients.len());
    if data.is_none() && out.extension().is_some_and(|ending| ending == "toml") && !out.is_dir() {
        if out.exists() && read_text(out)? != plan.text() {
            return refuse(out, "another file");
        }
        plan.save(out)?;
        return Ok(format!("Plan {name} for {n} clients, without data: {}", out.display()));
    }
    let folder = RunFolder::open(out, plan.model()?.result_files())?;
    let path = folder.path("plan.toml");
    if !folder.claim(plan, |present| present == plan)? {
        return refuse(&path, "another plan");
    }
    let with = if data.is_some() { "with their data" } else { "without data" };
    for (k, text) in data.into_iter().flatten().enumerate() {
        folder.deal(&client_data(k, extension), &text)?;
    }
    Ok(format!("Plan {name} for {n} clients, {with}: {}", path.display()))
}

/// Reads the alignment, deals its sites and fills in the plan; `default_rounds` for a number of taxa.
pub fn make_plan(
    options: &PlanOptions,
    default_rounds: impl Fn(usize) -> u32,
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
    let config = options.training.configured()?;
    let configured = match &config {
        Some(config) => Some((config, config.trees().map_err(|e| options.training.in_config(e))?)),
        None => None,
    };
    let mut taxa = alignment.taxa.clone();
    taxa.sort();
    if let (Some((_, model)), Some(path)) = (configured, &options.training.config)
        && model.sorted_taxa() != taxa
    {
        return Err(Error::input(
            Place::file(path),
            "a plan for the taxa of this alignment",
            "one for other taxa",
            "use the plan with its own alignment",
        ));
    }
    let split = split_of(options.split.as_deref().unwrap_or("round-robin"), &file)?;
    let n_clients = options.clients.or(configured.map(|(plan, _)| plan.clients.len()));
    let sets = match &split {
        Split::CharacterSets(sets) => Some(sets.clone()),
        Split::PartitionFile(path) => Some(read_partition_file(path, alignment.n_sites())?),
        Split::RoundRobin | Split::Contiguous => None,
    };
    let n_clients = n_clients.or(sets.as_ref().map(|s| s.len().max(1))).unwrap_or(4);
    let shards = deal_sites(alignment.n_sites(), n_clients, &split).map_err(in_alignment)?;
    let planned = configured.map(|(plan, _)| &plan.clients).filter(|names| names.len() == n_clients);
    let names = match (sets, planned) {
        (Some(sets), _) => sets.into_iter().map(|s| s.name).collect(),
        (None, Some(names)) => names.clone(),
        (None, None) => (0..n_clients).map(|k| format!("client-{k}")).collect(),
    };
    let model = match options.model.model(alignment)? {
        Some(model) => model,
        None => configured.map_or_else(SubstitutionModel::jc69, |(_, c)| c.model.clone()),
    };
    let branch_lengths = match options.branches.branch_lengths()? {
        Some(lengths) => lengths,
        None => match configured {
            Some((_, c)) => c.branch_lengths.clone(),
            None => BranchLengths::fixed(0.1)?,
        },
    };
    let outgroup = options.outgroup.clone().or(configured.map(|(_, c)| c.outgroup.clone()));
    let outgroup = outgroup.unwrap_or_else(|| taxa[0].clone());
    let model = PhyloPlan { taxa, outgroup, model, branch_lengths };
    model.domain().map_err(in_alignment)?;
    let default_rounds = default_rounds(model.taxa.len());
    let mut plan = options.training.plan(config.as_ref(), default_rounds, names)?;
    plan.phylo = Some(model);
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
