//! The load engine: one thread, one ring, many connections, requests sent when the plan says so.
//!
//! Latency runs from the *intended* send time to the answer; a late send keeps its intended time. A request is built
//! when its connection can take it, so an overloaded broker costs 8 bytes of queue per due request, not a buffer.
//! Must not know how topics are made or results are shown.

use crate::clock::{mono_ns, thread_cpu_ns, wall_ms};
use crate::conn::{Conn, Flight};
use crate::ledger::Ledger;
use crate::payload::{Shape, Stamp, Template};
use crate::proto::read_produce_ack;
use crate::ring::{self, Tag};
use crate::tally::Tally;
use io_uring::{IoUring, cqueue, opcode, types};
use std::io;

const SEND: u8 = 1;
const RECV: u8 = 2;
/// Most bytes handed to one send: several due requests of a connection leave together.
const SEND_BYTES_MAX: usize = 256 << 10;
/// How long to wait for answers after the last send, ns.
const DRAIN_NS: u64 = 20_000_000_000;

/// When to send.
pub enum Pace {
    /// A new request as soon as one is answered, so many in flight per connection.
    Closed {
        /// Requests in flight per connection.
        depth: usize,
    },
    /// At these times (ns after the start), whatever the broker does.
    Open {
        /// Ascending due times.
        due: Vec<u64>,
    },
}

/// How a run goes.
pub struct Drive {
    /// When to send.
    pub pace: Pace,
    /// Seconds before measuring starts.
    pub warmup_s: f64,
    /// Seconds measured.
    pub seconds: f64,
    /// Most requests in flight per connection (idempotent producers: at most 5).
    pub window: usize,
    /// Spin instead of sleeping while waiting: exact send times, one whole CPU.
    pub spin: bool,
}

/// Runs one load and counts.
pub struct Engine<'a> {
    ring: IoUring,
    conns: Vec<Conn>,
    template: Template,
    shape: &'a Shape,
    ledger: &'a mut Ledger,
    drive: &'a Drive,
    tally: Tally,
    start_ns: u64,
    next_due: usize,
    in_flight: usize,
    alive: usize,
    /// Operations the kernel holds; their buffers must outlive them.
    pending: usize,
}

