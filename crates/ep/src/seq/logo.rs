//! A sequence logo for the terminal: information as bars over the consensus, and the letters of each position.

use std::fmt::Write as _;

use gfn_seq::{Alphabet, Profile};

/// Longest sequences whose positions are shown one by one.
const LISTED: usize = 24;
/// Positions in a line of the consensus.
const LINE: usize = 80;
/// Letters of the longest bar.
const BAR: f64 = 20.0;
/// Letters shown at a position: those of at least this share.
const SHOWN: f64 = 0.05;
/// Eighths of a bar's height.
const BARS: [char; 9] = [' ', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
/// Stands for positions that fewer than half of the sequences reach.
const SELDOM: char = '·';

/// The most frequent letter of each position; a dot where fewer than half of the sequences are so long.
pub fn consensus(alphabet: &Alphabet, profile: &Profile) -> String {
    let letter = |position: usize| match profile.reach(position) {
        reach if reach < 0.5 => SELDOM,
        _ => alphabet.letters()[usize::from(profile.consensus(position))],
    };
    (0..profile.n_positions()).map(letter).collect()
}

/// The logo's lines.
pub fn lines(alphabet: &Alphabet, profile: &Profile) -> String {
    let n = profile.n_positions();
    let information: Vec<f64> = (0..n).map(|position| profile.information(position)).collect();
    let most = (alphabet.len() as f64).log2();
    let mut text = format!(
        "  Samples position by position: {:.2} bits of information of at most {:.2}; consensus:\n",
        information.iter().sum::<f64>(),
        most * n as f64
    );
    let bar = |bits: &f64| if most > 0.0 { BARS[(8.0 * bits / most).round().min(8.0) as usize] } else { ' ' };
    let bars: Vec<char> = information.iter().map(bar).collect();
    let letters: Vec<char> = consensus(alphabet, profile).chars().collect();
    for (bars, letters) in bars.chunks(LINE).zip(letters.chunks(LINE)) {
        let _ = writeln!(text, "    {}", bars.iter().collect::<String>().trim_end());
        let _ = writeln!(text, "    {}", letters.iter().collect::<String>());
    }
    if n > LISTED {
        return text;
    }
    for (position, bits) in information.iter().enumerate() {
        let row = profile.row(position);
        let mut order: Vec<usize> = (0..row.len()).filter(|&token| row[token] >= SHOWN).collect();
        order.sort_by(|&a, &b| row[b].total_cmp(&row[a]));
        let share = |&token: &usize| format!("{} {:.2}", alphabet.letters()[token], row[token]);
        let shares: Vec<String> = order.iter().map(share).collect();
        let length = if most > 0.0 { (BAR * bits / most).round() as usize } else { 0 };
        let bar = "█".repeat(length) + &" ".repeat(BAR as usize - length.min(BAR as usize));
        let _ = writeln!(text, "    {:>3} {bits:.2} {bar}  {}", position + 1, shares.join("  "));
    }
    text
}
