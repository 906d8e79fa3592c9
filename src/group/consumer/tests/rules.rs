//! Epochs, reconciliation, refusals, deadlines.

use super::*;
use crate::group::machine::Groups;
use crate::wire::group::offset_commit::{OffsetCommitPartition, OffsetCommitRequest, OffsetCommitTopic};
use crate::wire::group::offset_fetch::OffsetFetchGroup;

#[test]
fn the_first_member_gets_everything_and_nothing_is_told_twice_74() {
    let mut rig = rig(&[("t", 1, 3)]);
    assert_eq!(
        Beat::join("a", &["t", "gone"]).ok(&mut rig),
        (1, Some(vec![(1, vec![0, 1, 2])]))
    );
    assert_eq!(
        Beat::at("a", 1).ok(&mut rig),
        (1, None),
        "null is unchanged, in both directions"
    );
    let mut full = Beat::join("a", &["t", "gone"]).owning(&[(1, &[0, 1, 2])]);
    full.0.member_epoch = 1;
    assert_eq!(
        full.ok(&mut rig),
        (1, Some(vec![(1, vec![0, 1, 2])])),
        "who says all is told all"
    );
}

#[test]
fn partitions_move_only_when_given_up_74() {
    let mut rig = rig(&[("t", 1, 4)]);
    assert_eq!(
        Beat::join("a", &["t"]).ok(&mut rig),
        (1, Some(vec![(1, vec![0, 1, 2, 3])]))
    );
    assert_eq!(
        Beat::join("b", &["t"]).ok(&mut rig),
        (2, Some(vec![])),
        "nothing is free yet"
    );
    assert_eq!(describe(&mut rig).state, "Reconciling");
    assert_eq!(
        Beat::at("a", 1).ok(&mut rig),
        (1, Some(vec![(1, vec![0, 1])])),
        "it keeps its epoch"
    );
    assert_eq!(Beat::at("b", 2).ok(&mut rig), (2, None));
    assert_eq!(
        Beat::at("a", 1).owning(&[(1, &[0, 1, 2])]).ok(&mut rig),
        (1, None),
        "one is left"
    );
    assert_eq!(Beat::at("a", 1).owning(&[(1, &[0, 1])]).ok(&mut rig), (2, None));
    assert_eq!(Beat::at("b", 2).ok(&mut rig), (2, Some(vec![(1, vec![2, 3])])));
    assert_eq!(describe(&mut rig).state, "Stable");
}

#[test]
fn who_leaves_frees_its_partitions_for_the_others_74() {
    let mut rig = rig(&[("t", 1, 2)]);
    Beat::join("a", &["t"]).ok(&mut rig);
    Beat::join("b", &["t"]).ok(&mut rig);
    Beat::at("a", 1).owning(&[(1, &[0])]).ok(&mut rig);
    Beat::at("a", 1).owning(&[(1, &[0])]).ok(&mut rig);
    assert_eq!(Beat::at("b", 2).ok(&mut rig), (2, Some(vec![(1, vec![1])])));
    assert_eq!(Beat::at("a", -1).ok_leave(&mut rig), -1);
    assert_eq!(Beat::at("a", 2).error(&mut rig), ErrorCode::UnknownMemberId);
    assert_eq!(Beat::at("b", 2).ok(&mut rig), (3, Some(vec![(1, vec![0, 1])])));
    assert_eq!(Beat::at("b", -1).ok_leave(&mut rig), -1);
    assert_eq!(describe(&mut rig).state, "Empty");
}

impl Beat {
    fn ok_leave(self, rig: &mut Rig) -> i32 {
        let answer = self.answered(rig);
        assert_eq!(answer.error, ErrorCode::None);
        answer.member_epoch
    }
}

