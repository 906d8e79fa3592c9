//! Compaction as file steps: carries out what [`Cleaner`] orders.
//!
//! Crash rule: new files have names of their own and are complete, flushed and durably named before the job reports success; only
//! then may a checkpoint name them. The old ones are left alone. So a crash at any step leaves the old set, and rubbish that the
//! next start removes.

use super::files::{Errno, Files};
use super::run::{Failure, Step, UNFINISHED, at, parent, respect_reserve};
use crate::base::buf::{AlignedBuf, block_ceil};
use crate::base::compaction::Compaction;
use crate::base::effect::{FilePath, JobResult};
use crate::log::compact::{Cleaner, Order};
use bytes::Bytes;

/// The run's open files and what it has made.
struct Work<'a, F: Files> {
    files: &'a F,
    per_second: u64,
    source: Option<(FilePath, F::Handle)>,
    output: Option<F::Handle>,
    /// Everything created, for removal after a failure.
    made: Vec<FilePath>,
}

pub(super) async fn compact<F: Files>(files: &F, spec: &Compaction) -> Step<JobResult> {
    let Some(first) = spec.sources.first() else {
        return Ok(JobResult::Compacted(Box::default()));
    };
    let bytes = spec.sources.iter().map(|source| source.size).sum();
    respect_reserve(files, &first.path, (bytes, spec.keep_free)).await?;
    let mut work = Work {
        files,
        per_second: spec.bytes_per_second,
        source: None,
        output: None,
        made: Vec::new(),
    };
    let outcome = work.run(Cleaner::new(spec.clone()), &first.path).await;
    if outcome.is_err() {
        for path in work.made {
            let _ = files.remove(&path).await;
        }
    }
    outcome
}

impl<F: Files> Work<'_, F> {
    async fn run(&mut self, mut cleaner: Cleaner, first: &FilePath) -> Step<JobResult> {
        let mut given = None;
        loop {
            if self.files.is_stopping() {
                return at(Err(Errno::ECANCELED), "compact", &first.0);
            }
            let order = cleaner.next(given.take()).map_err(|what| Failure {
                errno: Errno::EUCLEAN,
                what,
            })?;
            match order {
                Order::Read { path, at, len } => given = Some(self.read(path, at, len).await?),
                Order::Create { path } => self.create(&path).await?,
                Order::Write { at, data } => self.write(first, at, data).await?,
                Order::Finish {
                    path,
                    index_path,
                    index,
                } => self.finish(&path, &index_path, &index).await?,
                Order::Pause => self.files.breathe().await,
                Order::Done(done) => {
                    let directory = parent(&first.0);
                    at(self.files.flush_dir(directory).await, "flush directory", directory)?;
                    return Ok(JobResult::Compacted(done));
                }
            }
        }
    }

    async fn read(&mut self, path: FilePath, position: u64, len: usize) -> Step<Bytes> {
        if self.source.as_ref().is_none_or(|(open, _)| *open != path) {
            if let Some((_, old)) = self.source.take() {
                self.files.close(old).await;
            }
            let handle = at(self.files.open(&path).await, "open", &path.0)?;
            self.source = Some((path.clone(), handle));
        }
        let Some((_, handle)) = &self.source else {
            return at(Err(Errno::EBADF), "read", &path.0);
        };
        let bytes = at(self.files.read_at(handle, position, len).await, "read", &path.0)?;
        self.files.pace(len as u64, self.per_second).await;
        Ok(bytes)
    }

    async fn create(&mut self, path: &FilePath) -> Step<()> {
        let unfinished = unfinished(path);
        self.made.push(unfinished.clone());
        let handle = at(self.files.create(&unfinished).await, "create", &unfinished.0)?;
        self.output = Some(handle);
        Ok(())
    }

    async fn write(&mut self, first: &FilePath, position: u64, data: Bytes) -> Step<()> {
        let Some(handle) = &self.output else {
            return at(Err(Errno::EBADF), "write beside", &first.0);
        };
        let len = data.len() as u64;
        at(
            self.files.write_at(handle, position, data).await,
            "write beside",
            &first.0,
        )?;
        self.files.pace(len, self.per_second).await;
        Ok(())
    }

    async fn finish(&mut self, path: &FilePath, index_path: &FilePath, index: &Bytes) -> Step<()> {
        let Some(handle) = self.output.take() else {
            return at(Err(Errno::EBADF), "flush", &path.0);
        };
        at(self.files.flush(&handle).await, "flush", &path.0)?;
        self.files.close(handle).await;
        self.name(path).await?;
        self.create(index_path).await?;
        if let Some(handle) = self.output.take() {
            // A cache with a checksum: never flushed, rebuilt when a power cut has torn it.
            let mut padded = AlignedBuf::zeroed(index.len());
            padded.as_mut()[..index.len()].copy_from_slice(index);
            let padded = padded.freeze(block_ceil(index.len()));
            at(self.files.write_at(&handle, 0, padded).await, "write", &index_path.0)?;
            let cut = self.files.set_size(&handle, index.len() as u64).await;
            at(cut, "set the size of", &index_path.0)?;
            self.files.close(handle).await;
        }
        self.name(index_path).await
    }

    async fn name(&mut self, path: &FilePath) -> Step<()> {
        self.made.push(path.clone());
        at(self.files.rename(&unfinished(path), path).await, "rename to", &path.0)
    }
}

fn unfinished(path: &FilePath) -> FilePath {
    FilePath(format!("{}{UNFINISHED}", path.0))
}
