//! Marginal likelihood of categorical networks under Dirichlet priors: BDeu, K2, Jeffreys.

use gfn_core::{Error, Result};
use rayon::prelude::*;
use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};
use statrs::function::gamma::ln_gamma;

use super::configurations::Configurations;
use super::row_counts::RowCounts;
use super::{LocalScore, by_parents};

/// The Dirichlet prior of every row of a conditional probability table: a_ijk pseudo-counts for level k of variable i
/// under configuration j of its parents, r_i the levels of i, q_i the configurations of its parents.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum DirichletPrior {
    /// a_ijk = ess / (q_i r_i) (Buntine 1991; Heckerman, Geiger & Chickering 1995): score equivalent.
    Bdeu {
        /// ess > 0, the equivalent sample size: the weight of the prior in rows.
        equivalent_sample_size: f64,
    },
    /// a_ijk = 1 (Cooper & Herskovits 1992): uniform over each row of a table; **not** score equivalent.
    K2,
    /// a_ijk = ½ (Jeffreys' prior of a single multinomial); **not** score equivalent.
    Jeffreys,
}

/// Local scores of categorical variables with Dirichlet priors (Heckerman, Geiger & Chickering 1995, Machine Learning
/// 20, equation 28; natural log):
///
/// local(i, P) = Σ_j [lnΓ(a_ij) − lnΓ(a_ij + N_ij)] + Σ_jk [lnΓ(a_ijk + N_ijk) − lnΓ(a_ijk)],
///
/// N_ijk the rows with level k of i and configuration j of P, N_ij = Σ_k N_ijk, a_ij = r_i a_ijk. Configurations that do
/// not occur contribute nothing. With h(F; a) = Σ lnΓ(a + N) − lnΓ(a) over the configurations of F that occur,
/// local(i, P) = h(P∪i; a_ijk) − h(P; a_ij): all local scores follow from few numbers per set of variables, for BDeu
/// from one, as its pseudo-counts depend on the set alone.
#[derive(Debug, Clone)]
pub struct Dirichlet {
    configurations: Configurations,
    prior: DirichletPrior,
}

impl Dirichlet {
    /// The scores of the rows, node `i` being column `i`. q_i counts the levels that the columns have, seen or not.
    /// Refuses an equivalent sample size that is not a positive number.
    pub fn new(rows: &RowCounts, prior: DirichletPrior) -> Result<Self> {
        if let DirichletPrior::Bdeu { equivalent_sample_size: size } = prior
            && !(size.is_finite() && size > 0.0)
        {
            let expected = "a positive number";
            return Err(Error::usage(
                "equivalent_sample_size",
                expected,
                size.to_string(),
                "correct the setting",
            ));
        }
        Ok(Dirichlet { configurations: Configurations::new(rows), prior })
    }

    /// log a of a set of variables: a_ijk if it is a family, a_ij if it is the parents of a node with r levels.
    fn log_pseudo_count(&self, set: u64, parents_of: Option<f64>) -> f64 {
        let log_a = match self.prior {
            // As a_ij = ess / q_i is what a_ijk would be if the parents were a family.
            DirichletPrior::Bdeu { equivalent_sample_size } => {
                return equivalent_sample_size.ln() - self.configurations.log_configurations(set);
            }
            DirichletPrior::K2 => 0.0,
            DirichletPrior::Jeffreys => 0.5_f64.ln(),
        };
        log_a + parents_of.map_or(0.0, f64::ln)
    }

    /// Numbers of levels of nodes for which sets of parents have pseudo-counts of their own.
    fn different_levels(&self, nodes: impl Iterator<Item = usize>) -> Vec<f64> {
        let mut different: Vec<f64> = match self.prior {
            DirichletPrior::Bdeu { .. } => Vec::new(),
            _ => nodes.map(|node| self.configurations.n_levels(node)).collect(),
        };
        different.sort_by(f64::total_cmp);
        different.dedup();
        different
    }

    /// h of all sets of variables: with the pseudo-counts of a family, then with those of parents of nodes with so many
    /// levels.
    fn of_all_sets(&self, levels: &[f64]) -> Vec<f64> {
        let start = || KnownValues::up_to(self.configurations.n_rows());
        self.configurations.of_all_sets(1 + levels.len(), start, |known, set, partition, sums| {
            let roles = std::iter::once(None).chain(levels.iter().copied().map(Some));
            for (sum, parents_of) in sums.iter_mut().zip(roles) {
                let known = known.at(self.log_pseudo_count(set, parents_of));
                *sum = self.configurations.sum(partition, |count| known.log_rising_factorial(count));
            }
        })
    }

