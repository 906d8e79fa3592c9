//! The journal of a shard: stages frames of all partitions, makes one block of them per group commit, tracks what is durable.
//!
//! Invariants: a block starts on a fresh 4 KiB block and is written once before its file is recycled; `durable_lsn` grows only
//! over blocks whose write completed *and* all lower ones did; a file is recycled only when the checkpoint no longer needs it.
//! Must not know partitions' state, acknowledgements or the protocol.

use crate::base::buf::{BLOCK, ChunkWriter, block_ceil};
use crate::base::effect::{Effect, Effects, FilePath, Job};
use crate::base::ids::{FileId, IoKey, JobKey, PartitionId};
use crate::base::planted::{self, Planted};
use crate::base::pool::BufPool;
use crate::base::slab::SlabKey;
use crate::log::block::{self, BLOCK_HEADER, Block, Lsn};
use crate::log::frame::{FRAME_HEADER, Frame, FrameKind, encode_header};
use bytes::Bytes;
use std::collections::VecDeque;

/// A journal without room on a full disk may grow to so many times its files.
const EMERGENCY_GROWTH: usize = 2;

/// Sizes of a shard's journal.
#[derive(Clone, Debug)]
pub struct JournalConfig {
    /// Whose it is.
    pub shard: u16,
    /// Directory of the shard, below the data directory.
    pub directory: String,
    /// Bytes of each file, whole blocks.
    pub file_bytes: u64,
    /// Files kept, at least 2.
    pub file_count: usize,
    /// Block writes in flight at once, at least 1.
    pub inflight_max: usize,
    /// Bytes of a staging chunk.
    pub chunk_bytes: usize,
}

impl JournalConfig {
    /// Largest payload of one frame, bytes: it lies in one file.
    pub fn payload_max(&self) -> u64 {
        self.file_bytes - (BLOCK_HEADER + FRAME_HEADER) as u64
    }
}

/// What is to be staged; checksums are computed by the journal.
pub struct NewFrame {
    /// Kind of the frame.
    pub kind: FrameKind,
    /// The store's handle of the partition (given back with [`SealedFrame`]).
    pub owner: Option<SlabKey>,
    /// Identity.
    pub partition: PartitionId,
    /// Leader epoch.
    pub leader_epoch: i32,
    /// First offset.
    pub base_offset: i64,
    /// Last offset.
    pub last_offset: i64,
    /// Largest timestamp.
    pub max_timestamp: i64,
    /// Checksum of the partition's previous frame.
    pub prev_crc: u32,
}

/// A frame inside a sealed block.
#[derive(Clone, Debug)]
pub struct SealedFrame {
    /// As given to `stage`.
    pub owner: Option<SlabKey>,
    /// Header values.
    pub frame: Frame,
    /// Header and payload in the frozen chunk.
    pub bytes: Bytes,
}

/// A block whose write has been issued.
pub struct SealedBlock {
    /// Its number.
    pub lsn: Lsn,
    /// Which staging chunk holds it; grows.
    pub chunk_seq: u64,
    /// Bytes on disk.
    pub bytes: usize,
    /// Its frames in order.
    pub frames: Vec<SealedFrame>,
}

struct StagedFrame {
    owner: Option<SlabKey>,
    frame: Frame,
    at: usize,
}

/// One block waiting for a file or a free write slot.
struct PendingBlock {
    sealed: SealedBlock,
    data: Bytes,
}

struct Inflight {
    key: IoKey,
    lsn: Lsn,
    done: bool,
}

/// A journal file that holds blocks.
#[derive(Clone, Debug)]
struct UsedFile {
    file: FileId,
    first_lsn: Lsn,
    /// Checksum of the block before the first.
    first_prev_crc: u32,
    last_lsn: Lsn,
    position: u64,
}

/// A journal file found at start; see `recovery`.
#[derive(Clone, Debug)]
pub struct RecoveredFile {
    /// Bound by the runtime.
    pub file: FileId,
    /// Number in the name.
    pub seq: u64,
    /// Its size.
    pub bytes: u64,
    /// First and last lsn needed from it, and the checksum before the first; `None` when nothing in it is needed.
    pub content: Option<(Lsn, Lsn, u32)>,
}

