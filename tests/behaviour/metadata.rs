//! Metadata, DescribeCluster, DescribeTopicPartitions.

use crate::batches::at;
use crate::rig::{Rig, creatable};
use ringlog::base::ids::TopicId;
use ringlog::wire::control::create_topics::{CreateTopics, CreateTopicsRequest};
use ringlog::wire::control::delete_topics::{DeleteTopics, DeleteTopicsRequest};
use ringlog::wire::control::describe_cluster::{DescribeCluster, DescribeClusterRequest};
use ringlog::wire::control::describe_topic_partitions::{
    Cursor, DescribeTopicPartitions, DescribeTopicPartitionsRequest, DescribeTopicPartitionsResponse, TopicRequest,
};
use ringlog::wire::control::metadata::{Metadata, MetadataRequest, MetadataRequestTopic, MetadataResponse};
use ringlog::wire::error::ErrorCode;

pub fn by_name(names: &[&str], create: bool) -> MetadataRequest {
    let topic = |name: &&str| MetadataRequestTopic {
        name: Some(name.to_string()),
        ..Default::default()
    };
    MetadataRequest {
        topics: Some(names.iter().map(topic).collect()),
        allow_auto_topic_creation: create,
        ..Default::default()
    }
}

/// Names and errors in the order of the names.
fn shown(response: &MetadataResponse) -> Vec<(Option<String>, ErrorCode)> {
    let mut shown: Vec<_> = response
        .topics
        .iter()
        .map(|topic| (topic.name.clone(), topic.error))
        .collect();
    shown.sort_unstable();
    shown
}

#[test]
fn a_topic_takes_writes_and_reads_as_soon_as_metadata_shows_it_85_12() {
    let mut rig = Rig::own(|config| config.shards = 4);
    let batch = at(&[rig.now_ms()]);
    for number in 0..10 {
        let name = format!("new-{number}");
        let response = rig.ask::<Metadata>(12, &by_name(&[&name], true));
        assert_eq!(shown(&response), [(Some(name.clone()), ErrorCode::None)]);
        let topic = crate::rig::Topic {
            name,
            id: response.topics[0].topic_id,
        };
        assert_eq!(rig.written(&topic, &batch), 0);
        assert_eq!(rig.offset(&topic, 0, -1).2, 1);
    }
}

#[test]
fn auto_creation_makes_a_topic_with_the_brokers_defaults_12() {
    let mut rig = Rig::new();
    for version in [0, 4, 9, 13] {
        let name = rig.name(&format!("auto{version}"));
        // Kafka answers UNKNOWN_TOPIC_OR_PARTITION or LEADER_NOT_AVAILABLE first; then the topic is there.
        let mut response = rig.ask::<Metadata>(version, &by_name(&[&name], true));
        for _ in 0..20 {
            if response.topics[0].error == ErrorCode::None {
                break;
            }
            rig.pass_ms(100);
            response = rig.ask::<Metadata>(version, &by_name(&[&name], true));
        }
        let topic = &response.topics[0];
        assert_eq!((topic.error, topic.partitions.len()), (ErrorCode::None, 1));
    }
    let name = rig.name("stays-away");
    let answer = rig.ask::<Metadata>(4, &by_name(&[&name], false));
    assert_eq!(shown(&answer), [(Some(name), ErrorCode::UnknownTopicOrPartition)]);
}

#[test]
fn illegal_names_are_told_and_the_others_answered_12() {
    let mut rig = Rig::new();
    let topic = rig.topic(1, &[]);
    let long = "x".repeat(250);
    for create in [true, false] {
        let response = rig.ask::<Metadata>(9, &by_name(&[&topic.name, "no name", "a/b", "..", "", &long], create));
        let refused = shown(&response)
            .into_iter()
            .filter(|(_, error)| *error == ErrorCode::InvalidTopicException);
        assert_eq!(refused.count(), 5);
        assert_eq!(
            response
                .topics
                .iter()
                .filter(|topic| topic.error == ErrorCode::None)
                .count(),
            1
        );
    }
}

#[test]
fn a_name_twice_is_answered_once_12() {
    let mut rig = Rig::new();
    let topic = rig.topic(1, &[]);
    let response = rig.ask::<Metadata>(9, &by_name(&[&topic.name, &topic.name], false));
    assert_eq!(shown(&response), [(Some(topic.name), ErrorCode::None)]);
}

