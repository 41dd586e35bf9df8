//! A table of categories in memory: named columns, each with its levels, one row per observation.

use gfn_core::{Error, Place, Result};

/// Most levels of a variable.
pub const MAX_LEVELS: usize = 1 << 16;

/// Observations of categorical variables; at least one row. A cell holds the position of its level.
#[derive(Debug, Clone, PartialEq)]
pub struct DiscreteTable {
    names: Vec<String>,
    levels: Vec<Vec<String>>,
    columns: Vec<Vec<u16>>,
}

impl DiscreteTable {
    /// The table with these columns; `columns[j][row]` is the position of the level in `levels[j]`. Refuses names that
    /// occur twice, levels that occur twice in a column, columns of different lengths, tables without columns or rows,
    /// and positions that are no level.
    pub fn new(names: Vec<String>, levels: Vec<Vec<String>>, columns: Vec<Vec<u16>>) -> Result<Self> {
        let refuse = |place: &str, expected: String, found: String| {
            Err(Error::input(Place::item(place), expected, found, "correct the table"))
        };
        let counts = (names.len(), levels.len(), columns.len());
        if names.is_empty() || counts.1 != counts.0 || counts.2 != counts.0 {
            return refuse(
                "table",
                "at least one column, and a name and levels for each".into(),
                format!("{} names, {} lists of levels, {} columns", counts.0, counts.1, counts.2),
            );
        }
        let n_rows = columns[0].len();
        if n_rows == 0 {
            return refuse("table", "at least one row".into(), "none".into());
        }
        for (j, name) in names.iter().enumerate() {
            let column = format!("column {name:?}");
            if names[..j].contains(name) {
                return refuse(&column, "a name of its own".into(), "the same name twice".into());
            }
            let own = &levels[j];
            if own.is_empty() || own.len() > MAX_LEVELS {
                return refuse(&column, format!("1 to {MAX_LEVELS} levels"), own.len().to_string());
            }
            if let Some((_, level)) = own.iter().enumerate().find(|(i, level)| own[..*i].contains(level)) {
                return refuse(&column, "different levels".into(), format!("{level:?} twice"));
            }
            if columns[j].len() != n_rows {
                let expected = format!("{n_rows} rows, as in column {:?}", names[0]);
                return refuse(&column, expected, columns[j].len().to_string());
            }
            if let Some(row) = columns[j].iter().position(|&code| usize::from(code) >= own.len()) {
                let place = format!("{column}, row {}", row + 1);
                return refuse(&place, format!("a level below {}", own.len()), columns[j][row].to_string());
            }
        }
        Ok(DiscreteTable { names, levels, columns })
    }

    /// Names of the columns.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// The levels of each column.
    pub fn levels(&self) -> &[Vec<String>] {
        &self.levels
    }

    /// The columns as positions of levels, in the order of the names.
    pub fn columns(&self) -> &[Vec<u16>] {
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
}
