//! The columns all sites share: names, and for categories their levels.

use std::path::Path;

use gfn_core::{Error, Place, Result, Warning};
use rustc_hash::FxHashSet;
use serde::{Deserialize, Serialize};
use toml::Spanned;

use super::discrete::{DiscreteTable, MAX_LEVELS};
use super::records::{CsvFile, clean, is_missing};
use super::table::Table;
use crate::dag::MAX_NODES;

/// The columns of a problem, in the order of the nodes; part of the plan, so that no site reads levels off its own rows.
///
/// ```
/// let schema = gfn_bn::data::Schema::parse(
///     r#"
///     [[columns]]
///     name = "smoker"
///     levels = ["no", "yes"]
///
///     [[columns]]
///     name = "cough"
///     levels = ["never", "at times", "often"]
///     "#,
/// )?;
/// assert!(schema.is_discrete());
/// # Ok::<(), gfn_core::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Schema {
    /// The columns, 1 to 64.
    pub columns: Vec<ColumnSchema>,
}

/// One column of a [`Schema`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ColumnSchema {
    /// Its name in the header of every file.
    pub name: String,
    /// Its values, for categories; `None` for numbers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub levels: Option<Vec<String>>,
}

/// A [`Schema`] with the place of each column in its text.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PlacedSchema {
    columns: Vec<Spanned<ColumnSchema>>,
}

impl Schema {
    /// Reads a schema from TOML, `[[columns]]` with `name` and, for categories, `levels`, and checks it.
    ///
    /// # Errors
    /// What is no such TOML, and what [`check`](Self::check) refuses, with the line.
    pub fn parse(text: &str) -> Result<Self> {
        let line = |offset: usize| Place::default().line(text[..offset].matches('\n').count() + 1);
        let placed: PlacedSchema = toml::from_str(text).map_err(|error| {
            let place = error.span().map_or_else(Place::default, |span| line(span.start));
            Error::input(
                place.named("columns"),
                "[[columns]], each with a name = \"…\" and, for categories, levels = [\"…\", \"…\"]",
                error.message(),
                "correct the schema",
            )
        })?;
        let starts: Vec<usize> = placed.columns.iter().map(|column| column.span().start).collect();
        let schema = Schema { columns: placed.columns.into_iter().map(Spanned::into_inner).collect() };
        match schema.fault() {
            None => Ok(schema),
            Some((column, error)) => {
                let place = column.map_or_else(Place::default, |column| line(starts[column]));
                let place = place.named(error.place().item.clone().unwrap_or_default());
                Err(Error::input(place, error.expected(), error.found(), error.advice()))
            }
        }
    }

