//! Checkpoint of a shard: what recovery starts from. Two alternating checksummed copies; the newest intact one counts.
//!
//! Holds, per partition, everything that the journal no longer holds: segments, flushed end, epochs, producer windows.
//! Positions are whole blocks, since every destage write ends with a pad.

use crate::base::buf::BLOCK;
use crate::base::ids::TopicId;
use crate::base::planted::{self, Planted};
use crate::log::block::{LSN_MAX, Lsn};
use crate::log::frame::OFFSET_MAX;
use bytes::Bytes;
use rkyv::rancor::Error;
use rkyv::{Archive, Deserialize, Serialize};

const CHECKPOINT_MAGIC: u32 = 0x3143_4c52;
/// Format version of checkpoints.
const CHECKPOINT_VERSION: u32 = 4;
const PREFIX: usize = 16;

/// A shard's state up to the journal block before `start_lsn`.
#[derive(Clone, Debug, PartialEq, Eq, Archive, Serialize, Deserialize)]
pub struct Checkpoint {
    /// Whose it is.
    pub shard: u16,
    /// Grows with each checkpoint of the shard.
    pub generation: u64,
    /// First block to replay, at least 1. It is the first block of a journal file.
    pub start_lsn: Lsn,
    /// Checksum of the block before it (0 before the first).
    pub start_prev_crc: u32,
    /// The last block that was durable when this was written: a journal that ends before it has lost something.
    pub durable_lsn: Lsn,
    /// The journal's files: (number in the name, bytes). None of them may be missing or shorter.
    pub journal: Vec<(u64, u64)>,
    /// Partitions of this shard.
    pub partitions: Vec<PartitionCheckpoint>,
    /// Shard 0: number of metadata records contained in `image`.
    pub meta_end: i64,
    /// Shard 0: encoded metadata image (empty elsewhere and before the first).
    pub image: Vec<u8>,
}

impl Default for Checkpoint {
    /// Of a shard that has nothing.
    fn default() -> Self {
        Checkpoint {
            shard: 0,
            generation: 0,
            start_lsn: 1,
            start_prev_crc: 0,
            durable_lsn: 0,
            journal: Vec::new(),
            partitions: Vec::new(),
            meta_end: 0,
            image: Vec::new(),
        }
    }
}

/// One partition.
#[derive(Clone, Debug, Default, PartialEq, Eq, Archive, Serialize, Deserialize)]
pub struct PartitionCheckpoint {
    /// Topic id.
    pub topic: [u8; 16],
    /// Index.
    pub partition: u32,
    /// First offset of the log.
    pub log_start: i64,
    /// Everything below is flushed in segments.
    pub flushed_end: i64,
    /// Everything below was compacted together: no key has two records below.
    pub cleaned_end: i64,
    /// Checksum of the last frame below `flushed_end`.
    pub last_crc: u32,
    /// (leader epoch, first offset), ascending.
    pub epochs: Vec<(i32, i64)>,
    /// Ascending; only the last can be unsealed.
    pub segments: Vec<SegmentCheckpoint>,
    /// Idempotent producers' windows, durable batches only.
    pub producers: Vec<ProducerCheckpoint>,
}

/// One segment.
#[derive(Clone, Debug, Default, PartialEq, Eq, Archive, Serialize, Deserialize)]
pub struct SegmentCheckpoint {
    /// First offset, also the file's name.
    pub base_offset: i64,
    /// Exclusive end of the flushed part.
    pub end_offset: i64,
    /// Flushed bytes, whole blocks.
    pub size: u64,
    /// Largest record timestamp.
    pub max_timestamp: i64,
    /// Broker's wall clock at the first append, for `segment.ms`.
    pub created_ms: i64,
    /// Life of the file's content that an index has to have, too.
    pub life: u64,
    /// No more appends.
    pub sealed: bool,
    /// Made by compaction: the file's name tells its life.
    pub compacted: bool,
}

