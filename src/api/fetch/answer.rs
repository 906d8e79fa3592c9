//! The answer to a fetch: what is read, within the byte budget; in a session only what changed.

use super::sessions::{Context, Told};
use super::{FetchOp, PartKey, TopicKey};
use crate::api::call::{Call, Step};
use crate::api::produce::node_endpoints;
use crate::api::state::Shared;
use crate::base::ids::TopicId;
use crate::controller::image::Image;
use crate::partition::request::FetchResult;
use crate::session::Reply;
use crate::wire::error::ErrorCode;
use crate::wire::fetch::{FetchPartition, FetchResponse, FetchTopic};
use crate::wire::produce::LeaderIdAndEpoch;
use bytes::Bytes;

pub(super) fn finish<S>(call: &mut Call, shared: &mut Shared, mut op: FetchOp) -> Step<S> {
    let image = call.cx.newest.clone();
    let mut room = Room {
        left: u64::from(op.max_bytes),
        used: false,
    };
    let mut partitions = Vec::with_capacity(op.parts.len());
    for (part, result) in op.parts.iter().zip(op.results.drain(..)) {
        let result = result.ok_or(part.place.err().unwrap_or(ErrorCode::UnknownServerError));
        partitions.push(partition(&image, &part.key, result, &mut room));
    }
    let bytes = partitions.iter().map(|partition| partition.records_len() as u64).sum();
    let wait_ns = shared
        .throttles
        .on_fetched(call.cx.now, call.client_id, bytes, call.cx.metrics);
    if wait_ns > 0 {
        call.throttle(wait_ns);
        return Step::Reply(throttled(call, op.context));
    }
    call.note(partitions.iter().map(|partition| partition.error));
    let session_id = session(call, shared, &op, &partitions);
    let mut response = FetchResponse {
        session_id,
        ..FetchResponse::default()
    };
    for (part, partition) in op.parts.iter().zip(partitions) {
        let told = told(&partition);
        let has_data = !partition.records.is_empty();
        let say = match op.context {
            Context::Incremental(id) => {
                shared.fetch_sessions.tell(id, &part.key, told, has_data) || partition.diverging_epoch.is_some()
            }
            Context::Full | Context::Sessionless => true,
        };
        if say {
            if partition.current_leader.is_some() && response.node_endpoints.is_empty() {
                response.node_endpoints = node_endpoints(&image);
            }
            call.cx.metrics.fetched_bytes += partition.records_len() as u64;
            push(&mut response.topics, &part.key.topic, partition);
        }
    }
    Step::Reply(Reply::Many(response.frame(call.meta.version, call.meta.correlation_id)))
}

/// The answer to a client above its quota: nothing, and no session begins with it; one that there is stays as it was
/// (`FetchContext.getThrottledResponse`).
pub(super) fn throttled(call: &Call, context: Context) -> Reply {
    let response = FetchResponse {
        throttle_time_ms: call.meta.throttle_ms,
        session_id: match context {
            Context::Incremental(id) => id,
            Context::Full | Context::Sessionless => 0,
        },
        ..FetchResponse::default()
    };
    Reply::Many(response.frame(call.meta.version, call.meta.correlation_id))
}

/// What is left of the answer's byte budget.
struct Room {
    left: u64,
    used: bool,
}

impl Room {
    /// The batches that fit, in order; the first of all is given in any case (KIP-74).
    fn admit(&mut self, batches: Vec<Bytes>) -> Vec<Bytes> {
        let mut admitted = Vec::with_capacity(batches.len());
        for batch in batches {
            let len = batch.len() as u64;
            if len > self.left && self.used {
                self.left = 0;
                break;
            }
            self.left = self.left.saturating_sub(len);
            self.used |= len > 0;
            admitted.push(batch);
        }
        admitted
    }
}

fn partition(image: &Image, key: &PartKey, result: Result<FetchResult, ErrorCode>, room: &mut Room) -> FetchPartition {
    let result = match result {
        Ok(result) => result,
        Err(error) => return with_leader(image, key, FetchPartition::failed(key.index, error)),
    };
    let error = match result.error {
        // The owner speaks of a partition it does not have; a client that asked by id is told so.
        ErrorCode::UnknownTopicOrPartition if key.topic.is_id() && topic_is_gone(image, &key.topic) => {
            ErrorCode::UnknownTopicId
        }
        error => error,
    };
    if error == ErrorCode::OffsetOutOfRange {
        return FetchPartition::failed(key.index, error);
    }
    let partition = FetchPartition {
        index: key.index,
        error,
        high_watermark: result.high_watermark,
        last_stable_offset: result.last_stable_offset,
        log_start_offset: result.log_start_offset,
        aborted: result.aborted,
        records: room.admit(result.batches),
        diverging_epoch: result.diverging_epoch,
        ..FetchPartition::default()
    };
    with_leader(image, key, partition)
}

fn topic_is_gone(image: &Image, topic: &TopicKey) -> bool {
    matches!(topic, TopicKey::Id(id) if !image.topics.contains_key(id))
}

/// Tells a client that asked the wrong broker, or with an old epoch, who leads (KIP-951).
fn with_leader(image: &Image, key: &PartKey, mut partition: FetchPartition) -> FetchPartition {
    if !matches!(
        partition.error,
        ErrorCode::NotLeaderOrFollower | ErrorCode::FencedLeaderEpoch
    ) {
        return partition;
    }
    let topic = match &key.topic {
        TopicKey::Name(name) => image.topic(name),
        TopicKey::Id(id) => image.topics.get(id),
    };
    let meta = topic.and_then(|topic| topic.partitions.get(usize::try_from(key.index).ok()?));
    partition.current_leader = meta.map(|meta| LeaderIdAndEpoch {
        leader_id: image.leader(meta),
        leader_epoch: meta.leader_epoch,
    });
    partition
}

/// What the client knows after this answer; `None` after an error, which is said again.
fn told(partition: &FetchPartition) -> Option<Told> {
    (partition.error == ErrorCode::None).then_some(Told {
        high_watermark: partition.high_watermark,
        log_start_offset: partition.log_start_offset,
    })
}

/// The session id of the answer; opens the session after a full fetch.
fn session(call: &Call, shared: &mut Shared, op: &FetchOp, partitions: &[FetchPartition]) -> i32 {
    match op.context {
        Context::Sessionless => 0,
        Context::Incremental(id) => id,
        Context::Full => {
            let by_id = op.parts.first().is_some_and(|part| part.key.topic.is_id());
            let read = op
                .parts
                .iter()
                .zip(partitions)
                .map(|(part, partition)| (part.key.clone(), part.wish, told(partition)));
            shared
                .fetch_sessions
                .open(call.cx.shard.0, by_id, read, call.cx.now.mono_ns)
        }
    }
}

/// Adds a partition to its topic; those of one topic that follow each other share an entry.
fn push(topics: &mut Vec<FetchTopic>, key: &TopicKey, partition: FetchPartition) {
    let (name, id) = match key {
        TopicKey::Name(name) => (&**name, TopicId::ZERO),
        TopicKey::Id(id) => ("", *id),
    };
    match topics.last_mut().filter(|topic| topic.name == name && topic.id == id) {
        Some(topic) => topic.partitions.push(partition),
        None => topics.push(FetchTopic {
            name: name.to_string(),
            id,
            partitions: vec![partition],
        }),
    }
}
