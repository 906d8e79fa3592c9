//! Fetch sessions (KIP-227) over real partitions.

use crate::batches::{at, large};
use crate::rig::{Rig, Topic, at_once};
use ringlog::wire::control::delete_topics::{DeleteTopics, DeleteTopicsRequest};
use ringlog::wire::error::ErrorCode;
use ringlog::wire::fetch::{FetchRequest, FetchRequestTopic, FetchResponse, ForgottenTopic};

fn request((session_id, session_epoch): (i32, i32), topics: Vec<FetchRequestTopic>) -> FetchRequest {
    FetchRequest {
        session_id,
        session_epoch,
        ..at_once(topics)
    }
}

/// Partition, error, high watermark and bytes of all that the answer lists.
fn listed(response: &FetchResponse) -> Vec<(i32, ErrorCode, i64, usize)> {
    assert_eq!(response.error, ErrorCode::None);
    let partitions = response.topics.iter().flat_map(|topic| &topic.partitions);
    let mut listed: Vec<_> = partitions
        .map(|p| (p.index, p.error, p.high_watermark, p.records_len()))
        .collect();
    listed.sort_unstable();
    listed
}

fn opened(rig: &mut Rig, version: i16, topic: &Topic, offsets: &[(i32, i64)]) -> i32 {
    let response = rig.fetch_all(version, &request((0, 0), vec![topic.wanted(offsets)]));
    assert_eq!(
        listed(&response).len(),
        offsets.len(),
        "a full answer names every partition"
    );
    assert!(response.session_id > 0);
    response.session_id
}

#[test]
fn only_what_changed_is_said_55() {
    let mut rig = Rig::new();
    let topic = rig.topic(3, &[]);
    let batch = at(&[rig.now_ms()]);
    for version in [12, 13, 18] {
        let base = rig.offset(&topic, 1, -1).2;
        let id = opened(&mut rig, version, &topic, &[(0, 0), (1, base), (2, 0)]);
        let same = rig.fetch_all(version, &request((id, 1), vec![]));
        assert_eq!((same.session_id, listed(&same)), (id, vec![]));
        rig.produce_all(9, -1, &topic, &[(1, &batch)]);
        let news = rig.fetch_all(version, &request((id, 2), vec![]));
        assert_eq!(listed(&news), [(1, ErrorCode::None, base + 1, batch.len())]);
        // The client has it and says so by its next offset.
        let seen = rig.fetch_all(version, &request((id, 3), vec![topic.wanted(&[(1, base + 1)])]));
        assert_eq!(listed(&seen), []);
    }
}

#[test]
fn a_moved_start_is_news_without_records_55_79() {
    let mut rig = Rig::new();
    let topic = rig.topic(2, &[]);
    rig.written(&topic, &at(&[rig.now_ms(); 4]));
    let id = opened(&mut rig, 12, &topic, &[(0, 4), (1, 0)]);
    assert_eq!(crate::offsets::delete(&mut rig, &topic, 3), (ErrorCode::None, 3));
    let news = rig.fetch_all(12, &request((id, 1), vec![]));
    assert_eq!(listed(&news), [(0, ErrorCode::None, 4, 0)]);
    assert_eq!(news.topics[0].partitions[0].log_start_offset, 3);
}

#[test]
fn an_error_is_said_until_it_ends_55() {
    let mut rig = Rig::new();
    let topic = rig.topic(1, &[]);
    let id = opened(&mut rig, 12, &topic, &[(0, 9)]);
    for epoch in 1..3 {
        let again = rig.fetch_all(12, &request((id, epoch), vec![]));
        assert_eq!(listed(&again), [(0, ErrorCode::OffsetOutOfRange, -1, 0)]);
    }
    let fine = rig.fetch_all(12, &request((id, 3), vec![topic.wanted(&[(0, 0)])]));
    assert_eq!(listed(&fine), [(0, ErrorCode::None, 0, 0)], "its end is news");
    assert_eq!(listed(&rig.fetch_all(12, &request((id, 4), vec![]))), []);
}

#[test]
fn divergence_is_said_55_57() {
    let mut rig = Rig::new();
    let topic = rig.topic(1, &[]);
    rig.written(&topic, &at(&[rig.now_ms(); 2]));
    let id = opened(&mut rig, 12, &topic, &[(0, 2)]);
    assert_eq!(listed(&rig.fetch_all(12, &request((id, 1), vec![]))), []);
    let mut beyond = topic.wanted(&[(0, 9)]);
    beyond.partitions[0].last_fetched_epoch = 0;
    let told = rig.fetch_all(12, &request((id, 2), vec![beyond]));
    assert_eq!(told.topics[0].partitions[0].diverging_epoch, Some((0, 2)));
    let back = rig.fetch_all(12, &request((id, 3), vec![topic.wanted(&[(0, 2)])]));
    assert_eq!(listed(&back), [], "nothing is new");
}

