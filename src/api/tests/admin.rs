//! Admin APIs end to end through the controller, and producer ids.

use super::*;
use crate::wire::control::acls::{
    AclCreation, AclFilter, CreateAcls, CreateAclsRequest, DeleteAcls, DeleteAclsRequest, DescribeAcls,
};
use crate::wire::control::alter_configs::{
    AlterConfigs, AlterConfigsRequest, AlterConfigsResource, AlterableConfig, IncrementalAlterConfigs,
    IncrementalAlterConfigsRequest, IncrementalAlterConfigsResource, IncrementalAlterableConfig,
};
use crate::wire::control::create_partitions::{CreatePartitions, CreatePartitionsRequest, CreatePartitionsTopic};
use crate::wire::control::create_topics::{CreatableTopic, CreatableTopicConfig, CreateTopics, CreateTopicsRequest};
use crate::wire::control::delete_topics::{DeleteTopicState, DeleteTopics, DeleteTopicsRequest};
use crate::wire::control::describe_configs::{
    DescribeConfigs, DescribeConfigsRequest, DescribeConfigsResource, DescribeConfigsResult,
};
use crate::wire::control::init_producer_id::{InitProducerId, InitProducerIdRequest};
use crate::wire::error::ErrorCode;

fn creatable(name: &str) -> CreatableTopic {
    CreatableTopic {
        name: name.into(),
        ..Default::default()
    }
}

#[test]
fn create_topics_tells_what_the_topic_really_got_18() {
    for version in 2..=7 {
        let mut rig = Rig::with_static(&[("num.partitions", "3"), ("log.retention.ms", "55")]);
        let config = CreatableTopicConfig {
            name: "segment.bytes".into(),
            value: Some("1048576".into()),
        };
        let mut topic = creatable("t");
        topic.configs.push(config);
        let response = rig.ask::<CreateTopics>(
            version,
            &CreateTopicsRequest {
                topics: vec![topic],
                ..Default::default()
            },
        );
        let topic = &response.topics[0];
        assert_eq!(
            (topic.name.as_str(), topic.error, topic.error_message.as_ref()),
            ("t", ErrorCode::None, None)
        );
        if version >= 5 {
            assert_eq!((topic.num_partitions, topic.replication_factor), (3, 1));
            let configs = topic.configs.as_ref().unwrap();
            let value = |name: &str| {
                configs
                    .iter()
                    .find(|c| c.name == name)
                    .map(|c| (c.value.as_deref().unwrap(), c.config_source))
                    .unwrap()
            };
            assert_eq!(value("segment.bytes"), ("1048576", 1));
            assert_eq!(value("retention.ms"), ("55", 4));
            assert_eq!(value("cleanup.policy"), ("delete", 5));
        }
        if version >= 7 {
            assert_eq!(topic.topic_id, rig.published.topic("t").unwrap().id);
        }
    }
}

#[test]
fn create_topics_refuses_one_by_one_with_a_text_18_88() {
    let mut rig = Rig::new();
    rig.create("there", 1, &[]);
    let bad_config = CreatableTopicConfig {
        name: "foo".into(),
        value: Some("1".into()),
    };
    let topics = vec![
        creatable("there"),
        creatable("twice"),
        CreatableTopic {
            configs: vec![bad_config],
            ..creatable("conf")
        },
        creatable("twice"),
        CreatableTopic {
            replication_factor: 3,
            ..creatable("rf")
        },
        creatable("fine"),
    ];
    let response = rig.ask::<CreateTopics>(
        7,
        &CreateTopicsRequest {
            topics,
            ..Default::default()
        },
    );
    let got: Vec<_> = response
        .topics
        .iter()
        .map(|t| (t.name.as_str(), t.error, t.error_message.is_some()))
        .collect();
    assert_eq!(
        got,
        [
            ("there", ErrorCode::TopicAlreadyExists, true),
            ("twice", ErrorCode::InvalidRequest, true),
            ("conf", ErrorCode::InvalidConfig, true),
            ("rf", ErrorCode::InvalidReplicationFactor, true),
            ("fine", ErrorCode::None, false),
        ]
    );
    let request = CreateTopicsRequest {
        topics: vec![creatable("dry")],
        validate_only: true,
        ..Default::default()
    };
    assert_eq!(rig.ask::<CreateTopics>(7, &request).topics[0].error, ErrorCode::None);
    assert!(rig.published.topic("dry").is_none());
}

