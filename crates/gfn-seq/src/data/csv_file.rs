//! A CSV file in memory: columns by name, and the place of whatever is wrong.

use std::path::{Path, PathBuf};

use csv::{ReaderBuilder, StringRecord};
use gfn_core::{Error, Place, Result};

/// The file's header and its rows.
pub struct CsvFile {
    path: PathBuf,
    /// Names of the columns.
    pub names: Vec<String>,
    /// The rows below the header, at least one, each with a cell for every column.
    pub rows: Vec<Row>,
}

/// A row.
pub struct Row {
    /// Its line in the file, from 1.
    pub line: usize,
    cells: StringRecord,
}

impl Row {
    /// The text of a cell, without blanks around it.
    pub fn cell(&self, column: usize) -> &str {
        &self.cells[column]
    }
}

impl CsvFile {
    /// Reads a file.
    pub fn open(path: &Path) -> Result<Self> {
        let bytes = std::fs::read(path).map_err(|e| Error::io(path, "read", &e))?;
        let text = String::from_utf8(bytes).map_err(|e| {
            let line =
                e.as_bytes()[..e.utf8_error().valid_up_to()].iter().filter(|b| **b == b'\n').count() + 1;
            let advice = "save the table as CSV in UTF-8";
            Error::input(Place::file(path).line(line), "CSV text in UTF-8", "other bytes", advice)
        })?;
        let mut records = records(&text).into_iter();
        let Some(header) = records.next() else {
            let expected = "the names of the columns in the first line";
            return Err(Error::input(Place::file(path), expected, "an empty file", "check the file"));
        };
        let names: Vec<String> = header.cells.iter().map(str::to_string).collect();
        let file = CsvFile { path: path.to_path_buf(), names, rows: records.collect() };
        let twice = file.names.iter().enumerate().find(|(k, name)| file.names[..*k].contains(name));
        if let Some((_, name)) = twice {
            return Err(Error::input(
                file.place(header.line),
                "a name of its own for every column",
                format!("column {name:?} twice"),
                "leave out one of them",
            ));
        }
        if file.rows.is_empty() {
            return Err(Error::input(
                Place::file(path),
                "at least one row below the header",
                "a header only",
                "leave out a client that wants nothing",
            ));
        }
        if let Some(ragged) = file.rows.iter().find(|row| row.cells.len() != file.names.len()) {
            return Err(Error::input(
                file.place(ragged.line),
                format!("{} cells, one for each name of the header", file.names.len()),
                ragged.cells.len().to_string(),
                "complete the line",
            ));
        }
        Ok(file)
    }

    /// A line of the file.
    pub fn place(&self, line: usize) -> Place {
        Place::file(&self.path).line(line)
    }

    /// A cell of the file.
    pub fn place_of(&self, row: &Row, column: usize) -> Place {
        self.place(row.line).named(format!("column {:?}", self.names[column]))
    }

    /// The whole file, in messages about what it lacks.
    pub fn whole(&self) -> Place {
        Place::file(&self.path)
    }

    /// Where the columns `required` and, if they are there, `optional` are. Refuses files without one of the first and
    /// with others than these.
    pub fn columns(&self, required: &[&str], optional: &[&str]) -> Result<(Vec<usize>, Vec<Option<usize>>)> {
        let find = |name: &&str| self.names.iter().position(|own| own == name);
        let known = || [required, optional].concat();
        let refuse = |name: &str, found: &str| {
            let place = self.place(1).named(format!("column {name:?}"));
            let expected = format!("the columns {}", known().join(", "));
            Err(Error::input(place, expected, found, "name the columns so, and leave out others"))
        };
        if let Some(missing) = required.iter().find(|name| find(name).is_none()) {
            return refuse(missing, "none of this name");
        }
        if let Some(other) = self.names.iter().find(|name| !known().contains(&name.as_str())) {
            return refuse(other, "one more");
        }
        Ok((required.iter().filter_map(find).collect(), optional.iter().map(find).collect()))
    }

    /// The finite number in a cell.
    pub fn number(&self, row: &Row, column: usize) -> Result<f64> {
        let cell = row.cell(column);
        match cell.parse::<f64>() {
            Ok(number) if number.is_finite() => Ok(number),
            _ => Err(Error::input(
                self.place_of(row, column),
                "a finite number",
                format!("{cell:?}"),
                "write a number with a decimal point, such as -0.5",
            )),
        }
    }

    /// Something that may stand in the file once is there again.
    pub fn twice(&self, row: &Row, column: usize, what: &str, first_line: usize) -> Error {
        Error::input(
            self.place_of(row, column),
            format!("each {what} once"),
            format!("{:?} again, after line {first_line}", row.cell(column)),
            "leave out one of them",
        )
    }
}

/// All records of a text with the lines they begin in; blank lines are none.
fn records(text: &str) -> Vec<Row> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut reader = ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .trim(csv::Trim::All)
        .delimiter(separator(text))
        .from_reader(text.as_bytes());
    let mut rows = Vec::new();
    let mut record = StringRecord::new();
    let (mut line, mut counted) = (1, 0);
    while reader.read_record(&mut record).expect("flexible records of text in memory can all be read") {
        // The position is that of the end of the record before: its line end, and blank lines, may still come.
        let end = record.position().map_or(0, |position| position.byte() as usize);
        let rest = &text.as_bytes()[end..];
        let start = end + rest.iter().take_while(|byte| matches!(byte, b'\n' | b'\r')).count();
        line += text.as_bytes()[counted..start].iter().filter(|byte| **byte == b'\n').count();
        counted = start;
        if record.iter().any(|cell| !cell.is_empty()) {
            rows.push(Row { line, cells: record.clone() });
        }
    }
    rows
}

/// The separator that the first line has most of; a comma where it has none.
fn separator(text: &str) -> u8 {
    let header = text.lines().find(|line| !line.trim().is_empty()).unwrap_or_default();
    let count = |separator: &&u8| header.bytes().filter(|byte| byte == *separator).count();
    // Of equal counts the last one is taken.
    *[b'\t', b';', b','].iter().max_by_key(count).expect("three candidates")
}
