//! The stages one by one: in a run folder, and on separate machines where only files travel.

mod support;

use support::{Folder, data_set, refuse, succeed};

const STEPS: [&str; 2] = ["--budget", "40steps"];
const HALF: [&str; 2] = ["--budget", "20steps"];

/// `arguments` with a budget behind them.
fn with<'a>(arguments: &[&'a str], budget: &[&'a str]) -> Vec<&'a str> {
    [arguments, budget].concat()
}

#[test]
fn stages_in_a_folder_make_the_same_posterior_as_a_run() {
    let folder = Folder::new();
    let alignment = data_set("primates-7x100.fasta");
    let out = folder.name("stages");
    let said = succeed(&["plan", "phylo", &alignment, "--clients", "2", "--out", &out, "--seed", "9"]);
    assert!(said.out.contains("2 clients") && said.out.contains("fixed 0.1"), "{}", said.out);
    // Again is the same; another is refused.
    succeed(&["plan", "phylo", &alignment, "--clients", "2", "--out", &out, "--seed", "9"]);
    refuse(
        &["plan", "phylo", &alignment, "--clients", "3", "--out", &out],
        3,
        &["plan.toml", "another plan"],
    );

    // Nor are the clients' sites exchanged under their hands.
    let sites = folder.read("stages/clients/0/data.nex");
    let other =
        folder.write("other.fasta", std::fs::read_to_string(&alignment).unwrap().replace("AAGC", "CCGC"));
    let plan_other = ["plan", "phylo", &other, "--clients", "2", "--out", &out, "--seed", "9"];
    refuse(&plan_other, 3, &["data.nex", "the same part of the same data", "another run"]);
    assert_eq!(folder.read("stages/clients/0/data.nex"), sites);

    let status = || succeed(&["status", &out]).out;
    assert_eq!(status().matches("not trained").count(), 2);
    refuse(&["aggregate", &out], 3, &["at least 2 trained clients", "found 0", "--min-clients"]);
    refuse(&["sample", &out], 3, &["expected an aggregate, found none"]);
    refuse(&["train", &out, "--client", "2"], 2, &["--client", "from 0 to 1", "--client 2"]);
    refuse(&["train", &out], 2, &["--client"]);

    succeed(&with(&["train", &out, "--client", "0"], &STEPS));
    assert_eq!(status().matches("not trained").count(), 1);
    refuse(&["train", &out, "--client", "0"], 2, &["client 0 trained", "aggregate first"]);
    // One of two clients can be aggregated if that is asked for: it is then the aggregate.
    let part = folder.name("part");
    let said = succeed(&with(&["aggregate", &out, "--min-clients", "1", "--out", &part], &HALF));
    assert!(said.out.contains("1 clients"), "{}", said.out);
    succeed(&with(&["train", &out, "--client", "1"], &STEPS));
    let said = succeed(&with(&["aggregate", &out], &HALF)).out;
    assert!(said.contains("Over the paths to one object, the clients' summed scores differ by"), "{said}");
    // The second message.
    let said = succeed(&with(&["train", &out, "--client", "0"], &HALF));
    assert!(said.out.contains("round-1.safetensors: 60 steps"), "{}", said.out);
    succeed(&with(&["train", &out, "--client", "1"], &HALF));
    succeed(&with(&["aggregate", &out], &HALF));
    let said = succeed(&["sample", &out, "-n", "300"]);
    assert!(said.out.contains("300 samples"), "{}", said.out);
    assert!(said.out.contains("policies only, no data"), "the server says so: {}", said.out);
    assert!(status().contains("trained, 1 extra rounds") && status().contains("after 1 extra rounds\n"));

    let run = folder.name("run");
    succeed(&[
        "phylo",
        "run",
        &alignment,
        "--clients",
        "2",
        "--out",
        &run,
        "--seed",
        "9",
        "--budget",
        "40steps",
        "--samples",
        "300",
        "--rounds",
        "1",
        "--quiet",
    ]);
    for name in ["splits.csv", "consensus.nwk"] {
        assert_eq!(folder.read(&format!("stages/{name}")), folder.read(&format!("run/{name}")), "{name}");
    }
    let (stages, whole) = (folder.csv("stages/trees.csv"), folder.csv("run/trees.csv"));
    assert_eq!(stages.texts("topology"), whole.texts("topology"));
    assert_eq!(stages.numbers("probability"), whole.numbers("probability"));
    assert!(stages.texts("log_likelihood").iter().all(|l| l.is_empty()), "a server without data has none");
    assert!(!folder.read("stages/samples.trees").contains("lnL"));

    // `ep inspect` says what a file holds, and what it gives away.
    let said = succeed(&["inspect", &folder.name("stages/clients/1/round-1.safetensors")]);
    for word in ["client-1", "50 sites", "\"round\": 1", "residual_spread", "What it reveals"] {
        assert!(said.out.contains(word), "no `{word}`: {}", said.out);
    }
    let said = succeed(&["inspect", &folder.name("stages/server/round-1.safetensors")]);
    assert!(said.out.contains("An aggregate") && said.out.contains("client-0"), "{}", said.out);
    refuse(&["inspect", &alignment], 3, &["safetensors"]);
}

#[test]
fn a_run_takes_over_clients_that_were_trained_by_hand() {
    let folder = Folder::new();
    let alignment = data_set("primates-7x100.fasta");
    let out = folder.name("out");
    let options = ["--clients", "2", "--out", &out, "--budget", "40steps", "--rounds", "0"];
    succeed(&[&["plan", "phylo", &alignment], &options[..]].concat());
    succeed(&with(&["train", &out, "--client", "1"], &["--budget", "7steps"]));
    let trained = std::fs::read(folder.path("out/clients/1/round-0.safetensors")).unwrap();
    let said = succeed(&[&["phylo", "run", &alignment, "--samples", "50"], &options[..]].concat());
    assert!(said.err.contains("clients/1/round-0.safetensors was trained by `ep train`"), "{}", said.err);
    assert_eq!(std::fs::read(folder.path("out/clients/1/round-0.safetensors")).unwrap(), trained);
    let report = folder.json("out/report.json");
    assert_eq!((&report["clients"][0]["steps"], &report["clients"][1]["steps"]), (&40.into(), &7.into()));
}

/// Two genes over the same five taxa, at two sites.
const GENES: [(&str, &str); 2] = [
    (
        "uppsala.fasta",
        ">a\nACGTACGTACA\n>b\nACGTACGAACA\n>c\nACCTTCGAACC\n>d\nACCTTCGTACC\n>e\nTCCTTCGTACC\n",
    ),
    ("lima.fasta", ">e\nGGTCACA\n>d\nGGTCACT\n>c\nGGACACT\n>b\nCGACTCT\n>a\nCGACTCT\n"),
];

/// A plan for the genes in `centre`, and a trained file of each site.
fn two_sites(folder: &Folder) -> (String, Vec<String>, Vec<String>) {
    let data: Vec<String> = GENES.iter().map(|(name, text)| folder.write(name, text)).collect();
    let centre = folder.name("centre");
    succeed(&["plan", "phylo", &data[0], "--clients", "2", "--no-data", "--out", &centre]);
    assert_eq!(folder.files("centre"), ["lock", "plan.toml"], "no data in a plan");
    let plan = folder.name("centre/plan.toml");
    let text = folder.read("centre/plan.toml");
    assert!(!text.contains("ACGT"), "{text}");
    let files: Vec<String> =
        ["uppsala", "lima"].iter().map(|s| folder.name(&format!("{s}.safetensors"))).collect();
    for (data, file) in data.iter().zip(&files) {
        succeed(&with(&["train", &plan, "--data", data, "--out", file], &HALF));
    }
    (plan, data, files)
}

#[test]
fn sites_on_separate_machines_send_files_only() {
    let folder = Folder::new();
    let (plan, data, files) = two_sites(&folder);
    let centre = folder.name("centre");
    assert!(!folder.files("").iter().any(|f| f.ends_with("checkpoint") || f.ends_with(".lock")));
    succeed(&with(&["aggregate", &centre, &files[0], &files[1]], &HALF));
    // The second message.
    let trees = folder.name("centre/server/proposals-1.nwk");
    let next: Vec<String> =
        ["uppsala", "lima"].iter().map(|s| folder.name(&format!("{s}-1.safetensors"))).collect();
    for k in 0..2 {
        let name = ["uppsala", "lima"][k];
        let mut arguments = vec!["train", &plan, "--data", &data[k], "--name", name, "--out", &next[k]];
        arguments.extend(["--previous", &files[k], "--proposals", &trees]);
        succeed(&with(&arguments, &HALF));
    }
    succeed(&with(&["aggregate", &centre, &next[0], &next[1]], &HALF));
    succeed(&["sample", &centre, "-n", "100"]);
    let said = succeed(&["inspect", &folder.name("centre/server/round-1.safetensors")]);
    assert!(said.out.contains("\"uppsala\"") && said.out.contains("\"lima\""), "{}", said.out);
    assert_eq!(folder.csv("centre/trees.csv").numbers("probability").iter().sum::<f64>().round(), 1.0);

    // Weights; a weight of a single client counts too.
    let out = folder.name("weighted");
    succeed(&with(&["aggregate", &plan, &files[0], &files[1], "--weights", "1,0.5", "--out", &out], &HALF));
    let out = folder.name("tempered");
    succeed(&with(&["aggregate", &plan, &files[0], "--weights", "0.5", "--out", &out], &HALF));
    let said = succeed(&["inspect", &folder.name("tempered/server/round-0.safetensors")]);
    assert!(said.out.contains("0.5\n"), "{}", said.out);

    refuse_aggregations(&folder, &plan, &files);
    refuse_trainings(&folder, &plan, &data, &files, &trees);
}

fn refuse_aggregations(folder: &Folder, plan: &str, files: &[String]) {
    let out = folder.name("refused");
    let go = |more: &[&str], code: i32, words: &[&str]| {
        let mut arguments = vec!["aggregate", plan, "--out", &out];
        arguments.extend(more);
        refuse(&arguments, code, words);
        assert!(!folder.path("refused").exists(), "a refused aggregation leaves nothing: {more:?}");
    };
    let [a, b] = files else { unreachable!() };
    go(&[a, b, "--weights", "1"], 2, &["--weights", "2 clients", "found 1"]);
    go(&[a, b, "--weights", "1,1,1"], 2, &["--weights"]);
    go(&[a, b, "--weights", "-1,1"], 2, &["--weights", "-1"]);
    go(&[a, b, "--weights", "nan,1"], 2, &["--weights", "NaN"]);
    go(&[a, b, "--weights", "0,0"], 2, &["--weights"]);
    go(&[a, a], 3, &["uppsala.safetensors", "uppsala for the second time", "count twice"]);
    go(&[a, &folder.name("none.safetensors")], 3, &["none.safetensors", "check the path"]);
    go(&[a, &folder.name("centre")], 3, &["centre", "a folder"]);
    refuse(&["aggregate", plan, a, b], 2, &["--out"]);

    // Damage: numbers that are none, a file cut short, another kind of file, a changed byte.
    let whole = std::fs::read(b).unwrap();
    let nan = {
        let mut bytes = whole.clone();
        let end = bytes.len() - 4;
        bytes[end..].copy_from_slice(&f32::NAN.to_le_bytes());
        folder.write("nan.safetensors", bytes)
    };
    go(&[a, &nan], 3, &["nan.safetensors"]);
    let cut = folder.write("cut.safetensors", &whole[..whole.len() / 2]);
    go(&[a, &cut], 3, &["cut.safetensors"]);
    let text = folder.write("text.safetensors", "not a policy");
    go(&[a, &text], 3, &["text.safetensors", "safetensors"]);
    let empty = folder.write("empty.safetensors", "");
    go(&[a, &empty], 3, &["empty.safetensors"]);
    let server = folder.name("centre/server/round-0.safetensors");
    go(&[a, &server], 3, &["round-0.safetensors"]);

    // A client of another plan, over other taxa.
    let data = folder.write("beasts.fasta", ">p\nACGT\n>q\nACGA\n>r\nACCA\n>s\nTCCA\n>t\nTCCT\n");
    let beasts = folder.name("beasts");
    succeed(&["plan", "phylo", &data, "--clients", "2", "--out", &beasts]);
    succeed(&with(&["train", &beasts, "--client", "0"], &HALF));
    let foreign = folder.name("beasts/clients/0/round-0.safetensors");
    go(&[a, &foreign], 3, &["beasts/clients/0/round-0.safetensors", "by the same plan"]);
    // The folder of another plan is not written into.
    refuse(&["aggregate", plan, a, b, "--out", &beasts], 3, &["plan.toml", "another plan"]);
    assert!(!folder.path("beasts/server").exists());
}

fn refuse_trainings(folder: &Folder, plan: &str, data: &[String], files: &[String], trees: &str) {
    let out = folder.name("new.safetensors");
    let go = |more: &[&str], code: i32, words: &[&str]| {
        let mut arguments = vec!["train", plan, "--out", &out];
        arguments.extend(more);
        refuse(&with(&arguments, &HALF), code, words);
        assert!(!folder.path("new.safetensors").exists());
    };
    let round = |proposals: &str, words: &[&str]| {
        go(&["--data", &data[0], "--previous", &files[0], "--proposals", proposals], 3, words);
    };
    let foreign = folder.write("foreign.nwk", "(a,b,(c,(d,e)));\n(a,b,(c,(d,x)));\n");
    round(&foreign, &["foreign.nwk", "line 2", "`x`"]);
    round(&folder.write("broken.nwk", "(a,b,(c,(d,e));\n"), &["broken.nwk", "line 1"]);
    round(&folder.write("none.nwk", "\n"), &["none.nwk", "trees, one a line"]);
    round(&folder.write("binary.nwk", [0xff, 0xfe, 0]), &["binary.nwk"]);
    round(&folder.name("centre"), &["centre", "a folder"]);
    go(&["--data", &data[0], "--proposals", trees], 2, &["--previous"]);
    go(
        &["--data", &data[0], "--previous", trees, "--proposals", trees],
        3,
        &["proposals-1.nwk", "safetensors"],
    );
    let other = folder.write("other.fasta", ">a\nAC\n>b\nAC\n>c\nAC\n>d\nAC\n>x\nAC\n");
    go(&["--data", &other], 3, &["other.fasta", "taxon e"]);
    go(&["--data", &folder.name("nothing.fasta")], 3, &["nothing.fasta"]);
    go(&["--data", &data[0], "--client", "0"], 2, &["--client"]);
    go(&["--data", &data[0], "--budget", "5"], 2, &["--budget"]);
    // A result is not overwritten.
    let before = std::fs::read(&files[0]).unwrap();
    refuse(
        &["train", plan, "--data", &data[0], "--out", &files[0]],
        3,
        &["uppsala", "nothing is overwritten"],
    );
    assert_eq!(std::fs::read(&files[0]).unwrap(), before);
    // An aggregate of another plan in the folder is not sampled.
    std::fs::create_dir_all(folder.path("beasts/server")).unwrap();
    std::fs::copy(
        folder.path("centre/server/round-0.safetensors"),
        folder.path("beasts/server/round-0.safetensors"),
    )
    .unwrap();
    refuse(&["sample", &folder.name("beasts")], 3, &["round-0.safetensors", "an aggregate of plan"]);
    refuse(&["sample", &folder.name("nowhere")], 3, &["nowhere"]);
    assert!(!folder.path("nowhere").exists());
}
