//! DeleteTopics (key 20), by name or (v6) by id.

use super::call::{Call, Step, decode};
use super::control::ControlOp;
use super::mutations;
use super::state::Shared;
use crate::controller::image::Image;
use crate::controller::request::{ControllerRequest, Outcome, TopicRef};
use crate::wire::control::delete_topics::{DeletableTopicResult, DeleteTopics, DeleteTopicsResponse};
use crate::wire::error::ErrorCode;

/// First version that knows TOPIC_DELETION_DISABLED.
const DISABLED_FROM: i16 = 3;

/// First version whose clients know THROTTLING_QUOTA_EXCEEDED.
const STRICT_FROM: i16 = 5;

pub(super) fn start(call: &mut Call, shared: &mut Shared, body: &[u8]) -> Step<ControlOp> {
    let request = decode!(DeleteTopics, call, body);
    let wanted = request.wanted().map(|(name, id)| TopicRef {
        name: name.map(str::to_string),
        id,
    });
    let topics: Vec<TopicRef> = wanted.collect();
    let partitions = topics.iter().map(|topic| partitions(call.cx.newest, topic)).sum();
    if let Some(refusal) = mutations::admit(call, shared, STRICT_FROM, partitions) {
        let results = topics.into_iter().map(|topic| (refusal.clone(), topic)).collect();
        return finish(call, results);
    }
    call.control(ControllerRequest::DeleteTopics { topics });
    Step::Wait(ControlOp::Delete)
}

fn partitions(image: &Image, topic: &TopicRef) -> u64 {
    let found = match &topic.name {
        Some(name) => image.topic(name),
        None => image.topics.get(&topic.id),
    };
    found.map_or(0, |topic| topic.partitions.len() as u64)
}

pub(super) fn finish<S>(call: &mut Call, results: Vec<(Outcome, TopicRef)>) -> Step<S> {
    let version = call.meta.version;
    let result = |(outcome, topic): (Outcome, TopicRef)| DeletableTopicResult {
        name: topic.name,
        topic_id: topic.id,
        error: match outcome.error {
            ErrorCode::TopicDeletionDisabled if version < DISABLED_FROM => ErrorCode::InvalidRequest,
            error => error,
        },
        error_message: outcome.message,
    };
    let response = DeleteTopicsResponse {
        responses: results.into_iter().map(result).collect(),
        ..Default::default()
    };
    call.note(response.responses.iter().map(|result| result.error));
    call.answer::<DeleteTopics, S>(&response)
}
