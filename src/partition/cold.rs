//! Cold reads: frames that memory no longer holds, read from segments in windows with read-ahead.
//!
//! Invariants: the windows' pool is bounded and apart from the tail cache, so a backlog reader never evicts the tail; every byte
//! that leaves was verified (frame identity, header and payload checksums) when its window was read; damage is reported,
//! never served and never cut away.

use crate::base::buf::{BLOCK, block_ceil};
use crate::base::effect::{Effect, Job, JobResult};
use crate::base::ids::FileId;
use crate::base::slab::SlabKey;
use crate::log::frame::FrameError;
use crate::log::index::Index;
use crate::log::segment::{FileState, IndexState, Segment, StoredFrame, index_path, read_stretch, segment_path};
use crate::metrics::Stage;
use crate::partition::state::{DestageStep, Partition};
use crate::partition::store::{IoFor, JobFor, Store, StoreCx};
use bytes::Bytes;
use std::collections::{BTreeMap, BTreeSet};

/// Segment files kept open per shard beyond the active ones; the least recently used are closed.
const OPEN_SEALED_MAX: usize = 1_000;

/// A read in flight.
pub(crate) struct ColdRead {
    partition: SlabKey,
    segment: i64,
    /// The offset that is looked for; the sparse index may lead to a place well before it.
    wanted: i64,
    /// Where a frame starts.
    position: u64,
    /// Block-aligned start of the read.
    at: u64,
    len: u32,
    /// Monotonic time of the order, nanoseconds.
    asked_ns: u64,
}

/// Verified frames of a stretch of a segment.
pub(crate) struct Window {
    pub frames: Vec<StoredFrame>,
    /// Exclusive end offset.
    pub end_offset: i64,
    segment: i64,
    next_position: u64,
    bytes: usize,
    used: u64,
}

/// What stands in the way of a cold read.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Cold {
    /// A read or job is under way; ask again when something of the partition arrives.
    Wait,
    /// No such offset in a segment.
    Nothing,
    /// The segment is damaged or unreadable there.
    Damaged(String),
}

/// All cold state of a shard.
pub(crate) struct ColdReads {
    windows: BTreeMap<(SlabKey, i64), Window>,
    bytes: usize,
    bytes_max: usize,
    window_bytes: usize,
    clock: u64,
    reading: BTreeSet<(SlabKey, i64, u64)>,
    damaged: BTreeMap<(SlabKey, i64), (u64, String)>,
    opened: Vec<(SlabKey, i64)>,
}

impl ColdReads {
    pub(crate) fn new(bytes_max: usize, window_bytes: usize) -> Self {
        ColdReads {
            windows: BTreeMap::new(),
            bytes: 0,
            bytes_max: bytes_max.max(2 * window_bytes),
            window_bytes: block_ceil(window_bytes),
            clock: 0,
            reading: BTreeSet::new(),
            damaged: BTreeMap::new(),
            opened: Vec::new(),
        }
    }
    /// Bytes held.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }
    /// The window that holds `offset`.
    pub(crate) fn window(&mut self, key: SlabKey, offset: i64) -> Option<&Window> {
        self.clock += 1;
        let (_, window) = self.windows.range_mut((key, i64::MIN)..=(key, offset)).next_back()?;
        if offset >= window.end_offset {
            return None;
        }
        window.used = self.clock;
        Some(window)
    }
    /// The nearest known start of a frame at or before `offset` in the segment: where the last window before it ends.
    fn position_before(&self, key: SlabKey, segment: i64, offset: i64) -> Option<u64> {
        let (_, window) = self.windows.range((key, i64::MIN)..(key, offset)).next_back()?;
        (window.end_offset <= offset && window.segment == segment).then_some(window.next_position)
    }
    fn insert(&mut self, key: SlabKey, window: Window) {
        let Some(base) = window.frames.first().map(|f| f.frame.base_offset) else {
            return;
        };
        self.clock += 1;
        self.bytes += window.bytes;
        if let Some(old) = self.windows.insert((key, base), window) {
            self.bytes -= old.bytes;
        }
        // Never the new one, however large: its readers are about to take it, else they would ask for it for ever.
        while self.bytes > self.bytes_max && self.windows.len() > 1 {
            let others = self.windows.iter().filter(|(k, _)| **k != (key, base));
            let oldest = others.min_by_key(|(_, w)| w.used).map(|(k, _)| *k);
            let Some(window) = oldest.and_then(|k| self.windows.remove(&k)) else {
                break;
            };
            self.bytes -= window.bytes;
        }
    }
    /// Drops everything of a partition.
    pub(crate) fn forget(&mut self, key: SlabKey) {
        let gone: Vec<_> = self
            .windows
            .range((key, i64::MIN)..=(key, i64::MAX))
            .map(|(k, _)| *k)
            .collect();
        for k in gone {
            if let Some(window) = self.windows.remove(&k) {
                self.bytes -= window.bytes;
            }
        }
        self.damaged.retain(|(k, _), _| *k != key);
        self.opened.retain(|(k, _)| *k != key);
    }
}

