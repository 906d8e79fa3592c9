//! Fetch (key 1): reads from any number of owners, with long poll and fetch sessions.
//!
//! An operation asks all owners at once (a *round*), each with its share of the byte budget. If too little came, the owners
//! watch and the operation waits: a wake-up or the deadline starts the next round. Batches are not held while waiting, so a
//! waiting consumer pins no log memory.

mod answer;
pub(super) mod round;
pub(super) mod sessions;

pub(crate) use round::FetchOp;
pub(super) use round::{cancel, on_deadline, on_results, on_wake};

use super::call::{Call, Step, malformed, place};
use super::state::Shared;
use crate::base::ids::{PartitionId, ShardId, TopicId};
use crate::controller::image::Image;
use crate::partition::request::FetchPart;
use crate::wire::error::ErrorCode;
use crate::wire::fetch::{FetchRequest, FetchRequestPartition, FetchResponse, TOPIC_IDS_FROM};
use sessions::Joined;
use std::sync::Arc;

/// How a client names a topic: by name below v13, by id from then on.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum TopicKey {
    Name(Arc<str>),
    Id(TopicId),
}

/// A partition as the client names it.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct PartKey {
    pub topic: TopicKey,
    pub index: i32,
}

/// What a client wants of a partition.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Wish {
    pub fetch_offset: i64,
    pub max_bytes: u32,
    pub current_leader_epoch: i32,
    pub last_fetched_epoch: i32,
}

/// A partition of the operation and where it is.
pub(crate) struct Part {
    pub key: PartKey,
    pub wish: Wish,
    /// Where to read, or why it cannot be.
    pub place: Result<(PartitionId, ShardId), ErrorCode>,
}

impl Part {
    fn question(&self, partition: PartitionId) -> FetchPart {
        FetchPart {
            partition,
            fetch_offset: self.wish.fetch_offset,
            max_bytes: self.wish.max_bytes,
            current_leader_epoch: self.wish.current_leader_epoch,
            last_fetched_epoch: self.wish.last_fetched_epoch,
        }
    }
}

pub(super) fn start(call: &mut Call, shared: &mut Shared, body: &[u8]) -> Step<Box<FetchOp>> {
    let (request, left) = match FetchRequest::decode_counting(call.meta.version, body) {
        Ok(found) => found,
        Err(error) => return malformed(call.meta, &error),
    };
    call.cx.metrics.request_trailing_bytes += left as u64;
    let by_id = call.meta.version >= TOPIC_IDS_FROM;
    let wishes = wishes(&request, by_id);
    let forgotten = forgotten(&request, by_id);
    let now_ns = call.cx.now.mono_ns;
    let joined = shared.fetch_sessions.join(
        (request.session_id, request.session_epoch),
        by_id,
        wishes,
        &forgotten,
        now_ns,
    );
    let (context, wishes) = match joined {
        Joined::Refused(error) => return refuse(call, error),
        Joined::Fetch(context, wishes) => (context, wishes),
    };
    if call.meta.throttle_ms > 0 {
        return Step::Reply(answer::throttled(call, context));
    }
    let follower = request.follower() >= 0;
    let image = call.cx.newest;
    let locate = |(key, wish): (PartKey, Wish)| {
        // Replication has its own way; nobody fetches as a follower.
        let place = if follower {
            Err(ErrorCode::NotLeaderOrFollower)
        } else {
            find(image, &key)
        };
        Part { key, wish, place }
    };
    let parts = wishes.into_iter().map(locate).collect();
    let bytes_max = shared.fetch_bytes_max.min(shared.throttles.fetch_max(call.client_id));
    let op = FetchOp::new(&request, context, parts, bytes_max, now_ns);
    round::begin(call, shared, Box::new(op))
}

fn refuse<S>(call: &mut Call, error: ErrorCode) -> Step<S> {
    call.failed = true;
    let response = FetchResponse {
        error,
        throttle_time_ms: call.meta.throttle_ms,
        ..FetchResponse::default()
    };
    let chunks = response.frame(call.meta.version, call.meta.correlation_id);
    Step::Reply(crate::session::Reply::Many(chunks))
}

fn wishes(request: &FetchRequest, by_id: bool) -> Vec<(PartKey, Wish)> {
    let mut wishes = Vec::with_capacity(request.topics.iter().map(|topic| topic.partitions.len()).sum());
    for topic in &request.topics {
        let topic_key = key(by_id, &topic.topic, topic.topic_id);
        let wish = |asked: &FetchRequestPartition| {
            let wish = Wish {
                fetch_offset: asked.fetch_offset,
                max_bytes: u32::try_from(asked.max_bytes).unwrap_or(0),
                current_leader_epoch: asked.current_leader_epoch,
                last_fetched_epoch: asked.last_fetched_epoch,
            };
            (
                PartKey {
                    topic: topic_key.clone(),
                    index: asked.index,
                },
                wish,
            )
        };
        wishes.extend(topic.partitions.iter().map(wish));
    }
    wishes
}

fn forgotten(request: &FetchRequest, by_id: bool) -> Vec<PartKey> {
    let mut forgotten = Vec::new();
    for topic in &request.forgotten {
        let topic_key = key(by_id, &topic.topic, topic.topic_id);
        forgotten.extend(topic.partitions.iter().map(|index| PartKey {
            topic: topic_key.clone(),
            index: *index,
        }));
    }
    forgotten
}

fn key(by_id: bool, name: &str, id: TopicId) -> TopicKey {
    if by_id {
        TopicKey::Id(id)
    } else {
        TopicKey::Name(name.into())
    }
}

fn find(image: &Image, key: &PartKey) -> Result<(PartitionId, ShardId), ErrorCode> {
    let topic = match &key.topic {
        TopicKey::Name(name) => image.topic(name).ok_or(ErrorCode::UnknownTopicOrPartition)?,
        TopicKey::Id(id) => image.topics.get(id).ok_or(ErrorCode::UnknownTopicId)?,
    };
    place(topic, key.index)
}
