//! `ep bn run` from end to end: every file it writes, both models against enumeration, the prior, knowledge, sites that
//! differ.

mod support;

use gfn_bn::Dag;
use gfn_bn::equivalence::Cpdag;
use serde_json::Value;
use support::{Folder, Running, Table, is_decreasing, succeed};

const FILES: [&str; 6] =
    ["samples.csv", "edges.csv", "paths.csv", "markov_blankets.csv", "graphs.csv", "classes.csv"];

/// Simulated tables in `data/`; their names.
fn simulate(folder: &Folder, name: &str, sites: usize, more: &[&str]) -> Vec<String> {
    let (out, number) = (folder.name(name), sites.to_string());
    succeed(&[&["bn", "simulate", "--sites", &number, "--out", &out], more].concat());
    (1..=sites).map(|k| folder.name(&format!("{name}/site-{k}.csv"))).collect()
}

fn run(folder: &Folder, name: &str, files: &[String], more: &[&str]) -> support::Said {
    let out = folder.name(name);
    let files: Vec<&str> = files.iter().map(String::as_str).collect();
    succeed(&[&["bn", "run"], &files[..], &["--out", &out], more].concat())
}

const SMALL: [&str; 6] = ["--nodes", "4", "--edges", "4", "--rows", "40"];
const QUICK: [&str; 9] =
    ["--exact", "--budget", "1200steps", "--samples", "3000", "--seed", "7", "--quiet", "--complete-cases"];
/// Steps that leave everything but exact results unlearned.
const UNTRAINED: [&str; 8] = ["--exact", "--budget", "2steps", "--rounds", "0", "--samples", "50", "--quiet"];

#[test]
fn a_product_writes_every_result_and_threads_do_not_change_it() {
    let folder = Folder::new();
    let data = simulate(&folder, "data", 3, &SMALL);
    let said = run(&folder, "a", &data, &[&QUICK[..], &["--threads", "2"]].concat());
    assert_eq!(said.err, "", "--quiet says nothing but the summary");
    for word in [
        "Posterior over graphs from 3 clients",
        "product: one graph, separate parameters at every site",
        "not uniform over equivalence classes",
        "not causal",
        "structure chains",
        "exact edges: largest error",
        "exact log-evidence: product",
        "effective sample size",
        "Sites look",
    ] {
        assert!(said.out.contains(word), "no `{word}` in the summary: {}", said.out);
    }
    run(&folder, "b", &data, &[&QUICK[..], &["--threads", "1"]].concat());
    for name in FILES.iter().chain(&["exact.csv", "exact_edges.csv", "median.dot", "consensus.graphml"]) {
        assert_eq!(folder.read(&format!("a/{name}")), folder.read(&format!("b/{name}")), "{name}");
    }
    check_tables(&folder);
    check_pictures(&folder);
    check_report(&folder.json("a/report.json"));
}

