//! Checklist E: long poll, budgets and merging of several owners.

use super::*;
use crate::partition::request::{FetchParts, FetchResult};
use crate::wire::error::ErrorCode;
use crate::wire::fetch::{FetchRequest, FetchRequestPartition, FetchRequestTopic, FetchResponse};

pub(super) fn nothing(high_watermark: i64) -> FetchResult {
    FetchResult {
        error: ErrorCode::None,
        high_watermark,
        last_stable_offset: high_watermark,
        log_start_offset: 0,
        batches: vec![],
        aborted: None,
        diverging_epoch: None,
    }
}

pub(super) fn data(high_watermark: i64, sizes: &[usize]) -> FetchResult {
    let batches = sizes.iter().map(|size| Bytes::from(vec![9; *size])).collect();
    FetchResult {
        batches,
        ..nothing(high_watermark)
    }
}

fn failed(error: ErrorCode) -> FetchResult {
    FetchResult {
        error,
        last_stable_offset: -1,
        log_start_offset: -1,
        ..nothing(-1)
    }
}

pub(super) fn wanted(name: &str, id: TopicId, partitions: &[i32]) -> FetchRequestTopic {
    let partition = |index: &i32| FetchRequestPartition {
        index: *index,
        max_bytes: 1 << 20,
        ..Default::default()
    };
    FetchRequestTopic {
        topic: name.into(),
        topic_id: id,
        partitions: partitions.iter().map(partition).collect(),
    }
}

/// A fetch without session that waits up to a second for a byte.
fn poll(topics: Vec<FetchRequestTopic>) -> FetchRequest {
    FetchRequest {
        max_wait_ms: 1000,
        min_bytes: 1,
        max_bytes: 1 << 20,
        topics,
        ..Default::default()
    }
}

impl Rig {
    pub(super) fn fetch(&mut self, version: i16, request: &FetchRequest) {
        self.send(frame(ApiKey::Fetch, version, 1, |out| request.encode(version, out)));
    }

    pub(super) fn fetched(&mut self, version: i16) -> Option<FetchResponse> {
        let frame = self.reply(CONN)?;
        Some(FetchResponse::decode(version, &body_of(ApiKey::Fetch, version, 1, &frame)).unwrap())
    }

