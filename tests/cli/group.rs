//! `ringlog group`: groups of librdkafka consumers, looked at and moved.

use super::support::{Broker, PATIENCE, Run, Scratch, ringlog, run, unique};
use super::{json, lines};
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use serde_json::Value;
use std::time::{Duration, Instant};

fn consumer(broker: &Broker, group: &str) -> BaseConsumer {
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", broker.address())
        .set("group.id", group)
        .set("client.id", "reader-one")
        .set("enable.auto.commit", "false")
        .set("auto.offset.reset", "earliest");
    config.create().unwrap()
}

/// Commits these offsets as a consumer without subscription does.
fn commit(broker: &Broker, group: &str, topic: &str, offsets: &[(i32, i64)]) {
    let mut list = TopicPartitionList::new();
    for (partition, offset) in offsets {
        list.add_partition_offset(topic, *partition, Offset::Offset(*offset))
            .unwrap();
    }
    consumer(broker, group).commit(&list, CommitMode::Sync).unwrap();
}

/// Joins the group and waits until it has `count` partitions.
fn join(broker: &Broker, group: &str, topic: &str, count: usize) -> BaseConsumer {
    let consumer = consumer(broker, group);
    consumer.subscribe(&[topic]).unwrap();
    let start = Instant::now();
    while consumer.assignment().unwrap().count() < count {
        assert!(start.elapsed() < PATIENCE, "no assignment");
        let _ = consumer.poll(Duration::from_millis(20));
    }
    consumer
}

/// A topic with 5 records in partition 0 and 3 in partition 1.
fn filled(broker: &Broker) -> String {
    let topic = broker.topic(2, &[]);
    let mut input = String::new();
    for (partition, number, time) in [(0, 5, 1_795_000_000_000i64), (1, 3, 1_795_000_100_000)] {
        for index in 0..number {
            input += &format!(
                "{{\"partition\":{partition},\"timestamp\":{},\"value\":\"x\"}}\n",
                time + index * 1000
            );
        }
    }
    broker
        .run_with(&["produce", &topic, "--format", "jsonl"], input.as_bytes())
        .ok();
    topic
}

/// Committed offsets by partition.
fn committed(broker: &Broker, group: &str) -> Vec<(i64, i64)> {
    let lag = json(&broker.ok(&["group", "lag", group, "--format", "json"]));
    let rows = lag.as_array().unwrap().iter();
    rows.map(|row| (row["partition"].as_i64().unwrap(), row["committed"].as_i64().unwrap()))
        .collect()
}

#[test]
fn a_live_group_is_described_and_not_moved() {
    let broker = Broker::get();
    let topic = filled(&broker);
    let group = unique("live");
    commit(&broker, &group, &topic, &[(0, 2)]);
    let member = join(&broker, &group, &topic, 2);

    let listed = json(&broker.ok(&["group", "list", &group, "--format", "json"]));
    let row = &listed[0];
    assert_eq!(
        (
            &row["group"],
            &row["state"],
            &row["type"],
            &row["protocol_type"],
            &row["members"]
        ),
        (
            &Value::from(group.as_str()),
            &Value::from("Stable"),
            &Value::from("classic"),
            &Value::from("consumer"),
            &Value::from(1)
        )
    );
    let table = broker.ok(&["group", "list", &group]);
    assert!(table.contains("GROUP") && table.contains("Stable"), "{table}");

    let described = json(&broker.ok(&["group", "describe", &group, "--format", "json"]));
    let described = &described[0];
    assert_eq!(described["members"][0]["client_id"], "reader-one");
    assert_eq!(described["members"][0]["assignment"][&topic], json("[0,1]"));
    assert_eq!(described["members"][0]["subscription"], json(&format!("[{topic:?}]")));
    let partitions = described["partitions"].as_array().unwrap();
    let position = |index: usize| {
        let row = &partitions[index];
        (
            row["committed"].as_i64(),
            row["end"].as_i64(),
            row["lag"].as_i64(),
            row["client_id"].as_str(),
        )
    };
    assert_eq!(position(0), (Some(2), Some(5), Some(3), Some("reader-one")));
    assert_eq!(
        position(1),
        (None, Some(3), None, Some("reader-one")),
        "assigned, nothing committed"
    );
    let table = broker.ok(&["group", "describe", &group]);
    assert!(
        table.contains(&format!("{topic}:0-1")) && table.contains("lag          3"),
        "{table}"
    );

    let busy = broker.run(&["group", "seek", &group, "--to-latest", "--execute"]);
    assert!(busy.err.contains("reader-one at 127.0.0.1"), "{}", busy.err);
    busy.fails(1, "has 1 live member");
    let plan = broker.run(&["group", "seek", &group, "--to-latest"]);
    assert!(plan.err.contains("--execute would be refused now"), "{}", plan.err);
    assert!(plan.ok().contains("1 partition would be set"));
    broker.run(&["group", "delete", &group]).fails(1, "NON_EMPTY_GROUP");
    broker
        .run(&["group", "delete-offsets", &group, "--topic", &topic])
        .fails(1, "GROUP_SUBSCRIBED_TO_TOPIC");
    assert_eq!(committed(&broker, &group), [(0, 2)], "nothing was changed");
    drop(member);
}

