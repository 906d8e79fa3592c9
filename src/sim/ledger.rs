//! What clients know: acknowledged records and records that were read. The checkers compare it with the log.
//!
//! A record is named by (client, number) inside its value, so that every copy is recognised. Rules: an acknowledged or once
//! read record stays at its offset with its bytes; offsets are dense; an idempotent client's numbers appear once, in order.

use std::collections::BTreeMap;

/// Who wrote a record and which of its records it is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct RecordName {
    /// Client number.
    pub client: u32,
    /// Its own numbering from 0.
    pub number: u64,
}

/// One record as a client saw it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Seen {
    /// Its name.
    pub name: RecordName,
    /// CRC-32C of key and value.
    pub content: u32,
    /// The record's time, milliseconds.
    pub timestamp: i64,
}

/// What is known of one partition.
#[derive(Clone, Default, Debug)]
pub struct PartitionLedger {
    known: BTreeMap<i64, Seen>,
    /// Records acknowledged.
    pub acked: u64,
    /// Records read.
    pub read: u64,
}

/// All partitions by index.
#[derive(Clone, Default, Debug)]
pub struct Ledger {
    partitions: BTreeMap<u32, PartitionLedger>,
}

impl Ledger {
    /// A partition's part.
    pub fn partition(&mut self, index: u32) -> &mut PartitionLedger {
        self.partitions.entry(index).or_default()
    }
    /// Acknowledged records in all.
    pub fn acked(&self) -> u64 {
        self.partitions.values().map(|p| p.acked).sum()
    }
    /// Records read in all.
    pub fn read(&self) -> u64 {
        self.partitions.values().map(|p| p.read).sum()
    }
}

impl PartitionLedger {
    /// A record was acknowledged at `offset`.
    ///
    /// # Errors
    /// When something else is known to be there.
    pub fn acknowledged(&mut self, offset: i64, seen: Seen) -> Result<(), String> {
        self.acked += 1;
        self.note(offset, seen, "acknowledged")
    }
    /// A record was read at `offset`.
    ///
    /// # Errors
    /// When something else is known to be there.
    pub fn was_read(&mut self, offset: i64, seen: Seen) -> Result<(), String> {
        self.read += 1;
        self.note(offset, seen, "read")
    }

    /// Everything known, by offset.
    pub fn known(&self) -> &BTreeMap<i64, Seen> {
        &self.known
    }

    fn note(&mut self, offset: i64, seen: Seen, how: &str) -> Result<(), String> {
        match self.known.get(&offset) {
            Some(known) if *known != seen => Err(format!("offset {offset}: {how} {seen:?}, known before as {known:?}")),
            _ => {
                self.known.insert(offset, seen);
                Ok(())
            }
        }
    }

    /// Compares with the whole log, read from `log_start` on: everything known is there, offsets are dense, and the records of
    /// `idempotent` clients appear once and in order.
    ///
    /// # Errors
    /// The first rule that is broken, with the record.
    pub fn check(&self, log_start: i64, log: &[(i64, Seen)], idempotent: impl Fn(u32) -> bool) -> Result<(), String> {
        let mut next = log_start;
        let mut last_number: BTreeMap<u32, u64> = BTreeMap::new();
        for (offset, seen) in log {
            if *offset != next {
                return Err(format!("offsets are not dense: {offset} follows {}", next - 1));
            }
            next += 1;
            let name = seen.name;
            if idempotent(name.client)
                && let Some(last) = last_number.insert(name.client, name.number)
                && last >= name.number
            {
                return Err(format!(
                    "offset {offset}: record {} of idempotent client {} comes after record {last}",
                    name.number, name.client
                ));
            }
        }
        for (offset, known) in self.known.range(log_start..) {
            let at = usize::try_from(*offset - log_start).unwrap_or(usize::MAX);
            match log.get(at) {
                None => {
                    return Err(format!(
                        "offset {offset} is lost: it was known as {known:?}, the log ends at {next}"
                    ));
                }
                Some((_, found)) if found != known => {
                    return Err(format!(
                        "offset {offset} has changed: known as {known:?}, now {found:?}"
                    ));
                }
                Some(_) => {}
            }
        }
        Ok(())
    }
}