impl<'a> Engine<'a> {
    /// Prepares a run over `conns`.
    ///
    /// # Errors
    /// When no ring can be made.
    pub fn new(shape: &'a Shape, drive: &'a Drive, conns: Vec<Conn>, ledger: &'a mut Ledger) -> io::Result<Engine<'a>> {
        let entries = (conns.len() * 2).next_power_of_two().clamp(256, 4096) as u32;
        Ok(Engine {
            ring: ring::build(entries)?,
            alive: conns.len(),
            conns,
            template: Template::new(shape),
            shape,
            ledger,
            drive,
            tally: Tally::new(),
            start_ns: 0,
            next_due: 0,
            in_flight: 0,
            pending: 0,
        })
    }

    /// Runs to the end of the plan and the last answer. `start_ns` is the monotonic time of the first due request.
    ///
    /// # Errors
    /// Ring errors; a broker that goes away is counted, not an error.
    pub fn run(mut self, start_ns: u64) -> io::Result<Tally> {
        self.start_ns = start_ns;
        let from = start_ns + (self.drive.warmup_s * 1e9) as u64;
        self.tally.set_window(from, from + (self.drive.seconds * 1e9) as u64);
        for index in 0..self.conns.len() {
            self.receive(index)?;
        }
        crate::clock::sleep_until(start_ns);
        if let Pace::Closed { depth } = self.drive.pace {
            let now = mono_ns();
            for index in 0..self.conns.len() {
                self.conns[index].queue.extend(std::iter::repeat_n(now, depth));
                self.send(index)?;
            }
        }
        self.turn()?;
        self.tally.finish(thread_cpu_ns());
        self.settle_unanswered();
        self.quiesce()?;
        Ok(self.tally)
    }

    fn turn(&mut self) -> io::Result<()> {
        let mut reaped: Vec<cqueue::Entry> = Vec::with_capacity(4096);
        let mut now = mono_ns();
        loop {
            self.tally.pass(now, thread_cpu_ns);
            let sent = self.send_due(now)?;
            if self.is_over(now) {
                return Ok(());
            }
            self.wait(now)?;
            reaped.extend(self.ring.completion());
            let idle = reaped.is_empty() && !sent;
            for entry in reaped.drain(..) {
                self.complete(&entry)?;
            }
            let after = mono_ns();
            if idle {
                self.tally.idle(after - now);
            }
            now = after;
        }
    }

    fn send_due(&mut self, now: u64) -> io::Result<bool> {
        let Pace::Open { due } = &self.drive.pace else {
            return Ok(false);
        };
        let mut sent = false;
        while let Some(at) = due
            .get(self.next_due)
            .map(|d| d + self.start_ns)
            .filter(|at| *at <= now)
        {
            let index = self.next_due % self.conns.len();
            self.next_due += 1;
            self.tally.due(at, mono_ns());
            self.conns[index].queue.push_back(at);
            self.send(index)?;
            sent = true;
        }
        Ok(sent)
    }

    fn is_over(&self, now: u64) -> bool {
        let unsent = match &self.drive.pace {
            Pace::Open { due } => self.next_due < due.len(),
            Pace::Closed { .. } => now < self.tally.window_end(),
        };
        let answered = self.in_flight == 0 && self.conns.iter().all(|c| c.queue.is_empty());
        self.alive == 0 || (!unsent && answered) || now > self.tally.window_end() + DRAIN_NS
    }

    fn wait(&mut self, now: u64) -> io::Result<()> {
        if self.drive.spin {
            // Yielding matters: kernel workers that finish the broker's writes may be bound to this CPU, and a loop that
            // never yields delays each of them by a whole time slice (measured here: p50 6 ms instead of 0.2 ms).
            std::thread::yield_now();
            return ring::poll(&mut self.ring);
        }
        let next = match &self.drive.pace {
            Pace::Open { due } => due.get(self.next_due).map(|d| d + self.start_ns),
            Pace::Closed { .. } => None,
        };
        let deadline = next.unwrap_or(now + 100_000_000);
        ring::wait_at_most(&self.ring, deadline.saturating_sub(now).max(1000))
    }

    fn complete(&mut self, entry: &cqueue::Entry) -> io::Result<()> {
        let tag = Tag::unpack(entry.user_data());
        self.pending -= 1;
        if !self.conns[tag.index as usize].open {
            return Ok(());
        }
        match tag.kind {
            SEND => self.on_sent(tag.index as usize, entry.result()),
            _ => self.on_received(tag.index as usize, entry.result()),
        }
    }

    /// Sends as many queued requests of a connection as its window and one send allow.
    fn send(&mut self, index: usize) -> io::Result<()> {
        let conn = &mut self.conns[index];
        let frame = self.template.frame_bytes();
        let room = self.drive.window.saturating_sub(conn.flights.len());
        let count = conn.queue.len().min(room).min((SEND_BYTES_MAX / frame).max(1));
        if conn.is_sending() || count == 0 || !conn.open {
            return Ok(());
        }
        conn.prepare(count, self.template.bytes());
        let (sent_ns, wall_ms) = (mono_ns(), wall_ms());
        for n in 0..count {
            let Some(intended_ns) = conn.queue.pop_front() else {
                break;
            };
            let (partition, lane) = conn.next_lane();
            let batch = self.ledger.sent(lane);
            let correlation = conn.next_correlation();
            let stamp = Stamp {
                correlation,
                partition,
                producer: index as u32,
                sequence: u64::from(batch) * u64::from(self.shape.records),
                intended_ns,
                identity: conn.identity,
                wall_ms,
            };
            self.template.patch(&mut conn.out[n * frame..(n + 1) * frame], &stamp);
            conn.flights.push_back(Flight {
                correlation,
                intended_ns,
                sent_ns,
                lane,
                batch,
            });
        }
        self.in_flight += count;
        self.submit_send(index)
    }

    fn submit_send(&mut self, index: usize) -> io::Result<()> {
        let conn = &self.conns[index];
        let rest = conn.unsent();
        let tag = Tag {
            kind: SEND,
            generation: 0,
            index: index as u32,
        };
        let entry = opcode::Send::new(types::Fd(conn.fd()), rest.as_ptr(), rest.len() as u32)
            .flags(libc::MSG_NOSIGNAL | libc::MSG_WAITALL)
            .build()
            .user_data(tag.pack());
        self.pending += 1;
        // SAFETY: `out` is left alone while `is_sending`, and `quiesce` outlasts the kernel's use.
        unsafe { ring::push(&mut self.ring, &entry) }
    }

    fn on_sent(&mut self, index: usize, result: i32) -> io::Result<()> {
        if result <= 0 {
            self.lose(index);
            return Ok(());
        }
        if !self.conns[index].sent(result as usize) {
            return self.submit_send(index);
        }
        if self.shape.acks == 0 {
            let now = mono_ns();
            while let Some(flight) = self.conns[index].flights.pop_front() {
                self.in_flight -= 1;
                self.answered(index, &flight, now, 0);
            }
        }
        self.send(index)
    }

    fn receive(&mut self, index: usize) -> io::Result<()> {
        let conn = &mut self.conns[index];
        let fd = conn.fd();
        let free = conn.receive_space();
        let tag = Tag {
            kind: RECV,
            generation: 0,
            index: index as u32,
        };
        let entry = opcode::Recv::new(types::Fd(fd), free.as_mut_ptr(), free.len() as u32)
            .ioprio(ring::POLL_FIRST)
            .build()
            .user_data(tag.pack());
        self.pending += 1;
        // SAFETY: the receive buffer never moves, and `quiesce` outlasts the kernel's use.
        unsafe { ring::push(&mut self.ring, &entry) }
    }

    fn on_received(&mut self, index: usize, result: i32) -> io::Result<()> {
        if result <= 0 {
            self.lose(index);
            return Ok(());
        }
        self.conns[index].received(result as usize);
        while let Some(range) = self.conns[index].next_frame() {
            if !self.take_answer(index, range) {
                self.lose(index);
                return Ok(());
            }
        }
        self.conns[index].compact();
        self.receive(index)?;
        self.send(index)
    }

    /// Matches one answer with the oldest request of the connection; false when it is not the answer to that.
    fn take_answer(&mut self, index: usize, range: std::ops::Range<usize>) -> bool {
        let Ok(ack) = read_produce_ack(&self.conns[index].input[range]) else {
            return false;
        };
        let Some(flight) = self.conns[index].flights.pop_front() else {
            return false;
        };
        self.in_flight -= 1;
        if flight.correlation != ack.correlation {
            self.tally.out_of_order += 1;
            return false;
        }
        self.ledger
            .answered(flight.lane, flight.batch, ack.error, ack.base_offset);
        self.answered(index, &flight, mono_ns(), ack.error);
        true
    }

    fn answered(&mut self, index: usize, flight: &Flight, now: u64, error: i16) {
        self.tally.answer(flight.intended_ns, flight.sent_ns, now, error);
        if matches!(self.drive.pace, Pace::Closed { .. }) && now < self.tally.window_end() {
            self.conns[index].queue.push_back(now);
        }
    }

    /// Counts a connection that ended; its requests in flight stay unknown in the ledger.
    fn lose(&mut self, index: usize) {
        let conn = &mut self.conns[index];
        if !conn.open {
            return;
        }
        conn.shut();
        self.alive -= 1;
        self.tally.disconnects += 1;
        self.in_flight -= conn.flights.len();
        self.tally.unanswered += conn.flights.len() as u64;
        conn.flights.clear();
    }

    /// Ends all connections and waits until the kernel has let go of their buffers.
    fn quiesce(&mut self) -> io::Result<()> {
        self.conns.iter_mut().for_each(Conn::shut);
        while self.pending > 0 {
            ring::wait(&self.ring)?;
            self.pending -= self.ring.completion().count();
        }
        Ok(())
    }

    fn settle_unanswered(&mut self) {
        let now = mono_ns();
        for conn in &mut self.conns {
            for flight in conn.flights.drain(..) {
                self.tally.unanswered += 1;
                self.tally.censored(flight.intended_ns, now);
            }
            for intended_ns in conn.queue.drain(..) {
                self.tally.unsent += 1;
                self.tally.censored(intended_ns, now);
            }
        }
        if let Pace::Open { due } = &self.drive.pace {
            self.tally.unsent += (due.len() - self.next_due) as u64;
        }
    }
}

#[cfg(test)]
#[path = "engine_tests.rs"]
mod tests;