/// One producer's window on one partition.
#[derive(Clone, Debug, Default, PartialEq, Eq, Archive, Serialize, Deserialize)]
pub struct ProducerCheckpoint {
    /// Producer id.
    pub producer_id: i64,
    /// Its epoch.
    pub epoch: i16,
    /// Broker's wall clock at the last append.
    pub last_append_ms: i64,
    /// Last batches, oldest first: (first sequence, last sequence, base offset, last offset, broker append time or -1).
    pub batches: Vec<(i32, i32, i64, i64, i64)>,
}

impl Checkpoint {
    /// The file's content. `None` only when memory is out.
    pub fn encode(&self) -> Option<Bytes> {
        let content = rkyv::to_bytes::<Error>(self).ok()?;
        let mut out = Vec::with_capacity(PREFIX + content.len());
        out.extend_from_slice(&CHECKPOINT_MAGIC.to_le_bytes());
        out.extend_from_slice(&CHECKPOINT_VERSION.to_le_bytes());
        out.extend_from_slice(&(content.len() as u32).to_le_bytes());
        out.extend_from_slice(&crc32c::crc32c(&content).to_le_bytes());
        out.extend_from_slice(&content);
        Some(Bytes::from(out))
    }

    /// Reads a file; the error says what is wrong with it.
    pub fn decode(bytes: &[u8]) -> Result<Checkpoint, String> {
        let head = bytes.get(..PREFIX).ok_or("checkpoint is cut short")?;
        let word = |i: usize| u32::from_le_bytes([head[i], head[i + 1], head[i + 2], head[i + 3]]);
        if word(0) != CHECKPOINT_MAGIC {
            return Err("not a checkpoint file".into());
        }
        if word(4) != CHECKPOINT_VERSION {
            return Err(format!(
                "checkpoint version {} is not the one this program reads ({CHECKPOINT_VERSION}): start the version that wrote it",
                word(4)
            ));
        }
        let content = bytes[PREFIX..]
            .get(..word(8) as usize)
            .ok_or("checkpoint is cut short")?;
        if crc32c::crc32c(content) != word(12) {
            return Err("checkpoint checksum is wrong".into());
        }
        let found = rkyv::from_bytes::<Checkpoint, Error>(content)
            .map_err(|e| format!("checkpoint content is malformed: {e}"))?;
        match found.contradiction() {
            Some(what) => Err(format!("checkpoint content cannot be: {what}")),
            None => Ok(found),
        }
    }

    /// What no shard writes, whatever the checksum says; everything after a start counts on it.
    fn contradiction(&self) -> Option<String> {
        if !(1..LSN_MAX).contains(&self.start_lsn) || self.generation >= LSN_MAX {
            return Some(format!("block {}, generation {}", self.start_lsn, self.generation));
        }
        let is_offset = |offset: i64| (0..OFFSET_MAX).contains(&offset);
        if self.durable_lsn >= LSN_MAX {
            return Some(format!("durable block {}", self.durable_lsn));
        }
        if !is_offset(self.meta_end) {
            return Some(format!("metadata record {}", self.meta_end));
        }
        let broken = self.partitions.iter().find(|part| {
            let ends = [part.log_start, part.flushed_end, part.cleaned_end]
                .into_iter()
                .all(is_offset);
            let extent = |s: &SegmentCheckpoint| is_offset(s.base_offset) && is_offset(s.end_offset);
            let ordered = part.segments.windows(2).all(|s| s[0].end_offset <= s[1].base_offset);
            let whole = |s: &SegmentCheckpoint| s.base_offset <= s.end_offset && s.size.is_multiple_of(BLOCK as u64);
            !(ends && ordered && part.segments.iter().all(|s| extent(s) && whole(s)))
        })?;
        Some(format!(
            "extent of partition {} of topic {}",
            broken.partition,
            TopicId(broken.topic)
        ))
    }

