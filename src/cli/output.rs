//! Printing answers: aligned tables, JSON documents, JSON lines. Only stdout; errors are in `failure`.

use crate::cli::context::Format;
use crate::cli::failure::{Failure, refusal_exit_code};
use crate::client::{ClientError, Refusal};
use comfy_table::{CellAlignment, Table, presets};
use serde::Serialize;
use std::collections::BTreeMap;
use std::io::Write;

/// Prints a list: `table` makes the text for people, JSON comes from the items.
///
/// # Errors
/// A broken pipe ends quietly; other write errors are reported.
pub fn list<T: Serialize>(format: Format, items: &[T], table: impl FnOnce(&[T]) -> String) -> Result<(), Failure> {
    let text = match format {
        Format::Table => table(items),
        Format::Json => json_document(&items)?,
        Format::Jsonl => items.iter().map(json_line).collect::<Result<String, Failure>>()?,
    };
    print(&text)
}

/// Prints one thing.
///
/// # Errors
/// As [`list`].
pub fn one<T: Serialize>(format: Format, item: &T, table: impl FnOnce(&T) -> String) -> Result<(), Failure> {
    let text = match format {
        Format::Table => table(item),
        Format::Json => json_document(item)?,
        Format::Jsonl => json_line(item)?,
    };
    print(&text)
}

/// Writes text to stdout and flushes it.
///
/// # Errors
/// As [`list`].
pub fn print(text: &str) -> Result<(), Failure> {
    let mut stdout = std::io::stdout().lock();
    stdout.write_all(text.as_bytes())?;
    stdout.flush()?;
    Ok(())
}

fn json_document<T: Serialize>(item: &T) -> Result<String, Failure> {
    serde_json::to_string_pretty(item)
        .map(|text| text + "\n")
        .map_err(|error| Failure::failed(error.to_string()))
}

fn json_line<T: Serialize>(item: &T) -> Result<String, Failure> {
    serde_json::to_string(item)
        .map(|text| text + "\n")
        .map_err(|error| Failure::failed(error.to_string()))
}

/// How a column is aligned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Align {
    /// Text.
    Left,
    /// Numbers.
    Right,
}

/// Rows under upper-case headers, two spaces between columns, no lines, no trailing blanks.
pub fn columns(headers: &[(&str, Align)], rows: impl IntoIterator<Item = Vec<String>>) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_header(headers.iter().map(|(name, _)| *name));
    for row in rows {
        table.add_row(row);
    }
    for (index, (_, align)) in headers.iter().enumerate() {
        if let Some(column) = table.column_mut(index) {
            column.set_padding((0, 2));
            column.set_cell_alignment(match align {
                Align::Left => CellAlignment::Left,
                Align::Right => CellAlignment::Right,
            });
        }
    }
    table.lines().map(|line| line.trim_end().to_string() + "\n").collect()
}

/// Lines of `label  value` with the values aligned.
pub fn facts(facts: &[(&str, String)]) -> String {
    let width = facts.iter().map(|(label, _)| label.len()).max().unwrap_or(0);
    facts
        .iter()
        .map(|(label, value)| format!("{label:width$}  {value}\n"))
        .collect()
}

/// `1 partition`, `4 partitions`.
pub fn count(number: usize, noun: &str) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}

/// What happened to one topic, group or other thing of a command that changes several.
#[derive(Debug, Serialize)]
pub struct Outcome {
    /// What it is (`topic`, `group`, ...) and its name.
    #[serde(flatten)]
    pub subject: BTreeMap<&'static str, String>,
    /// True if the change was made (or would be, in a dry run).
    pub ok: bool,
    /// What was done, in words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub result: Option<String>,
    /// Kafka's name of the error.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// The broker's explanation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

/// Prints what happened to each `noun` (such as `topic`); refusals go to stderr too and the first one decides the exit code.
///
/// # Errors
/// The first refusal's exit code, or a write error.
pub fn outcomes(
    format: Format,
    noun: &'static str,
    what: &str,
    results: Vec<(String, Result<String, Refusal>)>,
) -> Result<(), Failure> {
    let mut items = Vec::with_capacity(results.len());
    let mut failures: Vec<Failure> = Vec::new();
    let mut exit_code = 0;
    for (name, result) in results {
        let refusal = result.as_ref().err().cloned();
        items.push(Outcome {
            subject: BTreeMap::from([(noun, name.clone())]),
            ok: refusal.is_none(),
            result: result.ok(),
            error: refusal.as_ref().map(Refusal::name),
            message: refusal.as_ref().and_then(|refusal| refusal.message.clone()),
        });
        if let Some(refusal) = refusal {
            exit_code = if exit_code == 0 {
                refusal_exit_code(&refusal)
            } else {
                exit_code
            };
            failures.push(Failure::Client(ClientError::refused(format!("{what} {name}"), refusal)));
        }
    }
    let sentence = |item: &Outcome| {
        let name = item.subject.get(noun).map_or("", String::as_str);
        item.result.as_ref().map(|result| format!("{name}: {result}\n"))
    };
    list(format, &items, |items| items.iter().filter_map(sentence).collect())?;
    failures.iter().for_each(Failure::report);
    if exit_code == 0 {
        Ok(())
    } else {
        Err(Failure::Reported(exit_code))
    }
}

/// What became of things to delete, by name; one that is not there is fine `if_exists`.
pub fn deleted(
    results: impl IntoIterator<Item = (String, Result<(), Refusal>)>,
    if_exists: bool,
) -> Vec<(String, Result<String, Refusal>)> {
    let outcome = |result| match result {
        Ok(()) => Ok("deleted".to_string()),
        Err(refusal) if if_exists && Refusal::is_not_found(&refusal) => Ok("does not exist".to_string()),
        Err(refusal) => Err(refusal),
    };
    results
        .into_iter()
        .map(|(name, result)| (name, outcome(result)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_align_and_do_not_trail() {
        let rows =
            [("logs", "4"), ("a-long-name", "12")].map(|(name, count)| vec![name.to_string(), count.to_string()]);
        let text = columns(&[("TOPIC", Align::Left), ("PARTITIONS", Align::Right)], rows);
        assert_eq!(
            text,
            "TOPIC        PARTITIONS\nlogs                  4\na-long-name          12\n"
        );
    }

    #[test]
    fn facts_line_up() {
        assert_eq!(
            facts(&[("id", "x".to_string()), ("brokers", "3".to_string())]),
            "id       x\nbrokers  3\n"
        );
        assert_eq!(count(1, "topic"), "1 topic");
        assert_eq!(count(0, "topic"), "0 topics");
    }
}
