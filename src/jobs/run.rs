//! Each job as its steps, in the order that makes it atomic.

use super::compact;
use super::files::{Errno, FileResult, Files};
use crate::base::buf::{AlignedBuf, block_ceil};
use crate::base::effect::{FilePath, Job, JobResult};
use crate::base::ids::FileId;
use bytes::Bytes;
use std::collections::BTreeSet;

/// Suffix of a file that is not complete yet. Recovery ignores such files and may delete them; the next job for the same name
/// replaces them. A shard has at most one job per name under way.
pub const UNFINISHED: &str = ".new";

/// Bytes of zeros written at once while a journal file is prepared.
const ZERO_STEP: u64 = 1 << 20;

/// What failed: errno, step and path.
pub(super) struct Failure {
    pub(super) errno: Errno,
    pub(super) what: String,
}

pub(super) type Step<T> = Result<T, Failure>;

/// Names the step that failed.
pub(super) fn at<T>(result: FileResult<T>, step: &str, path: &str) -> Step<T> {
    result.map_err(|errno| Failure {
        errno,
        what: format!("{step} {path}"),
    })
}

/// Runs `job` to its end.
pub async fn run<F: Files>(job: &Job, files: &F) -> JobResult {
    let done = match job {
        Job::CreateSegment {
            file,
            path,
            bytes,
            keep_free,
        } => create_segment(files, *file, path, (*bytes, *keep_free)).await,
        Job::FlushNames { directories } => flush_names(files, directories).await,
        Job::Extend {
            file,
            path,
            to,
            more,
            keep_free,
        } => extend(files, *file, path, *to, (*more, *keep_free)).await,
        Job::Truncate { file, path, to } => truncate(files, *file, path, *to).await,
        Job::Open { file, path } => open(files, *file, path).await,
        Job::PrepareJournal {
            file,
            path,
            bytes,
            keep_free,
        } => prepare_journal(files, *file, path, (*bytes, *keep_free)).await,
        Job::WriteFile { path, content } => write_file(files, path, content).await,
        Job::ReadFile { path } => read_file(files, path).await,
        Job::DeleteFiles {
            files: names,
            directories,
        } => delete_files(files, names, directories).await,
        Job::Compact(spec) => compact::compact(files, spec).await,
        Job::DiskSpace => disk_space(files).await,
    };
    done.unwrap_or_else(|failure| JobResult::Failed {
        errno: failure.errno.0,
        what: failure.what,
    })
}

/// What is kept free is for checkpoints and for the records of deletions: they have to find room when nothing else does.
pub(super) async fn respect_reserve<F: Files>(files: &F, path: &FilePath, (more, keep_free): (u64, u64)) -> Step<()> {
    if keep_free == 0 {
        return Ok(());
    }
    let (free, _) = at(files.space().await, "ask the space for", &path.0)?;
    let fits = free >= more.saturating_add(keep_free);
    at(if fits { Ok(()) } else { Err(Errno::ENOSPC) }, "allocate", &path.0)
}

async fn create_segment<F: Files>(
    files: &F,
    id: FileId,
    path: &FilePath,
    (bytes, keep_free): (u64, u64),
) -> Step<JobResult> {
    respect_reserve(files, path, (bytes, keep_free)).await?;
    for dir in directories_above(&path.0).filter(|dir| !files.dir_known(dir)) {
        make_dir(files, dir).await?;
    }
    let fill = async |handle: &F::Handle| {
        at(files.share(handle).await, "lock", &path.0)?;
        at(files.allocate(handle, bytes).await, "allocate", &path.0)
    };
    let handle = create_named(files, path, fill).await?;
    files.bind(id, handle);
    Ok(JobResult::Done)
}

/// Each directory is flushed once, however many of those below it are asked for.
async fn flush_names<F: Files>(files: &F, directories: &[FilePath]) -> Step<JobResult> {
    let mut made: BTreeSet<&str> = BTreeSet::new();
    for path in directories {
        made.insert(&path.0);
        made.extend(directories_above(&path.0).filter(|dir| !files.dir_known(dir)));
    }
    let mut flush: BTreeSet<&str> = made.iter().map(|dir| parent(dir)).collect();
    flush.extend(directories.iter().map(|path| path.0.as_str()));
    for dir in flush {
        match files.flush_dir(dir).await {
            Err(Errno::ENOENT) => {}
            other => at(other, "flush directory", dir)?,
        }
    }
    made.into_iter().for_each(|dir| files.know_dir(dir, true));
    Ok(JobResult::Done)
}

async fn prepare_journal<F: Files>(
    files: &F,
    id: FileId,
    path: &FilePath,
    (bytes, keep_free): (u64, u64),
) -> Step<JobResult> {
    respect_reserve(files, path, (bytes, keep_free)).await?;
    make_parents(files, path).await?;
    let fill = async |handle: &F::Handle| {
        // A preallocated but unwritten file would change metadata with each append (RELIABILITY mode 9).
        at(files.allocate(handle, bytes).await, "allocate", &path.0)?;
        let zeros = AlignedBuf::zeroed(ZERO_STEP.min(bytes) as usize).freeze(ZERO_STEP as usize);
        let mut written = 0;
        while written < bytes {
            let step = ZERO_STEP.min(bytes - written);
            at(
                files.write_at(handle, written, zeros.slice(..step as usize)).await,
                "write zeros to",
                &path.0,
            )?;
            written += step;
            files.breathe().await;
        }
        at(files.flush(handle).await, "flush", &path.0)?;
        // Before it has its name, so that nobody finds it unlocked (mode 13).
        at(files.lock(handle).await, "lock", &path.0)
    };
    let handle = create_whole(files, path, fill).await?;
    files.bind(id, handle);
    Ok(JobResult::Done)
}

