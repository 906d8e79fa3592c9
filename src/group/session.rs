//! Members' sessions: heartbeats, their absence, and LeaveGroup.

use super::classic::{Group, State};
use super::machine::{Cx, Due, Groups, Outbox};
use crate::base::ids::Now;
use crate::wire::error::ErrorCode;
use crate::wire::group::heartbeat::HeartbeatRequest;
use crate::wire::group::leave_group::{LeaveGroupRequest, LeaveGroupResponse, LeavingMember, LeftMember};

impl Groups {
    pub(super) fn heartbeat(&mut self, now: Now, request: &HeartbeatRequest, out: &mut Outbox) -> ErrorCode {
        if request.group_id.is_empty() {
            return ErrorCode::InvalidGroupId;
        }
        if self.consumers.contains_key(&request.group_id) {
            return self.classic_heartbeat(now, request, out);
        }
        let checked = self.with_group(&request.group_id, now, out, |group, cx| group.heartbeat(cx, request));
        match checked {
            None => ErrorCode::UnknownMemberId,
            Some(Err(error)) => error,
            Some(Ok(())) => ErrorCode::None,
        }
    }

    pub(super) fn leave(&mut self, now: Now, request: &LeaveGroupRequest, out: &mut Outbox) -> LeaveGroupResponse {
        if request.group_id.is_empty() {
            return LeaveGroupResponse {
                error: ErrorCode::InvalidGroupId,
                ..LeaveGroupResponse::default()
            };
        }
        let left = self.with_group(&request.group_id, now, out, |group, cx| {
            group.leave(cx, &request.members)
        });
        left.unwrap_or_else(|| LeaveGroupResponse {
            members: request
                .members
                .iter()
                .map(|member| outcome(member, ErrorCode::UnknownMemberId))
                .collect(),
            ..LeaveGroupResponse::default()
        })
    }
}

fn outcome(member: &LeavingMember, error: ErrorCode) -> LeftMember {
    LeftMember {
        member_id: member.member_id.clone(),
        group_instance_id: member.group_instance_id.clone(),
        error,
    }
}

impl Group {
    /// The member has shown itself: it is given up after its session timeout, or after `timeout_ms`.
    pub(super) fn arm_session(&mut self, cx: &mut Cx, id: &str, timeout_ms: Option<i32>) {
        let Some(member) = self.members.get_mut(id) else { return };
        if let Some(timer) = member.session.take() {
            cx.timers.cancel(timer);
        }
        let due = Due::Session {
            group: self.id.clone(),
            member: id.to_string(),
        };
        let at = cx.in_ms(timeout_ms.unwrap_or(member.session_timeout_ms));
        member.session = Some(cx.timers.arm(at, due));
    }

    fn heartbeat(&mut self, cx: &mut Cx, request: &HeartbeatRequest) -> Result<(), ErrorCode> {
        if self.state == State::Dead {
            return Err(ErrorCode::CoordinatorNotAvailable);
        }
        self.check_member(&request.member_id, request.group_instance_id.as_deref())?;
        if request.generation_id != self.generation {
            return Err(ErrorCode::IllegalGeneration);
        }
        match self.state {
            State::Empty | State::Dead => Err(ErrorCode::UnknownMemberId),
            State::Preparing => {
                self.arm_session(cx, &request.member_id, None);
                Err(ErrorCode::RebalanceInProgress)
            }
            State::Completing | State::Stable => {
                self.arm_session(cx, &request.member_id, None);
                Ok(())
            }
        }
    }

    /// A member, pending or not, was not heard of in time.
    pub(super) fn session_expired(&mut self, cx: &mut Cx, id: &str) {
        if self.pending.contains_key(id) {
            self.remove(cx, id);
            return self.complete_if_gone(cx);
        }
        let Some(member) = self.members.get_mut(id) else { return };
        member.session = None;
        if member.needs_no_heartbeat() {
            return;
        }
        let (group, member) = (self.id.escape_debug(), id.escape_debug());
        tracing::info!(%group, %member, "member's session has expired");
        self.remove(cx, id);
        self.member_gone(cx, "a member's session has expired");
    }

    fn member_gone(&mut self, cx: &mut Cx, reason: &str) {
        match self.state {
            State::Stable | State::Completing => self.prepare_rebalance(cx, reason),
            _ => self.complete_if_gone(cx),
        }
    }

    /// Who was waited for does not come any more: perhaps all others are there.
    fn complete_if_gone(&mut self, cx: &mut Cx) {
        if self.state == State::Preparing && self.all_joined() {
            self.complete_join(cx);
        }
    }

    fn leave(&mut self, cx: &mut Cx, members: &[LeavingMember]) -> LeaveGroupResponse {
        if self.state == State::Dead {
            return LeaveGroupResponse {
                error: ErrorCode::CoordinatorNotAvailable,
                ..LeaveGroupResponse::default()
            };
        }
        let left: Vec<_> = members
            .iter()
            .map(|m| outcome(m, self.remove_leaving(cx, m).err().unwrap_or_default()))
            .collect();
        if left.iter().any(|member| member.error == ErrorCode::None) {
            match self.state {
                State::Stable | State::Completing => self.prepare_rebalance(cx, "members have left"),
                _ => self.complete_if_all_joined(cx),
            }
        }
        LeaveGroupResponse {
            members: left,
            ..LeaveGroupResponse::default()
        }
    }

    fn remove_leaving(&mut self, cx: &mut Cx, leaving: &LeavingMember) -> Result<(), ErrorCode> {
        let instance = leaving.group_instance_id.as_deref();
        let id = match leaving.member_id.as_str() {
            // An administrator removes a static member by its instance id.
            "" => instance
                .and_then(|i| self.statics.get(i))
                .cloned()
                .ok_or(ErrorCode::UnknownMemberId)?,
            id => {
                if !self.pending.contains_key(id) {
                    self.check_member(id, instance)?;
                }
                id.to_string()
            }
        };
        self.remove(cx, &id);
        Ok(())
    }
}