impl Store {
    /// Sees to it that the window with `offset` is read. `offset` is below the tail.
    pub(crate) fn want_cold(&mut self, cx: &mut StoreCx, key: SlabKey, offset: i64) -> Cold {
        let Some(part) = self.parts.get_mut(key) else {
            return Cold::Nothing;
        };
        let Some(index) = part.segment_index(offset) else {
            return Cold::Nothing;
        };
        let segment = &part.segments[index];
        let (base, written) = (segment.base_offset, segment.written);
        let FileState::Open(file) = segment.file else {
            if segment.file == FileState::Closed {
                self.open_segment(cx, key, base);
            }
            return Cold::Wait;
        };
        let position = match &segment.index {
            IndexState::Loaded(index) => index.position_for_offset(offset),
            IndexState::Loading => return Cold::Wait,
            IndexState::Absent => {
                self.load_index(cx, key, base);
                return Cold::Wait;
            }
        };
        let position = position.max(self.cold.position_before(key, base, offset).unwrap_or(0));
        self.read_cold(cx, key, (base, written, offset), file, position, self.cold.window_bytes)
    }

    fn read_cold(
        &mut self,
        cx: &mut StoreCx,
        key: SlabKey,
        (segment, written, wanted): (i64, u64, i64),
        file: FileId,
        position: u64,
        want: usize,
    ) -> Cold {
        if let Some((at, why)) = self.cold.damaged.get(&(key, segment))
            && *at == position
        {
            return Cold::Damaged(why.clone());
        }
        if position >= written {
            return Cold::Nothing;
        }
        if !self.cold.reading.insert((key, segment, position)) {
            return Cold::Wait;
        }
        let at = position - position % BLOCK as u64;
        // Counted from `at`: a window a block longer than a power of two would take a buffer of twice the size. A frame's header
        // fits in any case.
        let len = (want as u64).max(position - at + BLOCK as u64).min(written - at);
        let len = block_ceil(len as usize) as u32;
        let io = self.io_key();
        cx.metrics.cache_misses += 1;
        cx.effects.push(Effect::Read { key: io, file, at, len });
        self.ios.insert(
            io,
            IoFor::Cold(ColdRead {
                partition: key,
                segment,
                wanted,
                position,
                at,
                len,
                asked_ns: cx.now.mono_ns,
            }),
        );
        Cold::Wait
    }

    /// A cold read ended.
    pub(crate) fn on_cold_read(&mut self, cx: &mut StoreCx, read: ColdRead, result: Result<Bytes, i32>) {
        self.cold.reading.remove(&(read.partition, read.segment, read.position));
        let Some(part) = self.parts.get_mut(read.partition) else {
            return;
        };
        let id = part.id;
        let bytes = match result {
            Ok(bytes) => bytes,
            Err(errno) => {
                // Perhaps it passes: those who wait are told, the next one tries again.
                let path = segment_path(id, read.segment).0;
                let why = format!("{path}: reading at byte {} failed (errno {errno})", read.at);
                tracing::error!("{why}");
                return self.fail_waiting(cx, read.partition, &why);
            }
        };
        cx.metrics.disk_read_bytes += bytes.len() as u64;
        cx.metrics
            .stage(Stage::FetchRead, cx.now.mono_ns.saturating_sub(read.asked_ns));
        let stretch = if bytes.len() as u64 > read.position - read.at {
            read_stretch(id, &bytes, read.at, read.position)
        } else {
            Err((read.position, FrameError::Short))
        };
        match stretch {
            Ok(stretch) => self.take_stretch(cx, &read, stretch),
            Err(_) if self.distrust_index(&read) => {}
            Err((at, fault)) => self.note_damage(&read, at, fault.to_string()),
        }
        self.rerun_waiting(cx, read.partition);
    }

