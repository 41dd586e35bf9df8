//! The error every crate returns: where it happened, what was expected, what was found, what to do.

use std::fmt;
use std::path::{Path, PathBuf};

/// Result of every fallible call of the workspace.
pub type Result<T> = std::result::Result<T, Error>;

/// What sort of failure an [`Error`] is; the `ep` command turns it into its exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The request itself makes no sense (exit code 2).
    Usage,
    /// A file or value is wrong and stays wrong until somebody changes it (exit code 3).
    Input,
    /// The machine failed: disk full, no permission, interrupted (exit code 75, try again).
    Transient,
}

/// Where an error happened. Empty parts are left out of the message.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Place {
    /// The file, if there is one.
    pub file: Option<PathBuf>,
    /// Line in the file, counted from 1.
    pub line: Option<usize>,
    /// Column in the line (characters), counted from 1.
    pub column: Option<usize>,
    /// The named thing concerned: a taxon, a column, a setting.
    pub item: Option<String>,
}

impl Place {
    /// A whole file.
    pub fn file(path: impl AsRef<Path>) -> Self {
        Place { file: Some(path.as_ref().to_path_buf()), ..Place::default() }
    }

    /// A named thing without a file, such as a setting.
    pub fn item(name: impl Into<String>) -> Self {
        Place { item: Some(name.into()), ..Place::default() }
    }

    /// The same place, with the line (from 1).
    pub fn line(mut self, line: usize) -> Self {
        self.line = Some(line);
        self
    }

    /// The same place, with the column (from 1).
    pub fn column(mut self, column: usize) -> Self {
        self.column = Some(column);
        self
    }

    /// The same place, with the named thing concerned.
    pub fn named(mut self, item: impl Into<String>) -> Self {
        self.item = Some(item.into());
        self
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut separator = "";
        if let Some(file) = &self.file {
            write!(f, "{}", file.display())?;
            separator = ", ";
        }
        if let Some(line) = self.line {
            write!(f, "{separator}line {line}")?;
            separator = ", ";
        }
        if let Some(column) = self.column {
            write!(f, "{separator}column {column}")?;
            separator = ", ";
        }
        if let Some(item) = &self.item {
            write!(f, "{separator}{item}")?;
        }
        Ok(())
    }
}

/// Where, what was expected, what was found, and what to do about it.
#[derive(Debug, Clone)]
pub struct Error(Box<Details>);

#[derive(Debug, Clone)]
struct Details {
    kind: ErrorKind,
    place: Place,
    expected: String,
    found: String,
    advice: String,
}

impl Error {
    /// An error of any kind, from its parts.
    pub fn new(
        kind: ErrorKind,
        place: Place,
        expected: impl Into<String>,
        found: impl Into<String>,
        advice: impl Into<String>,
    ) -> Self {
        Error(Box::new(Details {
            kind,
            place,
            expected: expected.into(),
            found: found.into(),
            advice: advice.into(),
        }))
    }

    /// Bad input: final until the input changes.
    pub fn input(
        place: Place,
        expected: impl Into<String>,
        found: impl Into<String>,
        advice: impl Into<String>,
    ) -> Self {
        Self::new(ErrorKind::Input, place, expected, found, advice)
    }

    /// A request or setting that makes no sense. `setting` names it.
    pub fn usage(
        setting: impl Into<String>,
        expected: impl Into<String>,
        found: impl Into<String>,
        advice: impl Into<String>,
    ) -> Self {
        Self::new(ErrorKind::Usage, Place::item(setting), expected, found, advice)
    }

