//! What a client finds again after the broker was killed, or lost its power.

use crate::batches::{at, from_producer, heads, records};
use crate::idempotence::{producer, send};
use crate::rig::{Rig, Topic};
use ringlog::wire::control::metadata::{Metadata, MetadataRequest, MetadataResponse};
use ringlog::wire::error::ErrorCode;

/// A node whose journal is so small that it is used again and again, and everything goes to segments early.
fn small() -> Rig {
    Rig::own(|config| {
        config.journal_file = 256 << 10;
        config.journal_files = 3;
        config.chunk = 64 << 10;
        config.cache = 128 << 10;
        config.destage = 4 << 10;
        config.segment = 256 << 10;
    })
}

/// Writes enough elsewhere that the journal before it is used again.
fn fill(rig: &mut Rig, other: &Topic) {
    let before = rig.offset(other, 0, -1).2;
    for _ in 0..40 {
        let batch = crate::batches::large(rig.now_ms(), 60_000);
        rig.written(other, &batch);
        rig.pass_ms(20);
    }
    assert_eq!(rig.offset(other, 0, -1).2, before + 40);
}

fn all(rig: &mut Rig) -> MetadataResponse {
    rig.ask::<Metadata>(12, &MetadataRequest::default())
}

#[test]
fn the_five_batch_window_is_rebuilt_from_the_journal_39_35() {
    for power_cut in [false, true] {
        let mut rig = Rig::own(|_| ());
        let (topic, id) = (rig.topic(1, &[]), producer(&mut rig));
        for number in 0..7 {
            assert_eq!(
                send(&mut rig, &topic, (id, 0), 2 * number, 2),
                (ErrorCode::None, i64::from(2 * number))
            );
        }
        rig.restart(power_cut);
        check_window(&mut rig, &topic, id);
    }
}

#[test]
fn the_five_batch_window_is_rebuilt_from_a_checkpoint_39_35() {
    for power_cut in [false, true] {
        let mut rig = small();
        let (topic, id) = (rig.topic(1, &[]), producer(&mut rig));
        let other = rig.topic_named("other", 1, &[]);
        for number in 0..7 {
            assert_eq!(
                send(&mut rig, &topic, (id, 0), 2 * number, 2),
                (ErrorCode::None, i64::from(2 * number))
            );
        }
        fill(&mut rig, &other);
        rig.restart(power_cut);
        check_window(&mut rig, &topic, id);
    }
}

#[test]
fn the_five_batch_window_is_rebuilt_from_checkpoint_and_journal_39_35() {
    for behind in 0..=5 {
        let mut rig = small();
        let (topic, id) = (rig.topic(1, &[]), producer(&mut rig));
        let other = rig.topic_named("other", 1, &[]);
        for number in 0..7 {
            if number == 7 - behind {
                fill(&mut rig, &other);
            }
            assert_eq!(
                send(&mut rig, &topic, (id, 0), 2 * number, 2),
                (ErrorCode::None, i64::from(2 * number))
            );
        }
        rig.restart(true);
        check_window(&mut rig, &topic, id);
        // And once more, from what the first start has left.
        rig.restart(false);
        check_window(&mut rig, &topic, id);
    }
}

/// Seven batches of two records were written: the last five are known with their offsets, and the next is sequence 14.
fn check_window(rig: &mut Rig, topic: &Topic, id: i64) {
    for number in 2..7 {
        assert_eq!(
            send(rig, topic, (id, 0), 2 * number, 2),
            (ErrorCode::None, i64::from(2 * number)),
            "batch {number}"
        );
    }
    assert_eq!(send(rig, topic, (id, 0), 2, 2).0, ErrorCode::OutOfOrderSequenceNumber);
    assert_eq!(send(rig, topic, (id, 0), 15, 1).0, ErrorCode::OutOfOrderSequenceNumber);
    let read = rig.bytes(topic, 0);
    assert_eq!(records(&read).len(), 14);
    assert_eq!(heads(&read).len(), 7);
}

