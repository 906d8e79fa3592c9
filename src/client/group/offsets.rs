//! What groups have committed: read, set and delete it; delete whole groups.
//!
//! Setting and deleting work on groups without live members only; the coordinator sees to that.

use super::{PerGroup, ask, group_id, text};
use crate::client::Result;
use crate::client::cluster::Cluster;
use crate::client::error::{ClientError, Refusal};
use crate::client::offsets::{Partitions, PerPartition};
use kafka_protocol::messages::offset_commit_request::{OffsetCommitRequestPartition, OffsetCommitRequestTopic};
use kafka_protocol::messages::offset_commit_response::OffsetCommitResponsePartition;
use kafka_protocol::messages::offset_delete_request::{OffsetDeleteRequestPartition, OffsetDeleteRequestTopic};
use kafka_protocol::messages::offset_delete_response::OffsetDeleteResponsePartition;
use kafka_protocol::messages::offset_fetch_request::OffsetFetchRequestGroup;
use kafka_protocol::messages::{
    DeleteGroupsRequest, OffsetCommitRequest, OffsetDeleteRequest, OffsetFetchRequest, OffsetFetchResponse, TopicName,
};
use std::collections::{BTreeMap, BTreeSet};

/// First version of OffsetFetch that asks for many groups (KIP-709).
const MANY_GROUPS: i16 = 8;

/// A committed offset.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Committed {
    /// The next offset to read.
    pub offset: i64,
    /// What the consumer noted with it.
    pub metadata: String,
}

/// Everything a group has committed. A group that does not exist has nothing.
///
/// # Errors
/// Connection errors, the coordinator's refusal.
pub fn committed(cluster: &mut Cluster, group: &str) -> Result<PerPartition<Committed>> {
    let response = ask(cluster, group, |version| fetch_request(group, version), fetch_code)?;
    if let Some(refusal) = Refusal::from_code(fetch_code(&response), None) {
        return Err(ClientError::refused(format!("read offsets of group {group}"), refusal));
    }
    let mut found = BTreeMap::new();
    let mut add = |topic: &TopicName, index: i32, code: i16, offset: i64, metadata: Option<String>| {
        let metadata = metadata.unwrap_or_default();
        let value = Refusal::from_code(code, None).map_or(Ok(Committed { offset, metadata }), Err);
        // -1 is "nothing committed".
        if offset >= 0 || value.is_err() {
            found.insert((topic.to_string(), index), value);
        }
    };
    for topic in response.topics {
        for p in topic.partitions {
            let metadata = p.metadata.map(|text| text.to_string());
            add(
                &topic.name,
                p.partition_index,
                p.error_code,
                p.committed_offset,
                metadata,
            );
        }
    }
    for topic in response.groups.into_iter().flat_map(|group| group.topics) {
        for p in topic.partitions {
            let metadata = p.metadata.map(|text| text.to_string());
            add(
                &topic.name,
                p.partition_index,
                p.error_code,
                p.committed_offset,
                metadata,
            );
        }
    }
    Ok(found)
}

fn fetch_request(group: &str, version: i16) -> OffsetFetchRequest {
    if version < MANY_GROUPS {
        return OffsetFetchRequest::default()
            .with_group_id(group_id(group))
            .with_topics(None);
    }
    let group = OffsetFetchRequestGroup::default()
        .with_group_id(group_id(group))
        .with_topics(None);
    OffsetFetchRequest::default().with_groups(vec![group])
}

fn fetch_code(response: &OffsetFetchResponse) -> i16 {
    response
        .groups
        .first()
        .map_or(response.error_code, |group| group.error_code)
}

