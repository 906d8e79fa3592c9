//! One partition as its owner knows it.
//!
//! Invariants (see [`Partition::check`]): `log_start <= high_watermark <= log_end`; `flushed_end <= destaged_end <= high_watermark`
//! (only what is durable in the journal goes to segments); everything from `flushed_end` on is in the tail.

use crate::base::ids::PartitionId;
use crate::base::planted::{self, Planted};
use crate::base::slab::SlabKey;
use crate::controller::image::Topic;
use crate::log::block::Lsn;
use crate::log::checkpoint::PartitionCheckpoint;
use crate::log::segment::Segment;
use crate::partition::clean::CleanState;
use crate::partition::producers::Producers;
use crate::partition::tail::Tail;
use std::sync::Arc;

/// What the destaging of a partition waits for. One thing at a time: two writes under way could start at the same place, and two
/// files being made could have the same name. A fence does not change this: what is under way is waited for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum DestageStep {
    /// Nothing.
    Idle,
    /// The job that makes or extends the active segment's file.
    Space,
    /// The active segment's file to be opened, also for readers.
    Opening,
    /// A segment write.
    Writing,
}

/// One partition.
pub struct Partition {
    /// Identity.
    pub id: PartitionId,
    /// Its topic, with the configuration.
    pub topic: Arc<Topic>,
    /// Epoch of this node's leadership.
    pub leader_epoch: i32,
    /// First offset readers may ask for.
    pub log_start: i64,
    /// Exclusive end of what is accepted.
    pub log_end: i64,
    /// Exclusive end of what is durable and visible.
    pub high_watermark: i64,
    /// Checksum of the last accepted frame.
    pub last_crc: u32,
    /// (leader epoch, first offset), ascending.
    pub epochs: Vec<(i32, i64)>,
    /// Idempotence.
    pub producers: Producers,
    /// Frames in memory.
    pub tail: Tail,
    /// Ascending, contiguous.
    pub segments: Vec<Segment>,
    /// Exclusive end of what is written to segments or being written.
    pub destaged_end: i64,
    /// Exclusive end of what is flushed in segments.
    pub flushed_end: i64,
    /// Checksum of the last frame below `flushed_end`.
    pub flushed_crc: u32,
    /// What destaging waits for.
    pub destage: DestageStep,
    /// In the queue of partitions to destage.
    pub destage_queued: bool,
    /// Destage at least every frame of blocks below this.
    pub destage_below: Lsn,
    /// Durable bytes in memory that no segment write has taken yet.
    pub undestaged_bytes: usize,
    /// Start a new segment with the next destage.
    pub roll_requested: bool,
    /// Fetches that wait for more.
    pub watches: Vec<SlabKey>,
    /// Compaction.
    pub clean: CleanState,
    /// Why the partition refuses writes: a segment write or flush failed and what it held is being rewritten elsewhere.
    pub fenced: Option<String>,
}

impl Partition {
    /// A partition as recovered (or new: the default checkpoint).
    pub fn new(id: PartitionId, topic: Arc<Topic>, leader_epoch: i32, base: &PartitionCheckpoint) -> Self {
        let end = base.flushed_end;
        Partition {
            id,
            topic,
            leader_epoch,
            log_start: base.log_start,
            log_end: end,
            high_watermark: end,
            last_crc: base.last_crc,
            epochs: base.epochs.clone(),
            producers: Producers::recovered(&base.producers),
            tail: Tail::default(),
            segments: base.segments.iter().map(Segment::recovered).collect(),
            destaged_end: end,
            flushed_end: end,
            flushed_crc: base.last_crc,
            destage: DestageStep::Idle,
            destage_queued: false,
            destage_below: 0,
            undestaged_bytes: 0,
            roll_requested: false,
            watches: Vec::new(),
            clean: CleanState::recovered(base.cleaned_end),
            fenced: None,
        }
    }

    /// Notes the epoch of an append at `offset`.
    pub fn note_epoch(&mut self, epoch: i32, offset: i64) {
        if self.epochs.last().is_none_or(|(last, _)| *last < epoch) {
            self.epochs.push((epoch, offset));
        }
    }

