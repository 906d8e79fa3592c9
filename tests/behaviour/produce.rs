//! Produce: what is taken, what is refused and how, what is answered.

use crate::batches::{at, from_producer, heads, large, packed, patched, records};
use crate::rig::{Came, Rig, Topic};
use bytes::{Bytes, BytesMut};
use ringlog::base::ids::TopicId;
use ringlog::wire::api::ApiKey;
use ringlog::wire::batch::{BatchBuilder, CONTROL, LOG_APPEND_TIME, TimestampType};
use ringlog::wire::compress::Compression;
use ringlog::wire::error::ErrorCode;
use ringlog::wire::produce::{ProducePartition, TopicRef, encode_request};

/// What Produce says of one batch: error, base offset, log append time, log start.
fn answer(rig: &mut Rig, version: i16, topic: &Topic, batch: &[u8]) -> (ErrorCode, i64, i64, i64) {
    let answer = rig.produce_all(version, -1, topic, &[(0, batch)]).remove(0);
    // Kafka tells the log start with some refusals.
    let refused = answer.error != ErrorCode::None;
    let start = if refused && !rig.is_own() {
        -1
    } else {
        answer.log_start_offset
    };
    (answer.error, answer.base_offset, answer.log_append_time_ms, start)
}

/// A refusal: nothing is known but the error.
fn refused(error: ErrorCode) -> (ErrorCode, i64, i64, i64) {
    (error, -1, -1, -1)
}

#[test]
fn a_partition_takes_exactly_one_batch_of_format_2_24() {
    let mut rig = Rig::new();
    let topic = rig.topic(1, &[]);
    let batch = at(&[rig.now_ms()]);
    let twice = [&batch[..], &batch[..]].concat();
    assert_eq!(answer(&mut rig, 9, &topic, &twice), refused(ErrorCode::InvalidRecord));
    for magic in [0, 1] {
        let mut old = batch.clone();
        old[16] = magic;
        assert_eq!(
            answer(&mut rig, 9, &topic, &old),
            refused(ErrorCode::InvalidRecord),
            "magic {magic}"
        );
    }
    assert_eq!(
        answer(&mut rig, 9, &topic, &[]),
        refused(ErrorCode::InvalidRecord),
        "no batch at all"
    );
    assert_eq!(
        answer(&mut rig, 9, &topic, &batch),
        (ErrorCode::None, 0, -1, 0),
        "nothing of it was written"
    );
}

/// No checksum covers the byte of the format. A client sends again what was damaged, and gives up on what is invalid.
#[test]
fn a_format_that_does_not_exist_is_damage_24() {
    let mut rig = Rig::new();
    let topic = rig.topic(1, &[]);
    let batch = at(&[rig.now_ms()]);
    for magic in [3, 0xFD] {
        let mut damaged = batch.clone();
        damaged[16] = magic;
        let code = answer(&mut rig, 9, &topic, &damaged);
        assert_eq!(code, refused(ErrorCode::CorruptMessage), "magic {magic}");
    }
    assert_eq!(answer(&mut rig, 9, &topic, &batch), (ErrorCode::None, 0, -1, 0));
}

#[test]
fn zstd_needs_produce_7_24() {
    let mut rig = Rig::new();
    let topic = rig.topic(1, &[]);
    let batch = packed(Compression::Zstd, &[rig.now_ms()]);
    for version in 3..=6 {
        assert_eq!(
            answer(&mut rig, version, &topic, &batch).0,
            ErrorCode::UnsupportedCompressionType
        );
    }
    assert_eq!(answer(&mut rig, 7, &topic, &batch).0, ErrorCode::None);
}

#[test]
fn every_version_writes_and_tells_the_offsets_30() {
    let mut rig = Rig::new();
    let topic = rig.topic(1, &[]);
    for (number, version) in (3..=13).enumerate() {
        let batch = at(&[rig.now_ms(), rig.now_ms()]);
        let start = if version >= 5 { 0 } else { -1 };
        let base = 2 * number as i64;
        assert_eq!(
            answer(&mut rig, version, &topic, &batch),
            (ErrorCode::None, base, -1, start),
            "version {version}"
        );
    }
    assert_eq!(records(&rig.bytes(&topic, 0)).len(), 22);
}