    /// The newest intact of a shard's two copies. Both missing = a new shard; present copies that are all damaged = an error. The text
    /// beside a checkpoint says what is wrong with the other copy.
    #[allow(clippy::type_complexity)]
    pub fn newest(shard: u16, copies: [Option<&[u8]>; 2]) -> Result<Option<(Checkpoint, Option<String>)>, String> {
        let newer = |old: &Checkpoint, new: &Checkpoint| {
            (old.generation < new.generation) != planted::is(Planted::StaleCheckpoint)
        };
        let mut best: Option<Checkpoint> = None;
        let mut faults = Vec::new();
        for (name, copy) in ["checkpoint.a", "checkpoint.b"].iter().zip(copies) {
            match copy.map(|bytes| Checkpoint::decode(bytes)?.of_shard(shard)) {
                None => {}
                Some(Ok(found)) if best.as_ref().is_none_or(|b| newer(b, &found)) => best = Some(found),
                Some(Ok(_)) => {}
                Some(Err(fault)) => faults.push(format!("{name}: {fault}")),
            }
        }
        let faults = (!faults.is_empty()).then(|| faults.join("; "));
        match (best, faults) {
            (None, Some(faults)) => Err(faults),
            (best, faults) => Ok(best.map(|best| (best, faults))),
        }
    }

    fn of_shard(self, shard: u16) -> Result<Checkpoint, String> {
        if self.shard == shard {
            Ok(self)
        } else {
            Err(format!("it belongs to shard {}, not to shard {shard}", self.shard))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_intact_copy_counts() {
        let old = Checkpoint {
            generation: 1,
            ..Default::default()
        };
        let new = Checkpoint {
            generation: 2,
            image: vec![1, 2, 3],
            ..Default::default()
        };
        let (a, b) = (new.encode().expect("encodes"), old.encode().expect("encodes"));
        assert_eq!(Checkpoint::newest(0, [Some(&a), Some(&b)]), Ok(Some((new, None))));
        let mut torn = a.to_vec();
        let last = torn.len() - 1;
        torn[last] ^= 0x80;
        let fault = Some("checkpoint.a: checkpoint checksum is wrong".to_string());
        assert_eq!(Checkpoint::newest(0, [Some(&torn), Some(&b)]), Ok(Some((old, fault))));
        assert_eq!(Checkpoint::newest(0, [None, None]), Ok(None));
        assert!(
            Checkpoint::newest(0, [Some(&torn), None]).is_err(),
            "damage is not taken for an empty shard"
        );
        let foreign = Checkpoint::newest(1, [Some(&a), None]).expect_err("another shard's");
        assert!(foreign.contains("belongs to shard 0"), "{foreign}");
    }

    #[test]
    fn values_that_no_shard_writes_are_refused_although_the_checksum_holds() {
        let with = |change: fn(&mut Checkpoint)| {
            let segment = SegmentCheckpoint {
                base_offset: 10,
                end_offset: 20,
                size: 4096,
                ..Default::default()
            };
            let mut saved = Checkpoint {
                partitions: vec![PartitionCheckpoint {
                    flushed_end: 20,
                    segments: vec![segment],
                    ..Default::default()
                }],
                ..Default::default()
            };
            change(&mut saved);
            Checkpoint::decode(&saved.encode().expect("encodes"))
        };
        assert!(with(|_| {}).is_ok());
        let changes: [fn(&mut Checkpoint); 10] = [
            |c| c.durable_lsn = u64::MAX,
            |c| c.start_lsn = 0,
            |c| c.start_lsn = u64::MAX,
            |c| c.generation = u64::MAX,
            |c| c.meta_end = -1,
            |c| c.partitions[0].log_start = -1,
            |c| c.partitions[0].flushed_end = i64::MAX,
            |c| c.partitions[0].cleaned_end = -1,
            |c| c.partitions[0].segments[0].end_offset = 9,
            |c| c.partitions[0].segments[0].size = 4095,
        ];
        for (number, change) in changes.into_iter().enumerate() {
            let refused = with(change).expect_err("refused");
            assert!(refused.contains("cannot be"), "{number}: {refused}");
        }
    }
}
