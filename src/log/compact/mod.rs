//! Log compaction: of all records with the same key the last one stays (KIP-534 for tombstones). A plan that asks for reads and
//! writes and does none itself; the background plane's job and the simulator carry it out.
//!
//! Invariants: a record goes only if the map holds a later offset of the very same key, or it is a tombstone whose time is over and
//! everything older of its key is gone, or it has no key; offsets, batches' extents, timestamps, headers and codecs stay; what
//! the map does not reach stays byte for byte; damage ends the run, nothing is dropped because it cannot be read.
//!
//! That everything older is gone when a tombstone goes: a tombstone gets its time when it is written anew in a run whose map reaches
//! it, and runs go from the start of the log to the map's end before [`PartitionCheckpoint::cleaned_end`] moves there.
//!
//! [`PartitionCheckpoint::cleaned_end`]: crate::log::checkpoint::PartitionCheckpoint

mod batch;
mod map;
mod output;
mod source;
#[cfg(test)]
mod tests;

use self::batch::{Rules, visit_keys};
use self::map::OffsetMap;
use self::output::Output;
use self::source::Source;
use crate::base::compaction::{Compacted, Compaction, SourceSegment};
use crate::base::effect::FilePath;
use crate::log::frame::FRAME_HEADER;
use crate::log::segment::StoredFrame;
use crate::wire::batch::BatchInfo;
use bytes::Bytes;
use std::collections::VecDeque;

/// Bytes of batches that are worked on before others get their turn.
const TURN_BYTES: usize = 64 << 10;

/// What is to be done next.
#[derive(Debug)]
pub enum Order {
    /// Read `len` bytes (whole blocks) at `at` (block-aligned), all of them, and give them to the next [`Cleaner::next`].
    Read {
        /// The file.
        path: FilePath,
        /// Byte position.
        at: u64,
        /// Bytes.
        len: usize,
    },
    /// Make the file that will be called `path`, still under a temporary name. The following writes go to it.
    Create {
        /// Its name in the end.
        path: FilePath,
    },
    /// Write whole blocks.
    Write {
        /// Byte position.
        at: u64,
        /// Content.
        data: Bytes,
    },
    /// Flush the file that was made and give it its name; write its index, a cache, beside it.
    Finish {
        /// Its name.
        path: FilePath,
        /// The index file's.
        index_path: FilePath,
        /// Content of the index file.
        index: Bytes,
    },
    /// Let others work.
    Pause,
    /// Make the names durable. That was all.
    Done(Box<Compacted>),
}

enum Phase {
    /// Keys are put into the map.
    Map,
    /// Sources are written anew.
    Rewrite,
    Over,
}

/// One run over one stretch of a partition.
pub struct Cleaner {
    spec: Compaction,
    phase: Phase,
    map: OffsetMap,
    /// Segments of the phase that are still to be read, the next one first.
    waiting: VecDeque<SourceSegment>,
    source: Option<Source>,
    /// Frames read and not yet worked on.
    frames: VecDeque<StoredFrame>,
    orders: VecDeque<Order>,
    output: Option<Output>,
    /// Exclusive end of the sources.
    range_end: i64,
    done: Compacted,
}

impl Cleaner {
    /// A run with nothing done yet.
    pub fn new(spec: Compaction) -> Cleaner {
        Cleaner {
            phase: Phase::Map,
            map: OffsetMap::new(spec.map_bytes, spec.life),
            waiting: spec.dirty.iter().cloned().collect(),
            source: None,
            frames: VecDeque::new(),
            orders: VecDeque::new(),
            output: None,
            range_end: 0,
            done: Compacted {
                map_end: spec.map_from,
                ..Compacted::default()
            },
            spec,
        }
    }

    /// The next order. `given` = the bytes that the last one read.
    ///
    /// # Errors
    /// What is damaged and where. Nothing that was made counts then.
    pub fn next(&mut self, given: Option<Bytes>) -> Result<Order, String> {
        if let (Some(bytes), Some(source)) = (given, &mut self.source) {
            self.frames.extend(source.take(&bytes)?);
        }
        loop {
            if let Some(order) = self.orders.pop_front() {
                return Ok(order);
            }
            self.advance()?;
        }
    }

    /// Works on what is there, else reads on, else goes to the next segment or phase. Each adds an order, or gets nearer to one.
    fn advance(&mut self) -> Result<(), String> {
        if !self.frames.is_empty() {
            return self.work();
        }
        if let Some(order) = self.source.as_ref().and_then(Source::order) {
            if let Order::Read { len, .. } = &order {
                self.done.bytes_in += *len as u64;
            }
            self.orders.push_back(order);
            return Ok(());
        }
        self.source = None;
        match self.waiting.pop_front() {
            Some(next) => self.source = Some(Source::new(next, self.spec.partition, self.spec.chunk_bytes)),
            None => self.end_phase(),
        }
        Ok(())
    }

