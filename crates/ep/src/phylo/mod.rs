//! The tree commands: run, check, likelihood.

pub mod exact;
pub mod options;
pub mod output;
pub mod proposals;
pub mod report;
pub mod run;
pub mod samples;
