//! The edge driven by hand: bytes in, questions and effects out, answers in, bytes out. Numbers in test names are those of
//! the compatibility checklist.

mod admin;
mod connection;
mod fetch;
mod fetch_session;
mod groups;
mod metadata;
mod offsets;
mod produce;
mod throttle;

use super::call::EdgeCx;
use super::edge::{Edge, EdgeConfig};
use crate::base::effect::{Effect, Effects};
use crate::base::ids::{ConnId, Now, ShardId, TopicId};
use crate::controller::image::Image;
use crate::controller::machine::{Controller, ControllerConfig};
use crate::controller::request::{ControllerRequest, NewTopic};
use crate::coord::request::CoordRequest;
use crate::metrics::ShardMetrics;
use crate::partition::request::{OwnerReply, OwnerRequest, ReplyTo};
use crate::wire::api::ApiKey;
use crate::wire::header::{put_request_header, read_response_header};
use crate::wire::message::Api;
use crate::wire::read::Reader;
use crate::wire::write::framed;
use bytes::{Buf, Bytes, BytesMut};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

pub(super) const CONN: ConnId = ConnId {
    index: 0,
    generation: 1,
};

/// An edge, a controller that is durable at once, and a runtime that completes every send at once.
pub(super) struct Rig {
    pub edge: Edge,
    pub controller: Controller,
    pub published: Arc<Image>,
    pub prepared: Arc<Image>,
    pub effects: Effects,
    pub requests: VecDeque<(ShardId, ReplyTo, OwnerRequest)>,
    pub control: VecDeque<(ReplyTo, ControllerRequest)>,
    pub groups: VecDeque<(ShardId, ReplyTo, CoordRequest)>,
    pub metrics: ShardMetrics,
    pub now: Now,
    /// Bytes sent and not looked at yet.
    pub sent: BTreeMap<ConnId, BytesMut>,
    pub closed: Vec<ConnId>,
    /// Connections with a receive outstanding.
    pub receiving: Vec<ConnId>,
    /// Frame buffers that the runtime holds.
    pub lent: Vec<(ConnId, BytesMut)>,
    /// Leaves sends outstanding.
    pub hold_sends: bool,
}

impl Rig {
    pub fn new() -> Rig {
        Rig::with(
            EdgeConfig::default(),
            ControllerConfig {
                shard_count: 4,
                ..ControllerConfig::default()
            },
        )
    }

    pub fn with(config: EdgeConfig, controller: ControllerConfig) -> Rig {
        let controller = Controller::new(Image::default(), controller);
        let mut rig = Rig {
            edge: Edge::new(config),
            published: controller.image(),
            prepared: controller.image(),
            controller,
            effects: Effects::default(),
            requests: VecDeque::new(),
            control: VecDeque::new(),
            groups: VecDeque::new(),
            metrics: ShardMetrics::default(),
            now: Now {
                mono_ns: 1,
                wall_ms: 1_700_000_000_000,
            },
            sent: BTreeMap::new(),
            closed: Vec::new(),
            receiving: Vec::new(),
            lent: Vec::new(),
            hold_sends: false,
        };
        rig.connect(CONN);
        rig
    }

    pub fn with_static(pairs: &[(&str, &str)]) -> Rig {
        let static_configs = pairs.iter().map(|(k, v)| (k.to_string(), v.to_string())).collect();
        Rig::with(
            EdgeConfig::default(),
            ControllerConfig {
                static_configs,
                ..ControllerConfig::default()
            },
        )
    }

    /// Calls the edge and performs what it orders.
    pub fn call<R>(&mut self, call: impl FnOnce(&mut Edge, &mut EdgeCx) -> R) -> R {
        let mut cx = EdgeCx {
            now: self.now,
            shard: ShardId(0),
            image: &self.published,
            newest: &self.prepared,
            effects: &mut self.effects,
            requests: &mut self.requests,
            control: &mut self.control,
            groups: &mut self.groups,
            metrics: &mut self.metrics,
        };
        let result = call(&mut self.edge, &mut cx);
        self.edge.settle(&mut cx);
        self.perform();
        result
    }

    fn perform(&mut self) {
        loop {
            let list = std::mem::take(&mut self.effects.list);
            if list.is_empty() {
                return;
            }
            for effect in list {
                match effect {
                    Effect::Recv { conn } => self.receiving.push(conn),
                    Effect::RecvInto { conn, buf } => self.lent.push((conn, buf)),
                    Effect::Send { conn, data } => {
                        let out = self.sent.entry(conn).or_default();
                        data.iter().for_each(|chunk| out.extend_from_slice(chunk));
                        if !self.hold_sends {
                            self.call(|edge, cx| edge.on_sent(cx, conn, Ok(())));
                        }
                    }
                    Effect::Close { conn } => self.closed.push(conn),
                    other => panic!("the edge orders no {other:?}"),
                }
            }
        }
    }

