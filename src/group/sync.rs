//! SyncGroup: the leader brings the assignment, the others fetch theirs.

use super::classic::{Group, State};
use super::machine::{Cx, Groups, Outbox, Then, Ticket};
use super::request::{GroupAnswer, sync_refused};
use crate::base::ids::Now;
use crate::wire::error::ErrorCode;
use crate::wire::group::sync_group::{SyncGroupRequest, SyncGroupResponse};
use bytes::Bytes;
use std::collections::BTreeMap;

impl Groups {
    pub(super) fn sync(&mut self, now: Now, ticket: Ticket, request: SyncGroupRequest, out: &mut Outbox) {
        let refused = |error| (ticket, GroupAnswer::Sync(sync_refused(error)));
        if request.group_id.is_empty() {
            return out.answers.push(refused(ErrorCode::InvalidGroupId));
        }
        let id = request.group_id.clone();
        if self.consumers.contains_key(&id) {
            return self.classic_sync(now, ticket, request, out);
        }
        let found = self.with_group(&id, now, out, |group, cx| group.sync(cx, ticket, request));
        if found.is_none() {
            out.answers.push(refused(ErrorCode::UnknownMemberId));
        }
    }
}

impl Group {
    fn sync(&mut self, cx: &mut Cx, ticket: Ticket, request: SyncGroupRequest) {
        if let Err(error) = self.check_sync(&request) {
            return cx.sync(ticket, sync_refused(error));
        }
        match self.state {
            State::Completing => self.sync_completing(cx, ticket, request),
            State::Stable => {
                self.pending_synced(cx, &request.member_id);
                let member = self.members.get(&request.member_id);
                let answer = SyncGroupResponse {
                    protocol_type: self.protocol_type.clone(),
                    protocol_name: self.protocol.clone(),
                    assignment: member.map_or_else(Bytes::new, |member| member.assignment.clone()),
                    ..SyncGroupResponse::default()
                };
                cx.sync(ticket, answer);
            }
            State::Preparing => cx.sync(ticket, sync_refused(ErrorCode::RebalanceInProgress)),
            State::Empty | State::Dead => cx.sync(ticket, sync_refused(ErrorCode::UnknownMemberId)),
        }
    }

    fn check_sync(&self, request: &SyncGroupRequest) -> Result<(), ErrorCode> {
        match self.state {
            State::Dead => return Err(ErrorCode::CoordinatorNotAvailable),
            State::Empty => return Err(ErrorCode::UnknownMemberId),
            _ => {}
        }
        self.check_member(&request.member_id, request.group_instance_id.as_deref())?;
        if request.generation_id != self.generation {
            return Err(ErrorCode::IllegalGeneration);
        }
        let differs = |said: &Option<String>, is: &Option<String>| {
            said.as_ref().zip(is.as_ref()).is_some_and(|(said, is)| said != is)
        };
        if differs(&request.protocol_type, &self.protocol_type) || differs(&request.protocol_name, &self.protocol) {
            return Err(ErrorCode::InconsistentGroupProtocol);
        }
        Ok(())
    }

    fn sync_completing(&mut self, cx: &mut Cx, ticket: Ticket, request: SyncGroupRequest) {
        self.pending_synced(cx, &request.member_id);
        if let Some(member) = self.members.get_mut(&request.member_id)
            && let Some(given_up) = member.syncing.replace(ticket)
        {
            cx.sync(given_up, sync_refused(ErrorCode::RebalanceInProgress));
        }
        if !self.is_leader(&request.member_id) {
            return;
        }
        // Members that the leader left out get nothing; assignments for strangers are dropped.
        let given = request
            .assignments
            .into_iter()
            .map(|given| (given.member_id, given.assignment));
        let mut given: BTreeMap<String, Bytes> = given.collect();
        let own = |id: &String| (id.clone(), given.remove(id).unwrap_or_default());
        let assignments: BTreeMap<String, Bytes> = self.members.keys().map(own).collect();
        let record = self.to_record(&assignments);
        let then = Then::Assigned {
            group: self.id.clone(),
            generation: self.generation,
            assignments,
        };
        cx.write(vec![record], then);
    }

    /// The member has synced; when all have, nobody needs to be waited for.
    fn pending_synced(&mut self, cx: &mut Cx, id: &str) {
        self.pending_sync.remove(id);
        if self.pending_sync.is_empty()
            && let Some(timer) = self.sync_timer.take()
        {
            cx.timers.cancel(timer);
        }
    }
}
