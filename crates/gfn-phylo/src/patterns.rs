//! Distinct alignment columns with their weights: what the likelihood is computed over.

use rustc_hash::FxHashMap;

use crate::alignment_matrix::Alignment;
use crate::characters::state_set;

/// The distinct columns of an alignment, as state sets, in the order of their first occurrence.
///
/// Two characters that stand for the same set of nucleotides (`-` and `N`) are the same here. The likelihood of an
/// alignment is the product over patterns of the pattern's likelihood to the power of its weight.
#[derive(Debug, Clone, PartialEq)]
pub struct SitePatterns {
    /// Names, in the order of the alignment.
    pub taxa: Vec<String>,
    /// State sets (see [`state_set`]): `states[taxon][pattern]`, shape `n_taxa` × `n_patterns`.
    pub states: Vec<Vec<u8>>,
    /// Number of sites that show each pattern, shape `n_patterns`; whole numbers.
    pub weights: Vec<f64>,
    /// The pattern of each site, shape `n_sites`.
    pub pattern_of_site: Vec<usize>,
}

impl SitePatterns {
    /// Compresses an alignment; O(`n_taxa` · `n_sites`).
    pub fn new(alignment: &Alignment) -> SitePatterns {
        let n_taxa = alignment.n_taxa();
        let mut number_of: FxHashMap<Vec<u8>, usize> = FxHashMap::default();
        let mut states = vec![Vec::new(); n_taxa];
        let mut weights: Vec<f64> = Vec::new();
        let mut pattern_of_site = Vec::with_capacity(alignment.n_sites());
        let mut column = vec![0; n_taxa];
        for site in 0..alignment.n_sites() {
            for taxon in 0..n_taxa {
                column[taxon] = state_set(alignment.rows[taxon][site]).expect("checked at construction");
            }
            let pattern = match number_of.get(&column) {
                Some(&pattern) => pattern,
                None => {
                    number_of.insert(column.clone(), weights.len());
                    for taxon in 0..n_taxa {
                        states[taxon].push(column[taxon]);
                    }
                    weights.push(0.0);
                    weights.len() - 1
                }
            };
            weights[pattern] += 1.0;
            pattern_of_site.push(pattern);
        }
        SitePatterns { taxa: alignment.taxa.clone(), states, weights, pattern_of_site }
    }

    /// Number of taxa.
    pub fn n_taxa(&self) -> usize {
        self.taxa.len()
    }

    /// Number of distinct columns.
    pub fn n_patterns(&self) -> usize {
        self.weights.len()
    }

    /// Number of columns of the alignment.
    pub fn n_sites(&self) -> usize {
        self.pattern_of_site.len()
    }

    /// The nucleotides that every taxon of a pattern may have: not 0 exactly if the pattern can be constant.
    pub fn common_states(&self, pattern: usize) -> u8 {
        self.states.iter().fold(crate::ALL_STATES, |common, row| common & row[pattern])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_counted_in_order_of_first_occurrence() {
        let rows = vec![b"ACA-AN".to_vec(), b"CCCRCG".to_vec()];
        let patterns = SitePatterns::new(&Alignment::new(vec!["x".into(), "y".into()], rows).unwrap());
        assert_eq!(patterns.states, [vec![1, 2, 15, 15], vec![2, 2, 5, 4]]);
        assert_eq!(patterns.weights, [3.0, 1.0, 1.0, 1.0]);
        assert_eq!(patterns.pattern_of_site, [0, 1, 0, 2, 0, 3]);
        assert_eq!((patterns.n_taxa(), patterns.n_patterns(), patterns.n_sites()), (2, 4, 6));
        let common: Vec<u8> = (0..4).map(|pattern| patterns.common_states(pattern)).collect();
        assert_eq!(common, [0, 2, 5, 4]);
    }

    #[test]
    fn gap_and_missing_are_one_pattern() {
        let rows = vec![b"-N?X".to_vec(), b"AAAA".to_vec()];
        let patterns = SitePatterns::new(&Alignment::new(vec!["x".into(), "y".into()], rows).unwrap());
        assert_eq!(patterns.weights, [4.0]);
    }
}
