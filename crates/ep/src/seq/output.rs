//! The files that only runs over sequences write: FASTA of the best, and frequencies by position.

use std::fmt::Write as _;
use std::path::Path;

use gfn_core::Result;
use gfn_core::tensor_file::write_atomically;
use gfn_seq::{Alphabet, Profile, Sequence};

use crate::design::found::FoundDesign;
use crate::files::quoted;

/// The best sequences, over DNA and proteins.
pub const FASTA: &str = "best.fasta";
/// Frequencies of letters by position.
pub const PROFILE: &str = "profile.csv";
/// Sequences in the FASTA file.
const BEST: usize = 1000;
/// Letters in a line of FASTA.
const LINE: usize = 60;

/// Writes the best distinct sequences, best first; the one without letters is left out.
pub fn write_fasta(path: &Path, designs: &[FoundDesign<Sequence>]) -> Result<()> {
    let mut text = String::new();
    let with_letters = designs.iter().filter(|design| !design.object.is_empty());
    for (number, design) in with_letters.take(BEST).enumerate() {
        let _ = write!(text, ">design-{} share={}", number + 1, design.share);
        if let Some(rated) = &design.rated {
            let _ = write!(text, " log_reward={} probability={}", rated.log_reward, rated.probability);
        }
        text.push('\n');
        let letters: Vec<char> = design.name.chars().collect();
        letters.chunks(LINE).for_each(|line| text.extend(line.iter().chain(&['\n'])));
    }
    write_atomically(path, text.as_bytes())
}

/// Writes `position,consensus,information_bits,reach` and a column for each letter: its frequency among all samples.
pub fn write_profile(path: &Path, alphabet: &Alphabet, profile: &Profile) -> Result<()> {
    let letter = |token: usize| quoted(&alphabet.letters()[token].to_string());
    let mut text = String::from("position,consensus,information_bits,reach");
    (0..alphabet.len()).for_each(|token| text += &format!(",{}", letter(token)));
    text.push('\n');
    for position in 0..profile.n_positions() {
        let consensus = letter(usize::from(profile.consensus(position)));
        let (information, reach) = (profile.information(position), profile.reach(position));
        let _ = write!(text, "{},{consensus},{information},{reach}", position + 1);
        profile.row(position).iter().for_each(|frequency| {
            let _ = write!(text, ",{frequency}");
        });
        text.push('\n');
    }
    write_atomically(path, text.as_bytes())
}
