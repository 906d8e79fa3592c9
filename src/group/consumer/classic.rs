//! Members that take part by the classic protocol, in a group that has members of the new one: while a group migrates
//! (`GroupMetadataManager.classicGroupJoinToConsumerGroup` of Kafka).
//!
//! JoinGroup is a heartbeat that says what the member owns, SyncGroup brings what it may use; a heartbeat only says that it is
//! time to join again.

use super::group::{ConsumerGroup, Key};
use super::member::{ConsumerMember, MemberState};
use super::{Held, holds};
use crate::base::ids::Now;
use crate::group::admin::CONSUMER;
use crate::group::machine::{Cx, Due, Groups, Outbox, Ticket};
use crate::group::request::{Caller, GroupAnswer, join_refused, sync_refused};
use crate::group::topics::Topics;
use crate::wire::error::ErrorCode;
use crate::wire::group::consumer_group_heartbeat::{TopicPartitions, member_epoch};
use crate::wire::group::consumer_protocol::{
    ConsumerAssignment, ConsumerPartitions, ConsumerSubscription, MAX_VERSION,
};
use crate::wire::group::heartbeat::HeartbeatRequest;
use crate::wire::group::join_group::{JoinGroupProtocol, JoinGroupRequest, JoinGroupResponse};
use crate::wire::group::leave_group::{LeaveGroupResponse, LeavingMember, LeftMember};
use crate::wire::group::records::ClassicMemberMetadata;
use crate::wire::group::sync_group::{SyncGroupRequest, SyncGroupResponse};
use crate::wire::guard::Budget;
use bytes::Bytes;
use std::collections::BTreeSet;

impl Groups {
    pub(in crate::group) fn classic_join(
        &mut self,
        now: Now,
        ticket: Ticket,
        caller: &Caller,
        mut request: JoinGroupRequest,
        out: &mut Outbox,
    ) {
        let asked = request.member_id.clone();
        let is_unknown = asked.is_empty();
        if is_unknown {
            let prefix = request.group_instance_id.as_deref().unwrap_or(&caller.client_id);
            request.member_id = self.new_member_id(prefix);
        }
        let topics = self.topics.clone();
        let joined = match self.config.migration {
            Migration::Disabled => Err(ErrorCode::InconsistentGroupProtocol),
            _ => self
                .with_consumer(&request.group_id, now, out, |group, cx| {
                    group.classic_join(cx, &topics, caller, &request, is_unknown)
                })
                .unwrap_or(Err(ErrorCode::UnknownMemberId)),
        };
        match joined {
            Ok(answer) => {
                let reply = (ticket, GroupAnswer::Join(answer));
                self.conclude(&request.group_id, now, Some(reply), out);
            }
            Err(error) => {
                let id = if error == ErrorCode::MemberIdRequired {
                    request.member_id
                } else {
                    asked
                };
                out.answers.push((ticket, GroupAnswer::Join(join_refused(error, id))));
            }
        }
    }

    pub(in crate::group) fn classic_sync(
        &mut self,
        now: Now,
        ticket: Ticket,
        request: SyncGroupRequest,
        out: &mut Outbox,
    ) {
        let topics = self.topics.clone();
        let synced = self.with_consumer(&request.group_id, now, out, |group, cx| {
            group.classic_sync(cx, &topics, &request)
        });
        let answer = match synced.unwrap_or(Err(ErrorCode::UnknownMemberId)) {
            Ok(answer) => answer,
            Err(error) => sync_refused(error),
        };
        let reply = (ticket, GroupAnswer::Sync(answer));
        self.conclude(&request.group_id, now, Some(reply), out);
    }

    pub(in crate::group) fn classic_heartbeat(
        &mut self,
        now: Now,
        request: &HeartbeatRequest,
        out: &mut Outbox,
    ) -> ErrorCode {
        let beat = self.with_consumer(&request.group_id, now, out, |group, cx| {
            group.classic_heartbeat(cx, request)
        });
        beat.unwrap_or(Err(ErrorCode::UnknownMemberId))
            .err()
            .unwrap_or_default()
    }

