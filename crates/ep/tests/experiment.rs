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

/// The value of a measurement at every x it was taken at, of rows that start like this.
fn curve(text: &str, start: &str) -> Vec<(f64, f64)> {
    let points: Vec<(f64, f64)> = text
        .lines()
        .filter_map(|line| line.strip_prefix(start)?.split_once(','))
        .map(|(x, value)| (x.parse().unwrap(), value.parse().unwrap()))
        .collect();
    assert!(!points.is_empty(), "no {start} in {text}");
    points
}

#[test]
fn bounds_hold_and_small_errors_add_up_as_variances_do() {
    let folder = Folder::new();
    let out = folder.name("a");
    let said = succeed(&["experiment", "bounds", "--quick", "--seeds", "1", "--out", &out]);
    let results = folder.read("a/results.csv");
    for (domain, numbers) in [("grid", [4, 16, 64]), ("multisets", [5, 10, 20])] {
        for law in ["Gaussian", "Laplace", "Student t", "dropped mode", "shared half"] {
            for n in numbers {
                let of = |metric: &str| curve(&results, &format!("bounds,{domain},{law},{n},0,{metric}@"));
                let (variance, jeffrey) = (of("variance"), of("jeffrey"));
                let (w, sharp, l1) = (of("w"), of("sharp"), of("l1"));
                for k in 0..w.len() {
                    let (x, j) = jeffrey[k];
                    // Theorem 3.4, its sharp form, and L1 = 2 TV ≤ 2 tanh(W/4).
                    assert!(j <= sharp[k].1 + 1e-12 && sharp[k].1 <= w[k].1, "{domain} {law} {n} at {x}");
                    assert!((sharp[k].1 - w[k].1 * (w[k].1 / 4.0).tanh()).abs() < 1e-9);
                    assert!(l1[k].1 <= 2.0 * (w[k].1 / 4.0).tanh() + 1e-12);
                    // J = Cov(f, exp f) of f = log π̂/π, whose range is at most W and holds 0: Var f up to exp(±W).
                    let log_ratio = (j / variance[k].1).ln();
                    assert!(log_ratio.abs() < w[k].1 + 1e-6, "{domain} {law} {n} at {x}: {log_ratio}");
                }
            }
        }
        // Errors that all clients share add up to N² of one's variance, and two values of equal mass reach the bound.
        let shared = format!("bounds,{domain},shared half,{},0,", numbers[0]);
        let variance = value(&results, &format!("{shared}variance@0.01,"));
        assert!((variance / (1e-4 * f64::from(numbers[0] * numbers[0])) - 1.0).abs() < 1e-9);
        let at = |metric: &str| value(&results, &format!("{shared}{metric}@0.001,"));
        assert!(at("jeffrey") > 0.7 * at("sharp"), "{} {}", at("jeffrey"), at("sharp"));
    }
    assert!(said.out.contains("J ≤ W tanh(W/4) ≤ W") && !said.out.contains("a bug"), "{}", said.out);
    assert!(
        folder.read("a/bounds.svg").contains("Laplace")
            && folder.read("a/bounds-ratio.svg").contains("N = 64")
    );
}

#[test]
fn a_client_that_fails_moves_the_aggregate_within_the_bounds() {
    let folder = Folder::new();
    let out = folder.name("a");
    let said = succeed(&["experiment", "failing-client", "--quick", "--seeds", "1", "--out", &out]);
    let results = folder.read("a/results.csv");
    let of = |arm: &str, metric: &str| value(&results, &format!("failing-client,grid,{arm},4,0,{metric},"));
    for arm in ["all sound", "one hardly trained", "one denies a region"] {
        let (j, sharp, w) = (of(arm, "jeffrey"), of(arm, "sharp"), of(arm, "w"));
        assert!(0.0 < j && j <= sharp && sharp <= w, "{arm}: {j} {sharp} {w}");
        let p = curve(&results, &format!("failing-client,grid,{arm},4,0,p@"));
        assert_eq!(p.len(), 25);
        assert!((p.iter().map(|(_, p)| p).sum::<f64>() - 1.0).abs() < 1e-9);
        if arm != "all sound" {
            assert!(of(arm, "exact l1") > 2.0 * of("all sound", "exact l1"), "{arm}");
            assert!(of(arm, "true uniform") > 2.0 * of("all sound", "true uniform"), "{arm}");
        }
    }
    // Whoever knows only the wrong reward measures against that; the others' rewards are right.
    assert!(of("one denies a region", "file uniform") < of("one denies a region", "true uniform"));
    assert!(said.out.contains("**alarm**") && said.out.contains("effective sample size"), "{}", said.out);
    // Four maps of 25 cells, and the ground.
    assert_eq!(folder.read("a/failing-client.svg").matches("<rect").count(), 101);
}

