//! Equal bytes do not show that a field of a group message has the right name; these do, where neighbours have the same type
//! and where versions differ in shape. The other side is the `kafka-protocol` crate.

use bytes::{Bytes, BytesMut};
use kafka_protocol::messages as theirs;
use kafka_protocol::messages::{GroupId, TopicName};
use kafka_protocol::protocol::{Decodable, Encodable, StrBytes};
use ringlog::base::ids::TopicId;
use ringlog::wire::error::ErrorCode;
use ringlog::wire::group::consumer_group_describe::*;
use ringlog::wire::group::consumer_group_heartbeat::*;
use ringlog::wire::group::describe_groups::*;
use ringlog::wire::group::find_coordinator::*;
use ringlog::wire::group::join_group::*;
use ringlog::wire::group::leave_group::*;
use ringlog::wire::group::list_groups::*;
use ringlog::wire::group::offset_commit::*;
use ringlog::wire::group::offset_fetch::*;
use ringlog::wire::group::sync_group::*;
use ringlog::wire::message::Api;

fn answered<A: Api, T: Decodable>(response: &A::Response, version: i16) -> T {
    let mut out = BytesMut::new();
    A::encode(response, version, &mut out);
    T::decode(&mut out.freeze(), version).unwrap()
}

fn asked<A: Api>(request: &impl Encodable, version: i16) -> A::Request {
    let mut out = BytesMut::new();
    request.encode(&mut out, version).unwrap();
    A::decode(version, &out).unwrap()
}

fn text(text: &str) -> StrBytes {
    StrBytes::from_string(text.into())
}

fn group(name: &str) -> GroupId {
    GroupId(text(name))
}

fn topic(name: &str) -> TopicName {
    TopicName(text(name))
}

#[test]
fn find_coordinator() {
    let single = theirs::FindCoordinatorRequest::default()
        .with_key(text("a"))
        .with_key_type(1);
    let read = asked::<FindCoordinator>(&single, 3);
    assert_eq!(
        (read.key_type, read.keys),
        (key_type::TRANSACTION, vec!["a".to_string()])
    );
    let batched = theirs::FindCoordinatorRequest::default().with_coordinator_keys(vec![text("a"), text("b")]);
    let read = asked::<FindCoordinator>(&batched, 4);
    assert_eq!((read.key_type, read.keys.len()), (key_type::GROUP, 2));

    let coordinator = |key: &str| Coordinator {
        key: key.into(),
        node_id: 1,
        host: "h".into(),
        port: 2,
        error: ErrorCode::CoordinatorNotAvailable,
        error_message: Some("wait".into()),
    };
    let response = FindCoordinatorResponse {
        throttle_time_ms: 3,
        coordinators: vec![coordinator("a"), coordinator("b")],
    };
    let read: theirs::FindCoordinatorResponse = answered::<FindCoordinator, _>(&response, 3);
    assert_eq!(
        (read.throttle_time_ms, *read.node_id, read.port, read.error_code),
        (3, 1, 2, 15)
    );
    assert_eq!((&read.host[..], read.error_message.as_deref()), ("h", Some("wait")));
    assert!(read.coordinators.is_empty());
    let read: theirs::FindCoordinatorResponse = answered::<FindCoordinator, _>(&response, 4);
    let second = &read.coordinators[1];
    assert_eq!(
        (&second.key[..], *second.node_id, second.port, second.error_code),
        ("b", 1, 2, 15)
    );
    assert_eq!((&second.host[..], second.error_message.as_deref()), ("h", Some("wait")));
}

