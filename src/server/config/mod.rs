//! The broker's configuration: layers with provenance, resolved once at start.
//!
//! Precedence as in the Apache Kafka image: flag > environment (`RINGLOG_*` before `KAFKA_*`) > file > default. Invariants:
//! every key that was set is used, named as ignored with the reason, or refused; nothing is silently dropped. All problems
//! are reported together, each with where it came from and what to do. Must not know what the keys do at run time.

mod environment;
mod file;
pub mod host;
mod keys;
pub mod lint;
mod listeners;
mod resolve;
mod settings;
pub mod units;

#[cfg(test)]
mod tests;

pub use host::Host;
pub use keys::nearest;
pub use listeners::HostPort;
pub use settings::{Origin, Setting, Settings};

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

/// How log lines look.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object per line.
    Json,
}

/// What a broker is started with. All values are checked.
#[derive(Clone, Debug)]
pub struct Config {
    /// The data directory.
    pub data_dir: PathBuf,
    /// Where clients connect; an empty host means all addresses.
    pub listen: HostPort,
    /// What clients are told to connect to.
    pub advertise: HostPort,
    /// Admin HTTP address, `None` when switched off.
    pub admin: Option<HostPort>,
    /// `node.id`.
    pub node_id: i32,
    /// `broker.rack`.
    pub rack: Option<String>,
    /// CPUs for shards, in order; shard i runs on `cpus[i % cpus.len()]`.
    pub cpus: Vec<usize>,
    /// Number of shards, at least 1.
    pub shards: u16,
    /// Bytes of memory for all shards together.
    pub memory: u64,
    /// How log lines look.
    pub log_format: LogFormat,
    /// Level of log lines: error, warn, info, debug or trace.
    pub log_level: String,
    /// Static broker configs for the controller, by Kafka's names; only what was set.
    pub broker: BTreeMap<String, String>,
    /// Sentences for the start block: keys that have no effect, and why.
    pub notes: Vec<String>,
    /// Every key that was set, with its origin.
    pub settings: Settings,
}

/// One thing that is wrong.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Problem {
    /// What, and where it was set.
    pub cause: String,
    /// What to do about it.
    pub remedy: Option<String>,
    /// Where it was set; the default for what concerns the whole.
    pub origin: Origin,
}

/// Everything that is wrong with a configuration.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ConfigError {
    /// At least one.
    pub problems: Vec<Problem>,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, problem) in self.problems.iter().enumerate() {
            let gap = if position == 0 { "" } else { "\n" };
            write!(f, "{gap}{}", problem.cause)?;
            if let Some(remedy) = &problem.remedy {
                write!(f, "\n  help: {remedy}")?;
            }
        }
        Ok(())
    }
}

impl std::error::Error for ConfigError {}

/// Where the layers come from; tests give their own.
#[derive(Clone, Debug, Default)]
pub struct Sources<'a> {
    /// `--config`.
    pub file: Option<&'a Path>,
    /// Environment variables, all of them.
    pub environment: Vec<(String, String)>,
    /// Flags: (`--flag`, key, value).
    pub flags: Vec<(&'static str, &'static str, String)>,
}

impl Config {
    /// Reads all layers and resolves them on this `host`.
    ///
    /// # Errors
    /// All problems found: unreadable or malformed file, unknown keys (with a suggestion), values out of range, keys that
    /// would be dangerous to ignore.
    pub fn load(sources: &Sources, host: &Host) -> Result<Config, ConfigError> {
        let mut problems = Vec::new();
        let mut settings = Settings::default();
        if let Some(path) = sources.file {
            file::read(path, &mut settings, &mut problems);
        }
        environment::read(&sources.environment, &mut settings, &mut problems);
        for (flag, key, value) in &sources.flags {
            settings.set(key, value.clone(), Origin::Flag(flag), &mut problems);
        }
        let resolved = resolve::resolve(settings, host, &mut problems);
        match resolved {
            Some(config) if problems.is_empty() => Ok(config),
            _ => Err(ConfigError { problems }),
        }
    }
}
