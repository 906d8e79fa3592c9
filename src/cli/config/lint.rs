//! `ringlog config lint`.

use super::LintArgs;
use crate::cli::context::{Context, Format};
use crate::cli::failure::{EXIT_FAILURE, EXIT_FOUND, EXIT_NOT_FOUND, EXIT_WARNINGS, Failure};
use crate::cli::output::{self, Align};
use crate::server::config::Host;
use crate::server::config::lint::{self, Finding, Report, Verdict};
use serde::Serialize;
use std::path::Path;

#[derive(Serialize)]
struct Document {
    file: String,
    findings: Vec<Row>,
    notes: Vec<String>,
}

#[derive(Serialize)]
struct Row {
    line: usize,
    key: String,
    value: String,
    verdict: &'static str,
    /// Another name that ringlog uses for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    remedy: Option<String>,
}

pub(super) fn lint(args: &LintArgs, context: &Context) -> Result<(), Failure> {
    let report = read(&args.file)?;
    let has = |wanted: fn(Verdict) -> bool| report.findings.iter().any(|finding| wanted(finding.verdict));
    let refused = has(Verdict::stops_a_start);
    let ignored = has(|verdict| verdict == Verdict::Ignored);
    let document = Document {
        file: args.file.display().to_string(),
        findings: report.findings.iter().map(row).collect(),
        notes: report.notes,
    };
    output::one(context.format_or(Format::Table), &document, table)?;
    match (refused, ignored && args.strict) {
        (true, _) => Err(Failure::Reported(EXIT_FOUND)),
        (_, true) => Err(Failure::Reported(EXIT_WARNINGS)),
        _ => Ok(()),
    }
}

/// The verdicts of a start on this machine.
pub(super) fn read(file: &Path) -> Result<Report, Failure> {
    lint::lint(file, &Host::detect()).map_err(|error| {
        let code = if file.exists() { EXIT_FAILURE } else { EXIT_NOT_FOUND };
        Failure::Other(code, error.to_string(), None)
    })
}

pub(super) fn word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Honoured => "honoured",
        Verdict::Ignored => "ignored",
        Verdict::Refused => "refused",
        Verdict::Invalid => "invalid",
        Verdict::Unknown => "unknown",
    }
}

/// Secrets are not repeated, not even those that are refused.
pub(super) fn shown_value(finding: &Finding) -> String {
    let key = finding.key.to_ascii_lowercase();
    if ["password", "secret", "jaas", "keystore.key"]
        .iter()
        .any(|word| key.contains(word))
    {
        "(hidden)".to_string()
    } else {
        finding.value.clone()
    }
}

fn row(finding: &Finding) -> Row {
    Row {
        line: finding.line,
        key: finding.key.clone(),
        value: shown_value(finding),
        verdict: word(finding.verdict),
        name: finding.name.filter(|name| *name != finding.key),
        reason: finding.reason.clone(),
        remedy: finding.remedy.clone(),
    }
}

fn table(document: &Document) -> String {
    let headers = [
        ("LINE", Align::Right),
        ("VERDICT", Align::Left),
        ("KEY", Align::Left),
        ("VALUE", Align::Left),
        ("WHY", Align::Left),
    ];
    let cells = document.findings.iter().map(|row| {
        let renamed = row.name.map(|name| format!("means {name}"));
        let words = [row.reason.clone().or(renamed), row.remedy.clone()];
        vec![
            row.line.to_string(),
            row.verdict.to_string(),
            row.key.clone(),
            row.value.clone(),
            words.into_iter().flatten().collect::<Vec<_>>().join("; "),
        ]
    });
    let mut text = output::columns(&headers, cells);
    for note in &document.notes {
        text += &format!("note: {note}\n");
    }
    let of = |verdict: Verdict| {
        document
            .findings
            .iter()
            .filter(|row| row.verdict == word(verdict))
            .count()
    };
    let counts = [
        Verdict::Honoured,
        Verdict::Ignored,
        Verdict::Refused,
        Verdict::Invalid,
        Verdict::Unknown,
    ];
    let counts = counts
        .into_iter()
        .filter(|verdict| of(*verdict) > 0)
        .map(|verdict| format!("{} {}", of(verdict), word(verdict)));
    format!("{text}\n{}: {}\n", document.file, counts.collect::<Vec<_>>().join(", "))
}
