//! Performs a shard's disk effects on the simulated disk: each takes a while, may fail, and a crash catches some in flight.
//!
//! Completion order is chance's: a later write may finish before an earlier one, a flush covers what had completed when it was
//! asked for. Jobs take effect when they complete; a crash before that means they did not happen, or (by chance) just did.

use crate::base::effect::{Effect, FilePath, Job, JobResult};
use crate::base::ids::{FileId, IoKey, JobKey};
use crate::shard::event::Event;
use crate::sim::cleaning::compact;
use crate::sim::disk::SimDisk;
use crate::sim::prng::Prng;
use bytes::Bytes;
use std::collections::BTreeMap;

const EBADF: i32 = 9;
const EIO: i32 = 5;
const ENOENT: i32 = 2;
const ENOSPC: i32 = 28;
/// The name of a file that another has replaced.
const NAMELESS: &str = "";

/// What may go wrong, in percent of operations.
#[derive(Clone, Debug, Default)]
pub struct IoFaults {
    /// Segment writes and flushes that fail.
    pub segment_error: u64,
    /// Journal writes and flushes of names that fail (the node stops).
    pub journal_error: u64,
    /// Reads that fail.
    pub read_error: u64,
    /// Reads that give one wrong bit.
    pub read_flip: u64,
    /// Operations that take 50 times as long.
    pub slow: u64,
    /// Jobs that fail with EIO (allocation, index and checkpoint files).
    pub job_error: u64,
    /// Nothing completes before this time, nanoseconds.
    pub stalled_until_ns: u64,
}

#[derive(Debug)]
enum Op {
    Write {
        key: IoKey,
        name: String,
        at: u64,
        data: Bytes,
        durable: bool,
    },
    Read {
        key: IoKey,
        name: String,
        at: u64,
        len: u32,
    },
    Sync {
        key: IoKey,
        name: String,
        covers: usize,
    },
    Job {
        key: JobKey,
        job: Job,
    },
}

/// One shard's operations in flight.
#[derive(Debug)]
pub struct SimIo {
    files: BTreeMap<FileId, String>,
    /// Segments: up to where writes were asked for.
    written: BTreeMap<FileId, u64>,
    /// By (completion time, sequence).
    in_flight: BTreeMap<(u64, u64), Op>,
    sequence: u64,
    chance: Prng,
    /// What goes wrong now.
    pub faults: IoFaults,
}

impl SimIo {
    /// Nothing in flight.
    pub fn new(chance: Prng, faults: IoFaults) -> Self {
        SimIo {
            files: BTreeMap::new(),
            written: BTreeMap::new(),
            in_flight: BTreeMap::new(),
            sequence: 0,
            chance,
            faults,
        }
    }
    /// Binds an open file, as boot does with journal files.
    pub fn bind(&mut self, file: FileId, name: &str) {
        self.files.insert(file, name.into());
    }
    /// When the next operation completes.
    pub fn next_time(&self) -> Option<u64> {
        self.in_flight.first_key_value().map(|((at, _), _)| *at)
    }
    /// Takes a disk effect; anything else is given back.
    pub fn submit(&mut self, now_ns: u64, effect: Effect, disk: &SimDisk) -> Option<Effect> {
        let op = match effect {
            Effect::Write {
                key,
                file,
                at,
                data,
                durable,
            } => {
                assert!(
                    at.is_multiple_of(4096) && data.len().is_multiple_of(4096),
                    "direct I/O is aligned"
                );
                assert!(
                    (data.as_ptr() as usize).is_multiple_of(4096),
                    "direct I/O memory is aligned"
                );
                let name = self.name(file);
                if name.ends_with(".seg") {
                    let behind = self.written.insert(file, at + data.len() as u64);
                    assert!(behind.is_none_or(|end| at >= end), "{name}: byte {at} is written twice");
                }
                Op::Write {
                    key,
                    name,
                    at,
                    data,
                    durable,
                }
            }
            Effect::Read { key, file, at, len } => Op::Read {
                key,
                name: self.name(file),
                at,
                len,
            },
            Effect::Sync { key, file } => {
                let name = self.name(file);
                let covers = disk.pending(&name);
                Op::Sync { key, name, covers }
            }
            Effect::CloseFile { file } => {
                self.files.remove(&file);
                return None;
            }
            Effect::Job { key, job } => Op::Job { key, job },
            other => return Some(other),
        };
        let mut takes = match &op {
            Op::Job { .. } => self.chance.between(50_000, 3_000_000),
            _ => self.chance.between(20_000, 400_000),
        };
        if self.chance.chance(self.faults.slow) {
            takes *= 50;
        }
        self.sequence += 1;
        let at = (now_ns + takes).max(self.faults.stalled_until_ns);
        self.in_flight.insert((at, self.sequence), op);
        None
    }

    fn name(&self, file: FileId) -> String {
        self.files
            .get(&file)
            .cloned()
            .unwrap_or_else(|| format!("closed file {}", file.0))
    }

    /// The name now belongs to another file: what is under way for the one before reaches nothing that has a name.
    fn detach(&mut self, path: &str) {
        self.files.retain(|_, name| name != path);
        for op in self.in_flight.values_mut() {
            if let Op::Write { name, .. } | Op::Read { name, .. } | Op::Sync { name, .. } = op
                && name == path
            {
                *name = NAMELESS.into();
            }
        }
    }

