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
        // The crate follows Kafka 4.1, which ends before these.
        if matches!(
            (api, version),
            ("ListOffsets", 11) | ("OffsetCommit" | "OffsetFetch", 10) | ("DescribeLogDirs", 5)
        ) {
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
            "OffsetCommit": OffsetCommitRequest, OffsetCommitResponse;
            "OffsetFetch": OffsetFetchRequest, OffsetFetchResponse;
            "FindCoordinator": FindCoordinatorRequest, FindCoordinatorResponse;
            "JoinGroup": JoinGroupRequest, JoinGroupResponse;
            "Heartbeat": HeartbeatRequest, HeartbeatResponse;
            "LeaveGroup": LeaveGroupRequest, LeaveGroupResponse;
            "SyncGroup": SyncGroupRequest, SyncGroupResponse;
            "DescribeGroups": DescribeGroupsRequest, DescribeGroupsResponse;
            "ListGroups": ListGroupsRequest, ListGroupsResponse;
            "DeleteGroups": DeleteGroupsRequest, DeleteGroupsResponse;
            "OffsetDelete": OffsetDeleteRequest, OffsetDeleteResponse;
            "ConsumerGroupHeartbeat": ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse;
            "ConsumerGroupDescribe": ConsumerGroupDescribeRequest, ConsumerGroupDescribeResponse;
            "DescribeLogDirs": DescribeLogDirsRequest, DescribeLogDirsResponse;
            "AlterReplicaLogDirs": AlterReplicaLogDirsRequest, AlterReplicaLogDirsResponse;
            "ElectLeaders": ElectLeadersRequest, ElectLeadersResponse;
            "AlterPartitionReassignments": AlterPartitionReassignmentsRequest, AlterPartitionReassignmentsResponse;
            "ListPartitionReassignments": ListPartitionReassignmentsRequest, ListPartitionReassignmentsResponse;
            "DescribeProducers": DescribeProducersRequest, DescribeProducersResponse;
            "DescribeTransactions": DescribeTransactionsRequest, DescribeTransactionsResponse;
            "ListTransactions": ListTransactionsRequest, ListTransactionsResponse;
            "DescribeClientQuotas": DescribeClientQuotasRequest, DescribeClientQuotasResponse;
            "AlterClientQuotas": AlterClientQuotasRequest, AlterClientQuotasResponse;
            "DescribeUserScramCredentials": DescribeUserScramCredentialsRequest, DescribeUserScramCredentialsResponse;
            "AlterUserScramCredentials": AlterUserScramCredentialsRequest, AlterUserScramCredentialsResponse;
            "ListConfigResources": ListConfigResourcesRequest, ListConfigResourcesResponse;
        );
        assert_eq!((ours, 0), theirs, "{api} {side} v{version} variant {variant}");
        compared += 1;
    }
    assert!(compared > 800, "{compared}");
}

mod fields {
    //! Equal bytes do not show that a field has the right name; these do, where neighbours have the same type.

    use bytes::{Bytes, BytesMut};
    use kafka_protocol::messages as theirs;
    use kafka_protocol::messages::{BrokerId, TopicName};
    use kafka_protocol::protocol::{Decodable, Encodable, StrBytes};
    use ringlog::base::ids::TopicId;
    use ringlog::wire::control::describe_configs::*;
    use ringlog::wire::control::describe_topic_partitions::*;
    use ringlog::wire::control::list_offsets::*;
    use ringlog::wire::control::metadata::*;
    use ringlog::wire::control::offset_for_leader_epoch::*;
    use ringlog::wire::error::ErrorCode;
    use ringlog::wire::fetch::*;
    use ringlog::wire::message::Api;
    use ringlog::wire::produce::*;

    fn answered<A: Api, T: Decodable>(response: A::Response, version: i16) -> T {
        let mut out = BytesMut::new();
        A::encode(&response, version, &mut out);
        T::decode(&mut out.freeze(), version).unwrap()
    }

    fn asked<T: Encodable>(request: T, version: i16) -> Bytes {
        let mut out = BytesMut::new();
        request.encode(&mut out, version).unwrap();
        out.freeze()
    }

    fn topic(name: &str) -> TopicName {
        TopicName(StrBytes::from_string(name.into()))
    }

