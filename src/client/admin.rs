//! Administrative calls: topics and their offsets. One function per question, plain answers.
//!
//! Per-topic failures are values, so that one bad name does not hide the fate of the others.

use crate::client::Result;
use crate::client::cluster::{Cluster, Topic};
use crate::client::error::{ClientError, Refusal};
use crate::client::offsets;
pub use crate::client::offsets::{EARLIEST, FoundOffset, LATEST};
use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::create_partitions_request::CreatePartitionsTopic;
use kafka_protocol::messages::create_topics_request::{CreatableTopic, CreatableTopicConfig};
use kafka_protocol::messages::delete_topics_request::DeleteTopicState;
use kafka_protocol::messages::{CreatePartitionsRequest, CreateTopicsRequest, DeleteTopicsRequest, TopicName};
use kafka_protocol::protocol::StrBytes;
use std::collections::BTreeMap;

/// A topic to make.
#[derive(Clone, Debug)]
pub struct NewTopic {
    /// Name.
    pub name: String,
    /// Partition count; `None` = the broker's default (KIP-464).
    pub partitions: Option<i32>,
    /// Replication factor; `None` = the broker's default (KIP-464).
    pub replicas: Option<i16>,
    /// Config overrides.
    pub configs: Vec<(String, String)>,
}

/// A topic made (or that would be made).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CreatedTopic {
    /// Actual partition count, if the broker says (CreateTopics v5).
    pub partitions: Option<i32>,
    /// Actual replication factor, if the broker says.
    pub replicas: Option<i16>,
}

/// Outcome for each name, in the order the broker answered.
pub type PerTopic<T> = Vec<(String, std::result::Result<T, Refusal>)>;

/// A partition's answer to an offset question.
pub type OffsetAnswer = std::result::Result<FoundOffset, Refusal>;

fn text(value: &str) -> StrBytes {
    StrBytes::from_string(value.to_string())
}

fn name(value: &str) -> TopicName {
    TopicName(text(value))
}

fn timeout_ms(cluster: &Cluster) -> i32 {
    i32::try_from(cluster.options().timeout.as_millis()).unwrap_or(i32::MAX)
}

/// Calls again once when the answer says that another node is the controller now.
pub(super) fn with_controller<T>(
    cluster: &mut Cluster,
    mut call: impl FnMut(&mut Cluster) -> Result<PerTopic<T>>,
) -> Result<PerTopic<T>> {
    let results = call(cluster)?;
    let moved = |(_, result): &(String, std::result::Result<T, Refusal>)| matches!(result, Err(refusal) if refusal.code == ResponseError::NotController.code());
    if !results.iter().any(moved) {
        return Ok(results);
    }
    cluster.forget_controller();
    call(cluster)
}

/// Makes topics; with `dry_run` the broker only checks.
///
/// # Errors
/// Connection errors, [`ClientError::Unsupported`].
pub fn create_topics(cluster: &mut Cluster, topics: &[NewTopic], dry_run: bool) -> Result<PerTopic<CreatedTopic>> {
    let request = CreateTopicsRequest::default()
        .with_timeout_ms(timeout_ms(cluster))
        .with_validate_only(dry_run)
        .with_topics(topics.iter().map(creatable).collect());
    with_controller(cluster, |cluster| {
        let response = cluster.call_controller(&request)?;
        let outcome = response.topics.into_iter().map(|topic| {
            let made = CreatedTopic {
                partitions: (topic.num_partitions > 0).then_some(topic.num_partitions),
                replicas: (topic.replication_factor > 0).then_some(topic.replication_factor),
            };
            let refusal = Refusal::from_code(topic.error_code, topic.error_message.as_deref());
            (topic.name.to_string(), refusal.map_or(Ok(made), Err))
        });
        Ok(outcome.collect())
    })
}

