//! Accounts for every record of a run: lost, duplicated, reordered, changed, misplaced must all be 0.
//!
//! The ledger says what was promised, the log says what is there. A batch without an answer may be there or not, but
//! if it is there it must be whole, once and in order like any other.

use crate::ledger::{Ledger, REFUSED, UNKNOWN};
use crate::payload::{Batch, HEADER_BYTES, Header, filler};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt::Write;
use std::io;

/// Examples kept per kind of fault, for the report.
const EXAMPLES_MAX: usize = 5;

/// The verdict.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Verdict {
    /// Records of the run found in the log.
    pub found: u64,
    /// Records acknowledged.
    pub acked: u64,
    /// Records found that were never acknowledged (in flight at a crash): allowed.
    pub unacked_found: u64,
    /// Acknowledged records that are missing.
    pub lost: u64,
    /// Records found more than once.
    pub duplicated: u64,
    /// Records behind a later one of the same producer and partition.
    pub reordered: u64,
    /// Records whose bytes differ, of a wrong partition, or never sent; batches with a wrong CRC.
    pub changed: u64,
    /// Records at another offset than the acknowledgement said.
    pub misplaced: u64,
    /// Batches whose base offset is not the one after the last.
    pub offset_breaks: u64,
    /// Records of other runs in the topic: ignored.
    pub foreign: u64,
    /// The first faults found.
    pub examples: Vec<String>,
}

impl Verdict {
    /// Whether every acknowledged record is there, once, in order, unchanged, where it was said to be.
    pub fn is_clean(&self) -> bool {
        self.lost + self.duplicated + self.reordered + self.changed + self.misplaced + self.offset_breaks == 0
    }

    /// For people.
    pub fn table(&self) -> String {
        let mut out = format!(
            "verify     {}: {} records acknowledged, {} found ({} unacknowledged), lost {}, duplicated {}, reordered {}, \
             changed {}, misplaced {}, offset breaks {}\n",
            if self.is_clean() { "clean" } else { "FAILED" },
            self.acked,
            self.found,
            self.unacked_found,
            self.lost,
            self.duplicated,
            self.reordered,
            self.changed,
            self.misplaced,
            self.offset_breaks
        );
        for example in &self.examples {
            let _ = writeln!(out, "           {example}");
        }
        out
    }
}

struct LaneState {
    seen: Vec<u64>,
    next: u64,
}

/// Compares a log with a ledger.
pub struct Audit<'a> {
    ledger: &'a Ledger,
    filler: Vec<u8>,
    lanes: Vec<LaneState>,
    index: BTreeMap<(u32, u32), usize>,
    verdict: Verdict,
}

impl<'a> Audit<'a> {
    /// Prepares for the records of one run: one bit of memory per record sent.
    pub fn new(ledger: &'a Ledger) -> Audit<'a> {
        let records = |acks: usize| acks * ledger.batch_records as usize;
        let state = |acks: usize| LaneState {
            seen: vec![0; records(acks).div_ceil(64)],
            next: 0,
        };
        Audit {
            filler: filler(ledger.run_id, ledger.record_bytes),
            lanes: ledger.lanes.iter().map(|l| state(l.acks.len())).collect(),
            index: ledger
                .lanes
                .iter()
                .enumerate()
                .map(|(i, l)| ((l.producer, l.partition), i))
                .collect(),
            verdict: Verdict::default(),
            ledger,
        }
    }

    /// Takes one batch of the log.
    ///
    /// # Errors
    /// Records that do not fit into their batch.
    pub fn batch(&mut self, partition: u32, batch: &Batch<'_>) -> io::Result<()> {
        if !batch.crc_is_right() {
            self.fault(
                |v| &mut v.changed,
                || format!("wrong CRC: partition {partition}, offset {}", batch.base_offset),
            );
        }
        batch.each_value(|delta, value| self.record(partition, batch.base_offset + delta, value))?;
        Ok(())
    }

    fn record(&mut self, partition: u32, offset: i64, value: &[u8]) {
        let Some(header) = Header::read(value).filter(|h| h.run_id == self.ledger.run_id) else {
            self.verdict.foreign += 1;
            return;
        };
        let place = || format!("partition {partition}, offset {offset}: {header:?}");
        self.verdict.found += 1;
        let lane = self.index.get(&(header.producer, header.partition)).copied();
        let batch = (header.sequence / u64::from(self.ledger.batch_records)) as usize;
        let ack = lane.and_then(|l| self.ledger.lanes[l].acks.get(batch)).copied();
        let intact = value.len() == self.filler.len() && value[HEADER_BYTES..] == self.filler[HEADER_BYTES..];
        let (Some(lane), Some(ack), true) = (lane, ack, header.partition == partition && intact) else {
            self.fault(|v| &mut v.changed, || format!("changed or never sent: {}", place()));
            return;
        };
        if ack == UNKNOWN || ack == REFUSED {
            self.verdict.unacked_found += 1;
        }
        if ack >= 0 && ack + (header.sequence % u64::from(self.ledger.batch_records)) as i64 != offset {
            self.fault(|v| &mut v.misplaced, || format!("acknowledged at {ack}: {}", place()));
        }
        self.order(lane, header.sequence, place);
    }

    fn order(&mut self, lane: usize, sequence: u64, place: impl Fn() -> String) {
        let state = &mut self.lanes[lane];
        let (word, bit) = ((sequence / 64) as usize, 1u64 << (sequence % 64));
        let was_seen = state.seen[word] & bit != 0;
        let is_late = sequence < state.next;
        state.seen[word] |= bit;
        state.next = state.next.max(sequence + 1);
        if was_seen {
            self.fault(|v| &mut v.duplicated, || format!("duplicate: {}", place()));
        } else if is_late {
            self.fault(|v| &mut v.reordered, || format!("out of order: {}", place()));
        }
    }

    fn fault(&mut self, counter: impl Fn(&mut Verdict) -> &mut u64, text: impl Fn() -> String) {
        *counter(&mut self.verdict) += 1;
        if self.verdict.examples.len() < EXAMPLES_MAX {
            self.verdict.examples.push(text());
        }
    }

    /// Looks for what is missing and returns the verdict.
    pub fn finish(mut self, offset_breaks: u64) -> Verdict {
        self.verdict.offset_breaks = offset_breaks;
        let per_batch = u64::from(self.ledger.batch_records);
        for (number, lane) in self.ledger.lanes.iter().enumerate() {
            let acked = (0u64..)
                .zip(&lane.acks)
                .filter(|(_, ack)| **ack != UNKNOWN && **ack != REFUSED);
            for sequence in acked.flat_map(|(batch, _)| batch * per_batch..(batch + 1) * per_batch) {
                self.verdict.acked += 1;
                if self.lanes[number].seen[(sequence / 64) as usize] & (1 << (sequence % 64)) == 0 {
                    let text = format!(
                        "lost: producer {}, partition {}, sequence {sequence}",
                        lane.producer, lane.partition
                    );
                    self.fault(|v| &mut v.lost, || text.clone());
                }
            }
        }
        self.verdict
    }
}

#[cfg(test)]
#[path = "verify_tests.rs"]
mod tests;
