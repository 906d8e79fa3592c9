//! The file steps on a real disk, through glommio.

use crate::base::buf::{BLOCK, block_ceil};
use crate::base::effect::FilePath;
use crate::base::ids::FileId;
use crate::jobs::{Errno, FileResult, Files, UNFINISHED};
use crate::reactor::Refusal;
use bytes::Bytes;
use glommio::io::{DmaFile, OpenOptions};
use glommio::timer::sleep;
use glommio::{GlommioError, executor};
use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Largest file that is read as a whole.
const WHOLE_FILE_MAX: u64 = 256 << 20;
/// Deleted bytes per second, so that freeing many large files does not starve the log's own writes.
const DELETE_BYTES_PER_S: u64 = 4 << 30;
/// A file with content in every data directory.
const EXISTING: &str = "ringlog.format";
/// Pauses shorter than this are saved up.
const PAUSE_MIN: Duration = Duration::from_millis(1);

/// What all jobs share: the data directory and what is known of it.
pub struct Root {
    path: PathBuf,
    known_dirs: RefCell<BTreeSet<String>>,
    /// Long work is to end.
    stopping: Arc<AtomicBool>,
}

impl Root {
    /// For the data directory at `path`. Once `stopping` is set, long work ends.
    pub fn new(path: PathBuf, stopping: Arc<AtomicBool>) -> Root {
        Root {
            path,
            known_dirs: RefCell::new(BTreeSet::new()),
            stopping,
        }
    }
}

/// The files of one job.
pub struct JobFiles {
    root: Rc<Root>,
    /// What `Extend` and `Truncate` are about.
    given: Option<(FileId, Arc<OwnedFd>)>,
    /// Everything opened, to be closed at the end.
    opened: RefCell<Vec<Rc<DmaFile>>>,
    /// What the job hands to its shard.
    result: RefCell<Option<(FileId, Arc<OwnedFd>)>>,
    deleted_bytes: Cell<u64>,
    /// Moved by paced work since the last pause.
    moved_bytes: Cell<u64>,
}

/// An open file: one of ours, or the shard's.
#[derive(Clone)]
pub enum Handle {
    /// Opened by the job.
    Own(Rc<DmaFile>),
    /// Open at the shard.
    Shard(Arc<OwnedFd>),
}

impl Handle {
    /// A second descriptor of the same open file description: locks and the direct mode are shared.
    fn duplicate(&self) -> io::Result<OwnedFd> {
        match self {
            Handle::Own(file) => {
                // SAFETY: `file` is open while borrowed.
                let fd = unsafe { BorrowedFd::borrow_raw(file.as_raw_fd()) };
                fd.try_clone_to_owned()
            }
            Handle::Shard(file) => file.try_clone(),
        }
    }
}

impl JobFiles {
    /// For one job.
    pub fn new(root: Rc<Root>, given: Option<(FileId, Arc<OwnedFd>)>) -> JobFiles {
        JobFiles {
            root,
            given,
            opened: RefCell::new(Vec::new()),
            result: RefCell::new(None),
            deleted_bytes: Cell::new(0),
            moved_bytes: Cell::new(0),
        }
    }

    /// Closes all files; what the job bound stays open for the shard.
    pub async fn close_all(self) -> Option<(FileId, Arc<OwnedFd>)> {
        let opened = self.opened.take();
        for file in opened {
            // Only a write could lose something at close, and all writes were flushed.
            let _ = file.close_rc().await;
        }
        self.result.take()
    }

    fn path(&self, path: &str) -> PathBuf {
        self.root.path.join(path)
    }

    fn keep(&self, file: DmaFile) -> Handle {
        let file = Rc::new(file);
        self.opened.borrow_mut().push(file.clone());
        Handle::Own(file)
    }

    async fn open_with(&self, path: &FilePath, create: bool) -> FileResult<Handle> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(create).truncate(create);
        let file = options.dma_open(self.path(&path.0)).await.map_err(errno)?;
        let handle = self.keep(file);
        require_direct(&handle)?;
        Ok(handle)
    }
}

impl Files for JobFiles {
    type Handle = Handle;

