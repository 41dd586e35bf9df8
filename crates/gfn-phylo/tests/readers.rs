//! Readers of FASTA, PHYLIP and NEXUS: shared vectors, edge cases, round trips, and no panic on any bytes.

use std::path::{Path, PathBuf};

use gfn_core::ErrorKind;
use gfn_phylo::{
    AlignmentFile, AlignmentSummary, Format, check_for_trees, parse_alignment, read_alignment, write_fasta,
};
use serde_json::Value;

fn data(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/parser").join(name)
}

fn parse(text: &str) -> gfn_core::Result<AlignmentFile> {
    parse_alignment(text.as_bytes(), Path::new("file.txt"))
}

/// `name:characters` for each row.
fn rows(text: &str) -> Vec<String> {
    let file = parse(text).unwrap_or_else(|error| panic!("{text}\n{error}"));
    let alignment = file.alignment;
    let rows = alignment.rows.iter().map(|row| String::from_utf8(row.clone()).unwrap());
    alignment.taxa.iter().zip(rows).map(|(name, row)| format!("{name}:{row}")).collect()
}

#[track_caller]
fn refused(text: &[u8], parts: &[&str]) {
    match parse_alignment(text, Path::new("file.txt")) {
        Ok(file) => panic!("was read as {:?}", file.alignment),
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::Input);
            let message = error.to_string();
            assert!(message.starts_with("file.txt"), "{message}");
            assert!(!error.advice().is_empty(), "{message}");
            for part in parts {
                assert!(message.contains(part), "\"{part}\" is not in: {message}");
            }
        }
    }
}

#[test]
fn shared_vectors() {
    let expected: Value = serde_json::from_slice(&std::fs::read(data("expected.json")).unwrap()).unwrap();
    let mut alignments = 0;
    for (name, case) in expected.as_object().unwrap().iter().filter(|(name, _)| !name.ends_with(".nwk")) {
        alignments += 1;
        let read = read_alignment(&data(name));
        if case["ok"] == true {
            let alignment = read.unwrap_or_else(|error| panic!("{name}: {error}")).alignment;
            let taxa: Vec<&str> =
                case["taxa"].as_array().unwrap().iter().map(|t| t.as_str().unwrap()).collect();
            assert_eq!(alignment.taxa, taxa, "{name}");
            for (taxon, row) in taxa.iter().zip(&alignment.rows) {
                assert_eq!(std::str::from_utf8(row).unwrap(), case["alignment"][taxon], "{name}: {taxon}");
            }
        } else {
            let message = read.expect_err(name).to_string();
            assert!(message.contains(case["error"].as_str().unwrap()), "{name}: {message}");
            assert!(message.contains(name.as_str()), "{message}");
        }
    }
    assert_eq!(alignments, 12);
}

#[test]
fn fasta_names_line_ends_and_blanks() {
    let want = ["a|1:ACGT", "b:AC-T"];
    for text in [
        ">a|1 first\nAC GT\n\n>b\nac-u\n",
        "\u{feff}\r\n  >a|1\tx\r\nACGT\r\n>b\r\nAC\r\n-T",
        ">a|1\rACGT\r>b\rAC-T\r",
        "> a|1 spaced\nACGT\n>b\nAC-T\n\n\n",
    ] {
        assert_eq!(rows(text), want, "{text:?}");
    }
    assert_eq!(rows(">ä\nAX\n>b\nO.\n"), ["ä:AX", "b:O."]);
    let dotted = parse(">a\nAC\n>b\n.C\n").unwrap();
    assert_eq!(dotted.format, Format::Fasta);
    assert!(dotted.warnings[0].message.contains("'.'"));
    assert!(parse(">a\n.C\n>b\nAC\n").unwrap().warnings.is_empty());
}

