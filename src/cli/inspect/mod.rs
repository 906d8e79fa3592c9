//! `ringlog inspect`: reads the files of a stopped node and says what is in them and what is wrong.
//!
//! Changes nothing. Uses the broker's own readers, so what is called fine here is what a start accepts.

mod files;
mod node;
mod segments;

use crate::cli::context::{Context, Format};
use crate::cli::examples;
use crate::cli::failure::{EXIT_NOT_FOUND, Failure};
use crate::cli::output::{self, Align};
use crate::server::config::units::show_size;
use serde::Serialize;
use std::path::{Path, PathBuf};

/// A check found damage.
const EXIT_DAMAGE: u8 = 4;

/// Read the files of a stopped node and say what is wrong in them
///
/// Without a path: ./ringlog-data. A directory is checked as a whole: format, checkpoints, journals, and whether every segment
/// that the checkpoints name is there. With --verify every record batch of every segment is read and its checksum compared. A
/// single journal, segment, index or checkpoint file can be given, too. Exit code 4 means damage.
#[derive(clap::Args, Debug)]
#[command(after_help = examples!(
"  ringlog inspect                                   ./ringlog-data, structure only
  ringlog inspect /var/lib/ringlog --verify         every record, too
  ringlog inspect data/shards/0/journal-000001.jnl
  ringlog inspect --format json | jq '.files[] | select(.state == \"damaged\")'
"))]
pub struct Args {
    /// A data directory, or one of its files
    #[arg(default_value = "./ringlog-data", value_name = "DATA_DIR|FILE")]
    path: PathBuf,

    /// Also read all segments and compare every checksum
    #[arg(long)]
    verify: bool,
}

/// How a file fares.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "lowercase")]
enum State {
    /// As it should be.
    Ok,
    /// Odd, and harmless: a start deals with it.
    Note,
    /// Something acknowledged may be lost.
    Damaged,
}

/// One file.
#[derive(Debug, Serialize)]
struct Row {
    file: String,
    kind: &'static str,
    bytes: u64,
    state: State,
    content: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    fault: Option<String>,
}

impl Row {
    fn new(file: impl Into<String>, kind: &'static str, bytes: u64) -> Row {
        Row {
            file: file.into(),
            kind,
            bytes,
            state: State::Ok,
            content: String::new(),
            fault: None,
        }
    }
    fn content(mut self, content: impl Into<String>) -> Row {
        self.content = content.into();
        self
    }
    fn note(mut self, fault: impl Into<String>) -> Row {
        self.state = State::Note;
        self.fault = Some(fault.into());
        self
    }
    fn damaged(mut self, fault: impl Into<String>) -> Row {
        self.state = State::Damaged;
        self.fault = Some(fault.into());
        self
    }
}

/// What was found.
#[derive(Debug, Default, Serialize)]
struct Report {
    #[serde(skip_serializing_if = "Option::is_none")]
    cluster_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    node_id: Option<i32>,
    shards: usize,
    topics: usize,
    partitions: usize,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    quotas: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    scram: Vec<String>,
    damaged: usize,
    files: Vec<Row>,
}

/// Reads and reports.
///
/// # Errors
/// Exit code 4 for damage, 6 when there is nothing at the path, 1 when it cannot be read or a broker runs on it.
pub fn run(args: Args, context: &Context) -> Result<(), Failure> {
    let mut report = if args.path.is_dir() {
        node::inspect(&args.path, args.verify)?
    } else if args.path.is_file() {
        let files = vec![single(&args.path)?];
        Report {
            files,
            ..Report::default()
        }
    } else {
        let help = "name a data directory or one of its files".to_string();
        return Err(Failure::Other(
            EXIT_NOT_FOUND,
            format!("{} does not exist", args.path.display()),
            Some(help),
        ));
    };
    report.damaged = report.files.iter().filter(|row| row.state == State::Damaged).count();
    output::one(context.format_or(Format::Table), &report, table)?;
    if report.damaged > 0 {
        return Err(Failure::Reported(EXIT_DAMAGE));
    }
    Ok(())
}

fn single(path: &Path) -> Result<Row, Failure> {
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    match name.rsplit_once('.') {
        Some(("checkpoint", "a" | "b")) => Ok(files::checkpoint(&name, &files::read(path)?).0),
        Some((_, "jnl")) => Ok(files::journal(&name, &files::read(path)?)),
        Some((_, "seg")) => segments::single(path, &name),
        Some((_, "idx")) => files::index(path, &name),
        _ => Err(Failure::usage(format!(
            "{name} is no journal (.jnl), segment (.seg), index (.idx) or checkpoint (checkpoint.a, checkpoint.b)"
        ))),
    }
}

fn table(report: &Report) -> String {
    let headers = [
        ("FILE", Align::Left),
        ("KIND", Align::Left),
        ("SIZE", Align::Right),
        ("STATE", Align::Left),
        ("CONTENT", Align::Left),
    ];
    let rows = report.files.iter().map(|row| {
        let state = match row.state {
            State::Ok => "ok",
            State::Note => "note",
            State::Damaged => "DAMAGED",
        };
        let mut content = row.content.clone();
        if let Some(fault) = &row.fault {
            content = if content.is_empty() {
                fault.clone()
            } else {
                format!("{content}: {fault}")
            };
        }
        vec![
            row.file.clone(),
            row.kind.to_string(),
            show_size(row.bytes),
            state.to_string(),
            content,
        ]
    });
    let mut text = output::columns(&headers, rows);
    if let (Some(cluster), Some(node)) = (&report.cluster_id, report.node_id) {
        let shards = output::count(report.shards, "shard");
        let topics = output::count(report.topics, "topic");
        let partitions = output::count(report.partitions, "partition");
        text.push_str(&format!(
            "\ncluster {cluster}, node {node}: {shards}, {topics}, {partitions}\n"
        ));
    }
    for quota in &report.quotas {
        text.push_str(&format!("quota {}\n", quota.escape_debug()));
    }
    for credential in &report.scram {
        text.push_str(&format!("credential {}\n", credential.escape_debug()));
    }
    let files = output::count(report.files.len(), "file");
    match report.damaged {
        0 => text.push_str(&format!("{files}, no damage\n")),
        damaged => text.push_str(&format!("{files}, {damaged} DAMAGED\n")),
    }
    text
}
