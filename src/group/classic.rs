//! One classic group (`ClassicGroup` of Kafka): its members, who waits for what, and which protocol they have in common.
//!
//! Invariants: `awaiting_join` counts the members with a waiting JoinGroup; a waiting request is answered before its member is
//! forgotten; a leader is a member.

use super::machine::{Cx, Ticket};
use super::member::Member;
use super::request::{join_refused, sync_refused};
use super::subscription;
use crate::base::timers::TimerKey;
use crate::wire::error::ErrorCode;
use crate::wire::group::join_group::{JoinGroupMember, JoinGroupProtocol, JoinGroupResponse};
use crate::wire::group::records::{GroupKey, GroupMetadataValue, GroupRecord};
use bytes::Bytes;
use std::collections::{BTreeMap, BTreeSet};

/// Protocol type of consumers; their metadata and assignments have a known form.
const CONSUMER: &str = "consumer";

/// Where a group is (`ClassicGroupState`).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum State {
    /// No members; perhaps offsets.
    Empty,
    /// Waits for members to join.
    Preparing,
    /// Waits for the leader's assignment.
    Completing,
    /// All have their assignment.
    Stable,
    /// Being removed.
    Dead,
}

impl State {
    /// Kafka's name.
    pub fn name(self) -> &'static str {
        match self {
            State::Empty => "Empty",
            State::Preparing => "PreparingRebalance",
            State::Completing => "CompletingRebalance",
            State::Stable => "Stable",
            State::Dead => "Dead",
        }
    }
}

#[derive(Clone, Debug)]
pub(super) struct Group {
    pub id: String,
    pub state: State,
    pub previous: State,
    /// Wall clock of the last change of state, milliseconds.
    pub since_ms: Option<i64>,
    pub protocol_type: Option<String>,
    pub protocol: Option<String>,
    pub generation: i32,
    pub leader: Option<String>,
    pub members: BTreeMap<String, Member>,
    /// Member ids by instance id.
    pub statics: BTreeMap<String, String>,
    /// Ids given out by MEMBER_ID_REQUIRED, until they join.
    pub pending: BTreeMap<String, TimerKey>,
    /// Members that have joined this generation and not synced.
    pub pending_sync: BTreeSet<String>,
    pub awaiting_join: usize,
    /// Topics of all consumers, if known.
    pub subscribed: Option<BTreeSet<String>>,
    /// A member came while the first rebalance was being delayed.
    pub member_added: bool,
    pub join_timer: Option<TimerKey>,
    pub sync_timer: Option<TimerKey>,
    /// Memory that the members take, bytes.
    pub bytes: usize,
    /// How many members have each protocol.
    supported: BTreeMap<String, usize>,
}

impl Group {
    pub fn new(id: &str, now_ms: i64) -> Group {
        Group {
            id: id.to_string(),
            state: State::Empty,
            previous: State::Dead,
            since_ms: Some(now_ms),
            protocol_type: None,
            protocol: None,
            generation: 0,
            leader: None,
            members: BTreeMap::new(),
            statics: BTreeMap::new(),
            pending: BTreeMap::new(),
            pending_sync: BTreeSet::new(),
            awaiting_join: 0,
            subscribed: None,
            member_added: false,
            join_timer: None,
            sync_timer: None,
            bytes: 0,
            supported: BTreeMap::new(),
        }
    }

    /// A group as the log has it.
    pub fn stored(id: &str, stored: GroupMetadataValue) -> Group {
        let mut group = Group::new(id, 0);
        if !stored.members.is_empty() {
            group.state = State::Stable;
        }
        group.since_ms = (stored.current_state_timestamp != -1).then_some(stored.current_state_timestamp);
        group.generation = stored.generation;
        group.protocol_type = (!stored.protocol_type.is_empty()).then_some(stored.protocol_type);
        group.protocol = stored.protocol;
        let (kind, protocol) = (
            group.protocol_type.clone().unwrap_or_default(),
            group.protocol.clone().unwrap_or_default(),
        );
        for member in stored.members {
            group.add(Member::stored(member, &kind, &protocol));
        }
        group.leader = stored.leader.filter(|leader| group.members.contains_key(leader));
        if group.leader.is_none() {
            group.leader = group.members.keys().next().cloned();
        }
        group.subscribed = group.subscriptions();
        group
    }

