//! What Gaussian scores need of a table: number of rows, means and scatter, which add up over sites.

use gfn_core::{Error, Place, Result};
use nalgebra::DMatrix;
use serde::{Deserialize, Serialize};

use crate::data::Table;

/// Number of rows n, means x̄ and scatter S = Σ (x − x̄)(x − x̄)ᵀ of numeric columns: all that BGe and the Gaussian BIC
/// need of the rows, with which they say the same as n, Σx and Σxxᵀ.
///
/// The statistics of several tables [`merge`](Self::merge) into those of all their rows together, so that sites can
/// send them in place of rows. They are not private: they are the first two moments of the data, and of a single row
/// they are the row.
///
/// A mean is kept as the sum of its rounded value and what rounding took away, the scatter around that sum: differences
/// of large means then keep their digits.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Stored", into = "Stored")]
pub struct GaussianStatistics {
    names: Vec<String>,
    n: u64,
    means: Vec<f64>,
    mean_rests: Vec<f64>,
    /// S, d × d.
    scatter: DMatrix<f64>,
}

/// [`GaussianStatistics`] as stored.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    names: Vec<String>,
    n: u64,
    means: Vec<f64>,
    /// What rounding took away from the means.
    mean_rests: Vec<f64>,
    /// The rows of the scatter matrix.
    scatter: Vec<Vec<f64>>,
}

impl GaussianStatistics {
    /// The statistics of a table, its columns in their order. Refuses numbers whose squares overflow.
    ///
    /// By the corrected two-pass algorithm (Chan, Golub & LeVeque 1983, Am. Statist. 37): the rounding of a first mean is
    /// itself averaged away.
    pub fn of(table: &Table) -> Result<Self> {
        let (d, n) = (table.n_columns(), table.n_rows() as f64);
        let means: Vec<f64> =
            table.columns().iter().map(|column| column.iter().map(|x| x / n).sum()).collect();
        let mean_rests: Vec<f64> = (table.columns().iter().zip(&means))
            .map(|(column, mean)| column.iter().map(|x| (x - mean) / n).sum())
            .collect();
        let centred: Vec<Vec<f64>> = (0..d)
            .map(|j| table.columns()[j].iter().map(|x| (x - means[j]) - mean_rests[j]).collect())
            .collect();
        let product = |i: usize, j: usize| centred[i].iter().zip(&centred[j]).map(|(x, y)| x * y).sum();
        let scatter = DMatrix::from_fn(d, d, |i, j| product(i.min(j), i.max(j)));
        let names = table.names().to_vec();
        let statistics = GaussianStatistics { names, n: table.n_rows() as u64, means, mean_rests, scatter };
        statistics.check_overflow()?;
        Ok(statistics)
    }

    /// The statistics of the rows of several tables together (Chan, Golub & LeVeque 1983):
    /// n = Σ_k n_k, x̄ = Σ_k n_k x̄_k / n, S = Σ_k S_k + n_k (x̄_k − x̄)(x̄_k − x̄)ᵀ.
    ///
    /// Refuses an empty list, other names or another order of them, and what overflows.
    pub fn merge(parts: &[GaussianStatistics]) -> Result<Self> {
        let Some(first) = parts.first() else {
            return Err(Error::usage("statistics", "those of at least one site", "none", "name the files"));
        };
        if let Some(other) = parts.iter().find(|part| part.names != first.names) {
            return Err(different("columns", &first.names, &other.names));
        }
        let n = total(parts.iter().map(|part| part.n))?;
        let d = first.names.len();
        let share = |part: &GaussianStatistics| part.n as f64 / n as f64;
        let means: Vec<f64> =
            (0..d).map(|j| parts.iter().map(|part| share(part) * part.means[j]).sum()).collect();
        let mean_rests: Vec<f64> = (0..d)
            .map(|j| parts.iter().map(|part| share(part) * part.mean_less(j, means[j])).sum())
            .collect();
        let mut scatter = DMatrix::zeros(d, d);
        for part in parts {
            let distance: Vec<f64> = (0..d).map(|j| part.mean_less(j, means[j]) - mean_rests[j]).collect();
            let between = |i: usize, j: usize| part.n as f64 * distance[i] * distance[j];
            // By the lower triangle, for the products of an entry and its mirror image round differently.
            scatter += DMatrix::from_fn(d, d, |i, j| part.scatter[(i, j)] + between(i.max(j), i.min(j)));
        }
        let merged = GaussianStatistics { names: first.names.clone(), n, means, mean_rests, scatter };
        merged.check_overflow()?;
        Ok(merged)
    }

    /// The same with means 0, as if every column had been centred beforehand. Merged, the centred statistics of several
    /// sites describe rows without the differences between the sites' means.
    pub fn centred(&self) -> Self {
        let zeros = vec![0.0; self.names.len()];
        GaussianStatistics { means: zeros.clone(), mean_rests: zeros, ..self.clone() }
    }

