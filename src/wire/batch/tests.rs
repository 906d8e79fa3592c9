use super::*;
use crate::wire::record::{Header, Records};

fn sample() -> Vec<u8> {
    let mut builder = BatchBuilder::new().at(40, 3).producer(9, 1, 5);
    for i in 0..3 {
        builder.append(1_000 + i, Some(b"key"), Some(b"value"), &[]);
    }
    builder.build().unwrap()
}

fn code(result: Result<impl Sized, Refusal>) -> ErrorCode {
    result.err().map_or(ErrorCode::None, |refusal| refusal.0)
}

/// Changes a header field and makes the checksum right again.
fn with(at: usize, bytes: &[u8]) -> Vec<u8> {
    let mut batch = sample();
    batch[at..at + bytes.len()].copy_from_slice(bytes);
    patch_crc(&mut batch);
    batch
}

fn verify(batch: &[u8]) -> ErrorCode {
    code(BatchView::parse(batch).and_then(|view| view.verify()))
}

#[test]
fn a_good_batch_passes_with_all_its_fields() {
    let batch = sample();
    let info = BatchView::parse(&batch).unwrap().verify().unwrap();
    assert_eq!(info.len, batch.len());
    assert_eq!(
        (info.base_offset, info.last_offset(), info.partition_leader_epoch),
        (40, 42, 3)
    );
    assert_eq!((info.producer_id, info.producer_epoch, info.base_sequence), (9, 1, 5));
    assert_eq!(
        (info.base_timestamp, info.max_timestamp, info.record_count),
        (1_000, 1_002, 3)
    );
    assert_eq!(info.compression(), Compression::None);
    assert_eq!(BatchInfo::peek(&batch[..HEADER_LEN]), Some(info));
}

#[test]
fn exactly_one_batch_of_format_2_is_taken() {
    let batch = sample();
    assert_eq!(code(BatchView::parse(&[])), ErrorCode::InvalidRecord);
    let twice = [&batch[..], &batch[..]].concat();
    assert_eq!(code(BatchView::parse(&twice)), ErrorCode::InvalidRecord);
    let formats = [
        (0u8, ErrorCode::InvalidRecord),
        (1, ErrorCode::InvalidRecord),
        (3, ErrorCode::CorruptMessage),
        (255, ErrorCode::CorruptMessage),
    ];
    for (magic, error) in formats {
        let mut other = batch.clone();
        other[16] = magic;
        assert_eq!(code(BatchView::parse(&other)), error, "magic {magic}");
    }
    for len in 1..batch.len() {
        assert_eq!(
            code(BatchView::parse(&batch[..len])),
            ErrorCode::CorruptMessage,
            "cut to {len}"
        );
    }
}

#[test]
fn impossible_lengths_are_corrupt() {
    for length in [i32::MIN, -1, 0, 1, 48, i32::MAX] {
        let mut batch = sample();
        batch[8..12].copy_from_slice(&length.to_be_bytes());
        assert_eq!(
            code(BatchView::first_of(&batch)),
            ErrorCode::CorruptMessage,
            "length {length}"
        );
    }
}

