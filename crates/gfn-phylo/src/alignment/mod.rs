//! Reading alignments: FASTA, PHYLIP and NEXUS, told apart by their content.

mod assemble;
mod character_sets;
mod fasta;
mod nexus;
mod nexus_matrix;
mod nexus_text;
mod nexus_writer;
mod phylip;
mod source;
mod summary;

use std::fmt;
use std::path::Path;

use gfn_core::{Error, Place, Result, Warning};
use serde::{Deserialize, Serialize};

pub use character_sets::CharacterSet;
pub(crate) use character_sets::{Definition, resolve};
pub use fasta::write_fasta;
pub(crate) use nexus::character_set_definitions;
pub use nexus_writer::{nexus_word, write_nexus};
pub(crate) use source::Source;
pub use summary::{AlignmentSummary, TaxonSummary};

use crate::Alignment;

/// The file formats that [`parse_alignment`] knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// Records that begin with `>` (Pearson and Lipman 1988).
    Fasta,
    /// Two counts, then rows: sequential or interleaved, strict or relaxed names (Felsenstein 1989).
    Phylip,
    /// Blocks of commands after `#NEXUS` (Maddison, Swofford and Maddison 1997).
    Nexus,
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Format::Fasta => "FASTA",
            Format::Phylip => "PHYLIP",
            Format::Nexus => "NEXUS",
        })
    }
}

/// What a file of aligned sequences holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AlignmentFile {
    /// The sequences, in the order of the file.
    pub alignment: Alignment,
    /// The format that was recognised.
    pub format: Format,
    /// Named sets of sites (`charset` commands of a NEXUS file), in the order of the file.
    pub charsets: Vec<CharacterSet>,
    /// What was noticed while reading.
    pub warnings: Vec<Warning>,
}

/// Reads an alignment in any known format.
///
/// # Errors
/// A file that cannot be read, and all of [`parse_alignment`].
pub fn read_alignment(path: &Path) -> Result<AlignmentFile> {
    let bytes = std::fs::read(path).map_err(|error| Error::io(path, "read", &error))?;
    parse_alignment(&bytes, path)
}

/// Reads an alignment from the content of a file; `file_name` is only for the messages.
///
/// The format is recognised by content: `>` begins FASTA, `#NEXUS` NEXUS, two whole numbers PHYLIP. Letters become
/// upper case and `U` becomes `T`; names stay as they are.
///
/// # Errors
/// An unknown format, broken syntax, unknown characters, unequal lengths, empty or repeated names, fewer than two
/// sequences. The message names file, line, column and taxon.
pub fn parse_alignment(text: &[u8], file_name: &Path) -> Result<AlignmentFile> {
    let source = Source::new(text, file_name)?;
    let format = recognise(&source)?;
    let (alignment, charsets, mut warnings) = match format {
        Format::Fasta => (fasta::parse(&source)?, Vec::new(), Vec::new()),
        Format::Phylip => {
            let (alignment, warnings) = phylip::parse(&source)?;
            (alignment, Vec::new(), warnings)
        }
        Format::Nexus => nexus::parse(&source)?,
    };
    if format != Format::Nexus && alignment.rows.iter().skip(1).any(|row| row.contains(&b'.')) {
        warnings.push(Warning::new(
            "'.' is read as missing data",
            "if it means \"as in the first sequence\", write the letters out, or use NEXUS with matchchar=.",
        ));
    }
    Ok(AlignmentFile { alignment, format, charsets, warnings })
}

/// Refuses alignments that are too small for inference: an unrooted tree is a question from four taxa on.
///
/// # Errors
/// Fewer than four taxa.
pub fn check_for_trees(alignment: &Alignment) -> Result<()> {
    if alignment.n_taxa() < 4 {
        return Err(Error::input(
            Place::item("alignment"),
            "at least 4 taxa",
            format!("{}", alignment.n_taxa()),
            "fewer than four taxa have a single unrooted tree: there is nothing to infer; add sequences",
        ));
    }
    Ok(())
}

/// The format, by the first character or word of the content.
fn recognise(source: &Source) -> Result<Format> {
    const KNOWN: &str =
        "an alignment in FASTA ('>' first), NEXUS ('#NEXUS' first) or PHYLIP (two counts first)";
    let start = source.text.len() - source.text.trim_start().len();
    let content = &source.text[start..];
    let first_line = content.lines().next().unwrap_or("");
    if content.is_empty() {
        return Err(Error::input(
            Place::file(source.file),
            "an alignment in FASTA, PHYLIP or NEXUS",
            "empty file",
            "check that the file was written and named correctly",
        ));
    }
    if content.starts_with('>') {
        return Ok(Format::Fasta);
    }
    if content.get(..6).is_some_and(|word| word.eq_ignore_ascii_case("#nexus")) {
        return Ok(Format::Nexus);
    }
    let mut words = first_line.split_whitespace();
    let is_count = |word: Option<&str>| {
        word.is_some_and(|word| word.trim_start_matches(['-', '+']).bytes().all(|byte| byte.is_ascii_digit()))
    };
    if is_count(words.next()) && is_count(words.next()) {
        return Ok(Format::Phylip);
    }
    let upper = first_line.to_ascii_uppercase();
    let (found, advice) = if upper.starts_with("CLUSTAL") {
        ("a Clustal alignment", "convert it to FASTA")
    } else if upper.starts_with("# STOCKHOLM") {
        ("a Stockholm alignment", "convert it to FASTA")
    } else if content.starts_with('@') {
        ("what looks like FASTQ reads", "align the sequences and write them as FASTA")
    } else if content.starts_with('<') {
        ("what looks like XML", "export the alignment as NEXUS or FASTA")
    } else if content.starts_with('(') {
        ("what looks like a Newick tree", "give the alignment, not the tree")
    } else {
        let beginning: String = first_line.chars().take(30).collect();
        return Err(source.error(
            start,
            KNOWN,
            format!("\"{}\"", beginning.escape_debug()),
            "check that this is the alignment; if so, write it as FASTA",
        ));
    };
    Err(source.error(start, KNOWN, found, advice))
}