    pub fn to_record(&self, assignments: &BTreeMap<String, Bytes>) -> GroupRecord {
        let protocol = self.protocol.as_deref().unwrap_or_default();
        let members = self.members.values().map(|member| {
            let assignment = assignments.get(&member.id).cloned().unwrap_or_default();
            member.to_record(protocol, assignment)
        });
        let value = GroupMetadataValue {
            protocol_type: self.protocol_type.clone().unwrap_or_default(),
            generation: self.generation,
            protocol: self.protocol.clone(),
            leader: self.leader.clone(),
            current_state_timestamp: self.since_ms.unwrap_or(-1),
            members: members.collect(),
        };
        let key = GroupKey {
            group_id: self.id.clone(),
        };
        GroupRecord::GroupMetadata(key, Some(value))
    }

    /// Assignments of all members.
    pub fn assignments(&self) -> BTreeMap<String, Bytes> {
        let pairs = self.members.values().map(|m| (m.id.clone(), m.assignment.clone()));
        pairs.collect()
    }

    pub fn move_to(&mut self, state: State, now_ms: i64) {
        self.previous = self.state;
        self.state = state;
        self.since_ms = Some(now_ms);
    }

    pub fn is_leader(&self, member: &str) -> bool {
        self.leader.as_deref() == Some(member)
    }

    pub fn is_consumers(&self) -> bool {
        self.protocol_type.as_deref() == Some(CONSUMER)
    }

    /// Milliseconds to wait for members: the longest that any of them asks for.
    pub fn rebalance_timeout_ms(&self) -> i32 {
        let timeouts = self.members.values().map(|member| member.rebalance_timeout_ms);
        timeouts.max().unwrap_or(0).max(0)
    }

    pub fn all_joined(&self) -> bool {
        self.members.len() == self.awaiting_join && self.pending.is_empty()
    }

    /// Puts a member in; a group's first member decides its protocol type.
    pub fn add(&mut self, member: Member) {
        if self.members.is_empty() {
            self.protocol_type = Some(member.protocol_type.clone());
        }
        if let Some(instance) = &member.instance_id {
            self.statics.insert(instance.clone(), member.id.clone());
        }
        if self.leader.is_none() {
            self.leader = Some(member.id.clone());
        }
        self.count(&member.protocols, true);
        self.awaiting_join += usize::from(member.joining.is_some());
        self.bytes += member.bytes();
        self.members.insert(member.id.clone(), member);
    }

    /// Forgets a member, pending or not; what it waits for is answered with UNKNOWN_MEMBER_ID, so that its client joins anew.
    pub fn remove(&mut self, cx: &mut Cx, id: &str) {
        if let Some(timer) = self.pending.remove(id) {
            cx.timers.cancel(timer);
        }
        self.pending_sync.remove(id);
        let Some(mut member) = self.members.remove(id) else {
            return;
        };
        self.bytes -= member.bytes();
        if let Some(timer) = member.session.take() {
            cx.timers.cancel(timer);
        }
        if let Some(ticket) = member.joining.take() {
            self.awaiting_join -= 1;
            cx.join(ticket, join_refused(ErrorCode::UnknownMemberId, ""));
        }
        if let Some(ticket) = member.syncing.take() {
            cx.sync(ticket, sync_refused(ErrorCode::UnknownMemberId));
        }
        self.count(&member.protocols, false);
        if let Some(instance) = &member.instance_id
            && self.statics.get(instance) == Some(&member.id)
        {
            self.statics.remove(instance);
        }
        if self.is_leader(id) {
            self.leader = self.members.keys().next().cloned();
        }
    }

