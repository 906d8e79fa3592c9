//! What can be asked of the shard that owns a partition, and what it answers.
//!
//! The origin (the shard of the client's connection) splits a client request by partition and sends each part to its owner;
//! the owner never asks the origin anything. A request to the own shard takes the same path.

use crate::base::ids::{PartitionId, ShardId};
use crate::base::slab::SlabKey;
use crate::partition::producers::ActiveProducer;
use crate::wire::error::ErrorCode;
use bytes::Bytes;

/// Which part of a shard waits for an answer.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Desk {
    /// A client's request.
    Edge,
    /// A group coordinator that reads or writes its log.
    Coordinator,
}

/// Where an answer goes: an operation of a shard and which part of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ReplyTo {
    /// The shard that waits.
    pub shard: ShardId,
    /// Who waits there.
    pub desk: Desk,
    /// The operation there.
    pub op: SlabKey,
    /// Which part of the operation (the origin's own numbering).
    pub part: u32,
}

/// A question to the owner of a partition.
#[derive(Debug)]
pub enum OwnerRequest {
    /// Append one record batch.
    Produce(ProducePart),
    /// Read from some partitions, all owned by the addressed shard.
    Fetch(FetchParts),
    /// The origin no longer waits for a wake-up of its `Fetch` with the same [`ReplyTo`]. Not answered.
    FetchForget,
    /// An offset by timestamp or special value.
    ListOffset(ListOffsetPart),
    /// The end offset of a leader epoch.
    EpochEnd(EpochEndPart),
    /// Move the log start.
    DeleteRecords(DeleteRecordsPart),
    /// How large partitions are, all owned by the addressed shard (it answers also for none).
    LogSizes(Vec<PartitionId>),
    /// Who writes to a partition.
    Producers(PartitionId),
}

/// An answer of the owner. Each request but `FetchForget` is answered once; a `Fetch` that watches may be followed by one `FetchWake`.
#[derive(Debug)]
pub enum OwnerReply {
    /// To `Produce`: when durable, or at once on errors.
    Produce(ProduceResult),
    /// To `Fetch`, part for part in the order asked.
    Fetch(Vec<FetchResult>),
    /// One of the watched partitions can give more (or changed state): ask again. Sent at most once per watch.
    FetchWake,
    /// To `ListOffset`.
    ListOffset(ListOffsetResult),
    /// To `EpochEnd`.
    EpochEnd(EpochEndResult),
    /// To `DeleteRecords`: when durable.
    DeleteRecords(DeleteRecordsResult),
    /// To `LogSizes`.
    LogSizes(LogSizes),
    /// To `Producers`.
    Producers(ProducersResult),
}

/// One partition's part of a Produce request.
#[derive(Debug)]
pub struct ProducePart {
    /// Where to append.
    pub partition: PartitionId,
    /// The client's `records` field: exactly one v2 batch, unverified.
    pub records: Bytes,
    /// Request version, for rules that depend on it (zstd from v7).
    pub version: i16,
    /// False for acks=0: the answer (which the origin drops unless it is an error) may come when the batch is staged.
    pub wants_ack: bool,
}

/// How an append ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ProduceResult {
    /// `None` on success.
    pub error: ErrorCode,
    /// First offset given; -1 on errors. A duplicate answers the original's.
    pub base_offset: i64,
    /// Broker's timestamp with LogAppendTime, else -1.
    pub log_append_time_ms: i64,
    /// First offset of the log; -1 on errors.
    pub log_start_offset: i64,
    /// Records at fault (index in the batch, message), KIP-467.
    pub record_errors: Vec<(i32, String)>,
    /// For humans.
    pub error_message: Option<String>,
}

impl ProduceResult {
    /// A refusal.
    pub fn refused(error: ErrorCode, message: impl Into<String>) -> Self {
        ProduceResult {
            error,
            base_offset: -1,
            log_append_time_ms: -1,
            log_start_offset: -1,
            record_errors: Vec::new(),
            error_message: Some(message.into()),
        }
    }
}

