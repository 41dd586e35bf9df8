//! Bad tables, plans and files of network structures: a clear error, the right exit code, nothing written, no panic.

mod support;

use support::{Folder, refuse, run, succeed};

const GOOD: &str = "A,B,C\n0.5,1.5,-0.3\n-0.2,0.8,1.1\n1.3,-0.7,0.4\n0.1,0.2,-1.6\n-1.1,0.6,0.9\n";
const OTHER: &str = "C,A,B\n0.4,0.1,1.2\n-0.6,1.4,0.3\n1.2,-0.9,0.5\n0.2,0.7,-1.3\n";
const WORDS: &str = "sky,grass\nclear,dry\ncloudy,wet\ncloudy,dry\nclear,dry\n";
const STEPS: [&str; 6] = ["--budget", "4steps", "--samples", "20", "--rounds", "0"];

/// Runs a table beside a good one: it must be refused before anything is written.
fn refuse_table(folder: &Folder, name: &str, content: impl AsRef<[u8]>, more: &[&str], words: &[&str]) {
    let (good, bad, out) = (folder.write("good.csv", GOOD), folder.write(name, content), folder.name("out"));
    let words = [&[name], words].concat();
    let run = [&["bn", "run", &good, &bad, "--out", &out], &STEPS[..], more].concat();
    refuse(&run, 3, &words);
    refuse(&[&["bn", "check", &good, &bad], more].concat(), 3, &words);
    assert!(!folder.path("out").exists(), "{name} left something behind");
}

#[test]
fn tables_that_cannot_be_used() {
    let folder = Folder::new();
    let wide: Vec<String> = (0..65).map(|k| format!("V{k}")).collect();
    let wide = format!("{}\n{}\n", wide.join(","), vec!["1"; 65].join(","));
    let cases: [(&str, &str, &[&str]); 13] = [
        ("empty.csv", "", &["an empty file"]),
        ("header.csv", "A,B,C\n", &["row"]),
        ("few.csv", "A,B\n1,2\n", &["column \"C\"", "every site needs all of them"]),
        ("many.csv", "A,B,C,D\n1,2,3,4\n", &["column \"D\"", "no others"]),
        ("twice.csv", "A,B,A\n1,2,3\n", &["line 1", "\"A\" twice"]),
        ("ragged.csv", "A,B,C\n1,2,3\n4,5\n", &["line 3"]),
        ("text.csv", "A,B,C\n1,2,3\n4,high,6\n", &["line 3", "column \"B\"", "a number", "high"]),
        ("missing.csv", "A,B,C\n1,2,3\n4,NA,6\n", &["line 3", "\"B\"", "a missing one", "--complete-cases"]),
        ("infinite.csv", "A,B,C\n1,2,3\n4,inf,6\n", &["line 3", "a finite number"]),
        ("numbers.csv", "1,2,3\n4,5,6\n", &["line 1", "the names of the columns"]),
        ("comma.csv", "A;B;C\n1,5;2;3\n", &["line 2", "decimal points"]),
        ("semicolons.csv", "A B C\n1 2 3\n", &["line 1", "separate the columns"]),
        ("huge.csv", "A,B,C\n1e200,2,3\n-1e200,5,6\n1,2,2\n", &["column \"A\"", "squares"]),
    ];
    for (name, content, words) in cases {
        refuse_table(&folder, name, content, &[], words);
    }
    refuse_table(&folder, "binary.csv", b"\x7fELF\x02\x01\x01\0\0\0", &[], &[]);
    let all_missing = "A,B,C\n1,,3\n4,NA,6\n";
    refuse_table(
        &folder,
        "all.csv",
        all_missing,
        &["--complete-cases"],
        &["\"B\"", "without missing values"],
    );
    refuse_table(
        &folder,
        "still.csv",
        "A,B,C\n1,2,3\n4,2,5\n",
        &["--standardise"],
        &["\"B\"", "2 in all rows"],
    );

    let out = folder.name("out");
    let wide = folder.write("wide.csv", wide);
    refuse(&["bn", "run", &wide, "--out", &out], 3, &["wide.csv", "1 to 64 columns", "65"]);
    let missing = folder.name("nowhere.csv");
    refuse(&["bn", "run", &missing, "--out", &out], 3, &["nowhere.csv", "check the path"]);
    refuse(&["bn", "run", &folder.name(""), "--out", &out], 3, &["found a folder"]);
    assert!(!folder.path("out").exists());
}

