//! Tables from CSV files: columns by name, missing values and unknown levels refused where they stand.

use std::path::Path;

use gfn_core::{Error, Result, Warning};
use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};

use super::discrete::DiscreteTable;
use super::prepare::{discrete_warnings, numeric_warnings, scale_warning};
use super::records::{CsvFile, Row, is_missing, shown};
use super::schema::Schema;
use super::table::Table;

/// How a file becomes a table; part of the plan, so that all sites read alike.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ReadOptions {
    /// Drop rows with missing values, and count them, instead of refusing the file.
    pub complete_cases: bool,
    /// Centre every column and divide it by its standard deviation in this file ([`Table::standardised`]); numeric
    /// tables only.
    pub standardise: bool,
}

/// A table read from a file, with what the reader noticed.
#[derive(Debug, Clone, PartialEq)]
pub struct TableFile<T> {
    /// The table, its columns in the order that was asked for.
    pub table: T,
    /// Number of rows left out for missing values.
    pub dropped_rows: usize,
    /// What the user should know about the data.
    pub warnings: Vec<Warning>,
}

/// Reads a CSV file of numbers whose columns are `names`, in any order.
///
/// The first line names the columns. Separators are commas, semicolons or tabs, by the first line; cells may be quoted
/// and have blanks around them; blank lines are skipped. A value is missing where the cell is empty, `NA`, `NaN`, `nan`,
/// `.` or `?`. Lines of errors are counted from 1, the header included.
///
/// # Errors
/// All are final (bad input) unless the machine failed to read: columns missing, extra or twice; no rows; rows with
/// more or fewer cells than the header; text, infinities and (without `complete_cases`) missing values; no complete
/// row; bytes that are not UTF-8; a constant column to be standardised.
pub fn read_table(path: &Path, names: &[String], options: &ReadOptions) -> Result<TableFile<Table>> {
    let file = CsvFile::open(path)?;
    let (columns, dropped_rows, mut warnings) = read_columns(&file, names, path, options, number)?;
    let table = Table::new(names.to_vec(), columns).map_err(|e| e.in_file(path))?;
    warnings.extend(numeric_warnings(&table));
    if options.standardise {
        let table = table.standardised().map_err(|e| e.in_file(path))?;
        return Ok(TableFile { table, dropped_rows, warnings });
    }
    warnings.extend(scale_warning(&table));
    Ok(TableFile { table, dropped_rows, warnings })
}

/// Reads a CSV file of categories whose columns and levels are those of `schema`: as [`read_table`], but every value
/// has to be a level of its column. A text that the schema lists as a level is never a missing value.
///
/// # Errors
/// Those of [`read_table`], values that are no level, a schema without levels, and `standardise`.
pub fn read_discrete_table(
    path: &Path,
    schema: &Schema,
    options: &ReadOptions,
) -> Result<TableFile<DiscreteTable>> {
    if options.standardise {
        return Err(Error::usage(
            "standardise",
            "a table of numbers",
            "one of categories, which have no units",
            "leave out --standardise, or choose a score for numbers",
        ));
    }
    schema.check()?;
    let all_levels = schema.levels()?;
    let file = CsvFile::open(path)?;
    let names = schema.names();
    let codes: Vec<FxHashMap<&str, u16>> = all_levels
        .iter()
        .map(|levels| levels.iter().map(String::as_str).zip(0..=u16::MAX).collect())
        .collect();
    let code = |row: &Row, column: usize, position: usize| {
        let cell = row.cell(position)?;
        match codes[column].get(cell) {
            Some(&code) => Ok(Some(code)),
            None if is_missing(cell) => Ok(None),
            None => Err(Error::input(
                row.place(position),
                format!("one of the levels {}", list(&all_levels[column])),
                shown(cell),
                "correct the cell, or add the level to the schema at all sites",
            )),
        }
    };
    let (columns, dropped_rows, mut warnings) = read_columns(&file, &names, path, options, code)?;
    let table = DiscreteTable::new(names, all_levels.clone(), columns).map_err(|e| e.in_file(path))?;
    warnings.extend(discrete_warnings(&table));
    Ok(TableFile { table, dropped_rows, warnings })
}

