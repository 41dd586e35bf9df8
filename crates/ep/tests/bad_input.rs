//! Bad input: a clear error that names the place, the right exit code, nothing written, no panic.

mod support;

use support::{Folder, data_set, ep, refuse, run, succeed};

const FOUR: &str = ">a\nACGT\n>b\nACGA\n>c\nACCA\n>d\nTCCA\n";

/// Runs an alignment that must be refused before anything is written.
fn refuse_alignment(folder: &Folder, name: &str, content: &[u8], words: &[&str]) {
    let alignment = folder.write(name, content);
    let out = folder.name("out");
    let words = [&[name], words].concat();
    refuse(&["phylo", "run", &alignment, "--out", &out, "--clients", "2"], 3, &words);
    refuse(&["plan", "phylo", &alignment, "--out", &out, "--clients", "2"], 3, &words);
    assert!(!folder.path("out").exists(), "{name} left something behind");
}

#[test]
fn alignments_that_cannot_be_used() {
    let folder = Folder::new();
    let cases: [(&str, &[u8], &[&str]); 15] = [
        ("empty.fasta", b"", &["empty file"]),
        ("one.fasta", b">a\nACGT\n", &["at least 2 sequences, found 1"]),
        ("two.fasta", b">a\nACGT\n>b\nACGA\n", &["at least 4 taxa, found 2"]),
        ("three.fasta", b">a\nACGT\n>b\nACGA\n>c\nACCA\n", &["at least 4 taxa, found 3"]),
        (
            "unequal.fasta",
            b">a\nACGT\n>b\nACG\n>c\nACGT\n>d\nACGT\n",
            &["line 3", "taxon b", "unequal lengths"],
        ),
        ("protein.fasta", b">a\nMKVL\n>b\nMKVL\n>c\nMKIL\n>d\nMKIL\n", &["line 2", "column 4", "protein"]),
        ("twice.fasta", b">a\nACGT\n>a\nACGT\n>c\nACGT\n>d\nACGT\n", &["line 3", "duplicate name a"]),
        ("gaps.fasta", b">a\n--\n>b\n--\n>c\n--\n>d\nNN\n", &["nothing but gaps"]),
        ("binary.fasta", b"\x7fELF\x02\x01\x01\0\0\0", &["binary"]),
        ("random.fasta", b"hello\nworld\n", &["line 1", "hello"]),
        ("tree.fasta", b"(a,b,(c,d));\n", &["looks like a Newick tree"]),
        ("cut.phy", b"5 10\na ACGT\n", &["line"]),
        ("cut.nex", b"#NEXUS\nbegin data;\ndimensions ntax=4", &["MATRIX"]),
        ("noname.fasta", b">\nACGT\n>b\nACGT\n>c\nACGT\n>d\nACGT\n", &["line 1"]),
        ("nosites.fasta", b">a\n>b\n>c\n>d\n", &["line"]),
    ];
    for (name, content, words) in cases {
        refuse_alignment(&folder, name, content, words);
    }
    let out = folder.name("out");
    let missing = folder.name("missing.fasta");
    refuse(&["phylo", "run", &missing, "--out", &out], 3, &["missing.fasta", "check the path"]);
    let itself = folder.name("");
    refuse(&["phylo", "run", &itself, "--out", &out], 3, &["expected a file, found a folder"]);
    refuse(&["phylo", "check", &itself], 3, &["expected a file, found a folder"]);
    assert!(!folder.path("out").exists());
}

