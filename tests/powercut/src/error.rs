//! One error type for the rigs: a sentence that says what was tried and what went wrong.
//!
//! Rigs only ever print their errors, so a message with context is enough; nothing matches on kinds.

use std::fmt;

/// Result of any step of a rig.
pub type Result<T> = std::result::Result<T, Error>;

/// What was tried and why it failed, as one printable sentence.
#[derive(Debug)]
pub struct Error {
    text: String,
    code: Option<i16>,
}

impl Error {
    /// An error with this text.
    pub fn new(text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            code: None,
        }
    }

    /// An answer of the broker with this Kafka error code.
    pub fn answer(code: i16, what: &str) -> Self {
        Self {
            text: format!("{what}: error {code}"),
            code: Some(code),
        }
    }

    /// The Kafka error code, when the broker answered with one.
    pub fn code(&self) -> Option<i16> {
        self.code
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl From<std::io::Error> for Error {
    fn from(error: std::io::Error) -> Self {
        Self::new(error.to_string())
    }
}

/// Puts "what was tried" in front of "what went wrong".
pub trait Context<T> {
    /// Prefixes the error with `what`.
    fn context(self, what: &str) -> Result<T>;
}

impl<T, E: fmt::Display> Context<T> for std::result::Result<T, E> {
    fn context(self, what: &str) -> Result<T> {
        self.map_err(|error| Error::new(format!("{what}: {error}")))
    }
}

/// The error of the last system call, with what it was for.
#[allow(dead_code)] // the kill test includes this module without the mount code
pub fn last_os(what: &str) -> Error {
    Error::new(format!("{what}: {}", std::io::Error::last_os_error()))
}
