//! What would become of a configuration file, key by key, without starting anything.
//!
//! The verdicts come from the code that a start runs, so the two cannot disagree.

use super::file::{self, Entry};
use super::keys::{self, Meaning};
use super::settings::{Origin, Settings};
use super::{ConfigError, Host, Problem, resolve};
use std::path::Path;

/// What becomes of a key.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// Taken.
    Honoured,
    /// Without effect here; the reason says why.
    Ignored,
    /// Ignoring it would mislead, so a start is refused.
    Refused,
    /// A known key with a value that cannot be.
    Invalid,
    /// No such key.
    Unknown,
}

impl Verdict {
    /// True if a broker does not start with it.
    pub fn stops_a_start(self) -> bool {
        matches!(self, Verdict::Refused | Verdict::Invalid | Verdict::Unknown)
    }
}

/// One key of the file.
#[derive(Clone, Debug)]
pub struct Finding {
    /// Line, from 1.
    pub line: usize,
    /// Key as written.
    pub key: String,
    /// ringlog's name of the key, unless unknown.
    pub name: Option<&'static str>,
    /// Value, in the form that the canonical key takes.
    pub value: String,
    /// What becomes of it.
    pub verdict: Verdict,
    /// Why.
    pub reason: Option<String>,
    /// What to do about it.
    pub remedy: Option<String>,
}

/// What was found in a file.
#[derive(Clone, Debug)]
pub struct Report {
    /// By line.
    pub findings: Vec<Finding>,
    /// What a start with this file would remark.
    pub notes: Vec<String>,
}

/// Reads `path` as a start on this `host` would.
///
/// # Errors
/// A file that cannot be read, or is no TOML or properties file.
pub fn lint(path: &Path, host: &Host) -> Result<Report, ConfigError> {
    let mut problems = Vec::new();
    let mut entries = file::entries(path, &mut problems);
    if !problems.is_empty() {
        return Err(ConfigError { problems });
    }
    entries.sort_by_key(|entry| entry.line);
    let mut settings = Settings::default();
    for entry in &entries {
        let origin = Origin::File(path.to_path_buf(), entry.line);
        settings.set(&entry.key, entry.value.clone(), origin, &mut problems);
    }
    // They are findings of their own, not remarks.
    settings.ignored.clear();
    let config = resolve::resolve(settings, host, &mut problems);
    let finding = |entry: Entry| {
        let origin = Origin::File(path.to_path_buf(), entry.line);
        let problem = problems.iter().find(|problem| problem.origin == origin);
        judge(entry, problem)
    };
    Ok(Report {
        findings: entries.into_iter().map(finding).collect(),
        notes: config.map(|config| config.notes).unwrap_or_default(),
    })
}

fn judge(entry: Entry, problem: Option<&Problem>) -> Finding {
    let known = keys::lookup(&entry.key);
    let value = entry.value.trim();
    let mut finding = Finding {
        line: entry.line,
        name: known.as_ref().map(|known| known.name),
        value: known
            .as_ref()
            .map_or_else(|| value.to_string(), |known| (known.rewrite)(value)),
        verdict: Verdict::Honoured,
        reason: None,
        remedy: problem.and_then(|problem| problem.remedy.clone()),
        key: entry.key,
    };
    match known.map(|known| known.meaning) {
        None => {
            finding.verdict = Verdict::Unknown;
            finding.reason = Some("no such key".to_string());
        }
        Some(Meaning::Ignored(reason)) => {
            finding.verdict = Verdict::Ignored;
            finding.reason = Some(reason.to_string());
        }
        Some(Meaning::Refused(reason, _)) if problem.is_some() => {
            finding.verdict = Verdict::Refused;
            finding.reason = Some(reason.to_string());
        }
        Some(Meaning::Refused(..)) => {
            finding.verdict = Verdict::Ignored;
            finding.reason = Some("it is empty, which switches it off".to_string());
        }
        Some(Meaning::Used) => {
            if let Some(problem) = problem {
                finding.verdict = Verdict::Invalid;
                finding.reason = Some(without_origin(problem, finding.name.unwrap_or_default()));
            }
        }
    }
    finding
}

/// The cause without `file:line: key: `, which the finding has in fields of its own.
fn without_origin(problem: &Problem, name: &str) -> String {
    let cause = problem.cause.as_str();
    let cause = cause.strip_prefix(&format!("{}: ", problem.origin)).unwrap_or(cause);
    cause.strip_prefix(&format!("{name}: ")).unwrap_or(cause).to_string()
}
