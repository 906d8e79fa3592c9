//! The command line as its users see it: output, errors, exit codes, against `ringlog start` (or the broker in `RINGLOG_TEST_BROKER`).

#![allow(clippy::unwrap_used)]

#[path = "cli/config.rs"]
mod config;
#[path = "cli/doctor.rs"]
mod doctor;
#[path = "cli/group.rs"]
mod group;
#[path = "cli/quota.rs"]
mod quota;
mod support;
#[path = "cli/top.rs"]
mod top;

use serde_json::Value;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::time::Duration;
use support::{Broker, Scratch, finish, ringlog, run, signal, spawn, unique};

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

fn lines(text: &str) -> Vec<&str> {
    text.lines().collect()
}

#[test]
fn a_topic_from_birth_to_death() {
    let broker = Broker::get();
    let name = unique("life");
    let created = broker.ok(&["topic", "create", &name, "-p", "3", "--set", "retention.ms=3600000"]);
    assert_eq!(created, format!("{name}: created with 3 partitions, 1 replica\n"));

    let listed = json(&broker.ok(&["topic", "list", &name, "--format", "json"]));
    assert_eq!(
        (&listed[0]["name"], &listed[0]["partitions"]),
        (&Value::from(name.as_str()), &Value::from(3))
    );

    broker.run_with(&["produce", &name, "-p", "1"], b"a\nb\n").ok();
    let table = broker.ok(&["topic", "describe", &name]);
    assert!(table.contains("offsets  2 in 3 partitions"), "{table}");
    assert!(table.contains("retention.ms"), "{table}");
    let described = json(&broker.ok(&["topic", "describe", &name, "--format", "json"]));
    let partition = &described[0]["partitions"][1];
    assert_eq!(
        (&partition["start"], &partition["end"]),
        (&Value::from(0), &Value::from(2))
    );
    let retention = described[0]["configs"]
        .as_array()
        .unwrap()
        .iter()
        .find(|config| config["key"] == "retention.ms")
        .unwrap();
    assert_eq!(
        (&retention["value"], &retention["source"]),
        (&Value::from("3600000"), &Value::from("topic"))
    );

    let altered = broker.ok(&[
        "topic",
        "alter",
        &name,
        "--unset",
        "retention.ms",
        "--set",
        "retention.bytes=1000000",
        "--partitions",
        "5",
    ]);
    assert_eq!(
        altered,
        format!("{name}: retention.bytes=1000000, retention.ms back to default, now 5 partitions\n")
    );
    let described = json(&broker.ok(&["topic", "describe", &name, "--format", "json"]));
    assert_eq!(described[0]["partitions"].as_array().unwrap().len(), 5);
    let source = |key: &str| {
        let configs = described[0]["configs"].as_array().unwrap();
        configs.iter().find(|config| config["key"] == key).unwrap()["source"].clone()
    };
    assert_eq!(source("retention.bytes"), "topic");
    assert_ne!(source("retention.ms"), "topic");

    assert_eq!(broker.ok(&["topic", "delete", &name]), format!("{name}: deleted\n"));
    broker
        .run(&["topic", "describe", &name])
        .fails(6, "UNKNOWN_TOPIC_OR_PARTITION");
    broker.run(&["topic", "delete", &name]).fails(6, &name);
    assert_eq!(
        broker.ok(&["topic", "delete", &name, "--if-exists"]),
        format!("{name}: does not exist\n")
    );
}

