//! Observations of the variables: numeric and categorical tables, their schema, and how they are read from files.

mod discrete;
mod table;

pub use discrete::DiscreteTable;
pub use table::Table;
