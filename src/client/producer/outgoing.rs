//! What waits to be sent and what is on its way: buffers, partition choice, encoded batches.

use crate::client::Result;
use crate::client::batch::{self, Sequence};
use crate::client::cluster::Topic;
use crate::client::error::{ClientError, Refusal};
use crate::client::partitioner::partition_of;
use crate::client::record::Record;
use crate::wire::compress::Compression;
use bytes::Bytes;
use kafka_protocol::error::ResponseError;
use std::collections::BTreeMap;

/// What all batches of one flush have in common.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stamp {
    pub(super) codec: Compression,
    pub(super) identity: Option<(i64, i16)>,
    pub(super) now_ms: i64,
}

/// A batch on its way: kept encoded, so that a retry sends the same bytes.
#[derive(Debug)]
pub(super) struct Outgoing {
    pub(super) topic: String,
    pub(super) partition: i32,
    pub(super) records: Vec<Record>,
    pub(super) encoded: Bytes,
}

#[derive(Debug)]
pub(super) struct TopicState {
    pub(super) topic: Topic,
    /// Next partition for records without a key.
    pub(super) turn: usize,
    pub(super) buffers: BTreeMap<i32, Buffer>,
    pub(super) sequences: BTreeMap<i32, i32>,
}

#[derive(Debug, Default)]
pub(super) struct Buffer {
    pub(super) records: Vec<Record>,
    pub(super) bytes: usize,
}

pub(super) fn refused(one: &Outgoing, refusal: Refusal) -> ClientError {
    ClientError::refused(format!("write to {} partition {}", one.topic, one.partition), refusal)
}

pub(super) fn choose(state: &TopicState, partition: Option<i32>, key: Option<&[u8]>) -> Result<i32> {
    let partitions = &state.topic.partitions;
    let index = match (partition, key) {
        (Some(wanted), _) => partitions.iter().position(|candidate| candidate.index == wanted),
        (None, Some(key)) => Some(partition_of(key, partitions.len())),
        (None, None) => Some(state.turn % partitions.len().max(1)),
    };
    index
        .and_then(|index| partitions.get(index))
        .map(|found| found.index)
        .ok_or_else(|| {
            let message = format!(
                "{} has {} partitions, numbered from 0",
                state.topic.name,
                partitions.len()
            );
            let refusal = Refusal {
                code: ResponseError::UnknownTopicOrPartition.code(),
                message: Some(message),
            };
            ClientError::refused(
                format!("write to {} partition {}", state.topic.name, partition.unwrap_or(-1)),
                refusal,
            )
        })
}

pub(super) fn encode(
    topic: &str,
    partition: i32,
    records: Vec<Record>,
    stamp: Stamp,
    next_sequence: &mut i32,
) -> Result<Outgoing> {
    let sequence = stamp.identity.map(|(producer_id, producer_epoch)| Sequence {
        producer_id,
        producer_epoch,
        first: *next_sequence,
    });
    // Sequence numbers wrap from i32::MAX to 0.
    *next_sequence = (i64::from(*next_sequence) + records.len() as i64).rem_euclid(1 << 31) as i32;
    let encoded =
        batch::encode(&records, stamp.codec, sequence, stamp.now_ms).map_err(|cause| ClientError::Records {
            place: format!("records for {topic} partition {partition}"),
            cause,
        })?;
    Ok(Outgoing {
        topic: topic.to_string(),
        partition,
        records,
        encoded,
    })
}

/// The first sequence number inside an encoded batch.
pub(super) fn batch_sequence(encoded: &[u8]) -> i32 {
    crate::wire::batch::BatchInfo::peek(encoded).map_or(0, |info| info.base_sequence.max(0))
}
