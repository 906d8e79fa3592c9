//! Files: direct reads, writes and flushes on the shard's own ring.
//!
//! Invariants: a write is answered with success only when all its bytes are written (RELIABILITY mode 8); interrupted
//! operations are resubmitted, short ones continued, errors passed on, never retried. While the disk is silent, operations are
//! handed to the ring's own threads: ext4 updates a file's time when a direct write is submitted, and waits there for a commit of
//! its journal, so a shard that submits the next write itself would stand still with all its clients. Must not know: what is in the
//! files.

use super::machine::JobRunner;
use super::ops::{Io, Op, Reading, Writing};
use crate::base::buf::BLOCK;
use crate::base::ids::{FileId, IoKey};
use crate::base::pool::BufPool;
use crate::shard::event::Event;
use bytes::Bytes;
use io_uring::squeue::Flags;
use io_uring::{opcode, types};
use std::collections::{BTreeMap, VecDeque};
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::Arc;

/// Most bytes of one operation: below the kernel's own limit (2 GiB less a page), whole blocks.
const STEP_MAX: usize = 1 << 30;
/// A disk that has not answered for so long, nanoseconds, is waited for by other threads.
const SILENT_NS: u64 = 20_000_000;

/// The open files of a shard.
pub struct Disk {
    files: BTreeMap<FileId, Arc<OwnedFd>>,
    /// Operations under way, the oldest first, and when they were asked for.
    under_way: VecDeque<(IoKey, u64)>,
    now_ns: u64,
    pool: BufPool,
    jobs: Arc<dyn JobRunner>,
}

impl Disk {
    /// Starts with the files that recovery opened. At most `pool_bytes` of read buffers are kept for reuse.
    pub fn new(files: Vec<(FileId, Arc<OwnedFd>)>, pool_bytes: usize, jobs: Arc<dyn JobRunner>) -> Disk {
        Disk {
            files: files.into_iter().collect(),
            under_way: VecDeque::new(),
            now_ns: 0,
            pool: BufPool::new(pool_bytes),
            jobs,
        }
    }

    /// What time it is, monotonic nanoseconds.
    pub fn set_now(&mut self, now_ns: u64) {
        self.now_ns = now_ns;
    }

    /// Notes an operation; how it is submitted.
    fn begin(&mut self, key: IoKey) -> Flags {
        let oldest = self.under_way.front().map_or(self.now_ns, |(_, since)| *since);
        self.under_way.push_back((key, self.now_ns));
        if self.now_ns.saturating_sub(oldest) > SILENT_NS {
            Flags::ASYNC
        } else {
            Flags::empty()
        }
    }

    fn end(&mut self, key: IoKey) {
        if let Some(at) = self.under_way.iter().position(|(other, _)| *other == key) {
            self.under_way.remove(at);
        }
    }

    /// Knows an open file from now on.
    pub fn bind(&mut self, id: FileId, file: Arc<OwnedFd>) {
        let before = self.files.insert(id, file);
        assert!(before.is_none(), "file ids are never reused");
    }

    /// The open file of an id.
    pub fn file(&self, id: FileId) -> Option<Arc<OwnedFd>> {
        self.files.get(&id).cloned()
    }

    /// Where background jobs go.
    pub fn jobs(&self) -> &dyn JobRunner {
        &*self.jobs
    }

    /// Forgets a file and has it closed elsewhere.
    pub fn close(&mut self, id: FileId) {
        if let Some(file) = self.files.remove(&id) {
            self.jobs.retire(file);
        }
    }

    /// Writes all of `data`; an unknown file is answered at once.
    pub fn write(
        &mut self,
        io: &mut Io,
        key: IoKey,
        file: FileId,
        at: u64,
        data: Bytes,
        durable: bool,
    ) -> Option<Event> {
        let Some(file) = self.file(file) else {
            return Some(written(key, Err(libc::EBADF)));
        };
        debug_assert!(
            at.is_multiple_of(BLOCK as u64) && data.len().is_multiple_of(BLOCK),
            "direct I/O is aligned"
        );
        if data.is_empty() {
            return Some(written(key, Ok(())));
        }
        let write = Writing {
            key,
            file,
            at,
            data,
            done: 0,
            durable,
        };
        start_write(io, Box::new(write), self.begin(key));
        None
    }

    /// Reads up to `len` bytes; an unknown file is answered at once.
    pub fn read(&mut self, io: &mut Io, key: IoKey, file: FileId, at: u64, len: u32) -> Option<Event> {
        let Some(file) = self.file(file) else {
            return Some(read(key, Err(libc::EBADF)));
        };
        let len = len as usize;
        debug_assert!(
            at.is_multiple_of(BLOCK as u64) && len.is_multiple_of(BLOCK),
            "direct I/O is aligned"
        );
        if len == 0 {
            return Some(read(key, Ok(Bytes::new())));
        }
        let read = Reading {
            key,
            file,
            at,
            buf: self.pool.take(len),
            len,
            done: 0,
        };
        start_read(io, Box::new(read), self.begin(key));
        None
    }

