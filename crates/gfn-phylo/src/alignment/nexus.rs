//! NEXUS: blocks and commands; the matrix itself is read in `nexus_matrix`.
//!
//! D. R. Maddison, D. L. Swofford and W. P. Maddison, *Systematic Biology* 46, 1997.

use gfn_core::{Error, Result, Warning};

use super::assemble::assemble_rows;
use super::character_sets::{CharacterSet, Definition, resolve};
use super::nexus_matrix::{MatrixFormat, read_matrix};
use super::nexus_text::{Cursor, Word, without_comments};
use super::source::Source;
use crate::{Alignment, state_set};

/// What the blocks of a file have said so far.
#[derive(Default)]
struct Contents {
    alignment: Option<Alignment>,
    taxa: Option<Vec<String>>,
    n_taxa: Option<usize>,
    definitions: Vec<Definition>,
    warnings: Vec<Warning>,
}

/// Reads the first DATA or CHARACTERS block, and every `charset` command.
pub(super) fn parse(source: &Source) -> Result<(Alignment, Vec<CharacterSet>, Vec<Warning>)> {
    let mut contents = read_blocks(source, true)?;
    let Some(alignment) = contents.alignment else {
        return Err(Error::input(
            gfn_core::Place::file(source.file),
            "a DATA or CHARACTERS block with a MATRIX",
            "none",
            "check that this NEXUS file holds the alignment",
        ));
    };
    if let Some(taxa) = contents.taxa {
        let strangers: Vec<&String> = alignment.taxa.iter().filter(|name| !taxa.contains(name)).collect();
        if let Some(name) = strangers.first() {
            contents.warnings.push(Warning::new(
                format!("{} name(s) of the matrix are not in TAXLABELS, such as {name}", strangers.len()),
                "the names of the matrix are used; make the two agree",
            ));
        }
    }
    let charsets = resolve(source, &contents.definitions, alignment.n_sites())?;
    Ok((alignment, charsets, contents.warnings))
}

/// The `charset` commands of a text, in blocks or outside; matrices are skipped.
pub(crate) fn character_set_definitions(source: &Source) -> Result<Vec<Definition>> {
    Ok(read_blocks(source, false)?.definitions)
}

fn read_blocks(source: &Source, with_matrix: bool) -> Result<Contents> {
    let clean = without_comments(source)?;
    let mut cursor = Cursor { text: &clean, at: 0 };
    let mut contents = Contents::default();
    let mut block = String::new(); // lower case; empty between blocks
    let mut data = DataBlock::default();
    while cursor.next().is_some() {
        if cursor.accept(';') {
            continue;
        }
        let start = cursor.at;
        let Some(mut command) = cursor.until_semicolon() else {
            // The last words of a file without `;`, such as `#NEXUS` alone, matter only inside a block we read.
            let keyword = cursor_word(&clean, start);
            if keyword.is_some_and(|word| word.is("matrix") || word.is("charset") || word.is("format")) {
                return Err(source.error(
                    start,
                    "';' at the end of this command",
                    "the end of the file",
                    "the file may be cut off: complete it",
                ));
            }
            break;
        };
        let Some(mut keyword) = command.word("=,\\/") else {
            continue;
        };
        if keyword.is("#nexus") {
            match command.word("=,\\/") {
                Some(word) => keyword = word,
                None => continue,
            }
        }
        let reads_data = with_matrix && matches!(block.as_str(), "data" | "characters");
        match keyword.text.to_ascii_lowercase().as_str() {
            "begin" => {
                block = command.word("").map(|word| word.text.to_ascii_lowercase()).unwrap_or_default();
                data = DataBlock::default();
            }
            "end" | "endblock" => block.clear(),
            "dimensions" if reads_data => data.dimensions(source, command)?,
            "dimensions" if block == "taxa" => {
                let mut taxa = DataBlock::default();
                taxa.dimensions(source, command)?;
                contents.n_taxa = taxa.n_taxa;
            }
            "taxlabels" if block == "taxa" || reads_data => {
                contents.taxa = Some(tax_labels(source, &contents, &data, command)?);
            }
            "format" if reads_data => data.format = format(source, command, &mut contents.warnings)?,
            "matrix" if reads_data && contents.alignment.is_some() => contents.warnings.push(Warning::new(
                "the file holds several data matrices; the first was read",
                "split the file if another one is meant",
            )),
            "matrix" if reads_data => {
                let n_taxa = data.n_taxa.or(contents.n_taxa);
                let labels = contents.taxa.as_deref();
                let rows = read_matrix(source, command, &data.format, n_taxa, data.n_sites, labels)?;
                contents.alignment = Some(assemble_rows(source, rows, data.n_sites)?);
            }
            "eliminate" if reads_data => contents.warnings.push(Warning::new(
                "the command ELIMINATE was ignored: all sites are used",
                "remove these sites from the matrix if they must not count",
            )),
            "charset" => contents.definitions.push(character_set(source, &keyword, command)?),
            _ => {}
        }
    }
    if !block.is_empty() && with_matrix {
        contents.warnings.push(Warning::new(
            format!("the {} block has no END;", block.to_ascii_uppercase()),
            "check that the file is complete",
        ));
    }
    Ok(contents)
}

