//! Checklist A: framing, versions, order, limits of a connection; and hostile or slow clients.

use super::*;
use crate::session::limits::SessionLimits;
use crate::wire::control::api_versions::{ApiVersions, ApiVersionsRequest, ApiVersionsResponse};
use crate::wire::control::metadata::{Metadata, MetadataRequest};
use crate::wire::error::ErrorCode;
use crate::wire::fetch::FetchRequest;
use crate::wire::produce::{ProducePartition, TopicRef, encode_request};
use bytes::BufMut;

fn client(name: &str, version: &str) -> ApiVersionsRequest {
    ApiVersionsRequest {
        client_software_name: name.into(),
        client_software_version: version.into(),
    }
}

fn raw(body: &[u8]) -> Bytes {
    let mut out = BytesMut::new();
    out.put_i32(body.len() as i32);
    out.put_slice(body);
    out.freeze()
}

fn metadata(correlation_id: i32) -> Bytes {
    control_frame::<Metadata>(
        9,
        correlation_id,
        &MetadataRequest {
            topics: Some(vec![]),
            ..Default::default()
        },
    )
}

fn limited(limits: SessionLimits) -> Rig {
    Rig::with(
        EdgeConfig {
            limits,
            ..EdgeConfig::default()
        },
        ControllerConfig::default(),
    )
}

fn big_produce(bytes: usize) -> Bytes {
    let records = vec![1; bytes];
    let partitions = [ProducePartition {
        index: 0,
        records: Some(&records),
    }];
    frame(ApiKey::Produce, 9, 1, |out| {
        encode_request(9, (None, 1, 0), &[(TopicRef::Name("t"), &partitions)], out)
    })
}

#[test]
fn api_versions_lists_what_is_served_and_may_be_asked_again_4() {
    for version in 0..=4 {
        let mut rig = Rig::new();
        for _ in 0..2 {
            let response = rig.ask::<ApiVersions>(version, &client("librdkafka", "2.12.1-rc.1"));
            assert_eq!(response.error, ErrorCode::None);
            let range = |key: i16| {
                response
                    .api_keys
                    .iter()
                    .find(|k| k.api_key == key)
                    .map(|k| (k.min_version, k.max_version))
            };
            assert_eq!(
                (range(0), range(1), range(18), range(29)),
                (Some((0, 13)), Some((4, 18)), Some((0, 4)), Some((1, 3)))
            );
            assert_eq!((range(71), range(7)), (None, None));
        }
    }
}

#[test]
fn api_versions_of_the_future_is_answered_in_version_0_1_83() {
    let mut rig = Rig::new();
    let mut body = BytesMut::new();
    body.put_i16(18);
    body.put_i16(5);
    body.put_i32(77);
    body.put_slice(b"\xff\xff what follows is not looked at");
    rig.send(raw(&body));
    let reply = rig.reply(CONN).expect("an answer");
    let body = body_of(ApiKey::ApiVersions, 0, 77, &reply);
    let response: ApiVersionsResponse = ApiVersions::decode_response(0, &body).unwrap();
    assert_eq!(response.error, ErrorCode::UnsupportedVersion);
    assert!(
        response
            .api_keys
            .iter()
            .any(|k| (k.api_key, k.min_version, k.max_version) == (18, 0, 4))
    );
    assert!(!rig.is_closed());
}

#[test]
fn odd_client_names_are_refused_3() {
    let mut rig = Rig::new();
    for (name, version) in [("", "1"), ("a b", "1"), ("a", ".1"), ("a", "1-")] {
        assert_eq!(
            rig.ask::<ApiVersions>(3, &client(name, version)).error,
            ErrorCode::InvalidRequest,
            "{name:?} {version:?}"
        );
    }
    assert_eq!(
        rig.ask::<ApiVersions>(3, &client("a.b-c", "1.0")).error,
        ErrorCode::None
    );
}

#[test]
fn unknown_keys_and_versions_close_without_a_word_5() {
    for (key, version) in [(0i16, 2i16), (4, 0), (52, 0), (999, 0), (-1, 0), (3, 14), (22, 6)] {
        let mut rig = Rig::new();
        let mut body = BytesMut::new();
        body.put_i16(key);
        body.put_i16(version);
        body.put_i32(1);
        body.put_i16(-1);
        rig.send(raw(&body));
        assert!(rig.is_closed(), "key {key} version {version}");
        assert_eq!(rig.reply(CONN), None);
    }
}

#[test]
fn frames_out_of_bounds_close_10() {
    let len = |n: i32| Bytes::from(n.to_be_bytes().to_vec());
    for bad in [-1, 0, 7, (100 << 20) + 1, i32::MAX, i32::MIN] {
        let mut rig = Rig::new();
        rig.send(len(bad));
        assert!(rig.is_closed(), "{bad}");
    }
    // An HTTP or TLS client: its first bytes make an absurd length.
    for greeting in [&b"GET / HTTP/1.1\r\n"[..], &b"\x16\x03\x01\x02\x00"[..]] {
        let mut rig = Rig::new();
        rig.send(greeting);
        assert!(rig.is_closed());
    }
}

