//! `ringlog group`: what consumer groups there are, how far they are, and setting them elsewhere.

mod delete;
mod describe;
mod lag;
mod list;
pub(in crate::cli) mod position;
mod seek;
mod select;
mod target;

use crate::cli::context::{Context, parse_duration};
use crate::cli::examples;
use crate::cli::failure::Failure;
use clap::Subcommand;
use select::Selection;
use std::time::Duration;

/// List, describe, move and delete consumer groups
#[derive(clap::Args, Debug)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand, Debug)]
enum Command {
    List(ListArgs),
    Describe(DescribeArgs),
    Lag(LagArgs),
    Seek(SeekArgs),
    Delete(DeleteArgs),
    DeleteOffsets(DeleteOffsetsArgs),
}

/// List groups with state, protocol and number of members
#[derive(clap::Args, Debug)]
#[command(after_help = examples!(
"  ringlog group list
  ringlog group list app-                     only names that contain `app-`
  ringlog group list --format json | jq -r '.[] | select(.members == 0).group'
"))]
struct ListArgs {
    /// Show only names that contain this text
    #[arg(value_name = "TEXT")]
    filter: Option<String>,
}

/// Show members, their partitions, and committed offsets with their lag
#[derive(clap::Args, Debug)]
#[command(after_help = examples!(
"  ringlog group describe readers
  ringlog group describe readers --format json | jq '.[0].members[].client_id'
"))]
struct DescribeArgs {
    /// Groups to describe
    #[arg(required = true, value_name = "GROUP")]
    groups: Vec<String>,
}

/// Show how many records groups still have to read
///
/// Lag is the end of the log minus the committed offset. Without names: one line per group and topic. With names: one line per
/// partition and the sum.
#[derive(clap::Args, Debug)]
#[command(after_help = examples!(
"  ringlog group lag                           every group, one line per topic
  ringlog group lag readers                   each partition of one group
  ringlog group lag readers --watch 2s        again every 2 seconds until Ctrl-C
  ringlog group lag readers --format jsonl | jq -s 'map(.lag) | add'
"))]
struct LagArgs {
    /// Groups to look at [default: all]
    #[arg(value_name = "GROUP")]
    groups: Vec<String>,
    /// Print again at this interval until Ctrl-C
    #[arg(short, long, value_name = "TIME", value_parser = parse_duration)]
    watch: Option<Duration>,
}

/// Set a group's committed offsets; shows the plan and changes nothing without --execute
///
/// The group must have no live members. Offsets outside what the log holds are moved to its nearest end, and the plan says so.
/// A plan printed with --format json can be given back with --from-file.
#[derive(clap::Args, Debug)]
#[command(
    group = clap::ArgGroup::new("target").required(true),
    after_help = examples!(
"  ringlog group seek readers --to-time -1h                        the plan, for all its topics
  ringlog group seek readers --to-time 2026-11-21T10:00:00Z --execute
  ringlog group seek readers --topic logs:0,3 --to-offset 4711 --execute
  ringlog group seek readers --topic logs --to-earliest --execute
  ringlog group seek readers --shift -100                         100 records back in each partition
  ringlog group seek readers --to-latest --format json > plan.json
  ringlog group seek readers --from-file plan.json --execute
  ringlog group seek new-app --topic logs --to-latest --create --execute
"))]
struct SeekArgs {
    /// Group to move
    #[arg(value_name = "GROUP")]
    group: String,
    /// Topic, or some of its partitions; may be repeated [default: all that the group committed]
    #[arg(short, long, value_name = "TOPIC[:P,..]", value_parser = select::parse)]
    topic: Vec<Selection>,
    /// To the first record of this time or later (2026-11-21T10:00:00Z, ms since 1970, -1h); the end if there is none
    #[arg(long, value_name = "TIME", group = "target", allow_hyphen_values = true, value_parser = crate::cli::consume::parse_time)]
    to_time: Option<i64>,
    /// To this offset
    #[arg(long, value_name = "N", group = "target", value_parser = clap::value_parser!(i64).range(0..))]
    to_offset: Option<i64>,
    /// To the oldest record
    #[arg(long, group = "target")]
    to_earliest: bool,
    /// To the end: only what comes from now on
    #[arg(long, group = "target")]
    to_latest: bool,
    /// By this many records, back if negative
    #[arg(long, value_name = "N", group = "target", allow_hyphen_values = true)]
    shift: Option<i64>,
    /// To the offsets in a file: lines of topic,partition,offset or a plan in JSON; - reads standard input
    #[arg(long, value_name = "FILE", group = "target", conflicts_with = "topic")]
    from_file: Option<String>,
    /// Do it
    #[arg(long)]
    execute: bool,
    /// Allow a group that does not exist yet
    #[arg(long)]
    create: bool,
}

/// Delete groups without members, with all they committed
#[derive(clap::Args, Debug)]
#[command(after_help = examples!(
"  ringlog group delete old-app
  ringlog group delete test-1 test-2 --if-exists
"))]
struct DeleteArgs {
    /// Groups to delete
    #[arg(required = true, value_name = "GROUP")]
    groups: Vec<String>,
    /// Succeed if the group is not there
    #[arg(long)]
    if_exists: bool,
}

/// Delete what a group committed for topics that its members do not read
#[derive(clap::Args, Debug)]
#[command(after_help = examples!(
"  ringlog group delete-offsets readers --topic old-logs
  ringlog group delete-offsets readers --topic logs:4,5 --topic metrics
"))]
struct DeleteOffsetsArgs {
    /// Group to change
    #[arg(value_name = "GROUP")]
    group: String,
    /// Topic, or some of its partitions; may be repeated
    #[arg(short, long, required = true, value_name = "TOPIC[:P,..]", value_parser = select::parse)]
    topic: Vec<Selection>,
}

/// Runs `ringlog group ...`.
///
/// # Errors
/// Connection errors, groups that do not exist, the coordinator's refusals, write errors.
pub fn run(args: Args, context: &Context) -> Result<(), Failure> {
    match args.command {
        Command::List(args) => list::list(&args, context),
        Command::Describe(args) => describe::describe(&args, context),
        Command::Lag(args) => lag::lag(&args, context),
        Command::Seek(args) => seek::seek(&args, context),
        Command::Delete(args) => delete::delete(&args, context),
        Command::DeleteOffsets(args) => delete::delete_offsets(&args, context),
    }
}
