//! Clocks. Every latency comes from `CLOCK_MONOTONIC` in nanoseconds; nothing is rounded to milliseconds.

use std::time::Duration;

fn read(clock: libc::clockid_t) -> u64 {
    let mut at = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `at` is a valid timespec that the call only writes to.
    let rc = unsafe { libc::clock_gettime(clock, &mut at) };
    if rc != 0 {
        return 0;
    }
    at.tv_sec as u64 * 1_000_000_000 + at.tv_nsec as u64
}

/// Nanoseconds since boot, never stepped.
pub fn mono_ns() -> u64 {
    read(libc::CLOCK_MONOTONIC)
}

/// Wall clock, milliseconds since 1970: what a Kafka record timestamp holds.
pub fn wall_ms() -> i64 {
    (read(libc::CLOCK_REALTIME_COARSE) / 1_000_000) as i64
}

/// CPU time used by the calling thread, nanoseconds.
pub fn thread_cpu_ns() -> u64 {
    read(libc::CLOCK_THREAD_CPUTIME_ID)
}

/// CPU time used by all threads of process `pid` (ended ones too), nanoseconds; `None` if there is no such process.
pub fn process_cpu_ns(pid: i32) -> Option<u64> {
    let mut clock: libc::clockid_t = 0;
    // SAFETY: `clock` is a valid place for the result.
    let rc = unsafe { libc::clock_getcpuclockid(pid, &mut clock) };
    (rc == 0).then(|| read(clock)).filter(|ns| *ns > 0)
}

/// Sleeps until `mono_ns()` reaches `at_ns`.
pub fn sleep_until(at_ns: u64) {
    let now = mono_ns();
    if at_ns > now {
        std::thread::sleep(Duration::from_nanos(at_ns - now));
    }
}
