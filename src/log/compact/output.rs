//! Writes frames into a new segment, and its index.
//!
//! A frame accounts for all offsets since the one before it, so that frames stay dense where records are gone: a frame that
//! is missing is damage here as anywhere, and a reader that asks for an offset in a gap finds the next batch.

use super::Order;
use crate::base::buf::BLOCK;
use crate::base::compaction::CompactedSegment;
use crate::base::ids::PartitionId;
use crate::log::frame::{Frame, FrameKind, encode_header, pad_len, write_pad};
use crate::log::index::Index;
use crate::log::segment::compacted_paths;
use crate::wire::batch::BatchInfo;
use bytes::Bytes;
use std::collections::VecDeque;

/// A segment that is being made.
pub(super) struct Output {
    partition: PartitionId,
    life: u64,
    made: CompactedSegment,
    prev_crc: u32,
    /// Not ordered to be written yet.
    pending: Vec<u8>,
    index: Index,
}

impl Output {
    /// A segment whose first frame accounts for offsets from `base_offset` on.
    pub fn new(partition: PartitionId, base_offset: i64, life: u64, orders: &mut VecDeque<Order>) -> Output {
        let [path, _] = compacted_paths(partition, base_offset, life);
        orders.push_back(Order::Create { path });
        Output {
            partition,
            life,
            made: CompactedSegment {
                base_offset,
                end_offset: base_offset,
                size: 0,
                max_timestamp: i64::MIN,
            },
            prev_crc: 0,
            pending: Vec::new(),
            index: Index::new(base_offset),
        }
    }

    /// Exclusive end of what it accounts for.
    pub fn end_offset(&self) -> i64 {
        self.made.end_offset
    }

    /// Bytes so far.
    pub fn len(&self) -> u64 {
        self.made.size + self.pending.len() as u64
    }

    /// Appends a batch that was in a frame of `leader_epoch`.
    pub fn put(&mut self, batch: &[u8], leader_epoch: i32, max_timestamp: Option<i64>) -> Result<(), String> {
        let info = BatchInfo::peek(batch).ok_or("a batch without header")?;
        let frame = Frame {
            kind: FrameKind::Batch,
            partition: self.partition,
            leader_epoch,
            base_offset: self.made.end_offset,
            last_offset: info.last_offset(),
            max_timestamp: max_timestamp.unwrap_or(-1),
            payload_len: u32::try_from(batch.len()).map_err(|_| "a batch is too long")?,
            payload_crc: info.crc,
            prev_crc: self.prev_crc,
            header_crc: 0,
        };
        let position = self.len();
        let (header, crc) = encode_header(&frame, batch);
        self.pending.extend_from_slice(&header);
        self.pending.extend_from_slice(batch);
        let end = self.len();
        self.index
            .add(frame.base_offset, frame.last_offset, frame.max_timestamp, position, end);
        self.prev_crc = crc;
        self.made.end_offset = frame.last_offset + 1;
        if let Some(timestamp) = max_timestamp {
            self.made.max_timestamp = self.made.max_timestamp.max(timestamp);
        }
        Ok(())
    }

    /// Orders whole blocks to be written once they make a chunk.
    pub fn drain(&mut self, chunk: usize, orders: &mut VecDeque<Order>) {
        if self.pending.len() < chunk.max(BLOCK) {
            return;
        }
        let rest = self.pending.split_off(self.pending.len() - self.pending.len() % BLOCK);
        self.write(rest, orders);
    }

    fn write(&mut self, rest: Vec<u8>, orders: &mut VecDeque<Order>) {
        let data = Bytes::from(std::mem::replace(&mut self.pending, rest));
        let at = self.made.size;
        self.made.size += data.len() as u64;
        orders.push_back(Order::Write { at, data });
    }

    /// Orders what is left, and the file to be finished.
    pub fn finish(mut self, orders: &mut VecDeque<Order>) -> CompactedSegment {
        let used = self.pending.len();
        let pad = pad_len(used);
        self.pending.resize(used + pad, 0);
        if let Some(gap) = self.pending.get_mut(used..) {
            write_pad(gap, self.partition, self.made.end_offset);
        }
        if !self.pending.is_empty() {
            self.write(Vec::new(), orders);
        }
        self.index.covered_position = self.made.size;
        let base_offset = self.made.base_offset;
        let [path, index_path] = compacted_paths(self.partition, base_offset, self.life);
        let index = self.index.encode(self.partition, base_offset, self.life);
        orders.push_back(Order::Finish {
            path,
            index_path,
            index,
        });
        self.made
    }
}