#[test]
fn fasta_errors_name_the_place() {
    refused(
        b">a\nACGT\n>b\nA C\nJT\n",
        &["line 5, column 1", "taxon b", "invalid character 'J' at sequence b, site 3"],
    );
    refused(b">a\nACGT\n>b\nAC\xc3\xa9T\n", &["line 4, column 3", "'é' at sequence b, site 3"]);
    refused(b">a\nACGT\n>b\nACG\n", &["line 3", "taxon b", "unequal lengths: b has 3, expected 4"]);
    refused(b">a x\nACGT\n>b\nACGT\n>a y\nACGT\n", &["line 5", "duplicate name a", "first in line 1"]);
    refused(b">a\nAC\n>\nAC\n", &["line 3", "sequence number 2", "empty name"]);
    refused(b">a\nAC\n>\n>b\nAC\n", &["line 3", "sequence number 2", "empty name"]);
    refused(b">a\nAC\n>b\nAC\n>", &["line 5", "sequence number 3", "empty name"]);
    refused(b">a\nACGT\n", &["at least 2 sequences", "found 1"]);
    refused(b">a\n>b\n", &["at least one site"]);
    refused(b">a\n>b\nAC\n", &["unequal lengths: b has 2, expected 0"]);
    refused(b">a\nMKVLEF\n>b\nMKILEF\n", &["line 2, column 4", "'L'", "protein"]);
    let typo = format!(">a\n{}E\n>b\n{}A\n", "ACGT".repeat(10), "ACGT".repeat(10));
    refused(typo.as_bytes(), &["invalid character 'E' at sequence a, site 41", "correct the character"]);
}

#[test]
fn content_that_is_no_alignment_is_named() {
    for empty in [&b""[..], b" \r\n\t\n", b"\xef\xbb\xbf"] {
        refused(empty, &["empty file"]);
    }
    refused(b"\x1f\x8b\x08\0\0", &["gzip", "gunzip"]);
    refused(b"PK\x03\x04rest", &["zip archive"]);
    refused(b"\xff\xfe>\0a\0", &["UTF-16"]);
    refused(b">a\nAC\0GT\n", &["NUL", "line 2, column 3"]);
    refused(b">a\nAC\n>b\xe9\nAC\n", &["0xE9", "UTF-8", "line 3, column 3"]);
    refused(b"\x89PNG\r\n", &["UTF-8"]);
    refused(b"CLUSTAL W\n\na ACGT\n", &["Clustal"]);
    refused(b"@r1\nACGT\n+\nIIII\n", &["FASTQ"]);
    refused(b"((a,b),c);", &["Newick"]);
    refused(b"hello world", &["hello world", "line 1, column 1"]);
    let missing = read_alignment(Path::new("no such file")).unwrap_err();
    assert_eq!(missing.kind(), ErrorKind::Input);
}

#[test]
fn phylip_layouts_all_read_the_same() {
    let want = ["Homo:ACGTACGTAC", "Pan:ACGTTCGTAA", "Gorilla:RCGTACG-AC"];
    for text in [
        "3 10\nHomo ACGTACGTAC\nPan ACGTTCGTAA\nGorilla RCGTACG-AC\n",
        "  3\t10\r\nHomo\tACGTACGTAC\r\nPan\tacguucguaa\r\nGorilla  RCGTA CG-AC\r\n",
        "3 10\nHomo      ACGTACGTAC\nPan       ACGTTCGTAA\nGorilla   RCGTACG-AC\n",
        "3 10 S\nHomo ACGT\nACGTAC\nPan ACGTTC\nGT\nAA\nGorilla\nRCGTACG-AC\n",
        "3 10\nHomo ACGT\nPan ACGT\nGorilla RCGT\n\nACGTAC\nTCGTAA\nACG-AC\n",
        "3 10 I\nHomo ACGT\nPan ACGT\nGorilla RCGT\nACGTAC\nTCGTAA\nACG-AC\n",
        "3 10\nHomo ACGT\nPan ACGT\nGorilla RCGT\n\nHomo ACGTAC\nPan TCGTAA\nGorilla ACG-AC\n",
        "3 10\nHomo      ACGT\nPan       ACGT\nGorilla   RCGT\n\n          ACGTAC\n          TCGTAA\n  ACG-AC\n",
        "3 10\n\nHomo\nACGTACGTAC\n\nPan\nACGTTCGTAA\n\nGorilla\nRCGTACG-AC",
    ] {
        assert_eq!(rows(text), want, "{text}");
        assert_eq!(parse(text).unwrap().format, Format::Phylip);
        assert!(parse(text).unwrap().warnings.is_empty(), "{text}");
    }
}