    #[test]
    fn metadata() {
        let ours = MetadataPartition {
            error: ErrorCode::LeaderNotAvailable,
            index: 1,
            leader_id: 2,
            leader_epoch: 3,
            replicas: vec![4],
            in_sync: vec![5],
            offline: vec![6],
        };
        let response = MetadataResponse {
            brokers: vec![MetadataBroker {
                node_id: 7,
                host: "h".into(),
                port: 8,
                rack: Some("r".into()),
            }],
            controller_id: 9,
            topics: vec![MetadataTopic {
                topic_id: TopicId([3; 16]),
                is_internal: true,
                partitions: vec![ours],
                authorized_operations: 10,
                ..MetadataTopic::default()
            }],
            ..MetadataResponse::default()
        };
        let read: theirs::MetadataResponse = answered::<Metadata, _>(response, 12);
        let (broker, topic) = (&read.brokers[0], &read.topics[0]);
        assert_eq!((*broker.node_id, broker.port, *read.controller_id), (7, 8, 9));
        assert_eq!((&broker.host[..], broker.rack.as_deref()), ("h", Some("r")));
        assert_eq!((topic.is_internal, topic.topic_authorized_operations), (true, 10));
        let partition = &topic.partitions[0];
        assert_eq!((partition.error_code, partition.partition_index), (5, 1));
        assert_eq!((*partition.leader_id, partition.leader_epoch), (2, 3));
        let replicas = (
            &partition.replica_nodes[..],
            &partition.isr_nodes[..],
            &partition.offline_replicas[..],
        );
        assert_eq!(replicas, (&[BrokerId(4)][..], &[BrokerId(5)][..], &[BrokerId(6)][..]));
    }

    #[test]
    fn describe_topic_partitions() {
        let response = DescribeTopicPartitionsResponse {
            topics: vec![DescribedTopic {
                partitions: vec![DescribedPartition {
                    index: 1,
                    leader_id: 2,
                    leader_epoch: 3,
                    replicas: vec![4],
                    in_sync: vec![5],
                    eligible_leaders: Some(vec![6]),
                    last_known_eligible: None,
                    offline: vec![8],
                    ..DescribedPartition::default()
                }],
                ..DescribedTopic::default()
            }],
            next_cursor: Some(Cursor {
                topic_name: "next".into(),
                partition_index: 9,
            }),
            ..DescribeTopicPartitionsResponse::default()
        };
        let read: theirs::DescribeTopicPartitionsResponse = answered::<DescribeTopicPartitions, _>(response, 0);
        let partition = &read.topics[0].partitions[0];
        assert_eq!(
            (partition.partition_index, *partition.leader_id, partition.leader_epoch),
            (1, 2, 3)
        );
        assert_eq!(partition.replica_nodes, [BrokerId(4)]);
        assert_eq!(partition.isr_nodes, [BrokerId(5)]);
        assert_eq!(partition.eligible_leader_replicas, Some(vec![BrokerId(6)]));
        assert_eq!(partition.last_known_elr, None);
        assert_eq!(partition.offline_replicas, [BrokerId(8)]);
        let cursor = read.next_cursor.unwrap();
        assert_eq!((&cursor.topic_name.0[..], cursor.partition_index), ("next", 9));
    }

    #[test]
    fn offsets() {
        let response = ListOffsetsResponse {
            topics: vec![ListOffsetsTopicResponse {
                name: "t".into(),
                partitions: vec![ListOffsetsPartitionResponse {
                    index: 1,
                    error: ErrorCode::None,
                    timestamp: 2,
                    offset: 3,
                    leader_epoch: 4,
                }],
            }],
            ..ListOffsetsResponse::default()
        };
        let read: theirs::ListOffsetsResponse = answered::<ListOffsets, _>(response, 10);
        let partition = &read.topics[0].partitions[0];
        assert_eq!((partition.partition_index, partition.timestamp), (1, 2));
        assert_eq!((partition.offset, partition.leader_epoch), (3, 4));

        let response = OffsetForLeaderEpochResponse {
            topics: vec![OffsetForLeaderTopicResult {
                topic: "t".into(),
                partitions: vec![EpochEndOffset {
                    error: ErrorCode::None,
                    index: 1,
                    leader_epoch: 2,
                    end_offset: 3,
                }],
            }],
            ..OffsetForLeaderEpochResponse::default()
        };
        let read: theirs::OffsetForLeaderEpochResponse = answered::<OffsetForLeaderEpoch, _>(response, 4);
        let partition = &read.topics[0].partitions[0];
        assert_eq!(
            (partition.partition, partition.leader_epoch, partition.end_offset),
            (1, 2, 3)
        );

        use theirs::offset_for_leader_epoch_request as request;
        let partition = request::OffsetForLeaderPartition::default()
            .with_partition(1)
            .with_current_leader_epoch(2)
            .with_leader_epoch(3);
        let wanted = request::OffsetForLeaderTopic::default().with_partitions(vec![partition]);
        let body = asked(
            theirs::OffsetForLeaderEpochRequest::default().with_topics(vec![wanted]),
            4,
        );
        let read = OffsetForLeaderEpoch::decode(4, &body).unwrap();
        let partition = &read.topics[0].partitions[0];
        assert_eq!(
            (partition.index, partition.current_leader_epoch, partition.leader_epoch),
            (1, 2, 3)
        );
    }

