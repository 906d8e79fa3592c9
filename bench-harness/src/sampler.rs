//! What the system under test costs: CPU, memory and disk traffic of a process, from /proc.

use crate::clock::{mono_ns, process_cpu_ns};
use serde::Serialize;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// One look at the machine and, when asked for, at one process and one disk.
#[derive(Clone, Debug, Default)]
pub struct Sample {
    /// When, `CLOCK_MONOTONIC` ns.
    pub at_ns: u64,
    /// CPU time of the process, ns.
    pub process_cpu_ns: u64,
    /// Busy and stolen time of all CPUs, clock ticks.
    machine_busy: u64,
    machine_steal: u64,
    /// Resident and peak memory of the process, KiB.
    rss_kib: u64,
    rss_peak_kib: u64,
    rss_anon_kib: u64,
    disk: Disk,
}

#[derive(Clone, Debug, Default)]
struct Disk {
    writes: u64,
    sectors_written: u64,
    flushes: u64,
    flush_ms: u64,
}

/// Difference of two samples.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Usage {
    /// Time between the samples, s.
    pub seconds: f64,
    /// CPU time of the process, s (user and system, all threads).
    pub cpu_seconds: f64,
    /// The same as a share of one core, %.
    pub cpu_percent: f64,
    /// Resident memory at the end, MiB; its part without a file behind it; the peak so far.
    pub rss_mib: f64,
    /// Anonymous part of it, MiB.
    pub rss_anon_mib: f64,
    /// Highest resident memory so far, MiB.
    pub rss_peak_mib: f64,
    /// Bytes the whole disk wrote.
    pub disk_write_bytes: u64,
    /// Writes the whole disk completed.
    pub disk_writes: u64,
    /// Flushes the whole disk completed.
    pub disk_flushes: u64,
    /// Time spent in those flushes, ms.
    pub disk_flush_ms: u64,
    /// CPU time of the whole machine, s: shows what others did meanwhile.
    pub machine_cpu_seconds: f64,
    /// CPU time the hypervisor took away, s.
    pub steal_seconds: f64,
}

/// What to look at.
#[derive(Clone, Debug, Default)]
pub struct Target {
    /// Process id of the broker.
    pub pid: Option<i32>,
    /// Any path on the disk to watch.
    pub disk: Option<std::path::PathBuf>,
}

impl Target {
    /// Looks once. What cannot be read stays 0.
    pub fn sample(&self) -> Sample {
        let mut sample = Sample {
            at_ns: mono_ns(),
            ..Sample::default()
        };
        if let Some(pid) = self.pid {
            sample.process_cpu_ns = process_cpu_ns(pid).unwrap_or(0);
            read_memory(pid, &mut sample);
        }
        read_machine(&mut sample);
        if let Some(path) = &self.disk {
            sample.disk = read_disk(path).unwrap_or_default();
        }
        sample
    }
}

impl Usage {
    /// What happened from `a` to `b`.
    pub fn between(a: &Sample, b: &Sample) -> Usage {
        let seconds = b.at_ns.saturating_sub(a.at_ns) as f64 / 1e9;
        let cpu_seconds = b.process_cpu_ns.saturating_sub(a.process_cpu_ns) as f64 / 1e9;
        // SAFETY: sysconf has no preconditions.
        let tick = unsafe { libc::sysconf(libc::_SC_CLK_TCK) }.max(1) as f64;
        Usage {
            seconds,
            cpu_seconds,
            cpu_percent: if seconds > 0.0 {
                100.0 * cpu_seconds / seconds
            } else {
                0.0
            },
            rss_mib: b.rss_kib as f64 / 1024.0,
            rss_anon_mib: b.rss_anon_kib as f64 / 1024.0,
            rss_peak_mib: b.rss_peak_kib as f64 / 1024.0,
            disk_write_bytes: b.disk.sectors_written.saturating_sub(a.disk.sectors_written) * 512,
            disk_writes: b.disk.writes.saturating_sub(a.disk.writes),
            disk_flushes: b.disk.flushes.saturating_sub(a.disk.flushes),
            disk_flush_ms: b.disk.flush_ms.saturating_sub(a.disk.flush_ms),
            machine_cpu_seconds: b.machine_busy.saturating_sub(a.machine_busy) as f64 / tick,
            steal_seconds: b.machine_steal.saturating_sub(a.machine_steal) as f64 / tick,
        }
    }
}

impl Usage {
    /// CPU that neither the watched process nor this client (`client_percent` of a core) used, % of a core. Interrupts
    /// and kernel threads that work for either are in it.
    pub fn other_percent(&self, client_percent: f64) -> f64 {
        let others = self.machine_cpu_seconds - self.cpu_seconds - client_percent / 100.0 * self.seconds;
        100.0 * others.max(0.0) / self.seconds.max(0.001)
    }
}

fn read_memory(pid: i32, sample: &mut Sample) {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let field = |name: &str| {
        let line = text.lines().find_map(|l| l.strip_prefix(name))?;
        line.split_whitespace().next()?.parse().ok()
    };
    sample.rss_kib = field("VmRSS:").unwrap_or(0);
    sample.rss_peak_kib = field("VmHWM:").unwrap_or(0);
    sample.rss_anon_kib = field("RssAnon:").unwrap_or(0);
}

fn read_machine(sample: &mut Sample) {
    let text = fs::read_to_string("/proc/stat").unwrap_or_default();
    let line = text.lines().next().unwrap_or_default();
    let ticks: Vec<u64> = line.split_whitespace().skip(1).filter_map(|f| f.parse().ok()).collect();
    // user nice system idle iowait irq softirq steal
    sample.machine_busy = [0, 1, 2, 5, 6].iter().filter_map(|i| ticks.get(*i)).sum();
    sample.machine_steal = ticks.get(7).copied().unwrap_or(0);
}

fn read_disk(path: &Path) -> Option<Disk> {
    let device = fs::metadata(path).ok()?.dev();
    let (major, minor) = (libc::major(device), libc::minor(device));
    let text = fs::read_to_string("/proc/diskstats").ok()?;
    let line = text.lines().find(|l| {
        let mut f = l.split_whitespace();
        f.next() == Some(&major.to_string()) && f.next() == Some(&minor.to_string())
    })?;
    let field = |i: usize| line.split_whitespace().nth(i).and_then(|f| f.parse().ok()).unwrap_or(0);
    // Documentation/admin-guide/iostats.rst, fields counted after the device name.
    Some(Disk {
        writes: field(7),
        sectors_written: field(9),
        flushes: field(18),
        flush_ms: field(19),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_work_shows_in_the_sample() {
        let target = Target {
            pid: Some(std::process::id() as i32),
            disk: Some("/".into()),
        };
        let a = target.sample();
        let mut x = 1u64;
        while process_cpu_ns(std::process::id() as i32).unwrap() < a.process_cpu_ns + 20_000_000 {
            x = std::hint::black_box(x.wrapping_mul(3));
        }
        let usage = Usage::between(&a, &target.sample());
        assert!(usage.cpu_seconds >= 0.019 && usage.rss_mib > 0.5, "{usage:?}");
    }
}
