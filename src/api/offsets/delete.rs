//! DeleteRecords (key 21): moves the start of a log.

use super::{Call, Finder, Merged, Scatter, Step};
use crate::api::call::decode;
use crate::partition::request::{DeleteRecordsPart, DeleteRecordsResult, OwnerRequest};
use crate::wire::control::delete_records::{
    DeleteRecords, DeleteRecordsPartition, DeleteRecordsPartitionResult, DeleteRecordsResponse,
    DeleteRecordsTopicResult,
};
use crate::wire::error::ErrorCode;

/// A DeleteRecords that waits for owners.
pub(crate) type DeleteRecordsOp = Scatter<DeleteRecordsResponse>;

impl Merged for DeleteRecordsResponse {
    type Api = DeleteRecords;
    type Part = DeleteRecordsPartitionResult;
    fn topic(&mut self, at: usize) -> Option<&mut Vec<DeleteRecordsPartitionResult>> {
        self.topics.get_mut(at).map(|topic| &mut topic.partitions)
    }
    fn errors(&self) -> impl Iterator<Item = ErrorCode> {
        self.topics
            .iter()
            .flat_map(|topic| &topic.partitions)
            .map(|part| part.error)
    }
}

pub(in crate::api) fn start(call: &mut Call, body: &[u8]) -> Step<DeleteRecordsOp> {
    let request = decode!(DeleteRecords, call, body);
    let mut op = DeleteRecordsOp::default();
    for topic in request.topics {
        let partitions = op.ask_topic(call, (&topic.name, &topic.partitions), ask, |asked, error| {
            DeleteRecordsPartitionResult {
                index: asked.index,
                error,
                ..Default::default()
            }
        });
        op.response.topics.push(DeleteRecordsTopicResult {
            name: topic.name,
            partitions,
        });
    }
    op.settle(call)
}

pub(in crate::api) fn finish(
    call: &mut Call,
    op: DeleteRecordsOp,
    part: u32,
    result: DeleteRecordsResult,
) -> Step<DeleteRecordsOp> {
    op.finish(call, part, |slot| {
        slot.error = result.error;
        slot.low_watermark = result.low_watermark;
    })
}

fn ask(call: &mut Call, finder: &mut Finder, asked: &DeleteRecordsPartition, part: u32) -> Result<(), ErrorCode> {
    let (partition, owner) = finder.find(asked.index)?;
    if finder.topic.as_ref().is_some_and(|topic| topic.is_internal()) {
        return Err(ErrorCode::InvalidTopicException);
    }
    let config = finder.topic.as_ref().map(|topic| &topic.config);
    // Records of a compacted topic go by compaction alone (kafka: POLICY_VIOLATION).
    if config.is_some_and(|config| config.cleanup_compact && !config.cleanup_delete) {
        return Err(ErrorCode::PolicyViolation);
    }
    if asked.offset < -1 {
        return Err(ErrorCode::OffsetOutOfRange);
    }
    call.ask(
        owner,
        part,
        OwnerRequest::DeleteRecords(DeleteRecordsPart {
            partition,
            before_offset: asked.offset,
        }),
    );
    Ok(())
}
