//! A connection: versions, order, what ends it.

use crate::batches::at;
use crate::rig::{Came, Rig, Topic, at_once};
use bytes::{BufMut, BytesMut};
use ringlog::base::ids::TopicId;
use ringlog::wire::api::{APIS, ApiKey};
use ringlog::wire::control::api_versions::{ApiVersions, ApiVersionsRequest, ApiVersionsResponse};
use ringlog::wire::control::init_producer_id::{InitProducerId, InitProducerIdRequest};
use ringlog::wire::control::metadata::{Metadata, MetadataRequest};
use ringlog::wire::error::ErrorCode;
use ringlog::wire::fetch::FetchRequest;
use ringlog::wire::header::read_response_header;
use ringlog::wire::message::Api;
use ringlog::wire::read::Reader;

fn client() -> ApiVersionsRequest {
    ApiVersionsRequest {
        client_software_name: "behaviour".into(),
        client_software_version: "1.0".into(),
    }
}

/// A request of which only the first bytes matter.
fn raw(key: i16, version: i16, correlation: i32, rest: &[u8]) -> BytesMut {
    let mut out = BytesMut::new();
    out.put_i32(8 + rest.len() as i32);
    out.put_i16(key);
    out.put_i16(version);
    out.put_i32(correlation);
    out.put_slice(rest);
    out
}

#[test]
fn versions_are_told_in_every_version_also_in_those_to_come_1_4_83() {
    let mut rig = Rig::new();
    for version in 0..=4 {
        let response = rig.ask::<ApiVersions>(version, &client());
        assert_eq!(response.error, ErrorCode::None);
        for range in APIS {
            let told = response
                .api_keys
                .iter()
                .find(|told| told.api_key == range.key.code())
                .unwrap();
            assert_eq!(
                (told.min_version, told.max_version),
                (range.min, range.max),
                "{:?}",
                range.key
            );
        }
    }
    for version in [5, 77, i16::MAX] {
        // No client id, no tags, and a body that nobody can know; ringlog looks at none of it, Kafka reads the header.
        let rest: &[u8] = if rig.is_own() { b"\x7f" } else { b"\xff\xff\x00" };
        rig.send(0, &raw(18, version, 77, &[rest, b"anything"].concat()));
        let Came::Frame(frame) = rig.came(0, 5_000) else {
            panic!("no answer")
        };
        let mut reader = Reader::new(&frame);
        assert_eq!(read_response_header(&mut reader, ApiKey::ApiVersions, 0).unwrap(), 77);
        let response: ApiVersionsResponse = ApiVersions::decode_response(0, &frame[reader.position()..]).unwrap();
        assert_eq!(response.error, ErrorCode::UnsupportedVersion);
        let versions = response.api_keys.iter().find(|told| told.api_key == 18).unwrap();
        assert_eq!((versions.min_version, versions.max_version), (0, 4));
    }
    assert_eq!(
        rig.ask::<ApiVersions>(4, &client()).error,
        ErrorCode::None,
        "the connection goes on"
    );
}

#[test]
fn no_feature_is_announced_that_is_not_there_84() {
    let mut rig = Rig::own(|_| ());
    for version in [3, 4] {
        let response = rig.ask::<ApiVersions>(version, &client());
        let names = response.finalized_features.iter().map(|feature| feature.name.as_str());
        assert_eq!(names.collect::<Vec<_>>(), ["group.version"]);
        let supported = response.supported_features.iter();
        assert!(
            supported
                .map(|feature| feature.name.as_str())
                .all(|name| name == "group.version")
        );
    }
}

#[test]
fn unknown_requests_end_the_connection_5() {
    let mut rig = Rig::new();
    for (key, version) in [(0, 2), (1, 3), (3, 14), (22, 7), (4, 0), (52, 0), (999, 0), (-1, 0)] {
        let conn = rig.connect();
        rig.send(conn, &raw(key, version, 1, &[0xff, 0xff, 0, 0, 0, 0]));
        assert_eq!(rig.came(conn, 5_000), Came::End, "key {key} version {version}");
    }
}

#[test]
fn requests_in_flight_are_answered_in_order_6() {
    let mut rig = Rig::new();
    let topic = rig.topic(1, &[]);
    let conn = rig.connect();
    let slow = FetchRequest {
        max_wait_ms: 400,
        ..at_once(vec![topic.wanted(&[(0, 0)])])
    };
    let first = rig.send_fetch(conn, 12, &slow);
    let metadata = rig.frame(ApiKey::Metadata, 9, |out| {
        Metadata::encode_request(&crate::metadata::by_name(&[], false), 9, out)
    });
    let second = rig.last();
    rig.send(conn, &metadata);
    let batch = at(&[rig.now_ms()]);
    let third = rig.send_produce(conn, 9, -1, &topic, &[(0, &batch)]);
    rig.fetched(conn, 12, first);
    rig.body(conn, ApiKey::Metadata, 9, second);
    assert_eq!(
        rig.produced(conn, 9, third).topics[0].partitions[0].error,
        ErrorCode::None
    );
}

#[test]
fn errors_have_the_layout_of_the_requests_version_8() {
    let mut rig = Rig::new();
    let gone = Topic {
        name: rig.name("gone"),
        id: TopicId([7; 16]),
    };
    let batch = at(&[rig.now_ms()]);
    for version in 3..=13 {
        let correlation = rig.send_produce(0, version, -1, &gone, &[(0, &batch)]);
        let response = rig.produced(0, version, correlation);
        assert_ne!(response.topics[0].partitions[0].error, ErrorCode::None);
        assert_eq!(response.throttle_time_ms, 0);
    }
    for version in 4..=18 {
        let response = rig.fetch_all(version, &at_once(vec![gone.wanted(&[(0, 0)])]));
        assert_ne!(response.topics[0].partitions[0].error, ErrorCode::None);
        assert_eq!((response.throttle_time_ms, response.session_id), (0, 0));
    }
    for version in 0..=13 {
        let response = rig.ask::<Metadata>(version, &crate::metadata::by_name(&["no name"], false));
        assert_eq!(response.topics[0].error, ErrorCode::InvalidTopicException);
    }
    for version in 0..=5 {
        let request = InitProducerIdRequest {
            transactional_id: Some(String::new()),
            ..Default::default()
        };
        let response = rig.ask::<InitProducerId>(version, &request);
        assert_eq!((response.error, response.producer_id), (ErrorCode::InvalidRequest, -1));
    }
}

#[test]
fn null_and_empty_lists_of_topics_differ_by_version_9() {
    let mut rig = Rig::new();
    let topic = rig.topic(1, &[]);
    let shows = |rig: &mut Rig, version, topics: Option<Vec<_>>| {
        let request = MetadataRequest {
            topics,
            ..Default::default()
        };
        let response = rig.ask::<Metadata>(version, &request);
        response
            .topics
            .iter()
            .any(|shown| shown.name.as_ref() == Some(&topic.name))
    };
    assert!(shows(&mut rig, 0, Some(vec![])));
    for version in 1..=13 {
        assert!(shows(&mut rig, version, None), "null is all in version {version}");
        assert!(
            !shows(&mut rig, version, Some(vec![])),
            "empty is none in version {version}"
        );
    }
}
