//! Rules of the controller, each as a client would notice it. Numbers name the checklist items of the compatibility list.

use super::image::{Image, TimestampType, Topic};
use super::machine::{Controller, ControllerConfig, Planned};
use super::record::{MetaError, MetaRecord, decode_snapshot, encode_snapshot};
use super::request::*;
use crate::base::ids::TopicId;
use crate::wire::error::ErrorCode;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

fn controller(shards: u16) -> Controller {
    Controller::new(
        Image::default(),
        ControllerConfig {
            shard_count: shards,
            ..ControllerConfig::default()
        },
    )
}

fn with_static(pairs: &[(&str, &str)]) -> Controller {
    let static_configs = pairs.iter().map(|(k, v)| (k.to_string(), v.to_string())).collect();
    Controller::new(
        Image::default(),
        ControllerConfig {
            static_configs,
            ..ControllerConfig::default()
        },
    )
}

fn new_topic(name: &str, partitions: i32) -> NewTopic {
    NewTopic {
        name: name.into(),
        partitions,
        replication_factor: -1,
        assignments: vec![],
        configs: BTreeMap::new(),
    }
}

fn with_config(name: &str, key: &str, value: &str) -> NewTopic {
    NewTopic {
        configs: BTreeMap::from([(key.to_string(), Some(value.to_string()))]),
        ..new_topic(name, 1)
    }
}

/// Plans and makes it durable at once.
fn run(controller: &mut Controller, request: ControllerRequest) -> ControllerReply {
    let Planned {
        records,
        reply,
        version,
    } = controller.plan(request);
    for record in &records {
        let copy = MetaRecord::decode(&record.encode()).unwrap();
        assert_eq!(&copy, record);
        controller.replay(&copy);
    }
    assert_eq!(controller.image().version, version);
    reply
}

fn create(controller: &mut Controller, topics: Vec<NewTopic>) -> Vec<(Outcome, Option<Arc<Topic>>)> {
    match run(
        controller,
        ControllerRequest::CreateTopics {
            topics,
            validate_only: false,
        },
    ) {
        ControllerReply::Created(results) => results,
        other => panic!("{other:?}"),
    }
}

fn create_one(controller: &mut Controller, topic: NewTopic) -> (ErrorCode, String) {
    let mut results = create(controller, vec![topic]);
    let (outcome, _) = results.remove(0);
    (outcome.error, outcome.message.unwrap_or_default())
}

fn delete(controller: &mut Controller, topics: Vec<TopicRef>) -> Vec<ErrorCode> {
    match run(controller, ControllerRequest::DeleteTopics { topics }) {
        ControllerReply::Deleted(results) => results.into_iter().map(|(outcome, _)| outcome.error).collect(),
        other => panic!("{other:?}"),
    }
}

fn by_name(name: &str) -> TopicRef {
    TopicRef {
        name: Some(name.into()),
        id: TopicId::ZERO,
    }
}

fn grow(controller: &mut Controller, name: &str, count: i32, assignments: Option<Vec<Vec<i32>>>) -> Outcome {
    let topics = vec![NewPartitions {
        name: name.into(),
        count,
        assignments,
    }];
    match run(
        controller,
        ControllerRequest::CreatePartitions {
            topics,
            validate_only: false,
        },
    ) {
        ControllerReply::Grown(mut results) => results.remove(0),
        other => panic!("{other:?}"),
    }
}

fn alter(
    controller: &mut Controller,
    resource_type: i8,
    name: &str,
    replace: bool,
    ops: &[(&str, Option<&str>, i8)],
) -> Outcome {
    let ops = ops
        .iter()
        .map(|(key, value, op)| ConfigOp {
            key: key.to_string(),
            value: value.map(str::to_string),
            op: *op,
        })
        .collect();
    let resources = vec![ConfigChange {
        resource_type,
        name: name.into(),
        replace,
        ops,
    }];
    match run(
        controller,
        ControllerRequest::AlterConfigs {
            resources,
            validate_only: false,
        },
    ) {
        ControllerReply::Altered(mut results) => results.remove(0),
        other => panic!("{other:?}"),
    }
}

fn overrides(controller: &Controller, name: &str) -> Vec<(String, String)> {
    super::record::pairs(&controller.image().topic(name).unwrap().overrides)
}

