//! One shard: connection edge, store, group coordinators and (on shard 0) controller behind one `step` and one `settle`.
//!
//! Invariants: everything that happens comes in through `step`; everything wanted goes out through [`Out`]; a message to the
//! own shard takes the same path as one to another, only shorter. Must not know clocks, threads, files, sockets.

use crate::api::call::EdgeCx;
use crate::api::edge::{Edge, EdgeConfig};
use crate::base::ids::{Now, ShardId};
use crate::controller::image::Image;
use crate::controller::machine::Controller;
use crate::controller::request::ControllerRequest;
use crate::coord::host::{CoordCx, CoordHost};
use crate::coord::request::CoordRequest;
use crate::group::request::GroupAnswer;
use crate::log::recovery::{Damage, Recovered};
use crate::metrics::{MemoryKind, ShardMetrics};
use crate::partition::request::{Desk, OwnerReply, OwnerRequest, ReplyTo};
use crate::partition::store::{Store, StoreConfig, StoreCx};
use crate::shard::event::{Event, ShardMessage};
use crate::shard::host::ControllerHost;
use crate::shard::out::Out;
use std::collections::VecDeque;
use std::sync::Arc;

/// What a shard is given at start.
#[derive(Clone, Debug)]
pub struct ShardConfig {
    /// Which shard.
    pub id: ShardId,
    /// How many there are.
    pub shard_count: u16,
    /// Owner's side.
    pub store: StoreConfig,
    /// Connection side.
    pub edge: EdgeConfig,
}

/// See the module.
pub struct Shard {
    id: ShardId,
    shard_count: u16,
    edge: Edge,
    store: Store,
    coord: CoordHost,
    host: Option<ControllerHost>,
    /// What clients are shown.
    published: Arc<Image>,
    /// What this shard has prepared; at least as new.
    prepared: Arc<Image>,
    requests: VecDeque<(ShardId, ReplyTo, OwnerRequest)>,
    replies: VecDeque<(ReplyTo, OwnerReply)>,
    control: VecDeque<(ReplyTo, ControllerRequest)>,
    groups: VecDeque<(ShardId, ReplyTo, CoordRequest)>,
    group_answers: VecDeque<(ReplyTo, GroupAnswer)>,
    metrics: ShardMetrics,
    draining: bool,
    started: bool,
}

impl Shard {
    /// A shard from what recovery found. `controller` only on shard 0, with all recovered records replayed; `image` is its image.
    ///
    /// # Errors
    /// [`Damage`] when the log of a partition that the metadata names does not continue its checkpoint.
    pub fn new(
        config: ShardConfig,
        recovered: Recovered,
        image: Arc<Image>,
        controller: Option<Controller>,
        now: Now,
    ) -> Result<Shard, Damage> {
        let store = Store::new(config.store, recovered, &image, config.id, now)?;
        Ok(Shard {
            id: config.id,
            shard_count: config.shard_count,
            coord: CoordHost::new(config.edge.seed, config.edge.limits.memory_bytes_max),
            edge: Edge::new(config.edge),
            host: controller.map(|machine| ControllerHost::new(machine, config.shard_count)),
            store,
            published: image.clone(),
            prepared: image,
            requests: VecDeque::new(),
            replies: VecDeque::new(),
            control: VecDeque::new(),
            groups: VecDeque::new(),
            group_answers: VecDeque::new(),
            metrics: ShardMetrics::default(),
            draining: false,
            started: false,
        })
    }

    /// Takes one event.
    pub fn step(&mut self, now: Now, event: Event, out: &mut Out) {
        match event {
            Event::Accepted { .. }
            | Event::Received { .. }
            | Event::ReceivedInto { .. }
            | Event::Closed { .. }
            | Event::Sent { .. }
            | Event::Drain => self.on_connection(now, event, out),
            Event::Written { key, result } => self.with_store(now, out, |store, cx| store.on_written(cx, key, result)),
            Event::Read { key, result } => self.with_store(now, out, |store, cx| store.on_read(cx, key, result)),
            Event::Synced { key, result } => self.with_store(now, out, |store, cx| store.on_synced(cx, key, result)),
            Event::JobDone { key, result } => self.with_store(now, out, |store, cx| store.on_job(cx, key, result)),
            Event::Message(message) => self.on_message(now, message, out),
            Event::Tick => {
                self.with_store(now, out, |store, cx| store.on_tick(cx));
                self.with_coord(now, |coord, cx| coord.on_tick(cx));
                self.with_edge(now, out, |edge, cx| edge.on_tick(cx));
            }
        }
        self.pump(now, out);
    }

