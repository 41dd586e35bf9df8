//! Additive tables: a value for each position and letter, in long or in wide form.

use std::sync::Arc;

use gfn_core::{Error, Result};

use super::ClientTable;
use super::csv_file::{CsvFile, Row};
use crate::alphabet::Alphabet;
use crate::environment::Sequences;
use crate::reward::PositionWeights;

/// Reads `position,letter,value`, or `position` and a column for each letter.
pub fn read(file: &CsvFile, alphabet: &Alphabet, env: &Sequences) -> Result<ClientTable> {
    let mut table = Table { file, alphabet, env, entries: vec![None; env.max_length() * alphabet.len()] };
    let long = file.names.iter().any(|name| name == "letter" || name == "value");
    if long {
        table.read_long()?
    } else {
        table.read_wide()?
    };
    table.refuse_missing(long)?;
    let values: Vec<f64> = table.entries.iter().flatten().map(|(value, _)| *value).collect();
    let rows: Vec<Vec<f64>> = values.chunks(alphabet.len()).map(<[f64]>::to_vec).collect();
    let reward = PositionWeights::new(env, &rows)?;
    let description = format!("{} positions by {} letters", env.max_length(), alphabet.len());
    Ok(ClientTable { reward: Arc::new(reward), description, warnings: Vec::new() })
}

struct Table<'a> {
    file: &'a CsvFile,
    alphabet: &'a Alphabet,
    env: &'a Sequences,
    /// The value of each position and token, and the line it stands in.
    entries: Vec<Option<(f64, usize)>>,
}

impl Table<'_> {
    fn read_long(&mut self) -> Result<()> {
        let file = self.file;
        let (columns, _) = file.columns(&["position", "letter", "value"], &[])?;
        for row in &file.rows {
            let position = self.position(row, columns[0])?;
            let mut letters = row.cell(columns[1]).chars();
            let token =
                letters.next().filter(|_| letters.next().is_none()).and_then(|l| self.alphabet.token(l));
            let Some(token) = token else {
                return Err(Error::input(
                    file.place_of(row, columns[1]),
                    format!("one of the letters {}", self.letters()),
                    format!("{:?}", row.cell(columns[1])),
                    "correct the letter (case counts), or use another alphabet",
                ));
            };
            let entry = &mut self.entries[position * self.alphabet.len() + usize::from(token)];
            if let Some((_, line)) = entry {
                return Err(file.twice(row, columns[1], "letter of a position", *line));
            }
            *entry = Some((file.number(row, columns[2])?, row.line));
        }
        Ok(())
    }

    fn read_wide(&mut self) -> Result<()> {
        let file = self.file;
        let letters: Vec<String> = self.alphabet.letters().iter().map(char::to_string).collect();
        let names: Vec<&str> = ["position"].into_iter().chain(letters.iter().map(String::as_str)).collect();
        let (columns, _) = file.columns(&names, &[])?;
        for row in &file.rows {
            let position = self.position(row, columns[0])?;
            for (token, &column) in columns[1..].iter().enumerate() {
                let entry = &mut self.entries[position * self.alphabet.len() + token];
                if let Some((_, line)) = entry {
                    return Err(file.twice(row, columns[0], "position", *line));
                }
                *entry = Some((file.number(row, column)?, row.line));
            }
        }
        Ok(())
    }

    /// The position of a row, counted from 0.
    fn position(&self, row: &Row, column: usize) -> Result<usize> {
        let length = self.env.max_length();
        let number = row.cell(column).parse::<usize>().ok().filter(|p| (1..=length).contains(p));
        number.map(|p| p - 1).ok_or_else(|| {
            Error::input(
                self.file.place_of(row, column),
                format!("a position from 1 to {length}, the length"),
                format!("{:?}", row.cell(column)),
                "correct the position, or the length in the SPEC",
            )
        })
    }

    fn refuse_missing(&self, long: bool) -> Result<()> {
        let Some(missing) = self.entries.iter().position(Option::is_none) else { return Ok(()) };
        let (position, token) = (missing / self.alphabet.len() + 1, missing % self.alphabet.len());
        let what =
            if long { format!(", letter {:?}", self.alphabet.letters()[token]) } else { String::new() };
        Err(Error::input(
            self.file.whole(),
            format!("a value for every position from 1 to {} and every letter", self.env.max_length()),
            format!("none for position {position}{what}"),
            "complete the table; 0 is a value that changes nothing",
        ))
    }

    fn letters(&self) -> String {
        self.alphabet.letters().iter().collect()
    }
}
