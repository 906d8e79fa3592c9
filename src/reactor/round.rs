//! The loop: reap, step, settle, perform, wait.

use super::buffers::RecvBuffers;
use super::config::{ReactorConfig, Tuning};
use super::disk::Disk;
use super::machine::{Clock, JobRequest, Machine};
use super::mailbox::{Mailbox, Note};
use super::mesh::{Bell, MeshPort};
use super::net::{Accepted, Net, slot};
use super::ops::{BELL_FAILED, CANCEL, DOORBELL, Io, Op};
use super::probe::{Refusal, explain_setup};
use super::ring::{Ring, Wait};
use super::spin::Spin;
use super::wake::Waker;
use crate::base::effect::{Effect, Job};
use crate::base::ids::{JobKey, Now};
use crate::base::log_limit::LogLimit;
use crate::metrics::{Latency, MemoryKind, Sizes};
use crate::shard::event::{Event, ShardMessage};
use crate::shard::out::Out;
use io_uring::squeue::Flags;
use io_uring::{cqueue, opcode, types};
use std::collections::VecDeque;
use std::os::fd::BorrowedFd;
use std::sync::Arc;
use std::time::Duration;

/// How soon a backlog of messages is tried again while there is nothing else to do.
const BACKLOG_RETRY: Duration = Duration::from_micros(200);
/// How long the end waits for the kernel to finish what is outstanding.
const SHUT_DOWN_MAX: Duration = Duration::from_secs(5);

/// Why a shard's loop ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Exit {
    /// Asked to drain, and everything finished.
    Drained,
    /// Asked to stop at once.
    Stopped,
    /// The machine must not go on, or the ring failed: the process must end with an error.
    Fatal(String),
}

/// Runs a shard on the calling thread until it ends. The machine comes back for a last look.
///
/// # Errors
/// When the ring cannot be set up: why and what to do.
pub fn run_shard<M: Machine>(config: ReactorConfig, machine: M) -> Result<(Exit, M), Refusal> {
    let mut reactor = Reactor::new(config, machine)?;
    let exit = reactor.run();
    reactor.shut_down();
    Ok((exit, reactor.machine))
}

/// What the loop counts itself; the machine's own counters are left alone until somebody asks.
#[derive(Default)]
struct Counters {
    busy_ns: u64,
    rounds: u64,
    events: u64,
    hops: u64,
    refused: u64,
    round_events: Sizes,
    stalls: Latency,
}

struct Reactor<M> {
    io: Io,
    net: Net,
    disk: Disk,
    port: MeshPort<ShardMessage>,
    mailbox: Mailbox,
    machine: M,
    clock: Clock,
    tuning: Tuning,
    spin: Spin,
    out: Out,
    /// Events that need no kernel: answers to impossible orders, messages to itself.
    local: VecDeque<Event>,
    waker: Arc<Waker>,
    asked_to_drain: bool,
    asked_to_stop: bool,
    counters: Counters,
    refusals: LogLimit,
}

impl<M: Machine> Reactor<M> {
    fn new(config: ReactorConfig, machine: M) -> Result<Reactor<M>, Refusal> {
        let tuning = config.tuning;
        let waker = config.port.waker();
        let ring = Ring::new(tuning.submissions, tuning.completions).map_err(|e| explain_setup(&e))?;
        let buffers = RecvBuffers::new(&ring, tuning.recv_buffers, tuning.recv_buffer_bytes, waker.clone())
            .map_err(|e| explain_setup(&e))?;
        // SAFETY: the ring is open for the duration of the call.
        let fd = unsafe { BorrowedFd::borrow_raw(ring.fd()) };
        config.port.announce(fd).map_err(|e| explain_setup(&e))?;
        let mut io = Io::new(ring);
        let net = Net::new(&mut io, config.listeners, config.gate, buffers);
        let disk = Disk::new(config.files, tuning.read_pool_bytes, config.jobs);
        let mut reactor = Reactor {
            io,
            net,
            disk,
            port: config.port,
            mailbox: config.mailbox,
            machine,
            clock: config.clock,
            spin: Spin::new(tuning.spin_max),
            tuning,
            out: Out::default(),
            local: VecDeque::new(),
            waker,
            asked_to_drain: false,
            asked_to_stop: false,
            counters: Counters::default(),
            refusals: LogLimit::default(),
        };
        reactor.listen_for_wakes();
        Ok(reactor)
    }

