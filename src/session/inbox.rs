//! From received bytes to frames.
//!
//! Whole frames are slices of the receive buffer they came in. Only what is left of one, a partial frame, is copied to an
//! own buffer, so that the lent receive buffer is free soon.

use super::limits::{
    DIRECT_BYTES_MIN, FRAME_BYTES_MIN, PARTIAL_BYTES_START, PARTIAL_FACTOR, SPARE_BYTES_MAX, SPARE_BYTES_MIN,
};
use bytes::{Bytes, BytesMut};

/// Bytes of a connection that are not cut into frames yet.
#[derive(Default)]
pub struct Inbox {
    buf: BytesMut,
    /// Size of a cut frame whose memory `buf` still shares: once the frame is used up, the next one is received into the same
    /// memory, which saves the page faults of a fresh allocation.
    spare: usize,
}

/// Why the connection cannot go on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FrameError {
    /// Shorter than any request.
    Short(i32),
    /// Longer than `socket.request.max.bytes`.
    Long(i32),
}

impl std::fmt::Display for FrameError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            FrameError::Short(len) => write!(
                f,
                "a frame of {len} bytes is no Kafka request (is this a Kafka client, without TLS?)"
            ),
            FrameError::Long(len) => {
                write!(
                    f,
                    "a frame of {len} bytes exceeds socket.request.max.bytes (is this a Kafka client, without TLS?)"
                )
            }
        }
    }
}

/// How to receive next.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Want {
    /// Into a shared buffer.
    Shared,
    /// Into the frame's own buffer, which needs this capacity.
    Own {
        /// Capacity wanted in bytes.
        capacity: usize,
    },
}

impl Inbox {
    /// Memory held in bytes.
    pub fn held(&self) -> usize {
        self.buf.capacity().max(self.spare)
    }

    /// Bytes of the frame that is not whole yet.
    pub fn partial_len(&self) -> usize {
        self.buf.len()
    }

    /// Gives back memory that only waits to be used again.
    pub fn shrink(&mut self) {
        if self.buf.is_empty() {
            *self = Inbox::default();
        }
    }

    /// True when part of a frame is here.
    pub fn is_partial(&self) -> bool {
        !self.buf.is_empty()
    }

    /// True when a whole frame is held that was not allowed to start yet.
    pub fn has_frame(&self) -> bool {
        let declared = self
            .buf
            .first_chunk::<4>()
            .map(|prefix| i64::from(i32::from_be_bytes(*prefix)));
        declared.is_some_and(|len| self.buf.len() as i64 >= 4 + len)
    }

    /// The next whole frame without its length prefix, from what is held and then from `lent`. `None` when `lent` is used up
    /// (its rest is held now).
    ///
    /// # Errors
    /// [`FrameError`] when the declared length is out of bounds.
    pub fn next(&mut self, lent: &mut Bytes, frame_bytes_max: usize) -> Result<Option<Bytes>, FrameError> {
        if self.buf.is_empty() {
            match frame_end(lent, frame_bytes_max)? {
                Some(end) if lent.len() >= end => return Ok(Some(lent.split_to(end).slice(4..))),
                _ => self.stash(lent),
            }
            return Ok(None);
        }
        if self.buf.len() < 4 {
            let missing = (4 - self.buf.len()).min(lent.len());
            self.buf.extend_from_slice(&lent.split_to(missing));
        }
        let Some(end) = frame_end(&self.buf, frame_bytes_max)? else {
            return Ok(None);
        };
        if self.buf.len() < end {
            let missing = (end - self.buf.len()).min(lent.len());
            self.buf.extend_from_slice(&lent.split_to(missing));
        }
        if self.buf.len() < end {
            return Ok(None);
        }
        Ok(Some(self.take(end).slice(4..)))
    }

    /// Holds all that is left of `lent`.
    pub fn stash(&mut self, lent: &mut Bytes) {
        if !lent.is_empty() {
            self.spare = 0;
            self.buf.extend_from_slice(&lent.split_to(lent.len()));
        }
    }

    /// How the next bytes should come.
    pub fn want(&self, frame_bytes_max: usize) -> Want {
        let Ok(Some(end)) = frame_end(&self.buf, frame_bytes_max) else {
            return Want::Shared;
        };
        if end.saturating_sub(self.buf.len()) < DIRECT_BYTES_MIN {
            return Want::Shared;
        }
        let full = self.buf.capacity() - self.buf.len() < DIRECT_BYTES_MIN.min(end - self.buf.len());
        let first = (self.buf.len() * PARTIAL_FACTOR).clamp(2 * DIRECT_BYTES_MIN, PARTIAL_BYTES_START);
        let grown = (self.buf.capacity() * 2).max(first);
        let capacity = match full {
            false => self.buf.capacity(),
            // A little more saves a last copy of the whole frame.
            true if grown + DIRECT_BYTES_MIN >= end => end,
            true => grown,
        };
        Want::Own { capacity }
    }

    /// Gives the buffer to the runtime for receiving, with at least this capacity.
    pub fn lend(&mut self, capacity: usize) -> BytesMut {
        self.spare = 0;
        let mut buf = std::mem::take(&mut self.buf);
        if buf.capacity() < capacity {
            buf.reserve(capacity - buf.len());
        }
        buf
    }

    /// Takes the buffer back.
    pub fn give_back(&mut self, buf: BytesMut) {
        self.buf = buf;
    }

    /// Cuts `end` bytes off the front; a small rest moves out so that it does not keep a large frame's memory.
    fn take(&mut self, end: usize) -> Bytes {
        if self.buf.len() == end && (SPARE_BYTES_MIN..=SPARE_BYTES_MAX).contains(&end) {
            self.spare = end;
            return self.buf.split().freeze();
        }
        self.spare = 0;
        if self.buf.len() == end {
            return std::mem::take(&mut self.buf).freeze();
        }
        let frame = self.buf.split_to(end).freeze();
        if self.buf.len() < DIRECT_BYTES_MIN && end > DIRECT_BYTES_MIN {
            self.buf = BytesMut::from(&self.buf[..]);
        }
        frame
    }
}

/// Where the first frame ends, prefix included; `None` while the prefix is not here.
fn frame_end(bytes: &[u8], frame_bytes_max: usize) -> Result<Option<usize>, FrameError> {
    let Some(prefix) = bytes.first_chunk::<4>() else {
        return Ok(None);
    };
    let declared = i32::from_be_bytes(*prefix);
    match usize::try_from(declared) {
        Ok(len) if len > frame_bytes_max => Err(FrameError::Long(declared)),
        Ok(len) if len >= FRAME_BYTES_MIN => Ok(Some(4 + len)),
        _ => Err(FrameError::Short(declared)),
    }
}
