//! CreateTopics, DeleteTopics, CreatePartitions.

use crate::rig::{Rig, Topic, creatable};
use ringlog::base::ids::TopicId;
use ringlog::wire::control::create_partitions::{
    CreatePartitions, CreatePartitionsAssignment, CreatePartitionsRequest, CreatePartitionsTopic,
    CreatePartitionsTopicResult,
};
use ringlog::wire::control::create_topics::{
    CreatableReplicaAssignment, CreatableTopic, CreatableTopicConfig, CreateTopics, CreateTopicsRequest,
};
use ringlog::wire::control::delete_topics::{DeleteTopicState, DeleteTopics, DeleteTopicsRequest};
use ringlog::wire::control::metadata::Metadata;
use ringlog::wire::error::ErrorCode;

#[test]
fn a_created_topic_is_described_as_it_is_18_88() {
    let mut rig = Rig::new();
    for version in 2..=7 {
        let name = rig.name(&format!("v{version}"));
        let request = CreateTopicsRequest {
            topics: vec![creatable(&name, -1, &[("segment.bytes", "1048576")])],
            ..Default::default()
        };
        let mut response = rig.ask::<CreateTopics>(version, &request);
        let created = response.topics.remove(0);
        assert_eq!((created.error, created.error_message), (ErrorCode::None, None));
        assert_eq!(created.topic_config_error, ErrorCode::None);
        if version >= 5 {
            assert_eq!((created.num_partitions, created.replication_factor), (1, 1));
            let configs = created.configs.unwrap();
            let source = |name: &str| configs.iter().find(|config| config.name == name).unwrap().config_source;
            assert_eq!((source("segment.bytes"), source("retention.bytes")), (1, 5));
            assert!(configs.iter().all(|config| !config.read_only && !config.is_sensitive));
        }
        if version >= 7 {
            assert!(!created.topic_id.is_zero());
        }
    }
}

/// A topic that is wrong in one way.
fn with(name: &str, change: impl FnOnce(&mut CreatableTopic)) -> CreatableTopic {
    let mut topic = creatable(name, -1, &[]);
    change(&mut topic);
    topic
}

fn manual(index: i32, brokers: &[i32]) -> CreatableReplicaAssignment {
    CreatableReplicaAssignment {
        index,
        broker_ids: brokers.to_vec(),
    }
}

/// Each must be refused with this code and a text, also when only checked.
fn refuses(rig: &mut Rig, cases: Vec<(CreatableTopic, ErrorCode)>) {
    for (topic, error) in cases {
        for validate_only in [true, false] {
            let request = CreateTopicsRequest {
                topics: vec![topic.clone()],
                validate_only,
                ..Default::default()
            };
            let result = rig.ask::<CreateTopics>(7, &request).topics.remove(0);
            assert_eq!(result.error, error, "{topic:?}: {:?}", result.error_message);
            assert!(result.error_message.is_some_and(|text| !text.is_empty()), "{topic:?}");
            assert_eq!((result.num_partitions, result.replication_factor), (-1, -1));
        }
    }
}

#[test]
fn names_and_counts_that_cannot_be_are_refused_18() {
    let mut rig = Rig::new();
    let there = rig.topic_named(&rig.name("the.re"), 1, &[]);
    let name = rig.name("x");
    let counts = |partitions, factor| {
        with(&name, |t| {
            (t.num_partitions, t.replication_factor) = (partitions, factor)
        })
    };
    let cases = vec![
        (creatable(&there.name, 1, &[]), ErrorCode::TopicAlreadyExists),
        (
            creatable(&there.name.replace('.', "_"), 1, &[]),
            ErrorCode::InvalidTopicException,
        ),
        (creatable("no name", 1, &[]), ErrorCode::InvalidTopicException),
        (creatable("", 1, &[]), ErrorCode::InvalidTopicException),
        (counts(0, -1), ErrorCode::InvalidPartitions),
        (counts(-2, -1), ErrorCode::InvalidPartitions),
        (counts(10_001, -1), ErrorCode::PolicyViolation),
        (counts(1, 0), ErrorCode::InvalidReplicationFactor),
        (counts(1, 3), ErrorCode::InvalidReplicationFactor),
    ];
    refuses(&mut rig, cases);
}

