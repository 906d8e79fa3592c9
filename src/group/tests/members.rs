//! Checklist 65 to 68 and 72: sync, heartbeats, leaving, static members, tools.

use super::*;
use crate::wire::group::list_groups::ListGroupsRequest;

/// Two members of generation 1 that have joined and not synced: leader and follower.
fn two_joined(rig: &mut Rig) -> (String, String) {
    let tickets = [rig.join(Join::v3()), rig.join(Join::v3())];
    rig.advance_ms(1);
    let answers: Vec<_> = tickets.into_iter().map(|ticket| rig.joined(ticket)).collect();
    let leader = answers[0].leader.clone();
    let follower = answers.iter().map(|a| a.member_id.clone()).find(|id| *id != leader);
    (leader, follower.expect("a follower"))
}

#[test]
fn item_65_a_member_that_leaves_or_expires_lets_the_others_finish() {
    for expires in [false, true] {
        let mut rig = Rig::new();
        let (leader, follower) = two_joined(&mut rig);
        rig.sync(&leader, 1, &[]);
        rig.sync(&follower, 1, &[]);
        let waiting = rig.join(Join::v3().with_id(&leader));
        assert_eq!(rig.answer(waiting), None);
        match expires {
            true => rig.advance_ms(SESSION_MS as u64),
            false => drop(rig.leave(&[(&follower, None)])),
        }
        assert_eq!(rig.joined(waiting).generation_id, 2, "expires: {expires}");
    }
}

#[test]
fn item_65_an_id_given_out_holds_a_rebalance_up_until_it_expires_or_leaves() {
    let mut rig = Rig::new();
    let old = rig.stable();
    let pending = rig.join_now(Join::version(4)).member_id;
    let waiting = rig.join(Join::v3().with_id(&old));
    assert_eq!(rig.answer(waiting), None);
    assert_eq!(rig.leave(&[(&pending, None)])[0].error, ErrorCode::None);
    assert_eq!(rig.joined(waiting).generation_id, 2);
}

#[test]
fn item_65_members_that_never_sync_are_out_after_the_rebalance_timeout() {
    let mut rig = Rig::new();
    let (leader, follower) = two_joined(&mut rig);
    rig.sync(&leader, 1, &[]);
    assert_eq!(rig.state(), "Stable");
    for _ in 0..11 {
        rig.advance_ms(5_000);
        rig.heartbeat(&leader, 1);
        assert_eq!(rig.heartbeat(&follower, 1), ErrorCode::None);
    }
    rig.advance_ms(5_000);
    assert_eq!(rig.heartbeat(&follower, 1), ErrorCode::UnknownMemberId);
    assert_eq!(rig.heartbeat(&leader, 1), ErrorCode::RebalanceInProgress);
}

#[test]
fn item_65_a_new_member_that_is_never_answered_is_given_up() {
    let mut rig = Rig::new();
    let mut join = Join::v3();
    join.rebalance_ms = 3_600_000;
    rig.join_now(join.clone().instance("s"));
    let joined = rig.describe(5).members[0].member_id.clone();
    rig.sync(&joined, 1, &[]);
    // The static member stays away; its session is long, so the group waits for it.
    join.session_ms = 1_800_000;
    let waiting = rig.join(join);
    for _ in 0..61 {
        rig.advance_ms(5_000);
        rig.heartbeat(&joined, 1);
    }
    assert_eq!(rig.joined(waiting).error, ErrorCode::UnknownMemberId);
}

#[test]
fn item_66_followers_wait_for_the_leader_and_all_get_what_it_brings_once_it_is_durable() {
    let mut rig = Rig::new();
    let (leader, follower) = two_joined(&mut rig);
    rig.hold = true;
    let second = rig.sync(&follower, 1, &[]);
    let first = rig.sync(&leader, 1, &[(&leader, "l"), (&follower, "f"), ("stranger", "s")]);
    assert_eq!((rig.answer(first), rig.answer(second)), (None, None));
    assert_eq!(rig.state(), "CompletingRebalance");
    rig.durable();
    assert_eq!(rig.synced(first).assignment, "l");
    let answer = rig.synced(second);
    assert_eq!((answer.assignment.as_ref(), answer.error), (&b"f"[..], ErrorCode::None));
    assert_eq!(answer.protocol_name.as_deref(), Some("range"));
    assert_eq!(rig.state(), "Stable");
    let late = rig.sync(&follower, 1, &[]);
    assert_eq!(rig.synced(late).assignment, "f", "a stable group repeats itself");
}