#[test]
fn a_lost_answer_is_told_again_and_other_epochs_are_fenced_74() {
    let mut rig = rig(&[("t", 1, 2), ("u", 2, 1)]);
    Beat::join("a", &["t"]).ok(&mut rig);
    let mut wider = Beat::join("a", &["t", "u"]).owning(&[(1, &[0, 1])]);
    wider.0.member_epoch = 1;
    assert_eq!(
        wider.clone().ok(&mut rig),
        (2, Some(vec![(1, vec![0, 1]), (2, vec![0])]))
    );
    assert_eq!(
        wider.ok(&mut rig),
        (2, Some(vec![(1, vec![0, 1]), (2, vec![0])])),
        "the answer was lost"
    );
    assert_eq!(
        Beat::at("a", 1).error(&mut rig),
        ErrorCode::FencedMemberEpoch,
        "it does not say what it owns"
    );
    let foreign = Beat::at("a", 1).owning(&[(1, &[7])]);
    assert_eq!(foreign.error(&mut rig), ErrorCode::FencedMemberEpoch);
    assert_eq!(Beat::at("a", 3).error(&mut rig), ErrorCode::FencedMemberEpoch);
    let again = Beat::join("a", &["t", "u"]).ok(&mut rig);
    assert_eq!(
        again,
        (2, Some(vec![(1, vec![0, 1]), (2, vec![0])])),
        "a fenced member joins again"
    );
}

#[test]
fn nonsense_is_refused_before_anything_changes_91() {
    let mut rig = rig(&[("t", 1, 1)]);
    let with = |change: fn(&mut ConsumerGroupHeartbeatRequest)| {
        let mut beat = Beat::join("a", &["t"]);
        change(&mut beat.0);
        beat
    };
    for (beat, error) in [
        (with(|r| r.group_id.clear()), ErrorCode::InvalidRequest),
        (with(|r| r.member_id.clear()), ErrorCode::InvalidRequest),
        (with(|r| r.member_epoch = -3), ErrorCode::InvalidRequest),
        (with(|r| r.member_epoch = -2), ErrorCode::InvalidRequest),
        (with(|r| r.rebalance_timeout_ms = -1), ErrorCode::InvalidRequest),
        (with(|r| r.topic_partitions = None), ErrorCode::InvalidRequest),
        (with(|r| r.subscribed_topic_names = None), ErrorCode::InvalidRequest),
        (with(|r| r.instance_id = Some(String::new())), ErrorCode::InvalidRequest),
        (with(|r| r.rack_id = Some(String::new())), ErrorCode::InvalidRequest),
        (
            with(|r| r.server_assignor = Some("sticky".into())),
            ErrorCode::UnsupportedAssignor,
        ),
        (
            with(|r| r.subscribed_topic_regex = Some("(".into())),
            ErrorCode::InvalidRegularExpression,
        ),
        (Beat::at("a", 1), ErrorCode::GroupIdNotFound),
        (Beat::at("a", -1), ErrorCode::GroupIdNotFound),
    ] {
        assert_eq!(beat.error(&mut rig), error);
    }
    assert_eq!(rig.groups.sizes(), (0, 0), "nothing was made");
    assert_eq!(describe(&mut rig).error, ErrorCode::GroupIdNotFound);
}

#[test]
fn a_group_has_its_bound_of_members() {
    let mut rig = Rig::with(GroupConfig {
        consumer_members_max: 1,
        ..GroupConfig::default()
    });
    set_topics(&mut rig, &[("t", 1, 1)]);
    Beat::join("a", &["t"]).ok(&mut rig);
    assert_eq!(Beat::join("b", &["t"]).error(&mut rig), ErrorCode::GroupMaxSizeReached);
    Beat::join("a", &["t"]).ok(&mut rig);
}

#[test]
fn a_client_of_the_first_version_gets_a_member_id_74() {
    let mut rig = rig(&[("t", 1, 1)]);
    let caller = Caller {
        client_id: "client".into(),
        client_host: "/127.0.0.1".into(),
        version: 0,
    };
    let request = Box::new(Beat::join("", &["t"]).0);
    let ticket = rig.ask(GroupRequest::ConsumerHeartbeat(caller, request));
    let member = answer(&mut rig, ticket).member_id.unwrap();
    assert_eq!(member.len(), 36, "a UUID");
    assert_eq!(Beat::at(&member, 1).ok(&mut rig), (1, None));
}