#[test]
fn producers_go_on_where_they_were_after_each_restart_39() {
    let mut rig = small();
    let (topic, id) = (rig.topic(1, &[]), producer(&mut rig));
    let other = rig.topic_named("other", 1, &[]);
    for round in 0..6 {
        assert_eq!(
            send(&mut rig, &topic, (id, 3), round, 1),
            (ErrorCode::None, i64::from(round))
        );
        if round % 2 == 0 {
            fill(&mut rig, &other);
        }
        rig.restart(round % 3 == 0);
        assert_eq!(
            send(&mut rig, &topic, (id, 3), round, 1),
            (ErrorCode::None, i64::from(round)),
            "the retry"
        );
        assert_eq!(
            send(&mut rig, &topic, (id, 2), round + 1, 1).0,
            ErrorCode::InvalidProducerEpoch,
            "38"
        );
    }
    assert_ne!(producer(&mut rig), id, "ids are never given twice");
}

#[test]
fn a_retry_after_a_restart_still_gets_the_first_append_time_29_39() {
    for checkpoint in [false, true] {
        let mut rig = small();
        let (topic, id) = (
            rig.topic(1, &[("message.timestamp.type", "LogAppendTime")]),
            producer(&mut rig),
        );
        let other = rig.topic_named("other", 1, &[]);
        let batch = from_producer((id, 0), 0, 1, rig.now_ms());
        let first = rig.produce(&topic, &batch);
        if checkpoint {
            fill(&mut rig, &other);
        }
        rig.restart(true);
        let again = rig.produce(&topic, &batch);
        assert_eq!(
            (again.base_offset, again.log_append_time_ms),
            (0, first.log_append_time_ms)
        );
    }
}

#[test]
fn cluster_topics_and_epochs_are_the_same_after_a_restart_13_14_15_82() {
    let mut rig = Rig::own(|_| ());
    rig.topic_named("a", 3, &[("retention.ms", "1000000")]);
    rig.topic_named("b", 1, &[]);
    let before = all(&mut rig);
    for power_cut in [true, false] {
        rig.restart(power_cut);
        assert_eq!(all(&mut rig), before);
    }
    assert!(before.topics.iter().all(|topic| !topic.topic_id.is_zero()));
}

#[test]
fn deleted_records_stay_deleted_79() {
    for checkpoint in [false, true] {
        let mut rig = small();
        let topic = rig.topic(1, &[]);
        let other = rig.topic_named("other", 1, &[]);
        let now = rig.now_ms();
        for _ in 0..4 {
            rig.written(&topic, &at(&[now; 5]));
        }
        assert_eq!(crate::offsets::delete(&mut rig, &topic, 7), (ErrorCode::None, 7));
        if checkpoint {
            fill(&mut rig, &other);
        }
        rig.restart(true);
        assert_eq!(rig.offset(&topic, 0, -2).2, 7);
        assert_eq!(rig.fetch(&topic, 6).error, ErrorCode::OffsetOutOfRange);
        assert_eq!(records(&rig.bytes(&topic, 7)).last().unwrap().offset, 19);
    }
}

#[test]
fn offsets_by_time_are_exact_in_segments_and_after_a_restart_58_59() {
    let mut rig = small();
    let topic = rig.topic(1, &[]);
    let other = rig.topic_named("other", 1, &[]);
    let base = rig.now_ms() - 3_000_000;
    for batch in 0..30 {
        rig.written(
            &topic,
            &at(&[base + 100 * batch, base + 100 * batch + 70, base + 100 * batch + 30]),
        );
    }
    for round in 0..3 {
        for batch in [0, 1, 13, 29] {
            let start = base + 100 * batch;
            assert_eq!(
                rig.offset(&topic, 0, start + 1),
                (ErrorCode::None, start + 70, 3 * batch + 1, 0),
                "round {round}"
            );
            assert_eq!(rig.offset(&topic, 0, start), (ErrorCode::None, start, 3 * batch, 0));
        }
        assert_eq!(rig.offset(&topic, 0, -3), (ErrorCode::None, base + 2_970, 88, 0));
        assert_eq!(rig.offset(&topic, 0, base + 2_971), (ErrorCode::None, -1, -1, -1));
        fill(&mut rig, &other);
        rig.restart(round == 1);
    }
    assert!(rig.files().iter().any(|name| name.ends_with(".seg")));
}
