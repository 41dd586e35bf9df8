//! `ep phylo run` from end to end: every file it writes, and that only the seed decides what is in them.

mod support;

use gfn_phylo::{NewickTree, Topology};
use support::{Folder, data_set, is_decreasing, succeed};

const RESULTS: [&str; 7] = [
    "samples.trees",
    "trees.csv",
    "splits.csv",
    "consensus.nwk",
    "trees_reweighted.csv",
    "splits_reweighted.csv",
    "exact.csv",
];

fn run_primates(out: &str, more: &[&str]) -> support::Said {
    let alignment = data_set("primates-7x100.fasta");
    let mut arguments = vec!["phylo", "run", &alignment, "--out", out, "--clients", "3", "--exact"];
    arguments.extend(["--budget", "60steps", "--samples", "500", "--seed", "7"]);
    arguments.extend(more);
    succeed(&arguments)
}

#[test]
fn a_run_writes_every_result_and_threads_do_not_change_it() {
    let folder = Folder::new();
    let said = run_primates(&folder.name("a"), &["--threads", "2"]);
    check_trees(&folder);
    check_samples(&folder);
    check_exact(&folder);
    check_report(&folder);
    for word in
        ["500 samples", "log marginal likelihood", "effective sample size", "exact: L1", "residual sd"]
    {
        assert!(said.out.contains(word), "no `{word}` in the summary: {}", said.out);
    }
    // Elsewhere than on a terminal: plain lines with rate, loss and time left.
    let line = said.err.lines().find(|l| l.contains("server")).unwrap();
    assert!(line.contains("steps/s") && line.contains("loss") && line.contains("s left"), "{line}");

    let said = run_primates(&folder.name("b"), &["--threads", "1", "--quiet"]);
    assert_eq!(said.err, "", "--quiet says nothing but the summary");
    for name in RESULTS {
        assert_eq!(folder.read(&format!("a/{name}")), folder.read(&format!("b/{name}")), "{name}");
    }

    // A finished run is not repeated; other samples of the same policies can be drawn.
    let policy = std::fs::read(folder.path("b/server/round-1.safetensors")).unwrap();
    let said = run_primates(&folder.name("b"), &["--threads", "1"]);
    assert!(!said.err.contains("steps/s"), "{}", said.err);
    assert_eq!(std::fs::read(folder.path("b/server/round-1.safetensors")).unwrap(), policy);
    assert_eq!(folder.read("a/trees.csv"), folder.read("b/trees.csv"));
    assert_eq!(folder.json("b/report.json")["processes"], 2);
}

fn check_trees(folder: &Folder) {
    for name in ["a/trees.csv", "a/trees_reweighted.csv"] {
        let table = folder.csv(name);
        assert_eq!(table.header, ["topology", "probability", "log_likelihood"]);
        let probabilities = table.numbers("probability");
        assert!((probabilities.iter().sum::<f64>() - 1.0).abs() < 1e-9, "{name}");
        assert!(is_decreasing(&probabilities), "{name}");
        assert!(table.numbers("log_likelihood").iter().all(|l| *l < -400.0 && l.is_finite()));
        for text in table.texts("topology") {
            // One canonical form everywhere.
            assert_eq!(text.parse::<Topology>().unwrap().to_string(), text);
        }
    }
    let shares = ["a/trees.csv", "a/splits.csv"].map(|name| folder.csv(name).numbers("probability"));
    for p in shares.concat() {
        let count = p * 500.0;
        assert_eq!(p, count.round() / 500.0, "{p} is no share of 500 samples");
    }
    for name in ["a/splits.csv", "a/splits_reweighted.csv"] {
        let table = folder.csv(name);
        assert_eq!(table.header, ["bipartition", "probability"]);
        assert!(is_decreasing(&table.numbers("probability")), "{name}");
        // A binary tree of 7 taxa has 4 inner branches.
        assert!((table.numbers("probability").iter().sum::<f64>() - 4.0).abs() < 1e-9, "{name}");
        for split in table.texts("bipartition") {
            let (first, second) = split.split_once('|').unwrap();
            assert!(first.starts_with("Gorilla"), "{split}");
            assert!(second.contains(','), "{split}");
            assert_eq!(first.split(',').count() + second.split(',').count(), 7, "{split}");
        }
    }
    let consensus = NewickTree::parse(folder.read("a/consensus.nwk").trim()).unwrap();
    let leaves = consensus.nodes.iter().filter(|n| n.children.is_empty()).count();
    assert_eq!(leaves, 7);
    let mut supports: Vec<f64> = consensus.nodes[1..]
        .iter()
        .filter(|n| !n.children.is_empty())
        .map(|n| n.label.as_deref().unwrap().parse().unwrap())
        .collect();
    supports.sort_by(|a, b| b.total_cmp(a));
    let splits = folder.csv("a/splits.csv").numbers("probability");
    let majority: Vec<f64> = splits.into_iter().filter(|p| *p > 0.5).collect();
    assert_eq!(supports.len(), majority.len());
    assert!(!majority.is_empty());
    for (support, share) in supports.iter().zip(&majority) {
        assert!((support - share).abs() <= 5e-5, "{support} and {share}");
    }
}