#[test]
fn item_66_an_assignment_that_cannot_be_stored_fails_all_and_starts_over() {
    let mut rig = Rig::new();
    let (leader, follower) = two_joined(&mut rig);
    rig.hold = true;
    let second = rig.sync(&follower, 1, &[]);
    let first = rig.sync(&leader, 1, &[(&leader, "l")]);
    rig.refuse(ErrorCode::KafkaStorageError);
    assert_eq!(rig.synced(first).error, ErrorCode::NotCoordinator);
    assert_eq!(rig.synced(second).error, ErrorCode::NotCoordinator);
    assert_eq!(rig.state(), "PreparingRebalance");
}

#[test]
fn item_66_a_sync_names_generation_and_protocol() {
    let mut rig = Rig::new();
    let id = rig.join_now(Join::v3()).member_id;
    let request = |generation, kind: &str, name: &str| {
        GroupRequest::Sync(SyncGroupRequest {
            group_id: "g".into(),
            generation_id: generation,
            member_id: id.clone(),
            protocol_type: Some(kind.into()),
            protocol_name: Some(name.into()),
            ..SyncGroupRequest::default()
        })
    };
    for (request, error) in [
        (request(2, "consumer", "range"), ErrorCode::IllegalGeneration),
        (request(1, "connect", "range"), ErrorCode::InconsistentGroupProtocol),
        (request(1, "consumer", "sticky"), ErrorCode::InconsistentGroupProtocol),
        (request(1, "consumer", "range"), ErrorCode::None),
    ] {
        let ticket = rig.ask(request);
        assert_eq!(rig.synced(ticket).error, error);
    }
    let ticket = rig.sync("stranger", 1, &[]);
    assert_eq!(rig.synced(ticket).error, ErrorCode::UnknownMemberId);
}

#[test]
fn a_rebalance_that_begins_while_members_wait_for_the_leader_sends_them_back() {
    let mut rig = Rig::new();
    let (leader, follower) = two_joined(&mut rig);
    let waiting = rig.sync(&follower, 1, &[]);
    let _third = rig.join(Join::v3());
    assert_eq!(rig.synced(waiting).error, ErrorCode::RebalanceInProgress);
    let late = rig.sync(&leader, 1, &[]);
    assert_eq!(rig.synced(late).error, ErrorCode::RebalanceInProgress);
}

#[test]
fn item_67_heartbeats_keep_members_alive_also_while_the_group_prepares() {
    let mut rig = Rig::new();
    let id = rig.stable();
    assert_eq!(rig.heartbeat(&id, 1), ErrorCode::None);
    assert_eq!(rig.heartbeat(&id, 0), ErrorCode::IllegalGeneration);
    assert_eq!(rig.heartbeat("stranger", 1), ErrorCode::UnknownMemberId);
    let _ = rig.join(Join::v3());
    for _ in 0..5 {
        rig.advance_ms(SESSION_MS as u64 - 1);
        assert_eq!(rig.heartbeat(&id, 1), ErrorCode::RebalanceInProgress);
    }
    rig.advance_ms(SESSION_MS as u64);
    assert_eq!(rig.heartbeat(&id, 1), ErrorCode::UnknownMemberId);
}

#[test]
fn a_group_whose_last_member_expires_is_empty_with_the_next_generation() {
    let mut rig = Rig::new();
    let id = rig.stable();
    rig.advance_ms(SESSION_MS as u64);
    let group = rig.describe(5);
    assert_eq!((group.state.as_str(), group.members.len()), ("Empty", 0));
    assert_eq!(group.protocol_type, "consumer");
    assert_eq!(rig.heartbeat(&id, 1), ErrorCode::UnknownMemberId);
    assert_eq!(rig.join_now(Join::v3()).generation_id, 3);
}

/// A stable group of the static members "a" (which leads) and "b".
fn two_static(rig: &mut Rig) -> (String, String) {
    let tickets = [
        rig.join(Join::version(9).instance("a")),
        rig.join(Join::version(9).instance("b")),
    ];
    rig.advance_ms(1);
    let [a, b] = tickets.map(|ticket| rig.joined(ticket));
    let (a, b, leader) = (a.member_id, b.member_id, a.leader);
    rig.sync(&a, 1, &[(&a, "for a"), (&b, "for b")]);
    rig.sync(&b, 1, &[(&a, "for a"), (&b, "for b")]);
    assert_eq!(rig.state(), "Stable");
    if leader == a { (a, b) } else { (b, a) }
}

