//! The model in a plan for network structures, and what it means in words.

use gfn_bn::{
    Combine, DagDomain, DiscreteTable, GaussianStatistics, NetworkSettings, RowCounts, ScoreSettings,
    Statistics, Table,
};
use gfn_core::Result;
use gfn_core::domain::Domain;

/// What is to be said wherever probabilities of directed edges are shown.
pub const EDGE_CAUTION: &str = "Uniform over graphs is not uniform over equivalence classes: a class counts as often as \
                                it has graphs. And P(u → v) from observational data is not causal: which direction \
                                is likely within a class is up to the prior.";

/// Refuses what no domain can be made of, and scores whose settings are out of range: at the plan, not at every site.
pub fn check(settings: &NetworkSettings) -> Result<()> {
    let domain = DagDomain::new(settings.clone())?;
    if settings.score == (ScoreSettings::Bic {}) {
        // It has no settings, and asks for more rows than columns.
        return Ok(());
    }
    // Settings are checked where rows are scored: any rows will do.
    let names = domain.environment().names().to_vec();
    let d = names.len();
    let levels: Option<Vec<_>> = settings.columns.iter().map(|column| column.levels.clone()).collect();
    let statistics = match levels {
        Some(levels) => {
            Statistics::Rows(RowCounts::of(&DiscreteTable::new(names, levels, vec![vec![0]; d])?))
        }
        None => Statistics::Gaussian(GaussianStatistics::of(&Table::new(names, vec![vec![0.0]; d])?)?),
    };
    domain.score(&statistics).map(drop)
}

/// What decides objects and target.
pub fn fingerprint_parts(settings: &NetworkSettings) -> Vec<String> {
    vec!["bn".to_string(), settings.meaning()]
}

/// Name of the model of what several sites mean, as on the command line.
pub fn combine_name(settings: &NetworkSettings) -> &'static str {
    match (settings.combine, settings.center_sites) {
        (Combine::Product, _) => "product",
        (Combine::Pooled, false) => "pooled",
        (Combine::Pooled, true) => "pooled, centred by site",
    }
}

/// The model of what several sites mean, in a line; named with every result.
pub fn combine_text(settings: &NetworkSettings) -> &'static str {
    match (settings.combine, settings.center_sites) {
        (Combine::Product, _) => {
            "product: one graph, separate parameters at every site; policies travel. On sites that are alike it is \
             sparser and less informed than the posterior of the pooled rows, which it is not."
        }
        (Combine::Pooled, false) => {
            "pooled: one graph with the same parameters at all sites, the exact posterior of the pooled rows; \
             sufficient statistics travel. Where sites differ in parameters it takes the difference for edges."
        }
        (Combine::Pooled, true) => {
            "pooled, centred by site: one graph with the same coefficients at all sites, rows around the mean of their \
             own site; sufficient statistics travel. Where sites differ in coefficients it takes the difference for \
             edges."
        }
    }
}