fn check_samples(folder: &Folder) {
    let text = folder.read("a/samples.trees");
    let mut lines = text.lines().map(str::trim);
    assert_eq!(lines.next(), Some("#NEXUS"));
    assert_eq!(lines.next(), Some("begin trees;"));
    assert_eq!(lines.next(), Some("translate"));
    let mut names = Vec::new();
    for line in lines.by_ref() {
        let (number, name) = line.split_once(' ').unwrap();
        names.push(name.trim_end_matches([',', ';']).to_string());
        assert_eq!(number.parse::<usize>().unwrap(), names.len());
        if line.ends_with(';') {
            break;
        }
    }
    assert_eq!(names.len(), 7);
    let mut counts = std::collections::HashMap::new();
    let mut weights = 0.0;
    let mut trees = 0;
    for line in lines.by_ref().take_while(|line| *line != "end;") {
        let (head, newick) = line.split_once(" = [&U] ").unwrap();
        assert!(head.starts_with(&format!("tree STATE_{trees} [&lnL=-")), "{head}");
        let weight = head.split_once("weight=").unwrap().1.trim_end_matches(']');
        weights += weight.parse::<f64>().unwrap();
        let mut tree = NewickTree::parse(newick).unwrap();
        for node in &mut tree.nodes[1..] {
            assert_eq!(node.length, Some(0.1));
            node.length = None;
            node.name = node.name.as_ref().map(|n| names[n.parse::<usize>().unwrap() - 1].clone());
        }
        *counts.entry(tree.to_string()).or_insert(0) += 1;
        trees += 1;
    }
    assert_eq!(lines.next(), None, "nothing after `end;`");
    assert_eq!(trees, 500);
    assert!((weights - 1.0).abs() < 1e-4);
    let table = folder.csv("a/trees.csv");
    assert_eq!(counts.len(), table.rows.len());
    for (topology, p) in table.texts("topology").into_iter().zip(table.numbers("probability")) {
        assert!((f64::from(counts[topology]) / 500.0 - p).abs() < 1e-12, "{topology}");
    }
}

fn check_exact(folder: &Folder) {
    let table = folder.csv("a/exact.csv");
    let columns = "object,target,learned,target_0,learned_0,target_1,learned_1,target_2,learned_2";
    assert_eq!(table.header.join(","), columns);
    assert_eq!(table.rows.len(), 945);
    let columns: Vec<Vec<f64>> = table.header[1..].iter().map(|name| table.numbers(name)).collect();
    for (name, column) in table.header[1..].iter().zip(&columns) {
        assert!((column.iter().sum::<f64>() - 1.0).abs() < 1e-9, "{name}");
    }
    assert!(is_decreasing(&columns[0]));
    // The posterior is the product of the clients' posteriors: the uniform prior cancels.
    let product: Vec<f64> = (0..945).map(|i| columns[2][i] * columns[4][i] * columns[6][i]).collect();
    let total: f64 = product.iter().sum();
    let l1 = |p: &[f64], q: &[f64]| p.iter().zip(q).map(|(a, b)| (a - b).abs()).sum::<f64>();
    let product: Vec<f64> = product.iter().map(|p| p / total).collect();
    assert!(l1(&product, &columns[0]) < 1e-9);
    let exact = &folder.json("a/report.json")["exact"];
    let number = |name: &str| exact[name].as_f64().unwrap();
    assert_eq!(exact["objects"], 945);
    assert!((l1(&columns[1], &columns[0]) - number("l1")).abs() < 1e-9);
    for k in 0..3 {
        let own = l1(&columns[3 + 2 * k], &columns[2 + 2 * k]);
        assert!((own - exact["l1_clients"][k].as_f64().unwrap()).abs() < 1e-9);
    }
    assert!(number("l1") < 1.0, "something was learned: {}", number("l1"));
    assert!(number("l1_exact_aggregation") < 1.0);
    let jeffrey: f64 =
        (0..945).map(|i| (columns[0][i] - columns[1][i]) * (columns[0][i].ln() - columns[1][i].ln())).sum();
    assert!((jeffrey - number("jeffrey")).abs() < 1e-6);
    assert!(number("jeffrey_exact_aggregation") <= number("bound_sharp"));
    assert!(number("bound_sharp") <= number("bound"));
    // Sampled and exact probabilities of one policy agree. A share of 500 draws has a standard deviation of at most
    // 0.0224: six of them make 0.135; a false alarm has odds of about 1 in 10^8.
    let learned: std::collections::HashMap<&str, f64> =
        table.texts("object").into_iter().zip(table.numbers("learned")).collect();
    let sampled = folder.csv("a/trees.csv");
    for (topology, p) in sampled.texts("topology").into_iter().zip(sampled.numbers("probability")) {
        assert!(
            (learned[topology] - p).abs() < 0.135,
            "{topology}: {p} sampled, {} learned",
            learned[topology]
        );
    }
}

