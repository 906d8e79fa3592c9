//! DescribeGroups (key 15): several groups, each from its coordinator.

use super::super::call::{Call, Step, decode};
use super::super::metadata::operations;
use super::{GroupOp, Parts, put};
use crate::group::request::{GroupAnswer, GroupRequest};
use crate::wire::error::ErrorCode;
use crate::wire::group::describe_groups::{DescribeGroups, DescribeGroupsResponse, DescribedGroup};

/// What anyone may do to a group without an authorizer: read, delete, describe, configs (KIP-430).
pub(super) const GROUP_OPERATIONS: i32 = 0b1101_0100_1000;

/// A question that waits for coordinators.
pub(crate) struct DescribeOp {
    response: DescribeGroupsResponse,
    parts: Parts,
    with_operations: bool,
}

pub(in crate::api) fn start(call: &mut Call, body: &[u8]) -> Step<GroupOp> {
    let request = decode!(DescribeGroups, call, body);
    let version = call.meta.version;
    let mut response = DescribeGroupsResponse {
        groups: vec![DescribedGroup::default(); request.groups.len()],
        ..DescribeGroupsResponse::default()
    };
    let mut refused = Vec::new();
    let parts = Parts::ask(
        call,
        &request.groups,
        |groups| GroupRequest::Describe(version, groups),
        |part, answer| refused.push((part, answer)),
    );
    for (part, answer) in refused {
        if let (GroupAnswer::Describe(groups), Some(places)) = (answer, parts.places.get(part)) {
            put(&mut response.groups, places, groups);
        }
    }
    let op = DescribeOp {
        response,
        parts,
        with_operations: request.include_authorized_operations,
    };
    settle(call, op)
}

pub(super) fn finish(call: &mut Call, mut op: DescribeOp, part: u32, groups: Vec<DescribedGroup>) -> Step<GroupOp> {
    let places = op.parts.take(part);
    put(&mut op.response.groups, &places, groups);
    settle(call, op)
}

fn settle(call: &mut Call, mut op: DescribeOp) -> Step<GroupOp> {
    if op.parts.remaining > 0 {
        return Step::Wait(GroupOp::Describe(op));
    }
    for group in op
        .response
        .groups
        .iter_mut()
        .filter(|group| group.error == ErrorCode::None)
    {
        group.authorized_operations = operations(op.with_operations, GROUP_OPERATIONS);
    }
    call.note(op.response.groups.iter().map(|group| group.error));
    call.answer::<DescribeGroups, GroupOp>(&op.response)
}
