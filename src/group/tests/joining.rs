//! Checklist 63 to 69: who gets in, when a rebalance ends, which protocol and which leader.

use super::*;
use crate::group::partition_of;

#[test]
fn the_coordinator_partition_is_the_one_that_java_computes() {
    // "polygenelubricants".hashCode() is Integer.MIN_VALUE, "test-group" is -1210154413.
    assert_eq!(partition_of("", 50), 0);
    assert_eq!(partition_of("a", 50), 97 % 50);
    assert_eq!(partition_of("polygenelubricants", 50), 0);
    assert_eq!(partition_of("Aa", 50), partition_of("BB", 50));
    assert_eq!(partition_of("\u{1F600}", 50), (0xd83du32 * 31 + 0xde00) % 50);
}

#[test]
fn item_63_a_new_member_of_v4_is_asked_to_come_back_with_its_id_and_one_of_v3_is_not() {
    let mut rig = Rig::new();
    let asked = rig.join_now(Join::version(4));
    assert_eq!(asked.error, ErrorCode::MemberIdRequired);
    assert!(asked.member_id.starts_with("client-"), "{}", asked.member_id);
    assert_eq!(asked.member_id.len(), "client-".len() + 36);
    assert_eq!(rig.state(), "Empty");
    let joined = rig.join_now(Join::version(4).with_id(&asked.member_id));
    assert_eq!((joined.error, joined.generation_id), (ErrorCode::None, 1));
    assert_eq!(joined.member_id, asked.member_id);
    assert_eq!(joined.leader, asked.member_id);

    let mut rig = Rig::new();
    let joined = rig.join_now(Join::v3());
    assert_eq!((joined.error, joined.generation_id), (ErrorCode::None, 1));
}

#[test]
fn item_63_an_id_given_out_is_forgotten_after_the_session_timeout() {
    let mut rig = Rig::new();
    let asked = rig.join_now(Join::version(5));
    rig.advance_ms(SESSION_MS as u64);
    let late = rig.join_now(Join::version(5).with_id(&asked.member_id));
    assert_eq!(late.error, ErrorCode::UnknownMemberId);
}

#[test]
fn item_63_500_members_join_together() {
    let mut rig = Rig::new();
    let asked: Vec<u32> = (0..500).map(|_| rig.join(Join::version(4))).collect();
    let ids: Vec<String> = asked.into_iter().map(|ticket| rig.joined(ticket).member_id).collect();
    let tickets: Vec<u32> = ids.iter().map(|id| rig.join(Join::version(4).with_id(id))).collect();
    rig.advance_ms(1);
    let answers: Vec<_> = tickets.into_iter().map(|ticket| rig.joined(ticket)).collect();
    assert!(
        answers
            .iter()
            .all(|a| a.error == ErrorCode::None && a.generation_id == answers[0].generation_id)
    );
    let leaders: Vec<_> = answers.iter().filter(|a| a.leader == a.member_id).collect();
    assert_eq!(leaders.len(), 1);
    assert_eq!(leaders[0].members.len(), 500);
    assert!(
        answers
            .iter()
            .filter(|a| a.leader != a.member_id)
            .all(|a| a.members.is_empty())
    );
}

#[test]
fn item_64_a_new_group_waits_for_more_members_as_long_as_they_come() {
    let mut rig = Rig::with(GroupConfig {
        initial_rebalance_delay_ms: 3_000,
        ..GroupConfig::default()
    });
    let first = rig.join(Join::v3());
    rig.advance_ms(2_900);
    let second = rig.join(Join::v3());
    rig.advance_ms(2_000);
    assert_eq!(rig.answer(first), None, "the delay is extended when members come");
    rig.advance_ms(1_200);
    let (first, second) = (rig.joined(first), rig.joined(second));
    assert_eq!((first.generation_id, second.generation_id), (1, 1));
    assert_eq!(
        first.members.len() + second.members.len(),
        2,
        "the leader alone sees the members"
    );
}

#[test]
fn item_64_the_initial_delay_ends_with_the_rebalance_timeout() {
    let mut rig = Rig::with(GroupConfig {
        initial_rebalance_delay_ms: 3_000,
        ..GroupConfig::default()
    });
    let mut join = Join::v3();
    join.rebalance_ms = 5_000;
    let first = rig.join(join.clone());
    for _ in 0..3 {
        rig.advance_ms(1_500);
        rig.join(join.clone());
    }
    rig.advance_ms(500);
    assert_eq!(rig.joined(first).generation_id, 1);
}

#[test]
fn item_64_members_without_a_common_protocol_or_of_another_type_are_refused() {
    let mut rig = Rig::new();
    assert_eq!(
        rig.join_now(Join::v3().protocols(&[])).error,
        ErrorCode::InconsistentGroupProtocol
    );
    assert_eq!(
        rig.join_now(Join::v3().kind("")).error,
        ErrorCode::InconsistentGroupProtocol
    );
    assert_eq!(rig.describe(5).members.len(), 0);
    rig.join_now(Join::v3().protocols(&["range", "sticky"]));
    assert_eq!(
        rig.join_now(Join::v3().protocols(&["roundrobin"])).error,
        ErrorCode::InconsistentGroupProtocol
    );
    assert_eq!(
        rig.join_now(Join::v3().kind("connect")).error,
        ErrorCode::InconsistentGroupProtocol
    );
}