    /// A frame was not where it should be. An index from a file may describe an earlier life of the segment (written again after
    /// a crash in other strides): it is thrown away and rebuilt from the segment's start. False when it was built from the log.
    fn distrust_index(&mut self, read: &ColdRead) -> bool {
        let part = self.parts.get_mut(read.partition);
        let Some(segment) = part.and_then(|p| p.segment_mut(read.segment)) else {
            return false;
        };
        let was = std::mem::take(&mut segment.index_from_file);
        if was {
            tracing::warn!(
                "the index of segment {:020} does not fit it and is rebuilt",
                read.segment
            );
            segment.index = IndexState::Loaded(Index::new(read.segment));
            segment.index_saved = 0;
        }
        was
    }

    fn note_damage(&mut self, read: &ColdRead, at: u64, why: String) {
        let Some(part) = self.parts.get_mut(read.partition) else {
            return;
        };
        let id = part.id;
        if let Some(segment) = part.segment_mut(read.segment)
            && at == read.position
            && let IndexState::Loaded(index) = &segment.index
            && index.entries.iter().any(|entry| entry.position == at)
        {
            // An index file can be older than a segment that was written anew: read the segment itself before judging it.
            segment.index = IndexState::Loaded(Index::new(read.segment));
            return;
        }
        let path = segment_path(id, read.segment).0;
        let text = format!("{path} at byte {at}: {why}");
        tracing::error!("{text}; the records there cannot be served");
        self.cold
            .damaged
            .insert((read.partition, read.segment), (read.position, text));
    }

    fn take_stretch(&mut self, cx: &mut StoreCx, read: &ColdRead, stretch: crate::log::segment::Stretch) {
        let Some(part) = self.parts.get_mut(read.partition) else {
            return;
        };
        if part.segment_mut(read.segment).is_none() {
            return;
        }
        let beyond = stretch
            .frames
            .first()
            .is_some_and(|f| f.frame.base_offset > read.wanted);
        if beyond && self.distrust_index(read) {
            return;
        }
        let Some(segment) = self
            .parts
            .get_mut(read.partition)
            .and_then(|p| p.segment_mut(read.segment))
        else {
            return;
        };
        extend_index(segment, &stretch.frames, stretch.next_position);
        let written = segment.written;
        let file = segment.file;
        let (next, next_len) = (stretch.next_position, stretch.next_len);
        let mut reached = false;
        if let Some(last) = stretch.frames.last() {
            let end_offset = last.frame.last_offset + 1;
            reached = end_offset > read.wanted;
            let window = Window {
                end_offset,
                segment: read.segment,
                next_position: next,
                bytes: read.len as usize,
                used: self.cold.clock + 1,
                frames: stretch.frames,
            };
            self.cold.insert(read.partition, window);
        }
        let FileState::Open(file) = file else { return };
        let extent = (read.segment, written, read.wanted);
        match next_len {
            _ if reached || next >= written => {}
            Some(len) if next + len as u64 > written && self.distrust_index(read) => {}
            Some(len) if next + len as u64 > written => {
                self.note_damage(read, next, "a frame announces more bytes than the segment holds".into());
            }
            Some(len) => {
                let want = self.cold.window_bytes.max(len + BLOCK);
                self.read_cold(cx, read.partition, extent, file, next, want);
            }
            None if next > read.position => {
                self.read_cold(cx, read.partition, extent, file, next, self.cold.window_bytes);
            }
            None => {}
        }
    }

    /// Opens a segment's file.
    pub(crate) fn open_segment(&mut self, cx: &mut StoreCx, key: SlabKey, base: i64) {
        let file = self.file_id();
        let Some(part) = self.parts.get_mut(key) else { return };
        let path = segment_path(part.id, base);
        let Some(segment) = part.segment_mut(base) else { return };
        segment.file = FileState::Opening(file);
        self.job(
            cx,
            JobFor::SegmentOpen {
                partition: key,
                segment: base,
                file,
            },
            Job::Open { file, path },
        );
    }

