//! Orchestration of embarrassingly parallel GFlowNets: plans, stages, run folders, reports, and the `ep` command.

pub mod bn;
pub mod budget;
pub mod cli;
pub mod design;
pub mod exact;
pub mod experiment;
pub mod files;
pub mod folder;
pub mod grid;
pub mod multiset;
pub mod phylo;
pub mod plan;
pub mod process;
pub mod progress;
pub mod proposals;
pub mod report;
pub mod run;
pub mod samples;
pub mod seq;
pub mod stages;
pub mod times;