    pub(in crate::group) fn classic_leave(
        &mut self,
        now: Now,
        ticket: Ticket,
        (id, members): (&str, &[LeavingMember]),
        out: &mut Outbox,
    ) {
        let topics = self.topics.clone();
        let left = self.with_consumer(id, now, out, |group, cx| {
            let left = members.iter().map(|member| group.classic_leave(cx, &topics, member));
            left.collect()
        });
        let answer = LeaveGroupResponse {
            members: left.unwrap_or_default(),
            ..LeaveGroupResponse::default()
        };
        self.conclude(id, now, Some((ticket, GroupAnswer::Leave(answer))), out);
    }
}

/// Which way groups may change their kind while they have members (`group.consumer.migration.policy`).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Migration {
    /// No way.
    Disabled,
    /// Classic groups become groups of the new protocol when such a member joins.
    Upgrade,
    /// Groups of the new protocol become classic ones when the last such member leaves.
    Downgrade,
    /// Both.
    Both,
}

impl Migration {
    /// By Kafka's name.
    pub fn named(name: &str) -> Migration {
        match name.to_ascii_lowercase().as_str() {
            "disabled" => Migration::Disabled,
            "upgrade" => Migration::Upgrade,
            "downgrade" => Migration::Downgrade,
            _ => Migration::Both,
        }
    }
    pub(super) fn upgrades(self) -> bool {
        matches!(self, Migration::Upgrade | Migration::Both)
    }
    pub(super) fn downgrades(self) -> bool {
        matches!(self, Migration::Downgrade | Migration::Both)
    }
}

/// What the member wants, by the first of its protocols.
pub(super) fn subscription(protocols: &[JoinGroupProtocol]) -> Option<ConsumerSubscription> {
    ConsumerSubscription::decode(&protocols.first()?.metadata, Budget::default()).ok()
}

/// Partitions by the ids of topics that exist.
pub(super) fn by_id(partitions: Vec<ConsumerPartitions>, topics: &Topics) -> Vec<TopicPartitions> {
    let known = partitions.into_iter().filter_map(|topic| {
        Some(TopicPartitions {
            topic_id: topics.get(&topic.topic)?.id,
            partitions: topic.partitions,
        })
    });
    known.collect()
}

impl ConsumerMember {
    /// What it may use, in the words of its protocol.
    pub(super) fn classic_assignment(&self, topics: &Topics) -> Bytes {
        let named = self.assigned.iter().filter_map(|(topic, partitions)| {
            Some(ConsumerPartitions {
                topic: topics.name(*topic)?.to_string(),
                partitions: partitions.keys().copied().collect(),
            })
        });
        let assignment = ConsumerAssignment {
            assigned_partitions: named.collect(),
            ..ConsumerAssignment::default()
        };
        let protocols = self.classic.iter().flat_map(|classic| &classic.supported_protocols);
        let version = protocols
            .filter_map(|protocol| protocol.metadata.first_chunk::<2>())
            .next();
        let version = version.map_or(0, |version| i16::from_be_bytes(*version));
        assignment.encode(version.clamp(0, MAX_VERSION))
    }

    fn classic_protocol(&self) -> Option<String> {
        let classic = self.classic.as_ref()?;
        Some(classic.supported_protocols.first()?.name.clone())
    }
}

impl ConsumerGroup {
    /// # Errors
    /// What JoinGroup is answered with.
    fn classic_join(
        &mut self,
        cx: &mut Cx,
        topics: &Topics,
        caller: &Caller,
        request: &JoinGroupRequest,
        is_unknown: bool,
    ) -> Result<JoinGroupResponse, ErrorCode> {
        let id = request.member_id.as_str();
        if self.dead {
            return Err(ErrorCode::CoordinatorNotAvailable);
        }
        if !self.members.contains_key(id) && self.members.len() >= cx.config.consumer_members_max {
            return Err(ErrorCode::GroupMaxSizeReached);
        }
        if request.protocol_type != CONSUMER || !self.supports(&request.protocols) {
            return Err(ErrorCode::InconsistentGroupProtocol);
        }
        let wanted = subscription(&request.protocols).ok_or(ErrorCode::InconsistentGroupProtocol)?;
        if is_unknown && request.group_instance_id.is_none() && caller.requires_member_id() {
            return Err(ErrorCode::MemberIdRequired);
        }
        let is_new = self.classic_admit(cx, request, is_unknown)?;
        let changed = self.classic_update(caller, request, &wanted);
        self.dirty.insert(Key::Member(id.to_string()));
        self.refresh(cx, topics, changed || is_new);
        self.assign_anew(cx, topics);
        self.reconcile(cx, id, Some(&by_id(wanted.owned_partitions, topics)));
        self.arm_session(cx, id);
        self.arm_step(cx, id);
        let member = self.members.get(id).ok_or(ErrorCode::UnknownMemberId)?;
        Ok(JoinGroupResponse {
            error: ErrorCode::None,
            generation_id: member.epoch,
            protocol_type: Some(CONSUMER.to_string()),
            protocol_name: member.classic_protocol(),
            member_id: id.to_string(),
            ..JoinGroupResponse::default()
        })
    }

