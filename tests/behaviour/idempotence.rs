//! Idempotent producers: what a retry is answered with, and what is out of order.

use crate::batches::{from_producer, records};
use crate::rig::{Rig, Topic};
use ringlog::wire::control::init_producer_id::{InitProducerId, InitProducerIdRequest};
use ringlog::wire::error::ErrorCode;

/// A new producer id of this broker.
pub fn producer(rig: &mut Rig) -> i64 {
    let request = InitProducerIdRequest {
        transaction_timeout_ms: 60_000,
        ..Default::default()
    };
    let mut response = rig.ask::<InitProducerId>(4, &request);
    while !rig.is_own() && response.error == ErrorCode::CoordinatorLoadInProgress {
        rig.pass_ms(100);
        response = rig.ask::<InitProducerId>(4, &request);
    }
    assert_eq!((response.error, response.producer_epoch), (ErrorCode::None, 0));
    response.producer_id
}

/// Sends `count` records from `sequence` on; error and base offset.
pub fn send(rig: &mut Rig, topic: &Topic, of: (i64, i16), sequence: i32, count: i32) -> (ErrorCode, i64) {
    let batch = from_producer(of, sequence, count, rig.now_ms());
    let answer = rig.produce(topic, &batch);
    (answer.error, answer.base_offset)
}

const OUT_OF_ORDER: (ErrorCode, i64) = (ErrorCode::OutOfOrderSequenceNumber, -1);

#[test]
fn retries_of_the_last_five_batches_get_the_first_answer_35_30() {
    let mut rig = Rig::new();
    let (topic, id) = (rig.topic(1, &[]), producer(&mut rig));
    for number in 0..7 {
        assert_eq!(
            send(&mut rig, &topic, (id, 0), 2 * number, 2),
            (ErrorCode::None, i64::from(2 * number))
        );
    }
    for number in 2..7 {
        let batch = from_producer((id, 0), 2 * number, 2, rig.now_ms());
        let again = rig.produce(&topic, &batch);
        assert_eq!(
            (again.error, again.base_offset, again.log_start_offset),
            (ErrorCode::None, i64::from(2 * number), 0)
        );
    }
    assert_eq!(
        send(&mut rig, &topic, (id, 0), 2, 2),
        OUT_OF_ORDER,
        "older than five batches"
    );
    assert_eq!(
        send(&mut rig, &topic, (id, 0), 12, 1),
        OUT_OF_ORDER,
        "part of a batch is no retry of it"
    );
    assert_eq!(
        send(&mut rig, &topic, (id, 0), 10, 4),
        OUT_OF_ORDER,
        "nor are two batches in one"
    );
    assert_eq!(records(&rig.bytes(&topic, 0)).len(), 14, "nothing was written twice");
}

#[test]
fn the_next_sequence_follows_the_last_36() {
    let mut rig = Rig::new();
    let (topic, id) = (rig.topic(1, &[]), producer(&mut rig));
    assert_eq!(send(&mut rig, &topic, (id, 0), 0, 3), (ErrorCode::None, 0));
    assert_eq!(send(&mut rig, &topic, (id, 0), 4, 1), OUT_OF_ORDER);
    assert_eq!(send(&mut rig, &topic, (id, 0), 3, 1), (ErrorCode::None, 3));
    // From the largest number it goes on at 0, also inside a batch.
    let id = producer(&mut rig);
    assert_eq!(send(&mut rig, &topic, (id, 0), i32::MAX - 1, 2), (ErrorCode::None, 4));
    assert_eq!(send(&mut rig, &topic, (id, 0), 1, 1), OUT_OF_ORDER);
    assert_eq!(send(&mut rig, &topic, (id, 0), 0, 1), (ErrorCode::None, 6));
    let id = producer(&mut rig);
    assert_eq!(send(&mut rig, &topic, (id, 0), i32::MAX, 3), (ErrorCode::None, 7));
    assert_eq!(
        send(&mut rig, &topic, (id, 0), i32::MAX, 3),
        (ErrorCode::None, 7),
        "a retry of it"
    );
    assert_eq!(send(&mut rig, &topic, (id, 0), 2, 1), (ErrorCode::None, 10));
}

#[test]
fn an_unknown_producer_begins_anywhere_37() {
    let mut rig = Rig::new();
    let (topic, id) = (rig.topic(1, &[]), producer(&mut rig));
    assert_eq!(send(&mut rig, &topic, (id, 0), 41, 1), (ErrorCode::None, 0));
    assert_eq!(send(&mut rig, &topic, (id, 0), 42, 1), (ErrorCode::None, 1));
    assert_eq!(send(&mut rig, &topic, (id, 0), 44, 1), OUT_OF_ORDER);
}

#[test]
fn epochs_only_grow_and_begin_at_0_38() {
    let mut rig = Rig::new();
    let (topic, id) = (rig.topic(1, &[]), producer(&mut rig));
    assert_eq!(send(&mut rig, &topic, (id, 1), 0, 1), (ErrorCode::None, 0));
    assert_eq!(send(&mut rig, &topic, (id, 2), 1, 1), OUT_OF_ORDER);
    assert_eq!(send(&mut rig, &topic, (id, 2), 0, 1), (ErrorCode::None, 1));
    assert_eq!(
        send(&mut rig, &topic, (id, 1), 1, 1),
        (ErrorCode::InvalidProducerEpoch, -1)
    );
    assert_eq!(
        send(&mut rig, &topic, (id, 1), 0, 1),
        (ErrorCode::InvalidProducerEpoch, -1),
        "not even a retry"
    );
    assert_eq!(send(&mut rig, &topic, (id, 2), 0, 1), (ErrorCode::None, 1));
}

