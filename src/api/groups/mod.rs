//! The APIs of consumer groups: requests go to the shard that coordinates the group, and come back answered, JoinGroup and
//! SyncGroup perhaps minutes later.

pub(super) mod commit;
pub(super) mod consumer_describe;
pub(super) mod consumer_heartbeat;
pub(super) mod delete;
pub(super) mod delete_offsets;
pub(super) mod describe;
pub(super) mod fetch;
pub(super) mod find_coordinator;
pub(super) mod heartbeat;
pub(super) mod join;
pub(super) mod leave;
pub(super) mod list;
pub(super) mod sync;

use super::call::{Call, Step};
use super::state::Shared;
use crate::group::request::{GroupAnswer, GroupRequest};
use crate::wire::error::ErrorCode;

/// A request that waits for coordinators.
pub(crate) enum GroupOp {
    Join,
    Sync,
    Heartbeat,
    Leave,
    Commit(commit::CommitOp),
    Fetch(fetch::FetchOp),
    DeleteOffsets(delete_offsets::DeleteOffsetsOp),
    Describe(describe::DescribeOp),
    List(list::ListOp),
    Delete(delete::DeleteOp),
    ConsumerHeartbeat,
    ConsumerDescribe(consumer_describe::ConsumerDescribeOp),
}

/// Longest wait for the durability of what a request writes: Kafka's `offsets.commit.timeout.ms`.
pub(super) const WRITE_TIMEOUT_NS: u64 = 5_000_000_000;

impl GroupOp {
    /// Waits for the disk, not for other members.
    pub fn writes(&self) -> bool {
        matches!(
            self,
            GroupOp::Commit(_) | GroupOp::DeleteOffsets(_) | GroupOp::Delete(_) | GroupOp::ConsumerHeartbeat
        )
    }
}

/// Sees to it that a request that waits for the disk does not wait for ever.
pub(super) fn note(call: &Call, shared: &mut Shared, step: &Step<GroupOp>) {
    if let Step::Wait(op) = step
        && op.writes()
    {
        shared.overdue.note_until(call.cx.now.mono_ns + WRITE_TIMEOUT_NS);
    }
}

/// The disk did not make it durable in time. It may do so later, as in Kafka; the late answer finds a dead key.
pub(super) fn expire(call: &mut Call, op: GroupOp) -> Step<GroupOp> {
    match op {
        GroupOp::Commit(op) => commit::settle(call, op),
        GroupOp::DeleteOffsets(_) => delete_offsets::refuse(call, ErrorCode::CoordinatorNotAvailable),
        GroupOp::Delete(op) => delete::give_up(call, op),
        GroupOp::ConsumerHeartbeat => consumer_heartbeat::refuse(call, ErrorCode::CoordinatorNotAvailable),
        op => Step::Wait(op),
    }
}

/// Asks the coordinator of one group, and waits for it.
fn ask(call: &mut Call, group: &str, request: GroupRequest, op: GroupOp) -> Step<GroupOp> {
    match call.ask_group(group, 0, request) {
        None => Step::Wait(op),
        Some(answer) => finish(call, op, 0, answer),
    }
}

/// A coordinator answered part `part`.
pub(super) fn finish(call: &mut Call, op: GroupOp, part: u32, answer: GroupAnswer) -> Step<GroupOp> {
    match (op, answer) {
        (GroupOp::Join, GroupAnswer::Join(response)) => join::finish(call, &response),
        (GroupOp::Sync, GroupAnswer::Sync(response)) => sync::finish(call, &response),
        (GroupOp::Heartbeat, GroupAnswer::Heartbeat(error)) => heartbeat::finish(call, error),
        (GroupOp::Leave, GroupAnswer::Leave(response)) => leave::finish(call, &response),
        (GroupOp::Commit(op), GroupAnswer::Commit(topics)) => commit::finish(call, op, topics),
        (GroupOp::Fetch(op), GroupAnswer::Fetch(group)) => fetch::finish(call, op, part, group),
        (GroupOp::DeleteOffsets(op), GroupAnswer::DeleteOffsets(response)) => {
            delete_offsets::finish(call, op, response)
        }
        (GroupOp::Describe(op), GroupAnswer::Describe(groups)) => describe::finish(call, op, part, groups),
        (GroupOp::List(op), GroupAnswer::List(groups)) => list::finish(call, op, groups),
        (GroupOp::Delete(op), GroupAnswer::Delete(groups)) => delete::finish(call, op, part, groups),
        (GroupOp::ConsumerHeartbeat, GroupAnswer::ConsumerHeartbeat(response)) => {
            consumer_heartbeat::finish(call, &response)
        }
        (GroupOp::ConsumerDescribe(op), GroupAnswer::ConsumerDescribe(groups)) => {
            consumer_describe::finish(call, op, part, groups)
        }
        // An answer of another kind: a late one for an operation that has changed since. Keep waiting.
        (op, _) => Step::Wait(op),
    }
}

/// The broker is stopping: what waits for other members is answered, what waits for the disk is about to be.
pub(super) fn stop(call: &mut Call, op: GroupOp) -> Step<GroupOp> {
    let error = ErrorCode::CoordinatorNotAvailable;
    match op {
        GroupOp::Join => join::refuse(call, error),
        GroupOp::Sync => sync::refuse(call, error),
        op => Step::Wait(op),
    }
}

/// Puts the answers of one part where the request asked for them.
fn put<G>(slots: &mut [G], places: &[usize], groups: Vec<G>) {
    for (place, group) in places.iter().zip(groups) {
        if let Some(slot) = slots.get_mut(*place) {
            *slot = group;
        }
    }
}

/// Answers for several groups, which come in parts: which of them each part brings.
#[derive(Default)]
struct Parts {
    /// By part: places in the answer, in the order asked.
    places: Vec<Vec<usize>>,
    remaining: usize,
}

impl Parts {
    /// Asks for all `groups`, each coordinator once. What cannot be asked is answered by `give` at once.
    fn ask(
        call: &mut Call,
        groups: &[String],
        request: impl Fn(Vec<String>) -> GroupRequest,
        mut give: impl FnMut(usize, GroupAnswer),
    ) -> Parts {
        let mut by_coordinator = std::collections::BTreeMap::new();
        for (place, group) in groups.iter().enumerate() {
            let partition = crate::coord::request::coordinator_of(call.cx.newest, group).map(|(id, _)| id.partition);
            by_coordinator.entry(partition).or_insert_with(Vec::new).push(place);
        }
        let mut parts = Parts::default();
        for places in by_coordinator.into_values() {
            let names: Vec<String> = places.iter().filter_map(|place| groups.get(*place).cloned()).collect();
            let Some(first) = names.first().cloned() else { continue };
            let part = parts.places.len() as u32;
            match call.ask_group(&first, part, request(names)) {
                None => parts.remaining += 1,
                Some(answer) => give(part as usize, answer),
            }
            parts.places.push(places);
        }
        parts
    }

    /// A part has come; returns its places.
    fn take(&mut self, part: u32) -> Vec<usize> {
        self.remaining = self.remaining.saturating_sub(1);
        self.places
            .get_mut(part as usize)
            .map(std::mem::take)
            .unwrap_or_default()
    }
}