#[test]
fn strict_phylip_names_may_hold_blanks_and_touch_the_sequence() {
    assert_eq!(rows("2 6\nHomo sapieACGTAC\nPan p.    ACGTAA\n"), ["Homo sapie:ACGTAC", "Pan p.:ACGTAA"]);
    assert_eq!(
        rows("2 6\nTurtle   1ACGTAC\nTurtle   2AAA AAA\n"),
        ["Turtle   1:ACGTAC", "Turtle   2:AAAAAA"]
    );
    assert_eq!(
        rows("2 6\nHomo sapieACG\nPan panis ACG\n\nTAC\nTAA\n"),
        ["Homo sapie:ACGTAC", "Pan panis:ACGTAA"]
    );
    assert_eq!(
        rows("2 6\nHomo sapieACG\nTAC\nPan panis ACG\nTAA\n"),
        ["Homo sapie:ACGTAC", "Pan panis:ACGTAA"]
    );
}

#[test]
fn sequences_that_look_like_names_do_not_mislead() {
    assert_eq!(rows("2 8\na ACGT\nACGT\nb ACGA\nACGA\n"), ["a:ACGTACGT", "b:ACGAACGA"]);
    assert_eq!(rows("2 8\na ACGT\nb ACGA\nACGT\nACGA\n"), ["a:ACGTACGT", "b:ACGAACGA"]);
    let text = "2 4\nA CG\nC GC\n\nA CG\nC GC\n"; // names repeated: the only reading with 4 sites
    assert_eq!(rows(text), ["A:CGCG", "C:GCGC"]);
}

#[test]
fn phylip_of_two_readings_warns_unless_the_header_decides() {
    let lines = "A CC\nC GG\nT AA\nGGG\n";
    let sequential = ["A:CCCGG", "T:AAGGG"];
    let interleaved = ["A:CCTAA", "C:GGGGG"];
    let warnings = |text: &str| parse(text).unwrap().warnings;
    let plain = format!("2 5\n{lines}");
    assert_eq!(rows(&plain), sequential);
    assert!(warnings(&plain)[0].message.contains("in 2 ways"));
    let blank = plain.replace("GG\nT", "GG\n\nT");
    assert_eq!(rows(&blank), interleaved);
    assert_eq!(warnings(&blank).len(), 1);
    for (option, want) in [("S", sequential), ("i", interleaved)] {
        let text = format!("2 5 {option}\n{lines}");
        assert_eq!(rows(&text), want);
        assert_eq!(warnings(&text), []);
    }
}

#[test]
fn phylip_errors_name_the_place() {
    refused(
        b"3 4\na ACGT\nb ACJT\nc ACGT\n",
        &["line 3, column 5", "invalid character 'J' at sequence b, site 3"],
    );
    refused(b"3 4\na ACGT\nb ACG\nc ACGT\n", &["line 3", "unequal lengths: b has 3, expected 4"]);
    refused(b"3 4\na ACGT\nb ACGTA\nc ACGT\n", &["line 3", "unequal lengths: b has 5, expected 4"]);
    refused(b"3 5\na ACGT\nb ACGA\nc ACGC\n", &["expected 5 sites", "4 in every sequence"]);
    refused(b"4 4\na ACGT\nb ACGA\nc ACGC\n", &["expected 4 sequences", "found 3", "cut off"]);
    refused(b"2 4\na ACGT\nb ACGA\nc ACGC\n", &["line 4", "after 2 sequences", "more lines"]);
    refused(b"3 4\n", &["expected 3 sequences", "found 0"]);
    refused(b"3 4", &["expected 3 sequences", "found 0"]);
    refused(b"2 8\na ACGT\nACGT\nb ACGT\nAC\n", &["taxon b", "b has 6, expected 8"]);
    refused(b"2 8\na ACGT\nb ACGT\n\nACGT\nACJT\n", &["line 6, column 3", "'J' at sequence b, site 7"]);
    refused(b"2 4\na ACGT\na ACGA\n", &["duplicate name a"]);
    refused(b"2 4\n          ACGT\nb         ACGA\n", &["sequence number 1", "empty name"]);
    refused(b"1 4\na ACGT\n", &["at least 2 sequences"]);
    refused(b"0 4\n", &["line 1", "number of sequences"]);
    refused(b"-2 4\na ACGT\n", &["number of sequences"]);
    refused(b"99999999999999999999999 4\na ACGT\n", &["number of sequences"]);
    refused(b"9999999999999 9999999999999\na ACGT\n", &["expected 9999999999999 sequences"]);
    refused(b"2 4 W\na ACGT\nb ACGT\n", &["also \"W\""]);
    refused(b"2 6\na MKVLEF\nb MKILEF\n", &["'L'", "protein"]);
}

