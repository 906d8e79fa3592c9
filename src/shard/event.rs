//! Everything that can happen to a shard, and what shards say to each other.
//!
//! Events are past facts. A shard reacts to nothing else, so a log of (now, event) replays it exactly.

use crate::api::throttle::Usage;
use crate::base::effect::JobResult;
use crate::base::ids::{ConnId, IoKey, JobKey, ShardId};
use crate::controller::image::Image;
use crate::controller::request::{ControllerReply, ControllerRequest};
use crate::coord::request::CoordRequest;
use crate::group::request::GroupAnswer;
use crate::partition::request::{OwnerReply, OwnerRequest, ReplyTo};
use bytes::{Bytes, BytesMut};
use std::net::IpAddr;
use std::sync::Arc;

/// Something that happened.
#[derive(Debug)]
pub enum Event {
    /// A client connected; the shard answers with `Effect::Recv` when it wants to hear it.
    Accepted {
        /// The new connection.
        conn: ConnId,
        /// Who connected.
        peer: IpAddr,
    },
    /// Bytes came from a client.
    Received {
        /// The connection.
        conn: ConnId,
        /// The bytes, in a receive buffer that is lent: drop it soon.
        data: Bytes,
    },
    /// Bytes came into the buffer of `Effect::RecvInto`, appended to what it held.
    ReceivedInto {
        /// The connection.
        conn: ConnId,
        /// The buffer.
        buf: BytesMut,
    },
    /// The client closed or the connection broke. The shard answers with `Effect::Close`.
    Closed {
        /// The connection.
        conn: ConnId,
        /// errno, or `None` for an orderly end.
        errno: Option<i32>,
    },
    /// `Effect::Send` ended.
    Sent {
        /// The connection.
        conn: ConnId,
        /// All bytes given to the socket, or an errno.
        result: Result<(), i32>,
    },
    /// `Effect::Write` ended; short writes have been continued by the runtime or are an error.
    Written {
        /// The operation.
        key: IoKey,
        /// All bytes written (durably if so asked), or an errno.
        result: Result<(), i32>,
    },
    /// `Effect::Read` ended.
    Read {
        /// The operation.
        key: IoKey,
        /// The bytes, short only at the end of the file, or an errno.
        result: Result<Bytes, i32>,
    },
    /// `Effect::Sync` ended.
    Synced {
        /// The operation.
        key: IoKey,
        /// Flushed, or an errno.
        result: Result<(), i32>,
    },
    /// A background job ended.
    JobDone {
        /// The job.
        key: JobKey,
        /// How.
        result: JobResult,
    },
    /// Another shard (or this one) says something. Order between two shards is kept.
    Message(ShardMessage),
    /// The deadline that `Shard::next_deadline` named has passed.
    Tick,
    /// Stop taking requests, finish what is in flight, then report drained.
    Drain,
}

/// A message from shard to shard.
#[derive(Debug)]
pub enum ShardMessage {
    /// To the owner of a partition.
    Request {
        /// Where the answer goes.
        reply: ReplyTo,
        /// The question.
        request: OwnerRequest,
    },
    /// From the owner of a partition to the shard of the client's connection.
    Reply {
        /// Who waits.
        reply: ReplyTo,
        /// The answer.
        answer: OwnerReply,
    },
    /// To the controller on shard 0.
    Control {
        /// Where the answer goes.
        reply: ReplyTo,
        /// The question.
        request: ControllerRequest,
    },
    /// From the controller.
    ControlReply {
        /// Who waits.
        reply: ReplyTo,
        /// The answer.
        answer: ControllerReply,
    },
    /// To the group coordinators of a shard.
    Group {
        /// Where the answer goes.
        reply: ReplyTo,
        /// The question.
        request: Box<CoordRequest>,
    },
    /// From a group coordinator, perhaps long after the question.
    GroupReply {
        /// Who waits.
        reply: ReplyTo,
        /// The answer.
        answer: Box<GroupAnswer>,
    },
    /// What clients with quotas used in a shard since it last said so.
    Usage(Arc<Usage>),
    /// New metadata that is durable: create and drop partitions accordingly, do not show it yet.
    ImagePrepare {
        /// The metadata.
        image: Arc<Image>,
    },
    /// A shard has prepared the image of this version.
    ImagePrepared {
        /// Which shard.
        shard: ShardId,
        /// `Image::version`.
        version: u64,
    },
    /// All shards have prepared: show it to clients. A partition takes writes before Metadata shows it.
    ImagePublish {
        /// The metadata.
        image: Arc<Image>,
    },
}
