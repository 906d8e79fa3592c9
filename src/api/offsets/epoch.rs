//! OffsetForLeaderEpoch (key 23, KIP-320): where a leader epoch ends.

use super::{Call, Finder, Merged, Scatter, Step};
use crate::api::call::decode;
use crate::partition::request::{EpochEndPart, EpochEndResult, OwnerRequest};
use crate::wire::control::offset_for_leader_epoch::{
    EpochEndOffset, OffsetForLeaderEpoch, OffsetForLeaderEpochResponse, OffsetForLeaderPartition,
    OffsetForLeaderTopicResult,
};
use crate::wire::error::ErrorCode;

/// An OffsetForLeaderEpoch that waits for owners.
pub(crate) type EpochEndOp = Scatter<OffsetForLeaderEpochResponse>;

impl Merged for OffsetForLeaderEpochResponse {
    type Api = OffsetForLeaderEpoch;
    type Part = EpochEndOffset;
    fn topic(&mut self, at: usize) -> Option<&mut Vec<EpochEndOffset>> {
        self.topics.get_mut(at).map(|topic| &mut topic.partitions)
    }
    fn errors(&self) -> impl Iterator<Item = ErrorCode> {
        self.topics
            .iter()
            .flat_map(|topic| &topic.partitions)
            .map(|part| part.error)
    }
}

pub(in crate::api) fn start(call: &mut Call, body: &[u8]) -> Step<EpochEndOp> {
    let request = decode!(OffsetForLeaderEpoch, call, body);
    let mut op = EpochEndOp::default();
    for topic in request.topics {
        let partitions = op.ask_topic(call, (&topic.topic, &topic.partitions), ask, |asked, error| {
            EpochEndOffset {
                index: asked.index,
                error,
                ..Default::default()
            }
        });
        op.response.topics.push(OffsetForLeaderTopicResult {
            topic: topic.topic,
            partitions,
        });
    }
    op.settle(call)
}

pub(in crate::api) fn finish(call: &mut Call, op: EpochEndOp, part: u32, result: EpochEndResult) -> Step<EpochEndOp> {
    op.finish(call, part, |slot| {
        slot.error = result.error;
        slot.leader_epoch = result.leader_epoch;
        slot.end_offset = result.end_offset;
    })
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
