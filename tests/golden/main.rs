//! The codecs against bytes written by Apache Kafka's own classes; README.md says where they come from.

#![allow(clippy::unwrap_used)]

use bytes::{Bytes, BytesMut};
use ringlog::wire::api::{APIS, ApiKey, ApiRange, NOT_SERVED};
use ringlog::wire::batch::{
    BatchBuilder, BatchView, CONTROL, TRANSACTIONAL, TimestampType, patch_log_append_time, recompress,
};
use ringlog::wire::compress::Compression;
use ringlog::wire::control::acls::{CreateAcls, DeleteAcls, DescribeAcls};
use ringlog::wire::control::alter_configs::{AlterConfigs, IncrementalAlterConfigs};
use ringlog::wire::control::api_versions::ApiVersions;
use ringlog::wire::control::client_quotas::{AlterClientQuotas, DescribeClientQuotas};
use ringlog::wire::control::create_partitions::CreatePartitions;
use ringlog::wire::control::create_topics::CreateTopics;
use ringlog::wire::control::delete_records::DeleteRecords;
use ringlog::wire::control::delete_topics::DeleteTopics;
use ringlog::wire::control::describe_cluster::DescribeCluster;
use ringlog::wire::control::describe_configs::DescribeConfigs;
use ringlog::wire::control::describe_producers::DescribeProducers;
use ringlog::wire::control::describe_topic_partitions::DescribeTopicPartitions;
use ringlog::wire::control::elect_leaders::ElectLeaders;
use ringlog::wire::control::init_producer_id::InitProducerId;
use ringlog::wire::control::list_config_resources::ListConfigResources;
use ringlog::wire::control::list_offsets::ListOffsets;
use ringlog::wire::control::list_transactions::{DescribeTransactions, ListTransactions};
use ringlog::wire::control::log_dirs::{AlterReplicaLogDirs, DescribeLogDirs};
use ringlog::wire::control::metadata::Metadata;
use ringlog::wire::control::offset_for_leader_epoch::OffsetForLeaderEpoch;
use ringlog::wire::control::reassignments::{AlterPartitionReassignments, ListPartitionReassignments};
use ringlog::wire::control::scram_credentials::{AlterUserScramCredentials, DescribeUserScramCredentials};
use ringlog::wire::error::ErrorCode;
use ringlog::wire::fetch::{FetchRequest, FetchResponse};
use ringlog::wire::group::consumer_group_describe::ConsumerGroupDescribe;
use ringlog::wire::group::consumer_group_heartbeat::ConsumerGroupHeartbeat;
use ringlog::wire::group::delete_groups::DeleteGroups;
use ringlog::wire::group::describe_groups::DescribeGroups;
use ringlog::wire::group::find_coordinator::FindCoordinator;
use ringlog::wire::group::heartbeat::Heartbeat;
use ringlog::wire::group::join_group::JoinGroup;
use ringlog::wire::group::leave_group::LeaveGroup;
use ringlog::wire::group::list_groups::ListGroups;
use ringlog::wire::group::offset_commit::OffsetCommit;
use ringlog::wire::group::offset_delete::OffsetDelete;
use ringlog::wire::group::offset_fetch::OffsetFetch;
use ringlog::wire::group::sync_group::SyncGroup;
use ringlog::wire::header::response_header_len;
use ringlog::wire::message::Api;
use ringlog::wire::produce::{self, ProduceRequest, ProduceResponse};
use ringlog::wire::read::Read;
use ringlog::wire::record::Records;
use ringlog::wire::throttle;
use std::collections::BTreeSet;

#[cfg(feature = "runtime")]
mod group_fields;
mod groups;
#[cfg(feature = "runtime")]
mod oracle;

const MESSAGES: &str = include_str!("messages.txt");
const BATCHES: &str = include_str!("batches.txt");
const TABLE: &str = include_str!("apis.txt");

