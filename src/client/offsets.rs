//! Log offsets of many partitions at once: one ListOffsets request per leader.
//!
//! Partitions that cannot be answered are values, so that one deleted topic does not hide the others. A leader that is still
//! taking over is asked again for a while.

use crate::client::Result;
use crate::client::cluster::{Cluster, Scope, Topic};
use crate::client::error::Refusal;
use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use kafka_protocol::messages::{BrokerId, ListOffsetsRequest, TopicName};
use kafka_protocol::protocol::StrBytes;
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

/// How long a new leader may take before its refusal is believed.
const SETTLE_LIMIT: Duration = Duration::from_secs(3);
/// Pause between two questions to it.
const SETTLE_PAUSE: Duration = Duration::from_millis(50);

/// ListOffsets timestamp for the end of the log (the high watermark).
pub const LATEST: i64 = -1;
/// ListOffsets timestamp for the start of the log.
pub const EARLIEST: i64 = -2;

/// Partitions of topics, by name.
pub type Partitions = BTreeMap<String, BTreeSet<i32>>;

/// What was found for each partition (topic, index).
pub type PerPartition<T> = BTreeMap<(String, i32), std::result::Result<T, Refusal>>;

/// Offset found by a question for a timestamp.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FoundOffset {
    /// The offset; -1 if no record is that young.
    pub offset: i64,
    /// Timestamp of that record, -1 for [`LATEST`] and [`EARLIEST`].
    pub timestamp: i64,
}

/// Asks the leaders of `wanted` for the offset of `timestamp` (ms, or [`LATEST`], [`EARLIEST`]).
/// With `read_committed`, [`LATEST`] is the last stable offset.
///
/// # Errors
/// Connection errors; what a leader refuses, or a topic that is not there, is `Err` inside the result.
pub fn list(
    cluster: &mut Cluster,
    wanted: &Partitions,
    timestamp: i64,
    read_committed: bool,
) -> Result<PerPartition<FoundOffset>> {
    if wanted.is_empty() {
        return Ok(BTreeMap::new());
    }
    let topics = leaders(cluster, wanted)?;
    list_from(cluster, topics, wanted, timestamp, read_committed)
}

/// As [`list`], with metadata that the caller has just read.
pub(super) fn list_from(
    cluster: &mut Cluster,
    mut topics: Vec<(String, std::result::Result<Topic, Refusal>)>,
    wanted: &Partitions,
    timestamp: i64,
    read_committed: bool,
) -> Result<PerPartition<FoundOffset>> {
    let give_up = Instant::now() + SETTLE_LIMIT.min(cluster.options().timeout);
    let mut found = BTreeMap::new();
    let mut open = wanted.clone();
    loop {
        found.extend(ask_leaders(cluster, &topics, &open, timestamp, read_committed)?);
        for (name, indexes) in &mut open {
            let unsettled = |index: &i32| matches!(found.get(&(name.clone(), *index)), Some(Err(refusal)) if is_stale_leader(refusal));
            indexes.retain(unsettled);
        }
        open.retain(|_, indexes| !indexes.is_empty());
        if open.is_empty() || Instant::now() >= give_up {
            return Ok(found);
        }
        std::thread::sleep(SETTLE_PAUSE);
        topics = leaders(cluster, &open)?;
    }
}

fn leaders(cluster: &mut Cluster, wanted: &Partitions) -> Result<Vec<(String, std::result::Result<Topic, Refusal>)>> {
    let names: Vec<String> = wanted.keys().cloned().collect();
    Ok(cluster.metadata(Scope::Topics(&names))?.topics)
}

/// True for answers that mean: metadata and leader disagree for the moment.
fn is_stale_leader(refusal: &Refusal) -> bool {
    matches!(
        ResponseError::try_from_code(refusal.code),
        Some(
            ResponseError::NotLeaderOrFollower | ResponseError::LeaderNotAvailable | ResponseError::UnknownLeaderEpoch
        )
    )
}

fn ask_leaders(
    cluster: &mut Cluster,
    topics: &[(String, std::result::Result<Topic, Refusal>)],
    wanted: &Partitions,
    timestamp: i64,
    read_committed: bool,
) -> Result<PerPartition<FoundOffset>> {
    let mut found = BTreeMap::new();
    let mut by_leader: BTreeMap<i32, Partitions> = BTreeMap::new();
    for (name, indexes) in wanted {
        let topic = topics.iter().find(|(candidate, _)| candidate == name);
        for &index in indexes {
            match leader_of(topic.map(|(_, topic)| topic), index) {
                Ok(leader) => {
                    let asked = by_leader.entry(leader).or_default();
                    asked.entry(name.clone()).or_default().insert(index);
                }
                Err(refusal) => drop(found.insert((name.clone(), index), Err(refusal))),
            }
        }
    }
    for (leader, asked) in by_leader {
        let response = cluster.call_node(leader, &request(&asked, timestamp, read_committed))?;
        for topic in response.topics {
            for partition in topic.partitions {
                let offset = FoundOffset {
                    offset: partition.offset,
                    timestamp: partition.timestamp,
                };
                let refusal = Refusal::from_code(partition.error_code, None);
                found.insert(
                    (topic.name.to_string(), partition.partition_index),
                    refusal.map_or(Ok(offset), Err),
                );
            }
        }
    }
    Ok(found)
}

fn leader_of(topic: Option<&std::result::Result<Topic, Refusal>>, index: i32) -> std::result::Result<i32, Refusal> {
    let unknown = Refusal::bare(ResponseError::UnknownTopicOrPartition);
    let topic = topic.ok_or_else(|| unknown.clone())?.as_ref().map_err(Clone::clone)?;
    let partition = topic.partitions.iter().find(|partition| partition.index == index);
    let leader = partition.ok_or(unknown)?.leader;
    leader.ok_or_else(|| Refusal::bare(ResponseError::LeaderNotAvailable))
}

fn request(asked: &Partitions, timestamp: i64, read_committed: bool) -> ListOffsetsRequest {
    let query = |index: &i32| {
        ListOffsetsPartition::default()
            .with_partition_index(*index)
            .with_timestamp(timestamp)
            .with_current_leader_epoch(-1)
    };
    let topic = |(name, indexes): (&String, &BTreeSet<i32>)| {
        ListOffsetsTopic::default()
            .with_name(TopicName(StrBytes::from_string(name.clone())))
            .with_partitions(indexes.iter().map(query).collect())
    };
    ListOffsetsRequest::default()
        .with_replica_id(BrokerId(-1))
        .with_isolation_level(i8::from(read_committed))
        .with_topics(asked.iter().map(topic).collect())
}
