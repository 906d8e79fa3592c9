//! The client against brokers on bad days: old ones, moved leaders, lost answers, wrong addresses, damaged data.

#![allow(clippy::unwrap_used)]

mod support;

use bytes::{Bytes, BytesMut};
use kafka_protocol::messages::fetch_response::{AbortedTransaction, FetchableTopicResponse, PartitionData};
use kafka_protocol::messages::list_offsets_response::{ListOffsetsPartitionResponse, ListOffsetsTopicResponse};
use kafka_protocol::messages::produce_response::{PartitionProduceResponse, TopicProduceResponse};
use kafka_protocol::messages::{
    ApiKey, FetchResponse, InitProducerIdResponse, ListOffsetsRequest, ListOffsetsResponse, ProduceRequest,
    ProduceResponse, ProducerId, TopicName,
};
use kafka_protocol::protocol::{Decodable, StrBytes};
use ringlog::client::cluster::Scope;
use ringlog::client::consumer::{Consumer, ConsumerOptions, Start};
use ringlog::client::producer::{Delivery, Producer, ProducerOptions};
use ringlog::client::{Address, ClientError, Cluster, Options, Record, Result};
use ringlog::wire::batch::BatchBuilder;
use std::net::{SocketAddr, TcpListener};
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use support::fake::{self, Answer, Asked};
use support::ringlog;

const NOT_LEADER: i16 = 6;

/// What a broker of 2019 and later offers, as far as these tests go.
const MODERN: &[(ApiKey, i16, i16)] = &[
    (ApiKey::ApiVersions, 0, 3),
    (ApiKey::Metadata, 0, 9),
    (ApiKey::Produce, 0, 8),
    (ApiKey::Fetch, 4, 11),
    (ApiKey::ListOffsets, 1, 5),
    (ApiKey::InitProducerId, 0, 1),
];

fn options(bootstrap: &[SocketAddr]) -> Options {
    let addresses = bootstrap
        .iter()
        .map(|address| Address::parse(&address.to_string()).unwrap())
        .collect();
    Options {
        timeout: Duration::from_secs(5),
        ..Options::new(addresses)
    }
}

fn connect(address: SocketAddr) -> Cluster {
    Cluster::connect(options(&[address])).unwrap()
}

fn closed_port() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

fn topic_t() -> TopicName {
    TopicName(StrBytes::from_static_str("t"))
}

fn produced(error_code: i16, base_offset: i64, version: i16) -> Answer {
    let partition = PartitionProduceResponse::default()
        .with_error_code(error_code)
        .with_base_offset(base_offset);
    let topic = TopicProduceResponse::default()
        .with_name(topic_t())
        .with_partition_responses(vec![partition]);
    Answer::of(&ProduceResponse::default().with_responses(vec![topic]), version)
}

fn producer_id(version: i16) -> Answer {
    Answer::of(
        &InitProducerIdResponse::default()
            .with_producer_id(ProducerId(77))
            .with_producer_epoch(0),
        version,
    )
}

/// The batch inside a produce request.
fn sent_batch(asked: &Asked) -> Bytes {
    let request = ProduceRequest::decode(&mut asked.body.clone(), asked.version).unwrap();
    request.topic_data[0].partition_data[0].records.clone().unwrap()
}

#[test]
fn a_broker_that_answers_the_fallback_is_asked_again() {
    // KIP-511: an unknown ApiVersions version is answered in version 0 with error 35 and the table.
    let address = fake::start(|address, asked| match (asked.key, asked.version) {
        (18, 0..=2) => Answer::of(
            &fake::versions(&[(ApiKey::ApiVersions, 0, 2), (ApiKey::Metadata, 0, 4)]),
            asked.version,
        ),
        (18, _) => Answer::of(&fake::versions(&[(ApiKey::ApiVersions, 0, 2)]).with_error_code(35), 0),
        (_, version) => {
            assert_eq!(version, 4, "the newest metadata version that both know");
            Answer::of(&fake::metadata(&[(1, address)], 1), version)
        }
    });
    let metadata = connect(address).metadata(Scope::All).unwrap();
    assert_eq!(metadata.brokers.len(), 1);
    assert_eq!(metadata.topics[0].0, "t");
}

#[test]
fn a_broker_that_hangs_up_on_unknown_versions_is_asked_in_version_0() {
    let address = fake::start(|address, asked| match (asked.key, asked.version) {
        (18, 0) => Answer::of(&fake::versions(&[(ApiKey::Metadata, 0, 1)]), 0),
        (18, _) => Answer::Close,
        (_, version) => Answer::of(&fake::metadata(&[(1, address)], 1), version),
    });
    let metadata = connect(address).metadata(Scope::All).unwrap();
    assert_eq!(metadata.controller, Some(1));
}