fn lines(text: &str) -> impl Iterator<Item = Vec<&str>> {
    text.lines()
        .filter(|line| !line.starts_with('#'))
        .map(|line| line.split(' ').collect())
}

/// All that our codecs know, served or not.
fn known() -> impl Iterator<Item = &'static ApiRange> {
    APIS.iter().chain(NOT_SERVED)
}

fn unhex(text: &str) -> Bytes {
    let digits = |at: usize| u8::from_str_radix(&text[at..at + 2], 16).unwrap();
    (0..text.len()).step_by(2).map(digits).collect()
}

/// Decodes a body and encodes what was understood.
fn again(api: &str, response: bool, version: i16, body: &Bytes) -> Read<BytesMut> {
    fn control<A: Api>(response: bool, version: i16, body: &[u8]) -> Read<BytesMut> {
        let mut out = BytesMut::new();
        match response {
            false => A::encode_request(&A::decode(version, body)?, version, &mut out),
            true => A::encode(&A::decode_response(version, body)?, version, &mut out),
        }
        Ok(out)
    }
    match api {
        "Produce" => produce_again(response, version, body),
        "Fetch" => fetch_again(response, version, body),
        "ListOffsets" => control::<ListOffsets>(response, version, body),
        "Metadata" => control::<Metadata>(response, version, body),
        "ApiVersions" => control::<ApiVersions>(response, version, body),
        "CreateTopics" => control::<CreateTopics>(response, version, body),
        "DeleteTopics" => control::<DeleteTopics>(response, version, body),
        "DeleteRecords" => control::<DeleteRecords>(response, version, body),
        "InitProducerId" => control::<InitProducerId>(response, version, body),
        "OffsetForLeaderEpoch" => control::<OffsetForLeaderEpoch>(response, version, body),
        "DescribeAcls" => control::<DescribeAcls>(response, version, body),
        "CreateAcls" => control::<CreateAcls>(response, version, body),
        "DeleteAcls" => control::<DeleteAcls>(response, version, body),
        "DescribeConfigs" => control::<DescribeConfigs>(response, version, body),
        "AlterConfigs" => control::<AlterConfigs>(response, version, body),
        "CreatePartitions" => control::<CreatePartitions>(response, version, body),
        "IncrementalAlterConfigs" => control::<IncrementalAlterConfigs>(response, version, body),
        "DescribeCluster" => control::<DescribeCluster>(response, version, body),
        "DescribeTopicPartitions" => control::<DescribeTopicPartitions>(response, version, body),
        "OffsetCommit" => control::<OffsetCommit>(response, version, body),
        "OffsetFetch" => control::<OffsetFetch>(response, version, body),
        "FindCoordinator" => control::<FindCoordinator>(response, version, body),
        "JoinGroup" => control::<JoinGroup>(response, version, body),
        "Heartbeat" => control::<Heartbeat>(response, version, body),
        "LeaveGroup" => control::<LeaveGroup>(response, version, body),
        "SyncGroup" => control::<SyncGroup>(response, version, body),
        "DescribeGroups" => control::<DescribeGroups>(response, version, body),
        "ListGroups" => control::<ListGroups>(response, version, body),
        "DeleteGroups" => control::<DeleteGroups>(response, version, body),
        "OffsetDelete" => control::<OffsetDelete>(response, version, body),
        "ConsumerGroupHeartbeat" => control::<ConsumerGroupHeartbeat>(response, version, body),
        "ConsumerGroupDescribe" => control::<ConsumerGroupDescribe>(response, version, body),
        "DescribeLogDirs" => control::<DescribeLogDirs>(response, version, body),
        "AlterReplicaLogDirs" => control::<AlterReplicaLogDirs>(response, version, body),
        "ElectLeaders" => control::<ElectLeaders>(response, version, body),
        "AlterPartitionReassignments" => control::<AlterPartitionReassignments>(response, version, body),
        "ListPartitionReassignments" => control::<ListPartitionReassignments>(response, version, body),
        "DescribeProducers" => control::<DescribeProducers>(response, version, body),
        "DescribeTransactions" => control::<DescribeTransactions>(response, version, body),
        "ListTransactions" => control::<ListTransactions>(response, version, body),
        "DescribeClientQuotas" => control::<DescribeClientQuotas>(response, version, body),
        "AlterClientQuotas" => control::<AlterClientQuotas>(response, version, body),
        "DescribeUserScramCredentials" => control::<DescribeUserScramCredentials>(response, version, body),
        "AlterUserScramCredentials" => control::<AlterUserScramCredentials>(response, version, body),
        "ListConfigResources" => control::<ListConfigResources>(response, version, body),
        other => panic!("no codec for {other}"),
    }
}

