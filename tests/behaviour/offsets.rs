//! ListOffsets, OffsetForLeaderEpoch, DeleteRecords.

use crate::batches::{at, packed, records};
use crate::rig::{Came, Rig, Topic, at_once};
use ringlog::base::ids::TopicId;
use ringlog::wire::compress::Compression;
use ringlog::wire::control::delete_records::{
    DeleteRecords, DeleteRecordsPartition, DeleteRecordsRequest, DeleteRecordsTopic,
};
use ringlog::wire::control::list_offsets::{ListOffsets, ListOffsetsPartition, ListOffsetsRequest, ListOffsetsTopic};
use ringlog::wire::control::offset_for_leader_epoch::{
    OffsetForLeaderEpoch, OffsetForLeaderEpochRequest, OffsetForLeaderPartition, OffsetForLeaderTopic,
};
use ringlog::wire::error::ErrorCode;

const NOTHING: (ErrorCode, i64, i64, i32) = (ErrorCode::None, -1, -1, -1);

/// Deletes records of partition 0 below an offset; error and new start.
#[track_caller]
pub fn delete(rig: &mut Rig, topic: &Topic, offset: i64) -> (ErrorCode, i64) {
    let request = DeleteRecordsRequest {
        topics: vec![DeleteRecordsTopic {
            name: topic.name.clone(),
            partitions: vec![DeleteRecordsPartition { index: 0, offset }],
        }],
        timeout_ms: 10_000,
    };
    let response = rig.ask::<DeleteRecords>(2, &request);
    let found = &response.topics[0].partitions[0];
    (found.error, found.low_watermark)
}

fn list(topic: &str, partitions: &[(i32, i32, i64)], isolation_level: i8) -> ListOffsetsRequest {
    let partition = |(index, current_leader_epoch, timestamp): &(i32, i32, i64)| ListOffsetsPartition {
        index: *index,
        current_leader_epoch: *current_leader_epoch,
        timestamp: *timestamp,
    };
    ListOffsetsRequest {
        isolation_level,
        topics: vec![ListOffsetsTopic {
            name: topic.into(),
            partitions: partitions.iter().map(partition).collect(),
        }],
        timeout_ms: 1000,
        ..Default::default()
    }
}

#[test]
fn the_first_record_at_or_after_a_time_58_59() {
    let mut rig = Rig::new();
    let t = rig.now_ms() - 1_000_000;
    for codec in Compression::ALL {
        let topic = rig.topic_named(&rig.name(codec.name()), 1, &[]);
        rig.written(&topic, &packed(codec, &[t + 10, t + 20, t + 30, t + 40, t + 50]));
        rig.written(&topic, &packed(codec, &[t + 45, t + 35, t + 90, t + 60]));
        for (asked, offset, time) in [
            (0, 0, 10),
            (10, 0, 10),
            (11, 1, 20),
            (30, 2, 30),
            (50, 4, 50),
            (51, 7, 90),
            (90, 7, 90),
        ] {
            assert_eq!(
                rig.offset(&topic, 0, t + asked),
                (ErrorCode::None, t + time, offset, 0),
                "{} +{asked}",
                codec.name()
            );
        }
        assert_eq!(rig.offset(&topic, 0, t + 91), NOTHING, "no error, and nothing");
        assert_eq!(rig.offset(&topic, 0, -3), (ErrorCode::None, t + 90, 7, 0));
    }
}

#[test]
fn the_ends_of_a_log_59() {
    let mut rig = Rig::new();
    let topic = rig.topic(2, &[]);
    let now = rig.now_ms();
    rig.written(&topic, &at(&[now, now, now]));
    assert_eq!(rig.offset(&topic, 0, -1), (ErrorCode::None, -1, 3, 0));
    assert_eq!(rig.offset(&topic, 0, -2), (ErrorCode::None, -1, 0, 0));
    assert_eq!(rig.offset(&topic, 0, -4), (ErrorCode::None, -1, 0, 0), "earliest local");
    assert_eq!(rig.offset(&topic, 0, -5), NOTHING, "nothing is tiered");
    assert_eq!(rig.offset(&topic, 0, -6), NOTHING);
    // An empty partition has an end and a start, and no record.
    assert_eq!(rig.offset(&topic, 1, -1), (ErrorCode::None, -1, 0, 0));
    assert_eq!(rig.offset(&topic, 1, -2), (ErrorCode::None, -1, 0, 0));
    assert_eq!(rig.offset(&topic, 1, -3), NOTHING);
    assert_eq!(rig.offset(&topic, 1, now), NOTHING);
}