#[test]
fn topics_are_deleted_by_name_and_by_id() {
    for version in 1..=6 {
        let mut rig = Rig::new();
        let id = rig.create("t", 1, &[]);
        let request = match version {
            6 => DeleteTopicsRequest {
                topics: vec![DeleteTopicState {
                    name: None,
                    topic_id: id,
                }],
                ..Default::default()
            },
            _ => DeleteTopicsRequest {
                topic_names: vec!["t".into()],
                ..Default::default()
            },
        };
        let response = rig.ask::<DeleteTopics>(version, &request);
        assert_eq!(
            (response.responses[0].error, response.responses[0].name.as_deref()),
            (ErrorCode::None, Some("t"))
        );
        assert!(rig.published.topics.is_empty());
        let response = rig.ask::<DeleteTopics>(version, &request);
        let unknown = if version == 6 {
            ErrorCode::UnknownTopicId
        } else {
            ErrorCode::UnknownTopicOrPartition
        };
        assert_eq!(response.responses[0].error, unknown);
    }
}

#[test]
fn deletion_that_is_switched_off_is_said_as_the_version_can() {
    let mut rig = Rig::with_static(&[("delete.topic.enable", "false")]);
    rig.create("t", 1, &[]);
    for version in 1..=6 {
        let state = DeleteTopicState {
            name: Some("t".into()),
            topic_id: TopicId::ZERO,
        };
        let request = DeleteTopicsRequest {
            topics: vec![state],
            topic_names: vec!["t".into()],
            ..Default::default()
        };
        let error = rig.ask::<DeleteTopics>(version, &request).responses[0].error;
        let expected = match version {
            1..=2 => ErrorCode::InvalidRequest,
            _ => ErrorCode::TopicDeletionDisabled,
        };
        assert_eq!(error, expected, "version {version}");
    }
    assert!(rig.published.topic("t").is_some());
}

#[test]
fn create_partitions_has_one_result_per_topic_19_97() {
    for version in 0..=3 {
        let mut rig = Rig::new();
        rig.create("t", 2, &[]);
        let grow = |name: &str, count, assignments| CreatePartitionsTopic {
            name: name.into(),
            count,
            assignments,
        };
        let topics = vec![grow("t", 4, None), grow("gone", 4, None), grow("u", 1, Some(vec![]))];
        rig.create("u", 1, &[]);
        let response = rig.ask::<CreatePartitions>(
            version,
            &CreatePartitionsRequest {
                topics,
                ..Default::default()
            },
        );
        let got: Vec<_> = response.results.iter().map(|r| (r.name.as_str(), r.error)).collect();
        assert_eq!(
            got,
            [
                ("t", ErrorCode::None),
                ("gone", ErrorCode::UnknownTopicOrPartition),
                ("u", ErrorCode::InvalidPartitions)
            ]
        );
        assert_eq!(rig.published.topic("t").unwrap().partitions.len(), 4);
    }
}

fn describe(
    rig: &mut Rig,
    version: i16,
    resource_type: i8,
    name: &str,
    keys: Option<&[&str]>,
) -> DescribeConfigsResult {
    let configuration_keys = keys.map(|keys| keys.iter().map(|key| key.to_string()).collect());
    let resource = DescribeConfigsResource {
        resource_type,
        resource_name: name.into(),
        configuration_keys,
    };
    let request = DescribeConfigsRequest {
        resources: vec![resource],
        include_synonyms: true,
        include_documentation: true,
    };
    rig.ask::<DescribeConfigs>(version, &request).results.remove(0)
}

