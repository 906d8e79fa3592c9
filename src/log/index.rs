//! Sparse index of a segment: about one entry per 64 KiB. A cache: rebuilt from the segment when missing, stale or damaged.

use crate::base::ids::PartitionId;
use bytes::Bytes;
use rkyv::rancor::Error;
use rkyv::{Archive, Deserialize, Serialize};

/// Log bytes between two entries.
pub const INDEX_INTERVAL: u64 = 64 * 1024;
const INDEX_MAGIC: u32 = 0x3249_4c52;
/// Bytes before the content: magic, checksum, identity, life.
const HEAD: usize = 44;

/// One entry: the frame with `base_offset` starts at `position`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Archive, Serialize, Deserialize)]
pub struct IndexEntry {
    /// First offset of the frame.
    pub base_offset: i64,
    /// Byte position of the frame in the segment.
    pub position: u64,
    /// Largest timestamp of all frames *before* this one in the segment (`i64::MIN` for none).
    pub max_timestamp_before: i64,
}

/// The index of one segment up to `covered_position`.
#[derive(Clone, PartialEq, Eq, Debug, Default, Archive, Serialize, Deserialize)]
pub struct Index {
    /// In offset order.
    pub entries: Vec<IndexEntry>,
    /// Byte position behind the last frame that was looked at.
    pub covered_position: u64,
    /// Offset behind that frame.
    pub covered_end: i64,
    /// Largest timestamp seen up to there.
    pub max_timestamp: i64,
}

impl Index {
    /// Empty index of a segment that starts at `base_offset`.
    pub fn new(base_offset: i64) -> Self {
        Index {
            entries: Vec::new(),
            covered_position: 0,
            covered_end: base_offset,
            max_timestamp: i64::MIN,
        }
    }

    /// Notes a frame at `position` that ends at `end_position`, in log order.
    pub fn add(&mut self, base_offset: i64, last_offset: i64, max_timestamp: i64, position: u64, end_position: u64) {
        let due = match self.entries.last() {
            None => true,
            Some(last) => position >= last.position + INDEX_INTERVAL,
        };
        if due {
            self.entries.push(IndexEntry {
                base_offset,
                position,
                max_timestamp_before: self.max_timestamp,
            });
        }
        self.covered_position = end_position;
        self.covered_end = last_offset + 1;
        self.max_timestamp = self.max_timestamp.max(max_timestamp);
    }

    /// Where to start reading for `offset`, and the offset that begins there: the last entry at or before it, else the start of the
    /// segment, which begins at `base_offset`.
    pub fn place_of_offset(&self, offset: i64, base_offset: i64) -> (u64, i64) {
        if offset >= self.covered_end {
            return (self.covered_position, self.covered_end);
        }
        let behind = self.entries.partition_point(|e| e.base_offset <= offset);
        let entry = behind.checked_sub(1).and_then(|i| self.entries.get(i));
        entry.map_or((0, base_offset), |e| (e.position, e.base_offset))
    }

    /// Where to start scanning for the first record with a timestamp of at least `timestamp`: everything before has smaller ones.
    pub fn position_for_timestamp(&self, timestamp: i64) -> u64 {
        if self.max_timestamp < timestamp {
            return self.covered_position;
        }
        let behind = self.entries.partition_point(|e| e.max_timestamp_before < timestamp);
        behind.checked_sub(1).map_or(0, |i| self.entries[i].position)
    }

    /// True when the frame at `position` with `base_offset` is the next one, so that it may be added.
    pub fn continues_at(&self, base_offset: i64, position: u64) -> bool {
        base_offset == self.covered_end && position >= self.covered_position
    }

