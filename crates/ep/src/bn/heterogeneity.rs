//! Whether sites look alike: three models of their parameters compared at one graph, and what that does to a result.

use gfn_bn::chain::hill_climb;
use gfn_bn::{
    Bge, BgeSettings, Combine, Dag, DagDomain, GaussianBic, GaussianStatistics, LocalScore, PriorMean,
    ScoreSettings, Statistics,
};
use gfn_core::{Result, Warning};
use serde::Serialize;
use serde_json::json;

/// Difference of log-evidence from which one model is preferred (nats): odds of 150.
const DECISIVE: f64 = 5.0;
/// Restarts of the search for the graph.
const RESTARTS: usize = 10;

/// In what sites differ, as far as the evidence goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Difference {
    /// In nothing: shared parameters are preferred, or not worse.
    Nothing,
    /// In their means; coefficients and variances are shared.
    Means,
    /// In coefficients or variances (numbers), or in conditional probabilities (categories).
    Parameters,
}

/// log p(all rows | G) under three models of the sites' parameters, at one graph G (natural logs).
#[derive(Debug, Clone, Serialize)]
pub struct Heterogeneity {
    /// The graph: a best one of the pooled rows, as hill climbing finds it.
    pub graph: String,
    /// The same parameters at all sites. None where the rows are centred by site: then means are out of the question.
    pub log_shared: Option<f64>,
    /// The same coefficients and variances at all sites, means of their own. None for categories.
    pub log_own_means: Option<f64>,
    /// Parameters of their own at every site.
    pub log_separate: f64,
    /// `log_separate` less the better of the other two: log Bayes factor for sites that differ in more than means.
    pub log_bayes_factor: f64,
    /// What looks different.
    pub differs: Difference,
    /// The same in words, with what it does to this run's model.
    pub text: String,
}

/// Compares the models on the sites' statistics. None for a single site, and where a score takes the rows of all sites
/// together but not those of each.
pub fn heterogeneity(domain: &DagDomain, sites: &[Statistics], seed: u64) -> Result<Option<Heterogeneity>> {
    if sites.len() < 2 {
        return Ok(None);
    }
    let pooled = Statistics::merge(sites)?;
    let graph = pooled_best(domain, &pooled, seed)?;
    let mut log_separate = 0.0;
    for site in sites {
        // BIC asks for more rows than columns, which a site alone may not have.
        let Ok(score) = domain.score(site) else { return Ok(None) };
        log_separate += score.score(&graph);
    }
    let settings = domain.settings();
    let log_shared = match settings.center_sites {
        true => None,
        false => Some(domain.score(&pooled)?.score(&graph)),
    };
    let log_own_means = own_means(&settings.score, sites, &graph)?;
    let best_shared = log_shared.into_iter().chain(log_own_means).fold(f64::NEG_INFINITY, f64::max);
    let means_gain = match (log_shared, log_own_means) {
        (Some(shared), Some(own)) => own - shared,
        _ => 0.0,
    };
    let log_bayes_factor = log_separate - best_shared;
    let differs = if log_bayes_factor > DECISIVE {
        Difference::Parameters
    } else if means_gain > DECISIVE {
        Difference::Means
    } else {
        Difference::Nothing
    };
    let mut found = Heterogeneity {
        graph: graph.to_string(),
        log_shared,
        log_own_means,
        log_separate,
        log_bayes_factor,
        differs,
        text: String::new(),
    };
    found.text = found.sentence(domain);
    Ok(Some(found))
}

impl Heterogeneity {
    /// What the user should know: the model of the run does not go with what the sites look like.
    pub fn warning(&self, domain: &DagDomain) -> Option<Warning> {
        let settings = domain.settings();
        let nats = self.log_bayes_factor.abs();
        match (settings.combine, self.differs) {
            (Combine::Pooled, Difference::Parameters) => Some(Warning::new(
                format!(
                    "sites differ in {} (by {nats:.1} nats): the pooled model takes the difference for edges",
                    self.parameters()
                ),
                "use --combine product, one graph with separate parameters at every site",
            )),
            (Combine::Pooled, Difference::Means) => Some(Warning::new(
                "sites differ in their means: the pooled model takes the difference for edges",
                "use --center site",
            )),
            (Combine::Product, Difference::Nothing | Difference::Means)
                if self.log_bayes_factor < -DECISIVE =>
            {
                let center = if self.differs == Difference::Means { " --center site" } else { "" };
                Some(Warning::new(
                    format!(
                        "sites look alike in {} (by {nats:.1} nats): the product, with separate parameters at every \
                         site, loses information and gives sparser graphs than the pooled rows",
                        self.parameters()
                    ),
                    format!("consider --combine pooled{center}, if sufficient statistics may travel"),
                ))
            }
            _ => None,
        }
    }

