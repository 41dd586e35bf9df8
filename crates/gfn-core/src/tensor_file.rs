//! Files of named f32 arrays with a JSON description (safetensors), written atomically and read strictly.

use std::collections::HashMap;
use std::io::{Read, Write};
use std::path::Path;

use safetensors::SafeTensors;
use safetensors::tensor::{Dtype, TensorView};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::error::{Error, ErrorKind, Place, Result};
use crate::policy::{NamedTensor, TensorMap};

/// Key of the JSON description in the file's metadata.
const DESCRIPTION: &str = "description";
/// Field of the description with the hash of everything else in the file.
const CHECKSUM: &str = "checksum";
/// Larger files are refused before they are read, and not written.
const MAX_FILE_BYTES: u64 = 1 << 33;
/// A longer header is refused before it is parsed: a million empty tensors cost a parser seconds and gigabytes.
const MAX_HEADER_BYTES: u64 = 1 << 26;
const MAX_TENSORS: usize = 10_000;

/// Writes `bytes` under a temporary name in the same folder, flushes it to the disk and renames it.
///
/// A reader sees the old file or the whole new one; after a crash nothing half-written has the name.
pub fn write_atomically(path: &Path, bytes: &[u8]) -> Result<()> {
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    std::fs::create_dir_all(folder).map_err(|e| Error::io(folder, "make", &e))?;
    let fail = |e: &std::io::Error| Error::io(path, "write", e);
    let mut builder = tempfile::Builder::new();
    builder.prefix(".partial-");
    // Results are files like any other: the user's umask decides who reads them, not the habits of temporary files.
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    let mut file = builder.tempfile_in(folder).map_err(|e| fail(&e))?;
    file.write_all(bytes).map_err(|e| fail(&e))?;
    file.as_file().sync_all().map_err(|e| fail(&e))?;
    file.persist(path).map_err(|e| fail(&e.error))?;
    Ok(())
}

/// Writes a description, which must be a structure with fields, and tensors.
pub fn save(path: &Path, description: &impl Serialize, tensors: &[NamedTensor]) -> Result<()> {
    let mut fields = match serde_json::to_value(description) {
        Ok(Value::Object(fields)) => fields,
        Ok(other) => return Err(broken(path, "a description with fields", &other.to_string())),
        Err(error) => return Err(broken(path, "a description that can be written", &error.to_string())),
    };
    let bytes: Vec<Vec<u8>> =
        tensors.iter().map(|t| t.values.iter().flat_map(|v| v.to_le_bytes()).collect()).collect();
    let mut views = Vec::with_capacity(tensors.len());
    for (tensor, bytes) in tensors.iter().zip(&bytes) {
        let view = TensorView::new(Dtype::F32, tensor.shape.clone(), bytes)
            .map_err(|e| broken(path, "consistent shapes", &e.to_string()))?;
        views.push((tensor.name.as_str(), view));
    }
    fields.insert(CHECKSUM.into(), checksum(&fields, &mut views).into());
    let metadata = HashMap::from([(DESCRIPTION.to_string(), Value::Object(fields).to_string())]);
    let size: usize = bytes.iter().map(Vec::len).sum();
    if size as u64 > MAX_FILE_BYTES - MAX_HEADER_BYTES {
        return Err(Error::input(
            Place::file(path),
            format!("at most {MAX_FILE_BYTES} bytes"),
            format!("{size}"),
            "use fewer clients, or a smaller network",
        ));
    }
    let file = safetensors::serialize(views, Some(metadata))
        .map_err(|e| broken(path, "tensors that can be written", &e.to_string()))?;
    write_atomically(path, &file)
}

/// BLAKE3 of the description without its checksum and of the tensors by name: safetensors has none of its own, and a
/// damaged number is a number like any other.
fn checksum(fields: &Map<String, Value>, tensors: &mut [(&str, TensorView)]) -> String {
    let mut hasher = blake3::Hasher::new();
    let mut add = |part: &[u8]| {
        hasher.update(&(part.len() as u64).to_le_bytes());
        hasher.update(part);
    };
    for (name, value) in fields {
        add(name.as_bytes());
        add(value.to_string().as_bytes());
    }
    tensors.sort_by_key(|(name, _)| *name);
    for (name, tensor) in tensors {
        add(name.as_bytes());
        add(format!("{:?}", tensor.shape()).as_bytes());
        add(tensor.data());
    }
    hasher.finalize().to_hex().to_string()
}

/// Reads a description and tensors; sizes are checked before anything is parsed.
pub fn load<T: DeserializeOwned>(path: &Path) -> Result<(T, TensorMap)> {
    let file = std::fs::File::open(path).map_err(|e| Error::io(path, "open", &e))?;
    let length = file.metadata().map_err(|e| Error::io(path, "read", &e))?.len();
    if length > MAX_FILE_BYTES {
        return Err(broken(path, "at most 1 GiB", &format!("{length} bytes")));
    }
    let mut bytes = Vec::new();
    file.take(MAX_FILE_BYTES).read_to_end(&mut bytes).map_err(|e| Error::io(path, "read", &e))?;
    let header = bytes.first_chunk::<8>().map(|b| u64::from_le_bytes(*b));
    if !header.is_some_and(|h| h <= MAX_HEADER_BYTES && h + 8 <= bytes.len() as u64) {
        return Err(broken(path, "a whole safetensors file", &format!("{length} bytes of something else")));
    }
    let damaged = |e: &dyn std::fmt::Display| broken(path, "a whole safetensors file", &e.to_string());
    let (_, metadata) = SafeTensors::read_metadata(&bytes).map_err(|e| damaged(&e))?;
    let text = metadata
        .metadata()
        .as_ref()
        .and_then(|m| m.get(DESCRIPTION))
        .ok_or_else(|| broken(path, "a description in its header", "none"))?;
    let mut fields: Map<String, Value> =
        serde_json::from_str(text).map_err(|e| broken(path, "a description in JSON", &e.to_string()))?;
    let parsed = SafeTensors::deserialize(&bytes).map_err(|e| damaged(&e))?;
    if parsed.len() > MAX_TENSORS {
        return Err(broken(path, "at most 10000 tensors", &parsed.len().to_string()));
    }
    let mut views: Vec<(&str, TensorView)> = parsed.iter().collect();
    let expected = fields.remove(CHECKSUM);
    if expected != Some(Value::String(checksum(&fields, &mut views))) {
        return Err(broken(path, "contents that agree with their checksum", "others: the file is damaged"));
    }
    let description = serde_json::from_value(Value::Object(fields))
        .map_err(|e| broken(path, "a description of this version", &e.to_string()))?;
    let mut tensors = TensorMap::default();
    for (name, view) in views {
        if view.dtype() != Dtype::F32 {
            return Err(broken(path, "f32 numbers", &format!("{:?} in tensor {name}", view.dtype())));
        }
        let values =
            view.data().chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect();
        let shape = view.shape().to_vec();
        tensors.insert(name.into(), NamedTensor { name: name.into(), shape, values });
    }
    Ok((description, tensors))
}

fn broken(path: &Path, expected: &str, found: &str) -> Error {
    Error::new(ErrorKind::Input, Place::file(path), expected, found, "write the file again with this version")
}