#[test]
fn item_68_a_static_member_that_comes_back_keeps_its_assignment_and_fences_the_old_one() {
    let mut rig = Rig::new();
    let (leader, _) = two_static(&mut rig);
    let instance = if rig
        .describe(5)
        .members
        .iter()
        .any(|m| m.member_id == leader && m.group_instance_id.as_deref() == Some("a"))
    {
        "a"
    } else {
        "b"
    };
    let back = rig.join_now(Join::version(9).instance(instance));
    assert_eq!(
        (back.error, back.generation_id, back.skip_assignment),
        (ErrorCode::None, 1, true)
    );
    assert_ne!(back.member_id, leader);
    assert_eq!(back.leader, back.member_id, "the leader leads under its new id");
    assert_eq!(rig.state(), "Stable", "without a rebalance");
    let ticket = rig.sync(&back.member_id, 1, &[]);
    assert_eq!(rig.synced(ticket).assignment, format!("for {instance}"));

    let request = HeartbeatRequest {
        group_id: "g".into(),
        generation_id: 1,
        member_id: leader,
        group_instance_id: Some(instance.into()),
    };
    let ticket = rig.ask(GroupRequest::Heartbeat(request));
    assert_eq!(
        rig.answer(ticket),
        Some(GroupAnswer::Heartbeat(ErrorCode::FencedInstanceId))
    );
}

#[test]
fn item_68_a_client_that_cannot_skip_the_assignment_is_told_of_the_old_leader() {
    let mut rig = Rig::new();
    let (leader, _) = two_static(&mut rig);
    let members = rig.describe(5).members;
    let old = members.iter().find(|m| m.member_id == leader).unwrap();
    let instance = if old.group_instance_id.as_deref() == Some("a") {
        "a"
    } else {
        "b"
    };
    let back = rig.join_now(Join::version(8).instance(instance));
    assert_eq!(
        (back.leader.as_str(), back.members.len(), back.skip_assignment),
        (leader.as_str(), 0, false)
    );
}

#[test]
fn item_68_a_static_member_that_comes_back_with_other_protocols_starts_a_rebalance() {
    let mut rig = Rig::new();
    two_static(&mut rig);
    let ticket = rig.join(Join::version(9).instance("a").protocols(&["range", "sticky"]));
    assert_eq!(
        rig.joined(ticket).error,
        ErrorCode::None,
        "the chosen protocol stays: no rebalance"
    );
    let ticket = rig.join(Join::version(9).instance("a").kind("connect"));
    assert_eq!(rig.joined(ticket).error, ErrorCode::InconsistentGroupProtocol);

    let mut rig = Rig::new();
    let joined = rig.join_now(Join::version(9).instance("a").protocols(&["range", "sticky"]));
    rig.sync(&joined.member_id, 1, &[]);
    let back = rig.join_now(Join::version(9).instance("a").protocols(&["sticky", "range"]));
    assert_eq!((back.generation_id, back.protocol_name.as_deref()), (2, Some("sticky")));
}

#[test]
fn item_68_a_static_member_that_comes_back_before_the_assignment_starts_a_rebalance() {
    let mut rig = Rig::new();
    let first = rig.join_now(Join::version(9).instance("a"));
    assert_eq!(rig.state(), "CompletingRebalance");
    let back = rig.join_now(Join::version(9).instance("a"));
    assert_eq!((back.error, back.generation_id), (ErrorCode::None, 2));
    let ticket = rig.sync(&first.member_id, 2, &[]);
    assert_eq!(rig.synced(ticket).error, ErrorCode::UnknownMemberId);
}

#[test]
fn item_68_what_the_old_process_waits_for_is_fenced_and_client_facts_are_refreshed() {
    let mut rig = Rig::new();
    two_static(&mut rig);
    let id = rig
        .describe(5)
        .members
        .into_iter()
        .find(|m| m.group_instance_id.as_deref() == Some("b"))
        .unwrap()
        .member_id;
    let _ = rig.join(Join::version(9)); // somebody new: the group prepares
    let new = rig.join(Join::version(9).instance("c"));
    let waiting = rig.join(Join::version(9).instance("b").with_id(&id));
    let mut join = Join::version(9).instance("b");
    join.session_ms = 20_000;
    let back = rig.join(join);
    let fenced = rig.joined(waiting);
    assert_eq!(
        (fenced.error, fenced.member_id.as_str()),
        (ErrorCode::FencedInstanceId, id.as_str())
    );
    assert_eq!((rig.answer(back), rig.answer(new)), (None, None));
}

