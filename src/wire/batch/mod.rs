//! The record batch v2 (magic 2): its 61-byte header, the checks of a produced batch, and the patches a broker makes.
//!
//! Base offset and partition leader epoch lie outside the checksum, so stamping them needs no new one; times do.
//! Record bytes are never touched. Must not know topics, logs or producer state.

mod builder;

pub use builder::{BatchBuilder, recompress, repack};

use crate::wire::compress::{Compression, CompressionError, decompress};
use crate::wire::error::{ErrorCode, Refusal};
use std::borrow::Cow;

/// Bytes of the batch header.
pub const HEADER_LEN: usize = 61;
/// Bytes in front of what `batch_length` counts: base offset and the length itself.
pub const LENGTH_PREFIX: usize = 12;
/// First byte that the checksum covers.
pub const CRC_START: usize = 21;

const LENGTH_AT: usize = 8;
const EPOCH_AT: usize = 12;
const MAGIC_AT: usize = 16;
const CRC_AT: usize = 17;
const ATTRIBUTES_AT: usize = 21;
const MAX_TIMESTAMP_AT: usize = 35;

/// Attribute bit: the broker set the timestamps.
pub const LOG_APPEND_TIME: i16 = 1 << 3;
/// Attribute bit: part of a transaction.
pub const TRANSACTIONAL: i16 = 1 << 4;
/// Attribute bit: a transaction marker.
pub const CONTROL: i16 = 1 << 5;
/// Attribute bit: the base timestamp is the time from which on tombstones may go (KIP-534). Deltas count from it as ever.
pub const DELETE_HORIZON: i16 = 1 << 6;

/// What a record timestamp means.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum TimestampType {
    /// Set by the producer.
    #[default]
    CreateTime,
    /// Set by the broker on append; all records of the batch carry `max_timestamp`.
    LogAppendTime,
}

/// The header of a batch, by value.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BatchInfo {
    /// First offset; in a produced batch whatever the client wrote.
    pub base_offset: i64,
    /// Whole size in bytes, header included.
    pub len: usize,
    /// Leader epoch the batch was stamped with; in a produced batch whatever the client wrote.
    pub partition_leader_epoch: i32,
    /// CRC-32C as stored; proven by [`BatchView::verify`] only.
    pub crc: u32,
    /// All attribute bits.
    pub attributes: i16,
    /// Last offset minus base offset.
    pub last_offset_delta: i32,
    /// Timestamp that the records' deltas count from, milliseconds.
    pub base_timestamp: i64,
    /// Largest record timestamp, milliseconds; the append time with LogAppendTime.
    pub max_timestamp: i64,
    /// Producer id, -1 = none.
    pub producer_id: i64,
    /// Producer epoch, -1 = none.
    pub producer_epoch: i16,
    /// Sequence number of the first record, -1 = none.
    pub base_sequence: i32,
    /// Records inside; less than `last_offset_delta + 1` after compaction.
    pub record_count: i32,
}

impl BatchInfo {
    /// Reads the header at the start of `bytes` without checking anything but its size, e.g. of a batch whose rest is not
    /// at hand. `None` when shorter than [`HEADER_LEN`].
    pub fn peek(bytes: &[u8]) -> Option<BatchInfo> {
        let header = bytes.first_chunk::<HEADER_LEN>()?;
        Some(BatchInfo {
            base_offset: i64_at(header, 0),
            len: usize::try_from(i32_at(header, LENGTH_AT)).unwrap_or(0) + LENGTH_PREFIX,
            partition_leader_epoch: i32_at(header, EPOCH_AT),
            crc: i32_at(header, CRC_AT) as u32,
            attributes: i16_at(header, ATTRIBUTES_AT),
            last_offset_delta: i32_at(header, 23),
            base_timestamp: i64_at(header, 27),
            max_timestamp: i64_at(header, MAX_TIMESTAMP_AT),
            producer_id: i64_at(header, 43),
            producer_epoch: i16_at(header, 51),
            base_sequence: i32_at(header, 53),
            record_count: i32_at(header, 57),
        })
    }

