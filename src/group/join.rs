//! JoinGroup (`GroupMetadataManager.classicGroupJoin` of Kafka).

use super::classic::{Group, State};
use super::machine::{Cx, Due, Groups, Outbox, Then, Ticket, Write};
use super::member::Member;
use super::request::{Caller, GroupAnswer, join_refused};
use crate::base::ids::Now;
use crate::wire::error::ErrorCode;
use crate::wire::group::join_group::{JoinGroupRequest, JoinGroupResponse};

/// A new member that had no answer to JoinGroup may wait this long: it cannot send heartbeats, and its connection may be gone
/// (`classicGroupNewMemberJoinTimeoutMs`).
const NEW_MEMBER_TIMEOUT_MS: i32 = 300_000;

/// Who joins, and how.
type Joining<'a> = (&'a Caller, &'a JoinGroupRequest);

/// A static member that rejoined a stable group, until it is stored under its new id.
#[derive(Debug)]
pub(super) struct Rename {
    pub group: String,
    /// As it was, with its old id.
    old: Member,
    new_id: String,
    /// Before the change.
    leader: Option<String>,
    may_skip_assignment: bool,
}

impl Groups {
    pub(super) fn join(
        &mut self,
        now: Now,
        ticket: Ticket,
        caller: &Caller,
        request: JoinGroupRequest,
        out: &mut Outbox,
    ) {
        let refused = |error| GroupAnswer::Join(join_refused(error, request.member_id.as_str()));
        if request.group_id.is_empty() {
            return out.answers.push((ticket, refused(ErrorCode::InvalidGroupId)));
        }
        let bounds = self.config.session_timeout_ms_min..=self.config.session_timeout_ms_max;
        if !bounds.contains(&request.session_timeout_ms) {
            return out.answers.push((ticket, refused(ErrorCode::InvalidSessionTimeout)));
        }
        if let Some(group) = self.consumers.get(&request.group_id) {
            if !group.is_empty() {
                return self.classic_join(now, ticket, caller, request, out);
            }
            let records = self.retire_consumer(&request.group_id);
            out.writes.push(Write {
                records,
                then: Then::Nothing,
            });
        }
        let is_new = !self.groups.contains_key(&request.group_id);
        if is_new && !request.member_id.is_empty() {
            return out.answers.push((ticket, refused(ErrorCode::UnknownMemberId)));
        }
        let new_id = request.member_id.is_empty().then(|| {
            let prefix = request.group_instance_id.as_deref().unwrap_or(&caller.client_id);
            self.new_member_id(prefix)
        });
        if is_new {
            self.put(Group::new(&request.group_id, now.wall_ms));
        }
        let written = out.writes.len();
        self.with_group(&request.group_id, now, out, |group, cx| match new_id {
            _ if !group.accepts(&request.member_id, cx.config.members_max) => {
                group.remove(cx, &request.member_id);
                cx.join(ticket, join_refused(ErrorCode::GroupMaxSizeReached, ""));
                // Nobody waits for the one that was turned away.
                group.complete_if_all_joined(cx);
            }
            Some(id) => group.join_new(cx, ticket, (caller, &request), id),
            None => group.join_known(cx, ticket, (caller, &request)),
        });
        if is_new && out.writes.len() == written {
            self.store_new(&request.group_id, now, out);
        }
    }

    /// Makes a new group known to the log, unless nobody came in.
    fn store_new(&mut self, id: &str, now: Now, out: &mut Outbox) {
        let Some(group) = self.groups.get(id) else { return };
        if group.members.is_empty() && group.pending.is_empty() {
            self.drop_group(id);
            return;
        }
        let record = Group::new(id, now.wall_ms).to_record(&Default::default());
        self.with_group(id, now, out, |group, cx| {
            cx.write(vec![record], Then::Created(group.id.clone()))
        });
    }
}

impl Group {
    /// Whether there is room for the member that joins.
    fn accepts(&self, member_id: &str, members_max: usize) -> bool {
        let member = self.members.get(member_id);
        match self.state {
            State::Empty | State::Dead => true,
            // Counted are those who wait: when the group is too large, the last to rejoin are turned away.
            State::Preparing => member.is_some_and(|m| m.joining.is_some()) || self.awaiting_join < members_max,
            State::Completing | State::Stable => member.is_some() || self.members.len() < members_max,
        }
    }

    fn join_new(&mut self, cx: &mut Cx, ticket: Ticket, joining: Joining, id: String) {
        let (caller, request) = joining;
        if self.state == State::Dead {
            return cx.join(ticket, join_refused(ErrorCode::CoordinatorNotAvailable, ""));
        }
        if !self.supports(&request.protocol_type, &request.protocols) {
            return cx.join(ticket, join_refused(ErrorCode::InconsistentGroupProtocol, ""));
        }
        let known = request
            .group_instance_id
            .as_ref()
            .and_then(|instance| self.statics.get(instance));
        if let Some(old) = known.cloned() {
            return self.rejoin_static(cx, ticket, joining, &old, id);
        }
        if request.group_instance_id.is_some() || !caller.requires_member_id() {
            return self.add_joining(cx, ticket, joining, id);
        }
        let due = Due::Session {
            group: self.id.clone(),
            member: id.clone(),
        };
        let timer = cx.timers.arm(cx.in_ms(request.session_timeout_ms), due);
        self.pending.insert(id.clone(), timer);
        cx.join(ticket, join_refused(ErrorCode::MemberIdRequired, id));
    }

