//! DescribeConfigs, AlterConfigs, IncrementalAlterConfigs.

use crate::batches::large;
use crate::rig::{Rig, Topic, creatable};
use ringlog::base::ids::TopicId;
use ringlog::wire::control::alter_configs::{
    AlterConfigs, AlterConfigsRequest, AlterConfigsResource, AlterableConfig, IncrementalAlterConfigs,
    IncrementalAlterConfigsRequest, IncrementalAlterConfigsResource, IncrementalAlterableConfig,
};
use ringlog::wire::control::describe_configs::{
    DescribeConfigs, DescribeConfigsEntry, DescribeConfigsRequest, DescribeConfigsResource, DescribeConfigsResult,
};
use ringlog::wire::control::resource_type::{BROKER, TOPIC};
use ringlog::wire::error::ErrorCode;

const SET: i8 = 0;
const DELETE: i8 = 1;
const APPEND: i8 = 2;
const SUBTRACT: i8 = 3;

fn describe(rig: &mut Rig, resource_type: i8, name: &str, keys: Option<&[&str]>) -> DescribeConfigsResult {
    let request = DescribeConfigsRequest {
        resources: vec![DescribeConfigsResource {
            resource_type,
            resource_name: name.into(),
            configuration_keys: keys.map(|keys| keys.iter().map(|key| key.to_string()).collect()),
        }],
        include_synonyms: true,
        include_documentation: true,
    };
    rig.ask::<DescribeConfigs>(4, &request).results.remove(0)
}

fn entry(rig: &mut Rig, topic: &Topic, key: &str) -> DescribeConfigsEntry {
    rig.pass_ms(if rig.is_own() { 1 } else { 300 });
    let mut found = describe(rig, TOPIC, &topic.name, Some(&[key]));
    assert_eq!((found.error, found.configs.len()), (ErrorCode::None, 1));
    found.configs.remove(0)
}

fn value(rig: &mut Rig, topic: &Topic, key: &str) -> (Option<String>, i8) {
    let entry = entry(rig, topic, key);
    (entry.value, entry.config_source)
}

/// One resource, incrementally; the error.
fn change(
    rig: &mut Rig,
    kind: i8,
    name: &str,
    ops: &[(&str, i8, Option<&str>)],
    validate_only: bool,
) -> (ErrorCode, bool) {
    let op = |(key, operation, value): &(&str, i8, Option<&str>)| IncrementalAlterableConfig {
        name: key.to_string(),
        config_operation: *operation,
        value: value.map(str::to_string),
    };
    let request = IncrementalAlterConfigsRequest {
        resources: vec![IncrementalAlterConfigsResource {
            resource_type: kind,
            resource_name: name.into(),
            configs: ops.iter().map(op).collect(),
        }],
        validate_only,
    };
    let result = rig.ask::<IncrementalAlterConfigs>(1, &request).responses.remove(0);
    assert_eq!((result.resource_type, result.resource_name.as_str()), (kind, name));
    (result.error, result.error_message.is_some())
}

/// Sets one key of a topic.
pub fn set_one(rig: &mut Rig, topic: &Topic, key: &str, value: &str) -> ErrorCode {
    set(rig, topic, &[(key, SET, Some(value))])
}

fn set(rig: &mut Rig, topic: &Topic, ops: &[(&str, i8, Option<&str>)]) -> ErrorCode {
    let (error, has_text) = change(rig, TOPIC, &topic.name, ops, false);
    // Kafka has no text for some.
    assert!(!rig.is_own() || has_text == (error != ErrorCode::None));
    error
}