/// Sets committed offsets of a group without live members; makes the group if there is none.
///
/// # Errors
/// Connection errors; what the coordinator refuses is `Err` inside the result.
pub fn commit(cluster: &mut Cluster, group: &str, offsets: &BTreeMap<(String, i32), i64>) -> Result<PerPartition<()>> {
    let mut topics: BTreeMap<&str, Vec<OffsetCommitRequestPartition>> = BTreeMap::new();
    for ((topic, index), offset) in offsets {
        let partition = OffsetCommitRequestPartition::default()
            .with_partition_index(*index)
            .with_committed_offset(*offset)
            .with_committed_leader_epoch(-1)
            .with_committed_metadata(Some(text("")));
        topics.entry(topic).or_default().push(partition);
    }
    let topic = |(name, partitions): (&str, Vec<OffsetCommitRequestPartition>)| {
        OffsetCommitRequestTopic::default()
            .with_name(TopicName(text(name)))
            .with_partitions(partitions)
    };
    let request = OffsetCommitRequest::default()
        .with_group_id(group_id(group))
        .with_generation_id_or_member_epoch(-1)
        .with_topics(topics.into_iter().map(topic).collect());
    let first_code = |response: &<OffsetCommitRequest as kafka_protocol::protocol::Request>::Response| {
        let mut partitions = response.topics.iter().flat_map(|topic| &topic.partitions);
        partitions.next().map_or(0, |partition| partition.error_code)
    };
    let response = ask(cluster, group, |_| request.clone(), first_code)?;
    let codes = response.topics.iter().flat_map(|topic| {
        let code = |partition: &OffsetCommitResponsePartition| {
            (
                (topic.name.to_string(), partition.partition_index),
                partition.error_code,
            )
        };
        topic.partitions.iter().map(code)
    });
    Ok(codes.map(outcome).collect())
}

fn outcome((place, code): ((String, i32), i16)) -> ((String, i32), std::result::Result<(), Refusal>) {
    (place, Refusal::from_code(code, None).map_or(Ok(()), Err))
}

/// Deletes committed offsets of partitions that no member of the group subscribes to (KIP-496).
///
/// # Errors
/// Connection errors, the coordinator's refusal of the whole; that of a partition is `Err` inside the result.
pub fn delete_offsets(cluster: &mut Cluster, group: &str, partitions: &Partitions) -> Result<PerPartition<()>> {
    let partition = |index: &i32| OffsetDeleteRequestPartition::default().with_partition_index(*index);
    let topic = |(name, indexes): (&String, &BTreeSet<i32>)| {
        OffsetDeleteRequestTopic::default()
            .with_name(TopicName(text(name)))
            .with_partitions(indexes.iter().map(partition).collect())
    };
    let request = OffsetDeleteRequest::default()
        .with_group_id(group_id(group))
        .with_topics(partitions.iter().map(topic).collect());
    let response = ask(cluster, group, |_| request.clone(), |response| response.error_code)?;
    if let Some(refusal) = Refusal::from_code(response.error_code, None) {
        return Err(ClientError::refused(
            format!("delete offsets of group {group}"),
            refusal,
        ));
    }
    let codes = response.topics.iter().flat_map(|topic| {
        let code = |partition: &OffsetDeleteResponsePartition| {
            (
                (topic.name.to_string(), partition.partition_index),
                partition.error_code,
            )
        };
        topic.partitions.iter().map(code)
    });
    Ok(codes.map(outcome).collect())
}

/// Deletes groups without members, with all they committed.
///
/// # Errors
/// Connection errors.
pub fn delete(cluster: &mut Cluster, groups: &[String]) -> Result<PerGroup<()>> {
    let mut done = Vec::with_capacity(groups.len());
    for group in groups {
        let request = DeleteGroupsRequest::default().with_groups_names(vec![group_id(group)]);
        let code = |response: &<DeleteGroupsRequest as kafka_protocol::protocol::Request>::Response| {
            response.results.first().map_or(0, |result| result.error_code)
        };
        let response = ask(cluster, group, |_| request.clone(), code)?;
        cluster.coordinators.remove(group);
        done.push((
            group.clone(),
            Refusal::from_code(code(&response), None).map_or(Ok(()), Err),
        ));
    }
    Ok(done)
}
