//! Reclaiming journal space: destage what old files hold, flush the segments and their names, write a checkpoint, then recycle the
//! files.
//!
//! The order is the safety rule (RELIABILITY section 2): segment writes completed -> segments flushed -> names of new segments
//! flushed -> checkpoint with the new journal position durable -> file recycled. Each step waits for the one before.

use crate::base::effect::{Effect, FilePath, Job, JobResult};
use crate::base::ids::{FileId, JobKey};
use crate::base::planted::{self, Planted};
use crate::base::slab::SlabKey;
use crate::log::block::Lsn;
use crate::log::segment::{FileState, Segment, partition_directory};
use crate::partition::destage::first_undestaged_lsn;
use crate::partition::space::{Stuck, explain, is_out_of_files};
use crate::partition::state::DestageStep;
use crate::partition::store::{IoFor, JobFor, Store, StoreCx};
use std::collections::{BTreeSet, VecDeque};

/// Flushes in flight at once: enough for the device, few enough that journal writes do not queue behind them.
const SYNCS_INFLIGHT_MAX: usize = 8;
/// Directories of one job that makes names durable; jobs run side by side and share the file system's commits.
const NAMES_PER_JOB: usize = 64;

pub(crate) enum Stage {
    Idle,
    /// Frames of blocks below the target go to segments.
    Destaging(Pace),
    /// Segments with unflushed writes, not yet asked and asked.
    Syncing {
        waiting: VecDeque<(SlabKey, i64)>,
        asked: BTreeSet<(SlabKey, i64)>,
    },
    /// Names of new segments are being flushed, by this many jobs.
    Naming(usize),
    Checkpointing,
}

/// A new segment whose name is being made durable: partition, base offset, life (see [`Segment::life`]).
pub(crate) type UnnamedSegment = (SlabKey, i64, u64);

/// Partitions that have to write are let go little by little, as the journal grows: a thousand segments that are made and
/// written at once fill the device's queues and its cache, and the journal's own flushes wait behind them.
#[derive(Default)]
pub(crate) struct Pace {
    waiting: VecDeque<SlabKey>,
    /// Partitions at the start.
    total: u64,
    /// The journal's written bytes at the start.
    from_bytes: u64,
}

/// A flush in flight and what it covers.
pub(crate) struct SegmentSync {
    partition: SlabKey,
    segment: i64,
    file: FileId,
    written: u64,
    end_offset: i64,
    crc: u32,
}

/// State of the reclaim.
pub(crate) struct Reclaim {
    pub(crate) stage: Stage,
    /// Where the next checkpoint will start.
    pub(crate) target: (Lsn, u32),
    /// Where the last durable checkpoint starts.
    pub(crate) start: (Lsn, u32),
    /// A checkpoint failed a moment ago.
    pub(crate) is_paused: bool,
}

impl Reclaim {
    pub(crate) fn new(start_lsn: Lsn, start_prev_crc: u32) -> Self {
        Reclaim {
            stage: Stage::Idle,
            target: (start_lsn, start_prev_crc),
            start: (start_lsn, start_prev_crc),
            is_paused: false,
        }
    }
}

impl Store {
    /// Where journal, destaging and reclaim stand, for messages about a broken rule.
    pub fn describe(&self) -> String {
        let stage = match &self.reclaim.stage {
            Stage::Idle => "idle".to_string(),
            Stage::Destaging(pace) => format!("destaging, {} waiting", pace.waiting.len()),
            Stage::Syncing { waiting, asked } => format!("syncing, {} waiting, asked {asked:?}", waiting.len()),
            Stage::Naming(jobs) => format!("flushing names, {jobs} jobs"),
            Stage::Checkpointing => "checkpointing".to_string(),
        };
        format!(
            "{}; reclaim {stage} below {}, {} destage writes in flight, {} queued, retry armed {}, blocked {:?}, {} operations, {} jobs",
            self.journal.describe(),
            self.reclaim.target.0,
            self.destage_inflight,
            self.destage_queue.len(),
            self.retry_armed,
            self.blocked,
            self.ios.len(),
            self.jobs.len()
        )
    }

    /// Starts a reclaim when a quarter of the journal is full or memory is short, and moves a running one on.
    pub(crate) fn pump_reclaim(&mut self, cx: &mut StoreCx) {
        match self.reclaim.stage {
            Stage::Idle if self.reclaim.is_paused => {}
            Stage::Idle => self.start_reclaim(cx),
            Stage::Destaging(_) => {
                self.let_go();
                self.finish_destaging(cx);
            }
            Stage::Syncing { .. } => self.pump_syncs(cx),
            Stage::Naming(0) => self.name_segments(cx),
            Stage::Naming(_) | Stage::Checkpointing => {}
        }
    }