#[test]
fn every_key_comes_with_value_source_type_and_synonyms_20_97() {
    let mut rig = Rig::new();
    let topic = rig.topic(1, &[("max.message.bytes", "5000")]);
    let all = describe(&mut rig, TOPIC, &topic.name, None);
    assert!(all.configs.len() >= 30, "{}", all.configs.len());
    assert_eq!(
        describe(&mut rig, TOPIC, &topic.name, Some(&[])).configs.len(),
        all.configs.len(),
        "none is all"
    );
    let get = |name: &str| all.configs.iter().find(|config| config.name == name).unwrap();
    for (name, value, source, kind) in [
        ("max.message.bytes", "5000", 1, 3),
        ("cleanup.policy", "delete", 5, 7),
        ("retention.ms", "604800000", 5, 5),
        ("min.cleanable.dirty.ratio", "0.5", 5, 6),
        ("unclean.leader.election.enable", "false", 5, 1),
        ("message.timestamp.type", "CreateTime", 5, 2),
        ("follower.replication.throttled.replicas", "", 5, 7),
    ] {
        let found = get(name);
        let got = (found.value.as_deref(), found.config_source, found.config_type);
        assert_eq!(got, (Some(value), source, kind), "{name}");
        assert!(
            !found.read_only && !found.is_sensitive && found.documentation.is_some(),
            "{name}"
        );
    }
    let synonyms = |name: &str| -> Vec<(&str, Option<&str>, i8)> {
        get(name)
            .synonyms
            .iter()
            .map(|s| (s.name.as_str(), s.value.as_deref(), s.source))
            .collect()
    };
    assert_eq!(
        synonyms("max.message.bytes"),
        [
            ("max.message.bytes", Some("5000"), 1),
            ("message.max.bytes", Some("1048588"), 5)
        ]
    );
    // Kafka leaves hours and minutes out while no milliseconds are set.
    if rig.is_own() {
        assert_eq!(synonyms("retention.ms"), [("log.retention.hours", Some("168"), 5)]);
    }
    assert_eq!(synonyms("follower.replication.throttled.replicas"), []);
    let some = describe(&mut rig, TOPIC, &topic.name, Some(&["retention.ms", "no.such.key"]));
    assert_eq!(some.configs.len(), 1, "an unknown key is left out");
}

#[test]
fn resources_that_are_not_there_are_told_20_94() {
    let mut rig = Rig::new();
    let gone = rig.name("gone");
    for (kind, name, error) in [
        (TOPIC, gone.as_str(), ErrorCode::UnknownTopicOrPartition),
        (TOPIC, "no name", ErrorCode::InvalidTopicException),
        (TOPIC, "", ErrorCode::InvalidTopicException),
        (BROKER, "77", ErrorCode::InvalidRequest),
        (BROKER, "one", ErrorCode::InvalidRequest),
    ] {
        let found = describe(&mut rig, kind, name, None);
        assert_eq!((found.error, found.configs.len()), (error, 0), "{kind} {name}");
        assert!(found.error_message.is_some());
    }
}

#[test]
fn the_broker_describes_itself_20_94() {
    let mut rig = Rig::new();
    let mine = describe(&mut rig, BROKER, "1", None);
    assert_eq!(mine.error, ErrorCode::None);
    let get = |name: &str| {
        let found = mine.configs.iter().find(|config| config.name == name).unwrap();
        (found.value.as_deref(), found.read_only, found.synonyms.len())
    };
    assert_eq!(get("num.partitions"), (Some("1"), true, 1));
    assert_eq!(
        get("log.roll.ms"),
        (None, false, 0),
        "what is not set has no value and no synonyms"
    );
    let set = |rig: &mut Rig, name: &str, op, value| {
        assert_eq!(
            change(rig, BROKER, name, &[("log.retention.ms", op, value)], false).0,
            ErrorCode::None
        );
    };
    let topic = rig.topic(1, &[]);
    set(&mut rig, "", SET, Some("7200000"));
    let of_all = (Some("7200000".into()), 3);
    assert_eq!(
        value(&mut rig, &topic, "retention.ms"),
        of_all,
        "the default of all brokers"
    );
    set(&mut rig, "1", SET, Some("3600000"));
    let own = (Some("3600000".into()), 2);
    assert_eq!(
        value(&mut rig, &topic, "retention.ms"),
        own,
        "this broker's own is stronger"
    );
    let synonyms = entry(&mut rig, &topic, "retention.ms").synonyms;
    let levels: Vec<_> = synonyms.iter().map(|s| (s.name.as_str(), s.source)).collect();
    assert_eq!(
        levels,
        [
            ("log.retention.ms", 2),
            ("log.retention.ms", 3),
            ("log.retention.hours", 5)
        ]
    );
    let defaults = describe(&mut rig, BROKER, "", None);
    // Kafka sets min.insync.replicas there by itself.
    let others = defaults.configs.iter().filter(|c| c.name != "min.insync.replicas");
    let listed: Vec<_> = others
        .map(|c| (c.name.as_str(), c.value.as_deref(), c.config_source))
        .collect();
    assert_eq!(listed, [("log.retention.ms", Some("7200000"), 3)]);
    for name in ["", "1"] {
        set(&mut rig, name, DELETE, None);
    }
    assert_eq!(value(&mut rig, &topic, "retention.ms"), (Some("604800000".into()), 5));
}