    fn run(&mut self) -> Exit {
        loop {
            let now = self.clock.now();
            let events = self.round(now);
            let done = self.clock.mono_ns();
            self.count(now, done, events);
            if let Some(reason) = self.machine.fatal() {
                return Exit::Fatal(reason.to_owned());
            }
            if self.asked_to_stop {
                return Exit::Stopped;
            }
            if self.asked_to_drain && self.machine.drained() {
                return Exit::Drained;
            }
            if let Err(error) = self.wait(done) {
                return Exit::Fatal(format!("io_uring_enter failed: {error}"));
            }
        }
    }

    /// One round; the number of events stepped.
    fn round(&mut self, now: Now) -> u64 {
        self.net.resume(&mut self.io, now.mono_ns);
        self.disk.set_now(now.mono_ns);
        let mut events = 0;
        for _ in 0..self.local.len() {
            events += self.step(now, |this| this.local.pop_front());
        }
        for note in self.mailbox.take() {
            events += self.step(now, |this| this.on_note(note));
        }
        for _ in 0..self.tuning.events_per_round {
            let Some(entry) = self.io.ring.reap() else { break };
            events += self.step(now, |this| this.complete(&entry, now));
        }
        for _ in 0..self.tuning.events_per_round {
            let Some(message) = self.port.receive() else { break };
            events += self.step(now, |_| Some(Event::Message(message)));
        }
        if self.machine.next_deadline().is_some_and(|at| at <= now.mono_ns) {
            events += self.step(now, |_| Some(Event::Tick));
        }
        self.machine.settle(now, &mut self.out);
        self.perform();
        events
    }

    /// Steps the machine with what `event` finds; 1 or 0.
    fn step(&mut self, now: Now, event: impl FnOnce(&mut Self) -> Option<Event>) -> u64 {
        let Some(event) = event(self) else { return 0 };
        self.machine.step(now, event, &mut self.out);
        1
    }

    fn on_note(&mut self, note: Note) -> Option<Event> {
        match note {
            Note::JobDone { key, result, file } => {
                if let Some((id, file)) = file {
                    self.disk.bind(id, file);
                }
                Some(Event::JobDone { key, result })
            }
            Note::Inspect(look) => {
                self.report();
                look(self.machine.metrics());
                None
            }
            Note::Drain => {
                self.asked_to_drain = true;
                self.net.drain();
                Some(Event::Drain)
            }
            Note::Stop => {
                self.asked_to_stop = true;
                None
            }
        }
    }

    /// What a completion means to the machine.
    fn complete(&mut self, entry: &cqueue::Entry, now: Now) -> Option<Event> {
        let (user_data, result) = (entry.user_data(), entry.result());
        if let Some(Op::Accept { listener }) = self.io.peek(user_data) {
            let listener = *listener;
            return self.on_accept(entry, listener, now);
        }
        match self.io.finish(user_data) {
            Some(Op::Recv { conn, .. }) => self.net.on_recv(conn, entry),
            Some(Op::RecvInto { conn, buf, .. }) => self.net.on_recv_into(conn, buf, entry),
            Some(Op::Send { conn, fd, state }) => self.net.on_send(&mut self.io, conn, fd, state, result),
            Some(Op::Write(write)) => self.disk.on_write(&mut self.io, write, result),
            Some(Op::Read(read)) => self.disk.on_read(&mut self.io, read, result),
            Some(Op::Sync { key, file }) => self.disk.on_sync(&mut self.io, key, file, result),
            Some(Op::Wake { .. }) => {
                if result != -libc::ECANCELED {
                    self.listen_for_wakes();
                }
                None
            }
            Some(Op::Accept { .. }) | None => {
                self.on_bell(user_data);
                None
            }
        }
    }

