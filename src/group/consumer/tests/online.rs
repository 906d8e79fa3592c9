//! A live group changes its kind, with members of both kinds meanwhile.

use super::*;
use crate::group::tests::Join;
use crate::wire::group::consumer_protocol::{ConsumerAssignment, ConsumerPartitions, ConsumerSubscription};
use crate::wire::group::join_group::{JoinGroupProtocol, JoinGroupRequest, JoinGroupResponse};
use crate::wire::group::sync_group::{SyncGroupAssignment, SyncGroupRequest};
use bytes::Bytes;
use std::collections::BTreeSet;

/// A classic consumer of topic `t`, as its client keeps it.
struct Classic {
    id: String,
    generation: i32,
    owned: BTreeSet<i32>,
}

fn partitions(owned: &BTreeSet<i32>) -> Vec<ConsumerPartitions> {
    let topic = ConsumerPartitions {
        topic: "t".into(),
        partitions: owned.iter().copied().collect(),
    };
    if owned.is_empty() { Vec::new() } else { vec![topic] }
}

impl Classic {
    fn join(&mut self, rig: &mut Rig) -> JoinGroupResponse {
        let subscription = ConsumerSubscription {
            topics: vec!["t".into()],
            owned_partitions: partitions(&self.owned),
            ..ConsumerSubscription::default()
        };
        let caller = Caller {
            client_id: "classic".into(),
            client_host: "/127.0.0.1".into(),
            version: 3,
        };
        let request = JoinGroupRequest {
            group_id: "g".into(),
            member_id: self.id.clone(),
            session_timeout_ms: 10_000,
            rebalance_timeout_ms: REBALANCE_MS,
            protocol_type: "consumer".into(),
            protocols: vec![JoinGroupProtocol {
                name: "cooperative-sticky".into(),
                metadata: subscription.encode(3),
            }],
            ..JoinGroupRequest::default()
        };
        let ticket = rig.ask(GroupRequest::Join(caller, request));
        rig.advance_ms(0);
        let answer = rig.joined(ticket);
        assert_eq!(answer.error, ErrorCode::None);
        (self.id, self.generation) = (answer.member_id.clone(), answer.generation_id);
        answer
    }

    /// As a follower, or as the leader of a group of one that gives itself all that is in `all`.
    fn sync(&mut self, rig: &mut Rig, all: &[i32]) -> ErrorCode {
        let given = ConsumerAssignment {
            assigned_partitions: partitions(&all.iter().copied().collect()),
            ..ConsumerAssignment::default()
        };
        let own = SyncGroupAssignment {
            member_id: self.id.clone(),
            assignment: given.encode(3),
        };
        let request = SyncGroupRequest {
            group_id: "g".into(),
            generation_id: self.generation,
            member_id: self.id.clone(),
            assignments: if all.is_empty() { Vec::new() } else { vec![own] },
            ..SyncGroupRequest::default()
        };
        let ticket = rig.ask(GroupRequest::Sync(request));
        let answer = rig.synced(ticket);
        if answer.error == ErrorCode::None {
            self.owned = read(&answer.assignment);
        }
        answer.error
    }
}

fn read(assignment: &Bytes) -> BTreeSet<i32> {
    let assignment = ConsumerAssignment::decode(assignment, Default::default()).unwrap();
    assignment
        .assigned_partitions
        .into_iter()
        .flat_map(|topic| topic.partitions)
        .collect()
}

/// A stable classic group of one member that reads partitions 0 to 3.
fn classic_group(rig: &mut Rig) -> Classic {
    let mut member = Classic {
        id: String::new(),
        generation: -1,
        owned: BTreeSet::new(),
    };
    let joined = member.join(rig);
    assert_eq!(joined.leader, member.id);
    assert_eq!(member.sync(rig, &[0, 1, 2, 3]), ErrorCode::None);
    assert_eq!(member.owned.len(), 4);
    member
}

