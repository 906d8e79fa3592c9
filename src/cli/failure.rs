//! How a command fails: a message with a remedy on stderr and an exit code that scripts can rely on.

use crate::client::{ClientError, Refusal};
use std::io::ErrorKind;

/// Anything else that went wrong.
pub const EXIT_FAILURE: u8 = 1;
/// The command line is wrong.
pub const EXIT_USAGE: u8 = 2;
/// A check found warnings, and was told to mind them.
pub const EXIT_WARNINGS: u8 = 3;
/// A check found something that must be changed.
pub const EXIT_FOUND: u8 = 4;
/// No broker could be reached.
pub const EXIT_CONNECT: u8 = 5;
/// A topic, partition or file does not exist.
pub const EXIT_NOT_FOUND: u8 = 6;
/// A time limit passed.
pub const EXIT_TIMEOUT: u8 = 7;

/// Why a command did not succeed.
#[derive(Debug)]
pub enum Failure {
    /// From the client: connection, broker, records.
    Client(ClientError),
    /// The arguments or the input are wrong: message and, if there is one, a remedy.
    Usage(String),
    /// Anything else: exit code, message, remedy.
    Other(u8, String, Option<String>),
    /// Already reported (or nothing to report): only the exit code matters.
    Reported(u8),
}

impl Failure {
    /// A mistake in the arguments.
    pub fn usage(message: impl Into<String>) -> Failure {
        Failure::Usage(message.into())
    }

    /// A plain failure, exit code 1.
    pub fn failed(message: impl Into<String>) -> Failure {
        Failure::Other(EXIT_FAILURE, message.into(), None)
    }

    /// The process's exit code.
    pub fn exit_code(&self) -> u8 {
        match self {
            Failure::Client(error) => client_exit_code(error),
            Failure::Usage(_) => EXIT_USAGE,
            Failure::Other(code, ..) | Failure::Reported(code) => *code,
        }
    }

    /// Prints the message and its remedy on stderr.
    pub fn report(&self) {
        let (message, remedy) = match self {
            Failure::Client(ClientError::Interrupted) | Failure::Reported(_) => return,
            Failure::Client(error) => (error.to_string(), error.remedy()),
            Failure::Usage(message) => (message.clone(), None),
            Failure::Other(_, message, remedy) => (message.clone(), remedy.clone()),
        };
        eprintln!("error: {message}");
        if let Some(remedy) = remedy {
            eprintln!("  help: {remedy}");
        }
    }
}

/// Exit code for an error of the client.
pub fn client_exit_code(error: &ClientError) -> u8 {
    match error {
        ClientError::Unreachable { .. } | ClientError::Advertised { .. } | ClientError::NotKafka { .. } => EXIT_CONNECT,
        ClientError::Timeout { .. } => EXIT_TIMEOUT,
        ClientError::Refused { refusal, .. } => refusal_exit_code(refusal),
        // 128 + SIGINT, as shells report a command ended by Ctrl-C.
        ClientError::Interrupted => 130,
        ClientError::Lost { .. } | ClientError::Unsupported { .. } | ClientError::Records { .. } => EXIT_FAILURE,
    }
}

/// Exit code for an error that a broker answered with.
pub fn refusal_exit_code(refusal: &Refusal) -> u8 {
    match refusal {
        refusal if refusal.is_not_found() => EXIT_NOT_FOUND,
        refusal if refusal.is_timeout() => EXIT_TIMEOUT,
        _ => EXIT_FAILURE,
    }
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Failure {
        Failure::Client(error)
    }
}

impl From<std::io::Error> for Failure {
    /// For writing to stdout: a reader that left (`| head`) ends the command quietly and well.
    fn from(error: std::io::Error) -> Failure {
        match error.kind() {
            ErrorKind::BrokenPipe => Failure::Reported(0),
            _ => Failure::failed(format!("cannot write the output: {error}")),
        }
    }
}
