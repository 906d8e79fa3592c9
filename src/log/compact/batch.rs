//! What stays of one stored batch. The rules are Kafka's (`Cleaner.shouldRetainRecord`, `MemoryRecords.filterTo`, KIP-534).

use super::map::OffsetMap;
use crate::base::planted::{self, Planted};
use crate::wire::batch::{self, BatchInfo, BatchView, DELETE_HORIZON, TimestampType};
use crate::wire::compress::Compression;
use crate::wire::read::Reader;
use crate::wire::record::{Record, Records};
use crate::wire::write::{put_varint, put_varlong, varlong_len};
use bytes::Bytes;

/// Most bytes that a stored batch may decompress to; produce has bounded it before.
const BODY_MAX: usize = 1 << 30;
/// The base timestamp of a batch without records.
const NO_TIMESTAMP: i64 = -1;

/// What stays of a batch.
#[derive(Debug)]
pub(super) struct Kept {
    /// The batch as it is stored from now on; `None` = nothing is left.
    pub batch: Option<Bytes>,
    /// Largest timestamp of its records, `None` without any.
    pub max_timestamp: Option<i64>,
    /// Records before.
    pub records_in: u64,
    /// Records after.
    pub records_out: u64,
    /// Records dropped for want of a key.
    pub keyless: u64,
}

/// What decides about records.
pub(super) struct Rules<'a> {
    pub map: &'a OffsetMap,
    /// Exclusive end of the offsets that the map knows, or an earlier one knew: what lies behind stays as it is.
    pub map_end: i64,
    pub now_ms: i64,
    /// When tombstones seen for the first time may go.
    pub new_horizon_ms: i64,
}

/// What happens to a record.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fate {
    Stays,
    StaysAsTombstone,
    Superseded,
    Keyless,
}

/// Visits the keys of a batch with their offsets. The error says what is wrong with the batch.
pub(super) fn visit_keys(stored: &Bytes, mut visit: impl FnMut(&[u8], i64)) -> Result<(), String> {
    let view = BatchView::parse(stored).map_err(|(_, why)| why)?;
    let info = view.info();
    if info.is_control() {
        return Ok(());
    }
    let body = view.decompressed(BODY_MAX).map_err(|(_, why)| why)?;
    for record in Records::new(&body, info.record_count) {
        let record = record.map_err(|fault| fault.to_string())?;
        if let Some(key) = record.key {
            visit(key, info.base_offset + i64::from(record.offset_delta));
        }
    }
    Ok(())
}

impl Rules<'_> {
    fn fate(&self, info: &BatchInfo, record: &Record) -> Fate {
        let offset = info.base_offset + i64::from(record.offset_delta);
        if offset >= self.map_end {
            return Fate::Stays;
        }
        let Some(key) = record.key else { return Fate::Keyless };
        if self.map.get(key).is_some_and(|last| last > offset) != planted::is(Planted::FirstValueKept) {
            return Fate::Superseded;
        }
        let may_go = match info.delete_horizon() {
            None => planted::is(Planted::TombstoneDroppedEarly),
            Some(horizon) => self.now_ms >= horizon,
        };
        match (record.value, may_go) {
            (Some(_), _) => Fate::Stays,
            (None, false) => Fate::StaysAsTombstone,
            (None, true) => Fate::Superseded,
        }
    }

    /// What stays of a batch. With `keep_header` its header stays even without records: a producer's last batch keeps its sequence
    /// numbers, and the last batch of a stretch marks its end.
    pub fn apply(&self, stored: &Bytes, keep_header: bool) -> Result<Kept, String> {
        let view = BatchView::parse(stored).map_err(|(_, why)| why)?;
        let info = view.info();
        let whole = |records: u64, max_timestamp| Kept {
            batch: Some(stored.clone()),
            max_timestamp,
            records_in: records,
            records_out: records,
            keyless: 0,
        };
        if info.is_control() || info.base_offset >= self.map_end {
            return Ok(whole(info.record_count.max(0) as u64, Some(info.max_timestamp)));
        }
        let body = view.decompressed(BODY_MAX).map_err(|(_, why)| why)?;
        let sorted = self.sort(&info, &body)?;
        let batch = if sorted.stays.is_empty() {
            match (keep_header, info.record_count) {
                (false, _) => None,
                (true, 0) => Some(stored.clone()),
                (true, _) => Some(empty(&info)?),
            }
        } else if sorted.stays.len() == sorted.records_in as usize && sorted.horizon == info.delete_horizon() {
            return Ok(whole(sorted.records_in, Some(sorted.max_timestamp)));
        } else {
            Some(rebuild(&info, &sorted)?)
        };
        Ok(Kept {
            batch,
            max_timestamp: (!sorted.stays.is_empty()).then_some(sorted.max_timestamp),
            records_in: sorted.records_in,
            records_out: sorted.stays.len() as u64,
            keyless: sorted.keyless,
        })
    }

    fn sort<'b>(&self, info: &BatchInfo, body: &'b [u8]) -> Result<Sorted<'b>, String> {
        let mut sorted = Sorted {
            stays: Vec::new(),
            horizon: info.delete_horizon(),
            max_timestamp: i64::MIN,
            records_in: 0,
            keyless: 0,
        };
        let mut records = Records::new(body, info.record_count);
        loop {
            let start = body.len() - records.bytes_left();
            let Some(record) = records.next() else {
                return Ok(sorted);
            };
            let record = record.map_err(|fault| fault.to_string())?;
            let end = body.len() - records.bytes_left();
            sorted.records_in += 1;
            match self.fate(info, &record) {
                Fate::Superseded => continue,
                Fate::Keyless => {
                    sorted.keyless += 1;
                    continue;
                }
                Fate::StaysAsTombstone => {
                    sorted.horizon.get_or_insert(self.new_horizon_ms);
                }
                Fate::Stays => {}
            }
            let timestamp = info.record_timestamp(record.timestamp_delta);
            sorted.max_timestamp = sorted.max_timestamp.max(timestamp);
            sorted.stays.push(body.get(start..end).unwrap_or_default());
        }
    }
}

