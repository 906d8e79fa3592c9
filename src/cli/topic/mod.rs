//! `ringlog topic`: make, list, describe, change and delete topics.

mod change;
mod describe;
mod list;

use crate::cli::context::Context;
use crate::cli::examples;
use crate::cli::failure::Failure;
use crate::client::Cluster;
use crate::client::cluster::{Scope, Topic};
use clap::Subcommand;

/// Make, list, describe, change and delete topics
#[derive(clap::Args, Debug)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand, Debug)]
enum Command {
    Create(CreateArgs),
    List(ListArgs),
    Describe(DescribeArgs),
    Alter(AlterArgs),
    Delete(DeleteArgs),
}

/// Make topics
#[derive(clap::Args, Debug)]
#[command(after_help = examples!(
"  ringlog topic create logs
  ringlog topic create logs metrics -p 8 --set retention.ms=86400000
  ringlog topic create state --set cleanup.policy=compact --if-not-exists
"))]
pub(crate) struct CreateArgs {
    /// Names: letters, digits, `.`, `_` and `-`
    #[arg(required = true, value_name = "TOPIC")]
    names: Vec<String>,
    /// Number of partitions [default: the broker's num.partitions]
    #[arg(short, long, value_name = "N", value_parser = clap::value_parser!(i32).range(1..))]
    partitions: Option<i32>,
    /// Copies of each partition [default: the broker's default.replication.factor]
    #[arg(short, long, value_name = "N", value_parser = clap::value_parser!(i16).range(1..))]
    replicas: Option<i16>,
    /// Topic config, may be repeated
    #[arg(short, long, value_name = "KEY=VALUE", value_parser = parse_pair)]
    set: Vec<(String, String)>,
    /// Succeed if the topic is already there (its settings are left alone)
    #[arg(long)]
    if_not_exists: bool,
    /// Let the broker check everything, change nothing
    #[arg(long)]
    dry_run: bool,
}

/// List topics
#[derive(clap::Args, Debug)]
#[command(after_help = examples!(
"  ringlog topic list
  ringlog topic list logs.                    only names that contain `logs.`
  ringlog topic list --format json | jq -r '.[].name'
"))]
pub(crate) struct ListArgs {
    /// Show only names that contain this text
    #[arg(value_name = "TEXT")]
    filter: Option<String>,
    /// Show internal topics too
    #[arg(short, long)]
    internal: bool,
}

/// Show partitions, leaders, offsets and configs of topics
#[derive(clap::Args, Debug)]
#[command(after_help = examples!(
"  ringlog topic describe logs
  ringlog topic describe logs --all           with every config key
  ringlog topic describe logs --format json | jq '.[0].partitions[].end'
"))]
pub(crate) struct DescribeArgs {
    /// Topics to describe
    #[arg(required = true, value_name = "TOPIC")]
    names: Vec<String>,
    /// Show every config key, also those at their default
    #[arg(short, long)]
    all: bool,
}

/// Change configs of topics, or give them more partitions
#[derive(clap::Args, Debug)]
#[command(after_help = examples!(
"  ringlog topic alter logs --set retention.ms=3600000
  ringlog topic alter logs metrics --set retention.bytes=1073741824 --unset retention.ms
  ringlog topic alter logs --partitions 16    records of a key may move to another partition
"))]
pub(crate) struct AlterArgs {
    /// Topics to change
    #[arg(required = true, value_name = "TOPIC")]
    names: Vec<String>,
    /// Give a config key a value, may be repeated
    #[arg(short, long, value_name = "KEY=VALUE", value_parser = parse_pair)]
    set: Vec<(String, String)>,
    /// Take a config key back to its default, may be repeated
    #[arg(short, long, value_name = "KEY")]
    unset: Vec<String>,
    /// New total number of partitions; it can only grow
    #[arg(short, long, value_name = "N", value_parser = clap::value_parser!(i32).range(1..))]
    partitions: Option<i32>,
    /// Let the broker check everything, change nothing
    #[arg(long)]
    dry_run: bool,
}

/// Delete topics with all their records
#[derive(clap::Args, Debug)]
#[command(after_help = examples!(
"  ringlog topic delete logs
  ringlog topic delete test-1 test-2 --if-exists
"))]
pub(crate) struct DeleteArgs {
    /// Topics to delete
    #[arg(required = true, value_name = "TOPIC")]
    names: Vec<String>,
    /// Succeed if the topic is not there
    #[arg(long)]
    if_exists: bool,
}

/// Runs `ringlog topic ...`.
///
/// # Errors
/// Connection errors, the broker's refusals, write errors.
pub fn run(args: Args, context: &Context) -> Result<(), Failure> {
    match args.command {
        Command::Create(args) => change::create(args, context),
        Command::List(args) => list::list(&args, context),
        Command::Describe(args) => describe::describe(&args, context),
        Command::Alter(args) => change::alter(args, context),
        Command::Delete(args) => change::delete(args, context),
    }
}

/// Splits `key=value`; the value may contain further `=`.
pub(crate) fn parse_pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_string(), value.to_string())),
        _ => Err("write KEY=VALUE".to_string()),
    }
}

/// Metadata of the named topics, in the order given.
fn find(cluster: &mut Cluster, names: &[String]) -> Result<Vec<Topic>, Failure> {
    let mut found = cluster.metadata(Scope::Topics(names))?.topics;
    let mut topics = Vec::with_capacity(names.len());
    for name in names {
        let position = found.iter().position(|(candidate, _)| candidate == name);
        match position.map(|position| found.swap_remove(position).1) {
            Some(Ok(topic)) => topics.push(topic),
            // Ask singly, for the error that names this topic.
            _ => topics.push(cluster.topic(name)?),
        }
    }
    Ok(topics)
}
