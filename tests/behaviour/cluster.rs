//! Directories, leaders, reassignments, producers, transactions, resources: what tools ask of a cluster of one node.

use crate::batches::{at, from_producer, large};
use crate::idempotence::producer;
use crate::rig::{Rig, Topic};
use ringlog::wire::control::describe_producers::{DescribeProducers, DescribeProducersRequest};
use ringlog::wire::control::elect_leaders::{ElectLeaders, ElectLeadersRequest, ElectLeadersResponse};
use ringlog::wire::control::list_config_resources::{ListConfigResources, ListConfigResourcesRequest};
use ringlog::wire::control::list_transactions::{
    DescribeTransactions, DescribeTransactionsRequest, ListTransactions, ListTransactionsRequest,
};
use ringlog::wire::control::log_dirs::{
    AlterReplicaLogDir, AlterReplicaLogDirs, AlterReplicaLogDirsRequest, DescribeLogDirs, DescribeLogDirsRequest,
    LogDir, TopicPartitions,
};
use ringlog::wire::control::reassignments::{
    AlterPartitionReassignments, AlterPartitionReassignmentsRequest, ListPartitionReassignments,
    ListPartitionReassignmentsRequest, ListedTopic, ReassignablePartition, ReassignableTopic,
};
use ringlog::wire::control::resource_type::{BROKER, CLIENT_METRICS, TOPIC};
use ringlog::wire::error::ErrorCode;

fn some(topic: &str, partitions: &[i32]) -> TopicPartitions {
    TopicPartitions {
        topic: topic.into(),
        partitions: partitions.to_vec(),
    }
}

fn log_dir(rig: &mut Rig, version: i16, topics: Option<Vec<TopicPartitions>>) -> LogDir {
    let mut response = rig.ask::<DescribeLogDirs>(version, &DescribeLogDirsRequest { topics });
    assert_eq!(response.error, ErrorCode::None);
    assert_eq!(response.results.len(), 1, "one directory");
    response.results.remove(0)
}

/// Sizes of a topic's partitions, in their order.
fn sizes(dir: &LogDir, topic: &str) -> Vec<(i32, i64)> {
    let found = dir.topics.iter().find(|found| found.name == topic);
    let mut sizes: Vec<_> = found
        .into_iter()
        .flat_map(|topic| &topic.partitions)
        .map(|partition| {
            assert_eq!((partition.offset_lag, partition.is_future), (0, false));
            (partition.index, partition.size)
        })
        .collect();
    sizes.sort_unstable();
    sizes
}

#[test]
fn log_dirs_tell_what_each_partition_takes_93() {
    let mut rig = Rig::new();
    let topic = rig.topic(3, &[]);
    let mut batch_bytes = 0;
    for _ in 0..5 {
        let batch = large(rig.now_ms(), 100_000);
        batch_bytes += batch.len() as i64;
        rig.written(&topic, &batch);
    }
    rig.pass_ms(if rig.is_own() { 20_000 } else { 100 });
    for version in 1..=5 {
        let dir = log_dir(&mut rig, version, None);
        assert_eq!(dir.error, ErrorCode::None);
        assert!(dir.log_dir.starts_with('/'), "{}", dir.log_dir);
        let sizes = sizes(&dir, &topic.name);
        let indexes: Vec<_> = sizes.iter().map(|(index, _)| *index).collect();
        assert_eq!(indexes, [0, 1, 2]);
        let (full, empty) = (sizes[0].1, sizes[1].1);
        assert!(
            (batch_bytes..2 * batch_bytes).contains(&full),
            "{full} for {batch_bytes}"
        );
        assert_eq!(empty, 0);
        match version >= 4 {
            true => assert!(0 < dir.usable_bytes && dir.usable_bytes <= dir.total_bytes),
            false => assert_eq!((dir.usable_bytes, dir.total_bytes), (-1, -1)),
        }
    }
    let gone = rig.name("gone");
    let asked = vec![some(&topic.name, &[0, 9]), some(&gone, &[0])];
    let dir = log_dir(&mut rig, 5, Some(asked));
    assert_eq!(sizes(&dir, &topic.name).len(), 1, "only what is there");
    assert_eq!(dir.topics.len(), 1);
    assert!(log_dir(&mut rig, 5, Some(vec![])).topics.is_empty());
}