    /// Epoch of the record at `offset`, -1 when no record was ever there.
    pub fn epoch_at(&self, offset: i64) -> i32 {
        let behind = self.epochs.partition_point(|(_, start)| *start <= offset);
        behind.checked_sub(1).map_or(-1, |i| self.epochs[i].0)
    }

    /// Epoch of the first record, or of the one that will be.
    pub fn epoch_of_start(&self) -> i32 {
        match self.epoch_at(self.log_start) {
            -1 => self.leader_epoch,
            epoch => epoch,
        }
    }

    /// The segment that holds `offset`.
    pub fn segment_index(&self, offset: i64) -> Option<usize> {
        let behind = self.segments.partition_point(|s| s.base_offset <= offset);
        let index = behind.checked_sub(1)?;
        (offset < self.segments[index].end_offset).then_some(index)
    }

    /// The segment of that name.
    pub fn segment_mut(&mut self, base_offset: i64) -> Option<&mut Segment> {
        self.segments.iter_mut().find(|s| s.base_offset == base_offset)
    }

    /// Largest timestamp in segments and memory, `None` when there is no record.
    pub fn max_timestamp(&self) -> Option<i64> {
        let segments = self
            .segments
            .iter()
            .filter(|s| s.end_offset > self.log_start)
            .map(|s| s.max_timestamp);
        let tail = self
            .tail
            .from(self.log_start)
            .take_while(|f| f.frame.last_offset < self.high_watermark)
            .map(|f| f.frame.max_timestamp);
        segments.chain(tail).max()
    }

    /// The state for a checkpoint: what is flushed in segments, and producers as far as durable.
    pub fn checkpoint(&self) -> PartitionCheckpoint {
        PartitionCheckpoint {
            topic: self.id.topic.0,
            partition: self.id.partition,
            log_start: self.log_start.min(self.high_watermark),
            flushed_end: self.flushed_end,
            cleaned_end: self.clean.cleaned_end,
            last_crc: self.flushed_crc,
            epochs: self
                .epochs
                .iter()
                .copied()
                .filter(|(_, start)| *start < self.high_watermark)
                .collect(),
            segments: self
                .segments
                .iter()
                .filter(|s| s.flushed > 0 && s.base_offset < self.flushed_end)
                .map(Segment::checkpoint)
                .collect(),
            producers: match planted::is(Planted::ProducersNotSaved) {
                true => Vec::new(),
                false => self.producers.checkpoint(self.high_watermark),
            },
        }
    }

    /// One line of all positions, for messages about a broken rule.
    pub fn describe(&self) -> String {
        let segments: Vec<String> = self
            .segments
            .iter()
            .map(|s| {
                format!(
                    "{}..{} {}/{} bytes {:?} sealed {}",
                    s.base_offset, s.end_offset, s.flushed, s.written, s.file, s.sealed
                )
            })
            .collect();
        format!(
            "log {}..{} hw {} destaged {} flushed {} tail from {:?} fenced {:?} segments [{}]",
            self.log_start,
            self.log_end,
            self.high_watermark,
            self.destaged_end,
            self.flushed_end,
            self.tail.base_offset(),
            self.fenced,
            segments.join(", ")
        )
    }

    /// Panics when an invariant is broken: a bug, never bad input.
    pub fn check(&self) {
        assert!(
            self.log_start <= self.high_watermark,
            "log start {} above high watermark {}",
            self.log_start,
            self.high_watermark
        );
        assert!(self.high_watermark <= self.log_end, "high watermark above log end");
        assert!(self.flushed_end <= self.destaged_end, "flushed above destaged");
        assert!(
            self.destaged_end <= self.high_watermark,
            "destaged above high watermark"
        );
        if let Some(base) = self.tail.base_offset() {
            assert!(
                base <= self.flushed_end || base == self.flushed_end,
                "unflushed frames left memory"
            );
        }
    }
}
