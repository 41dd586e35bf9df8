//! What sites send under a pooled plan: the statistics of their rows, in one strictly read file.

use std::path::Path;

use gfn_bn::{DagDomain, Site, Statistics};
use gfn_core::tensor_file::write_atomically;
use gfn_core::{Error, Place, Result};
use serde::{Deserialize, Serialize};

use crate::files::read_text;

/// Version of the format of statistics files.
pub const STATISTICS_FORMAT: u32 = 1;

/// A site's statistics. They are not the rows, and no secret either: see [`reveals`](Self::reveals).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StatisticsFile {
    /// Version of the format.
    pub format: u32,
    /// The domain, `bn`.
    pub domain: String,
    /// Fingerprint of the plan.
    pub plan: String,
    /// The site's name.
    pub client: String,
    /// The data in a line.
    pub data: String,
    /// All that the score needs of the rows.
    pub statistics: Statistics,
}

/// Name of the statistics file of client `k` in a run folder.
pub fn client_statistics(k: usize) -> String {
    format!("clients/{k}/round-0.json")
}

/// Whether a file looks like one of statistics: text that begins with a brace. Policies begin with a number of eight
/// bytes, the first of which is zero.
pub fn is_statistics(path: &Path) -> bool {
    let bytes = std::fs::read(path).unwrap_or_default();
    bytes.first() == Some(&b'{') && !bytes.iter().take(8).any(|byte| *byte == 0)
}

/// Refuses a statistics file where a policy is wanted.
pub fn refuse_statistics(path: &Path) -> Result<()> {
    if !is_statistics(path) {
        return Ok(());
    }
    Err(Error::input(
        Place::file(path),
        "a policy (safetensors), which sites send under a plan of --combine product",
        "a statistics file, or other text in braces",
        "train with this plan (`ep train`), or aggregate with the pooled plan that the file belongs to",
    ))
}

impl StatisticsFile {
    /// What a site sends.
    pub fn new(plan: &str, client: &str, site: &Site) -> Self {
        StatisticsFile {
            format: STATISTICS_FORMAT,
            domain: "bn".into(),
            plan: plan.into(),
            client: client.into(),
            data: site.description(),
            statistics: site.statistics.clone(),
        }
    }

    /// The file's text.
    pub fn text(&self) -> String {
        serde_json::to_string_pretty(self).expect("statistics are plain data") + "\n"
    }

    /// Writes the file, whole or not at all.
    pub fn save(&self, path: &Path) -> Result<()> {
        write_atomically(path, self.text().as_bytes())
    }

    /// Reads a file strictly.
    pub fn load(path: &Path) -> Result<Self> {
        // A folder or a missing file is said to be that.
        let found = if crate::files::input_file(path)?.exists() && !is_statistics(path) {
            "another file, such as a policy, which sites send under a plan of --combine product".to_string()
        } else {
            let text = read_text(path)?;
            match serde_json::from_str::<StatisticsFile>(&text) {
                Ok(file) if file.format == STATISTICS_FORMAT && file.domain == "bn" => return Ok(file),
                Ok(file) => format!("format {} of domain {}", file.format, file.domain),
                Err(error) => error.to_string(),
            }
        };
        let expected =
            format!("a statistics file of format {STATISTICS_FORMAT} (JSON), as `ep train` writes it");
        Err(Error::input(
            Place::file(path),
            expected,
            found,
            "let the site write its file again (`ep train`)",
        ))
    }

    /// Refuses a file of another plan, or of other columns.
    pub fn check_plan(&self, path: &Path, plan: &str, domain: &DagDomain) -> Result<()> {
        let columns = &domain.settings().columns;
        let same = match &self.statistics {
            Statistics::Gaussian(of) => {
                columns.len() == of.n_columns()
                    && columns.iter().zip(of.names()).all(|(c, name)| c.levels.is_none() && c.name == *name)
            }
            Statistics::Rows(of) => {
                let own = of.names().iter().zip(of.levels());
                columns.len() == of.names().len()
                    && columns.iter().zip(own).all(|(column, (name, levels))| {
                        column.name == *name && column.levels.as_ref() == Some(levels)
                    })
            }
        };
        if self.plan == plan && same {
            return Ok(());
        }
        Err(Error::input(
            Place::file(path),
            format!("statistics of plan {plan} and its columns"),
            format!("those of plan {} with columns {}", self.plan, self.statistics.names().join(", ")),
            "merge the sites of one plan only (same columns, same settings)",
        ))
    }

    /// What the file tells whoever has it.
    pub fn reveals(&self) -> String {
        let n = self.statistics.n_rows();
        match &self.statistics {
            Statistics::Gaussian(of) if n == 1 => format!(
                "What it reveals: its one row. The means of the {} columns are the row itself.",
                of.n_columns()
            ),
            Statistics::Gaussian(of) => {
                let d = of.n_columns();
                let few = if n <= d as u64 {
                    format!(
                        " With {n} rows and {d} columns the numbers leave few tables that fit: they all but give the \
                         rows away."
                    )
                } else {
                    String::new()
                };
                format!(
                    "What it reveals: exactly the number of rows, all means, and all variances and covariances of the \
                     columns, and with them every regression among the columns. It does not hold single rows, and does \
                     not hide what these numbers say about them.{few}"
                )
            }
            Statistics::Rows(of) => format!(
                "What it reveals: the rows themselves. It holds every distinct row ({} of {n}) with the number of \
                 times that it occurs; only their order is gone.",
                of.counts().len()
            ),
        }
    }
}
