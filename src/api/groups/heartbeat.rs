//! Heartbeat (key 12).

use super::super::call::{Call, Step, decode};
use super::GroupOp;
use crate::group::request::GroupRequest;
use crate::wire::error::ErrorCode;
use crate::wire::group::heartbeat::{Heartbeat, HeartbeatResponse};

pub(in crate::api) fn start(call: &mut Call, body: &[u8]) -> Step<GroupOp> {
    let request = decode!(Heartbeat, call, body);
    let group = request.group_id.clone();
    super::ask(call, &group, GroupRequest::Heartbeat(request), GroupOp::Heartbeat)
}

pub(super) fn finish<S>(call: &mut Call, error: ErrorCode) -> Step<S> {
    call.note([error].into_iter());
    let response = HeartbeatResponse {
        error,
        ..HeartbeatResponse::default()
    };
    call.answer::<Heartbeat, S>(&response)
}
