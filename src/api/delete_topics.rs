//! DeleteTopics (key 20), by name or (v6) by id.

use super::call::{Call, Step, decode};
use super::control::ControlOp;
use crate::controller::request::{ControllerRequest, Outcome, TopicRef};
use crate::wire::control::delete_topics::{DeletableTopicResult, DeleteTopics, DeleteTopicsResponse};
use crate::wire::error::ErrorCode;

/// First version that knows TOPIC_DELETION_DISABLED.
const DISABLED_FROM: i16 = 3;

pub(super) fn start(call: &mut Call, body: &[u8]) -> Step<ControlOp> {
    let request = decode!(DeleteTopics, call, body);
    let wanted = request.wanted().map(|(name, id)| TopicRef {
        name: name.map(str::to_string),
        id,
    });
    call.control(ControllerRequest::DeleteTopics {
        topics: wanted.collect(),
    });
    Step::Wait(ControlOp::Delete)
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
