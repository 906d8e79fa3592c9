//! A start with another number of shards: what the old shards' journals and checkpoints hold is written anew, by new owner.
//!
//! Segments stay where they are; only `shards/` changes. Invariants: the new set is complete and flushed before it takes the
//! old one's name; frames are copied byte for byte, in each partition's order; nothing is dropped that the metadata names.

use super::recovery::{self, RecoveredShard};
use super::shard_dirs;
use crate::base::buf::block_ceil;
use crate::base::ids::PartitionId;
use crate::controller::image::Image;
use crate::controller::machine::{Controller, ControllerConfig};
use crate::controller::record::encode_snapshot;
use crate::log::block::{self, BLOCK_HEADER, Block};
use crate::log::checkpoint::{Checkpoint, PartitionCheckpoint};
use crate::log::recovery::{Recovered, RecoveredFrame};
use crate::reactor::Refusal;
use bytes::Bytes;
use std::collections::BTreeMap;
use std::path::Path;

/// Bytes of a block at which the next frame begins a new one.
const BLOCK_AIM: usize = 1 << 20;
/// Run id of the rewritten journals; the shards go on with the next.
const RUN: u64 = 1;

/// What a new shard begins with.
#[derive(Debug, Default)]
pub struct NewShard {
    /// Content of its checkpoint.
    pub checkpoint: Checkpoint,
    /// Its journal files, each of the full size.
    pub journal: Vec<Vec<u8>>,
}

/// Rewrites the directories of all shards for `config.shard_count` shards.
///
/// # Errors
/// A refusal when the metadata names a partition whose log is damaged, or when the new set cannot be written.
pub fn reshard(
    data_dir: &Path,
    old: Vec<RecoveredShard>,
    config: ControllerConfig,
    journal_file: u64,
) -> Result<(), Refusal> {
    let sizes = old.iter().filter_map(|shard| shard.journal_file);
    // Any frame of the old files must fit a new one.
    let file_bytes = sizes.chain([journal_file]).max().unwrap_or(journal_file);
    let shards = config.shard_count;
    let before = ControllerConfig {
        shard_count: old.len() as u16,
        ..config.clone()
    };
    let states: Vec<Recovered> = old.into_iter().map(|shard| shard.state).collect();
    let Some(first) = states.first() else { return Ok(()) };
    // Records are replayed with the number of shards that they were written for; then all partitions are placed anew.
    let replayed = recovery::recover_controller(first, before)?.image();
    let image = Controller::new(Image::clone(&replayed), config).image();
    let new = divide(states, &image, shards, file_bytes)?;
    let write = shard_dirs::replace(
        data_dir,
        |directory, shard| {
            let Some(content) = new.get(usize::from(shard)) else {
                return Ok(());
            };
            let checkpoint = content
                .checkpoint
                .encode()
                .ok_or_else(|| std::io::Error::other("out of memory"))?;
            shard_dirs::write_file(&directory.join("checkpoint.a"), &checkpoint)?;
            for (seq, file) in (1..).zip(&content.journal) {
                shard_dirs::write_file(&directory.join(format!("journal-{seq:06}.jnl")), file)?;
            }
            Ok(())
        },
        shards,
    );
    write.map_err(|error| Refusal {
        cause: format!(
            "the shards' directories in {} cannot be written anew: {error}",
            data_dir.display()
        ),
        remedy: "free some space and check the disk; the old set is untouched".into(),
    })
}

/// Gives each partition's state to its new owner.
fn divide(states: Vec<Recovered>, image: &Image, shards: u16, file_bytes: u64) -> Result<Vec<NewShard>, Refusal> {
    let meta_end = states.first().map_or(0, |state| state.meta_end);
    let mut owned: Vec<BTreeMap<PartitionId, (PartitionCheckpoint, Vec<RecoveredFrame>)>> =
        (0..shards).map(|_| BTreeMap::new()).collect();
    for (id, mut found) in states.into_iter().flat_map(|state| state.partitions) {
        found.base.log_start = found.base.log_start.max(found.log_start);
        let owner = image.owner(id).map(|shard| usize::from(shard.0));
        if let (Some(_), Some(why)) = (owner, &found.broken) {
            return Err(Refusal {
                cause: format!("topic {} partition {} is damaged: {why}", id.topic, id.partition),
                remedy: "run `ringlog inspect` on the data directory, and restore it from a backup".into(),
            });
        }
        // A deleted partition's remains are removed by whoever has its entry.
        let frames = if owner.is_some() { found.frames } else { Vec::new() };
        if let Some(shard) = owned.get_mut(owner.unwrap_or(0)) {
            shard.insert(id, (found.base, frames));
        }
    }
    let mut new = Vec::new();
    for (number, partitions) in owned.into_iter().enumerate() {
        let (bases, frames): (Vec<_>, Vec<_>) = partitions.into_values().unzip();
        let is_first = number == 0;
        let shard = number as u16;
        let (journal, last_lsn) = journal(shard, frames.into_iter().flatten(), file_bytes);
        new.push(NewShard {
            checkpoint: Checkpoint {
                shard,
                generation: 1,
                start_lsn: 1,
                start_prev_crc: 0,
                durable_lsn: last_lsn,
                journal: (1..)
                    .zip(&journal)
                    .map(|(seq, file)| (seq, file.len() as u64))
                    .collect(),
                partitions: bases,
                meta_end: if is_first { meta_end } else { 0 },
                image: if is_first { encode_snapshot(image) } else { Vec::new() },
            },
            journal,
        });
    }
    Ok(new)
}

