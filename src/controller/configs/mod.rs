//! The registry of configuration keys: what exists, its type, default, meaning, and which values ringlog honours.
//!
//! Invariant: a value that is accepted is honoured. A legal Kafka value that ringlog cannot honour is refused with the
//! reason, never stored and ignored. Must not know: the wire, sessions, where static values come from.

pub mod broker;
pub mod foreign;
pub mod resolve;
pub mod topic;
pub mod value;

#[cfg(test)]
mod tests;

pub use value::Kind;

/// One known configuration key.
#[derive(Clone, Copy, Debug)]
pub struct ConfigKey {
    /// Kafka's name.
    pub name: &'static str,
    /// Type and legal values.
    pub kind: Kind,
    /// Kafka's default, as text.
    pub default: &'static str,
    /// One line for DescribeConfigs.
    pub doc: &'static str,
    /// Values that ringlog honours, when these are fewer than the legal ones.
    pub honoured: Honoured,
    /// Topic keys: the broker keys that give the default, strongest first, each with its factor to the topic key's unit.
    pub synonyms: &'static [(&'static str, i64)],
    /// Broker keys: may be changed while running (AlterConfigs on BROKER).
    pub dynamic: bool,
    /// A key of Kafka's that has no effect here; `doc` says why.
    pub foreign: bool,
}

/// Which legal values ringlog honours.
#[derive(Clone, Copy, Debug)]
pub enum Honoured {
    /// All.
    All,
    /// Only these; any other is refused with the reason.
    Only(&'static [&'static str], &'static str),
}

/// Where an effective value comes from; numbers as in DescribeConfigs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(i8)]
pub enum Source {
    /// Set on the topic.
    Topic = 1,
    /// Set on this broker while running.
    Broker = 2,
    /// Set on all brokers while running.
    DefaultBroker = 3,
    /// From the configuration file, environment or command line.
    Static = 4,
    /// Kafka's default.
    Default = 5,
}

/// A value with the key and level it was found at.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Found {
    /// The key that holds it (a topic key or its broker synonym).
    pub name: &'static str,
    /// As text, in that key's unit.
    pub value: String,
    /// The level.
    pub source: Source,
}

impl ConfigKey {
    /// Checks that `value` is legal and honoured; the message says what is allowed.
    pub fn check(&self, value: &str) -> Result<(), String> {
        self.kind
            .check(value)
            .map_err(|why| format!("Invalid value {value} for configuration {}: {why}", self.name))?;
        match self.honoured {
            Honoured::All => Ok(()),
            Honoured::Only(values, reason) => {
                let value = value.trim();
                if values.iter().any(|v| v.eq_ignore_ascii_case(value)) {
                    return Ok(());
                }
                let allowed = values
                    .iter()
                    .map(|v| if v.is_empty() { "(empty)" } else { v })
                    .collect::<Vec<_>>()
                    .join(", ");
                Err(format!(
                    "Invalid value {value} for configuration {}: {reason}; accepted: {allowed}",
                    self.name
                ))
            }
        }
    }
}

/// Keys with the shared fields filled in: most keys differ only in name, kind, default and text.
const fn key(name: &'static str, kind: Kind, default: &'static str, doc: &'static str) -> ConfigKey {
    ConfigKey {
        name,
        kind,
        default,
        doc,
        honoured: Honoured::All,
        synonyms: &[],
        dynamic: false,
        foreign: false,
    }
}

impl ConfigKey {
    const fn only(mut self, values: &'static [&'static str], reason: &'static str) -> Self {
        self.honoured = Honoured::Only(values, reason);
        self
    }
    const fn from(mut self, synonyms: &'static [(&'static str, i64)]) -> Self {
        self.synonyms = synonyms;
        self
    }
    const fn dynamic(mut self) -> Self {
        self.dynamic = true;
        self
    }
    const fn foreign(mut self) -> Self {
        self.foreign = true;
        self
    }
    /// What DescribeConfigs says of it.
    pub fn documentation(&self) -> String {
        match self.foreign {
            true => format!("Known to Kafka, without effect here: {}.", self.doc),
            false => self.doc.to_string(),
        }
    }
}
