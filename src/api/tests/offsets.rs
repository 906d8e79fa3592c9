//! ListOffsets, OffsetForLeaderEpoch, DeleteRecords: what the edge decides.

use super::*;
use crate::partition::request::{DeleteRecordsResult, EpochEndResult, ListOffsetResult};
use crate::wire::control::delete_records::{
    DeleteRecords, DeleteRecordsPartition, DeleteRecordsRequest, DeleteRecordsTopic,
};
use crate::wire::control::list_offsets::{ListOffsets, ListOffsetsPartition, ListOffsetsRequest, ListOffsetsTopic};
use crate::wire::control::offset_for_leader_epoch::{
    OffsetForLeaderEpoch, OffsetForLeaderEpochRequest, OffsetForLeaderPartition, OffsetForLeaderTopic,
};
use crate::wire::error::ErrorCode;

fn list(wanted: &[(i32, i64)]) -> ListOffsetsRequest {
    let partition = |(index, timestamp): &(i32, i64)| ListOffsetsPartition {
        index: *index,
        timestamp: *timestamp,
        current_leader_epoch: 4,
    };
    let topic = ListOffsetsTopic {
        name: "t".into(),
        partitions: wanted.iter().map(partition).collect(),
    };
    ListOffsetsRequest {
        isolation_level: 1,
        topics: vec![topic],
        ..Default::default()
    }
}

#[test]
fn offsets_come_back_in_the_order_asked_58_59() {
    for version in 1..=11 {
        let mut rig = Rig::new();
        rig.create("t", 4, &[]);
        rig.send(control_frame::<ListOffsets>(
            version,
            7,
            &list(&[(3, -1), (0, 1234), (9, -2)]),
        ));
        let (_, first, question) = rig.question();
        let OwnerRequest::ListOffset(part) = question else {
            panic!()
        };
        assert_eq!((part.partition.partition, part.timestamp), (3, -1));
        assert_eq!(part.current_leader_epoch, if version >= 4 { 4 } else { -1 });
        assert_eq!(part.read_committed, version >= 2, "47");
        let (_, second, _) = rig.question();
        let result = |timestamp, offset, leader_epoch| {
            OwnerReply::ListOffset(ListOffsetResult {
                error: ErrorCode::None,
                timestamp,
                offset,
                leader_epoch,
            })
        };
        rig.owner_answers(second, result(1240, 17, 2));
        assert_eq!(rig.reply(CONN), None);
        rig.owner_answers(first, result(-1, 99, 5));
        let response = rig.answered::<ListOffsets>(version, 7);
        let got: Vec<_> = response.topics[0]
            .partitions
            .iter()
            .map(|p| (p.index, p.error, p.timestamp, p.offset))
            .collect();
        assert_eq!(
            got,
            [
                (3, ErrorCode::None, -1, 99),
                (0, ErrorCode::None, 1240, 17),
                (9, ErrorCode::UnknownTopicOrPartition, -1, -1),
            ]
        );
        if version >= 4 {
            assert_eq!(response.topics[0].partitions[1].leader_epoch, 2);
        }
    }
}

#[test]
fn special_timestamps_need_their_version_and_doubles_are_refused() {
    let mut rig = Rig::new();
    rig.create("t", 1, &[]);
    for (timestamp, from) in [(-3, 7), (-4, 8), (-5, 9), (-6, 11), (-7, 12)] {
        let response = rig.ask::<ListOffsets>(from - 1, &list(&[(0, timestamp)]));
        assert_eq!(
            response.topics[0].partitions[0].error,
            ErrorCode::UnsupportedVersion,
            "{timestamp}"
        );
    }
    let doubled = rig.ask::<ListOffsets>(7, &list(&[(0, -3), (0, -1)]));
    let errors: Vec<_> = doubled.topics[0].partitions.iter().map(|p| p.error).collect();
    assert_eq!(errors, [ErrorCode::InvalidRequest; 2], "neither is asked for");
}

#[test]
fn epoch_ends_are_asked_of_the_leader_60() {
    for version in 2..=4 {
        let mut rig = Rig::new();
        rig.create("t", 1, &[]);
        let partition = OffsetForLeaderPartition {
            index: 0,
            current_leader_epoch: 1,
            leader_epoch: 3,
        };
        let topics = ["t", "gone"].map(|topic| OffsetForLeaderTopic {
            topic: topic.into(),
            partitions: vec![partition.clone()],
        });
        rig.send(control_frame::<OffsetForLeaderEpoch>(
            version,
            7,
            &OffsetForLeaderEpochRequest {
                topics: topics.into(),
                ..Default::default()
            },
        ));
        let (_, to, question) = rig.question();
        assert!(
            matches!(question, OwnerRequest::EpochEnd(part) if part.leader_epoch == 3 && part.current_leader_epoch == 1)
        );
        rig.owner_answers(
            to,
            OwnerReply::EpochEnd(EpochEndResult {
                error: ErrorCode::None,
                leader_epoch: 2,
                end_offset: 55,
            }),
        );
        let response = rig.answered::<OffsetForLeaderEpoch>(version, 7);
        let got: Vec<_> = response
            .topics
            .iter()
            .map(|t| &t.partitions[0])
            .map(|p| (p.error, p.leader_epoch, p.end_offset))
            .collect();
        assert_eq!(
            got,
            [(ErrorCode::None, 2, 55), (ErrorCode::UnknownTopicOrPartition, -1, -1)]
        );
    }
}

#[test]
fn records_are_deleted_by_the_owner_79_93() {
    for version in 0..=2 {
        let mut rig = Rig::new();
        rig.create("t", 2, &[]);
        let partitions =
            [(0, 5), (1, -1), (0, 6), (7, 0)].map(|(index, offset)| DeleteRecordsPartition { index, offset });
        let topic = DeleteRecordsTopic {
            name: "t".into(),
            partitions: partitions.into(),
        };
        rig.send(control_frame::<DeleteRecords>(
            version,
            7,
            &DeleteRecordsRequest {
                topics: vec![topic],
                timeout_ms: 1,
            },
        ));
        let (_, first, question) = rig.question();
        assert!(matches!(question, OwnerRequest::DeleteRecords(part) if part.before_offset == 5));
        let (_, second, question) = rig.question();
        assert!(matches!(question, OwnerRequest::DeleteRecords(part) if part.before_offset == -1));
        rig.owner_answers(
            first,
            OwnerReply::DeleteRecords(DeleteRecordsResult {
                error: ErrorCode::None,
                low_watermark: 5,
            }),
        );
        rig.owner_answers(
            second,
            OwnerReply::DeleteRecords(DeleteRecordsResult {
                error: ErrorCode::OffsetOutOfRange,
                low_watermark: -1,
            }),
        );
        let response = rig.answered::<DeleteRecords>(version, 7);
        let got: Vec<_> = response.topics[0]
            .partitions
            .iter()
            .map(|p| (p.index, p.error, p.low_watermark))
            .collect();
        assert_eq!(
            got,
            [
                (0, ErrorCode::None, 5),
                (1, ErrorCode::OffsetOutOfRange, -1),
                (0, ErrorCode::InvalidRequest, -1),
                (7, ErrorCode::UnknownTopicOrPartition, -1),
            ]
        );
    }
}
