//! Reading files that the user named, and quoting fields of CSV files.

use std::path::Path;

use gfn_core::{Error, Place, Result};

/// The path of a file to be read. A folder in its place is wrong input, not a failure of the machine.
pub fn input_file(path: &Path) -> Result<&Path> {
    if path.is_dir() {
        return Err(Error::input(Place::file(path), "a file", "a folder", "name a file in it"));
    }
    Ok(path)
}

/// The text of a file. One that is no text is wrong input, too.
pub fn read_text(path: &Path) -> Result<String> {
    std::fs::read_to_string(input_file(path)?).map_err(|e| {
        if e.kind() == std::io::ErrorKind::InvalidData {
            return Error::input(Place::file(path), "plain text in UTF-8", "other bytes", "check the file");
        }
        Error::io(path, "read", &e)
    })
}

/// A CSV field, quoted where it has to be.
pub fn quoted(field: &str) -> String {
    if field.contains([',', '"', '\n', '\r']) {
        format!("\"{}\"", field.replace('"', "\"\""))
    } else {
        field.to_string()
    }
}