fn produce_again(response: bool, version: i16, body: &[u8]) -> Read<BytesMut> {
    let mut out = BytesMut::new();
    if response {
        ProduceResponse::decode(version, body)?.encode(version, &mut out);
        return Ok(out);
    }
    let request = ProduceRequest::decode(version, body)?;
    let topics: Vec<_> = request
        .topics()
        .map(|topic| (topic.topic, topic.partitions().collect::<Vec<_>>()))
        .collect();
    let topics: Vec<_> = topics
        .iter()
        .map(|(topic, partitions)| (*topic, &partitions[..]))
        .collect();
    let head = (request.transactional_id, request.acks, request.timeout_ms);
    produce::encode_request(version, head, &topics, &mut out);
    Ok(out)
}

fn fetch_again(response: bool, version: i16, body: &Bytes) -> Read<BytesMut> {
    let mut out = BytesMut::new();
    if response {
        let frame = FetchResponse::decode(version, body)?.frame(version, 7).concat();
        let header = 4 + response_header_len(ApiKey::Fetch, version);
        assert_eq!(frame[..4], (frame.len() as i32 - 4).to_be_bytes(), "frame length");
        out.extend_from_slice(&frame[header..]);
    } else {
        FetchRequest::decode(version, body)?.encode(version, &mut out);
    }
    Ok(out)
}

#[test]
fn every_message_of_every_version_is_understood_and_written_as_kafka_does() {
    let mut seen = BTreeSet::new();
    for line in lines(MESSAGES) {
        let [api, side, version, variant, bytes] = line[..] else {
            panic!("{line:?}")
        };
        let version: i16 = version.parse().unwrap();
        let body = unhex(bytes);
        let name = format!("{api} {side} v{version} variant {variant}");
        let written = again(api, side == "response", version, &body).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(format!("{:x}", written.freeze()), bytes, "{name}");
        seen.insert((api, side, version));
    }
    for range in known() {
        for version in range.served_from..=range.max {
            for side in ["request", "response"] {
                let name = format!("{:?}", range.key);
                assert!(
                    seen.contains(&(&name[..], side, version)),
                    "no vector for {name} {side} v{version}"
                );
            }
        }
    }
}

#[test]
fn a_message_cut_anywhere_is_refused_and_only_a_request_may_be_followed_by_more() {
    for line in lines(MESSAGES) {
        let [api, side, version, _, bytes] = line[..] else {
            panic!("{line:?}")
        };
        let (response, version) = (side == "response", version.parse().unwrap());
        let body = unhex(bytes);
        for len in 0..body.len() {
            let cut = body.slice(..len);
            assert!(
                again(api, response, version, &cut).is_err(),
                "{api} {side} v{version} cut to {len} bytes"
            );
        }
        // Kafka leaves what follows a request unread, and librdkafka relies on it.
        let longer = [&body[..], &[0]].concat().into();
        match again(api, response, version, &longer) {
            Ok(written) => assert!(!response && written == body, "{api} {side} v{version} with a byte more"),
            Err(error) => assert!(response, "{api} {side} v{version} with a byte more: {error}"),
        }
    }
}