fn cursor_word(text: &str, at: usize) -> Option<Word> {
    Cursor { text, at }.word("=,\\/")
}

/// What DIMENSIONS and FORMAT of a data block say.
#[derive(Default)]
struct DataBlock {
    n_taxa: Option<usize>,
    n_sites: Option<usize>,
    format: MatrixFormat,
}

impl DataBlock {
    fn dimensions(&mut self, source: &Source, mut command: Cursor) -> Result<()> {
        while let Some(key) = command.word("=") {
            if !command.accept('=') {
                continue; // NEWTAXA
            }
            let value = command.word("=");
            let count =
                value.as_ref().and_then(|word| word.text.parse::<usize>().ok()).filter(|&count| count > 0);
            let place = match () {
                () if key.is("ntax") => &mut self.n_taxa,
                () if key.is("nchar") => &mut self.n_sites,
                () => continue,
            };
            *place = count;
            if count.is_none() {
                return Err(source.error(
                    value.as_ref().map_or(key.offset, |word| word.offset),
                    format!("a count after {}=", key.text),
                    format!("\"{}\"", value.map_or(String::new(), |word| word.text)),
                    "correct the DIMENSIONS command",
                ));
            }
        }
        Ok(())
    }
}

fn tax_labels(
    source: &Source,
    contents: &Contents,
    data: &DataBlock,
    mut command: Cursor,
) -> Result<Vec<String>> {
    let start = command.at;
    let labels: Vec<String> = std::iter::from_fn(|| command.word("")).map(|word| word.text).collect();
    match data.n_taxa.or(contents.n_taxa) {
        Some(declared) if declared != labels.len() => Err(source.error(
            start,
            format!("{declared} names, as DIMENSIONS says"),
            labels.len().to_string(),
            "correct ntax or TAXLABELS",
        )),
        _ => Ok(labels),
    }
}

/// The FORMAT command.
fn format(source: &Source, mut command: Cursor, warnings: &mut Vec<Warning>) -> Result<MatrixFormat> {
    let mut format = MatrixFormat::default();
    while command.next().is_some() {
        let Some(key) = command.word("=(") else {
            return Err(source.error(
                command.at,
                "a setting of FORMAT",
                source.character(command.at),
                "correct the FORMAT command",
            ));
        };
        let keyword = key.text.to_ascii_lowercase();
        let is_symbol = matches!(keyword.as_str(), "missing" | "gap" | "matchchar");
        let value = match command.accept('=') {
            true if is_symbol => Some(symbol(source, &mut command, &key)?),
            true => command.word("=("),
            false => None,
        };
        let text = value.as_ref().map_or("", |word| word.text.as_str());
        let refuse = |expected: &str, advice: String| {
            let at = value.as_ref().map_or(key.offset, |word| word.offset);
            let found = if text.is_empty() { "nothing".to_string() } else { format!("\"{text}\"") };
            Err(source.error(at, expected, found, advice))
        };
        let character = text.chars().next().filter(char::is_ascii).map(|character| character as u8);
        let no = text.eq_ignore_ascii_case("no");
        match keyword.as_str() {
            "datatype" => match text.to_ascii_lowercase().as_str() {
                "dna" | "rna" | "nucleotide" => {}
                kind => {
                    return refuse(
                        "datatype dna, rna or nucleotide",
                        format!("datatype {kind} is not supported: give an alignment of nucleotides"),
                    );
                }
            },
            "missing" | "gap" | "matchchar" => {
                let Some(character) = character else {
                    return refuse("one ASCII character", format!("correct {keyword}= in FORMAT"));
                };
                let is_state = state_set(character).is_some_and(|set| set != crate::ALL_STATES);
                if is_state || b"{}();[]'".contains(&character) {
                    return refuse(
                        "a character that stands for no nucleotide",
                        format!("choose another {keyword}= in FORMAT and in the matrix"),
                    );
                }
                match keyword.as_str() {
                    "missing" => format.missing = Some(character),
                    "gap" => format.gap = Some(character),
                    _ => format.match_character = Some(character),
                }
            }
            "interleave" => format.interleave = !no,
            "labels" if text.eq_ignore_ascii_case("right") => {
                return refuse(
                    "names at the left",
                    "labels=right is not supported: write each name before its characters".into(),
                );
            }
            "labels" => format.labels = !no,
            "nolabels" => format.labels = false,
            "respectcase" | "notokens" => {}
            "symbols" if text.bytes().all(|byte| b"ACGTUacgtu \t".contains(&byte)) => {}
            "symbols" => {
                return refuse(
                    "no symbols but A, C, G, T",
                    "other symbols are not supported: remove symbols= or recode the matrix".into(),
                );
            }
            "equate" => match equates(text) {
                Some(pairs) => format.equates = pairs,
                None => {
                    return refuse(
                        "pairs such as \"x=A y={CT}\"",
                        "equate takes one character for a nucleotide or a set of them".into(),
                    );
                }
            },
            "transpose" | "tokens" => {
                return refuse(
                    "rows of single characters",
                    format!("{keyword} is not supported: write one row for each taxon"),
                );
            }
            _ => warnings.push(Warning::new(
                format!("the setting {} of FORMAT was ignored", key.text),
                "check that the matrix was read as meant",
            )),
        }
    }
    Ok(format)
}

