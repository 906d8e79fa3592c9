//! `ringlog config`: configs of a running broker, and configuration files.

use super::json;
use super::support::node::Node;
use super::support::{Broker, Run, Scratch, ringlog, run};
use serde_json::Value;

fn only(text: &str) -> Value {
    let rows = json(text);
    assert_eq!(rows.as_array().map(Vec::len), Some(1), "{rows}");
    rows[0].clone()
}

#[test]
fn a_topics_key_is_set_shown_and_unset() {
    let broker = Broker::get();
    let topic = broker.topic(1, &[]);
    let entity = format!("topic:{topic}");
    let get = || only(&broker.ok(&["config", "get", "retention.ms", "-e", &entity, "--format", "json"]));
    let before = get();
    assert_ne!(before["source"], "topic");
    let would = broker.ok(&["config", "set", "retention.ms=1234567", "-e", &entity, "--dry-run"]);
    assert_eq!(would, format!("{entity}: would change: retention.ms=1234567\n"));
    assert_eq!(get(), before, "a dry run changes nothing");

    let done = broker.ok(&["config", "set", "retention.ms=1234567", "-e", &entity]);
    assert_eq!(done, format!("{entity}: retention.ms=1234567\n"));
    let set = get();
    assert_eq!(
        (&set["value"], &set["source"]),
        (&Value::from("1234567"), &Value::from("topic"))
    );
    assert!(
        set["synonyms"]
            .as_array()
            .unwrap()
            .iter()
            .any(|level| level["source"] == "default"),
        "what it hides: {set}"
    );
    let listed = broker.ok(&["config", "list", "-e", &entity]);
    assert!(listed.contains("retention.ms  1234567  topic"), "{listed}");
    assert!(listed.contains("at the default (shown with --all)"), "{listed}");
    assert!(!listed.contains("segment.bytes"), "{listed}");
    let all = broker.ok(&["config", "list", "-e", &entity, "--all", "--docs"]);
    assert!(all.contains("segment.bytes") && all.contains("MEANING"), "{all}");

    broker.ok(&["config", "unset", "retention.ms", "-e", &entity]);
    assert_eq!(get(), before);
}

#[test]
fn broker_defaults_reach_topics_as_a_synonym() {
    let broker = Broker::get();
    let topic = broker.topic(1, &[]);
    broker.ok(&["config", "set", "log.retention.ms=7200000", "-e", "broker-default"]);
    let get = broker.ok(&[
        "config",
        "get",
        "retention.ms",
        "-e",
        &format!("topic:{topic}"),
        "--format",
        "json",
    ]);
    let row = only(&get);
    assert_eq!(
        (&row["value"], &row["source"], &row["synonyms"][0]["key"]),
        (
            &Value::from("7200000"),
            &Value::from("all brokers, changed at run time"),
            &Value::from("log.retention.ms")
        )
    );
    let listed = broker.ok(&["config", "list", "-e", "broker-default"]);
    assert!(listed.contains("log.retention.ms  7200000"), "{listed}");
    broker.ok(&["config", "unset", "log.retention.ms", "-e", "broker-default"]);
    let info = json(&broker.ok(&["cluster", "info", "--format", "json"]));
    let id = info["brokers"][0]["id"].to_string();
    let mine = broker.ok(&[
        "config",
        "list",
        "-e",
        &format!("broker:{id}"),
        "--all",
        "--format",
        "json",
    ]);
    let any = broker.ok(&["config", "list", "--all", "--format", "json"]);
    assert_eq!(mine, any, "without --entity it is the broker that answers");
}

#[test]
fn what_cannot_be_set_or_shown_says_why() {
    let broker = Broker::get();
    let topic = broker.topic(1, &[]);
    let entity = format!("topic:{topic}");
    broker
        .run(&["config", "set", "retention.msec=1", "-e", &entity])
        .fails(1, "retention.msec");
    broker
        .run(&["config", "set", "retention.ms=soon", "-e", &entity])
        .fails(1, "INVALID_CONFIG");
    broker
        .run(&["config", "get", "no.such.key", "-e", &entity])
        .fails(6, "no config key `no.such.key`");
    broker
        .run(&["config", "list", "-e", "topic:no-such-topic"])
        .fails(6, "UNKNOWN_TOPIC_OR_PARTITION");
    run(ringlog().args(["config", "list", "-e", "client:x"]), b"").fails(2, "broker-default");
    run(ringlog().args(["config", "set", "-e", "topic:x"]), b"").fails(2, "KEY=VALUE");
}

