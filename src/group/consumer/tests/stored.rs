//! What is written before it is told, what a start makes of it, and what follows when a write is refused.

use super::*;
use crate::wire::group::records::GroupRecord;

#[test]
fn an_answer_waits_for_what_it_speaks_of() {
    let mut rig = rig(&[("t", 1, 2)]);
    rig.hold = true;
    let join = Beat::join("a", &["t"]).ask(&mut rig);
    let types: Vec<i16> = rig.writes[0].records.iter().map(GroupRecord::record_type).collect();
    assert_eq!(types, [3, 5, 6, 7, 8], "epoch, member, target, what it has");
    let again = Beat::at("a", 1).ask(&mut rig);
    assert!(
        rig.writes.len() == 1 && rig.answer(again).is_none(),
        "it knows of an epoch that is not stored"
    );
    rig.durable();
    assert_eq!(answer(&mut rig, join).member_epoch, 1);
    assert_eq!(answer(&mut rig, again).error, ErrorCode::None);
    let later = Beat::at("a", 1).ask(&mut rig);
    assert_eq!(answer(&mut rig, later).error, ErrorCode::None, "nothing is on its way");
}

#[test]
fn a_start_finds_the_group_as_it_was_and_members_go_on() {
    let mut rig = rig(&[("t", 1, 4)]);
    Beat::join("a", &["t"]).assignor("range").ok(&mut rig);
    Beat::join("b", &["t"]).assignor("range").ok(&mut rig);
    Beat::at("a", 1).ok(&mut rig);
    let before = describe(&mut rig);
    restart(&mut rig);
    assert_eq!(describe(&mut rig), before);
    assert_eq!(Beat::at("a", 1).owning(&[(1, &[0, 1])]).ok(&mut rig), (2, None));
    assert_eq!(Beat::at("b", 2).ok(&mut rig), (2, Some(vec![(1, vec![2, 3])])));
    restart(&mut rig);
    rig.advance_ms(SESSION_MS);
    assert_eq!(describe(&mut rig).state, "Empty", "deadlines run from the start");
}

#[test]
fn a_refused_write_fails_its_answers_and_is_made_up_for_by_the_next() {
    let mut rig = rig(&[("t", 1, 2)]);
    rig.hold = true;
    let join = Beat::join("a", &["t"]).ask(&mut rig);
    let second = Beat::join("b", &["t"]).ask(&mut rig);
    let third = Beat::at("b", 2).ask(&mut rig);
    rig.refuse(ErrorCode::KafkaStorageError);
    rig.durable();
    assert_eq!(answer(&mut rig, join).error, ErrorCode::NotCoordinator);
    assert_eq!(
        answer(&mut rig, second).error,
        ErrorCode::CoordinatorNotAvailable,
        "it builds on the first"
    );
    assert_eq!(answer(&mut rig, third).error, ErrorCode::CoordinatorNotAvailable);
    rig.hold = false;
    Beat::join("a", &["t"]).ok(&mut rig);
    let before = describe(&mut rig);
    restart(&mut rig);
    assert_eq!(describe(&mut rig), before, "the log has all of it");
}

#[test]
fn a_refused_leave_leaves_nothing_behind_in_the_end() {
    let mut rig = rig(&[("t", 1, 2)]);
    Beat::join("a", &["t"]).ok(&mut rig);
    Beat::join("b", &["t"]).ok(&mut rig);
    rig.hold = true;
    let leave = Beat::at("a", -1).ask(&mut rig);
    rig.refuse(ErrorCode::NotEnoughReplicas);
    assert_eq!(answer(&mut rig, leave).error, ErrorCode::CoordinatorNotAvailable);
    rig.hold = false;
    assert_eq!(Beat::at("a", -1).error(&mut rig), ErrorCode::UnknownMemberId);
    Beat::at("b", 2).ok(&mut rig);
    restart(&mut rig);
    let members = describe(&mut rig).members;
    assert_eq!(members.iter().map(|m| m.member_id.as_str()).collect::<Vec<_>>(), ["b"]);
}

#[test]
fn a_coordinator_that_moves_away_tells_all_who_wait() {
    let mut rig = rig(&[("t", 1, 2)]);
    rig.hold = true;
    let join = Beat::join("a", &["t"]).ask(&mut rig);
    let beat = Beat::at("a", 1).ask(&mut rig);
    let groups = std::mem::replace(
        &mut rig.groups,
        crate::group::machine::Groups::new(GroupConfig::default()),
    );
    let mut out = crate::group::machine::Outbox::default();
    groups.unload(rig.now, ErrorCode::NotCoordinator, &mut out);
    let write = rig.writes.pop_front().unwrap();
    out.answers.extend(write.orphaned(ErrorCode::NotCoordinator));
    let told: BTreeMap<u32, GroupAnswer> = out.answers.into_iter().map(|(to, answer)| (to.part, answer)).collect();
    for ticket in [join, beat] {
        let Some(GroupAnswer::ConsumerHeartbeat(answer)) = told.get(&ticket) else {
            panic!("{ticket} is not told")
        };
        assert_eq!(answer.error, ErrorCode::NotCoordinator);
    }
}
