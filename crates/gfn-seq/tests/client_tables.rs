//! Clients' files: what each kind of table means, and where and why a bad one is refused.

use std::path::PathBuf;

use gfn_core::ErrorKind;
use gfn_seq::data::{ClientTable, read_client_table};
use gfn_seq::{Alphabet, Sequences};

/// DNA of up to three letters.
struct Files {
    folder: tempfile::TempDir,
    dna: Alphabet,
    env: Sequences,
}

impl Files {
    fn new() -> Files {
        Files {
            folder: tempfile::tempdir().unwrap(),
            dna: Alphabet::named("dna").unwrap(),
            env: Sequences::new(4, 3, false).unwrap(),
        }
    }

    fn write(&self, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.folder.path().join("table.csv");
        std::fs::write(&path, content).unwrap();
        path
    }

    fn read(&self, content: &str) -> ClientTable {
        read_client_table(&self.write(content), &self.dna, &self.env).unwrap_or_else(|e| panic!("{e}"))
    }

    fn log_rewards(&self, content: &str, texts: &[&str]) -> Vec<f64> {
        let reward = self.read(content).reward;
        texts.iter().map(|text| reward.log_reward_of(&self.dna.read(text).unwrap())).collect()
    }

    fn refuse(&self, content: impl AsRef<[u8]>, words: &[&str]) {
        let error = read_client_table(&self.write(content), &self.dna, &self.env).err().expect("refused");
        let message = error.to_string();
        for word in [&["table.csv"], words].concat() {
            assert!(message.contains(word), "no `{word}` in: {message}");
        }
        assert_eq!(error.kind(), ErrorKind::Input, "{message}");
    }
}

const WIDE: &str = "position,A,C,G,T\n1,0.5,1,0,0\n2,0,0,-2,0\n3,0,0,0,4\n";

/// Every pair but one, each with the same number.
fn pairs(without: &str, more: &str) -> String {
    let mut text = String::from("kmer,log_probability\n");
    for first in "ACGT".chars() {
        for second in "ACGT".chars() {
            let pair = format!("{first}{second}");
            if pair != without {
                text += &format!("{pair},-2.7725887\n");
            }
        }
    }
    text + more
}

#[test]
fn additive_tables_in_both_forms() {
    let files = Files::new();
    let texts = ["", "A", "CG", "AGT"];
    let expected = [0.0, 0.5, -1.0, 2.5];
    assert_eq!(files.log_rewards(WIDE, &texts), expected);
    // Columns and rows in any order, another separator, blanks and blank lines, a byte order mark.
    let turned = "\u{feff}T ; position;G;A;C\r\n\r\n0;2; -2 ;0;0\r\n4;3;0;0;0\r\n\r\n0;1;0;0.5;1\r\n";
    assert_eq!(files.log_rewards(turned, &texts), expected);
    let mut long = String::from("letter,position,value\n");
    for (position, row) in
        [[0.5, 1.0, 0.0, 0.0], [0.0, 0.0, -2.0, 0.0], [0.0, 0.0, 0.0, 4.0]].iter().enumerate()
    {
        for (letter, value) in "ACGT".chars().zip(row) {
            long += &format!("{letter},{},{value}\n", position + 1);
        }
    }
    assert_eq!(files.log_rewards(&long, &texts), expected);
    assert_eq!(files.read(WIDE).description, "3 positions by 4 letters");
}

#[test]
fn kmers_with_and_without_a_default() {
    let files = Files::new();
    let found = files.log_rewards(&pairs("", ""), &["", "A", "CG", "AGT"]);
    for (l, log_reward) in found.iter().enumerate() {
        assert!((log_reward + l as f64 * 4f64.ln()).abs() < 1e-6, "{found:?}");
    }
    let table = files.read(&pairs("", ""));
    assert!(
        table.warnings.is_empty() && table.description == "Markov model, 16 2-mers",
        "{}",
        table.description
    );
    // The default comes first or last; it is the weight of what is missing.
    let found = files.log_rewards(&pairs("CA", "*,-2.0794415\n"), &["CA"]);
    assert!((found[0] - (2f64 / 17.0).ln()).abs() < 1e-6, "{found:?}");
    let all_alike = files.log_rewards("kmer,log_probability\n*,-3\nAA,-3\n", &["CAT"]);
    assert!((all_alike[0] + 3.0 * 4f64.ln()).abs() < 1e-12);
    // Probabilities of the last letter given the one before.
    let mut given = String::from("kmer,log_probability\n");
    for first in "ACGT".chars() {
        for (second, p) in "ACGT".chars().zip([0.1, 0.2, 0.3, 0.4f64]) {
            given += &format!("{first}{second},{}\n", p.ln());
        }
    }
    assert!(files.read(&given).warnings.is_empty());
    assert!((files.log_rewards(&given, &["GAT"])[0] - (0.25 * 0.1 * 0.4f64).ln()).abs() < 1e-12);
    let counted = files.read("kmer,log_probability\nA,-1\nC,-1\nG,-1\nT,-2\n");
    assert!(counted.warnings[0].to_string().contains("sum to 1.2390, not to 1"), "{}", counted.warnings[0]);
}

#[test]
fn motifs_once_and_each() {
    let files = Files::new();
    let text = "motif,bonus\nAN,1\nG,10\n";
    assert_eq!(files.log_rewards(text, &["", "A", "AAG", "GG"]), [0.0, 0.0, 11.0, 10.0]);
    let text = "count,motif,bonus\neach,AN,1\n,G,10\nonce,Y,100\n";
    assert_eq!(files.log_rewards(text, &["AAA", "AGG", "CTC"]), [2.0, 11.0, 100.0]);
    assert_eq!(files.read(text).description, "3 motifs");
}

