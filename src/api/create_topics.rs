//! CreateTopics (key 19): the controller decides; the answer tells what the topic really got (v5).

use super::call::{Call, Step, decode};
use super::control::ControlOp;
use super::describe_configs::TOPIC_READ_ONLY;
use super::mutations;
use super::state::Shared;
use crate::controller::configs::resolve;
use crate::controller::image::{Image, Topic};
use crate::controller::request::{ControllerRequest, NewTopic, Outcome};
use crate::wire::control::create_topics::{
    CreatableTopic, CreatableTopicConfigs, CreatableTopicResult, CreateTopics, CreateTopicsResponse,
};
use std::collections::BTreeSet;
use std::sync::Arc;

/// First version whose clients know THROTTLING_QUOTA_EXCEEDED.
const STRICT_FROM: i16 = 6;

pub(super) fn start(call: &mut Call, shared: &mut Shared, body: &[u8]) -> Step<ControlOp> {
    let request = decode!(CreateTopics, call, body);
    let names: Vec<String> = request.topics.iter().map(|topic| topic.name.clone()).collect();
    if !request.validate_only {
        let partitions = partitions(call.cx.newest, &request.topics);
        if let Some(refusal) = mutations::admit(call, shared, STRICT_FROM, partitions) {
            let results = names.iter().map(|_| (refusal.clone(), None)).collect();
            return finish(call, names, results);
        }
    }
    let topics = request.topics.into_iter().map(new_topic).collect();
    call.control(ControllerRequest::CreateTopics {
        topics,
        validate_only: request.validate_only,
    });
    Step::Wait(ControlOp::Create(names))
}

pub(super) fn finish<S>(call: &mut Call, names: Vec<String>, results: Vec<(Outcome, Option<Arc<Topic>>)>) -> Step<S> {
    let image = call.cx.image.clone();
    let mut seen = BTreeSet::new();
    // A name that was given twice is answered once, as Kafka does.
    let first = |(name, _): &(String, _)| seen.insert(name.clone());
    let topics = names
        .into_iter()
        .zip(results)
        .filter(first)
        .map(|(name, (outcome, topic))| answer(&image, name, outcome, topic));
    let response = CreateTopicsResponse {
        topics: topics.collect(),
        ..Default::default()
    };
    call.note(response.topics.iter().map(|topic| topic.error));
    call.answer::<CreateTopics, S>(&response)
}

/// Partitions that the topics would have.
fn partitions(image: &Image, topics: &[CreatableTopic]) -> u64 {
    let default = resolve::broker_int(image, "num.partitions").max(0) as u64;
    let of = |topic: &CreatableTopic| match topic.assignments.len() {
        0 => u64::try_from(topic.num_partitions).unwrap_or(default),
        assigned => assigned as u64,
    };
    topics.iter().map(of).sum()
}

fn new_topic(asked: CreatableTopic) -> NewTopic {
    NewTopic {
        name: asked.name,
        partitions: asked.num_partitions,
        replication_factor: asked.replication_factor,
        assignments: asked.assignments.into_iter().map(|a| (a.index, a.broker_ids)).collect(),
        configs: asked
            .configs
            .into_iter()
            .map(|config| (config.name, config.value))
            .collect(),
    }
}

fn answer(image: &Image, name: String, outcome: Outcome, topic: Option<Arc<Topic>>) -> CreatableTopicResult {
    let result = CreatableTopicResult {
        name,
        error: outcome.error,
        error_message: outcome.message,
        configs: Some(Vec::new()),
        ..Default::default()
    };
    let Some(topic) = topic else { return result };
    CreatableTopicResult {
        topic_id: topic.id,
        num_partitions: topic.partitions.len() as i32,
        replication_factor: image.brokers().len() as i16,
        configs: Some(all_configs(image, &topic)),
        ..result
    }
}

fn all_configs(image: &Image, topic: &Topic) -> Vec<CreatableTopicConfigs> {
    let entry = |resolved: resolve::Resolved| CreatableTopicConfigs {
        name: resolved.key.name.to_string(),
        value: Some(resolved.value),
        read_only: TOPIC_READ_ONLY,
        config_source: resolved.source as i8,
        is_sensitive: false,
    };
    resolve::resolve_topic_all(image, &topic.overrides)
        .into_iter()
        .map(entry)
        .collect()
}
