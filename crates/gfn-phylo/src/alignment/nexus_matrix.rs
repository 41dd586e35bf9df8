//! The MATRIX of a NEXUS data block: rows in sequence or interleaved, sets, match characters.

use gfn_core::{Error, Result};
use rustc_hash::FxHashMap;

use super::assemble::Row;
use super::nexus_text::Cursor;
use super::source::Source;
use crate::{ALL_STATES, state_set};

/// What FORMAT says about the matrix.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct MatrixFormat {
    pub missing: Option<u8>,
    pub gap: Option<u8>,
    pub match_character: Option<u8>,
    pub interleave: bool,
    pub labels: bool,
    /// Characters that stand for an IUPAC code.
    pub equates: Vec<(u8, u8)>,
}

impl Default for MatrixFormat {
    fn default() -> Self {
        MatrixFormat {
            missing: None,
            gap: None,
            match_character: None,
            interleave: false,
            labels: true,
            equates: Vec::new(),
        }
    }
}

/// Marks a match character until the first row is complete; no nucleotide.
const MATCH: char = '\u{1}';

/// The IUPAC code of a set written as its members, `N` if a member is a gap or missing; `None` for other characters.
pub(super) fn code_of_set(members: &str) -> Option<u8> {
    let mut set = 0;
    for member in members.chars().filter(|&c| !c.is_whitespace() && c != ',') {
        set |= state_set(u8::try_from(member).ok()?)?;
    }
    if set == ALL_STATES {
        return Some(b'N');
    }
    b"ACGTRYSWKMBDHV".iter().copied().find(|&code| state_set(code) == Some(set))
}

/// Reads the rows; lengths and names are left to the caller to check, except the number of rows.
pub(super) fn read_matrix(
    source: &Source,
    command: Cursor,
    format: &MatrixFormat,
    n_taxa: Option<usize>,
    n_sites: Option<usize>,
    labels: Option<&[String]>,
) -> Result<Vec<Row>> {
    let reader = MatrixReader { source, format, n_taxa, n_sites, labels };
    let body = &command.text[command.at..];
    let n_lines = body.lines().filter(|line| !line.trim().is_empty()).count();
    let one_line_a_row = n_taxa == Some(n_lines) || n_sites.is_none();
    let mut rows = if format.interleave {
        reader.lines(command, true)?
    } else if one_line_a_row {
        reader.lines(command, false)?
    } else {
        reader.sequential(command)?
    };
    let is_end = |row: &&Row| ["end", "endblock"].iter().any(|word| row.name.eq_ignore_ascii_case(word));
    if let Some(row) = rows.last().filter(|row| row.characters.is_empty()).filter(is_end) {
        return Err(source.error(
            row.name_offset,
            "';' after the last row of the MATRIX",
            row.name.as_str(),
            "end the matrix with a semicolon before END;",
        ));
    }
    reader.resolve_matches(&mut rows)?;
    match n_taxa {
        Some(declared) if declared != rows.len() => Err(source.error(
            command.text.len(),
            format!("{declared} sequences, as DIMENSIONS says"),
            rows.len().to_string(),
            "correct ntax, or complete the matrix; an interleaved matrix needs interleave in FORMAT",
        )),
        _ if rows.is_empty() => {
            Err(source.error(command.at, "sequences in the MATRIX", "none", "complete the matrix"))
        }
        _ => Ok(rows),
    }
}

struct MatrixReader<'a> {
    source: &'a Source<'a>,
    format: &'a MatrixFormat,
    n_taxa: Option<usize>,
    n_sites: Option<usize>,
    labels: Option<&'a [String]>,
}

