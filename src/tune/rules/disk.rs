//! The disk below the data directory: file system, queue, interrupts, room.

use super::{each_disk, exact, fact};
use crate::server::file_system::space;
use crate::tune::host::{Host, cpu_list};
use crate::tune::rule::{Finding, Persist, Rule, Status};

/// Below this share of free space SSDs slow down after hours of load.
const FREE_PERCENT_WANTED: u64 = 20;
/// Requests that a queue should take: a few blocks of each shard, and what destages and reads beside them.
const REQUESTS_WANTED: u64 = 128;

pub(super) static FILE_SYSTEM: Rule = Rule {
    name: "fs.type",
    want: "xfs or ext4",
    why: "Both keep what was flushed and overwrite in place. ext4 serialises extends in its journal; ringlog writes its journal \
          files in full beforehand, so that it matters little. btrfs and zfs copy on write: each durable write costs several.",
    effect: "slower acknowledgements",
    persist: Persist::ByHand,
    look: |rule, host| {
        let Some(mount) = &host.mount else {
            return vec![Finding::absent(rule, "no mount table")];
        };
        let finding = |status| Finding::new(rule, rule.name, status, mount.kind.clone()).want(rule.want);
        vec![match mount.kind.as_str() {
            "xfs" | "ext4" => finding(Status::Ok),
            "tmpfs" | "ramfs" => finding(Status::Fail).remedy("this is memory: choose another --data-dir"),
            "overlay" => finding(Status::Warn).remedy("give the container a volume for the data directory"),
            _ => finding(Status::Warn).remedy("put the data directory on xfs or ext4"),
        }]
    },
};

pub(super) static ATIME: Rule = Rule {
    name: "fs.noatime",
    want: "noatime",
    why: "Without it a read can cause a write of the inode. The broker opens its own files with O_NOATIME where it may.",
    effect: "writes while reading",
    persist: Persist::ByHand,
    look: |rule, host| {
        let Some(mount) = &host.mount else {
            return vec![Finding::absent(rule, "no mount table")];
        };
        let is_set = |name: &str| mount.options.split(',').any(|option| option == name);
        let current = ["noatime", "relatime", "strictatime"]
            .into_iter()
            .find(|name| is_set(name));
        let finding = |status| Finding::new(rule, rule.name, status, current.unwrap_or("atime")).want(rule.want);
        vec![match current {
            Some("noatime") => finding(Status::Ok),
            // At most one such write a day and file.
            Some("relatime") => finding(Status::Info).remedy("noatime in /etc/fstab is a little better"),
            _ => finding(Status::Warn).remedy("mount with noatime (/etc/fstab)"),
        }]
    },
};

pub(super) static BLOCK_SIZE: Rule = Rule {
    name: "disk.block_size",
    want: "<= 4096",
    why: "Every write is a multiple of 4 KiB at a multiple of 4 KiB. A disk with larger blocks would have to read before it writes.",
    effect: "write amplification",
    persist: Persist::ByHand,
    look: |rule, host| {
        each_disk(rule, host, |disk| {
            let size = |kind: &str| {
                host.root()
                    .number(&format!("/sys/block/{disk}/queue/{kind}_block_size"))
            };
            match (size("logical"), size("physical")) {
                (Some(logical), Some(physical)) => {
                    let status = if logical.max(physical) <= 4096 {
                        Status::Ok
                    } else {
                        Status::Warn
                    };
                    Finding::new(
                        rule,
                        rule.of(disk),
                        status,
                        format!("{logical} logical, {physical} physical"),
                    )
                    .want(rule.want)
                }
                _ => Finding::new(rule, rule.of(disk), Status::Absent, "not in sysfs"),
            }
        })
    },
};

pub(super) static WRITE_CACHE: Rule = Rule {
    name: "disk.write_cache",
    want: "a fact",
    why: "With a volatile cache (write back) a durable write is a write and a flush, or one FUA write where the disk has it. A disk \
          with power-loss protection says write through and answers a flush at once: that is the cheapest durability there is. \
          `ringlog io probe` measures what it costs.",
    effect: "the price of an acknowledgement",
    persist: Persist::ByHand,
    look: |rule, host| {
        each_disk(rule, host, |disk| {
            let queue = format!("/sys/block/{disk}/queue");
            let fua = match host.root().value(&format!("{queue}/fua")).as_deref() {
                Some("1") => ", FUA",
                Some(_) => ", no FUA: each durable write is followed by a flush",
                None => "",
            };
            let finding = fact(rule, rule.of(disk), host, &format!("{queue}/write_cache"));
            match finding.status {
                Status::Info if finding.current == "write back" => Finding {
                    current: format!("write back{fua}"),
                    ..finding
                },
                _ => finding,
            }
        })
    },
};

pub(super) static SCHEDULER: Rule = Rule {
    name: "disk.scheduler",
    want: "none",
    why: "A journal write must not queue behind reads and destaging; NVMe has queues enough of its own. On a spinning disk \
          a scheduler is right, and the broker is in the wrong place.",
    effect: "higher p99",
    persist: Persist::Udev,
    look: |rule, host| {
        each_disk(rule, host, |disk| {
            let queue = format!("/sys/block/{disk}/queue");
            if host.root().value(&format!("{queue}/rotational")).as_deref() == Some("1") && !host.guest {
                return fact(rule, rule.of(disk), host, &format!("{queue}/scheduler"));
            }
            exact(rule, rule.of(disk), host, format!("{queue}/scheduler"), "none")
        })
    },
};

