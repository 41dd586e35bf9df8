//! A table of numbers in memory: named columns of equal length, one row per observation.

use gfn_core::{Error, Place, Result};

/// Observations of named variables; at least one row, finite numbers only.
#[derive(Debug, Clone, PartialEq)]
pub struct Table {
    names: Vec<String>,
    columns: Vec<Vec<f64>>,
}

impl Table {
    /// The table with these columns. Refuses names that occur twice, columns of different lengths, tables without
    /// columns or rows, and numbers that are not finite; the place of an error counts rows from 1, header not counted.
    pub fn new(names: Vec<String>, columns: Vec<Vec<f64>>) -> Result<Self> {
        let table = || Place::item("table");
        let column = |name: &str| Place::item(format!("column {name:?}"));
        if names.is_empty() || names.len() != columns.len() {
            return Err(Error::input(
                table(),
                "at least one column, and one name for each",
                format!("{} names, {} columns", names.len(), columns.len()),
                "correct the header",
            ));
        }
        if let Some((_, name)) = names.iter().enumerate().find(|(i, name)| names[..*i].contains(name)) {
            return Err(Error::input(
                column(name),
                "a name of its own",
                "the same name twice",
                "rename one of them",
            ));
        }
        let n_rows = columns[0].len();
        if n_rows == 0 {
            return Err(Error::input(
                table(),
                "at least one row",
                "none",
                "leave out a client without data: it has nothing to contribute",
            ));
        }
        for (name, values) in names.iter().zip(&columns) {
            if values.len() != n_rows {
                return Err(Error::input(
                    column(name),
                    format!("{n_rows} rows, as in column {:?}", names[0]),
                    values.len().to_string(),
                    "complete the column",
                ));
            }
            if let Some(row) = values.iter().position(|value| !value.is_finite()) {
                return Err(Error::input(
                    Place::item(format!("column {name:?}, row {}", row + 1)),
                    "a finite number",
                    values[row].to_string(),
                    "correct the value, or leave out the row",
                ));
            }
        }
        Ok(Table { names, columns })
    }

    /// Names of the columns.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// The columns, in the order of the names.
    pub fn columns(&self) -> &[Vec<f64>] {
        &self.columns
    }

    /// Number of rows.
    pub fn n_rows(&self) -> usize {
        self.columns[0].len()
    }

    /// Number of columns.
    pub fn n_columns(&self) -> usize {
        self.columns.len()
    }

    /// The same table with its columns in the order of `names`: tables of several sites are matched by name, not by
    /// position. Both must have the same names.
    pub fn in_order_of(&self, names: &[String]) -> Result<Table> {
        let mut columns = Vec::with_capacity(names.len());
        for name in names {
            let Some(position) = self.names.iter().position(|own| own == name) else {
                return Err(Error::input(
                    Place::item("table"),
                    format!("a column {name:?}"),
                    format!("columns {:?}", self.names),
                    "name the columns alike in all tables",
                ));
            };
            columns.push(self.columns[position].clone());
        }
        if let Some(extra) = self.names.iter().find(|own| !names.contains(own)) {
            return Err(Error::input(
                Place::item("table"),
                format!("no columns but {names:?}"),
                format!("a column {extra:?}"),
                "leave it out, or add it to all tables",
            ));
        }
        Table::new(names.to_vec(), columns)
    }
}