    /// The member with `old` id is `new` from now on: another process uses its instance id (KIP-345). What the old one waits
    /// for is fenced.
    pub fn rename(&mut self, cx: &mut Cx, old: &str, new: &str) -> Option<()> {
        let mut member = self.members.remove(old)?;
        if let Some(ticket) = member.joining.take() {
            self.awaiting_join -= 1;
            cx.join(ticket, join_refused(ErrorCode::FencedInstanceId, old));
        }
        if let Some(ticket) = member.syncing.take() {
            cx.sync(ticket, sync_refused(ErrorCode::FencedInstanceId));
        }
        if let Some(timer) = member.session.take() {
            cx.timers.cancel(timer);
        }
        self.bytes -= member.bytes();
        member.id = new.to_string();
        self.bytes += member.bytes();
        if self.is_leader(old) {
            self.leader = Some(new.to_string());
        }
        if let Some(instance) = &member.instance_id {
            self.statics.insert(instance.clone(), new.to_string());
        }
        self.members.insert(new.to_string(), member);
        Some(())
    }

    /// Takes over what a member says of itself when it joins (again), and lets it wait for the answer.
    pub fn update(
        &mut self,
        cx: &mut Cx,
        id: &str,
        protocols: &[JoinGroupProtocol],
        timeouts: (i32, i32),
        ticket: Ticket,
    ) {
        let Some(member) = self.members.get_mut(id) else { return };
        self.bytes -= member.bytes();
        let old = std::mem::replace(&mut member.protocols, protocols.to_vec());
        self.bytes += member.bytes();
        (member.rebalance_timeout_ms, member.session_timeout_ms) = timeouts;
        match member.joining.replace(ticket) {
            // The client gave up waiting for it; on a pipelined connection it would block the answers behind it.
            Some(given_up) => cx.join(given_up, join_refused(ErrorCode::RebalanceInProgress, id)),
            None => self.awaiting_join += 1,
        }
        self.count(&old, false);
        self.count(protocols, true);
    }

    /// Answers the member's JoinGroup, if one waits.
    pub fn answer_join(&mut self, cx: &mut Cx, id: &str, answer: JoinGroupResponse) {
        let ticket = self.members.get_mut(id).and_then(|member| member.joining.take());
        if let Some(ticket) = ticket {
            self.awaiting_join -= 1;
            cx.join(ticket, answer);
        }
    }

    /// The answer that tells a member of the present generation.
    pub fn joined(&self, id: &str) -> JoinGroupResponse {
        let members = if self.is_leader(id) { self.listed() } else { Vec::new() };
        JoinGroupResponse {
            error: ErrorCode::None,
            generation_id: self.generation,
            protocol_type: self.protocol_type.clone(),
            protocol_name: self.protocol.clone(),
            leader: self.leader.clone().unwrap_or_default(),
            member_id: id.to_string(),
            members,
            ..JoinGroupResponse::default()
        }
    }

    fn listed(&self) -> Vec<JoinGroupMember> {
        let protocol = self.protocol.as_deref().unwrap_or_default();
        let show = |member: &Member| JoinGroupMember {
            member_id: member.id.clone(),
            group_instance_id: member.instance_id.clone(),
            metadata: member.metadata(protocol),
        };
        self.members.values().map(show).collect()
    }

    /// Whether the request comes from a member.
    ///
    /// # Errors
    /// UNKNOWN_MEMBER_ID, or FENCED_INSTANCE_ID when another process has taken over the instance id.
    pub fn check_member(&self, id: &str, instance: Option<&str>) -> Result<(), ErrorCode> {
        if let Some(instance) = instance {
            match self.statics.get(instance) {
                None => return Err(ErrorCode::UnknownMemberId),
                Some(known) if known != id => return Err(ErrorCode::FencedInstanceId),
                Some(_) => {}
            }
        }
        match self.members.contains_key(id) {
            true => Ok(()),
            false => Err(ErrorCode::UnknownMemberId),
        }
    }

    /// Whether a member with these protocols fits in.
    pub fn supports(&self, protocol_type: &str, protocols: &[JoinGroupProtocol]) -> bool {
        if self.state == State::Empty {
            return !protocol_type.is_empty() && !protocols.is_empty();
        }
        self.protocol_type.as_deref() == Some(protocol_type) && protocols.iter().any(|p| self.is_common(&p.name))
    }

