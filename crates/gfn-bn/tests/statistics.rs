//! Statistics of sites: merged against pooled rows, JSON without loss, refusals; which score takes which.

#[path = "shared/random_tables.rs"]
mod random_tables;

use gfn_bn::{
    Bge, BgeSettings, DiscreteTable, GaussianStatistics, LocalScore, PriorMean, RowCounts, ScoreSettings,
    Statistics, Table,
};
use proptest::prelude::*;
use rand::RngExt;
use random_tables::{categories, discrete, names, numbers, random_dag, seeded};
use serde_json::{Value, json};

fn of(table: &Table) -> GaussianStatistics {
    GaussianStatistics::of(table).unwrap()
}

/// The rows of several tables in one.
fn pooled(tables: &[Table]) -> Table {
    let d = tables[0].n_columns();
    let column = |j: usize| tables.iter().flat_map(|table| table.columns()[j].iter().copied()).collect();
    Table::new(tables[0].names().to_vec(), (0..d).map(column).collect()).unwrap()
}

fn pooled_categories(tables: &[DiscreteTable]) -> DiscreteTable {
    let column = |j: usize| tables.iter().flat_map(|table| table.columns()[j].iter().copied()).collect();
    let columns = (0..tables[0].n_columns()).map(column).collect();
    DiscreteTable::new(tables[0].names().to_vec(), tables[0].levels().to_vec(), columns).unwrap()
}

/// Asserts that two statistics are the same but for rounding: scatters to `tolerance` of their diagonal, means to
/// `tolerance` of a standard deviation.
fn assert_close(found: &GaussianStatistics, expected: &GaussianStatistics, tolerance: f64) {
    assert_eq!((found.names(), found.n_rows()), (expected.names(), expected.n_rows()));
    let scale = |j: usize| expected.scatter()[(j, j)].sqrt();
    for i in 0..expected.n_columns() {
        let distance = found.mean_less(i, expected.means()[i]) - expected.mean_less(i, expected.means()[i]);
        assert!(distance.abs() <= tolerance * scale(i), "mean {i}: {distance}");
        for j in 0..expected.n_columns() {
            let (one, two) = (found.scatter()[(i, j)], expected.scatter()[(i, j)]);
            assert!((one - two).abs() <= tolerance * scale(i) * scale(j), "{i}, {j}: {one}, not {two}");
        }
    }
}

#[test]
fn a_table_by_hand() {
    let table = Table::new(names(2), vec![vec![1.0, 2.0, 6.0], vec![0.0, 4.0, 2.0]]).unwrap();
    let statistics = of(&table);
    assert_eq!((statistics.n_rows(), statistics.n_columns()), (3, 2));
    let close = |found: f64, expected: f64| assert!((found - expected).abs() < 1e-14, "{found}, {expected}");
    statistics.means().iter().zip([3.0, 2.0]).for_each(|(&found, expected)| close(found, expected));
    let scatter = [14.0, 2.0, 2.0, 8.0];
    statistics.scatter().iter().zip(scatter).for_each(|(&found, expected)| close(found, expected));
    let centred = statistics.centred();
    assert_eq!((centred.means(), centred.mean_less(0, 0.0)), (&[0.0, 0.0][..], 0.0));
    assert_eq!((centred.scatter(), centred.n_rows()), (statistics.scatter(), 3));
}

#[test]
fn pooled_statistics_give_the_scores_of_the_pooled_rows() {
    let mut rng = seeded(5);
    let d = 5;
    // Sites with one row, with other means, and with means near 1e6 that differ.
    for (sizes, offset, shift, tolerance) in [
        (vec![40, 7, 90], 0.0, 0.0, 1e-12),
        (vec![1, 30, 1, 2], 3.0, 2.0, 1e-12),
        (vec![50; 4], 1e6, 37.3, 1e-8),
    ] {
        let tables: Vec<Table> = (sizes.iter().enumerate())
            .map(|(site, &n)| numbers(&mut rng, n, &vec![offset + shift * site as f64; d]))
            .collect();
        let parts: Vec<GaussianStatistics> = tables.iter().map(of).collect();
        let merged = GaussianStatistics::merge(&parts).unwrap();
        let pooled = pooled(&tables);
        assert_eq!(merged.n_rows(), sizes.iter().sum::<usize>() as u64);
        for prior_mean in [PriorMean::Zero, PriorMean::Mean, PriorMean::Given(vec![offset + 0.3; d])] {
            let settings = BgeSettings { prior_mean, ..BgeSettings::default() };
            let (one, two) =
                (Bge::from_statistics(&merged, &settings).unwrap(), Bge::new(&pooled, &settings).unwrap());
            for _ in 0..20 {
                let dag = random_dag(&mut rng, d);
                let (one, two) = (one.score(&dag), two.score(&dag));
                assert!((one / two - 1.0).abs() < tolerance, "{settings:?}: {one}, not {two}");
            }
        }
    }
}

