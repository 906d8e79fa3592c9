//! What a coordinator knows after a kill: what its log holds.

use super::*;

fn config() -> GroupConfig {
    GroupConfig {
        initial_rebalance_delay_ms: 0,
        seed: 7,
        ..GroupConfig::default()
    }
}

#[test]
fn offsets_and_a_stable_group_are_there_again_and_its_members_go_on() {
    let mut rig = Rig::new();
    let id = rig.stable();
    rig.commit(&id, 1, 7);
    rig.restart(config());
    assert_eq!(rig.offset(), 7);
    let group = rig.describe(6);
    assert_eq!(
        (group.state.as_str(), group.protocol_data.as_str()),
        ("Stable", "range")
    );
    assert_eq!(group.members[0].assignment, "mine");
    assert_eq!(rig.heartbeat(&id, 1), ErrorCode::None);
    let ticket = rig.commit(&id, 1, 8);
    assert_eq!(rig.committed(ticket), ErrorCode::None);
}

#[test]
fn members_that_do_not_come_back_are_given_up_after_their_session() {
    let mut rig = Rig::new();
    rig.stable();
    rig.restart(config());
    rig.advance_ms(SESSION_MS as u64);
    assert_eq!(rig.state(), "Empty");
    rig.restart(config());
    assert_eq!(rig.state(), "Empty");
    assert_eq!(
        rig.join_now(Join::v3()).generation_id,
        3,
        "generations are never used twice"
    );
}

#[test]
fn a_rebalance_that_was_under_way_starts_from_the_generation_of_before() {
    let mut rig = Rig::new();
    let id = rig.stable();
    let _ = rig.join(Join::v3());
    rig.join(Join::v3().with_id(&id));
    rig.restart(config());
    assert_eq!(rig.heartbeat(&id, 2), ErrorCode::IllegalGeneration);
    assert_eq!(rig.heartbeat(&id, 1), ErrorCode::None);
}

#[test]
fn a_static_member_is_known_by_the_id_it_was_told_last() {
    let mut rig = Rig::new();
    let first = rig.join_now(Join::version(9).instance("a"));
    rig.sync(&first.member_id, 1, &[(&first.member_id, "mine")]);
    let back = rig.join_now(Join::version(9).instance("a"));
    rig.restart(config());
    let members = rig.describe(6).members;
    assert_eq!(members.len(), 1);
    assert_eq!(members[0].member_id, back.member_id);
    assert_eq!(members[0].assignment, "mine");
    let again = rig.join_now(Join::version(9).instance("a"));
    assert_eq!(
        (again.error, again.generation_id, again.skip_assignment),
        (ErrorCode::None, 1, true)
    );
}

#[test]
fn a_group_that_is_too_large_now_has_to_join_anew() {
    let mut rig = Rig::new();
    let tickets = [rig.join(Join::v3()), rig.join(Join::v3())];
    rig.advance_ms(1);
    let ids = tickets.map(|ticket| rig.joined(ticket).member_id);
    let leader = rig.describe(5).members[0].member_id.clone();
    rig.sync(&leader, 1, &[]);
    rig.sync(&ids[0], 1, &[]);
    rig.sync(&ids[1], 1, &[]);
    assert_eq!(rig.state(), "Stable");
    rig.restart(GroupConfig {
        members_max: 1,
        ..config()
    });
    assert_eq!(rig.state(), "PreparingRebalance");
    let first = rig.join(Join::v3().with_id(&ids[0]));
    let second = rig.join_now(Join::v3().with_id(&ids[1]));
    assert_eq!(second.error, ErrorCode::GroupMaxSizeReached);
    assert_eq!(rig.joined(first).generation_id, 2);
}

#[test]
fn a_coordinator_that_goes_tells_all_who_wait() {
    let mut rig = Rig::new();
    rig.stable();
    let waiting = rig.join(Join::v3());
    let groups = std::mem::replace(&mut rig.groups, Groups::new(config()));
    let mut out = Outbox::default();
    groups.unload(rig.now, ErrorCode::NotCoordinator, &mut out);
    rig.take(out);
    assert_eq!(rig.joined(waiting).error, ErrorCode::NotCoordinator);
}

#[test]
fn ids_of_members_differ_between_starts() {
    let ids: Vec<String> = [1, 2]
        .into_iter()
        .map(|seed| {
            let mut rig = Rig::with(GroupConfig { seed, ..config() });
            rig.join_now(Join::v3()).member_id
        })
        .collect();
    assert_ne!(ids[0], ids[1]);
}
