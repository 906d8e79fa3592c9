//! Aligned buffers for reads, kept for reuse: fresh ones cost a page fault per 4 KiB.
//!
//! A buffer leaves as `Bytes` and comes back when the last slice is dropped, on whatever thread. What exceeds the bound is freed.

use crate::base::buf::AlignedBuf;
use bytes::Bytes;
use std::sync::{Arc, Mutex, PoisonError};

/// Smallest and largest kept sizes, as powers of two: 4 KiB to 4 MiB.
const CLASS_MIN: u32 = 12;
const CLASS_MAX: u32 = 22;

struct Kept {
    classes: [Vec<AlignedBuf>; (CLASS_MAX - CLASS_MIN + 1) as usize],
    bytes: usize,
    bytes_max: usize,
}

/// The pool of a shard.
pub struct ReadPool {
    kept: Arc<Mutex<Kept>>,
}

struct Borrowed {
    buf: Option<AlignedBuf>,
    kept: Arc<Mutex<Kept>>,
}

impl AsRef<[u8]> for Borrowed {
    fn as_ref(&self) -> &[u8] {
        self.buf.as_ref().map_or(&[], |buf| buf.as_ref())
    }
}

impl Drop for Borrowed {
    fn drop(&mut self) {
        if let Some(buf) = self.buf.take() {
            keep(&self.kept, buf);
        }
    }
}

/// Class of a size: the power of two that holds it.
fn class(len: usize) -> Option<usize> {
    let power = len.max(1 << CLASS_MIN).next_power_of_two().trailing_zeros();
    (power <= CLASS_MAX).then_some((power - CLASS_MIN) as usize)
}

fn keep(kept: &Mutex<Kept>, buf: AlignedBuf) {
    let len = buf.as_ref().len();
    let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(class) = class(len).filter(|_| kept.bytes + len <= kept.bytes_max) {
        kept.bytes += len;
        kept.classes[class].push(buf);
    }
}

impl ReadPool {
    /// Keeps at most `bytes_max` bytes of unused buffers.
    pub fn new(bytes_max: usize) -> ReadPool {
        let kept = Kept {
            classes: Default::default(),
            bytes: 0,
            bytes_max,
        };
        ReadPool {
            kept: Arc::new(Mutex::new(kept)),
        }
    }

    /// A buffer of at least `len` bytes; its content is arbitrary.
    pub fn take(&self, len: usize) -> AlignedBuf {
        let Some(class) = class(len) else {
            return AlignedBuf::zeroed(len);
        };
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(buf) = kept.classes[class].pop() {
            kept.bytes -= buf.as_ref().len();
            return buf;
        }
        drop(kept);
        AlignedBuf::zeroed(1 << (class as u32 + CLASS_MIN))
    }

    /// Returns a buffer that was not handed out.
    pub fn give_back(&self, buf: AlignedBuf) {
        keep(&self.kept, buf);
    }

    /// Hands out the first `len` bytes.
    pub fn freeze(&self, buf: AlignedBuf, len: usize) -> Bytes {
        let borrowed = Borrowed {
            buf: Some(buf),
            kept: self.kept.clone(),
        };
        Bytes::from_owner(borrowed).slice(..len)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buffers_are_reused_within_the_bound() {
        let pool = ReadPool::new(64 << 10);
        let buf = pool.take(40_000);
        assert_eq!(buf.as_ref().len(), 64 << 10);
        let address = buf.as_ptr();
        let bytes = pool.freeze(buf, 10);
        assert_eq!(bytes.len(), 10);
        let slice = bytes.slice(2..4);
        drop(bytes);
        let other = pool.take(40_000);
        assert_ne!(other.as_ptr(), address, "still lent");
        drop(slice);
        let again = pool.take(64 << 10);
        assert_eq!(again.as_ptr(), address);
        pool.give_back(again);
        pool.give_back(other);
        assert!(
            pool.kept.lock().is_ok_and(|kept| kept.bytes == 64 << 10),
            "the second is above the bound"
        );
        assert_eq!(pool.take(5 << 20).as_ref().len(), 5 << 20, "huge ones are not pooled");
    }
}
