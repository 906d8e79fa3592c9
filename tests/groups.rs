//! Consumer groups as librdkafka uses them: reading on where one stopped, sharing partitions, kills, static members.

#![allow(clippy::unwrap_used)]
#![cfg(feature = "runtime")]

mod support;

use rdkafka::ClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer, ConsumerContext, Rebalance};
use rdkafka::message::Message;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use support::{Broker, PATIENCE, unique};

const POLL: Duration = Duration::from_millis(20);

fn config(broker: &Broker, group: &str) -> ClientConfig {
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", broker.address())
        .set("group.id", group)
        .set("enable.auto.commit", "false")
        .set("auto.offset.reset", "earliest")
        .set("session.timeout.ms", "10000")
        .set("heartbeat.interval.ms", "200")
        .set("topic.metadata.refresh.interval.ms", "500")
        .set("reconnect.backoff.max.ms", "200");
    config
}

fn subscribe(config: &ClientConfig, topic: &str) -> BaseConsumer {
    let consumer: BaseConsumer = config.create().unwrap();
    consumer.subscribe(&[topic]).unwrap();
    consumer
}

/// Writes records `from..to`, spread over the partitions by turns.
fn produce(broker: &Broker, topic: &str, partitions: i32, numbers: std::ops::Range<i32>) {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", broker.address());
    let producer: BaseProducer = config.create().unwrap();
    for number in numbers {
        let text = number.to_string();
        let record = BaseRecord::<(), _>::to(topic)
            .partition(number % partitions)
            .payload(text.as_bytes());
        producer.send(record).map_err(|(error, _)| error).unwrap();
    }
    producer.flush(PATIENCE).unwrap();
}

/// Polls all consumers until `done`, and gives every record to `seen`.
fn poll_until(consumers: &[&BaseConsumer], mut seen: impl FnMut(usize, i32), mut done: impl FnMut() -> bool) {
    let start = Instant::now();
    while !done() {
        assert!(start.elapsed() < PATIENCE, "it takes too long");
        for (index, consumer) in consumers.iter().enumerate() {
            // Errors here are what happens on the way: a broker that is down, a rebalance.
            if let Some(Ok(message)) = consumer.poll(POLL) {
                let text = std::str::from_utf8(message.payload().unwrap()).unwrap();
                seen(index, text.parse().unwrap());
            }
        }
    }
}

/// Reads `count` records.
fn read(consumer: &BaseConsumer, count: usize) -> BTreeSet<i32> {
    let found = std::cell::RefCell::new(BTreeSet::new());
    poll_until(
        &[consumer],
        |_, number| assert!(found.borrow_mut().insert(number), "{number} is read twice"),
        || found.borrow().len() >= count,
    );
    found.into_inner()
}

fn partitions(consumer: &BaseConsumer) -> BTreeSet<i32> {
    let assignment = consumer.assignment().unwrap();
    assignment
        .elements()
        .iter()
        .map(|element| element.partition())
        .collect()
}

/// Waits until the consumers share all partitions, each with `share` of them.
fn wait_for_shares(consumers: &[&BaseConsumer], share: usize) {
    poll_until(
        consumers,
        |_, _| {},
        || consumers.iter().all(|consumer| partitions(consumer).len() == share),
    );
    let all: BTreeSet<i32> = consumers.iter().flat_map(|consumer| partitions(consumer)).collect();
    assert_eq!(all.len(), share * consumers.len(), "no partition twice");
}

/// Committed offsets by partition.
fn committed(consumer: &BaseConsumer, topic: &str, count: i32) -> BTreeMap<i32, Offset> {
    let mut list = TopicPartitionList::new();
    for partition in 0..count {
        list.add_partition(topic, partition);
    }
    let start = Instant::now();
    loop {
        match consumer.committed_offsets(list.clone(), Duration::from_secs(5)) {
            Ok(found) => return found.elements().iter().map(|e| (e.partition(), e.offset())).collect(),
            Err(error) => assert!(start.elapsed() < PATIENCE, "{error}"),
        }
    }
}

#[test]
fn a_consumer_goes_on_where_the_last_one_of_its_group_stopped() {
    let broker = Broker::get();
    let topic = broker.topic(2, &[]);
    let group = unique("group");
    produce(&broker, &topic, 2, 0..100);
    let consumer = subscribe(&config(&broker, &group), &topic);
    assert_eq!(read(&consumer, 100).len(), 100);
    consumer.commit_consumer_state(CommitMode::Sync).unwrap();
    drop(consumer);

    produce(&broker, &topic, 2, 100..150);
    let consumer = subscribe(&config(&broker, &group), &topic);
    assert_eq!(read(&consumer, 50), (100..150).collect());
    let other = subscribe(&config(&broker, &unique("group")), &topic);
    assert_eq!(read(&other, 150).len(), 150, "groups are independent");
}

