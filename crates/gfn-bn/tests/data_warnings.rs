//! What is noticed about tables, with advice; and standardising, centring, pooling.

mod shared;

use gfn_bn::data::{
    ReadOptions, STANDARDISE_MEANING, Schema, discrete_warnings, numeric_warnings, read_discrete_table,
    read_table, scale_warning,
};
use gfn_bn::{DiscreteTable, Table};
use gfn_core::random::stream;
use rand::RngExt;
use shared::table;

/// The beginnings of the warnings about a CSV file of numbers.
fn warnings(csv: &str, options: &ReadOptions) -> Vec<String> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("site.csv");
    std::fs::write(&path, csv).unwrap();
    let names: Vec<String> = csv.lines().next().unwrap().split(',').map(String::from).collect();
    let file = read_table(&path, &names, options).unwrap();
    file.warnings.iter().map(|warning| warning.to_string()).collect()
}

fn warned(csv: &str) -> Vec<String> {
    warnings(csv, &ReadOptions::default())
}

/// Asserts that there is one warning for each beginning.
fn assert_begin(warnings: &[String], beginnings: &[&str]) {
    let fits = warnings.len() == beginnings.len()
        && warnings.iter().zip(beginnings).all(|(warning, beginning)| warning.starts_with(beginning));
    assert!(fits, "{warnings:#?}, expected {beginnings:#?}");
}

#[test]
fn ordinary_tables_bring_no_warning() {
    assert_begin(&warned("a,b\n1.5,20\n2.5,30\n-1,25\n"), &[]);
    // Few values, but all different; six values, of which some repeat.
    assert_begin(&warned("a,b\n10,2\n7,3\n12,9\n"), &[]);
}

#[test]
fn numeric_tables_are_looked_at() {
    // parse_cases of vectors/bn/bge.json, integers_few_levels.
    let few = warned("a,b\n0,1\n1,0\n1,1\n");
    assert_begin(&few, &["at most 5 distinct integer values: columns a, b (did you mean --score bdeu?"]);
    let five = |last: &str| warned(&format!("a\n1\n2\n3\n4\n5\n{last}\n"));
    assert_begin(&five("1"), &["one column only", "at most 5 distinct integer values: column a"]);
    assert_begin(&five("6\n1"), &["one column only"]);
    assert_begin(&five("1.5\n1"), &["one column only"]);
    assert_begin(&warned("a,b\n-0,.5\n0,.6\n1,.7\n"), &["at most 5 distinct integer values: column a ("]);

    let constant = warned("a,b,c\n.1,.5,7\n.1,.6,7\n.1,.8,7\n.1,.9,7\n");
    assert_begin(&constant, &["constant: columns a, c (a constant column is scored as independent"]);
    assert_begin(&warned("a,b,c\n.1,.5,.7\n.2,.6,.9\n"), &["fewer rows (2) than columns (3)"]);
    assert_begin(&warned("a,b\n1,2\n"), &["one row only"]);
    assert_begin(&warned("a\n1\n"), &["one column only", "one row only"]);
    let wide: Vec<String> = (0..11).map(|k| format!("c{k}")).collect();
    let row = |value: &str| [value; 11].join(",");
    let csv = format!("{}\n{}\n{}\n", wide.join(","), row("1"), row("1"));
    let many = warned(&csv);
    assert!(many[0].starts_with("constant: columns c0, c1, c2, c3, c4, c5, c6, c7 and 3 more ("), "{many:?}");
}

#[test]
fn scales_are_compared() {
    // Standard deviations 1 and 100, then 1 and 101; a constant column has no scale.
    assert_eq!(scale_warning(&table("a,b,c\n-1,100,5\n0,0,5\n1,-100,5\n")), None);
    let warning = scale_warning(&table("a,b,c\n-1,101,5\n0,0,5\n1,-101,5\n")).unwrap().to_string();
    let beginning =
        "very different scales: the standard deviation of \"a\" is 1.000e0, that of \"b\" 1.010e2 (";
    assert!(warning.starts_with(beginning) && warning.contains("--standardise"), "{warning}");
    assert_eq!(scale_warning(&table("a,b\n5,5\n5,5\n")), None);
    let csv = "a,b\n-1,1001.5\n0.5,0\n1,-1001\n";
    assert_begin(&warned(csv), &["very different scales"]);
    assert_begin(&warnings(csv, &ReadOptions { standardise: true, ..ReadOptions::default() }), &[]);
}

#[test]
fn dropped_rows_are_counted_first() {
    let options = ReadOptions { complete_cases: true, standardise: false };
    let csv = "a,b\n1.5,\n,3\n.,2\n5.5,6\n2.5,1\n";
    assert_begin(
        &warnings(csv, &options),
        &["3 of 5 rows have missing values and are left out; column \"a\" lacks most, 2"],
    );
}

