//! Records of the compacted topic, and the rules of compaction as readers see them: the last record of each key stays, at its offset and
//! with its time; a tombstone may go after `delete.retention.ms`, and then nothing of its key is left.
//!
//! Key and kind of a record follow from its name, so that the ledger needs to know no more of it.

use crate::sim::client::content_of;
use crate::sim::ledger::{PartitionLedger, RecordName, Seen};
use crate::sim::prng::Prng;
use crate::wire::batch::{BatchBuilder, BatchView};
use crate::wire::record::{Header, Records};
use std::collections::BTreeMap;

/// Keys of a partition.
const KEYS: u64 = 9;
/// Most bytes that a batch decompresses to.
const BODY_MAX: usize = 16 << 20;

fn chance_of(name: RecordName) -> Prng {
    Prng::new(name.number ^ u64::from(name.client) << 40 ^ 0x0074_6162_6c65)
}

/// The key of a record.
fn key_of(name: RecordName) -> u64 {
    chance_of(name).below(KEYS)
}

/// The value of a record; `None` = a tombstone.
fn value_of(name: RecordName) -> Option<Vec<u8>> {
    let mut chance = chance_of(name);
    chance.next();
    if chance.chance(25) {
        return None;
    }
    let len = if chance.chance(10) {
        chance.between(1000, 9000)
    } else {
        chance.below(400)
    };
    Some((0..len).map(|_| chance.next() as u8).collect())
}

/// Appends the record of that name; gives its content's number.
pub(super) fn append(builder: &mut BatchBuilder, timestamp: i64, name: RecordName) -> u32 {
    let key = format!("key-{}", key_of(name));
    let (value, tag) = (value_of(name), format!("{}:{}", name.client, name.number));
    let header = Header {
        key: b"name",
        value: Some(tag.as_bytes()),
    };
    builder.append(timestamp, Some(key.as_bytes()), value.as_deref(), &[header]);
    content_of(key.as_bytes(), value.as_deref().unwrap_or_default())
}

/// The records of a batch.
///
/// # Errors
/// When it is not as it was written.
pub(super) fn open(batch: &BatchView) -> Result<Vec<(i64, Seen)>, String> {
    let info = batch.info();
    let body = batch.decompressed(BODY_MAX).map_err(|(_, why)| why)?;
    let mut records = Vec::new();
    for record in Records::new(&body, info.record_count) {
        let record = record.map_err(|fault| fault.to_string())?;
        let tag = record.headers().next().and_then(|header| header.value);
        let name = tag.and_then(name_of).ok_or("a record of the table has no name")?;
        if record.value != value_of(name).as_deref() {
            return Err(format!("the value of {name:?} has changed"));
        }
        let seen = Seen {
            name,
            content: content_of(record.key.unwrap_or_default(), record.value.unwrap_or_default()),
            timestamp: info.record_timestamp(record.timestamp_delta),
        };
        records.push((info.base_offset + i64::from(record.offset_delta), seen));
    }
    Ok(records)
}

fn name_of(tag: &[u8]) -> Option<RecordName> {
    let (client, number) = std::str::from_utf8(tag).ok()?.split_once(':')?;
    Some(RecordName {
        client: client.parse().ok()?,
        number: number.parse().ok()?,
    })
}

/// What a table's configuration promises.
#[derive(Clone, Copy, Debug)]
pub(super) struct Promise {
    /// `delete.retention.ms`.
    pub retention_ms: i64,
    /// The wall clock.
    pub now_ms: i64,
}

/// Compares the whole log, as read, with what is known.
///
/// # Errors
/// The first rule that is broken, with the record.
pub(super) fn check(
    ledger: &PartitionLedger,
    log: &[(i64, Seen)],
    promise: Promise,
    idempotent: impl Fn(u32) -> bool,
) -> Result<(), String> {
    let mut numbers: BTreeMap<u32, u64> = BTreeMap::new();
    let mut there: BTreeMap<u64, Vec<i64>> = BTreeMap::new();
    let mut before = -1;
    for (offset, Seen { name, .. }) in log {
        if *offset <= before {
            return Err(format!("offset {offset} follows offset {before}"));
        }
        before = *offset;
        if let Some(last) = numbers.insert(name.client, name.number)
            && idempotent(name.client)
            && last >= name.number
        {
            return Err(format!("offset {offset}: {name:?} comes after record {last}"));
        }
        there.entry(key_of(*name)).or_default().push(*offset);
    }
    let last: BTreeMap<u64, (i64, &Seen)> = ledger
        .known()
        .iter()
        .map(|(offset, seen)| (key_of(seen.name), (*offset, seen)))
        .collect();
    for (key, (offset, seen)) in last {
        let left = there.get(&key).map_or(&[][..], Vec::as_slice);
        if left.contains(&offset) {
            continue;
        }
        let is_over = promise.now_ms >= seen.timestamp.saturating_add(promise.retention_ms);
        match value_of(seen.name) {
            Some(_) => {
                return Err(format!(
                    "the last value of key {key}, at offset {offset}, is lost: {seen:?}"
                ));
            }
            None if !is_over => return Err(format!("the tombstone of key {key} at offset {offset} went too early")),
            None if left.is_empty() => {}
            None => {
                return Err(format!(
                    "key {key} was deleted at offset {offset} and is back at {left:?}"
                ));
            }
        }
    }
    Ok(())
}