#[test]
fn rounds_send_what_they_count() {
    let folder = Folder::new();
    let out = folder.name("a");
    let said = succeed(&["experiment", "rounds", "--quick", "--seeds", "1", "--out", &out]);
    let results = folder.read("a/results.csv");
    for (domain, n) in
        [("trees", 5), ("trees of few sites", 5), ("networks", 10), ("multisets", 5), ("sequences", 5)]
    {
        let of = |metric: &str| curve(&results, &format!("rounds,{domain},rounds,{n},0,{metric}@"));
        let (bytes, l1) = (of("bytes"), of("l1"));
        assert_eq!((bytes.len(), l1.len()), (5, 5));
        assert!(l1.iter().all(|(_, l1)| (0.0..=2.0).contains(l1)), "{domain}");
        let objects = |k: usize| bytes[k].1 - bytes[k - 1].1 - bytes[0].1;
        for k in 1..5 {
            // Policies again, and objects of whole actions, four bytes each, to every client.
            assert!(objects(k) > 0.0 && objects(k) % f64::from(4 * n) == 0.0, "{domain}, round {k}");
        }
        if domain.starts_with("trees") {
            // Five leaves: three merges for each of 16 000 trees.
            assert!((1..5).all(|k| objects(k) == f64::from(4 * n * 3 * 16_000)), "{domain} {bytes:?}");
        }
        assert_eq!(curve(&results, &format!("rounds,{domain},in one go,{n},0,l1@")).len(), 2);
        assert!(said.out.contains(&format!("### {domain}, N = {n}")));
    }
    assert!(said.out.contains("default of `--rounds`"), "{}", said.out);
    for name in ["rounds-bytes.svg", "rounds-seconds.svg"] {
        assert!(!folder.read(&format!("a/{name}")).contains("NaN"), "{name}");
    }
}

/// The values of a metric by domain, method and number of clients, all of seed 0.
fn of_metric<'a>(results: &'a str, metric: &str) -> Vec<(&'a str, &'a str, usize, f64)> {
    let rows = results.lines().skip(1).map(|line| line.split(',').collect::<Vec<_>>());
    rows.filter(|row| row[5] == metric)
        .map(|row| (row[1], row[2], row[3].parse().unwrap(), row[6].parse().unwrap()))
        .collect()
}

#[test]
fn modes_that_are_not_found_are_missing_in_the_l1() {
    let folder = Folder::new();
    let out = folder.name("a");
    let said = succeed(&["experiment", "sparse", "--quick", "--seeds", "1", "--out", &out]);
    let results = folder.read("a/results.csv");
    let (found, masses) = (of_metric(&results, "found"), of_metric(&results, "mass of the modes"));
    let l1 = of_metric(&results, "l1");
    // Two values of R₀, eight methods.
    assert_eq!([found.len(), masses.len(), l1.len()], [16; 3]);
    for ((&(domain, method, _, found), (.., mass)), (.., l1)) in found.iter().zip(masses).zip(l1) {
        // 64 cells of R₀, 16 of them with ½ and 4 of them with 2 on top.
        let r0: f64 = domain.rsplit_once(' ').unwrap().1.parse().unwrap();
        let expected = 4.0 * (2.5 + r0) / (16.0 + 64.0 * r0);
        assert!((mass - expected).abs() < 1e-12, "{domain}: {mass}, expected {expected}");
        // Each of four equal modes that is not found lacks at least half of its mass, which is somewhere else.
        let least = (1.0 - found / 4.0) * mass;
        assert!(l1 >= least - 1e-12 && l1 <= 2.0, "{domain}, {method}: {l1}, at least {least}");
    }
    // The uniform law has 1.07 at R₀ = .1; 60 steps suffice for much less.
    assert!(value(&results, "sparse,8x8 at 1e-1,contrastive,1,0,l1,") < 0.6);
    for word in ["A method *works*", "Replay with trajectory", "sparse-modes.svg"] {
        assert!(said.out.contains(word), "no {word} in {}", said.out);
    }
    assert!(folder.read("a/sparse-l1.svg").contains("modified detailed with replay"));
}

