//! The records inside a batch, read where they lie.
//!
//! Keys, values and headers are slices of the input: order, duplicates and the difference between null and empty are kept.
//! Counts and lengths are believed only as far as the bytes reach. Must not know batch headers or codecs.

use crate::wire::error::Fault;
use crate::wire::read::{Read, Reader};

/// One record, borrowed from the (decompressed) body of its batch.
#[derive(Clone, Debug)]
pub struct Record<'a> {
    /// Unused by Kafka so far.
    pub attributes: i8,
    /// Milliseconds after the batch's base timestamp.
    pub timestamp_delta: i64,
    /// Offset minus the batch's base offset.
    pub offset_delta: i32,
    /// Key.
    pub key: Option<&'a [u8]>,
    /// Value; null is a tombstone in a compacted topic.
    pub value: Option<&'a [u8]>,
    headers: Reader<'a>,
    header_count: usize,
}

/// One header of a record.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Header<'a> {
    /// Key; the protocol says UTF-8, the bytes are kept whatever they are.
    pub key: &'a [u8],
    /// Value.
    pub value: Option<&'a [u8]>,
}

impl<'a> Record<'a> {
    /// Headers of the record.
    pub fn header_count(&self) -> usize {
        self.header_count
    }

    /// The headers in order, duplicates included.
    pub fn headers(&self) -> impl Iterator<Item = Header<'a>> + use<'a> {
        let mut reader = self.headers.clone();
        // The record was walked to its end, so this ends by the count, never by an error.
        (0..self.header_count).map_while(move |_| read_header(&mut reader).ok())
    }
}

/// Walks the records of a body. After an error the walk is over.
#[derive(Clone, Debug)]
pub struct Records<'a> {
    reader: Reader<'a>,
    left: i32,
}

impl<'a> Records<'a> {
    /// The `count` records (`record_count` of the batch header) in a decompressed body.
    pub fn new(body: &'a [u8], count: i32) -> Self {
        Records {
            reader: Reader::new(body),
            left: count,
        }
    }

    /// Bytes of the body that are not walked yet.
    pub fn bytes_left(&self) -> usize {
        self.reader.left()
    }
}

impl<'a> Iterator for Records<'a> {
    type Item = Read<Record<'a>>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.left <= 0 {
            let trailing = self.reader.finish().err()?;
            self.reader = Reader::new(&[]);
            return Some(Err(trailing));
        }
        self.left -= 1;
        let record = read_record(&mut self.reader);
        if record.is_err() {
            *self = Records::new(&[], 0);
        }
        Some(record)
    }
}

/// Checks a decompressed body completely: `count` records that fill it, offset deltas 0, 1, 2 ... (`LogValidator`). Returns
/// the largest timestamp delta.
///
/// # Errors
/// What is wrong and where.
pub fn validate(body: &[u8], count: i32) -> Read<i64> {
    let mut max_timestamp_delta = i64::MIN;
    for (expected, record) in Records::new(body, count).enumerate() {
        let record = record?;
        if i64::from(record.offset_delta) != expected as i64 {
            let at = body.len();
            let fault = Fault::Invalid("the offset deltas of the records are not 0, 1, 2 and so on");
            return Err(crate::wire::error::DecodeError::new(at, fault));
        }
        max_timestamp_delta = max_timestamp_delta.max(record.timestamp_delta);
    }
    Ok(max_timestamp_delta)
}

fn read_record<'a>(reader: &mut Reader<'a>) -> Read<Record<'a>> {
    let length = reader.varint()?;
    let Ok(length) = usize::try_from(length) else {
        return reader.fail(Fault::NegativeLength(length.into()));
    };
    let Some(left_behind) = reader.left().checked_sub(length) else {
        let left = reader.left();
        return reader.fail(Fault::Truncated { needed: length, left });
    };
    let attributes = reader.i8()?;
    let timestamp_delta = reader.varlong()?;
    let offset_delta = reader.varint()?;
    let key = read_nullable(reader)?;
    let value = read_nullable(reader)?;
    let count = reader.varint()?;
    // A header takes at least two bytes.
    let header_count = match usize::try_from(count) {
        Ok(count) if count <= reader.left() / 2 => count,
        Ok(count) => {
            let left = reader.left();
            return reader.fail(Fault::CountTooLarge {
                count: count as u64,
                left,
            });
        }
        Err(_) => return reader.fail(Fault::NegativeLength(count.into())),
    };
    let headers = reader.clone();
    for _ in 0..header_count {
        read_header(reader)?;
    }
    if reader.left() != left_behind {
        return reader.fail(Fault::Invalid("a record does not fill its declared length"));
    }
    Ok(Record {
        attributes,
        timestamp_delta,
        offset_delta,
        key,
        value,
        headers,
        header_count,
    })
}

fn read_header<'a>(reader: &mut Reader<'a>) -> Read<Header<'a>> {
    let Some(key) = read_nullable(reader)? else {
        return reader.fail(Fault::UnexpectedNull);
    };
    let value = read_nullable(reader)?;
    Ok(Header { key, value })
}

/// Bytes behind a varint length; -1 = null.
fn read_nullable<'a>(reader: &mut Reader<'a>) -> Read<Option<&'a [u8]>> {
    match reader.varint()? {
        -1 => Ok(None),
        length => match usize::try_from(length) {
            Ok(length) => reader.take(length).map(Some),
            Err(_) => reader.fail(Fault::NegativeLength(length.into())),
        },
    }
}

#[cfg(test)]
mod tests;