fn check_tables(folder: &Folder) {
    let samples = folder.csv("a/samples.csv");
    assert_eq!(samples.header, ["object", "log_reward", "weight"]);
    assert_eq!(samples.rows.len(), 3000);
    assert!((samples.numbers("weight").iter().sum::<f64>() - 1.0).abs() < 1e-9);
    let graphs: Vec<Dag> = samples.texts("object").iter().map(|text| text.parse().unwrap()).collect();

    // Probabilities are shares of the samples.
    let edges = folder.csv("a/edges.csv");
    let columns = ["from", "to", "probability", "either", "monte_carlo_error", "reweighted", "chain"];
    assert_eq!(edges.header, columns);
    assert_eq!(edges.rows.len(), 12);
    let node = |name: &str| name[1..].parse::<usize>().unwrap();
    let share = |holds: &dyn Fn(&Dag) -> bool| graphs.iter().filter(|g| holds(g)).count() as f64 / 3000.0;
    for row in &edges.rows {
        let (u, v) = (node(&row[0]), node(&row[1]));
        let number = |k: usize| row[k].parse::<f64>().unwrap();
        let p = share(&|g| g.has_edge(u, v));
        assert_eq!(number(2), p);
        assert!((number(3) - share(&|g| g.has_edge(u, v) || g.has_edge(v, u))).abs() < 1e-12);
        assert!((number(4) - (p * (1.0 - p) / 3000.0).sqrt()).abs() < 1e-12);
    }
    let paths = folder.csv("a/paths.csv");
    let path_of = |row: &Vec<String>| share(&|g| g.ancestors(node(&row[1])) >> node(&row[0]) & 1 == 1);
    assert!(paths.rows.iter().all(|row| row[2].parse::<f64>().unwrap() == path_of(row)));
    assert_eq!(folder.csv("a/markov_blankets.csv").rows.len(), 6);

    let table = folder.csv("a/graphs.csv");
    assert_eq!(table.header, ["graph", "probability", "reweighted", "log_score"]);
    assert!(is_decreasing(&table.numbers("probability")));
    for column in ["probability", "reweighted"] {
        assert!((table.numbers(column).iter().sum::<f64>() - 1.0).abs() < 1e-9, "{column}");
    }
    let classes = folder.csv("a/classes.csv");
    assert_eq!(classes.header, ["class", "probability", "reweighted"]);
    assert!((classes.numbers("probability").iter().sum::<f64>() - 1.0).abs() < 1e-9);
    let best: Cpdag = classes.texts("class")[0].parse().unwrap();
    let p = share(&|g| Cpdag::from(g) == best);
    assert!((classes.numbers("probability")[0] - p).abs() < 1e-12);

    let exact = folder.csv("a/exact.csv");
    assert_eq!(exact.header[..4], ["object", "target", "learned", "target_0"]);
    assert_eq!(exact.rows.len(), 543);
    // Edges by the recursion over sets are sums over all graphs.
    let by_edges = folder.csv("a/exact_edges.csv");
    let objects: Vec<Dag> = exact.texts("object").iter().map(|text| text.parse().unwrap()).collect();
    let sum = |column: &str, u: usize, v: usize| -> f64 {
        let targets = exact.numbers(column);
        objects.iter().zip(targets).filter(|(g, _)| g.has_edge(u, v)).map(|(_, p)| p).sum()
    };
    for (column, of) in [("exact", "target"), ("exact_product", "target"), ("exact_site_2", "target_2")] {
        for (row, p) in by_edges.rows.iter().zip(by_edges.numbers(column)) {
            let expected = sum(of, node(&row[0]), node(&row[1]));
            assert!((p - expected).abs() < 1e-9, "{column} {row:?}: {expected}");
        }
    }
    assert_eq!(by_edges.numbers("learned"), edges.numbers("probability"));
    assert_eq!(by_edges.numbers("reweighted"), edges.numbers("reweighted"));
}

fn check_pictures(folder: &Folder) {
    for name in ["median", "consensus"] {
        let (dot, graphml) =
            (folder.read(&format!("a/{name}.dot")), folder.read(&format!("a/{name}.graphml")));
        for text in [&dot, &graphml] {
            assert!(text.contains("product: one graph") && text.contains("not causal"), "{text}");
        }
        assert!(dot.starts_with("// ") && dot.contains("digraph {"), "{dot}");
        assert!(graphml.contains("<graph id="), "{graphml}");
    }
    let edges = folder.csv("a/edges.csv");
    let likely = edges.numbers("probability").iter().filter(|p| **p > 0.5).count();
    assert_eq!(folder.read("a/median.dot").matches(" -> ").count(), likely);
}

fn check_report(report: &Value) {
    let number = |value: &Value| value.as_f64().unwrap_or_else(|| panic!("{value}"));
    assert_eq!(report["combine"]["name"], "product");
    assert!(report["combine"]["text"].as_str().unwrap().contains("separate parameters"));
    assert!(report["caution"].as_str().unwrap().contains("not causal"));
    assert_eq!(report["variables"], serde_json::json!(["X0", "X1", "X2", "X3"]));
    assert_eq!(report["sites"][1], serde_json::json!({ "name": "site-2", "data": "40 rows" }));
    let exact = &report["exact"];
    assert_eq!(exact["objects"], 543);
    assert!(number(&exact["l1"]) < 0.15, "{exact}");
    assert!(number(&exact["jensen_shannon"]) < 0.01);
    assert_eq!(exact["jensen_shannon_clients"].as_array().unwrap().len(), 3);
    let edges = &report["exact_edges"];
    assert!((number(&edges["log_evidence"]) - number(&exact["log_marginal_likelihood"])).abs() < 1e-8);
    assert_eq!(edges["log_evidence"], edges["log_evidence_product"]);
    assert!(number(&edges["max_error"]) < 0.06 && number(&edges["max_error_reweighted"]) < 0.06, "{edges}");
    assert!(number(&edges["rms_error"]) <= number(&edges["max_error"]));
    let sites: f64 = edges["sites"].as_array().unwrap().iter().map(|s| number(&s["log_evidence"])).sum();
    assert!((sites - number(&edges["sum_of_site_log_evidence"])).abs() < 1e-9);
    let weights = &report["importance"];
    assert!((number(&weights["log_marginal_likelihood"]) - number(&edges["log_evidence"])).abs() < 0.05);
    assert!(number(&weights["effective_sample_fraction"]) > 0.3, "{weights}");
    assert!(weights["independent_residual_deviation"].is_f64());
    let baseline = &report["baseline"];
    assert!(number(&baseline["largest_difference"]) < 0.1, "{baseline}");
    assert_eq!(baseline["best_graph"].as_str().unwrap().len(), 16);
    assert!(number(&baseline["hill_climbing_log_score"]) <= number(&edges["best_log_score"]) + 1e-9);
    assert!((number(&baseline["best_log_score"]) - number(&edges["best_log_score"])).abs() < 1e-9);
    assert!(report["likely_edges"].is_array() && report["best_graphs"][0]["edges"].is_array());
}

