//! Records of a stored or produced batch, decompressed when needed: the few rules that look inside a batch.

use crate::wire::batch::{BatchInfo, BatchView, HEADER_LEN, LENGTH_PREFIX, TimestampType, patch_crc};
use crate::wire::compress::{Compression, compress, decompress};
use crate::wire::record::Records;
use std::borrow::Cow;

/// A decompressed batch may be at most this many times its stored size, and at least the floor: a bound against bombs.
const EXPANSION_MAX: usize = 64;
const EXPANSION_FLOOR: usize = 8 << 20;

/// A record's place and key, without its payload.
pub(crate) struct RecordHead<'a> {
    /// Position in the batch, from 0.
    pub index: i32,
    pub offset: i64,
    pub timestamp: i64,
    pub key: Option<&'a [u8]>,
}

/// Visits the records of a whole batch until `visit` returns false. The error says what is wrong with the batch.
pub(crate) fn walk(batch: &[u8], mut visit: impl FnMut(RecordHead) -> bool) -> Result<(), String> {
    let (info, body) = unpack(batch)?;
    for (index, record) in Records::new(&body, info.record_count).enumerate() {
        let record = record.map_err(|fault| fault.to_string())?;
        let head = RecordHead {
            index: index as i32,
            offset: info.base_offset + i64::from(record.offset_delta),
            timestamp: timestamp(&info, record.timestamp_delta),
            key: record.key,
        };
        if !visit(head) {
            break;
        }
    }
    Ok(())
}

/// The batch's header and its records, decompressed.
fn unpack(batch: &[u8]) -> Result<(BatchInfo, Cow<'_, [u8]>), String> {
    let view = BatchView::parse(batch).map_err(|(_, why)| why)?;
    let info = view.info();
    let body = match info.codec() {
        None => return Err("the batch names an unknown compression codec".into()),
        Some(Compression::None) => Cow::Borrowed(view.body()),
        Some(codec) => {
            let limit = (view.body().len() * EXPANSION_MAX).max(EXPANSION_FLOOR);
            Cow::Owned(decompress(codec, view.body(), limit).map_err(|fault| fault.to_string())?)
        }
    };
    Ok((info, body))
}

/// The same batch with its records in another codec (`compression.type` of the topic). Its offsets and timestamps stay.
pub(crate) fn recompress(batch: &[u8], codec: Compression) -> Result<Vec<u8>, String> {
    let (info, body) = unpack(batch)?;
    let packed = compress(codec, &body).map_err(|fault| fault.to_string())?;
    let mut out = Vec::with_capacity(HEADER_LEN + packed.len());
    out.extend_from_slice(&batch[..HEADER_LEN]);
    out.extend_from_slice(&packed);
    let attributes = (info.attributes & !0x07) | codec as i16;
    let length = (out.len() - LENGTH_PREFIX) as i32;
    out[8..12].copy_from_slice(&length.to_be_bytes());
    out[21..23].copy_from_slice(&attributes.to_be_bytes());
    patch_crc(&mut out);
    Ok(out)
}

fn timestamp(info: &BatchInfo, delta: i64) -> i64 {
    match info.timestamp_type() {
        TimestampType::LogAppendTime => info.max_timestamp,
        TimestampType::CreateTime => info.base_timestamp.saturating_add(delta),
    }
}
