//! The same vectors through the `kafka-protocol` crate, an implementation that shares no code with ours: what we write, it
//! reads and writes again to the same bytes.

use super::{MESSAGES, again, lines, unhex};
use bytes::{Bytes, BytesMut};
use kafka_protocol::messages::*;
use kafka_protocol::protocol::{Decodable, Encodable};

/// What the crate writes after reading `body`, and how many bytes it left unread.
fn through_crate<T: Decodable + Encodable>(body: &Bytes, version: i16) -> (Bytes, usize) {
    let (mut input, mut out) = (body.clone(), BytesMut::new());
    let message = T::decode(&mut input, version).expect("the crate reads it");
    message.encode(&mut out, version).expect("the crate writes it");
    (out.freeze(), input.len())
}

macro_rules! oracle {
    ($api:expr, $response:expr, $body:expr, $version:expr; $($name:literal: $request:ty, $reply:ty;)*) => {
        match ($api, $response) {
            $(
                ($name, false) => through_crate::<$request>($body, $version),
                ($name, true) => through_crate::<$reply>($body, $version),
            )*
            other => panic!("no oracle for {other:?}"),
        }
    };
}

#[test]
fn the_crate_reads_and_writes_what_we_write() {
    let mut compared = 0;
    for line in lines(MESSAGES) {
        let [api, side, version, variant, bytes] = line[..] else {
            panic!("{line:?}")
        };
        let (response, version): (bool, i16) = (side == "response", version.parse().unwrap());
        // The crate follows Kafka 4.1, which ends ListOffsets at 10.
        if (api, version) == ("ListOffsets", 11) {
            continue;
        }
        let ours = again(api, response, version, &unhex(bytes)).unwrap().freeze();
        let theirs = oracle!(api, response, &ours, version;
            "Produce": ProduceRequest, ProduceResponse;
            "Fetch": FetchRequest, FetchResponse;
            "ListOffsets": ListOffsetsRequest, ListOffsetsResponse;
            "Metadata": MetadataRequest, MetadataResponse;
            "ApiVersions": ApiVersionsRequest, ApiVersionsResponse;
            "CreateTopics": CreateTopicsRequest, CreateTopicsResponse;
            "DeleteTopics": DeleteTopicsRequest, DeleteTopicsResponse;
            "DeleteRecords": DeleteRecordsRequest, DeleteRecordsResponse;
            "InitProducerId": InitProducerIdRequest, InitProducerIdResponse;
            "OffsetForLeaderEpoch": OffsetForLeaderEpochRequest, OffsetForLeaderEpochResponse;
            "DescribeAcls": DescribeAclsRequest, DescribeAclsResponse;
            "CreateAcls": CreateAclsRequest, CreateAclsResponse;
            "DeleteAcls": DeleteAclsRequest, DeleteAclsResponse;
            "DescribeConfigs": DescribeConfigsRequest, DescribeConfigsResponse;
            "AlterConfigs": AlterConfigsRequest, AlterConfigsResponse;
            "CreatePartitions": CreatePartitionsRequest, CreatePartitionsResponse;
            "IncrementalAlterConfigs": IncrementalAlterConfigsRequest, IncrementalAlterConfigsResponse;
            "DescribeCluster": DescribeClusterRequest, DescribeClusterResponse;
            "DescribeTopicPartitions": DescribeTopicPartitionsRequest, DescribeTopicPartitionsResponse;
        );
        assert_eq!((ours, 0), theirs, "{api} {side} v{version} variant {variant}");
        compared += 1;
    }
    assert!(compared > 400, "{compared}");
}
