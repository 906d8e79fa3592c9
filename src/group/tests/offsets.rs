//! Checklist 70 to 73 and 90: commits, what is shown of them, and how they go.

use super::*;
use crate::wire::group::offset_delete::{OffsetDeleteRequest, OffsetDeleteTopic};

const MINUTE_MS: u64 = 60_000;

fn short_retention() -> Rig {
    Rig::with(GroupConfig {
        initial_rebalance_delay_ms: 0,
        retention_ms: 10 * MINUTE_MS as i64,
        retention_check_ms: MINUTE_MS,
        ..GroupConfig::default()
    })
}

impl Rig {
    fn delete(&mut self) -> u32 {
        self.ask(GroupRequest::Delete(vec!["g".into()]))
    }
    fn deleted(&mut self, ticket: u32) -> ErrorCode {
        match self.answer(ticket) {
            Some(GroupAnswer::Delete(groups)) => groups[0].error,
            other => panic!("no answer to DeleteGroups but {other:?}"),
        }
    }
    /// Deletes the offset of partition 0 of a topic: (group's error, partition's).
    fn delete_offset(&mut self, topic: &str) -> (ErrorCode, Option<ErrorCode>) {
        let request = OffsetDeleteRequest {
            group_id: "g".into(),
            topics: vec![OffsetDeleteTopic {
                name: topic.into(),
                partitions: vec![0],
            }],
        };
        let ticket = self.ask(GroupRequest::DeleteOffsets(request));
        match self.answer(ticket) {
            Some(GroupAnswer::DeleteOffsets(answer)) => {
                let partition = answer.topics.first().map(|topic| topic.partitions[0].error);
                (answer.error, partition)
            }
            other => panic!("no answer to OffsetDelete but {other:?}"),
        }
    }
    /// A heartbeat every five seconds.
    fn live_ms(&mut self, member: &str, generation: i32, ms: u64) {
        for _ in 0..ms / 5_000 {
            self.advance_ms(5_000);
            assert_eq!(self.heartbeat(member, generation), ErrorCode::None);
        }
    }
}

#[test]
fn item_70_a_client_without_a_group_commits_to_an_empty_group_only() {
    let mut rig = Rig::new();
    let ticket = rig.commit("", -1, 5);
    assert_eq!(rig.committed(ticket), ErrorCode::None);
    assert_eq!(rig.offset(), 5);
    let group = rig.describe(5);
    assert_eq!(
        (group.state.as_str(), group.protocol_type.as_str()),
        ("Empty", ""),
        "item 90: a simple group"
    );
    rig.stable();
    let ticket = rig.commit("", -1, 6);
    assert_eq!(rig.committed(ticket), ErrorCode::UnknownMemberId);
}

#[test]
fn item_70_members_commit_in_their_generation_and_not_before_the_assignment() {
    let mut rig = Rig::new();
    let id = rig.stable();
    for (member, generation, error) in [
        (id.as_str(), 1, ErrorCode::None),
        (id.as_str(), 0, ErrorCode::IllegalGeneration),
        (id.as_str(), -1, ErrorCode::IllegalGeneration),
        ("stranger", 1, ErrorCode::UnknownMemberId),
    ] {
        let ticket = rig.commit(member, generation, 7);
        assert_eq!(rig.committed(ticket), error, "{member} {generation}");
    }
    let _ = rig.join(Join::v3());
    let ticket = rig.commit(&id, 1, 8);
    assert_eq!(
        rig.committed(ticket),
        ErrorCode::None,
        "members commit before they join again"
    );

    let mut rig = Rig::new();
    let joined = rig.join_now(Join::v3());
    let ticket = rig.commit(&joined.member_id, 1, 7);
    assert_eq!(rig.committed(ticket), ErrorCode::RebalanceInProgress);
}

#[test]
fn item_70_a_commit_to_an_unknown_group_is_refused_as_the_version_knows_it() {
    let mut rig = Rig::new();
    let ticket = rig.commit("m", 3, 1);
    assert_eq!(rig.committed(ticket), ErrorCode::IllegalGeneration);
    let ticket = rig.ask(GroupRequest::Commit(9, commit_of("m", 3, 1)));
    assert_eq!(rig.committed(ticket), ErrorCode::GroupIdNotFound);
}

#[test]
fn item_70_a_commit_counts_as_a_heartbeat() {
    let mut rig = Rig::new();
    let id = rig.stable();
    for _ in 0..3 {
        rig.advance_ms(SESSION_MS as u64 - 1);
        let ticket = rig.commit(&id, 1, 7);
        assert_eq!(rig.committed(ticket), ErrorCode::None);
    }
}