    /// The index file: magic, checksum, identity, content. `life` is the segment's.
    pub fn encode(&self, partition: PartitionId, base_offset: i64, life: u64) -> Bytes {
        let content = match rkyv::to_bytes::<Error>(self) {
            Ok(content) => content,
            Err(_) => return Bytes::new(), // out of memory only; an empty file is rebuilt
        };
        let mut out = Vec::with_capacity(content.len() + HEAD);
        out.extend_from_slice(&INDEX_MAGIC.to_le_bytes());
        out.extend_from_slice(&[0; 4]);
        out.extend_from_slice(&identity(partition, base_offset));
        out.extend_from_slice(&life.to_le_bytes());
        out.extend_from_slice(&content);
        let crc = crc32c::crc32c(&out[8..]);
        out[4..8].copy_from_slice(&crc.to_le_bytes());
        Bytes::from(out)
    }

    /// Reads an index file: the index and the life of the segment that it describes. `None` when it is not the intact index of a
    /// segment of this name.
    pub fn decode(bytes: &[u8], partition: PartitionId, base_offset: i64) -> Option<(Index, u64)> {
        let head = bytes.get(..HEAD)?;
        if head[..4] != INDEX_MAGIC.to_le_bytes()
            || head[4..8] != crc32c::crc32c(&bytes[8..]).to_le_bytes()
            || head[8..36] != identity(partition, base_offset)
        {
            return None;
        }
        let index = rkyv::from_bytes::<Index, Error>(&bytes[HEAD..]).ok()?;
        let life = u64::from_le_bytes(head[36..HEAD].try_into().ok()?);
        let ordered = index
            .entries
            .windows(2)
            .all(|w| w[0].position < w[1].position && w[0].base_offset < w[1].base_offset);
        let inside = |e: &IndexEntry| e.position < index.covered_position && e.base_offset < index.covered_end;
        (ordered && index.entries.last().is_none_or(inside)).then_some((index, life))
    }
}

/// Which segment a file belongs to.
fn identity(partition: PartitionId, base_offset: i64) -> [u8; 28] {
    let mut out = [0; 28];
    out[..16].copy_from_slice(&partition.topic.0);
    out[16..20].copy_from_slice(&partition.partition.to_le_bytes());
    out[20..].copy_from_slice(&base_offset.to_le_bytes());
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::ids::TopicId;

    const PART: PartitionId = PartitionId {
        topic: TopicId([7; 16]),
        partition: 3,
    };

    fn sample() -> Index {
        let mut index = Index::new(100);
        for i in 0..10u64 {
            index.add(
                100 + i as i64 * 10,
                109 + i as i64 * 10,
                i as i64,
                i * 40_000,
                (i + 1) * 40_000,
            );
        }
        index
    }

    #[test]
    fn finds_the_frame_before_an_offset_and_before_a_timestamp() {
        let index = sample();
        assert_eq!(index.place_of_offset(100, 100), (0, 100));
        assert_eq!(index.place_of_offset(119, 100), (0, 100));
        assert_eq!(index.place_of_offset(125, 100), (80_000, 120));
        assert_eq!(index.place_of_offset(200, 100), (400_000, 200));
        assert_eq!(index.position_for_timestamp(0), 0);
        assert_eq!(index.position_for_timestamp(5), 160_000);
        assert_eq!(index.position_for_timestamp(99), 400_000);
    }

    #[test]
    fn a_file_of_another_segment_or_with_one_flipped_bit_is_refused() {
        let file = sample().encode(PART, 100, 5);
        assert_eq!(Index::decode(&file, PART, 100), Some((sample(), 5)));
        assert_eq!(Index::decode(&file, PART, 101), None);
        assert_eq!(Index::decode(&file, PartitionId { partition: 4, ..PART }, 100), None);
        for at in 0..file.len() {
            let mut bad = file.to_vec();
            bad[at] ^= 1;
            assert_eq!(Index::decode(&bad, PART, 100), None, "bit flipped at {at}");
            assert_eq!(Index::decode(&file[..at], PART, 100), None, "cut at {at}");
        }
    }

    #[test]
    fn an_entry_behind_the_covered_part_is_refused() {
        let mut index = sample();
        index.covered_position = index.entries[2].position;
        assert_eq!(Index::decode(&index.encode(PART, 100, 5), PART, 100), None);
        let mut index = sample();
        index.covered_end = 100;
        assert_eq!(Index::decode(&index.encode(PART, 100, 5), PART, 100), None);
    }
}