#[test]
fn the_broker_numbers_the_records_whatever_epoch_the_client_claims_25() {
    let mut rig = Rig::new();
    let topic = rig.topic(1, &[]);
    let now = rig.now_ms();
    for (number, epoch) in [-1, 0, 7, i32::MAX].into_iter().enumerate() {
        let mut builder = BatchBuilder::new().at(0, epoch);
        builder
            .append(now, None, Some(b"a"), &[])
            .append(now, None, Some(b"b"), &[]);
        assert_eq!(rig.written(&topic, &builder.build().unwrap()), 2 * number as i64);
    }
    let stored = heads(&rig.bytes(&topic, 0));
    let places: Vec<_> = stored
        .iter()
        .map(|head| (head.base_offset, head.partition_leader_epoch))
        .collect();
    assert_eq!(places, [(0, 0), (2, 0), (4, 0), (6, 0)]);
}

#[test]
fn a_producer_counts_its_batches_from_0_25() {
    let mut rig = Rig::new();
    let topic = rig.topic(1, &[]);
    let mut builder = BatchBuilder::new().at(5, 0);
    builder.append(rig.now_ms(), None, Some(b"a"), &[]);
    let batch = builder.build().unwrap();
    assert_eq!(answer(&mut rig, 9, &topic, &batch), refused(ErrorCode::InvalidRecord));
}

#[test]
fn damage_is_corrupt_and_nonsense_is_invalid_26() {
    let mut rig = Rig::new();
    let topic = rig.topic(1, &[]);
    let batch = at(&[rig.now_ms(), rig.now_ms()]);
    let flipped = |at: usize| {
        let mut batch = batch.clone();
        batch[at] ^= 1;
        batch
    };
    for (what, sent, error) in [
        ("a wrong checksum", flipped(17), ErrorCode::CorruptMessage),
        (
            "a flipped bit in a record",
            flipped(batch.len() - 1),
            ErrorCode::CorruptMessage,
        ),
        (
            "a control batch",
            patched(&batch, 22, &[CONTROL as u8]),
            ErrorCode::InvalidRecord,
        ),
        (
            "more offsets than records",
            patched(&batch, 26, &[2]),
            ErrorCode::InvalidRecord,
        ),
        (
            "fewer offsets than records",
            patched(&batch, 26, &[0]),
            ErrorCode::InvalidRecord,
        ),
        ("no records", patched(&batch, 57, &[0; 4]), ErrorCode::InvalidRecord),
        (
            "a negative count",
            patched(&batch, 57, &[0xff; 4]),
            ErrorCode::InvalidRecord,
        ),
    ] {
        assert_eq!(answer(&mut rig, 9, &topic, &sent), refused(error), "{what}");
    }
    assert_eq!(rig.offset(&topic, 0, -1).2, 0, "nothing was written");
}

#[test]
fn records_that_contradict_their_header_are_refused_26() {
    let mut rig = Rig::new();
    let topic = rig.topic(1, &[]);
    let now = rig.now_ms();
    let batch = at(&[now, now, now]);
    // A record that claims to be longer than the batch; one more record than the header says; deltas out of order.
    let long = patched(&batch, 61, &[0x7e]);
    let mut gaps = BatchBuilder::new();
    gaps.append_at(0, now, (None, Some(b"a")), &[])
        .append_at(2, now, (None, Some(b"b")), &[]);
    let gaps = patched(&gaps.build().unwrap(), 23, &1i32.to_be_bytes());
    let fewer = patched(&patched(&batch, 57, &2i32.to_be_bytes()), 23, &1i32.to_be_bytes());
    for (what, sent) in [
        ("a record too long", long),
        ("a record too many", fewer),
        ("a gap", gaps),
    ] {
        // Kafka stores gaps, or closes them in compressed batches.
        if what == "a gap" && !rig.is_own() {
            continue;
        }
        assert_eq!(
            answer(&mut rig, 9, &topic, &sent),
            refused(ErrorCode::InvalidRecord),
            "{what}"
        );
    }
}