/// One file with the rows of several.
fn joined(folder: &Folder, files: &[String], name: &str) -> String {
    let texts: Vec<String> = files.iter().map(|file| std::fs::read_to_string(file).unwrap()).collect();
    let header = texts[0].lines().next().unwrap();
    let rows = texts.iter().flat_map(|text| text.lines().skip(1));
    folder
        .write(name, std::iter::once(header).chain(rows).map(|line| format!("{line}\n")).collect::<String>())
}

fn exact_targets(folder: &Folder, name: &str) -> Vec<(String, f64)> {
    let table = folder.csv(&format!("{name}/exact.csv"));
    let mut targets: Vec<(String, f64)> =
        table.texts("object").into_iter().map(String::from).zip(table.numbers("target")).collect();
    targets.sort_by(|a, b| a.0.cmp(&b.0));
    targets
}

fn assert_same(a: &[(String, f64)], b: &[(String, f64)]) {
    assert_eq!(a.len(), b.len());
    for ((x, p), (y, q)) in a.iter().zip(b) {
        assert!(x == y && (p - q).abs() < 1e-9, "{x}: {p} and {q}");
    }
}

#[test]
fn pooled_statistics_mean_the_pooled_rows() {
    let folder = Folder::new();
    let data = simulate(&folder, "data", 3, &SMALL);
    let trained = ["--exact", "--budget", "1500steps", "--samples", "1000", "--quiet", "--combine", "pooled"];
    let said = run(&folder, "pooled", &data, &trained);
    assert!(said.out.contains("pooled: one graph with the same parameters"), "{}", said.out);
    let report = folder.json("pooled/report.json");
    assert!(report["exact"]["l1"].as_f64().unwrap() < 0.3, "{}", report["exact"]);
    assert_eq!(report["clients"][0]["data"], "120 rows of 3 sites");
    assert_eq!(report["sites"].as_array().unwrap().len(), 3);
    let all = joined(&folder, &data, "all.csv");
    run(&folder, "one", &[all], &UNTRAINED);
    assert_same(&exact_targets(&folder, "pooled"), &exact_targets(&folder, "one"));
    let product = folder.csv("pooled/exact_edges.csv");
    assert_eq!(product.numbers("exact"), product.numbers("exact_pooled"));
    assert_ne!(product.numbers("exact"), product.numbers("exact_product"));
    // What would travel is there, and nothing was trained at the sites.
    let statistics = folder.json("pooled/clients/2/round-0.json");
    assert_eq!((&statistics["client"], &statistics["statistics"]["n"]), (&"site-3".into(), &40.into()));
    assert!(!folder.files("pooled/clients").iter().any(|name| name.ends_with("safetensors")));

    // Categories likewise; and centring by site is the same as centring the files.
    let words =
        simulate(&folder, "words", 2, &["--nodes", "3", "--edges", "2", "--rows", "30", "--levels", "3"]);
    let bdeu = ["--score", "bdeu", "--ess", "2", "--levels", "X1=3"];
    run(&folder, "words-pooled", &words, &[&UNTRAINED[..], &bdeu, &["--combine", "pooled"]].concat());
    let all = joined(&folder, &words, "all-words.csv");
    run(&folder, "words-one", &[all], &[&UNTRAINED[..], &bdeu].concat());
    assert_same(&exact_targets(&folder, "words-pooled"), &exact_targets(&folder, "words-one"));
    let shifted = simulate(&folder, "shifted", 2, &[&SMALL[..], &["--shift", "3"]].concat());
    let centred: Vec<String> = (1..)
        .zip(&shifted)
        .map(|(k, file)| folder.write(&format!("centred-{k}.csv"), centre(file)))
        .collect();
    let pooled = [&UNTRAINED[..], &["--combine", "pooled"]].concat();
    run(&folder, "by-site", &shifted, &[&pooled[..], &["--center", "site"]].concat());
    run(&folder, "by-hand", &centred, &pooled);
    assert_same(&exact_targets(&folder, "by-site"), &exact_targets(&folder, "by-hand"));
}