#[test]
fn creating_says_why_not() {
    let broker = Broker::get();
    let name = broker.topic(1, &[]);
    broker.run(&["topic", "create", &name]).fails(1, "TOPIC_ALREADY_EXISTS");
    assert_eq!(
        broker.ok(&["topic", "create", &name, "--if-not-exists"]),
        format!("{name}: already exists\n")
    );
    let other = unique("never");
    broker
        .run(&["topic", "create", &other, "--set", "retention.msec=1"])
        .fails(1, "retention.msec");
    broker
        .run(&["topic", "create", &other, "-r", "7"])
        .fails(1, "INVALID_REPLICATION_FACTOR");
    broker
        .run(&["topic", "create", "a topic"])
        .fails(1, "INVALID_TOPIC_EXCEPTION");
    let dry = broker.ok(&["topic", "create", &other, "-p", "2", "--dry-run"]);
    assert!(dry.contains("would be created"), "{dry}");
    broker.run(&["topic", "describe", &other]).fails(6, &other);
    broker
        .run(&["topic", "alter", &name, "--partitions", "1"])
        .fails(1, "INVALID_PARTITIONS");
    let mixed = broker.run(&["topic", "create", &name, &other, "--format", "jsonl"]);
    let (out, code) = (mixed.text(), mixed.code);
    assert_eq!(code, 1, "one of two failed");
    assert!(
        out.contains(r#""ok":true"#) && out.contains(r#""error":"TOPIC_ALREADY_EXISTS""#),
        "{out}"
    );
}

#[test]
fn lines_in_lines_out() {
    let broker = Broker::get();
    let name = broker.topic(1, &[]);
    broker.run_with(&["produce", &name], b"first\n\nthird").ok();
    assert_eq!(broker.ok(&["consume", &name, "-e"]), "first\n\nthird\n");
    let verbose = broker.run_with(&["produce", &name, "-v"], b"x\ny\n").ok();
    assert_eq!(verbose, format!("{name} 0 3\n{name} 0 4\n"));
    let file = Scratch::new();
    let path = file.0.join("input.txt");
    std::fs::write(&path, "from a file\n").unwrap();
    broker.ok(&["produce", &name, path.to_str().unwrap()]);
    assert_eq!(broker.ok(&["consume", &name, "-e", "-o", "-1"]), "from a file\n");
}

#[test]
fn many_lines_keep_their_order() {
    let broker = Broker::get();
    let name = broker.topic(1, &[]);
    let input: String = (0..200_000).map(|number| format!("line {number}\n")).collect();
    broker.run_with(&["produce", &name, "-z", "lz4"], input.as_bytes()).ok();
    let output = broker.ok(&["consume", &name, "-e"]);
    assert!(output == input, "{} bytes in, {} bytes out", input.len(), output.len());
}

/// Everything JSON lines must carry: nulls against empties, bytes, duplicates and order of headers, timestamps.
const HARD_RECORDS: &[&str] = &[
    r#""timestamp":1700000000000,"key":"k","value":"v","headers":[]"#,
    r#""timestamp":1700000000001,"key":null,"value":"","headers":[]"#,
    r#""timestamp":1700000000002,"key":"","value":null,"headers":[]"#,
    r#""timestamp":5,"key":"AP+A","key_encoding":"base64","value":"gA==","value_encoding":"base64","headers":[]"#,
    r#""timestamp":1700000000004,"key":"é\"\\\n","value":"\u0000\u001f","headers":[{"key":"b","value":"1"},{"key":"a","value":null},{"key":"b","value":""},{"key":"b","value":"/w==","value_encoding":"base64"}]"#,
];

#[test]
fn json_lines_reproduce_records_exactly() {
    let broker = Broker::get();
    // Records of 1970 would be old enough to delete.
    let source = broker.topic(2, &["retention.ms=-1"]);
    let input: String = HARD_RECORDS
        .iter()
        .enumerate()
        .map(|(i, body)| format!("{{\"partition\":{},{body}}}\n", i % 2))
        .collect();
    broker
        .run_with(&["produce", &source, "--format", "jsonl"], input.as_bytes())
        .ok();

    for codec in ["none", "gzip", "snappy", "lz4", "zstd"] {
        let copy = broker.topic(2, &["retention.ms=-1"]);
        let dump = broker.ok(&["consume", &source, "-e", "--format", "jsonl"]);
        broker
            .run_with(&["produce", &copy, "--format", "jsonl", "-z", codec], dump.as_bytes())
            .ok();
        let again = broker.ok(&["consume", &copy, "-e", "--format", "jsonl"]);
        let sorted = |text: &str, name: &str| {
            let mut lines: Vec<String> = text.lines().map(|line| line.replace(name, "T")).collect();
            lines.sort();
            lines
        };
        assert_eq!(sorted(&again, &copy), sorted(&dump, &source), "{codec}");
    }
    let mut expected: Vec<String> = HARD_RECORDS
        .iter()
        .enumerate()
        .map(|(i, body)| {
            format!(
                r#"{{"topic":"{source}","partition":{},"offset":{},{body}}}"#,
                i % 2,
                i / 2
            )
        })
        .collect();
    expected.sort();
    let dump = broker.ok(&["consume", &source, "-e", "--format", "jsonl"]);
    let mut got = lines(&dump);
    got.sort_unstable();
    assert_eq!(got, expected);

    let pretty = broker.ok(&["consume", &source, "-e", "--format", "json"]);
    let copy = broker.topic(2, &["retention.ms=-1"]);
    broker
        .run_with(&["produce", &copy, "--format", "json"], pretty.as_bytes())
        .ok();
    assert_eq!(
        broker
            .ok(&["consume", &copy, "-e", "--format", "json"])
            .replace(&copy, &source),
        pretty,
        "indented too"
    );
}

#[test]
fn templates_write_and_read_the_same_language() {
    let broker = Broker::get();
    let name = broker.topic(2, &[]);
    let input = b"1 k1=v one;1700000000000\n0 k2=;1700000000001\n";
    broker
        .run_with(&["produce", &name, "-f", "%p %k=%v;%d\\n", "-H", "h=1"], input)
        .ok();
    let shown = broker.ok(&[
        "consume",
        &name,
        "-e",
        "-f",
        "%t %p %o %K %k{hex} %V %v{base64} %h{%k:%v} %d{iso}\\n",
    ]);
    let mut shown = lines(&shown);
    shown.sort_unstable();
    assert_eq!(
        shown,
        [
            format!("{name} 0 0 2 6b32 0  h:1 2023-11-14T22:13:20.001Z"),
            format!("{name} 1 0 2 6b31 5 diBvbmU= h:1 2023-11-14T22:13:20.000Z"),
        ]
    );
    let framed = "%K{big16}%k%V{big32}%v";
    let binary = broker.run(&["consume", &name, "-e", "-f", framed]).out;
    let copy = broker.topic(1, &[]);
    broker.run_with(&["produce", &copy, "-f", framed], &binary).ok();
    assert_eq!(
        broker.run(&["consume", &copy, "-e", "-f", framed]).out.len(),
        binary.len()
    );
    broker
        .run_with(&["produce", &name, "-f", "%k%v"], b"x")
        .fails(2, "to end it");
    broker
        .run_with(&["produce", &name, "-f", "%v{hex}\\n"], b"61\nxyz\n")
        .fails(1, "record 2: ");
    broker.run(&["consume", &name, "-f", "%z"]).fails(2, "unknown `%z`");
}

#[test]
fn keys_choose_partitions_as_java_does() {
    let broker = Broker::get();
    let name = broker.topic(7, &[]);
    broker
        .run_with(&["produce", &name, "-f", "%k\\n"], b"21\nfoobar\nabc\n")
        .ok();
    let shown = broker.ok(&["consume", &name, "-e", "-f", "%k %p\\n"]);
    let mut shown = lines(&shown);
    shown.sort_unstable();
    // murmur2 as in Kafka's own tests, sign bit cleared, modulo 7.
    let partition = |hash: i32| (hash & 0x7fff_ffff) % 7;
    let expected = [("21", -973_932_308), ("abc", 479_470_107), ("foobar", -790_332_482)]
        .map(|(key, hash)| format!("{key} {}", partition(hash)));
    assert_eq!(shown, expected);
}

#[test]
fn consuming_begins_where_told() {
    let broker = Broker::get();
    let name = broker.topic(1, &[]);
    let input: String = (0..10)
        .map(|number| {
            format!(
                "{{\"timestamp\":{},\"value\":\"{number}\"}}\n",
                1_795_000_000_000i64 + number * 1000
            )
        })
        .collect();
    broker
        .run_with(&["produce", &name, "--format", "jsonl"], input.as_bytes())
        .ok();
    for (offset, first) in [
        ("start", Some("0")),
        ("4", Some("4")),
        ("+3", Some("3")),
        ("-2", Some("8")),
        ("-99", Some("0")),
        ("end", None),
        ("10", None),
        ("@1795000005000", Some("5")),
        ("@1795000005001", Some("6")),
        ("@1795000099000", None),
    ] {
        let shown = broker.ok(&["consume", &name, "-e", "-o", offset]);
        assert_eq!(lines(&shown).first().copied(), first, "-o {offset}");
    }
    assert_eq!(broker.ok(&["consume", &name, "-n", "3", "-o", "2"]), "2\n3\n4\n");
    broker
        .run(&["consume", &name, "-o", "11"])
        .fails(1, "OFFSET_OUT_OF_RANGE");
    broker.run(&["consume", &name, "-o", "sometime"]).fails(2, "@TIME");
    broker.run(&["consume", &name, "-p", "5"]).fails(6, "has 1 partitions");
    broker
        .run(&["consume", &unique("nothing")])
        .fails(6, "UNKNOWN_TOPIC_OR_PARTITION");
    let table = broker.ok(&["consume", &name, "-o", "-1", "-e", "--format", "table"]);
    assert_eq!(lines(&table).len(), 2, "{table}");
    assert!(table.contains("(null)") && table.contains("2026-11-18T"), "{table}");
    let sizes = broker.ok(&["consume", &name, "-n", "1", "--meta-only", "--format", "jsonl"]);
    assert!(
        sizes.contains(r#""key_size":null,"value_size":1,"header_count":0"#),
        "{sizes}"
    );
}

#[test]
fn a_waiting_consumer_sees_new_records() {
    let broker = Broker::get();
    let name = broker.topic(3, &[]);
    let mut consumer = spawn(ringlog().args(["consume", &name, "-b", broker.address()]));
    let mut reader = BufReader::new(consumer.stdout.take().unwrap());
    for word in ["one", "two", "three"] {
        broker
            .run_with(&["produce", &name], format!("{word}\n").as_bytes())
            .ok();
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        assert_eq!(line, format!("{word}\n"));
    }
    signal(consumer.id() as libc::pid_t, libc::SIGINT);
    let end = finish(consumer);
    assert_eq!((end.code, end.err.as_str()), (0, ""), "Ctrl-C is a clean end");
}

#[test]
fn an_interactive_producer_sends_each_line_at_once() {
    let broker = Broker::get();
    let name = broker.topic(1, &[]);
    let mut producer = spawn(ringlog().args(["produce", &name, "-v", "-b", broker.address()]));
    let mut input = producer.stdin.take().unwrap();
    let mut reports = BufReader::new(producer.stdout.take().unwrap());
    for offset in 0..3 {
        input.write_all(b"typed\n").unwrap();
        let mut line = String::new();
        reports.read_line(&mut line).unwrap();
        assert_eq!(
            line,
            format!("{name} 0 {offset}\n"),
            "acknowledged while the input is still open"
        );
    }
    drop(input);
    assert_eq!(finish(producer).code, 0);
}

#[test]
fn a_reader_that_leaves_is_no_error() {
    let broker = Broker::get();
    let name = broker.topic(1, &[]);
    let input: String = (0..50_000)
        .map(|number| format!("a line long enough to fill pipes {number}\n"))
        .collect();
    broker.run_with(&["produce", &name], input.as_bytes()).ok();
    let mut consumer = spawn(ringlog().args(["consume", &name, "-b", broker.address()]));
    let mut first = [0; 6];
    consumer.stdout.take().unwrap().read_exact(&mut first).unwrap();
    assert_eq!(&first, b"a line");
    let end = finish(consumer);
    assert_eq!((end.code, end.err.as_str()), (0, ""));
}

#[test]
fn crashes_under_producer_and_consumer_lose_and_duplicate_nothing() {
    let mut broker = Broker::get();
    let name = broker.topic(1, &[]);
    let tail = spawn(ringlog().args(["consume", &name, "-n", "600", "-b", broker.address()]));
    let mut producer = spawn(ringlog().args(["produce", &name, "-v", "-b", broker.address()]));
    let mut input = producer.stdin.take().unwrap();
    let mut reports = BufReader::new(producer.stdout.take().unwrap());
    let writer = std::thread::spawn(move || {
        for number in 0..600 {
            input.write_all(format!("record {number}\n").as_bytes()).unwrap();
            std::thread::sleep(Duration::from_millis(2));
        }
    });
    for _ in 0..3 {
        // Acknowledgements come in, so the crash hits a working producer.
        for _ in 0..50 {
            reports.read_line(&mut String::new()).unwrap();
        }
        if !broker.crash_and_restart() {
            break;
        }
    }
    writer.join().unwrap();
    let mut rest = String::new();
    reports.read_to_string(&mut rest).unwrap();
    let end = finish(producer);
    assert_eq!(end.code, 0, "{}", end.err);
    assert!(rest.ends_with(&format!("{name} 0 599\n")), "{rest}");
    let expected: String = (0..600).map(|number| format!("record {number}\n")).collect();
    assert_eq!(broker.ok(&["consume", &name, "-e"]), expected);
    assert_eq!(finish(tail).ok(), expected, "read while the broker crashed");
}

#[test]
fn large_records_pass_up_to_the_limit() {
    let broker = Broker::get();
    let name = broker.topic(1, &[]);
    let big = "x".repeat(900 << 10);
    broker
        .run_with(&["produce", &name], format!("{big}\n{big}\n").as_bytes())
        .ok();
    assert_eq!(broker.ok(&["consume", &name, "-e"]), format!("{big}\n{big}\n"));
    let too_big = "x".repeat(1_100_000);
    broker
        .run_with(&["produce", &name], too_big.as_bytes())
        .fails(1, "MESSAGE_TOO_LARGE");

    let narrow = broker.topic(1, &["max.message.bytes=20000"]);
    let input: String = (0..2000)
        .map(|number| format!("{number} {}\n", "y".repeat(100)))
        .collect();
    broker.run_with(&["produce", &narrow], input.as_bytes()).ok();
    let output = broker.ok(&["consume", &narrow, "-e"]);
    assert!(
        output == input,
        "batches above the topic's limit are cut and keep their order"
    );
    let refused = broker.run_with(
        &["produce", &narrow],
        format!("small\n{}\n", "z".repeat(30_000)).as_bytes(),
    );
    refused.fails(1, "max.message.bytes");
}

#[test]
fn acks_and_producers_of_every_kind() {
    let broker = Broker::get();
    let name = broker.topic(1, &[]);
    for args in [
        &["--acks", "0"][..],
        &["--acks", "1"],
        &["--acks", "all"],
        &["--no-idempotence"],
        &["-Z"],
    ] {
        broker.run_with(&[&["produce", &name], args].concat(), b"x\n").ok();
    }
    let shown = broker.ok(&["consume", &name, "-e", "-n", "5", "-f", "%v %x\\n"]);
    assert_eq!(lines(&shown).len(), 5, "{shown}");
    let ids: Vec<&str> = shown.lines().map(|line| line.split(' ').nth(1).unwrap_or("")).collect();
    assert_eq!(
        ids.iter().filter(|id| **id == "-1").count(),
        3,
        "only acks=all is idempotent: {ids:?}"
    );
    broker.run_with(&["produce", &name, "-Z", "-k", "key"], b"\n").ok();
    let tombstone = broker.ok(&["consume", &name, "-o", "-1", "-e", "--format", "jsonl"]);
    assert!(tombstone.contains(r#""key":"key","value":null"#), "{tombstone}");
}

#[test]
fn cluster_info_names_the_brokers() {
    let broker = Broker::get();
    let info = json(&broker.ok(&["cluster", "info", "--format", "json"]));
    assert!(info["cluster_id"].as_str().is_some_and(|id| !id.is_empty()), "{info}");
    assert_eq!(info["brokers"].as_array().unwrap().len(), 1);
    assert_eq!(info["controller"], info["brokers"][0]["id"]);
    let table = broker.ok(&["cluster", "info"]);
    assert!(
        table.contains("cluster id") && table.contains("NODE  ADDRESS"),
        "{table}"
    );
}

#[test]
fn a_missing_topic_is_created_unless_told_not_to() {
    let broker = Broker::get();
    let name = unique("made");
    broker
        .run_with(&["produce", &name, "--no-create"], b"x\n")
        .fails(6, "UNKNOWN_TOPIC_OR_PARTITION");
    let made = broker.run_with(&["produce", &name], b"x\n");
    assert!(
        made.err.contains("did not exist; the broker created it"),
        "{}",
        made.err
    );
    made.ok();
    assert_eq!(broker.ok(&["consume", &name, "-e"]), "x\n");
}

#[test]
fn exit_codes_without_a_broker() {
    let closed = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .to_string();
    let refused = run(ringlog().args(["cluster", "info", "-b", &closed]), b"");
    refused.fails(5, "connection refused");
    run(ringlog().args(["topic", "list", "-b", "no-such-host.invalid"]), b"").fails(5, "no such host");
    run(ringlog().args(["topic", "list", "-b", "http://localhost"]), b"").fails(2, "leave out `http://`");
    run(ringlog().args(["topic", "alter", "x"]), b"").fails(2, "--set KEY=VALUE");
    run(ringlog().args(["topic", "create", "x", "--set", "novalue"]), b"").fails(2, "KEY=VALUE");
    run(ringlog().args(["nonsense"]), b"").fails(2, "nonsense");
    run(ringlog().args(["produce", "x", "/no/such/file"]), b"").fails(6, "/no/such/file");
    let version = run(ringlog().arg("version"), b"").ok();
    assert!(
        version.starts_with(concat!("ringlog ", env!("CARGO_PKG_VERSION"))),
        "{version}"
    );
}

#[test]
fn a_silent_peer_is_a_timeout_and_a_babbling_one_is_not_kafka() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = silent.local_addr().unwrap().to_string();
    run(
        ringlog().args(["cluster", "info", "-b", &address, "--timeout", "300ms"]),
        b"",
    )
    .fails(7, "0.3 s");

    let web = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = web.local_addr().unwrap().to_string();
    let server = std::thread::spawn(move || {
        let (mut socket, _) = web.accept().unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        let _ = socket.read(&mut [0; 1000]);
        let _ = socket.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n");
        let _ = socket.read(&mut [0; 1000]);
    });
    run(ringlog().args(["cluster", "info", "-b", &address]), b"").fails(5, "does not speak the Kafka protocol");
    server.join().unwrap();
}

/// The help texts as they are printed; `UPDATE_GOLDEN=1 cargo test --test cli` writes them anew.
#[test]
fn help_reads_as_agreed() {
    for (name, args) in [
        ("topic", &["topic", "--help"][..]),
        ("topic-create", &["topic", "create", "--help"]),
        ("produce", &["produce", "--help"]),
        ("consume", &["consume", "--help"]),
        ("config", &["config", "--help"]),
        ("config-lint", &["config", "lint", "--help"]),
        ("doctor-connect", &["doctor", "connect", "--help"]),
        ("group", &["group", "--help"]),
        ("group-lag", &["group", "lag", "--help"]),
        ("group-seek", &["group", "seek", "--help"]),
        ("quota-set", &["quota", "set", "--help"]),
        ("top", &["top", "--help"]),
    ] {
        let help = run(ringlog().args(args).env("COLUMNS", "100"), b"").ok();
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/golden/help/{name}.txt"));
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, &help).unwrap();
        }
        let expected = std::fs::read_to_string(&path).unwrap_or_default();
        assert_eq!(
            help, expected,
            "{name} --help changed; if that is meant: UPDATE_GOLDEN=1 cargo test --test cli"
        );
    }
}