#[test]
fn a_batch_above_the_limit_fails_alone_27_87_99() {
    let mut rig = Rig::new();
    let topic = rig.topic(2, &[("max.message.bytes", "51200")]);
    let now = rig.now_ms();
    let (small, big) = (at(&[now]), large(now, 60_000));
    let answers = rig.produce_all(9, -1, &topic, &[(0, &big), (1, &small)]);
    let got: Vec<_> = answers.iter().map(|a| (a.error, a.base_offset)).collect();
    assert_eq!(got, [(ErrorCode::MessageTooLarge, -1), (ErrorCode::None, 0)]);
    assert_eq!(rig.written(&topic, &small), 0, "the connection goes on");
    // The limit is that of the stored batch, to the byte.
    let exact = large(now, 51_200 - large(now, 51_000).len() + 51_000);
    assert_eq!(exact.len(), 51_200);
    assert_eq!(answer(&mut rig, 9, &topic, &exact).0, ErrorCode::None);
    assert_eq!(
        answer(
            &mut rig,
            9,
            &topic,
            &large(now, 51_001 + 51_200 - large(now, 51_000).len())
        )
        .0,
        ErrorCode::MessageTooLarge
    );
}

#[test]
fn what_is_sent_has_to_fit_and_what_is_stored_27_34() {
    let mut rig = Rig::new();
    let packs = rig.topic(1, &[("max.message.bytes", "1000"), ("compression.type", "gzip")]);
    let unpacks = rig.topic(
        1,
        &[("max.message.bytes", "1000"), ("compression.type", "uncompressed")],
    );
    let now = rig.now_ms();
    let build = |codec| {
        let mut builder = BatchBuilder::new().codec(codec);
        builder.append(now, None, Some(&[0; 3_000]), &[]);
        builder.build().unwrap()
    };
    for (topic, codec) in [(&packs, Compression::None), (&unpacks, Compression::Gzip)] {
        assert_eq!(
            rig.produce(topic, &build(codec)).error,
            ErrorCode::MessageTooLarge,
            "{}",
            codec.name()
        );
    }
    assert_eq!(rig.produce(&packs, &build(Compression::Lz4)).error, ErrorCode::None);
}

#[test]
fn a_topic_may_take_records_of_megabytes_87() {
    let mut rig = Rig::new();
    let topic = rig.topic(1, &[("max.message.bytes", "10485760")]);
    let batch = large(rig.now_ms(), 5 << 20);
    assert_eq!(rig.written(&topic, &batch), 0);
    let read = rig.bytes(&topic, 0);
    assert_eq!(
        read.len(),
        batch.len(),
        "51: whole, although larger than the partition's limit"
    );
    assert_eq!(records(&read).len(), 1);
    let normal = rig.topic(1, &[]);
    assert_eq!(
        answer(&mut rig, 9, &normal, &batch).0,
        ErrorCode::MessageTooLarge,
        "the default is 1048588"
    );
}

#[test]
fn log_append_time_replaces_the_clients_times_29() {
    let mut rig = Rig::new();
    let topic = rig.topic(1, &[("message.timestamp.type", "LogAppendTime")]);
    for codec in Compression::ALL {
        let before = rig.now_ms();
        let (error, base, time, _) = answer(&mut rig, 9, &topic, &packed(codec, &[5, 7]));
        assert_eq!(error, ErrorCode::None);
        assert!((before..=rig.now_ms()).contains(&time), "{before} {time}");
        let read = rig.bytes(&topic, base);
        let head = heads(&read)[0];
        assert_eq!(
            (head.timestamp_type(), head.max_timestamp),
            (TimestampType::LogAppendTime, time)
        );
        assert!(
            records(&read).iter().all(|record| record.time == time),
            "{}",
            codec.name()
        );
        rig.pass_ms(20);
    }
}

