//! Every message of groups in every version, both directions, their records, and what consumers say in their group: the first
//! bytes choose which, the rest is the body. What is understood must mean the same after it is written and read again.
#![no_main]

use bytes::BytesMut;
use libfuzzer_sys::fuzz_target;
use ringlog::wire::group::consumer_group_describe::ConsumerGroupDescribe;
use ringlog::wire::group::consumer_group_heartbeat::ConsumerGroupHeartbeat;
use ringlog::wire::group::consumer_protocol::{ConsumerAssignment, ConsumerSubscription, MAX_VERSION};
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
use ringlog::wire::group::records::GroupRecord;
use ringlog::wire::group::sync_group::SyncGroup;
use ringlog::wire::guard::Budget;
use ringlog::wire::message::Api;
use std::fmt::Debug;

fn check<A: Api<Request: PartialEq + Debug, Response: PartialEq + Debug>>(response: bool, version: u8, body: &[u8]) {
    let range = A::KEY.range();
    let version = range.served_from + i16::from(version) % (range.max - range.served_from + 1);
    let mut out = BytesMut::new();
    if response {
        let Ok(message) = A::decode_response(version, body) else {
            return;
        };
        A::encode(&message, version, &mut out);
        assert_eq!(A::decode_response(version, &out).as_ref(), Ok(&message));
    } else {
        let Ok(message) = A::decode(version, body) else { return };
        A::encode_request(&message, version, &mut out);
        assert_eq!(A::decode(version, &out).as_ref(), Ok(&message));
    }
}

fn record(key_len: u8, bytes: &[u8]) {
    let Some((key, value)) = bytes.split_at_checked(key_len.into()) else {
        return;
    };
    let Ok(Some(record)) = GroupRecord::decode(key, Some(value)) else {
        return;
    };
    let version = i16::from_be_bytes([value[0], value[1]]);
    let same = record.encode_value(version);
    let again = GroupRecord::decode(&record.encode_key(), same.as_deref());
    assert_eq!(again.as_ref(), Ok(&Some(record)));
}

macro_rules! blob {
    ($name:ident, $bytes:expr) => {
        if let Ok(blob) = $name::decode($bytes, Budget::default()) {
            let again = $name::decode(&blob.encode(MAX_VERSION), Budget::default());
            assert_eq!(again.as_ref(), Ok(&blob));
        }
    };
}

fuzz_target!(|input: &[u8]| {
    let [api, version, body @ ..] = input else { return };
    let response = api & 0x80 != 0;
    match (api & 0x7f) % 16 {
        0 => check::<FindCoordinator>(response, *version, body),
        1 => check::<JoinGroup>(response, *version, body),
        2 => check::<SyncGroup>(response, *version, body),
        3 => check::<Heartbeat>(response, *version, body),
        4 => check::<LeaveGroup>(response, *version, body),
        5 => check::<OffsetCommit>(response, *version, body),
        6 => check::<OffsetFetch>(response, *version, body),
        7 => check::<DescribeGroups>(response, *version, body),
        8 => check::<ListGroups>(response, *version, body),
        9 => check::<DeleteGroups>(response, *version, body),
        10 => check::<OffsetDelete>(response, *version, body),
        11 => check::<ConsumerGroupHeartbeat>(response, *version, body),
        12 => check::<ConsumerGroupDescribe>(response, *version, body),
        13 => record(*version, body),
        14 => blob!(ConsumerSubscription, body),
        _ => blob!(ConsumerAssignment, body),
    }
});
