//! The tail cache: recent frames in memory, per partition in offset order, per shard in chunks that are evicted oldest first.
//!
//! Invariants: a partition's tail is dense and ends at its log end; a frame leaves it only when it is flushed in a segment, so
//! what the journal alone protects is always in memory (bounded by the journal's size).

use crate::base::slab::SlabKey;
use crate::log::block::Lsn;
use crate::log::frame::{FRAME_HEADER, Frame};
use bytes::Bytes;
use std::collections::{BTreeSet, VecDeque};

/// A frame in memory.
#[derive(Clone, Debug)]
pub struct TailFrame {
    /// Header values.
    pub frame: Frame,
    /// Header and payload.
    pub bytes: Bytes,
    /// Journal block that holds it.
    pub lsn: Lsn,
    /// Chunk that holds it.
    pub chunk_seq: u64,
}

impl TailFrame {
    /// The record batch.
    pub fn batch(&self) -> Bytes {
        self.bytes.slice(FRAME_HEADER..)
    }
}

/// One partition's frames in memory.
#[derive(Clone, Debug, Default)]
pub struct Tail {
    frames: VecDeque<TailFrame>,
}

impl Tail {
    /// Appends the next frame.
    pub fn push(&mut self, frame: TailFrame) {
        if let Some(last) = self.frames.back() {
            assert_eq!(last.frame.last_offset + 1, frame.frame.base_offset, "tail is dense");
        }
        self.frames.push_back(frame);
    }
    /// First offset in memory.
    pub fn base_offset(&self) -> Option<i64> {
        self.frames.front().map(|f| f.frame.base_offset)
    }
    /// Frames from the one that holds `offset` (or the first behind it) on.
    pub fn from(&self, offset: i64) -> impl Iterator<Item = &TailFrame> {
        let start = self.frames.partition_point(|f| f.frame.last_offset < offset);
        self.frames.range(start..)
    }
    /// All frames.
    pub fn iter(&self) -> impl Iterator<Item = &TailFrame> {
        self.frames.iter()
    }
    /// Drops frames of chunks up to `chunk_seq`.
    pub fn evict(&mut self, chunk_seq: u64) {
        while self.frames.front().is_some_and(|f| f.chunk_seq <= chunk_seq) {
            self.frames.pop_front();
        }
    }
}

struct CachedChunk {
    seq: u64,
    bytes: usize,
    max_lsn: Lsn,
    partitions: BTreeSet<SlabKey>,
}

/// All chunks of a shard that tails refer to.
pub struct ChunkCache {
    chunks: VecDeque<CachedChunk>,
    bytes: usize,
    bytes_max: usize,
}

impl ChunkCache {
    /// A cache that evicts above `bytes_max`.
    pub fn new(bytes_max: usize) -> Self {
        ChunkCache {
            chunks: VecDeque::new(),
            bytes: 0,
            bytes_max,
        }
    }
    /// Bytes that tails keep alive.
    pub fn bytes(&self) -> usize {
        self.bytes
    }
    /// More than the bound: evict, and reclaim the journal to be able to.
    pub fn is_over(&self) -> bool {
        self.bytes > self.bytes_max
    }
    /// Notes that `bytes` of chunk `seq` belong to `owner`'s tail.
    pub fn note(&mut self, seq: u64, lsn: Lsn, owner: SlabKey, bytes: usize) {
        if self.chunks.back().is_none_or(|c| c.seq != seq) {
            self.chunks.push_back(CachedChunk {
                seq,
                bytes: 0,
                max_lsn: lsn,
                partitions: BTreeSet::new(),
            });
        }
        if let Some(chunk) = self.chunks.back_mut() {
            chunk.bytes += bytes;
            chunk.max_lsn = chunk.max_lsn.max(lsn);
            chunk.partitions.insert(owner);
        }
        self.bytes += bytes;
    }
    /// Takes out the oldest chunk when the cache is over its bound and everything up to the chunk's last block is flushed in segments.
    /// The caller drops the frames from the tails.
    pub fn pop_evictable(&mut self, flushed_lsn: Lsn) -> Option<(u64, Vec<SlabKey>)> {
        let front = self.chunks.front()?;
        if !self.is_over() || front.max_lsn > flushed_lsn {
            return None;
        }
        let chunk = self.chunks.pop_front()?;
        self.bytes -= chunk.bytes;
        Some((chunk.seq, chunk.partitions.into_iter().collect()))
    }
}
