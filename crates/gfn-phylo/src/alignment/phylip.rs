//! PHYLIP: strict and relaxed names, sequential and interleaved rows, told apart by what fits the header.
//!
//! PHYLIP files do not say which of the layouts they have. Each is tried; one fits if it gives the number of
//! sequences and sites that the header declares, all of valid characters. J. Felsenstein, *Cladistics* 5, 1989.

use gfn_core::{Error, Result, Warning};

use super::assemble::{Row, assemble_rows, invalid_character, looks_like_protein};
use super::source::Source;
use crate::Alignment;

/// How a line splits into name and characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Names {
    /// The name is the first word.
    Relaxed,
    /// The name is the first ten characters, without the blanks around it.
    Strict,
}

/// How rows follow each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Layout {
    /// One sequence after the other, each on one line or several.
    Sequential,
    /// Blocks of a line for each sequence; names in the first block.
    Interleaved,
    /// Blocks of a line for each sequence; names in every block.
    InterleavedNamed,
}

/// A line that is not blank.
#[derive(Debug, Clone, Copy)]
struct Line<'a> {
    offset: usize,
    text: &'a str,
}

impl<'a> Line<'a> {
    /// The name and its offset, then the rest and its offset.
    fn split(self, names: Names) -> (&'a str, usize, &'a str, usize) {
        let (start, end) = match names {
            Names::Relaxed => {
                let start = self.text.len() - self.text.trim_start().len();
                let word = self.text[start..].find(char::is_whitespace);
                (start, word.map_or(self.text.len(), |length| start + length))
            }
            Names::Strict => {
                (0, self.text.char_indices().nth(10).map_or(self.text.len(), |(offset, _)| offset))
            }
        };
        let field = &self.text[start..end];
        let blanks = field.len() - field.trim_start().len();
        (field.trim(), self.offset + start + blanks, &self.text[end..], self.offset + end)
    }
}

/// The text after the header, and what the header declares.
struct Body<'a> {
    source: &'a Source<'a>,
    lines: Vec<Line<'a>>,
    n_taxa: usize,
    n_sites: usize,
    protein: bool,
}

/// Why a layout does not fit, and how far it did.
struct Misfit {
    offset: usize,
    error: Error,
}

/// Reads PHYLIP of any layout.
pub(super) fn parse(source: &Source) -> Result<(Alignment, Vec<Warning>)> {
    let start = source.text.len() - source.text.trim_start().len();
    let header_end = source.text[start..].find('\n').map_or(source.text.len(), |at| start + at);
    let (n_taxa, n_sites, option) = header(source, start, header_end)?;
    let (lines, blank_after) = body_lines(source, header_end);
    let protein = looks_like_protein(lines.iter().flat_map(|line| line.split(Names::Relaxed).2.bytes()));
    let body = Body { source, lines, n_taxa, n_sites, protein };
    let mut layouts = match option {
        Some('I') => vec![Layout::Interleaved, Layout::InterleavedNamed],
        Some(_) => vec![Layout::Sequential],
        None => vec![Layout::Sequential, Layout::Interleaved, Layout::InterleavedNamed],
    };
    if body.lines.len() == n_taxa {
        layouts.truncate(1); // one line a sequence: all layouts are the same
    } else if blank_after == Some(n_taxa) && option.is_none() {
        layouts.rotate_left(1); // a blank line after the first block
    }
    let mut fits: Vec<Vec<Row>> = Vec::new();
    let mut furthest: Option<Misfit> = None;
    for names in [Names::Relaxed, Names::Strict] {
        for &layout in &layouts {
            match body.read(names, layout) {
                Ok(rows) if !fits.iter().any(|other| same(other, &rows)) => fits.push(rows),
                Ok(_) => {}
                Err(misfit) if furthest.as_ref().is_none_or(|other| misfit.offset > other.offset) => {
                    furthest = Some(misfit);
                }
                Err(_) => {}
            }
        }
    }
    let mut warnings = Vec::new();
    if fits.len() > 1 {
        warnings.push(Warning::new(
            format!("this PHYLIP file can be read in {} ways; the first that fits was taken", fits.len()),
            "check names and sequences, or write the alignment as FASTA",
        ));
    }
    match (fits.into_iter().next(), furthest) {
        (Some(rows), _) => Ok((assemble_rows(source, rows, Some(n_sites))?, warnings)),
        (None, Some(misfit)) => Err(body.one_line_a_sequence().unwrap_or(misfit.error)),
        (None, None) => Err(body.wrong_count(source.text.len(), 0)),
    }
}

