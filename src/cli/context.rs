//! What every command gets: the global options, and a connection when it asks for one.

use crate::cli::failure::Failure;
use crate::cli::interrupt;
use crate::client::{Address, Cluster, Options};
use clap::{Args, ValueEnum};
use std::time::Duration;

/// How answers are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// Aligned columns for people.
    Table,
    /// One indented JSON document.
    Json,
    /// One JSON object per line.
    Jsonl,
}

/// Options that every command takes.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Global options")]
pub struct Globals {
    /// Broker addresses to begin with, comma separated; also from RINGLOG_BROKERS
    #[arg(
        short,
        long,
        global = true,
        env = "RINGLOG_BROKERS",
        default_value = "127.0.0.1:9092",
        value_name = "HOST:PORT,.."
    )]
    pub brokers: String,

    /// How to print: table for people, json for a document, jsonl for one object per line
    #[arg(long, global = true, value_enum, value_name = "FORMAT", hide_possible_values = true)]
    pub format: Option<Format>,

    /// How long to wait for a connection and for each answer (500ms, 10s, 2m)
    #[arg(long, global = true, default_value = "10s", value_name = "TIME", value_parser = parse_duration)]
    pub timeout: Duration,
}

/// The globals, ready for use.
#[derive(Clone, Debug)]
pub struct Context {
    globals: Globals,
}

impl Context {
    /// Wraps parsed options.
    pub fn new(globals: Globals) -> Context {
        Context { globals }
    }

    /// The format asked for, or the command's own default.
    pub fn format_or(&self, default: Format) -> Format {
        self.globals.format.unwrap_or(default)
    }

    /// The format asked for, if any.
    pub fn format(&self) -> Option<Format> {
        self.globals.format
    }

    /// The `--timeout`.
    pub fn timeout(&self) -> Duration {
        self.globals.timeout
    }

    /// Connects to `--brokers`; from here on Ctrl-C is a request to end, not a kill.
    ///
    /// # Errors
    /// A usage failure for an address that cannot be read, otherwise why nobody answers.
    pub fn connect(&self) -> Result<Cluster, Failure> {
        let bootstrap = Address::parse_list(&self.globals.brokers)
            .map_err(|reason| Failure::usage(format!("--brokers: {reason}")))?;
        let options = Options {
            timeout: self.timeout(),
            interrupt: Some(interrupt::flag()),
            ..Options::new(bootstrap)
        };
        Ok(Cluster::connect(options)?)
    }
}

/// Reads `500ms`, `10s`, `2m`, `1h`; a bare number means seconds.
///
/// # Errors
/// A sentence naming the accepted forms.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    let split = text
        .find(|c: char| !(c.is_ascii_digit() || c == '.'))
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(split);
    let scale = match unit {
        "ms" => 0.001,
        "" | "s" => 1.0,
        "m" => 60.0,
        "h" => 3600.0,
        "d" => 86_400.0,
        _ => return Err(format!("unknown unit `{unit}`: write 500ms, 10s, 2m, 1h or 1d")),
    };
    let number: f64 = number
        .parse()
        .map_err(|_| "write a number with a unit: 500ms, 10s, 2m, 1h or 1d".to_string())?;
    Duration::try_from_secs_f64(number * scale).map_err(|_| "too long".to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_units() {
        assert_eq!(parse_duration("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(parse_duration("10"), Ok(Duration::from_secs(10)));
        assert_eq!(parse_duration("1.5m"), Ok(Duration::from_secs(90)));
        assert!(parse_duration("10 parsecs").unwrap_err().contains("unknown unit"));
        assert!(parse_duration("soon").is_err());
    }
}