#[test]
fn minus_one_means_the_brokers_defaults_18_88() {
    let mut c = with_static(&[("num.partitions", "4")]);
    let results = create(&mut c, vec![new_topic("t", -1)]);
    assert_eq!(results[0].0, Outcome::fine());
    let topic = results[0].1.as_ref().unwrap();
    assert_eq!(topic.partitions.len(), 4);
    assert!(!topic.id.is_zero());
    assert_eq!(c.image().topic("t").unwrap().id, topic.id);
}

#[test]
fn counts_that_cannot_be_are_refused_with_their_own_code_18() {
    let mut c = controller(1);
    assert_eq!(create_one(&mut c, new_topic("t", 0)).0, ErrorCode::InvalidPartitions);
    assert_eq!(create_one(&mut c, new_topic("t", -2)).0, ErrorCode::InvalidPartitions);
    let three = NewTopic {
        replication_factor: 3,
        ..new_topic("t", 1)
    };
    let (error, message) = create_one(&mut c, three);
    assert_eq!(error, ErrorCode::InvalidReplicationFactor);
    assert!(message.contains("only 1 broker(s)"), "{message}");
    let zero = NewTopic {
        replication_factor: 0,
        ..new_topic("t", 1)
    };
    assert_eq!(create_one(&mut c, zero).0, ErrorCode::InvalidReplicationFactor);
    assert!(c.image().topics.is_empty());
}

#[test]
fn a_topic_exists_once_and_a_name_twice_in_one_request_fails_both_18() {
    let mut c = controller(1);
    assert_eq!(create_one(&mut c, new_topic("t", 1)).0, ErrorCode::None);
    assert_eq!(create_one(&mut c, new_topic("t", 1)).0, ErrorCode::TopicAlreadyExists);
    let results = create(&mut c, vec![new_topic("a", 1), new_topic("b", 1), new_topic("a", 2)]);
    let errors: Vec<_> = results.iter().map(|(outcome, _)| outcome.error).collect();
    assert_eq!(
        errors,
        [ErrorCode::InvalidRequest, ErrorCode::None, ErrorCode::InvalidRequest]
    );
    assert!(c.image().topic("a").is_none());
}

#[test]
fn a_later_plan_sees_an_earlier_one_that_is_not_durable_yet() {
    let mut c = controller(1);
    let request = || ControllerRequest::CreateTopics {
        topics: vec![new_topic("t", 1)],
        validate_only: false,
    };
    let first = c.plan(request());
    let second = c.plan(request());
    assert_eq!(first.records.len(), 1);
    assert!(second.records.is_empty());
    assert!(matches!(second.reply, ControllerReply::Created(ref r) if r[0].0.error == ErrorCode::TopicAlreadyExists));
    assert_eq!(second.version, first.version, "the refusal waits until the topic shows");
    assert!(
        c.image().topics.is_empty(),
        "nothing shows before its record is replayed"
    );
    c.replay(&first.records[0]);
    assert!(c.image().topic("t").is_some());
}

#[test]
fn names_are_checked_and_colliding_ones_refused_12_18() {
    let mut c = controller(1);
    for bad in ["", ".", "..", "a b", "a/b", "ä", &"x".repeat(250)] {
        let (error, message) = create_one(&mut c, new_topic(bad, 1));
        assert_eq!(error, ErrorCode::InvalidTopicException, "{bad:?}");
        assert!(message.starts_with("Topic name is invalid"), "{message}");
    }
    assert_eq!(create_one(&mut c, new_topic(&"x".repeat(249), 1)).0, ErrorCode::None);
    assert_eq!(create_one(&mut c, new_topic("a.b", 1)).0, ErrorCode::None);
    let (error, message) = create_one(&mut c, new_topic("a_b", 1));
    assert_eq!(error, ErrorCode::InvalidTopicException);
    assert!(message.contains("collides with existing topic: a.b"), "{message}");
    delete(&mut c, vec![by_name("a.b")]);
    assert_eq!(create_one(&mut c, new_topic("a_b", 1)).0, ErrorCode::None);
}

