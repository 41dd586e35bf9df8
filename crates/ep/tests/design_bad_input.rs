//! What is wrong with a SPEC or a client's file is said where it is, in one line, and nothing is written.

mod support;

use support::{Folder, refuse, succeed};

const SPEC: &str = "size = 3\n[[clients]]\ndata = \"a.csv\"\n[[clients]]\ndata = \"b.csv\"\n";
const VALUES: &str = "item,value\nx,1\ny,2\n";

fn problem() -> Folder {
    let folder = Folder::new();
    folder.write("spec.toml", SPEC);
    folder.write("a.csv", VALUES);
    folder.write("b.csv", VALUES);
    folder
}

/// `ep multiset run` of this SPEC fails with this code and these words.
fn refuse_run(folder: &Folder, code: i32, more: &[&str], words: &[&str]) {
    let (spec, out) = (folder.name("spec.toml"), folder.name("run"));
    let said = refuse(&[&["multiset", "run", &spec, "--out", &out], more].concat(), code, words);
    assert_eq!(said.err.trim_end().lines().count(), 1, "{}", said.err);
    assert!(!folder.path("run").exists(), "{}", said.err);
}

#[test]
fn specs_that_make_no_sense() {
    for (from, to, words) in [
        ("size = 3", "size = 0", &["spec.toml, size: expected at least 1, found 0"][..]),
        ("size = 3", "size = -1", &["spec.toml, line 1, column 8", "a SPEC of `ep multiset run`", "-1"]),
        ("size = 3", "size = \"3\"", &["spec.toml, line 1, column 8", "string"]),
        (
            "size = 3",
            "size = 3\nsizes = 4",
            &["line 2, column 1", "unknown field `sizes`", "correct the SPEC"],
        ),
        ("size = 3\n", "", &["missing field `size`"]),
        ("size = 3", "size = 999999999", &["at most 1000000 features"]),
        ("size = 3", "size = = 3", &["line 1", "correct the SPEC"]),
        (
            "size = 3",
            "size = 3\ncapacity = { x = 1, y = 1 }",
            &["size", "at most 2, which is what the capacities allow"],
        ),
        ("size = 3", "size = 3\ncapacity = { z = 1 }", &["capacity", "x, y", "\"z\""]),
        ("size = 3", "size = 3\ncapacity = { x = -1 }", &["line 2", "-1"]),
        ("size = 3", "size = 3\nitems = [\"x\", \"y\", \"x\"]", &["item 3", "\"x\", as of item 1"]),
        ("size = 3", "size = 3\nitems = []", &["kinds: expected at least 1, found 0"]),
        ("size = 3", "size = 3\nitems = [\"x\"]", &["a.csv, line 3, column \"item\"", "\"y\""]),
        ("size = 3", "size = 3\nitems = [\"x\", \"y\", \"z\"]", &["a.csv", "none of \"z\""]),
        ("data = \"b.csv\"", "data = \"a.csv\"", &["client 2", "\"a\" for the second time"]),
        ("data = \"b.csv\"", "", &["client 2", "a name, or a file that gives one"]),
        ("data = \"b.csv\"", "name = \"b\"", &["client 2", "`data` for every client"]),
        ("data = \"b.csv\"", "data = \"c.csv\"", &["c.csv: expected to read it"]),
        ("data = \"b.csv\"", "name = \"b\"\ndata = \".\"", &["expected a file, found a folder"]),
        (
            "data = \"b.csv\"",
            "data = \"b.csv\"\nweight = -1",
            &["spec.toml, weight of the clients", "at least 0, found -1"],
        ),
        ("data = \"b.csv\"", "data = \"b.csv\"\nweight = inf", &["numbers of at least 0, found inf"]),
        ("data = \"b.csv\"", "data = \"b.csv\"\nvalue = 1", &["line 6", "unknown field `value`"]),
        (SPEC, "size = 3\nclients = []", &["spec.toml, clients: expected at least one client, found none"]),
        (
            SPEC,
            "size = 3\nitems = [\"x\"]\n[[clients]]\nname = \"a\"",
            &["`data`, the file of each client", "ep plan"],
        ),
    ] {
        let folder = problem();
        assert!(SPEC.contains(from));
        folder.write("spec.toml", SPEC.replace(from, to));
        refuse_run(&folder, 3, &[], words);
    }
}

