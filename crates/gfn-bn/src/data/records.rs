//! CSV text by named columns: separator, header, records, and the place of whatever is wrong.

use std::path::Path;

use csv::{ByteRecord, Reader, ReaderBuilder};
use gfn_core::{Error, Place, Result};

/// A CSV file in memory with its header (the csv crate passes over a byte order mark). Separators are commas, semicolons or tabs, whichever the header has most of.
pub(super) struct CsvFile<'a> {
    path: &'a Path,
    bytes: Vec<u8>,
    separator: u8,
    names: Vec<String>,
}

/// One record below the header, with as many cells.
pub(super) struct Row<'a> {
    file: &'a CsvFile<'a>,
    record: &'a ByteRecord,
    start: usize,
}

impl<'a> CsvFile<'a> {
    /// Reads a file and its header.
    ///
    /// # Errors
    /// A file that cannot be read, is no text, or is empty; column names that are empty or occur twice.
    pub fn open(path: &'a Path) -> Result<Self> {
        let bytes = std::fs::read(path).map_err(|e| Error::io(path, "read", &e))?;
        refuse_other_formats(path, &bytes)?;
        let mut file = CsvFile { path, separator: separator(&bytes), bytes, names: Vec::new() };
        let mut record = ByteRecord::new();
        let Some(start) = file.next(&mut file.reader(), &mut record)? else {
            return Err(Error::input(
                Place::file(path),
                "the names of the columns in the first line",
                "an empty file",
                "leave out a site without data: it has nothing to contribute",
            ));
        };
        let header = Row { file: &file, record: &record, start };
        let mut names: Vec<String> = Vec::with_capacity(record.len());
        for position in 0..record.len() {
            let name = header.cell(position)?;
            let refuse = |expected: &str, found: String, advice: &str| {
                let place = header.line().named(format!("column {}", position + 1));
                Err(Error::input(place, expected, found, advice))
            };
            if name.is_empty() {
                let advice = "name the column, or leave it out: row numbers are no variable";
                return refuse("a name for every column", "an empty one".into(), advice);
            }
            if names.iter().any(|other| other == name) {
                let found = format!("column {name:?} twice");
                return refuse(
                    "a name of its own for every column",
                    found,
                    "rename or leave out one of them",
                );
            }
            names.push(name.to_string());
        }
        file.names = names;
        Ok(file)
    }

    /// Names of the columns, in the order of the file.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// Refuses a first line of numbers: then the header was forgotten.
    pub fn refuse_numbers_as_header(&self) -> Result<()> {
        if self.names.iter().any(|name| name.parse::<f64>().is_err()) {
            return Ok(());
        }
        Err(Error::input(
            Place::file(self.path).line(1),
            "the names of the columns",
            format!("numbers: {}", self.names.join(", ")),
            "add a first line with the names of the columns",
        ))
    }

    /// Where in the file each of `names` is. The file must have these columns and no others, in any order; `origin`
    /// says in messages where the names come from.
    pub fn positions(&self, names: &[String], origin: &str) -> Result<Vec<usize>> {
        let position = |name: &String| self.names.iter().position(|own| own == name);
        if let Some(missing) = names.iter().find(|name| position(name).is_none()) {
            self.refuse_numbers_as_header()?;
            let advice = match self.names.len() {
                1 if names.len() > 1 => "separate the columns by commas, semicolons or tabs",
                _ => "name the columns alike at all sites; every site needs all of them",
            };
            return Err(Error::input(
                Place::file(self.path).line(1).named(format!("column {missing:?}")),
                format!("a column of this name, as in {origin}"),
                format!("columns {}", self.names.join(", ")),
                advice,
            ));
        }
        if let Some(extra) = self.names.iter().find(|name| !names.contains(name)) {
            return Err(Error::input(
                Place::file(self.path).line(1).named(format!("column {extra:?}")),
                format!("the columns of {origin} and no others: {}", names.join(", ")),
                "one more",
                "leave it out of the file, or let all sites have it",
            ));
        }
        Ok(names.iter().filter_map(position).collect())
    }

    /// Visits the records below the header, of which there is at least one, in order. Blank lines are no records.
    ///
    /// # Errors
    /// No records, and those of [`visit_rows_or_none`](Self::visit_rows_or_none).
    pub fn visit_rows(&self, visit: impl FnMut(&Row) -> Result<()>) -> Result<()> {
        if self.visit_rows_or_none(visit)? == 0 {
            return Err(Error::input(
                Place::file(self.path),
                "at least one row below the header",
                "a header only",
                "leave out a site without data: it has nothing to contribute",
            ));
        }
        Ok(())
    }

    /// Visits the records below the header, if any, and returns their number.
    ///
    /// # Errors
    /// Records with more or fewer cells than the header, a quote that is never closed, and what the visitor refuses.
    pub fn visit_rows_or_none(&self, mut visit: impl FnMut(&Row) -> Result<()>) -> Result<usize> {
        let (mut reader, mut record) = (self.reader(), ByteRecord::new());
        self.next(&mut reader, &mut record)?;
        let mut n_rows = 0;
        while let Some(start) = self.next(&mut reader, &mut record)? {
            let row = Row { file: self, record: &record, start };
            if record.len() != self.names.len() {
                if record.len() == 1 && row.cell(0)?.is_empty() {
                    continue;
                }
                return Err(Error::input(
                    row.line(),
                    format!("{} cells, one for each name of the header", self.names.len()),
                    record.len().to_string(),
                    "complete the line; a missing value is an empty cell, and a cell with a separator in it is quoted",
                ));
            }
            visit(&row)?;
            n_rows += 1;
        }
        Ok(n_rows)
    }