    /// Names of the columns.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// Number of rows, n ≥ 1.
    pub fn n_rows(&self) -> u64 {
        self.n
    }

    /// Number of columns, d.
    pub fn n_columns(&self) -> usize {
        self.names.len()
    }

    /// The means of the columns, x̄.
    pub fn means(&self) -> &[f64] {
        &self.means
    }

    /// The scatter matrix S = Σ (x − x̄)(x − x̄)ᵀ, d × d.
    pub fn scatter(&self) -> &DMatrix<f64> {
        &self.scatter
    }

    /// x̄_j − `value`: exact to the last digits of the difference where the two are close.
    pub fn mean_less(&self, column: usize, value: f64) -> f64 {
        (self.means[column] - value) + self.mean_rests[column]
    }

    fn check_overflow(&self) -> Result<()> {
        let finite = |j: usize| self.scatter.column(j).iter().all(|x| x.is_finite());
        // The diagonal first: where it overflows, so do entries of other columns.
        let overflow = (0..self.n_columns())
            .find(|&j| !self.scatter[(j, j)].is_finite())
            .or_else(|| (0..self.n_columns()).find(|&j| !finite(j) || !self.mean_less(j, 0.0).is_finite()));
        match overflow {
            Some(j) => Err(overflows(&self.names[j])),
            None => Ok(()),
        }
    }
}

/// The error of a column whose squares are no doubles.
pub(super) fn overflows(name: &str) -> Error {
    Error::input(
        Place::item(format!("column {name:?}")),
        "numbers whose squares can be summed",
        "an overflow",
        "change the unit of the column",
    )
}

/// The error of sites that do not describe the same columns.
pub(super) fn different(what: &str, expected: &[String], found: &[String]) -> Error {
    Error::input(
        Place::item("statistics"),
        format!("{what} {expected:?}, as at the first site"),
        format!("{found:?}"),
        "bring the columns into the same order under the same names everywhere",
    )
}

/// The sum of the numbers of rows.
pub(super) fn total(mut counts: impl Iterator<Item = u64>) -> Result<u64> {
    counts.try_fold(0_u64, u64::checked_add).ok_or_else(|| {
        Error::input(Place::item("statistics"), "fewer than 2^64 rows", "more", "correct the counts")
    })
}

impl From<GaussianStatistics> for Stored {
    fn from(statistics: GaussianStatistics) -> Self {
        let GaussianStatistics { names, n, means, mean_rests, scatter } = statistics;
        let scatter = scatter.row_iter().map(|row| row.iter().copied().collect()).collect();
        Stored { names, n, means, mean_rests, scatter }
    }
}

impl TryFrom<Stored> for GaussianStatistics {
    type Error = Error;

    fn try_from(stored: Stored) -> Result<Self> {
        let refuse = |place: String, expected: String, found: String| {
            Err(Error::input(
                Place::item(place),
                expected,
                found,
                "write the statistics again from the table",
            ))
        };
        let Stored { names, n, means, mean_rests, scatter } = stored;
        let d = names.len();
        if d == 0 {
            return refuse("names".into(), "at least one column".into(), "none".into());
        }
        if let Some((_, name)) = names.iter().enumerate().find(|(i, name)| names[..*i].contains(name)) {
            return refuse(
                format!("column {name:?}"),
                "a name of its own".into(),
                "the same name twice".into(),
            );
        }
        if n == 0 {
            return refuse("n".into(), "at least one row".into(), "none".into());
        }
        let rows = [("means", &means), ("mean_rests", &mean_rests)].into_iter();
        for (what, row) in rows.chain(scatter.iter().map(|row| ("scatter", row))) {
            if row.len() != d {
                return refuse(what.into(), format!("{d} numbers, one per column"), row.len().to_string());
            }
            if let Some(value) = row.iter().find(|value| !value.is_finite()) {
                return refuse(what.into(), "finite numbers".into(), value.to_string());
            }
        }
        if scatter.len() != d {
            return refuse("scatter".into(), format!("{d} rows, one per column"), scatter.len().to_string());
        }
        for i in 0..d {
            if scatter[i][i] < 0.0 {
                let place = format!("scatter, column {:?}", names[i]);
                return refuse(place, "a sum of squares".into(), scatter[i][i].to_string());
            }
            if let Some(j) = (0..i).find(|&j| scatter[i][j] != scatter[j][i]) {
                let place = format!("scatter, columns {:?} and {:?}", names[j], names[i]);
                let found = format!("{} and {}", scatter[j][i], scatter[i][j]);
                return refuse(place, "a symmetric matrix".into(), found);
            }
        }
        let scatter = DMatrix::from_fn(d, d, |i, j| scatter[i][j]);
        Ok(GaussianStatistics { names, n, means, mean_rests, scatter })
    }
}
