//! ConsumerGroupDescribe (key 69): several groups, each from its coordinator.

use super::super::call::{Call, Step, decode};
use super::super::metadata::operations;
use super::describe::GROUP_OPERATIONS;
use super::{GroupOp, Parts, put};
use crate::group::request::{GroupAnswer, GroupRequest};
use crate::wire::error::ErrorCode;
use crate::wire::group::consumer_group_describe::{
    ConsumerGroupDescribe, ConsumerGroupDescribeResponse, DescribedConsumerGroup,
};

/// A question that waits for coordinators.
pub(crate) struct ConsumerDescribeOp {
    response: ConsumerGroupDescribeResponse,
    parts: Parts,
    with_operations: bool,
}

pub(in crate::api) fn start(call: &mut Call, body: &[u8]) -> Step<GroupOp> {
    let request = decode!(ConsumerGroupDescribe, call, body);
    let mut response = ConsumerGroupDescribeResponse {
        groups: vec![DescribedConsumerGroup::default(); request.group_ids.len()],
        ..ConsumerGroupDescribeResponse::default()
    };
    let mut refused = Vec::new();
    let parts = Parts::ask(
        call,
        &request.group_ids,
        GroupRequest::ConsumerDescribe,
        |part, answer| refused.push((part, answer)),
    );
    for (part, answer) in refused {
        if let (GroupAnswer::ConsumerDescribe(groups), Some(places)) = (answer, parts.places.get(part)) {
            put(&mut response.groups, places, groups);
        }
    }
    let op = ConsumerDescribeOp {
        response,
        parts,
        with_operations: request.include_authorized_operations,
    };
    settle(call, op)
}

pub(super) fn finish(
    call: &mut Call,
    mut op: ConsumerDescribeOp,
    part: u32,
    groups: Vec<DescribedConsumerGroup>,
) -> Step<GroupOp> {
    let places = op.parts.take(part);
    put(&mut op.response.groups, &places, groups);
    settle(call, op)
}

fn settle(call: &mut Call, mut op: ConsumerDescribeOp) -> Step<GroupOp> {
    if op.parts.remaining > 0 {
        return Step::Wait(GroupOp::ConsumerDescribe(op));
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
    call.answer::<ConsumerGroupDescribe, GroupOp>(&op.response)
}
