//! One io_uring: set-up, submission that never loses an entry, and one enter call that submits, waits and reaps.
//!
//! Invariants: only the thread that made the ring uses it (`SINGLE_ISSUER`); completions appear only inside [`Ring::enter`]
//! (`DEFER_TASKRUN`), so a round sees a stable set. Must not know: what the operations mean.

use io_uring::squeue::Entry;
use io_uring::types::{SubmitArgs, Timespec};
use io_uring::{IoUring, cqueue, opcode};
use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsRawFd, RawFd};
use std::time::Duration;

const ENTER_GETEVENTS: u32 = 1;
const ENTER_EXT_ARG: u32 = 1 << 3;
const ENTER_REGISTERED_RING: u32 = 1 << 4;
const ENTER_NO_IOWAIT: u32 = 1 << 7;
const REGISTER_RING_FDS: libc::c_uint = 20;
const UNREGISTER_RING_FDS: libc::c_uint = 21;

/// Kernel threads of a ring for what may block, that is flushes. Those that wait at the same time share one commit of the file
/// system's journal; the kernel's own limit of 4 per CPU makes many commits of the flush of a thousand segments.
const DISK_WORKERS: u32 = 32;

/// Argument of `IORING_REGISTER_RING_FDS`.
#[repr(C)]
struct RingFdUpdate {
    offset: u32,
    resv: u32,
    data: u64,
}

/// How long [`Ring::enter`] may wait for a completion.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Wait {
    /// Not at all.
    No,
    /// Until the first completion, or this long.
    AtMost(Duration),
    /// Until the first completion.
    Endless,
}

/// The ring of one shard.
pub struct Ring {
    inner: IoUring,
    /// What did not fit the submission queue, oldest first.
    overflow: VecDeque<Entry>,
    /// Index from `IORING_REGISTER_RING_FDS`, else the plain descriptor.
    enter_fd: RawFd,
    enter_flags: u32,
}

impl Ring {
    /// A ring with `entries` submissions and `completions` completions, both powers of two.
    ///
    /// # Errors
    /// Those of `io_uring_setup`; `super::probe` explains them.
    pub fn new(entries: u32, completions: u32) -> io::Result<Ring> {
        let inner = IoUring::builder()
            .setup_single_issuer()
            .setup_defer_taskrun()
            .setup_taskrun_flag()
            .setup_submit_all()
            .setup_cqsize(completions)
            .dontfork()
            .build(entries)?;
        // A refusal leaves the kernel's own limit, which is only slower.
        let _ = inner.submitter().register_iowq_max_workers(&mut [DISK_WORKERS, 0]);
        let fd = inner.as_raw_fd();
        let mut enter_flags = if inner.params().is_feature_no_iowait() {
            ENTER_NO_IOWAIT
        } else {
            0
        };
        let enter_fd = match register_ring_fd(fd) {
            Ok(index) => {
                enter_flags |= ENTER_REGISTERED_RING;
                index
            }
            Err(_) => fd,
        };
        Ok(Ring {
            inner,
            overflow: VecDeque::new(),
            enter_fd,
            enter_flags,
        })
    }

    /// The descriptor that other rings address with `MSG_RING`.
    pub fn fd(&self) -> RawFd {
        self.inner.as_raw_fd()
    }

    /// True when waiting does not count as I/O wait.
    pub fn has_no_iowait(&self) -> bool {
        self.enter_flags & ENTER_NO_IOWAIT != 0
    }