#[test]
fn create_time_keeps_the_clients_times_29() {
    let mut rig = Rig::new();
    let topic = rig.topic(1, &[("retention.ms", "-1")]);
    let batch = at(&[1_000, -1, 3_000]);
    assert_eq!(answer(&mut rig, 9, &topic, &batch), (ErrorCode::None, 0, -1, 0));
    let times: Vec<i64> = records(&rig.bytes(&topic, 0))
        .iter()
        .map(|record| record.time)
        .collect();
    assert_eq!(times, [1_000, -1, 3_000]);
}

#[test]
fn times_out_of_range_are_refused_record_by_record_29() {
    let mut rig = Rig::new();
    let hour = 3_600_000;
    let topic = rig.topic(
        1,
        &[
            ("message.timestamp.before.max.ms", "3600000"),
            ("message.timestamp.after.max.ms", "60000"),
        ],
    );
    let now = rig.now_ms();
    let sent = at(&[now, now + 2 * hour, now, now - 2 * hour, -1]);
    let answer = rig.produce(&topic, &sent);
    assert_eq!((answer.error, answer.base_offset), (ErrorCode::InvalidTimestamp, -1));
    let faults: Vec<i32> = answer.record_errors.iter().map(|fault| fault.batch_index).collect();
    assert_eq!(faults, [1, 3], "the record without a time is in nobody's range");
    assert_eq!(rig.written(&topic, &at(&[now + 50_000, now - 50 * 60_000, -1])), 0);
    // By default an hour ahead is the most, and nothing is too old.
    let usual = rig.topic(1, &[]);
    assert_eq!(
        rig.produce(&usual, &at(&[now + 2 * hour])).error,
        ErrorCode::InvalidTimestamp
    );
    assert_eq!(rig.produce(&usual, &at(&[0, now + hour / 2])).error, ErrorCode::None);
}

#[test]
fn a_header_that_lies_about_its_times_helps_nobody_29_58() {
    let mut rig = Rig::new();
    let topic = rig.topic(1, &[]);
    let now = rig.now_ms();
    let late = patched(&at(&[now, now + 7_200_000]), 35, &now.to_be_bytes());
    assert_eq!(
        rig.produce(&topic, &late).error,
        ErrorCode::InvalidTimestamp,
        "the records count"
    );
    // Some clients put the first record's time there.
    let modest = patched(&at(&[now, now + 1_000]), 35, &now.to_be_bytes());
    assert_eq!(rig.written(&topic, &modest), 0);
    assert_eq!(heads(&rig.bytes(&topic, 0))[0].max_timestamp, now + 1_000);
    assert_eq!(rig.offset(&topic, 0, now + 500), (ErrorCode::None, now + 1_000, 1, 0));
}

#[test]
fn only_the_broker_writes_log_append_time_29() {
    let mut rig = Rig::new();
    // A topic of CreateTime takes the records and not the claim.
    let topic = rig.topic(1, &[]);
    let mut builder = BatchBuilder::new().attributes(LOG_APPEND_TIME);
    let now = rig.now_ms();
    builder.append(now, None, Some(b"a"), &[]);
    assert_eq!(
        answer(&mut rig, 9, &topic, &builder.build().unwrap()).0,
        ErrorCode::None
    );
    let stored = heads(&rig.bytes(&topic, 0))[0];
    assert_eq!(
        (stored.timestamp_type(), stored.max_timestamp),
        (TimestampType::CreateTime, now)
    );
    let topic = rig.topic(1, &[("message.timestamp.type", "LogAppendTime")]);
    assert_eq!(
        answer(&mut rig, 9, &topic, &builder.build().unwrap()),
        refused(ErrorCode::InvalidTimestamp)
    );
}

