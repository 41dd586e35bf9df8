//! What the tests share: tables from CSV text, test data of the crate, and the folder of shared data beside the workspace.

#![allow(dead_code)] // every test binary uses another part

use std::path::{Path, PathBuf};
use std::process::Command;

use gfn_bn::{Dag, DagEnvironment, Table};
use gfn_core::exact::StateGraph;
use rand::RngExt;
use rand::rngs::ChaCha8Rng;

/// The table of a CSV text of plain numbers.
pub fn table(csv: &str) -> Table {
    let mut lines = csv.lines();
    let names: Vec<String> = lines.next().unwrap().split(',').map(String::from).collect();
    let mut columns = vec![Vec::new(); names.len()];
    for line in lines {
        let cells: Vec<&str> = line.split(',').collect();
        assert_eq!(cells.len(), columns.len(), "{line}");
        cells.iter().zip(&mut columns).for_each(|(cell, column)| column.push(cell.parse().unwrap()));
    }
    Table::new(names, columns).unwrap()
}

/// The environment over d variables X0, X1, ….
pub fn environment(d: usize) -> DagEnvironment {
    DagEnvironment::new((0..d).map(|i| format!("X{i}")).collect()).unwrap()
}

/// All DAGs over the variables of an environment.
pub fn all_dags(env: &DagEnvironment) -> Vec<Dag> {
    StateGraph::enumerate(env, 100_000).unwrap().states().to_vec()
}

/// A random graph: of `n_tries` random pairs, those that can become edges.
pub fn random_dag(rng: &mut ChaCha8Rng, d: usize, n_tries: usize) -> Dag {
    let mut dag = Dag::empty(d).unwrap();
    for _ in 0..n_tries {
        let (from, to) = (rng.random_range(0..d), rng.random_range(0..d));
        if dag.can_add_edge(from, to) {
            dag.add_edge(from, to).unwrap();
        }
    }
    dag
}

/// The text of a file of this crate's test data.
pub fn own(path: &str) -> Option<String> {
    read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(path))
}

/// The text of a file of the shared folder; `None` where it is absent.
pub fn shared(path: &str) -> Option<String> {
    read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared").join(path))
}

/// The text of a file, unpacked if it is there as `.gz`.
fn read(path: &Path) -> Option<String> {
    if let Ok(text) = std::fs::read_to_string(path) {
        return Some(text);
    }
    let packed = PathBuf::from(format!("{}.gz", path.display()));
    if !packed.exists() {
        return None;
    }
    let output = Command::new("gzip").arg("-dc").arg(&packed).output().ok()?;
    output.status.success().then(|| String::from_utf8(output.stdout).unwrap())
}