#[test]
fn the_next_bootstrap_address_is_tried() {
    let address = fake::start(|address, asked| match asked.key {
        18 => Answer::of(&fake::versions(MODERN), asked.version.min(3)),
        _ => Answer::of(&fake::metadata(&[(1, address)], 1), asked.version),
    });
    let dead = closed_port();
    let mut cluster = Cluster::connect(options(&[dead, address])).unwrap();
    assert_eq!(
        cluster.metadata(Scope::Brokers).unwrap().brokers[0].address.port,
        address.port()
    );
    match Cluster::connect(options(&[dead, closed_port()])) {
        Err(ClientError::Unreachable { tried }) => assert_eq!(tried.len(), 2, "each address is named"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_api_that_the_broker_lacks_is_named() {
    let address = fake::start(|_, asked| match asked.key {
        18 => Answer::of(
            &fake::versions(&[(ApiKey::ApiVersions, 0, 3), (ApiKey::Metadata, 90, 99)]),
            asked.version.min(3),
        ),
        key => panic!("asked {key} in spite of the table"),
    });
    let error = connect(address).metadata(Scope::All).unwrap_err();
    assert!(error.to_string().contains("Metadata in versions 90 to 99"), "{error}");
}

#[test]
fn an_unreachable_advertised_address_is_explained() {
    let nowhere = closed_port();
    let address = fake::start(move |_, asked| match asked.key {
        18 => Answer::of(&fake::versions(MODERN), asked.version.min(3)),
        _ => Answer::of(&fake::metadata(&[(3, nowhere)], 3), asked.version),
    });
    let run = support::run(ringlog().args(["consume", "t", "-e", "-b", &address.to_string()]), b"");
    assert!(
        run.err.contains("help:") && run.err.contains("advertised.listeners"),
        "{}",
        run.err
    );
    run.fails(
        5,
        &format!("node 3 advertises {nowhere}, which cannot be reached (connection refused)"),
    );
}

#[test]
fn records_follow_a_moved_leader() {
    let (sender, deliveries) = channel();
    let new_leader = fake::start(move |_, asked| match asked.key {
        18 => Answer::of(&fake::versions(MODERN), asked.version.min(3)),
        0 => {
            sender.send(sent_batch(asked)).unwrap();
            produced(0, 500, asked.version)
        }
        key => panic!("unexpected request {key}"),
    });
    let leader = Arc::new(Mutex::new(1));
    let address = fake::start(move |address, asked| match asked.key {
        18 => Answer::of(&fake::versions(MODERN), asked.version.min(3)),
        22 => producer_id(asked.version),
        0 => {
            *leader.lock().unwrap() = 2;
            produced(NOT_LEADER, -1, asked.version)
        }
        _ => Answer::of(
            &fake::metadata(&[(1, address), (2, new_leader)], *leader.lock().unwrap()),
            asked.version,
        ),
    });
    let mut producer = Producer::new(connect(address), ProducerOptions::default());
    producer.send("t", None, Record::value("a")).unwrap();
    producer.send("t", None, Record::value("b")).unwrap();
    producer.flush().unwrap();
    let delivered = producer.take_deliveries();
    assert_eq!(
        delivered,
        [Delivery {
            topic: "t".to_string(),
            partition: 0,
            base_offset: 500,
            count: 2
        }]
    );
    assert_eq!(deliveries.try_iter().count(), 1);
}

#[test]
fn a_lost_answer_is_retried_with_the_same_bytes() {
    let batches = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&batches);
    let address = fake::start(move |address, asked| match asked.key {
        18 => Answer::of(&fake::versions(MODERN), asked.version.min(3)),
        22 => producer_id(asked.version),
        0 => {
            let mut seen = seen.lock().unwrap();
            seen.push(sent_batch(asked));
            if seen.len() == 1 {
                Answer::Close
            } else {
                produced(0, 9, asked.version)
            }
        }
        _ => Answer::of(&fake::metadata(&[(1, address)], 1), asked.version),
    });
    let mut producer = Producer::new(connect(address), ProducerOptions::default());
    producer.send("t", None, Record::value("once")).unwrap();
    producer.flush().unwrap();
    producer.send("t", None, Record::value("next")).unwrap();
    producer.flush().unwrap();
    let batches = batches.lock().unwrap();
    assert_eq!(batches.len(), 3);
    assert_eq!(batches[0], batches[1], "the broker can tell that it is the same batch");
    let sequence =
        |batch: &Bytes| ringlog::wire::batch::BatchInfo::peek(batch).map(|info| (info.producer_id, info.base_sequence));
    assert_eq!(
        (sequence(&batches[1]), sequence(&batches[2])),
        (Some((77, 0)), Some((77, 1)))
    );
}

/// Serves `records` as the content of `t` partition 0, offsets 0 to `end`.
fn serve_log(records: Vec<u8>, end: i64, aborted: Vec<AbortedTransaction>) -> SocketAddr {
    fake::start(move |address, asked| match asked.key {
        18 => Answer::of(&fake::versions(MODERN), asked.version.min(3)),
        2 => {
            let request = ListOffsetsRequest::decode(&mut asked.body.clone(), asked.version).unwrap();
            let offset = if request.topics[0].partitions[0].timestamp == -2 {
                0
            } else {
                end
            };
            let partition = ListOffsetsPartitionResponse::default().with_offset(offset);
            let topic = ListOffsetsTopicResponse::default()
                .with_name(topic_t())
                .with_partitions(vec![partition]);
            Answer::of(&ListOffsetsResponse::default().with_topics(vec![topic]), asked.version)
        }
        1 => {
            let partition = PartitionData::default()
                .with_high_watermark(end)
                .with_aborted_transactions(Some(aborted.clone()))
                .with_records(Some(Bytes::from(records.clone())));
            let topic = FetchableTopicResponse::default()
                .with_topic(topic_t())
                .with_partitions(vec![partition]);
            Answer::of(&FetchResponse::default().with_responses(vec![topic]), asked.version)
        }
        _ => Answer::of(&fake::metadata(&[(1, address)], 1), asked.version),
    })
}

fn read_values(address: SocketAddr, start: Start, read_committed: bool) -> Result<Vec<String>> {
    let options = ConsumerOptions {
        read_committed,
        ..ConsumerOptions::default()
    };
    let mut consumer = Consumer::new(connect(address), options);
    consumer.assign("t", None, start)?;
    consumer.stop_at_end()?;
    let mut values = Vec::new();
    while !consumer.is_finished() {
        let records = consumer.poll(Duration::from_millis(100))?;
        values.extend(
            records
                .iter()
                .map(|record| String::from_utf8_lossy(record.value.as_deref().unwrap()).into_owned()),
        );
    }
    Ok(values)
}

const TRANSACTIONAL: i16 = 1 << 4;
const CONTROL: i16 = 1 << 5;

fn data(offset: i64, producer: i64, values: &[&str]) -> Vec<u8> {
    let mut batch = BatchBuilder::new().at(offset, 0);
    if producer >= 0 {
        batch = batch.attributes(TRANSACTIONAL).producer(producer, 0, 0);
    }
    for value in values {
        batch.append(1, None, Some(value.as_bytes()), &[]);
    }
    batch.build().unwrap()
}

fn marker(offset: i64, producer: i64, is_commit: bool) -> Vec<u8> {
    let mut batch = BatchBuilder::new()
        .at(offset, 0)
        .attributes(TRANSACTIONAL | CONTROL)
        .producer(producer, 0, -1);
    batch.append(1, Some(&[0, 0, 0, u8::from(is_commit)]), Some(&[0; 6]), &[]);
    batch.build().unwrap()
}

#[test]
fn aborted_records_and_markers_stay_hidden() {
    // Two transactions of producer 5, the first aborted; producer 6 commits in between; and a plain record.
    let log = [
        data(0, 5, &["aborted-1", "aborted-2"]),
        data(2, 6, &["kept-1"]),
        marker(3, 5, false),
        data(4, 5, &["kept-2"]),
        marker(5, 6, true),
        data(6, -1, &["plain"]),
        marker(7, 5, true),
    ]
    .concat();
    let aborted = AbortedTransaction::default()
        .with_producer_id(ProducerId(5))
        .with_first_offset(0);
    let address = serve_log(log, 8, vec![aborted]);
    assert_eq!(
        read_values(address, Start::Earliest, true).unwrap(),
        ["kept-1", "kept-2", "plain"]
    );
    let all = read_values(address, Start::Earliest, false).unwrap();
    assert_eq!(all, ["aborted-1", "aborted-2", "kept-1", "kept-2", "plain"]);
}

#[test]
fn a_start_inside_a_batch_skips_what_is_before_it() {
    let mut log = data(0, -1, &["0", "1", "2", "3"]);
    log.extend_from_slice(&data(4, -1, &["4", "5"])[..40]);
    let address = serve_log(log, 4, Vec::new());
    assert_eq!(
        read_values(address, Start::Offset(2), false).unwrap(),
        ["2", "3"],
        "and a cut batch at the end is no error"
    );
}

#[test]
fn damaged_batches_are_refused_with_their_place() {
    let mut log = BytesMut::from(&data(0, -1, &["good"])[..]);
    let mut bad = data(1, -1, &["damaged"]);
    *bad.last_mut().unwrap() ^= 1;
    log.extend_from_slice(&bad);
    let error = read_values(serve_log(log.to_vec(), 2, Vec::new()), Start::Earliest, false).unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with("cannot read t partition 0 at offset 1: the checksum"),
        "{error}"
    );
}
