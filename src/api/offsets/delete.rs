//! DeleteRecords (key 21): moves the start of a log.

use super::{Call, Finder, Scatter, Step, settle};
use crate::api::call::decode;
use crate::partition::request::{DeleteRecordsPart, DeleteRecordsResult, OwnerRequest};
use crate::wire::control::delete_records::{
    DeleteRecords, DeleteRecordsPartition, DeleteRecordsPartitionResult, DeleteRecordsResponse,
    DeleteRecordsTopicResult,
};
use crate::wire::error::ErrorCode;

/// A DeleteRecords that waits for owners.
pub(crate) type DeleteRecordsOp = Scatter<DeleteRecordsResponse>;

pub(in crate::api) fn start(call: &mut Call, body: &[u8]) -> Step<DeleteRecordsOp> {
    let request = decode!(DeleteRecords, call, body);
    let mut op = DeleteRecordsOp::new();
    for topic in &request.topics {
        let mut finder = Finder::new(call, &topic.name);
        let mut answers = Vec::with_capacity(topic.partitions.len());
        let first = op.numbering.add_topic(topic.partitions.len());
        for (part, partition) in (first..).zip(&topic.partitions) {
            let asked = ask(call, &mut finder, partition, part);
            op.remaining += usize::from(asked.is_ok());
            let error = asked.err().unwrap_or(ErrorCode::None);
            answers.push(DeleteRecordsPartitionResult {
                index: partition.index,
                error,
                ..Default::default()
            });
        }
        op.response.topics.push(DeleteRecordsTopicResult {
            name: topic.name.clone(),
            partitions: answers,
        });
    }
    settle(call, op.done(), answer)
}

pub(in crate::api) fn finish(
    call: &mut Call,
    mut op: DeleteRecordsOp,
    part: u32,
    result: DeleteRecordsResult,
) -> Step<DeleteRecordsOp> {
    let (topic, index) = op.numbering.find(part);
    let topic = op.response.topics.get_mut(topic);
    if let Some(slot) = topic.and_then(|topic| topic.partitions.get_mut(index)) {
        slot.error = result.error;
        slot.low_watermark = result.low_watermark;
    }
    settle(call, op.one_less(), answer)
}

fn answer<S>(call: &mut Call, response: &DeleteRecordsResponse) -> Step<S> {
    call.note(
        response
            .topics
            .iter()
            .flat_map(|topic| &topic.partitions)
            .map(|p| p.error),
    );
    call.answer::<DeleteRecords, S>(response)
}

fn ask(call: &mut Call, finder: &mut Finder, asked: &DeleteRecordsPartition, part: u32) -> Result<(), ErrorCode> {
    let (partition, owner) = finder.find(asked.index)?;
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