#[test]
fn a_partition_is_in_its_directory_and_there_is_no_other_93() {
    let mut rig = Rig::new();
    let topic = rig.topic(1, &[]);
    let home = log_dir(&mut rig, 4, None).log_dir;
    let mut moved = |version, path: &str, name: &str, index| {
        let dirs = vec![AlterReplicaLogDir {
            path: path.into(),
            topics: vec![some(name, &[index])],
        }];
        let response = rig.ask::<AlterReplicaLogDirs>(version, &AlterReplicaLogDirsRequest { dirs });
        let result = &response.results[0];
        assert_eq!((result.topic.as_str(), result.partitions[0].index), (name, index));
        result.partitions[0].error
    };
    for version in 1..=2 {
        assert_eq!(moved(version, &home, &topic.name, 0), ErrorCode::None);
        assert_eq!(moved(version, "/elsewhere", &topic.name, 0), ErrorCode::LogDirNotFound);
    }
}

#[test]
fn every_leader_is_the_preferred_one_93() {
    let mut rig = Rig::new();
    let topic = rig.topic(2, &[]);
    let gone = rig.name("gone");
    let elect = |rig: &mut Rig, version, election_type, topic_partitions| -> ElectLeadersResponse {
        let request = ElectLeadersRequest {
            election_type,
            topic_partitions,
            timeout_ms: 5_000,
        };
        rig.ask::<ElectLeaders>(version, &request)
    };
    for (version, election_type) in [(0, 0), (1, 0), (1, 1), (2, 0), (2, 1)] {
        let asked = vec![some(&topic.name, &[0, 1, 7]), some(&gone, &[0])];
        let response = elect(&mut rig, version, election_type, Some(asked));
        assert_eq!(response.error, ErrorCode::None);
        let mut found: Vec<_> = response
            .results
            .iter()
            .flat_map(|topic| {
                topic
                    .partitions
                    .iter()
                    .map(|p| (topic.topic.as_str(), p.index, p.error))
            })
            .collect();
        found.sort_unstable();
        let mut expected = vec![
            (topic.name.as_str(), 0, ErrorCode::ElectionNotNeeded),
            (topic.name.as_str(), 1, ErrorCode::ElectionNotNeeded),
            (topic.name.as_str(), 7, ErrorCode::UnknownTopicOrPartition),
            (gone.as_str(), 0, ErrorCode::UnknownTopicOrPartition),
        ];
        expected.sort_unstable();
        assert_eq!(found, expected, "v{version} type {election_type}");
        let all = elect(&mut rig, version, election_type, None);
        assert_eq!((all.error, all.results.len()), (ErrorCode::None, 0), "none needed one");
    }
}

#[test]
fn replicas_stay_where_they_are_93() {
    let mut rig = Rig::new();
    let topic = rig.topic(1, &[]);
    let gone = rig.name("gone");
    let mut reassign = |version, name: &str, index, replicas: Option<&[i32]>| {
        let request = AlterPartitionReassignmentsRequest {
            timeout_ms: 5_000,
            topics: vec![ReassignableTopic {
                name: name.into(),
                partitions: vec![ReassignablePartition {
                    index,
                    replicas: replicas.map(<[i32]>::to_vec),
                }],
            }],
            ..Default::default()
        };
        let response = rig.ask::<AlterPartitionReassignments>(version, &request);
        assert_eq!(response.error, ErrorCode::None);
        response.topics[0].partitions[0].error
    };
    for version in 0..=1 {
        for (name, index, replicas, error) in [
            (topic.name.as_str(), 0, Some(&[1][..]), ErrorCode::None),
            (topic.name.as_str(), 0, None, ErrorCode::NoReassignmentInProgress),
            (
                topic.name.as_str(),
                0,
                Some(&[77][..]),
                ErrorCode::InvalidReplicaAssignment,
            ),
            (
                topic.name.as_str(),
                0,
                Some(&[1, 1][..]),
                ErrorCode::InvalidReplicaAssignment,
            ),
            (
                topic.name.as_str(),
                0,
                Some(&[][..]),
                ErrorCode::InvalidReplicaAssignment,
            ),
            (
                topic.name.as_str(),
                9,
                Some(&[1][..]),
                ErrorCode::UnknownTopicOrPartition,
            ),
            (gone.as_str(), 0, None, ErrorCode::UnknownTopicOrPartition),
        ] {
            assert_eq!(reassign(version, name, index, replicas), error, "{index} {replicas:?}");
        }
    }
    for topics in [
        None,
        Some(vec![ListedTopic {
            name: topic.name.clone(),
            partitions: vec![0],
        }]),
    ] {
        let request = ListPartitionReassignmentsRequest {
            timeout_ms: 5_000,
            topics,
        };
        let response = rig.ask::<ListPartitionReassignments>(0, &request);
        assert_eq!((response.error, response.topics.len()), (ErrorCode::None, 0));
    }
}

