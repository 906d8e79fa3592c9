//! The rules on made-up machines: what they find, what is written, and that everything comes back.

use super::*;
use std::fs;
use std::path::{Path, PathBuf};

/// A directory that looks like a machine; removed at the end.
struct Tree(PathBuf);

impl Drop for Tree {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

impl Tree {
    fn new(name: &str, files: &[(&str, &str)]) -> Tree {
        let root = std::env::temp_dir().join(format!("ringlog-tune-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&root);
        let tree = Tree(root);
        files.iter().for_each(|(path, text)| tree.put(path, text));
        tree
    }

    fn put(&self, path: &str, text: &str) {
        let path = self.0.join(path.trim_start_matches('/'));
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn get(&self, path: &str) -> String {
        fs::read_to_string(self.0.join(path.trim_start_matches('/')))
            .unwrap()
            .trim()
            .to_string()
    }

    fn host(&self, profile: Profile) -> Host {
        Host::new(Scope {
            sysroot: Sysroot::new(&self.0),
            data_dir: "/data/ringlog".into(),
            devices: Vec::new(),
            profile,
        })
    }

    fn find(&self, profile: Profile, item: &str) -> Finding {
        let findings = check(&self.host(profile));
        findings
            .iter()
            .find(|finding| finding.item == item)
            .unwrap_or_else(|| {
                panic!(
                    "no {item} in {:?}",
                    findings.iter().map(|f| &f.item).collect::<Vec<_>>()
                )
            })
            .clone()
    }
}

const MOUNTS: &str =
    "21 1 254:0 / / rw,relatime - ext4 /dev/sda1 rw\n30 21 259:2 / /data rw,noatime - xfs /dev/nvme0n1p1 rw";

/// Bare metal with one NVMe disk, as a distribution installs it.
fn metal(name: &str) -> Tree {
    Tree::new(
        name,
        &[
            ("/proc/sys/kernel/osrelease", "6.8.0-45-generic"),
            ("/proc/sys/kernel/io_uring_disabled", "0"),
            ("/proc/self/mountinfo", MOUNTS),
            (
                "/proc/self/limits",
                "Max open files            1024                 1048576              files\nMax locked memory         8388608              8388608              bytes",
            ),
            ("/proc/swaps", "Filename Type Size Used Priority\n/swap file 1 0 -2"),
            ("/proc/cpuinfo", "flags\t\t: fpu vme"),
            ("/proc/cmdline", "quiet"),
            ("/sys/devices/system/cpu/online", "0-3"),
            ("/sys/devices/system/cpu/isolated", ""),
            ("/sys/devices/system/cpu/cpufreq/policy0/scaling_governor", "powersave"),
            (
                "/sys/devices/system/cpu/cpufreq/policy1/scaling_governor",
                "performance",
            ),
            ("/sys/block/nvme0n1/nvme0n1p1/start", "2048"),
            ("/sys/block/nvme0n1/queue/scheduler", "[mq-deadline] none"),
            ("/sys/block/nvme0n1/queue/nomerges", "0"),
            ("/sys/block/nvme0n1/queue/nr_requests", "1023"),
            ("/sys/block/nvme0n1/queue/write_cache", "write back"),
            ("/sys/block/nvme0n1/queue/fua", "1"),
            ("/sys/block/sda/sda1/start", "0"),
            ("/sys/block/sda/queue/scheduler", "[mq-deadline] none"),
            ("/proc/sys/vm/swappiness", "60"),
            ("/proc/sys/net/core/somaxconn", "128"),
            ("/proc/sys/net/ipv4/tcp_rmem", "4096\t131072\t6291456"),
            ("/sys/kernel/mm/transparent_hugepage/enabled", "[always] madvise never"),
        ],
    )
}

#[test]
fn only_the_disk_below_the_data_directory_is_looked_at() {
    let tree = metal("scope");
    assert_eq!(
        tree.find(Profile::Latency, "disk.nvme0n1.scheduler").current,
        "mq-deadline"
    );
    let findings = check(&tree.host(Profile::Latency));
    assert!(findings.iter().all(|finding| !finding.item.contains("sda")));
}

#[test]
fn a_raid_is_followed_to_its_disks() {
    let tree = metal("raid");
    tree.put(
        "/proc/self/mountinfo",
        "30 21 9:0 / /data rw,noatime - xfs /dev/mapper/vg-data rw",
    );
    tree.put("/sys/block/dm-0/dm/name", "vg-data");
    tree.put("/sys/block/dm-0/slaves/md0/x", "");
    tree.put("/sys/block/md0/slaves/nvme0n1p1/x", "");
    tree.put("/sys/block/md0/slaves/sda1/x", "");
    assert_eq!(tree.host(Profile::Latency).disks, vec!["nvme0n1", "sda"]);
}

#[test]
fn what_stops_a_broker_is_fatal_and_says_how_to_help() {
    let tree = metal("fatal");
    tree.put("/proc/sys/kernel/io_uring_disabled", "2");
    tree.put("/proc/sys/kernel/osrelease", "5.15.0");
    tree.put(
        "/proc/self/limits",
        "Max locked memory         65536              65536              bytes",
    );
    for item in ["kernel.io_uring", "kernel.version", "limits.memlock"] {
        let finding = tree.find(Profile::Shared, item);
        assert_eq!(finding.status, Status::Fail, "{item}");
        assert!(!finding.remedy.is_empty() || finding.is_open(), "{item}: no way out");
    }
}

#[test]
fn what_is_missing_is_not_an_error() {
    let tree = Tree::new("empty", &[]);
    for finding in check(&tree.host(Profile::Latency)) {
        assert!(
            matches!(finding.status, Status::Absent | Status::Ok | Status::Info),
            "{}: {:?} {}",
            finding.item,
            finding.status,
            finding.current
        );
        assert!(!finding.is_open());
    }
}

#[test]
fn a_shared_host_keeps_what_others_depend_on() {
    let tree = metal("shared");
    let open: Vec<String> = check(&tree.host(Profile::Shared))
        .into_iter()
        .filter(Finding::is_open)
        .map(|finding| finding.item)
        .collect();
    assert!(open.contains(&"disk.nvme0n1.scheduler".to_string()));
    for item in ["vm.swappiness", "thp.enabled", "cpu.governor"] {
        assert!(!open.contains(&item.to_string()), "{item}");
    }
}

#[test]
fn apply_sets_and_undo_brings_back() {
    let tree = metal("undo");
    let root = Sysroot::new(&tree.0);
    // sysfs shows a choice in brackets; a plain file shows what was written.
    tree.put("/sys/block/nvme0n1/queue/scheduler", "mq-deadline");
    let findings = check(&tree.host(Profile::Latency));
    let mut journal = Journal::open(&root).unwrap();
    let changes = apply(&root, &mut journal, &findings).unwrap();
    assert!(
        changes
            .iter()
            .all(|change| matches!(change.outcome, Changed::Set | Changed::Unchanged))
    );
    assert_eq!(tree.get("/sys/block/nvme0n1/queue/scheduler"), "none");
    assert_eq!(tree.get("/proc/sys/vm/swappiness"), "1");
    assert_eq!(tree.get("/proc/sys/net/ipv4/tcp_rmem"), "4096 131072 16777216");
    assert_eq!(
        tree.get("/sys/devices/system/cpu/cpufreq/policy0/scaling_governor"),
        "performance"
    );
    assert!(
        check(&tree.host(Profile::Latency))
            .iter()
            .all(|finding| !finding.is_open())
    );

    let mut journal = Journal::open(&root).unwrap();
    undo(&root, &mut journal, &[]).unwrap();
    assert_eq!(tree.get("/sys/block/nvme0n1/queue/scheduler"), "mq-deadline");
    assert_eq!(tree.get("/proc/sys/vm/swappiness"), "60");
    assert_eq!(
        tree.get("/sys/devices/system/cpu/cpufreq/policy0/scaling_governor"),
        "powersave"
    );
    assert!(!Path::new(&tree.0).join("var/lib/ringlog/tune/undo.json").exists());
}

#[test]
fn the_oldest_value_is_what_comes_back() {
    let tree = metal("twice");
    let root = Sysroot::new(&tree.0);
    let swappiness = |profile| vec![tree.find(profile, "vm.swappiness")];
    let mut journal = Journal::open(&root).unwrap();
    apply(&root, &mut journal, &swappiness(Profile::Latency)).unwrap();
    // Somebody's boot script undid it, and it is applied once more.
    tree.put("/proc/sys/vm/swappiness", "30");
    apply(&root, &mut journal, &swappiness(Profile::Latency)).unwrap();
    undo(&root, &mut journal, &["vm.swappiness".to_string()]).unwrap();
    assert_eq!(tree.get("/proc/sys/vm/swappiness"), "60");
}

#[test]
fn a_value_that_somebody_else_set_stays() {
    let tree = metal("foreign");
    let root = Sysroot::new(&tree.0);
    let mut journal = Journal::open(&root).unwrap();
    apply(&root, &mut journal, &[tree.find(Profile::Latency, "vm.swappiness")]).unwrap();
    tree.put("/proc/sys/vm/swappiness", "20");
    let changes = undo(&root, &mut journal, &[]).unwrap();
    assert!(matches!(changes.first().unwrap().outcome, Changed::Foreign(_)));
    assert_eq!(tree.get("/proc/sys/vm/swappiness"), "20");
    assert!(journal.entries().is_empty());
}

#[test]
fn what_cannot_be_read_is_not_written() {
    let tree = metal("refused");
    let root = Sysroot::new(&tree.0);
    let mut finding = tree.find(Profile::Latency, "vm.swappiness");
    finding.writes = vec![Write {
        path: "/proc/sys/vm".into(),
        value: "1".into(),
    }];
    let mut journal = Journal::open(&root).unwrap();
    let changes = apply(&root, &mut journal, &[finding]).unwrap();
    assert!(matches!(changes.first().unwrap().outcome, Changed::Refused(_)));
    assert!(journal.entries().is_empty());
}

#[test]
fn a_damaged_journal_is_refused_by_name() {
    let tree = metal("journal");
    tree.put(Journal::PATH, "{");
    let error = Journal::open(&Sysroot::new(&tree.0)).unwrap_err();
    assert!(error.file.ends_with("undo.json"));
}

#[test]
fn exports_say_what_is_wanted_in_each_form() {
    let tree = metal("export");
    let host = tree.host(Profile::Latency);
    let findings = check(&host);
    let text = |form| export(form, &host, &findings);
    assert!(text(Form::Sysctl).contains("\nvm.swappiness = 1\n"));
    assert!(text(Form::Sysctl).contains("\nnet.ipv4.tcp_rmem = 4096 131072 16777216\n"));
    assert!(text(Form::Udev).contains("KERNEL==\"nvme0n1\", ATTR{queue/scheduler}=\"none\""));
    assert!(text(Form::Tmpfiles).contains("w /sys/kernel/mm/transparent_hugepage/enabled - - - - madvise"));
    assert!(text(Form::Tuned).contains("net.core.somaxconn=4096"));
    assert!(text(Form::Grub).contains("isolcpus=managed_irq,domain,1,2,3"));
    assert!(text(Form::Systemd).contains("LimitMEMLOCK=infinity"));
    assert!(text(Form::Ansible).contains("name: net.core.somaxconn"));
    assert!(text(Form::Shell).contains("echo 'none' > /sys/block/nvme0n1/queue/scheduler"));
}

#[test]
fn items_are_found_by_the_name_of_the_rule_or_of_the_device() {
    assert_eq!(rule("disk.nvme0n1.scheduler").unwrap().name, "disk.scheduler");
    assert_eq!(rule("disk.scheduler").unwrap().name, "disk.scheduler");
    assert_eq!(rule("net.core.somaxconn").unwrap().name, "net.core.somaxconn");
    assert!(rule("disk.colour").is_none());
    let tree = metal("select");
    let some = select(check(&tree.host(Profile::Latency)), &["disk.scheduler".to_string()]);
    assert_eq!(some.len(), 1);
}

#[test]
fn a_durable_write_is_measured() {
    let probe = Probe::new(Path::new(env!("CARGO_MANIFEST_DIR"))).unwrap();
    let latency = probe
        .durable(DurableMode::Dsync, 4096, std::time::Duration::from_millis(200))
        .unwrap();
    assert!(latency.writes > 0 && latency.p50_us > 1.0 && latency.p50_us <= latency.max_us);
}
