//! What the log says of a group, record by record, and what follows from all of it at a start.

use super::group::{ConsumerGroup, Key, Resolved};
use super::member::{ConsumerMember, MemberState};
use super::{Held, Partitions};
use crate::group::machine::{Cx, Groups};
use crate::wire::group::records::GroupRecord;

impl Groups {
    /// Takes over a record of a consumer group. A value makes what it speaks of, a deletion of what is not there is nothing.
    pub(in crate::group) fn replay_consumer(&mut self, record: &GroupRecord) {
        if let GroupRecord::ConsumerGroupMetadata(key, None) = record {
            self.drop_consumer(&key.group_id);
            return;
        }
        let has_value = record.value_version().is_some();
        let id = record.group_id();
        if has_value && !self.consumers.contains_key(id) {
            // Until now it was known only by its offsets, or was a classic group that became this one.
            self.drop_group(id);
            self.put_consumer(ConsumerGroup::new(id));
        }
        if let Some(group) = self.consumers.get_mut(id) {
            group.replay(record);
        }
    }
}

/// What a record is about; `None` for those that these groups do not write.
pub(super) fn key_of(record: &GroupRecord) -> Option<Key> {
    Some(match record {
        GroupRecord::GroupMetadata(..) => Key::Classic,
        GroupRecord::ConsumerGroupMetadata(..) => Key::Group,
        GroupRecord::ConsumerGroupMemberMetadata(key, _) => Key::Member(key.member_id.clone()),
        GroupRecord::ConsumerGroupRegularExpression(key, _) => Key::Regex(key.regular_expression.clone()),
        GroupRecord::ConsumerGroupTargetAssignmentMetadata(..) => Key::TargetEpoch,
        GroupRecord::ConsumerGroupTargetAssignmentMember(key, _) => Key::Target(key.member_id.clone()),
        GroupRecord::ConsumerGroupCurrentMemberAssignment(key, _) => Key::Current(key.member_id.clone()),
        GroupRecord::OffsetCommit(..) | GroupRecord::ConsumerGroupPartitionMetadata(..) => return None,
    })
}

impl ConsumerGroup {
    fn replay(&mut self, record: &GroupRecord) {
        match record {
            GroupRecord::ConsumerGroupMetadata(_, Some(value)) => {
                (self.epoch, self.hash) = (value.epoch, value.metadata_hash);
            }
            GroupRecord::ConsumerGroupMemberMetadata(key, Some(value)) => {
                self.member(&key.member_id).set_metadata(value.clone());
            }
            GroupRecord::ConsumerGroupMemberMetadata(key, None) => {
                self.members.remove(&key.member_id);
            }
            GroupRecord::ConsumerGroupTargetAssignmentMetadata(_, value) => {
                self.assignment_epoch = value.as_ref().map_or(0, |value| value.assignment_epoch);
                self.assigned_ms = value.as_ref().map_or(0, |value| value.assignment_timestamp);
            }
            GroupRecord::ConsumerGroupTargetAssignmentMember(key, Some(value)) => {
                let topics = value.topic_partitions.iter();
                let target: Partitions = topics
                    .map(|topic| (topic.topic_id, topic.partitions.iter().copied().collect()))
                    .collect();
                self.target.insert(key.member_id.clone(), target);
            }
            GroupRecord::ConsumerGroupTargetAssignmentMember(key, None) => {
                self.target.remove(&key.member_id);
            }
            GroupRecord::ConsumerGroupCurrentMemberAssignment(key, Some(value)) => {
                self.member(&key.member_id).set_current(value.clone());
            }
            GroupRecord::ConsumerGroupCurrentMemberAssignment(key, None) => {
                if let Some(member) = self.members.get_mut(&key.member_id) {
                    (member.epoch, member.previous_epoch, member.state) = (0, 0, MemberState::Stable);
                    (member.assigned, member.revoking) = (Held::new(), Held::new());
                }
            }
            GroupRecord::ConsumerGroupRegularExpression(key, Some(value)) => {
                let resolved = Resolved {
                    topics: value.topics.iter().cloned().collect(),
                    version: value.version,
                    at_ms: value.timestamp,
                };
                self.regexes.insert(key.regular_expression.clone(), resolved);
            }
            GroupRecord::ConsumerGroupRegularExpression(key, None) => {
                self.regexes.remove(&key.regular_expression);
            }
            // Topics of old; their deletion follows from the hash (KIP-1101).
            _ => {}
        }
    }

    fn member(&mut self, id: &str) -> &mut ConsumerMember {
        self.members
            .entry(id.to_string())
            .or_insert_with(|| ConsumerMember::new(id))
    }

    /// The whole log is replayed: members have to show themselves from now on.
    pub(in crate::group) fn loaded(&mut self, cx: &mut Cx) {
        self.target.retain(|id, _| self.members.contains_key(id));
        let ids: Vec<String> = self.members.keys().cloned().collect();
        for id in &ids {
            let Some(member) = self.members.get(id) else { continue };
            let (assigned, revoking) = (member.assigned.clone(), member.revoking.clone());
            let instance = member.instance_id.clone();
            self.hold(&assigned);
            self.hold(&revoking);
            self.statics.extend(instance.map(|instance| (instance, id.clone())));
            self.arm_session(cx, id);
            self.arm_rebalance(cx, id);
        }
    }
}
