//! All connections of a shard: admission, memory, sends and receives of a round, idle and slow ones.

use super::conn::Session;
use super::inbox::{FrameError, Want};
use super::limits::{SHORTAGE_GRACE_NS, SHORTAGE_RATE, SHORTAGE_SWEEP_NS, SWEEP_NS, SessionLimits};
use super::slots::Reply;
use crate::base::effect::{Effect, Effects};
use crate::base::ids::ConnId;
use crate::base::timers::Timers;
use bytes::{Bytes, BytesMut};
use std::net::IpAddr;

/// The connections of one shard.
pub struct SessionTable {
    limits: SessionLimits,
    sessions: Vec<Option<Session>>,
    count: usize,
    memory_used: usize,
    /// Of that, memory of frames that are not whole.
    frames_used: usize,
    dirty: Vec<ConnId>,
    /// Connections that may not receive until memory is there.
    starved: Vec<ConnId>,
    /// The one connection whose partial frame may grow although memory is short, so that frames always complete.
    privileged: Option<ConnId>,
    /// Ends of throttles.
    muted: Timers<ConnId>,
    sweep_ns: Option<u64>,
    draining: bool,
    congested: bool,
}

impl SessionTable {
    /// An empty table.
    pub fn new(limits: SessionLimits) -> SessionTable {
        SessionTable {
            limits,
            sessions: Vec::new(),
            count: 0,
            memory_used: 0,
            frames_used: 0,
            dirty: Vec::new(),
            starved: Vec::new(),
            privileged: None,
            muted: Timers::default(),
            sweep_ns: None,
            draining: false,
            congested: false,
        }
    }

    /// Open connections.
    pub fn len(&self) -> usize {
        self.count
    }
    /// True without connections.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }
    /// Bytes of frames and answers held.
    pub fn memory_used(&self) -> usize {
        self.memory_used
    }
    /// The connection, unless it is gone.
    pub fn get_mut(&mut self, conn: ConnId) -> Option<&mut Session> {
        self.sessions
            .get_mut(conn.index as usize)?
            .as_mut()
            .filter(|session| session.conn == conn)
    }

    /// What the client calls itself, "" when it is gone.
    pub fn client_id(&self, conn: ConnId) -> &str {
        let found = self.sessions.get(conn.index as usize).and_then(Option::as_ref);
        found
            .filter(|session| session.conn == conn)
            .map_or("", |session| &session.client_id)
    }

