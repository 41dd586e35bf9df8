//! The alignment: named rows of nucleotides of equal length, checked at construction.

use gfn_core::{Error, Place, Result};
use rustc_hash::FxHashSet;

use crate::characters::{normal_character, state_set};

/// Sequences of `n_taxa` taxa over `n_sites` sites.
///
/// Invariant (checked by [`Alignment::new`]): names are not empty and distinct, rows have the same length, every
/// character is one that [`state_set`](crate::state_set) knows, in upper case and with `U` as `T`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alignment {
    /// Name of each row, in the order of the file; never changed (an underscore stays one).
    pub taxa: Vec<String>,
    /// One row a taxon, `n_sites` bytes each: upper case, `U` as `T`, ambiguity codes and gaps as read.
    pub rows: Vec<Vec<u8>>,
}

impl Alignment {
    /// An alignment from names and rows of the same order; letters are brought to upper case and `U` to `T`.
    ///
    /// # Errors
    /// No rows, no sites, as many names as rows not given, an empty or repeated name, rows of unequal length, or an
    /// unknown character: the message names the taxon, and the site counted from 1.
    pub fn new(taxa: Vec<String>, mut rows: Vec<Vec<u8>>) -> Result<Alignment> {
        if taxa.len() != rows.len() {
            return Err(Error::input(
                Place::item("alignment"),
                format!("one row for each of {} taxa", taxa.len()),
                format!("{} rows", rows.len()),
                "give every sequence a name",
            ));
        }
        let Some(n_sites) = rows.first().map(Vec::len) else {
            return Err(Error::input(
                Place::item("alignment"),
                "at least one sequence",
                "none",
                "check that the file is an alignment",
            ));
        };
        if n_sites == 0 {
            return Err(Error::input(
                Place::item(format!("taxon {}", taxa[0])),
                "at least one site",
                "an empty sequence",
                "check that the file is complete",
            ));
        }
        let mut seen = FxHashSet::default();
        for (number, (name, row)) in taxa.iter().zip(&mut rows).enumerate() {
            let place = || Place::item(format!("taxon {name}"));
            if name.is_empty() {
                return Err(Error::input(
                    Place::item(format!("sequence number {}", number + 1)),
                    "a name",
                    "none",
                    "name every sequence",
                ));
            }
            if !seen.insert(name.as_str()) {
                return Err(Error::input(
                    place(),
                    "distinct names",
                    "this name twice",
                    "rename or remove one of the two sequences",
                ));
            }
            if row.len() != n_sites {
                return Err(Error::input(
                    place(),
                    format!("sequences of equal length: {n_sites} sites, as {} has", taxa[0]),
                    format!("{} sites", row.len()),
                    "align the sequences first",
                ));
            }
            for (site, byte) in row.iter_mut().enumerate() {
                if state_set(*byte).is_none() {
                    return Err(Error::input(
                        Place::item(format!("taxon {name}, site {}", site + 1)),
                        "a nucleotide, an IUPAC code or a gap",
                        format!("'{}'", (*byte as char).escape_default()),
                        "correct the character, or write N where it is unknown",
                    ));
                }
                *byte = normal_character(*byte);
            }
        }
        Ok(Alignment { taxa, rows })
    }

    /// Number of sequences.
    pub fn n_taxa(&self) -> usize {
        self.taxa.len()
    }

    /// Number of columns.
    pub fn n_sites(&self) -> usize {
        self.rows.first().map_or(0, Vec::len)
    }

    /// The index of a taxon by its exact name.
    pub fn taxon_index(&self, name: &str) -> Option<usize> {
        self.taxa.iter().position(|taxon| taxon == name)
    }

    /// The alignment of the given sites (counted from 0), in the order given; a site may be given several times, and
    /// no site at all gives an alignment of no columns, whose likelihood is one.
    ///
    /// # Panics
    /// If a site is not below `n_sites`.
    pub fn select_sites(&self, sites: &[usize]) -> Alignment {
        let rows = self.rows.iter().map(|row| sites.iter().map(|&site| row[site]).collect()).collect();
        Alignment { taxa: self.taxa.clone(), rows }
    }

    /// The alignment of the given taxa (indices of rows), in the order given.
    ///
    /// # Panics
    /// If an index is not below `n_taxa`, or given twice.
    pub fn select_taxa(&self, taxa: &[usize]) -> Alignment {
        let distinct: FxHashSet<_> = taxa.iter().collect();
        assert_eq!(distinct.len(), taxa.len(), "a taxon was selected twice");
        Alignment {
            taxa: taxa.iter().map(|&taxon| self.taxa[taxon].clone()).collect(),
            rows: taxa.iter().map(|&taxon| self.rows[taxon].clone()).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn alignment(rows: &[(&str, &str)]) -> Result<Alignment> {
        Alignment::new(
            rows.iter().map(|row| row.0.to_string()).collect(),
            rows.iter().map(|row| row.1.as_bytes().to_vec()).collect(),
        )
    }

    #[test]
    fn characters_are_normalised_and_selections_keep_order() {
        let all = alignment(&[("b", "acgu-"), ("a", "NNRYC")]).unwrap();
        assert_eq!(all.rows[0], b"ACGT-");
        let part = all.select_sites(&[4, 0, 0]).select_taxa(&[1, 0]);
        assert_eq!(part.taxa, ["a", "b"]);
        assert_eq!(part.rows, [b"CNN".to_vec(), b"-AA".to_vec()]);
        assert_eq!((part.n_taxa(), part.n_sites()), (2, 3));
        assert_eq!(part.taxon_index("b"), Some(1));
        assert_eq!(all.select_sites(&[]).n_sites(), 0);
    }

    #[test]
    fn errors_name_taxon_and_site() {
        let text = |rows| alignment(rows).unwrap_err().to_string();
        assert!(text(&[("a", "ACGT"), ("b", "ACJT")]).starts_with("taxon b, site 3: "));
        assert!(text(&[("a", "ACGT"), ("b", "ACJT")]).contains("found 'J'"));
        assert!(text(&[("a", "ACGT"), ("b", "ACG")]).contains("taxon b"));
        assert!(text(&[("a", "ACGT"), ("b", "ACG")]).contains("4 sites, as a has, found 3 sites"));
        assert!(text(&[("a", "A"), ("a", "C")]).contains("twice"));
        assert!(text(&[("", "A")]).contains("sequence number 1"));
        assert!(text(&[]).contains("at least one sequence"));
        assert!(text(&[("a", "")]).contains("at least one site"));
        assert!(Alignment::new(vec!["a".into()], vec![]).is_err());
    }
}
