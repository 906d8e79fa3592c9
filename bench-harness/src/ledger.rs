//! What the broker has promised: the base offset of every acknowledged batch, per producer and partition.
//!
//! Written by the load engine, judged by `verify`. Kept in memory, saved as JSON so that a run whose broker was killed
//! can be audited after the restart.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufReader, BufWriter};
use std::path::Path;

/// Batch sent, no answer: it may be in the log or not.
pub const UNKNOWN: i64 = -1;
/// Batch refused with a Kafka error: it may be in the log only if the error says so; treated as unknown.
pub const REFUSED: i64 = -2;
/// Batch acknowledged without an offset (a duplicate's answer, or acks=0 which promises nothing: see [`UNKNOWN`]).
pub const ACKED_SOMEWHERE: i64 = -3;

/// Batches of one producer in one partition, by batch number.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Lane {
    /// Producer number (connection).
    pub producer: u32,
    /// Partition index.
    pub partition: u32,
    /// Per batch the acknowledged base offset, or one of the negative marks above.
    pub acks: Vec<i64>,
}

/// All promises of one run.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Ledger {
    /// Topic name.
    pub topic: String,
    /// Run id in every record header.
    pub run_id: u64,
    /// Partitions of the topic.
    pub partitions: u32,
    /// Records in every batch.
    pub batch_records: u32,
    /// Bytes of every record value.
    pub record_bytes: usize,
    /// One entry per producer and partition that sent anything.
    pub lanes: Vec<Lane>,
    #[serde(skip)]
    index: BTreeMap<(u32, u32), usize>,
}

impl Ledger {
    /// An empty ledger.
    pub fn new(topic: &str, run_id: u64, partitions: u32, batch_records: u32, record_bytes: usize) -> Ledger {
        Ledger {
            topic: topic.to_owned(),
            run_id,
            partitions,
            batch_records,
            record_bytes,
            ..Ledger::default()
        }
    }

    /// Number of the lane of `producer` and `partition`, made on first use. Look it up once, then use the number.
    pub fn lane(&mut self, producer: u32, partition: u32) -> usize {
        *self.index.entry((producer, partition)).or_insert_with(|| {
            self.lanes.push(Lane {
                producer,
                partition,
                acks: Vec::new(),
            });
            self.lanes.len() - 1
        })
    }

    /// Notes a batch as sent and returns its number in the lane.
    pub fn sent(&mut self, lane: usize) -> u32 {
        let acks = &mut self.lanes[lane].acks;
        acks.push(UNKNOWN);
        acks.len() as u32 - 1
    }

    /// Notes the answer to a batch.
    pub fn answered(&mut self, lane: usize, batch: u32, error: i16, base_offset: i64) {
        let mark = match (error, base_offset) {
            (0, offset) if offset >= 0 => offset,
            (0, _) => ACKED_SOMEWHERE,
            _ => REFUSED,
        };
        self.lanes[lane].acks[batch as usize] = mark;
    }

    /// Saves as JSON.
    ///
    /// # Errors
    /// File errors.
    pub fn save(&self, path: &Path) -> io::Result<()> {
        Ok(serde_json::to_writer(BufWriter::new(File::create(path)?), self)?)
    }

    /// Loads what [`Ledger::save`] wrote.
    ///
    /// # Errors
    /// File errors and malformed JSON.
    pub fn load(path: &Path) -> io::Result<Ledger> {
        let mut ledger: Ledger = serde_json::from_reader(BufReader::new(File::open(path)?))?;
        ledger.index = ledger
            .lanes
            .iter()
            .enumerate()
            .map(|(i, l)| ((l.producer, l.partition), i))
            .collect();
        Ok(ledger)
    }
}