/// Where a journal goes on after a start.
#[derive(Clone, Debug, Default)]
pub struct JournalStart {
    /// This run's id, larger than any before.
    pub run_id: u64,
    /// Number of the last block before.
    pub last_lsn: Lsn,
    /// Its checksum.
    pub last_crc: u32,
    /// The last block is a mark.
    pub is_marked: bool,
    /// Files by seq.
    pub files: Vec<RecoveredFile>,
}

/// See the module.
pub struct Journal {
    config: JournalConfig,
    run_id: u64,
    last_lsn: Lsn,
    last_crc: u32,
    durable_lsn: Lsn,
    pool: BufPool,
    chunk: ChunkWriter,
    chunk_seq: u64,
    block_start: Option<usize>,
    staged: Vec<StagedFrame>,
    frames_crc: u32,
    pending: VecDeque<PendingBlock>,
    inflight: VecDeque<Inflight>,
    active: Option<UsedFile>,
    full: VecDeque<UsedFile>,
    spare: Vec<FileId>,
    preparing: Option<(JobKey, FileId)>,
    /// The last attempt to make a file failed; wait for [`Journal::grow_again`].
    growth_paused: bool,
    written_bytes: u64,
    /// All files: number in the name, bytes. Numbers rise by one, so that a missing file shows.
    files: Vec<(u64, u64)>,
    /// The last block is a mark, or there is none.
    is_marked: bool,
}

impl Journal {
    /// A journal that goes on where `start` ends, in a file of its own; its chunks come from `pool`.
    pub fn new(config: JournalConfig, start: JournalStart, pool: BufPool) -> Self {
        let mut full = VecDeque::new();
        let mut spare = Vec::new();
        for found in &start.files {
            match found.content {
                Some((first_lsn, last_lsn, first_prev_crc)) => full.push_back(UsedFile {
                    file: found.file,
                    first_lsn,
                    first_prev_crc,
                    last_lsn,
                    position: config.file_bytes,
                }),
                None => spare.push(found.file),
            }
        }
        full.make_contiguous().sort_by_key(|f| f.first_lsn);
        Journal {
            chunk: pool.chunk(config.chunk_bytes),
            pool,
            run_id: start.run_id,
            last_lsn: start.last_lsn,
            last_crc: start.last_crc,
            durable_lsn: start.last_lsn,
            chunk_seq: 1,
            block_start: None,
            staged: Vec::new(),
            frames_crc: 0,
            pending: VecDeque::new(),
            inflight: VecDeque::new(),
            active: None,
            files: start.files.iter().map(|f| (f.seq, f.bytes)).collect(),
            is_marked: start.is_marked || start.last_lsn == 0,
            full,
            spare,
            preparing: None,
            growth_paused: false,
            written_bytes: 0,
            config,
        }
    }

    /// Largest payload one frame can have.
    pub fn payload_max(&self) -> usize {
        self.config.payload_max() as usize
    }
    /// The last block that is on stable storage together with all before it.
    pub fn durable_lsn(&self) -> Lsn {
        self.durable_lsn
    }
    /// The lsn that the block now open (or the next one) will get.
    pub fn open_lsn(&self) -> Lsn {
        self.last_lsn + 1
    }
    /// The block of the newest staged frame (the open block), or the last one when nothing is staged.
    pub fn newest_lsn(&self) -> Lsn {
        if self.staged.is_empty() {
            self.last_lsn
        } else {
            self.last_lsn + 1
        }
    }
    /// Number of the staging chunk in use.
    pub fn chunk_seq(&self) -> u64 {
        self.chunk_seq
    }
    /// Bytes staged and sealed that are not yet being written.
    pub fn backlog_bytes(&self) -> usize {
        let open = self.block_start.map_or(0, |start| self.chunk.filled() - start);
        open + self.pending.iter().map(|b| b.data.len()).sum::<usize>()
    }
    /// True when a block waits for a file.
    pub fn is_full(&self) -> bool {
        !self.pending.is_empty() && self.inflight.is_empty() && self.spare.is_empty()
    }
    /// True when nothing is staged, pending or in flight.
    pub fn is_quiet(&self) -> bool {
        self.staged.is_empty() && self.pending.is_empty() && self.inflight.is_empty()
    }
    /// Bytes of files in use (full ones and the written part of the active one).
    pub fn used_bytes(&self) -> u64 {
        self.full.len() as u64 * self.config.file_bytes + self.active.as_ref().map_or(0, |a| a.position)
    }
    /// Bytes of all blocks issued in this run.
    pub fn written_bytes(&self) -> u64 {
        self.written_bytes
    }
    /// Writes in flight.
    pub fn inflight(&self) -> usize {
        self.inflight.len()
    }

