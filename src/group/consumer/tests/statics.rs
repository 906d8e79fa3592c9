//! Static members: they leave for a while and come back to what they had.

use super::*;

#[test]
fn a_static_member_comes_back_under_a_new_id_without_any_move_91() {
    let mut rig = rig(&[("t", 1, 2)]);
    Beat::join("a1", &["t"]).instance("a").ok(&mut rig);
    let second = || Beat::join("a2", &["t"]).instance("a");
    assert_eq!(
        second().error(&mut rig),
        ErrorCode::UnreleasedInstanceId,
        "the first is still there"
    );
    let left = Beat::at("a1", -2).instance("a").answered(&mut rig);
    assert_eq!((left.error, left.member_epoch), (ErrorCode::None, -2));
    assert_eq!(describe(&mut rig).members[0].epoch, -2);
    assert_eq!(second().ok(&mut rig), (1, Some(vec![(1, vec![0, 1])])));
    assert_eq!(
        Beat::at("a1", 1).instance("a").error(&mut rig),
        ErrorCode::FencedInstanceId
    );
    assert_eq!(
        Beat::at("a1", -1).instance("a").error(&mut rig),
        ErrorCode::FencedInstanceId
    );
    assert_eq!(Beat::at("a2", 1).instance("a").ok(&mut rig), (1, None));
    assert_eq!(
        Beat::at("b", 1).instance("b").error(&mut rig),
        ErrorCode::UnknownMemberId
    );
    let group = describe(&mut rig);
    assert_eq!((group.epoch, group.members.len()), (1, 1));
    assert_eq!(group.members[0].instance_id.as_deref(), Some("a"));
    restart(&mut rig);
    assert_eq!(describe(&mut rig), group, "as the log has it");
}

#[test]
fn a_static_member_that_stays_away_is_given_up_and_one_that_leaves_for_good_is_gone_91() {
    let mut rig = rig(&[("t", 1, 2)]);
    Beat::join("a", &["t"]).instance("a").ok(&mut rig);
    Beat::at("a", -2).instance("a").answered(&mut rig);
    rig.advance_ms(SESSION_MS);
    assert_eq!(describe(&mut rig).state, "Empty");
    Beat::join("b", &["t"]).instance("a").ok(&mut rig);
    Beat::at("b", -1).instance("a").answered(&mut rig);
    assert_eq!(describe(&mut rig).state, "Empty");
    restart(&mut rig);
    assert_eq!(describe(&mut rig).state, "Empty");
}

#[test]
fn what_a_static_member_had_to_give_up_is_free_when_it_leaves_91() {
    let mut rig = rig(&[("t", 1, 2)]);
    Beat::join("a", &["t"]).instance("a").ok(&mut rig);
    Beat::join("b", &["t"]).ok(&mut rig);
    assert_eq!(
        Beat::at("a", 1).instance("a").ok(&mut rig),
        (1, Some(vec![(1, vec![0])]))
    );
    Beat::at("a", -2).instance("a").answered(&mut rig);
    assert_eq!(Beat::at("b", 2).ok(&mut rig), (2, Some(vec![(1, vec![1])])));
    assert_eq!(
        Beat::join("c", &["t"]).instance("a").ok(&mut rig),
        (2, Some(vec![(1, vec![0])]))
    );
}
