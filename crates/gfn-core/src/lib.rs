//! The shared machinery of embarrassingly parallel GFlowNets: environments, policies, losses, training, aggregation.

pub mod encoding;
pub mod environment;
pub mod error;
pub mod losses;
pub mod math;
pub mod policy;
pub mod random;
pub mod reward;
pub mod trajectory;

pub use environment::{EnvSpec, Environment, Heads, StopRule};
pub use error::{Error, ErrorKind, Place, Result, Warning};