    /// Copies `payload` into the open block as a frame, lets `patch` change the copy and name its checksum, and stages it.
    /// Returns the frame as staged. The payload must not exceed [`payload_max`](Self::payload_max).
    pub fn stage(&mut self, new: NewFrame, payload: &[u8], patch: impl FnOnce(&mut [u8]) -> u32) -> Frame {
        self.open_block(FRAME_HEADER + payload.len());
        let at = self.chunk.filled();
        self.chunk.skip(FRAME_HEADER);
        self.chunk.append(payload);
        let stored = self.chunk.unfrozen_mut(at + FRAME_HEADER, payload.len());
        let payload_crc = patch(stored);
        let mut frame = Frame {
            kind: new.kind,
            partition: new.partition,
            leader_epoch: new.leader_epoch,
            base_offset: new.base_offset,
            last_offset: new.last_offset,
            max_timestamp: new.max_timestamp,
            payload_len: payload.len() as u32,
            payload_crc,
            prev_crc: new.prev_crc,
            header_crc: 0,
        };
        let (header, crc) = encode_header(&frame, stored);
        frame.header_crc = crc;
        self.chunk.unfrozen_mut(at, FRAME_HEADER).copy_from_slice(&header);
        self.frames_crc = block::add_frame_crc(self.frames_crc, crc);
        self.staged.push(StagedFrame {
            owner: new.owner,
            frame,
            at,
        });
        frame
    }

    /// Makes room for `len` more bytes in an open block, starting a new block or chunk when needed.
    fn open_block(&mut self, len: usize) {
        if let Some(start) = self.block_start {
            let block_len = self.chunk.filled() - start + len;
            if self.chunk.room() >= block_ceil(len) + BLOCK && block_len as u64 <= self.config.file_bytes {
                return;
            }
            self.seal();
        }
        let need = block_ceil(BLOCK_HEADER + len) + BLOCK;
        if self.chunk.room() < need {
            self.chunk = self.pool.chunk(self.config.chunk_bytes.max(need));
            self.chunk_seq += 1;
        }
        debug_assert_eq!(self.chunk.filled() % BLOCK, 0);
        self.block_start = Some(self.chunk.filled());
        self.frames_crc = 0;
        self.chunk.skip(BLOCK_HEADER);
    }

    /// True when a block says that the last one with content is durable, or there is none, or no file takes another block.
    pub fn is_marked(&self) -> bool {
        let has_room = |a: &UsedFile| a.position + BLOCK as u64 <= self.config.file_bytes;
        self.is_marked || (self.spare.is_empty() && !self.active.as_ref().is_some_and(has_room))
    }

    /// When nothing is under way: a block that says that the last one is durable. Without it damage of the last block could not be
    /// told from a write that a crash has torn, and would cost acknowledged records without a word.
    pub fn mark(&mut self) {
        if self.is_quiet() && !self.is_marked() {
            self.open_block(0);
            self.seal();
        }
    }

