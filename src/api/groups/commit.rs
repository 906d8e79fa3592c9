//! OffsetCommit (key 8): partitions that do not exist fail one by one, the others are the coordinator's.

use super::super::call::{Call, Step, decode, place};
use super::GroupOp;
use crate::controller::image::{Image, Topic};
use crate::group::request::GroupRequest;
use crate::wire::error::ErrorCode;
use crate::wire::group::offset_commit::{
    OffsetCommit, OffsetCommitPartitionResult, OffsetCommitResponse, OffsetCommitTopic, OffsetCommitTopicResult,
};
use std::sync::Arc;

/// First version with topic ids.
const IDS_FROM: i16 = 10;

/// A commit that waits for its coordinator.
pub(crate) struct CommitOp {
    /// Topics as asked: partitions that were refused, then those that the coordinator was asked for, with what they answer
    /// if it does not in time.
    response: OffsetCommitResponse,
    /// Topics that the coordinator was asked for: place in the response, and how many partitions were refused.
    asked: Vec<(usize, usize)>,
}

pub(in crate::api) fn start(call: &mut Call, body: &[u8]) -> Step<GroupOp> {
    let mut request = decode!(OffsetCommit, call, body);
    let mut op = CommitOp {
        response: OffsetCommitResponse::default(),
        asked: Vec::new(),
    };
    let mut topics = Vec::new();
    for (at, mut topic) in std::mem::take(&mut request.topics).into_iter().enumerate() {
        let mut partitions = sort_out(call.cx.newest, call.meta.version, &mut topic);
        let refused = partitions.len();
        partitions.extend(topic.partitions.iter().map(|partition| OffsetCommitPartitionResult {
            index: partition.index,
            error: ErrorCode::CoordinatorNotAvailable,
        }));
        op.response.topics.push(OffsetCommitTopicResult {
            name: topic.name.clone(),
            topic_id: topic.topic_id,
            partitions,
        });
        if !topic.partitions.is_empty() {
            op.asked.push((at, refused));
            topics.push(topic);
        }
    }
    request.topics = topics;
    if request.topics.is_empty() {
        return finish(call, op, Vec::new());
    }
    let group = request.group_id.clone();
    let request = GroupRequest::Commit(call.meta.version, request);
    super::ask(call, &group, request, GroupOp::Commit(op))
}

/// Takes partitions that do not exist out of the topic, and completes its name or id.
fn sort_out(image: &Image, version: i16, topic: &mut OffsetCommitTopic) -> Vec<OffsetCommitPartitionResult> {
    let found = find(image, version, topic);
    let error = |index: i32| match &found {
        Err(error) => Some(*error),
        Ok(found) => place(found, index).err(),
    };
    let mut refused = Vec::new();
    topic.partitions.retain(|partition| {
        let error = error(partition.index);
        refused.extend(error.map(|error| OffsetCommitPartitionResult {
            index: partition.index,
            error,
        }));
        error.is_none()
    });
    if let Ok(found) = found {
        topic.name.clone_from(&found.name);
        topic.topic_id = found.id;
    }
    refused
}

fn find(image: &Image, version: i16, topic: &OffsetCommitTopic) -> Result<Arc<Topic>, ErrorCode> {
    let (found, error) = match version >= IDS_FROM {
        true => (image.topics.get(&topic.topic_id), ErrorCode::UnknownTopicId),
        false => (image.topic(&topic.name), ErrorCode::UnknownTopicOrPartition),
    };
    found.cloned().ok_or(error)
}

pub(super) fn finish<S>(call: &mut Call, mut op: CommitOp, topics: Vec<OffsetCommitTopicResult>) -> Step<S> {
    for ((at, refused), topic) in op.asked.drain(..).zip(topics) {
        if let Some(slot) = op.response.topics.get_mut(at) {
            slot.partitions.truncate(refused);
            slot.partitions.extend(topic.partitions);
        }
    }
    settle(call, op)
}

/// Answers with what is known.
pub(super) fn settle<S>(call: &mut Call, op: CommitOp) -> Step<S> {
    let partitions = op.response.topics.iter().flat_map(|topic| &topic.partitions);
    call.note(partitions.map(|partition| partition.error));
    call.answer::<OffsetCommit, S>(&op.response)
}