pub(super) static NOMERGES: Rule = Rule {
    name: "disk.nomerges",
    want: "2",
    why: "The broker's writes are as large as they should be; looking for requests to merge costs CPU and finds none.",
    effect: "CPU per write",
    persist: Persist::Udev,
    look: |rule, host| {
        each_disk(rule, host, |disk| {
            exact(
                rule,
                rule.of(disk),
                host,
                format!("/sys/block/{disk}/queue/nomerges"),
                "2",
            )
        })
    },
};

pub(super) static REQUESTS: Rule = Rule {
    name: "disk.nr_requests",
    want: ">= 128",
    why: "A submission to a full queue waits inside the kernel, and with it the shard.",
    effect: "stalls under load",
    persist: Persist::Udev,
    look: |rule, host| {
        each_disk(rule, host, |disk| {
            let path = format!("/sys/block/{disk}/queue/nr_requests");
            match host.root().number(&path) {
                None => Finding::new(rule, rule.of(disk), Status::Absent, "not in sysfs"),
                Some(current) => {
                    let status = if current >= REQUESTS_WANTED {
                        Status::Ok
                    } else {
                        Status::Warn
                    };
                    Finding::new(rule, rule.of(disk), status, current.to_string())
                        .want(rule.want)
                        .write(path, current.max(REQUESTS_WANTED).to_string())
                }
            }
        })
    },
};

pub(super) static POLL_QUEUES: Rule = Rule {
    name: "nvme.poll_queues",
    want: "0",
    why: "Queues set aside for polled I/O are missing for everything else; the broker does not poll its disk.",
    effect: "fewer queues",
    persist: Persist::Boot,
    look: |rule, host| {
        vec![match host.root().number("/sys/module/nvme/parameters/poll_queues") {
            None => Finding::absent(rule, "no NVMe"),
            Some(0) => Finding::new(rule, rule.name, Status::Ok, "0").want(rule.want),
            Some(queues) => Finding::new(rule, rule.name, Status::Warn, queues.to_string())
                .want(rule.want)
                .remedy("remove nvme.poll_queues from the kernel's command line"),
        }]
    },
};

pub(super) static INTERRUPTS: Rule = Rule {
    name: "disk.interrupts",
    want: "a queue for each shard's CPU",
    why: "A completion that arrives on the CPU that waits for it saves an interrupt between CPUs. The kernel places NVMe queues \
          itself; with fewer queues than CPUs some completions come from elsewhere.",
    effect: "us per write",
    persist: Persist::ByHand,
    look: |rule, host| {
        each_disk(rule, host, |disk| {
            let queues = host.root().list(&format!("/sys/block/{disk}/mq"));
            if queues.is_empty() {
                return Finding::new(rule, rule.of(disk), Status::Absent, "not a multi-queue device");
            }
            let widest = queues
                .iter()
                .filter_map(|queue| host.root().read(&format!("/sys/block/{disk}/mq/{queue}/cpu_list")))
                .map(|list| cpu_list(&list).len())
                .max()
                .unwrap_or(0);
            let text = format!("queues: {}, CPUs: {}", queues.len(), host.cpus.len());
            let status = if widest <= 1 { Status::Ok } else { Status::Info };
            Finding::new(rule, rule.of(disk), status, text).want(rule.want)
        })
    },
};

pub(super) static SPACE: Rule = Rule {
    name: "disk.free",
    want: ">= 20 %",
    why: "A nearly full SSD spends its time moving its own data: writes slow down after hours of load. A full one refuses records.",
    effect: "slow writes, refused records",
    persist: Persist::ByHand,
    look: |rule, host| {
        if !host.root().is_real() {
            return vec![Finding::absent(rule, "only this machine can be asked")];
        }
        vec![match free_percent(host) {
            None => Finding::absent(rule, "the file system below the data directory cannot be asked"),
            Some(percent) if percent >= FREE_PERCENT_WANTED => {
                Finding::new(rule, rule.name, Status::Ok, format!("{percent} %")).want(rule.want)
            }
            Some(percent) => Finding::new(rule, rule.name, Status::Warn, format!("{percent} %"))
                .want(rule.want)
                .remedy("free space, shorten retention, or move the data directory"),
        }]
    },
};

pub(super) static TRIM: Rule = Rule {
    name: "disk.trim",
    want: "fstrim.timer or discard",
    why: "An SSD that is not told what was deleted wears out sooner and slows down.",
    effect: "slow writes after weeks",
    persist: Persist::ByHand,
    look: |rule, host| {
        let timer = "timers.target.wants/fstrim.timer";
        let is_on = ["/etc/systemd/system", "/usr/lib/systemd/system", "/lib/systemd/system"]
            .iter()
            .any(|place| host.root().exists(&format!("{place}/{timer}")));
        let discards = host
            .mount
            .as_ref()
            .is_some_and(|mount| mount.options.split(',').any(|option| option == "discard"));
        vec![match (is_on, discards) {
            (true, _) => Finding::new(rule, rule.name, Status::Ok, "fstrim.timer").want(rule.want),
            (_, true) => Finding::new(rule, rule.name, Status::Ok, "discard").want(rule.want),
            _ if !host.root().exists("/run/systemd/system") => Finding::absent(rule, "no systemd here"),
            _ => Finding::new(rule, rule.name, Status::Warn, "neither")
                .want(rule.want)
                .remedy("systemctl enable --now fstrim.timer"),
        }]
    },
};

fn free_percent(host: &Host) -> Option<u64> {
    // The directory may not exist yet: its nearest parent is on the same file system.
    let directory = host.scope.data_dir.ancestors().find(|path| path.exists())?;
    let (free, size) = space(directory).ok()?;
    (size > 0).then(|| free * 100 / size)
}
