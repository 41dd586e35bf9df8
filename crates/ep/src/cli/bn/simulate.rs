//! `ep bn simulate`: tables of several sites from one random network.

use std::path::PathBuf;

use clap::Args;
use gfn_bn::Dag;
use gfn_bn::data::{Schema, edges_csv};
use gfn_bn::simulate::{
    DiscreteSettings, Edges, SimulationSettings, Sites, simulate_discrete, simulate_gaussian,
};
use gfn_core::tensor_file::write_atomically;
use gfn_core::{Error, Place, Result};

use crate::cli::print;

/// Most sites, and most rows of a site: more are a slip of the keyboard.
const MOST: (usize, usize) = (10_000, 100_000_000);

/// `ep bn simulate`
#[derive(Debug, Args)]
pub struct SimulateArguments {
    /// Number of nodes; they are called X0, X1, …
    #[arg(long, value_name = "D", allow_negative_numbers = true)]
    nodes: usize,
    /// Expected number of edges [default: the number of nodes, or all pairs where these are fewer]
    #[arg(long, value_name = "E", allow_negative_numbers = true)]
    edges: Option<f64>,
    /// Number of sites
    #[arg(long, value_name = "N", default_value_t = 1, allow_negative_numbers = true)]
    sites: usize,
    /// Rows of each site
    #[arg(long, value_name = "R", default_value_t = 100, allow_negative_numbers = true)]
    rows: usize,
    /// Categories with so many levels, instead of numbers
    #[arg(long, value_name = "L", allow_negative_numbers = true)]
    levels: Option<usize>,
    /// Standard deviation of each site's shifts of the means (numbers only)
    #[arg(long, value_name = "S", conflicts_with = "other_coefficients", allow_negative_numbers = true)]
    shift: Option<f64>,
    /// Coefficients (or conditional probabilities) of its own at every site
    #[arg(long)]
    other_coefficients: bool,
    /// Seed of everything random
    #[arg(long, value_name = "SEED", default_value_t = 1, allow_negative_numbers = true)]
    seed: u64,
    /// Folder for site-1.csv, site-2.csv, …, true_edges.csv and schema.toml
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
}

/// Writes the tables, the true edges and the schema. Nothing is overwritten.
pub fn simulate(arguments: &SimulateArguments) -> Result<()> {
    for (option, value, most) in [("--sites", arguments.sites, MOST.0), ("--rows", arguments.rows, MOST.1)] {
        if !(1..=most).contains(&value) {
            let expected = format!("1 to {most}");
            return Err(Error::usage(option, expected, value.to_string(), "correct the option"));
        }
    }
    let pairs = arguments.nodes.saturating_mul(arguments.nodes.saturating_sub(1)) as f64 / 2.0;
    let sites = match (arguments.shift, arguments.other_coefficients) {
        (Some(deviation), _) => Sites::ShiftedMeans { deviation },
        (None, true) => Sites::OtherCoefficients,
        (None, false) => Sites::Homogeneous,
    };
    let settings = SimulationSettings {
        nodes: arguments.nodes,
        edges: Edges::Expected(arguments.edges.unwrap_or(pairs.min(arguments.nodes as f64))),
        rows: vec![arguments.rows; arguments.sites],
        sites,
        seed: arguments.seed,
    };
    let (dag, schema, tables): (Dag, Schema, Vec<String>) = match arguments.levels {
        None => {
            let simulation = simulate_gaussian(&settings)?;
            let texts = simulation.tables.iter().map(|table| table.to_csv()).collect();
            (simulation.dag, Schema::from(&simulation.tables[0]), texts)
        }
        Some(levels) => {
            let discrete = DiscreteSettings { levels, ..DiscreteSettings::default() };
            let simulation = simulate_discrete(&settings, &discrete)?;
            let texts = simulation.tables.iter().map(|table| table.to_csv()).collect();
            (simulation.dag, Schema::from(&simulation.tables[0]), texts)
        }
    };
    let out = &arguments.out;
    let mut files = vec![
        (out.join("true_edges.csv"), edges_csv(&dag, &schema.names())),
        (out.join("schema.toml"), schema.text()),
    ];
    let named = |(k, text)| (out.join(format!("site-{}.csv", k + 1)), text);
    files.extend(tables.into_iter().enumerate().map(named));
    if let Some((path, _)) = files.iter().find(|(path, text)| {
        // The same command again is no harm.
        path.exists() && std::fs::read_to_string(path).is_ok_and(|present| present != *text)
    }) {
        return Err(Error::input(
            Place::file(path),
            "a free name, or the same content",
            "another file",
            "nothing is overwritten: choose another --out",
        ));
    }
    std::fs::create_dir_all(out).map_err(|e| Error::io(out, "make", &e))?;
    for (path, text) in &files {
        write_atomically(path, text.as_bytes())?;
    }
    print(&format!(
        "{} sites of {} rows over {} nodes with {} edges: {}\n",
        arguments.sites,
        arguments.rows,
        arguments.nodes,
        dag.n_edges(),
        out.display()
    ))
}
