//! DescribeLogDirs and AlterReplicaLogDirs (keys 35, 34): the one data directory, with what each partition takes of it.

use crate::api::call::{Call, Step, decode, place};
use crate::base::ids::{PartitionId, ShardId};
use crate::controller::image::Image;
use crate::partition::request::{LogSizes, OwnerRequest};
use crate::wire::control::log_dirs::{
    AlterReplicaLogDir, AlterReplicaLogDirPartition, AlterReplicaLogDirTopic, AlterReplicaLogDirs,
    AlterReplicaLogDirsResponse, DescribeLogDirs, DescribeLogDirsResponse, LogDir, LogDirPartition, LogDirTopic,
    TopicPartitions,
};
use crate::wire::error::ErrorCode;
use std::collections::BTreeMap;

/// The shard that asks for the space of the file system time and again, whether or not something is written.
const SPACE_SHARD: ShardId = ShardId(0);

/// A DescribeLogDirs that waits for owners.
pub(crate) struct LogDirsOp {
    /// What was asked of each owner; parts are indexes.
    asked: Vec<(ShardId, Vec<PartitionId>)>,
    sizes: BTreeMap<PartitionId, i64>,
    space: Option<(u64, u64)>,
    remaining: usize,
}

pub(in crate::api) fn start(call: &mut Call, body: &[u8]) -> Step<LogDirsOp> {
    let request = decode!(DescribeLogDirs, call, body);
    let image = call.cx.newest.clone();
    let mut by_owner: BTreeMap<ShardId, Vec<PartitionId>> = BTreeMap::from([(SPACE_SHARD, Vec::new())]);
    let mut ask = |(id, owner): (PartitionId, ShardId)| by_owner.entry(owner).or_default().push(id);
    match &request.topics {
        None => all(&image).for_each(&mut ask),
        Some(topics) => topics.iter().flat_map(|topic| some(&image, topic)).for_each(&mut ask),
    }
    let op = LogDirsOp {
        remaining: by_owner.len(),
        asked: by_owner.into_iter().collect(),
        sizes: BTreeMap::new(),
        space: None,
    };
    for (part, (owner, partitions)) in (0u32..).zip(&op.asked) {
        call.ask(*owner, part, OwnerRequest::LogSizes(partitions.clone()));
    }
    Step::Wait(op)
}

fn all(image: &Image) -> impl Iterator<Item = (PartitionId, ShardId)> + '_ {
    image.topics.values().flat_map(|topic| {
        let id = |(partition, meta): (u32, &crate::controller::image::PartitionMeta)| {
            let id = PartitionId {
                topic: topic.id,
                partition,
            };
            (id, meta.shard)
        };
        (0u32..).zip(&topic.partitions).map(id)
    })
}

/// Of the partitions asked for, those that are there: Kafka says nothing of the others.
fn some(image: &Image, asked: &TopicPartitions) -> Vec<(PartitionId, ShardId)> {
    let Some(topic) = image.topic(&asked.topic) else {
        return Vec::new();
    };
    asked
        .partitions
        .iter()
        .filter_map(|index| place(topic, *index).ok())
        .collect()
}

/// An owner answered.
pub(in crate::api) fn finish(call: &mut Call, mut op: LogDirsOp, part: u32, found: LogSizes) -> Step<LogDirsOp> {
    if let Some((owner, partitions)) = op.asked.get(part as usize) {
        let sizes = partitions.iter().zip(found.sizes);
        op.sizes.extend(sizes.filter_map(|(id, size)| Some((*id, size?))));
        if *owner == SPACE_SHARD {
            op.space = found.space;
        }
    }
    op.remaining = op.remaining.saturating_sub(1);
    if op.remaining > 0 {
        return Step::Wait(op);
    }
    let image = call.cx.image.clone();
    let bytes = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
    let (usable_bytes, total_bytes) = op.space.map_or((-1, -1), |(free, total)| (bytes(free), bytes(total)));
    let response = DescribeLogDirsResponse {
        results: vec![LogDir {
            log_dir: image.data_dir.clone(),
            topics: topics(&image, &op.sizes),
            total_bytes,
            usable_bytes,
            ..Default::default()
        }],
        ..Default::default()
    };
    call.answer::<DescribeLogDirs, LogDirsOp>(&response)
}

fn topics(image: &Image, sizes: &BTreeMap<PartitionId, i64>) -> Vec<LogDirTopic> {
    let mut topics: BTreeMap<&str, LogDirTopic> = BTreeMap::new();
    for (id, size) in sizes {
        // A topic that went away meanwhile has no directory any more.
        let Some(topic) = image.topics.get(&id.topic) else {
            continue;
        };
        let entry = topics.entry(&topic.name).or_insert_with(|| LogDirTopic {
            name: topic.name.clone(),
            ..Default::default()
        });
        entry.partitions.push(LogDirPartition {
            index: id.partition as i32,
            size: *size,
            ..Default::default()
        });
    }
    topics.into_values().collect()
}

/// There is one directory: what is to go there is there already.
pub(in crate::api) fn alter<S>(call: &mut Call, body: &[u8]) -> Step<S> {
    let request = decode!(AlterReplicaLogDirs, call, body);
    let image = call.cx.image.clone();
    let topics = request.dirs.iter().flat_map(|dir| moved(&image, dir));
    let response = AlterReplicaLogDirsResponse {
        results: topics.collect(),
        ..Default::default()
    };
    call.note(
        response
            .results
            .iter()
            .flat_map(|topic| &topic.partitions)
            .map(|p| p.error),
    );
    call.answer::<AlterReplicaLogDirs, S>(&response)
}

fn moved(image: &Image, dir: &AlterReplicaLogDir) -> Vec<AlterReplicaLogDirTopic> {
    let is_ours = dir.path == image.data_dir;
    let topic = |asked: &TopicPartitions| {
        let error = |index: i32| match image.topic(&asked.topic) {
            _ if !is_ours => ErrorCode::LogDirNotFound,
            Some(topic) => place(topic, index).err().unwrap_or(ErrorCode::None),
            None => ErrorCode::UnknownTopicOrPartition,
        };
        let partition = |index: &i32| AlterReplicaLogDirPartition {
            index: *index,
            error: error(*index),
        };
        AlterReplicaLogDirTopic {
            topic: asked.topic.clone(),
            partitions: asked.partitions.iter().map(partition).collect(),
        }
    };
    dir.topics.iter().map(topic).collect()
}