#[test]
fn item_70_metadata_comes_back_and_has_a_limit() {
    let mut rig = Rig::new();
    let mut request = commit_of("", -1, 5);
    request.topics[0].partitions[0].metadata = Some("m".repeat(4_096));
    request.topics[0].partitions[0].leader_epoch = 4;
    let mut long = request.topics[0].partitions[0].clone();
    (long.index, long.metadata) = (1, Some("m".repeat(4_097)));
    let mut none = long.clone();
    (none.index, none.metadata) = (2, None);
    request.topics[0].partitions.extend([long, none]);
    let ticket = rig.ask(GroupRequest::Commit(8, request));
    let Some(GroupAnswer::Commit(topics)) = rig.answer(ticket) else {
        panic!()
    };
    let errors: Vec<_> = topics[0].partitions.iter().map(|p| p.error).collect();
    assert_eq!(
        errors,
        [ErrorCode::None, ErrorCode::OffsetMetadataTooLarge, ErrorCode::None]
    );

    let all = OffsetFetchGroup {
        group_id: "g".into(),
        ..OffsetFetchGroup::default()
    };
    let ticket = rig.ask(GroupRequest::Fetch(all));
    let Some(GroupAnswer::Fetch(group)) = rig.answer(ticket) else {
        panic!()
    };
    let partitions = &group.topics[0].partitions;
    assert_eq!(
        partitions.iter().map(|p| p.index).collect::<Vec<_>>(),
        [0, 2],
        "item 71: all that have an offset"
    );
    assert_eq!(
        (
            partitions[0].leader_epoch,
            partitions[0].metadata.as_deref().map(str::len)
        ),
        (4, Some(4_096))
    );
    assert_eq!(partitions[1].metadata.as_deref(), Some(""));
}

#[test]
fn an_offset_is_shown_and_acknowledged_when_it_is_durable_and_not_before() {
    let mut rig = Rig::new();
    rig.hold = true;
    let first = rig.commit("", -1, 5);
    let second = rig.commit("", -1, 6);
    assert_eq!((rig.offset(), rig.answer(first)), (-1, None));
    rig.durable();
    assert_eq!((rig.offset(), rig.committed(first)), (5, ErrorCode::None));
    rig.refuse(ErrorCode::KafkaStorageError);
    assert_eq!((rig.offset(), rig.committed(second)), (5, ErrorCode::NotCoordinator));
}

#[test]
fn item_71_what_was_never_committed_is_no_error() {
    let mut rig = Rig::new();
    assert_eq!(rig.offset(), -1);
    let all = OffsetFetchGroup {
        group_id: "g".into(),
        ..OffsetFetchGroup::default()
    };
    let ticket = rig.ask(GroupRequest::Fetch(all));
    let Some(GroupAnswer::Fetch(group)) = rig.answer(ticket) else {
        panic!()
    };
    assert_eq!((group.error, group.topics.len()), (ErrorCode::None, 0));
}

#[test]
fn an_offset_of_an_earlier_topic_of_the_same_name_is_not_shown() {
    let mut rig = Rig::new();
    let mut request = commit_of("", -1, 5);
    request.topics[0].topic_id = crate::base::ids::TopicId([1; 16]);
    rig.ask(GroupRequest::Commit(10, request));
    let fetch = |rig: &mut Rig, id: u8| {
        let topic = OffsetFetchTopic {
            name: "t".into(),
            topic_id: crate::base::ids::TopicId([id; 16]),
            partitions: vec![0],
        };
        let group = OffsetFetchGroup {
            group_id: "g".into(),
            topics: Some(vec![topic]),
            ..OffsetFetchGroup::default()
        };
        let ticket = rig.ask(GroupRequest::Fetch(group));
        let Some(GroupAnswer::Fetch(group)) = rig.answer(ticket) else {
            panic!()
        };
        group.topics[0].partitions[0].offset
    };
    assert_eq!((fetch(&mut rig, 1), fetch(&mut rig, 0), fetch(&mut rig, 2)), (5, 5, -1));
    rig.call(|groups, _, out| groups.forget_topics(&["t".to_string()].into(), out));
    assert_eq!(fetch(&mut rig, 1), -1, "the topic is deleted, and so are its offsets");
}

#[test]
fn item_72_offsets_expire_once_the_group_is_empty_for_the_retention_time() {
    let mut rig = short_retention();
    let id = rig.stable();
    rig.commit(&id, 1, 7);
    rig.live_ms(&id, 1, 30 * MINUTE_MS);
    assert_eq!(rig.offset(), 7, "the group is alive and subscribed");
    rig.leave(&[(&id, None)]);
    rig.advance_ms(9 * MINUTE_MS);
    assert_eq!(rig.offset(), 7);
    rig.advance_ms(2 * MINUTE_MS);
    assert_eq!(
        (rig.offset(), rig.state().as_str()),
        (-1, "Dead"),
        "the empty group goes with its last offset"
    );
}

