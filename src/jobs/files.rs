//! The file steps that jobs are made of.
//!
//! Each step is small enough that a crash is thought of as happening between two steps. What a step wrote is durable only
//! after the flush of the file (content, size, allocation) or of the directory (names).

use crate::base::effect::FilePath;
use crate::base::ids::FileId;
use bytes::Bytes;

/// A Linux error number.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Errno(pub i32);

impl Errno {
    /// No such file or directory.
    pub const ENOENT: Errno = Errno(2);
    /// Input/output error.
    pub const EIO: Errno = Errno(5);
    /// Bad file: the id is not bound to an open file.
    pub const EBADF: Errno = Errno(9);
    /// The name exists.
    pub const EEXIST: Errno = Errno(17);
    /// No space left on the device.
    pub const ENOSPC: Errno = Errno(28);
    /// The directory has entries.
    pub const ENOTEMPTY: Errno = Errno(39);
    /// What is stored is damaged.
    pub const EUCLEAN: Errno = Errno(117);
    /// The node is about to end.
    pub const ECANCELED: Errno = Errno(125);
}

/// Outcome of a step.
pub type FileResult<T> = Result<T, Errno>;

/// Steps on files below the data directory. Paths are as in [`FilePath`]; a directory is named by its path, the data
/// directory itself by the empty string.
#[allow(
    async_fn_in_trait,
    reason = "used with one executor thread or none; no Send bound is wanted"
)]
pub trait Files {
    /// An open file. Dropping it closes the file.
    type Handle;

    /// Makes one directory; its parent exists. `EEXIST` when it is there.
    async fn make_dir(&self, path: &str) -> FileResult<()>;
    /// True when this run knows the directory to be there and its name to be durable. Another job may have made it a moment
    /// ago without having flushed its parent yet, so its mere existence proves nothing.
    fn dir_known(&self, path: &str) -> bool;
    /// Remembers (or forgets) what [`dir_known`](Self::dir_known) answers.
    fn know_dir(&self, path: &str, known: bool);
    /// Creates an empty file for direct reads and writes; an existing one is emptied.
    async fn create(&self, path: &FilePath) -> FileResult<Self::Handle>;
    /// Opens an existing file for direct reads and writes.
    async fn open(&self, path: &FilePath) -> FileResult<Self::Handle>;
    /// Allocates blocks for the first `bytes` bytes and extends the size to at least that.
    async fn allocate(&self, file: &Self::Handle, bytes: u64) -> FileResult<()>;
    /// Sets the size.
    async fn set_size(&self, file: &Self::Handle, bytes: u64) -> FileResult<()>;
    /// Writes all of `data` (whole blocks) at `at` (block-aligned); a short write is an error.
    async fn write_at(&self, file: &Self::Handle, at: u64, data: Bytes) -> FileResult<()>;
    /// Reads `len` bytes (whole blocks) at `at` (block-aligned), all of them.
    async fn read_at(&self, file: &Self::Handle, at: u64, len: usize) -> FileResult<Bytes>;
    /// Reads the whole file.
    async fn read_all(&self, file: &Self::Handle) -> FileResult<Bytes>;
    /// Makes content, size and allocation durable.
    async fn flush(&self, file: &Self::Handle) -> FileResult<()>;
    /// Takes the exclusive lock of the open file description; does not wait.
    async fn lock(&self, file: &Self::Handle) -> FileResult<()>;
    /// Takes a shared lock of the open file description: as long as a write of this process is under way, even after its death, a
    /// successor that wants the file for itself finds it taken (RELIABILITY mode 13).
    async fn share(&self, file: &Self::Handle) -> FileResult<()>;
    /// Gives a file another name, replacing what had it.
    async fn rename(&self, from: &FilePath, to: &FilePath) -> FileResult<()>;
    /// Removes a file's name.
    async fn remove(&self, path: &FilePath) -> FileResult<()>;
    /// Removes an empty directory.
    async fn remove_dir(&self, path: &FilePath) -> FileResult<()>;
    /// Makes the names in a directory durable.
    async fn flush_dir(&self, path: &str) -> FileResult<()>;
    /// Free and total bytes of the file system.
    async fn space(&self) -> FileResult<(u64, u64)>;
    /// A pause between two parts of long work, so that others get their turn and deletes are spread over time.
    async fn breathe(&self);
    /// `bytes` were read or written by work that is to move at most `per_second`: a pause when it is ahead of that. 0 = no limit.
    async fn pace(&self, bytes: u64, per_second: u64);
    /// True when long work should end: what it has made so far does not count.
    fn is_stopping(&self) -> bool;
    /// Closes a file that the job opened, before the job ends.
    async fn close(&self, file: Self::Handle);
    /// The open file of an id, if it is bound.
    fn bound(&self, file: FileId) -> Option<Self::Handle>;
    /// Hands an open file to the shard under this id.
    fn bind(&self, file: FileId, handle: Self::Handle);
}
