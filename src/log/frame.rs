//! A frame: fixed-size header and payload. The same bytes stand in the journal, in the segment and go to followers.
//!
//! Invariants: the header checksum covers the header and, for batches, the 21 payload bytes that the batch's own CRC leaves
//! out; the payload checksum of a batch *is* the batch's CRC-32C, so a batch is summed once on its way in. Identity
//! (topic, partition, offsets) is inside the checksum: a good frame in the wrong place is a bad frame. `prev_crc` chains the
//! frames of one partition. The end of a log is where the chain breaks, never a field that is zero.

use crate::base::buf::BLOCK;
use crate::base::ids::{PartitionId, TopicId};
use rkyv::api::serialize_using;
use rkyv::rancor::{Error, Panic};
use rkyv::ser::writer::Buffer;
use rkyv::{Archive, Deserialize, Serialize};

/// "RLF1", first bytes of every frame.
pub const FRAME_MAGIC: u32 = 0x3146_4c52;
/// Format version of frames.
pub const FRAME_VERSION: u8 = 1;
/// Bytes of an archived header.
pub const FRAME_HEADER: usize = 72;
/// No log gets this far; offsets below it can be counted on without overflow.
pub const OFFSET_MAX: i64 = 1 << 62;
/// Bytes of a record batch that its own CRC does not cover (base offset, length, leader epoch, magic, CRC).
const BATCH_PREFIX: usize = 21;

const _: () = assert!(std::mem::size_of::<ArchivedFrameHeader>() == FRAME_HEADER);

/// What a frame carries.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FrameKind {
    /// One Kafka record batch.
    Batch,
    /// One metadata record (shard 0's journal only); `base_offset` is its number.
    Meta,
    /// The partition's log start moved to `base_offset`. No payload.
    LogStart,
    /// Filler up to a block boundary in a segment.
    Pad,
}

impl FrameKind {
    fn to_u8(self) -> u8 {
        match self {
            FrameKind::Batch => 1,
            FrameKind::Meta => 2,
            FrameKind::LogStart => 3,
            FrameKind::Pad => 4,
        }
    }
    fn from_u8(value: u8) -> Option<Self> {
        Some(match value {
            1 => FrameKind::Batch,
            2 => FrameKind::Meta,
            3 => FrameKind::LogStart,
            4 => FrameKind::Pad,
            _ => return None,
        })
    }
}

#[derive(Archive, Serialize, Deserialize)]
struct FrameHeader {
    magic: u32,
    version: u8,
    kind: u8,
    reserved: u16,
    topic: [u8; 16],
    partition: u32,
    leader_epoch: i32,
    base_offset: i64,
    last_offset: i64,
    max_timestamp: i64,
    payload_len: u32,
    payload_crc: u32,
    prev_crc: u32,
    header_crc: u32,
}

/// A verified header, as plain values.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Frame {
    /// What it carries.
    pub kind: FrameKind,
    /// Whose it is.
    pub partition: PartitionId,
    /// Leader epoch of the append.
    pub leader_epoch: i32,
    /// First offset.
    pub base_offset: i64,
    /// Last offset (inclusive).
    pub last_offset: i64,
    /// Largest record timestamp, milliseconds.
    pub max_timestamp: i64,
    /// Payload bytes behind the header.
    pub payload_len: u32,
    /// CRC-32C of the payload (for a batch: from its byte 21 on).
    pub payload_crc: u32,
    /// `header_crc` of the partition's previous frame, 0 for the first.
    pub prev_crc: u32,
    /// This frame's checksum.
    pub header_crc: u32,
}

impl Frame {
    /// Header and payload bytes.
    pub fn len(&self) -> usize {
        FRAME_HEADER + self.payload_len as usize
    }
    /// Never: a frame has a header.
    pub fn is_empty(&self) -> bool {
        false
    }
}

/// Why bytes are not a frame.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FrameError {
    /// Fewer bytes than a header or than the header announces.
    Short,
    /// No frame magic.
    Magic,
    /// Written by a newer version.
    Version(u8),
    /// Header checksum or field wrong.
    Header,
    /// Offsets that no append makes: the checksum holds, so it was written so.
    Offsets,
    /// Payload checksum wrong.
    Payload,
    /// A good frame of another partition.
    Foreign,
    /// A good frame that does not continue the one before; its first offset.
    Order(i64),
}

impl std::fmt::Display for FrameError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            FrameError::Short => write!(f, "frame is cut short"),
            FrameError::Magic => write!(f, "no frame starts here"),
            FrameError::Version(v) => write!(f, "frame version {v} is newer than this program"),
            FrameError::Header => write!(f, "frame header checksum is wrong"),
            FrameError::Offsets => write!(f, "frame holds offsets that cannot be"),
            FrameError::Payload => write!(f, "frame payload checksum is wrong"),
            FrameError::Foreign => write!(f, "the frame belongs to another partition"),
            FrameError::Order(offset) => write!(f, "the frame with offset {offset} does not belong there"),
        }
    }
}

