//! Records of a stored or produced batch, decompressed when needed: the few rules that look inside a batch.

use crate::wire::batch::{BatchInfo, BatchView, TimestampType};
use crate::wire::record::Records;

/// A decompressed batch may be at most this many times its stored size, and at least the floor: a bound against bombs.
const EXPANSION_MAX: usize = 64;
const EXPANSION_FLOOR: usize = 8 << 20;

/// A record's place, without its payload.
pub(crate) struct RecordHead {
    pub offset: i64,
    pub timestamp: i64,
}

/// Visits the records of a whole batch until `visit` returns false. The error says what is wrong with the batch.
pub(crate) fn walk(batch: &[u8], mut visit: impl FnMut(RecordHead) -> bool) -> Result<(), String> {
    let view = BatchView::parse(batch).map_err(|(_, why)| why)?;
    let info = view.info();
    let body = view
        .decompressed(expansion_limit(view.body().len()))
        .map_err(|(_, why)| why)?;
    for record in Records::new(&body, info.record_count) {
        let record = record.map_err(|fault| fault.to_string())?;
        let head = RecordHead {
            offset: info.base_offset + i64::from(record.offset_delta),
            timestamp: timestamp(&info, record.timestamp_delta),
        };
        if !visit(head) {
            break;
        }
    }
    Ok(())
}

/// Most bytes that `len` compressed bytes may become.
pub(crate) fn expansion_limit(len: usize) -> usize {
    (len * EXPANSION_MAX).max(EXPANSION_FLOOR)
}

fn timestamp(info: &BatchInfo, delta: i64) -> i64 {
    match info.timestamp_type() {
        TimestampType::LogAppendTime => info.max_timestamp,
        TimestampType::CreateTime => info.base_timestamp.saturating_add(delta),
    }
}