/// A table with the mean of each column subtracted.
fn centre(file: &str) -> String {
    let text = std::fs::read_to_string(file).unwrap();
    let rows: Vec<Vec<f64>> =
        text.lines().skip(1).map(|line| line.split(',').map(|x| x.parse().unwrap()).collect()).collect();
    let mean = |j: usize| rows.iter().map(|row| row[j]).sum::<f64>() / rows.len() as f64;
    let line = |row: &Vec<f64>| {
        let cells: Vec<String> = (0..row.len()).map(|j| format!("{:?}", row[j] - mean(j))).collect();
        cells.join(",") + "\n"
    };
    text.lines().next().unwrap().to_string() + "\n" + &rows.iter().map(line).collect::<String>()
}

#[test]
fn the_prior_counts_once_and_scores_are_those_of_the_score_command() {
    let folder = Folder::new();
    // Few rows: the prior matters.
    let data = simulate(&folder, "data", 3, &["--nodes", "3", "--edges", "2", "--rows", "8", "--seed", "3"]);
    let fair = ["--prior", "fair", "--exact", "--rounds", "0", "--samples", "500", "--quiet"];
    run(&folder, "fair", &data, &[&fair[..], &["--budget", "800steps"]].concat());
    run(&folder, "uniform", &data, &UNTRAINED);
    // By hand: ½ for every node with one of two possible parents.
    let target = exact_targets(&folder, "fair");
    let prior = |bits: &str| {
        let dag: Dag = bits.parse().unwrap();
        0.5f64.powi(dag.parent_sets().iter().filter(|parents| parents.count_ones() == 1).count() as i32)
    };
    let reweighted = |power: i32| {
        let weights: Vec<f64> =
            exact_targets(&folder, "uniform").iter().map(|(x, p)| p * prior(x).powi(power)).collect();
        let total: f64 = weights.iter().sum();
        weights.into_iter().map(|w| w / total).collect::<Vec<f64>>()
    };
    let l1 = |p: &[f64]| target.iter().zip(p).map(|((_, t), p)| (t - p).abs()).sum::<f64>();
    assert!(l1(&reweighted(1)) < 1e-9);
    assert!(l1(&reweighted(3)) > 0.2, "three priors would be seen: {}", l1(&reweighted(3)));
    let exact = &folder.json("fair/report.json")["exact"];
    assert!(exact["l1_exact_aggregation"].as_f64().unwrap() < 0.05, "{exact}");
    assert!(exact["l1"].as_f64().unwrap() < 0.1, "{exact}");

    // log_score less the log prior is what `ep bn score` says, which is the sum over the sites.
    let graphs = folder.csv("fair/graphs.csv");
    let (graph, log_score) = (graphs.texts("graph")[0], graphs.numbers("log_score")[0]);
    let score = |files: &[&str]| -> Value {
        let said = succeed(&[&["bn", "score"], files, &["--dag", graph]].concat());
        serde_json::from_str(&said.out).unwrap()
    };
    let names: Vec<&str> = data.iter().map(String::as_str).collect();
    let all = score(&names);
    let total = |value: &Value| value["total"].as_f64().unwrap();
    assert!((total(&all) + prior(graph).ln() - log_score).abs() < 1e-9, "{all} {log_score}");
    let separate: f64 = names.iter().map(|name| total(&score(&[name]))).sum();
    assert!((separate - total(&all)).abs() < 1e-9);
    let local: f64 = ["X0", "X1", "X2"].iter().map(|x| all["local"][x].as_f64().unwrap()).sum();
    assert!((local - total(&all)).abs() < 1e-9);
    // A list of edges is as good as bits; options of the score count.
    let edges: String = graph.parse::<Dag>().unwrap().edges().map(|(u, v)| format!("X{u},X{v}\n")).collect();
    let edges = folder.write("edges.csv", format!("from,to\n{edges}"));
    let said =
        succeed(&["bn", "score", names[0], "--dag", &edges, "--alpha-w", "9", "--nu", "mean", "--t", "0.5"]);
    let other: Value = serde_json::from_str(&said.out).unwrap();
    assert_ne!(total(&other), total(&score(&names[..1])));
    let said = succeed(&["bn", "score", names[0], "--dag", &edges]);
    assert_eq!(serde_json::from_str::<Value>(&said.out).unwrap(), score(&names[..1]));
    assert!(said.out.len() > 60, "15 digits: {}", said.out);
}