#[test]
fn a_truncated_request_closes_only_that_connection() {
    let whole = metadata(1);
    let mut rig = Rig::new();
    let other = ConnId {
        index: 1,
        generation: 1,
    };
    rig.connect(other);
    rig.send(raw(&whole[4..whole.len() - 1]));
    assert_eq!(rig.closed, [CONN]);
    rig.receive(other, metadata(2));
    assert!(rig.reply(other).is_some());
    assert_eq!(rig.metrics.refused, 1);
}

#[test]
fn bytes_after_a_request_are_left_unread() {
    // librdkafka 2.16: three bytes too many after Metadata 13 for all topics.
    let whole = metadata(1);
    let mut longer = BytesMut::from(&whole[4..]);
    longer.put_slice(&[1, 0, 0]);
    let mut rig = Rig::new();
    rig.send(raw(&longer));
    assert!(rig.reply(CONN).is_some());
    assert_eq!(rig.metrics.request_trailing_bytes, 3);
    rig.send(metadata(2));
    assert!(rig.reply(CONN).is_some());
    assert!(rig.closed.is_empty());
    // The two messages with decoders of their own.
    rig.create("t", 1, &[]);
    for (sent, trailing) in [(big_produce(100), 5), (fetch_nothing(), 7)] {
        let mut longer = BytesMut::from(&sent[4..]);
        longer.put_bytes(0, trailing);
        let before = rig.metrics.request_trailing_bytes;
        rig.send(raw(&longer));
        assert_eq!(rig.metrics.request_trailing_bytes - before, trailing as u64);
    }
    assert!(rig.closed.is_empty());
}

fn fetch_nothing() -> Bytes {
    frame(ApiKey::Fetch, 12, 1, |out| FetchRequest::default().encode(12, out))
}

#[test]
fn frames_may_come_in_any_pieces() {
    let mut stream = BytesMut::new();
    (0..4).for_each(|n| stream.extend_from_slice(&metadata(n)));
    for size in 1..stream.len() {
        let mut rig = Rig::new();
        for piece in stream.chunks(size) {
            rig.send(piece.to_vec());
        }
        for n in 0..4 {
            let reply = rig.reply(CONN).expect("an answer");
            body_of(ApiKey::Metadata, 9, n, &reply);
        }
    }
}

#[test]
fn a_long_frame_is_received_into_its_own_growing_buffer() {
    let mut rig = Rig::new();
    rig.create("t", 1, &[]);
    let request = big_produce(1 << 20);
    rig.send(request.slice(..16 << 10));
    let mut at = 16 << 10;
    let mut largest = 0;
    while at < request.len() {
        let (conn, mut buf) = rig.lent.pop().expect("a buffer to receive into");
        assert!(
            buf.capacity() <= (2 * at).max(256 << 10) + (8 << 10),
            "memory grows with what came, not with what was declared"
        );
        largest = largest.max(buf.capacity());
        let room = (buf.capacity() - buf.len()).min(request.len() - at);
        assert!(room > 0);
        buf.extend_from_slice(&request[at..at + room]);
        at += room;
        rig.call(|edge, cx| edge.on_received_into(cx, conn, buf));
    }
    assert_eq!(rig.requests.len(), 1);
    assert!(largest >= 1 << 20);
    assert_eq!(rig.receiving, [CONN], "back to the shared buffers");
}

#[test]
fn answers_leave_in_the_order_of_the_requests_6() {
    let mut rig = Rig::new();
    let id = rig.create("t", 1, &[]);
    let poll = FetchRequest {
        max_wait_ms: 500,
        min_bytes: 1,
        max_bytes: 100,
        topics: vec![fetch::wanted("", id, &[0])],
        ..Default::default()
    };
    let mut both = BytesMut::from(&frame(ApiKey::Fetch, 13, 1, |out| poll.encode(13, out))[..]);
    both.extend_from_slice(&metadata(2));
    rig.send(both);
    assert_eq!(rig.reply(CONN), None, "the second waits for the first");
    let (_, to, _) = rig.question();
    rig.owner_answers(to, OwnerReply::Fetch(vec![fetch::data(1, &[10])]));
    let first = rig.reply(CONN).unwrap();
    body_of(ApiKey::Fetch, 13, 1, &first);
    let second = rig.reply(CONN).unwrap();
    body_of(ApiKey::Metadata, 9, 2, &second);
}

#[test]
fn too_many_requests_in_flight_stop_the_reading_until_answers_leave() {
    let mut rig = limited(SessionLimits {
        in_flight_max: 2,
        ..SessionLimits::default()
    });
    rig.create("t", 1, &[]);
    let one = |n| {
        let partitions = [ProducePartition {
            index: 0,
            records: Some(&b"batch"[..]),
        }];
        frame(ApiKey::Produce, 9, n, |out| {
            encode_request(9, (None, 1, 0), &[(TopicRef::Name("t"), &partitions)], out)
        })
    };
    let mut all = BytesMut::new();
    (0..4).for_each(|n| all.extend_from_slice(&one(n)));
    rig.send(all);
    assert_eq!(rig.requests.len(), 2);
    assert!(rig.receiving.is_empty(), "not read while two are in flight");
    for n in 0..4 {
        let (_, to, _) = rig.question();
        rig.owner_answers(
            to,
            OwnerReply::Produce(crate::partition::request::ProduceResult::refused(
                ErrorCode::KafkaStorageError,
                "x",
            )),
        );
        let reply = rig.reply(CONN).unwrap();
        body_of(ApiKey::Produce, 9, n, &reply);
    }
    assert_eq!(rig.receiving, [CONN]);
}