#[test]
fn item_72_offsets_without_a_group_expire_by_their_own_age_or_by_what_the_client_asked_for() {
    let mut rig = short_retention();
    rig.commit("", -1, 5);
    let mut request = commit_of("", -1, 6);
    request.topics[0].name = "short".into();
    request.retention_time_ms = 2 * MINUTE_MS as i64;
    rig.ask(GroupRequest::Commit(3, request));
    rig.advance_ms(5 * MINUTE_MS);
    assert_eq!((rig.groups.sizes(), rig.offset()), ((1, 1), 5));
    rig.advance_ms(6 * MINUTE_MS);
    assert_eq!(rig.groups.sizes(), (0, 0));
}

#[test]
fn item_72_in_a_stable_group_offsets_of_topics_it_left_expire() {
    let mut rig = short_retention();
    let id = rig.stable();
    rig.commit(&id, 1, 7);
    let mut other = commit_of(&id, 1, 9);
    other.topics[0].name = "left".into();
    rig.ask(GroupRequest::Commit(8, other));
    rig.live_ms(&id, 1, 12 * MINUTE_MS);
    assert_eq!((rig.groups.sizes(), rig.offset()), ((1, 1), 7));
}

#[test]
fn item_72_groups_with_members_are_not_deleted_and_empty_ones_go_with_their_offsets() {
    let mut rig = Rig::new();
    let ticket = rig.delete();
    assert_eq!(rig.deleted(ticket), ErrorCode::GroupIdNotFound);
    let id = rig.stable();
    rig.commit(&id, 1, 7);
    let ticket = rig.delete();
    assert_eq!(rig.deleted(ticket), ErrorCode::NonEmptyGroup);
    rig.leave(&[(&id, None)]);
    let ticket = rig.delete();
    assert_eq!(rig.deleted(ticket), ErrorCode::None);
    assert_eq!((rig.groups.sizes(), rig.offset()), ((0, 0), -1));
}

#[test]
fn a_deletion_takes_offsets_along_that_are_still_on_their_way() {
    let mut rig = Rig::new();
    rig.hold = true;
    let commit = rig.commit("", -1, 5);
    let delete = rig.delete();
    let join = rig.join(Join::v3());
    assert_eq!(
        rig.joined(join).error,
        ErrorCode::CoordinatorNotAvailable,
        "come back when it is gone"
    );
    rig.durable();
    assert_eq!(rig.committed(commit), ErrorCode::None);
    rig.durable();
    assert_eq!(rig.deleted(delete), ErrorCode::None);
    rig.restart(GroupConfig::default());
    assert_eq!((rig.groups.sizes(), rig.offset()), ((0, 0), -1));
}

#[test]
fn a_deletion_that_is_refused_leaves_the_group_as_it_was() {
    let mut rig = Rig::new();
    rig.commit("", -1, 5);
    rig.hold = true;
    let delete = rig.delete();
    rig.refuse(ErrorCode::KafkaStorageError);
    assert_eq!(rig.deleted(delete), ErrorCode::NotCoordinator);
    assert_eq!((rig.offset(), rig.state().as_str()), (5, "Empty"));
}

#[test]
fn item_73_offsets_of_subscribed_topics_are_not_deleted() {
    let mut rig = Rig::new();
    assert_eq!(rig.delete_offset("t"), (ErrorCode::GroupIdNotFound, None));
    let id = rig.stable();
    rig.commit(&id, 1, 7);
    assert_eq!(
        rig.delete_offset("t"),
        (ErrorCode::None, Some(ErrorCode::GroupSubscribedToTopic))
    );
    assert_eq!(rig.delete_offset("other"), (ErrorCode::None, Some(ErrorCode::None)));
    assert_eq!(rig.offset(), 7);
    rig.leave(&[(&id, None)]);
    assert_eq!(rig.delete_offset("t"), (ErrorCode::None, Some(ErrorCode::None)));
    assert_eq!(rig.offset(), -1);
}

#[test]
fn item_73_groups_of_other_types_keep_their_offsets_while_they_have_members() {
    let mut rig = Rig::new();
    let joined = rig.join_now(Join::v3().kind("connect"));
    rig.sync(&joined.member_id, 1, &[]);
    assert_eq!(rig.delete_offset("t"), (ErrorCode::NonEmptyGroup, None));
}