#[test]
fn a_live_classic_group_goes_on_with_the_new_protocol_and_back_91() {
    let mut rig = rig(&[("t", 1, 4)]);
    let mut old = classic_group(&mut rig);
    let generation = old.generation;
    assert_eq!(
        Beat::join("new", &["t"]).ok(&mut rig),
        (generation + 1, Some(vec![])),
        "all is still held"
    );
    let group = describe(&mut rig);
    let kinds: BTreeSet<i8> = group.members.iter().map(|member| member.member_type).collect();
    assert_eq!(kinds, BTreeSet::from([0, 1]), "both kinds");

    assert_eq!(rig.heartbeat(&old.id, generation), ErrorCode::RebalanceInProgress);
    old.join(&mut rig);
    assert_eq!(old.generation, generation, "it has to give up first");
    assert_eq!(old.sync(&mut rig, &[]), ErrorCode::None);
    assert_eq!(old.owned, BTreeSet::from([0, 1]));
    assert_eq!(
        rig.heartbeat(&old.id, generation),
        ErrorCode::RebalanceInProgress,
        "and to say that it has"
    );
    old.join(&mut rig);
    assert_eq!(old.sync(&mut rig, &[]), ErrorCode::None);
    assert_eq!(old.owned, BTreeSet::from([0, 1]));
    assert_eq!(rig.heartbeat(&old.id, old.generation), ErrorCode::None);
    let expected = (generation + 1, Some(vec![(1, vec![2, 3])]));
    assert_eq!(Beat::at("new", generation + 1).ok(&mut rig), expected);

    let before = describe(&mut rig);
    restart(&mut rig);
    assert_eq!(describe(&mut rig), before, "the log has both kinds");
    assert_eq!(rig.heartbeat(&old.id, old.generation), ErrorCode::None);
    assert_eq!(
        rig.heartbeat("new", generation + 1),
        ErrorCode::UnknownMemberId,
        "it is no classic member"
    );

    Beat::at("new", -1).answered(&mut rig);
    assert_eq!(
        describe(&mut rig).error,
        ErrorCode::GroupIdNotFound,
        "a classic group again"
    );
    assert_eq!(
        rig.heartbeat(&old.id, old.generation),
        ErrorCode::RebalanceInProgress,
        "nothing is lost"
    );
    restart(&mut rig);
    let joined = old.join(&mut rig);
    assert_eq!(joined.leader, old.id);
    assert_eq!(old.sync(&mut rig, &[0, 1, 2, 3]), ErrorCode::None);
    assert_eq!(old.owned.len(), 4);
}

#[test]
fn a_classic_member_joins_a_group_of_the_new_protocol_91() {
    let mut rig = rig(&[("t", 1, 2)]);
    Beat::join("new", &["t"]).ok(&mut rig);
    let mut old = Classic {
        id: String::new(),
        generation: -1,
        owned: BTreeSet::new(),
    };
    let joined = old.join(&mut rig);
    assert_eq!((joined.leader.as_str(), joined.members.len()), ("", 0), "nobody leads");
    assert_eq!(old.sync(&mut rig, &[]), ErrorCode::None);
    assert!(old.owned.is_empty());
    assert_eq!(
        rig.heartbeat(&old.id, old.generation),
        ErrorCode::None,
        "it waits for the other"
    );
    Beat::at("new", 1).ok(&mut rig);
    Beat::at("new", 1).owning(&[(1, &[0])]).ok(&mut rig);
    assert_eq!(
        rig.heartbeat(&old.id, old.generation),
        ErrorCode::RebalanceInProgress,
        "it is free now"
    );
    old.join(&mut rig);
    assert_eq!(old.sync(&mut rig, &[]), ErrorCode::None);
    assert_eq!(old.owned, BTreeSet::from([1]));
    let left = rig.leave(&[(&old.id, None), ("new", None)]);
    assert_eq!(
        (left[0].error, left[1].error),
        (ErrorCode::None, ErrorCode::UnknownMemberId)
    );
    assert_eq!(Beat::at("new", 2).ok(&mut rig), (3, Some(vec![(1, vec![0, 1])])));
}

#[test]
fn a_group_that_does_not_speak_of_topics_stays_classic_91() {
    let mut rig = rig(&[("t", 1, 2)]);
    let mut join = Join::v3();
    join.protocols = vec![("range", Bytes::from_static(b"?"))];
    assert_eq!(rig.join_now(join).error, ErrorCode::None);
    assert_eq!(Beat::join("new", &["t"]).error(&mut rig), ErrorCode::GroupIdNotFound);
}

#[test]
fn a_classic_member_that_does_not_join_in_time_is_given_up_91() {
    let mut rig = rig(&[("t", 1, 2)]);
    let old = classic_group(&mut rig);
    let (epoch, _) = Beat::join("new", &["t"]).ok(&mut rig);
    for _ in 0..13 {
        rig.heartbeat(&old.id, old.generation);
        Beat::at("new", epoch).answered(&mut rig);
        rig.advance_ms(5_000);
    }
    assert_eq!(describe(&mut rig).members.len(), 1, "heartbeats do not help");
}
