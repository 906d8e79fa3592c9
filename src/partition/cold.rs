//! Cold reads: frames that memory no longer holds, read from segments in windows with read-ahead.
//!
//! Invariants: the windows' pool is bounded and apart from the tail cache, so a backlog reader never evicts the tail; every byte
//! that leaves was verified (frame identity, header and payload checksums, place in the log) when its window was read; damage is
//! reported, never served and never cut away; what lies before and behind it is served.

use crate::base::buf::{BLOCK, block_ceil};
use crate::base::effect::{Effect, Job, JobResult};
use crate::base::ids::FileId;
use crate::base::slab::SlabKey;
use crate::log::frame::FrameError;
use crate::log::index::Index;
use crate::log::segment::{FileState, IndexState, Segment, StoredFrame, read_stretch};
use crate::metrics::Stage;
use crate::partition::store::{IoFor, JobFor, Store, StoreCx};
use bytes::Bytes;
use std::collections::{BTreeMap, BTreeSet};

/// So long a place found damaged is not read again: then it is, since a file may have been restored, or one read been wrong.
const DAMAGE_HOLDS_NS: u64 = 10_000_000_000;
/// Places remembered as damaged, per shard; the rest is found anew each time.
const DAMAGES_MAX: usize = 10_000;
/// Said with every damage.
pub(super) const DAMAGE_REMEDY: &str =
    "restore the file from a backup while the broker is stopped, or skip these records";

/// A read in flight.
pub(crate) struct ColdRead {
    partition: SlabKey,
    segment: i64,
    /// Its file: a segment of the same name may have taken its place.
    file: FileId,
    /// The offset that is looked for; the sparse index may lead to a place well before it.
    wanted: i64,
    /// Where a frame starts.
    position: u64,
    /// Its first offset.
    expects: i64,
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
    Damaged,
}

/// A place in a segment where no frame is that should be.
struct Damage {
    /// The offset that is missing.
    offset: i64,
    found_ns: u64,
}

/// All cold state of a shard.
pub(crate) struct ColdReads {
    windows: BTreeMap<(SlabKey, i64), Window>,
    bytes: usize,
    bytes_max: usize,
    window_bytes: usize,
    clock: u64,
    pub(super) reading: BTreeSet<(SlabKey, i64, u64)>,
    /// By partition, segment, position.
    damaged: BTreeMap<(SlabKey, i64, u64), Damage>,
    pub(super) opened: Vec<(SlabKey, i64)>,
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
    /// The nearest known start of a frame at or before `offset` in the segment, and its offset: where the last window before ends.
    fn position_before(&self, key: SlabKey, segment: i64, offset: i64) -> Option<(u64, i64)> {
        let (_, window) = self.windows.range((key, i64::MIN)..(key, offset)).next_back()?;
        (window.end_offset <= offset && window.segment == segment).then_some((window.next_position, window.end_offset))
    }
    /// True when the way from `position` to `offset` leads over a place that was found damaged not long ago.
    fn is_damaged(&mut self, (key, segment, position): (SlabKey, i64, u64), offset: i64, now_ns: u64) -> bool {
        let places = (key, segment, position)..=(key, segment, u64::MAX);
        let found = self.damaged.range(places).find(|(_, damage)| damage.offset <= offset);
        let Some((place, damage)) = found.map(|(place, damage)| (*place, damage)) else {
            return false;
        };
        if now_ns.saturating_sub(damage.found_ns) < DAMAGE_HOLDS_NS {
            return true;
        }
        self.damaged.remove(&place);
        false
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
        self.damaged.retain(|(k, _, _), _| *k != key);
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
        let (position, expects) = match &segment.index {
            IndexState::Loaded(index) => index.place_of_offset(offset, base),
            IndexState::Loading => return Cold::Wait,
            IndexState::Absent => {
                self.load_index(cx, key, base);
                return Cold::Wait;
            }
        };
        let before = self.cold.position_before(key, base, offset);
        let place = before.map_or((position, expects), |before| before.max((position, expects)));
        self.read_cold(cx, key, (base, written, offset), file, place, self.cold.window_bytes)
    }