    async fn make_dir(&self, path: &str) -> FileResult<()> {
        let path = self.path(path);
        blocking(move || std::fs::create_dir(path)).await
    }
    fn dir_known(&self, path: &str) -> bool {
        self.root.known_dirs.borrow().contains(path)
    }
    fn know_dir(&self, path: &str, known: bool) {
        let mut dirs = self.root.known_dirs.borrow_mut();
        if known {
            dirs.insert(path.to_owned());
        } else {
            dirs.remove(path);
        }
    }
    async fn create(&self, path: &FilePath) -> FileResult<Handle> {
        self.open_with(path, true).await
    }
    async fn open(&self, path: &FilePath) -> FileResult<Handle> {
        self.open_with(path, false).await
    }
    async fn allocate(&self, file: &Handle, bytes: u64) -> FileResult<()> {
        match file {
            Handle::Own(file) => file.pre_allocate(bytes, false).await.map_err(errno),
            Handle::Shard(fd) => {
                let fd = fd.clone();
                blocking(move || fallocate(&fd, bytes)).await
            }
        }
    }
    async fn set_size(&self, file: &Handle, bytes: u64) -> FileResult<()> {
        match file {
            Handle::Own(file) => file.truncate(bytes).await.map_err(errno),
            Handle::Shard(_) => {
                let file = File::from(file.duplicate().map_err(io_errno)?);
                blocking(move || file.set_len(bytes)).await
            }
        }
    }
    async fn write_at(&self, file: &Handle, at: u64, data: Bytes) -> FileResult<()> {
        let Handle::Own(file) = file else {
            return Err(Errno::EBADF);
        };
        let mut buffer = file.alloc_dma_buffer(data.len());
        buffer.as_bytes_mut()[..data.len()].copy_from_slice(&data);
        let written = file.write_at(buffer, at).await.map_err(errno)?;
        if written == data.len() { Ok(()) } else { Err(Errno::EIO) }
    }
    async fn read_at(&self, file: &Handle, at: u64, len: usize) -> FileResult<Bytes> {
        let Handle::Own(file) = file else {
            return Err(Errno::EBADF);
        };
        let read = file.read_at_aligned(at, len).await.map_err(errno)?;
        if read.len() < len {
            return Err(Errno::EIO);
        }
        Ok(Bytes::copy_from_slice(&read[..len]))
    }
    async fn read_all(&self, file: &Handle) -> FileResult<Bytes> {
        let Handle::Own(file) = file else {
            return Err(Errno::EBADF);
        };
        let size = file.file_size().await.map_err(errno)?;
        if size > WHOLE_FILE_MAX {
            return Err(Errno(libc::EFBIG));
        }
        if size == 0 {
            return Ok(Bytes::new());
        }
        let read = file
            .read_at_aligned(0, block_ceil(size as usize))
            .await
            .map_err(errno)?;
        if (read.len() as u64) < size {
            return Err(Errno::EIO);
        }
        Ok(Bytes::copy_from_slice(&read[..size as usize]))
    }
    async fn flush(&self, file: &Handle) -> FileResult<()> {
        match file {
            Handle::Own(file) => file.fdatasync().await.map_err(errno),
            Handle::Shard(_) => {
                let file = File::from(file.duplicate().map_err(io_errno)?);
                blocking(move || file.sync_data()).await
            }
        }
    }
    async fn lock(&self, file: &Handle) -> FileResult<()> {
        let file = File::from(file.duplicate().map_err(io_errno)?);
        // `flock` belongs to the open file description, so it outlives this descriptor.
        file.try_lock().map_err(|_| Errno(libc::EWOULDBLOCK))
    }
    async fn share(&self, file: &Handle) -> FileResult<()> {
        let file = File::from(file.duplicate().map_err(io_errno)?);
        file.try_lock_shared().map_err(|_| Errno(libc::EWOULDBLOCK))
    }
    async fn rename(&self, from: &FilePath, to: &FilePath) -> FileResult<()> {
        glommio::io::rename(self.path(&from.0), self.path(&to.0))
            .await
            .map_err(errno)
    }
    async fn remove(&self, path: &FilePath) -> FileResult<()> {
        let path = self.path(&path.0);
        let bytes = blocking(move || {
            let bytes = std::fs::symlink_metadata(&path)?.len();
            std::fs::remove_file(&path)?;
            Ok(bytes)
        })
        .await?;
        self.deleted_bytes.set(self.deleted_bytes.get() + bytes);
        Ok(())
    }
    async fn remove_dir(&self, path: &FilePath) -> FileResult<()> {
        let path = self.path(&path.0);
        blocking(move || std::fs::remove_dir(path)).await
    }
    async fn flush_dir(&self, path: &str) -> FileResult<()> {
        let path = self.path(path);
        // A full fsync: for directories fdatasync promises too little.
        blocking(move || File::open(path)?.sync_all()).await
    }
    async fn space(&self) -> FileResult<(u64, u64)> {
        let path = self.root.path.clone();
        blocking(move || space(&path)).await
    }
    async fn breathe(&self) {
        let pause = Duration::from_nanos(
            (self.deleted_bytes.get() as u128 * 1_000_000_000 / DELETE_BYTES_PER_S as u128) as u64,
        );
        if pause >= PAUSE_MIN {
            self.deleted_bytes.set(0);
            sleep(pause).await;
        } else {
            glommio::executor().yield_if_needed().await;
        }
    }
    async fn pace(&self, bytes: u64, per_second: u64) {
        self.moved_bytes.set(self.moved_bytes.get() + bytes);
        let Some(ns) = (u128::from(self.moved_bytes.get()) * 1_000_000_000).checked_div(u128::from(per_second)) else {
            return;
        };
        let pause = Duration::from_nanos(ns as u64);
        if pause >= PAUSE_MIN {
            self.moved_bytes.set(0);
            sleep(pause).await;
        }
    }
    fn is_stopping(&self) -> bool {
        self.root.stopping.load(Ordering::Relaxed)
    }
    async fn close(&self, file: Handle) {
        if let Handle::Own(file) = file {
            self.opened.borrow_mut().retain(|open| !Rc::ptr_eq(open, &file));
            // Only a write could lose something at close, and what counts was flushed.
            let _ = file.close_rc().await;
        }
    }
    fn bound(&self, file: FileId) -> Option<Handle> {
        let (id, fd) = self.given.as_ref()?;
        (*id == file).then(|| Handle::Shard(fd.clone()))
    }
    fn bind(&self, file: FileId, handle: Handle) {
        let fd = match handle.duplicate() {
            Ok(fd) => fd,
            Err(error) => {
                // Out of descriptors between two steps; the caller sees that nothing was bound.
                tracing::warn!(%error, "cannot duplicate a descriptor: raise the limit of open files (LimitNOFILE)");
                return;
            }
        };
        *self.result.borrow_mut() = Some((file, Arc::new(fd)));
    }
}