    fn join_known(&mut self, cx: &mut Cx, ticket: Ticket, joining: Joining) {
        let (_, request) = joining;
        let id = request.member_id.as_str();
        if self.state == State::Dead {
            return cx.join(ticket, join_refused(ErrorCode::CoordinatorNotAvailable, id));
        }
        if !self.supports(&request.protocol_type, &request.protocols) {
            return cx.join(ticket, join_refused(ErrorCode::InconsistentGroupProtocol, id));
        }
        if self.pending.contains_key(id) && request.group_instance_id.is_none() {
            return self.add_joining(cx, ticket, joining, id.to_string());
        }
        if let Err(error) = self.check_member(id, request.group_instance_id.as_deref()) {
            return cx.join(ticket, join_refused(error, id));
        }
        let same = self
            .members
            .get(id)
            .is_some_and(|member| member.protocols == request.protocols);
        match self.state {
            State::Preparing => self.update_joining(cx, ticket, request),
            // The answer may have been lost; or, in a stable group, a follower asks again. A leader's JoinGroup means that it
            // wants to assign anew.
            State::Completing if same => cx.join(ticket, self.joined(id)),
            State::Stable if same && !self.is_leader(id) => cx.join(ticket, self.joined(id)),
            State::Completing | State::Stable => self.update_joining(cx, ticket, request),
            State::Empty | State::Dead => cx.join(ticket, join_refused(ErrorCode::UnknownMemberId, id)),
        }
    }

    fn update_joining(&mut self, cx: &mut Cx, ticket: Ticket, request: &JoinGroupRequest) {
        let timeouts = (request.rebalance_timeout_ms, request.session_timeout_ms);
        self.update(cx, &request.member_id, &request.protocols, timeouts, ticket);
        self.rebalance_or_complete(cx, reason(request));
    }

    fn add_joining(&mut self, cx: &mut Cx, ticket: Ticket, (caller, request): Joining, id: String) {
        if let Some(timer) = self.pending.remove(&id) {
            cx.timers.cancel(timer);
        }
        let mut member = Member::new(id.clone(), caller, request);
        member.joining = Some(ticket);
        self.member_added |= self.state == State::Preparing && self.previous == State::Empty;
        self.add(member);
        self.arm_session(cx, &id, Some(NEW_MEMBER_TIMEOUT_MS));
        self.rebalance_or_complete(cx, reason(request));
    }

    /// A static member comes back without its id: it gets a new one, and whoever has the old one is fenced (KIP-345).
    fn rejoin_static(&mut self, cx: &mut Cx, ticket: Ticket, (caller, request): Joining, old_id: &str, new_id: String) {
        let leader = self.leader.clone();
        let Some(mut old) = self.members.get(old_id).cloned() else {
            return cx.join(ticket, join_refused(ErrorCode::UnknownMemberId, ""));
        };
        (old.joining, old.syncing, old.session) = (None, None, None);
        self.rename(cx, old_id, &new_id);
        let timeouts = (request.rebalance_timeout_ms, request.session_timeout_ms);
        self.update(cx, &new_id, &request.protocols, timeouts, ticket);
        if let Some(member) = self.members.get_mut(&new_id) {
            self.bytes -= member.bytes();
            member.client_id.clone_from(&caller.client_id);
            member.client_host.clone_from(&caller.client_host);
            self.bytes += member.bytes();
        }
        self.arm_session(cx, &new_id, None);
        match self.state {
            State::Stable if self.protocol == self.elected_protocol() => {
                let record = self.to_record(&self.assignments());
                let rename = Rename {
                    group: self.id.clone(),
                    old,
                    new_id,
                    leader,
                    may_skip_assignment: caller.may_skip_assignment(),
                };
                cx.write(vec![record], Then::Renamed(Box::new(rename)));
            }
            State::Stable => self.rebalance_or_complete(cx, "a static member changed its protocols"),
            // The leader may be assigning to the old id right now.
            State::Completing => self.prepare_rebalance(cx, "a static member came back"),
            State::Preparing | State::Empty | State::Dead => self.complete_if_all_joined(cx),
        }
    }

    /// The static member is stored under its new id, or (with an error) is not and stays what it was.
    pub(super) fn renamed(&mut self, cx: &mut Cx, rename: Rename, error: Option<ErrorCode>) {
        let new_id = rename.new_id.as_str();
        if let Some(error) = error {
            let answer = JoinGroupResponse {
                error,
                member_id: String::new(),
                leader: rename.leader.unwrap_or_default(),
                ..self.joined("")
            };
            self.answer_join(cx, new_id, answer);
            self.take_back(cx, new_id, rename.old);
            return;
        }
        let is_leader = self.is_leader(new_id);
        let answer = match rename.may_skip_assignment {
            true => JoinGroupResponse {
                skip_assignment: is_leader,
                ..self.joined(new_id)
            },
            // Older clients would take the list of members for an order to assign: they see the leader of before.
            false => JoinGroupResponse {
                leader: rename.leader.unwrap_or_default(),
                members: Vec::new(),
                ..self.joined(new_id)
            },
        };
        self.answer_join(cx, new_id, answer);
    }

    fn take_back(&mut self, cx: &mut Cx, new_id: &str, old: Member) {
        if !self.members.contains_key(new_id) {
            return;
        }
        let was_leader = self.is_leader(new_id);
        self.remove(cx, new_id);
        let old_id = old.id.clone();
        self.add(old);
        if was_leader {
            self.leader = Some(old_id.clone());
        }
        self.arm_session(cx, &old_id, None);
    }
}

/// Why the member joins, for the log (KIP-800).
fn reason(request: &JoinGroupRequest) -> &str {
    request.reason.as_deref().unwrap_or("a member joins")
}