    fn read_cold(
        &mut self,
        cx: &mut StoreCx,
        key: SlabKey,
        (segment, written, wanted): (i64, u64, i64),
        file: FileId,
        (position, expects): (u64, i64),
        want: usize,
    ) -> Cold {
        let place = (key, segment, position);
        if self.cold.is_damaged(place, wanted, cx.now.mono_ns) {
            return Cold::Damaged;
        }
        if position >= written {
            return Cold::Nothing;
        }
        if !self.cold.reading.insert(place) {
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
                file,
                wanted,
                position,
                expects,
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
        let current = |s: &&mut Segment| s.file == FileState::Open(read.file);
        let Some(segment) = part.segment_mut(read.segment).filter(current) else {
            return self.rerun_waiting(cx, read.partition); // dropped or compacted meanwhile
        };
        let path = segment.path(id).0;
        let bytes = match result {
            Ok(bytes) => bytes,
            Err(errno) => {
                // Perhaps it passes: those who wait are told, the next one tries again.
                let why = format!("{path}: reading at byte {} failed (errno {errno})", read.at);
                tracing::error!("{why}");
                return self.fail_waiting(cx, read.partition, &why);
            }
        };
        cx.metrics.disk_read_bytes += bytes.len() as u64;
        cx.metrics
            .stage(Stage::FetchRead, cx.now.mono_ns.saturating_sub(read.asked_ns));
        let mut stretch = read_stretch(id, &bytes, read.at, read.position, Some(read.expects));
        let last = stretch.frames.last().map(|f| f.frame.last_offset);
        if stretch.fault.is_none() && bytes.len() < read.len as usize && last.is_none_or(|last| last < read.wanted) {
            // The file ends before what was written to it.
            stretch.fault = Some(FrameError::Short);
        }
        if stretch.fault.is_none() || !self.distrust_index(&read) {
            self.take_stretch(cx, &read, stretch);
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

    /// The frame with `offset` should begin at `at`, and does not.
    fn note_damage(&mut self, cx: &StoreCx, read: &ColdRead, (at, offset): (u64, i64), why: &str) {
        let Some(part) = self.parts.get(read.partition) else {
            return;
        };
        let segment = part.segments.iter().find(|s| s.base_offset == read.segment);
        let path = segment.map_or(String::new(), |s| s.path(part.id).0);
        tracing::error!(
            "{path} is damaged at byte {at}: {why}; topic {} partition {} cannot be read from offset {offset} on until the next intact \
             place. {DAMAGE_REMEDY}",
            part.topic.name,
            part.id.partition
        );
        if self.cold.damaged.len() >= DAMAGES_MAX {
            self.cold.damaged.pop_first();
        }
        let found_ns = cx.now.mono_ns;
        let place = (read.partition, read.segment, at);
        self.cold.damaged.insert(place, Damage { offset, found_ns });
    }

    fn take_stretch(&mut self, cx: &mut StoreCx, read: &ColdRead, stretch: crate::log::segment::Stretch) {
        let part = self.parts.get_mut(read.partition);
        let Some(segment) = part.and_then(|p| p.segment_mut(read.segment)) else {
            return;
        };
        extend_index(segment, &stretch.frames, stretch.next_position);
        let (written, file) = (segment.written, segment.file);
        let (next, next_len, fault) = (stretch.next_position, stretch.next_len, stretch.fault);
        let end_offset = stretch.frames.last().map_or(read.expects, |f| f.frame.last_offset + 1);
        let reached = end_offset > read.wanted;
        // A verdict on the very place that was asked about, else on where the intact part ends.
        let place = if stretch.frames.is_empty() { read.position } else { next };
        if !stretch.frames.is_empty() {
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
        if let Some(fault) = fault {
            return self.note_damage(cx, read, (place, end_offset), &fault.to_string());
        }
        let FileState::Open(file) = file else { return };
        if reached || next >= written {
            return;
        }
        let too_long = next_len.is_some_and(|len| next + len as u64 > written);
        let stuck = next_len.is_none() && next <= read.position;
        if too_long || stuck {
            if !self.distrust_index(read) {
                let why = "a frame announces more bytes than the segment holds";
                self.note_damage(cx, read, (place, end_offset), why);
            }
            return;
        }
        let want = next_len.map_or(self.cold.window_bytes, |len| self.cold.window_bytes.max(len + BLOCK));
        let extent = (read.segment, written, read.wanted);
        self.read_cold(cx, read.partition, extent, file, (next, end_offset), want);
    }

    fn load_index(&mut self, cx: &mut StoreCx, key: SlabKey, base: i64) {
        let Some(part) = self.parts.get_mut(key) else { return };
        let id = part.id;
        let Some(segment) = part.segment_mut(base) else { return };
        segment.index = IndexState::Loading;
        let (life, path) = (segment.life, segment.index_path(id));
        self.job(
            cx,
            JobFor::IndexLoad {
                partition: key,
                segment: base,
                life,
            },
            Job::ReadFile { path },
        );
    }

    /// An index file was read. Missing, damaged or ahead of the segment: it is rebuilt while the segment is read.
    pub(crate) fn on_index_loaded(
        &mut self,
        cx: &mut StoreCx,
        key: SlabKey,
        (base, life): (i64, u64),
        result: JobResult,
    ) {
        let Some(part) = self.parts.get_mut(key) else { return };
        let id = part.id;
        // Another may have taken its place.
        let waits = |s: &&mut Segment| s.life == life || !s.compacted;
        let Some(segment) = part.segment_mut(base).filter(waits) else {
            return;
        };
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
