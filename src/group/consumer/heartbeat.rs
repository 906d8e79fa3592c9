//! ConsumerGroupHeartbeat (`GroupMetadataManager.consumerGroupHeartbeat` of Kafka): who may speak, what a heartbeat changes, and
//! what the member is told.

use super::assign::{Assignor, Spec};
use super::group::{ConsumerGroup, Key};
use super::member::ConsumerMember;
use super::{Refusal, holds, pattern, refuse};
use crate::base::ids::Now;
use crate::group::classic::State;
use crate::group::machine::{Cx, Due, Groups, Outbox, Ticket};
use crate::group::request::{Caller, GroupAnswer, heartbeat_refused};
use crate::group::topics::Topics;
use crate::wire::error::ErrorCode;
use crate::wire::group::consumer_group_heartbeat::{
    ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse, TopicPartitions, member_epoch,
};
use std::collections::{BTreeMap, BTreeSet};

/// First version whose clients make their own member ids (KIP-1082).
const OWN_IDS_FROM: i16 = 1;

impl Groups {
    pub(in crate::group) fn consumer_heartbeat(
        &mut self,
        now: Now,
        ticket: Ticket,
        caller: &Caller,
        mut request: ConsumerGroupHeartbeatRequest,
        out: &mut Outbox,
    ) {
        let answer = self
            .check_heartbeat(caller, &request)
            .and_then(|()| match request.member_epoch {
                ..0 => self.consumer_leave(now, &request, out),
                _ => self.beat(now, caller, &mut request, out),
            });
        match answer {
            Ok(answer) => {
                let answer = GroupAnswer::ConsumerHeartbeat(answer);
                self.conclude(&request.group_id, now, Some((ticket, answer)), out);
            }
            Err((error, why)) => {
                let (group, member) = (request.group_id.escape_debug(), request.member_id.escape_debug());
                tracing::debug!(%group, %member, error = error.name(), why = %why.escape_debug(), "heartbeat is refused");
                let answer = heartbeat_refused(error, Some(why));
                out.answers.push((ticket, GroupAnswer::ConsumerHeartbeat(answer)));
            }
        }
    }

    /// What can be said without looking at the group.
    fn check_heartbeat(&self, caller: &Caller, request: &ConsumerGroupHeartbeatRequest) -> Result<(), Refusal> {
        let invalid = |why: &str| refuse(ErrorCode::InvalidRequest, why);
        let is_empty = |text: &Option<String>| text.as_ref().is_some_and(String::is_empty);
        let needs_id = caller.version >= OWN_IDS_FROM || request.member_epoch != member_epoch::JOIN;
        let owns = request.topic_partitions.as_ref();
        match request.member_epoch {
            _ if needs_id && request.member_id.is_empty() => invalid("The member id must not be empty."),
            _ if request.group_id.is_empty() => invalid("The group id must not be empty."),
            _ if is_empty(&request.instance_id) => invalid("The instance id must not be empty."),
            _ if is_empty(&request.rack_id) => invalid("The rack id must not be empty."),
            ..member_epoch::LEAVE_STATIC => invalid("The member epoch is invalid."),
            member_epoch::LEAVE_STATIC if request.instance_id.is_none() => {
                invalid("Only a member with an instance id may leave for a while.")
            }
            member_epoch::JOIN if request.rebalance_timeout_ms == -1 => {
                invalid("Who joins must name a rebalance timeout.")
            }
            member_epoch::JOIN if owns.is_none_or(|owned| !owned.is_empty()) => {
                invalid("Who joins must own no partitions, and say so.")
            }
            member_epoch::JOIN
                if request.subscribed_topic_names.is_none() && request.subscribed_topic_regex.is_none() =>
            {
                invalid("Who joins must subscribe to topic names or by a regular expression.")
            }
            _ => self.check_choices(request),
        }
    }

    fn check_choices(&self, request: &ConsumerGroupHeartbeatRequest) -> Result<(), Refusal> {
        if let Some(asked) = &request.server_assignor
            && !self.config.assignors.iter().any(|known| known.name() == asked)
        {
            let known: Vec<&str> = self.config.assignors.iter().map(|known| known.name()).collect();
            let why = format!(
                "The assignor {asked} is not supported; there are: {}.",
                known.join(", ")
            );
            return refuse(ErrorCode::UnsupportedAssignor, why);
        }
        match &request.subscribed_topic_regex {
            Some(regex) if !regex.is_empty() => pattern::check(regex),
            _ => Ok(()),
        }
    }

    fn beat(
        &mut self,
        now: Now,
        caller: &Caller,
        request: &mut ConsumerGroupHeartbeatRequest,
        out: &mut Outbox,
    ) -> Result<ConsumerGroupHeartbeatResponse, Refusal> {
        self.find_or_make(&request.group_id, request.member_epoch == member_epoch::JOIN, now, out)?;
        if request.member_id.is_empty() {
            request.member_id = self.new_uuid();
        }
        let topics = self.topics.clone();
        let beat = self.with_consumer(&request.group_id, now, out, |group, cx| {
            group.heartbeat(cx, &topics, caller, request)
        });
        beat.unwrap_or_else(|| refuse(ErrorCode::GroupIdNotFound, "The group is gone."))
    }

