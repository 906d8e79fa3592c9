//! Limits of processes: locked memory, descriptors. Those of this shell; a service has its unit's.

use super::{at_least, sysctl_path};
use crate::tune::host::Host;
use crate::tune::rule::{Finding, Persist, Rule, Status};

/// Locked memory without which the background plane does not start, bytes.
const MEMLOCK_LEAST: u64 = 512 << 10;
/// Descriptors for segments and connections.
const DESCRIPTORS_WANTED: u64 = 100_000;

pub(super) static MEMLOCK: Rule = Rule {
    name: "limits.memlock",
    want: "unlimited",
    why: "Buffers that are registered with io_uring count as locked memory.",
    effect: "unregistered buffers, below 512 KiB no start",
    persist: Persist::Unit,
    look: |rule, host| {
        let remedy = "LimitMEMLOCK=infinity in the unit, `ulimit -l unlimited`, or --ulimit memlock=-1 for a container";
        vec![match limit(host, "Max locked memory") {
            None => Finding::absent(rule, "no /proc/self/limits"),
            Some(u64::MAX) => Finding::new(rule, rule.name, Status::Ok, "unlimited").want(rule.want),
            Some(bytes) => {
                let status = if bytes < MEMLOCK_LEAST {
                    Status::Fail
                } else {
                    Status::Warn
                };
                Finding::new(rule, rule.name, status, format!("{} KiB", bytes >> 10))
                    .want(rule.want)
                    .remedy(remedy)
            }
        }]
    },
};

pub(super) static DESCRIPTORS: Rule = Rule {
    name: "limits.descriptors",
    want: ">= 100000",
    why: "Each open segment and each connection takes one. The broker raises its own limit up to the hard one.",
    effect: "connections refused",
    persist: Persist::Unit,
    look: |rule, host| {
        vec![match limit(host, "Max open files") {
            None => Finding::absent(rule, "no /proc/self/limits"),
            Some(files) if files >= DESCRIPTORS_WANTED => {
                Finding::new(rule, rule.name, Status::Ok, files.to_string()).want(rule.want)
            }
            Some(files) => Finding::new(rule, rule.name, Status::Warn, files.to_string())
                .want(rule.want)
                .remedy("LimitNOFILE=1048576 in the unit, or `ulimit -n 1048576`"),
        }]
    },
};

pub(super) static FILES: Rule = Rule {
    name: "fs.file-max",
    want: ">= 1048576",
    why: "All descriptors of the machine together.",
    effect: "connections refused",
    persist: Persist::Sysctl,
    look: |rule, host| vec![at_least(rule, host, sysctl_path(rule.name), 1 << 20)],
};

/// The hard limit of this process, `u64::MAX` for none.
fn limit(host: &Host, name: &str) -> Option<u64> {
    let text = host.root().read("/proc/self/limits")?;
    let rest = text.lines().find_map(|line| line.strip_prefix(name))?;
    match rest.split_whitespace().nth(1)? {
        "unlimited" => Some(u64::MAX),
        number => number.parse().ok(),
    }
}
