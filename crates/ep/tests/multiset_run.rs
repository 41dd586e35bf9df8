//! `ep multiset run`: what it writes is what it says, agrees with enumeration, and other weights train no client again.

mod support;

use support::{Folder, Table, is_decreasing, run, succeed};

const NAMES: [&str; 3] = ["cost", "taste", "the rest"];
/// Values of a, b, c and d for each client.
const VALUES: [[f64; 4]; 3] = [[1.0, -0.5, 0.0, 0.25], [-1.0, 0.75, 0.5, 0.0], [0.0, 0.0, 0.25, 0.5]];
const SAMPLES: &str = "3000";

/// Multisets of 4 items out of 4, at most 2 of d: 31 objects. `pair` is one more line of the second client.
fn problem(pair: &str) -> Folder {
    let folder = Folder::new();
    let mut spec = "size = 4\n[capacity]\nd = 2\n".to_string();
    for (k, name) in NAMES.iter().enumerate() {
        let mut text = "item,with,value\n".to_string();
        (["a", "b", "c", "d"].iter().zip(VALUES[k])).for_each(|(item, v)| text += &format!("{item},,{v}\n"));
        folder.write(&format!("{k}.csv"), text + if k == 1 { pair } else { "" });
        spec += &format!("[[clients]]\nname = \"{name}\"\ndata = \"{k}.csv\"\n");
    }
    folder.write("spec.toml", spec);
    folder
}

fn run_all(folder: &Folder, out: &str, more: &[&str]) -> String {
    let (spec, out) = (folder.name("spec.toml"), folder.name(out));
    let options = ["--out", &out, "--budget", "300steps", "--samples", SAMPLES, "--quiet"];
    succeed(&[&["multiset", "run", &spec], &options[..], more].concat()).out
}

/// Counts of a name such as `2 a + 1 c`.
fn counts(name: &str) -> [f64; 4] {
    let mut counts = [0.0; 4];
    for part in name.split(" + ") {
        let (count, item) = part.split_once(' ').unwrap();
        counts[["a", "b", "c", "d"].iter().position(|known| *known == item).unwrap()] =
            count.parse().unwrap();
    }
    counts
}

fn additive(name: &str, client: usize) -> f64 {
    counts(name).iter().zip(VALUES[client]).map(|(count, value)| count * value).sum()
}

fn close(a: f64, b: f64) -> bool {
    (a - b).abs() < 1e-9 * (1.0 + b.abs())
}

/// The log-rewards of a table are those of the definition, with these weights.
fn check_log_rewards(table: &Table, weights: [f64; 3]) {
    let columns = NAMES.map(|name| table.numbers(&format!("log_reward_{name}")));
    for (i, name) in table.texts("object").iter().enumerate() {
        let own: [f64; 3] = std::array::from_fn(|client| additive(name, client));
        assert!((0..3).all(|client| close(columns[client][i], own[client])), "{name}");
        let all: f64 = own.iter().zip(weights).map(|(r, w)| r * w).sum();
        assert!(close(table.numbers("log_reward")[i], all), "{name}");
    }
}

#[test]
fn results_are_what_they_are_called() {
    let folder = problem("");
    let said = run_all(&folder, "run", &["--exact"]);
    let report = folder.json("run/report.json");
    let samples = folder.csv("run/samples.csv");
    assert_eq!(samples.rows.len(), 3000);
    check_log_rewards(&samples, [1.0; 3]);
    assert!(close(samples.numbers("weight").iter().sum(), 1.0));

    let best = folder.csv("run/best.csv");
    check_log_rewards(&best, [1.0; 3]);
    assert!(is_decreasing(&best.numbers("log_reward")));
    let names = best.texts("object");
    for (i, name) in names.iter().enumerate() {
        let share = samples.texts("object").iter().filter(|other| *other == name).count() as f64 / 3000.0;
        assert!(close(best.numbers("share")[i], share), "{name}");
    }
    // R / Z is exact here, since log Z is known in closed form.
    let exact = folder.csv("run/exact.csv");
    assert_eq!(exact.rows.len(), 31);
    for (name, probability) in names.iter().zip(best.numbers("probability")) {
        let row = exact.texts("object").iter().position(|other| other == name).unwrap();
        assert!(close(probability, exact.numbers("target")[row]), "{name}");
    }

    // The front by its definition, among all distinct samples.
    let rewards: Vec<[f64; 3]> =
        names.iter().map(|name| std::array::from_fn(|client| additive(name, client))).collect();
    let beaten = |own: &[f64; 3]| {
        let beats = |other: &[f64; 3]| other != own && other.iter().zip(own).all(|(a, b)| a >= b);
        rewards.iter().any(beats)
    };
    let expected: Vec<&str> = (0..names.len()).filter(|&i| !beaten(&rewards[i])).map(|i| names[i]).collect();
    let front = folder.csv("run/front.csv");
    assert_eq!(front.texts("object"), expected);
    assert!(expected.len() > 2 && expected.len() < names.len());

    let marginals = folder.csv("run/marginals.csv");
    assert_eq!(marginals.texts("item"), ["a", "b", "c", "d"]);
    for item in 0..4 {
        let held: Vec<f64> = samples.texts("object").iter().map(|name| counts(name)[item]).collect();
        let mean = held.iter().sum::<f64>() / 3000.0;
        assert!(close(marginals.numbers("expected")[item], mean));
        let variance = held.iter().map(|h| (h - mean).powi(2)).sum::<f64>() / 2999.0;
        assert!(close(marginals.numbers("monte_carlo_error")[item], (variance / 3000.0).sqrt()));
        let reweighted: f64 = held.iter().zip(samples.numbers("weight")).map(|(h, w)| h * w).sum();
        assert!(close(marginals.numbers("reweighted")[item], reweighted));
    }

    let number = |value: &serde_json::Value| value.as_f64().unwrap();
    let log_z = number(&report["log_partition"]);
    assert!(close(log_z, number(&report["exact"]["log_marginal_likelihood"])));
    // 0.006 and 0.004 were measured.
    assert!(number(&report["exact"]["l1"]) < 0.05, "{}", report["exact"]);
    assert!((number(&report["importance"]["log_marginal_likelihood"]) - log_z).abs() < 0.01);
    assert_eq!(report["front_designs"], front.rows.len());
    assert_eq!(report["plan"]["multiset"]["items"][3]["capacity"], 2);
    for word in
        ["4 items out of 4 kinds, with capacities", "3 clients", "best for the rest:", names[0], "exactly"]
    {
        assert!(said.contains(word), "{word}: {said}");
    }
}

