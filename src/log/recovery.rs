//! Recovery of a shard: newest checkpoint plus journal replay. Pure: bytes in, state out; recovering twice gives the same.
//!
//! Accepts only the next lsn of the expected run; a newer run starts at the head of a file. Where the chain ends, a later block
//! of the same run that was issued after the missing one was durable proves damage (an error), anything else is a torn tail.
//! The caller flushes the journal files *before* it reads them: a write that the killed predecessor had in flight may be
//! readable and not yet durable, and what recovery accepts is served and built upon.

use crate::base::buf::BLOCK;
use crate::base::ids::{FileId, PartitionId, TopicId};
use crate::base::planted::{self, Planted};
use crate::log::block::{self, Block, Lsn};
use crate::log::checkpoint::{Checkpoint, PartitionCheckpoint};
use crate::log::frame::{FRAME_HEADER, Frame, FrameKind};
use crate::log::journal::{JournalStart, RecoveredFile};
use bytes::Bytes;
use std::collections::BTreeMap;

/// A journal file as found: opened and locked by the runtime, read as a whole.
#[derive(Clone, Debug)]
pub struct JournalFile {
    /// Binding of the open file.
    pub file: FileId,
    /// Number in the name `journal-<seq>.jnl`.
    pub seq: u64,
    /// The whole content.
    pub content: Bytes,
}

/// A frame that only the journal holds.
#[derive(Clone, Debug)]
pub struct RecoveredFrame {
    /// Header values.
    pub frame: Frame,
    /// Header and payload.
    pub bytes: Bytes,
    /// Block it came from.
    pub lsn: Lsn,
}

/// One partition's state at start.
#[derive(Clone, Debug, Default)]
pub struct RecoveredPartition {
    /// As of the checkpoint (default when there was none).
    pub base: PartitionCheckpoint,
    /// Log start after replay.
    pub log_start: i64,
    /// Batches at and behind `base.flushed_end`, dense.
    pub frames: Vec<RecoveredFrame>,
    /// Why the frames do not continue the log. Harmless for a deleted partition (its checkpoint entry is gone while the journal
    /// still holds frames), damage for one that the metadata names.
    pub broken: Option<String>,
}

/// A shard's state at start.
#[derive(Clone, Debug, Default)]
pub struct Recovered {
    /// Where the journal goes on.
    pub journal: JournalStart,
    /// Newest checkpoint's generation.
    pub generation: u64,
    /// First lsn that the journal files must keep until the next checkpoint.
    pub start_lsn: Lsn,
    /// Checksum of the block before it.
    pub start_prev_crc: u32,
    /// Journal files that the checkpoint names.
    pub noted_files: usize,
    /// The last block that the checkpoint knows durable.
    pub noted_lsn: Lsn,
    /// What is wrong with the checkpoint copy that was not used.
    pub bad_copy: Option<String>,
    /// Partitions with state, deleted ones included (the image knows).
    pub partitions: BTreeMap<PartitionId, RecoveredPartition>,
    /// Encoded image of the checkpoint (empty = none).
    pub image: Vec<u8>,
    /// Number of the next metadata record.
    pub meta_end: i64,
    /// Metadata records behind the image, in order.
    pub meta_records: Vec<Bytes>,
    /// Journal bytes replayed.
    pub replayed_bytes: u64,
}

/// The journal or checkpoint is damaged beyond what a crash can leave behind. The text names what and where.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Damage(pub String);

impl std::fmt::Display for Damage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// Recovers a shard from its two checkpoint copies (`None` = file missing) and all its journal files.
pub fn recover(shard: u16, checkpoints: [Option<&[u8]>; 2], files: Vec<JournalFile>) -> Result<Recovered, Damage> {
    let newest = Checkpoint::newest(shard, checkpoints).map_err(Damage)?;
    let (checkpoint, bad_copy) = newest.unwrap_or_default();
    let hint = bad_copy.clone();
    recover_from(shard, (checkpoint, bad_copy), files).map_err(|Damage(why)| match hint {
        Some(hint) => Damage(format!("{why} ({hint}, so that an older state had to do)")),
        None => Damage(why),
    })
}

fn recover_from(
    shard: u16,
    (checkpoint, bad_copy): (Checkpoint, Option<String>),
    files: Vec<JournalFile>,
) -> Result<Recovered, Damage> {
    refuse_missing(&checkpoint.journal, &files)?;
    let (noted_files, durable_lsn) = (checkpoint.journal.len(), checkpoint.durable_lsn);
    let mut state = Recovered {
        noted_files,
        noted_lsn: durable_lsn,
        bad_copy,
        generation: checkpoint.generation,
        start_lsn: checkpoint.start_lsn,
        start_prev_crc: checkpoint.start_prev_crc,
        image: checkpoint.image,
        meta_end: checkpoint.meta_end,
        ..Default::default()
    };
    for base in checkpoint.partitions {
        let id = PartitionId {
            topic: TopicId(base.topic),
            partition: base.partition,
        };
        let log_start = base.log_start;
        state.partitions.insert(
            id,
            RecoveredPartition {
                base,
                log_start,
                ..Default::default()
            },
        );
    }
    let mut replay = Replay::new(shard, &state, &files);
    replay.refuse_foreign()?;
    replay.run(&mut state)?;
    replay.refuse_damage(state.start_lsn)?;
    replay.refuse_short(durable_lsn)?;
    state.journal = replay.finish(&files);
    state.journal.is_marked |= state.journal.last_lsn <= durable_lsn;
    Ok(state)
}

