//! The thin layer of Linux calls under the rig: private mount namespace, loop devices, mounts, file extents.
//!
//! Everything here cleans up by itself: the namespace ends with the process (so mounts vanish even after SIGKILL), loop
//! devices are set to clear themselves when the last user closes them.

pub mod fiemap;
pub mod loopdev;
pub mod mount;
pub mod namespace;

use std::ffi::CString;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use crate::error::{Context, Result};

/// A path for a system call.
fn c_path(path: &Path) -> Result<CString> {
    CString::new(path.as_os_str().as_bytes()).context("path")
}