#[test]
fn silence_and_partitions_held_for_too_long_end_a_membership_74() {
    let mut rig = rig(&[("t", 1, 2)]);
    Beat::join("a", &["t"]).ok(&mut rig);
    Beat::join("b", &["t"]).ok(&mut rig);
    Beat::at("a", 1).ok(&mut rig);
    for _ in 0..11 {
        rig.advance_ms(5_001);
        Beat::at("b", 2).ok(&mut rig);
        Beat::at("a", 1).ok(&mut rig);
    }
    rig.advance_ms(5_001);
    assert_eq!(
        Beat::at("a", 1).error(&mut rig),
        ErrorCode::UnknownMemberId,
        "its rebalance timeout is over"
    );
    assert_eq!(Beat::at("b", 2).ok(&mut rig), (3, Some(vec![(1, vec![0, 1])])));
    rig.advance_ms(SESSION_MS - 1);
    assert_eq!(describe(&mut rig).members.len(), 1);
    rig.advance_ms(1);
    assert_eq!(describe(&mut rig).state, "Empty");
}

#[test]
fn changes_of_topics_raise_the_epoch_74() {
    let mut rig = rig(&[("t", 1, 1)]);
    assert_eq!(Beat::join("a", &["t", "u"]).ok(&mut rig), (1, Some(vec![(1, vec![0])])));
    set_topics(&mut rig, &[("t", 1, 1), ("x", 9, 1)]);
    assert_eq!(Beat::at("a", 1).ok(&mut rig), (1, None), "nobody reads it");
    set_topics(&mut rig, &[("t", 1, 2), ("u", 2, 1)]);
    assert_eq!(
        Beat::at("a", 1).ok(&mut rig),
        (2, Some(vec![(1, vec![0, 1]), (2, vec![0])]))
    );
    set_topics(&mut rig, &[("t", 1, 2), ("u", 3, 1)]);
    assert_eq!(
        Beat::at("a", 2).ok(&mut rig),
        (2, Some(vec![(1, vec![0, 1])])),
        "it has to give the old one up"
    );
    assert_eq!(
        Beat::at("a", 2).owning(&[(1, &[0, 1])]).ok(&mut rig),
        (3, Some(vec![(1, vec![0, 1]), (3, vec![0])]))
    );
}

#[test]
fn new_topics_that_match_are_noticed_91() {
    let mut rig = rig(&[("a-1", 1, 1), ("b-1", 2, 1)]);
    assert_eq!(
        Beat::join_regex("a", "a-.*").ok(&mut rig),
        (1, Some(vec![(1, vec![0])]))
    );
    assert_eq!(
        describe(&mut rig).members[0].subscribed_topic_regex.as_deref(),
        Some("a-.*")
    );
    set_topics(&mut rig, &[("a-1", 1, 1), ("b-1", 2, 1), ("a-2", 3, 1), ("ba-2", 4, 1)]);
    rig.advance_ms(5_000);
    assert_eq!(
        Beat::at("a", 1).ok(&mut rig),
        (2, Some(vec![(1, vec![0]), (3, vec![0])]))
    );
    let mut other = Beat::at("a", 2);
    other.0.subscribed_topic_regex = Some("b.*".into());
    assert_eq!(other.ok(&mut rig).0, 2, "it has to give up first");
    let (epoch, assignment) = Beat::at("a", 2).owning(&[]).ok(&mut rig);
    assert_eq!((epoch, assignment), (3, Some(vec![(2, vec![0]), (4, vec![0])])));
    let mut none = Beat::at("a", 3);
    none.0.subscribed_topic_regex = Some(String::new());
    none.ok(&mut rig);
    assert_eq!(Beat::at("a", 3).owning(&[]).ok(&mut rig).0, 4);
    restart(&mut rig);
    assert_eq!(
        Beat::at("a", 4).ok(&mut rig),
        (4, None),
        "the expression is forgotten in the log, too"
    );
}

