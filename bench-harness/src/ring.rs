//! One io_uring and one pinned thread: set-up shared by `floor` and `load`.
//!
//! The ring is `SINGLE_ISSUER | DEFER_TASKRUN`: completions run only when this thread asks for them, so no work
//! interrupts it. `TASKRUN_FLAG` lets a spinning loop see pending work without a system call.

use io_uring::{IoUring, types};
use std::io;

/// Kernel flag `IORING_RECVSEND_POLL_FIRST`: do not try the socket first, it is known to be empty.
pub const POLL_FIRST: u16 = 1;

/// Builds a ring with `entries` submission slots and four times as many completion slots.
///
/// # Errors
/// The kernel's error, with the remedy where the cause is known (io_uring disabled, kernel older than 6.1).
pub fn build(entries: u32) -> io::Result<IoUring> {
    let built = IoUring::builder()
        .setup_single_issuer()
        .setup_defer_taskrun()
        .setup_taskrun_flag()
        .setup_cqsize(entries * 4)
        .build(entries);
    let mut ring = built.map_err(|e| {
        let text = match e.raw_os_error() {
            Some(libc::EPERM) => "io_uring is switched off: sysctl kernel.io_uring_disabled=0, or allow it in seccomp",
            Some(libc::EINVAL | libc::ENOSYS) => "Linux 6.1 or newer is needed (SINGLE_ISSUER, DEFER_TASKRUN)",
            _ => "cannot create an io_uring",
        };
        io::Error::new(e.kind(), format!("{text}: {e}"))
    })?;
    ring.submitter().register_ring_fd()?;
    let _ = &mut ring;
    Ok(ring)
}

/// Pins the calling thread to `cpu` and asks for exact timers (timer slack 1 ns instead of 50 us).
///
/// # Errors
/// When there is no such CPU or this process may not use it.
pub fn pin(cpu: usize) -> io::Result<()> {
    // SAFETY: plain prctl on the calling thread, no pointers.
    unsafe { libc::prctl(libc::PR_SET_TIMERSLACK, 1, 0, 0, 0) };
    if core_affinity::set_for_current(core_affinity::CoreId { id: cpu }) {
        return Ok(());
    }
    Err(io::Error::other(format!(
        "cannot pin to CPU {cpu}: see /sys/fs/cgroup cpuset and `taskset -p`"
    )))
}

/// Operation and owner of a completion, packed into `user_data`: kind, generation of the owner, index of the owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tag {
    /// What was asked for; meaning belongs to the program.
    pub kind: u8,
    /// Generation of the owner (24 bits): a completion for a former owner of the slot is ignored.
    pub generation: u32,
    /// Slot of the owner.
    pub index: u32,
}

impl Tag {
    /// Packs the tag.
    pub fn pack(self) -> u64 {
        u64::from(self.kind) << 56 | u64::from(self.generation & 0xff_ffff) << 32 | u64::from(self.index)
    }

    /// Unpacks what [`Tag::pack`] made.
    pub fn unpack(raw: u64) -> Tag {
        Tag {
            kind: (raw >> 56) as u8,
            generation: (raw >> 32) as u32 & 0xff_ffff,
            index: raw as u32,
        }
    }
}

/// Puts one entry into the submission queue, submitting first when the queue is full.
///
/// # Errors
/// The kernel's error on the submit.
///
/// # Safety
/// The memory the entry points to must stay valid and unmoved until its completion.
pub unsafe fn push(ring: &mut IoUring, entry: &io_uring::squeue::Entry) -> io::Result<()> {
    loop {
        // SAFETY: the caller keeps the entry's memory alive.
        if unsafe { ring.submission().push(entry) }.is_ok() {
            return Ok(());
        }
        ring.submit()?;
    }
}

/// Submits and waits for one completion; a signal or a full completion queue is no error.
///
/// # Errors
/// The kernel's error.
pub fn wait(ring: &IoUring) -> io::Result<()> {
    ignore_transient(ring.submit_and_wait(1))
}

/// Submits and waits for one completion, at most `timeout_ns`.
///
/// # Errors
/// The kernel's error.
pub fn wait_at_most(ring: &IoUring, timeout_ns: u64) -> io::Result<()> {
    let limit = types::Timespec::new()
        .sec(timeout_ns / 1_000_000_000)
        .nsec((timeout_ns % 1_000_000_000) as u32);
    let args = types::SubmitArgs::new().timespec(&limit);
    ignore_transient(ring.submitter().submit_with_args(1, &args))
}

/// Submits what is queued and runs pending completion work, without waiting; no system call when there is neither.
///
/// # Errors
/// The kernel's error.
pub fn poll(ring: &mut IoUring) -> io::Result<()> {
    let queue = ring.submission();
    let needed = !queue.is_empty() || queue.taskrun() || queue.cq_overflow();
    drop(queue);
    if needed {
        ignore_transient(ring.submit())
    } else {
        Ok(())
    }
}

fn ignore_transient(result: io::Result<usize>) -> io::Result<()> {
    match result {
        Ok(_) => Ok(()),
        Err(e)
            if matches!(
                e.raw_os_error(),
                Some(libc::EINTR | libc::EBUSY | libc::ETIME | libc::EAGAIN)
            ) =>
        {
            Ok(())
        }
        Err(e) => Err(e),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tag_survives_packing() {
        let tag = Tag {
            kind: 7,
            generation: 0xabcdef,
            index: u32::MAX,
        };
        assert_eq!(Tag::unpack(tag.pack()), tag);
    }
}
