//! Records to batches and back, over `wire`. Copies nothing of an uncompressed batch, and decompresses one at a time.

use crate::client::record::{Consumed, Header, Record};
use crate::wire::batch::{BatchInfo, BatchView, HEADER_LEN, LENGTH_PREFIX, TimestampType, patch_crc};
use crate::wire::compress::{Compression, compress, decompress};
use crate::wire::record::Records;
use crate::wire::write::{put_varint, put_varlong, varlong_len};
use bytes::{BufMut, Bytes, BytesMut};
use std::sync::Arc;

/// Largest decompressed batch accepted, in bytes.
const DECOMPRESSED_LIMIT: usize = 512 << 20;

/// Identity of an idempotent producer on one partition (KIP-98).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sequence {
    /// Producer id.
    pub producer_id: i64,
    /// Producer epoch.
    pub producer_epoch: i16,
    /// Sequence number of the batch's first record.
    pub first: i32,
}

/// Encodes at least one record as a batch. Records without a timestamp get `now_ms`.
///
/// # Errors
/// A sentence if the codec fails or the batch would pass 2 GiB.
pub fn encode(
    records: &[Record],
    codec: Compression,
    sequence: Option<Sequence>,
    now_ms: i64,
) -> Result<Bytes, String> {
    let timestamps = || records.iter().map(|record| record.timestamp_ms.unwrap_or(now_ms));
    let base_timestamp = timestamps().next().unwrap_or(now_ms);
    let max_timestamp = timestamps().max().unwrap_or(now_ms);
    let mut body = BytesMut::with_capacity(records.iter().map(Record::size).sum());
    for (index, record) in records.iter().enumerate() {
        let delta = record.timestamp_ms.unwrap_or(now_ms).wrapping_sub(base_timestamp);
        put_record(&mut body, record, delta, index as i32);
    }
    let packed = match codec {
        Compression::None => body.freeze(),
        codec => Bytes::from(compress(codec, &body).map_err(|error| error.to_string())?),
    };
    let length =
        i32::try_from(HEADER_LEN - LENGTH_PREFIX + packed.len()).map_err(|_| "the batch is larger than 2 GiB")?;
    let mut batch = BytesMut::with_capacity(HEADER_LEN + packed.len());
    batch.put_i64(0);
    batch.put_i32(length);
    batch.put_i32(-1);
    batch.put_i8(2);
    batch.put_u32(0);
    batch.put_i16(codec as i16);
    batch.put_i32(records.len() as i32 - 1);
    batch.put_i64(base_timestamp);
    batch.put_i64(max_timestamp);
    let none = Sequence {
        producer_id: -1,
        producer_epoch: -1,
        first: -1,
    };
    let sequence = sequence.unwrap_or(none);
    batch.put_i64(sequence.producer_id);
    batch.put_i16(sequence.producer_epoch);
    batch.put_i32(sequence.first);
    batch.put_i32(records.len() as i32);
    batch.extend_from_slice(&packed);
    patch_crc(&mut batch);
    Ok(batch.freeze())
}

fn put_record(out: &mut BytesMut, record: &Record, timestamp_delta: i64, offset_delta: i32) {
    let sized = |bytes: Option<&Bytes>| bytes.map_or(1, |bytes| varlong_len(bytes.len() as i64) + bytes.len());
    let headers: usize = record
        .headers
        .iter()
        .map(|header| sized(Some(&header.key)) + sized(header.value.as_ref()))
        .sum();
    let length = 1
        + varlong_len(timestamp_delta)
        + varlong_len(i64::from(offset_delta))
        + sized(record.key.as_ref())
        + sized(record.value.as_ref())
        + varlong_len(record.headers.len() as i64)
        + headers;
    put_varint(out, length as i32);
    out.put_i8(0);
    put_varlong(out, timestamp_delta);
    put_varint(out, offset_delta);
    put_bytes(out, record.key.as_ref());
    put_bytes(out, record.value.as_ref());
    put_varint(out, record.headers.len() as i32);
    for header in &record.headers {
        put_bytes(out, Some(&header.key));
        put_bytes(out, header.value.as_ref());
    }
}

fn put_bytes(out: &mut BytesMut, bytes: Option<&Bytes>) {
    match bytes {
        None => put_varint(out, -1),
        Some(bytes) => {
            put_varint(out, bytes.len() as i32);
            out.extend_from_slice(bytes);
        }
    }
}

