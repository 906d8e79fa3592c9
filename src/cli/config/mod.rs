//! `ringlog config`: configs of topics, brokers and groups at run time, and configuration files before a start.

mod change;
mod import;
mod lint;
mod show;

use crate::cli::context::Context;
use crate::cli::examples;
use crate::cli::failure::Failure;
use crate::cli::topic::parse_pair;
use crate::client::configs::Entity;
use clap::Subcommand;
use std::path::PathBuf;

/// Read and change configs of topics, brokers and groups; check configuration files
#[derive(clap::Args, Debug)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand, Debug)]
enum Command {
    Get(GetArgs),
    List(ListArgs),
    Set(SetArgs),
    Unset(UnsetArgs),
    Lint(LintArgs),
    Import(ImportArgs),
}

/// Show config keys with value, source and what they override
#[derive(clap::Args, Debug)]
#[command(after_help = examples!(
"  ringlog config get retention.ms -e topic:logs
  ringlog config get log.retention.ms num.partitions
  ringlog config get retention.ms -e topic:logs --format json | jq -r '.[0].value'
"))]
struct GetArgs {
    /// Keys to show
    #[arg(required = true, value_name = "KEY")]
    keys: Vec<String>,
    /// Whose: topic:NAME, broker:ID, broker-default or group:NAME [default: the broker that answers]
    #[arg(short, long, value_name = "ENTITY", value_parser = parse_entity)]
    entity: Option<Entity>,
}

/// List what is set, or with --all every key
#[derive(clap::Args, Debug)]
#[command(after_help = examples!(
"  ringlog config list                         what is set on the broker
  ringlog config list -e topic:logs --all     every key of a topic, with defaults
  ringlog config list -e broker-default       what was set for all brokers at run time
  ringlog config list --all --docs | less     with the broker's explanations
"))]
struct ListArgs {
    /// Whose: topic:NAME, broker:ID, broker-default or group:NAME [default: the broker that answers]
    #[arg(short, long, value_name = "ENTITY", value_parser = parse_entity)]
    entity: Option<Entity>,
    /// Also keys at their default
    #[arg(short, long)]
    all: bool,
    /// With the broker's explanation of each key
    #[arg(short, long)]
    docs: bool,
}

/// Give config keys values, at run time
#[derive(clap::Args, Debug)]
#[command(after_help = examples!(
"  ringlog config set retention.ms=3600000 -e topic:logs
  ringlog config set log.retention.ms=86400000 -e broker-default --dry-run
  ringlog config set --append cleanup.policy=compact -e topic:state
"))]
struct SetArgs {
    /// New values
    #[arg(value_name = "KEY=VALUE", value_parser = parse_pair, required_unless_present_any = ["append", "subtract"])]
    pairs: Vec<(String, String)>,
    /// Add items to a list, may be repeated
    #[arg(long, value_name = "KEY=ITEM,..", value_parser = parse_pair)]
    append: Vec<(String, String)>,
    /// Take items from a list, may be repeated
    #[arg(long, value_name = "KEY=ITEM,..", value_parser = parse_pair)]
    subtract: Vec<(String, String)>,
    /// Whose: topic:NAME, broker:ID, broker-default or group:NAME; may be repeated
    #[arg(short, long, required = true, value_name = "ENTITY", value_parser = parse_entity)]
    entity: Vec<Entity>,
    /// Let the broker check everything, change nothing
    #[arg(long)]
    dry_run: bool,
}

/// Take config keys back to their defaults
#[derive(clap::Args, Debug)]
#[command(after_help = examples!(
"  ringlog config unset retention.ms -e topic:logs
  ringlog config unset log.retention.ms -e broker-default
"))]
struct UnsetArgs {
    /// Keys
    #[arg(required = true, value_name = "KEY")]
    keys: Vec<String>,
    /// Whose: topic:NAME, broker:ID, broker-default or group:NAME; may be repeated
    #[arg(short, long, required = true, value_name = "ENTITY", value_parser = parse_entity)]
    entity: Vec<Entity>,
    /// Let the broker check everything, change nothing
    #[arg(long)]
    dry_run: bool,
}

/// Say of each key in a ringlog.toml or server.properties what a start would do with it
///
/// honoured: taken. ignored: without effect here, with the reason. refused: it would promise what ringlog does not do yet.
/// invalid: a value that cannot be. unknown: no such key, with the nearest one. Values are checked for this machine.
#[derive(clap::Args, Debug)]
#[command(after_help = examples!(
"  ringlog config lint server.properties
  ringlog config lint /etc/ringlog/ringlog.toml --strict
  ringlog config lint server.properties --format json | jq '.findings[] | select(.verdict != \"honoured\")'
", "3 something is ignored (with --strict), 4 a start would be refused"))]
struct LintArgs {
    /// A ringlog.toml or server.properties
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Exit with 3 if a key is ignored
    #[arg(long)]
    strict: bool,
}

/// Turn a server.properties into a ringlog.toml, on standard output
///
/// Keys that mean nothing here become comments with the reason. A key that is refused, invalid or unknown becomes a comment too,
/// and the exit code is 4.
#[derive(clap::Args, Debug)]
#[command(after_help = examples!(
"  ringlog config import server.properties > ringlog.toml
  ringlog start --config ringlog.toml
", "4 some keys could not be taken over"))]
struct ImportArgs {
    /// Kafka's server.properties
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

/// Runs `ringlog config ...`.
///
/// # Errors
/// Connection errors, the broker's refusals, files that cannot be read, write errors; verdicts as exit codes.
pub fn run(args: Args, context: &Context) -> Result<(), Failure> {
    match args.command {
        Command::Get(args) => show::get(&args, context),
        Command::List(args) => show::list(&args, context),
        Command::Set(args) => change::set(args, context),
        Command::Unset(args) => change::unset(args, context),
        Command::Lint(args) => lint::lint(&args, context),
        Command::Import(args) => import::import(&args),
    }
}

/// Reads `topic:NAME`, `broker:ID`, `broker-default`, `group:NAME`.
fn parse_entity(text: &str) -> Result<Entity, String> {
    let wrong = || "write topic:NAME, broker:ID, broker-default or group:NAME".to_string();
    if text == "broker-default" {
        return Ok(Entity::BrokerDefault);
    }
    match text.split_once(':').filter(|(_, name)| !name.is_empty()) {
        Some(("topic", name)) => Ok(Entity::Topic(name.to_string())),
        Some(("group", name)) => Ok(Entity::Group(name.to_string())),
        Some(("broker", "default")) => Ok(Entity::BrokerDefault),
        Some(("broker", id)) => id.parse().map(Entity::Broker).map_err(|_| wrong()),
        _ => Err(wrong()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entities_survive_being_printed() {
        for text in ["topic:a.b", "broker:3", "broker-default", "group:g:1"] {
            assert_eq!(parse_entity(text).unwrap().to_string(), text);
        }
        for bad in ["topic", "topic:", "broker:x", "client:c", ""] {
            assert!(parse_entity(bad).unwrap_err().contains("broker-default"), "{bad}");
        }
    }
}