#[test]
fn topics_by_id_are_found_from_version_12_14() {
    let mut rig = Rig::new();
    let topic = rig.topic(2, &[]);
    let by_id = |topic_id, name: Option<&str>| MetadataRequest {
        topics: Some(vec![MetadataRequestTopic {
            topic_id,
            name: name.map(str::to_string),
        }]),
        allow_auto_topic_creation: false,
        ..Default::default()
    };
    for version in [12, 13] {
        let response = rig.ask::<Metadata>(version, &by_id(topic.id, None));
        let found = &response.topics[0];
        assert_eq!(
            (found.error, found.name.as_ref(), found.topic_id),
            (ErrorCode::None, Some(&topic.name), topic.id)
        );
        assert_eq!(found.partitions.len(), 2);
        let response = rig.ask::<Metadata>(version, &by_id(TopicId([9; 16]), None));
        let unknown = &response.topics[0];
        assert_eq!(
            (unknown.error, unknown.name.as_ref(), unknown.topic_id),
            (ErrorCode::UnknownTopicId, None, TopicId([9; 16]))
        );
    }
    for version in [10, 11] {
        let response = rig.ask::<Metadata>(version, &by_id(topic.id, Some(&topic.name)));
        assert_eq!(response.topics[0].error, ErrorCode::InvalidRequest);
    }
}

#[test]
fn a_topic_made_again_is_another_14_23() {
    let mut rig = Rig::new();
    let topic = rig.topic(1, &[]);
    rig.written(&topic, &at(&[rig.now_ms(); 4]));
    let id = crate::idempotence::producer(&mut rig);
    assert_eq!(
        crate::idempotence::send(&mut rig, &topic, (id, 0), 0, 1),
        (ErrorCode::None, 4)
    );
    let delete = DeleteTopicsRequest {
        topic_names: vec![topic.name.clone()],
        timeout_ms: 5_000,
        ..Default::default()
    };
    assert_eq!(rig.ask::<DeleteTopics>(5, &delete).responses[0].error, ErrorCode::None);
    rig.pass_ms(500);
    let gone = rig.ask::<Metadata>(12, &by_name(&[&topic.name], false));
    assert_eq!(
        shown(&gone),
        [(Some(topic.name.clone()), ErrorCode::UnknownTopicOrPartition)]
    );
    let again = rig.topic_named(&topic.name, 1, &[]);
    assert_ne!(again.id, topic.id);
    assert_eq!(
        (rig.offset(&again, 0, -2).2, rig.offset(&again, 0, -1).2),
        (0, 0),
        "offsets from 0"
    );
    assert_eq!(
        crate::idempotence::send(&mut rig, &again, (id, 0), 9, 1),
        (ErrorCode::None, 0),
        "no state of producers"
    );
}

#[test]
fn allowed_operations_are_told_when_asked_16() {
    let mut rig = Rig::new();
    let topic = rig.topic(1, &[]);
    for version in 8..=13 {
        for asked in [false, true] {
            let request = MetadataRequest {
                include_topic_authorized_operations: asked,
                include_cluster_authorized_operations: asked,
                ..by_name(&[&topic.name], false)
            };
            let response = rig.ask::<Metadata>(version, &request);
            assert_eq!(
                response.topics[0].authorized_operations,
                if asked { 3576 } else { i32::MIN }
            );
            let cluster = if asked && version <= 10 { 8096 } else { i32::MIN };
            assert_eq!(response.cluster_authorized_operations, cluster, "version {version}");
        }
    }
    for asked in [false, true] {
        let request = DescribeClusterRequest {
            include_cluster_authorized_operations: asked,
            ..Default::default()
        };
        let response = rig.ask::<DescribeCluster>(2, &request);
        assert_eq!(
            response.cluster_authorized_operations,
            if asked { 8096 } else { i32::MIN }
        );
    }
}

#[test]
fn the_cluster_is_described_alike_by_both_apis_13_82() {
    let mut rig = Rig::new();
    let metadata = rig.ask::<Metadata>(12, &by_name(&[], false));
    for version in 0..=2 {
        let cluster = rig.ask::<DescribeCluster>(version, &DescribeClusterRequest::default());
        assert_eq!(Some(&cluster.cluster_id), metadata.cluster_id.as_ref());
        assert!(!cluster.cluster_id.is_empty());
        let brokers: Vec<_> = cluster
            .brokers
            .iter()
            .map(|b| (b.broker_id, b.host.clone(), b.port))
            .collect();
        let same: Vec<_> = metadata
            .brokers
            .iter()
            .map(|b| (b.node_id, b.host.clone(), b.port))
            .collect();
        assert_eq!(brokers, same);
        assert!(
            brokers.iter().any(|(id, ..)| *id == cluster.controller_id),
            "a live broker takes admin requests"
        );
    }
    assert!(
        metadata
            .brokers
            .iter()
            .any(|broker| broker.node_id == metadata.controller_id)
    );
    for (endpoint_type, error) in [
        (2, ErrorCode::MismatchedEndpointType),
        (3, ErrorCode::UnsupportedEndpointType),
    ] {
        let request = DescribeClusterRequest {
            endpoint_type,
            ..Default::default()
        };
        let response = rig.ask::<DescribeCluster>(1, &request);
        assert_eq!((response.error, response.brokers.len()), (error, 0));
    }
}