async fn write_file<F: Files>(files: &F, path: &FilePath, content: &Bytes) -> Step<JobResult> {
    make_parents(files, path).await?;
    let fill = async |handle: &F::Handle| {
        let mut padded = AlignedBuf::zeroed(content.len());
        padded.as_mut()[..content.len()].copy_from_slice(content);
        let padded = padded.freeze(block_ceil(content.len()));
        if !padded.is_empty() {
            at(files.write_at(handle, 0, padded).await, "write", &path.0)?;
        }
        at(
            files.set_size(handle, content.len() as u64).await,
            "set the size of",
            &path.0,
        )?;
        at(files.flush(handle).await, "flush", &path.0)
    };
    create_whole(files, path, fill).await?;
    Ok(JobResult::Done)
}

/// Creates a file as [`create_named`] does; `fill` has flushed it, and its name is durable, too.
async fn create_whole<F: Files>(
    files: &F,
    path: &FilePath,
    fill: impl AsyncFnOnce(&F::Handle) -> Step<()>,
) -> Step<F::Handle> {
    let handle = create_named(files, path, fill).await?;
    flush_parent(files, path).await?;
    Ok(handle)
}

/// Creates a file under a temporary name, lets `fill` complete it, then gives it its name.
async fn create_named<F: Files>(
    files: &F,
    path: &FilePath,
    fill: impl AsyncFnOnce(&F::Handle) -> Step<()>,
) -> Step<F::Handle> {
    let unfinished = FilePath(format!("{}{UNFINISHED}", path.0));
    let handle = at(files.create(&unfinished).await, "create", &unfinished.0)?;
    let named = async {
        fill(&handle).await?;
        at(files.rename(&unfinished, path).await, "rename to", &path.0)
    };
    if let Err(failure) = named.await {
        // Gives the space back; if even that fails, the next job of this name replaces the file.
        let _ = files.remove(&unfinished).await;
        return Err(failure);
    }
    Ok(handle)
}

async fn open<F: Files>(files: &F, id: FileId, path: &FilePath) -> Step<JobResult> {
    let handle = at(files.open(path).await, "open", &path.0)?;
    at(files.share(&handle).await, "lock", &path.0)?;
    files.bind(id, handle);
    Ok(JobResult::Done)
}

async fn extend<F: Files>(files: &F, id: FileId, path: &FilePath, to: u64, room: (u64, u64)) -> Step<JobResult> {
    let handle = at(files.bound(id).ok_or(Errno::EBADF), "extend", &path.0)?;
    respect_reserve(files, path, room).await?;
    at(files.allocate(&handle, to).await, "allocate", &path.0)?;
    Ok(JobResult::Done)
}

async fn truncate<F: Files>(files: &F, id: FileId, path: &FilePath, to: u64) -> Step<JobResult> {
    let handle = at(files.bound(id).ok_or(Errno::EBADF), "truncate", &path.0)?;
    at(files.set_size(&handle, to).await, "truncate", &path.0)?;
    at(files.flush(&handle).await, "flush", &path.0)?;
    Ok(JobResult::Done)
}

async fn read_file<F: Files>(files: &F, path: &FilePath) -> Step<JobResult> {
    let handle = at(files.open(path).await, "open", &path.0)?;
    let content = at(files.read_all(&handle).await, "read", &path.0)?;
    Ok(JobResult::Content(content))
}

async fn disk_space<F: Files>(files: &F) -> Step<JobResult> {
    let (free, total) = at(files.space().await, "ask the space of", "the data directory")?;
    Ok(JobResult::Space { free, total })
}

async fn delete_files<F: Files>(files: &F, names: &[FilePath], directories: &[FilePath]) -> Step<JobResult> {
    let mut touched: Vec<&str> = Vec::new();
    for path in names {
        match files.remove(path).await {
            Err(Errno::ENOENT) => continue,
            other => at(other, "delete", &path.0)?,
        }
        touched.push(parent(&path.0));
        files.breathe().await;
    }
    for path in directories {
        files.know_dir(&path.0, false);
        match files.remove_dir(path).await {
            Err(Errno::ENOENT | Errno::ENOTEMPTY) => continue,
            other => at(other, "remove directory", &path.0)?,
        }
        touched.retain(|dir| *dir != path.0);
        touched.push(parent(&path.0));
    }
    touched.sort_unstable();
    touched.dedup();
    for dir in touched {
        at(files.flush_dir(dir).await, "flush directory", dir)?;
    }
    Ok(JobResult::Done)
}

pub(super) fn parent(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(dir, _)| dir)
}

/// The directories that a path goes through, the highest first.
fn directories_above(path: &str) -> impl Iterator<Item = &str> {
    path.match_indices('/').map(|(end, _)| &path[..end])
}

/// Makes a directory, unless it is there.
async fn make_dir<F: Files>(files: &F, dir: &str) -> Step<()> {
    match files.make_dir(dir).await {
        Err(Errno::EEXIST) => Ok(()),
        other => at(other, "make directory", dir),
    }
}

async fn flush_parent<F: Files>(files: &F, path: &FilePath) -> Step<()> {
    let dir = parent(&path.0);
    at(files.flush_dir(dir).await, "flush directory", dir)
}

/// Makes the missing directories above `path`, each durable before the next, so that a flushed file is never unreachable.
async fn make_parents<F: Files>(files: &F, path: &FilePath) -> Step<()> {
    for dir in directories_above(&path.0) {
        if files.dir_known(dir) {
            continue;
        }
        make_dir(files, dir).await?;
        let above = parent(dir);
        at(files.flush_dir(above).await, "flush directory", above)?;
        files.know_dir(dir, true);
    }
    Ok(())
}
