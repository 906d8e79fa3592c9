//! Destaging: durable frames go from memory to the partition's segment in large aligned writes, without flush.
//!
//! Invariants: only frames below the high watermark are destaged; each write starts on a fresh block and ends with a pad, so no
//! segment byte is ever written twice; frames stay in memory until their segment is flushed, so a failed segment write or flush
//! costs a rewrite into a new segment and nothing else.

use crate::base::buf::{BLOCK, block_ceil};
use crate::base::effect::{Effect, Job, JobResult};
use crate::base::ids::FileId;
use crate::base::planted::{self, Planted};
use crate::base::slab::SlabKey;
use crate::log::block::Lsn;
use crate::log::frame::{pad_len, write_pad};
use crate::log::segment::{FileState, IndexState, Segment};
use crate::partition::space::{Stuck, is_no_space};
use crate::partition::state::{DestageStep, Partition};
use crate::partition::store::{IoFor, JobFor, Store, StoreCx};

/// Largest destage write, unless one frame is larger.
const WRITE_MAX: usize = 1 << 20;
/// First allocation of a segment.
const ALLOCATE_FIRST: u64 = 64 << 10;
/// Largest step of allocation.
const ALLOCATE_STEP_MAX: u64 = 64 << 20;

/// Where one frame went.
#[derive(Clone, Copy)]
struct Placed {
    base_offset: i64,
    last_offset: i64,
    max_timestamp: i64,
    position: u64,
    end: u64,
}

/// A job that makes room in a segment.
pub(crate) struct SpaceJob {
    partition: SlabKey,
    segment: i64,
    file: FileId,
    /// Bytes the segment has when it succeeds.
    allocated: u64,
    /// More than the next write needs.
    is_generous: bool,
}

/// A segment write in flight.
pub(crate) struct DestageWrite {
    partition: SlabKey,
    segment: i64,
    /// File and position: after a fence the segment of that name may be another file, or shorter.
    file: FileId,
    at: u64,
    len: u64,
    frames: Vec<Placed>,
    last_crc: u32,
    frame_bytes: usize,
}

impl Store {
    /// Puts a partition into the queue.
    pub(crate) fn queue_destage(&mut self, key: SlabKey) {
        let Some(part) = self.parts.get_mut(key) else { return };
        if !part.destage_queued && part.destage == DestageStep::Idle {
            part.destage_queued = true;
            self.destage_queue.push_back(key);
        }
    }

    /// Destages every frame of blocks below `lsn`.
    pub(crate) fn request_destage_below(&mut self, key: SlabKey, lsn: Lsn) {
        if let Some(part) = self.parts.get_mut(key) {
            part.destage_below = part.destage_below.max(lsn);
        }
        self.queue_destage(key);
    }

    /// Starts as many writes as the bound allows.
    pub(crate) fn pump_destage(&mut self, cx: &mut StoreCx) {
        if self.is_waiting_for_room() {
            return;
        }
        while self.destage_inflight < self.config.destage_inflight_max {
            let Some(key) = self.destage_queue.pop_front() else {
                break;
            };
            let Some(part) = self.parts.get_mut(key) else { continue };
            part.destage_queued = false;
            self.destage_next(cx, key);
        }
    }

    /// One step for a partition: get space, or write.
    fn destage_next(&mut self, cx: &mut StoreCx, key: SlabKey) {
        let Some(part) = self.parts.get_mut(key) else { return };
        if part.destage != DestageStep::Idle {
            return; // its end queues the partition again
        }
        let Some((frame_bytes, first_offset)) = plan_write(part) else {
            return;
        };
        let len = block_ceil(frame_bytes) as u64;
        let segment_bytes = part.topic.config.segment_bytes.min(self.config.segment_bytes_max);
        if needs_roll(part, len, segment_bytes, cx.now.wall_ms) {
            self.roll(cx, key, first_offset);
        }
        if self.ensure_space(cx, key, (first_offset, len), true) {
            self.write_segment(cx, key, frame_bytes);
        }
    }

