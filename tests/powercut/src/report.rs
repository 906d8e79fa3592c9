//! What a rig says: progress on stderr, one line per check and a closing line on stdout, as text or JSON.

use std::fmt::Write as _;
use std::io::{IsTerminal, Write as _};
use std::time::{Duration, Instant};

/// How results are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// Lines for people.
    Table,
    /// One JSON object per line.
    Json,
    /// Nothing at all; for runs inside of other checks.
    #[value(skip)]
    Silent,
}

/// Collects checks and prints them as they come.
pub struct Report {
    format: Format,
    passed: u64,
    failed: u64,
    last_progress: Option<Instant>,
    on_terminal: bool,
}

impl Report {
    /// An empty report.
    pub fn new(format: Format) -> Self {
        let on_terminal = std::io::stderr().is_terminal();
        Self {
            format,
            passed: 0,
            failed: 0,
            last_progress: None,
            on_terminal,
        }
    }

    /// One check with its outcome and a sentence of detail.
    pub fn line(&mut self, check: &str, passed: bool, detail: &str) {
        self.count(passed);
        self.clear_progress();
        match self.format {
            Format::Table => println!("{}  {check}: {detail}", if passed { "pass" } else { "FAIL" }),
            Format::Json => println!("{}", object(&[("check", check), ("detail", detail)], &[], Some(passed))),
            Format::Silent => {}
        }
    }

    /// Counts a check that prints no line of its own.
    pub fn count(&mut self, passed: bool) {
        if passed {
            self.passed += 1;
        } else {
            self.failed += 1;
        }
    }

    /// A failure with all that is needed to find it again.
    pub fn failure(&mut self, check: &str, detail: &str) {
        self.line(check, false, detail);
    }

    /// A remark that is neither pass nor failure.
    pub fn note(&mut self, text: &str) {
        self.clear_progress();
        match self.format {
            Format::Table => println!("{text}"),
            Format::Json => println!("{}", object(&[("note", text)], &[], None)),
            Format::Silent => {}
        }
    }

    /// A table of numbers; `rows` are (label, values) under `columns`.
    pub fn table(&mut self, title: &str, columns: &[&str], rows: &[(String, Vec<u64>)]) {
        self.clear_progress();
        if self.format == Format::Silent {
            return;
        }
        if self.format == Format::Json {
            for (label, values) in rows {
                let numbers: Vec<_> = columns.iter().copied().zip(values.iter().copied()).collect();
                println!("{}", object(&[("table", title), ("row", label)], &numbers, None));
            }
            return;
        }
        let width = rows
            .iter()
            .map(|(label, _)| label.len())
            .chain([title.len()])
            .max()
            .unwrap_or(0);
        let mut text = format!("{title:width$}");
        for column in columns {
            let _ = write!(text, "  {column:>10}");
        }
        for (label, values) in rows {
            let _ = write!(text, "\n{label:width$}");
            for (value, column) in values.iter().zip(columns) {
                let _ = write!(text, "  {value:>width$}", width = column.len().max(10));
            }
        }
        println!("{text}");
    }

    /// Where the run stands; in place on a terminal, else a line every five seconds.
    pub fn progress(&mut self, text: &str) {
        let pause = Duration::from_millis(if self.on_terminal { 100 } else { 5000 });
        if self.format == Format::Silent || self.last_progress.is_some_and(|last| last.elapsed() < pause) {
            return;
        }
        self.last_progress = Some(Instant::now());
        if self.on_terminal {
            eprint!("\r\x1b[K{text}");
        } else {
            eprintln!("{text}");
        }
        let _ = std::io::stderr().flush();
    }

    fn clear_progress(&self) {
        if self.on_terminal && self.last_progress.is_some() {
            eprint!("\r\x1b[K");
        }
    }

    /// Checks passed and failed so far.
    pub fn counts(&self) -> (u64, u64) {
        (self.passed, self.failed)
    }

    /// True while nothing has failed.
    pub fn clean(&self) -> bool {
        self.failed == 0
    }

    /// Prints the closing line; true when nothing failed and something passed.
    pub fn close(&self) -> bool {
        self.clear_progress();
        match self.format {
            Format::Table => println!("powercut: {} passed, {} failed", self.passed, self.failed),
            Format::Json => println!(
                "{}",
                object(&[], &[("passed", self.passed), ("failed", self.failed)], None)
            ),
            Format::Silent => {}
        }
        self.failed == 0 && self.passed > 0
    }
}

fn object(strings: &[(&str, &str)], numbers: &[(&str, u64)], passed: Option<bool>) -> String {
    let mut fields: Vec<String> = strings
        .iter()
        .map(|(k, v)| format!("{}:{}", quote(k), quote(v)))
        .collect();
    fields.extend(numbers.iter().map(|(k, v)| format!("{}:{v}", quote(k))));
    fields.extend(passed.map(|passed| format!("\"pass\":{passed}")));
    format!("{{{}}}", fields.join(","))
}

fn quote(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            c if (c as u32) < 0x20 => drop(write!(out, "\\u{:04x}", c as u32)),
            c => out.push(c),
        }
    }
    out + "\""
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_lines_are_escaped() {
        let text = object(&[("a", "say \"x\"\n\\")], &[("n", 3)], Some(true));
        assert_eq!(text, r#"{"a":"say \"x\"\u000a\\","n":3,"pass":true}"#);
    }
}
