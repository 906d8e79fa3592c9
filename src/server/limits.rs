//! Limits of the process: file descriptors, locked memory.

use crate::reactor::Refusal;

/// Descriptors below which a note is given: segments and connections take one each.
const DESCRIPTORS_WANTED: u64 = 100_000;
/// Descriptors without which nothing useful can run.
const DESCRIPTORS_MIN: u64 = 256;
/// Locked memory that the background plane needs, bytes.
const MEMLOCK_MIN: u64 = 512 << 10;

/// Allocations below this are served from the heap, bytes: the most that glibc takes.
const FROM_HEAP_BELOW: libc::c_int = 32 << 20;
/// Freed memory at the end of a heap that is kept, bytes: one heap of a thread.
const KEPT_FREE: libc::c_int = 64 << 20;

/// Limits that hold.
#[derive(Clone, Debug)]
pub struct Limits {
    /// File descriptors.
    pub descriptors: u64,
    /// Sentences for the start block.
    pub notes: Vec<String>,
}

/// Raises the limit of descriptors to what is allowed and checks locked memory.
///
/// # Errors
/// A refusal when a limit is too low to run at all.
pub fn prepare() -> Result<Limits, Refusal> {
    keep_freed_memory();
    let mut notes = Vec::new();
    let descriptors = raise_descriptors();
    if descriptors < DESCRIPTORS_MIN {
        return Err(Refusal {
            cause: format!(
                "only {descriptors} file descriptors are allowed, {DESCRIPTORS_MIN} are the least to run with"
            ),
            remedy: "raise the limit: `ulimit -n 1048576`, or LimitNOFILE=1048576 in the systemd unit".into(),
        });
    }
    if descriptors < DESCRIPTORS_WANTED {
        notes.push(format!(
            "{descriptors} file descriptors are allowed, each segment and connection takes one: LimitNOFILE=1048576 is better"
        ));
    }
    let memlock = get(libc::RLIMIT_MEMLOCK).map_or(u64::MAX, |limit| limit.rlim_cur);
    if memlock < MEMLOCK_MIN && !is_privileged() {
        return Err(Refusal {
            cause: format!("only {memlock} bytes of memory may be locked, io_uring needs {MEMLOCK_MIN}"),
            remedy: "raise the limit: `ulimit -l unlimited`, LimitMEMLOCK=infinity in the systemd unit, or --ulimit \
                     memlock=-1 for a container"
                .into(),
        });
    }
    Ok(Limits { descriptors, notes })
}

/// Answers and batches come and go in sizes that glibc gives back to the kernel at each free, to be zeroed page by page at the next
/// use. What a shard keeps is bounded by its own limits, not by the allocator.
fn keep_freed_memory() {
    #[cfg(target_env = "gnu")]
    // SAFETY: only settings of the allocator; values out of range are refused and leave the default.
    unsafe {
        libc::mallopt(libc::M_MMAP_THRESHOLD, FROM_HEAP_BELOW);
        libc::mallopt(libc::M_TRIM_THRESHOLD, KEPT_FREE);
    }
}

fn get(resource: libc::__rlimit_resource_t) -> Option<libc::rlimit> {
    let mut limit = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: the pointer is valid for the call.
    (unsafe { libc::getrlimit(resource, &mut limit) } == 0).then_some(limit)
}

/// Sets the soft limit to the hard one; the limit that holds then.
fn raise_descriptors() -> u64 {
    let Some(limit) = get(libc::RLIMIT_NOFILE) else {
        return u64::MAX;
    };
    let raised = libc::rlimit {
        rlim_cur: limit.rlim_max,
        rlim_max: limit.rlim_max,
    };
    // SAFETY: the pointer is valid for the call.
    if unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raised) } == 0 {
        limit.rlim_max
    } else {
        limit.rlim_cur
    }
}

fn is_privileged() -> bool {
    // SAFETY: no memory involved.
    unsafe { libc::geteuid() == 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn descriptors_are_raised_to_the_hard_limit() {
        let raised = raise_descriptors();
        let now = get(libc::RLIMIT_NOFILE).unwrap();
        assert_eq!(now.rlim_cur, raised);
        assert_eq!(now.rlim_cur, now.rlim_max);
    }
}
