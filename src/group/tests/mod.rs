//! The machine driven by hand: requests in, answers out, writes durable when the test says so. Numbers in test names are
//! those of the compatibility checklist.

mod joining;
mod members;
mod offsets;
mod restart;

use super::consumer::group::ConsumerGroup;
use super::machine::{GroupConfig, Groups, Outbox, Ticket, Write};
use super::request::{Caller, GroupAnswer, GroupRequest};
use super::topics::Topics;
use crate::base::ids::{Now, ShardId};
use crate::base::slab::SlabKey;
use crate::partition::request::Desk;
use crate::wire::error::ErrorCode;
use crate::wire::group::consumer_protocol::ConsumerSubscription;
use crate::wire::group::describe_groups::DescribedGroup;
use crate::wire::group::heartbeat::HeartbeatRequest;
use crate::wire::group::join_group::{JoinGroupProtocol, JoinGroupRequest, JoinGroupResponse};
use crate::wire::group::leave_group::{LeaveGroupRequest, LeavingMember, LeftMember};
use crate::wire::group::offset_commit::{OffsetCommitPartition, OffsetCommitRequest, OffsetCommitTopic};
use crate::wire::group::offset_fetch::{OffsetFetchGroup, OffsetFetchTopic};
use crate::wire::group::records::GroupRecord;
use crate::wire::group::sync_group::{SyncGroupAssignment, SyncGroupRequest, SyncGroupResponse};
use bytes::Bytes;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

pub(super) const SESSION_MS: i32 = 10_000;
pub(super) const REBALANCE_MS: i32 = 60_000;

pub(super) struct Rig {
    pub groups: Groups,
    pub now: Now,
    pub writes: VecDeque<Write>,
    /// Every durable record, in order.
    pub log: Vec<GroupRecord>,
    /// Writes wait for `durable`.
    pub hold: bool,
    pub topics: Arc<Topics>,
    answers: BTreeMap<u32, GroupAnswer>,
    tickets: u32,
}

/// No partition is held twice, and what is counted is what there is. Returns the memory it takes.
fn check_consumer(group: &ConsumerGroup) -> usize {
    let mut held = BTreeMap::new();
    for member in group.members.values() {
        for (topic, partitions) in member.assigned.iter().chain(&member.revoking) {
            for partition in partitions.keys() {
                let other = held.insert((*topic, *partition), &member.id);
                assert!(
                    other.is_none(),
                    "{topic} {partition} is held by {other:?} and {}",
                    member.id
                );
            }
        }
    }
    let counted = group
        .held
        .iter()
        .flat_map(|(topic, all)| all.iter().map(|p| (*topic, *p)));
    assert!(counted.eq(held.into_keys()));
    assert!(group.statics.values().all(|id| group.members.contains_key(id)));
    assert!(group.target.keys().all(|id| group.members.contains_key(id)));
    assert_eq!(group.bytes, group.count_bytes(), "bytes of {}", group.id);
    group.bytes
}

impl Rig {
    pub fn new() -> Rig {
        Rig::with(GroupConfig {
            initial_rebalance_delay_ms: 0,
            ..GroupConfig::default()
        })
    }

    pub fn with(config: GroupConfig) -> Rig {
        let mut rig = Rig {
            groups: Groups::new(config),
            now: Now {
                mono_ns: 1_000_000_000,
                wall_ms: 1_700_000_000_000,
            },
            writes: VecDeque::new(),
            log: Vec::new(),
            hold: false,
            topics: Arc::default(),
            answers: BTreeMap::new(),
            tickets: 0,
        };
        rig.call(|groups, now, out| groups.loaded(now, out));
        rig
    }

    pub fn call(&mut self, call: impl FnOnce(&mut Groups, Now, &mut Outbox)) {
        let mut out = Outbox::default();
        call(&mut self.groups, self.now, &mut out);
        self.take(out);
        self.check();
        while !self.hold && !self.writes.is_empty() {
            self.durable();
        }
    }

    /// Counts kept beside the members agree with them.
    fn check(&self) {
        let mut bytes = self.groups.offsets.bytes();
        for group in self.groups.groups.values() {
            let members: usize = group.members.values().map(super::member::Member::bytes).sum();
            assert_eq!(group.bytes, members, "bytes of {}", group.id);
            bytes += members + size_of::<super::classic::Group>() + 2 * group.id.len();
            let joining = group.members.values().filter(|member| member.joining.is_some()).count();
            assert_eq!(group.awaiting_join, joining);
            let leads = |id: &String| group.members.contains_key(id);
            assert_eq!(group.leader.is_some(), !group.members.is_empty());
            assert!(group.leader.iter().all(leads), "the leader is a member");
            assert!(group.statics.values().all(leads) && group.pending_sync.iter().all(leads));
        }
        bytes += self.groups.consumers.values().map(check_consumer).sum::<usize>();
        assert_eq!(self.groups.bytes(), bytes);
    }

