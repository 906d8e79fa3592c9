//! DescribeProducers (key 61, KIP-664): who writes to a partition, as far as it remembers.

use super::{Call, Finder, Merged, Scatter, Step};
use crate::api::call::{decode, place};
use crate::partition::request::{OwnerRequest, ProducersResult};
use crate::wire::control::describe_producers::{
    DescribeProducers, DescribeProducersResponse, ProducerState, ProducersPartition, ProducersTopic,
};
use crate::wire::error::ErrorCode;

/// A DescribeProducers that waits for owners.
pub(crate) type ProducersOp = Scatter<DescribeProducersResponse>;

impl Merged for DescribeProducersResponse {
    type Api = DescribeProducers;
    type Part = ProducersPartition;
    fn topic(&mut self, at: usize) -> Option<&mut Vec<ProducersPartition>> {
        self.topics.get_mut(at).map(|topic| &mut topic.partitions)
    }
    fn errors(&self) -> impl Iterator<Item = ErrorCode> {
        let partitions = self.topics.iter().flat_map(|topic| &topic.partitions);
        partitions.map(|part| part.error)
    }
}

pub(in crate::api) fn start(call: &mut Call, body: &[u8]) -> Step<ProducersOp> {
    let request = decode!(DescribeProducers, call, body);
    let mut op = ProducersOp::default();
    for topic in request.topics {
        let partitions = op.ask_topic(call, (&topic.name, &topic.partitions), ask, |index, error| {
            ProducersPartition {
                index: *index,
                error,
                ..Default::default()
            }
        });
        op.response.topics.push(ProducersTopic {
            name: topic.name,
            partitions,
        });
    }
    op.settle(call)
}

fn ask(call: &mut Call, finder: &mut Finder, index: &i32, part: u32) -> Result<(), ErrorCode> {
    let topic = finder.topic.as_ref().ok_or(ErrorCode::UnknownTopicOrPartition)?;
    let (partition, owner) = place(topic, *index)?;
    call.ask(owner, part, OwnerRequest::Producers(partition));
    Ok(())
}

pub(in crate::api) fn finish(
    call: &mut Call,
    op: ProducersOp,
    part: u32,
    result: ProducersResult,
) -> Step<ProducersOp> {
    op.finish(call, part, |slot| {
        slot.error = result.error;
        let state = |one: &crate::partition::producers::ActiveProducer| ProducerState {
            producer_id: one.producer_id,
            producer_epoch: i32::from(one.epoch),
            last_sequence: one.last_sequence,
            last_timestamp: one.last_append_ms,
            // Without transactions there is no coordinator and nothing open.
            coordinator_epoch: -1,
            txn_start_offset: -1,
        };
        slot.producers = result.producers.iter().map(state).collect();
    })
}
