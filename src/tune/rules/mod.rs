//! The rules, by the part of the machine they look at.

mod cpu;
mod disk;
mod kernel;
mod limits;
mod memory;
mod net;

use crate::tune::host::Host;
use crate::tune::rule::{Finding, Rule, Status};

/// All rules, in the order in which they are shown.
pub(super) static ALL: &[&Rule] = &[
    &kernel::IO_URING,
    &kernel::VERSION,
    &limits::MEMLOCK,
    &limits::DESCRIPTORS,
    &limits::FILES,
    &disk::FILE_SYSTEM,
    &disk::ATIME,
    &disk::BLOCK_SIZE,
    &disk::WRITE_CACHE,
    &disk::SCHEDULER,
    &disk::NOMERGES,
    &disk::REQUESTS,
    &disk::POLL_QUEUES,
    &disk::INTERRUPTS,
    &disk::SPACE,
    &disk::TRIM,
    &memory::SWAPPINESS,
    &memory::THP,
    &memory::DEFRAG,
    &memory::NUMA_BALANCING,
    &cpu::GOVERNOR,
    &cpu::BOOST,
    &cpu::C_STATES,
    &cpu::ISOLATION,
    &cpu::SMT,
    &net::SOMAXCONN,
    &net::SYN_BACKLOG,
    &net::DEVICE_BACKLOG,
    &net::SLOW_START,
    &net::READ_BUFFER,
    &net::WRITE_BUFFER,
    &net::BUSY_POLL,
    &net::STEERING,
    &kernel::CLOCK_SOURCE,
    &kernel::CLOCK_SYNC,
    &kernel::IO_WAIT,
    &kernel::WATCHDOG,
    &kernel::STAT_INTERVAL,
    &kernel::PERF,
];

/// The path of a sysctl in `/proc/sys`.
fn sysctl_path(name: &str) -> String {
    format!("/proc/sys/{}", name.replace('.', "/"))
}

/// A knob with one right value.
fn exact(rule: &'static Rule, item: String, host: &Host, path: String, want: &str) -> Finding {
    match host.root().value(&path) {
        None => Finding::new(rule, item, Status::Absent, format!("no {path}")),
        Some(current) => {
            let status = if current == want { Status::Ok } else { Status::Warn };
            Finding::new(rule, item, status, current).want(want).write(path, want)
        }
    }
}

/// A knob with a least value.
fn at_least(rule: &'static Rule, host: &Host, path: String, least: u64) -> Finding {
    match host.root().number(&path) {
        None => Finding::absent(rule, format!("no {path}")),
        Some(current) => {
            let status = if current >= least { Status::Ok } else { Status::Warn };
            Finding::new(rule, rule.name, status, current.to_string())
                .want(format!(">= {least}"))
                .write(path, current.max(least).to_string())
        }
    }
}

/// A value that is shown and not judged.
fn fact(rule: &'static Rule, item: String, host: &Host, path: &str) -> Finding {
    match host.root().value(path) {
        None => Finding::new(rule, item, Status::Absent, format!("no {path}")),
        Some(current) => Finding::new(rule, item, Status::Info, current),
    }
}

/// One finding for each disk below the data directory; one that says so if none is known.
fn each_disk(rule: &'static Rule, host: &Host, look: impl Fn(&str) -> Finding) -> Vec<Finding> {
    if host.disks.is_empty() {
        return vec![Finding::absent(
            rule,
            "the disk below the data directory is not known: name it with --device",
        )];
    }
    host.disks.iter().map(|disk| look(disk)).collect()
}