/// The records of a batch that stay, each as its bytes.
struct Sorted<'b> {
    stays: Vec<&'b [u8]>,
    horizon: Option<i64>,
    max_timestamp: i64,
    records_in: u64,
    keyless: u64,
}

/// The header alone, as Kafka keeps it (`DefaultRecordBatch.writeEmptyHeader`).
fn empty(info: &BatchInfo) -> Result<Bytes, String> {
    let header = BatchInfo {
        attributes: info.attributes & !DELETE_HORIZON,
        base_timestamp: NO_TIMESTAMP,
        record_count: 0,
        ..*info
    };
    pack(&header, Compression::None, &[])
}

/// The batch with fewer records, or with a time from which on its tombstones may go. Offsets and sequence numbers stay.
fn rebuild(info: &BatchInfo, sorted: &Sorted) -> Result<Bytes, String> {
    let base_timestamp = sorted.horizon.unwrap_or(info.base_timestamp);
    let horizon_bit = if sorted.horizon.is_some() { DELETE_HORIZON } else { 0 };
    let header = BatchInfo {
        attributes: info.attributes | horizon_bit,
        base_timestamp,
        max_timestamp: match info.timestamp_type() {
            TimestampType::CreateTime => sorted.max_timestamp,
            TimestampType::LogAppendTime => info.max_timestamp,
        },
        record_count: sorted.stays.len() as i32,
        ..*info
    };
    let mut body = Vec::with_capacity(sorted.stays.iter().map(|bytes| bytes.len() + 8).sum());
    let shift = info.base_timestamp.wrapping_sub(base_timestamp);
    for record in &sorted.stays {
        match shift {
            0 => body.extend_from_slice(record),
            shift => put_shifted(&mut body, record, shift)?,
        }
    }
    pack(&header, info.compression(), &body)
}

/// A record whose time counts from another base.
fn put_shifted(body: &mut Vec<u8>, record: &[u8], shift: i64) -> Result<(), String> {
    let mut reader = Reader::new(record);
    let mut read = || {
        reader.varint()?;
        Ok((reader.i8()?, reader.varlong()?, reader.rest()))
    };
    let (attributes, delta, rest) = read().map_err(|fault: crate::wire::error::DecodeError| fault.to_string())?;
    let delta = delta.wrapping_add(shift);
    let len = 1 + varlong_len(delta) + rest.len();
    put_varint(
        body,
        i32::try_from(len).map_err(|_| "a record is too long".to_string())?,
    );
    body.push(attributes as u8);
    put_varlong(body, delta);
    body.extend_from_slice(rest);
    Ok(())
}

fn pack(info: &BatchInfo, codec: Compression, body: &[u8]) -> Result<Bytes, String> {
    let packed = batch::repack(info, codec, body).map_err(|(_, why)| why)?;
    Ok(Bytes::from(packed))
}
