//! `ep bn check`: what was read from the sites' files.

use std::fmt::Write as _;
use std::path::PathBuf;

use clap::Args;
use gfn_bn::data::Schema;
use gfn_bn::{DagDomain, Statistics};
use gfn_core::{Result, Warning};
use serde::Serialize;

use crate::bn::heterogeneity::{Heterogeneity, heterogeneity};
use crate::bn::options::ScoreOptions;
use crate::bn::plan::combine_text;
use crate::bn::sites::read_sites;
use crate::cli::print;

/// Levels that are listed of a column.
const LISTED_LEVELS: usize = 12;

/// `ep bn check`
#[derive(Debug, Args)]
pub struct CheckArguments {
    /// A CSV file for each site
    #[arg(required = true, value_name = "CSV")]
    files: Vec<PathBuf>,
    #[command(flatten)]
    score: ScoreOptions,
    /// Print the summary as JSON
    #[arg(long)]
    json: bool,
}

/// What was read.
#[derive(Serialize)]
struct Summary {
    score: String,
    columns: Vec<gfn_bn::data::ColumnSchema>,
    sites: Vec<SiteSummary>,
    warnings: Vec<Warning>,
    heterogeneity: Option<Heterogeneity>,
}

/// What was read of a site.
#[derive(Serialize)]
struct SiteSummary {
    name: String,
    rows: u64,
    dropped_rows: usize,
    warnings: Vec<Warning>,
}

/// Reads all files and prints a summary.
pub fn check(arguments: &CheckArguments) -> Result<()> {
    let settings = arguments.score.settings(None, &arguments.files)?;
    let domain = DagDomain::new(settings)?;
    let sites = read_sites(&domain, &arguments.files)?;
    let statistics: Vec<Statistics> = sites.iter().map(|site| site.site.statistics.clone()).collect();
    let heterogeneity = heterogeneity(&domain, &statistics, 1)?;
    let mut warnings = Schema { columns: domain.settings().columns.clone() }.warnings();
    warnings.extend(heterogeneity.as_ref().and_then(|found| found.warning(&domain)));
    let summary = Summary {
        score: domain.settings().score.name().into(),
        columns: domain.settings().columns.clone(),
        sites: sites
            .into_iter()
            .map(|file| SiteSummary {
                name: file.name,
                rows: file.site.statistics.n_rows(),
                dropped_rows: file.site.dropped_rows,
                warnings: file.site.warnings,
            })
            .collect(),
        warnings,
        heterogeneity,
    };
    if arguments.json {
        let text = serde_json::to_string_pretty(&summary).expect("a summary is plain data");
        return print(&format!("{text}\n"));
    }
    print(&summary.text(&domain))
}

impl Summary {
    fn text(&self, domain: &DagDomain) -> String {
        let mut text = format!("{} columns, score {}\n", self.columns.len(), self.score);
        for column in &self.columns {
            let levels = match &column.levels {
                None => "numbers".to_string(),
                Some(levels) => {
                    let first = levels[..levels.len().min(LISTED_LEVELS)].join(", ");
                    let more = if levels.len() > LISTED_LEVELS { ", …" } else { "" };
                    format!("{} levels: {first}{more}", levels.len())
                }
            };
            let _ = writeln!(text, "  {}: {levels}", column.name);
        }
        for site in &self.sites {
            let dropped = match site.dropped_rows {
                0 => String::new(),
                n => format!(", {n} incomplete left out"),
            };
            let _ = writeln!(text, "{}: {} rows{dropped}", site.name, site.rows);
            site.warnings.iter().for_each(|warning| text += &format!("  warning: {warning}\n"));
        }
        self.warnings.iter().for_each(|warning| text += &format!("warning: {warning}\n"));
        if let Some(found) = &self.heterogeneity {
            let _ = writeln!(text, "{}\n{}", found.text, combine_text(domain.settings()));
        }
        text
    }
}