/// The values of the columns `names`, the number of dropped rows, and the warning about them.
///
/// `parse` gives the value of a cell from its row, its column in `names` and its position in the file; `None` is a
/// missing value.
fn read_columns<T>(
    file: &CsvFile,
    names: &[String],
    path: &Path,
    options: &ReadOptions,
    parse: impl Fn(&Row, usize, usize) -> Result<Option<T>>,
) -> Result<(Vec<Vec<T>>, usize, Vec<Warning>)> {
    let positions = file.positions(names, "the schema")?;
    let mut columns: Vec<Vec<T>> = names.iter().map(|_| Vec::new()).collect();
    let mut missing = vec![0usize; names.len()];
    let (mut n_complete, mut n_dropped) = (0, 0);
    file.visit_rows(|row| {
        // Cells after a missing one are read too: what is wrong in them is not excused by it.
        let mut is_complete = true;
        for (column, &position) in positions.iter().enumerate() {
            match parse(row, column, position)? {
                Some(value) => columns[column].push(value),
                None if options.complete_cases => {
                    is_complete = false;
                    missing[column] += 1;
                }
                None => {
                    return Err(Error::input(
                        row.place(position),
                        "a value in every cell",
                        format!("a missing one: {}", shown(row.cell(position)?)),
                        "complete the cell, or leave out incomplete rows with --complete-cases",
                    ));
                }
            }
        }
        if is_complete {
            n_complete += 1;
        } else {
            n_dropped += 1;
            columns.iter_mut().for_each(|column| column.truncate(n_complete));
        }
        Ok(())
    })?;
    if n_dropped == 0 {
        return Ok((columns, 0, Vec::new()));
    }
    let (worst, most) = (0..names.len()).zip(&missing).max_by_key(|(_, count)| **count).unwrap_or((0, &0));
    if n_complete == 0 {
        return Err(Error::input(
            gfn_core::Place::file(path).named(format!("column {:?}", names[worst])),
            "at least one row without missing values",
            format!("none in {n_dropped}; this column lacks {most} values, more than any other"),
            "leave out the column at all sites, or leave out the site",
        ));
    }
    let message = format!(
        "{n_dropped} of {} rows have missing values and are left out; column {:?} lacks most, {most}",
        n_dropped + n_complete,
        names[worst],
    );
    let advice = "what is left speaks for all rows only if values are missing at random";
    Ok((columns, n_dropped, vec![Warning::new(message, advice)]))
}

/// The number in a cell.
fn number(row: &Row, _column: usize, position: usize) -> Result<Option<f64>> {
    let cell = row.cell(position)?;
    let (expected, advice) = match cell.parse::<f64>() {
        Ok(value) if value.is_finite() => return Ok(Some(value)),
        Ok(value) if value.is_nan() => return Ok(None),
        Ok(_) => ("a finite number", "correct the cell, or leave out the row"),
        Err(_) if is_missing(cell) => return Ok(None),
        Err(_) if cell.contains(',') && cell.replacen(',', ".", 1).parse::<f64>().is_ok() => {
            ("a number", "write decimal points, not commas")
        }
        Err(_) => (
            "a number",
            "this column is not numeric: correct the cell (missing values are empty or NA), \
             or use --score bdeu if its values are categories",
        ),
    };
    Err(Error::input(row.place(position), expected, shown(cell), advice))
}

/// The first levels of a column, for messages.
fn list(levels: &[String]) -> String {
    const MOST: usize = 12;
    let first: Vec<String> = levels.iter().take(MOST).map(|level| shown(level)).collect();
    match levels.len() - first.len() {
        0 => first.join(", "),
        more => format!("{} and {more} more", first.join(", ")),
    }
}