    /// Closes the open block: pads, writes its header, freezes it.
    fn seal(&mut self) {
        let Some(start) = self.block_start.take() else { return };
        let len = self.chunk.filled() - start;
        self.chunk.skip(block_ceil(len) - len);
        self.is_marked = self.staged.is_empty();
        let header = Block {
            shard: self.config.shard,
            run_id: self.run_id,
            lsn: self.last_lsn + 1,
            durable_lsn: self.durable_lsn,
            prev_crc: self.last_crc,
            len: len as u32,
            frame_count: self.staged.len() as u32,
            frames_crc: self.frames_crc,
            header_crc: 0,
        };
        let crc = block::encode(&header, self.chunk.unfrozen_mut(start, BLOCK_HEADER));
        let data = self.chunk.freeze(start, self.chunk.filled());
        let frames = self.staged.drain(..).map(|staged| {
            let from = staged.at - start;
            SealedFrame {
                owner: staged.owner,
                frame: staged.frame,
                bytes: data.slice(from..from + staged.frame.len()),
            }
        });
        let sealed = SealedBlock {
            lsn: header.lsn,
            chunk_seq: self.chunk_seq,
            bytes: data.len(),
            frames: frames.collect(),
        };
        self.last_lsn = header.lsn;
        self.last_crc = crc;
        self.pending.push_back(PendingBlock { sealed, data });
    }

    /// End of a round: seals the open block when a write slot is free and issues what can be issued. `next_key` names the writes.
    /// Returns the blocks whose writes were issued, with the keys.
    pub fn settle(&mut self, next_key: &mut impl FnMut() -> IoKey, out: &mut Effects) -> Vec<(IoKey, SealedBlock)> {
        let mut issued = Vec::new();
        while self.inflight.len() < self.config.inflight_max {
            if self.pending.is_empty() {
                if self.staged.is_empty() {
                    break;
                }
                self.seal();
            }
            let Some((file, at)) = self.place() else { break };
            let Some(block) = self.pending.pop_front() else { break };
            let key = next_key();
            out.push(Effect::Write {
                key,
                file,
                at,
                data: block.data,
                durable: true,
            });
            self.inflight.push_back(Inflight {
                key,
                lsn: block.sealed.lsn,
                done: false,
            });
            issued.push((key, block.sealed));
        }
        issued
    }

    /// Where the first pending block goes; moves on to a spare file when the active one is full. `None` = no file: back-pressure.
    fn place(&mut self) -> Option<(FileId, u64)> {
        let block = self.pending.front()?;
        let (len, lsn) = (block.data.len() as u64, block.sealed.lsn);
        let first_prev_crc = block_prev_crc(&block.data);
        let fits = self
            .active
            .as_ref()
            .is_some_and(|a| a.position + len <= self.config.file_bytes);
        if !fits {
            // Full even when no other file is free, so that it can be reclaimed.
            self.full.extend(self.active.take());
            let file = self.spare.pop()?;
            self.active = Some(UsedFile {
                file,
                first_lsn: lsn,
                first_prev_crc,
                last_lsn: lsn,
                position: 0,
            });
        }
        let active = self.active.as_mut()?;
        let at = active.position;
        self.written_bytes += len;
        active.position += len;
        active.last_lsn = lsn;
        Some((active.file, at))
    }

    /// A block write completed. Returns the new `durable_lsn` when `key` is one of ours.
    pub fn on_written(&mut self, key: IoKey) -> Option<Lsn> {
        let at = self.inflight.iter().position(|w| w.key == key)?;
        let first = if planted::is(Planted::AckOutOfOrder) { 0 } else { at };
        self.inflight.range_mut(first..=at).for_each(|w| w.done = true);
        while self.inflight.front().is_some_and(|w| w.done) {
            if let Some(write) = self.inflight.pop_front() {
                assert_eq!(write.lsn, self.durable_lsn + 1, "blocks become durable in order");
                self.durable_lsn = write.lsn;
            }
        }
        Some(self.durable_lsn)
    }

    /// True while files are being added.
    pub fn is_growing(&self) -> bool {
        self.preparing.is_some() || (!self.growth_paused && self.files.len() < self.config.file_count)
    }