/// Files are numbered from 1 without a gap, and none that the checkpoint knows is missing or cut short.
fn refuse_missing(noted: &[(u64, u64)], files: &[JournalFile]) -> Result<(), Damage> {
    let last = files.iter().map(|f| f.seq).max().unwrap_or(0);
    let named = noted.iter().copied().chain((1..=last).map(|seq| (seq, 0)));
    for (seq, bytes) in named {
        let Some(file) = files.iter().find(|f| f.seq == seq) else {
            return Err(Damage(format!(
                "journal-{seq:06}.jnl is missing: acknowledged records may be only there. Put the file back"
            )));
        };
        let found = file.content.len() as u64;
        if found < bytes || found == 0 || !found.is_multiple_of(BLOCK as u64) {
            let wanted = if bytes > 0 {
                format!(" instead of {bytes}")
            } else {
                String::new()
            };
            return Err(Damage(format!(
                "journal-{seq:06}.jnl was cut to {found} bytes{wanted}: acknowledged records may be only in what is gone. Restore the \
                 file from a backup"
            )));
        }
    }
    Ok(())
}

/// The walk over the journal's blocks.
struct Replay<'a> {
    shard: u16,
    files: &'a [JournalFile],
    /// First block of each file, if it is one.
    heads: Vec<Option<Block>>,
    used: BTreeMap<usize, (Lsn, Lsn, u32)>,
    run_id: u64,
    lsn: Lsn,
    crc: u32,
    is_marked: bool,
    /// File being read and the position behind its last accepted block.
    at: Option<(usize, usize)>,
}

impl<'a> Replay<'a> {
    fn new(shard: u16, state: &Recovered, files: &'a [JournalFile]) -> Self {
        let heads = files.iter().map(|f| block::decode_header(&f.content)).collect();
        Replay {
            shard,
            is_marked: false,
            files,
            heads,
            used: BTreeMap::new(),
            run_id: 0,
            lsn: state.start_lsn - 1,
            crc: state.start_prev_crc,
            at: None,
        }
    }

    fn run(&mut self, state: &mut Recovered) -> Result<(), Damage> {
        while let Some((index, at, header, frames)) = self.next_block() {
            let content = &self.files[index].content;
            for (frame_at, frame) in frames {
                let from = at + frame_at;
                apply(state, frame, content.slice(from..from + frame.len()), header.lsn)?;
            }
            let first = self
                .used
                .entry(index)
                .or_insert((header.lsn, header.lsn, header.prev_crc));
            first.1 = header.lsn;
            (self.run_id, self.lsn, self.crc) = (header.run_id, header.lsn, header.header_crc);
            self.is_marked = header.is_mark();
            self.at = Some((index, at + header.disk_len()));
            state.replayed_bytes += header.disk_len() as u64;
        }
        Ok(())
    }

    /// The block that continues the chain: the head of a newer run's file first, then the current file, then another file of this run.
    #[allow(clippy::type_complexity)]
    fn next_block(&self) -> Option<(usize, usize, Block, Vec<(usize, Frame)>)> {
        let mut heads: Vec<(u64, usize)> = self
            .heads
            .iter()
            .enumerate()
            .filter_map(|(i, head)| head.filter(|h| self.continues(h)).map(|h| (h.run_id, i)))
            .collect();
        heads.sort_unstable_by(|a, b| b.cmp(a));
        let mut places: Vec<(usize, usize)> = heads
            .iter()
            .filter(|(run, _)| *run > self.run_id)
            .map(|(_, i)| (*i, 0))
            .collect();
        places.extend(self.at);
        places.extend(
            heads
                .iter()
                .filter(|(run, _)| *run == self.run_id)
                .map(|(_, i)| (*i, 0)),
        );
        places.into_iter().find_map(|(index, at)| {
            let (header, frames) = block::decode(self.files[index].content.get(at..)?)?;
            self.continues(&header).then_some((index, at, header, frames))
        })
    }

    fn continues(&self, header: &Block) -> bool {
        let later = planted::is(Planted::RecoveryOrder) && header.lsn > self.lsn;
        (later || header.lsn == self.lsn + 1 && header.prev_crc == self.crc)
            && header.run_id >= self.run_id
            && header.shard == self.shard
    }

