//! ListOffsets (key 2): offsets by timestamp and special offsets.

use super::{Call, Finder, Scatter, Step, settle};
use crate::api::call::decode;
use crate::partition::request::{ListOffsetPart, ListOffsetResult, OwnerRequest};
use crate::wire::control::list_offsets::{
    ListOffsets, ListOffsetsPartition, ListOffsetsPartitionResponse, ListOffsetsResponse, ListOffsetsTopicResponse,
    special_timestamp_from,
};
use crate::wire::error::ErrorCode;

/// A ListOffsets that waits for owners.
pub(crate) type ListOffsetsOp = Scatter<ListOffsetsResponse>;

pub(in crate::api) fn start(call: &mut Call, body: &[u8]) -> Step<ListOffsetsOp> {
    let request = decode!(ListOffsets, call, body);
    let read_committed = request.isolation_level == 1;
    let mut op = ListOffsetsOp::new();
    for topic in &request.topics {
        let mut finder = Finder::new(call, &topic.name);
        let mut answers = Vec::with_capacity(topic.partitions.len());
        let first = op.numbering.add_topic(topic.partitions.len());
        for (part, partition) in (first..).zip(&topic.partitions) {
            let asked = ask(call, &mut finder, partition, read_committed, part);
            op.remaining += usize::from(asked.is_ok());
            let error = asked.err().unwrap_or(ErrorCode::None);
            answers.push(ListOffsetsPartitionResponse {
                index: partition.index,
                error,
                ..Default::default()
            });
        }
        op.response.topics.push(ListOffsetsTopicResponse {
            name: topic.name.clone(),
            partitions: answers,
        });
    }
    settle(call, op.done(), answer)
}

pub(in crate::api) fn finish(
    call: &mut Call,
    mut op: ListOffsetsOp,
    part: u32,
    result: ListOffsetResult,
) -> Step<ListOffsetsOp> {
    let (topic, index) = op.numbering.find(part);
    let topic = op.response.topics.get_mut(topic);
    if let Some(slot) = topic.and_then(|topic| topic.partitions.get_mut(index)) {
        slot.error = result.error;
        slot.timestamp = result.timestamp;
        slot.offset = result.offset;
        slot.leader_epoch = result.leader_epoch;
    }
    settle(call, op.one_less(), answer)
}

fn answer<S>(call: &mut Call, response: &ListOffsetsResponse) -> Step<S> {
    call.note(
        response
            .topics
            .iter()
            .flat_map(|topic| &topic.partitions)
            .map(|p| p.error),
    );
    call.answer::<ListOffsets, S>(response)
}

fn ask(
    call: &mut Call,
    finder: &mut Finder,
    asked: &ListOffsetsPartition,
    read_committed: bool,
    part: u32,
) -> Result<(), ErrorCode> {
    let (partition, owner) = finder.find(asked.index)?;
    if asked.timestamp < 0 && special_timestamp_from(asked.timestamp).is_none_or(|from| call.meta.version < from) {
        return Err(ErrorCode::UnsupportedVersion);
    }
    let question = ListOffsetPart {
        partition,
        timestamp: asked.timestamp,
        current_leader_epoch: asked.current_leader_epoch,
        read_committed,
    };
    call.ask(owner, part, OwnerRequest::ListOffset(question));
    Ok(())
}
