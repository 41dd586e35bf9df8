//! Sequences site by site: a plan, clients that train on their own files, the server, samples.

mod support;

use support::{Folder, data_set, refuse, succeed};

const STEPS: [&str; 2] = ["--budget", "300steps"];

#[test]
fn sites_train_on_their_own_tables_and_the_server_multiplies() {
    let folder = Folder::new();
    let (plan, out) = (folder.name("plan.toml"), folder.name("out"));
    let said = succeed(&["plan", "seq", &data_set("seq/spec.toml"), "--seed", "5", "--out", &plan]);
    assert!(said.out.contains("for 3 clients") && said.out.contains("sequences of 8 dna"), "{}", said.out);
    let text = folder.read("plan.toml");
    assert!(text.contains("[seq]") && text.contains("alphabet = \"dna\""), "{text}");
    assert!(!text.contains("1.188"), "a plan holds no data");
    let mut sent = Vec::new();
    for name in ["binding", "background", "sites"] {
        let file = folder.name(&format!("{name}.safetensors"));
        let data = data_set(&format!("seq/{name}.csv"));
        succeed(&[&["train", &plan, "--data", &data, "--out", &file], &STEPS[..]].concat());
        let said = succeed(&["inspect", &file]);
        assert!(said.out.contains("\"seq\"") && said.out.contains(name), "{}", said.out);
        sent.push(file);
    }
    let files: Vec<&str> = sent.iter().map(String::as_str).collect();
    let said = succeed(
        &[&["aggregate", &plan], &files[..], &["--out", &out, "--weights", "1,1,1"], &STEPS].concat(),
    );
    // There is one path to each sequence: nothing to compare.
    assert!(said.out.contains("3 clients") && !said.out.contains("summed scores"), "{}", said.out);
    assert!(succeed(&["status", &out]).out.contains("aggregate"));
    let said = succeed(&["sample", &out, "-n", "3000"]);
    assert!(said.out.contains("no likelihoods") && said.out.contains("consensus"), "{}", said.out);
    // No data, no rewards; frequencies still.
    assert_eq!(folder.csv("out/samples.csv").header, ["object"]);
    let profile = folder.csv("out/profile.csv");
    // The box T A T A and the exact frequencies of the product: 0.78, 0.76, 0.75, 0.72; training is off by 0.1 at most
    // here, sampling by 0.05 (five standard errors).
    for (position, letter) in ["T", "A", "T", "A"].iter().enumerate() {
        let frequency = profile.numbers(letter)[position];
        assert!((frequency - 0.75).abs() < 0.19, "{letter} at {}: {frequency}", position + 1);
        assert_eq!(profile.texts("consensus")[position], *letter);
    }
    assert_eq!(folder.csv("out/best.csv").header, ["object", "share"]);
    assert!(folder.read("out/best.fasta").starts_with(">design-1 share="));

    // A table of another length does not fit the plan.
    let other = folder.write("other.csv", "position,A,C,G,T\n1,0,0,0,0\n");
    let words = ["other.csv", "none for position 2"];
    refuse(&["train", &plan, "--data", &other, "--out", &folder.name("x.safetensors")], 3, &words);
    // And neither does a client of another plan.
    let shorter = "alphabet = \"dna\"\nlength = 7\nexact = true\n[[clients]]\nname = \"a\"\n";
    let (spec, short) = (folder.write("short.toml", shorter), folder.name("short-plan.toml"));
    succeed(&["plan", "seq", &spec, "--out", &short]);
    let words = ["binding.safetensors", "plan"];
    refuse(&["aggregate", &short, files[0], "--out", &folder.name("wrong")], 3, &words);
}
