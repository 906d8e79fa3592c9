//! `ringlog group seek`: the plan, and doing it.

use super::position::number;
use super::target::{self, Move, Target};
use super::{SeekArgs, select};
use crate::cli::context::{Context, Format};
use crate::cli::failure::{EXIT_FAILURE, EXIT_NOT_FOUND, Failure};
use crate::cli::output::{self, Align};
use crate::client::group::{self, Group};
use crate::client::offsets::Partitions;
use crate::client::{ClientError, Cluster};
use serde::Serialize;
use std::collections::BTreeMap;

/// Members named when a group is busy.
const NAMED: usize = 5;

#[derive(Serialize)]
struct Plan {
    group: String,
    executed: bool,
    partitions: Vec<Move>,
}

pub(super) fn seek(args: &SeekArgs, context: &Context) -> Result<(), Failure> {
    let target = target(args)?;
    let mut cluster = context.connect()?;
    let busy = busy(find(&mut cluster, args)?.as_ref());
    if let (Some(members), true) = (&busy, args.execute) {
        return Err(refused(args, members));
    }
    let committed: BTreeMap<(String, i32), i64> = group::committed(&mut cluster, &args.group)?
        .into_iter()
        .filter_map(|(place, offset)| Some((place, offset.ok()?.offset)))
        .collect();
    let wanted = wanted(&mut cluster, args, &target, &committed)?;
    let moves = target::plan(&mut cluster, &target, &wanted, &committed)?;
    if args.execute {
        execute(&mut cluster, &args.group, &moves)?;
    }
    let plan = Plan {
        group: args.group.clone(),
        executed: args.execute,
        partitions: moves,
    };
    output::one(context.format_or(Format::Table), &plan, table)?;
    if let Some(members) = busy {
        eprintln!("note: --execute would be refused now: {members}");
    }
    Ok(())
}

fn target(args: &SeekArgs) -> Result<Target, Failure> {
    if let Some(path) = &args.from_file {
        return Ok(Target::Given(target::read(path)?));
    }
    Ok(match (args.to_time, args.to_offset, args.shift) {
        (Some(time_ms), ..) => Target::Time(time_ms),
        (_, Some(offset), _) => Target::Offset(offset),
        (.., Some(by)) => Target::Shift(by),
        _ if args.to_earliest => Target::Earliest,
        _ => Target::Latest,
    })
}

/// The group, or `None` if it may be made.
fn find(cluster: &mut Cluster, args: &SeekArgs) -> Result<Option<Group>, Failure> {
    let described = group::describe(cluster, std::slice::from_ref(&args.group))?;
    match described.into_iter().next() {
        Some((_, Ok(group))) => Ok(Some(group)),
        Some((_, Err(refusal))) if !refusal.is_not_found() => {
            Err(ClientError::refused(format!("describe group {}", args.group), refusal).into())
        }
        _ if args.create => Ok(None),
        _ => Err(Failure::Other(
            EXIT_NOT_FOUND,
            format!("group {} does not exist", args.group),
            Some("`ringlog group list` shows what exists; --create allows a new one".to_string()),
        )),
    }
}

/// Who is in the group, in words; `None` if nobody.
fn busy(group: Option<&Group>) -> Option<String> {
    let group = group.filter(|group| !group.members.is_empty())?;
    let name = |member: &group::Member| format!("{} at {} ({})", member.client_id, member.host, member.id);
    let mut names: Vec<String> = group.members.iter().take(NAMED).map(name).collect();
    if group.members.len() > NAMED {
        names.push(format!("{} more", group.members.len() - NAMED));
    }
    Some(format!(
        "group {} has {}: {}",
        group.name,
        output::count(group.members.len(), "live member"),
        names.join(", ")
    ))
}

fn refused(args: &SeekArgs, members: &str) -> Failure {
    Failure::Other(
        EXIT_FAILURE,
        format!("{members}; they would commit over what is set here"),
        Some(format!(
            "stop them, wait until `ringlog group describe {}` says Empty, then try again",
            args.group
        )),
    )
}

fn wanted(
    cluster: &mut Cluster,
    args: &SeekArgs,
    target: &Target,
    committed: &BTreeMap<(String, i32), i64>,
) -> Result<Partitions, Failure> {
    let mut wanted = Partitions::new();
    if let Target::Given(offsets) = target {
        for (topic, index) in offsets.keys() {
            wanted.entry(topic.clone()).or_default().insert(*index);
        }
    } else if args.topic.is_empty() {
        for (topic, index) in committed.keys() {
            wanted.entry(topic.clone()).or_default().insert(*index);
        }
    } else {
        wanted = select::resolve(cluster, &args.topic)?;
    }
    if wanted.is_empty() {
        return Err(Failure::usage(format!(
            "group {} has committed nothing, so name what to set: --topic TOPIC[:P,..]",
            args.group
        )));
    }
    Ok(wanted)
}

/// Commits the moves; whatever the coordinator refuses is an error that says what was and what was not done.
fn execute(cluster: &mut Cluster, group: &str, moves: &[Move]) -> Result<(), Failure> {
    let offsets = moves.iter().map(|row| ((row.topic.clone(), row.partition), row.to));
    let results = group::commit(cluster, group, &offsets.collect())?;
    let done = results.values().filter(|result| result.is_ok()).count();
    for ((topic, partition), result) in results {
        if let Err(refusal) = result {
            let what = format!(
                "set group {group} in {topic} partition {partition} ({done} of {} set)",
                moves.len()
            );
            return Err(ClientError::refused(what, refusal).into());
        }
    }
    if done < moves.len() {
        return Err(Failure::failed(format!(
            "the coordinator answered for {done} of {} partitions only: see `ringlog group lag {group}`",
            moves.len()
        )));
    }
    Ok(())
}

fn table(plan: &Plan) -> String {
    let mut headers = vec![
        ("TOPIC", Align::Left),
        ("PARTITION", Align::Right),
        ("FROM", Align::Right),
        ("TO", Align::Right),
        ("CHANGE", Align::Right),
        ("START", Align::Right),
        ("END", Align::Right),
        ("LAG AFTER", Align::Right),
    ];
    let has_notes = plan.partitions.iter().any(|row| row.asked.is_some());
    if has_notes {
        headers.push(("NOTE", Align::Left));
    }
    let cells = plan.partitions.iter().map(|row| {
        let mut cells = vec![
            row.topic.clone(),
            row.partition.to_string(),
            number(row.from),
            row.to.to_string(),
            row.from
                .map_or_else(|| "new".to_string(), |from| format!("{:+}", row.to - from)),
            row.start.to_string(),
            row.end.to_string(),
            (row.end - row.to).to_string(),
        ];
        if has_notes {
            let note = row.asked.map(|asked| format!("the log does not hold {asked}"));
            cells.push(note.unwrap_or_default());
        }
        cells
    });
    let count = output::count(plan.partitions.len(), "partition");
    let last = if plan.executed {
        format!("group {}: {count} set", plan.group)
    } else {
        format!(
            "group {}: {count} would be set; nothing was changed, --execute does it",
            plan.group
        )
    };
    format!("{}\n{last}\n", output::columns(&headers, cells))
}
