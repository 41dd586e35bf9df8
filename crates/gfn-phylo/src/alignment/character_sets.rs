//! Named sets of sites and the ranges that define them: `1-100 200-300\3 400-.`.

use gfn_core::Result;
use serde::{Deserialize, Serialize};

use super::source::Source;

/// A named set of sites, such as a gene or a codon position.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CharacterSet {
    /// The name the file gives it.
    pub name: String,
    /// Its sites, counted from 0, in ascending order, each once.
    pub sites: Vec<usize>,
}

/// A set as written: its name and where its ranges stand in the text.
#[derive(Debug, Clone)]
pub(crate) struct Definition {
    /// The name.
    pub name: String,
    /// Byte offset of the name.
    pub name_offset: usize,
    /// The ranges, as written.
    pub ranges: String,
    /// Byte offset of the ranges.
    pub ranges_offset: usize,
}

/// Turns written definitions into sets of sites of an alignment of `n_sites`; a set may name earlier ones.
///
/// # Errors
/// Ranges that cannot be read or leave the alignment, unknown or repeated names.
pub(crate) fn resolve(
    source: &Source,
    definitions: &[Definition],
    n_sites: usize,
) -> Result<Vec<CharacterSet>> {
    let mut sets: Vec<CharacterSet> = Vec::new();
    for definition in definitions {
        if sets.iter().any(|set| set.name.eq_ignore_ascii_case(&definition.name)) {
            return Err(source.error(
                definition.name_offset,
                "distinct names of character sets",
                format!("{} twice", definition.name),
                "rename or remove one of the two sets",
            ));
        }
        let sites = sites_of(source, definition, n_sites, &sets)?;
        sets.push(CharacterSet { name: definition.name.clone(), sites });
    }
    Ok(sets)
}

/// The sites of one definition, ascending and each once.
fn sites_of(
    source: &Source,
    definition: &Definition,
    n_sites: usize,
    sets: &[CharacterSet],
) -> Result<Vec<usize>> {
    let mut ranges = Ranges { text: &definition.ranges, at: 0 };
    let refuse = |at: usize, expected: String, found: String| {
        source.error(
            definition.ranges_offset + at,
            expected,
            found,
            format!("correct the character set {}: ranges look like 1-100 or 2-300\\3", definition.name),
        )
    };
    let mut member = vec![false; n_sites];
    while let Some((at, item)) = ranges.item() {
        let name = item.trim_matches('\'');
        if let Some(set) = sets.iter().find(|set| set.name.eq_ignore_ascii_case(name)) {
            set.sites.iter().for_each(|&site| member[site] = true);
            ranges.at = at + item.len();
            continue;
        }
        if item.eq_ignore_ascii_case("all") {
            member.fill(true);
            ranges.at = at + item.len();
            continue;
        }
        let site = |ranges: &mut Ranges| {
            let (at, word) = ranges.number();
            let number = if word == "." { Some(n_sites) } else { word.parse().ok() };
            match number {
                Some(number) if (1..=n_sites).contains(&number) => Ok(number),
                Some(number) => Err(refuse(at, format!("a site from 1 to {n_sites}"), number.to_string())),
                None if word.is_empty() => {
                    Err(refuse(at, "a site".into(), source.character(definition.ranges_offset + at)))
                }
                None => Err(refuse(
                    at,
                    "a site, a range or the name of an earlier set".into(),
                    format!("\"{word}\""),
                )),
            }
        };
        let first = site(&mut ranges)?;
        let mut last = first;
        let mut step = 1;
        if ranges.accept(&['-', '\u{2013}']) {
            last = site(&mut ranges)?;
            if ranges.accept(&['\\', '/']) {
                let (at, word) = ranges.number();
                step = word.parse().unwrap_or(0);
                if step == 0 {
                    return Err(refuse(at, "a step of at least 1".into(), format!("\"{word}\"")));
                }
            }
        }
        if last < first {
            return Err(refuse(at, "a range from low to high".into(), format!("{first}-{last}")));
        }
        (first - 1..last).step_by(step).for_each(|site| member[site] = true);
    }
    let sites: Vec<usize> = (0..n_sites).filter(|&site| member[site]).collect();
    if sites.is_empty() {
        return Err(refuse(0, "at least one site".into(), "none".into()));
    }
    Ok(sites)
}

/// A position within written ranges.
struct Ranges<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Ranges<'a> {
    fn skip(&mut self) {
        let rest = &self.text[self.at..];
        self.at += rest.len() - rest.trim_start().len();
    }

    /// The next item up to a blank or comma, without moving past it; quoted as one.
    fn item(&mut self) -> Option<(usize, &'a str)> {
        while self.accept(&[',']) {}
        let rest = &self.text[self.at..];
        let quoted = rest.strip_prefix('\'').and_then(|inside| inside.find('\'')).map(|length| length + 2);
        let end = quoted.or_else(|| rest.find(|c: char| c.is_whitespace() || c == ',')).unwrap_or(rest.len());
        (!rest.is_empty()).then_some((self.at, &rest[..end]))
    }

    /// The next word up to a separator, and moves past it.
    fn number(&mut self) -> (usize, &'a str) {
        self.skip();
        let rest = &self.text[self.at..];
        let end = rest.find(|c: char| c.is_whitespace() || ",-\u{2013}\\/".contains(c)).unwrap_or(rest.len());
        let at = self.at;
        self.at += end;
        (at, &rest[..end])
    }

    /// Moves past one of the characters, if it is next.
    fn accept(&mut self, characters: &[char]) -> bool {
        self.skip();
        match self.text[self.at..].chars().next() {
            Some(next) if characters.contains(&next) => {
                self.at += next.len_utf8();
                true
            }
            _ => false,
        }
    }
}