#[test]
fn configs_that_cannot_be_are_refused_88_96() {
    let mut rig = Rig::new();
    let name = rig.name("x");
    let config = |key: &str, value: Option<&str>| {
        let config = CreatableTopicConfig {
            name: key.into(),
            value: value.map(str::to_string),
        };
        (with(&name, |t| t.configs = vec![config]), ErrorCode::InvalidConfig)
    };
    let cases = vec![
        config("no.such.key", Some("1")),
        config("retention.ms", Some("soon")),
        config("retention.ms", Some("")),
        config("retention.ms", None),
        config("segment.bytes", Some("1048575")),
    ];
    refuses(&mut rig, cases);
}

#[test]
fn assignments_exclude_counts_and_name_real_brokers_18() {
    let mut rig = Rig::new();
    let (name, node) = (rig.name("x"), node(&mut rig));
    let assigned = |list: Vec<CreatableReplicaAssignment>| with(&name, |t| t.assignments = list);
    let good = || vec![manual(0, &[node])];
    let cases = vec![
        (
            assigned(vec![manual(0, &[node + 77])]),
            ErrorCode::InvalidReplicaAssignment,
        ),
        (assigned(vec![manual(1, &[node])]), ErrorCode::InvalidReplicaAssignment),
        (assigned(vec![manual(0, &[])]), ErrorCode::InvalidReplicaAssignment),
        (
            assigned(vec![manual(0, &[node, node])]),
            ErrorCode::InvalidReplicaAssignment,
        ),
        (
            with(&name, |t| (t.assignments, t.num_partitions) = (good(), 1)),
            ErrorCode::InvalidRequest,
        ),
        (
            with(&name, |t| (t.assignments, t.replication_factor) = (good(), 1)),
            ErrorCode::InvalidRequest,
        ),
    ];
    refuses(&mut rig, cases);
    let created = rig.create(assigned(vec![manual(0, &[node]), manual(1, &[node])]));
    assert_eq!((created.error, created.num_partitions), (ErrorCode::None, 2));
}

/// This broker's id.
fn node(rig: &mut Rig) -> i32 {
    let request = crate::metadata::by_name(&[], false);
    rig.ask::<Metadata>(12, &request).brokers[0].node_id
}

#[test]
fn a_name_twice_fails_both_and_the_others_are_created_18() {
    let mut rig = Rig::new();
    let (twice, once) = (rig.name("twice"), rig.name("once"));
    let request = CreateTopicsRequest {
        topics: vec![
            creatable(&twice, 1, &[]),
            creatable(&once, 1, &[]),
            creatable(&twice, 2, &[]),
        ],
        ..Default::default()
    };
    let response = rig.ask::<CreateTopics>(7, &request);
    let mut got: Vec<_> = response
        .topics
        .iter()
        .map(|topic| (topic.name == once, topic.error))
        .collect();
    got.sort_unstable();
    assert_eq!(got, [(false, ErrorCode::InvalidRequest), (true, ErrorCode::None)]);
}

#[test]
fn validate_only_tells_all_and_does_nothing_18() {
    let mut rig = Rig::new();
    let name = rig.name("dry");
    let request = CreateTopicsRequest {
        topics: vec![creatable(&name, 4, &[("retention.ms", "1000")])],
        validate_only: true,
        ..Default::default()
    };
    let result = rig.ask::<CreateTopics>(7, &request).topics.remove(0);
    assert_eq!(
        (result.error, result.num_partitions, result.replication_factor),
        (ErrorCode::None, 4, 1)
    );
    let configs = result.configs.unwrap();
    let retention = configs.iter().find(|config| config.name == "retention.ms").unwrap();
    assert_eq!(retention.value.as_deref(), Some("1000"));
    rig.pass_ms(300);
    assert_eq!(
        rig.create(creatable(&name, 1, &[])).error,
        ErrorCode::None,
        "it was not created"
    );
}