    pub(super) fn parts(&mut self) -> (ShardId, ReplyTo, FetchParts) {
        match self.question() {
            (owner, to, OwnerRequest::Fetch(parts)) => (owner, to, parts),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn data_that_is_there_is_answered_at_once_in_every_version() {
    for version in 4..=18 {
        let mut rig = Rig::new();
        let id = rig.create("t", 1, &[]);
        rig.fetch(version, &poll(vec![wanted("t", id, &[0])]));
        let (_, to, parts) = rig.parts();
        assert_eq!(
            (parts.max_bytes, parts.allow_first_over, parts.watch_min_bytes),
            (1 << 20, true, 1)
        );
        assert_eq!(parts.parts[0].partition.topic, id);
        rig.owner_answers(to, OwnerReply::Fetch(vec![data(12, &[100, 5000])]));
        let response = rig.fetched(version).expect("an answer");
        let topic = &response.topics[0];
        if version >= 13 {
            assert_eq!(topic.id, id)
        } else {
            assert_eq!(topic.name, "t")
        }
        let partition = &topic.partitions[0];
        assert_eq!(
            (
                partition.records_len(),
                partition.high_watermark,
                partition.last_stable_offset
            ),
            (5100, 12, 12)
        );
        assert_eq!(partition.aborted, None, "46: null for read_uncommitted");
        assert!(rig.requests.is_empty());
    }
}

#[test]
fn an_empty_fetch_waits_for_a_wake_up_54() {
    let mut rig = Rig::new();
    let id = rig.create("t", 1, &[]);
    rig.fetch(13, &poll(vec![wanted("", id, &[0])]));
    let (_, to, _) = rig.parts();
    rig.owner_answers(to, OwnerReply::Fetch(vec![nothing(7)]));
    assert_eq!(rig.fetched(13), None, "never answer early with 0 bytes");
    rig.advance_ms(900);
    assert_eq!(rig.fetched(13), None);
    rig.owner_answers(to, OwnerReply::FetchWake);
    let (_, again, _) = rig.parts();
    assert_ne!(again, to);
    rig.owner_answers(again, OwnerReply::Fetch(vec![data(8, &[70])]));
    let response = rig.fetched(13).expect("an answer");
    assert_eq!(response.topics[0].partitions[0].records_len(), 70);
    assert_eq!(
        rig.edge.next_deadline().filter(|at| *at < 2_000_000_000),
        None,
        "the deadline is disarmed"
    );
    rig.owner_answers(to, OwnerReply::FetchWake);
    rig.owner_answers(again, OwnerReply::FetchWake);
    assert!(rig.requests.is_empty(), "late wake-ups find nobody");
}

#[test]
fn the_deadline_ends_the_wait_with_offsets_filled_in_53_54() {
    let mut rig = Rig::new();
    let id = rig.create("t", 1, &[]);
    rig.fetch(13, &poll(vec![wanted("", id, &[0])]));
    let (_, to, _) = rig.parts();
    rig.owner_answers(to, OwnerReply::Fetch(vec![nothing(7)]));
    rig.advance_ms(1000);
    let response = rig.fetched(13).expect("an answer");
    let partition = &response.topics[0].partitions[0];
    assert_eq!(
        (
            partition.high_watermark,
            partition.last_stable_offset,
            partition.log_start_offset
        ),
        (7, 7, 0)
    );
    assert!(matches!(rig.question(), (_, forget, OwnerRequest::FetchForget) if forget == to));
}

#[test]
fn max_wait_0_answers_at_once_and_nobody_watches_54() {
    let mut rig = Rig::new();
    let id = rig.create("t", 1, &[]);
    rig.fetch(
        13,
        &FetchRequest {
            max_wait_ms: 0,
            ..poll(vec![wanted("", id, &[0])])
        },
    );
    let (_, to, parts) = rig.parts();
    assert_eq!(parts.watch_min_bytes, 0);
    rig.owner_answers(to, OwnerReply::Fetch(vec![nothing(7)]));
    assert!(rig.fetched(13).is_some());
    assert!(rig.requests.is_empty());
}

#[test]
fn an_error_of_one_partition_ends_the_wait_of_all_54() {
    let mut rig = Rig::new();
    let id = rig.create("t", 4, &[]);
    rig.fetch(13, &poll(vec![wanted("", id, &[0, 1])]));
    let (_, first, _) = rig.parts();
    let (_, second, _) = rig.parts();
    rig.owner_answers(first, OwnerReply::Fetch(vec![nothing(7)]));
    assert_eq!(rig.fetched(13), None);
    rig.owner_answers(second, OwnerReply::Fetch(vec![failed(ErrorCode::OffsetOutOfRange)]));
    let response = rig.fetched(13).expect("an answer");
    let partition = &response.topics[0].partitions[1];
    assert_eq!(partition.error, ErrorCode::OffsetOutOfRange);
    assert_eq!(
        (
            partition.high_watermark,
            partition.last_stable_offset,
            partition.log_start_offset
        ),
        (-1, -1, -1),
        "52"
    );
    assert!(
        matches!(rig.question(), (_, to, OwnerRequest::FetchForget) if to == first),
        "the other owner stops watching"
    );
}

#[test]
fn min_bytes_counts_over_all_owners_54() {
    let mut rig = Rig::new();
    let id = rig.create("t", 4, &[]);
    let request = FetchRequest {
        min_bytes: 100,
        ..poll(vec![wanted("", id, &[0, 1])])
    };
    rig.fetch(13, &request);
    let (_, first, parts) = rig.parts();
    assert_eq!(
        parts.watch_min_bytes, 50,
        "so that at least one owner wakes us when both together have 100"
    );
    let (_, second, _) = rig.parts();
    // 60 + 0 is less than 100, but the first no longer watches: ask again with what is missing.
    rig.owner_answers(first, OwnerReply::Fetch(vec![data(1, &[60])]));
    rig.owner_answers(second, OwnerReply::Fetch(vec![nothing(0)]));
    assert_eq!(rig.fetched(13), None);
    assert!(matches!(rig.question(), (_, to, OwnerRequest::FetchForget) if to == second));
    let (_, first, parts) = rig.parts();
    assert_eq!(parts.watch_min_bytes, 80);
    let (_, second, parts) = rig.parts();
    assert_eq!(parts.watch_min_bytes, 20);
    rig.owner_answers(first, OwnerReply::Fetch(vec![data(1, &[60])]));
    rig.owner_answers(second, OwnerReply::Fetch(vec![nothing(0)]));
    assert_eq!(rig.fetched(13), None);
    assert!(rig.requests.is_empty(), "both watch");
    rig.owner_answers(second, OwnerReply::FetchWake);
    assert!(matches!(rig.question(), (_, to, OwnerRequest::FetchForget) if to == first));
    let (_, first, _) = rig.parts();
    let (_, second, _) = rig.parts();
    rig.owner_answers(first, OwnerReply::Fetch(vec![data(1, &[60])]));
    rig.owner_answers(second, OwnerReply::Fetch(vec![data(1, &[45])]));
    let response = rig.fetched(13).expect("an answer");
    assert_eq!(
        response.topics[0]
            .partitions
            .iter()
            .map(|p| p.records_len())
            .sum::<usize>(),
        105
    );
}

#[test]
fn too_little_at_the_deadline_is_answered_with_what_there_is() {
    let mut rig = Rig::new();
    let id = rig.create("t", 1, &[]);
    rig.fetch(
        13,
        &FetchRequest {
            min_bytes: 100,
            ..poll(vec![wanted("", id, &[0])])
        },
    );
    let (_, to, _) = rig.parts();
    rig.owner_answers(to, OwnerReply::Fetch(vec![data(1, &[60])]));
    rig.advance_ms(1000);
    assert!(matches!(rig.question(), (_, forget, OwnerRequest::FetchForget) if forget == to));
    let (_, again, parts) = rig.parts();
    assert_eq!(parts.watch_min_bytes, 0);
    rig.owner_answers(again, OwnerReply::Fetch(vec![data(1, &[60])]));
    assert_eq!(
        rig.fetched(13).expect("an answer").topics[0].partitions[0].records_len(),
        60
    );
}

#[test]
fn the_budget_is_shared_and_kept_but_the_first_batch_always_comes_51() {
    let mut rig = Rig::new();
    let id = rig.create("t", 4, &[]);
    rig.fetch(
        13,
        &FetchRequest {
            max_bytes: 1000,
            ..poll(vec![wanted("", id, &[0, 1])])
        },
    );
    let (_, first, parts) = rig.parts();
    assert_eq!((parts.max_bytes, parts.allow_first_over), (500, true));
    let (_, second, _) = rig.parts();
    rig.owner_answers(first, OwnerReply::Fetch(vec![data(1, &[3000])]));
    rig.owner_answers(second, OwnerReply::Fetch(vec![data(5, &[400])]));
    let response = rig.fetched(13).expect("an answer");
    let sizes: Vec<_> = response.topics[0]
        .partitions
        .iter()
        .map(|p| (p.records_len(), p.high_watermark))
        .collect();
    assert_eq!(
        sizes,
        [(3000, 1), (0, 5)],
        "one batch above the budget, nothing more, offsets in both"
    );
}

#[test]
fn unknown_partitions_are_told_but_do_not_shorten_the_wait_61() {
    let mut rig = Rig::new();
    let id = rig.create("t", 1, &[]);
    let other = TopicId([7; 16]);
    rig.fetch(13, &poll(vec![wanted("", id, &[0, 5]), wanted("", other, &[0])]));
    let (_, to, parts) = rig.parts();
    assert_eq!(parts.parts.len(), 1);
    rig.owner_answers(to, OwnerReply::Fetch(vec![nothing(3)]));
    assert_eq!(rig.fetched(13), None);
    rig.advance_ms(1000);
    let response = rig.fetched(13).expect("an answer");
    let errors: Vec<_> = response
        .topics
        .iter()
        .flat_map(|t| &t.partitions)
        .map(|p| p.error)
        .collect();
    assert_eq!(
        errors,
        [
            ErrorCode::None,
            ErrorCode::UnknownTopicOrPartition,
            ErrorCode::UnknownTopicId
        ]
    );
}

#[test]
fn a_fetch_of_unknown_partitions_alone_is_answered_at_once() {
    let mut rig = Rig::new();
    rig.fetch(12, &poll(vec![wanted("gone", TopicId::ZERO, &[0])]));
    let response = rig.fetched(12).expect("an answer");
    assert_eq!(
        response.topics[0].partitions[0].error,
        ErrorCode::UnknownTopicOrPartition
    );
    rig.fetch(12, &poll(vec![]));
    assert!(rig.fetched(12).expect("an answer").topics.is_empty());
}

#[test]
fn a_topic_deleted_during_the_wait_is_unknown_by_id_86() {
    let mut rig = Rig::new();
    let id = rig.create("t", 1, &[]);
    rig.fetch(13, &poll(vec![wanted("", id, &[0])]));
    let (_, to, _) = rig.parts();
    rig.owner_answers(to, OwnerReply::Fetch(vec![nothing(3)]));
    rig.delete("t");
    rig.owner_answers(to, OwnerReply::FetchWake);
    let (_, again, _) = rig.parts();
    rig.owner_answers(
        again,
        OwnerReply::Fetch(vec![failed(ErrorCode::UnknownTopicOrPartition)]),
    );
    let response = rig.fetched(13).expect("an answer");
    assert_eq!(response.topics[0].partitions[0].error, ErrorCode::UnknownTopicId);
}

#[test]
fn leader_epochs_and_divergence_pass_through_56_57() {
    let mut rig = Rig::new();
    let id = rig.create("t", 2, &[]);
    let mut topic = wanted("", id, &[0]);
    topic.partitions[0].current_leader_epoch = 3;
    topic.partitions[0].last_fetched_epoch = 2;
    rig.fetch(16, &poll(vec![topic.clone()]));
    let (_, to, parts) = rig.parts();
    assert_eq!(
        (parts.parts[0].current_leader_epoch, parts.parts[0].last_fetched_epoch),
        (3, 2)
    );
    rig.owner_answers(to, OwnerReply::Fetch(vec![failed(ErrorCode::FencedLeaderEpoch)]));
    let response = rig.fetched(16).expect("an answer");
    assert_eq!(
        response.topics[0].partitions[0]
            .current_leader
            .as_ref()
            .map(|l| (l.leader_id, l.leader_epoch)),
        Some((1, 0))
    );
    assert_eq!(response.node_endpoints.len(), 1);
    rig.fetch(16, &poll(vec![topic]));
    let (_, to, _) = rig.parts();
    rig.owner_answers(
        to,
        OwnerReply::Fetch(vec![FetchResult {
            diverging_epoch: Some((1, 40)),
            ..nothing(50)
        }]),
    );
    let response = rig.fetched(16).expect("a diverging epoch does not wait");
    assert_eq!(response.topics[0].partitions[0].diverging_epoch, Some((1, 40)));
}

#[test]
fn read_committed_is_passed_on_and_its_list_is_not_null_46() {
    let mut rig = Rig::new();
    let id = rig.create("t", 1, &[]);
    rig.fetch(
        13,
        &FetchRequest {
            isolation_level: 1,
            ..poll(vec![wanted("", id, &[0])])
        },
    );
    let (_, to, parts) = rig.parts();
    assert!(parts.read_committed);
    rig.owner_answers(
        to,
        OwnerReply::Fetch(vec![FetchResult {
            aborted: Some(vec![]),
            ..data(9, &[10])
        }]),
    );
    assert_eq!(
        rig.fetched(13).expect("an answer").topics[0].partitions[0].aborted,
        Some(vec![])
    );
}

#[test]
fn nobody_fetches_as_a_follower() {
    let mut rig = Rig::new();
    rig.create("t", 1, &[]);
    rig.fetch(
        12,
        &FetchRequest {
            replica_id: 2,
            ..poll(vec![wanted("t", TopicId::ZERO, &[0])])
        },
    );
    let response = rig.fetched(12).expect("an answer");
    assert_eq!(response.topics[0].partitions[0].error, ErrorCode::NotLeaderOrFollower);
}

#[test]
fn a_client_that_leaves_leaves_no_watch_behind() {
    let mut rig = Rig::new();
    let id = rig.create("t", 1, &[]);
    rig.fetch(13, &poll(vec![wanted("", id, &[0])]));
    let (_, to, _) = rig.parts();
    rig.owner_answers(to, OwnerReply::Fetch(vec![nothing(3)]));
    rig.call(|edge, cx| edge.on_closed(cx, CONN, None));
    assert!(matches!(rig.question(), (_, forget, OwnerRequest::FetchForget) if forget == to));
    assert_eq!(rig.edge.connections(), 0);
    // Also while the owner has not answered yet: it would watch afterwards.
    let other = ConnId {
        index: 0,
        generation: 2,
    };
    rig.connect(other);
    rig.receive(
        other,
        frame(ApiKey::Fetch, 13, 1, |out| {
            poll(vec![wanted("", id, &[0])]).encode(13, out)
        }),
    );
    let (_, to, _) = rig.parts();
    rig.call(|edge, cx| edge.on_closed(cx, other, None));
    assert!(matches!(rig.question(), (_, forget, OwnerRequest::FetchForget) if forget == to));
}
