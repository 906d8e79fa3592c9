//! `ringlog top`: rates, lag and load of a broker that is written to.

use super::json;
use super::support::node::Node;
use super::support::{Broker, Scratch, finish, ringlog, run, spawn, unique};
use serde_json::Value;
use std::io::Read;
use std::net::TcpListener;

fn row<'a>(rows: &'a Value, key: &str, name: &str) -> &'a Value {
    let mut found = rows.as_array().unwrap().iter().filter(|row| row[key] == name);
    found.next().unwrap_or_else(|| panic!("no {name} in {rows}"))
}

#[test]
fn a_snapshot_has_the_rates_of_its_interval() {
    let folder = Scratch::new();
    let node = Node::start(&folder.0.join("data"), &["--shards", "2"]);
    let (topic, group) = (unique("busy"), unique("group"));
    node.client(&["topic", "create", &topic, "-p", "2"], b"").ok();
    let input: String = (0..1000).map(|number| format!("{number}\n")).collect();
    node.client(&["produce", &topic, "-p", "0"], input.as_bytes()).ok();
    let partition = format!("{topic}:0");
    let seek = |target: &[&str]| {
        let args = [
            &["group", "seek", &group, "--topic", &partition, "--create", "--execute"],
            target,
        ]
        .concat();
        node.client(&args, b"").ok();
    };
    seek(&["--to-offset", "10"]);

    let admin = node.ready["admin"].as_str().unwrap();
    let mut watcher = spawn(ringlog().args([
        "top",
        "--once",
        "--interval",
        "2s",
        "--admin",
        admin,
        "--format",
        "json",
        "-b",
        &node.kafka,
    ]));
    // Written and committed until it has seen enough, however slow the machine is.
    let mut turns = 0;
    while watcher.try_wait().unwrap().is_none() {
        node.client(&["produce", &topic, "-p", "1"], b"x\ny\n").ok();
        seek(&["--shift", "1"]);
        turns += 1;
    }
    let view = json(&finish(watcher).ok());
    let seconds = view["seconds"].as_f64().unwrap();
    assert!(seconds >= 2.0, "{view}");
    let seen = row(&view["topics"], "topic", &topic);
    let between = |key: &str| seen[key].as_f64().unwrap() * seconds;
    let most = f64::from(turns);
    assert!(
        between("in_per_second") > 0.0 && between("in_per_second") <= 2.0 * most + 0.01,
        "{turns}: {view}"
    );
    assert!(
        between("out_per_second") > 0.0 && between("out_per_second") <= most + 0.01,
        "{turns}: {view}"
    );
    let lag = row(&view["groups"], "group", &group);
    assert!(lag["lag_per_second"].as_f64().unwrap() < 0.0, "it catches up: {view}");
    let shards = view["shards"].as_array().unwrap();
    assert_eq!(shards.len(), 2);
    assert!(
        shards
            .iter()
            .any(|shard| shard["acked_bytes_per_second"].as_f64().unwrap() > 0.0),
        "{view}"
    );
    assert!(
        shards.iter().any(|shard| shard["flush_p99_ms"].as_f64().is_some()),
        "{view}"
    );
    assert!(
        shards
            .iter()
            .all(|shard| shard["busy_percent"].as_f64().unwrap() <= 110.0),
        "{view}"
    );

    let table = node.client(&["top", "--interval", "200ms", "--admin", admin], b"").ok();
    for words in ["SHARD", "BUSY", "IN/S", "LAG", topic.as_str(), group.as_str()] {
        assert!(table.contains(words), "no {words} in\n{table}");
    }
    let now = node.client(
        &["top", "--interval", "200ms", "--admin", "off", "--format", "json"],
        b"",
    );
    let now = json(&now.ok());
    assert_eq!(
        row(&now["topics"], "topic", &topic)["end"],
        Value::from(1000 + 2 * turns)
    );
    assert_eq!(row(&now["groups"], "group", &group)["lag"], Value::from(990 - turns));
    assert!(!table.contains('\x1b'), "no terminal, no control characters: {table:?}");
}

#[test]
fn without_metrics_there_are_topics_and_groups_only() {
    let broker = Broker::get();
    let topic = broker.topic(1, &[]);
    let view = json(&broker.ok(&[
        "top",
        "--once",
        "--interval",
        "200ms",
        "--admin",
        "off",
        "--format",
        "json",
    ]));
    assert_eq!(view["shards"], Value::Null);
    assert_eq!(row(&view["topics"], "topic", &topic)["in_per_second"], 0.0);
    let closed = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .to_string();
    broker
        .run(&["top", "--once", "--admin", &closed])
        .fails(5, "no metrics from");
    broker
        .run(&["top", "--once", "--admin", broker.address()])
        .fails(5, "no metrics from");
    run(ringlog().args(["top", "--interval", "1ms"]), b"").fails(2, "at least 100ms");
}

/// A terminal made by util-linux' script(1); left out where there is none.
#[test]
fn a_terminal_is_drawn_over_until_ctrl_c() {
    if std::process::Command::new("script").arg("--version").output().is_err() {
        return;
    }
    let broker = Broker::get();
    let command = format!(
        "exec {} top --interval 100ms --admin off -b {}",
        env!("CARGO_BIN_EXE_ringlog"),
        broker.address()
    );
    let mut terminal = spawn(std::process::Command::new("script").args(["-qefc", &command, "/dev/null"]));
    let mut out = terminal.stdout.take().unwrap();
    let mut seen = Vec::new();
    let mut space = [0; 4096];
    while seen.windows(3).filter(|bytes| bytes == b"\x1b[H").count() < 3 {
        let count = out.read(&mut space).unwrap();
        assert!(count > 0, "it left: {}", String::from_utf8_lossy(&seen));
        seen.extend_from_slice(&space[..count]);
    }
    // Ctrl-C, typed.
    std::io::Write::write_all(terminal.stdin.as_mut().unwrap(), b"\x03").unwrap();
    out.read_to_end(&mut seen).unwrap();
    let end = finish(terminal);
    assert_eq!(end.code, 0, "{}", String::from_utf8_lossy(&seen));
    assert!(seen.windows(6).any(|bytes| bytes == b"\x1b[?25h"), "the cursor is back");
}