const HEAD: &str = "#NEXUS\nbegin data;\ndimensions ntax=2 nchar=8;\n";

fn nexus(format: &str, matrix: &str) -> String {
    format!("{HEAD}format datatype=dna {format};\nmatrix\n{matrix}\n;\nend;\n")
}

#[test]
fn nexus_matrices() {
    let want = ["a_1:ACGTACGT", "b:ACGAAC-?"];
    for text in [
        nexus("gap=- missing=?", "a_1 ACGTACGT\nb ACGAAC-?"),
        nexus("", "a_1 ACGT\nACGT\nb\nACGA\nAC-?"),
        nexus("", "a_1 ACGTACGT b ACGAAC-?"),
        nexus("interleave", "a_1 ACGT\nb ACGA\n\na_1 ACGT\nb AC-?"),
        nexus("interleave=yes", "a_1 ACGT\nb ACGA\na_1 AC\nb AC\n[3]a_1 GT\nb -?"),
        nexus("interleave=no", "'a_1' ACGTACGT [8]\nb ACG A AC -?"),
        nexus("matchchar=.", "a_1 ACGTACGT\nb ...A..-?"),
        nexus("missing = * gap = '#' matchchar=!", "a_1 ACGTACGT\nb !!!A!!#*"),
        nexus("missing=? gap=- matchchar=. interleave", "a_1 ACGT\nb ...A\n\na_1 ACGT\nb ..-?"),
        nexus("equate=\"x=A 1={A} \" symbols=\"ACGT\"", "a_1 xCGTACGT\nb ACGA1C-?"),
        nexus("", "[names]\na_1 [com[ment;]ed] AC[x]GTACGT\n[all ' of b]\nb ACGAAC-?"),
        "#nexus Begin Characters; Dimensions nchar = 8; FORMAT Datatype=RNA; \
         MATRIX a_1 acguacgu\nb acgaac-?\n; EndBlock;".into(),
        "#NEXUS\nbegin taxa; dimensions ntax=2; taxlabels a_1 b; end;\nbegin characters; dimensions nchar=8; \
         format datatype=nucleotide nolabels; matrix ACGTACGT\nACGAAC-?; end;"
            .into(),
        format!(
            "#NEXUS\n[head\n; begin data;]\nbegin notes; text it's 'don''t; x'; end;\n{}",
            &nexus("", "a_1 ACGTACGT\nb ACGAAC-?")[7..]
        ),
        nexus("", "a_1 ACGTACGT\nb ACGAAC-?").replace('\n', "\r"),
        nexus("", "a_1 ACGTACGT\nb ACGAAC-?").replace('\n', "\r\n"),
    ] {
        assert_eq!(rows(&text), want, "{text}");
        assert_eq!(parse(&text).unwrap().format, Format::Nexus);
    }
}

#[test]
fn nexus_sets_become_codes() {
    let text = nexus("", "a {AC}(AG)[x]{A T}{C,G}{cgt}{ACGT}{A-}{G}\n'b c''d' ACGTACGT");
    assert_eq!(rows(&text), ["a:MRWSBNNG", "b c'd:ACGTACGT"]);
    refused(nexus("", "a {AE}CGTACGT\nb ACGTACGT").as_bytes(), &["line 6, column 3", "{AE}", "site 1"]);
    refused(nexus("", "a {}ACGTACG\nb ACGTACGT").as_bytes(), &["a set of nucleotides"]);
    refused(nexus("", "a ACGTACG{A\nb ACGTACGT").as_bytes(), &["line 6, column 10", "end of the set"]);
}