#[test]
fn the_largest_time_is_that_of_a_record_59() {
    let mut rig = Rig::new();
    let topic = rig.topic(1, &[]);
    let t = rig.now_ms() - 1_000;
    rig.written(&topic, &at(&[t + 10, t + 70, t + 30]));
    rig.written(&topic, &packed(Compression::Gzip, &[t + 50, t + 70, t + 20]));
    assert_eq!(
        rig.offset(&topic, 0, -3),
        (ErrorCode::None, t + 70, 1, 0),
        "the first of two"
    );
}

#[test]
fn the_largest_time_is_that_of_a_record_that_is_there_59_79() {
    // Kafka looks among the deleted ones, too.
    let mut rig = Rig::own(|_| ());
    let topic = rig.topic(1, &[]);
    let t = rig.now_ms() - 1_000;
    rig.written(&topic, &at(&[t + 10, t + 90, t + 30, t + 50, t + 20]));
    rig.written(&topic, &at(&[t + 5, t + 40]));
    assert_eq!(delete(&mut rig, &topic, 2), (ErrorCode::None, 2));
    assert_eq!(rig.offset(&topic, 0, -3), (ErrorCode::None, t + 50, 3, 0));
    assert_eq!(delete(&mut rig, &topic, 5), (ErrorCode::None, 5));
    assert_eq!(rig.offset(&topic, 0, -3), (ErrorCode::None, t + 40, 6, 0));
    assert_eq!(delete(&mut rig, &topic, -1), (ErrorCode::None, 7));
    assert_eq!(rig.offset(&topic, 0, -3), NOTHING);
}

#[test]
fn special_times_have_their_versions_and_others_none_59() {
    let mut rig = Rig::new();
    let topic = rig.topic(1, &[]);
    for (timestamp, from) in [
        (-1, 1),
        (-2, 1),
        (-3, 7),
        (-4, 8),
        (-5, 9),
        (-6, 11),
        (-7, 12),
        (i64::MIN, 12),
    ] {
        for version in 1..=11 {
            let response = rig.ask::<ListOffsets>(version, &list(&topic.name, &[(0, -1, timestamp)], 0));
            let error = if version >= from {
                ErrorCode::None
            } else {
                ErrorCode::UnsupportedVersion
            };
            assert_eq!(
                response.topics[0].partitions[0].error, error,
                "{timestamp} in version {version}"
            );
        }
    }
}

#[test]
fn read_committed_sees_the_same_end_without_transactions_47() {
    let mut rig = Rig::new();
    let topic = rig.topic(1, &[]);
    rig.written(&topic, &at(&[rig.now_ms()]));
    for isolation in [0, 1] {
        let response = rig.ask::<ListOffsets>(7, &list(&topic.name, &[(0, 0, -1)], isolation));
        assert_eq!(response.topics[0].partitions[0].offset, 1);
    }
}

#[test]
fn a_wrong_leader_epoch_is_told_56_60() {
    let mut rig = Rig::new();
    let topic = rig.topic(1, &[]);
    rig.written(&topic, &at(&[rig.now_ms()]));
    let response = rig.ask::<ListOffsets>(7, &list(&topic.name, &[(0, 1, -1)], 0));
    let found = &response.topics[0].partitions[0];
    assert_eq!(
        (found.error, found.offset, found.leader_epoch),
        (ErrorCode::UnknownLeaderEpoch, -1, -1)
    );
    let mut wanted = topic.wanted(&[(0, 0)]);
    wanted.partitions[0].current_leader_epoch = 1;
    let response = rig.fetch_all(12, &at_once(vec![wanted]));
    assert_eq!(response.topics[0].partitions[0].error, ErrorCode::UnknownLeaderEpoch);
}