#[test]
fn options_that_make_no_sense() {
    let folder = Folder::new();
    let alignment = data_set("primates-7x100.fasta");
    let (out, mine) = (folder.name("out"), folder.name("out/mine.txt"));
    std::fs::create_dir(folder.path("out")).unwrap();
    folder.write("out/mine.txt", "mine");
    let hky = |frequencies| vec!["--model", "HKY85", "--kappa", "2", "--frequencies", frequencies];
    let cases: Vec<(Vec<&str>, &[&str])> = vec![
        (vec!["--clients", "0"], &["clients", "at least 1"]),
        (vec!["--clients", "101"], &["100 sites", "101 clients", "choose 100 clients or fewer"]),
        (vec!["--clients", "10000"], &["100 sites", "10000 clients"]),
        (vec!["--clients", "-1"], &["'-1' for '--clients"]),
        (vec!["--clients", "many"], &["'many' for '--clients"]),
        (vec!["--branch-length", "0"], &["branch-length", "found 0"]),
        (vec!["--branch-length", "-1"], &["branch-length", "found -1"]),
        (vec!["--branch-length", "nan"], &["branch-length", "NaN"]),
        (vec!["--branch-length", "inf"], &["branch-length", "inf"]),
        (vec!["--branch-length", "1e9"], &["branch-length", "1000000000"]),
        (vec!["--branch-bins", "1"], &["branch-bins", "2 to 64"]),
        (vec!["--branch-bins", "65"], &["branch-bins", "2 to 64"]),
        (vec!["--branch-bins", "0.2,0.1"], &["branch-bins", "increasing"]),
        (vec!["--branch-bins", "-0.1,0.1"], &["branch-bins", "-0.1"]),
        (vec!["--branch-bins", "a,b"], &["--branch-bins", "`a,b`"]),
        (vec!["--branch-bins", "4", "--branch-prior", "exp:-1"], &["branch-prior", "`exp:-1`"]),
        (vec!["--branch-bins", "4", "--branch-length", "0.1"], &["cannot be used with"]),
        (vec!["--branch-prior", "exp:10"], &["--branch-bins"]),
        (vec!["--model", "WAG"], &["model", "JC69, K80, HKY85 or GTR", "WAG"]),
        (vec!["--model", "JC69+X"], &["+X"]),
        (vec!["--model", "JC69+G4", "--alpha", "0"], &["alpha", "found 0"]),
        (vec!["--model", "JC69+G4", "--alpha", "-2"], &["alpha", "found -2"]),
        (vec!["--model", "JC69+G4", "--alpha", "inf"], &["alpha"]),
        (vec!["--model", "JC69+G4"], &["alpha", "found none"]),
        (vec!["--model", "JC69+G4", "--alpha", "1", "--gamma-categories", "mode"], &["--gamma-categories"]),
        (vec!["--model", "JC69+I", "--pinv", "1"], &["pinv", "found 1"]),
        (vec!["--model", "JC69+I", "--pinv", "-0.1"], &["pinv", "-0.1"]),
        (vec!["--model", "K80", "--kappa", "-1"], &["kappa", "found -1"]),
        (vec!["--model", "K80", "--kappa", "0"], &["kappa", "found 0"]),
        (vec!["--model", "K80"], &["kappa", "found none"]),
        (vec!["--model", "JC69", "--kappa", "2"], &["kappa"]),
        (vec!["--kappa", "2"], &["--kappa", "--model"]),
        (hky("1,1,0.5,0.5"), &["frequencies"]),
        (hky("0.5,0.5,0,0"), &["frequencies"]),
        (hky("-0.5,0.5,0.5,0.5"), &["frequencies", "-0.5"]),
        (hky("0.5,0.5"), &["--frequencies", "4 numbers"]),
        (vec!["--model", "GTR", "--frequencies", "empirical", "--rates", "1,1,1"], &["--rates", "6 numbers"]),
        (vec!["--budget", "0s"], &["budget", "`0s`"]),
        (vec!["--budget", "-3s"], &["budget", "`-3s`"]),
        (vec!["--budget", "60"], &["budget", "`60`"]),
        (vec!["--budget", "1.5steps"], &["budget", "`1.5steps`"]),
        (vec!["--samples", "0"], &["--samples", "1 to 10000000", "found 0"]),
        (vec!["--samples", "9999999999999999999"], &["--samples", "1 to 10000000"]),
        (vec!["--samples", "-5"], &["'-5' for '--samples"]),
        (vec!["--threads", "0"], &["--threads", "found 0"]),
        (vec!["--threads", "100000"], &["--threads", "found 100000"]),
        (vec!["--rounds", "-1"], &["'-1' for '--rounds"]),
        (vec!["--seed", "-1"], &["'-1' for '--seed"]),
        (vec!["--seed", "18446744073709551615"], &["--seed", "2^63"]),
        (vec!["--outgroup", "Yeti"], &["outgroup", "`Yeti`", "choose one of: Gorilla"]),
        (vec!["--split", "randomly"], &["--split", "`randomly`"]),
        (vec!["--colour"], &["--colour"]),
    ];
    for (options, words) in &cases {
        let mut arguments = vec!["phylo", "run", &alignment, "--out", &out];
        arguments.extend(options);
        refuse(&arguments, 2, words);
    }
    refuse(&["phylo", "run", &alignment], 2, &["--out"]);
    refuse(&["phylo", "run", "--out", &out], 2, &["ALIGNMENT"]);
    refuse(&["phylo", "walk"], 2, &["walk"]);
    refuse(&["sample", &out, "-n", "0"], 2, &["-n", "1 to 10000000"]);
    // Exact evaluation: nine taxa and no more.
    let twelve = data_set("primates.nex");
    let fresh = folder.name("fresh");
    refuse(&["phylo", "run", &twelve, "--out", &fresh, "--exact"], 2, &["--exact", "at most 9", "12 taxa"]);
    assert!(!folder.path("fresh").exists());
    assert_eq!(std::fs::read_to_string(mine).unwrap(), "mine");
    assert_eq!(folder.files("out"), ["mine.txt"], "nothing was written");
}