/// Producers that partition 0 remembers.
pub fn producers(rig: &mut Rig, topic: &Topic) -> Vec<i64> {
    let request = DescribeProducersRequest {
        topics: vec![ListedTopic {
            name: topic.name.clone(),
            partitions: vec![0],
        }],
    };
    let response = rig.ask::<DescribeProducers>(0, &request);
    let partition = &response.topics[0].partitions[0];
    partition.producers.iter().map(|one| one.producer_id).collect()
}

#[test]
fn a_partition_tells_its_producers_93() {
    let mut rig = Rig::new();
    let (topic, id) = (rig.topic(2, &[]), producer(&mut rig));
    let now = rig.now_ms();
    rig.written(&topic, &from_producer((id, 0), 0, 3, now));
    rig.written(&topic, &from_producer((id, 0), 3, 2, now));
    rig.written(&topic, &at(&[now]));
    let gone = rig.name("gone");
    let listed = |name: &str, partitions: &[i32]| ListedTopic {
        name: name.into(),
        partitions: partitions.to_vec(),
    };
    let request = DescribeProducersRequest {
        topics: vec![listed(&topic.name, &[0, 1, 9]), listed(&gone, &[0])],
    };
    let response = rig.ask::<DescribeProducers>(0, &request);
    let find = |name: &str, index| {
        let topic = response.topics.iter().find(|topic| topic.name == name).unwrap();
        topic
            .partitions
            .iter()
            .find(|partition| partition.index == index)
            .unwrap()
    };
    let first = find(&topic.name, 0);
    assert_eq!((first.error, first.producers.len()), (ErrorCode::None, 1));
    let found = &first.producers[0];
    assert_eq!(
        (found.producer_id, found.producer_epoch, found.last_sequence),
        (id, 0, 4)
    );
    assert_eq!((found.coordinator_epoch, found.txn_start_offset), (-1, -1));
    assert!((found.last_timestamp - now).abs() < 60_000);
    let second = find(&topic.name, 1);
    assert_eq!((second.error, second.producers.len()), (ErrorCode::None, 0));
    assert_eq!(find(&topic.name, 9).error, ErrorCode::UnknownTopicOrPartition);
    assert_eq!(find(&gone, 0).error, ErrorCode::UnknownTopicOrPartition);
}

#[test]
fn no_transaction_is_known_93() {
    let mut rig = Rig::own(|_| ());
    for version in 0..=2 {
        let request = ListTransactionsRequest {
            state_filters: vec!["Ongoing".into(), "Dreaming".into()],
            ..Default::default()
        };
        let response = rig.ask::<ListTransactions>(version, &request);
        assert_eq!((response.error, response.states.len()), (ErrorCode::None, 0));
        assert_eq!(response.unknown_state_filters, ["Dreaming"]);
    }
    let request = DescribeTransactionsRequest {
        transactional_ids: vec!["t".into()],
    };
    let response = rig.ask::<DescribeTransactions>(0, &request);
    assert_eq!(response.states[0].error, ErrorCode::TransactionalIdNotFound);
    assert_eq!(response.states[0].transactional_id, "t");
}

#[test]
fn what_has_configurations_is_listed_94() {
    let mut rig = Rig::new();
    let topic = rig.topic(1, &[]);
    let mut list = |version, types: &[i8]| {
        let request = ListConfigResourcesRequest {
            resource_types: types.to_vec(),
        };
        let response = rig.ask::<ListConfigResources>(version, &request);
        let named = |kind| {
            let of_kind = response.resources.iter().filter(move |one| one.resource_type == kind);
            of_kind.map(|one| one.name.clone()).collect::<Vec<_>>()
        };
        (response.error, named(TOPIC), named(BROKER), response.resources.len())
    };
    let (error, topics, brokers, _) = list(1, &[]);
    assert_eq!((error, brokers), (ErrorCode::None, vec!["1".to_string()]));
    assert!(topics.contains(&topic.name));
    let (_, topics, brokers, count) = list(1, &[TOPIC]);
    assert!(topics.contains(&topic.name) && brokers.is_empty() && count == topics.len());
    assert_eq!(list(1, &[CLIENT_METRICS]).3, 0);
    assert_eq!(list(1, &[99]).0, ErrorCode::UnsupportedVersion);
    assert_eq!(list(0, &[]).3, 0, "version 0 is about client metrics");
}