#[test]
fn acks_are_0_1_or_all_31() {
    let mut rig = Rig::new();
    let topic = rig.topic(1, &[]);
    let batch = at(&[rig.now_ms()]);
    for acks in [2, -2, i16::MAX] {
        let answers = rig.produce_all(9, acks, &topic, &[(0, &batch), (9, &batch)]);
        let errors: Vec<_> = answers.iter().map(|answer| answer.error).collect();
        assert_eq!(
            errors,
            [ErrorCode::InvalidRequiredAcks, ErrorCode::UnknownTopicOrPartition]
        );
    }
    for (acks, offset) in [(1, 0), (-1, 1)] {
        let answer = rig.produce_all(9, acks, &topic, &[(0, &batch)]).remove(0);
        assert_eq!((answer.error, answer.base_offset), (ErrorCode::None, offset));
    }
}

#[test]
fn one_replica_satisfies_any_min_insync_replicas_31() {
    // Kafka asks for no more replicas than the partition has (`Partition.effectiveMinIsr`).
    let mut rig = Rig::new();
    let topic = rig.topic(1, &[("min.insync.replicas", "2")]);
    let batch = at(&[rig.now_ms()]);
    assert_eq!(rig.produce_all(9, -1, &topic, &[(0, &batch)])[0].error, ErrorCode::None);
}

#[test]
fn acks_0_writes_without_a_word_and_the_connection_stays_in_step_7_99() {
    let mut rig = Rig::new();
    let topic = rig.topic(1, &[]);
    let batch = at(&[rig.now_ms()]);
    for _ in 0..3 {
        rig.send_produce(0, 9, 0, &topic, &[(0, &batch)]);
    }
    assert_eq!(rig.written(&topic, &batch), 3, "appended in the order sent");
    assert_eq!(records(&rig.bytes(&topic, 0)).len(), 4);
}

#[test]
fn acks_0_that_cannot_be_written_ends_the_connection_7() {
    let mut rig = Rig::new();
    let topic = rig.topic(1, &[]);
    let mut damaged = at(&[rig.now_ms()]);
    damaged[17] ^= 1;
    for (partition, batch) in [(0, damaged), (9, at(&[rig.now_ms()]))] {
        let conn = rig.connect();
        rig.send_produce(conn, 9, 0, &topic, &[(partition, &batch)]);
        assert_eq!(rig.came(conn, 5_000), Came::End);
    }
}

#[test]
fn what_is_not_there_is_unknown_33_86() {
    let mut rig = Rig::new();
    let topic = rig.topic(1, &[]);
    let batch = at(&[rig.now_ms()]);
    let gone = Topic {
        name: rig.name("gone"),
        id: TopicId([9; 16]),
    };
    assert_eq!(
        answer(&mut rig, 9, &gone, &batch),
        refused(ErrorCode::UnknownTopicOrPartition)
    );
    assert_eq!(answer(&mut rig, 13, &gone, &batch), refused(ErrorCode::UnknownTopicId));
    for version in [9, 13] {
        for partition in [1, -1] {
            let answers = rig.produce_all(version, -1, &topic, &[(partition, &batch)]);
            assert_eq!(answers[0].error, ErrorCode::UnknownTopicOrPartition);
        }
    }
}

#[test]
fn clients_do_not_write_the_brokers_own_topics_17() {
    let mut rig = Rig::new();
    let topic = Topic {
        name: "__consumer_offsets".into(),
        id: TopicId::ZERO,
    };
    let _ = rig.create(crate::rig::creatable(&topic.name, 1, &[]));
    rig.pass_ms(300);
    let batch = at(&[rig.now_ms()]);
    assert_eq!(
        answer(&mut rig, 9, &topic, &batch),
        refused(ErrorCode::InvalidTopicException)
    );
}

