//! Checklist B: Metadata and its relatives.

use super::*;
use crate::wire::control::OPERATIONS_NOT_REQUESTED;
use crate::wire::control::describe_cluster::{DescribeCluster, DescribeClusterRequest};
use crate::wire::control::describe_topic_partitions::{
    DescribeTopicPartitions, DescribeTopicPartitionsRequest, DescribeTopicPartitionsResponse, TopicRequest,
};
use crate::wire::control::metadata::{Metadata, MetadataRequest, MetadataRequestTopic, MetadataResponse};
use crate::wire::error::ErrorCode;

fn by_name(names: &[&str]) -> MetadataRequest {
    let topic = |name: &&str| MetadataRequestTopic {
        name: Some(name.to_string()),
        ..Default::default()
    };
    MetadataRequest {
        topics: Some(names.iter().map(topic).collect()),
        ..Default::default()
    }
}

fn quiet(names: &[&str]) -> MetadataRequest {
    MetadataRequest {
        allow_auto_topic_creation: false,
        ..by_name(names)
    }
}

fn by_id(id: TopicId) -> MetadataRequest {
    MetadataRequest {
        topics: Some(vec![MetadataRequestTopic {
            topic_id: id,
            name: None,
        }]),
        ..Default::default()
    }
}

fn shown(response: &MetadataResponse) -> Vec<(ErrorCode, &str)> {
    response
        .topics
        .iter()
        .map(|t| (t.error, t.name.as_deref().unwrap_or("-")))
        .collect()
}

#[test]
fn every_version_shows_brokers_controller_cluster_and_leaders_13_15_16() {
    for version in 0..=13 {
        let mut rig = Rig::new();
        let id = rig.create("t", 2, &[]);
        let response = rig.ask::<Metadata>(version, &by_name(&["t"]));
        assert_eq!(
            (
                response.brokers[0].node_id,
                response.brokers[0].host.as_str(),
                response.brokers[0].port
            ),
            (1, "127.0.0.1", 9092)
        );
        if version >= 1 {
            assert_eq!(response.controller_id, 1);
        }
        if version >= 2 {
            assert_eq!(response.cluster_id.as_deref(), Some("ringlog"));
        }
        let topic = &response.topics[0];
        assert_eq!(
            (topic.error, topic.name.as_deref(), topic.partitions.len()),
            (ErrorCode::None, Some("t"), 2)
        );
        let partition = &topic.partitions[1];
        assert_eq!(
            (
                partition.index,
                partition.leader_id,
                &partition.replicas,
                &partition.in_sync
            ),
            (1, 1, &vec![1], &vec![1])
        );
        if version >= 7 {
            assert_eq!(partition.leader_epoch, 0);
        }
        if version >= 10 {
            assert_eq!(topic.topic_id, id);
        }
        if version >= 8 {
            assert_eq!(topic.authorized_operations, OPERATIONS_NOT_REQUESTED);
        }
    }
}

#[test]
fn null_is_all_and_empty_is_none_but_in_v0_empty_is_all_9() {
    let mut rig = Rig::new();
    rig.create("b", 1, &[]);
    rig.create("a", 1, &[]);
    let all = MetadataRequest {
        topics: None,
        ..Default::default()
    };
    let none = MetadataRequest {
        topics: Some(vec![]),
        ..Default::default()
    };
    assert_eq!(shown(&rig.ask::<Metadata>(1, &all)).len(), 2);
    assert_eq!(shown(&rig.ask::<Metadata>(12, &all)).len(), 2);
    assert_eq!(shown(&rig.ask::<Metadata>(1, &none)).len(), 0);
    assert_eq!(shown(&rig.ask::<Metadata>(0, &none)).len(), 2);
}

#[test]
fn authorized_operations_are_given_when_asked_for_16() {
    let mut rig = Rig::new();
    rig.create("t", 1, &[]);
    let request = MetadataRequest {
        include_topic_authorized_operations: true,
        include_cluster_authorized_operations: true,
        ..by_name(&["t"])
    };
    let response = rig.ask::<Metadata>(8, &request);
    assert_eq!(
        (
            response.topics[0].authorized_operations,
            response.cluster_authorized_operations
        ),
        (3576, 8096)
    );
}

#[test]
fn an_unknown_topic_is_created_and_shown_in_the_same_answer_12() {
    for version in [0, 3, 4, 13] {
        let mut rig = Rig::with_static(&[("num.partitions", "3")]);
        rig.send(control_frame::<Metadata>(version, 7, &by_name(&["new"])));
        assert_eq!(rig.reply(CONN), None, "the answer waits until the topic takes writes");
        rig.run_controller();
        let response = rig.answered::<Metadata>(version, 7);
        assert_eq!(shown(&response), [(ErrorCode::None, "new")]);
        assert_eq!(response.topics[0].partitions.len(), 3);
    }
}

#[test]
fn nothing_is_created_without_leave_12() {
    let mut rig = Rig::new();
    assert_eq!(
        shown(&rig.ask::<Metadata>(4, &quiet(&["new"]))),
        [(ErrorCode::UnknownTopicOrPartition, "new")]
    );
    let mut off = Rig::with_static(&[("auto.create.topics.enable", "false")]);
    assert_eq!(
        shown(&off.ask::<Metadata>(3, &by_name(&["new"]))),
        [(ErrorCode::UnknownTopicOrPartition, "new")]
    );
    assert_eq!(
        shown(&rig.ask::<Metadata>(9, &by_name(&["__consumer_offsets"])))[0].0,
        ErrorCode::UnknownTopicOrPartition
    );
    assert!(rig.published.topics.is_empty() && off.published.topics.is_empty());
}

