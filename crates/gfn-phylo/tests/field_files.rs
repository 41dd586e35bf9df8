//! Alignment files as programs and people of the field write them: read as meant, or refused with the reason.

use std::path::Path;

use gfn_phylo::{AlignmentFile, AlignmentSummary, parse_alignment};

fn parse(text: &str) -> gfn_core::Result<AlignmentFile> {
    parse_alignment(text.as_bytes(), Path::new("file.txt"))
}

/// Checks `name:characters` of each row and that nothing is warned of.
#[track_caller]
fn reads(text: &str, want: &[&str]) -> AlignmentFile {
    let file = parse(text).unwrap_or_else(|error| panic!("{text}\n{error}"));
    let rows = file.alignment.rows.iter().map(|row| std::str::from_utf8(row).unwrap());
    let found: Vec<String> =
        file.alignment.taxa.iter().zip(rows).map(|(name, row)| format!("{name}:{row}")).collect();
    assert_eq!(found, want, "{text}");
    file
}

#[track_caller]
fn refused(text: &str, parts: &[&str]) {
    let message = parse(text).expect_err(text).to_string();
    for part in parts {
        assert!(message.contains(part), "\"{part}\" is not in: {message}");
    }
}

#[test]
fn phylip_as_it_comes() {
    let want = ["Homo_sapiens:ACGTACGT", "Pan:ACGTACGA", "Gorilla:ACGTACGC"];
    for text in [
        // Indented, blanks between the codons.
        "   3   8\n  Homo_sapiens   ACG TAC GT\n  Pan            ACG TAC GA\n  Gorilla        ACG TAC GC\n",
        // Several blank lines between the blocks and at the end, indented continuation (PAML, PhyML).
        "3 8\n\nHomo_sapiens  ACGT\nPan  ACGT\nGorilla  ACGT\n\n\n      ACGT\n      ACGA\n      ACGC\n\n\n",
        "3 8\nHomo_sapiens\nACGT\nACGT\nPan\nACGT\nACGA\nGorilla\nACGT\nACGC\n",
        "3 8 I\nHomo_sapiens ACGT\nPan ACGT\nGorilla ACGT\nACGT\nACGA\nACGC\n",
        "3 8 s\nHomo_sapiens ACGT\nACGT\nPan ACGT\nACGA\nGorilla ACGT\nACGC\n",
    ] {
        reads(text, &want);
        reads(&text.replace('\n', "\r\n"), &want);
        reads(&text.replace('\n', "\r"), &want);
        reads(&format!("\u{feff}{text}"), &want);
    }
    reads("2 4\n1 ACGT\n2 ACGA\n", &["1:ACGT", "2:ACGA"]);
    // Numbers and weights are not characters; a second data set, or a tree behind the first one, is too much.
    refused(
        "2 4\na ACGT 4\nb ACGA 4\n",
        &["line 2, column 8", "invalid character '4' at sequence a, site 5"],
    );
    refused("2 4 W\nW 1111\na ACGT\nb ACGA\n", &["line 1", "also \"W\""]);
    refused(
        "2 4\na ACGT\nb ACGA\n2 4\na ACGT\nb ACGC\n",
        &["line 4, column 1", "after 2 sequences", "more lines"],
    );
    refused("2 4\na ACGT\nb ACGA\n\n(a,b);\n", &["line 5, column 1", "after 2 sequences", "more lines"]);
}

