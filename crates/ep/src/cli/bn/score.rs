//! `ep bn score`: the score of a graph, node by node.

use std::path::{Path, PathBuf};

use clap::Args;
use gfn_bn::data::read_edges;
use gfn_bn::{Combine, Dag, DagDomain, Statistics};
use gfn_core::domain::Domain;
use gfn_core::{Error, Result};

use crate::bn::options::ScoreOptions;
use crate::bn::sites::read_sites;
use crate::cli::{print, significant};
use crate::files::input_file;

/// `ep bn score`
#[derive(Debug, Args)]
pub struct ScoreArguments {
    /// A CSV file for each site; of several, --combine says what they mean together
    #[arg(required = true, value_name = "CSV")]
    files: Vec<PathBuf>,
    /// The graph: its adjacency matrix row by row (columns in the order of the first file, or of --columns), or a CSV file with the columns from and to
    #[arg(long, value_name = "BITSTRING|EDGES.CSV")]
    dag: String,
    #[command(flatten)]
    score: ScoreOptions,
}

/// Prints `{"total": …, "local": {name: …}}`, log p(D | G) without a prior over graphs, with 15 significant digits.
pub fn score(arguments: &ScoreArguments) -> Result<()> {
    let domain = DagDomain::new(arguments.score.settings(None, &arguments.files)?)?;
    let names = domain.environment().names();
    let dag = read_dag(&arguments.dag, names)?;
    let sites = read_sites(&domain, &arguments.files)?;
    let statistics: Vec<Statistics> = sites.into_iter().map(|site| site.site.statistics).collect();
    let parts = match domain.settings().combine {
        Combine::Product => statistics,
        Combine::Pooled => vec![Statistics::merge(&statistics)?],
    };
    let mut local = vec![0.0; names.len()];
    for (part, path) in parts.iter().zip(&arguments.files) {
        let score = domain.score(part).map_err(|e| if parts.len() > 1 { e.in_file(path) } else { e })?;
        let nodes = local.iter_mut().enumerate();
        nodes.for_each(|(node, sum)| *sum += score.local_score(node, dag.parents(node)));
    }
    let quoted = |name: &String| serde_json::to_string(name).expect("a name is text");
    let cells: Vec<String> = (names.iter().zip(&local))
        .map(|(name, value)| format!("{}: {}", quoted(name), significant(*value)))
        .collect();
    let total = significant(local.iter().sum());
    print(&format!("{{\"total\": {total}, \"local\": {{{}}}}}\n", cells.join(", ")))
}

/// A graph as a bit string, or in a file of edges.
fn read_dag(text: &str, names: &[String]) -> Result<Dag> {
    let is_bits = !text.is_empty() && text.bytes().all(|byte| matches!(byte, b'0' | b'1'));
    if !is_bits {
        return read_edges(input_file(Path::new(text))?, names);
    }
    let dag: Dag = text.parse()?;
    if dag.n_nodes() != names.len() {
        return Err(Error::usage(
            "--dag",
            format!("{} digits, for the {} columns", names.len() * names.len(), names.len()),
            format!("{} digits", text.len()),
            "give the adjacency matrix row by row, without separators",
        ));
    }
    Ok(dag)
}