fn commit(rig: &mut Rig, version: i16, member: &str, epoch: i32, partition: i32) -> ErrorCode {
    let request = OffsetCommitRequest {
        group_id: "g".into(),
        generation_or_member_epoch: epoch,
        member_id: member.into(),
        topics: vec![OffsetCommitTopic {
            name: "t".into(),
            topic_id: id(1),
            partitions: vec![OffsetCommitPartition {
                index: partition,
                offset: 5,
                ..OffsetCommitPartition::default()
            }],
        }],
        ..OffsetCommitRequest::default()
    };
    let ticket = rig.ask(GroupRequest::Commit(version, request));
    match rig.answer(ticket) {
        Some(GroupAnswer::Commit(topics)) => topics[0].partitions[0].error,
        other => panic!("no answer to a commit but {other:?}"),
    }
}

fn fetch_error(rig: &mut Rig, member: Option<&str>, epoch: i32) -> ErrorCode {
    let group = OffsetFetchGroup {
        group_id: "g".into(),
        member_id: member.map(str::to_string),
        member_epoch: epoch,
        topics: None,
    };
    let ticket = rig.ask(GroupRequest::Fetch(group));
    match rig.answer(ticket) {
        Some(GroupAnswer::Fetch(result)) => result.error,
        other => panic!("no offsets but {other:?}"),
    }
}

#[test]
fn offsets_are_committed_and_fetched_by_members_of_the_epoch_74_91() {
    let mut rig = rig(&[("t", 1, 2)]);
    Beat::join("a", &["t"]).ok(&mut rig);
    assert_eq!(commit(&mut rig, 9, "a", 1, 0), ErrorCode::None);
    assert_eq!(commit(&mut rig, 8, "a", 1, 0), ErrorCode::UnsupportedVersion);
    assert_eq!(commit(&mut rig, 9, "a", 2, 0), ErrorCode::StaleMemberEpoch);
    assert_eq!(commit(&mut rig, 9, "b", 1, 0), ErrorCode::UnknownMemberId);
    assert_eq!(
        commit(&mut rig, 9, "", -1, 0),
        ErrorCode::UnknownMemberId,
        "only into a group without members"
    );
    assert_eq!(fetch_error(&mut rig, Some("a"), 1), ErrorCode::None);
    assert_eq!(fetch_error(&mut rig, Some("a"), 0), ErrorCode::StaleMemberEpoch);
    assert_eq!(fetch_error(&mut rig, Some("b"), 1), ErrorCode::UnknownMemberId);
    assert_eq!(fetch_error(&mut rig, None, -1), ErrorCode::None);

    // The epoch moves on; partition 0 stays its own all the time, 1 comes back to it later (KIP-1251).
    Beat::join("b", &["t"]).ok(&mut rig);
    Beat::at("a", 1).ok(&mut rig);
    Beat::at("a", 1).owning(&[(1, &[0])]).ok(&mut rig);
    Beat::at("b", -1).ok_leave(&mut rig);
    assert_eq!(Beat::at("a", 2).ok(&mut rig), (3, Some(vec![(1, vec![0, 1])])));
    assert_eq!(commit(&mut rig, 9, "a", 1, 0), ErrorCode::None);
    assert_eq!(commit(&mut rig, 9, "a", 1, 1), ErrorCode::StaleMemberEpoch);
    Beat::at("a", -1).ok_leave(&mut rig);
    assert_eq!(commit(&mut rig, 9, "", -1, 1), ErrorCode::None, "the group is empty");
}

#[test]
fn memory_of_new_members_is_told_beforehand() {
    let mut rig = rig(&[("t", 1, 1)]);
    let grows = |groups: &Groups, beat: Beat| {
        let caller = Caller {
            client_id: String::new(),
            client_host: String::new(),
            version: 1,
        };
        groups.would_grow(&GroupRequest::ConsumerHeartbeat(caller, Box::new(beat.0)))
    };
    assert!(grows(&rig.groups, Beat::join("a", &["t"])));
    Beat::join("a", &["t"]).ok(&mut rig);
    assert!(!grows(&rig.groups, Beat::join("a", &["t"])));
    assert!(grows(&rig.groups, Beat::join("a", &["t".repeat(9_999).as_str()])));
}
