//! A client's file: the values of items and, optionally, of pairs of items, as CSV with named columns.

use std::collections::HashMap;
use std::path::Path;

use gfn_core::{Error, Place, Result};

/// The values in a client's file, by the names of the items, as they stand there.
#[derive(Debug, Clone, PartialEq)]
pub struct ValueTable {
    /// The lines of the file.
    pub rows: Vec<ValueRow>,
}

/// A line of a client's file.
#[derive(Debug, Clone, PartialEq)]
pub struct ValueRow {
    /// Its number, from 1.
    pub line: usize,
    /// The item.
    pub item: String,
    /// The other item of a pair; none where the value is the item's own.
    pub with: Option<String>,
    /// The value, finite (natural log).
    pub value: f64,
}

impl ValueTable {
    /// Reads a file with the columns `item`, `value` and, where pairs have values, `with`, in any order.
    ///
    /// Separators are commas, semicolons or tabs, whichever the first line has most of; cells may be quoted; blank lines
    /// are passed over.
    ///
    /// # Errors
    /// With file, line and column: other columns, or one of these missing or twice; no lines below the header; lines of
    /// another length; items without a name; values that are no finite numbers; an item or a pair for the second time.
    pub fn read(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path).map_err(|error| match error.kind() {
            std::io::ErrorKind::InvalidData => Error::input(
                Place::file(path),
                "text in UTF-8",
                "other bytes",
                "export the table as CSV in UTF-8",
            ),
            _ => Error::io(path, "read", &error),
        })?;
        let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
        let mut lines = (1..).zip(text.lines()).filter(|(_, line)| !line.trim().is_empty());
        let Some((first, header)) = lines.next() else {
            let expected = "the columns `item` and `value` in the first line";
            return Err(Error::input(
                Place::file(path),
                expected,
                "an empty file",
                "give the client's values",
            ));
        };
        let separator = separator(header);
        let names = cells(header, separator);
        let columns = Columns::find(path, first, &names)?;
        let mut rows: Vec<ValueRow> = Vec::new();
        let mut lines_of: HashMap<String, usize> = HashMap::new();
        for (line, text) in lines {
            let cells = cells(text, separator);
            if cells.len() != names.len() {
                return Err(Error::input(
                    Place::file(path).line(line),
                    format!("{} cells, as in the header", names.len()),
                    cells.len().to_string(),
                    "complete the line; a name with a separator in it is quoted",
                ));
            }
            let row = columns.row(path, line, &cells)?;
            if let Some(before) = lines_of.insert(row.subject(), line) {
                return Err(Error::input(
                    Place::file(path).line(line),
                    "every item and every pair once",
                    format!("{} again, after line {before}", row.subject()),
                    "remove one of the lines",
                ));
            }
            rows.push(row);
        }
        if rows.is_empty() {
            let advice = "add a line `item,value` for each item";
            return Err(Error::input(Place::file(path), "values below the header", "a header only", advice));
        }
        Ok(ValueTable { rows })
    }

    /// The items that have values of their own, in the order of the file.
    pub fn items(&self) -> Vec<String> {
        self.rows.iter().filter(|row| row.with.is_none()).map(|row| row.item.clone()).collect()
    }
}

impl ValueRow {
    /// What the value is of. Pairs have no order.
    fn subject(&self) -> String {
        match &self.with {
            None => format!("{:?}", self.item),
            Some(with) => format!("{:?} with {:?}", (&self.item).min(with), (&self.item).max(with)),
        }
    }
}

/// Where the columns are.
struct Columns {
    item: usize,
    value: usize,
    with: Option<usize>,
}

impl Columns {
    fn find(path: &Path, line: usize, names: &[String]) -> Result<Self> {
        let place = || Place::file(path).line(line);
        let known = ["item", "value", "with"];
        if let Some(other) = names.iter().find(|name| !known.contains(&name.as_str())) {
            return Err(Error::input(
                place().named(format!("column {other:?}")),
                "the columns `item`, `value` and, where pairs have values, `with`",
                format!("columns {}", names.join(", ")),
                "name the columns so in the first line, and leave out others",
            ));
        }
        let position = |name: &str| {
            let mut found = (0..names.len()).filter(|&k| names[k] == name);
            match (found.next(), found.next()) {
                (first, None) => Ok(first),
                (_, Some(_)) => {
                    let place = place().named(format!("column {name:?}"));
                    Err(Error::input(place, "one column of this name", "two", "leave out one of them"))
                }
            }
        };
        let needed = |name: &str| {
            position(name)?.ok_or_else(|| {
                let found = format!("columns {}", names.join(", "));
                Error::input(place(), format!("a column `{name}`"), found, "add it")
            })
        };
        Ok(Columns { item: needed("item")?, value: needed("value")?, with: position("with")? })
    }

    fn row(&self, path: &Path, line: usize, cells: &[String]) -> Result<ValueRow> {
        let refuse = |column: &str, expected: &str, found: String, advice: &str| {
            let place = Place::file(path).line(line).named(format!("column {column:?}"));
            Err(Error::input(place, expected, found, advice))
        };
        let (item, value) = (&cells[self.item], &cells[self.value]);
        if item.is_empty() {
            return refuse(
                "item",
                "the name of an item",
                "an empty cell".into(),
                "name the item, or remove the line",
            );
        }
        match value.parse::<f64>() {
            Ok(number) if number.is_finite() => {
                let with = self.with.map(|k| cells[k].clone()).filter(|name| !name.is_empty());
                Ok(ValueRow { line, item: item.clone(), with, value: number })
            }
            Ok(number) => refuse(
                "value",
                "a finite number",
                number.to_string(),
                "correct it; to exclude an item, leave it out of the problem or give it the capacity 0",
            ),
            Err(_) if value.is_empty() => refuse(
                "value",
                "a number",
                "an empty cell".into(),
                "write 0 for an item that does not matter",
            ),
            Err(_) => {
                refuse("value", "a number", format!("{value:?}"), "correct it; decimal points are points")
            }
        }
    }
}

/// The cells of a line, without blanks around them.
fn cells(line: &str, separator: u8) -> Vec<String> {
    let mut reader =
        csv::ReaderBuilder::new().has_headers(false).delimiter(separator).from_reader(line.as_bytes());
    let record = reader.records().next().and_then(std::result::Result::ok).unwrap_or_default();
    record.iter().map(|cell| cell.trim().to_string()).collect()
}

/// The separator that the first line has most of; a comma where it has none.
fn separator(header: &str) -> u8 {
    let count = |candidate: u8| header.bytes().filter(|&byte| byte == candidate).count();
    // Of equals, the last is the largest: commas.
    [b'\t', b';', b','].into_iter().max_by_key(|&candidate| count(candidate)).unwrap_or(b',')
}
