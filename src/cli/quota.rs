//! `ringlog quota`: limits of users, client ids and addresses.

use crate::cli::context::{Context, Format};
use crate::cli::examples;
use crate::cli::failure::{EXIT_NOT_FOUND, Failure};
use crate::cli::output::{self, Align};
use crate::client::quotas::{self, Entity, Quota, QuotaChange};
use crate::server::config::units;
use clap::Subcommand;
use serde::Serialize;
use std::collections::BTreeMap;

/// Short names of Kafka's quota keys, and whether the value may be a size.
const KEYS: &[(&str, &str, bool)] = &[
    ("produce", "producer_byte_rate", true),
    ("fetch", "consumer_byte_rate", true),
    ("request", "request_percentage", false),
    ("mutation", "controller_mutation_rate", false),
    ("connection", "connection_creation_rate", false),
];

/// List, set and remove client quotas
#[derive(clap::Args, Debug)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand, Debug)]
enum Command {
    List(ListArgs),
    Set(SetArgs),
    Remove(RemoveArgs),
}

/// Whom a quota limits.
#[derive(clap::Args, Debug)]
struct Who {
    /// This user
    #[arg(long, value_name = "NAME", conflicts_with = "user_default")]
    user: Option<String>,
    /// Every user without a quota of its own
    #[arg(long)]
    user_default: bool,
    /// This client id
    #[arg(long, value_name = "ID", conflicts_with = "client_id_default")]
    client_id: Option<String>,
    /// Every client id without a quota of its own
    #[arg(long)]
    client_id_default: bool,
    /// This address; limits connections only
    #[arg(long, value_name = "ADDRESS", conflicts_with_all = ["ip_default", "user", "client_id", "user_default", "client_id_default"])]
    ip: Option<String>,
    /// Every address without a quota of its own
    #[arg(long, conflicts_with_all = ["user", "client_id", "user_default", "client_id_default"])]
    ip_default: bool,
}

/// List quotas
#[derive(clap::Args, Debug)]
#[command(after_help = examples!(
"  ringlog quota list
  ringlog quota list --client-id loader
  ringlog quota list --format json | jq '.[].values.producer_byte_rate'
"))]
struct ListArgs {
    #[command(flatten)]
    who: Who,
}

/// Limit a user, a client id, both together, or an address
///
/// Keys: produce and fetch (bytes a second, such as 10MiB), request (percent of a thread), mutation (partitions a second),
/// connection (connections a second, for addresses), or Kafka's own names such as producer_byte_rate.
#[derive(clap::Args, Debug)]
#[command(after_help = examples!(
"  ringlog quota set --client-id loader produce=10MiB fetch=20MiB
  ringlog quota set --user-default --client-id loader produce=1MiB
  ringlog quota set --ip 10.0.0.7 connection=20
"))]
struct SetArgs {
    #[command(flatten)]
    who: Who,
    /// Limits
    #[arg(required = true, value_name = "KEY=VALUE", value_parser = parse_limit)]
    limits: Vec<(String, f64)>,
    /// Let the broker check everything, change nothing
    #[arg(long)]
    dry_run: bool,
}

/// Remove quotas: the keys named, or all of an entity
#[derive(clap::Args, Debug)]
#[command(after_help = examples!(
"  ringlog quota remove --client-id loader
  ringlog quota remove --client-id loader fetch
"))]
struct RemoveArgs {
    #[command(flatten)]
    who: Who,
    /// Keys [default: all that are set]
    #[arg(value_name = "KEY", value_parser = parse_key)]
    keys: Vec<String>,
    /// Let the broker check everything, change nothing
    #[arg(long)]
    dry_run: bool,
}

/// Runs `ringlog quota ...`.
///
/// # Errors
/// Connection errors, a broker without quotas, its refusals, write errors.
pub fn run(args: Args, context: &Context) -> Result<(), Failure> {
    match args.command {
        Command::List(args) => list(&args, context),
        Command::Set(args) => set(args, context),
        Command::Remove(args) => remove(&args, context),
    }
}

impl Who {
    fn entity(&self) -> Entity {
        let parts = [
            ("user", &self.user, self.user_default),
            ("client-id", &self.client_id, self.client_id_default),
            ("ip", &self.ip, self.ip_default),
        ];
        let named = parts
            .into_iter()
            .filter(|(_, name, default)| name.is_some() || *default);
        Entity(named.map(|(kind, name, _)| (kind.to_string(), name.clone())).collect())
    }

    /// For changes: somebody must be named.
    fn required(&self) -> Result<Entity, Failure> {
        let entity = self.entity();
        if entity.0.is_empty() {
            return Err(Failure::usage(
                "say whom: --user, --client-id, --ip, or --user-default, --client-id-default, --ip-default",
            ));
        }
        Ok(entity)
    }
}

#[derive(Serialize)]
struct Row {
    entity: BTreeMap<String, Option<String>>,
    values: BTreeMap<String, f64>,
    #[serde(skip)]
    shown: String,
}