#[test]
fn lag_counts_what_is_left_to_read() {
    let broker = Broker::get();
    let topic = filled(&broker);
    let (one, two) = (unique("lag"), unique("lag"));
    commit(&broker, &one, &topic, &[(0, 1), (1, 3)]);
    commit(&broker, &two, &topic, &[(1, 0)]);
    let table = broker.ok(&["group", "lag", &one]);
    assert!(table.ends_with(&format!("{one}: lag 4 in 2 partitions\n")), "{table}");
    let all = json(&broker.ok(&["group", "lag", "--format", "json"]));
    let of = |group: &str| {
        let mut rows = all.as_array().unwrap().iter();
        rows.find(|row| row["group"] == group).unwrap().clone()
    };
    assert_eq!(
        (&of(&one)["lag"], &of(&one)["max_lag"]),
        (&Value::from(4), &Value::from(4))
    );
    assert_eq!(
        (&of(&two)["lag"], &of(&two)["partitions"]),
        (&Value::from(3), &Value::from(1))
    );
    broker
        .run(&["group", "lag", &unique("nobody")])
        .fails(6, "GROUP_ID_NOT_FOUND");
    broker
        .run(&["group", "describe", &unique("nobody")])
        .fails(6, "ringlog group list");
    broker.ok(&["topic", "delete", &topic]);
    let gone = broker.run(&["group", "lag", &one]);
    // Kafka and ringlog forget the offsets of a deleted topic, sooner or later.
    assert_eq!(gone.code, 0, "{}", gone.err);
}

#[test]
fn seeking_shows_a_plan_and_does_it_when_told() {
    let broker = Broker::get();
    let topic = filled(&broker);
    let group = unique("seek");
    commit(&broker, &group, &topic, &[(0, 2), (1, 2)]);
    let seek = |args: &[&str]| -> Run { broker.run(&[&["group", "seek", &group], args].concat()) };

    let plan = seek(&["--to-earliest"]).ok();
    assert!(
        plan.contains("2 partitions would be set; nothing was changed"),
        "{plan}"
    );
    assert!(plan.contains("-2"), "{plan}");
    assert_eq!(committed(&broker, &group), [(0, 2), (1, 2)]);

    for (args, expected) in [
        (&["--to-earliest"][..], [(0, 0), (1, 0)]),
        (&["--shift", "2"], [(0, 2), (1, 2)]),
        (&["--shift", "-1"], [(0, 1), (1, 1)]),
        (
            &["--to-offset", "3", "--topic", &format!("{topic}:0")],
            [(0, 3), (1, 1)],
        ),
        (&["--to-time", "1795000003000"], [(0, 3), (1, 0)]),
        (&["--to-time", "1795000004001"], [(0, 5), (1, 0)]),
        (&["--to-time", "2126-01-01T00:00:00Z"], [(0, 5), (1, 3)]),
        (&["--shift", "-100"], [(0, 0), (1, 0)]),
        (&["--to-latest"], [(0, 5), (1, 3)]),
    ] {
        let done = seek(&[args, &["--execute"]].concat()).ok();
        assert!(done.contains(" set\n"), "{done}");
        assert_eq!(committed(&broker, &group), expected, "{args:?}");
    }
    let beyond = seek(&["--to-offset", "99"]).ok();
    assert!(beyond.contains("the log does not hold 99"), "{beyond}");

    let plan = seek(&["--to-earliest", "--format", "json"]).ok();
    let folder = Scratch::new();
    let file = folder.0.join("plan");
    std::fs::write(&file, plan).unwrap();
    seek(&["--from-file", file.to_str().unwrap(), "--execute"]).ok();
    assert_eq!(committed(&broker, &group), [(0, 0), (1, 0)]);
    std::fs::write(&file, format!("{topic},1,2\n")).unwrap();
    let done = json(&seek(&["--from-file", file.to_str().unwrap(), "--execute", "--format", "json"]).ok());
    assert_eq!(
        (
            &done["executed"],
            &done["partitions"][0]["from"],
            &done["partitions"][0]["to"]
        ),
        (&Value::from(true), &Value::from(0), &Value::from(2))
    );
    assert_eq!(committed(&broker, &group), [(0, 0), (1, 2)]);
}