#[test]
fn knowledge_is_kept_to_everywhere() {
    let folder = Folder::new();
    let data = simulate(&folder, "data", 2, &SMALL);
    let text = "required = [[\"X0\", \"X3\"]]\nforbidden = [[\"X1\", \"X2\"]]\ntiers = [[\"X2\"], [\"X0\", \"X1\"]]\n";
    let knowledge = folder.write("knowledge.toml", text);
    let more = ["--knowledge", &knowledge, "--max-parents", "2"];
    run(&folder, "a", &data, &[&UNTRAINED[..], &more].concat());
    let check = |table: &Table, column: &str| {
        for text in table.texts(column) {
            let g: Dag = text.parse().unwrap();
            assert!(g.has_edge(0, 3) && !g.has_edge(1, 2) && !g.has_edge(0, 2), "{text}");
            assert!((0..4).all(|v| g.parents(v).count_ones() <= 2), "{text}");
        }
    };
    check(&folder.csv("a/samples.csv"), "object");
    let exact = folder.csv("a/exact.csv");
    check(&exact, "object");
    assert!(exact.rows.len() < 543 && exact.rows.len() > 10);
    // The exact engine knows it, too: all agree on the required edge.
    let edges = folder.csv("a/exact_edges.csv");
    let row = edges.rows.iter().find(|row| row[0] == "X0" && row[1] == "X3").unwrap();
    assert!(row[2..].iter().all(|p| (p.parse::<f64>().unwrap() - 1.0).abs() < 1e-12), "{row:?}");
}

#[test]
fn sites_that_differ_are_told_apart() {
    let folder = Folder::new();
    let size = ["--nodes", "4", "--edges", "4", "--rows", "80"];
    let check = |name: &str, kind: &[&str], options: &[&str]| -> Value {
        let files = simulate(&folder, name, 3, &[&size[..], kind].concat());
        let files: Vec<&str> = files.iter().map(String::as_str).collect();
        let said = succeed(&[&["bn", "check", "--json"], &files[..], options].concat());
        serde_json::from_str(&said.out).unwrap()
    };
    let differs = |summary: &Value| summary["heterogeneity"]["differs"].as_str().unwrap().to_string();
    let warning = |summary: &Value| summary["warnings"].to_string();
    let alike = check("alike", &[], &[]);
    assert_eq!(differs(&alike), "nothing");
    assert!(warning(&alike).contains("loses information"), "{alike}");
    assert_eq!(warning(&check("alike", &[], &["--combine", "pooled"])), "[]");
    let shifted = check("shifted", &["--shift", "2"], &["--combine", "pooled"]);
    assert_eq!(differs(&shifted), "means");
    assert!(warning(&shifted).contains("use --center site"), "{shifted}");
    let centred = check("shifted", &["--shift", "2"], &["--combine", "pooled", "--center", "site"]);
    assert_eq!((differs(&centred).as_str(), warning(&centred).as_str()), ("nothing", "[]"));
    let other = check("other", &["--other-coefficients"], &["--combine", "pooled"]);
    assert_eq!(differs(&other), "parameters");
    assert!(warning(&other).contains("use --combine product"), "{other}");
    assert_eq!(warning(&check("other", &["--other-coefficients"], &[])), "[]");
    let words = check("words", &["--levels", "3", "--other-coefficients"], &["--score", "bdeu"]);
    assert_eq!(differs(&words), "parameters");
    let words = check("same-words", &["--levels", "3"], &["--score", "bdeu"]);
    assert_eq!(differs(&words), "nothing");
    assert!(words["heterogeneity"]["text"].as_str().unwrap().contains("conditional probabilities"));
    // A single site differs from nobody.
    let file = folder.name("alike/site-1.csv");
    let said = succeed(&["bn", "check", &file]);
    assert!(said.out.contains("X0: numbers") && !said.out.contains("look"), "{}", said.out);
}

#[test]
fn a_killed_run_goes_on_and_ends_like_one_that_was_not() {
    let folder = Folder::new();
    let data = simulate(&folder, "data", 3, &SMALL);
    let files: Vec<&str> = data.iter().map(String::as_str).collect();
    let out = folder.name("killed");
    let options = ["--budget", "300steps", "--samples", "500", "--seed", "5", "--quiet"];
    let arguments = [&["bn", "run"], &files[..], &["--out", &out], &options].concat();
    let mut running = Running::start(&arguments);
    running.wait_for(&folder.path("killed/clients/1/round-0.safetensors"));
    running.kill();
    succeed(&arguments);
    run(&folder, "whole", &data, &options);
    for name in FILES {
        assert_eq!(folder.read(&format!("killed/{name}")), folder.read(&format!("whole/{name}")), "{name}");
    }
    assert_eq!(folder.json("killed/report.json")["processes"], 2);
}
