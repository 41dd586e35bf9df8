//! The words of a NEXUS file: comments, quotes, punctuation.

use gfn_core::Result;

use super::source::Source;

/// A word with its place; quotes are resolved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Word {
    pub text: String,
    pub offset: usize,
}

impl Word {
    /// Whether the word is this keyword, in upper or lower case.
    pub fn is(&self, keyword: &str) -> bool {
        self.text.eq_ignore_ascii_case(keyword)
    }
}

/// Length in bytes of the quoted word that begins the text, with its quotes; `''` inside is one quote.
///
/// `None` if the text begins with no quote, or the quote is not closed on its line.
fn quoted_length(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    if bytes.first() != Some(&b'\'') {
        return None;
    }
    let mut at = 1;
    loop {
        match (bytes.get(at)?, bytes.get(at + 1)) {
            (b'\n', _) => return None,
            (b'\'', Some(b'\'')) => at += 2,
            (b'\'', _) => return Some(at + 1),
            _ => at += 1,
        }
    }
}

/// The text with every comment `[…]` turned into blanks; offsets stay. Comments may hold comments.
///
/// # Errors
/// A comment that is not closed.
pub(super) fn without_comments(source: &Source) -> Result<String> {
    let text = source.text.as_str();
    let mut clean = String::with_capacity(text.len());
    let (mut at, mut depth, mut opened, mut before) = (0, 0_usize, 0, ' ');
    while let Some(next) = text[at..].chars().next() {
        let begins_word = before.is_whitespace() || "=,(;:]{".contains(before);
        if let (0, true, Some(length)) = (depth, begins_word, quoted_length(&text[at..])) {
            clean.push_str(&text[at..at + length]);
            (at, before) = (at + length, '\'');
            continue;
        }
        if next == '[' {
            if depth == 0 {
                opened = at;
            }
            depth += 1;
        }
        if depth > 0 {
            clean.extend(std::iter::repeat_n(' ', next.len_utf8()));
        } else {
            clean.push(next);
        }
        if next == ']' {
            depth = depth.saturating_sub(1);
        }
        at += next.len_utf8();
        before = next;
    }
    if depth > 0 {
        return Err(source.error(
            opened,
            "the end of the comment, ']'",
            "the end of the file",
            "close the comment that begins here",
        ));
    }
    Ok(clean)
}

/// A position in text without comments.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cursor<'a> {
    pub text: &'a str,
    pub at: usize,
}

impl<'a> Cursor<'a> {
    /// Moves past blanks and line ends; the character that follows.
    pub fn next(&mut self) -> Option<char> {
        let rest = &self.text[self.at..];
        self.at += rest.len() - rest.trim_start().len();
        self.text[self.at..].chars().next()
    }

    /// Moves past one character, if it is next after blanks.
    pub fn accept(&mut self, character: char) -> bool {
        let found = self.next() == Some(character);
        if found {
            self.at += character.len_utf8();
        }
        found
    }

    /// The next word: quoted (`''` or `""`), or up to a blank or one of the delimiters; `None` at a delimiter.
    pub fn word(&mut self, delimiters: &str) -> Option<Word> {
        self.next()?;
        let (rest, offset) = (&self.text[self.at..], self.at);
        if let Some(length) = quoted_length(rest) {
            self.at += length;
            return Some(Word { text: rest[1..length - 1].replace("''", "'"), offset });
        }
        if let Some((inside, _)) = rest.strip_prefix('"').and_then(|inside| inside.split_once('"')) {
            self.at += inside.len() + 2;
            return Some(Word { text: inside.to_string(), offset });
        }
        let end = rest.find(|c: char| c.is_whitespace() || delimiters.contains(c)).unwrap_or(rest.len());
        self.at += end;
        (end > 0).then(|| Word { text: rest[..end].to_string(), offset })
    }

    /// The text up to the next `;` outside quotes, and moves past it; `None` if there is none.
    pub fn until_semicolon(&mut self) -> Option<Cursor<'a>> {
        let (start, mut before) = (self.at, ' ');
        while let Some(next) = self.text[self.at..].chars().next() {
            if let (true, Some(length)) = (before.is_whitespace(), quoted_length(&self.text[self.at..])) {
                self.at += length;
                before = '\'';
                continue;
            }
            self.at += next.len_utf8();
            before = next;
            if next == ';' {
                return Some(Cursor { text: &self.text[..self.at - 1], at: start });
            }
        }
        None
    }
}