#[test]
fn fasta_as_it_comes() {
    reads(">a some text\n\nAC\n\nGT\n\n\n>b\t[organism=Pan]\nAC GA\n", &["a:ACGT", "b:ACGA"]);
    reads(">  a text\n  acgt\t\n>b \nACGU  \n", &["a:ACGT", "b:ACGT"]);
    reads(">NC_012920.1|Homo\nACGN\n>x/1-4\nA??-\n", &["NC_012920.1|Homo:ACGN", "x/1-4:A??-"]);
    refused(">\nACGT\n>b\nACGA\n", &["line 1", "sequence number 1", "an empty name"]);
    refused(">a\nACGT*\n>b\nACGA*\n", &["line 2, column 5", "taxon a", "'*' at sequence a, site 5"]);
    refused(">a\n1 ACGT\n>b\n1 ACGA\n", &["line 2, column 1", "'1' at sequence a, site 1"]);
    refused(">a\nAC>GT\n>b\nACGTA\n", &["line 2, column 3", "'>' at sequence a, site 3"]);
    refused(
        ">Homo sapiens\nACGT\n>Homo erectus\nACGA\n",
        &["line 3", "duplicate name Homo, first in line 1", "the name ends at the first blank"],
    );
    refused(";old comment\n>a\nACGT\n", &["line 1", "\";old comment\""]);
    // Equal sequences stay, and are mentioned.
    let file = reads(">a\nACGT\n>b\nacgu\n>c\nACGA\n", &["a:ACGT", "b:ACGT", "c:ACGA"]);
    assert_eq!(AlignmentSummary::new(&file.alignment).identical_sequences, [["a", "b"]]);
}

#[test]
fn nexus_of_mesquite_with_every_block() {
    let file = reads(
        "#NEXUS\n[written by Mesquite; it's long]\n\nBEGIN TAXA;\n\tTITLE Taxa;\n\tDIMENSIONS NTAX=3;\n\tTAXLABELS\n\t\t\
         'Homo sapiens' 'Pan ''t''' Gorilla_g\n\t;\n\nEND;\n\nBEGIN CHARACTERS;\n\tTITLE Matrix;\n\tLINK TAXA = Taxa;\n\t\
         DIMENSIONS NCHAR=6;\n\tFORMAT DATATYPE = DNA GAP = - MISSING = ? SYMBOLS = \"A C G T\";\n\t\
         CHARSTATELABELS 1 first, 2 'it''s; second';\n\tMATRIX\n\t'Homo sapiens'  ACGTAC[6]\n\t'Pan ''t'''  ACGT-?\n\t\
         Gorilla_g  AC{AG}TRA\n\n;\n\nEND;\n\nBEGIN TREES;\n\tTranslate 1 'Homo sapiens', 2 'Pan ''t''', 3 Gorilla_g;\n\t\
         TREE t = [&U] (1,2,3);\nEND;\nBEGIN CODONS;\n\tCODONPOSSET * U = 1: 1-6\\3;\nEND;\n\
         BEGIN SETS;\n\tCHARSET third = 3-.\\3;\n\tCharSet rest (CHARACTERS = Matrix) = 1 - 2 4-5;\nEND;\n\
         BEGIN PAUP;\n\tset criterion=likelihood; lset nst=6;\nEND;\n",
        &["Homo sapiens:ACGTAC", "Pan 't':ACGT-?", "Gorilla_g:ACRTRA"],
    );
    assert_eq!(file.warnings, []);
    let sets: Vec<_> = file.charsets.iter().map(|set| (set.name.as_str(), &set.sites[..])).collect();
    assert_eq!(sets, [("third", &[2, 5][..]), ("rest", &[0, 1, 3, 4])]);
}