fn delete(rig: &mut Rig, topics: &[(Option<&str>, TopicId)]) -> Vec<(Option<String>, TopicId, ErrorCode)> {
    let state = |(name, topic_id): &(Option<&str>, TopicId)| DeleteTopicState {
        name: name.map(str::to_string),
        topic_id: *topic_id,
    };
    let request = DeleteTopicsRequest {
        topics: topics.iter().map(state).collect(),
        timeout_ms: 5_000,
        ..Default::default()
    };
    let response = rig.ask::<DeleteTopics>(6, &request);
    let results = response.responses.into_iter();
    let mut results: Vec<_> = results.map(|r| (r.name, r.topic_id, r.error)).collect();
    results.sort_unstable();
    results
}

#[test]
fn a_topic_is_deleted_by_name_or_by_id_not_by_both() {
    let mut rig = Rig::new();
    let (a, b) = (
        rig.topic_named(&rig.name("a"), 1, &[]),
        rig.topic_named(&rig.name("b"), 1, &[]),
    );
    let other = TopicId([9; 16]);
    let invalid = |name: Option<&str>, id| (name.map(str::to_string), id, ErrorCode::InvalidRequest);
    assert_eq!(
        delete(&mut rig, &[(Some(&a.name), a.id)]),
        [invalid(Some(&a.name), a.id)]
    );
    assert_eq!(
        delete(&mut rig, &[(None, TopicId::ZERO)]),
        [invalid(None, TopicId::ZERO)]
    );
    assert_eq!(
        delete(&mut rig, &[(None, other)]),
        [(None, other, ErrorCode::UnknownTopicId)]
    );
    let gone = rig.name("gone");
    let unknown = (Some(gone.clone()), TopicId::ZERO, ErrorCode::UnknownTopicOrPartition);
    assert_eq!(delete(&mut rig, &[(Some(&gone), TopicId::ZERO)]), [unknown]);
    assert_eq!(
        delete(&mut rig, &[(Some(&a.name), TopicId::ZERO)]),
        [(Some(a.name.clone()), a.id, ErrorCode::None)]
    );
    assert_eq!(
        delete(&mut rig, &[(None, b.id)]),
        [(Some(b.name.clone()), b.id, ErrorCode::None)]
    );
    rig.pass_ms(300);
    assert_eq!(
        delete(&mut rig, &[(None, b.id)]),
        [(None, b.id, ErrorCode::UnknownTopicId)]
    );
}

#[test]
fn a_topic_named_twice_is_not_deleted() {
    let mut rig = Rig::new();
    let topic = rig.topic(1, &[]);
    let (name, id) = (Some(topic.name.as_str()), topic.id);
    for asked in [
        vec![(name, TopicId::ZERO), (name, TopicId::ZERO)],
        vec![(None, id), (None, id)],
        vec![(name, TopicId::ZERO), (None, id)],
        vec![(None, id), (name, TopicId::ZERO)],
    ] {
        let results = delete(&mut rig, &asked);
        assert!(!results.is_empty());
        assert!(
            results.iter().all(|(_, _, error)| *error == ErrorCode::InvalidRequest),
            "{asked:?}: {results:?}"
        );
        assert_eq!(rig.offset(&topic, 0, -1).0, ErrorCode::None, "{asked:?}");
    }
}

/// Asks for more partitions; name and error of each answer. Every refusal has a text (Kafka has none for some).
fn grow(
    rig: &mut Rig,
    version: i16,
    topics: Vec<CreatePartitionsTopic>,
    validate_only: bool,
) -> Vec<(String, ErrorCode)> {
    let request = CreatePartitionsRequest {
        topics,
        timeout_ms: 5_000,
        validate_only,
    };
    let response = rig.ask::<CreatePartitions>(version, &request);
    let is_own = rig.is_own();
    let result = |result: CreatePartitionsTopicResult| {
        let has_text = result.error_message.is_some();
        assert!(!is_own || has_text == (result.error != ErrorCode::None));
        (result.name, result.error)
    };
    let mut results: Vec<_> = response.results.into_iter().map(result).collect();
    results.sort_unstable();
    results
}