#[test]
fn seeking_refuses_what_it_cannot_mean() {
    let broker = Broker::get();
    let topic = filled(&broker);
    let group = unique("new");
    let seek = |args: &[&str]| broker.run(&[&["group", "seek", &group], args].concat());
    seek(&["--topic", &topic, "--to-latest", "--execute"]).fails(6, "--create");
    seek(&["--topic", &topic, "--shift", "1", "--create"]).fails(1, "nothing to shift from");
    seek(&["--to-latest", "--create"]).fails(2, "--topic TOPIC[:P,..]");
    seek(&["--topic", &format!("{topic}:7"), "--to-latest", "--create"]).fails(6, "partition 7");
    seek(&["--topic", &unique("no-topic"), "--to-latest", "--create"]).fails(6, "UNKNOWN_TOPIC_OR_PARTITION");
    seek(&["--topic", &topic, "--to-latest", "--create", "--execute"]).ok();
    assert_eq!(committed(&broker, &group), [(0, 5), (1, 3)]);
    // A consumer of the group starts where it was set.
    broker.run_with(&["produce", &topic, "-p", "0"], b"after\n").ok();
    let member = join(&broker, &group, &topic, 2);
    let start = Instant::now();
    let first = loop {
        assert!(start.elapsed() < PATIENCE, "no record");
        if let Some(record) = member.poll(Duration::from_millis(50)) {
            break rdkafka::Message::offset(&record.unwrap());
        }
    };
    assert_eq!(first, 5);

    let none = |args: &[&str]| run(ringlog().args(args), b"");
    none(&["group", "seek", "g"]).fails(2, "--to-time");
    none(&["group", "seek", "g", "--to-latest", "--to-earliest"]).fails(2, "cannot be used with");
    none(&["group", "seek", "g", "--to-time", "noon"]).fails(2, "is not a time");
    none(&["group", "seek", "g", "--topic", "t:x", "--to-latest"]).fails(2, "TOPIC:0,3-5");
    none(&["group", "seek", "g", "--from-file", "/no/such/plan"]).fails(6, "/no/such/plan");
}

#[test]
fn groups_and_their_offsets_are_deleted() {
    let broker = Broker::get();
    let (topic, other) = (filled(&broker), filled(&broker));
    let group = unique("end");
    commit(&broker, &group, &topic, &[(0, 1), (1, 1)]);
    commit(&broker, &group, &other, &[(0, 1)]);
    let deleted = broker.ok(&["group", "delete-offsets", &group, "--topic", &format!("{topic}:1")]);
    assert_eq!(deleted, format!("{topic}:1: offset deleted\n"));
    let left = broker.ok(&["group", "lag", &group, "--format", "jsonl"]);
    assert_eq!(lines(&left).len(), 2, "{left}");
    assert_eq!(broker.ok(&["group", "delete", &group]), format!("{group}: deleted\n"));
    broker.run(&["group", "delete", &group]).fails(6, "GROUP_ID_NOT_FOUND");
    let again = broker.ok(&["group", "delete", &group, "--if-exists", "--format", "jsonl"]);
    assert_eq!(
        again,
        format!("{{\"group\":\"{group}\",\"ok\":true,\"result\":\"does not exist\"}}\n")
    );
    let listed = broker.ok(&["group", "list", &group, "--format", "json"]);
    assert_eq!(listed, "[]\n");
}