/// Statistics centred at each site are those of rows centred at each site, and no score sees the means.
#[test]
fn centred_statistics_are_those_of_centred_rows() {
    let mut rng = seeded(6);
    let tables: Vec<Table> =
        (0..3).map(|site| numbers(&mut rng, 30, &[1e3 * f64::from(site), 5.0])).collect();
    let centre = |table: &Table| {
        let centred = |column: &Vec<f64>| {
            let mean = column.iter().sum::<f64>() / column.len() as f64;
            column.iter().map(|x| x - mean).collect()
        };
        Table::new(table.names().to_vec(), table.columns().iter().map(centred).collect()).unwrap()
    };
    let parts: Vec<GaussianStatistics> = tables.iter().map(|table| of(table).centred()).collect();
    let merged = GaussianStatistics::merge(&parts).unwrap();
    assert_close(&merged, &of(&pooled(&tables.iter().map(centre).collect::<Vec<_>>())), 1e-11);
    assert!(merged.means().iter().all(|&mean| mean == 0.0));
}

proptest! {
    #![proptest_config(ProptestConfig {
        rng_seed: proptest::test_runner::RngSeed::Fixed(1),
        failure_persistence: None, // the seed is fixed: every run fails alike
        ..ProptestConfig::with_cases(64)
    })]

    /// Merging does not depend on how the sites are taken together, nor on their order.
    #[test]
    fn merging_is_associative(
        seed in 0_u64..1000, sizes in prop::collection::vec(1_usize..20, 2..6), cut in 0_usize..6, offset in -1e3..1e3,
    ) {
        let mut rng = seeded(seed);
        let tables: Vec<Table> = (sizes.iter().enumerate())
            .map(|(site, &n)| numbers(&mut rng, n, &[offset, -offset * site as f64, 0.0]))
            .collect();
        let parts: Vec<GaussianStatistics> = tables.iter().map(of).collect();
        let cut = cut.clamp(1, parts.len() - 1);
        let merge = |parts: &[GaussianStatistics]| GaussianStatistics::merge(parts).unwrap();
        let all = merge(&parts);
        assert_close(&merge(&[merge(&parts[..cut]), merge(&parts[cut..])]), &all, 1e-12);
        assert_close(&merge(&parts.iter().rev().cloned().collect::<Vec<_>>()), &all, 1e-12);
        if sizes.iter().sum::<usize>() > 1 {
            assert_close(&all, &of(&pooled(&tables)), 1e-12);
        }

        let tables: Vec<DiscreteTable> = sizes.iter().map(|&n| categories(&mut rng, n, &[2, 3, 2])).collect();
        let parts: Vec<RowCounts> = tables.iter().map(RowCounts::of).collect();
        let merge = |parts: &[RowCounts]| RowCounts::merge(parts).unwrap();
        let all = merge(&parts);
        prop_assert_eq!(&merge(&[merge(&parts[..cut]), merge(&parts[cut..])]), &all);
        prop_assert_eq!(&merge(&parts.iter().rev().cloned().collect::<Vec<_>>()), &all);
        prop_assert_eq!(&RowCounts::of(&pooled_categories(&tables)), &all);
    }

    /// JSON loses no bit, whatever the magnitudes.
    #[test]
    fn json_loses_nothing(seed in 0_u64..1000, n in 1_usize..30, scale in -100_i32..100) {
        let mut rng = seeded(seed);
        let table = numbers(&mut rng, n, &[0.0, 1e6, -3.0]);
        let columns = table.columns().iter().map(|c| c.iter().map(|x| x * 10_f64.powi(scale)).collect()).collect();
        let gaussian = Statistics::Gaussian(of(&Table::new(names(3), columns).unwrap()));
        let rows = Statistics::Rows(RowCounts::of(&categories(&mut rng, n, &[2, 3, 4])));
        for statistics in [gaussian, rows] {
            let text = serde_json::to_string(&statistics).unwrap();
            prop_assert_eq!(serde_json::from_str::<Statistics>(&text).unwrap(), statistics);
        }
    }
}

