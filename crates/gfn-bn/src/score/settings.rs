//! Which score a plan asks for, and the statistics of either kind that it is computed from.

use std::sync::Arc;

use gfn_core::{Error, Place, Result};
use serde::{Deserialize, Serialize};

use super::{
    Bge, BgeSettings, Dirichlet, DirichletPrior, DiscreteBic, GaussianBic, GaussianStatistics, LocalScore,
    RowCounts,
};

/// The score of a plan, with its hyperparameters.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "kind", deny_unknown_fields)]
pub enum ScoreSettings {
    /// Linear-Gaussian networks: [`Bge`].
    Bge(BgeSettings),
    /// Categories with a prior of so many rows: [`DirichletPrior::Bdeu`].
    Bdeu {
        /// ess > 0; 1 if it is left out.
        #[serde(default = "one")]
        equivalent_sample_size: f64,
    },
    /// Categories: [`DirichletPrior::K2`].
    K2 {},
    /// Categories: [`DirichletPrior::Jeffreys`].
    Jeffreys {},
    /// [`GaussianBic`] of numbers, [`DiscreteBic`] of categories.
    Bic {},
}

/// The equivalent sample size that changes least with the number of categories, and bnlearn's.
fn one() -> f64 {
    1.0
}

impl Default for ScoreSettings {
    fn default() -> Self {
        ScoreSettings::Bge(BgeSettings::default())
    }
}

impl ScoreSettings {
    /// The name of the score, as in a plan: `bge`, `bdeu`, `k2`, `jeffreys` or `bic`.
    pub fn name(&self) -> &'static str {
        match self {
            ScoreSettings::Bge(_) => "bge",
            ScoreSettings::Bdeu { .. } => "bdeu",
            ScoreSettings::K2 {} => "k2",
            ScoreSettings::Jeffreys {} => "jeffreys",
            ScoreSettings::Bic {} => "bic",
        }
    }

    /// Whether the columns must be categories; `None` where the score takes either.
    pub fn is_discrete(&self) -> Option<bool> {
        match self {
            ScoreSettings::Bge(_) => Some(false),
            ScoreSettings::Bdeu { .. } | ScoreSettings::K2 {} | ScoreSettings::Jeffreys {} => Some(true),
            ScoreSettings::Bic {} => None,
        }
    }

    /// The score of the rows that the statistics describe, node `i` being column `i`. Refuses numbers for a score of
    /// categories and the reverse, and what the score itself refuses.
    pub fn score(&self, statistics: &Statistics) -> Result<Arc<dyn LocalScore>> {
        let dirichlet = |prior: DirichletPrior| match statistics {
            Statistics::Rows(rows) => Ok(Arc::new(Dirichlet::new(rows, prior)?) as Arc<dyn LocalScore>),
            Statistics::Gaussian(_) => Err(Error::input(
                Place::item("columns"),
                format!("categories, as for the score {}", self.name()),
                "numbers",
                "choose the score bge, or declare the levels of the columns",
            )),
        };
        match (self, statistics) {
            (ScoreSettings::Bge(settings), Statistics::Gaussian(of)) => {
                Ok(Arc::new(Bge::from_statistics(of, settings)?))
            }
            (ScoreSettings::Bge(_), Statistics::Rows(_)) => Err(Error::input(
                Place::item("columns"),
                "numbers, as for the score bge",
                "categories",
                "choose the score bdeu, or declare the columns numeric",
            )),
            (&ScoreSettings::Bdeu { equivalent_sample_size }, _) => {
                dirichlet(DirichletPrior::Bdeu { equivalent_sample_size })
            }
            (ScoreSettings::K2 {}, _) => dirichlet(DirichletPrior::K2),
            (ScoreSettings::Jeffreys {}, _) => dirichlet(DirichletPrior::Jeffreys),
            (ScoreSettings::Bic {}, Statistics::Gaussian(of)) => Ok(Arc::new(GaussianBic::new(of)?)),
            (ScoreSettings::Bic {}, Statistics::Rows(rows)) => Ok(Arc::new(DiscreteBic::new(rows))),
        }
    }
}

/// All that a score needs of the rows of a table, or of several tables together.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "kind")]
pub enum Statistics {
    /// Of numbers.
    Gaussian(GaussianStatistics),
    /// Of categories.
    Rows(RowCounts),
}

impl Statistics {
    /// The statistics of the rows of several tables together. Refuses an empty list, a mixture of numbers and
    /// categories, and other names, levels, or another order of them.
    pub fn merge(parts: &[Statistics]) -> Result<Self> {
        let mut gaussian = Vec::new();
        let mut rows = Vec::new();
        for part in parts {
            match part {
                Statistics::Gaussian(part) => gaussian.push(part.clone()),
                Statistics::Rows(part) => rows.push(part.clone()),
            }
        }
        match (gaussian.is_empty(), rows.is_empty()) {
            (false, false) => Err(Error::input(
                Place::item("statistics"),
                "numbers at all sites, or categories at all",
                format!("numbers at {}, categories at {}", gaussian.len(), rows.len()),
                "let all sites use the same plan",
            )),
            (true, false) => Ok(Statistics::Rows(RowCounts::merge(&rows)?)),
            _ => Ok(Statistics::Gaussian(GaussianStatistics::merge(&gaussian)?)),
        }
    }

    /// Names of the columns.
    pub fn names(&self) -> &[String] {
        match self {
            Statistics::Gaussian(of) => of.names(),
            Statistics::Rows(rows) => rows.names(),
        }
    }

    /// Number of rows, at least 1.
    pub fn n_rows(&self) -> u64 {
        match self {
            Statistics::Gaussian(of) => of.n_rows(),
            Statistics::Rows(rows) => rows.n_rows(),
        }
    }
}
