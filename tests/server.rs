//! A broker as its operator meets it: start, refusals, health, kill -9, other shard counts, clean end.

#![allow(clippy::unwrap_used)]

mod support;

use serde_json::Value;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use support::node::{Node, files_with};
use support::{PATIENCE, Run, Scratch, ringlog, run, signal};

fn start_with(args: &[&str]) -> Run {
    run(ringlog().arg("start").args(args), b"")
}

fn records(from: usize, to: usize) -> String {
    (from..to).map(|number| format!("record-{number:06}\n")).collect()
}

fn sorted(text: &str) -> Vec<String> {
    text.lines().map(String::from).collect()
}

#[test]
fn serves_is_observable_and_leaves_within_a_second() {
    let scratch = Scratch::new();
    let node = Node::start(&scratch.0.join("data"), &["--shards", "2"]);
    for key in [
        "version",
        "kernel",
        "cpus",
        "file_system",
        "durability",
        "cluster_id",
        "advertised",
    ] {
        assert!(
            node.ready[key].as_str().is_some_and(|text| !text.is_empty()),
            "{key}: {}",
            node.ready
        );
    }
    assert_eq!(node.ready["durability"], "flush_before_ack");
    node.client(&["produce", "logs"], records(0, 100).as_bytes()).ok();
    assert_eq!(node.values("logs"), sorted(&records(0, 100)));
    let ready = node.get("/readyz?verbose");
    assert!(
        ready.starts_with("HTTP/1.1 200") && ready.contains("[+] shard 1: ok"),
        "{ready}"
    );
    let page = node.get("/metrics");
    let value = |name: &str| -> f64 {
        let lines = page
            .lines()
            .filter(|line| line.starts_with(name) && !line.starts_with('#'));
        lines
            .filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok())
            .sum()
    };
    assert_eq!(value("ringlog_acked_records_total"), 100.0, "{page}");
    assert!(value("ringlog_flush_duration_seconds_count") >= 1.0);
    assert!(value("ringlog_request_duration_seconds_count{api=\"produce\"}") >= 1.0);
    // A connected, idle client must not hold up the end.
    let _idle = TcpStream::connect(&node.kafka).unwrap();
    let before = Instant::now();
    assert_eq!(node.terminate(), 0);
    assert!(before.elapsed() < Duration::from_secs(5), "took {:?}", before.elapsed());
}

#[test]
fn acknowledged_records_outlive_kills_and_changes_of_the_shard_count() {
    let scratch = Scratch::new();
    let data = scratch.0.join("data");
    let mut expected = String::new();
    for (round, shards) in ["1", "4", "4", "2", "1", "3"].into_iter().enumerate() {
        let node = Node::start(&data, &["--shards", shards]);
        if round == 0 {
            node.client(&["topic", "create", "logs", "-p", "5"], b"").ok();
        }
        assert_eq!(
            node.values("logs"),
            sorted(&expected),
            "after round {round}, {shards} shards"
        );
        let more = records(round * 300, round * 300 + 300);
        node.client(&["produce", "logs"], more.as_bytes()).ok();
        expected.push_str(&more);
        let described = node.client(&["topic", "describe", "logs"], b"").ok();
        assert!(described.contains("5 partitions"), "{described}");
        node.kill();
    }
}

#[test]
fn an_address_and_an_identity_that_clients_can_keep_11_13_14() {
    let scratch = Scratch::new();
    let data = scratch.0.join("data");
    let mut seen = Vec::new();
    for round in 0..3 {
        let node = Node::start(&data, &["--shards", "2"]);
        assert_eq!(
            node.ready["advertised"], node.ready["kafka"],
            "told as it was listened on, no name for it"
        );
        assert!(node.kafka.starts_with("127.0.0.1:"), "{}", node.kafka);
        if round == 0 {
            node.client(&["topic", "create", "logs", "-p", "2"], b"").ok();
        }
        let json = |args: &[&str]| -> Value {
            let text = node.client(&[args, &["--format", "json"]].concat(), b"").ok();
            serde_json::from_str(&text).unwrap()
        };
        let (cluster, topic) = (json(&["cluster", "info"]), json(&["topic", "describe", "logs"]));
        assert_eq!(cluster["brokers"][0]["address"], Value::from(node.kafka.clone()));
        assert_eq!(cluster["controller"], cluster["brokers"][0]["id"]);
        seen.push((
            cluster["cluster_id"].clone(),
            cluster["controller"].clone(),
            topic[0]["id"].clone(),
        ));
        node.kill();
    }
    assert!(seen[0].0.is_string() && seen[0].2.is_string(), "{seen:?}");
    assert!(seen.iter().all(|found| *found == seen[0]), "{seen:?}");
}

#[test]
fn a_second_broker_on_the_directory_is_refused() {
    let scratch = Scratch::new();
    let data = scratch.0.join("data");
    let node = Node::start(&data, &[]);
    let path = data.to_str().unwrap();
    let refused = start_with(&["--data-dir", path, "--listen", "127.0.0.1:0", "--admin", "off"]);
    refused.fails(1, &format!("in use by the broker with process id {}", node.pid()));
}