    fn parameters(&self) -> &'static str {
        if self.log_own_means.is_some() { "coefficients or variances" } else { "conditional probabilities" }
    }

    fn sentence(&self, domain: &DagDomain) -> String {
        let what = self.parameters();
        let nats = self.log_bayes_factor;
        match self.differs {
            Difference::Parameters => format!(
                "Sites look different in {what}: parameters of their own are preferred by {nats:.1} nats. The product \
                 allows for this; the pooled rows would take the difference for edges."
            ),
            Difference::Means => format!(
                "Sites look different in their means alone (separate {what}: {nats:.1} nats). The product allows for \
                 this at the price of sparser graphs; the pooled rows take it for edges unless they are centred by site."
            ),
            Difference::Nothing if nats < -DECISIVE => format!(
                "Sites look alike: shared {what} are preferred by {:.1} nats. The pooled rows use this; the product, \
                 with parameters of their own at every site, is sparser and less informed.",
                -nats
            ),
            Difference::Nothing => {
                let other = match domain.settings().combine {
                    Combine::Product => "pooled",
                    Combine::Pooled => "product",
                };
                format!(
                    "Whether sites differ in {what} is open ({nats:.1} nats for differing): compare with --combine \
                     {other}."
                )
            }
        }
    }
}

/// A best graph of the pooled rows, by hill climbing.
fn pooled_best(domain: &DagDomain, pooled: &Statistics, seed: u64) -> Result<Dag> {
    use gfn_core::domain::Domain as _;
    let reward = domain.reward(&[pooled], 1.0)?;
    let score = |node: usize, parents: u64| reward.local_score(node, parents);
    Ok(hill_climb(&score, domain.environment().constraints(), RESTARTS, seed).0)
}

/// log p(all rows | G) with shared coefficients and variances, and a mean of its own at every site. None for categories.
///
/// BGe: with a normal prior of each site's mean given the one precision matrix, every site adds its scatter and
/// N_k α_μ / (N_k + α_μ) δ_k δ_kᵀ to R, δ_k = x̄_k − ν, and ½ log(α_μ / (N_k + α_μ)) for every node: the derivation of
/// Geiger & Heckerman (2002) with several normal factors in place of one. Otherwise R and N are those of all rows. BIC:
/// rows around their site's mean, and one more parameter per node and further site.
fn own_means(score: &ScoreSettings, sites: &[Statistics], graph: &Dag) -> Result<Option<f64>> {
    let mut parts = Vec::new();
    for site in sites {
        let Statistics::Gaussian(part) = site else { return Ok(None) };
        parts.push(part);
    }
    let d = parts[0].n_columns();
    let n: u64 = parts.iter().map(|part| part.n_rows()).sum();
    match score {
        ScoreSettings::Bge(bge) => {
            let alpha = bge.alpha_mu;
            let weight = |rows: u64| (alpha / (rows as f64 + alpha)).ln() / 2.0;
            let distance = |part: &GaussianStatistics, j: usize| match &bge.prior_mean {
                PriorMean::Zero => part.mean_less(j, 0.0),
                PriorMean::Mean => 0.0,
                PriorMean::Given(nu) => part.mean_less(j, nu[j]),
            };
            let entry = |i: usize, j: usize| {
                let of = |part: &&GaussianStatistics| {
                    let rows = part.n_rows() as f64;
                    let between = distance(part, i) * distance(part, j);
                    part.scatter()[(i, j)] + rows * alpha / (rows + alpha) * between
                };
                parts.iter().map(of).sum::<f64>()
            };
            let statistics = around_zero(parts[0].names(), n, entry);
            let zero = BgeSettings { prior_mean: PriorMean::Zero, ..bge.clone() };
            let shared = Bge::from_statistics(&statistics, &zero)?.score(graph);
            let of_sites: f64 = parts.iter().map(|part| weight(part.n_rows())).sum();
            Ok(Some(shared + d as f64 * (of_sites - weight(n))))
        }
        _ => {
            let entry = |i: usize, j: usize| parts.iter().map(|part| part.scatter()[(i, j)]).sum::<f64>();
            let statistics = around_zero(parts[0].names(), n, entry);
            let more_means = ((parts.len() - 1) * d) as f64;
            let shared = GaussianBic::new(&statistics)?.score(graph);
            Ok(Some(shared - more_means / 2.0 * (n as f64).ln()))
        }
    }
}

