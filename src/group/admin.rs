//! DescribeGroups, ListGroups, DeleteGroups.

use super::classic::State;
use super::machine::{Groups, Outbox, Then, Ticket, Write};
use super::request::{GroupAnswer, deleted};
use crate::base::ids::Now;
use crate::wire::error::ErrorCode;
use crate::wire::group::describe_groups::DescribedGroup;
use crate::wire::group::list_groups::{ListGroupsRequest, ListedGroup};
use crate::wire::group::records::{GroupKey, GroupRecord};
use std::collections::BTreeSet;

/// Protocol type of consumers, and Kafka's name for their groups of the new protocol.
pub(super) const CONSUMER: &str = "consumer";
/// Kafka's name for groups of the classic protocol.
const CLASSIC: &str = "classic";
/// First version of DescribeGroups that says of a group that it does not exist (KIP-1043).
const NOT_FOUND_FROM: i16 = 6;

impl Groups {
    pub(super) fn describe(&self, version: i16, id: String) -> DescribedGroup {
        let Some(group) = self.groups.get(&id) else {
            let tells = version >= NOT_FOUND_FROM;
            let is_other = self.consumers.contains_key(&id);
            let why = if is_other {
                "is not a classic group"
            } else {
                "not found"
            };
            return DescribedGroup {
                error: if tells {
                    ErrorCode::GroupIdNotFound
                } else {
                    ErrorCode::None
                },
                error_message: tells.then(|| format!("Group {id} {why}.")),
                group_id: id,
                state: State::Dead.name().to_string(),
                ..DescribedGroup::default()
            };
        };
        let protocol = group.protocol.as_deref().filter(|_| group.state == State::Stable);
        DescribedGroup {
            state: group.state.name().to_string(),
            protocol_type: group.protocol_type.clone().unwrap_or_default(),
            protocol_data: protocol.unwrap_or_default().to_string(),
            members: group.members.values().map(|member| member.describe(protocol)).collect(),
            group_id: id,
            ..DescribedGroup::default()
        }
    }

    /// All groups that pass the filters for state and type, in any case.
    pub fn list(&self, request: &ListGroupsRequest) -> Vec<ListedGroup> {
        let has = |list: &[String], name: &str| {
            list.is_empty() || list.iter().any(|wanted| wanted.trim().eq_ignore_ascii_case(name))
        };
        let classic = self.groups.values().map(|group| ListedGroup {
            group_id: group.id.clone(),
            protocol_type: group.protocol_type.clone().unwrap_or_default(),
            state: group.state.name().to_string(),
            group_type: CLASSIC.to_string(),
        });
        let groups = classic.chain(self.consumers.values().map(|group| group.listed()));
        groups
            .filter(|group| has(&request.types, &group.group_type) && has(&request.states, &group.state))
            .collect()
    }

    /// Deletes empty groups with their offsets. They are dead until the log has it, then gone.
    pub(super) fn delete(&mut self, now: Now, ticket: Ticket, ids: Vec<String>, out: &mut Outbox) {
        let mut records = Vec::new();
        let mut buried = Vec::new();
        let mut results = Vec::new();
        let mut seen = BTreeSet::new();
        for id in ids {
            if !seen.insert(id.clone()) {
                continue; // Kafka looks at each name once
            }
            let error = match self.groups.get(&id).map(|group| group.state) {
                None if self.consumers.get(&id).is_some_and(|group| group.is_empty()) => {
                    self.bury_consumer(&id, &mut records);
                    buried.push(id.clone());
                    ErrorCode::None
                }
                None if self.consumers.get(&id).is_some_and(|group| !group.dead) => ErrorCode::NonEmptyGroup,
                None | Some(State::Dead) => ErrorCode::GroupIdNotFound,
                Some(State::Empty) => {
                    self.bury(&id, now, &mut records, out);
                    buried.push(id.clone());
                    ErrorCode::None
                }
                Some(_) => ErrorCode::NonEmptyGroup,
            };
            results.push(deleted(id, error));
        }
        let answer = GroupAnswer::Delete(results);
        if records.is_empty() {
            return out.answers.push((ticket, answer));
        }
        self.offsets.planned(&records);
        out.writes.push(Write {
            records,
            then: Then::Deleted(buried, Some((ticket, answer))),
        });
    }

    /// Marks a group dead and adds the records that remove it.
    pub(super) fn bury(&mut self, id: &str, now: Now, records: &mut Vec<GroupRecord>, out: &mut Outbox) {
        records.extend(self.offsets.tombstones(id, |_, _, _| true));
        let key = GroupKey {
            group_id: id.to_string(),
        };
        records.push(GroupRecord::GroupMetadata(key, None));
        self.with_group(id, now, out, |group, cx| {
            group.dissolve(cx, ErrorCode::CoordinatorNotAvailable);
            group.move_to(State::Dead, now.wall_ms);
        });
    }

    /// The log has it: the groups are gone.
    pub(super) fn deleted(&mut self, ids: &[String]) {
        for id in ids {
            if self.groups.get(id).is_some_and(|group| group.state == State::Dead) {
                self.drop_group(id);
            }
            if self.consumers.get(id).is_some_and(|group| group.dead) {
                self.drop_consumer(id);
            }
        }
    }

    /// The log has not got it: the groups are what they were.
    pub(super) fn revive(&mut self, ids: &[String], now: Now) {
        for id in ids {
            if let Some(group) = self.groups.get_mut(id)
                && group.state == State::Dead
            {
                group.move_to(State::Empty, now.wall_ms);
            }
            self.revive_consumer(id);
        }
    }
}
