//! Consumer groups of the new protocol (KIP-848): ConsumerGroupHeartbeat, ConsumerGroupDescribe, and what other requests say of
//! such groups.

use crate::rig::{Rig, Topic};
use ringlog::base::ids::TopicId;
use ringlog::wire::control::api_versions::{ApiVersions, ApiVersionsRequest};
use ringlog::wire::error::ErrorCode;
use ringlog::wire::group::consumer_group_describe::{
    ConsumerGroupDescribe, ConsumerGroupDescribeRequest, DescribedConsumerGroup,
};
use ringlog::wire::group::consumer_group_heartbeat::{
    ConsumerGroupHeartbeat, ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse, TopicPartitions,
};
use ringlog::wire::group::delete_groups::{DeleteGroups, DeleteGroupsRequest};
use ringlog::wire::group::describe_groups::{DescribeGroups, DescribeGroupsRequest};
use ringlog::wire::group::find_coordinator::{FindCoordinator, FindCoordinatorRequest};
use ringlog::wire::group::list_groups::{ListGroups, ListGroupsRequest};
use ringlog::wire::group::offset_commit::{
    OffsetCommit, OffsetCommitPartition, OffsetCommitRequest, OffsetCommitTopic,
};
use ringlog::wire::group::offset_fetch::{OffsetFetch, OffsetFetchGroup, OffsetFetchRequest, OffsetFetchTopic};
use std::collections::BTreeSet;

/// Partitions in use.
type Owned = BTreeSet<(TopicId, i32)>;

/// A member as its client keeps it.
struct Member {
    group: String,
    id: String,
    instance: Option<String>,
    epoch: i32,
    owned: Owned,
    names: Option<Vec<String>>,
    regex: Option<String>,
}

impl Member {
    fn new(group: &str, id: &str, topics: &[&Topic]) -> Member {
        Member {
            group: group.into(),
            id: format!("{id}-{group}"),
            instance: None,
            epoch: 0,
            owned: Owned::new(),
            names: Some(topics.iter().map(|topic| topic.name.clone()).collect()),
            regex: None,
        }
    }

    fn request(&self) -> ConsumerGroupHeartbeatRequest {
        let joins = self.epoch == 0;
        let owned = self.owned.iter().map(|(topic_id, partition)| TopicPartitions {
            topic_id: *topic_id,
            partitions: vec![*partition],
        });
        ConsumerGroupHeartbeatRequest {
            group_id: self.group.clone(),
            member_id: self.id.clone(),
            member_epoch: self.epoch,
            instance_id: self.instance.clone(),
            rebalance_timeout_ms: if joins { 60_000 } else { -1 },
            subscribed_topic_names: self.names.clone().filter(|_| joins),
            subscribed_topic_regex: self.regex.clone().filter(|_| joins),
            topic_partitions: Some(owned.collect()),
            ..ConsumerGroupHeartbeatRequest::default()
        }
    }

    /// One heartbeat; the member does as it is told.
    #[track_caller]
    fn beat(&mut self, rig: &mut Rig) {
        let answer = ask(rig, &self.request());
        assert_eq!(answer.error, ErrorCode::None, "{:?}", answer.error_message);
        self.epoch = answer.member_epoch;
        if let Some(assignment) = answer.assignment {
            let topics = assignment.topic_partitions.into_iter();
            self.owned = topics
                .flat_map(|topic| topic.partitions.into_iter().map(move |p| (topic.topic_id, p)))
                .collect();
        }
    }

    #[track_caller]
    fn leave(&mut self, rig: &mut Rig, epoch: i32) {
        let request = ConsumerGroupHeartbeatRequest {
            group_id: self.group.clone(),
            member_id: self.id.clone(),
            member_epoch: epoch,
            instance_id: self.instance.clone(),
            ..ConsumerGroupHeartbeatRequest::default()
        };
        let answer = ask(rig, &request);
        assert_eq!((answer.error, answer.member_epoch), (ErrorCode::None, epoch));
        (self.epoch, self.owned) = (0, Owned::new());
    }
}

#[track_caller]
fn ask(rig: &mut Rig, request: &ConsumerGroupHeartbeatRequest) -> ConsumerGroupHeartbeatResponse {
    loop {
        let answer = rig.ask::<ConsumerGroupHeartbeat>(1, request);
        match answer.error {
            ErrorCode::CoordinatorLoadInProgress | ErrorCode::CoordinatorNotAvailable | ErrorCode::NotCoordinator => {
                rig.pass_ms(50);
            }
            _ => return answer,
        }
    }
}