    /// The codec, `None` for a number without a meaning (never after [`BatchView::verify`]).
    pub fn codec(&self) -> Option<Compression> {
        Compression::of_attributes(self.attributes)
    }
    /// The codec; a number without a meaning counts as uncompressed.
    pub fn compression(&self) -> Compression {
        self.codec().unwrap_or_default()
    }
    /// What the timestamps mean.
    pub fn timestamp_type(&self) -> TimestampType {
        match self.attributes & LOG_APPEND_TIME {
            0 => TimestampType::CreateTime,
            _ => TimestampType::LogAppendTime,
        }
    }
    /// Part of a transaction.
    pub fn is_transactional(&self) -> bool {
        self.attributes & TRANSACTIONAL != 0
    }
    /// A control batch (transaction marker).
    pub fn is_control(&self) -> bool {
        self.attributes & CONTROL != 0
    }
    /// When compaction may drop the batch's tombstones, milliseconds, if that is fixed already (KIP-534).
    pub fn delete_horizon(&self) -> Option<i64> {
        (self.attributes & DELETE_HORIZON != 0).then_some(self.base_timestamp)
    }
    /// Written by an idempotent producer.
    pub fn has_producer(&self) -> bool {
        self.producer_id >= 0
    }
    /// Offset of the last record.
    pub fn last_offset(&self) -> i64 {
        self.base_offset.wrapping_add(self.last_offset_delta.into())
    }
    /// Timestamp of a record, milliseconds, from its delta; with LogAppendTime all records have the batch's.
    pub fn record_timestamp(&self, delta: i64) -> i64 {
        match self.timestamp_type() {
            TimestampType::CreateTime => self.base_timestamp.wrapping_add(delta),
            TimestampType::LogAppendTime => self.max_timestamp,
        }
    }
    /// Sequence number of the last record; wraps from `i32::MAX` to 0 as in Kafka (`DefaultRecordBatch`). -1 = none.
    pub fn last_sequence(&self) -> i32 {
        match self.base_sequence {
            base if base < 0 => -1,
            base => (i64::from(base) + i64::from(self.last_offset_delta)).rem_euclid(1 << 31) as i32,
        }
    }
}

/// Borrowed bytes of one whole batch.
#[derive(Clone, Copy, Debug)]
pub struct BatchView<'a> {
    bytes: &'a [u8],
    info: BatchInfo,
}

impl<'a> BatchView<'a> {
    /// Takes the `records` field of a Produce request: exactly one batch with magic 2 that fills the slice.
    ///
    /// # Errors
    /// CORRUPT_MESSAGE for inconsistent lengths and formats that do not exist, INVALID_RECORD for no batch, more than one,
    /// or an older format (as `ProduceRequest.validateRecords`).
    pub fn parse(bytes: &'a [u8]) -> Result<BatchView<'a>, Refusal> {
        if bytes.is_empty() {
            return invalid("no record batch; each partition takes exactly one");
        }
        let view = BatchView::first_of(bytes)?;
        match bytes.len() - view.bytes.len() {
            0 => Ok(view),
            more => invalid(format!(
                "{more} bytes follow the record batch; each partition takes exactly one batch"
            )),
        }
    }

    /// The batch at the start of `bytes`, which may go on behind it.
    ///
    /// # Errors
    /// CORRUPT_MESSAGE when it is cut short, its length is impossible or its format does not exist (as
    /// `ByteBufferLogInputStream`), INVALID_RECORD for an older format.
    pub fn first_of(bytes: &'a [u8]) -> Result<BatchView<'a>, Refusal> {
        let Some(start) = bytes.first_chunk::<{ MAGIC_AT + 1 }>() else {
            return corrupt(format!("{} bytes are no record batch", bytes.len()));
        };
        let length = i32_at(start, LENGTH_AT);
        let whole = usize::try_from(length).unwrap_or(0) + LENGTH_PREFIX;
        if whole > bytes.len() || length <= 0 {
            let have = bytes.len() - LENGTH_PREFIX;
            return corrupt(format!("the batch declares {length} bytes, {have} are there"));
        }
        // The checksum does not cover this byte: what names no format was damaged, and is whole when it is sent again.
        match start[MAGIC_AT] {
            2 => {}
            old @ (0 | 1) => {
                return invalid(format!(
                    "record format {old} is not supported: produce with format 2 (Kafka 0.11 or newer)"
                ));
            }
            unknown => {
                return corrupt(format!(
                    "there is no record format {unknown}: the batch was damaged on its way"
                ));
            }
        }
        let bytes = bytes.get(..whole).unwrap_or_default();
        match BatchInfo::peek(bytes) {
            Some(info) => Ok(BatchView { bytes, info }),
            None => corrupt(format!("a batch of {whole} bytes is shorter than its header")),
        }
    }

    /// The batch, header included.
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// The records behind the header, compressed if the attributes say so.
    pub fn body(&self) -> &'a [u8] {
        self.bytes.get(HEADER_LEN..).unwrap_or_default()
    }

    /// The records, borrowed when they are not compressed. They may take `limit` bytes.
    ///
    /// # Errors
    /// CORRUPT_MESSAGE when they cannot be decompressed, MESSAGE_TOO_LARGE when they exceed `limit`.
    pub fn decompressed(&self, limit: usize) -> Result<Cow<'a, [u8]>, Refusal> {
        match self.info().compression() {
            Compression::None => Ok(self.body().into()),
            codec => match decompress(codec, self.body(), limit) {
                Ok(records) => Ok(records.into()),
                Err(error @ CompressionError::TooLarge { .. }) => Err((ErrorCode::MessageTooLarge, error.to_string())),
                Err(error) => Err((ErrorCode::CorruptMessage, error.to_string())),
            },
        }
    }