    fn start_reclaim(&mut self, cx: &mut StoreCx) {
        let full = self.journal.full_files();
        let files_max = self.config.journal.file_count;
        let due = full >= (files_max / 4).max(1) || (full > 0 && self.chunks.is_over());
        if !due || self.leaving {
            if self.wants_checkpoint() {
                self.reclaim.target = self.reclaim.start;
                self.name_segments(cx);
            }
            return;
        }
        let target = self.journal.boundary(full);
        self.reclaim.target = target;
        let behind = self
            .parts
            .iter()
            .filter(|(_, p)| first_undestaged_lsn(p).is_some_and(|lsn| lsn < target.0));
        let waiting: VecDeque<SlabKey> = behind.map(|(key, _)| key).collect();
        self.reclaim.stage = Stage::Destaging(Pace {
            total: waiting.len() as u64,
            from_bytes: self.journal.written_bytes(),
            waiting,
        });
        self.let_go();
    }

    /// Lets as many partitions write as the journal's growth since the start asks for: all by the time that another quarter of
    /// the journal is written, and at once when files or memory run short.
    fn let_go(&mut self) {
        let config = &self.config.journal;
        let quarter = (config.file_count / 4).max(1);
        let budget = quarter as u64 * config.file_bytes;
        let hurry = self.journal.spare_files() <= quarter || self.chunks.is_over();
        let target = self.reclaim.target.0;
        loop {
            let written = self.journal.written_bytes();
            let Stage::Destaging(pace) = &mut self.reclaim.stage else {
                return;
            };
            let gone = pace.total - pace.waiting.len() as u64;
            if !hurry && gone * budget >= pace.total * (written - pace.from_bytes) {
                return;
            }
            let Some(key) = pace.waiting.pop_front() else { return };
            self.request_destage_below(key, target);
        }
    }

    fn finish_destaging(&mut self, cx: &mut StoreCx) {
        let target = self.reclaim.target.0;
        let waits = matches!(&self.reclaim.stage, Stage::Destaging(pace) if !pace.waiting.is_empty());
        if waits || self.journal.durable_lsn() + 1 < target {
            return;
        }
        let busy = self.parts.iter().any(|(_, p)| {
            p.fenced.is_some()
                || p.destage == DestageStep::Writing
                || first_undestaged_lsn(p).is_some_and(|lsn| lsn < target)
        });
        if busy {
            return;
        }
        let waiting = self.parts.iter().flat_map(|(key, p)| {
            p.segments
                .iter()
                .filter(|s| s.written > s.flushed)
                .map(move |s| (key, s.base_offset))
        });
        self.reclaim.stage = Stage::Syncing {
            waiting: waiting.collect(),
            asked: BTreeSet::new(),
        };
        self.pump_syncs(cx);
    }

    fn pump_syncs(&mut self, cx: &mut StoreCx) {
        loop {
            let Stage::Syncing { waiting, asked } = &mut self.reclaim.stage else {
                return;
            };
            if asked.len() >= SYNCS_INFLIGHT_MAX {
                return;
            }
            let Some(next) = waiting.pop_front() else { break };
            asked.insert(next);
            if !self.sync_segment(cx, next.0, next.1) {
                self.forget_sync(next);
            }
        }
        if let Stage::Syncing { waiting, asked } = &self.reclaim.stage
            && waiting.is_empty()
            && asked.is_empty()
        {
            self.name_segments(cx);
        }
    }

    /// Makes the names of flushed segments durable, then goes on to the checkpoint. Comes again after each turn, since a segment
    /// may have been made and flushed meanwhile.
    fn name_segments(&mut self, cx: &mut StoreCx) {
        let unnamed = self.parts.iter().flat_map(|(key, p)| {
            let of_checkpoint = p.segments.iter().filter(|s| s.flushed > 0 && !s.named);
            of_checkpoint.map(move |s| (partition_directory(p.id), (key, s.base_offset, s.life)))
        });
        let unnamed: Vec<(FilePath, UnnamedSegment)> = unnamed.collect();
        if unnamed.is_empty() || planted::is(Planted::NamesNotFlushed) {
            return self.write_checkpoint(cx);
        }
        self.reclaim.stage = Stage::Naming(unnamed.len().div_ceil(NAMES_PER_JOB));
        for some in unnamed.chunks(NAMES_PER_JOB) {
            let (directories, segments) = some.iter().cloned().unzip();
            self.job(cx, JobFor::Names(segments), Job::FlushNames { directories });
        }
    }

    /// Names are durable, or it is unknown whether they are.
    pub(crate) fn on_names_flushed(&mut self, cx: &mut StoreCx, segments: Vec<UnnamedSegment>, result: JobResult) {
        if let JobResult::Failed { errno, what } = &result
            && is_out_of_files(*errno)
        {
            // Nothing was flushed: the directory could not even be opened.
            (self.reclaim.stage, self.reclaim.is_paused) = (Stage::Idle, true);
            return self.block(cx, Stuck::Checkpoint, *errno, what);
        }
        if let JobResult::Failed { errno, what } = result {
            // Never retried: a second flush may report success for what the first one lost.
            return self.fail(format!(
                "{what} failed (errno {errno}); nothing is acknowledged any more. Check the disk, then restart"
            ));
        }
        for (key, base, life) in segments {
            let segment = self.parts.get_mut(key).and_then(|p| p.segment_mut(base));
            if let Some(segment) = segment.filter(|s| s.life == life) {
                segment.named = true;
            }
        }
        if let Stage::Naming(jobs) = &mut self.reclaim.stage {
            *jobs = jobs.saturating_sub(1);
        }
        self.pump_reclaim(cx);
    }