/// Heartbeats of all until it holds.
#[track_caller]
fn beat_until(rig: &mut Rig, members: &mut [&mut Member], mut holds: impl FnMut(&[&mut Member]) -> bool) {
    for _ in 0..200 {
        for member in members.iter_mut() {
            member.beat(rig);
        }
        let all: Vec<_> = members.iter().flat_map(|member| &member.owned).collect();
        assert_eq!(
            all.iter().collect::<BTreeSet<_>>().len(),
            all.len(),
            "a partition is used by two"
        );
        if holds(members) {
            return;
        }
        rig.pass_ms(100);
    }
    panic!("it never comes to that");
}

/// A new group whose coordinator is there.
#[track_caller]
fn group(rig: &mut Rig) -> String {
    let name = rig.name("group");
    let request = FindCoordinatorRequest {
        keys: vec![name.clone()],
        ..FindCoordinatorRequest::default()
    };
    while rig.ask::<FindCoordinator>(4, &request).coordinators[0].error != ErrorCode::None {
        rig.pass_ms(50);
    }
    name
}

#[track_caller]
fn describe(rig: &mut Rig, group: &str) -> DescribedConsumerGroup {
    let request = ConsumerGroupDescribeRequest {
        group_ids: vec![group.into()],
        include_authorized_operations: false,
    };
    rig.ask::<ConsumerGroupDescribe>(1, &request).groups.remove(0)
}

#[track_caller]
fn commit(rig: &mut Rig, version: i16, (group, member, epoch): (&str, &str, i32), topic: &Topic) -> ErrorCode {
    let request = OffsetCommitRequest {
        group_id: group.into(),
        generation_or_member_epoch: epoch,
        member_id: member.into(),
        topics: vec![OffsetCommitTopic {
            name: topic.name.clone(),
            topic_id: topic.id,
            partitions: vec![OffsetCommitPartition {
                offset: 7,
                ..OffsetCommitPartition::default()
            }],
        }],
        ..OffsetCommitRequest::default()
    };
    rig.ask::<OffsetCommit>(version, &request).topics[0].partitions[0].error
}

/// Error of the group, and the offset of partition 0.
#[track_caller]
fn committed(rig: &mut Rig, group: &str, member: Option<&str>, epoch: i32, topic: &Topic) -> (ErrorCode, i64) {
    let group = OffsetFetchGroup {
        group_id: group.into(),
        member_id: member.map(str::to_string),
        member_epoch: epoch,
        topics: Some(vec![OffsetFetchTopic {
            name: topic.name.clone(),
            topic_id: topic.id,
            partitions: vec![0],
        }]),
    };
    let request = OffsetFetchRequest {
        groups: vec![group],
        require_stable: false,
    };
    let result = rig.ask::<OffsetFetch>(9, &request).groups.remove(0);
    let offset = result.topics.first().map_or(-1, |topic| topic.partitions[0].offset);
    (result.error, offset)
}

#[test]
fn the_feature_is_finalized_and_both_requests_are_served_74_84() {
    let mut rig = Rig::new();
    let request = ApiVersionsRequest {
        client_software_name: "test".into(),
        client_software_version: "1".into(),
    };
    for version in [3, 4] {
        let answer = rig.ask::<ApiVersions>(version, &request);
        let finalized = answer
            .finalized_features
            .iter()
            .find(|f| f.name == "group.version")
            .unwrap();
        assert!(finalized.max_version_level == 1 && answer.finalized_features_epoch >= 0);
        let supported = answer.supported_features.iter().find(|f| f.name == "group.version");
        assert_eq!(supported.is_some(), version == 4, "its lowest level is 0 (KAFKA-17011)");
        for key in [68, 69] {
            let range = answer.api_keys.iter().find(|range| range.api_key == key).unwrap();
            assert_eq!((range.min_version, range.max_version), (0, 1));
        }
    }
}

