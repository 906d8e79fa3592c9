//! Host tuning as an administrator meets it, and what a service manager hears.

#![allow(clippy::unwrap_used)]

mod support;

use serde_json::Value;
use std::fs;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::time::{Duration, Instant};
use support::node::{Node, start_command};
use support::{PATIENCE, Run, Scratch, ringlog, run};

/// A made-up host with everything at a distribution's defaults.
fn host(scratch: &Scratch) -> String {
    let files = [
        ("proc/sys/kernel/osrelease", "6.8.0"),
        ("proc/sys/kernel/io_uring_disabled", "0"),
        (
            "proc/self/mountinfo",
            "30 21 259:2 / / rw,relatime - xfs /dev/nvme0n1p1 rw",
        ),
        ("proc/swaps", "Filename Type Size Used Priority\n/swap file 1 0 -2"),
        ("proc/sys/vm/swappiness", "60"),
        ("proc/sys/vm/stat_interval", "1"),
        ("proc/sys/fs/file-max", "100000"),
        ("proc/sys/net/core/somaxconn", "128"),
        ("proc/sys/net/core/netdev_max_backlog", "1000"),
        ("proc/sys/net/ipv4/tcp_max_syn_backlog", "512"),
        ("proc/sys/net/ipv4/tcp_slow_start_after_idle", "1"),
        ("proc/sys/net/ipv4/tcp_rmem", "4096\t131072\t6291456"),
        ("proc/sys/net/ipv4/tcp_wmem", "4096\t16384\t4194304"),
        ("sys/devices/system/cpu/online", "0-7"),
        ("sys/block/nvme0n1/nvme0n1p1/start", "2048"),
        ("sys/block/nvme0n1/queue/scheduler", "mq-deadline"),
        ("sys/block/nvme0n1/queue/nomerges", "0"),
        ("sys/block/nvme0n1/queue/nr_requests", "64"),
    ];
    let root = scratch.0.join("host");
    for (path, text) in files {
        let path = root.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    root.to_str().unwrap().to_string()
}

fn tune(args: &[&str], root: &str) -> Run {
    run(ringlog().arg("tune").args(args).args(["--sysroot", root]), b"")
}

fn text(run: &Run) -> String {
    String::from_utf8(run.out.clone()).unwrap()
}

fn read(root: &str, path: &str) -> String {
    fs::read_to_string(Path::new(root).join(path))
        .unwrap()
        .trim()
        .to_string()
}

#[test]
fn check_plan_apply_undo() {
    let scratch = Scratch::new();
    let root = host(&scratch);
    let checked = tune(&["check", "--strict"], &root);
    assert_eq!(checked.code, 3, "{}{}", text(&checked), checked.err);
    assert!(
        text(&checked).contains("WARN") && text(&checked).contains("disk.nvme0n1.scheduler"),
        "{}",
        text(&checked)
    );

    let planned = tune(&["plan", "disk.scheduler"], &root).ok();
    assert!(
        planned.contains("echo 'none' > /sys/block/nvme0n1/queue/scheduler"),
        "{planned}"
    );
    assert!(!planned.contains("swappiness"), "{planned}");

    let not_yet = tune(&["apply"], &root);
    assert!(not_yet.err.contains("nothing was changed"), "{}", not_yet.err);
    assert_eq!(read(&root, "proc/sys/vm/swappiness"), "60");

    tune(&["apply", "--yes"], &root).ok();
    assert_eq!(read(&root, "sys/block/nvme0n1/queue/scheduler"), "none");
    assert_eq!(read(&root, "proc/sys/net/ipv4/tcp_rmem"), "4096 131072 16777216");
    let report: Value = serde_json::from_str(&tune(&["check", "--format", "json"], &root).ok()).unwrap();
    assert_eq!(report["undo_journal"], 12, "{report}");

    let some = tune(&["undo", "vm.swappiness"], &root).ok();
    assert!(some.contains("vm.swappiness") && !some.contains("scheduler"), "{some}");
    tune(&["undo"], &root).ok();
    assert_eq!(read(&root, "proc/sys/vm/swappiness"), "60");
    assert_eq!(read(&root, "sys/block/nvme0n1/queue/scheduler"), "mq-deadline");
    assert_eq!(tune(&["undo"], &root).ok(), "nothing to do\n");
}

#[test]
fn what_stops_a_broker_has_an_exit_code_of_its_own() {
    let scratch = Scratch::new();
    let root = host(&scratch);
    fs::write(Path::new(&root).join("proc/sys/kernel/io_uring_disabled"), "2").unwrap();
    let checked = tune(&["check", "kernel.io_uring"], &root);
    assert_eq!(checked.code, 4, "{}{}", text(&checked), checked.err);
    assert!(
        text(&checked).contains("ringlog tune apply kernel.io_uring"),
        "{}",
        text(&checked)
    );
}

#[test]
fn an_unknown_item_gets_a_suggestion() {
    let scratch = Scratch::new();
    let answer = tune(&["explain", "disk.schedular"], &host(&scratch));
    assert_eq!(answer.code, 2);
    assert!(answer.err.contains("did you mean disk.scheduler?"), "{}", answer.err);
    let text = tune(&["explain", "disk.nvme0n1.scheduler"], &host(&scratch)).ok();
    assert!(text.contains("mq-deadline") && text.contains("udev"), "{text}");
}

/// The files in `tuning/` are what the command prints.
#[test]
fn the_files_to_install_are_up_to_date() {
    let scratch = Scratch::new();
    let root = host(&scratch);
    for (form, file) in [("systemd", "ringlog.service"), ("sysctl", "60-ringlog.conf")] {
        let text = tune(&["export", form, "--data-dir", "/var/lib/ringlog"], &root).ok();
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tuning").join(file);
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            fs::write(&path, &text).unwrap();
        }
        assert_eq!(
            text,
            fs::read_to_string(&path).unwrap_or_default(),
            "{file}: UPDATE_GOLDEN=1 writes it anew"
        );
    }
}

