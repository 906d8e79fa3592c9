//! The facts of a machine that more than one rule needs.

use crate::server::config::units::parse_cpus;
use crate::server::file_system::{Mount, find_mount};
use crate::tune::sysroot::Sysroot;
use serde::Serialize;
use std::path::PathBuf;

/// What the host is tuned for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Profile {
    /// Microseconds count: clock speed and wake-ups are fixed, at the price of power.
    Latency,
    /// Bytes per second and per watt count.
    Throughput,
    /// Others live here too: only what is ours (disk, limits) is changed.
    Shared,
}

/// What to look at.
#[derive(Clone, Debug)]
pub struct Scope {
    /// The machine's files.
    pub sysroot: Sysroot,
    /// Where the broker keeps its data; an absolute path.
    pub data_dir: PathBuf,
    /// Block devices below it, if the caller knows better than the mount table.
    pub devices: Vec<String>,
    /// What for.
    pub profile: Profile,
}

/// The facts.
#[derive(Clone, Debug)]
pub struct Host {
    /// What to look at.
    pub scope: Scope,
    /// `6.18.4`, with the distribution's tail.
    pub kernel: String,
    /// Online CPUs.
    pub cpus: Vec<usize>,
    /// NUMA nodes, at least 1.
    pub nodes: usize,
    /// Runs under a hypervisor.
    pub guest: bool,
    /// Runs in a container: the host's knobs belong to the host.
    pub container: bool,
    /// Below the data directory.
    pub mount: Option<Mount>,
    /// Whole disks below the data directory, through partitions, md, dm.
    pub disks: Vec<String>,
    /// Network cards with hardware (or a virtual function) behind them.
    pub cards: Vec<String>,
}

impl Host {
    /// Looks.
    pub fn new(scope: Scope) -> Host {
        let root = &scope.sysroot;
        let mount = root
            .read("/proc/self/mountinfo")
            .and_then(|table| find_mount(&table, &scope.data_dir));
        let source = mount.as_ref().map(|mount| mount.source.clone());
        let named: Vec<String> = if scope.devices.is_empty() {
            source.into_iter().collect()
        } else {
            scope.devices.clone()
        };
        let mut disks: Vec<String> = named.iter().flat_map(|name| disks(root, name)).collect();
        disks.sort();
        disks.dedup();
        let is_card = |name: &String| root.exists(&format!("/sys/class/net/{name}/device"));
        Host {
            kernel: root.read("/proc/sys/kernel/osrelease").unwrap_or_default(),
            cpus: root
                .read("/sys/devices/system/cpu/online")
                .map_or_else(|| vec![0], |list| cpu_list(&list)),
            nodes: root
                .read("/sys/devices/system/node/online")
                .map_or(1, |list| cpu_list(&list).len().max(1)),
            guest: root.read("/proc/cpuinfo").is_some_and(|text| {
                text.lines()
                    .any(|line| line.starts_with("flags") && line.contains(" hypervisor"))
            }),
            container: root.exists("/.dockerenv") || root.exists("/run/.containerenv"),
            cards: root.list("/sys/class/net").into_iter().filter(is_card).collect(),
            mount,
            disks,
            scope,
        }
    }

    /// The machine's files.
    pub fn root(&self) -> &Sysroot {
        &self.scope.sysroot
    }

    /// What it is tuned for.
    pub fn profile(&self) -> Profile {
        self.scope.profile
    }

    /// Major and minor number of the kernel.
    pub fn kernel_version(&self) -> Option<(u32, u32)> {
        let mut numbers = self.kernel.split(|c: char| !c.is_ascii_digit());
        Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
    }

    /// A value of the kernel's command line: `isolcpus=2-7`.
    pub fn boot_option(&self, name: &str) -> Option<String> {
        let line = self.root().read("/proc/cmdline")?;
        let value = |word: &str| {
            word.strip_prefix(name)
                .and_then(|rest| rest.strip_prefix('='))
                .map(str::to_string)
        };
        line.split_whitespace().find_map(value)
    }

    /// One line about the machine.
    pub fn summary(&self) -> String {
        format!(
            "{} cpu, {} node{}, {}{}, Linux {}",
            self.cpus.len(),
            self.nodes,
            if self.nodes == 1 { "" } else { "s" },
            if self.guest { "virtual machine" } else { "bare metal" },
            if self.container { ", container" } else { "" },
            self.kernel
        )
    }
}

/// `0-2,4` as numbers; none for an empty or unreadable list.
pub(super) fn cpu_list(text: &str) -> Vec<usize> {
    parse_cpus(text).unwrap_or_default()
}

/// The whole disks behind a device: `/dev/nvme0n1p2` → `nvme0n1`; md and dm are followed to what they are made of.
fn disks(root: &Sysroot, source: &str) -> Vec<String> {
    let name = source.strip_prefix("/dev/").unwrap_or(source);
    let name = match name.strip_prefix("mapper/") {
        Some(mapped) => root
            .list("/sys/block")
            .into_iter()
            .find(|disk| root.read(&format!("/sys/block/{disk}/dm/name")).as_deref() == Some(mapped)),
        None => Some(name.to_string()),
    };
    let Some(name) = name.filter(|name| !name.is_empty() && !name.contains('/')) else {
        return Vec::new();
    };
    let whole = if root.exists(&format!("/sys/block/{name}")) {
        Some(name)
    } else {
        root.list("/sys/block")
            .into_iter()
            .find(|disk| root.exists(&format!("/sys/block/{disk}/{name}")))
    };
    let Some(whole) = whole else {
        return Vec::new();
    };
    let parts = root.list(&format!("/sys/block/{whole}/slaves"));
    if parts.is_empty() {
        return vec![whole];
    }
    parts.iter().flat_map(|part| disks(root, part)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_cpus() {
        assert_eq!(cpu_list("0-2,4"), vec![0, 1, 2, 4]);
        assert_eq!(cpu_list("0"), vec![0]);
        assert_eq!(cpu_list(""), Vec::<usize>::new());
    }
}