    fn take(&mut self, out: Outbox) {
        for (ticket, answer) in out.answers {
            let twice = self.answers.insert(ticket.part, answer);
            assert!(twice.is_none(), "a request is answered twice: {twice:?}");
        }
        self.writes.extend(out.writes);
    }

    /// The oldest write is durable.
    pub fn durable(&mut self) {
        let write = self.writes.pop_front().expect("a write");
        self.log.extend(write.records.iter().cloned());
        let mut out = Outbox::default();
        self.groups.done(self.now, write, &mut out);
        self.take(out);
    }

    /// The oldest write is refused.
    pub fn refuse(&mut self, error: ErrorCode) {
        let write = self.writes.pop_front().expect("a write");
        let mut out = Outbox::default();
        self.groups.refused(self.now, write, error, &mut out);
        self.take(out);
    }

    /// Another machine that knows what the log holds, as after a kill.
    pub fn restart(&mut self, config: GroupConfig) {
        self.groups = Groups::new(config);
        self.groups.set_topics(self.topics.clone());
        self.writes.clear();
        for record in &self.log {
            self.groups.replay(record, self.now);
        }
        self.call(|groups, now, out| groups.loaded(now, out));
    }

    pub fn ask(&mut self, request: GroupRequest) -> u32 {
        self.tickets += 1;
        let ticket = Ticket {
            shard: ShardId(0),
            desk: Desk::Edge,
            op: SlabKey {
                index: 0,
                generation: 0,
            },
            part: self.tickets,
        };
        self.call(|groups, now, out| groups.request(now, ticket, request, out));
        self.tickets
    }

    pub fn answer(&mut self, ticket: u32) -> Option<GroupAnswer> {
        self.answers.remove(&ticket)
    }

    /// Moves time, deadline by deadline.
    pub fn advance_ms(&mut self, ms: u64) {
        let end = self.now.mono_ns + ms * 1_000_000;
        while let Some(at) = self.groups.next_deadline().filter(|at| *at <= end) {
            self.move_to(at.max(self.now.mono_ns));
            self.call(|groups, now, out| groups.on_time(now, out));
        }
        self.move_to(end);
    }

    fn move_to(&mut self, mono_ns: u64) {
        self.now.wall_ms += ((mono_ns - self.now.mono_ns) / 1_000_000) as i64;
        self.now.mono_ns = mono_ns;
    }

    pub fn join(&mut self, join: Join) -> u32 {
        let (caller, request) = join.request();
        self.ask(GroupRequest::Join(caller, request))
    }

    pub fn joined(&mut self, ticket: u32) -> JoinGroupResponse {
        match self.answer(ticket) {
            Some(GroupAnswer::Join(response)) => response,
            other => panic!("no answer to JoinGroup but {other:?}"),
        }
    }

    /// Joins at once (as version 3 may) and returns the member id.
    pub fn join_now(&mut self, join: Join) -> JoinGroupResponse {
        let ticket = self.join(join);
        self.advance_ms(0);
        self.joined(ticket)
    }