    /// What a segment held has to be written again: a reclaim that already flushes goes back to destaging.
    pub(crate) fn reclaim_again(&mut self) {
        if matches!(self.reclaim.stage, Stage::Syncing { .. }) {
            self.reclaim.stage = Stage::Destaging(Pace::default());
        }
    }

    fn forget_sync(&mut self, which: (SlabKey, i64)) {
        if let Stage::Syncing { asked, .. } = &mut self.reclaim.stage {
            asked.remove(&which);
        }
    }

    /// Flushes a segment's completed writes. False when there is nothing to flush.
    pub(crate) fn sync_segment(&mut self, cx: &mut StoreCx, key: SlabKey, base: i64) -> bool {
        let io = self.io_key();
        let Some(segment) = self.parts.get_mut(key).and_then(|p| p.segment_mut(base)) else {
            return false;
        };
        let FileState::Open(file) = segment.file else {
            return false;
        };
        if segment.written == segment.flushed {
            return false;
        }
        let sync = SegmentSync {
            partition: key,
            segment: base,
            file,
            written: segment.written,
            end_offset: segment.end_offset,
            crc: segment.written_crc,
        };
        if planted::is(Planted::ReclaimBeforeFlush) {
            self.on_segment_synced(cx, sync, Ok(()));
            return false;
        }
        self.ios.insert(io, IoFor::Sync(sync));
        cx.effects.push(Effect::Sync { key: io, file });
        true
    }

    /// Flushes a segment that is to be deleted or compacted, unless that is under way.
    pub(crate) fn flush_soon(&mut self, cx: &mut StoreCx, key: SlabKey, base: i64) {
        let is_same = |io: &IoFor| matches!(io, IoFor::Sync(sync) if (sync.partition, sync.segment) == (key, base));
        if !self.ios.values().any(is_same) {
            self.sync_segment(cx, key, base);
        }
    }

    /// A flush ended: what had been written when it was asked for is durable.
    pub(crate) fn on_segment_synced(&mut self, cx: &mut StoreCx, sync: SegmentSync, result: Result<(), i32>) {
        self.forget_sync((sync.partition, sync.segment));
        let Some(part) = self.parts.get_mut(sync.partition) else {
            return;
        };
        let current = |s: &&mut Segment| s.file == FileState::Open(sync.file) && s.written >= sync.written;
        let Some(segment) = part.segment_mut(sync.segment).filter(current) else {
            return; // fenced meanwhile
        };
        if let Err(errno) = result
            && !planted::is(Planted::FailedFlushIgnored)
        {
            // Never retried: a failed flush may have dropped the data while a second one reports success.
            self.fence(cx, sync.partition, sync.segment, errno);
            return;
        }
        if sync.written > segment.flushed {
            segment.flushed = sync.written;
            segment.flushed_end = sync.end_offset;
            segment.flushed_crc = sync.crc;
        }
        self.advance_flushed(sync.partition);
        self.drop_segments(cx, sync.partition);
    }

    /// The flushed end follows the contiguous flushed prefix of the segments.
    fn advance_flushed(&mut self, key: SlabKey) {
        let Some(part) = self.parts.get_mut(key) else { return };
        for segment in &part.segments {
            if segment.flushed_end > part.flushed_end {
                part.flushed_end = segment.flushed_end;
                part.flushed_crc = segment.flushed_crc;
            }
            if segment.flushed < segment.written {
                break;
            }
        }
        if part.fenced.is_some() && part.flushed_end == part.destaged_end {
            tracing::info!(
                "topic {} partition {} is rewritten and takes writes again",
                part.topic.name,
                part.id.partition
            );
            part.fenced = None;
        }
    }

    /// A journal file was prepared, or could not be.
    pub(crate) fn on_journal_prepared(&mut self, cx: &mut StoreCx, key: JobKey, result: JobResult) {
        let ready = !matches!(result, JobResult::Failed { .. });
        self.journal.on_prepared(key, ready);
        if let JobResult::Failed { errno, what } = result {
            let why = explain(errno, &what);
            if self.journal.file_total() == 0 {
                return self.fail(format!("no journal file could be made: {why}"));
            }
            if !std::mem::replace(&mut self.is_journal_short, true) {
                tracing::warn!("a further journal file could not be made, the journal stays smaller: {why}");
            }
            return self.arm_retry(cx);
        }
        self.is_journal_short = false;
        self.prepare_journal(cx);
    }
}