#[test]
fn three_consumers_share_the_partitions_and_take_over_from_those_that_go() {
    for strategy in ["range", "cooperative-sticky"] {
        let broker = Broker::get();
        let topic = broker.topic(6, &[]);
        let mut config = config(&broker, &unique("group"));
        config.set("partition.assignment.strategy", strategy);
        three_share_and_one_goes(&broker, &topic, &config, strategy);
    }
}

/// Six partitions are shared by one, two, three members; each reads its own; what one leaves goes to the others.
fn three_share_and_one_goes(broker: &Broker, topic: &str, config: &ClientConfig, what: &str) {
    let first = subscribe(config, topic);
    wait_for_shares(&[&first], 6);
    let second = subscribe(config, topic);
    wait_for_shares(&[&first, &second], 3);
    let third = subscribe(config, topic);
    wait_for_shares(&[&first, &second, &third], 2);
    produce(broker, topic, 6, 0..60);
    let seen = std::cell::RefCell::new([0; 3]);
    let total = || seen.borrow().iter().sum::<i32>();
    poll_until(
        &[&first, &second, &third],
        |index, _| seen.borrow_mut()[index] += 1,
        || total() >= 60,
    );
    assert_eq!(seen.into_inner(), [20; 3], "{what}: each reads its own");
    drop(third);
    wait_for_shares(&[&first, &second], 3);
}

#[test]
fn offsets_and_members_survive_kill_9() {
    survive_kill_9(&config);
}

/// Three kills under one member: what it committed and that it is a member is there each time, and nothing is read again.
fn survive_kill_9(config: &dyn Fn(&Broker, &str) -> ClientConfig) {
    let mut broker = Broker::get();
    let topic = broker.topic(3, &[]);
    let group = unique("group");
    let consumer = subscribe(&config(&broker, &group), &topic);
    let mut read_so_far = 0;
    for round in 1..=3 {
        produce(&broker, &topic, 3, read_so_far..read_so_far + 30);
        assert_eq!(read(&consumer, 30), (read_so_far..read_so_far + 30).collect());
        read_so_far += 30;
        let start = Instant::now();
        while let Err(error) = consumer.commit_consumer_state(CommitMode::Sync) {
            assert!(start.elapsed() < PATIENCE, "{error}");
            consumer.poll(POLL);
        }
        if !broker.crash_and_restart() {
            return;
        }
        let expected: BTreeMap<i32, Offset> = (0..3).map(|p| (p, Offset::Offset(i64::from(round * 10)))).collect();
        assert_eq!(committed(&consumer, &topic, 3), expected);
        assert_eq!(partitions(&consumer).len(), 3, "the member keeps its partitions");
    }
    drop(consumer);
    let next = subscribe(&config(&broker, &group), &topic);
    produce(&broker, &topic, 3, read_so_far..read_so_far + 3);
    assert_eq!(
        read(&next, 3),
        (read_so_far..read_so_far + 3).collect(),
        "nothing is read again"
    );
}

/// Counts the rebalances that a consumer goes through.
#[derive(Clone, Default)]
struct Rebalances(Arc<AtomicUsize>);

impl ClientContext for Rebalances {}

