//! ListGroups (key 16): the groups of all shards.

use super::super::call::{Call, Step, decode};
use super::GroupOp;
use crate::base::ids::ShardId;
use crate::coord::request::CoordRequest;
use crate::wire::error::ErrorCode;
use crate::wire::group::list_groups::{ListGroups, ListGroupsResponse, ListedGroup};

/// A question that waits for shards.
pub(crate) struct ListOp {
    response: ListGroupsResponse,
    remaining: u16,
}

pub(in crate::api) fn start(call: &mut Call, body: &[u8]) -> Step<GroupOp> {
    let request = decode!(ListGroups, call, body);
    let shards = call.cx.newest.shard_count.max(1);
    for shard in 0..shards {
        let reply = call.reply_to(0);
        let question = CoordRequest::List(request.clone());
        call.cx.groups.push_back((ShardId(shard), reply, question));
    }
    Step::Wait(GroupOp::List(ListOp {
        response: ListGroupsResponse::default(),
        remaining: shards,
    }))
}

pub(super) fn finish(call: &mut Call, mut op: ListOp, groups: Result<Vec<ListedGroup>, ErrorCode>) -> Step<GroupOp> {
    match groups {
        Ok(groups) => op.response.groups.extend(groups),
        Err(error) => op.response.error = error,
    }
    op.remaining = op.remaining.saturating_sub(1);
    if op.remaining > 0 {
        return Step::Wait(GroupOp::List(op));
    }
    if op.response.error != ErrorCode::None {
        op.response.groups.clear();
    }
    call.note([op.response.error].into_iter());
    call.answer::<ListGroups, GroupOp>(&op.response)
}
