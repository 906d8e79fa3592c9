//! The facts of a machine that more than one rule needs.

use crate::tune::sysroot::Sysroot;
use serde::Serialize;
use std::path::{Path, PathBuf};

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

/// The mount that holds the data directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mount {
    /// `ext4`, `xfs`.
    pub kind: String,
    /// `/dev/nvme0n1p2`.
    pub source: String,
    /// `rw,noatime`.
    pub options: String,
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

/// `0-2,4` as numbers; what cannot be read is left out.
pub(super) fn cpu_list(text: &str) -> Vec<usize> {
    let range = |part: &str| -> Option<std::ops::RangeInclusive<usize>> {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        Some(first.trim().parse().ok()?..=last.trim().parse().ok()?)
    };
    text.split(',').filter_map(range).flatten().collect()
}

/// The deepest, latest mount over `directory`; `mountinfo` as in proc(5).
fn find_mount(table: &str, directory: &Path) -> Option<Mount> {
    let mut best: Option<(usize, Mount)> = None;
    for line in table.lines() {
        let Some((left, right)) = line.split_once(" - ") else {
            continue;
        };
        let (left, right): (Vec<&str>, Vec<&str>) = (left.split(' ').collect(), right.split(' ').collect());
        let (Some(point), Some(options), Some(kind), Some(source)) =
            (left.get(4), left.get(5), right.first(), right.get(1))
        else {
            continue;
        };
        let point = point.replace("\\040", " ");
        let depth = Path::new(&point).components().count();
        if directory.starts_with(&point) && best.as_ref().is_none_or(|(most, _)| depth >= *most) {
            let mount = Mount {
                kind: kind.to_string(),
                source: source.to_string(),
                options: options.to_string(),
            };
            best = Some((depth, mount));
        }
    }
    best.map(|(_, mount)| mount)
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

    #[test]
    fn the_mount_with_its_options() {
        let table = "21 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw\n\
                     30 21 7:0 / /data rw,noatime shared:2 - xfs /dev/nvme0n1p1 rw,attr2";
        let mount = find_mount(table, Path::new("/data/ringlog")).unwrap();
        assert_eq!((mount.kind.as_str(), mount.options.as_str()), ("xfs", "rw,noatime"));
        assert_eq!(find_mount(table, Path::new("/var")).unwrap().source, "/dev/vda");
    }
}
