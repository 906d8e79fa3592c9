//! The bare ring loop: receive, append, one durable write, reply. The floor every broker is judged against.
//!
//! It does the least that an honest durable produce can do: whole requests only, replies in order and only after the
//! write that holds them has completed (O_DIRECT with `RWF_DSYNC` into a pre-written, recycled file), a short write is
//! an error. It knows nothing of offsets, indexes, CRCs or recovery, and cannot be read back.
//!
//! Order of a round: reap all completions, parse all that came, submit one write with everything staged.

use crate::disk::{Aligned, open_prewritten, round_up};
use crate::proto::{Malformed, PRODUCE, PRODUCE_VERSION, Reader, Writer};
use crate::ring::{self, POLL_FIRST, Tag};
use io_uring::{IoUring, cqueue, opcode, types};
use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::AsRawFd;
use std::path::PathBuf;

const ACCEPT: u8 = 1;
const RECV: u8 = 2;
const SEND: u8 = 3;
const WRITE: u8 = 4;
const CLOSE: u8 = 5;
/// Largest request taken, bytes: Kafka's `message.max.bytes` and room for the request around it.
const REQUEST_BYTES_MAX: usize = (1 << 20) + (64 << 10);
/// First size of a connection's receive buffer, bytes; grows once to hold one whole request of the declared size.
const RECEIVE_BYTES: usize = 64 << 10;
/// Bytes of one staging block: the largest durable write. Always holds one request of the largest size.
const BLOCK_BYTES: usize = 2 << 20;
const _: () = assert!(BLOCK_BYTES >= REQUEST_BYTES_MAX);
/// Bytes kept at the start of a block for its own length, as any recoverable log needs.
const BLOCK_HEADER_BYTES: usize = 16;

/// What to run.
pub struct Config {
    /// Address to listen on.
    pub listen: SocketAddr,
    /// File that takes the writes; created and pre-written.
    pub data: PathBuf,
    /// Size of the file, bytes; writing wraps at its end.
    pub data_bytes: u64,
    /// CPU of the one thread.
    pub cpu: usize,
    /// Durable writes in flight at once, 1-16.
    pub writes_in_flight_max: usize,
}

struct Conn {
    fd: i32,
    generation: u32,
    receive: Vec<u8>,
    filled: usize,
    receiving: bool,
    sending: Vec<u8>,
    sent: usize,
    send_in_flight: bool,
    pending: Vec<u8>,
    open: bool,
}

struct Reply {
    conn: u32,
    generation: u32,
    bytes: Vec<u8>,
}

struct Block {
    memory: Aligned,
    used: usize,
    replies: Vec<Reply>,
    written: usize,
    done: bool,
}

struct Floor {
    ring: IoUring,
    listener: TcpListener,
    file: File,
    file_bytes: u64,
    file_at: u64,
    blocks: Vec<Block>,
    free: Vec<usize>,
    filling: Option<usize>,
    /// Blocks being written, oldest first: replies leave in this order even when a later write ends first.
    writing: VecDeque<usize>,
    conns: Vec<Conn>,
    free_conns: Vec<u32>,
    /// Connections whose next whole request waits for room in a block.
    stalled: Vec<u32>,
}

/// Runs until a fatal error; `ready` is called once connections are accepted.
///
/// # Errors
/// Set-up failures, and any failed or short write: there is no honest way to go on after one.
pub fn run(config: &Config, ready: impl FnOnce(SocketAddr)) -> io::Result<()> {
    if !(1..=16).contains(&config.writes_in_flight_max) {
        return Err(io::Error::other("--inflight must be 1 to 16"));
    }
    let file = open_prewritten(
        &config.data,
        round_up(config.data_bytes as usize).max(2 * BLOCK_BYTES) as u64,
    )?;
    ring::pin(config.cpu)?;
    let listener = TcpListener::bind(config.listen)?;
    let file_bytes = file.metadata()?.len();
    let mut floor = Floor {
        ring: ring::build(1024)?,
        listener,
        file,
        file_bytes,
        file_at: 0,
        blocks: (0..=config.writes_in_flight_max).map(|_| Block::new()).collect(),
        free: (0..=config.writes_in_flight_max).collect(),
        filling: None,
        writing: VecDeque::new(),
        conns: Vec::new(),
        free_conns: Vec::new(),
        stalled: Vec::new(),
    };
    floor.register()?;
    floor.accept()?;
    ready(floor.listener.local_addr()?);
    floor.turn(config.writes_in_flight_max)
}

impl Block {
    fn new() -> Block {
        let mut memory = Aligned::new(BLOCK_BYTES);
        memory.bytes().fill(0);
        Block {
            memory,
            used: BLOCK_HEADER_BYTES,
            replies: Vec::new(),
            written: 0,
            done: false,
        }
    }