#[test]
fn a_flip_of_any_bit_under_the_checksum_is_found() {
    let batch = sample();
    for bit in 8 * 17..8 * batch.len() {
        let mut damaged = batch.clone();
        damaged[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(verify(&damaged), ErrorCode::CorruptMessage, "bit {bit}");
    }
}

#[test]
fn rules_of_a_produced_batch() {
    assert_eq!(verify(&with(22, &[5])), ErrorCode::UnsupportedCompressionType);
    assert_eq!(verify(&with(22, &[7])), ErrorCode::UnsupportedCompressionType);
    assert_eq!(verify(&with(22, &[0x20])), ErrorCode::InvalidRecord, "control batch");
    assert_eq!(
        verify(&with(57, &0i32.to_be_bytes())),
        ErrorCode::InvalidRecord,
        "no records"
    );
    assert_eq!(verify(&with(57, &(-1i32).to_be_bytes())), ErrorCode::InvalidRecord);
    assert_eq!(verify(&with(57, &i32::MIN.to_be_bytes())), ErrorCode::InvalidRecord);
    assert_eq!(
        verify(&with(57, &4i32.to_be_bytes())),
        ErrorCode::InvalidRecord,
        "count and delta disagree"
    );
    assert_eq!(
        verify(&with(43, &(-1i64).to_be_bytes())),
        ErrorCode::None,
        "epoch and sequence mean nothing without an id"
    );
    assert_eq!(
        verify(&with(51, &(-1i16).to_be_bytes())),
        ErrorCode::InvalidRecord,
        "id without epoch"
    );
    assert_eq!(
        verify(&with(53, &(-1i32).to_be_bytes())),
        ErrorCode::InvalidRecord,
        "id without sequence"
    );
    assert_eq!(
        verify(&with(22, &[0x10])),
        ErrorCode::None,
        "transactional with a producer"
    );
    let mut bare = BatchBuilder::new().attributes(TRANSACTIONAL);
    bare.append(0, None, None, &[]);
    assert_eq!(
        verify(&bare.build().unwrap()),
        ErrorCode::InvalidRecord,
        "transactional without a producer"
    );
}

#[test]
fn stamping_offset_and_epoch_keeps_the_checksum() {
    let mut batch = sample();
    patch_base_offset_and_epoch(&mut batch, 1 << 40, 77);
    let info = BatchView::parse(&batch).unwrap().verify().unwrap();
    assert_eq!((info.base_offset, info.partition_leader_epoch), (1 << 40, 77));
}

#[test]
fn log_append_time_replaces_the_timestamp_of_every_record() {
    let mut batch = sample();
    patch_log_append_time(&mut batch, 123_456);
    let view = BatchView::parse(&batch).unwrap();
    let info = view.verify().unwrap();
    assert_eq!(
        (info.timestamp_type(), info.max_timestamp),
        (TimestampType::LogAppendTime, 123_456)
    );
    for record in Records::new(view.body(), info.record_count) {
        assert_eq!(info.record_timestamp(record.unwrap().timestamp_delta), 123_456);
    }
}

#[test]
fn sequences_wrap_to_zero() {
    let batch = with(53, &(i32::MAX - 1).to_be_bytes());
    assert_eq!(BatchView::parse(&batch).unwrap().info().last_sequence(), 0);
    let batch = with(53, &7i32.to_be_bytes());
    assert_eq!(BatchView::parse(&batch).unwrap().info().last_sequence(), 9);
}

#[test]
fn a_batch_cut_short_at_the_end_of_a_fetch_is_left_out() {
    let batch = sample();
    let two = [&batch[..], &batch[..]].concat();
    for len in batch.len()..two.len() {
        assert_eq!(batches(&two[..len]).count(), 1, "{len} bytes");
    }
    assert!(batches(&two).all(|batch| batch.is_ok()));
    assert_eq!(batches(&two).count(), 2);
    let mut damaged = two.clone();
    damaged[batch.len() + 8..batch.len() + 12].copy_from_slice(&(-5i32).to_be_bytes());
    let found: Vec<_> = batches(&damaged).map(|batch| batch.is_ok()).collect();
    assert_eq!(found, [true, false]);
}

#[test]
fn recompression_keeps_header_and_records() {
    let headers = [
        Header {
            key: b"h",
            value: Some(b"1"),
        },
        Header { key: b"h", value: None },
    ];
    let mut builder = BatchBuilder::new().at(7, 2).producer(5, 0, 1).attributes(TRANSACTIONAL);
    builder.append(50, Some(&[0xff; 3]), None, &headers);
    builder.append(40, None, Some(b""), &[]);
    let plain = builder.build().unwrap();
    let before = BatchView::parse(&plain).unwrap().verify().unwrap();
    for codec in Compression::ALL {
        let packed = recompress(&BatchView::parse(&plain).unwrap(), codec, 1 << 20).unwrap();
        let view = BatchView::parse(&packed).unwrap();
        let after = view.verify().unwrap();
        assert_eq!(after.compression(), codec);
        let same = BatchInfo {
            len: before.len,
            crc: before.crc,
            attributes: before.attributes,
            ..after
        };
        assert_eq!(same, before, "{}", codec.name());
        assert_eq!(after.attributes & !7, before.attributes);
        assert_eq!(
            view.decompressed(1 << 20).unwrap(),
            BatchView::parse(&plain).unwrap().body()
        );
        let back = recompress(&view, Compression::None, 1 << 20).unwrap();
        assert_eq!(back, plain);
    }
}

#[test]
fn records_that_grow_beyond_the_limit_or_are_damaged_are_refused() {
    let mut builder = BatchBuilder::new().codec(Compression::Zstd);
    builder.append(0, None, Some(&vec![0; 1 << 20]), &[]);
    let batch = builder.build().unwrap();
    assert!(batch.len() < 4096);
    let view = BatchView::parse(&batch).unwrap();
    assert_eq!(code(view.decompressed(1 << 16)), ErrorCode::MessageTooLarge);
    assert_eq!(
        code(recompress(&view, Compression::Lz4, 1 << 16)),
        ErrorCode::MessageTooLarge
    );
    let mut cut = batch.clone();
    cut.truncate(batch.len() - 3);
    let length = (cut.len() - 12) as i32;
    cut[8..12].copy_from_slice(&length.to_be_bytes());
    patch_crc(&mut cut);
    assert_eq!(
        code(BatchView::parse(&cut).unwrap().decompressed(1 << 24)),
        ErrorCode::CorruptMessage
    );
}