/// A Fetch request's partitions on one shard.
#[derive(Debug)]
pub struct FetchParts {
    /// In the order of preference; the answer has the same order.
    pub parts: Vec<FetchPart>,
    /// Bytes for all parts together; the first batch of the first part with data may exceed it (KIP-74) unless `allow_first_over` is false.
    pub max_bytes: u32,
    /// Whether one complete batch may exceed `max_bytes` (the origin has no data yet).
    pub allow_first_over: bool,
    /// When the answer holds fewer bytes than this and no error, the owner remembers the parts and sends one `FetchWake` once
    /// at least (about) this much is there, or a part fails. 0 = do not watch.
    pub watch_min_bytes: u32,
    /// read_committed instead of read_uncommitted.
    pub read_committed: bool,
}

/// One partition to read.
#[derive(Clone, Debug)]
pub struct FetchPart {
    /// Which.
    pub partition: PartitionId,
    /// First offset wanted; the whole batch that holds it is returned.
    pub fetch_offset: i64,
    /// Bytes for this partition.
    pub max_bytes: u32,
    /// The leader epoch the client believes in, -1 = no check (KIP-320).
    pub current_leader_epoch: i32,
    /// Epoch of the last record the client has, -1 = unknown (KIP-595 divergence check).
    pub last_fetched_epoch: i32,
}

/// What a partition gave.
#[derive(Clone, Debug)]
pub struct FetchResult {
    /// `None` when fine.
    pub error: ErrorCode,
    /// Exclusive end of what is committed; -1 with OFFSET_OUT_OF_RANGE and unknown partitions.
    pub high_watermark: i64,
    /// Exclusive end for read_committed.
    pub last_stable_offset: i64,
    /// First offset of the log.
    pub log_start_offset: i64,
    /// Whole batches in offset order.
    pub batches: Vec<Bytes>,
    /// Aborted transactions (producer id, first offset) for read_committed; `None` for read_uncommitted.
    pub aborted: Option<Vec<(i64, i64)>>,
    /// (epoch, end offset) when the client's last epoch diverges.
    pub diverging_epoch: Option<(i32, i64)>,
}

/// Which offset.
#[derive(Clone, Debug)]
pub struct ListOffsetPart {
    /// Partition.
    pub partition: PartitionId,
    /// Milliseconds, or -1 latest, -2 earliest, -3 max timestamp, -4 earliest local, -5 latest tiered, -6 earliest pending upload.
    pub timestamp: i64,
    /// KIP-320 check, -1 = none.
    pub current_leader_epoch: i32,
    /// read_committed: latest means the last stable offset.
    pub read_committed: bool,
}

/// The offset.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ListOffsetResult {
    /// `None` when fine (also when nothing was found).
    pub error: ErrorCode,
    /// The record's own timestamp; -1 for special values and when nothing was found.
    pub timestamp: i64,
    /// The offset, -1 when nothing was found.
    pub offset: i64,
    /// Epoch of the returned record, the current one for latest, -1 when empty.
    pub leader_epoch: i32,
}

/// OffsetForLeaderEpoch for one partition.
#[derive(Clone, Debug)]
pub struct EpochEndPart {
    /// Partition.
    pub partition: PartitionId,
    /// KIP-320 check, -1 = none.
    pub current_leader_epoch: i32,
    /// The epoch asked about.
    pub leader_epoch: i32,
}

/// The answer: end of the largest epoch <= the one asked, or -1/-1.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct EpochEndResult {
    /// `None` when fine.
    pub error: ErrorCode,
    /// The epoch found.
    pub leader_epoch: i32,
    /// Exclusive end of it.
    pub end_offset: i64,
}

/// DeleteRecords for one partition.
#[derive(Clone, Debug)]
pub struct DeleteRecordsPart {
    /// Partition.
    pub partition: PartitionId,
    /// New log start; -1 = the high watermark.
    pub before_offset: i64,
}

/// The new low watermark.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DeleteRecordsResult {
    /// `None` when fine.
    pub error: ErrorCode,
    /// Log start offset; -1 on errors.
    pub low_watermark: i64,
}

/// How large partitions are.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LogSizes {
    /// Bytes, in the order asked; `None` for a partition that is not here.
    pub sizes: Vec<Option<i64>>,
    /// Free bytes and size of the file system, as far as known.
    pub space: Option<(u64, u64)>,
}

/// Who writes to a partition.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ProducersResult {
    /// `None` when fine.
    pub error: ErrorCode,
    /// By id.
    pub producers: Vec<ActiveProducer>,
}
