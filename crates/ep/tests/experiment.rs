//! `ep experiment`: what it writes, that it repeats bit for bit on any number of threads, and that it goes on where it
//! stopped.

mod support;

use support::{Folder, refuse, succeed};

/// Rows of results.csv without those that measure time.
fn without_seconds(text: &str) -> Vec<&str> {
    text.lines().filter(|line| !line.contains("seconds")).collect()
}

/// The value of one row.
fn value(text: &str, start: &str) -> f64 {
    let line =
        text.lines().find(|line| line.starts_with(start)).unwrap_or_else(|| panic!("no {start} in {text}"));
    line.rsplit_once(',').unwrap().1.parse().unwrap()
}

#[test]
fn experiments_are_listed_and_strange_requests_refused() {
    let list = succeed(&["experiment", "list"]).out;
    for name in ["table1", "losses", "clients"] {
        assert!(list.lines().any(|line| line.starts_with(name)), "{list}");
    }
    refuse(&["experiment", "table2", "--out", "x"], 2, &["experiment", "`table2`", "table1", "losses"]);
    refuse(&["experiment", "table1"], 2, &["--out", "none"]);
}

#[test]
fn table1_repeats_on_any_number_of_threads_and_goes_on_where_it_stopped() {
    let folder = Folder::new();
    let out = folder.name("a");
    let command = ["experiment", "table1", "--quick", "--seeds", "1", "--out", &out, "--threads"];
    let run = |threads: &'static str| succeed(&[&command[..], &[threads]].concat());
    let said = run("2");
    let first = folder.read("a/results.csv");
    assert!(first.starts_with("experiment,domain,method,clients,seed,metric,value\n"));
    // Exact aggregation of trained clients, and what they were trained for: far from 2 even with --quick.
    for domain in ["trees,exact aggregation,5", "networks,exact aggregation,10"] {
        let l1 = value(&first, &format!("table1,{domain},0,l1,"));
        assert!(l1 < 0.1, "{domain}: {l1}");
    }
    // Positions of additive sequences are independent: the variational baseline can be exact there, not on the grid.
    assert!(value(&first, "table1,grid,pcvi,4,0,l1,") > 0.05);
    for word in
        ["# Experiment `table1`", "EP (aggregating balance)", "[0.038]", "table1.svg", "ep experiment table1"]
    {
        assert!(said.out.contains(word), "no {word} in {}", said.out);
    }
    assert_eq!(folder.read("a/results.md"), said.out);
    assert!(folder.read("a/table1.svg").contains("multisets"));

    // What was lost is computed again, nothing else, and to the same bits on one thread.
    let kept: String =
        first.lines().filter(|line| !line.contains(",trees,")).map(|l| format!("{l}\n")).collect();
    std::fs::write(folder.path("a/results.csv"), &kept).unwrap();
    let again = run("1");
    assert!(
        again.err.contains("[1/3]") && again.err.contains("trees") && !again.err.contains("grid"),
        "{}",
        again.err
    );
    let second = folder.read("a/results.csv");
    assert_eq!(without_seconds(&first), without_seconds(&second));
    // Not even their seconds were measured again.
    assert!(kept.lines().all(|line| second.contains(line)));
}

#[test]
fn folders_of_other_experiments_and_broken_results_are_refused() {
    let folder = Folder::new();
    let out = folder.name("a");
    succeed(&["experiment", "clients", "--quick", "--seeds", "1", "--out", &out]);
    let words = ["experiment.json", "expected results of losses --quick", "found results of clients --quick"];
    refuse(&["experiment", "losses", "--quick", "--out", &out], 3, &words);
    refuse(&["experiment", "clients", "--out", &out], 3, &["found results of clients --quick"]);
    let results = folder.read("a/results.csv");
    for (broken, words) in [
        (results.replacen(",0,", ",zero,", 1), ["results.csv, line 2", "a seed"]),
        (format!("{results}clients,trees\n"), ["results.csv, line", "seven fields"]),
        (results.replacen("experiment,", "", 1), ["results.csv, line 1", "experiment,domain"]),
    ] {
        std::fs::write(folder.path("a/results.csv"), broken).unwrap();
        refuse(&["experiment", "clients", "--quick", "--seeds", "1", "--out", &out], 3, &words);
    }
}

#[test]
fn losses_are_measured_along_the_way() {
    let folder = Folder::new();
    let out = folder.name("a");
    let said = succeed(&["experiment", "losses", "--quick", "--seeds", "1", "--out", &out]);
    let results = folder.read("a/results.csv");
    let count = |start: &str| results.lines().filter(|line| line.starts_with(start)).count();
    // Eight points of each curve; modified detailed balance only where all states are objects.
    assert_eq!(count("losses,multisets,contrastive,1,0,l1@"), 8);
    assert_eq!(count("losses,multisets,modified detailed"), 0);
    assert_eq!(count("losses,grid,modified detailed,1,0,seconds@"), 8);
    assert!(said.out.contains("contrastive balance"), "{}", said.out);
    for name in ["losses-trajectories.svg", "losses-seconds.svg"] {
        let svg = folder.read(&format!("a/{name}"));
        assert!(svg.contains("sub-trajectory .9") && !svg.contains("NaN"), "{name}");
    }
}
