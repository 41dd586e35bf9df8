//! The run folder: where files are, which of them are complete, and who is writing there.

use std::collections::BTreeMap;
use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};

use gfn_core::tensor_file::write_atomically;
use gfn_core::{Error, ErrorKind, Place, Result};
use serde::{Deserialize, Serialize};

use crate::plan::Plan;

/// A finished stage, as the manifest remembers it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Receipt {
    /// BLAKE3 of the stage's file.
    pub blake3: String,
    /// Wall-clock seconds of the stage.
    pub seconds: f64,
    /// Training steps.
    pub steps: u64,
}

/// A folder of a run, locked for this process.
pub struct RunFolder {
    root: PathBuf,
    _lock: File,
    receipts: BTreeMap<String, Receipt>,
}

/// What a stage's file is, by its receipt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileState {
    /// There, and as it was when its stage was complete.
    Finished,
    /// Complete once, but removed or changed since.
    Changed,
    /// Never completed.
    Missing,
}

/// What a run over any objects writes: where one of these is, and no plan, the folder holds something else.
const OUR_NAMES: [&str; 6] = ["clients", "server", "manifest.json", "times.json", "report.json", "exact.csv"];

impl RunFolder {
    /// Opens (and makes) the folder and locks it against other processes. Refuses one where files of somebody else
    /// would be overwritten; `results` are the names of the files that only runs of this domain write.
    pub fn open(root: &Path, results: &[&str]) -> Result<Self> {
        if root.exists() && !root.is_dir() {
            return Err(Error::input(
                Place::file(root),
                "a folder, or a free name",
                "something else of this name",
                "choose another --out",
            ));
        }
        std::fs::create_dir_all(root).map_err(|e| Error::io(root, "make", &e))?;
        if !root.join("plan.toml").exists()
            && let Some(name) = OUR_NAMES.iter().chain(results).find(|name| root.join(name).exists())
        {
            return Err(Error::input(
                Place::file(root.join(name)),
                "a folder of a run, or one without such a file",
                "the file, but no plan.toml beside it",
                "it would be overwritten: choose another --out",
            ));
        }
        let lock = lock_file(&root.join("lock"), root)?;
        remove_partial_files(root);
        remove_partial_files(&root.join("server"));
        let manifest = root.join("manifest.json");
        let receipts = match std::fs::read(&manifest) {
            Ok(bytes) => serde_json::from_slice(&bytes).map_err(|e| {
                Error::input(
                    Place::file(&manifest),
                    "a manifest",
                    e.to_string(),
                    "remove the file: finished stages are then done again",
                )
            })?,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => BTreeMap::new(),
            Err(e) => return Err(Error::io(&manifest, "read", &e)),
        };
        Ok(RunFolder { root: root.to_path_buf(), _lock: lock, receipts })
    }

    /// Writes the plan where there is none; otherwise says whether the one there is `fine`: a folder belongs to one plan.
    pub fn claim(&self, plan: &Plan, fine: impl FnOnce(&Plan) -> bool) -> Result<bool> {
        let path = self.path("plan.toml");
        if path.exists() {
            return Ok(fine(&Plan::load(&path)?));
        }
        plan.save(&path)?;
        Ok(true)
    }

    /// Writes a client's data, or checks that they are there already: nobody trains on other data unawares.
    pub fn deal(&self, name: &str, text: &str) -> Result<()> {
        let path = self.path(name);
        match std::fs::read_to_string(&path) {
            Ok(present) if present == text => Ok(()),
            Ok(_) => Err(other_run(&path, "the same part of the same data")),
            Err(_) => write_atomically(&path, text.as_bytes()),
        }
    }

    /// A file in the folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    /// Whether a file is there and unchanged since its stage was complete.
    pub fn state(&self, name: &str) -> FileState {
        let Some(receipt) = self.receipts.get(name) else { return FileState::Missing };
        match hash_file(&self.path(name)) {
            Ok(hash) if hash == receipt.blake3 => FileState::Finished,
            _ => FileState::Changed,
        }
    }

    /// Notes that a file is complete.
    pub fn finish(&mut self, name: &str, seconds: f64, steps: u64) -> Result<()> {
        let blake3 = hash_file(&self.path(name))?;
        self.receipts.insert(name.to_string(), Receipt { blake3, seconds, steps });
        let text = serde_json::to_vec_pretty(&self.receipts).expect("receipts are plain data");
        write_atomically(&self.path("manifest.json"), &text)
    }
}