#[test]
fn nexus_errors_name_the_place() {
    let error = |format: &str, matrix: &str, parts: &[&str]| refused(nexus(format, matrix).as_bytes(), parts);
    error("", "a ACGTACGT\nb ACJTACGT", &["line 7, column 5", "invalid character 'J' at sequence b, site 3"]);
    error("", "a ACGTACGT\nb ACGTACG", &["line 7", "unequal lengths: b has 7, expected 8"]);
    error("", "a ACGTACG\nb ACGTACG", &["8 sites, as the header says", "7 in every"]);
    error("", "a ACGTACGT\na ACGTACGT", &["duplicate name a"]);
    error("", "a ACGTACGT\nb ACGTACGT\nc ACGTACGT", &["2 sequences, as DIMENSIONS says", "found 3"]);
    error("", "a ACGTACGT", &["found 1"]);
    error("", "", &["expected 2 sequences", "found 0"]);
    error("interleave", "a ACGT\nb ACGT\n\na ACGT\nc ACGT", &["line 10, column 1", "\"c\""]);
    error("interleave", "a ACGT\nb ACGT\n\na ACGT", &["unequal lengths: b has 4, expected 8"]);
    error("interleave", "a ACGT\na ACGT\nb ACGTACGT", &["duplicate name a"]);
    error(
        "matchchar=.",
        "a ACG.ACGT\nb ACGTACGT",
        &["line 6, column 6", "match character '.' in the first row"],
    );
    error("missing=A", "a ACGTACGT\nb ACGTACGT", &["stands for no nucleotide"]);
    error("gap=", "a ACGTACGT\nb ACGTACGT", &["gap="]);
    error("symbols=\"012\"", "a 01201201\nb 01201201", &["symbols"]);
    error("equate=\"x=E\"", "a ACGTACGT\nb ACGTACGT", &["equate"]);
    error("transpose", "a ACGTACGT\nb ACGTACGT", &["transpose is not supported"]);
    error("nolabels", "ACGTACGT\nACGTACGT", &["TAXLABELS"]);
    error("", "a ACGTACGT\nb ACGTACGT\n[open", &["line 8, column 1", "close the comment"]);
    for kind in ["protein", "standard", "mixed(Standard:1-4,DNA:5-8)", "continuous"] {
        let text = nexus("", "a ACGTACGT\nb ACGTACGT").replace("datatype=dna", &format!("datatype={kind}"));
        let word = kind.split('(').next().unwrap();
        refused(text.as_bytes(), &["line 4", &format!("datatype {word} is not supported")]);
    }
    refused(b"#NEXUS\nbegin trees; tree a = (a,b); end;\n", &["a DATA or CHARACTERS block", "none"]);
    refused(b"#NEXUS", &["a DATA or CHARACTERS block"]);
    refused(b"#NEXUS begin data; dimensions ntax=x nchar=4; matrix a AC; end;", &["\"x\"", "ntax"]);
    refused(b"#NEXUS begin data; dimensions ntax=2 nchar=4; matrix a ACGT\nb ACGT\n", &["';'", "cut off"]);
    refused(
        b"#NEXUS begin data; dimensions ntax=2 nchar=4; matrix a ACGT\nb ACGT\nend;",
        &["line 3", "';' after"],
    );
    refused(b"#NEXUS begin taxa; dimensions ntax=3; taxlabels a b; end;", &["3 names", "found 2"]);
    refused("#NEXUS\nä;ö=é\n".as_bytes(), &["a DATA or CHARACTERS block"]);
    let foreign = "#NEXUS begin taxa; dimensions ntax=2; taxlabels a c; end;".to_string()
        + &nexus("", "a ACGTACGT\nb ACGTACGT")[6..];
    assert!(parse(&foreign).unwrap().warnings[0].message.contains("TAXLABELS, such as b"));
    let two = nexus("", "a ACGTACGT\nb ACGTACGT") + &nexus("", "c ACGTACGT\nd ACGTACGT")[6..];
    assert_eq!(rows(&two)[0], "a:ACGTACGT");
    assert!(parse(&two).unwrap().warnings[0].message.contains("several data matrices"));
}

#[test]
fn nexus_character_sets() {
    let blocks = "begin SETS; charset g1 = 1-3; CharSet 'g 2'=4 - 8 \\ 2 [odd]; charset both = g1 'g 2'; end;\n\
        begin mrbayes; charset 28S=7-.; charset c(standard) = 1 3, 5; \
        charset ALLSITES = all; partition p = 2: g1, c; end;\n\
        begin paup; charset * back = 2-4 1 3; end;";
    let file = parse(&(nexus("", "a ACGTACGT\nb ACGTACGT") + blocks)).unwrap();
    let sets: Vec<(&str, &[usize])> =
        file.charsets.iter().map(|set| (set.name.as_str(), &set.sites[..])).collect();
    assert_eq!(
        sets,
        [
            ("g1", &[0, 1, 2][..]),
            ("g 2", &[3, 5, 7]),
            ("both", &[0, 1, 2, 3, 5, 7]),
            ("28S", &[6, 7]),
            ("c", &[0, 2, 4]),
            ("ALLSITES", &[0, 1, 2, 3, 4, 5, 6, 7]),
            ("back", &[0, 1, 2, 3]),
        ]
    );
    assert!(file.warnings.is_empty());
    let error = |set: &str, parts: &[&str]| {
        let text = nexus("", "a ACGTACGT\nb ACGTACGT") + "begin sets;\ncharset " + set + ";\nend;";
        refused(text.as_bytes(), parts);
    };
    error("g = 1-9", &["line 11, column 15", "from 1 to 8", "found 9"]);
    error("g = 0-3", &["from 1 to 8", "found 0"]);
    error("g = 5-3", &["low to high", "5-3"]);
    error("g = 1-5\\0", &["step"]);
    error("g = other", &["\"other\""]);
    error("g = ", &["at least one site"]);
    error("g 1-3", &["NAME = RANGES"]);
    error("g = 1-", &["a site"]);
    error("g = 1; charset G = 2", &["G twice"]);
}