    /// Seals the active segment (if any), so that the next destage starts a new one.
    pub(crate) fn roll(&mut self, cx: &mut StoreCx, key: SlabKey, next_base: i64) {
        let Some(part) = self.parts.get_mut(key) else { return };
        part.roll_requested = false;
        let id = part.id;
        if let Some(active) = part.segments.last_mut().filter(|s| !s.sealed) {
            active.sealed = true;
            let (base, written, file) = (active.base_offset, active.written, active.file);
            let path = active.path(id);
            active.allocated = written;
            if let FileState::Open(file) = file {
                let job = Job::Truncate {
                    file,
                    path,
                    to: written,
                };
                self.job(
                    cx,
                    JobFor::Housekeeping("releasing a sealed segment's spare space"),
                    job,
                );
            }
            self.save_index(cx, key, base);
        }
        if let Some(part) = self.parts.get_mut(key) {
            part.segments.push(Segment::new(next_base, cx.now));
        }
    }

    /// Writes a segment's index file, when memory holds the index.
    pub(crate) fn save_index(&mut self, cx: &mut StoreCx, key: SlabKey, base: i64) {
        let Some(part) = self.parts.get_mut(key) else { return };
        let id = part.id;
        let Some(segment) = part.segment_mut(base) else { return };
        let IndexState::Loaded(index) = &segment.index else {
            return;
        };
        segment.index_saved = index.entries.len();
        let job = Job::WriteFile {
            path: segment.index_path(id),
            content: index.encode(id, base, segment.life),
        };
        self.job(cx, JobFor::Housekeeping("writing an index"), job);
    }

    /// True when the active segment has a file with room for `len` more bytes; else a job for it is under way, which asks for more
    /// than that when `is_generous`.
    fn ensure_space(
        &mut self,
        cx: &mut StoreCx,
        key: SlabKey,
        (first_offset, len): (i64, u64),
        is_generous: bool,
    ) -> bool {
        let Some(part) = self.parts.get_mut(key) else {
            return false;
        };
        if part.segments.last().is_none_or(|s| s.sealed) {
            part.segments.push(Segment::new(first_offset, cx.now));
        }
        let segment_bytes = part.topic.config.segment_bytes.min(self.config.segment_bytes_max);
        let Some(active) = part.segments.last() else {
            return false;
        };
        let (base, need) = (active.base_offset, active.written + len);
        match active.file {
            FileState::Open(_) if need <= active.allocated => return true,
            FileState::Closed if active.written > 0 => {
                part.destage = DestageStep::Opening;
                self.open_segment(cx, key, base);
            }
            FileState::Opening(_) => part.destage = DestageStep::Opening,
            FileState::Open(_) | FileState::Closed => {
                let step = active.allocated.clamp(ALLOCATE_FIRST, ALLOCATE_STEP_MAX);
                let grown = (active.allocated + step).min(block_ceil(segment_bytes as usize) as u64);
                let to = if is_generous { grown.max(need) } else { need };
                self.order_space(cx, key, to, to > need);
            }
        }
        false
    }

    /// Makes the active segment's file, or extends it, to `to` bytes.
    fn order_space(&mut self, cx: &mut StoreCx, key: SlabKey, to: u64, is_generous: bool) {
        let new_file = self.file_id();
        let keep_free = self.config.disk_reserve_bytes;
        let Some(part) = self.parts.get_mut(key) else { return };
        part.destage = DestageStep::Space;
        let id = part.id;
        let Some(active) = part.segments.last_mut() else { return };
        let path = active.path(id);
        let (file, job) = match active.file {
            FileState::Open(file) => {
                let more = to.saturating_sub(active.allocated);
                let job = Job::Extend {
                    file,
                    path,
                    to,
                    more,
                    keep_free,
                };
                (file, job)
            }
            _ => {
                active.file = FileState::Opening(new_file);
                let job = Job::CreateSegment {
                    file: new_file,
                    path,
                    bytes: to,
                    keep_free,
                };
                (new_file, job)
            }
        };
        let space = SpaceJob {
            partition: key,
            segment: active.base_offset,
            file,
            allocated: to,
            is_generous,
        };
        self.job(cx, JobFor::SegmentSpace(space), job);
    }