    /// Ends a round: one journal block, one send per connection.
    pub fn settle(&mut self, now: Now, out: &mut Out) {
        if !self.started {
            self.started = true;
            self.with_store(now, out, |store, cx| store.start(cx));
            let image = self.prepared.clone();
            self.with_coord(now, |coord, cx| coord.apply_image(cx, &image));
        }
        if self.store.wants_meta_snapshot()
            && let Some(host) = &self.host
        {
            self.store.set_meta_snapshot(host.snapshot());
        }
        self.with_store(now, out, |store, cx| store.settle(cx));
        self.pump(now, out);
        let congested = self.store.congested();
        self.with_edge(now, out, |edge, cx| {
            edge.set_congested(congested);
            edge.settle(cx);
        });
        if let Some(usage) = self.edge.take_usage(now) {
            for shard in (0..self.shard_count).map(ShardId).filter(|shard| *shard != self.id) {
                out.messages.push((shard, ShardMessage::Usage(usage.clone())));
            }
        }
    }

    /// The runtime tells how long the last round took: what clients are charged for with `request_percentage`.
    pub fn worked(&mut self, ns: u64) {
        self.edge.worked(ns);
    }

    /// Monotonic nanoseconds at which the runtime should give `Event::Tick`.
    pub fn next_deadline(&self) -> Option<u64> {
        let deadlines = [
            self.edge.next_deadline(),
            self.store.next_deadline(),
            self.coord.next_deadline(),
        ];
        deadlines.into_iter().flatten().min()
    }

    /// Why the shard no longer acknowledges, once it does not.
    pub fn fatal(&self) -> Option<&str> {
        self.store.fatal()
    }

    /// True after `Event::Drain` once everything accepted is durable, answered and sent.
    pub fn drained(&self) -> bool {
        self.draining && self.edge.drained() && self.store.may_leave()
    }

    /// Counters, gauges brought up to date.
    pub fn metrics(&mut self) -> &mut ShardMetrics {
        self.metrics.connections = self.edge.connections() as u64;
        self.store.report(&mut self.metrics);
        let (groups, offsets) = self.coord.sizes();
        (self.metrics.groups, self.metrics.group_offsets) = (groups as u64, offsets as u64);
        self.metrics.set_memory(MemoryKind::Groups, self.coord.bytes() as u64);
        self.metrics
            .set_memory(MemoryKind::Sessions, self.edge.memory_used() as u64);
        &mut self.metrics
    }

    /// The owner's side, for checkers.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// Metadata as clients see it.
    pub fn image(&self) -> &Arc<Image> {
        &self.published
    }

    fn on_connection(&mut self, now: Now, event: Event, out: &mut Out) {
        if matches!(event, Event::Drain) {
            self.draining = true;
            self.store.leave();
        }
        self.with_edge(now, out, |edge, cx| match event {
            Event::Accepted { conn, peer } => edge.on_accepted(cx, conn, peer),
            Event::Received { conn, data } => edge.on_received(cx, conn, data),
            Event::ReceivedInto { conn, buf } => edge.on_received_into(cx, conn, buf),
            Event::Closed { conn, errno } => edge.on_closed(cx, conn, errno),
            Event::Sent { conn, result } => edge.on_sent(cx, conn, result),
            _ => edge.on_drain(cx),
        });
    }

    fn on_message(&mut self, now: Now, message: ShardMessage, out: &mut Out) {
        match message {
            ShardMessage::Request { reply, request } => {
                self.with_store(now, out, |store, cx| store.on_request(cx, reply, request));
            }
            ShardMessage::Reply { reply, answer } => self.on_owner_reply(now, reply, answer, out),
            ShardMessage::Group { reply, request } => {
                self.with_coord(now, |coord, cx| coord.on_request(cx, reply, *request));
            }
            ShardMessage::GroupReply { reply, answer } => {
                self.with_edge(now, out, |edge, cx| edge.on_group_answer(cx, reply, *answer));
            }
            ShardMessage::Usage(usage) => self.with_edge(now, out, |edge, cx| edge.on_usage(cx, &usage)),
            ShardMessage::Control { reply, request } => self.plan(reply, request),
            ShardMessage::ControlReply { reply, answer } => {
                self.with_edge(now, out, |edge, cx| edge.on_control_reply(cx, reply, answer));
            }
            ShardMessage::ImagePrepare { image } => {
                self.prepare(now, image.clone(), out);
                let message = ShardMessage::ImagePrepared {
                    shard: self.id,
                    version: image.version,
                };
                out.messages.push((ShardId(0), message));
            }
            ShardMessage::ImagePrepared { shard, version } => {
                if let Some(host) = &mut self.host {
                    host.on_prepared(shard, version);
                }
            }
            ShardMessage::ImagePublish { image } => self.published = image,
        }
    }

    /// Delivers what the parts say to each other until nothing is left.
    fn pump(&mut self, now: Now, out: &mut Out) {
        loop {
            if let Some((owner, reply, request)) = self.requests.pop_front() {
                self.ask_owner(now, owner, reply, request, out);
            } else if let Some((reply, answer)) = self.replies.pop_front() {
                if reply.shard == self.id {
                    self.on_owner_reply(now, reply, answer, out);
                } else {
                    out.messages.push((reply.shard, ShardMessage::Reply { reply, answer }));
                }
            } else if let Some((owner, reply, request)) = self.groups.pop_front() {
                self.ask_coordinator(now, owner, reply, request, out);
            } else if let Some((reply, answer)) = self.group_answers.pop_front() {
                self.give_group_answer(now, reply, answer, out);
            } else if let Some((reply, request)) = self.control.pop_front() {
                if self.host.is_some() {
                    self.plan(reply, request);
                } else {
                    out.messages
                        .push((ShardId(0), ShardMessage::Control { reply, request }));
                }
            } else if !self.pump_metadata(now, out) {
                return;
            }
        }
    }

