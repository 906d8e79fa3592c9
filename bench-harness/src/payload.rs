//! The Produce request of a run: built once, patched in place for every send; and the reader of its records.
//!
//! Each record value starts with a header (run id, producer, partition, sequence, intended send time) followed by filler
//! fixed for the run, so that a reader can tell lost, duplicated, reordered and changed records apart.

use crate::proto::{CLIENT_ID, Malformed, PRODUCE, PRODUCE_VERSION, Reader, Writer};

/// Bytes of the header at the start of each record value; the smallest record size.
pub const HEADER_BYTES: usize = 32;
/// Bytes of a Kafka v2 batch before its records.
const BATCH_HEADER_BYTES: usize = 61;

/// What a request carries; the same for every request of a run.
#[derive(Clone, Debug)]
pub struct Shape {
    /// Topic name.
    pub topic: String,
    /// 0, 1 or -1 (all).
    pub acks: i16,
    /// Broker-side timeout, ms.
    pub timeout_ms: i32,
    /// Records in the batch, at least 1.
    pub records: u32,
    /// Bytes of a record value, at least [`HEADER_BYTES`].
    pub record_bytes: usize,
    /// Marks this run's records.
    pub run_id: u64,
}

/// What differs from request to request.
#[derive(Clone, Copy, Debug)]
pub struct Stamp {
    /// Correlation id.
    pub correlation: i32,
    /// Partition index.
    pub partition: u32,
    /// Load-client producer number (the connection).
    pub producer: u32,
    /// Sequence of the first record for this producer and partition, from 0.
    pub sequence: u64,
    /// Intended send time, `CLOCK_MONOTONIC` ns.
    pub intended_ns: u64,
    /// Kafka producer id and epoch of an idempotent producer.
    pub identity: Option<(i64, i16)>,
    /// Record timestamp, ms since 1970.
    pub wall_ms: i64,
}

/// A complete request frame and the places to patch.
pub struct Template {
    bytes: Vec<u8>,
    partition_at: usize,
    batch_at: usize,
    value_at: Vec<usize>,
    shape: Shape,
}

impl Template {
    /// Builds the frame for `shape`.
    pub fn new(shape: &Shape) -> Template {
        let filler = filler(shape.run_id, shape.record_bytes);
        let mut batch = Writer::default();
        batch.0.resize(BATCH_HEADER_BYTES, 0);
        let mut value_in_batch = Vec::with_capacity(shape.records as usize);
        for delta in 0..shape.records {
            append_record(&mut batch, delta, &filler, &mut value_in_batch);
        }
        fill_batch_header(&mut batch.0, shape.records);
        let mut w = Writer::request(PRODUCE, PRODUCE_VERSION, 0, true);
        w.uvarint(0)
            .i16(shape.acks)
            .i32(shape.timeout_ms)
            .uvarint(2)
            .compact_string(&shape.topic)
            .uvarint(2);
        let partition_at = w.0.len();
        w.i32(0).uvarint(batch.0.len() as u64 + 1);
        let batch_at = w.0.len();
        w.0.extend_from_slice(&batch.0);
        w.tags().tags().tags();
        let value_at = value_in_batch.iter().map(|at| at + batch_at).collect();
        Template {
            bytes: w.finish(),
            partition_at,
            batch_at,
            value_at,
            shape: shape.clone(),
        }
    }

    /// The unpatched frame.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Length of every frame of this run, bytes.
    pub fn frame_bytes(&self) -> usize {
        self.bytes.len()
    }

    /// Writes `stamp` into `frame`, a copy of [`Template::bytes`], and sets the batch CRC.
    pub fn patch(&self, frame: &mut [u8], stamp: &Stamp) {
        put(frame, 8, &stamp.correlation.to_be_bytes());
        put(frame, self.partition_at, &stamp.partition.to_be_bytes());
        for (at, sequence) in self.value_at.iter().zip(stamp.sequence..) {
            put(frame, *at, &self.shape.run_id.to_be_bytes());
            put(frame, at + 8, &stamp.producer.to_be_bytes());
            put(frame, at + 12, &stamp.partition.to_be_bytes());
            put(frame, at + 16, &sequence.to_be_bytes());
            put(frame, at + 24, &stamp.intended_ns.to_be_bytes());
        }
        let batch = &mut frame[self.batch_at..self.bytes.len() - 3];
        put(batch, 27, &stamp.wall_ms.to_be_bytes());
        put(batch, 35, &stamp.wall_ms.to_be_bytes());
        if let Some((id, epoch)) = stamp.identity {
            put(batch, 43, &id.to_be_bytes());
            put(batch, 51, &epoch.to_be_bytes());
            // Kafka sequences wrap from 2^31-1 to 0 (DefaultRecordBatch.incrementSequence).
            put(batch, 53, &((stamp.sequence & 0x7fff_ffff) as i32).to_be_bytes());
        }
        let crc = crc32c::crc32c(&batch[21..]);
        put(batch, 17, &crc.to_be_bytes());
    }
}