#[test]
fn item_68_a_rename_that_cannot_be_stored_is_taken_back() {
    let mut rig = Rig::new();
    let (leader, _) = two_static(&mut rig);
    let members = rig.describe(5).members;
    let old = members.iter().find(|m| m.member_id == leader).unwrap();
    let instance = if old.group_instance_id.as_deref() == Some("a") {
        "a"
    } else {
        "b"
    };
    rig.hold = true;
    let ticket = rig.join(Join::version(9).instance(instance));
    rig.refuse(ErrorCode::KafkaStorageError);
    assert_eq!(rig.joined(ticket).error, ErrorCode::NotCoordinator);
    assert_eq!(rig.heartbeat(&leader, 1), ErrorCode::None);
    assert_eq!(rig.state(), "Stable");
}

#[test]
fn item_90_static_members_are_removed_by_their_instance_id() {
    let mut rig = Rig::new();
    let (leader, follower) = two_static(&mut rig);
    let left = rig.leave(&[("", Some("a")), ("", Some("c")), ("stranger", None)]);
    let errors: Vec<_> = left.iter().map(|member| member.error).collect();
    assert_eq!(
        errors,
        [ErrorCode::None, ErrorCode::UnknownMemberId, ErrorCode::UnknownMemberId]
    );
    assert_eq!(left[0].group_instance_id.as_deref(), Some("a"));
    assert_eq!(rig.state(), "PreparingRebalance");
    let _ = (leader, follower);
    let request = LeaveGroupRequest {
        group_id: "other".into(),
        members: vec![LeavingMember::default()],
    };
    let ticket = rig.ask(GroupRequest::Leave(request));
    let Some(GroupAnswer::Leave(response)) = rig.answer(ticket) else {
        panic!()
    };
    assert_eq!(
        (response.error, response.members[0].error),
        (ErrorCode::None, ErrorCode::UnknownMemberId)
    );
}

#[test]
fn static_members_alone_keep_a_group_waiting_until_their_sessions_end() {
    let mut rig = Rig::new();
    let joined = rig.join_now(Join::version(9).instance("a"));
    rig.sync(&joined.member_id, 1, &[]);
    let dynamic = rig.join(Join::v3());
    assert_eq!(rig.answer(dynamic), None);
    rig.advance_ms(SESSION_MS as u64);
    assert_eq!(rig.joined(dynamic).generation_id, 2);
}

#[test]
fn item_72_an_unknown_group_is_dead_and_from_v6_not_found() {
    let mut rig = Rig::new();
    let group = rig.describe(5);
    assert_eq!((group.error, group.state.as_str()), (ErrorCode::None, "Dead"));
    let group = rig.describe(6);
    assert_eq!(
        (group.error, group.state.as_str()),
        (ErrorCode::GroupIdNotFound, "Dead")
    );
    assert_eq!(group.error_message.as_deref(), Some("Group g not found."));
}

#[test]
fn a_stable_group_is_described_with_what_its_members_said_and_got() {
    let mut rig = Rig::new();
    let id = rig.stable();
    let group = rig.describe(6);
    assert_eq!(
        (
            group.state.as_str(),
            group.protocol_type.as_str(),
            group.protocol_data.as_str()
        ),
        ("Stable", "consumer", "range")
    );
    let member = &group.members[0];
    assert_eq!(
        (
            member.member_id.as_str(),
            member.client_id.as_str(),
            member.client_host.as_str()
        ),
        (id.as_str(), "client", "/127.0.0.1")
    );
    assert_eq!(
        (member.metadata.clone(), member.assignment.as_ref()),
        (subscription("t"), &b"mine"[..])
    );
    let _ = rig.join(Join::v3());
    let group = rig.describe(6);
    assert_eq!(
        (group.state.as_str(), group.protocol_data.as_str()),
        ("PreparingRebalance", "")
    );
    assert!(group.members.iter().all(|member| member.metadata.is_empty()));
}

#[test]
fn groups_are_listed_by_state_and_type_in_any_case() {
    let mut rig = Rig::new();
    rig.stable();
    let (_, mut request) = Join::v3().request();
    request.group_id = "other".into();
    rig.commit("", -1, 1);
    let list = |rig: &Rig, states: &[&str], types: &[&str]| {
        let request = ListGroupsRequest {
            states: states.iter().map(|s| s.to_string()).collect(),
            types: types.iter().map(|s| s.to_string()).collect(),
        };
        rig.groups
            .list(&request)
            .into_iter()
            .map(|g| (g.group_id, g.state, g.group_type))
            .collect::<Vec<_>>()
    };
    let all = vec![("g".to_string(), "Stable".to_string(), "classic".to_string())];
    assert_eq!(list(&rig, &[], &[]), all);
    assert_eq!(list(&rig, &["stable"], &["Classic"]), all);
    assert_eq!(list(&rig, &["Empty"], &[]), []);
    assert_eq!(list(&rig, &[], &["consumer"]), []);
}