#[test]
fn shipped_primates() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../datasets");
    let primates = read_alignment(&folder.join("primates.nex")).unwrap();
    assert_eq!(primates.warnings, []);
    let summary = AlignmentSummary::new(&primates.alignment);
    // Counted independently, by a script over the columns of the same file.
    assert_eq!((summary.taxa, summary.sites, summary.distinct_patterns), (12, 898, 413));
    assert_eq!((summary.constant_sites, summary.parsimony_informative_sites), (898 - 521, 367));
    assert!((summary.missing_fraction - 0.00278).abs() < 5e-6);
    assert_eq!(summary.warnings, []);
    let small = read_alignment(&folder.join("primates-7x100.fasta")).unwrap().alignment;
    let taxa: Vec<usize> =
        small.taxa.iter().map(|name| primates.alignment.taxon_index(name).unwrap()).collect();
    let sites: Vec<usize> = (0..100).collect();
    assert_eq!(small, primates.alignment.select_taxa(&taxa).select_sites(&sites));
    assert_eq!(small.n_taxa(), 7);
    check_for_trees(&small).unwrap();
    assert!(
        check_for_trees(&small.select_taxa(&[0, 1, 2])).unwrap_err().to_string().contains("at least 4 taxa")
    );
}

#[test]
fn summary_counts_and_warnings() {
    //                      site: 0123456
    let text = ">a\nAAAR-C-\n>b\nAAGG-C-\n>c\nACGG-TN\n>d\nACTA-T?\n>e\nACTA-T.\n>f\n-------\n";
    let summary = AlignmentSummary::new(&parse(text).unwrap().alignment);
    assert_eq!((summary.taxa, summary.sites, summary.distinct_patterns), (6, 7, 6));
    assert_eq!(summary.constant_sites, 3); // 0, 4, 6
    assert_eq!(summary.parsimony_informative_sites, 4); // 1, 2, 3, 5
    assert_eq!((summary.all_gap_sites, summary.ambiguous_characters), (2, 1));
    assert_eq!(summary.missing_fraction, 17.0 / 42.0);
    assert_eq!(summary.gap_fraction, 14.0 / 42.0); // the missing ones without N, ? and . of the last column
    assert_eq!(summary.per_taxon[0].missing_fraction, 2.0 / 7.0);
    assert_eq!(summary.per_taxon[0].ambiguous_characters, 1);
    assert_eq!(summary.base_composition, [10.0 / 24.0, 5.0 / 24.0, 4.0 / 24.0, 5.0 / 24.0]);
    assert_eq!(summary.identical_sequences, [["d", "e"]]);
    let shown = summary.to_string();
    for part in
        ["2 column(s)", "sequence f holds nothing", "identical sequences: d, e", "f: 100.000 % missing"]
    {
        assert!(shown.contains(part), "{part} is not in {shown}");
    }
    let json = serde_json::to_value(&summary).unwrap();
    assert_eq!(json["parsimony_informative_sites"], 4);
    assert_eq!(json["warnings"].as_array().unwrap().len(), 3);
}

#[test]
fn written_fasta_has_lines_of_80() {
    let text = format!(">a\n{}\n>b\n{}\n", "ACGTA".repeat(33), "A".repeat(165));
    let written = write_fasta(&parse(&text).unwrap().alignment);
    assert_eq!(written.lines().map(str::len).collect::<Vec<_>>(), [2, 80, 80, 5, 2, 80, 80, 5]);
    assert_eq!(rows(&written), rows(&text));
}