    pub fn connect(&mut self, conn: ConnId) {
        self.call(|edge, cx| edge.on_accepted(cx, conn, [127, 0, 0, 1].into()));
    }

    /// Bytes come from the client; a receive must be outstanding.
    pub fn receive(&mut self, conn: ConnId, bytes: impl Into<Bytes>) {
        let at = self
            .receiving
            .iter()
            .position(|c| *c == conn)
            .expect("the edge is not receiving");
        self.receiving.remove(at);
        let bytes = bytes.into();
        self.call(|edge, cx| edge.on_received(cx, conn, bytes));
    }

    pub fn send(&mut self, bytes: impl Into<Bytes>) {
        self.receive(CONN, bytes);
    }

    /// A control request and, if it is answered at once, its answer.
    pub fn ask<A: Api>(&mut self, version: i16, request: &A::Request) -> A::Response {
        self.send(control_frame::<A>(version, 7, request));
        self.run_controller();
        self.answered::<A>(version, 7)
    }

    /// The next reply, of a control API.
    pub fn answered<A: Api>(&mut self, version: i16, correlation_id: i32) -> A::Response {
        let frame = self.reply(CONN).expect("an answer");
        let body = body_of(A::KEY, version, correlation_id, &frame);
        A::decode_response(version, &body).unwrap()
    }

    /// The next whole reply of a connection, without its length.
    pub fn reply(&mut self, conn: ConnId) -> Option<Bytes> {
        let out = self.sent.get_mut(&conn)?;
        let len = i32::from_be_bytes(*out.first_chunk::<4>()?) as usize;
        out.advance(4);
        Some(out.split_to(len).freeze())
    }

    pub fn is_closed(&self) -> bool {
        self.closed.contains(&CONN)
    }

    /// The next question to an owner.
    pub fn question(&mut self) -> (ShardId, ReplyTo, OwnerRequest) {
        self.requests.pop_front().expect("a question to an owner")
    }

    pub fn owner_answers(&mut self, to: ReplyTo, answer: OwnerReply) {
        self.call(|edge, cx| edge.on_owner_reply(cx, to, answer));
    }

    pub fn advance_ms(&mut self, ms: u64) {
        self.now.mono_ns += ms * 1_000_000;
        self.now.wall_ms += ms as i64;
        if self.edge.next_deadline().is_some_and(|at| at <= self.now.mono_ns) {
            self.call(|edge, cx| edge.on_tick(cx));
        }
    }

    /// Plans and publishes all that waits for the controller.
    pub fn run_controller(&mut self) {
        while let Some((to, request)) = self.control.pop_front() {
            let planned = self.controller.plan(request);
            planned.records.iter().for_each(|record| self.controller.replay(record));
            self.publish();
            self.call(|edge, cx| edge.on_control_reply(cx, to, planned.reply));
        }
    }

    pub fn publish(&mut self) {
        self.prepared = self.controller.image();
        self.published = self.controller.image();
    }

    pub fn create(&mut self, name: &str, partitions: i32, configs: &[(&str, &str)]) -> TopicId {
        let configs = configs
            .iter()
            .map(|(k, v)| (k.to_string(), Some(v.to_string())))
            .collect();
        let topic = NewTopic {
            name: name.into(),
            partitions,
            replication_factor: -1,
            assignments: vec![],
            configs,
        };
        let planned = self.controller.plan(ControllerRequest::CreateTopics {
            topics: vec![topic],
            validate_only: false,
        });
        planned.records.iter().for_each(|record| self.controller.replay(record));
        self.publish();
        self.published.topic(name).expect("created").id
    }

    pub fn delete(&mut self, name: &str) {
        let topic = crate::controller::request::TopicRef {
            name: Some(name.into()),
            id: TopicId::ZERO,
        };
        let planned = self
            .controller
            .plan(ControllerRequest::DeleteTopics { topics: vec![topic] });
        planned.records.iter().for_each(|record| self.controller.replay(record));
        self.publish();
    }
}

/// A request frame with its length.
pub(super) fn frame(api: ApiKey, version: i16, correlation_id: i32, body: impl FnOnce(&mut BytesMut)) -> Bytes {
    let mut out = BytesMut::new();
    framed(&mut out, |out| {
        put_request_header(out, api, version, correlation_id, Some("test"));
        body(out);
    });
    out.freeze()
}

pub(super) fn control_frame<A: Api>(version: i16, correlation_id: i32, request: &A::Request) -> Bytes {
    frame(A::KEY, version, correlation_id, |out| {
        A::encode_request(request, version, out)
    })
}

/// The body of a reply, after a look at its header.
pub(super) fn body_of(api: ApiKey, version: i16, correlation_id: i32, frame: &Bytes) -> Bytes {
    let mut reader = Reader::new(frame);
    assert_eq!(read_response_header(&mut reader, api, version).unwrap(), correlation_id);
    frame.slice(reader.position()..)
}
