//! Nucleotide characters as sets of states: IUPAC codes, gaps and missing data.

/// Bit of each state in a state set, in the order of all vectors of this crate: A, C, G, T.
pub const STATE_LETTERS: [u8; 4] = *b"ACGT";

/// The state set of a character that says nothing: gap, missing, `N`.
pub const ALL_STATES: u8 = 15;

/// The set of nucleotides that a character stands for, as four bits: A = 1, C = 2, G = 4, T = 8.
///
/// `U` is `T`; lower case counts as upper case; the ambiguity codes are those of IUPAC-IUB (Cornish-Bowden,
/// *Nucleic Acids Research* 13, 1985). Gaps and missing data (`-`, `?`, `.`, `N`, `X`, `O`) are all four states:
/// they multiply the likelihood by one. `None` for every other byte.
///
/// ```
/// use gfn_phylo::state_set;
/// assert_eq!(state_set(b'a'), Some(1));
/// assert_eq!(state_set(b'Y'), Some(2 | 8));
/// assert_eq!(state_set(b'-'), Some(15));
/// assert_eq!(state_set(b'J'), None);
/// ```
pub fn state_set(byte: u8) -> Option<u8> {
    const A: u8 = 1;
    const C: u8 = 2;
    const G: u8 = 4;
    const T: u8 = 8;
    Some(match byte.to_ascii_uppercase() {
        b'A' => A,
        b'C' => C,
        b'G' => G,
        b'T' | b'U' => T,
        b'R' => A | G,
        b'Y' => C | T,
        b'S' => C | G,
        b'W' => A | T,
        b'K' => G | T,
        b'M' => A | C,
        b'B' => C | G | T,
        b'D' => A | G | T,
        b'H' => A | C | T,
        b'V' => A | C | G,
        b'N' | b'X' | b'O' | b'?' | b'-' | b'.' => ALL_STATES,
        _ => return None,
    })
}

/// The form in which an alignment stores a character: upper case, `U` as `T`.
///
/// ```
/// assert_eq!(gfn_phylo::normal_character(b'u'), b'T');
/// ```
pub fn normal_character(byte: u8) -> u8 {
    match byte.to_ascii_uppercase() {
        b'U' => b'T',
        upper => upper,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn complements_swap_the_bits() {
        // The complement of each code, from the IUPAC table: reversing the four bits must give its set.
        for (code, complement) in b"ACGTRYSWKMBDHVN".iter().zip(b"TGCAYRSWMKVHDBN") {
            let set = state_set(*code).unwrap();
            assert_eq!(set.reverse_bits() >> 4, state_set(*complement).unwrap(), "{}", *code as char);
        }
    }

    #[test]
    fn exactly_the_documented_bytes_are_known() {
        let known: Vec<u8> =
            (0..=255).filter(|b: &u8| !b.is_ascii_lowercase() && state_set(*b).is_some()).collect();
        assert_eq!(known, b"-.?ABCDGHKMNORSTUVWXY");
        for byte in b'a'..=b'z' {
            assert_eq!(state_set(byte), state_set(byte.to_ascii_uppercase()));
        }
    }
}
