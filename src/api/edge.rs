//! The edge of a shard: connections in, replies out, and everything in between handed to the APIs.
//!
//! One call per event, one [`Edge::settle`] per round. Nothing here waits: an operation either is answered at once or leaves
//! its state in the table until owners or the controller answer.

use super::call::{Call, EdgeCx, Step, throttle_ms};
use super::state::{Shared, State};
use super::throttle::Usage;
use super::{finish, groups, start};
use crate::base::effect::Effect;
use crate::base::ids::{ConnId, Now};
use crate::base::log_limit::LogLimit;
use crate::base::slab::SlabKey;
use crate::controller::request::ControllerReply;
use crate::dispatch::admit::{Admit, admit};
use crate::dispatch::ops::{Op, Ops};
use crate::dispatch::reply::Encoder;
use crate::group::request::GroupAnswer;
use crate::partition::request::{OwnerReply, ReplyTo};
use crate::session::Reply;
use crate::session::limits::SessionLimits;
use crate::session::table::SessionTable;
use crate::wire::api::ApiKey;
use bytes::{Bytes, BytesMut};
use std::net::IpAddr;
use std::sync::Arc;

/// What the edge is given at start. Counts are for one shard.
#[derive(Clone, Debug)]
pub struct EdgeConfig {
    /// Bounds of sessions.
    pub limits: SessionLimits,
    /// `fetch.max.bytes`: largest answer to a fetch; one batch may exceed it (KIP-74).
    pub fetch_bytes_max: u32,
    /// `max.incremental.fetch.session.cache.slots` (KIP-227).
    pub fetch_sessions_max: usize,
    /// Producer ids taken from the controller at a time.
    pub producer_id_block: u32,
    /// Seed of fetch session ids; different at each start.
    pub seed: u64,
}

impl Default for EdgeConfig {
    fn default() -> Self {
        EdgeConfig {
            limits: SessionLimits::default(),
            fetch_bytes_max: 57_671_680,
            fetch_sessions_max: 1000,
            producer_id_block: 1000,
            seed: 0,
        }
    }
}

/// The connection side of a shard.
pub struct Edge {
    sessions: SessionTable,
    ops: Ops<State>,
    encoder: Encoder,
    shared: Shared,
    log_limit: LogLimit,
    draining: bool,
}

impl Edge {
    /// An edge without connections.
    pub fn new(config: EdgeConfig) -> Edge {
        Edge {
            sessions: SessionTable::new(config.limits),
            ops: Ops::default(),
            encoder: Encoder::default(),
            shared: Shared::new(&config),
            log_limit: LogLimit::default(),
            draining: false,
        }
    }

    /// Open connections.
    pub fn connections(&self) -> usize {
        self.sessions.len()
    }
    /// Bytes of requests and answers held.
    pub fn memory_used(&self) -> usize {
        self.sessions.memory_used()
    }
    /// True after [`on_drain`](Self::on_drain) once every answer is sent and every connection closed.
    pub fn drained(&self) -> bool {
        self.draining && self.sessions.is_empty() && self.ops.is_empty()
    }
    /// Monotonic time, nanoseconds, at which [`on_tick`](Self::on_tick) is wanted.
    pub fn next_deadline(&self) -> Option<u64> {
        let timers = self.shared.timers.next_deadline();
        let report = self.shared.throttles.next_deadline();
        [
            self.sessions.next_deadline(),
            timers,
            self.shared.overdue.next_check(),
            report,
        ]
        .into_iter()
        .flatten()
        .min()
    }

    /// While true, producers are not read: the log has no room for more.
    pub fn set_congested(&mut self, congested: bool) {
        self.sessions.set_congested(congested);
    }

    /// A client connected.
    pub fn on_accepted(&mut self, cx: &mut EdgeCx, conn: ConnId, peer: IpAddr) {
        cx.metrics.accepted += 1;
        if let Err(reason) = self.sessions.accept(conn, peer, cx.now.mono_ns) {
            cx.metrics.refused += 1;
            if let Some(suppressed) = self.log_limit.admit(cx.now.mono_ns) {
                tracing::warn!(%peer, reason, suppressed, "connection refused");
            }
            cx.effects.push(Effect::Close { conn });
            return;
        }
        let wait_ns = self
            .shared
            .throttles
            .on_connection((cx.now, cx.newest), peer, cx.metrics);
        self.mute(cx, conn, wait_ns);
    }

