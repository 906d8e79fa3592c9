//! From a change to its answer: records, in order, and what waits for them.

use super::group::ConsumerGroup;
use crate::base::ids::Now;
use crate::group::machine::{Cx, Groups, Outbox, Then, Ticket, Write};
use crate::group::request::{GroupAnswer, failed};
use crate::wire::error::ErrorCode;
use crate::wire::group::consumer_group_heartbeat::ConsumerGroupHeartbeatRequest;
use crate::wire::group::records::GroupRecord;

/// An answer and whose it is.
pub(in crate::group) type Reply = (Ticket, GroupAnswer);

impl Groups {
    pub(in crate::group) fn with_consumer<R>(
        &mut self,
        id: &str,
        now: Now,
        out: &mut Outbox,
        call: impl FnOnce(&mut ConsumerGroup, &mut Cx) -> R,
    ) -> Option<R> {
        let group = self.consumers.get_mut(id)?;
        let mut cx = Cx {
            now,
            config: &self.config,
            timers: &mut self.timers,
            out,
        };
        Some(call(group, &mut cx))
    }

    /// Takes a group in; there is none of that name.
    pub(in crate::group) fn put_consumer(&mut self, mut group: ConsumerGroup) {
        group.bytes = group.count_bytes();
        self.bytes += group.bytes;
        self.consumers.insert(group.id.clone(), group);
    }

    /// Forgets a group, with the deadlines of its members.
    pub(in crate::group) fn drop_consumer(&mut self, id: &str) {
        let Some(group) = self.consumers.remove(id) else { return };
        self.bytes -= group.bytes;
        let timers = group
            .members
            .values()
            .flat_map(|member| [member.session, member.rebalance]);
        for timer in timers.flatten() {
            self.timers.cancel(timer);
        }
    }

    /// Ends a call to a group: what it changed is written, and the reply leaves when that and all before it is durable.
    pub(in crate::group) fn conclude(&mut self, id: &str, now: Now, reply: Option<Reply>, out: &mut Outbox) {
        if self.may_downgrade(id) {
            return self.downgrade(id, now, reply, out);
        }
        let Some(group) = self.consumers.get_mut(id) else {
            return out.answers.extend(reply);
        };
        if group.dirty.is_empty() {
            return match reply {
                // It may speak of what is still on its way to the log.
                Some(reply) if group.written > group.landed => {
                    self.waiting.entry(group.written).or_default().push(reply);
                }
                reply => out.answers.extend(reply),
            };
        }
        let before = group.bytes;
        group.bytes = group.count_bytes();
        self.bytes = self.bytes + group.bytes - before;
        let then = Then::Consumer {
            group: id.to_string(),
            sequence: self.sequence + 1,
            reply,
        };
        self.sequence += 1;
        group.written = self.sequence;
        out.writes.push(Write {
            records: group.take_records(),
            then,
        });
    }

    /// A write of a group is durable, or refused. What was not written is made up for by the group's next write; until then no
    /// answer may speak of it.
    pub(in crate::group) fn consumer_landed(
        &mut self,
        records: Vec<GroupRecord>,
        then: Then,
        refused: Option<ErrorCode>,
        out: &mut Outbox,
    ) {
        let Then::Consumer { group, sequence, reply } = then else {
            return;
        };
        let mut error = refused;
        if let Some(group) = self.consumers.get_mut(&group) {
            group.landed = group.landed.max(sequence);
            if !group.dirty.is_empty() {
                error = error.or(Some(ErrorCode::CoordinatorNotAvailable));
            }
            if refused.is_some() {
                group.dirty.extend(records.iter().filter_map(super::replay::key_of));
            }
        }
        let waiting = self.waiting.remove(&sequence).into_iter().flatten();
        let tell = |(ticket, answer)| match error {
            None => (ticket, answer),
            Some(error) => (ticket, failed(answer, error)),
        };
        out.answers.extend(reply.into_iter().chain(waiting).map(tell));
    }

    /// Memory of all groups as they came from the log.
    pub(in crate::group) fn count_consumers(&mut self) {
        for group in self.consumers.values_mut() {
            let before = group.bytes;
            group.bytes = group.count_bytes();
            self.bytes = self.bytes + group.bytes - before;
        }
    }

    /// Whether a heartbeat would make a member, or one that takes more memory.
    pub(in crate::group) fn consumer_grows(&self, request: &ConsumerGroupHeartbeatRequest) -> bool {
        let group = self.consumers.get(&request.group_id);
        let member = group.and_then(|group| group.members.get(&request.member_id));
        let names = request.subscribed_topic_names.iter().flatten();
        let asked = names.map(|name| size_of::<String>() + name.len()).sum::<usize>();
        match member {
            None => request.member_epoch >= 0,
            Some(member) => asked > member.bytes(),
        }
    }
}