    /// A segment was opened, or could not be.
    pub(crate) fn on_segment_open(
        &mut self,
        cx: &mut StoreCx,
        key: SlabKey,
        base: i64,
        file: FileId,
        result: JobResult,
    ) {
        let failed = match result {
            JobResult::Failed { errno, what } => Some(format!("{what} (errno {errno})")),
            _ => None,
        };
        let Some(segment) = self
            .parts
            .get_mut(key)
            .and_then(|p| p.segment_mut(base))
            .filter(|s| s.file == FileState::Opening(file))
        else {
            if failed.is_none() {
                cx.effects.push(Effect::CloseFile { file });
            }
            return;
        };
        let wants_destage = !segment.sealed;
        segment.file = if failed.is_none() {
            FileState::Open(file)
        } else {
            FileState::Closed
        };
        let waits = |p: &&mut Partition| wants_destage && p.destage == DestageStep::Opening;
        if let Some(part) = self.parts.get_mut(key).filter(waits) {
            part.destage = DestageStep::Idle;
        }
        if let Some(why) = failed {
            tracing::error!("a segment cannot be opened: {why}");
            self.fail_waiting(cx, key, &why);
            self.arm_retry(cx);
        } else {
            self.cold.opened.push((key, base));
            self.close_least_recent(cx);
            self.queue_destage_if_due(key);
        }
        self.rerun_waiting(cx, key);
    }

    /// Keeps the number of open sealed segments bounded.
    fn close_least_recent(&mut self, cx: &mut StoreCx) {
        if self.cold.opened.len() <= OPEN_SEALED_MAX {
            return;
        }
        let (key, base) = self.cold.opened.remove(0);
        let reading = self.cold.reading.iter().any(|(k, b, _)| *k == key && *b == base);
        let Some(segment) = self.parts.get_mut(key).and_then(|p| p.segment_mut(base)) else {
            return;
        };
        if segment.sealed && !reading && segment.flushed == segment.written {
            let closed = segment.clone();
            segment.file = FileState::Closed;
            self.close_segment(cx, &closed);
        } else {
            self.cold.opened.push((key, base));
        }
    }

    /// Closes a segment's file, if open.
    pub(crate) fn close_segment(&mut self, cx: &mut StoreCx, segment: &Segment) {
        if let FileState::Open(file) = segment.file {
            cx.effects.push(Effect::CloseFile { file });
        }
    }

    fn load_index(&mut self, cx: &mut StoreCx, key: SlabKey, base: i64) {
        let Some(part) = self.parts.get_mut(key) else { return };
        let path = index_path(part.id, base);
        let Some(segment) = part.segment_mut(base) else { return };
        segment.index = IndexState::Loading;
        self.job(
            cx,
            JobFor::IndexLoad {
                partition: key,
                segment: base,
            },
            Job::ReadFile { path },
        );
    }

    /// An index file was read. Missing, damaged or ahead of the segment: it is rebuilt while the segment is read.
    pub(crate) fn on_index_loaded(&mut self, cx: &mut StoreCx, key: SlabKey, base: i64, result: JobResult) {
        let Some(part) = self.parts.get_mut(key) else { return };
        let id = part.id;
        let Some(segment) = part.segment_mut(base) else { return };
        let found = match &result {
            JobResult::Content(bytes) => Index::decode(bytes, id, base),
            _ => None,
        };
        let (life, position, end) = segment.index_limit;
        let usable = found
            .filter(|(i, of)| *of == life && i.covered_position <= position && i.covered_end <= end)
            .map(|(index, _)| index);
        segment.index_from_file = usable.is_some();
        let index = usable.unwrap_or_else(|| Index::new(base));
        segment.index_saved = index.entries.len();
        segment.index = IndexState::Loaded(index);
        self.rerun_waiting(cx, key);
    }
}

/// Adds frames read behind what the index covers.
fn extend_index(segment: &mut Segment, frames: &[StoredFrame], next_position: u64) {
    let IndexState::Loaded(index) = &mut segment.index else {
        return;
    };
    for stored in frames {
        if index.continues_at(stored.frame.base_offset, stored.position) {
            let end = stored.position + stored.frame.len() as u64;
            index.add(
                stored.frame.base_offset,
                stored.frame.last_offset,
                stored.frame.max_timestamp,
                stored.position,
                end,
            );
        }
    }
    let reaches = frames
        .last()
        .is_some_and(|f| f.frame.last_offset + 1 == index.covered_end);
    if reaches && next_position > index.covered_position {
        index.covered_position = next_position;
    }
}