    /// Reads a schema from a TOML file.
    ///
    /// # Errors
    /// A file that cannot be read, and those of [`parse`](Self::parse).
    pub fn load(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path).map_err(|error| match error.kind() {
            std::io::ErrorKind::InvalidData => {
                Error::input(Place::file(path), "text in UTF-8", "other bytes", "save the file as UTF-8")
            }
            _ => Error::io(path, "read", &error),
        })?;
        Self::parse(&text).map_err(|error| error.in_file(path))
    }

    /// The schema as TOML, which [`parse`](Self::parse) reads.
    pub fn text(&self) -> String {
        toml::to_string(self).expect("a schema is plain data")
    }

    /// The schema of files that one command sees all of: the columns of the first; for categories, the levels of each
    /// column over all files and those of `extra_levels` (name, levels), sorted (by number if all are integers).
    ///
    /// # Errors
    /// No files; files that cannot be read as CSV, or have columns that the first has not, or lack some of its; levels
    /// for a column that does not exist or of numbers; a column without values; what [`check`](Self::check) refuses.
    pub fn of_files<P: AsRef<Path>>(
        paths: &[P],
        discrete: bool,
        extra_levels: &[(String, Vec<String>)],
    ) -> Result<Self> {
        let Some(first_path) = paths.first().map(AsRef::as_ref) else {
            return Err(Error::usage("files", "at least one CSV file", "none", "name the files"));
        };
        let first = CsvFile::open(first_path)?;
        first.refuse_numbers_as_header()?;
        let names = first.names().to_vec();
        let mut levels: Vec<FxHashSet<String>> = names.iter().map(|_| FxHashSet::default()).collect();
        for (name, extra) in extra_levels {
            let column = names.iter().position(|own| own == name);
            let (Some(column), true) = (column, discrete) else {
                let found = if discrete { "no such column" } else { "a score for numbers" };
                let expected = format!("a column of categories among {}", names.join(", "));
                return Err(Error::usage(format!("levels of {name:?}"), expected, found, "correct --levels"));
            };
            levels[column].extend(extra.iter().cloned());
        }
        let origin = first_path.display().to_string();
        for path in paths.iter().map(AsRef::as_ref) {
            let file = CsvFile::open(path)?;
            let positions = file.positions(&names, &origin)?;
            if discrete {
                collect_levels(&file, &positions, &mut levels)?;
            }
        }
        let empty = levels.iter().position(|own| discrete && own.is_empty());
        if let Some(column) = empty {
            return Err(Error::input(
                Place::file(first_path).named(format!("column {:?}", names[column])),
                "a value in some row of some file",
                "none",
                "leave out the column at all sites",
            ));
        }
        let column = |(name, own): (String, FxHashSet<String>)| ColumnSchema {
            name,
            levels: discrete.then(|| sorted(own)),
        };
        let schema = Schema { columns: names.into_iter().zip(levels).map(column).collect() };
        schema.check().map_err(|error| error.in_file(first_path))?;
        Ok(schema)
    }

    /// Refuses no or more than 64 columns; names and levels that are empty, have blanks around them, or occur twice;
    /// columns without any level; and a mixture of numbers and categories.
    pub fn check(&self) -> Result<()> {
        self.fault().map_or(Ok(()), |(_, error)| Err(error))
    }

    /// Names of the columns.
    pub fn names(&self) -> Vec<String> {
        self.columns.iter().map(|column| column.name.clone()).collect()
    }

    /// Whether the columns hold categories.
    pub fn is_discrete(&self) -> bool {
        self.columns.iter().all(|column| column.levels.is_some())
    }

    /// The levels of each column.
    ///
    /// # Errors
    /// A column of numbers, which has none.
    pub fn levels(&self) -> Result<Vec<Vec<String>>> {
        let levels = |column: &ColumnSchema| {
            column.levels.clone().ok_or_else(|| {
                Error::input(
                    Place::item(format!("column {:?}", column.name)),
                    "levels, which a score for categories needs",
                    "none in the schema",
                    "add levels = [\"…\", \"…\"] to the column, or choose a score for numbers",
                )
            })
        };
        self.columns.iter().map(levels).collect()
    }

    /// What is allowed but seldom meant: columns with a single level.
    pub fn warnings(&self) -> Vec<Warning> {
        let single = |column: &&ColumnSchema| column.levels.as_ref().is_some_and(|levels| levels.len() == 1);
        let warning = |column: &ColumnSchema| {
            Warning::new(
                format!("column {:?} has a single level", column.name),
                "list all levels that any site may see, or leave out the column",
            )
        };
        self.columns.iter().filter(single).map(warning).collect()
    }

    /// The first fault, with the position of the column it is in.
    fn fault(&self) -> Option<(Option<usize>, Error)> {
        let n = self.columns.len();
        if !(1..=MAX_NODES).contains(&n) {
            let error = Error::input(
                Place::item("columns"),
                format!("1 to {MAX_NODES} columns"),
                n.to_string(),
                "leave out columns at all sites: a graph has a node for each",
            );
            return Some((None, error));
        }
        let mut seen = FxHashSet::default();
        for (k, column) in self.columns.iter().enumerate() {
            let refuse = |expected: &str, found: String, advice: &str| {
                let item = match column.name.as_str() {
                    "" => format!("column {}", k + 1),
                    name => format!("column {name:?}"),
                };
                Some((Some(k), Error::input(Place::item(item), expected, found, advice)))
            };
            if column.name.is_empty() || clean(&column.name) != column.name {
                let expected = "a name without blanks or quotation marks around it";
                return refuse(expected, format!("{:?}", column.name), "correct the name");
            }
            if !seen.insert(&column.name) {
                return refuse("a name of its own", "the same name twice".into(), "rename one of them");
            }
            if column.levels.is_some() != self.columns[0].levels.is_some() {
                let kind = |levels: &Option<_>| if levels.is_some() { "categories" } else { "numbers" };
                let found = format!("{} and {}", kind(&self.columns[0].levels), kind(&column.levels));
                let advice = "give levels for every column (numbers cut into classes) or for none";
                return refuse("columns of one kind: all numbers or all categories", found, advice);
            }
            let Some(levels) = &column.levels else { continue };
            if !(1..=MAX_LEVELS).contains(&levels.len()) {
                let expected = format!("1 to {MAX_LEVELS} levels");
                return refuse(&expected, levels.len().to_string(), "is this a column of numbers?");
            }
            let mut own = FxHashSet::default();
            for level in levels {
                if level.is_empty() || clean(level) != level {
                    let expected = "levels without blanks or quotation marks around them";
                    return refuse(expected, format!("{level:?}"), "correct the level");
                }
                if !own.insert(level) {
                    return refuse("different levels", format!("{level:?} twice"), "remove one of them");
                }
            }
        }
        None
    }
}

/// The columns of a table.
impl From<&Table> for Schema {
    fn from(table: &Table) -> Self {
        let column = |name: &String| ColumnSchema { name: name.clone(), levels: None };
        Schema { columns: table.names().iter().map(column).collect() }
    }
}

/// The columns and levels of a table.
impl From<&DiscreteTable> for Schema {
    fn from(table: &DiscreteTable) -> Self {
        let columns = table.names().iter().zip(table.levels());
        let column = |(name, levels): (&String, &Vec<String>)| ColumnSchema {
            name: name.clone(),
            levels: Some(levels.clone()),
        };
        Schema { columns: columns.map(column).collect() }
    }
}

/// Adds the values of a file. Missing ones are left to the reader of the rows.
fn collect_levels(file: &CsvFile, positions: &[usize], levels: &mut [FxHashSet<String>]) -> Result<()> {
    file.visit_rows(|row| {
        for (own, &position) in levels.iter_mut().zip(positions) {
            let cell = row.cell(position)?;
            if is_missing(cell) || own.contains(cell) {
                continue;
            }
            if own.len() == MAX_LEVELS {
                return Err(Error::input(
                    row.place(position),
                    format!("at most {MAX_LEVELS} different values"),
                    "more",
                    "leave out identifiers; use a score for numbers if these are numbers",
                ));
            }
            own.insert(cell.to_string());
        }
        Ok(())
    })
}

/// By number if all levels are integers, else by bytes.
fn sorted(levels: FxHashSet<String>) -> Vec<String> {
    let mut levels: Vec<String> = levels.into_iter().collect();
    levels.sort();
    let numbers: Option<Vec<i64>> = levels.iter().map(|level| level.parse().ok()).collect();
    if numbers.is_some() {
        levels.sort_by_key(|level| level.parse::<i64>().unwrap_or_default());
    }
    levels
}
