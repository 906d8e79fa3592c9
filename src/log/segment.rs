//! A segment as its shard knows it: extent, state of its file, index. And the reading of frames from segment bytes.
//!
//! Invariants: `written` and `flushed` are whole blocks (each destage write ends with a pad), no byte below `written` is ever
//! written again; only the last segment of a partition is unsealed.

use crate::base::compaction::CompactedSegment;
use crate::base::effect::FilePath;
use crate::base::ids::{FileId, Now, PartitionId};
use crate::log::checkpoint::SegmentCheckpoint;
use crate::log::frame::{self, FRAME_HEADER, Frame, FrameError, FrameKind};
use crate::log::index::Index;
use bytes::Bytes;

/// State of a segment's file in this run.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FileState {
    /// Not opened in this run.
    Closed,
    /// A job creates or opens it as this file.
    Opening(FileId),
    /// Open.
    Open(FileId),
}

/// The segment's index as far as memory holds it.
#[derive(Clone, Debug)]
pub enum IndexState {
    /// In memory.
    Loaded(Index),
    /// On disk or to be rebuilt.
    Absent,
    /// A job or a scan brings it.
    Loading,
}

/// One segment.
#[derive(Clone, Debug)]
pub struct Segment {
    /// First offset, also in the name.
    pub base_offset: i64,
    /// Exclusive end of what is written.
    pub end_offset: i64,
    /// Written bytes.
    pub written: u64,
    /// Exclusive end of what is flushed.
    pub flushed_end: i64,
    /// Flushed bytes.
    pub flushed: u64,
    /// Checksum of the last frame written.
    pub written_crc: u32,
    /// Checksum of the last frame flushed.
    pub flushed_crc: u32,
    /// Allocated bytes.
    pub allocated: u64,
    /// Largest timestamp, `i64::MIN` when empty.
    pub max_timestamp: i64,
    /// Broker's wall clock at creation.
    pub created_ms: i64,
    /// No more appends.
    pub sealed: bool,
    /// Made by compaction: the file's name tells its life.
    pub compacted: bool,
    /// The file's name is durable: a checkpoint may name it.
    pub named: bool,
    /// Its file.
    pub file: FileState,
    /// Its index.
    pub index: IndexState,
    /// Tag of what is written from now on in this file: a new one with each file and with each run that appends to it, since
    /// what a crash cut off is written again in other strides. An index counts only for the life it was made in.
    pub life: u64,
    /// No write of this run yet.
    pub from_earlier_run: bool,
    /// The index came from a file and has to prove itself.
    pub index_from_file: bool,
    /// Entries of the index already in its file.
    pub index_saved: usize,
    /// The life of an index file of an earlier run, and bytes and end offset up to which it may be believed.
    pub index_limit: (u64, u64, i64),
}

