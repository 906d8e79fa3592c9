//! What a compaction job is given, and what it gives back. Plain values: who cleans knows neither shards nor jobs.

use crate::base::effect::FilePath;
use crate::base::ids::PartitionId;

/// A sealed and flushed segment that is read.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SourceSegment {
    /// Its file.
    pub path: FilePath,
    /// First offset.
    pub base_offset: i64,
    /// Exclusive end.
    pub end_offset: i64,
    /// Bytes, whole blocks.
    pub size: u64,
}

/// One stretch of a partition to write anew without what later records of the same key have made worthless.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Compaction {
    /// Whose segments.
    pub partition: PartitionId,
    /// Segments whose keys are looked at: ascending, contiguous, holding `map_from..map_to`.
    pub dirty: Vec<SourceSegment>,
    /// First offset whose key counts.
    pub map_from: i64,
    /// Exclusive end of the offsets whose keys count, if memory suffices.
    pub map_to: i64,
    /// Segments to write anew: ascending, contiguous.
    pub sources: Vec<SourceSegment>,
    /// Tells the new files from all others of the partition.
    pub life: u64,
    /// Memory for keys, bytes. One key may exceed it.
    pub map_bytes: usize,
    /// Bytes of one read or write, unless a frame is larger.
    pub chunk_bytes: usize,
    /// A new segment begins beyond this size.
    pub segment_bytes: u64,
    /// Wall clock, milliseconds.
    pub now_ms: i64,
    /// `delete.retention.ms`.
    pub delete_retention_ms: i64,
    /// (producer id, offset of its last record), ascending: that batch's header stays.
    pub producers: Vec<(i64, i64)>,
    /// Bytes of the file system that have to stay free, else `ENOSPC`.
    pub keep_free: u64,
    /// Bytes read and written per second at most; 0 = unlimited.
    pub bytes_per_second: u64,
}

/// A segment that was made, complete and flushed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct CompactedSegment {
    /// First offset it accounts for.
    pub base_offset: i64,
    /// Exclusive end.
    pub end_offset: i64,
    /// Bytes, whole blocks.
    pub size: u64,
    /// Largest record timestamp, `i64::MIN` without records.
    pub max_timestamp: i64,
}

/// What became of a [`Compaction`].
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Compacted {
    /// In place of the sources below `sources_end`.
    pub segments: Vec<CompactedSegment>,
    /// Exclusive end of the sources that were written anew.
    pub sources_end: i64,
    /// Exclusive end of the offsets whose keys were looked at.
    pub map_end: i64,
    /// Keys that were looked at.
    pub keys: u64,
    /// Bytes read.
    pub bytes_in: u64,
    /// Bytes written.
    pub bytes_out: u64,
    /// Records in the sources.
    pub records_in: u64,
    /// Records kept.
    pub records_out: u64,
    /// Records dropped because they had no key, from before the topic was compacted.
    pub keyless: u64,
}