    /// Whether all classic members have one of these protocols.
    fn supports(&self, protocols: &[JoinGroupProtocol]) -> bool {
        let has = |all: &[JoinGroupProtocol], name: &str| all.iter().any(|protocol| protocol.name == name);
        let common = |name: &str| {
            let mut classic = self.members.values().filter_map(|member| member.classic.as_ref());
            classic.all(|member| has(&member.supported_protocols, name))
        };
        protocols.iter().any(|protocol| common(&protocol.name))
    }

    /// Makes who joins a member; true if it is a new one.
    fn classic_admit(&mut self, cx: &mut Cx, request: &JoinGroupRequest, is_unknown: bool) -> Result<bool, ErrorCode> {
        let id = request.member_id.as_str();
        if let Some(instance) = &request.group_instance_id {
            match self.statics.get(instance).cloned() {
                Some(old) if is_unknown => {
                    self.replace(cx, &old, id);
                    return Ok(false);
                }
                Some(known) if known != id => return Err(ErrorCode::FencedInstanceId),
                None if !is_unknown => return Err(ErrorCode::UnknownMemberId),
                _ => {}
            }
        }
        if self.members.contains_key(id) {
            return Ok(false);
        }
        self.members.insert(id.to_string(), ConsumerMember::new(id));
        self.touch_member(id);
        Ok(true)
    }

    /// Takes over what the member says of itself; true if that is another subscription.
    fn classic_update(&mut self, caller: &Caller, request: &JoinGroupRequest, wanted: &ConsumerSubscription) -> bool {
        let id = request.member_id.as_str();
        let Some(member) = self.members.get_mut(id) else {
            return false;
        };
        member.client_id.clone_from(&caller.client_id);
        member.client_host.clone_from(&caller.client_host);
        member.rack_id = wanted.rack_id.clone().or(member.rack_id.take());
        member.rebalance_timeout_ms = request.rebalance_timeout_ms;
        member.classic = Some(ClassicMemberMetadata {
            session_timeout_ms: request.session_timeout_ms,
            supported_protocols: request.protocols.clone(),
        });
        let topics: BTreeSet<String> = wanted.topics.iter().cloned().collect();
        let changed = member.topics != topics || !member.regex.is_empty();
        member.topics = topics;
        member.regex.clear();
        if let Some(instance) = &request.group_instance_id {
            member.instance_id = Some(instance.clone());
            self.statics.insert(instance.clone(), id.to_string());
        }
        changed
    }

    /// # Errors
    /// UNKNOWN_MEMBER_ID, also for members of the new protocol; FENCED_INSTANCE_ID; ILLEGAL_GENERATION.
    fn classic_member(&self, id: &str, instance: Option<&str>, generation: i32) -> Result<&ConsumerMember, ErrorCode> {
        if self.dead {
            return Err(ErrorCode::CoordinatorNotAvailable);
        }
        if let Some(instance) = instance {
            match self.statics.get(instance) {
                None => return Err(ErrorCode::UnknownMemberId),
                Some(known) if known != id => return Err(ErrorCode::FencedInstanceId),
                Some(_) => {}
            }
        }
        let member = self.members.get(id).filter(|member| member.classic.is_some());
        let member = member.ok_or(ErrorCode::UnknownMemberId)?;
        match member.epoch == generation {
            true => Ok(member),
            false => Err(ErrorCode::IllegalGeneration),
        }
    }

