//! A client's table from its CSV file; the header says of which kind it is.

mod csv_file;
mod kmers;
mod motifs;
mod positions;

use std::path::Path;
use std::sync::Arc;

use gfn_core::{Error, Result, Warning};

use crate::alphabet::Alphabet;
use crate::environment::Sequences;
use crate::reward::Stepwise;
use csv_file::CsvFile;

/// A client's reward, as read from its file.
pub struct ClientTable {
    /// log R_n.
    pub reward: Arc<dyn Stepwise>,
    /// What it is, in a line.
    pub description: String,
    /// What the user should know.
    pub warnings: Vec<Warning>,
}

/// Reads a client's CSV file: UTF-8, names of columns in the first line in any order, separated by commas, semicolons or
/// tabs; blank lines are passed over.
///
/// | columns | reward |
/// |---|---|
/// | `position,letter,value`, or `position` and one column for each letter | [`PositionWeights`](crate::PositionWeights) |
/// | `kmer,log_probability` | [`KmerModel`](crate::KmerModel) |
/// | `motif,bonus` and, if wanted, `count` | [`MotifBonus`](crate::MotifBonus) |
///
/// # Errors
/// Bad input, with file, line and column: no file, no text, other columns, no rows; letters that are not of the alphabet,
/// positions beyond the length, what is missing or there twice, numbers that are none or infinite, k-mers of different
/// lengths, motifs that are longer than sequences.
pub fn read_client_table(path: &Path, alphabet: &Alphabet, env: &Sequences) -> Result<ClientTable> {
    let file = CsvFile::open(path)?;
    let has = |name: &str| file.names.iter().any(|own| own == name);
    if has("kmer") {
        return kmers::read(&file, alphabet, env);
    }
    if has("motif") {
        return motifs::read(&file, alphabet, env);
    }
    if has("position") {
        return positions::read(&file, alphabet, env);
    }
    Err(Error::input(
        file.place(1),
        "a header of one of these: position,letter,value; position and the letters; kmer,log_probability; motif,bonus",
        file.names.join(","),
        "name the columns so",
    ))
}
