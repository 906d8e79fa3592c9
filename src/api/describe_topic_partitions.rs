//! DescribeTopicPartitions (key 75, KIP-966): topics in the order of their names, page by page.

use super::call::{Call, Step, decode};
use super::metadata::{TOPIC_OPERATIONS, unknown_name};
use crate::controller::image::{Image, PartitionMeta, Topic};
use crate::wire::control::describe_topic_partitions::{
    Cursor, DescribeTopicPartitions, DescribeTopicPartitionsRequest, DescribeTopicPartitionsResponse,
    DescribedPartition, DescribedTopic, TopicRequest,
};
use crate::wire::error::ErrorCode;
use std::collections::BTreeSet;

/// Most partitions in one answer (`max.request.partition.size.limit`).
const PARTITIONS_MAX: usize = 2000;

pub(super) fn start<S>(call: &mut Call, body: &[u8]) -> Step<S> {
    let request = decode!(DescribeTopicPartitions, call, body);
    if !is_valid(&request) {
        return refuse(call, request);
    }
    let image = call.cx.image.clone();
    let mut names: BTreeSet<&str> = request.topics.iter().map(|topic| topic.name.as_str()).collect();
    if names.is_empty() {
        names = image.names.keys().map(String::as_str).collect();
    }
    let (from, mut skip) = match &request.cursor {
        Some(cursor) => (
            cursor.topic_name.as_str(),
            usize::try_from(cursor.partition_index).unwrap_or(0),
        ),
        None => ("", 0),
    };
    let mut room = usize::try_from(request.response_partition_limit)
        .unwrap_or(0)
        .clamp(1, PARTITIONS_MAX);
    let mut response = DescribeTopicPartitionsResponse::default();
    for name in names.into_iter().filter(|name| *name >= from) {
        let first = if name == from { std::mem::take(&mut skip) } else { 0 };
        if room == 0 {
            response.next_cursor = Some(Cursor {
                topic_name: name.to_string(),
                partition_index: 0,
            });
            break;
        }
        let Some(topic) = image.topic(name) else {
            response.topics.push(DescribedTopic {
                error: unknown_name(name),
                name: Some(name.to_string()),
                ..Default::default()
            });
            continue;
        };
        let described = describe(&image, topic, first, room);
        let end = first + described.partitions.len();
        room -= described.partitions.len();
        response.topics.push(described);
        if end < topic.partitions.len() {
            response.next_cursor = Some(Cursor {
                topic_name: name.to_string(),
                partition_index: end as i32,
            });
            break;
        }
    }
    call.answer::<DescribeTopicPartitions, S>(&response)
}

/// A cursor names a partition, of a topic that is asked for.
fn is_valid(request: &DescribeTopicPartitionsRequest) -> bool {
    let asked = |name: &String| request.topics.is_empty() || request.topics.iter().any(|topic| topic.name == *name);
    let cursor = request.cursor.as_ref();
    cursor.is_none_or(|cursor| cursor.partition_index >= 0 && asked(&cursor.topic_name))
}

fn refuse<S>(call: &mut Call, request: DescribeTopicPartitionsRequest) -> Step<S> {
    call.failed = true;
    let refused = |topic: TopicRequest| DescribedTopic {
        error: ErrorCode::InvalidRequest,
        name: Some(topic.name),
        ..Default::default()
    };
    call.answer::<DescribeTopicPartitions, S>(&DescribeTopicPartitionsResponse {
        topics: request.topics.into_iter().map(refused).collect(),
        ..Default::default()
    })
}

fn describe(image: &Image, topic: &Topic, first: usize, room: usize) -> DescribedTopic {
    let partition = |(index, meta): (usize, &PartitionMeta)| {
        let leader = image.leader(meta);
        DescribedPartition {
            index: index as i32,
            leader_id: leader,
            leader_epoch: meta.leader_epoch,
            replicas: vec![leader],
            in_sync: vec![leader],
            eligible_leaders: Some(Vec::new()),
            last_known_eligible: Some(Vec::new()),
            ..Default::default()
        }
    };
    DescribedTopic {
        name: Some(topic.name.clone()),
        topic_id: topic.id,
        is_internal: topic.is_internal(),
        partitions: topic
            .partitions
            .iter()
            .enumerate()
            .skip(first)
            .take(room)
            .map(partition)
            .collect(),
        authorized_operations: TOPIC_OPERATIONS,
        ..Default::default()
    }
}
