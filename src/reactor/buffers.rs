//! Receive buffers: a ring of equal buffers that the kernel fills as bytes come, so that idle connections hold none.
//!
//! A filled buffer is lent to the state machine as `Bytes` and comes back when the last slice of it is dropped, on whatever
//! thread. Invariants: a buffer is either with the kernel, lent, or in the returned list, never in two of these.
//! Must not know: connections.

use super::ring::Ring;
use super::wake::Waker;
use crate::base::buf::AlignedBuf;
use bytes::Bytes;
use io_uring::types::BufRingEntry;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU16, AtomicU32, Ordering};

/// Group id of the receive buffers in their ring.
pub const GROUP: u16 = 0;

/// What lenders and borrowers share.
struct Pool {
    memory: AlignedBuf,
    size: usize,
    /// Head of the returned list: buffer number + 1, 0 = empty.
    returned: AtomicU32,
    /// Links of the returned list, in the same encoding.
    links: Box<[AtomicU32]>,
    /// Set when receives wait for a buffer: whoever returns one wakes the shard.
    starving: AtomicBool,
    waker: Arc<Waker>,
}

impl Pool {
    fn give_back(&self, id: u16) {
        let mut head = self.returned.load(Ordering::Relaxed);
        loop {
            self.links[id as usize].store(head, Ordering::Relaxed);
            // Release: our reads of the buffer, and the link, come before the shard takes the list.
            match self
                .returned
                .compare_exchange_weak(head, u32::from(id) + 1, Ordering::AcqRel, Ordering::Relaxed)
            {
                Ok(_) => break,
                Err(now) => head = now,
            }
        }
        std::sync::atomic::fence(Ordering::SeqCst);
        if self.starving.load(Ordering::Relaxed) && self.starving.swap(false, Ordering::AcqRel) {
            self.waker.wake();
        }
    }
}

/// A filled buffer in other hands.
struct Lent {
    pool: Arc<Pool>,
    id: u16,
    len: usize,
}

impl AsRef<[u8]> for Lent {
    fn as_ref(&self) -> &[u8] {
        let start = self.id as usize * self.pool.size;
        // SAFETY: within the pool's memory (checked when lent), and the kernel does not have this buffer while it is lent.
        // Only this range is borrowed: the kernel writes to others at the same time.
        unsafe { std::slice::from_raw_parts(self.pool.memory.as_ptr().add(start), self.len) }
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        self.pool.give_back(self.id);
    }
}

/// The shard's side of the pool.
pub struct RecvBuffers {
    pool: Arc<Pool>,
    /// Array of `BufRingEntry` shared with the kernel.
    entries: AlignedBuf,
    mask: u16,
    tail: u16,
    lent: u32,
}

impl RecvBuffers {
    /// Registers `count` buffers (a power of two, at most 32768) of `size` bytes with the ring.
    ///
    /// # Errors
    /// Those of `IORING_REGISTER_PBUF_RING`, notably `ENOMEM`.
    pub fn new(ring: &Ring, count: u16, size: usize, waker: Arc<Waker>) -> io::Result<RecvBuffers> {
        assert!(count.is_power_of_two(), "the kernel wants a power of two");
        let entries = AlignedBuf::zeroed(count as usize * size_of::<BufRingEntry>());
        // SAFETY: `entries` has room for `count` entries and lives until the ring is gone: see `Reactor`'s field order.
        unsafe {
            ring.submitter()
                .register_buf_ring_with_flags(entries.as_ptr() as u64, count, GROUP, 0)?;
        }
        let pool = Pool {
            memory: AlignedBuf::zeroed(count as usize * size),
            size,
            returned: AtomicU32::new(0),
            links: (0..count).map(|_| AtomicU32::new(0)).collect(),
            starving: AtomicBool::new(false),
            waker,
        };
        let mut buffers = RecvBuffers {
            pool: Arc::new(pool),
            entries,
            mask: count - 1,
            tail: 0,
            lent: 0,
        };
        for id in 0..count {
            buffers.provide(id);
        }
        buffers.publish();
        Ok(buffers)
    }

