//! What the tests of the binary share: running it, reading what it wrote.

// Every test binary uses its own part of this.
#![allow(dead_code)]

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

/// The command under test.
pub fn ep(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ep"));
    command.args(arguments).stdin(Stdio::null());
    command
}

/// What a command said, and how it ended.
pub struct Said {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Said {
    pub fn of(output: &Output) -> Said {
        let said = Said {
            code: output.status.code().unwrap_or(-1),
            out: String::from_utf8_lossy(&output.stdout).into_owned(),
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
        };
        assert!(!said.err.contains("panicked") && !said.err.contains("RUST_BACKTRACE"), "{}", said.err);
        said
    }
}

/// Runs it to its end.
pub fn run(arguments: &[&str]) -> Said {
    Said::of(&ep(arguments).output().unwrap())
}

/// Runs it, and it must succeed.
pub fn succeed(arguments: &[&str]) -> Said {
    let said = run(arguments);
    assert_eq!(said.code, 0, "{arguments:?}\n{}{}", said.out, said.err);
    said
}

/// Runs it, and it must fail with this code, saying all these words, one line and no more.
pub fn refuse(arguments: &[&str], code: i32, words: &[&str]) -> Said {
    let said = run(arguments);
    assert_eq!(said.code, code, "{arguments:?}\n{}{}", said.out, said.err);
    for word in words {
        assert!(said.err.contains(word), "{arguments:?} does not say `{word}`: {}", said.err);
    }
    said
}

/// A process at work; it does not outlive its test.
pub struct Running(Option<Child>);

impl Running {
    /// Starts it, with its messages kept.
    pub fn start(arguments: &[&str]) -> Running {
        Running(Some(ep(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()))
    }

    fn child(&mut self) -> &mut Child {
        self.0.as_mut().expect("not waited for yet")
    }

    /// Its number, while it lives.
    pub fn id(&mut self) -> Option<u32> {
        let child = self.child();
        child.try_wait().unwrap().is_none().then(|| child.id())
    }

    /// Waits until a file is there while the process lives; whether it came.
    pub fn wait_for(&mut self, path: &Path) -> bool {
        let began = Instant::now();
        while !path.exists() {
            if self.id().is_none() {
                return path.exists();
            }
            assert!(began.elapsed() < Duration::from_secs(120), "{} never came", path.display());
            std::thread::sleep(Duration::from_millis(2));
        }
        true
    }

    /// Kills it, with no chance to say anything.
    pub fn kill(&mut self) {
        self.child().kill().unwrap();
        self.child().wait().unwrap();
    }

    /// Waits for its end.
    pub fn end(mut self) -> Said {
        Said::of(&self.0.take().expect("waited for once").wait_with_output().unwrap())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(child) = &mut self.0 {
            // It may have ended by itself.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// A data set of the repository.
pub fn data_set(name: &str) -> String {
    format!("{}/../../datasets/{name}", env!("CARGO_MANIFEST_DIR"))
}

/// A temporary folder with short ways of writing into it.
pub struct Folder(TempDir);

impl Folder {
    pub fn new() -> Folder {
        Folder(tempfile::tempdir().unwrap())
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub fn name(&self, name: &str) -> String {
        self.path(name).to_string_lossy().into_owned()
    }

    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) -> String {
        std::fs::write(self.path(name), content).unwrap();
        self.name(name)
    }

    pub fn read(&self, name: &str) -> String {
        let path = self.path(name);
        std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
    }

    pub fn json(&self, name: &str) -> Value {
        serde_json::from_str(&self.read(name)).unwrap()
    }

    pub fn csv(&self, name: &str) -> Table {
        Table::parse(&self.read(name))
    }

    /// Names of all files below a folder, sorted.
    pub fn files(&self, name: &str) -> Vec<String> {
        let root = self.path(name);
        let mut found = Vec::new();
        let mut open = vec![root.clone()];
        while let Some(folder) = open.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    open.push(path);
                } else {
                    found.push(path.strip_prefix(&root).unwrap().to_string_lossy().into_owned());
                }
            }
        }
        found.sort();
        found
    }
}

/// A CSV file, by its header.
pub struct Table {
    pub header: Vec<String>,
    pub rows: Vec<Vec<String>>,
}

impl Table {
    pub fn parse(text: &str) -> Table {
        let mut lines = text.lines().map(fields);
        let header = lines.next().unwrap();
        let rows: Vec<Vec<String>> = lines.collect();
        assert!(rows.iter().all(|row| row.len() == header.len()), "rows of unequal length");
        Table { header, rows }
    }

    pub fn texts(&self, column: &str) -> Vec<&str> {
        let index = self.header.iter().position(|h| h == column).unwrap();
        self.rows.iter().map(|row| row[index].as_str()).collect()
    }

    pub fn numbers(&self, column: &str) -> Vec<f64> {
        self.texts(column).iter().map(|text| text.parse().unwrap()).collect()
    }
}

/// Fields of a line of CSV (RFC 4180, no line breaks in fields).
fn fields(line: &str) -> Vec<String> {
    let mut all = vec![String::new()];
    let mut quoted = false;
    let mut letters = line.chars().peekable();
    while let Some(letter) = letters.next() {
        match letter {
            '"' if quoted && letters.peek() == Some(&'"') => {
                letters.next();
                all.last_mut().unwrap().push('"');
            }
            '"' => quoted = !quoted,
            ',' if !quoted => all.push(String::new()),
            other => all.last_mut().unwrap().push(other),
        }
    }
    assert!(!quoted, "an open quote: {line}");
    all
}

pub fn is_decreasing(values: &[f64]) -> bool {
    values.windows(2).all(|pair| pair[0] >= pair[1])
}
