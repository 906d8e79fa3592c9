//! Checklist C: what the edge decides about a produce. The owner's rules are tested with the partitions.

use super::*;
use crate::partition::request::{ProducePart, ProduceResult};
use crate::wire::error::ErrorCode;
use crate::wire::produce::{ProducePartition, ProduceResponse, TopicRef, encode_request};

const BATCH: &[u8] = b"one record batch, which the edge does not look into";

fn produce(
    version: i16,
    correlation_id: i32,
    acks: i16,
    topic: TopicRef,
    partitions: &[(i32, Option<&[u8]>)],
) -> Bytes {
    let partitions: Vec<_> = partitions
        .iter()
        .map(|(index, records)| ProducePartition {
            index: *index,
            records: *records,
        })
        .collect();
    frame(ApiKey::Produce, version, correlation_id, |out| {
        encode_request(version, (None, acks, 1000), &[(topic, &partitions)], out);
    })
}

fn part(request: OwnerRequest) -> ProducePart {
    match request {
        OwnerRequest::Produce(part) => part,
        other => panic!("{other:?}"),
    }
}

fn done(base_offset: i64) -> OwnerReply {
    OwnerReply::Produce(ProduceResult {
        error: ErrorCode::None,
        base_offset,
        log_append_time_ms: -1,
        log_start_offset: 3,
        record_errors: vec![],
        error_message: None,
    })
}

impl Rig {
    fn produced(&mut self, version: i16, correlation_id: i32) -> ProduceResponse {
        let frame = self.reply(CONN).expect("an answer");
        ProduceResponse::decode(version, &body_of(ApiKey::Produce, version, correlation_id, &frame)).unwrap()
    }

    fn errors(&mut self, version: i16, request: Bytes) -> Vec<ErrorCode> {
        self.send(request);
        let response = self.produced(version, 1);
        response
            .topics
            .iter()
            .flat_map(|t| &t.partitions)
            .map(|p| p.error)
            .collect()
    }
}

#[test]
fn records_reach_the_owner_untouched_and_the_answer_waits_for_it() {
    for version in 3..=13 {
        let mut rig = Rig::new();
        let id = rig.create("t", 4, &[]);
        let topic = if version >= 13 {
            TopicRef::Id(id)
        } else {
            TopicRef::Name("t")
        };
        let request = produce(version, 1, -1, topic, &[(2, Some(BATCH))]);
        let sent = request.clone();
        rig.send(request);
        assert_eq!(rig.reply(CONN), None, "no answer before the owner's");
        let (owner, to, question) = rig.question();
        assert_eq!(owner, rig.published.topic("t").unwrap().partitions[2].shard);
        let part = part(question);
        assert_eq!(
            (
                part.partition.topic,
                part.partition.partition,
                part.version,
                part.wants_ack
            ),
            (id, 2, version, true)
        );
        assert_eq!(part.records, BATCH);
        let inside = sent.as_ptr_range();
        assert!(
            inside.contains(&part.records.as_ptr()),
            "the records are a slice of what was received"
        );
        rig.owner_answers(to, done(41));
        let response = rig.produced(version, 1);
        let topic = &response.topics[0];
        if version >= 13 {
            assert_eq!(topic.topic_id, id)
        } else {
            assert_eq!(topic.name, "t")
        }
        let partition = &topic.partitions[0];
        assert_eq!(
            (partition.index, partition.error, partition.base_offset),
            (2, ErrorCode::None, 41)
        );
        if version >= 5 {
            assert_eq!(partition.log_start_offset, 3);
        }
    }
}

#[test]
fn each_partition_has_its_own_fate_24_27_30() {
    let mut rig = Rig::new();
    rig.create("t", 3, &[]);
    rig.send(produce(
        9,
        1,
        1,
        TopicRef::Name("t"),
        &[
            (0, Some(BATCH)),
            (7, Some(BATCH)),
            (1, Some(BATCH)),
            (2, None),
            (-1, Some(BATCH)),
        ],
    ));
    let (_, first, _) = rig.question();
    let (_, second, _) = rig.question();
    assert!(
        rig.requests.is_empty(),
        "only partitions that exist and have records are asked for"
    );
    rig.owner_answers(
        second,
        OwnerReply::Produce(ProduceResult::refused(ErrorCode::MessageTooLarge, "too large")),
    );
    rig.owner_answers(first, done(5));
    let response = rig.produced(9, 1);
    let got: Vec<_> = response.topics[0]
        .partitions
        .iter()
        .map(|p| (p.index, p.error, p.base_offset, p.log_start_offset))
        .collect();
    assert_eq!(
        got,
        [
            (0, ErrorCode::None, 5, 3),
            (7, ErrorCode::UnknownTopicOrPartition, -1, -1),
            (1, ErrorCode::MessageTooLarge, -1, -1),
            (2, ErrorCode::InvalidRecord, -1, -1),
            (-1, ErrorCode::UnknownTopicOrPartition, -1, -1),
        ]
    );
    assert_eq!(
        response.topics[0].partitions[2].error_message.as_deref(),
        Some("too large")
    );
    assert!(!rig.is_closed(), "99: MESSAGE_TOO_LARGE does not close the connection");
}

