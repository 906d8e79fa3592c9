//! Record batches to send, and the records in those that come back.

use ringlog::wire::batch::{BatchBuilder, BatchInfo, BatchView, TimestampType, batches, patch_crc};
use ringlog::wire::compress::Compression;
use ringlog::wire::record::Records;

/// Room for decompressed records in tests.
const LIMIT: usize = 64 << 20;

/// One record of `value` at each time.
pub fn at(times: &[i64]) -> Vec<u8> {
    packed(Compression::None, times)
}

/// As [`at`], compressed.
pub fn packed(codec: Compression, times: &[i64]) -> Vec<u8> {
    let mut builder = BatchBuilder::new().codec(codec);
    for time in times {
        builder.append(*time, Some(b"key"), Some(format!("at {time}").as_bytes()), &[]);
    }
    builder.build().unwrap()
}

/// A record of `len` bytes that do not compress.
pub fn large(time: i64, len: usize) -> Vec<u8> {
    let mut seed = 1u32;
    let noise = std::iter::repeat_with(|| {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (seed >> 24) as u8
    });
    let value: Vec<u8> = noise.take(len).collect();
    let mut builder = BatchBuilder::new();
    builder.append(time, None, Some(&value), &[]);
    builder.build().unwrap()
}

/// A batch of an idempotent producer: `count` records from `sequence` on.
pub fn from_producer((id, epoch): (i64, i16), sequence: i32, count: i32, time: i64) -> Vec<u8> {
    let mut builder = BatchBuilder::new().producer(id, epoch, sequence);
    for number in 0..count {
        let value = format!("{id}/{epoch}/{}", i64::from(sequence) + i64::from(number));
        builder.append(time, None, Some(value.as_bytes()), &[]);
    }
    builder.build().unwrap()
}

/// The batch with some bytes changed and the checksum made right again.
pub fn patched(batch: &[u8], at: usize, bytes: &[u8]) -> Vec<u8> {
    let mut batch = batch.to_vec();
    batch[at..at + bytes.len()].copy_from_slice(bytes);
    patch_crc(&mut batch);
    batch
}

/// A record as it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    pub offset: i64,
    pub time: i64,
    pub value: String,
}

/// Headers of the whole batches in what was read, each with a right checksum.
#[track_caller]
pub fn heads(bytes: &[u8]) -> Vec<BatchInfo> {
    batches(bytes).map(|batch| batch.unwrap().verify().unwrap()).collect()
}

/// All records of the whole batches in what was read.
#[track_caller]
pub fn records(bytes: &[u8]) -> Vec<Seen> {
    batches(bytes).flat_map(|batch| of_batch(batch.unwrap())).collect()
}

fn of_batch(view: BatchView) -> Vec<Seen> {
    let info = view.verify().unwrap();
    let body = view.decompressed(LIMIT).unwrap();
    let seen = |record: ringlog::wire::record::Record| Seen {
        offset: info.base_offset + i64::from(record.offset_delta),
        time: match info.timestamp_type() {
            TimestampType::LogAppendTime => info.max_timestamp,
            TimestampType::CreateTime => info.base_timestamp + record.timestamp_delta,
        },
        value: String::from_utf8_lossy(record.value.unwrap_or_default()).into_owned(),
    };
    Records::new(&body, info.record_count)
        .map(|record| seen(record.unwrap()))
        .collect()
}
