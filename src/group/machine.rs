//! All groups of one coordinator partition.
//!
//! A request may be answered at once, with the durability of a [`Write`], or when others have done their part; the answer
//! carries the ticket of the request. The host appends each write's records as one batch, in order, and reports it
//! [`done`](Groups::done) or [`refused`](Groups::refused), also in order.

use super::classic::Group;
use super::consumer::group::ConsumerGroup;
use super::consumer::{Assignor, Migration};
use super::offsets::Offsets;
use super::request::{GroupAnswer, GroupRequest, coordinator_error, failed};
use super::topics::Topics;
use crate::base::ids::Now;
use crate::base::timers::Timers;
use crate::wire::error::ErrorCode;
use crate::wire::group::join_group::JoinGroupResponse;
use crate::wire::group::records::GroupRecord;
use crate::wire::group::sync_group::SyncGroupResponse;
use bytes::Bytes;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Names a request until it is answered.
pub type Ticket = crate::partition::request::ReplyTo;

/// Settings of the coordinator, by Kafka's names.
#[derive(Clone, Debug)]
pub struct GroupConfig {
    /// `group.initial.rebalance.delay.ms`: how long a group without members waits for more than one.
    pub initial_rebalance_delay_ms: i32,
    /// `group.min.session.timeout.ms`.
    pub session_timeout_ms_min: i32,
    /// `group.max.session.timeout.ms`.
    pub session_timeout_ms_max: i32,
    /// `group.max.size`: members of one group.
    pub members_max: usize,
    /// `group.consumer.assignors`: the first is the default; never empty.
    pub assignors: Vec<Assignor>,
    /// `group.consumer.heartbeat.interval.ms`.
    pub heartbeat_interval_ms: i32,
    /// `group.consumer.session.timeout.ms`.
    pub consumer_session_timeout_ms: i32,
    /// `group.consumer.max.size`: members of one group of the new protocol.
    pub consumer_members_max: usize,
    /// `group.consumer.migration.policy`.
    pub migration: Migration,
    /// `offset.metadata.max.bytes`: text that one committed offset may carry, in UTF-16 units.
    pub metadata_length_max: usize,
    /// `offsets.retention.minutes`, in milliseconds.
    pub retention_ms: i64,
    /// `offsets.retention.check.interval.ms`.
    pub retention_check_ms: u64,
    /// Seed of member ids; different at each start.
    pub seed: u64,
}

impl Default for GroupConfig {
    fn default() -> Self {
        GroupConfig {
            initial_rebalance_delay_ms: 3_000,
            session_timeout_ms_min: 6_000,
            session_timeout_ms_max: 1_800_000,
            members_max: i32::MAX as usize,
            assignors: vec![Assignor::Uniform, Assignor::Range],
            heartbeat_interval_ms: 5_000,
            consumer_session_timeout_ms: 45_000,
            consumer_members_max: i32::MAX as usize,
            migration: Migration::Both,
            metadata_length_max: 4_096,
            retention_ms: 10_080 * 60_000,
            retention_check_ms: 600_000,
            seed: 0,
        }
    }
}

impl GroupConfig {
    pub(super) fn default_assignor(&self) -> Assignor {
        self.assignors.first().copied().unwrap_or(Assignor::Uniform)
    }
}

/// What came of a call.
#[derive(Debug, Default)]
pub struct Outbox {
    /// Batches to append, in order.
    pub writes: Vec<Write>,
    /// Answers that may leave now.
    pub answers: Vec<(Ticket, GroupAnswer)>,
}

/// Records to append as one batch.
#[derive(Debug)]
pub struct Write {
    /// At least one.
    pub records: Vec<GroupRecord>,
    /// What follows from it.
    pub(super) then: Then,
}

