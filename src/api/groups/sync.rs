//! SyncGroup (key 14).

use super::super::call::{Call, Step, decode};
use super::GroupOp;
use crate::group::request::GroupRequest;
use crate::wire::error::ErrorCode;
use crate::wire::group::sync_group::{SyncGroup, SyncGroupResponse};

/// From here on a member has to say which protocol it is in (KIP-559).
const PROTOCOL_FROM: i16 = 5;

pub(in crate::api) fn start(call: &mut Call, body: &[u8]) -> Step<GroupOp> {
    let request = decode!(SyncGroup, call, body);
    let says = request.protocol_type.is_some() && request.protocol_name.is_some();
    if call.meta.version >= PROTOCOL_FROM && !says {
        return refuse(call, ErrorCode::InconsistentGroupProtocol);
    }
    let group = request.group_id.clone();
    super::ask(call, &group, GroupRequest::Sync(request), GroupOp::Sync)
}

pub(super) fn finish<S>(call: &mut Call, response: &SyncGroupResponse) -> Step<S> {
    call.note([response.error].into_iter());
    call.answer::<SyncGroup, S>(response)
}

pub(super) fn refuse<S>(call: &mut Call, error: ErrorCode) -> Step<S> {
    let response = SyncGroupResponse {
        error,
        ..SyncGroupResponse::default()
    };
    finish(call, &response)
}