#[test]
fn a_manual_assignment_excludes_counts_and_names_real_brokers_18() {
    let mut c = controller(1);
    let manual = |partitions, factor, assignments: Vec<(i32, Vec<i32>)>| NewTopic {
        partitions,
        replication_factor: factor,
        assignments,
        ..new_topic("t", 1)
    };
    let two = vec![(0, vec![1]), (1, vec![1])];
    assert_eq!(
        create_one(&mut c, manual(2, -1, two.clone())).0,
        ErrorCode::InvalidRequest
    );
    assert_eq!(
        create_one(&mut c, manual(-1, 1, two.clone())).0,
        ErrorCode::InvalidRequest
    );
    for wrong in [
        vec![(0, vec![7])],
        vec![(1, vec![1])],
        vec![(0, vec![])],
        vec![(0, vec![1, 1])],
        vec![(0, vec![1]), (0, vec![1])],
    ] {
        assert_eq!(
            create_one(&mut c, manual(-1, -1, wrong)).0,
            ErrorCode::InvalidReplicaAssignment
        );
    }
    assert_eq!(create_one(&mut c, manual(-1, -1, two)).0, ErrorCode::None);
    assert_eq!(c.image().topic("t").unwrap().partitions.len(), 2);
}

#[test]
fn validate_only_answers_as_if_but_creates_nothing_18() {
    let mut c = controller(1);
    let topics = vec![with_config("t", "retention.ms", "1000")];
    let reply = run(
        &mut c,
        ControllerRequest::CreateTopics {
            topics,
            validate_only: true,
        },
    );
    let ControllerReply::Created(results) = reply else {
        panic!()
    };
    assert_eq!(results[0].1.as_ref().unwrap().config.retention_ms, 1000);
    assert!(c.image().topics.is_empty());
}

#[test]
fn configs_are_known_legal_and_honoured_or_refused_with_text_88_96() {
    let mut c = controller(1);
    for (key, value, says) in [
        ("no.such.key", "1", "Unknown topic config name: no.such.key"),
        ("segment.bytes", "1048575", "Value must be at least 1048576"),
        ("retention.ms", "soon", "Not a number of type LONG"),
        ("retention.ms", "-2", "Value must be at least -1"),
        (
            "message.timestamp.type",
            "Never",
            "String must be one of: CreateTime, LogAppendTime",
        ),
        ("cleanup.policy", "shred", "String must be one of: compact, delete"),
        ("write.caching", "true", "waits for stable storage"),
        ("remote.storage.enable", "true", "tiered storage is not available"),
    ] {
        let (error, message) = create_one(&mut c, with_config("t", key, value));
        assert_eq!(error, ErrorCode::InvalidConfig, "{key}");
        assert!(message.contains(says), "{key}: {message}");
    }
    for (n, (key, value)) in [
        ("flush.messages", "1"),
        ("cleanup.policy", "compact,delete"),
        ("compression.type", "zstd"),
        ("preallocate", "TRUE"),
        ("segment.bytes", "1048576"),
    ]
    .iter()
    .enumerate()
    {
        assert_eq!(
            create_one(&mut c, with_config(&format!("t{n}"), key, value)).0,
            ErrorCode::None,
            "{key}"
        );
    }
    assert_eq!(c.image().topic("t2").unwrap().config.compression, Some(4));
}

#[test]
fn a_topic_created_again_has_a_new_id_and_the_old_one_is_unknown_14_23() {
    let mut c = controller(1);
    create(&mut c, vec![new_topic("t", 1)]);
    let old = c.image().topic("t").unwrap().id;
    assert_eq!(
        delete(&mut c, vec![TopicRef { name: None, id: old }]),
        [ErrorCode::None]
    );
    create(&mut c, vec![new_topic("t", 1)]);
    assert_ne!(c.image().topic("t").unwrap().id, old);
    assert_eq!(
        delete(&mut c, vec![TopicRef { name: None, id: old }]),
        [ErrorCode::UnknownTopicId]
    );
    assert_eq!(
        delete(&mut c, vec![by_name("gone")]),
        [ErrorCode::UnknownTopicOrPartition]
    );
    assert_eq!(
        delete(
            &mut c,
            vec![TopicRef {
                name: Some("t".into()),
                id: old
            }]
        ),
        [ErrorCode::InvalidRequest]
    );
    assert_eq!(
        delete(&mut c, vec![by_name("t"), by_name("t")]),
        [ErrorCode::InvalidRequest],
        "one answer for a name"
    );
    assert!(c.image().topic("t").is_some());
}

#[test]
fn deletion_can_be_switched_off() {
    let mut c = with_static(&[("delete.topic.enable", "false")]);
    create(&mut c, vec![new_topic("t", 1)]);
    assert_eq!(delete(&mut c, vec![by_name("t")]), [ErrorCode::TopicDeletionDisabled]);
}