    /// Registration calls.
    pub fn submitter(&self) -> io_uring::Submitter<'_> {
        self.inner.submitter()
    }

    /// Queues an entry for the next [`enter`](Self::enter).
    ///
    /// # Safety
    /// All memory the entry names must stay valid and unmoved until its completion was reaped.
    pub unsafe fn push(&mut self, entry: Entry) {
        if !self.overflow.is_empty() {
            self.overflow.push_back(entry);
            return;
        }
        // SAFETY: passed on to the caller.
        if unsafe { self.inner.submission().push(&entry) }.is_err() {
            self.overflow.push_back(entry);
        }
    }

    /// True when entries wait to be submitted.
    pub fn has_queued(&mut self) -> bool {
        !self.overflow.is_empty() || !self.inner.submission().is_empty()
    }

    /// True when an enter call (or just reaping) would bring completions. Costs no system call, so it may be polled.
    pub fn has_completions(&mut self) -> bool {
        let ready = !self.inner.completion().is_empty();
        ready || {
            let queue = self.inner.submission();
            queue.taskrun() || queue.cq_overflow()
        }
    }

    /// Submits what is queued, waits as told and lets the kernel post completions.
    ///
    /// # Errors
    /// Only unexpected ones; interruption, a timeout and a full completion queue are not errors.
    pub fn enter(&mut self, wait: Wait) -> io::Result<()> {
        loop {
            let refill = self.refill();
            let wait_now = if refill { Wait::No } else { wait };
            match self.enter_once(wait_now) {
                Ok(()) if refill => continue,
                Ok(()) => return Ok(()),
                Err(error) => match error.raw_os_error() {
                    Some(libc::ETIME | libc::EINTR) => return Ok(()),
                    // The completion queue is full or memory is short: reap first, the entries stay queued.
                    Some(libc::EBUSY | libc::EAGAIN) => return Ok(()),
                    _ => return Err(error),
                },
            }
        }
    }

    /// Submits and reaps if there is anything to submit or reap; no system call otherwise.
    ///
    /// # Errors
    /// As [`enter`](Self::enter).
    pub fn enter_if_needed(&mut self) -> io::Result<()> {
        let pending = {
            let queue = self.inner.submission();
            queue.taskrun() || queue.cq_overflow()
        };
        if pending || self.has_queued() {
            self.enter(Wait::No)
        } else {
            Ok(())
        }
    }

    /// Moves overflow into the submission queue; true when some is left over.
    fn refill(&mut self) -> bool {
        if self.overflow.is_empty() {
            return false;
        }
        let mut queue = self.inner.submission();
        while let Some(entry) = self.overflow.front() {
            // SAFETY: the pusher promised validity until completion.
            if unsafe { queue.push(entry) }.is_err() {
                return true;
            }
            self.overflow.pop_front();
        }
        false
    }

    fn enter_once(&mut self, wait: Wait) -> io::Result<()> {
        let submit = self.inner.submission().len() as u32;
        let timeout = match wait {
            Wait::AtMost(limit) => limit,
            _ => Duration::MAX,
        };
        let spec = Timespec::from(timeout.min(Duration::from_secs(3600)));
        let args = SubmitArgs::new().timespec(&spec);
        let want = u32::from(wait != Wait::No);
        // A completion that is already there ends the wait at once.
        let flags = self.enter_flags | ENTER_GETEVENTS | if want > 0 { ENTER_EXT_ARG } else { 0 };
        let (arg, size) = match want {
            0 => (std::ptr::null(), 0),
            _ => (std::ptr::from_ref(&args), size_of::<SubmitArgs<'_, '_>>()),
        };
        // SAFETY: `args` (with its timespec) outlives the call; the ring is ours alone.
        let result = unsafe { libc::syscall(libc::SYS_io_uring_enter, self.enter_fd, submit, want, flags, arg, size) };
        if result < 0 {
            Err(io::Error::last_os_error())
        } else {
            Ok(())
        }
    }

    /// The oldest completion, if any.
    pub fn reap(&mut self) -> Option<cqueue::Entry> {
        self.inner.completion().next()
    }

    /// Asks the kernel to cancel everything that is outstanding; each operation still completes.
    pub fn cancel_all(&mut self, user_data: u64) {
        let entry = opcode::AsyncCancel2::new(io_uring::types::CancelBuilder::any())
            .build()
            .user_data(user_data);
        // SAFETY: names no memory.
        unsafe { self.push(entry) };
    }
}

impl Drop for Ring {
    fn drop(&mut self) {
        if self.enter_flags & ENTER_REGISTERED_RING == 0 {
            return;
        }
        let update = RingFdUpdate {
            offset: self.enter_fd as u32,
            resv: 0,
            data: 0,
        };
        // The registration would keep the ring alive as long as its thread.
        // SAFETY: one update structure, as the count says, valid for the call.
        unsafe {
            libc::syscall(
                libc::SYS_io_uring_register,
                self.fd(),
                UNREGISTER_RING_FDS,
                &raw const update,
                1,
            )
        };
    }
}

fn register_ring_fd(fd: RawFd) -> io::Result<RawFd> {
    let mut update = RingFdUpdate {
        offset: u32::MAX,
        resv: 0,
        data: fd as u64,
    };
    // SAFETY: one update structure, as the count says, valid for the call.
    let result = unsafe { libc::syscall(libc::SYS_io_uring_register, fd, REGISTER_RING_FDS, &raw mut update, 1) };
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(update.offset as RawFd)
}