#[test]
fn join_group() {
    use theirs::join_group_request::JoinGroupRequestProtocol;
    let protocol = JoinGroupRequestProtocol::default()
        .with_name(text("range"))
        .with_metadata(Bytes::from_static(b"meta"));
    let request = theirs::JoinGroupRequest::default()
        .with_group_id(group("g"))
        .with_session_timeout_ms(1)
        .with_rebalance_timeout_ms(2)
        .with_member_id(text("m"))
        .with_group_instance_id(Some(text("i")))
        .with_protocol_type(text("consumer"))
        .with_protocols(vec![protocol])
        .with_reason(Some(text("why")));
    let read = asked::<JoinGroup>(&request, 9);
    assert_eq!((read.session_timeout_ms, read.rebalance_timeout(9)), (1, 2));
    assert_eq!(
        (&read.group_id[..], &read.member_id[..], &read.protocol_type[..]),
        ("g", "m", "consumer")
    );
    assert_eq!(
        (read.group_instance_id.as_deref(), read.reason.as_deref()),
        (Some("i"), Some("why"))
    );
    assert_eq!(
        (&read.protocols[0].name[..], &read.protocols[0].metadata[..]),
        ("range", &b"meta"[..])
    );
    let oldest = request.with_group_instance_id(None).with_reason(None);
    assert_eq!(
        asked::<JoinGroup>(&oldest, 0).rebalance_timeout(0),
        1,
        "v0 has only the session timeout"
    );

    let response = JoinGroupResponse {
        generation_id: 4,
        protocol_type: Some("consumer".into()),
        protocol_name: Some("range".into()),
        leader: "l".into(),
        skip_assignment: true,
        member_id: "m".into(),
        members: vec![JoinGroupMember {
            member_id: "n".into(),
            group_instance_id: Some("i".into()),
            metadata: Bytes::from_static(b"meta"),
        }],
        ..JoinGroupResponse::default()
    };
    let read: theirs::JoinGroupResponse = answered::<JoinGroup, _>(&response, 9);
    assert_eq!((read.generation_id, read.skip_assignment), (4, true));
    assert_eq!(
        (read.protocol_type.as_deref(), read.protocol_name.as_deref()),
        (Some("consumer"), Some("range"))
    );
    assert_eq!((&read.leader[..], &read.member_id[..]), ("l", "m"));
    let member = &read.members[0];
    assert_eq!(
        (&member.member_id[..], member.group_instance_id.as_deref()),
        ("n", Some("i"))
    );
    assert_eq!(&member.metadata[..], b"meta");
    let failed: theirs::JoinGroupResponse = answered::<JoinGroup, _>(&JoinGroupResponse::default(), 6);
    assert_eq!((failed.generation_id, failed.protocol_name.as_deref()), (-1, Some("")));
}

#[test]
fn sync_group() {
    use theirs::sync_group_request::SyncGroupRequestAssignment;
    let assignment = SyncGroupRequestAssignment::default()
        .with_member_id(text("n"))
        .with_assignment(Bytes::from_static(b"all"));
    let request = theirs::SyncGroupRequest::default()
        .with_group_id(group("g"))
        .with_generation_id(4)
        .with_member_id(text("m"))
        .with_group_instance_id(Some(text("i")))
        .with_protocol_type(Some(text("consumer")))
        .with_protocol_name(Some(text("range")))
        .with_assignments(vec![assignment]);
    let read = asked::<SyncGroup>(&request, 5);
    assert_eq!(
        (&read.group_id[..], read.generation_id, &read.member_id[..]),
        ("g", 4, "m")
    );
    let texts = [&read.group_instance_id, &read.protocol_type, &read.protocol_name];
    assert_eq!(
        texts.map(|text| text.as_deref()),
        [Some("i"), Some("consumer"), Some("range")]
    );
    assert_eq!(
        (&read.assignments[0].member_id[..], &read.assignments[0].assignment[..]),
        ("n", &b"all"[..])
    );

    let response = SyncGroupResponse {
        error: ErrorCode::RebalanceInProgress,
        protocol_type: Some("consumer".into()),
        protocol_name: Some("range".into()),
        ..SyncGroupResponse::default()
    };
    let read: theirs::SyncGroupResponse = answered::<SyncGroup, _>(&response, 5);
    assert_eq!((read.error_code, read.assignment.len()), (27, 0));
    assert_eq!(
        (read.protocol_type.as_deref(), read.protocol_name.as_deref()),
        (Some("consumer"), Some("range"))
    );
}

