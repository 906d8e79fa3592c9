//! What an API's halves work with.

use crate::base::effect::Effects;
use crate::base::ids::{Now, PartitionId, ShardId};
use crate::base::slab::SlabKey;
use crate::controller::image::{Image, Topic};
use crate::controller::request::ControllerRequest;
use crate::coord::request::{CoordRequest, coordinator_of};
use crate::dispatch::admit::Meta;
use crate::dispatch::reply::Encoder;
use crate::group::request::{GroupAnswer, GroupRequest};
use crate::metrics::ShardMetrics;
use crate::partition::request::{Desk, OwnerRequest, ReplyTo};
use crate::session::Reply;
use crate::wire::error::{DecodeError, ErrorCode};
use crate::wire::message::Api;
use std::collections::VecDeque;
use std::sync::Arc;

/// The shard around the edge, lent for one call.
pub struct EdgeCx<'a> {
    /// The time.
    pub now: Now,
    /// This shard.
    pub shard: ShardId,
    /// Published metadata: what clients may be shown.
    pub image: &'a Arc<Image>,
    /// Newest metadata this shard has prepared, at least as new as `image`: what requests are routed by.
    pub newest: &'a Arc<Image>,
    /// Orders to the runtime.
    pub effects: &'a mut Effects,
    /// Questions to owners, in order; to be delivered in this order per owner.
    pub requests: &'a mut VecDeque<(ShardId, ReplyTo, OwnerRequest)>,
    /// Questions to the controller.
    pub control: &'a mut VecDeque<(ReplyTo, ControllerRequest)>,
    /// Questions to group coordinators, in order; to be delivered in this order per shard.
    pub groups: &'a mut VecDeque<(ShardId, ReplyTo, CoordRequest)>,
    /// Counters of the shard.
    pub metrics: &'a mut ShardMetrics,
}

/// One operation being started or continued.
pub(crate) struct Call<'a, 'c> {
    pub cx: &'a mut EdgeCx<'c>,
    pub meta: Meta,
    pub op: SlabKey,
    pub encoder: &'a mut Encoder,
    /// The answer carries an error; for the counters.
    pub failed: bool,
    /// What the client calls itself, for quotas.
    pub client_id: &'a str,
    /// For how long the connection is not to be read, nanoseconds.
    pub mute_ns: u64,
}

/// What comes of starting or continuing an operation.
pub(crate) enum Step<S> {
    /// It is answered.
    Reply(Reply),
    /// It is done without an answer (acks=0).
    Done,
    /// It waits, with this state.
    Wait(S),
    /// It waits and will have no answer (acks=0): later answers need not wait for it.
    WaitSilent(S),
    /// The connection must be closed, for this reason.
    Close(String),
}

impl<S> Step<S> {
    /// Wraps the state.
    pub fn map<T>(self, wrap: impl FnOnce(S) -> T) -> Step<T> {
        match self {
            Step::Wait(state) => Step::Wait(wrap(state)),
            Step::WaitSilent(state) => Step::WaitSilent(wrap(state)),
            Step::Reply(reply) => Step::Reply(reply),
            Step::Done => Step::Done,
            Step::Close(reason) => Step::Close(reason),
        }
    }
}