    /// A client connected.
    ///
    /// # Errors
    /// Why it is refused; the connection is to be closed.
    pub fn accept(&mut self, conn: ConnId, peer: IpAddr, now_ns: u64) -> Result<(), &'static str> {
        if self.draining {
            return Err("the broker is stopping");
        }
        let index = conn.index as usize;
        if self.sessions.len() <= index {
            self.sessions.resize_with(index + 1, || None);
        }
        if let Some(stale) = self
            .sessions
            .get(index)
            .and_then(|slot| slot.as_ref())
            .map(|old| old.conn)
        {
            self.remove(stale);
        }
        self.sessions[index] = Some(Session::new(conn, peer, now_ns));
        self.count += 1;
        self.sweep_ns.get_or_insert(now_ns + SWEEP_NS);
        self.touch(conn);
        Ok(())
    }

    /// Forgets a connection and returns its state.
    pub fn remove(&mut self, conn: ConnId) -> Option<Session> {
        self.get_mut(conn)?;
        let session = self.sessions.get_mut(conn.index as usize)?.take()?;
        self.count -= 1;
        self.memory_used -= session.accounted;
        self.frames_used -= session.accounted_frame;
        if self.privileged == Some(conn) {
            self.privileged = None;
        }
        Some(session)
    }

    /// The next whole frame of a connection that may have one more in flight, from what it holds and then from `lent`.
    /// `None` when there is none, or none is allowed now (then all of `lent` is held).
    ///
    /// # Errors
    /// When the connection must be closed.
    pub fn next_frame(&mut self, conn: ConnId, lent: &mut Bytes, now_ns: u64) -> Result<Option<Bytes>, FrameError> {
        let (in_flight_max, reply_bytes_max) = (self.limits.in_flight_max, self.limits.reply_bytes_max);
        let frame_bytes_max = self.limits.frame_bytes_max;
        let Some(session) = self.get_mut(conn) else {
            return Ok(None);
        };
        let allowed = !session.leaving
            && session.muted_until_ns <= now_ns
            && session.in_flight < in_flight_max
            && session.slots.len() < in_flight_max
            && session.reply_bytes() < reply_bytes_max;
        if !allowed {
            session.inbox.stash(lent);
            return Ok(None);
        }
        let was_partial = session.inbox.is_partial();
        let frame = session.inbox.next(lent, frame_bytes_max)?;
        if frame.is_some() || !was_partial {
            session.partial_since_ns = now_ns;
        }
        Ok(frame)
    }

    /// Bytes came.
    pub fn on_received(&mut self, conn: ConnId, now_ns: u64) {
        if let Some(session) = self.get_mut(conn) {
            session.receiving = false;
            session.active_ns = now_ns;
        }
    }

    /// A send ended. False when it failed: the connection is to be closed.
    pub fn on_sent(&mut self, conn: ConnId, fine: bool, now_ns: u64) -> bool {
        if let Some(session) = self.get_mut(conn) {
            session.sending = None;
            session.active_ns = now_ns;
            self.touch(conn);
        }
        fine
    }

    /// The connection is throttled: until then nothing more of it is read or started.
    pub fn mute(&mut self, conn: ConnId, until_ns: u64) {
        let Some(session) = self.get_mut(conn) else { return };
        if session.muted_until_ns < until_ns {
            session.muted_until_ns = until_ns;
            self.muted.arm(until_ns, conn);
        }
    }

    /// Connections whose throttle is over.
    pub fn take_unmuted(&mut self, now_ns: u64) -> Vec<ConnId> {
        let mut over = Vec::new();
        while let Some(conn) = self.muted.pop_due(now_ns) {
            // It may have been prolonged meanwhile, or have ended.
            let Some(session) = self.get_mut(conn).filter(|session| session.muted_until_ns <= now_ns) else {
                continue;
            };
            session.active_ns = now_ns;
            self.touch(conn);
            over.push(conn);
        }
        over
    }

    /// An answer is ready.
    pub fn fill(&mut self, conn: ConnId, slot: u64, reply: Reply) {
        if let Some(session) = self.get_mut(conn) {
            session.slots.fill(slot, reply);
            self.touch(conn);
        }
    }

    /// There will be no answer.
    pub fn skip(&mut self, conn: ConnId, slot: u64) {
        if let Some(session) = self.get_mut(conn) {
            session.slots.skip(slot);
            self.touch(conn);
        }
    }

    /// Something changed: account its memory and look at it when the round settles.
    pub fn touch(&mut self, conn: ConnId) {
        self.account(conn);
        let Some(session) = self.get_mut(conn) else { return };
        if !std::mem::replace(&mut session.dirty, true) {
            self.dirty.push(conn);
        }
    }

    /// While true, connections that have produced are not read: the log has no room for more (TCP slows the producer down).
    pub fn set_congested(&mut self, congested: bool) {
        self.congested = congested;
    }

    /// Takes no new connections and no new requests; sessions close once all their answers are sent.
    pub fn drain(&mut self) {
        self.draining = true;
        let all: Vec<_> = self.sessions.iter().flatten().map(|session| session.conn).collect();
        for conn in all {
            if let Some(session) = self.get_mut(conn) {
                session.leaving = true;
            }
            self.touch(conn);
        }
    }

    /// One send and one receive at most for each connection that changed. Returns the connections that are to be closed
    /// because they have left.
    pub fn settle(&mut self, effects: &mut Effects, now_ns: u64) -> Vec<ConnId> {
        if self.is_short() {
            self.sweep_ns = self.sweep_ns.map(|at| at.min(now_ns + SHORTAGE_SWEEP_NS));
        }
        let half = self.limits.memory_bytes_max / 2;
        let small = self.memory_used - self.frames_used < half;
        let memory = small || self.frames_used < half || self.privileged.is_none();
        if memory && !self.congested && !self.starved.is_empty() {
            for conn in std::mem::take(&mut self.starved) {
                if let Some(session) = self.get_mut(conn) {
                    session.starved = false;
                }
                self.touch(conn);
            }
        }
        let mut left = Vec::new();
        let mut dirty = std::mem::take(&mut self.dirty);
        for conn in dirty.drain(..) {
            let Some(session) = self.get_mut(conn) else { continue };
            session.dirty = false;
            send(session, effects);
            if session.leaving && session.is_quiet() {
                left.push(conn);
            } else {
                self.receive(conn, effects, now_ns);
            }
        }
        dirty.append(&mut self.dirty);
        self.dirty = dirty;
        left
    }

    /// Connections to close now, with the reason: idle for too long, or too slow while memory is short.
    pub fn sweep(&mut self, now_ns: u64) -> Vec<(ConnId, &'static str)> {
        if self.sweep_ns.is_none_or(|at| at > now_ns) {
            return Vec::new();
        }
        let wait_ns = if self.is_short() { SHORTAGE_SWEEP_NS } else { SWEEP_NS };
        self.sweep_ns = (self.count > 0).then_some(now_ns + wait_ns);
        self.shrink(now_ns);
        let idle_ns = self.limits.idle_ms_max.map(|ms| ms.saturating_mul(1_000_000));
        let short = self.is_short();
        let verdict = |session: &Session| {
            let stuck = session.in_flight == 0 || session.sending.is_some();
            let muted = session.muted_until_ns > now_ns;
            if stuck && !muted && idle_ns.is_some_and(|max| now_ns.saturating_sub(session.active_ns) > max) {
                return Some((session.conn, "idle for longer than connections.max.idle.ms"));
            }
            let age_ns = now_ns.saturating_sub(session.partial_since_ns);
            let expected = age_ns.saturating_mul(SHORTAGE_RATE) / 1_000_000_000;
            let slow = age_ns > SHORTAGE_GRACE_NS && (session.partial_len() as u64) < expected;
            (short && slow && !muted && session.has_partial())
                .then_some((session.conn, "request too slow while memory is short"))
        };
        self.sessions.iter().flatten().filter_map(verdict).collect()
    }

    /// Memory for partial frames is about to run out.
    fn is_short(&self) -> bool {
        self.frames_used > self.limits.memory_bytes_max / 8 * 3
    }

    /// Takes back what connections keep for their next frame, from those that have not been active since the last sweep.
    fn shrink(&mut self, now_ns: u64) {
        let keeps = |session: &&Session| session.inbox.held() > 0 && !session.inbox.is_partial();
        let quiet = |session: &&Session| now_ns.saturating_sub(session.active_ns) >= SWEEP_NS;
        let all: Vec<_> = self
            .sessions
            .iter()
            .flatten()
            .filter(keeps)
            .filter(quiet)
            .map(|session| session.conn)
            .collect();
        for conn in all {
            if let Some(session) = self.get_mut(conn) {
                session.inbox.shrink();
            }
            self.account(conn);
        }
    }

    /// Monotonic time of the next sweep or end of a throttle, nanoseconds; none without connections.
    pub fn next_deadline(&self) -> Option<u64> {
        let soonest = [self.sweep_ns, self.muted.next_deadline()].into_iter().flatten().min();
        soonest.filter(|_| self.count > 0)
    }

    /// Orders the next receive if the bounds allow it.
    fn receive(&mut self, conn: ConnId, effects: &mut Effects, now_ns: u64) {
        let limits = self.limits;
        let (used, frames_used) = (self.memory_used, self.frames_used);
        let (privileged, congested) = (self.privileged, self.congested);
        let Some(session) = self.get_mut(conn) else { return };
        let full = session.in_flight >= limits.in_flight_max
            || session.slots.len() >= limits.in_flight_max
            || session.reply_bytes() >= limits.reply_bytes_max;
        let muted = session.muted_until_ns > now_ns;
        if session.receiving || session.leaving || full || muted || session.inbox.has_frame() {
            return;
        }
        if congested && session.produces {
            return self.starve(conn);
        }
        let want = session.inbox.want(limits.frame_bytes_max);
        let growth = match want {
            Want::Shared => 0,
            Want::Own { capacity } => capacity.saturating_sub(session.inbox.held()),
        };
        let fits = match session.inbox.is_partial() {
            true => growth == 0 || frames_used + growth <= limits.memory_bytes_max / 2,
            false => used - frames_used < limits.memory_bytes_max / 2,
        };
        let may_exceed = growth > 0 && privileged.is_none_or(|one| one == conn);
        if !fits && !may_exceed {
            return self.starve(conn);
        }
        session.receiving = true;
        match want {
            Want::Shared => effects.push(Effect::Recv { conn }),
            Want::Own { capacity } => {
                let buf = session.inbox.lend(capacity);
                session.lent = buf.capacity();
                session.lent_len = buf.len();
                effects.push(Effect::RecvInto { conn, buf });
            }
        }
        if !fits {
            self.privileged = Some(conn);
        }
        self.account(conn);
    }

    /// The connection is looked at again when memory is there and the log is not congested.
    fn starve(&mut self, conn: ConnId) {
        let Some(session) = self.get_mut(conn) else { return };
        if !std::mem::replace(&mut session.starved, true) {
            self.starved.push(conn);
        }
    }

    /// Takes a frame's own buffer back.
    pub fn give_back(&mut self, conn: ConnId, buf: BytesMut) {
        if let Some(session) = self.get_mut(conn) {
            session.inbox.give_back(buf);
            session.lent = 0;
            session.lent_len = 0;
        }
    }

    fn account(&mut self, conn: ConnId) {
        let Some(session) = self.get_mut(conn) else { return };
        let memory = session.memory();
        let before = std::mem::replace(&mut session.accounted, memory);
        let frame = session.frame_memory();
        let frame_before = std::mem::replace(&mut session.accounted_frame, frame);
        let done = !session.has_partial();
        self.frames_used = self.frames_used + frame - frame_before;
        self.memory_used = self.memory_used + memory - before;
        if done && self.privileged == Some(conn) {
            self.privileged = None;
        }
    }
}

/// Sends all answers that may leave, unless a send is outstanding.
fn send(session: &mut Session, effects: &mut Effects) {
    if session.sending.is_some() || !session.slots.has_ready() {
        return;
    }
    let mut data = Vec::new();
    let bytes = session.slots.take_ready(&mut data);
    if !data.is_empty() {
        session.sending = Some(bytes);
        effects.push(Effect::Send {
            conn: session.conn,
            data,
        });
    }
}
