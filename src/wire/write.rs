//! The primitives every encoder uses, on top of `BytesMut`.
//!
//! Writing cannot fail: what has no form on the wire (a string above 32767 bytes, which Kafka refuses to write too) is cut
//! at a character boundary. Must not know messages or versions.

use crate::base::ids::TopicId;
use bytes::{BufMut, BytesMut};

/// Largest string on the wire, bytes (Kafka checks it for compact strings too).
pub const MAX_STRING: usize = i16::MAX as usize;

/// Bytes that [`put_uvarint`] writes for `value`.
pub const fn uvarint_len(value: u32) -> usize {
    match value {
        0..0x80 => 1,
        0x80..0x4000 => 2,
        0x4000..0x20_0000 => 3,
        0x20_0000..0x1000_0000 => 4,
        _ => 5,
    }
}

/// Bytes that [`put_varlong`] (or [`put_varint`]) writes for `value`.
pub const fn varlong_len(value: i64) -> usize {
    let bits = 64 - (zigzag(value) | 1).leading_zeros() as usize;
    bits.div_ceil(7)
}

const fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)) as u64
}

/// An unsigned variable-length integer.
pub fn put_uvarint(out: &mut impl BufMut, value: u32) {
    put_base128(out, u64::from(value));
}

/// A zigzag integer of 32 bits.
pub fn put_varint(out: &mut impl BufMut, value: i32) {
    put_base128(out, zigzag(value.into()));
}

/// A zigzag integer of 64 bits.
pub fn put_varlong(out: &mut impl BufMut, value: i64) {
    put_base128(out, zigzag(value));
}

fn put_base128(out: &mut impl BufMut, mut value: u64) {
    while value >= 0x80 {
        out.put_u8((value as u8 & 0x7f) | 0x80);
        value >>= 7;
    }
    out.put_u8(value as u8);
}

/// A nullable string: i16 length, or compact.
pub fn put_nullable_str(out: &mut BytesMut, text: Option<&str>, compact: bool) {
    match text {
        Some(text) => put_str(out, text, compact),
        None if compact => out.put_u8(0),
        None => out.put_i16(-1),
    }
}

/// A string: i16 length, or compact. Cut to [`MAX_STRING`] bytes.
pub fn put_str(out: &mut BytesMut, text: &str, compact: bool) {
    let text = cut(text);
    if compact {
        put_uvarint(out, text.len() as u32 + 1);
    } else {
        out.put_i16(text.len() as i16);
    }
    out.put_slice(text.as_bytes());
}

fn cut(text: &str) -> &str {
    let mut end = text.len().min(MAX_STRING);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or(text)
}

/// Element count of an array, or length of a byte field; `None` = null.
pub fn put_count(out: &mut BytesMut, count: Option<usize>, compact: bool) {
    match (count, compact) {
        (Some(count), true) => put_uvarint(out, count as u32 + 1),
        (None, true) => out.put_u8(0),
        (Some(count), false) => out.put_i32(count as i32),
        (None, false) => out.put_i32(-1),
    }
}

/// A topic id.
pub fn put_topic_id(out: &mut BytesMut, id: TopicId) {
    out.put_slice(&id.0);
}

/// Writes a frame: a four-byte length, which is filled in afterwards, and what `body` writes.
pub fn framed(out: &mut BytesMut, body: impl FnOnce(&mut BytesMut)) {
    let start = out.len();
    out.put_i32(0);
    body(out);
    let length = (out.len() - start - 4) as i32;
    if let Some(prefix) = out.get_mut(start..start + 4) {
        prefix.copy_from_slice(&length.to_be_bytes());
    }
}