    fn refuse_foreign(&self) -> Result<(), Damage> {
        let foreign =
            |(file, head): (&JournalFile, &Option<Block>)| Some((file.seq, head.filter(|h| h.shard != self.shard)?));
        match self.files.iter().zip(&self.heads).find_map(foreign) {
            None => Ok(()),
            Some((seq, head)) => Err(Damage(format!(
                "journal-{seq:06}.jnl belongs to shard {}, not to shard {}. Put every file back in its place",
                head.shard, self.shard
            ))),
        }
    }

    /// A checkpoint knew blocks that are no longer there.
    fn refuse_short(&self, durable_lsn: Lsn) -> Result<(), Damage> {
        if self.lsn >= durable_lsn {
            return Ok(());
        }
        Err(Damage(format!(
            "the journal ends at block {}, {}, but the checkpoint says that block {durable_lsn} was durable; acknowledged records would be \
             lost. Restore the journal files from a backup",
            self.lsn,
            self.place()
        )))
    }

    /// Where the last accepted block ends.
    fn place(&self) -> String {
        match self.at {
            Some((index, at)) => format!("at byte {at} of journal-{:06}.jnl", self.files[index].seq),
            None => "before the first file's first block".into(),
        }
    }

    /// After the last accepted block: does any later block prove that the next one had been durable?
    fn refuse_damage(&self, start_lsn: Lsn) -> Result<(), Damage> {
        let missing = self.lsn + 1;
        for file in self.files {
            for at in (0..file.content.len()).step_by(BLOCK) {
                let Some(header) = block::decode_header(&file.content[at..]) else {
                    continue;
                };
                if header.lsn > missing && header.durable_lsn >= missing && header.run_id >= self.run_id {
                    return Err(Damage(format!(
                        "journal block {missing} is missing or damaged (the block before it ends {}), but block {} in journal-{:06}.jnl at \
                         byte {at} proves that it was durable; acknowledged records would be lost. Restore the file from a backup",
                        self.place(),
                        header.lsn,
                        file.seq
                    )));
                }
            }
        }
        if self.used.is_empty()
            && start_lsn > 1
            && !self.files.is_empty()
            && self.heads.iter().flatten().any(|h| h.lsn > start_lsn)
        {
            return Err(Damage(format!(
                "the checkpoint starts at journal block {start_lsn}, which no journal file holds"
            )));
        }
        Ok(())
    }

    fn finish(&self, files: &[JournalFile]) -> JournalStart {
        let highest_run = self
            .heads
            .iter()
            .flatten()
            .map(|h| h.run_id)
            .max()
            .unwrap_or(0)
            .max(self.run_id);
        let files = files.iter().enumerate().map(|(i, f)| RecoveredFile {
            file: f.file,
            seq: f.seq,
            bytes: f.content.len() as u64,
            content: self.used.get(&i).copied(),
        });
        JournalStart {
            run_id: highest_run + 1,
            last_lsn: self.lsn,
            last_crc: self.crc,
            is_marked: self.is_marked,
            files: files.collect(),
        }
    }
}

/// Applies one frame in journal order.
fn apply(state: &mut Recovered, frame: Frame, bytes: Bytes, lsn: Lsn) -> Result<(), Damage> {
    if frame.kind == FrameKind::Meta {
        if frame.base_offset == state.meta_end {
            state.meta_records.push(bytes.slice(FRAME_HEADER..));
            state.meta_end += 1;
        } else if frame.base_offset > state.meta_end {
            return Err(Damage(format!(
                "metadata record {} follows record {}",
                frame.base_offset,
                state.meta_end - 1
            )));
        }
        return Ok(());
    }
    let part = state
        .partitions
        .entry(frame.partition)
        .or_insert_with(|| RecoveredPartition {
            base: PartitionCheckpoint {
                topic: frame.partition.topic.0,
                partition: frame.partition.partition,
                ..Default::default()
            },
            ..Default::default()
        });
    match frame.kind {
        FrameKind::LogStart => part.log_start = part.log_start.max(frame.base_offset),
        FrameKind::Batch => append(part, frame, bytes, lsn),
        FrameKind::Meta | FrameKind::Pad => {}
    }
    Ok(())
}

fn append(part: &mut RecoveredPartition, frame: Frame, bytes: Bytes, lsn: Lsn) {
    let (end, crc) = match part.frames.last() {
        Some(last) => (last.frame.last_offset + 1, last.frame.header_crc),
        None => (part.base.flushed_end, part.base.last_crc),
    };
    if frame.last_offset < part.base.flushed_end || part.broken.is_some() {
        return; // already flushed to a segment, or known not to continue the log
    }
    if frame.base_offset != end || frame.prev_crc != crc {
        part.broken = Some(format!(
            "journal block {lsn} appends offset {} behind offset {end}",
            frame.base_offset
        ));
        return;
    }
    part.frames.push(RecoveredFrame { frame, bytes, lsn });
}