    fn classic_sync(
        &mut self,
        cx: &mut Cx,
        topics: &Topics,
        request: &SyncGroupRequest,
    ) -> Result<SyncGroupResponse, ErrorCode> {
        let id = request.member_id.as_str();
        let member = self.classic_member(id, request.group_instance_id.as_deref(), request.generation_id)?;
        let protocol = member.classic_protocol();
        let other_type = request.protocol_type.as_deref().is_some_and(|kind| kind != CONSUMER);
        if other_type || (request.protocol_name.is_some() && request.protocol_name != protocol) {
            return Err(ErrorCode::InconsistentGroupProtocol);
        }
        if self.epoch > member.epoch && member.state != MemberState::Unrevoked {
            self.arm_step(cx, id);
            return Err(ErrorCode::RebalanceInProgress);
        }
        let answer = SyncGroupResponse {
            protocol_type: request.protocol_type.clone(),
            protocol_name: request.protocol_name.clone(),
            assignment: member.classic_assignment(topics),
            ..SyncGroupResponse::default()
        };
        self.disarm_step(cx, id);
        self.arm_session(cx, id);
        Ok(answer)
    }

    fn classic_heartbeat(&mut self, cx: &mut Cx, request: &HeartbeatRequest) -> Result<(), ErrorCode> {
        let id = request.member_id.as_str();
        let member = self.classic_member(id, request.group_instance_id.as_deref(), request.generation_id)?;
        let moves = match member.state {
            MemberState::Stable => false,
            MemberState::Unrevoked => true,
            MemberState::Unreleased => !self.waits_for_others(member),
        };
        let must_join = member.epoch < self.epoch || moves;
        let is_armed = member.rebalance.is_some();
        self.arm_session(cx, id);
        if !must_join {
            return Ok(());
        }
        if !is_armed {
            self.arm_step(cx, id);
        }
        Err(ErrorCode::RebalanceInProgress)
    }

    /// Whether any partition that the member is to have is still held by another.
    fn waits_for_others(&self, member: &ConsumerMember) -> bool {
        let target = self.target.get(&member.id).into_iter().flatten();
        let mut missing = target.flat_map(|(topic, all)| all.iter().map(|p| (*topic, *p)));
        missing.any(|(topic, p)| !holds(&member.assigned, topic, p) && self.is_held(topic, p))
    }

    fn classic_leave(&mut self, cx: &mut Cx, topics: &Topics, leaving: &LeavingMember) -> LeftMember {
        let instance = leaving.group_instance_id.as_deref();
        let known = instance.and_then(|instance| self.statics.get(instance));
        let id = match (leaving.member_id.as_str(), known) {
            ("", Some(known)) => known.clone(),
            (id, _) => id.to_string(),
        };
        let checked = match self.members.get(&id) {
            Some(member) => self.classic_member(&id, instance, member.epoch).map(|_| ()),
            None if known.is_some() => Err(ErrorCode::FencedInstanceId),
            None => Err(ErrorCode::UnknownMemberId),
        };
        if checked.is_ok() {
            self.remove(cx, topics, &id);
        }
        LeftMember {
            member_id: leaving.member_id.clone(),
            group_instance_id: leaving.group_instance_id.clone(),
            error: checked.err().unwrap_or_default(),
        }
    }

    /// The member has its rebalance timeout to join, or to sync, once it has joined.
    fn arm_step(&mut self, cx: &mut Cx, id: &str) {
        self.disarm_step(cx, id);
        let Some(member) = self.members.get_mut(id) else { return };
        let due = Due::ConsumerSession {
            group: self.id.clone(),
            member: id.to_string(),
        };
        member.rebalance = Some(cx.timers.arm(cx.in_ms(member.rebalance_timeout_ms), due));
    }

    pub(super) fn disarm_step(&mut self, cx: &mut Cx, id: &str) {
        let timer = self.members.get_mut(id).and_then(|member| member.rebalance.take());
        if let Some(timer) = timer {
            cx.timers.cancel(timer);
        }
    }

    /// A static member comes under another id, and takes over what the old one had.
    pub(super) fn replace(&mut self, cx: &mut Cx, old: &str, id: &str) {
        let Some(mut member) = self.members.remove(old) else {
            return;
        };
        for timer in [member.session.take(), member.rebalance.take()].into_iter().flatten() {
            cx.timers.cancel(timer);
        }
        let revoked: Held = match member.epoch {
            member_epoch::LEAVE_STATIC => std::mem::take(&mut member.revoking),
            _ => Held::new(),
        };
        self.release(&revoked);
        let target = self.target.remove(old).unwrap_or_default();
        self.touch_member(old);
        (member.epoch, member.previous_epoch) = (0, 0);
        member.id = id.to_string();
        self.members.insert(id.to_string(), member);
        self.target.insert(id.to_string(), target);
        self.touch_member(id);
    }
}