#[test]
fn a_client_that_does_not_read_its_answers_is_not_read_either() {
    let mut rig = limited(SessionLimits {
        reply_bytes_max: 100,
        ..SessionLimits::default()
    });
    rig.hold_sends = true;
    let read = (0..10).take_while(|n| {
        let reading = !rig.receiving.is_empty();
        if reading {
            rig.send(metadata(*n));
        }
        reading
    });
    assert!((1..5).contains(&read.count()));
    rig.hold_sends = false;
    rig.call(|edge, cx| edge.on_sent(cx, CONN, Ok(())));
    assert_eq!(rig.receiving, [CONN]);
}

#[test]
fn when_memory_is_short_slow_senders_harm_no_one_and_are_closed() {
    let mut rig = limited(SessionLimits {
        memory_bytes_max: 80 << 10,
        ..SessionLimits::default()
    });
    rig.create("t", 1, &[]);
    let start = big_produce(1 << 20).slice(..1000);
    let conns: Vec<_> = (0..5).map(|index| ConnId { index, generation: 1 }).collect();
    for conn in &conns[1..] {
        rig.connect(*conn);
    }
    for conn in &conns[..4] {
        rig.receive(*conn, start.clone());
    }
    // Two fit, a third may exceed the budget so that something always completes, the fourth waits.
    assert_eq!(rig.lent.len(), 3);
    assert!(rig.edge.memory_used() < 60 << 10);
    assert!(!rig.receiving.contains(&conns[3]));
    rig.receive(conns[4], metadata(1));
    assert!(rig.reply(conns[4]).is_some(), "small requests are served");
    rig.advance_ms(2_600);
    assert_eq!(rig.closed, conns[..4], "slower than the rate that a shortage asks for");
    assert_eq!((rig.edge.memory_used(), rig.edge.connections()), (0, 1));
}

#[test]
fn idle_connections_are_closed_10() {
    let mut rig = limited(SessionLimits {
        idle_ms_max: Some(60_000),
        ..SessionLimits::default()
    });
    rig.advance_ms(50_000);
    rig.send(metadata(1));
    rig.advance_ms(50_000);
    assert!(!rig.is_closed());
    rig.advance_ms(61_000);
    assert!(rig.is_closed());
    assert_eq!(rig.edge.next_deadline().is_some(), rig.edge.connections() > 0);
}

#[test]
fn a_congested_log_stops_producers_but_not_consumers() {
    let mut rig = Rig::new();
    rig.create("t", 1, &[]);
    rig.edge.set_congested(true);
    rig.send(metadata(1));
    rig.send(big_produce(100));
    assert!(rig.receiving.is_empty());
    rig.edge.set_congested(false);
    rig.call(|_, _| ());
    assert_eq!(rig.receiving, [CONN]);
}

#[test]
fn draining_answers_what_waits_and_closes() {
    let mut rig = Rig::new();
    let id = rig.create("t", 1, &[]);
    let poll = FetchRequest {
        max_wait_ms: 60_000,
        min_bytes: 1,
        max_bytes: 100,
        topics: vec![fetch::wanted("", id, &[0])],
        ..Default::default()
    };
    rig.send(frame(ApiKey::Fetch, 13, 1, |out| poll.encode(13, out)));
    let (_, to, _) = rig.question();
    rig.owner_answers(to, OwnerReply::Fetch(vec![fetch::nothing(3)]));
    rig.call(|edge, cx| edge.on_drain(cx));
    assert!(rig.reply(CONN).is_some(), "the long poll ends");
    assert!(rig.is_closed());
    assert!(rig.edge.drained());
    let late = ConnId {
        index: 1,
        generation: 1,
    };
    rig.connect(late);
    assert_eq!(rig.closed.last(), Some(&late));
}

#[test]
fn random_bytes_harm_nobody() {
    let mut seed = 1u64;
    let mut random = || {
        seed = seed
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) as u32
    };
    for round in 0..3000 {
        let mut rig = Rig::new();
        rig.create("t", 2, &[]);
        let range = crate::wire::api::APIS[random() as usize % crate::wire::api::APIS.len()];
        let version = range.min + (random() as i16).rem_euclid(range.max - range.min + 1);
        let mut body = BytesMut::new();
        crate::wire::header::put_request_header(&mut body, range.key, version, round, None);
        for _ in 0..random() % 60 {
            // Small numbers make plausible lengths.
            body.put_u8(if random() % 3 == 0 {
                random() as u8
            } else {
                (random() % 4) as u8
            });
        }
        rig.send(raw(&body));
        rig.run_controller();
        assert!(rig.edge.memory_used() < 1 << 20);
    }
}
