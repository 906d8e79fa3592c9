//! OffsetDelete (key 47): partitions that do not exist fail one by one, the others are the coordinator's.

use super::super::call::{Call, Step, decode, place};
use super::GroupOp;
use crate::group::request::GroupRequest;
use crate::wire::error::ErrorCode;
use crate::wire::group::offset_delete::{
    OffsetDelete, OffsetDeletePartitionResult, OffsetDeleteResponse, OffsetDeleteTopic, OffsetDeleteTopicResult,
};

/// A deletion that waits for its coordinator.
pub(crate) struct DeleteOffsetsOp {
    /// Topics as asked; so far with the partitions that were refused.
    response: OffsetDeleteResponse,
    /// Places in the response of the topics that the coordinator was asked for.
    asked: Vec<usize>,
}

pub(in crate::api) fn start(call: &mut Call, body: &[u8]) -> Step<GroupOp> {
    let mut request = decode!(OffsetDelete, call, body);
    let mut op = DeleteOffsetsOp {
        response: OffsetDeleteResponse::default(),
        asked: Vec::new(),
    };
    let mut topics = Vec::new();
    for (at, mut topic) in std::mem::take(&mut request.topics).into_iter().enumerate() {
        op.response.topics.push(OffsetDeleteTopicResult {
            name: topic.name.clone(),
            partitions: sort_out(call, &mut topic),
        });
        if !topic.partitions.is_empty() {
            op.asked.push(at);
            topics.push(topic);
        }
    }
    // Also without topics: the coordinator says whether there is such a group.
    request.topics = topics;
    let group = request.group_id.clone();
    super::ask(
        call,
        &group,
        GroupRequest::DeleteOffsets(request),
        GroupOp::DeleteOffsets(op),
    )
}

/// Takes partitions that do not exist out of the topic.
fn sort_out(call: &Call, topic: &mut OffsetDeleteTopic) -> Vec<OffsetDeletePartitionResult> {
    let found = call.cx.newest.topic(&topic.name);
    let mut refused = Vec::new();
    topic.partitions.retain(|index| {
        let exists = found.is_some_and(|found| place(found, *index).is_ok());
        if !exists {
            refused.push(OffsetDeletePartitionResult {
                index: *index,
                error: ErrorCode::UnknownTopicOrPartition,
            });
        }
        exists
    });
    refused
}

/// Answers for the whole request.
pub(super) fn refuse<S>(call: &mut Call, error: ErrorCode) -> Step<S> {
    call.note([error].into_iter());
    let response = OffsetDeleteResponse {
        error,
        ..OffsetDeleteResponse::default()
    };
    call.answer::<OffsetDelete, S>(&response)
}

pub(super) fn finish<S>(call: &mut Call, mut op: DeleteOffsetsOp, mut answer: OffsetDeleteResponse) -> Step<S> {
    if answer.error == ErrorCode::None {
        for (at, topic) in op.asked.into_iter().zip(std::mem::take(&mut answer.topics)) {
            if let Some(slot) = op.response.topics.get_mut(at) {
                slot.partitions.extend(topic.partitions);
            }
        }
        answer.topics = op.response.topics;
    }
    let partitions = answer.topics.iter().flat_map(|topic| &topic.partitions);
    let errors: Vec<ErrorCode> = partitions.map(|partition| partition.error).collect();
    call.note(errors.into_iter().chain([answer.error]));
    call.answer::<OffsetDelete, S>(&answer)
}