#[test]
fn topics_and_partitions_of_one_request_are_answered_each_24_30() {
    let mut rig = Rig::new();
    let (one, two) = (rig.topic(2, &[]), rig.topic_named(&rig.name("other"), 1, &[]));
    let (batch, now) = (at(&[rig.now_ms()]), rig.now_ms());
    let idle = from_producer((77, 0), 5, 1, now);
    let parts = |list: &[(i32, &'static [u8])]| -> Vec<ProducePartition<'static>> {
        list.iter()
            .map(|(index, records)| ProducePartition {
                index: *index,
                records: Some(records),
            })
            .collect()
    };
    let batch: &'static [u8] = Box::leak(batch.into_boxed_slice());
    let idle: &'static [u8] = Box::leak(idle.into_boxed_slice());
    let (first, second) = (parts(&[(1, batch), (0, idle), (4, batch)]), parts(&[(0, batch)]));
    let body: Bytes = rig.exchange(ApiKey::Produce, 9, |out: &mut BytesMut| {
        let topics = [
            (TopicRef::Name(&one.name), &first[..]),
            (TopicRef::Name(&two.name), &second[..]),
        ];
        encode_request(9, (None, -1, 1000), &topics, out);
    });
    let response = ringlog::wire::produce::ProduceResponse::decode(9, &body).unwrap();
    let mut got: Vec<_> = response
        .topics
        .iter()
        .flat_map(|topic| {
            topic
                .partitions
                .iter()
                .map(|p| (topic.name == two.name, p.index, p.error, p.base_offset))
        })
        .collect();
    got.sort_unstable();
    assert_eq!(
        got,
        [
            (false, 0, ErrorCode::None, 0),
            (false, 1, ErrorCode::None, 0),
            (false, 4, ErrorCode::UnknownTopicOrPartition, -1),
            (true, 0, ErrorCode::None, 0),
        ]
    );
    assert_eq!(response.throttle_time_ms, 0);
}

#[test]
fn a_topics_codec_is_what_is_stored_34_98() {
    let mut rig = Rig::new();
    for to in Compression::ALL {
        let topic = rig.topic_named(&rig.name(to.name()), 1, &[("compression.type", to.name())]);
        let now = rig.now_ms();
        for from in Compression::ALL {
            rig.written(&topic, &packed(from, &[now, now + 1, now + 2]));
        }
        let read = rig.bytes(&topic, 0);
        assert!(
            heads(&read).iter().all(|head| head.compression() == to),
            "{}",
            to.name()
        );
        let seen = records(&read);
        assert_eq!(seen.len(), 15);
        for (number, record) in seen.iter().enumerate() {
            let time = now + number as i64 % 3;
            assert_eq!((record.offset, record.time), (number as i64, time));
            assert_eq!(record.value, format!("at {time}"));
        }
    }
}

#[test]
fn recompression_keeps_a_producers_place_34_35() {
    let mut rig = Rig::new();
    let topic = rig.topic(1, &[("compression.type", "lz4")]);
    let now = rig.now_ms();
    for sequence in [0, 3] {
        rig.written(&topic, &from_producer((900, 0), sequence, 3, now));
    }
    let again = answer(&mut rig, 9, &topic, &from_producer((900, 0), 0, 3, now));
    assert_eq!(
        (again.0, again.1),
        (ErrorCode::None, 0),
        "a retry is known although other bytes were stored"
    );
    let stored = heads(&rig.bytes(&topic, 0));
    let got: Vec<_> = stored
        .iter()
        .map(|head| (head.compression(), head.producer_id, head.base_sequence))
        .collect();
    assert_eq!(got, [(Compression::Lz4, 900, 0), (Compression::Lz4, 900, 3)]);
}

#[test]
fn damaged_compressed_records_are_refused_26() {
    let mut rig = Rig::new();
    let topic = rig.topic(1, &[]);
    for codec in &Compression::ALL[1..] {
        let batch = packed(*codec, &[rig.now_ms(); 20]);
        let damaged = patched(&batch, 61, &[0x5a; 12]);
        let error = rig.produce(&topic, &damaged).error;
        let known = [
            ErrorCode::CorruptMessage,
            ErrorCode::InvalidRecord,
            ErrorCode::UnknownServerError,
        ];
        assert!(known.contains(&error), "{}: {error:?}", codec.name());
    }
    assert_eq!(rig.offset(&topic, 0, -1).2, 0);
}