    fn has_room(&self, len: usize) -> bool {
        self.used + len <= BLOCK_BYTES
    }

    fn append(&mut self, bytes: &[u8]) {
        let (start, end) = (self.used, self.used + bytes.len());
        self.memory.bytes()[start..end].copy_from_slice(bytes);
        self.used = end;
    }

    /// Sets the length, zeroes the pad and returns the bytes to write.
    fn seal(&mut self) -> usize {
        let (used, padded) = (self.used, round_up(self.used));
        let bytes = self.memory.bytes();
        bytes[..8].copy_from_slice(&(used as u64).to_le_bytes());
        bytes[used..padded].fill(0);
        self.written = padded;
        self.done = false;
        padded
    }
}

impl Floor {
    fn register(&mut self) -> io::Result<()> {
        let buffers: Vec<libc::iovec> = self
            .blocks
            .iter()
            .map(|b| libc::iovec {
                iov_base: b.memory.as_ptr() as *mut libc::c_void,
                iov_len: b.memory.len(),
            })
            .collect();
        // SAFETY: the blocks live as long as the ring; both are fields of this value and neither moves its memory.
        unsafe { self.ring.submitter().register_buffers(&buffers) }?;
        self.ring.submitter().register_files(&[self.file.as_raw_fd()])
    }

    fn turn(&mut self, writes_in_flight_max: usize) -> io::Result<()> {
        let mut reaped: Vec<cqueue::Entry> = Vec::with_capacity(4096);
        loop {
            ring::wait(&self.ring)?;
            reaped.extend(self.ring.completion());
            for entry in reaped.drain(..) {
                self.complete(&entry)?;
            }
            self.settle(writes_in_flight_max)?;
        }
    }

    fn complete(&mut self, entry: &cqueue::Entry) -> io::Result<()> {
        let tag = Tag::unpack(entry.user_data());
        match tag.kind {
            ACCEPT => self.on_accepted(entry.result(), cqueue::more(entry.flags())),
            WRITE => self.on_written(tag.index as usize, entry.result()),
            RECV if self.is_current(tag) => self.on_received(tag.index, entry.result()),
            SEND if self.is_current(tag) => self.on_sent(tag.index, entry.result()),
            _ => Ok(()),
        }
    }

    fn is_current(&self, tag: Tag) -> bool {
        self.conns
            .get(tag.index as usize)
            .is_some_and(|c| c.generation & 0xff_ffff == tag.generation)
    }

    fn accept(&mut self) -> io::Result<()> {
        let tag = Tag {
            kind: ACCEPT,
            generation: 0,
            index: 0,
        };
        let entry = opcode::AcceptMulti::new(types::Fd(self.listener.as_raw_fd()))
            .build()
            .user_data(tag.pack());
        // SAFETY: the entry points to no memory.
        unsafe { ring::push(&mut self.ring, &entry) }
    }

    fn on_accepted(&mut self, result: i32, more: bool) -> io::Result<()> {
        if result >= 0 {
            set_no_delay(result);
            let index = self.free_conns.pop().unwrap_or_else(|| {
                self.conns.push(Conn::new());
                self.conns.len() as u32 - 1
            });
            let conn = &mut self.conns[index as usize];
            conn.open(result);
            self.receive(index)?;
        }
        if more { Ok(()) } else { self.accept() }
    }

    fn receive(&mut self, index: u32) -> io::Result<()> {
        let conn = &mut self.conns[index as usize];
        if conn.receiving || !conn.open {
            return Ok(());
        }
        conn.receiving = true;
        let tag = Tag {
            kind: RECV,
            generation: conn.generation,
            index,
        };
        let free = &mut conn.receive[conn.filled..];
        let entry = opcode::Recv::new(types::Fd(conn.fd), free.as_mut_ptr(), free.len() as u32)
            .ioprio(POLL_FIRST)
            .build()
            .user_data(tag.pack());
        // SAFETY: `receive` is neither moved nor resized while `receiving` is set, and connections are never dropped.
        unsafe { ring::push(&mut self.ring, &entry) }
    }

    fn on_received(&mut self, index: u32, result: i32) -> io::Result<()> {
        let conn = &mut self.conns[index as usize];
        conn.receiving = false;
        if result <= 0 {
            return self.close(index);
        }
        conn.filled += result as usize;
        self.take_requests(index)
    }

    /// Stages every whole request of the connection, then asks for more bytes unless a request waits for room.
    fn take_requests(&mut self, index: u32) -> io::Result<()> {
        let mut at = 0;
        loop {
            let filled = self.conns[index as usize].filled;
            let Some(len) = frame_length(&self.conns[index as usize].receive[at..filled]) else {
                break;
            };
            let end = at + len;
            if len > REQUEST_BYTES_MAX {
                return self.close(index);
            }
            if end > filled {
                self.conns[index as usize].make_room(at, len);
                return self.receive(index);
            }
            if !self.stage(index, at, end) {
                self.conns[index as usize].drop_front(at);
                self.stalled.push(index);
                return Ok(());
            }
            if !self.conns[index as usize].open {
                return self.close(index);
            }
            at = end;
        }
        self.conns[index as usize].drop_front(at);
        self.receive(index)
    }