    #[test]
    fn describe_configs() {
        let response = DescribeConfigsResponse {
            results: vec![DescribeConfigsResult {
                configs: vec![DescribeConfigsEntry {
                    name: "n".into(),
                    value: Some("v".into()),
                    read_only: true,
                    config_source: 1,
                    is_sensitive: false,
                    config_type: 2,
                    documentation: Some("d".into()),
                    ..DescribeConfigsEntry::default()
                }],
                ..DescribeConfigsResult::default()
            }],
            ..DescribeConfigsResponse::default()
        };
        let read: theirs::DescribeConfigsResponse = answered::<DescribeConfigs, _>(response, 4);
        let entry = &read.results[0].configs[0];
        assert_eq!((entry.read_only, entry.is_sensitive), (true, false));
        assert_eq!((entry.config_source, entry.config_type), (1, 2));
        assert_eq!(
            (&entry.name[..], entry.value.as_deref(), entry.documentation.as_deref()),
            ("n", Some("v"), Some("d"))
        );
    }

    #[test]
    fn produce() {
        let response = ProduceResponse {
            topics: vec![ProduceTopicResponse {
                name: "t".into(),
                partitions: vec![ProducePartitionResponse {
                    index: 1,
                    base_offset: 2,
                    log_append_time_ms: 3,
                    log_start_offset: 4,
                    current_leader: LeaderIdAndEpoch {
                        leader_id: 5,
                        leader_epoch: 6,
                    },
                    ..ProducePartitionResponse::default()
                }],
                ..ProduceTopicResponse::default()
            }],
            ..ProduceResponse::default()
        };
        let mut out = BytesMut::new();
        response.encode(10, &mut out);
        let read = theirs::ProduceResponse::decode(&mut out.freeze(), 10).unwrap();
        let partition = &read.responses[0].partition_responses[0];
        assert_eq!((partition.index, partition.base_offset), (1, 2));
        assert_eq!((partition.log_append_time_ms, partition.log_start_offset), (3, 4));
        let leader = &partition.current_leader;
        assert_eq!((*leader.leader_id, leader.leader_epoch), (5, 6));
    }

    #[test]
    fn fetch_request() {
        use theirs::fetch_request as request;
        let partition = request::FetchPartition::default()
            .with_partition(1)
            .with_current_leader_epoch(2)
            .with_fetch_offset(3)
            .with_last_fetched_epoch(4)
            .with_log_start_offset(5)
            .with_partition_max_bytes(6);
        let wanted = request::FetchTopic::default()
            .with_topic(topic("t"))
            .with_partitions(vec![partition]);
        let message = theirs::FetchRequest::default()
            .with_replica_id(BrokerId(7))
            .with_max_wait_ms(8)
            .with_min_bytes(9)
            .with_max_bytes(10)
            .with_isolation_level(1)
            .with_session_id(11)
            .with_session_epoch(12)
            .with_topics(vec![wanted]);
        let read = FetchRequest::decode(12, &asked(message, 12)).unwrap();
        assert_eq!(
            (read.replica_id, read.max_wait_ms, read.min_bytes, read.max_bytes),
            (7, 8, 9, 10)
        );
        assert_eq!((read.isolation_level, read.session_id, read.session_epoch), (1, 11, 12));
        let partition = &read.topics[0].partitions[0];
        assert_eq!(
            (partition.index, partition.current_leader_epoch, partition.fetch_offset),
            (1, 2, 3)
        );
        assert_eq!(
            (
                partition.last_fetched_epoch,
                partition.log_start_offset,
                partition.max_bytes
            ),
            (4, 5, 6)
        );
    }

    #[test]
    fn fetch_response() {
        let response = FetchResponse {
            topics: vec![FetchTopic {
                name: "t".into(),
                partitions: vec![FetchPartition {
                    index: 1,
                    high_watermark: 2,
                    last_stable_offset: 3,
                    log_start_offset: 4,
                    aborted: Some(vec![(5, 6)]),
                    preferred_read_replica: 7,
                    diverging_epoch: Some((8, 9)),
                    ..FetchPartition::default()
                }],
                ..FetchTopic::default()
            }],
            ..FetchResponse::default()
        };
        let mut body = Bytes::from(response.frame(12, 0).concat()).slice(9..);
        let read = theirs::FetchResponse::decode(&mut body, 12).unwrap();
        let partition = &read.responses[0].partitions[0];
        assert_eq!((partition.partition_index, partition.high_watermark), (1, 2));
        assert_eq!((partition.last_stable_offset, partition.log_start_offset), (3, 4));
        let aborted = &partition.aborted_transactions.as_ref().unwrap()[0];
        assert_eq!((*aborted.producer_id, aborted.first_offset), (5, 6));
        assert_eq!(*partition.preferred_read_replica, 7);
        assert_eq!(
            (partition.diverging_epoch.epoch, partition.diverging_epoch.end_offset),
            (8, 9)
        );
    }
}
