//! The CPUs: frequency, sleep states, isolation, siblings.

use super::fact;
use crate::tune::host::{Host, Profile, cpu_list};
use crate::tune::rule::{Finding, Persist, Rule, Status};

const CPU: &str = "/sys/devices/system/cpu";

pub(super) static GOVERNOR: Rule = Rule {
    name: "cpu.governor",
    want: "performance",
    why: "A shard that waits for its disk looks idle, so the frequency falls, and the next request pays for the way up.",
    effect: "higher p50 at low load",
    persist: Persist::Tmpfiles,
    look: |rule, host| {
        let policies: Vec<String> = host
            .root()
            .list(&format!("{CPU}/cpufreq"))
            .into_iter()
            .filter(|name| name.starts_with("policy"))
            .collect();
        let path = |policy: &String| format!("{CPU}/cpufreq/{policy}/scaling_governor");
        let values: Vec<String> = policies
            .iter()
            .filter_map(|policy| host.root().value(&path(policy)))
            .collect();
        let Some(first) = values.first() else {
            return vec![Finding::absent(rule, "no frequency scaling here")];
        };
        let other = values.iter().find(|value| *value != "performance");
        let current = other.unwrap_or(first).clone();
        if host.profile() != Profile::Latency {
            return vec![Finding::new(rule, rule.name, Status::Info, current)];
        }
        let status = if other.is_none() { Status::Ok } else { Status::Warn };
        let finding = Finding::new(rule, rule.name, status, current).want(rule.want);
        vec![
            policies
                .iter()
                .fold(finding, |finding, policy| finding.write(path(policy), "performance")),
        ]
    },
};

pub(super) static BOOST: Rule = Rule {
    name: "cpu.boost",
    want: "your choice",
    why: "Boost makes the fast case faster and its end less even. Switch it off for benchmarks that have to repeat.",
    effect: "uneven figures",
    persist: Persist::ByHand,
    look: |rule, host| {
        let generic = fact(rule, rule.name.into(), host, &format!("{CPU}/cpufreq/boost"));
        vec![match (
            generic.status,
            host.root().value(&format!("{CPU}/intel_pstate/no_turbo")),
        ) {
            (Status::Absent, Some(no_turbo)) => Finding::new(
                rule,
                rule.name,
                Status::Info,
                if no_turbo == "0" { "on" } else { "off" },
            ),
            (Status::Absent, None) => Finding::absent(rule, "no boost in sysfs"),
            _ => generic,
        }]
    },
};

pub(super) static C_STATES: Rule = Rule {
    name: "cpu.c_states",
    want: "no sleep that takes long to leave",
    why: "A CPU in a deep sleep state needs tens to hundreds of microseconds to wake up, as much as the disk's durable write. The \
          kernel's per-CPU latency limit (PM QoS) forbids such states without a reboot; idle CPUs then use more power.",
    effect: "100 us and more at low load",
    persist: Persist::Tmpfiles,
    look: |rule, host| {
        match host.root().value(&format!("{CPU}/cpuidle/current_driver")).as_deref() {
            None => return vec![Finding::absent(rule, "no sleep states in sysfs")],
            Some("none") => return vec![Finding::absent(rule, "the hypervisor decides")],
            Some(_) => {}
        }
        let path = |cpu: &usize| format!("{CPU}/cpu{cpu}/power/pm_qos_resume_latency_us");
        // 0 means no limit; "n/a" means that no latency is accepted.
        let open = host
            .cpus
            .iter()
            .filter(|cpu| host.root().value(&path(cpu)).is_some_and(|value| value == "0"))
            .count();
        let current = format!("no limit on {open} of {} CPUs", host.cpus.len());
        if host.profile() != Profile::Latency {
            return vec![Finding::new(rule, rule.name, Status::Info, current)];
        }
        let status = if open == 0 { Status::Ok } else { Status::Warn };
        let finding = Finding::new(rule, rule.name, status, current).want(rule.want);
        vec![
            host.cpus
                .iter()
                .fold(finding, |finding, cpu| finding.write(path(cpu), "n/a")),
        ]
    },
};

pub(super) static ISOLATION: Rule = Rule {
    name: "cpu.isolation",
    want: "isolcpus, nohz_full, rcu_nocbs on the shards' CPUs (latency)",
    why: "Other threads and the timer tick interrupt a shard. Isolated CPUs belong to the pinned threads alone; at least one CPU \
          has to stay for everything else, the broker's background plane included.",
    effect: "jitter of ms",
    persist: Persist::Boot,
    look: |rule, host| {
        let isolated = host.root().read(&format!("{CPU}/isolated")).unwrap_or_default();
        let set: Vec<&str> = ["nohz_full", "rcu_nocbs"]
            .into_iter()
            .filter(|name| host.boot_option(name).is_some())
            .collect();
        let current = match cpu_list(&isolated).is_empty() {
            true => "none".to_string(),
            false => format!(
                "CPUs {isolated}{}",
                set.iter().map(|name| format!(", {name}")).collect::<String>()
            ),
        };
        if host.profile() != Profile::Latency {
            return vec![Finding::new(rule, rule.name, Status::Info, current)];
        }
        if host.cpus.len() < 4 {
            return vec![Finding::absent(
                rule,
                format!("{} CPUs are too few to set some apart", host.cpus.len()),
            )];
        }
        let complete = !cpu_list(&isolated).is_empty() && set.len() == 2;
        let status = if complete { Status::Ok } else { Status::Warn };
        vec![
            Finding::new(rule, rule.name, status, current)
                .want(rule.want)
                .remedy("see `ringlog tune export grub`; needs a reboot"),
        ]
    },
};

pub(super) static SMT: Rule = Rule {
    name: "cpu.smt",
    want: "one shard for each physical core",
    why: "Two shards on the siblings of one core take turns in it. Give --cpus one sibling of each pair.",
    effect: "uneven latency",
    persist: Persist::ByHand,
    look: |rule, host| {
        vec![match host.root().value(&format!("{CPU}/smt/active")).as_deref() {
            None => Finding::absent(rule, "not in sysfs"),
            Some("0") => Finding::new(rule, rule.name, Status::Ok, "off").want(rule.want),
            Some(_) => Finding::new(
                rule,
                rule.name,
                Status::Info,
                format!("on; cores: {}", first_siblings(host)),
            )
            .want(rule.want),
        }]
    },
};

/// One CPU of each physical core, as a list for `--cpus`.
fn first_siblings(host: &Host) -> String {
    let firsts = host.cpus.iter().filter(|cpu| {
        let path = format!("{CPU}/cpu{cpu}/topology/thread_siblings_list");
        let siblings = host.root().read(&path).map(|list| cpu_list(&list)).unwrap_or_default();
        siblings.first().is_none_or(|first| first == *cpu)
    });
    firsts.map(usize::to_string).collect::<Vec<_>>().join(",")
}
