//! Interrupted runs: by SIGINT, by SIGKILL, by a second process; the same command goes on to the same bytes.
#![cfg(unix)]

mod support;

use std::path::Path;
use std::process::Command;

use support::{Folder, Running, Said, data_set, refuse, run, succeed};

fn arguments<'a>(alignment: &'a str, out: &'a str) -> Vec<&'a str> {
    vec![
        "phylo",
        "run",
        alignment,
        "--out",
        out,
        "--clients",
        "2",
        "--budget",
        "600steps",
        "--samples",
        "300",
        "--threads",
        "2",
        "--exact",
        "--seed",
        "3",
    ]
}

fn signal(process: u32, name: &str) {
    let done = Command::new("sh").args(["-c", &format!("kill -{name} {process}")]).status().unwrap();
    assert!(done.success());
}

/// Starts the run, waits for a file that was not there, and sends a signal.
fn interrupt(arguments: &[&str], file: &Path, name: &str) -> Said {
    assert!(!file.exists(), "{} is there already: the signal could come too early", file.display());
    let mut process = Running::start(arguments);
    assert!(process.wait_for(file), "ended before {}", file.display());
    // It may have ended by itself in the meantime: the signal then has no process.
    if let Some(id) = process.id() {
        signal(id, name);
    }
    process.end()
}

/// Interrupts the run in a folder where a file appears, with this exit code and without another file, which comes later.
/// On a busy machine a signal can come too late: then from the same folder again. (If nine of ten signals came too
/// late, the fifty attempts would fail once in 200 runs.)
fn interrupt_between(
    folder: &Folder,
    arguments: &[&str],
    file: &str,
    later: &str,
    name: &str,
    code: i32,
) -> Said {
    let (at_work, before) = (folder.path("broken"), folder.path("before"));
    copy(&at_work, &before);
    for _ in 0..50 {
        let said = interrupt(arguments, &folder.path(file), name);
        if said.code == code && !folder.path(later).exists() {
            std::fs::remove_dir_all(&before).unwrap();
            return said;
        }
        assert!([code, 0].contains(&said.code), "{}: {}", said.code, said.err);
        std::fs::remove_dir_all(&at_work).unwrap();
        copy(&before, &at_work);
    }
    panic!("no signal came between {file} and {later}");
}

/// Copies a folder; one that is not there leaves nothing.
fn copy(from: &Path, to: &Path) {
    if !from.exists() {
        return;
    }
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let copied = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy(&path, &copied);
        } else {
            std::fs::copy(&path, copied).unwrap();
        }
    }
}

#[test]
fn an_interrupted_run_goes_on_to_the_same_bytes() {
    let folder = Folder::new();
    let alignment = data_set("primates-7x100.fasta");
    let (whole, broken) = (folder.name("whole"), folder.name("broken"));
    succeed(&arguments(&alignment, &whole));

    let again = arguments(&alignment, &broken);
    std::fs::create_dir(&broken).unwrap();
    // In the first training: a clean stop, with the state of training kept.
    let (started, trained) = ("broken/clients/1/data.nex", "broken/clients/1/round-0.safetensors");
    let said = interrupt_between(&folder, &again, started, trained, "INT", 75);
    assert!(said.err.contains("run the same command again"), "{}", said.err);
    assert!(!folder.path("broken/trees.csv").exists());
    assert!(
        folder.files("broken").iter().any(|f| f.ends_with("round-0.checkpoint")),
        "{:?}",
        folder.files("broken")
    );
    let status = succeed(&["status", &broken]);
    assert!(status.out.contains("in training, or interrupted"), "{}", status.out);
    // In the first training again: killed.
    let lock = "broken/clients/1/lock";
    std::fs::remove_file(folder.path(lock)).unwrap();
    interrupt_between(&folder, &again, lock, trained, "KILL", -1);
    // After the first aggregation: in the extra round, or between stages.
    let (aggregated, trained) = ("broken/server/round-0.safetensors", "broken/clients/0/round-1.safetensors");
    interrupt_between(&folder, &again, aggregated, trained, "INT", 75);
    // While files are being written, half of the clients done.
    let aggregated = "broken/server/round-1.safetensors";
    interrupt_between(&folder, &again, trained, aggregated, "KILL", -1);
    // In the last stages.
    interrupt_between(&folder, &again, aggregated, "broken/report.json", "INT", 75);

    succeed(&again);
    for name in ["trees.csv", "splits.csv", "exact.csv", "samples.trees", "consensus.nwk"] {
        assert_eq!(folder.read(&format!("whole/{name}")), folder.read(&format!("broken/{name}")), "{name}");
    }
    // Each attempt counts, unless it was killed before it could say so.
    let processes = folder.json("broken/report.json")["processes"].as_u64().unwrap();
    assert!((5..=6).contains(&processes), "{processes}");
    let names = folder.files("broken");
    assert!(!names.iter().any(|f| f.contains("partial") || f.ends_with("checkpoint")), "{names:?}");
    assert_eq!(names, folder.files("whole"));
}