#[test]
fn record_errors_name_the_batch_indexes_28() {
    let mut rig = Rig::new();
    rig.create("t", 1, &[]);
    rig.send(produce(8, 1, 1, TopicRef::Name("t"), &[(0, Some(BATCH))]));
    let (_, to, _) = rig.question();
    let mut result = ProduceResult::refused(ErrorCode::InvalidRecord, "records without key");
    result.record_errors = vec![(3, "Compacted topic cannot accept message without key".into())];
    rig.owner_answers(to, OwnerReply::Produce(result));
    let response = rig.produced(8, 1);
    let partition = &response.topics[0].partitions[0];
    assert_eq!(partition.record_errors[0].batch_index, 3);
    assert_eq!(partition.error, ErrorCode::InvalidRecord);
}

#[test]
fn unknown_topics_are_retriable_by_name_and_by_id_33_86() {
    let mut rig = Rig::new();
    assert_eq!(
        rig.errors(9, produce(9, 1, 1, TopicRef::Name("gone"), &[(0, Some(BATCH))])),
        [ErrorCode::UnknownTopicOrPartition]
    );
    let old = rig.create("t", 1, &[]);
    rig.delete("t");
    rig.create("t", 1, &[]);
    assert_eq!(
        rig.errors(13, produce(13, 1, 1, TopicRef::Id(old), &[(0, Some(BATCH))])),
        [ErrorCode::UnknownTopicId]
    );
    assert!(rig.requests.is_empty());
}

#[test]
fn acks_are_checked_31() {
    let mut rig = Rig::new();
    rig.create("t", 1, &[]);
    assert_eq!(
        rig.errors(9, produce(9, 1, 2, TopicRef::Name("t"), &[(0, Some(BATCH))])),
        [ErrorCode::InvalidRequiredAcks]
    );
    assert!(rig.requests.is_empty());
}

#[test]
fn acks_0_has_no_answer_and_holds_up_no_later_one_7_99() {
    let mut rig = Rig::new();
    rig.create("t", 1, &[]);
    let mut both = BytesMut::from(&produce(9, 1, 0, TopicRef::Name("t"), &[(0, Some(BATCH))])[..]);
    both.extend_from_slice(&produce(9, 2, 1, TopicRef::Name("t"), &[(0, Some(BATCH))]));
    rig.send(both);
    let (_, silent, question) = rig.question();
    assert!(!part(question).wants_ack);
    let (_, loud, _) = rig.question();
    rig.owner_answers(loud, done(1));
    assert_eq!(rig.produced(9, 2).topics[0].partitions[0].base_offset, 1);
    rig.owner_answers(silent, done(0));
    assert_eq!(rig.reply(CONN), None);
    assert!(!rig.is_closed());
}

#[test]
fn acks_0_that_fails_closes_the_connection_7() {
    for late in [false, true] {
        let mut rig = Rig::new();
        rig.create("t", 1, &[]);
        let partition = if late { 0 } else { 9 };
        rig.send(produce(9, 1, 0, TopicRef::Name("t"), &[(partition, Some(BATCH))]));
        if late {
            let (_, to, _) = rig.question();
            assert!(!rig.is_closed());
            rig.owner_answers(
                to,
                OwnerReply::Produce(ProduceResult::refused(ErrorCode::CorruptMessage, "bad CRC")),
            );
        }
        assert!(rig.is_closed());
    }
}