#[test]
fn partitions_only_grow_19_97() {
    let mut c = controller(1);
    create(&mut c, vec![new_topic("t", 2)]);
    assert_eq!(grow(&mut c, "t", 2, None).error, ErrorCode::InvalidPartitions);
    assert_eq!(grow(&mut c, "t", 1, None).error, ErrorCode::InvalidPartitions);
    assert_eq!(grow(&mut c, "t", -1, None).error, ErrorCode::InvalidPartitions);
    assert_eq!(grow(&mut c, "gone", 3, None).error, ErrorCode::UnknownTopicOrPartition);
    assert_eq!(
        grow(&mut c, "t", 3, Some(vec![])).error,
        ErrorCode::InvalidReplicaAssignment
    );
    assert_eq!(
        grow(&mut c, "t", 3, Some(vec![vec![9]])).error,
        ErrorCode::InvalidReplicaAssignment
    );
    assert_eq!(grow(&mut c, "t", 3, Some(vec![vec![1]])).error, ErrorCode::None);
    assert_eq!(grow(&mut c, "t", 5, None).error, ErrorCode::None);
    assert_eq!(c.image().topic("t").unwrap().partitions.len(), 5);
}

#[test]
fn alter_configs_replaces_everything_22() {
    let mut c = controller(1);
    create(&mut c, vec![with_config("t", "retention.ms", "1000")]);
    let outcome = alter(&mut c, 2, "t", true, &[("segment.bytes", Some("2097152"), 0)]);
    assert_eq!(outcome, Outcome::fine());
    assert_eq!(overrides(&c, "t"), [("segment.bytes".into(), "2097152".into())]);
    assert_eq!(c.image().topic("t").unwrap().config.retention_ms, 604_800_000);
    assert_eq!(c.image().topic("t").unwrap().config.segment_bytes, 2_097_152);
}

#[test]
fn incremental_changes_touch_only_what_they_name_22_94() {
    let mut c = controller(1);
    create(&mut c, vec![with_config("t", "retention.ms", "1000")]);
    assert_eq!(
        alter(&mut c, 2, "t", false, &[("max.message.bytes", Some("51200"), 0)]),
        Outcome::fine()
    );
    assert_eq!(overrides(&c, "t").len(), 2);
    assert_eq!(
        alter(&mut c, 2, "t", false, &[("retention.ms", None, 1)]),
        Outcome::fine()
    );
    assert_eq!(overrides(&c, "t"), [("max.message.bytes".into(), "51200".into())]);
    let list = "leader.replication.throttled.replicas";
    assert_eq!(
        alter(&mut c, 2, "t", false, &[(list, Some("0:1,1:1"), 2)]),
        Outcome::fine()
    );
    assert_eq!(alter(&mut c, 2, "t", false, &[(list, Some("0:1"), 3)]), Outcome::fine());
    assert_eq!(overrides(&c, "t")[0], (list.into(), "1:1".into()));
    // On a list with its default value APPEND adds to the default: delete,delete is delete.
    assert_eq!(
        alter(&mut c, 2, "t", false, &[("cleanup.policy", Some("delete"), 2)]),
        Outcome::fine()
    );
    assert_eq!(
        alter(&mut c, 2, "t", false, &[("retention.ms", Some("5"), 2)]).error,
        ErrorCode::InvalidConfig
    );
    assert_eq!(
        alter(&mut c, 2, "t", false, &[("retention.ms", Some("5"), 9)]).error,
        ErrorCode::InvalidRequest
    );
    assert_eq!(
        alter(&mut c, 2, "t", false, &[("retention.ms", None, 0)]).error,
        ErrorCode::InvalidRequest
    );
    assert_eq!(
        alter(&mut c, 2, "t", false, &[("a.b", Some("5"), 0)]).error,
        ErrorCode::InvalidConfig
    );
    let twice = [("retention.ms", Some("5"), 0), ("retention.ms", Some("6"), 0)];
    assert_eq!(alter(&mut c, 2, "t", false, &twice).error, ErrorCode::InvalidRequest);
    assert_eq!(
        alter(&mut c, 2, "gone", false, &[]).error,
        ErrorCode::UnknownTopicOrPartition
    );
}