#[test]
fn a_producer_id_needs_epoch_and_sequence_41_26() {
    let mut rig = Rig::new();
    let (topic, id) = (rig.topic(1, &[]), producer(&mut rig));
    assert_eq!(send(&mut rig, &topic, (id, 0), -1, 1), (ErrorCode::InvalidRecord, -1));
    assert_eq!(
        send(&mut rig, &topic, (-1, -1), -1, 1),
        (ErrorCode::None, 0),
        "without all three it is a plain producer"
    );
    assert_eq!(
        send(&mut rig, &topic, (-1, -1), 7, 1),
        (ErrorCode::None, 1),
        "franz-go numbers its batches then, too"
    );
}

#[test]
fn five_requests_in_flight_are_judged_in_the_order_they_came_40() {
    let mut rig = Rig::new();
    let (topic, id) = (rig.topic(1, &[]), producer(&mut rig));
    let now = rig.now_ms();
    // The third is sent late, so the fourth and fifth come out of order, and are taken when sent again.
    let order = [0, 1, 3, 4, 2];
    let sent: Vec<i32> = order
        .iter()
        .map(|sequence| {
            let batch = from_producer((id, 0), *sequence, 1, now);
            rig.send_produce(0, 9, -1, &topic, &[(0, &batch)])
        })
        .collect();
    let got: Vec<_> = sent
        .into_iter()
        .map(|correlation| rig.produced(0, 9, correlation).topics[0].partitions[0].clone())
        .map(|answer| (answer.error, answer.base_offset))
        .collect();
    assert_eq!(
        got,
        [
            (ErrorCode::None, 0),
            (ErrorCode::None, 1),
            OUT_OF_ORDER,
            OUT_OF_ORDER,
            (ErrorCode::None, 2)
        ]
    );
    for sequence in [3, 4] {
        assert_eq!(
            send(&mut rig, &topic, (id, 0), sequence, 1),
            (ErrorCode::None, i64::from(sequence))
        );
    }
}

#[test]
fn each_partition_has_its_own_sequence_35() {
    let mut rig = Rig::new();
    let (topic, id) = (rig.topic(3, &[]), producer(&mut rig));
    let batch = from_producer((id, 0), 0, 1, rig.now_ms());
    let answers = rig.produce_all(9, -1, &topic, &[(0, &batch), (1, &batch), (2, &batch)]);
    assert!(
        answers
            .iter()
            .all(|answer| (answer.error, answer.base_offset) == (ErrorCode::None, 0))
    );
}

#[test]
fn deleted_records_leave_the_producer_where_it_was_39_79() {
    let mut rig = Rig::new();
    let (topic, id) = (rig.topic(1, &[]), producer(&mut rig));
    assert_eq!(send(&mut rig, &topic, (id, 0), 0, 5), (ErrorCode::None, 0));
    assert_eq!(crate::offsets::delete(&mut rig, &topic, -1), (ErrorCode::None, 5));
    assert_eq!(send(&mut rig, &topic, (id, 0), 7, 1), OUT_OF_ORDER);
    assert_eq!(send(&mut rig, &topic, (id, 0), 5, 1), (ErrorCode::None, 5));
    let batch = from_producer((id, 0), 0, 5, rig.now_ms());
    let again = rig.produce(&topic, &batch);
    assert_eq!(
        (again.error, again.base_offset, again.log_start_offset),
        (ErrorCode::None, 0, 5)
    );
}

#[test]
fn a_producer_idle_for_a_day_is_forgotten_39() {
    let mut rig = Rig::own(|_| ());
    let (topic, id) = (rig.topic(1, &[]), producer(&mut rig));
    assert_eq!(send(&mut rig, &topic, (id, 0), 0, 1), (ErrorCode::None, 0));
    rig.pass_ms(23 * 3_600_000);
    rig.reconnect();
    assert_eq!(
        send(&mut rig, &topic, (id, 0), 5, 1),
        OUT_OF_ORDER,
        "10 idle minutes forget nobody"
    );
    assert_eq!(send(&mut rig, &topic, (id, 0), 1, 1), (ErrorCode::None, 1));
    rig.pass_ms(25 * 3_600_000);
    rig.reconnect();
    assert_eq!(
        send(&mut rig, &topic, (id, 0), 77, 1),
        (ErrorCode::None, 2),
        "it may begin anywhere again"
    );
}

#[test]
fn a_retry_of_log_append_time_gets_the_first_time_29_35() {
    let mut rig = Rig::new();
    let (topic, id) = (
        rig.topic(1, &[("message.timestamp.type", "LogAppendTime")]),
        producer(&mut rig),
    );
    let batch = from_producer((id, 0), 0, 1, rig.now_ms());
    let first = rig.produce(&topic, &batch);
    rig.pass_ms(30);
    let again = rig.produce(&topic, &batch);
    assert!(first.log_append_time_ms > 0);
    assert_eq!(
        (again.base_offset, again.log_append_time_ms),
        (0, first.log_append_time_ms)
    );
}
