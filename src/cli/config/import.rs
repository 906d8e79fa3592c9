//! `ringlog config import`: a server.properties as a ringlog.toml.

use super::ImportArgs;
use super::lint::{read, shown_value, word};
use crate::cli::failure::{EXIT_FOUND, Failure};
use crate::cli::output;
use crate::server::config::lint::{Finding, Verdict};
use std::collections::BTreeSet;

pub(super) fn import(args: &ImportArgs) -> Result<(), Failure> {
    let report = read(&args.file)?;
    let left_out = report
        .findings
        .iter()
        .filter(|finding| finding.verdict.stops_a_start())
        .count();
    let head = format!("# From {}, by ringlog config import.\n", args.file.display());
    output::print(&(head + &toml(&report.findings)))?;
    for note in report.notes {
        eprintln!("note: {note}");
    }
    if left_out == 0 {
        return Ok(());
    }
    Err(Failure::Other(
        EXIT_FOUND,
        format!("{} could not be taken over", output::count(left_out, "key")),
        Some("see the comments REFUSED, INVALID and UNKNOWN in the output".to_string()),
    ))
}

fn toml(findings: &[Finding]) -> String {
    let names: Vec<&str> = findings
        .iter()
        .filter(|finding| finding.verdict == Verdict::Honoured)
        .filter_map(|finding| finding.name)
        .collect();
    let mut written = BTreeSet::new();
    let mut text = String::new();
    for finding in findings {
        text += &match finding.name.filter(|_| finding.verdict == Verdict::Honoured) {
            // Two spellings of one key, with the same value.
            Some(name) if !written.insert(name) => comment(finding, "set above"),
            Some(name) => format!("{} = {}\n", key(name, &names), value(&finding.value)),
            None => comment(finding, &why(finding)),
        };
    }
    text
}

fn why(finding: &Finding) -> String {
    let word = word(finding.verdict);
    let word = if finding.verdict.stops_a_start() {
        word.to_uppercase()
    } else {
        word.to_string()
    };
    let reasons = [finding.reason.as_deref(), finding.remedy.as_deref()];
    let reasons: Vec<&str> = reasons.into_iter().flatten().collect();
    format!("{word}: {}", reasons.join("; "))
}

/// One line, whatever the value holds.
fn comment(finding: &Finding, why: &str) -> String {
    let line = format!("# {} = {}   ({why})", finding.key, shown_value(finding));
    line.replace(['\n', '\r'], " ") + "\n"
}

/// Dotted, unless another key goes on where this one ends: TOML would see a value and a table of one name.
fn key(name: &str, all: &[&str]) -> String {
    let clashes = |other: &&str| {
        let (short, long) = if name.len() < other.len() {
            (name, *other)
        } else {
            (*other, name)
        };
        long.strip_prefix(short).is_some_and(|rest| rest.starts_with('.'))
    };
    if all.iter().any(clashes) {
        format!("\"{name}\"")
    } else {
        name.to_string()
    }
}

fn value(text: &str) -> String {
    let is_number = text.parse::<i64>().is_ok_and(|number| number.to_string() == text);
    if is_number || matches!(text, "true" | "false") {
        return text.to_string();
    }
    let mut quoted = String::with_capacity(text.len() + 2);
    for letter in text.chars() {
        match letter {
            '"' | '\\' => quoted.extend(['\\', letter]),
            letter if letter.is_control() => quoted += &format!("\\u{:04X}", u32::from(letter)),
            letter => quoted.push(letter),
        }
    }
    format!("\"{quoted}\"")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_and_keys_are_toml() {
        for (text, expected) in [
            ("5", "5"),
            ("007", "\"007\""),
            ("true", "true"),
            ("a\"b\\c\td", "\"a\\\"b\\\\c\\u0009d\""),
        ] {
            assert_eq!(value(text), expected);
        }
        assert_eq!(key("log.dir", &["log.dir", "log.dirs"]), "log.dir");
        assert_eq!(key("a.b", &["a.b", "a.b.c"]), "\"a.b\"");
        assert_eq!(key("a.b.c", &["a.b", "a.b.c"]), "\"a.b.c\"");
    }
}
