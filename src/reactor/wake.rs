//! An eventfd: how threads that have no ring of their own wake a shard.

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};

/// A counter in the kernel that a shard's ring always reads; adding to it ends that read.
#[derive(Debug)]
pub struct Waker {
    fd: OwnedFd,
}

impl Waker {
    /// A new one.
    ///
    /// # Errors
    /// `EMFILE`, `ENFILE`, `ENOMEM`.
    pub fn new() -> io::Result<Waker> {
        // SAFETY: no memory involved.
        let fd = unsafe { libc::eventfd(0, libc::EFD_CLOEXEC) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: a fresh descriptor that nobody else owns.
        let fd = unsafe { OwnedFd::from_raw_fd(fd) };
        Ok(Waker { fd })
    }

    /// Wakes the shard, from any thread. Several calls may end in one wake-up.
    pub fn wake(&self) {
        let one = 1u64.to_ne_bytes();
        // A failure could only be a counter at its limit, which means that a wake-up is pending already.
        // SAFETY: eight valid bytes.
        unsafe { libc::write(self.fd.as_raw_fd(), one.as_ptr().cast(), one.len()) };
    }

    /// The descriptor to read.
    pub fn raw(&self) -> RawFd {
        self.fd.as_raw_fd()
    }
}
