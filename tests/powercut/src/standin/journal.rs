//! The journal of the stand-in: 4 KiB-aligned blocks `magic, number, length, crc, payload, zeros` from the file's start.

use std::fs::{File, OpenOptions};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;

use super::Fault;
use crate::error::{Context, Error, Result, last_os};

const BLOCK: usize = 4096;
const HEADER: usize = 24;
const MAGIC: u64 = 0x5354_414e_4449_4e31;
const FILE: usize = 48 << 20;

/// The journal, open for appending.
pub struct Journal {
    file: File,
    position: usize,
    number: u64,
    fault: Fault,
}

/// A buffer aligned for direct I/O.
struct Aligned {
    bytes: Vec<u8>,
    start: usize,
    len: usize,
}

impl Aligned {
    fn new(len: usize) -> Self {
        let bytes = vec![0; len + BLOCK];
        let start = bytes.as_ptr().align_offset(BLOCK);
        Self { bytes, start, len }
    }

    fn slice(&mut self) -> &mut [u8] {
        &mut self.bytes[self.start..self.start + self.len]
    }
}

impl Journal {
    /// Opens or makes the journal; returns it with the payloads found.
    ///
    /// # Errors
    /// When the file cannot be used or is full.
    pub fn open(path: &Path, fault: Fault) -> Result<(Self, Vec<Vec<u8>>)> {
        if !path.exists() {
            let fresh = path.with_extension("new");
            let file = OpenOptions::new()
                .write(true)
                .create(true)
                .truncate(true)
                .open(&fresh)?;
            file.write_all_at(&vec![0; FILE], 0)
                .context("pre-writing the journal")?;
            file.sync_all()?;
            std::fs::rename(&fresh, path)?;
            let parent = path.parent().ok_or_else(|| Error::new("journal without a directory"))?;
            File::open(parent)?.sync_all()?;
        }
        let bytes = std::fs::read(path).context("reading the journal")?;
        let (mut position, mut payloads) = (0, Vec::new());
        while let Some(payload) = block_at(&bytes, position, payloads.len() as u64, fault) {
            position += (HEADER + payload.len()).next_multiple_of(BLOCK);
            payloads.push(payload.to_vec());
        }
        let file = OpenOptions::new()
            .write(true)
            .custom_flags(libc::O_DIRECT)
            .open(path)
            .context("opening direct")?;
        Ok((
            Self {
                file,
                position,
                number: payloads.len() as u64,
                fault,
            },
            payloads,
        ))
    }

    /// Writes one block; durable when this returns, unless the planted fault says otherwise.
    ///
    /// # Errors
    /// The errno of the write, or that the journal is full.
    pub fn append(&mut self, payload: &[u8]) -> Result<()> {
        let len = (HEADER + payload.len()).next_multiple_of(BLOCK);
        if self.position + len > FILE {
            return Err(Error::new("the stand-in's journal is full"));
        }
        let mut block = Aligned::new(len);
        let bytes = block.slice();
        bytes[..8].copy_from_slice(&MAGIC.to_le_bytes());
        bytes[8..16].copy_from_slice(&self.number.to_le_bytes());
        bytes[16..20].copy_from_slice(&(payload.len() as u32).to_le_bytes());
        bytes[20..24].copy_from_slice(&crc(self.number, payload).to_le_bytes());
        bytes[HEADER..HEADER + payload.len()].copy_from_slice(payload);
        let part = libc::iovec {
            iov_base: bytes.as_mut_ptr().cast(),
            iov_len: len,
        };
        let flags = if self.fault == Fault::NoFlush {
            0
        } else {
            libc::RWF_DSYNC
        };
        // SAFETY: `part` names `len` readable bytes of `block`, which outlives the call; pwritev2 only reads them.
        let rc = unsafe { libc::pwritev2(self.file.as_raw_fd(), &raw const part, 1, self.position as i64, flags) };
        if rc != len as isize {
            return Err(last_os("writing the journal"));
        }
        self.position += len;
        self.number += 1;
        Ok(())
    }
}

fn crc(number: u64, payload: &[u8]) -> u32 {
    crc32c::crc32c_append(number as u32, payload)
}

/// The payload of block `number` at `position`, if it is there and whole.
fn block_at(bytes: &[u8], position: usize, number: u64, fault: Fault) -> Option<&[u8]> {
    let header = bytes.get(position..position + HEADER)?;
    let word = |at: usize| header[at..at + 8].try_into().map(u64::from_le_bytes).ok();
    let half = |at: usize| header[at..at + 4].try_into().map(u32::from_le_bytes).ok();
    if word(0)? != MAGIC || word(8)? != number {
        return None;
    }
    let start = position + HEADER;
    let payload = bytes.get(start..start + half(16)? as usize)?;
    (fault == Fault::NoChecksum || crc(number, payload) == half(20)?).then_some(payload)
}