impl Write {
    /// What waits for a write whose machine is gone; members of groups were answered when it went.
    pub fn orphaned(self, error: ErrorCode) -> Option<(Ticket, GroupAnswer)> {
        match self.then {
            Then::Reply(ticket, answer) | Then::Deleted(_, Some((ticket, answer))) => {
                Some((ticket, failed(answer, error)))
            }
            Then::Consumer {
                reply: Some((ticket, answer)),
                ..
            } => Some((ticket, failed(answer, error))),
            _ => None,
        }
    }
}

/// What happens when a write is durable, or refused.
#[derive(Debug)]
pub(super) enum Then {
    /// Nothing.
    Nothing,
    /// The answer leaves.
    Reply(Ticket, GroupAnswer),
    /// A group without members exists; the JoinGroup that made it fails with the write.
    Created(String),
    /// The leader's assignment is stored: all members get theirs.
    Assigned {
        group: String,
        generation: i32,
        assignments: BTreeMap<String, Bytes>,
    },
    /// A static member is stored under its new id.
    Renamed(Box<super::join::Rename>),
    /// Groups are gone; the answer, if one waits, speaks of some of them.
    Deleted(Vec<String>, Option<(Ticket, GroupAnswer)>),
    /// A group of the new protocol is stored as far as this write goes.
    Consumer {
        group: String,
        sequence: u64,
        reply: Option<(Ticket, GroupAnswer)>,
    },
}

/// What a deadline is for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Due {
    /// A member, pending or not, has not been heard of.
    Session { group: String, member: String },
    /// More members may have come to a new group.
    InitialJoin {
        group: String,
        delay_ms: i32,
        remaining_ms: i32,
    },
    /// Members have had their time to join again.
    Join { group: String },
    /// Members have had their time to sync.
    Sync { group: String, generation: i32 },
    /// A member of the new protocol has not been heard of.
    ConsumerSession { group: String, member: String },
    /// A member has had its time to give partitions up.
    Revocation { group: String, member: String, epoch: i32 },
    /// Offsets may have expired.
    Cleanup,
}

/// What a step inside the machine works with.
pub(super) struct Cx<'a> {
    pub now: Now,
    pub config: &'a GroupConfig,
    pub timers: &'a mut Timers<Due>,
    pub out: &'a mut Outbox,
}

impl Cx<'_> {
    pub fn join(&mut self, ticket: Ticket, answer: JoinGroupResponse) {
        self.out.answers.push((ticket, GroupAnswer::Join(answer)));
    }
    pub fn sync(&mut self, ticket: Ticket, answer: SyncGroupResponse) {
        self.out.answers.push((ticket, GroupAnswer::Sync(answer)));
    }
    pub fn write(&mut self, records: Vec<GroupRecord>, then: Then) {
        self.out.writes.push(Write { records, then });
    }
    /// Monotonic time in so many milliseconds.
    pub fn in_ms(&self, ms: i32) -> u64 {
        self.now.mono_ns.saturating_add(ms.max(0) as u64 * 1_000_000)
    }
}

/// See the module.
pub struct Groups {
    pub(super) config: GroupConfig,
    pub(super) groups: BTreeMap<String, Group>,
    /// Groups of the new protocol.
    pub(super) consumers: BTreeMap<String, ConsumerGroup>,
    pub(super) topics: Arc<Topics>,
    pub(super) offsets: Offsets,
    pub(super) timers: Timers<Due>,
    /// Memory that groups take, bytes; offsets apart.
    pub(super) bytes: usize,
    /// The last write of a group of the new protocol.
    pub(super) sequence: u64,
    /// Answers that speak of what is on its way to the log, by the write that they wait for.
    pub(super) waiting: BTreeMap<u64, Vec<(Ticket, GroupAnswer)>>,
    random: u64,
}

impl Groups {
    /// A coordinator without groups; its log is to be replayed next, then [`loaded`](Self::loaded).
    pub fn new(config: GroupConfig) -> Groups {
        Groups {
            random: config.seed,
            config,
            groups: BTreeMap::new(),
            consumers: BTreeMap::new(),
            topics: Arc::default(),
            sequence: 0,
            waiting: BTreeMap::new(),
            offsets: Offsets::default(),
            timers: Timers::default(),
            bytes: 0,
        }
    }

