//! The two phases of a rebalance: all join, then all sync. Who does not come in time is left out.

use super::classic::{Group, State};
use super::machine::{Cx, Due, Then};
use super::request::sync_refused;
use crate::wire::error::ErrorCode;
use crate::wire::group::sync_group::SyncGroupResponse;
use bytes::Bytes;
use std::collections::BTreeMap;

impl Group {
    /// Starts a rebalance where that is possible, else looks whether the present one has all it waits for.
    pub(super) fn rebalance_or_complete(&mut self, cx: &mut Cx, reason: &str) {
        match self.state {
            State::Stable | State::Completing | State::Empty => self.prepare_rebalance(cx, reason),
            State::Preparing | State::Dead => self.complete_if_all_joined(cx),
        }
    }

    /// All members have to join again.
    pub(super) fn prepare_rebalance(&mut self, cx: &mut Cx, reason: &str) {
        if self.state == State::Completing {
            self.propagate(cx, Err(ErrorCode::RebalanceInProgress));
        }
        self.pending_sync.clear();
        if let Some(timer) = self.sync_timer.take() {
            cx.timers.cancel(timer);
        }
        let first = self.state == State::Empty;
        self.move_to(State::Preparing, cx.now.wall_ms);
        let (group, generation) = (self.id.escape_debug(), self.generation);
        tracing::debug!(%group, generation, reason = %reason.escape_debug(), "group rebalances");
        if first {
            let delay_ms = cx.config.initial_rebalance_delay_ms;
            let remaining_ms = self.rebalance_timeout_ms().saturating_sub(delay_ms).max(0);
            return self.delay_initial(cx, delay_ms, remaining_ms);
        }
        match self.all_joined() {
            true => self.complete_join(cx),
            false => self.wait_for_joins(cx),
        }
    }

    /// The first members of a group tend to come together: waits for more, as long as more come and time is left.
    fn delay_initial(&mut self, cx: &mut Cx, delay_ms: i32, remaining_ms: i32) {
        let due = Due::InitialJoin {
            group: self.id.clone(),
            delay_ms,
            remaining_ms,
        };
        self.arm_join(cx, delay_ms, due);
    }

    pub(super) fn initial_delay_over(&mut self, cx: &mut Cx, delay_ms: i32, remaining_ms: i32) {
        self.join_timer = None;
        if !self.member_added || remaining_ms == 0 {
            return self.complete_join(cx);
        }
        self.member_added = false;
        let next_ms = cx.config.initial_rebalance_delay_ms.min(remaining_ms);
        self.delay_initial(cx, next_ms, remaining_ms.saturating_sub(delay_ms).max(0));
    }

    fn wait_for_joins(&mut self, cx: &mut Cx) {
        let due = Due::Join { group: self.id.clone() };
        self.arm_join(cx, self.rebalance_timeout_ms(), due);
    }

    fn arm_join(&mut self, cx: &mut Cx, after_ms: i32, due: Due) {
        if let Some(timer) = self.join_timer.take() {
            cx.timers.cancel(timer);
        }
        self.join_timer = Some(cx.timers.arm(cx.in_ms(after_ms), due));
    }

    /// Ends the join phase when nobody is missing. Not in a group's first rebalance, whose delay is for members to come.
    pub(super) fn complete_if_all_joined(&mut self, cx: &mut Cx) {
        if self.state == State::Preparing && self.previous != State::Empty && self.all_joined() {
            self.complete_join(cx);
        }
    }

    /// Ends the join phase: dynamic members that have not joined are out, static ones stay.
    pub(super) fn complete_join(&mut self, cx: &mut Cx) {
        if let Some(timer) = self.join_timer.take() {
            cx.timers.cancel(timer);
        }
        if self.state != State::Preparing {
            return;
        }
        let missing = self
            .members
            .values()
            .filter(|m| m.joining.is_none() && m.instance_id.is_none());
        let missing: Vec<String> = missing.map(|member| member.id.clone()).collect();
        missing.iter().for_each(|id| self.remove(cx, id));
        if !self.members.is_empty() && !self.elect_leader() {
            // Only static members, and none has come: wait until their sessions end.
            return self.wait_for_joins(cx);
        }
        self.next_generation(cx.now.wall_ms);
        self.member_added = false;
        if self.state == State::Empty {
            let record = self.to_record(&BTreeMap::new());
            return cx.write(vec![record], Then::Nothing);
        }
        let (group, generation, members) = (self.id.escape_debug(), self.generation, self.members.len());
        tracing::info!(%group, generation, members, "group has a new generation");
        for id in self.members.keys().cloned().collect::<Vec<_>>() {
            let answer = self.joined(&id);
            self.answer_join(cx, &id, answer);
            self.arm_session(cx, &id, None);
            if let Some(member) = self.members.get_mut(&id) {
                member.is_new = false;
            }
            self.pending_sync.insert(id);
        }
        self.wait_for_syncs(cx);
    }

    fn wait_for_syncs(&mut self, cx: &mut Cx) {
        let due = Due::Sync {
            group: self.id.clone(),
            generation: self.generation,
        };
        if let Some(timer) = self.sync_timer.take() {
            cx.timers.cancel(timer);
        }
        self.sync_timer = Some(cx.timers.arm(cx.in_ms(self.rebalance_timeout_ms()), due));
    }

    /// Members that joined and then never synced are out (KAFKA-12890).
    pub(super) fn sync_time_over(&mut self, cx: &mut Cx, generation: i32) {
        self.sync_timer = None;
        let is_due = generation == self.generation && matches!(self.state, State::Completing | State::Stable);
        if !is_due || self.pending_sync.is_empty() {
            return;
        }
        for id in std::mem::take(&mut self.pending_sync) {
            self.remove(cx, &id);
        }
        self.prepare_rebalance(cx, "members did not sync in time");
    }

    /// The leader's assignment is durable, or cannot be stored. Without effect when the group has moved on since.
    pub(super) fn assigned(
        &mut self,
        cx: &mut Cx,
        generation: i32,
        assignments: Result<BTreeMap<String, Bytes>, ErrorCode>,
    ) {
        if self.state != State::Completing || self.generation != generation {
            return;
        }
        match assignments {
            Ok(mut assignments) => {
                for member in self.members.values_mut() {
                    self.bytes -= member.assignment.len();
                    member.assignment = assignments.remove(&member.id).unwrap_or_default();
                    self.bytes += member.assignment.len();
                }
                self.propagate(cx, Ok(()));
                self.move_to(State::Stable, cx.now.wall_ms);
            }
            Err(error) => {
                self.propagate(cx, Err(error));
                self.rebalance_or_complete(cx, "the assignment could not be stored");
            }
        }
    }

    /// Answers all that wait for their assignment; with an error they have none.
    fn propagate(&mut self, cx: &mut Cx, outcome: Result<(), ErrorCode>) {
        let mut synced = Vec::new();
        for member in self.members.values_mut() {
            if outcome.is_err() {
                self.bytes -= member.assignment.len();
                member.assignment = Bytes::new();
            }
            let Some(ticket) = member.syncing.take() else { continue };
            let answer = match outcome {
                Err(error) => sync_refused(error),
                Ok(()) => SyncGroupResponse {
                    protocol_type: self.protocol_type.clone(),
                    protocol_name: self.protocol.clone(),
                    assignment: member.assignment.clone(),
                    ..SyncGroupResponse::default()
                },
            };
            cx.sync(ticket, answer);
            synced.push(member.id.clone());
        }
        // Its session may have ended unseen while it waited.
        synced.iter().for_each(|id| self.arm_session(cx, id, None));
    }
}