#[test]
fn nexus_of_many_writers() {
    let want = ["a:ACGTACGT", "b:ACGAACGN"];
    for text in [
        // PAUP: a ruler in comments, lengths behind the rows.
        "#NEXUS\nBegin data;\nDimensions ntax=2 nchar=8;\nFormat datatype=DNA missing=N gap=-;\nMatrix\n[        1234 5678 ]\n\
         [        .       . ]\na        ACGT ACGT [8]\nb        ACGA ACGN [8]\n[\nend;\n]\n;\nEnd;\n",
        // MrBayes: interleaved with a match character, commands of its own.
        "#NEXUS\nbegin data;\n dimensions ntax=2 nchar=8;\n format datatype=dna interleave=yes gap=- matchchar=.;\n matrix\n\
         a  ACGT\nb  ...A\n\na  ACGT\nb  ...n\n ;\nend;\nbegin mrbayes;\n lset applyto=(all) nst=6;\n mcmc ngen=10;\nend;\n",
        // BEAST, SplitsTree: quoted words, `labels`, mixed case.
        "#nexus\nBEGIN Characters;\nDimensions NTax = 2 NChar = 8;\nFormat DataType=\"DNA\" Labels=Left Missing=? Gap=-;\n\
         MATRIX\n'a' acgtacgt\n\"b\" acgaacgn;\nEND;",
        "#NEXUS\nbegin taxa; dimensions ntax=2; taxlabels a b; end;\nbegin characters; dimensions nchar=8;\n\
         format datatype=nucleotide labels=no interleave; matrix\nACGT\nACGA\n\nACGT\nACGN\n; end;",
        "#NEXUS\nbegin data; dimensions ntax=2 nchar=8; format datatype=rna equate=\"1=(AG) z=N\";\noptions gapmode=missing;\n\
         charlabels a b c d e f g h;\nmatrix\na\n  acguacgu\nb\n  acgaacgz\n; end;",
        // The matrix of another block is no alignment.
        "#NEXUS\nbegin distances; format triangle=lower; matrix a b 0.1; end;\nbegin data; dimensions ntax=2 nchar=8;\n\
         format datatype=dna; matrix a ACGTACGT\nb ACGAACGN; end;",
        "#NEXUS\nbegin data; dimensions newtaxa ntax=2 nchar=8; format datatype=dna respectcase; taxlabels a b;\n\
         matrix\n[1] a ACGTACGT [don't]\n[2] b ACGAACGN\n; end;",
    ] {
        assert_eq!(reads(text, &want).warnings, [], "{text}");
        reads(&text.replace('\n', "\r\n"), &want);
        reads(&text.replace('\n', "\r"), &want);
        reads(&format!("\u{feff}{text}"), &want);
    }
    reads(
        "#NEXUS\nbegin data; dimensions ntax=2 nchar=4; format datatype=dna gap=~ missing=.; matrix\n\
         'O''Brien [1]' A~~T\na=1,b AC.A\n; end;",
        &["O'Brien [1]:A--T", "a=1,b:AC.A"],
    );
}

#[test]
fn nexus_that_would_be_misread_is_refused_or_warned_of() {
    let data = |format: &str, matrix: &str| {
        format!(
            "#NEXUS\nbegin data; dimensions ntax=2 nchar=4;\nformat {format};\nmatrix\n{matrix}\n;\nend;\n"
        )
    };
    refused(
        &data("datatype=dna labels=right", "ACGT a\nACGA b"),
        &["line 3, column 28", "labels=right is not supported"],
    );
    refused(
        &data("datatype=dna transpose", "a ACGT\nb ACGA"),
        &["line 3, column 21", "transpose is not supported"],
    );
    refused(&data("datatype=standard symbols=\"01\"", "a 0101\nb 0110"), &["line 3", "datatype standard"]);
    refused(&data("symbols=\"01\"", "a 0101\nb 0110"), &["line 3", "no symbols but A, C, G, T"]);
    refused(&data("datatype=dna", "a AC\nb AC\n\na GT\nb GA"), &["needs interleave in FORMAT"]);
    refused(
        &data("datatype=dna interleave", "a AC\nb AC\n\nGT\nGA"),
        &["line 8", "of the first block", "\"GT\""],
    );
    refused("NEXUS\nbegin data;\n", &["line 1, column 1", "'#NEXUS' first"]);
    let warning = |text: String| {
        let file = parse(&text).unwrap();
        assert_eq!(file.warnings.len(), 1, "{:?}", file.warnings);
        file.warnings[0].message.clone()
    };
    let eliminate = data("datatype=dna", "a ACGT\nb ACGA").replace("matrix", "eliminate 2-3;\nmatrix");
    assert!(warning(eliminate).contains("ELIMINATE was ignored"));
    assert!(warning(data("datatype=dna statesformat=frequency", "a ACGT\nb ACGA")).contains("statesformat"));
    assert!(warning(data("datatype=dna", "a ACGT\nb ACGA").replace("end;", "")).contains("no END"));
}
