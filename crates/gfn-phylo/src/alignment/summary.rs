//! What an alignment holds, in numbers: for `ep phylo check`, and for the warnings a user should see.

use std::fmt;

use gfn_core::Warning;
use rustc_hash::FxHashMap;
use serde::Serialize;

use crate::{ALL_STATES, Alignment, STATE_LETTERS, SitePatterns, state_set};

/// Counts over one sequence.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TaxonSummary {
    /// Name of the sequence.
    pub name: String,
    /// Fraction of its sites that are gaps or missing (all four nucleotides possible).
    pub missing_fraction: f64,
    /// Number of its ambiguity codes (two or three nucleotides possible).
    pub ambiguous_characters: usize,
}

/// Counts over an alignment.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct AlignmentSummary {
    /// Number of sequences.
    pub taxa: usize,
    /// Number of columns.
    pub sites: usize,
    /// Number of distinct columns, as sets of possible nucleotides.
    pub distinct_patterns: usize,
    /// Number of columns in which all sequences may have the same nucleotide (columns of gaps are among them).
    pub constant_sites: usize,
    /// Number of columns in which at least two nucleotides occur at least twice each, counting no ambiguity codes.
    pub parsimony_informative_sites: usize,
    /// Number of columns in which every character is a gap or missing.
    pub all_gap_sites: usize,
    /// Fraction of all characters that are gaps or missing.
    pub missing_fraction: f64,
    /// Fraction of all characters that are written `-`.
    pub gap_fraction: f64,
    /// Number of ambiguity codes (two or three nucleotides possible).
    pub ambiguous_characters: usize,
    /// Fractions of A, C, G, T among the unambiguous characters; zeros if there are none.
    pub base_composition: [f64; 4],
    /// Counts over each sequence, in the order of the alignment.
    pub per_taxon: Vec<TaxonSummary>,
    /// Groups of sequences that are the same at every site, as sets of possible nucleotides; all are kept.
    pub identical_sequences: Vec<Vec<String>>,
    /// What a user should know before inference.
    pub warnings: Vec<Warning>,
}

impl AlignmentSummary {
    /// Counts in one pass over the distinct columns; O(`n_taxa` · `n_sites`).
    pub fn new(alignment: &Alignment) -> AlignmentSummary {
        let (taxa, sites) = (alignment.n_taxa(), alignment.n_sites());
        let patterns = SitePatterns::new(alignment);
        let (mut constant_sites, mut informative_sites, mut all_gap_sites) = (0, 0, 0);
        for pattern in 0..patterns.n_patterns() {
            let weight = patterns.weights[pattern] as usize;
            let mut counts = [0_usize; 4];
            let (mut common, mut gaps) = (ALL_STATES, 0);
            for row in &patterns.states {
                common &= row[pattern];
                gaps += usize::from(row[pattern] == ALL_STATES);
                if row[pattern].count_ones() == 1 {
                    counts[row[pattern].trailing_zeros() as usize] += 1;
                }
            }
            constant_sites += if common != 0 { weight } else { 0 };
            all_gap_sites += if gaps == taxa { weight } else { 0 };
            informative_sites +=
                if counts.iter().filter(|&&count| count >= 2).count() >= 2 { weight } else { 0 };
        }
        let gaps = alignment.rows.iter().flatten().filter(|&&byte| byte == b'-').count();
        let mut composition = [0_usize; 4];
        let (mut missing, mut ambiguous) = (0, 0);
        let mut per_taxon = Vec::with_capacity(taxa);
        let mut groups: FxHashMap<Vec<u8>, Vec<usize>> = FxHashMap::default();
        for (number, row) in alignment.rows.iter().enumerate() {
            let states: Vec<u8> = row.iter().map(|&byte| state_set(byte).unwrap_or(ALL_STATES)).collect();
            let row_missing = states.iter().filter(|&&set| set == ALL_STATES).count();
            let row_ambiguous = states.iter().filter(|set| (2..=3).contains(&set.count_ones())).count();
            for set in states.iter().filter(|set| set.count_ones() == 1) {
                composition[set.trailing_zeros() as usize] += 1;
            }
            missing += row_missing;
            ambiguous += row_ambiguous;
            per_taxon.push(TaxonSummary {
                name: alignment.taxa[number].clone(),
                missing_fraction: fraction(row_missing, sites),
                ambiguous_characters: row_ambiguous,
            });
            groups.entry(states).or_default().push(number);
        }
        let mut identical: Vec<Vec<usize>> = groups.into_values().filter(|group| group.len() > 1).collect();
        identical.sort();
        let named = |group: Vec<usize>| group.into_iter().map(|row| alignment.taxa[row].clone()).collect();
        let unambiguous = composition.iter().sum();
        let mut summary = AlignmentSummary {
            taxa,
            sites,
            distinct_patterns: patterns.n_patterns(),
            constant_sites,
            parsimony_informative_sites: informative_sites,
            all_gap_sites,
            missing_fraction: fraction(missing, taxa * sites),
            gap_fraction: fraction(gaps, taxa * sites),
            ambiguous_characters: ambiguous,
            base_composition: composition.map(|count| fraction(count, unambiguous)),
            per_taxon,
            identical_sequences: identical.into_iter().map(named).collect(),
            warnings: Vec::new(),
        };
        summary.warnings = summary.find_warnings();
        summary
    }