/// The throttle time in a response body.
fn throttle_time(api: &str, version: i16, body: &[u8]) -> i32 {
    macro_rules! of {
        ($($api:ident)*) => {
            match api {
                $(stringify!($api) => $api::decode_response(version, body).unwrap().throttle_time_ms,)*
                other => panic!("no codec for {other}"),
            }
        };
    }
    of!(
        ListOffsets Metadata CreateTopics DeleteTopics DeleteRecords InitProducerId
        OffsetForLeaderEpoch DescribeAcls CreateAcls DeleteAcls DescribeConfigs AlterConfigs
        CreatePartitions IncrementalAlterConfigs DescribeCluster DescribeTopicPartitions OffsetCommit OffsetFetch
        FindCoordinator JoinGroup Heartbeat LeaveGroup SyncGroup DescribeGroups
        ListGroups DeleteGroups OffsetDelete ConsumerGroupHeartbeat ConsumerGroupDescribe DescribeLogDirs
        AlterReplicaLogDirs ElectLeaders AlterPartitionReassignments ListPartitionReassignments DescribeProducers DescribeTransactions
        ListTransactions DescribeClientQuotas AlterClientQuotas DescribeUserScramCredentials AlterUserScramCredentials ListConfigResources
    )
}

#[test]
fn the_throttle_time_is_where_the_table_says() {
    let mut seen = BTreeSet::new();
    for line in lines(MESSAGES).filter(|line| line[1] == "response") {
        let (api, version): (&str, i16) = (line[0], line[2].parse().unwrap());
        let range = known().find(|range| format!("{:?}", range.key) == api).unwrap();
        if matches!(range.key, ApiKey::Produce | ApiKey::Fetch | ApiKey::ApiVersions) {
            continue;
        }
        let mut body = unhex(line[4]).to_vec();
        let Some(at) = throttle::place(range.key, version) else {
            assert_eq!(throttle_time(api, version, &body), 0, "{api} v{version} has none");
            continue;
        };
        body[at..at + 4].copy_from_slice(&123_456i32.to_be_bytes());
        assert_eq!(throttle_time(api, version, &body), 123_456, "{api} v{version}");
        seen.insert(api);
    }
    assert_eq!(seen.len(), known().count() - 3, "every API but those three");
}

#[test]
fn the_advertised_ranges_are_those_of_kafka() {
    for range in known() {
        let line = lines(TABLE)
            .find(|line| line[0] == range.key.code().to_string())
            .unwrap_or_else(|| panic!("{:?} is no broker API of Kafka", range.key));
        let number = |at: usize| line[at].parse::<i16>().unwrap();
        assert_eq!(line[1], format!("{:?}", range.key));
        assert_eq!(
            (range.served_from, range.max, range.flexible_from),
            (number(2), number(3), number(4))
        );
        assert!(range.min == number(2) || range.key == ApiKey::Produce);
    }
}

/// One record of a vector: offset, timestamp, then key, value and headers.
struct Expected {
    offset: i64,
    timestamp: i64,
    key: Option<Bytes>,
    value: Option<Bytes>,
    headers: Vec<(Bytes, Option<Bytes>)>,
}

struct Vector<'a> {
    name: &'a str,
    batch: Bytes,
    records: Vec<Expected>,
}

fn vectors() -> Vec<Vector<'static>> {
    let field = |text: &str| text.strip_prefix('=').map(unhex);
    let mut vectors: Vec<Vector<'static>> = Vec::new();
    for line in lines(BATCHES) {
        match line[0] {
            "batch" => vectors.push(Vector {
                name: line[1],
                batch: unhex(line[2]),
                records: Vec::new(),
            }),
            _ => vectors.last_mut().unwrap().records.push(Expected {
                offset: line[1].parse().unwrap(),
                timestamp: line[2].parse().unwrap(),
                key: field(line[3]),
                value: field(line[4]),
                headers: line[5..]
                    .chunks(2)
                    .map(|pair| (field(pair[0]).unwrap(), field(pair[1])))
                    .collect(),
            }),
        }
    }
    vectors
}