#[test]
fn describe_configs_gives_every_key_with_source_and_type_20_97() {
    for version in 1..=4 {
        let mut rig = Rig::with_static(&[("log.retention.hours", "2")]);
        rig.create("t", 1, &[("max.message.bytes", "5000")]);
        let all = describe(&mut rig, version, 2, "t", None);
        assert!(all.configs.len() >= 30);
        let get = |name: &str| all.configs.iter().find(|c| c.name == name).unwrap();
        assert_eq!(
            (
                get("max.message.bytes").value.as_deref(),
                get("max.message.bytes").config_source
            ),
            (Some("5000"), 1)
        );
        assert_eq!(
            (get("retention.ms").value.as_deref(), get("retention.ms").config_source),
            (Some("7200000"), 4)
        );
        assert_eq!(
            (
                get("cleanup.policy").value.as_deref(),
                get("cleanup.policy").config_source
            ),
            (Some("delete"), 5)
        );
        let synonyms: Vec<_> = get("max.message.bytes")
            .synonyms
            .iter()
            .map(|s| (s.name.as_str(), s.source))
            .collect();
        assert_eq!(synonyms, [("max.message.bytes", 1), ("message.max.bytes", 5)]);
        if version >= 3 {
            assert_eq!(
                (
                    get("retention.ms").config_type,
                    get("cleanup.policy").config_type,
                    get("preallocate").config_type
                ),
                (5, 7, 1)
            );
            assert!(get("retention.ms").documentation.is_some());
        }
        let one = describe(&mut rig, version, 2, "t", Some(&["cleanup.policy"]));
        assert_eq!(one.configs.len(), 1);
    }
}

#[test]
fn broker_configs_are_described_for_this_broker_and_for_all() {
    let mut rig = Rig::with_static(&[("num.partitions", "3")]);
    let mine = describe(&mut rig, 4, 4, "1", None);
    let partitions = mine.configs.iter().find(|c| c.name == "num.partitions").unwrap();
    assert_eq!(
        (
            partitions.value.as_deref(),
            partitions.config_source,
            partitions.read_only
        ),
        (Some("3"), 4, true)
    );
    assert!(describe(&mut rig, 4, 4, "", None).configs.is_empty());
    let op = IncrementalAlterableConfig {
        name: "log.retention.ms".into(),
        config_operation: 0,
        value: Some("9".into()),
    };
    let resource = IncrementalAlterConfigsResource {
        resource_type: 4,
        resource_name: "".into(),
        configs: vec![op],
    };
    rig.ask::<IncrementalAlterConfigs>(
        1,
        &IncrementalAlterConfigsRequest {
            resources: vec![resource],
            validate_only: false,
        },
    );
    let defaults = describe(&mut rig, 4, 4, "", None);
    let got: Vec<_> = defaults
        .configs
        .iter()
        .map(|c| (c.name.as_str(), c.value.as_deref(), c.config_source))
        .collect();
    assert_eq!(got, [("log.retention.ms", Some("9"), 3)]);
    assert_eq!(describe(&mut rig, 4, 4, "7", None).error, ErrorCode::InvalidRequest);
    assert_eq!(
        describe(&mut rig, 4, 2, "gone", None).error,
        ErrorCode::UnknownTopicOrPartition
    );
    assert_eq!(
        describe(&mut rig, 4, 2, "not ok", None).error,
        ErrorCode::InvalidTopicException
    );
    assert_eq!(describe(&mut rig, 4, 99, "x", None).error, ErrorCode::InvalidRequest);
}

#[test]
fn configs_are_altered_as_a_whole_and_key_by_key_22_94() {
    let mut rig = Rig::new();
    rig.create("t", 1, &[("retention.ms", "1")]);
    let config = AlterableConfig {
        name: "max.message.bytes".into(),
        value: Some("77".into()),
    };
    let resource = |name: &str| AlterConfigsResource {
        resource_type: 2,
        resource_name: name.into(),
        configs: vec![config.clone()],
    };
    for version in 0..=2 {
        let dry = AlterConfigsRequest {
            resources: vec![resource("t")],
            validate_only: true,
        };
        assert_eq!(
            rig.ask::<AlterConfigs>(version, &dry).responses[0].error,
            ErrorCode::None
        );
    }
    assert_eq!(rig.published.topic("t").unwrap().config.retention_ms, 1);
    let request = AlterConfigsRequest {
        resources: vec![resource("t"), resource("gone")],
        validate_only: false,
    };
    let response = rig.ask::<AlterConfigs>(2, &request);
    let got: Vec<_> = response
        .responses
        .iter()
        .map(|r| (r.resource_name.as_str(), r.error))
        .collect();
    assert_eq!(
        got,
        [("t", ErrorCode::None), ("gone", ErrorCode::UnknownTopicOrPartition)]
    );
    let topic = rig.published.topic("t").unwrap().clone();
    assert_eq!(
        (topic.config.max_message_bytes, topic.config.retention_ms),
        (77, 604_800_000)
    );
    for version in 0..=1 {
        let op = IncrementalAlterableConfig {
            name: "retention.ms".into(),
            config_operation: 2,
            value: Some("5".into()),
        };
        let resource = IncrementalAlterConfigsResource {
            resource_type: 2,
            resource_name: "t".into(),
            configs: vec![op],
        };
        let request = IncrementalAlterConfigsRequest {
            resources: vec![resource],
            validate_only: false,
        };
        let response = rig.ask::<IncrementalAlterConfigs>(version, &request);
        assert_eq!(
            response.responses[0].error,
            ErrorCode::InvalidConfig,
            "APPEND needs a list"
        );
    }
}

