//! What a report says about trees, and the summary of it in the terminal.

use std::fmt::Write as _;
use std::path::Path;

use serde::Serialize;

use crate::phylo::samples::{SplitReport, TopologyReport};
use crate::report::{RunReport, bracketed};

/// The part of `report.json` that only runs over trees have.
#[derive(Debug, Clone, Serialize)]
pub struct TreeResults {
    /// What every party's branch lengths may be, in words.
    pub branch_lengths: String,
    /// Distinct topologies among the samples.
    pub sampled_topologies: usize,
    /// The most probable topologies.
    pub best_topologies: Vec<TopologyReport>,
    /// The bipartitions with more than half of the samples: those of the consensus.
    pub majority_splits: Vec<SplitReport>,
    /// Majority-rule consensus with supports.
    pub consensus: String,
}

impl RunReport<TreeResults> {
    /// The summary that the terminal shows.
    pub fn summary(&self, out: &Path) -> String {
        let mut text = self.opening_lines();
        let reweighted = if self.importance.is_some() { " (reweighted in brackets)" } else { "" };
        let _ = writeln!(
            text,
            "  {} samples, {} distinct topologies; the best{reweighted}:",
            self.samples, self.results.sampled_topologies
        );
        text += &best_lines(&self.results.best_topologies);
        if !self.results.majority_splits.is_empty() {
            let _ = writeln!(text, "  groups with more than half of the samples:");
        }
        for split in &self.results.majority_splits {
            let _ = writeln!(
                text,
                "    {:.4}{}  {}",
                split.probability,
                bracketed(split.reweighted),
                split.bipartition
            );
        }
        text + &self.closing_lines(out)
    }
}

/// The most probable topologies, a line each.
pub fn best_lines(best: &[TopologyReport]) -> String {
    let line =
        |t: &TopologyReport| format!("    {:.4}{}  {}\n", t.probability, bracketed(t.reweighted), t.topology);
    best.iter().map(line).collect()
}
