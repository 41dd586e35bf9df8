//! From named rows to a checked alignment: the content errors all formats share, with their places.

use gfn_core::{Error, Result};
use rustc_hash::FxHashMap;

use super::source::Source;
use crate::{Alignment, state_set};

/// Where the parts of an alignment stand in the text; asked only for messages.
pub(super) trait Positions {
    /// Byte offset of the name of a row.
    fn name(&self, row: usize) -> usize;
    /// Byte offset of a character.
    fn site(&self, row: usize, site: usize) -> usize;
}

/// A row under construction: its characters and where they stand.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Row {
    pub name: String,
    pub name_offset: usize,
    pub characters: Vec<u8>,
    /// Stretches of neighbouring characters: first site and byte offset.
    runs: Vec<(usize, usize)>,
}

/// Stands for a character outside ASCII; no nucleotide.
const FOREIGN: u8 = 0xff;

impl Row {
    pub fn new(name: impl Into<String>, name_offset: usize) -> Row {
        Row { name: name.into(), name_offset, ..Row::default() }
    }

    /// Appends the character that stands at a byte offset.
    pub fn push(&mut self, character: char, offset: usize) {
        let site = self.characters.len();
        self.characters.push(if character.is_ascii() { character as u8 } else { FOREIGN });
        match self.runs.last() {
            Some(&(first_site, first_offset)) if first_offset + (site - first_site) == offset => {}
            _ => self.runs.push((site, offset)),
        }
    }

    /// Appends a piece of text that begins at a byte offset, without its blanks.
    pub fn push_text(&mut self, text: &str, offset: usize) {
        for (at, character) in text.char_indices().filter(|(_, character)| !character.is_whitespace()) {
            self.push(character, offset + at);
        }
    }

    /// Byte offset of a site.
    pub fn offset(&self, site: usize) -> usize {
        let run = self.runs.partition_point(|&(first_site, _)| first_site <= site);
        run.checked_sub(1).map_or(self.name_offset, |run| self.runs[run].1 + (site - self.runs[run].0))
    }

    /// The first site that holds no nucleotide, ambiguity code or gap.
    pub fn invalid_site(&self) -> Option<usize> {
        self.characters.iter().position(|&byte| state_set(byte).is_none())
    }
}

impl Positions for [Row] {
    fn name(&self, row: usize) -> usize {
        self[row].name_offset
    }

    fn site(&self, row: usize, site: usize) -> usize {
        self[row].offset(site)
    }
}

/// The alignment of the rows, which must all have the length that a header declares, if one does.
pub(super) fn assemble_rows(
    source: &Source,
    mut rows: Vec<Row>,
    declared: Option<usize>,
) -> Result<Alignment> {
    let names = rows.iter_mut().map(|row| std::mem::take(&mut row.name)).collect();
    let characters = rows.iter_mut().map(|row| std::mem::take(&mut row.characters)).collect();
    assemble(source, names, characters, rows.as_slice(), declared)
}

/// Checks names, characters and lengths, in this order, and builds the alignment.
pub(super) fn assemble<P: Positions + ?Sized>(
    source: &Source,
    names: Vec<String>,
    rows: Vec<Vec<u8>>,
    positions: &P,
    declared: Option<usize>,
) -> Result<Alignment> {
    check_names(source, &names, positions)?;
    for (number, (name, row)) in names.iter().zip(&rows).enumerate() {
        if let Some(site) = row.iter().position(|&byte| state_set(byte).is_none()) {
            let protein = looks_like_protein(rows.iter().flatten().copied());
            return Err(invalid_character(source, name, site, positions.site(number, site), protein));
        }
    }
    check_lengths(source, &names, &rows, positions, declared)?;
    if names.len() < 2 {
        return Err(source.error(
            positions.name(0),
            "at least 2 sequences",
            "1",
            "an alignment compares sequences: add the others",
        ));
    }
    Alignment::new(names, rows).map_err(|error| error.in_file(source.file))
}

fn check_names<P: Positions + ?Sized>(source: &Source, names: &[String], positions: &P) -> Result<()> {
    let mut seen = FxHashMap::default();
    for (number, name) in names.iter().enumerate() {
        let at = || positions.name(number);
        if name.is_empty() {
            return Err(empty_name(source, number, at()));
        }
        if let Some(first) = seen.insert(name.as_str(), number) {
            let line = source.place(positions.name(first)).line.unwrap_or(0);
            return Err(Error::input(
                source.place(at()).named(format!("taxon {name}")),
                "distinct names",
                format!("duplicate name {name}, first in line {line}"),
                "rename or remove one of the two sequences; in FASTA the name ends at the first blank",
            ));
        }
    }
    Ok(())
}

fn check_lengths<P: Positions + ?Sized>(
    source: &Source,
    names: &[String],
    rows: &[Vec<u8>],
    positions: &P,
    declared: Option<usize>,
) -> Result<()> {
    let Some(first) = rows.first().map(Vec::len) else {
        return Ok(());
    };
    let all_have = |length| rows.iter().all(|row| row.len() == length);
    if let Some(declared) =
        declared.filter(|&declared| first != declared && rows.len() > 1 && all_have(first))
    {
        return Err(source.error(
            positions.name(0),
            format!("{declared} sites, as the header says"),
            format!("{first} in every sequence"),
            "correct the number of sites in the header, or complete the sequences",
        ));
    }
    let expected = declared.unwrap_or(first);
    if let Some((number, row)) = rows.iter().enumerate().find(|(_, row)| row.len() != expected) {
        let whose = if declared.is_some() { "as the header says" } else { "as the first sequence has" };
        return Err(Error::input(
            source.place(positions.name(number)).named(format!("taxon {}", names[number])),
            format!("{expected} sites, {whose}"),
            format!("unequal lengths: {} has {}, expected {expected}", names[number], row.len()),
            "align the sequences first, or complete the file",
        ));
    }
    if expected == 0 {
        return Err(source.error(
            positions.name(0),
            "at least one site",
            "empty sequences",
            "check that the file is complete",
        ));
    }
    Ok(())
}

/// The error of a sequence without a name; rows are numbered from 0.
pub(super) fn empty_name(source: &Source, number: usize, offset: usize) -> Error {
    Error::input(
        source.place(offset).named(format!("sequence number {}", number + 1)),
        "a name",
        "an empty name",
        "name every sequence",
    )
}

/// The error of a character that is no nucleotide; sites are numbered from 0.
pub(super) fn invalid_character(
    source: &Source,
    name: &str,
    site: usize,
    offset: usize,
    protein: bool,
) -> Error {
    let found = source.character(offset);
    Error::input(
        source.place(offset).named(format!("taxon {name}")),
        "a nucleotide, an IUPAC code or a gap",
        format!("invalid character {found} at sequence {name}, site {}", site + 1),
        if protein {
            "this looks like a protein alignment: only nucleotides are supported"
        } else {
            "correct the character, or write N where it is unknown"
        },
    )
}

/// Whether letters that only amino acids use are more than the odd typing error.
pub(super) fn looks_like_protein(characters: impl Iterator<Item = u8>) -> bool {
    let (mut letters, mut amino, mut kinds) = (0_usize, 0_usize, 0_u32);
    for byte in characters.map(|byte| byte.to_ascii_uppercase()).filter(u8::is_ascii_uppercase) {
        letters += 1;
        if b"EFILPQZ".contains(&byte) {
            amino += 1;
            kinds |= 1 << (byte - b'A');
        }
    }
    kinds.count_ones() >= 2 || 20 * amino > letters
}
