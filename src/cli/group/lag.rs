//! `ringlog group lag`.

use super::LagArgs;
use super::position::{self, Position, number};
use crate::cli::context::{Context, Format};
use crate::cli::failure::Failure;
use crate::cli::interrupt;
use crate::cli::output::{self, Align};
use crate::client::{ClientError, Cluster, group};
use serde::Serialize;
use std::collections::BTreeMap;

#[derive(Serialize)]
struct Row {
    group: String,
    #[serde(flatten)]
    position: Position,
}

/// All partitions of a topic together.
#[derive(Serialize)]
struct TopicRow {
    group: String,
    topic: String,
    partitions: usize,
    lag: i64,
    /// Largest lag of one partition.
    max_lag: i64,
    /// Partitions whose lag cannot be told.
    unknown: usize,
}

pub(super) fn lag(args: &LagArgs, context: &Context) -> Result<(), Failure> {
    let mut cluster = context.connect()?;
    loop {
        let shown = once(args, context, &mut cluster);
        let Some(interval) = args.watch else { return shown };
        match shown {
            Err(Failure::Client(ClientError::Interrupted)) => return Ok(()),
            other => other?,
        }
        if !interrupt::pause(interval) {
            return Ok(());
        }
        if context.format_or(Format::Table) == Format::Table {
            output::print("\n")?;
        }
    }
}

fn once(args: &LagArgs, context: &Context, cluster: &mut Cluster) -> Result<(), Failure> {
    let format = context.format_or(Format::Table);
    if args.groups.is_empty() {
        let groups: Vec<String> = group::list(cluster)?.into_iter().map(|group| group.name).collect();
        let rows = by_topic(position::of_groups(cluster, &groups)?);
        if rows.is_empty() && format == Format::Table {
            eprintln!("no group has committed anything yet");
            return Ok(());
        }
        return output::list(format, &rows, topic_table);
    }
    for (name, found) in group::describe(cluster, &args.groups)? {
        found.map_err(|refusal| ClientError::refused(format!("lag of group {name}"), refusal))?;
    }
    let rows: Vec<Row> = position::of_groups(cluster, &args.groups)?
        .into_iter()
        .flat_map(|(group, positions)| {
            positions.into_iter().map(move |position| Row {
                group: group.clone(),
                position,
            })
        })
        .collect();
    output::list(format, &rows, |rows| table(&args.groups, rows))
}

fn by_topic(groups: Vec<(String, Vec<Position>)>) -> Vec<TopicRow> {
    let mut rows = Vec::new();
    for (group, positions) in groups {
        let mut topics: BTreeMap<&str, Vec<&Position>> = BTreeMap::new();
        for position in &positions {
            topics.entry(&position.topic).or_default().push(position);
        }
        for (topic, positions) in topics {
            let known = positions.iter().filter_map(|position| position.lag);
            rows.push(TopicRow {
                group: group.clone(),
                topic: topic.to_string(),
                partitions: positions.len(),
                lag: position::total(positions.iter().copied()),
                max_lag: known.clone().max().unwrap_or(0),
                unknown: positions.len() - known.count(),
            });
        }
    }
    rows
}

fn topic_table(rows: &[TopicRow]) -> String {
    let mut headers = vec![
        ("GROUP", Align::Left),
        ("TOPIC", Align::Left),
        ("PARTITIONS", Align::Right),
        ("LAG", Align::Right),
        ("MAX", Align::Right),
    ];
    let has_unknown = rows.iter().any(|row| row.unknown > 0);
    if has_unknown {
        headers.push(("UNKNOWN", Align::Right));
    }
    let cells = rows.iter().map(|row| {
        let mut cells = vec![
            row.group.clone(),
            row.topic.clone(),
            row.partitions.to_string(),
            row.lag.to_string(),
            row.max_lag.to_string(),
        ];
        if has_unknown {
            cells.push(row.unknown.to_string());
        }
        cells
    });
    output::columns(&headers, cells)
}

fn table(groups: &[String], rows: &[Row]) -> String {
    let mut headers = vec![
        ("GROUP", Align::Left),
        ("TOPIC", Align::Left),
        ("PARTITION", Align::Right),
        ("COMMITTED", Align::Right),
        ("END", Align::Right),
        ("LAG", Align::Right),
    ];
    let has_errors = rows.iter().any(|row| row.position.error.is_some());
    if has_errors {
        headers.push(("ERROR", Align::Left));
    }
    let cells = rows.iter().map(|row| {
        let mut cells = vec![
            row.group.clone(),
            row.position.topic.clone(),
            row.position.partition.to_string(),
            number(row.position.committed),
            number(row.position.end),
            number(row.position.lag),
        ];
        if has_errors {
            cells.push(row.position.error.clone().unwrap_or_default());
        }
        cells
    });
    let mut text = if rows.is_empty() {
        String::new()
    } else {
        format!("{}\n", output::columns(&headers, cells))
    };
    for group in groups {
        let of_group = rows.iter().filter(|row| row.group == *group);
        let partitions = of_group.clone().count();
        let lag = position::total(of_group.map(|row| &row.position));
        text += &format!("{group}: lag {lag} in {}\n", output::count(partitions, "partition"));
    }
    text
}