#[test]
fn unlike_clients_share_the_product_of_alike_ones() {
    let folder = Folder::new();
    let out = folder.name("a");
    let said = succeed(&["experiment", "heterogeneity", "--quick", "--seeds", "1", "--out", &out]);
    let results = folder.read("a/results.csv");
    for (kind, cells) in [("grid", 10), ("trees", 10)] {
        let perplexities: Vec<f64> = of_metric(&results, "perplexity")
            .into_iter()
            .filter(|(domain, ..)| domain.starts_with(kind))
            .map(|(.., value)| value)
            .collect();
        assert_eq!(perplexities.len(), cells);
        assert!(perplexities.iter().all(|p| (p / perplexities[0] - 1.0).abs() < 1e-9), "{perplexities:?}");
    }
    for (domain, _, clients, l1) in of_metric(&results, "l1") {
        assert!((0.0..=2.0).contains(&l1), "{domain}, {clients} clients: {l1}");
    }
    // Spread over merge orders is all that a server sees; it is there, since clients err.
    assert!(of_metric(&results, "path spread of the summed scores").iter().all(|(.., spread)| *spread > 0.0));
    for word in ["rank correlation", "path spread of the summed scores", "heterogeneity.svg"] {
        assert!(said.out.contains(word), "no {word} in {}", said.out);
    }
}

#[test]
fn costs_are_measured_for_what_a_run_is_made_of() {
    let folder = Folder::new();
    let out = folder.name("a");
    let said = succeed(&["experiment", "cost", "--quick", "--seeds", "1", "--out", &out]);
    let results = folder.read("a/results.csv");
    // Two sizes of trees and one of networks, two amounts and two numbers of clients; a server for each size.
    let seconds = of_metric(&results, "trajectory seconds");
    assert_eq!(seconds.len(), 3 * 2 * 2 + 3);
    assert!(seconds.iter().all(|(.., seconds)| *seconds > 0.0));
    for (domain, .., length) in of_metric(&results, "length") {
        // An unrooted tree of n taxa takes n − 2 merges.
        if let Some(taxa) = domain.strip_prefix("trees of ") {
            let taxa: f64 = taxa.split(' ').next().unwrap().parse().unwrap();
            assert_eq!(length, taxa - 2.0, "{domain}");
        }
    }
    let patterns = |clients: usize| -> Vec<f64> {
        let all = of_metric(&results, "patterns").into_iter();
        all.filter(|(domain, _, n, _)| domain.starts_with("trees") && *n == clients)
            .map(|row| row.3)
            .collect()
    };
    // Half of the sites have no more patterns than all.
    for (half, all) in patterns(2).into_iter().zip(patterns(1)) {
        assert!(0.0 < half && half <= all, "{half} of {all}");
    }
    for word in ["client or centralised run: **", "patterns to be spared", "cost.svg", "faster one"] {
        assert!(said.out.contains(word), "no {word} in {}", said.out);
    }
}

#[test]
fn scale_is_measured_against_closed_forms() {
    let folder = Folder::new();
    let out = folder.name("a");
    let said = succeed(&["experiment", "scale", "--quick", "--seeds", "1", "--out", &out]);
    let results = folder.read("a/results.csv");
    let mut cells = 0;
    for line in results.lines().filter(|line| line.contains(",bound gap,")) {
        let start = line.split_once(",bound gap,").unwrap().0;
        let of = |metric: &str| value(&results, &format!("{start},{metric},"));
        // Jensen: the mean log-weight is at most the log of the mean weight.
        assert!(of("bound gap") >= -of("log z error") - 1e-9, "{line}");
        assert!((0.0..=1.0 + 1e-9).contains(&of("effective")), "{line}");
        if line.contains("sequences") {
            // One path to each sequence, so that walks back say nothing new: the lower bound is the mean log-ratio.
            assert!((of("reverse at least") - of("bound gap")).abs() < 1e-6, "{line}");
        }
        cells += 1;
    }
    // Four policies each of eight sizes.
    assert_eq!(cells, 4 * 8);
    // Twenty steps and the clients' logits are nearer to the product than a uniform policy.
    let forward = |method: &str| {
        value(
            &results,
            &format!("scale,multisets of 8 items of 10 kinds by clients: 2,{method},2,0,forward,"),
        )
    };
    assert!(forward("ep") < forward("uniform"), "{} {}", forward("ep"), forward("uniform"));
    for word in ["EP is right", "hypergrids of side 8", "scale.svg"] {
        assert!(said.out.contains(word), "no {word} in {}", said.out);
    }
    assert!(folder.read("a/scale.svg").contains("untrained server"));
}

