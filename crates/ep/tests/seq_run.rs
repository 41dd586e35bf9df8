//! `ep seq run`: results of the example, exact references, weights, and bad input.

mod support;

use support::{Folder, data_set, is_decreasing, refuse, run, succeed};

const STEPS: [&str; 7] = ["--budget", "200steps", "--samples", "2000", "--threads", "1", "--quiet"];

#[test]
fn the_example_gives_sequences_with_what_clients_say_of_them() {
    let folder = Folder::new();
    let (spec, out) = (data_set("seq/spec.toml"), folder.name("out"));
    let said = succeed(&[&["seq", "run", &spec, "--exact", "--out", &out], &STEPS[..]].concat());
    for word in ["sequences of 8 dna, for 3 clients", "Markov model, 16 2-mers", "consensus", "on the front"]
    {
        assert!(said.out.contains(word), "no `{word}` in {}", said.out);
    }
    let best = folder.csv("out/best.csv");
    assert_eq!(
        best.header,
        [
            "object",
            "log_reward",
            "log_reward_binding",
            "log_reward_background",
            "log_reward_sites",
            "probability",
            "reweighted",
            "share"
        ]
    );
    assert!(is_decreasing(&best.numbers("log_reward")));
    let columns = ["log_reward", "log_reward_binding", "log_reward_background", "log_reward_sites"];
    let columns = columns.map(|name| best.numbers(name));
    for i in 0..best.rows.len() {
        assert!((columns[0][i] - columns[1][i] - columns[2][i] - columns[3][i]).abs() < 1e-9);
    }
    // The box by hand: seven times the best of a position and no motif.
    let tata = best.texts("object").iter().position(|name| *name == "TATATATG").expect("the best is found");
    assert!((columns[1][tata] - (5.0 * 1.188 + 3.0 * 0.495)).abs() < 1e-9);
    assert_eq!(columns[3][tata], 0.0);

    let fasta = folder.read("out/best.fasta");
    let names: Vec<&str> = fasta.lines().filter(|line| !line.starts_with('>')).collect();
    assert_eq!(names, best.texts("object"));
    assert!(fasta.starts_with(">design-1 share="), "{fasta}");

    // Frequencies of the profile are those of the samples.
    let (profile, samples) = (folder.csv("out/profile.csv"), folder.csv("out/samples.csv"));
    assert_eq!(samples.rows.len(), 2000);
    let texts = samples.texts("object");
    for (column, letter) in ["A", "C", "G", "T"].iter().zip("ACGT".chars()) {
        for (position, frequency) in profile.numbers(column).iter().enumerate() {
            let count = texts.iter().filter(|text| text.chars().nth(position) == Some(letter)).count();
            assert!((frequency - count as f64 / 2000.0).abs() < 1e-12);
        }
    }
    let marginals = folder.csv("out/marginals.csv");
    assert_eq!(marginals.numbers("expected")[..4], ["A", "C", "G", "T"].map(|l| profile.numbers(l)[0]));

    // Two exact references of the same thing.
    let report = folder.json("out/report.json");
    let number = |value: &serde_json::Value| value.as_f64().unwrap();
    let (log_z, enumerated) = (&report["log_partition"], &report["exact"]["log_marginal_likelihood"]);
    assert!((number(log_z) - number(enumerated)).abs() < 1e-9, "{log_z} {enumerated}");
    let reference = &report["reference"];
    let (l1, error) = (number(&reference["l1"]), number(&reference["l1_error"]));
    let exact = number(&report["exact"]["l1"]);
    // Six standard errors: a false alarm in 10^9.
    assert!((l1 - exact).abs() < 6.0 * error && error < 0.02, "{l1} ± {error} against {exact}");
    assert!(exact < 0.8, "an untrained policy is off by 1.3: {exact}");
    assert_eq!(reference["best"], "TATATATG");
    assert_eq!(report["consensus"].as_str().unwrap().len(), 8);
    assert_eq!(report["exact"]["objects"], 65_536);
}

#[test]
fn long_proteins_have_an_exact_reference_without_enumeration() {
    let folder = Folder::new();
    folder.write("hydrophobic.csv", "motif,bonus,count\nL,0.3,each\nI,0.2,each\nWW,1.5,once\n");
    folder.write("charged.csv", "motif,bonus,count\nK,0.3,each\nE,0.3,each\nL,-0.2,each\n");
    let clients = "[[clients]]\ndata = \"hydrophobic.csv\"\n[[clients]]\ndata = \"charged.csv\"\n";
    let spec = format!("alphabet = \"protein\"\nlength = 20\nexact = true\n{clients}");
    let (spec, out) = (folder.write("spec.toml", spec), folder.name("out"));
    let said = succeed(&[&["seq", "run", &spec, "--exact", "--out", &out], &STEPS[..]].concat());
    assert!(said.out.contains("exact draws") && !said.out.contains("exact: L1"), "{}", said.out);
    let report = folder.json("out/report.json");
    let untrained = {
        let out = folder.name("untrained");
        succeed(&[&["seq", "run", &spec, "--out", &out, "--quiet"], &["--budget", "2steps"][..]].concat());
        folder.json("untrained/report.json")["reference"]["kl"].as_f64().unwrap()
    };
    let kl = report["reference"]["kl"].as_f64().unwrap();
    assert!(kl < 0.5 * untrained, "{kl} after training, {untrained} before");
    assert!(report["importance"]["independent_residual_deviation"].is_f64());
    assert!(report["exact"].is_null());
}