#[test]
fn the_same_site_twice_is_refused_by_path_and_by_rows() {
    let folder = Folder::new();
    let (good, out) = (folder.write("good.csv", GOOD), folder.name("out"));
    let go = |again: &str, words: &[&str]| {
        refuse(&["bn", "run", &good, again, "--out", &out], 3, words);
        refuse(&["bn", "score", &good, again, "--dag", "000000000"], 3, words);
        assert!(!folder.path("out").exists());
    };
    go(&good, &["good.csv", "the same site twice", "the same file", "count twice"]);
    std::fs::create_dir(folder.path("sub")).unwrap();
    go(&folder.name("sub/../good.csv"), &["the same site twice", "the same file"]);
    // The same rows in another order of columns.
    let turned: String =
        GOOD.lines().map(|line| line.split(',').rev().collect::<Vec<_>>().join(",") + "\n").collect();
    let turned = folder.write("turned.csv", turned);
    go(&turned, &["turned.csv", "the same site twice", "the same rows as", "good.csv"]);
    // Equal names of different files are told apart by their folders.
    let other = folder.write("sub/good.csv", OTHER);
    succeed(&[&["bn", "run", &good, &other, "--out", &out, "--quiet"], &STEPS[..]].concat());
    let report = folder.json("out/report.json");
    let names = report["plan"]["clients"].as_array().unwrap();
    assert!(names[1] == "sub/good" && names[0].as_str().unwrap().ends_with("/good"), "{names:?}");
}

#[test]
fn small_tables_are_taken_with_a_warning() {
    let folder = Folder::new();
    let one = folder.write("one.csv", "A,B\n1,2\n");
    let out = folder.name("one");
    let said = succeed(&[&["bn", "run", &one, "--exact", "--out", &out], &STEPS[..]].concat());
    assert!(said.out.contains("one: one row only"), "{}", said.out);
    let single = folder.write("single.csv", "A\n1\n2\n4\n");
    let out = folder.name("single");
    let said = succeed(&[&["bn", "run", &single, "--exact", "--out", &out], &STEPS[..]].concat());
    assert!(said.out.contains("one column only") && said.out.contains("no edges"), "{}", said.out);
    assert_eq!(folder.csv("single/graphs.csv").texts("graph"), ["0"]);
    assert!(folder.csv("single/edges.csv").rows.is_empty());
    // Incomplete rows are left out and counted, and do not travel into the folder.
    let holes = folder.write("holes.csv", GOOD.to_string() + "1,,2\n");
    let out = folder.name("holes");
    let options = ["--complete-cases", "--out", &out];
    let said = succeed(&[&["bn", "run", &holes], &options[..], &STEPS].concat());
    assert!(said.out.contains("1 of 6 rows have missing values"), "{}", said.out);
    assert!(said.out.contains("5 rows, 1 incomplete left out"), "{}", said.out);
    assert_eq!(folder.read("holes/clients/0/data.csv"), GOOD);
}

