//! JoinGroup (key 11).

use super::super::call::{Call, Step, decode};
use super::GroupOp;
use crate::group::request::{Caller, GroupRequest};
use crate::wire::error::ErrorCode;
use crate::wire::group::join_group::{JoinGroup, JoinGroupResponse};
use std::net::IpAddr;

pub(in crate::api) fn start(call: &mut Call, body: &[u8], client_id: Option<&str>, peer: IpAddr) -> Step<GroupOp> {
    let mut request = decode!(JoinGroup, call, body);
    request.rebalance_timeout_ms = request.rebalance_timeout(call.meta.version);
    let caller = Caller {
        client_id: client_id.unwrap_or_default().to_string(),
        client_host: format!("/{peer}"),
        version: call.meta.version,
    };
    let group = request.group_id.clone();
    super::ask(call, &group, GroupRequest::Join(caller, request), GroupOp::Join)
}

pub(super) fn finish<S>(call: &mut Call, response: &JoinGroupResponse) -> Step<S> {
    // Being given a member id is no failure (KIP-394).
    call.failed = !matches!(response.error, ErrorCode::None | ErrorCode::MemberIdRequired);
    call.answer::<JoinGroup, S>(response)
}

pub(super) fn refuse<S>(call: &mut Call, error: ErrorCode) -> Step<S> {
    let response = JoinGroupResponse {
        error,
        ..JoinGroupResponse::default()
    };
    finish(call, &response)
}