#[test]
fn every_broker_key_of_kafka_is_known_by_name_20_94() {
    let mut rig = Rig::new();
    let mine = describe(&mut rig, BROKER, "1", None);
    assert!(mine.configs.len() >= 320, "{}", mine.configs.len());
    let get = |name: &str| mine.configs.iter().find(|config| config.name == name).unwrap();
    for (name, kind, value) in [
        ("num.io.threads", 3, Some("8")),
        ("offsets.topic.replication.factor", 4, None),
        ("log.cleaner.io.buffer.load.factor", 6, Some("0.9")),
        ("ssl.client.auth", 2, Some("none")),
        ("ssl.enabled.protocols", 7, Some("TLSv1.2,TLSv1.3")),
        ("alter.config.policy.class.name", 8, None),
        ("group.share.max.size", 3, Some("200")),
        ("quota.window.size.seconds", 3, Some("1")),
    ] {
        let found = get(name);
        assert_eq!(found.config_type, kind, "{name}");
        assert!(
            value.is_none() || found.value.as_deref() == value,
            "{name}: {:?}",
            found.value
        );
        assert!(
            found.documentation.as_deref().is_some_and(|text| text.len() > 10),
            "{name}"
        );
    }
    for secret in ["ssl.key.password", "sasl.jaas.config", "delegation.token.secret.key"] {
        let found = get(secret);
        assert!(found.is_sensitive && found.value.is_none(), "{secret}");
        assert_eq!(found.config_type, 9, "{secret}");
    }
    if rig.is_own() {
        let text = get("num.io.threads").documentation.clone().unwrap_or_default();
        assert!(text.contains("without effect") && text.contains("thread"), "{text}");
        assert!(get("num.io.threads").read_only);
        let (error, has_text) = change(&mut rig, BROKER, "1", &[("num.io.threads", SET, Some("3"))], false);
        assert_eq!((error, has_text), (ErrorCode::InvalidRequest, true));
    }
}

#[test]
fn rates_of_replication_may_be_set_as_tools_do_94() {
    let mut rig = Rig::new();
    // kafka-reassign-partitions --throttle.
    for name in [
        "leader.replication.throttled.rate",
        "follower.replication.throttled.rate",
        "replica.alter.log.dirs.io.max.bytes.per.second",
    ] {
        for op in [(name, SET, Some("1000000")), (name, DELETE, None)] {
            assert_eq!(change(&mut rig, BROKER, "1", &[op], false).0, ErrorCode::None, "{name}");
        }
    }
}

#[test]
fn groups_and_client_metrics_have_no_configurations_94() {
    let mut rig = Rig::own(|_| ());
    for kind in [16, 32] {
        let found = describe(&mut rig, kind, "any", None);
        assert_eq!((found.error, found.configs.len()), (ErrorCode::None, 0));
        assert_eq!(describe(&mut rig, kind, "", None).error, ErrorCode::InvalidRequest);
        let op = ("interval.ms", SET, Some("1000"));
        assert_eq!(
            change(&mut rig, kind, "any", &[op], false),
            (ErrorCode::InvalidRequest, true)
        );
    }
}