fn check_report(folder: &Folder) {
    let report = folder.json("a/report.json");
    assert_eq!(report["plan"]["seed"], 7);
    assert_eq!(report["plan"]["budget"], "60steps");
    assert_eq!(report["plan"]["phylo"]["taxa"].as_array().unwrap().len(), 7);
    assert_eq!(report["plan"]["phylo"]["model"]["name"], "JC69");
    assert_eq!(report["threads"], 2);
    assert_eq!(report["rounds"], 1);
    assert_eq!(report["processes"], 1);
    assert_eq!(report["versions"]["ep"], env!("CARGO_PKG_VERSION"));
    let libraries = report["versions"]["libraries"].as_array().unwrap();
    assert!(libraries.iter().any(|l| l.as_str().unwrap().starts_with("dfdx 0.")), "{libraries:?}");
    let stages: Vec<&str> =
        report["stages"].as_array().unwrap().iter().map(|s| s["stage"].as_str().unwrap()).collect();
    let expected =
        ["clients, round 0", "server, round 0", "clients, round 1", "server, round 1", "samples", "exact"];
    assert_eq!(stages, expected);
    for stage in report["stages"].as_array().unwrap() {
        assert!(stage["seconds"].as_f64().unwrap() >= 0.0);
        if cfg!(target_os = "linux") {
            assert!(stage["cpu_seconds"].as_f64().unwrap() >= 0.0);
        }
    }
    if cfg!(target_os = "linux") {
        assert!(report["peak_memory_bytes"].as_u64().unwrap() > 1 << 20);
    }
    let clients = report["clients"].as_array().unwrap();
    assert_eq!(clients.len(), 3);
    for client in clients {
        assert_eq!(client["steps"], 90, "60 on its own, 30 in the round");
        assert_eq!(client["weight"], 1.0);
        for law in ["own", "tempered", "uniform"] {
            assert!(client["residual_spread"][law].as_f64().unwrap() > 0.0);
        }
    }
    assert_eq!(report["server_steps"], 30);
    assert_eq!(folder.read("a/server/log.jsonl").lines().count(), 2, "one line for each short training");
    let importance = &report["importance"];
    let exact_log_z = report["exact"]["log_marginal_likelihood"].as_f64().unwrap();
    let estimate = importance["log_marginal_likelihood"].as_f64().unwrap();
    assert!((estimate - exact_log_z).abs() < 0.5, "log p(D) is {exact_log_z}, estimated {estimate}");
    assert!(importance["lower_bound"].as_f64().unwrap() <= estimate);
    let size = importance["effective_sample_size"].as_f64().unwrap();
    assert!((1.0..=500.0).contains(&size));
    assert!(importance["independent_residual_deviation"].as_f64().unwrap() > 0.0);
    // Reweighted estimates beside the raw ones, the same as in the files.
    let reweighted = folder.csv("a/trees_reweighted.csv");
    for best in report["best_topologies"].as_array().unwrap() {
        let topology = best["topology"].as_str().unwrap();
        let row = reweighted.texts("topology").iter().position(|t| *t == topology).unwrap();
        let expected = reweighted.numbers("probability")[row];
        assert!((best["reweighted"].as_f64().unwrap() - expected).abs() < 1e-12);
        assert!(best["probability"].as_f64().unwrap() > 0.0 && best["log_likelihood"].as_f64().is_some());
    }
    let reweighted = folder.csv("a/splits_reweighted.csv");
    let splits = report["majority_splits"].as_array().unwrap();
    assert!(!splits.is_empty());
    for split in splits {
        let row = reweighted.texts("bipartition").iter().position(|t| *t == split["bipartition"]).unwrap();
        let expected = reweighted.numbers("probability")[row];
        assert!((split["reweighted"].as_f64().unwrap() - expected).abs() < 1e-12);
        assert!(split["probability"].as_f64().unwrap() > 0.5);
    }
    assert!(report["warnings"].is_array());
    let files = folder.files("a");
    let leftovers: Vec<&String> =
        files.iter().filter(|f| f.contains("partial") || f.ends_with("checkpoint")).collect();
    assert!(leftovers.is_empty(), "{leftovers:?}");
}