/// Runs a call that may wait for the disk on glommio's helper thread.
async fn blocking<T: Send + 'static>(call: impl FnOnce() -> io::Result<T> + Send + 'static) -> FileResult<T> {
    executor().spawn_blocking(call).await.map_err(io_errno)
}

/// Tries direct I/O in the data directory, before anything relies on it.
///
/// It also shows glommio a file with content first: it judges by its first file whether the device can be polled for
/// completions, and an empty one deceives it (its later reads would fail with `EOPNOTSUPP`).
pub async fn try_direct(dir: PathBuf) -> Result<(), Refusal> {
    let path = dir.join(format!(".direct{UNFINISHED}"));
    let refuse = |step: &str, errno: Errno| Refusal {
        cause: format!(
            "cannot {step} {}: {}",
            path.display(),
            io::Error::from_raw_os_error(errno.0)
        ),
        remedy: match errno.0 {
            libc::EOPNOTSUPP | libc::EINVAL => {
                "direct I/O is needed: put the data directory on ext4 or xfs, not on tmpfs, overlayfs or a network"
                    .into()
            }
            libc::ENOSPC | libc::EDQUOT => "free some space there, or choose another data directory".into(),
            _ => "check owner, permissions and health of the data directory".into(),
        },
    };
    let fill = path.clone();
    let filled = blocking(move || std::fs::write(fill, [0; BLOCK])).await;
    let mut name = FilePath(format!(".direct{UNFINISHED}"));
    match filled {
        // A full disk has to be served; a file that is there already does as well.
        Err(Errno(libc::ENOSPC | libc::EDQUOT)) if dir.join(EXISTING).exists() => name = FilePath(EXISTING.into()),
        filled => filled.map_err(|errno| refuse("write", errno))?,
    }
    let files = JobFiles::new(Rc::new(Root::new(dir, Arc::default())), None);
    let read = match files.open(&name).await {
        Ok(handle) => files.read_all(&handle).await,
        Err(errno) => Err(errno),
    };
    files.close_all().await;
    let gone = path.clone();
    let _ = blocking(move || std::fs::remove_file(gone)).await;
    read.map(drop).map_err(|errno| refuse("read directly from", errno))
}

/// Refuses a file that is not in direct mode: glommio lets tmpfs pass.
fn require_direct(handle: &Handle) -> FileResult<()> {
    let fd = handle.duplicate().map_err(io_errno)?;
    // SAFETY: no memory involved.
    let flags = unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_GETFL) };
    if flags < 0 || flags & libc::O_DIRECT == 0 {
        return Err(Errno(libc::EOPNOTSUPP));
    }
    // A read that updates the file's access time waits for the file system's journal. Without effect for a file of another user.
    // SAFETY: no memory involved.
    unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_SETFL, flags | libc::O_NOATIME) };
    Ok(())
}

fn fallocate(fd: &OwnedFd, bytes: u64) -> io::Result<()> {
    // SAFETY: no memory involved.
    let result = unsafe { libc::fallocate(fd.as_raw_fd(), 0, 0, bytes as libc::off_t) };
    if result == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

fn space(path: &std::path::Path) -> io::Result<(u64, u64)> {
    use std::os::unix::ffi::OsStrExt;
    let path = std::ffi::CString::new(path.as_os_str().as_bytes())?;
    // SAFETY: statvfs is plain data; the path ends in a zero byte.
    let (result, stat) = unsafe {
        let mut stat: libc::statvfs = std::mem::zeroed();
        (libc::statvfs(path.as_ptr(), &mut stat), stat)
    };
    if result != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok((stat.f_bavail * stat.f_frsize, stat.f_blocks * stat.f_frsize))
}

fn errno<T>(error: GlommioError<T>) -> Errno {
    match error {
        GlommioError::IoError(source) | GlommioError::EnhancedIoError { source, .. } => io_errno(source),
        other => {
            tracing::error!(error = %other, "unexpected error of the background executor");
            Errno::EIO
        }
    }
}

fn io_errno(error: io::Error) -> Errno {
    error.raw_os_error().map_or(Errno::EIO, Errno)
}
