//! The tree commands: run, check, likelihood.

pub mod exact;
pub mod options;
pub mod output;
pub mod report;
pub mod run;