    /// Completes the next operation that is due.
    pub fn complete(&mut self, now_ns: u64, disk: &mut SimDisk) -> Option<Event> {
        let entry = self.in_flight.first_entry()?;
        if entry.key().0 > now_ns {
            return None;
        }
        Some(match entry.remove() {
            Op::Write {
                key,
                name,
                at,
                data,
                durable,
            } => {
                let fails = if durable {
                    self.faults.journal_error
                } else {
                    self.faults.segment_error
                };
                let failed = self.chance.chance(fails);
                let result = if failed {
                    Err(EIO)
                } else if name == NAMELESS {
                    Ok(())
                } else {
                    disk.write(&name, at, &data, durable)
                };
                Event::Written { key, result }
            }
            Op::Read { key, name, at, len } => {
                let failed = self.chance.chance(self.faults.read_error);
                let result = if failed {
                    Err(EIO)
                } else {
                    disk.read(&name, at, len as usize).map(|bytes| self.deliver(&bytes))
                };
                Event::Read { key, result }
            }
            Op::Sync { key, name, covers } => {
                if name == NAMELESS {
                    return Some(Event::Synced { key, result: Ok(()) });
                }
                if self.chance.chance(self.faults.segment_error) {
                    disk.lose_pending(&name);
                    return Some(Event::Synced { key, result: Err(EIO) });
                }
                Event::Synced {
                    key,
                    result: disk.sync(&name, covers),
                }
            }
            Op::Job { key, job } => {
                let percent = match job {
                    Job::DeleteFiles { .. } | Job::DiskSpace | Job::PrepareJournal { .. } => 0,
                    Job::FlushNames { .. } => self.faults.journal_error,
                    _ => self.faults.job_error,
                };
                let failed = self.chance.chance(percent);
                let result = if failed { Err(EIO) } else { self.run(&job, disk) };
                let result = result.unwrap_or_else(|errno| JobResult::Failed {
                    errno,
                    what: format!("simulated {job:?}").chars().take(60).collect(),
                });
                Event::JobDone { key, result }
            }
        })
    }

    /// What a read gives: block-aligned memory, as from the runtime, and perhaps a wrong bit.
    fn deliver(&mut self, bytes: &[u8]) -> Bytes {
        let mut buf = crate::base::buf::AlignedBuf::zeroed(bytes.len());
        buf.as_mut()[..bytes.len()].copy_from_slice(bytes);
        self.flip(&mut buf.as_mut()[..bytes.len()]);
        buf.freeze(bytes.len())
    }

    fn flip(&mut self, bytes: &mut [u8]) {
        if !bytes.is_empty() && self.chance.chance(self.faults.read_flip) {
            let bit = self.chance.below(bytes.len() as u64 * 8) as usize;
            bytes[bit / 8] ^= 1 << (bit % 8);
        }
    }

    fn run(&mut self, job: &Job, disk: &mut SimDisk) -> Result<JobResult, i32> {
        match job {
            Job::CreateSegment {
                file,
                path,
                bytes,
                keep_free,
            } => {
                disk.respect_reserve(*bytes, *keep_free)?;
                disk.create_unflushed(&path.0, *bytes as usize)?;
                self.detach(&path.0);
                self.files.insert(*file, path.0.clone());
            }
            Job::FlushNames { directories } => directories.iter().for_each(|dir| disk.name(&dir.0)),
            Job::Extend {
                file,
                path,
                to,
                more,
                keep_free,
            } if self.files.contains_key(file) => {
                disk.respect_reserve(*more, *keep_free)?;
                disk.extend(&path.0, *to)?;
            }
            Job::Truncate { file, path, to } if self.files.contains_key(file) => disk.truncate(&path.0, *to),
            Job::Extend { .. } | Job::Truncate { .. } => return Err(EBADF),
            Job::Open { file, path } => {
                disk.file(&path.0).ok_or(ENOENT)?;
                self.files.insert(*file, path.0.clone());
            }
            Job::PrepareJournal {
                file,
                path,
                bytes,
                keep_free,
            } => {
                disk.respect_reserve(*bytes, *keep_free)?;
                disk.create(&path.0, vec![0; *bytes as usize])?;
                self.files.insert(*file, path.0.clone());
            }
            Job::Compact(spec) => return compact(spec, disk, u64::MAX, &mut |bytes| self.flip(bytes)),
            Job::WriteFile { path, content } => disk.create(&path.0, content.to_vec())?,
            Job::ReadFile { path } => {
                let file = disk.file(&path.0).ok_or(ENOENT)?;
                return Ok(JobResult::Content(Bytes::copy_from_slice(file.current())));
            }
            Job::DeleteFiles { files, .. } => files.iter().for_each(|FilePath(name)| disk.delete(name)),
            Job::DiskSpace => {
                let free = disk.capacity.checked_sub(disk.used()).ok_or(ENOSPC)?;
                return Ok(JobResult::Space {
                    free,
                    total: disk.capacity,
                });
            }
        }
        Ok(JobResult::Done)
    }

    /// The process dies: jobs in flight may just have happened; writes in flight are returned for the disk's choice.
    pub fn crash(mut self, disk: &mut SimDisk) -> Vec<(String, u64, Bytes)> {
        let mut writes = Vec::new();
        for (_, op) in std::mem::take(&mut self.in_flight) {
            match op {
                Op::Write { name, at, data, .. } if name != NAMELESS => writes.push((name, at, data)),
                Op::Job {
                    job: Job::Compact(spec),
                    ..
                } => {
                    // It got any far: what it made is rubbish, since nothing refers to it.
                    let orders = self.chance.below(80);
                    let _ = compact(&spec, disk, orders, &mut |_| {});
                }
                Op::Job { job, .. } if self.chance.chance(50) => {
                    let _ = self.run(&job, disk);
                }
                _ => {}
            }
        }
        writes
    }
}