#[test]
fn leave_group() {
    use theirs::leave_group_request::MemberIdentity;
    let single = theirs::LeaveGroupRequest::default()
        .with_group_id(group("g"))
        .with_member_id(text("m"));
    let read = asked::<LeaveGroup>(&single, 2);
    assert_eq!((&read.group_id[..], read.members.len()), ("g", 1));
    assert_eq!(read.members[0].member_id, "m");
    let member = MemberIdentity::default()
        .with_member_id(text("m"))
        .with_group_instance_id(Some(text("i")))
        .with_reason(Some(text("why")));
    let batched = theirs::LeaveGroupRequest::default().with_members(vec![member.clone(), member]);
    let read = asked::<LeaveGroup>(&batched, 5);
    let second = &read.members[1];
    let texts = (second.group_instance_id.as_deref(), second.reason.as_deref());
    assert_eq!((&second.member_id[..], texts), ("m", (Some("i"), Some("why"))));

    let left = |member_id: &str, error| LeftMember {
        member_id: member_id.into(),
        group_instance_id: Some("i".into()),
        error,
    };
    let response = LeaveGroupResponse {
        members: vec![left("m", ErrorCode::None), left("n", ErrorCode::UnknownMemberId)],
        ..LeaveGroupResponse::default()
    };
    let read: theirs::LeaveGroupResponse = answered::<LeaveGroup, _>(&response, 2);
    assert_eq!((read.error_code, read.members.len()), (25, 0), "the only place for it");
    let read: theirs::LeaveGroupResponse = answered::<LeaveGroup, _>(&response, 3);
    assert_eq!((read.error_code, read.members[1].error_code), (0, 25));
    assert_eq!(
        (
            &read.members[1].member_id[..],
            read.members[1].group_instance_id.as_deref()
        ),
        ("n", Some("i"))
    );
}

#[test]
fn offset_commit() {
    use theirs::offset_commit_request::{OffsetCommitRequestPartition, OffsetCommitRequestTopic};
    let partition = OffsetCommitRequestPartition::default()
        .with_partition_index(1)
        .with_committed_offset(2)
        .with_committed_leader_epoch(3)
        .with_committed_metadata(None);
    let wanted = OffsetCommitRequestTopic::default()
        .with_name(topic("t"))
        .with_partitions(vec![partition]);
    let request = theirs::OffsetCommitRequest::default()
        .with_group_id(group("g"))
        .with_generation_id_or_member_epoch(4)
        .with_member_id(text("m"))
        .with_group_instance_id(Some(text("i")))
        .with_topics(vec![wanted]);
    let read = asked::<OffsetCommit>(&request, 9);
    assert_eq!((&read.group_id[..], read.generation_or_member_epoch), ("g", 4));
    assert_eq!(
        (&read.member_id[..], read.group_instance_id.as_deref()),
        ("m", Some("i"))
    );
    let partition = &read.topics[0].partitions[0];
    assert_eq!((partition.index, partition.offset, partition.leader_epoch), (1, 2, 3));
    assert_eq!((&read.topics[0].name[..], partition.metadata.as_deref()), ("t", None));
}

fn offsets_of(group: &str) -> OffsetFetchGroupResult {
    OffsetFetchGroupResult {
        group_id: group.into(),
        topics: vec![OffsetFetchTopicResult {
            name: "t".into(),
            topic_id: TopicId([3; 16]),
            partitions: vec![OffsetFetchPartitionResult {
                index: 1,
                offset: 2,
                leader_epoch: 3,
                metadata: Some("m".into()),
                error: ErrorCode::None,
            }],
        }],
        error: ErrorCode::NotCoordinator,
    }
}