    fn work(&mut self) -> Result<(), String> {
        let mut worked = 0;
        while worked < TURN_BYTES {
            let Some(stored) = self.frames.pop_front() else { break };
            worked += stored.batch.len();
            match self.phase {
                Phase::Map => self.map_frame(&stored)?,
                Phase::Rewrite => self.rewrite(&stored)?,
                Phase::Over => {}
            }
        }
        if let Some(output) = &mut self.output {
            output.drain(self.spec.chunk_bytes, &mut self.orders);
        }
        self.orders.push_back(Order::Pause);
        Ok(())
    }

    fn map_frame(&mut self, stored: &StoredFrame) -> Result<(), String> {
        if stored.frame.last_offset < self.spec.map_from {
            return Ok(());
        }
        let (mut count, mut bytes) = (0, 0);
        visit_keys(&stored.batch, |key, _| {
            count += 1;
            bytes += key.len();
        })?;
        if stored.frame.last_offset >= self.spec.map_to || !self.map.has_room(count, bytes) {
            self.stop_mapping();
            return Ok(());
        }
        let (map, from) = (&mut self.map, self.spec.map_from);
        visit_keys(&stored.batch, |key, offset| {
            if offset >= from {
                map.put(key, offset);
            }
        })?;
        self.done.map_end = stored.frame.last_offset + 1;
        Ok(())
    }

    /// Nothing more goes into the map.
    fn stop_mapping(&mut self) {
        self.frames.clear();
        self.waiting.clear();
        self.source = None;
    }

    fn end_phase(&mut self) {
        match self.phase {
            Phase::Map => self.begin_rewrite(),
            Phase::Rewrite => self.finish(),
            Phase::Over => {}
        }
    }

    /// Sources that the map does not reach stay as they are.
    fn begin_rewrite(&mut self) {
        self.phase = Phase::Rewrite;
        self.done.keys = self.map.len() as u64;
        let reach = self.done.map_end;
        self.waiting = self
            .spec
            .sources
            .iter()
            .take_while(|source| source.base_offset < reach)
            .cloned()
            .collect();
        let first = self.spec.sources.first().map_or(0, |source| source.base_offset);
        self.range_end = self.waiting.back().map_or(first, |last| last.end_offset);
        self.done.sources_end = self.range_end;
    }

    fn rewrite(&mut self, stored: &StoredFrame) -> Result<(), String> {
        let rules = Rules {
            map: &self.map,
            map_end: self.done.map_end,
            now_ms: self.spec.now_ms,
            new_horizon_ms: self.spec.now_ms.saturating_add(self.spec.delete_retention_ms),
        };
        let keep_header = self.keeps_header(stored);
        let kept = rules.apply(&stored.batch, keep_header)?;
        self.done.records_in += kept.records_in;
        self.done.records_out += kept.records_out;
        self.done.keyless += kept.keyless;
        let Some(batch) = kept.batch else { return Ok(()) };
        let output = self.output_for(FRAME_HEADER + batch.len());
        output.put(&batch, stored.frame.leader_epoch, kept.max_timestamp)
    }

    /// The batch is the last of an active producer, or of the whole stretch, which must not end in a gap: a reader there would
    /// wait for a batch that never comes.
    fn keeps_header(&self, stored: &StoredFrame) -> bool {
        let producers = &self.spec.producers;
        let is_producers_last = BatchInfo::peek(&stored.batch).is_some_and(|info| {
            let found = producers.binary_search_by_key(&info.producer_id, |(id, _)| *id).ok();
            found.is_some_and(|at| producers[at].1 == info.last_offset())
        });
        is_producers_last || stored.frame.last_offset + 1 == self.range_end
    }

    /// The segment that takes `len` more bytes.
    fn output_for(&mut self, len: usize) -> &mut Output {
        let is_full = |output: &Output| output.len() > 0 && output.len() + len as u64 > self.spec.segment_bytes;
        let full = self.output.take_if(|output| is_full(output));
        let first = self.spec.sources.first().map_or(0, |source| source.base_offset);
        let base = full.as_ref().map_or(first, Output::end_offset);
        if let Some(full) = full {
            self.close(full);
        }
        let (partition, life, orders) = (self.spec.partition, self.spec.life, &mut self.orders);
        self.output
            .get_or_insert_with(|| Output::new(partition, base, life, orders))
    }

    fn close(&mut self, output: Output) {
        let made = output.finish(&mut self.orders);
        self.done.bytes_out += made.size;
        self.done.segments.push(made);
    }

    fn finish(&mut self) {
        self.phase = Phase::Over;
        if let Some(output) = self.output.take() {
            self.close(output);
        }
        self.orders
            .push_back(Order::Done(Box::new(std::mem::take(&mut self.done))));
    }
}