    /// A group that whoever joins makes refuses nobody, so it is never left behind empty.
    fn find_or_make(&mut self, id: &str, joins: bool, now: Now, out: &mut Outbox) -> Result<(), Refusal> {
        if let Some(group) = self.consumers.get(id) {
            return match group.dead {
                true => refuse(ErrorCode::CoordinatorNotAvailable, "The group is being deleted."),
                false => Ok(()),
            };
        }
        let group = match self.groups.get(id) {
            None if joins => {
                self.put_consumer(ConsumerGroup::new(id));
                return Ok(());
            }
            None => return refuse(ErrorCode::GroupIdNotFound, format!("Group {id} not found.")),
            Some(classic) if classic.state == State::Dead => {
                return refuse(ErrorCode::CoordinatorNotAvailable, "The group is being deleted.");
            }
            Some(classic) if joins => self.upgraded(classic),
            Some(_) => None,
        };
        match group {
            Some(group) => self.upgrade(group, now, out),
            None => {
                return refuse(
                    ErrorCode::GroupIdNotFound,
                    format!("Group {id} is not a consumer group."),
                );
            }
        }
        Ok(())
    }
}

impl ConsumerMember {
    /// # Errors
    /// FENCED_MEMBER_EPOCH; but the epoch before is accepted when all that the member owns is its own, and a member may join
    /// anew at any time.
    fn check_epoch(&self, epoch: i32, owned: Option<&Vec<TopicPartitions>>) -> Result<(), Refusal> {
        let has_own = || {
            owned.is_some_and(|owned| {
                let mut all = owned
                    .iter()
                    .flat_map(|topic| topic.partitions.iter().map(|p| (topic.topic_id, *p)));
                all.all(|(topic, partition)| holds(&self.assigned, topic, partition))
            })
        };
        if epoch == member_epoch::JOIN || epoch == self.epoch || (epoch == self.previous_epoch && has_own()) {
            return Ok(());
        }
        let why = format!(
            "The member has epoch {epoch}, the coordinator knows it with {}: it must give up its partitions and join again.",
            self.epoch
        );
        refuse(ErrorCode::FencedMemberEpoch, why)
    }
}

impl ConsumerGroup {
    fn heartbeat(
        &mut self,
        cx: &mut Cx,
        topics: &Topics,
        caller: &Caller,
        request: &ConsumerGroupHeartbeatRequest,
    ) -> Result<ConsumerGroupHeartbeatResponse, Refusal> {
        let id = request.member_id.as_str();
        let is_new = self.admit(cx, request)?;
        let held = |group: &Self| group.members.get(id).map(|member| member.assignment());
        let before = held(self);
        if self.members.get(id).is_some_and(|member| member.classic.is_some()) {
            self.disarm_step(cx, id);
        }
        let changed = match self.members.get_mut(id) {
            Some(member) => member.update(caller, request),
            None => Default::default(),
        };
        if changed.anything || is_new {
            self.dirty.insert(Key::Member(id.to_string()));
        }
        if let Some(instance) = &request.instance_id
            && self.statics.get(instance).is_none_or(|known| known != id)
        {
            self.statics.insert(instance.clone(), id.to_string());
        }
        self.refresh(cx, topics, changed.subscription || is_new);
        self.assign_anew(cx, topics);
        self.reconcile(cx, id, request.topic_partitions.as_deref());
        self.arm_session(cx, id);
        let subscribes = request.subscribed_topic_names.is_some() || request.subscribed_topic_regex.is_some();
        let is_full = request.rebalance_timeout_ms != -1 && subscribes && request.topic_partitions.is_some();
        let after = held(self);
        let tell = request.member_epoch == member_epoch::JOIN || is_full || before != after;
        Ok(ConsumerGroupHeartbeatResponse {
            member_id: Some(id.to_string()),
            member_epoch: self.members.get(id).map_or(0, |member| member.epoch),
            heartbeat_interval_ms: cx.config.heartbeat_interval_ms,
            assignment: after.filter(|_| tell),
            ..ConsumerGroupHeartbeatResponse::default()
        })
    }

    /// Lets the member speak; who joins is a member afterwards. True if it is a new one.
    fn admit(&mut self, cx: &mut Cx, request: &ConsumerGroupHeartbeatRequest) -> Result<bool, Refusal> {
        let (id, joins) = (request.member_id.as_str(), request.member_epoch == member_epoch::JOIN);
        let known = self.members.get(id);
        if known.is_none() && self.members.len() >= cx.config.consumer_members_max {
            let why = format!("The group has its {} members.", cx.config.consumer_members_max);
            return refuse(ErrorCode::GroupMaxSizeReached, why);
        }
        if let Some(instance) = &request.instance_id {
            match self.statics.get(instance) {
                Some(old) if joins => {
                    let old = old.clone();
                    return self.admit_static(cx, instance, &old, id).map(|()| false);
                }
                None if !joins => return refuse(ErrorCode::UnknownMemberId, "There is no such static member."),
                Some(other) if other != id => {
                    let why = format!("The instance id {instance} is used by another member.");
                    return refuse(ErrorCode::FencedInstanceId, why);
                }
                _ => {}
            }
        }
        match known {
            Some(member) => member
                .check_epoch(request.member_epoch, request.topic_partitions.as_ref())
                .map(|()| false),
            None if joins => {
                self.members.insert(id.to_string(), ConsumerMember::new(id));
                self.touch_member(id);
                Ok(true)
            }
            None => refuse(
                ErrorCode::UnknownMemberId,
                format!("{id} is not a member of the group."),
            ),
        }
    }