fn put(bytes: &mut [u8], at: usize, value: &[u8]) {
    bytes[at..at + value.len()].copy_from_slice(value);
}

fn append_record(batch: &mut Writer, delta: u32, value: &[u8], value_in_batch: &mut Vec<usize>) {
    let mut body = Writer::default();
    body.i8(0)
        .varint(0)
        .varint(i64::from(delta))
        .varint(-1)
        .varint(value.len() as i64);
    let before_value = body.0.len();
    body.0.extend_from_slice(value);
    body.varint(0);
    batch.varint(body.0.len() as i64);
    value_in_batch.push(batch.0.len() + before_value);
    batch.0.extend_from_slice(&body.0);
}

fn fill_batch_header(batch: &mut [u8], records: u32) {
    let length = (batch.len() - 12) as i32;
    put(batch, 8, &length.to_be_bytes());
    put(batch, 12, &(-1i32).to_be_bytes());
    batch[16] = 2;
    put(batch, 23, &(records as i32 - 1).to_be_bytes());
    put(batch, 43, &(-1i64).to_be_bytes());
    put(batch, 51, &(-1i16).to_be_bytes());
    put(batch, 53, &(-1i32).to_be_bytes());
    put(batch, 57, &(records as i32).to_be_bytes());
}

/// The bytes of a record value after its header: xorshift64* from the run id, so incompressible and reproducible.
pub fn filler(run_id: u64, record_bytes: usize) -> Vec<u8> {
    let mut state = run_id | 1;
    let mut bytes = Vec::with_capacity(record_bytes + 8);
    while bytes.len() < record_bytes {
        state ^= state >> 12;
        state ^= state << 25;
        state ^= state >> 27;
        bytes.extend_from_slice(&state.wrapping_mul(0x2545_f491_4f6c_dd1d).to_le_bytes());
    }
    bytes.truncate(record_bytes);
    bytes
}

/// Header of a record value as read back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Run that wrote it.
    pub run_id: u64,
    /// Producer number inside the run.
    pub producer: u32,
    /// Partition it was meant for.
    pub partition: u32,
    /// Sequence for this producer and partition.
    pub sequence: u64,
    /// Intended send time, ns.
    pub intended_ns: u64,
}

impl Header {
    /// Reads the header; `None` when the value is too short to be ours.
    pub fn read(value: &[u8]) -> Option<Header> {
        let word = |at: usize| Some(u64::from_be_bytes(*value.get(at..at + 8)?.first_chunk()?));
        let half = |at: usize| Some(u32::from_be_bytes(*value.get(at..at + 4)?.first_chunk()?));
        Some(Header {
            run_id: word(0)?,
            producer: half(8)?,
            partition: half(12)?,
            sequence: word(16)?,
            intended_ns: word(24)?,
        })
    }
}

/// One uncompressed v2 batch inside a Fetch answer.
#[derive(Clone, Copy)]
pub struct Batch<'a> {
    /// Offset of the first record.
    pub base_offset: i64,
    /// Offset of the last record minus `base_offset`.
    pub last_delta: i32,
    /// Declared record count.
    pub count: i32,
    /// Whether the stored CRC matches the bytes; computed by [`Batch::crc_is_right`].
    crc: u32,
    covered: &'a [u8],
    records: &'a [u8],
}

