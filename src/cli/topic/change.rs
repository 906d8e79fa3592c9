//! `ringlog topic create|alter|delete`.

use super::{AlterArgs, CreateArgs, DeleteArgs};
use crate::cli::context::{Context, Format};
use crate::cli::failure::Failure;
use crate::cli::output;
use crate::client::admin::{self, CreatedTopic, NewTopic};
use crate::client::configs::{self, ConfigChange, Entity};
use crate::client::{Cluster, Refusal};

/// Kafka's TOPIC_ALREADY_EXISTS.
const ALREADY_EXISTS: i16 = 36;

pub(super) fn create(args: CreateArgs, context: &Context) -> Result<(), Failure> {
    let mut cluster = context.connect()?;
    let new_topic = |name: &String| NewTopic {
        name: name.clone(),
        partitions: args.partitions,
        replicas: args.replicas,
        configs: args.set.clone(),
    };
    let topics: Vec<NewTopic> = args.names.iter().map(new_topic).collect();
    let results = admin::create_topics(&mut cluster, &topics, args.dry_run)?;
    let results = results.into_iter().map(|(name, result)| match result {
        Ok(made) => (name, Ok(created(&made, args.dry_run))),
        Err(refusal) if args.if_not_exists && refusal.code == ALREADY_EXISTS => {
            (name, Ok("already exists".to_string()))
        }
        Err(refusal) => (name, Err(refusal)),
    });
    output::outcomes(
        context.format_or(Format::Table),
        "topic",
        "create topic",
        results.collect(),
    )
}

fn created(made: &CreatedTopic, dry_run: bool) -> String {
    let verb = if dry_run { "would be created" } else { "created" };
    let partitions = made.partitions.map(|count| output::count(count as usize, "partition"));
    let replicas = made.replicas.map(|count| {
        if count == 1 {
            "1 replica".to_string()
        } else {
            format!("{count} replicas")
        }
    });
    let details: Vec<String> = partitions.into_iter().chain(replicas).collect();
    if details.is_empty() {
        verb.to_string()
    } else {
        format!("{verb} with {}", details.join(", "))
    }
}

pub(super) fn alter(args: AlterArgs, context: &Context) -> Result<(), Failure> {
    let mut changes: Vec<ConfigChange> = Vec::new();
    changes.extend(
        args.set
            .iter()
            .map(|(key, value)| ConfigChange::Set(key.clone(), value.clone())),
    );
    changes.extend(args.unset.iter().map(|key| ConfigChange::Unset(key.clone())));
    if changes.is_empty() && args.partitions.is_none() {
        return Err(Failure::usage(
            "nothing to change: give --set KEY=VALUE, --unset KEY or --partitions N",
        ));
    }
    let mut cluster = context.connect()?;
    let mut outcomes: Vec<(String, Result<Vec<String>, Refusal>)> =
        args.names.iter().map(|name| (name.clone(), Ok(Vec::new()))).collect();
    if !changes.is_empty() {
        let done = configs::words(&changes);
        let topics: Vec<Entity> = args.names.iter().cloned().map(Entity::Topic).collect();
        let results = configs::alter(&mut cluster, &topics, &changes, args.dry_run)?;
        note(&mut outcomes, results, &done);
    }
    if let Some(count) = args.partitions {
        grow(&mut cluster, &mut outcomes, count, args.dry_run)?;
    }
    let prefix = if args.dry_run { "would change: " } else { "" };
    let outcomes = outcomes
        .into_iter()
        .map(|(name, result)| (name, result.map(|done| format!("{prefix}{}", done.join(", ")))));
    output::outcomes(
        context.format_or(Format::Table),
        "topic",
        "alter topic",
        outcomes.collect(),
    )
}

/// Adds partitions to the topics whose config change went well.
fn grow(
    cluster: &mut Cluster,
    outcomes: &mut [(String, Result<Vec<String>, Refusal>)],
    count: i32,
    dry_run: bool,
) -> Result<(), Failure> {
    let names: Vec<String> = outcomes
        .iter()
        .filter(|(_, result)| result.is_ok())
        .map(|(name, _)| name.clone())
        .collect();
    if names.is_empty() {
        return Ok(());
    }
    let results = admin::create_partitions(cluster, &names, count, dry_run)?;
    note(
        outcomes,
        results,
        &format!("now {}", output::count(count as usize, "partition")),
    );
    Ok(())
}

/// Merges one call's results into the story of each topic.
fn note(outcomes: &mut [(String, Result<Vec<String>, Refusal>)], results: admin::PerTopic<()>, done: &str) {
    for (name, result) in results {
        for (_, outcome) in outcomes.iter_mut().filter(|(candidate, _)| *candidate == name) {
            match (&result, outcome) {
                (Ok(()), Ok(story)) => story.push(done.to_string()),
                (Err(refusal), outcome) => *outcome = Err(refusal.clone()),
                (Ok(()), Err(_)) => {}
            }
        }
    }
}

pub(super) fn delete(args: DeleteArgs, context: &Context) -> Result<(), Failure> {
    let mut cluster = context.connect()?;
    let results = admin::delete_topics(&mut cluster, &args.names)?;
    let results = output::deleted(results, args.if_exists);
    output::outcomes(context.format_or(Format::Table), "topic", "delete topic", results)
}