#[test]
fn members_share_move_and_take_over_74() {
    let mut rig = Rig::new();
    let topic = rig.topic(4, &[]);
    let group = group(&mut rig);
    let (mut a, mut b) = (Member::new(&group, "a", &[&topic]), Member::new(&group, "b", &[&topic]));
    beat_until(&mut rig, &mut [&mut a], |m| m[0].owned.len() == 4);
    beat_until(&mut rig, &mut [&mut a, &mut b], |m| {
        m.iter().all(|m| m.owned.len() == 2)
    });
    beat_until(&mut rig, &mut [&mut a, &mut b], |m| m[0].epoch == m[1].epoch);
    let described = describe(&mut rig, &group);
    assert_eq!(
        (described.state.as_str(), described.assignor_name.as_str()),
        ("Stable", "uniform")
    );
    assert!(described.epoch == described.assignment_epoch && described.epoch == a.epoch);
    let member = described.members.iter().find(|m| m.member_id == a.id).unwrap();
    assert_eq!(member.subscribed_topic_names, std::slice::from_ref(&topic.name));
    assert_eq!(member.assignment.topic_partitions[0].topic_name, topic.name);
    assert_eq!(
        (member.assignment.clone(), member.member_type),
        (member.target_assignment.clone(), 1)
    );
    assert_eq!((member.client_id.as_str(), member.epoch), ("behaviour", a.epoch));
    b.leave(&mut rig, -1);
    beat_until(&mut rig, &mut [&mut a], |m| m[0].owned.len() == 4);
}

#[test]
fn epochs_and_members_that_are_not_known_are_told_74_91() {
    let mut rig = Rig::new();
    let topic = rig.topic(1, &[]);
    let group = group(&mut rig);
    let mut a = Member::new(&group, "a", &[&topic]);
    let mut request = a.request();
    request.member_epoch = 3;
    assert_eq!(
        ask(&mut rig, &request).error,
        ErrorCode::GroupIdNotFound,
        "there is no group yet"
    );
    request = a.request();
    request.server_assignor = Some("none".into());
    assert_eq!(ask(&mut rig, &request).error, ErrorCode::UnsupportedAssignor);
    request = a.request();
    request.subscribed_topic_regex = Some("(".into());
    assert_eq!(ask(&mut rig, &request).error, ErrorCode::InvalidRegularExpression);
    request.topic_partitions = None;
    request.subscribed_topic_regex = None;
    assert_eq!(ask(&mut rig, &request).error, ErrorCode::InvalidRequest);
    beat_until(&mut rig, &mut [&mut a], |m| m[0].owned.len() == 1);
    request = a.request();
    request.member_epoch += 1;
    assert_eq!(ask(&mut rig, &request).error, ErrorCode::FencedMemberEpoch);
    request.member_id = "nobody".into();
    assert_eq!(ask(&mut rig, &request).error, ErrorCode::UnknownMemberId);
}

#[test]
fn offsets_are_committed_with_the_members_epoch_74() {
    let mut rig = Rig::new();
    let topic = rig.topic(1, &[]);
    let group = group(&mut rig);
    let mut a = Member::new(&group, "a", &[&topic]);
    beat_until(&mut rig, &mut [&mut a], |m| m[0].owned.len() == 1);
    for version in [9, 10] {
        assert_eq!(
            commit(&mut rig, version, (&group, &a.id, a.epoch), &topic),
            ErrorCode::None
        );
    }
    let stale = (group.as_str(), a.id.as_str(), a.epoch + 1);
    assert_eq!(commit(&mut rig, 9, stale, &topic), ErrorCode::StaleMemberEpoch);
    assert_eq!(
        commit(&mut rig, 9, (&group, "nobody", 1), &topic),
        ErrorCode::UnknownMemberId
    );
    assert_eq!(
        commit(&mut rig, 8, (&group, &a.id, a.epoch), &topic),
        ErrorCode::UnsupportedVersion
    );
    assert_eq!(
        committed(&mut rig, &group, Some(&a.id), a.epoch, &topic),
        (ErrorCode::None, 7)
    );
    assert_eq!(committed(&mut rig, &group, None, -1, &topic), (ErrorCode::None, 7));
    let (error, _) = committed(&mut rig, &group, Some(&a.id), a.epoch + 1, &topic);
    assert_eq!(error, ErrorCode::StaleMemberEpoch);
}

#[test]
fn an_expression_matches_whole_names_and_new_topics_91() {
    let mut rig = Rig::new();
    let stem = rig.name("orders");
    let one = rig.topic_named(&format!("{stem}-1"), 1, &[]);
    let other = rig.topic_named(&format!("x{stem}-1"), 1, &[]);
    let group = group(&mut rig);
    let mut a = Member::new(&group, "a", &[]);
    (a.names, a.regex) = (None, Some(format!(r"{stem}-\d")));
    beat_until(&mut rig, &mut [&mut a], |m| m[0].owned.contains(&(one.id, 0)));
    let two = rig.topic_named(&format!("{stem}-2"), 1, &[]);
    beat_until(&mut rig, &mut [&mut a], |m| m[0].owned.contains(&(two.id, 0)));
    assert!(!a.owned.contains(&(other.id, 0)));
}