    /// A static member is back, perhaps under a new id: it takes over what the one had that left for a while.
    fn admit_static(&mut self, cx: &mut Cx, instance: &str, old: &str, id: &str) -> Result<(), Refusal> {
        let away = |m: &ConsumerMember| m.epoch == member_epoch::LEAVE_STATIC || m.classic.is_some();
        let away = self.members.get(old).is_some_and(away);
        if !away {
            let why = format!("The instance id {instance} is still used by the member {old}.");
            return refuse(ErrorCode::UnreleasedInstanceId, why);
        }
        self.replace(cx, old, id);
        Ok(())
    }

    /// Raises the epoch when subscriptions or their topics have changed.
    pub(super) fn refresh(&mut self, cx: &Cx, topics: &Topics, changed: bool) {
        if !changed && self.seen == Some(topics.version()) && !self.regexes_are_stale(cx.now, topics) {
            return;
        }
        self.resolve_regexes(cx.now, topics);
        self.seen = Some(topics.version());
        let hash = topics.hash(self.subscribed().into_iter());
        if !changed && hash == self.hash {
            return;
        }
        self.hash = hash;
        self.epoch = self.epoch.saturating_add(1);
        self.dirty.insert(Key::Group);
        tracing::debug!(group = %self.id.escape_debug(), epoch = self.epoch, "group has a new epoch");
    }

    /// How the members want to be assigned: what most of them ask for.
    pub(super) fn assignor(&self, default: Assignor) -> Assignor {
        let mut votes: BTreeMap<&str, usize> = BTreeMap::new();
        for asked in self.members.values().filter_map(|member| member.assignor.as_deref()) {
            *votes.entry(asked).or_default() += 1;
        }
        let most = votes.values().max().copied().unwrap_or(0);
        let chosen = votes.iter().find(|(_, count)| **count == most);
        chosen.and_then(|(name, _)| Assignor::named(name)).unwrap_or(default)
    }

    /// Computes the target of the present epoch, if there is none yet.
    pub(super) fn assign_anew(&mut self, cx: &Cx, topics: &Topics) {
        if self.epoch <= self.assignment_epoch {
            return;
        }
        let sizes = self.subscribed().into_iter().filter_map(|name| topics.get(name));
        let sizes = sizes.map(|topic| (topic.id, topic.partitions)).collect();
        let assignor = self.assignor(cx.config.default_assignor());
        let specs: Vec<Spec> = self.members.values().map(|member| self.spec(member, topics)).collect();
        let assigned = assignor.assign(&specs, &sizes);
        for (id, new) in self.members.keys().zip(assigned) {
            if self.target.get(id) != Some(&new) {
                self.target.insert(id.clone(), new);
                self.dirty.insert(Key::Target(id.clone()));
            }
        }
        self.assignment_epoch = self.epoch;
        self.assigned_ms = cx.now.wall_ms;
        self.dirty.insert(Key::TargetEpoch);
        let (group, epoch, members) = (self.id.escape_debug(), self.epoch, self.members.len());
        tracing::info!(%group, epoch, members, assignor = assignor.name(), "group is assigned anew");
    }

    fn spec<'a>(&'a self, member: &'a ConsumerMember, topics: &Topics) -> Spec<'a> {
        let matched = self
            .regexes
            .get(&member.regex)
            .into_iter()
            .flat_map(|found| &found.topics);
        let names = member.topics.iter().chain(matched);
        let topics: BTreeSet<_> = names.filter_map(|name| Some(topics.get(name)?.id)).collect();
        Spec {
            id: &member.id,
            instance_id: member.instance_id.as_deref(),
            topics,
            last: self.target.get(&member.id),
        }
    }

    /// The member has shown itself: it is given up after the session timeout.
    pub(super) fn arm_session(&mut self, cx: &mut Cx, id: &str) {
        let Some(member) = self.members.get_mut(id) else { return };
        if let Some(timer) = member.session.take() {
            cx.timers.cancel(timer);
        }
        let due = Due::ConsumerSession {
            group: self.id.clone(),
            member: id.to_string(),
        };
        let classic = member.classic.as_ref().map(|classic| classic.session_timeout_ms);
        let timeout_ms = classic.unwrap_or(cx.config.consumer_session_timeout_ms);
        member.session = Some(cx.timers.arm(cx.in_ms(timeout_ms), due));
    }
}