    /// The header, unproven.
    pub fn info(&self) -> BatchInfo {
        self.info
    }

    /// Computes the checksum and compares it with the stored one.
    pub fn crc_matches(&self) -> bool {
        crc32c::crc32c(self.bytes.get(CRC_START..).unwrap_or_default()) == self.info.crc
    }

    /// The checks of a produced batch that need no look at the records; the checksum first, because nothing else is
    /// believable without it (`LogValidator.validateBatch`). The size limit is the topic's and not checked.
    ///
    /// # Errors
    /// CORRUPT_MESSAGE for a wrong checksum; INVALID_RECORD for a control batch, record counts that disagree or half a
    /// producer; UNSUPPORTED_COMPRESSION_TYPE for an unknown codec.
    pub fn verify(&self) -> Result<BatchInfo, Refusal> {
        let info = self.info;
        let crc = crc32c::crc32c(self.bytes.get(CRC_START..).unwrap_or_default());
        if crc != info.crc {
            return corrupt(format!(
                "checksum {crc:08x} instead of {:08x}: the batch was damaged on its way",
                info.crc
            ));
        }
        if info.codec().is_none() {
            let number = info.attributes & 7;
            let text = format!("compression codec {number} does not exist; known are 0 to 4");
            return Err((ErrorCode::UnsupportedCompressionType, text));
        }
        if info.is_control() {
            return invalid("clients may not write control batches");
        }
        if info.record_count <= 0 || info.last_offset_delta != info.record_count - 1 {
            return invalid(format!(
                "{} records, but the last offset delta is {}",
                info.record_count, info.last_offset_delta
            ));
        }
        verify_producer(&info)?;
        Ok(info)
    }
}

/// A producer id comes with an epoch and a sequence; a transactional batch needs all three. Without an id the other two
/// mean nothing (`LogValidator.validateBatch`): franz-go numbers its batches then, too.
fn verify_producer(info: &BatchInfo) -> Result<(), Refusal> {
    let complete = info.producer_id >= 0 && info.producer_epoch >= 0 && info.base_sequence >= 0;
    if complete || (info.producer_id < 0 && !info.is_transactional()) {
        return Ok(());
    }
    invalid(format!(
        "producer id {}, epoch {} and sequence {} do not go together{}",
        info.producer_id,
        info.producer_epoch,
        info.base_sequence,
        if info.is_transactional() {
            " in a transaction"
        } else {
            ""
        }
    ))
}

fn invalid<T>(text: impl Into<String>) -> Result<T, Refusal> {
    Err((ErrorCode::InvalidRecord, text.into()))
}

