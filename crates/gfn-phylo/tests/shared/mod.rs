//! The folder of shared test data beside the workspace, where there is one.

#![allow(dead_code)] // every test binary uses another part

use std::path::PathBuf;
use std::process::Command;

/// The text of a file of the shared folder, unpacked if it is there as `.gz`; `None` where it is absent.
pub fn read(path: &str) -> Option<String> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared").join(path);
    if let Ok(text) = std::fs::read_to_string(&path) {
        return Some(text);
    }
    let packed = PathBuf::from(format!("{}.gz", path.display()));
    if !packed.exists() {
        return None;
    }
    let output = Command::new("gzip").arg("-dc").arg(&packed).output().ok()?;
    output.status.success().then(|| String::from_utf8(output.stdout).unwrap())
}

/// Names and sequences of a FASTA text; a name is the first word of its line.
pub fn fasta(text: &str) -> Vec<(String, String)> {
    let records = text.split('>').skip(1);
    records
        .map(|record| {
            let (header, sequence) = record.split_once('\n').unwrap();
            (header.split_whitespace().next().unwrap().to_string(), sequence.split_whitespace().collect())
        })
        .collect()
}
