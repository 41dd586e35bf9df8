//! Writing NEXUS: names of any kind survive it.

use std::fmt::Write as _;

use crate::Alignment;

/// A name as a NEXUS word: quoted where it has blanks or punctuation, quotes doubled (Maddison et al. 1997).
pub fn nexus_word(name: &str) -> String {
    let plain = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || "_.".contains(c));
    if plain { name.to_string() } else { format!("'{}'", name.replace('\'', "''")) }
}

/// The alignment as a NEXUS data block, one sequence a line.
pub fn write_nexus(alignment: &Alignment) -> String {
    let mut text = format!(
        "#NEXUS\nbegin data;\n  dimensions ntax={} nchar={};\n  format datatype=dna missing=? gap=-;\n  matrix\n",
        alignment.n_taxa(),
        alignment.n_sites()
    );
    for (name, row) in alignment.taxa.iter().zip(&alignment.rows) {
        let _ = writeln!(text, "    {} {}", nexus_word(name), String::from_utf8_lossy(row));
    }
    text.push_str("  ;\nend;\n");
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parse_alignment;

    #[test]
    fn names_of_any_kind_survive() {
        let taxa = ["Homo sapiens", "it's", "x.y-1", "[a]", "plain_1"].map(String::from).to_vec();
        let rows = ["ACGT-", "ACGTN", "AC?TR", "TTTTT", "-----"].map(|r| r.as_bytes().to_vec()).to_vec();
        let alignment = Alignment::new(taxa, rows).unwrap();
        let read = parse_alignment(write_nexus(&alignment).as_bytes(), "x.nex".as_ref()).unwrap();
        assert_eq!(read.alignment, alignment);
    }
}