fn same(left: &[Row], right: &[Row]) -> bool {
    left.iter().zip(right).all(|(left, right)| left.name == right.name && left.characters == right.characters)
}

/// The counts of the header, and the option letter `I` or `S` if there is one.
fn header(source: &Source, start: usize, end: usize) -> Result<(usize, usize, Option<char>)> {
    let text = &source.text[start..end];
    let refuse = |found: String| {
        Err(source.error(
            start,
            "the number of sequences and of sites, such as \"12 898\"",
            found,
            "correct the first line",
        ))
    };
    let mut words = text.split_whitespace();
    let mut count = || words.next().and_then(|word| word.parse::<usize>().ok()).filter(|&count| count > 0);
    let (Some(n_taxa), Some(n_sites)) = (count(), count()) else {
        return refuse(format!("\"{text}\""));
    };
    match words.collect::<Vec<_>>().as_slice() {
        [] => Ok((n_taxa, n_sites, None)),
        [option] if option.eq_ignore_ascii_case("I") => Ok((n_taxa, n_sites, Some('I'))),
        [option] if option.eq_ignore_ascii_case("S") => Ok((n_taxa, n_sites, Some('S'))),
        others => refuse(format!("also \"{}\", which is not supported", others.join(" "))),
    }
}

/// The lines that are not blank, and how many of them precede the first blank line among them.
fn body_lines<'a>(source: &'a Source, header_end: usize) -> (Vec<Line<'a>>, Option<usize>) {
    let (mut lines, mut blank_after, mut offset) = (Vec::new(), None, header_end);
    for text in source.text[header_end..].split_inclusive('\n') {
        if !text.trim().is_empty() {
            lines.push(Line { offset, text: text.trim_end() });
        } else if !lines.is_empty() {
            blank_after.get_or_insert(lines.len());
        }
        offset += text.len();
    }
    let blank_after = blank_after.filter(|&count| count < lines.len());
    (lines, blank_after)
}

impl<'a> Body<'a> {
    fn read(&self, names: Names, layout: Layout) -> std::result::Result<Vec<Row>, Misfit> {
        match layout {
            Layout::Sequential => self.sequential(names),
            Layout::Interleaved => self.interleaved(names, false),
            Layout::InterleavedNamed => self.interleaved(names, true),
        }
    }

    fn sequential(&self, names: Names) -> std::result::Result<Vec<Row>, Misfit> {
        let mut lines = self.lines.iter();
        let mut rows = Vec::new();
        while rows.len() < self.n_taxa {
            let Some(line) = lines.next() else {
                let offset = self.source.text.len();
                return Err(Misfit { offset, error: self.wrong_count(offset, rows.len()) });
            };
            let (name, name_offset, rest, rest_offset) = line.split(names);
            let mut row = Row::new(name, name_offset);
            self.append(&mut row, rest, rest_offset)?;
            while row.characters.len() < self.n_sites {
                let Some(line) = lines.next() else {
                    let offset = self.source.text.len();
                    return Err(Misfit { offset, error: self.wrong_length(&row, offset) });
                };
                self.append(&mut row, line.text, line.offset)?;
            }
            rows.push(row);
        }
        match lines.next() {
            None => Ok(rows),
            Some(line) => Err(self.surplus(line)),
        }
    }

