//! What the state machine can ask for. The runtime (or the simulator) performs effects and answers with events.
//!
//! Rules: effects of one round are submitted together after `settle`; completions may come in any order; each completing
//! effect carries a key that is never reused, so that a late completion is a checked no-op.

use crate::base::compaction::{Compacted, Compaction};
use crate::base::ids::{ConnId, FileId, IoKey, JobKey};
use bytes::{Bytes, BytesMut};

/// A path below the data directory, `/`-separated, never absolute, never with `..`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct FilePath(pub String);

/// An order to the runtime.
#[derive(Debug)]
pub enum Effect {
    /// Receive once on the connection into a shared ring buffer; answered by `Event::Received` or `Event::Closed`.
    Recv {
        /// The connection.
        conn: ConnId,
    },
    /// Receive into the spare capacity of `buf` (at least 1 byte), appending; answered by `Event::ReceivedInto` as soon as
    /// some bytes came, or `Event::Closed`.
    RecvInto {
        /// The connection.
        conn: ConnId,
        /// Holds what came before; its spare capacity is the room.
        buf: BytesMut,
    },
    /// Send all the bytes in order (the runtime continues after short sends); answered by one `Event::Sent`.
    /// At most one send per connection is outstanding.
    Send {
        /// The connection.
        conn: ConnId,
        /// Gather list.
        data: Vec<Bytes>,
    },
    /// Close the connection and forget it; outstanding operations on it complete unseen.
    Close {
        /// The connection.
        conn: ConnId,
    },
    /// Write `data` (block-aligned address and length) at `at` (block-aligned), completely; answered by `Event::Written`.
    Write {
        /// Names the answer.
        key: IoKey,
        /// Target.
        file: FileId,
        /// Byte position.
        at: u64,
        /// Content.
        data: Bytes,
        /// With `RWF_DSYNC`: on stable storage when it completes.
        durable: bool,
    },
    /// Read up to `len` bytes (whole blocks) at `at` (block-aligned); answered by `Event::Read`, short only at the file's end.
    Read {
        /// Names the answer.
        key: IoKey,
        /// Source.
        file: FileId,
        /// Byte position.
        at: u64,
        /// Bytes wanted.
        len: u32,
    },
    /// Flush what was written to the file before (`fdatasync`); answered by `Event::Synced`.
    Sync {
        /// Names the answer.
        key: IoKey,
        /// The file.
        file: FileId,
    },
    /// Close a file; it has no outstanding operations.
    CloseFile {
        /// The file.
        file: FileId,
    },
    /// Run a background job; answered by `Event::JobDone`.
    Job {
        /// Names the answer.
        key: JobKey,
        /// What to do.
        job: Job,
    },
}

/// A multi-step operation on files that the background plane runs. Each ends in exactly one [`JobResult`]. After a crash the outcome
/// is complete or absent, but for `DeleteFiles`, which may be half done, and for what waits for a later flush: see `CreateSegment`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Job {
    /// Create a segment file with its directories, allocate `bytes` (fallocate, size included), and keep it open for direct reads and
    /// writes as `file`. Space that cannot be had is `ENOSPC`. An existing file of that name is replaced. Nothing is flushed: before
    /// anything relies on the file, `Effect::Sync` flushes its content and `FlushNames` its name.
    CreateSegment {
        /// The id to bind.
        file: FileId,
        /// Where.
        path: FilePath,
        /// Allocation, whole blocks.
        bytes: u64,
        /// Bytes of the file system that have to stay free, else `ENOSPC`.
        keep_free: u64,
    },
    /// Make the names in these directories, and their own, durable. A directory that is gone is fine.
    FlushNames {
        /// The directories.
        directories: Vec<FilePath>,
    },
    /// Allocate the open file to a size of at least `to` bytes (fallocate); `Effect::Sync` makes it durable.
    Extend {
        /// The open file.
        file: FileId,
        /// Where it is (for messages).
        path: FilePath,
        /// New size in bytes.
        to: u64,
        /// Bytes that this adds.
        more: u64,
        /// Bytes of the file system that have to stay free, else `ENOSPC`.
        keep_free: u64,
    },
    /// Cut the open file to `to` bytes (releases allocation behind a sealed segment's end), flushed.
    Truncate {
        /// The open file.
        file: FileId,
        /// Where it is (for messages).
        path: FilePath,
        /// New size in bytes.
        to: u64,
    },
    /// Open an existing file for direct I/O as `file`.
    Open {
        /// The id to bind.
        file: FileId,
        /// Where.
        path: FilePath,
    },
    /// Create a journal file: write zeros over all `bytes`, flush file and directory, take the exclusive file lock on the same
    /// open file description, keep it open as `file`.
    PrepareJournal {
        /// The id to bind.
        file: FileId,
        /// Where.
        path: FilePath,
        /// Size, whole blocks.
        bytes: u64,
        /// Bytes of the file system that have to stay free, else `ENOSPC`.
        keep_free: u64,
    },
    /// Replace a small file as a whole: temporary, flush, rename, flush the directory.
    WriteFile {
        /// Where.
        path: FilePath,
        /// The whole content.
        content: Bytes,
    },
    /// Read a small file as a whole; a missing file is `ENOENT`.
    ReadFile {
        /// Where.
        path: FilePath,
    },
    /// Delete files (missing ones are fine), then the named directories when empty, then flush their parents. May stop half way on a crash.
    DeleteFiles {
        /// Files.
        files: Vec<FilePath>,
        /// Directories to remove when empty, in this order.
        directories: Vec<FilePath>,
    },
    /// Write segments anew without superseded records, into files of new names, complete, flushed and named. The old ones stay; nothing
    /// refers to the new ones before a checkpoint does.
    Compact(Box<Compaction>),
    /// Ask for the file system's space.
    DiskSpace,
}

/// How a job ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum JobResult {
    /// Done.
    Done,
    /// The content asked for.
    Content(Bytes),
    /// The segments that `Compact` made.
    Compacted(Box<Compacted>),
    /// Bytes of the file system that are free to us, and its size.
    Space {
        /// Free bytes.
        free: u64,
        /// All bytes.
        total: u64,
    },
    /// Failed with an errno; `what` names the step and the path.
    Failed {
        /// Linux errno (28 = ENOSPC, 2 = ENOENT, 5 = EIO).
        errno: i32,
        /// For the log and the operator.
        what: String,
    },
}

/// Effects of a round, in order.
#[derive(Default, Debug)]
pub struct Effects {
    /// The orders.
    pub list: Vec<Effect>,
}

impl Effects {
    /// Adds an order.
    pub fn push(&mut self, effect: Effect) {
        self.list.push(effect);
    }
}