    fn find_warnings(&self) -> Vec<Warning> {
        let mut warnings = Vec::new();
        let mut warn = |message: String, advice: &str| warnings.push(Warning::new(message, advice));
        if self.taxa < 4 {
            warn(
                format!("{} taxa have a single unrooted tree", self.taxa),
                "add sequences: inference needs at least 4",
            );
        }
        if self.all_gap_sites > 0 {
            warn(
                format!("{} column(s) hold nothing but gaps or missing data", self.all_gap_sites),
                "they do not change the result; remove them if they are not meant",
            );
        }
        for taxon in self.per_taxon.iter().filter(|taxon| taxon.missing_fraction == 1.0) {
            warn(
                format!("sequence {} holds nothing but gaps or missing data", taxon.name),
                "the data cannot place it in the tree: remove it or complete it",
            );
        }
        for group in &self.identical_sequences {
            warn(
                format!("identical sequences: {}", group.join(", ")),
                "all are kept; the data cannot resolve the tree among them",
            );
        }
        if self.parsimony_informative_sites == 0 {
            warn(
                "no site is parsimony-informative".into(),
                "expect the posterior over topologies to stay close to the prior",
            );
        } else if self.parsimony_informative_sites + 3 < self.taxa {
            warn(
                format!(
                    "{} parsimony-informative site(s) for the {} inner branches of a tree",
                    self.parsimony_informative_sites,
                    self.taxa - 3
                ),
                "expect a spread-out posterior; use more sites if there are any",
            );
        }
        if self.missing_fraction > 0.5 {
            warn(
                format!("{:.0} % of the characters are gaps or missing", 100.0 * self.missing_fraction),
                "check the alignment",
            );
        }
        warnings
    }
}

impl fmt::Display for AlignmentSummary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "taxa                         {}", self.taxa)?;
        writeln!(f, "sites                        {}", self.sites)?;
        writeln!(f, "distinct patterns            {}", self.distinct_patterns)?;
        writeln!(f, "constant sites               {}", self.constant_sites)?;
        writeln!(f, "parsimony-informative sites  {}", self.parsimony_informative_sites)?;
        writeln!(f, "columns of gaps only         {}", self.all_gap_sites)?;
        writeln!(f, "gaps                         {:.3} %", 100.0 * self.gap_fraction)?;
        writeln!(f, "gaps and missing             {:.3} %", 100.0 * self.missing_fraction)?;
        writeln!(f, "ambiguity codes              {}", self.ambiguous_characters)?;
        write!(f, "base composition            ")?;
        for (letter, fraction) in STATE_LETTERS.iter().zip(self.base_composition) {
            write!(f, " {} {fraction:.3}", *letter as char)?;
        }
        writeln!(f)?;
        for taxon in &self.per_taxon {
            let percent = 100.0 * taxon.missing_fraction;
            writeln!(
                f,
                "  {}: {percent:.3} % missing, {} ambiguous",
                taxon.name, taxon.ambiguous_characters
            )?;
        }
        self.warnings.iter().try_for_each(|warning| writeln!(f, "warning: {warning}"))
    }
}

/// `part / whole`, 0 for an empty whole.
fn fraction(part: usize, whole: usize) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}
