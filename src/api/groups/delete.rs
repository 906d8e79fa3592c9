//! DeleteGroups (key 42): several groups, each by its coordinator.

use super::super::call::{Call, Step, decode};
use super::{GroupOp, Parts};
use crate::group::request::{GroupAnswer, GroupRequest};
use crate::wire::error::ErrorCode;
use crate::wire::group::delete_groups::{DeletableGroupResult, DeleteGroups, DeleteGroupsResponse};
use std::collections::BTreeSet;

/// A deletion that waits for coordinators.
pub(crate) struct DeleteOp {
    response: DeleteGroupsResponse,
    parts: Parts,
}

pub(in crate::api) fn start(call: &mut Call, body: &[u8]) -> Step<GroupOp> {
    let mut request = decode!(DeleteGroups, call, body);
    let mut seen = BTreeSet::new();
    request.groups.retain(|group| seen.insert(group.clone()));
    // What they answer if their coordinators do not in time.
    let unanswered = request.groups.iter().map(|group| DeletableGroupResult {
        group_id: group.clone(),
        error: ErrorCode::CoordinatorNotAvailable,
    });
    let mut response = DeleteGroupsResponse {
        results: unanswered.collect(),
        ..DeleteGroupsResponse::default()
    };
    let mut refused = Vec::new();
    let parts = Parts::ask(call, &request.groups, GroupRequest::Delete, |part, answer| {
        refused.push((part, answer));
    });
    for (part, answer) in refused {
        if let (GroupAnswer::Delete(results), Some(places)) = (answer, parts.places.get(part)) {
            put(&mut response, places, results);
        }
    }
    settle(call, DeleteOp { response, parts })
}

pub(super) fn finish(
    call: &mut Call,
    mut op: DeleteOp,
    part: u32,
    results: Vec<DeletableGroupResult>,
) -> Step<GroupOp> {
    let places = op.parts.take(part);
    put(&mut op.response, &places, results);
    settle(call, op)
}

fn put(response: &mut DeleteGroupsResponse, places: &[usize], results: Vec<DeletableGroupResult>) {
    for (place, result) in places.iter().zip(results) {
        if let Some(slot) = response.results.get_mut(*place) {
            *slot = result;
        }
    }
}

/// Answers with what is known.
pub(super) fn give_up(call: &mut Call, mut op: DeleteOp) -> Step<GroupOp> {
    op.parts.remaining = 0;
    settle(call, op)
}

fn settle(call: &mut Call, op: DeleteOp) -> Step<GroupOp> {
    if op.parts.remaining > 0 {
        return Step::Wait(GroupOp::Delete(op));
    }
    call.note(op.response.results.iter().map(|result| result.error));
    call.answer::<DeleteGroups, GroupOp>(&op.response)
}