/// The folder is another run's.
pub fn other_run(path: &Path, expected: &str) -> Error {
    Error::input(
        Place::file(path),
        expected,
        "something else: the folder holds another run",
        "choose another --out, or give the options (and the data) that run was started with to go on with it",
    )
}

/// Locks a file against other processes until it is dropped; `work` is where the other one would be at work.
pub fn lock_file(path: &Path, work: &Path) -> Result<File> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(|e| Error::io(folder, "make", &e))?;
    }
    // Nothing is read from it or written to it; an existing file of this name keeps its content.
    let lock = File::options().create(true).truncate(false).write(true).open(path);
    let lock = lock.map_err(|e| Error::io(path, "write", &e))?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(TryLockError::WouldBlock) => Err(Error::new(
            ErrorKind::Transient,
            Place::file(work),
            "a folder nobody else is working in",
            "another `ep` at work there",
            "wait for it, or choose another --out",
        )),
        Err(TryLockError::Error(e)) => Err(Error::io(path, "lock", &e)),
    }
}

/// Removes half-written files of a process that was killed; the caller holds the lock of the folder.
pub fn remove_partial_files(folder: &Path) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        if entry.file_name().to_string_lossy().starts_with(".partial-") {
            // They are in nobody's way: failing to remove one is no error.
            let _ = std::fs::remove_file(entry.path());
        }
    }
}

/// A short name for the content of files and settings: equal names mean the same work.
pub fn content_key<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> String {
    let mut hasher = blake3::Hasher::new();
    for part in parts {
        hasher.update(&(part.len() as u64).to_le_bytes());
        hasher.update(part);
    }
    hasher.finalize().to_hex()[..12].to_string()
}

/// The newest round of which the file is there; `name` says what it is called.
pub fn newest_round(folder: &Path, name: impl Fn(u32) -> String) -> Option<u32> {
    let first = folder.join(name(0));
    let round = |entry: std::io::Result<std::fs::DirEntry>| {
        let name = entry.ok()?.file_name().into_string().ok()?;
        name.strip_prefix("round-")?.split('.').next()?.parse().ok()
    };
    let rounds = std::fs::read_dir(first.parent()?).ok()?.filter_map(round);
    rounds.filter(|&round| folder.join(name(round)).exists()).max()
}

fn hash_file(path: &Path) -> Result<String> {
    let bytes = std::fs::read(path).map_err(|e| Error::io(path, "read", &e))?;
    Ok(blake3::hash(&bytes).to_hex().to_string())
}

/// Data file of client `k`; the domain says how it ends.
pub fn client_data(k: usize, extension: &str) -> String {
    format!("clients/{k}/data.{extension}")
}

/// Lock of client `k` in training.
pub fn client_lock(k: usize) -> String {
    format!("clients/{k}/lock")
}

/// Policy of client `k` after `round` extra rounds.
pub fn client_file(k: usize, round: u32) -> String {
    format!("clients/{k}/round-{round}.safetensors")
}

/// Checkpoint of client `k` in training.
pub fn client_checkpoint(k: usize, round: u32) -> String {
    format!("clients/{k}/round-{round}.checkpoint")
}

/// The aggregate after `round` extra rounds.
pub fn server_file(round: u32) -> String {
    format!("server/round-{round}.safetensors")
}

/// Checkpoint of the server in training.
pub fn server_checkpoint(round: u32) -> String {
    format!("server/round-{round}.checkpoint")
}

/// Objects the server proposes to clients for their round number `round` (from 1); the domain says how the file ends.
pub fn proposals_file(round: u32, extension: &str) -> String {
    format!("server/proposals-{round}.{extension}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_round_is_found_where_earlier_ones_are_missing() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(newest_round(folder.path(), server_file), None);
        std::fs::create_dir(folder.path().join("server")).unwrap();
        assert_eq!(newest_round(folder.path(), server_file), None);
        for round in [2, 10] {
            std::fs::write(folder.path().join(server_file(round)), "").unwrap();
        }
        for other in ["round-11.txt", "round-x.safetensors", "proposals-12.txt"] {
            std::fs::write(folder.path().join("server").join(other), "").unwrap();
        }
        assert_eq!(newest_round(folder.path(), server_file), Some(10));
    }
}
