//! Whether a row was in a site's table, from what the site's policy or posterior says of graphs.

use gfn_core::Result;

use super::gaussian::{Covariance, mean};
use super::roc::Victim;
use super::site::{Row, score, set_gains, standardised};

/// Made-up tables of the population, with and without a row in question.
pub struct Shadows {
    /// [`set_gains`] of whole tables.
    without: Vec<Vec<f64>>,
    /// Tables that lack one row.
    incomplete: Vec<Vec<Row>>,
}

/// What tables with a row say.
pub struct Suspect {
    /// Number of the victim whose row it is.
    pub owner: usize,
    with: Vec<Vec<f64>>,
}

/// [`set_gains`] of a table by its exact posterior.
pub fn exact_gains(rows: &[Row]) -> Result<Vec<f64>> {
    Ok(set_gains(&score(&standardised(rows)?)?))
}

impl Shadows {
    /// From whole tables, and from tables with one row less.
    pub fn new(whole: &[Vec<Row>], incomplete: Vec<Vec<Row>>) -> Result<Self> {
        let without = whole.iter().map(|rows| exact_gains(rows)).collect::<Result<_>>()?;
        Ok(Shadows { without, incomplete })
    }

    /// Completes the tables with a row; the same tables serve all rows, so that rows differ by nothing else.
    pub fn suspect(&self, owner: usize, row: &Row) -> Result<Suspect> {
        let with = |rows: &Vec<Row>| {
            let mut rows = rows.clone();
            rows.push(row.clone());
            exact_gains(&rows)
        };
        Ok(Suspect { owner, with: self.incomplete.iter().map(with).collect::<Result<_>>()? })
    }

    /// The likelihood-ratio attack (Carlini et al. 2022, IEEE S&P) on the gains of every victim: normal distributions of
    /// what tables with and without the row say, where what is said has independent errors of variances `noise`. Each
    /// row is tried on its owner, and on about `others` of the other victims.
    pub fn attack(
        &self,
        victims: &[Vec<f64>],
        suspects: &[Suspect],
        noise: &[f64],
        others: usize,
    ) -> Vec<Victim> {
        let normal = |samples: &[Vec<f64>]| (mean(samples), Covariance::of(samples, noise));
        let log_density = |x: &[f64], (mean, covariance): &(Vec<f64>, Covariance)| {
            -0.5 * (covariance.squared_distance(x, mean) + covariance.log_determinant())
        };
        let without = normal(&self.without);
        let stride = (victims.len() / others.max(1)).max(1);
        let mut scores = vec![Victim::default(); victims.len()];
        for (number, suspect) in suspects.iter().enumerate() {
            let with = normal(&suspect.with);
            for (v, (gains, victim)) in victims.iter().zip(&mut scores).enumerate() {
                let own = v == suspect.owner;
                if own || (number + v) % stride == 0 {
                    let ratio = log_density(gains, &with) - log_density(gains, &without);
                    if own {
                        victim.members.push(ratio)
                    } else {
                        victim.others.push(ratio)
                    };
                }
            }
        }
        scores
    }
}

#[cfg(test)]
mod tests {
    use gfn_core::random::stream;

    use super::*;
    use crate::experiment::privacy::roc::judge;
    use crate::experiment::privacy::site::population;

    #[test]
    fn small_tables_give_their_rows_away_and_noise_takes_it_back() {
        let rows = 6;
        let sizes = [vec![rows; 40 + 200], vec![rows - 1; 100]].concat();
        let mut tables = population(3, &sizes, 1).unwrap();
        let incomplete = tables.split_off(240);
        let whole = tables.split_off(40);
        let shadows = Shadows::new(&whole, incomplete).unwrap();
        let victims: Vec<Vec<f64>> = tables.iter().map(|rows| exact_gains(rows).unwrap()).collect();
        let suspects: Vec<Suspect> = (0..40)
            .flat_map(|v| tables[v].iter().map(move |row| (v, row)))
            .map(|(v, row)| shadows.suspect(v, row).unwrap())
            .collect();
        let area = |noise: f64| {
            let scores = shadows.attack(&victims, &suspects, &[noise; 4], 40);
            judge(&scores, &mut stream(1, "a", 0)).0
        };
        let (exact, drowned) = (area(0.0), area(1e8));
        // 240 members against 9360 others: the standard deviation of an area of a half is .019.
        assert!(exact.low > 0.55, "{exact:?}");
        // The attacker believes that all is noise: what is left is the order of the numbers, never better.
        assert!(drowned.value < exact.high, "{drowned:?} {exact:?}");
    }
}
