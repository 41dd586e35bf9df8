//! Tables of motifs and their bonuses.

use std::sync::Arc;

use gfn_core::{Error, Result};

use super::ClientTable;
use super::csv_file::CsvFile;
use crate::alphabet::Alphabet;
use crate::environment::Sequences;
use crate::reward::{Counting, MAX_ONCE, Motif, MotifBonus};

/// Reads `motif,bonus` and, if it is there, `count`.
pub fn read(file: &CsvFile, alphabet: &Alphabet, env: &Sequences) -> Result<ClientTable> {
    let (columns, optional) = file.columns(&["motif", "bonus"], &["count"])?;
    let (name, bonus) = (columns[0], columns[1]);
    let mut motifs: Vec<Motif> = Vec::new();
    let mut once = 0;
    for (index, row) in file.rows.iter().enumerate() {
        let cell = row.cell(name);
        let n = cell.chars().count();
        if n == 0 || n > env.max_length() {
            return Err(Error::input(
                file.place_of(row, name),
                format!("a motif of 1 to {} letters, the length of the sequences", env.max_length()),
                format!("{cell:?} of {n} letters"),
                "correct the motif, or the length in the SPEC",
            ));
        }
        let mut pattern = Vec::with_capacity(n);
        for letter in cell.chars() {
            let Some(fits) = alphabet.pattern(letter) else {
                let codes = if alphabet.name() == "dna" { " or one of the codes RYSWKMBDHVN" } else { "" };
                return Err(Error::input(
                    file.place_of(row, name),
                    format!("one of the letters {}{codes}", alphabet.letters().iter().collect::<String>()),
                    format!("{letter:?} in {cell:?}"),
                    "correct the motif (case counts)",
                ));
            };
            pattern.push(fits);
        }
        if let Some(first) = motifs.iter().position(|m| m.pattern == pattern) {
            return Err(file.twice(row, name, "motif", file.rows[first].line));
        }
        let counting = match optional[0].map_or("", |column| row.cell(column)) {
            "" | "once" => Counting::Once,
            "each" => Counting::Each,
            other => {
                return Err(Error::input(
                    file.place_of(row, optional[0].unwrap_or(bonus)),
                    "`once`, or `each` for every occurrence",
                    format!("{other:?}"),
                    "correct the cell, or leave out the column: once is the default",
                ));
            }
        };
        once += usize::from(counting == Counting::Once);
        if once > MAX_ONCE {
            return Err(Error::input(
                file.place(row.line),
                format!("at most {MAX_ONCE} motifs that are counted once"),
                format!("number {} of them", index + 1),
                "count some of them `each`, or deal them to several clients",
            ));
        }
        motifs.push(Motif { pattern, bonus: file.number(row, bonus)?, counting });
    }
    let description = match motifs.len() {
        1 => "a motif".to_string(),
        n => format!("{n} motifs"),
    };
    Ok(ClientTable { reward: Arc::new(MotifBonus::new(motifs)?), description, warnings: Vec::new() })
}
