//! Tables before they are scored: pooling, centring, standardising, and warnings about what scores take amiss.

use gfn_core::math::mean_and_deviation;
use gfn_core::{Error, Place, Result, Warning};
use rustc_hash::FxHashSet;

use super::discrete::DiscreteTable;
use super::table::Table;

/// What [`Table::standardised`] does, for those who asked for it.
pub const STANDARDISE_MEANING: &str = "every column is centred and divided by its standard deviation (divisor n − 1) \
    in the file of its site. The score then does not depend on units, which the prior matrix T = t·I of BGe does, and \
    coefficients are in standard deviations of each site: differences between sites in mean or spread are removed";

/// Most distinct integers at which a numeric column is suspected to hold categories.
const FEW_VALUES: usize = 5;
/// The ratio of standard deviations from which T = t·I is no longer one prior for all columns.
const SCALE_RATIO: f64 = 100.0;
/// More levels leave hardly any rows for each.
const MANY_LEVELS: usize = 50;

impl Table {
    /// The table with the mean of every column subtracted.
    ///
    /// # Errors
    /// Numbers so large that their sum overflows.
    pub fn centred(&self) -> Result<Table> {
        Table::new(self.names().to_vec(), self.columns().iter().map(|column| centred(column)).collect())
    }

    /// The table with every column centred and divided by its standard deviation (divisor n − 1) in this table.
    ///
    /// # Errors
    /// A constant column, a single row, and numbers whose squares overflow.
    pub fn standardised(&self) -> Result<Table> {
        let mut columns = Vec::with_capacity(self.n_columns());
        for (name, column) in self.names().iter().zip(self.columns()) {
            let place = || Place::item(format!("column {name:?}"));
            if is_constant(column) {
                return Err(Error::input(
                    place(),
                    "values that differ, to be divided by their standard deviation",
                    format!("{} in all rows", column[0]),
                    "leave out the column at all sites, or do not use --standardise",
                ));
            }
            let mut values = centred(column);
            let (_, deviation) = mean_and_deviation(&values);
            if !(deviation.is_finite() && deviation > 0.0) {
                return Err(Error::input(
                    place(),
                    "numbers whose squares can be summed",
                    "an overflow or underflow",
                    "change the unit of the column",
                ));
            }
            values.iter_mut().for_each(|value| *value /= deviation);
            columns.push(values);
        }
        Table::new(self.names().to_vec(), columns)
    }

    /// The rows of all tables in one, columns matched by name and in the order of the first table.
    ///
    /// # Errors
    /// No tables, or tables with other columns.
    pub fn pooled(tables: &[Table]) -> Result<Table> {
        let first = tables.first().ok_or_else(no_tables)?;
        let mut columns = vec![Vec::new(); first.n_columns()];
        for table in tables {
            let own = table.in_order_of(first.names())?;
            columns.iter_mut().zip(own.columns()).for_each(|(column, values)| column.extend(values));
        }
        Table::new(first.names().to_vec(), columns)
    }
}

impl DiscreteTable {
    /// The rows of all tables in one. All have the same columns with the same levels, in the same order.
    ///
    /// # Errors
    /// No tables, or tables with other columns or levels.
    pub fn pooled(tables: &[DiscreteTable]) -> Result<DiscreteTable> {
        let first = tables.first().ok_or_else(no_tables)?;
        let mut columns = vec![Vec::new(); first.n_columns()];
        for (k, table) in tables.iter().enumerate() {
            if table.names() != first.names() || table.levels() != first.levels() {
                return Err(Error::input(
                    Place::item(format!("table {}", k + 1)),
                    "the columns and levels of the first table, in its order",
                    format!("columns {}", table.names().join(", ")),
                    "read all tables with the same schema",
                ));
            }
            columns.iter_mut().zip(table.columns()).for_each(|(column, codes)| column.extend(codes));
        }
        DiscreteTable::new(first.names().to_vec(), first.levels().to_vec(), columns)
    }
}

/// What a score for numbers takes amiss: a single row or column, constant columns, few distinct integers (categories?),
/// fewer rows than columns.
pub fn numeric_warnings(table: &Table) -> Vec<Warning> {
    let mut warnings = size_warnings(table.n_rows(), table.n_columns());
    if table.n_rows() == 1 {
        return warnings;
    }
    let constant = columns_where(table, is_constant);
    if !constant.is_empty() {
        warnings.push(Warning::new(
            format!("constant: {}", list(&constant)),
            "a constant column is scored as independent of all others; leave it out at all sites if it is no variable",
        ));
    }
    let few = columns_where(table, |column| !is_constant(column) && has_few_integers(column));
    if !few.is_empty() {
        warnings.push(Warning::new(
            format!("at most {FEW_VALUES} distinct integer values: {}", list(&few)),
            "did you mean --score bdeu? A score for numbers takes categories for quantities",
        ));
    }
    if table.n_rows() < table.n_columns() {
        warnings.push(Warning::new(
            format!("fewer rows ({}) than columns ({})", table.n_rows(), table.n_columns()),
            "the prior decides much; results depend on its settings",
        ));
    }
    warnings
}

