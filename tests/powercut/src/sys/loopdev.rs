//! Loop devices that clear themselves when the last user is gone.

use std::fs::{File, OpenOptions};
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::c_path;
use crate::error::{Context, Error, Result, last_os};

const LOOP_CTL_GET_FREE: libc::c_ulong = 0x4c82;
const LOOP_CONFIGURE: libc::c_ulong = 0x4c0a;
const FLAG_AUTOCLEAR: u32 = 4;
const FLAG_DIRECT_IO: u32 = 16;
const LOOP_MAJOR: u32 = 7;

/// `struct loop_config` of <linux/loop.h>; only the fields used are named.
#[repr(C)]
struct LoopConfig {
    fd: u32,
    block_size: u32,
    info_before_flags: [u64; 5],
    info_numbers: [u32; 3],
    flags: u32,
    info_names: [u8; 64 + 64 + 32],
    info_init: [u64; 2],
    reserved: [u64; 8],
}

/// An attached loop device; detaches when this and every mount of it are gone.
pub struct LoopDevice {
    _open: File,
    path: PathBuf,
}

impl LoopDevice {
    /// Attaches `file` with 512-byte blocks, with or without direct I/O below the device.
    ///
    /// # Errors
    /// When loop devices are missing or none comes free within five seconds.
    pub fn attach(file: &Path, direct: bool) -> Result<Self> {
        let backing = OpenOptions::new()
            .read(true)
            .write(true)
            .open(file)
            .context(&file.display().to_string())?;
        let control = OpenOptions::new()
            .read(true)
            .write(true)
            .open("/dev/loop-control")
            .context("/dev/loop-control")?;
        for _ in 0..500 {
            // SAFETY: LOOP_CTL_GET_FREE takes no argument and touches no memory of ours.
            let number = unsafe { libc::ioctl(control.as_raw_fd(), LOOP_CTL_GET_FREE) };
            let number = u32::try_from(number).map_err(|_| last_os("asking for a free loop device"))?;
            if let Some(device) = Self::configure(number, &backing, direct)? {
                return Ok(device);
            }
            std::thread::sleep(Duration::from_millis(10)); // somebody else took it first
        }
        Err(Error::new("no loop device came free in 5 s"))
    }

    fn configure(number: u32, backing: &File, direct: bool) -> Result<Option<Self>> {
        let path = PathBuf::from(format!("/dev/loop{number}"));
        if !path.exists() {
            let name = c_path(&path)?;
            // SAFETY: `name` is a NUL-terminated string that lives until the call returns.
            unsafe { libc::mknod(name.as_ptr(), libc::S_IFBLK | 0o600, libc::makedev(LOOP_MAJOR, number)) };
        }
        let open = OpenOptions::new()
            .read(true)
            .write(true)
            .open(&path)
            .context(&path.display().to_string())?;
        let config = LoopConfig {
            fd: backing.as_raw_fd() as u32,
            block_size: 512,
            info_before_flags: [0; 5],
            info_numbers: [0; 3],
            flags: FLAG_AUTOCLEAR | if direct { FLAG_DIRECT_IO } else { 0 },
            info_names: [0; 160],
            info_init: [0; 2],
            reserved: [0; 8],
        };
        // SAFETY: `config` has the layout of struct loop_config and outlives the call.
        let rc = unsafe { libc::ioctl(open.as_raw_fd(), LOOP_CONFIGURE, &raw const config) };
        match rc {
            0 => Ok(Some(Self { _open: open, path })),
            _ if std::io::Error::last_os_error().raw_os_error() == Some(libc::EBUSY) => Ok(None),
            _ => Err(last_os(&format!("attaching {}", path.display()))),
        }
    }

    /// The block device, `/dev/loopN`.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layout_is_the_kernels() {
        assert_eq!(size_of::<LoopConfig>(), 304);
        assert_eq!(std::mem::offset_of!(LoopConfig, flags), 8 + 52);
    }
}
