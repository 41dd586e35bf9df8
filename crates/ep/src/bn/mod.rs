//! The commands over network structures: run, check, score, simulate.

pub mod baseline;
pub mod estimates;
pub mod exact_edges;
pub mod heterogeneity;
pub mod options;
pub mod output;
pub mod plan;
pub mod pooled;
pub mod report;
pub mod run;
pub mod sites;
