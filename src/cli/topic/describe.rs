//! `ringlog topic describe`.

use super::DescribeArgs;
use crate::cli::context::{Context, Format};
use crate::cli::encode::kafka_uuid;
use crate::cli::failure::Failure;
use crate::cli::output::{self, Align};
use crate::client::admin::{self, EARLIEST, LATEST};
use crate::client::cluster::{Partition, Topic};
use crate::client::configs::{self, ConfigEntry, Entity};
use crate::client::{ClientError, Cluster};
use serde::Serialize;

#[derive(Serialize)]
struct Description {
    name: String,
    id: Option<String>,
    internal: bool,
    partitions: Vec<PartitionRow>,
    configs: Vec<ConfigRow>,
}

#[derive(Serialize)]
struct PartitionRow {
    partition: i32,
    leader: Option<i32>,
    leader_epoch: Option<i32>,
    replicas: Vec<i32>,
    in_sync: Vec<i32>,
    start: Option<i64>,
    end: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

#[derive(Serialize)]
struct ConfigRow {
    key: String,
    value: Option<String>,
    source: String,
    sensitive: bool,
}

pub(super) fn describe(args: &DescribeArgs, context: &Context) -> Result<(), Failure> {
    let mut cluster = context.connect()?;
    let topics = super::find(&mut cluster, &args.names)?;
    let mut configs = configs(&mut cluster, &args.names)?;
    let mut descriptions = Vec::with_capacity(topics.len());
    for topic in topics {
        let position = configs.iter().position(|(name, _)| *name == topic.name);
        let entries = position
            .map(|position| configs.swap_remove(position).1)
            .unwrap_or_default();
        descriptions.push(Description {
            partitions: partitions(&mut cluster, &topic)?,
            configs: config_rows(entries),
            id: (!topic.id.is_nil()).then(|| kafka_uuid(topic.id.as_bytes())),
            internal: topic.internal,
            name: topic.name,
        });
    }
    let table = |items: &[Description]| {
        items
            .iter()
            .map(|item| table(item, args.all))
            .collect::<Vec<_>>()
            .join("\n")
    };
    output::list(context.format_or(Format::Table), &descriptions, table)
}

/// Configs of each topic; a broker without DescribeConfigs has none to show.
fn configs(cluster: &mut Cluster, names: &[String]) -> Result<Vec<(String, Vec<ConfigEntry>)>, Failure> {
    let topics: Vec<Entity> = names.iter().cloned().map(Entity::Topic).collect();
    match configs::describe(cluster, &topics, None) {
        Ok(results) => Ok(admin::expect("describe configs of", results)?),
        Err(ClientError::Unsupported { .. }) => Ok(Vec::new()),
        Err(error) => Err(error.into()),
    }
}

fn config_rows(mut entries: Vec<ConfigEntry>) -> Vec<ConfigRow> {
    entries.sort_by(|left, right| left.name.cmp(&right.name));
    let row = |entry: ConfigEntry| ConfigRow {
        key: entry.name,
        value: entry.value,
        source: entry.source.to_string(),
        sensitive: entry.sensitive,
    };
    entries.into_iter().map(row).collect()
}

fn partitions(cluster: &mut Cluster, topic: &Topic) -> Result<Vec<PartitionRow>, Failure> {
    let indexes: Vec<i32> = topic.partitions.iter().map(|partition| partition.index).collect();
    let starts = admin::list_offsets(cluster, topic, &indexes, EARLIEST, false)?;
    let ends = admin::list_offsets(cluster, topic, &indexes, LATEST, false)?;
    let row = |partition: &Partition| {
        let start = starts.get(&partition.index);
        let end = ends.get(&partition.index);
        let refusal = [start, end]
            .into_iter()
            .flatten()
            .find_map(|found| found.as_ref().err());
        let offset =
            |found: Option<&Result<admin::FoundOffset, _>>| found.and_then(|f| f.as_ref().ok()).map(|f| f.offset);
        PartitionRow {
            partition: partition.index,
            leader: partition.leader,
            leader_epoch: (partition.leader_epoch >= 0).then_some(partition.leader_epoch),
            replicas: partition.replicas.clone(),
            in_sync: partition.in_sync.clone(),
            error: refusal.map(|refusal| refusal.name()),
            start: offset(start),
            end: offset(end),
        }
    };
    Ok(topic.partitions.iter().map(row).collect())
}

fn table(topic: &Description, all: bool) -> String {
    let mut facts = vec![("topic", topic.name.clone())];
    facts.extend(topic.id.iter().map(|id| ("id", id.clone())));
    if topic.internal {
        facts.push(("internal", "yes".to_string()));
    }
    let held: i64 = topic
        .partitions
        .iter()
        .filter_map(|row| Some(row.end? - row.start?))
        .sum();
    facts.push((
        "offsets",
        format!("{held} in {}", output::count(topic.partitions.len(), "partition")),
    ));
    format!(
        "{}\n{}{}",
        output::facts(&facts),
        partition_table(&topic.partitions),
        config_table(&topic.configs, all)
    )
}

fn partition_table(rows: &[PartitionRow]) -> String {
    let mut headers = vec![
        ("PARTITION", Align::Right),
        ("LEADER", Align::Right),
        ("EPOCH", Align::Right),
        ("REPLICAS", Align::Left),
        ("IN SYNC", Align::Left),
        ("START", Align::Right),
        ("END", Align::Right),
    ];
    let has_errors = rows.iter().any(|row| row.error.is_some());
    if has_errors {
        headers.push(("ERROR", Align::Left));
    }
    let number = |value: Option<i64>| value.map_or_else(|| "-".to_string(), |value| value.to_string());
    let nodes = |nodes: &[i32]| nodes.iter().map(i32::to_string).collect::<Vec<_>>().join(",");
    let cells = rows.iter().map(|row| {
        let mut cells = vec![
            row.partition.to_string(),
            row.leader.map_or_else(|| "none".to_string(), |id| id.to_string()),
            number(row.leader_epoch.map(i64::from)),
            nodes(&row.replicas),
            nodes(&row.in_sync),
            number(row.start),
            number(row.end),
        ];
        if has_errors {
            cells.push(row.error.clone().unwrap_or_default());
        }
        cells
    });
    output::columns(&headers, cells)
}

fn config_table(rows: &[ConfigRow], all: bool) -> String {
    let shown: Vec<&ConfigRow> = rows.iter().filter(|row| all || row.source != "default").collect();
    let hidden = rows.len() - shown.len();
    let mut text = String::new();
    if !shown.is_empty() {
        let headers = [("CONFIG", Align::Left), ("VALUE", Align::Left), ("SOURCE", Align::Left)];
        let value = |row: &ConfigRow| match &row.value {
            _ if row.sensitive => "(hidden)".to_string(),
            Some(value) if value.is_empty() => "(empty)".to_string(),
            Some(value) => value.clone(),
            None => "(not set)".to_string(),
        };
        let cells = shown
            .iter()
            .map(|row| vec![row.key.clone(), value(row), row.source.clone()]);
        text = format!("\n{}", output::columns(&headers, cells));
    }
    if hidden > 0 {
        text += &format!(
            "\n{} at the default (shown with --all)\n",
            output::count(hidden, "config")
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn description() -> Description {
        let row = |partition, start, end| PartitionRow {
            partition,
            leader: Some(1),
            leader_epoch: Some(0),
            replicas: vec![1, 2],
            in_sync: vec![1],
            start,
            end,
            error: None,
        };
        let config = |key: &str, value: Option<&str>, source: &str| ConfigRow {
            key: key.to_string(),
            value: value.map(str::to_string),
            source: source.to_string(),
            sensitive: false,
        };
        Description {
            name: "logs".to_string(),
            id: Some("abc".to_string()),
            internal: false,
            partitions: vec![row(0, Some(5), Some(1005)), row(1, Some(0), Some(7))],
            configs: vec![
                config("cleanup.policy", Some("delete"), "default"),
                config("retention.ms", Some("1000"), "topic"),
            ],
        }
    }

    #[test]
    fn shows_offsets_and_only_changed_configs() {
        let expected = "\
topic    logs
id       abc
offsets  1007 in 2 partitions

PARTITION  LEADER  EPOCH  REPLICAS  IN SYNC  START   END
        0       1      0  1,2       1            5  1005
        1       1      0  1,2       1            0     7

CONFIG        VALUE  SOURCE
retention.ms  1000   topic

1 config at the default (shown with --all)
";
        assert_eq!(table(&description(), false), expected);
        let all = table(&description(), true);
        assert!(all.contains("cleanup.policy  delete  default"), "{all}");
        assert!(!all.contains("--all"), "{all}");
    }

    #[test]
    fn a_partition_without_offsets_says_why() {
        let mut topic = description();
        topic.partitions[1].end = None;
        topic.partitions[1].leader = None;
        topic.partitions[1].error = Some("LEADER_NOT_AVAILABLE".to_string());
        let text = table(&topic, false);
        assert!(text.contains("END  ERROR"), "{text}");
        assert!(text.contains("none"), "{text}");
        assert!(text.contains("LEADER_NOT_AVAILABLE"), "{text}");
    }
}