    /// The cluster's topics, now and whenever they change.
    pub fn set_topics(&mut self, topics: Arc<Topics>) {
        self.topics = topics;
    }

    /// Takes over one durable record: all of the log at a start, and every offset that was written since.
    pub fn replay(&mut self, record: &GroupRecord, now: Now) {
        match record {
            GroupRecord::OffsetCommit(key, value) => {
                self.offsets.set_durable(key, value.clone());
                if value.is_some() && !self.has_group(&key.group_id) {
                    self.put(Group::new(&key.group_id, now.wall_ms));
                }
            }
            GroupRecord::GroupMetadata(key, None) => {
                self.drop_group(&key.group_id);
            }
            GroupRecord::GroupMetadata(key, Some(value)) => {
                self.drop_consumer(&key.group_id);
                self.put(Group::stored(&key.group_id, value.clone()));
            }
            _ => self.replay_consumer(record),
        }
    }

    /// The whole log is replayed: members have to show themselves from now on.
    pub fn loaded(&mut self, now: Now, out: &mut Outbox) {
        let members_max = self.config.members_max;
        self.each_group(now, out, |group, cx| {
            let ids: Vec<String> = group.members.keys().cloned().collect();
            ids.iter().for_each(|id| group.arm_session(cx, id, None));
            if group.members.len() > members_max {
                group.prepare_rebalance(cx, "the group is larger than group.max.size");
            }
        });
        for id in self.consumers.keys().cloned().collect::<Vec<_>>() {
            self.with_consumer(&id, now, out, |group, cx| group.loaded(cx));
        }
        self.count_consumers();
        self.arm_cleanup(now);
    }

    /// Takes a request; see [`Outbox`] for what comes of it.
    pub fn request(&mut self, now: Now, ticket: Ticket, request: GroupRequest, out: &mut Outbox) {
        match request {
            GroupRequest::Join(caller, request) => self.join(now, ticket, &caller, request, out),
            GroupRequest::Sync(request) => self.sync(now, ticket, request, out),
            GroupRequest::Heartbeat(request) => {
                let error = self.heartbeat(now, &request, out);
                out.answers.push((ticket, GroupAnswer::Heartbeat(error)));
            }
            GroupRequest::Leave(request) if self.consumers.contains_key(&request.group_id) => {
                self.classic_leave(
                    now,
                    ticket,
                    (request.group_id.as_str(), request.members.as_slice()),
                    out,
                );
            }
            GroupRequest::Leave(request) => {
                let answer = self.leave(now, &request, out);
                out.answers.push((ticket, GroupAnswer::Leave(answer)));
            }
            GroupRequest::Commit(version, request) => self.commit(now, ticket, (version, request), out),
            GroupRequest::Fetch(request) => {
                let answer = GroupAnswer::Fetch(self.fetch(request));
                out.answers.push((ticket, answer));
            }
            GroupRequest::DeleteOffsets(request) => self.delete_offsets(ticket, request, out),
            GroupRequest::Describe(version, groups) => {
                let groups = groups.into_iter().map(|id| self.describe(version, id));
                let answer = GroupAnswer::Describe(groups.collect());
                out.answers.push((ticket, answer));
            }
            GroupRequest::Delete(groups) => self.delete(now, ticket, groups, out),
            GroupRequest::ConsumerHeartbeat(caller, request) => {
                self.consumer_heartbeat(now, ticket, &caller, *request, out);
            }
            GroupRequest::ConsumerDescribe(groups) => {
                let groups = groups.into_iter().map(|id| self.consumer_describe(id));
                let answer = GroupAnswer::ConsumerDescribe(groups.collect());
                out.answers.push((ticket, answer));
            }
        }
    }

