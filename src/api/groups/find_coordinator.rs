//! FindCoordinator (key 10): every group's coordinator is this node; the first question makes the internal topic.

use super::super::call::{Call, Step, decode};
use super::super::control::ControlOp;
use crate::controller::image::OFFSETS_TOPIC;
use crate::controller::request::{ControllerRequest, NewTopic, Outcome};
use crate::coord::request::coordinator_of;
use crate::wire::error::ErrorCode;
use crate::wire::group::find_coordinator::{
    Coordinator, FindCoordinator, FindCoordinatorRequest, FindCoordinatorResponse, key_type,
};
use std::collections::BTreeMap;

/// First version that may ask for share groups (KIP-932).
const SHARE_FROM: i16 = 6;

pub(in crate::api) fn start(call: &mut Call, body: &[u8]) -> Step<ControlOp> {
    let request = decode!(FindCoordinator, call, body);
    if request.key_type != key_type::GROUP || call.cx.image.topic(OFFSETS_TOPIC).is_some() {
        return answer(call, &request);
    }
    let topic = NewTopic {
        name: OFFSETS_TOPIC.to_string(),
        partitions: -1,
        replication_factor: -1,
        assignments: Vec::new(),
        configs: BTreeMap::new(),
    };
    call.control(ControllerRequest::CreateTopics {
        topics: vec![topic],
        validate_only: false,
    });
    Step::Wait(ControlOp::FindCoordinator(request))
}

/// The controller has created the topic, or refused to.
pub(in crate::api) fn finish<S>(
    call: &mut Call,
    request: &FindCoordinatorRequest,
    outcome: Option<&Outcome>,
) -> Step<S> {
    let refused = outcome.filter(|o| !matches!(o.error, ErrorCode::None | ErrorCode::TopicAlreadyExists));
    if let Some(why) = refused.and_then(|outcome| outcome.message.as_deref()) {
        tracing::error!(
            why,
            "{OFFSETS_TOPIC} cannot be created, so there are no consumer groups"
        );
    }
    answer(call, request)
}

fn answer<S>(call: &mut Call, request: &FindCoordinatorRequest) -> Step<S> {
    let coordinators: Vec<_> = request
        .keys
        .iter()
        .map(|key| coordinator(call, request.key_type, key))
        .collect();
    call.note(coordinators.iter().map(|coordinator| coordinator.error));
    call.answer::<FindCoordinator, S>(&FindCoordinatorResponse {
        coordinators,
        ..FindCoordinatorResponse::default()
    })
}

fn coordinator(call: &Call, kind: i8, key: &str) -> Coordinator {
    let refused = |error: ErrorCode, why: &str| Coordinator {
        key: key.to_string(),
        error,
        error_message: Some(why.to_string()),
        ..Coordinator::default()
    };
    match kind {
        key_type::GROUP => {}
        key_type::TRANSACTION => {
            return refused(
                ErrorCode::UnsupportedVersion,
                "transactions are not available: remove transactional.id",
            );
        }
        key_type::SHARE if call.meta.version >= SHARE_FROM => {
            return refused(ErrorCode::InvalidRequest, "share groups are not available");
        }
        _ => return refused(ErrorCode::InvalidRequest, ErrorCode::InvalidRequest.meaning()),
    }
    let image = call.cx.image;
    let found = coordinator_of(image, key).and_then(|_| image.brokers().into_iter().next());
    let Some(broker) = found else {
        return refused(
            ErrorCode::CoordinatorNotAvailable,
            ErrorCode::CoordinatorNotAvailable.meaning(),
        );
    };
    Coordinator {
        key: key.to_string(),
        node_id: broker.id,
        host: broker.host,
        port: i32::from(broker.port),
        ..Coordinator::default()
    }
}
