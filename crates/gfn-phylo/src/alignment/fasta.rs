//! FASTA: reading with the records of the `bio` crate, and writing.

use bio::io::fasta::Reader;
use gfn_core::Result;

use super::assemble::{Positions, assemble, empty_name};
use super::source::Source;
use crate::Alignment;

/// Reads FASTA; a name is the first word after `>`.
pub(super) fn parse(source: &Source) -> Result<Alignment> {
    let start = source.text.find('>').unwrap_or(0);
    let positions = FastaPositions(source);
    let (mut names, mut rows) = (Vec::new(), Vec::new());
    for record in Reader::new(&source.text.as_bytes()[start..]).records() {
        let record = record.map_err(|error| {
            source.error(
                positions.name(names.len()),
                "a FASTA record",
                error.to_string(),
                "begin each sequence with '>' and its name",
            )
        })?;
        // "> name" has an empty first word for `bio`.
        let header = if record.id().is_empty() { record.desc().unwrap_or("") } else { record.id() };
        names.push(header.split_whitespace().next().unwrap_or("").to_string());
        let text = std::str::from_utf8(record.seq()).unwrap_or("");
        rows.push(
            text.chars()
                .filter(|character| !character.is_whitespace())
                .map(|c| c.try_into().unwrap_or(0xff))
                .collect(),
        );
    }
    // The reader takes a bare '>' line without sequence for the end of the file.
    if names.len() < positions.headers().count() {
        return Err(empty_name(source, names.len(), positions.name(names.len())));
    }
    assemble(source, names, rows, &positions, None)
}

/// Finds records again, for messages.
struct FastaPositions<'a>(&'a Source<'a>);

impl FastaPositions<'_> {
    /// Byte offsets of the header lines.
    fn headers(&self) -> impl Iterator<Item = usize> {
        let text = self.0.text.as_str();
        text.match_indices('>')
            .map(|found| found.0)
            .filter(|&at| text[..at].ends_with('\n') || text[..at].trim_start().is_empty())
    }
}

impl Positions for FastaPositions<'_> {
    fn name(&self, row: usize) -> usize {
        self.headers().nth(row).map_or(self.0.text.len(), |at| at + 1)
    }

    fn site(&self, row: usize, site: usize) -> usize {
        let text = self.0.text.as_str();
        let header = self.name(row);
        let body = text[header..].find('\n').map_or(text.len(), |at| header + at);
        let mut characters = text[body..].char_indices().filter(|(_, character)| !character.is_whitespace());
        characters.nth(site).map_or(text.len(), |(at, _)| body + at)
    }
}

/// The alignment as FASTA: full names, lines of 80 characters.
///
/// A name that holds blanks is written as it is, but FASTA readers (this one too) take its first word.
pub fn write_fasta(alignment: &Alignment) -> String {
    let mut text = String::new();
    for (name, row) in alignment.taxa.iter().zip(&alignment.rows) {
        text.push('>');
        text.push_str(name);
        text.push('\n');
        for line in row.chunks(80) {
            text.extend(line.iter().map(|&byte| byte as char));
            text.push('\n');
        }
    }
    text
}
