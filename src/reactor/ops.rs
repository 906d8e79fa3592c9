//! Outstanding operations: each owns what the kernel may still touch, until its completion.
//!
//! Invariant: an entry is removed only when its last completion was reaped, so memory and descriptors named to the kernel
//! outlive the operation, whatever happens to the connection or file it belonged to.

use super::ring::Ring;
use crate::base::buf::AlignedBuf;
use crate::base::ids::IoKey;
use crate::base::slab::{Slab, SlabKey};
use bytes::{Bytes, BytesMut};
use io_uring::squeue::Entry;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::sync::Arc;

/// Most parts of one vectored send (`IOV_MAX`); the rest follows in the next.
pub const PARTS_MAX: usize = 1024;

/// Completions that belong to no operation: the doorbell of a peer.
pub const DOORBELL: u64 = u64::MAX;
/// The cancel request of the shutdown.
pub const CANCEL: u64 = u64::MAX - 1;
/// A doorbell to peer `n` failed: `BELL_FAILED - n`. 65,536 values are reserved for it.
pub const BELL_FAILED: u64 = u64::MAX - 2;
/// Everything from here up is none of the slab's.
const RESERVED: u64 = BELL_FAILED - 0xffff;

/// An operation in the kernel's hands.
pub enum Op {
    /// Multishot accept on a listener.
    Accept { listener: usize },
    /// Read of the eventfd.
    Wake { buf: Box<[u8; 8]> },
    /// Receive into a ring buffer. Here and below, `_fd` keeps the descriptor from being closed and its number from being reused.
    Recv { conn: SlabKey, _fd: Rc<OwnedFd> },
    /// Receive into the spare capacity of a buffer.
    RecvInto {
        conn: SlabKey,
        _fd: Rc<OwnedFd>,
        buf: BytesMut,
    },
    /// Vectored send.
    Send {
        conn: SlabKey,
        fd: Rc<OwnedFd>,
        state: Box<Sending>,
    },
    /// Write to a file.
    Write(Box<Writing>),
    /// Read from a file.
    Read(Box<Reading>),
    /// Flush of a file.
    Sync { key: IoKey, file: Arc<OwnedFd> },
}

/// A send and how far it is.
pub struct Sending {
    parts: Vec<Bytes>,
    /// Parts fully sent.
    first: usize,
    /// Bytes sent of the part after them.
    offset: usize,
    iovecs: Vec<libc::iovec>,
    header: libc::msghdr,
}

/// A write and how far it is.
pub struct Writing {
    pub key: IoKey,
    pub file: Arc<OwnedFd>,
    pub at: u64,
    pub data: Bytes,
    pub done: usize,
    pub durable: bool,
}

/// A read and how far it is.
pub struct Reading {
    pub key: IoKey,
    pub file: Arc<OwnedFd>,
    pub at: u64,
    pub buf: AlignedBuf,
    pub len: usize,
    pub done: usize,
}

impl Sending {
    /// All of `parts`, in order.
    pub fn new(parts: Vec<Bytes>) -> Box<Sending> {
        // SAFETY: msghdr is plain data; all zero means "no name, no vectors, no control data".
        let header = unsafe { std::mem::zeroed() };
        let mut sending = Box::new(Sending {
            parts,
            first: 0,
            offset: 0,
            iovecs: Vec::new(),
            header,
        });
        sending.skip_empty();
        sending
    }

    /// True when nothing is left.
    pub fn is_done(&self) -> bool {
        self.first == self.parts.len()
    }

    /// Counts `bytes` as sent.
    pub fn advance(&mut self, bytes: usize) {
        self.offset += bytes;
        while let Some(part) = self.parts.get(self.first) {
            if self.offset < part.len() {
                return;
            }
            self.offset -= part.len();
            self.first += 1;
        }
        assert_eq!(self.offset, 0, "more was sent than there is");
    }

    /// The one part that is left, if it is one: a plain send is cheaper.
    pub fn single(&self) -> Option<&[u8]> {
        match &self.parts[self.first..] {
            [part] => Some(&part[self.offset..]),
            _ => None,
        }
    }

