//! OffsetForLeaderEpoch (key 23, KIP-320): where a leader epoch ends.

use super::{Call, Finder, Scatter, Step, settle};
use crate::api::call::decode;
use crate::partition::request::{EpochEndPart, EpochEndResult, OwnerRequest};
use crate::wire::control::offset_for_leader_epoch::{
    EpochEndOffset, OffsetForLeaderEpoch, OffsetForLeaderEpochResponse, OffsetForLeaderPartition,
    OffsetForLeaderTopicResult,
};
use crate::wire::error::ErrorCode;

/// An OffsetForLeaderEpoch that waits for owners.
pub(crate) type EpochEndOp = Scatter<OffsetForLeaderEpochResponse>;

pub(in crate::api) fn start(call: &mut Call, body: &[u8]) -> Step<EpochEndOp> {
    let request = decode!(OffsetForLeaderEpoch, call, body);
    let mut op = EpochEndOp::new();
    for topic in &request.topics {
        let mut finder = Finder::new(call, &topic.topic);
        let mut answers = Vec::with_capacity(topic.partitions.len());
        let first = op.numbering.add_topic(topic.partitions.len());
        for (part, partition) in (first..).zip(&topic.partitions) {
            let asked = ask(call, &mut finder, partition, part);
            op.remaining += usize::from(asked.is_ok());
            let error = asked.err().unwrap_or(ErrorCode::None);
            answers.push(EpochEndOffset {
                index: partition.index,
                error,
                ..Default::default()
            });
        }
        op.response.topics.push(OffsetForLeaderTopicResult {
            topic: topic.topic.clone(),
            partitions: answers,
        });
    }
    settle(call, op.done(), answer)
}

pub(in crate::api) fn finish(
    call: &mut Call,
    mut op: EpochEndOp,
    part: u32,
    result: EpochEndResult,
) -> Step<EpochEndOp> {
    let (topic, index) = op.numbering.find(part);
    let topic = op.response.topics.get_mut(topic);
    if let Some(slot) = topic.and_then(|topic| topic.partitions.get_mut(index)) {
        slot.error = result.error;
        slot.leader_epoch = result.leader_epoch;
        slot.end_offset = result.end_offset;
    }
    settle(call, op.one_less(), answer)
}

fn answer<S>(call: &mut Call, response: &OffsetForLeaderEpochResponse) -> Step<S> {
    call.note(
        response
            .topics
            .iter()
            .flat_map(|topic| &topic.partitions)
            .map(|p| p.error),
    );
    call.answer::<OffsetForLeaderEpoch, S>(response)
}

fn ask(call: &mut Call, finder: &mut Finder, asked: &OffsetForLeaderPartition, part: u32) -> Result<(), ErrorCode> {
    let (partition, owner) = finder.find(asked.index)?;
    let question = EpochEndPart {
        partition,
        current_leader_epoch: asked.current_leader_epoch,
        leader_epoch: asked.leader_epoch,
    };
    call.ask(owner, part, OwnerRequest::EpochEnd(question));
    Ok(())
}