impl<'a> Batch<'a> {
    /// Cuts the next batch; `Ok(None)` when what is left is a part of a batch (Kafka cuts answers at a byte limit).
    ///
    /// # Errors
    /// [`Malformed`] for another magic than 2 or a compressed batch: this client never writes those.
    pub fn next(bytes: &mut &'a [u8]) -> Result<Option<Batch<'a>>, Malformed> {
        let mut r = Reader(bytes);
        let (Ok(base_offset), Ok(length)) = (r.i64(), r.i32()) else {
            return Ok(None);
        };
        if length < (BATCH_HEADER_BYTES - 12) as i32 {
            return Err(Malformed("batch shorter than its header"));
        }
        let Ok(body) = r.take(length as usize) else {
            return Ok(None);
        };
        *bytes = r.0;
        let mut b = Reader(body);
        b.i32()?;
        if b.i8()? != 2 {
            return Err(Malformed("batch magic is not 2"));
        }
        let crc = b.i32()? as u32;
        let covered = b.0;
        if b.i16()? & 7 != 0 {
            return Err(Malformed("batch is compressed"));
        }
        let last_delta = b.i32()?;
        b.take(8 + 8 + 8 + 2 + 4)?;
        let count = b.i32()?;
        Ok(Some(Batch {
            base_offset,
            last_delta,
            count,
            crc,
            covered,
            records: b.0,
        }))
    }

    /// Whether the CRC-32C of the batch is right.
    pub fn crc_is_right(&self) -> bool {
        crc32c::crc32c(self.covered) == self.crc
    }

    /// Calls `each` with the offset delta and the value of every record.
    ///
    /// # Errors
    /// [`Malformed`] when a record does not fit into the batch.
    pub fn each_value(&self, mut each: impl FnMut(i64, &'a [u8])) -> Result<(), Malformed> {
        let mut r = Reader(self.records);
        for _ in 0..self.count {
            let len = r.varint()?;
            let mut body = Reader(r.take(usize::try_from(len).map_err(|_| Malformed("negative record length"))?)?);
            body.i8()?;
            body.varint()?;
            let delta = body.varint()?;
            let key = body.varint()?;
            body.take(key.max(0) as usize)?;
            let value = body.varint()?;
            each(delta, body.take(value.max(0) as usize)?);
        }
        if r.0.is_empty() {
            Ok(())
        } else {
            Err(Malformed("bytes after the last record"))
        }
    }
}

/// Bytes that one request adds to a log: the batch without the request around it.
pub fn batch_bytes(shape: &Shape) -> usize {
    let template = Template::new(shape);
    template.bytes.len() - 3 - template.batch_at
}

const _: () = assert!(CLIENT_ID.len() < 128);

#[cfg(test)]
mod tests {
    use super::*;

    fn shape() -> Shape {
        Shape {
            topic: "t".into(),
            acks: -1,
            timeout_ms: 1000,
            records: 3,
            record_bytes: 100,
            run_id: 77,
        }
    }

    fn stamped() -> (Template, Vec<u8>) {
        let template = Template::new(&shape());
        let mut frame = template.bytes().to_vec();
        let stamp = Stamp {
            correlation: 5,
            partition: 2,
            producer: 9,
            sequence: 30,
            intended_ns: 123,
            identity: Some((1000, 4)),
            wall_ms: 1_700_000_000_000,
        };
        template.patch(&mut frame, &stamp);
        (template, frame)
    }

    #[test]
    fn records_come_back_with_header_and_filler() {
        let (template, frame) = stamped();
        let mut bytes = &frame[template.batch_at..frame.len() - 3];
        let batch = Batch::next(&mut bytes).unwrap().unwrap();
        assert!(bytes.is_empty());
        assert!(batch.crc_is_right());
        let mut seen = Vec::new();
        batch
            .each_value(|delta, value| {
                let header = Header::read(value).unwrap();
                assert_eq!(
                    (header.run_id, header.producer, header.partition, header.intended_ns),
                    (77, 9, 2, 123)
                );
                assert_eq!(value[HEADER_BYTES..], filler(77, 100)[HEADER_BYTES..]);
                seen.push((delta, header.sequence));
            })
            .unwrap();
        assert_eq!(seen, [(0, 30), (1, 31), (2, 32)]);
    }

    #[test]
    fn a_changed_byte_breaks_the_crc() {
        let (template, mut frame) = stamped();
        let at = template.value_at[1] + 50;
        frame[at] ^= 1;
        let mut bytes = &frame[template.batch_at..frame.len() - 3];
        assert!(!Batch::next(&mut bytes).unwrap().unwrap().crc_is_right());
    }

    #[test]
    fn a_cut_batch_is_left_for_the_next_fetch() {
        let (template, frame) = stamped();
        let mut bytes = &frame[template.batch_at..frame.len() - 4];
        assert!(Batch::next(&mut bytes).unwrap().is_none());
    }
}