#[test]
fn the_protocol_that_all_have_and_most_prefer_is_chosen() {
    let mut rig = Rig::new();
    let tickets = [
        rig.join(Join::v3().protocols(&["c", "a", "b"])),
        rig.join(Join::v3().protocols(&["b", "a"])),
        rig.join(Join::v3().protocols(&["b", "a", "d"])),
    ];
    rig.advance_ms(1);
    for ticket in tickets {
        assert_eq!(rig.joined(ticket).protocol_name.as_deref(), Some("b"));
    }
}

#[test]
fn item_64_later_rebalances_wait_for_all_members_up_to_the_rebalance_timeout() {
    let mut rig = Rig::new();
    let old = rig.stable();
    let new = rig.join(Join::v3());
    assert_eq!(rig.state(), "PreparingRebalance");
    for _ in 0..11 {
        rig.advance_ms(5_000);
        assert_eq!(rig.heartbeat(&old, 1), ErrorCode::RebalanceInProgress);
        assert_eq!(rig.answer(new), None);
    }
    rig.advance_ms(5_000);
    let joined = rig.joined(new);
    assert_eq!((joined.generation_id, joined.members.len()), (2, 1));
    assert_eq!(
        rig.heartbeat(&old, 2),
        ErrorCode::UnknownMemberId,
        "who did not come in time is out"
    );
}

#[test]
fn item_64_a_rebalance_ends_at_once_when_all_have_come() {
    let mut rig = Rig::new();
    let old = rig.stable();
    let new = rig.join(Join::v3());
    let again = rig.join(Join::v3().with_id(&old));
    let (new, again) = (rig.joined(new), rig.joined(again));
    assert_eq!((new.generation_id, again.generation_id), (2, 2));
    assert_eq!(again.leader, old, "the leader stays");
    assert_eq!(again.members.len(), 2);
}

#[test]
fn item_69_session_timeouts_have_bounds() {
    let mut rig = Rig::new();
    let mut join = Join::v3();
    join.session_ms = 5_999;
    assert_eq!(rig.join_now(join.clone()).error, ErrorCode::InvalidSessionTimeout);
    join.session_ms = 1_800_001;
    assert_eq!(rig.join_now(join).error, ErrorCode::InvalidSessionTimeout);
}

#[test]
fn item_69_a_full_group_takes_nobody() {
    let mut rig = Rig::with(GroupConfig {
        initial_rebalance_delay_ms: 0,
        members_max: 2,
        ..GroupConfig::default()
    });
    let tickets = [rig.join(Join::v3()), rig.join(Join::v3())];
    rig.advance_ms(1);
    let ids: Vec<String> = tickets.into_iter().map(|ticket| rig.joined(ticket).member_id).collect();
    let third = rig.join_now(Join::v3());
    assert_eq!(
        (third.error, third.member_id.as_str()),
        (ErrorCode::GroupMaxSizeReached, "")
    );
    assert_eq!(
        rig.join_now(Join::v3().with_id(&ids[0])).error,
        ErrorCode::None,
        "members stay welcome"
    );
}

#[test]
fn a_member_that_nobody_knows_is_told_so_and_an_empty_group_id_is_refused() {
    let mut rig = Rig::new();
    assert_eq!(
        rig.join_now(Join::v3().with_id("stranger")).error,
        ErrorCode::UnknownMemberId
    );
    assert_eq!(rig.groups.sizes().0, 0, "no group is made for it");
    let (caller, mut request) = Join::v3().request();
    request.group_id = String::new();
    let ticket = rig.ask(GroupRequest::Join(caller, request));
    assert_eq!(rig.joined(ticket).error, ErrorCode::InvalidGroupId);
}

#[test]
fn a_join_that_is_repeated_in_the_same_generation_is_answered_at_once() {
    let mut rig = Rig::new();
    let id = rig.join_now(Join::v3()).member_id;
    let again = rig.join_now(Join::v3().with_id(&id));
    assert_eq!(
        (again.error, again.generation_id, again.members.len()),
        (ErrorCode::None, 1, 1)
    );
}

#[test]
fn a_join_that_replaces_a_waiting_one_lets_it_go_so_that_it_blocks_no_connection() {
    let mut rig = Rig::new();
    rig.stable();
    let first = rig.join(Join::v3());
    assert_eq!(rig.answer(first), None);
    let members = rig.describe(5).members;
    let new = members.iter().find(|member| member.assignment.is_empty()).unwrap();
    let second = rig.join(Join::v3().with_id(&new.member_id));
    assert_eq!(rig.answer(second), None);
    assert_eq!(rig.joined(first).error, ErrorCode::RebalanceInProgress);
}

#[test]
fn a_leader_that_joins_a_stable_group_starts_a_rebalance_and_a_follower_does_not() {
    let mut rig = Rig::new();
    let tickets = [rig.join(Join::v3()), rig.join(Join::v3())];
    rig.advance_ms(1);
    let answers: Vec<_> = tickets.into_iter().map(|ticket| rig.joined(ticket)).collect();
    let leader = answers[0].leader.clone();
    let follower = answers
        .iter()
        .map(|a| a.member_id.clone())
        .find(|id| *id != leader)
        .unwrap();
    let waiting = rig.sync(&follower, 1, &[]);
    assert_eq!(rig.answer(waiting), None, "followers wait for the leader");
    rig.sync(&leader, 1, &[(&leader, "l")]);
    assert_eq!(rig.synced(waiting).assignment, "", "left out: nothing, not null");
    assert_eq!(rig.state(), "Stable");

    let same = rig.join_now(Join::v3().with_id(&follower));
    assert_eq!(
        (same.error, same.generation_id, rig.state().as_str()),
        (ErrorCode::None, 1, "Stable")
    );
    let _ = rig.join(Join::v3().with_id(&leader));
    assert_eq!(rig.state(), "PreparingRebalance");
}