/// Statistics with means of zero and a given scatter, by its lower triangle.
fn around_zero(names: &[String], n: u64, scatter: impl Fn(usize, usize) -> f64) -> GaussianStatistics {
    let d = names.len();
    let rows: Vec<Vec<f64>> = (0..d).map(|i| (0..d).map(|j| scatter(i.max(j), i.min(j))).collect()).collect();
    let zeros = vec![0.0; d];
    let stored = json!({ "names": names, "n": n, "means": zeros, "mean_rests": zeros, "scatter": rows });
    serde_json::from_value(stored).expect("finite and symmetric as its parts are")
}

#[cfg(test)]
mod tests {
    use gfn_bn::{BgeSettings, Dag, GaussianStatistics, PriorMean, ScoreSettings, Statistics, Table};

    use super::own_means;

    fn statistics(columns: &[&[f64]]) -> Statistics {
        let names = (0..columns.len()).map(|j| format!("X{j}")).collect();
        let table = Table::new(names, columns.iter().map(|column| column.to_vec()).collect()).unwrap();
        Statistics::Gaussian(GaussianStatistics::of(&table).unwrap())
    }

    /// One variable, where the law of all rows is a t distribution: given the precision w, the rows of a site are normal
    /// with covariance (I + 11ᵀ/α_μ) / w, and w is Wishart with α_w = 3 and t = ½.
    #[test]
    fn own_means_of_one_variable_are_a_t_distribution() {
        let sites: [&[f64]; 3] = [&[0.3, -1.2], &[4.5, 5.5, 6.5], &[-3.0, -2.0, -2.5]];
        let nu = 0.7;
        let score = ScoreSettings::Bge(BgeSettings {
            alpha_mu: 1.0,
            prior_mean: PriorMean::Given(vec![nu]),
            ..BgeSettings::default()
        });
        let parts: Vec<Statistics> = sites.iter().map(|site| statistics(&[site])).collect();
        let (mut n, mut quadratic, mut log_determinant) = (0.0, 0.0, 0.0);
        for site in sites {
            let rows = site.len() as f64;
            let (sum, squares) = site.iter().fold((0.0, 0.0), |(a, b), x| (a + x - nu, b + (x - nu).powi(2)));
            n += rows;
            // Sherman and Morrison: (I + 11ᵀ)⁻¹ = I − 11ᵀ / (1 + rows), and the determinant is 1 + rows.
            quadratic += squares - sum * sum / (1.0 + rows);
            log_determinant += (1.0 + rows).ln();
        }
        let log_gammas: f64 = (0..4).map(|i| (1.5 + f64::from(i)).ln()).sum();
        let t: f64 = 0.5;
        let expected = log_gammas - n / 2.0 * std::f64::consts::PI.ln() - log_determinant / 2.0
            + 1.5 * t.ln()
            - (3.0 + n) / 2.0 * (t + quadratic).ln();
        let found = own_means(&score, &parts, &Dag::empty(1).unwrap()).unwrap().unwrap();
        assert!((found - expected).abs() < 1e-10, "{found}, by hand {expected}");
    }

    #[test]
    fn a_single_site_has_its_own_means_anyway() {
        let site = statistics(&[&[0.3, -1.2, 0.8, 2.0], &[1.0, 2.0, 2.5, 1.0], &[7.0, 9.0, 8.0, 7.5]]);
        let dag: Dag = "011001000".parse().unwrap();
        let nu = [PriorMean::Zero, PriorMean::Mean, PriorMean::Given(vec![1.0, -1.0, 5.0])];
        for prior_mean in nu {
            let score =
                ScoreSettings::Bge(BgeSettings { alpha_mu: 0.5, prior_mean, ..BgeSettings::default() });
            let whole = score.score(&site).unwrap().score(&dag);
            let found = own_means(&score, std::slice::from_ref(&site), &dag).unwrap().unwrap();
            assert!((found - whole).abs() < 1e-9, "{score:?}: {found}, {whole}");
        }
    }
}