    fn ask_owner(&mut self, now: Now, owner: ShardId, reply: ReplyTo, request: OwnerRequest, out: &mut Out) {
        if owner == self.id {
            return self.with_store(now, out, |store, cx| store.on_request(cx, reply, request));
        }
        self.metrics.hops += 1;
        out.messages.push((owner, ShardMessage::Request { reply, request }));
    }

    fn on_owner_reply(&mut self, now: Now, reply: ReplyTo, answer: OwnerReply, out: &mut Out) {
        match reply.desk {
            Desk::Edge => self.with_edge(now, out, |edge, cx| edge.on_owner_reply(cx, reply, answer)),
            Desk::Coordinator => self.with_coord(now, |coord, cx| coord.on_owner_reply(cx, reply, answer)),
        }
    }

    fn ask_coordinator(&mut self, now: Now, owner: ShardId, reply: ReplyTo, request: CoordRequest, out: &mut Out) {
        if owner == self.id {
            return self.with_coord(now, |coord, cx| coord.on_request(cx, reply, request));
        }
        self.metrics.hops += 1;
        let request = Box::new(request);
        out.messages.push((owner, ShardMessage::Group { reply, request }));
    }

    fn give_group_answer(&mut self, now: Now, reply: ReplyTo, answer: GroupAnswer, out: &mut Out) {
        if reply.shard == self.id {
            return self.with_edge(now, out, |edge, cx| edge.on_group_answer(cx, reply, answer));
        }
        let answer = Box::new(answer);
        out.messages
            .push((reply.shard, ShardMessage::GroupReply { reply, answer }));
    }

    fn plan(&mut self, reply: ReplyTo, request: ControllerRequest) {
        if let Some(host) = &mut self.host {
            host.plan(reply, request, &mut self.store);
        }
    }

    /// Moves metadata changes on: durable -> prepared everywhere -> published -> answered. False when nothing moved.
    fn pump_metadata(&mut self, now: Now, out: &mut Out) -> bool {
        let Some(host) = &mut self.host else { return false };
        host.on_durable(self.store.meta_durable());
        if let Some(image) = host.start_prepare() {
            for shard in 1..self.shard_count {
                out.messages
                    .push((ShardId(shard), ShardMessage::ImagePrepare { image: image.clone() }));
            }
            self.prepare(now, image.clone(), out);
            if let Some(host) = &mut self.host {
                host.on_prepared(self.id, image.version);
            }
            return true;
        }
        if let Some(image) = host.take_prepared() {
            for shard in 1..self.shard_count {
                out.messages
                    .push((ShardId(shard), ShardMessage::ImagePublish { image: image.clone() }));
            }
            self.published = image;
            return true;
        }
        let Some((reply, answer)) = host.take_answer() else {
            return false;
        };
        if reply.shard == self.id {
            self.with_edge(now, out, |edge, cx| edge.on_control_reply(cx, reply, answer));
        } else {
            out.messages
                .push((reply.shard, ShardMessage::ControlReply { reply, answer }));
        }
        true
    }

    fn prepare(&mut self, now: Now, image: Arc<Image>, out: &mut Out) {
        self.prepared = image.clone();
        let id = self.id;
        self.with_store(now, out, |store, cx| store.apply_image(cx, &image, id));
        self.with_coord(now, |coord, cx| coord.apply_image(cx, &image));
    }

    fn with_store(&mut self, now: Now, out: &mut Out, call: impl FnOnce(&mut Store, &mut StoreCx)) {
        let mut cx = StoreCx {
            now,
            effects: &mut out.effects,
            replies: &mut self.replies,
            metrics: &mut self.metrics,
        };
        call(&mut self.store, &mut cx);
    }

    fn with_coord(&mut self, now: Now, call: impl FnOnce(&mut CoordHost, &mut CoordCx)) {
        let mut cx = CoordCx {
            now,
            shard: self.id,
            requests: &mut self.requests,
            answers: &mut self.group_answers,
        };
        call(&mut self.coord, &mut cx);
    }

    fn with_edge(&mut self, now: Now, out: &mut Out, call: impl FnOnce(&mut Edge, &mut EdgeCx)) {
        let mut cx = EdgeCx {
            now,
            shard: self.id,
            image: &self.published,
            newest: &self.prepared,
            effects: &mut out.effects,
            requests: &mut self.requests,
            control: &mut self.control,
            groups: &mut self.groups,
            metrics: &mut self.metrics,
        };
        call(&mut self.edge, &mut cx);
    }
}