    /// Does not read a connection for so long.
    fn mute(&mut self, cx: &EdgeCx, conn: ConnId, wait_ns: u64) {
        if wait_ns > 0 {
            self.sessions.mute(conn, cx.now.mono_ns.saturating_add(wait_ns));
        }
    }

    /// The shard has worked for so long since this was last called.
    pub fn worked(&mut self, ns: u64) {
        self.shared.throttles.worked(ns);
    }

    /// What clients used here and the other shards have to know, when it is time to say it.
    pub fn take_usage(&mut self, now: Now) -> Option<Arc<Usage>> {
        self.shared.throttles.take_report(now)
    }

    /// What clients used in another shard.
    pub fn on_usage(&mut self, cx: &EdgeCx, usage: &Usage) {
        self.shared.throttles.on_report((cx.now, cx.newest), usage);
    }

    /// Bytes came in a receive buffer that is lent.
    pub fn on_received(&mut self, cx: &mut EdgeCx, conn: ConnId, data: Bytes) {
        self.sessions.on_received(conn, cx.now.mono_ns);
        self.pump(cx, conn, data);
    }

    /// Bytes came into a frame's own buffer.
    pub fn on_received_into(&mut self, cx: &mut EdgeCx, conn: ConnId, buf: BytesMut) {
        self.sessions.on_received(conn, cx.now.mono_ns);
        self.sessions.give_back(conn, buf);
        self.pump(cx, conn, Bytes::new());
    }

    /// The client closed, or the connection broke with an errno.
    pub fn on_closed(&mut self, cx: &mut EdgeCx, conn: ConnId, errno: Option<i32>) {
        tracing::debug!(?conn, ?errno, "connection ended");
        self.drop_session(cx, conn);
    }

    /// A send ended.
    pub fn on_sent(&mut self, cx: &mut EdgeCx, conn: ConnId, result: Result<(), i32>) {
        if self.sessions.on_sent(conn, result.is_ok(), cx.now.mono_ns) {
            self.resume(cx, conn);
        } else {
            self.on_closed(cx, conn, result.err());
        }
    }

    /// An owner answered.
    pub fn on_owner_reply(&mut self, cx: &mut EdgeCx, to: ReplyTo, answer: OwnerReply) {
        self.proceed(cx, to.op, |call, shared, state| {
            finish::owner(call, shared, state, to.part, answer)
        });
    }

    /// A group coordinator answered.
    pub fn on_group_answer(&mut self, cx: &mut EdgeCx, to: ReplyTo, answer: GroupAnswer) {
        self.proceed(cx, to.op, |call, _, state| finish::group(call, state, to.part, answer));
    }

    /// The controller answered; what it speaks of is published.
    pub fn on_control_reply(&mut self, cx: &mut EdgeCx, to: ReplyTo, answer: ControllerReply) {
        if let ControllerReply::ProducerIds { first, count } = answer {
            for op in self.shared.producer_ids.refill(first, count) {
                self.proceed(cx, op, finish::producer_id);
            }
            return;
        }
        self.proceed(cx, to.op, |call, _, state| finish::control(call, state, answer));
    }

    /// The deadline of [`next_deadline`](Self::next_deadline) has passed.
    pub fn on_tick(&mut self, cx: &mut EdgeCx) {
        while let Some(op) = self.shared.timers.pop_due(cx.now.mono_ns) {
            self.proceed(cx, op, finish::deadline);
        }
        if self.shared.overdue.begin_check(cx.now.mono_ns) {
            for op in self.overdue_ops(cx.now.mono_ns) {
                self.proceed(cx, op, |call, _, state| finish::overdue(call, state));
            }
        }
        for conn in self.sessions.take_unmuted(cx.now.mono_ns) {
            self.resume(cx, conn);
        }
        for (conn, reason) in self.sessions.sweep(cx.now.mono_ns) {
            self.close(cx, conn, reason);
        }
    }