    fn on_accept(&mut self, entry: &cqueue::Entry, listener: usize, now: Now) -> Option<Event> {
        let more = cqueue::more(entry.flags());
        if !more {
            self.io.finish(entry.user_data());
        }
        match self
            .net
            .on_accept(&mut self.io, listener, entry.result(), more, now.mono_ns)
        {
            Accepted::Event(event) => Some(event),
            Accepted::Refused(peer, reason) => {
                self.counters.refused += 1;
                if let Some(suppressed) = self.refusals.admit(now.mono_ns) {
                    tracing::warn!(%peer, reason, suppressed, "connection refused");
                }
                None
            }
            Accepted::Nothing => None,
        }
    }

    /// A peer's ring could not be rung: use its eventfd.
    fn on_bell(&mut self, user_data: u64) {
        if user_data <= BELL_FAILED {
            self.port.wake_slowly((BELL_FAILED - user_data) as usize);
        }
    }

    fn listen_for_wakes(&mut self) {
        let fd = types::Fd(self.waker.raw());
        let buf = Box::new([0; 8]);
        // SAFETY: the eight bytes are on the heap and belong to the operation; the waker lives as long as self.
        unsafe {
            self.io.start(Op::Wake { buf }, |op| {
                let Op::Wake { buf } = op else {
                    unreachable!("just made")
                };
                opcode::Read::new(fd, buf.as_mut_ptr(), buf.len() as u32).build()
            });
        }
    }

    fn perform(&mut self) {
        let mut effects = std::mem::take(&mut self.out.effects.list);
        for effect in effects.drain(..) {
            if let Some(event) = self.perform_one(effect) {
                self.local.push_back(event);
            }
        }
        self.out.effects.list = effects;
        let mut messages = std::mem::take(&mut self.out.messages);
        for (to, message) in messages.drain(..) {
            let hop = matches!(message, ShardMessage::Request { .. });
            match self.port.send(to, message) {
                Ok(()) => self.counters.hops += u64::from(hop),
                Err(message) => {
                    assert_eq!(to, self.port.id(), "a message to a shard that does not exist");
                    self.local.push_back(Event::Message(message));
                }
            }
        }
        self.out.messages = messages;
        self.ring_bells();
    }

    fn perform_one(&mut self, effect: Effect) -> Option<Event> {
        let io = &mut self.io;
        match effect {
            Effect::Recv { conn } => self.net.recv(io, slot(conn)),
            Effect::RecvInto { conn, buf } => self.net.recv_into(io, slot(conn), buf),
            Effect::Send { conn, data } => return self.net.send(io, slot(conn), data),
            Effect::Close { conn } => self.net.close(slot(conn)),
            Effect::Write {
                key,
                file,
                at,
                data,
                durable,
            } => return self.disk.write(io, key, file, at, data, durable),
            Effect::Read { key, file, at, len } => return self.disk.read(io, key, file, at, len),
            Effect::Sync { key, file } => return self.disk.sync(io, key, file),
            Effect::CloseFile { file } => self.disk.close(file),
            Effect::Job { key, job } => self.start_job(key, job),
        }
        None
    }

    fn start_job(&mut self, key: JobKey, job: Job) {
        let file = match &job {
            Job::Extend { file, .. } | Job::Truncate { file, .. } => self.disk.file(*file),
            _ => None,
        };
        self.disk.jobs().submit(JobRequest {
            reply: self.mailbox.handle(),
            key,
            job,
            file,
        });
    }

    fn ring_bells(&mut self) {
        let (port, ring) = (&mut self.port, &mut self.io.ring);
        let mut slow = Vec::new();
        port.flush(|Bell { peer, ring: target }| {
            let Some(target) = target else {
                slow.push(peer);
                return;
            };
            let entry = opcode::MsgRingData::new(types::Fd(target), 0, DOORBELL, None)
                .build()
                .flags(Flags::SKIP_SUCCESS)
                .user_data(BELL_FAILED - peer as u64);
            // SAFETY: names no memory; the descriptor lives as long as the mesh.
            unsafe { ring.push(entry) };
        });
        slow.into_iter().for_each(|peer| port.wake_slowly(peer));
    }

