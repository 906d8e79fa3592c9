//! Compacted topics.

use crate::configs;
use crate::rig::{Rig, Topic, creatable};
use ringlog::wire::batch::{BatchBuilder, BatchInfo, batches};
use ringlog::wire::error::ErrorCode;
use ringlog::wire::record::Records;

/// Compaction is due after a second at most, and looks for work ten times a second.
const SOON: &[(&str, &str)] = &[
    ("cleanup.policy", "compact"),
    ("max.compaction.lag.ms", "1000"),
    ("delete.retention.ms", "60000"),
];
/// Longer than anything in [`SOON`] takes.
const SETTLED_MS: u64 = 5_000;

fn rig() -> Rig {
    Rig::own(|config| config.cleaner.backoff_ms = Some(100))
}

/// A batch with these keys and values; `None` = a tombstone.
fn batch(rig: &Rig, pairs: &[(&str, Option<&str>)]) -> BatchBuilder {
    let mut builder = BatchBuilder::new();
    for (key, value) in pairs {
        builder.append(rig.now_ms(), Some(key.as_bytes()), value.map(str::as_bytes), &[]);
    }
    builder
}

fn write(rig: &mut Rig, topic: &Topic, pairs: &[(&str, Option<&str>)]) -> i64 {
    let batch = batch(rig, pairs).build().unwrap();
    rig.written(topic, &batch)
}

/// Headers of all batches from `offset` on, and all records: offset, key, value.
#[allow(clippy::type_complexity)]
fn read(rig: &mut Rig, topic: &Topic, offset: i64) -> (Vec<BatchInfo>, Vec<(i64, String, Option<String>)>) {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let (mut heads, mut records) = (Vec::new(), Vec::new());
    for view in batches(&rig.bytes(topic, offset)) {
        let view = view.unwrap();
        assert!(view.crc_matches());
        for record in Records::new(&view.decompressed(1 << 20).unwrap(), view.info().record_count) {
            let record = record.unwrap();
            let offset = view.info().base_offset + i64::from(record.offset_delta);
            records.push((offset, text(record.key.unwrap()), record.value.map(text)));
        }
        heads.push(view.info());
    }
    (heads, records)
}

fn owned(records: &[(i64, &str, Option<&str>)]) -> Vec<(i64, String, Option<String>)> {
    let owned =
        |(offset, key, value): &(i64, &str, Option<&str>)| (*offset, key.to_string(), value.map(str::to_string));
    records.iter().map(owned).collect()
}

#[test]
fn the_last_value_of_each_key_stays_at_its_offset_80() {
    for power_cut in [false, true] {
        let mut rig = rig();
        let topic = rig.topic(1, SOON);
        write(
            &mut rig,
            &topic,
            &[("a", Some("1")), ("b", Some("1")), ("a", Some("2"))],
        );
        write(&mut rig, &topic, &[("b", Some("2"))]);
        write(&mut rig, &topic, &[("c", Some("1")), ("b", None)]);
        write(&mut rig, &topic, &[("d", Some("1"))]);
        rig.pass_ms(SETTLED_MS);
        rig.restart(power_cut);
        let left = [
            (2, "a", Some("2")),
            (4, "c", Some("1")),
            (5, "b", None),
            (6, "d", Some("1")),
        ];
        let (heads, records) = read(&mut rig, &topic, 0);
        assert_eq!(records, owned(&left));
        let extents: Vec<_> = heads
            .iter()
            .map(|head| (head.base_offset, head.last_offset()))
            .collect();
        assert_eq!(
            extents,
            [(0, 2), (4, 5), (6, 6)],
            "batches keep their extent, offset 3 is a gap"
        );
        assert_eq!(
            read(&mut rig, &topic, 3).1,
            owned(&left[1..]),
            "a reader in a gap gets what follows"
        );
        assert_eq!(rig.offset(&topic, 0, -2).2, 0);
        assert_eq!(rig.offset(&topic, 0, -1).2, 7);
        assert_eq!(write(&mut rig, &topic, &[("e", Some("1"))]), 7, "offsets go on");
    }
}

#[test]
fn tombstones_stay_for_their_time_and_go_with_the_next_compaction_80() {
    let mut rig = rig();
    let topic = rig.topic(1, SOON);
    write(&mut rig, &topic, &[("a", Some("1")), ("a", None), ("b", Some("1"))]);
    rig.pass_ms(SETTLED_MS);
    write(&mut rig, &topic, &[("c", Some("1"))]);
    rig.pass_ms(SETTLED_MS);
    rig.restart(false);
    assert_eq!(
        read(&mut rig, &topic, 0).1[0],
        owned(&[(1, "a", None)])[0],
        "a late reader sees the deletion"
    );
    rig.pass_ms(60_000);
    write(&mut rig, &topic, &[("c", Some("2"))]);
    rig.pass_ms(SETTLED_MS);
    rig.restart(true);
    assert_eq!(
        read(&mut rig, &topic, 0).1,
        owned(&[(2, "b", Some("1")), (4, "c", Some("2"))])
    );
}

