//! Fetch sessions (55, KIP-227).

use super::fetch::{data, nothing, wanted};
use super::*;
use crate::partition::request::FetchResult;
use crate::wire::error::ErrorCode;
use crate::wire::fetch::{FetchRequest, FetchRequestTopic, FetchResponse, ForgottenTopic};

const V: i16 = 12;

fn request(session: (i32, i32), topics: Vec<FetchRequestTopic>) -> FetchRequest {
    FetchRequest {
        session_id: session.0,
        session_epoch: session.1,
        max_bytes: 1 << 20,
        topics,
        ..Default::default()
    }
}

fn topic(partitions: &[i32]) -> FetchRequestTopic {
    wanted("t", TopicId::ZERO, partitions)
}

impl Rig {
    /// Fetches at once; owners answer by partition.
    fn round(&mut self, request: &FetchRequest, mut answer: impl FnMut(u32) -> FetchResult) -> FetchResponse {
        self.fetch(V, request);
        while let Some((_, to, question)) = self.requests.pop_front() {
            let OwnerRequest::Fetch(parts) = question else { continue };
            let results = parts
                .parts
                .iter()
                .map(|part| answer(part.partition.partition))
                .collect();
            self.owner_answers(to, OwnerReply::Fetch(results));
        }
        self.fetched(V).expect("an answer")
    }
}

fn listed(response: &FetchResponse) -> Vec<i32> {
    response
        .topics
        .iter()
        .flat_map(|t| &t.partitions)
        .map(|p| p.index)
        .collect()
}

fn rig() -> Rig {
    let mut rig = Rig::new();
    rig.create("t", 3, &[]);
    rig
}

#[test]
fn an_incremental_answer_lists_only_what_changed() {
    let mut rig = rig();
    let first = rig.round(&request((0, 0), vec![topic(&[0, 1, 2])]), |_| nothing(5));
    assert_eq!(listed(&first), [0, 1, 2]);
    let id = first.session_id;
    assert!(id > 0);
    let same = rig.round(&request((id, 1), vec![]), |_| nothing(5));
    assert_eq!((same.session_id, listed(&same)), (id, vec![]));
    let moved = rig.round(&request((id, 2), vec![]), |p| nothing(if p == 1 { 6 } else { 5 }));
    assert_eq!(listed(&moved), [1], "a new high watermark, even without records");
    let start = rig.round(&request((id, 3), vec![]), |p| match p {
        2 => FetchResult {
            log_start_offset: 3,
            ..nothing(5)
        },
        1 => nothing(6),
        _ => nothing(5),
    });
    assert_eq!(listed(&start), [2], "a new log start");
}

#[test]
fn an_error_is_said_again_and_so_is_its_end() {
    let mut rig = rig();
    let id = rig
        .round(&request((0, 0), vec![topic(&[0])]), |_| nothing(5))
        .session_id;
    let error = || FetchResult {
        error: ErrorCode::FencedLeaderEpoch,
        ..nothing(5)
    };
    assert_eq!(listed(&rig.round(&request((id, 1), vec![]), |_| error())), [0]);
    assert_eq!(listed(&rig.round(&request((id, 2), vec![]), |_| error())), [0]);
    assert_eq!(listed(&rig.round(&request((id, 3), vec![]), |_| nothing(5))), [0]);
    assert_eq!(
        listed(&rig.round(&request((id, 4), vec![]), |_| nothing(5))),
        Vec::<i32>::new()
    );
}

