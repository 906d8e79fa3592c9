//! Connections: accept, receive, send, close.
//!
//! Invariants: a connection has at most one receive and one send outstanding; closing removes it at once, and what the kernel
//! still holds of it completes unseen (each operation keeps the descriptor open until then, so its number is not reused).

use super::buffers::{GROUP, RecvBuffers};
use super::gate::{Gate, Pass};
use super::listen::peer_of;
use super::ops::{Io, Op, Sending};
use crate::base::ids::ConnId;
use crate::base::slab::{Slab, SlabKey};
use crate::shard::event::Event;
use bytes::{Bytes, BytesMut};
use io_uring::squeue::Flags;
use io_uring::{cqueue, opcode, types};
use std::collections::VecDeque;
use std::net::IpAddr;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::rc::Rc;
use std::sync::Arc;

/// `IORING_RECVSEND_POLL_FIRST`: nothing is expected yet, so do not try before waiting.
const POLL_FIRST: u16 = 1;
/// Pause before accepting again when descriptors or memory ran out, nanoseconds.
const ACCEPT_PAUSE_NS: u64 = 100_000_000;

struct Conn {
    fd: Rc<OwnedFd>,
    /// The last receive left bytes in the socket.
    more: bool,
    _pass: Pass,
}

/// What an accept gave.
pub enum Accepted {
    /// A connection to tell the machine about.
    Event(Event),
    /// Refused: why, and by whom it was tried.
    Refused(IpAddr, String),
    /// Nothing, for now.
    Nothing,
}

/// The connections of a shard.
pub struct Net {
    listeners: Vec<OwnedFd>,
    conns: Slab<Conn>,
    gate: Arc<Gate>,
    buffers: RecvBuffers,
    /// Connections whose receive found no buffer, oldest first.
    starved: VecDeque<SlabKey>,
    /// Listeners to arm again, and when.
    paused: Vec<usize>,
    resume_ns: u64,
    draining: bool,
}

impl Net {
    /// Starts to accept on the listeners.
    pub fn new(io: &mut Io, listeners: Vec<OwnedFd>, gate: Arc<Gate>, buffers: RecvBuffers) -> Net {
        let net = Net {
            listeners,
            conns: Slab::default(),
            gate,
            buffers,
            starved: VecDeque::new(),
            paused: Vec::new(),
            resume_ns: 0,
            draining: false,
        };
        (0..net.listeners.len()).for_each(|listener| net.accept(io, listener));
        net
    }

    /// Bytes of receive buffers that the machine holds.
    pub fn lent_bytes(&self) -> u64 {
        self.buffers.lent_bytes()
    }

    /// Gives up the receive buffers, because the kernel may still write to them.
    pub fn leak(&mut self) {
        self.buffers.leak();
    }

    /// Refuses new connections from now on.
    pub fn drain(&mut self) {
        self.draining = true;
    }

    /// When accepting goes on, if it is paused; monotonic nanoseconds.
    pub fn next_deadline(&self) -> Option<u64> {
        (!self.paused.is_empty()).then_some(self.resume_ns)
    }

    /// Does what waited: receives that lacked a buffer, accepts that were paused.
    pub fn resume(&mut self, io: &mut Io, now_ns: u64) {
        self.buffers.reclaim();
        // A receive that finds its buffer taken by another comes back here.
        for _ in 0..self.starved.len().min(self.buffers.available() as usize) {
            if let Some(key) = self.starved.pop_front() {
                self.recv(io, key);
            }
        }
        if now_ns >= self.resume_ns {
            for listener in std::mem::take(&mut self.paused) {
                self.accept(io, listener);
            }
        }
    }

    /// True when the shard must not sleep, because a buffer has come back for a receive that waits for one.
    pub fn must_not_sleep(&self) -> bool {
        !self.starved.is_empty() && self.buffers.starve()
    }

