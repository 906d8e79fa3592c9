//! A journal block: one group commit, holding the frames of all partitions staged in a round.
//!
//! Layout: header, frames back to back, zeros up to a whole number of 4 KiB blocks. The header checksum covers the header,
//! which holds lsn, run id, the previous block's checksum and a checksum over the frames' checksums; every frame guards its
//! own payload. So a block is accepted only as the next lsn of the expected run, and a recycled file's old blocks never are.
//! `durable_lsn` (what was known durable when the block was issued) tells a torn tail from damage (RELIABILITY mode 4). A block
//! without frames is a *mark*: it only says that the block before it is durable.

use crate::base::buf::block_ceil;
use crate::base::planted::{self, Planted};
use crate::log::frame::{self, Frame};
use rkyv::api::serialize_using;
use rkyv::rancor::{Error, Panic};
use rkyv::ser::writer::Buffer;
use rkyv::{Archive, Deserialize, Serialize};

/// "RLB1".
const BLOCK_MAGIC: u32 = 0x3142_4c52;
const BLOCK_VERSION: u16 = 1;
/// Bytes of an archived header.
pub const BLOCK_HEADER: usize = 52;

const _: () = assert!(std::mem::size_of::<ArchivedBlockHeader>() == BLOCK_HEADER);

/// Journal sequence number of a block; the first ever is 1.
pub type Lsn = u64;

/// No journal gets this far; lsns and run ids below it can be counted on without overflow.
pub const LSN_MAX: Lsn = 1 << 62;

#[derive(Archive, Serialize, Deserialize)]
struct BlockHeader {
    magic: u32,
    version: u16,
    shard: u16,
    run_id: u64,
    lsn: u64,
    durable_lsn: u64,
    prev_crc: u32,
    len: u32,
    frame_count: u32,
    frames_crc: u32,
    header_crc: u32,
}

/// A block's header as plain values.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Block {
    /// Whose it is.
    pub shard: u16,
    /// Grows with each start of the shard.
    pub run_id: u64,
    /// Position in the journal's order.
    pub lsn: Lsn,
    /// Highest lsn known durable when this block was issued.
    pub durable_lsn: Lsn,
    /// `header_crc` of block `lsn - 1`.
    pub prev_crc: u32,
    /// Header and frames, without padding.
    pub len: u32,
    /// Number of frames.
    pub frame_count: u32,
    /// Checksum over the frames' header checksums, in order.
    pub frames_crc: u32,
    /// This block's checksum.
    pub header_crc: u32,
}

impl Block {
    /// Bytes on disk.
    pub fn disk_len(&self) -> usize {
        block_ceil(self.len as usize)
    }
    /// True for a block that holds nothing and only says what is durable.
    pub fn is_mark(&self) -> bool {
        self.frame_count == 0
    }
}

/// Extends the checksum over frame checksums by one frame.
pub fn add_frame_crc(frames_crc: u32, header_crc: u32) -> u32 {
    crc32c::crc32c_append(frames_crc, &header_crc.to_le_bytes())
}

/// Writes the header (computing `header_crc`, which is returned) into the first [`BLOCK_HEADER`] bytes of `out`.
pub fn encode(block: &Block, out: &mut [u8]) -> u32 {
    let header = BlockHeader {
        magic: BLOCK_MAGIC,
        version: BLOCK_VERSION,
        shard: block.shard,
        run_id: block.run_id,
        lsn: block.lsn,
        durable_lsn: block.durable_lsn,
        prev_crc: block.prev_crc,
        len: block.len,
        frame_count: block.frame_count,
        frames_crc: block.frames_crc,
        header_crc: 0,
    };
    let mut bytes = [0u8; BLOCK_HEADER];
    // A fixed-size struct into a buffer of its exact size cannot fail.
    let _ = serialize_using::<_, Panic>(&header, &mut Buffer::from(&mut bytes));
    let crc = crc32c::crc32c(&bytes[..BLOCK_HEADER - 4]);
    bytes[BLOCK_HEADER - 4..].copy_from_slice(&crc.to_le_bytes());
    out[..BLOCK_HEADER].copy_from_slice(&bytes);
    crc
}

/// Reads a header; `None` unless its checksum holds and its numbers can be.
pub fn decode_header(bytes: &[u8]) -> Option<Block> {
    let head = bytes.get(..BLOCK_HEADER)?;
    let archived = rkyv::access::<ArchivedBlockHeader, Error>(head).ok()?;
    if archived.magic.to_native() != BLOCK_MAGIC || archived.version.to_native() != BLOCK_VERSION {
        return None;
    }
    let header_crc = archived.header_crc.to_native();
    if crc32c::crc32c(&head[..BLOCK_HEADER - 4]) != header_crc {
        return None;
    }
    let (run_id, lsn) = (archived.run_id.to_native(), archived.lsn.to_native());
    if !(1..LSN_MAX).contains(&lsn) || run_id >= LSN_MAX {
        return None;
    }
    Some(Block {
        shard: archived.shard.to_native(),
        run_id,
        lsn,
        durable_lsn: archived.durable_lsn.to_native(),
        prev_crc: archived.prev_crc.to_native(),
        len: archived.len.to_native(),
        frame_count: archived.frame_count.to_native(),
        frames_crc: archived.frames_crc.to_native(),
        header_crc,
    })
}

/// Verifies a whole block at the start of `bytes`: header, every frame with its payload, and the checksum over them.
/// Returns the frames with their positions in `bytes`; `None` when anything is missing or wrong (a torn block).
pub fn decode(bytes: &[u8]) -> Option<(Block, Vec<(usize, Frame)>)> {
    let block = decode_header(bytes)?;
    let body = bytes.get(..block.len as usize)?;
    let mut at = BLOCK_HEADER;
    let mut frames_crc = 0;
    let mut frames = Vec::new();
    while at < body.len() {
        let unread = planted::is(Planted::TornBlockAccepted);
        let frame = if unread { frame::decode_header } else { frame::decode }(&body[at..]).ok()?;
        frames_crc = add_frame_crc(frames_crc, frame.header_crc);
        frames.push((at, frame));
        at += frame.len();
    }
    let complete = at == body.len() && frames.len() == block.frame_count as usize && frames_crc == block.frames_crc;
    complete.then_some((block, frames))
}
