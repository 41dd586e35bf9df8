//! The shared machinery of embarrassingly parallel GFlowNets: environments, policies, losses, training, aggregation.

pub mod aggregate;
mod checkpoint;
pub mod client;
pub mod domain;
pub mod encoding;
pub mod environment;
pub mod error;
mod evaluation;
pub mod exact;
pub mod grid;
mod group;
pub mod likelihood;
pub mod losses;
pub mod math;
pub mod metrics;
pub mod observer;
pub mod optimizer;
pub mod policy;
pub mod random;
pub mod replay;
pub mod reward;
pub mod rollout;
pub mod score;
pub mod server;
mod simd;
pub mod tensor_file;
pub mod testing;
pub mod trainer;
pub mod trajectory;

pub use environment::{EnvSpec, Environment, Heads, StopRule};
pub use error::{Error, ErrorKind, Place, Result, Warning};
