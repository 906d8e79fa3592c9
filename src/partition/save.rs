//! Writing checkpoints, and index files beside them.
//!
//! A checkpoint is written at the end of a reclaim, when the set of journal files has changed, and before a clean end: it names
//! the files and the last durable block, so that a start notices what is missing. Its order after flushes is the reclaim's.

use crate::base::effect::{FilePath, Job, JobResult};
use crate::base::planted::{self, Planted};
use crate::base::slab::SlabKey;
use crate::log::block::Lsn;
use crate::log::checkpoint::Checkpoint;
use crate::partition::reclaim::Stage;
use crate::partition::space::{Stuck, is_no_space};
use crate::partition::store::{JobFor, Store, StoreCx};

/// Index entries not yet in the index file that make it worth rewriting at a checkpoint.
const INDEX_SAVE_ENTRIES: usize = 256;

/// What a checkpoint on its way to the disk says.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Saved {
    start: (Lsn, u32),
    files: usize,
    durable_lsn: Lsn,
    generation: u64,
}

impl Store {
    /// True when the last checkpoint does not name all journal files, names compacted segments' predecessors, or is to vouch for the
    /// journal's end and does not.
    pub(crate) fn wants_checkpoint(&self) -> bool {
        let is_new =
            self.saved_files != self.journal.file_total() && (self.saved_files == 0 || !self.journal.is_growing());
        is_new
            || !self.retired.is_empty()
            || (self.leaving && self.journal.is_quiet() && self.saved_lsn < self.journal.durable_lsn())
    }

    pub(crate) fn write_checkpoint(&mut self, cx: &mut StoreCx) {
        if self.meta_snapshot_end != self.meta_durable {
            self.snapshot_wanted = true; // the shard encodes the image; this stage comes again
            return;
        }
        self.reclaim.stage = Stage::Checkpointing;
        let (start_lsn, start_prev_crc) = self.reclaim.target;
        self.flushed_lsn = self.flushed_lsn.max(start_lsn - 1);
        for (_, part) in self.parts.iter() {
            let unflushed = part.tail.from(part.flushed_end).next();
            assert!(
                unflushed.is_none_or(|f| f.lsn >= start_lsn),
                "a checkpoint covers only what is flushed"
            );
        }
        self.generation += 1;
        self.save_grown_indexes(cx);
        let checkpoint = Checkpoint {
            shard: self.config.journal.shard,
            generation: self.generation,
            start_lsn,
            start_prev_crc,
            durable_lsn: self.journal.durable_lsn(),
            journal: self.journal.files().to_vec(),
            partitions: self.parts.iter().map(|(_, p)| p.checkpoint()).collect(),
            meta_end: self.meta_snapshot_end,
            image: self.meta_snapshot.clone(),
        };
        if planted::is(Planted::RecycleBeforeCheckpoint) {
            self.journal.release_below(start_lsn);
        }
        self.order_checkpoint(cx, &checkpoint);
    }

    fn order_checkpoint(&mut self, cx: &mut StoreCx, checkpoint: &Checkpoint) {
        let slot = if checkpoint.generation.is_multiple_of(2) {
            "a"
        } else {
            "b"
        };
        let path = FilePath(format!("{}/checkpoint.{slot}", self.config.journal.directory));
        let saved = Saved {
            start: (checkpoint.start_lsn, checkpoint.start_prev_crc),
            files: checkpoint.journal.len(),
            durable_lsn: checkpoint.durable_lsn,
            generation: checkpoint.generation,
        };
        match checkpoint.encode() {
            Some(content) => self.job(cx, JobFor::Checkpoint(saved), Job::WriteFile { path, content }),
            None => self.fail("a checkpoint could not be encoded: out of memory".into()),
        }
    }

    fn save_grown_indexes(&mut self, cx: &mut StoreCx) {
        let grown: Vec<(SlabKey, i64)> = self
            .parts
            .iter()
            .filter_map(|(key, p)| {
                let active = p.segments.last()?;
                (active.index_entries() >= active.index_saved + INDEX_SAVE_ENTRIES).then_some((key, active.base_offset))
            })
            .collect();
        for (key, base) in grown {
            self.save_index(cx, key, base);
        }
    }

    /// The checkpoint is durable: files before it are recycled. When it could not be written, the journal keeps what it has.
    pub(crate) fn on_checkpoint(&mut self, cx: &mut StoreCx, saved: Saved, result: JobResult) {
        self.reclaim.stage = Stage::Idle;
        if let JobResult::Failed { errno, what } = result {
            self.reclaim.is_paused = true;
            if is_no_space(errno) {
                return self.block(cx, Stuck::Checkpoint, errno, &what);
            }
            tracing::error!(
                "writing a checkpoint failed: {what} (errno {errno}); it is tried again, and the journal cannot be recycled meanwhile. Check \
                 the disk (dmesg)"
            );
            return self.arm_retry(cx);
        }
        self.unblock(Stuck::Checkpoint);
        self.reclaim.start = saved.start;
        (self.saved_files, self.saved_lsn) = (saved.files, saved.durable_lsn);
        self.delete_retired(cx, saved.generation);
        self.journal.release_below(saved.start.0);
        self.evict();
    }
}
