//! One id, two protocols: an empty group changes its kind; a live one does not where that is switched off; lists and deletions
//! know both.

use super::*;
use crate::group::Migration;
use crate::group::tests::Join;
use crate::wire::group::list_groups::ListGroupsRequest;
use crate::wire::group::offset_commit::{OffsetCommitPartition, OffsetCommitRequest, OffsetCommitTopic};
use crate::wire::group::records::GroupRecord;

/// Groups keep their kind while they have members.
fn off() -> GroupConfig {
    GroupConfig {
        initial_rebalance_delay_ms: 0,
        migration: Migration::Disabled,
        ..GroupConfig::default()
    }
}

fn types(rig: &mut Rig) -> Vec<(String, String, String)> {
    let groups = rig.groups.list(&ListGroupsRequest::default()).into_iter();
    groups.map(|g| (g.group_type, g.protocol_type, g.state)).collect()
}

fn commit(rig: &mut Rig) {
    let topic = OffsetCommitTopic {
        name: "t".into(),
        topic_id: id(1),
        partitions: vec![OffsetCommitPartition::default()],
    };
    let request = OffsetCommitRequest {
        group_id: "g".into(),
        topics: vec![topic],
        ..OffsetCommitRequest::default()
    };
    rig.ask(GroupRequest::Commit(9, request));
}

fn delete(rig: &mut Rig) -> ErrorCode {
    let ticket = rig.ask(GroupRequest::Delete(vec!["g".into()]));
    match rig.answer(ticket) {
        Some(GroupAnswer::Delete(groups)) => groups[0].error,
        other => panic!("no answer to a deletion but {other:?}"),
    }
}

#[test]
fn an_empty_group_changes_its_kind_and_keeps_its_offsets_74_91() {
    let mut rig = Rig::with(off());
    set_topics(&mut rig, &[("t", 1, 1)]);
    commit(&mut rig);
    assert_eq!(types(&mut rig), [("classic".into(), String::new(), "Empty".into())]);
    Beat::join("a", &["t"]).ok(&mut rig);
    let consumer = |state: &str| [("consumer".to_string(), "consumer".to_string(), state.to_string())];
    assert_eq!(types(&mut rig), consumer("Stable"));
    assert_eq!(rig.groups.sizes(), (1, 1));
    rig.restart(off());
    assert_eq!(
        (types(&mut rig), rig.groups.sizes()),
        (consumer("Stable").to_vec(), (1, 1))
    );

    let refused = rig.join_now(Join::v3());
    assert_eq!(
        refused.error,
        ErrorCode::InconsistentGroupProtocol,
        "it has a member of the new protocol"
    );
    Beat::at("a", -1).answered(&mut rig);
    assert_eq!(types(&mut rig), consumer("Empty"));
    let joined = rig.join_now(Join::v3());
    assert_eq!(joined.error, ErrorCode::None);
    assert_eq!(types(&mut rig)[0].0, "classic");
    assert_eq!(Beat::at("a", 1).error(&mut rig), ErrorCode::GroupIdNotFound);
    assert_eq!(
        Beat::join("a", &["t"]).error(&mut rig),
        ErrorCode::GroupIdNotFound,
        "it has a classic member"
    );
    let deleted = rig
        .log
        .iter()
        .rev()
        .find(|r| matches!(r, GroupRecord::ConsumerGroupMetadata(..)));
    assert!(matches!(deleted, Some(GroupRecord::ConsumerGroupMetadata(_, None))));
    restart(&mut rig);
    assert_eq!((types(&mut rig)[0].0.as_str(), rig.groups.sizes()), ("classic", (1, 1)));
}

#[test]
fn lists_filter_by_type_and_state_90() {
    let mut rig = rig(&[("t", 1, 1)]);
    Beat::join("a", &["t"]).ok(&mut rig);
    let count = |rig: &mut Rig, types: &[&str], states: &[&str]| {
        let words = |list: &[&str]| list.iter().map(|word| word.to_string()).collect();
        let request = ListGroupsRequest {
            states: words(states),
            types: words(types),
        };
        rig.groups.list(&request).len()
    };
    assert_eq!(count(&mut rig, &["Consumer"], &["stable"]), 1);
    assert_eq!(count(&mut rig, &["classic"], &[]), 0);
    assert_eq!(count(&mut rig, &[], &["Empty"]), 0);
}

#[test]
fn a_group_is_deleted_with_its_offsets_when_empty_90() {
    let mut rig = rig(&[("t", 1, 1)]);
    Beat::join("a", &["t"]).ok(&mut rig);
    assert_eq!(delete(&mut rig), ErrorCode::NonEmptyGroup);
    Beat::at("a", -1).answered(&mut rig);
    commit(&mut rig);
    rig.hold = true;
    let ticket = rig.ask(GroupRequest::Delete(vec!["g".into()]));
    assert_eq!(
        Beat::join("a", &["t"]).error(&mut rig),
        ErrorCode::CoordinatorNotAvailable,
        "it is being deleted"
    );
    rig.durable();
    assert!(matches!(rig.answer(ticket), Some(GroupAnswer::Delete(groups)) if groups[0].error == ErrorCode::None));
    assert_eq!(rig.groups.sizes(), (0, 0));
    restart(&mut rig);
    assert_eq!(rig.groups.sizes(), (0, 0), "the log knows nothing of it");
    rig.hold = false;
    assert_eq!(delete(&mut rig), ErrorCode::GroupIdNotFound);
    assert_eq!(Beat::join("a", &["t"]).ok(&mut rig).0, 1, "a new one begins anew");
}

#[test]
fn a_deletion_that_is_refused_changes_nothing_90() {
    let mut rig = rig(&[("t", 1, 1)]);
    Beat::join("a", &["t"]).ok(&mut rig);
    Beat::at("a", -1).answered(&mut rig);
    rig.hold = true;
    let ticket = rig.ask(GroupRequest::Delete(vec!["g".into()]));
    rig.refuse(ErrorCode::KafkaStorageError);
    assert!(matches!(rig.answer(ticket), Some(GroupAnswer::Delete(groups)) if groups[0].error != ErrorCode::None));
    rig.hold = false;
    assert_eq!(Beat::join("b", &["t"]).ok(&mut rig).0, 3);
    let before = describe(&mut rig);
    restart(&mut rig);
    assert_eq!(describe(&mut rig), before);
}

#[test]
fn offsets_and_an_empty_group_expire_together() {
    let mut rig = rig(&[("t", 1, 1)]);
    Beat::join("a", &["t"]).ok(&mut rig);
    Beat::at("a", -1).answered(&mut rig);
    commit(&mut rig);
    rig.advance_ms(GroupConfig::default().retention_ms as u64 - 1);
    assert_eq!(rig.groups.sizes(), (1, 1));
    rig.advance_ms(GroupConfig::default().retention_check_ms + 1);
    assert_eq!(rig.groups.sizes(), (0, 0));
}

#[test]
fn a_classic_description_says_that_it_is_no_classic_group_90() {
    let mut rig = rig(&[("t", 1, 1)]);
    Beat::join("a", &["t"]).ok(&mut rig);
    let ticket = rig.ask(GroupRequest::Describe(6, vec!["g".into()]));
    let Some(GroupAnswer::Describe(groups)) = rig.answer(ticket) else {
        panic!("no description")
    };
    assert_eq!(groups[0].error, ErrorCode::GroupIdNotFound);
    assert_eq!(
        groups[0].error_message.as_deref(),
        Some("Group g is not a classic group.")
    );
}
