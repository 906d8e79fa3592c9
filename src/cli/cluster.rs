//! `ringlog cluster`: the cluster as a whole.

use crate::cli::context::{Context, Format};
use crate::cli::examples;
use crate::cli::failure::Failure;
use crate::cli::output::{self, Align};
use crate::client::cluster::{Metadata, Scope};
use clap::Subcommand;
use serde::Serialize;

/// Look at the cluster
#[derive(clap::Args, Debug)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand, Debug)]
enum Command {
    Info(InfoArgs),
}

/// Show cluster id, controller, brokers and the state of partitions
#[derive(clap::Args, Debug)]
#[command(after_help = examples!(
"  ringlog cluster info
  ringlog cluster info -b broker-1:9092,broker-2:9092
  ringlog cluster info --format json | jq -r .cluster_id
"))]
struct InfoArgs {}

/// Runs `ringlog cluster ...`.
///
/// # Errors
/// Connection and write errors.
pub fn run(args: Args, context: &Context) -> Result<(), Failure> {
    match args.command {
        Command::Info(InfoArgs {}) => info(context),
    }
}

#[derive(Serialize)]
struct Info {
    cluster_id: Option<String>,
    controller: Option<i32>,
    bootstrap: String,
    apis: usize,
    topics: usize,
    internal_topics: usize,
    partitions: usize,
    leaderless_partitions: usize,
    under_replicated_partitions: usize,
    brokers: Vec<BrokerInfo>,
}

#[derive(Serialize)]
struct BrokerInfo {
    id: i32,
    address: String,
    rack: Option<String>,
    leader_of: usize,
    replica_of: usize,
}

fn info(context: &Context) -> Result<(), Failure> {
    let mut cluster = context.connect()?;
    let bootstrap = cluster.bootstrap().to_string();
    let apis = cluster.any()?.api_count();
    let metadata = cluster.metadata(Scope::All)?;
    output::one(
        context.format_or(Format::Table),
        &summarise(metadata, bootstrap, apis),
        table,
    )
}

fn summarise(metadata: Metadata, bootstrap: String, apis: usize) -> Info {
    let topics: Vec<_> = metadata
        .topics
        .iter()
        .filter_map(|(_, topic)| topic.as_ref().ok())
        .collect();
    let partitions: Vec<_> = topics.iter().flat_map(|topic| &topic.partitions).collect();
    let brokers = metadata.brokers.iter().map(|broker| BrokerInfo {
        id: broker.id,
        address: broker.address.to_string(),
        rack: broker.rack.clone(),
        leader_of: partitions
            .iter()
            .filter(|partition| partition.leader == Some(broker.id))
            .count(),
        replica_of: partitions
            .iter()
            .filter(|partition| partition.replicas.contains(&broker.id))
            .count(),
    });
    Info {
        cluster_id: metadata.cluster_id.clone(),
        controller: metadata.controller,
        bootstrap,
        apis,
        topics: topics.iter().filter(|topic| !topic.internal).count(),
        internal_topics: topics.iter().filter(|topic| topic.internal).count(),
        partitions: partitions.len(),
        leaderless_partitions: partitions.iter().filter(|partition| partition.leader.is_none()).count(),
        under_replicated_partitions: partitions
            .iter()
            .filter(|part| part.in_sync.len() < part.replicas.len())
            .count(),
        brokers: brokers.collect(),
    }
}

fn table(info: &Info) -> String {
    let internal = match info.internal_topics {
        0 => String::new(),
        count => format!(" and {count} internal"),
    };
    let mut health = match (info.leaderless_partitions, info.under_replicated_partitions) {
        (0, 0) => "all have a leader and all their replicas in sync".to_string(),
        (0, behind) => format!("{behind} under-replicated"),
        (lost, behind) => format!("{lost} WITHOUT A LEADER, {behind} under-replicated"),
    };
    if info.partitions == 0 {
        health = "none yet".to_string();
    }
    let facts = output::facts(&[
        (
            "cluster id",
            info.cluster_id.clone().unwrap_or_else(|| "not told".to_string()),
        ),
        (
            "controller",
            info.controller
                .map_or_else(|| "none".to_string(), |id| format!("node {id}")),
        ),
        ("answered by", format!("{} ({} APIs)", info.bootstrap, info.apis)),
        ("topics", format!("{}{internal}", info.topics)),
        ("partitions", format!("{}, {health}", info.partitions)),
    ]);
    let headers = [
        ("NODE", Align::Right),
        ("ADDRESS", Align::Left),
        ("RACK", Align::Left),
        ("LEADER OF", Align::Right),
        ("REPLICA OF", Align::Right),
    ];
    let rows = info.brokers.iter().map(|broker| {
        let rack = broker.rack.clone().unwrap_or_else(|| "-".to_string());
        vec![
            broker.id.to_string(),
            broker.address.clone(),
            rack,
            broker.leader_of.to_string(),
            broker.replica_of.to_string(),
        ]
    });
    format!("{facts}\n{}", output::columns(&headers, rows))
}
