//! The tree commands: run, check, likelihood.

pub mod options;
pub mod output;
pub mod plan;
pub mod report;
pub mod run;
pub mod samples;
