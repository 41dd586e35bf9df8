//! Tables of k-mers with their log-probabilities, as Markov models.

use std::sync::Arc;

use gfn_core::{Error, Result, Warning};

use super::ClientTable;
use super::csv_file::CsvFile;
use crate::alphabet::Alphabet;
use crate::environment::{Sequence, Sequences};
use crate::reward::{KmerModel, MAX_KMERS, index_of, n_kmers};

/// Stands for every k-mer that has no row of its own.
const OTHERS: &str = "*";
/// How far sums of probabilities may be from 1 without a warning: rounding to three digits.
const SUM_TOLERANCE: f64 = 0.01;

/// Reads `kmer,log_probability`.
pub fn read(file: &CsvFile, alphabet: &Alphabet, env: &Sequences) -> Result<ClientTable> {
    let (columns, _) = file.columns(&["kmer", "log_probability"], &[])?;
    let (name, value) = (columns[0], columns[1]);
    let is_default = |cell: &str| cell == OTHERS && alphabet.token('*').is_none();
    let Some(first) = file.rows.iter().find(|row| !is_default(row.cell(name))) else {
        let expected = "at least one k-mer, which says how long they are";
        return Err(Error::input(
            file.whole(),
            expected,
            "none but the default",
            "add one, or leave out the client",
        ));
    };
    let k = first.cell(name).chars().count();
    let v = alphabet.len();
    let refuse = |row, expected: String, found: String, advice: &str| {
        Err(Error::input(file.place_of(row, name), expected, found, advice))
    };
    if k == 0 || k > env.max_length() {
        let expected = format!("a k-mer of 1 to {} letters, the length of the sequences", env.max_length());
        return refuse(first, expected, format!("{k} letters"), "use other k-mers");
    }
    let Some(n) = n_kmers(v, k) else {
        let expected = format!("k-mers of which there are at most {MAX_KMERS}");
        return refuse(first, expected, format!("k = {k} over {v} letters"), "use shorter k-mers");
    };
    let mut entries: Vec<Option<(f64, usize)>> = vec![None; n];
    let mut default: Option<(f64, usize)> = None;
    for row in &file.rows {
        let cell = row.cell(name);
        let entry = if is_default(cell) {
            &mut default
        } else {
            let kmer = alphabet.read(cell).map_err(|e| {
                Error::input(
                    file.place_of(row, name),
                    e.expected(),
                    e.found(),
                    "correct the k-mer (case counts)",
                )
            })?;
            if kmer.len() != k {
                let found = format!("{cell:?} of {} letters", kmer.len());
                return refuse(
                    row,
                    format!("{k} letters, as in line {}", first.line),
                    found,
                    "correct the k-mer",
                );
            }
            &mut entries[index_of(v, kmer.tokens())]
        };
        if let Some((_, line)) = entry {
            return Err(file.twice(row, name, "k-mer", *line));
        }
        let number = file.number(row, value)?;
        if number > 0.0 {
            return Err(Error::input(
                file.place_of(row, value),
                "the natural logarithm of a probability, at most 0",
                row.cell(value),
                "write logarithms: of a probability of 0.25, -1.3863",
            ));
        }
        *entry = Some((number, row.line));
    }
    let missing = entries.iter().filter(|entry| entry.is_none()).count();
    if let (Some(index), None) = (entries.iter().position(Option::is_none), default) {
        let kmer: Vec<u8> = (0..k).rev().map(|place| (index / v.pow(place as u32) % v) as u8).collect();
        return Err(Error::input(
            file.whole(),
            format!("all {n} k-mers of {k} letters, or a row with the k-mer {OTHERS} for all others"),
            format!("{missing} missing, such as {}", alphabet.write(&Sequence::new(kmer))),
            "add what is missing",
        ));
    }
    let log_weights: Vec<f64> =
        entries.iter().filter_map(|e| e.or(default)).map(|(value, _)| value).collect();
    let others = if missing > 0 { format!(", {missing} by default") } else { String::new() };
    Ok(ClientTable {
        reward: Arc::new(KmerModel::new(v, k, &log_weights)?),
        description: format!("Markov model, {n} {k}-mers{others}"),
        warnings: sum_warning(&log_weights, v).into_iter().collect(),
    })
}

/// Probabilities of k-mers sum to 1, or those of the last letter do for each beginning.
fn sum_warning(log_weights: &[f64], alphabet_size: usize) -> Option<Warning> {
    let sum = |part: &[f64]| part.iter().map(|w| w.exp()).sum::<f64>();
    let is_one = |sum: f64| (sum - 1.0).abs() <= SUM_TOLERANCE;
    if is_one(sum(log_weights)) || log_weights.chunks(alphabet_size).all(|part| is_one(sum(part))) {
        return None;
    }
    Some(Warning::new(
        format!("the probabilities of all k-mers sum to {:.4}, not to 1", sum(log_weights)),
        "they are divided by their sum; check that these are natural logarithms",
    ))
}
