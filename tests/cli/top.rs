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

/// A broker with a topic of two partitions, and a group at offset 10 of the 1000 records in the first one.
struct Busy {
    node: Node,
    topic: String,
    group: String,
    _folder: Scratch,
}

impl Busy {
    fn start() -> Busy {
        let folder = Scratch::new();
        let busy = Busy {
            node: Node::start(&folder.0.join("data"), &["--shards", "2"]),
            topic: unique("busy"),
            group: unique("group"),
            _folder: folder,
        };
        busy.node.client(&["topic", "create", &busy.topic, "-p", "2"], b"").ok();
        let input: String = (0..1000).map(|number| format!("{number}\n")).collect();
        let produce = ["produce", &busy.topic, "-p", "0"];
        busy.node.client(&produce, input.as_bytes()).ok();
        busy.seek("--to-offset", "10");
        busy
    }

    fn seek(&self, how: &str, number: &str) {
        let partition = format!("{}:0", self.topic);
        let target = ["--topic", &partition, how, number, "--create", "--execute"];
        let args = [&["group", "seek", &self.group][..], &target[..]].concat();
        self.node.client(&args, b"").ok();
    }

    /// Writes two records to the second partition and commits one of the first.
    fn turn(&self) {
        self.node.client(&["produce", &self.topic, "-p", "1"], b"x\ny\n").ok();
        self.seek("--shift", "1");
    }

    fn admin(&self) -> &str {
        self.node.ready["admin"].as_str().unwrap()
    }
}

/// Both shards are there, and what they did shows.
fn assert_load(view: &Value) {
    let shards = view["shards"].as_array().unwrap();
    assert_eq!(shards.len(), 2);
    let numbers = |key: &str| -> Vec<Option<f64>> { shards.iter().map(|shard| shard[key].as_f64()).collect() };
    assert!(
        numbers("acked_bytes_per_second").iter().any(|rate| *rate > Some(0.0)),
        "{view}"
    );
    assert!(numbers("flush_p99_ms").iter().any(Option::is_some), "{view}");
    assert!(
        numbers("busy_percent").iter().all(|busy| *busy <= Some(110.0)),
        "{view}"
    );
}

#[test]
fn a_snapshot_has_the_rates_of_its_interval() {
    let busy = Busy::start();
    let watch = ["top", "--once", "--interval", "2s", "--format", "json"];
    let mut command = ringlog();
    command
        .args(watch)
        .args(["--admin", busy.admin(), "-b", &busy.node.kafka]);
    let mut watcher = spawn(&mut command);
    // Written and committed until it has seen enough, however slow the machine is.
    let mut turns = 0;
    while watcher.try_wait().unwrap().is_none() {
        busy.turn();
        turns += 1;
    }
    let view = json(&finish(watcher).ok());
    let seconds = view["seconds"].as_f64().unwrap();
    assert!(seconds >= 2.0, "{view}");
    let seen = row(&view["topics"], "topic", &busy.topic);
    let between = |key: &str, most: i32| {
        let count = seen[key].as_f64().unwrap() * seconds;
        assert!(
            count > 0.0 && count <= f64::from(most) + 0.01,
            "{key}, {turns} turns: {view}"
        );
    };
    between("in_per_second", 2 * turns);
    between("out_per_second", turns);
    assert!(
        row(&view["groups"], "group", &busy.group)["out_per_second"]
            .as_f64()
            .unwrap()
            > 0.0,
        "{view}"
    );
    assert_load(&view);

    let args = ["top", "--interval", "200ms", "--admin", busy.admin()];
    let table = busy.node.client(&args, b"").ok();
    for words in ["SHARD", "BUSY", "IN/S", "LAG", &busy.topic, &busy.group] {
        assert!(table.contains(words), "no {words} in\n{table}");
    }
    let args = ["top", "--interval", "200ms", "--admin", "off", "--format", "json"];
    let now = json(&busy.node.client(&args, b"").ok());
    assert_eq!(
        row(&now["topics"], "topic", &busy.topic)["end"],
        Value::from(1000 + 2 * turns)
    );
    assert_eq!(
        row(&now["groups"], "group", &busy.group)["lag"],
        Value::from(990 - turns)
    );
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
