//! The run folder: where files are, which of them are complete, and who is writing there.

use std::collections::BTreeMap;
use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};

use gfn_core::tensor_file::write_atomically;
use gfn_core::{Error, ErrorKind, Place, Result};
use serde::{Deserialize, Serialize};

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

impl RunFolder {
    /// Opens (and makes) the folder and locks it against other processes.
    pub fn open(root: &Path) -> Result<Self> {
        std::fs::create_dir_all(root).map_err(|e| Error::io(root, "make the folder", &e))?;
        let path = root.join("lock");
        let lock = File::create(&path).map_err(|e| Error::io(&path, "write", &e))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(Error::new(
                    ErrorKind::Transient,
                    Place::file(root),
                    "a folder nobody else is working in",
                    "another `ep` at work there",
                    "wait for it, or choose another --out",
                ));
            }
            Err(TryLockError::Error(e)) => return Err(Error::io(&path, "lock", &e)),
        }
        let manifest = root.join("manifest.json");
        let receipts = match std::fs::read(&manifest) {
            Ok(bytes) => serde_json::from_slice(&bytes).map_err(|e| {
                Error::input(
                    Place::file(&manifest),
                    "a manifest",
                    e.to_string(),
                    "remove the file: stages whose files are there will be checked and done again",
                )
            })?,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => BTreeMap::new(),
            Err(e) => return Err(Error::io(&manifest, "read", &e)),
        };
        Ok(RunFolder { root: root.to_path_buf(), _lock: lock, receipts })
    }

    /// The folder itself.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// A file in the folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    /// All receipts, by file name.
    pub fn receipts(&self) -> &BTreeMap<String, Receipt> {
        &self.receipts
    }

    /// The receipt of a file that is there and unchanged.
    pub fn finished(&self, name: &str) -> Option<&Receipt> {
        let receipt = self.receipts.get(name)?;
        let hash = hash_file(&self.path(name)).ok()?;
        (hash == receipt.blake3).then_some(receipt)
    }

    /// Notes that a file is complete.
    pub fn finish(&mut self, name: &str, seconds: f64, steps: u64) -> Result<()> {
        let blake3 = hash_file(&self.path(name))?;
        self.receipts.insert(name.to_string(), Receipt { blake3, seconds, steps });
        let text = serde_json::to_vec_pretty(&self.receipts).expect("receipts are plain data");
        write_atomically(&self.path("manifest.json"), &text)
    }
}

fn hash_file(path: &Path) -> Result<String> {
    let bytes = std::fs::read(path).map_err(|e| Error::io(path, "read", &e))?;
    Ok(blake3::hash(&bytes).to_hex().to_string())
}

/// Data file of client `k`.
pub fn client_data(k: usize) -> String {
    format!("clients/{k}/data.nex")
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

/// Objects the server proposes to clients for their round number `round` (from 1).
pub fn proposals_file(round: u32) -> String {
    format!("server/proposals-{round}.nwk")
}