    /// The local scores of `node` from [`of_all_sets`](Self::of_all_sets).
    fn differences(&self, of_sets: &[f64], levels: &[f64], node: usize) -> Vec<f64> {
        let width = 1 + levels.len();
        let own = self.configurations.n_levels(node);
        let role = levels.iter().position(|&r| r == own).map_or(0, |position| 1 + position);
        by_parents(self.n_nodes(), node, |parents, family| {
            of_sets[family * width] - of_sets[parents * width + role]
        })
    }
}

impl LocalScore for Dirichlet {
    fn n_nodes(&self) -> usize {
        self.configurations.n_columns()
    }

    fn local_score(&self, node: usize, parents: u64) -> f64 {
        let (of_parents, of_family) = self.configurations.family(node, parents);
        let log_a = self.log_pseudo_count(parents, Some(self.configurations.n_levels(node)));
        let log_a_family = self.log_pseudo_count(parents | 1 << node, None);
        self.configurations.sum(&of_family, |count| log_rising_factorial(log_a_family, count))
            - self.configurations.sum(&of_parents, |count| log_rising_factorial(log_a, count))
    }

    fn all_local_scores(&self, node: usize) -> Vec<f64> {
        let levels = self.different_levels(std::iter::once(node));
        self.differences(&self.of_all_sets(&levels), &levels, node)
    }

    fn all_scores(&self) -> Vec<Vec<f64>> {
        let levels = self.different_levels(0..self.n_nodes());
        let of_sets = self.of_all_sets(&levels);
        (0..self.n_nodes()).into_par_iter().map(|node| self.differences(&of_sets, &levels, node)).collect()
    }
}

/// lnΓ(a + n) − lnΓ(a) = log a(a + 1)…(a + n − 1), from log a, for n ≥ 1: pseudo-counts may be too small for doubles.
fn log_rising_factorial(log_a: f64, n: u64) -> f64 {
    let (a, n) = (log_a.exp(), n as f64);
    if a < 1.0 {
        // Γ(a) = Γ(a + 1) / a.
        log_a + (ln_gamma(a + n) - ln_gamma(a + 1.0))
    } else if a < 1e4 {
        ln_gamma(a + n) - ln_gamma(a)
    } else {
        // Stirling's series of both, their differences taken term by term (Abramowitz & Stegun 6.1.41); its third
        // term is below 1e-14.
        (a - 0.5) * (n / a).ln_1p() + n * ((a + n).ln() - 1.0) + (1.0 / (a + n) - 1.0 / a) / 12.0
    }
}

/// Values of [`log_rising_factorial`] that were needed before, by log a: sets of variables share few different ones.
struct KnownValues {
    by_log_a: FxHashMap<u64, KnownAt>,
    /// Values are kept for n up to here.
    most: usize,
}

/// [`KnownValues`] at one log a.
struct KnownAt {
    log_a: f64,
    /// By n; NaN where it was not needed yet.
    values: Vec<f64>,
}

impl KnownValues {
    /// Most n for which values are kept; larger counts are few.
    const MOST_COUNT: u64 = 1 << 10;
    /// Most different log a that are kept: some 4 MB together.
    const MOST_KEPT: usize = 1 << 9;

    fn up_to(n_rows: u64) -> Self {
        KnownValues { by_log_a: FxHashMap::default(), most: n_rows.min(Self::MOST_COUNT) as usize }
    }

    fn at(&mut self, log_a: f64) -> &mut KnownAt {
        if self.by_log_a.len() >= Self::MOST_KEPT && !self.by_log_a.contains_key(&log_a.to_bits()) {
            self.by_log_a.clear();
        }
        let most = self.most;
        let nothing = || KnownAt { log_a, values: vec![f64::NAN; most + 1] };
        self.by_log_a.entry(log_a.to_bits()).or_insert_with(nothing)
    }
}

impl KnownAt {
    fn log_rising_factorial(&mut self, n: u64) -> f64 {
        let log_a = self.log_a;
        match self.values.get_mut(n as usize) {
            Some(value) => {
                if value.is_nan() {
                    *value = log_rising_factorial(log_a, n);
                }
                *value
            }
            None => log_rising_factorial(log_a, n),
        }
    }
}