    fn reader(&self) -> Reader<&[u8]> {
        ReaderBuilder::new()
            .has_headers(false)
            .flexible(true)
            .delimiter(self.separator)
            .from_reader(&self.bytes)
    }

    /// Reads a record; returns the offset at which it begins, `None` at the end of the file.
    fn next(&self, reader: &mut Reader<&[u8]>, record: &mut ByteRecord) -> Result<Option<usize>> {
        let more =
            reader.read_byte_record(record).expect("flexible records of bytes in memory can all be read");
        if !more {
            return Ok(None);
        }
        // The position is that of the end of the record before: its line end, and blank lines, may still come.
        let end_of_previous = record.position().map_or(0, |position| position.byte() as usize);
        let is_line_end = |byte: &&u8| matches!(byte, b'\n' | b'\r');
        let start = end_of_previous + self.bytes[end_of_previous..].iter().take_while(is_line_end).count();
        // A quote that is never closed swallows the rest of the file.
        if reader.position().byte() as usize == self.bytes.len()
            && record.iter().any(|cell| cell.contains(&b'\n'))
        {
            let quotes = self.bytes[start..].iter().filter(|&&byte| byte == b'"').count();
            if quotes % 2 == 1 {
                return Err(Error::input(
                    self.line(start),
                    "a second quotation mark for every first one",
                    "one that is not closed",
                    "close or remove it",
                ));
            }
        }
        Ok(Some(start))
    }

    /// The line at an offset. Lines end in `\n`, `\r\n` or `\r`, quoted or not, as they do in an editor.
    fn line(&self, offset: usize) -> Place {
        let ends_line = |&at: &usize| match self.bytes[at] {
            b'\n' => true,
            b'\r' => self.bytes.get(at + 1) != Some(&b'\n'),
            _ => false,
        };
        Place::file(self.path).line((0..offset).filter(ends_line).count() + 1)
    }
}

impl Row<'_> {
    /// The text of the cell at this position, without blanks or quotation marks around it.
    pub fn cell(&self, position: usize) -> Result<&str> {
        let bytes = &self.record[position];
        let text = std::str::from_utf8(bytes).map_err(|error| {
            let byte = bytes[error.valid_up_to()];
            Error::input(
                self.place(position),
                "text in UTF-8",
                format!("the byte 0x{byte:02X}, which is not UTF-8"),
                "save the file as UTF-8",
            )
        })?;
        Ok(clean(text))
    }

    /// The line of the record, at its beginning.
    pub fn line(&self) -> Place {
        self.file.line(self.start)
    }

    /// The place of a cell: file, line and name of the column.
    pub fn place(&self, position: usize) -> Place {
        let name = self.file.names.get(position);
        let column = name.map_or_else(|| (position + 1).to_string(), |name| format!("{name:?}"));
        self.line().named(format!("column {column}"))
    }
}

/// A name or value as it is compared: without blanks around it, and without the quotation marks that stay where blanks
/// come before them (`a, "b"`).
pub(super) fn clean(text: &str) -> &str {
    let text = text.trim();
    text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).map_or(text, str::trim)
}

/// Whether a cell says that its value is missing.
pub(super) fn is_missing(cell: &str) -> bool {
    matches!(cell, "" | "NA" | "NaN" | "nan" | "." | "?")
}

/// A cell for messages: quoted, and shortened if long.
pub(super) fn shown(cell: &str) -> String {
    const LONGEST: usize = 40;
    match cell.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{:?} …", &cell[..end]),
        None => format!("{cell:?}"),
    }
}

/// The separator that the first line has most of outside quotation marks; a comma where it has none.
fn separator(bytes: &[u8]) -> u8 {
    const CANDIDATES: [u8; 3] = [b',', b';', b'\t'];
    let mut counts = [0; CANDIDATES.len()];
    let mut quoted = false;
    for byte in bytes.iter().skip_while(|byte| matches!(byte, b'\n' | b'\r')) {
        match byte {
            b'"' => quoted = !quoted,
            b'\n' | b'\r' if !quoted => break,
            _ if quoted => {}
            _ => CANDIDATES.iter().zip(&mut counts).for_each(|(c, count)| *count += usize::from(c == byte)),
        }
    }
    let most = counts.iter().max().copied().unwrap_or(0);
    CANDIDATES[counts.iter().position(|&count| count == most).unwrap_or(0)]
}

/// Refuses what is known to be no CSV text, with the way to get there.
fn refuse_other_formats(path: &Path, bytes: &[u8]) -> Result<()> {
    let (found, advice) = match bytes {
        [b'P', b'K', 3, 4, ..] => ("a spreadsheet or zip archive", "export the table as CSV"),
        [0x1f, 0x8b, ..] => ("a gzip-compressed file", "decompress it first: gunzip FILE"),
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => ("text in UTF-16", "save the file as UTF-8"),
        _ if bytes.iter().take(4096).any(|&byte| byte == 0) => ("a binary file", "give a CSV file"),
        _ => return Ok(()),
    };
    Err(Error::input(Place::file(path), "CSV text in UTF-8", found, advice))
}