    /// A failed read or write, `action` being what was tried ("read", "make"). A path that is missing or of another kind
    /// is bad input; everything else may pass when tried again.
    pub fn io(path: impl AsRef<Path>, action: &str, error: &std::io::Error) -> Self {
        let path = path.as_ref();
        let (kind, advice) = match error.kind() {
            std::io::ErrorKind::NotFound
            | std::io::ErrorKind::IsADirectory
            | std::io::ErrorKind::NotADirectory
            | std::io::ErrorKind::AlreadyExists => (ErrorKind::Input, "check the path"),
            std::io::ErrorKind::PermissionDenied => (ErrorKind::Transient, "check the permissions"),
            std::io::ErrorKind::StorageFull => {
                (ErrorKind::Transient, "make room on the disk, then run the same command again")
            }
            _ => (ErrorKind::Transient, "see to the cause, then run the same command again"),
        };
        Self::new(kind, Place::file(path), format!("to {action} it"), error.to_string(), advice)
    }

    /// The same error, with the file filled in where the place had none. What makes no sense in a file is bad input.
    pub fn in_file(mut self, path: impl AsRef<Path>) -> Self {
        self.0.place.file.get_or_insert_with(|| path.as_ref().to_path_buf());
        if self.0.kind == ErrorKind::Usage {
            self.0.kind = ErrorKind::Input;
        }
        self
    }

    /// What sort of failure this is.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// Where it happened.
    pub fn place(&self) -> &Place {
        &self.0.place
    }

    /// What was expected there.
    pub fn expected(&self) -> &str {
        &self.0.expected
    }

    /// What was found instead.
    pub fn found(&self) -> &str {
        &self.0.found
    }

    /// What to do about it.
    pub fn advice(&self) -> &str {
        &self.0.advice
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = self.0.place.to_string();
        if !place.is_empty() {
            write!(f, "{place}: ")?;
        }
        write!(f, "expected {}, found {}", self.0.expected, self.0.found)?;
        if !self.0.advice.is_empty() {
            write!(f, "; {}", self.0.advice)?;
        }
        Ok(())
    }
}

impl std::error::Error for Error {}

/// Something a user should know that does not stop the work, with advice.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Warning {
    /// What was noticed.
    pub message: String,
    /// What to do about it, if anything.
    pub advice: String,
}

impl Warning {
    /// A warning from its two parts.
    pub fn new(message: impl Into<String>, advice: impl Into<String>) -> Self {
        Warning { message: message.into(), advice: advice.into() }
    }
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.message)?;
        if !self.advice.is_empty() {
            write!(f, " ({})", self.advice)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn message_names_place_expected_found_and_advice() {
        let place = Place::file("a.fasta").line(4).column(3).named("taxon b");
        let error = Error::input(place, "a nucleotide", "'J'", "correct the character");
        assert_eq!(
            error.to_string(),
            "a.fasta, line 4, column 3, taxon b: expected a nucleotide, found 'J'; correct the character"
        );
        assert_eq!(error.kind(), ErrorKind::Input);
    }

    #[test]
    fn an_error_found_in_a_file_names_it_and_is_bad_input() {
        let error = Error::usage("rate", "a positive number", "0", "correct it");
        assert_eq!((error.kind(), error.place().file.as_ref()), (ErrorKind::Usage, None));
        let error = error.in_file("plan.toml");
        assert_eq!(error.to_string(), "plan.toml, rate: expected a positive number, found 0; correct it");
        assert_eq!(error.kind(), ErrorKind::Input);
        assert_eq!(error.in_file("other").place().file.as_deref(), Some(Path::new("plan.toml")));
        let full = std::io::Error::from(std::io::ErrorKind::StorageFull);
        assert_eq!(Error::io("x", "write", &full).in_file("y").kind(), ErrorKind::Transient);
    }

    #[test]
    fn a_missing_file_is_bad_input_and_a_full_disk_is_transient() {
        let missing = std::io::Error::from(std::io::ErrorKind::NotFound);
        assert_eq!(Error::io("x", "read", &missing).kind(), ErrorKind::Input);
        let full = std::io::Error::from(std::io::ErrorKind::StorageFull);
        assert_eq!(Error::io("x", "write", &full).kind(), ErrorKind::Transient);
    }
}
