//! Reads the frames of a source segment in chunks. Every frame is verified; damage is an error, never skipped.

use super::Order;
use crate::base::buf::{BLOCK, block_ceil};
use crate::base::compaction::SourceSegment;
use crate::base::ids::PartitionId;
use crate::log::segment::{StoredFrame, read_stretch};
use bytes::Bytes;

/// Where the reading of a segment stands.
pub(super) struct Source {
    segment: SourceSegment,
    partition: PartitionId,
    chunk: usize,
    position: u64,
    /// First offset of the next frame.
    expects: i64,
    /// Bytes that the next frame needs, if more than a chunk.
    want: usize,
}

impl Source {
    pub fn new(segment: SourceSegment, partition: PartitionId, chunk: usize) -> Source {
        Source {
            expects: segment.base_offset,
            segment,
            partition,
            chunk,
            position: 0,
            want: 0,
        }
    }

    /// The next read; `None` at the end.
    pub fn order(&self) -> Option<Order> {
        if self.position >= self.segment.size {
            return None;
        }
        let at = self.position - self.position % BLOCK as u64;
        // A frame's header fits in any case.
        let least = self.want.max((self.position - at) as usize + BLOCK);
        let len = block_ceil(self.chunk.max(least)) as u64;
        Some(Order::Read {
            path: self.segment.path.clone(),
            at,
            len: len.min(self.segment.size - at) as usize,
        })
    }

    /// The frames in what the last order read.
    pub fn take(&mut self, bytes: &Bytes) -> Result<Vec<StoredFrame>, String> {
        let at = self.position - self.position % BLOCK as u64;
        let stretch = read_stretch(self.partition, bytes, at, self.position, Some(self.expects));
        let damaged =
            |position: u64, what: &str| Err(format!("{} is damaged at byte {position}: {what}", self.segment.path.0));
        if let Some(fault) = stretch.fault {
            return damaged(stretch.next_position, &fault.to_string());
        }
        let is_stuck = stretch.next_position <= self.position && stretch.next_len.is_none_or(|len| len <= self.want);
        let needed = stretch.next_position + stretch.next_len.unwrap_or(0) as u64;
        if is_stuck || needed > self.segment.size {
            return damaged(stretch.next_position, "the frame is cut short");
        }
        self.want = stretch.next_len.map_or(0, |len| len + BLOCK);
        self.position = stretch.next_position;
        self.expects = stretch
            .frames
            .last()
            .map_or(self.expects, |last| last.frame.last_offset + 1);
        if self.position >= self.segment.size && self.expects != self.segment.end_offset {
            let what = format!(
                "its frames end at offset {} instead of {}",
                self.expects, self.segment.end_offset
            );
            return damaged(self.position, &what);
        }
        Ok(stretch.frames)
    }
}