#[test]
fn not_leader_names_the_leader_32() {
    let mut rig = Rig::new();
    rig.create("t", 1, &[]);
    rig.send(produce(10, 1, 1, TopicRef::Name("t"), &[(0, Some(BATCH))]));
    let (_, to, _) = rig.question();
    rig.owner_answers(
        to,
        OwnerReply::Produce(ProduceResult::refused(ErrorCode::NotLeaderOrFollower, "moved")),
    );
    let response = rig.produced(10, 1);
    let leader = &response.topics[0].partitions[0].current_leader;
    assert_eq!((leader.leader_id, leader.leader_epoch), (1, 0));
    let endpoint = &response.node_endpoints[0];
    assert_eq!(
        (endpoint.node_id, endpoint.host.as_str(), endpoint.port),
        (1, "127.0.0.1", 9092),
        "82: same host as in Metadata"
    );
}

#[test]
fn transactions_are_refused_clearly() {
    let mut rig = Rig::new();
    rig.create("t", 1, &[]);
    let partitions = [ProducePartition {
        index: 0,
        records: Some(BATCH),
    }];
    let request = frame(ApiKey::Produce, 9, 1, |out| {
        encode_request(9, (Some("tx"), -1, 0), &[(TopicRef::Name("t"), &partitions)], out)
    });
    rig.send(request);
    let response = rig.produced(9, 1);
    assert_eq!(response.topics[0].partitions[0].error, ErrorCode::InvalidTxnState);
    assert!(
        response.topics[0].partitions[0]
            .error_message
            .as_deref()
            .unwrap()
            .contains("transactions are not available")
    );
}

#[test]
fn pipelined_batches_reach_the_owner_in_the_order_they_came_6_40() {
    let mut rig = Rig::new();
    rig.create("t", 1, &[]);
    let batches: Vec<Vec<u8>> = (0..5u8).map(|n| vec![n; 10]).collect();
    let mut all = BytesMut::new();
    for (n, batch) in batches.iter().enumerate() {
        all.extend_from_slice(&produce(9, n as i32, 1, TopicRef::Name("t"), &[(0, Some(batch))]));
    }
    rig.send(all);
    let questions: Vec<_> = std::iter::from_fn(|| rig.requests.pop_front()).collect();
    let mut replies = Vec::new();
    for ((_, to, request), batch) in questions.into_iter().zip(&batches) {
        assert_eq!(part(request).records, &batch[..]);
        replies.push(to);
    }
    // Answers come backwards and leave in the order of the requests.
    for (n, to) in replies.into_iter().enumerate().rev() {
        rig.owner_answers(to, done(n as i64));
    }
    for n in 0..5 {
        assert_eq!(rig.produced(9, n).topics[0].partitions[0].base_offset, i64::from(n));
    }
}

#[test]
fn a_prepared_topic_takes_writes_before_metadata_shows_it_85() {
    let mut rig = Rig::new();
    let shown = rig.published.clone();
    rig.create("t", 1, &[]);
    rig.published = shown;
    rig.send(produce(9, 1, 1, TopicRef::Name("t"), &[(0, Some(BATCH))]));
    assert_eq!(rig.requests.len(), 1);
}

#[test]
fn a_request_without_topics_is_answered_at_once() {
    let mut rig = Rig::new();
    let request = frame(ApiKey::Produce, 9, 1, |out| encode_request(9, (None, 1, 0), &[], out));
    rig.send(request);
    assert!(rig.produced(9, 1).topics.is_empty());
}

#[test]
fn a_frame_full_of_empty_partitions_closes_instead_of_growing_in_memory() {
    let mut rig = Rig::new();
    rig.create("t", 1, &[]);
    let partitions = vec![(0, None); 100_001];
    rig.send(produce(9, 1, 1, TopicRef::Name("t"), &partitions));
    assert!(rig.is_closed());
}

#[test]
fn a_stream_of_acks_0_never_stalls_on_the_bound_of_requests_in_flight() {
    let limits = crate::session::limits::SessionLimits {
        in_flight_max: 2,
        ..Default::default()
    };
    let mut rig = Rig::with(
        EdgeConfig {
            limits,
            ..EdgeConfig::default()
        },
        ControllerConfig::default(),
    );
    rig.create("t", 1, &[]);
    let mut all = BytesMut::new();
    (0..20).for_each(|n| all.extend_from_slice(&produce(9, n, 0, TopicRef::Name("t"), &[(0, Some(BATCH))])));
    rig.send(all);
    for n in 0..20 {
        assert!(rig.requests.len() <= 2);
        let (_, to, _) = rig.question();
        rig.owner_answers(to, done(n));
    }
    assert_eq!(rig.receiving, [CONN]);
}

