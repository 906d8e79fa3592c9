//! ConsumerGroupHeartbeat (key 68).

use super::super::call::{Call, Step, decode};
use super::GroupOp;
use crate::group::request::{Caller, GroupRequest};
use crate::wire::error::ErrorCode;
use crate::wire::group::consumer_group_heartbeat::{ConsumerGroupHeartbeat, ConsumerGroupHeartbeatResponse};
use std::net::IpAddr;

pub(in crate::api) fn start(call: &mut Call, body: &[u8], client_id: Option<&str>, peer: IpAddr) -> Step<GroupOp> {
    let request = decode!(ConsumerGroupHeartbeat, call, body);
    let caller = Caller {
        client_id: client_id.unwrap_or_default().to_string(),
        client_host: format!("/{peer}"),
        version: call.meta.version,
    };
    let group = request.group_id.clone();
    let request = GroupRequest::ConsumerHeartbeat(caller, Box::new(request));
    super::ask(call, &group, request, GroupOp::ConsumerHeartbeat)
}

pub(super) fn finish<S>(call: &mut Call, response: &ConsumerGroupHeartbeatResponse) -> Step<S> {
    call.note([response.error].into_iter());
    call.answer::<ConsumerGroupHeartbeat, S>(response)
}

pub(super) fn refuse<S>(call: &mut Call, error: ErrorCode) -> Step<S> {
    let response = ConsumerGroupHeartbeatResponse {
        error,
        ..ConsumerGroupHeartbeatResponse::default()
    };
    finish(call, &response)
}
