//! Aligned memory for direct I/O.
//!
//! A [`Chunk`] is written once from front to back by its one [`ChunkWriter`]; what is frozen never changes again and is
//! handed out as [`Bytes`] that keep the chunk alive. This is one of the few modules with `unsafe`: the writer touches only
//! bytes at or above its fill mark, frozen slices lie below it, so readers on other threads never see a write.

use crate::base::pool::BufPool;
use bytes::Bytes;
use std::alloc::{Layout, alloc_zeroed, dealloc, handle_alloc_error};
use std::mem::ManuallyDrop;
use std::ptr::NonNull;
use std::sync::Arc;

/// Alignment of every direct I/O: address, length and file position.
pub const BLOCK: usize = 4096;

/// Rounds up to a whole number of blocks.
pub const fn block_ceil(n: usize) -> usize {
    n.div_ceil(BLOCK) * BLOCK
}

/// Block-aligned memory of a fixed size.
pub struct AlignedBuf {
    /// What was allocated: one block more than `len`, at any alignment.
    raw: NonNull<u8>,
    /// The first block boundary in it.
    ptr: NonNull<u8>,
    len: usize,
}

// SAFETY: AlignedBuf owns its memory exclusively, like a Vec<u8>.
unsafe impl Send for AlignedBuf {}
// SAFETY: shared access only reads.
unsafe impl Sync for AlignedBuf {}

impl AlignedBuf {
    /// Zeroed memory of at least `len` bytes, rounded up to whole blocks.
    pub fn zeroed(len: usize) -> Self {
        let len = block_ceil(len.max(1));
        let layout = Self::layout(len);
        // SAFETY: the layout has a non-zero size.
        let raw = unsafe { alloc_zeroed(layout) };
        let Some(raw) = NonNull::new(raw) else {
            handle_alloc_error(layout)
        };
        // SAFETY: the allocation is one block longer than `len`, so the boundary and `len` bytes after it lie inside.
        let ptr = unsafe { raw.add(raw.align_offset(BLOCK)) };
        AlignedBuf { raw, ptr, len }
    }

    /// Not aligned by the allocator: for large alignments it would clear all memory at once, a millisecond's stall for a
    /// chunk, where plain zeroed memory comes from the kernel page by page.
    fn layout(len: usize) -> Layout {
        match Layout::from_size_align(len + BLOCK, align_of::<u64>()) {
            Ok(layout) => layout,
            Err(_) => panic!("buffer of {len} bytes exceeds the address space"),
        }
    }
    /// Address for the kernel.
    pub fn as_ptr(&self) -> *const u8 {
        self.ptr.as_ptr()
    }
    /// Address for the kernel to fill.
    pub fn as_mut_ptr(&mut self) -> *mut u8 {
        self.ptr.as_ptr()
    }
    /// Turns the first `len` bytes (at most the whole) into shared immutable bytes.
    pub fn freeze(self, len: usize) -> Bytes {
        let len = len.min(self.len);
        Bytes::from_owner(self).slice(..len)
    }
}

impl AsRef<[u8]> for AlignedBuf {
    fn as_ref(&self) -> &[u8] {
        // SAFETY: ptr is valid for len initialised bytes for the life of self.
        unsafe { std::slice::from_raw_parts(self.ptr.as_ptr(), self.len) }
    }
}

impl AsMut<[u8]> for AlignedBuf {
    fn as_mut(&mut self) -> &mut [u8] {
        // SAFETY: as above, and self is borrowed exclusively.
        unsafe { std::slice::from_raw_parts_mut(self.ptr.as_ptr(), self.len) }
    }
}

impl Drop for AlignedBuf {
    fn drop(&mut self) {
        // SAFETY: allocated by `zeroed` with the same layout.
        unsafe { dealloc(self.raw.as_ptr(), Self::layout(self.len)) }
    }
}

/// Memory shared between one writer and the readers of what it froze.
struct Chunk {
    memory: ManuallyDrop<AlignedBuf>,
    /// Where the memory goes in the end.
    pool: Option<BufPool>,
}

impl Drop for Chunk {
    fn drop(&mut self) {
        // SAFETY: taken once, here, and never used again.
        let memory = unsafe { ManuallyDrop::take(&mut self.memory) };
        if let Some(pool) = self.pool.take() {
            pool.give_back(memory);
        }
    }
}