#[test]
fn offset_fetch() {
    let all = theirs::OffsetFetchRequest::default()
        .with_group_id(group("g"))
        .with_topics(None)
        .with_require_stable(true);
    let read = asked::<OffsetFetch>(&all, 7);
    assert!(read.require_stable);
    assert_eq!((&read.groups[0].group_id[..], &read.groups[0].topics), ("g", &None));
    let several = theirs::offset_fetch_request::OffsetFetchRequestGroup::default()
        .with_group_id(group("g"))
        .with_member_id(Some(text("m")))
        .with_member_epoch(4)
        .with_topics(Some(Vec::new()));
    let read = asked::<OffsetFetch>(&theirs::OffsetFetchRequest::default().with_groups(vec![several]), 9);
    let wanted = &read.groups[0];
    assert_eq!(
        (&wanted.group_id[..], wanted.member_id.as_deref(), wanted.member_epoch),
        ("g", Some("m"), 4)
    );
    assert_eq!((&wanted.topics, read.require_stable), (&Some(Vec::new()), false));

    let response = OffsetFetchResponse {
        throttle_time_ms: 5,
        groups: vec![offsets_of("g"), offsets_of("h")],
    };
    let read: theirs::OffsetFetchResponse = answered::<OffsetFetch, _>(&response, 7);
    let partition = &read.topics[0].partitions[0];
    assert_eq!((read.throttle_time_ms, read.error_code, read.groups.len()), (5, 16, 0));
    assert_eq!((partition.partition_index, partition.committed_offset), (1, 2));
    assert_eq!(
        (partition.committed_leader_epoch, partition.metadata.as_deref()),
        (3, Some("m"))
    );
    let read: theirs::OffsetFetchResponse = answered::<OffsetFetch, _>(&response, 10);
    let (second, topic) = (&read.groups[1], &read.groups[1].topics[0]);
    assert_eq!((&second.group_id.0[..], second.error_code), ("h", 16));
    assert_eq!((topic.topic_id.as_bytes(), &topic.name.0[..]), (&[3; 16], ""));
    let partition = &topic.partitions[0];
    assert_eq!((partition.partition_index, partition.committed_offset), (1, 2));
}

#[test]
fn described_and_listed_groups() {
    let response = DescribeGroupsResponse {
        groups: vec![DescribedGroup {
            error_message: Some("e".into()),
            group_id: "g".into(),
            state: "Stable".into(),
            protocol_type: "consumer".into(),
            protocol_data: "range".into(),
            members: vec![DescribedGroupMember {
                member_id: "m".into(),
                group_instance_id: Some("i".into()),
                client_id: "c".into(),
                client_host: "/h".into(),
                metadata: Bytes::from_static(b"meta"),
                assignment: Bytes::from_static(b"all"),
            }],
            ..DescribedGroup::default()
        }],
        ..DescribeGroupsResponse::default()
    };
    let read: theirs::DescribeGroupsResponse = answered::<DescribeGroups, _>(&response, 6);
    let described = &read.groups[0];
    assert_eq!((&described.group_id.0[..], &described.group_state[..]), ("g", "Stable"));
    assert_eq!(
        (&described.protocol_type[..], &described.protocol_data[..]),
        ("consumer", "range")
    );
    assert_eq!(
        (described.error_message.as_deref(), described.authorized_operations),
        (Some("e"), i32::MIN)
    );
    let member = &described.members[0];
    assert_eq!(
        (&member.member_id[..], member.group_instance_id.as_deref()),
        ("m", Some("i"))
    );
    assert_eq!((&member.client_id[..], &member.client_host[..]), ("c", "/h"));
    assert_eq!(
        (&member.member_metadata[..], &member.member_assignment[..]),
        (&b"meta"[..], &b"all"[..])
    );

    let listed = ListedGroup {
        group_id: "g".into(),
        protocol_type: "consumer".into(),
        state: "Empty".into(),
        group_type: "classic".into(),
    };
    let response = ListGroupsResponse {
        groups: vec![listed],
        ..ListGroupsResponse::default()
    };
    let read: theirs::ListGroupsResponse = answered::<ListGroups, _>(&response, 5);
    let listed = &read.groups[0];
    assert_eq!((&listed.group_id.0[..], &listed.protocol_type[..]), ("g", "consumer"));
    assert_eq!((&listed.group_state[..], &listed.group_type[..]), ("Empty", "classic"));
}