    /// A write is durable.
    pub fn done(&mut self, now: Now, write: Write, out: &mut Outbox) {
        self.offsets.landed(&write.records);
        // Membership is ahead of the log; only a restart learns it from there.
        let offsets = write
            .records
            .iter()
            .filter(|record| matches!(record, GroupRecord::OffsetCommit(..)));
        offsets.for_each(|record| self.replay(record, now));
        match write.then {
            Then::Nothing | Then::Created(_) => {}
            Then::Reply(ticket, answer) => out.answers.push((ticket, answer)),
            Then::Assigned {
                group,
                generation,
                assignments,
            } => {
                self.with_group(&group, now, out, |group, cx| {
                    group.assigned(cx, generation, Ok(assignments));
                });
            }
            Then::Renamed(rename) => {
                let id = rename.group.clone();
                self.with_group(&id, now, out, |group, cx| group.renamed(cx, *rename, None));
            }
            Then::Deleted(groups, reply) => {
                self.deleted(&groups);
                out.answers.extend(reply);
            }
            then @ Then::Consumer { .. } => self.consumer_landed(write.records, then, None, out),
        }
    }

    /// A write was not made, and never will be.
    pub fn refused(&mut self, now: Now, write: Write, error: ErrorCode, out: &mut Outbox) {
        let error = coordinator_error(error);
        self.offsets.landed(&write.records);
        match write.then {
            Then::Nothing => {}
            Then::Reply(ticket, answer) => out.answers.push((ticket, failed(answer, error))),
            Then::Created(group) => self.forget(&group, now, error, out),
            Then::Assigned { group, generation, .. } => {
                self.with_group(&group, now, out, |group, cx| group.assigned(cx, generation, Err(error)));
            }
            Then::Renamed(rename) => {
                let id = rename.group.clone();
                self.with_group(&id, now, out, |group, cx| group.renamed(cx, *rename, Some(error)));
            }
            Then::Deleted(groups, reply) => {
                self.revive(&groups, now);
                out.answers
                    .extend(reply.map(|(ticket, answer)| (ticket, failed(answer, error))));
            }
            then @ Then::Consumer { .. } => self.consumer_landed(write.records, then, Some(error), out),
        }
    }

    /// Time has passed.
    pub fn on_time(&mut self, now: Now, out: &mut Outbox) {
        while let Some(due) = self.timers.pop_due(now.mono_ns) {
            match due {
                Due::Session { group, member } => {
                    self.with_group(&group, now, out, |group, cx| group.session_expired(cx, &member));
                }
                Due::InitialJoin {
                    group,
                    delay_ms,
                    remaining_ms,
                } => {
                    self.with_group(&group, now, out, |group, cx| {
                        group.initial_delay_over(cx, delay_ms, remaining_ms);
                    });
                }
                Due::Join { group } => {
                    self.with_group(&group, now, out, |group, cx| {
                        group.join_timer = None;
                        group.complete_join(cx);
                    });
                }
                Due::Sync { group, generation } => {
                    self.with_group(&group, now, out, |group, cx| group.sync_time_over(cx, generation));
                }
                Due::ConsumerSession { group, member } => self.consumer_session_over(&group, &member, now, out),
                Due::Revocation { group, member, epoch } => self.revocation_over(&group, &member, epoch, now, out),
                Due::Cleanup => {
                    self.cleanup(now, out);
                    self.arm_cleanup(now);
                }
            }
        }
    }

    /// Monotonic time, nanoseconds, at which [`on_time`](Self::on_time) has work.
    pub fn next_deadline(&self) -> Option<u64> {
        self.timers.next_deadline()
    }

    /// The coordinator moves away: all that waits is answered with `error`.
    pub fn unload(mut self, now: Now, error: ErrorCode, out: &mut Outbox) {
        self.each_group(now, out, |group, cx| group.dissolve(cx, error));
        let waiting = std::mem::take(&mut self.waiting).into_values().flatten();
        out.answers
            .extend(waiting.map(|(ticket, answer)| (ticket, failed(answer, error))));
    }