/// A shard's journal files with all the frames, in blocks chained from the first lsn; and the last lsn.
fn journal(shard: u16, frames: impl Iterator<Item = RecoveredFrame>, file_bytes: u64) -> (Vec<Vec<u8>>, u64) {
    let mut writer = Writer {
        shard,
        file_bytes: file_bytes as usize,
        files: Vec::new(),
        filled: 0,
        lsn: 0,
        prev_crc: 0,
    };
    let mut block: Vec<(u32, Bytes)> = Vec::new();
    let mut len = BLOCK_HEADER;
    for frame in frames {
        if !block.is_empty() && len + frame.bytes.len() > BLOCK_AIM {
            writer.put(&std::mem::take(&mut block), len);
            len = BLOCK_HEADER;
        }
        len += frame.bytes.len();
        block.push((frame.frame.header_crc, frame.bytes));
    }
    if !block.is_empty() {
        writer.put(&block, len);
    }
    (writer.files, writer.lsn)
}

struct Writer {
    shard: u16,
    file_bytes: usize,
    files: Vec<Vec<u8>>,
    /// Bytes used of the last file.
    filled: usize,
    lsn: u64,
    prev_crc: u32,
}

impl Writer {
    /// Appends one block of `len` bytes.
    fn put(&mut self, frames: &[(u32, Bytes)], len: usize) {
        let on_disk = block_ceil(len);
        if self.files.is_empty() || self.filled + on_disk > self.file_bytes {
            self.files.push(vec![0; self.file_bytes.max(on_disk)]);
            self.filled = 0;
        }
        let Some(file) = self.files.last_mut() else { return };
        let place = &mut file[self.filled..self.filled + on_disk];
        let mut at = BLOCK_HEADER;
        let mut frames_crc = 0;
        for (crc, bytes) in frames {
            frames_crc = block::add_frame_crc(frames_crc, *crc);
            place[at..at + bytes.len()].copy_from_slice(bytes);
            at += bytes.len();
        }
        let header = Block {
            shard: self.shard,
            run_id: RUN,
            lsn: self.lsn + 1,
            durable_lsn: self.lsn,
            prev_crc: self.prev_crc,
            len: len as u32,
            frame_count: frames.len() as u32,
            frames_crc,
            header_crc: 0,
        };
        self.prev_crc = block::encode(&header, place);
        self.lsn += 1;
        self.filled += on_disk;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::ids::{FileId, TopicId};
    use crate::log::frame::{Frame, FrameKind, encode_header, payload_crc};
    use crate::log::recovery::{JournalFile, recover};

    /// A chain of frames of one partition, each with a payload of `size` bytes.
    fn frames(partition: u32, count: i64, size: usize) -> Vec<RecoveredFrame> {
        let mut prev_crc = 0;
        let frames = (0..count).map(|offset| {
            let payload = vec![offset as u8; size];
            let mut frame = Frame {
                kind: FrameKind::Batch,
                partition: PartitionId {
                    topic: TopicId([7; 16]),
                    partition,
                },
                leader_epoch: 0,
                base_offset: offset,
                last_offset: offset,
                max_timestamp: 0,
                payload_len: size as u32,
                payload_crc: payload_crc(FrameKind::Batch, &payload),
                prev_crc,
                header_crc: 0,
            };
            let (header, crc) = encode_header(&frame, &payload);
            frame.header_crc = crc;
            prev_crc = crc;
            let bytes = [header.as_slice(), &payload].concat();
            RecoveredFrame {
                frame,
                bytes: Bytes::from(bytes),
                lsn: 1,
            }
        });
        frames.collect()
    }

    #[test]
    fn a_rewritten_journal_recovers_to_the_same_frames_over_several_files() {
        let all: Vec<RecoveredFrame> = [frames(0, 40, 100_000), frames(1, 3, 500), frames(2, 1, 3_000_000)].concat();
        let (files, last_lsn) = journal(3, all.iter().cloned(), 4 << 20);
        assert!(files.len() > 1, "{} files", files.len());
        let journal_files = files.into_iter().zip(1u64..).map(|(content, seq)| JournalFile {
            file: FileId(seq),
            seq,
            content: Bytes::from(content),
        });
        let checkpoint = Checkpoint {
            shard: 3,
            generation: 1,
            start_lsn: 1,
            durable_lsn: last_lsn,
            ..Checkpoint::default()
        };
        let checkpoint = checkpoint.encode().unwrap();
        let state = recover(3, [Some(&checkpoint), None], journal_files.collect()).unwrap();
        let mut found: Vec<(u32, i64, Bytes)> = Vec::new();
        for (id, partition) in &state.partitions {
            assert_eq!(partition.broken, None);
            found.extend(
                partition
                    .frames
                    .iter()
                    .map(|f| (id.partition, f.frame.base_offset, f.bytes.clone())),
            );
        }
        let given: Vec<_> = all
            .iter()
            .map(|f| (f.frame.partition.partition, f.frame.base_offset, f.bytes.clone()))
            .collect();
        assert_eq!(found, given);
        assert_eq!(state.journal.run_id, RUN + 1);
    }
}