#[test]
fn rows_are_counted() {
    let table = discrete(names(2), &[2, 3], vec![vec![1, 0, 1, 1, 0], vec![2, 0, 2, 0, 0]]);
    let rows = RowCounts::of(&table);
    assert_eq!(rows.distinct_rows().columns(), [[0, 1, 1], [0, 0, 2]]);
    assert_eq!((rows.counts(), rows.n_rows()), (&[2, 1, 2][..], 5));
    // What comes in another order, or with a row twice, is the same.
    let text = r#"{"names": ["X0", "X1"], "levels": [["l0", "l1"], ["l0", "l1", "l2"]],
        "columns": [[1, 0, 1, 1], [2, 0, 0, 2]], "counts": [1, 2, 1, 1]}"#;
    assert_eq!(serde_json::from_str::<RowCounts>(text).unwrap(), rows);
}

#[test]
fn statistics_of_other_columns_do_not_merge() {
    let mut rng = seeded(7);
    let gaussian = of(&numbers(&mut rng, 5, &[0.0, 0.0]));
    let renamed = Table::new(vec!["X1".into(), "X0".into()], vec![vec![1.0], vec![2.0]]).unwrap();
    let text = GaussianStatistics::merge(&[gaussian.clone(), of(&renamed)]).unwrap_err().to_string();
    assert!(
        text.starts_with(
            "statistics: expected columns [\"X0\", \"X1\"], as at the first site, found [\"X1\""
        ),
        "{text}"
    );
    let rows = RowCounts::of(&categories(&mut rng, 5, &[2, 2]));
    let more_levels = RowCounts::of(&categories(&mut rng, 5, &[2, 3]));
    let text = RowCounts::merge(&[rows.clone(), more_levels]).unwrap_err().to_string();
    assert!(
        text.contains("expected levels of column \"X1\" [\"l0\", \"l1\"], as at the first site"),
        "{text}"
    );
    let mut table = categories(&mut rng, 5, &[2, 2]);
    table =
        DiscreteTable::new(vec!["X0".into(), "Y".into()], table.levels().to_vec(), table.columns().to_vec())
            .unwrap();
    assert!(RowCounts::merge(&[rows.clone(), RowCounts::of(&table)]).is_err());

    let (gaussian, rows) = (Statistics::Gaussian(gaussian), Statistics::Rows(rows));
    let text = Statistics::merge(&[gaussian.clone(), rows.clone()]).unwrap_err().to_string();
    assert!(text.contains("found numbers at 1, categories at 1"), "{text}");
    assert!(Statistics::merge(&[]).unwrap_err().to_string().contains("at least one site, found none"));
    for statistics in [gaussian, rows] {
        let merged = Statistics::merge(&[statistics.clone(), statistics.clone()]).unwrap();
        assert_eq!((merged.names(), merged.n_rows()), (&names(2)[..], 10));
        assert_eq!(Statistics::merge(std::slice::from_ref(&statistics)).unwrap().n_rows(), 5);
    }
}

