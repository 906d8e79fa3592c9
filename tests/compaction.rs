//! Compaction of a real broker while it is written to: every last value is read back, before and after a kill.
//!
//! By default small. At length, with times of acknowledgements beside it:
//!
//!     RINGLOG_COMPACT_RECORDS=10000000 RINGLOG_COMPACT_KEYS=2000000 cargo test --release --test compaction -- --nocapture

#![allow(clippy::unwrap_used)]

mod support;

use ringlog::client::admin::{NewTopic, create_topics, expect};
use ringlog::client::consumer::{Consumer, ConsumerOptions, Start};
use ringlog::client::producer::{Producer, ProducerOptions};
use ringlog::client::{Address, Cluster, Options, Record};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use support::Scratch;
use support::node::{Node, start_command};

/// Longest time that compaction of everything may take.
const COMPACTED_WITHIN: Duration = Duration::from_secs(600);

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().unwrap())
}

fn start(scratch: &Scratch) -> Node {
    let mut command = start_command(&scratch.0, &[]);
    command.env("KAFKA_LOG_CLEANER_BACKOFF_MS", "200");
    Node::try_start(command).unwrap_or_else(|run| panic!("the broker did not start:\n{}", run.err))
}

fn connect(node: &Node) -> Cluster {
    let options = Options::new(vec![Address::parse(&node.kafka).unwrap()]);
    Cluster::connect(options).unwrap()
}

fn make_topic(node: &Node, name: &str, configs: &[(&str, &str)]) {
    let configs = configs.iter().map(|(key, value)| (key.to_string(), value.to_string()));
    let topic = NewTopic {
        name: name.into(),
        partitions: Some(1),
        replicas: None,
        configs: configs.collect(),
    };
    let made = create_topics(&mut connect(node), &[topic], false).unwrap();
    expect("create", made).unwrap();
}

/// The key that the `n`th record has.
fn key_of(n: u64, keys: u64) -> u64 {
    n.wrapping_mul(0x9e37_79b9_7f4a_7c15) % keys
}

/// Writes `records` records; the last record number of each key.
fn fill(node: &Node, topic: &str, records: u64, keys: u64) -> Vec<Option<u64>> {
    let mut producer = Producer::new(connect(node), ProducerOptions::default());
    let mut last = vec![None; keys as usize];
    for n in 0..records {
        let key = key_of(n, keys);
        let record = Record {
            key: Some(format!("{key:016}").into()),
            value: Some(format!("{n:0100}").into()),
            ..Record::default()
        };
        producer.send(topic, None, record).unwrap();
        last[key as usize] = Some(n);
    }
    producer.flush().unwrap();
    last
}

/// Writes small records one by one until `over`; their times of acknowledgement, sorted.
fn probe(node_address: &str, over: &AtomicBool) -> Vec<Duration> {
    let options = Options::new(vec![Address::parse(node_address).unwrap()]);
    let mut producer = Producer::new(Cluster::connect(options).unwrap(), ProducerOptions::default());
    let mut times = Vec::new();
    while !over.load(Ordering::Relaxed) {
        producer.send("probe", None, Record::value("x".repeat(100))).unwrap();
        let begin = Instant::now();
        producer.flush().unwrap();
        times.push(begin.elapsed());
    }
    times.sort();
    times
}

/// Runs `work` beside a probe and says what the probe saw.
fn probed<T>(node: &Node, what: &str, work: impl FnOnce() -> T) -> T {
    let over = Arc::new(AtomicBool::new(false));
    let thread = {
        let (address, over) = (node.kafka.clone(), over.clone());
        std::thread::spawn(move || probe(&address, &over))
    };
    let begin = Instant::now();
    let result = work();
    over.store(true, Ordering::Relaxed);
    let times = thread.join().unwrap();
    let at = |share: f64| times[((times.len() - 1) as f64 * share) as usize];
    println!(
        "{what}: {:.1} s; {} probes acknowledged, p50 {:?}, p99 {:?}, max {:?}",
        begin.elapsed().as_secs_f64(),
        times.len(),
        at(0.5),
        at(0.99),
        at(1.0)
    );
    result
}

fn metric(node: &Node, name: &str) -> u64 {
    let page = node.get("/metrics");
    let lines = page.lines().filter(|line| line.starts_with(name));
    let values = lines.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok());
    values.sum::<f64>() as u64
}

/// Reads all of a topic: how many records there are. Each key's last one has to be `last`, and none may come behind it.
fn verify(node: &Node, topic: &str, last: &[Option<u64>]) -> u64 {
    let mut consumer = Consumer::new(connect(node), ConsumerOptions::default());
    consumer.assign(topic, None, Start::Earliest).unwrap();
    consumer.stop_at_end().unwrap();
    let mut found = vec![None; last.len()];
    let (mut count, mut before) = (0, -1);
    while !consumer.is_finished() {
        for record in consumer.poll(Duration::from_millis(500)).unwrap() {
            assert!(record.offset > before, "offset {} follows {before}", record.offset);
            before = record.offset;
            let text = |bytes: Option<bytes::Bytes>| String::from_utf8(bytes.unwrap().to_vec()).unwrap();
            let key: usize = text(record.key).parse().unwrap();
            let n: u64 = text(record.value).parse().unwrap();
            assert_eq!(record.offset as u64, n, "offsets are those that were given");
            found[key] = Some(n);
            count += 1;
        }
    }
    for (key, (found, last)) in found.iter().zip(last).enumerate() {
        assert_eq!(found, last, "last value of key {key}");
    }
    count
}

#[test]
fn every_last_value_survives_compaction_under_load() {
    let records = number("RINGLOG_COMPACT_RECORDS", 60_000);
    let keys = number("RINGLOG_COMPACT_KEYS", 5_000);
    let scratch = Scratch::new();
    let node = start(&scratch);
    make_topic(&node, "probe", &[]);
    make_topic(&node, "plain", &[]);
    let lag = [
        ("cleanup.policy", "compact"),
        ("max.compaction.lag.ms", "1000"),
        ("min.cleanable.dirty.ratio", "0.3"),
    ];
    make_topic(&node, "table", &lag);
    probed(&node, "writing without compaction", || {
        fill(&node, "plain", records, keys)
    });
    let last = probed(&node, "writing with compaction", || fill(&node, "table", records, keys));
    let begin = Instant::now();
    probed(&node, "compacting the rest", || {
        loop {
            let (runs, dirty) = (
                metric(&node, "ringlog_cleaner_runs_total"),
                metric(&node, "ringlog_cleaner_max_dirty_percent"),
            );
            if runs > 0 && dirty == 0 && begin.elapsed() > Duration::from_secs(3) {
                return;
            }
            assert!(begin.elapsed() < COMPACTED_WITHIN, "{runs} runs, {dirty} % dirty");
            std::thread::sleep(Duration::from_millis(200));
        }
    });
    println!(
        "{} runs read {} and wrote {} bytes",
        metric(&node, "ringlog_cleaner_runs_total"),
        metric(&node, "ringlog_cleaner_read_bytes_total"),
        metric(&node, "ringlog_cleaner_written_bytes_total")
    );
    verify(&node, "table", &last);
    node.kill();
    let node = start(&scratch);
    let count = verify(&node, "table", &last);
    println!("{records} records of {keys} keys, {count} left after a kill");
    assert!(count < records, "nothing was compacted");
    assert_eq!(node.terminate(), 0);
}
