//! Memory: swap, huge pages, NUMA.

use super::{exact, fact, sysctl_path};
use crate::tune::host::{Host, Profile};
use crate::tune::rule::{Finding, Persist, Rule, Status};

pub(super) static SWAPPINESS: Rule = Rule {
    name: "vm.swappiness",
    want: "<= 1",
    why: "The broker's memory is its cache, sized by --memory. Swapped out, it costs a disk read where a caller waits. 0 would risk \
          the OOM killer on some kernels.",
    effect: "rare stalls",
    persist: Persist::Sysctl,
    look: |rule, host| {
        let path = sysctl_path(rule.name);
        let has_swap = host
            .root()
            .read("/proc/swaps")
            .is_some_and(|text| text.lines().count() > 1);
        vec![match host.root().number(&path) {
            None => Finding::absent(rule, format!("no {path}")),
            Some(_) if !has_swap || host.profile() == Profile::Shared => fact(rule, rule.name.into(), host, &path),
            Some(current) => {
                let status = if current <= 1 { Status::Ok } else { Status::Warn };
                Finding::new(rule, rule.name, status, current.to_string())
                    .want(rule.want)
                    .write(path, "1")
            }
        }]
    },
};

pub(super) static THP: Rule = Rule {
    name: "thp.enabled",
    want: "madvise",
    why: "With `always` the kernel collapses pages whenever it likes, and its memory compaction stalls whoever asks for memory then. \
          With madvise only programs that ask get huge pages.",
    effect: "stalls of ms",
    persist: Persist::Tmpfiles,
    look: |rule, host| vec![huge_pages(rule, host, "enabled", "madvise", &["madvise", "never"])],
};

pub(super) static DEFRAG: Rule = Rule {
    name: "thp.defrag",
    want: "defer+madvise",
    why: "Who asks for a huge page does not wait for memory to be moved; a kernel thread does it later.",
    effect: "stalls of ms",
    persist: Persist::Tmpfiles,
    look: |rule, host| {
        vec![huge_pages(
            rule,
            host,
            "defrag",
            "defer+madvise",
            &["defer+madvise", "defer", "madvise", "never"],
        )]
    },
};

pub(super) static NUMA_BALANCING: Rule = Rule {
    name: "kernel.numa_balancing",
    want: "0",
    why: "Shards are pinned and allocate on their own node; the balancer unmaps their pages to see who touches them.",
    effect: "page faults",
    persist: Persist::Sysctl,
    look: |rule, host| {
        vec![match host.nodes {
            1 => Finding::absent(rule, "one NUMA node"),
            _ if host.profile() == Profile::Shared => fact(rule, rule.name.into(), host, &sysctl_path(rule.name)),
            _ => exact(rule, rule.name.into(), host, sysctl_path(rule.name), "0"),
        }]
    },
};

fn huge_pages(rule: &'static Rule, host: &Host, file: &str, want: &str, good: &[&str]) -> Finding {
    let path = format!("/sys/kernel/mm/transparent_hugepage/{file}");
    let finding = match host.profile() {
        Profile::Shared => fact(rule, rule.name.into(), host, &path),
        _ => exact(rule, rule.name.into(), host, path, want),
    };
    match good.contains(&finding.current.as_str()) && finding.status == Status::Warn {
        true => Finding {
            status: Status::Ok,
            ..finding
        },
        false => finding,
    }
}