#[test]
fn bad_statistics_are_refused() {
    let good = json!({"kind": "gaussian", "names": ["a", "b"], "n": 3, "means": [0.5, 1.0], "mean_rests": [0.0, 0.0],
        "scatter": [[2.0, 1.0], [1.0, 3.0]]});
    let rows = json!({"kind": "rows", "names": ["a", "b"], "levels": [["x", "y"], ["x"]], "columns": [[0, 1], [0, 0]],
        "counts": [4, 1]});
    let read = |value: &Value| serde_json::from_str::<Statistics>(&value.to_string());
    assert!(read(&good).is_ok() && read(&rows).is_ok());
    let refused = |base: &Value, key: &str, value: Value, part: &str| {
        let mut changed = base.clone();
        changed[key] = value;
        let text = read(&changed).expect_err(part).to_string();
        assert!(text.contains(part), "{text}");
    };
    refused(&good, "names", json!(["a", "a"]), "column \"a\": expected a name of its own");
    refused(&good, "names", json!([]), "names: expected at least one column");
    refused(&good, "n", json!(0), "n: expected at least one row");
    refused(&good, "n", json!(-1), "invalid value");
    refused(&good, "means", json!([0.5]), "means: expected 2 numbers, one per column, found 1");
    refused(&good, "mean_rests", json!([0.5, 0.1, 0.1]), "mean_rests: expected 2 numbers");
    refused(&good, "means", json!([0.5, null]), "invalid type: null");
    refused(&good, "scatter", json!([[2.0, 1.0]]), "scatter: expected 2 rows, one per column, found 1");
    refused(&good, "scatter", json!([[2.0, 1.0], [1.0]]), "scatter: expected 2 numbers, one per column");
    refused(
        &good,
        "scatter",
        json!([[2.0, 1.0], [1.5, 3.0]]),
        "expected a symmetric matrix, found 1 and 1.5",
    );
    refused(
        &good,
        "scatter",
        json!([[2.0, 1.0], [1.0, -3.0]]),
        "column \"b\": expected a sum of squares, found -3",
    );
    refused(&good, "extra", json!(1), "unknown field");
    refused(
        &rows,
        "columns",
        json!([[0, 2], [0, 0]]),
        "column \"a\", row 2: expected a level below 2, found 2",
    );
    refused(&rows, "counts", json!([4]), "counts: expected 2 numbers of at least 1");
    refused(&rows, "counts", json!([4, 0]), "found 2 counts, the least Some(0)");
    refused(&rows, "counts", json!([u64::MAX, 1]), "expected fewer than 2^64 rows");
    refused(&rows, "extra", json!(1), "unknown field");
    refused(&rows, "kind", json!("other"), "unknown variant");
    // A number beyond doubles is no number of a table.
    let large = Table::new(names(2), vec![vec![1e200, -1e200], vec![1.0, 2.0]]).unwrap();
    let text = GaussianStatistics::of(&large).unwrap_err().to_string();
    assert!(
        text.starts_with("column \"X0\": expected numbers whose squares can be summed, found an overflow"),
        "{text}"
    );
    let far = |x: f64| of(&Table::new(names(1), vec![vec![x]]).unwrap());
    assert!(GaussianStatistics::merge(&[far(1e200), far(-1e200)]).is_err());
}

#[test]
fn a_score_takes_the_statistics_that_it_is_for() {
    let mut rng = seeded(8);
    let gaussian = Statistics::Gaussian(of(&numbers(&mut rng, 9, &[0.0, 0.0])));
    let rows = Statistics::Rows(RowCounts::of(&categories(&mut rng, 9, &[2, 2])));
    for (text, discrete) in [
        (r#"{"kind": "bge", "alpha_mu": 2.0, "prior_mean": "mean"}"#, Some(false)),
        (r#"{"kind": "bdeu", "equivalent_sample_size": 4.0}"#, Some(true)),
        (r#"{"kind": "k2"}"#, Some(true)),
        (r#"{"kind": "jeffreys"}"#, Some(true)),
        (r#"{"kind": "bic"}"#, None),
    ] {
        let settings: ScoreSettings = serde_json::from_str(text).unwrap();
        assert!(text.contains(&format!("{:?}", settings.name())));
        assert_eq!(settings.is_discrete(), discrete);
        let again = serde_json::to_string(&settings).unwrap();
        assert_eq!(serde_json::from_str::<ScoreSettings>(&again).unwrap(), settings);
        let toml = toml::to_string(&settings).unwrap();
        assert_eq!(toml::from_str::<ScoreSettings>(&toml).unwrap(), settings);
        let unknown = text.replace('}', r#", "ess": 1.0}"#);
        assert!(serde_json::from_str::<ScoreSettings>(&unknown).is_err(), "{unknown}");
        for (is_discrete, statistics) in [(false, &gaussian), (true, &rows)] {
            match settings.score(statistics) {
                Ok(score) => assert!(discrete != Some(!is_discrete) && score.n_nodes() == 2),
                Err(error) => {
                    assert_eq!(discrete, Some(!is_discrete));
                    let (expected, advice) = match is_discrete {
                        false => (
                            "expected categories, as for the score",
                            "choose the score bge, or declare the levels",
                        ),
                        true => {
                            ("expected numbers, as for the score bge", "choose the score bdeu, or declare")
                        }
                    };
                    let text = error.to_string();
                    assert!(text.contains(expected) && text.contains(advice), "{text}");
                }
            }
        }
    }
    let default: ScoreSettings = serde_json::from_str(r#"{"kind": "bdeu"}"#).unwrap();
    assert_eq!(default, ScoreSettings::Bdeu { equivalent_sample_size: 1.0 });
    let bad = ScoreSettings::Bdeu { equivalent_sample_size: rng.random_range(-1.0..0.0) };
    assert!(bad.score(&rows).is_err());
}
