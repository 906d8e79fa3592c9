//! The disk's own price of one durable write: what no broker can beat with one write in flight.

use crate::clock::mono_ns;
use crate::disk::{Aligned, BLOCK, open_prewritten};
use crate::report::Percentiles;
use crate::ring::{self, Tag};
use crate::tally::histogram;
use io_uring::{opcode, types};
use serde::Serialize;
use std::io;
use std::os::fd::AsRawFd;
use std::path::Path;

/// What one durable overwrite costs.
#[derive(Clone, Debug, Serialize)]
pub struct ProbeReport {
    /// Version of this form.
    pub schema: &'static str,
    /// Bytes of each write.
    pub write_bytes: usize,
    /// Writes done.
    pub writes: u64,
    /// Submission to completion.
    pub durable: Percentiles,
}

/// Overwrites the blocks of a pre-written file one after the other, one write in flight, O_DIRECT and `RWF_DSYNC`,
/// on the same kind of ring as the brokers, for `seconds`.
///
/// # Errors
/// File and ring errors, short writes.
pub fn run(path: &Path, cpu: usize, seconds: f64, write_bytes: usize) -> io::Result<ProbeReport> {
    let file_bytes = 64u64 << 20;
    if write_bytes == 0 || !write_bytes.is_multiple_of(BLOCK) || write_bytes as u64 > file_bytes {
        return Err(io::Error::other(
            "the write size must be a multiple of 4096, at most 64 MiB",
        ));
    }
    let file = open_prewritten(path, file_bytes)?;
    ring::pin(cpu)?;
    let mut ring = ring::build(8)?;
    let mut block = Aligned::new(write_bytes);
    block.bytes().fill(0x5a);
    let mut durable = histogram();
    let (mut at, end) = (0u64, mono_ns() + (seconds * 1e9) as u64);
    while mono_ns() < end {
        let start = mono_ns();
        let entry = opcode::Write::new(types::Fd(file.as_raw_fd()), block.as_ptr(), write_bytes as u32)
            .offset(at)
            .rw_flags(libc::RWF_DSYNC)
            .build()
            .user_data(
                Tag {
                    kind: 1,
                    generation: 0,
                    index: 0,
                }
                .pack(),
            );
        // SAFETY: `block` lives and is left alone until the completion, which is awaited below.
        unsafe { ring::push(&mut ring, &entry)? };
        let result = loop {
            ring::wait(&ring)?;
            if let Some(entry) = ring.completion().next() {
                break entry.result();
            }
        };
        if result != write_bytes as i32 {
            return Err(io::Error::other(format!(
                "write of {write_bytes} bytes returned {result}"
            )));
        }
        durable.saturating_record(mono_ns() - start);
        at = (at + write_bytes as u64) % file_bytes;
        at = if at + write_bytes as u64 > file_bytes { 0 } else { at };
    }
    let schema = "ringlog-probe/1";
    Ok(ProbeReport {
        schema,
        write_bytes,
        writes: durable.len(),
        durable: Percentiles::of(&durable),
    })
}