#[test]
fn consumer_group_heartbeat() {
    use theirs::consumer_group_heartbeat_request::TopicPartitions as Owned;
    let request = theirs::ConsumerGroupHeartbeatRequest::default()
        .with_group_id(group("g"))
        .with_member_id(text("m"))
        .with_member_epoch(1)
        .with_instance_id(Some(text("i")))
        .with_rack_id(Some(text("r")))
        .with_rebalance_timeout_ms(2)
        .with_subscribed_topic_names(Some(vec![topic("t")]))
        .with_subscribed_topic_regex(Some(text("x.*")))
        .with_server_assignor(Some(text("uniform")))
        .with_topic_partitions(Some(vec![Owned::default().with_partitions(vec![3])]));
    let read = asked::<ConsumerGroupHeartbeat>(&request, 1);
    assert_eq!((&read.group_id[..], &read.member_id[..]), ("g", "m"));
    assert_eq!((read.member_epoch, read.rebalance_timeout_ms), (1, 2));
    let texts = [
        &read.instance_id,
        &read.rack_id,
        &read.subscribed_topic_regex,
        &read.server_assignor,
    ];
    assert_eq!(
        texts.map(|text| text.as_deref()),
        [Some("i"), Some("r"), Some("x.*"), Some("uniform")]
    );
    assert_eq!(read.subscribed_topic_names, Some(vec!["t".to_string()]));
    assert_eq!(read.topic_partitions.unwrap()[0].partitions, [3]);

    let response = ConsumerGroupHeartbeatResponse {
        error_message: Some("e".into()),
        member_id: Some("m".into()),
        member_epoch: 1,
        heartbeat_interval_ms: 2,
        assignment: Some(HeartbeatAssignment::default()),
        ..ConsumerGroupHeartbeatResponse::default()
    };
    let read: theirs::ConsumerGroupHeartbeatResponse = answered::<ConsumerGroupHeartbeat, _>(&response, 1);
    assert_eq!((read.member_epoch, read.heartbeat_interval_ms), (1, 2));
    assert_eq!(
        (read.error_message.as_deref(), read.member_id.as_deref()),
        (Some("e"), Some("m"))
    );
    assert!(read.assignment.unwrap().topic_partitions.is_empty());
}

#[test]
fn consumer_group_describe() {
    let assigned = |name: &str| DescribedAssignment {
        topic_partitions: vec![DescribedTopicPartitions {
            topic_id: TopicId([3; 16]),
            topic_name: name.into(),
            partitions: vec![1],
        }],
    };
    let member = DescribedConsumerGroupMember {
        member_id: "m".into(),
        instance_id: Some("i".into()),
        rack_id: Some("r".into()),
        epoch: 1,
        client_id: "c".into(),
        client_host: "/h".into(),
        subscribed_topic_names: vec!["t".into()],
        subscribed_topic_regex: Some("x.*".into()),
        assignment: assigned("now"),
        target_assignment: assigned("later"),
        member_type: member_type::CONSUMER,
    };
    let response = ConsumerGroupDescribeResponse {
        groups: vec![DescribedConsumerGroup {
            group_id: "g".into(),
            state: "Stable".into(),
            epoch: 2,
            assignment_epoch: 3,
            assignor_name: "uniform".into(),
            members: vec![member],
            ..DescribedConsumerGroup::default()
        }],
        ..ConsumerGroupDescribeResponse::default()
    };
    let read: theirs::ConsumerGroupDescribeResponse = answered::<ConsumerGroupDescribe, _>(&response, 1);
    let described = &read.groups[0];
    assert_eq!((&described.group_id.0[..], &described.group_state[..]), ("g", "Stable"));
    assert_eq!((described.group_epoch, described.assignment_epoch), (2, 3));
    assert_eq!(&described.assignor_name[..], "uniform");
    let member = &described.members[0];
    assert_eq!(
        (&member.member_id[..], member.member_epoch, member.member_type),
        ("m", 1, 1)
    );
    let texts = [&member.instance_id, &member.rack_id, &member.subscribed_topic_regex];
    assert_eq!(texts.map(|text| text.as_deref()), [Some("i"), Some("r"), Some("x.*")]);
    assert_eq!((&member.client_id[..], &member.client_host[..]), ("c", "/h"));
    assert_eq!(&member.assignment.topic_partitions[0].topic_name.0[..], "now");
    assert_eq!(&member.target_assignment.topic_partitions[0].topic_name.0[..], "later");
}