    /// What has waited too long for durability; the next look is for the others.
    fn overdue_ops(&mut self, now_ns: u64) -> Vec<SlabKey> {
        let mut found = Vec::new();
        for (key, op) in self.ops.iter() {
            match &op.state {
                Some(State::Produce(op)) if op.is_overdue(now_ns) => found.push(key),
                Some(State::Produce(op)) => self.shared.overdue.note(op),
                Some(State::Group(group)) if group.writes() => {
                    let deadline_ns = op.started_ns + groups::WRITE_TIMEOUT_NS;
                    match deadline_ns <= now_ns {
                        true => found.push(key),
                        false => self.shared.overdue.note_until(deadline_ns),
                    }
                }
                _ => {}
            }
        }
        found
    }

    /// Takes no new requests, answers what waits, closes every connection when its answers are sent.
    pub fn on_drain(&mut self, cx: &mut EdgeCx) {
        self.draining = true;
        self.sessions.drain();
        for op in self.ops.keys() {
            self.proceed(cx, op, finish::deadline);
        }
    }

    /// Ends a round: one send and one receive at most per connection.
    pub fn settle(&mut self, cx: &mut EdgeCx) {
        self.shared.throttles.settle(cx.now);
        for conn in self.sessions.settle(cx.effects, cx.now.mono_ns) {
            self.drop_session(cx, conn);
        }
    }

    /// Starts all requests that are whole and allowed now.
    fn pump(&mut self, cx: &mut EdgeCx, conn: ConnId, mut lent: Bytes) {
        loop {
            match self.sessions.next_frame(conn, &mut lent, cx.now.mono_ns) {
                Ok(Some(frame)) => self.start(cx, conn, frame),
                Ok(None) => break,
                Err(error) => return self.close(cx, conn, &error.to_string()),
            }
        }
        self.sessions.touch(conn);
    }

    /// Starts what was held back, now that an operation ended or a send completed.
    fn resume(&mut self, cx: &mut EdgeCx, conn: ConnId) {
        if self
            .sessions
            .get_mut(conn)
            .is_some_and(|session| session.inbox.has_frame())
        {
            self.pump(cx, conn, Bytes::new());
        }
    }

    fn start(&mut self, cx: &mut EdgeCx, conn: ConnId, frame: Bytes) {
        let (mut meta, header) = match admit(&frame) {
            Admit::Request(meta, header) => (meta, header),
            Admit::Answer(bytes) => {
                if let Some(session) = self.sessions.get_mut(conn) {
                    session.slots.push_ready(Reply::One(bytes));
                }
                return;
            }
            Admit::Refuse(reason) => return self.close(cx, conn, &reason),
        };
        let Some(session) = self.sessions.get_mut(conn) else {
            return;
        };
        session.learn_client_id(header.client_id);
        session.produces |= meta.api == ApiKey::Produce;
        let peer = session.peer;
        let (started_ns, frame_bytes) = (cx.now.mono_ns, frame.len());
        let wait_ns = self.shared.throttles.on_request(
            (cx.now, cx.newest),
            &session.client_id,
            (meta.api, frame_bytes + 4),
            cx.metrics,
        );
        meta.throttle_ms = throttle_ms(wait_ns);
        let op = self.ops.insert(Op {
            conn,
            slot: None,
            meta,
            frame_bytes,
            started_ns,
            state: None,
        });
        session.in_flight += 1;
        session.request_bytes += frame_bytes;
        let slot = session.slots.open(op);
        if let Some(op) = self.ops.get_mut(op) {
            op.slot = Some(slot);
        }
        let mut call = Call {
            cx,
            meta,
            op,
            encoder: &mut self.encoder,
            failed: false,
            client_id: self.sessions.client_id(conn),
            mute_ns: wait_ns,
        };
        let step = start::request(&mut call, &mut self.shared, &frame, &header, peer);
        let (failed, meta, mute_ns) = (call.failed, call.meta, call.mute_ns);
        if let Some(op) = self.ops.get_mut(op) {
            op.meta = meta;
        }
        self.mute(cx, conn, mute_ns);
        self.apply(cx, op, step, failed);
    }

