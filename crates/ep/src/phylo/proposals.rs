//! Trees that the server sends to the clients for an extra round: one Newick line each.

use std::path::Path;

use gfn_core::domain::Domain;
use gfn_core::tensor_file::write_atomically;
use gfn_core::{Error, Place, Result};
use gfn_phylo::{Forest, TreeDomain};

use crate::files::read_text;

/// Objects the server sends to every client for an extra round.
pub const PROPOSALS: usize = 4000;

/// Writes trees, one Newick line each.
pub fn write_trees(path: &Path, domain: &TreeDomain, objects: &[Forest]) -> Result<()> {
    let lines: Vec<String> = objects.iter().map(|object| domain.object_name(object) + "\n").collect();
    write_atomically(path, lines.concat().as_bytes())
}

/// Reads trees, one Newick line each.
pub fn read_trees(path: &Path, domain: &TreeDomain) -> Result<Vec<Forest>> {
    let text = read_text(path)?;
    let mut objects = Vec::new();
    for (line, tree) in text.lines().enumerate().filter(|(_, l)| !l.trim().is_empty()) {
        let object = domain.parse_object(tree.trim()).map_err(|e| {
            let place = Place::file(path).line(line + 1);
            Error::input(place, e.expected(), e.found(), e.advice())
        })?;
        objects.push(object);
    }
    if objects.is_empty() {
        return Err(Error::input(Place::file(path), "at least one tree", "none", "use the server's file"));
    }
    Ok(objects)
}