    /// Memory that groups and offsets take, bytes.
    pub fn bytes(&self) -> usize {
        self.bytes + self.offsets.bytes()
    }

    /// Whether a request would make a group or a member that is not there yet.
    pub fn would_grow(&self, request: &GroupRequest) -> bool {
        match request {
            GroupRequest::Join(_, request) => request.member_id.is_empty(),
            GroupRequest::Commit(_, request) => !self.has_group(&request.group_id),
            GroupRequest::ConsumerHeartbeat(_, request) => self.consumer_grows(request),
            _ => false,
        }
    }

    /// Groups and committed offsets, for metrics and checkers.
    pub fn sizes(&self) -> (usize, usize) {
        (self.groups.len() + self.consumers.len(), self.offsets.len())
    }

    pub(super) fn has_group(&self, id: &str) -> bool {
        self.groups.contains_key(id) || self.consumers.contains_key(id)
    }

    fn arm_cleanup(&mut self, now: Now) {
        let at = now.mono_ns + self.config.retention_check_ms.max(1) * 1_000_000;
        self.timers.arm(at, Due::Cleanup);
    }

    pub(super) fn with_group<R>(
        &mut self,
        id: &str,
        now: Now,
        out: &mut Outbox,
        call: impl FnOnce(&mut Group, &mut Cx) -> R,
    ) -> Option<R> {
        let group = self.groups.get_mut(id)?;
        let mut cx = Cx {
            now,
            config: &self.config,
            timers: &mut self.timers,
            out,
        };
        let before = group.bytes;
        let result = call(group, &mut cx);
        self.bytes = self.bytes + group.bytes - before;
        Some(result)
    }

    /// Takes a group in, in place of the one of that name.
    pub(super) fn put(&mut self, group: Group) {
        self.drop_group(&group.id);
        self.bytes += group.bytes + group_overhead(&group.id);
        self.groups.insert(group.id.clone(), group);
    }

    /// Forgets a group without any members that wait.
    pub(super) fn drop_group(&mut self, id: &str) {
        if let Some(group) = self.groups.remove(id) {
            self.bytes -= group.bytes + group_overhead(id);
        }
    }

    fn each_group(&mut self, now: Now, out: &mut Outbox, mut call: impl FnMut(&mut Group, &mut Cx)) {
        let mut cx = Cx {
            now,
            config: &self.config,
            timers: &mut self.timers,
            out,
        };
        for group in self.groups.values_mut() {
            let before = group.bytes;
            call(group, &mut cx);
            self.bytes = self.bytes + group.bytes - before;
        }
    }

    /// A group that was never stored goes, and what waits in it fails.
    fn forget(&mut self, id: &str, now: Now, error: ErrorCode, out: &mut Outbox) {
        self.with_group(id, now, out, |group, cx| group.dissolve(cx, error));
        self.drop_group(id);
    }

    /// A fresh id: the client's or the instance's name and a random UUID, as Kafka makes them.
    pub(super) fn new_member_id(&mut self, prefix: &str) -> String {
        format!("{prefix}-{}", self.new_uuid())
    }

    pub(super) fn new_uuid(&mut self) -> String {
        let (high, low) = (self.next_random(), self.next_random());
        let high = (high & !0xf000) | 0x4000;
        let low = (low & !(0xc000 << 48)) | (0x8000 << 48);
        format!(
            "{:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
            high >> 32,
            (high >> 16) & 0xffff,
            high & 0xffff,
            low >> 48,
            low & 0xffff_ffff_ffff
        )
    }

    /// SplitMix64.
    fn next_random(&mut self) -> u64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.random;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

/// Memory of a group without its members, bytes.
fn group_overhead(id: &str) -> usize {
    size_of::<Group>() + 2 * id.len()
}