#[test]
fn an_illegal_name_is_refused_and_the_others_are_created_12() {
    let mut rig = Rig::new();
    let response = rig.ask::<Metadata>(9, &by_name(&["ok", "not ok", "ok"]));
    assert_eq!(
        shown(&response),
        [(ErrorCode::None, "ok"), (ErrorCode::InvalidTopicException, "not ok")]
    );
    assert_eq!(rig.published.topics.len(), 1);
    let response = rig.ask::<Metadata>(9, &by_name(&["a.b", "a_b"]));
    assert_eq!(
        shown(&response),
        [(ErrorCode::None, "a.b"), (ErrorCode::InvalidTopicException, "a_b")]
    );
}

#[test]
fn topics_are_found_by_id_from_v12_14_86() {
    let mut rig = Rig::new();
    let id = rig.create("t", 1, &[]);
    assert_eq!(shown(&rig.ask::<Metadata>(12, &by_id(id))), [(ErrorCode::None, "t")]);
    rig.delete("t");
    rig.create("t", 1, &[]);
    let response = rig.ask::<Metadata>(12, &by_id(id));
    assert_eq!(
        (
            response.topics[0].error,
            response.topics[0].name.as_ref(),
            response.topics[0].topic_id
        ),
        (ErrorCode::UnknownTopicId, None, id)
    );
    for version in [10, 11] {
        let request = MetadataRequest {
            topics: Some(vec![MetadataRequestTopic {
                topic_id: id,
                name: Some("t".into()),
            }]),
            ..Default::default()
        };
        assert_eq!(
            shown(&rig.ask::<Metadata>(version, &request))[0].0,
            ErrorCode::InvalidRequest
        );
    }
}

#[test]
fn a_topic_that_is_not_prepared_everywhere_is_not_shown_85() {
    let mut rig = Rig::new();
    let before = rig.published.clone();
    rig.create("t", 1, &[]);
    let after = std::mem::replace(&mut rig.published, before);
    assert_eq!(
        shown(&rig.ask::<Metadata>(9, &quiet(&["t"])))[0].0,
        ErrorCode::UnknownTopicOrPartition
    );
    rig.published = after;
    assert_eq!(shown(&rig.ask::<Metadata>(9, &quiet(&["t"])))[0].0, ErrorCode::None);
}

#[test]
fn internal_topics_are_marked_17() {
    let mut rig = Rig::new();
    rig.create("__consumer_offsets", 1, &[]);
    rig.create("mine", 1, &[]);
    let response = rig.ask::<Metadata>(9, &quiet(&["__consumer_offsets", "mine"]));
    assert_eq!(
        response.topics.iter().map(|t| t.is_internal).collect::<Vec<_>>(),
        [true, false]
    );
}

#[test]
fn describe_cluster_names_brokers_and_controller() {
    for version in 0..=2 {
        let mut rig = Rig::new();
        let request = DescribeClusterRequest {
            include_cluster_authorized_operations: true,
            ..Default::default()
        };
        let response = rig.ask::<DescribeCluster>(version, &request);
        assert_eq!(
            (response.error, response.cluster_id.as_str(), response.controller_id),
            (ErrorCode::None, "ringlog", 1)
        );
        assert_eq!((response.brokers[0].broker_id, response.brokers[0].port), (1, 9092));
        assert_eq!(response.cluster_authorized_operations, 8096);
    }
    let mut rig = Rig::new();
    let request = |endpoint_type| DescribeClusterRequest {
        endpoint_type,
        ..Default::default()
    };
    assert_eq!(
        rig.ask::<DescribeCluster>(1, &request(2)).error,
        ErrorCode::MismatchedEndpointType
    );
    assert_eq!(
        rig.ask::<DescribeCluster>(1, &request(9)).error,
        ErrorCode::UnsupportedEndpointType
    );
}

/// Topic names with the partitions listed.
type Page = Vec<(String, Vec<i32>)>;

fn page(response: &DescribeTopicPartitionsResponse) -> Page {
    let topic = |t: &crate::wire::control::describe_topic_partitions::DescribedTopic| {
        (
            t.name.clone().unwrap_or_default(),
            t.partitions.iter().map(|p| p.index).collect(),
        )
    };
    response.topics.iter().map(topic).collect()
}

#[test]
fn describe_topic_partitions_pages_in_the_order_of_names() {
    let mut rig = Rig::new();
    rig.create("b", 2, &[]);
    rig.create("a", 3, &[]);
    rig.create("c", 1, &[]);
    let mut request = DescribeTopicPartitionsRequest {
        response_partition_limit: 2,
        ..Default::default()
    };
    let mut pages = vec![];
    loop {
        let response = rig.ask::<DescribeTopicPartitions>(0, &request);
        pages.push(page(&response));
        request.cursor = response.next_cursor;
        if request.cursor.is_none() {
            break;
        }
    }
    let topic = |name: &str, partitions: &[i32]| (name.to_string(), partitions.to_vec());
    assert_eq!(
        pages,
        [
            vec![topic("a", &[0, 1])],
            vec![topic("a", &[2]), topic("b", &[0])],
            vec![topic("b", &[1]), topic("c", &[0])],
        ]
    );
    let named = |name: &str| TopicRequest { name: name.into() };
    let request = DescribeTopicPartitionsRequest {
        topics: vec![named("gone"), named("c")],
        ..Default::default()
    };
    let response = rig.ask::<DescribeTopicPartitions>(0, &request);
    assert_eq!(
        response.topics.iter().map(|t| t.error).collect::<Vec<_>>(),
        [ErrorCode::None, ErrorCode::UnknownTopicOrPartition]
    );
    assert_eq!(response.topics[0].partitions[0].leader_id, 1);
}
