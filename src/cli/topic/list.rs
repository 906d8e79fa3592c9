//! `ringlog topic list`.

use super::ListArgs;
use crate::cli::context::{Context, Format};
use crate::cli::encode::kafka_uuid;
use crate::cli::failure::Failure;
use crate::cli::output::{self, Align};
use crate::client::Refusal;
use crate::client::cluster::{Scope, Topic};
use serde::Serialize;

#[derive(Serialize)]
struct Row {
    name: String,
    id: Option<String>,
    internal: bool,
    partitions: usize,
    replicas: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

pub(super) fn list(args: &ListArgs, context: &Context) -> Result<(), Failure> {
    let mut cluster = context.connect()?;
    let metadata = cluster.metadata(Scope::All)?;
    let wanted = |name: &str, internal: bool| {
        (args.internal || !internal) && args.filter.as_ref().is_none_or(|text| name.contains(text.as_str()))
    };
    let rows: Vec<Row> = metadata
        .topics
        .iter()
        .filter(|(name, topic)| wanted(name, topic.as_ref().is_ok_and(|topic| topic.internal)))
        .map(|(name, topic)| row(name, topic.as_ref()))
        .collect();
    if rows.is_empty() && context.format_or(Format::Table) == Format::Table {
        eprintln!(
            "no topics{}",
            if args.filter.is_some() {
                " match"
            } else {
                " yet: ringlog topic create NAME"
            }
        );
        return Ok(());
    }
    output::list(context.format_or(Format::Table), &rows, table)
}

fn row(name: &str, topic: Result<&Topic, &Refusal>) -> Row {
    let name = name.to_string();
    match topic {
        Ok(topic) => Row {
            name,
            id: (!topic.id.is_nil()).then(|| kafka_uuid(topic.id.as_bytes())),
            internal: topic.internal,
            partitions: topic.partitions.len(),
            replicas: topic.partitions.first().map_or(0, |partition| partition.replicas.len()),
            error: None,
        },
        Err(refusal) => Row {
            name,
            id: None,
            internal: false,
            partitions: 0,
            replicas: 0,
            error: Some(refusal.name()),
        },
    }
}

fn table(rows: &[Row]) -> String {
    let headers = [
        ("TOPIC", Align::Left),
        ("PARTITIONS", Align::Right),
        ("REPLICAS", Align::Right),
        ("NOTE", Align::Left),
    ];
    let has_notes = rows.iter().any(|row| row.internal || row.error.is_some());
    let shown = if has_notes { &headers[..] } else { &headers[..3] };
    let cells = rows.iter().map(|row| {
        let note = row.error.clone().unwrap_or_else(|| {
            if row.internal {
                "internal".to_string()
            } else {
                String::new()
            }
        });
        let mut cells = vec![
            row.name.clone(),
            row.partitions.to_string(),
            row.replicas.to_string(),
            note,
        ];
        cells.truncate(shown.len());
        cells
    });
    output::columns(shown, cells)
}