fn init(transactional_id: Option<&str>, producer_id: i64, producer_epoch: i16) -> InitProducerIdRequest {
    InitProducerIdRequest {
        transactional_id: transactional_id.map(str::to_string),
        transaction_timeout_ms: 60_000,
        producer_id,
        producer_epoch,
    }
}

#[test]
fn producer_ids_are_unique_and_mostly_free_of_charge_41() {
    let mut rig = Rig::with(
        EdgeConfig {
            producer_id_block: 3,
            ..EdgeConfig::default()
        },
        ControllerConfig::default(),
    );
    let mut ids = std::collections::BTreeSet::new();
    for version in 0..=5 {
        let response = rig.ask::<InitProducerId>(version, &init(None, -1, -1));
        assert_eq!((response.error, response.producer_epoch), (ErrorCode::None, 0));
        assert!(ids.insert(response.producer_id));
    }
    assert_eq!(rig.controller.image().next_producer_id, 6, "two blocks for six ids");
}

#[test]
fn many_that_wait_share_one_block_and_its_successor_41() {
    let mut rig = Rig::with(
        EdgeConfig {
            producer_id_block: 2,
            ..EdgeConfig::default()
        },
        ControllerConfig::default(),
    );
    let mut all = BytesMut::new();
    (0..5).for_each(|n| all.extend_from_slice(&control_frame::<InitProducerId>(4, n, &init(None, -1, -1))));
    rig.send(all);
    assert_eq!(rig.control.len(), 1);
    rig.run_controller();
    let ids: std::collections::BTreeSet<_> = (0..5)
        .map(|n| rig.answered::<InitProducerId>(4, n).producer_id)
        .collect();
    assert_eq!(ids.len(), 5);
}

#[test]
fn odd_combinations_are_refused_never_a_panic_41() {
    let mut rig = Rig::new();
    for (request, error) in [
        (init(Some("tx"), -1, -1), ErrorCode::UnsupportedVersion),
        (init(Some(""), -1, -1), ErrorCode::InvalidRequest),
        (init(None, 5, -1), ErrorCode::InvalidRequest),
        (init(None, -1, 5), ErrorCode::InvalidRequest),
        (init(None, 5, 5), ErrorCode::None),
    ] {
        let response = rig.ask::<InitProducerId>(4, &request);
        assert_eq!(response.error, error, "{request:?}");
        assert_eq!(response.producer_id == -1, error != ErrorCode::None);
    }
}

#[test]
fn acls_are_disabled_78_93() {
    for version in 1..=3 {
        let mut rig = Rig::new();
        let response = rig.ask::<DescribeAcls>(
            version,
            &AclFilter {
                resource_type: 2,
                operation: 1,
                permission_type: 1,
                ..Default::default()
            },
        );
        assert_eq!(response.error, ErrorCode::SecurityDisabled);
        let creation = AclCreation {
            resource_type: 2,
            operation: 2,
            permission_type: 3,
            ..Default::default()
        };
        let response = rig.ask::<CreateAcls>(
            version,
            &CreateAclsRequest {
                creations: vec![creation; 2],
            },
        );
        assert_eq!(
            response.results.iter().map(|r| r.error).collect::<Vec<_>>(),
            [ErrorCode::SecurityDisabled; 2]
        );
        let response = rig.ask::<DeleteAcls>(
            version,
            &DeleteAclsRequest {
                filters: vec![AclFilter::default()],
            },
        );
        assert_eq!(response.filter_results[0].error, ErrorCode::SecurityDisabled);
    }
}