    /// Takes a buffer that the kernel filled with `len` bytes.
    pub fn lend(&mut self, id: u16, len: usize) -> Bytes {
        assert!(
            id <= self.mask && len <= self.pool.size,
            "the kernel names a buffer of ours"
        );
        self.lent += 1;
        Bytes::from_owner(Lent {
            pool: self.pool.clone(),
            id,
            len,
        })
    }

    /// Gives a picked but unused buffer straight back.
    pub fn unused(&mut self, id: u16) {
        self.provide(id);
        self.publish();
    }

    /// Provides again what was returned.
    pub fn reclaim(&mut self) {
        if self.lent == 0 || self.pool.returned.load(Ordering::Relaxed) == 0 {
            return;
        }
        let mut next = self.pool.returned.swap(0, Ordering::AcqRel);
        while next != 0 {
            let id = (next - 1) as u16;
            next = self.pool.links[id as usize].load(Ordering::Relaxed);
            self.provide(id);
            self.lent -= 1;
        }
        self.publish();
    }

    /// Buffers that are not lent: with the kernel, perhaps filled already.
    pub fn available(&self) -> u32 {
        u32::from(self.mask) + 1 - self.lent
    }

    /// Asks to be woken when the next buffer returns. True when there is one already, so that waiting is wrong.
    pub fn starve(&self) -> bool {
        self.pool.starving.store(true, Ordering::Relaxed);
        std::sync::atomic::fence(Ordering::SeqCst);
        self.available() > 0 || self.pool.returned.load(Ordering::Relaxed) != 0
    }

    /// Bytes of the buffers in other hands.
    pub fn lent_bytes(&self) -> u64 {
        u64::from(self.lent) * self.pool.size as u64
    }

    /// Never frees the memory: the kernel may still write to it.
    pub fn leak(&mut self) {
        std::mem::forget(self.pool.clone());
        std::mem::forget(std::mem::replace(&mut self.entries, AlignedBuf::zeroed(1)));
    }

    fn provide(&mut self, id: u16) {
        let slot = (self.tail & self.mask) as usize;
        let size = self.pool.size;
        let address = self.pool.memory.as_ptr() as u64 + (id as usize * size) as u64;
        // SAFETY: `slot` is within the array, and the kernel does not read it before the tail moves past it.
        let entry = unsafe { &mut *self.entries.as_mut_ptr().cast::<BufRingEntry>().add(slot) };
        entry.set_addr(address);
        entry.set_len(size as u32);
        entry.set_bid(id);
        self.tail = self.tail.wrapping_add(1);
    }

    fn publish(&mut self) {
        // SAFETY: the tail lies in the first entry's reserved field; both sides access it as an aligned 16-bit word.
        let tail = unsafe { &*BufRingEntry::tail(self.entries.as_ptr().cast()).cast::<AtomicU16>() };
        tail.store(self.tail, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lent_buffers_come_back_from_any_thread() {
        let ring = Ring::new(8, 16).expect("ring");
        let waker = Arc::new(Waker::new().expect("eventfd"));
        let mut buffers = RecvBuffers::new(&ring, 8, 4096, waker).expect("buffers");
        let slices: Vec<Bytes> = (0..8).map(|id| buffers.lend(id, 100).slice(10..20)).collect();
        buffers.reclaim();
        assert_eq!(buffers.available(), 0);
        assert!(!buffers.starve());
        let threads: Vec<_> = slices
            .into_iter()
            .map(|slice| std::thread::spawn(move || drop(slice)))
            .collect();
        for thread in threads {
            thread.join().expect("dropped");
        }
        assert!(buffers.starve());
        buffers.reclaim();
        assert_eq!((buffers.available(), buffers.lent_bytes()), (8, 0));
    }
}
