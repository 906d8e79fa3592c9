//! Writes record batches: for the broker's own batches, for our clients, and for tests.
//!
//! Every attribute can be set, also to what a broker refuses, so that refusals can be tested.

use super::{BatchInfo, HEADER_LEN, LENGTH_PREFIX, patch_crc};
use crate::wire::compress::{Compression, CompressionError, compress};
use crate::wire::error::{ErrorCode, Refusal};
use crate::wire::record::Header;
use crate::wire::write::{put_varint, put_varlong, varlong_len};
use bytes::BufMut;

/// A batch under construction.
#[derive(Clone, Debug)]
pub struct BatchBuilder {
    base_offset: i64,
    leader_epoch: i32,
    attributes: i16,
    codec: Compression,
    producer: (i64, i16, i32),
    base_timestamp: Option<i64>,
    max_timestamp: i64,
    last_offset_delta: i32,
    record_count: i32,
    records: Vec<u8>,
}

impl Default for BatchBuilder {
    fn default() -> Self {
        BatchBuilder {
            base_offset: 0,
            leader_epoch: -1,
            attributes: 0,
            codec: Compression::None,
            producer: (-1, -1, -1),
            base_timestamp: None,
            max_timestamp: -1,
            last_offset_delta: -1,
            record_count: 0,
            records: Vec::new(),
        }
    }
}

impl BatchBuilder {
    /// An empty batch at offset 0, uncompressed, CreateTime, without a producer.
    pub fn new() -> Self {
        BatchBuilder::default()
    }
    /// First offset and leader epoch.
    pub fn at(mut self, base_offset: i64, leader_epoch: i32) -> Self {
        (self.base_offset, self.leader_epoch) = (base_offset, leader_epoch);
        self
    }
    /// Codec of the records.
    pub fn codec(mut self, codec: Compression) -> Self {
        self.codec = codec;
        self
    }
    /// Producer id, epoch and first sequence number.
    pub fn producer(mut self, id: i64, epoch: i16, base_sequence: i32) -> Self {
        self.producer = (id, epoch, base_sequence);
        self
    }
    /// Sets attribute bits beside the codec's.
    pub fn attributes(mut self, bits: i16) -> Self {
        self.attributes |= bits;
        self
    }

    /// Records so far.
    pub fn record_count(&self) -> i32 {
        self.record_count
    }

    /// Appends a record at the next offset. The first one's timestamp (milliseconds) is the base of the others.
    pub fn append(
        &mut self,
        timestamp: i64,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        headers: &[Header<'_>],
    ) -> &mut Self {
        let offset_delta = self.last_offset_delta + 1;
        self.append_at(offset_delta, timestamp, (key, value), headers)
    }

    /// Appends a record at a given offset delta, as a compacted batch has them.
    pub fn append_at(
        &mut self,
        offset_delta: i32,
        timestamp: i64,
        (key, value): (Option<&[u8]>, Option<&[u8]>),
        headers: &[Header<'_>],
    ) -> &mut Self {
        let base = *self.base_timestamp.get_or_insert(timestamp);
        let timestamp_delta = timestamp.wrapping_sub(base);
        let field = |bytes: Option<&[u8]>| varlong_len(length(bytes).into()) + bytes.map_or(0, <[u8]>::len);
        let size = 1
            + varlong_len(timestamp_delta)
            + varlong_len(offset_delta.into())
            + field(key)
            + field(value)
            + varlong_len(headers.len() as i64)
            + headers
                .iter()
                .map(|header| field(Some(header.key)) + field(header.value))
                .sum::<usize>();
        let out = &mut self.records;
        put_varint(out, size as i32);
        out.put_i8(0);
        put_varlong(out, timestamp_delta);
        put_varint(out, offset_delta);
        put_field(out, key);
        put_field(out, value);
        put_varint(out, headers.len() as i32);
        for header in headers {
            put_field(out, Some(header.key));
            put_field(out, header.value);
        }
        self.last_offset_delta = offset_delta;
        self.max_timestamp = self.max_timestamp.max(timestamp);
        self.record_count += 1;
        self
    }

    /// The finished batch.
    ///
    /// # Errors
    /// What the codec reports.
    pub fn build(&self) -> Result<Vec<u8>, CompressionError> {
        let (producer_id, producer_epoch, base_sequence) = self.producer;
        let info = BatchInfo {
            base_offset: self.base_offset,
            len: 0,
            partition_leader_epoch: self.leader_epoch,
            crc: 0,
            attributes: self.attributes | self.codec as i16,
            last_offset_delta: self.last_offset_delta.max(0),
            base_timestamp: self.base_timestamp.unwrap_or(-1),
            max_timestamp: self.max_timestamp,
            producer_id,
            producer_epoch,
            base_sequence,
            record_count: self.record_count,
        };
        Ok(assemble(&info, &compress(self.codec, &self.records)?))
    }
}

/// Length of a nullable field as it stands on the wire.
fn length(bytes: Option<&[u8]>) -> i32 {
    bytes.map_or(-1, |bytes| bytes.len() as i32)
}

fn put_field(out: &mut Vec<u8>, bytes: Option<&[u8]>) {
    put_varint(out, length(bytes));
    out.put_slice(bytes.unwrap_or_default());
}

/// Header fields of `info` (its length and checksum are computed) in front of `body`.
fn assemble(info: &BatchInfo, body: &[u8]) -> Vec<u8> {
    let mut batch = Vec::with_capacity(HEADER_LEN + body.len());
    batch.put_i64(info.base_offset);
    batch.put_i32((HEADER_LEN - LENGTH_PREFIX + body.len()) as i32);
    batch.put_i32(info.partition_leader_epoch);
    batch.put_i8(2);
    batch.put_u32(0);
    batch.put_i16(info.attributes);
    batch.put_i32(info.last_offset_delta);
    batch.put_i64(info.base_timestamp);
    batch.put_i64(info.max_timestamp);
    batch.put_i64(info.producer_id);
    batch.put_i16(info.producer_epoch);
    batch.put_i32(info.base_sequence);
    batch.put_i32(info.record_count);
    batch.put_slice(body);
    patch_crc(&mut batch);
    batch
}

/// The same batch with its records in another codec, as a topic's `compression.type` asks. Everything but codec, length and
/// checksum stays; the records are taken over byte for byte. Decompressed they may take `limit` bytes.
///
/// # Errors
/// CORRUPT_MESSAGE when the records cannot be decompressed, MESSAGE_TOO_LARGE when they exceed `limit`.
pub fn recompress(batch: &super::BatchView<'_>, codec: Compression, limit: usize) -> Result<Vec<u8>, Refusal> {
    repack(&batch.info(), codec, &batch.decompressed(limit)?)
}

/// As [`recompress`], for records that are decompressed already.
///
/// # Errors
/// UNKNOWN_SERVER_ERROR with what the codec reports.
pub fn repack(info: &BatchInfo, codec: Compression, records: &[u8]) -> Result<Vec<u8>, Refusal> {
    let body = compress(codec, records).map_err(|error| (ErrorCode::UnknownServerError, error.to_string()))?;
    let info = BatchInfo {
        attributes: (info.attributes & !7) | codec as i16,
        ..*info
    };
    Ok(assemble(&info, &body))
}