#[test]
fn up_to_a_length_over_letters_of_ones_own() {
    let folder = Folder::new();
    folder.write("a.csv", "position,letter,value\n1,H,1\n1,P,0\n2,H,-1\n2,P,0.5\n");
    let spec = "alphabet = \"HP\"\nlength = 2\n[[clients]]\ndata = \"a.csv\"\n";
    let (spec, out) = (folder.write("spec.toml", spec), folder.name("out"));
    let said = succeed(&[&["seq", "run", &spec, "--exact", "--out", &out], &STEPS[..]].concat());
    assert!(said.out.contains("up to 2 letters HP, for 1 clients"), "{}", said.out);
    // 1 + 2 + 4 sequences, and their exact probabilities.
    let exact = folder.csv("out/exact.csv");
    let z: f64 = [0.0, 1.0, 0.0, 0.0, 1.5, -1.0, 0.5].iter().map(|r: &f64| r.exp()).sum();
    let probability = |name: &str| {
        let at = exact.texts("object").iter().position(|object| *object == name).unwrap();
        exact.numbers("target")[at]
    };
    assert_eq!(exact.rows.len(), 7);
    for (name, log_reward) in [("<empty>", 0.0f64), ("H", 1.0), ("HP", 1.5), ("PH", -1.0)] {
        assert!((probability(name) - log_reward.exp() / z).abs() < 1e-12, "{name}");
    }
    assert!(!folder.path("out/best.fasta").exists());
}

#[test]
fn other_weights_move_along_the_front_without_training_clients() {
    let folder = Folder::new();
    let (spec, out) = (data_set("seq/spec.toml"), folder.name("out"));
    let go = |weights: &str| {
        let arguments = ["seq", "run", &spec, "--weights", weights, "--out", &out];
        succeed(&[&arguments[..], &STEPS].concat());
        let clients = std::fs::read(folder.path("out/clients/0/round-0.safetensors")).unwrap();
        let mean = |table: support::Table, column: &str| {
            let numbers = table.numbers(column);
            numbers.iter().sum::<f64>() / numbers.len() as f64
        };
        (clients, mean(folder.csv("out/samples.csv"), "log_reward_binding"), folder.json("out/report.json"))
    };
    let (before, binding, _) = go("1,1,0.2");
    let (after, without, report) = go("0.1,1,1");
    assert_eq!(before, after);
    assert!(binding > without + 2.0, "{binding} with weight 1, {without} with 0.1");
    assert_eq!(report["clients"][0]["weight"], 0.1);
}

#[test]
fn bad_specs_and_tables() {
    let folder = Folder::new();
    let out = folder.name("out");
    folder.write("good.csv", "motif,bonus\nAC,1\n");
    folder.write("long.csv", "motif,bonus\nACACA,1\n");
    folder.write("header.csv", "kmer,log_probability\n");
    folder.write("beyond.csv", "position,letter,value\n9,A,1\n");
    let head = "alphabet = \"dna\"\nlength = 4\n";
    let client = |data: &str| format!("[[clients]]\ndata = \"{data}\"\n");
    let cases: [(String, &[&str]); 10] = [
        (format!("{head}{}", client("nowhere.csv")), &["nowhere.csv", "check the path"]),
        (format!("{head}{}", client("long.csv")), &["long.csv", "line 2", "1 to 4 letters"]),
        (format!("{head}{}", client("header.csv")), &["header.csv", "a header only"]),
        (format!("{head}{}", client("beyond.csv")), &["beyond.csv", "line 2", "1 to 4, the length", "\"9\""]),
        (format!("{head}lenght = 3\n{}", client("good.csv")), &["spec.toml", "line 3", "lenght"]),
        (
            format!("alphabet = \"AA\"\nlength = 4\n{}", client("good.csv")),
            &["spec.toml", "each letter once"],
        ),
        (format!("alphabet = \"dna\"\nlength = 0\n{}", client("good.csv")), &["spec.toml", "maximal length"]),
        (format!("alphabet = \"dna\"\n{}", client("good.csv")), &["spec.toml", "length"]),
        (format!("dimensions = 2\nside = 9\n{}", client("good.csv")), &["spec.toml", "`ep grid run`"]),
        (head.to_string(), &["spec.toml", "clients"]),
    ];
    for (text, words) in cases {
        let spec = folder.write("spec.toml", text);
        refuse(&["seq", "run", &spec, "--out", &out, "--budget", "2steps"], 3, words);
        assert!(!folder.path("out").exists(), "{words:?}");
    }
    let sequences = folder.write("spec.toml", format!("{head}{}", client("good.csv")));
    refuse(&["grid", "run", &sequences, "--out", &out], 3, &["`ep seq run`"]);
    refuse(&["seq", "run", &sequences, "--out", &out, "--weights", "1,2"], 2, &["--weights", "1 clients"]);
    // Too many sequences to enumerate, and too much to remember.
    let long = format!("motif,bonus,count\n{},1,each\n", "ACGT".repeat(4));
    folder.write("long.csv", long);
    let spec = format!("alphabet = \"dna\"\nlength = 30\nexact = true\n{}", client("long.csv"));
    let spec = folder.write("spec.toml", spec);
    refuse(&["seq", "run", &spec, "--out", &out, "--exact"], 2, &["--exact", "transitions"]);
    assert!(!folder.path("out").exists());
    assert_eq!(run(&["seq", "run", "--help"]).code, 0);
}
