//! The shared machinery of embarrassingly parallel GFlowNets.

pub mod error;

pub use error::{Error, ErrorKind, Place, Result, Warning};