#[test]
fn partitions_are_added_changed_and_forgotten() {
    let mut rig = rig();
    let id = rig
        .round(&request((0, 0), vec![topic(&[0])]), |_| nothing(5))
        .session_id;
    let mut more = topic(&[0, 1]);
    more.partitions[0].fetch_offset = 4;
    rig.fetch(V, &request((id, 1), vec![more]));
    let mut offsets = std::collections::BTreeMap::new();
    while let Some((_, to, question)) = rig.requests.pop_front() {
        let OwnerRequest::Fetch(parts) = question else { panic!() };
        parts
            .parts
            .iter()
            .for_each(|p| assert!(offsets.insert(p.partition.partition, p.fetch_offset).is_none()));
        rig.owner_answers(to, OwnerReply::Fetch(parts.parts.iter().map(|_| nothing(5)).collect()));
    }
    assert_eq!(offsets, [(0, 4), (1, 0)].into());
    assert_eq!(listed(&rig.fetched(V).unwrap()), [1], "only the new one is news");
    let forgotten = ForgottenTopic {
        topic: "t".into(),
        partitions: vec![0],
        ..Default::default()
    };
    let mut asked = vec![];
    rig.round(
        &FetchRequest {
            forgotten: vec![forgotten],
            ..request((id, 2), vec![])
        },
        |p| {
            asked.push(p);
            nothing(5)
        },
    );
    assert_eq!(asked, [1]);
}

#[test]
fn a_session_that_is_not_ours_or_out_of_step_is_refused() {
    let mut rig = rig();
    let id = rig
        .round(&request((0, 0), vec![topic(&[0])]), |_| nothing(5))
        .session_id;
    rig.fetch(V, &request((id, 7), vec![]));
    assert_eq!(rig.fetched(V).unwrap().error, ErrorCode::InvalidFetchSessionEpoch);
    rig.fetch(V, &request((id ^ (1 << 23), 1), vec![]));
    assert_eq!(
        rig.fetched(V).unwrap().error,
        ErrorCode::FetchSessionIdNotFound,
        "the same number on another shard"
    );
    rig.fetch(13, &request((id, 1), vec![]));
    assert_eq!(
        rig.fetched(13).unwrap().error,
        ErrorCode::FetchSessionTopicIdError,
        "names and ids do not mix"
    );
    assert!(rig.requests.is_empty());
    assert_eq!(
        rig.round(&request((id, 1), vec![]), |_| nothing(5)).error,
        ErrorCode::None,
        "refusals change nothing"
    );
}

#[test]
fn epoch_minus_one_closes_and_reads_in_full() {
    let mut rig = rig();
    let id = rig
        .round(&request((0, 0), vec![topic(&[0])]), |_| nothing(5))
        .session_id;
    let last = rig.round(&request((id, -1), vec![topic(&[0])]), |_| nothing(5));
    assert_eq!((last.session_id, listed(&last)), (0, vec![0]));
    rig.fetch(V, &request((id, 1), vec![]));
    assert_eq!(rig.fetched(V).unwrap().error, ErrorCode::FetchSessionIdNotFound);
}

#[test]
fn a_partition_that_gave_data_is_read_last_next_time() {
    let mut rig = rig();
    let id = rig
        .round(&request((0, 0), vec![topic(&[0, 1, 2])]), |_| nothing(5))
        .session_id;
    rig.round(&request((id, 1), vec![]), |p| {
        if p == 0 { data(9, &[10]) } else { nothing(5) }
    });
    let all = rig.round(&request((id, 2), vec![]), |_| data(10, &[10]));
    assert_eq!(listed(&all), [1, 2, 0]);
}

#[test]
fn a_full_cache_gives_no_session_until_one_is_stale() {
    let config = EdgeConfig {
        fetch_sessions_max: 1,
        ..EdgeConfig::default()
    };
    let mut rig = Rig::with(config, ControllerConfig::default());
    rig.create("t", 1, &[]);
    let id = rig
        .round(&request((0, 0), vec![topic(&[0])]), |_| nothing(5))
        .session_id;
    assert!(id > 0);
    assert_eq!(
        rig.round(&request((0, 0), vec![topic(&[0])]), |_| nothing(5))
            .session_id,
        0
    );
    rig.advance_ms(121_000);
    let new = rig
        .round(&request((0, 0), vec![topic(&[0])]), |_| nothing(5))
        .session_id;
    assert!(new > 0 && new != id);
}