#[test]
fn options_that_make_no_sense() {
    let folder = Folder::new();
    let (good, out) = (folder.write("good.csv", GOOD), folder.name("out"));
    let words = folder.write("words.csv", WORDS);
    let cases: Vec<(&str, Vec<&str>, &[&str])> = vec![
        (&good, vec!["--ess", "2"], &["--ess", "--score bdeu", "--score bge"]),
        (&words, vec!["--score", "bdeu", "--alpha-mu", "1"], &["--alpha-mu", "--score bge"]),
        (&words, vec!["--score", "k2", "--ess", "1"], &["--ess", "--score k2"]),
        (&good, vec!["--score", "bic", "--nu", "mean"], &["--nu", "--score bic"]),
        (&good, vec!["--score", "best"], &["'best' for '--score"]),
        (&good, vec!["--nu", "1"], &["'1' for '--nu"]),
        (&good, vec!["--combine", "sum"], &["'sum' for '--combine"]),
        (&good, vec!["--center", "site"], &["--center site", "--combine pooled"]),
        (&words, vec!["--score", "bdeu", "--standardise"], &["--standardise", "columns of numbers"]),
        (&good, vec!["--prior", "edges:1"], &["--prior", "`edges:1`"]),
        (&good, vec!["--prior", "flat"], &["--prior", "uniform, fair, or edges:Q"]),
        (&good, vec!["--levels", "A=1,2"], &["levels of \"A\"", "a score for numbers"]),
        (&words, vec!["--score", "bdeu", "--levels", "sky"], &["--levels", "NAME=a,b,c"]),
        (&words, vec!["--score", "bdeu", "--levels", "sea=calm"], &["levels of \"sea\"", "no such column"]),
        (&good, vec!["--alpha-w", "1"], &["alpha_w"]),
        (&good, vec!["--alpha-mu", "-1"], &["alpha_mu"]),
        (&words, vec!["--score", "bdeu", "--ess", "0"], &["equivalent_sample_size"]),
        (&good, vec!["--client-loss", "best"], &["'best' for '--client-loss"]),
        (&good, vec!["--server-loss", "trajectory"], &["'trajectory' for '--server-loss"]),
    ];
    for (file, options, words) in cases {
        let arguments = [&["bn", "run", file, "--out", &out], &options[..], &STEPS].concat();
        let said = run(&arguments);
        assert!([2, 3].contains(&said.code), "{options:?}: {}{}", said.out, said.err);
        words.iter().for_each(|word| assert!(said.err.contains(word), "{options:?} {word}: {}", said.err));
        assert!(!folder.path("out").exists(), "{options:?} left something behind");
    }
    refuse(&["bn", "run", "--out", &out], 2, &["CSV"]);
    refuse(&["plan", "bn", "--sites", "2", "--out", &out], 2, &["--columns"]);
    refuse(&["bn", "score", &good, "--dag", "0100"], 2, &["--dag", "9 digits", "4 digits"]);
    refuse(&["bn", "score", &good, "--dag", "010001100"], 3, &["graph", "cycle"]);
    refuse(&["bn", "simulate", "--nodes", "65", "--out", &out], 2, &["nodes", "1 to 64"]);
    refuse(&["bn", "simulate", "--nodes", "3", "--rows", "0", "--out", &out], 2, &["--rows"]);
    let shifted = ["bn", "simulate", "--nodes", "3", "--levels", "2", "--shift", "1", "--out", &out];
    refuse(&shifted, 2, &["shifted means"]);
    assert!(!folder.path("out").exists());
    // More variables than the exact engine takes.
    let many: Vec<String> = (0..21).map(|k| format!("V{k}")).collect();
    let row = |k: i32| (0..21).map(|j| ((j * 7 + k * 3) % 11).to_string()).collect::<Vec<_>>().join(",");
    let many = folder.write("many.csv", format!("{}\n{}\n{}\n", many.join(","), row(1), row(2)));
    refuse(&["bn", "run", &many, "--out", &out, "--exact"], 2, &["--exact", "at most 20", "21 variables"]);
    assert!(!folder.path("out").exists());
}

