//! Bytes that no client sends: every decoder refuses them before it takes memory for what they claim.

use crate::wire::any::decode_any;
use crate::wire::api::{APIS, ApiKey, ApiRange, Lookup, NOT_SERVED, lookup};
use crate::wire::control::api_versions::{self, ApiVersionsRequest};
use crate::wire::control::metadata::{Metadata, MetadataRequest, Wanted};
use crate::wire::error::{DecodeError, Fault};
use crate::wire::fetch::FetchRequest;
use crate::wire::group::consumer_protocol::{ConsumerAssignment, ConsumerSubscription};
use crate::wire::group::records::{GroupKey, GroupMetadataMember, GroupMetadataValue, GroupRecord};
use crate::wire::group::sync_group::{SyncGroup, SyncGroupAssignment, SyncGroupRequest};
use crate::wire::guard::{Budget, DECODE_BUDGET};
use crate::wire::header::{RequestHeader, RequestPeek};
use crate::wire::message::Api;
use crate::wire::produce::ProduceRequest;
use bytes::BytesMut;
use proptest::prelude::*;

fn decode(key: ApiKey, version: i16, body: &[u8]) -> Result<(), DecodeError> {
    match key {
        ApiKey::Produce => ProduceRequest::decode(version, body).map(drop),
        ApiKey::Fetch => FetchRequest::decode(version, body).map(drop),
        _ => decode_any(key, version, body, Budget::default()),
    }
}

/// All that is decoded, advertised or not.
fn known() -> impl Iterator<Item = &'static ApiRange> {
    APIS.iter().chain(NOT_SERVED)
}

fn versions() -> impl Iterator<Item = (ApiKey, i16)> {
    known().flat_map(|range| (range.served_from..=range.max).map(|version| (range.key, version)))
}

#[test]
fn every_row_of_the_table_has_its_decoder() {
    for range in known() {
        for version in [i16::MIN, -1, range.served_from - 1, range.max + 1, i16::MAX] {
            let error = decode(range.key, version, &[]).unwrap_err();
            assert!(
                matches!(error.fault, Fault::Unsupported { .. }),
                "{:?} v{version}: {error}",
                range.key
            );
        }
    }
}

#[test]
fn huge_counts_are_refused_by_every_request() {
    let mut accepted = Vec::new();
    for (key, version) in versions() {
        for filler in [0x7f, 0xff, 0x80, 0xfe] {
            if decode(key, version, &[filler; 64]).is_ok() && !accepted.contains(&key) {
                accepted.push(key);
            }
        }
    }
    accepted.sort();
    // Without counts, or with -1 for null: "all topics", the empty old ListGroups and ApiVersions, no transactional id, any ACL,
    // all partitions.
    let harmless = [
        ApiKey::Metadata,
        ApiKey::ListGroups,
        ApiKey::ApiVersions,
        ApiKey::InitProducerId,
        ApiKey::DescribeAcls,
        ApiKey::DescribeLogDirs,
        ApiKey::ElectLeaders,
    ];
    assert_eq!(accepted, harmless);
}

#[test]
fn a_count_beyond_the_body_names_its_place() {
    let error = Metadata::decode(0, &[0x7f, 0xff, 0xff, 0xff, 0, 0]).unwrap_err();
    assert_eq!(error.at, 0);
    let count = i32::MAX as u64;
    assert_eq!(error.fault, Fault::CountTooLarge { count, left: 2 });
    assert_eq!(error.to_string(), "byte 0: 2147483647 elements cannot fit into 2 bytes");
}

#[test]
fn small_elements_that_grow_in_memory_are_bounded_by_the_budget() {
    let count = 1_000_000;
    let mut body = (count as i32).to_be_bytes().to_vec();
    body.resize(4 + 2 * count, 0);
    let error = Metadata::decode(0, &body).unwrap_err();
    assert_eq!(error.fault, Fault::OverBudget);
    let request = Metadata::decode_within(0, &body, Budget::new(16 * DECODE_BUDGET)).unwrap();
    assert!(matches!(request.wanted(0), Wanted::Listed(topics) if topics.len() == count));
}

#[test]
fn what_a_group_member_says_is_copied_within_the_budget_only() {
    let opaque = vec![7; DECODE_BUDGET];
    let request = SyncGroupRequest {
        assignments: vec![SyncGroupAssignment {
            member_id: "m".into(),
            assignment: opaque.into(),
        }],
        ..SyncGroupRequest::default()
    };
    for version in [0, 5] {
        let mut body = BytesMut::new();
        SyncGroup::encode_request(&request, version, &mut body);
        let error = SyncGroup::decode(version, &body).unwrap_err();
        assert_eq!(error.fault, Fault::OverBudget);
        let decoded = SyncGroup::decode_within(version, &body, Budget::new(2 * DECODE_BUDGET));
        assert_eq!(decoded.as_ref(), Ok(&request));
    }
}