    /// Orders one more file when there are fewer than configured and none is being prepared; it leaves `reserve` bytes of the disk
    /// free. While `is_blocked` nothing can be reclaimed: a journal without any room then gets more files than configured, out of
    /// the reserve, since deleting topics needs a place to be written down.
    pub fn prepare_files(
        &mut self,
        next_file: &mut impl FnMut() -> FileId,
        next_job: &mut impl FnMut() -> JobKey,
        (reserve, is_blocked): (u64, bool),
        out: &mut Effects,
    ) {
        let is_stuck = is_blocked && self.spare.is_empty() && self.active.is_none();
        let most = self.config.file_count * if is_stuck { EMERGENCY_GROWTH } else { 1 };
        if self.growth_paused || self.preparing.is_some() || self.files.len() >= most {
            return;
        }
        let keep_free = if is_stuck || self.files.is_empty() { 0 } else { reserve };
        let (file, key) = (next_file(), next_job());
        let seq = self.files.iter().map(|(seq, _)| seq + 1).max().unwrap_or(1);
        let path = FilePath(format!("{}/journal-{seq:06}.jnl", self.config.directory));
        out.push(Effect::Job {
            key,
            job: Job::PrepareJournal {
                file,
                path,
                bytes: self.config.file_bytes,
                keep_free,
            },
        });
        self.preparing = Some((key, file));
    }

    /// A `PrepareJournal` job ended. True when it was ours.
    pub fn on_prepared(&mut self, key: JobKey, ready: bool) -> bool {
        let Some((_, file)) = self.preparing.take_if(|(k, _)| *k == key) else {
            return false;
        };
        if ready {
            self.spare.push(file);
            let seq = self.files.iter().map(|(seq, _)| seq + 1).max().unwrap_or(1);
            self.files.push((seq, self.config.file_bytes));
        }
        self.growth_paused = !ready;
        true
    }

    /// One line of all positions, for messages about a broken rule.
    pub fn describe(&self) -> String {
        format!(
            "journal of {} files: {} full, {} spare, active {:?}, last lsn {}, durable {}, {} staged, {} pending, {} in flight, \
             preparing {}, growth paused {}",
            self.files.len(),
            self.full.len(),
            self.spare.len(),
            self.active,
            self.last_lsn,
            self.durable_lsn,
            self.staged.len(),
            self.pending.len(),
            self.inflight.len(),
            self.preparing.is_some(),
            self.growth_paused
        )
    }

    /// Files there are.
    pub fn file_total(&self) -> usize {
        self.files.len()
    }
    /// All files: number in the name, bytes.
    pub fn files(&self) -> &[(u64, u64)] {
        &self.files
    }
    /// Tries again to make files after a failure.
    pub fn grow_again(&mut self) {
        self.growth_paused = false;
    }
    /// Full files that no checkpoint has released yet.
    pub fn full_files(&self) -> usize {
        self.full.len()
    }
    /// True when the next block that does not fit finds no file.
    pub fn spare_files(&self) -> usize {
        self.spare.len()
    }

    /// The first block of the file behind the oldest `count` full files: (lsn, checksum before it). What a checkpoint that
    /// releases these files starts from.
    pub fn boundary(&self, count: usize) -> (Lsn, u32) {
        if let Some(next) = self.full.get(count).or(self.active.as_ref()) {
            return (next.first_lsn, next.first_prev_crc);
        }
        match self.pending.front() {
            Some(block) => (block.sealed.lsn, block_prev_crc(&block.data)),
            None => (self.last_lsn + 1, self.last_crc),
        }
    }

    /// A durable checkpoint starts at `start_lsn`: files wholly before it become spare.
    pub fn release_below(&mut self, start_lsn: Lsn) -> usize {
        let mut released = 0;
        while self.full.front().is_some_and(|f| f.last_lsn < start_lsn) {
            if let Some(file) = self.full.pop_front() {
                self.spare.push(file.file);
                released += 1;
            }
        }
        released
    }
}

fn block_prev_crc(data: &[u8]) -> u32 {
    block::decode_header(data).map_or(0, |b| b.prev_crc)
}