    fn interleaved(&self, names: Names, named: bool) -> std::result::Result<Vec<Row>, Misfit> {
        let mut rows: Vec<Row> = Vec::new();
        for (number, line) in self.lines.iter().enumerate() {
            let (name, name_offset, rest, rest_offset) = line.split(names);
            if number < self.n_taxa {
                let mut row = Row::new(name, name_offset);
                self.append(&mut row, rest, rest_offset)?;
                rows.push(row);
                continue;
            }
            let row = &mut rows[number % self.n_taxa];
            if !named {
                self.append(row, line.text, line.offset)?;
            } else if row.name == name {
                self.append(row, rest, rest_offset)?;
            } else {
                let error = self.source.error(
                    name_offset,
                    format!("the name {} again, in the order of the first block", row.name),
                    format!("\"{name}\""),
                    "repeat the names in every block or in none",
                );
                return Err(Misfit { offset: line.offset, error });
            }
        }
        let end = self.source.text.len();
        if rows.len() < self.n_taxa {
            return Err(Misfit { offset: end, error: self.wrong_count(end, rows.len()) });
        }
        match rows.iter().find(|row| row.characters.len() != self.n_sites) {
            Some(row) => Err(Misfit { offset: end, error: self.wrong_length(row, row.name_offset) }),
            None => Ok(rows),
        }
    }

    /// Appends text to a row unless a character is unknown or the row grows too long.
    fn append(&self, row: &mut Row, text: &str, offset: usize) -> std::result::Result<(), Misfit> {
        let before = row.characters.len();
        row.push_text(text, offset);
        let invalid = row.characters[before..].iter().position(|&byte| crate::state_set(byte).is_none());
        if let Some(site) = invalid.map(|site| before + site).filter(|&site| site < self.n_sites) {
            let offset = row.offset(site);
            return Err(Misfit { offset, error: self.invalid(row, site) });
        }
        if row.characters.len() > self.n_sites {
            let offset = row.offset(self.n_sites);
            return Err(Misfit { offset, error: self.wrong_length(row, offset) });
        }
        Ok(())
    }

    /// The error of a file with one line for each sequence, or fewer: what is wrong there is plain.
    fn one_line_a_sequence(&self) -> Option<Error> {
        let read = |names| -> Vec<Row> {
            let rows = self.lines.iter().map(|line| {
                let (name, name_offset, rest, rest_offset) = line.split(names);
                let mut row = Row::new(name, name_offset);
                row.push_text(rest, rest_offset);
                row
            });
            rows.collect()
        };
        let complete = |row: &Row| row.characters.len() == self.n_sites && row.invalid_site().is_none();
        let fitting = |rows: &[Row]| rows.iter().filter(|row| complete(row)).count();
        let (relaxed, strict) = (read(Names::Relaxed), read(Names::Strict));
        let rows = if fitting(&strict) > fitting(&relaxed) { strict } else { relaxed };
        if rows.len() > self.n_taxa {
            let too_many = rows.iter().take(self.n_taxa).all(complete);
            return too_many.then(|| self.surplus(&self.lines[self.n_taxa]).error);
        }
        if let Some((row, site)) = rows.iter().find_map(|row| row.invalid_site().map(|site| (row, site))) {
            return Some(self.invalid(row, site));
        }
        if rows.len() < self.n_taxa {
            return Some(self.wrong_count(self.source.text.len(), rows.len()));
        }
        // Every sequence has a line and valid characters: the lengths are at fault.
        assemble_rows(self.source, rows, Some(self.n_sites)).err()
    }

    fn invalid(&self, row: &Row, site: usize) -> Error {
        invalid_character(self.source, &row.name, site, row.offset(site), self.protein)
    }

    fn surplus(&self, line: &Line) -> Misfit {
        let error = self.source.error(
            line.offset,
            format!("the end of the file after {} sequences, as the header says", self.n_taxa),
            "more lines",
            "correct the counts in the first line, or remove what follows",
        );
        Misfit { offset: line.offset, error }
    }

    fn wrong_count(&self, offset: usize, found: usize) -> Error {
        self.source.error(
            offset,
            format!("{} sequences, as the header says", self.n_taxa),
            format!("{found}"),
            "the file may be cut off: complete it, or correct the first line",
        )
    }

    fn wrong_length(&self, row: &Row, offset: usize) -> Error {
        Error::input(
            self.source.place(offset).named(format!("taxon {}", row.name)),
            format!("{} sites, as the header says", self.n_sites),
            format!("unequal lengths: {} has {}, expected {}", row.name, row.characters.len(), self.n_sites),
            "complete the sequence, or correct the number of sites in the first line",
        )
    }
}