const PROPERTIES: &str = "\
# A broker of Apache Kafka
process.roles=broker,controller
broker.id=7
listeners=PLAINTEXT://127.0.0.1:0
num.io.threads=8
log.retention.hours=24
num.partitions=3
ssl.keystore.password=sesame
log.retention.hour=5
default.replication.factor=none
";

fn file(name: &str, content: &str) -> (Scratch, String) {
    let folder = Scratch::new();
    let path = folder.0.join(name);
    std::fs::write(&path, content).unwrap();
    let path = path.to_str().unwrap().to_string();
    (folder, path)
}

fn offline(args: &[&str]) -> Run {
    run(ringlog().args(args), b"")
}

#[test]
fn lint_says_of_each_key_what_a_start_would_do() {
    let (_folder, path) = file("server.properties", PROPERTIES);
    let found = offline(&["config", "lint", &path, "--format", "json"]);
    assert_eq!(found.code, 4, "{}", found.err);
    let document = json(&found.text());
    let verdict = |key: &str| {
        let findings = document["findings"].as_array().unwrap();
        let row = findings.iter().find(|row| row["key"] == key).unwrap();
        (row["verdict"].as_str().unwrap(), row["line"].as_i64().unwrap())
    };
    for (key, expected) in [
        ("broker.id", ("honoured", 3)),
        ("listeners", ("honoured", 4)),
        ("num.io.threads", ("ignored", 5)),
        ("log.retention.hours", ("honoured", 6)),
        ("ssl.keystore.password", ("refused", 8)),
        ("log.retention.hour", ("unknown", 9)),
        ("default.replication.factor", ("invalid", 10)),
    ] {
        assert_eq!(verdict(key), expected, "{key}");
    }
    let table = offline(&["config", "lint", &path]).text();
    assert!(table.contains("did you mean `log.retention.hours`?"), "{table}");
    assert!(table.contains("shards replace thread pools"), "{table}");
    assert!(!table.contains("sesame"), "a secret is repeated: {table}");

    let (_folder, clean) = file("ringlog.toml", "num.partitions = 3\n");
    offline(&["config", "lint", &clean, "--strict"]).ok();
    let (_folder, ignored) = file("ignored.properties", "num.io.threads=8\n");
    offline(&["config", "lint", &ignored]).ok();
    assert_eq!(offline(&["config", "lint", &ignored, "--strict"]).code, 3);
    offline(&["config", "lint", "/no/such/file"]).fails(6, "/no/such/file");
    let (_folder, broken) = file("broken.toml", "a = = 1\n");
    offline(&["config", "lint", &broken]).fails(1, "not valid TOML");
}

#[test]
fn an_imported_file_starts_a_broker_that_has_its_settings() {
    let (_folder, path) = file("server.properties", PROPERTIES);
    let imported = offline(&["config", "import", &path]);
    assert_eq!(imported.code, 4, "three keys cannot be taken over");
    assert!(
        imported.err.contains("3 keys could not be taken over"),
        "{}",
        imported.err
    );
    let toml = imported.text();
    for line in [
        "node.id = 7\n",
        "num.partitions = 3\n",
        "# num.io.threads = 8   (ignored: shards replace thread pools)\n",
        "UNKNOWN: no such key; did you mean `log.retention.hours`?",
        "# ssl.keystore.password = (hidden)   (REFUSED",
    ] {
        assert!(toml.contains(line), "no {line:?} in\n{toml}");
    }
    let (folder, toml) = file("ringlog.toml", &toml);
    offline(&["config", "lint", &toml, "--strict"]).ok();
    let node = Node::start(&folder.0.join("data"), &["--config", &toml]);
    let value = |key: &str| {
        let text = node
            .client(&["config", "get", key, "-e", "broker:7", "--format", "json"], b"")
            .ok();
        only(&text)["value"].clone()
    };
    assert_eq!(value("num.partitions"), "3");
    assert_eq!(value("log.retention.hours"), "24");
    assert_eq!(node.terminate(), 0);
}
