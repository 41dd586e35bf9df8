//! Objects that the server sends to the clients for an extra round: one name a line.

use std::path::Path;

use gfn_core::domain::Domain;
use gfn_core::tensor_file::write_atomically;
use gfn_core::{EnvSpec, Environment, Error, Place, Result};

use crate::files::read_text;

/// Fewest and most objects that the server sends. Of few, clients learn by heart (docs/experiments.md).
pub const PROPOSALS: (usize, usize) = (4000, 16_000);
/// What their number times that of actions should be: with many actions an object takes long to draw.
const PROPOSAL_ACTIONS: usize = 1_000_000;

/// Objects the server sends to every client for an extra round.
pub fn n_proposals(spec: &EnvSpec) -> usize {
    (PROPOSAL_ACTIONS / spec.n_forward).clamp(PROPOSALS.0, PROPOSALS.1)
}

type ObjectOf<D> = <<D as Domain>::Env as Environment>::State;

/// Writes objects, one name a line.
pub fn write_objects<D: Domain>(path: &Path, domain: &D, objects: &[ObjectOf<D>]) -> Result<()> {
    let lines: Vec<String> = objects.iter().map(|object| domain.object_name(object) + "\n").collect();
    write_atomically(path, lines.concat().as_bytes())
}

/// Reads objects, one name a line; blank lines are passed over. Refuses a file without objects.
pub fn read_objects<D: Domain>(path: &Path, domain: &D) -> Result<Vec<ObjectOf<D>>> {
    let text = read_text(path)?;
    let mut objects = Vec::new();
    for (line, name) in text.lines().enumerate().filter(|(_, l)| !l.trim().is_empty()) {
        let object = domain.parse_object(name.trim()).map_err(|e| {
            let place = Place::file(path).line(line + 1);
            Error::input(place, e.expected(), e.found(), e.advice())
        })?;
        objects.push(object);
    }
    if objects.is_empty() {
        let expected = format!("{}, one a line", domain.objects_word());
        return Err(Error::input(Place::file(path), expected, "none", "use the server's file"));
    }
    Ok(objects)
}