    /// Copies one request into the filling block and notes its reply; false when no block has room.
    fn stage(&mut self, index: u32, start: usize, end: usize) -> bool {
        if self.filling.is_none() {
            self.filling = self.free.pop();
        }
        let Some(block) = self.filling.map(|b| &mut self.blocks[b]) else {
            return false;
        };
        if !block.has_room(end - start) {
            return false;
        }
        let conn = &mut self.conns[index as usize];
        let request = &conn.receive[start..end];
        match reply_to(&request[4..]) {
            Ok(reply) => {
                block.append(request);
                if let Some(bytes) = reply {
                    block.replies.push(Reply {
                        conn: index,
                        generation: conn.generation,
                        bytes,
                    });
                }
            }
            Err(e) => {
                eprintln!("floor: closing a connection: {e}; it takes Produce v{PRODUCE_VERSION} only (`load --raw`)");
                conn.shut();
            }
        }
        true
    }

    fn settle(&mut self, writes_in_flight_max: usize) -> io::Result<()> {
        while self.writing.len() < writes_in_flight_max {
            let Some(index) = self.filling.take() else {
                return Ok(());
            };
            if self.blocks[index].used == BLOCK_HEADER_BYTES {
                self.filling = Some(index);
                return Ok(());
            }
            self.write(index)?;
            for conn in std::mem::take(&mut self.stalled) {
                self.take_requests(conn)?;
            }
        }
        Ok(())
    }

    fn write(&mut self, index: usize) -> io::Result<()> {
        let block = &mut self.blocks[index];
        let len = block.seal();
        if self.file_at + len as u64 > self.file_bytes {
            self.file_at = 0;
        }
        let tag = Tag {
            kind: WRITE,
            generation: 0,
            index: index as u32,
        };
        let entry = opcode::WriteFixed::new(types::Fixed(0), block.memory.as_ptr(), len as u32, index as u16)
            .offset(self.file_at)
            .rw_flags(libc::RWF_DSYNC)
            .build()
            .user_data(tag.pack());
        self.file_at += len as u64;
        self.writing.push_back(index);
        // SAFETY: a block being written is in `writing`, so nothing touches its memory until the completion.
        unsafe { ring::push(&mut self.ring, &entry) }
    }

    fn on_written(&mut self, index: usize, result: i32) -> io::Result<()> {
        if result < 0 {
            return Err(io::Error::from_raw_os_error(-result));
        }
        if result as usize != self.blocks[index].written {
            return Err(io::Error::other(format!(
                "short write: {result} of {} bytes",
                self.blocks[index].written
            )));
        }
        self.blocks[index].done = true;
        while let Some(&oldest) = self.writing.front().filter(|b| self.blocks[**b].done) {
            self.writing.pop_front();
            self.blocks[oldest].used = BLOCK_HEADER_BYTES;
            self.release(oldest)?;
            self.free.push(oldest);
        }
        Ok(())
    }

    fn release(&mut self, block: usize) -> io::Result<()> {
        let mut replies = std::mem::take(&mut self.blocks[block].replies);
        for reply in replies.drain(..) {
            let conn = &mut self.conns[reply.conn as usize];
            if conn.generation == reply.generation && conn.open {
                conn.pending.extend_from_slice(&reply.bytes);
                self.send(reply.conn)?;
            }
        }
        self.blocks[block].replies = replies;
        Ok(())
    }

    fn send(&mut self, index: u32) -> io::Result<()> {
        let conn = &mut self.conns[index as usize];
        if conn.send_in_flight || (conn.sending.is_empty() && conn.pending.is_empty()) {
            return Ok(());
        }
        if conn.sending.is_empty() {
            std::mem::swap(&mut conn.sending, &mut conn.pending);
            conn.sent = 0;
        }
        conn.send_in_flight = true;
        let rest = &conn.sending[conn.sent..];
        let tag = Tag {
            kind: SEND,
            generation: conn.generation,
            index,
        };
        let entry = opcode::Send::new(types::Fd(conn.fd), rest.as_ptr(), rest.len() as u32)
            .flags(libc::MSG_NOSIGNAL | libc::MSG_WAITALL)
            .build()
            .user_data(tag.pack());
        // SAFETY: `sending` is left alone until the completion, and connections are never dropped.
        unsafe { ring::push(&mut self.ring, &entry) }
    }

