//! Records to batches and back, over `wire`. Copies nothing of an uncompressed batch, and decompresses one at a time.

use crate::client::record::{Consumed, Header, Record};
use crate::wire::batch::{BatchBuilder, BatchInfo, BatchView, TimestampType};
use crate::wire::compress::{Compression, decompress};
use crate::wire::record::{self as wire, Records};
use bytes::Bytes;
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
/// A sentence if the codec fails.
pub fn encode(
    records: &[Record],
    codec: Compression,
    sequence: Option<Sequence>,
    now_ms: i64,
) -> Result<Bytes, String> {
    let mut builder = BatchBuilder::new().codec(codec);
    if let Some(sequence) = sequence {
        builder = builder.producer(sequence.producer_id, sequence.producer_epoch, sequence.first);
    }
    let mut headers = Vec::new();
    for record in records {
        headers.clear();
        headers.extend(record.headers.iter().map(|header| wire::Header {
            key: &header.key,
            value: header.value.as_deref(),
        }));
        let timestamp_ms = record.timestamp_ms.unwrap_or(now_ms);
        builder.append(timestamp_ms, record.key.as_deref(), record.value.as_deref(), &headers);
    }
    builder.build().map(Bytes::from).map_err(|error| error.to_string())
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
        let header = |header: wire::Header<'_>| Header {
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
    use crate::wire::batch::{HEADER_LEN, patch_base_offset_and_epoch};
    use bytes::BytesMut;
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
