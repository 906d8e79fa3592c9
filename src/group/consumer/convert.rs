//! A live group changes its kind: to the new protocol when the first such member joins, back when the last one has gone.

use super::group::{ConsumerGroup, Key};
use super::member::ConsumerMember;
use super::write::Reply;
use super::{Held, holds};
use crate::base::ids::Now;
use crate::group::classic::{Group, State};
use crate::group::machine::{Groups, Outbox, Then, Write};
use crate::group::member::Member;
use crate::group::topics::Topics;
use crate::wire::error::ErrorCode;
use crate::wire::group::consumer_group_heartbeat::TopicPartitions;
use crate::wire::group::consumer_protocol::ConsumerAssignment;
use crate::wire::group::records::ClassicMemberMetadata;
use crate::wire::guard::Budget;

impl Groups {
    /// The group of the new protocol that a classic one becomes; `None` when it may not, or its members speak in a way that
    /// cannot be understood.
    pub(super) fn upgraded(&self, classic: &Group) -> Option<ConsumerGroup> {
        let mut group = ConsumerGroup::new(&classic.id);
        group.dirty.insert(Key::Classic);
        if classic.state == State::Empty {
            return Some(group);
        }
        let fits = classic.members.len() < self.config.consumer_members_max;
        if !self.config.migration.upgrades() || !classic.is_consumers() || !fits {
            return None;
        }
        group.epoch = classic.generation;
        group.assignment_epoch = classic.generation;
        for member in classic.members.values() {
            group.take_in(member, classic, &self.topics)?;
        }
        group.dirty.extend(group.all_keys());
        Some(group)
    }

    /// Puts the group in place of the classic one, whose members are told to join again.
    pub(super) fn upgrade(&mut self, group: ConsumerGroup, now: Now, out: &mut Outbox) {
        let id = group.id.clone();
        if !group.members.is_empty() {
            let members = group.members.len();
            tracing::info!(group = %id.escape_debug(), members, "classic group goes on with the new protocol");
        }
        self.with_group(&id, now, out, |classic, cx| {
            classic.dissolve(cx, ErrorCode::RebalanceInProgress)
        });
        self.drop_group(&id);
        self.put_consumer(group);
        self.with_consumer(&id, now, out, |group, cx| {
            let ids: Vec<String> = group.members.keys().cloned().collect();
            ids.iter().for_each(|id| group.arm_session(cx, id));
        });
    }

    /// Whether only classic members are left.
    pub(super) fn may_downgrade(&self, id: &str) -> bool {
        self.config.migration.downgrades()
            && self.consumers.get(id).is_some_and(|group| {
                let left = group.members.len();
                let all_classic = group.members.values().all(|member| member.classic.is_some());
                left > 0 && left <= self.config.members_max && all_classic && !group.dead
            })
    }

    /// Makes it a classic group, which rebalances; the reply leaves when that is stored.
    pub(super) fn downgrade(&mut self, id: &str, now: Now, reply: Option<Reply>, out: &mut Outbox) {
        let Some(group) = self.consumers.get(id) else { return };
        tracing::info!(group = %id.escape_debug(), members = group.members.len(), "group goes on with the classic protocol");
        let classic = group.to_classic(&self.topics, now.wall_ms);
        let mut records = self.retire_consumer(id);
        records.push(classic.to_record(&classic.assignments()));
        let then = match reply {
            Some((ticket, answer)) => Then::Reply(ticket, answer),
            None => Then::Nothing,
        };
        out.writes.push(Write { records, then });
        self.put(classic);
        self.with_group(id, now, out, |group, cx| {
            for id in group.members.keys().cloned().collect::<Vec<_>>() {
                group.arm_session(cx, &id, None);
            }
            group.prepare_rebalance(cx, "the last member of the new protocol has left");
        });
    }
}

impl ConsumerGroup {
    /// Takes a classic member in with what it has, stable in the group's epoch.
    fn take_in(&mut self, classic: &Member, group: &Group, topics: &Topics) -> Option<()> {
        let wanted = super::classic::subscription(&classic.protocols)?;
        let assigned = match classic.assignment.is_empty() || group.state != State::Stable {
            true => Vec::new(),
            false => {
                let assigned = ConsumerAssignment::decode(&classic.assignment, Budget::default()).ok()?;
                super::classic::by_id(assigned.assigned_partitions, topics)
            }
        };
        let mut member = ConsumerMember::new(&classic.id);
        member.instance_id.clone_from(&classic.instance_id);
        member.rack_id = wanted.rack_id;
        member.client_id.clone_from(&classic.client_id);
        member.client_host.clone_from(&classic.client_host);
        member.rebalance_timeout_ms = classic.rebalance_timeout_ms;
        member.topics = wanted.topics.into_iter().collect();
        (member.epoch, member.previous_epoch) = (group.generation, group.generation);
        member.assigned = self.free_of(assigned, group.generation);
        member.classic = Some(ClassicMemberMetadata {
            session_timeout_ms: classic.session_timeout_ms,
            supported_protocols: classic.protocols.clone(),
        });
        let target = member
            .assigned
            .iter()
            .map(|(topic, all)| (*topic, all.keys().copied().collect()));
        self.target.insert(classic.id.clone(), target.collect());
        let assigned = member.assigned.clone();
        self.hold(&assigned);
        let instance = member.instance_id.clone();
        self.statics
            .extend(instance.map(|instance| (instance, classic.id.clone())));
        self.members.insert(classic.id.clone(), member);
        Some(())
    }

    /// A classic leader may have given a partition to two: here only one has it.
    fn free_of(&self, assigned: Vec<TopicPartitions>, epoch: i32) -> Held {
        let mut held = Held::new();
        for topic in assigned {
            for partition in topic.partitions {
                if !self.is_held(topic.topic_id, partition) && !holds(&held, topic.topic_id, partition) {
                    held.entry(topic.topic_id).or_default().insert(partition, epoch);
                }
            }
        }
        held
    }

    fn to_classic(&self, topics: &Topics, now_ms: i64) -> Group {
        let mut group = Group::new(&self.id, now_ms);
        // That of its members, who are to rejoin without having lost anything.
        group.generation = self.assignment_epoch;
        for member in self.members.values() {
            group.add(member.to_classic(topics));
        }
        group.protocol = group.elected_protocol();
        group.move_to(State::Stable, now_ms);
        group
    }
}

impl ConsumerMember {
    fn to_classic(&self, topics: &Topics) -> Member {
        let classic = self.classic.clone().unwrap_or_default();
        Member {
            id: self.id.clone(),
            instance_id: self.instance_id.clone(),
            client_id: self.client_id.clone(),
            client_host: self.client_host.clone(),
            rebalance_timeout_ms: self.rebalance_timeout_ms,
            session_timeout_ms: classic.session_timeout_ms,
            protocol_type: crate::group::admin::CONSUMER.to_string(),
            assignment: self.classic_assignment(topics),
            protocols: classic.supported_protocols,
            joining: None,
            syncing: None,
            is_new: false,
            session: None,
        }
    }
}