#[test]
fn two_processes_never_work_in_one_folder() {
    let folder = Folder::new();
    let alignment = data_set("primates-7x100.fasta");
    let out = folder.name("out");
    let mut long = arguments(&alignment, &out);
    long[8] = "1000000steps";
    let mut process = Running::start(&long);
    assert!(process.wait_for(&folder.path("out/clients/1/lock")));
    refuse(&long, 75, &["out", "another `ep`", "wait for it"]);
    refuse(&["train", &out, "--client", "1"], 75, &["another `ep`"]);
    process.kill();
    // A lock dies with its process.
    std::fs::remove_file(folder.path("out/clients/1/lock")).unwrap();
    let said = interrupt(&long, &folder.path("out/clients/1/lock"), "INT");
    assert_eq!(said.code, 75);
    assert!(!said.err.contains("another `ep`"), "{}", said.err);
}

#[test]
fn damage_in_a_run_folder_is_noticed() {
    let folder = Folder::new();
    let alignment = folder.write(
        "small.fasta",
        ">a\nACGTACGTAC\n>b\nACGTACGAAC\n>c\nACCTTCGAAC\n>d\nACCTTCGTAC\n>e\nTCCTTCGTAC\n",
    );
    let out = folder.name("out");
    let command = [
        "phylo",
        "run",
        &alignment,
        "--out",
        &out,
        "--clients",
        "2",
        "--budget",
        "6steps",
        "--samples",
        "50",
    ];
    succeed(&command);
    let results =
        ["trees.csv", "samples.trees", "splits.csv"].map(|name| folder.read(&format!("out/{name}")));
    let same = || {
        for (name, text) in ["trees.csv", "samples.trees", "splits.csv"].iter().zip(&results) {
            assert_eq!(folder.read(&format!("out/{name}")), *text, "{name}");
        }
    };

    // A finished file that was changed or removed is made again, and said to be.
    let file = folder.path("out/clients/0/round-0.safetensors");
    let mut bytes = std::fs::read(&file).unwrap();
    let end = bytes.len() - 3;
    bytes[end] ^= 0x40;
    std::fs::write(&file, bytes).unwrap();
    std::fs::remove_file(folder.path("out/server/round-1.safetensors")).unwrap();
    let said = succeed(&command);
    assert!(said.err.contains("clients/0/round-0.safetensors was removed or changed"), "{}", said.err);
    assert!(said.err.contains("server/round-1.safetensors was removed or changed"), "{}", said.err);
    same();

    // A damaged list of finished stages.
    folder.write("out/manifest.json", "{ \"clients/0");
    refuse(&command, 3, &["manifest.json", "remove the file"]);
    std::fs::remove_file(folder.path("out/manifest.json")).unwrap();
    succeed(&command);
    same();

    // A damaged state of training.
    std::fs::remove_file(folder.path("out/clients/1/round-0.safetensors")).unwrap();
    folder.write("out/clients/1/round-0.checkpoint", [7; 100]);
    refuse(&command, 3, &["clients/1/round-0.checkpoint", "remove this file to start the stage again"]);
    std::fs::remove_file(folder.path("out/clients/1/round-0.checkpoint")).unwrap();
    succeed(&command);
    same();

    // Times are a convenience.
    folder.write("out/times.json", "nonsense");
    succeed(&command);
    same();

    // Another plan, other options, other data: refused, and everything stays.
    let mut other = command;
    other[6] = "3";
    refuse(&other, 3, &["plan.toml", "another run", "--out"]);
    let other_data = folder.write(
        "other.fasta",
        ">a\nACGTACGTAC\n>b\nACGTACGAAC\n>c\nACCTTCGAAC\n>d\nACCTTCGTAC\n>e\nTCCTTCGTAA\n",
    );
    let mut other = command;
    other[2] = &other_data;
    refuse(&other, 3, &["data.nex", "another run"]);
    folder.write("out/plan.toml", "version = 2\nseed = \"x\"\n");
    refuse(&command, 3, &["plan.toml", "line 2"]);
    same();

    // Files of somebody else are not overwritten.
    std::fs::create_dir(folder.path("mine")).unwrap();
    folder.write("mine/trees.csv", "my own\n");
    let mine = folder.name("mine");
    let mut other = command;
    other[4] = &mine;
    refuse(&other, 3, &["mine/trees.csv", "would be overwritten"]);
    assert_eq!(folder.read("mine/trees.csv"), "my own\n");
    assert_eq!(folder.files("mine"), ["trees.csv"]);
    assert_eq!(run(&["status", &mine]).code, 3);
}