/// Writes the header of `frame` (its `header_crc` is computed) for `payload`; returns the header bytes and the checksum.
pub fn encode_header(frame: &Frame, payload: &[u8]) -> ([u8; FRAME_HEADER], u32) {
    let header = FrameHeader {
        magic: FRAME_MAGIC,
        version: FRAME_VERSION,
        kind: frame.kind.to_u8(),
        reserved: 0,
        topic: frame.partition.topic.0,
        partition: frame.partition.partition,
        leader_epoch: frame.leader_epoch,
        base_offset: frame.base_offset,
        last_offset: frame.last_offset,
        max_timestamp: frame.max_timestamp,
        payload_len: frame.payload_len,
        payload_crc: frame.payload_crc,
        prev_crc: frame.prev_crc,
        header_crc: 0,
    };
    let mut bytes = [0u8; FRAME_HEADER];
    // A fixed-size struct into a buffer of its exact size cannot fail.
    let _ = serialize_using::<_, Panic>(&header, &mut Buffer::from(&mut bytes));
    let crc = header_crc(frame.kind, &bytes, payload);
    bytes[FRAME_HEADER - 4..].copy_from_slice(&crc.to_le_bytes());
    (bytes, crc)
}

fn header_crc(kind: FrameKind, header: &[u8], payload: &[u8]) -> u32 {
    let crc = crc32c::crc32c(&header[..FRAME_HEADER - 4]);
    match kind {
        FrameKind::Batch => crc32c::crc32c_append(crc, &payload[..payload.len().min(BATCH_PREFIX)]),
        _ => crc,
    }
}

/// CRC-32C of a payload as the frame stores it.
pub fn payload_crc(kind: FrameKind, payload: &[u8]) -> u32 {
    match kind {
        FrameKind::Batch => crc32c::crc32c(payload.get(BATCH_PREFIX..).unwrap_or_default()),
        FrameKind::Pad => 0,
        _ => crc32c::crc32c(payload),
    }
}

/// Reads and verifies the header at the start of `bytes`; the payload must be there, its own checksum is not looked at.
pub fn decode_header(bytes: &[u8]) -> Result<Frame, FrameError> {
    let head = bytes.get(..FRAME_HEADER).ok_or(FrameError::Short)?;
    let archived = rkyv::access::<ArchivedFrameHeader, Error>(head).map_err(|_| FrameError::Header)?;
    if archived.magic.to_native() != FRAME_MAGIC {
        return Err(FrameError::Magic);
    }
    if archived.version > FRAME_VERSION {
        return Err(FrameError::Version(archived.version));
    }
    let frame = Frame {
        kind: FrameKind::from_u8(archived.kind).ok_or(FrameError::Header)?,
        partition: PartitionId {
            topic: TopicId(archived.topic),
            partition: archived.partition.to_native(),
        },
        leader_epoch: archived.leader_epoch.to_native(),
        base_offset: archived.base_offset.to_native(),
        last_offset: archived.last_offset.to_native(),
        max_timestamp: archived.max_timestamp.to_native(),
        payload_len: archived.payload_len.to_native(),
        payload_crc: archived.payload_crc.to_native(),
        prev_crc: archived.prev_crc.to_native(),
        header_crc: archived.header_crc.to_native(),
    };
    let payload = bytes[FRAME_HEADER..]
        .get(..frame.payload_len as usize)
        .ok_or(FrameError::Short)?;
    if header_crc(frame.kind, head, payload) != frame.header_crc {
        return Err(FrameError::Header);
    }
    if !(0 <= frame.base_offset && frame.base_offset <= frame.last_offset && frame.last_offset < OFFSET_MAX) {
        return Err(FrameError::Offsets);
    }
    Ok(frame)
}

/// Reads and verifies a whole frame, payload included.
pub fn decode(bytes: &[u8]) -> Result<Frame, FrameError> {
    let frame = decode_header(bytes)?;
    let payload = &bytes[FRAME_HEADER..frame.len()];
    if payload_crc(frame.kind, payload) != frame.payload_crc {
        return Err(FrameError::Payload);
    }
    Ok(frame)
}

/// Length of the filler that closes a destage write of `len` bytes at a block boundary: 0, or header and zeros.
/// A gap too small for a header is left as zeros; readers skip to the next block there (see [`next_frame_at`]).
pub fn pad_len(len: usize) -> usize {
    (BLOCK - len % BLOCK) % BLOCK
}

/// Where the next frame starts in `bytes` (segment bytes from a block boundary on) at or behind `at`. A gap before a block boundary
/// that is too small for a header is skipped when it holds zeros; inside of a write, frames start at any byte.
pub fn next_frame_at(bytes: &[u8], at: usize) -> usize {
    let gap = (BLOCK - at % BLOCK) % BLOCK;
    let filler = gap < FRAME_HEADER && bytes.get(at) == Some(&0);
    if filler { at + gap } else { at }
}

/// Fills `gap` (the rest of a block) with a pad frame, or zeros when it is too small for a header.
pub fn write_pad(gap: &mut [u8], partition: PartitionId, next_offset: i64) {
    gap.fill(0);
    if gap.len() < FRAME_HEADER {
        return;
    }
    let frame = Frame {
        kind: FrameKind::Pad,
        partition,
        leader_epoch: 0,
        base_offset: next_offset,
        last_offset: next_offset,
        max_timestamp: -1,
        payload_len: (gap.len() - FRAME_HEADER) as u32,
        payload_crc: 0,
        prev_crc: 0,
        header_crc: 0,
    };
    let (header, _) = encode_header(&frame, &[]);
    gap[..FRAME_HEADER].copy_from_slice(&header);
}
