//! The kernel: io_uring, clock, noise.

use super::{at_least, exact, fact, sysctl_path};
use crate::reactor;
use crate::tune::host::Profile;
use crate::tune::rule::{Finding, Persist, Rule, Status};

/// The oldest kernel with all that the reactor is built on.
const KERNEL_LEAST: (u32, u32) = (6, 1);
/// The first that does not count a wait in io_uring as I/O pressure if asked to.
const KERNEL_NO_IOWAIT: (u32, u32) = (6, 15);

pub(super) static IO_URING: Rule = Rule {
    name: "kernel.io_uring",
    want: "allowed",
    why: "Every socket and every file of the broker is served by io_uring. Distributions switch it off with a sysctl, \
          container runtimes with their seccomp profile.",
    effect: "no start",
    persist: Persist::Sysctl,
    look: |rule, host| {
        let path = sysctl_path("kernel.io_uring_disabled");
        let finding = exact(rule, rule.name.into(), host, path, "0");
        let finding = match finding.status {
            Status::Warn => Finding {
                status: Status::Fail,
                ..finding
            },
            // Kernels before 6.6 have no such switch.
            Status::Absent => Finding::new(rule, rule.name, Status::Ok, "no switch in this kernel").want("allowed"),
            _ => finding,
        };
        if finding.status == Status::Fail || !host.root().is_real() {
            return vec![finding];
        }
        vec![match reactor::probe() {
            Ok(_) => finding,
            Err(refusal) => Finding::new(rule, rule.name, Status::Fail, refusal.cause)
                .want("allowed")
                .remedy(refusal.remedy),
        }]
    },
};

pub(super) static VERSION: Rule = Rule {
    name: "kernel.version",
    want: ">= 6.1",
    why: "The reactor is built on IORING_SETUP_DEFER_TASKRUN, which came with Linux 6.1.",
    effect: "no start",
    persist: Persist::ByHand,
    look: |rule, host| {
        let Some(version) = host.kernel_version() else {
            return vec![Finding::absent(rule, "the kernel's version is not known")];
        };
        let good = version >= KERNEL_LEAST;
        let status = if good { Status::Ok } else { Status::Fail };
        let finding = Finding::new(rule, rule.name, status, host.kernel.clone()).want(rule.want);
        vec![if good {
            finding
        } else {
            finding.remedy("install a newer kernel")
        }]
    },
};

pub(super) static CLOCK_SOURCE: Rule = Rule {
    name: "clock.source",
    want: "tsc, or the hypervisor's own",
    why: "The clock is read several times for each request. tsc, kvm-clock and hyperv pages are read without a system call; \
          hpet and acpi_pm cost microseconds each time.",
    effect: "us per request",
    persist: Persist::Tmpfiles,
    look: |rule, host| {
        let base = "/sys/devices/system/clocksource/clocksource0";
        let Some(current) = host.root().value(&format!("{base}/current_clocksource")) else {
            return vec![Finding::absent(rule, "no clock source in sysfs")];
        };
        let fast = ["tsc", "kvm-clock", "hyperv_clocksource_tsc_page", "arch_sys_counter"];
        if fast.contains(&current.as_str()) {
            return vec![Finding::new(rule, rule.name, Status::Ok, current).want(rule.want)];
        }
        let available = host
            .root()
            .read(&format!("{base}/available_clocksource"))
            .unwrap_or_default();
        let best = fast
            .iter()
            .find(|name| available.split_whitespace().any(|have| have == **name));
        let finding = Finding::new(rule, rule.name, Status::Warn, current).want(rule.want);
        vec![match best {
            Some(best) => finding.write(format!("{base}/current_clocksource"), *best),
            None => finding.remedy("the kernel offers no faster one; see `dmesg | grep -i tsc`"),
        }]
    },
};

pub(super) static CLOCK_SYNC: Rule = Rule {
    name: "clock.sync",
    want: "synchronised",
    why: "Record timestamps, retention and end-to-end latencies compare clocks of several hosts.",
    effect: "wrong times",
    persist: Persist::ByHand,
    look: |rule, host| {
        if !host.root().is_real() {
            return vec![Finding::absent(rule, "only this machine can be asked")];
        }
        // SAFETY: timex is plain data for which zero is valid (no field is to be set); the call fills it.
        let state = unsafe {
            let mut timex: libc::timex = std::mem::zeroed();
            libc::adjtimex(&mut timex)
        };
        vec![match state {
            -1 => Finding::absent(rule, "adjtimex is not allowed here"),
            libc::TIME_ERROR => Finding::new(rule, rule.name, Status::Warn, "not synchronised")
                .want(rule.want)
                .remedy("run chrony or systemd-timesyncd; in a virtual machine the host's clock may be used as it is"),
            _ => Finding::new(rule, rule.name, Status::Ok, "synchronised").want(rule.want),
        }]
    },
};

pub(super) static IO_WAIT: Rule = Rule {
    name: "kernel.io_wait",
    want: "a fact",
    why: "Since Linux 6.5 a thread that waits in io_uring counts as I/O wait: an idle broker looks like 100 % iowait in top. \
          It costs nothing. Since 6.15 a ring can ask not to be counted.",
    effect: "display only",
    persist: Persist::ByHand,
    look: |rule, host| {
        let text = match host.kernel_version() {
            None => return vec![Finding::absent(rule, "the kernel's version is not known")],
            Some(version) if version >= KERNEL_NO_IOWAIT => "waits can be left out of iowait",
            Some(version) if version >= (6, 5) => "an idle broker shows as iowait",
            Some(_) => "waits do not show as iowait",
        };
        vec![Finding::new(rule, rule.name, Status::Info, text)]
    },
};

pub(super) static WATCHDOG: Rule = Rule {
    name: "kernel.watchdog",
    want: "a fact",
    why: "The lockup detectors interrupt every CPU, isolated ones as well, every few seconds. Switch them off only where \
          the last microseconds count: they are what tells you about a stuck kernel.",
    effect: "rare jitter",
    persist: Persist::ByHand,
    look: |rule, host| vec![fact(rule, rule.name.into(), host, &sysctl_path(rule.name))],
};

pub(super) static STAT_INTERVAL: Rule = Rule {
    name: "vm.stat_interval",
    want: ">= 10 (latency)",
    why: "Each second a kernel worker folds every CPU's memory statistics, also on the shards' CPUs.",
    effect: "jitter once a second",
    persist: Persist::Sysctl,
    look: |rule, host| {
        let path = sysctl_path(rule.name);
        vec![match host.profile() {
            Profile::Latency => at_least(rule, host, path, 10),
            _ => fact(rule, rule.name.into(), host, &path),
        }]
    },
};

pub(super) static PERF: Rule = Rule {
    name: "kernel.perf_event_paranoid",
    want: "a fact",
    why: "Flame graphs of a running broker need 1 or less (or CAP_PERFMON).",
    effect: "no profiles",
    persist: Persist::ByHand,
    look: |rule, host| vec![fact(rule, rule.name.into(), host, &sysctl_path(rule.name))],
};
