//! Every control message in every version, both directions: the first bytes choose which, the rest is the body. What is
//! understood must mean the same after it is written and read again.
#![no_main]

use bytes::BytesMut;
use libfuzzer_sys::fuzz_target;
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
        assert_same(A::decode_response(version, &out).as_ref().ok(), Some(&message));
    } else {
        let Ok(message) = A::decode(version, body) else { return };
        A::encode_request(&message, version, &mut out);
        assert_same(A::decode(version, &out).as_ref().ok(), Some(&message));
    }
}

/// Equal, or the same text: what is not a number is not equal to itself.
fn assert_same<T: PartialEq + Debug>(one: T, other: T) {
    assert!(one == other || format!("{one:?}") == format!("{other:?}"), "{one:?} is not {other:?}");
}

fuzz_target!(|input: &[u8]| {
    let [api, version, body @ ..] = input else { return };
    let response = api & 0x80 != 0;
    match (api & 0x7f) % 30 {
        0 => check::<ApiVersions>(response, *version, body),
        1 => check::<Metadata>(response, *version, body),
        2 => check::<ListOffsets>(response, *version, body),
        3 => check::<CreateTopics>(response, *version, body),
        4 => check::<DeleteTopics>(response, *version, body),
        5 => check::<DeleteRecords>(response, *version, body),
        6 => check::<InitProducerId>(response, *version, body),
        7 => check::<OffsetForLeaderEpoch>(response, *version, body),
        8 => check::<DescribeAcls>(response, *version, body),
        9 => check::<CreateAcls>(response, *version, body),
        10 => check::<DeleteAcls>(response, *version, body),
        11 => check::<DescribeConfigs>(response, *version, body),
        12 => check::<AlterConfigs>(response, *version, body),
        13 => check::<CreatePartitions>(response, *version, body),
        14 => check::<IncrementalAlterConfigs>(response, *version, body),
        15 => check::<DescribeCluster>(response, *version, body),
        16 => check::<DescribeTopicPartitions>(response, *version, body),
        17 => check::<DescribeLogDirs>(response, *version, body),
        18 => check::<AlterReplicaLogDirs>(response, *version, body),
        19 => check::<ElectLeaders>(response, *version, body),
        20 => check::<AlterPartitionReassignments>(response, *version, body),
        21 => check::<ListPartitionReassignments>(response, *version, body),
        22 => check::<DescribeProducers>(response, *version, body),
        23 => check::<DescribeTransactions>(response, *version, body),
        24 => check::<ListTransactions>(response, *version, body),
        25 => check::<DescribeClientQuotas>(response, *version, body),
        26 => check::<AlterClientQuotas>(response, *version, body),
        27 => check::<DescribeUserScramCredentials>(response, *version, body),
        28 => check::<AlterUserScramCredentials>(response, *version, body),
        _ => check::<ListConfigResources>(response, *version, body),
    }
});