impl ConsumerContext for Rebalances {
    fn pre_rebalance(&self, _: &BaseConsumer<Self>, _: &Rebalance) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

#[test]
fn a_static_member_comes_back_to_its_partitions_without_a_rebalance() {
    let broker = Broker::get();
    let topic = broker.topic(4, &[]);
    let group = unique("group");
    let rebalances = Rebalances::default();
    let a: BaseConsumer<Rebalances> = config(&broker, &group)
        .set("group.instance.id", "a")
        .create_with_context(rebalances.clone())
        .unwrap();
    a.subscribe(&[&topic]).unwrap();
    let b = || subscribe(config(&broker, &group).set("group.instance.id", "b"), &topic);
    let wait_for = |b: &BaseConsumer| {
        let shared = || a.assignment().unwrap().count() == 2 && partitions(b).len() == 2;
        let poll_a = || {
            a.poll(POLL);
            shared()
        };
        poll_until(&[b], |_, _| {}, poll_a);
    };
    let first = b();
    wait_for(&first);
    let (count, of_b) = (rebalances.0.load(Ordering::Relaxed), partitions(&first));
    drop(first); // A static member does not leave.
    let second = b();
    wait_for(&second);
    assert_eq!(partitions(&second), of_b);
    assert_eq!(
        rebalances.0.load(Ordering::Relaxed),
        count,
        "the other member noticed nothing"
    );
}

#[test]
fn groups_are_listed_with_their_members() {
    let broker = Broker::get();
    let topic = broker.topic(1, &[]);
    let group = unique("group");
    let mut config = config(&broker, &group);
    config.set("client.id", "somebody");
    let consumer = subscribe(&config, &topic);
    wait_for_shares(&[&consumer], 1);
    let list = consumer.client().fetch_group_list(Some(&group), PATIENCE).unwrap();
    let found = list.groups().iter().find(|found| found.name() == group).unwrap();
    assert_eq!(
        (found.state(), found.protocol_type(), found.protocol()),
        ("Stable", "consumer", "range")
    );
    let member = &found.members()[0];
    assert_eq!((member.client_id(), member.client_host()), ("somebody", "/127.0.0.1"));
    assert!(member.id().starts_with("somebody-") && !member.assignment().unwrap().is_empty());
}

/// A consumer of the new protocol (KIP-848).
fn new_protocol(broker: &Broker, group: &str) -> ClientConfig {
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", broker.address())
        .set("group.id", group)
        .set("group.protocol", "consumer")
        .set("enable.auto.commit", "false")
        .set("auto.offset.reset", "earliest")
        .set("topic.metadata.refresh.interval.ms", "500")
        .set("reconnect.backoff.max.ms", "200");
    config
}

#[test]
fn members_of_the_new_protocol_share_and_take_over() {
    let broker = Broker::get();
    let topic = broker.topic(6, &[]);
    let config = new_protocol(&broker, &unique("group"));
    three_share_and_one_goes(&broker, &topic, &config, "the new protocol");
}

#[test]
fn offsets_and_members_of_the_new_protocol_survive_kill_9() {
    survive_kill_9(&new_protocol);
}

#[test]
fn a_pattern_finds_its_topics_and_a_classic_group_goes_on_with_the_new_protocol() {
    let broker = Broker::get();
    let topic = broker.topic(2, &[]);
    let group = unique("group");
    produce(&broker, &topic, 2, 0..20);
    let old = subscribe(&config(&broker, &group), &topic);
    assert_eq!(read(&old, 20).len(), 20);
    old.commit_consumer_state(CommitMode::Sync).unwrap();
    drop(old);
    produce(&broker, &topic, 2, 20..40);
    let new = subscribe(&new_protocol(&broker, &group), &format!("^{topic}.*"));
    assert_eq!(
        read(&new, 20),
        (20..40).collect(),
        "it goes on where the classic member stopped"
    );
}

#[test]
fn fifty_members_of_the_new_protocol_join_at_once() {
    let broker = Broker::get();
    let topic = broker.topic(50, &[]);
    let config = new_protocol(&broker, &unique("group"));
    let members: Vec<BaseConsumer> = (0..50).map(|_| subscribe(&config, &topic)).collect();
    let start = Instant::now();
    loop {
        for member in &members {
            member.poll(Duration::ZERO);
        }
        let shares: Vec<BTreeSet<i32>> = members.iter().map(partitions).collect();
        if shares.iter().all(|share| share.len() == 1) {
            let all: BTreeSet<i32> = shares.into_iter().flatten().collect();
            assert_eq!(all.len(), 50, "no partition twice");
            return;
        }
        assert!(start.elapsed() < PATIENCE, "{shares:?}");
        std::thread::sleep(POLL);
    }
}

#[test]
fn a_live_group_migrates_member_by_member_and_back() {
    let broker = Broker::get();
    let topic = broker.topic(4, &[]);
    let group = unique("group");
    let mut classic = config(&broker, &group);
    classic.set("partition.assignment.strategy", "cooperative-sticky");
    let old = subscribe(&classic, &topic);
    wait_for_shares(&[&old], 4);
    let new = subscribe(&new_protocol(&broker, &group), &topic);
    wait_for_shares(&[&old, &new], 2);
    drop(old);
    wait_for_shares(&[&new], 4);
    let old = subscribe(&classic, &topic);
    wait_for_shares(&[&new, &old], 2);
    drop(new);
    wait_for_shares(&[&old], 4);
}