fn list(args: &ListArgs, context: &Context) -> Result<(), Failure> {
    let mut cluster = context.connect()?;
    let quotas = quotas::describe(&mut cluster, &args.who.entity(), false)?;
    if quotas.is_empty() && context.format_or(Format::Table) == Format::Table {
        eprintln!("no quotas");
        return Ok(());
    }
    let row = |quota: Quota| Row {
        shown: quota.entity.to_string(),
        entity: quota.entity.0.into_iter().collect(),
        values: quota.values.into_iter().collect(),
    };
    let mut rows: Vec<Row> = quotas.into_iter().map(row).collect();
    rows.sort_by(|left, right| left.shown.cmp(&right.shown));
    output::list(context.format_or(Format::Table), &rows, table)
}

fn table(rows: &[Row]) -> String {
    let headers = [("ENTITY", Align::Left), ("QUOTA", Align::Left), ("LIMIT", Align::Right)];
    let cells = rows.iter().flat_map(|row| {
        row.values
            .iter()
            .map(|(key, value)| vec![row.shown.clone(), key.clone(), value.to_string()])
    });
    output::columns(&headers, cells)
}

fn set(args: SetArgs, context: &Context) -> Result<(), Failure> {
    let entity = args.who.required()?;
    let words: Vec<String> = args
        .limits
        .iter()
        .map(|(key, value)| format!("{key}={value}"))
        .collect();
    let changes = args.limits.into_iter().map(|(key, value)| QuotaChange::Set(key, value));
    let mut cluster = context.connect()?;
    let results = quotas::alter(&mut cluster, &entity, &changes.collect::<Vec<_>>(), args.dry_run)?;
    report(context, results, args.dry_run, &words.join(", "))
}

fn remove(args: &RemoveArgs, context: &Context) -> Result<(), Failure> {
    let entity = args.who.required()?;
    let mut cluster = context.connect()?;
    let mut keys = args.keys.clone();
    if keys.is_empty() {
        let found = quotas::describe(&mut cluster, &entity, true)?;
        keys.extend(found.into_iter().flat_map(|quota| quota.values).map(|(key, _)| key));
    }
    if keys.is_empty() {
        return Err(Failure::Other(
            EXIT_NOT_FOUND,
            format!("{entity} has no quota"),
            Some("`ringlog quota list` shows what is set".to_string()),
        ));
    }
    let words = format!("{} removed", keys.join(", "));
    let changes: Vec<QuotaChange> = keys.into_iter().map(QuotaChange::Remove).collect();
    let results = quotas::alter(&mut cluster, &entity, &changes, args.dry_run)?;
    report(context, results, args.dry_run, &words)
}

fn report(
    context: &Context,
    results: crate::client::admin::PerTopic<()>,
    dry_run: bool,
    words: &str,
) -> Result<(), Failure> {
    let done = if dry_run {
        format!("would change: {words}")
    } else {
        words.to_string()
    };
    let results = results
        .into_iter()
        .map(|(name, result)| (name, result.map(|()| done.clone())));
    output::outcomes(
        context.format_or(Format::Table),
        "entity",
        "quota of",
        results.collect(),
    )
}

fn parse_key(text: &str) -> Result<String, String> {
    let known = KEYS.iter().find(|(short, long, _)| *short == text || *long == text);
    known.map(|(_, long, _)| (*long).to_string()).ok_or_else(|| {
        let names: Vec<&str> = KEYS.iter().map(|(short, ..)| *short).collect();
        format!("`{text}` is no quota: write one of {}", names.join(", "))
    })
}

fn parse_limit(text: &str) -> Result<(String, f64), String> {
    let (key, value) = text.split_once('=').ok_or("write KEY=VALUE")?;
    let key = parse_key(key)?;
    let is_size = KEYS.iter().any(|(_, long, is_size)| *long == key && *is_size);
    let number = match value.parse::<f64>() {
        Ok(number) => number,
        Err(_) if is_size => units::parse_size(value)? as f64,
        Err(_) => return Err(format!("`{value}` is not a number")),
    };
    if number.is_finite() && number > 0.0 {
        Ok((key, number))
    } else {
        Err(format!("`{value}`: a limit must be greater than 0"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_have_short_names_and_sizes() {
        assert_eq!(
            parse_limit("produce=10MiB"),
            Ok(("producer_byte_rate".to_string(), f64::from(10 << 20)))
        );
        assert_eq!(
            parse_limit("request_percentage=12.5"),
            Ok(("request_percentage".to_string(), 12.5))
        );
        for (bad, says) in [
            ("produce", "KEY=VALUE"),
            ("speed=1", "one of produce, fetch"),
            ("request=10MiB", "not a number"),
            ("produce=0", "greater than 0"),
            ("produce=-5", "greater than 0"),
        ] {
            assert!(parse_limit(bad).unwrap_err().contains(says), "{bad}");
        }
    }
}