    /// A job for space ended.
    pub(crate) fn on_segment_space(&mut self, cx: &mut StoreCx, space: SpaceJob, result: JobResult) {
        let (key, file) = (space.partition, space.file);
        let Some(part) = self.parts.get_mut(key) else {
            return cx.effects.push(Effect::CloseFile { file });
        };
        part.destage = DestageStep::Idle;
        let asked = |s: &&mut Segment| matches!(s.file, FileState::Opening(f) | FileState::Open(f) if f == file);
        let Some(segment) = part.segment_mut(space.segment).filter(asked) else {
            // Fenced meanwhile: the file is of no use, and only now another may be made.
            cx.effects.push(Effect::CloseFile { file });
            return self.queue_destage_if_due(key);
        };
        match result {
            JobResult::Failed { errno, what } => {
                if segment.file == FileState::Opening(file) {
                    segment.file = FileState::Closed;
                }
                self.on_no_space(cx, &space, errno, &what);
            }
            _ => {
                segment.file = FileState::Open(file);
                segment.allocated = space.allocated;
                self.unblock(Stuck::Segment(key));
                self.destage_next(cx, key);
            }
        }
        self.queue_destage_if_due(key);
    }

    fn on_no_space(&mut self, cx: &mut StoreCx, space: &SpaceJob, errno: i32, what: &str) {
        let key = space.partition;
        let plan = self.parts.get(key).and_then(plan_write);
        if let Some((bytes, first_offset)) = plan
            && space.is_generous
            && is_no_space(errno)
        {
            // What is due may fit where the usual step does not.
            self.ensure_space(cx, key, (first_offset, block_ceil(bytes) as u64), false);
            return;
        }
        self.block(cx, Stuck::Segment(key), errno, what);
    }

    /// Queues a partition that has enough to write, or has to because of the journal.
    pub(crate) fn queue_destage_if_due(&mut self, key: SlabKey) {
        let Some(part) = self.parts.get(key) else { return };
        let forced = first_undestaged_lsn(part).is_some_and(|lsn| lsn < part.destage_below);
        if forced || part.fenced.is_some() || part.undestaged_bytes >= self.config.destage_bytes {
            self.queue_destage(key);
        }
    }

    /// Copies the planned frames into an aligned buffer, pads it and writes it.
    fn write_segment(&mut self, cx: &mut StoreCx, key: SlabKey, frame_bytes: usize) {
        let key_io = self.io_key();
        let Some(part) = self.parts.get_mut(key) else { return };
        let (id, from) = (part.id, part.destaged_end);
        let Some(active) = part.segments.last_mut() else { return };
        active.begin_life(cx.now);
        let (segment, at, file) = (active.base_offset, active.written, active.file);
        let FileState::Open(file) = file else { return };
        let mut buf = self.pool.take(frame_bytes);
        let mut placed = Vec::new();
        let (mut used, mut last_crc, mut end_offset) = (0, 0, from);
        for tail in part.tail.from(from) {
            if used == frame_bytes {
                break;
            }
            let end = used + tail.bytes.len();
            buf.as_mut()[used..end].copy_from_slice(&tail.bytes);
            placed.push(Placed {
                base_offset: tail.frame.base_offset,
                last_offset: tail.frame.last_offset,
                max_timestamp: tail.frame.max_timestamp,
                position: at + used as u64,
                end: at + end as u64,
            });
            (used, last_crc, end_offset) = (end, tail.frame.header_crc, tail.frame.last_offset + 1);
        }
        let padded = used + pad_len(used);
        write_pad(&mut buf.as_mut()[used..padded], id, end_offset);
        part.destaged_end = end_offset;
        part.undestaged_bytes = part.undestaged_bytes.saturating_sub(used);
        part.destage = DestageStep::Writing;
        debug_assert!(at.is_multiple_of(BLOCK as u64) && padded.is_multiple_of(BLOCK));
        cx.metrics.disk_written_bytes += padded as u64;
        self.destage_inflight += 1;
        let data = self.pool.freeze(buf, padded);
        #[cfg(debug_assertions)]
        self.rewrite_last_block(cx, key, file, at, &data);
        cx.effects.push(Effect::Write {
            key: key_io,
            file,
            at,
            data,
            durable: false,
        });
        let write = DestageWrite {
            partition: key,
            segment,
            file,
            at,
            len: padded as u64,
            frames: placed,
            last_crc,
            frame_bytes: used,
        };
        self.ios.insert(key_io, IoFor::Destage(write));
    }

