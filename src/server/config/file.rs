//! `ringlog.toml` and Kafka's `server.properties`. Both become flat keys with line numbers.

use super::Problem;
use super::settings::{Origin, Settings};
use std::path::Path;
use toml::de::{DeTable, DeValue};

/// Largest configuration file; more is a mistake.
const FILE_MAX: u64 = 1 << 20;

/// One key of a file, as it is written there.
pub(super) struct Entry {
    pub key: String,
    pub value: String,
    /// From 1.
    pub line: usize,
}

/// Reads the file into `settings`.
pub(super) fn read(path: &Path, settings: &mut Settings, problems: &mut Vec<Problem>) {
    for entry in entries(path, problems) {
        let origin = Origin::File(path.to_path_buf(), entry.line);
        settings.set(&entry.key, entry.value, origin, problems);
    }
}

/// All keys of the file; what is no key is a problem.
pub(super) fn entries(path: &Path, problems: &mut Vec<Problem>) -> Vec<Entry> {
    let text = match text_of(path) {
        Ok(text) => text,
        Err(cause) => {
            problems.push(Problem {
                cause: format!("cannot read the configuration file {}: {cause}", path.display()),
                remedy: Some("check the path given to --config".into()),
                origin: Origin::Default,
            });
            return Vec::new();
        }
    };
    let mut entries = Vec::new();
    if is_toml(path, &text) {
        read_toml(path, &text, &mut entries, problems);
    } else {
        read_properties(&text, &mut entries);
    }
    entries
}

fn text_of(path: &Path) -> Result<String, String> {
    let size = std::fs::metadata(path).map_err(|e| e.to_string())?.len();
    if size > FILE_MAX {
        return Err(format!("it has {size} bytes, more than {FILE_MAX}"));
    }
    std::fs::read_to_string(path).map_err(|e| e.to_string())
}

/// By the name; a file without a telling name is what it parses as.
fn is_toml(path: &Path, text: &str) -> bool {
    match path.extension().and_then(|e| e.to_str()) {
        Some("toml") => true,
        Some("properties") => false,
        _ => DeTable::parse(text).is_ok(),
    }
}

fn read_toml(path: &Path, text: &str, entries: &mut Vec<Entry>, problems: &mut Vec<Problem>) {
    match DeTable::parse(text) {
        Ok(table) => walk(path, text, "", table.get_ref(), entries, problems),
        Err(error) => {
            let line = error.span().map_or(1, |span| line_of(text, span.start));
            problems.push(Problem {
                cause: format!("{}:{line}: not valid TOML: {}", path.display(), error.message()),
                remedy: None,
                origin: Origin::File(path.to_path_buf(), line),
            });
        }
    }
}

fn walk(
    path: &Path,
    text: &str,
    prefix: &str,
    table: &DeTable<'_>,
    entries: &mut Vec<Entry>,
    problems: &mut Vec<Problem>,
) {
    for (name, value) in table {
        let line = line_of(text, name.span().start);
        let key = if prefix.is_empty() {
            name.get_ref().to_string()
        } else {
            format!("{prefix}.{}", name.get_ref())
        };
        if let DeValue::Table(inner) = value.get_ref() {
            walk(path, text, &key, inner, entries, problems);
            continue;
        }
        match scalar(value.get_ref()) {
            Some(value) => entries.push(Entry { key, value, line }),
            None => problems.push(Problem {
                cause: format!(
                    "{}:{line}: `{key}` must be a text, a number, true/false or a list of these",
                    path.display()
                ),
                remedy: None,
                origin: Origin::File(path.to_path_buf(), line),
            }),
        }
    }
}

fn scalar(value: &DeValue<'_>) -> Option<String> {
    match value {
        DeValue::String(text) => Some(text.to_string()),
        DeValue::Integer(number) => match i128::from_str_radix(number.as_str(), number.radix()) {
            Ok(number) => Some(number.to_string()),
            Err(_) => Some(number.as_str().to_string()),
        },
        DeValue::Float(number) => Some(number.as_str().to_string()),
        DeValue::Boolean(truth) => Some(truth.to_string()),
        DeValue::Array(items) => {
            let items: Option<Vec<String>> = items.iter().map(|item| scalar(item.get_ref())).collect();
            Some(items?.join(","))
        }
        DeValue::Datetime(_) | DeValue::Table(_) => None,
    }
}

fn line_of(text: &str, at: usize) -> usize {
    1 + text.as_bytes().iter().take(at).filter(|b| **b == b'\n').count()
}

/// Java's properties: `key=value`, `key: value` or `key value`, `#` and `!` comments, `\` at a line's end continues it.
fn read_properties(text: &str, entries: &mut Vec<Entry>) {
    let mut lines = text.lines().enumerate();
    while let Some((number, line)) = lines.next() {
        let mut logical = line.trim_start().to_string();
        if logical.is_empty() || logical.starts_with(['#', '!']) {
            continue;
        }
        while continues(&logical) {
            logical.pop();
            match lines.next() {
                Some((_, more)) => logical.push_str(more.trim_start()),
                None => break,
            }
        }
        let (key, value) = split(&logical);
        entries.push(Entry {
            key: unescape(key),
            value: unescape(value),
            line: number + 1,
        });
    }
}

/// An odd number of backslashes at the end.
fn continues(line: &str) -> bool {
    line.bytes().rev().take_while(|b| *b == b'\\').count() % 2 == 1
}

fn split(line: &str) -> (&str, &str) {
    let mut escaped = false;
    for (at, letter) in line.char_indices() {
        if escaped {
            escaped = false;
        } else if letter == '\\' {
            escaped = true;
        } else if letter == '=' || letter == ':' || letter.is_whitespace() {
            let value = line[at..].trim_start();
            let value = value.strip_prefix(['=', ':']).unwrap_or(value);
            return (&line[..at], value.trim_start());
        }
    }
    (line, "")
}

fn unescape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        if letter != '\\' {
            out.push(letter);
            continue;
        }
        match letters.next() {
            Some('n') => out.push('\n'),
            Some('t') => out.push('\t'),
            Some('r') => out.push('\r'),
            Some(other) => out.push(other),
            None => {}
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn properties_split_as_java_does() {
        assert_eq!(split("a.b=c=d"), ("a.b", "c=d"));
        assert_eq!(split("a.b : c d"), ("a.b", "c d"));
        assert_eq!(split("a.b c"), ("a.b", "c"));
        assert_eq!(split("a"), ("a", ""));
        assert_eq!(unescape("a\\:b\\\\c"), "a:b\\c");
        assert!(continues("x\\") && !continues("x\\\\"));
    }
}