#[test]
fn knowledge_that_contradicts_itself() {
    let folder = Folder::new();
    let (good, out) = (folder.write("good.csv", GOOD), folder.name("out"));
    let cases: [(&str, &[&str]); 6] = [
        ("required = [[\"A\", \"B\"], [\"B\", \"C\"], [\"C\", \"A\"]]", &["required edge C → A", "a cycle"]),
        ("required = [[\"A\", \"B\"]]\nforbidden = [[\"A\", \"B\"]]", &["A → B", "forbidden"]),
        ("required = [[\"B\", \"A\"]]\ntiers = [[\"A\"], [\"B\"]]", &["B → A", "tiers"]),
        ("required = [[\"A\", \"D\"]]", &["a variable among A, B, C", "\"D\""]),
        (
            "required = [[\"A\", \"C\"], [\"B\", \"C\"]]\nmax_parents = 1",
            &["max_parents 1", "2 required parents"],
        ),
        ("requires = []", &["knowledge.toml", "line 1"]),
    ];
    for (text, words) in cases {
        let file = folder.write("knowledge.toml", text);
        let words = [&["knowledge.toml"], words].concat();
        refuse(&["bn", "run", &good, "--out", &out, "--knowledge", &file], 3, &words);
        assert!(!folder.path("out").exists(), "{text}");
    }
}

#[test]
fn sites_and_files_of_other_plans() {
    let folder = Folder::new();
    let (words, out) = (folder.write("words.csv", WORDS), folder.name("out"));
    let schema = folder.write(
        "schema.toml",
        "[[columns]]\nname = \"sky\"\nlevels = [\"clear\", \"cloudy\"]\n[[columns]]\nname = \"grass\"\n\
         levels = [\"dry\", \"wet\"]\n",
    );
    let plan = |name: &str, more: &[&str]| {
        let path = folder.name(name);
        let options = ["--columns", &schema, "--sites", "2", "--score", "bdeu", "--out", &path];
        succeed(&[&["plan", "bn"], &options[..], more].concat());
        path
    };
    let (product, ess) = (plan("product.toml", &[]), plan("ess.toml", &["--ess", "3"]));
    let (pooled, other_pooled) = (
        plan("pooled.toml", &["--combine", "pooled"]),
        plan("other.toml", &["--combine", "pooled", "--ess", "3"]),
    );
    // Another plan, or anybody's file, is not overwritten; the same plan again is no harm.
    plan("product.toml", &[]);
    let again = ["plan", "bn", "--columns", &schema, "--sites", "3", "--score", "bdeu", "--out", &product];
    refuse(&again, 3, &["product.toml", "another file"]);

    // A level that the plan does not know.
    let snow = folder.write("snow.csv", "sky,grass\nclear,dry\nsnow,wet\n");
    let sent = folder.name("snow.out");
    for plan in [&product, &pooled] {
        refuse(
            &["train", plan, "--data", &snow, "--out", &sent],
            3,
            &["snow.csv", "line 3", "\"snow\"", "clear"],
        );
    }
    let run = ["bn", "run", &snow, "--config", &product, "--out", &out];
    refuse(&run, 3, &["snow.csv", "line 3", "add the level to the schema"]);
    assert!(!folder.path("snow.out").exists() && !folder.path("out").exists());

    let train = |plan: &str, name: &str| {
        let path = folder.name(name);
        let budget: &[&str] = if name.ends_with("json") { &[] } else { &["--budget", "4steps"] };
        succeed(&[&["train", plan, "--data", &words, "--out", &path], budget].concat());
        path
    };
    let (policy, statistics) = (train(&product, "a.safetensors"), train(&pooled, "b.json"));
    let (other_policy, other_statistics) = (train(&ess, "c.safetensors"), train(&other_pooled, "d.json"));
    let aggregate = |plan: &str, files: &[&str], words: &[&str]| {
        refuse(&[&["aggregate", plan, "--out", &out], files].concat(), 3, words);
        assert!(!folder.path("out").exists(), "{files:?} left something behind");
    };
    aggregate(&product, &[&policy, &other_policy], &["c.safetensors", "a client of plan"]);
    aggregate(&pooled, &[&statistics, &other_statistics], &["d.json", "statistics of plan"]);
    aggregate(&product, &[&policy, &statistics], &["b.json", "a policy", "a statistics file", "pooled plan"]);
    aggregate(&pooled, &[&statistics, &policy], &["a.safetensors", "a statistics file", "such as a policy"]);
    aggregate(&pooled, &[&statistics, &statistics], &["b.json", "b for the second time", "count twice"]);
    aggregate(&product, &[&policy, &policy], &["a.safetensors", "a for the second time"]);
    // The same rows under another name.
    let renamed =
        folder.write("e.json", folder.read("b.json").replace("\"client\": \"b\"", "\"client\": \"e\""));
    aggregate(&pooled, &[&statistics, &renamed], &["e.json", "the statistics of b"]);
    // Damage.
    let cut = folder.read("b.json");
    let cut = folder.write("cut.json", &cut[..cut.len() / 2]);
    aggregate(&pooled, &[&cut], &["cut.json", "statistics file"]);
    let none = folder.write("none.json", folder.read("b.json").replace("1,", "0,"));
    aggregate(&pooled, &[&none], &["none.json"]);
    aggregate(&pooled, &[&folder.name("nothing.json")], &["nothing.json"]);
    let weights = ["aggregate", &pooled, &statistics, "--weights", "2", "--out", &out];
    refuse(&weights, 2, &["--weights", "add up"]);
    let rounds = ["train", &pooled, "--data", &words, "--out", &sent, "--budget", "4steps"];
    refuse(&rounds, 2, &["--budget", "send statistics"]);
    // Plans of other objects.
    let phylo = folder.write("four.fasta", ">a\nACGT\n>b\nACGA\n>c\nACCA\n>d\nTCCA\n");
    refuse(&["phylo", "run", &phylo, "--config", &product, "--out", &out], 3, &["a plan for trees", "[bn]"]);
    let trees = folder.name("trees");
    succeed(&["plan", "phylo", &phylo, "--clients", "2", "--out", &trees]);
    let trees = folder.name("trees/plan.toml");
    let networks = ["bn", "run", &words, "--score", "bdeu", "--config", &trees, "--out", &out];
    refuse(&networks, 3, &["plan.toml", "a plan for network structures", "[phylo]"]);
    assert!(!folder.path("out").exists());
}

