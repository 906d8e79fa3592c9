//! The configuration as an operator meets it: files, environment and flags in, a checked configuration or sentences out.

use super::*;
use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

fn host() -> Host {
    Host {
        allowed_cpus: vec![0, 1, 2, 3],
        default_cpus: vec![0, 2],
        memory: 16 << 30,
        name: Some("broker-1".into()),
    }
}

/// A file that goes away with the test.
struct TempFile(PathBuf);

impl TempFile {
    fn new(extension: &str, content: &str) -> TempFile {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("ringlog-config-{}-{number}.{extension}", std::process::id()));
        fs::write(&path, content).unwrap();
        TempFile(path)
    }
}

impl Drop for TempFile {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

fn load(
    file: Option<&TempFile>,
    environment: &[(&str, &str)],
    flags: &[(&'static str, &'static str, &str)],
) -> Result<Config, ConfigError> {
    let sources = Sources {
        file: file.map(|file| file.0.as_path()),
        environment: environment
            .iter()
            .map(|(name, value)| (name.to_string(), value.to_string()))
            .collect(),
        flags: flags
            .iter()
            .map(|(flag, key, value)| (*flag, *key, value.to_string()))
            .collect(),
    };
    Config::load(&sources, &host())
}

/// What `server.properties` of Apache Kafka 4 sets.
const KAFKA_PROPERTIES: &str = "\
# The role of this server
process.roles=broker,controller
node.id=1
controller.quorum.bootstrap.servers=localhost:9093
listeners=PLAINTEXT://:9092,CONTROLLER://:9093
inter.broker.listener.name=PLAINTEXT
advertised.listeners=PLAINTEXT://localhost:9092,CONTROLLER://localhost:9093
controller.listener.names=CONTROLLER
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,SSL:SSL,SASL_PLAINTEXT:SASL_PLAINTEXT,SASL_SSL:SASL_SSL
num.network.threads=3
num.io.threads=8
socket.send.buffer.bytes=102400
socket.receive.buffer.bytes=102400
socket.request.max.bytes=104857600
log.dirs=/tmp/kraft-combined-logs
num.partitions=1
num.recovery.threads.per.data.dir=1
offsets.topic.replication.factor=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
log.retention.hours=168
log.segment.bytes=1073741824
log.retention.check.interval.ms=300000
";

#[test]
fn kafkas_own_server_properties_starts_and_names_what_is_ignored() {
    let file = TempFile::new("properties", KAFKA_PROPERTIES);
    let config = load(Some(&file), &[], &[]).unwrap();
    assert_eq!(config.listen.to_string(), "*:9092");
    assert_eq!(config.advertise.to_string(), "localhost:9092");
    assert_eq!(config.data_dir, PathBuf::from("/tmp/kraft-combined-logs"));
    assert_eq!(
        config.broker.get("log.retention.hours").map(String::as_str),
        Some("168")
    );
    assert_eq!(config.broker.get("num.network.threads"), None);
    let notes = config.notes.join("\n");
    for name in [
        "num.network.threads",
        "num.io.threads",
        "transaction.state.log.min.isr",
        "socket.send.buffer.bytes",
    ] {
        assert!(notes.contains(name), "{name} is not named as ignored in:\n{notes}");
    }
    assert!(
        notes.contains("this machine only"),
        "loopback advertised while listening on all addresses:\n{notes}"
    );
}

#[test]
fn toml_with_sections_and_plain_keys() {
    let file = TempFile::new(
        "toml",
        "data_dir = \"/data\"\nlisten = \"0.0.0.0:19092\"\nadvertise = \"example.org:19092\"\ncpus = \"1-3\"\nmemory = \"512MiB\"\nnum.partitions = 4\n\
         [log]\nretention.ms = 1_000\nformat = \"json\"\n[auto.create]\ntopics.enable = false\n",
    );
    let config = load(Some(&file), &[], &[]).unwrap();
    assert_eq!(config.data_dir, PathBuf::from("/data"));
    assert_eq!(config.advertise.to_string(), "example.org:19092");
    assert_eq!(
        (config.cpus.clone(), config.shards, config.memory),
        (vec![1, 2, 3], 3, 512 << 20)
    );
    assert_eq!(config.log_format, LogFormat::Json);
    let broker: Vec<(&str, &str)> = config.broker.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
    assert!(broker.contains(&("log.retention.ms", "1000")), "{broker:?}");
    assert!(broker.contains(&("auto.create.topics.enable", "false")), "{broker:?}");
    assert_eq!(
        config.settings.origin("num.partitions"),
        Origin::File(file.0.clone(), 6)
    );
}

#[test]
fn flag_beats_environment_beats_file_beats_default() {
    let file = TempFile::new(
        "toml",
        "num.partitions = 2\nshards = 2\nlog.level = \"debug\"\nlisten = \"127.0.0.1:1\"\n",
    );
    let environment = [
        ("KAFKA_NUM_PARTITIONS", "3"),
        ("RINGLOG_SHARDS", "3"),
        ("KAFKA_LISTENERS", "PLAINTEXT://127.0.0.1:2"),
        ("HOME", "/root"),
    ];
    let config = load(Some(&file), &environment, &[("--shards", "shards", "4")]).unwrap();
    assert_eq!(config.broker["num.partitions"], "3");
    assert_eq!(
        config.settings.origin("num.partitions").to_string(),
        "environment KAFKA_NUM_PARTITIONS"
    );
    assert_eq!(config.shards, 4);
    assert_eq!(config.settings.origin("shards").to_string(), "--shards");
    assert_eq!(config.log_level, "debug");
    assert_eq!(config.listen.port, 2, "a weaker layer's alias does not win");
    assert_eq!(config.settings.origin("node.id"), Origin::Default);
}

#[test]
fn unknown_keys_name_file_line_and_the_nearest_key() {
    let file = TempFile::new(
        "properties",
        "\n# comment\nlog.retention.hour=1\nnum.partitions=\\\n  2\n",
    );
    let error = load(
        Some(&file),
        &[("KAFKA_ADVERTISED_LISTENER", "x:1"), ("KAFKA_HEAP_OPTS", "-Xmx1G")],
        &[],
    )
    .unwrap_err();
    let text = error.to_string();
    assert!(
        text.contains(&format!("{}:3: unknown key `log.retention.hour`", file.0.display())),
        "{text}"
    );
    assert!(text.contains("did you mean `log.retention.hours`?"), "{text}");
    assert!(
        text.contains("environment KAFKA_ADVERTISED_LISTENER: unknown key"),
        "{text}"
    );
    assert!(text.contains("did you mean `advertised.listeners`?"), "{text}");
    assert_eq!(
        error.problems.len(),
        2,
        "all problems at once, and nothing else: {text}"
    );
}

#[test]
fn protection_that_does_not_exist_is_refused_not_ignored() {
    for (key, value) in [
        ("KAFKA_SSL_KEYSTORE_LOCATION", "/k.jks"),
        ("KAFKA_AUTHORIZER_CLASS_NAME", "x.Y"),
        ("KAFKA_LISTENERS", "SASL_SSL://:9092"),
        ("KAFKA_LISTENER_NAME_INTERNAL_SSL_KEYSTORE_LOCATION", "/k.jks"),
    ] {
        let error = load(None, &[(key, value)], &[]).unwrap_err();
        assert!(error.to_string().contains("not available yet"), "{error}");
        assert!(error.problems.iter().all(|p| p.remedy.is_some()), "{error}");
    }
    assert!(
        load(None, &[("KAFKA_SSL_KEYSTORE_LOCATION", "")], &[]).is_ok(),
        "an empty value switches a key off"
    );
}

#[test]
fn values_out_of_range_say_what_is_allowed() {
    let cases = [
        ("num.partitions", "0", "at least 1"),
        ("log.cleaner.threads", "2", "one compaction runs at a time"),
        ("memory", "1MiB", "give at least 128 MiB"),
        ("memory", "64GiB", "16 GiB"),
        ("memory", "lots", "512MiB"),
        ("cpus", "0-7", "this process may run on 0-3"),
        ("shards", "0", "from 1 to 256"),
        ("listeners", "PLAINTEXT://:x", "port"),
        ("listeners", "A://:1", "listener.security.protocol.map"),
        ("listeners", "PLAINTEXT://:1,PLAINTEXT://:2", "ringlog serves one"),
        ("advertised.listeners", "PLAINTEXT://0.0.0.0:9092", "cannot connect"),
        ("log.dirs", "/a,/b", "one directory"),
        ("admin", "here", ""),
        ("log.format", "xml", "text or json"),
    ];
    for (key, value, says) in cases {
        let result = load(None, &[], &[("--flag", key, value)]);
        if says.is_empty() {
            assert!(result.is_ok(), "{key}={value}");
            continue;
        }
        let text = result.expect_err(key).to_string();
        assert!(text.contains(says) && text.contains("--flag"), "{key}={value}: {text}");
    }
}

#[test]
fn defaults_fit_the_machine() {
    let config = load(None, &[], &[]).unwrap();
    assert_eq!(config.cpus, [0, 2]);
    assert_eq!(
        config.memory,
        2 << 30,
        "1 GiB per shard is less than a quarter of 16 GiB"
    );
    assert!(config.listen.is_loopback() && config.advertise.is_loopback());
    assert_eq!(config.admin.unwrap().to_string(), "127.0.0.1:9644");
    assert!(config.notes.is_empty(), "{:?}", config.notes);
    let any = load(None, &[], &[("--listen", "listen", "0.0.0.0:9092")]).unwrap();
    assert_eq!(any.advertise.to_string(), "broker-1:9092");
}

#[test]
fn a_key_set_twice_in_one_layer_is_an_error() {
    let file = TempFile::new("properties", "node.id=1\nbroker.id=2\n");
    let text = load(Some(&file), &[], &[]).unwrap_err().to_string();
    assert!(text.contains("set twice"), "{text}");
}

#[test]
fn unreadable_and_malformed_files_are_named() {
    let missing = Sources {
        file: Some(Path::new("/nonexistent/ringlog.toml")),
        ..Default::default()
    };
    assert!(
        Config::load(&missing, &host())
            .unwrap_err()
            .to_string()
            .contains("/nonexistent/ringlog.toml")
    );
    let file = TempFile::new("toml", "a = 1\nb = = 2\n");
    let text = load(Some(&file), &[], &[]).unwrap_err().to_string();
    assert!(text.contains(":2: not valid TOML"), "{text}");
}
