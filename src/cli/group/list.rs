//! `ringlog group list`.

use super::ListArgs;
use crate::cli::context::{Context, Format};
use crate::cli::failure::Failure;
use crate::cli::output::{self, Align};
use crate::client::Refusal;
use crate::client::group::{self, Group, Listed};
use serde::Serialize;

#[derive(Serialize)]
struct Row {
    group: String,
    state: String,
    #[serde(rename = "type")]
    kind: String,
    protocol_type: String,
    assignor: Option<String>,
    members: Option<usize>,
    coordinator: i32,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

pub(super) fn list(args: &ListArgs, context: &Context) -> Result<(), Failure> {
    let mut cluster = context.connect()?;
    let mut listed = group::list(&mut cluster)?;
    if let Some(text) = &args.filter {
        listed.retain(|group| group.name.contains(text.as_str()));
    }
    let names: Vec<String> = listed.iter().map(|group| group.name.clone()).collect();
    let described = group::describe(&mut cluster, &names)?;
    let rows: Vec<Row> = listed
        .into_iter()
        .zip(described)
        .map(|(listed, (_, described))| row(listed, described))
        .collect();
    let format = context.format_or(Format::Table);
    if rows.is_empty() && format == Format::Table {
        let text = if args.filter.is_some() {
            "no groups match"
        } else {
            "no groups yet"
        };
        eprintln!("{text}");
        return Ok(());
    }
    output::list(format, &rows, table)
}

/// What the list and the description say together; the latter is fresher.
fn row(listed: Listed, described: Result<Group, Refusal>) -> Row {
    let unknown = || "unknown".to_string();
    match described {
        Ok(group) => Row {
            group: listed.name,
            state: group.state,
            kind: listed.kind.unwrap_or_else(|| group.kind.to_string()),
            protocol_type: group.protocol_type,
            assignor: group.assignor,
            members: Some(group.members.len()),
            coordinator: listed.coordinator,
            error: None,
        },
        // Such as share groups, which have questions of their own, or a group that was deleted meanwhile.
        Err(refusal) => Row {
            group: listed.name,
            state: listed.state.unwrap_or_else(unknown),
            kind: listed.kind.unwrap_or_else(unknown),
            protocol_type: listed.protocol_type,
            assignor: None,
            members: None,
            coordinator: listed.coordinator,
            error: Some(refusal.name()),
        },
    }
}

fn table(rows: &[Row]) -> String {
    let headers = [
        ("GROUP", Align::Left),
        ("STATE", Align::Left),
        ("TYPE", Align::Left),
        ("PROTOCOL", Align::Left),
        ("ASSIGNOR", Align::Left),
        ("MEMBERS", Align::Right),
        ("COORDINATOR", Align::Right),
    ];
    let or_dash = |text: &str| {
        if text.is_empty() {
            "-".to_string()
        } else {
            text.to_string()
        }
    };
    let cells = rows.iter().map(|row| {
        vec![
            row.group.clone(),
            row.state.clone(),
            row.kind.clone(),
            or_dash(&row.protocol_type),
            or_dash(row.assignor.as_deref().unwrap_or("")),
            row.members.map_or_else(|| "-".to_string(), |count| count.to_string()),
            row.coordinator.to_string(),
        ]
    });
    output::columns(&headers, cells)
}
