//! A table of categories in memory: named columns, each with its levels, one row per observation.

use gfn_core::{Error, Place, Result};
use rustc_hash::FxHashSet;

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
        let mut seen = FxHashSet::default();
        for (j, name) in names.iter().enumerate() {
            let column = format!("column {name:?}");
            if !seen.insert(name) {
                return refuse(&column, "a name of its own".into(), "the same name twice".into());
            }
            let own = &levels[j];
            if own.is_empty() || own.len() > MAX_LEVELS {
                return refuse(&column, format!("1 to {MAX_LEVELS} levels"), own.len().to_string());
            }
            let mut different = FxHashSet::default();
            if let Some(level) = own.iter().find(|&level| !different.insert(level)) {
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

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(names: &[&str], levels: &[&[&str]], columns: Vec<Vec<u16>>) -> String {
        let text = |texts: &[&str]| texts.iter().map(|text| text.to_string()).collect();
        let levels = levels.iter().map(|levels| text(levels)).collect();
        DiscreteTable::new(text(names), levels, columns).unwrap_err().to_string()
    }

    #[test]
    fn bad_tables_are_refused() {
        let levels: [&[&str]; 2] = [&["x", "y"], &["u", "v", "w"]];
        assert!(refused(&[], &[], vec![]).contains("found 0 names, 0 lists of levels, 0 columns"));
        assert!(
            refused(&["a"], &levels, vec![vec![0]]).contains("found 1 names, 2 lists of levels, 1 columns")
        );
        assert!(refused(&["a", "b"], &levels, vec![vec![]; 2]).contains("expected at least one row"));
        let text = refused(&["a", "a"], &levels, vec![vec![0]; 2]);
        assert!(
            text.starts_with("column \"a\": expected a name of its own, found the same name twice"),
            "{text}"
        );
        let text = refused(&["a", "b"], &[&["x", "y"], &["u", "v", "w", "v", "u"]], vec![vec![0]; 2]);
        assert!(text.starts_with("column \"b\": expected different levels, found \"v\" twice"), "{text}");
        let text = refused(&["a", "b"], &[&["x"], &[]], vec![vec![0]; 2]);
        assert!(text.starts_with("column \"b\": expected 1 to 65536 levels, found 0"), "{text}");
        let text = refused(&["a", "b"], &levels, vec![vec![0, 1], vec![0]]);
        assert!(text.starts_with("column \"b\": expected 2 rows, as in column \"a\", found 1"), "{text}");
        let text = refused(&["a", "b"], &levels, vec![vec![0, 1], vec![2, 3]]);
        assert!(text.starts_with("column \"b\", row 2: expected a level below 3, found 3"), "{text}");
    }

    /// Identifiers taken for categories. Compared with each other, so many levels would take many seconds.
    #[test]
    fn as_many_levels_as_there_may_be() {
        let levels: Vec<String> = (0..MAX_LEVELS).map(|level| format!("identifier {level}")).collect();
        let table = DiscreteTable::new(vec!["a".into()], vec![levels.clone()], vec![vec![0, u16::MAX]]);
        assert_eq!(table.unwrap().levels(), [levels]);
    }
}