    /// Submits, then waits for something to do.
    fn wait(&mut self, now_ns: u64) -> std::io::Result<()> {
        if self.has_work() {
            return self.io.ring.enter_if_needed();
        }
        if self.spin.is_worthwhile() {
            self.io.ring.enter(Wait::No)?;
            let clock = self.clock;
            let found = self.spin.poll(
                || clock.mono_ns(),
                || self.io.ring.has_completions() || self.port.has_incoming() || self.mailbox.is_filled(),
            );
            if found {
                return self.io.ring.enter_if_needed();
            }
        }
        if !self.port.park() {
            return self.io.ring.enter_if_needed();
        }
        let wait = if self.mailbox.is_filled() || self.net.must_not_sleep() {
            Wait::No
        } else {
            self.longest_wait(now_ns)
        };
        let result = self.io.ring.enter(wait);
        self.port.unpark();
        self.spin.slept(now_ns, self.clock.mono_ns());
        result
    }

    fn has_work(&mut self) -> bool {
        !self.local.is_empty() || self.io.ring.has_completions() || self.port.has_incoming() || self.mailbox.is_filled()
    }

    fn longest_wait(&mut self, now_ns: u64) -> Wait {
        let deadlines = [self.machine.next_deadline(), self.net.next_deadline()];
        let deadline = deadlines.into_iter().flatten().min();
        let until = deadline.map(|at| Duration::from_nanos(at.saturating_sub(now_ns)));
        let until = if self.port.has_backlog() {
            Some(until.map_or(BACKLOG_RETRY, |until| until.min(BACKLOG_RETRY)))
        } else {
            until
        };
        match until {
            None => Wait::Endless,
            Some(Duration::ZERO) => Wait::No,
            Some(limit) => Wait::AtMost(limit),
        }
    }

    fn count(&mut self, began: Now, ended_ns: u64, events: u64) {
        let took = ended_ns - began.mono_ns;
        self.counters.busy_ns += took;
        self.machine.worked(took);
        self.counters.events += events;
        if events > 0 {
            self.counters.rounds += 1;
            self.counters.round_events.record(events);
        }
        if took > self.tuning.stall.as_nanos() as u64 {
            self.counters.stalls.record(took);
        }
    }

    /// Puts the loop's counters among the machine's.
    fn report(&mut self) {
        let refused = std::mem::take(&mut self.counters.refused);
        let metrics = self.machine.metrics();
        metrics.busy_ns = self.counters.busy_ns;
        metrics.rounds = self.counters.rounds;
        metrics.events = self.counters.events;
        metrics.hops = self.counters.hops;
        metrics.stalls = self.counters.stalls.clone();
        metrics.round_events = self.counters.round_events.clone();
        // The machine counts connections, and refuses some itself.
        metrics.refused += refused;
        metrics.set_memory(MemoryKind::Receive, self.net.lent_bytes());
    }

    /// Has the kernel finish or cancel everything, so that no memory is freed under it.
    fn shut_down(&mut self) {
        self.report();
        self.io.ring.cancel_all(CANCEL);
        let limit = self.clock.mono_ns() + SHUT_DOWN_MAX.as_nanos() as u64;
        while self.io.outstanding() > 0 && self.clock.mono_ns() < limit {
            if self.io.ring.enter(Wait::AtMost(Duration::from_millis(50))).is_err() {
                break;
            }
            while let Some(entry) = self.io.ring.reap() {
                if !cqueue::more(entry.flags()) {
                    self.io.finish(entry.user_data());
                }
            }
        }
        if self.io.outstanding() > 0 {
            tracing::warn!(
                operations = self.io.outstanding(),
                "the kernel did not finish in time; the memory of these operations is given up"
            );
            self.io.leak();
            self.net.leak();
        }
    }
}