#[test]
fn a_broker_setting_that_may_change_counts_at_once_22_94() {
    let mut rig = Rig::own(|_| ());
    let (topic, id) = (rig.topic(1, &[]), crate::idempotence::producer(&mut rig));
    let remembers = |rig: &mut Rig| crate::cluster::producers(rig, &topic) == [id];
    crate::idempotence::send(&mut rig, &topic, (id, 0), 0, 1);
    rig.pass_ms(500_000);
    assert!(remembers(&mut rig), "a day is the default");
    let op = ("producer.id.expiration.ms", SET, Some("60000"));
    assert_eq!(change(&mut rig, BROKER, "", &[op], false).0, ErrorCode::None);
    rig.pass_ms(500_000);
    assert!(!remembers(&mut rig));
}

#[test]
fn hints_about_files_are_taken_and_documented_as_such_88() {
    let mut rig = Rig::new();
    let hints = [
        ("preallocate", "false"),
        ("index.interval.bytes", "1024"),
        ("segment.index.bytes", "1048576"),
    ];
    let topic = rig.topic(1, &hints);
    for (name, set) in hints {
        let entry = entry(&mut rig, &topic, name);
        assert_eq!(entry.value.as_deref(), Some(set), "{name}");
        let text = entry.documentation.unwrap_or_default();
        assert!(!rig.is_own() || text.contains("no effect"), "{name}: {text}");
    }
}

#[test]
fn single_keys_are_set_and_deleted_22_94() {
    let mut rig = Rig::new();
    let topic = rig.topic(1, &[("retention.ms", "1000000")]);
    for nothing in ["no.such.key", "segment.ms"] {
        assert_eq!(
            set(&mut rig, &topic, &[(nothing, DELETE, None)]),
            ErrorCode::None,
            "nothing to delete"
        );
    }
    assert_eq!(
        set(&mut rig, &topic, &[("max.message.bytes", SET, Some("2000"))]),
        ErrorCode::None
    );
    assert_eq!(value(&mut rig, &topic, "max.message.bytes"), (Some("2000".into()), 1));
    assert_eq!(
        value(&mut rig, &topic, "retention.ms"),
        (Some("1000000".into()), 1),
        "others stay"
    );
    let batch = large(rig.now_ms(), 3_000);
    assert_eq!(
        rig.produce(&topic, &batch).error,
        ErrorCode::MessageTooLarge,
        "and it counts at once"
    );
    assert_eq!(
        set(&mut rig, &topic, &[("max.message.bytes", DELETE, None)]),
        ErrorCode::None
    );
    assert_eq!(
        value(&mut rig, &topic, "max.message.bytes"),
        (Some("1048588".into()), 5)
    );
    assert_eq!(rig.produce(&topic, &batch).error, ErrorCode::None);
    assert_eq!(
        set(&mut rig, &topic, &[("segment.ms", DELETE, None)]),
        ErrorCode::None,
        "what is not set may be deleted"
    );
}

#[test]
fn lists_grow_and_shrink_and_nothing_else_does_22_94() {
    let mut rig = Rig::new();
    let topic = rig.topic(1, &[]);
    let list = "leader.replication.throttled.replicas";
    assert_eq!(
        set(&mut rig, &topic, &[(list, APPEND, Some("0:1,1:1"))]),
        ErrorCode::None
    );
    assert_eq!(
        set(&mut rig, &topic, &[(list, APPEND, Some("1:1,2:1"))]),
        ErrorCode::None
    );
    assert_eq!(
        value(&mut rig, &topic, list).0.as_deref(),
        Some("0:1,1:1,2:1"),
        "an item is there once"
    );
    assert_eq!(
        set(&mut rig, &topic, &[(list, SUBTRACT, Some("0:1,9:9"))]),
        ErrorCode::None
    );
    assert_eq!(value(&mut rig, &topic, list).0.as_deref(), Some("1:1,2:1"));
    assert_eq!(
        set(&mut rig, &topic, &[("cleanup.policy", SUBTRACT, Some("delete"))]),
        ErrorCode::None
    );
    assert_eq!(
        value(&mut rig, &topic, "cleanup.policy"),
        (Some(String::new()), 1),
        "nothing is deleted any more"
    );
    assert_eq!(
        set(&mut rig, &topic, &[("cleanup.policy", APPEND, Some("delete"))]),
        ErrorCode::None
    );
    assert_eq!(value(&mut rig, &topic, "cleanup.policy").0.as_deref(), Some("delete"));
    for operation in [APPEND, SUBTRACT] {
        assert_eq!(
            set(&mut rig, &topic, &[("retention.ms", operation, Some("1"))]),
            ErrorCode::InvalidConfig
        );
    }
}