#[test]
fn plans_that_cannot_be_used() {
    let folder = Folder::new();
    let alignment = folder.write("four.fasta", FOUR);
    let good = folder.name("good");
    succeed(&["plan", "phylo", &alignment, "--clients", "2", "--out", &good]);
    let plan = folder.read("good/plan.toml");
    let out = folder.name("out");
    let go = |name: &str, content: &[u8], words: &[&str]| {
        let config = folder.write(name, content);
        let words = [&[name], words].concat();
        refuse(&["phylo", "run", &alignment, "--out", &out, "--config", &config], 3, &words);
        refuse(&["train", &config, "--data", &alignment, "--out", &folder.name("x.safetensors")], 3, &words);
        assert!(!folder.path("out").exists() && !folder.path("x.safetensors").exists());
    };
    let changed = |from: &str, to: &str| {
        assert!(plan.contains(from), "{plan}");
        plan.replacen(from, to, 1).into_bytes()
    };
    go("garbage.toml", b"x = [", &["line 1"]);
    go("empty.toml", b"", &["expected a plan"]);
    go("binary.toml", &[0xff, 0xfe, 0, 1], &[]);
    go("unknown.toml", &changed("seed = 1\n", "seed = 1\nspeed = 2\n"), &["line", "speed"]);
    go("typo.toml", &changed("outgroup = \"a\"", "outgroup = \"z\""), &["outgroup", "`z`"]);
    go("negative.toml", &changed("seed = 1", "seed = -1"), &["line"]);
    go("version.toml", &changed("version = 2", "version = 9"), &["plan version 2", "found 9"]);
    // Plans of the first version had other fields; the version is what is said.
    let first = "version = 1\nseed = 1\n[phylo]\ntaxa = []\nclients = [\"a\"]\n";
    go("first.toml", first.as_bytes(), &["plan version 2", "found 1", "make the plan again"]);
    let (common, _) = plan.split_once("[phylo]").unwrap();
    go("bare.toml", common.as_bytes(), &["exactly one section with a model", "[phylo]", "found none"]);
    go("budget.toml", &changed("60s", "60"), &["line", "`60`"]);
    go("length.toml", &changed("length = 0.1", "length = -0.1"), &["-0.1"]);
    go("nan.toml", &changed("length = 0.1", "length = nan"), &["NaN"]);
    let listed = |to: &str| {
        assert!(plan.contains("clients = ["), "{plan}");
        let (before, rest) = plan.split_once("clients = [").unwrap();
        let (_, after) = rest.split_once(']').unwrap();
        format!("{before}{to}{after}").into_bytes()
    };
    go("nobody.toml", &listed("clients = []"), &["clients", "at least one client", "none"]);
    go("twins.toml", &listed("clients = [\"a\", \"a\"]"), &["clients", "a twice"]);
    go("model.toml", &changed("JC69", "JC70"), &["JC70"]);
    let config = folder.name("good/plan.toml");
    let other = folder.write("other.fasta", FOUR.replace(">d", ">x"));
    refuse(&["phylo", "run", &other, "--out", &out, "--config", &config], 3, &["plan.toml", "other taxa"]);
    let missing = folder.name("missing.toml");
    refuse(&["phylo", "run", &alignment, "--out", &out, "--config", &missing], 3, &["missing.toml"]);
    refuse(&["phylo", "run", &alignment, "--out", &out, "--config", &good], 3, &["good", "a folder"]);
    refuse(&["status", &missing], 3, &["missing.toml"]);
    assert!(!folder.path("out").exists());
}

#[test]
fn places_that_cannot_be_written() {
    let folder = Folder::new();
    let alignment = folder.write("four.fasta", FOUR);
    let file = folder.write("file", "mine");
    refuse(&["phylo", "run", &alignment, "--out", &file], 3, &["file", "choose another --out"]);
    let below = folder.name("file/below");
    let said = run(&["phylo", "run", &alignment, "--out", &below]);
    assert!([3, 75].contains(&said.code) && said.err.contains("file/below"), "{}", said.err);
    assert_eq!(folder.read("file"), "mine");
    // A full disk; /dev/full is one.
    if let Ok(full) = std::fs::OpenOptions::new().write(true).open("/dev/full") {
        let output = ep(&["phylo", "check", &alignment]).stdout(full).output().unwrap();
        assert_eq!(output.status.code(), Some(75));
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(said.contains("standard output") && said.contains("make room on the disk"), "{said}");
    }
}

#[test]
fn help_is_there_for_every_command() {
    let said = succeed(&["--help"]);
    for word in ["phylo", "plan", "train", "aggregate", "sample", "status", "inspect", "Exit codes"] {
        assert!(said.out.contains(word), "{word}");
    }
    for command in [
        &["phylo", "run"][..],
        &["phylo", "check"],
        &["phylo", "likelihood"],
        &["plan", "phylo"],
        &["train"],
        &["aggregate"],
        &["sample"],
        &["status"],
        &["inspect"],
    ] {
        let said = succeed(&[command, &["--help"]].concat());
        assert!(said.out.contains("Usage: ep"), "{command:?}");
    }
    assert!(succeed(&["--version"]).out.contains(env!("CARGO_PKG_VERSION")));
}