impl Segment {
    /// A new empty segment.
    pub fn new(base_offset: i64, now: Now) -> Self {
        Segment {
            base_offset,
            end_offset: base_offset,
            written: 0,
            flushed_end: base_offset,
            flushed: 0,
            written_crc: 0,
            flushed_crc: 0,
            allocated: 0,
            max_timestamp: i64::MIN,
            created_ms: now.wall_ms,
            sealed: false,
            compacted: false,
            named: false,
            file: FileState::Closed,
            index: IndexState::Loaded(Index::new(base_offset)),
            life: life_at(now),
            from_earlier_run: false,
            index_from_file: false,
            index_saved: 0,
            index_limit: (0, 0, base_offset),
        }
    }
    /// As the checkpoint has it.
    pub fn recovered(saved: &SegmentCheckpoint) -> Self {
        Segment {
            end_offset: saved.end_offset,
            written: saved.size,
            flushed_end: saved.end_offset,
            flushed: saved.size,
            allocated: saved.size,
            max_timestamp: saved.max_timestamp,
            sealed: saved.sealed,
            compacted: saved.compacted,
            named: true,
            index: IndexState::Absent,
            created_ms: saved.created_ms,
            life: saved.life,
            from_earlier_run: true,
            index_limit: (saved.life, saved.size, saved.end_offset),
            ..Segment::new(saved.base_offset, Now::default())
        }
    }
    /// A write is about to be made.
    pub fn begin_life(&mut self, now: Now) {
        if std::mem::take(&mut self.from_earlier_run) {
            self.life = life_at(now);
        }
    }
    /// True when this takes writes as `file` and the next one goes to `at`.
    pub fn is_at(&self, file: FileId, at: u64) -> bool {
        !self.sealed && self.file == FileState::Open(file) && self.written == at
    }
    /// Entries of the index, 0 when it is not in memory.
    pub fn index_entries(&self) -> usize {
        match &self.index {
            IndexState::Loaded(index) => index.entries.len(),
            _ => 0,
        }
    }
    /// For the checkpoint: the flushed part.
    pub fn checkpoint(&self) -> SegmentCheckpoint {
        SegmentCheckpoint {
            base_offset: self.base_offset,
            end_offset: self.flushed_end,
            size: self.flushed,
            max_timestamp: self.max_timestamp,
            created_ms: self.created_ms,
            life: self.life,
            sealed: self.sealed && self.flushed == self.written,
            compacted: self.compacted,
        }
    }
    /// What compaction made in place of segments of which the oldest was created at `created_ms`.
    pub fn compacted(made: &CompactedSegment, life: u64, created_ms: i64) -> Self {
        let saved = SegmentCheckpoint {
            base_offset: made.base_offset,
            end_offset: made.end_offset,
            size: made.size,
            max_timestamp: made.max_timestamp,
            created_ms,
            life,
            sealed: true,
            compacted: true,
        };
        // The directories above may be as new as the file.
        Segment {
            named: false,
            ..Segment::recovered(&saved)
        }
    }
    /// Its log file.
    pub fn path(&self, partition: PartitionId) -> FilePath {
        file_path(partition, self.base_offset, self.compacted.then_some(self.life), "seg")
    }
    /// Its index file.
    pub fn index_path(&self, partition: PartitionId) -> FilePath {
        file_path(partition, self.base_offset, self.compacted.then_some(self.life), "idx")
    }
}

impl SegmentCheckpoint {
    /// Its log file.
    pub fn path(&self, partition: PartitionId) -> FilePath {
        file_path(partition, self.base_offset, self.compacted.then_some(self.life), "seg")
    }
    /// Its index file.
    pub fn index_path(&self, partition: PartitionId) -> FilePath {
        file_path(partition, self.base_offset, self.compacted.then_some(self.life), "idx")
    }
}

