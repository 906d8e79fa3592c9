//! `ringlog group describe`.

use super::position::{self, Position, number};
use super::{DescribeArgs, select};
use crate::cli::context::{Context, Format};
use crate::cli::failure::Failure;
use crate::cli::output::{self, Align};
use crate::client::group::{self, Group, Member};
use crate::client::offsets::{self, LATEST, Partitions};
use crate::client::{ClientError, Cluster};
use serde::Serialize;
use std::collections::BTreeMap;

#[derive(Serialize)]
struct Description {
    group: String,
    state: String,
    #[serde(rename = "type")]
    kind: &'static str,
    protocol_type: String,
    assignor: Option<String>,
    epoch: Option<i32>,
    coordinator: i32,
    lag: i64,
    members: Vec<MemberRow>,
    partitions: Vec<PartitionRow>,
}

#[derive(Serialize)]
struct MemberRow {
    member_id: String,
    instance_id: Option<String>,
    client_id: String,
    host: String,
    epoch: Option<i32>,
    subscription: Vec<String>,
    assignment: Partitions,
}

#[derive(Serialize)]
struct PartitionRow {
    #[serde(flatten)]
    position: Position,
    member_id: Option<String>,
    client_id: Option<String>,
}

pub(super) fn describe(args: &DescribeArgs, context: &Context) -> Result<(), Failure> {
    let mut cluster = context.connect()?;
    let mut descriptions = Vec::with_capacity(args.groups.len());
    for (name, group) in group::describe(&mut cluster, &args.groups)? {
        let group = group.map_err(|refusal| ClientError::refused(format!("describe group {name}"), refusal))?;
        descriptions.push(description(&mut cluster, group)?);
    }
    output::list(context.format_or(Format::Table), &descriptions, |items| {
        items.iter().map(table).collect::<Vec<_>>().join("\n")
    })
}

fn description(cluster: &mut Cluster, group: Group) -> Result<Description, Failure> {
    let partitions = partitions(cluster, &group)?;
    Ok(Description {
        lag: position::total(partitions.iter().map(|row| &row.position)),
        partitions,
        group: group.name,
        state: group.state,
        kind: group.kind,
        protocol_type: group.protocol_type,
        assignor: group.assignor,
        epoch: group.epoch,
        coordinator: group.coordinator,
        members: group.members.into_iter().map(member_row).collect(),
    })
}

fn member_row(member: Member) -> MemberRow {
    MemberRow {
        member_id: member.id,
        instance_id: member.instance,
        client_id: member.client_id,
        host: member.host,
        epoch: member.epoch,
        subscription: member.subscription,
        assignment: member.assignment,
    }
}

/// All that is committed or assigned, with who has it.
fn partitions(cluster: &mut Cluster, group: &Group) -> Result<Vec<PartitionRow>, Failure> {
    let mut owners: BTreeMap<(String, i32), &Member> = BTreeMap::new();
    let mut wanted = Partitions::new();
    for member in &group.members {
        for (topic, indexes) in &member.assignment {
            wanted.entry(topic.clone()).or_default().extend(indexes);
            owners.extend(indexes.iter().map(|index| ((topic.clone(), *index), member)));
        }
    }
    let mut committed = group::committed(cluster, &group.name)?;
    position::include(&mut wanted, &committed);
    let ends = offsets::list(cluster, &wanted, LATEST, false)?;
    let rows = ends.into_iter().map(|(place, end)| {
        let owner = owners.get(&place);
        PartitionRow {
            member_id: owner.map(|member| member.id.clone()),
            client_id: owner.map(|member| member.client_id.clone()),
            position: position::position(
                place.clone(),
                committed.remove(&place),
                Some(end.map(|found| found.offset)),
            ),
        }
    });
    Ok(rows.collect())
}

fn table(group: &Description) -> String {
    let mut facts = vec![
        ("group", group.group.clone()),
        ("state", group.state.clone()),
        ("type", group.kind.to_string()),
    ];
    if !group.protocol_type.is_empty() {
        facts.push(("protocol", group.protocol_type.clone()));
    }
    facts.extend(group.assignor.iter().map(|assignor| ("assignor", assignor.clone())));
    facts.extend(group.epoch.iter().map(|epoch| ("epoch", epoch.to_string())));
    facts.push(("coordinator", format!("node {}", group.coordinator)));
    facts.push(("members", group.members.len().to_string()));
    facts.push(("lag", group.lag.to_string()));
    let mut text = output::facts(&facts);
    if !group.members.is_empty() {
        text += &format!("\n{}", member_table(&group.members));
    }
    if !group.partitions.is_empty() {
        text += &format!("\n{}", partition_table(&group.partitions));
    }
    text
}

fn member_table(members: &[MemberRow]) -> String {
    let has_instances = members.iter().any(|member| member.instance_id.is_some());
    let has_epochs = members.iter().any(|member| member.epoch.is_some());
    let mut headers = vec![("MEMBER", Align::Left), ("CLIENT", Align::Left), ("HOST", Align::Left)];
    if has_instances {
        headers.push(("INSTANCE", Align::Left));
    }
    if has_epochs {
        headers.push(("EPOCH", Align::Right));
    }
    headers.push(("ASSIGNED", Align::Left));
    let cells = members.iter().map(|member| {
        let mut cells = vec![member.member_id.clone(), member.client_id.clone(), member.host.clone()];
        if has_instances {
            cells.push(member.instance_id.clone().unwrap_or_else(|| "-".to_string()));
        }
        if has_epochs {
            cells.push(number(member.epoch.map(i64::from)));
        }
        let assigned = select::shown(&member.assignment);
        cells.push(if assigned.is_empty() { "-".to_string() } else { assigned });
        cells
    });
    output::columns(&headers, cells)
}

fn partition_table(rows: &[PartitionRow]) -> String {
    let mut headers = vec![
        ("TOPIC", Align::Left),
        ("PARTITION", Align::Right),
        ("COMMITTED", Align::Right),
        ("END", Align::Right),
        ("LAG", Align::Right),
        ("CLIENT", Align::Left),
    ];
    let has_errors = rows.iter().any(|row| row.position.error.is_some());
    if has_errors {
        headers.push(("ERROR", Align::Left));
    }
    let cells = rows.iter().map(|row| {
        let mut cells = vec![
            row.position.topic.clone(),
            row.position.partition.to_string(),
            number(row.position.committed),
            number(row.position.end),
            number(row.position.lag),
            row.client_id.clone().unwrap_or_else(|| "-".to_string()),
        ];
        if has_errors {
            cells.push(row.position.error.clone().unwrap_or_default());
        }
        cells
    });
    output::columns(&headers, cells)
}