fn corrupt<T>(text: impl Into<String>) -> Result<T, Refusal> {
    Err((ErrorCode::CorruptMessage, text.into()))
}

/// The batches in a buffer, one after the other, as a Fetch response or a segment holds them. A batch cut short at the end
/// is left out, as consumers do; an impossible one ends the iteration with an error.
pub fn batches(bytes: &[u8]) -> Batches<'_> {
    Batches { rest: bytes }
}

/// Iterator of [`batches`].
#[derive(Clone, Debug)]
pub struct Batches<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for Batches<'a> {
    type Item = Result<BatchView<'a>, Refusal>;

    fn next(&mut self) -> Option<Self::Item> {
        let start = self.rest.first_chunk::<{ MAGIC_AT + 1 }>()?;
        let declared = i64::from(i32_at(start, LENGTH_AT)) + LENGTH_PREFIX as i64;
        if declared > self.rest.len() as i64 {
            self.rest = &[];
            return None;
        }
        let batch = BatchView::first_of(self.rest);
        self.rest = match &batch {
            Ok(view) => self.rest.get(view.bytes.len()..).unwrap_or_default(),
            Err(_) => &[],
        };
        Some(batch)
    }
}

/// Stamps a batch with its place in the log. Both fields lie outside the checksum.
///
/// # Panics
/// When `batch` is shorter than a batch header: a bug of the caller.
pub fn patch_base_offset_and_epoch(batch: &mut [u8], base_offset: i64, leader_epoch: i32) {
    assert!(batch.len() >= HEADER_LEN, "a batch has a whole header");
    batch[..8].copy_from_slice(&base_offset.to_be_bytes());
    batch[EPOCH_AT..EPOCH_AT + 4].copy_from_slice(&leader_epoch.to_be_bytes());
}

/// Makes a batch one of LogAppendTime: sets the attribute bit and `max_timestamp` (milliseconds), computes a new checksum.
///
/// # Panics
/// When `batch` is shorter than a batch header: a bug of the caller.
pub fn patch_log_append_time(batch: &mut [u8], append_time_ms: i64) {
    patch_times(batch, LOG_APPEND_TIME, append_time_ms);
}

/// Makes a batch one of CreateTime whose largest record time (milliseconds) is this; computes a new checksum.
///
/// # Panics
/// When `batch` is shorter than a batch header: a bug of the caller.
pub fn patch_create_time(batch: &mut [u8], max_timestamp_ms: i64) {
    patch_times(batch, 0, max_timestamp_ms);
}

fn patch_times(batch: &mut [u8], append_time_bit: i16, max_timestamp_ms: i64) {
    assert!(batch.len() >= HEADER_LEN, "a batch has a whole header");
    let attributes = i16_at(batch, ATTRIBUTES_AT) & !LOG_APPEND_TIME | append_time_bit;
    batch[ATTRIBUTES_AT..ATTRIBUTES_AT + 2].copy_from_slice(&attributes.to_be_bytes());
    batch[MAX_TIMESTAMP_AT..MAX_TIMESTAMP_AT + 8].copy_from_slice(&max_timestamp_ms.to_be_bytes());
    patch_crc(batch);
}

/// Computes and stores the checksum of a batch.
///
/// # Panics
/// When `batch` is shorter than a batch header: a bug of the caller.
pub fn patch_crc(batch: &mut [u8]) {
    assert!(batch.len() >= HEADER_LEN, "a batch has a whole header");
    let crc = crc32c::crc32c(&batch[CRC_START..]);
    batch[CRC_AT..CRC_AT + 4].copy_from_slice(&crc.to_be_bytes());
}

// The callers hold at least the bytes they ask for; the checks above say so.
fn i16_at(bytes: &[u8], at: usize) -> i16 {
    i16::from_be_bytes([bytes[at], bytes[at + 1]])
}

fn i32_at(bytes: &[u8], at: usize) -> i32 {
    i32::from_be_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

fn i64_at(bytes: &[u8], at: usize) -> i64 {
    i64::from(i32_at(bytes, at)) << 32 | i64::from(i32_at(bytes, at + 4) as u32)
}

#[cfg(test)]
mod tests;