    fn is_common(&self, protocol: &str) -> bool {
        self.supported.get(protocol).copied().unwrap_or(0) == self.members.len()
    }

    fn count(&mut self, protocols: &[JoinGroupProtocol], more: bool) {
        let names: BTreeSet<&str> = protocols.iter().map(|protocol| protocol.name.as_str()).collect();
        for name in names {
            let count = self.supported.entry(name.to_string()).or_default();
            *count = if more { *count + 1 } else { count.saturating_sub(1) };
            if *count == 0 {
                self.supported.remove(name);
            }
        }
    }

    /// The protocol with the most votes; each member votes for the first of its own that all have. On a draw the one that was
    /// named first wins.
    pub fn elected_protocol(&self) -> Option<String> {
        let mut votes: Vec<(&str, usize)> = Vec::new();
        for vote in self
            .members
            .values()
            .filter_map(|m| m.vote(|name| self.is_common(name)))
        {
            match votes.iter_mut().find(|(name, _)| *name == vote) {
                Some((_, count)) => *count += 1,
                None => votes.push((vote, 1)),
            }
        }
        let most = votes.iter().map(|(_, count)| *count).max()?;
        votes
            .iter()
            .find(|(_, count)| *count == most)
            .map(|(name, _)| name.to_string())
    }

    /// Gives the lead to a member that has joined, when the leader has not. False when nobody has.
    pub fn elect_leader(&mut self) -> bool {
        let joined = |id: &String| self.members.get(id).is_some_and(|member| member.joining.is_some());
        if self.leader.as_ref().is_some_and(joined) {
            return true;
        }
        if self.leader.is_none() {
            return false;
        }
        let next = self.members.values().find(|member| member.joining.is_some());
        let Some(next) = next.map(|member| member.id.clone()) else {
            return false;
        };
        self.leader = Some(next);
        true
    }

    /// Begins the next generation with the members there are.
    pub fn next_generation(&mut self, now_ms: i64) {
        self.generation = self.generation.checked_add(1).unwrap_or(1);
        self.protocol = self.elected_protocol();
        self.subscribed = self.subscriptions();
        let state = if self.members.is_empty() {
            State::Empty
        } else {
            State::Completing
        };
        self.move_to(state, now_ms);
        self.pending_sync.clear();
    }

    /// Topics of all consumers; `None` when they are not consumers or their metadata cannot be read.
    fn subscriptions(&self) -> Option<BTreeSet<String>> {
        if !self.is_consumers() {
            return None;
        }
        let mut topics = BTreeSet::new();
        if self.members.is_empty() {
            return Some(topics);
        }
        let protocol = self.protocol.as_deref()?;
        for member in self.members.values() {
            topics.extend(subscription::topics(&member.metadata(protocol))?);
        }
        Some(topics)
    }

    /// Whether members may read the topic: then its offsets are neither deleted nor forgotten.
    pub fn is_subscribed(&self, topic: &str) -> bool {
        match &self.subscribed {
            Some(topics) => topics.contains(topic),
            None => self.is_consumers(),
        }
    }

    /// Disarms everything, and answers all that waits with an error: the group goes.
    pub fn dissolve(&mut self, cx: &mut Cx, error: ErrorCode) {
        for timer in [self.join_timer.take(), self.sync_timer.take()].into_iter().flatten() {
            cx.timers.cancel(timer);
        }
        for (_, timer) in std::mem::take(&mut self.pending) {
            cx.timers.cancel(timer);
        }
        for (_, mut member) in std::mem::take(&mut self.members) {
            if let Some(timer) = member.session.take() {
                cx.timers.cancel(timer);
            }
            if let Some(ticket) = member.joining.take() {
                cx.join(ticket, join_refused(error, member.id));
            }
            if let Some(ticket) = member.syncing.take() {
                cx.sync(ticket, sync_refused(error));
            }
        }
        self.awaiting_join = 0;
        self.bytes = 0;
    }
}