const GENES: &str = "#NEXUS
begin data;
  dimensions ntax=5 nchar=12;
  format datatype=dna gap=-;
  matrix
    'Taxon one' ACGTACGTACGT
    B           ACGTACGAACGT
    C           AC-TTCGAACGA
    D           ACCTTCGAACGA
    E           ACCTTCGAAC-A
  ;
end;
begin sets;
  charset first = 1-4;
  charset second = 5-12;
end;
";

/// Trains for a moment and gives the clients' lines of data.
fn data_of_clients(folder: &Folder, out: &str, more: &[&str]) -> Vec<(String, String)> {
    let alignment = folder.write("genes.nex", GENES);
    let out_name = folder.name(out);
    let mut arguments = vec!["phylo", "run", &alignment, "--out", &out_name, "--budget", "4steps"];
    arguments.extend(["--samples", "20", "--rounds", "0"]);
    arguments.extend(more);
    succeed(&arguments);
    let report = folder.json(&format!("{out}/report.json"));
    let text = |value: &serde_json::Value| value.as_str().unwrap().to_string();
    report["clients"].as_array().unwrap().iter().map(|c| (text(&c["name"]), text(&c["data"]))).collect()
}

#[test]
fn sites_are_dealt_as_asked() {
    let folder = Folder::new();
    let sites = |found: &[(String, String)]| -> Vec<(String, String)> {
        found.iter().map(|(name, data)| (name.clone(), data.split(',').next().unwrap().into())).collect()
    };
    let pair = |name: &str, data: &str| (name.to_string(), data.to_string());

    let found = data_of_clients(&folder, "charsets", &["--split", "charsets"]);
    assert_eq!(sites(&found), [pair("first", "4 sites"), pair("second", "8 sites")]);
    let data = folder.read("charsets/clients/0/data.nex");
    assert!(data.contains("'Taxon one'") && data.contains("AC-T"), "{data}");

    let parts = folder.write("parts.txt", "DNA, odd = 1-12\\2\nDNA, even = 2-12\\2\n");
    let found = data_of_clients(&folder, "parts", &["--split", &parts]);
    assert_eq!(sites(&found), [pair("odd", "6 sites"), pair("even", "6 sites")]);

    let found = data_of_clients(&folder, "contiguous", &["--split", "contiguous", "--clients", "2"]);
    assert_eq!(sites(&found), [pair("client-0", "6 sites"), pair("client-1", "6 sites")]);
    assert!(folder.read("contiguous/clients/1/data.nex").contains("GTACGT"));

    let found = data_of_clients(&folder, "rr", &["--clients", "5", "--model", "K80", "--kappa", "2"]);
    assert_eq!(found.len(), 5);
    assert_eq!(sites(&found)[4], pair("client-4", "2 sites"));

    // A single client is the centralised run; names with blanks survive into all trees.
    assert_eq!(data_of_clients(&folder, "one", &["--clients", "1"]).len(), 1);
    assert!(folder.read("one/consensus.nwk").contains("'Taxon one'"), "{}", folder.read("one/consensus.nwk"));
    assert!(folder.read("one/samples.trees").contains("5 'Taxon one';"));

    refuse_sets(&folder);
}

fn refuse_sets(folder: &Folder) {
    let alignment = folder.write("genes.nex", GENES);
    let out = folder.name("refused");
    let go = |split: &str, more: &[&str], words: &[&str]| {
        let mut arguments = vec!["phylo", "run", &alignment, "--out", &out, "--split", split];
        arguments.extend(more);
        support::refuse(&arguments, 3, words);
    };
    go("charsets", &["--clients", "3"], &["3 clients", "2 set(s)"]);
    let twice = folder.write("twice.txt", "DNA, a = 1-8\nDNA, b = 8-12\n");
    go(&twice, &[], &["twice.txt", "set b", "site 8"]);
    let missing = folder.write("missing.txt", "DNA, a = 1-8\n");
    go(&missing, &[], &["missing.txt", "site 9"]);
    let beyond = folder.write("beyond.txt", "DNA, a = 1-13\n");
    go(&beyond, &[], &["beyond.txt", "line 1"]);
}