#[test]
fn broker_defaults_reach_the_topics_that_do_not_override_them() {
    let mut c = with_static(&[("log.retention.hours", "2")]);
    create(&mut c, vec![new_topic("t", 1), with_config("own", "retention.ms", "7")]);
    let retention = |c: &Controller, name: &str| c.image().topic(name).unwrap().config.retention_ms;
    assert_eq!(retention(&c, "t"), 7_200_000);
    assert_eq!(
        alter(&mut c, 4, "", false, &[("log.retention.ms", Some("5000"), 0)]),
        Outcome::fine()
    );
    assert_eq!(retention(&c, "t"), 5000);
    assert_eq!(
        alter(&mut c, 4, "1", false, &[("log.retention.ms", Some("6000"), 0)]),
        Outcome::fine()
    );
    assert_eq!((retention(&c, "t"), retention(&c, "own")), (6000, 7));
    alter(&mut c, 4, "1", false, &[("log.retention.ms", None, 1)]);
    alter(&mut c, 4, "", true, &[]);
    assert_eq!(retention(&c, "t"), 7_200_000);
    assert_eq!(alter(&mut c, 4, "9", false, &[]).error, ErrorCode::InvalidRequest);
    let fixed = alter(&mut c, 4, "", false, &[("num.partitions", Some("3"), 0)]);
    assert_eq!(fixed.error, ErrorCode::InvalidRequest, "KAFKA-13609");
    assert!(fixed.message.unwrap().contains("cannot be changed while running"));
}

#[test]
fn an_unknown_resource_type_is_refused() {
    let mut c = controller(1);
    assert_eq!(alter(&mut c, 16, "x", false, &[]).error, ErrorCode::InvalidRequest);
}

#[test]
fn topics_of_one_partition_spread_over_all_shards() {
    let mut c = controller(4);
    create(&mut c, (0..8).map(|n| new_topic(&format!("t{n}"), 1)).collect());
    let image = c.image();
    let mut load = [0; 4];
    image
        .topics
        .values()
        .for_each(|topic| load[topic.partitions[0].shard.0 as usize] += 1);
    assert_eq!(load, [2, 2, 2, 2]);
    create(&mut c, vec![new_topic("wide", 4)]);
    let owners: BTreeSet<_> = c
        .image()
        .topic("wide")
        .unwrap()
        .partitions
        .iter()
        .map(|p| p.shard.0)
        .collect();
    assert_eq!(owners.len(), 4);
}

#[test]
fn producer_ids_are_never_given_twice_even_after_a_restart() {
    let mut c = controller(1);
    let block = |c: &mut Controller| match run(c, ControllerRequest::ProducerIds { count: 1000 }) {
        ControllerReply::ProducerIds { first, count } => (first, count),
        other => panic!("{other:?}"),
    };
    assert_eq!(block(&mut c), (0, 1000));
    assert_eq!(block(&mut c), (1000, 1000));
    let stored = decode_snapshot(&encode_snapshot(&c.image())).unwrap();
    let mut again = Controller::new(stored, ControllerConfig::default());
    assert_eq!(block(&mut again), (2000, 1000));
}

#[test]
fn a_snapshot_and_later_records_restore_the_same_metadata() {
    let mut c = with_static(&[("log.retention.ms", "77")]);
    create(
        &mut c,
        vec![
            with_config("a", "message.timestamp.type", "LogAppendTime"),
            new_topic("b", 3),
        ],
    );
    let snapshot = encode_snapshot(&c.image());
    let static_configs = (*c.image().static_configs).clone();
    let later = c.plan(ControllerRequest::DeleteTopics {
        topics: vec![by_name("b")],
    });
    let mut restored = Controller::new(
        decode_snapshot(&snapshot).unwrap(),
        ControllerConfig {
            static_configs,
            ..ControllerConfig::default()
        },
    );
    assert_eq!(format!("{:?}", restored.image()), format!("{:?}", c.image()));
    for record in &later.records {
        c.replay(record);
        restored.replay(record);
    }
    assert_eq!(format!("{:?}", restored.image()), format!("{:?}", c.image()));
    assert_eq!(
        restored.image().topic("a").unwrap().config.timestamp_type,
        TimestampType::LogAppendTime
    );
    assert_eq!(restored.image().topic("a").unwrap().config.retention_ms, 77);
    assert_eq!(
        create_one(&mut restored, new_topic("a", 1)).0,
        ErrorCode::TopicAlreadyExists
    );
}

#[test]
fn a_different_number_of_shards_places_all_partitions_anew() {
    let mut c = controller(1);
    create(&mut c, vec![new_topic("a", 4), new_topic("b", 4)]);
    let stored = decode_snapshot(&encode_snapshot(&c.image())).unwrap();
    let wide = Controller::new(
        stored,
        ControllerConfig {
            shard_count: 4,
            ..ControllerConfig::default()
        },
    );
    let mut load = [0; 4];
    wide.image()
        .topics
        .values()
        .flat_map(|t| t.partitions.clone())
        .for_each(|p| load[p.shard.0 as usize] += 1);
    assert_eq!(load, [2; 4]);
}

