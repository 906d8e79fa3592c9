//! The network: backlogs, buffers, steering.

use super::{at_least, exact, fact, sysctl_path};
use crate::tune::host::{Host, Profile};
use crate::tune::rule::{Finding, Persist, Rule, Status};

/// Largest socket buffer for links with long delays, bytes.
const BUFFER_WANTED: u64 = 16 << 20;

pub(super) static SOMAXCONN: Rule = Rule {
    name: "net.core.somaxconn",
    want: ">= 4096",
    why: "After a restart all clients connect at once; the accept queue has to hold them.",
    effect: "connection timeouts",
    persist: Persist::Sysctl,
    look: |rule, host| vec![at_least(rule, host, sysctl_path(rule.name), 4096)],
};

pub(super) static SYN_BACKLOG: Rule = Rule {
    name: "net.ipv4.tcp_max_syn_backlog",
    want: ">= 4096",
    why: "The same for connections that are half open.",
    effect: "connection timeouts",
    persist: Persist::Sysctl,
    look: |rule, host| vec![at_least(rule, host, sysctl_path(rule.name), 4096)],
};

pub(super) static DEVICE_BACKLOG: Rule = Rule {
    name: "net.core.netdev_max_backlog",
    want: ">= 4096",
    why: "Packets that wait for a CPU when they are steered to it, and all of the loopback's.",
    effect: "dropped packets in bursts",
    persist: Persist::Sysctl,
    look: |rule, host| vec![at_least(rule, host, sysctl_path(rule.name), 4096)],
};

pub(super) static SLOW_START: Rule = Rule {
    name: "net.ipv4.tcp_slow_start_after_idle",
    want: "0",
    why: "A producer that was quiet for a moment would start with a small window again.",
    effect: "slow first batches",
    persist: Persist::Sysctl,
    look: |rule, host| vec![exact(rule, rule.name.into(), host, sysctl_path(rule.name), "0")],
};

pub(super) static READ_BUFFER: Rule = Rule {
    name: "net.ipv4.tcp_rmem",
    want: "largest >= 16 MiB",
    why: "The largest receive window: a link of 1 Gbit/s and 100 ms holds 12 MB.",
    effect: "slow over long distances",
    persist: Persist::Sysctl,
    look: |rule, host| vec![largest(rule, host)],
};

pub(super) static WRITE_BUFFER: Rule = Rule {
    name: "net.ipv4.tcp_wmem",
    want: "largest >= 16 MiB",
    why: "The same for what is sent to consumers.",
    effect: "slow over long distances",
    persist: Persist::Sysctl,
    look: |rule, host| vec![largest(rule, host)],
};

pub(super) static BUSY_POLL: Rule = Rule {
    name: "net.core.busy_poll",
    want: "your choice",
    why: "50 (microseconds) trades CPU for a few microseconds per request on hardware that supports it.",
    effect: "us per request",
    persist: Persist::ByHand,
    look: |rule, host| vec![fact(rule, rule.name.into(), host, &sysctl_path(rule.name))],
};

pub(super) static STEERING: Rule = Rule {
    name: "net.steering",
    want: "a receive queue for each CPU, or RPS",
    why: "A card with one receive queue interrupts one CPU for all packets; receive packet steering (RPS) spreads their protocol \
          work over the others. A card with a queue for each CPU does it in hardware.",
    effect: "one busy CPU",
    persist: Persist::Udev,
    look: |rule, host| {
        if host.cards.is_empty() {
            return vec![Finding::absent(rule, "no network card")];
        }
        host.cards.iter().map(|card| steering(rule, host, card)).collect()
    },
};

fn steering(rule: &'static Rule, host: &Host, card: &str) -> Finding {
    let base = format!("/sys/class/net/{card}/queues");
    let queues: Vec<String> = host
        .root()
        .list(&base)
        .into_iter()
        .filter(|name| name.starts_with("rx-"))
        .collect();
    let path = |queue: &String| format!("{base}/{queue}/rps_cpus");
    let is_steered = queues.iter().any(|queue| {
        let mask = host.root().value(&path(queue)).unwrap_or_default();
        mask.chars().any(|c| c.is_ascii_hexdigit() && c != '0')
    });
    let text = format!(
        "queues: {}, {}",
        queues.len(),
        if is_steered { "RPS on" } else { "RPS off" }
    );
    let finding = |status| Finding::new(rule, rule.of(card), status, text.clone()).want(rule.want);
    if queues.len() >= host.cpus.len() || is_steered {
        return finding(Status::Ok);
    }
    // Steering costs an interrupt between CPUs for each packet: it is for bytes, not for microseconds.
    if host.profile() != Profile::Throughput {
        return finding(Status::Info);
    }
    let mask = mask(&host.cpus);
    queues.iter().fold(finding(Status::Warn), |finding, queue| {
        finding.write(path(queue), mask.clone())
    })
}

/// CPUs as the kernel's mask: groups of 32 bits in hex, the highest first.
fn mask(cpus: &[usize]) -> String {
    let groups = cpus.iter().max().map_or(1, |last| last / 32 + 1);
    let mut words = vec![0u32; groups];
    for cpu in cpus {
        if let Some(word) = words.get_mut(cpu / 32) {
            *word |= 1 << (cpu % 32);
        }
    }
    words
        .iter()
        .rev()
        .map(|word| format!("{word:x}"))
        .collect::<Vec<_>>()
        .join(",")
}

/// The third number of `min default max`.
fn largest(rule: &'static Rule, host: &Host) -> Finding {
    let path = sysctl_path(rule.name);
    let Some(text) = host.root().value(&path) else {
        return Finding::absent(rule, format!("no {path}"));
    };
    let numbers: Vec<u64> = text.split(' ').filter_map(|number| number.parse().ok()).collect();
    let [least, default, most] = numbers.as_slice() else {
        return Finding::absent(rule, format!("{path} is not three numbers"));
    };
    let status = if *most >= BUFFER_WANTED {
        Status::Ok
    } else {
        Status::Warn
    };
    Finding::new(rule, rule.name, status, text.clone())
        .want(rule.want)
        .write(path, format!("{least} {default} {}", BUFFER_WANTED.max(*most)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn masks_of_cpus() {
        assert_eq!(mask(&[0, 1]), "3");
        assert_eq!(mask(&[0, 33]), "2,1");
    }
}
