//! `results.csv` of an experiment: which cells are done, what was measured, and in whose version.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use gfn_core::tensor_file::write_atomically;
use gfn_core::{Error, Place, Result};
use serde::{Deserialize, Serialize};

use crate::files::read_text;

/// First line of `results.csv`.
const HEADER: &str = "experiment,domain,method,clients,seed,metric,value";

/// What one measurement belongs to. Names hold no commas.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cell {
    /// The domain, or a variant of its problem, such as `trees`.
    pub domain: String,
    /// What is measured, such as `ep`.
    pub method: String,
    /// Number of clients.
    pub clients: usize,
    /// The seed; it redraws the problem and the training.
    pub seed: u64,
}

impl Cell {
    /// The cell of these names. Panics if one of them holds a comma or a line break.
    pub fn new(domain: impl Into<String>, method: impl Into<String>, clients: usize, seed: u64) -> Self {
        let cell = Cell { domain: domain.into(), method: method.into(), clients, seed };
        let plain = |name: &str| !name.contains([',', '\n', '\r', '"']);
        assert!(plain(&cell.domain) && plain(&cell.method), "names of cells are plain: {cell:?}");
        cell
    }
}

/// The experiment's part of a folder: what its results belong to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Identity {
    /// Name of the experiment.
    pub experiment: String,
    /// Version of the experiment's plan.
    pub plan: u32,
    /// Version of `ep`.
    pub version: String,
    /// Hash of the recipes that policies are trained by.
    pub recipes: String,
    /// Whether problems and budgets are those of `--quick`.
    pub quick: bool,
}

/// The results so far, kept in a folder.
pub struct Results {
    identity: Identity,
    folder: PathBuf,
    cells: BTreeMap<Cell, Vec<(String, f64)>>,
}

impl Results {
    /// Opens or begins the folder. One that holds results of another experiment, version, or `--quick` is refused.
    pub fn open(folder: &Path, identity: Identity) -> Result<Self> {
        std::fs::create_dir_all(folder).map_err(|e| Error::io(folder, "create", &e))?;
        let path = folder.join("experiment.json");
        if path.exists() {
            let found: Identity = serde_json::from_str(&read_text(&path)?).map_err(|e| {
                Error::input(
                    Place::file(&path),
                    "what an experiment's folder belongs to",
                    e.to_string(),
                    "choose another folder for --out",
                )
            })?;
            if found != identity {
                return Err(Error::input(
                    Place::file(&path),
                    describe(&identity),
                    describe(&found),
                    "choose another folder for --out, or remove this one to start again",
                ));
            }
        } else {
            let text = serde_json::to_string_pretty(&identity).expect("an identity is plain data");
            write_atomically(&path, format!("{text}\n").as_bytes())?;
        }
        let mut results = Results { identity, folder: folder.to_path_buf(), cells: BTreeMap::new() };
        let path = results.path();
        if path.exists() {
            results.read(&path, &read_text(&path)?)?;
        }
        Ok(results)
    }

    fn path(&self) -> PathBuf {
        self.folder.join("results.csv")
    }

    fn read(&mut self, path: &Path, text: &str) -> Result<()> {
        let refuse = |line: usize, expected: &str, found: &str| {
            let place = Place::file(path).line(line);
            Error::input(place, expected, found, "correct the line, or remove the file to start again")
        };
        let mut lines = text.lines().enumerate();
        match lines.next() {
            Some((_, HEADER)) => {}
            other => return Err(refuse(1, HEADER, other.map_or("nothing", |(_, line)| line))),
        }
        for (number, line) in lines {
            let number = number + 1;
            let fields: Vec<&str> = line.split(',').collect();
            let [experiment, domain, method, clients, seed, metric, value] = fields[..] else {
                return Err(refuse(number, "seven fields", line));
            };
            if experiment != self.identity.experiment {
                return Err(refuse(number, &self.identity.experiment, experiment));
            }
            let clients = clients.parse().map_err(|_| refuse(number, "a number of clients", clients))?;
            let seed = seed.parse().map_err(|_| refuse(number, "a seed", seed))?;
            let value: f64 = value.parse().map_err(|_| refuse(number, "a number", value))?;
            let cell = Cell { domain: domain.into(), method: method.into(), clients, seed };
            self.cells.entry(cell).or_default().push((metric.to_string(), value));
        }
        Ok(())
    }

    /// Whether the cell was computed.
    pub fn has(&self, cell: &Cell) -> bool {
        self.cells.contains_key(cell)
    }

    /// Adds finished cells, each with its measurements, and writes the file anew, sorted: the order in which cells
    /// finish leaves no trace.
    pub fn add(&mut self, finished: BTreeMap<Cell, Vec<(String, f64)>>) -> Result<()> {
        self.cells.extend(finished);
        let mut text = format!("{HEADER}\n");
        for (cell, rows) in &self.cells {
            let Cell { domain, method, clients, seed } = cell;
            for (metric, value) in rows {
                let experiment = &self.identity.experiment;
                let _ = writeln!(text, "{experiment},{domain},{method},{clients},{seed},{metric},{value}");
            }
        }
        write_atomically(&self.path(), text.as_bytes())
    }

    /// All cells, sorted.
    pub fn cells(&self) -> impl Iterator<Item = &Cell> {
        self.cells.keys()
    }

    /// One measurement of a cell.
    pub fn value(&self, cell: &Cell, metric: &str) -> Option<f64> {
        self.cells.get(cell)?.iter().find(|(name, _)| name == metric).map(|(_, value)| *value)
    }

    /// A measurement of all seeds, by seed.
    pub fn values(&self, domain: &str, method: &str, clients: usize, metric: &str) -> Vec<f64> {
        let of = |cell: &&Cell| cell.domain == domain && cell.method == method && cell.clients == clients;
        self.cells.keys().filter(of).filter_map(|cell| self.value(cell, metric)).collect()
    }

    /// A measurement that was taken along the way, stored as `metric@x`: for every x, in increasing order, the values of
    /// all seeds.
    pub fn curve(&self, domain: &str, method: &str, clients: usize, metric: &str) -> Vec<(f64, Vec<f64>)> {
        let mut points: Vec<(f64, Vec<f64>)> = Vec::new();
        for (cell, rows) in &self.cells {
            if cell.domain != domain || cell.method != method || cell.clients != clients {
                continue;
            }
            for (name, value) in rows {
                let Some((name, x)) = name.split_once('@') else { continue };
                let Ok(x) = x.parse::<f64>() else { continue };
                if name != metric {
                    continue;
                }
                match points.iter_mut().find(|(known, _)| *known == x) {
                    Some((_, values)) => values.push(*value),
                    None => points.push((x, vec![*value])),
                }
            }
        }
        points.sort_by(|a, b| a.0.total_cmp(&b.0));
        points
    }

    /// Sum of a measurement over all cells.
    pub fn total(&self, metric: &str) -> f64 {
        self.cells.keys().filter_map(|cell| self.value(cell, metric)).sum()
    }
}

fn describe(identity: &Identity) -> String {
    let Identity { experiment, plan, version, recipes, quick } = identity;
    let quick = if *quick { " --quick" } else { "" };
    format!(
        "results of {experiment}{quick}, plan {plan}, ep {version}, recipes {}",
        &recipes[..recipes.len().min(8)]
    )
}