fn assert_records(name: &str, batch: &[u8], expected: &[Expected]) {
    let view = BatchView::parse(batch).unwrap();
    assert!(view.crc_matches(), "{name}: checksum");
    let info = view.info();
    let body = view.decompressed(1 << 20).unwrap();
    let records: Vec<_> = Records::new(&body, info.record_count).map(Result::unwrap).collect();
    assert_eq!(records.len(), expected.len(), "{name}");
    for (record, expected) in records.iter().zip(expected) {
        assert_eq!(
            info.base_offset + i64::from(record.offset_delta),
            expected.offset,
            "{name}"
        );
        assert_eq!(
            info.record_timestamp(record.timestamp_delta),
            expected.timestamp,
            "{name}"
        );
        assert_eq!(record.key, expected.key.as_deref(), "{name}");
        assert_eq!(record.value, expected.value.as_deref(), "{name}");
        let headers: Vec<_> = record.headers().map(|header| (header.key, header.value)).collect();
        let wanted: Vec<_> = expected
            .headers
            .iter()
            .map(|(key, value)| (&key[..], value.as_deref()))
            .collect();
        assert_eq!(headers, wanted, "{name}");
    }
}

#[test]
fn batches_of_every_codec_and_kind_give_their_records() {
    let vectors = vectors();
    assert_eq!(vectors.len(), 14);
    for vector in &vectors {
        let view = BatchView::parse(&vector.batch).unwrap();
        let info = view.info();
        let control = vector.name.starts_with("marker");
        assert_eq!(
            view.verify().map_err(|refusal| refusal.0).err(),
            control.then_some(ErrorCode::InvalidRecord)
        );
        assert_eq!(info.is_control(), control, "{}", vector.name);
        assert_eq!(info.is_transactional(), control || vector.name == "transactional");
        assert_eq!(
            info.timestamp_type() == TimestampType::LogAppendTime,
            vector.name == "log-append-time"
        );
        let named = Compression::ALL
            .into_iter()
            .find(|codec| vector.name.starts_with(codec.name()));
        assert_eq!(info.compression(), named.unwrap_or_default(), "{}", vector.name);
        assert_records(vector.name, &vector.batch, &vector.records);
    }
}

#[test]
fn the_builder_and_the_time_patch_write_the_same_bytes_as_kafka() {
    for vector in vectors() {
        let view = BatchView::parse(&vector.batch).unwrap();
        let info = view.info();
        if info.compression() != Compression::None {
            continue;
        }
        let mut builder = BatchBuilder::new()
            .at(info.base_offset, info.partition_leader_epoch)
            .producer(info.producer_id, info.producer_epoch, info.base_sequence)
            .attributes(info.attributes & (TRANSACTIONAL | CONTROL));
        for record in Records::new(view.body(), info.record_count).map(Result::unwrap) {
            let headers: Vec<_> = record.headers().collect();
            builder.append(
                info.base_timestamp + record.timestamp_delta,
                record.key,
                record.value,
                &headers,
            );
        }
        let mut built = builder.build().unwrap();
        if info.timestamp_type() == TimestampType::LogAppendTime {
            patch_log_append_time(&mut built, info.max_timestamp);
        }
        assert_eq!(
            format!("{:x}", Bytes::from(built)),
            format!("{:x}", vector.batch),
            "{}",
            vector.name
        );
    }
}

#[test]
fn recompression_from_and_to_every_codec_keeps_every_record() {
    for vector in vectors() {
        for codec in Compression::ALL {
            let view = BatchView::parse(&vector.batch).unwrap();
            let other = recompress(&view, codec, 1 << 20).unwrap();
            let name = format!("{} to {}", vector.name, codec.name());
            assert_eq!(BatchView::parse(&other).unwrap().info().compression(), codec, "{name}");
            assert_records(&name, &other, &vector.records);
        }
    }
}
