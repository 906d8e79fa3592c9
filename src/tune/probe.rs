//! What the disk can do, and above all what one durable write costs: rates are on every data sheet, this is not.
//!
//! Plain system calls on one file that was written in full beforehand, as the broker's journal is. Needs a few hundred MB
//! for some seconds; the file is removed when the probe is dropped.

use crate::base::buf::{AlignedBuf, BLOCK};
use hdrhistogram::Histogram;
use serde::Serialize;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Bytes of the file.
const FILE_BYTES: u64 = 256 << 20;
/// Bytes of one write or read where the rate counts.
const LARGE: usize = 1 << 20;
/// Readers and writers at a time where the rate counts.
const STREAMS: u64 = 4;
/// Readers at a time of small blocks.
const SMALL_STREAMS: u64 = 16;

/// How a write is made durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum DurableMode {
    /// One direct overwrite with `RWF_DSYNC`, as the broker's journal.
    Dsync,
    /// A buffered overwrite and `fdatasync`, as a broker with a page cache that flushes.
    Fdatasync,
}

/// The cost of one durable write with nothing else in flight, microseconds.
#[derive(Clone, Debug, Serialize)]
pub struct Latency {
    /// How.
    pub mode: DurableMode,
    /// Bytes of each write.
    pub bytes: usize,
    /// Writes measured.
    pub writes: u64,
    /// Median.
    pub p50_us: f64,
    /// 99 of 100 take less.
    pub p99_us: f64,
    /// 999 of 1000 take less.
    pub p999_us: f64,
    /// The slowest.
    pub max_us: f64,
}

/// Rates with several operations in flight.
#[derive(Clone, Debug, Serialize)]
pub struct Rates {
    /// Writes of 1 MiB, direct, MB/s.
    pub write_mb_s: f64,
    /// Reads of 1 MiB, direct, MB/s.
    pub read_mb_s: f64,
    /// Reads of 4 KiB at random places, direct, per second.
    pub read_4k_iops: f64,
}

/// A file to measure on.
#[derive(Debug)]
pub struct Probe {
    path: PathBuf,
    direct: File,
    buffered: File,
}

impl Drop for Probe {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

impl Probe {
    /// Writes the file in full, so that no measured write changes the file system's own data.
    ///
    /// # Errors
    /// No space, no right to write, no direct I/O.
    pub fn new(directory: &Path) -> io::Result<Probe> {
        let path = directory.join(format!("ringlog-probe-{}.tmp", std::process::id()));
        let buffered = OpenOptions::new().read(true).write(true).create_new(true).open(&path)?;
        let opened = OpenOptions::new()
            .read(true)
            .write(true)
            .custom_flags(libc::O_DIRECT)
            .open(&path);
        let direct = match opened {
            Ok(direct) => direct,
            Err(error) => {
                let _ = std::fs::remove_file(&path);
                return Err(error);
            }
        };
        let probe = Probe { path, direct, buffered };
        let block = filled(LARGE);
        for at in (0..FILE_BYTES).step_by(LARGE) {
            probe.direct.write_all_at(block.as_ref(), at)?;
        }
        probe.direct.sync_all()?;
        Ok(probe)
    }

    /// Durable overwrites one after the other for `time`; `bytes` is a multiple of 4096, at most 1 MiB.
    ///
    /// # Errors
    /// What the disk says; a short write.
    pub fn durable(&self, mode: DurableMode, bytes: usize, time: Duration) -> io::Result<Latency> {
        let block = filled(bytes.clamp(BLOCK, LARGE));
        let block = block.as_ref();
        let mut histogram = Histogram::<u64>::new_with_bounds(1, 60_000_000_000, 3).map_err(io::Error::other)?;
        let (end, mut at) = (Instant::now() + time, 0u64);
        while Instant::now() < end {
            let begun = Instant::now();
            match mode {
                DurableMode::Dsync => write_durable(&self.direct, block, at)?,
                DurableMode::Fdatasync => {
                    self.buffered.write_all_at(block, at)?;
                    self.buffered.sync_data()?;
                }
            }
            histogram.saturating_record(u64::try_from(begun.elapsed().as_nanos()).unwrap_or(u64::MAX));
            at = (at + block.len() as u64) % (FILE_BYTES - LARGE as u64);
            at -= at % BLOCK as u64;
        }
        let us = |quantile: f64| histogram.value_at_quantile(quantile) as f64 / 1e3;
        Ok(Latency {
            mode,
            bytes: block.len(),
            writes: histogram.len(),
            p50_us: us(0.5),
            p99_us: us(0.99),
            p999_us: us(0.999),
            max_us: histogram.max() as f64 / 1e3,
        })
    }

    /// Rates, each measured for `time`.
    ///
    /// # Errors
    /// What the disk says.
    pub fn rates(&self, time: Duration) -> io::Result<Rates> {
        let mb = |operations: f64| operations * LARGE as f64 / 1e6;
        Ok(Rates {
            write_mb_s: mb(self.rate(STREAMS, LARGE, time, true)?),
            read_mb_s: mb(self.rate(STREAMS, LARGE, time, false)?),
            read_4k_iops: self.rate(SMALL_STREAMS, BLOCK, time, false)?,
        })
    }

    /// Operations per second of `streams` threads. Large blocks are taken in order, small ones scattered.
    fn rate(&self, streams: u64, bytes: usize, time: Duration, is_write: bool) -> io::Result<f64> {
        let (done, begun) = (AtomicU64::new(0), Instant::now());
        let blocks = FILE_BYTES / bytes as u64;
        let stream = |first: u64| -> io::Result<()> {
            let mut block = filled(bytes);
            let mut turn = first;
            while begun.elapsed() < time {
                // An odd multiplier visits all blocks before one comes again.
                let index = if bytes < LARGE {
                    turn.wrapping_mul(0x9e37_79b1)
                } else {
                    turn
                };
                let at = index % blocks * bytes as u64;
                match is_write {
                    true => self.direct.write_all_at(block.as_ref(), at)?,
                    false => self.direct.read_exact_at(block.as_mut(), at)?,
                }
                done.fetch_add(1, Ordering::Relaxed);
                turn += streams;
            }
            Ok(())
        };
        std::thread::scope(|scope| {
            let threads: Vec<_> = (0..streams).map(|first| scope.spawn(move || stream(first))).collect();
            threads.into_iter().try_for_each(|thread| {
                thread
                    .join()
                    .unwrap_or_else(|_| Err(io::Error::other("a thread panicked")))
            })
        })?;
        Ok(done.load(Ordering::Relaxed) as f64 / begun.elapsed().as_secs_f64())
    }
}

fn filled(bytes: usize) -> AlignedBuf {
    let mut block = AlignedBuf::zeroed(bytes);
    block.as_mut().fill(0x5a);
    block
}

/// One overwrite that is on stable storage when it returns.
fn write_durable(file: &File, block: &[u8], at: u64) -> io::Result<()> {
    let part = libc::iovec {
        iov_base: block.as_ptr().cast_mut().cast(),
        iov_len: block.len(),
    };
    let at = libc::off_t::try_from(at).map_err(io::Error::other)?;
    // SAFETY: `part` points to `block`, which outlives the call; the kernel only reads from it.
    let written = unsafe { libc::pwritev2(file.as_raw_fd(), &part, 1, at, libc::RWF_DSYNC) };
    match usize::try_from(written) {
        Ok(written) if written == block.len() => Ok(()),
        Ok(written) => Err(io::Error::other(format!("wrote {written} of {} bytes", block.len()))),
        Err(_) => Err(io::Error::last_os_error()),
    }
}
