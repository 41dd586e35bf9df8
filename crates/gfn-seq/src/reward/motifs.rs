//! Bonuses for motifs: patterns of letters, counted once or wherever they occur.

use gfn_core::{Error, Place, Result};

use super::Stepwise;

/// Most motifs of a table that are counted once: whether each has occurred is a bit.
pub const MAX_ONCE: usize = 64;

/// How often a motif's bonus is added.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Counting {
    /// Once, if it occurs at all.
    Once,
    /// For every place where it occurs; occurrences may overlap.
    Each,
}

/// A motif and what it is worth.
#[derive(Debug, Clone, PartialEq)]
pub struct Motif {
    /// For each of its positions the tokens that fit, by token.
    pub pattern: Vec<Vec<bool>>,
    /// What is added to log R (natural log).
    pub bonus: f64,
    /// How often.
    pub counting: Counting,
}

/// log R(x) = Σ_m b_m · n_m(x): the bonus of each motif, times the number of its occurrences, or 1 if it is counted once
/// and occurs.
#[derive(Debug, Clone, PartialEq)]
pub struct MotifBonus {
    motifs: Vec<Motif>,
    memory: usize,
}

impl MotifBonus {
    /// Motifs of at least one position and finite bonuses, at most [`MAX_ONCE`] of them counted once.
    pub fn new(motifs: Vec<Motif>) -> Result<Self> {
        let refuse = |expected: String, found: String| {
            Err(Error::input(Place::item("motifs"), expected, found, "correct the motifs"))
        };
        let once = motifs.iter().filter(|m| m.counting == Counting::Once).count();
        if once > MAX_ONCE {
            return refuse(format!("at most {MAX_ONCE} that are counted once"), once.to_string());
        }
        if let Some(empty) = motifs.iter().position(|m| m.pattern.is_empty()) {
            return refuse("motifs of at least one letter".into(), format!("none in number {}", empty + 1));
        }
        if let Some(wrong) = motifs.iter().find(|m| !m.bonus.is_finite()) {
            return refuse("finite bonuses".into(), wrong.bonus.to_string());
        }
        let longest = motifs.iter().map(|m| m.pattern.len()).max().unwrap_or(1);
        Ok(MotifBonus { motifs, memory: longest - 1 })
    }

    /// The motifs.
    pub fn motifs(&self) -> &[Motif] {
        &self.motifs
    }
}

impl Motif {
    /// Whether it ends with `token` after the letters `before`, of which there are `position` in all.
    fn ends_with(&self, position: usize, before: &[u8], token: u8) -> bool {
        let (last, others) = self.pattern.split_last().expect("motifs have letters");
        position >= others.len()
            && last[usize::from(token)]
            && others.iter().rev().zip(before.iter().rev()).all(|(fits, &letter)| fits[usize::from(letter)])
    }
}

impl Stepwise for MotifBonus {
    fn memory(&self) -> usize {
        self.memory
    }

    fn log_factor(&self, position: usize, before: &[u8], token: u8, seen: &mut u64) -> f64 {
        let mut sum = 0.0;
        let mut bit = 1u64;
        for motif in &self.motifs {
            let occurs = motif.ends_with(position, before, token);
            match motif.counting {
                Counting::Each => sum += if occurs { motif.bonus } else { 0.0 },
                Counting::Once => {
                    if occurs && *seen & bit == 0 {
                        *seen |= bit;
                        sum += motif.bonus;
                    }
                    bit <<= 1;
                }
            }
        }
        sum
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alphabet::Alphabet;

    fn reward(motifs: &[(&str, f64, Counting)]) -> MotifBonus {
        let dna = Alphabet::named("dna").unwrap();
        let motif = |&(text, bonus, counting): &(&str, f64, Counting)| Motif {
            pattern: text.chars().map(|l| dna.pattern(l).unwrap()).collect(),
            bonus,
            counting,
        };
        MotifBonus::new(motifs.iter().map(motif).collect()).unwrap()
    }

    #[test]
    fn occurrences_by_hand() {
        let dna = Alphabet::named("dna").unwrap();
        let reward = reward(&[
            ("ATA", 1.0, Counting::Each),
            ("RY", 100.0, Counting::Once),
            ("G", -10.0, Counting::Each),
            ("ATAT", 1000.0, Counting::Once),
        ]);
        assert_eq!(reward.memory(), 3);
        let cases =
            [("", 0.0), ("TA", 0.0), ("AT", 100.0), ("ATATA", 1102.0), ("GCGC", 80.0), ("ATAATA", 102.0)];
        for (text, expected) in cases {
            assert_eq!(reward.log_reward_of(&dna.read(text).unwrap()), expected, "{text}");
        }
    }

    #[test]
    fn the_last_letters_are_enough() {
        let reward = reward(&[("ANT", 1.0, Counting::Each), ("CC", 2.0, Counting::Once)]);
        let tokens = [0u8, 1, 1, 3, 1, 1, 0, 2, 3];
        let (mut long, mut short) = (0, 0);
        for i in 0..tokens.len() {
            let window = &tokens[i.saturating_sub(2)..i];
            let whole = reward.log_factor(i, &tokens[..i], tokens[i], &mut long);
            assert_eq!(whole, reward.log_factor(i, window, tokens[i], &mut short));
        }
        assert_eq!((long, short), (1, 1));
    }

    #[test]
    fn refuses_motifs_that_are_none() {
        let motif = |n: usize, bonus| Motif { pattern: vec![vec![true]; n], bonus, counting: Counting::Once };
        let message = |motifs| MotifBonus::new(motifs).unwrap_err().to_string();
        assert!(message(vec![motif(1, 0.0); 65]).contains("at most 64 that are counted once, found 65"));
        assert!(message(vec![motif(1, 0.0), motif(0, 0.0)]).contains("none in number 2"));
        assert!(message(vec![motif(1, f64::NAN)]).contains("finite bonuses, found NaN"));
        assert!(MotifBonus::new(vec![motif(1, 0.0); 64]).is_ok());
    }
}