#[test]
fn a_static_member_leaves_for_a_while_and_nobody_takes_its_place_meanwhile_91() {
    let mut rig = Rig::new();
    let topic = rig.topic(2, &[]);
    let group = group(&mut rig);
    let mut first = Member::new(&group, "first", &[&topic]);
    let mut second = Member::new(&group, "second", &[&topic]);
    (first.instance, second.instance) = (Some("one".into()), Some("one".into()));
    beat_until(&mut rig, &mut [&mut first], |m| m[0].owned.len() == 2);
    let epoch = first.epoch;
    assert_eq!(ask(&mut rig, &second.request()).error, ErrorCode::UnreleasedInstanceId);
    first.leave(&mut rig, -2);
    second.beat(&mut rig);
    assert_eq!((second.owned.len(), second.epoch), (2, epoch), "no rebalance");
    first.epoch = epoch;
    assert_eq!(ask(&mut rig, &first.request()).error, ErrorCode::FencedInstanceId);
}

#[test]
fn each_kind_of_group_is_described_by_its_own_request_90() {
    let mut rig = Rig::new();
    let topic = rig.topic(1, &[]);
    let (new, classic) = (group(&mut rig), group(&mut rig));
    let mut a = Member::new(&new, "a", &[&topic]);
    a.beat(&mut rig);
    assert_eq!(commit(&mut rig, 9, (&classic, "", -1), &topic), ErrorCode::None);
    assert_eq!(describe(&mut rig, &classic).error, ErrorCode::GroupIdNotFound);
    assert_eq!(describe(&mut rig, "nobody's").error, ErrorCode::GroupIdNotFound);
    for (version, error) in [(5, ErrorCode::None), (6, ErrorCode::GroupIdNotFound)] {
        let request = DescribeGroupsRequest {
            groups: vec![new.clone()],
            include_authorized_operations: false,
        };
        let found = rig.ask::<DescribeGroups>(version, &request).groups.remove(0);
        assert_eq!((found.error, found.state.as_str()), (error, "Dead"));
    }
    let listed = |rig: &mut Rig, kind: &str| {
        let request = ListGroupsRequest {
            types: vec![kind.into()],
            ..ListGroupsRequest::default()
        };
        let groups = rig.ask::<ListGroups>(5, &request).groups.into_iter();
        groups.map(|group| group.group_id).collect::<Vec<_>>()
    };
    assert!(listed(&mut rig, "consumer").contains(&new) && !listed(&mut rig, "consumer").contains(&classic));
    assert!(listed(&mut rig, "classic").contains(&classic) && !listed(&mut rig, "classic").contains(&new));
    let delete = DeleteGroupsRequest {
        groups: vec![new.clone()],
    };
    assert_eq!(
        rig.ask::<DeleteGroups>(2, &delete).results[0].error,
        ErrorCode::NonEmptyGroup
    );
    a.leave(&mut rig, -1);
    assert_eq!(rig.ask::<DeleteGroups>(2, &delete).results[0].error, ErrorCode::None);
    assert_eq!(describe(&mut rig, &new).error, ErrorCode::GroupIdNotFound);
}

#[test]
fn a_power_cut_changes_nothing_that_members_were_told_74() {
    let mut rig = Rig::own(|_| ());
    let topic = rig.topic(4, &[]);
    let group = group(&mut rig);
    let (mut a, mut b) = (Member::new(&group, "a", &[&topic]), Member::new(&group, "b", &[&topic]));
    for _ in 0..4 {
        a.beat(&mut rig);
        b.beat(&mut rig);
        rig.restart(true);
    }
    beat_until(&mut rig, &mut [&mut a, &mut b], |m| {
        m.iter().all(|m| m.owned.len() == 2)
    });
    let (epoch, owned) = (a.epoch, a.owned.clone());
    assert_eq!(commit(&mut rig, 9, (&group, &a.id, a.epoch), &topic), ErrorCode::None);
    rig.restart(true);
    a.beat(&mut rig);
    assert_eq!((a.epoch, a.owned.clone()), (epoch, owned));
    assert_eq!(committed(&mut rig, &group, None, -1, &topic), (ErrorCode::None, 7));
}