/// Differs from all others of the same segment: between two of them time passes, and between runs both clocks move.
pub fn life_at(now: Now) -> u64 {
    (now.wall_ms as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ now.mono_ns
}

/// `topics/<topic>/<partition>`.
pub fn partition_directory(partition: PartitionId) -> FilePath {
    FilePath(format!("topics/{}/{}", partition.topic, partition.partition))
}

/// A file of a segment; compacted ones carry their life, so that no two files of a partition ever have the same name.
fn file_path(partition: PartitionId, base_offset: i64, life: Option<u64>, kind: &str) -> FilePath {
    let directory = partition_directory(partition).0;
    FilePath(match life {
        None => format!("{directory}/{base_offset:020}.{kind}"),
        Some(life) => format!("{directory}/{base_offset:020}-{life:016x}.{kind}"),
    })
}

/// The log and index file that compaction makes.
pub fn compacted_paths(partition: PartitionId, base_offset: i64, life: u64) -> [FilePath; 2] {
    ["seg", "idx"].map(|kind| file_path(partition, base_offset, Some(life), kind))
}

/// Base offset, and the life of what compaction made, in the name of a segment's log or index file; `None` for any other file.
pub fn parse_file_name(name: &str) -> Option<(i64, Option<u64>)> {
    let stem = name.strip_suffix(".seg").or_else(|| name.strip_suffix(".idx"))?;
    let (digits, life) = match stem.split_once('-') {
        Some((digits, life)) => (digits, Some(life)),
        None => (stem, None),
    };
    let plain = digits.len() == 20 && digits.bytes().all(|byte| byte.is_ascii_digit());
    let base_offset = plain.then(|| digits.parse().ok())??;
    match life {
        None => Some((base_offset, None)),
        Some(life) if life.len() == 16 => Some((base_offset, Some(u64::from_str_radix(life, 16).ok()?))),
        Some(_) => None,
    }
}

/// A batch frame inside read bytes.
#[derive(Clone, Debug)]
pub struct StoredFrame {
    /// Header values.
    pub frame: Frame,
    /// Byte position in the segment.
    pub position: u64,
    /// The record batch.
    pub batch: Bytes,
}

/// What reading a stretch of a segment gave.
#[derive(Clone, Debug, Default)]
pub struct Stretch {
    /// Whole batch frames in order, verified.
    pub frames: Vec<StoredFrame>,
    /// Where the next frame starts.
    pub next_position: u64,
    /// Bytes that the frame at `next_position` needs, when its header was seen but not all of it.
    pub next_len: Option<usize>,
    /// What is wrong at `next_position`: damage.
    pub fault: Option<FrameError>,
}

/// Cuts `bytes`, read from `at` on (a position where a frame may start once `from` is reached), into verified frames of `partition`.
/// Stops before a frame that is not wholly there, and before damage. A good frame in the wrong place is damage, too: the first one
/// has to begin at offset `expects` (where that is known), each other one has to continue the one before.
pub fn read_stretch(partition: PartitionId, bytes: &Bytes, at: u64, from: u64, expects: Option<i64>) -> Stretch {
    let mut stretch = Stretch {
        next_position: from,
        ..Default::default()
    };
    let mut index = (from.saturating_sub(at)) as usize;
    let mut expects = expects;
    let mut prev_crc = None;
    loop {
        index = frame::next_frame_at(bytes, index);
        stretch.next_position = at + index as u64;
        let rest = bytes.get(index..).unwrap_or_default();
        if rest.len() < FRAME_HEADER {
            return stretch;
        }
        let found = match frame::decode(rest) {
            Ok(found) => found,
            Err(FrameError::Short) => {
                stretch.next_len = frame_len_hint(rest);
                return stretch;
            }
            Err(fault) => {
                stretch.fault = Some(fault);
                return stretch;
            }
        };
        if found.partition != partition {
            stretch.fault = Some(FrameError::Foreign);
            return stretch;
        }
        if found.kind == FrameKind::Batch {
            let follows = expects.is_none_or(|offset| offset == found.base_offset)
                && prev_crc.is_none_or(|crc| crc == found.prev_crc);
            if !follows {
                stretch.fault = Some(FrameError::Order(found.base_offset));
                return stretch;
            }
            (expects, prev_crc) = (Some(found.last_offset + 1), Some(found.header_crc));
            let batch = bytes.slice(index + FRAME_HEADER..index + found.len());
            stretch.frames.push(StoredFrame {
                frame: found,
                position: stretch.next_position,
                batch,
            });
        }
        index += found.len();
    }
}

/// Length that a frame header announces before it can be verified; bounded by the caller.
fn frame_len_hint(bytes: &[u8]) -> Option<usize> {
    let at = 56;
    let raw = bytes.get(at..at + 4)?;
    Some(FRAME_HEADER + u32::from_le_bytes([raw[0], raw[1], raw[2], raw[3]]) as usize)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::buf::BLOCK;
    use crate::base::ids::TopicId;
    use crate::log::frame::{encode_header, pad_len, payload_crc, write_pad};

    const PART: PartitionId = PartitionId {
        topic: TopicId([7; 16]),
        partition: 3,
    };

    /// A frame of `len` bytes that continues the one with checksum `prev_crc`, and its own checksum.
    fn chained(offset: i64, len: usize, prev_crc: u32) -> (Vec<u8>, u32) {
        let payload = vec![9; len - FRAME_HEADER];
        let frame = Frame {
            kind: FrameKind::Batch,
            partition: PART,
            leader_epoch: 0,
            base_offset: offset,
            last_offset: offset,
            max_timestamp: 0,
            payload_len: payload.len() as u32,
            payload_crc: payload_crc(FrameKind::Batch, &payload),
            prev_crc,
            header_crc: 0,
        };
        let (header, crc) = encode_header(&frame, &payload);
        ([&header[..], &payload].concat(), crc)
    }

    /// Two writes: a frame that ends `left` bytes before a block boundary, the next frame right behind it, a pad, one more frame.
    #[test]
    fn frames_are_found_however_close_to_a_block_boundary_they_start_and_end() {
        for left in 0..2 * FRAME_HEADER {
            for last_gap in 0..2 * FRAME_HEADER {
                let (first, crc) = chained(0, BLOCK - left, 0);
                let (second, crc) = chained(1, BLOCK + left - last_gap, crc);
                let mut bytes = [first, second].concat();
                let used = bytes.len();
                bytes.resize(used + pad_len(used), 0xee);
                write_pad(&mut bytes[used..], PART, 2);
                bytes.extend(chained(2, 500, crc).0);
                let stretch = read_stretch(PART, &Bytes::from(bytes), 0, 0, Some(0));
                assert_eq!(stretch.fault, None, "{left}, {last_gap}: at {}", stretch.next_position);
                let offsets: Vec<_> = stretch.frames.iter().map(|f| f.frame.base_offset).collect();
                assert_eq!(
                    offsets,
                    [0, 1, 2],
                    "{left} bytes before the boundary, {last_gap} at the end"
                );
            }
        }
    }

    #[test]
    fn offsets_that_no_append_makes_are_damage_although_the_checksum_holds() {
        let payload = [9; 100];
        for (base_offset, last_offset) in [(-1, 0), (5, 4), (0, i64::MAX)] {
            let frame = Frame {
                base_offset,
                last_offset,
                kind: FrameKind::Batch,
                partition: PART,
                leader_epoch: 0,
                max_timestamp: 0,
                payload_len: 100,
                payload_crc: payload_crc(FrameKind::Batch, &payload),
                prev_crc: 0,
                header_crc: 0,
            };
            let bytes = [&encode_header(&frame, &payload).0[..], &payload].concat();
            let stretch = read_stretch(PART, &Bytes::from(bytes), 0, 0, None);
            assert_eq!((stretch.next_position, stretch.fault), (0, Some(FrameError::Offsets)));
        }
    }

    #[test]
    fn good_frames_in_the_wrong_place_are_damage_and_those_before_them_are_not() {
        let block = |offset, prev_crc| chained(offset, BLOCK, prev_crc);
        let (first, crc) = block(0, 0);
        let (second, second_crc) = block(1, crc);
        let (third, _) = block(2, second_crc);
        let read = |parts: [&[u8]; 3], expects| {
            let stretch = read_stretch(PART, &Bytes::from(parts.concat()), 0, 0, expects);
            (stretch.frames.len(), stretch.fault)
        };
        assert_eq!(read([&first, &second, &third], Some(0)), (3, None));
        assert_eq!(read([&first, &third, &third], Some(0)), (1, Some(FrameError::Order(2))));
        assert_eq!(read([&first, &first, &third], Some(0)), (1, Some(FrameError::Order(0))));
        assert_eq!(
            read([&second, &third, &third], Some(0)),
            (0, Some(FrameError::Order(1)))
        );
        // The right offset, from an earlier life of the partition: only the chain tells.
        let (stale, _) = block(1, crc ^ 1);
        assert_eq!(read([&first, &stale, &third], Some(0)), (1, Some(FrameError::Order(1))));
    }
}