    pub fn sync(&mut self, member: &str, generation: i32, assignments: &[(&str, &'static str)]) -> u32 {
        let assignments = assignments.iter().map(|(member, text)| SyncGroupAssignment {
            member_id: member.to_string(),
            assignment: Bytes::from_static(text.as_bytes()),
        });
        let request = SyncGroupRequest {
            group_id: "g".into(),
            generation_id: generation,
            member_id: member.into(),
            assignments: assignments.collect(),
            ..SyncGroupRequest::default()
        };
        self.ask(GroupRequest::Sync(request))
    }

    pub fn synced(&mut self, ticket: u32) -> SyncGroupResponse {
        match self.answer(ticket) {
            Some(GroupAnswer::Sync(response)) => response,
            other => panic!("no answer to SyncGroup but {other:?}"),
        }
    }

    /// A stable group "g" of one member.
    pub fn stable(&mut self) -> String {
        let response = self.join_now(Join::v3());
        let id = response.member_id;
        let ticket = self.sync(&id, response.generation_id, &[(&id, "mine")]);
        assert_eq!(self.synced(ticket).assignment, "mine");
        id
    }

    pub fn heartbeat(&mut self, member: &str, generation: i32) -> ErrorCode {
        let request = HeartbeatRequest {
            group_id: "g".into(),
            generation_id: generation,
            member_id: member.into(),
            group_instance_id: None,
        };
        let ticket = self.ask(GroupRequest::Heartbeat(request));
        match self.answer(ticket) {
            Some(GroupAnswer::Heartbeat(error)) => error,
            other => panic!("no answer to Heartbeat but {other:?}"),
        }
    }

    pub fn leave(&mut self, members: &[(&str, Option<&str>)]) -> Vec<LeftMember> {
        let members = members.iter().map(|(member, instance)| LeavingMember {
            member_id: member.to_string(),
            group_instance_id: instance.map(str::to_string),
            reason: None,
        });
        let request = LeaveGroupRequest {
            group_id: "g".into(),
            members: members.collect(),
        };
        let ticket = self.ask(GroupRequest::Leave(request));
        match self.answer(ticket) {
            Some(GroupAnswer::Leave(response)) => response.members,
            other => panic!("no answer to LeaveGroup but {other:?}"),
        }
    }

    pub fn describe(&mut self, version: i16) -> DescribedGroup {
        let ticket = self.ask(GroupRequest::Describe(version, vec!["g".into()]));
        match self.answer(ticket) {
            Some(GroupAnswer::Describe(groups)) => groups.into_iter().next().expect("a group"),
            other => panic!("no answer to DescribeGroups but {other:?}"),
        }
    }

    pub fn state(&mut self) -> String {
        self.describe(5).state
    }

    /// Commits an offset of partition 0 of topic "t".
    pub fn commit(&mut self, member: &str, generation: i32, offset: i64) -> u32 {
        self.ask(GroupRequest::Commit(8, commit_of(member, generation, offset)))
    }

    pub fn committed(&mut self, ticket: u32) -> ErrorCode {
        match self.answer(ticket) {
            Some(GroupAnswer::Commit(topics)) => topics[0].partitions[0].error,
            other => panic!("no answer to OffsetCommit but {other:?}"),
        }
    }

    /// The committed offset of partition 0 of topic "t".
    pub fn offset(&mut self) -> i64 {
        let topic = OffsetFetchTopic {
            name: "t".into(),
            partitions: vec![0],
            ..OffsetFetchTopic::default()
        };
        let request = OffsetFetchGroup {
            group_id: "g".into(),
            topics: Some(vec![topic]),
            ..OffsetFetchGroup::default()
        };
        let ticket = self.ask(GroupRequest::Fetch(request));
        match self.answer(ticket) {
            Some(GroupAnswer::Fetch(group)) => {
                assert_eq!(group.error, ErrorCode::None);
                group.topics[0].partitions[0].offset
            }
            other => panic!("no answer to OffsetFetch but {other:?}"),
        }
    }
}

pub(super) fn commit_of(member: &str, generation: i32, offset: i64) -> OffsetCommitRequest {
    let partition = OffsetCommitPartition {
        index: 0,
        offset,
        ..OffsetCommitPartition::default()
    };
    OffsetCommitRequest {
        group_id: "g".into(),
        generation_or_member_epoch: generation,
        member_id: member.into(),
        topics: vec![OffsetCommitTopic {
            name: "t".into(),
            partitions: vec![partition],
            ..OffsetCommitTopic::default()
        }],
        ..OffsetCommitRequest::default()
    }
}

/// A JoinGroup.
#[derive(Clone)]
pub(super) struct Join {
    version: i16,
    pub member: String,
    instance: Option<&'static str>,
    kind: &'static str,
    pub protocols: Vec<(&'static str, Bytes)>,
    pub session_ms: i32,
    pub rebalance_ms: i32,
    client_id: &'static str,
}

impl Join {
    /// Of a consumer of topic "t".
    pub fn version(version: i16) -> Join {
        Join {
            version,
            member: String::new(),
            instance: None,
            kind: "consumer",
            protocols: vec![("range", subscription("t"))],
            session_ms: SESSION_MS,
            rebalance_ms: REBALANCE_MS,
            client_id: "client",
        }
    }
    pub fn v3() -> Join {
        Join::version(3)
    }
    pub fn with_id(mut self, member: &str) -> Join {
        self.member = member.into();
        self
    }
    pub fn instance(mut self, instance: &'static str) -> Join {
        self.instance = Some(instance);
        self
    }
    pub fn kind(mut self, kind: &'static str) -> Join {
        self.kind = kind;
        self
    }
    pub fn protocols(mut self, names: &[&'static str]) -> Join {
        self.protocols = names.iter().map(|name| (*name, Bytes::from_static(b"x"))).collect();
        self
    }

    fn request(self) -> (Caller, JoinGroupRequest) {
        let caller = Caller {
            client_id: self.client_id.into(),
            client_host: "/127.0.0.1".into(),
            version: self.version,
        };
        let protocols = self.protocols.into_iter().map(|(name, metadata)| JoinGroupProtocol {
            name: name.into(),
            metadata,
        });
        let request = JoinGroupRequest {
            group_id: "g".into(),
            session_timeout_ms: self.session_ms,
            rebalance_timeout_ms: self.rebalance_ms,
            member_id: self.member,
            group_instance_id: self.instance.map(str::to_string),
            protocol_type: self.kind.into(),
            protocols: protocols.collect(),
            reason: None,
        };
        (caller, request)
    }
}

pub(super) fn subscription(topic: &str) -> Bytes {
    let subscription = ConsumerSubscription {
        topics: vec![topic.into()],
        ..ConsumerSubscription::default()
    };
    subscription.encode(1)
}
