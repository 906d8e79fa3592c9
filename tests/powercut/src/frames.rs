//! The stand-in writer: 4 KiB frames into a pre-written file with direct I/O, flushed or not. It proves that the rig
//! measures: flushed frames must survive every cut, unflushed ones must not.

use std::fs::{File, OpenOptions};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;

use crate::disk::Disk;
use crate::error::{Context, Result};
use crate::rng::Rng;

/// Size of a frame in bytes: one block.
pub const FRAME: usize = 4096;

/// How the writer makes a frame durable before it counts as acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sync {
    /// fdatasync after each frame.
    Fdatasync,
    /// The write itself carries RWF_DSYNC.
    Dsync,
    /// Not at all.
    None,
}

/// A block-aligned buffer of one frame, as direct I/O wants it.
#[repr(align(4096))]
struct Block([u8; FRAME]);

fn frame(number: u64, seed: u64) -> Box<Block> {
    let mut block = Box::new(Block([0; FRAME]));
    Rng::new(seed ^ number).fill(&mut block.0);
    block.0[..8].copy_from_slice(&number.to_le_bytes());
    let crc = crc32c::crc32c(&block.0[..FRAME - 4]);
    block.0[FRAME - 4..].copy_from_slice(&crc.to_le_bytes());
    block
}

/// The stand-in writer on one file.
pub struct FrameWriter {
    file: File,
    sync: Sync,
    seed: u64,
    /// For each acknowledged frame, the write-log sequence at its acknowledgement.
    pub acks: Vec<u64>,
}

impl FrameWriter {
    /// Creates `path` with `frames` blocks, pre-written with zeros and flushed with its directory.
    ///
    /// # Errors
    /// When the file system fails.
    pub fn create(path: &Path, frames: u64, sync: Sync, seed: u64) -> Result<Self> {
        let mut options = OpenOptions::new();
        options
            .read(true)
            .write(true)
            .create_new(true)
            .custom_flags(libc::O_DIRECT);
        let file = options.open(path).context(&path.display().to_string())?;
        let zeros = Block([0; FRAME]);
        for number in 0..frames {
            file.write_all_at(&zeros.0, number * FRAME as u64)
                .context("pre-writing")?;
        }
        file.sync_all().context("flushing the pre-written file")?;
        if let Some(parent) = path.parent() {
            File::open(parent)?.sync_all().context("flushing the directory")?;
        }
        Ok(Self {
            file,
            sync,
            seed,
            acks: Vec::new(),
        })
    }

    /// Writes the next frame and acknowledges it.
    ///
    /// # Errors
    /// The errno of the write or of the flush; nothing is acknowledged then.
    pub fn append(&mut self, disk: &Disk) -> Result<()> {
        let number = self.acks.len() as u64;
        let block = frame(number, self.seed);
        let offset = number * FRAME as u64;
        match self.sync {
            Sync::Dsync => self.write_dsync(&block, offset)?,
            Sync::Fdatasync | Sync::None => self.file.write_all_at(&block.0, offset).context("write")?,
        }
        if self.sync == Sync::Fdatasync {
            self.file.sync_data().context("fdatasync")?;
        }
        self.acks.push(disk.sequence());
        Ok(())
    }

    fn write_dsync(&self, block: &Block, offset: u64) -> Result<()> {
        let part = libc::iovec {
            iov_base: block.0.as_ptr().cast_mut().cast(),
            iov_len: FRAME,
        };
        // SAFETY: `part` names FRAME readable bytes of `block`, which outlives the call; pwritev2 only reads them.
        let rc = unsafe {
            libc::pwritev2(
                self.file.as_raw_fd(),
                &raw const part,
                1,
                offset as i64,
                libc::RWF_DSYNC,
            )
        };
        if rc == FRAME as isize {
            Ok(())
        } else {
            Err(crate::error::last_os("pwritev2"))
        }
    }
}

/// Which of the first `count` frames of `path` are whole.
///
/// # Errors
/// When the file is not there.
pub fn read_frames(path: &Path, count: u64, seed: u64) -> Result<Vec<bool>> {
    let file = File::open(path).context(&path.display().to_string())?;
    let mut bytes = vec![0; FRAME];
    let mut whole =
        |number: u64| file.read_exact_at(&mut bytes, number * FRAME as u64).is_ok() && bytes == frame(number, seed).0;
    Ok((0..count).map(&mut whole).collect())
}