    /// The message for what is left, at most [`PARTS_MAX`] parts. Valid until self is touched again.
    pub fn message(&mut self) -> *const libc::msghdr {
        self.iovecs.clear();
        let mut skip = self.offset;
        for part in self.parts[self.first..].iter().take(PARTS_MAX) {
            self.iovecs.push(libc::iovec {
                iov_base: part[skip..].as_ptr() as *mut libc::c_void,
                iov_len: part.len() - skip,
            });
            skip = 0;
        }
        self.header.msg_iov = self.iovecs.as_mut_ptr();
        self.header.msg_iovlen = self.iovecs.len() as _;
        &raw const self.header
    }

    fn skip_empty(&mut self) {
        self.advance(0);
    }
}

/// The ring and what is outstanding on it.
pub struct Io {
    /// The ring. Dropped before `ops`, see [`Io::shut_down`].
    pub ring: Ring,
    ops: Slab<Op>,
}

impl Io {
    /// Nothing outstanding yet.
    pub fn new(ring: Ring) -> Io {
        Io {
            ring,
            ops: Slab::default(),
        }
    }

    /// Stores an operation and queues the entry that `build` makes from its place.
    ///
    /// # Safety
    /// All memory and descriptors that the entry names belong to the operation, and do not move when it does.
    pub unsafe fn start(&mut self, op: Op, build: impl FnOnce(&mut Op) -> Entry) {
        let key = self.ops.insert(op);
        let user_data = pack(key);
        if let Some(op) = self.ops.get_mut(key) {
            let entry = build(op).user_data(user_data);
            // SAFETY: passed on: the operation stays in the slab until its completion.
            unsafe { self.ring.push(entry) };
        }
    }

    /// The operation of a completion; removed unless more completions follow.
    pub fn finish(&mut self, user_data: u64) -> Option<Op> {
        self.ops.remove(unpack(user_data)?)
    }

    /// The operation of a completion that stays.
    pub fn peek(&self, user_data: u64) -> Option<&Op> {
        self.ops.get(unpack(user_data)?)
    }

    /// Number of operations in the kernel's hands.
    pub fn outstanding(&self) -> usize {
        self.ops.len()
    }

    /// Gives up what the kernel would not finish: its memory must never be freed.
    pub fn leak(&mut self) {
        std::mem::forget(std::mem::take(&mut self.ops));
    }
}

fn pack(key: SlabKey) -> u64 {
    u64::from(key.generation) << 32 | u64::from(key.index)
}

fn unpack(user_data: u64) -> Option<SlabKey> {
    if user_data >= RESERVED {
        return None;
    }
    Some(SlabKey {
        index: user_data as u32,
        generation: (user_data >> 32) as u32,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_send_goes_on_where_it_stopped() {
        let parts: Vec<Bytes> = ["", "hello", "", " ", "world", ""]
            .iter()
            .map(|part| Bytes::from_static(part.as_bytes()))
            .collect();
        for step in 1..=11 {
            let mut sending = Sending::new(parts.clone());
            let mut seen = Vec::new();
            while !sending.is_done() {
                // SAFETY: the message is valid until `sending` is touched again.
                let header = unsafe { &*sending.message() };
                // SAFETY: as above.
                let vectors = unsafe { std::slice::from_raw_parts(header.msg_iov, header.msg_iovlen) };
                let mut left = step;
                for vector in vectors {
                    let take = left.min(vector.iov_len);
                    // SAFETY: the vector points into a part.
                    seen.extend_from_slice(unsafe { std::slice::from_raw_parts(vector.iov_base.cast::<u8>(), take) });
                    left -= take;
                }
                sending.advance(step - left);
            }
            assert_eq!(seen, b"hello world", "in steps of {step}");
        }
        assert!(Sending::new(vec![Bytes::new()]).is_done());
    }

    #[test]
    fn more_parts_than_the_kernel_takes_are_sent_in_turns() {
        let mut sending = Sending::new(vec![Bytes::from_static(b"x"); PARTS_MAX + 5]);
        // SAFETY: the message is valid until `sending` is touched again.
        assert_eq!(unsafe { &*sending.message() }.msg_iovlen, PARTS_MAX);
        sending.advance(PARTS_MAX);
        // SAFETY: as above.
        assert_eq!(unsafe { &*sending.message() }.msg_iovlen, 5);
        sending.advance(4);
        assert_eq!(sending.single(), Some(&b"x"[..]));
    }
}
