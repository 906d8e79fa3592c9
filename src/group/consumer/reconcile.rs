//! The next step of a member towards its target: give up first, then the new epoch, then what others have released
//! (`CurrentAssignmentBuilder` of Kafka).

use super::group::{ConsumerGroup, Key};
use super::member::{ConsumerMember, MemberState};
use super::{Held, Partitions, holds};
use crate::group::machine::{Cx, Due};
use crate::wire::group::consumer_group_heartbeat::TopicPartitions;

/// Where a step leads.
struct Next {
    state: MemberState,
    epoch: i32,
    assigned: Held,
    revoking: Held,
}

/// Whether the member still has any of these, going by what it says; true when it says nothing.
fn still_has(owned: Option<&[TopicPartitions]>, held: &Held) -> bool {
    let Some(owned) = owned else { return true };
    let mut all = owned
        .iter()
        .flat_map(|topic| topic.partitions.iter().map(|p| (topic.topic_id, *p)));
    all.any(|(topic, partition)| holds(held, topic, partition))
}

impl ConsumerGroup {
    /// Moves a member on, if it can. What is about to be written is that it has moved.
    pub(super) fn reconcile(&mut self, cx: &mut Cx, id: &str, owned: Option<&[TopicPartitions]>) {
        let Some(member) = self.members.get(id) else { return };
        let moves = match member.state {
            MemberState::Stable => member.epoch != self.assignment_epoch,
            MemberState::Unrevoked => !still_has(owned, &member.revoking),
            MemberState::Unreleased => true,
        };
        let Some(next) = moves.then(|| self.next(member, owned)) else {
            return;
        };
        if (next.state, next.epoch) == (member.state, member.epoch)
            && (&next.assigned, &next.revoking) == (&member.assigned, &member.revoking)
        {
            return;
        }
        self.move_on(id, next);
        self.arm_rebalance(cx, id);
    }

    fn next(&self, member: &ConsumerMember, owned: Option<&[TopicPartitions]>) -> Next {
        let nothing = Partitions::new();
        let target = self.target.get(&member.id).unwrap_or(&nothing);
        let wanted = |topic, partition| target.get(topic).is_some_and(|wanted| wanted.contains(partition));
        let (mut assigned, mut revoking) = (Held::new(), Held::new());
        for (topic, partitions) in &member.assigned {
            for (partition, epoch) in partitions {
                let side = if wanted(topic, partition) {
                    &mut assigned
                } else {
                    &mut revoking
                };
                side.entry(*topic).or_default().insert(*partition, *epoch);
            }
        }
        if !revoking.is_empty() && still_has(owned, &revoking) {
            return Next {
                state: MemberState::Unrevoked,
                epoch: member.epoch,
                assigned,
                revoking,
            };
        }
        let mut state = MemberState::Stable;
        let pairs = target
            .iter()
            .flat_map(|(topic, wanted)| wanted.iter().map(|p| (*topic, *p)));
        for (topic, partition) in pairs.filter(|(topic, p)| !holds(&member.assigned, *topic, *p)) {
            if self.is_held(topic, partition) && !holds(&member.revoking, topic, partition) {
                state = MemberState::Unreleased;
                continue;
            }
            let slot = assigned.entry(topic).or_default();
            slot.insert(partition, self.assignment_epoch);
        }
        Next {
            state,
            epoch: self.assignment_epoch,
            assigned,
            revoking: Held::new(),
        }
    }

    fn move_on(&mut self, id: &str, next: Next) {
        let Some(member) = self.members.get_mut(id) else { return };
        let assigned = std::mem::replace(&mut member.assigned, next.assigned);
        let revoking = std::mem::replace(&mut member.revoking, next.revoking);
        member.previous_epoch = member.epoch;
        member.epoch = next.epoch;
        member.state = next.state;
        let (group, member_id, epoch) = (self.id.escape_debug(), id.escape_debug(), member.epoch);
        tracing::debug!(%group, member = %member_id, epoch, state = ?member.state, "member moves on");
        let (assigned_now, revoking_now) = (member.assigned.clone(), member.revoking.clone());
        self.release(&assigned);
        self.release(&revoking);
        self.hold(&assigned_now);
        self.hold(&revoking_now);
        self.dirty.insert(Key::Current(id.to_string()));
    }

    /// A member that has to give partitions up has its rebalance timeout for it.
    pub(super) fn arm_rebalance(&mut self, cx: &mut Cx, id: &str) {
        // Classic members have their time to join instead.
        let Some(member) = self.members.get_mut(id).filter(|member| member.classic.is_none()) else {
            return;
        };
        if let Some(timer) = member.rebalance.take() {
            cx.timers.cancel(timer);
        }
        if member.state == MemberState::Unrevoked {
            let due = Due::Revocation {
                group: self.id.clone(),
                member: id.to_string(),
                epoch: member.epoch,
            };
            member.rebalance = Some(cx.timers.arm(cx.in_ms(member.rebalance_timeout_ms), due));
        }
    }
}