fn creatable(topic: &NewTopic) -> CreatableTopic {
    let config = |(key, value): &(String, String)| {
        CreatableTopicConfig::default()
            .with_name(text(key))
            .with_value(Some(text(value)))
    };
    CreatableTopic::default()
        .with_name(name(&topic.name))
        .with_num_partitions(topic.partitions.unwrap_or(-1))
        .with_replication_factor(topic.replicas.unwrap_or(-1))
        .with_configs(topic.configs.iter().map(config).collect())
}

/// Deletes topics by name.
///
/// # Errors
/// Connection errors, [`ClientError::Unsupported`].
pub fn delete_topics(cluster: &mut Cluster, names: &[String]) -> Result<PerTopic<()>> {
    let base = DeleteTopicsRequest::default().with_timeout_ms(timeout_ms(cluster));
    // Version 6 names topics in another field (KIP-516).
    let by_state = base.clone().with_topics(
        names
            .iter()
            .map(|topic| DeleteTopicState::default().with_name(Some(name(topic))))
            .collect(),
    );
    let by_name = base.with_topic_names(names.iter().map(|topic| name(topic)).collect());
    with_controller(cluster, |cluster| {
        let modern = cluster.any()?.version::<DeleteTopicsRequest>(i16::MAX)? >= 6;
        let response = cluster.call_controller(if modern { &by_state } else { &by_name })?;
        let outcome = response.responses.into_iter().map(|topic| {
            let refusal = Refusal::from_code(topic.error_code, topic.error_message.as_deref());
            (
                topic.name.map(|name| name.to_string()).unwrap_or_default(),
                refusal.map_or(Ok(()), Err),
            )
        });
        Ok(outcome.collect())
    })
}

/// Grows topics to `count` partitions.
///
/// # Errors
/// Connection errors, [`ClientError::Unsupported`].
pub fn create_partitions(cluster: &mut Cluster, names: &[String], count: i32, dry_run: bool) -> Result<PerTopic<()>> {
    let topic = |topic: &String| {
        CreatePartitionsTopic::default()
            .with_name(name(topic))
            .with_count(count)
            .with_assignments(None)
    };
    let request = CreatePartitionsRequest::default()
        .with_timeout_ms(timeout_ms(cluster))
        .with_validate_only(dry_run)
        .with_topics(names.iter().map(topic).collect());
    with_controller(cluster, |cluster| {
        let response = cluster.call_controller(&request)?;
        let outcome = response.results.into_iter().map(|topic| {
            let refusal = Refusal::from_code(topic.error_code, topic.error_message.as_deref());
            (topic.name.to_string(), refusal.map_or(Ok(()), Err))
        });
        Ok(outcome.collect())
    })
}

/// Asks the leaders of `partitions` for the offset of `timestamp` (ms, or [`LATEST`], [`EARLIEST`]).
/// With `read_committed`, [`LATEST`] is the last stable offset. A leader that is still taking over is asked again for a while.
///
/// # Errors
/// Connection errors; partitions without a leader or with an error are `Err` inside the result.
pub fn list_offsets(
    cluster: &mut Cluster,
    topic: &Topic,
    partitions: &[i32],
    timestamp: i64,
    read_committed: bool,
) -> Result<BTreeMap<i32, OffsetAnswer>> {
    let known = vec![(topic.name.clone(), Ok(topic.clone()))];
    let wanted = BTreeMap::from([(topic.name.clone(), partitions.iter().copied().collect())]);
    let found = offsets::list_from(cluster, known, &wanted, timestamp, read_committed)?;
    Ok(found.into_iter().map(|((_, index), answer)| (index, answer)).collect())
}

/// Turns a per-topic refusal into an error naming what was attempted.
///
/// # Errors
/// [`ClientError::Refused`].
pub fn expect<T>(what: &str, results: PerTopic<T>) -> Result<Vec<(String, T)>> {
    results
        .into_iter()
        .map(|(name, result)| match result {
            Ok(value) => Ok((name, value)),
            Err(refusal) => Err(ClientError::refused(format!("{what} {name}"), refusal)),
        })
        .collect()
}