/// Columns whose standard deviations differ by more than a factor of 100: the prior matrix T = t·I of BGe depends on
/// units.
pub fn scale_warning(table: &Table) -> Option<Warning> {
    let varying = table.names().iter().zip(table.columns()).filter(|(_, column)| !is_constant(column));
    let deviations = varying.map(|(name, column)| (name, mean_and_deviation(column).1));
    let mut deviations: Vec<_> = deviations.collect();
    deviations.sort_by(|a, b| a.1.total_cmp(&b.1));
    let ((least_name, least), (most_name, most)) = (deviations.first()?, deviations.last()?);
    (most / least > SCALE_RATIO).then(|| {
        Warning::new(
            format!(
                "very different scales: the standard deviation of {least_name:?} is {least:.3e}, that of {most_name:?} \
                 {most:.3e}"
            ),
            "the prior matrix T = t·I of BGe depends on units: change them, or use --standardise",
        )
    })
}

/// What a score for categories takes amiss: a single row or column, columns with one observed level or very many levels.
pub fn discrete_warnings(table: &DiscreteTable) -> Vec<Warning> {
    let mut warnings = size_warnings(table.n_rows(), table.n_columns());
    if table.n_rows() > 1 {
        let same = |codes: &Vec<u16>| codes.iter().all(|code| code == &codes[0]);
        let constant = table.names().iter().zip(table.columns()).filter(|(_, codes)| same(codes));
        let constant: Vec<&str> = constant.map(|(name, _)| name.as_str()).collect();
        if !constant.is_empty() {
            warnings.push(Warning::new(
                format!("one observed level: {}", list(&constant)),
                "such a column says nothing about edges here; other sites may have more levels",
            ));
        }
    }
    let many = table.names().iter().zip(table.levels()).filter(|(_, levels)| levels.len() > MANY_LEVELS);
    let many: Vec<&str> = many.map(|(name, _)| name.as_str()).collect();
    if !many.is_empty() {
        warnings.push(Warning::new(
            format!("more than {MANY_LEVELS} levels: {}", list(&many)),
            "join levels, leave out identifiers, or use a score for numbers if these are numbers",
        ));
    }
    warnings
}

fn size_warnings(n_rows: usize, n_columns: usize) -> Vec<Warning> {
    let mut warnings = Vec::new();
    if n_columns == 1 {
        warnings.push(Warning::new("one column only", "there is one graph over one variable, the empty one"));
    }
    if n_rows == 1 {
        warnings.push(Warning::new("one row only", "one row says next to nothing; the prior decides"));
    }
    warnings
}

fn columns_where(table: &Table, holds: impl Fn(&[f64]) -> bool) -> Vec<&str> {
    let columns = table.names().iter().zip(table.columns());
    columns.filter(|(_, column)| holds(column)).map(|(name, _)| name.as_str()).collect()
}

fn is_constant(column: &[f64]) -> bool {
    column.iter().all(|value| value == &column[0])
}

/// Whether a column holds at most [`FEW_VALUES`] distinct values, all integers, and some of them repeatedly.
fn has_few_integers(column: &[f64]) -> bool {
    let mut distinct = FxHashSet::default();
    // 0.0 turns −0 into 0.
    let few = |value: &f64| {
        distinct.insert((value + 0.0).to_bits());
        value.fract() == 0.0 && distinct.len() <= FEW_VALUES
    };
    column.iter().all(few) && distinct.len() < column.len()
}

/// The column minus its mean. The rounding error of the first mean, which grows with the mean, is taken out by a second
/// one.
fn centred(column: &[f64]) -> Vec<f64> {
    let mut values = column.to_vec();
    for _ in 0..2 {
        let mean = values.iter().sum::<f64>() / values.len() as f64;
        values.iter_mut().for_each(|value| *value -= mean);
    }
    values
}

/// Names of columns for messages, the first of many.
fn list(names: &[&str]) -> String {
    const MOST: usize = 8;
    let kind = if names.len() == 1 { "column" } else { "columns" };
    let first = names[..names.len().min(MOST)].join(", ");
    match names.len().saturating_sub(MOST) {
        0 => format!("{kind} {first}"),
        more => format!("{kind} {first} and {more} more"),
    }
}

fn no_tables() -> Error {
    Error::usage("tables", "at least one", "none", "give a table")
}
