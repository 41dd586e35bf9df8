//! The text of a file with its name: decoding, line ends, and places for messages.

use std::path::Path;

use gfn_core::{Error, Place, Result};

/// Decoded text with line ends as `\n`; lines and columns are those of the file.
pub(crate) struct Source<'a> {
    /// The name for messages.
    pub file: &'a Path,
    /// The text, without byte order mark.
    pub text: String,
}

impl<'a> Source<'a> {
    /// Decodes UTF-8 and brings Windows and old Macintosh line ends to `\n`.
    ///
    /// # Errors
    /// Compressed or binary content, UTF-16, bytes that are not UTF-8.
    pub fn new(bytes: &[u8], file: &'a Path) -> Result<Source<'a>> {
        let refuse = |found: &str, advice: &str| {
            Err(Error::input(Place::file(file), "plain text in UTF-8", found, advice))
        };
        match bytes {
            [0x1f, 0x8b, ..] => return refuse("a gzip-compressed file", "decompress it first: gunzip FILE"),
            [b'B', b'Z', b'h', b'1'..=b'9', b'1', b'A', b'Y', ..] => {
                return refuse("a bzip2-compressed file", "decompress it first: bunzip2 FILE");
            }
            [0xfd, b'7', b'z', b'X', b'Z', ..] => {
                return refuse("an xz-compressed file", "decompress it first: unxz FILE");
            }
            [0x28, 0xb5, 0x2f, 0xfd, ..] => {
                return refuse("a zstd-compressed file", "decompress it first: unzstd FILE");
            }
            [b'P', b'K', 3, 4, ..] => return refuse("a zip archive", "unpack it first: unzip FILE"),
            [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => {
                return refuse("text in UTF-16", "save the file as UTF-8 or ASCII");
            }
            _ => {}
        }
        let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
        let valid = match std::str::from_utf8(bytes) {
            Ok(text) => text,
            Err(error) => std::str::from_utf8(&bytes[..error.valid_up_to()]).unwrap_or(""),
        };
        let source = Source { file, text: valid.replace("\r\n", "\n").replace('\r', "\n") };
        if let Some(at) = source.text.find('\0') {
            return Err(source.error(
                at,
                "plain text in UTF-8",
                "a NUL byte: the file is binary",
                "give a text file; if it is UTF-16, save it as UTF-8",
            ));
        }
        if valid.len() < bytes.len() {
            return Err(source.error(
                source.text.len(),
                "plain text in UTF-8",
                format!("the byte 0x{:02X}, which is not UTF-8", bytes[valid.len()]),
                "save the file as UTF-8, or write names in ASCII; if the file is binary, give the alignment instead",
            ));
        }
        Ok(source)
    }

    /// The place of a byte offset of the text.
    pub fn place(&self, offset: usize) -> Place {
        let mut offset = offset.min(self.text.len());
        while !self.text.is_char_boundary(offset) {
            offset -= 1;
        }
        let before = &self.text[..offset];
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        let line = before.bytes().filter(|&byte| byte == b'\n').count() + 1;
        Place::file(self.file).line(line).column(before[line_start..].chars().count() + 1)
    }

    /// Bad input at a byte offset of the text.
    pub fn error(
        &self,
        offset: usize,
        expected: impl Into<String>,
        found: impl Into<String>,
        advice: impl Into<String>,
    ) -> Error {
        Error::input(self.place(offset), expected, found, advice)
    }

    /// The character at a byte offset, printable; `end of file` past the end.
    pub fn character(&self, offset: usize) -> String {
        match self.text.get(offset..).and_then(|rest| rest.chars().next()) {
            Some(character) => format!("'{}'", character.escape_debug()),
            None => "end of file".to_string(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_count_lines_and_characters_for_all_line_ends() {
        for text in ["aé\nbéc", "aé\r\nbéc", "aé\rbéc", "\u{feff}aé\nbéc"] {
            let source = Source::new(text.as_bytes(), Path::new("f")).unwrap();
            let at = source.text.find('c').unwrap();
            assert_eq!(source.place(at).to_string(), "f, line 2, column 3");
            assert_eq!(source.character(at), "'c'");
        }
        let source = Source::new("é".as_bytes(), Path::new("f")).unwrap();
        assert_eq!(source.place(1), source.place(0));
        assert_eq!(source.place(99).to_string(), "f, line 1, column 2");
    }
}