#[test]
fn another_run_in_the_folder_is_left_alone() {
    let folder = Folder::new();
    let (good, other, out) =
        (folder.write("good.csv", GOOD), folder.write("other.csv", OTHER), folder.name("out"));
    let go = |more: &[&str], code: i32, words: &[&str]| {
        let arguments = [&["bn", "run", "--out", &out, "--quiet", &good], &STEPS[..], more].concat();
        refuse(&arguments, code, words)
    };
    go(&[&other], 0, &[]);
    let before = folder.read("out/report.json");
    for more in [&[][..], &[&other, "--combine", "pooled"], &[&other, "--alpha-mu", "2"]] {
        go(more, 3, &["plan.toml", "another run"]);
    }
    folder.write("other.csv", OTHER.replace("0.4", "0.41"));
    go(&[&other], 3, &["data.csv", "another run"]);
    assert_eq!(folder.read("out/report.json"), before, "nothing was lost");
}

#[test]
fn help_is_there_for_every_command() {
    for command in
        [&["bn", "run"][..], &["bn", "score"], &["bn", "check"], &["bn", "simulate"], &["plan", "bn"]]
    {
        let said = succeed(&[command, &["--help"]].concat());
        assert!(said.out.contains("Usage: ep"), "{command:?}");
    }
    let said = succeed(&["bn", "run", "--help"]);
    for option in [
        "--combine",
        "--center",
        "--score",
        "--alpha-mu",
        "--alpha-w",
        "--nu",
        "--t",
        "--ess",
        "--levels",
        "--standardise",
        "--complete-cases",
        "--prior",
        "--knowledge",
        "--max-parents",
        "--client-loss",
        "--server-loss",
        "--exact",
        "--seed",
        "--budget",
        "--rounds",
    ] {
        assert!(said.out.contains(option), "{option}");
    }
}