impl MatrixReader<'_> {
    /// A row on each line; interleaved rows go on where their name comes again.
    fn lines(&self, command: Cursor, interleave: bool) -> Result<Vec<Row>> {
        let mut rows: Vec<Row> = Vec::new();
        let mut row_of_name: FxHashMap<String, usize> = FxHashMap::default();
        let (mut start, mut number) = (command.at, 0);
        for line in command.text[command.at..].split_inclusive('\n') {
            let mut cursor = Cursor { text: &command.text[..start + line.len()], at: start };
            start += line.len();
            if cursor.next().is_none() {
                continue;
            }
            let row = if self.format.labels {
                let name = self.name(&mut cursor)?;
                let known = row_of_name.get(&name.name).copied();
                let first_block = self.n_taxa.is_some_and(|n_taxa| number < n_taxa);
                let full = self.n_taxa.is_some_and(|n_taxa| rows.len() >= n_taxa);
                match known {
                    Some(row) if interleave && !first_block => row,
                    Some(_) if interleave => {
                        return Err(Error::input(
                            self.source.place(name.name_offset).named(format!("taxon {}", name.name)),
                            "distinct names in the first block",
                            format!("duplicate name {}", name.name),
                            "rename or remove one of the two rows, or correct ntax",
                        ));
                    }
                    None if interleave && full => {
                        return Err(self.source.error(
                            name.name_offset,
                            format!("one of the {} names of the first block", rows.len()),
                            format!("\"{}\"", name.name),
                            "correct the name or ntax, or remove interleave from FORMAT",
                        ));
                    }
                    _ => {
                        row_of_name.insert(name.name.clone(), rows.len());
                        rows.push(name);
                        rows.len() - 1
                    }
                }
            } else {
                let row = if interleave { number % self.row_count(cursor.at)? } else { number };
                if row == rows.len() {
                    rows.push(self.unnamed(row, cursor.at)?);
                }
                row
            };
            number += 1;
            self.characters(&mut cursor, &mut rows[row], None)?;
        }
        Ok(rows)
    }

    /// Rows one after the other, each until it has all its sites.
    fn sequential(&self, mut cursor: Cursor) -> Result<Vec<Row>> {
        let mut rows: Vec<Row> = Vec::new();
        while cursor.next().is_some() {
            let mut row = if self.format.labels {
                self.name(&mut cursor)?
            } else {
                self.unnamed(rows.len(), cursor.at)?
            };
            self.characters(&mut cursor, &mut row, self.n_sites)?;
            rows.push(row);
        }
        Ok(rows)
    }

    fn name(&self, cursor: &mut Cursor) -> Result<Row> {
        match cursor.word("") {
            Some(word) => Ok(Row::new(word.text, word.offset)),
            None => Err(self.source.error(
                cursor.at,
                "a name",
                self.source.character(cursor.at),
                "begin each row with a name",
            )),
        }
    }

    /// A row of a matrix without labels: named by TAXLABELS.
    fn unnamed(&self, row: usize, offset: usize) -> Result<Row> {
        match self.labels.and_then(|labels| labels.get(row)) {
            Some(name) => Ok(Row::new(name.as_str(), offset)),
            None => Err(self.source.error(
                offset,
                "names in TAXLABELS for a matrix without labels",
                format!("none for row {}", row + 1),
                "add the names to the rows, or complete the TAXA block",
            )),
        }
    }

    fn row_count(&self, offset: usize) -> Result<usize> {
        self.n_taxa.or(self.labels.map(<[String]>::len)).filter(|&count| count > 0).ok_or_else(|| {
            self.source.error(offset, "ntax= in DIMENSIONS", "none", "complete the DIMENSIONS command")
        })
    }

    /// Reads characters into a row, up to a number of sites or to the end of the text.
    fn characters(&self, cursor: &mut Cursor, row: &mut Row, limit: Option<usize>) -> Result<()> {
        while limit.is_none_or(|limit| row.characters.len() < limit) {
            let Some(character) = cursor.next() else {
                break;
            };
            let offset = cursor.at;
            cursor.at += character.len_utf8();
            if let Some(close) = match character {
                '{' => Some('}'),
                '(' => Some(')'),
                _ => None,
            } {
                let rest = &cursor.text[cursor.at..];
                let Some(length) = rest.find(close) else {
                    return Err(self.source.error(
                        offset,
                        format!("the end of the set, '{close}'"),
                        "none",
                        "close the set",
                    ));
                };
                let members: String = rest[..length].chars().map(|c| self.translate(c)).collect();
                let Some(code) = code_of_set(&members) else {
                    return Err(Error::input(
                        self.source.place(offset).named(format!("taxon {}", row.name)),
                        "a set of nucleotides such as {AC}",
                        format!(
                            "\"{character}{}{close}\" at site {}",
                            &rest[..length],
                            row.characters.len() + 1
                        ),
                        "write the nucleotides, or N",
                    ));
                };
                cursor.at += length + 1;
                row.push(code as char, offset);
            } else {
                row.push(self.translate(character), offset);
            }
        }
        Ok(())
    }

    /// A character of the matrix as the alignment stores it.
    fn translate(&self, character: char) -> char {
        let Ok(byte) = u8::try_from(character) else {
            return character;
        };
        let is = |symbol: Option<u8>| symbol.is_some_and(|symbol| symbol.eq_ignore_ascii_case(&byte));
        let unknown = state_set(byte) != Some(ALL_STATES);
        if is(self.format.match_character) {
            MATCH
        } else if is(self.format.missing) {
            if unknown { '?' } else { character }
        } else if is(self.format.gap) {
            if unknown { '-' } else { character }
        } else {
            let equate = self.format.equates.iter().find(|pair| pair.0 == byte);
            equate.map_or(character, |pair| pair.1 as char)
        }
    }

    /// Replaces match characters by the character of the first row.
    fn resolve_matches(&self, rows: &mut [Row]) -> Result<()> {
        let Some((first, others)) = rows.split_first_mut() else {
            return Ok(());
        };
        if let Some(site) = first.characters.iter().position(|&byte| byte == MATCH as u8) {
            return Err(Error::input(
                self.source.place(first.offset(site)).named(format!("taxon {}", first.name)),
                "a nucleotide, which later rows can match",
                format!("the match character {} in the first row", self.source.character(first.offset(site))),
                "write the first row in full",
            ));
        }
        for row in others {
            for (site, byte) in
                row.characters.iter_mut().enumerate().filter(|(_, byte)| **byte == MATCH as u8)
            {
                *byte = first.characters.get(site).copied().unwrap_or(b'?');
            }
        }
        Ok(())
    }
}
