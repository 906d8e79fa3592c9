//! Metadata (key 3): brokers, topics, leaders; may create topics that are asked for.
//!
//! Shows published metadata only, so that a partition takes writes before a client learns of it. A topic that is created on
//! the way is shown in the same answer.

use super::call::{Call, Step, decode};
use super::control::ControlOp;
use crate::controller::configs::resolve;
use crate::controller::image::{Broker, Image, PartitionMeta, Topic, is_internal_name};
use crate::controller::names::check_topic_name;
use crate::controller::request::{ControllerRequest, NewTopic, Outcome};
use crate::wire::control::OPERATIONS_NOT_REQUESTED;
use crate::wire::control::metadata::{
    Metadata, MetadataBroker, MetadataPartition, MetadataRequest, MetadataRequestTopic, MetadataResponse,
    MetadataTopic, Wanted,
};
use crate::wire::error::ErrorCode;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// What anyone may do to a topic without an authorizer: read, write, create, delete, alter, describe, configs (KIP-430).
pub(super) const TOPIC_OPERATIONS: i32 = 0b1101_1111_1000;
/// What anyone may do to the cluster without an authorizer.
pub(super) const CLUSTER_OPERATIONS: i32 = 0b1_1111_1010_0000;
/// First version that may ask by topic id.
const IDS_FROM: i16 = 12;

type Errors = BTreeMap<String, ErrorCode>;

pub(super) fn start(call: &mut Call, body: &[u8]) -> Step<ControlOp> {
    let request = decode!(Metadata, call, body);
    let names = to_create(call.cx.image, call.meta.version, &request);
    if names.is_empty() {
        return answer(call, &request, &Errors::new());
    }
    let topic = |name: &String| NewTopic {
        name: name.clone(),
        partitions: -1,
        replication_factor: -1,
        assignments: Vec::new(),
        configs: BTreeMap::new(),
    };
    let topics = names.iter().map(topic).collect();
    call.control(ControllerRequest::CreateTopics {
        topics,
        validate_only: false,
    });
    Step::Wait(ControlOp::Metadata(request, names))
}

/// The controller has created, or refused to.
pub(super) fn finish<S>(
    call: &mut Call,
    request: &MetadataRequest,
    names: &[String],
    results: &[(Outcome, Option<Arc<Topic>>)],
) -> Step<S> {
    let refused = |(name, (outcome, _)): (&String, &(Outcome, _))| {
        let created = matches!(outcome.error, ErrorCode::None | ErrorCode::TopicAlreadyExists);
        (!created).then(|| (name.clone(), outcome.error))
    };
    let errors = names.iter().zip(results).filter_map(refused).collect();
    answer(call, request, &errors)
}

/// The bit field of allowed operations, if asked for.
pub(super) fn operations(asked: bool, all: i32) -> i32 {
    if asked { all } else { OPERATIONS_NOT_REQUESTED }
}

/// The error for a topic that is not there.
pub(super) fn unknown_name(name: &str) -> ErrorCode {
    match check_topic_name(name) {
        Ok(()) => ErrorCode::UnknownTopicOrPartition,
        Err(_) => ErrorCode::InvalidTopicException,
    }
}

/// Legal names that are asked for, do not exist and may be created.
fn to_create(image: &Image, version: i16, request: &MetadataRequest) -> Vec<String> {
    let Wanted::Listed(topics) = request.wanted(version) else {
        return Vec::new();
    };
    if !request.allow_auto_topic_creation || misuses_ids(version, topics) {
        return Vec::new();
    }
    let missing = |topic: &&MetadataRequestTopic| topic.topic_id.is_zero();
    let names: BTreeSet<&str> = topics
        .iter()
        .filter(missing)
        .filter_map(|topic| topic.name.as_deref())
        .collect();
    let wanted = |name: &&str| image.topic(name).is_none() && !is_internal_name(name) && check_topic_name(name).is_ok();
    let names: Vec<String> = names.into_iter().filter(wanted).map(str::to_string).collect();
    if names.is_empty() || !resolve::broker_bool(image, "auto.create.topics.enable") {
        return Vec::new();
    }
    names
}

