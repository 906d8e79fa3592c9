//! Record batches (magic 2): built from records, and taken apart again with their checksum verified.

use super::wire::{Decoder, Encoder};
use crate::error::{Error, Result};

const CRC_AT: usize = 17;
const AFTER_CRC: usize = 21;

/// Who writes a batch: the identity the broker deduplicates by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Producer {
    /// Producer id given by the broker.
    pub id: i64,
    /// Producer epoch given by the broker.
    pub epoch: i16,
}

/// One record, owned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Milliseconds since 1970.
    pub timestamp: i64,
    /// Key bytes.
    pub key: Vec<u8>,
    /// Value bytes.
    pub value: Vec<u8>,
    /// One header, name and value.
    pub header: (String, Vec<u8>),
}

/// Encodes an uncompressed batch with base offset 0. `base_sequence` is that of the first record.
pub fn encode(producer: Producer, base_sequence: i32, records: &[Record]) -> Vec<u8> {
    let first = records.first().map_or(0, |record| record.timestamp);
    let max = records.iter().map(|record| record.timestamp).max().unwrap_or(0);
    let mut out = Encoder::default();
    out.i64(0).i32(0).i32(-1).i8(2).i32(0); // base offset, length, leader epoch, magic, CRC
    out.i16(0).i32(records.len() as i32 - 1).i64(first).i64(max);
    out.i64(producer.id)
        .i16(producer.epoch)
        .i32(base_sequence)
        .i32(records.len() as i32);
    for (index, record) in records.iter().enumerate() {
        let mut body = Encoder::default();
        body.i8(0).varint(record.timestamp - first).varint(index as i64);
        body.varint(record.key.len() as i64).raw(&record.key);
        body.varint(record.value.len() as i64).raw(&record.value);
        let (name, value) = &record.header;
        body.varint(1)
            .varint(name.len() as i64)
            .raw(name.as_bytes())
            .varint(value.len() as i64)
            .raw(value);
        out.varint(body.0.len() as i64).raw(&body.0);
    }
    let mut bytes = out.0;
    let length = (bytes.len() - 12) as i32;
    bytes[8..12].copy_from_slice(&length.to_be_bytes());
    let crc = crc32c::crc32c(&bytes[AFTER_CRC..]);
    bytes[CRC_AT..AFTER_CRC].copy_from_slice(&crc.to_be_bytes());
    bytes
}

/// Calls `each` with offset and record for all whole batches in `bytes` (a trailing part of a batch is left out).
///
/// # Errors
/// A batch that is not as the rig sent it: bad checksum, wrong magic, compressed, or malformed records.
pub fn decode(mut bytes: &[u8], mut each: impl FnMut(i64, Record)) -> Result<()> {
    while bytes.len() >= 12 {
        let mut head = Decoder(bytes);
        let (base, length) = (head.i64()?, head.i32()?);
        let total = 12 + usize::try_from(length).map_err(|_| Error::new(format!("batch length {length}")))?;
        if total > bytes.len() {
            break;
        }
        decode_one(base, &bytes[..total], &mut each)
            .map_err(|error| Error::new(format!("batch at offset {base}: {error}")))?;
        bytes = &bytes[total..];
    }
    Ok(())
}

fn decode_one(base: i64, batch: &[u8], each: &mut impl FnMut(i64, Record)) -> Result<()> {
    let mut fields = Decoder(batch);
    fields.take(16)?;
    let (magic, crc) = (fields.i8()?, fields.i32()? as u32);
    if magic != 2 {
        return Err(Error::new(format!("magic {magic}, not 2")));
    }
    let found = crc32c::crc32c(fields.0);
    if found != crc {
        return Err(Error::new(format!("checksum {found:08x}, header says {crc:08x}")));
    }
    let attributes = fields.i16()?;
    if attributes & 0x27 != 0 {
        return Err(Error::new(format!(
            "attributes {attributes:#x}: compressed or control, which nobody sent"
        )));
    }
    let (_last_delta, first, _max) = (fields.i32()?, fields.i64()?, fields.i64()?);
    let (_id, _epoch, _sequence, count) = (fields.i64()?, fields.i16()?, fields.i32()?, fields.i32()?);
    for _ in 0..count {
        let len = usize::try_from(fields.varint()?).map_err(|_| Error::new("negative record length"))?;
        let mut body = Decoder(fields.take(len)?);
        body.i8()?;
        let (timestamp, delta) = (first + body.varint()?, body.varint()?);
        let (key, value) = (part(&mut body)?, part(&mut body)?);
        let headers = body.varint()?;
        let name = if headers > 0 { part(&mut body)? } else { Vec::new() };
        let header = (
            String::from_utf8_lossy(&name).into_owned(),
            if headers > 0 { part(&mut body)? } else { Vec::new() },
        );
        each(
            base + delta,
            Record {
                timestamp,
                key,
                value,
                header,
            },
        );
    }
    Ok(())
}

fn part(body: &mut Decoder<'_>) -> Result<Vec<u8>> {
    let len = body.varint()?.max(0) as usize;
    Ok(body.take(len)?.to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batch_round_trips_and_a_flipped_bit_is_noticed() {
        let record = |n: i64| Record {
            timestamp: 1_000 + n * 70,
            key: vec![n as u8; 3],
            value: vec![9; 300],
            header: ("h".into(), vec![1, 2]),
        };
        let records: Vec<_> = (0..4).map(record).collect();
        let mut bytes = encode(Producer { id: 7, epoch: 1 }, 12, &records);
        let mut seen = Vec::new();
        decode(&bytes, |offset, record| seen.push((offset, record))).expect("valid batch");
        assert_eq!(seen, (0..4).zip(records).collect::<Vec<_>>());
        let last = bytes.len() - 1;
        bytes[last] ^= 1;
        assert!(decode(&bytes, |_, _| ()).is_err());
    }
}
