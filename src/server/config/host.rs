//! What the machine (or the container) gives: CPUs, memory, a name.

use std::fs;
use std::net::{IpAddr, ToSocketAddrs, UdpSocket};

/// The machine as this process sees it.
#[derive(Clone, Debug)]
pub struct Host {
    /// CPUs that this process may run on.
    pub allowed_cpus: Vec<usize>,
    /// CPUs for shards by default: one per physical core, within the cgroup's CPU quota.
    pub default_cpus: Vec<usize>,
    /// RAM or the cgroup's limit, whichever is less, in bytes.
    pub memory: u64,
    /// A name or address that clients on other machines may know it by; `None` = look it up when it is needed, which may
    /// ask the network.
    pub name: Option<String>,
}

impl Host {
    /// Looks at this machine.
    pub fn detect() -> Host {
        let mut allowed: Vec<usize> = core_affinity::get_core_ids()
            .unwrap_or_default()
            .into_iter()
            .map(|core| core.id)
            .collect();
        allowed.sort_unstable();
        if allowed.is_empty() {
            allowed.push(0);
        }
        let mut default_cpus: Vec<usize> = allowed
            .iter()
            .copied()
            .filter(|cpu| is_first_sibling(*cpu, &allowed))
            .collect();
        if let Some(quota) = cpu_quota() {
            default_cpus.truncate(quota.max(1));
        }
        Host {
            allowed_cpus: allowed,
            default_cpus,
            memory: ram().min(cgroup_memory().unwrap_or(u64::MAX)),
            name: None,
        }
    }

    /// A name or address that clients on other machines may know this machine by.
    pub fn reachable_name(&self) -> String {
        self.name.clone().unwrap_or_else(name)
    }
}

/// True when no lower allowed CPU shares the physical core.
fn is_first_sibling(cpu: usize, allowed: &[usize]) -> bool {
    let path = format!("/sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list");
    let siblings = fs::read_to_string(path)
        .ok()
        .and_then(|text| super::units::parse_cpus(text.trim()).ok());
    siblings
        .unwrap_or_default()
        .iter()
        .all(|sibling| *sibling >= cpu || !allowed.contains(sibling))
}

fn ram() -> u64 {
    let text = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let kib = text
        .lines()
        .find_map(|line| line.strip_prefix("MemTotal:"))
        .and_then(|rest| rest.trim().trim_end_matches("kB").trim().parse::<u64>().ok());
    kib.map_or(1 << 30, |kib| kib * 1024)
}

/// The tightest memory limit of our cgroup and its parents, version 2 or 1.
fn cgroup_memory() -> Option<u64> {
    let v2 = own_cgroups("")
        .into_iter()
        .map(|path| format!("/sys/fs/cgroup{path}/memory.max"));
    let v1 = own_cgroups("memory")
        .into_iter()
        .map(|path| format!("/sys/fs/cgroup/memory{path}/memory.limit_in_bytes"));
    v2.chain(v1)
        .filter_map(|path| fs::read_to_string(path).ok()?.trim().parse::<u64>().ok())
        .min()
}

/// Whole CPUs of the cgroup's quota.
fn cpu_quota() -> Option<usize> {
    let v2 = own_cgroups("").into_iter().filter_map(|path| {
        let text = fs::read_to_string(format!("/sys/fs/cgroup{path}/cpu.max")).ok()?;
        let (quota, period) = text.trim().split_once(' ')?;
        Some((quota.parse::<u64>().ok()?, period.parse::<u64>().ok()?))
    });
    let v1 = own_cgroups("cpu").into_iter().filter_map(|path| {
        let read = |name: &str| {
            fs::read_to_string(format!("/sys/fs/cgroup/cpu{path}/{name}"))
                .ok()?
                .trim()
                .parse()
                .ok()
        };
        Some((read("cpu.cfs_quota_us")?, read("cpu.cfs_period_us")?))
    });
    v2.chain(v1)
        .filter(|(_, period)| *period > 0)
        .map(|(quota, period)| (quota / period) as usize)
        .min()
}

/// Our cgroup's path in the hierarchy of `controller` (empty = version 2) and all its parents; empty text = the root.
fn own_cgroups(controller: &str) -> Vec<String> {
    let text = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let own = text.lines().find_map(|line| {
        let mut fields = line.splitn(3, ':');
        let (_, controllers, path) = (fields.next()?, fields.next()?, fields.next()?);
        let matches = if controller.is_empty() {
            controllers.is_empty()
        } else {
            controllers.split(',').any(|name| name == controller)
        };
        matches.then(|| path.trim_end_matches('/').to_string())
    });
    let Some(mut path) = own else { return Vec::new() };
    let mut all = vec![path.clone()];
    while let Some(cut) = path.rfind('/') {
        path.truncate(cut);
        all.push(path.clone());
    }
    all
}

/// The host name if it resolves to something others can reach, else the address of the default route, else loopback.
fn name() -> String {
    let hostname = fs::read_to_string("/proc/sys/kernel/hostname")
        .unwrap_or_default()
        .trim()
        .to_string();
    let reachable = |name: &str| {
        (name, 9092u16)
            .to_socket_addrs()
            .is_ok_and(|mut addresses| addresses.any(|address| !address.ip().is_loopback()))
    };
    if !hostname.is_empty() && reachable(&hostname) {
        return hostname;
    }
    default_address().map_or_else(|| "127.0.0.1".to_string(), |address| address.to_string())
}

/// Our address towards the world. Connecting a UDP socket sends nothing.
fn default_address() -> Option<IpAddr> {
    let socket = UdpSocket::bind("0.0.0.0:0").ok()?;
    socket.connect("192.0.2.1:9").ok()?;
    let address = socket.local_addr().ok()?.ip();
    (!address.is_unspecified()).then_some(address)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_has_cpus_memory_and_a_name() {
        let host = Host::detect();
        assert!(!host.default_cpus.is_empty());
        assert!(host.default_cpus.iter().all(|cpu| host.allowed_cpus.contains(cpu)));
        assert!(host.memory > 64 << 20, "{}", host.memory);
        assert!(!host.reachable_name().is_empty());
    }
}