/// A frozen range of a chunk; keeps the whole chunk alive.
struct Frozen {
    chunk: Arc<Chunk>,
    start: usize,
    end: usize,
}

impl AsRef<[u8]> for Frozen {
    fn as_ref(&self) -> &[u8] {
        // SAFETY: start..end was filled before it was frozen and the only writer never goes below its fill mark again.
        unsafe { std::slice::from_raw_parts(self.chunk.memory.as_ptr().add(self.start), self.end - self.start) }
    }
}

/// The single writer of a chunk: fills it from front to back.
pub struct ChunkWriter {
    chunk: Arc<Chunk>,
    filled: usize,
    frozen: usize,
}

impl ChunkWriter {
    /// A new zeroed chunk of `capacity` bytes, rounded up to whole blocks.
    pub fn new(capacity: usize) -> Self {
        Self::over(AlignedBuf::zeroed(capacity), None)
    }
    /// A chunk over memory of any content, which goes back to `pool` with the last of its bytes.
    pub fn recycled(memory: AlignedBuf, pool: BufPool) -> Self {
        Self::over(memory, Some(pool))
    }

    fn over(memory: AlignedBuf, pool: Option<BufPool>) -> Self {
        ChunkWriter {
            chunk: Arc::new(Chunk {
                memory: ManuallyDrop::new(memory),
                pool,
            }),
            filled: 0,
            frozen: 0,
        }
    }
    /// Whole size in bytes.
    pub fn capacity(&self) -> usize {
        self.chunk.memory.len
    }
    /// Bytes written so far; the next write starts here.
    pub fn filled(&self) -> usize {
        self.filled
    }
    /// Bytes left.
    pub fn room(&self) -> usize {
        self.capacity() - self.filled
    }
    /// Appends `bytes`.
    ///
    /// # Panics
    /// When they exceed [`room`](Self::room): a bug of the caller.
    pub fn append(&mut self, bytes: &[u8]) {
        self.tail(bytes.len()).copy_from_slice(bytes);
        self.filled += bytes.len();
    }
    /// Makes the next `len` bytes zero and moves on.
    pub fn skip(&mut self, len: usize) {
        self.tail(len).fill(0);
        self.filled += len;
    }
    /// Bytes written but not yet frozen, for patching in place, from chunk position `at`.
    pub fn unfrozen_mut(&mut self, at: usize, len: usize) -> &mut [u8] {
        assert!(
            at >= self.frozen && at + len <= self.filled,
            "range is frozen or unwritten"
        );
        // SAFETY: the range is filled and not frozen, so no reader holds it; self is borrowed exclusively.
        unsafe { std::slice::from_raw_parts_mut(self.chunk.memory.ptr.as_ptr().add(at), len) }
    }
    /// Freezes everything up to `end` (chunk position) and returns `start..end` as shared bytes.
    pub fn freeze(&mut self, start: usize, end: usize) -> Bytes {
        assert!(start <= end && end <= self.filled, "cannot freeze what is not written");
        self.frozen = self.frozen.max(end);
        Bytes::from_owner(Frozen {
            chunk: self.chunk.clone(),
            start,
            end,
        })
    }

    fn tail(&mut self, len: usize) -> &mut [u8] {
        assert!(len <= self.room(), "chunk overflow");
        // SAFETY: at or above the fill mark nothing is frozen, so no reader holds the range.
        unsafe { std::slice::from_raw_parts_mut(self.chunk.memory.ptr.as_ptr().add(self.filled), len) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frozen_bytes_keep_their_content_while_the_writer_goes_on() {
        let mut writer = ChunkWriter::new(BLOCK);
        writer.append(b"hello");
        let first = writer.freeze(0, 5);
        writer.append(b" world");
        let all = writer.freeze(0, 11);
        drop(writer);
        assert_eq!(&first[..], b"hello");
        assert_eq!(&all[..], b"hello world");
        assert_eq!(first.as_ptr() as usize % BLOCK, 0);
    }

    #[test]
    #[should_panic(expected = "frozen")]
    fn frozen_bytes_cannot_be_patched() {
        let mut writer = ChunkWriter::new(BLOCK);
        writer.append(b"hello");
        writer.freeze(0, 5);
        writer.unfrozen_mut(0, 1)[0] = 1;
    }
}
