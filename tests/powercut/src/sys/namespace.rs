//! A private mount namespace: whatever the rig mounts is seen by nobody else and ends with the process, however it ends.

use std::path::{Path, PathBuf};

use super::c_path;
use crate::error::{Context, Error, Result, last_os};

/// The mount point under which everything happens; an empty directory outside of the namespace.
const HOME: &str = "/run/powercut";

/// Enters a new mount namespace with an empty tmpfs at the returned path. Call it before any thread is started.
///
/// # Errors
/// When the process is not root or the kernel refuses namespaces.
pub fn enter() -> Result<PathBuf> {
    // SAFETY: geteuid has no preconditions.
    if unsafe { libc::geteuid() } != 0 {
        return Err(Error::new(
            "the power-cut rig mounts file systems: run it as root (sudo)",
        ));
    }
    // SAFETY: unshare changes only this process's view of mounts; no memory is involved.
    if unsafe { libc::unshare(libc::CLONE_NEWNS) } != 0 {
        return Err(last_os("entering a private mount namespace"));
    }
    change_mount("none", Path::new("/"), "", libc::MS_REC | libc::MS_PRIVATE, "")?;
    let home = PathBuf::from(HOME);
    std::fs::create_dir_all(&home).context(HOME)?;
    change_mount("powercut", &home, "tmpfs", libc::MS_NOSUID, "mode=0700")?;
    Ok(home)
}

/// mount(2).
pub(super) fn change_mount(source: &str, at: &Path, fs: &str, flags: libc::c_ulong, options: &str) -> Result<()> {
    let (source, target) = (c_path(Path::new(source))?, c_path(at)?);
    let (fs, options) = (c_path(Path::new(fs))?, c_path(Path::new(options))?);
    // SAFETY: all pointers are to NUL-terminated strings that live until the call returns.
    let rc = unsafe {
        libc::mount(
            source.as_ptr(),
            target.as_ptr(),
            fs.as_ptr(),
            flags,
            options.as_ptr().cast(),
        )
    };
    if rc == 0 {
        Ok(())
    } else {
        Err(last_os(&format!("mount at {}", at.display())))
    }
}
