use super::*;
use crate::base::ids::TopicId;
use crate::wire::error::ErrorCode;
use crate::wire::produce::{LeaderIdAndEpoch, NodeEndpoint};
use bytes::Bytes;

fn response(records: Vec<Bytes>) -> FetchResponse {
    let partition = FetchPartition {
        index: 2,
        high_watermark: 10,
        last_stable_offset: 10,
        log_start_offset: 0,
        records,
        ..FetchPartition::default()
    };
    FetchResponse {
        topics: vec![FetchTopic {
            name: "t".into(),
            id: TopicId([7; 16]),
            partitions: vec![partition.clone(), FetchPartition { index: 3, ..partition }],
        }],
        ..FetchResponse::default()
    }
}

#[test]
fn long_record_slices_are_sent_from_where_they_are() {
    let long = Bytes::from(vec![1; COALESCE_BELOW]);
    let short = Bytes::from(vec![2; COALESCE_BELOW - 1]);
    for version in 4..=18 {
        let chunks = response(vec![long.clone(), short.clone(), long.clone()]).frame(version, 1);
        let shared = chunks.iter().filter(|chunk| chunk.as_ptr() == long.as_ptr()).count();
        assert_eq!(shared, 4, "v{version}");
        assert!(
            chunks
                .iter()
                .all(|chunk| chunk.as_ptr() != short.as_ptr() && !chunk.is_empty())
        );
        let length = i32::from_be_bytes(chunks[0][..4].try_into().unwrap());
        assert_eq!(length as usize + 4, chunks.iter().map(Bytes::len).sum::<usize>());
    }
}

#[test]
fn a_response_without_long_slices_is_one_chunk() {
    assert_eq!(response(vec![Bytes::from_static(b"short")]).frame(12, 1).len(), 1);
    assert_eq!(response(Vec::new()).frame(4, 1).len(), 1);
}

#[test]
fn no_records_are_empty_and_no_aborted_list_is_null() {
    let tail = |version: i16, aborted: Option<Vec<(i64, i64)>>| {
        let mut response = response(Vec::new());
        response.topics[0].partitions.truncate(1);
        response.topics[0].partitions[0].aborted = aborted;
        let frame = response.frame(version, 1).concat();
        frame[frame.len() - 15..].to_vec()
    };
    // v4: high watermark, stable offset, aborted i32, records i32
    assert_eq!(tail(4, None)[7..], [255, 255, 255, 255, 0, 0, 0, 0]);
    assert_eq!(tail(4, Some(vec![]))[7..], [0; 8]);
    // v12: ..., aborted, preferred replica i32, records, then three empty tag sections
    assert_eq!(tail(12, None)[6..], [0, 255, 255, 255, 255, 1, 0, 0, 0]);
    assert_eq!(tail(12, Some(vec![]))[6..], [1, 255, 255, 255, 255, 1, 0, 0, 0]);
}

#[test]
fn everything_a_version_knows_comes_back() {
    let mut full = response(vec![Bytes::from(vec![9; 5000])]);
    full.throttle_time_ms = 5;
    full.error = ErrorCode::FetchSessionIdNotFound;
    full.session_id = 77;
    full.node_endpoints = vec![NodeEndpoint {
        node_id: 4,
        host: "h".into(),
        port: 9,
        rack: None,
    }];
    let partition = &mut full.topics[0].partitions[1];
    partition.error = ErrorCode::NotLeaderOrFollower;
    partition.aborted = Some(vec![(5, 6), (7, 8)]);
    partition.preferred_read_replica = 3;
    partition.diverging_epoch = Some((4, 44));
    partition.current_leader = Some(LeaderIdAndEpoch {
        leader_id: 1,
        leader_epoch: 9,
    });
    let frame = Bytes::from(full.frame(18, 1).concat());
    let read = FetchResponse::decode(18, &frame.slice(9..)).unwrap();
    full.topics[0].name.clear();
    assert_eq!(read, full);
}

#[test]
fn a_follower_is_recognised_in_both_forms() {
    let mut old = FetchRequest {
        replica_id: 5,
        ..FetchRequest::default()
    };
    assert_eq!(old.follower(), 5);
    old.replica_id = -1;
    assert_eq!(old.follower(), -1);
    old.replica_state.replica_id = 6;
    assert_eq!(old.follower(), 6);
}