#[test]
fn partitions_join_and_leave_55() {
    let mut rig = Rig::new();
    let topic = rig.topic(3, &[]);
    let batch = at(&[rig.now_ms()]);
    let id = opened(&mut rig, 12, &topic, &[(0, 0)]);
    let joined = rig.fetch_all(12, &request((id, 1), vec![topic.wanted(&[(2, 0)])]));
    assert_eq!(listed(&joined), [(2, ErrorCode::None, 0, 0)], "a new one is named once");
    rig.produce_all(9, -1, &topic, &[(0, &batch), (1, &batch), (2, &batch)]);
    let forget = FetchRequest {
        forgotten: vec![ForgottenTopic {
            topic: topic.name.clone(),
            topic_id: topic.id,
            partitions: vec![0],
        }],
        ..request((id, 2), vec![])
    };
    assert_eq!(
        listed(&rig.fetch_all(12, &forget)),
        [(2, ErrorCode::None, 1, batch.len())]
    );
}

#[test]
fn a_session_without_partitions_ends_55() {
    let mut rig = Rig::new();
    let topic = rig.topic(1, &[]);
    let id = opened(&mut rig, 12, &topic, &[(0, 0)]);
    let forget = FetchRequest {
        forgotten: vec![ForgottenTopic {
            topic: topic.name.clone(),
            topic_id: topic.id,
            partitions: vec![0],
        }],
        ..request((id, 1), vec![])
    };
    let last = rig.fetch_all(12, &forget);
    assert_eq!((last.session_id, listed(&last)), (0, vec![]));
    assert_eq!(
        rig.fetch_all(12, &request((id, 2), vec![])).error,
        ErrorCode::FetchSessionIdNotFound
    );
}

#[test]
fn sessions_that_are_not_there_or_out_of_step_are_refused_55() {
    let mut rig = Rig::new();
    let topic = rig.topic(1, &[]);
    let id = opened(&mut rig, 12, &topic, &[(0, 0)]);
    for (session, version, error) in [
        ((id, 5), 12, ErrorCode::InvalidFetchSessionEpoch),
        ((id ^ 1, 1), 12, ErrorCode::FetchSessionIdNotFound),
        ((id, 1), 13, ErrorCode::FetchSessionTopicIdError),
    ] {
        let refused = rig.fetch_all(version, &request(session, vec![]));
        assert_eq!((refused.error, refused.session_id, refused.topics.len()), (error, 0, 0));
    }
    assert_eq!(
        rig.fetch_all(12, &request((id, 1), vec![])).error,
        ErrorCode::None,
        "the session goes on"
    );
    let closed = rig.fetch_all(12, &request((id, -1), vec![topic.wanted(&[(0, 0)])]));
    assert_eq!((closed.session_id, listed(&closed).len()), (0, 1));
    assert_eq!(
        rig.fetch_all(12, &request((id, 2), vec![])).error,
        ErrorCode::FetchSessionIdNotFound
    );
}

#[test]
fn no_partition_starves_behind_one_that_is_always_full_55_51() {
    let mut rig = Rig::new();
    let topic = rig.topic(3, &[]);
    let batch = large(rig.now_ms(), 4_000);
    for _ in 0..20 {
        rig.produce_all(9, -1, &topic, &[(0, &batch), (1, &batch), (2, &batch)]);
    }
    let mut open = request((0, 0), vec![topic.wanted(&[(0, 0), (1, 0), (2, 0)])]);
    open.max_bytes = batch.len() as i32;
    let first = rig.fetch_all(12, &open);
    let with_data = |response: &FetchResponse| {
        let full: Vec<i32> = listed(response)
            .iter()
            .filter(|(.., len)| *len > 0)
            .map(|(index, ..)| *index)
            .collect();
        assert_eq!(full.len(), 1);
        full[0]
    };
    let mut seen = std::collections::BTreeSet::from([with_data(&first)]);
    for epoch in 1..4 {
        let mut next = request((first.session_id, epoch), vec![]);
        next.max_bytes = batch.len() as i32;
        seen.insert(with_data(&rig.fetch_all(12, &next)));
    }
    assert_eq!(seen, [0, 1, 2].into());
}

#[test]
fn a_deleted_topic_turns_unknown_in_a_session_86_23() {
    let mut rig = Rig::new();
    let (topic, stays) = (rig.topic(1, &[]), rig.topic_named(&rig.name("stays"), 1, &[]));
    for (version, unknown) in [
        (12, ErrorCode::UnknownTopicOrPartition),
        (13, ErrorCode::UnknownTopicId),
    ] {
        let topic = match version {
            12 => topic.clone(),
            _ => rig.topic_named(&rig.name("second"), 1, &[]),
        };
        let both = vec![topic.wanted(&[(0, 0)]), stays.wanted(&[(0, 0)])];
        let id = rig.fetch_all(version, &request((0, 0), both)).session_id;
        let delete = DeleteTopicsRequest {
            topic_names: vec![topic.name.clone()],
            timeout_ms: 5_000,
            ..Default::default()
        };
        assert_eq!(rig.ask::<DeleteTopics>(5, &delete).responses[0].error, ErrorCode::None);
        rig.pass_ms(500);
        for epoch in 1..3 {
            let told = listed(&rig.fetch_all(version, &request((id, epoch), vec![])));
            // A session of Kafka still knows the name that the id had.
            let error = if rig.is_own() {
                unknown
            } else {
                ErrorCode::UnknownTopicOrPartition
            };
            assert_eq!(told, [(0, error, -1, 0)], "version {version}");
        }
    }
}