    /// [`Planted::TailRewrite`]: the block that ends at `at` is written again in its place, as if its pad were being filled.
    #[cfg(debug_assertions)]
    fn rewrite_last_block(&mut self, cx: &mut StoreCx, key: SlabKey, file: FileId, at: u64, data: &bytes::Bytes) {
        if !planted::is(Planted::TailRewrite) {
            return;
        }
        let block = data.slice(data.len() - BLOCK..);
        let end = at + data.len() as u64;
        let before = self.last_blocks.insert(key, (file, end, block));
        if let Some((_, _, data)) = before.filter(|b| (b.0, b.1) == (file, at)) {
            let key = self.io_key();
            let at = at - BLOCK as u64;
            cx.effects.push(Effect::Write {
                key,
                file,
                at,
                data,
                durable: false,
            });
        }
    }

    /// A segment write ended.
    pub(crate) fn on_destaged(&mut self, cx: &mut StoreCx, write: DestageWrite, result: Result<(), i32>) {
        self.destage_inflight -= 1;
        let Some(part) = self.parts.get_mut(write.partition) else {
            return;
        };
        part.destage = DestageStep::Idle;
        if let Err(errno) = result
            && !planted::is(Planted::FailedWriteIgnored)
        {
            tracing::error!("writing {} bytes to a segment failed", write.frame_bytes);
            return self.fence(cx, write.partition, write.segment, errno);
        }
        let fenced = part.fenced.is_some();
        let Some(segment) = part
            .segment_mut(write.segment)
            .filter(|s| s.is_at(write.file, write.at))
        else {
            return self.queue_destage_if_due(write.partition); // fenced meanwhile: written anew elsewhere
        };
        segment.written += write.len;
        segment.written_crc = write.last_crc;
        for placed in &write.frames {
            segment.end_offset = placed.last_offset + 1;
            segment.max_timestamp = segment.max_timestamp.max(placed.max_timestamp);
            // An index that came from a file while this was written may end before it: readers fill the gap.
            if let IndexState::Loaded(index) = &mut segment.index
                && index.continues_at(placed.base_offset, placed.position)
            {
                index.add(
                    placed.base_offset,
                    placed.last_offset,
                    placed.max_timestamp,
                    placed.position,
                    placed.end,
                );
            }
        }
        if let IndexState::Loaded(index) = &mut segment.index
            && index.covered_end == segment.end_offset
        {
            index.covered_position = segment.written;
        }
        if fenced {
            self.sync_segment(cx, write.partition, write.segment);
        }
        self.queue_destage_if_due(write.partition);
    }
}

/// Bytes of the next write and the first offset in it: durable frames from `destaged_end` on. `None` when nothing is due.
fn plan_write(part: &Partition) -> Option<(usize, i64)> {
    let mut bytes = 0;
    let mut first = None;
    for tail in part.tail.from(part.destaged_end) {
        if tail.frame.last_offset >= part.high_watermark || (bytes > 0 && bytes + tail.bytes.len() > WRITE_MAX) {
            break;
        }
        first.get_or_insert(tail.frame.base_offset);
        bytes += tail.bytes.len();
    }
    first.map(|first| (bytes, first))
}

/// The block of the oldest durable frame that no segment write has taken.
pub(crate) fn first_undestaged_lsn(part: &Partition) -> Option<Lsn> {
    part.tail.from(part.destaged_end).next().map(|f| f.lsn)
}

fn needs_roll(part: &Partition, len: u64, segment_bytes: u64, now_ms: i64) -> bool {
    let config = &part.topic.config;
    part.segments.last().is_some_and(|active| {
        !active.sealed
            && active.written > 0
            && (part.roll_requested
                || active.written + len > segment_bytes
                || now_ms.saturating_sub(active.created_ms) > config.segment_ms)
    })
}