impl Call<'_, '_> {
    /// Asks an owner; the answer comes back with `part`.
    pub fn ask(&mut self, owner: ShardId, part: u32, request: OwnerRequest) {
        let reply = self.reply_to(part);
        self.cx.requests.push_back((owner, reply, request));
    }
    /// Asks the coordinator of a group; the answer comes back with `part`. While there are no coordinators it is given at
    /// once, with NOT_COORDINATOR: clients look for one then, which makes them.
    pub fn ask_group(&mut self, group: &str, part: u32, request: GroupRequest) -> Option<GroupAnswer> {
        let Some((id, owner)) = coordinator_of(self.cx.newest, group) else {
            return Some(request.refused(ErrorCode::NotCoordinator));
        };
        let reply = self.reply_to(part);
        self.cx
            .groups
            .push_back((owner, reply, CoordRequest::Group(id, request)));
        None
    }
    /// Where the answer to part `part` of this operation goes.
    pub fn reply_to(&self, part: u32) -> ReplyTo {
        ReplyTo {
            shard: self.cx.shard,
            desk: Desk::Edge,
            op: self.op,
            part,
        }
    }
    /// Asks the controller.
    pub fn control(&mut self, request: ControllerRequest) {
        let reply = self.reply_to(0);
        self.cx.control.push_back((reply, request));
    }
    /// The client is above a quota: it is told to wait, and not read for that long (KIP-219).
    pub fn throttle(&mut self, wait_ns: u64) {
        self.mute_ns = self.mute_ns.max(wait_ns);
        self.meta.throttle_ms = self.meta.throttle_ms.max(throttle_ms(wait_ns));
    }
    /// Counts the answer as failed when one of its parts is.
    pub fn note(&mut self, mut errors: impl Iterator<Item = ErrorCode>) {
        self.failed |= errors.any(|error| error != ErrorCode::None);
    }
    /// Ends the operation with an answer.
    pub fn answer<A: Api, S>(&mut self, response: &A::Response) -> Step<S> {
        Step::Reply(self.encoder.answer::<A>(self.meta, response))
    }
}

/// As clients are told: whole milliseconds, rounded up.
pub(crate) fn throttle_ms(wait_ns: u64) -> i32 {
    i32::try_from(wait_ns.div_ceil(1_000_000)).unwrap_or(i32::MAX)
}

/// Decodes a control request, or closes the connection.
macro_rules! decode {
    ($api:ty, $call:expr, $body:expr) => {
        match <$api as crate::wire::message::Api>::decode_counting($call.meta.version, $body) {
            Ok((request, left)) => {
                $call.cx.metrics.request_trailing_bytes += left as u64;
                request
            }
            Err(error) => return $crate::api::call::malformed($call.meta, &error),
        }
    };
}
pub(crate) use decode;

/// Closes the connection over bytes that are no request.
pub(crate) fn malformed<S>(meta: Meta, error: &DecodeError) -> Step<S> {
    Step::Close(format!("{:?} v{}: {error}", meta.api, meta.version))
}

/// The partition of a topic and its owner.
///
/// # Errors
/// UNKNOWN_TOPIC_OR_PARTITION when the topic has no such partition.
pub(crate) fn place(topic: &Topic, index: i32) -> Result<(PartitionId, ShardId), ErrorCode> {
    let meta = usize::try_from(index).ok().and_then(|at| topic.partitions.get(at));
    let meta = meta.ok_or(ErrorCode::UnknownTopicOrPartition)?;
    Ok((
        PartitionId {
            topic: topic.id,
            partition: index as u32,
        },
        meta.shard,
    ))
}

/// Parts are numbered through all topics of a request; this finds topic and partition again in logarithmic time.
#[derive(Default)]
pub(crate) struct Numbering {
    /// First part of every topic but the first, whose is 0.
    firsts: Vec<u32>,
    topics: usize,
    parts: u32,
}

impl Numbering {
    /// The next topic has this many partitions; returns the number of its first part.
    pub fn add_topic(&mut self, partitions: usize) -> u32 {
        let first = self.parts;
        if self.topics > 0 {
            self.firsts.push(first);
        }
        self.topics += 1;
        self.parts += partitions as u32;
        first
    }
    /// Index of the topic, and of the partition within it.
    pub fn find(&self, part: u32) -> (usize, usize) {
        let topic = self.firsts.partition_point(|first| *first <= part);
        let first = topic
            .checked_sub(1)
            .and_then(|at| self.firsts.get(at))
            .copied()
            .unwrap_or(0);
        (topic, (part - first) as usize)
    }
}

#[cfg(test)]
mod numbering_tests {
    use super::Numbering;

    #[test]
    fn every_part_is_found_again_also_behind_topics_without_partitions() {
        let mut numbering = Numbering::default();
        let mut expected = Vec::new();
        for (topic, partitions) in [0usize, 2, 0, 0, 3, 1].into_iter().enumerate() {
            let first = numbering.add_topic(partitions);
            assert_eq!(first as usize, expected.len());
            expected.extend((0..partitions).map(|partition| (topic, partition)));
        }
        let found: Vec<_> = (0..expected.len() as u32).map(|part| numbering.find(part)).collect();
        assert_eq!(found, expected);
    }
}