#[test]
fn unknown_partitions_and_topics_have_one_error_61() {
    let mut rig = Rig::new();
    let topic = rig.topic(1, &[]);
    for (name, index) in [
        (topic.name.as_str(), 1),
        (topic.name.as_str(), -1),
        ("gone", 0),
        ("no name", 0),
    ] {
        let response = rig.ask::<ListOffsets>(7, &list(name, &[(index, -1, -1)], 0));
        assert_eq!(
            response.topics[0].partitions[0].error,
            ErrorCode::UnknownTopicOrPartition,
            "{name} {index}"
        );
        let other = Topic {
            name: name.into(),
            id: TopicId::ZERO,
        };
        if index == 0 {
            assert_eq!(
                delete(&mut rig, &other, 0),
                (ErrorCode::UnknownTopicOrPartition, -1),
                "{name}"
            );
            assert_eq!(
                epoch_end(&mut rig, 4, &other, (-1, 0)).0,
                ErrorCode::UnknownTopicOrPartition,
                "{name}"
            );
        }
    }
}

#[test]
fn a_partition_named_twice_is_refused_each_time_61() {
    let mut rig = Rig::new();
    let topic = rig.topic(2, &[]);
    let mut request = list(&topic.name, &[(0, -1, -1), (1, -1, -2)], 0);
    request.topics.extend(list(&topic.name, &[(0, -1, -2)], 0).topics);
    let response = rig.ask::<ListOffsets>(7, &request);
    let mut found: Vec<_> = response
        .topics
        .iter()
        .flat_map(|topic| &topic.partitions)
        .map(|p| (p.index, p.error))
        .collect();
    found.sort_by_key(|(index, _)| *index);
    // Kafka may put both entries of a topic into one; every mention is refused.
    let refused = (0, ErrorCode::InvalidRequest);
    assert_eq!(found, [refused, refused, (1, ErrorCode::None)]);
}

fn epoch_end(rig: &mut Rig, version: i16, topic: &Topic, (current, asked): (i32, i32)) -> (ErrorCode, i32, i64) {
    let partition = OffsetForLeaderPartition {
        index: 0,
        current_leader_epoch: current,
        leader_epoch: asked,
    };
    let request = OffsetForLeaderEpochRequest {
        replica_id: -1,
        topics: vec![OffsetForLeaderTopic {
            topic: topic.name.clone(),
            partitions: vec![partition],
        }],
    };
    let response = rig.ask::<OffsetForLeaderEpoch>(version, &request);
    let found = &response.topics[0].partitions[0];
    (found.error, found.leader_epoch, found.end_offset)
}

#[test]
fn an_epoch_ends_where_the_log_does_60() {
    let mut rig = Rig::new();
    let topic = rig.topic(1, &[]);
    assert_eq!(
        epoch_end(&mut rig, 4, &topic, (-1, 0)),
        (ErrorCode::None, 0, 0),
        "an empty log, too"
    );
    let now = rig.now_ms();
    rig.written(&topic, &at(&[now, now]));
    for version in 2..=4 {
        assert_eq!(epoch_end(&mut rig, version, &topic, (-1, 0)), (ErrorCode::None, 0, 2));
        assert_eq!(epoch_end(&mut rig, version, &topic, (0, 0)), (ErrorCode::None, 0, 2));
        assert_eq!(
            epoch_end(&mut rig, version, &topic, (-1, 5)),
            (ErrorCode::None, -1, -1),
            "nobody knows epoch 5"
        );
        assert_eq!(
            epoch_end(&mut rig, version, &topic, (5, 0)).0,
            ErrorCode::UnknownLeaderEpoch
        );
    }
}

