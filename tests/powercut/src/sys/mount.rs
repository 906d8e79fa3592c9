//! File systems of the rig: making, mounting, unmounting.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use super::namespace::change_mount;
use super::{c_path, loopdev::LoopDevice};
use crate::error::{Context, Error, Result};

/// The file systems whose journals the rig cuts through.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum FsKind {
    /// ext4 in its default data=ordered mode.
    Ext4,
    /// xfs; needs a disk of 300 MiB or more.
    Xfs,
}

impl FsKind {
    /// Name as mount(2) knows it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ext4 => "ext4",
            Self::Xfs => "xfs",
        }
    }

    /// Smallest disk the rig makes for it, in MiB.
    pub fn min_mib(self) -> usize {
        match self {
            Self::Ext4 => 64,
            Self::Xfs => 320,
        }
    }

    /// Makes the file system with its default features; nothing is left for background initialisation.
    ///
    /// # Errors
    /// When the tool is missing or fails, with what to install.
    pub fn make(self, device: &Path) -> Result<()> {
        let (tool, package, args): (_, _, &[&str]) = match self {
            Self::Ext4 => {
                let extended = "nodiscard,lazy_itable_init=0,lazy_journal_init=0";
                ("mkfs.ext4", "e2fsprogs", &["-q", "-F", "-b", "4096", "-E", extended])
            }
            Self::Xfs => ("mkfs.xfs", "xfsprogs", &["-q", "-f", "-K"]),
        };
        let output = Command::new(tool).args(args).arg(device).output();
        let output = output.context(&format!("{tool} (apt-get install {package})"))?;
        if output.status.success() {
            return Ok(());
        }
        Err(Error::new(format!(
            "{tool}: {}",
            String::from_utf8_lossy(&output.stderr).trim()
        )))
    }

    /// Mounts `device` at `at` (created when missing); the file system replays its own journal here.
    ///
    /// # Errors
    /// The errno of mount(2): for a cut image this means that the file system could not recover.
    pub fn mount(self, device: LoopDevice, at: &Path) -> Result<MountedFs> {
        std::fs::create_dir_all(at).context(&at.display().to_string())?;
        let source = device.path().display().to_string();
        let options = if self == Self::Xfs { "nouuid" } else { "" };
        change_mount(&source, at, self.name(), libc::MS_NOATIME, options)?;
        Ok(MountedFs {
            at: at.to_path_buf(),
            _device: device,
        })
    }
}

/// A mounted file system; unmounted when dropped.
pub struct MountedFs {
    at: PathBuf,
    _device: LoopDevice,
}

impl MountedFs {
    /// Where it is mounted.
    pub fn path(&self) -> &Path {
        &self.at
    }
}

impl Drop for MountedFs {
    fn drop(&mut self) {
        let Ok(at) = c_path(&self.at) else { return };
        // A killed program may hold its files for a moment longer (io_uring teardown is asynchronous).
        for _ in 0..300 {
            // SAFETY: `at` is a NUL-terminated string that lives until the call returns.
            if unsafe { libc::umount2(at.as_ptr(), 0) } == 0 {
                return;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        // SAFETY: as above.
        unsafe { libc::umount2(at.as_ptr(), libc::MNT_DETACH) };
    }
}