#[test]
fn a_producers_last_batch_stays_as_a_header_80() {
    let mut rig = rig();
    let topic = rig.topic(1, SOON);
    let id = crate::idempotence::producer(&mut rig);
    let own = batch(&rig, &[("a", Some("1"))]).producer(id, 0, 0).build().unwrap();
    rig.written(&topic, &own);
    write(&mut rig, &topic, &[("a", Some("2"))]);
    write(&mut rig, &topic, &[("b", Some("1"))]);
    rig.pass_ms(SETTLED_MS);
    rig.restart(true);
    let (heads, records) = read(&mut rig, &topic, 0);
    assert_eq!(records, owned(&[(1, "a", Some("2")), (2, "b", Some("1"))]));
    let first = heads[0];
    assert_eq!((first.base_offset, first.record_count), (0, 0));
    assert_eq!(
        (first.producer_id, first.producer_epoch, first.base_sequence),
        (id, 0, 0)
    );
    assert_eq!(rig.written(&topic, &own), 0, "a retry is still known");
}

#[test]
fn a_living_topic_becomes_compacted_and_compacted_topics_are_deleted_from_80() {
    let mut rig = rig();
    let topic = rig.topic(1, &[("max.compaction.lag.ms", "1000")]);
    for value in ["1", "2", "3"] {
        write(&mut rig, &topic, &[("a", Some(value)), ("b", Some(value))]);
    }
    rig.pass_ms(SETTLED_MS);
    assert_eq!(
        configs::set_one(&mut rig, &topic, "cleanup.policy", "compact,delete"),
        ErrorCode::None
    );
    rig.pass_ms(SETTLED_MS);
    rig.restart(true);
    assert_eq!(
        read(&mut rig, &topic, 0).1,
        owned(&[(4, "a", Some("3")), (5, "b", Some("3"))])
    );
    assert_eq!(crate::offsets::delete(&mut rig, &topic, 5), (ErrorCode::None, 5));
    assert_eq!(
        read(&mut rig, &topic, 5).1.last(),
        owned(&[(5, "b", Some("3"))]).first()
    );
    assert_eq!(rig.offset(&topic, 0, -2).2, 5);
    assert_eq!(
        configs::set_one(&mut rig, &topic, "retention.ms", "1000"),
        ErrorCode::None
    );
    rig.pass_ms(400_000);
    assert_eq!(
        rig.offset(&topic, 0, -2).2,
        6,
        "retention deletes what is compacted, too"
    );
}

#[test]
fn a_time_is_found_among_what_is_left_80() {
    let mut rig = rig();
    let topic = rig.topic(1, SOON);
    let begin = rig.now_ms();
    write(&mut rig, &topic, &[("a", Some("1"))]);
    rig.pass_ms(100);
    write(&mut rig, &topic, &[("b", Some("1"))]);
    rig.pass_ms(100);
    let third = rig.now_ms();
    write(&mut rig, &topic, &[("a", Some("2"))]);
    rig.pass_ms(SETTLED_MS);
    rig.restart(false);
    let (error, time, offset, _) = rig.offset(&topic, 0, begin);
    assert_eq!((error, offset), (ErrorCode::None, 1), "offset 0 is gone");
    assert!(time > begin && time < third);
    assert_eq!(rig.offset(&topic, 0, third).2, 2);
    assert_eq!(rig.offset(&topic, 0, -3).2, 2, "the largest time");
}

#[test]
fn records_without_key_are_named_28() {
    let mut rig = Rig::new();
    let topic = rig.topic(1, &[("cleanup.policy", "compact")]);
    let mut builder = BatchBuilder::new();
    let now = rig.now_ms();
    builder
        .append(now, Some(b"k"), Some(b"v"), &[])
        .append(now, None, Some(b"v"), &[]);
    let answer = rig.produce(&topic, &builder.build().unwrap());
    assert_eq!((answer.error, answer.base_offset), (ErrorCode::InvalidRecord, -1));
    let named: Vec<i32> = answer.record_errors.iter().map(|error| error.batch_index).collect();
    assert_eq!(named, [1]);
    assert_eq!(rig.offset(&topic, 0, -1).2, 0, "nothing is written");
}

#[test]
fn topics_can_be_exactly_compact_21() {
    let mut rig = Rig::new();
    for policy in ["compact", "compact,delete", "delete"] {
        let name = rig.name("connect");
        let created = rig.create(creatable(&name, -1, &[("cleanup.policy", policy)]));
        assert_eq!(created.error, ErrorCode::None, "{:?}", created.error_message);
        let configs = created.configs.unwrap();
        let found = configs.iter().find(|config| config.name == "cleanup.policy").unwrap();
        assert_eq!(found.value.as_deref(), Some(policy));
    }
}