fn wider(topic: &Topic, count: i32, assignments: Option<&[&[i32]]>) -> CreatePartitionsTopic {
    let assignment = |brokers: &&[i32]| CreatePartitionsAssignment {
        broker_ids: brokers.to_vec(),
    };
    CreatePartitionsTopic {
        name: topic.name.clone(),
        count,
        assignments: assignments.map(|list| list.iter().map(assignment).collect()),
    }
}

fn width(rig: &mut Rig, topic: &Topic) -> usize {
    rig.pass_ms(300);
    let request = crate::metadata::by_name(&[&topic.name], false);
    rig.ask::<Metadata>(12, &request).topics[0].partitions.len()
}

#[test]
fn every_topic_has_its_result_and_only_grows_19_97() {
    let mut rig = Rig::new();
    let node = node(&mut rig);
    let topic = rig.topic(2, &[]);
    let gone = Topic {
        name: rig.name("gone"),
        id: TopicId::ZERO,
    };
    let results = grow(&mut rig, 3, vec![wider(&topic, 3, None), wider(&gone, 3, None)], false);
    let mut expected = [
        (topic.name.clone(), ErrorCode::None),
        (gone.name.clone(), ErrorCode::UnknownTopicOrPartition),
    ];
    expected.sort_unstable();
    assert_eq!(results, expected);
    assert_eq!(width(&mut rig, &topic), 3);
    for (count, assignments, error) in [
        (3, None, ErrorCode::InvalidPartitions),
        (1, None, ErrorCode::InvalidPartitions),
        (-1, None, ErrorCode::InvalidPartitions),
        (4, Some(&[][..]), ErrorCode::InvalidReplicaAssignment),
        (4, Some(&[&[node + 77][..]][..]), ErrorCode::InvalidReplicaAssignment),
        (4, Some(&[&[node, node][..]][..]), ErrorCode::InvalidReplicaAssignment),
        (4, Some(&[&[][..]][..]), ErrorCode::InvalidReplicaAssignment),
    ] {
        for version in 0..=3 {
            let results = grow(&mut rig, version, vec![wider(&topic, count, assignments)], false);
            assert_eq!(results, [(topic.name.clone(), error)], "{count} {assignments:?}");
        }
    }
    assert_eq!(
        grow(&mut rig, 3, vec![wider(&topic, 4, Some(&[&[node]]))], true)[0].1,
        ErrorCode::None
    );
    assert_eq!(width(&mut rig, &topic), 3, "only checked");
    assert_eq!(
        grow(&mut rig, 3, vec![wider(&topic, 4, Some(&[&[node]]))], false)[0].1,
        ErrorCode::None
    );
    assert_eq!(width(&mut rig, &topic), 4);
    let twice = grow(&mut rig, 3, vec![wider(&topic, 5, None), wider(&topic, 6, None)], false);
    assert_eq!(
        twice,
        [(topic.name.clone(), ErrorCode::InvalidRequest)],
        "one result for a name"
    );
    assert_eq!(width(&mut rig, &topic), 4);
}

#[test]
fn new_partitions_take_records_19() {
    let mut rig = Rig::own(|config| config.shards = 3);
    let topic = rig.topic(1, &[]);
    assert_eq!(
        grow(&mut rig, 3, vec![wider(&topic, 7, None)], false)[0].1,
        ErrorCode::None
    );
    let batch = crate::batches::at(&[rig.now_ms()]);
    let parts: Vec<(i32, &[u8])> = (0..7).map(|index| (index, &batch[..])).collect();
    let answers = rig.produce_all(9, -1, &topic, &parts);
    assert!(
        answers
            .iter()
            .all(|answer| (answer.error, answer.base_offset) == (ErrorCode::None, 0))
    );
}
