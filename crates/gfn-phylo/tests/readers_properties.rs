//! Readers by property: every format reads back, no panic on any bytes.

use std::path::Path;

use gfn_phylo::partition::parse_partitions;
use gfn_phylo::{Alignment, AlignmentFile, parse_alignment, write_fasta};
use proptest::prelude::*;

/// Characters with a meaning somewhere.
const ODD: &str = "'\"[](){};=\n\r\t -.,\\*19é";

/// Words of the formats, for nonsense that gets past the first command.
#[rustfmt::skip]
const WORDS: [&str; 48] = [
    " ", " ", " ", "\n", "\n", ";", ";", "=", "=", "a", "b", "ACGT", "AC", "é", "'", "''", "\"", "[", "]", "{", "(", ")",
    "}", "*", "-", ".", ",", "\\", "/", "1", "2", "4", "0", "99999999999999999999", "begin ", "data", "end;",
    "dimensions ", "ntax=2 ", "nchar=4 ", "format ", "missing=", "matchchar=", "interleave", "equate=", "matrix ",
    "charset ", "taxlabels ",
];

fn parse(text: &str) -> gfn_core::Result<AlignmentFile> {
    parse_alignment(text.as_bytes(), Path::new("file.txt"))
}

fn alignments() -> impl Strategy<Value = Alignment> {
    let name = "[A-Za-z][A-Za-z0-9_.|-]{0,8}"; // fits a strict PHYLIP name
    let size = (2_usize..7, 1_usize..200);
    size.prop_flat_map(move |(n_taxa, n_sites)| {
        let names = proptest::collection::hash_set(name, n_taxa);
        let row =
            proptest::collection::vec(proptest::sample::select(b"ACGTRYSWKMBDHVNXO?-".to_vec()), n_sites);
        (names, proptest::collection::vec(row, n_taxa))
    })
    .prop_map(|(names, rows)| Alignment::new(names.into_iter().collect(), rows).unwrap())
}

/// Rows as text in blocks of `width`, each line begun by `name(row, block)`; `separator` between the blocks.
fn interleaved(
    alignment: &Alignment,
    width: usize,
    separator: &str,
    name: impl Fn(usize, usize) -> String,
) -> String {
    let mut text = String::new();
    for block in 0..alignment.n_sites().div_ceil(width) {
        for (number, row) in alignment.rows.iter().enumerate() {
            let part = &row[block * width..((block + 1) * width).min(row.len())];
            text += &format!("{}{}\n", name(number, block), std::str::from_utf8(part).unwrap());
        }
        text += separator;
    }
    text
}

/// FASTA with its sequences, not its names, in lower case.
fn lower_case(fasta: &str) -> String {
    let lines = fasta.lines().map(|line| {
        if line.starts_with('>') { format!("{line}\n") } else { format!("{}\n", line.to_ascii_lowercase()) }
    });
    lines.collect()
}

fn wrapped(alignment: &Alignment, width: usize) -> String {
    let rows = alignment.taxa.iter().zip(&alignment.rows).map(|(name, row)| {
        let lines: Vec<&str> = row.chunks(width).map(|line| std::str::from_utf8(line).unwrap()).collect();
        format!("{name} {}\n", lines.join("\n"))
    });
    rows.collect()
}

fn all_formats(alignment: &Alignment, width: usize) -> Vec<String> {
    let (n_taxa, n_sites, taxa) = (alignment.n_taxa(), alignment.n_sites(), &alignment.taxa);
    let whole = n_sites.max(1);
    let relaxed = |row: usize, _: usize| format!("{}  ", taxa[row]);
    let strict = |row: usize, _: usize| format!("{:<10}", taxa[row]);
    let first = |row: usize, block: usize| if block == 0 { relaxed(row, 0) } else { "  ".into() };
    let quoted = |row: usize, _: usize| format!("'{}' ", taxa[row]);
    let nexus = |format: &str, matrix: String| {
        format!(
            "#NEXUS\nbegin data;\ndimensions ntax={n_taxa} nchar={n_sites};\nformat datatype=dna {format};\n\
             matrix\n{matrix};\nend;\n"
        )
    };
    vec![
        write_fasta(alignment),
        lower_case(&write_fasta(alignment)).replace('\n', "\r\n"),
        format!("{n_taxa} {n_sites}\n{}", interleaved(alignment, whole, "", relaxed)),
        format!("{n_taxa} {n_sites}\n{}", interleaved(alignment, whole, "", strict)),
        format!("{n_taxa} {n_sites} S\n{}", wrapped(alignment, width)),
        format!("{n_taxa} {n_sites} I\n{}", interleaved(alignment, width, "\n", first)),
        format!("{n_taxa} {n_sites}\n{}", interleaved(alignment, width, "\n", relaxed)),
        nexus("", interleaved(alignment, whole, "", quoted)),
        nexus("", wrapped(alignment, width)),
        nexus("interleave", interleaved(alignment, width, "[x]\n", relaxed)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_format_reads_back(alignment in alignments(), width in 1_usize..70) {
        for text in all_formats(&alignment, width) {
            let read = parse(&text).map_err(|error| TestCaseError::fail(format!("{text}\n{error}")))?.alignment;
            prop_assert_eq!(&read.rows, &alignment.rows, "{}", text);
            prop_assert_eq!(&read.taxa, &alignment.taxa, "{}", text);
        }
    }

    #[test]
    fn no_bytes_make_the_readers_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400), start in 0_usize..5) {
        let begin: [&[u8]; 5] = [b"", b">a\n", b"#NEXUS begin data;", b"2 4\n", b"DNA, a = "];
        let text = [begin[start], &bytes].concat();
        let _ = parse_alignment(&text, Path::new("f"));
        let _ = parse_partitions(&text, Path::new("f"), 10);
    }

    #[test]
    fn words_in_any_order_never_panic(
        words in proptest::collection::vec(proptest::sample::select(WORDS.to_vec()), 0..60),
        start in 0_usize..4,
    ) {
        let begin = ["", "#NEXUS begin data; ", "2 4\n", ">"];
        let text = format!("{}{}", begin[start], words.concat());
        if let Err(error) = parse(&text) {
            prop_assert!(error.to_string().starts_with("file.txt"), "{}", error);
        }
        let _ = parse_partitions(text.as_bytes(), Path::new("f"), 10);
    }

    #[test]
    fn damaged_files_never_panic_and_what_is_read_is_sound(
        alignment in alignments(),
        format in 0_usize..10,
        damage in proptest::collection::vec((any::<proptest::sample::Index>(), 0_usize..4, any::<char>()), 1..6),
        odd in proptest::collection::vec(proptest::sample::select(ODD.chars().collect::<Vec<_>>()), 6),
    ) {
        let mut text: Vec<char> = all_formats(&alignment, 13)[format].chars().collect();
        for (number, (at, kind, any)) in damage.into_iter().enumerate() {
            if text.is_empty() {
                break;
            }
            let at = at.index(text.len());
            match kind {
                0 => { text.remove(at); }
                1 => text.insert(at, odd[number]),
                2 => text[at] = any,
                _ => text.truncate(at),
            }
        }
        let text: String = text.into_iter().collect();
        match parse(&text) {
            Ok(file) => {
                let again = Alignment::new(file.alignment.taxa.clone(), file.alignment.rows.clone()).unwrap();
                prop_assert_eq!(again, file.alignment);
            }
            Err(error) => prop_assert!(error.to_string().starts_with("file.txt"), "{}", error),
        }
    }
}