    /// Continues an operation, unless it has ended.
    fn proceed(
        &mut self,
        cx: &mut EdgeCx,
        key: SlabKey,
        next: impl FnOnce(&mut Call, &mut Shared, State) -> Step<State>,
    ) {
        let Some(op) = self.ops.get_mut(key) else { return };
        let Some(state) = op.state.take() else { return };
        let (meta, conn) = (op.meta, op.conn);
        let mut call = Call {
            cx,
            meta,
            op: key,
            encoder: &mut self.encoder,
            failed: false,
            client_id: self.sessions.client_id(conn),
            mute_ns: 0,
        };
        let step = next(&mut call, &mut self.shared, state);
        let (failed, mute_ns) = (call.failed, call.mute_ns);
        self.mute(cx, conn, mute_ns);
        self.apply(cx, key, step, failed);
        self.resume(cx, conn);
    }

    fn apply(&mut self, cx: &mut EdgeCx, key: SlabKey, step: Step<State>, failed: bool) {
        match step {
            Step::Wait(state) => {
                if let Some(op) = self.ops.get_mut(key) {
                    op.state = Some(state);
                }
            }
            Step::WaitSilent(state) => {
                let Some(op) = self.ops.get_mut(key) else { return };
                op.state = Some(state);
                if let Some(slot) = op.slot.take() {
                    self.sessions.skip(op.conn, slot);
                }
            }
            Step::Reply(reply) => self.end(cx, key, Some(reply), failed),
            Step::Done => self.end(cx, key, None, failed),
            Step::Close(reason) => {
                if let Some(op) = self.ops.remove(key) {
                    self.close(cx, op.conn, &reason);
                }
            }
        }
    }

    /// An operation is done.
    fn end(&mut self, cx: &mut EdgeCx, key: SlabKey, reply: Option<Reply>, failed: bool) {
        let Some(op) = self.ops.remove(key) else { return };
        let duration_ns = cx.now.mono_ns.saturating_sub(op.started_ns);
        let response_bytes = reply.as_ref().map_or(0, Reply::len) as u64;
        cx.metrics.request(
            op.meta.api.code(),
            duration_ns,
            op.frame_bytes as u64 + 4,
            response_bytes,
            failed,
        );
        let Some(session) = self.sessions.get_mut(op.conn) else {
            return;
        };
        let bytes = op.frame_bytes as u64 + response_bytes;
        self.shared.throttles.on_answer(&session.client_id, bytes);
        session.in_flight -= 1;
        session.request_bytes -= op.frame_bytes;
        match (op.slot, reply) {
            (Some(slot), Some(reply)) => session.slots.fill(slot, reply),
            (Some(slot), None) => session.slots.skip(slot),
            (None, _) => {}
        }
        self.sessions.touch(op.conn);
    }

    /// Closes a connection for a reason worth a line in the log; no other connection notices.
    fn close(&mut self, cx: &mut EdgeCx, conn: ConnId, reason: &str) {
        if let Some(session) = self.sessions.get_mut(conn) {
            cx.metrics.refused += 1;
            if let Some(suppressed) = self.log_limit.admit(cx.now.mono_ns) {
                let client = session.client_id.escape_debug().to_string();
                tracing::warn!(peer = %session.peer, client, reason, suppressed, "connection closed");
            }
        }
        self.drop_session(cx, conn);
    }

    /// Forgets a connection and what waits for it.
    fn drop_session(&mut self, cx: &mut EdgeCx, conn: ConnId) {
        let Some(session) = self.sessions.remove(conn) else {
            return;
        };
        cx.effects.push(Effect::Close { conn });
        for key in session.slots.waiting() {
            let Some(op) = self.ops.remove(key) else { continue };
            if let Some(state) = op.state {
                let mut call = Call {
                    cx,
                    meta: op.meta,
                    op: key,
                    encoder: &mut self.encoder,
                    failed: false,
                    client_id: "",
                    mute_ns: 0,
                };
                finish::cancel(&mut call, &mut self.shared, state);
            }
        }
    }
}