#[test]
fn branch_lengths_are_chosen_from_bins() {
    let folder = Folder::new();
    data_of_clients(&folder, "bins", &["--clients", "2", "--branch-bins", "0.05,0.2", "--exact"]);
    let report = folder.json("bins/report.json");
    assert_eq!(report["exact"]["objects"], 15 * 128, "15 topologies with 7 branches of two lengths");
    assert_eq!(report["importance"]["independent_residual_deviation"], serde_json::Value::Null);
    let text = folder.read("bins/samples.trees");
    let lengths: std::collections::BTreeSet<&str> = text
        .lines()
        .filter_map(|line| line.split_once("[&U] "))
        .flat_map(|(_, tree)| tree.split(':').skip(1))
        .map(|rest| rest.split([',', ')']).next().unwrap())
        .collect();
    assert_eq!(lengths.into_iter().collect::<Vec<_>>(), ["0.05", "0.2"]);
    let trees = folder.csv("bins/trees.csv");
    assert!(trees.rows.len() <= 15);
    assert!(!trees.texts("topology")[0].contains(':'));
    // log-likelihood of a topology: the largest among its samples.
    let best = text
        .lines()
        .filter_map(|l| l.split_once("lnL="))
        .map(|(_, l)| l.split(',').next().unwrap().parse::<f64>().unwrap())
        .fold(f64::NEG_INFINITY, f64::max);
    let column = trees.numbers("log_likelihood").into_iter().fold(f64::NEG_INFINITY, f64::max);
    assert!((best - column).abs() < 1e-6);
}

#[test]
fn a_plan_repeats_a_run_and_options_override_it() {
    let folder = Folder::new();
    let options =
        ["--clients", "2", "--seed", "5", "--model", "HKY85+G4+I", "--kappa", "2", "--alpha", "0.5"];
    let more = ["--pinv", "0.2", "--frequencies", "empirical", "--branch-length", "0.2", "--outgroup", "C"];
    data_of_clients(&folder, "first", &[&options[..], &more[..]].concat());
    let plan = folder.name("first/plan.toml");
    data_of_clients(&folder, "again", &["--config", &plan]);
    assert_eq!(folder.read("first/plan.toml"), folder.read("again/plan.toml"));
    for name in ["trees.csv", "samples.trees", "splits.csv"] {
        assert_eq!(folder.read(&format!("first/{name}")), folder.read(&format!("again/{name}")), "{name}");
    }
    data_of_clients(&folder, "other", &["--config", &plan, "--seed", "6", "--branch-length", "0.3"]);
    let plan = folder.json("other/report.json")["plan"].clone();
    assert_eq!(plan["seed"], 6);
    assert_eq!(plan["phylo"]["branch_lengths"]["length"], 0.3);
    assert_eq!(plan["phylo"]["model"]["name"], "HKY85+G4+I");
    assert_eq!(plan["phylo"]["outgroup"], "C");
    assert_ne!(folder.read("first/samples.trees"), folder.read("other/samples.trees"));
}

#[test]
fn what_is_odd_about_the_data_is_in_the_report() {
    let folder = Folder::new();
    let rows =
        [("a", "AC-TACGT"), ("b", "AC-TACGT"), ("c", "AG-TTCGA"), ("d", "AG-TTCGA"), ("e", "CG-ATCCA")];
    let text: String = rows.iter().map(|(name, row)| format!(">{name}\n{row}\n")).collect();
    let alignment = folder.write("odd.fasta", text);
    let out = folder.name("out");
    let said = succeed(&[
        "phylo",
        "run",
        &alignment,
        "--out",
        &out,
        "--clients",
        "2",
        "--budget",
        "4steps",
        "--samples",
        "20",
        "--rounds",
        "0",
    ]);
    let warnings = folder.json("out/report.json")["warnings"].to_string();
    for word in
        ["1 column(s) hold nothing but gaps", "identical sequences: a, b", "identical sequences: c, d"]
    {
        assert!(warnings.contains(word), "{warnings}");
        assert!(said.out.contains(word), "{}", said.out);
    }
}

#[test]
fn two_rounds_from_ten_taxa_on() {
    let folder = Folder::new();
    for (data, rounds) in [("primates.nex", 2), ("primates-7x100.fasta", 1)] {
        let (alignment, out) = (data_set(data), folder.name(data));
        succeed(&[
            "phylo",
            "run",
            &alignment,
            "--out",
            &out,
            "--budget",
            "4steps",
            "--samples",
            "20",
            "--quiet",
        ]);
        assert_eq!(folder.json(&format!("{data}/report.json"))["rounds"], rounds, "{data}");
    }
}