#[test]
fn taken_ports_memory_disks_and_foreign_directories_are_refused_with_a_remedy() {
    let scratch = Scratch::new();
    let data = scratch.0.join("data");
    let path = data.to_str().unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().to_string();
    start_with(&["--data-dir", path, "--listen", &port, "--admin", "off"]).fails(1, "another program listens there");
    start_with(&["--data-dir", path, "--admin", &port]).fails(1, "another port with --admin");
    std::fs::write(
        data.join("ringlog.format"),
        "version = 99\ncluster.id = x\nnode.id = 1\n",
    )
    .unwrap();
    start_with(&["--data-dir", path]).fails(1, "format version 99");
    let old = "version = 1\ncluster.id = x\nnode.id = 1\n";
    std::fs::write(data.join("ringlog.format"), old).unwrap();
    start_with(&["--data-dir", path]).fails(1, "ringlog consume TOPIC");
    let foreign = scratch.0.join("foreign");
    std::fs::create_dir(&foreign).unwrap();
    std::fs::write(foreign.join("thesis.tex"), "x").unwrap();
    start_with(&["--data-dir", foreign.to_str().unwrap()]).fails(1, "thesis.tex");
    let mounts = std::fs::read_to_string("/proc/mounts").unwrap();
    if mounts.lines().any(|line| line.starts_with("tmpfs /dev/shm ")) {
        let shm = PathBuf::from("/dev/shm").join(support::unique("ringlog-test"));
        start_with(&["--data-dir", shm.to_str().unwrap()]).fails(1, "nothing would survive");
        std::fs::remove_dir_all(&shm).unwrap();
    }
}

#[test]
fn configuration_mistakes_end_with_code_2_and_a_hint() {
    let scratch = Scratch::new();
    let file = scratch.0.join("server.properties");
    std::fs::write(&file, "num.partitions=2\nlog.retention.hour=1\n").unwrap();
    let path = file.to_str().unwrap();
    let result = start_with(&["--config", path]);
    assert!(result.err.contains(&format!("{path}:2: unknown key")), "{}", result.err);
    result.fails(2, "did you mean `log.retention.hours`?");
    start_with(&["--cpus", "4000"]).fails(2, "--cpus");
    let refused = run(ringlog().arg("start").env("KAFKA_SSL_KEYSTORE_LOCATION", "/k.jks"), b"");
    refused.fails(2, "not available yet");
}

#[test]
fn keys_of_the_file_reach_topics_and_clients() {
    let scratch = Scratch::new();
    let file = scratch.0.join("ringlog.toml");
    std::fs::write(
        &file,
        "num.partitions = 3\nauto.create.topics.enable = true\n[log]\nretention.ms = 7200000\n",
    )
    .unwrap();
    let node = Node::start(&scratch.0.join("data"), &["--config", file.to_str().unwrap()]);
    node.client(&["topic", "create", "t"], b"").ok();
    let described = node
        .client(&["topic", "describe", "t", "--all", "--format", "json"], b"")
        .ok();
    let described: Value = serde_json::from_str(&described).unwrap();
    assert_eq!(
        described[0]["partitions"].as_array().map(Vec::len),
        Some(3),
        "{described}"
    );
    assert!(described.to_string().contains("7200000"), "{described}");
}

#[test]
fn the_demo_reads_back_everything_and_ends() {
    let scratch = Scratch::new();
    let data = scratch.0.join("data");
    let demo = run(
        ringlog()
            .args([
                "demo",
                "--seconds",
                "2",
                "--rate",
                "2000",
                "--listen",
                "127.0.0.1:0",
                "--admin",
                "off",
                "--data-dir",
            ])
            .arg(&data),
        b"",
    );
    let err = demo.err.clone();
    let text = demo.ok();
    let words: Vec<&str> = text.split_whitespace().collect();
    assert!(words[0].replace(',', "").parse::<u64>().unwrap() > 500, "{text}{err}");
    assert!(
        text.contains("acknowledged as durable") && text.contains("read back"),
        "{text}"
    );
}

fn inspect(data: &Path, args: &[&str]) -> Run {
    run(ringlog().arg("inspect").arg(data).args(args), b"")
}

fn flip_byte(path: &Path, at: u64) {
    use std::os::unix::fs::FileExt;
    let file = std::fs::File::options().read(true).write(true).open(path).unwrap();
    let mut byte = [0];
    file.read_exact_at(&mut byte, at).unwrap();
    file.write_all_at(&[byte[0] ^ 0x40], at).unwrap();
}