#[test]
fn leaders_replicas_and_epochs_are_told_15() {
    let mut rig = Rig::new();
    let topic = rig.topic(3, &[]);
    let response = rig.ask::<Metadata>(12, &by_name(&[&topic.name], false));
    let node = response.brokers[0].node_id;
    let mut partitions = response.topics[0].partitions.clone();
    partitions.sort_by_key(|partition| partition.index);
    for (index, partition) in partitions.iter().enumerate() {
        assert_eq!((partition.error, partition.index), (ErrorCode::None, index as i32));
        assert_eq!((partition.leader_id, partition.leader_epoch), (node, 0));
        assert_eq!(
            (&partition.replicas, &partition.in_sync, partition.offline.len()),
            (&vec![node], &vec![node], 0)
        );
    }
}

fn page(rig: &mut Rig, names: &[&str], limit: i32, cursor: Option<(&str, i32)>) -> DescribeTopicPartitionsResponse {
    let request = DescribeTopicPartitionsRequest {
        topics: names
            .iter()
            .map(|name| TopicRequest { name: name.to_string() })
            .collect(),
        response_partition_limit: limit,
        cursor: cursor.map(|(name, partition_index)| Cursor {
            topic_name: name.into(),
            partition_index,
        }),
    };
    rig.ask::<DescribeTopicPartitions>(0, &request)
}

#[test]
fn topics_are_described_page_by_page() {
    let mut rig = Rig::new();
    let stem = rig.name("page");
    let name = |letter: &str| format!("{stem}-{letter}");
    let (a, b, c) = (name("a"), name("b"), name("c"));
    for (name, partitions) in [(&b, 2), (&a, 3), (&c, 1)] {
        rig.topic_named(name, partitions, &[]);
    }
    let names = [c.as_str(), a.as_str(), b.as_str()];
    let mut cursor: Option<(String, i32)> = None;
    let mut pages = Vec::new();
    loop {
        let at = cursor.as_ref().map(|(name, index)| (name.as_str(), *index));
        let response = page(&mut rig, &names, 2, at);
        let topics = response.topics.iter().map(|topic| {
            assert_eq!((topic.error, topic.authorized_operations), (ErrorCode::None, 3576));
            let indexes: Vec<i32> = topic.partitions.iter().map(|partition| partition.index).collect();
            (topic.name.clone().unwrap(), indexes)
        });
        pages.push(topics.collect::<Vec<_>>());
        match response.next_cursor {
            Some(next) => cursor = Some((next.topic_name, next.partition_index)),
            None => break,
        }
    }
    let topic = |name: &String, indexes: &[i32]| (name.clone(), indexes.to_vec());
    let flat: Vec<_> = pages.concat();
    assert_eq!(
        flat,
        [
            topic(&a, &[0, 1]),
            topic(&a, &[2]),
            topic(&b, &[0]),
            topic(&b, &[1]),
            topic(&c, &[0])
        ]
    );
    assert!(pages.len() >= 3, "{pages:?}");
}

#[test]
fn a_page_may_begin_where_nothing_is_left() {
    let mut rig = Rig::new();
    let topic = rig.topic(2, &[]);
    let listed = |response: DescribeTopicPartitionsResponse| -> Vec<(ErrorCode, usize)> {
        assert_eq!(response.next_cursor, None);
        response
            .topics
            .iter()
            .map(|topic| (topic.error, topic.partitions.len()))
            .collect()
    };
    assert_eq!(
        listed(page(&mut rig, &[&topic.name], 100, Some((&topic.name, 1)))),
        [(ErrorCode::None, 1)]
    );
    for cursor in [(topic.name.as_str(), -1), ("not asked for", 0)] {
        let refused = listed(page(&mut rig, &[&topic.name], 100, Some(cursor)));
        assert_eq!(refused, [(ErrorCode::InvalidRequest, 0)], "{cursor:?}");
    }
    let gone = rig.name("zz-gone");
    assert_eq!(
        listed(page(&mut rig, &[&gone], 100, None)),
        [(ErrorCode::UnknownTopicOrPartition, 0)]
    );
    assert_eq!(
        listed(page(&mut rig, &["no name"], 100, None)),
        [(ErrorCode::InvalidTopicException, 0)]
    );
    assert_eq!(
        listed(page(&mut rig, &[&topic.name], 0, Some((&topic.name, 1)))),
        [(ErrorCode::None, 1)]
    );
}

#[test]
fn the_brokers_own_topics_are_marked_17() {
    let mut rig = Rig::new();
    let request = CreateTopicsRequest {
        topics: vec![creatable("__consumer_offsets", 1, &[])],
        timeout_ms: 5_000,
        ..Default::default()
    };
    rig.ask::<CreateTopics>(7, &request);
    let mine = rig.topic(1, &[]);
    rig.pass_ms(300);
    let response = rig.ask::<Metadata>(9, &by_name(&["__consumer_offsets", &mine.name], false));
    let marks: Vec<_> = response
        .topics
        .iter()
        .map(|t| (t.name.as_deref() == Some(&mine.name), t.is_internal))
        .collect();
    assert!(
        marks.iter().all(|(mine, internal)| mine != internal) && marks.len() == 2,
        "{marks:?}"
    );
}