/// Decodes one whole batch, checksum included.
///
/// # Errors
/// A sentence on what is wrong with it.
pub fn decode(topic: &Arc<str>, partition: i32, batch: &Bytes) -> Result<Vec<Consumed>, String> {
    let view = BatchView::first_of(batch).map_err(|(_, reason)| reason)?;
    let info = view.info();
    if !view.crc_matches() {
        return Err("the checksum does not match: the batch was damaged on disk or on its way".to_string());
    }
    let body = match info.codec() {
        None => return Err(format!("unknown compression codec {}", info.attributes & 7)),
        Some(Compression::None) => batch.slice_ref(view.body()),
        Some(codec) => {
            Bytes::from(decompress(codec, view.body(), DECOMPRESSED_LIMIT).map_err(|error| error.to_string())?)
        }
    };
    let mut records = Vec::new();
    for record in Records::new(&body, info.record_count) {
        let record = record.map_err(|error| error.to_string())?;
        let share = |bytes: &[u8]| body.slice_ref(bytes);
        let header = |header: crate::wire::record::Header<'_>| Header {
            key: share(header.key),
            value: header.value.map(share),
        };
        records.push(Consumed {
            topic: Arc::clone(topic),
            partition,
            offset: info.base_offset.wrapping_add(i64::from(record.offset_delta)),
            leader_epoch: info.partition_leader_epoch,
            timestamp_ms: timestamp(&info, record.timestamp_delta),
            is_append_time: info.timestamp_type() == TimestampType::LogAppendTime,
            producer_id: info.producer_id,
            producer_epoch: info.producer_epoch,
            key: record.key.map(share),
            value: record.value.map(share),
            headers: record.headers().map(header).collect(),
        });
    }
    Ok(records)
}

fn timestamp(info: &BatchInfo, delta: i64) -> i64 {
    match info.timestamp_type() {
        TimestampType::LogAppendTime => info.max_timestamp,
        TimestampType::CreateTime => info.base_timestamp.wrapping_add(delta),
    }
}

/// True if the batch is a control batch that ends a transaction by aborting it (KIP-98: record key = version, type 0).
pub fn is_abort_marker(batch: &BatchView<'_>) -> bool {
    let mut records = Records::new(batch.body(), batch.info().record_count);
    matches!(records.next(), Some(Ok(record)) if record.key.and_then(|key| key.get(2..4)) == Some(&[0, 0]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::batch::patch_base_offset_and_epoch;
    use proptest::prelude::*;

    fn bytes() -> impl Strategy<Value = Option<Bytes>> {
        proptest::option::of(proptest::collection::vec(any::<u8>(), 0..60).prop_map(Bytes::from))
    }

    fn record() -> impl Strategy<Value = Record> {
        let headers = proptest::collection::vec((bytes(), bytes()), 0..4);
        (bytes(), bytes(), headers, proptest::option::of(0..2_000_000_000_000i64)).prop_map(
            |(key, value, headers, timestamp_ms)| {
                let headers = headers
                    .into_iter()
                    .map(|(key, value)| Header {
                        key: key.unwrap_or_default(),
                        value,
                    })
                    .collect();
                Record {
                    key,
                    value,
                    headers,
                    timestamp_ms,
                }
            },
        )
    }

    proptest! {
        #[test]
        fn every_record_survives_every_codec(records in proptest::collection::vec(record(), 1..20), codec in 0..5usize) {
            let codec = Compression::ALL[codec];
            let sequence = Sequence { producer_id: 5, producer_epoch: 1, first: 77 };
            let mut batch = BytesMut::from(&encode(&records, codec, Some(sequence), 1234).unwrap()[..]);
            let view = BatchView::parse(&batch).unwrap();
            prop_assert_eq!(view.verify().map(|info| (info.producer_id, info.base_sequence, info.compression())), Ok((5, 77, codec)));
            prop_assert!(batch.len() <= HEADER_LEN + records.iter().map(Record::size).sum::<usize>() || codec != Compression::None);
            patch_base_offset_and_epoch(&mut batch, 1000, 3);
            let back = decode(&"t".into(), 2, &batch.freeze()).unwrap();
            prop_assert_eq!(back.len(), records.len());
            for (index, (back, sent)) in back.iter().zip(&records).enumerate() {
                prop_assert_eq!((back.offset, back.leader_epoch, back.partition), (1000 + index as i64, 3, 2));
                prop_assert_eq!(back.timestamp_ms, sent.timestamp_ms.unwrap_or(1234));
                prop_assert_eq!((&back.key, &back.value, &back.headers), (&sent.key, &sent.value, &sent.headers));
            }
        }
    }

    #[test]
    fn damage_is_noticed() {
        let batch = encode(&[Record::value("hello")], Compression::None, None, 1).unwrap();
        for at in 17..batch.len() {
            let mut damaged = BytesMut::from(&batch[..]);
            damaged[at] ^= 1;
            assert!(
                decode(&"t".into(), 0, &damaged.freeze()).is_err(),
                "flipped bit in byte {at}"
            );
        }
    }
}
