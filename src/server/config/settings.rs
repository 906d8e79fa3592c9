//! Keys with values and where they came from.

use super::Problem;
use super::keys::{self, Meaning};
use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

/// Where a value came from.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Origin {
    /// Nobody set it.
    Default,
    /// A line of a file.
    File(PathBuf, usize),
    /// A variable.
    Environment(String),
    /// A command-line flag.
    Flag(&'static str),
}

impl Origin {
    /// Stronger layers have higher numbers.
    fn layer(&self) -> u8 {
        match self {
            Origin::Default => 0,
            Origin::File(..) => 1,
            Origin::Environment(name) if name.starts_with("KAFKA_") => 2,
            Origin::Environment(_) => 3,
            Origin::Flag(_) => 4,
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::Default => f.write_str("default"),
            Origin::File(path, line) => write!(f, "{}:{line}", path.display()),
            Origin::Environment(name) => write!(f, "environment {name}"),
            Origin::Flag(flag) => f.write_str(flag),
        }
    }
}

/// A value and its origin.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Setting {
    /// As text.
    pub value: String,
    /// Where it came from.
    pub origin: Origin,
}

/// All keys that were set, by canonical name.
#[derive(Clone, Default, Debug)]
pub struct Settings {
    values: BTreeMap<String, Setting>,
    /// Keys without effect: name, reason, origin.
    pub(super) ignored: Vec<(String, &'static str, Origin)>,
}

impl Settings {
    /// Sets `key` (any accepted spelling) unless a stronger layer already did.
    pub(super) fn set(&mut self, key: &str, value: String, origin: Origin, problems: &mut Vec<Problem>) {
        let value = value.trim().to_string();
        let known = match keys::lookup(key) {
            Some(known) => known,
            None => {
                problems.push(Problem {
                    cause: format!("{origin}: unknown key `{key}`"),
                    remedy: Some(keys::suggest(key)),
                    origin,
                });
                return;
            }
        };
        match known.meaning {
            Meaning::Used => self.put(known.name, (known.rewrite)(&value), origin, problems),
            Meaning::Ignored(reason) => self.ignored.push((key.to_string(), reason, origin)),
            Meaning::Refused(reason, remedy) => {
                // An empty value is how templates switch a key off.
                if !value.is_empty() {
                    problems.push(Problem {
                        cause: format!("{origin}: `{key}` cannot be honoured: {reason}"),
                        remedy: Some(remedy.to_string()),
                        origin,
                    });
                }
            }
        }
    }

    fn put(&mut self, name: &str, value: String, origin: Origin, problems: &mut Vec<Problem>) {
        if let Some(old) = self.values.get(name) {
            if old.origin.layer() > origin.layer() {
                return;
            }
            if old.origin.layer() == origin.layer() && old.value != value {
                problems.push(Problem {
                    cause: format!("{origin}: `{name}` is set twice, also at {}", old.origin),
                    remedy: Some("keep one of them".into()),
                    origin,
                });
                return;
            }
        }
        self.values.insert(name.to_string(), Setting { value, origin });
    }

    /// A key that was set.
    pub fn get(&self, name: &str) -> Option<&Setting> {
        self.values.get(name)
    }

    /// Where a key's value came from.
    pub fn origin(&self, name: &str) -> Origin {
        self.get(name).map_or(Origin::Default, |setting| setting.origin.clone())
    }

    /// All that were set, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Setting)> {
        self.values.iter().map(|(name, setting)| (name.as_str(), setting))
    }
}