#[test]
fn files_that_are_no_specs() {
    let folder = problem();
    let plan = folder.name("plan.toml");
    succeed(&["plan", "multiset", &folder.name("spec.toml"), "--out", &plan]);
    folder.write("spec.toml", folder.read("plan.toml"));
    refuse_run(&folder, 3, &[], &["this is a plan, for `ep train`"]);
    folder.write("spec.toml", "alphabet = \"dna\"\n");
    refuse_run(&folder, 3, &[], &["line 1, column 1", "this looks like a SPEC of `ep seq run`"]);
    folder.write("spec.toml", VALUES);
    refuse_run(&folder, 3, &[], &["spec.toml, line 1", "a SPEC of `ep multiset run`"]);
    folder.write("spec.toml", [0xff, 0xfe]);
    refuse_run(&folder, 3, &[], &["spec.toml", "plain text in UTF-8"]);
    refuse(&["multiset", "run", &folder.name("none"), "--out", "x"], 3, &["none: expected to read it"]);
    refuse(&["multiset", "run", &folder.name(""), "--out", "x"], 3, &["expected a file, found a folder"]);
}

#[test]
fn files_of_clients_that_make_no_sense() {
    for (text, words) in [
        ("", &["b.csv", "an empty file"][..]),
        ("item,value\n", &["b.csv", "a header only"]),
        ("item,value\nx,1\ny,2\nz,3\n", &["b.csv, line 4, column \"item\"", "x, y", "\"z\""]),
        ("item,value\nx,1\n", &["b.csv", "none of \"y\"", "y,0"]),
        ("item,value\nx,1\ny,2\nx,3\n", &["b.csv, line 4", "\"x\" again, after line 2"]),
        ("item,value\nx,1\ny,two\n", &["b.csv, line 3, column \"value\"", "a number, found \"two\""]),
        ("item,value\nx,1\ny,-inf\n", &["b.csv, line 3, column \"value\"", "a finite number", "capacity 0"]),
    ] {
        let folder = problem();
        folder.write("b.csv", text);
        refuse_run(&folder, 3, &[], words);
    }
}

#[test]
fn options_that_make_no_sense() {
    let folder = problem();
    for (options, words) in [
        (["--weights", "1"], &["--weights: expected one weight for each of the 2 clients, found 1"][..]),
        (["--weights", "1,2,3"], &["one weight for each of the 2 clients, found 3"]),
        (["--weights", "1,-0.5"], &["numbers of at least 0, found -0.5"]),
        (["--weights", "0,0"], &["one positive weight at least"]),
        (["--samples", "0"], &["--samples"]),
    ] {
        refuse_run(&folder, 2, &options, words);
    }
    let spec = "size = 60\nitems = [\"x\", \"y\", \"z\", \"u\", \"v\", \"w\", \"t\"]\n[[clients]]\ndata = \"a.csv\"\n";
    folder.write("spec.toml", spec);
    folder.write("a.csv", "item,value\nx,1\ny,1\nz,1\nu,1\nv,1\nw,1\nt,1\n");
    refuse_run(&folder, 2, &["--exact"], &["--exact: expected at most 2000000 states"]);
}

#[test]
fn plans_of_other_domains() {
    let folder = problem();
    let bn = "version = 2\nseed = 1\nbudget = \"60s\"\nrounds = 0\nclients = [\"a\"]\n[bn]\n[[bn.columns]]\nname = \"p\"\n[[bn.columns]]\nname = \"q\"\n";
    let config = folder.write("bn.toml", bn);
    refuse_run(&folder, 3, &["--config", &config], &["bn.toml", "a plan for multisets", "[bn]"]);
    // A plan's section is checked like a SPEC.
    let multiset = bn.split("[bn]").next().unwrap().to_string();
    for (section, words) in [
        ("[multiset]\nsize = 2\nitems = []\n", &["plan.toml", "kinds"][..]),
        ("[multiset]\nsize = 2\n", &["missing field `items`"]),
        ("[multiset]\nsize = 2\nitems = [{ name = \"x\", capacity = 1 }]\n", &["size", "at most 1"]),
    ] {
        let plan = folder.write("plan.toml", format!("{multiset}{section}"));
        refuse(&["train", &plan, "--data", &folder.name("a.csv"), "--out", &folder.name("a")], 3, words);
    }
    // A client of one plan is none of another.
    let plan = folder.name("one.toml");
    succeed(&["plan", "multiset", &folder.name("spec.toml"), "--out", &plan]);
    let sent = folder.name("a.safetensors");
    succeed(&["train", &plan, "--data", &folder.name("a.csv"), "--out", &sent, "--budget", "2steps"]);
    folder.write("spec.toml", SPEC.replace("size = 3", "size = 3\ncapacity = { x = 2 }"));
    let other = folder.name("two.toml");
    succeed(&["plan", "multiset", &folder.name("spec.toml"), "--out", &other]);
    let words = ["a.safetensors", "a client of plan", "trained by the same plan"];
    refuse(&["aggregate", &other, &sent, "--out", &folder.name("s")], 3, &words);
    refuse(
        &["plan", "multiset", &folder.name("spec.toml"), "--out", &plan],
        3,
        &["one.toml", "another file"],
    );
}