    /// Flushes a file; an unknown one is answered at once.
    pub fn sync(&mut self, io: &mut Io, key: IoKey, file: FileId) -> Option<Event> {
        let Some(file) = self.file(file) else {
            return Some(synced(key, Err(libc::EBADF)));
        };
        self.begin(key);
        start_sync(io, key, file);
        None
    }

    /// A write completed, perhaps in part.
    pub fn on_write(&mut self, io: &mut Io, mut write: Box<Writing>, result: i32) -> Option<Event> {
        self.end(write.key);
        match result {
            1.. => {
                write.done += result as usize;
                if write.done >= write.data.len() {
                    return Some(written(write.key, Ok(())));
                }
                // A rest that is not whole blocks cannot be written directly: the device gave up in between.
                if !write.done.is_multiple_of(BLOCK) {
                    return Some(written(write.key, Err(libc::EIO)));
                }
            }
            0 => return Some(written(write.key, Err(libc::ENOSPC))),
            _ if is_interrupted(result) => {}
            _ => return Some(written(write.key, Err(-result))),
        }
        let flags = self.begin(write.key);
        start_write(io, write, flags);
        None
    }

    /// A read completed, perhaps in part.
    pub fn on_read(&mut self, io: &mut Io, mut reading: Box<Reading>, result: i32) -> Option<Event> {
        self.end(reading.key);
        match result {
            1.. => {
                reading.done += result as usize;
                // A partial block is the file's end.
                if reading.done >= reading.len || !reading.done.is_multiple_of(BLOCK) {
                    return Some(self.finish_read(*reading));
                }
            }
            0 => return Some(self.finish_read(*reading)),
            _ if is_interrupted(result) => {}
            _ => {
                self.pool.give_back(reading.buf);
                return Some(read(reading.key, Err(-result)));
            }
        }
        let flags = self.begin(reading.key);
        start_read(io, reading, flags);
        None
    }

    /// A flush completed.
    pub fn on_sync(&mut self, io: &mut Io, key: IoKey, file: Arc<OwnedFd>, result: i32) -> Option<Event> {
        self.end(key);
        if is_interrupted(result) {
            self.begin(key);
            start_sync(io, key, file);
            return None;
        }
        Some(synced(key, if result < 0 { Err(-result) } else { Ok(()) }))
    }

    fn finish_read(&mut self, reading: Reading) -> Event {
        let data = self.pool.freeze(reading.buf, reading.done.min(reading.len));
        read(reading.key, Ok(data))
    }
}

fn is_interrupted(result: i32) -> bool {
    matches!(-result, libc::EAGAIN | libc::EINTR)
}

fn start_write(io: &mut Io, write: Box<Writing>, how: Flags) {
    // SAFETY: `data` is on the heap and immutable; it and the descriptor belong to the operation.
    unsafe {
        io.start(Op::Write(write), |op| {
            let Op::Write(write) = op else {
                unreachable!("just made")
            };
            let rest = &write.data[write.done..];
            let len = rest.len().min(STEP_MAX) as u32;
            let flags = if write.durable { libc::RWF_DSYNC } else { 0 };
            opcode::Write::new(types::Fd(write.file.as_raw_fd()), rest.as_ptr(), len)
                .offset(write.at + write.done as u64)
                .rw_flags(flags)
                .build()
                .flags(how)
        });
    }
}

fn start_read(io: &mut Io, reading: Box<Reading>, how: Flags) {
    // SAFETY: the buffer is on the heap; it and the descriptor belong to the operation.
    unsafe {
        io.start(Op::Read(reading), |op| {
            let Op::Read(reading) = op else {
                unreachable!("just made")
            };
            let rest = &mut reading.buf.as_mut()[reading.done..reading.len];
            let len = rest.len().min(STEP_MAX) as u32;
            opcode::Read::new(types::Fd(reading.file.as_raw_fd()), rest.as_mut_ptr(), len)
                .offset(reading.at + reading.done as u64)
                .build()
                .flags(how)
        });
    }
}

fn start_sync(io: &mut Io, key: IoKey, file: Arc<OwnedFd>) {
    let raw = types::Fd(file.as_raw_fd());
    // SAFETY: names no memory; the descriptor belongs to the operation.
    unsafe {
        io.start(Op::Sync { key, file }, |_| {
            opcode::Fsync::new(raw).flags(types::FsyncFlags::DATASYNC).build()
        });
    }
}

fn written(key: IoKey, result: Result<(), i32>) -> Event {
    Event::Written { key, result }
}

fn read(key: IoKey, result: Result<Bytes, i32>) -> Event {
    Event::Read { key, result }
}

fn synced(key: IoKey, result: Result<(), i32>) -> Event {
    Event::Synced { key, result }
}
