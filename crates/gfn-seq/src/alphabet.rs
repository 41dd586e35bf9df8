//! Alphabets: the tokens of sequences and the characters they are written with.

use gfn_core::{Error, Place, Result};

use crate::environment::Sequence;

/// Most tokens of an alphabet (a token is stored in a byte).
pub const MAX_TOKENS: usize = 255;

/// An ordered set of tokens, each written as one character. Token `v` is the `v`-th of them, from 0.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alphabet {
    name: String,
    letters: Vec<char>,
}

impl Alphabet {
    /// An alphabet of one's own: 1 to [`MAX_TOKENS`] different characters that are not white space.
    pub fn new(name: impl Into<String>, letters: &str) -> Result<Self> {
        let name = name.into();
        let letters: Vec<char> = letters.chars().collect();
        let refuse = |expected: String, found: String| {
            let place = Place::item(format!("alphabet `{name}`"));
            Err(Error::input(place, expected, found, "correct the alphabet"))
        };
        if !(1..=MAX_TOKENS).contains(&letters.len()) {
            return refuse(format!("1 to {MAX_TOKENS} letters"), letters.len().to_string());
        }
        for (token, letter) in letters.iter().enumerate() {
            if letter.is_whitespace() {
                return refuse("letters that can be seen".into(), format!("{letter:?}"));
            }
            if letters[..token].contains(letter) {
                return refuse("each letter once".into(), format!("{letter:?} twice"));
            }
        }
        Ok(Alphabet { name, letters })
    }

    /// The alphabet of this name: `dna` (A C G T) or `protein` (the twenty amino acids, in alphabetical order of
    /// their one-letter codes; IUPAC-IUB 1984).
    pub fn named(name: &str) -> Result<Self> {
        match name {
            "dna" => Alphabet::new(name, "ACGT"),
            "protein" => Alphabet::new(name, "ACDEFGHIKLMNPQRSTVWY"),
            _ => Err(Error::usage(
                "alphabet",
                "`dna` or `protein`",
                format!("`{name}`"),
                "use one of these, or give the letters of your own",
            )),
        }
    }

    /// The name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The letter of each token.
    pub fn letters(&self) -> &[char] {
        &self.letters
    }

    /// Number of tokens.
    pub fn len(&self) -> usize {
        self.letters.len()
    }

    /// Never: an alphabet has at least one letter.
    pub fn is_empty(&self) -> bool {
        self.letters.is_empty()
    }

    /// The token of a letter; case counts.
    pub fn token(&self, letter: char) -> Option<u8> {
        self.letters.iter().position(|&l| l == letter).map(|token| token as u8)
    }

    /// The tokens that a letter of a pattern stands for, by token: the letter itself and, over `dna`, the ambiguity
    /// codes of IUPAC (R, Y, S, W, K, M, B, D, H, V and N; NC-IUB 1984).
    pub fn pattern(&self, letter: char) -> Option<Vec<bool>> {
        let stands_for = match letter {
            _ if self.name != "dna" => return self.token(letter).map(|own| self.only(&[own])),
            'R' => "AG",
            'Y' => "CT",
            'S' => "CG",
            'W' => "AT",
            'K' => "GT",
            'M' => "AC",
            'B' => "CGT",
            'D' => "AGT",
            'H' => "ACT",
            'V' => "ACG",
            'N' => "ACGT",
            own => return self.token(own).map(|own| self.only(&[own])),
        };
        Some(self.only(&stands_for.chars().filter_map(|l| self.token(l)).collect::<Vec<u8>>()))
    }

    fn only(&self, tokens: &[u8]) -> Vec<bool> {
        (0..self.len()).map(|token| tokens.contains(&(token as u8))).collect()
    }

    /// Reads a sequence. Letters must match exactly; case counts. The error names the column.
    pub fn read(&self, text: &str) -> Result<Sequence> {
        let token = |(index, letter): (usize, char)| {
            self.token(letter).ok_or_else(|| {
                let letters: String = self.letters.iter().collect();
                Error::input(
                    Place::item(format!("sequence `{text}`")).column(index + 1),
                    format!("one of the letters {letters}"),
                    format!("{letter:?}"),
                    format!("correct the letter, or use another alphabet than `{}`", self.name),
                )
            })
        };
        Ok(Sequence::new(text.chars().enumerate().map(token).collect::<Result<Vec<u8>>>()?))
    }

    /// Writes a sequence. Panics if it has a token that is not of this alphabet.
    pub fn write(&self, sequence: &Sequence) -> String {
        sequence.tokens().iter().map(|&token| self.letters[usize::from(token)]).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn named_alphabets_read_and_write() {
        for (name, size, text) in [("dna", 4, "GATTACA"), ("protein", 20, "MKWVTFISLLFLFSSAYS")] {
            let alphabet = Alphabet::named(name).unwrap();
            assert_eq!(alphabet.len(), size);
            assert_eq!(alphabet.write(&alphabet.read(text).unwrap()), text);
        }
        let dna = Alphabet::named("dna").unwrap();
        assert_eq!(dna.read("CAGT").unwrap().tokens(), [1, 0, 2, 3]);
        assert_eq!(dna.read("").unwrap().tokens(), [0u8; 0]);
    }

    #[test]
    fn patterns_over_dna_know_the_ambiguity_codes() {
        let dna = Alphabet::named("dna").unwrap();
        let stands_for = |letter: char| {
            let allowed = dna.pattern(letter).unwrap();
            dna.letters().iter().zip(allowed).filter(|(_, a)| *a).map(|(l, _)| *l).collect::<String>()
        };
        let codes = "ACGTRYSWKMBDHVN".chars().map(stands_for).collect::<Vec<_>>().join(" ");
        assert_eq!(codes, "A C G T AG CT CG AT GT AC CGT AGT ACT ACG ACGT");
        assert_eq!((dna.pattern('n'), dna.pattern('U')), (None, None));
        // Elsewhere a letter is itself: N is asparagine in a protein.
        let protein = Alphabet::named("protein").unwrap();
        assert_eq!(protein.pattern('N').unwrap().iter().filter(|a| **a).count(), 1);
        assert_eq!(protein.pattern('B'), None);
    }

    #[test]
    fn refusals_say_where_and_what() {
        let dna = Alphabet::named("dna").unwrap();
        let error = dna.read("ACgT").unwrap_err().to_string();
        assert!(
            error.contains("column 3") && error.contains("one of the letters ACGT, found 'g'"),
            "{error}"
        );
        assert!(Alphabet::named("rna").unwrap_err().to_string().contains("expected `dna` or `protein`"));
        assert!(Alphabet::new("x", "").unwrap_err().to_string().contains("1 to 255 letters, found 0"));
        assert!(Alphabet::new("x", "ABA").unwrap_err().to_string().contains("'A' twice"));
        assert!(Alphabet::new("x", "A B").unwrap_err().to_string().contains("can be seen"));
    }
}
