//! `ep phylo check` and `ep phylo likelihood`, against what is known.

mod support;

use serde_json::Value;
use support::{Folder, data_set, refuse, succeed};

#[test]
fn check_says_what_was_read() {
    let alignment = data_set("primates-7x100.fasta");
    let said = succeed(&["phylo", "check", &alignment, "--json"]);
    let summary: Value = serde_json::from_str(&said.out).unwrap();
    assert_eq!(summary["taxa"], 7);
    assert_eq!(summary["sites"], 100);
    assert!(summary["distinct_patterns"].as_u64().unwrap() < 100);
    assert_eq!(summary["gap_fraction"], 0.0);
    assert_eq!(summary["identical_sequences"], Value::Array(Vec::new()));
    let said = succeed(&["phylo", "check", &alignment]);
    for word in ["taxa", "sites", "distinct patterns", "gaps", "Gorilla"] {
        assert!(said.out.contains(word), "{}", said.out);
    }

    // The alignment as read, from any format: what goes out comes in again.
    let folder = Folder::new();
    let nexus = data_set("primates.nex");
    let fasta = succeed(&["phylo", "check", &nexus, "--fasta"]).out;
    assert_eq!(fasta.matches('>').count(), 12);
    let again = folder.write("again.fasta", &fasta);
    assert_eq!(succeed(&["phylo", "check", &again, "--fasta"]).out, fasta);
    let json = |path: &str| succeed(&["phylo", "check", path, "--json"]).out;
    assert_eq!(json(&nexus), json(&again));

    let odd = folder.write("odd.fasta", ">a\nac-tu\n>b\nACNTT\n>c\nACGTT\n>d\nACGTT\n");
    let said = succeed(&["phylo", "check", &odd, "--fasta"]);
    assert!(said.out.contains("AC-TT"), "upper case, U as T: {}", said.out);
    let said = succeed(&["phylo", "check", &odd]);
    assert!(said.out.contains("identical sequences: c, d"), "{}", said.out);
    refuse(&["phylo", "check", &odd, "--json", "--fasta"], 2, &["cannot be used with"]);
}

/// Options that say what the model of a case is.
fn model_options(case: &Value) -> Vec<String> {
    let list = |value: &Value| {
        let numbers: Vec<String> = value.as_array().unwrap().iter().map(|x| x.to_string()).collect();
        numbers.join(",")
    };
    let mut name = case["model"]["name"].as_str().unwrap().to_string();
    let mut options = Vec::new();
    let mut add = |option: &str, value: String| options.extend([format!("--{option}"), value]);
    if let Some(kappa) = case["model"].get("kappa") {
        add("kappa", kappa.to_string());
    }
    if let Some(frequencies) = case["model"].get("freqs") {
        add("frequencies", list(frequencies));
    }
    if let Some(rates) = case["model"].get("rates") {
        add("rates", list(rates));
    }
    if !case["gamma"].is_null() {
        name += &format!("+G{}", case["gamma"]["categories"]);
        add("alpha", case["gamma"]["alpha"].to_string());
        add("gamma-categories", case["gamma"]["category_rates"].as_str().unwrap().to_string());
    }
    if case["pinv"].as_f64().unwrap() > 0.0 {
        name += "+I";
        add("pinv", case["pinv"].to_string());
    }
    add("model", name);
    options
}

#[test]
fn likelihoods_are_those_of_the_vectors() {
    let path = format!("{}/../gfn-phylo/tests/data/likelihood.json", env!("CARGO_MANIFEST_DIR"));
    let vectors: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let folder = Folder::new();
    let mut checked = 0;
    for case in vectors["cases"].as_array().unwrap() {
        let Some(rows) = case.get("alignment").and_then(Value::as_object) else { continue };
        let id = case["id"].as_str().unwrap();
        let text: String =
            rows.iter().map(|(name, row)| format!(">{name}\n{}\n", row.as_str().unwrap())).collect();
        let alignment = folder.write("case.fasta", text);
        // Typed, or from a file.
        let newick = case["newick"].as_str().unwrap();
        let tree = if newick.len() < 1000 { newick.to_string() } else { folder.write("case.nwk", newick) };
        let options = model_options(case);
        let mut arguments = vec!["phylo", "likelihood", &alignment, &tree];
        arguments.extend(options.iter().map(String::as_str));
        let said = succeed(&arguments);
        let number = said.out.strip_suffix('\n').unwrap();
        if case["minus_infinity"].as_bool().unwrap() {
            assert_eq!(number, "-inf", "{id}");
        } else {
            let (found, expected): (f64, f64) =
                (number.parse().unwrap(), case["log_likelihood"].as_f64().unwrap());
            assert!(
                (found - expected).abs() <= 1e-11 * expected.abs().max(1.0),
                "{id}: {found}, expected {expected}"
            );
            let digits =
                number.trim_start_matches(['-', '0', '.']).chars().filter(char::is_ascii_digit).count();
            assert!(found == 0.0 || digits == 15, "{id}: {number}");
        }
        checked += 1;
    }
    assert!(checked >= 18, "{checked} cases");
}

#[test]
fn trees_that_do_not_fit_are_refused() {
    let folder = Folder::new();
    let alignment = folder.write("four.fasta", ">a\nACGT\n>b\nACGA\n>c\nACCA\n>d\nTCCA\n");
    let go = |tree: &str, words: &[&str]| refuse(&["phylo", "likelihood", &alignment, tree], 3, words);
    go("(a:0.1,b:0.1,(c:0.1,x:0.1):0.1);", &["x"]);
    go("(a:0.1,b:0.1,c:0.1);", &["d"]);
    go("(a:0.1,b:0.1,(c:0.1,d:0.1):0.1", &[]);
    go("(a:0.1,b:0.1,(c:0.1,d:-0.1):0.1);", &["-0.1"]);
    go("(a,b,(c,d));", &[]);
    go(&folder.name("missing.nwk"), &["missing.nwk"]);
    go(&folder.write("bad.nwk", "(a:0.1,b:0.1,(c:0.1,x:0.1):0.1);"), &["bad.nwk", "x"]);
    go(&folder.write("binary.nwk", [0xff, 0xfe, 0]), &["binary.nwk"]);
    go(&folder.name(""), &["a folder"]);
    let tree = "(a:0.1,b:0.1,(c:0.1,d:0.1):0.1);";
    refuse(
        &["phylo", "likelihood", &alignment, tree, "--model", "K80", "--kappa", "-1"],
        2,
        &["kappa", "-1"],
    );
    refuse(&["phylo", "likelihood", &alignment], 2, &["TREE"]);
}