    fn accept(&self, io: &mut Io, listener: usize) {
        let fd = types::Fd(self.listeners[listener].as_raw_fd());
        // SAFETY: names no memory; the listener lives as long as self.
        unsafe {
            io.start(Op::Accept { listener }, |_| {
                opcode::AcceptMulti::new(fd).flags(libc::SOCK_CLOEXEC).build()
            });
        }
    }

    /// An accept completed; `more` = it stays armed.
    pub fn on_accept(&mut self, io: &mut Io, listener: usize, result: i32, more: bool, now_ns: u64) -> Accepted {
        if result < 0 && matches!(-result, libc::EMFILE | libc::ENFILE | libc::ENOBUFS | libc::ENOMEM) {
            tracing::warn!(
                errno = -result,
                "cannot accept connections: raise the limit of open files (LimitNOFILE)"
            );
            self.resume_ns = now_ns + ACCEPT_PAUSE_NS;
            self.paused.push(listener);
            return Accepted::Nothing;
        }
        if !more && result != -libc::ECANCELED {
            self.accept(io, listener);
        }
        if result < 0 {
            return Accepted::Nothing;
        }
        // SAFETY: the kernel just gave us this descriptor.
        let fd = unsafe { OwnedFd::from_raw_fd(result) };
        let peer = peer_of(fd.as_raw_fd());
        let pass = match self.draining {
            true => Err("the broker is stopping".into()),
            false => self.gate.enter(peer),
        };
        let pass = match pass {
            Ok(pass) => pass,
            Err(reason) => return Accepted::Refused(peer, reason),
        };
        let key = self.conns.insert(Conn {
            fd: Rc::new(fd),
            more: false,
            _pass: pass,
        });
        Accepted::Event(Event::Accepted {
            conn: conn_id(key),
            peer,
        })
    }

    /// Receives once into a ring buffer.
    pub fn recv(&mut self, io: &mut Io, key: SlabKey) {
        let Some(conn) = self.conns.get(key) else { return };
        let fd = conn.fd.clone();
        let raw = types::Fd(fd.as_raw_fd());
        let first = if conn.more { 0 } else { POLL_FIRST };
        // SAFETY: names no memory of its own; the buffers belong to the ring's group.
        unsafe {
            io.start(Op::Recv { conn: key, _fd: fd }, |_| {
                let entry = opcode::Recv::new(raw, std::ptr::null_mut(), 0)
                    .ioprio(first)
                    .buf_group(GROUP);
                entry.build().flags(Flags::BUFFER_SELECT)
            });
        }
    }

    /// Receives into the spare capacity of `buf`.
    pub fn recv_into(&mut self, io: &mut Io, key: SlabKey, mut buf: BytesMut) {
        let Some(conn) = self.conns.get(key) else { return };
        if buf.capacity() == buf.len() {
            buf.reserve(1);
        }
        let fd = conn.fd.clone();
        let raw = types::Fd(fd.as_raw_fd());
        let first = if conn.more { 0 } else { POLL_FIRST };
        // SAFETY: the spare capacity is on the heap and belongs to the operation.
        unsafe {
            io.start(
                Op::RecvInto {
                    conn: key,
                    _fd: fd,
                    buf,
                },
                |op| {
                    let Op::RecvInto { buf, .. } = op else {
                        unreachable!("just made")
                    };
                    let spare = buf.spare_capacity_mut();
                    let len = spare.len().min(i32::MAX as usize) as u32;
                    opcode::Recv::new(raw, spare.as_mut_ptr().cast(), len)
                        .ioprio(first)
                        .build()
                },
            );
        }
    }

    /// Sends all parts in order. An empty send ends at once: the event comes back.
    pub fn send(&mut self, io: &mut Io, key: SlabKey, data: Vec<Bytes>) -> Option<Event> {
        let conn = self.conns.get(key)?;
        let state = Sending::new(data);
        if state.is_done() {
            return Some(sent(key, Ok(())));
        }
        start_send(io, key, conn.fd.clone(), state);
        None
    }