#[test]
fn files_that_are_no_tables() {
    let files = Files::new();
    files.refuse("", &["an empty file"]);
    files.refuse("\n\n", &["an empty file"]);
    files.refuse(b"motif,bonus\nA\xff,1\n", &["line 2", "UTF-8"]);
    files.refuse("motif,bonus\n", &["a header only"]);
    files.refuse("name,score\nA,1\n", &["line 1", "position,letter,value", "found name,score"]);
    files.refuse("motif,bonus,motif\nA,1,C\n", &["line 1", "\"motif\" twice"]);
    files.refuse("motif,bonus\n\nA\n", &["line 3", "2 cells", "found 1"]);
    files.refuse("motif,points\nA,1\n", &["line 1", "column \"bonus\"", "none of this name"]);
    files.refuse("kmer,log_probability,n\nA,-1,2\n", &["column \"n\"", "one more"]);
    files.refuse("position,A,C,G\n1,0,0,0\n", &["column \"T\"", "none of this name"]);
    let missing = files.folder.path().join("nowhere.csv");
    let error = read_client_table(&missing, &files.dna, &files.env).err().unwrap();
    assert!(error.to_string().contains("nowhere.csv") && error.kind() == ErrorKind::Input, "{error}");
}

#[test]
fn positions_that_are_wrong() {
    let files = Files::new();
    files.refuse(WIDE.replace("3,", "4,"), &["line 4", "\"position\"", "1 to 3", "\"4\""]);
    files.refuse(WIDE.replace("3,", "0,"), &["line 4", "1 to 3", "\"0\""]);
    files.refuse(WIDE.replace("3,", "x,"), &["line 4", "\"x\""]);
    files.refuse(WIDE.replace("3,", "1,"), &["line 4", "each position once", "after line 2"]);
    files.refuse(WIDE.replace("3,0,0,0,4\n", ""), &["none for position 3"]);
    files.refuse(WIDE.replace("0.5", "inf"), &["line 2", "column \"A\"", "a finite number", "\"inf\""]);
    files.refuse(WIDE.replace("0.5", "0,5"), &["line 2", "5 cells"]);
    files.refuse(WIDE.replace("0.5", ""), &["line 2", "column \"A\"", "a finite number"]);
    files.refuse("position,letter,value\n1,J,1\n", &["line 2", "\"letter\"", "letters ACGT", "\"J\""]);
    files.refuse("position,letter,value\n1,AC,1\n", &["line 2", "\"AC\""]);
    files.refuse("position,letter,value\n1,A,1\n1,A,2\n", &["line 3", "again, after line 2"]);
    files.refuse("position,letter,value\n1,A,1\n", &["none for position 1, letter 'C'"]);
    files.refuse("position,letter,value\n1,A,NaN\n", &["line 2", "\"NaN\""]);
}

#[test]
fn kmers_that_are_wrong() {
    let files = Files::new();
    files.refuse(pairs("CA", ""), &["all 16 k-mers", "1 missing, such as CA"]);
    files.refuse(pairs("", "CA,-1\n"), &["line 18", "each k-mer once", "after line 6"]);
    files.refuse(pairs("", "*,-1\n*,-1\n"), &["line 19", "after line 18"]);
    files.refuse(pairs("", "CAT,-1\n"), &["line 18", "2 letters, as in line 2", "of 3 letters"]);
    files.refuse(pairs("", "CU,-1\n"), &["line 18", "letters ACGT", "'U'"]);
    files.refuse(pairs("CA", "CA,0.25\n"), &["line 17", "at most 0", "0.25"]);
    files.refuse(pairs("CA", "CA,-inf\n"), &["line 17", "a finite number"]);
    files.refuse("kmer,log_probability\nACGT,-1\n", &["line 2", "1 to 3 letters", "4 letters"]);
    files.refuse("kmer,log_probability\n*,-1\n", &["at least one k-mer", "none but the default"]);
}

#[test]
fn motifs_that_are_wrong() {
    let files = Files::new();
    files.refuse("motif,bonus\nACGT,1\n", &["line 2", "1 to 3 letters", "of 4 letters"]);
    files.refuse("motif,bonus\nAJ,1\n", &["line 2", "RYSWKMBDHVN", "'J' in \"AJ\""]);
    files.refuse("motif,bonus\nA,1\nC,2\nA,3\n", &["line 4", "each motif once", "after line 2"]);
    files.refuse("motif,bonus\nA,high\n", &["line 2", "\"bonus\"", "\"high\""]);
    files.refuse("motif,bonus,count\nA,1,often\n", &["line 2", "\"count\"", "`once`", "\"often\""]);
    files.refuse("motif,bonus\n,1\n", &["line 2", "of 0 letters"]);
    let many: String = (0..65).map(|i| format!("{},1\n", ["A", "C", "G", "T"][i % 4])).collect();
    files.refuse(format!("motif,bonus\n{many}"), &["each motif once"]);
}

#[test]
fn more_motifs_that_are_counted_once_than_bits_are_refused() {
    let files = Files::new();
    let mut text = String::from("motif,bonus\n");
    for a in "ACGT".chars() {
        for b in "ACGT".chars() {
            "ACGT".chars().for_each(|c| text += &format!("{a}{b}{c},1\n"));
        }
    }
    assert_eq!(files.read(&text).description, "64 motifs");
    files.refuse(format!("{text}AC,1\n"), &["line 66", "at most 64"]);
}
