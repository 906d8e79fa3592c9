//! Group records as record batches of `__consumer_offsets`, in Kafka's own formats.

use crate::wire::batch::{BatchBuilder, BatchView};
use crate::wire::group::records::GroupRecord;
use crate::wire::record::Records;
use bytes::Bytes;

/// Bytes of records after which a batch is closed. One record may exceed it.
const BATCH_BYTES: usize = 256 << 10;
/// A stored batch decompressed takes at most this much; ours are not compressed.
const EXPANDED_BYTES_MAX: usize = 64 << 20;

/// The records as batches, in order.
pub(super) fn encode(records: &[GroupRecord], now_ms: i64) -> Vec<Bytes> {
    let mut batches = Vec::new();
    let mut builder = BatchBuilder::new();
    let mut bytes = 0;
    let mut close = |builder: &mut BatchBuilder| {
        let full = std::mem::take(builder);
        // Uncompressed: there is no codec that could fail.
        batches.extend(full.build().map(Bytes::from));
    };
    for record in records {
        let (key, value) = record.encode();
        bytes += key.len() + value.as_ref().map_or(0, Bytes::len);
        builder.append(now_ms, Some(&key), value.as_deref(), &[]);
        if bytes >= BATCH_BYTES {
            close(&mut builder);
            bytes = 0;
        }
    }
    if builder.record_count() > 0 {
        close(&mut builder);
    }
    batches
}

/// Visits the records of a stored batch and returns the offset behind it. What cannot be read is named in the log and left
/// out: one bad record must not take all groups of the partition away.
pub(super) fn decode(batch: &[u8], mut visit: impl FnMut(GroupRecord)) -> Result<i64, String> {
    let view = BatchView::parse(batch).map_err(|(_, why)| why)?;
    let info = view.info();
    let end = info.base_offset + i64::from(info.last_offset_delta) + 1;
    if info.is_control() {
        return Ok(end);
    }
    let body = view.decompressed(EXPANDED_BYTES_MAX).map_err(|(_, why)| why)?;
    for record in Records::new(&body, info.record_count) {
        let record = record.map_err(|error| error.to_string())?;
        let offset = info.base_offset + i64::from(record.offset_delta);
        match record.key.map(|key| GroupRecord::decode(key, record.value)) {
            Some(Ok(Some(known))) => visit(known),
            Some(Ok(None)) => tracing::debug!(offset, "a group record of an unknown type is skipped"),
            Some(Err(error)) => tracing::error!(offset, %error, "a group record cannot be read and is skipped"),
            None => tracing::error!(offset, "a group record without a key is skipped"),
        }
    }
    Ok(end)
}