#[test]
fn categories_are_looked_at() {
    let levels = |n: usize| (0..n).map(|k| k.to_string()).collect::<Vec<_>>();
    let names: Vec<String> = ["a", "b", "c"].map(String::from).into();
    let columns = vec![vec![0, 1], vec![1, 1], vec![7, 50]];
    let table = DiscreteTable::new(names.clone(), vec![levels(2), levels(50), levels(51)], columns).unwrap();
    let texts: Vec<String> = discrete_warnings(&table).iter().map(ToString::to_string).collect();
    assert_begin(&texts, &["one observed level: column b (", "more than 50 levels: column c ("]);
    let one = DiscreteTable::new(names[..1].into(), vec![levels(2)], vec![vec![1]]).unwrap();
    let texts: Vec<String> = discrete_warnings(&one).iter().map(ToString::to_string).collect();
    assert_begin(&texts, &["one column only", "one row only"]);

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("site.csv");
    std::fs::write(&path, "a,b\n0,1\n0,0\n").unwrap();
    let schema = Schema::of_files(&[&path], true, &[("a".into(), levels(2))]).unwrap();
    let file = read_discrete_table(&path, &schema, &ReadOptions::default()).unwrap();
    let texts: Vec<String> = file.warnings.iter().map(ToString::to_string).collect();
    assert_begin(&texts, &["one observed level: column a ("]);
}

#[test]
fn standardised_columns_have_mean_0_and_deviation_1() {
    let mut random = stream(1, "test-standardise", 0);
    let mut column = |centre: f64, width: f64| -> Vec<f64> {
        (0..50).map(|_| centre + width * random.random::<f64>()).collect()
    };
    let columns = vec![column(0.0, 1.0), column(1e6, 1.0), column(-3.0, 1e-7), column(1e12, 1e9)];
    let names: Vec<String> = ["a", "b", "c", "d"].map(String::from).into();
    let table = Table::new(names, columns).unwrap();
    for (own, original) in table.standardised().unwrap().columns().iter().zip(table.columns()) {
        let mean = own.iter().sum::<f64>() / 50.0;
        let variance = own.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / 49.0;
        assert!(mean.abs() < 1e-14 && (variance - 1.0).abs() < 1e-13, "{mean}, {variance}");
        // An increasing linear function of the original: differences have one ratio (to the digits that the original has).
        let ratio = |row: usize| (own[row] - own[0]) / (original[row] - original[0]);
        assert!((1..50).all(|row| ratio(row) > 0.0 && (ratio(row) / ratio(1) - 1.0).abs() < 1e-6));
    }
    for (own, original) in table.centred().unwrap().columns().iter().zip(table.columns()) {
        let width = own.iter().fold(0.0, |most: f64, value| most.max(value.abs()));
        assert!((own.iter().sum::<f64>() / 50.0).abs() < 1e-15 * width.max(1.0));
        assert!((own[7] - own[3] - (original[7] - original[3])).abs() < 1e-9 * width);
    }
    assert!(STANDARDISE_MEANING.contains("divisor n − 1"));
}

#[test]
fn what_cannot_be_standardised_is_refused() {
    let refused = |csv: &str| table(csv).standardised().unwrap_err().to_string();
    // Their mean is not exactly .1, so that a deviation computed from it is not exactly 0.
    let text = refused("a,b\n.5,.1\n.6,.1\n.7,.1\n");
    assert!(text.starts_with("column \"b\": expected values that differ"), "{text}");
    assert!(refused("a\n1\n").contains("expected values that differ"));
    for csv in ["a\n1e200\n-1e200\n", "a\n1e308\n1.5e308\n"] {
        assert!(refused(csv).starts_with("column \"a\": expected numbers whose squares can be summed"));
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("site.csv");
    std::fs::write(&path, "a\n2\n2\n").unwrap();
    let options = ReadOptions { standardise: true, ..ReadOptions::default() };
    let text = read_table(&path, &["a".to_string()], &options).unwrap_err().to_string();
    assert!(text.contains("site.csv, column \"a\": expected values that differ"), "{text}");
}

#[test]
fn warnings_are_those_of_the_table_before_standardising() {
    let options = ReadOptions { standardise: true, ..ReadOptions::default() };
    assert_begin(
        &warnings("a,b\n0,1.5\n1,2.5\n1,3\n", &options),
        &["at most 5 distinct integer values: column a"],
    );
    assert_eq!(numeric_warnings(&table("a,b\n0,1.5\n1,2.5\n1,3\n")).len(), 1);
}
