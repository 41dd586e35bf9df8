//! What scores of categories need of a table: its distinct rows, with how often each occurs.

use gfn_core::{Error, Place, Result};
use serde::{Deserialize, Serialize};

use super::gaussian_statistics::{different, total};
use crate::data::DiscreteTable;

/// The distinct rows of a table of categories, in increasing order, each with the number of times that it occurs.
///
/// **This is the table itself** up to the order of its rows: who receives it has seen the rows. Scores of categories
/// need the counts of every family of variables, and with few rows there is no shorter way to write those down. Row
/// counts of several tables [`merge`](Self::merge) into those of all their rows together.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Stored", into = "Stored")]
pub struct RowCounts {
    distinct: DiscreteTable,
    /// By row of `distinct`, at least 1.
    counts: Vec<u64>,
}

/// [`RowCounts`] as stored.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    names: Vec<String>,
    levels: Vec<Vec<String>>,
    /// The columns of the distinct rows, as positions of levels.
    columns: Vec<Vec<u16>>,
    counts: Vec<u64>,
}

impl RowCounts {
    /// The distinct rows of a table with their counts.
    pub fn of(table: &DiscreteTable) -> Self {
        let counts = vec![1; table.n_rows()];
        Self::sorted(table.clone(), counts).expect("as many rows as there are in memory")
    }

    /// The distinct rows of several tables together. Refuses an empty list, other names or levels, or another order of
    /// them.
    pub fn merge(parts: &[RowCounts]) -> Result<Self> {
        let Some(first) = parts.first() else {
            return Err(Error::usage("statistics", "those of at least one site", "none", "name the files"));
        };
        for part in parts {
            if part.names() != first.names() {
                return Err(different("columns", first.names(), part.names()));
            }
            let other = (0..first.names().len()).find(|&j| part.levels()[j] != first.levels()[j]);
            if let Some(j) = other {
                let what = format!("levels of column {:?}", first.names()[j]);
                return Err(different(&what, &first.levels()[j], &part.levels()[j]));
            }
        }
        let columns = (0..first.names().len())
            .map(|j| parts.iter().flat_map(|part| part.distinct.columns()[j].iter().copied()).collect())
            .collect();
        let table = DiscreteTable::new(first.names().to_vec(), first.levels().to_vec(), columns)?;
        Self::sorted(table, parts.iter().flat_map(|part| part.counts.iter().copied()).collect())
    }

    /// The row counts of a table, row k of which occurs `counts[k]` times: equal rows become one.
    fn sorted(table: DiscreteTable, counts: Vec<u64>) -> Result<Self> {
        total(counts.iter().copied())?;
        let d = table.n_columns();
        let cells: Vec<u16> = (0..table.n_rows())
            .flat_map(|row| table.columns().iter().map(move |column| column[row]))
            .collect();
        let row = |k: usize| &cells[k * d..(k + 1) * d];
        let mut order: Vec<usize> = (0..table.n_rows()).collect();
        order.sort_unstable_by(|&k, &l| row(k).cmp(row(l)));
        let equal: Vec<&[usize]> = order.chunk_by(|&k, &l| row(k) == row(l)).collect();
        let counts = equal.iter().map(|rows| rows.iter().map(|&k| counts[k]).sum()).collect();
        let columns = (0..d).map(|j| equal.iter().map(|rows| row(rows[0])[j]).collect()).collect();
        let distinct = DiscreteTable::new(table.names().to_vec(), table.levels().to_vec(), columns)?;
        Ok(RowCounts { distinct, counts })
    }

    /// Names of the columns.
    pub fn names(&self) -> &[String] {
        self.distinct.names()
    }

    /// The levels of each column.
    pub fn levels(&self) -> &[Vec<String>] {
        self.distinct.levels()
    }

    /// The distinct rows, in increasing order.
    pub fn distinct_rows(&self) -> &DiscreteTable {
        &self.distinct
    }

    /// How often each of the distinct rows occurs.
    pub fn counts(&self) -> &[u64] {
        &self.counts
    }

    /// Number of rows, repetitions included.
    pub fn n_rows(&self) -> u64 {
        self.counts.iter().sum()
    }
}

impl From<RowCounts> for Stored {
    fn from(rows: RowCounts) -> Self {
        let table = &rows.distinct;
        Stored {
            names: table.names().to_vec(),
            levels: table.levels().to_vec(),
            columns: table.columns().to_vec(),
            counts: rows.counts,
        }
    }
}

impl TryFrom<Stored> for RowCounts {
    type Error = Error;

    fn try_from(stored: Stored) -> Result<Self> {
        let Stored { names, levels, columns, counts } = stored;
        let table = DiscreteTable::new(names, levels, columns)?;
        if counts.len() != table.n_rows() || counts.contains(&0) {
            let found = format!("{} counts, the least {:?}", counts.len(), counts.iter().min());
            return Err(Error::input(
                Place::item("counts"),
                format!("{} numbers of at least 1, one per distinct row", table.n_rows()),
                found,
                "write the statistics again from the table",
            ));
        }
        Self::sorted(table, counts)
    }
}