/// Plants what a failed flush leaves behind beside `segment`: a start removes it, and nothing else.
fn a_start_removes_an_orphan(data: &Path, segment: &Path) {
    let orphan = segment.with_file_name("00000000000000039999.seg");
    std::fs::copy(segment, &orphan).unwrap();
    let verified = inspect(data, &["--verify"]).ok();
    let line = verified.lines().find(|line| line.contains("39999.seg")).unwrap();
    assert!(
        line.contains("newer than the checkpoint: ") && line.contains("batches, offsets 0 to"),
        "{line}"
    );
    let before = files_with(data, ".seg");
    let node = Node::start(data, &["--shards", "1", "--memory", "64MiB"]);
    assert!(!orphan.exists());
    let read = node.client(&["consume", "big", "-o", "start", "-e"], b"").ok();
    assert_eq!(read.lines().count(), 40_000);
    node.kill();
    assert!(before.iter().all(|path| path.exists() || *path == orphan));
}

#[test]
fn inspect_finds_nothing_after_a_kill_and_names_planted_damage() {
    let scratch = Scratch::new();
    let data = scratch.0.join("data");
    // The smallest memory makes the smallest journal, so that 40 MB pass through segments and a checkpoint.
    let node = Node::start(&data, &["--shards", "1", "--memory", "64MiB"]);
    let line = "x".repeat(1000);
    let input: String = (0..40_000).map(|number| format!("{number:08} {line}\n")).collect();
    node.client(&["produce", "big", "-p", "0"], input.as_bytes()).ok();
    inspect(&data, &[]).fails(1, "a broker runs on");
    node.kill();

    let fine = inspect(&data, &["--verify", "--format", "json"]).ok();
    let fine: Value = serde_json::from_str(&fine).unwrap();
    assert_eq!(
        (&fine["damaged"], &fine["topics"], &fine["shards"]),
        (&0.into(), &1.into(), &1.into()),
        "{fine}"
    );
    let kinds: Vec<&str> = fine["files"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|file| file["kind"].as_str())
        .collect();
    for kind in ["checkpoint", "journal", "segment"] {
        assert!(kinds.contains(&kind), "no {kind} in {fine}");
    }
    let table = inspect(&data, &[]).ok();
    assert!(
        table.contains("1 shard, 1 topic, 1 partition") && table.contains("no damage"),
        "{table}"
    );

    let segment = files_with(&data, ".seg").remove(0);
    a_start_removes_an_orphan(&data, &segment);

    flip_byte(&segment, 10_000);
    inspect(&data, &[]).ok();
    let damaged = inspect(&data, &["--verify"]);
    assert!(
        damaged.text().contains("DAMAGED") && damaged.text().contains("at byte"),
        "{}",
        damaged.text()
    );
    assert_eq!(damaged.code, 4);
    assert_eq!(inspect(&segment, &[]).code, 4);
    flip_byte(&segment, 10_000);
    assert_eq!(inspect(&data, &["--verify"]).code, 0);

    let moved = segment.with_extension("away");
    std::fs::rename(&segment, &moved).unwrap();
    let missing = inspect(&data, &[]);
    assert!(missing.text().contains("the file is missing"), "{}", missing.text());
    assert_eq!(missing.code, 4);
    std::fs::rename(&moved, &segment).unwrap();

    let checkpoint = files_with(&data, "checkpoint.a").remove(0);
    flip_byte(&checkpoint, 40);
    let damaged = inspect(&checkpoint, &[]);
    assert!(damaged.text().contains("checksum is wrong"), "{}", damaged.text());
    assert_eq!(damaged.code, 4);
    inspect(&scratch.0.join("nowhere"), &[]).fails(6, "does not exist");
}

#[test]
fn signals_show_the_state_and_take_over_the_log_level() {
    let scratch = Scratch::new();
    let file = scratch.0.join("ringlog.toml");
    std::fs::write(&file, "log.level = \"info\"\n").unwrap();
    let args = ["--shards", "2", "--config", file.to_str().unwrap()];
    let node = Node::start(&scratch.0.join("data"), &args);
    node.client(&["produce", "logs"], records(0, 10).as_bytes()).ok();
    signal(node.pid(), libc::SIGUSR1);
    let state = node.wait_for_lines("state", 2);
    let acked: u64 = state.iter().filter_map(|line| line["acked_records"].as_u64()).sum();
    assert_eq!(acked, 10, "{state:?}");

    let reloaded = "reloaded the log level; other keys need a restart";
    std::fs::write(&file, "log.level = \"debug\"\n").unwrap();
    signal(node.pid(), libc::SIGHUP);
    assert_eq!(node.wait_for_lines(reloaded, 1)[0]["level"], "debug");
    node.client(&["topic", "list"], b"").ok();
    node.wait_for_lines("connection ended", 1);
    std::fs::write(&file, "log.level = \"loud\"\n").unwrap();
    signal(node.pid(), libc::SIGHUP);
    let until = Instant::now() + PATIENCE;
    while !node.log.lock().unwrap().contains("not reloaded: ") {
        assert!(Instant::now() < until, "{}", node.log.lock().unwrap());
        std::thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(node.terminate(), 0, "a mistake in the file harms nothing");
}
