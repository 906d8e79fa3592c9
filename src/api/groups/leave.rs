//! LeaveGroup (key 13).

use super::super::call::{Call, Step, decode};
use super::GroupOp;
use crate::group::request::GroupRequest;
use crate::wire::group::leave_group::{LeaveGroup, LeaveGroupResponse};

pub(in crate::api) fn start(call: &mut Call, body: &[u8]) -> Step<GroupOp> {
    let request = decode!(LeaveGroup, call, body);
    let group = request.group_id.clone();
    super::ask(call, &group, GroupRequest::Leave(request), GroupOp::Leave)
}

pub(super) fn finish<S>(call: &mut Call, response: &LeaveGroupResponse) -> Step<S> {
    let members = response.members.iter().map(|member| member.error);
    call.note(members.chain([response.error]));
    call.answer::<LeaveGroup, S>(response)
}
