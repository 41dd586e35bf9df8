//! `ep bn run --exact` against posteriors that another program enumerated: product and pooled, to 1e-9.

mod support;

use support::{Folder, Table, succeed};

/// The folder with reference posteriors beside the repository; none where it is absent.
fn posteriors() -> Option<std::path::PathBuf> {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/posteriors/bn");
    if !path.exists() {
        println!("skipped: no shared data");
        return None;
    }
    Some(path)
}

#[test]
fn targets_are_those_of_an_independent_enumeration() {
    let Some(root) = posteriors() else { return };
    let cases = [
        ("d3_coefs_n300_N3", 3, "uniform"),
        ("d4_meanshift_n200_N4", 4, "uniform"),
        ("d4_homog_n200_N4_fair", 4, "fair"),
    ];
    for (name, sites, prior) in cases {
        let folder = Folder::new();
        let place = root.join(name);
        let reference = Table::parse(&std::fs::read_to_string(place.join("posterior.csv")).unwrap());
        let files: Vec<String> =
            (0..sites).map(|k| place.join(format!("shard{k}.csv")).to_string_lossy().into_owned()).collect();
        let files: Vec<&str> = files.iter().map(String::as_str).collect();
        for combine in ["product", "pooled"] {
            let out = folder.name(combine);
            let options = ["--combine", combine, "--prior", prior, "--exact", "--budget", "2steps"];
            let more = ["--rounds", "0", "--samples", "20", "--quiet", "--out", &out];
            succeed(&[&["bn", "run"], &files[..], &options, &more].concat());
            let exact = folder.csv(&format!("{combine}/exact.csv"));
            compare(&exact, "target", &reference, combine);
            // The reference gives each client a share of a prior that is not uniform; here each has all of it.
            if combine == "product" && prior == "uniform" {
                (0..sites)
                    .for_each(|k| compare(&exact, &format!("target_{k}"), &reference, &format!("shard{k}")));
            }
        }
    }
}

/// Every probability, by graph.
fn compare(exact: &Table, column: &str, reference: &Table, reference_column: &str) {
    let sorted = |table: &Table, name: &str, column: &str| {
        let names = table.texts(name).into_iter().map(String::from);
        let mut pairs: Vec<(String, f64)> = names.zip(table.numbers(column)).collect();
        pairs.sort_by(|a, b| a.0.cmp(&b.0));
        pairs
    };
    let (found, expected) = (sorted(exact, "object", column), sorted(reference, "dag", reference_column));
    assert_eq!(found.len(), expected.len());
    for ((graph, p), (other, q)) in found.iter().zip(&expected) {
        assert!(graph == other && (p - q).abs() < 1e-9, "{reference_column}, {graph}: {p}, expected {q}");
    }
}