#[test]
fn changes_that_cannot_be_are_refused_as_a_whole_22_94_96() {
    let mut rig = Rig::new();
    let topic = rig.topic(1, &[]);
    let fine = ("segment.ms", SET, Some("5000"));
    // Kafka fails on an operation that does not exist (UNKNOWN_SERVER_ERROR).
    let no_operation = if rig.is_own() {
        ErrorCode::InvalidRequest
    } else {
        ErrorCode::UnknownServerError
    };
    for (op, error) in [
        (("no.such.key", SET, Some("1")), ErrorCode::InvalidConfig),
        (("retention.ms", SET, Some("soon")), ErrorCode::InvalidConfig),
        (("retention.ms", SET, None), ErrorCode::InvalidRequest),
        (("retention.ms", APPEND, None), ErrorCode::InvalidRequest),
        (("segment.bytes", SET, Some("14")), ErrorCode::InvalidConfig),
        (("retention.ms", 9, Some("1")), no_operation),
        (("segment.ms", SET, Some("6000")), ErrorCode::InvalidRequest),
    ] {
        assert_eq!(set(&mut rig, &topic, &[fine, op]), error, "{op:?}");
        assert_eq!(value(&mut rig, &topic, "segment.ms").1, 5, "nothing of it was done");
    }
    assert_eq!(change(&mut rig, TOPIC, &topic.name, &[fine], true).0, ErrorCode::None);
    assert_eq!(
        value(&mut rig, &topic, "segment.ms").1,
        5,
        "validate_only changes nothing"
    );
    let gone = rig.name("gone");
    assert_eq!(
        change(&mut rig, TOPIC, &gone, &[fine], false).0,
        ErrorCode::UnknownTopicOrPartition
    );
    assert_eq!(
        change(&mut rig, 99, "x", &[fine], false),
        (ErrorCode::InvalidRequest, true)
    );
    assert_eq!(
        change(&mut rig, BROKER, "1", &[("num.partitions", SET, Some("3"))], false).0,
        ErrorCode::InvalidRequest
    );
}

#[test]
fn a_batch_size_that_no_journal_file_holds_is_refused_with_the_limit_22_88() {
    let mut rig = Rig::own(|_| ());
    let topic = rig.topic(1, &[]);
    let limit = (12 << 20) - 52 - 72;
    let refusal = |rig: &mut Rig, kind, name: &str, key: &str, value: i64| {
        let op = IncrementalAlterableConfig {
            name: key.into(),
            config_operation: SET,
            value: Some(value.to_string()),
        };
        let request = IncrementalAlterConfigsRequest {
            resources: vec![IncrementalAlterConfigsResource {
                resource_type: kind,
                resource_name: name.into(),
                configs: vec![op],
            }],
            validate_only: false,
        };
        let result = rig.ask::<IncrementalAlterConfigs>(1, &request).responses.remove(0);
        (result.error, result.error_message.unwrap_or_default())
    };
    let (error, text) = refusal(&mut rig, TOPIC, &topic.name, "max.message.bytes", limit + 1);
    assert_eq!(error, ErrorCode::InvalidConfig);
    assert!(text.contains(&limit.to_string()), "{text}");
    let (error, text) = refusal(&mut rig, BROKER, "", "message.max.bytes", limit + 1);
    assert_eq!(error, ErrorCode::InvalidRequest);
    assert!(text.contains(&limit.to_string()), "{text}");
    assert_eq!(
        refusal(&mut rig, TOPIC, &topic.name, "max.message.bytes", limit).0,
        ErrorCode::None
    );
    let name = rig.name("large");
    let created = rig.create(creatable(&name, 1, &[("max.message.bytes", "2147483647")]));
    assert_eq!(created.error, ErrorCode::InvalidConfig);
    assert!(created.error_message.unwrap_or_default().contains(&limit.to_string()));
}

