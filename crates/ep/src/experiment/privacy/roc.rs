//! How well scores tell members from others: area under the curve, and true positives at few false ones, with intervals.

use gfn_core::random::ChaCha8Rng;
use rand::RngExt;

/// Share of false positives at which true ones are counted.
pub const FALSE_POSITIVES: f64 = 0.01;
/// Bootstrap samples.
const SAMPLES: usize = 500;
/// What an interval leaves out at each end.
const TAIL: f64 = 0.025;

/// Scores of one victim: of its members, and of rows that are not its.
#[derive(Debug, Clone, Default)]
pub struct Victim {
    /// Log-likelihood ratios of rows that are in the table.
    pub members: Vec<f64>,
    /// And of rows that are not.
    pub others: Vec<f64>,
}

/// A number with its 95 % bootstrap interval.
#[derive(Debug, Clone, Copy)]
pub struct Interval {
    /// From all victims.
    pub value: f64,
    /// Its lower end.
    pub low: f64,
    /// Its upper end.
    pub high: f64,
}

/// Area under the curve, and share of members found at [`FALSE_POSITIVES`]; victims are resampled whole, since their rows
/// share a table (cluster bootstrap, Davison & Hinkley 1997).
pub fn judge(victims: &[Victim], rng: &mut ChaCha8Rng) -> (Interval, Interval) {
    let all: Vec<&Victim> = victims.iter().collect();
    let (area, found) = curve(&all);
    let (mut areas, mut founds) = (Vec::new(), Vec::new());
    for _ in 0..SAMPLES {
        let drawn: Vec<&Victim> =
            (0..victims.len()).map(|_| &victims[rng.random_range(0..victims.len())]).collect();
        let (area, found) = curve(&drawn);
        areas.push(area);
        founds.push(found);
    }
    (interval(area, areas), interval(found, founds))
}

fn interval(value: f64, mut samples: Vec<f64>) -> Interval {
    samples.sort_by(f64::total_cmp);
    let at = |q: f64| samples[(q * (samples.len() - 1) as f64).round() as usize];
    Interval { value, low: at(TAIL), high: at(1.0 - TAIL) }
}

/// Area under the curve (Mann & Whitney 1947: the share of pairs in order, half for ties), and the share of members above
/// the score that [`FALSE_POSITIVES`] of the others exceed.
fn curve(victims: &[&Victim]) -> (f64, f64) {
    let mut others: Vec<f64> = victims.iter().flat_map(|victim| &victim.others).copied().collect();
    others.sort_by(f64::total_cmp);
    let members: Vec<f64> = victims.iter().flat_map(|victim| &victim.members).copied().collect();
    let below = |score: f64| others.partition_point(|&other| other < score);
    let up_to = |score: f64| others.partition_point(|&other| other <= score);
    let in_order: f64 = members.iter().map(|&score| 0.5 * (below(score) + up_to(score)) as f64).sum();
    let area = in_order / (members.len() * others.len()) as f64;
    let allowed = (FALSE_POSITIVES * others.len() as f64) as usize;
    let threshold = others[others.len() - 1 - allowed];
    let found = members.iter().filter(|&&score| score > threshold).count();
    (area, found as f64 / members.len() as f64)
}

#[cfg(test)]
mod tests {
    use gfn_core::random::stream;

    use super::*;

    #[test]
    fn areas_and_shares_have_closed_forms() {
        let victim = Victim { members: vec![1.0, 3.0], others: vec![0.0, 1.0, 2.0] };
        // Of six pairs, 0 < 1, 1 = 1, and three below 3.
        let (area, found) = curve(&[&victim]);
        assert!((area - 4.5 / 6.0).abs() < 1e-15, "{area}");
        assert_eq!(found, 0.5);
        let apart =
            Victim { members: vec![5.0; 10], others: (0..1000).map(|i| f64::from(i) / 1000.0).collect() };
        assert_eq!(curve(&[&apart]), (1.0, 1.0));
        let (area, found) = judge(&[apart.clone(), apart], &mut stream(1, "a", 0));
        assert_eq!([area.low, area.value, area.high, found.low], [1.0; 4]);
    }

    #[test]
    fn scores_that_say_nothing_have_an_area_of_a_half() {
        let mut rng = stream(2, "a", 0);
        let mut draw = |n: usize| (0..n).map(|_| rng.random::<f64>()).collect();
        let victims: Vec<Victim> = (0..100).map(|_| Victim { members: draw(20), others: draw(50) }).collect();
        let (area, found) = judge(&victims, &mut stream(3, "a", 0));
        // Standard deviations below .008 and .004: five of them.
        assert!((area.value - 0.5).abs() < 0.04 && (found.value - 0.01).abs() < 0.02, "{area:?} {found:?}");
        assert!(area.low < area.value && area.value < area.high, "{area:?}");
    }
}