#[test]
fn damaged_or_newer_metadata_is_an_error_never_a_guess() {
    let record = MetaRecord::TopicDeleted { id: [7; 16] }.encode();
    let mut newer = record.clone();
    newer[0] = 9;
    assert_eq!(MetaRecord::decode(&newer), Err(MetaError::Version(9)));
    assert!(matches!(MetaRecord::decode(&[]), Err(MetaError::Damaged(_))));
    let mut c = controller(1);
    create(&mut c, vec![with_config("a", "retention.ms", "1000")]);
    let snapshot = encode_snapshot(&c.image());
    for cut in 0..snapshot.len() {
        assert!(decode_snapshot(&snapshot[..cut]).is_err(), "cut at {cut}");
    }
}

#[test]
fn records_and_snapshots_of_the_first_version_are_read() {
    // Written by the version before quotas and credentials.
    let created = MetaRecord::TopicCreated {
        id: [7; 16],
        name: "t".into(),
        shards: vec![0],
        overrides: vec![("retention.ms".into(), "5".into())],
    };
    let bytes = created.encode();
    assert_eq!(bytes[0], 1, "an older ringlog reads what it knows");
    assert_eq!(MetaRecord::decode(&bytes), Ok(created));
    let quota = MetaRecord::ClientQuota {
        entity: vec![("user".into(), None)],
        values: vec![("producer_byte_rate".into(), 5f64.to_bits())],
    };
    let bytes = quota.encode();
    assert_eq!(bytes[0], 2, "and refuses by name what it does not");
    assert_eq!(MetaRecord::decode(&bytes), Ok(quota));
}

#[test]
fn one_request_cannot_create_without_bound() {
    let mut c = controller(1);
    assert_eq!(
        create_one(&mut c, new_topic("t", i32::MAX)).0,
        ErrorCode::PolicyViolation
    );
    let results = create(&mut c, vec![new_topic("a", 6000), new_topic("b", 6000)]);
    assert_eq!(results[0].0.error, ErrorCode::None);
    assert_eq!(results[1].0.error, ErrorCode::PolicyViolation);
}

#[test]
fn the_topic_of_offsets_has_settings_of_its_own_and_stays_compacted() {
    let offsets = "__consumer_offsets";
    let mut c = with_static(&[
        ("offsets.topic.num.partitions", "7"),
        ("offsets.topic.segment.bytes", "4096"),
        ("log.cleanup.policy", "delete"),
    ]);
    let (error, message) = create_one(&mut c, with_config(offsets, "cleanup.policy", "delete"));
    assert_eq!(error, ErrorCode::InvalidConfig);
    assert!(message.contains("keeps committed offsets"), "{message}");
    assert_eq!(create_one(&mut c, new_topic(offsets, -1)).0, ErrorCode::None);
    let topic = c.image().topic(offsets).unwrap().clone();
    assert_eq!(topic.partitions.len(), 7);
    assert_eq!(topic.overrides["cleanup.policy"], "compact");
    assert_eq!(topic.config.segment_bytes, 4096);
    assert!(
        topic.config.cleanup_compact && !topic.config.cleanup_delete,
        "retention leaves it alone"
    );

    for (value, expected) in [("delete", ErrorCode::InvalidConfig), ("compact", ErrorCode::None)] {
        let outcome = alter(&mut c, 2, offsets, false, &[("cleanup.policy", Some(value), 0)]);
        assert_eq!(outcome.error, expected, "{value}");
    }
    // All other configs go back to their defaults, this one is not among those that may.
    alter(&mut c, 2, offsets, true, &[("retention.ms", Some("1"), 0)]);
    alter(&mut c, 2, offsets, false, &[("cleanup.policy", None, 1)]);
    let topic = c.image().topic(offsets).unwrap().clone();
    assert_eq!(topic.overrides["cleanup.policy"], "compact");
    assert!(!topic.config.cleanup_delete);

    assert_eq!(grow(&mut c, offsets, 9, None).error, ErrorCode::InvalidPartitions);
    assert_eq!(delete(&mut c, vec![by_name(offsets)]), [ErrorCode::None], "as in Kafka");
}
