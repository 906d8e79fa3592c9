//! The file system below the data directory: what it is, whether direct I/O works, how much is free.

use super::data_dir::is_full;
use crate::base::buf::{AlignedBuf, BLOCK};
use crate::reactor::Refusal;
use std::ffi::CString;
use std::fs::{self, OpenOptions};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;

/// Name of the file that the direct I/O check writes and removes.
pub(super) const PROBE_FILE: &str = "direct-io-check.tmp";

/// What was found.
#[derive(Clone, Debug)]
pub struct FileSystem {
    /// Type, such as `ext4`.
    pub kind: String,
    /// Device or source, such as `/dev/vda`.
    pub source: String,
    /// Bytes free to us.
    pub free: u64,
    /// All bytes.
    pub size: u64,
    /// Sentences for the start block.
    pub notes: Vec<String>,
}

/// Examines the file system that holds `directory`.
///
/// # Errors
/// A refusal when it keeps nothing (tmpfs) or has no direct I/O.
pub fn examine(directory: &Path) -> Result<FileSystem, Refusal> {
    let (kind, source) = mount_of(directory);
    if matches!(kind.as_str(), "tmpfs" | "ramfs" | "devtmpfs") {
        return Err(Refusal {
            cause: format!(
                "the data directory {} is on {kind}, which is memory: nothing would survive",
                directory.display()
            ),
            remedy: "give a directory on a disk (ext4 or xfs) with --data-dir".into(),
        });
    }
    check_direct_io(directory, &kind)?;
    let (free, size) = space(directory).map_err(|error| Refusal {
        cause: format!("the free space of {} cannot be read: {error}", directory.display()),
        remedy: "check the mount".into(),
    })?;
    let mut notes = Vec::new();
    if !matches!(kind.as_str(), "ext4" | "xfs" | "overlay") {
        notes.push(format!(
            "{kind} is untested; ext4 and xfs are known to keep what was flushed and to write in place"
        ));
    }
    if free < BLOCK as u64 {
        notes.push("the disk is full: writes are refused until there is space, reads and deletes work".into());
    } else if size > 0 && free < size / 20 {
        notes.push("less than 5 % of the disk is free".into());
    }
    Ok(FileSystem {
        kind,
        source,
        free,
        size,
        notes,
    })
}

fn check_direct_io(directory: &Path, kind: &str) -> Result<(), Refusal> {
    let path = directory.join(PROBE_FILE);
    let result = write_direct(&path);
    let _ = fs::remove_file(&path);
    if result.as_ref().is_err_and(is_full) && directory.join("shards").exists() {
        // It worked when the directory was made. A full disk has to be served: reads go on, and deletes make room.
        return Ok(());
    }
    result.map_err(|error| match error.raw_os_error() {
        Some(libc::EINVAL | libc::EOPNOTSUPP) => Refusal {
            cause: format!(
                "{} ({kind}) has no direct I/O of {BLOCK} bytes (O_DIRECT)",
                directory.display()
            ),
            remedy: "put the data directory on ext4 or xfs with --data-dir".into(),
        },
        Some(libc::ENOSPC | libc::EDQUOT) => Refusal {
            cause: format!("no space is left in {}", directory.display()),
            remedy: "free some space; 100 MiB are needed to start".into(),
        },
        _ => Refusal {
            cause: format!("cannot write to {}: {error}", directory.display()),
            remedy: "check the directory's owner and that the file system is mounted writable".into(),
        },
    })
}

fn write_direct(path: &Path) -> io::Result<()> {
    let file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .custom_flags(libc::O_DIRECT)
        .open(path)?;
    file.write_all_at(AlignedBuf::zeroed(BLOCK).as_ref(), 0)
}

/// Bytes free to us on the file system of `directory`, and all.
///
/// # Errors
/// The directory is not there, or cannot be asked.
pub fn space(directory: &Path) -> io::Result<(u64, u64)> {
    let path = CString::new(directory.as_os_str().as_bytes())?;
    // SAFETY: statvfs is plain data for which zero is valid; the call fills it.
    let mut space: libc::statvfs = unsafe { std::mem::zeroed() };
    // SAFETY: both pointers are valid for the call.
    if unsafe { libc::statvfs(path.as_ptr(), &mut space) } != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok((space.f_bavail * space.f_frsize, space.f_blocks * space.f_frsize))
}

/// The mount that holds a directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mount {
    /// Type, such as `ext4`.
    pub kind: String,
    /// Device or source, such as `/dev/nvme0n1p2`.
    pub source: String,
    /// Options of the mount point, such as `rw,noatime`.
    pub options: String,
}

/// Type and source of the mount that holds `directory` (an absolute path without links).
fn mount_of(directory: &Path) -> (String, String) {
    let table = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    find_mount(&table, directory).map_or_else(
        || ("an unknown file system".into(), "an unknown device".into()),
        |mount| (mount.kind, mount.source),
    )
}

/// The deepest and latest mount over `directory` in a table of the form of `/proc/self/mountinfo` (proc(5)).
pub fn find_mount(table: &str, directory: &Path) -> Option<Mount> {
    let mut best: Option<(usize, Mount)> = None;
    for line in table.lines() {
        let Some((left, right)) = line.split_once(" - ") else {
            continue;
        };
        let mut left = left.split(' ').skip(4);
        let mut right = right.split(' ');
        let (Some(point), Some(options), Some(kind), Some(source)) =
            (left.next().map(unescape), left.next(), right.next(), right.next())
        else {
            continue;
        };
        let depth = Path::new(&point).components().count();
        // A later mount on the same point hides the earlier one.
        if directory.starts_with(&point) && best.as_ref().is_none_or(|(most, _)| depth >= *most) {
            let mount = Mount {
                kind: kind.to_string(),
                source: unescape(source),
                options: options.to_string(),
            };
            best = Some((depth, mount));
        }
    }
    best.map(|(_, found)| found)
}

/// mountinfo writes blanks as `\040`.
fn unescape(text: &str) -> String {
    text.replace("\\040", " ").replace("\\011", "\t").replace("\\134", "\\")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_deepest_and_latest_mount_counts() {
        let table = "21 1 254:0 / / rw,relatime - ext4 /dev/vda rw\n\
                     22 21 0:20 / /dev rw - devtmpfs devtmpfs rw\n\
                     30 21 7:0 / /mnt/my\\040disk rw - ext4 /dev/loop0 rw\n\
                     31 21 7:1 / /mnt/my\\040disk rw - xfs /dev/loop1 rw\n";
        let find = |path: &str| find_mount(table, Path::new(path)).unwrap().source;
        assert_eq!(find("/var/lib/x"), "/dev/vda");
        assert_eq!(find("/devices"), "/dev/vda");
        assert_eq!(find("/mnt/my disk/data"), "/dev/loop1");
        assert_eq!(find_mount(table, Path::new("/var")).unwrap().options, "rw,relatime");
    }

    #[test]
    fn memory_is_refused_with_a_remedy() {
        let shm = Path::new("/dev/shm");
        if mount_of(shm).0 != "tmpfs" {
            return;
        }
        let refusal = examine(shm).unwrap_err();
        assert!(
            refusal.cause.contains("tmpfs") && refusal.remedy.contains("--data-dir"),
            "{refusal}"
        );
    }
}
