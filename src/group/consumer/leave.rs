//! How members go: by leaving, for good or for a while, or by not being heard of, or by not giving partitions up in time.

use super::group::{ConsumerGroup, Key};
use super::{Held, Refusal, refuse};
use crate::base::ids::Now;
use crate::group::machine::{Cx, Groups, Outbox};
use crate::group::topics::Topics;
use crate::wire::error::ErrorCode;
use crate::wire::group::consumer_group_heartbeat::{
    ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse, member_epoch,
};

impl Groups {
    pub(super) fn consumer_leave(
        &mut self,
        now: Now,
        request: &ConsumerGroupHeartbeatRequest,
        out: &mut Outbox,
    ) -> Result<ConsumerGroupHeartbeatResponse, Refusal> {
        let topics = self.topics.clone();
        let left = self.with_consumer(&request.group_id, now, out, |group, cx| {
            group.leave(cx, &topics, request)
        });
        let not_found = || {
            refuse(
                ErrorCode::GroupIdNotFound,
                format!("Group {} not found.", request.group_id),
            )
        };
        left.unwrap_or_else(not_found)?;
        Ok(ConsumerGroupHeartbeatResponse {
            member_id: Some(request.member_id.clone()),
            member_epoch: request.member_epoch,
            ..ConsumerGroupHeartbeatResponse::default()
        })
    }

    /// A member was not heard of in time.
    pub(in crate::group) fn consumer_session_over(&mut self, id: &str, member: &str, now: Now, out: &mut Outbox) {
        self.fence(id, member, now, out, "member's session has expired");
    }

    /// A member has had its time to give partitions up.
    pub(in crate::group) fn revocation_over(&mut self, id: &str, member: &str, epoch: i32, now: Now, out: &mut Outbox) {
        let found = self.consumers.get(id).and_then(|group| group.members.get(member));
        if found.is_some_and(|member| member.epoch == epoch) {
            self.fence(id, member, now, out, "member has not given up its partitions in time");
        }
    }

    fn fence(&mut self, id: &str, member: &str, now: Now, out: &mut Outbox, why: &str) {
        let topics = self.topics.clone();
        self.with_consumer(id, now, out, |group, cx| {
            if group.members.contains_key(member) {
                let (id, member) = (id.escape_debug(), member.escape_debug());
                tracing::info!(group = %id, %member, "{why}");
            }
            group.remove(cx, &topics, member);
        });
        self.conclude(id, now, None, out);
    }
}

impl ConsumerGroup {
    fn leave(&mut self, cx: &mut Cx, topics: &Topics, request: &ConsumerGroupHeartbeatRequest) -> Result<(), Refusal> {
        let id = request.member_id.as_str();
        if self.dead {
            return refuse(ErrorCode::CoordinatorNotAvailable, "The group is being deleted.");
        }
        let known = match &request.instance_id {
            None => self.members.contains_key(id),
            Some(instance) => match self.statics.get(instance) {
                Some(other) if other != id => {
                    let why = format!("The instance id {instance} is used by another member.");
                    return refuse(ErrorCode::FencedInstanceId, why);
                }
                known => known.is_some(),
            },
        };
        if !known {
            return refuse(
                ErrorCode::UnknownMemberId,
                format!("{id} is not a member of the group."),
            );
        }
        match request.member_epoch {
            member_epoch::LEAVE_STATIC => self.leave_for_a_while(cx, id),
            _ => self.remove(cx, topics, id),
        }
        Ok(())
    }

    /// A static member will be back within its session timeout, and keeps what it has. What it had to give up it has.
    fn leave_for_a_while(&mut self, cx: &mut Cx, id: &str) {
        let Some(member) = self.members.get_mut(id) else { return };
        member.epoch = member_epoch::LEAVE_STATIC;
        let revoked = std::mem::take(&mut member.revoking);
        // Its next incarnation begins with epoch 0, and may commit.
        let epochs = member.assigned.values_mut().flat_map(|held| held.values_mut());
        epochs.for_each(|epoch| *epoch = 0);
        if let Some(timer) = member.rebalance.take() {
            cx.timers.cancel(timer);
        }
        self.release(&revoked);
        self.dirty.insert(Key::Current(id.to_string()));
    }

    /// Forgets a member; what it held is free.
    pub(super) fn remove(&mut self, cx: &mut Cx, topics: &Topics, id: &str) {
        let Some(mut member) = self.members.remove(id) else {
            return;
        };
        for timer in [member.session.take(), member.rebalance.take()].into_iter().flatten() {
            cx.timers.cancel(timer);
        }
        let (assigned, revoking): (Held, Held) = (member.assigned, member.revoking);
        self.release(&assigned);
        self.release(&revoking);
        self.target.remove(id);
        if let Some(instance) = &member.instance_id
            && self.statics.get(instance).is_some_and(|known| known == id)
        {
            self.statics.remove(instance);
        }
        self.touch_member(id);
        self.refresh(cx, topics, true);
    }
}