/// The single character after `missing=` and its like, quoted or not.
fn symbol(source: &Source, command: &mut Cursor, key: &Word) -> Result<Word> {
    let next = command.next();
    let start = command.at;
    let rest = &command.text[start..];
    let (text, length) = match (next, rest.chars().nth(1), rest.chars().nth(2)) {
        (Some(quote @ ('\'' | '"')), Some(inside), Some(end)) if quote == end => {
            (inside, 2 + inside.len_utf8())
        }
        (Some(character), _, _) => (character, character.len_utf8()),
        (None, _, _) => {
            return Err(source.error(
                key.offset,
                format!("a character after {}=", key.text),
                "nothing",
                "correct the FORMAT command",
            ));
        }
    };
    command.at += length;
    Ok(Word { text: text.to_string(), offset: start })
}

/// The pairs of `equate="x=A y={CT}"`: each character with the IUPAC code it stands for.
fn equates(text: &str) -> Option<Vec<(u8, u8)>> {
    let mut pairs = Vec::new();
    let mut characters = text.chars().filter(|character| !character.is_whitespace());
    while let Some(left) = characters.next() {
        if characters.next()? != '=' || !left.is_ascii_graphic() {
            return None;
        }
        let mut set = String::from(characters.next()?);
        if set == "{" || set == "(" {
            let close = if set == "{" { '}' } else { ')' };
            set = characters.by_ref().take_while(|&character| character != close).collect();
        }
        pairs.push((left as u8, super::nexus_matrix::code_of_set(&set)?));
    }
    Some(pairs)
}

/// `charset name = ranges` (also `charset * name (standard) = ranges`).
fn character_set(source: &Source, keyword: &Word, mut command: Cursor) -> Result<Definition> {
    command.accept('*');
    let name = command.word("=(;").filter(|word| !word.text.is_empty());
    if command.accept('(') {
        // One word, or several: Mesquite writes (CHARACTERS = name of the matrix).
        let kind = command.word(")");
        while command.word(")").is_some() {}
        command.accept(')');
        if kind.is_some_and(|word| word.is("vector")) {
            return Err(source.error(
                keyword.offset,
                "a character set as ranges of sites",
                "one in vector form",
                "write it as ranges such as 1-100 200-300\\3",
            ));
        }
    }
    let (Some(name), true) = (name, command.accept('=')) else {
        return Err(source.error(
            keyword.offset,
            "charset NAME = RANGES",
            "no name or no '='",
            "correct the charset command",
        ));
    };
    command.next();
    Ok(Definition {
        name: name.text,
        name_offset: name.offset,
        ranges: command.text[command.at..].trim_end().to_string(),
        ranges_offset: command.at,
    })
}