    fn on_sent(&mut self, index: u32, result: i32) -> io::Result<()> {
        let conn = &mut self.conns[index as usize];
        conn.send_in_flight = false;
        if result <= 0 || !conn.open {
            return self.close(index);
        }
        conn.sent += result as usize;
        if conn.sent >= conn.sending.len() {
            conn.sending.clear();
        }
        self.send(index)
    }

    /// Gives the slot back once no operation uses its buffers.
    fn close(&mut self, index: u32) -> io::Result<()> {
        let conn = &mut self.conns[index as usize];
        conn.shut();
        if conn.receiving || conn.send_in_flight || conn.fd < 0 {
            return Ok(());
        }
        let tag = Tag {
            kind: CLOSE,
            generation: conn.generation,
            index,
        };
        let entry = opcode::Close::new(types::Fd(conn.fd)).build().user_data(tag.pack());
        conn.fd = -1;
        conn.generation = conn.generation.wrapping_add(1) & 0xff_ffff;
        self.stalled.retain(|c| *c != index);
        self.free_conns.push(index);
        // SAFETY: the entry points to no memory.
        unsafe { ring::push(&mut self.ring, &entry) }
    }
}

impl Conn {
    fn new() -> Conn {
        Conn {
            fd: -1,
            generation: 0,
            receive: vec![0; RECEIVE_BYTES],
            filled: 0,
            receiving: false,
            sending: Vec::new(),
            sent: 0,
            send_in_flight: false,
            pending: Vec::new(),
            open: false,
        }
    }

    fn open(&mut self, fd: i32) {
        self.fd = fd;
        self.filled = 0;
        self.open = true;
        self.sending.clear();
        self.pending.clear();
    }

    /// Stops both directions; pending operations then end by themselves.
    fn shut(&mut self) {
        if self.open {
            self.open = false;
            // SAFETY: a plain system call on a descriptor this connection owns.
            unsafe { libc::shutdown(self.fd, libc::SHUT_RDWR) };
        }
    }

    fn drop_front(&mut self, count: usize) {
        if count > 0 {
            self.receive.copy_within(count..self.filled, 0);
            self.filled -= count;
        }
    }

    /// Moves a partial request to the front and makes the buffer hold all of it.
    fn make_room(&mut self, start: usize, len: usize) {
        self.drop_front(start);
        if self.receive.len() < len {
            self.receive.resize(len, 0);
        }
    }
}

fn set_no_delay(fd: i32) {
    let on: libc::c_int = 1;
    // SAFETY: `on` is a valid int for the length given. A failure only costs latency, and AF_UNIX does not occur.
    unsafe { libc::setsockopt(fd, libc::IPPROTO_TCP, libc::TCP_NODELAY, (&raw const on).cast(), 4) };
}

/// Bytes of the frame at the start of `bytes`, its length field included; `None` before the length is complete.
fn frame_length(bytes: &[u8]) -> Option<usize> {
    let len = u32::from_be_bytes(*bytes.first_chunk()?);
    Some(len as usize + 4)
}

/// Encodes the acknowledgement of a Produce v9 request; `Ok(None)` for acks=0.
pub(crate) fn reply_to(request: &[u8]) -> Result<Option<Vec<u8>>, Malformed> {
    let mut r = Reader(request);
    if (r.i16()?, r.i16()?) != (PRODUCE, PRODUCE_VERSION) {
        return Err(Malformed("another request or version than asked for"));
    }
    let correlation = r.i32()?;
    r.string()?;
    r.tags()?;
    r.compact_bytes()?;
    let acks = r.i16()?;
    r.i32()?;
    let topics = r.compact_count()?;
    let mut w = Writer(Vec::with_capacity(96));
    w.i32(0).i32(correlation).tags().uvarint(topics as u64 + 1);
    for _ in 0..topics {
        reply_to_topic(&mut r, &mut w)?;
    }
    r.tags()?;
    if !r.0.is_empty() {
        return Err(Malformed("bytes after the request"));
    }
    w.i32(0).tags();
    Ok((acks != 0).then(|| w.finish()))
}

fn reply_to_topic(r: &mut Reader<'_>, w: &mut Writer) -> Result<(), Malformed> {
    let name = r.compact_bytes()?;
    w.uvarint(name.len() as u64 + 1).0.extend_from_slice(name);
    let partitions = r.compact_count()?;
    w.uvarint(partitions as u64 + 1);
    for _ in 0..partitions {
        let partition = r.i32()?;
        r.compact_bytes()?;
        r.tags()?;
        // No offsets here: -1 says "unknown", as in an answer to a duplicate.
        w.i32(partition)
            .i16(0)
            .i64(-1)
            .i64(-1)
            .i64(-1)
            .uvarint(1)
            .uvarint(0)
            .tags();
    }
    r.tags()?;
    w.tags();
    Ok(())
}

#[cfg(test)]
#[path = "floor_tests.rs"]
mod tests;
