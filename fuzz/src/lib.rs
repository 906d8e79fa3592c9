//! What the targets share: values drawn from a fuzzer's bytes, and frames and blocks whose checksums are right, or nothing
//! would get past them.

use ringlog::base::ids::{PartitionId, TopicId};
use ringlog::log::block::{self, Block};
use ringlog::log::checkpoint::{Checkpoint, PartitionCheckpoint, ProducerCheckpoint, SegmentCheckpoint};
use ringlog::log::frame::{self, Frame, FrameKind};

/// The topic that drawn frames belong to.
pub const TOPIC: TopicId = TopicId([7; 16]);

/// Takes values off the input; zeros when it is used up.
pub struct Draw<'a> {
    rest: &'a [u8],
}

impl<'a> Draw<'a> {
    /// All of the input.
    pub fn new(rest: &'a [u8]) -> Self {
        Draw { rest }
    }
    /// True when nothing is left.
    pub fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }
    /// What is left.
    pub fn rest(&self) -> &'a [u8] {
        self.rest
    }
    /// Up to `len` bytes.
    pub fn bytes(&mut self, len: usize) -> &'a [u8] {
        let (taken, rest) = self.rest.split_at(len.min(self.rest.len()));
        self.rest = rest;
        taken
    }
    /// One byte.
    pub fn byte(&mut self) -> u8 {
        self.bytes(1).first().copied().unwrap_or(0)
    }
    /// Two bytes.
    pub fn short(&mut self) -> u16 {
        u16::from(self.byte()) << 8 | u16::from(self.byte())
    }
    /// A number: mostly small, sometimes at an edge, sometimes anything.
    pub fn number(&mut self) -> i64 {
        match self.byte() {
            250 => i64::MAX,
            251 => i64::MIN,
            252 => -1,
            253 => i64::MAX - i64::from(self.byte()),
            254 => i64::from(self.short()),
            255 => {
                let mut raw = [0; 8];
                let taken = self.bytes(8);
                raw[..taken.len()].copy_from_slice(taken);
                i64::from_be_bytes(raw)
            }
            small => i64::from(small),
        }
    }
}

/// Where a partition's chain of frames has got to.
#[derive(Clone, Copy, Default)]
pub struct Chain {
    /// Next offset.
    pub end: i64,
    /// Checksum of the last frame.
    pub crc: u32,
}

/// A frame with right checksums. Mostly it continues `chain`, which moves behind it.
pub fn draw_frame(draw: &mut Draw, partition: u32, chain: &mut Chain) -> Vec<u8> {
    let shape = draw.byte();
    let kind = match shape % 16 {
        12 => FrameKind::Meta,
        13 => FrameKind::LogStart,
        14 => FrameKind::Pad,
        _ => FrameKind::Batch,
    };
    let base_offset = if shape & 0x10 != 0 { draw.number() } else { chain.end };
    let last_offset = match shape & 0x20 != 0 {
        true => draw.number(),
        false => base_offset.saturating_add(i64::from(draw.byte() % 8)),
    };
    let len = usize::from(draw.byte()) * if shape & 0x80 != 0 { 64 } else { 1 };
    let payload = draw.bytes(len);
    let frame = Frame {
        kind,
        partition: PartitionId {
            topic: TOPIC,
            partition,
        },
        leader_epoch: i32::from(shape & 0x40 != 0),
        base_offset,
        last_offset,
        max_timestamp: 1,
        payload_len: payload.len() as u32,
        payload_crc: frame::payload_crc(kind, payload),
        prev_crc: chain.crc,
        header_crc: 0,
    };
    let (header, crc) = frame::encode_header(&frame, payload);
    if kind == FrameKind::Batch {
        (chain.end, chain.crc) = (last_offset.wrapping_add(1), crc);
    }
    [&header, payload].concat()
}

/// A whole block around frames, its length padded; `fields` is given the header's other values to set.
pub fn block_of(frames: &[Vec<u8>], fields: impl FnOnce(&mut Block)) -> (Vec<u8>, u32) {
    let mut bytes = vec![0; block::BLOCK_HEADER];
    let mut frames_crc = 0;
    for content in frames {
        let crc = [content[68], content[69], content[70], content[71]];
        frames_crc = block::add_frame_crc(frames_crc, u32::from_le_bytes(crc));
        bytes.extend_from_slice(content);
    }
    let mut header = Block {
        shard: 0,
        run_id: 1,
        lsn: 1,
        durable_lsn: 0,
        prev_crc: 0,
        len: bytes.len() as u32,
        frame_count: frames.len() as u32,
        frames_crc,
        header_crc: 0,
    };
    fields(&mut header);
    let crc = block::encode(&header, &mut bytes);
    bytes.resize(bytes.len().next_multiple_of(4096), 0);
    (bytes, crc)
}

/// Up to three changed bytes, if the input has more.
pub fn spoil(draw: &mut Draw, bytes: &mut [u8]) {
    for _ in 0..3 {
        if draw.is_empty() || bytes.is_empty() {
            return;
        }
        let at = usize::from(draw.short()) % bytes.len();
        bytes[at] = draw.byte();
    }
}

/// A checkpoint of any values.
pub fn draw_checkpoint(draw: &mut Draw) -> Checkpoint {
    let mut saved = Checkpoint {
        generation: draw.number() as u64,
        start_lsn: draw.number() as u64,
        start_prev_crc: u32::from(draw.byte()),
        meta_end: draw.number(),
        durable_lsn: u64::from(draw.byte() % 4),
        ..Checkpoint::default()
    };
    for partition in 0..u32::from(draw.byte() % 4) {
        let mut part = PartitionCheckpoint {
            topic: TOPIC.0,
            partition,
            log_start: draw.number(),
            flushed_end: draw.number(),
            last_crc: u32::from(draw.byte()),
            ..PartitionCheckpoint::default()
        };
        let shape = draw.byte();
        part.epochs
            .extend((0..shape % 3).map(|_| (draw.byte().into(), draw.number())));
        for _ in 0..shape / 4 % 4 {
            part.segments.push(SegmentCheckpoint {
                base_offset: draw.number(),
                end_offset: draw.number(),
                size: draw.number() as u64,
                max_timestamp: draw.number(),
                created_ms: draw.number(),
                life: draw.number() as u64,
                sealed: draw.byte() & 1 == 1,
                compacted: false,
            });
        }
        for _ in 0..shape / 16 % 3 {
            let batch = |draw: &mut Draw| {
                let (first, last) = (draw.number() as i32, draw.number() as i32);
                (first, last, draw.number(), draw.number(), draw.number())
            };
            part.producers.push(ProducerCheckpoint {
                producer_id: draw.number(),
                epoch: draw.number() as i16,
                last_append_ms: draw.number(),
                batches: (0..draw.byte() % 8).map(|_| batch(draw)).collect(),
            });
        }
        saved.partitions.push(part);
    }
    saved
}