#[test]
fn the_disk_is_measured() {
    let scratch = Scratch::new();
    let directory = scratch.0.to_str().unwrap();
    let text = run(
        ringlog().args(["io", "probe", directory, "--time", "100ms", "--format", "json"]),
        b"",
    )
    .ok();
    let report: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(report["durable_writes"].as_array().unwrap().len(), 5, "{report}");
    assert!(report["rates"]["write_mb_s"].as_f64().unwrap() > 0.0, "{report}");
    assert_eq!(
        fs::read_dir(directory).unwrap().count(),
        0,
        "the probe's file is still there"
    );
}

/// Everything the manager has heard, up to a line with `text`.
fn hear(manager: &UnixDatagram, text: &str) -> String {
    let (until, mut heard) = (Instant::now() + PATIENCE, String::new());
    while !heard.contains(text) {
        assert!(Instant::now() < until, "never heard {text:?}, but\n{heard}");
        let mut bytes = [0; 4096];
        if let Ok(len) = manager.recv(&mut bytes) {
            heard.push_str(std::str::from_utf8(&bytes[..len]).unwrap());
            heard.push('\n');
        }
    }
    heard
}

#[test]
fn a_service_manager_hears_of_start_life_and_end() {
    let scratch = Scratch::new();
    let path = scratch.0.join("notify");
    let manager = UnixDatagram::bind(&path).unwrap();
    manager.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
    let mut command = start_command(&scratch.0.join("data"), &["--shards", "2"]);
    command.env("NOTIFY_SOCKET", &path).env("WATCHDOG_USEC", "1000000");
    let node = Node::try_start(command).unwrap_or_else(|run| panic!("{}", run.err));
    let heard = hear(&manager, "READY=1");
    assert!(!heard.contains("WATCHDOG=1\nREADY"), "alive before it serves: {heard}");
    hear(&manager, "WATCHDOG=1");
    hear(&manager, "WATCHDOG=1");
    assert_eq!(node.terminate(), 0);
}