#[test]
fn other_weights_train_the_server_again_and_no_client() {
    let folder = problem("b,c,0.5\n");
    run_all(&folder, "run", &["--exact"]);
    let files = |kind: &str| -> Vec<(String, Vec<u8>)> {
        let names = folder.files("run").into_iter();
        let names = names.filter(|name| name.starts_with(kind) && name.ends_with(".safetensors"));
        names
            .map(|name| (name.clone(), std::fs::read(folder.path(&format!("run/{name}"))).unwrap()))
            .collect()
    };
    let (clients, server) = (files("clients"), files("server"));
    assert_eq!((clients.len(), server.len()), (3, 1));
    let report = folder.json("run/report.json");
    // Interactions have no closed form.
    assert!(report["log_partition"].is_null());

    let weights = "1,0.5,2";
    let (spec, out) = (folder.name("spec.toml"), folder.name("run"));
    let options = ["--out", &out, "--budget", "300steps", "--samples", SAMPLES, "--exact"];
    let again = [&["multiset", "run", &spec, "--weights", weights], &options[..]].concat();
    let said = succeed(&again);
    assert!(said.err.contains("the server is trained again, no client is"), "{}", said.err);
    assert_eq!(files("clients"), clients);
    let weighted = files("server");
    assert_ne!(weighted, server);
    let report = folder.json("run/report.json");
    for (client, weight) in report["clients"].as_array().unwrap().iter().zip([1.0, 0.5, 2.0]) {
        assert_eq!(client["weight"].as_f64(), Some(weight));
    }
    assert!(report["exact"]["l1"].as_f64().unwrap() < 0.05, "{}", report["exact"]);
    let best = folder.csv("run/best.csv");
    for (i, _) in best.rows.iter().enumerate() {
        let of = |client: usize| best.numbers(&format!("log_reward_{}", NAMES[client]))[i];
        assert!(close(best.numbers("log_reward")[i], of(0) + 0.5 * of(1) + 2.0 * of(2)));
    }
    // The same weights again: nothing is left to do but sampling.
    let said = succeed(&again);
    assert!(!said.err.contains("trained again"), "{}", said.err);
    assert_eq!(files("server"), weighted);
    // Weights in the SPEC are the same thing.
    let text = folder.read("spec.toml").replace("\"0.csv\"\n", "\"0.csv\"\nweight = 3\n");
    folder.write("spec.toml", text);
    run_all(&folder, "run", &[]);
    assert_eq!(folder.json("run/report.json")["clients"][0]["weight"], 3.0);
    assert_eq!(files("clients"), clients);
}

#[test]
fn a_single_client_is_its_own_aggregate_and_rounds_go_on() {
    let folder = problem("");
    folder.write("alone.toml", "size = 4\n[[clients]]\ndata = \"1.csv\"\n");
    let (spec, out) = (folder.name("alone.toml"), folder.name("alone"));
    let options = ["--out", &out, "--budget", "200steps", "--samples", "200", "--exact", "--quiet"];
    succeed(&[&["multiset", "run", &spec], &options[..]].concat());
    let report = folder.json("alone/report.json");
    assert_eq!(report["clients"][0]["name"], "1");
    assert!(report["exact"]["l1"].as_f64().unwrap() < 0.1);
    assert_eq!(report["front_designs"], 1);

    run_all(&folder, "rounds", &["--rounds", "1", "--weights", "1,1,2", "--exact"]);
    let report = folder.json("rounds/report.json");
    assert_eq!(report["rounds"], 1);
    assert!(report["exact"]["l1"].as_f64().unwrap() < 0.05, "{}", report["exact"]);
    let said =
        run(&["multiset", "run", &folder.name("spec.toml"), "--out", &folder.name("rounds"), "--quiet"]);
    assert_eq!(said.code, 3, "another plan: {}{}", said.out, said.err);
}