#[test]
fn privacy_says_what_leaks() {
    let folder = Folder::new();
    let out = folder.name("a");
    let said = succeed(&["experiment", "privacy", "--quick", "--seeds", "1", "--out", &out]);
    let results = folder.read("a/results.csv");
    let own = "privacy,networks of 3 nodes and 8 rows";
    // Exact scores give correlations away to the last digits.
    let exact = value(&results, &format!("{own},recovery,2,0,correlations by exact scores,"));
    assert!(exact < 1e-6, "{exact}");
    // A policy says little after two steps, and more after 64.
    let error = |steps: u32| value(&results, &format!("{own},recovery,2,0,first differences@{steps},"));
    assert!(error(64) < error(2), "{} {}", error(64), error(2));
    for line in results.lines().filter(|line| line.contains(",auc,") || line.contains(",auc@")) {
        let number = |line: &str| line.rsplit_once(',').unwrap().1.parse::<f64>().unwrap();
        let end = |name: &str| {
            let start = line.rsplit_once(',').unwrap().0.replacen(",auc", &format!(",auc {name}"), 1);
            value(&results, &format!("{start},"))
        };
        assert!(0.0 <= end("low") && end("low") <= end("high") && end("high") <= 1.0, "{line}");
        assert!((0.0..=1.0).contains(&number(line)), "{line}");
    }
    // Eight rows give their members away: 24 members against some 260 others, an area of a half has a deviation of .06.
    let area = value(&results, "privacy,networks of 3 nodes and 8 rows,exact posterior,12,0,auc,");
    assert!(area > 0.5, "{area}");
    for word in ["modified detailed", "TPR at 1 % FPR", "no promise", "privacy-recovery.svg"] {
        assert!(said.out.contains(word), "no {word} in {}", said.out);
    }
    assert!(folder.read("a/privacy-membership.svg").contains("trained policies"));
}

#[test]
fn growth_is_measured_at_every_size() {
    let folder = Folder::new();
    let out = folder.name("a");
    let said = succeed(&["experiment", "growth", "--quick", "--seeds", "1", "--out", &out]);
    let text = folder.read("a/results.csv");
    let seconds = of_metric(&text, "seconds");
    // Six things that grow, two sizes of each.
    assert_eq!(seconds.len(), 12);
    assert!(seconds.iter().all(|(.., seconds)| *seconds > 0.0));
    for word in ["taxa", "sites", "variables", "rows", "clients", "hidden width", "exponent", "growth.svg"] {
        assert!(said.out.contains(word), "no {word} in {}", said.out);
    }
}

#[test]
fn speed_is_one_line_with_the_keys_of_other_programs() {
    for (task, loss, states) in [("multiset", "tb", 43_758), ("sequence", "cb", 5461), ("grid", "mdb", 64)] {
        let command =
            ["experiment", "speed", "--task", task, "--loss", loss, "--iters", "40", "--eval-every", "20"];
        let out = succeed(&command).out;
        assert_eq!(out.lines().count(), 1, "{out}");
        let said: serde_json::Value = serde_json::from_str(&out).unwrap();
        for key in [
            "it_per_s",
            "traj_per_s",
            "trans_per_s",
            "train_s",
            "wall_s",
            "cpu_s",
            "time_to_l1",
            "final_l1",
            "rss_mb",
        ] {
            assert!(!said[key].is_null(), "no {key} in {out}");
        }
        assert_eq!((said["states"].as_u64(), said["iters"].as_u64()), (Some(states), Some(40)), "{out}");
    }
    // It stops where it was told to, and the same seed takes as long.
    let stop =
        || succeed(&["experiment", "speed", "--task", "grid", "--stop-at", "1.2", "--eval-every", "5"]).out;
    let (one, two): (serde_json::Value, serde_json::Value) =
        (serde_json::from_str(&stop()).unwrap(), serde_json::from_str(&stop()).unwrap());
    assert!(one["final_l1"].as_f64().unwrap() <= 1.2 && one["iters"].as_u64().unwrap() < 5000, "{one}");
    assert_eq!((&one["iters"], &one["final_l1"]), (&two["iters"], &two["final_l1"]));
    refuse(&["experiment", "speed", "--task", "chess"], 2, &["chess", "multiset"]);
}
