//! ListOffsets (key 2): offsets by timestamp and special offsets.

use super::{Call, Finder, Merged, Scatter, Step};
use crate::api::call::decode;
use crate::partition::request::{ListOffsetPart, ListOffsetResult, OwnerRequest};
use crate::wire::control::list_offsets::{
    ListOffsets, ListOffsetsPartition, ListOffsetsPartitionResponse, ListOffsetsRequest, ListOffsetsResponse,
    ListOffsetsTopicResponse, special_timestamp_from,
};
use crate::wire::error::ErrorCode;
use std::collections::BTreeSet;

/// A ListOffsets that waits for owners.
pub(crate) type ListOffsetsOp = Scatter<ListOffsetsResponse>;

impl Merged for ListOffsetsResponse {
    type Api = ListOffsets;
    type Part = ListOffsetsPartitionResponse;
    fn topic(&mut self, at: usize) -> Option<&mut Vec<ListOffsetsPartitionResponse>> {
        self.topics.get_mut(at).map(|topic| &mut topic.partitions)
    }
    fn errors(&self) -> impl Iterator<Item = ErrorCode> {
        self.topics
            .iter()
            .flat_map(|topic| &topic.partitions)
            .map(|part| part.error)
    }
}

pub(in crate::api) fn start(call: &mut Call, body: &[u8]) -> Step<ListOffsetsOp> {
    let request = decode!(ListOffsets, call, body);
    let read_committed = request.isolation_level == 1;
    let twice = named_twice(&request);
    let mut op = ListOffsetsOp::default();
    for topic in request.topics {
        let ask = |call: &mut Call, finder: &mut Finder, asked: &ListOffsetsPartition, part: u32| {
            if twice.contains(&(topic.name.clone(), asked.index)) {
                return Err(ErrorCode::InvalidRequest);
            }
            ask(call, finder, asked, read_committed, part)
        };
        let partitions = op.ask_topic(call, (&topic.name, &topic.partitions), ask, |asked, error| {
            ListOffsetsPartitionResponse {
                index: asked.index,
                error,
                ..Default::default()
            }
        });
        op.response.topics.push(ListOffsetsTopicResponse {
            name: topic.name,
            partitions,
        });
    }
    op.settle(call)
}

/// Partitions that the request names more than once: none of them is answered (`ReplicaManager.fetchOffset`).
fn named_twice(request: &ListOffsetsRequest) -> BTreeSet<(String, i32)> {
    let mut seen = BTreeSet::new();
    let mut twice = BTreeSet::new();
    for topic in &request.topics {
        for partition in &topic.partitions {
            if !seen.insert((topic.name.as_str(), partition.index)) {
                twice.insert((topic.name.clone(), partition.index));
            }
        }
    }
    twice
}

pub(in crate::api) fn finish(
    call: &mut Call,
    op: ListOffsetsOp,
    part: u32,
    result: ListOffsetResult,
) -> Step<ListOffsetsOp> {
    op.finish(call, part, |slot| {
        slot.error = result.error;
        slot.timestamp = result.timestamp;
        slot.offset = result.offset;
        slot.leader_epoch = result.leader_epoch;
    })
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