#[test]
fn a_reader_with_an_epoch_that_never_was_is_out_of_range_57() {
    let mut rig = Rig::new();
    let topic = rig.topic(1, &[]);
    let now = rig.now_ms();
    rig.written(&topic, &at(&[now, now]));
    let fetch = |rig: &mut Rig, last_fetched_epoch, offset| {
        let mut wanted = topic.wanted(&[(0, offset)]);
        wanted.partitions[0].last_fetched_epoch = last_fetched_epoch;
        let mut response = rig.fetch_all(12, &at_once(vec![wanted]));
        let partition = response.topics.remove(0).partitions.remove(0);
        (partition.error, partition.diverging_epoch, partition.records_len() > 0)
    };
    assert_eq!(fetch(&mut rig, -1, 0), (ErrorCode::None, None, true));
    assert_eq!(fetch(&mut rig, 0, 1), (ErrorCode::None, None, true));
    assert_eq!(
        fetch(&mut rig, 0, 9),
        (ErrorCode::None, Some((0, 2)), false),
        "it has records that are not here"
    );
    assert_eq!(fetch(&mut rig, 5, 1), (ErrorCode::OffsetOutOfRange, None, false));
}

#[test]
fn deleting_records_moves_the_start_79() {
    let mut rig = Rig::new();
    let topic = rig.topic(1, &[]);
    let now = rig.now_ms();
    for time in 0..3 {
        rig.written(&topic, &at(&[now + time, now + time, now + time]));
    }
    assert_eq!(delete(&mut rig, &topic, 4), (ErrorCode::None, 4));
    assert_eq!(delete(&mut rig, &topic, 2), (ErrorCode::None, 4), "it never moves back");
    assert_eq!(delete(&mut rig, &topic, 10), (ErrorCode::OffsetOutOfRange, -1));
    assert_eq!(delete(&mut rig, &topic, -2), (ErrorCode::OffsetOutOfRange, -1));
    assert_eq!(rig.offset(&topic, 0, -2), (ErrorCode::None, -1, 4, 0));
    assert_eq!(
        rig.offset(&topic, 0, now),
        (ErrorCode::None, now + 1, 4, 0),
        "58: none that is deleted"
    );
    let below = rig.fetch(&topic, 3);
    assert_eq!(
        (below.error, below.high_watermark, below.log_start_offset),
        (ErrorCode::OffsetOutOfRange, -1, -1),
        "52"
    );
    let read = rig.fetch(&topic, 4);
    assert_eq!((read.log_start_offset, read.high_watermark), (4, 9), "53");
    assert_eq!(records(&read.records.concat())[0].offset, 3, "50: the whole batch");
    assert_eq!(rig.produce(&topic, &at(&[now])).log_start_offset, 4, "30");
    assert_eq!(delete(&mut rig, &topic, -1), (ErrorCode::None, 10), "all there is");
    assert_eq!((rig.offset(&topic, 0, -2).2, rig.offset(&topic, 0, -1).2), (10, 10));
    assert_eq!(rig.written(&topic, &at(&[now])), 10);
}

#[test]
fn a_reader_that_waits_below_the_new_start_is_told_79_54() {
    let mut rig = Rig::new();
    let topic = rig.topic(1, &[]);
    let now = rig.now_ms();
    rig.written(&topic, &at(&[now, now]));
    let waiting = rig.connect();
    let mut request = at_once(vec![topic.wanted(&[(0, 2)])]);
    request.max_wait_ms = 2_000;
    let correlation = rig.send_fetch(waiting, 12, &request);
    assert_eq!(rig.came(waiting, 200), Came::Nothing);
    assert_eq!(delete(&mut rig, &topic, -1), (ErrorCode::None, 2));
    let response = rig.fetched(waiting, 12, correlation);
    let partition = &response.topics[0].partitions[0];
    assert_eq!(
        (partition.error, partition.log_start_offset, partition.high_watermark),
        (ErrorCode::None, 2, 2)
    );
}

#[test]
fn the_brokers_own_topics_keep_their_records_79_17() {
    let mut rig = Rig::new();
    let topic = Topic {
        name: "__consumer_offsets".into(),
        id: TopicId::ZERO,
    };
    let _ = rig.create(crate::rig::creatable(&topic.name, 1, &[]));
    rig.pass_ms(300);
    assert_eq!(delete(&mut rig, &topic, 0), (ErrorCode::InvalidTopicException, -1));
}