#[test]
fn answers_are_counted_with_their_bytes_and_errors() {
    let mut rig = Rig::new();
    rig.create("t", 1, &[]);
    rig.send(produce(9, 1, 1, TopicRef::Name("gone"), &[(0, Some(BATCH))]));
    let request = produce(9, 1, 1, TopicRef::Name("t"), &[(0, Some(BATCH))]);
    let bytes = request.len() as u64;
    rig.send(request);
    let (_, to, _) = rig.question();
    rig.now.mono_ns += 5_000;
    rig.owner_answers(to, done(0));
    let counters = rig.metrics.api_mut(0);
    assert_eq!((counters.requests, counters.errors), (2, 1));
    assert!(counters.request_bytes > bytes && counters.response_bytes > 0);
    assert!(counters.duration.max_ns() >= 4_000);
}

#[test]
fn a_disk_that_hangs_longer_than_the_timeout_is_told_to_the_client() {
    for acks in [-1, 1] {
        let mut rig = Rig::new();
        rig.create("t", 2, &[]);
        let both = [(0, Some(BATCH)), (1, Some(BATCH))];
        rig.send(produce(9, 1, acks, TopicRef::Name("t"), &both));
        let (_, first, _) = rig.question();
        let (_, second, _) = rig.question();
        rig.owner_answers(first, done(7));
        rig.advance_ms(999);
        assert_eq!(rig.reply(CONN), None, "the client allowed 1000 ms");
        rig.advance_ms(1);
        let response = rig.produced(9, 1);
        let partitions = &response.topics[0].partitions;
        assert_eq!((partitions[0].error, partitions[0].base_offset), (ErrorCode::None, 7));
        assert_eq!(
            (partitions[1].error, partitions[1].base_offset),
            (ErrorCode::RequestTimedOut, -1)
        );
        assert!(partitions[1].error_message.is_some());
        rig.owner_answers(second, done(8));
        assert_eq!(rig.reply(CONN), None, "the late answer finds nobody");
        assert!(!rig.is_closed());
    }
}

#[test]
fn each_produce_has_its_own_timeout_and_none_is_forgotten() {
    let mut rig = Rig::new();
    rig.create("t", 1, &[]);
    let with_timeout = |correlation_id, acks, timeout_ms| {
        frame(ApiKey::Produce, 9, correlation_id, |out| {
            let parts = [ProducePartition {
                index: 0,
                records: Some(BATCH),
            }];
            encode_request(9, (None, acks, timeout_ms), &[(TopicRef::Name("t"), &parts[..])], out);
        })
    };
    rig.send(with_timeout(1, -1, 300));
    rig.send(with_timeout(2, 1, 0));
    rig.send(with_timeout(3, 0, 1));
    rig.send(with_timeout(4, -1, 5000));
    rig.advance_ms(99);
    assert_eq!(rig.reply(CONN), None);
    for (wait_ms, correlation_id) in [(201, 1), (0, 2), (4700, 4)] {
        rig.advance_ms(wait_ms);
        let response = rig.produced(9, correlation_id);
        assert_eq!(response.topics[0].partitions[0].error, ErrorCode::RequestTimedOut);
    }
    assert_eq!(rig.reply(CONN), None, "acks=0 has no answer");
    assert!(!rig.is_closed());
}

#[test]
fn a_produce_that_waits_for_the_disk_is_not_cut_short_by_a_drain() {
    let mut rig = Rig::new();
    rig.create("t", 1, &[]);
    rig.send(produce(9, 1, -1, TopicRef::Name("t"), &[(0, Some(BATCH))]));
    let (_, to, _) = rig.question();
    rig.call(|edge, cx| edge.on_drain(cx));
    assert_eq!(rig.reply(CONN), None);
    rig.owner_answers(to, done(7));
    assert_eq!(rig.produced(9, 1).topics[0].partitions[0].error, ErrorCode::None);
}

#[test]
fn the_brokers_own_topics_are_written_by_the_broker_alone() {
    let mut rig = Rig::new();
    rig.create("__consumer_offsets", 2, &[]);
    let request = produce(9, 1, -1, TopicRef::Name("__consumer_offsets"), &[(0, Some(BATCH))]);
    assert_eq!(rig.errors(9, request), [ErrorCode::InvalidTopicException]);
    assert!(rig.requests.is_empty());
}
