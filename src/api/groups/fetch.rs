//! OffsetFetch (key 9): several groups, each from its coordinator.

use super::super::call::{Call, Step, decode};
use super::GroupOp;
use crate::base::ids::TopicId;
use crate::controller::image::Image;
use crate::group::request::{GroupAnswer, GroupRequest};
use crate::wire::error::ErrorCode;
use crate::wire::group::offset_fetch::{
    OffsetFetch, OffsetFetchGroup, OffsetFetchGroupResult, OffsetFetchPartitionResult, OffsetFetchResponse,
    OffsetFetchTopic, OffsetFetchTopicResult,
};

/// First version with topic ids.
const IDS_FROM: i16 = 10;
/// First version with an error for a group as a whole.
const GROUP_ERROR_FROM: i16 = 2;

/// A fetch that waits for coordinators.
pub(crate) struct FetchOp {
    /// Groups as asked; until a group's answer comes, with the topics that were refused.
    response: OffsetFetchResponse,
    /// What was asked for, where an error has to be told for every partition.
    asked: Vec<OffsetFetchTopic>,
    remaining: usize,
}

pub(in crate::api) fn start(call: &mut Call, body: &[u8]) -> Step<GroupOp> {
    let request = decode!(OffsetFetch, call, body);
    let version = call.meta.version;
    let mut op = FetchOp {
        response: OffsetFetchResponse::default(),
        asked: Vec::new(),
        remaining: 0,
    };
    for (part, mut group) in request.groups.into_iter().enumerate() {
        let refused = sort_out(call.cx.newest, version, &mut group);
        if version < GROUP_ERROR_FROM {
            op.asked = group.topics.clone().unwrap_or_default();
        }
        op.response.groups.push(OffsetFetchGroupResult {
            group_id: group.group_id.clone(),
            topics: refused,
            ..OffsetFetchGroupResult::default()
        });
        let name = group.group_id.clone();
        match call.ask_group(&name, part as u32, GroupRequest::Fetch(group)) {
            None => op.remaining += 1,
            Some(GroupAnswer::Fetch(answer)) => fill(call, &mut op, part as u32, answer),
            Some(_) => {}
        }
    }
    settle(call, op)
}

/// Takes topics whose id is unknown out of the group, and completes names and ids of the others.
fn sort_out(image: &Image, version: i16, group: &mut OffsetFetchGroup) -> Vec<OffsetFetchTopicResult> {
    let Some(topics) = &mut group.topics else {
        return Vec::new();
    };
    let mut refused = Vec::new();
    topics.retain_mut(|topic| {
        let found = match version >= IDS_FROM {
            true => image.topics.get(&topic.topic_id),
            false => image.topic(&topic.name),
        };
        if let Some(found) = found {
            topic.name.clone_from(&found.name);
            topic.topic_id = found.id;
        } else if version >= IDS_FROM {
            refused.push(failed(topic, ErrorCode::UnknownTopicId));
            return false;
        }
        true
    });
    refused
}

fn failed(topic: &OffsetFetchTopic, error: ErrorCode) -> OffsetFetchTopicResult {
    let partition = |index: &i32| OffsetFetchPartitionResult {
        index: *index,
        error,
        ..OffsetFetchPartitionResult::default()
    };
    OffsetFetchTopicResult {
        name: topic.name.clone(),
        topic_id: topic.topic_id,
        partitions: topic.partitions.iter().map(partition).collect(),
    }
}

pub(super) fn finish(call: &mut Call, mut op: FetchOp, part: u32, group: OffsetFetchGroupResult) -> Step<GroupOp> {
    fill(call, &mut op, part, group);
    op.remaining = op.remaining.saturating_sub(1);
    settle(call, op)
}

fn fill(call: &Call, op: &mut FetchOp, part: u32, mut group: OffsetFetchGroupResult) {
    let version = call.meta.version;
    group.topics.retain_mut(|topic| {
        let stored = std::mem::replace(&mut topic.topic_id, TopicId::ZERO);
        match call.cx.newest.names.get(&topic.name) {
            // Of an earlier topic of the same name.
            Some(id) if !stored.is_zero() && stored != *id => false,
            Some(id) => {
                topic.topic_id = *id;
                true
            }
            // It no longer exists, so it has no id to be named by.
            None => version < IDS_FROM,
        }
    });
    if version < GROUP_ERROR_FROM && group.error != ErrorCode::None {
        group.topics = op.asked.iter().map(|topic| failed(topic, group.error)).collect();
    }
    if let Some(slot) = op.response.groups.get_mut(part as usize) {
        slot.error = group.error;
        slot.topics.append(&mut group.topics);
    }
}

fn settle(call: &mut Call, op: FetchOp) -> Step<GroupOp> {
    if op.remaining > 0 {
        return Step::Wait(GroupOp::Fetch(op));
    }
    call.note(op.response.groups.iter().map(|group| group.error));
    call.answer::<OffsetFetch, GroupOp>(&op.response)
}
