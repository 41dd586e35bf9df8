//! Observations of the variables: numeric and categorical tables, their schema, and how they are read from files.

mod csv;
mod discrete;
mod prepare;
mod records;
mod schema;
mod table;
mod write;

pub use self::csv::{ReadOptions, TableFile, read_discrete_table, read_table};
pub use discrete::{DiscreteTable, MAX_LEVELS};
pub use prepare::{STANDARDISE_MEANING, discrete_warnings, numeric_warnings, scale_warning};
pub use schema::{ColumnSchema, Schema};
pub use table::Table;
pub use write::{edges_csv, read_edges};