fn misuses_ids(version: i16, topics: &[MetadataRequestTopic]) -> bool {
    version < IDS_FROM
        && topics
            .iter()
            .any(|topic| !topic.topic_id.is_zero() || topic.name.is_none())
}

fn answer<S>(call: &mut Call, request: &MetadataRequest, errors: &Errors) -> Step<S> {
    let image = call.cx.image.clone();
    let broker = |broker: Broker| MetadataBroker {
        node_id: broker.id,
        host: broker.host,
        port: i32::from(broker.port),
        rack: broker.rack,
    };
    let response = MetadataResponse {
        brokers: image.brokers().into_iter().map(broker).collect(),
        cluster_id: Some(image.cluster_id.clone()),
        controller_id: image.controller(),
        topics: topics(&image, call.meta.version, request, errors),
        cluster_authorized_operations: operations(request.include_cluster_authorized_operations, CLUSTER_OPERATIONS),
        ..Default::default()
    };
    call.note(response.topics.iter().map(|topic| topic.error));
    call.answer::<Metadata, S>(&response)
}

fn topics(image: &Image, version: i16, request: &MetadataRequest, errors: &Errors) -> Vec<MetadataTopic> {
    let operations = operations(request.include_topic_authorized_operations, TOPIC_OPERATIONS);
    let listed = match request.wanted(version) {
        Wanted::All => {
            return image
                .names
                .values()
                .filter_map(|id| image.topics.get(id))
                .map(|topic| show(image, topic, operations))
                .collect();
        }
        Wanted::Listed(listed) => listed,
    };
    let misused = misuses_ids(version, listed);
    let mut seen = BTreeSet::new();
    let mut once = |topic: &MetadataRequestTopic| seen.insert((topic.topic_id, topic.name.clone()));
    let result = |topic: &MetadataRequestTopic| match (&topic.name, topic.topic_id.is_zero()) {
        _ if misused => MetadataTopic {
            error: ErrorCode::InvalidRequest,
            name: Some(topic.name.clone().unwrap_or_default()),
            topic_id: topic.topic_id,
            ..Default::default()
        },
        (_, false) => match image.topics.get(&topic.topic_id) {
            Some(found) => show(image, found, operations),
            None => MetadataTopic {
                error: ErrorCode::UnknownTopicId,
                topic_id: topic.topic_id,
                ..Default::default()
            },
        },
        (Some(name), true) => match image.topic(name) {
            Some(found) => show(image, found, operations),
            None => {
                let error = errors.get(name).copied().unwrap_or_else(|| unknown_name(name));
                MetadataTopic {
                    error,
                    name: Some(name.clone()),
                    is_internal: is_internal_name(name),
                    ..Default::default()
                }
            }
        },
        (None, true) => MetadataTopic {
            error: ErrorCode::UnknownTopicId,
            ..Default::default()
        },
    };
    listed.iter().filter(|topic| once(topic)).map(result).collect()
}

fn show(image: &Image, topic: &Topic, authorized_operations: i32) -> MetadataTopic {
    let partition = |(index, meta): (usize, &PartitionMeta)| {
        let leader = image.leader(meta);
        MetadataPartition {
            index: index as i32,
            leader_id: leader,
            leader_epoch: meta.leader_epoch,
            replicas: vec![leader],
            in_sync: vec![leader],
            ..Default::default()
        }
    };
    MetadataTopic {
        name: Some(topic.name.clone()),
        topic_id: topic.id,
        is_internal: topic.is_internal(),
        partitions: topic.partitions.iter().enumerate().map(partition).collect(),
        authorized_operations,
        ..Default::default()
    }
}
