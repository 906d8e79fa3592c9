//! Topics, batches and producer windows of the stand-in, all in memory.

use std::collections::BTreeMap;

use super::Fault;
use crate::error::{Error, Result};
use crate::kafka::wire::{Decoder, Encoder};

const TOPIC: i8 = 1;
const PRODUCER: i8 = 2;
const BATCH: i8 = 3;
const WINDOW: usize = 5;

/// First sequence, last sequence and base offset of a batch.
type Remembered = (i32, i32, i64);

/// One partition.
#[derive(Default)]
pub struct Partition {
    /// Batches as served, by base offset.
    pub batches: BTreeMap<i64, Vec<u8>>,
    /// Next offset.
    pub end: i64,
    windows: BTreeMap<i64, Vec<Remembered>>,
}

/// What a batch is to its partition.
pub enum Admission {
    /// New: it gets this base offset.
    New(i64),
    /// Seen before, at this base offset.
    Seen(i64),
    /// Not the next one.
    OutOfOrder,
}

/// Everything the stand-in knows.
pub struct State {
    /// Partitions by topic.
    pub topics: BTreeMap<String, Vec<Partition>>,
    /// The next producer id.
    pub next_producer: i64,
    fault: Fault,
}

struct Header {
    producer: i64,
    first: i32,
    last: i32,
    count: i32,
}

impl Header {
    fn of(batch: &[u8]) -> Result<Self> {
        let mut fields = Decoder(batch);
        fields.take(23)?;
        let delta = fields.i32()?;
        fields.take(16)?;
        let (producer, _epoch, first) = (fields.i64()?, fields.i16()?, fields.i32()?);
        Ok(Self {
            producer,
            first,
            last: first + delta,
            count: fields.i32()?,
        })
    }
}

impl State {
    /// An empty one.
    pub fn new(fault: Fault) -> Self {
        Self {
            topics: BTreeMap::new(),
            next_producer: 0,
            fault,
        }
    }

    /// The journal entry that creates a topic.
    pub fn topic_entry(name: &str, partitions: i32) -> Vec<u8> {
        let mut entry = Encoder::default();
        entry.i8(TOPIC).string(name).i32(partitions);
        entry.0
    }

    /// The journal entry that gives out a producer id.
    pub fn producer_entry(id: i64) -> Vec<u8> {
        let mut entry = Encoder::default();
        entry.i8(PRODUCER).i64(id);
        entry.0
    }

    /// The journal entry that appends a batch.
    pub fn batch_entry(topic: &str, partition: i32, base: i64, batch: &[u8]) -> Vec<u8> {
        let mut entry = Encoder::default();
        entry.i8(BATCH).string(topic).i32(partition).i64(base).bytes(batch);
        entry.0
    }

    /// A partition by name.
    pub fn partition(&self, topic: &str, partition: i32) -> Option<&Partition> {
        self.topics.get(topic)?.get(usize::try_from(partition).ok()?)
    }

    /// What `batch` is to its partition.
    ///
    /// # Errors
    /// When there is no such partition or the batch is cut short.
    pub fn admit(&self, topic: &str, partition: i32, batch: &[u8]) -> Result<Admission> {
        let home = self
            .partition(topic, partition)
            .ok_or_else(|| Error::answer(3, "produce"))?;
        let header = Header::of(batch)?;
        let Some(window) = home
            .windows
            .get(&header.producer)
            .filter(|_| self.fault != Fault::NoDedup)
        else {
            return Ok(Admission::New(home.end));
        };
        if let Some((_, _, base)) = window.iter().find(|(f, l, _)| (*f, *l) == (header.first, header.last)) {
            return Ok(Admission::Seen(*base));
        }
        let due = window.last().map_or(0, |(_, last, _)| last + 1);
        Ok(if header.first == due {
            Admission::New(home.end)
        } else {
            Admission::OutOfOrder
        })
    }

    /// Applies a journal entry while serving.
    ///
    /// # Errors
    /// When the entry is malformed.
    pub fn apply(&mut self, entry: &[u8]) -> Result<()> {
        let mut fields = Decoder(entry);
        match fields.i8()? {
            TOPIC => {
                let (name, count) = (fields.string()?, fields.i32()?);
                self.topics
                    .insert(name, (0..count).map(|_| Partition::default()).collect());
            }
            PRODUCER => self.next_producer = fields.i64()? + 1,
            _ => {
                let (topic, partition, base) = (fields.string()?, fields.i32()?, fields.i64()?);
                let mut batch = fields.bytes()?.to_vec();
                let header = Header::of(&batch)?;
                batch[..8].copy_from_slice(&base.to_be_bytes());
                let home = self
                    .topics
                    .get_mut(&topic)
                    .and_then(|all| all.get_mut(partition as usize));
                let home = home.ok_or_else(|| Error::new("batch for an unknown partition"))?;
                home.batches.insert(base, batch);
                home.end = base + i64::from(header.count);
                let window = home.windows.entry(header.producer).or_default();
                window.push((header.first, header.last, base));
                if window.len() > WINDOW {
                    window.remove(0);
                }
            }
        }
        Ok(())
    }

    /// Applies a journal entry at start.
    ///
    /// # Errors
    /// When the entry is malformed.
    pub fn replay(&mut self, entry: &[u8]) -> Result<()> {
        self.apply(entry)?;
        if self.fault == Fault::ForgetProducers {
            self.topics
                .values_mut()
                .flatten()
                .for_each(|partition| partition.windows.clear());
        }
        Ok(())
    }
}