#[test]
fn a_resource_twice_is_refused_and_others_are_changed_94() {
    let mut rig = Rig::new();
    let (a, b) = (
        rig.topic_named(&rig.name("a"), 1, &[]),
        rig.topic_named(&rig.name("b"), 1, &[]),
    );
    let resource = |topic: &Topic| IncrementalAlterConfigsResource {
        resource_type: TOPIC,
        resource_name: topic.name.clone(),
        configs: vec![IncrementalAlterableConfig {
            name: "retention.ms".into(),
            config_operation: SET,
            value: Some("1234567".into()),
        }],
    };
    let request = IncrementalAlterConfigsRequest {
        resources: vec![resource(&a), resource(&b), resource(&a)],
        validate_only: false,
    };
    let response = rig.ask::<IncrementalAlterConfigs>(1, &request);
    for result in response.responses {
        let expected = if result.resource_name == a.name {
            ErrorCode::InvalidRequest
        } else {
            ErrorCode::None
        };
        assert_eq!(result.error, expected, "{}", result.resource_name);
    }
    assert_eq!(
        (
            value(&mut rig, &a, "retention.ms").1,
            value(&mut rig, &b, "retention.ms").1
        ),
        (5, 1)
    );
}

#[test]
fn alter_configs_replaces_all_that_was_set_22() {
    let mut rig = Rig::new();
    let topic = rig.topic(1, &[("retention.ms", "1000000"), ("max.message.bytes", "2000")]);
    let alter = |rig: &mut Rig, version, name: &str, configs: &[(&str, Option<&str>)], validate_only| {
        let config = |(name, value): &(&str, Option<&str>)| AlterableConfig {
            name: name.to_string(),
            value: value.map(str::to_string),
        };
        let request = AlterConfigsRequest {
            resources: vec![AlterConfigsResource {
                resource_type: TOPIC,
                resource_name: name.into(),
                configs: configs.iter().map(config).collect(),
            }],
            validate_only,
        };
        rig.ask::<AlterConfigs>(version, &request).responses.remove(0).error
    };
    for version in 0..=2 {
        assert_eq!(
            alter(&mut rig, version, &topic.name, &[("retention.ms", Some("5"))], true),
            ErrorCode::None
        );
    }
    assert_eq!(value(&mut rig, &topic, "retention.ms").0.as_deref(), Some("1000000"));
    assert_eq!(
        alter(&mut rig, 2, &topic.name, &[("retention.ms", Some("2000000"))], false),
        ErrorCode::None
    );
    assert_eq!(value(&mut rig, &topic, "retention.ms").0.as_deref(), Some("2000000"));
    assert_eq!(
        value(&mut rig, &topic, "max.message.bytes"),
        (Some("1048588".into()), 5),
        "not named, so back to default"
    );
    assert_eq!(
        alter(&mut rig, 2, &topic.name, &[("no.such.key", Some("1"))], false),
        ErrorCode::InvalidConfig
    );
    assert_eq!(
        alter(&mut rig, 2, &topic.name, &[("retention.ms", None)], false),
        ErrorCode::InvalidRequest
    );
    assert_eq!(value(&mut rig, &topic, "retention.ms").0.as_deref(), Some("2000000"));
    let gone = Topic {
        name: rig.name("gone"),
        id: TopicId::ZERO,
    };
    assert_eq!(
        alter(&mut rig, 2, &gone.name, &[], false),
        ErrorCode::UnknownTopicOrPartition
    );
    assert_eq!(alter(&mut rig, 2, &topic.name, &[], false), ErrorCode::None);
    assert_eq!(value(&mut rig, &topic, "retention.ms").1, 5, "nothing is set any more");
}