#[test]
fn what_a_group_has_stored_claims_no_more_than_is_there() {
    let group = [0, 2, 0, 1, b'g'];
    let mut value = GroupMetadataValue::default();
    value.members.push(GroupMetadataMember::default());
    let key = GroupKey { group_id: "g".into() };
    let stored = GroupRecord::GroupMetadata(key, Some(value)).encode_value(3).unwrap();
    let mut value = stored.to_vec();
    // version, protocol type, generation, protocol, leader, time of the state: then the count of members.
    value[22..26].copy_from_slice(&i32::MAX.to_be_bytes());
    let error = GroupRecord::decode(&group, Some(&value)).unwrap_err();
    assert!(matches!(error.fault, Fault::CountTooLarge { .. }), "{error}");
    let mut topics = vec![0, 3, 0x7f, 0xff, 0xff, 0xff];
    topics.resize(1 << 10, 0);
    let error = ConsumerSubscription::decode(&topics, Budget::default()).unwrap_err();
    assert!(matches!(error.fault, Fault::CountTooLarge { .. }), "{error}");
}

#[test]
fn null_and_empty_topics_mean_different_things_by_version() {
    let wanted = |version, body: &[u8]| {
        let request: MetadataRequest = Metadata::decode(version, body).unwrap();
        matches!(request.wanted(version), Wanted::All)
    };
    assert!(wanted(0, &[0, 0, 0, 0]));
    assert!(!wanted(1, &[0, 0, 0, 0]));
    assert!(wanted(1, &[255, 255, 255, 255]));
    assert!(wanted(9, &[0, 1, 0, 0, 0]));
    assert!(!wanted(9, &[1, 1, 0, 0, 0]));
    let error = Metadata::decode(0, &[255, 255, 255, 255]).unwrap_err();
    assert_eq!(error.fault, Fault::UnexpectedNull);
}

#[test]
fn the_fallback_can_be_read_by_a_client_of_any_version() {
    let frame = api_versions::fallback(99);
    assert_eq!(frame[..4], (frame.len() as i32 - 4).to_be_bytes());
    assert_eq!(frame[4..8], 99i32.to_be_bytes());
    let response = api_versions::ApiVersions::decode_response(0, &frame[8..]).unwrap();
    assert_eq!(response.error.code(), 35);
    assert_eq!(response.api_keys.len(), APIS.len());
    assert!(
        response
            .api_keys
            .iter()
            .any(|key| (key.api_key, key.min_version, key.max_version) == (18, 0, 4))
    );
    assert!(
        response
            .api_keys
            .iter()
            .any(|key| (key.api_key, key.min_version, key.max_version) == (0, 0, 13))
    );
}

#[test]
fn client_software_names_follow_kip_511() {
    let valid = |name: &str, version| {
        let request = ApiVersionsRequest {
            client_software_name: name.into(),
            client_software_version: "1.0".into(),
        };
        request.is_valid(version)
    };
    assert!(valid("apache-kafka-java", 3) && valid("a", 4) && valid("a.b-c", 3));
    assert!(
        !valid("", 3) && !valid("-a", 3) && !valid("a.", 3) && !valid("a b", 3) && !valid("a_b", 3) && !valid("é", 3)
    );
    assert!(valid("", 2), "not part of version 2");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn any_frame_is_decoded_or_refused(frame in proptest::collection::vec(any::<u8>(), 0..200)) {
        if let Ok(peek) = RequestPeek::of(&frame) {
            let served = matches!(peek.lookup(), Lookup::Served(_));
            let header = RequestHeader::parse(&frame);
            prop_assert!(served || header.is_err());
            if let Ok(header) = header {
                let _ = decode(header.api_key, header.api_version, header.body);
            }
        }
    }

    #[test]
    fn any_body_is_decoded_or_refused(
        (key, version) in proptest::sample::select(versions().collect::<Vec<_>>()),
        body in proptest::collection::vec(prop_oneof![Just(0u8), Just(1), Just(2), any::<u8>()], 0..120),
    ) {
        let advertised = APIS.iter().any(|range| range.key == key);
        prop_assert_eq!(lookup(key.code(), version) == Lookup::Served(key), advertised);
        let _ = decode(key, version, &body);
    }

    #[test]
    fn any_group_record_and_subscription_is_decoded_or_refused(
        (record, version) in (0u8..20, 0u8..6),
        key in proptest::collection::vec(prop_oneof![Just(0u8), Just(1), any::<u8>()], 0..20),
        value in proptest::collection::vec(prop_oneof![Just(0u8), Just(1), Just(2), any::<u8>()], 0..120),
    ) {
        let key = [&[0, record][..], &key].concat();
        let value = [&[0, version][..], &value].concat();
        let known = matches!(record, 0..=8 | 16);
        if !known {
            prop_assert_eq!(GroupRecord::decode(&key, Some(&value)), Ok(None));
        }
        let _ = GroupRecord::decode(&key, Some(&value));
        let _ = ConsumerSubscription::decode(&value, Budget::default());
        let _ = ConsumerAssignment::decode(&value, Budget::default());
    }
}