    /// Forgets a connection; what is outstanding on it ends soon and unseen.
    pub fn close(&mut self, key: SlabKey) {
        let Some(conn) = self.conns.remove(key) else { return };
        if Rc::strong_count(&conn.fd) > 1 {
            // SAFETY: no memory involved. A failure means that the connection is down already.
            unsafe { libc::shutdown(conn.fd.as_raw_fd(), libc::SHUT_RDWR) };
        }
    }

    /// A receive into a ring buffer completed.
    pub fn on_recv(&mut self, key: SlabKey, entry: &cqueue::Entry) -> Option<Event> {
        let (result, flags) = (entry.result(), entry.flags());
        let picked = cqueue::buffer_select(flags);
        let Some(conn) = self.conns.get_mut(key) else {
            picked.into_iter().for_each(|id| self.buffers.unused(id));
            return None;
        };
        conn.more = cqueue::sock_nonempty(flags);
        match (result, picked) {
            (1.., Some(id)) => Some(Event::Received {
                conn: conn_id(key),
                data: self.buffers.lend(id, result as usize),
            }),
            (result, _) if result == -libc::ENOBUFS => {
                conn.more = true;
                self.starved.push_back(key);
                None
            }
            (result, picked) => {
                picked.into_iter().for_each(|id| self.buffers.unused(id));
                Some(closed(key, result))
            }
        }
    }

    /// A receive into a buffer completed.
    pub fn on_recv_into(&mut self, key: SlabKey, mut buf: BytesMut, entry: &cqueue::Entry) -> Option<Event> {
        let conn = self.conns.get_mut(key)?;
        let result = entry.result();
        if result <= 0 {
            return Some(closed(key, result));
        }
        conn.more = cqueue::sock_nonempty(entry.flags());
        // SAFETY: the kernel wrote `result` bytes to the spare capacity it was given.
        unsafe { buf.set_len(buf.len() + result as usize) };
        Some(Event::ReceivedInto {
            conn: conn_id(key),
            buf,
        })
    }

    /// A send completed, perhaps in part.
    pub fn on_send(
        &mut self,
        io: &mut Io,
        key: SlabKey,
        fd: Rc<OwnedFd>,
        mut state: Box<Sending>,
        result: i32,
    ) -> Option<Event> {
        self.conns.get(key)?;
        match result {
            0.. => {
                state.advance(result as usize);
                if state.is_done() {
                    return Some(sent(key, Ok(())));
                }
            }
            _ if matches!(-result, libc::EAGAIN | libc::EINTR) => {}
            _ => return Some(sent(key, Err(-result))),
        }
        start_send(io, key, fd, state);
        None
    }
}

fn start_send(io: &mut Io, conn: SlabKey, fd: Rc<OwnedFd>, state: Box<Sending>) {
    let raw = types::Fd(fd.as_raw_fd());
    // With MSG_WAITALL the kernel itself goes on after a short send.
    let flags = libc::MSG_NOSIGNAL | libc::MSG_WAITALL;
    // SAFETY: parts, vectors and header are on the heap and belong to the operation.
    unsafe {
        io.start(Op::Send { conn, fd, state }, |op| {
            let Op::Send { state, .. } = op else {
                unreachable!("just made")
            };
            match state.single() {
                Some(bytes) if bytes.len() <= i32::MAX as usize => {
                    opcode::Send::new(raw, bytes.as_ptr(), bytes.len() as u32)
                        .flags(flags)
                        .build()
                }
                _ => opcode::SendMsg::new(raw, state.message()).flags(flags as u32).build(),
            }
        });
    }
}

fn sent(key: SlabKey, result: Result<(), i32>) -> Event {
    Event::Sent {
        conn: conn_id(key),
        result,
    }
}

fn closed(key: SlabKey, result: i32) -> Event {
    Event::Closed {
        conn: conn_id(key),
        errno: (result < 0).then_some(-result),
    }
}

fn conn_id(key: SlabKey) -> ConnId {
    ConnId {
        index: key.index,
        generation: key.generation,
    }
}

/// The slot of a connection.
pub fn slot(conn: ConnId) -> SlabKey {
    SlabKey {
        index: conn.index,
        generation: conn.generation,
    }
}
